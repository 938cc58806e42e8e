//! Intervals as Postgres reads, writes and compares them: months, days and microseconds, each by itself.
//!
//! Pure. Invariant: no float: parts of a unit are carried over as Postgres does, a month as 30 days, a day as 24 hours.

use std::fmt::Write as _;

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::ScalarValue;

const DAY: i64 = 86_400_000_000;
const MONTH_DAYS: i64 = 30;
const MILLION: i128 = 1_000_000;

/// An interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) months: i32,
    pub(crate) days: i32,
    pub(crate) microseconds: i64,
}

impl Span {
    /// The interval in a value; the time between two moments has no months.
    pub(crate) fn of(value: &ScalarValue) -> Option<Self> {
        let between = |microseconds: i64| Self {
            months: 0,
            days: i32::try_from(microseconds / DAY).unwrap_or(i32::MAX),
            microseconds: microseconds % DAY,
        };
        Some(match value {
            ScalarValue::IntervalMonthDayNano(Some(value)) => {
                Self { months: value.months, days: value.days, microseconds: value.nanoseconds / 1_000 }
            }
            ScalarValue::IntervalYearMonth(Some(months)) => Self { months: *months, ..Self::default() },
            ScalarValue::IntervalDayTime(Some(value)) => {
                Self { months: 0, days: value.days, microseconds: i64::from(value.milliseconds) * 1_000 }
            }
            ScalarValue::DurationSecond(Some(value)) => between(value.saturating_mul(1_000_000)),
            ScalarValue::DurationMillisecond(Some(value)) => between(value.saturating_mul(1_000)),
            ScalarValue::DurationMicrosecond(Some(value)) => between(*value),
            ScalarValue::DurationNanosecond(Some(value)) => between(value / 1_000),
            _ => return None,
        })
    }

