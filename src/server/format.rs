//! The letters and bytes of single values: dates, times, numerics, array elements, floats.
//!
//! Pure functions; what they are told is what they write.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Timelike as _};
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
        Some(date) => {
            day(out, date);
            era(out, date);
        }
        None => out.put_slice(if days < 0 { b"-infinity" } else { b"infinity" }),
    }
}

/// A timestamp without zone from its microseconds since 1970-01-01.
pub(crate) fn timestamp(out: &mut BytesMut, microseconds: i64) {
    match DateTime::from_timestamp_micros(microseconds) {
        Some(at) => {
            naive(out, at.naive_utc());
            era(out, at.date_naive());
        }
        None => out.put_slice(if microseconds < 0 { b"-infinity" } else { b"infinity" }),
    }
}

/// A moment as the zone's local time with its offset.
pub(crate) fn timestamptz(out: &mut BytesMut, microseconds: i64, zone: Tz) {
    let Some(at) = DateTime::from_timestamp_micros(microseconds) else {
        return timestamp(out, microseconds);
    };
    let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    let local = at.naive_utc().checked_add_signed(TimeDelta::seconds(offset.into())).unwrap_or(at.naive_utc());
    naive(out, local);
    let ahead = offset.unsigned_abs();
    out.put_u8(if offset < 0 { b'-' } else { b'+' });
    number::<2>(out, ahead / 3600);
    if !ahead.is_multiple_of(3600) {
        out.put_u8(b':');
        number::<2>(out, ahead / 60 % 60);
    }
    // Local mean time, before there were zones.
    if !ahead.is_multiple_of(60) {
        out.put_u8(b':');
        number::<2>(out, ahead % 60);
    }
    era(out, local.date());
}

/// A time of day from its microseconds.
pub(crate) fn time(out: &mut BytesMut, microseconds: i64) {
    if let Some(at) = DateTime::from_timestamp_micros(microseconds) {
        clock(out, at.naive_utc());
    }
}

fn naive(out: &mut BytesMut, at: NaiveDateTime) {
    day(out, at.date());
    out.put_u8(b' ');
    clock(out, at);
}

/// Year, month and day; the year of its era.
fn day(out: &mut BytesMut, date: NaiveDate) {
    let (_, year) = date.year_ce();
    if year < 10_000 {
        number::<4>(out, year);
    } else {
        put(out, year);
    }
    out.put_u8(b'-');
    number::<2>(out, date.month());
    out.put_u8(b'-');
    number::<2>(out, date.day());
}

/// What follows a day or a moment before the year 1.
fn era(out: &mut BytesMut, date: NaiveDate) {
    if !date.year_ce().0 {
        out.put_slice(b" BC");
    }
}

/// Hours, minutes, seconds and their fraction without trailing zeros.
fn clock(out: &mut BytesMut, at: NaiveDateTime) {
    number::<2>(out, at.hour());
    out.put_u8(b':');
    number::<2>(out, at.minute());
    out.put_u8(b':');
    number::<2>(out, at.second());
    let microseconds = at.nanosecond() / 1000 % 1_000_000;
    if microseconds > 0 {
        out.put_u8(b'.');
        number::<6>(out, microseconds);
        while out.last() == Some(&b'0') {
            out.truncate(out.len() - 1);
        }
    }
}

/// The last digits of a number, with zeros in front.
fn number<const WIDTH: usize>(out: &mut BytesMut, mut value: u32) {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
    out.put_slice(&digits);
}

