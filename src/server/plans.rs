//! The plans and answers of statements that a session runs again and again.
//!
//! Planning a small statement takes longer than running it. What is kept is a plan without files: each run puts scans of the
//! session's own commit into it. Over views whose rows are kept, a small answer is kept too, for the moment that it was read
//! at: a commit never changes. Invariants:
//! - What is kept is of the same statement over the same tables and views, not of one that reads alike: the tables are the
//!   very objects that its names meant. Other definitions, and what a role may read of a table, are other objects.
//! - Nothing that a moment decides is kept: statements that call functions of the clock, of settings or of names are planned
//!   each time, and so is every statement under another time zone.
//! - A plan is kept for a statement that was short before: the kept one runs on one core.
//! - An answer is given to nobody but the session that asked for it, and only at the moment whose rows it has.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::each_row::{self, Abandoned};
use crate::engine::options::{MomentKey, TieoutOptions};
use crate::engine::{DeferredPlan, has_expression, has_kept_rows, sources, workers};

/// Statements of a session that are remembered.
const KEPT_MAX: usize = 16;
/// What took longer is planned anew: then planning is the small part.
const SHORT: Duration = Duration::from_millis(100);

/// More nodes may lie deeper in each other than a thread's stack reaches.
const NODES_MAX: usize = 200;

/// Bytes of an answer that is kept, and of those of all sessions.
const ANSWER_BYTES_MAX: usize = 256 << 10;
const ANSWERS_BYTES_MAX: u64 = 64 << 20;
/// How many answers are expected, to begin with.
const ANSWERS: usize = 1_000;

/// The answers of all sessions, each by the number of its statement, which no other has.
pub(crate) struct Answers {
    rows: Cache<u64, (MomentKey, RecordBatch), Bytes>,
    next: AtomicU64,
}

/// By bytes.
#[derive(Clone)]
struct Bytes;

impl Weighter<u64, (MomentKey, RecordBatch)> for Bytes {
    fn weight(&self, _: &u64, (_, rows): &(MomentKey, RecordBatch)) -> u64 {
        rows.get_array_memory_size() as u64 + 1
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self { rows: Cache::with_weighter(ANSWERS, ANSWERS_BYTES_MAX, Bytes), next: AtomicU64::default() }
    }
}

/// A session's statements, the latest first.
pub(super) struct Plans {
    entries: Mutex<VecDeque<Entry>>,
    answers: Arc<Answers>,
}

struct Entry {
    number: u64,
    plan: LogicalPlan,
    sources: Vec<usize>,
    zone: Option<String>,
    /// One core is enough for it.
    is_short: bool,
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
    /// The moment whose rows they are, where they may be kept.
    pub(super) moment: Option<MomentKey>,
    /// Held until it ends.
    pub(super) held: Option<OwnedMutexGuard<()>>,
}

/// How a statement went, for when it comes again.
pub(super) struct Ran {
    pub(super) took: Duration,
    /// All of its rows, if they are few and may be kept.
    pub(super) answer: Option<(MomentKey, RecordBatch)>,
}

impl Plans {
    /// No statement yet; answers go among those of other sessions.
    pub(super) fn beside(answers: &Arc<Answers>) -> Self {
        Self { entries: Mutex::default(), answers: Arc::clone(answers) }
    }

    /// The rows of a statement, if they are known at the session's moment.
    pub(super) async fn answer(&self, context: &SessionContext, plan: &LogicalPlan) -> Option<RecordBatch> {
        let state = context.state_ref();
        let (options, zone) = {
            let state = state.read();
            let options = state.config_options();
            (options.extensions.get::<TieoutOptions>()?.clone(), options.execution.time_zone.clone())
        };
        let number = self.with(zone.as_deref(), plan, |entry| entry.number)?;
        let (moment, rows) = self.answers.rows.get(&number)?;
        // A moment that is none is an error, which the statement itself tells.
        (options.key_now().await.ok()?? == moment).then_some(rows)
    }

    /// How a plan is carried out now.
    pub(super) async fn physical(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
        abandoned: &Abandoned,
    ) -> Result<Carried> {
        let zone = zone(state);
        let known = self.with(zone, plan, |entry| {
            let is_tried = std::mem::replace(&mut entry.is_tried, true);
            (entry.kept.clone(), is_tried || !entry.is_short)
        });
        let kept = match known {
            Some((None, false)) => {
                let kept = kept(state, plan).await;
                self.with(zone, plan, |entry| entry.kept.clone_from(&kept));
                kept
            }
            Some((kept, _)) => kept,
            None => None,
        };
        let moment =
            if reads_kept_rows(plan) && is_lasting(plan) { TieoutOptions::lasting_key(state).await? } else { None };
        if let Some(kept) = kept
            && let Ok(run) = kept.runs.try_lock_owned()
        {
            return Ok(Carried { plan: kept.plan.at(state).await?, moment, held: Some(run) });
        }
        let physical = each_row::physical(state, plan, abandoned).await?;
        Ok(Carried { plan: workers::sent_out(state, physical).await, moment, held: None })
    }

