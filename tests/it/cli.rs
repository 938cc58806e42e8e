//! Whole runs of the program on temporary folders: what it says and what it exits with, with good luck and bad.

mod add_a_system;
mod alerts;
mod evidence;
mod export;
#[cfg(unix)]
mod full;
mod lives;
mod luck;
mod mail;
mod pinned;
mod post;
mod privacy;
mod rekey;
mod report;
mod resume;
mod schedule;
mod toy;
mod verify;

use std::path::Path;

use toy::run;

/// Settings and a command, the exit code, and what stderr must say.
type Mistake = (&'static str, &'static [&'static str], i32, &'static [&'static str]);

const MISTAKES: &[Mistake] = &[
    ("[warehouse]\nulr = \"x\"", &["extract"], 2, &["unknown field `ulr`", "did you mean `url`?"]),
    ("[sources.recon]\nkind = \"procore\"", &["extract"], 2, &["[sources.recon]", "one of our schemas", "hint:"]),
    ("[sources.a]\nkind = \"procor\"", &["check"], 2, &["no such system", "did you mean `procore`?"]),
    ("[firm]\ntimezone = \"Chicago\"", &["extract"], 2, &["[firm] timezone = \"Chicago\"", "America/Chicago"]),
    ("[tolerance]\namount = \"a cent\"", &["serve"], 2, &["[[roles]]", "hint:"]),
    ("", &["extract"], 2, &["no [sources.<name>] in tieout.toml", "hint:"]),
    ("", &["serve"], 2, &["no [[roles]] in tieout.toml", "nobody could log in", "hint:"]),
    ("", &["sql", "select 1"], 4, &["there is no such warehouse", "tieout extract"]),
    ("", &["sql", "-f", "none.sql"], 2, &["read query none.sql", "No such file"]),
    ("", &["simulate", "--months", "1", "--dir", "."], 2, &["tieout.toml is a workspace's own", "hint:"]),
    ("", &["demo", "--dir", "."], 2, &["holds a workspace already", "hint:"]),
    ("[warehouse]\nurl = \"ftp://x\"", &["extract"], 4, &["ftp://x", "hint:"]),
    (
        "[sources.p]\nkind = \"procore\"\ncompany_id = 1\nclient_id = { env = \"TIEOUT_NOT_SET_A\" }\nclient_secret = { file = \"gone\" }",
        &["check"],
        2,
        &[
            "sources.p.client_id: environment variable TIEOUT_NOT_SET_A is not set",
            "sources.p.client_secret from",
            "gone",
        ],
    ),
    (
        "[[roles]]\nname = \"ada\"\npassword = { file = \"tieout.toml\" }\n[server]\nlisten = \"0.0.0.0:0\"",
        &["serve"],
        2,
        &["listen on 0.0.0.0:0", "in clear", "[server.tls]"],
    ),
    (
        "[[roles]]\nname = \"ada\"\npassword = { file = \"tieout.toml\" }\n[grace]\nX9 = 3",
        &["serve"],
        2,
        &["[grace] X9", "hint:"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_settings_is_named_with_what_to_try() {
    for (settings, arguments, code, texts) in MISTAKES {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tieout.toml"), settings).unwrap();
        let ended = run(folder.path(), arguments).await;
        ended.says(*code, texts);
        assert!(ended.err.starts_with("error: ") && ended.out.is_empty(), "{}{}", ended.out, ended.err);
        // A hint is the last thing a person reads, not the middle of a sentence.
        let after_hint = ended.err.lines().skip_while(|line| !line.starts_with("hint:"));
        assert!(
            after_hint.clone().all(|line| line.starts_with("hint:") || line.starts_with("      ")),
            "{}",
            ended.err
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_workspace_says_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &["sql", "select 1"]).await;
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!(ended.err, @r"
    error: read tieout.toml: No such file or directory (os error 2)
    hint: `tieout init` writes a commented one here, --config names another; `tieout demo` needs none
    ");
    let ended = run(folder.path(), &["init", "books"]).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    insta::assert_snapshot!(ended.out, @r"
    wrote books/tieout.toml

    next:
      fill in [sources.…] in tieout.toml; drop a source that you do not have
      cp .env.example .env, fill in the secrets, and load them: set -a; . ./.env; set +a
      cd books && tieout check
      cd books && tieout extract
    ");
    let ended = run(folder.path(), &["init", "books"]).await;
    ended.says(2, &["books/tieout.toml is there already: nothing was changed", "hint:"]);
    let ended = run(&folder.path().join("books"), &["check"]).await;
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!(ended.err, @r#"
    error: read secret sources.acumatica.password: environment variable ACUMATICA_PASSWORD is not set
    read secret sources.acumatica.username: environment variable ACUMATICA_USERNAME is not set
    read secret sources.procore.client_id: environment variable PROCORE_CLIENT_ID is not set
    read secret sources.procore.client_secret: environment variable PROCORE_CLIENT_SECRET is not set
    hint: export it, or load all of .env with `set -a; . ./.env; set +a`, or use { file = "…" }
    "#);
    assert!(!folder.path().join("books/warehouse").exists(), "a check stores nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_told_with_the_option_that_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[[roles]]\nname = \"ada\"\npassword = { file = \"tieout.toml\" }\n";
    std::fs::write(folder.path().join("tieout.toml"), settings).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(folder.path(), &["serve", "--listen", &address]).await;
    ended.says(2, &[&format!("listen on {address}: Address already in use"), "--listen"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn help_names_every_command_and_every_exit_code() {
    let ended = run(Path::new("."), &["--help"]).await;
    assert_eq!(ended.code, 0);
    for word in
        ["init", "check", "extract", "serve", "sql", "report", "evidence", "export", "demo", "simulate", "Exit codes:"]
    {
        assert!(ended.out.contains(word), "{}", ended.out);
    }
    for command in ["init", "check", "extract", "serve", "sql", "report", "evidence", "export", "demo", "simulate"] {
        let ended = run(Path::new("."), &[command, "--help"]).await;
        assert!(ended.code == 0 && ended.out.contains("Global options:"), "{}", ended.out);
    }
    run(Path::new("."), &["extrat"]).await.says(2, &["extract"]);
}
