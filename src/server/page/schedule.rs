//! What runs by itself: when next, how it ended last, and what of it needs somebody.

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};

use super::super::http::Scheduled;
use super::Visit;
use crate::report::html::heading;
use crate::report::values;
use crate::schedule::{Outcome, Run, Watched, headline};

/// What failed, what was missed, and whether anybody carries it out: before anything that went well.
pub(super) fn alarms(schedule: &Scheduled, visit: &Visit<'_>) -> Markup {
    let failed: Vec<(&Watched, &Run)> =
        schedule.entries.iter().filter_map(|entry| Some((entry, entry.failed()?))).collect();
    let missed: Vec<(&Watched, DateTime<Utc>)> =
        schedule.entries.iter().filter_map(|entry| Some((entry, entry.missed?))).collect();
    html! {
        @if !(failed.is_empty() && missed.is_empty() && schedule.is_carried_out) {
            section.warning aria-labelledby="unscheduled" {
                h2 id="unscheduled" { "What runs by itself needs somebody" }
                ul.reasons {
                    @if !schedule.is_carried_out {
                        li { "No server carries the schedule out now: nothing runs by itself. " code { "tieout serve --schedule" } " does" }
                    }
                    @for (entry, run) in failed {
                        li { b { (entry.name) } " " (words(run.outcome)) " on " (moment(run.started_at, visit)) (code(run))
                            @if let Some(line) = headline(run.outcome, said(run)) { ": " (line) } }
                    }
                    @for (entry, due) in missed {
                        li { b { (entry.name) } " was due on " (moment(due, visit)) " and has not begun" }
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
                            th scope="row" { (entry.name) }
                            td { code { (entry.command) } }
                            td { (entry.when) }
                            td { @match entry.next { Some(next) => (moment(next, visit)), None => { span.verdict.partial { "never" } } } }
                            td {
                                @if let Some(run) = &entry.running { "runs since " (moment(run.started_at, visit)) }
                                @else if let Some(run) = &entry.last { (moment(run.started_at, visit)) }
                                @else { "not yet" }
                            }
                            td { @match &entry.last { Some(run) => (outcome(run)), None => "–" } }
                            td { @match entry.succeeded.as_ref().and_then(|run| run.ended_at) { Some(at) => (moment(at, visit)), None => "–" } }
                        }
                    }
                }
            }
        }
    }
}

/// How a run ended, all that it said of it to be opened.
fn outcome(run: &Run) -> Markup {
    let class = match run.outcome {
        Outcome::Succeeded => "clean",
        outcome if outcome.is_failure() => "not_evaluated",
        _ => "partial",
    };
    html! {
        span class={ "verdict " (class) } { (words(run.outcome)) } (code(run))
        @if let Some(line) = headline(run.outcome, said(run)) {
            @if said(run).lines().count() > 1 {
                details { summary { (line) } pre { (said(run)) } }
            } @else { " " (line) }
        }
    }
}

fn words(outcome: Outcome) -> String {
    outcome.as_str().replace('_', " ")
}

/// What it said of what went wrong.
fn said(run: &Run) -> &str {
    run.error.as_deref().unwrap_or_default()
}

fn code(run: &Run) -> String {
    run.exit_code.filter(|code| *code != 0).map_or_else(String::new, |code| format!(" (exit code {code})"))
}

fn moment(at: DateTime<Utc>, visit: &Visit<'_>) -> String {
    values::moment(&at.to_rfc3339_opts(SecondsFormat::Secs, true), visit.options.zone)
}
