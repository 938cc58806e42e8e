//! The warehouse: from batches to commits, and back.
//!
//! Owns the layout on disk, the chain of commits, and the fold `state(n) = state(n−1) ⊕ changes(n)`.
//!
//! Invariants:
//! - Until a commit's manifest exists nothing of it is visible; once it exists nothing of it changes.
//! - A manifest is created with put-if-absent and carries the SHA-256 of the manifest before it.
//! - Only what was looked at completely may close: a row leaves a table only if its scope's coverage is `ok` or
//!   `empty_verified` in a full read.
//!
//! Leaves out: what a row means (`engine`), where it comes from (`extract`).
//!
//! ```text
//! tieout.json                                                       format, warehouse id
//! commits/00000000000000000042.json                                 the chain
//! checkpoints/00000000000000000040-<sha256>.jsonl.zst               the manifests up to it in one file, derived
//! definitions/<sha256>.json                                         manifests, SQL, crosswalks and settings in force
//! data/<source>/<table>/changes/00000000000000000042-1f0c9a7b.parquet   what the commit changed
//! data/<source>/<table>/state/00000000000000000042-5d20e1c4.parquet     the table after it
//! data/<source>/<table>/state/_delta_log/00000000000000000007.json  its states as a Delta table, derived
//! exports/delta.json                                                there are such tables
//! locks/<source>.lock, locks/<source>.json                          one extract run per source; in a bucket a lease
//! ```

mod address;
mod as_of;
mod chain;
mod checkpoint;
pub mod commit;
mod compare;
#[cfg(test)]
mod crash;
mod delta;
mod diff;
mod error;
mod files;
mod head;
#[cfg(test)]
mod histories;
mod lock;
mod marks;
#[cfg(test)]
mod marks_tests;
mod merge;
mod months;
mod open;
mod overlay;
mod prepare;
mod profile;
mod projection;
mod read;
mod remote;
mod retention;
pub mod rows;
mod sort;
mod source_folder;
mod spool;
mod state;
mod store;
mod system;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod totals;
mod vacuum;
mod verify;
mod waivers;

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use object_store::ObjectStore;
use tokio::sync::Mutex;

pub use as_of::{AsOf, end_of_day};
pub(crate) use chain::HALF_COPIED;
pub use delta::{DeltaExport, DeltaProgress, DeltaTable};
pub use error::Error;
pub use files::Limits;
pub use lock::SourceLock;
pub use marks::{MomentError, NewPin};
pub use months::MonthCommit;
pub use prepare::{CommitHeader, Prepared};
pub use projection::{Projections, ReadRecords};
pub use read::SinceState;
pub use retention::Retention;
pub use source_folder::SourceFolder;
pub use spool::{Spool, Spooled};
pub use system::{SystemTable, coverage_input, drift_input, rejects_input};
pub use vacuum::{Removal, Vacuum, VacuumOptions};
pub use verify::{Fault, Finding, KeptDigest, Progress as VerifyProgress, Verification, VerifyOptions};

use commit::Head;
use files::Disk;
use read::TableFiles;
use rows::ColumnType;
use store::{Store, digest};

/// Which warehouse this is.
const IDENTITY: &str = "tieout.json";
/// The folder of Parquet files.
const DATA: &str = "data";

/// One warehouse. Clones share the store and the chain as far as it was read.
#[derive(Clone, Debug)]
pub struct Warehouse {
    store: Store,
    id: Arc<str>,
    /// None until it was first asked for.
    head: Arc<Mutex<Option<Arc<Head>>>>,
    limits: Limits,
    projections: Projections,
}

impl Warehouse {
    fn new(store: Store, id: String) -> Self {
        Self {
            store,
            id: Arc::from(id),
            head: Arc::default(),
            limits: Limits::default(),
            projections: Projections::default(),
        }
    }

    /// The warehouse's id, a UUID.
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// Where it is, for people: a folder, or a bucket's address.
    pub fn location(&self) -> &str {
        self.store.location()
    }

