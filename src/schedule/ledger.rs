//! What was run by the schedule or by hand, and how it ended: JSON lines that are only ever added to.
//!
//! A run is two lines, so that one whose program died in between is known. Invariant: a line that a full disk or a lost power
//! cut short costs itself and no other.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::here::Here;

/// The ledger's place in a workspace.
pub(crate) const RUNS_FILE: &str = "schedule/runs.jsonl";
/// What is said of a run by hand that is not there any more.
const GONE: &str = "its process is not there any more and nobody saw its end: it was killed, or the machine stopped";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It has not ended.
    Running,
    /// Exit code 0.
    Succeeded,
    /// Exit code 5: done with gaps, or not ready.
    Incomplete,
    /// Any other exit code, or a signal.
    Failed,
    /// Exit code 6: another process did it.
    Busy,
    /// Ended because its time was up.
    TimedOut,
    /// Ended because the server was.
    Stopped,
    /// The server, or the process itself, died while it ran: nobody saw its end.
    Lost,
    /// Never begun, because the run before had not ended.
    Skipped,
    /// A month that was not pinned in its time: nobody tries any more.
    GivenUp,
}

impl Outcome {
    /// What an exit code means.
    pub(crate) fn of_code(code: Option<i32>) -> Self {
        match code {
            Some(0) => Self::Succeeded,
            Some(5) => Self::Incomplete,
            Some(6) => Self::Busy,
            Some(130 | 143) => Self::Stopped,
            _ => Self::Failed,
        }
    }

    /// As tables show it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::TimedOut => "timed_out",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
            Self::Skipped => "skipped",
            Self::GivenUp => "given_up",
        }
    }

    /// Whether it ended by itself: was neither cut off nor kept from beginning.
    pub(crate) fn is_its_own(self) -> bool {
        !matches!(self, Self::Running | Self::Skipped | Self::Busy | Self::Stopped)
    }

    /// Whether somebody must look.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Lost | Self::GivenUp)
    }
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    /// An entry of the settings, seen for the first time or with another line: nothing before is due.
    Known {
        entry: String,
        cron: String,
        at: DateTime<Utc>,
    },
    Began {
        run: String,
        entry: Option<String>,
        command: String,
        scheduled_for: Option<DateTime<Utc>>,
        is_caught_up: bool,
        started_at: DateTime<Utc>,
    },
    Ended {
        run: String,
        ended_at: DateTime<Utc>,
        outcome: Outcome,
        exit_code: Option<i32>,
        error: Option<String>,
    },
}

/// A run as its lines tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "as the view's column")]
pub(crate) struct Run {
    /// Tells it from every other.
    pub(crate) run: String,
    /// The entry of the settings; none of one by hand.
    pub(crate) entry: Option<String>,
    /// The command and its arguments.
    pub(crate) command: String,
    /// When it was due, UTC; none of one by hand.
    pub(crate) scheduled_for: Option<DateTime<Utc>>,
    /// Due while nobody was there to begin it.
    pub(crate) is_caught_up: bool,
    /// When it began, UTC.
    pub(crate) started_at: DateTime<Utc>,
    /// When it ended, UTC.
    pub(crate) ended_at: Option<DateTime<Utc>>,
    /// How.
    pub(crate) outcome: Outcome,
    /// The program's exit code; none where a signal ended it.
    pub(crate) exit_code: Option<i32>,
    /// The last lines that it said of what went wrong.
    pub(crate) error: Option<String>,
}

/// The line of a run's last words that says what went wrong. What was ended from outside begins with why.
pub(crate) fn headline(outcome: Outcome, words: &str) -> Option<&str> {
    let is_its_own = matches!(outcome, Outcome::Failed | Outcome::Incomplete);
    let told = words.lines().find(|line| is_its_own && line.starts_with("error: "));
    told.or_else(|| words.lines().next())
}

impl Run {
    /// The first word of its command.
    pub(crate) fn verb(&self) -> &str {
        self.command.split_whitespace().next().unwrap_or_default()
    }
}

/// How a run ended, to be written.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// How.
    pub(crate) outcome: Outcome,
    /// The program's exit code.
    pub(crate) exit_code: Option<i32>,
    /// What it said of what went wrong.
    pub(crate) error: Option<String>,
}

/// What the file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// In the order of their beginning.
    pub(crate) runs: Vec<Run>,
    /// By entry: its line, and since when.
    known: BTreeMap<String, (String, DateTime<Utc>)>,
    /// Places in `runs`, in the order of the ends.
    ended: Vec<usize>,
}

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    here: Here,
}

/// A run of this process, until it is dropped: others see that it is still there.
#[derive(Debug)]
pub(crate) struct Present {
    run: String,
    /// None where files cannot be locked: such a run is never found lost.
    _held: Option<File>,
}

impl Ledger {
    /// The ledger of the workspace in a folder, whether or not there is one yet.
    pub(crate) fn of(workspace: &Path) -> Self {
        Self { path: workspace.join(RUNS_FILE), here: Here::of(workspace) }
    }

