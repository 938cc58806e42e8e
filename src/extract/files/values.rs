//! Cells of exported sheets as plain values: amounts, dates and flags as people and programs write them.
//!
//! Pure. Invariants: text never passes through a float; what could be read in two ways is none (`1.234` where the comma
//! groups is one and a bit, `12,34` is nothing); text columns keep their letters, leading zeros included.

use chrono::{
    DateTime, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;

use crate::extract::manifest::ColumnKind;
use crate::warehouse::rows::ColumnType;

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing.
    Empty,
    /// Text as written.
    Text(String),
    /// A number as the shortest decimal text that stands for it.
    Number(String),
    /// A flag.
    Flag(bool),
    /// A day, or a moment without a zone.
    Moment(NaiveDateTime),
}

/// Which part of `1/2/2026` is the month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DateOrder {
    /// The first.
    #[default]
    Mdy,
    /// The second.
    Dmy,
}

/// How a bundle writes what can be written in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forms {
    /// What stands before the fraction: `.` or `,`.
    pub decimal: char,
    /// The order of day and month.
    pub dates: DateOrder,
    /// Where moments without an offset are.
    pub zone: Tz,
}

/// What has no such form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit;

/// A cell as its column's type wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Nothing.
    Nothing,
    /// The text of the value.
    Of(String),
    /// It has no such form; as written.
    Unfit(String),
}

impl Value {
    /// Whether there is nothing in it.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => trimmed(text).is_empty(),
            Self::Number(_) | Self::Flag(_) | Self::Moment(_) => false,
        }
    }

    /// As people read it, without outer blanks.
    pub(crate) fn written(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => trimmed(text).to_owned(),
            Self::Number(text) => text.clone(),
            Self::Flag(flag) => flag.to_string(),
            Self::Moment(at) if at.time() == NaiveTime::MIN => at.date().to_string(),
            Self::Moment(at) => at.format("%Y-%m-%dT%H:%M:%S").to_string(),
        }
    }

    /// As a column's type wants it.
    pub(crate) fn plain(&self, kind: ColumnKind, forms: Forms) -> Plain {
        if self.is_blank() {
            return Plain::Nothing;
        }
        let ColumnKind::Plain(kind) = kind else { return Plain::Of(self.written()) };
        let found = match kind {
            ColumnType::Text => Ok(Some(self.written())),
            ColumnType::Int64 | ColumnType::Decimal(..) => match self {
                Self::Text(text) => {
                    amount(text, forms.decimal).map(|found| found.map(|text| shortest(&text).to_owned()))
                }
                Self::Number(text) => Ok(Some(shortest(text).to_owned())),
                Self::Empty | Self::Flag(_) | Self::Moment(_) => Err(Unfit),
            },
            ColumnType::Bool => match self {
                Self::Flag(flag) => Ok(Some(flag.to_string())),
                other => flag(&other.written()).map(|flag| Some(flag.to_string())).ok_or(Unfit),
            },
            ColumnType::Date => self.moment(forms).map(|found| found.map(|found| found.date.to_string())),
            ColumnType::Timestamp => self.moment(forms).map(|found| found.map(|found| found.utc(forms.zone))),
        };
        match found {
            Ok(Some(text)) => Plain::Of(text),
            Ok(None) => Plain::Nothing,
            Err(Unfit) => Plain::Unfit(self.written()),
        }
    }

    fn moment(&self, forms: Forms) -> Result<Option<Moment>, Unfit> {
        match self {
            Self::Moment(at) => Ok(Some(Moment { date: at.date(), time: Some(at.time()), offset: None })),
            Self::Number(text) => serial(text).map(Some).ok_or(Unfit),
            Self::Text(text) => moment(text, forms.dates),
            Self::Empty | Self::Flag(_) => Err(Unfit),
        }
    }
}

/// Without blanks around it; a sheet's may be no-break spaces.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}' || letter == '\u{200b}')
}

/// A decimal without zeros at the end of its fraction: text and floats of one amount are the same.
pub(crate) fn shortest(text: &str) -> &str {
    if text.contains(['e', 'E']) || !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.')
}

const MINUS: [char; 3] = ['-', '\u{2212}', '\u{2013}'];
const CURRENCIES: [&str; 9] = ["$", "€", "£", "USD", "CAD", "AUD", "NZD", "EUR", "GBP"];

