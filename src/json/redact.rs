//! What of a record may be kept: decided before it is decoded, hashed, logged or stored.
//!
//! Sensitive fields are hashed or dropped. `hash` keeps equality without the value: HMAC-SHA256 (hex), keyed by the firm's
//! key, over the letters and digits upper-cased, so that `12-3456789` and `123456789` still match. Without a key such fields
//! are dropped: an unkeyed hash of a tax id can be reversed by trying all of them.
//!
//! Three things hold without being named: fields that are called like a secret ([`is_secret`]) are dropped, links lose what
//! signs them, and where a sensitive path leads through a plain value, that value goes. A manifest is written before a
//! source gives what nobody expected.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::links::without_signatures;
use crate::names::{is_personal, is_secret, may_be_secret};
use crate::path::{Pattern, Steps, advance};
use crate::tape::{Kind, Node};
use crate::text::write_text;

/// What becomes of a sensitive value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitive {
    /// Replaced by a keyed hash.
    Hash,
    /// Removed.
    Drop,
}

/// What of a table's records may be kept.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Paths that are hashed or dropped; of two that match, the first counts.
    pub sensitive: Vec<(Pattern, Sensitive)>,
    /// What becomes of e-mail addresses and telephone numbers by the names of their fields; none keeps them.
    pub personal: Option<Sensitive>,
    /// The only fields that are kept, if any are named.
    pub only: Option<Fields>,
    /// Names of fields that are declared: whoever declared them knows what they hold, whatever they are called.
    pub declared: Vec<String>,
}

/// A tree of fields by their paths.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// Each with what is kept below it; none keeps all of it.
    below: Vec<(String, Option<Fields>)>,
    /// A field that wraps values and is stepped through.
    unwrap: Option<String>,
}

impl Fields {
    /// No fields yet; `unwrap` is a field that wraps every value.
    pub fn new(unwrap: Option<&str>) -> Self {
        Self { below: Vec::new(), unwrap: unwrap.map(str::to_owned) }
    }

    /// Adds a path and all below it.
    pub fn add(&mut self, path: &str) {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let place = self.below.iter().position(|(name, _)| name == first);
        match (place.and_then(|place| self.below.get_mut(place)), rest) {
            (Some((_, inner)), None) => *inner = None,
            (Some((_, Some(inner))), Some(rest)) => inner.add(rest),
            // All of it is kept already.
            (Some((_, None)), Some(_)) => {}
            (None, None) => self.below.push((first.to_owned(), None)),
            (None, Some(rest)) => {
                let mut inner = Self::new(self.unwrap.as_deref());
                inner.add(rest);
                self.below.push((first.to_owned(), Some(inner)));
            }
        }
    }

    /// What is kept below a field: all of it, some of it, or nothing.
    fn kept(&self, name: &str) -> Kept<'_> {
        match self.below.iter().find(|(known, _)| known == name) {
            Some((_, None)) => Kept::All,
            Some((_, Some(inner))) => Kept::Some(inner),
            None if self.unwrap.as_deref() == Some(name) => Kept::Some(self),
            None => Kept::Nothing,
        }
    }
}

enum Kept<'f> {
    All,
    Some(&'f Fields),
    Nothing,
}

