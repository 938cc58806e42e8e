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
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::operator_statistics::{
    ExtendedStatistics, StatisticsProvider, StatisticsRegistry, StatisticsResult,
};
use datafusion::physical_plan::union::InterleaveExec;

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
            [Some(left), Some(right)] if !plan.is::<InterleaveExec>() => joined(plan, *left, *right),
            [Some(input)] => grouped(plan, *input),
            inputs if plan.is::<InterleaveExec>() => inputs.iter().copied().sum(),
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

/// Groups are at most as many as rows. Who groups does so because they are fewer: of a table and its groups, these are kept.
fn grouped(plan: &dyn ExecutionPlan, input: usize) -> Option<usize> {
    let grouping = plan.downcast_ref::<AggregateExec>()?;
    let groups = grouping.group_expr();
    match (groups.is_true_no_grouping(), groups.is_single()) {
        (true, _) => Some(1),
        (false, true) if *grouping.mode() == AggregateMode::Partial => Some(input),
        (false, true) => Some(input.div_ceil(2)),
        // Each grouping set has its own.
        (false, false) => Some(input.saturating_mul(groups.groups().len())),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
    use datafusion::datasource::MemTable;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// The columns of the side that the topmost join keeps in memory.
    async fn kept(sql: &str) -> Vec<String> {
        let mut config = SessionConfig::new().with_target_partitions(1);
        config.options_mut().optimizer.use_statistics_registry = true;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_default_features()
            .with_statistics_registry(registry())
            .build();
        let session = SessionContext::new_with_state(state);
        for (name, columns, rows) in [
            ("invoices", ["invoice", "of"], 1000),
            ("projects", ["project", "size"], 100),
            ("clock", ["day", "zone"], 1),
        ] {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
            let batch = RecordBatch::try_from_iter(columns.map(|column| (column, Arc::clone(&numbers)))).unwrap();
            let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
            session.register_table(name, Arc::new(table)).unwrap();
        }
        let plan = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let mut kept = Vec::new();
        plan.apply(|node| {
            let children = node.children();
            let [left, _] = children.as_slice() else { return Ok(TreeNodeRecursion::Continue) };
            kept = left.schema().fields().iter().map(|field| field.name().clone()).collect();
            Ok(TreeNodeRecursion::Stop)
        })
        .unwrap();
        kept
    }

    #[tokio::test]
    async fn the_smaller_side_is_kept_behind_a_join_too() {
        let joined = "from invoices join projects on project = of";
        assert_eq!(kept(&format!("select invoice, size, day {joined} cross join clock")).await, ["day"]);
        let loops = format!("select invoice, size {joined} cross join clock where size + invoice <= day");
        assert_eq!(kept(&loops).await, ["day"]);
        let grouped = format!("select totals.of, day from (select of, sum(size) as size {joined} group by of) totals");
        assert_eq!(kept(&format!("{grouped} left join clock on day <> totals.size")).await, ["day"]);
        let by_key =
            format!("select invoice, zone from (select invoice, of, size {joined}) found join clock on day = size");
        assert_eq!(kept(&by_key).await, ["day", "zone"]);
        let shares = "select size, most from projects join (select size as of, max(project) as most from projects group by size) \
                      groups on groups.of = size";
        assert_eq!(kept(shares).await, ["of", "most"]);
    }
}
