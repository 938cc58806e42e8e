//! Dates and moments as people write them: texts that Postgres reads, templates of `to_date` and `to_timestamp`.
//!
//! Pure, with the time passed in. Invariant: a text that is not understood is none, never a moment nearby.

use chrono::{Datelike as _, Duration, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeZone as _, Utc};
use datafusion::arrow::array::timezone::Tz;

use super::span::Span;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTH_NAMES: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A moment's text, with the zone that it names.
pub(crate) struct Written {
    pub(crate) local: NaiveDateTime,
    pub(crate) zone: Option<Tz>,
}

impl Written {
    /// The moment, read in `zone` unless it names its own.
    pub(crate) fn at(&self, zone: Tz) -> Option<NaiveDateTime> {
        utc(self.local, self.zone.unwrap_or(zone))
    }
}

/// A zone by its name, its abbreviation or its offset.
pub(crate) fn zone(name: &str) -> Option<Tz> {
    let name = name.trim();
    let known = match name.to_ascii_lowercase().as_str() {
        "z" | "utc" | "gmt" | "zulu" => "UTC",
        "edt" => "-04:00",
        "est" | "cdt" => "-05:00",
        "cst" | "mdt" => "-06:00",
        "mst" | "pdt" => "-07:00",
        "pst" => "-08:00",
        _ => name,
    };
    if let Some((sign, digits)) = known.split_at_checked(1).filter(|(sign, _)| ["+", "-"].contains(sign)) {
        let digits: String = digits.chars().filter(|letter| *letter != ':').collect();
        let is_offset = digits.len() <= 4 && digits.chars().all(|letter| letter.is_ascii_digit());
        let padded = match digits.len() {
            _ if !is_offset => return None,
            1 => format!("0{digits}00"),
            2 => format!("{digits}00"),
            _ => format!("{digits:0>4}"),
        };
        return format!("{sign}{}:{}", padded.get(..2)?, padded.get(2..)?).parse().ok();
    }
    known.parse().ok()
}

/// A local time in a zone as UTC: the later of two where clocks go back, the time before where they go forward.
pub(crate) fn utc(local: NaiveDateTime, zone: Tz) -> Option<NaiveDateTime> {
    if let Some(found) = zone.from_local_datetime(&local).latest() {
        return Some(found.naive_utc());
    }
    let before = zone.from_local_datetime(&(local - Duration::hours(3))).latest()?;
    Some(local - before.offset().fix())
}

/// The local time of a moment in UTC.
pub(crate) fn local(at: NaiveDateTime, zone: Tz) -> NaiveDateTime {
    at + zone.offset_from_utc_datetime(&at).fix()
}

/// A text as Postgres reads a date or moment: `2024-03-15 10:00`, `03/15/2024`, `Mar 15, 2024`, `20240315`, `today`, `now`.
pub(crate) fn parse(text: &str, now: NaiveDateTime) -> Option<Written> {
    let text = text.trim();
    let midnight =
        |days: i64| Some(Written { local: (now + Duration::days(days)).date().and_time(NaiveTime::MIN), zone: None });
    match text.to_ascii_lowercase().as_str() {
        "now" => return Some(Written { local: now, zone: None }),
        "today" => return midnight(0),
        "yesterday" => return midnight(-1),
        "tomorrow" => return midnight(1),
        "epoch" => return Some(Written { local: chrono::DateTime::UNIX_EPOCH.naive_utc(), zone: "UTC".parse().ok() }),
        _ => {}
    }
    let (date, rest) = split_date(text)?;
    let rest = rest.trim_start_matches(['T', 't']).trim();
    if rest.is_empty() {
        return Some(Written { local: date.and_time(NaiveTime::MIN), zone: None });
    }
    // The clock ends where neither digits nor points follow.
    let end = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == ':' || letter == '.'));
    let (clock, after) = rest.split_at(end.unwrap_or(rest.len()));
    let (mut time, carried) = time_of(clock)?;
    let mut after = after.trim();
    let is_word = after.get(2..).is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_alphabetic()));
    let half = after.get(..2).filter(|_| !is_word).map(str::to_ascii_lowercase);
    if let Some(half) = half.filter(|half| ["am", "pm"].contains(&half.as_str())) {
        let hours = chrono::Timelike::hour(&time);
        let turned = match (half.as_str(), hours) {
            ("am", 12) => 0,
            ("am", 0..12) | ("pm", 12) => hours,
            ("pm", 1..12) => hours + 12,
            _ => return None,
        };
        time = chrono::Timelike::with_hour(&time, turned)?;
        after = after.get(2..).unwrap_or_default().trim();
    }
    let zone = if after.is_empty() { None } else { Some(zone(after)?) };
    Some(Written { local: date.and_time(time) + Duration::days(carried), zone })
}

