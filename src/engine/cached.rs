//! Views whose rows are computed once per moment and shared by all sessions.
//!
//! For `link.*`, and for the canonical model while checks are judged: every check reads them, several times over, and a
//! planner that copies their text into each reader takes minutes where the rows are a few thousand. Invariant: the key is
//! everything that the rows depend on: the commit, the accounting date, the session's limits.

use std::iter;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::datasource::TableType;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;

use crate::engine::held::{Held, Room};
use crate::engine::links;
use crate::engine::options::{MomentKey, TieoutOptions};
use crate::engine::queries::{Name, QueryFile};
use crate::engine::repeated::Repeated;
use crate::engine::suggestions;

/// How many moments are kept: the present, the commit before it, and a report or two about the past.
const MOMENTS_MAX: usize = 4;

/// So many records are paired by themselves.
const ROWS_ALONE: usize = 200_000;

/// Held by who pairs so many.
static PAIRING: Semaphore = Semaphore::const_new(1);

/// A view that is executed once per moment.
#[derive(Debug)]
pub(crate) struct CachedView {
    name: Name,
    records: Repeated,
    making: Making,
    sql: Option<String>,
    schema: SchemaRef,
    room: Arc<Room>,
    /// Views that only this one reads, while it runs.
    parts: Vec<Arc<CachedView>>,
    rows: Mutex<Vec<(MomentKey, Arc<Held>)>>,
}

/// What the rows of the plan are to the rows of the view.
#[derive(Debug)]
enum Making {
    /// The same.
    Rows,
    /// The records of both sides, to be linked with the help of the firm's crosswalk.
    Links { crosswalk: Box<Repeated>, splits: bool },
    /// The companies of both sides, to be compared.
    Suggestions,
}

impl CachedView {
    pub(crate) fn new(name: &Name, records: Repeated, sql: Option<String>, room: &Arc<Room>) -> Self {
        let schema = Arc::clone(records.plan().schema().inner());
        let name = name.clone();
        Self::made(name, records, Making::Rows, (sql, schema), room)
    }

    fn made(
        name: Name,
        records: Repeated,
        making: Making,
        (sql, schema): (Option<String>, SchemaRef),
        room: &Arc<Room>,
    ) -> Self {
        Self { name, records, making, sql, schema, room: Arc::clone(room), parts: Vec::new(), rows: Mutex::default() }
    }

    /// The view with those that only it reads.
    pub(crate) fn with_parts(self, parts: Vec<Arc<Self>>) -> Self {
        Self { parts, ..self }
    }

    /// A view of links: `records` lists both sides, `crosswalk` the firm's own pairs.
    pub(crate) fn links(records: Repeated, query: &QueryFile, crosswalk: Repeated, room: &Arc<Room>) -> Self {
        let making = Making::Links { crosswalk: Box::new(crosswalk), splits: query.header.splits };
        let (name, sql) = (query.name.clone(), Some(query.sql().to_owned()));
        Self::made(name, records, making, (sql, links::schema()), room)
    }

    /// A view of suggestions: `records` lists companies of both sides.
    pub(crate) fn suggestions(records: Repeated, query: &QueryFile, room: &Arc<Room>) -> Self {
        let (name, sql) = (query.name.clone(), Some(query.sql().to_owned()));
        Self::made(name, records, Making::Suggestions, (sql, suggestions::schema()), room)
    }

    /// The view's rows at the session's moment.
    pub(crate) async fn rows(&self, session: &dyn Session) -> Result<Arc<Held>> {
        let key = TieoutOptions::key(session).await?;
        // Held while the view runs: a second reader waits for the same rows instead of computing them too.
        let mut rows = self.rows.lock().await;
        if let Some((_, found)) = rows.iter().find(|(known, _)| *known == key) {
            return Ok(Arc::clone(found));
        }
        let started = Instant::now();
        let found = Box::pin(self.make(session)).await;
        for part in &self.parts {
            part.keep(|known| *known != key).await;
        }
        let found = Arc::new(found?);
        let (schema, view) = &self.name;
        let (count, bytes, in_file) = (found.rows(), found.bytes(), found.is_file());
        tracing::debug!(schema, view, rows = count, bytes, in_file, took = ?started.elapsed(), "rows are held");
        if rows.len() >= MOMENTS_MAX {
            rows.remove(0);
        }
        rows.push((key, Arc::clone(&found)));
        Ok(found)
    }

    /// Lets go of the rows of other moments.
    pub(crate) async fn keep(&self, is_kept: impl Fn(&MomentKey) -> bool) {
        for view in iter::once(self).chain(self.parts.iter().map(Arc::as_ref)) {
            view.rows.lock().await.retain(|(key, _)| is_kept(key));
        }
    }

    async fn make(&self, session: &dyn Session) -> Result<Held> {
        let records = match &self.making {
            // Views nest: what waits for the one below lies on the heap.
            Making::Rows => return Box::pin(self.records.hold(session, &self.schema, &self.room)).await,
            _ => Box::pin(self.records.execute(session)).await?,
        };
        // Seconds for a hundred thousand companies or a million documents: not on a thread that others wait for.
        let made = if let Making::Links { crosswalk, splits } = &self.making {
            let (crosswalk, splits) = (crosswalk.execute(session).await?, *splits);
            let _alone = alone(&records).await;
            spawn_blocking(move || links::linked(&records, &crosswalk, splits)).await
        } else {
            let _alone = alone(&records).await;
            spawn_blocking(move || suggestions::suggested(&records)).await
        };
        let made = made.map_err(|error| exec_datafusion_err!("rows of {} were not made: {error}", self.name.1))??;
        Held::of(&made, &self.schema, (&self.room, session.runtime_env()))
    }
}

/// A million documents are paired in some hundred megabytes: one entity at a time.
async fn alone(records: &[RecordBatch]) -> Option<SemaphorePermit<'static>> {
    let rows: usize = records.iter().map(RecordBatch::num_rows).sum();
    if rows > ROWS_ALONE { PAIRING.acquire().await.ok() } else { None }
}

#[async_trait]
impl TableProvider for CachedView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.sql.as_deref()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.rows(session).await?.scan(projection, limit)
    }
}
