//! Schema drift: how the fields of a source differ from its manifest. Values are never told, only names and kinds.
//!
//! A difference is told once: fields that the manifest leaves out are noted when a table is first seen (`unmapped`), a field
//! that appears later is `new`, one whose kind changes is `type`, one that no record has any more is `missing`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tieout_json::{Kind, Node};

use super::PreviousTables;
use super::manifest::{ColumnFrom, Manifest, Table};
use super::rules::DriftPolicy;
use crate::warehouse::rows::{Drift, ReadMode};

/// What the records of a table were seen to hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    records: u64,
    fields: BTreeMap<String, BTreeSet<Cow<'static, str>>>,
    misshapen: BTreeMap<String, Cow<'static, str>>,
    bad: BTreeSet<String>,
}

impl Seen {
    /// Takes note of a record's fields: their names and kinds.
    pub(crate) fn record(&mut self, record: Node<'_>) {
        if record.kind() != Kind::Object {
            return;
        }
        self.records += 1;
        for (name, value) in record.fields() {
            let name = name.letters();
            if let Some(kinds) = self.fields.get_mut(name.as_ref()) {
                if let Some(kind) = kind(value).filter(|kind| !kinds.contains(*kind)) {
                    kinds.insert(Cow::Borrowed(kind));
                }
            } else {
                self.fields.insert(name.into_owned(), kind(value).map(Cow::Borrowed).into_iter().collect());
            }
        }
    }

    /// Takes note of a column of text that holds a structure.
    pub(crate) fn misshapen(&mut self, name: &str) {
        if !self.misshapen.contains_key(name) {
            self.misshapen.insert(name.to_owned(), Cow::Borrowed("a structure"));
        }
    }

    /// Takes note of a value that has no form in its column's type.
    pub(crate) fn bad_value(&mut self, name: &str) {
        if !self.bad.contains(name) {
            self.bad.insert(name.to_owned());
        }
    }

    /// Why a table keeps the rows that it has, if its policy says so: a declared field that no record has any more although
    /// records had it, or a column that holds something else. Where records that do not fit are set aside, only what is
    /// missing is left to freeze for. What it froze for is told with that in `drift`.
    pub(crate) fn freezes(
        &self,
        table: &Table,
        mode: ReadMode,
        policy: DriftPolicy,
        previous: &PreviousTables,
        drift: &mut [Drift],
    ) -> Option<String> {
        if self.records == 0 || policy == DriftPolicy::Evolve {
            return None;
        }
        let told = |field: &str| previous.tables.get(&table.name).and_then(|known| known.drift.get(field));
        // What was missing from the first is how this source is.
        let is_looked_at = mode == ReadMode::Full && !previous.is_without_rows(&table.name);
        let missing = self.missing(table).filter(|_| is_looked_at).filter(|(path, detail)| {
            told(path).is_none_or(|details| !details.contains(detail) || details.contains(&frozen(detail)))
        });
        let mut reasons: Vec<String> = missing.map(|(_, detail)| detail).collect();
        for drift in drift.iter_mut().filter(|drift| reasons.contains(&drift.detail)) {
            drift.detail = frozen(&drift.detail);
        }
        let bad = self.bad.iter().chain(self.misshapen.keys()).filter(|_| policy == DriftPolicy::Freeze);
        reasons.extend(bad.map(|name| format!("column `{name}` holds values of another kind than declared")));
        let hint = "look at meta.drift and meta.rejects; then change the manifest, or `drift` of the source";
        reasons.first().map(|reason| format!("the table is frozen: {reason}\nhint: {hint}"))
    }

    /// Adds what another scope's records were seen to hold.
    pub(crate) fn merge(&mut self, other: Self) {
        self.records += other.records;
        for (name, kinds) in other.fields {
            self.fields.entry(name).or_default().extend(kinds);
        }
        self.misshapen.extend(other.misshapen);
        self.bad.extend(other.bad);
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
        let is_told = |drift: &Drift| {
            let is_in = |details: &BTreeSet<String>| {
                details.contains(&drift.detail) || details.contains(&frozen(&drift.detail))
            };
            told(&drift.field).is_some_and(is_in)
        };
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
        let missing = self.missing(table).filter(|_| mode == ReadMode::Full);
        let mut drift: Vec<Drift> =
            missing.map(|(field, detail)| Drift { field, kind: "missing".into(), detail }).collect();
        for name in &self.bad {
            let Some(column) = table.column(name) else { continue };
            let kind = column.kind.column_type();
            let detail =
                format!("column `{name}` is declared as {kind}, but records hold what is none; see meta.rejects");
            drift.push(Drift { field: name.clone(), kind: "type".into(), detail });
        }
        for (name, shape) in &self.misshapen {
            let detail = format!("column `{name}` is declared as text, but a record holds {shape}; kept as JSON text");
            drift.push(Drift { field: name.clone(), kind: "type".into(), detail });
        }
        drift
    }

    /// Path and sentence of declared columns that no record has.
    fn missing(&self, table: &Table) -> impl Iterator<Item = (String, String)> {
        table.columns.iter().filter_map(|(name, column)| {
            let ColumnFrom::Path(path) = &column.from else { return None };
            let field = first(path);
            let detail = || format!("column `{name}` is declared, but no record has `{field}`");
            (!self.fields.contains_key(field)).then(|| (path.clone(), detail()))
        })
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
fn kind(value: Node<'_>) -> Option<&'static str> {
    match value.kind() {
        Kind::Null => None,
        Kind::Bool => Some("a flag"),
        Kind::Number => Some("a number"),
        Kind::Text => Some("text"),
        Kind::List => Some("a list"),
        Kind::Object => Some("an object"),
    }
}

/// How a difference is told that froze its table: as long as it is there, the table stays frozen.
fn frozen(detail: &str) -> String {
    format!("{detail}; the table is frozen until a person has looked")
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
        let mut seen = Seen::default();
        for record in records {
            let mut one = Seen::default();
            one.record(tieout_json::Tape::default().read(record).unwrap());
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
