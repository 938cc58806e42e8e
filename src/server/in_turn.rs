//! The branches of a `union all` in the order in which they are written, as PostgreSQL gives them.
//!
//! All branches work at once, each at most a batch ahead of what is read. Leaves out: unions beneath a limit or a join.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _, execute_stream};
use futures::stream::{StreamExt as _, iter};

/// The rows of a plan.
pub(crate) fn rows(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
    if !is_union(&plan) {
        return execute_stream(plan, context);
    }
    let partitions = 0..plan.output_partitioning().partition_count();
    let branches = partitions.map(|place| Ok(spawn_buffered(plan.execute(place, Arc::clone(&context))?, 1)));
    let branches: Vec<_> = branches.collect::<Result<_>>()?;
    Ok(Box::pin(RecordBatchStreamAdapter::new(plan.schema(), iter(branches).flatten())))
}

/// Whether the partitions are those of a union's branches, one after the other.
fn is_union(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let count = |plan: &Arc<dyn ExecutionPlan>| plan.output_partitioning().partition_count();
    match plan.children().as_slice() {
        [input] => !plan.is::<RepartitionExec>() && count(plan) == count(input) && is_union(input),
        _ => plan.is::<UnionExec>(),
    }
}
