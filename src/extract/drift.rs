//! Schema drift: how the fields of a source differ from its manifest. Values are never told, only names and kinds.
//!
//! A difference is told once: fields that the manifest leaves out are noted when a table is first seen (`unmapped`), a field
//! that appears later is `new`, one whose kind changes is `type`, one that no record has any more is `missing`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::PreviousTables;
use super::decode::Decoder;
use super::manifest::{ColumnFrom, Manifest, Table};
use crate::warehouse::rows::{Drift, ReadMode};

/// What the records of a table were seen to hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    records: u64,
    fields: BTreeMap<String, BTreeSet<Cow<'static, str>>>,
    misshapen: BTreeMap<String, Cow<'static, str>>,
}

impl Seen {
    /// Takes note of a (redacted) record.
    pub(crate) fn record(&mut self, decoder: &Decoder<'_>, table: &Table, record: &Value) {
        let Value::Object(fields) = record else { return };
        self.records += 1;
        for (name, value) in fields {
            if let Some(kinds) = self.fields.get_mut(name) {
                kinds.extend(kind(value).map(Cow::Borrowed));
            } else {
                self.fields.insert(name.clone(), kind(value).map(Cow::Borrowed).into_iter().collect());
            }
        }
        for (name, column) in &table.columns {
            if !self.misshapen.contains_key(name) && decoder.has_wrong_shape(record, column) {
                self.misshapen.insert(name.clone(), Cow::Borrowed("a structure"));
            }
        }
    }

    /// Adds what another scope's records were seen to hold.
    pub(crate) fn merge(&mut self, other: Self) {
        self.records += other.records;
        for (name, kinds) in other.fields {
            self.fields.entry(name).or_default().extend(kinds);
        }
        self.misshapen.extend(other.misshapen);
    }

    /// The differences that were not told before; none without records. A read of what changed cannot say what is missing.
    pub(crate) fn drift(
        &self,
        manifest: &Manifest,
        table: &Table,
        mode: ReadMode,
        previous: &PreviousTables,
    ) -> Vec<Drift> {
        if self.records == 0 {
            return Vec::new();
        }
        let told = |field: &str| previous.tables.get(&table.name).and_then(|known| known.drift.get(field));
        let is_told = |drift: &Drift| told(&drift.field).is_some_and(|details| details.contains(&drift.detail));
        let mut drift = self.of_columns(table, mode);
        for (field, kinds) in self.unmapped(manifest, table) {
            let words: Vec<&str> = kinds.iter().map(AsRef::as_ref).collect();
            let words = if words.is_empty() { "null".to_owned() } else { words.join(" or ") };
            let detail = format!("records hold `{field}` ({words}), which the manifest does not know");
            let kind = match told(field) {
                // Nothing but nulls is no other kind.
                Some(_) if kinds.is_empty() => continue,
                Some(_) => "type",
                None if previous.is_without_rows(&table.name) => "unmapped",
                None => "new",
            };
            drift.push(Drift { field: field.clone(), kind: kind.into(), detail });
        }
        drift.retain(|drift| !is_told(drift));
        drift
    }

    /// Declared columns that no record has, or that hold something else.
    fn of_columns(&self, table: &Table, mode: ReadMode) -> Vec<Drift> {
        let mut drift = Vec::new();
        for (name, column) in table.columns.iter().filter(|_| mode == ReadMode::Full) {
            let ColumnFrom::Path(path) = &column.from else { continue };
            let field = first(path);
            if !self.fields.contains_key(field) {
                let detail = format!("column `{name}` is declared, but no record has `{field}`");
                drift.push(Drift { field: path.clone(), kind: "missing".into(), detail });
            }
        }
        for (name, shape) in &self.misshapen {
            let detail = format!("column `{name}` is declared as text, but a record holds {shape}; kept as JSON text");
            drift.push(Drift { field: name.clone(), kind: "type".into(), detail });
        }
        drift
    }

