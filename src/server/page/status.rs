//! The front page: what could not be looked at, what is stale, what is open, check by check, and where it comes from.

use std::time::Duration;

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::super::Failure;
use super::super::http::{Asking, Scheduled};
use super::checks::Checks;
use super::moment::Moment;
use super::{Visit, allowed, schedule, unshown};
use crate::report::html::heading;
use crate::report::values::{self, count, money};

/// Runs that are listed.
const RUNS: usize = 10;

/// A source, as its coverage tells of it.
#[derive(Debug)]
struct Source {
    name: String,
    scopes: String,
    complete: String,
    never: String,
    read_at: String,
    oldest_at: String,
    /// Since its last read: up to now, or to the moment that is shown.
    age: Option<Duration>,
}

const SOURCES: &str = "select source, count(*), count(case when status in ('ok', 'empty_verified') then 1 end), \
    count(case when complete_at is null then 1 end), date_trunc('second', max(observed_at)), \
    date_trunc('second', min(complete_at)) from meta.coverage group by source order by source";
const TOTALS: &str = "with open_keys as (select distinct exception_key from recon.exceptions where state = 'open') \
    select coalesce(e.currency, setting_text('currency')), count(*), \
    sum(case when open_keys.exception_key is null then e.amount_at_risk end) \
    from recon.exceptions as e left join open_keys on open_keys.exception_key = e.explained_by \
    where e.state = 'open' group by 1 order by 2 desc, 1";
const OTHERS: &str = "select count(case when state = 'in_flight' then 1 end), count(case when state = 'waived' then 1 end), \
    count(case when is_carried and state = 'open' then 1 end) from recon.exceptions";

pub(super) async fn view(asking: &mut Asking, visit: &Visit<'_>) -> Result<Markup, Failure> {
    let checks = allowed(Checks::read(asking).await)?;
    let totals = allowed(asking.rows::<3>(TOTALS, &[]).await)?;
    let others = allowed(asking.rows::<3>(OTHERS, &[]).await)?;
    let sources = allowed(sources(asking, visit).await)?;
    let runs = allowed(asking.rows::<8>(&runs_sql(), &[]).await)?;
    // What comes next is of the present alone. A ledger that cannot be read is no reason to show nothing else.
    let planned = if visit.moment.is_present { Scheduled::read(asking, visit.options).await } else { Ok(None) };
    let planned = planned.map_err(|failure| unshown(&failure)).transpose();
    Ok(html! {
        h1 { "Status" }
        @if visit.moment.is_empty() { (never()) }
        @match &checks { Ok(checks) => (checks.unseen(visit)), Err(notice) => (notice) }
        @if let Ok(sources) = &sources { (stale(sources, visit)) }
        @if let Some(Ok(planned)) = &planned { (schedule::alarms(planned, visit)) }
        @if let (Ok(totals), Ok(others)) = (&totals, &others) { (figures(visit, checks.as_ref().ok(), totals, others)) }
        section aria-labelledby="checks" {
            h2 id="checks" { "Checks" }
            @match &checks { Ok(checks) => (checks.table(visit)), Err(_) => { p { "Not shown to this role." } } }
        }
        section aria-labelledby="sources" {
            h2 id="sources" { "How fresh the data is" }
            @match &sources { Ok(sources) => (source_table(sources, visit)), Err(notice) => (notice) }
        }
        @if let Some(planned) = &planned {
            section aria-labelledby="schedule" {
                h2 id="schedule" { "Schedule" }
                @match planned { Ok(planned) => (schedule::table(planned, visit)), Err(notice) => (notice) }
            }
        }
        section aria-labelledby="runs" {
            h2 id="runs" { "Last runs" }
            @match &runs { Ok(runs) => (run_table(runs, visit)), Err(notice) => (notice) }
        }
    })
}

/// Of a warehouse without a commit.
fn never() -> Markup {
    html! {
        section.warning aria-labelledby="never" {
            h2 id="never" { "Nothing was looked at yet" }
            p { "The warehouse has no commit at this moment: no source was read, no check has run. " code { "tieout extract" } " makes the first." }
        }
    }
}

