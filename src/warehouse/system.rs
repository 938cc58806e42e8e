//! Tables of our own, made from what a run says of itself: coverage, rejects, drift.
//!
//! Invariant: a row's hash covers all its columns, so that any difference is a change.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::rows::{ColumnType, Coverage, KEY, ReadMode, SYSTEM_SOURCE, TableInput, input_schema, join_key};

/// The table of what was looked at, keyed by source, table and scope: `complete_at` is when a read was last complete,
/// `swept_at` when the source was last heard to the end of the whole list.
///
/// `previous` is the table's state before (see [`super::Warehouse::read_state`]). Scopes that this run did not look at stay
/// as they are.
pub fn coverage_input(inputs: &[TableInput], previous: &[RecordBatch]) -> Result<TableInput, Error> {
    let complete_before = last_before(previous, "complete_at");
    let swept_before = last_before(previous, "swept_at");
    let looked_at: Vec<(&TableInput, &Coverage)> = inputs
        .iter()
        .filter(|input| input.source != SYSTEM_SOURCE)
        .flat_map(|input| input.coverage.iter().map(move |coverage| (input, coverage)))
        .collect();
    let keys: Vec<String> = looked_at
        .iter()
        .map(|(input, coverage)| join_key([input.source.as_str(), &input.table, &coverage.scope]))
        .collect();
    let complete_at = looked_at.iter().zip(&keys).map(|((_, coverage), key)| {
        let observed_at = coverage.observed_at.timestamp_micros();
        if coverage.status.is_complete() { Some(observed_at) } else { complete_before.get(key.as_str()).copied() }
    });
    let complete_at: ArrayRef = Arc::new(complete_at.collect::<TimestampMicrosecondArray>().with_timezone("+00:00"));
    let swept_at = looked_at.iter().zip(&keys).map(|((input, coverage), key)| {
        let is_sweep = input.mode == ReadMode::Full && coverage.status.is_answered();
        let observed_at = coverage.observed_at.timestamp_micros();
        if is_sweep { Some(observed_at) } else { swept_before.get(key.as_str()).copied() }
    });
    let swept_at: ArrayRef = Arc::new(swept_at.collect::<TimestampMicrosecondArray>().with_timezone("+00:00"));
    let observed_at: Vec<DateTime<Utc>> = looked_at.iter().map(|(_, coverage)| coverage.observed_at).collect();
    let of_input = |get: fn(&TableInput) -> &str| texts(looked_at.iter().map(|(input, _)| Some(get(input))));
    let counts = |get: fn(&Coverage) -> Option<u64>| -> ArrayRef {
        let values = looked_at.iter().map(|(_, coverage)| get(coverage).and_then(|count| i64::try_from(count).ok()));
        Arc::new(values.collect::<Int64Array>())
    };
    let columns = vec![
        ("source", ColumnType::Text, of_input(|input| &input.source)),
        ("table_name", ColumnType::Text, of_input(|input| &input.table)),
        ("scope", ColumnType::Text, texts(looked_at.iter().map(|(_, it)| Some(it.scope.as_str())))),
        ("project", ColumnType::Text, texts(looked_at.iter().map(|(_, it)| it.project.as_deref()))),
        ("status", ColumnType::Text, texts(looked_at.iter().map(|(_, it)| Some(it.status.as_str())))),
        ("mode", ColumnType::Text, of_input(|input| input.mode.as_str())),
        ("row_count", ColumnType::Int64, counts(|coverage| Some(coverage.rows))),
        ("expected_row_count", ColumnType::Int64, counts(|coverage| coverage.expected_rows)),
        ("observed_at", ColumnType::Timestamp, moments(&observed_at)),
        ("complete_at", ColumnType::Timestamp, complete_at),
        ("error", ColumnType::Text, texts(looked_at.iter().map(|(_, it)| it.error.as_deref()))),
        ("swept_at", ColumnType::Timestamp, swept_at),
    ];
    SystemTable {
        table: "coverage",
        mode: ReadMode::Incremental,
        keys,
        scopes: None,
        extracted_at: observed_at,
        columns,
    }
    .into_input()
}

/// The records and values of a run that could not become rows and cells, to append.
pub fn rejects_input(inputs: &[TableInput], at: DateTime<Utc>) -> Result<TableInput, Error> {
    let rejects: Vec<_> = inputs.iter().flat_map(|input| input.rejects.iter().map(move |it| (input, it))).collect();
    let columns = vec![
        ("source", ColumnType::Text, texts(rejects.iter().map(|(input, _)| Some(input.source.as_str())))),
        ("table_name", ColumnType::Text, texts(rejects.iter().map(|(input, _)| Some(input.table.as_str())))),
        ("scope", ColumnType::Text, texts(rejects.iter().map(|(_, it)| Some(it.scope.as_str())))),
        ("reason", ColumnType::Text, texts(rejects.iter().map(|(_, it)| Some(it.reason.as_str())))),
        (
            "raw",
            ColumnType::Text,
            texts(rejects.iter().map(|(_, it)| Some(it.raw.as_str()).filter(|raw| !raw.is_empty()))),
        ),
        ("key", ColumnType::Text, texts(rejects.iter().map(|(_, it)| it.key.as_deref()))),
        ("field", ColumnType::Text, texts(rejects.iter().map(|(_, it)| it.field.as_deref()))),
        ("value", ColumnType::Text, texts(rejects.iter().map(|(_, it)| it.value.as_deref()))),
    ];
    appended("rejects", rejects.len(), at, columns).into_input()
}

