//! The state of a table: `state(n) = state(n−1) ⊕ changes(n)`, and the sums that witness it.
//!
//! Invariants: rows come out ascending by key, under the columns asked for; sums are exact integers scaled by ten, never
//! floats. Leaves out: reading and writing files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options, interleave_record_batch};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, SchemaRef, i256};
use arrow::error::ArrowError;

use super::diff::{Fate, Place, text};
use super::rows::{COMMIT, ColumnType, KEY, OP, changes_schema, input_schema, state_schema};

/// Rows of one batch: small enough that the text of a batch stays far below Arrow's 2 GB limit.
pub(super) const BATCH_ROWS: usize = 8_192;

/// The state before, then the batches of changes, oldest first: the state after, in [`state_schema`] of `columns`.
pub(super) fn fold(
    columns: &[(String, ColumnType)],
    state: &[RecordBatch],
    changes: &[RecordBatch],
) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut rows: BTreeMap<&str, Place> = BTreeMap::new();
    for (batch_place, batch) in state.iter().chain(changes).enumerate() {
        let keys = text(batch, KEY)?;
        let ops = if batch_place < state.len() { None } else { Some(text(batch, OP)?) };
        for row in 0..batch.num_rows() {
            match ops {
                Some(ops) if ops.value(row) == "D" => rows.remove(keys.value(row)),
                _ => rows.insert(keys.value(row), (batch_place, row)),
            };
        }
    }
    let places: Vec<Place> = rows.into_values().collect();
    let schema = state_schema(columns);
    let aligned = align_all(state.iter().chain(changes), &schema)?;
    gather(&aligned, &places)
}

/// Rows of an append table: every change file's rows, in order, without the operation.
pub(super) fn concatenate(
    columns: &[(String, ColumnType)],
    changes: &[RecordBatch],
) -> Result<Vec<RecordBatch>, ArrowError> {
    align_all(changes, &state_schema(columns))
}

/// The two sides of a diff under the columns of the run, from which states and change files are put together.
pub(super) struct Sides<'a> {
    columns: &'a [(String, ColumnType)],
    /// Previous batches, then incoming ones, in [`input_schema`].
    batches: Vec<RecordBatch>,
    previous: &'a [RecordBatch],
}

impl<'a> Sides<'a> {
    pub(super) fn new(
        columns: &'a [(String, ColumnType)],
        previous: &'a [RecordBatch],
        incoming: &[RecordBatch],
    ) -> Result<Self, ArrowError> {
        let batches = align_all(previous.iter().chain(incoming), &input_schema(columns))?;
        Ok(Self { columns, batches, previous })
    }

    fn incoming(&self, (batch, row): Place) -> Place {
        (self.previous.len() + batch, row)
    }

