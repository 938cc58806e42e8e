//! Views of results, whose rows wait for the next statement.
//!
//! What people ask of `recon`, `trend` and `audit` is a handful of views again and again, sorted and filtered in other ways, and a
//! commit never changes: planning and reading a view anew costs a thousand times what its rows do. Invariants: the key is
//! everything that the rows depend on, and a plan that depends on anything else is not kept; many rows wait in a file of the
//! temporary folder, and a view with more than that is read as any other; the bytes of all rows have a limit.
//!
//! Leaves out `link.*`, which other views read and which are always kept (`cached`).

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt as _;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::engine::access;
use crate::engine::folded::announced;
use crate::engine::held::{Held, Holding, Room};
use crate::engine::hot::undivided;
use crate::engine::options::{MomentKey, TieoutOptions};
use crate::engine::queries::Name;
use crate::engine::repeated;
use crate::engine::snapshot::memory;
use crate::engine::workers;

/// Bytes of the rows of all views, of the few moments that people look at.
const BYTES_MAX: usize = 128 << 20;

/// Bytes of the rows of one view in memory: more go to a file. In tests of this crate all of it happens.
const VIEW_BYTES_MAX: usize = if cfg!(test) { 4 << 10 } else { 16 << 20 };

/// Bytes of the rows of one view in a file: more are read anew, a part at a time.
const FILE_BYTES_MAX: usize = if cfg!(test) { 16 << 10 } else { 128 << 20 };

/// So many bytes of a file count as one in memory.
const FILE_WEIGHT: usize = 16;

/// How many views at how many moments are expected, to begin with.
const ENTRIES: usize = 500;

/// What is known of a view at a moment.
#[derive(Clone, Debug)]
enum Found {
    Rows(RecordBatch),
    File(Arc<Held>),
    /// More bytes than are kept.
    Many,
}

/// By bytes.
#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<(Name, MomentKey), Found> for Bytes {
    fn weight(&self, _: &(Name, MomentKey), found: &Found) -> u64 {
        match found {
            Found::Rows(rows) => rows.get_array_memory_size() as u64,
            Found::File(held) => (held.bytes() / FILE_WEIGHT) as u64,
            Found::Many => 1,
        }
    }
}

/// The rows of all views of one set of definitions.
#[derive(Debug)]
pub(crate) struct Shelf(Cache<(Name, MomentKey), Found, Bytes>);

impl Default for Shelf {
    fn default() -> Self {
        Self(undivided(ENTRIES, BYTES_MAX as u64, Bytes))
    }
}

/// A view whose rows are kept.
#[derive(Debug)]
pub(crate) struct KeptView {
    name: Name,
    plan: LogicalPlan,
    sql: String,
    schema: SchemaRef,
    shelf: Arc<Shelf>,
}

impl KeptView {
    /// None if rows of a plan depend on more than the commit and the session's settings.
    pub(crate) fn new(name: &Name, plan: &LogicalPlan, sql: &str, shelf: &Arc<Shelf>) -> Option<Self> {
        repeated::is_timeless(plan).ok().filter(|is_timeless| *is_timeless)?;
        let schema = Arc::clone(plan.schema().inner());
        let shelf = Arc::clone(shelf);
        Some(Self { name: name.clone(), plan: plan.clone(), sql: sql.to_owned(), schema, shelf })
    }

    async fn found(&self, session: &dyn Session) -> Result<Found> {
        let key = (self.name.clone(), TieoutOptions::key(session).await?);
        // A second reader waits for the same rows instead of computing them too.
        self.shelf.0.get_or_insert_async(&key, self.read(session)).await
    }

    async fn read(&self, session: &dyn Session) -> Result<Found> {
        let physical = session.create_physical_plan(&self.plan).await?;
        workers::made_of(physical, session, |plan| self.gathered(plan, session)).await
    }

    async fn gathered(&self, plan: Arc<dyn ExecutionPlan>, session: &dyn Session) -> Result<Found> {
        let mut stream = execute_stream(plan, session.task_ctx())?;
        let (mut batches, mut bytes) = (Vec::new(), 0);
        let mut many: Option<Holding> = None;
        while let Some(batch) = stream.next().await {
            let batch = announced(&self.schema, &batch?)?;
            bytes += batch.get_array_memory_size();
            if let Some(many) = &mut many {
                // A temporary folder that takes no more is no reason to fail: the rows can be read anew.
                if many.push(&batch).is_err() || many.bytes() > FILE_BYTES_MAX {
                    return Ok(Found::Many);
                }
                continue;
            }
            batches.push(batch);
            if bytes > VIEW_BYTES_MAX {
                let mut holding = Holding::new(&self.schema, &Arc::new(Room::none()), session.runtime_env());
                if batches.drain(..).any(|batch| holding.push(&batch).is_err()) {
                    return Ok(Found::Many);
                }
                many = Some(holding);
            }
        }
        match many {
            Some(many) => Ok(many.finish().map_or(Found::Many, |held| Found::File(Arc::new(held)))),
            // One batch of its own: batches may be slices of what is larger than they are.
            None => Ok(Found::Rows(concat_batches(&self.schema, &batches)?)),
        }
    }
}

/// Whether a table's rows depend on nothing but the moment, and what a role may see of them: those of a kept view.
pub(crate) fn has_kept_rows(table: &dyn TableProvider) -> bool {
    access::behind_guard(table).is::<KeptView>()
}

#[async_trait]
impl TableProvider for KeptView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_table_definition(&self) -> Option<&str> {
        Some(&self.sql)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match self.found(session).await? {
            Found::Rows(rows) => return memory(&self.schema, &[rows], projection, limit),
            Found::File(held) => return held.scan(projection, limit),
            Found::Many => {}
        }
        let mut plan = LogicalPlanBuilder::from(self.plan.clone());
        if let Some(wanted) = filters.iter().cloned().reduce(Expr::and) {
            plan = plan.filter(wanted)?;
        }
        if let Some(projection) = projection {
            plan = plan.select(projection.iter().copied())?;
        }
        session.create_physical_plan(&plan.limit(0, limit)?.build()?).await
    }
}
