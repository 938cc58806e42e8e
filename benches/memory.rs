//! How much memory a first extraction takes, by number of records: a table in many lists, and the same in one list.
//!
//! `cargo bench --profile dev --bench memory -- [RECORDS] [digits]` (default 20,000) serves so many records of a kilobyte and
//! eight times as many from this process, reads them with `tieout extract` into a new warehouse, and prints the largest resident
//! size of that process (`VmHWM`; Linux only). Records are as an ERP writes them: names of fields, amounts, a GUID. With `digits`
//! they are the digits of SHA-256 instead, of which compression leaves half: the worst there can be.

#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::env;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

/// Records under each parent, where there are parents; also the page size.
const PAGE: u64 = 500;

const MANIFEST: &str = r#"
[system]
name = "site"
side = "pm"
protocol = "rest"
[rest]
concurrency = 2
[defaults]
empty = "verified"
[[table]]
name = "jobs"
path = "/jobs"
key = ["id"]
[table.columns]
id = "int64"
[[table]]
name = "bills"
parent = "jobs"
path = "/jobs/{parent.id}/bills"
key = ["id"]
[table.columns]
id = "int64"
amount = "decimal(18,2)"
name = "text"
[[table]]
name = "lines"
path = "/lines"
paging = { kind = "offset", top_parameter = "$top", skip_parameter = "$skip", top = 500 }
key = ["id"]
[table.columns]
id = "int64"
amount = "decimal(18,2)"
name = "text"
"#;

#[tokio::main]
async fn main() {
    let records = env::args().skip(1).find_map(|argument| argument.parse::<u64>().ok()).unwrap_or(20_000);
    let is_digits = env::args().any(|argument| argument == "digits");
    println!("{:<30}{:>12}{:>12}{:>10}", "", "records", "KiB at most", "seconds");
    for (what, table) in [("lists of 500 records", "bills"), ("one list", "lines")] {
        for records in [PAGE, records, records * 8] {
            let (kibibytes, taken) = measure(Served { records, is_digits }, table).await;
            println!("{what:<30}{records:>12}{kibibytes:>12}{:>10}", taken.as_secs());
        }
    }
}

/// What the server has.
#[derive(Clone, Copy)]
struct Served {
    records: u64,
    is_digits: bool,
}

async fn measure(firm: Served, table: &str) -> (u64, Duration) {
    let router = Router::new().fallback(answer).with_state(firm);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().expect("a folder");
    let extractor = folder.path().join("extractors/site");
    std::fs::create_dir_all(&extractor).expect("a folder");
    std::fs::write(extractor.join("manifest.toml"), MANIFEST).expect("a manifest");
    let settings = format!("[sources.site]\nkind = \"site\"\nbase_url = \"{url}\"\n");
    std::fs::write(folder.path().join("tieout.toml"), settings).expect("settings");
    let measured = extract(folder.path(), table).await;
    server.abort();
    measured
}

/// The largest resident size of a run, and how long it took.
async fn extract(folder: &Path, table: &str) -> (u64, Duration) {
    let began = Instant::now();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tieout"));
    command.arg("--config").arg(folder.join("tieout.toml")).args([
        "extract",
        "--table",
        table,
        "--quiet",
        "--no-progress",
    ]);
    let mut child = command.spawn().expect("tieout started");
    let status = format!("/proc/{}/status", child.id().expect("a process"));
    let mut most = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = most.max(kibibytes.unwrap_or_default());
        if let Ok(ended) = tokio::time::timeout(Duration::from_millis(10), child.wait()).await {
            let code = ended.expect("a process that ends").code();
            assert!(matches!(code, Some(0 | 5)), "the run ended with {code:?}");
            return (most, began.elapsed());
        }
    }
}

/// `/jobs`, `/jobs/<job>/bills`, `/lines?$top=…&$skip=…`.
async fn answer(State(served): State<Served>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().replace("%24", "$");
    let number = |name: &str, default: u64| {
        let found = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (first, count) = match request.uri().path().split('/').skip(1).collect::<Vec<_>>().as_slice() {
        ["jobs"] => (0, served.records.div_ceil(PAGE)),
        ["jobs", job, _] => (job.parse::<u64>().expect("a job") * PAGE, PAGE),
        _ => (number("$skip", 0), number("$top", u64::MAX)),
    };
    let last = first.saturating_add(count).min(served.records);
    let mut text = String::from("[");
    for id in first..last {
        let note = if served.is_digits { digits(id) } else { fields(id) };
        let comma = if id == first { "" } else { "," };
        write!(text, "{comma}{{\"id\":{id},\"amount\":\"{id}.25\",\"name\":\"Bill {id}\",\"note\":{note}}}")
            .expect("text");
    }
    text.push(']');
    ([("content-type", "application/json")], text).into_response()
}

fn digits(id: u64) -> String {
    let digits: String = (0..14_u64).map(|part| hex::encode(Sha256::digest((id * 14 + part).to_le_bytes()))).collect();
    format!("\"{digits}\"")
}

/// Twenty fields, each in an object of its own, as Acumatica's are.
fn fields(id: u64) -> String {
    let guid = hex::encode(Sha256::digest(id.to_le_bytes()));
    let mut text = format!("{{\"rowID\":\"{}\"", guid.get(..32).expect("a digest"));
    for field in 0..20_u64 {
        let amount = (id + 1) * (field + 3) * 7_919 % 9_000_000;
        write!(text, ",\"UserDefinedField{field}\":{{\"value\":{}.{:02}}}", amount / 100, amount % 100).expect("text");
    }
    text.push('}');
    text
}
