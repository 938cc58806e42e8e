//! Columns of tables that are asked for again and again, decoded and in memory.
//!
//! PostgreSQL has an index for a vendor's invoices; a Parquet file has to be decoded. A file of the warehouse never changes
//! under its name, so what was decoded from it stays true, whoever asks; nor does a table at a commit between two states, which
//! is kept as the file that it would be. Invariants: all columns together have a limit, and
//! those that nobody asked for longest go first; a scan is answered from memory only if all of its columns are there, cut
//! into the same rows; rows come in the order of the file.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array as _, ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _};
use futures::StreamExt as _;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::warehouse::commit::DataFile;

/// Bytes of all columns.
const BYTES_MAX: u64 = 256 << 20;

/// Rows of one scan: more are decoded each time, a part at a time.
const ROWS_MAX: u64 = 2_000_000;

/// Scans of a table before its columns are kept: whoever asks once leaves nothing behind.
const SCANS_MIN: u32 = if cfg!(test) { 1 } else { 3 };

/// How many columns are expected, to begin with, and of how many files scans are counted.
const ENTRIES: usize = 1000;

/// A column of a file.
type Place = (String, String);

/// By bytes.
#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Place, Arc<Vec<ArrayRef>>> for Bytes {
    fn weight(&self, _: &Place, column: &Arc<Vec<ArrayRef>>) -> u64 {
        column.iter().map(|part| part.get_array_memory_size() as u64).sum()
    }
}

