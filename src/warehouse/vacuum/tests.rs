//! Random histories with vacuums at random points, and what may be removed when.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
use chrono::TimeDelta;
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{Vacuum, VacuumOptions};
use crate::clock::{Clock, SharedClock};
use crate::warehouse::commit::{CommitKind, Head, SourceRun};
use crate::warehouse::retention::Retention;
use crate::warehouse::rows::TableInput;
use crate::warehouse::store::digest;
use crate::warehouse::testing::{Plain, at, batch, bills, input, plain, seeds};
use crate::warehouse::tests::empty;
use crate::warehouse::{AsOf, CommitHeader, Error, NewPin, VerifyOptions, Warehouse, chain};

type Rows = Vec<(String, String, i128, i64)>;

fn options(days: u32, safety: TimeDelta) -> VacuumOptions {
    VacuumOptions { retention: Retention { days, ..Retention::new(Tz::UTC) }, safety, dry_run: false }
}

/// One thing that happens to a warehouse.
#[derive(Clone, Debug)]
enum Step {
    /// A full read after so many hours: rows as (key, content), and what the manifest adds to each amount; whether superseded
    /// states are dropped with it.
    Run { hours: u8, rows: BTreeMap<u8, u8>, adds: u8, drops: bool },
    /// States older than so many days are dropped.
    Vacuum { days: u8 },
    /// The commit at that share of the chain gets a name.
    Pin { place: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let run = (any::<u8>(), proptest::collection::btree_map(0_u8..12, 0_u8..3, 0..12), 0_u8..12, any::<bool>());
    // The manifest rarely changes.
    let run = run.prop_map(|(hours, rows, adds, drops)| Step::Run { hours, rows, adds: adds / 10, drops });
    let step = prop_oneof![
        6 => run,
        2 => (0_u8..40).prop_map(|days| Step::Vacuum { days }),
        1 => any::<u8>().prop_map(|place| Step::Pin { place }),
    ];
    proptest::collection::vec(step, 1..24)
}

/// A full read whose records hash by content, and whose amounts are what the manifest makes of it.
fn read(rows: &BTreeMap<u8, u8>, adds: u8) -> TableInput {
    let keys: Vec<String> = rows.keys().map(ToString::to_string).collect();
    let plain: Vec<Plain<'_>> =
        keys.iter().zip(rows.values()).map(|(key, content)| (key.as_str(), "", i128::from(*content))).collect();
    let rows = batch(&plain);
    let mut arrays = rows.columns().to_vec();
    let amounts: Decimal128Array = plain.iter().map(|row| Some(row.2 + i128::from(adds))).collect();
    arrays[2] = Arc::new(amounts.with_precision_and_scale(18, 2).unwrap()) as ArrayRef;
    let hashes: Vec<String> = plain.iter().map(|row| digest(row.2.to_string().as_bytes())).collect();
    arrays[4] = Arc::new(StringArray::from(hashes)) as ArrayRef;
    let batches = vec![RecordBatch::try_new(rows.schema(), arrays).unwrap()];
    TableInput { batches, accept_deletes: true, ..input(&[], &[""]) }
}

/// A warehouse, what each of its commits must read, and heads that readers took on the way.
struct Life {
    warehouse: Warehouse,
    clock: SharedClock,
    /// Content, amount and commit by key.
    model: BTreeMap<String, (u8, i128, i64)>,
    expected: Vec<Rows>,
    heads: Vec<Arc<Head>>,
}

impl Life {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Run { hours, rows, adds, drops } => {
                self.clock.advance(Duration::from_hours(u64::from(*hours)));
                self.run(rows, *adds, *drops).await;
            }
            Step::Vacuum { days } => {
                let options = options(u32::from(*days), TimeDelta::zero());
                self.warehouse.vacuum(&options, &Clock::Shared(self.clock.clone())).await.unwrap();
            }
            Step::Pin { place } if !self.expected.is_empty() => {
                let number = 1 + u64::from(*place) % self.expected.len() as u64;
                let name = format!("pin{}", self.expected.len());
                let new = NewPin { name: name.clone(), as_of: AsOf::Commit(number), period_end: None };
                let clock = Clock::Shared(self.clock.clone());
                self.warehouse.pin(&new, &clock).await.unwrap();
            }
            Step::Pin { .. } => {}
        }
        let head = self.warehouse.head().await.unwrap();
        // Commits without rows of their own read as the one before.
        let rows: Rows = self.model.iter().map(|(key, row)| (key.clone(), String::new(), row.1, row.2)).collect();
        self.expected.resize(head.commits.len(), rows);
        self.heads.push(head);
    }

    async fn run(&mut self, rows: &BTreeMap<u8, u8>, adds: u8, drops: bool) {
        let clock = Clock::Shared(self.clock.clone());
        let now = clock.now();
        let run = SourceRun {
            source: "procore".to_owned(),
            system: "procore".to_owned(),
            started_at: now,
            finished_at: now,
            observed_at: now,
            requests: 1,
            retries: 0,
            waited_seconds: 0,
            incomplete_tables: Vec::new(),
            unread_tables: None,
            hash_key_mark: None,
        };
        let header = CommitHeader {
            kind: CommitKind::Extract,
            clock: &clock,
            definitions: String::new(),
            runs: vec![run],
            observed_at: now,
        };
        let mut prepared = self.warehouse.prepare(header).await.unwrap();
        prepared.add(read(rows, adds)).await.unwrap();
        if drops {
            prepared.drop_superseded(&Retention::new(Tz::UTC));
        }
        let number = i64::try_from(prepared.number()).unwrap();
        self.warehouse.publish(prepared).await.unwrap();
        if drops {
            self.warehouse.remove_dropped(TimeDelta::zero()).await.unwrap();
        }
        let before = std::mem::take(&mut self.model);
        for (key, content) in rows {
            let key = key.to_string();
            let commit = before.get(&key).filter(|row| row.0 == *content).map_or(number, |row| row.2);
            self.model.insert(key, (*content, i128::from(*content) + i128::from(adds), commit));
        }
    }
}

