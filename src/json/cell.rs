//! One JSON value as one typed cell, exactly: money goes from text to a scaled integer and never meets a float.
//!
//! Lenient where systems are sloppy (numbers as strings, `""` for nothing, a date-time for a date), strict where a guess
//! would change an amount, a key or a day.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

use crate::tape::{Kind, Node};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 64-bit integer.
    Int64,
    /// Text.
    Text,
    /// A flag.
    Bool,
    /// Exact decimal: precision and scale.
    Decimal(u8, i8),
    /// A calendar date without time.
    Date,
    /// A moment in UTC, microseconds.
    Timestamp,
    /// A subtree, kept as JSON text.
    Json,
}

/// A typed value of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cell {
    /// Nothing.
    Null,
    /// `int64`.
    Int64(i64),
    /// `text` and `json`.
    Text(String),
    /// `bool`.
    Bool(bool),
    /// `decimal`: the value times ten to the scale.
    Decimal(i128, i8),
    /// `date`: days since 1970-01-01.
    Date(i32),
    /// `timestamp`: microseconds since 1970-01-01 UTC.
    Timestamp(i64),
}

impl Cell {
    /// The cell as people and URLs write it; none for null.
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Int64(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Bool(flag) => flag.to_string(),
            Self::Decimal(units, scale) => decimal_text(*units, *scale),
            Self::Date(days) => NaiveDate::from_epoch_days(*days).map(|date| date.to_string()).unwrap_or_default(),
            Self::Timestamp(micros) => DateTime::from_timestamp_micros(*micros)
                .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
                .unwrap_or_default(),
        })
    }

    /// Whether it is the number zero. A null is not: nobody said that it is nothing.
    pub fn is_zero(&self) -> bool {
        matches!(self, Self::Int64(0) | Self::Decimal(0, _))
    }

    /// Whether it is there, and not `false`.
    pub fn is_set(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }
}

fn decimal_text(units: i128, scale: i8) -> String {
    let scale = usize::from(scale.unsigned_abs());
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Reads a value as a column's form; the error says what it is instead.
///
/// # Errors
/// A value that has no such form.
pub fn cell(value: Option<Node<'_>>, form: Form) -> Result<Cell, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(Cell::Null) };
    if form == Form::Json {
        return Ok(Cell::Text(value.raw().to_owned()));
    }
    let kind = value.kind();
    let letters = value.letters();
    let text: Cow<'_, str> = match kind {
        // Text promised, a structure given: kept as JSON text (and told as drift by the caller), for nothing is lost.
        _ if form == Form::Text => return Ok(Cell::Text(letters.into_owned())),
        Kind::List => return Err(format!("is a list where {} is declared", word(form))),
        Kind::Object => return Err(format!("is an object where {} is declared", word(form))),
        Kind::Text => Cow::Borrowed(letters.trim()),
        Kind::Null | Kind::Bool | Kind::Number => Cow::Borrowed(letters.as_ref()),
    };
    if text.is_empty() {
        return Ok(Cell::Null);
    }
    let parsed = match form {
        Form::Int64 if kind != Kind::Bool => integer(&text).map(Cell::Int64),
        Form::Decimal(precision, scale) if kind != Kind::Bool => {
            decimal(&text, precision, scale).map(|units| Cell::Decimal(units, scale))
        }
        Form::Bool => flag(&text).map(Cell::Bool),
        Form::Date if kind == Kind::Text => date(&text).map(Cell::Date),
        Form::Timestamp if kind == Kind::Text => timestamp(&text).map(Cell::Timestamp),
        _ => None,
    };
    parsed.ok_or_else(|| format!("{} is no {}", shown(value), word(form)))
}

fn word(form: Form) -> String {
    match form {
        Form::Int64 => "int64".into(),
        Form::Text => "text".into(),
        Form::Bool => "bool".into(),
        Form::Decimal(precision, scale) => format!("decimal({precision},{scale})"),
        Form::Date => "date".into(),
        Form::Timestamp => "timestamp".into(),
        Form::Json => "json".into(),
    }
}

