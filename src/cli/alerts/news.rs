//! What is worth telling, and was not told yet: runs that failed, sources that nobody reads, and what the checks say.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::workspace::Workspace;
use super::super::{Failure, Global};
use super::exceptions;
use crate::alerts::{Kind, Memory, Message};
use crate::clock::Clock;
use crate::config::{Config, MONTH_END};
use crate::schedule::{Ledger, Outcome, Run, Told};
use crate::warehouse::Error as WarehouseError;
use crate::warehouse::commit::Head;

/// At the first look, what ended longer ago is no news.
const FIRST_LOOK: TimeDelta = TimeDelta::hours(24);
/// Lines of an error that are told.
const LINES: usize = 6;

/// What is new.
pub(super) struct News {
    /// To be told.
    pub(super) messages: Vec<Message>,
    /// To be remembered once they are in the outbox.
    pub(super) memory: Memory,
    /// Why the warehouse could not be asked: what failed is told all the same, for that is when people must know.
    pub(super) failure: Option<Failure>,
}

/// Everything new.
///
/// # Errors
/// A ledger or a memory that cannot be read.
pub(super) async fn find(global: &Global, config: &Config, clock: &Clock) -> Result<News, Failure> {
    let now = clock.now();
    let known = Memory::read(&config.directory).map_err(Failure::usage)?;
    let is_first = known.is_none();
    let mut memory = known.unwrap_or_default();
    let ledger = Ledger::of(&config.directory);
    ledger.end_gone(now).map_err(Failure::usage)?;
    let told = ledger.read().map_err(Failure::usage)?;
    let mut messages = runs(&told, &mut memory, is_first.then(|| now - FIRST_LOOK));
    let mut asked = memory.clone();
    let found = Box::pin(ask(global, config, &mut asked, now)).await;
    match found {
        Ok(found) => {
            messages.extend(found);
            Ok(News { messages, memory: asked, failure: None })
        }
        Err(failure) => Ok(News { messages, memory, failure: Some(failure) }),
    }
}

/// What the warehouse says.
async fn ask(
    global: &Global,
    config: &Config,
    memory: &mut Memory,
    now: DateTime<Utc>,
) -> Result<Vec<Message>, Failure> {
    let workspace = match Workspace::open_existing(global).await {
        // Before the first extract there is nothing to look at.
        Err(failure) if is_absent(&failure) => return Ok(Vec::new()),
        opened => opened?,
    };
    let head = workspace.warehouse.head().await.map_err(Failure::warehouse)?;
    let mut messages = stale(config, &head, memory, now);
    if head.last().is_some() && memory.commit != Some(head.number()) {
        messages.extend(exceptions::find(&workspace, config, memory, now).await?);
        memory.commit = Some(head.number());
    }
    Ok(messages)
}

fn is_absent(failure: &Failure) -> bool {
    failure.error.downcast_ref::<WarehouseError>().is_some_and(|error| matches!(error, WarehouseError::NotFound { .. }))
}

/// Runs that ended since the last look, and failed; at the first look those that ended after a moment.
fn runs(told: &Told, memory: &mut Memory, since: Option<DateTime<Utc>>) -> Vec<Message> {
    let ended = told.ended();
    // A ledger that is shorter than it was is another one.
    let seen = if memory.ended_runs > ended.len() { 0 } else { memory.ended_runs };
    memory.ended_runs = ended.len();
    let new =
        ended.into_iter().skip(seen).filter(|run| since.is_none_or(|since| run.ended_at.is_some_and(|at| at >= since)));
    new.filter_map(|run| message(run, &mut memory.month_ends)).collect()
}

fn message(run: &Run, month_ends: &mut BTreeSet<String>) -> Option<Message> {
    let at = run.ended_at?;
    let is_month_end = run.entry.as_deref() == Some(MONTH_END);
    let by_hand = run.entry.is_none();
    let kind = match (run.verb(), run.exit_code) {
        _ if is_month_end => {
            let is_over =
                matches!(run.outcome, Outcome::Succeeded | Outcome::Stopped | Outcome::Skipped | Outcome::Busy);
            let due = run.scheduled_for.map(|due| due.to_rfc3339()).unwrap_or_default();
            // Each month once, and again when nobody tries any more.
            if is_over || !(month_ends.insert(due) || run.outcome == Outcome::GivenUp) {
                return None;
            }
            Kind::MonthEnd
        }
        ("verify", Some(4)) => Kind::FailedVerification,
        // Who typed it saw it: what concerns others is told.
        _ if by_hand && !matches!(run.exit_code, Some(3 | 4)) => return None,
        _ if run.outcome.is_failure() => Kind::FailedRun,
        _ => return None,
    };
    let title = match kind {
        Kind::MonthEnd => format!("the month is not pinned: `{}`", run.command),
        Kind::FailedVerification => "the warehouse does not verify".to_owned(),
        _ => {
            let code = run.exit_code.map(|code| format!(" (exit code {code})")).unwrap_or_default();
            format!("`{}` {}{code}", run.command, run.outcome.as_str().replace('_', " "))
        }
    };
    let lines: Vec<String> = run.error.iter().flat_map(|error| error.lines()).take(LINES).map(str::to_owned).collect();
    Some(Message::new(format!("run:{}", run.run), at, kind, title, &lines))
}

