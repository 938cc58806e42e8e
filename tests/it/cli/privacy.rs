//! Secrets in what a source answers, and every byte that a run leaves behind: none of them is there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::toy::{Ended, run};

/// What must be nowhere: each as a source may write it.
const PLANTED: [&str; 14] = [
    "98-7654321",
    "987654321",
    "123-45-6789",
    "DE89370400440532013000",
    "021000021",
    "4556737586899855",
    "hunter2-of-the-vendor",
    "jo.private@home.example",
    "555-867-5309",
    "5558675309",
    "f00dcafesignature",
    "the-session-token-of-run",
    "correct-horse",
    "the-firm-key",
];

const MANIFEST: &str = r#"
[system]
name = "leaky"
side = "pm"
protocol = "rest"
[settings]
required = ["username", "password"]
secret = ["password"]
[rest]
retry = { attempts = 2 }
concurrency = 1
auth = [ { kind = "oauth2_password", token_url = "/token", client_id = "x", client_secret = "{password}", username = "{username}", password = "{password}" } ]
[defaults]
empty = "verified"
[[table]]
name = "projects"
path = "/projects"
key = ["id"]
sensitive = { "register.identifier" = "hash", "payment" = "drop" }
[table.columns]
id = "int64"
tax_hash = { type = "text", path = "register.identifier" }
amount = "decimal(18,2)"
[[table]]
name = "lines"
embedded = { table = "projects", path = "lines" }
key = ["project", "place"]
sensitive = { payee = "hash" }
[table.columns]
project = { type = "int64", parent = "id" }
place = { type = "int64", position = true }
payee = "text"
[[table]]
name = "refused"
path = "/refused"
key = ["id"]
[table.columns]
id = "int64"
[[table]]
name = "broken"
path = "/broken"
key = ["id"]
[table.columns]
id = "int64"
[[table]]
name = "page"
path = "/page"
key = ["id"]
[table.columns]
id = "int64"
[[table]]
name = "hanging"
parent = "projects"
path = "/hanging/{parent.id}"
key = ["id"]
[table.columns]
id = "int64"
"#;

const PROJECTS: &str = r#"[
  {"id": 1, "name": "kept-in-clear", "register": {"identifier": "98-7654321", "type": "EIN"}, "amount": "10.00",
   "payment": {"iban": "DE89370400440532013000", "card": 4556737586899855},
   "Bank-Account": "021000021", "bank_routing_number": {"value": "021000021"}, "ssn": "123-45-6789",
   "vendor": {"password": "hunter2-of-the-vendor", "tax_id": 987654321},
   "contact": {"email_address": "jo.private@home.example", "mobile_phone": "555-867-5309"},
   "attachments": [{"url": "https:\/\/s3.example\/a.pdf?X-Amz-Signature=f00dcafesignature&x=1"}],
   "lines": [{"payee": "98-7654321", "apiToken": "the-session-token-of-run"}]},
  {"id": 2, "register": "98-7654321", "amount": {"ssn": "123-45-6789"}, "lines": []},
  {"id": null, "register": {"identifier": "987654321"}, "note": "see http://x.example/?sig=f00dcafesignature"},
  "123-45-6789"
]"#;

/// Whether the last list is still being waited for.
static HANGS: AtomicBool = AtomicBool::new(true);

async fn answer(request: Request) -> Response {
    let json = [("content-type", "application/json")];
    let trouble = r#"{"message":"vendor 98-7654321 (jo.private@home.example, 555-867-5309) failed","password":"hunter2-of-the-vendor",
        "link":"https://s3.example/a?X-Amz-Signature=f00dcafesignature","iban":"DE89370400440532013000"}"#;
    match request.uri().path() {
        "/token" => (json, r#"{"access_token":"the-session-token-of-run","expires_in":5400}"#).into_response(),
        "/projects" => (json, PROJECTS).into_response(),
        "/refused" => (StatusCode::FORBIDDEN, json, trouble).into_response(),
        "/broken" => (StatusCode::INTERNAL_SERVER_ERROR, json, trouble).into_response(),
        "/page" => ([("content-type", "text/html")], "<html>Jo, SSN 123-45-6789, the-session-token-of-run</html>")
            .into_response(),
        _ if HANGS.load(Ordering::Relaxed) => std::future::pending().await,
        _ => (json, "[]").into_response(),
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// A file's bytes, and what they hold where they are packed.
fn contents(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap();
    let mut texts = vec![String::from_utf8_lossy(&bytes).into_owned()];
    if path.extension().is_some_and(|ending| ending == "parquet") {
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes.clone())).unwrap().build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        texts.push(format!("{batches:?}"));
        texts.push(arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string());
    }
    // Packed pieces begin with a magic number, wherever they stand in a file.
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    for place in 0..bytes.len().saturating_sub(4) {
        if bytes.get(place..).unwrap().starts_with(&magic) {
            let mut decoder = zstd::stream::read::Decoder::new(bytes.get(place..).unwrap()).unwrap().single_frame();
            let mut text = Vec::new();
            if std::io::Read::read_to_end(&mut decoder, &mut text).is_ok() {
                texts.push(String::from_utf8_lossy(&text).into_owned());
            }
        }
    }
    texts
}

