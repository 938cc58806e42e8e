//! Parameters of prepared statements: from the wire's text or binary to scalars of the type that the plan expects.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use pgwire::api::Type;
use pgwire::types::FromSqlText as _;
use pgwire::types::format::FormatOptions;

use super::failure::{Failure, INVALID_TEXT, UNSUPPORTED};
use super::format;

/// A parameter's value: `of` is what the client was told or said, `wanted` what the plan expects, if it said.
pub(crate) fn scalar(
    bytes: Option<&[u8]>,
    binary: bool,
    of: &Type,
    wanted: Option<&DataType>,
) -> Result<ScalarValue, Failure> {
    let Some(bytes) = bytes else {
        return ScalarValue::try_from(wanted.unwrap_or(&arrow_type(of)?)).map_err(Failure::from);
    };
    let value = if let Some(element) = element_type(of) {
        let values = if binary { binary_array(bytes, &element)? } else { text_array(bytes, &element)? };
        ScalarValue::List(ScalarValue::new_list_nullable(&values, &arrow_type(&element)?))
    } else if binary {
        from_binary(bytes, of)?
    } else {
        from_text(text(bytes)?, of)?
    };
    match wanted {
        // A numeric keeps its own scale: the plan guesses one, and a cast to it would cut digits.
        Some(wanted) if !(wanted.is_decimal() && value.data_type().is_decimal()) => {
            value.cast_to(wanted).map_err(|_| invalid(of))
        }
        _ => Ok(value),
    }
}

/// The Arrow type that a Postgres type's parameters become; text for what has none of its own.
fn arrow_type(of: &Type) -> Result<DataType, Failure> {
    if let Some(element) = element_type(of) {
        return Ok(DataType::new_list(arrow_type(&element)?, true));
    }
    Ok(match *of {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::OID => DataType::UInt32,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::NUMERIC => DataType::Decimal128(38, 10),
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        Type::BYTEA => DataType::Binary,
        Type::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => DataType::Utf8,
    })
}

fn element_type(of: &Type) -> Option<Type> {
    Some(match *of {
        Type::BOOL_ARRAY => Type::BOOL,
        Type::INT2_ARRAY => Type::INT2,
        Type::INT4_ARRAY => Type::INT4,
        Type::INT8_ARRAY => Type::INT8,
        Type::OID_ARRAY => Type::OID,
        Type::UUID_ARRAY => Type::UUID,
        Type::FLOAT4_ARRAY => Type::FLOAT4,
        Type::FLOAT8_ARRAY => Type::FLOAT8,
        Type::NUMERIC_ARRAY => Type::NUMERIC,
        Type::DATE_ARRAY => Type::DATE,
        Type::TIMESTAMP_ARRAY => Type::TIMESTAMP,
        Type::TIMESTAMPTZ_ARRAY => Type::TIMESTAMPTZ,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::NAME_ARRAY | Type::BPCHAR_ARRAY => Type::TEXT,
        _ => return None,
    })
}

fn from_text(text: &str, of: &Type) -> Result<ScalarValue, Failure> {
    match *of {
        Type::NUMERIC => numeric(text.trim()),
        Type::BYTEA => {
            let bytes = Vec::<u8>::from_sql_text(&Type::BYTEA, text.as_bytes(), &FormatOptions::default());
            bytes.map(|bytes| ScalarValue::Binary(Some(bytes))).map_err(|_| invalid(of))
        }
        Type::DATE => date(text).map(|days| ScalarValue::Date32(Some(days))).ok_or_else(|| invalid(of)),
        Type::BOOL => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "on" | "yes" | "y" | "1" => Ok(ScalarValue::Boolean(Some(true))),
            "f" | "false" | "off" | "no" | "n" | "0" => Ok(ScalarValue::Boolean(Some(false))),
            _ => Err(invalid(of)),
        },
        _ => {
            let value = ScalarValue::Utf8(Some(text.to_owned()));
            value.cast_to(&arrow_type(of)?).map_err(|_| invalid(of))
        }
    }
}