    pub(crate) fn scalar(self) -> ScalarValue {
        let nanoseconds = self.microseconds.saturating_mul(1_000);
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(self.months, self.days, nanoseconds)))
    }

    /// How long it is, by which Postgres compares: a month is 30 days.
    pub(crate) fn length(self) -> i64 {
        let days = i64::from(self.months) * MONTH_DAYS + i64::from(self.days);
        days.saturating_mul(DAY).saturating_add(self.microseconds)
    }

    /// So many millionths of it; what is left of a month goes to the days, of a day to the time.
    pub(crate) fn times(self, millionths: i128) -> Option<Self> {
        let months = i128::from(self.months) * millionths;
        let days = i128::from(self.days) * millionths + months % MILLION * i128::from(MONTH_DAYS);
        let rest = days % MILLION * i128::from(DAY) / MILLION;
        let microseconds = i128::from(self.microseconds).checked_mul(millionths)? / MILLION + rest;
        Some(Self {
            months: i32::try_from(months / MILLION).ok()?,
            days: i32::try_from(days / MILLION).ok()?,
            microseconds: i64::try_from(microseconds).ok()?,
        })
    }

    /// 24 hours are a day.
    pub(crate) fn justify_hours(self) -> Self {
        let days = i32::try_from(self.microseconds / DAY).unwrap_or(0);
        Self { days: self.days.saturating_add(days), microseconds: self.microseconds % DAY, ..self }.same_sign(DAY)
    }

    /// 30 days are a month.
    pub(crate) fn justify_days(self) -> Self {
        let found = Self { months: self.months.saturating_add(self.days / 30), days: self.days % 30, ..self };
        match (found.months.signum(), found.days.signum()) {
            (1, -1) => Self { months: found.months - 1, days: found.days + 30, ..found },
            (-1, 1) => Self { months: found.months + 1, days: found.days - 30, ..found },
            _ => found,
        }
    }

    pub(crate) fn justify(self) -> Self {
        let found = self.justify_hours().justify_days();
        match (found.months.signum(), found.days.signum(), found.microseconds.signum()) {
            (1, 0, -1) => Self { months: found.months - 1, days: 29, microseconds: found.microseconds + DAY },
            (-1, 0, 1) => Self { months: found.months + 1, days: -29, microseconds: found.microseconds - DAY },
            _ => found,
        }
    }

    fn same_sign(self, day: i64) -> Self {
        match (self.days.signum(), self.microseconds.signum()) {
            (1, -1) => Self { days: self.days - 1, microseconds: self.microseconds + day, ..self },
            (-1, 1) => Self { days: self.days + 1, microseconds: self.microseconds - day, ..self },
            _ => self,
        }
    }

    /// As Postgres writes it: `1 year 2 mons 3 days 04:05:06`.
    pub(crate) fn text(self) -> String {
        // Writing to a text cannot fail.
        let mut out = String::new();
        let mut before = false;
        for (value, unit) in [(self.months / 12, "year"), (self.months % 12, "mon"), (self.days, "day")] {
            if value == 0 {
                continue;
            }
            if !out.is_empty() {
                out.push(' ');
            }
            let plus = if before && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            let _ = write!(out, "{plus}{value} {unit}{plural}");
            before = value < 0;
        }
        if out.is_empty() || self.microseconds != 0 {
            let sign = match (self.microseconds < 0, before) {
                (true, _) => "-",
                (false, true) => "+",
                _ => "",
            };
            let all = self.microseconds.unsigned_abs();
            let (seconds, part) = (all / 1_000_000, all % 1_000_000);
            let space = if out.is_empty() { "" } else { " " };
            let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            let _ = write!(out, "{space}{sign}{hours:02}:{minutes:02}:{seconds:02}");
            if part != 0 {
                let digits = format!("{part:06}");
                out.push('.');
                out.push_str(digits.trim_end_matches('0'));
            }
        }
        out
    }

    /// What arrow reads as the same interval.
    pub(crate) fn plain(self) -> String {
        format!("{} months {} days {} microseconds", self.months, self.days, self.microseconds)
    }

    /// An interval's text: `1 year 2 months`, `1 day 04:05`, `-3 hours`, `P1DT2H`, `2 weeks ago`; a bare number counts `unit`s.
    pub(crate) fn parse(text: &str, unit: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix(['P', 'p']) {
            return Self::parse_iso(rest);
        }
        let mut total = Self::default();
        let spread = spread(text);
        let mut words = spread.split_whitespace().peekable();
        words.peek()?;
        let mut sign = 1;
        while let Some(word) = words.next() {
            match word.to_ascii_lowercase().as_str() {
                "@" | "and" => {}
                "+" => sign = 1,
                "-" => sign = -1,
                "ago" => total = total.times(-MILLION)?,
                word if word.contains(':') => {
                    total = total.plus(Self { microseconds: clock(word)?.checked_mul(sign)?, ..Self::default() })?;
                    sign = 1;
                }
                word => {
                    let amount = millionths(word)? * i128::from(sign);
                    sign = 1;
                    let named = words.next_if(|next| one_of(next).is_some());
                    total = total.plus(one_of(named.unwrap_or(unit))?.times(amount)?)?;
                }
            }
        }
        Some(total)
    }

    fn parse_iso(text: &str) -> Option<Self> {
        let mut total = Self::default();
        let (mut number, mut in_time) = (String::new(), false);
        for letter in text.chars() {
            let unit = match letter.to_ascii_uppercase() {
                'T' => {
                    in_time = true;
                    continue;
                }
                'Y' => "year",
                'M' if in_time => "minute",
                'M' => "month",
                'W' => "week",
                'D' => "day",
                'H' => "hour",
                'S' => "second",
                _ => {
                    number.push(letter);
                    continue;
                }
            };
            total = total.plus(one_of(unit)?.times(millionths(&std::mem::take(&mut number))?)?)?;
        }
        number.is_empty().then_some(total)
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            months: self.months.checked_add(other.months)?,
            days: self.days.checked_add(other.days)?,
            microseconds: self.microseconds.checked_add(other.microseconds)?,
        })
    }
}

