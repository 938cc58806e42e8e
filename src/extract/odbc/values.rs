//! Batches of a driver as records in JSON, as records of any interface are: exactly what the database holds, blanks included.
//!
//! Exact numbers come as the driver writes their digits; floats with as many digits as tell them apart. Moments without a zone get
//! that of the source, if it is known.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Field, Float32Type, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use odbc_api::DataType;

/// What a column's values are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    /// A number whose digits the driver writes.
    Exact,
    Single,
    Double,
    Flag,
    Day,
    /// A day with a time, as it is written.
    Local,
    /// A moment: what is written, by the source's zone.
    Moment,
    Text,
}

/// What a driver's type is read as; none for what is not read.
pub(super) fn kind(kind: DataType) -> Option<Kind> {
    Some(match kind {
        DataType::TinyInt | DataType::SmallInt | DataType::Integer | DataType::BigInt => Kind::Integer,
        DataType::Numeric { .. } | DataType::Decimal { .. } => Kind::Exact,
        DataType::Real => Kind::Single,
        DataType::Float { precision } if precision <= 24 && precision > 0 => Kind::Single,
        DataType::Float { .. } | DataType::Double => Kind::Double,
        DataType::Bit => Kind::Flag,
        DataType::Date => Kind::Day,
        DataType::Timestamp { .. } => Kind::Local,
        DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::LongVarbinary { .. } => return None,
        _ => Kind::Text,
    })
}

/// How the rows of a query become records.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    fields: Vec<(String, Kind)>,
    /// What every record holds beside.
    fixed: String,
    time_zone: Option<Tz>,
}

impl Layout {
    /// Records with these fields, in the order of the query's columns, beside fixed ones.
    pub(super) fn new(fields: Vec<(String, Kind)>, fixed: &[(&str, &str)], time_zone: Option<Tz>) -> Self {
        let fixed = fixed.iter().map(|(name, text)| format!("{}:{}", json(name), json(text)));
        Self { fields, fixed: fixed.collect::<Vec<_>>().join(","), time_zone }
    }

    pub(super) fn columns(&self) -> usize {
        self.fields.len().max(1)
    }

    /// The types that the driver is asked for. All may be null, whatever the driver says.
    pub(super) fn schema(&self) -> SchemaRef {
        let kind = |kind: Kind| match kind {
            Kind::Integer => ArrowType::Int64,
            Kind::Exact | Kind::Text => ArrowType::Utf8,
            Kind::Single => ArrowType::Float32,
            Kind::Double => ArrowType::Float64,
            Kind::Flag => ArrowType::Boolean,
            Kind::Day => ArrowType::Date32,
            Kind::Local | Kind::Moment => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        };
        let field = |(name, of): &(String, Kind)| Field::new(name, kind(*of), true);
        Arc::new(Schema::new(self.fields.iter().map(field).collect::<Vec<_>>()))
    }

    /// Gives each row to `take`, as a record.
    pub(super) fn records(&self, batch: &RecordBatch, take: &mut dyn FnMut(String)) -> Result<(), String> {
        let columns: Vec<(String, &ArrayRef, Kind)> = self
            .fields
            .iter()
            .zip(batch.columns())
            .map(|((name, kind), array)| (format!("{}:", json(name)), array, *kind))
            .collect();
        for row in 0..batch.num_rows() {
            let mut record = String::from("{");
            for (name, array, kind) in &columns {
                if record.len() > 1 {
                    record.push(',');
                }
                record.push_str(name);
                if array.is_null(row) {
                    record.push_str("null");
                } else {
                    self.write(&mut record, array, row, *kind)
                        .ok_or_else(|| format!("{name} is of another type than asked for"))?;
                }
            }
            if !self.fixed.is_empty() {
                record.push_str(if record.len() > 1 { "," } else { "" });
                record.push_str(&self.fixed);
            }
            record.push('}');
            take(record);
        }
        Ok(())
    }

    fn write(&self, out: &mut String, array: &ArrayRef, row: usize, kind: Kind) -> Option<()> {
        match kind {
            Kind::Integer => write!(out, "{}", array.as_primitive_opt::<Int64Type>()?.value(row)).ok()?,
            Kind::Exact => out.push_str(&number(array.as_string_opt::<i32>()?.value(row))),
            Kind::Single => {
                out.push_str(&number(&format!("{:?}", array.as_primitive_opt::<Float32Type>()?.value(row))));
            }
            Kind::Double => {
                out.push_str(&number(&format!("{:?}", array.as_primitive_opt::<Float64Type>()?.value(row))));
            }
            Kind::Flag => out.push_str(if array.as_boolean_opt()?.value(row) { "true" } else { "false" }),
            Kind::Text => out.push_str(&json(array.as_string_opt::<i32>()?.value(row))),
            Kind::Day => {
                let day = NaiveDate::from_epoch_days(array.as_primitive_opt::<Date32Type>()?.value(row))?;
                write!(out, "\"{day}\"").ok()?;
            }
            Kind::Local | Kind::Moment => {
                let micros = array.as_primitive_opt::<TimestampMicrosecondType>()?.value(row);
                let at = DateTime::from_timestamp_micros(micros)?.naive_utc();
                write!(out, "\"{}\"", moment(at, self.time_zone.filter(|_| kind == Kind::Moment))).ok()?;
            }
        }
        Some(())
    }
}

