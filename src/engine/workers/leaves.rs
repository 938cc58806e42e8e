//! In how many pieces a scan may be read, and the pieces.
//!
//! Invariants: every row is in exactly one piece; all pieces of a scan have as many partitions; what is not known to bear it is
//! read in one piece. A limit inside a scan counts the rows of one reader, so that such a scan has one piece.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::common::Result;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::datasource::physical_plan::{FileGroup, FileGroupPartitioner, FileScanConfig};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties as _, Partitioning, ReplaceChildrenOptions,
};
use datafusion_distributed::{
    DesiredTaskCountEvent, DesiredTaskCountEventResponse, DistributedLeafExec, ScaleUpLeafNodeEvent,
    ScaleUpLeafNodeEventResponse,
};

use super::gathered::is_missing;
use super::standing::Standing;
use super::{Workers, of};
use crate::engine::access::GuardedScan;
use crate::engine::outer::Unequal;

/// Rows that the scans of a plan read, as far as they are known.
pub(super) fn rows(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let mut rows = 0;
    // Looking at nodes cannot fail.
    let _ = plan.apply(|node| {
        if let Some(guarded) = node.downcast_ref::<GuardedScan>() {
            rows += self::rows(&guarded.inner);
        } else if node.children().is_empty() {
            rows += of_scan(node);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    rows
}

fn of_scan(leaf: &Arc<dyn ExecutionPlan>) -> u64 {
    let statistics = StatisticsContext::new().compute(leaf.as_ref(), &StatisticsArgs::new());
    statistics.map_or(0, |statistics| match statistics.num_rows {
        Precision::Exact(rows) | Precision::Inexact(rows) => rows as u64,
        Precision::Absent => 0,
    })
}

/// In how many pieces a leaf is wanted, and which other steps want one piece.
pub(super) fn wanted(event: DesiredTaskCountEvent<'_>) -> Option<Result<DesiredTaskCountEventResponse>> {
    let plan = event.plan;
    if !plan.children().is_empty() {
        return is_missing(plan).then(|| Ok(DesiredTaskCountEventResponse::maximum(1)));
    }
    let workers = of(event.session_config)?;
    let many = if rows(plan) >= workers.rows_min / Workers::SHARE { workers.up().len().max(1) } else { 1 };
    Some(Ok(if bears_pieces(plan) {
        DesiredTaskCountEventResponse::desired(many)
    } else {
        DesiredTaskCountEventResponse::maximum(1)
    }))
}

/// A leaf as its pieces, one a task.
pub(super) fn taken_apart(event: ScaleUpLeafNodeEvent<'_>) -> Option<Result<ScaleUpLeafNodeEventResponse>> {
    let (plan, tasks) = (event.plan, event.task_count);
    if tasks <= 1 || !bears_pieces(plan) || plan.is::<EmptyExec>() {
        return None;
    }
    let pieces = pieces(plan, tasks);
    let leaf = pieces.and_then(|pieces| DistributedLeafExec::try_new(Arc::clone(plan), pieces));
    Some(leaf.map(|leaf| ScaleUpLeafNodeEventResponse::new(Arc::new(leaf))))
}

/// Whether a scan's rows may be read by several, each a piece of them.
fn bears_pieces(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if plan.fetch().is_some() {
        return false;
    }
    if let Some(guarded) = plan.downcast_ref::<GuardedScan>() {
        return row_by_row(&guarded.inner);
    }
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        let source = scan.data_source();
        if let Some(files) = source.downcast_ref::<FileScanConfig>() {
            return files.limit.is_none() && files.output_ordering.is_empty();
        }
        return source.downcast_ref::<MemorySourceConfig>().is_some_and(|rows| rows.sort_information().is_empty());
    }
    plan.is::<EmptyExec>()
}

/// Whether each row that comes out is made of one that goes in, and of nothing else.
fn row_by_row(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if plan.children().is_empty() {
        return bears_pieces(plan);
    }
    let scatters = plan.downcast_ref::<RepartitionExec>().is_some_and(|step| {
        matches!(step.partitioning(), Partitioning::RoundRobinBatch(_) | Partitioning::UnknownPartitioning(_))
    });
    let is_plain = scatters
        || plan.is::<ProjectionExec>()
        || plan.is::<FilterExec>()
        || plan.is::<Standing>()
        || plan.is::<CooperativeExec>()
        || plan.is::<Unequal>()
        || plan.is::<UnionExec>();
    is_plain && plan.fetch().is_none() && plan.children().into_iter().all(row_by_row)
}

fn pieces(plan: &Arc<dyn ExecutionPlan>, tasks: usize) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
    if let Some(guarded) = plan.downcast_ref::<GuardedScan>() {
        let guarded = |inner| -> Arc<dyn ExecutionPlan> {
            Arc::new(GuardedScan::new(inner, guarded.schema(), guarded.veil.clone()))
        };
        return Ok(each(&guarded_inner(plan), tasks)?.into_iter().map(guarded).collect());
    }
    each(plan, tasks)
}

fn guarded_inner(plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    plan.downcast_ref::<GuardedScan>().map_or_else(|| Arc::clone(plan), |guarded| Arc::clone(&guarded.inner))
}

/// A plan once for each task, over the task's pieces of its scans.
fn each(plan: &Arc<dyn ExecutionPlan>, tasks: usize) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
    let children = plan.children();
    if children.is_empty() {
        return of_leaf(plan, tasks);
    }
    let below = children.into_iter().map(|child| each(child, tasks)).collect::<Result<Vec<_>>>()?;
    let of_task = |task: usize| {
        let children = below.iter().filter_map(|pieces| pieces.get(task).map(Arc::clone)).collect();
        let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        Arc::clone(plan).replace_children(children, recompute)
    };
    (0..tasks).map(of_task).collect()
}

