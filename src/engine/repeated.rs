//! A plan that is executed at one commit after another.
//!
//! Most of what a small query costs is optimising its plan, and for checks the plan is the same at every commit. Invariant:
//! an optimised plan is kept only if nothing in it was folded from the moment at which it was optimised, such as `now()`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::collect;
use tokio::sync::OnceCell;

use crate::engine::functions;

/// A plan and, once it ran, its optimised form.
#[derive(Debug)]
pub(crate) struct Repeated {
    plan: LogicalPlan,
    is_timeless: bool,
    optimized: OnceCell<LogicalPlan>,
}

impl Repeated {
    /// A plan for sessions that differ in nothing but the commit which they read.
    pub(crate) fn new(plan: LogicalPlan) -> Self {
        let is_timeless = is_timeless(&plan).unwrap_or(false);
        Self { plan, is_timeless, optimized: OnceCell::new() }
    }

    /// A plan for sessions with settings of their own: optimised anew each time.
    pub(crate) fn anew(plan: LogicalPlan) -> Self {
        Self { plan, is_timeless: false, optimized: OnceCell::new() }
    }

    pub(crate) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    pub(crate) async fn execute(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let state = session.as_any().downcast_ref::<SessionState>().filter(|_| self.is_timeless);
        let physical = match state {
            Some(state) => {
                let optimized = self.optimized.get_or_try_init(|| async { state.optimize(&self.plan) }).await?;
                state.query_planner().create_physical_plan(optimized, state).await?
            }
            None => session.create_physical_plan(&self.plan).await?,
        };
        collect(Arc::clone(&physical), session.task_ctx()).await
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
