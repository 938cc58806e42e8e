//! Files that appear whole or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Failure;

/// A file that is written beside its place: a reader finds the old one or the new one. Dropped before its end it leaves nothing, for
/// half a file would be taken for the whole.
pub(super) struct Whole {
    place: PathBuf,
    part: PathBuf,
}

impl Whole {
    /// Begins a file for a place, where one that is there is replaced.
    pub(super) fn create(place: &Path) -> Result<(Self, File), Failure> {
        let mut part = place.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).with_context(|| format!("create {}", part.display())).map_err(Failure::usage)?;
        Ok((Self { place: place.to_owned(), part }, file))
    }

    /// Puts what was written in its place.
    pub(super) fn finish(self, file: &File) -> std::io::Result<()> {
        file.sync_all()?;
        std::fs::rename(&self.part, &self.place)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        // There is none any more where it was put in its place.
        let _ = std::fs::remove_file(&self.part);
    }
}
