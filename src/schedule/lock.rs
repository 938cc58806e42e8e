//! One server at a time carries a workspace's schedule out.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

const LOCK_FILE: &str = "schedule/lock";
/// How long somebody who only looks may hold it.
const PATIENCE: Duration = Duration::from_millis(200);
const ATTEMPTS: u32 = 5;

/// Held for as long as the value lives; the operating system takes it back from a process that died.
#[derive(Debug)]
pub(crate) struct ServerLock {
    _file: File,
}

impl ServerLock {
    /// Takes it; none if another process has it.
    ///
    /// # Errors
    /// A file that cannot be made or locked.
    pub(crate) fn take(workspace: &Path) -> Result<Option<Self>> {
        let path = place(workspace);
        let folder = path.parent().unwrap_or(workspace);
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true).truncate(false);
        let file = options.open(&path).with_context(|| format!("open {}", path.display()))?;
        for _ in 0..ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PATIENCE),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("lock {}", path.display()));
                }
            }
        }
        Ok(None)
    }

    /// Whether a server has it now. Nothing is made where there is none.
    pub(crate) fn is_taken(workspace: &Path) -> bool {
        let Ok(file) = File::open(place(workspace)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

fn place(workspace: &Path) -> PathBuf {
    workspace.join(LOCK_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!ServerLock::is_taken(folder.path()) && !folder.path().join("schedule").exists());
        let lock = ServerLock::take(folder.path()).unwrap().unwrap();
        assert!(ServerLock::is_taken(folder.path()));
        assert!(ServerLock::take(folder.path()).unwrap().is_none());
        drop(lock);
        assert!(!ServerLock::is_taken(folder.path()) && ServerLock::take(folder.path()).unwrap().is_some());
    }
}
