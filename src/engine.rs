//! `DataFusion` over a warehouse.
//!
//! Owns sessions (`SET tieout.as_of`), the catalog (raw tables, `system`, `history`, `meta`, the canonical `pm` and `erp`,
//! the views of `queries/`), the functions that SQL may use, and the evaluation of the checks.
//!
//! Invariants:
//! - Nothing but this module builds a `DataFusion` session; a session reads one commit per query and never writes.
//! - Money is exact: decimal literals, decimal columns, no float.
//! - A check speaks only of what was read completely and recently; elsewhere its earlier exceptions are carried on.
//!
//! Leaves out: who may read what, and how it travels (`server`); where rows come from (`extract`).

mod access;
mod applicable;
mod blueprint;
mod cached;
mod canonical;
mod catalog;
mod cells;
mod changes;
pub mod checks;
pub(crate) mod common_tables;
mod contact;
mod coverage;
mod crosswalks;
mod damage;
mod deferred;
mod described;
mod editions;
mod estimates;
mod evaluate;
mod fields;
pub(crate) mod firm_status;
mod folded;
mod footing;
#[cfg(test)]
mod footing_tests;
mod functions;
mod giveway;
pub mod header;
mod held;
#[cfg(test)]
mod history_tests;
mod hot;
mod kept;
mod keys;
mod known;
pub mod layout;
mod links;
#[cfg(test)]
mod lives_tests;
mod marks;
mod materialized;
mod measures;
mod memory;
mod moments;
mod moves;
mod normalize;
pub mod options;
mod outer;
mod parallel;
mod pinned;
mod planner;
pub(crate) mod precedence;
mod queries;
mod readings;
mod recheck;
mod repeated;
pub mod scheduled;
mod settings;
mod shared;
#[cfg(test)]
mod shipped_tests;
pub(crate) mod similar;
mod snapshot;
mod spilling;
mod state;
mod statuses;
mod streamed;
mod suggestions;
#[cfg(test)]
pub(crate) mod tests;
mod time_functions;
#[cfg(test)]
mod time_tests;
pub(crate) mod using;
mod waive;
mod waivers;
pub(crate) mod walk;
pub mod workbench;
#[cfg(feature = "workers")]
pub mod workers;
#[cfg(not(feature = "workers"))]
#[path = "engine/alone.rs"]
pub(crate) mod workers;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProviderList};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;

use crate::definitions::Definitions;
use crate::engine::blueprint::Blueprint;
use crate::engine::editions::{Edition, Editions, Reading, SessionCatalog};
use crate::engine::evaluate::JudgedModel;
use crate::engine::options::{Heads, Moment, TieoutOptions};
use crate::engine::planner::{Keep, Planner};
use crate::warehouse::commit::{Commit, Head};
use crate::warehouse::{Prepared, Warehouse};

pub use access::Access;
pub(crate) use canonical::entities;
pub use checks::{CheckResult, Evaluation, Verdict};
pub(crate) use damage::damage;
pub(crate) use deferred::DeferredPlan;
#[cfg(test)]
pub(crate) use described::TABLES as DESCRIBED_TABLES;
pub use described::{Descriptions, ViewDescription};
pub use editions::{Reopen, commit_read_since, follow, followed};
pub(crate) use giveway::giving_way;
pub(crate) use kept::has_kept_rows;
pub use keys::{Keys, Reference, TableKeys};
pub use memory::MemoryShare;
pub use pinned::PinnedCatalog;
pub use queries::Problem;
pub use recheck::{Difference, Recheck};
pub(crate) use repeated::{has_expression, sources};
pub use settings::{EngineSettings, FirmWords, Setting, SourceBinding};
pub(crate) use spilling::{is_short, spilling};
pub use waive::{NewWaiver, Unwaive};
pub(crate) use waivers::decimal_text;
pub use workbench::Workbench;

/// From so many rows in a commit on, one check uses all cores; below, one core each, and the checks run side by side.
const PARTITIONED_ROWS_MIN: u64 = 2_000_000;

/// The catalog's name, which clients see as the database.
pub const CATALOG: &str = "tieout";

