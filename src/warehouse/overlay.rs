//! Which states are there: what commits wrote, less what later ones dropped, plus what later ones rebuilt.
//!
//! Invariants: derived from the chain alone, commit by commit in order, so that two readers of one head agree; a manifest
//! is never rewritten. Cheap to copy: a head of ten years has thousands of dropped states.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::commit::{Commit, DataFile, Head, TableCommit};

/// What later commits did to the states of earlier ones.
#[derive(Clone, Debug, Default)]
pub struct StateOverlay {
    /// By the commit that wrote the state.
    moved: BTreeMap<u64, Arc<Vec<Moved>>>,
}

#[derive(Clone, Debug)]
struct Moved {
    source: String,
    table: String,
    /// The files that took its place; empty if the state was dropped.
    now: Vec<DataFile>,
}

impl StateOverlay {
    fn set(&mut self, number: u64, source: &str, table: &str, now: &[DataFile]) {
        let moved = Arc::make_mut(self.moved.entry(number).or_default());
        match moved.iter_mut().find(|it| it.table == table && it.source == source) {
            Some(known) => known.now = now.to_vec(),
            None => moved.push(Moved { source: source.to_owned(), table: table.to_owned(), now: now.to_vec() }),
        }
    }

    fn get(&self, number: u64, source: &str, table: &str) -> Option<&Moved> {
        self.moved.get(&number)?.iter().find(|it| it.table == table && it.source == source)
    }
}

impl Head {
    /// Adds the next commit of the chain.
    pub fn push(&mut self, commit: Arc<Commit>, digest: String) {
        for dropped in &commit.dropped_states {
            self.states.set(dropped.commit, &dropped.source, &dropped.table, &[]);
        }
        for rebuilt in &commit.rebuilt_states {
            self.states.set(rebuilt.commit, &rebuilt.source, &rebuilt.table, &rebuilt.state);
        }
        if commit.tables.iter().any(TableCommit::is_rekeyed) {
            self.rekeyed.push(commit.number);
        }
        self.commits.push(commit);
        self.digest = digest;
    }

    /// The state that a commit wrote of a table, if it is there: not dropped, or rebuilt since. Else empty.
    pub fn state<'a>(&'a self, number: u64, found: &'a TableCommit) -> &'a [DataFile] {
        match self.states.get(number, &found.source, &found.table) {
            Some(moved) => &moved.now,
            None => &found.state,
        }
    }
}
