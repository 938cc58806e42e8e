//! Functions of texts, numbers and lists.

use datafusion::arrow::array::Array as _;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use md5::Digest as _;
use regex::{Regex, RegexBuilder};

use super::{Answer, Call, Entry, NUMERIC_SCALE, decimal, refuse, string, strings};
use crate::server::catalog::quoted;
use crate::server::encode::column_type;

/// The most frequent element of a sorted list.
pub(crate) const MODE: &str = "tieout_mode";
/// The element of a sorted list at a fraction.
pub(crate) const PERCENTILE: &str = "tieout_percentile_disc";
/// A pattern of `similar to` as a regular expression.
pub(crate) const SIMILAR: &str = "tieout_similar_pattern";
/// A float to the nearest whole one, halves to the even.
pub(crate) const ROUND: &str = "tieout_round_even";
/// `substring(text from pattern)`.
pub(crate) const SUBSTRING: &str = "tieout_substring_pattern";
/// All matches of a regular expression.
pub(crate) const MATCHES: &str = "tieout_regexp_matches";
/// The bytes that a text of them stands for.
pub(crate) const BYTES: &str = "tieout_bytes";
/// A text as a `uuid`: refused if it is none.
pub(crate) const UUID: &str = "tieout_uuid";

const DECIMAL: DataType = DataType::Decimal128(38, NUMERIC_SCALE);

pub(super) const ALL: &[Entry] = &[
    ("md5", Answer::Text, |call| {
        Ok(bytes(call).map_or(ScalarValue::Null, |data| string(hex::encode(md5::Md5::digest(data)))))
    }),
    ("sha256", Answer::Bytes, |call| {
        Ok(ScalarValue::Binary(bytes(call).map(|data| <sha2::Sha256 as sha2::Digest>::digest(data).to_vec())))
    }),
    ("sha512", Answer::Bytes, |call| {
        Ok(ScalarValue::Binary(bytes(call).map(|data| <sha2::Sha512 as sha2::Digest>::digest(data).to_vec())))
    }),
    (BYTES, Answer::Bytes, to_bytes),
    (UUID, Answer::Uuid, |call| {
        let Some(text) = call.text(0) else { return Ok(ScalarValue::Null) };
        match uuid::Uuid::try_parse(text.trim()) {
            Ok(uuid) => Ok(string(uuid.to_string())),
            Err(_) => refuse("22P02", format!("invalid input syntax for type uuid: \"{text}\"")),
        }
    }),
    ("format", Answer::Text, |call| {
        let Some(template) = call.text(0) else { return Ok(ScalarValue::Null) };
        formatted(&template, call).map(string)
    }),
    ("quote_nullable", Answer::Text, |call| {
        Ok(string(call.text(0).map_or_else(|| "NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))))
    }),
    ("regexp_substr", Answer::Text, |call| found(call, false)),
    (SUBSTRING, Answer::Text, |call| found(call, true)),
    ("regexp_split_to_array", Answer::Texts, split),
    (MATCHES, Answer::TextLists, matches),
    (SIMILAR, Answer::Text, |call| {
        let escape = call.text(1).unwrap_or_else(|| "\\".to_owned());
        Ok(ScalarValue::Utf8(call.text(0).map(|pattern| similar(&pattern, escape.chars().next()))))
    }),
    ("to_number", Answer::Numeric, to_number),
    ("width_bucket", Answer::Integer, width_bucket),
    ("scale", Answer::Integer, |call| Ok(ScalarValue::Int64(number(call)?.map(|(_, scale)| scale.into())))),
    ("min_scale", Answer::Integer, |call| {
        Ok(ScalarValue::Int64(number(call)?.map(|(value, scale)| trimmed(value, scale).1.into())))
    }),
    ("trim_scale", Answer::Text, |call| {
        let text = |(value, scale)| {
            let (value, scale) = trimmed(value, scale);
            decimal(value, scale).to_string()
        };
        Ok(ScalarValue::Utf8(number(call)?.map(text)))
    }),
    ("num_nulls", Answer::Integer, |call| Ok(count(call, true))),
    ("num_nonnulls", Answer::Integer, |call| Ok(count(call, false))),
    ("pg_typeof", Answer::Text, |call| {
        Ok(call.fields.first().map_or(ScalarValue::Null, |field| string(type_of(&column_type(field)))))
    }),
    (ROUND, Answer::First, |call| {
        Ok(match call.value(0) {
            Some(ScalarValue::Float64(Some(value))) => ScalarValue::Float64(Some(value.round_ties_even())),
            Some(ScalarValue::Float32(Some(value))) => ScalarValue::Float32(Some(value.round_ties_even())),
            other => other.cloned().unwrap_or(ScalarValue::Null),
        })
    }),
    (MODE, Answer::Element, mode),
    (PERCENTILE, Answer::Element, percentile),
];

fn bytes(call: &Call<'_>) -> Option<Vec<u8>> {
    match call.value(0)?.cast_to(&DataType::Binary) {
        Ok(ScalarValue::Binary(bytes)) => bytes,
        _ => None,
    }
}

/// `\x6162` is two bytes; else a text's own bytes, with `\\` and `\ooo` as Postgres escapes them.
fn to_bytes(call: &Call<'_>) -> Result<ScalarValue> {
    if !matches!(call.value(0), Some(ScalarValue::Utf8(_))) {
        return Ok(ScalarValue::Binary(bytes(call)));
    }
    let Some(text) = call.text(0) else { return Ok(ScalarValue::Null) };
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: String = digits.chars().filter(|letter| !letter.is_whitespace()).collect();
        return match hex::decode(&digits) {
            Ok(bytes) => Ok(ScalarValue::Binary(Some(bytes))),
            Err(reason) => refuse("22023", format!("invalid hexadecimal data: {reason}")),
        };
    }
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        if let Some(after) = rest.strip_prefix(b"\\") {
            out.push(b'\\');
            rest = after;
            continue;
        }
        let octal = rest.split_at_checked(3).and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 8).ok()?, after))
        });
        let Some((byte, after)) = octal else { return refuse("22P02", "invalid input syntax for type bytea") };
        out.push(byte);
        rest = after;
    }
    Ok(ScalarValue::Binary(Some(out)))
}

