//! The content hash: what counts as a change of a record.
//!
//! SHA-256 over canonical JSON: keys sorted, no white space, numbers as the source wrote them, without the manifest's
//! `ignore` paths. So the order of keys and a volatile link change nothing, and `1.0` → `1.00` does.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::path::{Pattern, Steps, advance};
use crate::tape::{Kind, Node};
use crate::text::write_text;

/// Room for a record's canonical text and its order, used again from record to record.
#[derive(Debug, Default)]
pub struct HashSpace {
    text: String,
    sorted: Sorted,
}

/// The hash of `record` without what `ignore` matches, hex.
pub fn content_hash(record: Node<'_>, ignore: &[Pattern], space: &mut HashSpace) -> String {
    space.text.clear();
    let active: Vec<Steps<'_>> = ignore.iter().map(Pattern::steps).collect();
    write(record, &active, &mut space.sorted, &mut space.text);
    let digits = b"0123456789abcdef";
    let digit = |half: u8| char::from(digits.get(usize::from(half)).copied().unwrap_or(b'0'));
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(space.text.as_bytes()) {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// Canonical JSON of a value.
pub fn canonical(value: Node<'_>) -> String {
    let mut text = String::new();
    write(value, &[], &mut Sorted::default(), &mut text);
    text
}

/// A field by the place of its name on the tape, behind the first letters of the name: they mostly decide the order.
type Field = (u64, usize);

/// The fields of the objects around a value by name, each object's behind those of the one around it.
#[derive(Debug, Default)]
struct Sorted {
    fields: Vec<Field>,
    /// How the fields of the last object with so many fields were put in order. Records of a list mostly have the same fields in
    /// the same order: to try an order is cheaper than to find it.
    orders: Vec<Vec<u16>>,
    tried: Vec<Field>,
}

impl Sorted {
    /// Puts the fields of `object` behind those that are there, by name; of fields with one name the last comes last.
    fn push(&mut self, object: Node<'_>) {
        let begin = self.fields.len();
        self.fields.extend(object.fields().map(|(name, _)| (first_letters(&name.letters()), name.place())));
        let Some(own) = self.fields.get_mut(begin..) else { return };
        let letters = |place: usize| object.other(place).letters();
        let by_name = |left: &Field, right: &Field| {
            let by_rest = || letters(left.1).cmp(&letters(right.1)).then(left.1.cmp(&right.1));
            left.0.cmp(&right.0).then_with(by_rest)
        };
        if self.orders.len() <= own.len() && own.len() < ORDERS_MAX {
            self.orders.resize(own.len() + 1, Vec::new());
        }
        let Some(order) = self.orders.get_mut(own.len()) else { return own.sort_unstable_by(by_name) };
        self.tried.clear();
        self.tried.extend(order.iter().filter_map(|at| own.get(usize::from(*at)).copied()));
        if self.tried.len() == own.len() && self.tried.is_sorted_by(|left, right| by_name(left, right).is_lt()) {
            own.copy_from_slice(&self.tried);
            return;
        }
        let mut placed: Vec<(Field, u16)> = own.iter().copied().zip(0..).collect();
        placed.sort_unstable_by(|left, right| by_name(&left.0, &right.0));
        own.iter_mut().zip(&placed).for_each(|(to, (field, _))| *to = *field);
        *order = placed.into_iter().map(|(_, at)| at).collect();
    }
}

/// Objects with more fields are not remembered.
const ORDERS_MAX: usize = 512;

fn write(value: Node<'_>, ignore: &[Steps<'_>], sorted: &mut Sorted, out: &mut String) {
    match value.kind() {
        Kind::Text if value.has_escapes() => write_text(&value.letters(), out),
        Kind::Null | Kind::Bool | Kind::Number | Kind::Text => out.push_str(value.raw()),
        Kind::List => {
            out.push('[');
            for (place, item) in value.items().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(item, ignore, sorted, out);
            }
            out.push(']');
        }
        Kind::Object => object(value, ignore, sorted, out),
    }
}

