//! Many files at a time: what is there and how old it is, what it hashes to, removing it.
//!
//! Invariant: a file of any size passes through a buffer of fixed size.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path as FilePath;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::{Error, Store};

/// Bytes read at a time: large enough for a disk to run at its speed, small enough for the processor's cache.
const BUFFER_BYTES: usize = 1024 * 1024;

/// A file of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Path below the warehouse's root.
    pub(crate) path: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// When it was written, by the store's clock.
    pub(crate) modified_at: DateTime<Utc>,
}

/// What a file's bytes come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// SHA-256, hex.
    pub(crate) sha256: String,
    /// How many bytes there are.
    pub(crate) bytes: u64,
}

/// Is told how many bytes were read since it was last told.
pub(crate) type OnBytes = Arc<dyn Fn(u64) + Send + Sync>;

impl Store {
    /// Every file below a folder, sorted by path.
    pub(crate) async fn objects_below(&self, folder: &str) -> Result<Vec<Object>, Error> {
        let failed = |cause| self.failed("list", folder, cause);
        let found: Vec<_> = self.objects.list(Some(&Path::from(folder))).try_collect().await.map_err(failed)?;
        let object = |meta: object_store::ObjectMeta| Object {
            path: meta.location.to_string(),
            bytes: meta.size,
            modified_at: meta.last_modified,
        };
        let mut objects: Vec<Object> = found.into_iter().map(object).collect();
        objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }

    /// A file's size and age; none if there is none.
    pub(crate) async fn object(&self, path: &str) -> Result<Option<Object>, Error> {
        match self.objects.head(&Path::from(path)).await {
            Ok(meta) => Ok(Some(Object { path: path.to_owned(), bytes: meta.size, modified_at: meta.last_modified })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.failed("read", path, cause)),
        }
    }

    /// A file's digest, read in pieces; none if there is no file.
    pub(crate) async fn fingerprint(&self, path: &str, on_bytes: &OnBytes) -> Result<Option<Fingerprint>, Error> {
        let failed = |cause| self.failed("read", path, cause);
        let found = match self.objects.get(&Path::from(path)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let mut pieces = match found.payload {
            // Read where the file lies: through the stream, every few kilobytes would change threads.
            GetResultPayload::File(file, place) => {
                let on_bytes = Arc::clone(on_bytes);
                let read = tokio::task::spawn_blocking(move || {
                    read_through(file, &on_bytes).map_err(Error::io("read", &place))
                });
                return read.await.unwrap_or_else(|stopped| Err(stopped_at(path, stopped))).map(Some);
            }
            GetResultPayload::Stream(pieces) => pieces,
        };
        let (mut hasher, mut bytes) = (Sha256::new(), 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(failed)?;
            hasher.update(&piece);
            bytes += piece.len() as u64;
            on_bytes(piece.len() as u64);
        }
        Ok(Some(Fingerprint { sha256: hex::encode(hasher.finalize()), bytes }))
    }

    /// What writes that died left beside their targets on a local disk (`name#1`); a store hides them from its lists.
    pub(crate) fn leftovers(&self, folder: &str) -> Result<Vec<Object>, Error> {
        // A bucket has none: a write that dies there leaves nothing that a list shows.
        let Some(root) = self.folder() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut folders = vec![root.join(folder)];
        while let Some(folder) = folders.pop() {
            let failed = || Error::io("list", &folder);
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed()(error)),
            };
            for entry in entries {
                let entry = entry.map_err(failed())?;
                let meta = entry.metadata().map_err(failed())?;
                if meta.is_dir() {
                    folders.push(entry.path());
                } else if is_leftover(&entry.file_name().to_string_lossy()) {
                    let modified = meta.modified().map_err(failed())?;
                    found.push(Object {
                        path: relative(root, &entry.path()),
                        bytes: meta.len(),
                        modified_at: modified.into(),
                    });
                }
            }
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Removes one of [`Self::leftovers`].
    pub(crate) fn remove_leftover(&self, path: &str) -> Result<(), Error> {
        let Some(root) = self.folder() else { return Ok(()) };
        let file = root.join(path);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &file)(error)),
            _ => Ok(()),
        }
    }
}

/// The store from a thread that may block.
#[derive(Clone)]
pub(crate) struct Blocking {
    store: Store,
    runtime: Handle,
    on_bytes: OnBytes,
}

impl Blocking {
    /// To be called on a runtime, and used on its blocking threads.
    pub(crate) fn new(store: &Store, on_bytes: OnBytes) -> Self {
        Self { store: store.clone(), runtime: Handle::current(), on_bytes }
    }

    /// A file as one on the local disk: itself, or a copy of what lies elsewhere, gone when it is closed.
    pub(crate) fn open(&self, path: &str) -> Result<File, Error> {
        let failed = |cause| self.store.failed("read", path, cause);
        let copied = |source| Error::Io { action: "copy to the temporary folder", path: path.to_owned(), source };
        let found = self.runtime.block_on(self.store.objects.get(&Path::from(path))).map_err(failed)?;
        match found.payload {
            GetResultPayload::File(file, _) => Ok(file),
            GetResultPayload::Stream(mut pieces) => {
                let mut copy = tempfile::tempfile().map_err(copied)?;
                while let Some(piece) = self.runtime.block_on(pieces.try_next()).map_err(failed)? {
                    copy.write_all(&piece).map_err(copied)?;
                }
                copy.rewind().map_err(copied)?;
                Ok(copy)
            }
        }
    }

    /// Tells that so many bytes were read.
    pub(crate) fn note(&self, bytes: u64) {
        (self.on_bytes)(bytes);
    }
}

fn read_through(mut file: File, on_bytes: &OnBytes) -> std::io::Result<Fingerprint> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    loop {
        let read = match file.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
        hasher.update(piece);
        bytes += read as u64;
        on_bytes(read as u64);
    }
    Ok(Fingerprint { sha256: hex::encode(hasher.finalize()), bytes })
}

fn stopped_at(path: &str, stopped: tokio::task::JoinError) -> Error {
    Error::Io { action: "read", path: path.to_owned(), source: stopped.into() }
}

/// A file name with `#` and digits at its end.
fn is_leftover(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn relative(root: &FilePath, path: &FilePath) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
