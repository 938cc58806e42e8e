//! What disagrees: filtered, counted, added up, in pieces.

use maud::{Markup, html};

use super::super::Failure;
use super::super::http::Asking;
use super::checks::Checks;
use super::pieces::{Piece, choice, text};
use super::wish::Wish;
use super::{Visit, allowed};
use crate::report::html::{heading, severity, side_name};
use crate::report::values::{count, money, plural};

/// Words that a row has to hold.
const WORDS_MAX: usize = 8;
/// Projects and people that are offered; others may be typed.
const KNOWN_MAX: usize = 400;
const STATES: [(&str, &str); 4] =
    [("", "open"), ("in_flight", "in flight"), ("waived", "waived"), ("all", "open, in flight and waived")];
const SIDES: [(&str, &str); 4] =
    [("", "either system"), ("pm", "project management"), ("erp", "the ERP"), ("none", "not known: compare first")];
const SEVERITIES: [(&str, &str); 4] = [("", "any"), ("high", "high"), ("medium", "medium"), ("low", "low")];
const ORDERS: [(&str, &str, &str); 4] = [
    ("", "the dearest first", "e.amount_at_risk desc nulls last, e.age_days desc, e.check_id, e.exception_key"),
    (
        "age",
        "the oldest first",
        "e.age_days desc nulls last, e.amount_at_risk desc nulls last, e.check_id, e.exception_key",
    ),
    ("check", "by check", "e.check_id, e.amount_at_risk desc nulls last, e.exception_key"),
    (
        "project",
        "by project",
        "coalesce(e.project_number, e.project_id) nulls last, e.amount_at_risk desc nulls last, e.check_id, e.exception_key",
    ),
];
/// The fields of the form.
const FIELDS: [&str; 9] = ["check", "state", "project", "side", "severity", "person", "text", "order", "page"];

/// Who made each exception, and whose money counts elsewhere.
const WITH: &str = "with people as (select check_id, exception_key, max(moved_by) as moved_by from recon.exception_attribution \
    group by check_id, exception_key), \
    open_keys as (select distinct exception_key from recon.exceptions where state = 'open') ";
const FROM: &str = "from recon.exceptions as e \
    left join people on people.check_id = e.check_id and people.exception_key = e.exception_key \
    left join open_keys on open_keys.exception_key = e.explained_by ";

/// What is asked for, as SQL over `e` and `people` with its parameters.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    conditions: Vec<String>,
    values: Vec<String>,
}

impl Filter {
    fn of(visit: &Visit<'_>) -> Self {
        let get = |name: &str| visit.wish.get(name).to_owned();
        let mut filter = Self::default();
        filter.add("e.check_id = $", get("check"));
        match get("state").as_str() {
            "all" => {}
            "" => filter.add("e.state = $", "open".to_owned()),
            state => filter.add("e.state = $", state.to_owned()),
        }
        if !visit.wish.get("project").is_empty() {
            let place = filter.value(get("project"));
            filter.conditions.push(format!("(e.project_number = ${place} or e.project_id = ${place})"));
        }
        match get("side").as_str() {
            "none" => filter.conditions.push("e.fix_side is null".to_owned()),
            _ => filter.add("e.fix_side = $", get("side")),
        }
        filter.add("e.severity = $", get("severity"));
        filter.add("people.moved_by = $", get("person"));
        for word in visit.wish.get("text").split_whitespace().take(WORDS_MAX) {
            let place = filter.value(word.to_lowercase());
            filter.conditions.push(format!(
                "strpos(lower(concat_ws(' ', e.exception_key, e.label, e.detail, e.pm_value, e.erp_value, e.project_number)), ${place}) > 0"
            ));
        }
        filter
    }

    fn value(&mut self, value: String) -> usize {
        self.values.push(value);
        self.values.len()
    }