/// A time of day, and the days that it carries: 24:00 is the next day's 0:00.
fn time_of(text: &str) -> Option<(NaiveTime, i64)> {
    let mut parts = text.split(':');
    let hours: u32 = parts.next().filter(|part| part.len() <= 2)?.parse().ok()?;
    let minutes: u32 = parts.next().filter(|part| part.len() == 2)?.parse().ok()?;
    let seconds = parts.next().unwrap_or("0");
    let (seconds, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    let part: String = part.chars().chain("000000".chars()).take(6).collect();
    if parts.next().is_some() {
        return None;
    }
    if (hours, minutes, seconds.trim_start_matches('0')) == (24, 0, "") {
        return Some((NaiveTime::MIN, 1));
    }
    NaiveTime::from_hms_micro_opt(hours, minutes, seconds.parse().ok()?, part.parse().ok()?).map(|time| (time, 0))
}

/// The date at the start of a text, and what follows it.
fn split_date(text: &str) -> Option<(NaiveDate, &str)> {
    if text.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        // `Mar 15, 2024`
        let mut words = text.splitn(4, [' ', ',']).filter(|word| !word.is_empty());
        let month = month(words.next()?)?;
        let rest = text.get(text.find([' ', ','])?..)?.trim_start_matches([' ', ',']);
        let (day, rest) = digits(rest)?;
        let (year, rest) = digits(rest.trim_start_matches([' ', ',']))?;
        return NaiveDate::from_ymd_opt(year4(year)?, month, day.parse().ok()?).map(|date| (date, rest));
    }
    let (first, rest) = digits(text)?;
    if first.len() == 8 {
        let part = |range| first.get(range).and_then(|part: &str| part.parse::<u32>().ok());
        let year = first.get(..4)?.parse().ok()?;
        return NaiveDate::from_ymd_opt(year, part(4..6)?, part(6..8)?).map(|date| (date, rest));
    }
    let separator = rest.chars().next()?;
    if !['-', '/', '.', ' '].contains(&separator) {
        return None;
    }
    let rest = rest.get(1..)?;
    if rest.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        // `15 Mar 2024`, `15-Mar-2024`
        let end = rest.find(|letter: char| !letter.is_ascii_alphabetic())?;
        let month = month(rest.get(..end)?)?;
        let (year, rest) = digits(rest.get(end + 1..)?)?;
        return NaiveDate::from_ymd_opt(year4(year)?, month, first.parse().ok()?).map(|date| (date, rest));
    }
    let (second, rest) = digits(rest)?;
    let (third, rest) = digits(rest.strip_prefix(separator)?)?;
    let (year, month, day) = if first.len() >= 3 {
        (first.parse().ok()?, second, third)
    } else if separator == '-' && third.len() < 3 {
        return None;
    } else {
        (year4(third)?, first, second)
    };
    NaiveDate::from_ymd_opt(year, month.parse().ok()?, day.parse().ok()?).map(|date| (date, rest))
}

fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    (end > 0 && end <= 8).then(|| text.split_at(end))
}

fn month(word: &str) -> Option<u32> {
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    let place = MONTHS
        .iter()
        .position(|known| *known == word)
        .or_else(|| MONTH_NAMES.iter().position(|known| *known == word))?;
    u32::try_from(place + 1).ok()
}

/// A year of two digits is the nearest to 2020, as Postgres has it.
fn year4(text: &str) -> Option<i32> {
    let year: i32 = text.parse().ok()?;
    Some(match (text.len(), year) {
        (..=2, ..70) => year + 2_000,
        (..=2, _) => year + 1_900,
        _ => year,
    })
}