    /// Whether rows with the same content stand under other typed values than before: the manifest reads them otherwise now.
    pub(super) fn is_projected_anew(&self, fates: &[Fate<'_>]) -> Result<bool, ArrowError> {
        let pairs = fates.iter().filter_map(|fate| match fate {
            Fate::Same { old, new } => Some((old.place, self.incoming(new.place))),
            _ => None,
        });
        let (old, new): (Vec<Place>, Vec<Place>) = pairs.unzip();
        let (old, new) = (gather(&self.batches, &old)?, gather(&self.batches, &new)?);
        let differs = |(old, new): (&RecordBatch, &RecordBatch)| {
            self.columns.iter().any(|(name, _)| old.column_by_name(name) != new.column_by_name(name))
        };
        Ok(old.iter().zip(&new).any(differs))
    }

    /// The state after: rows that were read again with the same content take the new projection, not a new commit.
    pub(super) fn state(&self, fates: &[Fate<'_>], commit: u64, anew: bool) -> Result<Vec<RecordBatch>, ArrowError> {
        let (mut places, mut commits) = (Vec::new(), Vec::new());
        for fate in fates {
            let (place, old) = match fate {
                Fate::Inserted(new) | Fate::Updated(new) => (self.incoming(new.place), None),
                Fate::Same { old, new } if anew => (self.incoming(new.place), Some(old.place)),
                Fate::Same { old, .. } | Fate::Kept(old) => (old.place, Some(old.place)),
                Fate::Deleted(_) => continue,
            };
            places.push(place);
            commits.push(old.map_or(Ok(number(commit)), |old| self.commit_of(old))?);
        }
        let schema = state_schema(self.columns);
        let with_commit = |(batch, commits): (RecordBatch, &[i64])| {
            let mut arrays = batch.columns().to_vec();
            arrays.push(Arc::new(Int64Array::from(commits.to_vec())));
            RecordBatch::try_new(SchemaRef::clone(&schema), arrays)
        };
        gather(&self.batches, &places)?.into_iter().zip(commits.chunks(BATCH_ROWS)).map(with_commit).collect()
    }

    /// What changed: every row carries the commit that changed it and the operation.
    pub(super) fn changes(&self, fates: &[Fate<'_>], commit: u64) -> Result<Vec<RecordBatch>, ArrowError> {
        let (mut places, mut ops) = (Vec::new(), Vec::new());
        for fate in fates {
            let (place, op) = match fate {
                Fate::Inserted(new) => (self.incoming(new.place), "I"),
                Fate::Updated(new) => (self.incoming(new.place), "U"),
                Fate::Deleted(old) => (old.place, "D"),
                Fate::Same { .. } | Fate::Kept(_) => continue,
            };
            places.push(place);
            ops.push(op);
        }
        let batches = gather(&self.batches, &places)?;
        let batches = batches.into_iter().zip(ops.chunks(BATCH_ROWS));
        batches.map(|(batch, ops)| with_op(self.columns, &batch, ops, commit)).collect()
    }

    fn commit_of(&self, (batch, row): Place) -> Result<i64, ArrowError> {
        let commits = self.previous.get(batch).and_then(|batch| batch.column_by_name(COMMIT));
        let commits = commits.and_then(|column| column.as_primitive_opt::<Int64Type>());
        commits
            .filter(|commits| row < commits.len())
            .map(|commits| commits.value(row))
            .ok_or_else(|| ArrowError::SchemaError(format!("column {COMMIT} is missing or no integer")))
    }
}

/// A batch in [`input_schema`] with the last two columns of a change file.
pub(super) fn with_op(
    columns: &[(String, ColumnType)],
    batch: &RecordBatch,
    ops: &[&str],
    commit: u64,
) -> Result<RecordBatch, ArrowError> {
    let mut arrays = batch.columns().to_vec();
    arrays.push(Arc::new(Int64Array::from(vec![number(commit); batch.num_rows()])));
    arrays.push(Arc::new(arrow::array::StringArray::from_iter_values(ops)));
    RecordBatch::try_new(changes_schema(columns), arrays)
}

/// The rows at `places`, in that order, in batches of [`BATCH_ROWS`].
fn gather(batches: &[RecordBatch], places: &[Place]) -> Result<Vec<RecordBatch>, ArrowError> {
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    places.chunks(BATCH_ROWS).map(|chunk| interleave_record_batch(&batches, chunk)).collect()
}

fn align_all<'a>(
    batches: impl IntoIterator<Item = &'a RecordBatch>,
    schema: &SchemaRef,
) -> Result<Vec<RecordBatch>, ArrowError> {
    batches.into_iter().map(|batch| align(batch, schema)).collect()
}

/// The batch under another schema: a new column is null, one that is no longer declared falls away, one of another type is
/// cast, and is null where its values have no form in the new type (the record beside it keeps them).
pub(super) fn align(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let column = |name: &str, kind: &DataType| -> Result<ArrayRef, ArrowError> {
        match batch.column_by_name(name) {
            Some(column) if column.data_type() == kind => Ok(Arc::clone(column)),
            Some(column) if can_cast_types(column.data_type(), kind) => cast_with_options(column, kind, &options),
            _ => Ok(new_null_array(kind, batch.num_rows())),
        }
    };
    let arrays: Result<Vec<ArrayRef>, ArrowError> =
        schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect();
    RecordBatch::try_new(SchemaRef::clone(schema), arrays?)
}

/// The sum of each decimal column over the batches, as decimal text. 256 bits: a sum of 128-bit values cannot overflow.
pub(super) fn control_totals(columns: &[(String, ColumnType)], batches: &[RecordBatch]) -> BTreeMap<String, String> {
    let mut totals = BTreeMap::new();
    for (name, kind) in columns {
        let ColumnType::Decimal(_, scale) = *kind else { continue };
        let arrays =
            batches.iter().filter_map(|batch| batch.column_by_name(name)?.as_primitive_opt::<Decimal128Type>());
        let values = arrays.flat_map(|array| array.iter().flatten());
        let sum = values.fold(i256::ZERO, |sum, value| sum.wrapping_add(i256::from_i128(value)));
        totals.insert(name.clone(), decimal_text(&sum.to_string(), scale));
    }
    totals
}

/// An integer's digits with the point set `scale` places from the right.
fn decimal_text(digits: &str, scale: i8) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    match usize::try_from(scale) {
        Ok(0) => format!("{sign}{digits}"),
        Ok(scale) => {
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = padded.split_at(padded.len() - scale);
            format!("{sign}{whole}.{fraction}")
        }
        Err(_) if digits == "0" => "0".to_owned(),
        Err(_) => format!("{sign}{digits}{}", "0".repeat(usize::from(scale.unsigned_abs()))),
    }
}

fn number(commit: u64) -> i64 {
    i64::try_from(commit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Decimal128Array;
    use arrow::datatypes::{Field, Schema};

    #[test]
    fn decimal_text_keeps_every_digit() {
        assert_eq!(decimal_text("5", 2), "0.05");
        assert_eq!(decimal_text("-5", 2), "-0.05");
        assert_eq!(decimal_text("12345", 2), "123.45");
        assert_eq!(decimal_text("-100", 0), "-100");
        assert_eq!(decimal_text("12", -2), "1200");
        assert_eq!(decimal_text("0", 2), "0.00");
    }

    #[test]
    fn control_totals_are_exact_beyond_128_bits() {
        let most = 10_i128.pow(38) - 1;
        let values = Decimal128Array::from(vec![Some(most), None, Some(most)]).with_precision_and_scale(38, 0).unwrap();
        let schema = Schema::new(vec![Field::new("a", DataType::Decimal128(38, 0), true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(values)]).unwrap();
        let totals = control_totals(&[("a".into(), ColumnType::Decimal(38, 0))], &[batch]);
        assert_eq!(totals["a"], "199999999999999999999999999999999999998");
    }
}
