//! Stores that fail at the n-th call, before or after having done the work, for a moment or for good.
//!
//! After each of them: the old commit or the new one, never between; every hash holds; the next run works. A few seeds always,
//! more with `TIEOUT_CRASH_SEEDS`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult,
};
use rand::{Rng, SeedableRng};

use super::commit::Head;
use super::files::Limits;
use super::rows::{ReadMode, TableInput};
use super::store::digest;
use super::testing::{Plain, batch, input, plain, prepare_at, seeds};
use super::tests::empty;
use super::{AsOf, Error, NewPin, Retention, VacuumOptions, VerifyOptions, Warehouse};
use crate::clock::Clock;

/// How a store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The call does nothing.
    Before,
    /// The call does its work, and says that it failed.
    After,
    /// Half of the bytes arrive under another name, as an upload that was cut leaves them.
    Partial,
}

/// A store whose n-th call fails.
#[derive(Debug)]
struct Failing {
    inner: Arc<dyn ObjectStore>,
    /// Calls made so far.
    calls: AtomicU64,
    /// The call that fails, from 0.
    at: u64,
    failure: Failure,
    /// Whether all later calls fail too: the process died, or the line is down.
    for_good: bool,
}

type Answer<T> = object_store::Result<T>;

impl Failing {
    /// What becomes of this call; none if it works.
    fn next(&self) -> Option<Failure> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match call.cmp(&self.at) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(self.failure),
            std::cmp::Ordering::Greater => self.for_good.then_some(Failure::Before),
        }
    }
}

