//! A plan that is executed at one commit after another.
//!
//! Most of what a small query costs is optimising its plan, and for checks the plan is the same at every commit. Invariant:
//! an optimised plan is kept only if nothing in it was folded from the moment at which it was optimised, such as `now()`. A
//! physical plan is kept too where one core is enough; where it is not, the sizes of the tables must be known to plan well.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::{ExecutionPlan, collect, execute_stream};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::engine::common_tables::{self, has_mark};
use crate::engine::deferred::DeferredPlan;
use crate::engine::held::{Held, Room};
use crate::engine::{functions, giving_way, is_short, spilling, workers};

/// A plan and, once it ran, its optimised form.
#[derive(Debug)]
pub(crate) struct Repeated {
    plan: LogicalPlan,
    is_timeless: bool,
    optimized: OnceCell<LogicalPlan>,
    /// For one partition; none if it cannot be kept.
    physical: OnceCell<Option<DeferredPlan>>,
    /// Held while the kept physical plan runs: executions may share parts of it.
    running: Mutex<()>,
}

impl Repeated {
    /// A plan for sessions that differ in nothing but the commit which they read.
    pub(crate) fn new(plan: LogicalPlan) -> Self {
        let is_timeless = !has_mark(&plan) && is_timeless(&plan).unwrap_or(false);
        Self { plan, is_timeless, optimized: OnceCell::new(), physical: OnceCell::new(), running: Mutex::default() }
    }

    /// A plan for sessions with settings of their own: optimised anew each time.
    pub(crate) fn anew(plan: LogicalPlan) -> Self {
        Self { is_timeless: false, ..Self::new(plan) }
    }

    pub(crate) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// The rows at the session's commit.
    pub(crate) async fn execute(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        self.made(session, collect).await
    }

    /// The rows at the session's commit, under a schema that they fit, to be read again.
    pub(crate) async fn hold(&self, session: &dyn Session, schema: &SchemaRef, room: &Arc<Room>) -> Result<Held> {
        let runtime = session.runtime_env();
        self.made(session, |plan, tasks| async move {
            Held::hold(execute_stream(plan, tasks)?, schema, (room, runtime)).await
        })
        .await
    }

    /// What is made of the rows at the session's commit. Where memory does not suffice, once more with joins that go to the disk.
    async fn made<Made, Making: Future<Output = Result<Made>> + Send>(
        &self,
        session: &dyn Session,
        make: impl Fn(Arc<dyn ExecutionPlan>, Arc<TaskContext>) -> Making + Sync,
    ) -> Result<Made> {
        let first = |plan| async { Box::pin(make(giving_way(plan)?, session.task_ctx())).await };
        let outcome = {
            // What fails here is a view below, which has had its own second try.
            let (physical, _running) = Box::pin(self.physical(session)).await?;
            if self.is_timeless { first(physical).await } else { workers::made_of(physical, session, first).await }
        };
        match (outcome, session.as_any().downcast_ref::<SessionState>()) {
            (Err(error), Some(state)) if is_short(&error) => {
                tracing::debug!(%error, "once more, with joins that go to the disk");
                let state = spilling(state.clone());
                let plan = giving_way(common_tables::physical(&state, &self.plan).await?)?;
                Box::pin(make(plan, state.task_ctx())).await
            }
            (outcome, _) => outcome,
        }
    }

    /// A plan to be executed once, while what comes with it is held.
    async fn physical(&self, session: &dyn Session) -> Result<(Arc<dyn ExecutionPlan>, Option<MutexGuard<'_, ()>>)> {
        let Some(state) = session.as_any().downcast_ref::<SessionState>() else {
            return Ok((session.create_physical_plan(&self.plan).await?, None));
        };
        if !self.is_timeless {
            return Ok((common_tables::physical(state, &self.plan).await?, None));
        }
        let optimized = self.optimized.get_or_try_init(|| async { state.optimize(&self.plan) }).await?;
        if state.config().target_partitions() == 1 {
            let deferred = self.physical.get_or_try_init(|| DeferredPlan::new(optimized, state)).await?;
            if let Some(deferred) = deferred {
                let running = self.running.lock().await;
                return Ok((deferred.at(session).await?, Some(running)));
            }
        }
        Ok((state.query_planner().create_physical_plan(optimized, state).await?, None))
    }
}

#[cfg(test)]
impl Repeated {
    /// Whether it ran on a physical plan that it keeps.
    pub(crate) fn is_kept(&self) -> bool {
        self.physical.get().is_some_and(Option::is_some)
    }
}

/// Whether optimising folds nothing that another moment would fold otherwise. Our own settings are the same for all.
pub(crate) fn is_timeless(plan: &LogicalPlan) -> Result<bool> {
    let moves = |part: &Expr| match part {
        Expr::ScalarFunction(call) => {
            call.func.signature().volatility != Volatility::Immutable && !functions::is_setting(call.func.name())
        }
        _ => false,
    };
    has_expression(plan, moves).map(|has| !has)
}

