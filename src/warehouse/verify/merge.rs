//! A state with the changes since: all of them ascending by key, walked through side by side.
//!
//! Invariants: of the rows of a key the newest change wins; a row that was deleted is none. One page of each is in memory.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::datatypes::i256;

use super::cursor::{Cursor, Flaw, Page};
use super::report::Fault;

/// A row: its page and its place there.
pub(super) type Row = (Arc<Page>, usize);

/// What one commit's changes come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) inserted: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
    /// Rows that did not change and were written anew, under another key for hashed fields.
    pub(super) anew: u64,
    /// By how much each sum over the table moved.
    pub(super) moved: Vec<i256>,
}

/// The rows after the last of the changes.
pub(super) struct Merge {
    base: Option<Cursor>,
    changes: Vec<(Cursor, Tally)>,
    /// The changes with the lowest key; none at their end.
    lowest: Option<usize>,
}

impl Merge {
    /// `changes` oldest first.
    pub(super) fn new(base: Option<Cursor>, changes: Vec<Cursor>, amounts: usize) -> Self {
        let tally = || Tally { moved: vec![i256::ZERO; amounts], ..Tally::default() };
        let mut merge =
            Self { base, changes: changes.into_iter().map(|cursor| (cursor, tally())).collect(), lowest: None };
        merge.find_lowest();
        merge
    }

    /// What was counted, when all rows were taken.
    pub(super) fn into_parts(self) -> (Option<Cursor>, Vec<(Cursor, Tally)>) {
        (self.base, self.changes)
    }

    /// The next row; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Flaw> {
        loop {
            let base = self.base.as_ref().and_then(Cursor::key);
            let change = self.lowest.and_then(|place| self.changes.get(place)).and_then(|(cursor, _)| cursor.key());
            let order = match (base, change) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(base), Some(change)) => base.cmp(change),
            };
            let key = change.filter(|_| order != Ordering::Less).map(str::to_owned);
            let before = if order == Ordering::Greater { None } else { take(self.base.as_mut())? };
            let Some(key) = key else { return Ok(before) };
            if let Some(row) = self.apply(&key, before)? {
                return Ok(Some(row));
            }
        }
    }

    /// What the changes make of a row.
    fn apply(&mut self, key: &str, before: Option<Row>) -> Result<Option<Row>, Flaw> {
        let mut now = before;
        for (cursor, tally) in &mut self.changes {
            if cursor.key() != Some(key) {
                continue;
            }
            let file = cursor.file();
            let Some(row) = take(Some(cursor))? else { continue };
            let (page, place) = &row;
            let op = page.op(*place).unwrap_or_default();
            let count = match (op, now.is_some()) {
                ("I", false) => &mut tally.inserted,
                ("U", true) => &mut tally.updated,
                ("D", true) => &mut tally.deleted,
                ("P", true) => &mut tally.anew,
                (_, is_there) => {
                    let there = if is_there { "is there" } else { "is not there" };
                    let detail = format!("operation `{op}` on row `{key}`, which {there} before it");
                    return Err(Flaw { commit: cursor.commit(), file, fault: Fault::Fold, detail });
                }
            };
            *count += 1;
            for (column, moved) in tally.moved.iter_mut().enumerate() {
                let old = now.as_ref().map_or(i256::ZERO, |(page, place)| page.amount(column, *place));
                let new = if op == "D" { i256::ZERO } else { page.amount(column, *place) };
                *moved = moved.wrapping_add(new).wrapping_sub(old);
            }
            now = (op != "D").then_some(row);
        }
        self.find_lowest();
        Ok(now)
    }

    fn find_lowest(&mut self) {
        let keys = self.changes.iter().enumerate().filter_map(|(place, (cursor, _))| Some((cursor.key()?, place)));
        self.lowest = keys.min().map(|(_, place)| place);
    }
}

/// The row that a cursor stands on, and one on.
fn take(cursor: Option<&mut Cursor>) -> Result<Option<Row>, Flaw> {
    let Some(cursor) = cursor else { return Ok(None) };
    let Some(page) = cursor.page.clone() else { return Ok(None) };
    let row = (page, cursor.row);
    cursor.advance()?;
    Ok(Some(row))
}
