//! Which states are worth their space: those of the newest commit, of the last week, of months and of pins.
//!
//! Invariants: a function of the chain; changes are never dropped; a state that cannot be rebuilt from an earlier one and
//! the changes since is never dropped. Leaves out: removing files (`vacuum`).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::Warehouse;
use super::commit::{DataFile, Head, RebuiltState, StateAddress, TableCommit};
use super::error::Error;
use super::files::{Disk, Target, Writer};
use super::prepare::Prepared;
use super::read::Wanted;
use super::rows::state_schema;
use super::state::Totals;

/// What is kept as full tables, beside the newest commit.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Commits of so many days before the newest.
    pub days: u32,
    /// The firm's zone, in which months end.
    pub zone: Tz,
}

impl Retention {
    /// The last week, and months in the firm's zone.
    pub fn new(zone: Tz) -> Self {
        Self { days: 7, zone }
    }

    /// The commits whose tables are kept in full.
    fn commits(&self, head: &Head) -> BTreeSet<u64> {
        let mut kept: BTreeSet<u64> = head.pins(head.number()).map(|(_, pin)| pin.commit).collect();
        kept.insert(head.number());
        // Measured from the newest data: a vacuum must not make another one due.
        if let Some(last) = head.commits.iter().rev().find(|commit| !commit.tables.is_empty()) {
            let since = last.committed_at.checked_sub_signed(TimeDelta::days(i64::from(self.days)));
            let is_older = |at| since.is_some_and(|since| at < since);
            let from = head.commits.partition_point(|commit| is_older(commit.committed_at));
            kept.extend(head.commits.iter().skip(from).map(|commit| commit.number));
        }
        // Of a month whose reads were never complete the commit that is shown for it, else the way back would grow for ever.
        kept.extend(head.months(head.number(), self.zone).into_iter().filter_map(|month| month.commit));
        kept
    }
}

/// A state that is there.
pub(super) struct Standing<'a> {
    pub(super) commit: u64,
    pub(super) files: &'a [DataFile],
    is_anew: bool,
}

impl Head {
    /// The states of a table that are there, oldest first.
    pub(super) fn standing_states(&self, source: &str, table: &str) -> Vec<Standing<'_>> {
        let mut standing = Vec::new();
        let mut fingerprint: Option<&str> = None;
        for commit in &self.commits {
            let Some(found) = commit.tables.iter().find(|it| it.table == table && it.source == source) else {
                continue;
            };
            let is_anew = is_projected_anew(found, fingerprint);
            fingerprint = Some(&found.schema_fingerprint);
            let files = self.state(commit.number, found);
            if !files.is_empty() {
                standing.push(Standing { commit: commit.number, files, is_anew });
            }
        }
        standing
    }
}

/// The states that no kept commit reads, with their files.
pub(super) fn superseded(head: &Head, retention: &Retention) -> Vec<(StateAddress, Vec<DataFile>)> {
    let kept = retention.commits(head);
    let mut superseded = Vec::new();
    for (source, table) in head.tables() {
        let standing = head.standing_states(&source, &table);
        let read = |commit: &u64| standing.partition_point(|state| state.commit <= *commit).checked_sub(1);
        let needed: HashSet<usize> = kept.iter().filter_map(read).collect();
        for (place, state) in standing.iter().enumerate() {
            if !state.is_anew && !needed.contains(&place) {
                let address = StateAddress { source: source.clone(), table: table.clone(), commit: state.commit };
                superseded.push((address, state.files.to_vec()));
            }
        }
    }
    superseded
}

/// Whether a state stands under another projection than the one before: manifests that do not say so show it.
pub(super) fn is_projected_anew(found: &TableCommit, fingerprint_before: Option<&str>) -> bool {
    let is_other = fingerprint_before.is_some_and(|before| before != found.schema_fingerprint);
    found.projected_anew || !found.state.is_empty() && (is_other || found.changes.is_empty())
}

impl Prepared {
    /// Drops the states that this commit, once it is the newest, leaves to nobody: its readers and later ones pass them over.
    pub fn drop_superseded(&mut self, retention: &Retention) {
        let superseded = superseded(&self.head(), retention);
        self.set_dropped(superseded.into_iter().map(|(address, _)| address).collect());
    }

    /// Writes those states again that readers of an earlier commit would have to fold: for a pin. Gives back how many.
    pub async fn rebuild_states(&mut self, commit: u64) -> Result<usize, Error> {
        let base = Arc::clone(self.base());
        let mut rebuilt = Vec::new();
        for (source, table) in base.tables() {
            let snapshot = base.snapshot(commit, &source, &table).unwrap_or_default();
            let Some((changed_by, _)) = snapshot.changes.last().filter(|_| !base.is_append(commit, &source, &table))
            else {
                continue;
            };
            let state = self.warehouse().rebuild(&base, *changed_by, &source, &table).await?;
            rebuilt.push(RebuiltState { source, table, commit: *changed_by, state });
        }
        let count = rebuilt.len();
        self.set_rebuilt(rebuilt);
        Ok(count)
    }
}

impl Warehouse {
    /// Writes a table's state as of a commit once more.
    async fn rebuild(&self, head: &Head, commit: u64, source: &str, table: &str) -> Result<Vec<DataFile>, Error> {
        let columns = head.columns(commit, source, table);
        let files = self.files(head, commit, source, table);
        let target = Target {
            disk: Disk::new(&self.store),
            folder: format!("data/{source}/{table}/state"),
            commit,
            limits: self.limits,
            is_sorted: true,
        };
        let said = head.table(commit, source, table).map(|said| (said.rows, said.control_totals.clone()));
        let written = tokio::task::spawn_blocking(move || {
            let (mut writer, mut totals, mut rows) =
                (Writer::new(target, state_schema(&columns)), Totals::new(&columns), 0);
            for batch in files.read(&(Arc::new(|_: &str| true) as Wanted))? {
                let batch = batch?;
                totals.add(&batch);
                rows += batch.num_rows() as u64;
                writer.write(&batch)?;
            }
            Ok((writer.finish()?, (rows, totals.finish())))
        });
        let written = written.await.unwrap_or_else(|stopped| {
            Err(Error::Io { action: "rebuild", path: format!("{source}.{table}"), source: stopped.into() })
        });
        let (state, came_to) = written?;
        if said.is_some_and(|said| said != came_to) {
            let reason = format!(
                "{source}.{table} as of it does not come to the rows and sums that it says\n\
                 hint: `tieout verify --deep` names what differs"
            );
            return Err(Error::corrupt(super::chain::path(commit), reason));
        }
        Ok(state)
    }
}
