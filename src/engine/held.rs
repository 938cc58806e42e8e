//! Rows of a view that are read again: in memory while they are few, in a file of the temporary folder when they are many.
//!
//! Invariants: the rows that views hold in memory have a limit together; rows come back in the order in which they came; a
//! file ends with the last who reads it.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_datafusion_err};
use datafusion::datasource::memory::DataSourceExec;
use datafusion::datasource::source::DataSource;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::spill_file::{SpillFile, SpillWriter};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::limit::LimitStream;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, common};
use futures::{StreamExt as _, stream};

use crate::engine::folded::adapt;
use crate::engine::snapshot::memory;

/// Bytes that the views of one planner hold in memory together: files take the rows of those that come later. In tests of
/// this crate both happen.
const MEMORY_MAX: usize = if cfg!(test) { 64 << 10 } else { 256 << 20 };

/// The memory that views share.
#[derive(Debug)]
pub(crate) struct Room {
    most: usize,
    taken: AtomicUsize,
    /// Where they count beside other memory.
    pool: Option<MemoryReservation>,
}

impl Default for Room {
    fn default() -> Self {
        Self::of(MEMORY_MAX)
    }
}

impl Room {
    /// So many bytes.
    pub(crate) fn of(most: usize) -> Self {
        Self { most, taken: AtomicUsize::new(0), pool: None }
    }

    /// What is left in the memory of queries, as far as all views together may hold.
    pub(crate) fn within(pool: &Arc<dyn MemoryPool>, name: &str) -> Self {
        Self { pool: Some(MemoryConsumer::new(name).register(pool)), ..Self::default() }
    }

    /// No memory at all: every row goes to a file.
    pub(crate) fn none() -> Self {
        Self::of(0)
    }
}

/// Bytes of a room, until dropped.
#[derive(Debug)]
struct Taken {
    room: Arc<Room>,
    bytes: usize,
}

impl Taken {
    /// Takes more, if there is as much.
    fn grow(&mut self, bytes: usize) -> bool {
        let room = &self.room;
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= room.most);
        if room.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return false;
        }
        let is_taken = room.pool.as_ref().is_none_or(|pool| pool.try_grow(bytes).is_ok());
        if is_taken {
            self.bytes += bytes;
        } else {
            room.taken.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_taken
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        if let Some(pool) = &self.room.pool {
            pool.shrink(self.bytes);
        }
    }
}

/// The rows of a view at a moment.
#[derive(Debug)]
pub(crate) struct Held {
    schema: SchemaRef,
    /// How many rows, of how many bytes.
    rows: usize,
    bytes: usize,
    place: Place,
}

enum Place {
    Memory { batches: Vec<RecordBatch>, _taken: Taken },
    File(TemporaryFile),
}

impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Memory { .. } => "memory",
            Self::File(_) => "file",
        })
    }
}

impl Held {
    /// All rows of a stream, under a schema that they fit.
    ///
    /// # Errors
    /// What the stream failed with, or why the temporary folder takes no more.
    pub(crate) async fn hold(
        mut rows: SendableRecordBatchStream,
        schema: &SchemaRef,
        (room, runtime): (&Arc<Room>, &Arc<RuntimeEnv>),
    ) -> Result<Self> {
        let mut holding = Holding::new(schema, room, runtime);
        while let Some(batch) = rows.next().await {
            holding.push(&batch?)?;
        }
        holding.finish()
    }