fn full<T>() -> Answer<T> {
    let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
    Err(object_store::Error::Generic { store: "failing", source: Box::new(source) })
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failing")
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Answer<PutResult> {
        match self.next() {
            None => self.inner.put_opts(path, payload, options).await,
            Some(Failure::Before) => full(),
            Some(Failure::After) => {
                self.inner.put_opts(path, payload, options).await?;
                full()
            }
            Some(Failure::Partial) => {
                let bytes: Vec<u8> = payload.iter().flatten().copied().collect();
                let half = bytes[..bytes.len() / 2].to_vec();
                let stray = Path::from(format!("{path}-part"));
                self.inner.put_opts(&stray, PutPayload::from(half), PutOptions::default()).await?;
                full()
            }
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Answer<Box<dyn MultipartUpload>> {
        if self.next().is_some() { full() } else { self.inner.put_multipart_opts(path, options).await }
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Answer<GetResult> {
        if self.next().is_some() { full() } else { self.inner.get_opts(path, options).await }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Answer<Path>>) -> BoxStream<'static, Answer<Path>> {
        if self.next().is_some() { futures::stream::iter([full()]).boxed() } else { self.inner.delete_stream(paths) }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Answer<ObjectMeta>> {
        if self.next().is_some() { futures::stream::iter([full()]).boxed() } else { self.inner.list(prefix) }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Answer<ListResult> {
        if self.next().is_some() { full() } else { self.inner.list_with_delimiter(prefix).await }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Answer<()> {
        if self.next().is_some() { full() } else { self.inner.copy_opts(from, to, options).await }
    }
}

/// Rows whose amounts all carry the number of the run: a reader that sees two numbers sees two commits.
async fn run(warehouse: &Warehouse, number: u8, clock: &Clock) -> Result<u64, Error> {
    let keys: Vec<String> = (0..12).map(|key| key.to_string()).collect();
    let rows: Vec<Plain<'_>> = keys.iter().map(|key| (key.as_str(), "1", i128::from(number))).collect();
    let mut prepared = prepare_at(warehouse, clock).await?;
    for table in ["bills", "payments"] {
        let batches = rows.chunks(5).map(batch).collect();
        prepared.add(TableInput { table: table.to_owned(), batches, ..input(&[], &["1"]) }).await?;
    }
    let note = (number.to_string(), ReadMode::Append);
    let notes = input(&[(note.0.as_str(), "", i128::from(number))], &[]);
    prepared.add(TableInput { table: "notes".to_owned(), mode: note.1, ..notes }).await?;
    let head = warehouse.publish(prepared).await?;
    Ok(head.number())
}

/// What a reader sees: every table of every commit, each checked against its digest, all of one run.
async fn inspect(warehouse: &Warehouse, published: &[u8]) {
    let head = warehouse.head().await.unwrap();
    assert_eq!(head.number(), published.len() as u64);
    for table in ["bills", "payments", "notes"] {
        for (_, file) in head.history(head.number(), "procore", table) {
            let bytes = warehouse.store.get(&file.path).await.unwrap().unwrap();
            assert_eq!(digest(&bytes), file.sha256, "{}", file.path);
        }
    }
    inspect_states(warehouse, &head, published).await;
    for number in (1..).take(published.len()) {
        let notes = plain(&warehouse.read_state(&head, number, "procore", "notes").await.unwrap());
        let expected = published.iter().take(usize::try_from(number).unwrap()).map(|run| i128::from(*run));
        assert!(notes.iter().map(|row| row.2).eq(expected), "commit {number}: {notes:?}");
    }
}

async fn inspect_states(warehouse: &Warehouse, head: &Head, published: &[u8]) {
    for (number, run) in (1..).zip(published) {
        for table in ["bills", "payments"] {
            let rows = plain(&warehouse.read_state(head, number, "procore", table).await.unwrap());
            assert!(rows.len() == 12 && rows.iter().all(|row| row.2 == i128::from(*run)), "commit {number}: {rows:?}");
        }
    }
}

async fn scenario(seed: u64) -> bool {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let (folder, whole) = empty().await;
    let limits = Limits { sort_bytes: if random.random() { 0 } else { 1 << 20 }, file_rows: 5, file_bytes: usize::MAX };
    let clock = super::testing::clock();
    let mut published = Vec::new();
    for number in 1..=random.random_range(1..4_u8) {
        run(&whole.clone().with_limits(limits), number, &clock).await.unwrap();
        published.push(number);
    }
    let failing = Failing {
        inner: whole.object_store(),
        calls: AtomicU64::new(0),
        at: random.random_range(0..45),
        failure: [Failure::Before, Failure::After, Failure::Partial][random.random_range(0..3)],
        for_good: random.random(),
    };
    let fresh = async || Warehouse::open(folder.path().to_str().unwrap()).await.unwrap();
    let mut broken = fresh().await.with_limits(limits);
    broken.store = broken.store.wrapping(Arc::new(failing));
    // The clock may have gone backwards, by a day or by a microsecond.
    let clock = if random.random() { clock } else { Clock::given(super::testing::at(-86_400_000_000)) };
    let outcome = run(&broken, 100, &clock).await;
    let is_published = fresh().await.head().await.unwrap().number() > published.len() as u64;
    if is_published {
        published.push(100);
    }
    assert!(outcome.is_err() || is_published, "seed {seed}: a run that is not there was confirmed");
    if let Err(error) = &outcome {
        assert!(!matches!(error, Error::Corrupt { .. }), "seed {seed}: {error}");
    }
    let warehouse = fresh().await;
    inspect(&warehouse, &published).await;
    // Whoever ran into the failure can go on as well, once the store works again.
    let next = if random.random() { warehouse } else { broken_and_mended(broken, &whole) };
    run(&next, 101, &clock).await.unwrap_or_else(|error| unreachable!("seed {seed}: {error}"));
    published.push(101);
    inspect(&fresh().await, &published).await;
    outcome.is_err()
}

fn broken_and_mended(broken: Warehouse, whole: &Warehouse) -> Warehouse {
    Warehouse { store: whole.store.clone(), ..broken }
}

#[tokio::test]
async fn a_store_that_fails_anywhere_leaves_the_old_commit_or_the_new() {
    let seeds = u64::from(seeds(24));
    let mut failures = 0;
    for seed in 0..seeds {
        failures += u64::from(scenario(seed).await);
    }
    // A test of failures that never fails tests nothing.
    assert!(failures * 3 > seeds && failures < seeds, "{failures} of {seeds} runs failed");
}

/// A pin of a commit whose states were dropped, and which is to write them again, on a store that fails on the way.
async fn pinning(seed: u64) -> bool {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let (folder, whole) = empty().await;
    let limits = Limits { file_rows: 5, ..Limits::default() };
    let (whole, clock) = (whole.with_limits(limits), super::testing::clock());
    for number in 1..=4 {
        run(&whole, number, &clock).await.unwrap();
    }
    let retention = Retention { days: 0, ..Retention::new(chrono_tz::Tz::UTC) };
    let options = VacuumOptions { retention, safety: TimeDelta::zero(), dry_run: false };
    let dropped = whole.vacuum(&options, &clock).await.unwrap().dropped.len();
    assert_eq!(dropped, 18, "three states of two tables, three files each");
    let failing = Failing {
        inner: whole.object_store(),
        calls: AtomicU64::new(0),
        // Most pins are done after some thirty calls; the long range is for those that fold from the beginning.
        at: random.random_range(0..if seed.is_multiple_of(2) { 30 } else { 90 }),
        failure: [Failure::Before, Failure::After, Failure::Partial][random.random_range(0..3)],
        for_good: random.random(),
    };
    let fresh = async || Warehouse::open(folder.path().to_str().unwrap()).await.unwrap().with_limits(limits);
    let mut broken = fresh().await;
    broken.store = broken.store.wrapping(Arc::new(failing));
    let number = random.random_range(1..4);
    let new = NewPin { name: "FY".to_owned(), as_of: AsOf::Commit(number), period_end: None };
    let outcome = broken.pin(&new, &clock).await;
    let warehouse = fresh().await;
    let is_pinned = warehouse.head().await.unwrap().pin("FY").is_ok();
    assert!(outcome.is_err() || is_pinned, "seed {seed}: a pin that is not there was confirmed");
    inspect_states(&warehouse, &warehouse.head().await.unwrap(), &[1, 2, 3, 4]).await;
    if !is_pinned {
        warehouse.pin(&new, &clock).await.unwrap_or_else(|error| unreachable!("seed {seed}: {error}"));
    }
    // Files that the failed attempt left are nobody's, and a vacuum takes nothing that the pin stands on.
    let again = warehouse.vacuum(&options, &clock).await.unwrap();
    assert!(again.removed.iter().all(|removal| removal.reason != "superseded"), "seed {seed}: {again:?}");
    let warehouse = fresh().await;
    let head = warehouse.head().await.unwrap();
    for table in ["bills", "payments"] {
        let snapshot = head.snapshot(number, "procore", table).unwrap();
        assert!(snapshot.changes.is_empty() && snapshot.state.len() == 3, "seed {seed}: {snapshot:?}");
    }
    inspect_states(&warehouse, &head, &[1, 2, 3, 4]).await;
    let verification = warehouse.verify(&VerifyOptions::new(true)).await.unwrap();
    assert_eq!(verification.findings, [], "seed {seed}");
    outcome.is_err()
}

#[tokio::test]
async fn a_pin_that_fails_anywhere_is_there_with_its_states_or_not_at_all() {
    let seeds = u64::from(seeds(16));
    let mut failures = 0;
    for seed in 0..seeds {
        failures += u64::from(pinning(seed).await);
    }
    assert!(failures * 4 > seeds && failures < seeds, "{failures} of {seeds} pins failed");
}

#[tokio::test]
async fn readers_see_whole_commits_while_others_write() {
    let (folder, warehouse) = empty().await;
    let path = folder.path().to_str().unwrap().to_owned();
    let clock = super::testing::clock();
    run(&warehouse, 0, &clock).await.unwrap();
    let writer = tokio::spawn(async move {
        for number in 1..12 {
            run(&warehouse, number, &clock).await.unwrap();
        }
    });
    let reader = Warehouse::open(&path).await.unwrap();
    let mut seen = 0;
    while seen < 12 {
        seen = reader.head().await.unwrap().number();
        let head = reader.head().await.unwrap();
        let of = async |table: &str| plain(&reader.read_state(&head, head.number(), "procore", table).await.unwrap());
        let (bills, payments) = (of("bills").await, of("payments").await);
        assert_eq!(bills, payments);
        assert!(bills.iter().all(|row| row.3 == i64::try_from(head.number()).unwrap()), "{bills:?}");
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}
