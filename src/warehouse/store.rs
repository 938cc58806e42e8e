//! Bytes in and out: the only place, beside the accessor for the engine, that touches `object_store`.
//!
//! Invariants: nothing is overwritten ([`Store::put_new`] is put-if-absent, on a local disk by hard link, so that a file is
//! there whole or not at all); every error names the path. Leaves out: what the bytes mean.

mod sweep;

use std::collections::BTreeSet;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use sha2::{Digest, Sha256};

use super::error::Error;

pub(super) use sweep::{Blocking, Fingerprint, Object, OnBytes};

/// The store of one warehouse: paths are relative to its root, with `/`.
#[derive(Clone, Debug)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    root: PathBuf,
}

impl Store {
    /// The folder that an address names.
    pub(super) fn folder(url: &str) -> Result<PathBuf, Error> {
        match url.split_once("://") {
            None => Ok(PathBuf::from(url)),
            Some(("file", _)) => {
                let unsupported = || Error::UnsupportedStore { url: url.to_owned(), scheme: "file".to_owned() };
                url::Url::parse(url).ok().and_then(|url| url.to_file_path().ok()).ok_or_else(unsupported)
            }
            Some((scheme, _)) => Err(Error::UnsupportedStore { url: url.to_owned(), scheme: scheme.to_owned() }),
        }
    }

    /// Opens an existing folder.
    pub(super) fn open(folder: &FilePath) -> Result<Self, Error> {
        if !folder.is_dir() {
            return Err(Error::NotFound { path: folder.display().to_string() });
        }
        let root = folder.canonicalize().map_err(Error::io("open", folder))?;
        let objects = LocalFileSystem::new_with_prefix(&root).map_err(|source| Error::Store {
            action: "open",
            path: root.display().to_string(),
            source,
        })?;
        Ok(Self { objects: Arc::new(objects), root })
    }

    #[cfg(test)]
    pub(super) fn wrapping(&self, objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, root: self.root.clone() }
    }

    pub(super) fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    pub(super) fn root(&self) -> &FilePath {
        &self.root
    }

    /// The whole file; none if there is none.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let failed = |source| Error::Store { action: "read", path: path.to_owned(), source };
        match self.objects.get(&Path::from(path)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(source)),
        }
    }

    /// Writes the file unless there is one of that name; says whether it did.
    pub(super) async fn put_new(&self, path: &str, bytes: Bytes) -> Result<bool, Error> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(&Path::from(path), PutPayload::from(bytes), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(source) => Err(Error::Store { action: "write", path: path.to_owned(), source }),
        }
    }

    /// The names of the files in `folder` that sort after `after`, ascending.
    pub(super) async fn list(&self, folder: &str, after: &str) -> Result<Vec<String>, Error> {
        let failed = |source| Error::Store { action: "list", path: folder.to_owned(), source };
        let (prefix, offset) = (Path::from(folder), Path::from(format!("{folder}/{after}")));
        let found: Vec<_> =
            self.objects.list_with_offset(Some(&prefix), &offset).try_collect().await.map_err(failed)?;
        let mut names: Vec<String> =
            found.iter().filter_map(|object| object.location.filename().map(ToOwned::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Forces files and the folders that name them to the disk, so that they outlive a power cut.
    pub(super) async fn flush(&self, paths: &[String]) -> Result<(), Error> {
        let mut folders = BTreeSet::new();
        let mut targets = Vec::new();
        for path in paths {
            let file = self.root.join(path);
            folders.extend(file.ancestors().skip(1).take_while(|it| it.starts_with(&self.root)).map(ToOwned::to_owned));
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
            Err(Error::Io { action: "flush", path: self.root.display().to_string(), source: stopped.into() })
        })
    }
}

/// SHA-256 of `bytes`, hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