    /// Rows that are there already.
    ///
    /// # Errors
    /// As [`Held::hold`].
    pub(crate) fn of(
        batch: &RecordBatch,
        schema: &SchemaRef,
        (room, runtime): (&Arc<Room>, &Arc<RuntimeEnv>),
    ) -> Result<Self> {
        let mut holding = Holding::new(schema, room, runtime);
        holding.push(batch)?;
        holding.finish()
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many bytes they take, or would take in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a file holds them.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    /// A scan of the rows.
    pub(crate) fn scan(&self, projection: Option<&Vec<usize>>, limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let file = match &self.place {
            Place::Memory { batches, .. } => return memory(&self.schema, batches, projection, limit),
            Place::File(file) => file.clone(),
        };
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let statistics = Statistics {
            num_rows: Precision::Exact(self.rows),
            total_byte_size: Precision::Inexact(self.bytes),
            column_statistics: Statistics::unknown_column(&schema),
        };
        let source = HeldFile { file, schema, projection, limit, statistics: Arc::new(statistics) };
        Ok(Arc::new(DataSourceExec::new(Arc::new(source))))
    }

    /// All rows.
    pub(crate) fn stream(&self) -> SendableRecordBatchStream {
        self.of_places(&self.schema, (0..self.schema.fields().len()).collect())
    }

    /// All rows, in some columns and their order.
    pub(crate) async fn read(&self, columns: &[&str]) -> Result<Vec<RecordBatch>> {
        let places = columns.iter().map(|column| Ok(self.schema.index_of(column)?)).collect::<Result<Vec<_>>>()?;
        common::collect(self.of_places(&Arc::new(self.schema.project(&places)?), places)).await
    }

    /// All rows in the columns of those places, which are those of `schema`.
    pub(crate) fn of_places(&self, schema: &SchemaRef, places: Vec<usize>) -> SendableRecordBatchStream {
        match &self.place {
            Place::Memory { batches, .. } => {
                let batches = batches.clone().into_iter().map(move |batch| Ok(batch.project(&places)?));
                Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), stream::iter(batches)))
            }
            Place::File(file) => file.rows(schema, places),
        }
    }
}

/// Rows on their way into memory, and from there into a file once they are too many.
pub(crate) struct Holding {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    taken: Taken,
    runtime: Arc<RuntimeEnv>,
    file: Option<(TemporaryFile, StreamWriter<Box<dyn SpillWriter>>)>,
    rows: usize,
    bytes: usize,
}

impl Holding {
    pub(crate) fn new(schema: &SchemaRef, room: &Arc<Room>, runtime: &Arc<RuntimeEnv>) -> Self {
        Self {
            schema: Arc::clone(schema),
            batches: Vec::new(),
            taken: Taken { room: Arc::clone(room), bytes: 0 },
            runtime: Arc::clone(runtime),
            file: None,
            rows: 0,
            bytes: 0,
        }
    }

    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = adapt(&self.schema, batch)?;
        let bytes = bytes(&batch)?;
        self.rows += batch.num_rows();
        self.bytes += bytes;
        if let Some((_, writer)) = &mut self.file {
            return Ok(writer.write(&batch)?);
        }
        let fits = self.taken.grow(bytes);
        self.batches.push(batch);
        if !fits {
            let file = TemporaryFile(self.runtime.disk_manager.create_tmp_file("rows of a view")?);
            let mut writer = StreamWriter::try_new(file.0.open_writer()?, &self.schema)?;
            for batch in self.batches.drain(..) {
                writer.write(&batch)?;
            }
            self.file = Some((file, writer));
            self.taken = Taken { room: Arc::clone(&self.taken.room), bytes: 0 };
        }
        Ok(())
    }

    /// How many bytes the rows so far take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn finish(self) -> Result<Held> {
        let place = match self.file {
            None => Place::Memory { batches: self.batches, _taken: self.taken },
            Some((file, writer)) => {
                writer.into_inner()?.finish()?;
                Place::File(file)
            }
        };
        Ok(Held { schema: self.schema, rows: self.rows, bytes: self.bytes, place })
    }
}

/// What a batch's rows take: of a slice, only the slice.
fn bytes(batch: &RecordBatch) -> Result<usize> {
    batch.columns().iter().map(|column| Ok(column.to_data().get_slice_memory_size()?)).sum()
}

/// A file of rows that ends with the last who reads it.
#[derive(Clone)]
struct TemporaryFile(Arc<dyn SpillFile>);

impl fmt::Debug for TemporaryFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("TemporaryFile").field(&self.0.path()).finish()
    }
}

