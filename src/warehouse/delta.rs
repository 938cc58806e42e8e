//! The kept states of tables as Delta Lake tables, one version each, without copying a data file.
//!
//! A version is a JSON file that lists the Parquet files of a state (`delta/log`), with statistics from their footers
//! (`delta/stats`), beside the states or elsewhere (`delta/place`).
//!
//! Invariants:
//! - The current version of a table is its content at the newest commit that the export saw, and lists files that are kept.
//!   Before files of dropped states are removed, tables published in the warehouse are brought to the head.
//! - A log only grows, an entry is never changed: of two exports at once one writes it, the other goes on after it.
//! - A log that holds anything but entries of this table of this warehouse is refused and left alone.
//!
//! Leaves out: days between states, which have no files of their own; older versions whose states were dropped since.

mod log;
mod place;
mod schema;
mod stats;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::Warehouse;
use super::commit::{Commit, DataFile, Head};
use super::error::Error;
use super::rows::state_schema;
use log::{Added, Entry, Next};
use place::{Log, Place};
use schema::schema_string;

/// Tables written side by side, and footers of a table read at once.
const AT_ONCE: usize = 8;
/// How often a log is read again because another export wrote to it.
const ATTEMPTS: usize = 20;

/// Is told about versions, while they are written.
type OnVersions = Arc<dyn Fn(DeltaProgress) + Send + Sync>;

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaProgress {
    /// So many more versions are to be written.
    Ahead(u64),
    /// One is written.
    Written,
}

/// What to publish.
#[derive(Clone)]
pub struct DeltaExport {
    /// (source, table), of those that [`Head::tables_with_states`] gives.
    pub tables: Vec<(String, String)>,
    /// A folder or bucket elsewhere; none for the warehouse itself.
    pub to: Option<String>,
    /// Is told about versions.
    pub progress: Arc<dyn Fn(DeltaProgress) + Send + Sync>,
}

/// A table that is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeltaTable {
    /// The source's name.
    pub source: String,
    /// The table's name.
    pub table: String,
    /// The address of the Delta table.
    pub location: String,
    /// Versions that this export added.
    pub added: u64,
    /// The current version.
    pub version: u64,
    /// The commit whose state it is: the last that changed the table.
    pub commit: u64,
}

impl Head {
    /// Every (source, table) that has a state, sorted: all but tables that only grow.
    pub fn tables_with_states(&self) -> Vec<(String, String)> {
        let has_state = |(source, table): &(String, String)| !self.standing_states(source, table).is_empty();
        self.tables().into_iter().filter(has_state).collect()
    }
}

impl Warehouse {
    /// Publishes the kept states of tables; what is published already stays as it is.
    pub async fn export_delta(&self, export: &DeltaExport) -> Result<Vec<DeltaTable>, Error> {
        let place = match &export.to {
            Some(url) => Place::elsewhere(self, url).await?,
            None => Place::within(self),
        };
        let head = self.head().await?;
        if !export.tables.is_empty() {
            place.note(&self.id).await?;
        }
        let tables = self.all(&head, &place, export.tables.clone(), Arc::clone(&export.progress), true).await?;
        Ok(tables.into_iter().flatten().collect())
    }

    /// Brings the tables that are published in the warehouse to its head: files that their current versions list are kept
    /// then. One small request if there are none.
    pub async fn refresh_delta(&self) -> Result<(), Error> {
        if Place::is_noted(self).await? {
            let head = self.head().await?;
            let tables = head.tables_with_states();
            self.all(&head, &Place::within(self), tables, Arc::new(|_| ()), false).await?;
        }
        Ok(())
    }

    async fn all(
        &self,
        head: &Arc<Head>,
        place: &Place,
        tables: Vec<(String, String)>,
        progress: OnVersions,
        may_begin: bool,
    ) -> Result<Vec<Option<DeltaTable>>, Error> {
        let (warehouse, head, place) = (self.clone(), Arc::clone(head), place.clone());
        let run = move |(source, table): (String, String)| {
            let log = place.log(&source, &table);
            let (warehouse, head, progress) = (warehouse.clone(), Arc::clone(&head), Arc::clone(&progress));
            async move { Publication { warehouse, head, source, table, log }.publish(&progress, may_begin).await }
        };
        stream::iter(tables).map(run).buffered(AT_ONCE).try_collect().await
    }
}

/// One table on its way into a log.
struct Publication {
    warehouse: Warehouse,
    head: Arc<Head>,
    source: String,
    table: String,
    log: Log,
}

impl Publication {
    fn name(&self) -> String {
        format!("{}.{}", self.source, self.table)
    }