/// The record with what may be kept of it; none if that is all of it, as it is.
pub fn redact(record: Node<'_>, rules: &Rules, key: Option<&[u8]>) -> Option<String> {
    let active: Vec<(Steps<'_>, Sensitive)> = rules.sensitive.iter().map(|(path, how)| (path.steps(), *how)).collect();
    let mut walk = Walk { rules, key, edits: Vec::new(), scratch: String::new() };
    walk.value(record, &active, rules.only.as_ref());
    let Walk { edits, .. } = walk;
    if edits.is_empty() {
        return None;
    }
    let (start, text) = (record.span().0, record.raw());
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for Edit { span: (begin, end), with } in edits {
        kept.push_str(text.get(from..begin - start).unwrap_or_default());
        kept.push_str(&with);
        from = end - start;
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    Some(kept)
}

struct Edit {
    span: (usize, usize),
    with: String,
}

struct Walk<'r> {
    rules: &'r Rules,
    key: Option<&'r [u8]>,
    /// In the order of the text, none within another.
    edits: Vec<Edit>,
    /// Room for a name in its plain form.
    scratch: String,
}

impl Walk<'_> {
    fn value(&mut self, value: Node<'_>, active: &[(Steps<'_>, Sensitive)], only: Option<&Fields>) {
        match value.kind() {
            Kind::List => {
                for item in value.items() {
                    self.value(item, active, only);
                }
            }
            Kind::Object => self.object(value, active, only),
            // A slash may be escaped.
            Kind::Text if value.inner().contains("://") || value.has_escapes() => {
                let letters = value.letters();
                let kept = without_signatures(&letters);
                if kept != letters {
                    let mut with = String::new();
                    write_text(&kept, &mut with);
                    self.edits.push(Edit { span: value.span(), with });
                }
            }
            Kind::Null | Kind::Bool | Kind::Number | Kind::Text => {}
        }
    }

    fn object(&mut self, object: Node<'_>, active: &[(Steps<'_>, Sensitive)], only: Option<&Fields>) {
        let mut next = Vec::new();
        // Where the field before ends, and whether one before was kept: a field goes with the comma on that side.
        let (mut end_before, mut has_kept) = (object.span().0 + 1, false);
        let mut fields = object.fields().peekable();
        while let Some((name, field)) = fields.next() {
            next.clear();
            let letters = name.letters();
            let matched = step(active, &letters, field, &mut next);
            let how = matched.or_else(|| self.by_name(&letters));
            let kept = only.map(|only| only.kept(&letters));
            let is_kept = match (how, self.key, &kept) {
                (_, _, Some(Kept::Nothing)) | (Some(Sensitive::Drop), ..) | (Some(Sensitive::Hash), None, _) => false,
                (Some(Sensitive::Hash), Some(key), _) => {
                    self.hash_leaves(field, key);
                    true
                }
                (None, _, Some(Kept::Some(below))) => {
                    self.value(field, &next, Some(below));
                    true
                }
                (None, _, Some(Kept::All) | None) => {
                    self.value(field, &next, None);
                    true
                }
            };
            let end = field.span().1;
            if !is_kept {
                let after = fields.peek().map_or(end, |(name, _)| name.span().0);
                let span = if has_kept { (end_before, end) } else { (name.span().0, after) };
                self.edits.push(Edit { span, with: String::new() });
            }
            (end_before, has_kept) = (end, has_kept || is_kept);
        }
    }

    fn by_name(&mut self, name: &str) -> Option<Sensitive> {
        if self.rules.personal.is_none() && !may_be_secret(name) {
            return None;
        }
        plain(name, &mut self.scratch);
        if is_secret(&self.scratch) && !self.rules.declared.iter().any(|declared| declared == name) {
            return Some(Sensitive::Drop);
        }
        self.rules.personal.filter(|_| is_personal(&self.scratch))
    }

    fn hash_leaves(&mut self, value: Node<'_>, key: &[u8]) {
        match value.kind() {
            Kind::Null => {}
            Kind::List => value.items().for_each(|item| self.hash_leaves(item, key)),
            Kind::Object => value.fields().for_each(|(_, field)| self.hash_leaves(field, key)),
            Kind::Text | Kind::Number | Kind::Bool => {
                let with = hashed(&value.letters(), key).map_or("null".to_owned(), |hash| format!("\"{hash}\""));
                self.edits.push(Edit { span: value.span(), with });
            }
        }
    }
}

