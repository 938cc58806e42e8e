//! Makes joins stop when they are told to.
//!
//! A join over rows in memory never waits for anything, and what never waits can be neither aborted nor interrupted by
//! others. [`GiveWay`] sits on the inputs and outputs of joins and waits for nothing once in [`TURN`]; abandoned work
//! ends there. A nested loop goes through its whole other side for a batch of its input without asking again, so what
//! it gets at once follows how long the last piece took. One whose side does not fit into memory would start that side
//! again, to go through it from the disk in one piece for hours; it is refused.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
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

/// The plan with every join giving way.
pub(crate) fn giving_way(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    // What travels is not ours to add to; workers do it themselves.
    if workers::is_sent_out(plan.as_ref()) {
        return Ok(plan);
    }
    let wrapped = plan.transform_up(|node| {
        let children = node.children();
        if children.len() < 2 {
            return Ok(Transformed::no(node));
        }
        let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let in_pieces = node.is::<NestedLoopJoinExec>() || node.is::<CrossJoinExec>();
        let children = children.into_iter().map(|child| GiveWay::over(Arc::clone(child), in_pieces)).collect();
        Ok(Transformed::yes(GiveWay::over(node.replace_children(children, recompute)?, false)))
    })?;
    Ok(wrapped.data)
}

#[derive(Debug)]
struct GiveWay {
    input: Arc<dyn ExecutionPlan>,
    /// The side of a nested loop.
    in_pieces: bool,
    /// How many partitions have been started.
    started: AtomicUsize,
}

impl GiveWay {
    fn over(input: Arc<dyn ExecutionPlan>, in_pieces: bool) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input, in_pieces, started: AtomicUsize::new(0) })
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
        Ok(Self::over(input, self.in_pieces))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let started = self.started.fetch_add(1, Ordering::Relaxed);
        if self.in_pieces && started >= self.properties().output_partitioning().partition_count() {
            let text = "a side of a join without an equality does not fit into memory\n\
                        hint: join on equal columns, or narrow both sides first";
            return Err(DataFusionError::ResourcesExhausted(text.to_owned()));
        }
        let input = self.input.execute(partition, context)?;
        let piece = self.in_pieces.then_some(PIECE_MIN);
        Ok(Box::pin(Turns { input, piece, rest: None, given: None, turn: Instant::now() }))
    }
}

struct Turns {
    input: SendableRecordBatchStream,
    /// How many rows are given at once; `None` is all that there are.
    piece: Option<usize>,
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
