//! From a record as received to a row, and from rows to Arrow batches.
//!
//! The order matters: redact first, so that nothing below sees what must not be kept; then type the columns; then key and
//! hash. A value that has no form in its column's type is null and told; a record without a key becomes a reject.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tieout_json::{BadValue, Cell, Malformed, Node, Pattern, Plan, Read, Sensitive, Slice, Space, Tape, cell, look_up};

use super::long_list::Entry;
use super::manifest::{Column, ColumnFrom, ColumnKind, Manifest, Protocol, Table};
use super::rules::SourceRules;
use crate::warehouse::rows::{ColumnType, HASH_BEFORE, input_schema, join_key};

/// A record that became a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its key.
    pub key: String,
    /// The typed columns, in the manifest's order.
    pub cells: Vec<Cell>,
    /// The record as received, redacted: a part of its page, which is kept as long as one of its rows waits.
    pub raw: Slice,
    /// Its content hash.
    pub hash: String,
    /// Its content hash under the key that sensitive fields were hashed with before, while that is being changed.
    pub hash_before: Option<String>,
    /// When its page was received.
    pub extracted_at: DateTime<Utc>,
}

impl Entry for Row {
    fn text(&self) -> &Slice {
        &self.raw
    }

    fn set_text(&mut self, text: Slice) {
        self.raw = text;
    }
}

/// Why a record is no row, or a value is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// The column.
    pub field: Option<String>,
    /// Its value, redacted.
    pub value: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

/// What a record gave.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The row; values that are none are null.
    pub row: Row,
    /// Those values.
    pub bad: Vec<Unfit>,
    /// Columns of text that hold a structure: kept as JSON text, but worth telling.
    pub misshapen: Vec<String>,
}

/// How to read the records of one table.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    table: &'a Table,
    plan: Plan,
    /// Whether texts lose blanks at their end.
    trims: bool,
    space: Space,
    key: Vec<usize>,
}

/// The row that a record hangs on: where `parent` columns come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// Its table.
    pub table: &'a Table,
    /// Its cells.
    pub cells: &'a [Cell],
}

impl<'a> Decoder<'a> {
    /// A decoder for `table`. Records are redacted with all that is embedded in them: what lies inside others was.
    pub(crate) fn new(manifest: &'a Manifest, table: &'a Table, rules: &SourceRules) -> Self {
        let of_record = |(_, column): &(String, Column)| match &column.from {
            ColumnFrom::Path(path) => Some((path.clone(), column.kind.form())),
            ColumnFrom::Parent(_) | ColumnFrom::Position => None,
        };
        let trims = manifest.system.protocol == Protocol::Odbc && manifest.odbc.trim;
        let plan = Plan {
            columns: table.columns.iter().map(of_record).collect(),
            unwrap: manifest.rest.unwrap.clone(),
            ignore: table.ignore.iter().map(|path| Pattern::parse(path)).collect(),
            rules: rules.of_table(manifest, table),
        };
        let place = |name: &String| table.columns.iter().position(|(column, _)| column == name);
        Self { table, plan, trims, space: Space::default(), key: table.key.iter().filter_map(place).collect() }
    }