/// What a field's name leaves of the patterns, and what becomes of it if one of them ends here.
fn step<'p>(
    active: &[(Steps<'p>, Sensitive)],
    name: &str,
    field: Node<'_>,
    next: &mut Vec<(Steps<'p>, Sensitive)>,
) -> Option<Sensitive> {
    let mut matched = None;
    for (steps, how) in active {
        advance(steps, name, &mut |rest| {
            // A plain value where the path goes on: what was to be hidden may be it.
            let is_cut_short = || {
                let goes_on = rest.first().is_some_and(|step| step != "**");
                let is_plain = matches!(field.kind(), Kind::Text | Kind::Number);
                goes_on && is_plain && steps.first().is_some_and(|step| step == name)
            };
            if rest.is_empty() {
                matched = matched.or(Some(*how));
            } else if is_cut_short() {
                matched = matched.or(Some(Sensitive::Drop));
            } else {
                next.push((rest, *how));
            }
        });
    }
    matched
}

/// A name's letters and digits in small letters: `Tax-ID` and `taxId` are one.
fn plain(name: &str, out: &mut String) {
    out.clear();
    out.extend(name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()));
}

/// The keyed hash of a value; none if nothing of it would count.
fn hashed(text: &str, key: &[u8]) -> Option<String> {
    let normal: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect();
    if normal.is_empty() {
        return None;
    }
    // HMAC takes keys of any length; were it to refuse one, the value is dropped, never shown.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(normal.as_bytes());
    Some(hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::tape::Tape;

    fn apply(text: &str, rules: &Rules, key: Option<&[u8]>) -> String {
        redact(Tape::default().read(text).unwrap(), rules, key).unwrap_or_else(|| text.to_owned())
    }

    fn rules(patterns: &[&str], how: Sensitive) -> Rules {
        let sensitive = patterns.iter().map(|text| (Pattern::parse(text), how)).collect();
        Rules { sensitive, ..Rules::default() }
    }

    fn redacted(record: &Value, how: Sensitive, key: Option<&[u8]>) -> Value {
        serde_json::from_str(&apply(&record.to_string(), &rules(&["register.identifier"], how), key)).unwrap()
    }

    fn without(record: &Value, patterns: &[&str]) -> Value {
        serde_json::from_str(&apply(&record.to_string(), &rules(patterns, Sensitive::Drop), None)).unwrap()
    }

    #[test]
    fn a_hash_keeps_equality_and_hides_the_value() {
        let key = Some(b"firm".as_slice());
        let left = redacted(&json!({"register": {"identifier": "12-3456789"}}), Sensitive::Hash, key);
        let right = redacted(&json!({"register": {"identifier": 123_456_789}}), Sensitive::Hash, key);
        let wrapped = redacted(&json!({"register": {"identifier": {"value": "12 3456789"}}}), Sensitive::Hash, key);
        assert_eq!(left, right);
        assert_eq!(left["register"]["identifier"], wrapped["register"]["identifier"]["value"]);
        assert!(!left.to_string().contains("3456789"));
        assert_ne!(left, redacted(&json!({"register": {"identifier": "12-3456789"}}), Sensitive::Hash, Some(b"other")));
    }

    #[test]
    fn without_a_key_the_field_is_dropped() {
        let record = json!({"register": {"identifier": "12-3456789", "type": "EIN"}});
        assert_eq!(redacted(&record, Sensitive::Hash, None), json!({"register": {"type": "EIN"}}));
        assert_eq!(redacted(&record, Sensitive::Drop, Some(b"k")), json!({"register": {"type": "EIN"}}));
    }

    #[test]
    fn a_plain_path_removes_one_field() {
        assert_eq!(without(&json!({"a": {"b": 1, "c": 2}, "b": 3}), &["a.b"]), json!({"a": {"c": 2}, "b": 3}));
    }

    #[test]
    fn two_stars_reach_any_depth_and_step_through_lists() {
        let record = json!({"id": 1, "lines": [{"id": 2, "x": {"id": 3, "y": 4}}]});
        assert_eq!(without(&record, &["**.id"]), json!({"lines": [{"x": {"y": 4}}]}));
    }

    #[test]
    fn one_star_is_exactly_one_step() {
        let record = json!({"id": 1, "a": {"id": 2, "b": {"id": 3}}});
        assert_eq!(without(&record, &["*.id"]), json!({"id": 1, "a": {"b": {"id": 3}}}));
    }

    #[test]
    fn a_value_where_the_path_goes_on_goes_too() {
        let record = json!({"register": "12-3456789", "x": {"register": "stays"}});
        assert_eq!(without(&record, &["register.identifier"]), json!({"x": {"register": "stays"}}));
        let listed = json!({"register": [{"identifier": 5, "k": 1}, {"k": 2}]});
        assert_eq!(without(&listed, &["register.identifier"]), json!({"register": [{"k": 1}, {"k": 2}]}));
        assert_eq!(without(&json!({"register": null, "a": 1}), &["register.identifier"])["a"], 1);
    }

    #[test]
    fn every_way_of_spacing_leaves_json() {
        let text = "{ \"a\" : 1 ,\n \"b\": [ {\"x\":1, \"y\":2 } , {\"y\":3}, {\"x\":4} ] , \"c\":3 }";
        for (patterns, kept) in [
            (vec!["a"], json!({"b": [{"x":1,"y":2},{"y":3},{"x":4}], "c": 3})),
            (vec!["c"], json!({"a": 1, "b": [{"x":1,"y":2},{"y":3},{"x":4}]})),
            (vec!["a", "c"], json!({"b": [{"x":1,"y":2},{"y":3},{"x":4}]})),
            (vec!["a", "b"], json!({"c": 3})),
            (vec!["b", "c"], json!({"a": 1})),
            (vec!["a", "b", "c"], json!({})),
            (vec!["b.x"], json!({"a": 1, "b": [{"y":2},{"y":3},{}], "c": 3})),
        ] {
            let text = apply(text, &rules(&patterns, Sensitive::Drop), None);
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), kept, "{patterns:?}");
        }
    }

    #[test]
    fn secrets_go_by_their_names_and_signatures_from_links() {
        let text = r#"{"id":1,"Bank-Account":"99","bank_account_number":{"value":"1"},"accounts":[{"routingNumber":7,"x":2}],
            "apiToken":"t","url":"https://files.example/a/b.pdf?X-Amz-Signature=abc&x=1","page":"https://x.example/?page=2"}"#;
        let kept: Value = serde_json::from_str(&apply(text, &Rules::default(), Some(b"key"))).unwrap();
        let declared = Rules { declared: vec!["TaxID".to_owned()], ..Rules::default() };
        assert_eq!(apply(r#"{"TaxID":"GST","tax_id":"9"}"#, &declared, None), r#"{"TaxID":"GST"}"#);
        let expected = json!({"id": 1, "accounts": [{"x": 2}], "url": "https://files.example/a/b.pdf", "page": "https://x.example/?page=2"});
        assert_eq!(kept, expected);
    }

    #[test]
    fn personal_fields_follow_the_setting() {
        let text = r#"{"email_address":"a@b.example","contact":{"Phone1":"555","name":"n"}}"#;
        let with = |personal| apply(text, &Rules { personal, ..Rules::default() }, Some(b"key"));
        assert_eq!(with(None), text);
        assert_eq!(with(Some(Sensitive::Drop)), r#"{"contact":{"name":"n"}}"#);
        let hashed = with(Some(Sensitive::Hash));
        assert!(!hashed.contains("555") && !hashed.contains("b.example") && hashed.contains("Phone1"), "{hashed}");
    }

    #[test]
    fn only_named_fields_are_kept_where_any_are() {
        let mut only = Fields::new(Some("value"));
        for path in ["id", "vendor.name", "Details.Amount", "A.B"] {
            only.add(path);
        }
        let kept = Rules { only: Some(only), ..Rules::default() };
        let text = r#"{"note":"x","id":{"value":1,"note":2},"vendor":{"name":"n","phone":"p"},"Details":[{"Amount":1,"z":2}],"A":{"value":{"B":1,"C":2}}}"#;
        let expected =
            r#"{"id":{"value":1,"note":2},"vendor":{"name":"n"},"Details":[{"Amount":1}],"A":{"value":{"B":1}}}"#;
        assert_eq!(apply(text, &kept, None), expected);
    }

    /// The same by way of a tree, as it was done before.
    fn by_tree(value: &mut Value, active: &[Steps<'_>]) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| by_tree(item, active)),
            Value::Object(fields) => fields.retain(|name, field| {
                let (mut next, mut is_matched) = (Vec::new(), false);
                for steps in active {
                    advance(steps, name, &mut |rest| if rest.is_empty() { is_matched = true } else { next.push(rest) });
                }
                by_tree(field, &next);
                !is_matched
            }),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_a_tree_would_leave(value in crate::hash::tests::any_json(), patterns in prop::collection::vec("(\\*\\*\\.)?[a-d]|\\*\\.[a-d]", 0..4)) {
            let parsed: Vec<Pattern> = patterns.iter().map(|text| Pattern::parse(text)).collect();
            let mut expected = value.clone();
            by_tree(&mut expected, &parsed.iter().map(Pattern::steps).collect::<Vec<_>>());
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let kept = apply(&text, &rules(&patterns, Sensitive::Drop), None);
                prop_assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), expected.clone());
            }
        }
    }
}
