//! The report as one page: no file beside it, no address that it asks, readable on a telephone and on paper.

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::values::{count, money, month, plural};
use super::{Check, Exception, Group, Move, Report, charts};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What is to be fixed first.
const FIRST: usize = 15;
/// Rows of a table of moves.
const MOVES: usize = 50;
/// Rows of the table of all open exceptions; a page of more is slow on a telephone.
const ROWS: usize = 5_000;
/// Nothing is loaded, and nothing leaves the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// The page.
///
/// # Errors
/// A chart that cannot be drawn.
pub(crate) fn page(report: &Report) -> Result<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (report.heading()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { @if report.subject.firm.is_empty() { "Reconciliation" } @else { (report.subject.firm) } }
                    p.period { "Reconciliation of " (report.title()) }
                    p.faint { "Read " (report.observed_at) ", commit " (report.commit) }
                }
                main {
                    (unseen(report))
                    (figures(report))
                    (first(report))
                    (groups(report))
                    (moved(report))
                    (trends(report)?)
                    (checks(report))
                    (all(report))
                    (waived(report))
                }
                footer { (colophon(report)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(page.into_string())
}

/// What nobody could look at comes first: whatever follows is silent about it.
fn unseen(report: &Report) -> Markup {
    let silent: Vec<&Check> = report.silent().collect();
    if silent.is_empty() {
        return html! {};
    }
    html! {
        section.warning aria-labelledby="unseen" {
            h2 id="unseen" { (plural(silent.len(), "check", "checks")) " could not look everywhere" }
            p { "What they would have found is not in this report." }
            ul {
                @for check in silent {
                    li { b { (check.id) " " (check.title) } " (" (check.verdict.replace('_', " ")) ")" @if !check.reason.is_empty() { ": " (check.reason) } }
                }
            }
        }
    }
}

fn figures(report: &Report) -> Markup {
    let whole = report.by(|_| "");
    let amount = whole.first().map_or_else(|| money("0.00", ""), Group::amount);
    let reopened = report.opened.iter().filter(|one| one.is_reopened).count();
    html! {
        section aria-label="Figures" {
            dl.figures {
                div { dt { "Open" } dd { (count(&report.open.len().to_string())) } }
                div { dt { "Money at risk" } dd { (amount) } }
                div { dt { "Opened this month" } dd { (report.opened.len()) @if reopened > 0 { span.faint { " (" (reopened) " again)" } } } }
                div { dt { "Resolved this month" } dd { (report.closed.len()) } }
                div { dt { "Waived" } dd { (report.waived.len()) } }
                div { dt { "Could not look" } dd { (report.silent().count()) span.faint { " of " (report.checks.len()) " checks" } } }
            }
        }
    }
}

fn first(report: &Report) -> Markup {
    html! {
        section aria-labelledby="first" {
            h2 id="first" { "Fix first" }
            @if report.open.is_empty() {
                p { "Nothing is open" @if report.silent().next().is_some() { ", as far as anybody could look" } "." }
            } @else {
                ol.first {
                    @for exception in report.first(FIRST) {
                        li {
                            p { b { (money(&exception.amount, &exception.currency)) } " " (side(&exception.fix_side)) " " (severity(&exception.severity)) }
                            p { (exception.told()) }
                            p.faint {
                                (exception.check) " " (report.check(&exception.check).map_or("", |check| check.title.as_str()))
                                @if !exception.project.is_empty() { " · project " (exception.project) }
                                " · " (days(&exception.age_days))
                                @if !exception.moved_by.is_empty() { " · last changed by " (exception.moved_by) }
                            }
                            @if let Some(check) = report.check(&exception.check).filter(|check| !check.fix.is_empty()) {
                                p { "→ " (check.fix) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn groups(report: &Report) -> Markup {
    let people = report.by(|exception| &exception.moved_by);
    let known = people.iter().any(|group| !group.name.is_empty());
    html! {
        section aria-labelledby="who" {
            h2 id="who" { "Whose turn it is" }
            div.beside {
                (group_table("By side that fixes it", "side", &report.by(|exception| &exception.fix_side), &side_name))
                (group_table("By project", "project", &report.by(|exception| &exception.project), &|name| if name.is_empty() { "(the firm)".to_owned() } else { name.to_owned() }))
                @if known {
                    (group_table("By person who changed it last", "person", &people, &|name| if name.is_empty() { "(not told)".to_owned() } else { name.to_owned() }))
                }
            }
        }
    }
}

fn group_table(caption: &str, what: &str, groups: &[Group<'_>], name: &dyn Fn(&str) -> String) -> Markup {
    html! {
        div.wide {
            table.sortable {
                caption { (caption) }
                thead { tr { (heading(what)) (heading("open")) (heading("money at risk")) } }
                tbody {
                    @for group in groups {
                        tr {
                            th scope="row" { (name(group.name)) }
                            td.number { (group.count) }
                            td.number { (group.amount()) }
                        }
                    }
                }
            }
        }
    }
}

fn moved(report: &Report) -> Markup {
    html! {
        section aria-labelledby="moved" {
            h2 id="moved" { "What changed since the month before" }
            (move_table("Opened", &report.opened, false))
            (move_table("Resolved", &report.closed, true))
        }
    }
}

fn move_table(caption: &str, moves: &[Move], is_closed: bool) -> Markup {
    html! {
        details open[moves.len() <= 10] {
            summary { (caption) ": " (moves.len()) }
            @if moves.is_empty() {
                p { "None." }
            } @else {
                div.wide {
                    table.sortable {
                        thead {
                            tr { (heading("check")) (heading("what")) (heading("project")) (heading("fix in")) (heading("amount")) (heading("day"))
                                @if is_closed { (heading("days open")) } }
                        }
                        tbody {
                            @for one in moves.iter().take(MOVES) {
                                tr {
                                    td { (one.check) }
                                    td { (one.label) @if one.is_reopened { span.faint { " (again)" } } }
                                    td { (one.project) }
                                    td { (side_name(&one.fix_side)) }
                                    td.number { (money(&one.amount, &one.currency)) }
                                    td { (one.at) }
                                    @if is_closed { td.number { (one.days) } }
                                }
                            }
                        }
                    }
                }
                @if moves.len() > MOVES { p.faint { "The " (MOVES) " dearest; recon.exception_history has all." } }
            }
        }
    }
}

fn trends(report: &Report) -> Result<Markup> {
    let labels: Vec<String> = report.months.iter().map(|one| short(&one.first_day)).collect();
    let of = |value: fn(&super::Month) -> Option<i64>| report.months.iter().map(value).collect::<Vec<_>>();
    let ages: Vec<String> = report.ages.iter().map(|age| format!("{} days", age.bucket)).collect();
    let aging: Vec<Option<i64>> = report.ages.iter().map(|age| age.open).collect();
    let mut latencies: Vec<Markup> = Vec::new();
    let mut entities: Vec<&str> = report.latencies.iter().map(|one| one.entity.as_str()).collect();
    entities.sort_unstable();
    entities.dedup();
    for entity in entities {
        let of_entity: Vec<_> = report.latencies.iter().filter(|one| one.entity == entity).collect();
        let labels: Vec<String> = of_entity.iter().map(|one| short(&one.month)).collect();
        let [median, p90] = [|one: &super::Latency| one.median_hours, |one: &super::Latency| one.p90_hours]
            .map(|value| of_entity.iter().map(|one| value(one)).collect::<Vec<_>>());
        let chart = charts::lines(&labels, &median, &p90)?;
        let rows = of_entity
            .iter()
            .map(|one| vec![short(&one.month), count(&one.arrived), number(one.median_hours), number(one.p90_hours)]);
        let caption =
            format!("Hours until {} reach the other system: median, and nine in ten (thin)", entity.replace('_', " "));
        latencies.push(figure(&caption, &chart, &["month", "arrived", "median", "nine in ten"], rows.collect()));
    }
    let months = |value: fn(&super::Month) -> Option<i64>| {
        report
            .months
            .iter()
            .map(|one| vec![short(&one.first_day), number(value(one)), one.silent.to_string()])
            .collect()
    };
    let (opened, closed) = (of(|one| one.opened), of(|one| one.closed));
    let flow =
        report.months.iter().map(|one| vec![short(&one.first_day), number(one.opened), number(one.closed)]).collect();
    Ok(html! {
        section aria-labelledby="trends" {
            h2 id="trends" { "How it moves" }
            p.faint { "A grey column is a month at which nobody could look." @if report.months.iter().any(|one| one.silent > 0) { " Where checks could not look a bar may be too short." } }
            div.charts {
                (figure("Open exceptions at each month's end", &charts::bars(&labels, &of(|one| one.open))?, &["month", "open", "checks that could not look"], months(|one| one.open)))
                (figure("Money at risk at each month's end", &charts::bars(&labels, &of(|one| one.amount))?, &["month", "amount", "checks that could not look"], months(|one| one.amount)))
                (figure("Opened, and resolved (thin)", &charts::lines(&labels, &opened, &closed)?, &["month", "opened", "resolved"], flow))
                (figure("Open exceptions by age", &charts::bars(&ages, &aging)?, &["age", "open", "money at risk"],
                    report.ages.iter().map(|age| vec![format!("{} days", age.bucket), number(age.open), if report.is_one_currency() { money(&age.amount, "") } else { "–".to_owned() }]).collect()))
                @for chart in latencies { (chart) }
            }
        }
    })
}

/// A chart, and its figures as a table for who cannot see it.
pub(crate) fn figure(caption: &str, chart: &str, headings: &[&str], rows: Vec<Vec<String>>) -> Markup {
    html! {
        figure {
            figcaption { (caption) }
            (PreEscaped(chart))
            details {
                summary { "Figures" }
                div.wide {
                    table {
                        thead { tr { @for heading in headings { th scope="col" { (heading) } } } }
                        tbody {
                            @for row in rows {
                                tr { @for (place, value) in row.iter().enumerate() { @if place == 0 { th scope="row" { (value) } } @else { td.number { (value) } } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn checks(report: &Report) -> Markup {
    html! {
        section aria-labelledby="checks" {
            h2 id="checks" { "Every check" }
            div.wide {
                table.sortable {
                    thead {
                        tr { @for name in ["check", "what disagrees", "verdict", "open", "in flight", "waived", "money at risk", "oldest, days", "since last month"] { (heading(name)) } }
                    }
                    tbody {
                        @for check in &report.checks {
                            tr {
                                th scope="row" { @if check.open.is_empty() || check.open == "0" { (check.id) } @else { a href={ "#check-" (check.id) } { (check.id) } } }
                                td { (check.title) @if !check.reason.is_empty() { br; span.faint { (check.reason) } } }
                                td { span class={ "verdict " (check.verdict) } { (check.verdict.replace('_', " ")) } }
                                td.number { (count(&check.open)) }
                                td.number { (count(&check.in_flight)) }
                                td.number { (count(&check.waived)) }
                                td.number { (money(&check.amount, &check.currency)) }
                                td.number { (count(&check.oldest_days)) }
                                td.number { (change(&check.change)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// All that is open, check by check, to look into.
fn all(report: &Report) -> Markup {
    let mut left = ROWS;
    let with_open = report.checks.iter().filter_map(|check| {
        let of_check: Vec<&Exception> = report.open.iter().filter(|exception| exception.check == check.id).collect();
        let shown = of_check.len().min(left);
        left -= shown;
        (!of_check.is_empty()).then_some((check, of_check, shown))
    });
    let with_open: Vec<_> = with_open.collect();
    html! {
        section aria-labelledby="all" {
            h2 id="all" { "All that is open" }
            @if !with_open.is_empty() {
                p.controls {
                    label for="filter" { "Show rows with " }
                    input id="filter" type="search" placeholder="a vendor, a number, a project";
                    label for="side" { " to be fixed in " }
                    select id="side" { option value="" { "either system" } option value="pm" { "project management" } option value="erp" { "the ERP" } }
                    span id="shown" role="status" {}
                }
            }
            @for (check, exceptions, shown) in with_open {
                details.check id={ "check-" (check.id) } {
                    summary { b { (check.id) } " " (check.title) ": " (exceptions.len()) ", " (money(&check.amount, &check.currency)) }
                    @if !check.question.is_empty() { p { (check.question) } }
                    @if !check.fix.is_empty() { p { "→ " (check.fix) } }
                    div.wide {
                        table.sortable {
                            thead { tr { @for name in ["what", "project", "PM", "ERP", "amount", "severity", "days", "first seen", "fix in", "cause"] { (heading(name)) } } }
                            tbody {
                                @for exception in exceptions.iter().take(shown) {
                                    tr data-side=(exception.fix_side) {
                                        td { (exception.told()) br; code { (exception.key) } }
                                        td { (exception.project) }
                                        td { (exception.pm_value) }
                                        td { (exception.erp_value) }
                                        td.number { (money(&exception.amount, &exception.currency)) @if !exception.explained_by.is_empty() { br; span.faint { "counts in " (exception.explained_by) } } }
                                        td { (severity(&exception.severity)) }
                                        td.number { (exception.age_days) }
                                        td { (exception.first_seen) }
                                        td { (side_name(&exception.fix_side)) }
                                        td { (exception.cause.replace('_', " ")) }
                                    }
                                }
                            }
                        }
                    }
                    @if exceptions.len() > shown {
                        p.faint { (exceptions.len() - shown) " more: " code { "tieout sql --as-of commit:" (report.commit) " \"select * from recon." (check.view) "\"" } }
                    }
                }
            }
        }
    }
}

fn waived(report: &Report) -> Markup {
    html! {
        @if !report.waived.is_empty() {
            section aria-labelledby="waived" {
                h2 id="waived" { "Waived" }
                div.wide {
                    table.sortable {
                        thead { tr { @for name in ["check", "what", "amount", "why", "by", "until"] { (heading(name)) } } }
                        tbody {
                            @for one in &report.waived {
                                tr { td { (one.check) } td { (one.label) } td.number { (money(&one.amount, &one.currency)) } td { (one.reason) } td { (one.by) } td { (one.until) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn colophon(report: &Report) -> Markup {
    html! {
        h2 { "What this stands on" }
        ul {
            @for source in &report.sources {
                li { (source.name) ": the table read longest ago is of " (source.oldest) @if !source.hours.is_empty() { ", " (source.hours) " hours before" } }
            }
        }
        p { "Times are of " (report.subject.zone.name()) ". The same figures: " code { "tieout sql --as-of commit:" (report.commit) " \"select * from recon.summary\"" } }
        p.faint { "tieout " (env!("CARGO_PKG_VERSION")) }
    }
}

pub(crate) fn heading(name: &str) -> Markup {
    html! { th scope="col" { (name) } }
}

fn side(fix_side: &str) -> Markup {
    html! { span.side { "fix in " (side_name(fix_side)) } }
}

/// Which system is to be changed.
pub(crate) fn side_name(fix_side: &str) -> String {
    match fix_side {
        "pm" => "project management".to_owned(),
        "erp" => "the ERP".to_owned(),
        "" => "either: compare first".to_owned(),
        other => other.to_owned(),
    }
}

/// A severity, as a mark.
pub(crate) fn severity(severity: &str) -> Markup {
    html! { span class={ "severity " (severity) } { (severity) } }
}

fn days(age: &str) -> String {
    if age == "1" { "1 day".to_owned() } else { format!("{age} days") }
}

pub(crate) fn number(value: Option<i64>) -> String {
    count(&value.map(|value| value.to_string()).unwrap_or_default())
}

pub(crate) fn change(text: &str) -> String {
    match text {
        "" => "–".to_owned(),
        "0" => "0".to_owned(),
        less if less.starts_with('-') => less.to_owned(),
        more => format!("+{more}"),
    }
}

/// `2026-10-01` → `2026-10`.
pub(crate) fn short(month: &str) -> String {
    month.get(..7).unwrap_or(month).to_owned()
}

impl Report {
    /// The month, and whether it goes on.
    pub(crate) fn title(&self) -> String {
        format!("{}{}", month(&self.month), if self.is_closed { "" } else { " (so far)" })
    }
}
