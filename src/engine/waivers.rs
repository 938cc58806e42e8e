//! Waivers: exceptions that somebody let stand, until a day and up to an amount.
//!
//! Owns what a waiver does and how it ends. A commit of kind `waiver` sets the exception's state and adds a row to the table
//! `waivers`; every commit that judges looks whether each waiver still holds, and writes down which one ended there and why.
//! So both answer as of any commit, and a waiver is known only from its own commit on.
//!
//! Invariants: a waiver that ended never comes back by itself; it never hides an exception, only counts it apart.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::engine::cells::{Cell, Row};
use crate::engine::settings::{EngineSettings, Setting};
use crate::warehouse::end_of_day;

/// The waivers at a commit, and the rules by which they end.
pub(crate) struct Waivers {
    rows: Vec<Row>,
    observed_at: DateTime<Utc>,
    zone: Tz,
    tolerance: i128,
}

impl Waivers {
    /// Of the rows of the table `waivers` before a commit, and the moment as of which that commit is judged.
    pub(crate) fn new(rows: Vec<Row>, settings: &EngineSettings, observed_at: DateTime<Utc>) -> Self {
        let tolerance = match settings.values.get("amount_tolerance") {
            Some(Setting::Hundredths(tolerance)) => *tolerance,
            _ => 0,
        };
        Self { rows, observed_at, zone: settings.time_zone, tolerance }
    }

    /// Sets the state of exceptions that are not in flight: waived where a waiver holds, open elsewhere.
    pub(crate) fn settle(&self, exceptions: &mut [Row]) {
        let active: BTreeMap<Key<'_>, &Row> =
            self.rows.iter().filter(|row| is_active(row)).map(|row| (key(row), row)).collect();
        for exception in exceptions.iter_mut().filter(|row| text(row, "state") != Some("in_flight")) {
            let holds = active.get(&key(exception)).is_some_and(|waiver| self.end(waiver, Some(exception)).is_none());
            exception.insert("state", Cell::text(Some(if holds { "waived" } else { "open" })));
        }
    }

    /// The exceptions that waivers are about.
    pub(crate) fn about(&self, exceptions: &[Row]) -> Vec<Row> {
        let active: BTreeSet<Key<'_>> = self.rows.iter().filter(|row| is_active(row)).map(key).collect();
        exceptions.iter().filter(|row| active.contains(&key(row))).cloned().collect()
    }

    /// The table `waivers` after the commit `number`, given the exceptions that they are about and the checks' versions; none if
    /// nothing ended.
    pub(crate) fn after(&self, exceptions: &[Row], versions: &BTreeMap<&str, i64>, number: u64) -> Option<Vec<Row>> {
        let found: BTreeMap<Key<'_>, &Row> = exceptions.iter().map(|row| (key(row), row)).collect();
        let mut rows = self.rows.clone();
        let mut ended = false;
        for row in rows.iter_mut().filter(|row| is_active(row)) {
            let (check, version, _) = key(row);
            let is_other = versions.get(check).is_some_and(|now| *now != version);
            let reason = if is_other {
                Some("the check's version changed".to_owned())
            } else {
                self.end(row, found.get(&key(row)).copied())
            };
            if let Some(reason) = reason {
                end(row, "lapsed", number, None, Some(&reason));
                ended = true;
            }
        }
        ended.then_some(rows)
    }

    /// Why a waiver does not hold any more: its day passed, or the exception that it is about is worth something else.
    fn end(&self, waiver: &Row, exception: Option<&Row>) -> Option<String> {
        let until = text(waiver, "until").and_then(|until| until.parse::<NaiveDate>().ok());
        if let Some(until) = until
            && end_of_day(until, self.zone).is_none_or(|last| self.observed_at > last)
        {
            return Some(format!("it held until {until}"));
        }
        let now = amount(exception?, "amount_at_risk").unwrap_or_default();
        let before = amount(waiver, "waived_amount").unwrap_or_default();
        match amount(waiver, "up_to_amount") {
            Some(most) if now > most => {
                Some(format!("the amount rose to {}, above {}", decimal_text(now), decimal_text(most)))
            }
            None if (now - before).abs() > self.tolerance => {
                Some(format!("the amount moved from {} to {}", decimal_text(before), decimal_text(now)))
            }
            _ => None,
        }
    }
}

/// Check, version, exception.
type Key<'a> = (&'a str, i64, &'a str);

fn key(row: &Row) -> Key<'_> {
    let version = row.get("check_version").and_then(Cell::as_integer).unwrap_or_default();
    (text(row, "check_id").unwrap_or_default(), version, text(row, "exception_key").unwrap_or_default())
}

