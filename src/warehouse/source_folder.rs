//! Folders and buckets that are somebody else's: files are read from them, and nothing is ever written.
//!
//! Invariant: addresses are those of warehouses, with credentials from the same places. Leaves out: what the files mean.

use std::path::PathBuf;

use bytes::Bytes;

use super::address::Address;
use super::error::Error;
use super::remote;
use super::store::Store;

/// A folder of a disk, or of a bucket.
#[derive(Clone, Debug)]
pub struct SourceFolder {
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// Names of files may hold what no object's may.
    Disk(PathBuf),
    Bucket(Store),
}

impl SourceFolder {
    /// Opens `./folder`, `file://…`, `s3://…`, `az://…` or `gs://…`; nothing is asked of a bucket yet.
    ///
    /// # Errors
    /// An address that is none, or a folder that is not there.
    pub fn open(url: &str) -> Result<Self, Error> {
        let place = match Address::parse(url)? {
            Address::Folder(folder) if folder.is_dir() => Place::Disk(folder),
            Address::Folder(folder) => return Err(Error::NotFound { path: folder.display().to_string() }),
            Address::Bucket(bucket) => Place::Bucket(Store::over(remote::open(&bucket)?, &bucket.to_string())),
        };
        Ok(Self { place })
    }

    /// A path in it, for people.
    pub fn shown(&self, path: &str) -> String {
        match &self.place {
            Place::Disk(folder) => folder.join(path).display().to_string(),
            Place::Bucket(store) => format!("{}/{path}", store.location()),
        }
    }

    /// A whole file; none if there is none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        match &self.place {
            Place::Bucket(store) => store.get(path).await,
            Place::Disk(folder) => {
                let file = folder.join(path);
                match tokio::fs::read(&file).await {
                    Ok(bytes) => Ok(Some(Bytes::from(bytes))),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(Error::io("read", &file)(error)),
                }
            }
        }
    }

    /// The names of the files and of the folders in a folder below, sorted; hidden ones are left out.
    ///
    /// # Errors
    /// A place that cannot be listed.
    pub async fn names(&self, below: &str) -> Result<(Vec<String>, Vec<String>), Error> {
        let (mut files, mut folders) = match &self.place {
            Place::Bucket(store) => store.level(below).await?,
            Place::Disk(folder) => on_disk(&folder.join(below))?,
        };
        for names in [&mut files, &mut folders] {
            names.retain(|name| !name.starts_with('.'));
            names.sort_unstable();
        }
        Ok((files, folders))
    }
}

fn on_disk(folder: &std::path::Path) -> Result<(Vec<String>, Vec<String>), Error> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() { folders.push(name) } else { files.push(name) }
    }
    Ok((files, folders))
}