/// A text by a template of `to_date` or `to_timestamp`.
pub(crate) fn by_template(text: &str, template: &str) -> Result<NaiveDateTime, String> {
    let mut found = Parts::default();
    let (mut rest, mut words) = (text.trim_start(), template);
    while let Some(letter) = words.chars().next() {
        let upper = words.to_ascii_uppercase();
        let Some(word) = TEMPLATE.iter().find(|word| upper.starts_with(**word)) else {
            if letter.is_ascii_alphabetic() && letter != 'T' {
                return Err(format!("\"{letter}\" in the template \"{template}\" is not supported"));
            }
            words = words.get(letter.len_utf8()..).unwrap_or_default();
            // Any separator stands for any other.
            let next = rest.chars().next();
            if next.is_some_and(|next| next == letter || !next.is_ascii_alphanumeric()) {
                rest = rest.get(next.map_or(0, char::len_utf8)..).unwrap_or_default();
            }
            continue;
        };
        words = words.get(word.len()..).unwrap_or_default();
        rest = found.take(word, rest.trim_start(), words).ok_or_else(|| {
            format!("invalid value \"{rest}\" for \"{word}\" in \"{text}\" by the template \"{template}\"")
        })?;
    }
    found.moment().ok_or_else(|| format!("date/time field value out of range: \"{text}\""))
}

const TEMPLATE: &[&str] = &[
    "YYYY", "HH24", "HH12", "MONTH", "MON", "DDD", "YY", "MM", "DD", "HH", "MI", "SS", "MS", "US", "AM", "PM", "FM",
    "DAY", "DY", "TZ", "OF",
];

#[derive(Default)]
struct Parts {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    microsecond: u32,
    afternoon: Option<bool>,
}

impl Parts {
    /// Reads a word of the template; what is left of the text.
    fn take<'a>(&mut self, word: &str, text: &'a str, after: &str) -> Option<&'a str> {
        if let "MONTH" | "MON" | "DAY" | "DY" | "AM" | "PM" = word {
            let end = text.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            match word {
                "MONTH" | "MON" => self.month = Some(month(name)?),
                "AM" | "PM" => self.afternoon = Some(name.eq_ignore_ascii_case("pm")),
                _ => {}
            }
            return Some(rest);
        }
        if word == "FM" {
            return Some(text);
        }
        // Where the template goes on with digits, a number is as wide as its word.
        let is_closed = after.starts_with(|letter: char| letter.is_ascii_alphabetic());
        let width = match word {
            "HH24" | "HH12" => 2,
            "MS" => 3,
            "US" => 6,
            word => word.len(),
        };
        let available = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let width = if is_closed || word == "MS" || word == "US" { width.min(available) } else { available };
        let (number, rest) = text.split_at_checked(width).filter(|(number, _)| !number.is_empty())?;
        let value: u32 = number.parse().ok()?;
        match word {
            "YYYY" | "YY" => self.year = Some(year4(number)?),
            "MM" => self.month = Some(value),
            "DD" => self.day = Some(value),
            "DDD" => self.day_of_year = Some(value),
            "HH24" | "HH12" | "HH" => self.hour = value,
            "MI" => self.minute = value,
            "SS" => self.second = value,
            "MS" => self.microsecond = format!("{number:0<3}").parse::<u32>().ok()?.checked_mul(1_000)?,
            "US" => self.microsecond = format!("{number:0<6}").parse().ok()?,
            _ => return None,
        }
        Some(rest)
    }

    fn moment(&self) -> Option<NaiveDateTime> {
        let year = self.year.unwrap_or(1);
        let date = match self.day_of_year {
            Some(day) => NaiveDate::from_yo_opt(year, day)?,
            None => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        let hour = match (self.afternoon, self.hour) {
            (Some(true), 12) | (None, _) => self.hour,
            (Some(true), hour) => hour + 12,
            (Some(false), 12) => 0,
            (Some(false), hour) => hour,
        };
        date.and_hms_micro_opt(hour, self.minute, self.second, self.microsecond)
    }
}

/// `age(later, earlier)`: whole months, days and time between two local times.
pub(crate) fn age(later: NaiveDateTime, earlier: NaiveDateTime) -> Span {
    if later < earlier {
        let Span { months, days, microseconds } = age(earlier, later);
        return Span { months: -months, days: -days, microseconds: -microseconds };
    }
    let month_of = |at: NaiveDateTime| at.year() * 12 + i32::try_from(at.month0()).unwrap_or(0);
    let day_of = |at: NaiveDateTime| i32::try_from(at.day()).unwrap_or(0);
    let mut months = month_of(later) - month_of(earlier);
    let mut days = day_of(later) - day_of(earlier);
    let mut microseconds = (later.time() - earlier.time()).num_microseconds().unwrap_or(0);
    if microseconds < 0 {
        microseconds += 86_400_000_000;
        days -= 1;
    }
    if days < 0 {
        // As many days as the earlier month has.
        let first = NaiveDate::from_ymd_opt(earlier.year(), earlier.month(), 1);
        let next = first.and_then(|first| first.checked_add_months(chrono::Months::new(1)));
        let length = first.zip(next).map_or(30, |(first, next)| (next - first).num_days());
        days += i32::try_from(length).unwrap_or(30);
        months -= 1;
    }
    Span { months, days, microseconds }
}

