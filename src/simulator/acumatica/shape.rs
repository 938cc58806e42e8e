//! The contract shape: which fields a caller gets, and how each is wrapped.
//!
//! Every field of the contract is there, `{"value": x}` or `{}`; linked entities and details only when expanded; fields
//! outside the contract only when named by `$custom`. `schema.json` is the contract (Default/24.200.001); older versions lack
//! some of it, and the newest writes business dates without a time.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::entities::{CUSTOM, GUID};

type Types = BTreeMap<String, BTreeMap<String, String>>;

static SCHEMA: LazyLock<Types> =
    LazyLock::new(|| serde_json::from_str(include_str!("schema.json")).unwrap_or_default());

/// What came into the contract after its oldest version: type, field, version.
const SINCE: [(&str, &str, &str); 4] = [
    ("Project", "Retainage", "23.200.001"),
    ("AccountGroup", "LastModifiedDateTime", "23.200.001"),
    ("Customer", "Email", "23.200.001"),
    ("Bill", "IsTaxValid", "23.200.001"),
];

/// The version from which on business dates come without a time.
const DATE_ONLY: &str = "25.200.001";

/// Whether a version of the contract has a field of a type.
fn has(version: &str, type_name: &str, field: &str) -> bool {
    !SINCE.iter().any(|(of, name, since)| *of == type_name && *name == field && version < *since)
}

/// What a caller wants of each record.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The version of the contract that is asked.
    pub(super) version: String,
    /// `$select`; empty for all.
    pub(super) select: Vec<String>,
    /// `$expand`.
    pub(super) expand: Vec<String>,
    /// `$custom`.
    pub(super) custom: Vec<String>,
}

/// The fields of a contract type, with each one's type.
pub(super) fn fields(type_name: &str) -> Option<&'static BTreeMap<String, String>> {
    SCHEMA.get(type_name)
}

/// The type of a field, or of a path of fields (`MainContact/Address/City`).
pub(super) fn field_type(type_name: &str, path: &str) -> Option<&'static str> {
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let found = fields(type_name)?.get(first)?.as_str();
    match rest {
        None => Some(found),
        Some(rest) => field_type(found.trim_end_matches("[]"), rest),
    }
}

/// A field of a plain record, by its path.
pub(super) fn read(record: &Value, path: &str) -> Value {
    let mut at = Some(record);
    for step in path.split('/') {
        at = at.and_then(|value| value.get(step));
    }
    at.cloned().unwrap_or_default()
}

