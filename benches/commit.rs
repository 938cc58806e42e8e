//! What a commit costs: rows a second, peak memory, bytes written, by the size of the table.
//!
//! `cargo bench --bench commit -- [ROWS] [SORT_MB]` (default 1,500,000 rows, and the shipped limit on what is sorted in
//! memory) commits a table of a quarter, a half and all of ROWS rows, then a full read of it in which 1 % changed, then one in
//! which nothing did. Each size runs in a process of its own, so that its peak memory is its own: flat if the last is no larger
//! than the first.

#![expect(clippy::print_stdout, clippy::indexing_slicing, reason = "a bench prints, and stops where it is wrong")]

mod rows;

use std::env;
use std::process::Command;
use std::time::Instant;

use rows::{Table, input, warehouse_in};
use tieout::clock::Clock;
use tieout::warehouse::commit::{CommitKind, TableCommit};
use tieout::warehouse::{CommitHeader, Limits, Warehouse};

const CHILD: &str = "TIEOUT_BENCH_ROWS";
const SORT: &str = "TIEOUT_BENCH_SORT_MB";

fn main() {
    if let Ok(rows) = env::var(CHILD) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(measure(rows.parse().expect("a number of rows")));
        return;
    }
    let mut numbers = env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let rows = numbers.next().unwrap_or(1_500_000);
    let shipped = u64::try_from(Limits::default().sort_bytes >> 20).unwrap_or(u64::MAX);
    let sort_megabytes = numbers.next().unwrap_or(shipped).to_string();
    println!(
        "{:>10} {:>12} {:>12} {:>10} {:>14} {:>14}",
        "rows", "run", "rows/s", "peak MB", "changes bytes", "state bytes"
    );
    for share in [4, 2, 1] {
        let program = env::current_exe().expect("this program");
        let status = Command::new(program)
            .env(CHILD, (rows / share).to_string())
            .env(SORT, &sort_megabytes)
            .status()
            .expect("a process");
        assert!(status.success());
    }
}

async fn measure(rows: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let megabytes: usize = env::var(SORT).expect("a limit").parse().expect("a number of megabytes");
    let limits = Limits { sort_bytes: megabytes << 20, ..Limits::default() };
    let warehouse = warehouse_in(folder.path()).await.with_limits(limits);
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

/// The most memory that this process ever held; 0 where the system does not tell.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    peak.unwrap_or_default() / 1024
}