    /// A condition on one value, if there is one.
    fn add(&mut self, condition: &str, value: String) {
        if !value.is_empty() {
            let place = self.value(value);
            self.conditions.push(format!("{condition}{place}"));
        }
    }

    fn sql(&self) -> String {
        if self.conditions.is_empty() { String::new() } else { format!("where {}", self.conditions.join(" and ")) }
    }

    fn values(&self) -> Vec<&str> {
        self.values.iter().map(String::as_str).collect()
    }
}

pub(super) async fn view(asking: &mut Asking, visit: &Visit<'_>) -> Result<Markup, Failure> {
    let checks = match allowed(Checks::read(asking).await)? {
        Ok(checks) => checks,
        Err(notice) => return Ok(html! { h1 { "Exceptions" } (notice) }),
    };
    if let Some(notice) = unknown(visit.wish, &checks) {
        let form = Box::pin(form(asking, visit, &checks)).await?;
        return Ok(
            html! { h1 { "Exceptions" } div.warning role="note" { p { b { (notice) } " Nothing was looked for." } } (form) },
        );
    }
    let filter = Filter::of(visit);
    let totals = format!(
        "{WITH} select coalesce(e.currency, setting_text('currency')), count(*), \
         sum(case when e.state = 'open' and open_keys.exception_key is null then e.amount_at_risk end), \
         count(case when e.is_carried then 1 end) {FROM} {} group by 1 order by 2 desc, 1",
        filter.sql()
    );
    let totals = asking.rows::<4>(&totals, &filter.values()).await?;
    let total = totals.iter().filter_map(|[_, count, ..]| count.parse::<u64>().ok()).sum();
    let piece = Piece::of(visit.wish, total);
    let order = ORDERS.iter().find(|order| order.0 == visit.wish.get("order")).unwrap_or(&ORDERS[0]).2;
    let rows = format!(
        "{WITH} select e.check_id, e.exception_key, e.label, e.detail, coalesce(e.project_number, e.project_id), e.pm_value, \
         e.erp_value, e.amount_at_risk, coalesce(e.currency, setting_text('currency')), e.severity, e.age_days, e.fix_side, \
         e.state, e.explained_by, people.moved_by, e.is_carried {FROM} {} order by {order} {}",
        filter.sql(),
        piece.sql()
    );
    let rows = asking.rows::<16>(&rows, &filter.values()).await?;
    let form = Box::pin(form(asking, visit, &checks)).await?;
    let about = Box::pin(about(asking, visit, &checks)).await?;
    let is_silent = checks.silent().next().is_some();
    Ok(html! {
        h1 { "Exceptions" }
        (unseen(visit, &checks))
        (about)
        (form)
        section aria-labelledby="found" {
            h2 id="found" { "Found" }
            (sums(total, &totals))
            @if rows.is_empty() {
                @if visit.moment.is_empty() || !visit.moment.is_told && checks.all.is_empty() {
                    p.notice { "Nobody looked yet: that nothing is listed is no all-clear." }
                } @else {
                    p { "None of this kind" @if is_silent { ", as far as anybody could look" } "." }
                }
            } @else {
                (table(visit, &rows))
                (piece.links(visit.wish))
            }
        }
    })
}

/// What is no choice of the form though the address names it: finding nothing of it would read as an all-clear.
fn unknown(wish: &Wish, checks: &Checks) -> Option<String> {
    let check = wish.get("check");
    // Before the first commit nobody knows any.
    if !check.is_empty() && !checks.all.is_empty() && checks.all.iter().all(|known| known.id != check) {
        return Some(format!("There is no check “{check}” here: the list of the form has all."));
    }
    let choices: [(&str, &[&str]); 3] = [
        ("state", &["open", "in_flight", "waived", "all"]),
        ("side", &["pm", "erp", "none"]),
        ("severity", &["high", "medium", "low"]),
    ];
    choices.into_iter().find_map(|(name, known)| {
        let value = wish.get(name);
        let is_known = value.is_empty() || known.contains(&value);
        (!is_known).then(|| format!("There is no {name} “{value}”: {}.", known.join(", ")))
    })
}

