//! Functions of moments and intervals.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::error::Result;

use super::instant::{self, age, by_template, local, utc};
use super::span::Span;
use super::{Answer, Call, Entry, refuse};

const INVALID: &str = "22007";
const OUT_OF_RANGE: &str = "22008";

/// An interval times a number.
pub(super) const TIMES: &str = "tieout_interval_times";
/// An interval by a number.
pub(super) const DIVIDED: &str = "tieout_interval_divided";
/// How long an interval is, in microseconds: what it is compared by.
pub(super) const LENGTH: &str = "tieout_interval_length";
/// Days and the time between two moments as an interval.
pub(crate) const INTERVAL: &str = "tieout_interval";

pub(super) const ALL: &[Entry] = &[
    (TIMES, Answer::Interval, |call| scaled(call, false)),
    (DIVIDED, Answer::Interval, |call| scaled(call, true)),
    (LENGTH, Answer::Integer, |call| Ok(ScalarValue::Int64(span(call, 0)?.map(Span::length)))),
    (INTERVAL, Answer::Interval, |call| Ok(interval(span(call, 0)?))),
    ("justify_days", Answer::Interval, |call| Ok(interval(span(call, 0)?.map(Span::justify_days)))),
    ("justify_hours", Answer::Interval, |call| Ok(interval(span(call, 0)?.map(Span::justify_hours)))),
    ("justify_interval", Answer::Interval, |call| Ok(interval(span(call, 0)?.map(Span::justify)))),
    ("age", Answer::Interval, ages),
    ("isfinite", Answer::Boolean, |call| Ok(ScalarValue::Boolean(call.value(0).map(|_| true)))),
    ("timezone", Answer::OtherClock, other_clock),
    ("to_date", Answer::Date, |call| {
        let Some(at) = templated(call)? else { return Ok(ScalarValue::Null) };
        moment(at, None).cast_to(&DataType::Date32)
    }),
    ("to_timestamp", Answer::Moment, to_timestamp),
    ("make_timestamp", Answer::Local, |call| Ok(made(call)?.map_or(ScalarValue::Null, |at| moment(at, None)))),
    ("make_timestamptz", Answer::Moment, |call| {
        let zone = call.text(6).map_or(Some(call.zone), |name| instant::zone(&name));
        let Some(zone) = zone else { return refuse("22023", "make_timestamptz: time zone not recognized") };
        let at = made(call)?.and_then(|at| utc(at, zone));
        Ok(at.map_or(ScalarValue::Null, |at| moment(at, Some("UTC"))))
    }),
];

/// The interval in an argument, which may be a text.
fn span(call: &Call<'_>, place: usize) -> Result<Option<Span>> {
    let Some(value) = call.value(place) else { return Ok(None) };
    let found = match value {
        ScalarValue::Utf8(Some(text)) => Span::parse(text, "second"),
        value => Span::of(value),
    };
    match found {
        Some(found) => Ok(Some(found)),
        None => refuse(INVALID, format!("invalid input syntax for type interval: \"{value}\"")),
    }
}

fn interval(span: Option<Span>) -> ScalarValue {
    span.map_or(ScalarValue::Null, Span::scalar)
}

/// An interval times or by a number, in millionths.
fn scaled(call: &Call<'_>, divides: bool) -> Result<ScalarValue> {
    let (Some(span), Some(number)) = (span(call, 0)?, call.value(1)) else { return Ok(ScalarValue::Null) };
    let ScalarValue::Decimal128(Some(millionths), ..) = number.cast_to(&DataType::Decimal128(38, 6))? else {
        return Ok(ScalarValue::Null);
    };
    if divides && millionths == 0 {
        return refuse("22012", "division by zero");
    }
    let factor = if divides { 1_000_000_000_000 / millionths } else { millionths };
    // A whole divisor has to give whole parts: a third of three days is one.
    let exact = (divides && millionths % 1_000_000 == 0).then(|| exactly(span, millionths / 1_000_000)).flatten();
    match exact.or_else(|| span.times(factor)) {
        Some(found) => Ok(found.scalar()),
        None => refuse(OUT_OF_RANGE, "interval out of range"),
    }
}

/// An interval by a whole number: what is left of a month goes to the days, of a day to the time.
fn exactly(span: Span, by: i128) -> Option<Span> {
    let months = i128::from(span.months);
    // A day's rest, and that of the month's days.
    let rest = i128::from(span.days) % by * 86_400_000_000 / by + (months % by * 30 % by) * 86_400_000_000 / by;
    Some(Span {
        months: i32::try_from(months / by).ok()?,
        days: i32::try_from(i128::from(span.days) / by + months % by * 30 / by).ok()?,
        microseconds: i64::try_from(i128::from(span.microseconds) / by + rest).ok()?,
    })
}

