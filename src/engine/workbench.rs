//! Views over rows of one's own: the tables of an engine, empty and in memory, with the definitions' views planned on top.
//!
//! For trying SQL: `insert into pm.vendors …`, then `select … from recon.vendor_only_in_pm`. Invariants: nothing reaches the
//! warehouse, and a view answers from every row inserted before the query. Only what a query reads is planned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{TableReference, internal_datafusion_err, plan_datafusion_err};
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;

use crate::engine::catalog::{self, Extent};
use crate::engine::queries::{self, Name};
use crate::engine::{CATALOG, Engine, Error};

/// Tables in memory, and the views over them.
pub struct Workbench<'a> {
    engine: &'a Engine,
    session: SessionContext,
    /// Every view after what it reads.
    order: Vec<Name>,
    /// Views that hold no row older than the last insert.
    planned: BTreeSet<Name>,
}

impl<'a> Workbench<'a> {
    pub(crate) async fn open(engine: &'a Engine) -> Result<Self, Error> {
        let (session, _) = engine.prepared_session(engine.refresh().await?, Extent::Canonical).await?;
        let reads = engine.blueprint.queries.iter().map(|(name, query)| (name.clone(), query.reads.clone())).collect();
        let (order, _) = queries::ordered(&reads);
        let bench = Self { engine, session, order, planned: BTreeSet::new() };
        bench.empty_tables().await?;
        Ok(bench)
    }

    /// Runs one statement. An insert is seen by the queries after it; a query plans the views that it needs.
    pub async fn run(&mut self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), Error> {
        let statement = self.session.state().sql_to_statement(sql, &datafusion::common::config::Dialect::PostgreSQL)?;
        let is_insert =
            matches!(&statement, Statement::Statement(inner) if matches!(**inner, ast::Statement::Insert(_)));
        if is_insert {
            self.planned.clear();
        } else {
            self.plan_views(&statement).await?;
        }
        let plan = self.session.state().statement_to_plan(statement).await?;
        let frame = self.session.execute_logical_plan(plan).await?;
        let schema = Arc::clone(frame.schema().inner());
        Ok((schema, frame.collect().await?))
    }

    async fn plan_views(&mut self, statement: &Statement) -> Result<(), Error> {
        let blueprint = &self.engine.blueprint;
        let direct = queries::relations(statement).map_err(|reason| plan_datafusion_err!("{reason}"))?;
        let needed: BTreeSet<Name> =
            direct.iter().flat_map(|name| blueprint.closure(name)).chain(direct.clone()).collect();
        for name in self.order.iter().filter(|name| needed.contains(*name)) {
            let Some(query) = blueprint.queries.get(name).filter(|_| !self.planned.contains(name)) else { continue };
            let plan = self.session.state().statement_to_plan(query.statement.clone()).await?;
            self.register(name, catalog::view(name, plan, Some(query.sql.clone())))?;
            self.planned.insert(name.clone());
        }
        Ok(())
    }

    /// Puts an empty table of the same columns in the place of everything that reads the warehouse.
    async fn empty_tables(&self) -> Result<(), Error> {
        let mut views = BTreeMap::new();
        let catalog = self.session.catalog(CATALOG).ok_or_else(|| internal_datafusion_err!("there is no {CATALOG}"))?;
        for (schema, provider) in catalog.schema_names().into_iter().filter_map(|name| {
            let provider = catalog.schema(&name)?;
            (name != "information_schema").then_some((name, provider))
        }) {
            for table in provider.table_names() {
                let Some(found) = provider.table(&table).await?.filter(|found| !found.is::<MemTable>()) else {
                    continue;
                };
                let name = (schema.clone(), table);
                // What we say of ourselves has views over the tables that are replaced here.
                match found.get_table_definition().filter(|_| schema == "meta") {
                    Some(sql) => drop(views.insert(name, sql.to_owned())),
                    None => self.register(&name, empty(&found.schema())?)?,
                }
            }
        }
        for (name, sql) in views {
            let plan = self.session.state().create_logical_plan(&sql).await?;
            self.register(&name, catalog::view(&name, plan, Some(sql)))?;
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

fn empty(schema: &Schema) -> Result<Arc<dyn TableProvider>, Error> {
    // An insert names the columns that its question is about; all others are null.
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Ok(Arc::new(MemTable::try_new(Arc::new(Schema::new(fields)), vec![Vec::new()])?))
}