    /// The store, rooted at the warehouse: paths of [`commit::DataFile`] are paths in it.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.store.objects()
    }

    /// The newest chain. What was read once is kept; a call costs one small request if nothing is new.
    pub async fn head(&self) -> Result<Arc<Head>, Error> {
        let mut known = self.head.lock().await;
        let newest = match known.as_ref() {
            Some(known) => chain::advance(&self.store, &self.id, known).await?,
            None => chain::open(&self.store, &self.id).await?,
        };
        *known = Some(Arc::clone(&newest));
        Ok(newest)
    }

    /// Writes a checkpoint of the head if one is due. Without it the next reader reads more, and nothing else is lost.
    async fn keep_checkpoint(&self, head: &Head) {
        if let Err(error) = checkpoint::keep(&self.store, head).await {
            tracing::warn!(%error, "the commit is published, but no checkpoint could be written");
        }
    }

    /// Keeps a set of definitions under its SHA-256, which it returns.
    pub async fn put_definitions(&self, json: &str) -> Result<String, Error> {
        let hash = digest(json.as_bytes());
        self.store.put_new(&definitions_path(&hash), Bytes::copy_from_slice(json.as_bytes())).await?;
        Ok(hash)
    }

    /// The set of definitions with that SHA-256.
    pub async fn definitions(&self, hash: &str) -> Result<String, Error> {
        let path = definitions_path(hash);
        let bytes = self.store.get(&path).await?.ok_or_else(|| Error::NotFound { path: path.clone() })?;
        let found = digest(&bytes);
        if found != hash {
            return Err(Error::corrupt(path, format!("its SHA-256 is {found}")));
        }
        String::from_utf8(bytes.into()).map_err(|error| Error::corrupt(path, error.to_string()))
    }

    /// The bytes of a commit's manifest, as they are stored, with their place below the warehouse's root.
    pub async fn manifest(&self, number: u64) -> Result<(String, Bytes), Error> {
        self.stored(chain::path(number)).await
    }

    /// The bytes of the file that says which warehouse this is, with their place.
    pub async fn identity(&self) -> Result<(String, Bytes), Error> {
        self.stored(IDENTITY.to_owned()).await
    }

    async fn stored(&self, path: String) -> Result<(String, Bytes), Error> {
        let bytes = self.store.get(&path).await?.ok_or_else(|| Error::NotFound { path: path.clone() })?;
        Ok((path, bytes))
    }

    /// The same warehouse with other limits on memory and files.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same warehouse, reading columns that old files lack out of the records beside them.
    #[must_use]
    pub fn with_projections(self, projections: Projections) -> Self {
        Self { projections, ..self }
    }

    /// The rows of a table as of a commit, in [`rows::state_schema`]: the nearest state with the changes since folded in.
    ///
    /// Empty if nobody had looked at the table by then. Rows of an append table come in the order they were added.
    pub async fn read_state(
        &self,
        head: &Head,
        commit: u64,
        source: &str,
        table: &str,
    ) -> Result<Vec<RecordBatch>, Error> {
        let columns = head.columns(commit, source, table);
        self.read_state_as(head, commit, source, table, columns).await
    }

    /// As [`Self::read_state`], under other typed columns than that commit's: those of today's manifest, or of a pin's.
    pub async fn read_state_as(
        &self,
        head: &Head,
        commit: u64,
        source: &str,
        table: &str,
        columns: Vec<(String, ColumnType)>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let stream = |head: &Head| self.stream_state(head, commit, source, table, columns.clone(), |_| true);
        let read = stream(head).try_collect().await;
        if !matches!(read, Err(Error::Corrupt { .. })) {
            return read;
        }
        // A state may have been dropped, and its file removed, since the reader took its head: then others give the rows.
        let mut fresh = head.clone();
        fresh.states.clone_from(&self.head().await?.states);
        if fresh.snapshot(commit, source, table) == head.snapshot(commit, source, table) {
            return read;
        }
        stream(&fresh).try_collect().await
    }

    /// The rows of a table as of a commit as a stream, in [`rows::state_schema`] of `columns`, of which only those come for
    /// whose names `wanted` holds, and the key. Memory does not grow with the table.
    pub fn stream_state<W: Fn(&str) -> bool + Send + Sync + 'static>(
        &self,
        head: &Head,
        commit: u64,
        source: &str,
        table: &str,
        columns: Vec<(String, ColumnType)>,
        wanted: W,
    ) -> impl Stream<Item = Result<RecordBatch, Error>> + Send + Unpin + use<W> + 'static {
        let files = self.files(head, commit, source, table).under(columns);
        streamed(move || files.read(&(Arc::new(wanted) as read::Wanted)))
    }

    /// The rows of change files as a stream, in [`rows::changes_schema`] of `columns`: those that a file lacks, or has in
    /// another type, out of its records. Columns as in [`Self::stream_state`], and the operation; rows that were only written
    /// anew are left out.
    pub fn stream_changes<W: Fn(&str) -> bool + Send + Sync + 'static>(
        &self,
        (source, table): (&str, &str),
        files: Vec<commit::DataFile>,
        columns: Vec<(String, ColumnType)>,
        wanted: W,
    ) -> impl Stream<Item = Result<RecordBatch, Error>> + Send + Unpin + use<W> + 'static {
        let changes = files.into_iter().map(|file| (0, file)).collect();
        let files = TableFiles::of(Disk::new(&self.store), columns, Vec::new(), changes, true);
        let files = files.with_records(self.projections.of(source, table));
        streamed(move || Ok(files.changed(&(Arc::new(wanted) as read::Wanted))))
    }

    /// Whether columns that old files of a table lack can be read out of its records.
    pub fn reads_records(&self, source: &str, table: &str) -> bool {
        self.projections.of(source, table).is_some()
    }

    /// What changed of a table between its nearest state and a commit, in memory: for readers that scan the state's files
    /// themselves. Columns as in [`Self::stream_state`].
    pub async fn since_state(
        &self,
        head: &Head,
        commit: u64,
        source: &str,
        table: &str,
        columns: Vec<(String, ColumnType)>,
        wanted: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<SinceState, Error> {
        let files = self.files(head, commit, source, table).under(columns);
        let read = tokio::task::spawn_blocking(move || files.since_state(&(Arc::new(wanted) as read::Wanted)));
        read.await.unwrap_or_else(|stopped| {
            Err(Error::Io { action: "read", path: format!("{source}.{table}"), source: stopped.into() })
        })
    }

    fn files(&self, head: &Head, commit: u64, source: &str, table: &str) -> TableFiles {
        let files = TableFiles::new(Disk::new(&self.store), head, commit, source, table);
        files.with_records(self.projections.of(source, table))
    }

    /// The rows that one commit changed in a table, in [`rows::changes_schema`] of its columns then; none if it changed
    /// nothing there. Rows that it only wrote anew, under another key for hashed fields, did not change.
    pub async fn read_changes(
        &self,
        head: &Head,
        commit: u64,
        source: &str,
        table: &str,
    ) -> Result<Vec<RecordBatch>, Error> {
        let tables = head.commit(commit).map(|commit| commit.tables.as_slice()).unwrap_or_default();
        let found = tables.iter().find(|found| found.source == source && found.table == table);
        let changes = found.into_iter().flat_map(|found| &found.changes).map(|file| (commit, file.clone())).collect();
        let columns = head.columns(commit, source, table);
        let files = TableFiles::of(Disk::new(&self.store), columns, Vec::new(), changes, true);
        let read = tokio::task::spawn_blocking(move || files.changed(&(Arc::new(|_: &str| true) as _)).collect());
        read.await.unwrap_or_else(|stopped| {
            Err(Error::Io { action: "read", path: format!("{source}.{table}"), source: stopped.into() })
        })
    }

    /// Takes the right to extract a source; [`Error::Locked`] if another process has it.
    pub async fn lock_source(&self, source: &str) -> Result<SourceLock, Error> {
        if !prepare::is_name(source) {
            let reason = "a source's name has letters, digits, `_`, `-` and `.` only".to_owned();
            return Err(Error::Input { name: source.to_owned(), table: "*".to_owned(), reason });
        }
        SourceLock::take(&self.store, source).await
    }
}

