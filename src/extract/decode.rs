//! From a record as received to a row, and from rows to Arrow batches.
//!
//! The order matters: redact first, so that nothing below sees what must not be kept; then type the columns; then key and
//! hash. A record that cannot become a row becomes a reject with its reason and (redacted) text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tieout_json::{Pattern, Sensitive, content_hash, copy, look_up, redact, text};

use super::manifest::{Column, ColumnFrom, ColumnKind, Manifest, Table};
use super::value::{Cell, cell};
use crate::warehouse::rows::{ColumnType, HASH_BEFORE, input_schema, join_key};

/// A record that became a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its key.
    pub key: String,
    /// The typed columns, in the manifest's order.
    pub cells: Vec<Cell>,
    /// The record as received, redacted.
    pub raw: String,
    /// Its content hash.
    pub hash: String,
    /// Its content hash under the key that sensitive fields were hashed with before, while that is being changed.
    pub hash_before: Option<String>,
    /// When its page was received.
    pub extracted_at: DateTime<Utc>,
}

/// How to read the records of one table.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    table: &'a Table,
    unwrap: Option<&'a str>,
    ignore: Vec<(Pattern, ())>,
    sensitive: Vec<(Pattern, Sensitive)>,
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
    /// A decoder for `table`. Sensitive paths of tables embedded in it are redacted here already.
    pub(crate) fn new(manifest: &'a Manifest, table: &'a Table) -> Self {
        let own = table.sensitive.iter().map(|(path, how)| (Pattern::parse(path), *how));
        let inner = manifest.tables.iter().filter_map(|other| Some((other, other.embedded.as_ref()?)));
        let inner = inner.filter(|(_, embedded)| embedded.table == table.name).flat_map(|(other, embedded)| {
            other.sensitive.iter().map(move |(path, how)| (Pattern::parse(path).below(&embedded.path), *how))
        });
        Self {
            table,
            unwrap: manifest.rest.unwrap.as_deref(),
            ignore: table.ignore.iter().map(|path| (Pattern::parse(path), ())).collect(),
            sensitive: own.chain(inner).collect(),
        }
    }

    /// Redacts a record: always the first thing done with it.
    pub(crate) fn redact(&self, record: &mut Value, key: Option<&[u8]>) {
        redact(record, &self.sensitive, key);
    }

    /// The content hash that a record not yet redacted has under another key; none where no key changes it. Rows inside other
    /// records are redacted with those: they have none.
    pub(crate) fn hash_under(&self, record: &Value, key: &[u8]) -> Option<String> {
        let is_hashed = self.sensitive.iter().any(|(_, how)| *how == Sensitive::Hash);
        (is_hashed && self.table.embedded.is_none()).then(|| {
            let mut redacted = copy(record);
            self.redact(&mut redacted, Some(key));
            content_hash(&redacted, &self.ignore)
        })
    }

    /// Reads a redacted record; the error is the reason why it is no row.
    pub(crate) fn row(
        &self,
        record: &Value,
        owner: Option<Owner<'_>>,
        position: usize,
        extracted_at: DateTime<Utc>,
    ) -> Result<Row, String> {
        if !record.is_object() {
            return Err("the record is no object".into());
        }
        let mut cells = Vec::with_capacity(self.table.columns.len());
        for (name, column) in &self.table.columns {
            let is_key = self.table.key.contains(name);
            let cell =
                self.cell(record, column, owner, position).map_err(|reason| format!("column `{name}`: {reason}"))?;
            cells.push(match cell {
                // Some systems pad keys; a padded key would be another record.
                Cell::Text(text) if is_key => Cell::Text(text.trim_end().to_owned()),
                other => other,
            });
        }
        let (key, raw, hash) = (self.key(&cells)?, text(record), content_hash(record, &self.ignore));
        Ok(Row { key, cells, raw, hash, hash_before: None, extracted_at })
    }

    /// The type of a column whose value a record alone tells; none for others.
    pub(crate) fn told_by_record(&self, name: &str) -> Option<ColumnType> {
        let (_, column) = self.table.columns.iter().find(|(known, _)| known == name)?;
        matches!(column.from, ColumnFrom::Path(_)).then(|| column.kind.column_type())
    }

    /// A column's value in a record that was received and redacted earlier; none if it has no form in the column's type.
    pub(crate) fn reread(&self, record: &Value, name: &str) -> Option<Cell> {
        let (_, column) = self.table.columns.iter().find(|(known, _)| known == name)?;
        match self.cell(record, column, None, 0).ok()? {
            Cell::Text(text) if self.table.key.iter().any(|key| key == name) => {
                Some(Cell::Text(text.trim_end().to_owned()))
            }
            other => Some(other),
        }
    }

    fn cell(&self, record: &Value, column: &Column, owner: Option<Owner<'_>>, position: usize) -> Result<Cell, String> {
        match &column.from {
            ColumnFrom::Path(path) => {
                let value =
                    look_up(record, path, self.unwrap).map_err(|_| format!("`{path}` leads through a plain value"))?;
                cell(value, column.kind)
            }
            ColumnFrom::Position => Ok(Cell::Int64(i64::try_from(position).unwrap_or(i64::MAX))),
            ColumnFrom::Parent(name) => {
                let value =
                    owner.and_then(|owner| cell_of(owner.table, owner.cells, name)).cloned().unwrap_or(Cell::Null);
                converted(value, column.kind)
            }
        }
    }

    fn key(&self, cells: &[Cell]) -> Result<String, String> {
        let mut components = Vec::new();
        for name in &self.table.key {
            let text = cell_of(self.table, cells, name).and_then(Cell::text).filter(|text| !text.is_empty());
            let text = text.or_else(|| self.table.blank.contains(name).then(String::new));
            components.push(text.ok_or_else(|| format!("key column `{name}` is null or empty"))?);
        }
        Ok(join_key(components.iter().map(String::as_str)))
    }

    /// Whether `text` was declared and the record holds a structure there: kept, but worth telling.
    pub(crate) fn has_wrong_shape(&self, record: &Value, column: &Column) -> bool {
        let ColumnFrom::Path(path) = &column.from else { return false };
        column.kind == ColumnKind::Plain(ColumnType::Text)
            && look_up(record, path, self.unwrap).is_ok_and(|value| value.is_object() || value.is_array())
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
    if same { Ok(value) } else { cell(&Value::String(value.text().unwrap_or_default()), kind) }
}

