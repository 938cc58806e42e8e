//! How fast a warehouse verifies: bytes hashed a second, rows proven a second, peak memory.
//!
//! `cargo bench --bench verify -- [ROWS] [DAYS]` (default 400,000 rows, 12 days) commits tables of a quarter of ROWS rows and of
//! all of them, of which 0.6 % change each day, all states kept, and verifies both: files alone by one worker and by one per
//! core, then deep. The files are in the system's cache, so that the figures are those of the processor, not of the disk. Each
//! verification runs in a process of its own, so that its peak memory is its own.

#![expect(clippy::print_stdout, clippy::indexing_slicing, reason = "a bench prints, and stops where it is wrong")]

mod rows;

use std::env;
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rows::{Table, input, warehouse_in};
use tieout::clock::{Clock, SharedClock};
use tieout::warehouse::commit::CommitKind;
use tieout::warehouse::{CommitHeader, Verification, VerifyOptions, Warehouse};

const DAY: Duration = Duration::from_hours(24);
const TRIES: usize = 3;
const FOLDER: &str = "TIEOUT_BENCH_FOLDER";
const CASE: &str = "TIEOUT_BENCH_CASE";

/// Title, deep, one worker.
const CASES: [(&str, bool, bool); 3] =
    [("files, one worker", false, true), ("files, all cores", false, false), ("deep, all cores", true, false)];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Ok(folder) = env::var(FOLDER) {
        let case = env::var(CASE).expect("a case").parse::<usize>().expect("a number");
        runtime.block_on(measure(&folder, case));
        return;
    }
    let mut numbers = env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (rows, days) = (numbers.next().unwrap_or(400_000), numbers.next().unwrap_or(12));
    println!("{days} days, 0.6 % changed a day; best of {TRIES}");
    println!("{:>10} {:>18} {:>8} {:>8} {:>8} {:>10} {:>8}", "rows", "", "ms", "MB", "GB/s", "rows/s", "peak MB");
    for rows in [rows / 4, rows] {
        let folder = tempfile::tempdir().expect("a folder");
        runtime.block_on(async { live(&warehouse_in(folder.path()).await, rows, days).await });
        for case in 0..CASES.len() {
            print!("{rows:>10} ");
            std::io::stdout().flush().expect("an open stdout");
            let mut child = Command::new(env::current_exe().expect("this program"));
            let status = child.env(FOLDER, folder.path()).env(CASE, case.to_string()).status().expect("a process");
            assert!(status.success());
        }
    }
}

async fn measure(folder: &str, case: usize) {
    let (title, deep, is_alone) = CASES[case];
    let mut options = VerifyOptions::new(deep);
    if is_alone {
        options.workers = 1;
    }
    let warehouse = Warehouse::open(folder).await.expect("a warehouse");
    let (best, found) = best(&warehouse, &options).await;
    let micros = best.as_micros().max(1);
    let (megabytes, rate) = (found.bytes / 1_000_000, u128::from(found.bytes) / micros);
    let rate = format!("{}.{:02}", rate / 1000, rate % 1000 / 10);
    let rows = u128::from(found.compared_rows) * 1_000_000 / micros;
    println!("{title:>18} {:>8} {megabytes:>8} {rate:>8} {rows:>10} {:>8}", micros / 1000, peak_megabytes());
}

async fn live(warehouse: &Warehouse, rows: u64, days: u64) {
    let shared = SharedClock::new(chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("a moment"));
    let mut table = Table::new(rows);
    for day in 0..days {
        let clock = Clock::Shared(shared.clone());
        let header = CommitHeader {
            kind: CommitKind::Extract,
            clock: &clock,
            definitions: String::new(),
            runs: Vec::new(),
            observed_at: clock.now(),
        };
        let mut prepared = warehouse.prepare(header).await.expect("a commit");
        prepared.add_rows(input(), table.batches()).await.expect("a table");
        warehouse.publish(prepared).await.expect("a head");
        table.live(day, rows * 6 / 1000);
        shared.advance(DAY);
    }
}

async fn best(warehouse: &Warehouse, options: &VerifyOptions) -> (Duration, Verification) {
    let mut best: Option<(Duration, Verification)> = None;
    for _ in 0..TRIES {
        let started = Instant::now();
        let found = warehouse.verify(options).await.expect("a verification");
        assert!(found.findings.is_empty(), "{:?}", found.findings);
        let took = started.elapsed();
        if best.as_ref().is_none_or(|(best, _)| took < *best) {
            best = Some((took, found));
        }
    }
    best.expect("a try")
}

/// The most memory that this process ever held; 0 where the system does not tell.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
    peak.and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok()).unwrap_or_default() / 1024
}