/// Batches that a thread which may block reads ahead of whoever asks for them.
fn streamed(
    read: impl FnOnce() -> Result<merge::Batches, Error> + Send + 'static,
) -> impl Stream<Item = Result<RecordBatch, Error>> + Send + Unpin + 'static {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
    // Decoding and hashing block; whoever stops reading stops the thread at its next batch.
    tokio::task::spawn_blocking(move || match read() {
        Ok(batches) => {
            for batch in batches {
                let is_error = batch.is_err();
                if sender.blocking_send(batch).is_err() || is_error {
                    break;
                }
            }
        }
        Err(error) => drop(sender.blocking_send(Err(error))),
    });
    futures::stream::poll_fn(move |context| receiver.poll_recv(context))
}

/// SHA-256 over a table's typed columns: what tells that two commits have the same ones.
fn fingerprint(columns: &[(String, String)]) -> String {
    let text: Vec<String> = columns.iter().map(|(name, word)| format!("{name}\u{1f}{word}")).collect();
    digest(text.join("\u{1e}").as_bytes())
}

/// The commit in the name of a data file: `data/<source>/<table>/<changes|state>/<commit>-<random>.parquet`.
fn commit_of(path: &str) -> Option<u64> {
    let mut parts = path.split('/');
    let (DATA, _, _, "changes" | "state", name, None) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next())
    else {
        return None;
    };
    let digits = name.strip_suffix(".parquet")?.split_once('-')?.0;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

fn definitions_path(hash: &str) -> String {
    format!("definitions/{hash}.json")
}
