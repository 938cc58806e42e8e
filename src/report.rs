//! A month's report, for people who open no database: what changed, what to fix first and on which side, by project and person.
//!
//! [`Report::gather`] asks the views, as of the commit that stands for the month; [`page`], [`message`] and [`workbook()`] only set
//! what it found. Invariants: a check that could not look is never shown by a number; every figure can be asked again by the
//! query beside it; what a page leaves out is counted on it.

mod charts;
mod html;
mod markdown;
pub(crate) mod values;
mod workbook;

pub(crate) use html::page;
pub(crate) use markdown::message;
pub(crate) use workbook::workbook;

use std::collections::BTreeSet;

use anyhow::Result;
use chrono::NaiveDate;
use chrono_tz::Tz;
use datafusion::prelude::SessionContext;

use values::{day, moment, rows};

/// What a report is of.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The firm's name; empty where the settings have none.
    pub(crate) firm: String,
    /// The firm's zone: days and moments are shown in it.
    pub(crate) zone: Tz,
}

/// What the views said. Empty text is null; amounts are decimal texts in dollars, or the currency beside them.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) subject: Subject,
    /// First day of the month.
    pub(crate) month: String,
    /// Whether a later snapshot closed the month.
    pub(crate) is_closed: bool,
    pub(crate) commit: String,
    /// When the sources were read, by the firm's clocks.
    pub(crate) observed_at: String,
    pub(crate) sources: Vec<Source>,
    pub(crate) checks: Vec<Check>,
    /// Open ones, the dearest first.
    pub(crate) open: Vec<Exception>,
    /// Waived ones, in the order in which their waivers end.
    pub(crate) waived: Vec<Waived>,
    /// What opened and what closed since the month before.
    pub(crate) opened: Vec<Move>,
    pub(crate) closed: Vec<Move>,
    pub(crate) months: Vec<Month>,
    pub(crate) ages: Vec<Age>,
    pub(crate) latencies: Vec<Latency>,
}

/// A source, and how old what is known of it is.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// Its table that was read whole longest ago, by the firm's clocks.
    pub(crate) oldest: String,
    pub(crate) hours: String,
}

/// A check, as `recon.summary` and `meta.checks` tell it.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) id: String,
    pub(crate) view: String,
    pub(crate) title: String,
    pub(crate) question: String,
    pub(crate) fix: String,
    pub(crate) verdict: String,
    pub(crate) reason: String,
    pub(crate) open: String,
    pub(crate) in_flight: String,
    pub(crate) waived: String,
    pub(crate) amount: String,
    pub(crate) currency: String,
    pub(crate) oldest_days: String,
    pub(crate) change: String,
}

impl Check {
    /// Whether it could not look, or not everywhere.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.verdict.as_str(), "not_evaluated" | "partial")
    }
}

/// An open exception.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub(crate) check: String,
    pub(crate) key: String,
    pub(crate) severity: String,
    pub(crate) amount: String,
    pub(crate) currency: String,
    pub(crate) age_days: String,
    pub(crate) fix_side: String,
    /// The project's number, else its id; empty for what belongs to the firm.
    pub(crate) project: String,
    pub(crate) label: String,
    pub(crate) detail: String,
    pub(crate) pm_value: String,
    pub(crate) erp_value: String,
    pub(crate) cause: String,
    /// The exception that explains this one: its amount counts there.
    pub(crate) explained_by: String,
    pub(crate) first_seen: String,
    /// Who made the two sides differ, where a source tells.
    pub(crate) moved_by: String,
}

/// A waived exception.
#[derive(Debug)]
pub(crate) struct Waived {
    pub(crate) check: String,
    pub(crate) label: String,
    pub(crate) amount: String,
    pub(crate) currency: String,
    pub(crate) reason: String,
    pub(crate) by: String,
    pub(crate) until: String,
}

/// An exception that opened or closed in the month.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) check: String,
    pub(crate) label: String,
    pub(crate) project: String,
    pub(crate) fix_side: String,
    pub(crate) amount: String,
    pub(crate) currency: String,
    pub(crate) at: String,
    /// Days from opening to closing; of one that opened, empty.
    pub(crate) days: String,
    pub(crate) is_reopened: bool,
}

/// A month of the trend. What nobody could look at is none.
#[derive(Debug)]
pub(crate) struct Month {
    pub(crate) month: String,
    pub(crate) open: Option<i64>,
    /// Whole units of the firm's currency.
    pub(crate) amount: Option<i64>,
    pub(crate) opened: Option<i64>,
    pub(crate) closed: Option<i64>,
    /// Checks that could not look everywhere.
    pub(crate) silent: i64,
}