    /// Remembers a statement that ran, to keep its plan when it comes again, and its answer until the moment is another.
    pub(super) fn note(&self, zone: Option<&str>, plan: &LogicalPlan, ran: Ran) {
        let Ran { took, answer } = ran;
        let is_short = took <= SHORT;
        let number = self.with(zone, plan, |entry| entry.number);
        let number = match number {
            Some(number) => number,
            None if is_shallow(plan) && is_lasting(plan) && (is_short || answer.is_some()) => {
                let number = self.answers.next.fetch_add(1, Ordering::Relaxed);
                let (sources, zone) = (sources(plan), zone.map(str::to_owned));
                let entry = Entry { number, plan: plan.clone(), sources, zone, is_short, kept: None, is_tried: false };
                let mut all = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
                all.push_front(entry);
                // Nobody asks for the answer of a statement that is forgotten.
                let kept = KEPT_MAX.min(all.len());
                for forgotten in all.drain(kept..) {
                    self.answers.rows.remove(&forgotten.number);
                }
                number
            }
            None => return,
        };
        if let Some(answer) = answer {
            self.answers.rows.insert(number, answer);
        }
    }

    fn with<T>(&self, zone: Option<&str>, plan: &LogicalPlan, ask: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut all = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let place = all.iter().position(|entry| entry.zone.as_deref() == zone && entry.plan == *plan)?;
        let mut entry = all.remove(place)?;
        let told = (entry.sources == sources(plan)).then(|| ask(&mut entry));
        all.push_front(entry);
        told
    }
}

/// The rows of an answer that runs, as long as they are few.
pub(super) struct Gathered {
    moment: MomentKey,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Gathered {
    pub(super) fn at(moment: MomentKey) -> Self {
        Self { moment, batches: Vec::new(), bytes: 0 }
    }

    /// With more rows; none if they have become too many.
    pub(super) fn with(mut self, batch: &RecordBatch) -> Option<Self> {
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch.clone());
        (self.bytes <= ANSWER_BYTES_MAX).then_some(self)
    }

    /// All of them; none where the plan promised other rows than came.
    pub(super) fn answer(self, schema: &SchemaRef) -> Option<(MomentKey, RecordBatch)> {
        Some((self.moment, concat_batches(schema, &self.batches).ok()?))
    }
}

impl Drop for Plans {
    fn drop(&mut self) {
        // Nobody else asks for them.
        for entry in self.entries.get_mut().unwrap_or_else(PoisonError::into_inner) {
            self.answers.rows.remove(&entry.number);
        }
    }
}

fn zone(state: &SessionState) -> Option<&str> {
    state.config_options().execution.time_zone.as_deref()
}

/// A plan to keep, for one core; none of a statement that some moment's rows or a subquery for each row is part of.
async fn kept(state: &SessionState, plan: &LogicalPlan) -> Option<Kept> {
    let mut state = state.clone();
    *state.config_mut() = state.config().clone().with_target_partitions(1);
    let optimized = state.optimize(plan).ok()?;
    let plan = Arc::new(DeferredPlan::new(&optimized, &state).await.ok().flatten()?);
    Some(Kept { plan, runs: Arc::default() })
}

