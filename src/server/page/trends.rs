//! How it moves: month by month, of all checks or one, of the firm or one project.

use maud::{Markup, html};

use super::super::Failure;
use super::super::http::Asking;
use super::checks::Checks;
use super::pieces::{choice, text};
use super::{Visit, allowed};
use crate::report::html::{figure, heading, number, short};
use crate::report::values::{count, money};
use crate::report::{charts, whole};

/// Months that are shown.
const MONTHS: usize = 25;

/// A month of what is asked for. What nobody could look at is none.
#[derive(Debug)]
struct Month {
    first_day: String,
    open: Option<i64>,
    opened: Option<i64>,
    closed: Option<i64>,
    amount: String,
    /// Checks, or checks of projects, that could not look everywhere.
    silent: i64,
    currency: String,
}

pub(super) async fn view(asking: &mut Asking, visit: &Visit<'_>) -> Result<Markup, Failure> {
    let wish = visit.wish;
    let (check, project) = (wish.get("check"), wish.get("project"));
    let checks = allowed(Checks::read(asking).await)?.unwrap_or_default();
    // Who is shown projects alone has no months of the firm.
    let by_project = !project.is_empty() || !checks.is_whole;
    let months = match allowed(months(asking, check, project, by_project).await)? {
        Ok(months) => months,
        Err(notice) => return Ok(html! { h1 { "Trends" } (notice) }),
    };
    let ages = if by_project { Vec::new() } else { ages(asking, check).await? };
    let healed = if by_project || check.is_empty() { Vec::new() } else { healed(asking, check).await? };
    let mut listed = vec![(String::new(), "every check".to_owned())];
    listed.extend(checks.all.iter().map(|check| (check.id.clone(), format!("{} {}", check.id, check.title))));
    let of = match (check, project) {
        ("", "") => String::new(),
        (check, "") => format!(" of {check}"),
        ("", project) => format!(" of project {project}"),
        (check, project) => format!(" of {check} in project {project}"),
    };
    Ok(html! {
        h1 { "Trends" }
        form.filters method="get" action="/trends" aria-label="Filters" {
            (choice("check", "Check", &listed, check))
            (text("project", "Project", &[], project))
            @for (name, value) in wish.others(&["check", "project", "page"]) { input type="hidden" name=(name) value=(value); }
            div.go { button type="submit" { "Show" } " " a href=(wish.to("/trends", &[])) { "No filter" } }
        }
        (checks.unseen(visit))
        @if months.is_empty() {
            p.notice { "There are no months of this kind yet: nobody looked, or this role is not told." }
        } @else {
            (months_drawn(&months, &of)?)
            @if !ages.is_empty() { (ages_drawn(&ages, &of)?) }
            @if !healed.is_empty() { (healed_table(&healed, &of)) }
        }
    })
}

async fn months(asking: &mut Asking, check: &str, project: &str, by_project: bool) -> Result<Vec<Month>, Failure> {
    // A project is named by its number or its id; trends know the id.
    let (view, narrowed) = if by_project {
        let named = "project_id is not null and ($2 = '' or project_id = $2 or project_id in \
                     (select project_id from recon.check_runs where project_number = $2))";
        ("trend.exceptions_by_project", named)
    } else {
        ("trend.exceptions_by_month", "$2 = ''")
    };
    let sql = format!(
        "select month, sum(open_count), sum(opened_count + reopened_count), sum(closed_count), \
         case when min(currency) = max(currency) then sum(amount_at_risk) end, \
         count(case when verdict in ('partial', 'not_evaluated') then 1 end), \
         case when min(currency) = max(currency) then max(currency) end \
         from {view} where ($1 = '' or check_id = $1) and {narrowed} group by month order by month desc limit {MONTHS}"
    );
    let month = |[first_day, open, opened, closed, amount, silent, currency]: [String; 7]| Month {
        first_day,
        open: open.parse().ok(),
        opened: opened.parse().ok(),
        closed: closed.parse().ok(),
        amount,
        silent: silent.parse().unwrap_or(0),
        currency,
    };
    let mut found: Vec<Month> = asking.rows::<7>(&sql, &[check, project]).await?.into_iter().map(month).collect();
    found.reverse();
    Ok(found)
}