/// Open exceptions of an age.
#[derive(Debug)]
pub(crate) struct Age {
    pub(crate) bucket: String,
    pub(crate) open: Option<i64>,
    pub(crate) amount: String,
}

/// Hours until a document of one side reached the other one.
#[derive(Debug)]
pub(crate) struct Latency {
    pub(crate) month: String,
    pub(crate) entity: String,
    pub(crate) arrived: String,
    pub(crate) median_hours: Option<i64>,
    pub(crate) p90_hours: Option<i64>,
}

/// The months that a chart shows.
const MONTHS: usize = 25;

impl Report {
    /// Asks a session's views. `month` is a first day; none is the month that the session's commit closes, else the one that
    /// runs. `None` if nothing was committed yet.
    ///
    /// # Errors
    /// A view that does not plan or run.
    pub(crate) async fn gather(
        session: &SessionContext,
        subject: Subject,
        month: Option<NaiveDate>,
    ) -> Result<Option<Self>> {
        let zone = subject.zone;
        let clock =
            "select commit_number, date_trunc('second', observed_at) from meta.clock where commit_number is not null";
        let Some([commit, observed_at]) = rows::<2>(session, clock).await?.pop() else { return Ok(None) };
        let wanted = month.map(|month| format!("where month = '{month}'")).unwrap_or_default();
        let months = format!(
            "select month, commit_number, previous_commit, is_closed from trend.months {wanted} \
             order by commit_number = {commit} and is_closed desc, month desc limit 1"
        );
        let Some([month, last, previous, is_closed]) = rows::<4>(session, &months).await?.pop() else {
            return Ok(None);
        };
        // The commit of a month that runs may lie before the one that is read, where a pin or a waiver came after it.
        let is_closed = is_closed == "true";
        let last = if is_closed && !last.is_empty() { last } else { commit.clone() };
        let previous = if previous.is_empty() { "0".to_owned() } else { previous };
        let within = |column: &str| format!("{column} > {previous} and {column} <= {last}");
        Ok(Some(Self {
            is_closed,
            observed_at: moment(&observed_at, zone),
            commit,
            sources: sources(session, zone).await?,
            checks: checks(session).await?,
            open: open(session, zone).await?,
            waived: waived(session).await?,
            opened: moves(session, zone, "opened_at", &within("opened_commit")).await?,
            closed: moves(session, zone, "closed_at", &within("closed_commit")).await?,
            months: months_until(session, &month).await?,
            ages: ages(session, &month).await?,
            latencies: latencies(session, &month).await?,
            month,
            subject,
        }))
    }

    /// Open exceptions, by what `of` says of each: how many, and the money of those that no other explains, where one
    /// currency adds up. The dearest first.
    pub(crate) fn by<'a>(&'a self, of: impl Fn(&'a Exception) -> &'a str) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for exception in &self.open {
            let name = of(exception);
            let place = groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
                groups.push(Group { name, count: 0, cents: Some(0), currency: &exception.currency });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(place) {
                group.add(exception);
            }
        }
        groups.sort_by_key(|group| (std::cmp::Reverse(group.cents), std::cmp::Reverse(group.count), group.name));
        groups
    }

    /// Whether all amounts are in one currency, and so have a sum.
    pub(crate) fn is_one_currency(&self) -> bool {
        let mut currencies = self.open.iter().map(|exception| &exception.currency);
        currencies.next().is_none_or(|first| currencies.all(|other| other == first))
    }

    /// Whose report it is, and of when.
    pub(crate) fn heading(&self) -> String {
        let firm = if self.subject.firm.is_empty() { String::new() } else { format!("{}: ", self.subject.firm) };
        format!("{firm}reconciliation, {}", self.title())
    }

    /// Checks that could not look everywhere.
    pub(crate) fn silent(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.is_silent())
    }

    /// What is to be fixed first: the dearest that no other exception explains.
    pub(crate) fn first(&self, most: usize) -> impl Iterator<Item = &Exception> {
        self.open.iter().filter(|exception| exception.explained_by.is_empty()).take(most)
    }

    /// The check of an exception.
    pub(crate) fn check(&self, id: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.id == id)
    }
}

/// Exceptions that have something in common.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) count: usize,
    /// None where currencies mix or an amount is not known in cents.
    cents: Option<i128>,
    currency: &'a str,
}

