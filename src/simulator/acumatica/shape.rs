//! The contract shape: which fields a caller gets, and how each is wrapped.
//!
//! Every field of the contract is there, `{"value": x}` or `{}`; linked entities and details only when expanded; fields
//! outside the contract only when named by `$custom`. `schema.json` is the contract (Default/24.200.001).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::entities::{CUSTOM, GUID};

type Types = BTreeMap<String, BTreeMap<String, String>>;

static SCHEMA: LazyLock<Types> =
    LazyLock::new(|| serde_json::from_str(include_str!("schema.json")).unwrap_or_default());

/// What a caller wants of each record.
#[derive(Debug, Default)]
pub(super) struct Wanted {
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

/// A record in contract shape. `address` is the entity's own, without the record.
pub(super) fn shape(record: &Value, type_name: &str, wanted: &Wanted, row_number: usize, address: &str) -> Value {
    let mut shaped = entity(record, type_name, wanted, "", row_number);
    if let Value::Object(object) = &mut shaped {
        let id = object.get("id").and_then(Value::as_str).unwrap_or_default();
        let links =
            json!({"self": format!("{address}/{id}"), "files:put": format!("{address}/{id}/files/{{filename}}")});
        object.insert("_links".to_owned(), links);
    }
    shaped
}

fn entity(record: &Value, type_name: &str, wanted: &Wanted, prefix: &str, row_number: usize) -> Value {
    let guid = record.get(GUID).and_then(Value::as_str).map(str::to_owned);
    let id = guid.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let mut shaped = Map::new();
    shaped.insert("id".to_owned(), Value::String(id));
    shaped.insert("rowNumber".to_owned(), json!(row_number));
    shaped.insert("note".to_owned(), json!({"value": ""}));
    for (name, field_type) in fields(type_name).into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let value = record.get(name).unwrap_or(&Value::Null);
        if is_scalar(field_type) {
            if wanted.selects(&path) {
                shaped.insert(name.clone(), wrap(value));
            }
            continue;
        }
        if !wanted.expand.contains(&path) {
            continue;
        }
        let (inner, prefix) = (field_type.trim_end_matches("[]"), format!("{path}/"));
        let value = if field_type.ends_with("[]") {
            let rows = value.as_array().into_iter().flatten().zip(1..);
            rows.map(|(row, number)| entity(row, inner, wanted, &prefix, number)).collect()
        } else {
            entity(value, inner, wanted, &prefix, row_number)
        };
        shaped.insert(name.clone(), value);
    }
    shaped.insert("custom".to_owned(), custom(record, wanted));
    Value::Object(shaped)
}

fn wrap(value: &Value) -> Value {
    if value.is_null() { json!({}) } else { json!({"value": value}) }
}

/// The named fields outside the contract, under their view.
fn custom(record: &Value, wanted: &Wanted) -> Value {
    let mut views = Map::new();
    for path in &wanted.custom {
        let Some((view, field)) = path.split_once('.') else { continue };
        let Some(value) = record.get(CUSTOM).and_then(|all| all.get(path)) else { continue };
        let Value::Object(view) = views.entry(view).or_insert_with(|| json!({})) else { continue };
        let mut block = json!({"type": custom_type(field, value)});
        if let (Value::Object(block), false) = (&mut block, value.is_null()) {
            block.insert("value".to_owned(), value.clone());
        }
        view.insert(field.to_owned(), block);
    }
    Value::Object(views)
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
        named.map(String::as_str).find(|path| field_type(type_name, path).is_none())
    }
}
