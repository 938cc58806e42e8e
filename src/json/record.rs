//! A record as a row: what may be kept of it, its content hash and the typed values of its columns.

use crate::cell::{Cell, Form, cell};
use crate::hash::{HashSpace, content_hash};
use crate::path::{NotAnObject, Pattern, look_up, open};
use crate::redact::{Rules, redact};
use crate::slice::Slice;
use crate::tape::{Kind, Malformed, Node, Tape};

/// How the records of a table become rows.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Path and form of each column that a record tells; none for those that it does not.
    pub columns: Vec<Option<(String, Form)>>,
    /// The field that wraps every value.
    pub unwrap: Option<String>,
    /// Paths that do not count as content.
    pub ignore: Vec<Pattern>,
    /// What may be kept.
    pub rules: Rules,
}

/// A value that has no form in its column's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// The column's place.
    pub column: usize,
    /// The value as it was written, after redaction.
    pub value: String,
    /// Why it is none.
    pub reason: String,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// A value for each column of the plan.
    pub cells: Vec<Cell>,
    /// The content hash.
    pub hash: String,
    /// Values that have no form in their column's type: null among the cells.
    pub bad: Vec<BadValue>,
    /// Columns of text that hold a list or an object: its JSON is their text.
    pub structures: Vec<usize>,
}

/// Tapes and texts that are used again from record to record of one plan.
#[derive(Debug, Default)]
pub struct Space {
    tape: Tape,
    hash: HashSpace,
    /// The columns that the fields of the record before filled, by the fields' places.
    places: Vec<(String, Vec<usize>)>,
}

impl Plan {
    /// What may be kept of a record, as a text of its own; a record of which all may be kept is not copied. `seen` looks at it
    /// as it came.
    ///
    /// # Errors
    /// No JSON.
    pub fn redact(
        &self,
        record: &Slice,
        key: Option<&[u8]>,
        space: &mut Space,
        seen: impl FnOnce(Node<'_>),
    ) -> Result<Slice, Malformed> {
        let node = space.tape.read(record.as_str())?;
        seen(node);
        let kept = redact(node, &self.rules, key);
        Ok(kept.map_or_else(|| record.clone(), Slice::from))
    }

    /// The content hash of a redacted record.
    ///
    /// # Errors
    /// No JSON.
    pub fn hash(&self, record: &Slice, space: &mut Space) -> Result<String, Malformed> {
        Ok(content_hash(space.tape.read(record.as_str())?, &self.ignore, &mut space.hash))
    }

    /// What a redacted record says; `seen` looks at it as well.
    ///
    /// # Errors
    /// No JSON.
    pub fn read(&self, record: &Slice, space: &mut Space, seen: impl FnOnce(Node<'_>)) -> Result<Read, Malformed> {
        let Space { tape, hash: room, places } = space;
        let node = tape.read(record.as_str())?;
        seen(node);
        let found = self.firsts(node, places);
        let (mut bad, mut structures) = (Vec::new(), Vec::new());
        let columns = self.columns.iter().enumerate();
        let cells = columns.map(|(place, column)| {
            let Some((path, form)) = column else { return Cell::Null };
            let found = match found.get(place).copied().flatten() {
                Some((first, length)) if path.len() > length => {
                    let rest = path.get(length + 1..).unwrap_or_default();
                    below(node.other(first), rest, self.unwrap.as_deref())
                }
                Some((first, _)) => Ok(open(node.other(first), self.unwrap.as_deref())),
                None if self.unwrap.is_none() => Ok(None),
                None => look_up(node, path, self.unwrap.as_deref()),
            };
            let found = found.map(|value| value.filter(|value| !value.is_null()));
            let read = match found {
                Ok(value) => {
                    let is_structure = |value: Node<'_>| matches!(value.kind(), Kind::List | Kind::Object);
                    if *form == Form::Text && value.is_some_and(is_structure) {
                        structures.push(place);
                    }
                    cell(value, *form)
                }
                Err(NotAnObject) => Err(format!("`{path}` leads through a plain value")),
            };
            read.unwrap_or_else(|reason| {
                let value = found.ok().flatten().map_or_else(|| first(node, path), |value| value.raw().to_owned());
                bad.push(BadValue { column: place, value, reason });
                Cell::Null
            })
        });
        let cells = cells.collect();
        let hash = content_hash(node, &self.ignore, room);
        Ok(Read { cells, hash, bad, structures })
    }

    /// For each column the field at the first step of its path: its place on the tape, and the length of its name. Records of
    /// a list mostly have the same fields in the same order: `places` remembers which column stood where.
    fn firsts(&self, record: Node<'_>, places: &mut Vec<(String, Vec<usize>)>) -> Vec<Option<(usize, usize)>> {
        let mut found = vec![None; self.columns.len()];
        let step = |column: usize| {
            let (path, _) = self.columns.get(column)?.as_ref()?;
            path.split('.').next()
        };
        for (at, (name, value)) in record.fields().enumerate() {
            if places.len() <= at {
                places.push((String::new(), Vec::new()));
            }
            let Some((known, filled)) = places.get_mut(at) else { continue };
            if !name.is(known) {
                name.letters().as_ref().clone_into(known);
                *filled = (0..self.columns.len()).filter(|column| step(*column) == Some(known.as_str())).collect();
            }
            for column in filled {
                if let Some(found) = found.get_mut(*column) {
                    *found = Some((value.place(), known.len()));
                }
            }
        }
        found
    }
}

/// Steps on along the rest of a path.
fn below<'t>(first: Node<'t>, rest: &str, unwrap: Option<&str>) -> Result<Option<Node<'t>>, NotAnObject> {
    if first.is_null() { Ok(None) } else { look_up(first, rest, unwrap) }
}

/// What stands at the first step of a path.
fn first(record: Node<'_>, path: &str) -> String {
    let name = path.split('.').next().unwrap_or_default();
    record.get(name).map(|value| value.raw().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATHS: [&str; 6] = ["a", "b", "a.b", "c.d", "d", "a.value"];

    proptest! {
        /// Whatever the records before looked like, each column holds what its path leads to.
        #[test]
        fn columns_hold_what_their_paths_lead_to(
            records in prop::collection::vec(crate::hash::tests::any_json(), 1..6),
            wraps in any::<bool>(),
        ) {
            let unwrap = wraps.then(|| "value".to_owned());
            let columns = PATHS.iter().map(|path| Some(((*path).to_owned(), Form::Json))).collect();
            let plan = Plan { columns, unwrap: unwrap.clone(), ..Plan::default() };
            let mut space = Space::default();
            for record in records.iter().filter(|record| record.is_object()) {
                let text = record.to_string();
                let read = plan.read(&Slice::from(text.clone()), &mut space, |_| {}).unwrap();
                let mut tape = Tape::default();
                let node = tape.read(&text).unwrap();
                for (place, path) in PATHS.iter().enumerate() {
                    let expected = look_up(node, path, unwrap.as_deref());
                    let is_bad = read.bad.iter().any(|bad| bad.column == place);
                    prop_assert_eq!(is_bad, expected.is_err(), "{} in {}", path, text);
                    let expected = expected.ok().flatten().map_or(Cell::Null, |value| Cell::Text(value.raw().to_owned()));
                    prop_assert_eq!(&read.cells[place], &expected, "{} in {}", path, text);
                }
            }
        }
    }
}
