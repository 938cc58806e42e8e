//! Opening a warehouse, and making a new one: what is there is looked at first, and left alone if it is not ours.
//!
//! Invariants: only a place that is empty becomes a warehouse; only [`Warehouse::open_or_create`] writes; a warehouse that
//! cannot be read safely (newer, incomplete, another thing altogether) is refused before anything is written to it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::chain::HALF_COPIED;
use super::commit::FORMAT;
use super::error::Error;
use super::remote;
use super::store::Store;
use super::{IDENTITY, Warehouse};

/// What a warehouse has beside its identity.
const PARTS: [&str; 4] = ["commits", "checkpoints", "data", "definitions"];
/// What file systems and file managers put anywhere.
const NOT_OURS: [&str; 2] = ["lost+found", "System Volume Information"];

#[derive(Serialize, Deserialize)]
struct Identity {
    format: u32,
    warehouse_id: String,
}

/// What every format of the identity has.
#[derive(Deserialize)]
struct Preamble {
    format: u32,
}

impl Warehouse {
    /// Opens the warehouse at an address (`./folder`, `file://`, `s3://`, `az://`, `gs://`), and creates it if there is
    /// nothing.
    pub async fn open_or_create(url: &str) -> Result<Self, Error> {
        match Address::parse(url)? {
            Address::Folder(folder) => {
                if !folder.try_exists().map_err(Error::io("open", &folder))? {
                    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
                }
                Self::create_in(Store::in_folder(refuse_file(&folder)?)?).await
            }
            Address::Bucket(bucket) => Self::create_in(Store::over(remote::open(&bucket)?, &bucket.to_string())).await,
        }
    }

    /// Opens the warehouse at an address, and writes nothing.
    pub async fn open(url: &str) -> Result<Self, Error> {
        match Address::parse(url)? {
            Address::Folder(folder) => {
                if !folder.try_exists().map_err(Error::io("open", &folder))? {
                    return Err(Error::NotFound { path: folder.display().to_string() });
                }
                Self::open_in(Store::in_folder(refuse_file(&folder)?)?).await
            }
            Address::Bucket(bucket) => Self::open_in(Store::over(remote::open(&bucket)?, &bucket.to_string())).await,
        }
    }

    /// Opens the warehouse in a store of the caller's, and creates it if there is nothing. `location` names it to people.
    pub async fn open_or_create_in(objects: Arc<dyn ObjectStore>, location: &str) -> Result<Self, Error> {
        Self::create_in(Store::over(objects, location)).await
    }

    async fn create_in(store: Store) -> Result<Self, Error> {
        if let Some(id) = identity(&store).await? {
            return Ok(Self::new(store, id));
        }
        refuse_strangers(&store).await?;
        let identity = Identity { format: FORMAT, warehouse_id: uuid::Uuid::new_v4().to_string() };
        let text = serde_json::to_vec_pretty(&identity);
        let text = Bytes::from(text.map_err(|error| Error::corrupt(IDENTITY, error.to_string()))?);
        // Whoever comes second takes the first one's identity.
        if store.put_new(IDENTITY, text).await? {
            refuse_overwriting(&store).await?;
        }
        store.flush(&[IDENTITY.to_owned()]).await?;
        Self::open_in(store).await
    }

    async fn open_in(store: Store) -> Result<Self, Error> {
        if let Some(id) = identity(&store).await? {
            return Ok(Self::new(store, id));
        }
        match refuse_strangers(&store).await {
            Ok(()) => Err(Error::NotFound { path: store.location().to_owned() }),
            Err(refused) => Err(refused),
        }
    }
}

fn refuse_file(folder: &Path) -> Result<&Path, Error> {
    if folder.is_dir() {
        return Ok(folder);
    }
    let (url, reason) = (folder.display().to_string(), "it is a file; a warehouse is a folder".to_owned());
    Err(Error::NotAWarehouse { url, reason })
}

/// The warehouse's id; none if nothing says that this is a warehouse.
async fn identity(store: &Store) -> Result<Option<String>, Error> {
    let Some(bytes) = store.get(IDENTITY).await? else { return Ok(None) };
    let file = || format!("{}/{IDENTITY}", store.location());
    let unclear = |error: serde_json::Error| {
        Error::corrupt(file(), format!("it does not say which warehouse this is: {error}\n{HALF_COPIED}"))
    };
    let format = serde_json::from_slice::<Preamble>(&bytes).map_err(unclear)?.format;
    if format == 0 {
        let reason = format!("it has format 0, which there is not\n{HALF_COPIED}");
        return Err(Error::corrupt(file(), reason));
    }
    if format > FORMAT {
        return Err(Error::Newer { file: file(), found: format, known: FORMAT });
    }
    Ok(Some(serde_json::from_slice::<Identity>(&bytes).map_err(unclear)?.warehouse_id))
}

/// Refuses a place that has something in it, though no identity: another thing, or a copy that was cut short.
async fn refuse_strangers(store: &Store) -> Result<(), Error> {
    // On a disk empty folders and hidden files are seen only so.
    let names = match store.folder() {
        Some(folder) => {
            let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let entries = entries.map_err(Error::io("list", folder))?;
            entries.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        }
        None => store.root_names().await?,
    };
    let mut names: Vec<String> =
        names.into_iter().filter(|name| !name.starts_with('.') && !NOT_OURS.contains(&name.as_str())).collect();
    names.sort_unstable();
    // Somebody else has created it since we looked.
    if names.is_empty() || names.iter().any(|name| name == IDENTITY) {
        return Ok(());
    }
    if names.iter().any(|name| PARTS.contains(&name.as_str())) {
        let reason = format!("it is missing, though parts of a warehouse are there\n{HALF_COPIED}");
        return Err(Error::corrupt(format!("{}/{IDENTITY}", store.location()), reason));
    }
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    let more = if names.len() > 3 { ", …" } else { "" };
    let reason = format!("it has other files ({shown}{more}) and no {IDENTITY}");
    Err(Error::NotAWarehouse { url: store.location().to_owned(), reason })
}

/// A store that ignores preconditions would let two runs write the same commit: found out while nothing can be lost.
async fn refuse_overwriting(store: &Store) -> Result<(), Error> {
    let probe = Bytes::from_static(b"{\"format\":0}");
    let Some(written) = store.get(IDENTITY).await? else { return Ok(()) };
    if store.put_new(IDENTITY, probe).await? || store.get(IDENTITY).await?.as_ref() != Some(&written) {
        store.remove(IDENTITY).await?;
        let reason = "the store overwrites files that it was asked not to: two runs at once could lose a commit\n\
                      hint: it must honour `If-None-Match: *` (Amazon S3 does, MinIO since 2024)"
            .to_owned();
        return Err(Error::Address { url: store.location().to_owned(), reason });
    }
    Ok(())
}
