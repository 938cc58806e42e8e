//! Processes that are killed while they commit, and processes that want the same source.
//!
//! After each kill: the old commit or the new one, never between; the next process goes on. A few rounds always, more with
//! `TIEOUT_CRASH_SEEDS`.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, Utc};
use tieout::clock::{Clock, SharedClock};
use tieout::simulator::{RateLimits, Simulator, SimulatorOptions};
use tieout::warehouse::commit::CommitKind;
use tieout::warehouse::rows::{ColumnType, Coverage, CoverageStatus, ReadMode, TableInput, input_schema};
use tieout::warehouse::{CommitHeader, Error, Limits, Warehouse};

const FOLDER: &str = "TIEOUT_CRASH_FOLDER";
const KEYS: usize = 400;
const TABLES: [&str; 2] = ["bills", "payments"];

fn moment() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// A full read in which every row carries the same number.
fn input(source: &str, table: &str, number: i64) -> TableInput {
    let columns = vec![("number".to_owned(), ColumnType::Int64)];
    let text = |value: fn(usize) -> String| -> ArrayRef {
        Arc::new((0..KEYS).map(|it| Some(value(it))).collect::<StringArray>())
    };
    let same = |value: String| -> ArrayRef { Arc::new(StringArray::from(vec![value; KEYS])) };
    let moments = TimestampMicrosecondArray::from(vec![moment().timestamp_micros(); KEYS]);
    let arrays = vec![
        text(|key| format!("{key:05}")),
        same(String::new()),
        Arc::new(Int64Array::from(vec![number; KEYS])) as ArrayRef,
        same(format!("{{\"number\":{number}}}")),
        same(format!("{number:064}")),
        Arc::new(moments.with_timezone("+00:00")),
    ];
    let coverage = Coverage {
        scope: String::new(),
        project: None,
        status: CoverageStatus::Ok,
        rows: KEYS as u64,
        expected_rows: None,
        observed_at: moment(),
        error: None,
    };
    TableInput {
        source: source.to_owned(),
        table: table.to_owned(),
        above: Vec::new(),
        spooled: None,
        batches: vec![RecordBatch::try_new(input_schema(&columns), arrays).unwrap()],
        columns,
        mode: ReadMode::Full,
        coverage: vec![coverage],
        rejects: Vec::new(),
        drift: Vec::new(),
        cursor: None,
        accept_deletes: false,
        owners: BTreeSet::new(),
    }
}

/// Commits `number` into every table of a source; tells each step.
async fn commit(warehouse: &Warehouse, source: &str, number: i64, tell: impl Fn(&str)) -> Result<u64, Error> {
    let header = CommitHeader {
        kind: CommitKind::Extract,
        clock: &Clock::Machine,
        definitions: warehouse.put_definitions("{}").await?,
        runs: Vec::new(),
        observed_at: moment(),
    };
    tell("begun");
    let mut prepared = warehouse.prepare(header).await?;
    for table in TABLES {
        tell(table);
        prepared.add(input(source, table, number)).await?;
    }
    tell("prepared");
    let head = warehouse.publish(prepared).await?;
    Ok(head.number())
}

async fn open(folder: &Path) -> Warehouse {
    let limits = Limits { sort_bytes: 0, file_rows: 150, ..Limits::default() };
    Warehouse::open_or_create(folder.to_str().unwrap()).await.unwrap().with_limits(limits)
}

/// The number that every row of a table carries; 0 without rows.
async fn number_in(warehouse: &Warehouse, commit: u64, source: &str, table: &str) -> i64 {
    let head = warehouse.head().await.unwrap();
    let batches = warehouse.read_state(&head, commit, source, table).await.unwrap();
    let numbers: Vec<i64> = batches
        .iter()
        .flat_map(|batch| batch.column_by_name("number").unwrap().as_primitive::<Int64Type>().values().to_vec())
        .collect();
    let Some(first) = numbers.first() else { return 0 };
    assert_eq!(numbers.len(), KEYS, "{source}.{table} as of commit {commit}");
    assert!(numbers.iter().all(|number| number == first), "{source}.{table} as of commit {commit} is of two runs");
    *first
}