/// Whether the clock decides what a text is read as.
pub(crate) fn is_of_today(text: &str) -> bool {
    let (one, other) = (NaiveDateTime::default(), NaiveDateTime::default() + Duration::days(1));
    parse(text, one).map(|read| read.local) != parse(text, other).map(|read| read.local)
}

/// The moment now, in UTC.
pub(crate) fn now() -> NaiveDateTime {
    Utc::now().naive_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        let now = "2024-02-10T11:12:13".parse().unwrap();
        parse(text, now)?.at("UTC".parse().unwrap()).map(|at| at.to_string())
    }

    #[test]
    fn texts_are_read_as_postgres_reads_them() {
        for (text, expected) in [
            ("2024-03-15", "2024-03-15 00:00:00"),
            ("2024-03-15 10:00", "2024-03-15 10:00:00"),
            ("2024-03-15T10:00:01.5Z", "2024-03-15 10:00:01.500"),
            ("2024-03-15 10:00+00", "2024-03-15 10:00:00"),
            ("2024-03-15 10:00:00-06", "2024-03-15 16:00:00"),
            ("2024-03-15 10:00 -0530", "2024-03-15 15:30:00"),
            ("2024-03-15 10:00 America/Chicago", "2024-03-15 15:00:00"),
            ("03/15/2024 2:05 PM", "2024-03-15 14:05:00"),
            ("Mar 15, 2024", "2024-03-15 00:00:00"),
            ("15-Mar-2024", "2024-03-15 00:00:00"),
            ("20240315", "2024-03-15 00:00:00"),
            ("3/5/24", "2024-03-05 00:00:00"),
            ("2024-03-15 24:00", "2024-03-16 00:00:00"),
            ("yesterday", "2024-02-09 00:00:00"),
            ("now", "2024-02-10 11:12:13"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "soon", "2024-13-01", "2024-02-30", "15/03/2024", "2024-03-15 25:00", "2024-03-15 10:00 Mars"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn templates_read_what_they_write() {
        let read = |text: &str, template: &str| by_template(text, template).map(|at| at.to_string());
        for (text, template, expected) in [
            ("03/15/2024", "MM/DD/YYYY", "2024-03-15 00:00:00"),
            ("20240315", "YYYYMMDD", "2024-03-15 00:00:00"),
            ("15 Mar 2024", "DD Mon YYYY", "2024-03-15 00:00:00"),
            ("2024-03-15 10:11:12", "YYYY-MM-DD HH24:MI:SS", "2024-03-15 10:11:12"),
            ("2:05 pm", "HH12:MI AM", "0001-01-01 14:05:00"),
            ("3/5/24", "MM/DD/YY", "2024-03-05 00:00:00"),
        ] {
            assert_eq!(read(text, template).as_deref(), Ok(expected), "{text}");
        }
        assert!(read("2024-13-01", "YYYY-MM-DD").is_err() && read("x", "YYYY").is_err() && read("1", "ZZ").is_err());
    }

    #[test]
    fn ages_count_months_first() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap().and_time(NaiveTime::MIN);
        assert_eq!(age(day("2024-03-15"), day("2023-01-20")).text(), "1 year 1 mon 26 days");
        assert_eq!(age(day("2023-01-20"), day("2024-03-15")).text(), "-1 years -1 mons -26 days");
        assert_eq!(age(day("2024-03-15"), day("2024-03-15")).text(), "00:00:00");
    }

    #[test]
    fn clocks_that_change_have_one_answer() {
        let chicago = zone("America/Chicago").unwrap();
        let at = |text: &str| utc(text.parse().unwrap(), chicago).unwrap().to_string();
        assert_eq!(at("2024-11-03T01:30:00"), "2024-11-03 07:30:00");
        assert_eq!(at("2024-03-10T02:30:00"), "2024-03-10 08:30:00");
        assert_eq!(local("2024-07-01T12:00:00".parse().unwrap(), chicago).to_string(), "2024-07-01 07:00:00");
    }
}
