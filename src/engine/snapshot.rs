//! Table providers over the warehouse's Parquet files.
//!
//! Owns which files a scan reads: a [`SnapshotTable`] reads a table's content as of the session's moment, a
//! [`ChangesTable`] everything that commits up to that moment did to it. Invariants: a provider holds no data and no
//! commit, so that a new commit needs no new registration; its schema is fixed, so that a column which an old file lacks
//! is read from the record beside it, null where the record does not tell, and one which only an old file has is not shown.

use std::collections::{HashMap, HashSet};
use std::slice;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, Result, Statistics, ToDFSchema};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use crate::engine::folded::{KeptChanges, SinceKey, adapt, without};
use crate::engine::hot::HotColumns;
use crate::engine::options::TieoutOptions;
use crate::engine::streamed::{Read, Streamed};
use crate::warehouse::commit::{DataFile, Head, Snapshot};
use crate::warehouse::rows::{ColumnType, KEY, changes_schema, state_schema};
use crate::warehouse::{SinceState, Warehouse};

/// The URL under which a session finds the warehouse's object store.
pub(crate) const STORE_URL: &str = "tieout://warehouse/";

/// So many changed rows since a state are held in memory while the state is scanned; more are folded in as a stream.
const CHANGES_MAX: u64 = 1_000_000;

/// A table as of the session's moment.
#[derive(Debug)]
pub(crate) struct SnapshotTable {
    warehouse: Warehouse,
    /// The definitions that the columns come from.
    edition: Arc<str>,
    source: String,
    table: String,
    columns: Vec<(String, ColumnType)>,
    schema: SchemaRef,
    kept: KeptChanges,
    /// For sessions that come back.
    hot: Option<Arc<HotColumns>>,
}

impl SnapshotTable {
    pub(crate) fn new(
        warehouse: Warehouse,
        edition: &Arc<str>,
        (source, table): (&str, &str),
        columns: &[(String, ColumnType)],
        hot: Option<&Arc<HotColumns>>,
    ) -> Self {
        let schema = nullable(&state_schema(columns));
        let (source, table, columns) = (source.to_owned(), table.to_owned(), columns.to_vec());
        let (edition, kept, hot) = (Arc::clone(edition), KeptChanges::default(), hot.map(Arc::clone));
        Self { warehouse, edition, source, table, columns, schema, kept, hot }
    }

    /// Whether files written under those columns hold every column of the table as it is declared now.
    fn is_held_by(&self, written: &[(String, String)]) -> bool {
        let is_written = |(name, kind): &(String, ColumnType)| {
            written.iter().any(|(found, word)| found == name && ColumnType::parse(word) == Some(*kind))
        };
        self.columns.iter().all(is_written)
    }
}

impl SnapshotTable {
    /// The files of a state as a scan: from memory, if their columns are kept there.
    fn state(
        &self,
        session: &dyn Session,
        files: &[DataFile],
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(hot) = &self.hot {
            let schema = projected(&self.schema, projection)?;
            if let Some(rows) = hot.rows(&schema, files) {
                return memory(&schema, &rows, None, limit);
            }
            hot.note(
                &schema,
                files,
                || session.task_ctx(),
                |file, columns| {
                    let places = self.places(columns)?;
                    parquet(session, &self.schema, slice::from_ref(file), Some(&places), &[], None)
                },
            );
        }
        parquet(session, &self.schema, files, projection, filters, limit)
    }

    /// The state's files as a scan, without the rows that changed since, and these beside it.
    async fn overlaid(
        &self,
        session: &dyn Session,
        head: &Arc<Head>,
        commit: u64,
        snapshot: &Snapshot,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = projected(&self.schema, projection)?;
        let as_of = self.as_of(snapshot, commit);
        if let Some(rows) = self.hot.as_ref().and_then(|hot| hot.rows(&schema, slice::from_ref(&as_of))) {
            return memory(&schema, &rows, None, None);
        }
        let since = self.since_state(head, commit, snapshot, &schema).await?;
        if let Some(hot) = &self.hot {
            hot.note(
                &schema,
                slice::from_ref(&as_of),
                || session.task_ctx(),
                |_, columns| {
                    let places = self.places(columns)?;
                    let schema = projected(&self.schema, Some(&places))?;
                    let places = self.with_key(places)?;
                    let state = parquet(session, &self.schema, &snapshot.state, Some(&places), &[], None)?;
                    beside(session, state, &since, &schema)
                },
            );
        }
        let places = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        // No limit below the filter: it would count rows that do not stand.
        let state = self.state(session, &snapshot.state, Some(&self.with_key(places)?), filters, None)?;
        beside(session, state, &since, &schema)
    }