/// A value in an error message, cut to what is needed to recognise it.
fn shown(value: Node<'_>) -> String {
    let text = value.raw();
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(39).chain(['…']).collect() }
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "y" => Some(true),
        "false" | "f" | "0" | "no" | "n" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i64> {
    // `5.0` and `1e3` are integers too; `5.5` is none.
    text.parse().ok().or_else(|| exact(text, 0).and_then(|units| i64::try_from(units).ok()))
}

/// Decimal text as an integer of units of ten to the minus `scale`; none if it is no number or too large. Digits beyond the scale are rounded half away from
/// zero (floats of the source, `0.1 + 0.2`, leave such tails); the text itself stays in `_raw`.
pub fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let number = Written::parse(text)?;
    let units = number.scaled(scale)?.0;
    (units.unsigned_abs() < 10_u128.checked_pow(u32::from(precision))?).then_some(units)
}

/// As [`decimal`], only if nothing has to be rounded.
fn exact(text: &str, scale: i8) -> Option<i128> {
    Written::parse(text)?.scaled(scale).filter(|(_, is_exact)| *is_exact).map(|(units, _)| units)
}

/// Digits that fit 64 bits whatever they are.
const DIGITS_SHORT: usize = 18;

/// A number as written: sign, digits without the point, and the power of ten of the last digit.
struct Written<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Written<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (is_negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let has_digits = !(whole.is_empty() && fraction.is_empty());
        (has_digits && is_digits(whole) && is_digits(fraction)).then_some(Self {
            is_negative,
            whole,
            fraction,
            exponent: i64::from(exponent),
        })
    }

    /// The units at `scale`, and whether nothing was rounded.
    fn scaled(&self, scale: i8) -> Option<(i128, bool)> {
        let fraction_digits = i64::try_from(self.fraction.len()).ok()?;
        // How many digits right of the wanted last one are written (negative: zeros are missing).
        let surplus = fraction_digits - self.exponent - i64::from(scale);
        let count = self.whole.len() + self.fraction.len();
        let mut rest = self.whole.bytes().chain(self.fraction.bytes()).map(|byte| byte - b'0');
        let kept = i64::try_from(count).ok()? - surplus;
        let taken = rest.by_ref().take(usize::try_from(kept.max(0)).ok()?);
        let mut units: i128 = 0;
        if count <= DIGITS_SHORT {
            units = i128::from(taken.fold(0_i64, |units, digit| units * 10 + i64::from(digit)));
        } else {
            for digit in taken {
                units = units.checked_mul(10)?.checked_add(i128::from(digit))?;
            }
        }
        if surplus < 0 && units != 0 {
            units = units.checked_mul(10_i128.checked_pow(u32::try_from(-surplus).ok()?)?)?;
        }
        let mut is_exact = true;
        if kept >= 0 {
            let first = rest.next().unwrap_or(0);
            is_exact = first == 0 && rest.all(|digit| digit == 0);
            if first >= 5 {
                units = units.checked_add(1)?;
            }
        } else if rest.any(|digit| digit != 0) {
            is_exact = false;
        }
        Some((if self.is_negative { -units } else { units }, is_exact))
    }
}

/// The calendar date as written, never shifted by an offset.
fn date(text: &str) -> Option<i32> {
    let day = NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()?;
    let rest = text.get(10..)?;
    (rest.is_empty() || timestamp(text).is_some()).then(|| day.to_epoch_days())
}

