//! Where a package goes: written beside its place, and there whole or not at all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::Error;
use super::index;

/// From so many bytes on a file needs the long form of an entry.
const LONG_ENTRY_BYTES: u64 = 3 << 30;

/// A package on its way.
#[derive(Debug)]
pub(super) struct Target {
    place: PathBuf,
    /// The folder that is filled.
    part: PathBuf,
    files: BTreeSet<String>,
    is_published: bool,
}

impl Target {
    /// Begins a package at a place where there is nothing yet.
    pub(super) fn begin(place: &Path) -> Result<Self, Error> {
        refuse_existing(place)?;
        let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.is_empty() {
            return Err(Error::Asked(format!(
                "write evidence to `{}`: it has no name of its own\nhint: -o FOLDER, or -o FILE.zip",
                place.display()
            )));
        }
        let part = place.with_file_name(format!(".{name}.part-{}", std::process::id()));
        std::fs::create_dir(&part).map_err(|source| failed(place, source))?;
        Ok(Self { place: place.to_owned(), part, files: BTreeSet::new(), is_published: false })
    }

    /// A new file of the package.
    pub(super) fn create(&mut self, path: &str) -> Result<BufWriter<File>, Error> {
        let file = self.place_for(path)?;
        File::create_new(&file).map(BufWriter::new).map_err(|source| self.failed(path, source))
    }

    /// Where a file of the package is to be written.
    pub(super) fn place_for(&mut self, path: &str) -> Result<PathBuf, Error> {
        let file = self.part.join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|source| self.failed(path, source))?;
        }
        self.files.insert(path.to_owned());
        Ok(file)
    }

    /// A file that is there already.
    pub(super) fn file(&self, path: &str) -> PathBuf {
        self.part.join(path)
    }

    /// Gives a file another name.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), Error> {
        std::fs::rename(self.part.join(from), self.part.join(to)).map_err(|source| self.failed(to, source))?;
        self.files.remove(from);
        self.files.insert(to.to_owned());
        Ok(())
    }

    /// Takes a file back.
    pub(super) fn remove(&mut self, path: &str) {
        self.files.remove(path);
        let _ = std::fs::remove_file(self.part.join(path));
    }

    /// Ends a file.
    pub(super) fn finish(&self, path: &str, file: BufWriter<File>) -> Result<(), Error> {
        let file = file.into_inner().map_err(|error| self.failed(path, error.into_error()))?;
        file.sync_all().map_err(|source| self.failed(path, source))
    }

    /// Writes a whole file.
    pub(super) fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.create(path)?;
        file.write_all(bytes).map_err(|source| self.failed(path, source))?;
        self.finish(path, file)
    }

    /// The folder itself, for what needs a place to work.
    pub(super) fn scratch(&self) -> &Path {
        &self.part
    }

    /// Every file, by path.
    pub(super) fn files(&self) -> Result<Vec<index::File>, Error> {
        let look = |path: &String| {
            let mut hash = Sha256::new();
            let mut file = File::open(self.part.join(path))?;
            let bytes = std::io::copy(&mut file, &mut Hashing(&mut hash))?;
            Ok(index::File { path: path.clone(), sha256: hex::encode(hash.finalize()), bytes })
        };
        self.files.iter().map(|path| look(path).map_err(|source| self.failed(path, source))).collect()
    }

    /// Puts the package in its place.
    pub(super) fn publish(mut self) -> Result<(), Error> {
        let is_zip = is_zip(&self.place);
        let whole = if is_zip { self.pack().map_err(|source| failed(&self.place, source))? } else { self.part.clone() };
        let published = refuse_existing(&self.place)
            .and_then(|()| std::fs::rename(&whole, &self.place).map_err(|source| failed(&self.place, source)));
        if is_zip && published.is_err() {
            let _ = std::fs::remove_file(&whole);
        }
        self.is_published = !is_zip && published.is_ok();
        published
    }

    /// All files in one, without the moments and owners that would make two packages differ.
    fn pack(&self) -> std::io::Result<PathBuf> {
        let whole = self.part.with_extension(format!("zip-{}", std::process::id()));
        let packed = File::create_new(&whole).and_then(|file| {
            let mut writer = ZipWriter::new(BufWriter::new(Once::new(file)));
            for path in &self.files {
                let mut file = File::open(self.part.join(path))?;
                let is_packed = Path::new(path).extension().is_some_and(|kind| kind == "xlsx");
                let method = if is_packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
                let options = SimpleFileOptions::default()
                    .compression_method(method)
                    .last_modified_time(zip::DateTime::default())
                    .unix_permissions(0o644)
                    .large_file(file.metadata()?.len() >= LONG_ENTRY_BYTES);
                writer.start_file(path, options)?;
                std::io::copy(&mut file, &mut writer)?;
            }
            writer.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?.into_file()?.sync_all()
        });
        if packed.is_err() {
            let _ = std::fs::remove_file(&whole);
        }
        packed.map(|()| whole)
    }

    /// What went wrong with a file of the package: named by its place in what was asked for.
    pub(super) fn failed(&self, path: &str, source: std::io::Error) -> Error {
        failed(&self.place.join(path), source)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.is_published {
            // Half a package would be taken for the whole.
            let _ = std::fs::remove_dir_all(&self.part);
        }
    }
}