/// Whether everything that a plan reads is a view whose rows are kept.
pub(super) fn reads_kept_rows(plan: &LogicalPlan) -> bool {
    let (mut some, mut all) = (false, true);
    // Looking at nodes cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            some = true;
            all &= source_as_provider(&scan.source).is_ok_and(|table| has_kept_rows(table.as_ref()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    some && all
}

/// Whether a plan means the same whenever it runs.
fn is_lasting(plan: &LogicalPlan) -> bool {
    let is_open = |expr: &Expr| matches!(expr, Expr::Placeholder(_));
    is_steady(plan) && has_expression(plan, is_open).is_ok_and(|is_open| !is_open)
}

/// Whether any thread has the stack to copy and compare a plan.
pub(super) fn is_shallow(plan: &LogicalPlan) -> bool {
    let (mut nodes, mut longest) = (0, 0);
    let walked = plan.apply_with_subqueries(|node| {
        nodes += 1;
        node.apply_expressions(|expression| {
            let mut parts = 0;
            expression.apply(|_| {
                parts += 1;
                Ok(TreeNodeRecursion::Continue)
            })?;
            longest = longest.max(parts);
            Ok(TreeNodeRecursion::Continue)
        })
    });
    walked.is_ok() && nodes <= NODES_MAX && longest <= NODES_MAX
}

/// Whether a plan means the same whenever the same values stand in its placeholders.
pub(super) fn is_steady(plan: &LogicalPlan) -> bool {
    let mut is_query = true;
    let walked = plan.apply_with_subqueries(|node| {
        is_query &= !matches!(node, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::Extension(_));
        Ok(TreeNodeRecursion::Continue)
    });
    let moves = |expr: &Expr| match expr {
        Expr::ScalarFunction(function) => function.func.signature().volatility != Volatility::Immutable,
        Expr::ScalarVariable(..) => true,
        _ => false,
    };
    walked.is_ok() && is_query && has_expression(plan, moves).is_ok_and(|moves| !moves)
}

#[cfg(test)]
mod tests {
    use datafusion::physical_plan::collect;

    use super::*;
    use crate::engine::SessionRequest;
    use crate::engine::tests::{Firm, definitions, settings};
    use crate::warehouse::rows::CoverageStatus;

    /// Longer than a session trusts the newest commit that it knows.
    const HEAD_AGE: Duration = Duration::from_millis(1_100);

    async fn run(plans: &Plans, context: &SessionContext, plan: &LogicalPlan) -> Vec<RecordBatch> {
        let state = context.state();
        let abandoned: Abandoned = Arc::new(|| false);
        let carried = plans.physical(&state, plan, &abandoned).await.unwrap();
        let batches = collect(carried.plan, state.task_ctx()).await.unwrap();
        let gathered = carried.moment.map(Gathered::at);
        let gathered = batches.iter().fold(gathered, |gathered, batch| gathered.and_then(|all| all.with(batch)));
        let answer = gathered.and_then(|all| all.answer(&batches[0].schema()));
        plans.note(zone(&state), plan, Ran { took: Duration::ZERO, answer });
        batches
    }

    fn set(context: &SessionContext, key: &str, value: &str) {
        context.state_ref().write().config_mut().options_mut().set(key, value).unwrap();
    }

    #[tokio::test]
    async fn an_answer_is_known_at_its_own_moment_alone() {
        let mut firm = Firm::new(definitions(&[]), settings()).await;
        let read = [("1", CoverageStatus::Ok)];
        firm.day(&[("a", "1", 500, "approved"), ("b", "1", 700, "approved")], &[], &read).await;
        let context = firm.engine.session(&SessionRequest::default()).await.unwrap();
        let answers = Arc::default();
        let plans = Plans::beside(&answers);
        let text = "select count(*) as n from recon.change_order_stuck where amount_at_risk > 1";
        let plan = context.state().create_logical_plan(text).await.unwrap();
        assert!(plans.answer(&context, &plan).await.is_none());
        for _ in 0..3 {
            let rows = run(&plans, &context, &plan).await;
            assert_eq!(plans.answer(&context, &plan).await, rows.first().cloned());
        }
        // Another statement of the same text means the same tables.
        let again = context.state().create_logical_plan(text).await.unwrap();
        assert!(plans.answer(&context, &again).await.is_some());
        let other = context.state().create_logical_plan(&text.replace("> 1", "> 6")).await.unwrap();
        assert!(plans.answer(&context, &other).await.is_none());
        // Another session has answers of its own.
        assert!(Plans::beside(&answers).answer(&context, &plan).await.is_none());

        for (key, value) in [("tieout.accounting_date", "2026-01-31"), ("datafusion.execution.time_zone", "+01:00")] {
            let before = context.state().config_options().entries().into_iter().find(|entry| entry.key == key);
            set(&context, key, value);
            assert!(plans.answer(&context, &plan).await.is_none(), "{key}");
            set(&context, key, &before.and_then(|entry| entry.value).unwrap_or_default());
            assert!(plans.answer(&context, &plan).await.is_some(), "{key}");
        }
        firm.day(&[("a", "1", 500, "approved")], &[], &read).await;
        tokio::time::sleep(HEAD_AGE).await;
        assert!(plans.answer(&context, &plan).await.is_none());
        set(&context, "tieout.as_of", "commit:1");
        let first = run(&plans, &context, &plan).await;
        set(&context, "tieout.as_of", "");
        assert_ne!(run(&plans, &context, &plan).await, first);

        // What a table holds, and what the clock says, is read each time.
        for text in [
            "select count(*) as n from pm.change_orders",
            "select count(*) as n, now() as t from recon.change_order_stuck",
        ] {
            let plan = context.state().create_logical_plan(text).await.unwrap();
            for _ in 0..3 {
                run(&plans, &context, &plan).await;
            }
            assert!(plans.answer(&context, &plan).await.is_none(), "{text}");
        }
        drop(plans);
        assert_eq!(answers.rows.len(), 0);
    }
}