fn object(value: Node<'_>, ignore: &[Steps<'_>], sorted: &mut Sorted, out: &mut String) {
    let begin = sorted.fields.len();
    sorted.push(value);
    let letters = |place: usize| value.other(place).letters();
    let end = sorted.fields.len();
    out.push('{');
    let mut is_first = true;
    let mut next = Vec::new();
    for at in begin..end {
        let Some((first, place)) = sorted.fields.get(at).copied() else { break };
        let name = letters(place);
        let is_same = |other: &Field| other.0 == first && letters(other.1) == name;
        if at + 1 < end && sorted.fields.get(at + 1).is_some_and(is_same) {
            continue;
        }
        next.clear();
        let mut is_ignored = false;
        for steps in ignore {
            advance(steps, &name, &mut |rest| if rest.is_empty() { is_ignored = true } else { next.push(rest) });
        }
        if is_ignored {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            out.push(',');
        }
        match name {
            // As it was written: there was nothing to escape.
            Cow::Borrowed(_) => out.push_str(value.other(place).raw()),
            Cow::Owned(name) => write_text(&name, out),
        }
        out.push(':');
        write(value.other(place + 1), &next, sorted, out);
    }
    sorted.fields.truncate(begin);
    out.push('}');
}

/// The first eight bytes of a name as a number of the same order.
fn first_letters(name: &str) -> u64 {
    if let Some(first) = name.as_bytes().first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::tape::Tape;

    fn hash(text: &str, ignore: &[&str]) -> String {
        let ignore: Vec<Pattern> = ignore.iter().map(|text| Pattern::parse(text)).collect();
        content_hash(Tape::default().read(text).unwrap(), &ignore, &mut HashSpace::default())
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

    #[test]
    fn of_fields_with_one_name_the_last_counts() {
        assert_eq!(hash(r#"{"a":1,"b":2,"\u0061":3}"#, &[]), hash(r#"{"b":2,"a":3}"#, &[]));
    }

    pub(crate) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,5})?([eE][-+]?[0-9]{1,2})?"
                .prop_map(|text| serde_json::from_str(&text).unwrap()),
            ".{0,12}".prop_map(Value::from),
            "[\\x00-\\x20\"\\\\/é😀]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[a-d\"\\\\é]{1,2}", inner), 0..5)
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

    /// Every letter that may be escaped is, in one of the ways there are.
    fn escaped(text: &str) -> String {
        text.chars()
            .map(|letter| match letter {
                'é' => "\\u00E9".to_owned(),
                '😀' => "\\ud83d\\uDE00".to_owned(),
                '/' => "\\/".to_owned(),
                other => other.to_string(),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn key_order_never_matters(value in any_json()) {
            prop_assert_eq!(hash(&value.to_string(), &[]), hash(&reversed(&value).to_string(), &[]));
        }

        /// A reader that others wrote, and its writer, say the same of any text, however it is spaced and escaped.
        #[test]
        fn it_reads_and_writes_as_serde_json_does(value in any_json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let mut sorted = value.clone();
            sorted.sort_all_objects();
            for text in [value.to_string(), pretty.clone(), escaped(&pretty)] {
                let mut tape = Tape::default();
                let node = tape.read(&text).unwrap();
                prop_assert_eq!(canonical(node), sorted.to_string());
                prop_assert_eq!(node.raw(), text.as_str());
            }
        }

        #[test]
        fn it_refuses_what_serde_json_refuses(value in any_json(), cut in any::<prop::sample::Index>(), noise in "[ \\[\\]{}:,\"0-9eE.tfn\\\\u-]{0,2}") {
            let text = value.to_string();
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
            let place = places[cut.index(places.len())];
            for broken in [text[..place].to_owned(), format!("{}{noise}{}", &text[..place], &text[place..])] {
                let ours = Tape::default().read(&broken).is_ok();
                let theirs = serde_json::from_str::<Value>(&broken);
                // Halves of surrogate pairs are the one difference.
                let is_half = theirs.as_ref().is_err_and(|error| error.to_string().contains("surrogate"));
                prop_assert!(ours == theirs.is_ok() || is_half, "{broken}");
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".{0,60}") {
            let _ = Tape::default().read(&text);
        }

        #[test]
        fn an_added_field_changes_the_hash(value in any_json()) {
            let more = json!({"inner": value.clone(), "more": 1});
            prop_assert_ne!(hash(&json!({"inner": value}).to_string(), &[]), hash(&more.to_string(), &[]));
        }
    }
}
