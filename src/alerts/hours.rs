//! When people are told: at once, at the hour of the digest, never in quiet hours. All in the firm's zone.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use chrono_tz::Tz;

use crate::schedule::instant;

/// Days that are looked through for one that is not quiet: a week has one.
const DAYS_MAX: usize = 15;

/// When messages may go out.
#[derive(Clone, Debug)]
pub(crate) struct Hours {
    /// Where days begin.
    pub(crate) zone: Tz,
    /// From and until; over midnight where until comes first.
    pub(crate) quiet: Option<(NaiveTime, NaiveTime)>,
    /// Days that are quiet as a whole.
    pub(crate) days: Vec<Weekday>,
    /// The time at which a day's messages go out together.
    pub(crate) digest: Option<NaiveTime>,
}

impl Hours {
    /// When a message that came to be at `at` may go out.
    pub(crate) fn release(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        let wished = match self.digest {
            None => at,
            Some(time) => {
                let today = at.with_timezone(&self.zone).date_naive();
                let moments = today.iter_days().take(3).filter_map(|day| instant(day.and_time(time), self.zone));
                moments.into_iter().find(|moment| *moment >= at).unwrap_or(at)
            }
        };
        self.loud(wished)
    }

    /// Whether people sleep.
    pub(crate) fn is_quiet(&self, at: DateTime<Utc>) -> bool {
        self.loud(at) > at
    }

    /// The first moment from `at` on that is not quiet.
    pub(crate) fn loud(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        let mut moment = at;
        for _ in 0..DAYS_MAX {
            let local = moment.with_timezone(&self.zone);
            let (day, time) = (local.date_naive(), local.time());
            let next = |day: NaiveDate| day.checked_add_days(Days::new(1));
            let end = if self.days.contains(&day.weekday()) {
                next(day).map(|day| day.and_time(NaiveTime::MIN))
            } else {
                match self.quiet {
                    Some((from, until)) if from < until && from <= time && time < until => Some(day.and_time(until)),
                    Some((from, until)) if from > until && time < until => Some(day.and_time(until)),
                    Some((from, until)) if from > until && from <= time => next(day).map(|day| day.and_time(until)),
                    _ => None,
                }
            };
            let Some(end) = end.and_then(|end| instant(end, self.zone)) else { return moment };
            // An end that a change of clocks put before the moment is none.
            moment = end.max(moment + TimeDelta::seconds(1));
        }
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn time(hour: u32) -> NaiveTime {
        NaiveTime::from_hms_opt(hour, 0, 0).unwrap()
    }

    fn hours() -> Hours {
        Hours { zone: chrono_tz::America::Denver, quiet: None, days: Vec::new(), digest: None }
    }

    #[test]
    fn quiet_hours_hold_back_until_they_end() {
        let night = Hours { quiet: Some((time(20), time(6))), ..hours() };
        for (from, expected) in [
            ("2026-11-04T02:59:00Z", "2026-11-04T02:59:00Z"), // 19:59
            ("2026-11-04T03:00:00Z", "2026-11-04T13:00:00Z"), // 20:00
            ("2026-11-04T12:59:00Z", "2026-11-04T13:00:00Z"), // 05:59
            ("2026-11-04T13:00:00Z", "2026-11-04T13:00:00Z"), // 06:00
        ] {
            assert_eq!(night.release(at(from)), at(expected), "{from}");
            assert_eq!(night.is_quiet(at(from)), from != expected, "{from}");
        }
        let noon = Hours { quiet: Some((time(12), time(13))), ..hours() };
        assert_eq!(noon.release(at("2026-11-04T19:30:00Z")), at("2026-11-04T20:00:00Z"));
        assert_eq!(noon.release(at("2026-11-04T18:30:00Z")), at("2026-11-04T18:30:00Z"));
    }

    #[test]
    fn a_weekend_ends_on_monday_when_the_night_does() {
        let weekend = Hours { quiet: Some((time(20), time(6))), days: vec![Weekday::Sat, Weekday::Sun], ..hours() };
        // Friday, 20:30 in Denver, and Saturday noon.
        for from in ["2026-11-07T03:30:00Z", "2026-11-07T19:00:00Z"] {
            assert_eq!(weekend.release(at(from)), at("2026-11-09T13:00:00Z"), "{from}");
        }
    }

    #[test]
    fn a_digest_comes_once_a_day() {
        let daily = Hours { digest: Some(time(7)), ..hours() };
        assert_eq!(daily.release(at("2026-11-04T13:59:00Z")), at("2026-11-04T14:00:00Z"));
        assert_eq!(daily.release(at("2026-11-04T14:00:01Z")), at("2026-11-05T14:00:00Z"));
        let quiet = Hours { days: vec![Weekday::Thu], ..daily };
        assert_eq!(
            quiet.release(at("2026-11-04T14:00:01Z")),
            at("2026-11-06T07:00:00Z"),
            "a quiet day ends at midnight"
        );
    }

    #[test]
    fn a_night_is_as_long_as_the_clocks_make_it() {
        // 1 November 2026: clocks go back at 02:00; the night of 20:00 to 06:00 has eleven hours.
        let night = Hours { quiet: Some((time(20), time(6))), ..hours() };
        assert_eq!(night.release(at("2026-11-01T02:00:00Z")), at("2026-11-01T13:00:00Z"));
        assert_eq!(
            night.release(at("2026-11-01T08:30:00Z")),
            at("2026-11-01T13:00:00Z"),
            "in the hour that comes twice"
        );
    }
}