/// Ends a waiver in a row of the table.
pub(crate) fn end(row: &mut Row, state: &str, number: u64, by: Option<&str>, reason: Option<&str>) {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    row.extend([
        ("state", Cell::text(Some(state))),
        ("ended_commit", Cell::Integer(number)),
        ("ended_by", Cell::text(by)),
        ("ended_reason", Cell::text(reason)),
    ]);
}

pub(crate) fn is_active(row: &Row) -> bool {
    text(row, "state") == Some("active")
}

pub(crate) fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Cell::as_text)
}

pub(crate) fn amount(row: &Row, name: &str) -> Option<i128> {
    row.get(name).and_then(Cell::as_amount)
}

/// Hundredths as decimal text.
pub(crate) fn decimal_text(hundredths: i128) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let hundredths = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(&str, Cell)]) -> Row {
        cells.iter().cloned().collect()
    }

    fn exception(version: i64, amount: i128) -> Row {
        row(&[
            ("check_id", Cell::text(Some("O1"))),
            ("check_version", Cell::Integer(version)),
            ("exception_key", Cell::text(Some("O1:a"))),
            ("state", Cell::text(Some("open"))),
            ("amount_at_risk", Cell::Amount(amount)),
        ])
    }

    fn waivers(up_to: Option<i128>, observed_at: &str) -> Waivers {
        let mut waiver = exception(1, 0);
        waiver.extend([
            ("state", Cell::text(Some("active"))),
            ("until", Cell::text(Some("2026-03-31"))),
            ("waived_amount", Cell::Amount(10_000)),
            ("up_to_amount", up_to.map_or(Cell::Null, Cell::Amount)),
        ]);
        let settings = EngineSettings { time_zone: Tz::America__Chicago, ..EngineSettings::default() };
        Waivers::new(vec![waiver], &settings, observed_at.parse().unwrap())
    }

    fn state(waivers: &Waivers, exception: Row) -> String {
        let mut rows = [exception];
        waivers.settle(&mut rows);
        text(&rows[0], "state").unwrap().to_owned()
    }

    #[test]
    fn it_holds_to_the_end_of_its_day_within_the_tolerance_or_up_to_its_amount() {
        // One cent is the tolerance; the firm's 31 March ends at 05:00 UTC.
        let (open, last, first) = ("2026-03-01T00:00:00Z", "2026-04-01T04:59:59Z", "2026-04-01T05:00:00Z");
        for (up_to, at, version, amount, expected) in [
            (None, open, 1, 10_000, "waived"),
            (None, open, 1, 10_001, "waived"),
            (None, open, 1, 10_002, "open"),
            (None, open, 1, 9_998, "open"),
            (None, open, 2, 10_000, "open"),
            (None, last, 1, 10_000, "waived"),
            (None, first, 1, 10_000, "open"),
            (Some(20_000), open, 1, 20_000, "waived"),
            (Some(20_000), open, 1, 5, "waived"),
            (Some(20_000), open, 1, 20_001, "open"),
        ] {
            let found = state(&waivers(up_to, at), exception(version, amount));
            assert_eq!(found, expected, "{up_to:?} {at} {version} {amount}");
        }
    }

    #[test]
    fn what_ended_says_why_and_what_is_in_flight_stays_so() {
        let waivers = waivers(Some(20_000), "2026-03-01T00:00:00Z");
        let versions = |version| BTreeMap::from([("O1", version)]);
        assert_eq!(waivers.after(&[exception(1, 20_000)], &versions(1), 7), None);
        // A disagreement that is gone leaves the waiver as it is.
        assert_eq!(waivers.after(&[], &versions(1), 7), None);
        for (exceptions, version, said) in [
            (vec![exception(1, 20_001)], 1, "the amount rose to 200.01, above 200.00"),
            (Vec::new(), 2, "the check's version changed"),
        ] {
            let rows = waivers.after(&exceptions, &versions(version), 7).unwrap();
            assert_eq!((text(&rows[0], "state"), text(&rows[0], "ended_reason")), (Some("lapsed"), Some(said)));
            assert_eq!(rows[0]["ended_commit"], Cell::Integer(7));
        }
        let mut flying = exception(1, 10_000);
        flying.insert("state", Cell::text(Some("in_flight")));
        assert_eq!(state(&waivers, flying), "in_flight");
        assert_eq!((decimal_text(-5), decimal_text(123_456)), ("-0.05".to_owned(), "1234.56".to_owned()));
    }
}
