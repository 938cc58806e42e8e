//! Common tables that a query reads several times are computed once while it runs.
//!
//! DataFusion puts the plan of a common table wherever its name stands and computes each anew, with the scans and joins below.
//! As in PostgreSQL, one that is read twice or more is computed once, unless it says `not materialized`; in our own views only
//! those that say `materialized`, because a filter from outside does not reach into what is computed once. Marks are made in
//! the statement and found in its plan; whoever plans it without [`physical`] has the same rows. Invariants:
//! - What is shared lives as long as one execution: its rows are of that execution's commit and role.
//! - Rows that are held count as memory of the query, and lie in a file where there is no more of it.
//! - Whoever reads waits for a task that ends with the last of them: none waits for another reader's turn.
//!
//! Leaves out views that keep their rows (`materialized`).

mod marking;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, TableReference, exec_datafusion_err};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SubqueryAlias};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, execute_stream};
use futures::future::{BoxFuture, FutureExt as _, Shared, TryFutureExt as _};
use tokio::sync::OnceCell;

use crate::engine::held::{Held, Room};
use crate::engine::repeated::{has_expression, sources};
use crate::engine::{giving_way, workers};

pub(crate) use marking::{Once, mark, name_in};

use marking::MARK;

/// The physical plan, with its marked common tables computed once when it is executed. Not where workers carry plans out,
/// who know nothing of each other's rows, nor where a common table cannot be shared, such as one with a column twice.
///
/// # Errors
/// The plan cannot be carried out.
pub(crate) async fn physical(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    if has_mark(plan)
        && !workers::are_there(state)
        && let Ok(Some(shared)) = shared(plan)
        && let Ok(physical) = state.create_physical_plan(&shared).await
    {
        return Ok(physical);
    }
    state.create_physical_plan(plan).await
}

/// Whether a plan has a common table that is to be computed once.
pub(crate) fn has_mark(plan: &LogicalPlan) -> bool {
    let mut has = false;
    // Looking at nodes cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        has |= matches!(node, LogicalPlan::SubqueryAlias(part) if part.alias.table().starts_with(MARK));
        Ok(if has { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    has
}

/// The plan with scans in the place of its marked common tables; none if none is worth it. Those of one mark over the same
/// tables have the same rows: a view that is read as of two moments has its marks twice.
fn shared(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let mut tables: BTreeMap<(String, Vec<usize>), Arc<dyn TableProvider>> = BTreeMap::new();
    let replaced = plan.clone().transform_up_with_subqueries(|node| {
        let LogicalPlan::SubqueryAlias(part) = &node else { return Ok(Transformed::no(node)) };
        let mark = part.alias.table();
        if !mark.starts_with(MARK) || !is_worth_it(&part.input)? {
            return Ok(Transformed::no(node));
        }
        let table = tables.entry((mark.to_owned(), sources(&part.input)));
        let table = table.or_insert_with(|| Arc::new(CommonTable(Arc::new(Common::new(mark, &part.input)))));
        let source = provider_as_source(Arc::clone(table));
        let scan = LogicalPlanBuilder::scan(TableReference::bare(mark), source, None)?.build()?;
        Ok(Transformed::yes(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(scan), part.alias.clone())?)))
    })?;
    Ok((!tables.is_empty()).then_some(replaced.data))
}

/// The plan of the common table that a step reads, if it reads one.
pub(crate) fn made_by(step: &dyn ExecutionPlan) -> Option<&Arc<dyn ExecutionPlan>> {
    step.downcast_ref::<CommonScan>().map(|scan| &scan.plan)
}

/// Reading a table again, with what is wanted of it, costs less than writing its rows down.
fn is_worth_it(plan: &LogicalPlan) -> Result<bool> {
    let is_work = plan.exists(|node| {
        Ok(matches!(
            node,
            LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) | LogicalPlan::Join(_) | LogicalPlan::Window(_)
        ))
    })?;
    Ok(is_work && !has_expression(plan, |part| matches!(part, Expr::OuterReferenceColumn(..)))?)
}

/// A common table while a query runs.
struct Common {
    name: String,
    plan: LogicalPlan,
    schema: SchemaRef,
    physical: OnceCell<(Arc<dyn ExecutionPlan>, Statistics)>,
    rows: Mutex<Option<Rows>>,
}

/// The rows, once there are all; an error is everybody's.
type Rows = Shared<BoxFuture<'static, std::result::Result<Arc<Held>, Arc<DataFusionError>>>>;

impl Common {
    fn new(mark: &str, plan: &LogicalPlan) -> Self {
        let name = mark.rsplit('.').next().unwrap_or_default().to_owned();
        let schema = Arc::clone(plan.schema().inner());
        Self { name, plan: plan.clone(), schema, physical: OnceCell::new(), rows: Mutex::new(None) }
    }