/// What can go wrong in the engine. A single view's or check's failure is no error but a [`Problem`] or a verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A manifest or the canonical model cannot be used.
    #[error("read {path}: {reason}")]
    Manifest {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A query file's header cannot be used.
    #[error("read header of {path}: {reason}")]
    Header {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting is about what is not there.
    #[error("{place}: {reason}")]
    Setting {
        /// The section and the key, as given.
        place: String,
        /// What is wrong with it, and what is known instead.
        reason: String,
    },
    /// An exception cannot be waived, or a waiver not be taken back.
    #[error("{verb} {key}: {reason}")]
    Waiver {
        /// What was asked for.
        verb: &'static str,
        /// The exception's key as given.
        key: String,
        /// Why not, and what to do instead.
        reason: String,
    },
    /// The past cannot be judged again.
    #[error("recheck: {reason}")]
    Recheck {
        /// Why not, and what to do instead.
        reason: String,
    },
    /// The definitions of an old commit cannot be read by.
    #[error(
        "read the definitions of commit {commit} ({hash}): {reason}\nhint: SET tieout.definitions = 'current' reads it \
         by today's"
    )]
    Definitions {
        /// The commit.
        commit: u64,
        /// The beginning of the SHA-256 that it names.
        hash: String,
        /// Why not.
        #[source]
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The session's role may not do this.
    #[error("{reason}\nhint: {hint}")]
    Denied {
        /// What was refused, and to whom.
        reason: String,
        /// What the role may do, and who decides about it.
        hint: String,
    },
    /// A statement was planned under other definitions than its moment's by now.
    #[error("the definitions changed since the statement was planned\nhint: send it again")]
    OtherDefinitions,
    /// A worker was lost while rows of a statement were already with the client.
    #[error("lost worker {reason}\nhint: send the statement again: it runs without that worker")]
    WorkerLost {
        /// Which, and what was seen of it.
        reason: String,
    },
    /// The warehouse failed.
    #[error(transparent)]
    Warehouse(#[from] crate::warehouse::Error),
    /// `DataFusion` failed.
    #[error(transparent)]
    DataFusion(#[from] DataFusionError),
    /// Rows could not be put together.
    #[error("assemble rows: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Error {
    /// An error of a query as what it is at bottom: the warehouse's own word, if it comes from there.
    pub fn of(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<crate::warehouse::Error>() {
                Ok(own) => Self::Warehouse(*own),
                Err(other) => match other.downcast::<Self>() {
                    Ok(own) => *own,
                    Err(other) => Self::DataFusion(DataFusionError::External(other)),
                },
            },
            DataFusionError::Context(_, inner) if matches!(inner.find_root(), DataFusionError::External(_)) => {
                Self::of(*inner)
            }
            DataFusionError::Diagnostic(_, inner) => Self::of(*inner),
            other => damage(&other).map_or(Self::DataFusion(other), Self::Warehouse),
        }
    }
}

/// What a client says when it connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRequest {
    /// The start value of `tieout.as_of`.
    pub as_of: Option<String>,
    /// The start value of `tieout.accounting_date`.
    pub accounting_date: Option<String>,
    /// The start value of `tieout.definitions`.
    pub definitions: Option<String>,
    /// The zone in which moments are shown and read; UTC if none.
    pub time_zone: Option<String>,
    /// What may be read; everything if nothing is said.
    pub access: Option<Arc<Access>>,
}

/// The connections that were ever read, in the order of their first reading; of one run by name.
fn read_before(head: &Head) -> Vec<SourceBinding> {
    let mut read: Vec<SourceBinding> = Vec::new();
    for commit in &head.commits {
        let mut runs: Vec<_> = commit.runs.iter().collect();
        runs.sort_by(|one, other| one.source.cmp(&other.source));
        for run in runs {
            if read.iter().all(|known| known.name != run.source) {
                read.push(SourceBinding { name: run.source.clone(), system: run.system.clone() });
            }
        }
    }
    read
}

/// The engine over one warehouse, one set of definitions and one set of settings.
#[derive(Debug)]
pub struct Engine {
    warehouse: Warehouse,
    blueprint: Arc<Blueprint>,
    heads: Arc<Heads>,
    /// For people: what they ask for is planned with their own predicates.
    reader: Arc<Planner>,
    /// For checks: each part of the canonical model is computed once and kept while a commit is judged.
    judge: Arc<Planner>,
    editions: Arc<Editions>,
    /// Numbers the commits that are being prepared: what is computed on one is never shown on another.
    preparations: AtomicU64,
    /// Whose rows `judge` keeps.
    judged: Mutex<Option<JudgedModel>>,
    /// Who carries out parts of what people ask.
    workers: OnceLock<Arc<workers::Workers>>,
}

