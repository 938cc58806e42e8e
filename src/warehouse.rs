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
//! definitions/<sha256>.json                                         manifests, SQL, crosswalks and settings in force
//! data/<source>/<table>/changes/00000000000000000042-1f0c9a7b.parquet   what the commit changed
//! data/<source>/<table>/state/00000000000000000042-5d20e1c4.parquet     the table after it
//! locks/<source>.lock                                               one extract run per source
//! ```

mod as_of;
mod chain;
pub mod commit;
mod diff;
mod error;
mod files;
mod head;
mod lock;
mod marks;
#[cfg(test)]
mod marks_tests;
mod months;
mod prepare;
pub mod rows;
mod state;
mod store;
mod system;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

pub use as_of::{AsOf, end_of_day};
pub use error::Error;
pub use lock::SourceLock;
pub use marks::{MomentError, NewPin};
pub use months::MonthCommit;
pub use prepare::{CommitHeader, Prepared};
pub use system::{SystemTable, coverage_input, drift_input, rejects_input};

use commit::{FORMAT, Head};
use store::{Store, digest};

const IDENTITY: &str = "tieout.json";

/// One warehouse. Clones share the store and the chain as far as it was read.
#[derive(Clone, Debug)]
pub struct Warehouse {
    store: Store,
    id: Arc<str>,
    head: Arc<Mutex<Arc<Head>>>,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    format: u32,
    warehouse_id: String,
}

impl Warehouse {
    /// Opens the warehouse at a path or `file://` address, and creates it if there is none.
    pub async fn open_or_create(url: &str) -> Result<Self, Error> {
        let folder = Store::folder(url)?;
        std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let store = Store::open(&folder)?;
        if store.get(IDENTITY).await?.is_none() {
            if !store.list("commits", "").await?.is_empty() {
                return Err(Error::corrupt(
                    IDENTITY,
                    "it is missing, though there are commits; restore it from a backup",
                ));
            }
            let identity = Identity { format: FORMAT, warehouse_id: uuid::Uuid::new_v4().to_string() };
            let text = serde_json::to_vec_pretty(&identity);
            let text = text.map_err(|error| Error::corrupt(IDENTITY, error.to_string()))?;
            // Whoever comes second takes the first one's identity.
            store.put_new(IDENTITY, Bytes::from(text)).await?;
            store.flush(&[IDENTITY.to_owned()]).await?;
        }
        Self::with_store(store).await
    }

    /// Opens the warehouse at a path or `file://` address.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::with_store(Store::open(&Store::folder(url)?)?).await
    }

    async fn with_store(store: Store) -> Result<Self, Error> {
        let root = || store.root().display().to_string();
        let bytes = store.get(IDENTITY).await?.ok_or_else(|| Error::NotFound { path: root() })?;
        let identity: Identity = serde_json::from_slice(&bytes)
            .map_err(|error| Error::corrupt(IDENTITY, format!("it does not say which warehouse this is: {error}")))?;
        if identity.format != FORMAT {
            let reason = format!(
                "the warehouse has format {}, this version knows {FORMAT}\nhint: use a newer version of tieout",
                identity.format
            );
            return Err(Error::corrupt(IDENTITY, reason));
        }
        Ok(Self { store, id: Arc::from(identity.warehouse_id), head: Arc::default() })
    }

    /// The warehouse's id, a UUID.
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// The folder it lies in.
    pub fn root(&self) -> PathBuf {
        self.store.root().to_path_buf()
    }

    /// The store, rooted at the warehouse: paths of [`commit::DataFile`] are paths in it.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.store.objects()
    }

    /// The newest chain. Manifests once read are kept; a call lists and reads only what is new.
    pub async fn head(&self) -> Result<Arc<Head>, Error> {
        let mut known = self.head.lock().await;
        *known = chain::advance(&self.store, &self.id, &known).await?;
        Ok(Arc::clone(&known))
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
        let Some(snapshot) = head.snapshot(commit, source, table) else { return Ok(Vec::new()) };
        let columns = head.columns(commit, source, table);
        let mut before = Vec::new();
        if let Some(file) = &snapshot.state {
            before = files::read(&self.store, file).await?;
        }
        let mut changes = Vec::new();
        for (_, file) in &snapshot.changes {
            changes.extend(files::read(&self.store, file).await?);
        }
        let folded = if head.is_append(commit, source, table) {
            state::concatenate(&columns, &changes)
        } else {
            state::fold(&columns, &before, &changes)
        };
        folded.map_err(Error::arrow("fold", format!("{source}.{table} as of commit {commit}")))
    }

    /// The rows that one commit wrote as changes of a table, in [`rows::changes_schema`]; none if it changed nothing there.
    pub async fn read_changes(
        &self,
        head: &Head,
        commit: u64,
        source: &str,
        table: &str,
    ) -> Result<Vec<RecordBatch>, Error> {
        let tables = head.commit(commit).map(|commit| commit.tables.as_slice()).unwrap_or_default();
        let found = tables.iter().find(|found| found.source == source && found.table == table);
        match found.and_then(|found| found.changes.as_ref()) {
            Some(file) => files::read(&self.store, file).await,
            None => Ok(Vec::new()),
        }
    }

    /// Takes the right to extract a source; [`Error::Locked`] if another process has it.
    pub fn lock_source(&self, source: &str) -> Result<SourceLock, Error> {
        if !prepare::is_name(source) {
            let reason = "a source's name has letters, digits, `_`, `-` and `.` only".to_owned();
            return Err(Error::Input { name: source.to_owned(), table: "*".to_owned(), reason });
        }
        SourceLock::take(self.store.root(), source)
    }
}

fn definitions_path(hash: &str) -> String {
    format!("definitions/{hash}.json")
}
