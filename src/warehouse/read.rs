//! A table as of a commit, read as a stream: the nearest state with the changes since folded in.
//!
//! Invariants: rows come out under the columns asked for, ascending by key (append tables: in the order they were added); a
//! column that a file lacks, or has in another type, is read from the record beside it. Every file is checked against its
//! SHA-256 before its first row leaves. Leaves out: which files these are (`head`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::commit::{DataFile, Head};
use super::error::Error;
use super::files::{Disk, Fetched};
use super::merge::{Batches, Merge};
use super::projection::{ReadRecords, align};
use super::rows::{ColumnType, KEY, OP, RAW, state_schema};
use super::state::Fold;

/// Which columns a reader wants; the key comes always.
pub(super) type Wanted = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Files on the local disk by their paths in the warehouse.
type Kept = Mutex<BTreeMap<String, Arc<Fetched>>>;

/// What changed of a table since its nearest state.
#[derive(Debug, Default)]
pub struct SinceState {
    /// The keys of all rows that changed, ascending: those of the state do not stand any more.
    pub keys: Vec<String>,
    /// The rows that stand instead, ascending by key; none for a key that was closed.
    pub rows: Vec<RecordBatch>,
}

/// The files that make up a table, and how to read them.
#[derive(Clone)]
pub(super) struct TableFiles {
    disk: Disk,
    /// Typed columns under which rows come out.
    columns: Vec<(String, ColumnType)>,
    /// How records become typed columns, where somebody knows.
    records: Option<Arc<ReadRecords>>,
    state: Vec<DataFile>,
    /// The files of each commit after the state.
    changes: Vec<Vec<DataFile>>,
    is_append: bool,
    /// Files already fetched and checked, for readers that come twice.
    fetched: Option<Arc<Kept>>,
}

impl TableFiles {
    /// A table as of a commit; without files if nobody had looked at it by then.
    pub(super) fn new(disk: Disk, head: &Head, commit: u64, source: &str, table: &str) -> Self {
        let snapshot = head.snapshot(commit, source, table).unwrap_or_default();
        let is_append = head.is_append(commit, source, table);
        Self::of(disk, head.columns(commit, source, table), snapshot.state, snapshot.changes, is_append)
    }

    /// A state and the changes after it, oldest first.
    pub(super) fn of(
        disk: Disk,
        columns: Vec<(String, ColumnType)>,
        state: Vec<DataFile>,
        changes: Vec<(u64, DataFile)>,
        is_append: bool,
    ) -> Self {
        let mut by_commit: Vec<(u64, Vec<DataFile>)> = Vec::new();
        for (number, file) in changes {
            match by_commit.last_mut() {
                Some((last, files)) if *last == number => files.push(file),
                _ => by_commit.push((number, vec![file])),
            }
        }
        let changes = by_commit.into_iter().map(|(_, files)| files).collect();
        Self { disk, columns, records: None, state, changes, is_append, fetched: None }
    }

    /// The same table under other typed columns.
    pub(super) fn under(self, columns: Vec<(String, ColumnType)>) -> Self {
        Self { columns, ..self }
    }

    /// The same table, reading columns that files lack out of the records.
    pub(super) fn with_records(self, records: Option<Arc<ReadRecords>>) -> Self {
        Self { records, ..self }
    }

    /// Keeps what was fetched until the last clone is dropped.
    pub(super) fn keeping(self) -> Self {
        Self { fetched: Some(Arc::default()), ..self }
    }

    /// The rows. Blocks: for threads that may.
    pub(super) fn read(&self, wanted: &Wanted) -> Result<Batches, Error> {
        let schema = self.schema(wanted);
        let (state, changes) = (self.state.clone(), self.changes.clone());
        if self.is_append {
            return Ok(self.files(changes.concat(), &schema, false));
        }
        let base = (!state.is_empty()).then(|| self.files(state, &schema, false));
        if changes.is_empty() {
            return Ok(base.unwrap_or_else(|| Box::new(std::iter::empty())));
        }
        let changes = changes.into_iter().map(|files| self.files(files, &schema, true));
        Ok(Box::new(Fold::new(Merge::new(base.into_iter().chain(changes))?, schema)))
    }

