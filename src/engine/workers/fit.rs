//! Which functions mean the same on a worker: functions travel by name.
//!
//! Clients' statements have functions of their own, some under names of DataFusion's. A plan that calls one which a worker knows
//! otherwise, or not at all, stays here.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::not_impl_err;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::access::{GuardedScan, shown_record};

/// Functions by the names that plans call them by.
pub(super) type Functions = HashMap<String, Arc<ScalarUDF>>;

/// What a worker knows: the engine's functions, and those of statements whose names are free.
pub(super) fn known(engine: &Functions, statements: &[Arc<ScalarUDF>]) -> Functions {
    let mut all = engine.clone();
    let own = Arc::new(shown_record());
    for function in statements.iter().chain([&own]) {
        all.entry(function.name().to_owned()).or_insert_with(|| Arc::clone(function));
    }
    all
}

/// Refuses a plan with a call that means something else on a worker.
pub(super) fn check(plan: &Arc<dyn ExecutionPlan>, known: &Functions) -> Result<()> {
    plan.apply(|node| {
        if let Some(guarded) = node.downcast_ref::<GuardedScan>() {
            check(&guarded.inner, known)?;
        }
        node.apply_expressions(&mut |expression| {
            expression.apply(|part| {
                if let Some(call) = part.downcast_ref::<ScalarFunctionExpr>()
                    && known.get(call.name()).is_none_or(|known| known.as_ref() != call.fun())
                {
                    return not_impl_err!("{} is not what workers call by that name", call.name());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}
