//! Space given back: superseded states are dropped, and files that nobody reads are removed.
//!
//! Invariants:
//! - Dropping is a commit: from it on readers fold an earlier state and the changes. Changes are never removed.
//! - A file is removed only a safety age after it was dropped, or, if no commit names it, after it was written: who began to
//!   read or to write before still can. The age is the store's own: no clock that a person gave moves it.
//! - Nothing is removed from a warehouse whose chain is broken or was longer once, or before the tables that are published in
//!   it list what stays.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::commit::{CommitKind, DataFile, Head, StateAddress};
use super::error::Error;
use super::retention::{Retention, superseded};
use super::store::Object;
use super::verify::{Ledger, Verification, read_chain};
use super::{CommitHeader, DATA, Warehouse, chain, checkpoint, commit_of};
use crate::clock::Clock;

/// How often dropping is tried again because another commit came first.
const ATTEMPTS: usize = 20;
/// Folders in which a write that died may leave a part of its file.
const WRITTEN: [&str; 4] = [DATA, chain::FOLDER, checkpoint::FOLDER, "definitions"];
/// How many commits the end of an extract looks back for files to remove; the rest is left to `tieout vacuum`.
const LOOK_BACK: u64 = 400;

/// How to give space back.
#[derive(Clone, Debug)]
pub struct VacuumOptions {
    /// What stays.
    pub retention: Retention,
    /// How long a file that nobody reads is left where it is.
    pub safety: TimeDelta,
    /// Say what would go, and touch nothing.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Vacuum {
    /// The commit that dropped states; none if there were none to drop.
    pub commit: Option<u64>,
    /// States dropped now. Their files wait until the safety age is over.
    pub dropped: Vec<Removal>,
    /// Files removed.
    pub removed: Vec<Removal>,
    /// Files that nobody reads and that are too young to go, the dropped ones left out.
    pub waiting: Vec<Removal>,
}

/// A file that goes, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Below the warehouse's root.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// `superseded` (a state that was dropped), `orphan` (no commit names it) or `leftover` (a part of a file).
    pub reason: &'static str,
}

impl Warehouse {
    /// Drops superseded states and removes files that nobody reads any more.
    pub async fn vacuum(&self, options: &VacuumOptions, clock: &Clock) -> Result<Vacuum, Error> {
        let mut vacuum = Vacuum::default();
        if options.dry_run {
            vacuum.dropped = removals(superseded(&*self.head().await?, &options.retention));
        } else {
            self.drop_states(&options.retention, clock, &mut vacuum).await?;
            self.refresh_delta().await?;
        }
        let dropped: HashSet<String> = vacuum.dropped.iter().map(|removal| removal.path.clone()).collect();
        for (removal, since) in self.unread().await? {
            let is_old = Utc::now() - since >= options.safety;
            match is_old {
                true if options.dry_run => vacuum.removed.push(removal),
                true => {
                    self.remove(&removal).await?;
                    vacuum.removed.push(removal);
                }
                false if dropped.contains(&removal.path) => {}
                false => vacuum.waiting.push(removal),
            }
        }
        Ok(vacuum)
    }

    async fn drop_states(&self, retention: &Retention, clock: &Clock, vacuum: &mut Vacuum) -> Result<(), Error> {
        let mut conflict = Error::Conflict { number: 0 };
        for _ in 0..ATTEMPTS {
            let head = self.head().await?;
            let superseded = superseded(&head, retention);
            let Some(last) = head.last().filter(|_| !superseded.is_empty()) else { return Ok(()) };
            // Nothing was looked at: the data is as old as it was, under the definitions that it was judged by.
            let (definitions, observed_at) = (last.definitions.clone(), last.observed_at);
            let header = CommitHeader { kind: CommitKind::Vacuum, clock, definitions, runs: Vec::new(), observed_at };
            let mut prepared = self.prepare(header).await?;
            if prepared.base().number() != head.number() {
                continue;
            }
            prepared.set_dropped(superseded.iter().map(|(address, _)| address.clone()).collect());
            let number = prepared.number();
            match self.publish(prepared).await {
                Ok(_) => {
                    vacuum.commit = Some(number);
                    vacuum.dropped = removals(superseded);
                    return Ok(());
                }
                Err(error @ Error::Conflict { .. }) => conflict = error,
                Err(error) => return Err(error),
            }
        }
        Err(conflict)
    }