/// Checks that could not look, of those that are asked for.
fn unseen(visit: &Visit<'_>, checks: &Checks) -> Markup {
    let wanted = visit.wish.get("check");
    let silent: Vec<_> = checks.silent().filter(|check| wanted.is_empty() || check.id == wanted).collect();
    html! {
        @if visit.moment.is_empty() {
            div.warning { p { b { "Nothing was looked at yet." } " The warehouse has no commit at this moment." } }
        }
        @if !silent.is_empty() {
            details.warning open[!wanted.is_empty()] {
                summary { b { @if wanted.is_empty() { (plural(silent.len(), "check", "checks")) " could not look everywhere" } @else { (wanted) " could not look everywhere" } } ": what they would have found is not listed" }
                ul.reasons {
                    @for check in &silent {
                        li { a href=(visit.wish.to("/exceptions", &[("check", &check.id)])) { (check.id) } " " (check.title) " " (super::checks::verdict(&check.verdict)) @if !check.reason.is_empty() { ": " (check.reason) } }
                    }
                }
            }
        }
        @if !checks.is_whole {
            p.notice role="note" { b { "Not the whole firm: " } "this role is shown its own projects." }
        }
    }
}

/// What the one check that is asked for is about.
async fn about(asking: &mut Asking, visit: &Visit<'_>, checks: &Checks) -> Result<Markup, Failure> {
    let wanted = visit.wish.get("check");
    if wanted.is_empty() {
        return Ok(html! {});
    }
    let sql = "select question, fix, not_comparable from meta.checks where check_id = $1";
    let told = allowed(asking.rows::<3>(sql, &[wanted]).await)?;
    let [question, fix, apart] = told.ok().and_then(|mut rows| rows.pop()).unwrap_or_default();
    let check = checks.all.iter().find(|check| check.id == wanted);
    Ok(html! {
        section.about aria-labelledby="about" {
            h2 id="about" { (wanted) @if let Some(check) = check { " " (check.title) } }
            @if let Some(check) = check {
                p { (super::checks::verdict(&check.verdict)) " " (count(&check.open)) " open, " (money(&check.amount, &check.currency)) }
            }
            @if !question.is_empty() { p { (question) } }
            @if !fix.is_empty() { p { "→ " (fix) } }
            @if !apart.is_empty() { p.faint { "Not told by both systems, so not compared: " (apart) } }
        }
    })
}

async fn form(asking: &mut Asking, visit: &Visit<'_>, checks: &Checks) -> Result<Markup, Failure> {
    let wish = visit.wish;
    let projects = format!(
        "select distinct coalesce(project_number, project_id) from recon.exceptions \
         where coalesce(project_number, project_id) is not null order by 1 limit {KNOWN_MAX}"
    );
    let projects: Vec<String> = asking.rows::<1>(&projects, &[]).await?.into_iter().map(|[one]| one).collect();
    let people = format!(
        "select distinct moved_by from recon.exception_attribution where moved_by is not null order by 1 limit {KNOWN_MAX}"
    );
    let people: Vec<String> = asking.rows::<1>(&people, &[]).await?.into_iter().map(|[one]| one).collect();
    let pairs = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(value, name)| ((*value).to_owned(), (*name).to_owned())).collect()
    };
    let mut listed = vec![(String::new(), "every check".to_owned())];
    listed.extend(checks.all.iter().map(|check| (check.id.clone(), format!("{} {}", check.id, check.title))));
    let orders: Vec<(&str, &str)> = ORDERS.iter().map(|order| (order.0, order.1)).collect();
    Ok(html! {
        form.filters method="get" action="/exceptions" aria-label="Filters" {
            (choice("check", "Check", &listed, wish.get("check")))
            (choice("state", "State", &pairs(&STATES), wish.get("state")))
            (text("project", "Project", &projects, wish.get("project")))
            (choice("side", "To be fixed in", &pairs(&SIDES), wish.get("side")))
            (choice("severity", "Severity", &pairs(&SEVERITIES), wish.get("severity")))
            (text("person", "Changed last by", &people, wish.get("person")))
            (text("text", "With the words", &[], wish.get("text")))
            (choice("order", "Order", &pairs(&orders), wish.get("order")))
            @for (name, value) in wish.others(&FIELDS) { input type="hidden" name=(name) value=(value); }
            div.go { button type="submit" { "Show" } " " a href=(wish.to("/exceptions", &[])) { "No filter" } }
        }
    })
}

