//! JSON as Postgres builds and takes it apart, over texts.
//!
//! `json` keeps what was written; `jsonb` has its keys in order, each once, and one blank after every comma and colon.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::BytesMut;
use datafusion::arrow::array::{Array as _, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use serde_json::Value;

use super::{Answer, Call, Entry, refuse, string, strings};
use crate::server::encode::{Cells, SHOWN_AS};

/// A text as `json`: refused if it is none.
pub(crate) const JSON: &str = "tieout_json";
/// A text as `jsonb`.
pub(crate) const JSONB: &str = "tieout_jsonb";
/// JSON texts of a list as one array.
pub(crate) const ARRAY: &str = "tieout_json_array";
pub(crate) const ARRAY_B: &str = "tieout_jsonb_array";
/// Names and JSON texts of two lists as one object.
pub(crate) const OBJECT: &str = "tieout_json_object";
pub(crate) const OBJECT_B: &str = "tieout_jsonb_object";
/// The elements of an array, the keys of an object.
pub(crate) const ELEMENTS: &str = "tieout_json_elements";
pub(crate) const ELEMENTS_TEXT: &str = "tieout_json_elements_text";
pub(crate) const KEYS: &str = "tieout_json_keys";
/// `#>` and `#>>`.
pub(crate) const AT: &str = "tieout_json_at";
pub(crate) const AT_TEXT: &str = "tieout_json_at_text";
/// `@>`.
pub(crate) const CONTAINS: &str = "tieout_json_contains";

/// `||`.
pub(crate) const JOINED: &str = "tieout_json_joined";

pub(super) const ALL: &[Entry] = &[
    (JSON, Answer::Json, |call| {
        let Some(text) = call.text(0) else { return Ok(ScalarValue::Null) };
        parsed(&text).map(|_| string(text))
    }),
    (JSONB, Answer::Jsonb, |call| Ok(json(call, 0)?.map_or(ScalarValue::Null, |value| string(ordered(&value))))),
    ("to_json", Answer::Json, |call| told(call, 0, false)),
    ("to_jsonb", Answer::Jsonb, |call| told(call, 0, true)),
    ("row_to_json", Answer::Json, |call| told(call, 0, false)),
    ("array_to_json", Answer::Json, |call| told(call, 0, false)),
    ("json_build_object", Answer::Json, |call| object(call, false)),
    ("jsonb_build_object", Answer::Jsonb, |call| object(call, true)),
    ("json_build_array", Answer::Json, |call| array(call, false)),
    ("jsonb_build_array", Answer::Jsonb, |call| array(call, true)),
    (ARRAY, Answer::Json, |call| Ok(gathered(call, false))),
    (ARRAY_B, Answer::Jsonb, |call| Ok(gathered(call, true))),
    (OBJECT, Answer::Json, |call| pairs(call, false)),
    (OBJECT_B, Answer::Jsonb, |call| pairs(call, true)),
    ("json_typeof", Answer::Text, kind),
    ("jsonb_typeof", Answer::Text, kind),
    ("json_array_length", Answer::Integer, length),
    ("jsonb_array_length", Answer::Integer, length),
    ("json_extract_path", Answer::Json, |call| {
        Ok(at(call, 1)?.map_or(ScalarValue::Null, |value| string(value.to_string())))
    }),
    ("jsonb_extract_path", Answer::Jsonb, |call| {
        Ok(at(call, 1)?.map_or(ScalarValue::Null, |value| string(ordered(&value))))
    }),
    ("json_extract_path_text", Answer::Text, |call| Ok(ScalarValue::Utf8(at(call, 1)?.and_then(plain)))),
    ("jsonb_extract_path_text", Answer::Text, |call| Ok(ScalarValue::Utf8(at(call, 1)?.and_then(plain)))),
    (AT, Answer::Jsonb, |call| Ok(by_path(call)?.map_or(ScalarValue::Null, |value| string(ordered(&value))))),
    (AT_TEXT, Answer::Text, |call| Ok(ScalarValue::Utf8(by_path(call)?.and_then(plain)))),
    (CONTAINS, Answer::Boolean, |call| {
        let found = json(call, 0)?.zip(json(call, 1)?).map(|(whole, part)| contains(&whole, &part));
        Ok(ScalarValue::Boolean(found))
    }),
    (JOINED, Answer::Jsonb, |call| {
        let both = json(call, 0)?.zip(json(call, 1)?);
        Ok(both.map_or(ScalarValue::Null, |(left, right)| string(ordered(&joined(left, right)))))
    }),
    (ELEMENTS, Answer::Jsons, |call| elements(call, |value| Some(ordered(&value)))),
    (ELEMENTS_TEXT, Answer::Texts, |call| elements(call, plain)),
    (KEYS, Answer::Texts, |call| match json(call, 0)? {
        None => Ok(ScalarValue::Null),
        Some(Value::Object(members)) => Ok(strings(members.into_iter().map(|(name, _)| Some(name)))),
        Some(_) => refuse("22023", "cannot call json_object_keys on what is no object"),
    }),
    ("json_pretty", Answer::Text, pretty),
    ("jsonb_pretty", Answer::Text, pretty),
];

fn parsed(text: &str) -> Result<Value> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(reason) => refuse("22P02", format!("invalid input syntax for type json: {reason}")),
    }
}