/// Rows of one scope as one batch in the layout of [`input_schema`].
pub(crate) fn batch(columns: &[(String, ColumnType)], rows: &[(Arc<str>, Row)]) -> Result<RecordBatch, ArrowError> {
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
    if rows.iter().any(|(_, row)| row.hash_before.is_some()) {
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
    use serde_json::json;

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
        sensitive = { tax_id = "hash", iban = "drop" }
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
        let [vendors, jobs] = [0, 1].map(|place| Decoder::new(&manifest, &manifest.tables[place]));
        let record = json!({"id": 1, "tax_id": "12-345", "iban": "DE00"});
        let hash = |key: &[u8]| {
            let mut redacted = record.clone();
            vendors.redact(&mut redacted, Some(key));
            vendors.row(&redacted, None, 1, DateTime::UNIX_EPOCH).unwrap().hash
        };
        assert_ne!(hash(b"old"), hash(b"new"));
        assert_eq!(vendors.hash_under(&record, b"old"), Some(hash(b"old")));
        assert_eq!(jobs.hash_under(&record, b"old"), None);

        let mut row = vendors.row(&record, None, 1, DateTime::UNIX_EPOCH).unwrap();
        let columns = manifest.tables[0].column_types();
        let names = |rows: &[(Arc<str>, Row)]| batch(&columns, rows).unwrap().schema().fields().len();
        let without = names(&[(Arc::from(""), row.clone())]);
        row.hash_before = Some("x".to_owned());
        assert_eq!(names(&[(Arc::from(""), row)]), without + 1);
    }
}