/// Whether a package there is one file.
pub(super) fn is_zip(place: &Path) -> bool {
    place.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("zip"))
}

fn refuse_existing(place: &Path) -> Result<(), Error> {
    match std::fs::symlink_metadata(place) {
        Ok(_) => Err(Error::Asked(format!(
            "write evidence to {}: there is something already, and nothing was changed\n\
             hint: name another place with -o, or remove it first",
            place.display()
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(failed(place, source)),
    }
}

fn failed(place: &Path, source: std::io::Error) -> Error {
    Error::Write { place: place.to_owned(), source }
}

/// A file that fails once, and takes everything after that into nowhere. Whoever writes a ZIP ends it even when it is given up, and
/// would tell the world that this fails as well.
#[derive(Debug)]
pub(super) struct Once {
    file: File,
    has_failed: bool,
}

impl Once {
    pub(super) fn new(file: File) -> Self {
        Self { file, has_failed: false }
    }

    /// The file, if everything is in it.
    pub(super) fn into_file(self) -> std::io::Result<File> {
        if self.has_failed { Err(std::io::Error::other("a part of it was not written")) } else { Ok(self.file) }
    }

    fn noted<T>(&mut self, result: std::io::Result<T>) -> std::io::Result<T> {
        self.has_failed |= result.as_ref().is_err_and(|error| error.kind() != std::io::ErrorKind::Interrupted);
        result
    }
}

impl Write for Once {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.has_failed {
            return Ok(bytes.len());
        }
        let written = self.file.write(bytes);
        self.noted(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.has_failed {
            return Ok(());
        }
        let flushed = self.file.flush();
        self.noted(flushed)
    }
}

impl Seek for Once {
    fn seek(&mut self, place: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(place)
    }
}

/// Bytes on their way into a digest.
pub(super) struct Hashing<'a>(pub(super) &'a mut Sha256);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// SHA-256, hex, of what is read to its end.
pub(super) fn digest(reader: &mut dyn std::io::Read) -> std::io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let bytes = std::io::copy(reader, &mut Hashing(&mut hash))?;
    Ok((hex::encode(hash.finalize()), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_package_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "a.zip"] {
            let place = folder.path().join(name);
            let mut target = Target::begin(&place).unwrap();
            target.put("x/y.txt", b"one").unwrap();
            assert!(!place.exists());
            drop(target);
            assert!(names(folder.path()).is_empty(), "nothing is left behind");

            let mut target = Target::begin(&place).unwrap();
            target.put("x/y.txt", b"one").unwrap();
            target.put("b.txt", b"two").unwrap();
            let files = target.files().unwrap();
            assert_eq!(
                files.iter().map(|file| (file.path.as_str(), file.bytes)).collect::<Vec<_>>(),
                [("b.txt", 3), ("x/y.txt", 3)]
            );
            target.publish().unwrap();
            assert_eq!(names(folder.path()), [name]);
            let refused = Target::begin(&place).unwrap_err().to_string();
            assert!(refused.contains("there is something already") && refused.contains("hint:"), "{refused}");
            if place.is_dir() {
                std::fs::remove_dir_all(&place).unwrap();
            } else {
                std::fs::remove_file(&place).unwrap();
            }
        }
    }

    #[test]
    fn what_appeared_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.zip");
        let mut target = Target::begin(&place).unwrap();
        target.put("b.txt", b"two").unwrap();
        std::fs::write(&place, "mine").unwrap();
        assert!(matches!(target.publish(), Err(Error::Asked(_))));
        assert_eq!(std::fs::read(&place).unwrap(), b"mine");
        assert_eq!(names(folder.path()), ["a.zip"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Target::begin(&folder.path().join("gone/a")).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error}");
    }
}
