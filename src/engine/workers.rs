//! Workers: other processes that carry out parts of a plan, over the same warehouse.
//!
//! Owns which plans go there and how: the session plans as ever, and a plan that reads many rows is cut where its rows are dealt
//! out anew anyway; the pieces are sent to the workers, and the rest runs here over what they answer. Invariants:
//! - What is read is settled before a plan leaves: commit, files, moment, the role's rows and masks are in it. A worker decides
//!   nothing and looks nothing up.
//! - What cannot be written down, or means something else there, stays here: slower, never other rows.
//! - A worker answers who knows the secret, has the same build and the same warehouse, and nobody else.
//! - A worker that is lost is an error, never fewer rows.
//!
//! `codec` writes our own steps, `leaves` cuts scans, `lines` are the connections, `listen` is the worker's side.

mod codec;
mod elsewhere;
mod fit;
mod gathered;
mod leaves;
mod lines;
mod listen;
mod standing;
mod watched;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion_distributed::GetWorkerInfoRequest;
use futures::future::join_all;
use url::Url;

use crate::engine::{Engine, Error};
use fit::Functions;

pub use elsewhere::Elsewhere;
pub use lines::{LineOptions, Lines, check_address};
pub use listen::{BoundWorker, Rewrite, WorkerOptions, WorkerTls};

/// How long a worker may take to say that it is there.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// After how long a worker that was not there is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The workers of a server.
pub struct Workers {
    members: Vec<Member>,
    lines: Arc<Lines>,
    /// Plans whose scans read fewer rows stay here.
    rows_min: u64,
    /// What workers call by which name.
    functions: OnceLock<Functions>,
    /// Stages that were sent out, over all statements.
    stages: AtomicU64,
    /// Statements that failed on workers and ran again here.
    reruns: AtomicU64,
    asked: Mutex<Option<Instant>>,
}

struct Member {
    url: Url,
    is_up: AtomicBool,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<&str> = self.members.iter().map(|member| member.url.as_str()).collect();
        f.debug_struct("Workers").field("urls", &urls).finish_non_exhaustive()
    }
}

impl Workers {
    /// A scan is cut if it has this part of the rows that a plan is sent out for.
    const SHARE: u64 = 4;

    /// Asks each worker whether it is there; who is not is left out until it answers.
    pub async fn meet(urls: Vec<Url>, lines: Arc<Lines>, rows_min: u64) -> Arc<Self> {
        let members = urls.into_iter().map(|url| Member { url, is_up: AtomicBool::new(true) }).collect();
        let (functions, asked) = (OnceLock::new(), Mutex::new(None));
        let (stages, reruns) = (AtomicU64::new(0), AtomicU64::new(0));
        let workers = Arc::new(Self { members, lines, rows_min, functions, stages, reruns, asked });
        workers.ask().await;
        workers
    }

    /// The workers that answered when they were last asked.
    pub fn up(&self) -> Vec<Url> {
        let up = self.members.iter().filter(|member| member.is_up.load(Ordering::Relaxed));
        up.map(|member| member.url.clone()).collect()
    }

    /// How many stages were sent out so far.
    pub fn stages(&self) -> u64 {
        self.stages.load(Ordering::Relaxed)
    }

    /// How many statements failed on workers and ran again here, whether or not they failed here too.
    pub fn reruns(&self) -> u64 {
        self.reruns.load(Ordering::Relaxed)
    }

    /// Asks all of them whether they are there.
    pub async fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        join_all(self.members.iter().map(|member| self.ask_one(member))).await;
    }

    async fn ask_one(&self, member: &Member) {
        let asked = async { self.lines.to(&member.url)?.get_worker_info(GetWorkerInfoRequest {}).await };
        let answer = match tokio::time::timeout(ANSWER_LIMIT, asked).await {
            Ok(answer) => answer.map(drop).map_err(|error| watched::reason(&error)),
            Err(_) => Err("it did not answer in time".to_owned()),
        };
        let was_up = member.is_up.swap(answer.is_ok(), Ordering::Relaxed);
        match answer {
            Ok(()) if !was_up => tracing::info!(worker = %member.url, "the worker is there again"),
            Ok(()) => {}
            Err(reason) => tracing::warn!(worker = %member.url, reason, "left out a worker until it answers"),
        }
    }

    /// Asks those that were not there again, at times, without keeping anybody waiting.
    fn ask_again(self: &Arc<Self>) {
        if self.members.iter().all(|member| member.is_up.load(Ordering::Relaxed)) {
            return;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return;
        }
        *asked = Some(Instant::now());
        let workers = Arc::clone(self);
        tokio::spawn(async move { workers.ask().await });
    }
}

