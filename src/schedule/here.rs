//! Which runs by hand are still there: each holds a locked file for as long as its process lives, however that ends.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// The folder of the files, below the workspace.
const FOLDER: &str = "schedule/running";

#[derive(Clone, Debug)]
pub(super) struct Here {
    folder: PathBuf,
}

impl Here {
    pub(super) fn of(workspace: &Path) -> Self {
        Self { folder: workspace.join(FOLDER) }
    }

    /// Shows a run as there until the file is closed; the operating system does that for a process that died.
    pub(super) fn hold(&self, run: &str) -> std::io::Result<File> {
        std::fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(run);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        if let Err(error) = file.try_lock() {
            // Where files cannot be locked, nobody could tell it from one that is gone.
            self.forget(run);
            return Err(error.into());
        }
        Ok(file)
    }

    /// The runs that nobody holds any more, though their files were not taken away.
    pub(super) fn gone(&self) -> BTreeSet<String> {
        let Ok(files) = std::fs::read_dir(&self.folder) else { return BTreeSet::new() };
        let is_free = |path: &Path| File::open(path).is_ok_and(|file| file.try_lock_shared().is_ok());
        let free = files.flatten().filter(|file| is_free(&file.path()));
        free.filter_map(|file| file.file_name().into_string().ok()).collect()
    }

    /// Takes the file of a run whose end is written away. One that stays is of a run that ended.
    pub(super) fn forget(&self, run: &str) {
        let _ = std::fs::remove_file(self.folder.join(run));
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use crate::schedule::{Ending, Ledger, Outcome, Run};

    #[test]
    fn a_run_by_hand_is_lost_with_its_process_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let ledger = Ledger::of(folder.path());
        let outcomes = || -> Vec<Outcome> { ledger.read().unwrap().runs.iter().map(|run: &Run| run.outcome).collect() };
        let succeeded = || Ending { outcome: Outcome::Succeeded, exit_code: Some(0), error: None };

        let killed = ledger.begin_here("extract", at("2026-11-02T09:30:00Z")).unwrap();
        let ended = ledger.begin_here("verify", at("2026-11-02T09:31:00Z")).unwrap();
        ledger.end_here(&ended, succeeded(), at("2026-11-02T09:32:00Z")).unwrap();
        ledger.end_gone(at("2026-11-02T09:33:00Z")).unwrap();
        assert_eq!(outcomes(), [Outcome::Running, Outcome::Succeeded], "it is still there");

        drop(killed);
        assert_eq!(outcomes(), [Outcome::Lost, Outcome::Succeeded], "who only reads knows it too");
        assert_eq!(ledger.read().unwrap().ended().len(), 1, "and writes nothing down");
        let still_there = ledger.begin_here("extract", at("2026-11-02T09:34:00Z")).unwrap();
        ledger.end_gone(at("2026-11-02T09:35:00Z")).unwrap();
        let told = ledger.read().unwrap();
        let lost = told.ended().into_iter().rfind(|run| run.outcome == Outcome::Lost).unwrap();
        assert_eq!((lost.command.as_str(), lost.ended_at), ("extract", Some(at("2026-11-02T09:35:00Z"))));
        assert!(lost.error.as_ref().unwrap().contains("nobody saw its end"));
        ledger.end_here(&still_there, succeeded(), at("2026-11-02T09:36:00Z")).unwrap();
        assert_eq!(outcomes(), [Outcome::Lost, Outcome::Succeeded, Outcome::Succeeded]);
        let files = std::fs::read_dir(folder.path().join(super::FOLDER)).unwrap();
        assert_eq!(files.count(), 0);
    }
}
