//! Paths into a JSON record: patterns for `ignore` and `sensitive`, and dotted look-ups for columns.
//!
//! In a pattern `*` stands for any one step, `**` for any number of steps, none included. Elements of lists are stepped
//! through without a step of their own. Look-ups name exact fields; a wrapper such as `{"value": x}` is opened at the end
//! and in between.

use crate::tape::{Kind, Node};

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<String>);

/// What is left of a pattern.
pub(crate) type Steps<'p> = &'p [String];

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

    pub(crate) fn steps(&self) -> Steps<'_> {
        &self.0
    }
}

/// Hands `found` what is left of `steps` after a field called `name`, once per way to read the pattern.
pub(crate) fn advance<'p>(steps: Steps<'p>, name: &str, found: &mut dyn FnMut(Steps<'p>)) {
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

/// Steps along `path`; none for a missing field or a null. A wrapper object (one field named `unwrap`) is opened on the way.
///
/// # Errors
/// The path leads through a value that has no fields.
pub fn look_up<'t>(record: Node<'t>, path: &str, unwrap: Option<&str>) -> Result<Option<Node<'t>>, NotAnObject> {
    let mut at = record;
    for step in path.split('.') {
        let mut found = at.get(step);
        if let (None, Some(inner)) = (found, unwrap)
            && let Some(value) = at.get(inner)
        {
            at = value;
            found = at.get(step);
        }
        at = match (at.kind(), found) {
            (Kind::Object, Some(value)) => value,
            (Kind::Object | Kind::Null, _) => return Ok(None),
            _ => return Err(NotAnObject),
        };
    }
    Ok(open(at, unwrap).filter(|value| !value.is_null()))
}

/// What a wrapper may hold beside its value: without the value they say nothing.
const WRAPPER_NOTES: [&str; 2] = ["error", "type"];

/// Opens a wrapper: `{"value": x}` → x; `{}`, `{"error": …}` and an empty custom field's `{"type": …}` → none.
pub(crate) fn open<'t>(value: Node<'t>, unwrap: Option<&str>) -> Option<Node<'t>> {
    let Some(inner) = unwrap.filter(|_| value.kind() == Kind::Object) else { return Some(value) };
    let is_note = |name: Node<'_>| WRAPPER_NOTES.iter().any(|note| name.is(note));
    match value.get(inner) {
        Some(value) => Some(value),
        None if value.fields().all(|(name, _)| is_note(name)) => None,
        None => Some(value),
    }
}

/// A path leads through a value that has no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnObject;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;

    #[test]
    fn look_ups_open_wrappers_at_the_end_and_in_between() {
        let record = r#"{"A": {"value": "x"}, "B": {}, "C": {"D": {"value": 5}}, "E": {"value": {"F": {"value": 6}}},
            "custom": {"V": {"F": {"type": "CustomDecimalField"}}}, "N": {"value": null}}"#;
        let mut tape = Tape::default();
        let record = tape.read(record).unwrap();
        let get = |path| look_up(record, path, Some("value")).map(|found| found.map(|node| node.raw().to_owned()));
        assert_eq!(get("A"), Ok(Some("\"x\"".to_owned())));
        assert_eq!(get("B"), Ok(None));
        assert_eq!(get("N"), Ok(None));
        assert_eq!(get("C.D"), Ok(Some("5".to_owned())));
        assert_eq!(get("custom.V.F"), Ok(None), "an empty custom field still tells its type");
        assert_eq!(get("E.F"), Ok(Some("6".to_owned())));
        assert_eq!(get("Z.Y"), Ok(None));
        assert_eq!(get("A.B"), Err(NotAnObject));
    }
}
