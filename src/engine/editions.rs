//! Sets of definitions that sessions read by: today's, and under `SET tieout.definitions = 'pinned'` those of old commits.
//!
//! Owns what a session's names and settings mean. Invariants: rows of a set's tables are read only by a session under that
//! very set; a set that cannot be loaded is an error that names its commit, never today's answer under an old name. Leaves
//! out how settings and records are read from definitions, which is the caller's ([`Reopen`]).

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use datafusion::catalog::{CatalogProvider, SchemaProvider};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::execution::context::SessionContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use tokio::sync::Mutex;

use crate::definitions::Definitions;
use crate::engine::access::{Access, Guard};
use crate::engine::blueprint::Blueprint;
use crate::engine::options::{Heads, Moment, TieoutOptions};
use crate::engine::planner::{Keep, Planner};
use crate::engine::settings::EngineSettings;
use crate::engine::{CATALOG, Error, catalog, state};
use crate::warehouse::commit::{Commit, Head};
use crate::warehouse::{AsOf, Projections, Warehouse};

/// So many sets of old definitions are kept planned, those used last.
const EDITIONS_MAX: usize = 8;

/// What stored definitions mean for the engine: the settings among them, and how records become their columns.
pub type Reopen = Arc<
    dyn Fn(&Definitions) -> Result<(EngineSettings, Projections), Box<dyn std::error::Error + Send + Sync>>
        + Send
        + Sync,
>;

/// One set of definitions, ready to be asked.
#[derive(Debug)]
pub(crate) struct Edition {
    /// The SHA-256 by which commits name it.
    pub(crate) hash: Arc<str>,
    pub(crate) settings: Arc<EngineSettings>,
    /// Keeps what plans the catalog's views.
    planner: Arc<Planner>,
}

impl Edition {
    pub(crate) fn new(blueprint: &Blueprint, planner: &Arc<Planner>) -> Arc<Self> {
        let (hash, settings) = (Arc::clone(&blueprint.hash), Arc::clone(&blueprint.settings));
        Arc::new(Self { hash, settings, planner: Arc::clone(planner) })
    }

    pub(crate) fn blueprint(&self) -> &Blueprint {
        self.planner.blueprint()
    }

    pub(crate) fn catalog(&self) -> Result<Arc<dyn CatalogProvider>> {
        let catalog = self.planner.state().catalog_list().catalog(CATALOG);
        catalog.ok_or_else(|| internal_datafusion_err!("a set of definitions has no catalog"))
    }
}

/// All sets of definitions over one warehouse.
pub(crate) struct Editions {
    pub(crate) current: Arc<Edition>,
    warehouse: Warehouse,
    heads: Arc<Heads>,
    runtime: Arc<RuntimeEnv>,
    reopen: Option<Reopen>,
    /// Sets of old commits, the one used last at the end.
    past: Mutex<Vec<Arc<Edition>>>,
}

impl fmt::Debug for Editions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Editions").field("current", &self.current.hash).finish_non_exhaustive()
    }
}

impl Editions {
    pub(crate) fn new(
        current: Arc<Edition>,
        warehouse: &Warehouse,
        heads: &Arc<Heads>,
        runtime: &Arc<RuntimeEnv>,
        reopen: Option<Reopen>,
    ) -> Arc<Self> {
        let (heads, runtime, past) = (Arc::clone(heads), Arc::clone(runtime), Mutex::default());
        Arc::new(Self { current, warehouse: warehouse.clone(), heads, runtime, reopen, past })
    }

    /// The definitions that a moment's commit was judged by; today's before the first commit.
    pub(crate) async fn of(&self, moment: &Moment) -> Result<Arc<Edition>> {
        let Some(commit) = &moment.commit else { return Ok(Arc::clone(&self.current)) };
        if *commit.definitions == *self.current.hash {
            return Ok(Arc::clone(&self.current));
        }
        // Held while a set is loaded: whoever comes second waits for it instead of loading it too.
        let mut past = self.past.lock().await;
        let known = past.iter().position(|edition| *edition.hash == *commit.definitions);
        let edition = if let Some(place) = known {
            past.remove(place)
        } else {
            let loaded = Box::pin(self.load(commit, &moment.head)).await;
            loaded.map_err(|reason| unreadable(commit, reason))?
        };
        if past.len() >= EDITIONS_MAX {
            past.remove(0);
        }
        past.push(Arc::clone(&edition));
        Ok(edition)
    }