    /// Everything that was written. A run by hand whose process is not there any more is lost.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub(crate) fn read(&self) -> Result<Told> {
        // First who is gone, then what was written: what ended well is written before its process goes.
        let gone = self.here.gone();
        let mut told = self.written()?;
        for run in told.runs.iter_mut().filter(|run| run.outcome == Outcome::Running && gone.contains(&run.run)) {
            (run.outcome, run.error) = (Outcome::Lost, Some(GONE.to_owned()));
        }
        Ok(told)
    }

    fn written(&self) -> Result<Told> {
        let text = match std::fs::read(&self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Told::default()),
            Err(error) => return Err(error).with_context(|| format!("read {}", self.path.display())),
        };
        Ok(Told::of(&text))
    }

    /// Notes that an entry is known from now on, unless it was with the same line.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(crate) fn know(&self, entry: &str, cron: &str, at: DateTime<Utc>) -> Result<()> {
        if self.read()?.known.get(entry).is_some_and(|(line, _)| line == cron) {
            return Ok(());
        }
        self.add(&Line::Known { entry: entry.to_owned(), cron: cron.to_owned(), at })
    }

    /// Notes that a run begins; gives what tells it from others.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn begin(
        &self,
        entry: Option<&str>,
        command: &str,
        due: Option<(DateTime<Utc>, bool)>,
        at: DateTime<Utc>,
    ) -> Result<String> {
        let run = new_run();
        self.add(&began(&run, entry, command, due, at))?;
        Ok(run)
    }

    /// Notes that a run of this very process begins.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn begin_here(&self, command: &str, at: DateTime<Utc>) -> Result<Present> {
        let run = new_run();
        let held = self.here.hold(&run).ok();
        self.add(&began(&run, None, command, None, at))?;
        Ok(Present { run, _held: held })
    }

    /// Notes how a run of this process ended.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn end_here(&self, present: &Present, ending: Ending, at: DateTime<Utc>) -> Result<()> {
        self.end(&present.run, ending, at)?;
        self.here.forget(&present.run);
        Ok(())
    }

    /// Notes how a run ended.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn end(&self, run: &str, ending: Ending, at: DateTime<Utc>) -> Result<()> {
        let Ending { outcome, exit_code, error } = ending;
        self.add(&Line::Ended { run: run.to_owned(), ended_at: at, outcome, exit_code, error })
    }

    /// Ends what a server that died had begun: nobody sees the end of it any more.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(crate) fn end_lost(&self, at: DateTime<Utc>) -> Result<()> {
        let told = self.read()?;
        for run in told.runs.iter().filter(|run| run.outcome == Outcome::Running && run.entry.is_some()) {
            let error = Some("the server ended before this run did: nobody saw its end".to_owned());
            self.end(&run.run, Ending { outcome: Outcome::Lost, exit_code: None, error }, at)?;
        }
        Ok(())
    }

    /// Ends the runs by hand whose processes are not there any more.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(crate) fn end_gone(&self, at: DateTime<Utc>) -> Result<()> {
        let gone = self.here.gone();
        if gone.is_empty() {
            return Ok(());
        }
        let told = self.written()?;
        for run in told.runs.iter().filter(|run| run.outcome == Outcome::Running && gone.contains(&run.run)) {
            let ending = Ending { outcome: Outcome::Lost, exit_code: None, error: Some(GONE.to_owned()) };
            self.end(&run.run, ending, at)?;
        }
        for run in &gone {
            self.here.forget(run);
        }
        Ok(())
    }

    fn add(&self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        append(&self.path, &text).with_context(|| format!("write {}", self.path.display()))
    }
}

fn new_run() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn began(run: &str, entry: Option<&str>, command: &str, due: Option<(DateTime<Utc>, bool)>, at: DateTime<Utc>) -> Line {
    Line::Began {
        run: run.to_owned(),
        entry: entry.map(str::to_owned),
        command: command.to_owned(),
        scheduled_for: due.map(|(due, _)| due),
        is_caught_up: due.is_some_and(|(_, is_caught_up)| is_caught_up),
        started_at: at,
    }
}