/// The tables that a plan reads: plans are equal whose tables only have the same names.
pub(crate) fn sources(plan: &LogicalPlan) -> Vec<usize> {
    let mut found = Vec::new();
    // Looking at nodes cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            // Each statement has sources of its own, but of the same tables.
            found.push(match source_as_provider(&scan.source) {
                Ok(table) => Arc::as_ptr(&table).cast::<()>() as usize,
                Err(_) => Arc::as_ptr(&scan.source).cast::<()>() as usize,
            });
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// Whether a plan or one of its subqueries has such an expression, at any depth.
pub(crate) fn has_expression(plan: &LogicalPlan, is: impl Fn(&Expr) -> bool) -> Result<bool> {
    let mut has = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            has = has || expression.exists(|part| Ok(is(part)))?;
            Ok(if has { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(has)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray as _, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use datafusion::datasource::MemTable;
    use datafusion::execution::memory_pool::FairSpillPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;
    use crate::engine::tests::{Firm, ask, definitions, settings};
    use crate::warehouse::rows::CoverageStatus;

    /// Every kind of plan node that keeps something while it runs.
    const ABOVE_AVERAGE: &str = "\
-- title:    Above the average of its project, among the first ones
-- check:    X1
-- entity:   change_orders
-- fix_side: pm
-- version:  1
-- scope:    project

with ranked as (
    select record_id, project_id, amount, row_number() over (partition by project_id order by amount desc) as place
    from pm.change_orders
),
averages as (
    select project_id, avg(amount) as average
    from pm.change_orders
    group by project_id
),
above as (
    select ranked.record_id, ranked.project_id, ranked.amount
    from ranked
    inner join averages on averages.project_id = ranked.project_id
    where ranked.amount > averages.average and ranked.place <= 2
    union all
    select record_id, project_id, amount
    from pm.change_orders
    where amount = (select min(amount) from pm.change_orders)
)
select distinct
    'X1:' || above.record_id as exception_key,
    above.project_id,
    above.record_id as pm_id,
    above.amount + 0 * (select count(*) from erp.change_orders) + zeros.zero as amount_at_risk
from above
cross join (values (0)) as zeros (zero)
left semi join pm.projects on projects.record_id = above.project_id
order by 1
limit 10
";

    #[tokio::test]
    async fn a_kept_plan_answers_for_each_commit() {
        let name = ("recon".to_owned(), "above_average".to_owned());
        let mut firm = Firm::new(definitions(&[("queries/recon/above_average.sql", ABOVE_AVERAGE)]), settings()).await;
        let read = [("p1", CoverageStatus::Ok), ("p2", CoverageStatus::Ok)];
        let first = [("a", "p1", 500, "approved"), ("b", "p1", 100, "draft"), ("c", "p2", 700, "approved")];
        let grown = [first[0], first[1], first[2], ("d", "p2", 900, "draft"), ("e", "p2", 100, "draft")];
        let shrunk = [("b", "p1", 300, "draft"), ("c", "p2", 50, "draft"), ("e", "p2", 100, "draft")];
        let days: [(&[_], &[&str], &[&str]); 4] = [
            (&first, &["a"], &["X1:a", "X1:b"]),
            (&grown, &["a", "c"], &["X1:a", "X1:b", "X1:c", "X1:d", "X1:e"]),
            (&shrunk, &["c"], &["X1:c", "X1:e"]),
            (&[], &[], &[]),
        ];
        for (day, (orders, erp, expected)) in days.into_iter().enumerate() {
            firm.day(orders, erp, &read).await;
            let session = firm.session().await;
            let judged =
                ask(&session, "select exception_key from system.exceptions where check_id = 'X1' order by 1").await;
            let anew = ask(&session, "select exception_key from recon.above_average order by 1").await;
            let keys: Vec<&str> = judged.split(['|', '\n', ' ']).filter(|word| word.starts_with("X1:")).collect();
            assert_eq!(keys, expected, "day {day}");
            assert_eq!(judged, anew, "day {day}");
            assert!(firm.engine.judge.question(&name, &[]).await.unwrap().is_kept(), "day {day}");
        }
    }

    /// 600,000 words, and memory for half of them.
    fn crowded() -> SessionContext {
        let mut config = SessionConfig::new().with_target_partitions(1);
        config.options_mut().execution.sort_spill_reservation_bytes = 256 << 10;
        let pool = Arc::new(FairSpillPool::new(24 << 20));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
        let session = SessionContext::new_with_config_rt(config, runtime);
        let pieces = (0..600).map(|piece: i64| {
            let numbers = piece * 1_000..(piece + 1) * 1_000;
            let words = numbers.clone().map(|number| format!("a word of more than forty letters: {number:010}"));
            let words: ArrayRef = Arc::new(StringArray::from_iter_values(words));
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers.map(|number| number * 7 % 600_000)));
            RecordBatch::try_from_iter([("number", numbers), ("word", words)]).unwrap()
        });
        let pieces: Vec<RecordBatch> = pieces.collect();
        let table = MemTable::try_new(pieces[0].schema(), vec![pieces]).unwrap();
        session.register_table("words", Arc::new(table)).unwrap();
        session
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_memory_does_not_suffice_for_is_joined_on_the_disk() {
        let state = crowded().state();
        let both = "select count(*) from (select one.number, max(one.word || other.word) as word from words one \
                    join words other on one.number = other.number group by one.number) found where word is not null";
        let plan = state.create_logical_plan(both).await.unwrap();
        for question in [Repeated::new(plan.clone()), Repeated::anew(plan)] {
            let rows = question.execute(&state).await.unwrap();
            assert_eq!(rows[0].column(0).as_primitive::<Int64Type>().value(0), 600_000);
            let held = question.hold(&state, question.plan().schema().inner(), &Arc::default()).await.unwrap();
            assert_eq!(held.rows(), 1);
        }
        // A loop over what does not fit would start the side that it reads again.
        let loops = "select count(*) from words one join words other on one.word || other.word = 'never'";
        let plan = state.create_logical_plan(loops).await.unwrap();
        let refused = Repeated::new(plan).execute(&state).await.unwrap_err().to_string();
        assert!(refused.contains("a side of a join without an equality does not fit into memory"), "{refused}");
    }
}