fn from_binary(bytes: &[u8], of: &Type) -> Result<ScalarValue, Failure> {
    let wrong = || invalid(of);
    Ok(match *of {
        Type::BOOL => ScalarValue::Boolean(Some(bytes.first().copied().ok_or_else(wrong)? != 0)),
        Type::INT2 => ScalarValue::Int16(Some(i16::from_be_bytes(fixed(bytes).ok_or_else(wrong)?))),
        Type::INT4 => ScalarValue::Int32(Some(i32::from_be_bytes(fixed(bytes).ok_or_else(wrong)?))),
        Type::INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?))),
        Type::OID => ScalarValue::UInt32(Some(u32::from_be_bytes(fixed(bytes).ok_or_else(wrong)?))),
        Type::FLOAT4 => ScalarValue::Float32(Some(f32::from_be_bytes(fixed(bytes).ok_or_else(wrong)?))),
        Type::FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?))),
        Type::NUMERIC => numeric(&format::numeric_text(bytes).ok_or_else(wrong)?)?,
        Type::DATE => {
            let days = i32::from_be_bytes(fixed(bytes).ok_or_else(wrong)?);
            ScalarValue::Date32(Some(days.checked_add(format::EPOCH_DAYS).ok_or_else(wrong)?))
        }
        Type::TIME => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?))),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            let since = i64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?);
            let at = since.checked_add(format::EPOCH_MICROSECONDS).ok_or_else(wrong)?;
            let zone = (*of == Type::TIMESTAMPTZ).then(|| Arc::from("UTC"));
            ScalarValue::TimestampMicrosecond(Some(at), zone)
        }
        Type::INTERVAL => {
            let (time, rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
            let (days, months) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
            let months = i32::from_be_bytes(fixed(months).ok_or_else(wrong)?);
            let nanoseconds = i64::from_be_bytes(*time).checked_mul(1_000).ok_or_else(wrong)?;
            ScalarValue::new_interval_mdn(months, i32::from_be_bytes(*days), nanoseconds)
        }
        Type::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        Type::UUID => {
            let uuid = uuid::Uuid::from_slice(bytes).map_err(|_| wrong())?;
            ScalarValue::Utf8(Some(uuid.to_string()))
        }
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON => {
            ScalarValue::Utf8(Some(text(bytes)?.to_owned()))
        }
        _ => return Err(Failure::new(UNSUPPORTED, format!("binary parameters of type {of} are not supported"))),
    })
}

/// A date from its text; a time of day and a zone after it are cut off, as Postgres does.
pub(crate) fn date(text: &str) -> Option<i32> {
    let day = text.trim().split([' ', 'T']).next()?;
    match ScalarValue::Utf8(Some(day.to_owned())).cast_to(&DataType::Date32).ok()? {
        ScalarValue::Date32(days) => days,
        _ => None,
    }
}

/// The list that an array's text holds.
pub(crate) fn list(text: &str, element: &Type) -> Result<ScalarValue, Failure> {
    let values = text_array(text.as_bytes(), element)?;
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, &arrow_type(element)?)))
}

/// The same as a list of the type that is wanted; none if it is none.
pub(crate) fn list_as(text: &str, wanted: &DataType) -> Option<ScalarValue> {
    list(text, &Type::TEXT).ok()?.cast_to(wanted).ok()
}

/// A decimal with as many digits after the point as were written.
fn numeric(text: &str) -> Result<ScalarValue, Failure> {
    let scale = text.split_once('.').map_or(0, |(_, part)| part.len());
    let digits: String = text.chars().filter(|c| *c != '.').collect();
    let scale = i8::try_from(scale).ok().filter(|scale| *scale <= 38);
    match (digits.parse::<i128>(), scale) {
        (Ok(value), Some(scale)) if value.unsigned_abs() < 10_u128.pow(38) => {
            Ok(ScalarValue::Decimal128(Some(value), 38, scale))
        }
        _ => Err(invalid(&Type::NUMERIC)),
    }
}

/// A one-dimensional array's binary form.
fn binary_array(bytes: &[u8], element: &Type) -> Result<Vec<ScalarValue>, Failure> {
    let wrong = || invalid(element);
    let mut rest = bytes;
    let mut word = || {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        rest = tail;
        Some(i32::from_be_bytes(*head))
    };
    let dimensions = word().ok_or_else(wrong)?;
    let (_has_null, oid) = (word().ok_or_else(wrong)?, word().ok_or_else(wrong)?);
    if dimensions == 0 {
        return Ok(Vec::new());
    }
    if dimensions != 1 {
        return Err(Failure::new(UNSUPPORTED, "arrays of arrays are not supported as parameters"));
    }
    let (count, _lower_bound) = (word().ok_or_else(wrong)?, word().ok_or_else(wrong)?);
    let sent = u32::try_from(oid).ok().and_then(Type::from_oid).unwrap_or_else(|| element.clone());
    // The count is the client's word: nothing is reserved by it.
    let mut values = Vec::new();
    for _ in 0..count {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let length = i32::from_be_bytes(*length);
        rest = tail;
        let value = match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                let (value, tail) = rest.split_at_checked(length).ok_or_else(wrong)?;
                rest = tail;
                Some(value)
            }
        };
        values.push(scalar(value, true, &sent, Some(&arrow_type(element)?))?);
    }
    Ok(values)
}