/// Adds whole lines to a file and waits for the disk. What was cut short before ends first.
pub(crate) fn append(path: &Path, lines: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file: File = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    let mut text = String::new();
    if file.seek(SeekFrom::End(-1)).is_ok() {
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    text.push_str(lines);
    // One write: a line of another process stands before it or after it.
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

impl Told {
    fn of(text: &str) -> Self {
        let (mut told, mut places) = (Self::default(), BTreeMap::new());
        for line in text.lines() {
            match serde_json::from_str(line) {
                Ok(Line::Known { entry, cron, at }) => drop(told.known.insert(entry, (cron, at))),
                Ok(Line::Began { run, entry, command, scheduled_for, is_caught_up, started_at }) => {
                    places.insert(run.clone(), told.runs.len());
                    told.runs.push(Run {
                        run,
                        entry,
                        command,
                        scheduled_for,
                        is_caught_up,
                        started_at,
                        ended_at: None,
                        outcome: Outcome::Running,
                        exit_code: None,
                        error: None,
                    });
                }
                Ok(Line::Ended { run, ended_at, outcome, exit_code, error }) => {
                    let place = places.get(&run).copied();
                    if let Some((place, found)) = place.and_then(|place| Some((place, told.runs.get_mut(place)?))) {
                        told.ended.push(place);
                        (found.ended_at, found.outcome) = (Some(ended_at), outcome);
                        (found.exit_code, found.error) = (exit_code, error);
                    }
                }
                // Cut short, or of a newer program.
                Err(_) => {}
            }
        }
        told
    }

    /// The moment up to which an entry needs nobody any more: what was due at or before it was begun, or is of no concern.
    /// A run that was stopped with its server is not done. One that a server died of is begun again once, not for ever.
    pub(crate) fn handled(&self, entry: &str) -> Option<DateTime<Utc>> {
        let since = self.known_since(entry);
        let last = self.last(entry).and_then(|run| {
            let is_undone = run.outcome == Outcome::Stopped || (run.outcome == Outcome::Lost && !run.is_caught_up);
            let due = run.scheduled_for?;
            Some(if is_undone { due - chrono::TimeDelta::seconds(1) } else { due })
        });
        since.max(last)
    }

    /// Runs in the order in which they ended: what is there once keeps its place.
    pub(crate) fn ended(&self) -> Vec<&Run> {
        self.ended.iter().filter_map(|place| self.runs.get(*place)).collect()
    }

    /// Since when an entry is known.
    pub(crate) fn known_since(&self, entry: &str) -> Option<DateTime<Utc>> {
        self.known.get(entry).map(|(_, at)| *at)
    }

    /// The last run of an entry.
    pub(crate) fn last(&self, entry: &str) -> Option<&Run> {
        self.runs.iter().rfind(|run| run.entry.as_deref() == Some(entry))
    }

    /// The last run of a command that ended by itself, by hand or not. What somebody mistyped does not count.
    pub(crate) fn last_of(&self, verb: &str) -> Option<&Run> {
        let is_mistyped = |run: &Run| run.entry.is_none() && run.exit_code == Some(2);
        self.runs.iter().rfind(|run| run.verb() == verb && run.outcome.is_its_own() && !is_mistyped(run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn ending(outcome: Outcome) -> Ending {
        Ending { outcome, exit_code: None, error: None }
    }

    #[test]
    fn what_is_due_follows_from_the_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        assert!(ledger.read().unwrap().handled("nightly").is_none());
        let seen = at("2026-11-01T10:00:00Z");
        ledger.know("nightly", "30 2 * * *", seen).unwrap();
        ledger.know("nightly", "30 2 * * *", at("2026-11-09T10:00:00Z")).unwrap();
        assert_eq!(
            ledger.read().unwrap().handled("nightly"),
            Some(seen),
            "what was due before it was known is not missed"
        );

        let due = at("2026-11-02T09:30:00Z");
        let run = |is_caught_up, outcome| {
            let run = ledger.begin(Some("nightly"), "extract", Some((due, is_caught_up)), due).unwrap();
            ledger.end(&run, ending(outcome), due).unwrap();
            ledger.read().unwrap().handled("nightly").unwrap()
        };
        assert!(run(false, Outcome::Stopped) < due, "stopped with the server: not done");
        assert_eq!(run(false, Outcome::Failed), due, "failed runs wait for the next time");
        assert!(run(false, Outcome::Lost) < due);
        assert_eq!(run(true, Outcome::Lost), due, "what kills servers is not begun for ever");
        // Another line is another plan.
        ledger.know("nightly", "0 3 * * *", at("2026-11-03T10:00:00Z")).unwrap();
        assert_eq!(ledger.read().unwrap().handled("nightly"), Some(at("2026-11-03T10:00:00Z")));
    }

    #[test]
    fn the_line_of_its_words_that_says_what_went_wrong() {
        let words = "read 3 tables\nerror: no answer\nhint: wait";
        assert_eq!(headline(Outcome::Failed, words), Some("error: no answer"));
        assert_eq!(headline(Outcome::TimedOut, words), Some("read 3 tables"));
        assert_eq!(headline(Outcome::Failed, ""), None);
    }

    #[test]
    fn a_line_cut_short_costs_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        let run = ledger.begin(Some("nightly"), "extract --full", None, at("2026-11-02T09:30:00Z")).unwrap();
        let mut file = OpenOptions::new().append(true).open(folder.path().join(RUNS_FILE)).unwrap();
        file.write_all(b"{\"line\":\"ended\",\"run\":\"").unwrap();
        ledger.end_lost(at("2026-11-02T10:00:00Z")).unwrap();
        let told = ledger.read().unwrap();
        let last = told.last("nightly").unwrap();
        assert_eq!((last.run.as_str(), last.outcome, last.verb()), (run.as_str(), Outcome::Lost, "extract"));
        ledger.end_lost(at("2026-11-02T11:00:00Z")).unwrap();
        assert_eq!(ledger.read().unwrap().runs, told.runs, "once");
    }
}
