//! A plan that is executed at one commit after another.
//!
//! Most of what a small query costs is optimising its plan, and for checks the plan is the same at every commit. Invariant:
//! an optimised plan is kept only if nothing in it was folded from the moment at which it was optimised, such as `now()`. A
//! physical plan is kept too where one core is enough; where it is not, the sizes of the tables must be known to plan well.

use arrow::array::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::collect;
use tokio::sync::{Mutex, OnceCell};

use crate::engine::deferred::DeferredPlan;
use crate::engine::functions;

/// A plan and, once it ran, its optimised form.
#[derive(Debug)]
pub(crate) struct Repeated {
    plan: LogicalPlan,
    is_timeless: bool,
    optimized: OnceCell<LogicalPlan>,
    /// For one partition; none if it cannot be kept. Held while it runs: executions may share parts of the plan.
    physical: Mutex<Option<Option<DeferredPlan>>>,
}

impl Repeated {
    /// A plan for sessions that differ in nothing but the commit which they read.
    pub(crate) fn new(plan: LogicalPlan) -> Self {
        let is_timeless = is_timeless(&plan).unwrap_or(false);
        Self { plan, is_timeless, optimized: OnceCell::new(), physical: Mutex::default() }
    }

    /// A plan for sessions with settings of their own: optimised anew each time.
    pub(crate) fn anew(plan: LogicalPlan) -> Self {
        Self { plan, is_timeless: false, optimized: OnceCell::new(), physical: Mutex::default() }
    }

    pub(crate) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    pub(crate) async fn execute(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let Some(state) = session.as_any().downcast_ref::<SessionState>().filter(|_| self.is_timeless) else {
            let physical = session.create_physical_plan(&self.plan).await?;
            return collect(physical, session.task_ctx()).await;
        };
        let optimized = self.optimized.get_or_try_init(|| async { state.optimize(&self.plan) }).await?;
        if state.config().target_partitions() == 1 {
            let mut physical = self.physical.lock().await;
            if physical.is_none() {
                *physical = Some(DeferredPlan::new(optimized, state).await?);
            }
            if let Some(Some(deferred)) = physical.as_ref() {
                return collect(deferred.at(session).await?, session.task_ctx()).await;
            }
        }
        let physical = state.query_planner().create_physical_plan(optimized, state).await?;
        collect(physical, session.task_ctx()).await
    }
}

#[cfg(test)]
impl Repeated {
    /// Whether it ran on a physical plan that it keeps.
    pub(crate) async fn is_kept(&self) -> bool {
        matches!(self.physical.lock().await.as_ref(), Some(Some(_)))
    }
}

/// Whether optimising folds nothing that another moment would fold otherwise. Our own settings are the same for all.
fn is_timeless(plan: &LogicalPlan) -> Result<bool> {
    let mut is_timeless = true;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::ScalarFunction(call) = part
                    && call.func.signature().volatility != Volatility::Immutable
                    && !functions::is_setting(call.func.name())
                {
                    is_timeless = false;
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(is_timeless)
}
