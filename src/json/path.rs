//! Paths into a JSON record: patterns for `ignore` and `sensitive`, and dotted look-ups for columns.
//!
//! In a pattern `*` stands for any one step, `**` for any number of steps, none included. Elements of lists are stepped
//! through without a step of their own. Look-ups name exact fields; a wrapper such as `{"value": x}` is opened at the end
//! and in between.

use serde_json::Value;

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<String>);

impl Pattern {
    /// Splits `a.*.b` into its steps.
    pub fn parse(text: &str) -> Self {
        Self(text.split('.').map(str::to_owned).collect())
    }

    /// The pattern seen from one level above: `prefix.pattern`.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Self {
        Self(prefix.split('.').map(str::to_owned).chain(self.0.iter().cloned()).collect())
    }
}

/// What becomes of a value that a pattern matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays, perhaps changed.
    Keep,
    /// It is taken out of its object.
    Remove,
}

/// Calls `change` on every value that one of `patterns` matches, with that pattern's tag.
pub fn change<T: Copy>(value: &mut Value, patterns: &[(Pattern, T)], apply: &mut dyn FnMut(&mut Value, T) -> Fate) {
    let active: Vec<(&[String], T)> = patterns.iter().map(|(pattern, tag)| (pattern.0.as_slice(), *tag)).collect();
    walk(value, &active, apply);
}

fn walk<T: Copy>(value: &mut Value, active: &[(&[String], T)], apply: &mut dyn FnMut(&mut Value, T) -> Fate) {
    if active.is_empty() {
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, active, apply)),
        Value::Object(fields) => fields.retain(|name, field| {
            let mut next = Vec::new();
            let mut matched = None;
            for (steps, tag) in active {
                advance(steps, name, &mut |rest| match rest {
                    [] => matched = matched.or(Some(*tag)),
                    rest => next.push((rest, *tag)),
                });
            }
            if let Some(tag) = matched {
                return apply(field, tag) == Fate::Keep;
            }
            walk(field, &next, apply);
            true
        }),
        _ => {}
    }
}

/// Hands `found` what is left of `steps` after a field called `name`, once per way to read the pattern.
fn advance<'a>(steps: &'a [String], name: &str, found: &mut dyn FnMut(&'a [String])) {
    match steps {
        [first, rest @ ..] if first == "**" => {
            if rest.is_empty() {
                found(rest);
            } else {
                found(steps);
                advance(rest, name, found);
            }
        }
        [first, rest @ ..] if first == "*" || first == name => found(rest),
        _ => {}
    }
}

/// Steps along `path`; a missing field is null. A wrapper object (one field named `unwrap`) is opened on the way.
pub fn look_up<'a>(record: &'a Value, path: &str, unwrap: Option<&str>) -> Result<&'a Value, NotAnObject> {
    let mut at = record;
    for step in path.split('.') {
        if let (Value::Object(fields), Some(inner)) = (at, unwrap)
            && !fields.contains_key(step)
            && let Some(value) = fields.get(inner)
        {
            at = value;
        }
        at = match at {
            Value::Object(fields) => fields.get(step).unwrap_or(&Value::Null),
            Value::Null => return Ok(&Value::Null),
            _ => return Err(NotAnObject),
        };
    }
    Ok(open(at, unwrap))
}

/// What a wrapper may hold beside its value: without the value they say nothing.
const WRAPPER_NOTES: [&str; 2] = ["error", "type"];

/// Opens a wrapper: `{"value": x}` → x; `{}`, `{"error": …}` and an empty custom field's `{"type": …}` → null.
pub fn open<'a>(value: &'a Value, unwrap: Option<&str>) -> &'a Value {
    match (value, unwrap) {
        (Value::Object(fields), Some(inner)) => match fields.get(inner) {
            Some(value) => value,
            None if fields.keys().all(|name| WRAPPER_NOTES.contains(&name.as_str())) => &Value::Null,
            None => value,
        },
        _ => value,
    }
}

/// A path leads through a value that has no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnObject;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn without(mut value: Value, patterns: &[&str]) -> Value {
        let patterns: Vec<(Pattern, ())> = patterns.iter().map(|text| (Pattern::parse(text), ())).collect();
        change(&mut value, &patterns, &mut |_, ()| Fate::Remove);
        value
    }

    #[test]
    fn a_plain_path_removes_one_field() {
        assert_eq!(without(json!({"a": {"b": 1, "c": 2}, "b": 3}), &["a.b"]), json!({"a": {"c": 2}, "b": 3}));
    }

    #[test]
    fn two_stars_reach_any_depth_and_step_through_lists() {
        let record = json!({"id": 1, "lines": [{"id": 2, "x": {"id": 3, "y": 4}}]});
        assert_eq!(without(record, &["**.id"]), json!({"lines": [{"x": {"y": 4}}]}));
    }

    #[test]
    fn one_star_is_exactly_one_step() {
        assert_eq!(
            without(json!({"id": 1, "a": {"id": 2, "b": {"id": 3}}}), &["*.id"]),
            json!({"id": 1, "a": {"b": {"id": 3}}})
        );
    }

    #[test]
    fn look_ups_open_wrappers_at_the_end_and_in_between() {
        let record = json!({"A": {"value": "x"}, "B": {}, "C": {"D": {"value": 5}}, "E": {"value": {"F": {"value": 6}}}, "custom": {"V": {"F": {"type": "CustomDecimalField"}}}});
        let get = |path| look_up(&record, path, Some("value")).cloned();
        assert_eq!(get("A"), Ok(json!("x")));
        assert_eq!(get("B"), Ok(Value::Null));
        assert_eq!(get("C.D"), Ok(json!(5)));
        assert_eq!(get("custom.V.F"), Ok(Value::Null), "an empty custom field still tells its type");
        assert_eq!(get("E.F"), Ok(json!(6)));
        assert_eq!(get("Z.Y"), Ok(Value::Null));
        assert_eq!(get("A.B"), Err(NotAnObject));
    }
}