fn json(call: &Call<'_>, place: usize) -> Result<Option<Value>> {
    call.text(place).map(|text| parsed(&text)).transpose()
}

/// A value's text as `->>` gives it: a string without its quotes, null none.
fn plain(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(ordered(&other)),
    }
}

fn by_length(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// As `jsonb` shows it.
fn ordered(value: &Value) -> String {
    match value {
        Value::Array(elements) => format!("[{}]", elements.iter().map(ordered).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_by(|left, right| by_length(left, right));
            let member = |name: &String| {
                let value = members.get(name).map(ordered).unwrap_or_default();
                format!("{}: {value}", quoted(name))
            };
            format!("{{{}}}", names.into_iter().map(member).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// A SQL value as JSON text.
fn text_of(value: &ScalarValue, field: &Field, call: &Call<'_>) -> Result<String> {
    if value.is_null() {
        return Ok("null".to_owned());
    }
    if field.metadata().get(SHOWN_AS).is_some_and(|shown| shown == "json" || shown == "jsonb") {
        return Ok(value.cast_to(&DataType::Utf8)?.to_string());
    }
    let shown = || -> Result<String> {
        let mut out = BytesMut::new();
        Cells::new(&value.to_array()?)?.text(0, call.zone, &mut out);
        Ok(String::from_utf8_lossy(&out).into_owned())
    };
    Ok(match value.data_type() {
        DataType::Boolean => value.to_string(),
        of if of.is_integer() || of.is_decimal() => shown()?,
        of if of.is_floating() => {
            let text = shown()?;
            if text.ends_with(|letter: char| letter.is_ascii_digit()) { text } else { quoted(&text) }
        }
        DataType::Timestamp(_, zone) => {
            let text = shown()?.replacen(' ', "T", 1);
            let is_short = zone.is_some()
                && !text
                    .get(text.len().saturating_sub(6)..)
                    .is_some_and(|end| end.contains(':') && (end.starts_with('+') || end.starts_with('-')));
            quoted(&if is_short { format!("{text}:00") } else { text })
        }
        DataType::List(element) => {
            let ScalarValue::List(list) = value else { return Ok("null".to_owned()) };
            let Some(all) = list.iter().next().flatten() else { return Ok("null".to_owned()) };
            let one = |place| text_of(&ScalarValue::try_from_array(&all, place)?, &element, call);
            let all = (0..all.len()).map(one).collect::<Result<Vec<_>>>()?;
            format!("[{}]", all.join(","))
        }
        DataType::Struct(fields) => {
            let ScalarValue::Struct(row) = value else { return Ok("null".to_owned()) };
            let one = |(column, field): (&ArrayRef, &Arc<Field>)| {
                let value = ScalarValue::try_from_array(column, 0)?;
                Ok(format!("{}:{}", quoted(field.name()), text_of(&value, field, call)?))
            };
            let members = row.columns().iter().zip(fields.iter()).map(one).collect::<Result<Vec<_>>>()?;
            format!("{{{}}}", members.join(","))
        }
        _ => quoted(&shown()?),
    })
}

fn argument(call: &Call<'_>, place: usize) -> Result<String> {
    match call.arguments.get(place).zip(call.fields.get(place)) {
        Some((value, field)) => text_of(value, field, call),
        None => Ok("null".to_owned()),
    }
}

fn finished(text: String, binary: bool) -> Result<ScalarValue> {
    Ok(string(if binary { ordered(&parsed(&text)?) } else { text }))
}

fn told(call: &Call<'_>, place: usize, binary: bool) -> Result<ScalarValue> {
    if call.value(place).is_none() {
        return Ok(ScalarValue::Null);
    }
    finished(argument(call, place)?, binary)
}

fn object(call: &Call<'_>, binary: bool) -> Result<ScalarValue> {
    if !call.arguments.len().is_multiple_of(2) {
        return refuse("22023", "argument list must have even number of elements");
    }
    let mut members = Vec::new();
    for place in (0..call.arguments.len()).step_by(2) {
        let Some(name) = call.text(place) else { return refuse("22004", "null value not allowed for object key") };
        members.push(format!("{} : {}", quoted(&name), argument(call, place + 1)?));
    }
    finished(format!("{{{}}}", members.join(", ")), binary)
}

fn array(call: &Call<'_>, binary: bool) -> Result<ScalarValue> {
    let all = (0..call.arguments.len()).map(|place| argument(call, place)).collect::<Result<Vec<_>>>()?;
    finished(format!("[{}]", all.join(", ")), binary)
}

/// The texts of a list argument.
fn texts(call: &Call<'_>, place: usize) -> Option<Vec<Option<String>>> {
    let Some(ScalarValue::List(list)) = call.arguments.get(place) else { return None };
    let all = list.iter().next().flatten()?;
    let text = |place| match ScalarValue::try_from_array(&all, place).ok()?.cast_to(&DataType::Utf8).ok()? {
        ScalarValue::Utf8(text) => text,
        _ => None,
    };
    Some((0..all.len()).map(text).collect())
}

fn gathered(call: &Call<'_>, binary: bool) -> ScalarValue {
    let Some(all) = texts(call, 0) else { return ScalarValue::Null };
    let all: Vec<String> = all.into_iter().map(|text| text.unwrap_or_else(|| "null".to_owned())).collect();
    let text = format!("[{}]", all.join(", "));
    finished(text, binary).unwrap_or(ScalarValue::Null)
}

fn pairs(call: &Call<'_>, binary: bool) -> Result<ScalarValue> {
    let (Some(names), Some(values)) = (texts(call, 0), texts(call, 1)) else { return Ok(ScalarValue::Null) };
    let mut members = Vec::new();
    for (name, value) in names.into_iter().zip(values) {
        let Some(name) = name else { return refuse("22004", "null value not allowed for object key") };
        members.push(format!("{} : {}", quoted(&name), value.unwrap_or_else(|| "null".to_owned())));
    }
    finished(format!("{{ {} }}", members.join(", ")), binary)
}

fn kind(call: &Call<'_>) -> Result<ScalarValue> {
    let name = |value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Ok(json(call, 0)?.map_or(ScalarValue::Null, |value| string(name(value))))
}

fn length(call: &Call<'_>) -> Result<ScalarValue> {
    match json(call, 0)? {
        None => Ok(ScalarValue::Null),
        Some(Value::Array(all)) => Ok(ScalarValue::Int64(i64::try_from(all.len()).ok())),
        Some(_) => refuse("22023", "cannot get array length of what is no array"),
    }
}

fn step(value: Value, name: &str) -> Option<Value> {
    match value {
        Value::Object(mut members) => members.remove(name),
        Value::Array(mut all) => {
            let place: i64 = name.parse().ok()?;
            let place = if place < 0 { i64::try_from(all.len()).ok()? + place } else { place };
            let place = usize::try_from(place).ok().filter(|place| *place < all.len())?;
            Some(all.swap_remove(place))
        }
        _ => None,
    }
}

/// What the arguments from `first` lead to.
fn at(call: &Call<'_>, first: usize) -> Result<Option<Value>> {
    let mut found = json(call, 0)?;
    for place in first..call.arguments.len() {
        let Some(name) = call.text(place) else { return Ok(None) };
        found = found.and_then(|value| step(value, &name));
    }
    Ok(found)
}

/// What a path, a list or its text, leads to.
fn by_path(call: &Call<'_>) -> Result<Option<Value>> {
    let path = match call.value(1) {
        Some(ScalarValue::Utf8(Some(text))) => {
            let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
            Some(
                inner
                    .split(',')
                    .filter(|part| !part.is_empty())
                    .map(|part| Some(part.trim().trim_matches('"').to_owned()))
                    .collect(),
            )
        }
        _ => texts(call, 1),
    };
    let (Some(path), mut found) = (path, json(call, 0)?) else { return Ok(None) };
    for name in path {
        found = found.zip(name).and_then(|(value, name)| step(value, &name));
    }
    Ok(found)
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part)))
        }
        (Value::Array(whole), part) => whole.contains(part),
        (whole, part) => whole == part,
    }
}

