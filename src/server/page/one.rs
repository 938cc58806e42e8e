//! One exception: what it says, since when, what changed, who moved last, both records, and how to let it stand.

use chrono::{Days, NaiveDate};
use maud::{Markup, html};

use super::super::Failure;
use super::super::http::{Asking, Table};
use super::{Visit, allowed, records};
use crate::report::html::{heading, severity, side_name};
use crate::report::values::{self, count, money};

/// Rows of each part of its life.
const ROWS: usize = 100;
/// How long a waiver lasts in the command that is shown.
const WAIVER_DAYS: u64 = 30;

/// The view and its title; none if nothing of this key was ever there.
pub(super) async fn view(asking: &mut Asking, visit: &Visit<'_>) -> Result<Option<(String, Markup)>, Failure> {
    let (check, key) = (visit.wish.get("check"), visit.wish.get("key"));
    if key.is_empty() {
        return Ok(None);
    }
    let now = "select *, coalesce(currency, setting_text('currency')) as shown_currency from recon.exceptions \
               where exception_key = $1 and ($2 = '' or check_id = $2) order by check_id limit 1";
    let now = match allowed(asking.table(now, &[key, check]).await)? {
        Ok(now) => now,
        Err(notice) => return Ok(Some(("Exception".to_owned(), html! { h1 { "Exception" } (notice) }))),
    };
    let history = format!(
        "select episode, date_trunc('second', opened_at), opened_commit, date_trunc('second', closed_at), closed_commit, \
         days_open, largest_amount, last_amount, coalesce(currency, setting_text('currency')), is_waived, check_id, label, fix_side \
         from recon.exception_history where exception_key = $1 and ($2 = '' or check_id = $2) order by check_version, episode limit {ROWS}"
    );
    let history = asking.rows::<13>(&history, &[key, check]).await?;
    let intervals = format!(
        "select from_commit, until_commit, state, amount_at_risk, coalesce(currency, setting_text('currency')), fix_side, \
         cause, explained_by, check_version, evaluated_commit from recon.exception_intervals \
         where exception_key = $1 and ($2 = '' or check_id = $2) order by from_commit limit {ROWS}"
    );
    let intervals = asking.rows::<10>(&intervals, &[key, check]).await?;
    if now.rows.is_empty() && intervals.is_empty() {
        return Ok(None);
    }
    let check = match (now.first("check_id"), history.first()) {
        ("", Some(first)) => first[10].clone(),
        ("", None) => check.to_owned(),
        (check, _) => check.to_owned(),
    };
    let moved = "select moved_side, field, old_value, new_value, moved_commit, date_trunc('second', moved_at), moved_by, is_owner, \
                 evidence from recon.exception_attribution where exception_key = $1 and check_id = $2 limit 1";
    let moved = asking.table(moved, &[key, &check]).await?;
    let waivers = format!(
        "select reason, waived_by, date_trunc('second', waived_at), until_date, up_to_amount, state, ended_reason, \
         coalesce(currency, setting_text('currency')) from recon.waivers where exception_key = $1 and check_id = $2 \
         order by waiver_commit desc limit {ROWS}"
    );
    let waivers = asking.rows::<8>(&waivers, &[key, &check]).await?;
    let follows = format!(
        "select check_id, exception_key, coalesce(detail, label) from recon.exceptions where explained_by = $1 \
         order by check_id, exception_key limit {ROWS}"
    );
    let follows = asking.rows::<3>(&follows, &[key]).await?;
    let about = "select title, question, fix from meta.checks where check_id = $1";
    let about = allowed(asking.rows::<3>(about, &[&check]).await)?;
    let about = about.ok().and_then(|mut rows| rows.pop()).unwrap_or_default();
    let records = Box::pin(records::view(asking, &now)).await?;
    let label = [now.first("label"), history.last().map_or("", |last| last[11].as_str()), key];
    let label = label.into_iter().find(|text| !text.is_empty()).unwrap_or(key);
    let title = format!("{check} {label}");
    let main = html! {
        p.crumbs { a href=(visit.wish.to("/exceptions", &[("check", &check)])) { "All of " (check) } }
        h1 { (check) " " (label) }
        (present(visit, &now, key, &about))
        (life(visit, &history, &intervals))
        (mover(visit, &moved))
        (records)
        (following(visit, &follows))
        (waived(visit, &waivers))
        @if !now.rows.is_empty() { (waive(visit, key)) }
        (sql(visit, key))
    };
    Ok(Some((title, main)))
}