    /// Redacts a record that was received: always the first thing done with it.
    /// `seen` looks at it as it came.
    pub(crate) fn redact(
        &mut self,
        record: &Slice,
        key: Option<&[u8]>,
        seen: impl FnOnce(Node<'_>),
    ) -> Result<Slice, Malformed> {
        self.plan.redact(record, key, &mut self.space, seen)
    }

    /// The content hash that a record not yet redacted has under another key; none where no key changes it. Rows inside other
    /// records are redacted with those: they have none.
    pub(crate) fn hash_under(&mut self, record: &Slice, key: &[u8]) -> Option<String> {
        let rules = &self.plan.rules;
        let is_hashed =
            rules.personal == Some(Sensitive::Hash) || rules.sensitive.iter().any(|(_, how)| *how == Sensitive::Hash);
        if !is_hashed || self.table.embedded.is_some() {
            return None;
        }
        let redacted = self.plan.redact(record, Some(key), &mut self.space, |_| {}).ok()?;
        self.plan.hash(&redacted, &mut self.space).ok()
    }

    /// Reads a redacted record; `seen` looks at it as well. The error says why it is no row.
    pub(crate) fn row(
        &mut self,
        record: &Slice,
        owner: Option<Owner<'_>>,
        position: usize,
        extracted_at: DateTime<Utc>,
        seen: impl FnOnce(Node<'_>),
    ) -> Result<Decoded, Unfit> {
        let unfit = |reason: String| Unfit { reason, ..Unfit::default() };
        if !record.as_str().starts_with('{') {
            return Err(unfit("the record is no object".into()));
        }
        let read = self.plan.read(record, &mut self.space, seen);
        let Read { mut cells, hash, bad, structures } =
            read.map_err(|error| unfit(format!("the record is no JSON: {error}")))?;
        let name = |place: usize| self.table.columns.get(place).map(|(name, _)| name.clone());
        let misshapen = structures.into_iter().filter_map(name).collect();
        let mut told: Vec<Unfit> = bad.into_iter().filter_map(|bad| self.told(bad)).collect();
        for ((name, column), cell) in self.table.columns.iter().zip(&mut cells) {
            let read = match &column.from {
                ColumnFrom::Path(_) => continue,
                ColumnFrom::Position => Ok(Cell::Int64(i64::try_from(position).unwrap_or(i64::MAX))),
                ColumnFrom::Parent(of_owner) => {
                    let value = owner.and_then(|owner| cell_of(owner.table, owner.cells, of_owner)).cloned();
                    converted(value.unwrap_or(Cell::Null), column.kind)
                }
            };
            *cell = read.unwrap_or_else(|reason| {
                told.push(Unfit {
                    field: Some(name.clone()),
                    value: None,
                    reason: format!("column `{name}`: {reason}"),
                });
                Cell::Null
            });
        }
        if self.trims {
            for cell in &mut cells {
                if let Cell::Text(text) = cell {
                    text.truncate(text.trim_end_matches(' ').len());
                }
            }
        }
        let key = self.key(&mut cells, &told)?;
        let row = Row { key, cells, raw: record.clone(), hash, hash_before: None, extracted_at };
        Ok(Decoded { row, bad: told, misshapen })
    }

    fn told(&self, bad: BadValue) -> Option<Unfit> {
        let (name, _) = self.table.columns.get(bad.column)?;
        let reason = format!("column `{name}`: {}", bad.reason);
        Some(Unfit { field: Some(name.clone()), value: Some(bad.value), reason })
    }

    /// The type of a column whose value a record alone tells; none for others.
    pub(crate) fn told_by_record(&self, name: &str) -> Option<ColumnType> {
        let (_, column) = self.table.columns.iter().find(|(known, _)| known == name)?;
        matches!(column.from, ColumnFrom::Path(_)).then(|| column.kind.column_type())
    }

    /// A column's value in a record that was received and redacted earlier; none if it has no form in the column's type.
    pub(crate) fn reread(&self, record: Node<'_>, name: &str) -> Option<Cell> {
        let place = self.table.columns.iter().position(|(known, _)| known == name)?;
        let (path, form) = self.plan.columns.get(place)?.as_ref()?;
        let value = look_up(record, path, self.plan.unwrap.as_deref()).ok()?;
        match cell(value, *form).ok()? {
            Cell::Text(text) if self.trims || self.key.contains(&place) => Some(Cell::Text(text.trim_end().to_owned())),
            other => Some(other),
        }
    }

    fn key(&self, cells: &mut [Cell], bad: &[Unfit]) -> Result<String, Unfit> {
        let mut components = Vec::new();
        for (place, name) in self.key.iter().zip(&self.table.key) {
            if let Some(bad) = bad.iter().find(|bad| bad.field.as_ref() == Some(name)) {
                return Err(bad.clone());
            }
            // Some systems pad keys; a padded key would be another record.
            if let Some(Cell::Text(text)) = cells.get_mut(*place) {
                text.truncate(text.trim_end().len());
            }
            let text = cells.get(*place).and_then(Cell::text).filter(|text| !text.is_empty());
            let text = text.or_else(|| self.table.blank.contains(name).then(String::new));
            components.push(text.ok_or_else(|| Unfit {
                field: Some(name.clone()),
                value: None,
                reason: format!("key column `{name}` is null or empty"),
            })?);
        }
        Ok(join_key(components.iter().map(String::as_str)))
    }
}

/// The cell of the column called `name`.
pub(crate) fn cell_of<'a>(table: &Table, cells: &'a [Cell], name: &str) -> Option<&'a Cell> {
    let place = table.columns.iter().position(|(column, _)| column == name)?;
    cells.get(place)
}

/// A parent's cell as the child declares it.
fn converted(value: Cell, kind: ColumnKind) -> Result<Cell, String> {
    let same = matches!(
        (&value, kind),
        (Cell::Null, _)
            | (Cell::Text(_), ColumnKind::Json | ColumnKind::Plain(ColumnType::Text))
            | (Cell::Int64(_), ColumnKind::Plain(ColumnType::Int64))
            | (Cell::Bool(_), ColumnKind::Plain(ColumnType::Bool))
            | (Cell::Date(_), ColumnKind::Plain(ColumnType::Date))
            | (Cell::Timestamp(_), ColumnKind::Plain(ColumnType::Timestamp))
    );
    if same {
        return Ok(value);
    }
    let text = serde_json::Value::from(value.text().unwrap_or_default()).to_string();
    let mut tape = Tape::default();
    cell(tape.read(&text).ok(), kind.form())
}

