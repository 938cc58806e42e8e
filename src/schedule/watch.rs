//! A schedule as people watch it: each entry, when it is due next, what should have begun and has not, how it ended last.
//!
//! Invariants: all of it is of one reading of the ledger; a run that failed is not hidden by one that was skipped after it.
//! Leaves out who may know it.

use std::path::PathBuf;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Cron, Ledger, MonthEnd, Outcome, Run, ServerLock, Told};
use crate::clock::Clock;

/// A run that begins later than this after its time was missed.
pub(crate) const LATE: TimeDelta = TimeDelta::seconds(90);

/// The entries of a workspace's schedule.
#[derive(Clone, Debug)]
pub struct Watch {
    workspace: PathBuf,
    clock: Clock,
    zone: Tz,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    command: String,
    when: String,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Cron(Box<Cron>),
    MonthEnd(MonthEnd),
}

/// An entry at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    /// As the firm calls it.
    pub(crate) name: String,
    /// The command and its arguments, moments still as `{month}`.
    pub(crate) command: String,
    /// Its cron line, or the rule of the month's end.
    pub(crate) when: String,
    /// When it is due next, UTC; none if it never is.
    pub(crate) next: Option<DateTime<Utc>>,
    /// The first time that it should have begun and did not, UTC; none if it did since.
    pub(crate) missed: Option<DateTime<Utc>>,
    /// Its run that has not ended.
    pub(crate) running: Option<Run>,
    /// Its newest run that has ended, or was never begun.
    pub(crate) last: Option<Run>,
    /// Its newest run that ended by itself: what was skipped or stopped after it tells nothing new.
    pub(crate) own: Option<Run>,
    /// Its newest run that went well.
    pub(crate) succeeded: Option<Run>,
}

impl Watched {
    /// How its newest run that ended by itself did; `none` before the first.
    pub(crate) fn outcome(&self) -> &'static str {
        self.own.as_ref().map_or("none", |run| run.outcome.as_str())
    }

    /// The same run, if somebody must look.
    pub(crate) fn failed(&self) -> Option<&Run> {
        self.own.as_ref().filter(|run| run.outcome.is_failure())
    }
}

impl Watch {
    /// Nothing yet, of the workspace in a folder.
    pub fn new(workspace: PathBuf, clock: Clock, zone: Tz) -> Self {
        Self { workspace, clock, zone, entries: Vec::new() }
    }

    /// With an entry of five cron fields.
    ///
    /// # Errors
    /// Why the line cannot be read.
    pub fn entry(mut self, name: &str, command: &str, cron: &str) -> Result<Self, String> {
        let cron = Cron::parse(cron)?;
        let (name, command, when) = (name.to_owned(), command.to_owned(), cron.line().to_owned());
        self.entries.push(Entry { name, command, when, rule: Rule::Cron(Box::new(cron)) });
        Ok(self)
    }

    /// With the month's end.
    pub(crate) fn month_end(mut self, name: &str, command: String, when: String, rule: MonthEnd) -> Self {
        self.entries.push(Entry { name: name.to_owned(), command, when, rule: Rule::MonthEnd(rule) });
        self
    }

    /// Whether there is nothing to watch.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The schedule's clock.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Whether a server of this workspace carries it out now.
    pub(crate) fn is_carried_out(&self) -> bool {
        ServerLock::is_taken(&self.workspace)
    }

    /// Each entry now.
    ///
    /// # Errors
    /// A ledger that is there and cannot be read.
    pub(crate) fn look(&self) -> Result<Vec<Watched>> {
        Ok(self.entries_of(&Ledger::of(&self.workspace).read()?))
    }

    /// Each entry now, as a reading of the ledger tells it.
    pub(crate) fn entries_of(&self, told: &Told) -> Vec<Watched> {
        let now = self.clock.now();
        self.entries.iter().map(|entry| entry.watched(told, now, self.zone)).collect()
    }
}