fn runs_sql() -> String {
    format!(
        "select source, commit_number, date_trunc('second', started_at), date_trunc('second', finished_at), request_count, \
         retry_count, waited_seconds, incomplete_tables from meta.runs order by commit_number desc, source limit {RUNS}"
    )
}

async fn sources(asking: &mut Asking, visit: &Visit<'_>) -> Result<Vec<Source>, Failure> {
    let until = until(&visit.moment, Utc::now());
    let source = |[name, scopes, complete, never, read_at, oldest_at]: [String; 6]| {
        // The last list of a run is read a little after the moment that its commit tells.
        let since = |at: DateTime<chrono::FixedOffset>| (until - at.to_utc()).to_std().unwrap_or_default();
        let age = DateTime::parse_from_rfc3339(&read_at).ok().map(since);
        Source { name, scopes, complete, never, read_at, oldest_at, age }
    };
    Ok(asking.rows::<6>(SOURCES, &[]).await?.into_iter().map(source).collect())
}

/// Up to when ages are counted.
fn until(moment: &Moment, now: DateTime<Utc>) -> DateTime<Utc> {
    if moment.is_present { now } else { moment.observed_at.unwrap_or(now) }
}

/// Sources that were not read for too long, or not completely, or never.
fn stale(sources: &[Source], visit: &Visit<'_>) -> Markup {
    let limit = visit.options.stale;
    let old: Vec<&Source> = sources.iter().filter(|source| source.age.is_none_or(|age| age > limit)).collect();
    let partial: Vec<&Source> = sources.iter().filter(|source| source.scopes != source.complete).collect();
    let is_of_all = visit.reads_all;
    let unread = visit.options.sources.iter().filter(|name| sources.iter().all(|source| source.name != **name));
    let unread: Vec<&String> = unread.filter(|_| is_of_all && !visit.moment.is_empty()).collect();
    html! {
        @if !(old.is_empty() && partial.is_empty() && unread.is_empty()) {
            section.warning aria-labelledby="stale" {
                h2 id="stale" { "Not everything is fresh" }
                ul.reasons {
                    @for source in old {
                        li { b { (source.name) } " was read last " (age(source.age)) " before " @if visit.moment.is_present { "now" } @else { "this moment" }
                            " (" (values::moment(&source.read_at, visit.options.zone)) "); more than " (age(Some(limit))) " is stale" }
                    }
                    @for source in partial {
                        li { b { (source.name) } ": " (missing(source)) " of " (count(&source.scopes)) " lists were not read completely at the last run. "
                            a href=(visit.wish.to("/coverage", &[("source", &source.name)])) { "Which of " (source.name) } }
                    }
                    @for name in unread { li { b { (name) } " is in the settings and was never read" } }
                }
            }
        }
    }
}

fn missing(source: &Source) -> String {
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    count(&number(&source.scopes).saturating_sub(number(&source.complete)).to_string())
}

fn figures(visit: &Visit<'_>, checks: Option<&Checks>, totals: &[[String; 3]], others: &[[String; 3]]) -> Markup {
    let open: u64 = totals.iter().filter_map(|[_, open, _]| open.parse::<u64>().ok()).sum();
    let [in_flight, waived, carried] = others.first().cloned().unwrap_or_default();
    let (silent, all) = checks.map_or((0, 0), |checks| (checks.silent().count(), checks.all.len()));
    let list = |values: &[(&str, &str)]| visit.wish.to("/exceptions", values);
    html! {
        section aria-labelledby="figures" {
            h2.unseen id="figures" { "Figures" }
            @if visit.moment.is_empty() {
                p { "There are no figures: nobody looked." }
            } @else {
                dl.figures {
                    div { dt { "Open" } dd { a href=(list(&[])) { (count(&open.to_string())) } } }
                    div { dt { "Money at risk" } dd { @if totals.is_empty() { "–" } @for [currency, _, amount] in totals { span.sum { (money(amount, currency)) } " " } } }
                    div { dt { "In flight" } dd { a href=(list(&[("state", "in_flight")])) { (count(&in_flight)) } } }
                    div { dt { "Waived" } dd { a href=(list(&[("state", "waived")])) { (count(&waived)) } } }
                    div.alarm[silent > 0] { dt { "Could not look" } dd { @if all == 0 { "–" } @else { (silent) span.faint { " of " (all) " checks" } } } }
                    @if carried != "0" && !carried.is_empty() { div.alarm { dt { "Not looked at again" } dd { (count(&carried)) span.faint { " of the open ones" } } } }
                }
            }
        }
    }
}