/// A text with blanks between its numbers and its words.
fn spread(text: &str) -> String {
    let mut out = String::new();
    let mut last = ' ';
    for letter in text.chars() {
        if (letter.is_alphabetic() && last.is_ascii_digit()) || (letter.is_ascii_digit() && last.is_alphabetic()) {
            out.push(' ');
        }
        out.push(letter);
        last = letter;
    }
    out
}

/// A number in millionths.
fn millionths(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.chars().all(|letter| letter.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !is_number(whole) || !is_number(part) || whole.len() > 18 {
        return None;
    }
    let part: String = part.chars().chain("000000".chars()).take(6).collect();
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some(sign * (whole * MILLION + part.parse::<i128>().ok()?))
}

/// `[-]hours:minutes[:seconds]` in microseconds.
fn clock(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = text.split(':');
    let (hours, minutes) = (millionths(parts.next()?)?, millionths(parts.next()?)?);
    let seconds = parts.next().map_or(Some(0), millionths)?;
    if parts.next().is_some() || minutes >= 60 * MILLION || seconds > 60 * MILLION {
        return None;
    }
    i64::try_from(hours * 3_600 + minutes * 60 + seconds).ok()?.checked_mul(sign)
}

/// One of a unit.
fn one_of(unit: &str) -> Option<Span> {
    let months = |months| Span { months, ..Span::default() };
    let days = |days| Span { days, ..Span::default() };
    let time = |microseconds| Span { microseconds, ..Span::default() };
    Some(match unit.to_ascii_lowercase().as_str() {
        "microsecond" | "microseconds" | "us" | "usec" | "usecs" => time(1),
        "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" => time(1_000),
        "second" | "seconds" | "sec" | "secs" | "s" => time(1_000_000),
        "minute" | "minutes" | "min" | "mins" | "m" => time(60_000_000),
        "hour" | "hours" | "hr" | "hrs" | "h" => time(3_600_000_000),
        "day" | "days" | "d" => days(1),
        "week" | "weeks" | "w" => days(7),
        "month" | "months" | "mon" | "mons" => months(1),
        "year" | "years" | "yr" | "yrs" | "y" => months(12),
        "decade" | "decades" => months(120),
        "century" | "centuries" => months(1_200),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Span::parse(text, "second").unwrap_or_else(|| panic!("{text}")).text()
    }

    #[test]
    fn what_postgres_reads_is_written_as_it_writes_it() {
        for (text, expected) in [
            ("1 day", "1 day"),
            ("36 hours", "36:00:00"),
            ("-1 day", "-1 days"),
            ("1 year 2 months 3 days 04:05:06", "1 year 2 mons 3 days 04:05:06"),
            ("1 month - 1 day", "1 mon -1 days"),
            ("-1 month 1 day", "-1 mons +1 day"),
            ("1.5 days", "1 day 12:00:00"),
            ("1.5 months", "1 mon 15 days"),
            ("90 minutes", "01:30:00"),
            ("1:30", "01:30:00"),
            ("-0:30", "-00:30:00"),
            ("P1Y2M3DT4H5M6.5S", "1 year 2 mons 3 days 04:05:06.5"),
            ("2 weeks ago", "-14 days"),
            ("3h", "03:00:00"),
            ("0", "00:00:00"),
            ("5", "00:00:05"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        for text in ["", "x", "1 fortnight", "1:99", "P1"] {
            assert!(Span::parse(text, "day").is_none(), "{text}");
        }
        assert_eq!(Span::parse("1", "month").map(Span::text).as_deref(), Some("1 mon"));
    }

    #[test]
    fn a_month_is_thirty_days_where_they_meet() {
        let parse = |text| Span::parse(text, "second").unwrap();
        assert_eq!(parse("1 month").length(), parse("30 days").length());
        assert!(parse("1 day").length() < parse("36 hours").length());
        assert_eq!(parse("1 month 1 day").times(MILLION / 2).unwrap().text(), "15 days 12:00:00");
        assert_eq!(parse("40 days").justify_days().text(), "1 mon 10 days");
        assert_eq!(parse("30 hours").justify_hours().text(), "1 day 06:00:00");
        assert_eq!(parse("1 month -1 hour").justify().text(), "29 days 23:00:00");
    }
}