/// A text in JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A number in JSON, with the digits that it was written with: drivers leave the zero before a point out, or a point behind.
/// What is no number stays a text.
fn number(text: &str) -> String {
    let text = text.trim();
    let (sign, rest) = text.strip_prefix('-').map_or(("", text.strip_prefix('+').unwrap_or(text)), |rest| ("-", rest));
    let (mantissa, exponent) = rest.find(['e', 'E']).map_or((rest, ""), |place| rest.split_at(place));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let power = exponent.get(1..).unwrap_or_default();
    let is_power = exponent.is_empty() || {
        let power = power.trim_start_matches(['+', '-']);
        !power.is_empty() && is_digits(power)
    };
    if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 || !is_power {
        return json(text);
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}{exponent}")
}

/// A moment as it is written, with the offset that its zone had then. Of an hour that came twice the first is taken, of one that
/// never came the moment as far behind it.
fn moment(at: NaiveDateTime, zone: Option<Tz>) -> String {
    let Some(zone) = zone else { return at.format("%Y-%m-%dT%H:%M:%S%.f").to_string() };
    let local = zone.from_local_datetime(&at).earliest();
    let local = local.or_else(|| {
        let before = at.checked_sub_signed(TimeDelta::hours(3))?;
        Some(zone.from_local_datetime(&before).earliest()? + TimeDelta::hours(3))
    });
    local.map_or_else(
        || at.format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
        |local| local.to_rfc3339_opts(SecondsFormat::AutoSi, false),
    )
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BooleanArray, Date32Array, Float32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };

    use super::*;

    #[test]
    fn rows_become_records_with_every_digit_and_blank() {
        let fields = [
            ("Co", Kind::Integer),
            ("Amt", Kind::Exact),
            ("F4", Kind::Single),
            ("F8", Kind::Double),
            ("YN", Kind::Flag),
            ("Day", Kind::Day),
            ("At", Kind::Moment),
            ("Job", Kind::Text),
        ];
        let layout = Layout::new(
            fields.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
            &[("source_view", "APTH")],
            Some(chrono_tz::America::Chicago),
        );
        let moment = "2026-01-31T23:30:00Z".parse::<DateTime<chrono::Utc>>().unwrap().timestamp_micros();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(255), None])),
            Arc::new(StringArray::from(vec![Some("-.50"), None])),
            Arc::new(Float32Array::from(vec![Some(0.1), None])),
            Arc::new(Float64Array::from(vec![Some(1_234.560_000_000_1), None])),
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            Arc::new(Date32Array::from(vec![Some(0), None])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(moment), None])),
            Arc::new(StringArray::from(vec![Some(" 14\"197-  "), None])),
        ];
        let batch = RecordBatch::try_new(layout.schema(), columns).unwrap();
        let mut records = Vec::new();
        layout.records(&batch, &mut |record| records.push(record)).unwrap();
        assert_eq!(
            records,
            [
                r#"{"Co":255,"Amt":-0.50,"F4":0.1,"F8":1234.5600000001,"YN":true,"Day":"1970-01-01","At":"2026-01-31T23:30:00-06:00","Job":" 14\"197-  ","source_view":"APTH"}"#,
                r#"{"Co":null,"Amt":null,"F4":null,"F8":null,"YN":null,"Day":null,"At":null,"Job":null,"source_view":"APTH"}"#,
            ]
        );
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (text, written) in [
            ("1234.50", "1234.50"),
            (".5", "0.5"),
            ("-.50", "-0.50"),
            ("5.", "5"),
            ("007", "7"),
            ("+1.0", "1.0"),
            ("1e20", "1e20"),
            ("1.5e-7", "1.5e-7"),
            ("NaN", "\"NaN\""),
            ("inf", "\"inf\""),
            ("1,5", "\"1,5\""),
            ("", "\"\""),
        ] {
            assert_eq!(number(text), written, "{text}");
        }
    }

    #[test]
    fn moments_get_the_offset_of_their_day() {
        let at = |text: &str| moment(text.parse().unwrap(), Some(chrono_tz::America::Chicago));
        assert_eq!(at("2026-07-01T12:00:00"), "2026-07-01T12:00:00-05:00");
        assert_eq!(at("2026-11-01T01:30:00"), "2026-11-01T01:30:00-05:00", "twice: the first");
        assert_eq!(at("2026-03-08T02:30:00"), "2026-03-08T03:30:00-05:00", "never: an hour on");
        assert_eq!(moment("2026-07-01T12:00:00.25".parse().unwrap(), None), "2026-07-01T12:00:00.250");
    }

    #[test]
    fn what_is_read_as_what() {
        assert_eq!(kind(DataType::Float { precision: 53 }), Some(Kind::Double));
        assert_eq!(kind(DataType::Float { precision: 24 }), Some(Kind::Single));
        assert_eq!(kind(DataType::Varbinary { length: None }), None);
        assert_eq!(kind(DataType::Decimal { precision: 19, scale: 4 }), Some(Kind::Exact));
        assert_eq!(
            kind(DataType::Timestamp { precision: 3 }),
            Some(Kind::Local),
            "a day, unless it is declared a moment"
        );
    }
}