/// `%s` a value, `%I` a name, `%L` a literal: each by its place or the one before `$`, as wide as it says.
fn formatted(template: &str, call: &Call<'_>) -> Result<String> {
    let (mut out, mut place) = (String::new(), 0);
    let mut rest = template;
    while let Some(start) = rest.find('%') {
        let (before, after) = rest.split_at(start);
        out.push_str(before);
        rest = after.get(1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let end = rest.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (directions, after) = rest.split_at(end);
        let (position, width) = directions.split_once('$').unwrap_or(("", directions));
        place = if position.is_empty() { place + 1 } else { position.parse().unwrap_or(0) };
        let (is_left, width) = width.strip_prefix('-').map_or((false, width), |width| (true, width));
        let width: usize = if width.is_empty() { 0 } else { width.parse().unwrap_or(usize::MAX) };
        if place == 0 || width > 10_000 {
            return refuse("22023", format!("format: \"%{directions}\" is not understood"));
        }
        if place >= call.arguments.len() {
            return refuse("22023", "too few arguments for format()");
        }
        let value = call.shown(place)?;
        let told = match after.chars().next() {
            Some('s') => value.unwrap_or_default(),
            Some('I') => match value {
                Some(name) => quoted(&name),
                None => return refuse("22004", "null values cannot be formatted as an SQL identifier"),
            },
            Some('L') => value.map_or_else(|| "NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''"))),
            _ => return refuse("22023", "unrecognized format() type specifier"),
        };
        let padded = if is_left { format!("{told:<width$}") } else { format!("{told:>width$}") };
        out.push_str(&padded);
        rest = after.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

/// A regular expression with Postgres' flags.
fn expression(pattern: &str, flags: &str) -> Result<Regex> {
    let has = |flag| flags.contains(flag);
    let built = RegexBuilder::new(pattern)
        .case_insensitive(has('i'))
        .ignore_whitespace(has('x'))
        .multi_line(has('n') || has('m'))
        // Unlike elsewhere, a point is any character.
        .dot_matches_new_line(!has('n') && !has('m') && !has('p'))
        .build();
    match built {
        Ok(expression) => Ok(expression),
        Err(reason) => refuse("2201B", format!("invalid regular expression: {reason}")),
    }
}

/// The first match, or its first part in parentheses.
fn found(call: &Call<'_>, part: bool) -> Result<ScalarValue> {
    let (Some(text), Some(pattern)) = (call.text(0), call.text(1)) else { return Ok(ScalarValue::Null) };
    let expression = expression(&pattern, "")?;
    let found = expression.captures(&text);
    let found = found.and_then(|found| if part { found.get(1).or_else(|| found.get(0)) } else { found.get(0) });
    Ok(ScalarValue::Utf8(found.map(|found| found.as_str().to_owned())))
}

fn split(call: &Call<'_>) -> Result<ScalarValue> {
    let (Some(text), Some(pattern)) = (call.text(0), call.text(1)) else { return Ok(ScalarValue::Null) };
    let expression = expression(&pattern, &call.text(2).unwrap_or_default())?;
    Ok(strings(expression.split(&text).map(|part| Some(part.to_owned()))))
}

/// The first match's parts as one list; with `g` the whole of every match.
fn matches(call: &Call<'_>) -> Result<ScalarValue> {
    let (Some(text), Some(pattern)) = (call.text(0), call.text(1)) else { return Ok(ScalarValue::Null) };
    let flags = call.text(2).unwrap_or_default();
    let expression = expression(&pattern, &flags)?;
    let one = |found: regex::Captures<'_>| {
        let parts: Vec<Option<String>> = found.iter().skip(1).map(|part| Some(part?.as_str().to_owned())).collect();
        let whole = found.get(0).map(|whole| whole.as_str().to_owned());
        strings(if parts.is_empty() { vec![whole] } else { parts })
    };
    let most = if flags.contains('g') { usize::MAX } else { 1 };
    let rows: Vec<ScalarValue> = expression.captures_iter(&text).take(most).map(one).collect();
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&rows, &DataType::new_list(DataType::Utf8, true))))
}

