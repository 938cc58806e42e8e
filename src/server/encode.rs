//! Arrow values as Postgres writes them, in text and in binary.
//!
//! Invariant: the type that [`field_type`] announces is the type that [`Cells`] writes; a column is brought into one of
//! few shapes once per batch. Numeric is exact at any precision: it goes by decimal digits, never through a float.

mod record;

use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::types::{Decimal256Type, DecimalType as _};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    DurationMicrosecondArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, ListArray, StringArray, StringBuilder, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, UInt32Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, IntervalUnit, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::ScalarValue;
use pgwire::api::Type;

use super::catalog::procs;
use super::encoding::Code;
use super::failure::Failure;
use super::format;
use super::frames::put_measured;
use super::postgres::span::Span;

/// The Postgres type of a column.
pub(crate) fn field_type(data_type: &DataType) -> Type {
    match data_type {
        DataType::Boolean => Type::BOOL,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => Type::INT2,
        DataType::UInt16 | DataType::Int32 => Type::INT4,
        DataType::Int64 => Type::INT8,
        // The catalogue's alone: no table of ours has such a column.
        DataType::UInt32 => Type::OID,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Type::NUMERIC,
        DataType::Float16 | DataType::Float32 => Type::FLOAT4,
        DataType::Float64 => Type::FLOAT8,
        DataType::Date32 | DataType::Date64 => Type::DATE,
        DataType::Timestamp(_, None) => Type::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => Type::TIMESTAMPTZ,
        DataType::Time32(_) | DataType::Time64(_) => Type::TIME,
        DataType::Interval(_) | DataType::Duration(_) => Type::INTERVAL,
        DataType::Struct(_) => Type::RECORD,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Type::BYTEA,
        DataType::Dictionary(_, value) => field_type(value),
        DataType::RunEndEncoded(_, value) => field_type(value.data_type()),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => array_type(&field_type(field.data_type())),
        _ => Type::TEXT,
    }
}

/// The metadata of a field that tells its type where Arrow has none of its own.
pub(crate) const SHOWN_AS: &str = "tieout.shown_as";

/// The Postgres type of a column that may say so itself.
pub(crate) fn column_type(field: &Field) -> Type {
    match shown_as(field) {
        Some("regproc") => Type::REGPROC,
        Some("int2vector") => Type::INT2_VECTOR,
        Some("oidvector") => Type::OID_VECTOR,
        Some("json") => Type::JSON,
        Some("jsonb") => Type::JSONB,
        Some("uuid") => Type::UUID,
        _ => field_type(field.data_type()),
    }
}

/// What a field says that it is, if its values can be it: what is made of a column may have the column's metadata.
fn shown_as(field: &Field) -> Option<&str> {
    let shown = field.metadata().get(SHOWN_AS)?.as_str();
    let is_vector = |element: &DataType| matches!(field.data_type(), DataType::List(of) if of.data_type() == element);
    let fits = match shown {
        "regproc" => *field.data_type() == DataType::Int64,
        "int2vector" => is_vector(&DataType::Int16),
        "oidvector" => is_vector(&DataType::UInt32),
        "json" | "jsonb" | "uuid" => *field.data_type() == DataType::Utf8,
        _ => false,
    };
    fits.then_some(shown)
}

/// The array type over an element type; lists of lists are shown as text.
fn array_type(element: &Type) -> Type {
    match *element {
        Type::BOOL => Type::BOOL_ARRAY,
        Type::INT2 => Type::INT2_ARRAY,
        Type::INT4 => Type::INT4_ARRAY,
        Type::INT8 => Type::INT8_ARRAY,
        Type::OID => Type::OID_ARRAY,
        Type::NUMERIC => Type::NUMERIC_ARRAY,
        Type::FLOAT4 => Type::FLOAT4_ARRAY,
        Type::FLOAT8 => Type::FLOAT8_ARRAY,
        Type::DATE => Type::DATE_ARRAY,
        Type::TIMESTAMP => Type::TIMESTAMP_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::TIME => Type::TIME_ARRAY,
        Type::BYTEA => Type::BYTEA_ARRAY,
        Type::TEXT => Type::TEXT_ARRAY,
        Type::INTERVAL => Type::INTERVAL_ARRAY,
        Type::RECORD => Type::RECORD_ARRAY,
        _ => Type::TEXT,
    }
}