/// An amount as plain decimal text; nothing where a dash or `n/a` stands.
///
/// `$1,234.50`, `(1,234.50)`, `1,234.50-`, `1,234.50 CR`, `USD 1 234.50`; `$ -` is how a sheet shows zero.
pub(crate) fn amount(text: &str, decimal: char) -> Result<Option<String>, Unfit> {
    let mut rest = trimmed(text);
    if rest.is_empty() || ["-", "--", "–", "—"].contains(&rest) || rest.eq_ignore_ascii_case("n/a") {
        return Ok(None);
    }
    let (mut is_negative, mut has_sign, mut has_currency) = (false, false, false);
    loop {
        rest = trimmed(rest);
        let mut sign = |negative: bool| {
            let is_first = !has_sign;
            (is_negative, has_sign) = (negative, true);
            is_first
        };
        if let Some(inner) = rest.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
            if !sign(true) {
                return Err(Unfit);
            }
            rest = inner;
        } else if has_currency && ["-", "–", "—"].contains(&rest) {
            return Ok(Some("0".to_owned()));
        } else if let Some(inner) = currency(rest).filter(|_| !has_currency) {
            has_currency = true;
            rest = inner;
        } else if let Some(inner) = strip_suffix_letters(rest, "CR") {
            if !sign(true) {
                return Err(Unfit);
            }
            rest = inner;
        } else if let Some(inner) = strip_suffix_letters(rest, "DR") {
            if !sign(false) {
                return Err(Unfit);
            }
            rest = inner;
        } else if let Some(inner) = rest.strip_prefix(MINUS).or_else(|| rest.strip_suffix(MINUS)) {
            if !sign(true) {
                return Err(Unfit);
            }
            rest = inner;
        } else if let Some(inner) = rest.strip_prefix('+') {
            if !sign(false) {
                return Err(Unfit);
            }
            rest = inner;
        } else if let Some(inner) = rest.strip_suffix('%') {
            rest = inner;
        } else {
            break;
        }
    }
    let digits = digits(rest, decimal).ok_or(Unfit)?;
    let is_zero = digits.bytes().all(|byte| byte == b'0' || byte == b'.');
    Ok(Some(if is_negative && !is_zero { format!("-{digits}") } else { digits }))
}

fn currency(text: &str) -> Option<&str> {
    let starts = |sign: &&str| text.get(..sign.len()).is_some_and(|start| start.eq_ignore_ascii_case(sign));
    let ends = |sign: &&str| {
        let from = text.len().checked_sub(sign.len());
        from.and_then(|from| text.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(sign))
    };
    let first = CURRENCIES.iter().find(|sign| starts(sign)).and_then(|sign| text.get(sign.len()..));
    first.or_else(|| CURRENCIES.iter().find(|sign| ends(sign)).and_then(|sign| text.get(..text.len() - sign.len())))
}

fn strip_suffix_letters<'t>(text: &'t str, suffix: &str) -> Option<&'t str> {
    let from = text.len().checked_sub(suffix.len())?;
    let end = text.get(from..)?;
    if end.eq_ignore_ascii_case(suffix) { text.get(..from) } else { None }
}

/// Digits with groups of three and a fraction, or with an exponent; as plain text.
fn digits(text: &str, decimal: char) -> Option<String> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((mantissa, exponent)) = text.split_once(['e', 'E']) {
        let power: i16 = exponent.parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        return (is_digits(whole) && is_digits(fraction) && power.abs() < 30).then(|| text.to_owned());
    }
    let (whole, fraction) = match text.split_once(decimal) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    if fraction.is_some_and(|fraction| !fraction.is_empty() && !is_digits(fraction)) {
        return None;
    }
    let group = whole.chars().find(|letter| !letter.is_ascii_digit());
    let whole = match group {
        None => whole.to_owned(),
        Some(group) => {
            let is_group = (group == ',' || group == '.') && group != decimal || group.is_whitespace() || group == '\'';
            let mut groups = whole.split(group);
            let first = groups.next()?;
            let is_grouped = is_digits(first) && first.len() <= 3 && !first.starts_with('0');
            let mut others = groups.clone();
            if !is_group || !is_grouped || !others.all(|part| part.len() == 3 && is_digits(part)) {
                return None;
            }
            whole.split(group).collect()
        }
    };
    match (whole.is_empty(), fraction.filter(|fraction| !fraction.is_empty())) {
        (true, None) => None,
        (true, Some(fraction)) => Some(format!("0.{fraction}")),
        (false, None) => Some(whole),
        (false, Some(fraction)) => Some(format!("{whole}.{fraction}")),
    }
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" | "x" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// A day, with what else is written of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub date: NaiveDate,
    pub time: Option<NaiveTime>,
    pub offset: Option<FixedOffset>,
}

impl Moment {
    /// The moment in UTC; midnight where no time is written, the earlier one of an hour that comes twice.
    pub(crate) fn instant(&self, zone: Tz) -> DateTime<Utc> {
        let local = self.date.and_time(self.time.unwrap_or(NaiveTime::MIN));
        if let Some(offset) = self.offset {
            return (local - TimeDelta::seconds(i64::from(offset.local_minus_utc()))).and_utc();
        }
        let found = zone.from_local_datetime(&local).earliest();
        // An hour that the zone passes over.
        let found = found.or_else(|| zone.from_local_datetime(&(local + TimeDelta::hours(1))).earliest());
        found.map_or_else(|| local.and_utc(), |at| at.with_timezone(&Utc))
    }