async fn live(steps: &[Step]) -> Result<(), TestCaseError> {
    let (folder, warehouse) = empty().await;
    let (clock, model) = (SharedClock::new(at(0)), BTreeMap::new());
    let mut life = Life { warehouse, clock, model, expected: Vec::new(), heads: Vec::new() };
    for step in steps {
        life.step(step).await;
    }
    let fresh = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap();
    for (rows, number) in life.expected.iter().zip(1..) {
        prop_assert_eq!(&bills(&fresh, number).await, rows, "as of commit {}", number);
        // Whoever took a head before the vacuum still reads from it.
        for head in life.heads.iter().filter(|head| head.number() >= number) {
            let read = fresh.read_state(head, number, "procore", "bills").await.unwrap();
            prop_assert_eq!(&plain(&read), rows, "as of commit {} by head {}", number, head.number());
        }
    }
    let head = fresh.head().await.unwrap();
    for (_, pin) in head.pins(head.number()) {
        let snapshot = head.snapshot(pin.commit, "procore", "bills").unwrap_or_default();
        prop_assert!(snapshot.changes.is_empty(), "a pin is read from its state: {:?}", snapshot);
    }
    let verification = fresh.verify(&VerifyOptions::new(true)).await.unwrap();
    prop_assert_eq!(&verification.findings, &vec![], "{:?}", head.commits);
    // Whatever was dropped is gone from the disk as well once its time is over.
    fresh.vacuum(&options(u32::MAX, TimeDelta::zero()), &Clock::Shared(life.clock)).await.unwrap();
    let head = fresh.head().await.unwrap();
    let standing = |commit: &Arc<crate::warehouse::commit::Commit>| -> usize {
        commit.tables.iter().map(|table| head.state(commit.number, table).len()).sum()
    };
    prop_assert_eq!(parquet_files(folder.path(), "state"), head.commits.iter().map(standing).sum::<usize>());
    Ok(())
}

fn parquet_files(folder: &Path, what: &str) -> usize {
    std::fs::read_dir(folder.join("data/procore/bills").join(what)).map_or(0, Iterator::count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(seeds(16)))]

    #[test]
    fn every_commit_reads_the_same_whatever_was_vacuumed(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(&steps))?;
    }
}

/// Daily commits of one changing row, from the first of January 1970 plus so many days.
async fn daily(warehouse: &Warehouse, days: u8) -> SharedClock {
    let clock = SharedClock::new(at(0));
    let mut life = Life {
        warehouse: warehouse.clone(),
        clock: clock.clone(),
        model: BTreeMap::new(),
        expected: Vec::new(),
        heads: Vec::new(),
    };
    for day in 0..days {
        life.run(&BTreeMap::from([(1, day), (2, 0)]), 0, false).await;
        clock.advance(Duration::from_hours(24));
    }
    clock
}

fn age(folder: &Path, path: &str, hours: u64) {
    let file = std::fs::File::options().write(true).open(folder.join(path)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(hours)).unwrap();
}

fn paths(removals: &[super::Removal]) -> Vec<(&str, &'static str)> {
    removals.iter().map(|removal| (removal.path.as_str(), removal.reason)).collect()
}

