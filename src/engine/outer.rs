//! Keeps what is constant on one side of a join, or below `rollup`, from being taken for constant behind it.
//!
//! Of `… left join (select * from t where status = 'open') o on …` DataFusion takes `o.status` for one value in every row, though
//! rows without a match have null there: it leaves out the sort of an `order by o.status`, and the rows of a window's partition
//! stay mixed. The same of `group by rollup (status)`. So inputs whose columns may be missing behind a node say nothing of
//! their columns' values, nor of their order, which would leave out what is constant.
//!
//! And of the side that a join reads row by row it forgets what was constant there (`EquivalenceClass::try_with_offset` of
//! `DataFusion` 55): it leaves out a sort below the join, and then refuses its own plan, which seems unsorted. So that side
//! says nothing of its constants either.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{JoinType, Statistics};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{AcrossPartitions, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties,
    ReplaceChildrenOptions,
};

/// DataFusion's rules, with ours once joins have their sides, before the first that looks at a plan's order.
pub(crate) fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let sides_chosen = rules.iter().position(|rule| rule.name() == "join_selection");
    rules.insert(sides_chosen.map_or(0, |selection| selection + 1), Arc::new(Outer));
    rules
}

#[derive(Debug)]
struct Outer;

impl PhysicalOptimizerRule for Outer {
    fn name(&self) -> &'static str {
        "outer"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            if node.is::<UnionExec>() && varies(&node) {
                return Ok(Transformed::yes(Unequal::over(node)));
            }
            let grouping = node.downcast_ref::<AggregateExec>().map(AggregateExec::group_expr);
            let tells = |child: &Arc<dyn ExecutionPlan>| !child.equivalence_properties().eq_group().is_empty();
            let has_constants = |child: &Arc<dyn ExecutionPlan>| !child.equivalence_properties().constants().is_empty();
            let hidden: Vec<bool> = match (join_type(node.as_ref()), node.children().as_slice()) {
                (Some(JoinType::Left), [_, right]) => vec![false, tells(right)],
                (Some(JoinType::Right), [left, right]) => vec![tells(left), has_constants(right)],
                (Some(JoinType::Full), [left, right]) => vec![tells(left), tells(right)],
                (Some(JoinType::Inner), [_, right]) => vec![false, has_constants(right)],
                (None, [input]) if grouping.is_some_and(|groups| !groups.is_single()) => vec![tells(input)],
                _ => return Ok(Transformed::no(node)),
            };
            if !hidden.contains(&true) {
                return Ok(Transformed::no(node));
            }
            let mut children: Vec<_> = node.children().into_iter().cloned().collect();
            for (child, _) in children.iter_mut().zip(hidden).filter(|(_, hidden)| *hidden) {
                *child = Unequal::over(Arc::clone(child));
            }
            let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(node.replace_children(children, recompute)?))
        })?;
        Ok(changed.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether a column is constant in each branch of a union, and another constant in the next. DataFusion leaves it out of a sort
/// of each branch, and refuses its own plan where a join stands between that and the merge.
fn varies(union: &Arc<dyn ExecutionPlan>) -> bool {
    let constants = union.equivalence_properties().constants();
    constants.iter().any(|constant| constant.across_partitions == AcrossPartitions::Heterogeneous)
}

fn join_type(node: &dyn ExecutionPlan) -> Option<JoinType> {
    let hash = node.downcast_ref::<HashJoinExec>().map(|join| *join.join_type());
    let merge = || node.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type);
    let piecewise = || node.downcast_ref::<PiecewiseMergeJoinExec>().map(PiecewiseMergeJoinExec::join_type);
    let nested = || node.downcast_ref::<NestedLoopJoinExec>().map(|join| *join.join_type());
    hash.or_else(merge).or_else(piecewise).or_else(nested)
}

/// Passes its input on, without a word of which of its columns are constant, equal or in order.
#[derive(Debug)]
pub(crate) struct Unequal {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl Unequal {
    pub(crate) fn over(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let nothing = EquivalenceProperties::new(input.schema());
        let properties = PlanProperties::clone(input.properties()).with_eq_properties(nothing);
        Arc::new(Self { input, properties: Arc::new(properties) })
    }
}

impl DisplayAs for Unequal {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unequal")
    }
}