/// Not a test of its own: what the tests below start as a process, and end.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let source = env::var("TIEOUT_CRASH_SOURCE").unwrap();
    let runs: i64 = env::var("TIEOUT_CRASH_RUNS").unwrap().parse().unwrap();
    let warehouse = open(Path::new(&folder)).await;
    let tell = |step: &str| {
        let mut out = std::io::stdout().lock();
        // Whoever listened may be gone.
        let _ = writeln!(out, "step {step}").and_then(|()| out.flush());
    };
    let mut left = runs;
    while left > 0 {
        let next = number_in(&warehouse, u64::MAX, &source, TABLES[0]).await + 1;
        match commit(&warehouse, &source, next, tell).await {
            Ok(number) => {
                tell(&format!("published {number}"));
                left -= 1;
            }
            Err(Error::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn writer(folder: &Path, source: &str, runs: usize) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "crash::writes_until_it_is_killed", "--nocapture"]);
    command.env(FOLDER, folder).env("TIEOUT_CRASH_SOURCE", source).env("TIEOUT_CRASH_RUNS", runs.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Kills a writer after its n-th step; the newest commit that it confirmed, 0 if none.
fn kill_after(folder: &Path, steps: usize) -> u64 {
    let mut child = writer(folder, "procore", 1_000_000).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut confirmed = 0;
    let mut read = |line: String| {
        if let Some(number) = line.rsplit_once("published ") {
            confirmed = number.1.parse().unwrap();
        }
    };
    lines.by_ref().filter(|line| line.contains("step ")).take(steps).for_each(&mut read);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had confirmed before it died counts too.
    lines.filter(|line| line.contains("published ")).for_each(&mut read);
    confirmed
}

#[tokio::test]
async fn a_process_killed_at_any_step_leaves_the_old_commit_or_the_new() {
    let rounds = env::var("TIEOUT_CRASH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let folder = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..rounds {
        let confirmed = kill_after(folder.path(), 1 + round * 3 % 11);
        let warehouse = open(folder.path()).await;
        let newest = warehouse.head().await.unwrap().number();
        assert!(newest >= confirmed && newest >= before, "commit {confirmed} was confirmed, the newest is {newest}");
        for number in before + 1..=newest {
            let [bills, payments] = TABLES.map(|table| number_in(&warehouse, number, "procore", table));
            assert_eq!((bills.await, payments.await), (i64::try_from(number).unwrap(), i64::try_from(number).unwrap()));
        }
        // The next run works, and its number follows.
        let next = i64::try_from(newest + 1).unwrap();
        assert_eq!(commit(&warehouse, "procore", next, |_| {}).await.unwrap(), newest + 1);
        before = newest + 1;
    }
}

#[tokio::test]
async fn two_processes_commit_one_after_the_other_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await;
    let writers =
        ["procore", "acumatica"].map(|source| writer(folder.path(), source, 5).stdout(Stdio::null()).spawn().unwrap());
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    let warehouse = open(folder.path()).await;
    assert_eq!(warehouse.head().await.unwrap().number(), 10);
    for source in ["procore", "acumatica"] {
        // Each saw all its own runs, and no commit of the other took a row of it.
        let mut last = 0;
        for number in 1..=10 {
            let found = number_in(&warehouse, number, source, "bills").await;
            assert!(found == last || found == last + 1, "{source} as of commit {number}: {found} after {last}");
            last = found;
        }
        assert_eq!(last, 5);
    }
}

/// `tieout extract` on a workspace whose source answers nowhere: enough to meet a lock.
fn extract(workspace: &Path) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieout"));
    command.current_dir(workspace).args(["extract", "--no-progress"]).env("TEST_SECRET", "x").output().unwrap()
}

