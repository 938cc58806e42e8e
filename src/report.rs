//! A month's report, for people who open no database: what changed, what to fix first and on which side, by project and person.
//!
//! [`Report::gather`] asks the views, as of the commit that stands for the month; [`page`], [`message`] and [`workbook()`] only set
//! what it found. Invariants: a check that could not look is never shown by a number; every figure can be asked again by the
//! query beside it; what a page leaves out is counted on it.

mod asked;
pub(crate) mod charts;
pub(crate) mod html;
mod markdown;
pub(crate) mod values;
mod workbook;

pub(crate) use html::page;
pub(crate) use markdown::message;
pub(crate) use workbook::workbook;

use anyhow::Result;
use chrono::NaiveDate;
use chrono_tz::Tz;
use datafusion::prelude::SessionContext;

use asked::{ages, checks, latencies, months_until, moves, open, sources, waived};
use values::{moment, rows};

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

impl Exception {
    /// What is wrong, in words; else what the record is called.
    pub(crate) fn told(&self) -> &str {
        if self.detail.is_empty() { &self.label } else { &self.detail }
    }
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
    /// The month's first day.
    pub(crate) first_day: String,
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
pub(crate) fn whole(amount: &str) -> Option<i64> {
    cents(amount).and_then(|cents| i64::try_from(cents / 100).ok())
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
