//! What runs by itself: when next, how it ended last, and what of it needs somebody.

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};

use super::super::http::{Ended, Entry, Scheduled};
use super::Visit;
use crate::report::html::heading;
use crate::report::values;
use crate::schedule::{Outcome, headline};

/// What failed, what was missed, and whether anybody carries it out: before anything that went well.
pub(super) fn alarms(schedule: &Scheduled, visit: &Visit<'_>) -> Markup {
    let failed: Vec<(&Entry, &Ended)> =
        schedule.entries.iter().filter_map(|entry| Some((entry, entry.failed()?))).collect();
    let missed: Vec<(&Entry, DateTime<Utc>)> =
        schedule.entries.iter().filter_map(|entry| Some((entry, entry.due.missed?))).collect();
    html! {
        @if !(failed.is_empty() && missed.is_empty() && schedule.is_carried_out) {
            section.warning aria-labelledby="unscheduled" {
                h2 id="unscheduled" { "What runs by itself needs somebody" }
                ul.reasons {
                    @if !schedule.is_carried_out {
                        li { "No server carries the schedule out now: nothing runs by itself. " code { "tieout serve --schedule" } " does" }
                    }
                    @for (entry, run) in failed {
                        li { b { (entry.due.name) } " " (words(run.outcome)) " on " (moment(&run.started_at, visit)) (code(run))
                            @if let Some(line) = headline(run.outcome, &run.error) { ": " (line) } }
                    }
                    @for (entry, due) in missed {
                        li { b { (entry.due.name) } " was due on " (at(due, visit)) " and has not begun" }
                    }
                }
            }
        }
    }
}

/// Every entry.
pub(super) fn table(schedule: &Scheduled, visit: &Visit<'_>) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="schedule-caption" {
            table {
                caption id="schedule-caption" { "What runs by itself, when next, and how it ended last" }
                thead { tr { @for name in ["entry", "command", "when", "next", "last run", "outcome", "last success"] { (heading(name)) } } }
                tbody {
                    @for entry in &schedule.entries {
                        tr {
                            th scope="row" { (entry.due.name) }
                            td { code { (entry.due.command) } }
                            td { (entry.due.when) }
                            td { @match entry.due.next { Some(next) => (at(next, visit)), None => { span.verdict.partial { "never" } } } }
                            td {
                                @if !entry.running_since.is_empty() { "runs since " (moment(&entry.running_since, visit)) }
                                @else if let Some(run) = &entry.last { (moment(&run.started_at, visit)) }
                                @else { "not yet" }
                            }
                            td { @match &entry.last { Some(run) => (outcome(run)), None => "–" } }
                            td { @if entry.succeeded_at.is_empty() { "–" } @else { (moment(&entry.succeeded_at, visit)) } }
                        }
                    }
                }
            }
        }
    }
}

/// How a run ended, all that it said of it to be opened.
fn outcome(run: &Ended) -> Markup {
    let class = match run.outcome {
        Outcome::Succeeded => "clean",
        outcome if outcome.is_failure() => "not_evaluated",
        _ => "partial",
    };
    html! {
        span class={ "verdict " (class) } { (words(run.outcome)) } (code(run))
        @if let Some(line) = headline(run.outcome, &run.error) {
            @if run.error.lines().count() > 1 {
                details { summary { (line) } pre { (run.error) } }
            } @else { " " (line) }
        }
    }
}

fn words(outcome: Outcome) -> String {
    outcome.as_str().replace('_', " ")
}

fn code(run: &Ended) -> String {
    if matches!(run.exit_code.as_str(), "" | "0") { String::new() } else { format!(" (exit code {})", run.exit_code) }
}

fn moment(text: &str, visit: &Visit<'_>) -> String {
    values::moment(text, visit.options.zone)
}

fn at(at: DateTime<Utc>, visit: &Visit<'_>) -> String {
    moment(&at.to_rfc3339_opts(SecondsFormat::Secs, true), visit)
}