async fn ages(asking: &mut Asking, check: &str) -> Result<Vec<[String; 3]>, Failure> {
    let sql = "select bucket, sum(open_count), sum(amount_at_risk) from trend.exception_ages \
               where month = (select max(month) from trend.months) and ($1 = '' or check_id = $1) \
               group by bucket, position order by position";
    asking.rows::<3>(sql, &[check]).await
}

async fn healed(asking: &mut Asking, check: &str) -> Result<Vec<[String; 5]>, Failure> {
    let sql = format!(
        "select month, closed_count, median_days, p90_days, longest_days from trend.time_to_heal where check_id = $1 \
         order by month desc limit {MONTHS}"
    );
    asking.rows::<5>(&sql, &[check]).await
}

fn drawn(result: anyhow::Result<String>) -> Result<String, Failure> {
    result.map_err(|error| Failure::new("XX000", format!("{error:#}")))
}

fn months_drawn(months: &[Month], of: &str) -> Result<Markup, Failure> {
    let labels: Vec<String> = months.iter().map(|month| short(&month.first_day)).collect();
    let values = |value: fn(&Month) -> Option<i64>| months.iter().map(value).collect::<Vec<_>>();
    let open = drawn(charts::bars(&labels, &values(|month| month.open)))?;
    let amounts: Vec<Option<i64>> = months.iter().map(|month| whole(&month.amount)).collect();
    let amount = drawn(charts::bars(&labels, &amounts))?;
    let flow = drawn(charts::lines(&labels, &values(|month| month.opened), &values(|month| month.closed)))?;
    let row = |month: &Month, value: String| vec![short(&month.first_day), value, count(&month.silent.to_string())];
    let silent = months.iter().any(|month| month.silent > 0);
    Ok(html! {
        section aria-labelledby="months" {
            h2 id="months" { "Month by month" }
            p { "A grey column is a month at which nobody could look." @if silent { " " b { "Where checks could not look a bar may be too short: the figures say how many." } } }
            div.charts {
                (figure(&format!("Open exceptions{of} at each month's end"), &open, &["month", "open", "could not look"],
                    months.iter().map(|month| row(month, number(month.open))).collect()))
                (figure(&format!("Money at risk{of} at each month's end"), &amount, &["month", "amount", "could not look"],
                    months.iter().map(|month| row(month, money(&month.amount, &month.currency))).collect()))
                (figure(&format!("Opened, and resolved (thin){of}"), &flow, &["month", "opened", "resolved"],
                    months.iter().map(|month| vec![short(&month.first_day), number(month.opened), number(month.closed)]).collect()))
            }
        }
    })
}

fn ages_drawn(ages: &[[String; 3]], of: &str) -> Result<Markup, Failure> {
    let labels: Vec<String> = ages.iter().map(|[bucket, ..]| format!("{bucket} days")).collect();
    let open: Vec<Option<i64>> = ages.iter().map(|[_, open, _]| open.parse().ok()).collect();
    let chart = drawn(charts::bars(&labels, &open))?;
    let rows = ages.iter().map(|[bucket, open, amount]| vec![format!("{bucket} days"), count(open), money(amount, "")]);
    Ok(html! {
        section aria-labelledby="ages" {
            h2 id="ages" { "By age" }
            div.charts { (figure(&format!("Open exceptions{of} by age, in the newest month"), &chart, &["age", "open", "money at risk"], rows.collect())) }
        }
    })
}

fn healed_table(healed: &[[String; 5]], of: &str) -> Markup {
    html! {
        section aria-labelledby="healed" {
            h2 id="healed" { "Days until resolved" }
            div.wide tabindex="0" role="region" aria-labelledby="healed-caption" {
                table {
                    caption id="healed-caption" { "Days open of what was resolved" (of) }
                    thead { tr { @for name in ["month", "resolved", "median", "nine in ten", "longest"] { (heading(name)) } } }
                    tbody {
                        @for [month, closed, median, p90, longest] in healed {
                            tr { th scope="row" { (short(month)) } @for value in [closed, median, p90, longest] { td.number { (count(value)) } } }
                        }
                    }
                }
            }
        }
    }
}
