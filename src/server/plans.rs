//! The plans of statements that a session runs again and again.
//!
//! Planning a small statement takes longer than running it. What is kept is a plan without files: each run puts scans of the
//! session's own commit into it. Invariants:
//! - A kept plan is that of the same statement over the same tables and views, not of one that reads alike: the tables are the
//!   very objects that its names meant. Other definitions are other objects.
//! - Nothing that a moment decides is kept: statements that call functions of the clock, of settings or of names are planned
//!   each time, and so is every statement under another time zone.
//! - A plan is kept for a statement that was short before: the kept one runs on one core.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::each_row::{self, Abandoned};
use crate::engine::{DeferredPlan, has_expression};

/// Statements of a session that are remembered.
const KEPT_MAX: usize = 16;
/// What took longer is planned anew: then planning is the small part.
const SHORT: Duration = Duration::from_millis(100);

/// A session's statements, the latest first.
#[derive(Default)]
pub(super) struct Plans(Mutex<VecDeque<Entry>>);

struct Entry {
    plan: LogicalPlan,
    sources: Vec<usize>,
    zone: Option<String>,
    /// None until the statement comes again, or if it cannot be kept.
    kept: Option<Kept>,
    is_tried: bool,
}

/// A kept plan, held by who runs it: two runs at once would share parts of it.
#[derive(Clone)]
struct Kept {
    plan: Arc<DeferredPlan>,
    runs: Arc<AsyncMutex<()>>,
}

/// How a statement is carried out.
pub(super) struct Carried {
    pub(super) plan: Arc<dyn ExecutionPlan>,
    /// The statement is remembered already.
    pub(super) is_known: bool,
    /// Held until it ends.
    pub(super) held: Option<OwnedMutexGuard<()>>,
}

impl Plans {
    /// How a plan is carried out now.
    pub(super) async fn physical(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
        abandoned: &Abandoned,
    ) -> Result<Carried> {
        let known = self.with(state, plan, |entry| {
            let is_tried = std::mem::replace(&mut entry.is_tried, true);
            (entry.kept.clone(), is_tried)
        });
        let is_known = known.is_some();
        let kept = match known {
            Some((None, false)) => {
                let kept = kept(state, plan).await;
                self.with(state, plan, |entry| entry.kept.clone_from(&kept));
                kept
            }
            Some((kept, _)) => kept,
            None => None,
        };
        if let Some(kept) = kept
            && let Ok(run) = kept.runs.try_lock_owned()
        {
            return Ok(Carried { plan: kept.plan.at(state).await?, is_known, held: Some(run) });
        }
        Ok(Carried { plan: each_row::physical(state, plan, abandoned).await?, is_known, held: None })
    }

    /// Remembers a statement that was not known and ran so long, to keep its plan when it comes again.
    pub(super) fn note(&self, state: &SessionState, plan: &LogicalPlan, took: Duration) {
        if took > SHORT || !is_lasting(plan) {
            return;
        }
        let (sources, zone) = (sources(plan), state.config_options().execution.time_zone.clone());
        let entry = Entry { plan: plan.clone(), sources, zone, kept: None, is_tried: false };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_front(entry);
        all.truncate(KEPT_MAX);
    }

    fn with<T>(&self, state: &SessionState, plan: &LogicalPlan, ask: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let zone = &state.config_options().execution.time_zone;
        let place = all.iter().position(|entry| entry.zone == *zone && entry.plan == *plan)?;
        let mut entry = all.remove(place)?;
        let told = (entry.sources == sources(plan)).then(|| ask(&mut entry));
        all.push_front(entry);
        told
    }
}

/// A plan to keep, for one core; none of a statement that some moment's rows or a subquery for each row is part of.
async fn kept(state: &SessionState, plan: &LogicalPlan) -> Option<Kept> {
    let mut state = state.clone();
    *state.config_mut() = state.config().clone().with_target_partitions(1);
    let optimized = state.optimize(plan).ok()?;
    let plan = Arc::new(DeferredPlan::new(&optimized, &state).await.ok().flatten()?);
    Some(Kept { plan, runs: Arc::default() })
}

/// The tables that a plan reads: plans are equal whose tables only have the same names.
fn sources(plan: &LogicalPlan) -> Vec<usize> {
    let mut found = Vec::new();
    // Looking at nodes cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found.push(Arc::as_ptr(&scan.source).cast::<()>() as usize);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// Whether a plan means the same whenever it runs.
fn is_lasting(plan: &LogicalPlan) -> bool {
    let mut is_query = true;
    let walked = plan.apply_with_subqueries(|node| {
        is_query &= !matches!(node, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::Extension(_));
        Ok(TreeNodeRecursion::Continue)
    });
    let moves = |expr: &Expr| match expr {
        Expr::ScalarFunction(function) => function.func.signature().volatility != Volatility::Immutable,
        Expr::ScalarVariable(..) | Expr::Placeholder(_) => true,
        _ => false,
    };
    walked.is_ok() && is_query && has_expression(plan, moves).is_ok_and(|moves| !moves)
}