/// `pg_type.typlen`: the width of a value, -1 where it varies.
pub(crate) fn type_size(of: &Type) -> i16 {
    match *of {
        Type::BOOL => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::REGPROC | Type::OID => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::TIME => 8,
        Type::INTERVAL | Type::UUID => 16,
        _ => -1,
    }
}

/// `pg_attribute.atttypmod`: a decimal's precision and scale, else -1.
pub(crate) fn type_modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *scale >= 0 =>
        {
            ((i32::from(*precision) << 16) | i32::from(*scale)) + 4
        }
        _ => -1,
    }
}

/// A column of a batch in the shape that it is written from.
pub(crate) enum Cells {
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Oid(UInt32Array),
    Proc(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Numeric(Decimal128Array),
    WideNumeric(Decimal256Array),
    Text(StringArray),
    Date(Date32Array),
    Timestamp(TimestampMicrosecondArray),
    Timestamptz(TimestampMicrosecondArray),
    Time(Time64MicrosecondArray),
    Interval(IntervalMonthDayNanoArray),
    /// The time between two moments: an interval of days and what is left of one.
    Between(DurationMicrosecondArray),
    Bytes(BinaryArray),
    Jsonb(StringArray),
    /// Texts in the client's own encoding, and whether they are `jsonb`.
    Foreign(BinaryArray, bool),
    Uuid(StringArray),
    /// A row of several values: its own nulls, its columns with their types.
    Record(StructArray, Vec<(Self, Type)>),
    /// A list of numbers that are written without braces and count from zero.
    Vector(ListArray, Box<Cells>),
    /// A one-dimensional list: its rows, all its elements, the element's type.
    List(ListArray, Box<Cells>, Type),
}

impl Cells {
    /// The cells of a column that may say itself what it is.
    pub(crate) fn of(array: &ArrayRef, field: &Field) -> Result<Self, ArrowError> {
        match shown_as(field) {
            Some("regproc") => Ok(Self::Proc(array.as_primitive().clone())),
            Some("json") | None => Self::new(array),
            Some("jsonb") => Ok(Self::Jsonb(array.as_string().clone())),
            Some("uuid") => Ok(Self::Uuid(array.as_string().clone())),
            Some(_) => {
                let lists = array.as_list::<i32>().clone();
                let elements = Self::new(lists.values())?;
                Ok(Self::Vector(lists, Box::new(elements)))
            }
        }
    }