impl Engine {
    /// Lets the sessions that are opened from now on send plans to workers, which know these functions of statements too.
    pub fn employ(&self, workers: Arc<Workers>, functions: &[Arc<ScalarUDF>]) {
        let _ = workers.functions.set(fit::known(self.reader.state().scalar_functions(), functions));
        // Who is employed first stays.
        let _ = self.workers.set(workers);
    }
}

/// The workers of a session, as its configuration holds them.
struct Known(Option<Arc<Workers>>);

fn of(config: &SessionConfig) -> Option<Arc<Workers>> {
    config.get_extension::<Known>()?.0.as_ref().map(Arc::clone)
}

/// Lets a session send plans to workers.
pub(crate) fn attach(config: &mut SessionConfig, workers: &Arc<Workers>) {
    config.set_extension(Arc::new(Known(Some(Arc::clone(workers)))));
    // A plan that runs its subqueries by itself cannot be cut.
    config.options_mut().optimizer.enable_physical_uncorrelated_scalar_subquery = false;
    if config.target_partitions() < 2 {
        // A plan for one core has no place to be cut at.
        *config = config.clone().with_target_partitions(2);
    }
}

/// The same session with nobody to send plans to.
pub(crate) fn alone(mut state: SessionState) -> SessionState {
    state.config_mut().set_extension(Arc::new(Known(None)));
    state
}

/// Whether a session has workers that are up.
pub(crate) fn are_there(state: &SessionState) -> bool {
    of(state.config()).is_some_and(|workers| !workers.up().is_empty())
}

/// The plan as it is carried out by a session's workers; as it is where there are none, or where it is better here.
pub(crate) async fn sent_out(state: &SessionState, plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let Some(workers) = of(state.config()) else { return plan };
    workers.ask_again();
    if workers.up().is_empty() || leaves::rows(&plan) < workers.rows_min {
        return plan;
    }
    match elsewhere::cut(state, Arc::clone(&plan), &workers).await {
        Ok(Some(cut)) => cut,
        Ok(None) => plan,
        Err(error) => {
            tracing::debug!(error = %error.strip_backtrace(), "a plan stays here");
            plan
        }
    }
}

/// Whether parts of a plan are carried out by workers.
pub(crate) fn is_sent_out(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<Elsewhere>()
}

/// Looks for lost workers after a plan failed that some of them carried out.
pub(crate) async fn look_after(state: &SessionState, error: &DataFusionError) {
    if let Some(workers) = of(state.config()) {
        workers.reruns.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(reason = watched::reason(error), "a statement failed on workers and runs again without them");
        workers.ask().await;
    }
}

/// The error of a statement that cannot run again because rows of it are with the client.
pub(crate) fn too_late(error: DataFusionError) -> DataFusionError {
    match watched::lost(&error) {
        Some(reason) => DataFusionError::External(Box::new(Error::WorkerLost { reason })),
        None => error,
    }
}

/// A plan as if it had never run. Steps that were cut share what they hold with those that they were made of, an error included.
pub(crate) fn anew(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| node.reset_state().map(Transformed::yes)).map(|anew| anew.data)
}

/// What is made of all rows of a plan of which nobody was given one: sent out, and carried out here if that fails.
pub(crate) async fn made_of<Made, Making: Future<Output = Result<Made>> + Send>(
    plan: Arc<dyn ExecutionPlan>,
    session: &dyn Session,
    make: impl Fn(Arc<dyn ExecutionPlan>) -> Making,
) -> Result<Made> {
    let Some(state) = session.as_any().downcast_ref::<SessionState>() else { return make(plan).await };
    let sent = sent_out(state, Arc::clone(&plan)).await;
    let is_sent_out = is_sent_out(sent.as_ref());
    match make(sent).await {
        Err(error) if is_sent_out => {
            look_after(state, &error).await;
            make(anew(plan)?).await
        }
        outcome => outcome,
    }
}
