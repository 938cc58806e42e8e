//! The moment that a reader asks for: what was committed at or before it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::error::Error;
use super::marks::check_name;

/// Which commit a reader reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AsOf {
    /// The newest.
    #[default]
    Latest,
    /// The newest that was visible at that moment.
    At(DateTime<Utc>),
    /// That very one.
    Commit(u64),
    /// The one that a pin names.
    Pin(String),
}

impl AsOf {
    /// Reads `latest` (or nothing), a date (the end of that day in `zone`), a moment, `commit:42` (or `42`), or a pin's name.
    ///
    /// Whether there is such a commit or pin is a question to the chain: [`super::commit::Head::at`].
    pub fn parse(text: &str, zone: Tz) -> Result<Self, Error> {
        let failed = |reason: &str| Error::AsOf { text: text.to_owned(), reason: reason.to_owned() };
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.eq_ignore_ascii_case("latest") {
            return Ok(Self::Latest);
        }
        let is_number = trimmed.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(number) = trimmed.strip_prefix("commit:").or(is_number.then_some(trimmed)) {
            return match number.trim().parse() {
                Ok(0) | Err(_) => Err(failed("a commit is a whole number from 1")),
                Ok(number) => Ok(Self::Commit(number)),
            };
        }
        if let Ok(date) = NaiveDate::parse_from_str(trimmed, "%Y-%m-%d") {
            return end_of_day(date, zone).map(Self::At).ok_or_else(|| failed("the date is out of range"));
        }
        // The second is how servers write a moment: `2025-12-31 17:00:00-06`.
        let moment = DateTime::parse_from_rfc3339(trimmed);
        if let Ok(at) = moment.or_else(|_| DateTime::parse_from_str(trimmed, "%Y-%m-%d %H:%M:%S%.f%#z")) {
            return Ok(Self::At(at.to_utc()));
        }
        // What SQL users type, and what date-pickers send: no zone, so the firm's.
        let formats = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f"];
        let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(trimmed, format).ok());
        let Some(local) = local else {
            return match check_name(trimmed) {
                Ok(()) => Ok(Self::Pin(trimmed.to_owned())),
                Err(_) => Err(failed("it is no date, no moment, no commit and no pin's name")),
            };
        };
        let at = zone.from_local_datetime(&local).latest();
        at.map(|at| Self::At(at.to_utc())).ok_or_else(|| failed("the clocks skipped that time in the firm's zone"))
    }
}

/// The last microsecond of a day in a zone.
pub fn end_of_day(date: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let midnight = date.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN);
    // Where clocks skip midnight itself, the next day begins when they resume.
    let starts = (0..=3).filter_map(|hours| {
        zone.from_local_datetime(&midnight.checked_add_signed(TimeDelta::hours(hours))?).earliest()
    });
    starts.map(|start| start.to_utc() - TimeDelta::microseconds(1)).next()
}

impl FromStr for AsOf {
    type Err = Error;

    /// As [`AsOf::parse`], with days ending in UTC.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text, Tz::UTC)
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::At(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            Self::Commit(number) => write!(f, "commit:{number}"),
            Self::Pin(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> AsOf {
        AsOf::At(DateTime::parse_from_rfc3339(text).unwrap().to_utc())
    }

    #[test]
    fn every_accepted_form() {
        let cases = [
            ("", AsOf::Latest),
            (" Latest ", AsOf::Latest),
            ("commit:42", AsOf::Commit(42)),
            ("42", AsOf::Commit(42)),
            ("FY2025", AsOf::Pin("FY2025".to_owned())),
            ("oct-2026_final", AsOf::Pin("oct-2026_final".to_owned())),
            ("2025-12-31", at("2025-12-31T23:59:59.999999Z")),
            ("2025-12-31T17:00:00+01:00", at("2025-12-31T16:00:00Z")),
            ("2025-12-31 17:00:00.5-06", at("2025-12-31T23:00:00.5Z")),
            ("2025-12-31 17:00", at("2025-12-31T17:00:00Z")),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<AsOf>().unwrap(), expected, "{text}");
            let again = expected.to_string().parse::<AsOf>().unwrap();
            assert_eq!(again, expected, "{text}");
        }
    }

    #[test]
    fn a_day_ends_in_the_firms_zone_also_where_midnight_is_skipped() {
        let parse = |text, zone: &str| AsOf::parse(text, zone.parse().unwrap()).unwrap();
        assert_eq!(parse("2025-12-31", "America/Chicago"), at("2026-01-01T05:59:59.999999Z"));
        assert_eq!(parse("2025-07-01", "America/Chicago"), at("2025-07-02T04:59:59.999999Z"));
        // Havana went from 23:59:59 on the 8th straight to 01:00 on the 9th.
        assert_eq!(parse("2025-03-08", "America/Havana"), at("2025-03-09T04:59:59.999999Z"));
    }

    #[test]
    fn refused_with_the_text_and_a_hint() {
        for text in ["FY 2025", "commit:", "commit:0", "0", "commit:x", "2025-13-01", "2025-12", "31.12.2025", "Now"] {
            let message = text.parse::<AsOf>().unwrap_err().to_string();
            assert!(message.contains(text) && message.contains("hint:"), "{message}");
        }
    }
}