    fn utc(&self, zone: Tz) -> String {
        self.instant(zone).to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

/// A day or moment; nothing where none is meant (`00/00/0000`).
pub(crate) fn moment(text: &str, order: DateOrder) -> Result<Option<Moment>, Unfit> {
    let text = trimmed(text);
    let is_nothing = text.bytes().any(|byte| byte == b'0') && text.bytes().all(|byte| b"0/-".contains(&byte));
    if is_nothing && text.len() >= 8 || text.eq_ignore_ascii_case("n/a") || ["-", "--", "–", "—"].contains(&text) {
        return Ok(None);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        let (date, time) = (at.date_naive(), at.time());
        return Ok(Some(Moment { date, time: Some(time), offset: Some(*at.offset()) }));
    }
    if let Some(found) = serial(text).filter(|_| text.split('.').next().is_some_and(|days| days.len() == 5)) {
        return Ok(Some(found));
    }
    let words: Vec<&str> = text.split([' ', '\u{a0}', '\u{202f}', ',', 'T']).filter(|word| !word.is_empty()).collect();
    let is_time = |word: &&str| word.contains(':');
    let at = words.iter().position(is_time).unwrap_or(words.len());
    let (day, clock) = words.split_at(at);
    let date = day_of(&day.join(" "), order).or_else(|| {
        // `T` is in no month's name but those that `split` took apart.
        let whole = text.split([' ', '\u{a0}', ',']).filter(|word| !word.is_empty() && !word.contains(':'));
        let whole: Vec<&str> = whole.filter(|word| !is_half_day(word)).collect();
        day_of(&whole.join(" "), order)
    });
    let date = date.ok_or(Unfit)?;
    let time = if clock.is_empty() { None } else { Some(clock_of(clock).ok_or(Unfit)?) };
    Ok(Some(Moment { date, time, offset: None }))
}

fn is_half_day(word: &str) -> bool {
    ["am", "pm"].iter().any(|half| word.eq_ignore_ascii_case(half))
}

fn day_of(text: &str, order: DateOrder) -> Option<NaiveDate> {
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return NaiveDate::parse_from_str(text, "%Y%m%d").ok();
    }
    let parts: Vec<&str> = text.split(['/', '-', '.', ' ']).filter(|part| !part.is_empty()).collect();
    let [first, second, third] = parts.as_slice() else { return None };
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.len() <= 2);
    let (year, month, day) = match (month_of(first), month_of(second)) {
        (Some(month), None) => (year_of(third)?, month, number(second)?),
        (None, Some(month)) => (year_of(third)?, month, number(first)?),
        (Some(_), Some(_)) => return None,
        (None, None) if first.len() == 4 => (year_of(first)?, number(second)?, number(third)?),
        (None, None) => match order {
            DateOrder::Mdy => (year_of(third)?, number(first)?, number(second)?),
            DateOrder::Dmy => (year_of(third)?, number(second)?, number(first)?),
        },
    };
    NaiveDate::from_ymd_opt(year, month, day)
}

fn month_of(text: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
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
    let text = text.to_ascii_lowercase();
    let is_it = |name: &&str| text.len() >= 3 && (name.starts_with(&text) || text == "sept" && **name == *"september");
    MONTHS.iter().zip(1..).find(|(name, _)| is_it(name)).map(|(_, number)| number)
}

/// Two digits are of 1970 to 2069.
fn year_of(text: &str) -> Option<i32> {
    let year: i32 = text.parse().ok()?;
    match text.len() {
        4 => Some(year),
        2 if year < 70 => Some(2000 + year),
        2 => Some(1900 + year),
        _ => None,
    }
}

fn clock_of(words: &[&str]) -> Option<NaiveTime> {
    let joined = words.concat().to_ascii_lowercase();
    let (clock, half) = match (joined.strip_suffix("am"), joined.strip_suffix("pm")) {
        (Some(clock), _) => (clock, Some(0)),
        (_, Some(clock)) => (clock, Some(12)),
        (None, None) => (joined.as_str(), None),
    };
    let clock = clock.split('.').next().unwrap_or_default();
    let mut parts = clock.split(':').map(|part| part.parse::<u32>().ok().filter(|_| part.len() <= 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_some() {
        return None;
    }
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    NaiveTime::from_hms_opt(hour, minute, second)
}

/// A day number of a sheet: 1 is 1900-01-01, and 60 the 29 February 1900 that was none; the fraction is the time.
fn serial(text: &str) -> Option<Moment> {
    const SECONDS: u64 = 86_400;
    let (days, fraction) = text.split_once('.').unwrap_or((text, ""));
    let days: u64 = days.parse().ok().filter(|days| (1..2_958_466).contains(days))?;
    let mut seconds = 0;
    if !fraction.is_empty() {
        let digits: String = fraction.chars().take(12).collect();
        let units: u64 = digits.parse().ok()?;
        let of = 10_u64.pow(u32::try_from(digits.len()).ok()?);
        seconds = (u128::from(units) * u128::from(SECONDS) + u128::from(of) / 2) / u128::from(of);
    }
    let days = if days >= 60 { days } else { days + 1 };
    let day = NaiveDate::from_ymd_opt(1899, 12, 30)?.checked_add_days(Days::new(days))?;
    let at = day.and_time(NaiveTime::MIN) + TimeDelta::seconds(i64::try_from(seconds).ok()?);
    let time = (!fraction.is_empty()).then(|| at.time());
    Some(Moment { date: at.date(), time, offset: None })
}

#[cfg(test)]
mod tests;
