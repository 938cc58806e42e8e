//! Mail over TLS by a server of the firm's own, with a certificate of its own authority; and mail that is known for the same.

use std::time::Duration;

use super::lives::{CHECK, LARGE, projects};
use super::post::{Post, Speech, fixture, smtp};
use super::toy::{Ended, PASSWORD, Toy};

/// How long something may take on a slow machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// A firm with one exception that is told.
async fn firm() -> Toy {
    let toy = Toy::start(projects(&[(2, "20000.00")])).await;
    toy.write(CHECK, LARGE);
    for name in ["authority", "stranger"] {
        std::fs::copy(fixture(&format!("{name}.crt")), toy.folder().join(format!("{name}.pem"))).unwrap();
    }
    toy
}

async fn tested(toy: &Toy, port: u16, tls: &str, rest: &str) -> Ended {
    // The certificate names `localhost`.
    let settings = smtp(port).replace("127.0.0.1", "localhost").replace("\"none\"", &format!("\"{tls}\""));
    toy.write("tieout.toml", &(toy.settings() + &settings + rest));
    tokio::time::timeout(PATIENCE, toy.run(&["alerts", "test"])).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_through_tls_by_the_firms_own_authority() {
    let toy = firm().await;
    for (speech, tls) in [(Speech::Starttls, "starttls"), (Speech::Tls, "tls")] {
        let (receiver, port) = Post::speaking(speech, "server").await;
        let ended = tested(&toy, port, tls, "ca = \"authority.pem\"\n").await;
        assert_eq!(ended.code, 0, "{tls}: {}", ended.err);
        let mails = receiver.taken();
        assert!(mails.len() == 1 && mails[0].contains("To: ada@example.com"), "{tls}: {mails:?}");
        // Neither who nor what was said before TLS was spoken.
        let overheard = receiver.overheard();
        assert!(!overheard.contains("AUTH") && !overheard.contains("MAIL"), "{overheard}");

        // Nobody vouches for it; somebody else does; its name is another.
        for (rest, host, says) in [
            ("", "localhost", "ca = "),
            ("ca = \"stranger.pem\"\n", "localhost", "UnknownIssuer"),
            ("ca = \"authority.pem\"\n", "127.0.0.1", "certificate"),
        ] {
            let settings = smtp(port).replace("127.0.0.1", host).replace("\"none\"", &format!("\"{tls}\""));
            toy.write("tieout.toml", &(toy.settings() + &settings + rest));
            let said = toy.run(&["alerts", "test"]).await;
            said.says(
                3,
                &["error: smtp: ", &format!("{host}:{port} failed"), "certificate", says, "\nhint: host must be"],
            );
            assert!(!said.err.contains(PASSWORD), "{}", said.err);
            assert!(receiver.taken().is_empty(), "{tls} {rest}: {}", said.err);
        }
    }
    let (receiver, port) = Post::speaking(Speech::Tls, "stranger").await;
    tested(&toy, port, "tls", "ca = \"authority.pem\"\n").await.says(3, &["certificate", "hint: host must be"]);
    assert!(receiver.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_settings_is_told_with_what_to_try() {
    let toy = firm().await;
    toy.write("empty.pem", "nothing\n");
    for (tls, rest, code, says) in [
        ("tls", "ca = \"gone.pem\"\n", 3, "[alerts.smtp] ca: read certificate"),
        ("tls", "ca = \"gone.pem\"\n", 3, "gone.pem: No such file"),
        ("tls", "ca = \"empty.pem\"\n", 3, "empty.pem: it holds none"),
        ("none", "ca = \"authority.pem\"\n", 2, "[alerts.smtp] ca: without TLS"),
        // Nobody listens there.
        ("none", "", 3, "hint: host and port of [alerts.smtp]"),
    ] {
        let said = tested(&toy, 1, tls, rest).await;
        said.says(code, &[says]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_comes_twice_is_known_for_one() {
    let toy = firm().await;
    let (receiver, port) = Post::start().await;
    toy.write("tieout.toml", &(toy.settings() + &smtp(port)));
    toy.run(&["extract", "--now", "2026-11-02T06:00:00Z"]).await.says(0, &[]);
    // It takes the mail and is gone before it says so, until nobody tries any more for now.
    *receiver.silences.lock().unwrap() = 3;
    toy.run(&["alerts", "send", "--now", "2026-11-02T07:00:00Z"]).await.says(3, &["smtp: 127.0.0.1:"]);
    toy.run(&["alerts", "send", "--now", "2026-11-02T09:00:00Z"]).await.says(0, &[]);
    let ids: Vec<String> = receiver.taken().iter().map(|mail| header(mail, "Message-ID")).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert!(ids[0].starts_with("<tieout.") && ids[0].ends_with("@example.com>"), "{ids:?}");
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    // Another occurrence is another mail, and so is each test.
    toy.answer(projects(&[(2, "20000.00"), (3, "30000.00")])).await;
    toy.run(&["extract", "--now", "2026-11-03T06:00:00Z"]).await.says(0, &[]);
    toy.run(&["alerts", "send", "--now", "2026-11-03T07:00:00Z"]).await.says(0, &[]);
    toy.run(&["alerts", "test"]).await.says(0, &[]);
    toy.run(&["alerts", "test"]).await.says(0, &[]);
    let mut others: Vec<String> = receiver.taken().iter().map(|mail| header(mail, "Message-ID")).collect();
    others.push(ids[0].clone());
    others.sort();
    others.dedup();
    assert_eq!(others.len(), 4, "{others:?}");
}

fn header(mail: &str, name: &str) -> String {
    let found: Vec<&str> = mail.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect();
    assert_eq!(found.len(), 1, "{mail}");
    found.concat()
}