/// The fields that differ from the manifests, to append.
pub fn drift_input(inputs: &[TableInput], at: DateTime<Utc>) -> Result<TableInput, Error> {
    let drift: Vec<_> = inputs.iter().flat_map(|input| input.drift.iter().map(move |it| (input, it))).collect();
    let columns = vec![
        ("source", ColumnType::Text, texts(drift.iter().map(|(input, _)| Some(input.source.as_str())))),
        ("table_name", ColumnType::Text, texts(drift.iter().map(|(input, _)| Some(input.table.as_str())))),
        ("field", ColumnType::Text, texts(drift.iter().map(|(_, it)| Some(it.field.as_str())))),
        ("kind", ColumnType::Text, texts(drift.iter().map(|(_, it)| Some(it.kind.as_str())))),
        ("detail", ColumnType::Text, texts(drift.iter().map(|(_, it)| Some(it.detail.as_str())))),
    ];
    appended("drift", drift.len(), at, columns).into_input()
}

/// A table of our own as columns; [`SystemTable::into_input`] adds keys, hashes and moments in the common layout.
#[derive(Clone, Debug)]
pub struct SystemTable {
    /// The table's name.
    pub table: &'static str,
    /// How it is kept.
    pub mode: ReadMode,
    /// One key per row.
    pub keys: Vec<String>,
    /// One scope per row; none puts all rows into the scope "".
    pub scopes: Option<Vec<String>>,
    /// One moment per row.
    pub extracted_at: Vec<DateTime<Utc>>,
    /// Name, type and values.
    pub columns: Vec<(&'static str, ColumnType, ArrayRef)>,
}

impl SystemTable {
    /// The table as the warehouse takes it. Coverage is left empty: a caller whose rows may close adds it.
    pub fn into_input(self) -> Result<TableInput, Error> {
        let failed = Error::arrow("build", format!("{SYSTEM_SOURCE}.{}", self.table));
        let rows = self.keys.len();
        let columns: Vec<(String, ColumnType)> =
            self.columns.iter().map(|(name, kind, _)| ((*name).to_owned(), *kind)).collect();
        let hashes = hashes(&self.columns, rows);
        let batch = hashes.and_then(|hashes| {
            let scopes = self.scopes.unwrap_or_else(|| vec![String::new(); rows]);
            let mut arrays: Vec<ArrayRef> =
                vec![Arc::new(StringArray::from(self.keys)), Arc::new(StringArray::from(scopes))];
            arrays.extend(self.columns.into_iter().map(|(_, _, array)| array));
            arrays.push(new_null_array(&DataType::Utf8, rows));
            arrays.push(Arc::new(StringArray::from(hashes)));
            arrays.push(moments(&self.extracted_at));
            RecordBatch::try_new(input_schema(&columns), arrays)
        });
        Ok(TableInput {
            source: SYSTEM_SOURCE.to_owned(),
            table: self.table.to_owned(),
            columns,
            mode: self.mode,
            above: Vec::new(),
            spooled: None,
            batches: vec![batch.map_err(failed)?],
            coverage: Vec::new(),
            rejects: Vec::new(),
            drift: Vec::new(),
            cursor: None,
            accept_deletes: false,
            owners: std::collections::BTreeSet::new(),
        })
    }
}

fn appended(
    table: &'static str,
    rows: usize,
    at: DateTime<Utc>,
    columns: Vec<(&'static str, ColumnType, ArrayRef)>,
) -> SystemTable {
    let keys = (1..=rows).map(|row| row.to_string()).collect();
    SystemTable { table, mode: ReadMode::Append, keys, scopes: None, extracted_at: vec![at; rows], columns }
}

/// SHA-256 over each row's values; every value carries its length, and null is no text.
fn hashes(columns: &[(&'static str, ColumnType, ArrayRef)], rows: usize) -> Result<Vec<String>, ArrowError> {
    let options = FormatOptions::new();
    let formatters: Result<Vec<_>, ArrowError> =
        columns.iter().map(|(_, _, array)| Ok((array, ArrayFormatter::try_new(array.as_ref(), &options)?))).collect();
    let formatters = formatters?;
    let hash_row = |row: usize| {
        let mut hasher = Sha256::new();
        for (array, formatter) in &formatters {
            if row >= array.len() {
                return Err(ArrowError::InvalidArgumentError("columns are shorter than the keys".to_owned()));
            }
            if array.is_null(row) {
                hasher.update(b"-");
            } else {
                let text = formatter.value(row).to_string();
                hasher.update(format!("{}:{text}", text.len()));
            }
        }
        Ok(hex::encode(hasher.finalize()))
    };
    (0..rows).map(hash_row).collect()
}

/// The moment in a column of each scope's row.
fn last_before<'a>(previous: &'a [RecordBatch], column: &str) -> HashMap<&'a str, i64> {
    let mut found = HashMap::new();
    for batch in previous {
        let times = batch.column_by_name(column);
        let Some(times) = times.and_then(|it| it.as_primitive_opt::<TimestampMicrosecondType>()) else { continue };
        for row in (0..batch.num_rows()).filter(|row| times.is_valid(*row)) {
            found.extend(text_at(batch, KEY, row).map(|key| (key, times.value(row))));
        }
    }
    found
}

/// The text in a column at a row; none if it is null or there is no such column.
pub(super) fn text_at<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row))
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn moments(values: &[DateTime<Utc>]) -> ArrayRef {
    let micros = values.iter().map(DateTime::timestamp_micros);
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("+00:00"))
}
