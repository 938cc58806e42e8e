//! The content hash: what counts as a change of a record.
//!
//! SHA-256 over canonical JSON: keys sorted, no white space, numbers as the source wrote them, without the manifest's
//! `ignore` paths. So the order of keys and a volatile link change nothing, and `1.0` → `1.00` does.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::path::{Pattern, Steps};

/// The hash of `record` without what `ignore` matches, hex.
pub(crate) fn content_hash(record: &Value, ignore: &[(Pattern, ())]) -> String {
    let mut text = String::new();
    write_without(record, &Steps::of(ignore), &mut text);
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Writes canonical JSON.
pub(crate) fn write_canonical(value: &Value, out: &mut String) {
    write_without(value, &Steps::of::<()>(&[]), out);
}

/// Writes canonical JSON of what `ignore` does not match.
fn write_without(value: &Value, ignore: &Steps<'_>, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => write_plain(value, out),
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_without(item, ignore, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            let mut is_first = true;
            for (name, field) in sorted {
                let inside = if ignore.is_empty() {
                    ignore.clone()
                } else {
                    let Some(inside) = ignore.inside(name) else { continue };
                    inside
                };
                if !is_first {
                    out.push(',');
                }
                is_first = false;
                write_plain(name, out);
                out.push(':');
                write_without(field, &inside, out);
            }
            out.push('}');
        }
    }
}

fn write_plain<T: Serialize + ?Sized>(value: &T, out: &mut String) {
    // Neither a text nor a number nor a flag can be no JSON.
    out.push_str(&serde_json::to_string(value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    fn hash(text: &str, ignore: &[&str]) -> String {
        let ignore: Vec<(Pattern, ())> = ignore.iter().map(|text| (Pattern::parse(text), ())).collect();
        content_hash(&serde_json::from_str(text).unwrap(), &ignore)
    }

    #[test]
    fn the_order_of_keys_does_not_matter_but_numbers_keep_their_text() {
        assert_eq!(hash(r#"{"a":1,"b":{"d":1,"c":2}}"#, &[]), hash(r#"{"b":{"c":2,"d":1},"a":1}"#, &[]));
        assert_ne!(hash(r#"{"a":1.0}"#, &[]), hash(r#"{"a":1.00}"#, &[]));
        assert_ne!(hash(r#"{"a":0.1}"#, &[]), hash(r#"{"a":"0.1"}"#, &[]));
        assert_ne!(hash(r#"{"a":[1,2]}"#, &[]), hash(r#"{"a":[2,1]}"#, &[]));
    }

    #[test]
    fn ignored_paths_do_not_count() {
        let left = r#"{"id":"u1","x":{"id":"u2","y":1},"l":[{"rowNumber":1,"z":2}]}"#;
        let right = r#"{"id":"u7","x":{"id":"u8","y":1},"l":[{"rowNumber":9,"z":2}]}"#;
        assert_eq!(hash(left, &["**.id", "l.rowNumber"]), hash(right, &["**.id", "l.rowNumber"]));
        assert_ne!(hash(left, &["id"]), hash(right, &["id"]));
        assert_eq!(hash(left, &["**.id"]), hash(r#"{"x":{"y":1},"l":[{"rowNumber":1,"z":2}]}"#, &[]));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[a-d\"\\\\]{1,2}", inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    fn reversed(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                Value::Object(fields.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect())
            }
            Value::Array(items) => items.iter().map(reversed).collect(),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn key_order_never_matters(value in any_json()) {
            prop_assert_eq!(content_hash(&value, &[]), content_hash(&reversed(&value), &[]));
        }

        #[test]
        fn canonical_text_parses_back(value in any_json()) {
            let mut text = String::new();
            write_canonical(&value, &mut text);
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }

        #[test]
        fn an_added_field_changes_the_hash(value in any_json()) {
            let more = json!({"inner": value.clone(), "more": 1});
            prop_assert_ne!(content_hash(&json!({"inner": value}), &[]), content_hash(&more, &[]));
        }
    }
}
