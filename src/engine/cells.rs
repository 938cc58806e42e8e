//! Rows of our own results: from values to the warehouse's input layout, and from query results to values.
//!
//! Invariant: the content hash covers every typed column, so that a result which did not change is no change.

use std::ops::Index;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::engine::Error;
use crate::engine::layout::system_columns;
use crate::warehouse::Spool;
use crate::warehouse::rows::{
    ColumnType, Coverage, CoverageStatus, ReadMode, SYSTEM_SOURCE, TableInput, input_schema, join_key, timestamp_type,
};

/// One value. Amounts are in the column's scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Integer(i64),
    Amount(i128),
    Moment(DateTime<Utc>),
}

impl Cell {
    pub(crate) fn text(value: Option<&str>) -> Self {
        value.map_or(Self::Null, |value| Self::Text(value.to_owned()))
    }

    pub(crate) fn moment(value: Option<DateTime<Utc>>) -> Self {
        value.map_or(Self::Null, Self::Moment)
    }

    pub(crate) fn count(value: usize) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_moment(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Moment(at) => Some(*at),
            _ => None,
        }
    }

    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn as_amount(&self) -> Option<i128> {
        match self {
            Self::Amount(value) => Some(*value),
            _ => None,
        }
    }

    /// Kind and content, so that null, the empty text and the text "null" hash apart.
    fn hash_into(&self, hasher: &mut Sha256) {
        let (kind, content) = match self {
            Self::Null => ("n", String::new()),
            Self::Text(text) => ("t", text.clone()),
            Self::Integer(value) => ("i", value.to_string()),
            Self::Amount(value) => ("a", value.to_string()),
            Self::Moment(at) => ("m", at.timestamp_micros().to_string()),
        };
        hasher.update(kind.as_bytes());
        hasher.update(content.len().to_le_bytes());
        hasher.update(content.as_bytes());
    }
}

/// A row: its cells by column, those that are null left out. There are as many as exceptions, so the columns are sorted, and
/// all rows of a result share their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row(Vec<(Arc<str>, Cell)>);

impl Row {
    /// A row that will have so many cells.
    fn with_capacity(cells: usize) -> Self {
        Self(Vec::with_capacity(cells))
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Cell> {
        let place = self.place(name).ok()?;
        self.0.get(place).map(|(_, cell)| cell)
    }

    /// Sets a cell.
    pub(crate) fn insert(&mut self, name: impl AsRef<str> + Into<Arc<str>>, cell: Cell) {
        match (self.place(name.as_ref()), cell) {
            (Ok(place), Cell::Null) => drop(self.0.remove(place)),
            (Ok(place), cell) => {
                if let Some((_, old)) = self.0.get_mut(place) {
                    *old = cell;
                }
            }
            (Err(_), Cell::Null) => {}
            (Err(place), cell) => self.0.insert(place, (name.into(), cell)),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.insert(name, Cell::Null);
    }
}

impl Index<&str> for Row {
    type Output = Cell;

    fn index(&self, name: &str) -> &Cell {
        self.get(name).unwrap_or(&Cell::Null)
    }
}

impl<N: AsRef<str> + Into<Arc<str>>> Extend<(N, Cell)> for Row {
    fn extend<I: IntoIterator<Item = (N, Cell)>>(&mut self, cells: I) {
        cells.into_iter().for_each(|(name, cell)| self.insert(name, cell));
    }
}

impl<N: AsRef<str> + Into<Arc<str>>> FromIterator<(N, Cell)> for Row {
    fn from_iter<I: IntoIterator<Item = (N, Cell)>>(cells: I) -> Self {
        let mut row = Self::default();
        row.extend(cells);
        row
    }
}

/// The rows of one of our own tables as an input for the warehouse. `key` names the key columns; none for append tables,
/// whose rows are numbered within the commit.
pub(crate) fn system_input(
    table: &'static str,
    key: &'static [&'static str],
    rows: &[Row],
    at: DateTime<Utc>,
) -> Result<TableInput, Error> {
    let mut input = SystemInput::new(table, key, at);
    input.add(rows)?;
    input.finish()
}

/// What of an input stays in memory; the rest waits on the disk.
const HELD_BYTES: usize = 8 << 20;

/// Rows of a batch, at most: as values they take a kilobyte each.
pub(crate) const BATCH_ROWS: usize = 8_192;

/// An input whose rows come a piece at a time: more of them than fit into memory.
pub(crate) struct SystemInput {
    table: &'static str,
    key: &'static [&'static str],
    at: DateTime<Utc>,
    columns: Vec<(String, ColumnType)>,
    rows: usize,
    spool: Spool,
    batches: Vec<RecordBatch>,
    held_bytes: usize,
}

