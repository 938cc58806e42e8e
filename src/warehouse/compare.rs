//! One table of a run against the warehouse: what changed is written, in two passes over sorted streams.
//!
//! The first pass reads everything but the records and decides: what changed, whether too much would vanish, whether typed
//! columns read otherwise now. Most tables of most runs end there. The second writes changes and state side by side. Memory
//! does not grow with the table. Blocks: for threads that may.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::commit::{ColumnTotals, DataFile};
use super::diff::{Diff, Fate, Span, Survey, is_mass_deletion};
use super::error::Error;
use super::files::{Target, Writer};
use super::merge::{Batches, Gather, Keyed};
use super::read::{TableFiles, Wanted};
use super::rows::{COMMIT, ColumnType, EXTRACTED_AT, HASH_BEFORE, RAW, Reject, changes_schema, state_schema};
use super::sort::Sorted;
use super::state::Totals;

/// A table to compare or to append to.
pub(super) struct Task {
    /// Where the table's files go; `folder` is the table's.
    pub(super) target: Target,
    pub(super) table: String,
    pub(super) columns: Vec<(String, ColumnType)>,
    /// The rows read, in the layout of a run.
    pub(super) rows: Batches,
}

/// What a table's rows are compared with, and how.
pub(super) struct Against {
    /// The table before, under the run's columns.
    pub(super) previous: TableFiles,
    /// Whether it had the same columns.
    pub(super) same_columns: bool,
    /// Its control totals.
    pub(super) totals: Option<ColumnTotals>,
    /// The scopes whose absent rows are closed.
    pub(super) closable: HashSet<String>,
    /// Records that were read again with all that lies inside them.
    pub(super) owners: BTreeSet<String>,
    /// Whether a mass deletion is held back.
    pub(super) is_doubted: bool,
    /// A table above it whose deletions are held back.
    pub(super) held_above: Option<String>,
}

/// What became of a table.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) inserted: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
    pub(super) rows: u64,
    pub(super) totals: ColumnTotals,
    /// The sums over the rows of `changes`; empty for appended rows.
    pub(super) changes_totals: ColumnTotals,
    /// Whether rows with the same content took other typed values.
    pub(super) projected_anew: bool,
    pub(super) changes: Vec<DataFile>,
    pub(super) state: Vec<DataFile>,
    /// Why deletions were held back, and in which scopes.
    pub(super) held_back: Option<(String, BTreeSet<String>)>,
    pub(super) duplicates: Vec<Reject>,
}

