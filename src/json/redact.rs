//! Redaction of sensitive fields, before a record is decoded, hashed, logged or stored.
//!
//! `hash` keeps equality without the value: HMAC-SHA256 (hex), keyed by the firm's key, over the letters and digits
//! upper-cased, so that `12-3456789` and `123456789` still match. Without a key such fields are dropped: an unkeyed hash
//! of a tax id can be reversed by trying all of them.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use crate::path::{Fate, Pattern, change};

/// What becomes of a sensitive value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitive {
    /// Replaced by a keyed hash.
    Hash,
    /// Removed.
    Drop,
}

/// Redacts `record` in place.
pub fn redact(record: &mut Value, patterns: &[(Pattern, Sensitive)], key: Option<&[u8]>) {
    if patterns.is_empty() {
        return;
    }
    change(record, patterns, &mut |value, how| match (how, key) {
        (Sensitive::Hash, Some(key)) => {
            hash_leaves(value, key);
            Fate::Keep
        }
        (Sensitive::Hash, None) | (Sensitive::Drop, _) => Fate::Remove,
    });
}

fn hash_leaves(value: &mut Value, key: &[u8]) {
    match value {
        Value::Null => {}
        Value::Array(items) => items.iter_mut().for_each(|item| hash_leaves(item, key)),
        Value::Object(fields) => fields.values_mut().for_each(|field| hash_leaves(field, key)),
        Value::String(text) => *value = hashed(text, key),
        Value::Number(_) | Value::Bool(_) => *value = hashed(&value.to_string(), key),
    }
}

fn hashed(text: &str, key: &[u8]) -> Value {
    let normal: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect();
    if normal.is_empty() {
        return Value::Null;
    }
    // HMAC takes keys of any length; were it to refuse one, the value is dropped, never shown.
    Hmac::<Sha256>::new_from_slice(key).map_or(Value::Null, |mut mac| {
        mac.update(normal.as_bytes());
        Value::String(hex::encode(mac.finalize().into_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redacted(mut record: Value, how: Sensitive, key: Option<&[u8]>) -> Value {
        redact(&mut record, &[(Pattern::parse("register.identifier"), how)], key);
        record
    }

    #[test]
    fn a_hash_keeps_equality_and_hides_the_value() {
        let key = Some(b"firm".as_slice());
        let left = redacted(json!({"register": {"identifier": "12-3456789"}}), Sensitive::Hash, key);
        let right = redacted(json!({"register": {"identifier": 123_456_789}}), Sensitive::Hash, key);
        let wrapped = redacted(json!({"register": {"identifier": {"value": "12 3456789"}}}), Sensitive::Hash, key);
        assert_eq!(left, right);
        assert_eq!(left["register"]["identifier"], wrapped["register"]["identifier"]["value"]);
        assert!(!left.to_string().contains("3456789"));
        assert_ne!(left, redacted(json!({"register": {"identifier": "12-3456789"}}), Sensitive::Hash, Some(b"other")));
    }

    #[test]
    fn without_a_key_the_field_is_dropped() {
        let record = json!({"register": {"identifier": "12-3456789", "type": "EIN"}});
        assert_eq!(redacted(record.clone(), Sensitive::Hash, None), json!({"register": {"type": "EIN"}}));
        assert_eq!(redacted(record, Sensitive::Drop, Some(b"k")), json!({"register": {"type": "EIN"}}));
    }
}