impl SystemInput {
    pub(crate) fn new(table: &'static str, key: &'static [&'static str], at: DateTime<Utc>) -> Self {
        let columns = system_columns(table);
        Self { table, key, at, columns, rows: 0, spool: Spool::default(), batches: Vec::new(), held_bytes: 0 }
    }

    pub(crate) fn add(&mut self, rows: &[Row]) -> Result<(), Error> {
        for rows in rows.chunks(BATCH_ROWS) {
            let batch = self.batch(rows)?;
            self.rows += rows.len();
            self.held_bytes += batch.get_array_memory_size();
            self.batches.push(batch);
            if self.held_bytes > HELD_BYTES {
                self.held_bytes = 0;
                for batch in self.batches.drain(..) {
                    self.spool.write(&batch)?;
                }
            }
        }
        Ok(())
    }

    fn batch(&self, rows: &[Row]) -> Result<RecordBatch, Error> {
        let mut keys = Vec::with_capacity(rows.len());
        let mut hashes = Vec::with_capacity(rows.len());
        for (index, row) in (self.rows..).zip(rows) {
            let mut digest = Sha256::new();
            for (name, _) in &self.columns {
                row[name.as_str()].hash_into(&mut digest);
            }
            hashes.push(hex::encode(digest.finalize()));
            let parts: Vec<String> = self.key.iter().map(|&name| key_text(&row[name])).collect();
            keys.push(if self.key.is_empty() {
                format!("{index:08}")
            } else {
                join_key(parts.iter().map(String::as_str))
            });
        }
        let count = rows.len();
        let mut arrays: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(keys)), Arc::new(StringArray::from(vec![""; count]))];
        arrays.extend(arrays_of(rows, &self.columns)?);
        arrays.push(Arc::new(StringArray::from(vec![None::<&str>; count])));
        arrays.push(Arc::new(StringArray::from(hashes)));
        let seen = TimestampMicrosecondArray::from(vec![self.at.timestamp_micros(); count]);
        arrays.push(Arc::new(seen.with_data_type(timestamp_type())));
        Ok(RecordBatch::try_new(input_schema(&self.columns), arrays)?)
    }

    pub(crate) fn finish(self) -> Result<TableInput, Error> {
        let coverage = Coverage {
            scope: String::new(),
            project: None,
            status: if self.rows == 0 { CoverageStatus::EmptyVerified } else { CoverageStatus::Ok },
            rows: u64::try_from(self.rows).unwrap_or(u64::MAX),
            expected_rows: None,
            observed_at: self.at,
            error: None,
        };
        Ok(TableInput {
            source: SYSTEM_SOURCE.to_owned(),
            table: self.table.to_owned(),
            columns: self.columns,
            mode: if self.key.is_empty() { ReadMode::Append } else { ReadMode::Full },
            above: Vec::new(),
            spooled: self.spool.finish()?,
            batches: self.batches,
            coverage: vec![coverage],
            rejects: Vec::new(),
            drift: Vec::new(),
            cursor: None,
            accept_deletes: true,
            owners: std::collections::BTreeSet::new(),
        })
    }
}

fn key_text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Integer(value) => value.to_string(),
        _ => String::new(),
    }
}

/// A result in these columns and their types alone. A column that it lacks is null.
pub(crate) fn typed(batch: &RecordBatch, columns: &[(String, ColumnType)]) -> Result<RecordBatch, Error> {
    let column = |(name, kind): &(String, ColumnType)| match batch.column_by_name(name) {
        Some(column) => cast(column, &kind.data_type()),
        None => Ok(new_null_array(&kind.data_type(), batch.num_rows())),
    };
    let arrays = columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema_of(columns), arrays)?)
}