/// A cache whose whole weight is there for any of its entries. `Cache` otherwise parts it among several shards, each with a
/// limit of its own: a few large entries that fall into one drive each other out while the others are empty.
pub(crate) fn undivided<Key: Eq + Hash, Value: Clone, By: Weighter<Key, Value> + Clone>(
    entries: usize,
    weight: u64,
    by: By,
) -> Cache<Key, Value, By> {
    let options = OptionsBuilder::new().shards(1).estimated_items_capacity(entries).weight_capacity(weight).build();
    let options = options.expect("both capacities are given");
    Cache::with_options(options, by, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

/// Decoded columns, by file and name.
#[derive(Debug)]
pub(crate) struct HotColumns {
    columns: Cache<Place, Arc<Vec<ArrayRef>>, Bytes>,
    scans: Cache<String, u32>,
    /// Files that are being decoded.
    decoding: Mutex<HashSet<String>>,
}

impl Default for HotColumns {
    fn default() -> Self {
        Self { columns: undivided(ENTRIES, BYTES_MAX, Bytes), scans: Cache::new(ENTRIES), decoding: Mutex::default() }
    }
}

impl HotColumns {
    /// All rows of files in the columns of `schema`, if they are in memory.
    pub(crate) fn rows(&self, schema: &SchemaRef, files: &[DataFile]) -> Option<Vec<RecordBatch>> {
        // Who wants no column counts, and needs no rows.
        if schema.fields().is_empty() || files.is_empty() {
            return None;
        }
        let mut rows = Vec::new();
        for file in files {
            let column = |name: &String| self.columns.get(&(file.path.clone(), name.clone()));
            let columns = schema.fields().iter().map(|field| column(field.name())).collect::<Option<Vec<_>>>()?;
            let parts = columns.first()?.len();
            for part in 0..parts {
                let arrays =
                    columns.iter().map(|column| column.get(part).map(Arc::clone)).collect::<Option<Vec<_>>>()?;
                rows.push(RecordBatch::try_new(Arc::clone(schema), arrays).ok()?);
            }
            if columns.iter().any(|column| column.len() != parts) {
                return None;
            }
        }
        Some(rows)
    }

    /// Notes that files were scanned, and decodes them for the next time if they are scanned often. `scan` makes a scan of one
    /// of them in some columns, all rows of it.
    pub(crate) fn note(
        self: &Arc<Self>,
        schema: &SchemaRef,
        files: &[DataFile],
        context: impl Fn() -> Arc<TaskContext>,
        scan: impl Fn(&DataFile, &[&str]) -> Result<Arc<dyn ExecutionPlan>>,
    ) {
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        if rows > ROWS_MAX || schema.fields().is_empty() {
            return;
        }
        for file in files {
            let scans = self.scans.get(&file.path).unwrap_or_default() + 1;
            self.scans.insert(file.path.clone(), scans);
            let is_kept = |name: &str| self.columns.peek(&(file.path.clone(), name.to_owned())).is_some();
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let missing: Vec<&str> = names.filter(|name| !is_kept(name)).collect();
            if scans < SCANS_MIN || missing.is_empty() {
                continue;
            }
            let Ok(plan) = scan(file, &missing) else { continue };
            if self.decoding.lock().unwrap_or_else(PoisonError::into_inner).insert(file.path.clone()) {
                let (hot, path, context) = (Arc::clone(self), file.path.clone(), context());
                tokio::spawn(async move {
                    // What cannot be decoded fails where it is read.
                    if let Err(error) = hot.decode(&path, plan, context).await {
                        tracing::debug!(path, %error, "columns are not kept");
                    }
                    hot.decoding.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
                });
            }
        }
    }

    async fn decode(&self, path: &str, plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<()> {
        let schema = plan.schema();
        let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::new(); schema.fields().len()];
        // One partition after the other: columns that are decoded another time have their rows in the same order.
        for partition in 0..plan.output_partitioning().partition_count() {
            let mut rows = plan.execute(partition, Arc::clone(&context))?;
            while let Some(batch) = rows.next().await {
                for (column, part) in columns.iter_mut().zip(batch?.columns()) {
                    column.push(Arc::clone(part));
                }
            }
        }
        for (field, column) in schema.fields().iter().zip(columns) {
            self.columns.insert((path.to_owned(), field.name().clone()), Arc::new(column));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use datafusion::datasource::memory::MemorySourceConfig;

    fn file(path: &str, rows: u64) -> DataFile {
        DataFile { path: path.to_owned(), rows, sha256: String::new(), bytes: 1 }
    }

    fn batch(numbers: std::ops::Range<i64>) -> RecordBatch {
        let names: ArrayRef =
            Arc::new(numbers.clone().map(|number| Some(format!("v{number}"))).collect::<StringArray>());
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
        RecordBatch::try_from_iter([("number", numbers), ("name", names)]).unwrap()
    }

    /// Notes a scan and waits until nothing is decoded any more.
    async fn note(hot: &Arc<HotColumns>, schema: &SchemaRef, files: &[DataFile], parts: &[RecordBatch]) {
        let scan = |_: &DataFile, columns: &[&str]| {
            let whole = parts.first().unwrap().schema();
            let places = columns.iter().map(|column| whole.index_of(column).unwrap()).collect();
            Ok(MemorySourceConfig::try_new_exec(&[parts.to_vec()], whole, Some(places))? as Arc<dyn ExecutionPlan>)
        };
        hot.note(schema, files, || Arc::new(TaskContext::default()), scan);
        for _ in 0..500 {
            if hot.decoding.lock().unwrap().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it is still decoding");
    }

    #[tokio::test]
    async fn what_was_scanned_is_answered_from_memory_as_it_was() {
        let hot: Arc<HotColumns> = Arc::default();
        let parts = [batch(0..3), batch(3..4)];
        let schema = parts[0].schema();
        let files = [file("a", 4)];
        assert!(hot.rows(&schema, &files).is_none());
        note(&hot, &schema, &files, &parts).await;
        assert_eq!(hot.rows(&schema, &files).unwrap(), parts);
        let names = Arc::new(schema.project(&[1]).unwrap());
        assert_eq!(hot.rows(&names, &files).unwrap()[1], parts[1].project(&[1]).unwrap());
        // One file of two is not all rows.
        assert!(hot.rows(&schema, &[file("a", 4), file("b", 1)]).is_none());
        // Who wants no column is told by the manifest.
        assert!(hot.rows(&Arc::new(schema.project(&[]).unwrap()), &files).is_none());
    }

    /// As many as fit, wherever their names would put them.
    #[test]
    fn the_whole_limit_is_there_for_large_columns() {
        let column: Arc<Vec<ArrayRef>> = Arc::new(vec![Arc::new(Int64Array::from_iter_values(0..100_000))]);
        let weight = Bytes.weight(&Place::default(), &column);
        let cache = undivided(ENTRIES, weight * 12, Bytes);
        let places: Vec<Place> = (0..10).map(|place| (format!("file {place}"), "amount".to_owned())).collect();
        for place in &places {
            cache.insert(place.clone(), Arc::clone(&column));
        }
        assert!(places.iter().all(|place| cache.get(place).is_some()));
    }

    #[tokio::test]
    async fn columns_that_are_cut_otherwise_are_not_put_together() {
        let hot: Arc<HotColumns> = Arc::default();
        let schema = batch(0..4).schema();
        let files = [file("a", 4)];
        note(&hot, &Arc::new(schema.project(&[0]).unwrap()), &files, &[batch(0..3), batch(3..4)]).await;
        note(&hot, &Arc::new(schema.project(&[1]).unwrap()), &files, &[batch(0..4)]).await;
        assert!(hot.rows(&schema, &files).is_none());
        note(&hot, &schema, &[file("large", ROWS_MAX + 1)], &[batch(0..4)]).await;
        assert!(hot.rows(&schema, &[file("large", ROWS_MAX + 1)]).is_none());
    }
}
