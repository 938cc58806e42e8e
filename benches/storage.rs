//! What a year of daily snapshots takes on the disk, against daily full copies.
//!
//! `cargo bench --bench storage -- [ROWS] [DAYS]` (default 100,000 rows, 365 days) lives a table of which 0.6 % change each
//! day, commits every day, and adds up: every day's full copy, the changes alone, those after the first day (which brings every
//! row), the changes with the last state of each thirty days. Also what the ratios would be at most, if a changed row took no
//! more bytes than a row of a full copy.

#![expect(clippy::print_stdout, clippy::indexing_slicing, reason = "a bench prints, and stops where it is wrong")]

mod rows;

use std::env;
use std::time::{Duration, Instant};

use rows::{Table, input, warehouse_in};
use tieout::clock::{Clock, SharedClock};
use tieout::warehouse::CommitHeader;
use tieout::warehouse::commit::{CommitKind, DataFile};

const DAYS_OF_A_MONTH: u64 = 30;

#[tokio::main]
async fn main() {
    let mut numbers = env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (rows, days) = (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(365));
    let folder = tempfile::tempdir().expect("a folder");
    let warehouse = warehouse_in(folder.path()).await;
    let clock = SharedClock::new(chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("a moment"));
    let mut table = Table::new(rows);
    let (mut copies, mut changes, mut months, mut last, mut manifests) = (0, 0, 0, 0, 0);
    let mut first = 0;
    let (mut changed_rows, mut copied_rows, mut month_rows) = (0, 0, 0);
    let started = Instant::now();
    for day in 1..=days {
        if day > 1 {
            table.live(day, rows * 6 / 1_000);
            clock.advance(Duration::from_hours(24));
        }
        let header = CommitHeader {
            kind: CommitKind::Extract,
            clock: &Clock::Shared(clock.clone()),
            definitions: String::new(),
            runs: Vec::new(),
            observed_at: clock.now(),
        };
        let mut prepared = warehouse.prepare(header).await.expect("a commit begun");
        let found = prepared.add_rows(input(), table.batches()).await.expect("a table added");
        warehouse.publish(prepared).await.expect("a commit published");
        let bytes = |files: &[DataFile]| files.iter().map(|file| file.bytes).sum::<u64>();
        changes += bytes(&found.changes);
        last = if found.state.is_empty() { last } else { bytes(&found.state) };
        first = if day == 1 { changes } else { first };
        copies += last;
        changed_rows += found.inserted + found.updated + found.deleted;
        copied_rows += found.rows;
        month_rows += if day % DAYS_OF_A_MONTH == 0 { found.rows } else { 0 };
        months += if day % DAYS_OF_A_MONTH == 0 { last } else { 0 };
        manifests += serde_json::to_vec(&found).map_or(0, |text| text.len() as u64);
        // As the retention of states would have it: the disk of this machine is not the subject.
        for file in &found.state {
            if day < days && day % DAYS_OF_A_MONTH != 0 {
                drop_state_before(folder.path(), &file.path);
            }
        }
    }
    let ratio = |bytes: u64| format!("{}.{}", copies / bytes, copies % bytes * 10 / bytes);
    println!("{rows} rows, {days} days, 0.6 % changed a day, {} s", started.elapsed().as_secs());
    println!("daily full copies          {copies:>15} bytes");
    println!("changes alone              {changes:>15} bytes, {} times smaller", ratio(changes));
    let later = changes - first;
    println!("of them after the first day {later:>14} bytes, {} times smaller", ratio(later));
    println!("changes and month states   {:>15} bytes, {} times smaller", changes + months, ratio(changes + months));
    let most = |rows: u64| format!("{}.{}", copied_rows / rows, copied_rows % rows * 10 / rows);
    println!(
        "row for row there are {} times fewer changes, {} times fewer changes and rows of month states",
        most(changed_rows),
        most(changed_rows + month_rows)
    );
    println!("what manifests say of them {manifests:>15} bytes");
}

/// Removes the states before the one at `path`, except those of months.
fn drop_state_before(folder: &std::path::Path, path: &str) {
    let kept = folder.join(path);
    let number =
        |path: &std::path::Path| -> Option<u64> { path.file_name()?.to_str()?.split('-').next()?.parse().ok() };
    let (Some(folder), Some(newest)) = (kept.parent(), number(&kept)) else { return };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let old = number(&entry.path()).filter(|number| *number < newest && number % DAYS_OF_A_MONTH != 0);
        if old.is_some() {
            std::fs::remove_file(entry.path()).expect("a file removed");
        }
    }
}
