//! Every state against the one before and the changes since, and every sum against the rows.

use std::sync::Arc;

use arrow::datatypes::i256;
use futures::{StreamExt, stream};

use super::Bad;
use super::compare::Comparison;
use super::cursor::{Cursor, Flaw, Reading};
use super::ledger::{Entry, Ledger, is_append};
use super::merge::Merge;
use super::report::{Fault, Progress, Verification, VerifyOptions};
use crate::warehouse::chain::path;
use crate::warehouse::commit::{ColumnTotals, DataFile};
use crate::warehouse::error::Error;
use crate::warehouse::rows::{ColumnType, changes_schema, state_schema};
use crate::warehouse::state::{BATCH_ROWS, decimal_text};
use crate::warehouse::store::{Blocking, OnBytes, Store};

/// Rows that all changes between two states may hold in memory together.
const CHANGED_ROWS: usize = 16 * BATCH_ROWS;

/// The way from one state to the next, or to the end of the chain.
struct Segment {
    name: String,
    /// The state to begin with; none: with no rows.
    base: Option<Entry>,
    /// The commits since with files, oldest first.
    steps: Vec<Entry>,
    is_append: bool,
    /// Whether every manifest on the way is known, and what columns its files have. Where one is gone or unreadable, which is
    /// told as such, nothing can be said of the rows after it.
    is_known: bool,
}

/// What came of one segment.
#[derive(Default)]
struct Outcome {
    flaws: Vec<Flaw>,
    rows: u64,
    proven: bool,
}

pub(super) async fn check(
    store: &Store,
    ledger: &Ledger,
    bad: &Bad,
    options: &VerifyOptions,
    verification: &mut Verification,
) -> Result<(), Error> {
    (options.progress)(Progress::Comparing);
    let segments: Vec<Segment> = ledger
        .tables
        .iter()
        .flat_map(|((source, table), entries)| segments(&format!("{source}.{table}"), entries))
        .filter(|segment| !segment.files().any(|file| bad.contains(&file.path)))
        .filter(|segment| segment.is_known)
        .collect();
    (options.progress)(Progress::Ahead(segments.iter().flat_map(Segment::files).map(|file| file.bytes).sum()));
    let told = Arc::clone(&options.progress);
    let on_bytes: OnBytes = Arc::new(move |bytes| told(Progress::Read(bytes)));
    let blocking = Blocking::new(store, on_bytes);
    let walk = |segment: Segment| {
        let blocking = blocking.clone();
        tokio::task::spawn_blocking(move || segment.walk(&blocking))
    };
    let mut outcomes = std::pin::pin!(stream::iter(segments).map(walk).buffer_unordered(options.workers.max(1)));
    while let Some(outcome) = outcomes.next().await {
        let stopped =
            |error: tokio::task::JoinError| Error::Io { action: "verify", path: String::new(), source: error.into() };
        let outcome = outcome.map_err(stopped)?;
        verification.compared_rows += outcome.rows;
        verification.proven_states += u64::from(outcome.proven);
        for flaw in outcome.flaws {
            verification.find(flaw.fault, Some(flaw.commit), flaw.file, flaw.detail);
        }
    }
    Ok(())
}

/// A table's life, cut at its states.
fn segments(name: &str, entries: &[Entry]) -> Vec<Segment> {
    let is_append = is_append(entries);
    let cut = |base: Option<Entry>, steps: Vec<Entry>, is_whole: bool| {
        let has_columns = base.iter().chain(&steps).all(|entry| entry.has_columns);
        Segment { name: name.to_owned(), base, steps, is_append, is_known: has_columns && (is_append || is_whole) }
    };
    let mut found = Vec::new();
    let (mut base, mut steps, mut is_whole) = (None, Vec::new(), true);
    for entry in entries {
        // A commit that changed nothing counts here too: the one that is gone before it may have.
        is_whole &= !entry.follows_gap;
        if entry.said.changes.is_empty() && !entry.had_state {
            continue;
        }
        steps.push(entry.clone());
        if !entry.said.state.is_empty() {
            let base = base.replace(entry.clone());
            found.push(cut(base, std::mem::take(&mut steps), std::mem::replace(&mut is_whole, true)));
        }
    }
    if !steps.is_empty() {
        found.push(cut(base, steps, is_whole));
    }
    found
}

impl Segment {
    fn files(&self) -> impl Iterator<Item = &DataFile> {
        let base = self.base.iter().flat_map(|base| &base.said.state);
        let target = self.steps.last().into_iter().flat_map(|last| &last.said.state);
        base.chain(self.steps.iter().flat_map(|step| &step.said.changes)).chain(target)
    }

    fn walk(self, store: &Blocking) -> Outcome {
        let mut outcome = Outcome::default();
        let walked =
            if self.is_append { self.walk_append(store, &mut outcome) } else { self.walk_keyed(store, &mut outcome) };
        outcome.flaws.extend(walked.err());
        outcome
    }

