//! Plans views when they are first named.
//!
//! Owns the schemas of a session's catalog: tables that are ready, and views that are text until somebody asks for them. A
//! view is planned once, together with what it reads; planning a hundred views for a question about one would cost more than
//! the question. Invariant: a view that cannot be planned is an error that says why, and so is every view that reads it: no
//! view ever answers from a part of what it claims to read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{Result, TableReference, internal_datafusion_err, plan_datafusion_err};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ident};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement as DataFusionStatement;
use tokio::sync::OnceCell;

use crate::engine::blueprint::Blueprint;
use crate::engine::cached::CachedView;
use crate::engine::canonical;
use crate::engine::common_tables::{self, Once};
use crate::engine::held::Room;
use crate::engine::kept::{KeptView, Shelf};
use crate::engine::materialized;
use crate::engine::queries::{Name, Problem, QueryFile};
use crate::engine::readings::ReadingsTable;
use crate::engine::repeated::Repeated;
use crate::engine::snapshot::memory;
use crate::engine::using;
use crate::warehouse::Warehouse;

/// Views that cannot be planned, with the reason.
pub(crate) type Broken = BTreeMap<Name, String>;

/// A view and the columns that are wanted of it; all if none are named.
type Question = (Name, Vec<String>);

/// Schemas of results: few rows, asked for again and again.
const KEPT_SCHEMAS: [&str; 3] = ["recon", "trend", "audit"];

/// Which views keep their rows for the moment they were asked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// `link.*`: few rows, read by everything.
    Links,
    /// The canonical model too: every check reads it, in one go, as of one commit.
    Model,
}

impl Keep {
    /// Sessions that judge differ in nothing but the commit; people's have settings of their own.
    fn repeated(self, plan: LogicalPlan) -> Repeated {
        match self {
            Self::Links => Repeated::anew(plan),
            Self::Model => Repeated::new(plan),
        }
    }
}

/// What a view is made from.
#[derive(Clone, Debug)]
pub(crate) enum Recipe {
    /// SQL of our own.
    Sql(String),
    /// A file of `queries/`.
    Query,
    /// An entity of the canonical model.
    Canonical,
    /// `meta.problems`: the files that cannot be used.
    Problems,
    /// `meta.readings`: what was read well enough to be believed.
    Readings(Warehouse),
}

/// The views of one catalog and how they are planned.
pub(crate) struct Planner {
    blueprint: Arc<Blueprint>,
    /// Sees the catalog that it plans for, and the tables of changes that no session sees.
    state: SessionState,
    keep: Keep,
    schemas: BTreeMap<String, Arc<LazySchema>>,
    cached: RwLock<BTreeMap<Name, Arc<CachedView>>>,
    /// The memory of views that keep their rows.
    room: Arc<Room>,
    /// What is asked at every commit, by view and columns.
    questions: RwLock<BTreeMap<Question, Arc<Repeated>>>,
    /// Rows of results, for people's sessions.
    shelf: Arc<Shelf>,
}