    /// Adds what is not in the log yet; none if there is no log, and none may be begun.
    async fn publish(&self, progress: &OnVersions, may_begin: bool) -> Result<Option<DeltaTable>, Error> {
        let mut added = 0;
        let mut told = false;
        for _ in 0..ATTEMPTS {
            let newest = self.log.newest().await?;
            if newest.is_none() && !may_begin {
                return Ok(None);
            }
            let first = newest.as_ref().map_or(0, |entry| entry.version + 1);
            let todo = self.todo(newest.as_ref())?;
            if !std::mem::replace(&mut told, true) {
                progress(DeltaProgress::Ahead(todo.len() as u64));
            }
            let (newest, is_all) = self.append(newest, &todo, progress).await?;
            let next = newest.as_ref().map_or(0, |entry| entry.version + 1);
            self.log.flush(first..next).await?;
            added += next - first;
            if let Some(newest) = newest.filter(|_| is_all) {
                let (source, table, location) = (self.source.clone(), self.table.clone(), self.log.location());
                let (version, commit) = (newest.version, newest.mark.commit);
                return Ok(Some(DeltaTable { source, table, location, added, version, commit }));
            }
        }
        Err(self.log.strange("other programs write to it all the time"))
    }

    /// Writes entries until all are there or somebody else wrote one; says which.
    async fn append(
        &self,
        mut newest: Option<Entry>,
        todo: &[State],
        progress: &OnVersions,
    ) -> Result<(Option<Entry>, bool), Error> {
        for state in todo {
            let (entry, bytes) = self.next(state).await?.after(newest.as_ref());
            if !self.log.put(&entry, bytes).await? {
                return Ok((newest, false));
            }
            progress(DeltaProgress::Written);
            newest = Some(entry);
        }
        Ok((newest, true))
    }

    /// The kept states that the log does not show yet, oldest first.
    fn todo(&self, newest: Option<&Entry>) -> Result<Vec<State>, Error> {
        let kept = self.head.standing_states(&self.source, &self.table);
        let states = kept.into_iter().map(|state| State { commit: state.commit, files: state.files.to_vec() });
        let states: Vec<State> = states.collect();
        let snapshot = self.head.snapshot(self.head.number(), &self.source, &self.table).unwrap_or_default();
        let Some(last) = states.last().filter(|_| snapshot.changes.is_empty()) else {
            let reason = "its newest state is not there: an older one would be published as current";
            return Err(Error::corrupt(self.name(), reason));
        };
        let Some(newest) = newest else { return Ok(states) };
        self.check(newest)?;
        let is_shown = newest.mark.commit != last.commit || self.is_of(newest, &last.files);
        let after = newest.mark.commit + u64::from(is_shown);
        Ok(states.into_iter().filter(|state| state.commit >= after).collect())
    }

    /// Refuses a log that goes on from another past than this chain's.
    fn check(&self, newest: &Entry) -> Result<(), Error> {
        let refuse = |reason: String| Err(self.log.strange(&format!("version {}: {reason}", newest.version)));
        let mark = &newest.mark;
        if mark.warehouse != self.warehouse.id() || mark.table != self.name() {
            return refuse(format!("it is table {} of warehouse {}", mark.table, mark.warehouse));
        }
        let Some(commit) = self.head.commit(mark.commit) else {
            return refuse(format!("it shows commit {}, the warehouse ends with {}", mark.commit, self.head.number()));
        };
        let is_it = |source: &str, table: &str| source == self.source && table == self.table;
        let written = commit.tables.iter().filter(|it| is_it(&it.source, &it.table)).map(|it| &it.state);
        // A state may have been dropped and rebuilt, more than once, since the entry was written.
        let later = self.head.commits.iter().flat_map(|commit| &commit.rebuilt_states);
        let rebuilt = later.filter(|it| it.commit == mark.commit && is_it(&it.source, &it.table)).map(|it| &it.state);
        if written.chain(rebuilt).any(|files| self.is_of(newest, files)) {
            return Ok(());
        }
        refuse(format!("its files are not those of commit {}", mark.commit))
    }

    /// The entry of a state, with statistics from its files.
    async fn next(&self, state: &State) -> Result<Next, Error> {
        let columns = self.head.columns(state.commit, &self.source, &self.table);
        let schema = state_schema(&columns);
        let text = schema_string(&schema).map_err(|reason| Error::Target { place: self.log.location(), reason })?;
        let read = |file: DataFile| {
            let (store, schema) = (self.warehouse.store.clone(), Arc::clone(&schema));
            let path = self.log.name_of(&file.path);
            async move {
                let told = stats::read(&store, &file, &schema).await?;
                Ok::<_, Error>(Added { path, size: file.bytes, stats: told.to_string() })
            }
        };
        let files = stream::iter(state.files.clone()).map(read).buffered(AT_ONCE).try_collect().await?;
        let at = |commit: Option<&Arc<Commit>>| commit.map(|commit| commit.committed_at).unwrap_or_default();
        Ok(Next {
            warehouse: self.warehouse.id(),
            table: self.name(),
            commit: state.commit,
            committed_at: at(self.head.commit(state.commit)),
            created_at: at(self.head.commits.first()),
            schema: text,
            files,
        })
    }

    fn is_of(&self, entry: &Entry, files: &[DataFile]) -> bool {
        entry.files.len() == files.len()
            && entry
                .files
                .iter()
                .zip(files)
                .all(|(shown, file)| shown.path == self.log.name_of(&file.path) && shown.size == file.bytes)
    }
}

/// A kept state.
struct State {
    commit: u64,
    files: Vec<DataFile>,
}
