//! The letters and bytes of single values: dates, times, numerics, array elements, floats.
//!
//! Pure functions; what they are told is what they write.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Timelike as _};
use datafusion::arrow::array::timezone::Tz;

/// Days from 1970-01-01 to Postgres' own epoch, 2000-01-01.
pub(crate) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(crate) const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// Appends what a value displays as.
pub(crate) fn put(out: &mut BytesMut, value: impl std::fmt::Display) {
    // Writing to a growing buffer cannot fail.
    let _ = write!(out, "{value}");
}

/// A float from its shortest digits and exponent (`1.5e-7`): as Postgres writes it, with an exponent from `digits` places
/// before the point on, and for what is less than a ten-thousandth.
pub(crate) fn float(out: &mut BytesMut, shortest: &str, digits: i32) {
    let text = match shortest {
        "inf" => "Infinity",
        "-inf" => "-Infinity",
        other => other,
    };
    let exponent =
        text.split_once('e').and_then(|(mantissa, exponent)| Some((mantissa, exponent.parse::<i32>().ok()?)));
    let Some((mantissa, exponent)) = exponent else { return out.put_slice(text.as_bytes()) };
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        return put(out, format_args!("{mantissa}e{sign}{:02}", exponent.unsigned_abs()));
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let figures: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let places = usize::try_from(exponent.unsigned_abs()).unwrap_or(0);
    if exponent < 0 {
        return put(out, format_args!("{sign}0.{}{figures}", "0".repeat(places.saturating_sub(1))));
    }
    match figures.split_at_checked(places + 1) {
        Some((whole, "")) => put(out, format_args!("{sign}{whole}")),
        Some((whole, part)) => put(out, format_args!("{sign}{whole}.{part}")),
        None => put(out, format_args!("{sign}{figures:0<width$}", width = places + 1)),
    }
}

/// A date from its days since 1970-01-01.
pub(crate) fn date(out: &mut BytesMut, days: i32) {
    match NaiveDate::from_epoch_days(days) {
        Some(date) => put(out, date.format("%Y-%m-%d")),
        None => out.put_slice(if days < 0 { b"-infinity" } else { b"infinity" }),
    }
}

/// A timestamp without zone from its microseconds since 1970-01-01.
pub(crate) fn timestamp(out: &mut BytesMut, microseconds: i64) {
    match DateTime::from_timestamp_micros(microseconds) {
        Some(at) => naive(out, at.naive_utc()),
        None => out.put_slice(if microseconds < 0 { b"-infinity" } else { b"infinity" }),
    }
}

/// A moment as the zone's local time with its offset.
pub(crate) fn timestamptz(out: &mut BytesMut, microseconds: i64, zone: Tz) {
    let Some(at) = DateTime::from_timestamp_micros(microseconds) else {
        return timestamp(out, microseconds);
    };
    let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    naive(out, at.naive_utc().checked_add_signed(TimeDelta::seconds(offset.into())).unwrap_or(at.naive_utc()));
    let (sign, ahead) = if offset < 0 { ('-', offset.saturating_neg()) } else { ('+', offset) };
    put(out, format_args!("{sign}{:02}", ahead / 3600));
    if ahead % 3600 != 0 {
        put(out, format_args!(":{:02}", ahead / 60 % 60));
    }
}

/// A time of day from its microseconds.
pub(crate) fn time(out: &mut BytesMut, microseconds: i64) {
    if let Some(at) = DateTime::from_timestamp_micros(microseconds) {
        put(out, at.format("%H:%M:%S"));
        fraction(out, at.naive_utc());
    }
}

fn naive(out: &mut BytesMut, at: NaiveDateTime) {
    put(out, at.format("%Y-%m-%d %H:%M:%S"));
    fraction(out, at);
}

/// The fraction of a second, without trailing zeros.
fn fraction(out: &mut BytesMut, at: NaiveDateTime) {
    let microseconds = at.nanosecond() / 1000 % 1_000_000;
    if microseconds > 0 {
        let digits = format!("{microseconds:06}");
        put(out, format_args!(".{}", digits.trim_end_matches('0')));
    }
}