impl fmt::Debug for Planner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Planner").field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl Planner {
    pub(crate) fn new(
        blueprint: Arc<Blueprint>,
        state: SessionState,
        keep: Keep,
        schemas: BTreeMap<String, Arc<LazySchema>>,
    ) -> Arc<Self> {
        let planner = Arc::new(Self {
            blueprint,
            state,
            keep,
            schemas,
            cached: RwLock::default(),
            room: Arc::default(),
            questions: RwLock::default(),
            shelf: Arc::default(),
        });
        for schema in planner.schemas.values() {
            let _ = schema.planner.set(Arc::downgrade(&planner));
        }
        planner
    }

    /// The state that views are planned with; its catalog list holds the catalog.
    pub(crate) fn state(&self) -> &SessionState {
        &self.state
    }

    /// What the views are planned by.
    pub(crate) fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    /// Plans everything: what cannot be planned, with the reason.
    pub(crate) async fn broken(&self) -> Broken {
        let mut broken = Broken::new();
        for schema in self.schemas.values() {
            for name in schema.views.keys() {
                if let Err(reason) = schema.planned(name).await {
                    broken.insert((schema.name.clone(), name.clone()), reason);
                }
            }
        }
        broken
    }

    /// A view that keeps its rows.
    pub(crate) async fn cached(&self, name: &Name) -> Option<Arc<CachedView>> {
        self.schemas.get(&name.0)?.planned(&name.1).await.ok()?;
        self.cached.read().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone)
    }

    /// All rows of a view in some columns, or in all if none are named, for sessions that differ in nothing but the commit.
    pub(crate) async fn question(&self, name: &Name, columns: &[&str]) -> Result<Arc<Repeated>, String> {
        let key = (name.clone(), columns.iter().map(ToString::to_string).collect());
        if let Some(known) = self.questions.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(known));
        }
        let schema = self.schemas.get(&name.0).ok_or("there is no such schema")?;
        let table = TableReference::partial(name.0.as_str(), name.1.as_str());
        let source = provider_as_source(schema.planned(&name.1).await?);
        let plan = LogicalPlanBuilder::scan(table, source, None).and_then(|scan| match columns {
            [] => scan.build(),
            _ => scan.project(columns.iter().map(|column| ident(*column)))?.build(),
        });
        let question = Arc::new(Repeated::new(plan.map_err(|error| error.strip_backtrace())?));
        let mut questions = self.questions.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(questions.entry(key).or_insert(question)))
    }

    /// Lets go of all rows that views keep.
    pub(crate) async fn forget(&self) {
        self.forget_but(&BTreeSet::new(), 0).await;
    }

    /// Lets go of all rows but those of some views in one generation.
    pub(crate) async fn forget_but(&self, kept: &BTreeSet<Name>, generation: u64) {
        let views: Vec<_> = {
            let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
            cached.iter().map(|(name, view)| (kept.contains(name), Arc::clone(view))).collect()
        };
        for (is_kept, view) in views {
            view.keep(|known| is_kept && known.generation == generation).await;
        }
    }

    async fn plan(self: &Arc<Self>, name: &Name, recipe: &Recipe) -> Result<Arc<dyn TableProvider>, String> {
        if let Some(reason) = self.blueprint.hopeless.get(name) {
            return Err(reason.clone());
        }
        match recipe {
            Recipe::Sql(sql) => {
                let plan = self.state.create_logical_plan(sql).await.map_err(|error| error.strip_backtrace())?;
                Ok(Arc::new(ViewTable::new(plan, Some(sql.clone()))))
            }
            Recipe::Query => {
                let query = self.blueprint.queries.get(name).ok_or("its file is gone")?;
                Ok(match view(&self.state, query, self.keep, &self.room).await? {
                    View::Plain(plan) if self.keep == Keep::Links && KEPT_SCHEMAS.contains(&name.0.as_str()) => {
                        match KeptView::new(name, &plan, query.sql(), &self.shelf) {
                            Some(kept) => Arc::new(kept),
                            None => plain(plan, query),
                        }
                    }
                    View::Plain(plan) => plain(plan, query),
                    View::Cached(view) => self.kept(name, view),
                })
            }
            Recipe::Problems => Ok(Arc::new(ProblemsTable { planner: Arc::downgrade(self) })),
            Recipe::Readings(warehouse) => Ok(Arc::new(ReadingsTable::new(self, warehouse.clone()))),
            Recipe::Canonical => {
                let (_, entity) = name;
                let found = self.blueprint.entities.iter().find(|found| found.name == *entity);
                let entity = found.ok_or("its entity is gone")?;
                if let Some(problem) = self.blueprint.unmapped.get(name) {
                    return Err(format!("{}: {}", problem.path, problem.reason));
                }
                let mappings = self.blueprint.mappings.get(name).map(Vec::as_slice).unwrap_or_default();
                let plan = canonical::plan(&self.state, entity, mappings).await?;
                if self.keep == Keep::Model {
                    return Ok(
                        self.kept(name, Arc::new(CachedView::new(name, self.keep.repeated(plan), None, &self.room)))
                    );
                }
                Ok(Arc::new(ViewTable::new(plan, None)))
            }
        }
    }

    fn kept(&self, name: &Name, view: Arc<CachedView>) -> Arc<dyn TableProvider> {
        self.cached.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Arc::clone(&view));
        view
    }
}

/// `meta.problems`: what cannot be used, with the reason. Asking plans everything.
#[derive(Debug)]
struct ProblemsTable {
    planner: Weak<Planner>,
}

#[async_trait]
impl TableProvider for ProblemsTable {
    fn schema(&self) -> SchemaRef {
        let text = |name| Field::new(name, DataType::Utf8, true);
        Arc::new(Schema::new(vec![text("path"), text("reason")]))
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = self.planner.upgrade().ok_or_else(|| internal_datafusion_err!("the engine was closed"))?;
        let problems = planner.blueprint.problems(&planner.broken().await);
        let text = |get: fn(&Problem) -> &str| -> ArrayRef {
            Arc::new(problems.iter().map(|problem| Some(get(problem))).collect::<StringArray>())
        };
        let columns = vec![text(|problem| &problem.path), text(|problem| &problem.reason)];
        let batch = RecordBatch::try_new(self.schema(), columns)?;
        memory(&self.schema(), &[batch], projection, limit)
    }
}

