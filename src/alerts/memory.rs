//! What was told, so that it is told once, and again when it comes again. A file of its own, replaced whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

const FILE: &str = "alerts/told.json";

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// The commit that was looked at last.
    pub(crate) commit: Option<u64>,
    /// Open exceptions that were told.
    pub(crate) exceptions: BTreeSet<String>,
    /// What each check said.
    pub(crate) verdicts: BTreeMap<String, String>,
    /// Sources that were told to be stale.
    pub(crate) stale: BTreeSet<String>,
    /// Ended runs that were looked at.
    pub(crate) ended_runs: usize,
    /// Month ends that were told not to be ready, by the moment that they were due.
    pub(crate) month_ends: BTreeSet<String>,
}

impl Memory {
    /// Reads it; none if nothing was told yet. One that cannot be understood is none: everything is told again, and nothing lost.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub(crate) fn read(workspace: &Path) -> Result<Option<Self>> {
        let path = place(workspace);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)
                .inspect_err(|error| tracing::warn!(%error, "{} is not understood: all is told anew", path.display()))
                .ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// A file that cannot be written; the old one stays.
    pub(crate) fn write(&self, workspace: &Path) -> Result<()> {
        replace(&place(workspace), &serde_json::to_vec(self)?)
    }
}

fn place(workspace: &Path) -> PathBuf {
    workspace.join(FILE)
}

/// Puts a file in the place of another, whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let doing = || format!("write {}", path.display());
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).with_context(doing)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(doing)?;
    file.write_all(bytes).with_context(doing)?;
    file.as_file().sync_all().with_context(doing)?;
    file.persist(path).map(drop).with_context(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Memory::read(folder.path()).unwrap().is_none());
        let memory = Memory { commit: Some(7), exceptions: ["O1:1".to_owned()].into(), ..Memory::default() };
        memory.write(folder.path()).unwrap();
        assert_eq!(Memory::read(folder.path()).unwrap(), Some(memory));
        std::fs::write(place(folder.path()), "{").unwrap();
        assert_eq!(Memory::read(folder.path()).unwrap(), None);
        std::fs::write(place(folder.path()), "{\"commit\":3}").unwrap();
        assert_eq!(Memory::read(folder.path()).unwrap().unwrap().commit, Some(3), "of an older program");
    }
}