impl<'a> Group<'a> {
    fn add(&mut self, exception: &'a Exception) {
        self.count += 1;
        if !exception.explained_by.is_empty() || exception.amount.is_empty() {
            return;
        }
        let amount = cents(&exception.amount).filter(|_| exception.currency == self.currency);
        self.cents = self.cents.zip(amount).and_then(|(sum, one)| sum.checked_add(one));
    }

    /// The sum of the money at risk.
    pub(crate) fn amount(&self) -> String {
        self.cents.map_or_else(|| "–".to_owned(), |cents| values::money(&decimal(cents), self.currency))
    }
}

/// `12.5` → 1250. None of what has more than two places.
fn cents(amount: &str) -> Option<i128> {
    let (sign, digits) = amount.strip_prefix('-').map_or((1, amount), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (kept, rest) = fraction.split_at_checked(2).unwrap_or((fraction, ""));
    if rest.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let cents = format!("{whole}{kept:0<2}").parse::<i128>().ok()?;
    Some(sign * cents)
}

/// 1250 → `12.50`.
fn decimal(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100)
}

/// A whole number of an amount, for a chart.
fn whole(amount: &str) -> Option<i64> {
    cents(amount).and_then(|cents| i64::try_from(cents / 100).ok())
}

async fn sources(session: &SessionContext, zone: Tz) -> Result<Vec<Source>> {
    let sql = "select source, date_trunc('second', min(oldest_complete_at)), max(hours_old) from meta.freshness group by source order by 1";
    let source = |[name, oldest, hours]: [String; 3]| Source { name, oldest: moment(&oldest, zone), hours };
    Ok(rows::<3>(session, sql).await?.into_iter().map(source).collect())
}

async fn checks(session: &SessionContext) -> Result<Vec<Check>> {
    let sql = "select summary.check_id, summary.view_name, summary.title, checks.question, checks.fix, summary.verdict, runs.reason, \
               summary.open_count, summary.in_flight_count, summary.waived_count, summary.amount_at_risk, coalesce(summary.currency, setting_text('currency')), \
               summary.oldest_age_days, summary.change_since_last_month from recon.summary as summary \
               left join recon.check_runs as runs on runs.check_id = summary.check_id and runs.is_latest and runs.project_id is null \
               left join meta.checks as checks on checks.check_id = summary.check_id order by 1";
    let check = |row: [String; 14]| {
        let [
            id,
            view,
            title,
            question,
            fix,
            verdict,
            reason,
            open,
            in_flight,
            waived,
            amount,
            currency,
            oldest_days,
            change,
        ] = row;
        Check {
            id,
            view,
            title,
            question,
            fix,
            verdict,
            reason,
            open,
            in_flight,
            waived,
            amount,
            currency,
            oldest_days,
            change,
        }
    };
    Ok(rows::<14>(session, sql).await?.into_iter().map(check).collect())
}

async fn open(session: &SessionContext, zone: Tz) -> Result<Vec<Exception>> {
    let sql = "with people as (select check_id, exception_key, max(moved_by) as moved_by from recon.exception_attribution \
               group by check_id, exception_key) \
               select e.check_id, e.exception_key, e.severity, e.amount_at_risk, coalesce(e.currency, setting_text('currency')), e.age_days, e.fix_side, \
               coalesce(e.project_number, e.project_id), e.label, e.detail, e.pm_value, e.erp_value, e.cause, e.explained_by, \
               date_trunc('second', e.first_seen_at), people.moved_by \
               from recon.exceptions as e left join people on people.check_id = e.check_id and people.exception_key = e.exception_key \
               where e.state = 'open' order by e.amount_at_risk desc nulls last, e.age_days desc, e.check_id, e.exception_key";
    let exception = |row: [String; 16]| {
        let [
            check,
            key,
            severity,
            amount,
            currency,
            age_days,
            fix_side,
            project,
            label,
            detail,
            pm_value,
            erp_value,
            cause,
            explained_by,
            seen,
            moved_by,
        ] = row;
        let first_seen = day(&seen, zone);
        Exception {
            check,
            key,
            severity,
            amount,
            currency,
            age_days,
            fix_side,
            project,
            label,
            detail,
            pm_value,
            erp_value,
            cause,
            explained_by,
            first_seen,
            moved_by,
        }
    };
    Ok(rows::<16>(session, sql).await?.into_iter().map(exception).collect())
}