/// A moment or a date as it is in UTC, and whether it is a moment.
fn time(call: &Call<'_>, place: usize) -> Result<Option<(NaiveDateTime, bool)>> {
    let Some(value) = call.value(place) else { return Ok(None) };
    let of = value.data_type();
    if let ScalarValue::Utf8(Some(text)) = value {
        return match instant::parse(text, local(instant::now(), call.zone)) {
            Some(written) => Ok(Some((written.local, false))),
            None => refuse(INVALID, format!("invalid input syntax for type timestamp: \"{text}\"")),
        };
    }
    let is_moment = matches!(of, DataType::Timestamp(_, Some(_)));
    let zone = is_moment.then(|| "UTC".into());
    match value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone))? {
        ScalarValue::TimestampMicrosecond(Some(at), _) => {
            Ok(DateTime::from_timestamp_micros(at).map(|at| (at.naive_utc(), is_moment)))
        }
        _ => Ok(None),
    }
}

fn moment(at: NaiveDateTime, zone: Option<&str>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(at.and_utc().timestamp_micros()), zone.map(Into::into))
}

/// `age(later, earlier)`, in the session's clock; of one argument, until midnight today.
fn ages(call: &Call<'_>) -> Result<ScalarValue> {
    let clock = |(at, is_moment): (NaiveDateTime, bool)| if is_moment { local(at, call.zone) } else { at };
    let Some(first) = time(call, 0)?.map(clock) else { return Ok(ScalarValue::Null) };
    let span = if call.arguments.len() < 2 {
        age(local(instant::now(), call.zone).date().and_time(NaiveTime::MIN), first)
    } else {
        let Some(second) = time(call, 1)?.map(clock) else { return Ok(ScalarValue::Null) };
        age(first, second)
    };
    Ok(span.scalar())
}

/// `timezone(zone, time)`: a moment as its local time, a local time as its moment.
fn other_clock(call: &Call<'_>) -> Result<ScalarValue> {
    let (Some(name), Some((at, is_moment))) = (call.text(0), time(call, 1)?) else { return Ok(ScalarValue::Null) };
    let Some(zone) = instant::zone(&name) else {
        return refuse("22023", format!("time zone \"{name}\" not recognized"));
    };
    if is_moment {
        return Ok(moment(local(at, zone), None));
    }
    Ok(utc(at, zone).map_or(ScalarValue::Null, |at| moment(at, Some("UTC"))))
}

fn templated(call: &Call<'_>) -> Result<Option<NaiveDateTime>> {
    if call.arguments.len() < 2 {
        return refuse(
            "42883",
            "to_date and to_timestamp take a text and a template: to_date('03/15/2024', 'MM/DD/YYYY')",
        );
    }
    let (Some(text), Some(template)) = (call.text(0), call.text(1)) else { return Ok(None) };
    match by_template(&text, &template) {
        Ok(at) => Ok(Some(at)),
        Err(reason) => refuse(INVALID, reason),
    }
}

/// Of a text and a template, or of seconds since 1970.
fn to_timestamp(call: &Call<'_>) -> Result<ScalarValue> {
    if call.arguments.len() > 1 {
        let at = templated(call)?.and_then(|at| utc(at, call.zone));
        return Ok(at.map_or(ScalarValue::Null, |at| moment(at, Some("UTC"))));
    }
    let Some(seconds) = call.value(0) else { return Ok(ScalarValue::Null) };
    if let DataType::Utf8 = seconds.data_type() {
        let Some((at, _)) = time(call, 0)? else { return Ok(ScalarValue::Null) };
        return Ok(utc(at, call.zone).map_or(ScalarValue::Null, |at| moment(at, Some("UTC"))));
    }
    match seconds.cast_to(&DataType::Decimal128(38, 6))? {
        ScalarValue::Decimal128(Some(micros), ..) => {
            let at = i64::try_from(micros).ok().and_then(DateTime::from_timestamp_micros);
            at.map_or_else(
                || refuse(OUT_OF_RANGE, format!("timestamp out of range: \"{seconds}\"")),
                |at| Ok(moment(at.naive_utc(), Some("UTC"))),
            )
        }
        _ => Ok(ScalarValue::Null),
    }
}

/// A local time of its six parts.
fn made(call: &Call<'_>) -> Result<Option<NaiveDateTime>> {
    if call.has_null() {
        return Ok(None);
    }
    let part = |place| call.integer(place).and_then(|part| u32::try_from(part).ok());
    let seconds = call.value(5).map(|value| value.cast_to(&DataType::Decimal128(38, 6))).transpose()?;
    let micros = match seconds {
        Some(ScalarValue::Decimal128(Some(micros), ..)) => u32::try_from(micros).ok(),
        _ => None,
    };
    let year = call.integer(0).and_then(|year| i32::try_from(year).ok());
    let found = || {
        let date = NaiveDate::from_ymd_opt(year?, part(1)?, part(2)?)?;
        date.and_hms_micro_opt(part(3)?, part(4)?, micros? / 1_000_000, micros? % 1_000_000)
    };
    match found() {
        Some(at) => Ok(Some(at)),
        None => refuse(OUT_OF_RANGE, "date/time field value out of range"),
    }
}
