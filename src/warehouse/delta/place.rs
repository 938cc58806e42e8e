//! Where Delta logs lie: beside the states in the warehouse, or in a folder or bucket elsewhere.
//!
//! In the warehouse the root of a Delta table is the folder of its states, `data/<source>/<table>/state`: paths are names of
//! files in it, which every reader follows, and a cleaner that some engine sends over the table meets no change file there.
//! Elsewhere paths are absolute addresses.
//!
//! Invariants: nothing is overwritten; a place that has anything else in it is refused before anything is written.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::log::{self, Entry};
use crate::warehouse::address::Address;
use crate::warehouse::error::Error;
use crate::warehouse::store::Store;
use crate::warehouse::{IDENTITY, Warehouse, remote};

/// In a warehouse: its tables may have logs.
const NOTE: &str = "exports/delta.json";
/// Elsewhere: whose tables these are.
const OWNER: &str = "tieout-export.json";
const FOLDER: &str = "_delta_log";

#[derive(Serialize, Deserialize)]
struct Owner {
    format: u32,
    warehouse_id: String,
}

/// Where logs go.
#[derive(Clone, Debug)]
pub(super) struct Place {
    store: Store,
    /// The warehouse's root as an address, for logs elsewhere.
    absolute: Option<Arc<str>>,
}

impl Place {
    /// In the warehouse, beside the states.
    pub(super) fn within(warehouse: &Warehouse) -> Self {
        Self { store: warehouse.store.clone(), absolute: None }
    }

    /// Whether logs were ever written there.
    pub(super) async fn is_noted(warehouse: &Warehouse) -> Result<bool, Error> {
        Ok(warehouse.store.get(NOTE).await?.is_some())
    }

    /// At an address, which must be empty or have been written by an export of this warehouse.
    pub(super) async fn elsewhere(warehouse: &Warehouse, url: &str) -> Result<Self, Error> {
        let absolute = absolute(&warehouse.store)?;
        let (store, is_new) = match Address::parse(url)? {
            Address::Folder(folder) => {
                let is_new = !folder.try_exists().map_err(Error::io("open", &folder))?;
                if is_new {
                    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
                } else if !folder.is_dir() {
                    return Err(refuse(&folder.display().to_string(), "it is a file"));
                }
                (Store::in_folder(&folder)?, is_new)
            }
            Address::Bucket(bucket) => (Store::over(remote::open(&bucket)?, &bucket.to_string()), false),
        };
        if !is_new {
            check_owner(&store, &warehouse.id).await?;
        }
        Ok(Self { store, absolute: Some(Arc::from(absolute)) })
    }

    /// Notes that logs are there, before the first of them is.
    pub(super) async fn note(&self, warehouse_id: &str) -> Result<(), Error> {
        let path = if self.absolute.is_some() { OWNER } else { NOTE };
        let owner = Owner { format: 1, warehouse_id: warehouse_id.to_owned() };
        let text = serde_json::to_vec(&owner).map_err(|error| Error::corrupt(path, error.to_string()))?;
        if self.store.put_new(path, Bytes::from(text)).await? {
            self.store.flush(&[path.to_owned()]).await?;
        }
        Ok(())
    }

    /// The log of one table.
    pub(super) fn log(&self, source: &str, table: &str) -> Log {
        let root = match self.absolute {
            Some(_) => format!("{source}/{table}"),
            None => format!("data/{source}/{table}/state"),
        };
        Log { place: self.clone(), root }
    }
}

/// The log of one table.
#[derive(Clone, Debug)]
pub(super) struct Log {
    place: Place,
    /// The Delta table's root, below the store's.
    root: String,
}

impl Log {
    /// The Delta table's address, for people.
    pub(super) fn location(&self) -> String {
        format!("{}/{}", self.place.store.location(), self.root)
    }

    fn path(&self, version: u64) -> String {
        format!("{}/{FOLDER}/{}", self.root, log::name(version))
    }

    /// How an entry names a file of the warehouse.
    pub(super) fn name_of(&self, file: &str) -> String {
        match &self.place.absolute {
            Some(absolute) => format!("{absolute}/{file}"),
            None => file.strip_prefix(self.root.as_str()).unwrap_or(file).trim_start_matches('/').to_owned(),
        }
    }