/// A whole number.
pub(crate) fn integer(out: &mut BytesMut, value: impl itoa::Integer) {
    out.put_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A decimal: so many of its last digits stand behind the point, or so many zeros behind its last where that is negative.
pub(crate) fn numeric(out: &mut BytesMut, value: i128, scale: i8) {
    let mut buffer = itoa::Buffer::new();
    let digits = match u64::try_from(value.unsigned_abs()) {
        Ok(small) => buffer.format(small),
        Err(_) => buffer.format(value.unsigned_abs()),
    };
    if value < 0 {
        out.put_u8(b'-');
    }
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.put_slice(digits.as_bytes());
        if value != 0 {
            out.put_bytes(b'0', places);
        }
        return;
    }
    let whole = digits.len().saturating_sub(places);
    if let Some((whole, part)) = digits.split_at_checked(whole).filter(|(whole, _)| !whole.is_empty()) {
        out.put_slice(whole.as_bytes());
        out.put_u8(b'.');
        out.put_slice(part.as_bytes());
    } else {
        out.put_slice(b"0.");
        out.put_bytes(b'0', places - digits.len());
        out.put_slice(digits.as_bytes());
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

/// The binary form of a numeric: groups of four digits with the weight of the first.
///
/// `1234567.5` is the groups 123, 4567, 5000 with weight 1 and one digit after the point.
pub(crate) fn numeric_binary(out: &mut BytesMut, value: i128, scale: i8) {
    let places = usize::try_from(scale).unwrap_or(0);
    // So many powers of ten that the digits behind the point, and a negative scale's zeros, fill their groups.
    let missing = if scale < 0 { scale.unsigned_abs().into() } else { u32::try_from(padding(places)).unwrap_or(0) };
    let aligned = 10_u128.checked_pow(missing).and_then(|power| value.unsigned_abs().checked_mul(power));
    let Some(mut rest) = aligned else {
        let mut text = BytesMut::new();
        numeric(&mut text, value, scale);
        return numeric_text_binary(out, &String::from_utf8_lossy(&text));
    };
    let mut groups = [0_i16; GROUPS_MAX];
    let mut count = 0;
    for group in groups.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        // A division of so many bits is slow, and seldom needed.
        let (above, last) = match u64::try_from(rest) {
            Ok(small) => (u128::from(small / 10_000), small % 10_000),
            Err(_) => (rest / 10_000, u64::try_from(rest % 10_000).unwrap_or(0)),
        };
        *group = i16::try_from(last).unwrap_or(0);
        rest = above;
        count += 1;
    }
    let groups = groups.get(GROUPS_MAX - count..).unwrap_or_default();
    let trailing = groups.iter().rev().take_while(|group| **group == 0).count();
    let kept = groups.get(..count - trailing).unwrap_or_default();
    let narrow = |number: usize| i16::try_from(number).unwrap_or(i16::MAX);
    let weight = if kept.is_empty() { 0 } else { narrow(count) - narrow(places.div_ceil(4)) - 1 };
    numeric_groups(out, weight, value < 0, places, kept);
}

/// A `u128` has at most 39 digits.
const GROUPS_MAX: usize = 10;

fn numeric_groups(out: &mut BytesMut, weight: i16, is_negative: bool, places: usize, groups: &[i16]) {
    let narrow = |number: usize| i16::try_from(number).unwrap_or(i16::MAX);
    out.put_i16(narrow(groups.len()));
    out.put_i16(weight);
    out.put_u16(if is_negative && !groups.is_empty() { 0x4000 } else { 0 });
    out.put_i16(narrow(places));
    for group in groups {
        out.put_i16(*group);
    }
}

/// The binary form of a numeric from its decimal text.
pub(crate) fn numeric_text_binary(out: &mut BytesMut, text: &str) {
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
    numeric_groups(out, weight, negative, part.len(), kept);
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
    use datafusion::arrow::array::types::{Decimal128Type, DecimalType as _};
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
        assert_eq!(text(|out| date(out, 3_000_000)), "10183-09-21");
        assert_eq!(text(|out| date(out, -735_000)), "0044-08-22 BC");
        assert_eq!(text(|out| timestamptz(out, -735_000 * 86_400_000_000, kolkata)), "0044-08-22 05:53:28+05:53:28 BC");
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
        numeric_binary(&mut out, 12_345_675, 1);
        assert_eq!(out.to_vec(), [3_i16, 1, 0, 1, 123, 4567, 5000].map(i16::to_be_bytes).concat());
        out.clear();
        numeric_binary(&mut out, 0, 2);
        assert_eq!(out.to_vec(), [0_i16, 0, 0, 2].map(i16::to_be_bytes).concat());
        out.clear();
        numeric_binary(&mut out, 12, 5);
        assert_eq!(out.to_vec(), [2_i16, -1, 0, 5, 1, 2000].map(i16::to_be_bytes).concat());
    }

    #[test]
    fn a_negative_scale_is_zeros() {
        assert_eq!(
            ["-500", "0"],
            [-5, 0].map(|value| text(|out| numeric(out, value, -2))).each_ref().map(String::as_str)
        );
        let mut out = BytesMut::new();
        numeric_binary(&mut out, -50, -3);
        assert_eq!(numeric_text(&out).unwrap(), "-50000");
    }

    proptest! {
        #[test]
        fn numeric_survives_the_wire(whole in "0|[1-9][0-9]{0,37}", part in "[0-9]{1,20}", negative: bool) {
            let zero = whole == "0" && part.bytes().all(|digit| digit == b'0');
            let written = format!("{}{whole}.{part}", if negative && !zero { "-" } else { "" });
            let mut out = BytesMut::new();
            numeric_text_binary(&mut out, &written);
            prop_assert_eq!(numeric_text(&out), Some(written));
        }

        #[test]
        fn a_decimal_is_written_as_arrow_writes_it(
            value in prop_oneof![any::<i64>().prop_map(i128::from), -(10_i128.pow(38) - 1)..10_i128.pow(38), -100..100_i128],
            scale in 0..=38_i8,
        ) {
            let arrow = Decimal128Type::format_decimal(value, 38, scale);
            prop_assert_eq!(&text(|out| numeric(out, value, scale)), &arrow);
            let (mut ours, mut slow) = (BytesMut::new(), BytesMut::new());
            numeric_binary(&mut ours, value, scale);
            numeric_text_binary(&mut slow, &arrow);
            prop_assert_eq!(ours, slow);
        }
    }
}