fn schema_of(columns: &[(String, ColumnType)]) -> SchemaRef {
    let fields: Vec<Field> = columns.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect();
    Arc::new(Schema::new(fields))
}

/// Rows as a query's result has them.
pub(crate) fn batch_of(rows: &[Row], columns: &[(String, ColumnType)]) -> Result<RecordBatch, Error> {
    Ok(RecordBatch::try_new(schema_of(columns), arrays_of(rows, columns)?)?)
}

fn arrays_of(rows: &[Row], columns: &[(String, ColumnType)]) -> Result<Vec<ArrayRef>, Error> {
    columns.iter().map(|(name, kind)| array(rows, name, *kind)).collect()
}

fn array(rows: &[Row], name: &str, kind: ColumnType) -> Result<ArrayRef, Error> {
    let cells = rows.iter().map(|row| &row[name]);
    Ok(match kind {
        ColumnType::Int64 => Arc::new(cells.map(Cell::as_integer).collect::<Int64Array>()),
        ColumnType::Decimal(precision, scale) => {
            let amounts: Decimal128Array = cells.map(Cell::as_amount).collect();
            Arc::new(amounts.with_precision_and_scale(precision, scale)?)
        }
        ColumnType::Timestamp => {
            let moments: TimestampMicrosecondArray =
                cells.map(|cell| cell.as_moment().map(|at| at.timestamp_micros())).collect();
            Arc::new(moments.with_data_type(timestamp_type()))
        }
        ColumnType::Text => Arc::new(cells.map(Cell::as_text).collect::<StringArray>()),
        ColumnType::Bool => Arc::new(BooleanArray::new_null(rows.len())),
        ColumnType::Date => Arc::new(Date32Array::new_null(rows.len())),
    })
}

/// The named columns of a query's result, cast to their types. A column that the result lacks is null.
pub(crate) fn rows_of(batches: &[RecordBatch], columns: &[(String, ColumnType)]) -> Result<Vec<Row>, Error> {
    let mut columns: Vec<(Arc<str>, ColumnType)> =
        columns.iter().map(|(name, kind)| (Arc::from(name.as_str()), *kind)).collect();
    // So that each cell comes behind those that a row has.
    columns.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let mut rows = Vec::new();
    for batch in batches {
        let first = rows.len();
        rows.resize_with(first + batch.num_rows(), || Row::with_capacity(columns.len()));
        for (name, kind) in &columns {
            let Some(column) = batch.column_by_name(name) else { continue };
            let column = cast(column, &kind.data_type())?;
            for (row, cell) in rows.iter_mut().skip(first).zip(cells_of(&column)) {
                row.insert(Arc::clone(name), cell);
            }
        }
    }
    Ok(rows)
}

fn cells_of(column: &ArrayRef) -> Vec<Cell> {
    let any = column.as_any();
    match column.data_type() {
        DataType::Int64 => collect(any.downcast_ref::<Int64Array>().map(Int64Array::iter), Cell::Integer),
        DataType::Decimal128(..) => {
            collect(any.downcast_ref::<Decimal128Array>().map(Decimal128Array::iter), Cell::Amount)
        }
        DataType::Utf8 => {
            collect(any.downcast_ref::<StringArray>().map(StringArray::iter), |text| Cell::Text(text.to_owned()))
        }
        DataType::Timestamp(..) => {
            collect(any.downcast_ref::<TimestampMicrosecondArray>().map(TimestampMicrosecondArray::iter), |micros| {
                DateTime::from_timestamp_micros(micros).map_or(Cell::Null, Cell::Moment)
            })
        }
        _ => vec![Cell::Null; column.len()],
    }
}

fn collect<T>(values: Option<impl Iterator<Item = Option<T>>>, cell: impl Fn(T) -> Cell) -> Vec<Cell> {
    values.into_iter().flatten().map(|value| value.map_or(Cell::Null, &cell)).collect()
}
