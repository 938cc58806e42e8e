//! The content hash: what counts as a change of a record.
//!
//! SHA-256 over canonical JSON: keys sorted, no white space, numbers as the source wrote them, without the manifest's
//! `ignore` paths. So the order of keys and a volatile link change nothing, and `1.0` → `1.00` does.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::path::{Fate, Pattern, change};

/// The hash of `record` without what `ignore` matches, hex.
pub fn content_hash(record: &Value, ignore: &[(Pattern, ())]) -> String {
    let mut kept = record.clone();
    change(&mut kept, ignore, &mut |_, ()| Fate::Remove);
    kept.sort_all_objects();
    hex::encode(Sha256::digest(kept.to_string().as_bytes()))
}

/// Canonical JSON of a value.
pub fn canonical(value: &Value) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    sorted.to_string()
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
    fn stored_hashes_stay_as_they_are() {
        let text = r#"{"z":[{"b":1.50,"a":"café \u0001\"/"}],"id":"x","A":null,"n":-0.10,"t":true}"#;
        let kept = r#"{"A":null,"n":-0.10,"t":true,"z":[{"a":"café \u0001\"/","b":1.50}]}"#;
        assert_eq!(hash(text, &["**.id"]), hex::encode(Sha256::digest(kept)));
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
            prop_assert_eq!(serde_json::from_str::<Value>(&canonical(&value)).unwrap(), value);
        }

        #[test]
        fn an_added_field_changes_the_hash(value in any_json()) {
            let more = json!({"inner": value.clone(), "more": 1});
            prop_assert_ne!(content_hash(&json!({"inner": value}), &[]), content_hash(&more, &[]));
        }
    }
}