/// A one-dimensional array's text: `{a,"b c",NULL}`.
fn text_array(bytes: &[u8], element: &Type) -> Result<Vec<ScalarValue>, Failure> {
    let text = text(bytes)?.trim();
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or_else(|| invalid(element))?;
    let mut values = Vec::new();
    let mut letters = inner.chars().peekable();
    while letters.peek().is_some() {
        let mut value = String::new();
        let mut quoted = false;
        let mut inside = false;
        while let Some(letter) = letters.next() {
            match letter {
                '"' => {
                    if !quoted {
                        // Blanks around what is quoted do not count, nor around what is not.
                        value.clear();
                    }
                    inside = !inside;
                    quoted = true;
                }
                '\\' => value.extend(letters.next()),
                ',' if !inside => break,
                blank if quoted && !inside && blank.is_whitespace() => {}
                other => value.push(other),
            }
        }
        if !quoted {
            value = value.trim().to_owned();
        }
        let null = !quoted && value.trim().eq_ignore_ascii_case("null");
        let bytes = (!null).then_some(value.as_bytes());
        values.push(scalar(bytes, false, element, Some(&arrow_type(element)?))?);
    }
    Ok(values)
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn text(bytes: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(bytes).map_err(|_| Failure::new("22021", "a text parameter is not valid UTF8"))
}

fn invalid(of: &Type) -> Failure {
    Failure::new(INVALID_TEXT, format!("invalid input for a parameter of type {of}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_binary_agree() {
        let both = |of: &Type, text: &str, binary: &[u8]| {
            let from_text = scalar(Some(text.as_bytes()), false, of, None).unwrap();
            assert_eq!(from_text, scalar(Some(binary), true, of, None).unwrap(), "{of}");
        };
        both(&Type::INT4, "-7", &(-7_i32).to_be_bytes());
        both(&Type::INT8, "7", &7_i64.to_be_bytes());
        both(&Type::BOOL, "t", &[1]);
        assert_eq!(date("2024-02-01 +00"), date("2024-02-01T10:00:00"));
        both(&Type::DATE, "2000-01-02", &1_i32.to_be_bytes());
        both(&Type::TEXT, "x", b"x");
        both(&Type::NUMERIC, "1234567.5", &[3_i16, 1, 0, 1, 123, 4567, 5000].map(i16::to_be_bytes).concat());
        both(&Type::TIMESTAMP, "2000-01-01 00:00:01", &1_000_000_i64.to_be_bytes());
        both(&Type::BYTEA, "\\x01ff", &[1, 255]);
        both(
            &Type::INTERVAL,
            "1 month 2 days 3 seconds",
            &[&3_000_000_i64.to_be_bytes()[..], &[0, 0, 0, 2, 0, 0, 0, 1]].concat(),
        );
        let array = [1_i32, 1, 23, 2, 1, 4, 5, -1].map(i32::to_be_bytes).concat();
        both(&Type::INT4_ARRAY, "{5,NULL}", &array);
        let blanks = list(r#"{ "p" , v w , "x y",NULL, "a\"b"}"#, &Type::TEXT).unwrap();
        assert_eq!(blanks, list(r#"{p,v w,"x y",NULL,a\"b}"#, &Type::TEXT).unwrap());
        assert_eq!(blanks.to_string(), "[p, v w, x y, , a\"b]");
    }

    #[test]
    fn values_become_what_the_plan_expects() {
        let wanted = Some(&DataType::Int64);
        assert_eq!(scalar(Some(b"5"), false, &Type::INT4, wanted).unwrap(), ScalarValue::Int64(Some(5)));
        assert_eq!(scalar(None, true, &Type::INT4, wanted).unwrap(), ScalarValue::Int64(None));
        assert_eq!(scalar(Some(b"five"), false, &Type::INT4, wanted).unwrap_err().code, "22P02");
        assert!(scalar(Some(&[0, 0, 0, 1, 0, 0]), true, &Type::INT4_ARRAY, None).is_err());
        let huge = [1_i32, 0, 23, i32::MAX, 1].map(i32::to_be_bytes).concat();
        assert!(scalar(Some(&huge), true, &Type::INT4_ARRAY, None).is_err());
    }
}