/// Sources that were not read for too long. Told once, and again after somebody read them in between.
fn stale(config: &Config, head: &Head, memory: &mut Memory, now: DateTime<Utc>) -> Vec<Message> {
    let hours = config.alerts.stale_hours.unwrap_or(config.checks.freshness_hours);
    let mut messages = Vec::new();
    for source in config.sources.keys() {
        let last = head.commits.iter().rev().flat_map(|commit| &commit.runs).find(|run| run.source == *source);
        let last = last.map(|run| run.observed_at);
        // What was never read is as old as the warehouse.
        let since = last.or_else(|| head.commits.first().map(|commit| commit.committed_at));
        let Some(since) = since.filter(|since| now - *since > TimeDelta::hours(hours)) else {
            memory.stale.remove(source);
            continue;
        };
        if memory.stale.insert(source.clone()) {
            let title = match last {
                Some(_) => format!("{source} was not read for {} hours", (now - since).num_hours()),
                None => format!("{source} was never read"),
            };
            let line = "its checks say nothing any more: run `tieout extract`, and look why nobody did".to_owned();
            messages.push(Message::new(format!("stale:{source}:{since}"), now, Kind::StaleSource, title, &[line]));
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Ending;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn run(ledger: &Ledger, entry: Option<&str>, command: &str, code: i32, when: DateTime<Utc>) {
        let run = ledger.begin(entry, command, entry.map(|_| (when, false)), when).unwrap();
        let error = (code != 0).then(|| "vista: no answer".to_owned());
        let ending = Ending { outcome: Outcome::of_code(Some(code)), exit_code: Some(code), error };
        ledger.end(&run, ending, when).unwrap();
    }

    #[test]
    fn runs_that_failed_are_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        let (old, new) = (at("2026-11-01T02:30:00Z"), at("2026-11-04T02:30:00Z"));
        run(&ledger, Some("nightly"), "extract", 3, old);
        for (entry, command, code) in [
            (Some("nightly"), "extract", 3),
            (Some("nightly"), "extract", 0),
            (Some("nightly"), "extract", 6),
            (Some("nightly"), "vacuum", 2),
            (None, "extract --source vista", 3),
            (None, "extract --sorce vista", 2),
            (None, "verify --deep", 4),
        ] {
            run(&ledger, entry, command, code, new);
        }
        let mut memory = Memory::default();
        let told = runs(&ledger.read().unwrap(), &mut memory, Some(new - FIRST_LOOK));
        let titles: Vec<&str> = told.iter().map(|message| message.title.as_str()).collect();
        let expected = [
            "`extract` failed (exit code 3)",
            "`vacuum` failed (exit code 2)",
            "`extract --source vista` failed (exit code 3)",
            "the warehouse does not verify",
        ];
        assert_eq!(titles, expected);
        assert_eq!(told[3].kind, Kind::FailedVerification);
        assert_eq!(told[0].lines, ["vista: no answer"]);
        assert!(runs(&ledger.read().unwrap(), &mut memory, None).is_empty(), "once");
        run(&ledger, Some("nightly"), "extract", 3, new);
        assert_eq!(runs(&ledger.read().unwrap(), &mut memory, None).len(), 1);
    }

    #[test]
    fn a_month_that_is_not_ready_is_told_once_and_when_it_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        let due = at("2026-11-03T13:00:00Z");
        let mut memory = Memory::default();
        let mut attempt = |outcome, exit_code| {
            let run = ledger.begin(Some(MONTH_END), "month-end 2026-10", Some((due, false)), due).unwrap();
            ledger.end(&run, Ending { outcome, exit_code, error: None }, due).unwrap();
            runs(&ledger.read().unwrap(), &mut memory, None).len()
        };
        assert_eq!(attempt(Outcome::Incomplete, Some(5)), 1);
        assert_eq!(attempt(Outcome::Incomplete, Some(5)), 0);
        assert_eq!(attempt(Outcome::GivenUp, None), 1);
        assert_eq!(attempt(Outcome::Succeeded, Some(0)), 0);
    }
}
