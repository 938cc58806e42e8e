//! Messages that wait: JSON lines, added to, read as a whole, and written anew when most of it is history.
//!
//! Each receiver has its own place in it. Invariants: what was delivered is noted after it was, so that a process that dies in
//! between delivers again and never loses; the same occurrence is one message, whoever adds it; no more than a fixed number
//! waits, and what was dropped is told with the next message that arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::message::Message;
use crate::schedule::append;

/// The outbox's place in a workspace.
const FILE: &str = "alerts/outbox.jsonl";
/// Messages that wait for one receiver at most.
const WAITING_MAX: usize = 500;
/// A message that nobody took for so long is no news any more.
const AGE_MAX: TimeDelta = TimeDelta::days(14);
/// Lines after which the file is written anew, if nothing of most of them is needed.
const LINES_MAX: usize = 2_000;
/// How long a receiver that failed is left alone: at first, and at most.
const PAUSE_MIN: Duration = Duration::from_mins(1);
const PAUSE_MAX: Duration = Duration::from_hours(1);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Message { receivers: Vec<String>, message: Message },
    Delivered { receiver: String, ids: Vec<String>, at: DateTime<Utc> },
    Refused { receiver: String, at: DateTime<Utc>, error: String, next: DateTime<Utc> },
    Dropped { receiver: String, ids: Vec<String>, at: DateTime<Utc> },
}

/// What waits for one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The oldest first.
    pub(crate) messages: Vec<Message>,
    /// Messages that were dropped since the last that arrived.
    pub(crate) dropped: usize,
    /// How often in a row it failed.
    pub(crate) failures: usize,
    /// When it may be tried again; none if it did not fail.
    pub(crate) next: Option<DateTime<Utc>>,
    /// Why it failed last.
    pub(crate) error: Option<String>,
}

/// The file, read.
#[derive(Debug)]
pub(crate) struct Outbox {
    path: PathBuf,
    lines: Vec<Line>,
    known: BTreeSet<String>,
}