#[tokio::test]
async fn of_two_runs_of_one_source_the_second_says_so_and_ends_with_6() {
    let workspace = tempfile::tempdir().unwrap();
    let settings = "[firm]\nname = \"Test\"\n[sources.procore]\nkind = \"procore\"\n\
                    base_url = \"http://127.0.0.1:9\"\nlogin_url = \"http://127.0.0.1:9\"\ncompany_id = 1\n\
                    client_id = { env = \"TEST_SECRET\" }\nclient_secret = { env = \"TEST_SECRET\" }\n";
    std::fs::write(workspace.path().join("tieout.toml"), settings).unwrap();
    let warehouse = Warehouse::open_or_create(workspace.path().join("warehouse").to_str().unwrap()).await.unwrap();
    let lock = warehouse.lock_source("procore").await.unwrap();
    let refused = extract(workspace.path());
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(6), "{message}");
    assert!(message.contains("procore") && message.contains("hint:"), "{message}");
    drop(lock);
    assert_ne!(extract(workspace.path()).status.code(), Some(6));
    assert_eq!(warehouse.head().await.unwrap().number(), 0);
}

/// Whether a run is past reading its sources: the first of its files is there.
fn has_begun_to_prepare(warehouse: &Path, number: u64) -> bool {
    let tables = std::fs::read_dir(warehouse.join("data/procore")).into_iter().flatten().flatten();
    let files =
        tables.flat_map(|table| std::fs::read_dir(table.path().join("changes")).into_iter().flatten().flatten());
    let prefix = format!("{number:020}-");
    files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with(&prefix))
}

/// The commits whose checks ran, as `check_runs` has them as of a commit.
async fn evaluated(warehouse: &Warehouse, commit: u64) -> BTreeSet<i64> {
    let head = warehouse.head().await.unwrap();
    let batches = warehouse.read_state(&head, commit, "tieout", "check_runs").await.unwrap();
    let numbers = |batch: &RecordBatch| {
        batch.column_by_name("commit_number").unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    batches.iter().flat_map(numbers).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_overtaken_is_rebased_and_its_checks_run_again() {
    let clock = SharedClock::new("2026-03-01T00:00:00Z".parse().unwrap());
    let mut options = SimulatorOptions::new(1, clock);
    (options.firm.first_month, options.firm.months, options.firm.projects) = ((2026, 3), 1, 1);
    options.procore_limits = RateLimits { hour: u32::MAX, spike: u32::MAX, spike_seconds: 10 };
    options.acumatica_licence.requests_per_minute = None;
    let simulator = Simulator::start(options).await.unwrap();
    simulator.advance_to("2026-03-20T00:00:00Z".parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    super::truth::write_workspace(folder.path(), &simulator);
    let warehouse = open(&folder.path().join("warehouse")).await;
    // The run may win the race, though it has all its checks before it: then it is run once more.
    for attempt in 1..6 {
        let next = warehouse.head().await.unwrap().number() + 1;
        let mut run = Command::new(env!("CARGO_BIN_EXE_tieout"));
        run.current_dir(folder.path()).args(["extract", "--no-progress", "--now", "2026-03-20T00:00:00Z"]);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !has_begun_to_prepare(&folder.path().join("warehouse"), next) {
            assert_eq!(run.try_wait().unwrap(), None, "the run ended before it prepared anything");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ours = commit(&warehouse, "vista", attempt, |_| {}).await;
        assert!(matches!(run.wait().unwrap().code(), Some(0 | 5)));
        if let (Ok(ours), newest) = (ours, warehouse.head().await.unwrap().number())
            && ours == next
        {
            assert_eq!(newest, next + 1, "the run that was overtaken is not there");
            assert_eq!(number_in(&warehouse, newest, "vista", "bills").await, attempt);
            let evaluated = evaluated(&warehouse, newest).await;
            assert!(evaluated.contains(&i64::try_from(newest).unwrap()), "{evaluated:?}");
            assert!(!evaluated.contains(&i64::try_from(next).unwrap()), "checks of a commit that was not theirs");
            return;
        }
    }
    unreachable!("five runs in a row were faster than a commit of 800 rows");
}