    /// What changed since the state, in memory. Blocks: for threads that may.
    pub(super) fn since_state(&self, wanted: &Wanted) -> Result<SinceState, Error> {
        let schema = self.schema(wanted);
        let changes = self.changes.iter().map(|files| self.files(files.clone(), &schema, true));
        let mut fold = Fold::new(Merge::new(changes)?, SchemaRef::clone(&schema)).noting_keys();
        let rows = fold.by_ref().collect::<Result<_, _>>()?;
        Ok(SinceState { keys: fold.into_keys(), rows })
    }

    /// The changes with their operation, without rows that were only written anew. Blocks: for threads that may.
    pub(super) fn changed(&self, wanted: &Wanted) -> Batches {
        let schema = self.schema(wanted);
        let batches = self.files(self.changes.concat(), &schema, true);
        Box::new(batches.map(|batch| {
            let batch = batch?;
            let ops = batch.column_by_name(OP).and_then(|ops| ops.as_string_opt::<i32>());
            let ops = ops.into_iter().flatten();
            let is_change: BooleanArray = ops.map(|op| Some(op != Some("P"))).collect();
            filter_record_batch(&batch, &is_change).map_err(Error::arrow("read", "a change file"))
        }))
    }

    fn schema(&self, wanted: &Wanted) -> SchemaRef {
        let full = state_schema(&self.columns);
        let fields = full.fields().iter().filter(|field| field.name() == KEY || wanted(field.name()));
        Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
    }

    /// The rows of some files, one file after the other; with their operation if asked for.
    fn files(&self, files: Vec<DataFile>, schema: &SchemaRef, with_op: bool) -> Batches {
        let schema = if with_op { with_operation(schema) } else { SchemaRef::clone(schema) };
        let (table, mut files) = (self.clone(), files.into_iter());
        let mut open: Option<Batches> = None;
        Box::new(std::iter::from_fn(move || {
            loop {
                if let Some(batch) = open.as_mut().and_then(Iterator::next) {
                    return Some(batch);
                }
                match table.file(&files.next()?, &schema) {
                    Ok(batches) => open = Some(batches),
                    Err(error) => return Some(Err(error)),
                }
            }
        }))
    }

    fn file(&self, file: &DataFile, schema: &SchemaRef) -> Result<Batches, Error> {
        let fetched = self.fetch(file)?;
        let choose = |found: &SchemaRef| {
            let has = |field: &Field| {
                found.field_with_name(field.name()).is_ok_and(|found| found.data_type() == field.data_type())
            };
            // The record is the widest column: read only where it fills another.
            let fills = self.records.is_some() && !schema.fields().iter().all(|field| has(field));
            let names = found.fields().iter().map(|field| field.name());
            let wanted = |name: &&String| schema.field_with_name(name).is_ok() || (fills && name.as_str() == RAW);
            names.filter(wanted).cloned().collect()
        };
        let rows = fetched.rows(choose)?;
        let (records, schema, path) = (self.records.clone(), SchemaRef::clone(schema), file.path.clone());
        Ok(Box::new(rows.map(move |batch| {
            align(&batch?, &schema, records.as_deref()).map_err(Error::arrow("read", path.as_str()))
        })))
    }

    fn fetch(&self, file: &DataFile) -> Result<Arc<Fetched>, Error> {
        let Some(known) = &self.fetched else { return self.disk.fetch(file).map(Arc::new) };
        let found = known.lock().unwrap_or_else(PoisonError::into_inner).get(&file.path).cloned();
        if let Some(found) = found {
            return Ok(found);
        }
        let found = Arc::new(self.disk.fetch(file)?);
        known.lock().unwrap_or_else(PoisonError::into_inner).insert(file.path.clone(), Arc::clone(&found));
        Ok(found)
    }
}

fn with_operation(schema: &SchemaRef) -> SchemaRef {
    let operation = Arc::new(Field::new(OP, arrow::datatypes::DataType::Utf8, false));
    let fields: Vec<_> = schema.fields().iter().cloned().chain([operation]).collect();
    Arc::new(Schema::new(fields))
}