impl Engine {
    /// Registers everything once; views are planned when they are asked for.
    pub async fn open(
        warehouse: Warehouse,
        definitions: Definitions,
        settings: EngineSettings,
    ) -> Result<Arc<Self>, Error> {
        Self::open_with(warehouse, definitions, settings, None).await
    }

    /// As [`Self::open`], for sessions that may read old commits by their own definitions too.
    pub async fn open_with_past(
        warehouse: Warehouse,
        definitions: Definitions,
        settings: EngineSettings,
        reopen: Reopen,
    ) -> Result<Arc<Self>, Error> {
        Self::open_with(warehouse, definitions, settings, Some(reopen)).await
    }

    async fn open_with(
        warehouse: Warehouse,
        definitions: Definitions,
        mut settings: EngineSettings,
        reopen: Option<Reopen>,
    ) -> Result<Arc<Self>, Error> {
        let heads = Arc::new(Heads::newest(warehouse.clone()));
        let head = heads.get(true).await?;
        settings.read_before = read_before(&head);
        let blueprint = Arc::new(Blueprint::load(definitions, settings)?);
        let runtime = state::runtime(&warehouse, &blueprint.settings)?;
        let planner = |keep| {
            let state = state::base(&blueprint, &heads, &runtime)?;
            let hot = (keep == Keep::Links).then(Arc::default);
            catalog::register(state, &warehouse, &blueprint, (&head, head.number()), keep, hot)
        };
        let (reader, judge) = (planner(Keep::Links)?, planner(Keep::Model)?);
        let editions = Editions::new(Edition::new(&blueprint, &reader), &warehouse, &heads, &runtime, reopen);
        let preparations = AtomicU64::new(0);
        let (judged, workers) = (Mutex::default(), OnceLock::new());
        Ok(Arc::new(Self { warehouse, blueprint, heads, reader, judge, editions, preparations, judged, workers }))
    }

    /// A session of its own: what it sets, no other session sees.
    pub async fn session(&self, request: &SessionRequest) -> Result<SessionContext, Error> {
        self.refresh().await?;
        let reading = Reading::new(&self.editions, request.access.as_ref())?;
        let options = TieoutOptions::new(&self.blueprint, Arc::clone(&self.heads)).reading_by(Arc::clone(&reading));
        // A moment that does not exist is told now, not with the first query.
        options.check("as_of", request.as_of.as_deref().unwrap_or_default()).await.map_err(Error::of)?;
        let forced = request.access.as_ref().and_then(|access| access.as_of.clone());
        let request = &SessionRequest { as_of: request.as_of.clone().or(forced), ..request.clone() };
        let session = session_over(&self.reader, options, Some(Arc::new(SessionCatalog(reading))), None);
        set(&session, request)?;
        if let Some(workers) = self.workers.get() {
            workers::attach(session.state_ref().write().config_mut(), workers);
        }
        follow(&session).await.map_err(Error::of)?;
        Ok(session)
    }

    /// Asks the warehouse for its newest commit now; queries do so by themselves at most a second late.
    pub async fn refresh(&self) -> Result<Arc<Head>, Error> {
        Ok(self.heads.get(true).await?)
    }

    /// Judges every check on a prepared commit and adds `record_statuses`, `exceptions` and `check_runs` to it.
    /// [`Self::record_coverage`] comes before it.
    pub async fn evaluate(&self, prepared: &mut Prepared) -> Result<Evaluation, Error> {
        evaluate::evaluate(self, prepared).await
    }

    /// Adds `coverage`, `rejects` and `drift` of the tables added so far to a prepared commit.
    pub async fn record_coverage(&self, prepared: &mut Prepared) -> Result<(), Error> {
        coverage::record(&self.warehouse, prepared).await
    }

    /// Descriptions of views and columns, for `\d+`, reports and documentation.
    pub fn catalog_descriptions(&self) -> &Descriptions {
        &self.blueprint.descriptions
    }

    /// The columns that name rows and point to others, for the constraints that clients are shown.
    pub fn catalog_keys(&self) -> &Keys {
        &self.blueprint.keys
    }

    /// The files that cannot be used, each with its reason. Asking plans every view.
    pub async fn problems(&self) -> Vec<Problem> {
        self.blueprint.problems(&self.reader.broken().await)
    }

    /// The definitions in force.
    pub fn definitions(&self) -> &Definitions {
        &self.blueprint.definitions
    }