/// Which fields of a type a request gets: worked out once, applied to every record.
#[derive(Debug)]
pub(super) struct Plan {
    scalars: Vec<&'static str>,
    linked: Vec<(&'static str, Plan)>,
    details: Vec<(&'static str, Plan)>,
    /// View, then its fields with their `View.Field`.
    custom: Vec<(String, Vec<(String, String)>)>,
    /// Business dates are written without a time.
    is_date_only: bool,
}

impl Plan {
    /// The plan for records of `type_name`.
    pub(super) fn new(type_name: &str, wanted: &Wanted) -> Self {
        Self::under(type_name, wanted, "")
    }

    fn under(type_name: &str, wanted: &Wanted, prefix: &str) -> Self {
        let is_date_only = wanted.version.as_str() >= DATE_ONLY;
        let (scalars, linked, details, custom) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut plan = Self { scalars, linked, details, custom, is_date_only };
        let known = fields(type_name).into_iter().flatten();
        for (name, field_type) in known.filter(|(name, _)| has(&wanted.version, type_name, name)) {
            let path = format!("{prefix}{name}");
            if is_scalar(field_type) {
                if wanted.selects(&path) {
                    plan.scalars.push(name);
                }
            } else if wanted.expand.contains(&path) {
                let inner = Self::under(field_type.trim_end_matches("[]"), wanted, &format!("{path}/"));
                let list = if field_type.ends_with("[]") { &mut plan.details } else { &mut plan.linked };
                list.push((name, inner));
            }
        }
        for path in &wanted.custom {
            let Some((view, field)) = path.split_once('.') else { continue };
            let field = (field.to_owned(), path.clone());
            match plan.custom.iter_mut().find(|(other, _)| other == view) {
                Some((_, fields)) => fields.push(field),
                None => plan.custom.push((view.to_owned(), vec![field])),
            }
        }
        plan
    }

    /// Writes a record as JSON text. `address` is its entity's own, for a record that has one.
    ///
    /// Text, not a tree: long lists are most of what a simulated run costs.
    pub(super) fn write(&self, out: &mut String, record: &Value, row_number: usize, address: Option<&str>) {
        let own = record.get(GUID).and_then(Value::as_str).map(str::to_owned);
        let id = own.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        out.push_str("{\"id\":\"");
        out.push_str(&id);
        out.push_str("\",\"rowNumber\":");
        out.push_str(&row_number.to_string());
        out.push_str(",\"note\":{\"value\":\"\"}");
        for name in &self.scalars {
            push_key(out, name);
            match record.get(name) {
                None | Some(Value::Null) => out.push_str("{}"),
                Some(value) => {
                    out.push_str("{\"value\":");
                    let day = value.as_str().filter(|_| self.is_date_only).and_then(|text| text.strip_suffix(MIDNIGHT));
                    match day {
                        Some(day) => push_scalar(out, &Value::from(day)),
                        None => push_scalar(out, value),
                    }
                    out.push('}');
                }
            }
        }
        for (name, plan) in &self.linked {
            push_key(out, name);
            plan.write(out, record.get(name).unwrap_or(&Value::Null), row_number, None);
        }
        for (name, plan) in &self.details {
            push_key(out, name);
            let rows = record.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            plan.write_list(out, rows, None);
        }
        self.write_custom(out, record);
        if let Some(address) = address {
            let links =
                json!({"self": format!("{address}/{id}"), "files:put": format!("{address}/{id}/files/{{filename}}")});
            push_key(out, "_links");
            out.push_str(&links.to_string());
        }
        out.push('}');
    }

    /// Writes records as a JSON array, numbered from 1.
    pub(super) fn write_list(&self, out: &mut String, records: &[Value], address: Option<&str>) {
        out.push('[');
        for (record, number) in records.iter().zip(1..) {
            if number > 1 {
                out.push(',');
            }
            self.write(out, record, number, address);
        }
        out.push(']');
    }

    /// Writes the named fields outside the contract under their views, if the record has them.
    fn write_custom(&self, out: &mut String, record: &Value) {
        let all = record.get(CUSTOM);
        let mut views = Map::new();
        for (view, fields) in &self.custom {
            let mut blocks = Map::new();
            for (field, path) in fields {
                let Some(value) = all.and_then(|all| all.get(path)) else { continue };
                let kind = custom_type(field, value);
                let block = if value.is_null() { json!({"type": kind}) } else { json!({"type": kind, "value": value}) };
                blocks.insert(field.clone(), block);
            }
            if !blocks.is_empty() {
                views.insert(view.clone(), Value::Object(blocks));
            }
        }
        push_key(out, "custom");
        if views.is_empty() { out.push_str("{}") } else { out.push_str(&Value::Object(views).to_string()) }
    }
}

/// What follows the day in a business date.
const MIDNIGHT: &str = "T00:00:00+00:00";

fn push_key(out: &mut String, name: &str) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
}

fn push_scalar(out: &mut String, value: &Value) {
    out.push_str(&tieout_json::text(value));
}

fn custom_type(field: &str, value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "CustomBooleanField",
        Value::Number(_) if field.ends_with("LineNbr") => "CustomIntField",
        Value::Number(_) => "CustomDecimalField",
        _ if field == "NoteID" => "CustomGuidField",
        _ if field.ends_with("Date") || field.ends_with("DateTime") => "CustomDateTimeField",
        _ => "CustomStringField",
    }
}

/// Whether a type of the schema is a value, not an entity.
pub(super) fn is_scalar(field_type: &str) -> bool {
    matches!(field_type, "String" | "Decimal" | "Boolean" | "DateTime" | "Int" | "Long" | "Short" | "Guid")
}

impl Wanted {
    /// Whether a scalar field is asked for: no selection at all, itself, or the whole of what it lies in.
    fn selects(&self, path: &str) -> bool {
        let whole = path.rsplit_once('/').map(|(parent, _)| parent);
        self.select.is_empty()
            || self.select.iter().any(|selected| selected == path || Some(selected.as_str()) == whole)
            || whole.is_some_and(|whole| !self.select.iter().any(|one| one.starts_with(&format!("{whole}/"))))
    }

    /// The first name that the contract does not know.
    pub(super) fn unknown(&self, type_name: &str) -> Option<&str> {
        let system = |path: &&String| matches!(path.as_str(), "id" | "rowNumber" | "note" | "custom" | "files");
        let named = self.select.iter().chain(&self.expand).filter(|path| !system(path));
        let is_known = |path: &str| {
            let first = path.split('/').next().unwrap_or_default();
            has(&self.version, type_name, first) && field_type(type_name, path).is_some()
        };
        named.map(String::as_str).find(|path| !is_known(path))
    }
}