/// Rows of one scope as one batch in the layout of [`input_schema`].
pub(crate) fn batch(
    columns: &[(String, ColumnType)],
    rows: &[(Arc<str>, Row)],
    is_rekeyed: bool,
) -> Result<RecordBatch, ArrowError> {
    let mut arrays: Vec<ArrayRef> = vec![
        texts(rows.iter().map(|(_, row)| Some(row.key.as_str()))),
        texts(rows.iter().map(|(scope, _)| Some(scope.as_ref()))),
    ];
    for (place, (_, kind)) in columns.iter().enumerate() {
        let cells = rows.iter().map(|(_, row)| row.cells.get(place).unwrap_or(&Cell::Null));
        arrays.push(array(*kind, cells)?);
    }
    arrays.push(texts(rows.iter().map(|(_, row)| Some(row.raw.as_str()))));
    arrays.push(texts(rows.iter().map(|(_, row)| Some(row.hash.as_str()))));
    let received: Vec<Cell> =
        rows.iter().map(|(_, row)| Cell::Timestamp(row.extracted_at.timestamp_micros())).collect();
    arrays.push(array(ColumnType::Timestamp, received.iter())?);
    let mut schema = input_schema(columns);
    if is_rekeyed {
        let before = Arc::new(Field::new(HASH_BEFORE, DataType::Utf8, true));
        schema = Arc::new(Schema::new(schema.fields().iter().cloned().chain([before]).collect::<Vec<_>>()));
        arrays.push(texts(rows.iter().map(|(_, row)| row.hash_before.as_deref())));
    }
    RecordBatch::try_new(schema, arrays)
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

pub(crate) fn array<'a>(kind: ColumnType, cells: impl Iterator<Item = &'a Cell>) -> Result<ArrayRef, ArrowError> {
    Ok(match kind {
        ColumnType::Int64 => {
            let mut builder = Int64Builder::new();
            cells.for_each(|cell| builder.append_option(if let Cell::Int64(v) = cell { Some(*v) } else { None }));
            Arc::new(builder.finish())
        }
        ColumnType::Text => texts(cells.map(|cell| if let Cell::Text(v) = cell { Some(v.as_str()) } else { None })),
        ColumnType::Bool => {
            let mut builder = BooleanBuilder::new();
            cells.for_each(|cell| builder.append_option(if let Cell::Bool(v) = cell { Some(*v) } else { None }));
            Arc::new(builder.finish())
        }
        ColumnType::Decimal(precision, scale) => {
            let mut builder = Decimal128Builder::new().with_precision_and_scale(precision, scale)?;
            cells.for_each(|cell| builder.append_option(if let Cell::Decimal(v, _) = cell { Some(*v) } else { None }));
            Arc::new(builder.finish())
        }
        ColumnType::Date => {
            let mut builder = Date32Builder::new();
            cells.for_each(|cell| builder.append_option(if let Cell::Date(v) = cell { Some(*v) } else { None }));
            Arc::new(builder.finish())
        }
        ColumnType::Timestamp => {
            let mut builder = TimestampMicrosecondBuilder::new().with_timezone("+00:00");
            cells.for_each(|cell| builder.append_option(if let Cell::Timestamp(v) = cell { Some(*v) } else { None }));
            Arc::new(builder.finish())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        [system]
        name = "test"
        side = "pm"
        protocol = "rest"
        facts = "none"
        [rest]
        base_url = "https://example.com"
        auth = [{ kind = "oauth2_client_credentials", token_url = "/token", client_id = "x", client_secret = "y" }]
        [[table]]
        name = "vendors"
        path = "/vendors"
        key = ["id"]
        sensitive = { business = "hash", iban = "drop" }
        [table.columns]
        id = "int64"
        [[table]]
        name = "jobs"
        path = "/jobs"
        key = ["id"]
        sensitive = { iban = "drop" }
        [table.columns]
        id = "int64"
    "#;

    #[test]
    fn a_record_keeps_its_hash_under_the_key_before() {
        let manifest = Manifest::parse("test", MANIFEST).unwrap();
        let rules = SourceRules::default();
        let [mut vendors, mut jobs] = [0, 1].map(|place| Decoder::new(&manifest, &manifest.tables[place], &rules));
        let record = Slice::from(r#"{"id": 1, "business": "12-345", "iban": "DE00"}"#.to_owned());
        let mut hash = |key: &[u8]| {
            let redacted = vendors.redact(&record, Some(key), |_| {}).unwrap();
            vendors.row(&redacted, None, 1, DateTime::UNIX_EPOCH, |_| {}).unwrap().row.hash
        };
        let (old, new) = (hash(b"old"), hash(b"new"));
        assert_ne!(old, new);
        assert_eq!(vendors.hash_under(&record, b"old"), Some(old));
        assert_eq!(jobs.hash_under(&record, b"old"), None);

        let mut row = vendors.row(&record, None, 1, DateTime::UNIX_EPOCH, |_| {}).unwrap().row;
        let columns = manifest.tables[0].column_types();
        row.hash_before = Some("x".to_owned());
        let rows = [(Arc::from(""), row)];
        let names = |is_rekeyed| batch(&columns, &rows, is_rekeyed).unwrap().schema().fields().len();
        assert_eq!(names(true), names(false) + 1);
    }
}
