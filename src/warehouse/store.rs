//! Bytes in and out: the only place, beside `remote` that opens a bucket and the accessor for the engine, that touches
//! `object_store`.
//!
//! Invariants: nothing is overwritten ([`Store::put_new`] is put-if-absent: on a local disk by hard link, so that a file is
//! there whole or not at all, elsewhere by the store's own precondition); every error names the path. Leaves out: what the
//! bytes mean.

mod sweep;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion, WriteMultipart,
};
use sha2::{Digest, Sha256};

use super::error::Error;

pub(super) use sweep::{Blocking, Fingerprint, Object, OnBytes};

/// A larger file goes to a bucket in parts: one request for it would take too long on a slow line.
const PUT_BYTES_MAX: usize = 64 << 20;
/// One part; and so many at once.
const PART_BYTES: usize = 16 << 20;
const PARTS_AT_ONCE: usize = 4;
/// How often a write is tried again that a store refused because another one was under way.
const CONFLICTS_MAX: u32 = 5;

/// The store of one warehouse: paths are relative to its root, with `/`.
#[derive(Clone, Debug)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    /// For people: the folder, or the bucket's address without its options.
    location: Arc<str>,
    /// Where the files are, if they are on a local disk.
    folder: Option<Arc<FilePath>>,
}

impl Store {
    /// Opens an existing folder.
    pub(super) fn in_folder(folder: &FilePath) -> Result<Self, Error> {
        let root = folder.canonicalize().map_err(Error::io("open", folder))?;
        let location = root.display().to_string();
        let failed = |cause| Error::Store { action: "open", path: location.clone(), cause };
        let objects = LocalFileSystem::new_with_prefix(&root).map_err(failed)?;
        Ok(Self { objects: Arc::new(objects), location: Arc::from(location), folder: Some(Arc::from(root)) })
    }

    /// Takes a store whose root is the warehouse's.
    pub(super) fn over(objects: Arc<dyn ObjectStore>, location: &str) -> Self {
        Self { objects, location: Arc::from(location), folder: None }
    }