fn assert_clean(what: &str, text: &str) {
    for secret in PLANTED {
        let before = |place: usize| -> String {
            let letters: Vec<char> = text.get(..place).unwrap().chars().collect();
            letters.iter().skip(letters.len().saturating_sub(60)).collect()
        };
        assert_eq!(text.find(secret).map(before), None, "`{secret}` is in {what}, after this");
    }
}

/// Looks at everything but the two files that hold our own secrets.
fn scan(folder: &Path) -> String {
    let mut all = String::new();
    for path in files(folder).into_iter().filter(|path| !path.ends_with("password") && !path.ends_with("key")) {
        for text in contents(&path) {
            assert_clean(&path.display().to_string(), &text);
            all.push_str(&text);
        }
    }
    all
}

fn scan_ended(ended: &Ended) {
    assert_clean("stdout", &ended.out);
    assert_clean("stderr", &ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_are_in_no_byte_that_a_run_leaves_behind() {
    let router = Router::new().fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("extractors/leaky/manifest.toml", MANIFEST);
    write("password", "correct-horse");
    write("key", "the-firm-key");
    let settings = format!(
        "[firm]\ntax_id_key = {{ file = \"key\" }}\n[sources.leaky]\nkind = \"leaky\"\nbase_url = \"{url}\"\n\
         username = \"reader\"\npassword = {{ file = \"password\" }}\npersonal = \"drop\"\n"
    );
    write("tieout.toml", &settings);

    // Stopped while a list hangs: what was read is staged.
    let ended = run(folder.path(), &["-vv", "extract", "--no-progress", "--window", "6s"]).await;
    assert_eq!(ended.code, 5, "{}", ended.err);
    scan_ended(&ended);
    assert!(folder.path().join("staging").exists(), "lists wait for the next run");
    let staged = scan(folder.path());
    assert!(staged.contains("kept-in-clear"), "the scan sees what is packed");

    for format in ["text", "json"] {
        let all_but_hanging =
            ["projects", "lines", "refused", "broken", "page"].map(|table| ["--table", table]).concat();
        let arguments = [&["-vv", "--log-format", format, "extract", "--no-progress"], &all_but_hanging[..]].concat();
        let ended = run(folder.path(), &arguments).await;
        assert_eq!(ended.code, 5, "{}", ended.err);
        assert!(ended.err.contains("403") && ended.err.contains("[number]"), "{}", ended.err);
        scan_ended(&ended);
    }
    let stored = scan(folder.path());
    assert!(stored.contains("kept-in-clear") && stored.contains("a.pdf"), "the scan sees what is stored");
    for query in [
        "select * from leaky.projects",
        "select * from leaky.lines",
        "select * from history.leaky_projects",
        "select * from meta.rejects",
        "select * from meta.coverage",
        "select * from meta.drift",
    ] {
        let ended = run(folder.path(), &["sql", "--format", "csv", query]).await;
        assert!(ended.code == 0 && ended.out.lines().count() > 1, "{query}: {}", ended.err);
        scan_ended(&ended);
    }
    let query = "select count(distinct h) from (select tax_hash as h from leaky.projects where id = 1 \
                 union all select payee from leaky.lines)";
    let ended = run(folder.path(), &["sql", "--format", "csv", query]).await;
    assert_eq!(ended.out.lines().nth(1), Some("1"), "what is hashed still matches: {}{}", ended.out, ended.err);
    HANGS.store(false, Ordering::Relaxed);
    let ended = run(folder.path(), &["check", "-v"]).await;
    assert!(ended.out.contains("reachable") && ended.out.contains("permitted"), "{}", ended.out);
    scan_ended(&ended);
}