fn sums(total: u64, totals: &[[String; 4]]) -> Markup {
    let carried: u64 = totals.iter().filter_map(|[_, _, _, carried]| carried.parse::<u64>().ok()).sum();
    html! {
        p role="status" id="sums" {
            b { span id="total" { (count(&total.to_string())) } } @if total == 1 { " exception" } @else { " exceptions" }
            @for [currency, _, amount, _] in totals { @if !amount.is_empty() { ", " (money(amount, currency)) " at risk" } }
            "."
            @if carried > 0 { " " b.past { (count(&carried.to_string())) " could not be looked at again and are carried on from before." } }
        }
    }
}

fn table(visit: &Visit<'_>, rows: &[[String; 16]]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="list" {
            table {
                caption id="list" { "Exceptions" }
                thead { tr { @for name in ["check", "what", "project", "PM", "ERP", "amount", "severity", "days", "fix in", "changed by"] { (heading(name)) } } }
                tbody {
                    @for row in rows { (line(visit, row)) }
                }
            }
        }
    }
}

fn line(visit: &Visit<'_>, row: &[String; 16]) -> Markup {
    let [
        check,
        key,
        label,
        detail,
        project,
        pm,
        erp,
        amount,
        currency,
        grade,
        days,
        side,
        state,
        explained_by,
        person,
        is_carried,
    ] = row;
    let told = if detail.is_empty() { label } else { detail };
    html! {
        tr {
            td { (check) }
            th scope="row" {
                a href=(visit.wish.to("/exception", &[("check", check), ("key", key)])) { @if told.is_empty() { (key) } @else { (told) } }
                @if state != "open" { " " span.verdict { (state.replace('_', " ")) } }
                @if is_carried == "true" { " " span.verdict.not_evaluated { "not looked at again" } }
            }
            td { (project) }
            td { (pm) }
            td { (erp) }
            td.number { (money(amount, currency)) @if !explained_by.is_empty() { br; span.faint { "follows from " (explained_by) } } }
            td { (severity(grade)) }
            td.number { (days) }
            td { (side_name(side)) }
            td { (person) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::Check;
    use super::*;

    #[test]
    fn a_choice_that_there_is_not_finds_nothing_and_says_so() {
        let vendors = Check { id: "V1".to_owned(), ..Check::default() };
        let checks = Checks { all: vec![vendors], is_whole: true };
        let told = |query: &str| unknown(&Wish::read("/exceptions", query), &checks);
        assert!(told("check=V11").is_some_and(|notice| notice.starts_with("There is no check “V11”")));
        assert_eq!(told("check=V1"), None);
        assert_eq!(unknown(&Wish::read("/exceptions", "check=V1"), &Checks::default()), None, "nobody knows any yet");
        assert_eq!(told("severity=hihg").as_deref(), Some("There is no severity “hihg”: high, medium, low."));
        assert_eq!(told("state=opn").as_deref(), Some("There is no state “opn”: open, in_flight, waived, all."));
        for (name, offered) in [("state", &STATES), ("side", &SIDES), ("severity", &SEVERITIES)] {
            for (value, _) in offered {
                assert_eq!(told(&format!("{name}={value}&project=any&text=x")), None);
            }
        }
        assert_eq!(told("state=open"), None);
    }
}