    /// The warehouse it reads.
    pub fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    /// The schemas that a session can name.
    pub fn schema_names(&self) -> Vec<String> {
        self.reader.state().catalog_list().catalog(CATALOG).map(|catalog| catalog.schema_names()).unwrap_or_default()
    }

    /// The zone in which days end.
    pub fn time_zone(&self) -> chrono_tz::Tz {
        self.blueprint.settings.time_zone
    }

    /// Empty tables in memory under the shipped views, to try these on rows of one's own.
    pub async fn workbench(&self) -> Result<Workbench<'_>, Error> {
        Workbench::open(self).await
    }

    /// A session that sees a commit which nobody else can see yet.
    fn prepared_session(&self, planner: &Planner, head: Arc<Head>) -> SessionContext {
        self.session_of(planner, head, self.next_generation())
    }

    fn next_generation(&self) -> u64 {
        self.preparations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// As [`Self::prepared_session`], of a generation whose views keep their rows: what is added to the commit since must not
    /// be read by them.
    fn session_of(&self, planner: &Planner, head: Arc<Head>, generation: u64) -> SessionContext {
        let rows: u64 = head.commits.last().map_or(0, |commit| commit.tables.iter().map(|table| table.rows).sum());
        let heads = Arc::new(Heads::Prepared { head, generation });
        let options = TieoutOptions::new(&self.blueprint, heads);
        let few = (rows < PARTITIONED_ROWS_MIN).then_some(1);
        session_over(planner, options, None, self.blueprint.settings.partitions.or(few))
    }

    /// A session that reads an earlier commit of a chain, whatever the newest one is.
    fn replayed_session(&self, planner: &Planner, head: &Arc<Head>, commit: &Arc<Commit>) -> SessionContext {
        self.replayed_session_of(planner, head, commit, self.next_generation())
    }

    /// The same, of a generation whose views keep their rows.
    fn replayed_session_of(
        &self,
        planner: &Planner,
        head: &Arc<Head>,
        commit: &Arc<Commit>,
        generation: u64,
    ) -> SessionContext {
        let heads = Arc::new(Heads::Prepared { head: Arc::clone(head), generation });
        let day = commit.observed_at.with_timezone(&self.blueprint.settings.time_zone).date_naive();
        let moment =
            Moment { head: Arc::clone(head), commit: Some(Arc::clone(commit)), accounting_date: Some(day), pin: None };
        let options = TieoutOptions::new(&self.blueprint, heads).fixed_at(moment);
        let rows: u64 = commit.tables.iter().map(|table| table.rows).sum();
        let few = (rows < PARTITIONED_ROWS_MIN).then_some(1);
        session_over(planner, options, None, self.blueprint.settings.partitions.or(few))
    }
}

/// Sets what a client said when it connected.
fn set(session: &SessionContext, request: &SessionRequest) -> Result<(), DataFusionError> {
    let state = session.state_ref();
    let mut state = state.write();
    let config = state.config_mut().options_mut();
    let given = [
        ("tieout.as_of", &request.as_of),
        ("tieout.definitions", &request.definitions),
        ("tieout.accounting_date", &request.accounting_date),
        ("datafusion.execution.time_zone", &request.time_zone),
    ];
    for (key, value) in given {
        if let Some(value) = value {
            config.set(key, value)?;
        }
    }
    Ok(())
}

/// A session over a planner's catalog, or one that stands for it, and nothing that the planner alone may see.
fn session_over(
    planner: &Planner,
    options: TieoutOptions,
    catalog: Option<Arc<dyn CatalogProvider>>,
    partitions: Option<usize>,
) -> SessionContext {
    let state = planner.state();
    // The catalog is shared: building a session must not put a new, empty one in its place.
    let mut config = state.config().clone().with_create_default_catalog_and_schema(false);
    if let Some(partitions) = partitions {
        config = config.with_target_partitions(partitions);
    }
    config.options_mut().extensions.insert(options);
    let catalogs = MemoryCatalogProviderList::new();
    if let Some(catalog) = catalog.or_else(|| state.catalog_list().catalog(CATALOG)) {
        catalogs.register_catalog(CATALOG.to_owned(), catalog);
    }
    let state = SessionStateBuilder::new_from_existing(state.clone())
        .with_session_id(uuid::Uuid::new_v4().to_string())
        .with_config(config)
        .with_catalog_list(Arc::new(catalogs))
        .build();
    SessionContext::new_with_state(state)
}