    /// Files that nobody who opens the warehouse now would read, each with the moment since when.
    async fn unread(&self) -> Result<Vec<(Removal, DateTime<Utc>)>, Error> {
        let mut verification = Verification::default();
        let commits = read_chain(&self.store, &self.id, &mut verification).await?;
        if let Some(finding) = verification.findings.first() {
            let reason = format!(
                "{finding}; nothing is removed from a warehouse that does not verify\nhint: `tieout verify` names all that differs"
            );
            return Err(Error::corrupt(&finding.file, reason));
        }
        let ledger = Ledger::new(&commits);
        let named: HashSet<&str> = ledger.files().map(|(_, file)| file.path.as_str()).collect();
        let mut unread = Vec::new();
        let mut age_of_drop: (u64, Option<DateTime<Utc>>) = (0, None);
        for object in self.store.objects_below(DATA).await? {
            let Some(commit) = commit_of(&object.path).filter(|_| !named.contains(object.path.as_str())) else {
                continue;
            };
            if let Some(dropped_by) = ledger.retired.get(&object.path) {
                if age_of_drop.0 != *dropped_by {
                    let manifest = self.store.object(&chain::path(*dropped_by)).await?;
                    age_of_drop = (*dropped_by, manifest.map(|manifest| manifest.modified_at));
                }
                unread.extend(age_of_drop.1.map(|since| (removal(&object, "superseded"), since)));
            } else if commit > ledger.newest + 1 {
                let reason = format!(
                    "it belongs to commit {commit}, the chain ends with commit {}: nothing is removed\n\
                     hint: later commits were removed, or the copy of the warehouse is not complete; restore `commits/`",
                    ledger.newest
                );
                return Err(Error::corrupt(object.path, reason));
            } else {
                unread.push((removal(&object, "orphan"), object.modified_at));
            }
        }
        for folder in WRITTEN {
            let leftovers = self.store.leftovers(folder)?;
            unread.extend(leftovers.into_iter().map(|object| (removal(&object, "leftover"), object.modified_at)));
        }
        Ok(unread)
    }

    async fn remove(&self, removal: &Removal) -> Result<(), Error> {
        if removal.reason == "leftover" {
            return self.store.remove_leftover(&removal.path);
        }
        self.store.remove(&removal.path).await
    }

    /// Removes the files of states that commits dropped a safety age ago, newest drop first: it ends where an earlier call
    /// has removed them. Nothing is listed, so that the end of an extract stays cheap. Gives back how many files went.
    pub async fn remove_dropped(&self, safety: TimeDelta) -> Result<usize, Error> {
        self.refresh_delta().await?;
        let head = self.head().await?;
        let newest = head.number();
        let mut drops = Vec::new();
        for number in (newest.saturating_sub(LOOK_BACK) + 1..=newest).rev() {
            let Some(commit) = head.commit(number).filter(|commit| !commit.dropped_states.is_empty()) else {
                continue;
            };
            let written = self.store.object(&chain::path(number)).await?;
            if written.is_none_or(|manifest| Utc::now() - manifest.modified_at < safety) {
                continue;
            }
            let files = files_of(&head, &commit.dropped_states);
            let Some(first) = files.first() else { continue };
            if self.store.object(first).await?.is_none() {
                break;
            }
            drops.push(files);
        }
        // Oldest drop first, and a drop's first file last, so that a call that dies leaves what the next one looks for.
        let mut count = 0;
        for path in drops.iter().rev().flat_map(|files| files.iter().rev()) {
            self.store.remove(path).await?;
            count += 1;
        }
        Ok(count)
    }
}

fn files_of(head: &Head, dropped: &[StateAddress]) -> Vec<String> {
    let mut files = Vec::new();
    let mut dropped: Vec<&StateAddress> = dropped.iter().collect();
    dropped.sort_unstable_by_key(|address| address.commit);
    for address in dropped {
        let tables = head.commit(address.commit).into_iter().flat_map(|commit| &commit.tables);
        let table = tables.filter(|it| it.table == address.table && it.source == address.source);
        files.extend(table.flat_map(|table| &table.state).map(|file| file.path.clone()));
    }
    files
}

fn removals(superseded: Vec<(StateAddress, Vec<DataFile>)>) -> Vec<Removal> {
    let files = superseded.into_iter().flat_map(|(_, files)| files);
    files.map(|file| Removal { path: file.path, bytes: file.bytes, reason: "superseded" }).collect()
}

fn removal(object: &Object, reason: &'static str) -> Removal {
    Removal { path: object.path.clone(), bytes: object.bytes, reason }
}