fn of_leaf(leaf: &Arc<dyn ExecutionPlan>, tasks: usize) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
    let source = leaf.downcast_ref::<DataSourceExec>().map(DataSourceExec::data_source);
    if let Some(files) = source.and_then(|source| source.downcast_ref::<FileScanConfig>()) {
        return Ok(of_files(files, leaf.output_partitioning().partition_count(), tasks));
    }
    if let Some(memory) = source.and_then(|source| source.downcast_ref::<MemorySourceConfig>()) {
        return of_memory(memory, tasks);
    }
    // What is empty is empty in every piece.
    Ok(vec![Arc::clone(leaf); tasks])
}

/// Ranges of files, dealt out in turn.
fn of_files(scan: &FileScanConfig, partitions: usize, tasks: usize) -> Vec<Arc<dyn ExecutionPlan>> {
    let ranges = FileGroupPartitioner::new()
        .with_target_partitions(partitions * tasks)
        .with_repartition_file_min_size(0)
        .repartition_file_groups(&scan.file_groups)
        .unwrap_or_else(|| scan.file_groups.clone());
    let mut dealt = vec![vec![FileGroup::new(Vec::new()); partitions]; tasks];
    for (place, group) in ranges.into_iter().enumerate() {
        let (task, partition) = (place % tasks, place / tasks % partitions);
        if let Some(hand) = dealt.get_mut(task).and_then(|groups| groups.get_mut(partition)) {
            group.into_inner().into_iter().for_each(|file| hand.push(file));
        }
    }
    let piece = |file_groups| -> Arc<dyn ExecutionPlan> {
        let mut piece = scan.clone();
        piece.file_groups = file_groups;
        DataSourceExec::from_data_source(piece)
    };
    dealt.into_iter().map(piece).collect()
}

/// Rows one after the other, with the columns that are asked for and no others.
fn of_memory(scan: &MemorySourceConfig, tasks: usize) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
    let whole = scan.original_schema();
    let schema = match scan.projection() {
        Some(places) => Arc::new(whole.project(places)?),
        None => whole,
    };
    let mut partitions = Vec::with_capacity(scan.partitions().len());
    for batches in scan.partitions() {
        let asked = batches.iter().map(|batch| match scan.projection() {
            Some(places) => batch.project(places),
            None => Ok(batch.clone()),
        });
        let asked = asked.collect::<std::result::Result<Vec<RecordBatch>, _>>()?;
        partitions.push(concat_batches(asked.first().map_or(&schema, RecordBatch::schema_ref), &asked)?);
    }
    let of_task = |task: usize| -> Result<Arc<dyn ExecutionPlan>> {
        let slice = |rows: &RecordBatch| {
            let (from, to) = (rows.num_rows() * task / tasks, rows.num_rows() * (task + 1) / tasks);
            if from == to { Vec::new() } else { vec![rows.slice(from, to - from)] }
        };
        let slices: Vec<Vec<RecordBatch>> = partitions.iter().map(slice).collect();
        Ok(DataSourceExec::from_data_source(MemorySourceConfig::try_new(&slices, Arc::clone(&schema), None)?))
    };
    (0..tasks).map(of_task).collect()
}

/// The plan with what its rows in memory are asked for and no more: unread columns need not travel.
pub(super) fn slimmed(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        let source = node.downcast_ref::<DataSourceExec>().map(DataSourceExec::data_source);
        let Some(memory) = source.and_then(|source| source.downcast_ref::<MemorySourceConfig>()) else {
            return Ok(Transformed::no(node));
        };
        if memory.projection().is_none() || !memory.sort_information().is_empty() || node.fetch().is_some() {
            return Ok(Transformed::no(node));
        }
        Ok(of_memory(memory, 1)?.pop().map_or(Transformed::no(node), Transformed::yes))
    })?;
    Ok(changed.data)
}