    /// The table at a commit between two states, as the file that it would be: other definitions may read its records otherwise.
    fn as_of(&self, snapshot: &Snapshot, commit: u64) -> DataFile {
        let paths: Vec<&str> = snapshot.state.iter().map(|file| file.path.as_str()).collect();
        let changed: u64 = snapshot.changes.iter().map(|(_, file)| file.rows).sum();
        let rows = snapshot.state.iter().map(|file| file.rows).sum::<u64>() + changed;
        let path = format!("{}@{commit}:{}", paths.join("+"), self.edition);
        DataFile { path, sha256: String::new(), bytes: 0, rows }
    }

    /// Where columns stand in the table's schema.
    fn places(&self, columns: &[&str]) -> Result<Vec<usize>> {
        columns.iter().map(|column| Ok(self.schema.index_of(column)?)).collect()
    }

    /// The columns of those places, and the key behind them if it is not among them.
    fn with_key(&self, mut places: Vec<usize>) -> Result<Vec<usize>> {
        let key = self.schema.index_of(KEY)?;
        if !places.contains(&key) {
            places.push(key);
        }
        Ok(places)
    }

    /// What changed since the state, in the columns of `schema`.
    async fn since_state(
        &self,
        head: &Head,
        commit: u64,
        snapshot: &Snapshot,
        schema: &SchemaRef,
    ) -> Result<Arc<SinceState>> {
        let state = snapshot.state.first().map(|file| file.path.clone()).unwrap_or_default();
        let key = SinceKey { state, commit, schema: Arc::clone(schema) };
        if let Some(known) = self.kept.get(&key) {
            return Ok(known);
        }
        let names: HashSet<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let wanted = move |name: &str| names.contains(name);
        let columns = self.columns.clone();
        let since = self.warehouse.since_state(head, commit, &self.source, &self.table, columns, wanted).await;
        let since = Arc::new(since.map_err(|error| DataFusionError::External(Box::new(error)))?);
        self.kept.put(key, &since, snapshot.changes.iter().map(|(_, file)| file.rows).sum());
        Ok(since)
    }

    /// The state and the changes since as one stream.
    fn folded(
        &self,
        head: &Arc<Head>,
        commit: u64,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let streamed = Streamed {
            warehouse: self.warehouse.clone(),
            edition: Arc::clone(&self.edition),
            name: (self.source.clone(), self.table.clone()),
            read: Read::State { head: Arc::clone(head), commit },
            columns: self.columns.clone(),
            schema: projected(&self.schema, projection)?,
            limit,
        };
        Ok(streamed.scan())
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
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
        TieoutOptions::check_edition(session, &self.edition)?;
        let moment = TieoutOptions::moment(session).await?;
        let Some(commit) = &moment.commit else { return empty(&self.schema, projection) };
        let Some(snapshot) = moment.head.snapshot(commit.number, &self.source, &self.table) else {
            return empty(&self.schema, projection);
        };
        if snapshot.changes.is_empty() && self.is_held_by(&snapshot.columns) {
            return self.state(session, &snapshot.state, projection, filters, limit);
        }
        let changed: u64 = snapshot.changes.iter().map(|(_, file)| file.rows).sum();
        if !snapshot.state.is_empty() && changed <= CHANGES_MAX && self.is_held_by(&snapshot.columns) {
            return self.overlaid(session, &moment.head, commit.number, &snapshot, projection, filters).await;
        }
        self.folded(&moment.head, commit.number, projection, limit)
    }
}

/// The rows of a state that stand still, and those that changed since, in the columns of `schema`: the first of the state's.
fn beside(
    session: &dyn Session,
    state: Arc<dyn ExecutionPlan>,
    since: &Arc<SinceState>,
    schema: &SchemaRef,
) -> Result<Arc<dyn ExecutionPlan>> {
    let state = without(state, Arc::clone(since), schema.fields().len(), session.config().options())?;
    UnionExec::try_new(vec![state, memory(schema, &since.rows, None, None)?])
}

/// Every row that commits up to the session's moment wrote as a change of a table.
#[derive(Debug)]
pub(crate) struct ChangesTable {
    warehouse: Warehouse,
    edition: Arc<str>,
    source: String,
    table: String,
    columns: Vec<(String, ColumnType)>,
    schema: SchemaRef,
}

impl ChangesTable {
    pub(crate) fn new(
        warehouse: Warehouse,
        edition: &Arc<str>,
        (source, table): (&str, &str),
        columns: &[(String, ColumnType)],
    ) -> Self {
        let (source, table, schema) = (source.to_owned(), table.to_owned(), nullable(&changes_schema(columns)));
        Self { warehouse, edition: Arc::clone(edition), source, table, columns: columns.to_vec(), schema }
    }