    /// The rows: of a task of its own, which goes on whichever of the readers is asked for more.
    fn rows(&self, plan: &Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Rows {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || {
            let (plan, schema) = (Arc::clone(plan), Arc::clone(&self.schema));
            let task = SpawnedTask::spawn(async move {
                let room = Arc::new(Room::within(context.memory_pool(), "common table"));
                let rows = execute_stream(plan, Arc::clone(&context))?;
                Held::hold(rows, &schema, (&room, &context.runtime_env())).await.map(Arc::new)
            });
            let ended = async move {
                let held = task.join_unwind().await;
                held.map_err(|error| exec_datafusion_err!("a common table was not computed: {error}"))
                    .flatten()
                    .map_err(Arc::new)
            };
            ended.boxed().shared()
        };
        rows.get_or_insert_with(start).clone()
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Common").field(&self.name).finish()
    }
}

/// What stands in a plan for a common table.
#[derive(Debug)]
struct CommonTable(Arc<Common>);

#[async_trait]
impl TableProvider for CommonTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let common = Arc::clone(&self.0);
        let planned = || async {
            let plan = session.create_physical_plan(&self.0.plan).await?;
            let statistics = estimated(session, &plan)?;
            Ok::<_, DataFusionError>((giving_way(plan)?, statistics))
        };
        let (plan, all) = common.physical.get_or_try_init(planned).await?;
        let plan = Arc::clone(plan);
        let places: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..common.schema.fields().len()).collect());
        let schema = Arc::new(common.schema.project(&places)?);
        let statistics = Statistics {
            num_rows: all.num_rows.to_inexact(),
            total_byte_size: all.total_byte_size.to_inexact(),
            column_statistics: Statistics::unknown_column(&schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Arc::new(CommonScan { common, plan, places, properties: properties.into(), statistics: statistics.into() }))
    }
}

/// How many rows a plan gives, as the session estimates it.
fn estimated(session: &dyn Session, plan: &Arc<dyn ExecutionPlan>) -> Result<Statistics> {
    let registry = session.as_any().downcast_ref::<SessionState>().and_then(SessionState::statistics_registry);
    Ok(match registry {
        Some(registry) => registry.compute(plan.as_ref())?.base().clone(),
        None => StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new())?.as_ref().clone(),
    })
}

/// A reader of a common table. Its plan is no child: each reader would have its own of it changed.
#[derive(Debug)]
struct CommonScan {
    common: Arc<Common>,
    plan: Arc<dyn ExecutionPlan>,
    /// The columns that are wanted.
    places: Vec<usize>,
    properties: Arc<PlanProperties>,
    statistics: Arc<Statistics>,
}

impl DisplayAs for CommonScan {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CommonScan: {}", self.common.name)
    }
}

impl ExecutionPlan for CommonScan {
    fn name(&self) -> &'static str {
        "CommonScan"
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

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (common, plan, places) = (Arc::clone(&self.common), Arc::clone(&self.plan), self.places.clone());
        let schema = self.schema();
        let wanted = Arc::clone(&schema);
        let rows = async move {
            let held = common.rows(&plan, context).await.map_err(DataFusionError::Shared)?;
            Ok::<_, DataFusionError>(held.of_places(&wanted, places))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows.try_flatten_stream())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow::array::{AsArray as _, RecordBatch};
    use arrow::datatypes::Int64Type;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_plan::{collect, displayable};
    use datafusion::prelude::{SessionConfig, SessionContext};
    use datafusion::sql::parser::Statement as DataFusionStatement;
    use futures::StreamExt as _;

    use super::marking::tests::marked;
    use super::*;

    fn session() -> SessionContext {
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(100 << 20, 1.0).build_arc().unwrap();
        SessionContext::new_with_config_rt(SessionConfig::new().with_target_partitions(2), runtime)
    }

    async fn planned(session: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
        let state = session.state();
        let statement = DataFusionStatement::Statement(Box::new(marked(sql, Once::ReadAgain)));
        physical(&state, &state.statement_to_plan(statement).await.unwrap()).await.unwrap()
    }