fn source_table(sources: &[Source], visit: &Visit<'_>) -> Markup {
    let zone = visit.options.zone;
    html! {
        @if sources.is_empty() {
            p.notice { "Nothing is known of any source, at this moment, for this role: that is no sign that all is well." }
        } @else {
            div.wide tabindex="0" role="region" aria-labelledby="sources-caption" {
                table {
                    caption id="sources-caption" { "Sources, and how old what is known of each is" }
                    thead { tr { @for name in ["source", "read last", "age", "lists", "complete", "never complete", "oldest complete read"] { (heading(name)) } } }
                    tbody {
                        @for source in sources {
                            tr {
                                th scope="row" { a href=(visit.wish.to("/coverage", &[("source", &source.name)])) { (source.name) } }
                                td { (values::moment(&source.read_at, zone)) }
                                td { @if source.age.is_none_or(|age| age > visit.options.stale) { span.verdict.partial { "stale: " (age(source.age)) } } @else { (age(source.age)) } }
                                td.number { (count(&source.scopes)) }
                                td.number { (count(&source.complete)) }
                                td.number { (count(&source.never)) }
                                td { @if source.oldest_at.is_empty() { "–" } @else { (values::moment(&source.oldest_at, zone)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn run_table(runs: &[[String; 8]], visit: &Visit<'_>) -> Markup {
    let zone = visit.options.zone;
    html! {
        @if runs.is_empty() {
            p.notice { "No run is shown to this role at this moment." }
        } @else {
            div.wide tabindex="0" role="region" aria-labelledby="runs-caption" {
                table {
                    caption id="runs-caption" { "The newest " (runs.len()) " runs, one per source and commit" }
                    thead { tr { @for name in ["source", "commit", "started", "ended", "requests", "repeated", "waited, s", "outcome"] { (heading(name)) } } }
                    tbody {
                        @for [source, commit, started, finished, requests, retries, waited, incomplete] in runs {
                            tr {
                                th scope="row" { (source) }
                                td.number { (commit) }
                                td { (values::moment(started, zone)) }
                                td { (values::moment(finished, zone)) }
                                td.number { (count(requests)) }
                                td.number { (count(retries)) }
                                td.number { (count(waited)) }
                                td { @if incomplete.is_empty() { "complete" } @else { span.verdict.partial { "incomplete" } " " (incomplete) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `40 minutes`, `7 hours`, `3 days`.
pub(super) fn age(age: Option<Duration>) -> String {
    let Some(age) = age else { return "a time that is not known".to_owned() };
    let (count, unit) = match age.as_secs() / 60 {
        minutes if minutes < 120 => (minutes, "minute"),
        minutes if minutes < 48 * 60 => (minutes / 60, "hour"),
        minutes => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_their_unit() {
        for (seconds, expected) in [
            (59, "0 minutes"),
            (60, "1 minute"),
            (7_199, "119 minutes"),
            (7_200, "2 hours"),
            (172_799, "47 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(age(Some(Duration::from_secs(seconds))), expected);
        }
    }

    #[test]
    fn the_present_is_counted_to_now_and_the_past_to_itself() {
        let then = DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap().to_utc();
        let now = DateTime::parse_from_rfc3339("2026-06-01T00:00:00Z").unwrap().to_utc();
        let moment = |is_present| Moment { is_present, observed_at: Some(then), ..Moment::default() };
        assert_eq!((until(&moment(true), now), until(&moment(false), now)), (now, then));
    }
}