/// A planned view of `queries/`.
pub(crate) enum View {
    /// The plan of its SQL.
    Plain(LogicalPlan),
    /// Keeps its rows.
    Cached(Arc<CachedView>),
}

/// Plans a view of `queries/`: those of `link` keep their rows.
pub(crate) async fn view(
    state: &SessionState,
    query: &QueryFile,
    keep: Keep,
    room: &Arc<Room>,
) -> Result<View, String> {
    let reason = |error: DataFusionError| at_line(&error);
    let (schema, name) = &query.name;
    let mut statement = query.parsed()?.statement.clone();
    let title = format!("{schema}.{name}");
    if let DataFusionStatement::Statement(statement) = &mut statement {
        common_tables::mark(statement, &title, Once::Told);
    }
    let plan = using::planned(state, statement).await.map_err(reason)?;
    if schema != "link" {
        return Ok(View::Plain(plan));
    }
    let part = |part: &str, plan| {
        Arc::new(CachedView::new(&(schema.clone(), format!("{name}.{part}")), keep.repeated(plan), None, room))
    };
    let (plan, parts) = materialized::computed_once(plan, &title, part).map_err(reason)?;
    let (plan, sql) = (keep.repeated(plan), Some(query.sql().to_owned()));
    let view = if query.header.is_links() {
        let entity = query.header.entity.as_deref().unwrap_or_default().replace('\'', "''");
        let crosswalk = format!("select pm_id, erp_id from link.crosswalk where entity = '{entity}'");
        let crosswalk = state.create_logical_plan(&crosswalk).await.map_err(reason)?;
        CachedView::links(plan, query, keep.repeated(crosswalk), room)
    } else if query.header.is_suggestions() {
        CachedView::suggestions(plan, query, room)
    } else {
        CachedView::new(&query.name, plan, sql, room)
    };
    Ok(View::Cached(Arc::new(view.with_parts(parts))))
}

/// A view that is read anew by every query.
pub(crate) fn plain(plan: LogicalPlan, query: &QueryFile) -> Arc<dyn TableProvider> {
    Arc::new(ViewTable::new(plan, Some(query.sql().to_owned())))
}

/// An error of planning, with the line of the file if it is known.
fn at_line(error: &DataFusionError) -> String {
    let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
    let text = error.strip_backtrace();
    span.map_or(text.clone(), |span| format!("line {}: {text}", span.start.line))
}

/// A schema whose views are planned when they are first named.
pub(crate) struct LazySchema {
    name: String,
    tables: BTreeMap<String, Arc<dyn TableProvider>>,
    views: BTreeMap<String, LazyView>,
    planner: OnceLock<Weak<Planner>>,
}

struct LazyView {
    recipe: Recipe,
    planned: OnceCell<Result<Arc<dyn TableProvider>, String>>,
}

impl fmt::Debug for LazySchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LazySchema").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LazySchema {
    pub(crate) fn new(
        name: &str,
        tables: BTreeMap<String, Arc<dyn TableProvider>>,
        views: BTreeMap<String, Recipe>,
    ) -> Self {
        let lazy = |(name, recipe)| (name, LazyView { recipe, planned: OnceCell::new() });
        Self { name: name.to_owned(), tables, views: views.into_iter().map(lazy).collect(), planner: OnceLock::new() }
    }

    /// The view's provider, or why there is none.
    async fn planned(&self, view: &str) -> Result<Arc<dyn TableProvider>, String> {
        let lazy = self.views.get(view).ok_or("there is no such view")?;
        let planner = self.planner.get().and_then(Weak::upgrade).ok_or("its engine was closed")?;
        let name = (self.name.clone(), view.to_owned());
        let made = lazy.planned.get_or_init(|| async { planner.plan(&name, &lazy.recipe).await });
        // The planner's future is large, and views nest.
        Box::pin(made).await.clone()
    }
}

#[async_trait]
impl SchemaProvider for LazySchema {
    fn table_names(&self) -> Vec<String> {
        self.tables.keys().chain(self.views.keys()).cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.tables.get(name) {
            return Ok(Some(Arc::clone(table)));
        }
        if !self.views.contains_key(name) {
            return Ok(None);
        }
        let failed = |reason| plan_datafusion_err!("{}.{name} cannot be read: {reason}", self.name);
        self.planned(name).await.map(Some).map_err(failed)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let table = self.tables.get(name).map(|table| table.table_type());
        Ok(table.or_else(|| self.views.contains_key(name).then_some(TableType::View)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.views.contains_key(name)
    }
}
