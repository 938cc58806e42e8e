//! What an incremental run reads again: a whole list, what changed in it, or nothing for now.
//!
//! Balances and children move without moving the time of change of the record that they belong to. So what is open is looked
//! at in every run; lists below a closed record, which nobody is expected to change, rest as long as the record itself does
//! not change, and are swept after [`SWEEP_CLOSED_DAYS`]; lists that are read by their changes are swept after
//! [`SWEEP_CHANGED_DAYS`], because deletions are no changes. A list that is no longer than two pages is read whole: asking
//! what changed would save no request, and would not show what is gone. What settles below closed records (`settles`) rests in
//! full runs too.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use tieout_json::Cell;

use super::decode::cell_of;
use super::manifest::{ColumnFrom, Manifest, Paging, Refresh, Table};
use super::scope::{ParentRow, scope_below};
use super::{PreviousRead, PreviousTables};
use crate::warehouse::rows::{ColumnType, ReadMode};

/// Days after which lists below closed records are read, unless the manifest says otherwise.
pub(crate) const SWEEP_CLOSED_DAYS: u32 = 30;

/// Days after which a list is read whole that is read by its changes otherwise.
const SWEEP_CHANGED_DAYS: u32 = 7;

/// Pages up to which reading a whole list costs no more than asking what changed.
const PAGES_WHOLE: u64 = 2;

/// How a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading<'a> {
    /// All of it.
    Whole,
    /// What changed since this cursor.
    Since(&'a str),
    /// Not in this run.
    Rests,
}

/// What decides it, beside the list itself.
#[derive(Debug)]
pub(crate) struct Policy<'a> {
    manifest: &'a Manifest,
    previous: &'a PreviousTables,
    mode: ReadMode,
    now: DateTime<Utc>,
    /// Scopes below which a list is due: then all are read, for one list is evidence for another.
    due: BTreeSet<&'a str>,
}

impl<'a> Policy<'a> {
    pub(crate) fn new(
        manifest: &'a Manifest,
        previous: &'a PreviousTables,
        mode: ReadMode,
        now: DateTime<Utc>,
    ) -> Self {
        let mut due = BTreeSet::new();
        let may_rest = |table: &&Table| mode == ReadMode::Incremental || table.settles;
        for table in manifest.tables.iter().filter(|table| may_rest(table) && !table.parent.is_empty()) {
            let Some(known) = previous.tables.get(&table.name) else { continue };
            // What hung on a record that is gone is never read again, and not due either.
            let parents = table.parent.iter().flat_map(|parent| previous.keys(parent));
            let listed: BTreeSet<String> = parents.map(|(scope, key)| scope_below(scope, key).to_string()).collect();
            let after = days(table, SWEEP_CLOSED_DAYS);
            let overdue =
                known.reads.iter().filter(|(scope, read)| listed.contains(*scope) && is_due(read, after, now));
            due.extend(overdue.flat_map(|(scope, _)| with_above(scope)));
        }
        Self { manifest, previous, mode, now, due }
    }