    async fn load(
        &self,
        commit: &Commit,
        head: &Head,
    ) -> Result<Arc<Edition>, Box<dyn std::error::Error + Send + Sync>> {
        let reopen = self.reopen.as_ref().ok_or("this program reads today's definitions only")?;
        if commit.definitions.is_empty() {
            return Err("the commit names none".into());
        }
        let definitions = Definitions::from_json(&self.warehouse.definitions(&commit.definitions).await?)?;
        let (mut settings, projections) = reopen(&definitions)?;
        // Whatever the set: which connection was read first is a matter of the chain.
        settings.read_before.clone_from(&self.current.settings.read_before);
        settings.workspace.clone_from(&self.current.settings.workspace);
        let blueprint = Arc::new(Blueprint::load(definitions, settings)?);
        let state = state::base(&blueprint, &self.heads, &self.runtime)?;
        // Tables that came with later definitions are not there yet.
        let newest = head.commits.iter().rev().find(|other| other.definitions == commit.definitions);
        let newest = newest.map_or(commit.number, |newest| newest.number);
        let warehouse = self.warehouse.clone().with_projections(projections);
        let planner = catalog::register(state, &warehouse, &blueprint, (head, newest), Keep::Links, None)?;
        Ok(Edition::new(&blueprint, &planner))
    }
}

fn unreadable(commit: &Commit, reason: Box<dyn std::error::Error + Send + Sync>) -> DataFusionError {
    let hash = commit.definitions.chars().take(12).collect();
    DataFusionError::External(Box::new(Error::Definitions { commit: commit.number, hash, reason }))
}

/// What one session reads by at present. All copies of its options share it.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) editions: Arc<Editions>,
    /// The rights of the session's role; none where everything may be read.
    guard: Option<Arc<Guard>>,
    /// The one moment that the role reads.
    forced: Option<AsOf>,
    shown: RwLock<Shown>,
}

#[derive(Clone, Debug)]
struct Shown {
    edition: Arc<Edition>,
    is_pinned: bool,
}

impl Reading {
    /// # Errors
    /// The role's moment is none.
    pub(crate) fn new(
        editions: &Arc<Editions>,
        access: Option<&Arc<Access>>,
    ) -> Result<Arc<Self>, crate::warehouse::Error> {
        let shown = Shown { edition: Arc::clone(&editions.current), is_pinned: false };
        let zone = editions.current.settings.time_zone;
        let as_of = access.and_then(|access| access.as_of.as_deref());
        let forced = as_of.map(|as_of| AsOf::parse(as_of, zone)).transpose()?;
        let guard = access.map(|access| Guard::new(Arc::clone(access)));
        Ok(Arc::new(Self { editions: Arc::clone(editions), guard, forced, shown: RwLock::new(shown) }))
    }

    /// The one moment that the session's role reads, and the rights that say so.
    pub(crate) fn forced(&self) -> Option<(&AsOf, &Access)> {
        self.forced.as_ref().zip(self.guard.as_ref().map(|guard| guard.access.as_ref()))
    }

    /// The catalog of a set of definitions as the session may see it.
    pub(crate) fn catalog(&self, edition: &Arc<Edition>) -> Result<Arc<dyn CatalogProvider>> {
        match &self.guard {
            Some(guard) => guard.catalog(edition),
            None => edition.catalog(),
        }
    }

    /// Whether moments of their own are read by the definitions of their commits.
    pub(crate) fn is_pinned(&self) -> bool {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).is_pinned
    }
}

/// The catalog of a session: that of the definitions which it reads by.
#[derive(Debug)]
pub(crate) struct SessionCatalog(pub(crate) Arc<Reading>);

impl SessionCatalog {
    fn shown(&self) -> Option<Arc<dyn CatalogProvider>> {
        let edition = Arc::clone(&self.0.shown.read().unwrap_or_else(PoisonError::into_inner).edition);
        self.0.catalog(&edition).ok()
    }
}

impl CatalogProvider for SessionCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.shown().map(|catalog| catalog.schema_names()).unwrap_or_default()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.shown()?.schema(name)
    }
}

/// Brings a session's names and settings in line with its options. To be called before a statement is planned: under
/// `pinned` both are those of the commit that the session's moment names, which moves with `SET`, and with new commits.
///
/// # Errors
/// The moment does not exist, or its definitions cannot be loaded; the session then stays as it was.
pub async fn follow(context: &SessionContext) -> Result<()> {
    let state = context.state_ref();
    let options = state.read().config_options().extensions.get::<TieoutOptions>().cloned();
    let Some((options, reading)) = options.and_then(|options| Some((options.clone(), options.reading()?))) else {
        return Ok(());
    };
    let edition = options.edition(&reading.editions).await?;
    if !options.is_under(&edition) {
        let mut state = state.write();
        if let Some(options) = state.config_mut().options_mut().extensions.get_mut::<TieoutOptions>() {
            *options = options.under(&edition);
        }
    }
    let shown = Shown { edition, is_pinned: options.is_pinned() };
    *reading.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
    Ok(())
}

/// The newest commit that a session's statements read since a moment; none if they read no snapshot.
pub async fn commit_read_since(context: &SessionContext, since: DateTime<Utc>) -> Option<u64> {
    let state = context.state_ref();
    let options = state.read().config_options().extensions.get::<TieoutOptions>().cloned()?;
    options.commit_read_since(since).await
}

/// The hash of the definitions that a session reads by.
pub fn followed(context: &SessionContext) -> Option<Arc<str>> {
    let state = context.state_ref();
    let state = state.read();
    state.config_options().extensions.get::<TieoutOptions>().map(TieoutOptions::edition_hash)
}