impl Task {
    /// Adds the rows, each as inserted.
    pub(super) fn append(self) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        let mut totals = Totals::new(&self.columns);
        let mut writer = Writer::new(self.below("changes"), changes_schema(&self.columns));
        let commit = number(self.target.commit);
        for batch in self.rows {
            let batch = batch?;
            let ops = vec!["I"; batch.num_rows()];
            let written = with_commit(&batch, vec![commit; batch.num_rows()], &state_schema(&self.columns))
                .and_then(|batch| with_ops(&batch, &ops, &self.columns))
                .map_err(Error::arrow("add rows to", self.table.as_str()))?;
            totals.add(&written);
            outcome.rows += written.num_rows() as u64;
            writer.write(&written)?;
        }
        outcome.inserted = outcome.rows;
        outcome.totals = totals.finish();
        if outcome.rows > 0 {
            outcome.changes = writer.finish()?;
        }
        Ok(outcome)
    }

    /// Compares the rows with those before.
    pub(super) fn compare(mut self, against: Against) -> Result<Outcome, Error> {
        let rows = std::mem::replace(&mut self.rows, Box::new(std::iter::empty()));
        let mut incoming = Sorted::new(rows, self.target.limits.sort_bytes)?;
        let mut outcome = Outcome { duplicates: std::mem::take(&mut incoming.duplicates), ..Outcome::default() };
        let closes = |scope: &str, key: &str| {
            against.closable.contains(scope) || owner(key).is_some_and(|owner| against.owners.contains(owner))
        };
        let narrow = |name: &str| !matches!(name, RAW | EXTRACTED_AT | COMMIT);
        let old = against.previous.read(&(Arc::new(narrow) as Wanted))?;
        let mut survey = Survey::new(Diff::new(old, incoming.read(narrow)?, &closes)?, &self.columns)?;
        let above = against.held_above.as_deref().filter(|_| survey.deleted > 0);
        if against.is_doubted && (above.is_some() || is_mass_deletion(survey.deleted, survey.before)) {
            let reason = held_back_reason(&self.table, above, survey.deleted, survey.before);
            outcome.held_back = Some((reason, survey.hold_back()));
        }
        (outcome.inserted, outcome.updated, outcome.deleted) = (survey.inserted, survey.updated, survey.deleted);
        let anew = survey.before > 0 && (!against.same_columns || survey.is_projected_anew);
        if !survey.differs() && !anew {
            outcome.rows = survey.before;
            let known = against.totals.filter(|_| against.same_columns);
            outcome.totals = known.unwrap_or_else(|| Totals::new(&self.columns).finish());
            return Ok(outcome);
        }
        let is_held_back = outcome.held_back.is_some();
        let closes = |scope: &str, key: &str| !is_held_back && closes(scope, key);
        let old = against.previous.read(&(Arc::new(|_: &str| true) as Wanted))?;
        let commit = number(self.target.commit);
        let schema = state_schema(&self.columns);
        let new = incoming.read(|_| true)?.map(move |batch| {
            let batch = batch?;
            let commits = vec![commit; batch.num_rows()];
            with_commit(&batch, commits, &schema).map_err(Error::arrow("compare", "incoming rows"))
        });
        let diff = Diff::new(old, Box::new(new), &closes)?;
        self.write(diff, &survey, anew, outcome)
    }

    fn write(&self, mut diff: Diff<'_>, survey: &Survey, anew: bool, mut outcome: Outcome) -> Result<Outcome, Error> {
        let mut pen = Pen::new(self, anew);
        while let Some(fate) = diff.next()? {
            pen.put(&fate).map_err(Error::arrow("compare", self.table.as_str()))?;
            pen.flush(false)?;
        }
        pen.flush(true)?;
        let Pen { changes, changes_totals, state, totals, rows, .. } = pen;
        if survey.differs() {
            outcome.changes = changes.finish()?;
            outcome.changes_totals = changes_totals.finish();
        }
        outcome.state = state.finish()?;
        outcome.projected_anew = anew;
        (outcome.rows, outcome.totals) = (rows, totals.finish());
        Ok(outcome)
    }

    fn below(&self, what: &str) -> Target {
        let mut target = self.target.clone();
        target.folder = format!("{}/{what}", target.folder);
        target
    }
}

/// The key of the record that a row lies inside of: its own without the last component.
fn owner(key: &str) -> Option<&str> {
    key.rsplit_once('|').map(|(owner, _)| owner)
}

fn held_back_reason(table: &str, above: Option<&str>, deleted: u64, rows: u64) -> String {
    let because =
        above.map(|above| format!(", while deletions of `{above}` above them are held back")).unwrap_or_default();
    format!(
        "{deleted} of {rows} rows would have vanished in one run{because}; they are kept until a person confirms with \
         `tieout extract --accept-deletes {}`",
        above.unwrap_or(table)
    )
}

/// Writes changes and state from the fates of rows.
struct Pen<'a> {
    task: &'a Task,
    /// Whether rows with the same content take the typed values read now.
    anew: bool,
    changed: Gather,
    ops: Vec<&'static str>,
    standing: Gather,
    changes: Writer,
    state: Writer,
    totals: Totals,
    changes_totals: Totals,
    rows: u64,
}

impl<'a> Pen<'a> {
    fn new(task: &'a Task, anew: bool) -> Self {
        let schema = state_schema(&task.columns);
        Self {
            task,
            anew,
            changed: Gather::new(SchemaRef::clone(&schema)),
            ops: Vec::new(),
            standing: Gather::new(SchemaRef::clone(&schema)),
            changes: Writer::new(task.below("changes"), changes_schema(&task.columns)),
            state: Writer::new(task.below("state"), schema),
            totals: Totals::new(&task.columns),
            changes_totals: Totals::new(&task.columns),
            rows: 0,
        }
    }

