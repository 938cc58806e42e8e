//! The files of a package, whether it is a folder or a ZIP file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::evidence::Error;
use crate::evidence::target::digest;

/// A package that is read.
pub(super) struct Opened {
    place: PathBuf,
    paths: BTreeSet<String>,
    archive: Option<ZipArchive<BufReader<File>>>,
}

impl Opened {
    pub(super) fn open(place: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Read { place: place.to_owned(), source };
        let absent = |error| {
            let hint = "hint: a folder or a ZIP file that `tieout evidence` made";
            Error::Asked(format!("read {}: {error}\n{hint}", place.display()))
        };
        let is_folder = std::fs::metadata(place).map_err(absent)?.is_dir();
        let mut opened = Self { place: place.to_owned(), paths: BTreeSet::new(), archive: None };
        if is_folder {
            opened.walk(place, "").map_err(failed)?;
        } else {
            let file = File::open(place).map_err(failed)?;
            let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| {
                Error::Asked(format!(
                    "verify {}: it is neither a folder nor a ZIP file that can be read: {error}\n\
                     hint: `tieout evidence` makes packages; if it was copied, copy it again",
                    place.display()
                ))
            })?;
            // A folder's entry is no file.
            for name in archive.file_names() {
                let name = name.map_err(|error| failed(error.into()))?;
                if !name.ends_with('/') {
                    opened.paths.insert(name.into_owned());
                }
            }
            opened.archive = Some(archive);
        }
        Ok(opened)
    }

    fn walk(&mut self, folder: &Path, below: &str) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let path = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"))?;
            } else {
                self.paths.insert(path);
            }
        }
        Ok(())
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Every file, in order.
    pub(super) fn paths(&self) -> Vec<String> {
        self.paths.iter().cloned().collect()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Reads a file with `read`; the inner error if this file alone cannot be read.
    pub(super) fn read<T>(
        &mut self,
        path: &str,
        read: impl FnOnce(&mut dyn Read) -> std::io::Result<T>,
    ) -> Result<Result<T, String>, Error> {
        let text = |error: std::io::Error| error.to_string();
        let Some(archive) = &mut self.archive else {
            let file = File::open(self.place.join(path));
            return Ok(file.and_then(|file| read(&mut BufReader::new(file))).map_err(text));
        };
        match archive.by_name(path) {
            Ok(mut file) => Ok(read(&mut file).map_err(text)),
            Err(ZipError::Io(source)) => Err(Error::Read { place: self.place.clone(), source }),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// SHA-256 and size.
    pub(super) fn digest(&mut self, path: &str) -> Result<Result<(String, u64), String>, Error> {
        self.read(path, |reader| digest(reader))
    }

    /// The whole file; none if it is not there.
    pub(super) fn bytes(&mut self, path: &str) -> Result<Option<Result<Vec<u8>, String>>, Error> {
        if !self.has(path) {
            return Ok(None);
        }
        let all = |reader: &mut dyn Read| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        self.read(path, all).map(Some)
    }
}
