//! Files that appear whole or not at all.

use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::Failure;

/// A file that is written beside its place: a reader finds the old one or the new one. Dropped before its end it leaves nothing, for
/// half a file would be taken for the whole.
pub(super) struct Whole {
    place: PathBuf,
    part: PathBuf,
    trouble: Arc<OnceLock<ErrorKind>>,
}

/// The file while it is written. It remembers what went wrong: the writers of rows keep only an error's text.
pub(super) struct Part {
    file: File,
    trouble: Arc<OnceLock<ErrorKind>>,
}

impl Whole {
    /// Begins a file for a place, where one that is there is replaced.
    pub(super) fn create(place: &Path) -> Result<(Self, Part), Failure> {
        let mut part = place.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(|error| failed(place, Some(error.kind()), Failure::usage(error)))?;
        let trouble = Arc::default();
        Ok((Self { place: place.to_owned(), part, trouble: Arc::clone(&trouble) }, Part { file, trouble }))
    }

    /// Puts what was written in its place.
    pub(super) fn finish(&self, part: &Part) -> Result<(), Failure> {
        let put = part.file.sync_all().and_then(|()| std::fs::rename(&self.part, &self.place));
        put.map_err(Failure::usage)
    }

    /// Why there is no new file, and what to try.
    pub(super) fn failed(&self, failure: Failure) -> Failure {
        let told = failure.error.chain().find_map(|cause| cause.downcast_ref::<Error>()).map(Error::kind);
        failed(&self.place, self.trouble.get().copied().or(told), failure)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        // There is none any more where it was put in its place.
        let _ = std::fs::remove_file(&self.part);
    }
}

impl Part {
    fn note<T>(&self, result: std::io::Result<T>) -> std::io::Result<T> {
        result.inspect_err(|error| {
            // The first is the one that counts.
            let _ = self.trouble.set(error.kind());
        })
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.file.flush();
        self.note(flushed)
    }
}

fn failed(place: &Path, kind: Option<ErrorKind>, failure: Failure) -> Failure {
    let hint = kind.map(hint).unwrap_or_default();
    Failure { code: failure.code, error: failure.error.context(format!("write {}{hint}", place.display())) }
}

/// What to try against what the system said.
fn hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "\nhint: the disk is full: make room, or name another place; nothing was left behind, and a file that was there is as it was"
        }
        ErrorKind::FileTooLarge => {
            "\nhint: this system takes no file as large as that here (`ulimit -f`): name another place; nothing was left behind, \
             and a file that was there is as it was"
        }
        ErrorKind::NotFound | ErrorKind::NotADirectory => "\nhint: make its folder first, or name another place",
        ErrorKind::PermissionDenied => "\nhint: whoever runs tieout may not write there: name another place",
        ErrorKind::ReadOnlyFilesystem => "\nhint: the file system is mounted read-only: name another place",
        _ => "",
    }
}