async fn waived(session: &SessionContext) -> Result<Vec<Waived>> {
    let sql = "select w.check_id, w.label, w.amount_at_risk, coalesce(w.currency, setting_text('currency')), w.reason, w.waived_by, w.until_date \
               from recon.waivers as w inner join recon.exceptions as e on e.check_id = w.check_id and e.exception_key = w.exception_key \
               where e.state = 'waived' and w.ended_at is null order by w.until_date nulls last, w.check_id, w.exception_key";
    let one = |[check, label, amount, currency, reason, by, until]: [String; 7]| Waived {
        check,
        label,
        amount,
        currency,
        reason,
        by,
        until,
    };
    Ok(rows::<7>(session, sql).await?.into_iter().map(one).collect())
}

async fn moves(session: &SessionContext, zone: Tz, at: &str, within: &str) -> Result<Vec<Move>> {
    let days = if at == "closed_at" { "days_open" } else { "null" };
    let sql = format!(
        "select check_id, label, project_number, fix_side, last_amount, coalesce(currency, setting_text('currency')), date_trunc('second', {at}), {days}, is_reopened \
         from recon.exception_history where {within} order by last_amount desc nulls last, check_id, exception_key"
    );
    let one = |row: [String; 9]| {
        let [check, label, project, fix_side, amount, currency, moment, days, is_reopened] = row;
        let (at, is_reopened) = (day(&moment, zone), is_reopened == "true");
        Move { check, label, project, fix_side, amount, currency, at, days, is_reopened }
    };
    Ok(rows::<9>(session, &sql).await?.into_iter().map(one).collect())
}

async fn months_until(session: &SessionContext, month: &str) -> Result<Vec<Month>> {
    let sql = format!(
        "select month, cast(sum(open_count) as bigint), case when min(currency) = max(currency) then sum(amount_at_risk) end, \
         cast(sum(opened_count + reopened_count) as bigint), cast(sum(closed_count) as bigint), \
         cast(count(*) filter (where verdict in ('partial', 'not_evaluated')) as bigint) \
         from trend.exceptions_by_month where month <= '{month}' group by month order by month"
    );
    let mut found: Vec<Month> = rows::<6>(session, &sql)
        .await?
        .into_iter()
        .map(|[month, open, amount, opened, closed, silent]| Month {
            month,
            open: open.parse().ok(),
            amount: whole(&amount),
            opened: opened.parse().ok(),
            closed: closed.parse().ok(),
            silent: silent.parse().unwrap_or(0),
        })
        .collect();
    found.drain(..found.len().saturating_sub(MONTHS));
    Ok(found)
}

async fn ages(session: &SessionContext, month: &str) -> Result<Vec<Age>> {
    let sql = format!(
        "select bucket, cast(sum(open_count) as bigint), sum(amount_at_risk) from trend.exception_ages \
         where month = '{month}' group by bucket, position order by position"
    );
    let age = |[bucket, open, amount]: [String; 3]| Age { bucket, open: open.parse().ok(), amount };
    Ok(rows::<3>(session, &sql).await?.into_iter().map(age).collect())
}

async fn latencies(session: &SessionContext, month: &str) -> Result<Vec<Latency>> {
    let sql = format!(
        "select month, entity, arrived_count, p50_hours, p90_hours from trend.sync_latency \
         where month <= '{month}' and month > date '{month}' - interval '13 months' order by month, entity"
    );
    let one = |[month, entity, arrived, median, p90]: [String; 5]| Latency {
        month,
        entity,
        arrived,
        median_hours: median.parse().ok(),
        p90_hours: p90.parse().ok(),
    };
    let mut found: Vec<Latency> = rows::<5>(session, &sql).await?.into_iter().map(one).collect();
    // Entities of which none ever crossed over have nothing to show.
    let crossed: BTreeSet<String> =
        found.iter().filter(|one| one.median_hours.is_some()).map(|one| one.entity.clone()).collect();
    found.retain(|one| crossed.contains(&one.entity));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_exact_or_not_told() {
        for (amount, expected) in [
            ("12.5", Some(1250)),
            ("-0.05", Some(-5)),
            ("7", Some(700)),
            ("1.2300", Some(123)),
            ("1.234", None),
            ("x", None),
        ] {
            assert_eq!(cents(amount), expected, "{amount}");
        }
        assert_eq!((decimal(-5), decimal(123_456)), ("-0.05".to_owned(), "1234.56".to_owned()));
    }
}