    /// The change files up to a commit: those that hold the columns of `schema` as they are declared now, and those whose
    /// records have to be asked.
    fn files(&self, head: &Head, upto: u64, schema: &SchemaRef) -> (Vec<DataFile>, Vec<DataFile>) {
        let history = head.history(upto, &self.source, &self.table);
        if !self.warehouse.reads_records(&self.source, &self.table) {
            return (history.into_iter().map(|(_, file)| file).collect(), Vec::new());
        }
        let asked: Vec<_> = self.columns.iter().filter(|(name, _)| schema.field_with_name(name).is_ok()).collect();
        let (mut whole, mut lacking) = (Vec::new(), Vec::new());
        // Years of daily commits have few sets of columns.
        let mut known: HashMap<&str, bool> = HashMap::new();
        for (number, file) in history {
            let written = head.table(number, &self.source, &self.table);
            let fingerprint = written.map_or("", |written| written.schema_fingerprint.as_str());
            let is_held = *known.entry(fingerprint).or_insert_with(|| {
                let written = head.columns(number, &self.source, &self.table);
                asked.iter().all(|column| written.contains(column))
            });
            if is_held { whole.push(file) } else { lacking.push(file) }
        }
        (whole, lacking)
    }
}

#[async_trait]
impl TableProvider for ChangesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
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
        TieoutOptions::check_edition(session, &self.edition)?;
        let moment = TieoutOptions::moment(session).await?;
        let Some(commit) = &moment.commit else { return empty(&self.schema, projection) };
        let schema = projected(&self.schema, projection)?;
        let (held, lacking) = self.files(&moment.head, commit.number, &schema);
        let scan = parquet(session, &self.schema, &held, projection, filters, limit)?;
        if lacking.is_empty() {
            return Ok(scan);
        }
        let filled = Streamed {
            warehouse: self.warehouse.clone(),
            edition: Arc::clone(&self.edition),
            name: (self.source.clone(), self.table.clone()),
            read: Read::Changes(lacking),
            columns: self.columns.clone(),
            schema,
            limit,
        };
        let filled = filled.scan();
        if held.is_empty() { Ok(filled) } else { UnionExec::try_new(vec![filled, scan]) }
    }
}

/// Files of the warehouse as one scan. They are never listed: their names and sizes come from the manifests.
fn parquet(
    session: &dyn Session,
    schema: &SchemaRef,
    files: &[DataFile],
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    if files.is_empty() {
        return empty(schema, projection);
    }
    let url = ObjectStoreUrl::parse(STORE_URL)?;
    let runtime = session.runtime_env();
    // A file never changes under its name: what its footer says is asked for once, not by every query.
    let footers = runtime.cache_manager.get_file_metadata_cache();
    let readers = CachedParquetFileReaderFactory::new(runtime.object_store(&url)?, footers);
    let mut source = ParquetSource::new(Arc::clone(schema))
        .with_parquet_file_reader_factory(Arc::new(readers))
        .with_table_parquet_options(session.table_options().parquet.clone())
        .with_enable_page_index(true);
    if let Some(predicate) = conjunction(filters.to_vec()) {
        let predicate = session.create_physical_expr(predicate, &Arc::clone(schema).to_dfschema()?)?;
        source = source.with_predicate(predicate);
    }
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let statistics = Statistics::new_unknown(schema)
        .with_num_rows(Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX)))
        .with_total_byte_size(Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX)));
    let group: FileGroup = files.iter().map(|file| PartitionedFile::new(file.path.clone(), file.bytes)).collect();
    let config = FileScanConfigBuilder::new(url, Arc::new(source))
        .with_file_group(group)
        .with_statistics(statistics)
        .with_projection_indices(projection.cloned())?
        .with_limit(limit)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// Rows in memory as a scan, in the table's fixed schema.
pub(crate) fn memory(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let batches: Vec<RecordBatch> = batches.iter().map(|batch| adapt(schema, batch)).collect::<Result<_>>()?;
    let config = MemorySourceConfig::try_new(&[batches], Arc::clone(schema), projection.cloned())?.with_limit(limit);
    Ok(DataSourceExec::from_data_source(config))
}

fn empty(schema: &SchemaRef, projection: Option<&Vec<usize>>) -> Result<Arc<dyn ExecutionPlan>> {
    Ok(Arc::new(EmptyExec::new(projected(schema, projection)?)))
}

fn projected(schema: &SchemaRef, projection: Option<&Vec<usize>>) -> Result<SchemaRef> {
    Ok(match projection {
        Some(indices) => Arc::new(schema.project(indices)?),
        None => Arc::clone(schema),
    })
}

/// Readers must bear a null wherever an older file lacks the column.
fn nullable(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(
        schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
    ))
}
