//! A record as a row: what may be kept of it, its content hash and the typed values of its columns.

use crate::cell::{Cell, Form, cell};
use crate::hash::content_hash;
use crate::path::{Pattern, look_up};
use crate::redact::{Rules, redact};
use crate::tape::{Malformed, Node, Slice, Tape};

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

/// Tapes and texts that are used again from record to record.
#[derive(Debug, Default)]
pub struct Space {
    tape: Tape,
    text: String,
}

impl Plan {
    /// What may be kept of a record, as a text of its own; a record of which all may be kept is not copied.
    ///
    /// # Errors
    /// No JSON.
    pub fn redact(&self, record: &Slice, key: Option<&[u8]>, space: &mut Space) -> Result<Slice, Malformed> {
        let kept = redact(space.tape.read(record.as_str())?, &self.rules, key);
        Ok(kept.map_or_else(|| record.clone(), Slice::from))
    }

    /// The content hash of a redacted record.
    ///
    /// # Errors
    /// No JSON.
    pub fn hash(&self, record: &Slice, space: &mut Space) -> Result<String, Malformed> {
        Ok(content_hash(space.tape.read(record.as_str())?, &self.ignore, &mut space.text))
    }

    /// Typed values and content hash of a redacted record; `seen` looks at it as well. A value that has no form in its
    /// column's type is null and told.
    ///
    /// # Errors
    /// No JSON.
    pub fn read(
        &self,
        record: &Slice,
        space: &mut Space,
        seen: impl FnOnce(Node<'_>),
    ) -> Result<(Vec<Cell>, String, Vec<BadValue>), Malformed> {
        let node = space.tape.read(record.as_str())?;
        seen(node);
        let (cells, bad) = self.cells(node);
        Ok((cells, content_hash(node, &self.ignore, &mut space.text), bad))
    }

    fn cells(&self, record: Node<'_>) -> (Vec<Cell>, Vec<BadValue>) {
        let mut bad = Vec::new();
        let columns = self.columns.iter().enumerate();
        let cells = columns.map(|(place, column)| {
            let Some((path, form)) = column else { return Cell::Null };
            let found = look_up(record, path, self.unwrap.as_deref());
            let read = match found {
                Ok(value) => cell(value, *form),
                Err(_) => Err(format!("`{path}` leads through a plain value")),
            };
            read.unwrap_or_else(|reason| {
                let value = found.ok().flatten().map_or_else(|| first(record, path), |value| value.raw().to_owned());
                bad.push(BadValue { column: place, value, reason });
                Cell::Null
            })
        });
        (cells.collect(), bad)
    }
}

/// What stands at the first step of a path.
fn first(record: Node<'_>, path: &str) -> String {
    let name = path.split('.').next().unwrap_or_default();
    record.get(name).map(|value| value.raw().to_owned()).unwrap_or_default()
}
