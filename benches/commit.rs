//! What a commit costs: rows a second, peak memory, bytes written, by the size of the table.
//!
//! `cargo bench --bench commit -- [ROWS]` (default 1,500,000) commits a table of a quarter, a half and all of ROWS rows, then a
//! full read of it in which 1 % changed, then one in which nothing did. Each size runs in a process of its own, so that its
//! peak memory is its own: flat if the last is no larger than the first.

mod rows;

use std::env;
use std::process::Command;
use std::time::Instant;

use rows::{Table, input, peak_megabytes, warehouse_in};
use tieout::clock::Clock;
use tieout::warehouse::commit::{CommitKind, TableCommit};
use tieout::warehouse::{CommitHeader, Warehouse};

const CHILD: &str = "TIEOUT_BENCH_ROWS";

fn main() {
    if let Ok(rows) = env::var(CHILD) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(measure(rows.parse().expect("a number of rows")));
        return;
    }
    let rows: u64 = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_500_000);
    println!(
        "{:>10} {:>12} {:>12} {:>10} {:>14} {:>14}",
        "rows", "run", "rows/s", "peak MB", "changes bytes", "state bytes"
    );
    for share in [4, 2, 1] {
        let program = env::current_exe().expect("this program");
        let status = Command::new(program).env(CHILD, (rows / share).to_string()).status().expect("a process");
        assert!(status.success());
    }
}

async fn measure(rows: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let warehouse = warehouse_in(folder.path()).await;
    let mut table = Table::new(rows);
    for run in ["first", "1 % changed", "unchanged"] {
        if run == "1 % changed" {
            table.live(1, rows / 100);
        }
        let started = Instant::now();
        let found = commit(&warehouse, &table).await;
        let micros = u64::try_from(started.elapsed().as_micros()).expect("a short time").max(1);
        let bytes = |files: &[tieout::warehouse::commit::DataFile]| files.iter().map(|file| file.bytes).sum::<u64>();
        println!(
            "{rows:>10} {run:>12} {:>12} {:>10} {:>14} {:>14}",
            rows * 1_000_000 / micros,
            peak_megabytes(),
            bytes(&found.changes),
            bytes(&found.state)
        );
    }
}

async fn commit(warehouse: &Warehouse, table: &Table) -> TableCommit {
    let header = CommitHeader {
        kind: CommitKind::Extract,
        clock: &Clock::Machine,
        definitions: String::new(),
        runs: Vec::new(),
        observed_at: chrono::Utc::now(),
    };
    let mut prepared = warehouse.prepare(header).await.expect("a commit begun");
    let found = prepared.add_rows(input(), table.batches()).await.expect("a table added");
    warehouse.publish(prepared).await.expect("a commit published");
    found
}