#[tokio::test]
async fn the_last_week_and_months_stay_and_a_dry_run_touches_nothing() {
    let (folder, warehouse) = empty().await;
    // From the 14th of November 2023 on: the month's commit is the one of the first of December, the 18th.
    let clock = Clock::Shared(daily(&warehouse, 40).await);
    let before = parquet_files(folder.path(), "state");
    let dry = VacuumOptions { dry_run: true, ..options(7, TimeDelta::hours(24)) };
    let told = warehouse.vacuum(&dry, &clock).await.unwrap();
    assert_eq!((told.commit, warehouse.head().await.unwrap().number()), (None, 40));
    assert_eq!((before, parquet_files(folder.path(), "state")), (40, 40));
    let done = warehouse.vacuum(&options(7, TimeDelta::hours(24)), &clock).await.unwrap();
    assert_eq!((done.commit, paths(&done.dropped)), (Some(41), paths(&told.dropped)));
    assert_eq!((done.removed.len(), done.waiting.len()), (0, 0));
    let head = warehouse.head().await.unwrap();
    let kept = head.commits.iter().filter(|commit| !commit.tables.is_empty());
    let kept = kept.filter(|commit| !head.state(commit.number, &commit.tables[0]).is_empty());
    let kept: Vec<u64> = kept.map(|commit| commit.number).collect();
    assert_eq!(kept, [18, 33, 34, 35, 36, 37, 38, 39, 40], "{:?}", head.months(40, Tz::UTC));
    // A day later the files go, and a second time there is nothing to do.
    let again = warehouse.vacuum(&options(7, TimeDelta::hours(24)), &clock).await.unwrap();
    assert_eq!((again.commit, again.removed.len(), again.waiting.len()), (None, 0, 31));
    age(folder.path(), &chain::path(41), 25);
    assert_eq!(warehouse.remove_dropped(TimeDelta::hours(24)).await.unwrap(), 31);
    assert_eq!(warehouse.remove_dropped(TimeDelta::hours(24)).await.unwrap(), 0);
    assert_eq!((parquet_files(folder.path(), "state"), parquet_files(folder.path(), "changes")), (9, 40));
    let Vacuum { commit, dropped, removed, waiting } =
        warehouse.vacuum(&options(7, TimeDelta::hours(24)), &clock).await.unwrap();
    assert_eq!((commit, dropped, removed, waiting), (None, vec![], vec![], vec![]));
}

#[tokio::test]
async fn files_of_nobody_go_when_they_are_old() {
    let (folder, warehouse) = empty().await;
    let clock = Clock::Shared(daily(&warehouse, 2).await);
    let below = "data/procore/bills/changes";
    let old = format!("{below}/{:020}-00000001.parquet", 3);
    let young = format!("{below}/{:020}-00000002.parquet", 3);
    let part = format!("{below}/{:020}-00000003.parquet#1", 3);
    let stranger = format!("{below}/notes.txt");
    for path in [&old, &young, &part, &stranger] {
        std::fs::write(folder.path().join(path), "x").unwrap();
    }
    for path in [&old, &part, &stranger] {
        age(folder.path(), path, 25);
    }
    let done = warehouse.vacuum(&options(7, TimeDelta::hours(24)), &clock).await.unwrap();
    assert_eq!(paths(&done.removed), [(old.as_str(), "orphan"), (part.as_str(), "leftover")]);
    assert_eq!(paths(&done.waiting), [(young.as_str(), "orphan")]);
    let is_there = |path: &String| folder.path().join(path).exists();
    assert_eq!([&old, &young, &part, &stranger].map(is_there), [false, true, false, true]);
}

#[tokio::test]
async fn nothing_goes_from_a_warehouse_that_was_longer_once_or_does_not_verify() {
    let (folder, warehouse) = empty().await;
    let clock = Clock::Shared(daily(&warehouse, 4).await);
    let last = std::fs::read(folder.path().join(chain::path(4))).unwrap();
    for number in [3, 4] {
        std::fs::remove_file(folder.path().join(chain::path(number))).unwrap();
    }
    let refused = async || {
        let fresh = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap();
        let error = fresh.vacuum(&options(7, TimeDelta::zero()), &clock).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        error.to_string()
    };
    assert!(refused().await.contains("the chain ends with commit 2"));
    std::fs::write(folder.path().join(chain::path(4)), last).unwrap();
    refused().await;
    assert_eq!((parquet_files(folder.path(), "state"), parquet_files(folder.path(), "changes")), (4, 4));
}
