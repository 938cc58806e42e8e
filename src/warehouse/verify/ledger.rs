//! What the manifests say of each table, commit by commit: the side of the books that files and rows are held against.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::warehouse::commit::{Commit, DataFile, TableCommit};
use crate::warehouse::retention::is_projected_anew;
use crate::warehouse::rows::ColumnType;
use crate::warehouse::{definitions_path, fingerprint};

/// Everything that the chain promises.
#[derive(Default)]
pub(crate) struct Ledger {
    /// By source and table: every commit that looked at it, oldest first.
    pub(super) tables: BTreeMap<(String, String), Vec<Entry>>,
    /// Definitions by their SHA-256, with the first and the last commit that name them.
    pub(super) definitions: BTreeMap<String, (u64, u64)>,
    /// States that were dropped and not rebuilt.
    pub(super) dropped_states: u64,
    /// Their files, and those of states that others took the place of, by the commit that did it: they may be there or not.
    pub(crate) retired: BTreeMap<String, u64>,
    /// The newest commit's number.
    pub(crate) newest: u64,
}

/// A table in one commit.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one table in one commit")]
pub(super) struct Entry {
    pub(super) commit: u64,
    /// What its manifest says; `state` is what is there of it now.
    pub(super) said: TableCommit,
    pub(super) columns: Arc<Vec<(String, ColumnType)>>,
    /// Whether `columns` are those that its manifest means: only one that is gone or unreadable may have written them down.
    pub(super) has_columns: bool,
    /// Whether its rows stand under another projection than those of the entry before.
    pub(super) is_anew: bool,
    /// Whether the commit wrote a state, be it dropped since.
    pub(super) had_state: bool,
    /// Whether a manifest between the entry before and this one is gone or unreadable, which is told as such: what this one
    /// follows from is not known.
    pub(super) follows_gap: bool,
}

impl Ledger {
    pub(crate) fn new(commits: &[Arc<Commit>]) -> Self {
        let mut ledger = Self { newest: commits.last().map_or(0, |commit| commit.number), ..Self::default() };
        let (mut before, mut gap) = (0, 0);
        for commit in commits {
            if commit.number > before + 1 {
                gap = commit.number - 1;
            }
            before = commit.number;
            if !commit.definitions.is_empty() {
                let number = commit.number;
                ledger.definitions.entry(commit.definitions.clone()).or_insert((number, number)).1 = number;
            }
            for said in &commit.tables {
                ledger.enter(commit.number, said, gap);
            }
            ledger.move_states(commit);
        }
        ledger
    }

    /// `gap`: the newest commit before it that is not known; 0 if all are.
    fn enter(&mut self, commit: u64, said: &TableCommit, gap: u64) {
        let entries = self.tables.entry((said.source.clone(), said.table.clone())).or_default();
        let before = entries.last();
        let same = before.filter(|before| before.said.schema_fingerprint == said.schema_fingerprint);
        let (columns, has_columns) = match same {
            Some(before) if said.columns.is_empty() => (Arc::clone(&before.columns), before.has_columns),
            _ => {
                let typed =
                    said.columns.iter().filter_map(|(name, word)| Some((name.clone(), ColumnType::parse(word)?)));
                (Arc::new(typed.collect()), fingerprint(&said.columns) == said.schema_fingerprint)
            }
        };
        let is_anew = is_projected_anew(said, before.map(|before| before.said.schema_fingerprint.as_str()));
        let had_state = !said.state.is_empty();
        let follows_gap = before.map_or(0, |before| before.commit) < gap;
        entries.push(Entry { commit, said: said.clone(), columns, has_columns, is_anew, had_state, follows_gap });
    }

    fn move_states(&mut self, commit: &Commit) {
        for dropped in &commit.dropped_states {
            if let Some(entry) = entry_of(&mut self.tables, &dropped.source, &dropped.table, dropped.commit) {
                self.retired.extend(entry.said.state.drain(..).map(|file| (file.path, commit.number)));
                self.dropped_states += 1;
            }
        }
        for rebuilt in &commit.rebuilt_states {
            if let Some(entry) = entry_of(&mut self.tables, &rebuilt.source, &rebuilt.table, rebuilt.commit) {
                self.retired.extend(entry.said.state.drain(..).map(|file| (file.path, commit.number)));
                entry.had_state = true;
                entry.said.state.clone_from(&rebuilt.state);
                self.dropped_states = self.dropped_states.saturating_sub(1);
            }
        }
    }

    /// Every file that must be there, with the commit that it belongs to.
    pub(crate) fn files(&self) -> impl Iterator<Item = (u64, &DataFile)> {
        let entries = self.tables.values().flatten();
        entries.flat_map(|entry| entry.said.changes.iter().chain(&entry.said.state).map(|file| (entry.commit, file)))
    }

    /// The paths by the SHA-256 of their files: what stands in another one's place is told by it.
    pub(super) fn paths_by_digest(&self) -> HashMap<&str, String> {
        let files = self.files().map(|(_, file)| (file.sha256.as_str(), file.path.clone()));
        files.chain(self.definitions.keys().map(|sha256| (sha256.as_str(), definitions_path(sha256)))).collect()
    }
}

fn entry_of<'a>(
    tables: &'a mut BTreeMap<(String, String), Vec<Entry>>,
    source: &str,
    table: &str,
    commit: u64,
) -> Option<&'a mut Entry> {
    let entries = tables.get_mut(&(source.to_owned(), table.to_owned()))?;
    let place = entries.binary_search_by_key(&commit, |entry| entry.commit).ok()?;
    entries.get_mut(place)
}

/// Whether a table only grows: it has rows, and no commit ever wrote a state of it.
pub(super) fn is_append(entries: &[Entry]) -> bool {
    entries.iter().all(|entry| !entry.had_state) && entries.iter().any(|entry| !entry.said.changes.is_empty())
}
