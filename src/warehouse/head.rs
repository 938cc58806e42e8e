//! What a reader asks of the chain: which commit a moment means, which files make up a table there.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::as_of::AsOf;
use super::commit::{Commit, DataFile, Head, Snapshot, TableCommit};
use super::error::Error;
use super::rows::ColumnType;

impl Head {
    /// The newest commit; none in an empty warehouse.
    pub fn last(&self) -> Option<&Arc<Commit>> {
        self.commits.last()
    }

    /// The newest commit's number; 0 in an empty warehouse.
    pub fn number(&self) -> u64 {
        self.last().map_or(0, |commit| commit.number)
    }

    /// The commit that `as_of` means; none if it lies before the first one.
    pub fn resolve(&self, as_of: &AsOf) -> Result<Option<Arc<Commit>>, Error> {
        let found = match as_of {
            AsOf::Latest => self.last(),
            AsOf::At(at) => {
                let upto = self.commits.partition_point(|commit| commit.committed_at <= *at);
                upto.checked_sub(1).and_then(|last| self.commits.get(last))
            }
            AsOf::Commit(number) => {
                let unknown = || Error::UnknownCommit { number: *number, newest: self.number() };
                Some(self.commit(*number).ok_or_else(unknown)?)
            }
            AsOf::Pin(name) => {
                let number = self.pin(name)?.commit;
                let unknown = || Error::UnknownCommit { number, newest: self.number() };
                Some(self.commit(number).ok_or_else(unknown)?)
            }
        };
        Ok(found.map(Arc::clone))
    }

    /// The commit of that number.
    pub fn commit(&self, number: u64) -> Option<&Arc<Commit>> {
        let found = self.commits.binary_search_by_key(&number, |commit| commit.number).ok()?;
        self.commits.get(found)
    }

    /// What the newest commit up to `upto` that looked at the table says of it.
    pub fn table(&self, upto: u64, source: &str, table: &str) -> Option<&TableCommit> {
        self.newest_first(upto, source, table).map(|(_, found)| found).next()
    }

    /// The files that make up the table as of a commit; none if nobody had looked at it by then.
    ///
    /// For an append table there is no state, and the change files are all it has. States that were dropped are passed over.
    pub fn snapshot(&self, commit: u64, source: &str, table: &str) -> Option<Snapshot> {
        self.table(commit, source, table)?;
        let columns = self.column_words(commit, source, table).to_vec();
        let mut snapshot = Snapshot { columns, ..Snapshot::default() };
        for (number, found) in self.newest_first(commit, source, table) {
            let state = self.state(number, found);
            if !state.is_empty() {
                snapshot.state = state.to_vec();
                break;
            }
            // Backwards here and turned round below, so that the files of one commit keep their order.
            snapshot.changes.extend(found.changes.iter().rev().map(|file| (number, file.clone())));
        }
        snapshot.changes.reverse();
        Some(snapshot)
    }

    /// All change files of the table up to a commit, oldest first.
    pub fn history(&self, upto: u64, source: &str, table: &str) -> Vec<(u64, DataFile)> {
        let all = self.newest_first(upto, source, table);
        let files = all.flat_map(|(number, found)| found.changes.iter().rev().map(move |file| (number, file.clone())));
        let mut files: Vec<_> = files.collect();
        files.reverse();
        files
    }

    /// How many commits up to one wrote rows anew under another key for hashed fields.
    pub fn key_rotations(&self, upto: u64) -> u64 {
        self.rekeyed.partition_point(|number| *number <= upto) as u64
    }

    /// Every (source, table) that any commit looked at, sorted.
    pub fn tables(&self) -> Vec<(String, String)> {
        let tables = self.commits.iter().flat_map(|commit| &commit.tables);
        let names: BTreeSet<(&str, &str)> = tables.map(|it| (it.source.as_str(), it.table.as_str())).collect();
        names.into_iter().map(|(source, table)| (source.to_owned(), table.to_owned())).collect()
    }

    /// The table's typed columns as of a commit; empty if nobody had looked at it by then.
    pub fn columns(&self, upto: u64, source: &str, table: &str) -> Vec<(String, ColumnType)> {
        let words = self.column_words(upto, source, table).iter();
        // The chain refuses manifests with words that it does not know, so that none is left out here.
        words.filter_map(|(name, word)| Some((name.clone(), ColumnType::parse(word)?))).collect()
    }

    /// The value up to which the table was read; what an incremental run starts from.
    pub fn cursor(&self, source: &str, table: &str) -> Option<&str> {
        self.table(self.number(), source, table)?.cursor.as_deref()
    }

    /// Whether the table only grows: it has rows, and no state of it was ever written.
    pub fn is_append(&self, upto: u64, source: &str, table: &str) -> bool {
        let mut grew = false;
        for (_, found) in self.newest_first(upto, source, table) {
            if !found.state.is_empty() {
                return false;
            }
            grew |= !found.changes.is_empty();
        }
        grew
    }

    fn newest_first<'a, 'b>(
        &'a self,
        upto: u64,
        source: &'b str,
        table: &'b str,
    ) -> impl Iterator<Item = (u64, &'a TableCommit)> + use<'a, 'b> {
        let count = self.commits.partition_point(|commit| commit.number <= upto);
        let commits = self.commits.iter().take(count).rev();
        // Run after run lists its tables in the same order: look where the table stood last time first.
        let mut place = 0;
        commits.filter_map(move |commit| {
            let is_it = |it: &TableCommit| it.table == table && it.source == source;
            if !commit.tables.get(place).is_some_and(is_it) {
                place = commit.tables.iter().position(is_it)?;
            }
            commit.tables.get(place).map(|found| (commit.number, found))
        })
    }

    /// The columns as the newest commit that wrote them down has them.
    fn column_words(&self, upto: u64, source: &str, table: &str) -> &[(String, String)] {
        let mut all = self.newest_first(upto, source, table).map(|(_, found)| found);
        let Some(newest) = all.next() else { return &[] };
        let same = |found: &&TableCommit| found.schema_fingerprint == newest.schema_fingerprint;
        let mut written = std::iter::once(newest).chain(all).take_while(same).filter(|found| !found.columns.is_empty());
        written.next().map_or(&[], |found| found.columns.as_slice())
    }
}
