//! Cron lines of five fields, in a zone.
//!
//! A line names times of the wall clock, and each of them is due once: one that comes twice at its first coming, one that does
//! not come at the first moment after the gap, together with whatever else is due then.

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

/// No zone ever put its clocks back by more at once, in the years that a schedule is for.
const OVERLAP_HOURS_MAX: i64 = 3;
/// Minutes that a zone leaves out at most: Samoa left out a day.
const GAP_MINUTES_MAX: i64 = 26 * 60;

/// A cron line that can be read.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    line: String,
    pattern: croner::Cron,
}

impl Cron {
    /// Reads `minute hour day-of-month month day-of-week`.
    ///
    /// # Errors
    /// What is wrong, for a sentence.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let fields = line.split_whitespace().count();
        if fields != 5 {
            return Err(format!("it has {fields} fields, not 5"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = parser.parse(line).map_err(|error| error.to_string())?;
        Ok(Self { line: line.split_whitespace().collect::<Vec<_>>().join(" "), pattern })
    }

    /// The line, with one blank between its fields.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// The first moment after `at` when it is due; none if it never is.
    pub(crate) fn after(&self, at: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let mut time = at.with_timezone(&zone).naive_local();
        loop {
            time = self.pattern.find_next_occurrence(&time, false).ok()?;
            let due = instant(time, zone)?;
            // The second coming of a time that came before.
            if due > at {
                return Some(due);
            }
        }
    }

    /// The last moment at or before `at` when it was due; none if it never was.
    pub(crate) fn last(&self, at: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let mut time = at.with_timezone(&zone).naive_local() + TimeDelta::hours(OVERLAP_HOURS_MAX);
        loop {
            time = self.pattern.find_previous_occurrence(&time, false).ok()?;
            let due = instant(time, zone)?;
            if due <= at {
                return Some(due);
            }
        }
    }

    /// The next moments after `at`, the nearest first.
    pub(crate) fn next(&self, at: DateTime<Utc>, zone: Tz, count: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.after(at, zone), |due| self.after(*due, zone)).take(count).collect()
    }
}

/// The moment that a time of the wall clock stands for: the first of two, the first after a gap.
pub(crate) fn instant(time: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let within = |minutes: i64| match zone.from_local_datetime(&(time + TimeDelta::minutes(minutes))) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at),
        LocalResult::None => None,
    };
    let found = (0..GAP_MINUTES_MAX).find_map(|minutes| Some((minutes, within(minutes)?)));
    found.map(|(minutes, at)| {
        // Seconds within the gap are none after it.
        let at = at.with_timezone(&Utc);
        if minutes == 0 { at } else { at - TimeDelta::seconds(at.timestamp().rem_euclid(60)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENVER: Tz = chrono_tz::America::Denver;
    const BERLIN: Tz = chrono_tz::Europe::Berlin;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// All moments after `from` up to `to`.
    fn between(line: &str, zone: Tz, from: &str, to: &str) -> Vec<String> {
        let cron = Cron::parse(line).unwrap();
        let due = std::iter::successors(cron.after(at(from), zone), |due| cron.after(*due, zone));
        due.take_while(|due| *due <= at(to)).map(|due| due.format("%d %H:%M").to_string()).collect()
    }

    #[test]
    fn a_time_that_does_not_come_is_due_once_after_the_gap() {
        // Denver left out 02:00 to 03:00 (MST, UTC-7, to MDT) on 8 March 2026, Berlin on 29 March (CET, UTC+1).
        for (zone, from, to, expected) in [
            (DENVER, "2026-03-07T00:00:00Z", "2026-03-10T00:00:00Z", ["07 09:30", "08 09:00", "09 08:30"]),
            (BERLIN, "2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z", ["28 01:30", "29 01:00", "30 00:30"]),
        ] {
            assert_eq!(between("30 2 * * *", zone, from, to), expected);
        }
        // All that the gap swallowed is one.
        assert_eq!(between("*/15 2 * * *", DENVER, "2026-03-08T07:00:00Z", "2026-03-08T12:00:00Z"), ["08 09:00"]);
        assert_eq!(
            between("0 * * * *", DENVER, "2026-03-08T07:30:00Z", "2026-03-08T10:30:00Z"),
            ["08 08:00", "08 09:00", "08 10:00"]
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_due_at_its_first_coming() {
        // Denver had 01:00 to 02:00 twice on 1 November 2026, Berlin 02:00 to 03:00 on 25 October.
        for (zone, line, from, to, expected) in [
            (
                DENVER,
                "30 1 * * *",
                "2026-10-31T00:00:00Z",
                "2026-11-03T00:00:00Z",
                ["31 07:30", "01 07:30", "02 08:30"],
            ),
            (
                BERLIN,
                "30 2 * * *",
                "2026-10-24T00:00:00Z",
                "2026-10-27T00:00:00Z",
                ["24 00:30", "25 00:30", "26 01:30"],
            ),
        ] {
            assert_eq!(between(line, zone, from, to), expected);
        }
        let cron = Cron::parse("30 1 * * *").unwrap();
        // In the second hour: the time has been, and comes again tomorrow.
        assert_eq!(cron.last(at("2026-11-01T08:10:00Z"), DENVER), Some(at("2026-11-01T07:30:00Z")));
        assert_eq!(cron.after(at("2026-11-01T08:10:00Z"), DENVER), Some(at("2026-11-02T08:30:00Z")));
    }

    #[test]
    fn the_last_one_is_that_before_the_next() {
        for (line, zone) in
            [("*/20 1-3 * * *", DENVER), ("15 2 * * 0", BERLIN), ("0 6 1 * *", DENVER), ("30 2 L * *", BERLIN)]
        {
            let cron = Cron::parse(line).unwrap();
            let mut due = cron.after(at("2026-01-01T00:00:00Z"), zone).unwrap();
            for _ in 0..120 {
                let next = cron.after(due, zone).unwrap();
                assert!(next > due, "{line}");
                assert_eq!(cron.last(next, zone), Some(next), "{line}");
                assert_eq!(cron.last(next - TimeDelta::seconds(1), zone), Some(due), "{line}");
                due = next;
            }
        }
    }

    #[test]
    fn what_is_no_line_says_why() {
        assert_eq!(Cron::parse("30 2 * *").unwrap_err(), "it has 4 fields, not 5");
        assert_eq!(Cron::parse("0 30 2 * * *").unwrap_err(), "it has 6 fields, not 5");
        for line in ["60 2 * * *", "30 24 * * *", "30 2 * * moon", "a b c d e"] {
            assert!(!Cron::parse(line).unwrap_err().is_empty(), "{line}");
        }
        assert!(Cron::parse("0 0 30 2 *").unwrap().after(at("2026-01-01T00:00:00Z"), DENVER).is_none());
    }

    #[test]
    fn a_day_without_midnight_begins_when_it_does() {
        // Beirut and Santiago move their clocks at midnight.
        let zone = chrono_tz::America::Santiago;
        assert_eq!(
            between("0 0 * * *", zone, "2026-09-05T00:00:00Z", "2026-09-07T12:00:00Z"),
            ["05 04:00", "06 04:00", "07 03:00"]
        );
    }
}