/// An array element, quoted where its letters would be read as the array's own.
pub(crate) fn array_element(out: &mut BytesMut, text: &[u8]) {
    let special = |byte: &u8| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\') || byte.is_ascii_whitespace();
    if !text.is_empty() && !text.iter().any(special) && !text.eq_ignore_ascii_case(b"null") {
        out.put_slice(text);
        return;
    }
    out.put_u8(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

/// The binary form of a numeric from its decimal text: groups of four digits with the weight of the first.
///
/// `1234567.5` is the groups 123, 4567, 5000 with weight 1 and one digit after the point.
pub(crate) fn numeric_binary(out: &mut BytesMut, text: &str) {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = format!("{}{whole}{part}{}", "0".repeat(padding(whole.len())), "0".repeat(padding(part.len())));
    let groups: Vec<i16> = padded
        .as_bytes()
        .chunks(4)
        .map(|four| four.iter().fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0')))
        .collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let trailing = groups.iter().rev().take_while(|group| **group == 0).count();
    let kept = groups.get(leading..groups.len().saturating_sub(trailing)).unwrap_or_default();
    let narrow = |number: usize| i16::try_from(number).unwrap_or(i16::MAX);
    let weight = if kept.is_empty() { 0 } else { narrow(whole.len().div_ceil(4)) - 1 - narrow(leading) };
    out.put_i16(narrow(kept.len()));
    out.put_i16(weight);
    out.put_u16(if negative && !kept.is_empty() { 0x4000 } else { 0 });
    out.put_i16(narrow(part.len()));
    for group in kept {
        out.put_i16(*group);
    }
}

/// How many digits are missing to a multiple of four.
fn padding(digits: usize) -> usize {
    (4 - digits % 4) % 4
}

/// The decimal text of a numeric's binary form; none for what is no number.
pub(crate) fn numeric_text(bytes: &[u8]) -> Option<String> {
    let words: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|word| u16::from_be_bytes(*word)).collect();
    let [count, weight, sign, scale, groups @ ..] = words.as_slice() else { return None };
    if usize::from(*count) != groups.len() || !matches!(sign, 0 | 0x4000) {
        return None;
    }
    let weight = i32::from(weight.cast_signed());
    let group = |at: i32| usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
    let mut text = if *sign == 0 { String::new() } else { "-".to_owned() };
    let digits = |places: std::ops::Range<i32>| {
        places.fold(String::new(), |mut digits, at| {
            // Writing to a String cannot fail.
            let _ = write!(digits, "{:04}", group(at));
            digits
        })
    };
    let whole = digits(0..weight + 1);
    let whole = whole.trim_start_matches('0');
    text.push_str(if whole.is_empty() { "0" } else { whole });
    let scale = usize::from(*scale);
    if scale > 0 {
        let last = weight + 1 + i32::try_from(scale.div_ceil(4)).ok()?;
        let part = digits(weight + 1..last);
        text.push('.');
        text.push_str(part.get(..scale)?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl Fn(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn moments_show_the_zone() {
        let chicago: Tz = "America/Chicago".parse().unwrap();
        let kolkata: Tz = "Asia/Kolkata".parse().unwrap();
        let at = 1_704_067_200_120_000;
        assert_eq!(text(|out| timestamptz(out, at, chicago)), "2023-12-31 18:00:00.12-06");
        assert_eq!(text(|out| timestamptz(out, at, kolkata)), "2024-01-01 05:30:00.12+05:30");
        assert_eq!(text(|out| timestamp(out, -1)), "1969-12-31 23:59:59.999999");
        assert_eq!(text(|out| date(out, EPOCH_DAYS)), "2000-01-01");
        assert_eq!(text(|out| time(out, 3_600_000_001)), "01:00:00.000001");
    }

    #[test]
    fn elements_are_quoted_when_they_must() {
        assert_eq!(text(|out| array_element(out, b"plain")), "plain");
        assert_eq!(text(|out| array_element(out, b"")), "\"\"");
        assert_eq!(text(|out| array_element(out, b"a \"b\"")), "\"a \\\"b\\\"\"");
        assert_eq!(text(|out| array_element(out, b"NULL")), "\"NULL\"");
    }

    #[test]
    fn numeric_groups() {
        let mut out = BytesMut::new();
        numeric_binary(&mut out, "1234567.5");
        assert_eq!(out.to_vec(), [3_i16, 1, 0, 1, 123, 4567, 5000].map(i16::to_be_bytes).concat());
        out.clear();
        numeric_binary(&mut out, "-0.00");
        assert_eq!(out.to_vec(), [0_i16, 0, 0, 2].map(i16::to_be_bytes).concat());
        out.clear();
        numeric_binary(&mut out, "0.00012");
        assert_eq!(out.to_vec(), [2_i16, -1, 0, 5, 1, 2000].map(i16::to_be_bytes).concat());
    }

    proptest! {
        #[test]
        fn numeric_survives_the_wire(whole in "0|[1-9][0-9]{0,37}", part in "[0-9]{1,20}", negative: bool) {
            let zero = whole == "0" && part.bytes().all(|digit| digit == b'0');
            let written = format!("{}{whole}.{part}", if negative && !zero { "-" } else { "" });
            let mut out = BytesMut::new();
            numeric_binary(&mut out, &written);
            prop_assert_eq!(numeric_text(&out), Some(written));
        }
    }
}
