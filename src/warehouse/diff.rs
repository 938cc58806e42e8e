//! What a run changed in a table: two sorted streams side by side, the rows that were there and the rows that were read.
//!
//! Invariants:
//! - A row is closed only if `closes` holds for the scope it was listed under (read completely, in a full read), or for its
//!   key: what it lies inside of was read again.
//! - A record is updated if its content hash or its scope differs; everything else leaves the old row as it is.
//! - A record whose hash differs only because the key for its sensitive fields is another one did not change.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::Array;
use arrow::error::ArrowError;

use super::error::Error;
use super::merge::{Batches, Input, Keyed};
use super::rows::{ColumnType, HASH, SCOPE};
use super::state::text;

/// Consecutive rows of a batch.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) batch: Arc<Keyed>,
    pub(super) rows: Range<usize>,
}

impl Span {
    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }
}

/// What became of consecutive keys.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// Not there before, or there again after they were closed.
    Inserted(Span),
    /// Other content, or another scope.
    Updated { old: Span, new: Span },
    /// Gone from scopes that were read completely.
    Deleted(Span),
    /// Not read, and their absence proves nothing.
    Kept(Span),
    /// Read again with the same content, perhaps under other typed columns.
    Same { old: Span, new: Span },
    /// The same content under another key for sensitive fields.
    Rekeyed { old: Span, new: Span },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Updated,
    Deleted,
    Kept,
    Same,
    Rekeyed,
}

/// The fates of all keys, ascending by key. Both streams are ascending and have each key once.
pub(super) struct Diff<'a> {
    old: Input,
    new: Input,
    closes: &'a dyn Fn(&str, &str) -> bool,
    ready: VecDeque<Fate>,
}

impl<'a> Diff<'a> {
    pub(super) fn new(old: Batches, new: Batches, closes: &'a dyn Fn(&str, &str) -> bool) -> Result<Self, Error> {
        Ok(Self { old: Input::new(old)?, new: Input::new(new)?, closes, ready: VecDeque::new() })
    }

    /// The next fates; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Fate>, Error> {
        while self.ready.is_empty() {
            if !self.advance()? {
                return Ok(None);
            }
        }
        Ok(self.ready.pop_front())
    }

    fn advance(&mut self) -> Result<bool, Error> {
        let here = |input: &Input| input.at().map(|(batch, row)| (Arc::clone(batch), row));
        match (here(&self.old), here(&self.new)) {
            (None, None) => return Ok(false),
            (Some((old, row)), other) => {
                let next = other.as_ref().map(|(new, place)| new.keys.value(*place));
                let end = next.map_or(old.keys.len(), |next| old.gallop(row, |key| key < next));
                if end > row {
                    self.absent(&old, row..end).map_err(Error::arrow("compare", "rows with those of the run"))?;
                    self.old.go_to(end)?;
                } else if let Some((new, place)) = other {
                    self.both((&old, row), (&new, place))?;
                }
            }
            (None, Some((new, row))) => {
                let end = new.keys.len();
                self.ready.push_back(Fate::Inserted(Span { batch: new, rows: row..end }));
                self.new.go_to(end)?;
            }
        }
        Ok(true)
    }

    /// Neither stream is at its end, and the old one is not behind: rows of the new one alone, or of both.
    fn both(&mut self, (old, row): (&Arc<Keyed>, usize), (new, place): (&Arc<Keyed>, usize)) -> Result<(), Error> {
        let end = new.gallop(place, |key| key < old.keys.value(row));
        if end > place {
            self.ready.push_back(Fate::Inserted(Span { batch: Arc::clone(new), rows: place..end }));
            return self.new.go_to(end);
        }
        let most = (old.keys.len() - row).min(new.keys.len() - place);
        let is_pair = |offset: &usize| old.keys.value(row + offset) == new.keys.value(place + offset);
        let pairs = (0..most).take_while(is_pair).count();
        self.pairs((old, row), (new, place), pairs).map_err(Error::arrow("compare", "rows with those of the run"))?;
        self.old.go_to(row + pairs)?;
        self.new.go_to(place + pairs)
    }

    fn absent(&mut self, old: &Arc<Keyed>, rows: Range<usize>) -> Result<(), ArrowError> {
        let scopes = text(&old.batch, SCOPE)?;
        let kind =
            |row: usize| if (self.closes)(scopes.value(row), old.keys.value(row)) { Kind::Deleted } else { Kind::Kept };
        let spans = alike(rows, kind);
        self.ready.extend(spans.into_iter().map(|(kind, rows)| {
            let span = Span { batch: Arc::clone(old), rows };
            if kind == Kind::Deleted { Fate::Deleted(span) } else { Fate::Kept(span) }
        }));
        Ok(())
    }

    fn pairs(
        &mut self,
        (old, row): (&Arc<Keyed>, usize),
        (new, place): (&Arc<Keyed>, usize),
        pairs: usize,
    ) -> Result<(), ArrowError> {
        let (old_scopes, new_scopes) = (text(&old.batch, SCOPE)?, text(&new.batch, SCOPE)?);
        let (old_hashes, new_hashes) = (text(&old.batch, HASH)?, text(&new.batch, HASH)?);
        let before =
            |place: usize| new.marks.as_ref().filter(|marks| marks.is_valid(place)).map(|marks| marks.value(place));
        let kind = |offset: usize| {
            let (row, place) = (row + offset, place + offset);
            let hash = old_hashes.value(row);
            if old_scopes.value(row) != new_scopes.value(place) {
                Kind::Updated
            } else if hash == new_hashes.value(place) {
                Kind::Same
            } else if before(place) == Some(hash) {
                Kind::Rekeyed
            } else {
                Kind::Updated
            }
        };
        for (kind, offsets) in alike(0..pairs, kind) {
            let old = Span { batch: Arc::clone(old), rows: row + offsets.start..row + offsets.end };
            let new = Span { batch: Arc::clone(new), rows: place + offsets.start..place + offsets.end };
            self.ready.push_back(match kind {
                Kind::Same => Fate::Same { old, new },
                Kind::Rekeyed => Fate::Rekeyed { old, new },
                _ => Fate::Updated { old, new },
            });
        }
        Ok(())
    }
}