    #[cfg(test)]
    pub(super) fn wrapping(&self, objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, ..self.clone() }
    }

    pub(super) fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// Where it is, for people.
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// The folder, if it is on a local disk.
    pub(super) fn folder(&self) -> Option<&FilePath> {
        self.folder.as_deref()
    }

    /// The whole file; none if there is none.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.get_versioned(path).await?.map(|(bytes, _)| bytes))
    }

    /// The whole file and which version of it that is; none if there is none.
    pub(super) async fn get_versioned(&self, path: &str) -> Result<Option<(Bytes, UpdateVersion)>, Error> {
        let failed = |cause| self.failed("read", path, cause);
        let found = match self.objects.get(&Path::from(path)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { source, .. }) if !is_no_bucket(source.as_ref()) => return Ok(None),
            Err(cause) => return Err(failed(cause)),
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        Ok(Some((found.bytes().await.map_err(failed)?, version)))
    }

    /// A part of the file; none if there is no file.
    pub(super) async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Option<Bytes>, Error> {
        match self.objects.get_range(&Path::from(path), range).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { source, .. }) if !is_no_bucket(source.as_ref()) => Ok(None),
            Err(cause) => Err(self.failed("read", path, cause)),
        }
    }

    /// Writes the file unless there is one of that name; says whether it did.
    pub(super) async fn put_new(&self, path: &str, bytes: Bytes) -> Result<bool, Error> {
        if self.folder.is_none() && bytes.len() > PUT_BYTES_MAX {
            return self.put_parts(path, bytes).await;
        }
        for attempt in 1.. {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let payload = PutPayload::from(bytes.clone());
            let failure = match self.objects.put_opts(&Path::from(path), payload, options).await {
                Ok(_) => return Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) if self.folder.is_some() => return Ok(false),
                Err(cause @ object_store::Error::AlreadyExists { .. }) => cause,
                // Only the answer may be lost: a bucket is asked what became of it.
                Err(cause @ object_store::Error::Generic { .. }) if self.folder.is_none() => cause,
                Err(cause) => return Err(self.failed("write", path, cause)),
            };
            // A request that was sent again finds what it wrote itself; one that met another under way finds nothing.
            match (self.get(path).await, failure) {
                (Ok(Some(found)), _) => return Ok(found == bytes),
                (Ok(None), object_store::Error::AlreadyExists { .. }) if attempt < CONFLICTS_MAX => {
                    tokio::time::sleep(Duration::from_millis(50) * attempt).await;
                }
                (_, cause) => return Err(self.failed("write", path, cause)),
            }
        }
        Ok(false)
    }

    /// As [`Self::put_new`] for large files: no store joins parts under a precondition, so only for names nobody else takes.
    async fn put_parts(&self, path: &str, bytes: Bytes) -> Result<bool, Error> {
        let failed = |cause| self.failed("write", path, cause);
        let place = Path::from(path);
        match self.objects.head(&place).await {
            Ok(_) => return Ok(false),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(cause) => return Err(failed(cause)),
        }
        let upload = self.objects.put_multipart(&place).await.map_err(failed)?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut rest = bytes;
        while !rest.is_empty() {
            parts.wait_for_capacity(PARTS_AT_ONCE).await.map_err(failed)?;
            parts.put(rest.split_to(PART_BYTES.min(rest.len())));
        }
        parts.finish().await.map(|_| true).map_err(failed)
    }

    /// Replaces that version of the file; says whether it was still that version.
    pub(super) async fn replace(&self, path: &str, bytes: Bytes, version: UpdateVersion) -> Result<bool, Error> {
        let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
        match self.objects.put_opts(&Path::from(path), PutPayload::from(bytes), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }) => Ok(false),
            Err(cause) => Err(self.failed("write", path, cause)),
        }
    }

    /// Removes a file that nothing refers to.
    pub(super) async fn remove(&self, path: &str) -> Result<(), Error> {
        match self.objects.delete(&Path::from(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.failed("remove", path, cause)),
        }
    }

    /// The names of the files in `folder` that sort after `after`, ascending.
    pub(super) async fn list(&self, folder: &str, after: &str) -> Result<Vec<String>, Error> {
        let failed = |cause| self.failed("list", folder, cause);
        let prefix = Path::from(folder);
        let found: Vec<ObjectMeta> = if after.is_empty() {
            self.objects.list(Some(&prefix)).try_collect().await.map_err(failed)?
        } else {
            let offset = Path::from(format!("{folder}/{after}"));
            self.objects.list_with_offset(Some(&prefix), &offset).try_collect().await.map_err(failed)?
        };
        let mut names: Vec<String> =
            found.iter().filter_map(|object| object.location.filename().map(ToOwned::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The path of some file below `folder` whose name fits; the listing ends with it.
    pub(super) async fn find(&self, folder: &str, fits: impl Fn(&str) -> bool) -> Result<Option<String>, Error> {
        let failed = |cause| self.failed("list", folder, cause);
        let mut all = self.objects.list(Some(&Path::from(folder)));
        while let Some(object) = all.try_next().await.map_err(failed)? {
            if object.location.filename().is_some_and(&fits) {
                return Ok(Some(object.location.to_string()));
            }
        }
        Ok(None)
    }

    /// The names of files and folders at the root.
    pub(super) async fn root_names(&self) -> Result<Vec<String>, Error> {
        let failed = |cause| self.failed("list", "", cause);
        let found = self.objects.list_with_delimiter(None).await.map_err(failed)?;
        let paths = found.common_prefixes.into_iter().chain(found.objects.into_iter().map(|object| object.location));
        Ok(paths.filter_map(|path| path.filename().map(ToOwned::to_owned)).collect())
    }

    /// The names of the files and of the folders just below a folder.
    pub(super) async fn level(&self, below: &str) -> Result<(Vec<String>, Vec<String>), Error> {
        let prefix = (!below.is_empty()).then(|| Path::from(below));
        let failed = |cause| self.failed("list", below, cause);
        let found = self.objects.list_with_delimiter(prefix.as_ref()).await.map_err(failed)?;
        let name = |path: Path| path.filename().map(ToOwned::to_owned);
        let files = found.objects.into_iter().filter_map(|object| name(object.location));
        Ok((files.collect(), found.common_prefixes.into_iter().filter_map(name).collect()))
    }

    /// Forces files and the folders that name them to the disk, so that they outlive a power cut. A bucket does so itself.
    pub(super) async fn flush(&self, paths: &[String]) -> Result<(), Error> {
        let Some(root) = self.folder.as_deref() else { return Ok(()) };
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        let mut targets = Vec::new();
        for path in paths {
            let file = root.join(path);
            folders.extend(file.ancestors().skip(1).take_while(|it| it.starts_with(root)).map(ToOwned::to_owned));
            targets.push(file);
        }
        // Only Unix lets a folder be opened and flushed.
        if cfg!(unix) {
            targets.extend(folders);
        }
        let flushed = tokio::task::spawn_blocking(move || {
            targets.iter().try_for_each(|path| {
                std::fs::File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("flush", path))
            })
        });
        flushed.await.unwrap_or_else(|stopped| {
            Err(Error::Io { action: "flush", path: self.location.to_string(), source: stopped.into() })
        })
    }

    /// On a disk the message of the system has the full path already; a bucket's name would be missing.
    fn failed(&self, action: &'static str, path: &str, cause: object_store::Error) -> Error {
        let path = if self.folder.is_some() { path.to_owned() } else { format!("{}/{path}", self.location) };
        Error::Store { action, path, cause }
    }
}

/// A missing bucket is answered like a missing file; only its text differs.
fn is_no_bucket(source: &(dyn std::error::Error + 'static)) -> bool {
    let text = source.to_string();
    ["NoSuchBucket", "ContainerNotFound", "bucket does not exist"].iter().any(|code| text.contains(code))
}

/// SHA-256 of `bytes`, hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
