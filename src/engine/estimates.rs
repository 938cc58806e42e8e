//! How many rows a plan gives, where `DataFusion` knows it of the tables but not behind a join.
//!
//! A join keeps one side in memory, best the smaller. `DataFusion` compares the sides only where it knows both, and behind a
//! join it knows nothing: a million invoices joined with their projects were kept to be crossed with the one row of
//! `meta.clock`. These estimates choose sides and nothing else; no answer depends on them.
//!
//! Invariant: they need no statistics but row counts, which the manifests have. A key names one row of one side: its
//! joins give no more rows than the larger side.

use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::{JoinType, Result, Statistics};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::operator_statistics::{
    ExtendedStatistics, StatisticsProvider, StatisticsRegistry, StatisticsResult,
};

/// `DataFusion`'s estimates, with ours of what it does not know.
pub(crate) fn registry() -> StatisticsRegistry {
    let mut registry = StatisticsRegistry::default_with_builtin_providers();
    registry.register(Arc::new(Estimates));
    registry
}

#[derive(Debug)]
struct Estimates;

impl StatisticsProvider for Estimates {
    fn compute_statistics(&self, plan: &dyn ExecutionPlan, inputs: &[ExtendedStatistics]) -> Result<StatisticsResult> {
        let rows: Vec<Option<usize>> = inputs.iter().map(|input| input.base().num_rows.get_value().copied()).collect();
        let estimate = match rows.as_slice() {
            [Some(left), Some(right)] => joined(plan, *left, *right),
            [Some(input)] => grouped(plan, *input),
            _ => None,
        };
        let Some(rows) = estimate else { return Ok(StatisticsResult::Delegate) };
        let mut statistics = Statistics::new_unknown(&plan.schema());
        statistics.num_rows = Precision::Inexact(rows);
        Ok(StatisticsResult::Computed(statistics.into()))
    }
}

fn joined(plan: &dyn ExecutionPlan, left: usize, right: usize) -> Option<usize> {
    let by_key = left.max(right);
    let (inner, join_type) = if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        (by_key, *join.join_type())
    } else if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
        (by_key, join.join_type())
    } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        (left.saturating_mul(right), *join.join_type())
    } else if plan.is::<CrossJoinExec>() {
        (left.saturating_mul(right), JoinType::Inner)
    } else {
        return None;
    };
    Some(match join_type {
        JoinType::Inner => inner,
        JoinType::Left => inner.max(left),
        JoinType::Right => inner.max(right),
        JoinType::Full => inner.max(left.saturating_add(right)),
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
    })
}

/// Groups are at most as many as rows.
fn grouped(plan: &dyn ExecutionPlan, input: usize) -> Option<usize> {
    let groups = plan.downcast_ref::<AggregateExec>()?.group_expr();
    match (groups.is_true_no_grouping(), groups.is_single()) {
        (true, _) => Some(1),
        (false, true) => Some(input),
        // Each grouping set has its own.
        (false, false) => Some(input.saturating_mul(groups.groups().len())),
    }
}
