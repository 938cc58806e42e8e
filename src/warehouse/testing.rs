//! Small tables for the warehouse's own tests: text rows `key|scope|content`, with one decimal column.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Decimal128Type, Int64Type};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult,
};

use super::commit::CommitKind;
use super::rows::{ColumnType, Coverage, CoverageStatus, ReadMode, TableInput, input_schema};
use super::store::digest;
use super::{CommitHeader, Error, Prepared, Warehouse};
use crate::clock::{Clock, SharedClock};

/// A row for [`input`]: key, scope, amount in cents.
pub(super) type Plain<'a> = (&'a str, &'a str, i128);

/// How many random cases to try: few in every run of the tests, as many as `TIEOUT_CRASH_SEEDS` says in long ones.
pub(super) fn seeds(few: u32) -> u32 {
    std::env::var("TIEOUT_CRASH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

pub(super) fn at(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_700_000_000_000_000 + micros).unwrap()
}

pub(super) fn clock() -> Clock {
    Clock::Shared(SharedClock::new(at(0)))
}

pub(super) fn coverage(scope: &str, status: CoverageStatus) -> Coverage {
    let scope = scope.to_owned();
    Coverage { scope, project: None, status, rows: 0, expected_rows: None, observed_at: at(0), error: None }
}

pub(super) fn columns() -> Vec<(String, ColumnType)> {
    vec![("amount".to_owned(), ColumnType::Decimal(18, 2))]
}

pub(super) fn batch(rows: &[Plain<'_>]) -> RecordBatch {
    let text = |values: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let amounts: Decimal128Array = rows.iter().map(|row| Some(row.2)).collect();
    let moments = arrow::array::TimestampMicrosecondArray::from(vec![at(0).timestamp_micros(); rows.len()]);
    let arrays: Vec<ArrayRef> = vec![
        text(rows.iter().map(|row| row.0.to_owned()).collect()),
        text(rows.iter().map(|row| row.1.to_owned()).collect()),
        Arc::new(amounts.with_precision_and_scale(18, 2).unwrap()),
        text(rows.iter().map(|row| format!("{{\"amount\":{}}}", row.2)).collect()),
        text(rows.iter().map(|row| digest(row.2.to_string().as_bytes())).collect()),
        Arc::new(moments.with_timezone("+00:00")),
    ];
    RecordBatch::try_new(input_schema(&columns()), arrays).unwrap()
}

/// A full read of `procore.bills` in which the named scopes were complete.
pub(super) fn input(rows: &[Plain<'_>], complete: &[&str]) -> TableInput {
    TableInput {
        source: "procore".to_owned(),
        table: "bills".to_owned(),
        columns: columns(),
        mode: ReadMode::Full,
        above: Vec::new(),
        spooled: None,
        batches: vec![batch(rows)],
        coverage: complete.iter().map(|scope| coverage(scope, CoverageStatus::Ok)).collect(),
        rejects: Vec::new(),
        drift: Vec::new(),
        cursor: None,
        accept_deletes: false,
        owners: std::collections::BTreeSet::new(),
    }
}

pub(super) async fn prepare(warehouse: &Warehouse) -> Prepared {
    prepare_at(warehouse, &clock()).await.unwrap()
}

pub(super) async fn prepare_at(warehouse: &Warehouse, clock: &Clock) -> Result<Prepared, Error> {
    let (kind, definitions) = (CommitKind::Extract, String::new());
    let header = CommitHeader { kind, clock, definitions, runs: Vec::new(), observed_at: at(0) };
    warehouse.prepare(header).await
}

/// Commits one table; gives back what the commit says of it.
pub(super) async fn commit(warehouse: &Warehouse, input: TableInput) -> super::commit::TableCommit {
    let mut prepared = prepare(warehouse).await;
    let table = prepared.add(input).await.unwrap();
    warehouse.publish(prepared).await.unwrap();
    table
}

/// The rows of `procore.bills` as of a commit: key, scope, cents, commit.
pub(super) async fn bills(warehouse: &Warehouse, commit: u64) -> Vec<(String, String, i128, i64)> {
    let head = warehouse.head().await.unwrap();
    plain(&warehouse.read_state(&head, commit, "procore", "bills").await.unwrap())
}

pub(super) fn plain(batches: &[RecordBatch]) -> Vec<(String, String, i128, i64)> {
    let mut found = Vec::new();
    for batch in batches {
        let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let (keys, scopes) = (text("_key"), text("_scope"));
        let amounts = batch.column_by_name("amount").unwrap().as_primitive::<Decimal128Type>();
        let commits: &Int64Array = batch.column_by_name("_commit").unwrap().as_primitive::<Int64Type>();
        for row in 0..keys.len() {
            let (key, scope) = (keys.value(row).to_owned(), scopes.value(row).to_owned());
            found.push((key, scope, amounts.value(row), commits.value(row)));
        }
    }
    found
}

/// A store that fails every write from the n-th on, as if the process had died there.
#[derive(Debug)]
pub(super) struct Dying {
    inner: Arc<dyn ObjectStore>,
    writes_left: AtomicUsize,
}

impl Dying {
    pub(super) fn after(inner: Arc<dyn ObjectStore>, writes: usize) -> Self {
        Self { inner, writes_left: AtomicUsize::new(writes) }
    }
}

impl std::fmt::Display for Dying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dying")
    }
}

type Answer<T> = object_store::Result<T>;

#[async_trait]
impl ObjectStore for Dying {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Answer<PutResult> {
        let left = self.writes_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(object_store::Error::Generic { store: "dying", source: Box::new(source) });
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Answer<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Answer<GetResult> {
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Answer<Path>>) -> BoxStream<'static, Answer<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Answer<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Answer<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Answer<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
