//! What each check could say, as far as the role is told: of the firm as a whole, else of its own projects.
//!
//! Invariant: a check of which the role is told nothing is never shown as one that found nothing.

use maud::{Markup, html};

use super::super::http::Asking;
use super::super::{DENIED, Failure};
use super::Visit;
use crate::report::html::{change, heading};
use crate::report::values::{count, money};

/// Of a check of which the role is told nothing.
const HIDDEN: &str = "not shown";

/// A check.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) verdict: String,
    pub(super) reason: String,
    pub(super) open: String,
    pub(super) in_flight: String,
    pub(super) waived: String,
    pub(super) amount: String,
    pub(super) currency: String,
    pub(super) oldest_days: String,
    pub(super) change: String,
    /// Projects that it could not look at, or not everywhere.
    pub(super) silent_projects: String,
}

impl Check {
    /// Whether it could not look, or not everywhere.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.verdict.as_str(), "not_evaluated" | "partial")
    }

    fn is_hidden(&self) -> bool {
        self.verdict == HIDDEN
    }
}

/// All checks, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) all: Vec<Check>,
    /// Whether they speak of the firm as a whole; else of the role's projects.
    pub(super) is_whole: bool,
}

/// With what the role may read.
const WHOLE: &str = "select summary.check_id, summary.title, summary.verdict, runs.reason, summary.open_count, \
    summary.in_flight_count, summary.waived_count, summary.amount_at_risk, \
    coalesce(summary.currency, setting_text('currency')), summary.oldest_age_days, summary.change_since_last_month, \
    summary.projects_not_evaluated + summary.projects_partial from recon.summary as summary \
    left join recon.check_runs as runs on runs.check_id = summary.check_id and runs.is_latest and runs.project_id is null \
    order by summary.check_id";
/// The worst word of its projects is a check's: nothing that was not looked at hides behind what was.
const OF_PROJECTS: &str = "with runs as (select check_id, \
        count(case when verdict = 'not_evaluated' then 1 end) as unseen, count(case when verdict = 'partial' then 1 end) as part, \
        count(case when verdict = 'exceptions' then 1 end) as found, count(case when verdict = 'clean' then 1 end) as clean, \
        min(case when verdict in ('not_evaluated', 'partial') then reason end) as reason \
        from recon.check_runs where is_latest and project_id is not null group by check_id), \
    open_keys as (select distinct exception_key from recon.exceptions where state = 'open'), \
    found as (select e.check_id, count(case when e.state = 'open' then 1 end) as open_count, \
        count(case when e.state = 'in_flight' then 1 end) as in_flight_count, count(case when e.state = 'waived' then 1 end) as waived_count, \
        sum(case when e.state = 'open' and open_keys.exception_key is null then e.amount_at_risk end) as amount, \
        min(coalesce(e.currency, setting_text('currency'))) as currency, max(coalesce(e.currency, setting_text('currency'))) as last_currency, \
        max(case when e.state = 'open' then e.age_days end) as oldest \
        from recon.exceptions as e left join open_keys on open_keys.exception_key = e.explained_by group by e.check_id), \
    told as (select runs.*, case when unseen > 0 and part + found + clean = 0 then 'not_evaluated' when unseen + part > 0 then 'partial' \
        when found > 0 then 'exceptions' when clean > 0 then 'clean' else 'not_applicable' end as verdict from runs) ";
const OF_PROJECTS_COLUMNS: &str = "coalesce(told.verdict, 'not shown'), told.reason, \
    case when told.verdict in ('clean', 'exceptions', 'partial') then coalesce(found.open_count, 0) else nullif(found.open_count, 0) end, \
    case when told.verdict in ('clean', 'exceptions', 'partial') then coalesce(found.in_flight_count, 0) else nullif(found.in_flight_count, 0) end, \
    case when told.verdict in ('clean', 'exceptions', 'partial') then coalesce(found.waived_count, 0) else nullif(found.waived_count, 0) end, \
    case when found.currency is not distinct from found.last_currency then found.amount end, \
    coalesce(found.currency, setting_text('currency')), found.oldest, cast(null as varchar), told.unseen + told.part";