    /// Fields that the manifest does not mention in any way.
    fn unmapped<'a>(
        &'a self,
        manifest: &'a Manifest,
        table: &'a Table,
    ) -> impl Iterator<Item = (&'a String, &'a BTreeSet<Cow<'static, str>>)> {
        let mut known: BTreeSet<&str> =
            table.ignore.iter().chain(table.sensitive.keys()).map(|path| first(path)).collect();
        let inner = manifest.tables.iter().filter_map(|other| other.embedded.as_ref());
        known.extend(inner.filter(|inner| inner.table == table.name).map(|inner| first(&inner.path)));
        known.extend(table.cursor.iter().map(|cursor| cursor.field.as_str()));
        known.extend(table.columns.iter().filter_map(|(_, column)| match &column.from {
            ColumnFrom::Path(path) => Some(first(path)),
            ColumnFrom::Parent(_) | ColumnFrom::Position => None,
        }));
        self.fields.iter().filter(move |(field, _)| !known.contains(field.as_str()))
    }
}

/// The first step of a path.
fn first(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

/// The kind of a value; none of a null, which may become anything.
fn kind(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some("a flag"),
        Value::Number(_) => Some("a number"),
        Value::String(_) => Some("text"),
        Value::Array(_) => Some("a list"),
        Value::Object(_) => Some("an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::PreviousTable;

    const MANIFEST: &str = r#"
[system]
name = "s"
side = "pm"
protocol = "rest"
[rest]
base_url = "http://x"
[[table]]
name = "things"
path = "/things"
key = ["id"]
ignore = ["noise"]
[table.columns]
id = "int64"
name = { type = "text", path = "names.long" }
"#;

    fn told(records: &[&str], mode: ReadMode, previous: &PreviousTables) -> Vec<(String, String)> {
        let manifest = Manifest::parse("m", MANIFEST).unwrap();
        let table = manifest.table("things").unwrap();
        let decoder = Decoder::new(&manifest, table);
        let mut seen = Seen::default();
        for record in records {
            let mut one = Seen::default();
            one.record(&decoder, table, &serde_json::from_str(record).unwrap());
            seen.merge(one);
        }
        let drift = seen.drift(&manifest, table, mode, previous);
        drift.into_iter().map(|drift| (drift.kind, drift.detail)).collect()
    }

    fn kinds(told: &[(String, String)]) -> Vec<&str> {
        told.iter().map(|(kind, _)| kind.as_str()).collect()
    }

    fn after(details: &[(&str, &str)]) -> PreviousTables {
        let mut known = PreviousTable { scopes: BTreeSet::from([String::new()]), ..PreviousTable::default() };
        for (field, detail) in details {
            known.drift.entry((*field).to_owned()).or_default().insert((*detail).to_owned());
        }
        PreviousTables { tables: BTreeMap::from([("things".to_owned(), known)]), ..PreviousTables::default() }
    }

    #[test]
    fn fields_there_at_first_sight_are_no_news() {
        let records = [r#"{"id":1,"names":{},"noise":1,"x":null}"#, r#"{"id":2,"names":{},"x":"a"}"#];
        let first = told(&records, ReadMode::Full, &PreviousTables::default());
        assert_eq!(kinds(&first), ["unmapped"]);
        assert!(first[0].1.contains("`x` (text)"), "{first:?}");
        let known = after(&[("x", &first[0].1)]);
        assert_eq!(told(&records, ReadMode::Full, &known), []);
        assert_eq!(told(&records[..1], ReadMode::Full, &known), [], "only nulls are no other kind");
    }

    #[test]
    fn a_field_that_appears_later_is_new_once_and_told_again_when_its_kind_changes() {
        let record = [r#"{"id":1,"names":{},"x":5}"#];
        let new = told(&record, ReadMode::Full, &after(&[]));
        assert_eq!(kinds(&new), ["new"]);
        let known = after(&[("x", &new[0].1)]);
        assert_eq!(told(&record, ReadMode::Full, &known), []);
        assert_eq!(kinds(&told(&[r#"{"id":1,"names":{},"x":"5"}"#], ReadMode::Full, &known)), ["type"]);
    }

    #[test]
    fn a_missing_field_is_told_once_and_never_by_a_partial_look() {
        let record = [r#"{"id":1}"#];
        let missing = told(&record, ReadMode::Full, &after(&[]));
        assert_eq!(kinds(&missing), ["missing"]);
        assert_eq!(told(&record, ReadMode::Incremental, &after(&[])), []);
        assert_eq!(told(&record, ReadMode::Full, &after(&[("names.long", &missing[0].1)])), []);
    }
}
