//! What a run changed in a table: a pure function of the rows that were there and the rows that were read.
//!
//! Invariants:
//! - A row is closed only if `closes` holds for the scope it was listed under: read completely, in a full read.
//! - A key stands once: of duplicates within a run the last wins, the others are handed back.
//! - A record is updated if its content hash or its scope differs; everything else leaves the old row as it is.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::error::ArrowError;

use super::rows::{HASH, KEY, SCOPE};

/// A row of a list of batches: the batch's place in the list, the row's in the batch.
pub(super) type Place = (usize, usize);

/// What a diff needs to know of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) key: &'a str,
    pub(super) scope: &'a str,
    pub(super) hash: &'a str,
    pub(super) place: Place,
}

/// What became of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate<'a> {
    /// Not there before, or there again after it was closed.
    Inserted(Row<'a>),
    /// Other content, or another scope.
    Updated(Row<'a>),
    /// Gone from a scope that was read completely.
    Deleted(Row<'a>),
    /// Read again with the same content.
    Same {
        /// The row that stands.
        old: Row<'a>,
        /// The row as read now: the same content, perhaps under other typed columns.
        new: Row<'a>,
    },
    /// Not read, and its absence proves nothing.
    Kept(Row<'a>),
}

/// The outcome of a diff.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Diff<'a> {
    /// One per key, ascending by key.
    pub(super) fates: Vec<Fate<'a>>,
    /// Rows of the run that another row with the same key replaced.
    pub(super) duplicates: Vec<Row<'a>>,
}

impl<'a> Diff<'a> {
    /// Compares the state before (keys unique) with the rows read.
    pub(super) fn new(previous: &[Row<'a>], incoming: &[Row<'a>], closes: impl Fn(&str) -> bool) -> Self {
        let mut keys: BTreeMap<&'a str, (Option<Row<'a>>, Option<Row<'a>>)> = BTreeMap::new();
        for row in previous {
            keys.entry(row.key).or_default().0 = Some(*row);
        }
        let mut duplicates = Vec::new();
        for row in incoming {
            duplicates.extend(keys.entry(row.key).or_default().1.replace(*row));
        }
        let fate = |pair| match pair {
            (None, Some(new)) => Some(Fate::Inserted(new)),
            (Some(old), Some(new)) if same(&old, &new) => Some(Fate::Same { old, new }),
            (Some(_), Some(new)) => Some(Fate::Updated(new)),
            (Some(old), None) if closes(old.scope) => Some(Fate::Deleted(old)),
            (Some(old), None) => Some(Fate::Kept(old)),
            (None, None) => None,
        };
        Self { fates: keys.into_values().filter_map(fate).collect(), duplicates }
    }

    /// Inserted, updated, deleted.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        self.fates.iter().fold((0, 0, 0), |(inserted, updated, deleted), fate| match fate {
            Fate::Inserted(_) => (inserted + 1, updated, deleted),
            Fate::Updated(_) => (inserted, updated + 1, deleted),
            Fate::Deleted(_) => (inserted, updated, deleted + 1),
            Fate::Same { .. } | Fate::Kept(_) => (inserted, updated, deleted),
        })
    }

    /// Takes the deletions back and says which scopes would have lost rows.
    pub(super) fn hold_back(&mut self) -> Vec<&'a str> {
        let mut scopes = Vec::new();
        for fate in &mut self.fates {
            if let Fate::Deleted(row) = *fate {
                scopes.push(row.scope);
                *fate = Fate::Kept(row);
            }
        }
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }
}

fn same(old: &Row<'_>, new: &Row<'_>) -> bool {
    old.hash == new.hash && old.scope == new.scope
}

/// Whether losing `deleted` of `rows` rows is too much to believe without a person: more than 20 % and at least 10.
pub(super) fn is_mass_deletion(deleted: u64, rows: u64) -> bool {
    deleted >= 10 && u128::from(deleted) * 5 > u128::from(rows)
}

/// The rows of batches in the layout of `rows`.
pub(super) fn rows(batches: &[RecordBatch]) -> Result<Vec<Row<'_>>, ArrowError> {
    let mut found = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (batch_place, batch) in batches.iter().enumerate() {
        let (keys, scopes, hashes) = (text(batch, KEY)?, text(batch, SCOPE)?, text(batch, HASH)?);
        for row in 0..batch.num_rows() {
            let (key, scope, hash) = (keys.value(row), scopes.value(row), hashes.value(row));
            found.push(Row { key, scope, hash, place: (batch_place, row) });
        }
    }
    Ok(found)
}

/// A text column without nulls.
pub(super) fn text<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("column {name} is missing, is not text, or has nulls"));
    let column = batch.column_by_name(name).ok_or_else(missing)?;
    column.as_string_opt::<i32>().filter(|column| column.null_count() == 0).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(key: &'a str, scope: &'a str, hash: &'a str, place: usize) -> Row<'a> {
        Row { key, scope, hash, place: (0, place) }
    }

    #[test]
    fn closes_only_where_the_scope_was_read_completely() {
        let previous = [row("a", "1", "x", 0), row("b", "2", "x", 1), row("c", "1", "x", 2)];
        let incoming = [row("c", "1", "y", 0), row("d", "1", "x", 1)];
        let diff = Diff::new(&previous, &incoming, |scope| scope == "1");
        let expected = [
            Fate::Deleted(previous[0]),
            Fate::Kept(previous[1]),
            Fate::Updated(incoming[0]),
            Fate::Inserted(incoming[1]),
        ];
        assert_eq!(diff.fates, expected);
        assert_eq!(diff.counts(), (1, 1, 1));
    }

    #[test]
    fn the_last_duplicate_wins_and_the_first_is_handed_back() {
        let incoming = [row("a", "", "1", 0), row("a", "", "2", 1)];
        let diff = Diff::new(&[], &incoming, |_| true);
        assert_eq!(diff.fates, [Fate::Inserted(incoming[1])]);
        assert_eq!(diff.duplicates, [incoming[0]]);
    }

    #[test]
    fn a_record_that_moved_to_another_scope_is_updated_not_closed() {
        let (previous, incoming) = ([row("a", "1", "x", 0)], [row("a", "2", "x", 0)]);
        assert_eq!(Diff::new(&previous, &incoming, |_| true).fates, [Fate::Updated(incoming[0])]);
    }

    #[test]
    fn holding_back_keeps_the_rows_and_names_their_scopes() {
        let previous = [row("a", "2", "x", 0), row("b", "1", "x", 1), row("c", "2", "x", 2)];
        let mut diff = Diff::new(&previous, &[], |_| true);
        assert_eq!(diff.hold_back(), ["1", "2"]);
        assert_eq!(diff.counts(), (0, 0, 0));
        assert_eq!(diff.fates.len(), 3);
    }

    #[test]
    fn mass_deletion_needs_ten_rows_and_more_than_a_fifth() {
        assert!(!is_mass_deletion(9, 9));
        assert!(is_mass_deletion(10, 10));
        assert!(!is_mass_deletion(10, 50));
        assert!(is_mass_deletion(10, 49));
        assert!(is_mass_deletion(11, 50));
    }
}