/// What it says now.
fn present(visit: &Visit<'_>, now: &Table, key: &str, [check, question, fix]: &[String; 3]) -> Markup {
    let get = |column: &str| now.first(column).to_owned();
    let zone = visit.options.zone;
    let at = |column: &str| {
        let text = values::moment(now.first(column), zone);
        if text.is_empty() { "–".to_owned() } else { text }
    };
    if now.rows.is_empty() {
        return html! {
            p.notice { b { "It is not there at this moment. " } "What follows is its life until it was gone; a check that could not look closes nothing." }
        };
    }
    let state = get("state");
    let explained_by = get("explained_by");
    html! {
        p.told { (now.first("detail")) }
        @if get("is_carried") == "true" {
            div.warning { p { b { "Not looked at again: " } "the check could not look at the newest commit, so this is carried on from before. It may be settled, or worse." } }
        }
        dl.facts {
            div { dt { "State" } dd { span.verdict { (state.replace('_', " ")) } " " (severity(now.first("severity"))) } }
            div { dt { "Money at risk" } dd { (money(now.first("amount_at_risk"), now.first("shown_currency"))) @if !explained_by.is_empty() { span.faint { " counts where it follows from" } } } }
            div { dt { "To be fixed in" } dd { (side_name(now.first("fix_side"))) } }
            div { dt { "Right by the rules" } dd { @if get("record_owner").is_empty() { "not settled" } @else { (side_name(now.first("record_owner"))) } } }
            div { dt { "Project" } dd { @if get("project_number").is_empty() { (if get("project_id").is_empty() { "the firm".to_owned() } else { get("project_id") }) } @else { (get("project_number")) } } }
            div { dt { "In PM" } dd { (dash(now.first("pm_value"))) } }
            div { dt { "In the ERP" } dd { (dash(now.first("erp_value"))) } }
            div { dt { "Cause" } dd { (get("cause").replace('_', " ")) } }
            div { dt { "Came to be" } dd { (at("occurred_at")) } }
            div { dt { "First seen" } dd { (at("first_seen_at")) } }
            div { dt { "Age" } dd { (count(now.first("age_days"))) " days" } }
            div { dt { "Data of PM, ERP" } dd { (at("pm_observed_at")) ", " (at("erp_observed_at")) } }
            @if !explained_by.is_empty() { div { dt { "Follows from" } dd { a href=(visit.wish.to("/exception", &[("key", &explained_by)])) { (explained_by) } } } }
            div { dt { "Key" } dd { code { (key) } } }
        }
        @if !check.is_empty() { p { b { (check) } ". " (question) } }
        @if !fix.is_empty() { p { "→ " (fix) } }
    }
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

fn life(visit: &Visit<'_>, history: &[[String; 13]], intervals: &[[String; 10]]) -> Markup {
    let zone = visit.options.zone;
    html! {
        section aria-labelledby="life" {
            h2 id="life" { "Its life" }
            @if history.is_empty() {
                p { "It was never open" @if !intervals.is_empty() { ": within its grace until now" } "." }
            } @else {
                div.wide tabindex="0" role="region" aria-labelledby="episodes" {
                    table {
                        caption id="episodes" { "Opened and closed" }
                        thead { tr { @for name in ["no.", "opened", "commit", "closed", "commit", "days open", "largest amount", "last amount", "waived"] { (heading(name)) } } }
                        tbody {
                            @for [episode, opened, opened_commit, closed, closed_commit, days, largest, last, currency, is_waived, ..] in history {
                                tr {
                                    th scope="row" { (episode) }
                                    td { (values::moment(opened, zone)) }
                                    td.number { (opened_commit) }
                                    td { @if closed.is_empty() { b { "still there" } } @else { (values::moment(closed, zone)) } }
                                    td.number { (dash(closed_commit)) }
                                    td.number { (count(days)) }
                                    td.number { (money(largest, currency)) }
                                    td.number { (money(last, currency)) }
                                    td { @if is_waived == "true" { "yes" } @else { "no" } }
                                }
                            }
                        }
                    }
                }
            }
            div.wide tabindex="0" role="region" aria-labelledby="stretches" {
                table {
                    caption id="stretches" { "What stood, from commit to commit" @if intervals.len() >= ROWS { " (the first " (ROWS) ")" } }
                    thead { tr { @for name in ["from commit", "until", "state", "amount", "fix in", "cause", "follows from", "said by"] { (heading(name)) } } }
                    tbody {
                        @for [from, until, state, amount, currency, side, cause, explained_by, version, evaluated] in intervals {
                            tr {
                                th scope="row" { a href=(visit.wish.with(&[("as_of", &format!("commit:{from}"))])) { (from) } }
                                td { @if until.is_empty() { "now" } @else { (until) } }
                                td { (state.replace('_', " ")) }
                                td.number { (money(amount, currency)) }
                                td { (side_name(side)) }
                                td { (cause.replace('_', " ")) }
                                td { (explained_by) }
                                td { "version " (version) @if !evaluated.is_empty() { ", recheck " (evaluated) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn mover(visit: &Visit<'_>, moved: &Table) -> Markup {
    let get = |column: &str| moved.first(column);
    html! {
        @if !moved.rows.is_empty() {
            section aria-labelledby="mover" {
                h2 id="mover" { "Who moved last" }
                @if get("moved_side").is_empty() {
                    p { "Nobody saw a move: the sides differed when both were first read, or the source does not tell." }
                } @else {
                    p {
                        b { (side_name(get("moved_side"))) }
                        @if get("field").is_empty() { ": the record" } @else { ": " (get("field").replace('_', " ")) " from " q { (dash(get("old_value"))) } " to " q { (dash(get("new_value"))) } }
                        @if !get("moved_by").is_empty() { ", by " b { (get("moved_by")) } }
                        ", " (values::moment(moved.rows.first().and_then(|row| row.get(5)).map_or("", String::as_str), visit.options.zone)) ", commit " (get("moved_commit"))
                        ". " @if get("is_owner") == "true" { "That side owns the field." } @else if get("is_owner") == "false" { "That side does not own the field." }
                        " " span.faint { "Evidence: " (get("evidence").replace('_', " ")) }
                    }
                }
            }
        }
    }
}

fn following(visit: &Visit<'_>, follows: &[[String; 3]]) -> Markup {
    html! {
        @if !follows.is_empty() {
            section aria-labelledby="follows" {
                h2 id="follows" { "What follows from it" }
                ul { @for [check, key, told] in follows { li { (check) " " a href=(visit.wish.to("/exception", &[("check", check), ("key", key)])) { (if told.is_empty() { key } else { told }) } } } }
            }
        }
    }
}

fn waived(visit: &Visit<'_>, waivers: &[[String; 8]]) -> Markup {
    html! {
        @if !waivers.is_empty() {
            section aria-labelledby="waivers" {
                h2 id="waivers" { "Waivers" }
                div.wide tabindex="0" role="region" aria-labelledby="waivers" {
                    table {
                        thead { tr { @for name in ["why", "by", "when", "until", "up to", "state"] { (heading(name)) } } }
                        tbody {
                            @for [reason, by, at, until, up_to, state, ended, currency] in waivers {
                                tr {
                                    th scope="row" { (reason) }
                                    td { (by) }
                                    td { (values::moment(at, visit.options.zone)) }
                                    td { (until) }
                                    td.number { (money(up_to, currency)) }
                                    td { (state.replace('_', " ")) @if !ended.is_empty() { ": " (ended) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The command that lets it stand, to be filled in where the warehouse may be written.
fn waive(visit: &Visit<'_>, key: &str) -> Markup {
    let until = visit.moment.accounting_date.parse::<NaiveDate>().ok();
    let until = until.and_then(|day| day.checked_add_days(Days::new(WAIVER_DAYS)));
    let until = until.map_or_else(|| "YYYY-MM-DD".to_owned(), |day| day.to_string());
    let command = format!("tieout waive {} --reason '…' --by {} --until {until}", quoted(key), quoted(&visit.who.role));
    html! {
        section aria-labelledby="waive" {
            h2 id="waive" { "Let it stand for a while" }
            p { "This page changes nothing. Where the warehouse may be written, with the reason in the place of …:" }
            (copied("waive-command", &command))
        }
    }
}

fn sql(visit: &Visit<'_>, key: &str) -> Markup {
    let text = format!("select * from recon.exceptions where exception_key = '{}'", key.replace('\'', "''"));
    let as_of =
        if visit.moment.commit.is_empty() { String::new() } else { format!("--as-of commit:{} ", visit.moment.commit) };
    html! {
        section aria-labelledby="same" {
            h2 id="same" { "The same in SQL" }
            (copied("sql-command", &format!("tieout sql {as_of}\"{}\"", within(&text))))
        }
    }
}

/// A command with a button that copies it, where a script runs.
fn copied(id: &str, command: &str) -> Markup {
    html! {
        div.command {
            pre tabindex="0" { code id=(id) { (command) } }
            button.copy type="button" data-copies=(id) hidden { "Copy" }
            span.copied role="status" {}
        }
    }
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A text within the double quotes of a shell.
fn within(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '"' | '$' | '`' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word_to_a_shell() {
        assert_eq!(quoted("O1:a b"), "'O1:a b'");
        assert_eq!(within("a$(b)`c`\"d\\"), "a\\$(b)\\`c\\`\\\"d\\\\");
        assert_eq!(quoted("x'; rm -rf ~; '"), "'x'\\''; rm -rf ~; '\\'''");
    }
}