impl Checks {
    /// Reads them.
    pub(super) async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let whole = asking.rows::<12>(WHOLE, &[]).await?;
        if !whole.is_empty() {
            return Ok(Self { all: whole.into_iter().map(check).collect(), is_whole: true });
        }
        let named = format!(
            "{OF_PROJECTS} select checks.check_id, checks.title, {OF_PROJECTS_COLUMNS} from meta.checks as checks \
             left join told on told.check_id = checks.check_id left join found on found.check_id = checks.check_id \
             where checks.check_id is not null order by checks.check_id"
        );
        let unnamed = format!(
            "{OF_PROJECTS} select told.check_id, '', {OF_PROJECTS_COLUMNS} from told \
             left join found on found.check_id = told.check_id order by told.check_id"
        );
        let rows = match asking.rows::<12>(&named, &[]).await {
            Err(failure) if failure.code == DENIED => asking.rows::<12>(&unnamed, &[]).await?,
            told => told?,
        };
        Ok(Self { all: rows.into_iter().map(check).collect(), is_whole: false })
    }

    /// Those that could not look everywhere.
    pub(super) fn silent(&self) -> impl Iterator<Item = &Check> {
        self.all.iter().filter(|check| check.is_silent())
    }

    /// Those of which the role is told nothing.
    pub(super) fn hidden(&self) -> usize {
        self.all.iter().filter(|check| check.is_hidden()).count()
    }

    /// What nobody could look at, before anything else: whatever follows is silent about it.
    pub(super) fn unseen(&self, visit: &Visit<'_>) -> Markup {
        let silent: Vec<&Check> = self.silent().collect();
        html! {
            @if !silent.is_empty() {
                section.warning aria-labelledby="unseen" {
                    h2 id="unseen" { (count(&silent.len().to_string())) " of " (self.all.len()) " checks could not look everywhere" }
                    p { "What they would have found is not on this page." }
                    ul.reasons {
                        @for check in silent {
                            li {
                                a href=(visit.wish.to("/exceptions", &[("check", &check.id)])) { (check.id) } " " (check.title) " " (verdict(&check.verdict))
                                @if !check.silent_projects.is_empty() && check.silent_projects != "0" { " in " (count(&check.silent_projects)) @if check.silent_projects == "1" { " project" } @else { " projects" } }
                                @if !check.reason.is_empty() { ": " (check.reason) }
                            }
                        }
                    }
                }
            }
            @if !self.is_whole { (self.of_projects()) }
        }
    }

    fn of_projects(&self) -> Markup {
        html! {
            p.notice role="note" {
                b { "Not the whole firm: " } "this role is shown its own projects. What belongs to the firm as a whole (vendors, ledgers, totals) is not here"
                @if self.hidden() > 0 { "; " (self.hidden()) " of " (self.all.len()) " checks speak of that alone, or were not told for these projects" }
                "."
            }
        }
    }

    /// Every check.
    pub(super) fn table(&self, visit: &Visit<'_>) -> Markup {
        html! {
            div.wide tabindex="0" role="region" aria-labelledby="checks-caption" {
                table {
                    caption id="checks-caption" { "Every check" @if !self.is_whole { ", of this role's projects" } }
                    thead { tr { @for name in ["check", "what disagrees", "verdict", "open", "in flight", "waived", "money at risk", "oldest, days", "since last month"] { (heading(name)) } } }
                    tbody {
                        @for check in &self.all {
                            tr {
                                th scope="row" { a href=(visit.wish.to("/exceptions", &[("check", &check.id)])) { (check.id) } }
                                td { (check.title) }
                                td { (verdict(&check.verdict)) }
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

fn check(row: [String; 12]) -> Check {
    let [id, title, verdict, reason, open, in_flight, waived, amount, currency, oldest_days, change, silent_projects] =
        row;
    // Never a figure where the check could not speak.
    let is_told = matches!(verdict.as_str(), "clean" | "exceptions" | "partial");
    let amount = if is_told || !amount.is_empty() { amount } else { String::new() };
    Check {
        id,
        title,
        verdict,
        reason,
        open,
        in_flight,
        waived,
        amount,
        currency,
        oldest_days,
        change,
        silent_projects,
    }
}

/// A verdict, told by its words and not by its colour alone.
pub(super) fn verdict(verdict: &str) -> Markup {
    html! { span class={ "verdict " (verdict.replace(' ', "_")) } { (verdict.replace('_', " ")) } }
}
