//! What runs by itself, when next and how it ended last: for the page and for `/metrics`.
//!
//! Invariants: it is told to who reads the whole firm at the present, as far as `meta.scheduled_runs` may be read; a run that
//! failed is not hidden by one that was skipped after it.

use chrono::{DateTime, Utc};
use tokio::task::spawn_blocking;

use super::HttpOptions;
use super::asking::Asking;
use crate::schedule::{Due, Outcome};
use crate::server::failure::Failure;

/// The newest run of each entry and outcome.
const RUNS: &str = "with runs as (select entry, outcome, exit_code, error, started_at, finished_at, \
        row_number() over (partition by entry, outcome order by started_at desc, run_id) as place \
        from meta.scheduled_runs where entry is not null) \
    select entry, outcome, exit_code, error, date_trunc('second', started_at), date_trunc('second', finished_at) \
    from runs where place = 1 order by entry, started_at desc";

/// The schedule.
#[derive(Debug)]
pub(crate) struct Scheduled {
    /// Each entry of the settings.
    pub(crate) entries: Vec<Entry>,
    /// Whether a server carries it out now.
    pub(crate) is_carried_out: bool,
    /// By its own clock, UTC.
    pub(crate) now: DateTime<Utc>,
}

/// An entry.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its plan.
    pub(crate) due: Due,
    /// Since when it runs now; empty if it does not.
    pub(crate) running_since: String,
    /// Its newest run that has ended, or was never begun.
    pub(crate) last: Option<Ended>,
    /// Its newest run that ended by itself: what was skipped or stopped after it tells nothing new.
    pub(crate) own: Option<Ended>,
    /// When a run last went well; empty if none did.
    pub(crate) succeeded_at: String,
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// How.
    pub(crate) outcome: Outcome,
    /// Empty where a signal ended it.
    pub(crate) exit_code: String,
    /// What it said of what went wrong.
    pub(crate) error: String,
    /// When it began, RFC 3339.
    pub(crate) started_at: String,
    /// When it ended, RFC 3339.
    pub(crate) finished_at: String,
}

impl Scheduled {
    /// Reads it; none where nothing runs by itself, or who asks is told nothing of it.
    pub(crate) async fn read(asking: &mut Asking, options: &HttpOptions) -> Result<Option<Self>, Failure> {
        let Some(watch) = options.schedule.as_ref().filter(|watch| !watch.is_empty()) else { return Ok(None) };
        let is_of_the_past = asking.access().is_some_and(|access| access.as_of.is_some());
        if is_of_the_past || !asking.reads_all() {
            return Ok(None);
        }
        let runs = asking.rows::<6>(RUNS, &[]).await?;
        // The ledger is a file, and may be long.
        let planned = watch.clone();
        let due = spawn_blocking(move || planned.due()).await.map_err(anyhow::Error::from).flatten();
        let due = due.map_err(|error| Failure::new("58030", format!("the schedule cannot be read: {error:#}")))?;
        let entries = due.into_iter().map(|due| Entry::new(due, &runs)).collect();
        Ok(Some(Self { entries, is_carried_out: watch.is_carried_out(), now: watch.now() }))
    }
}

impl Entry {
    /// With its runs, the newest of each outcome, the newest first.
    fn new(due: Due, runs: &[[String; 6]]) -> Self {
        let mut running_since = String::new();
        let mut ended = Vec::new();
        for [entry, outcome, exit_code, error, started_at, finished_at] in runs {
            let Some(outcome) = Outcome::of_str(outcome).filter(|_| *entry == due.name) else { continue };
            if outcome == Outcome::Running {
                running_since.clone_from(started_at);
                continue;
            }
            let [exit_code, error, started_at, finished_at] =
                [exit_code, error, started_at, finished_at].map(Clone::clone);
            ended.push(Ended { outcome, exit_code, error, started_at, finished_at });
        }
        let own = ended.iter().find(|run| run.outcome.is_its_own());
        let good = ended.iter().find(|run| run.outcome == Outcome::Succeeded);
        Self {
            due,
            running_since,
            own: own.cloned(),
            succeeded_at: good.map_or_else(String::new, |run| run.finished_at.clone()),
            last: ended.into_iter().next(),
        }
    }

    /// How its newest run that ended by itself did; `none` before the first.
    pub(crate) fn outcome(&self) -> &'static str {
        self.own.as_ref().map_or("none", |run| run.outcome.as_str())
    }

    /// The same run, if somebody must look.
    pub(crate) fn failed(&self) -> Option<&Ended> {
        self.own.as_ref().filter(|run| run.outcome.is_failure())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_hides_no_failure() {
        let row = |outcome: &str, started: &str| ["nightly", outcome, "", "", started, started].map(str::to_owned);
        let entry = |rows: &[(&str, &str)]| {
            let rows: Vec<_> = rows.iter().map(|(outcome, started)| row(outcome, started)).collect();
            let due = Due {
                name: "nightly".to_owned(),
                command: "extract".to_owned(),
                when: "0 2 * * *".to_owned(),
                next: None,
                missed: None,
            };
            Entry::new(due, &rows)
        };
        let told = entry(&[("running", "5"), ("skipped", "4"), ("timed_out", "3"), ("succeeded", "2")]);
        assert_eq!((told.running_since.as_str(), told.succeeded_at.as_str()), ("5", "2"));
        assert_eq!(told.last.as_ref().unwrap().outcome, Outcome::Skipped);
        assert_eq!((told.failed().unwrap().outcome, told.outcome()), (Outcome::TimedOut, "timed_out"));
        let told = entry(&[("succeeded", "4"), ("failed", "3")]);
        assert!(told.failed().is_none());
        assert_eq!(told.outcome(), "succeeded");
        assert_eq!(entry(&[]).outcome(), "none");
    }
}