impl TemporaryFile {
    /// Its rows in the columns of those places, which are those of `schema`.
    fn rows(&self, schema: &SchemaRef, places: Vec<usize>) -> SendableRecordBatchStream {
        let mut rows = RecordBatchReceiverStream::builder(Arc::clone(schema), 2);
        let (sender, file) = (rows.tx(), self.clone());
        rows.spawn_blocking(move || {
            let path = file.0.path().ok_or_else(|| internal_datafusion_err!("rows of a view are in no file"))?;
            // A reader gives columns in the order of the file.
            let mut ascending = places.clone();
            ascending.sort_unstable();
            ascending.dedup();
            let order: Vec<usize> =
                places.iter().map(|place| ascending.binary_search(place).unwrap_or_default()).collect();
            for batch in StreamReader::try_new(BufReader::new(File::open(path)?), Some(ascending))? {
                if sender.blocking_send(Ok(batch?.project(&order)?)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        rows.build()
    }
}

/// A scan of rows that a file holds.
#[derive(Clone, Debug)]
struct HeldFile {
    file: TemporaryFile,
    /// Of the columns that are wanted.
    schema: SchemaRef,
    projection: Vec<usize>,
    limit: Option<usize>,
    statistics: Arc<Statistics>,
}

impl DataSource for HeldFile {
    fn open(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.file.rows(&self.schema, self.projection.clone());
        let metrics = BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        Ok(Box::pin(LimitStream::new(rows, 0, self.limit, metrics)))
    }

    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HeldRows: rows={}", self.statistics.num_rows)
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(1)
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(Arc::clone(&self.schema))
    }

    fn partition_statistics(&self, _: Option<usize>) -> Result<Arc<Statistics>> {
        let statistics = self.statistics.as_ref().clone();
        Ok(Arc::new(statistics.with_fetch(self.limit, 0, 1)?))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        Some(Arc::new(Self { limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }

    fn try_swapping_with_projection(&self, _: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(None)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use arrow::compute::concat_batches;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_plan::collect;

    fn batch(schema: &SchemaRef, numbers: std::ops::Range<i64>) -> RecordBatch {
        let names: StringArray = numbers.clone().map(|number| Some(format!("vendor {number}"))).collect();
        let numbers = Int64Array::from_iter_values(numbers);
        RecordBatch::try_new(Arc::clone(schema), vec![Arc::new(numbers), Arc::new(names)]).unwrap()
    }

    #[tokio::test]
    async fn many_rows_come_back_from_a_file_as_they_were() {
        let runtime = RuntimeEnvBuilder::new().build_arc().unwrap();
        let fields = vec![Field::new("number", DataType::Int64, true), Field::new("name", DataType::Utf8, true)];
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let room = Arc::new(Room::default());
        let few = Held::of(&batch(&schema, 0..1000), &schema, (&room, &runtime)).unwrap();
        assert!(!few.is_file());
        let taken = room.taken.load(Ordering::Relaxed);
        assert_eq!(taken, few.bytes());
        // Half of each batch is of its own: a slice takes no more than its rows do.
        let parts: Vec<RecordBatch> =
            (0..5).map(|part| batch(&schema, part * 2000..part * 2000 + 2000).slice(500, 1000)).collect();
        let mut holding = Holding::new(&schema, &room, &runtime);
        for part in &parts {
            holding.push(part).unwrap();
        }
        holding.push(&batch(&schema, 0..0)).unwrap();
        holding.push(&batch(&schema, 0..10)).unwrap();
        let many = holding.finish().unwrap();
        assert!(many.is_file() && many.rows() == 5010);
        assert_eq!(room.taken.load(Ordering::Relaxed), taken, "rows in a file take none of the room");
        let wanted = concat_batches(&schema, parts.iter().chain([&batch(&schema, 0..10)])).unwrap();
        let context = Arc::new(TaskContext::default());
        let scan = |projection: Option<&Vec<usize>>, limit| {
            let scan = many.scan(projection, limit).unwrap();
            let context = Arc::clone(&context);
            async move { (scan.schema(), collect(scan, context).await.unwrap()) }
        };
        let (_, rows) = scan(None, None).await;
        assert_eq!(concat_batches(&schema, &rows).unwrap(), wanted);
        let (turned, rows) = scan(Some(&vec![1, 0]), None).await;
        assert_eq!(concat_batches(&turned, &rows).unwrap(), wanted.project(&[1, 0]).unwrap());
        let (_, rows) = scan(None, Some(1500)).await;
        assert_eq!(concat_batches(&schema, &rows).unwrap(), wanted.slice(0, 1500));
        let (counted, rows) = scan(Some(&Vec::new()), None).await;
        assert_eq!((counted.fields().len(), rows.iter().map(RecordBatch::num_rows).sum::<usize>()), (0, 5010));
        for held in [&many, &few] {
            let names = held.read(&["name"]).await.unwrap();
            assert_eq!(names.iter().map(RecordBatch::num_rows).sum::<usize>(), held.rows());
            assert!(names.iter().all(|batch| batch.schema().field(0).name() == "name"));
        }
        // The file is there while somebody reads it, and no longer.
        let Place::File(file) = &many.place else { panic!("no file") };
        let path = file.0.path().unwrap().to_owned();
        let reader = many.scan(None, None).unwrap();
        drop(many);
        assert!(path.exists());
        drop((reader, few));
        assert!(!path.exists());
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }
}
