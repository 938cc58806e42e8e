//! Schema drift: how the fields of a source differ from its manifest. Values are never told, only names and kinds.

use std::collections::BTreeMap;

use serde_json::Value;

use super::decode::Decoder;
use super::manifest::{ColumnFrom, Manifest, Table};
use crate::warehouse::rows::Drift;

/// What the records of a table were seen to hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    records: u64,
    fields: BTreeMap<String, &'static str>,
    misshapen: BTreeMap<String, &'static str>,
}

impl Seen {
    /// Takes note of a (redacted) record.
    pub(crate) fn record(&mut self, decoder: &Decoder<'_>, table: &Table, record: &Value) {
        let Value::Object(fields) = record else { return };
        self.records += 1;
        for (name, value) in fields {
            if !self.fields.contains_key(name) {
                self.fields.insert(name.clone(), kind(value));
            }
        }
        for (name, column) in &table.columns {
            if !self.misshapen.contains_key(name) && decoder.has_wrong_shape(record, column) {
                self.misshapen.insert(name.clone(), "a structure");
            }
        }
    }

    /// Adds what another scope's records were seen to hold.
    pub(crate) fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.fields.extend(other.fields);
        self.misshapen.extend(other.misshapen);
    }

    /// The differences; none without records.
    pub(crate) fn drift(&self, manifest: &Manifest, table: &Table) -> Vec<Drift> {
        if self.records == 0 {
            return Vec::new();
        }
        let first = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
        let mut known: Vec<String> =
            table.ignore.iter().chain(table.sensitive.keys()).map(|path| first(path)).collect();
        let inner = manifest.tables.iter().filter_map(|other| other.embedded.as_ref());
        known.extend(inner.filter(|inner| inner.table == table.name).map(|inner| first(&inner.path)));
        known.extend(table.cursor.iter().map(|cursor| cursor.field.clone()));
        let mut drift = Vec::new();
        for (name, column) in &table.columns {
            let ColumnFrom::Path(path) = &column.from else { continue };
            let field = first(path);
            if !self.fields.contains_key(&field) {
                let detail = format!("column `{name}` is declared, but none of {} records has `{field}`", self.records);
                drift.push(Drift { field: path.clone(), kind: "missing".into(), detail });
            }
            known.push(field);
        }
        for (name, shape) in &self.misshapen {
            let detail = format!("column `{name}` is declared as text, but a record holds {shape}; kept as JSON text");
            drift.push(Drift { field: name.clone(), kind: "type".into(), detail });
        }
        for (field, shape) in self.fields.iter().filter(|(field, _)| !known.contains(field)) {
            let detail = format!("records hold `{field}`, {shape}, which the manifest does not know");
            drift.push(Drift { field: field.clone(), kind: "new".into(), detail });
        }
        drift
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a flag",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