/// A moment in UTC, microseconds. Without an offset it is UTC already.
fn timestamp(text: &str) -> Option<i64> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.timestamp_micros());
    }
    let offset = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"];
    if let Some(at) = offset.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()) {
        return Some(at.timestamp_micros());
    }
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let at = local.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let at = at.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0)));
    at.map(|at| at.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    use crate::tape::Tape;

    const MONEY: Form = Form::Decimal(18, 2);

    fn read(value: &Value, form: Form) -> Result<Cell, String> {
        let text = value.to_string();
        cell(Some(Tape::default().read(&text).unwrap()), form)
    }

    fn number(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn money_is_exact_from_strings_and_numbers() {
        for (value, units) in [
            (json!("1022452.50"), 102_245_250),
            (json!("250.0"), 25_000),
            (json!("0"), 0),
            (json!("-12345.6789"), -1_234_568),
            (number("0.1"), 10),
            (number("1e3"), 100_000),
            (number("1.5E-1"), 15),
            (number("0.005"), 1),
            (number("0.0049999999999"), 0),
            (json!(" 7 "), 700),
            (json!(".5"), 50),
            (number("1e-30"), 0),
            (number("9007199254740993.01"), 900_719_925_474_099_301),
        ] {
            assert_eq!(read(&value, MONEY), Ok(Cell::Decimal(units, 2)), "{value}");
        }
        assert_eq!(read(&json!(""), MONEY), Ok(Cell::Null));
        assert_eq!(read(&Value::Null, MONEY), Ok(Cell::Null));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["NaN", "Infinity", "-inf", "1,234.50", "$5", "12abc", "-", ".", "1e", "1e999", "96.36%", "١"] {
            assert!(read(&json!(text), MONEY).is_err(), "{text}");
        }
        assert!(read(&json!(true), MONEY).is_err());
        assert!(read(&json!({"a": 1}), MONEY).is_err());
        assert!(read(&json!("99999999999999999.00"), MONEY).is_err(), "19 digits do not fit decimal(18,2)");
        assert_eq!(read(&json!("9999999999999999.99"), MONEY), Ok(Cell::Decimal(999_999_999_999_999_999, 2)));
    }

    #[test]
    fn integers_are_integers() {
        assert_eq!(read(&json!("562949953421312"), Form::Int64), Ok(Cell::Int64(562_949_953_421_312)));
        assert_eq!(read(&number("5.0"), Form::Int64), Ok(Cell::Int64(5)));
        assert!(read(&json!("5.5"), Form::Int64).is_err());
        assert!(read(&json!("9223372036854775808"), Form::Int64).is_err());
        assert!(read(&json!(true), Form::Int64).is_err());
    }

    #[test]
    fn dates_stay_as_written_and_moments_become_utc() {
        let day = Cell::Date(NaiveDate::from_ymd_opt(2024, 1, 15).unwrap().to_epoch_days());
        for text in ["2024-01-15", "2024-01-15T23:59:59-11:00", "2024-01-15T00:00:00+14:00", "2024-01-15 00:00:00"] {
            assert_eq!(read(&json!(text), Form::Date), Ok(day.clone()), "{text}");
        }
        for text in ["2024-02-30", "15/01/2024", "2024-01-15garbage", "2024-1-5", "2024-01-1é"] {
            assert!(read(&json!(text), Form::Date).is_err(), "{text}");
        }
        let at = |text: &str| read(&json!(text), Form::Timestamp).unwrap().text().unwrap();
        assert_eq!(at("2024-01-15T10:00:00-07:00"), "2024-01-15T17:00:00Z");
        assert_eq!(at("2024-01-15T10:00:00.402+0300"), "2024-01-15T07:00:00.402Z");
        assert_eq!(at("2024-01-15T10:00:00"), "2024-01-15T10:00:00Z");
        assert_eq!(at("2024-01-15"), "2024-01-15T00:00:00Z");
        assert!(read(&json!("soon"), Form::Timestamp).is_err());
        assert!(read(&json!(1_700_000_000), Form::Timestamp).is_err());
    }

    proptest! {
        #[test]
        fn decimals_survive_the_round_trip(units in -999_999_999_999_999_999_i128..=999_999_999_999_999_999, scale in 0_i8..=6) {
            let text = decimal_text(units, scale);
            prop_assert_eq!(decimal(&text, 38, scale), Some(units));
            prop_assert_eq!(exact(&format!("{text}{}", if scale > 0 { "000" } else { ".000" }), scale), Some(units));
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".{0,40}") {
            for kind in [Form::Int64, Form::Decimal(38, 10), Form::Date, Form::Timestamp, Form::Bool] {
                let _ = read(&json!(text), kind);
            }
        }
    }
}