impl Outbox {
    /// Reads the outbox of the workspace in a folder; empty if there is none.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub(crate) fn read(workspace: &Path) -> Result<Self> {
        let path = workspace.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        // A line cut short by a full disk or a lost power costs itself.
        let lines: Vec<Line> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let id = |line: &Line| match line {
            Line::Message { message, .. } => Some(message.id.clone()),
            _ => None,
        };
        let known = lines.iter().filter_map(id).collect();
        Ok(Self { path, lines, known })
    }

    /// Adds what is not in it yet; what is too much or too old goes.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn add(&mut self, messages: Vec<Message>, receivers: &[String], now: DateTime<Utc>) -> Result<()> {
        let mut new = Vec::new();
        for message in messages {
            if self.known.insert(message.id.clone()) {
                new.push(Line::Message { receivers: receivers.to_vec(), message });
            }
        }
        let written = self.write(new);
        for receiver in receivers {
            let waiting = self.waiting(receiver).messages;
            let many = waiting.len().saturating_sub(WAITING_MAX);
            let gone = waiting.iter().enumerate().filter(|(place, it)| *place < many || now - it.at > AGE_MAX);
            let ids: Vec<String> = gone.map(|(_, message)| message.id.clone()).collect();
            if !ids.is_empty() {
                tracing::warn!(receiver, count = ids.len(), "messages are dropped: too many wait, or for too long");
                self.write(vec![Line::Dropped { receiver: receiver.clone(), ids, at: now }])?;
            }
        }
        written
    }

    /// What waits for a receiver.
    pub(crate) fn waiting(&self, receiver: &str) -> Waiting {
        let mut waiting = Waiting::default();
        let mut messages: BTreeMap<&str, (usize, &Message)> = BTreeMap::new();
        for (place, line) in self.lines.iter().enumerate() {
            match line {
                Line::Message { receivers, message } if receivers.iter().any(|one| one == receiver) => {
                    messages.insert(&message.id, (place, message));
                }
                Line::Delivered { receiver: one, ids, .. } if one == receiver => {
                    messages.retain(|id, _| !ids.iter().any(|one| one == id));
                    waiting = Waiting::default();
                }
                Line::Dropped { receiver: one, ids, .. } if one == receiver => {
                    messages.retain(|id, _| !ids.iter().any(|one| one == id));
                    waiting.dropped += ids.len();
                }
                Line::Refused { receiver: one, error, next, .. } if one == receiver => {
                    waiting.failures += 1;
                    (waiting.next, waiting.error) = (Some(*next), Some(error.clone()));
                }
                _ => {}
            }
        }
        let mut messages: Vec<_> = messages.into_values().collect();
        messages.sort_by_key(|(place, _)| *place);
        waiting.messages = messages.into_iter().map(|(_, message)| message.clone()).collect();
        waiting
    }

    /// Notes that a receiver has some messages.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn delivered(&mut self, receiver: &str, messages: &[Message], at: DateTime<Utc>) -> Result<()> {
        let ids = messages.iter().map(|message| message.id.clone()).collect();
        self.write(vec![Line::Delivered { receiver: receiver.to_owned(), ids, at }])
    }

    /// Notes that a receiver took nothing: it is left alone for longer each time, or for as long as it says.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn refused(
        &mut self,
        receiver: &str,
        error: &str,
        wait: Option<Duration>,
        at: DateTime<Utc>,
    ) -> Result<()> {
        let pause = pause(self.waiting(receiver).failures).max(wait.unwrap_or_default());
        let next = at + TimeDelta::from_std(pause).unwrap_or_default();
        self.write(vec![Line::Refused { receiver: receiver.to_owned(), at, error: error.to_owned(), next }])
    }

    /// Writes the file anew, without what is done, if most of it is.
    ///
    /// # Errors
    /// A file that cannot be written; the old one stays.
    pub(crate) fn tidy(&mut self, receivers: &[String]) -> Result<()> {
        if self.lines.len() <= LINES_MAX {
            return Ok(());
        }
        let mut lines = Vec::new();
        for receiver in receivers {
            let waiting = self.waiting(receiver);
            if waiting.dropped > 0 {
                let ids = (0..waiting.dropped).map(|number| format!("dropped:{number}")).collect();
                lines.push(Line::Dropped { receiver: receiver.clone(), ids, at: Utc::now() });
            }
            let own = |message| Line::Message { receivers: vec![receiver.clone()], message };
            lines.extend(waiting.messages.into_iter().map(own));
        }
        let mut text = String::new();
        for line in &lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        super::memory::replace(&self.path, text.as_bytes())?;
        self.lines = lines;
        Ok(())
    }

    fn write(&mut self, lines: Vec<Line>) -> Result<()> {
        let mut text = String::new();
        for line in &lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        // What cannot be written is known to this process at least.
        self.lines.extend(lines);
        if text.is_empty() {
            return Ok(());
        }
        append(&self.path, &text).with_context(|| format!("write {}", self.path.display()))
    }
}