/// Cuts a range into the longest parts of one kind.
fn alike(rows: Range<usize>, kind: impl Fn(usize) -> Kind) -> Vec<(Kind, Range<usize>)> {
    let mut parts: Vec<(Kind, Range<usize>)> = Vec::new();
    for row in rows {
        match (kind(row), parts.last_mut()) {
            (found, Some((last, part))) if found == *last => part.end = row + 1,
            (found, _) => parts.push((found, row..row + 1)),
        }
    }
    parts
}

/// What a diff comes to, before anything is written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Rows before.
    pub(super) before: u64,
    pub(super) inserted: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
    /// Rows whose sensitive fields are hashed under another key.
    pub(super) rekeyed: u64,
    /// The scopes that lose rows.
    pub(super) losing: BTreeSet<String>,
    /// Whether rows with the same content stand under other typed values than before: the manifest reads them otherwise now.
    pub(super) is_projected_anew: bool,
}

impl Survey {
    pub(super) fn new(mut diff: Diff<'_>, columns: &[(String, ColumnType)]) -> Result<Self, Error> {
        let mut survey = Self::default();
        while let Some(fate) = diff.next()? {
            survey.count(&fate, columns).map_err(Error::arrow("compare", "rows with those of the run"))?;
        }
        Ok(survey)
    }

    fn count(&mut self, fate: &Fate, columns: &[(String, ColumnType)]) -> Result<(), ArrowError> {
        match fate {
            Fate::Inserted(new) => self.inserted += new.len(),
            Fate::Updated { old, .. } => {
                self.before += old.len();
                self.updated += old.len();
            }
            Fate::Rekeyed { old, .. } => {
                self.before += old.len();
                self.rekeyed += old.len();
            }
            Fate::Kept(old) => self.before += old.len(),
            Fate::Deleted(old) => {
                self.before += old.len();
                self.deleted += old.len();
                let scopes = text(&old.batch.batch, SCOPE)?;
                for row in old.rows.clone() {
                    if !self.losing.contains(scopes.value(row)) {
                        self.losing.insert(scopes.value(row).to_owned());
                    }
                }
            }
            Fate::Same { old, new } => {
                self.before += old.len();
                self.is_projected_anew =
                    self.is_projected_anew || columns.iter().any(|(name, _)| differs(old, new, name));
            }
        }
        Ok(())
    }

    /// Whether the table's rows are others than before.
    pub(super) fn differs(&self) -> bool {
        self.inserted + self.updated + self.deleted + self.rekeyed > 0
    }

    /// Takes the deletions back and says which scopes would have lost rows.
    pub(super) fn hold_back(&mut self) -> BTreeSet<String> {
        self.deleted = 0;
        std::mem::take(&mut self.losing)
    }
}