/// A pattern of `similar to` as a regular expression over the whole text.
fn similar(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::from("^(?:");
    let mut letters = pattern.chars();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == escape => {
                out.push_str(&regex::escape(&letters.next().unwrap_or(letter).to_string()));
            }
            '[' => {
                in_class = true;
                out.push('[');
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            letter if in_class => out.push(letter),
            '%' => out.push_str("(?s:.*)"),
            '_' => out.push_str("(?s:.)"),
            '.' | '^' | '$' | '\\' => out.push_str(&regex::escape(&letter.to_string())),
            letter => out.push(letter),
        }
    }
    out.push_str(")$");
    out
}

/// A text by a template of digits: what is no digit, sign or point is passed over.
fn to_number(call: &Call<'_>) -> Result<ScalarValue> {
    let (Some(text), Some(template)) = (call.text(0), call.text(1)) else { return Ok(ScalarValue::Null) };
    let is_negative = text.contains('-') || (template.contains("PR") && text.contains('<'));
    let digits: String = text.chars().filter(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    let sign = if is_negative { "-" } else { "" };
    match string(format!("{sign}{digits}")).cast_to(&DECIMAL) {
        Ok(value) if !digits.is_empty() => Ok(value),
        _ => refuse("22P02", format!("invalid input syntax for type numeric: \"{text}\"")),
    }
}

fn width_bucket(call: &Call<'_>) -> Result<ScalarValue> {
    if call.has_null() {
        return Ok(ScalarValue::Null);
    }
    let part = |place: usize| -> Result<i128> {
        let value = call.arguments.get(place).map(|value| value.cast_to(&DECIMAL)).transpose()?;
        match value {
            Some(ScalarValue::Decimal128(Some(value), ..)) => Ok(value),
            _ => refuse("42883", "width_bucket takes a value, two bounds and a count"),
        }
    };
    let (value, low, high) = (part(0)?, part(1)?, part(2)?);
    let count = i128::from(call.integer(3).unwrap_or(0));
    if count <= 0 || low == high {
        return refuse("2201G", "width_bucket: the count must be positive and the bounds apart");
    }
    let (value, low, high) = if low < high { (value, low, high) } else { (-value, -low, -high) };
    let bucket = if value < low {
        Some(0)
    } else if value >= high {
        Some(count + 1)
    } else {
        (value - low).checked_mul(count).map(|scaled| scaled / (high - low) + 1)
    };
    match bucket.and_then(|bucket| i64::try_from(bucket).ok()) {
        Some(bucket) => Ok(ScalarValue::Int64(Some(bucket))),
        None => refuse("22003", "width_bucket: the value is out of range"),
    }
}

/// The first argument's digits and how many follow the point.
fn number(call: &Call<'_>) -> Result<Option<(i128, i8)>> {
    Ok(match call.value(0) {
        None => None,
        Some(ScalarValue::Decimal128(Some(value), _, scale)) => Some((*value, *scale)),
        Some(other) => match other.cast_to(&DECIMAL)? {
            ScalarValue::Decimal128(Some(value), _, scale) => Some(trimmed(value, scale)),
            _ => None,
        },
    })
}

/// Without the noughts at its end.
fn trimmed(mut value: i128, mut scale: i8) -> (i128, i8) {
    while scale > 0 && value % 10 == 0 {
        value /= 10;
        scale -= 1;
    }
    (value, scale)
}

fn count(call: &Call<'_>, nulls: bool) -> ScalarValue {
    let found = call.arguments.iter().filter(|value| value.is_null() == nulls).count();
    ScalarValue::Int64(i64::try_from(found).ok())
}

/// A type's name as `format_type` has it.
fn type_of(of: &pgwire::api::Type) -> String {
    let name = of.name();
    if let Some(element) = name.strip_prefix('_') {
        return format!("{}[]", long_name(element));
    }
    long_name(name).to_owned()
}

fn long_name(name: &str) -> &str {
    match name {
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "bool" => "boolean",
        "float4" => "real",
        "float8" => "double precision",
        "time" => "time without time zone",
        "timestamp" => "timestamp without time zone",
        "timestamptz" => "timestamp with time zone",
        other => other,
    }
}

/// The elements of the last argument that are not null.
fn elements(call: &Call<'_>) -> Result<Vec<ScalarValue>> {
    let Some(ScalarValue::List(list)) = call.arguments.last() else { return Ok(Vec::new()) };
    let Some(all) = list.iter().next().flatten() else { return Ok(Vec::new()) };
    (0..all.len()).filter(|place| all.is_valid(*place)).map(|place| ScalarValue::try_from_array(&all, place)).collect()
}

/// The most frequent one; of several the first.
fn mode(call: &Call<'_>) -> Result<ScalarValue> {
    let all = elements(call)?;
    let mut best: Option<(usize, &ScalarValue)> = None;
    for run in all.chunk_by(|left, right| left == right) {
        if let Some(value) = run.first()
            && best.is_none_or(|(count, _)| run.len() > count)
        {
            best = Some((run.len(), value));
        }
    }
    Ok(best.map_or(ScalarValue::Null, |(_, value)| value.clone()))
}

/// The first one at or beyond a fraction of all.
fn percentile(call: &Call<'_>) -> Result<ScalarValue> {
    const ONE: i128 = 1_000_000_000;
    let fraction = call.value(0).map(|value| value.cast_to(&DataType::Decimal128(38, 9))).transpose()?;
    let Some(ScalarValue::Decimal128(Some(fraction), ..)) = fraction else { return Ok(ScalarValue::Null) };
    if !(0..=ONE).contains(&fraction) {
        return refuse("22003", "percentile value is not between 0 and 1");
    }
    let all = elements(call)?;
    let count = i128::try_from(all.len()).unwrap_or(0);
    let place = (fraction * count + ONE - 1) / ONE;
    let found = usize::try_from((place - 1).max(0)).ok().and_then(|place| all.get(place));
    Ok(found.cloned().unwrap_or(ScalarValue::Null))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_is_over_the_whole_text() {
        let is = |text: &str, pattern: &str| Regex::new(&similar(pattern, Some('\\'))).unwrap().is_match(text);
        assert!(is("abc", "(a|b)%") && is("abc", "_b_") && is("a.c", "a.c") && is("a%", "a\\%"));
        assert!(!is("abc", "b") && !is("abc", "a.c") && !is("xabc", "a%") && !is("ab", "a\\%"));
        assert!(is("PO-12", "PO-[0-9]+") && !is("PO-1x", "PO-[0-9]+"));
    }
}
