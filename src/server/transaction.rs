//! What a transaction means to a server that writes nothing: settings that end with it, cursors, savepoints.

use pgwire::messages::response::TransactionStatus;

use super::failure::Failure;
use super::session::{PORTALS_MAX, Session};
use super::statement::Command;

/// What a transaction set.
pub(crate) struct Change {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) before: Option<String>,
    /// By `SET LOCAL`.
    pub(crate) local: bool,
}

impl Session {
    /// `SAVEPOINT`, `RELEASE` and `ROLLBACK TO`; the answer's tag.
    pub(crate) fn savepoint(&mut self, command: &Command) -> Result<&'static str, Failure> {
        let word = if matches!(command, Command::Savepoint(_)) { "SAVEPOINT" } else { "RELEASE SAVEPOINT" };
        if self.status == TransactionStatus::Idle {
            return Err(Failure::new("25P01", format!("{word} can only be used in transaction blocks")));
        }
        let find = |name: &String, all: &[(String, usize)]| {
            let place = all.iter().rposition(|(known, _)| known == name);
            place.ok_or_else(|| Failure::new("3B001", format!("savepoint \"{name}\" does not exist")))
        };
        match command {
            Command::Savepoint(name) => {
                if self.savepoints.len() >= PORTALS_MAX {
                    return Err(Failure::new("53400", format!("more than {PORTALS_MAX} savepoints")));
                }
                self.savepoints.push((name.clone(), self.changes.len()));
                Ok("SAVEPOINT")
            }
            Command::Release(name) => {
                self.savepoints.truncate(find(name, &self.savepoints)?);
                Ok("RELEASE")
            }
            Command::RollbackTo(name) => {
                let place = find(name, &self.savepoints)?;
                self.savepoints.truncate(place + 1);
                let kept = self.savepoints.last().map_or(0, |(_, kept)| *kept);
                let undone = self.changes.split_off(kept.min(self.changes.len()));
                self.undo(undone.iter())?;
                self.status = TransactionStatus::Transaction;
                Ok("ROLLBACK")
            }
            _ => Ok(word),
        }
    }

    /// Undoes what the transaction had set, or only what `SET LOCAL` did, and closes what ends with it.
    pub(crate) fn end_transaction(&mut self, is_kept: bool) -> Result<(), Failure> {
        self.status = TransactionStatus::Idle;
        self.portals.retain(|_, portal| portal.held);
        self.savepoints.clear();
        let changes = std::mem::take(&mut self.changes);
        // What was set for good after SET LOCAL stays.
        let stays = |(place, change): &(usize, &Change)| {
            let mut later = changes.iter().skip(*place);
            is_kept && later.any(|later| !later.local && later.name == change.name)
        };
        self.undo(changes.iter().enumerate().filter(|change| !stays(change)).map(|(_, change)| change))
    }

    /// Takes changes back, the newest first.
    fn undo<'a>(&self, changes: impl DoubleEndedIterator<Item = &'a Change>) -> Result<(), Failure> {
        changes.rev().try_for_each(|change| self.put(&change.name, change.before.as_deref()))
    }
}