impl ExecutionPlan for Unequal {
    fn name(&self) -> &'static str {
        "Unequal"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// Below, a sort would leave out what is constant there.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
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
        Ok(Self::over(input.ok_or_else(|| DataFusionError::Internal("Unequal has one input".to_owned()))?))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let input = inputs.first().map(Arc::clone);
        input.ok_or_else(|| DataFusionError::Internal("Unequal has one input".to_owned()))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(filters, &self.children())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray as _, RecordBatch};
    use datafusion::arrow::compute::cast;
    use datafusion::arrow::datatypes::DataType;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// The first column's texts, null as `-`.
    async fn asked(sql: &str) -> Vec<String> {
        asked_in(2, sql).await
    }

    async fn asked_in(partitions: usize, sql: &str) -> Vec<String> {
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(partitions))
            .with_default_features()
            .with_physical_optimizer_rules(rules())
            .build();
        let frame = SessionContext::new_with_state(state).sql(sql).await.unwrap();
        let batches = frame.collect().await.unwrap();
        let texts = |batch: &RecordBatch| {
            let texts = cast(batch.column(0), &DataType::Utf8).unwrap();
            texts.as_string::<i32>().iter().map(|text| text.unwrap_or("-").to_owned()).collect::<Vec<_>>()
        };
        batches.iter().flat_map(texts).collect()
    }

    const DOCUMENTS: &str = "(values (1), (2), (3)) d (id)";
    const OPEN: &str =
        "(select * from (values (1, 'open'), (2, 'closed'), (3, 'open')) s (id, status) where status = 'open') o";

    #[tokio::test]
    async fn rows_without_a_match_are_sorted_among_the_others() {
        for join in [
            format!("{DOCUMENTS} left join {OPEN}"),
            format!("{OPEN} right join {DOCUMENTS}"),
            format!("{DOCUMENTS} full join {OPEN}"),
        ] {
            let rows = asked(&format!("select status from {join} on o.id = d.id order by status, d.id")).await;
            assert_eq!(rows, ["open", "open", "-"], "{join}");
            let rows = asked(&format!("select d.id from {join} on o.id = d.id order by status desc, d.id desc")).await;
            assert_eq!(rows, ["2", "3", "1"], "{join}");
            let counted = "select sum(d.id) over (partition by status order by d.id) as total";
            let rows = asked(&format!("{counted} from {join} on o.id = d.id order by d.id")).await;
            assert_eq!(rows, ["1", "2", "4"], "{join}");
        }
        let inner = format!("select status from {DOCUMENTS} join {OPEN} on o.id = d.id order by status");
        assert_eq!(asked(&inner).await, ["open", "open"]);
    }

    #[tokio::test]
    async fn totals_are_sorted_among_the_groups() {
        let rows =
            asked(&format!("select status from {OPEN} group by rollup (status) order by status nulls first")).await;
        assert_eq!(rows, ["-", "open"]);
    }

    #[tokio::test]
    async fn what_is_constant_on_the_side_read_row_by_row_is_sorted_as_it_needs() {
        let few = "(values (1), (2)) f (id)";
        let named = "(select id, 'open' as status from (values (1), (3), (4)) s (id)) o";
        for (join, others) in [
            (format!("{few} join {named} on f.id = o.id"), ["0"].as_slice()),
            (format!("{few} right join {named} on f.id = o.id"), &["7", "5", "4"]),
            (format!("{few} join {named} on f.id < o.id and f.id + o.id < 6"), &["7", "7", "6"]),
            (format!("{named} left join {few} on f.id = o.id"), &["7", "5", "4"]),
        ] {
            for partitions in [1, 2] {
                let counted = "select sum(o.id) over (partition by o.status) - o.id as others";
                let rows = asked_in(partitions, &format!("{counted} from {join} order by o.id")).await;
                assert_eq!(rows, others, "{join} in {partitions} partitions");
            }
        }
    }
}