/// How long a receiver is left alone that failed so often in a row before.
fn pause(failures: usize) -> Duration {
    let steps = ExponentialBuilder::new().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX).without_max_times();
    steps.build().nth(failures.min(16)).unwrap_or(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::message::Kind;
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn message(id: &str, at: DateTime<Utc>) -> Message {
        Message::new(id, at, Kind::Test, format!("title of {id}"), &[])
    }

    fn ids(outbox: &Outbox, receiver: &str) -> Vec<String> {
        outbox.waiting(receiver).messages.into_iter().map(|message| message.id).collect()
    }

    fn two() -> Vec<String> {
        vec!["webhook".to_owned(), "smtp".to_owned()]
    }

    #[test]
    fn each_receiver_has_its_own_place() {
        let folder = tempfile::tempdir().unwrap();
        let now = at("2026-11-04T12:00:00Z");
        let mut outbox = Outbox::read(folder.path()).unwrap();
        outbox.add(vec![message("a", now), message("b", now)], &two(), now).unwrap();
        outbox.add(vec![message("b", now), message("c", now)], &two(), now).unwrap();
        let first = outbox.waiting("webhook").messages;
        outbox.delivered("webhook", &first[..2], now).unwrap();
        outbox.refused("smtp", "550 no such user", None, now).unwrap();
        // As another process finds it.
        let outbox = Outbox::read(folder.path()).unwrap();
        assert_eq!(
            (ids(&outbox, "webhook"), ids(&outbox, "smtp")),
            (vec!["c".to_owned()], ["a", "b", "c"].map(str::to_owned).to_vec())
        );
        let smtp = outbox.waiting("smtp");
        assert_eq!((smtp.failures, smtp.error.as_deref()), (1, Some("550 no such user")));
        assert!(outbox.waiting("another").messages.is_empty(), "who came later is not told of before");
    }

    #[test]
    fn who_fails_is_left_alone_for_longer_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let now = at("2026-11-04T12:00:00Z");
        let mut outbox = Outbox::read(folder.path()).unwrap();
        outbox.add(vec![message("a", now)], &two(), now).unwrap();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            outbox.refused("smtp", "refused", None, now).unwrap();
            pauses.push((outbox.waiting("smtp").next.unwrap() - now).num_minutes());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        outbox.refused("webhook", "429", Some(Duration::from_mins(5)), now).unwrap();
        assert_eq!(outbox.waiting("webhook").next, Some(now + TimeDelta::minutes(5)), "it said so");
        let waiting = outbox.waiting("smtp").messages;
        outbox.delivered("smtp", &waiting, now).unwrap();
        assert_eq!(outbox.waiting("smtp"), Waiting::default());
    }

    #[test]
    fn what_is_too_much_or_too_old_is_dropped_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let now = at("2026-11-04T12:00:00Z");
        let mut outbox = Outbox::read(folder.path()).unwrap();
        let old = message("old", now - TimeDelta::days(15));
        let many = (0..=WAITING_MAX).map(|number| message(&number.to_string(), now));
        outbox.add(std::iter::once(old).chain(many).collect(), &two(), now).unwrap();
        let waiting = Outbox::read(folder.path()).unwrap().waiting("smtp");
        assert_eq!((waiting.messages.len(), waiting.dropped), (WAITING_MAX, 2));
        assert_eq!(waiting.messages[0].id, "1", "the oldest goes");
    }

    #[test]
    fn a_file_of_history_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let now = at("2026-11-04T12:00:00Z");
        let mut outbox = Outbox::read(folder.path()).unwrap();
        outbox.add(vec![message("first", now)], &two(), now).unwrap();
        for receiver in two() {
            let waiting = outbox.waiting(&receiver).messages;
            outbox.delivered(&receiver, &waiting, now).unwrap();
        }
        let history = outbox.lines.clone();
        // Whole rounds: in each the message is delivered to both.
        let lines = LINES_MAX.next_multiple_of(history.len());
        outbox.lines.extend(history.iter().cycle().take(lines).cloned());
        outbox.add(vec![message("last", now)], &two(), now).unwrap();
        outbox.tidy(&two()).unwrap();
        let outbox = Outbox::read(folder.path()).unwrap();
        assert_eq!(outbox.lines.len(), 2);
        assert_eq!((ids(&outbox, "webhook"), ids(&outbox, "smtp")), (vec!["last".to_owned()], vec!["last".to_owned()]));
    }

    #[test]
    fn a_line_cut_short_costs_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let now = at("2026-11-04T12:00:00Z");
        Outbox::read(folder.path()).unwrap().add(vec![message("a", now)], &two(), now).unwrap();
        let path = folder.path().join(FILE);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"line\":\"delivered\",\"receiver\":\"smtp\",\"ids\":[\"a");
        std::fs::write(&path, text).unwrap();
        let mut outbox = Outbox::read(folder.path()).unwrap();
        outbox.add(vec![message("b", now)], &two(), now).unwrap();
        assert_eq!(ids(&Outbox::read(folder.path()).unwrap(), "smtp"), ["a", "b"]);
    }
}
