//! Makes joins stop when they are told to.
//!
//! A join over rows in memory never waits for anything, and what never waits can be neither aborted nor interrupted by
//! others. [`GiveWay`] sits on the inputs and outputs of joins and waits for nothing once in [`TURN`]; abandoned work
//! ends there. A nested loop goes through its whole other side for a batch of its input without asking again, so what
//! it gets at once follows how long the last piece took. One whose side does not fit into memory would start that side
//! again, to go through it from the disk in one piece for hours; it is refused.
//!
//! It sits on the inputs of sorts too: a sort counts a slice as all that it is a slice of, and what a grouping gives are
//! slices of one batch. So a sort of much less than the memory failed; it gets copies of such slices.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array as _, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::scalar::copy_array_data;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{Stream, StreamExt as _};

use crate::engine::workers;

/// How long a query works before others have their turn.
const TURN: Duration = Duration::from_millis(20);
const PIECE_MIN: usize = 1;
const PIECE_MAX: usize = 8_192;

/// Who reads what is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A join, or who reads a join.
    Any,
    /// A nested loop.
    Loop,
    Sort,
}

/// The plan with every join giving way, and every sort reading no more than its rows.
pub(crate) fn giving_way(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    // What travels is not ours to add to; workers do it themselves.
    if workers::is_sent_out(plan.as_ref()) {
        return Ok(plan);
    }
    let wrapped = plan.transform_up(|node| {
        let children = node.children();
        let reader = if node.is::<SortExec>() {
            Reader::Sort
        } else if children.len() < 2 {
            return Ok(Transformed::no(node));
        } else if node.is::<NestedLoopJoinExec>() || node.is::<CrossJoinExec>() {
            Reader::Loop
        } else {
            Reader::Any
        };
        let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let children = children.into_iter().map(|child| GiveWay::over(Arc::clone(child), reader)).collect();
        let node = node.replace_children(children, recompute)?;
        Ok(Transformed::yes(if reader == Reader::Sort { node } else { GiveWay::over(node, Reader::Any) }))
    })?;
    Ok(wrapped.data)
}

#[derive(Debug)]
struct GiveWay {
    input: Arc<dyn ExecutionPlan>,
    reader: Reader,
    /// How many partitions have been started.
    started: AtomicUsize,
}

impl GiveWay {
    fn over(input: Arc<dyn ExecutionPlan>, reader: Reader) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input, reader, started: AtomicUsize::new(0) })
    }
}

impl DisplayAs for GiveWay {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GiveWay")
    }
}

impl ExecutionPlan for GiveWay {
    fn name(&self) -> &'static str {
        "GiveWay"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().filter(|_| children.is_empty());
        let input = input.ok_or_else(|| DataFusionError::Internal("GiveWay has one input".to_owned()))?;
        Ok(Self::over(input, self.reader))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let started = self.started.fetch_add(1, Ordering::Relaxed);
        if self.reader == Reader::Loop && started >= self.properties().output_partitioning().partition_count() {
            let text = "a side of a join without an equality does not fit into memory\n\
                        hint: join on equal columns, or narrow both sides first";
            return Err(DataFusionError::ResourcesExhausted(text.to_owned()));
        }
        let input = self.input.execute(partition, context)?;
        let piece = (self.reader == Reader::Loop).then_some(PIECE_MIN);
        let copies = self.reader == Reader::Sort;
        Ok(Box::pin(Turns { input, piece, copies, rest: None, given: None, turn: Instant::now() }))
    }
}

struct Turns {
    input: SendableRecordBatchStream,
    /// How many rows are given at once; `None` is all that there are.
    piece: Option<usize>,
    /// Whether slices of much larger batches are copied.
    copies: bool,
    rest: Option<RecordBatch>,
    /// When the last piece was given.
    given: Option<Instant>,
    /// When this turn began.
    turn: Instant,
}

