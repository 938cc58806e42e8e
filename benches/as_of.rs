//! What it costs to read the past: the newest day, a day whose state was kept, days between, by SQL over the engine.
//!
//! `cargo bench --bench as_of -- [ROWS] [DAYS]` (default 200,000 rows, 30 days) commits a table of which 0.6 % change each day,
//! copies the warehouse with the states of all days but the first, one in the middle and the last taken out of the chain, as
//! retention does, and reads both.

#![expect(clippy::print_stdout, clippy::indexing_slicing, reason = "a bench prints, and stops where it is wrong")]

mod rows;

use std::env;
use std::path::Path;
use std::time::{Duration, Instant};

use rows::{Table, input, warehouse_in};
use sha2::{Digest, Sha256};
use tieout::clock::{Clock, SharedClock};
use tieout::definitions::Definitions;
use tieout::engine::{Engine, EngineSettings, SessionRequest};
use tieout::warehouse::commit::CommitKind;
use tieout::warehouse::{CommitHeader, Warehouse};

const QUERIES: [(&str, &str); 3] = [
    ("sum of one column", "select count(*), sum(amount) from procore.invoices"),
    ("one row by key", "select * from procore.invoices where _key = '562949950000123'"),
    ("records", "select max(length(_raw)) from procore.invoices"),
];
const TRIES: usize = 5;

#[tokio::main]
async fn main() {
    let mut numbers = env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (rows, days) = (numbers.next().unwrap_or(200_000), numbers.next().unwrap_or(30));
    let folder = tempfile::tempdir().expect("a folder");
    let (all, some) = (folder.path().join("all"), folder.path().join("some"));
    live(&all, rows, days).await;
    let middle = days / 2;
    copy(&all, &some, &|day| day == 1 || day == middle || day == days);
    let cases = [
        ("newest day", days),
        ("state day", middle),
        ("a week after", (middle + 7).min(days - 1)),
        ("last between", days - 1),
    ];
    let warehouse = Warehouse::open(some.to_str().expect("a path of text")).await.expect("a warehouse");
    let engine = Engine::open(warehouse, Definitions::shipped(), EngineSettings::default()).await.expect("an engine");
    println!("{rows} rows, 0.6 % changed a day; microseconds: first, best of {TRIES}, and that against the newest day");
    for (title, sql) in QUERIES {
        let mut newest = 0;
        for (case, day) in cases {
            let (first, micros) = read(&engine, day, sql).await;
            newest = if day == days { micros } else { newest };
            let hundredths = micros * 100 / newest.max(1);
            println!("{title:>20} {case:>14} {first:>10} {micros:>10} {:>5}.{:02}", hundredths / 100, hundredths % 100);
        }
    }
}

async fn live(folder: &Path, rows: u64, days: u64) {
    let warehouse = warehouse_in(folder).await;
    let clock = SharedClock::new(chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("a moment"));
    let mut table = Table::new(rows);
    for day in 1..=days {
        if day > 1 {
            table.live(day, rows * 6 / 1_000);
        }
        clock.advance(Duration::from_hours(24));
        let header = CommitHeader {
            kind: CommitKind::Extract,
            clock: &Clock::Shared(clock.clone()),
            definitions: String::new(),
            runs: Vec::new(),
            observed_at: clock.now(),
        };
        let mut prepared = warehouse.prepare(header).await.expect("a commit begun");
        prepared.add_rows(input(), table.batches()).await.expect("a table added");
        warehouse.publish(prepared).await.expect("a commit published");
    }
}

/// Copies a warehouse, leaving states out of the manifests of days for which `keeps` does not hold.
fn copy(from: &Path, to: &Path, keeps: &dyn Fn(u64) -> bool) {
    std::fs::create_dir_all(to).expect("a folder");
    let mut entries: Vec<_> =
        std::fs::read_dir(from).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    entries.sort();
    let mut parent = String::new();
    for path in entries {
        let target = to.join(path.file_name().expect("a name"));
        let day = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        match day.filter(|_| path.extension().is_some_and(|kind| kind == "json")) {
            _ if path.is_dir() => copy(&path, &target, keeps),
            None => drop(std::fs::copy(&path, &target).expect("a copy")),
            Some(day) => {
                let mut manifest: serde_json::Value =
                    serde_json::from_slice(&std::fs::read(&path).expect("a manifest")).expect("a manifest");
                manifest["parent"] = parent.into();
                if let (false, Some(tables)) = (keeps(day), manifest["tables"].as_array_mut()) {
                    tables
                        .iter_mut()
                        .filter_map(|table| table.as_object_mut())
                        .for_each(|table| drop(table.remove("state")));
                }
                let bytes = manifest.to_string().into_bytes();
                parent = hex::encode(Sha256::digest(&bytes));
                std::fs::write(target, bytes).expect("a manifest written");
            }
        }
    }
}

async fn read(engine: &Engine, day: u64, sql: &str) -> (u64, u64) {
    let request = SessionRequest { as_of: Some(format!("commit:{day}")), ..SessionRequest::default() };
    let session = engine.session(&request).await.expect("a session");
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let started = Instant::now();
        let found = session.sql(sql).await.expect("a plan").collect().await.expect("rows");
        assert_eq!(found.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);
        times.push(u64::try_from(started.elapsed().as_micros()).expect("a short time"));
    }
    (times[0], times.into_iter().min().unwrap_or_default())
}