    async fn integers(session: &SessionContext, plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<Vec<i64>>> {
        let batches = collect(Arc::clone(plan), session.task_ctx()).await?;
        let columns = |batch: &RecordBatch, row: usize| {
            batch.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(row)).collect()
        };
        Ok(batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| columns(batch, row))).collect())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_reader_has_its_columns_of_the_same_rows() {
        // So many rows that a file takes them, the second time.
        for groups in [7_i64, 30_000] {
            let session = session();
            let sql = format!(
                "with counted as (select value % {groups} as rest, count(*) as many, sum(value) as total \
                 from generate_series(1, 100000) as s(value) group by value % {groups}), \
                 greatest as (select max(total) as total, 2 as unread from counted) \
                 select counted.rest, counted.many, (select min(many) from counted) as fewest from counted \
                 left join greatest on greatest.total = counted.total where greatest.total is null order by rest"
            );
            let plan = planned(&session, &sql).await;
            let text = displayable(plan.as_ref()).indent(false).to_string();
            assert_eq!(text.matches("CommonScan: counted").count(), 3, "{text}");
            assert!(!text.contains("AggregateExec: mode=FinalPartitioned, gby"), "{text}");
            let mut counted: Vec<[i64; 3]> = (0..groups)
                .map(|rest| {
                    let values = (0..=100_000 / groups).map(|times| times * groups + rest);
                    let values = values.filter(|value| (1..=100_000).contains(value));
                    values.fold([rest, 0, 0], |[rest, many, total], value| [rest, many + 1, total + value])
                })
                .collect();
            let fewest = counted.iter().map(|[_, many, _]| *many).min().unwrap();
            let greatest = counted.iter().map(|[_, _, total]| *total).max().unwrap();
            counted.retain(|[_, _, total]| *total != greatest);
            let expected: Vec<Vec<i64>> = counted.iter().map(|[rest, many, _]| vec![*rest, *many, fewest]).collect();
            assert_eq!(integers(&session, &plan).await.unwrap(), expected);
            drop(plan);
            assert_eq!(session.runtime_env().memory_pool.reserved(), 0);
        }
    }

    #[tokio::test]
    async fn the_same_mark_over_other_tables_is_another_table() {
        let session = session();
        let state = session.state();
        let mut plans = Vec::new();
        for (table, rows) in [("one", 10), ("other", 1000)] {
            let rows = format!("create table {table} as select value from generate_series(1, {rows}) as s(value)");
            session.sql(&rows).await.unwrap().collect().await.unwrap();
            let sql = format!(
                "with a as (select count(*) as many from {table}) select a.many, b.many as again from a cross join a as b"
            );
            let statement = DataFusionStatement::Statement(Box::new(marked(&sql, Once::ReadAgain)));
            plans.push(state.statement_to_plan(statement).await.unwrap());
        }
        let [one, other] = plans.try_into().unwrap();
        let both = LogicalPlanBuilder::from(one).union(other).unwrap().build().unwrap();
        let plan = physical(&state, &both).await.unwrap();
        let text = displayable(plan.as_ref()).indent(false).to_string();
        assert_eq!(text.matches("CommonScan: a").count(), 4, "{text}");
        let mut rows = integers(&session, &plan).await.unwrap();
        rows.sort_unstable();
        assert_eq!(rows, [[10, 10], [1000, 1000]]);
    }

    #[tokio::test]
    async fn what_costs_nothing_is_read_again() {
        let session = session();
        let sql = "with few as (select value from generate_series(1, 10) as s(value) where value > 3) \
                   select count(*) from few cross join few as other";
        let plan = planned(&session, sql).await;
        assert!(!displayable(plan.as_ref()).indent(false).to_string().contains("CommonScan"));
        assert_eq!(integers(&session, &plan).await.unwrap(), [[49]]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_error_is_every_readers() {
        let session = session();
        let sql = "with halves as (select sum(10 / (value - 5)) as half from generate_series(1, 10) as s(value)) \
                   select one.half from halves as one inner join halves as other on one.half = other.half";
        let plan = planned(&session, sql).await;
        let error = integers(&session, &plan).await.unwrap_err();
        assert!(matches!(error.find_root(), DataFusionError::ArrowError(..)), "{error}");
        assert!(error.to_string().contains("Divide by zero"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn work_ends_with_the_last_reader() {
        let session = session();
        let sql = "with much as (select distinct a.value % 1000 as value from generate_series(1, 1000000) as a(value) \
                   cross join generate_series(1, 1000000) as b(value)) \
                   select count(*) from much as one inner join much as other on one.value = other.value";
        let plan = planned(&session, sql).await;
        let mut rows = execute_stream(plan, session.task_ctx()).unwrap();
        let reserved = || session.runtime_env().memory_pool.reserved();
        for _ in 0..200 {
            assert!(tokio::time::timeout(Duration::from_millis(50), rows.next()).await.is_err());
            if reserved() > 0 {
                break;
            }
        }
        assert!(reserved() > 0);
        drop(rows);
        for _ in 0..200 {
            if reserved() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} bytes are held still", reserved());
    }
}
