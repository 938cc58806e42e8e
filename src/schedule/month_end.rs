//! The moment after a month when it is pinned: the n-th day, or the n-th working day, at a time.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use chrono_tz::Tz;

use super::times::instant;

/// Which day of the next month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DayOfMonth {
    /// Of the calendar, from 1.
    Calendar(u32),
    /// Of Mondays to Fridays, from 1.
    Working(u32),
}

/// When a month is pinned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MonthEnd {
    /// The day of the month after.
    pub(crate) day: DayOfMonth,
    /// The time of that day, in the firm's zone.
    pub(crate) time: NaiveTime,
    /// Days after which nobody tries any more.
    pub(crate) days_max: u32,
    /// Where days begin.
    pub(crate) zone: Tz,
}

impl MonthEnd {
    /// When the month that begins on `month` is pinned at the earliest.
    pub(crate) fn due(&self, month: NaiveDate) -> Option<DateTime<Utc>> {
        let next = month.checked_add_months(Months::new(1))?.with_day(1)?;
        let day = match self.day {
            DayOfMonth::Calendar(day) => next.with_day(day)?,
            DayOfMonth::Working(day) => {
                let is_working = |date: &NaiveDate| !matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
                next.iter_days().filter(is_working).nth(usize::try_from(day.checked_sub(1)?).ok()?)?
            }
        };
        instant(day.and_time(self.time), self.zone)
    }

    /// When nobody tries any more to pin a month that was due at `due`.
    pub(crate) fn ends(&self, due: DateTime<Utc>) -> DateTime<Utc> {
        due + TimeDelta::days(i64::from(self.days_max))
    }

    /// The newest month that is due at `now`, and since when.
    pub(crate) fn newest(&self, now: DateTime<Utc>) -> Option<(NaiveDate, DateTime<Utc>)> {
        let this = now.with_timezone(&self.zone).date_naive().with_day(1)?;
        let months = std::iter::successors(Some(this), |month| month.checked_sub_months(Months::new(1)));
        months.take(3).find_map(|month| Some((month, self.due(month).filter(|due| *due <= now)?)))
    }

    /// The next moment at which a month becomes due.
    pub(crate) fn next(&self, now: DateTime<Utc>) -> Option<(NaiveDate, DateTime<Utc>)> {
        let this = now.with_timezone(&self.zone).date_naive().with_day(1)?.checked_sub_months(Months::new(2))?;
        let months = std::iter::successors(Some(this), |month| month.checked_add_months(Months::new(1)));
        months.take(5).find_map(|month| Some((month, self.due(month).filter(|due| *due > now)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn month_end(day: DayOfMonth) -> MonthEnd {
        let time = NaiveTime::from_hms_opt(6, 0, 0).unwrap();
        MonthEnd { day, time, days_max: 10, zone: chrono_tz::America::Denver }
    }

    #[test]
    fn working_days_leave_out_weekends() {
        let due =
            |day, month: (i32, u32)| month_end(day).due(NaiveDate::from_ymd_opt(month.0, month.1, 1).unwrap()).unwrap();
        assert_eq!(due(DayOfMonth::Calendar(3), (2026, 10)), at("2026-11-03T13:00:00Z"));
        // November 2026 begins on a Sunday: its third working day is Wednesday, the 4th.
        assert_eq!(due(DayOfMonth::Working(3), (2026, 10)), at("2026-11-04T13:00:00Z"));
        assert_eq!(due(DayOfMonth::Working(1), (2026, 12)), at("2027-01-01T13:00:00Z"));
    }

    #[test]
    fn the_newest_month_that_is_due() {
        let third = month_end(DayOfMonth::Calendar(3));
        let october = NaiveDate::from_ymd_opt(2026, 10, 1).unwrap();
        let september = NaiveDate::from_ymd_opt(2026, 9, 1).unwrap();
        assert_eq!(third.newest(at("2026-11-03T12:59:59Z")).unwrap().0, september);
        assert_eq!(third.newest(at("2026-11-03T13:00:00Z")).unwrap(), (october, at("2026-11-03T13:00:00Z")));
        assert_eq!(third.next(at("2026-11-03T12:59:59Z")).unwrap(), (october, at("2026-11-03T13:00:00Z")));
        assert_eq!(third.next(at("2026-11-03T13:00:00Z")).unwrap().0, NaiveDate::from_ymd_opt(2026, 11, 1).unwrap());
        assert_eq!(third.ends(at("2026-11-03T13:00:00Z")), at("2026-11-13T13:00:00Z"));
    }
}
