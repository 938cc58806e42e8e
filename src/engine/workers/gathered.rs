//! Where a plan counts on having all rows of a kind in one place, although nothing in it brings them there.
//!
//! A plan for one process needs no step that gathers rows which come from one scan anyway. Once the scan is cut, it does: without
//! it each worker would sort, number or group its own part as if it were everything. Invariant: a step that wants rows together gets
//! them together, by a step that gathers them or because it is carried out in one piece with all below it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Result, not_impl_err};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, Distribution, ExecutionPlan, ExecutionPlanProperties as _, Partitioning,
    ReplaceChildrenOptions,
};

/// Steps that share something with others of their plan while they run.
const WHOLE: [&str; 3] = ["RecursiveQueryExec", "ScalarSubqueryExec", "AsyncFuncExec"];

/// The plan with steps that gather rows where it counts on one scan.
pub(super) fn gathered(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        if WHOLE.contains(&node.name()) {
            return not_impl_err!("{} is carried out as a whole", node.name());
        }
        let places = missing(&node);
        // What has an order would lose it on the way.
        let may_gather = |place: usize| {
            let child = node.children().get(place).map(|child| child.output_ordering().is_none());
            places.contains(&place) && child == Some(true)
        };
        if !(0..node.children().len()).any(may_gather) {
            return Ok(Transformed::no(node));
        }
        let children = node.children().into_iter().enumerate().map(|(place, child)| {
            let child = Arc::clone(child);
            if may_gather(place) {
                Arc::new(CoalescePartitionsExec::new(child)) as Arc<dyn ExecutionPlan>
            } else {
                child
            }
        });
        let children: Vec<Arc<dyn ExecutionPlan>> = children.collect();
        let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        Ok(Transformed::yes(node.replace_children(children, recompute)?))
    })?;
    Ok(changed.data)
}

/// Whether a step wants rows together that nothing brings together.
pub(super) fn is_missing(node: &Arc<dyn ExecutionPlan>) -> bool {
    !missing(node).is_empty()
}

/// The inputs that are as wanted only because they come in one partition.
fn missing(node: &Arc<dyn ExecutionPlan>) -> Vec<usize> {
    let wanted = node.input_distribution_requirements().into_per_child();
    let inputs = node.children().into_iter().zip(wanted).enumerate();
    let is_missing = |(place, (child, wanted)): (usize, (&Arc<dyn ExecutionPlan>, Distribution))| {
        let is_wanted = !matches!(wanted, Distribution::UnspecifiedDistribution);
        let is_one = child.output_partitioning().partition_count() == 1;
        (is_wanted && is_one && !gathers(child) && !(place == 0 && is_sent_to_all(node))).then_some(place)
    };
    inputs.filter_map(is_missing).collect()
}

/// Whether a step brings rows together, or deals them out by what they are.
fn gathers(step: &Arc<dyn ExecutionPlan>) -> bool {
    let deals = step.downcast_ref::<RepartitionExec>();
    step.is::<CoalescePartitionsExec>()
        || step.is::<SortPreservingMergeExec>()
        || deals.is_some_and(|step| matches!(step.partitioning(), Partitioning::Hash(..)))
}

/// Joins whose left side every worker is sent as a whole.
fn is_sent_to_all(join: &Arc<dyn ExecutionPlan>) -> bool {
    join.downcast_ref::<HashJoinExec>().is_some_and(|join| join.mode == PartitionMode::CollectLeft)
        || join.is::<NestedLoopJoinExec>()
        || join.is::<CrossJoinExec>()
}