impl Entry {
    fn watched(&self, told: &Told, now: DateTime<Utc>, zone: Tz) -> Watched {
        let after = |at: DateTime<Utc>| match &self.rule {
            Rule::Cron(cron) => cron.after(at, zone),
            Rule::MonthEnd(rule) => rule.next(at).map(|(_, due)| due),
        };
        // What comes due while it runs is no concern of anybody: its turn is over.
        let running = told.last(&self.name).filter(|run| run.outcome == Outcome::Running);
        // The first time since, not the newest: an entry of every minute is late too, and no night of a dead server counts anew.
        let undone = told.handled(&self.name).and_then(after);
        let newest = |is_meant: &dyn Fn(Outcome) -> bool| {
            let mut runs = told.runs.iter().rev().filter(|run| run.entry.as_deref() == Some(self.name.as_str()));
            runs.find(|run| is_meant(run.outcome)).cloned()
        };
        Watched {
            name: self.name.clone(),
            command: self.command.clone(),
            when: self.when.clone(),
            next: after(now),
            missed: undone.filter(|due| running.is_none() && now - *due > LATE),
            running: running.cloned(),
            last: newest(&|outcome| outcome != Outcome::Running),
            own: newest(&Outcome::is_its_own),
            succeeded: newest(&|outcome| outcome == Outcome::Succeeded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{DayOfMonth, Ending};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn what_should_have_begun_and_has_not() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        let looked = |now: &str| {
            let watch = Watch::new(folder.path().to_owned(), Clock::given(at(now)), chrono_tz::UTC);
            let watch = watch.entry("nightly", "extract", "0  2 * * *").unwrap();
            let due = watch.look().unwrap().remove(0);
            assert_eq!(due.when, "0 2 * * *");
            (due.missed, due.next)
        };
        let (first, second) = (at("2026-11-03T02:00:00Z"), at("2026-11-04T02:00:00Z"));
        // Nobody has ever carried it out: nothing was due.
        assert_eq!(looked("2026-11-03T09:00:00Z"), (None, Some(second)));
        ledger.know("nightly", "0 2 * * *", at("2026-11-02T09:00:00Z")).unwrap();
        assert_eq!(looked("2026-11-03T01:00:00Z"), (None, Some(first)));
        assert_eq!(looked("2026-11-03T02:01:00Z").0, None, "it may begin yet");
        assert_eq!(looked("2026-11-03T02:02:00Z"), (Some(first), Some(second)));
        let run = ledger.begin(Some("nightly"), "extract", Some((first, true)), at("2026-11-03T09:00:00Z")).unwrap();
        assert_eq!(looked("2026-11-04T09:00:00Z").0, None, "it runs still");
        let end = |outcome| {
            let ending = Ending { outcome, exit_code: None, error: None };
            ledger.end(&run, ending, at("2026-11-03T10:00:00Z")).unwrap();
            looked("2026-11-03T11:00:00Z").0
        };
        assert_eq!(end(Outcome::Failed), None, "failed is not missed");
        assert_eq!(end(Outcome::Stopped), Some(first), "it ended with its server, and none came after");
        assert_eq!(looked("2026-11-04T02:05:00Z").0, Some(first), "since then, however many nights it was");
    }

    #[test]
    fn an_entry_of_every_minute_is_missed_too() {
        let folder = tempfile::tempdir().unwrap();
        Ledger::of(folder.path()).know("often", "* * * * *", at("2026-11-03T02:00:30Z")).unwrap();
        let looked = |now: &str| {
            let watch = Watch::new(folder.path().to_owned(), Clock::given(at(now)), chrono_tz::UTC);
            watch.entry("often", "verify", "* * * * *").unwrap().look().unwrap().remove(0).missed
        };
        assert_eq!(looked("2026-11-03T02:02:00Z"), None, "it may begin yet");
        assert_eq!(looked("2026-11-03T02:10:10Z"), Some(at("2026-11-03T02:01:00Z")));
    }

    #[test]
    fn what_was_skipped_hides_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        let looked = || {
            let watch = Watch::new(folder.path().to_owned(), Clock::given(at("2026-11-09T00:00:00Z")), chrono_tz::UTC);
            watch.entry("nightly", "extract", "0 2 * * *").unwrap().look().unwrap().remove(0)
        };
        let run = |day: u32, outcome: Option<Outcome>| {
            let begun = at(&format!("2026-11-0{day}T02:00:00Z"));
            let run = ledger.begin(Some("nightly"), "extract", Some((begun, false)), begun).unwrap();
            // Another entry's runs are its own.
            ledger.begin(Some("proof"), "verify", None, begun).unwrap();
            if let Some(outcome) = outcome {
                ledger.end(&run, Ending { outcome, exit_code: None, error: None }, begun).unwrap();
            }
        };
        let told = looked();
        assert_eq!((told.outcome(), told.last, told.running), ("none", None, None));
        run(2, Some(Outcome::Succeeded));
        run(3, Some(Outcome::TimedOut));
        run(4, Some(Outcome::Skipped));
        run(5, None);
        let told = looked();
        assert_eq!((told.failed().unwrap().outcome, told.outcome()), (Outcome::TimedOut, "timed_out"));
        assert_eq!(told.last.unwrap().outcome, Outcome::Skipped);
        assert_eq!(told.succeeded.unwrap().ended_at, Some(at("2026-11-02T02:00:00Z")));
        assert_eq!(told.running.unwrap().started_at, at("2026-11-05T02:00:00Z"));
        run(6, Some(Outcome::Succeeded));
        assert_eq!((looked().failed(), looked().outcome()), (None, "succeeded"));
    }

    #[test]
    fn a_month_that_nobody_pinned_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        let time = chrono::NaiveTime::from_hms_opt(6, 0, 0).unwrap();
        let rule = MonthEnd { day: DayOfMonth::Calendar(3), time, days_max: 10, zone: chrono_tz::UTC };
        let looked = |now: &str| {
            let watch = Watch::new(folder.path().to_owned(), Clock::given(at(now)), chrono_tz::UTC);
            let watch = watch.month_end("month_end", "month-end".to_owned(), "day 3".to_owned(), rule);
            watch.look().unwrap().remove(0)
        };
        ledger.know("month_end", "day 3", at("2026-10-20T00:00:00Z")).unwrap();
        assert_eq!(looked("2026-11-02T00:00:00Z").missed, None, "October's was not due, September's is nobody's");
        let due = at("2026-11-03T06:00:00Z");
        let told = looked("2026-11-03T07:00:00Z");
        assert_eq!((told.missed, told.next), (Some(due), Some(at("2026-12-03T06:00:00Z"))));
        let run = ledger.begin(Some("month_end"), "month-end 2026-10", Some((due, true)), due).unwrap();
        let ending = Ending { outcome: Outcome::Incomplete, exit_code: Some(5), error: None };
        ledger.end(&run, ending, due).unwrap();
        assert_eq!(looked("2026-11-03T07:00:00Z").missed, None, "it was tried");
    }
}