fn differs(old: &Span, new: &Span, column: &str) -> bool {
    let values = |span: &Span| {
        span.batch.batch.column_by_name(column).map(|column| column.slice(span.rows.start, span.rows.len()))
    };
    values(old) != values(new)
}

/// Whether losing `deleted` of `rows` rows is too much to believe without a person: more than 20 % and at least 10.
pub(super) fn is_mass_deletion(deleted: u64, rows: u64) -> bool {
    deleted >= 10 && u128::from(deleted) * 5 > u128::from(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, RecordBatch, StringArray};

    use crate::warehouse::rows::{HASH_BEFORE, KEY};

    /// Rows as (key, scope, hash, hash before).
    type Row = (&'static str, &'static str, &'static str, Option<&'static str>);

    fn stream(rows: &[Row]) -> Batches {
        let text = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let marks: ArrayRef = Arc::new(rows.iter().map(|row| row.3).collect::<StringArray>());
        let columns = [
            (KEY, text(rows.iter().map(|row| row.0).collect())),
            (SCOPE, text(rows.iter().map(|row| row.1).collect())),
            (HASH, text(rows.iter().map(|row| row.2).collect())),
            (HASH_BEFORE, marks),
        ];
        Box::new(std::iter::once(Ok(RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        )
        .unwrap())))
    }

    fn fates(old: &[Row], new: &[Row], closes: &dyn Fn(&str) -> bool) -> Vec<String> {
        let closes = |scope: &str, _: &str| closes(scope);
        let mut diff = Diff::new(stream(old), stream(new), &closes).unwrap();
        let keys = |span: &Span| span.rows.clone().map(|row| span.batch.keys.value(row).to_owned()).collect::<String>();
        let mut found = Vec::new();
        while let Some(fate) = diff.next().unwrap() {
            found.push(match fate {
                Fate::Inserted(new) => format!("+{}", keys(&new)),
                Fate::Updated { old, new } => format!("~{}{}", keys(&old), keys(&new)),
                Fate::Deleted(old) => format!("-{}", keys(&old)),
                Fate::Kept(old) => format!("={}", keys(&old)),
                Fate::Same { old, new } => format!("={}{}", keys(&old), keys(&new)),
                Fate::Rekeyed { old, new } => format!("*{}{}", keys(&old), keys(&new)),
            });
        }
        found
    }

    #[test]
    fn closes_only_where_the_scope_was_read_completely() {
        let old = [("a", "1", "x", None), ("b", "2", "x", None), ("c", "1", "x", None), ("d", "1", "x", None)];
        let new = [("c", "1", "y", None), ("d", "1", "x", None), ("e", "1", "x", None)];
        assert_eq!(fates(&old, &new, &|scope| scope == "1"), ["-a", "=b", "~cc", "=dd", "+e"]);
        assert_eq!(fates(&[], &new, &|_| true), ["+cde"]);
        assert_eq!(fates(&old, &[], &|_| false), ["=abcd"]);
    }

    #[test]
    fn a_record_that_moved_to_another_scope_is_updated_not_closed() {
        assert_eq!(fates(&[("a", "1", "x", None)], &[("a", "2", "x", None)], &|_| true), ["~aa"]);
    }

    #[test]
    fn another_key_for_sensitive_fields_is_no_change() {
        let old = [("a", "", "x", None), ("b", "", "x", None), ("c", "", "x", None)];
        let new = [("a", "", "y", Some("x")), ("b", "", "y", Some("z")), ("c", "1", "y", Some("x"))];
        // b changed in the same run; c moved to another scope.
        assert_eq!(fates(&old, &new, &|_| true), ["*aa", "~bcbc"]);
    }

    #[test]
    fn a_survey_counts_and_holding_back_names_the_scopes() {
        let old = [("a", "2", "x", None), ("b", "1", "x", None), ("c", "2", "x", None), ("d", "1", "x", None)];
        let new = [("d", "1", "y", None), ("e", "1", "x", None)];
        let diff = Diff::new(stream(&old), stream(&new), &|_, _| true).unwrap();
        let mut survey = Survey::new(diff, &[]).unwrap();
        assert_eq!((survey.before, survey.inserted, survey.updated, survey.deleted), (4, 1, 1, 3));
        assert!(survey.hold_back().into_iter().eq(["1", "2"]));
        assert_eq!((survey.deleted, survey.differs()), (0, true));
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