    fn put(&mut self, fate: &Fate) -> Result<(), ArrowError> {
        match fate {
            Fate::Inserted(new) => {
                self.change(new, "I");
                self.stand(new);
            }
            Fate::Updated { new, .. } => {
                self.change(new, "U");
                self.stand(new);
            }
            Fate::Deleted(old) => {
                // Its last content, under the commit that closed it.
                let commits = vec![number(self.task.target.commit); old.rows.len()];
                let closed = recommitted(old, Arc::new(Int64Array::from(commits)))?;
                self.change(&closed, "D");
            }
            Fate::Kept(old) => self.stand(old),
            Fate::Same { old, .. } if !self.anew => self.stand(old),
            Fate::Same { old, new } => self.stand(&recommitted(new, commits_of(old)?)?),
            Fate::Rekeyed { old, new } => {
                let rekeyed = recommitted(new, commits_of(old)?)?;
                self.change(&rekeyed, "P");
                self.stand(&rekeyed);
            }
        }
        Ok(())
    }

    fn change(&mut self, span: &Span, op: &'static str) {
        self.changed.push(&span.batch, span.rows.clone());
        self.ops.extend(std::iter::repeat_n(op, span.rows.len()));
    }

    fn stand(&mut self, span: &Span) {
        self.standing.push(&span.batch, span.rows.clone());
    }

    fn flush(&mut self, at_end: bool) -> Result<(), Error> {
        let failed = || Error::arrow("compare", self.task.table.as_str());
        if self.standing.is_full() || (at_end && self.standing.len() > 0) {
            let batch = self.standing.take().map_err(failed())?;
            self.totals.add(&batch);
            self.rows += batch.num_rows() as u64;
            self.state.write(&batch)?;
        }
        if self.changed.is_full() || (at_end && self.changed.len() > 0) {
            let ops = std::mem::take(&mut self.ops);
            let batch = self.changed.take().and_then(|batch| with_ops(&batch, &ops, &self.task.columns));
            let batch = batch.map_err(failed())?;
            self.changes_totals.add(&batch);
            self.changes.write(&batch)?;
        }
        Ok(())
    }
}

fn commits_of(span: &Span) -> Result<ArrayRef, ArrowError> {
    let commits = span.batch.batch.column_by_name(COMMIT).map(|column| column.slice(span.rows.start, span.rows.len()));
    commits.ok_or_else(|| ArrowError::SchemaError(format!("column {COMMIT} is missing")))
}

/// The rows under other commits; copied, so that they do not keep the rest of their batch in memory.
fn recommitted(span: &Span, commits: ArrayRef) -> Result<Span, ArrowError> {
    let places: Vec<(usize, usize)> = span.rows.clone().map(|row| (0, row)).collect();
    let batch = interleave_record_batch(&[&span.batch.batch], &places)?;
    let place = batch.schema_ref().index_of(COMMIT)?;
    let mut columns = batch.columns().to_vec();
    if let Some(column) = columns.get_mut(place) {
        *column = commits;
    }
    let keyed = Keyed::new(RecordBatch::try_new(batch.schema(), columns)?)?;
    let rows = 0..keyed.keys.len();
    Ok(Span { batch: Arc::new(keyed), rows })
}

/// A run's rows in the layout of a state; a hash under an older key stays beside them.
fn with_commit(batch: &RecordBatch, commits: Vec<i64>, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let mut fields = schema.fields().to_vec();
    let mut columns = batch.columns().to_vec();
    let before = batch.schema_ref().column_with_name(HASH_BEFORE).map(|(place, field)| (place, field.clone()));
    let before = before.map(|(place, field)| (columns.remove(place), Arc::new(field)));
    columns.push(Arc::new(Int64Array::from(commits)));
    if let Some((column, field)) = before {
        columns.push(column);
        fields.push(field);
    }
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns)
}

fn with_ops(
    batch: &RecordBatch,
    ops: &[&'static str],
    columns: &[(String, ColumnType)],
) -> Result<RecordBatch, ArrowError> {
    let mut arrays = batch.columns().to_vec();
    arrays.push(Arc::new(StringArray::from_iter_values(ops)));
    RecordBatch::try_new(changes_schema(columns), arrays)
}

fn number(commit: u64) -> i64 {
    i64::try_from(commit).unwrap_or(i64::MAX)
}
