//! What Arrow says of a value that is none of its type, in Postgres' words and with its codes.

use regex::Regex;
use std::sync::LazyLock;

use super::{Failure, INVALID_TEXT};

const OUT_OF_RANGE: &str = "22003";
const DATETIME_OVERFLOW: &str = "22008";
const DATETIME_FORMAT: &str = "22007";

/// The failure that a message of Arrow's tells of a value, if it tells of one.
pub(super) fn refused(message: &str) -> Option<Failure> {
    unread(message).or_else(|| overflowed(message))
}

fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

/// A text that its type does not read.
fn unread(message: &str) -> Option<Failure> {
    static CAST: LazyLock<Option<Regex>> =
        LazyLock::new(|| pattern(r"(?s)^Cannot cast (?:string|value) '(.*)' to value of (.+?) type$"));
    static PARSED: LazyLock<Option<Regex>> =
        LazyLock::new(|| pattern(r"(?s)^Error parsing timestamp from '(.*)': [^']*$"));
    let (value, of) = match CAST.as_ref()?.captures(message) {
        Some(found) => (found.get(1)?.as_str(), sql_name(found.get(2)?.as_str())?),
        None => (PARSED.as_ref()?.captures(message)?.get(1)?.as_str(), "timestamp"),
    };
    let is_moment = matches!(of, "date" | "time" | "timestamp");
    Some(if is_moment && has_moments_form(value) {
        Failure::new(DATETIME_OVERFLOW, format!("date/time field value out of range: \"{value}\""))
    } else if is_whole(of) && has_numbers_form(value, false) || of == "numeric" && has_numbers_form(value, true) {
        Failure::new(OUT_OF_RANGE, format!("value \"{value}\" is out of range for type {of}"))
    } else {
        let code = if is_moment || of == "interval" { DATETIME_FORMAT } else { INVALID_TEXT };
        Failure::new(code, format!("invalid input syntax for type {of}: \"{value}\""))
    })
}

/// A number that its type has no room for.
fn overflowed(message: &str) -> Option<Failure> {
    static WHOLE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"^Can't cast value (\S+) to type (\w+)$"));
    static SCALED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        pattern(
            r"(?:Decimal\d+\((\d+), (-?\d+)\)\. Value overflows|too large to store in a Decimal\d+ of precision (\d+))",
        )
    });
    if let Some(found) = WHOLE.as_ref()?.captures(message) {
        return Some(Failure::new(OUT_OF_RANGE, format!("{} out of range", sql_name(found.get(2)?.as_str())?)));
    }
    let found = SCALED.as_ref()?.captures(message)?;
    let failure = Failure::new(OUT_OF_RANGE, "numeric field overflow");
    let digits = found.get(1).or_else(|| found.get(3))?.as_str();
    Some(match found.get(2) {
        Some(scale) => {
            failure.hint(format!("the type has {digits} digits, {} of them after the point", scale.as_str()))
        }
        None => failure.hint(format!("the type has {digits} digits in all")),
    })
}

/// The SQL name of one of Arrow's types.
fn sql_name(arrow: &str) -> Option<&'static str> {
    const NAMES: &[(&str, &str)] = &[
        ("Int8", "smallint"),
        ("Int16", "smallint"),
        ("Int32", "integer"),
        ("Int64", "bigint"),
        ("UInt8", "smallint"),
        ("UInt16", "integer"),
        ("UInt32", "oid"),
        ("UInt64", "bigint"),
        ("Float32", "real"),
        ("Float64", "double precision"),
        ("Boolean", "boolean"),
        ("Decimal", "numeric"),
        ("Date", "date"),
        ("Time32", "time"),
        ("Time64", "time"),
        ("Timestamp", "timestamp"),
        ("Interval", "interval"),
    ];
    // Of `Time64` and `Timestamp` the longer name is meant.
    NAMES.iter().filter(|(name, _)| arrow.starts_with(name)).max_by_key(|(name, _)| name.len()).map(|(_, name)| *name)
}

fn is_whole(of: &str) -> bool {
    matches!(of, "smallint" | "integer" | "bigint" | "oid")
}

/// Whether a text reads as a number, with a point and an exponent or without.
fn has_numbers_form(value: &str, fraction: bool) -> bool {
    static WHOLE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"^\s*[+-]?\d+\s*$"));
    static ANY: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"));
    let form = if fraction { &ANY } else { &WHOLE };
    form.as_ref().is_some_and(|form| form.is_match(value))
}

/// Whether a text has a date's or a time's form, so that one of its numbers must be beyond its bounds.
fn has_moments_form(value: &str) -> bool {
    static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| {
        pattern(
            r"^\s*(\d{4,6}-\d{1,2}-\d{1,2}([ T]\d{1,2}(:\d{1,2}){1,2}(\.\d+)?)?|\d{1,2}(:\d{1,2}){1,2}(\.\d+)?)\s*([zZ]|[+-]\d{1,2}(:?\d{2})?)?\s*$",
        )
    });
    FORM.as_ref().is_some_and(|form| form.is_match(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_refused_in_postgres_words() {
        let told = |message: &str| refused(message).map(|failure| format!("{} {}", failure.code, failure.message));
        for (message, expected) in [
            (
                "Cannot cast string '2024-13-01' to value of Date32 type",
                "22008 date/time field value out of range: \"2024-13-01\"",
            ),
            ("Cannot cast string 'x' to value of Date32 type", "22007 invalid input syntax for type date: \"x\""),
            (
                "Cannot cast string '25:00' to value of Time64(ns) type",
                "22008 date/time field value out of range: \"25:00\"",
            ),
            (
                "Error parsing timestamp from '2024-01-01 25:00': error parsing time",
                "22008 date/time field value out of range: \"2024-01-01 25:00\"",
            ),
            ("Error parsing timestamp from 'noon': x", "22007 invalid input syntax for type timestamp: \"noon\""),
            (
                "Cannot cast string '99999999999' to value of Int32 type",
                "22003 value \"99999999999\" is out of range for type integer",
            ),
            ("Cannot cast string '9x' to value of Int32 type", "22P02 invalid input syntax for type integer: \"9x\""),
            (
                "Cannot cast string '1e60' to value of Decimal128(38, 10) type",
                "22003 value \"1e60\" is out of range for type numeric",
            ),
            (
                "Cannot cast string 'it's' to value of Boolean type",
                "22P02 invalid input syntax for type boolean: \"it's\"",
            ),
            ("Can't cast value 40000 to type Int16", "22003 smallint out of range"),
            ("Cannot cast to Decimal128(10, 2). Value overflows for output scale", "22003 numeric field overflow"),
            ("1234 is too large to store in a Decimal128 of precision 3. Max is 999", "22003 numeric field overflow"),
        ] {
            assert_eq!(told(message).as_deref(), Some(expected), "{message}");
        }
        assert_eq!(told("something else"), None);
    }
}