impl Stream for Turns {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let (Some(given), Some(piece)) = (this.given.take(), &mut this.piece) {
            let took = given.elapsed();
            if took > TURN {
                *piece = (*piece / 2).max(PIECE_MIN);
            } else if took < TURN / 4 {
                *piece = (*piece * 2).min(PIECE_MAX);
            }
        }
        if this.turn.elapsed() > TURN {
            this.turn = Instant::now();
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let batch = match this.rest.take() {
            Some(rest) => rest,
            None => match ready!(this.input.poll_next_unpin(context)) {
                Some(Ok(batch)) if this.copies => own(&batch)?,
                Some(Ok(batch)) => batch,
                end => return Poll::Ready(end),
            },
        };
        let Some(piece) = this.piece else { return Poll::Ready(Some(Ok(batch))) };
        this.given = Some(Instant::now());
        if batch.num_rows() <= piece {
            return Poll::Ready(Some(Ok(batch)));
        }
        this.rest = Some(batch.slice(piece, batch.num_rows() - piece));
        Poll::Ready(Some(Ok(batch.slice(0, piece))))
    }
}

impl RecordBatchStream for Turns {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// The batch with its rows and no others in memory.
fn own(batch: &RecordBatch) -> Result<RecordBatch> {
    let own = |column: &ArrayRef| {
        let data = column.to_data();
        let is_part = data.get_slice_memory_size()? < column.get_array_memory_size() / 2;
        Ok(if is_part { make_array(copy_array_data(&data)) } else { Arc::clone(column) })
    };
    let columns = batch.columns().iter().map(own).collect::<Result<_>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &rows)?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray as _, Int64Array, StringArray};
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::Schema;
    use datafusion::datasource::MemTable;
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_plan::collect;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    #[test]
    fn a_slice_becomes_its_rows() {
        let numbers: ArrayRef =
            Arc::new((0..10_000).map(|number| (number % 7 > 0).then_some(number)).collect::<Int64Array>());
        let words: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..10_000).map(|number| format!("word {number}"))));
        let whole = RecordBatch::try_from_iter([("number", numbers), ("word", words)]).unwrap();
        let slice = whole.slice(5_000, 100);
        let copied = own(&slice).unwrap();
        assert_eq!(copied, slice);
        assert!(copied.get_array_memory_size() * 20 < slice.get_array_memory_size());
        let none = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            Vec::new(),
            &RecordBatchOptions::new().with_row_count(Some(3)),
        );
        assert_eq!(own(&none.unwrap()).unwrap().num_rows(), 3);
        // What is whole is not copied.
        assert!(Arc::ptr_eq(own(&whole).unwrap().column(0), whole.column(0)));
    }

    #[tokio::test]
    async fn slices_are_sorted_in_the_memory_of_their_rows() {
        let words =
            (0..100_000).map(|number| format!("a word of {number:0100} letters", number = number * 7 % 100_000));
        let words: ArrayRef = Arc::new(StringArray::from_iter_values(words));
        let whole = RecordBatch::try_from_iter([("word", words)]).unwrap();
        let slices: Vec<RecordBatch> = (0..100).map(|piece| whole.slice(piece * 1_000, 1_000)).collect();
        // For most of the rows, but not for all of them.
        let pool = Arc::new(GreedyMemoryPool::new(10 << 20));
        assert!(whole.get_array_memory_size() > 11 << 20);
        let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(1_000);
        config.options_mut().execution.sort_spill_reservation_bytes = 1 << 20;
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
        let session = SessionContext::new_with_config_rt(config, runtime);
        let table = MemTable::try_new(whole.schema(), vec![slices]).unwrap();
        session.register_table("words", Arc::new(table)).unwrap();
        let sorted = session.sql("select word from words order by word").await.unwrap();
        let plan = || async { sorted.clone().create_physical_plan().await.unwrap() };
        let refused = collect(plan().await, session.task_ctx()).await;
        assert!(refused.is_err(), "DataFusion counts a slice as its rows now: nothing needs to be copied");
        let rows = collect(giving_way(plan().await).unwrap(), session.task_ctx()).await.unwrap();
        let rows = concat_batches(&whole.schema(), &rows).unwrap();
        let words: Vec<&str> = rows.column(0).as_string::<i32>().iter().flatten().collect();
        assert!(words.len() == 100_000 && words.is_sorted());
    }
}
