//! What analysts type that Postgres has and DataFusion has not, or means otherwise: functions and operators.
//!
//! Only for statements of clients; views of ours are planned without. Invariants: a function answers row by row from its
//! arguments and the session's zone alone; what it cannot answer is an error with Postgres' code, never a value nearby.

mod guarded;
pub(crate) mod instant;
pub(crate) mod json;
pub(crate) mod operators;
pub(crate) mod scalars;
pub(crate) mod sizes;
pub(crate) mod span;
pub(crate) mod times;
pub(crate) mod whole;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::BytesMut;
use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry as _;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::prelude::SessionContext;

use super::encode::{Cells, SHOWN_AS};
use super::failure::Failure;

/// What a function sees of its session and of one row.
struct Call<'a> {
    arguments: &'a [ScalarValue],
    fields: &'a [FieldRef],
    zone: Tz,
}

type Body = fn(&Call<'_>) -> Result<ScalarValue>;

/// What a function answers with: a type, and how it is shown where Arrow has no such type.
#[derive(Clone, Copy)]
enum Answer {
    Text,
    Integer,
    Boolean,
    Bytes,
    Texts,
    TextLists,
    Interval,
    Local,
    Moment,
    Date,
    Json,
    Jsonb,
    Jsons,
    Uuid,
    Numeric,
    /// As the first argument.
    First,
    /// As an element of the last argument, a list.
    Element,
    /// A local time of a moment, a moment of a local time.
    OtherClock,
}

/// A function's name, its answer and how to get it.
type Entry = (&'static str, Answer, Body);

struct RowFunction {
    entry: Entry,
    signature: Signature,
}

/// Teaches a session's statements Postgres' functions and operators.
pub(super) fn attach(context: &mut SessionContext) -> Result<()> {
    for entry in scalars::ALL.iter().chain(times::ALL).chain(json::ALL) {
        let signature = Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable);
        SessionContext::register_udf(context, ScalarUDF::from(RowFunction { entry: *entry, signature }));
    }
    whole::functions().for_each(|function| SessionContext::register_udf(context, function));
    guarded::attach(context)?;
    context.register_expr_planner(Arc::new(operators::Operators::new(context)))
}

/// An error with a code of its own.
fn refuse<T>(code: &'static str, message: impl Into<String>) -> Result<T> {
    Err(DataFusionError::External(Box::new(Failure::new(code, message))))
}

impl Call<'_> {
    fn value(&self, place: usize) -> Option<&ScalarValue> {
        self.arguments.get(place).filter(|value| !value.is_null())
    }

    fn text(&self, place: usize) -> Option<String> {
        match self.value(place)?.cast_to(&DataType::Utf8) {
            Ok(ScalarValue::Utf8(text)) => text,
            _ => None,
        }
    }

    /// An argument as the client would be sent it.
    fn shown(&self, place: usize) -> Result<Option<String>> {
        let Some(value) = self.value(place) else { return Ok(None) };
        let mut out = BytesMut::new();
        Cells::new(&value.to_array()?)?.text(0, self.zone, &mut out);
        Ok(Some(String::from_utf8_lossy(&out).into_owned()))
    }

    fn integer(&self, place: usize) -> Option<i64> {
        match self.value(place)?.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(number)) => number,
            _ => None,
        }
    }

    /// Where one argument is null, so is the answer.
    fn has_null(&self) -> bool {
        self.arguments.iter().any(ScalarValue::is_null)
    }
}

fn string(text: impl Into<String>) -> ScalarValue {
    ScalarValue::Utf8(Some(text.into()))
}

fn strings(texts: impl IntoIterator<Item = Option<String>>) -> ScalarValue {
    let values: Vec<ScalarValue> = texts.into_iter().map(ScalarValue::Utf8).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Utf8))
}

/// A decimal with as many digits after the point as it has.
fn decimal(value: i128, scale: i8) -> ScalarValue {
    ScalarValue::Decimal128(Some(value), 38, scale)
}

/// The scale of numerics that functions make of texts: nothing tells it before the rows are read.
const NUMERIC_SCALE: i8 = 10;

impl Answer {
    fn data_type(self, arguments: &[FieldRef]) -> DataType {
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Arc::from));
        match self {
            Self::Text | Self::Json | Self::Jsonb | Self::Uuid => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Bytes => DataType::Binary,
            Self::Texts | Self::Jsons => DataType::new_list(DataType::Utf8, true),
            Self::TextLists => DataType::new_list(DataType::new_list(DataType::Utf8, true), true),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Local => micros(None),
            Self::Moment => micros(Some("UTC")),
            Self::Date => DataType::Date32,
            Self::Numeric => DataType::Decimal128(38, NUMERIC_SCALE),
            Self::First => arguments.first().map_or(DataType::Null, |field| field.data_type().clone()),
            Self::Element => match arguments.last().map(|field| field.data_type()) {
                Some(DataType::List(element)) => element.data_type().clone(),
                _ => DataType::Null,
            },
            Self::OtherClock => match arguments.get(1).map(|field| field.data_type()) {
                Some(DataType::Timestamp(_, Some(_))) => micros(None),
                _ => micros(Some("UTC")),
            },
        }
    }

    fn shown_as(self) -> Option<&'static str> {
        match self {
            Self::Json => Some("json"),
            Self::Jsonb => Some("jsonb"),
            Self::Uuid => Some("uuid"),
            _ => None,
        }
    }
}

impl fmt::Debug for RowFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFunction").field("name", &self.entry.0).finish_non_exhaustive()
    }
}

impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.entry.0 == other.entry.0
    }
}

impl Eq for RowFunction {}

impl Hash for RowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entry.0.hash(state);
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.entry.0
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let field = |of: &DataType| Arc::new(Field::new("argument", of.clone(), true));
        Ok(self.entry.1.data_type(&arguments.iter().map(field).collect::<Vec<_>>()))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = Field::new(self.entry.0, self.entry.1.data_type(arguments.arg_fields), true);
        let shown = self.entry.1.shown_as().map(|shown| (SHOWN_AS.to_owned(), shown.to_owned()));
        Ok(Arc::new(field.with_metadata(shown.into_iter().collect())))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = arguments.config_options.execution.time_zone.as_deref().and_then(instant::zone);
        let zone = zone.map_or_else(|| "UTC".parse(), Ok).map_err(DataFusionError::from)?;
        let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let returns = arguments.return_field.data_type();
        let row = |row: usize| -> Result<ScalarValue> {
            let value = |argument: &ColumnarValue| match argument {
                ColumnarValue::Scalar(scalar) => Ok(scalar.clone()),
                ColumnarValue::Array(array) => ScalarValue::try_from_array(array, row),
            };
            let values = arguments.args.iter().map(value).collect::<Result<Vec<_>>>()?;
            let found = (self.entry.2)(&Call { arguments: &values, fields: &arguments.arg_fields, zone })?;
            if found.is_null() {
                return ScalarValue::try_from(returns);
            }
            if found.data_type() == *returns { Ok(found) } else { found.cast_to(returns) }
        };
        if constant || arguments.number_rows == 0 {
            return Ok(ColumnarValue::Scalar(if constant { row(0)? } else { ScalarValue::try_from(returns)? }));
        }
        let values = (0..arguments.number_rows).map(row).collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?))
    }
}
