//! Physical plans that are executed at one commit after another.
//!
//! A plan is made once, over leaves that name a table and what is wanted from it, not its files. Each execution puts scans
//! of the session's own commit in their place. Invariants:
//! - What is kept holds no file, no row and no commit: every leaf is a [`DeferredScan`] or a constant, or nothing is kept.
//! - A leaf promises nothing about its rows but their schema, so that the scans of every commit fit. How many there were when
//!   the plan was made is an estimate, by which joins are ordered: without any, a table of millions is crossed with a clock of
//!   one row in as many batches as it has rows.
//! - A kept plan is never executed itself, only copies without the state of an earlier execution.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::datasource::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::datasource::{TableType, provider_as_source, source_as_provider};
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// A physical plan without its tables' files.
#[derive(Debug)]
pub(crate) struct DeferredPlan {
    plan: Arc<dyn ExecutionPlan>,
}

impl DeferredPlan {
    /// Plans an optimised logical plan for one partition; none if it has a leaf that would tie it to this commit.
    pub(crate) async fn new(optimized: &LogicalPlan, state: &SessionState) -> Result<Option<Self>> {
        let deferred = optimized.clone().transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(mut scan) => {
                scan.source = provider_as_source(Arc::new(DeferredTable(source_as_provider(&scan.source)?)));
                Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        let plan = state.query_planner().create_physical_plan(&deferred.data, state).await?;
        let mut is_free = true;
        plan.apply(|node| {
            is_free &= !node.children().is_empty() || is_constant(node.as_ref()) || node.is::<DeferredScan>();
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(is_free.then_some(Self { plan }))
    }

    /// The plan over the session's commit.
    pub(crate) async fn at(&self, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let mut leaves = Vec::new();
        self.plan.apply(|node| {
            leaves.extend(node.downcast_ref::<DeferredScan>().cloned());
            Ok(TreeNodeRecursion::Continue)
        })?;
        let mut scans = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            scans.push(Arc::new(leaf.at(session).await?));
        }
        // The same order as above: both go down before they go right.
        let mut scans = scans.into_iter();
        let plan = Arc::clone(&self.plan).transform_up(|node| {
            if !node.is::<DeferredScan>() {
                return node.reset_state().map(Transformed::yes);
            }
            let Some(scan) = scans.next() else {
                return internal_err!("a plan has more scans than were counted in it");
            };
            Ok(Transformed::yes(scan as Arc<dyn ExecutionPlan>))
        })?;
        Ok(plan.data)
    }
}

/// Whether a leaf gives the same rows at every commit. Every table is deferred, so rows in memory are a query's own `values`.
fn is_constant(leaf: &dyn ExecutionPlan) -> bool {
    let is_values = |source: &DataSourceExec| source.data_source().is::<MemorySourceConfig>();
    leaf.is::<EmptyExec>()
        || leaf.is::<PlaceholderRowExec>()
        || leaf.downcast_ref::<DataSourceExec>().is_some_and(is_values)
}

/// A table whose scan is put off.
#[derive(Debug)]
struct DeferredTable(Arc<dyn TableProvider>);

#[async_trait]
impl TableProvider for DeferredTable {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        self.0.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.0.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let now = self.0.scan(session, projection, filters, limit).await?;
        let now = StatisticsContext::new().compute(now.as_ref(), &StatisticsArgs::new())?;
        let schema = match projection {
            Some(indices) => Arc::new(self.schema().project(indices)?),
            None => self.schema(),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(DeferredScan {
            table: Arc::clone(&self.0),
            projection: projection.cloned(),
            filters: filters.to_vec(),
            limit,
            properties: Arc::new(properties),
            statistics: Arc::new(now.as_ref().clone().to_inexact()),
            scan: None,
        }))
    }
}

/// What is wanted from a table and, at a commit, the scan that gives it.
#[derive(Clone, Debug)]
struct DeferredScan {
    table: Arc<dyn TableProvider>,
    projection: Option<Vec<usize>>,
    filters: Vec<Expr>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    /// Of the commit at which the plan was made.
    statistics: Arc<Statistics>,
    scan: Option<Arc<dyn ExecutionPlan>>,
}

impl DeferredScan {
    async fn at(mut self, session: &dyn Session) -> Result<Self> {
        let scan = self.table.scan(session, self.projection.as_ref(), &self.filters, self.limit).await?;
        let is_one = scan.properties().output_partitioning().partition_count() == 1;
        self.scan = Some(if is_one { scan } else { Arc::new(CoalescePartitionsExec::new(scan)) });
        Ok(self)
    }
}

impl DisplayAs for DeferredScan {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DeferredScan")
    }
}

impl ExecutionPlan for DeferredScan {
    fn name(&self) -> &'static str {
        "DeferredScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&self.statistics))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(scan) = &self.scan else {
            return internal_err!("a plan was executed before it was given a commit");
        };
        scan.execute(partition, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray as _, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;
    use datafusion::datasource::MemTable;
    use datafusion::physical_plan::collect;
    use datafusion::physical_plan::joins::CrossJoinExec;
    use datafusion::prelude::{SessionConfig, SessionContext};

    fn session(sizes: [i64; 2]) -> SessionContext {
        let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        for (name, size) in ["items", "clock"].into_iter().zip(sizes) {
            let numbers: arrow::array::ArrayRef = Arc::new(Int64Array::from_iter_values(0..size));
            let rows = RecordBatch::try_from_iter([(name, numbers)]).unwrap();
            session
                .register_table(name, Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap()))
                .unwrap();
        }
        session
    }

    async fn deferred(session: &SessionContext, sql: &str) -> DeferredPlan {
        let plan = session.state().create_logical_plan(sql).await.unwrap();
        let optimized = session.state().optimize(&plan).unwrap();
        DeferredPlan::new(&optimized, &session.state()).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn joins_are_ordered_by_the_rows_that_there_were() {
        for (sizes, smaller) in [([1000, 1], "clock"), ([1, 1000], "items")] {
            let plan = deferred(&session(sizes), "select items, clock from items cross join clock").await;
            let mut first = None;
            plan.plan
                .apply(|node| {
                    let join = node.downcast_ref::<CrossJoinExec>();
                    first = join.map(|join| join.left().schema().field(0).name().clone()).or_else(|| first.take());
                    Ok(TreeNodeRecursion::Continue)
                })
                .unwrap();
            assert_eq!(first.as_deref(), Some(smaller));
        }
    }

    /// How many rows there were is no answer.
    #[tokio::test]
    async fn what_is_kept_counts_the_rows_of_its_moment() {
        let session = session([1000, 1]);
        let plan = deferred(&session, "select count(*) from items").await;
        let rows = collect(plan.at(&session.state()).await.unwrap(), session.task_ctx()).await.unwrap();
        assert_eq!(rows.first().unwrap().column(0).as_primitive::<Int64Type>().value(0), 1000);
        let mut leaves = 0;
        plan.plan
            .apply(|node| {
                leaves += usize::from(node.is::<DeferredScan>());
                Ok(TreeNodeRecursion::Continue)
            })
            .unwrap();
        assert_eq!(leaves, 1, "the count was folded into the plan");
    }
}