    fn walk_append(&self, store: &Blocking, outcome: &mut Outcome) -> Result<(), Flaw> {
        for step in &self.steps {
            let mut cursor = self.changes(store, step, BATCH_ROWS)?;
            while let Some(page) = &cursor.page {
                let added = (0..page.batch.num_rows()).all(|row| page.op(row) == Some("I"));
                if !added {
                    let detail = "a row of a table that only grows was not inserted".to_owned();
                    return Err(Flaw { commit: step.commit, file: cursor.file(), fault: Fault::Fold, detail });
                }
                cursor.turn()?;
            }
            outcome.rows += cursor.rows;
            self.hold("control total", &cursor.sums, step, &step.said.control_totals, outcome);
        }
        Ok(())
    }

    fn walk_keyed(&self, store: &Blocking, outcome: &mut Outcome) -> Result<(), Flaw> {
        let amounts = self.amounts();
        let base = self.base.as_ref().map(|base| self.state(store, base)).transpose()?;
        let changing: Vec<&Entry> = self.steps.iter().filter(|step| !step.said.changes.is_empty()).collect();
        let page_rows = (CHANGED_ROWS / changing.len().max(1)).clamp(64, BATCH_ROWS);
        let changes =
            changing.iter().map(|step| self.changes(store, step, page_rows)).collect::<Result<Vec<_>, _>>()?;
        let mut merge = Merge::new(base, changes, amounts.len());
        if let Some(target) = self.steps.last().filter(|last| !last.said.state.is_empty()) {
            let is_anew = self.steps.iter().any(|step| step.is_anew);
            let comparison = Comparison::new(state_schema(&target.columns), is_anew);
            let rows = self.state(store, target)?;
            let sums = comparison.run(&mut merge, rows, &mut outcome.rows)?;
            self.hold("control total", &sums, target, &target.said.control_totals, outcome);
            outcome.proven = true;
        } else {
            while merge.next()?.is_some() {
                outcome.rows += 1;
            }
        }
        self.reckon(merge, &changing, outcome);
        Ok(())
    }

    /// Holds each commit's counts and sums against what its changes came to.
    fn reckon(&self, merge: Merge, changing: &[&Entry], outcome: &mut Outcome) {
        let (base, changes) = merge.into_parts();
        let mut sums = base.map_or_else(|| vec![i256::ZERO; self.amounts().len()], |base| base.sums);
        for (step, (cursor, tally)) in changing.iter().zip(changes) {
            let said = &step.said;
            let counts = [
                ("inserted", tally.inserted, said.inserted),
                ("updated", tally.updated, said.updated),
                ("deleted", tally.deleted, said.deleted),
            ];
            for (word, found, said) in counts.into_iter().filter(|(_, found, said)| found != said) {
                self.contradict(step, &format!("{found} rows were {word}, it says {said}"), outcome);
            }
            self.hold("total of the changes", &cursor.sums, step, &said.changes_totals, outcome);
            for (sum, moved) in sums.iter_mut().zip(&tally.moved) {
                *sum = sum.wrapping_add(*moved);
            }
            // A state under another projection has sums of its own, which were held against its rows.
            if !step.is_anew {
                self.hold("control total", &sums, step, &said.control_totals, outcome);
            }
        }
    }

    fn hold(&self, what: &str, sums: &[i256], entry: &Entry, said: &ColumnTotals, outcome: &mut Outcome) {
        for (name, sum) in self.amounts().iter().zip(sums) {
            let kind = entry.columns.iter().find(|(column, _)| column == name).map(|(_, kind)| *kind);
            let (Some(ColumnType::Decimal(_, scale)), Some(said)) = (kind, said.get(name)) else { continue };
            let found = decimal_text(&sum.to_string(), scale);
            if found != *said {
                self.contradict(entry, &format!("{what} of {name}: the rows come to {found}, it says {said}"), outcome);
            }
        }
    }

    fn contradict(&self, entry: &Entry, detail: &str, outcome: &mut Outcome) {
        let flaw = Flaw {
            commit: entry.commit,
            file: path(entry.commit),
            fault: Fault::Figures,
            detail: format!("{}: {detail}", self.name),
        };
        if !outcome.flaws.iter().any(|known| (known.commit, &known.detail) == (flaw.commit, &flaw.detail)) {
            outcome.flaws.push(flaw);
        }
    }

    /// The decimal columns, as the last commit has them.
    fn amounts(&self) -> Vec<String> {
        let columns = self.steps.last().into_iter().flat_map(|last| last.columns.iter());
        columns.filter(|(_, kind)| matches!(kind, ColumnType::Decimal(..))).map(|(name, _)| name.clone()).collect()
    }

    fn state(&self, store: &Blocking, entry: &Entry) -> Result<Cursor, Flaw> {
        let reading = Reading {
            commit: entry.commit,
            files: entry.said.state.clone(),
            schema: state_schema(&entry.columns),
            is_changes: false,
            is_sorted: true,
            amounts: self.amounts(),
            page_rows: BATCH_ROWS,
        };
        Cursor::open(store.clone(), reading)
    }

    fn changes(&self, store: &Blocking, entry: &Entry, page_rows: usize) -> Result<Cursor, Flaw> {
        let reading = Reading {
            commit: entry.commit,
            files: entry.said.changes.clone(),
            schema: changes_schema(&entry.columns),
            is_changes: true,
            is_sorted: !self.is_append,
            amounts: self.amounts(),
            page_rows,
        };
        Cursor::open(store.clone(), reading)
    }
}