    /// How the list of a table under a parent is read.
    pub(crate) fn reading(&self, table: &Table, scope: &str, parent: Option<&ParentRow>) -> Reading<'a> {
        self.decided(table, scope, |below| self.is_unchanged_and_closed(parent, below))
    }

    /// The same from what is known of earlier runs alone.
    pub(crate) fn expected(&self, table: &Table, scope: &str) -> Reading<'a> {
        self.decided(table, scope, |below| self.previous.tables.values().any(|known| known.closed.contains_key(below)))
    }

    fn decided(&self, table: &Table, scope: &str, is_closed: impl Fn(&str) -> bool) -> Reading<'a> {
        let is_full = self.mode != ReadMode::Incremental;
        if (!is_full || table.settles) && self.rests(table, scope, is_closed) {
            return Reading::Rests;
        }
        if is_full { Reading::Whole } else { self.since(table, scope).map_or(Reading::Whole, Reading::Since) }
    }

    fn rests(&self, table: &Table, scope: &str, is_closed: impl Fn(&str) -> bool) -> bool {
        // A full run asks again for what was not given; an incremental one when it is due.
        let is_enough = |read: &PreviousRead| self.mode == ReadMode::Incremental || read.is_complete;
        let known = self.previous.tables.get(&table.name).and_then(|known| known.reads.get(scope));
        let closed = with_above(scope).find(|below| is_closed(below));
        closed.is_some_and(|below| !self.due.contains(below)) && known.is_some_and(is_enough)
    }

    /// Whether the record just above a scope is closed, and is what it was when the lists below it were read.
    fn is_unchanged_and_closed(&self, parent: Option<&ParentRow>, below: &str) -> bool {
        let mut above = parent;
        while let Some(row) = above {
            if *scope_below(&row.scope, &row.key) == *below {
                let declared = self.manifest.table(&row.table);
                let is_closed = declared.is_some_and(|table| is_closed(table, &row.cells));
                let before = self.previous.tables.get(&row.table).and_then(|known| known.closed.get(below));
                return is_closed && before == Some(&row.hash);
            }
            above = row.above.as_deref();
        }
        false
    }

    /// The cursor to read a list from. Lists of parents are read whole, because their children hang on every one of them.
    fn since(&self, table: &Table, scope: &str) -> Option<&'a str> {
        if table.after.is_some() {
            let known = self.previous.tables.get(&table.name)?;
            let read = known.reads.get(scope)?;
            let is_current = read.is_complete && !is_due(read, days(table, SWEEP_CHANGED_DAYS), self.now);
            return known.cursor.as_deref().filter(|_| is_current);
        }
        let cursor = table.cursor.as_ref()?;
        let cannot_ask_for_open = table.refresh == Refresh::Open && !cursor.format.knows_or();
        if cannot_ask_for_open || self.holds_parents(table) || self.can_rest(table) {
            return None;
        }
        let known = self.previous.tables.get(&table.name)?;
        // A scope without records from before may hold some older than the cursor.
        if !self.previous.had_rows(&table.name, scope) {
            return None;
        }
        let pages = known.rows.get(scope).map_or(u64::MAX, |rows| pages(table, *rows));
        let read = known.reads.get(scope);
        let is_current =
            read.is_none_or(|read| read.is_complete && !is_due(read, days(table, SWEEP_CHANGED_DAYS), self.now));
        if is_current && pages > PAGES_WHOLE { known.cursor.as_deref() } else { None }
    }

    /// Whether the table, or one inside its records, has lists below it.
    fn holds_parents(&self, table: &Table) -> bool {
        let inner = |other: &&Table| other.embedded.as_ref().is_some_and(|embedded| embedded.table == table.name);
        let mut held = self.manifest.tables.iter().filter(inner).chain([table]).map(|table| table.name.as_str());
        held.any(|name| self.manifest.tables.iter().any(|other| other.parent.iter().any(|parent| parent == name)))
    }

    /// Whether lists of the table may be passed over in a run: a cursor of the whole table then says too little.
    fn can_rest(&self, table: &Table) -> bool {
        let owners = table.owners().into_iter().filter_map(|name| self.manifest.table(name));
        owners.into_iter().any(|owner| !owner.closed.is_empty() || self.can_rest(owner))
    }
}

/// Whether a record is closed by its typed values.
pub(crate) fn is_closed(table: &Table, cells: &[Cell]) -> bool {
    let holds = |(name, words): (&String, &Vec<String>)| {
        cell_of(table, cells, name).and_then(Cell::text).is_some_and(|text| words.contains(&text))
    };
    !table.closed.is_empty() && table.closed.iter().all(holds)
}

/// The condition of records that are not closed, as `OData` asks for them.
pub(crate) fn open_filter(table: &Table) -> Option<String> {
    let clauses: Vec<String> = table
        .closed
        .iter()
        .filter_map(|(name, words)| {
            let column = table.column(name)?;
            let ColumnFrom::Path(path) = &column.from else { return None };
            let is_text = column.kind.column_type() == ColumnType::Text;
            let value = |word: &String| if is_text { format!("'{}'", word.replace('\'', "''")) } else { word.clone() };
            let field = path.replace('.', "/");
            let all: Vec<String> = words.iter().map(|word| format!("{field} ne {}", value(word))).collect();
            Some(format!("({})", all.join(" and ")))
        })
        .collect();
    (!clauses.is_empty()).then(|| clauses.join(" or "))
}

/// Requests for a whole list of so many records.
pub(crate) fn pages(table: &Table, rows: u64) -> u64 {
    match &table.paging {
        Paging::None => 1,
        Paging::LinkHeader { per_page, .. } => rows.div_ceil((*per_page).max(1)).max(1),
        // Pages overlap by one record, and a full one asks for the next.
        Paging::Offset { top, .. } | Paging::Body { per_page: top, .. } => {
            1 + rows.saturating_sub(1) / top.saturating_sub(1).max(1)
        }
    }
}

fn days(table: &Table, usual: u32) -> TimeDelta {
    TimeDelta::days(i64::from(table.sweep_days.unwrap_or(usual)))
}

fn is_due(read: &PreviousRead, after: TimeDelta, now: DateTime<Utc>) -> bool {
    !read.is_answered || read.swept_at.is_none_or(|at| now - at >= after)
}

/// The scope and those above it, but the company's.
fn with_above(scope: &str) -> impl Iterator<Item = &str> {
    let ends = scope.match_indices('/').map(|(end, _)| end).chain([scope.len()]);
    ends.filter_map(|end| scope.get(..end)).filter(|scope| !scope.is_empty())
}