    /// The newest entry; none if there is no log yet.
    pub(super) async fn newest(&self) -> Result<Option<Entry>, Error> {
        let names = self.place.store.list(&format!("{}/{FOLDER}", self.root), "").await?;
        let newest = names.iter().filter_map(|name| log::version(name)).max();
        let Some(version) = newest else {
            return if names.is_empty() { Ok(None) } else { Err(self.strange("it is a log without entries")) };
        };
        let path = self.path(version);
        let bytes = self.place.store.get(&path).await?.ok_or_else(|| Error::NotFound { path: path.clone() })?;
        let entry =
            Entry::parse(version, &bytes).map_err(|reason| self.strange(&format!("version {version}: {reason}")))?;
        self.stamp(&entry).await?;
        Ok(Some(entry))
    }

    /// Writes an entry unless that version is there; says whether it did.
    pub(super) async fn put(&self, entry: &Entry, bytes: Bytes) -> Result<bool, Error> {
        let is_new = self.place.store.put_new(&self.path(entry.version), bytes).await?;
        if is_new {
            self.stamp(entry).await?;
        }
        Ok(is_new)
    }

    /// Forces entries to the disk.
    pub(super) async fn flush(&self, versions: std::ops::Range<u64>) -> Result<(), Error> {
        let paths: Vec<String> = versions.map(|version| self.path(version)).collect();
        self.place.store.flush(&paths).await
    }

    /// Readers that do not know the moment in an entry go by the age of its file. A bucket does not let that be set.
    async fn stamp(&self, entry: &Entry) -> Result<(), Error> {
        let Some(folder) = self.place.store.folder() else { return Ok(()) };
        let path = folder.join(self.path(entry.version));
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(entry.at).unwrap_or_default());
        let set = tokio::task::spawn_blocking(move || {
            let file = std::fs::File::options().append(true).open(&path);
            let set = file.and_then(|file| {
                if file.metadata()?.modified()? == at {
                    return Ok(());
                }
                file.set_modified(at)
            });
            set.map_err(Error::io("set the age of", &path))
        });
        set.await.unwrap_or_else(|stopped| {
            Err(Error::Io { action: "set the age of", path: self.location(), source: stopped.into() })
        })
    }

    /// Something in the log that an export of this table did not write.
    pub(super) fn strange(&self, reason: &str) -> Error {
        let advice = "if nobody needs its older versions, delete that folder and export again";
        refuse(&self.location(), &format!("{FOLDER} is no log of this warehouse's: {reason}\nhint: {advice}"))
    }
}

fn refuse(place: &str, reason: &str) -> Error {
    Error::Target { place: place.to_owned(), reason: reason.to_owned() }
}

async fn check_owner(store: &Store, warehouse_id: &str) -> Result<(), Error> {
    let refused = |reason: &str| Err(refuse(store.location(), reason));
    if store.get(IDENTITY).await?.is_some() {
        return refused("it is a warehouse: without --to, tables are published in the warehouse itself");
    }
    if let Some(bytes) = store.get(OWNER).await? {
        return match serde_json::from_slice::<Owner>(&bytes) {
            Ok(owner) if owner.format != 1 => refused("a newer version of tieout wrote it"),
            Ok(owner) if owner.warehouse_id == warehouse_id => Ok(()),
            Ok(owner) => refused(&format!("it has tables of another warehouse, {}", owner.warehouse_id)),
            Err(error) => refused(&format!("its {OWNER} cannot be read: {error}")),
        };
    }
    let mut names = store.root_names().await?;
    names.retain(|name| !name.starts_with('.'));
    names.sort_unstable();
    match names.first() {
        None => Ok(()),
        Some(name) => refused(&format!("it has other files ({name}, …) and no {OWNER}")),
    }
}

/// The warehouse's root as an address that programs follow without knowing where they read it.
fn absolute(store: &Store) -> Result<String, Error> {
    let location = store.location();
    if let Some(folder) = store.folder() {
        return of_folder(folder).ok_or_else(|| refuse(location, "its path is no address"));
    }
    if ["s3://", "gs://"].iter().any(|scheme| location.starts_with(scheme)) {
        return Ok(location.to_owned());
    }
    let reason = "the warehouse is in a store whose files have no address that readers agree on\n\
                  hint: leave --to out: tables published in the warehouse itself need none";
    Err(refuse(location, reason))
}

fn of_folder(folder: &FilePath) -> Option<String> {
    let url = url::Url::from_directory_path(folder).ok()?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}
