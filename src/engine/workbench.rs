//! Views over rows of one's own: the tables of an engine, empty and in memory, with the definitions' views planned on top.
//!
//! For trying SQL: `insert into pm.vendors …`, then `select … from recon.vendor_only_in_pm`. Invariants: nothing reaches the
//! warehouse, and a view answers from every row inserted before the query. Only what a query reads is planned.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::memory::MemorySchemaProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider,
    TableProvider,
};
use datafusion::common::{TableReference, internal_datafusion_err, plan_datafusion_err};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::collect;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;

use crate::engine::held::Room;
use crate::engine::planner::{self, Keep, View};
use crate::engine::precedence;
use crate::engine::queries::{self, Name};
use crate::engine::using;
use crate::engine::{CATALOG, Engine, Error, SessionRequest, workers};

/// Tables in memory, and the views over them.
pub struct Workbench<'a> {
    engine: &'a Engine,
    session: SessionContext,
    room: Arc<Room>,
    /// Every view after what it reads.
    order: Vec<Name>,
    /// Views that hold no row older than the last insert.
    planned: BTreeSet<Name>,
}

impl<'a> Workbench<'a> {
    pub(crate) async fn open(engine: &'a Engine) -> Result<Self, Error> {
        let session = engine.session(&SessionRequest::default()).await?;
        let tables = empty_tables(engine, &session).await?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(tables));
        let state =
            SessionStateBuilder::new_from_existing(session.state()).with_catalog_list(Arc::new(catalogs)).build();
        let reads = engine.blueprint.queries.iter().map(|(name, query)| (name.clone(), query.reads.clone())).collect();
        let (order, _) = queries::ordered(&reads);
        let bench = Self {
            engine,
            session: SessionContext::new_with_state(state),
            room: Arc::default(),
            order,
            planned: BTreeSet::new(),
        };
        bench.plan_meta().await?;
        Ok(bench)
    }

    /// Runs one statement. An insert is seen by the queries after it; a query plans the views that it needs.
    pub async fn run(&mut self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), Error> {
        let mut statement =
            self.session.state().sql_to_statement(sql, &datafusion::common::config::Dialect::PostgreSQL)?;
        if let Statement::Statement(inner) = &mut statement {
            precedence::correct(inner);
        }
        let is_insert =
            matches!(&statement, Statement::Statement(inner) if matches!(**inner, ast::Statement::Insert(_)));
        if is_insert {
            self.planned.clear();
        } else {
            self.plan_views(&statement).await?;
        }
        let plan = using::planned(&self.session.state(), statement).await?;
        if is_insert {
            let frame = self.session.execute_logical_plan(plan).await?;
            let schema = Arc::clone(frame.schema().inner());
            return Ok((schema, frame.collect().await?));
        }
        let (state, schema) = (self.session.state(), Arc::clone(plan.schema().inner()));
        let physical = state.create_physical_plan(&plan).await?;
        let rows = workers::made_of(physical, &state, |plan| collect(plan, state.task_ctx())).await?;
        Ok((schema, rows))
    }

    async fn plan_views(&mut self, statement: &Statement) -> Result<(), Error> {
        let blueprint = &self.engine.blueprint;
        let direct = queries::relations(statement).map_err(|reason| plan_datafusion_err!("{reason}"))?;
        let needed: BTreeSet<Name> = direct
            .iter()
            .flat_map(|name| blueprint.closure(name).iter().cloned().collect::<Vec<_>>())
            .chain(direct.clone())
            .collect();
        for name in self.order.iter().filter(|name| needed.contains(*name)) {
            let Some(query) = blueprint.queries.get(name).filter(|_| !self.planned.contains(name)) else { continue };
            let view = planner::view(&self.session.state(), query, Keep::Links, &self.room).await;
            let view = match view.map_err(|reason| plan_datafusion_err!("{reason}"))? {
                View::Plain(plan) => planner::plain(plan, query),
                View::Cached(view) => view,
            };
            self.register(name, view)?;
            self.planned.insert(name.clone());
        }
        Ok(())
    }

    /// What we say of ourselves has views over the tables that are empty here.
    async fn plan_meta(&self) -> Result<(), Error> {
        for name in ["coverage", "rejects", "drift", "requests", "rate_limits"] {
            let name = ("meta".to_owned(), name.to_owned());
            if !self.engine.blueprint.queries.contains_key(&name) {
                let plan =
                    self.session.state().create_logical_plan(&format!("select * from system.{}", name.1)).await?;
                self.register(&name, Arc::new(ViewTable::new(plan, None)))?;
            }
        }
        Ok(())
    }

    fn register(&self, (schema, table): &Name, provider: Arc<dyn TableProvider>) -> Result<(), Error> {
        let name = TableReference::full(CATALOG, schema.as_str(), table.as_str());
        self.session.deregister_table(name.clone())?;
        self.session.register_table(name, provider)?;
        Ok(())
    }
}

/// An empty table of the same columns in the place of everything that reads the warehouse, the canonical model included.
/// Views of `queries/` have no place yet.
async fn empty_tables(engine: &Engine, session: &SessionContext) -> Result<MemoryCatalogProvider, Error> {
    let tables = MemoryCatalogProvider::new();
    let catalog = session.catalog(CATALOG).ok_or_else(|| internal_datafusion_err!("there is no {CATALOG}"))?;
    for name in catalog.schema_names().into_iter().filter(|name| name != "information_schema") {
        let Some(provider) = catalog.schema(&name) else { continue };
        let schema = MemorySchemaProvider::new();
        for table in provider.table_names() {
            if engine.blueprint.queries.contains_key(&(name.clone(), table.clone())) {
                continue;
            }
            let Some(found) = provider.table(&table).await? else { continue };
            let found = match found.downcast_ref::<MemTable>() {
                Some(table) => copy(table).await?,
                None => empty(&found.schema())?,
            };
            schema.register_table(table, found)?;
        }
        tables.register_schema(&name, Arc::new(schema))?;
    }
    Ok(tables)
}

/// The same rows in a table of one's own: an insert is nobody else's.
async fn copy(table: &MemTable) -> Result<Arc<dyn TableProvider>, Error> {
    let mut partitions = Vec::new();
    for partition in &table.batches {
        partitions.push(partition.read().await.clone());
    }
    Ok(Arc::new(MemTable::try_new(table.schema(), partitions)?))
}

fn empty(schema: &Schema) -> Result<Arc<dyn TableProvider>, Error> {
    // An insert names the columns that its question is about; all others are null.
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Ok(Arc::new(MemTable::try_new(Arc::new(Schema::new(fields)), vec![Vec::new()])?))
}