/// Members of both objects, the second's where both have one; else the elements of both.
fn joined(left: Value, right: Value) -> Value {
    let list = |value| match value {
        Value::Array(all) => all,
        other => vec![other],
    };
    match (left, right) {
        (Value::Object(mut left), Value::Object(right)) => {
            left.extend(right);
            Value::Object(left)
        }
        (left, right) => Value::Array([list(left), list(right)].concat()),
    }
}

fn elements(call: &Call<'_>, text: fn(Value) -> Option<String>) -> Result<ScalarValue> {
    match json(call, 0)? {
        None => Ok(ScalarValue::Null),
        Some(Value::Array(all)) => Ok(strings(all.into_iter().map(text))),
        Some(_) => refuse("22023", "cannot extract elements from what is no array"),
    }
}

fn pretty(call: &Call<'_>) -> Result<ScalarValue> {
    fn write(value: &Value, depth: usize, out: &mut String) {
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.push_str(&"    ".repeat(depth));
        };
        match value {
            Value::Array(all) if !all.is_empty() => {
                out.push('[');
                for (place, value) in all.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    line(out, depth + 1);
                    write(value, depth + 1, out);
                }
                line(out, depth);
                out.push(']');
            }
            Value::Object(members) if !members.is_empty() => {
                let mut names: Vec<&String> = members.keys().collect();
                names.sort_by(|left, right| by_length(left, right));
                out.push('{');
                for (place, name) in names.into_iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    line(out, depth + 1);
                    out.push_str(&quoted(name));
                    out.push_str(": ");
                    members.get(name).into_iter().for_each(|value| write(value, depth + 1, out));
                }
                line(out, depth);
                out.push('}');
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut out = String::new();
    let Some(value) = json(call, 0)? else { return Ok(ScalarValue::Null) };
    write(&value, 0, &mut out);
    Ok(string(out))
}