    pub(crate) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        let micros = |zone: Option<Arc<str>>| cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone));
        let to = |to: &DataType| cast(array, to);
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            DataType::Int8 | DataType::UInt8 | DataType::Int16 => {
                Self::Int2(to(&DataType::Int16)?.as_primitive().clone())
            }
            DataType::UInt16 | DataType::Int32 => Self::Int4(to(&DataType::Int32)?.as_primitive().clone()),
            DataType::Int64 => Self::Int8(array.as_primitive().clone()),
            DataType::UInt32 => Self::Oid(array.as_primitive().clone()),
            DataType::UInt64 => Self::Numeric(to(&DataType::Decimal128(20, 0))?.as_primitive().clone()),
            DataType::Float16 | DataType::Float32 => Self::Float4(to(&DataType::Float32)?.as_primitive().clone()),
            DataType::Float64 => Self::Float8(array.as_primitive().clone()),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                Self::Numeric(to(&DataType::Decimal128(*precision, *scale))?.as_primitive().clone())
            }
            DataType::Decimal128(precision, _) => {
                let numbers: Decimal128Array = array.as_primitive().clone();
                if *precision == DECIMAL128_MAX_PRECISION {
                    // What a sum made too large would be written without its last digits.
                    numbers.validate_decimal_precision(*precision).map_err(|_| {
                        ArrowError::ArithmeticOverflow("numeric field overflow: more than 38 digits".to_owned())
                    })?;
                }
                Self::Numeric(numbers)
            }
            DataType::Decimal256(..) => Self::WideNumeric(array.as_primitive().clone()),
            DataType::Date32 | DataType::Date64 => Self::Date(to(&DataType::Date32)?.as_primitive().clone()),
            DataType::Timestamp(_, None) => Self::Timestamp(micros(None)?.as_primitive().clone()),
            DataType::Timestamp(_, Some(zone)) => {
                Self::Timestamptz(micros(Some(Arc::clone(zone)))?.as_primitive().clone())
            }
            DataType::Time32(_) | DataType::Time64(_) => {
                Self::Time(to(&DataType::Time64(TimeUnit::Microsecond))?.as_primitive().clone())
            }
            DataType::Interval(_) => {
                Self::Interval(to(&DataType::Interval(IntervalUnit::MonthDayNano))?.as_primitive().clone())
            }
            DataType::Duration(_) => {
                Self::Between(to(&DataType::Duration(TimeUnit::Microsecond))?.as_primitive().clone())
            }
            DataType::Struct(_) => {
                let row = array.as_struct().clone();
                let columns = row
                    .columns()
                    .iter()
                    .zip(row.fields())
                    .map(|(column, field)| Ok::<_, ArrowError>((Self::of(column, field)?, column_type(field))));
                let columns = columns.collect::<Result<_, _>>()?;
                Self::Record(row, columns)
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytes(to(&DataType::Binary)?.as_binary().clone())
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
                Self::Text(to(&DataType::Utf8)?.as_string().clone())
            }
            DataType::Dictionary(_, value) => return Self::new(&to(value)?),
            DataType::RunEndEncoded(_, value) => return Self::new(&to(value.data_type())?),
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _)
            | DataType::ListView(field)
            | DataType::LargeListView(field)
                if array_type(&field_type(field.data_type())) != Type::TEXT =>
            {
                let lists: ListArray = to(&DataType::List(Arc::clone(field)))?.as_list().clone();
                let elements = Self::new(lists.values())?;
                Self::List(lists, Box::new(elements), field_type(field.data_type()))
            }
            _ => Self::Text(displayed(array)?),
        })
    }

    /// The same with texts in the client's encoding.
    pub(crate) fn encoded(self, code: Code) -> Result<Self, Failure> {
        Ok(match self {
            Self::Text(texts) => Self::Foreign(code.column(&texts)?, false),
            Self::Jsonb(texts) => Self::Foreign(code.column(&texts)?, true),
            Self::Record(rows, columns) => {
                let encoded = |(cells, of): (Self, Type)| Ok::<_, Failure>((cells.encoded(code)?, of));
                Self::Record(rows, columns.into_iter().map(encoded).collect::<Result<_, _>>()?)
            }
            Self::List(lists, elements, of) => Self::List(lists, Box::new(elements.encoded(code)?), of),
            other => other,
        })
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        let array: &dyn Array = match self {
            Self::Bool(array) => array,
            Self::Int2(array) => array,
            Self::Int4(array) => array,
            Self::Int8(array) | Self::Proc(array) => array,
            Self::Oid(array) => array,
            Self::Float4(array) => array,
            Self::Float8(array) => array,
            Self::Numeric(array) => array,
            Self::WideNumeric(array) => array,
            Self::Text(array) | Self::Jsonb(array) | Self::Uuid(array) => array,
            Self::Interval(array) => array,
            Self::Between(array) => array,
            Self::Record(array, _) => array,
            Self::Date(array) => array,
            Self::Timestamp(array) | Self::Timestamptz(array) => array,
            Self::Time(array) => array,
            Self::Bytes(array) | Self::Foreign(array, _) => array,
            Self::List(array, ..) | Self::Vector(array, _) => array,
        };
        array.is_null(row)
    }

    /// Appends the value as text; the row must not be null.
    pub(crate) fn text(&self, row: usize, zone: Tz, out: &mut BytesMut) {
        match self {
            Self::Bool(array) => out.put_u8(if array.value(row) { b't' } else { b'f' }),
            Self::Int2(array) => format::integer(out, array.value(row)),
            Self::Int4(array) => format::integer(out, array.value(row)),
            Self::Int8(array) => format::integer(out, array.value(row)),
            Self::Oid(array) => format::integer(out, array.value(row)),
            Self::Proc(array) => out.put_slice(procs::name(array.value(row)).as_bytes()),
            Self::Float4(array) => format::float(out, &format!("{:e}", array.value(row)), 6),
            Self::Float8(array) => format::float(out, &format!("{:e}", array.value(row)), 15),
            Self::Numeric(array) => format::numeric(out, array.value(row), array.scale()),
            Self::WideNumeric(array) => out.put_slice(wide_digits(array, row).as_bytes()),
            Self::Text(array) | Self::Jsonb(array) | Self::Uuid(array) => {
                out.put_slice(array.value(row).as_bytes());
            }
            Self::Foreign(array, _) => out.put_slice(array.value(row)),
            Self::Interval(_) | Self::Between(_) => format::put(out, self.span(row).text()),
            Self::Record(_, columns) => record::text(columns, row, zone, out),
            Self::Date(array) => format::date(out, array.value(row)),
            Self::Timestamp(array) => format::timestamp(out, array.value(row)),
            Self::Timestamptz(array) => format::timestamptz(out, array.value(row), zone),
            Self::Time(array) => format::time(out, array.value(row)),
            Self::Bytes(array) => {
                out.put_slice(b"\\x");
                out.put_slice(hex::encode(array.value(row)).as_bytes());
            }
            Self::Vector(lists, elements) => {
                for (position, element) in range(lists, row).enumerate() {
                    if position > 0 {
                        out.put_u8(b' ');
                    }
                    elements.text(element, zone, out);
                }
            }
            Self::List(lists, elements, _) => {
                out.put_u8(b'{');
                let mut element_text = BytesMut::new();
                for (position, element) in range(lists, row).enumerate() {
                    if position > 0 {
                        out.put_u8(b',');
                    }
                    if elements.is_null(element) {
                        out.put_slice(b"NULL");
                    } else {
                        element_text.clear();
                        elements.text(element, zone, &mut element_text);
                        format::array_element(out, &element_text);
                    }
                }
                out.put_u8(b'}');
            }
        }
    }

    /// Appends the value in the binary form of its type; the row must not be null.
    pub(crate) fn binary(&self, row: usize, out: &mut BytesMut) {
        match self {
            Self::Bool(array) => out.put_u8(u8::from(array.value(row))),
            Self::Int2(array) => out.put_i16(array.value(row)),
            Self::Int4(array) => out.put_i32(array.value(row)),
            Self::Int8(array) => out.put_i64(array.value(row)),
            Self::Oid(array) => out.put_u32(array.value(row)),
            Self::Proc(array) => out.put_u32(u32::try_from(array.value(row)).unwrap_or(0)),
            Self::Float4(array) => out.put_f32(array.value(row)),
            Self::Float8(array) => out.put_f64(array.value(row)),
            Self::Numeric(array) => format::numeric_binary(out, array.value(row), array.scale()),
            Self::WideNumeric(array) => format::numeric_text_binary(out, &wide_digits(array, row)),
            Self::Text(array) => out.put_slice(array.value(row).as_bytes()),
            Self::Jsonb(array) => {
                // The version of the format.
                out.put_u8(1);
                out.put_slice(array.value(row).as_bytes());
            }
            Self::Foreign(array, is_jsonb) => {
                if *is_jsonb {
                    out.put_u8(1);
                }
                out.put_slice(array.value(row));
            }
            Self::Uuid(array) => {
                out.put_slice(uuid::Uuid::try_parse(array.value(row)).unwrap_or_default().as_bytes());
            }
            Self::Interval(_) | Self::Between(_) => {
                let span = self.span(row);
                out.put_i64(span.microseconds);
                out.put_i32(span.days);
                out.put_i32(span.months);
            }
            Self::Record(_, columns) => {
                out.put_i32(i32::try_from(columns.len()).unwrap_or(i32::MAX));
                for (column, of) in columns {
                    out.put_u32(of.oid());
                    column.framed(row, out, |out| column.binary(row, out));
                }
            }
            Self::Date(array) => out.put_i32(array.value(row).saturating_sub(format::EPOCH_DAYS)),
            Self::Timestamp(array) | Self::Timestamptz(array) => {
                out.put_i64(array.value(row).saturating_sub(format::EPOCH_MICROSECONDS));
            }
            Self::Time(array) => out.put_i64(array.value(row)),
            Self::Bytes(array) => out.put_slice(array.value(row)),
            Self::Vector(lists, elements) => {
                let range = range(lists, row);
                let is_small = matches!(elements.as_ref(), Self::Int2(_));
                out.put_i32(1);
                out.put_i32(0);
                out.put_u32(if is_small { Type::INT2 } else { Type::OID }.oid());
                out.put_i32(i32::try_from(range.len()).unwrap_or(i32::MAX));
                out.put_i32(0);
                range.for_each(|element| elements.framed(element, out, |out| elements.binary(element, out)));
            }
            Self::List(lists, elements, element_type) => {
                let range = range(lists, row);
                let has_null = range.clone().any(|element| elements.is_null(element));
                out.put_i32(i32::from(!range.is_empty()));
                out.put_i32(i32::from(has_null));
                out.put_u32(element_type.oid());
                if !range.is_empty() {
                    out.put_i32(i32::try_from(range.len()).unwrap_or(i32::MAX));
                    out.put_i32(1);
                }
                range.for_each(|element| elements.framed(element, out, |out| elements.binary(element, out)));
            }
        }
    }

    /// Appends a value with its length in front, as a `DataRow` has it; null is the length -1.
    pub(crate) fn field(&self, row: usize, binary: bool, zone: Tz, out: &mut BytesMut) {
        self.framed(row, out, |out| {
            if binary {
                self.binary(row, out);
            } else {
                self.text(row, zone, out);
            }
        });
    }

    fn framed(&self, row: usize, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
        if self.is_null(row) {
            out.put_i32(-1);
            return;
        }
        put_measured(0, out, write);
    }

    /// An interval.
    fn span(&self, row: usize) -> Span {
        let value = match self {
            Self::Interval(array) => ScalarValue::IntervalMonthDayNano(Some(array.value(row))),
            Self::Between(array) => ScalarValue::DurationMicrosecond(Some(array.value(row))),
            _ => ScalarValue::Null,
        };
        Span::of(&value).unwrap_or_default()
    }
}

/// The decimal text of a numeric that is wider than its usual array.
fn wide_digits(array: &Decimal256Array, row: usize) -> String {
    Decimal256Type::format_decimal(array.value(row), array.precision(), array.scale())
}

/// The places of a row's elements among all elements.
fn range(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offset =
        |at: usize| lists.value_offsets().get(at).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    offset(row)..offset(row + 1)
}

/// What has no Postgres type of its own (maps, lists of lists), as Arrow displays it.
fn displayed(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
    let mut builder = StringBuilder::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
        } else {
            builder.append_value(formatter.value(row).try_to_string()?);
        }
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests;
