//! SQL functions of our own: settings, normalised keys, the firm's days, rounding, how alike texts are.
//!
//! Invariants: settings are read from the session at run time, so a view planned once answers each session by its own
//! limits; an unknown setting is an error, never null. All normalising is pure.

mod rounding;
mod similarity;

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Date32Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use chrono::DateTime;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::engine::canonical::own_key;
use crate::engine::contact::{normalize_address, normalize_phone, normalize_postal_code};
use crate::engine::layout::AMOUNT;
use crate::engine::normalize::{normalize_name, normalize_number};
use crate::engine::options::{TieoutOptions, end_of_day};
use crate::engine::settings::Setting;
use crate::warehouse::rows::timestamp_type;

pub(crate) use rounding::{is_finer, round_half_even};

/// Registers all functions of ours.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for kind in Kind::ALL {
        let arguments = match kind {
            Kind::SettingListContains | Kind::OwnKey | Kind::KeyOf => vec![DataType::Utf8, DataType::Utf8],
            Kind::EndOfDay => vec![DataType::Date32],
            Kind::FirmDay => vec![timestamp_type()],
            _ => vec![DataType::Utf8],
        };
        let signature = Signature::new(TypeSignature::Exact(arguments), kind.volatility());
        registry.register_udf(Arc::new(ScalarUDF::from(Function { kind, signature })))?;
    }
    rounding::register(registry)?;
    similarity::register(registry)
}

/// Whether a function answers from the firm's settings and its arguments alone.
pub(crate) fn is_setting(name: &str) -> bool {
    Kind::ALL.iter().any(|kind| kind.name() == name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    SettingInteger,
    SettingDecimal,
    SettingText,
    SettingListContains,
    BooksOf,
    OwnKey,
    KeyOf,
    NormalizeNumber,
    NormalizeName,
    NormalizeAddress,
    NormalizePostalCode,
    NormalizePhone,
    EndOfDay,
    FirmDay,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::SettingInteger,
        Self::SettingDecimal,
        Self::SettingText,
        Self::SettingListContains,
        Self::BooksOf,
        Self::OwnKey,
        Self::KeyOf,
        Self::NormalizeNumber,
        Self::NormalizeName,
        Self::NormalizeAddress,
        Self::NormalizePostalCode,
        Self::NormalizePhone,
        Self::EndOfDay,
        Self::FirmDay,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::SettingInteger => "setting_integer",
            Self::SettingDecimal => "setting_decimal",
            Self::SettingText => "setting_text",
            Self::SettingListContains => "setting_list_contains",
            Self::BooksOf => "books_of",
            Self::OwnKey => "own_key",
            Self::KeyOf => "key_of",
            Self::NormalizeNumber => "normalize_number",
            Self::NormalizeName => "normalize_name",
            Self::NormalizeAddress => "normalize_address",
            Self::NormalizePostalCode => "normalize_postal_code",
            Self::NormalizePhone => "normalize_phone",
            Self::EndOfDay => "end_of_day",
            Self::FirmDay => "firm_day",
        }
    }

    /// What depends on the session may be folded within one query, not across queries.
    fn volatility(self) -> Volatility {
        match self {
            Self::OwnKey
            | Self::NormalizeNumber
            | Self::NormalizeName
            | Self::NormalizeAddress
            | Self::NormalizePostalCode
            | Self::NormalizePhone => Volatility::Immutable,
            _ => Volatility::Stable,
        }
    }
}

#[derive(Debug)]
struct Function {
    kind: Kind,
    signature: Signature,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::SettingInteger => DataType::Int64,
            Kind::SettingDecimal => AMOUNT.data_type(),
            Kind::SettingText
            | Kind::BooksOf
            | Kind::OwnKey
            | Kind::KeyOf
            | Kind::NormalizeNumber
            | Kind::NormalizeName
            | Kind::NormalizeAddress
            | Kind::NormalizePostalCode
            | Kind::NormalizePhone => DataType::Utf8,
            Kind::SettingListContains => DataType::Boolean,
            Kind::EndOfDay => timestamp_type(),
            Kind::FirmDay => DataType::Date32,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [first, rest @ ..] = arguments.args.as_slice() else {
            return plan_err!("{}: an argument is missing", self.name());
        };
        let options = || {
            let found = arguments.config_options.extensions.get::<TieoutOptions>();
            found.ok_or_else(|| exec_datafusion_err!("{}: this session was not opened by the engine", self.name()))
        };
        match self.kind {
            Kind::NormalizeNumber => map_text(first, arguments.number_rows, normalize_number),
            Kind::NormalizeName => map_text(first, arguments.number_rows, normalize_name),
            Kind::NormalizeAddress => map_text(first, arguments.number_rows, normalize_address),
            Kind::NormalizePostalCode => map_text(first, arguments.number_rows, normalize_postal_code),
            Kind::NormalizePhone => map_text(first, arguments.number_rows, normalize_phone),
            Kind::EndOfDay => ends_of_days(first, arguments.number_rows, options()?),
            Kind::FirmDay => firm_days(first, arguments.number_rows, options()?),
            Kind::BooksOf => {
                let books = &options()?.settings().books;
                let sources = first.to_array(arguments.number_rows)?;
                let found = sources.as_string::<i32>().iter().map(|source| books.get(source?));
                Ok(ColumnarValue::Array(Arc::new(found.collect::<StringArray>())))
            }
            Kind::OwnKey => keyed(first, rest, arguments.number_rows, |source, key| own_key(source, key).to_owned()),
            Kind::KeyOf => {
                let prefixes = &options()?.settings().prefixes;
                let whole = |source: &str, key: &str| prefixes.get(source).cloned().unwrap_or_default() + key;
                keyed(first, rest, arguments.number_rows, whole)
            }
            Kind::SettingListContains => contains(first, rest, arguments.number_rows, options()?),
            kind => setting(kind, first, options()?).map(ColumnarValue::Scalar),
        }
    }
}

fn setting_name(argument: &ColumnarValue) -> Result<&str> {
    if let ColumnarValue::Scalar(ScalarValue::Utf8(Some(name))) = argument {
        return Ok(name);
    }
    plan_err!("a setting's name must be a text literal, such as setting_integer('change_order_days')")
}

fn setting(kind: Kind, argument: &ColumnarValue, options: &TieoutOptions) -> Result<ScalarValue> {
    let name = setting_name(argument)?;
    let DataType::Decimal128(precision, scale) = AMOUNT.data_type() else {
        return plan_err!("amounts are no decimals");
    };
    match (kind, options.settings().values.get(name)) {
        (Kind::SettingInteger, Some(Setting::Integer(_))) => Ok(ScalarValue::Int64(options.integer(name))),
        (Kind::SettingDecimal, Some(Setting::Hundredths(value))) => {
            Ok(ScalarValue::Decimal128(Some(*value), precision, scale))
        }
        (Kind::SettingText, Some(Setting::Text(text))) => Ok(ScalarValue::Utf8(Some(text.clone()))),
        (_, Some(_)) => plan_err!("{}('{name}'): the setting is of another kind", kind.name()),
        (_, None) => {
            let names: Vec<&str> = options.settings().values.keys().map(String::as_str).collect();
            plan_err!("{}('{name}'): there is no such setting; hint: known are {}", kind.name(), names.join(", "))
        }
    }
}

fn contains(
    name: &ColumnarValue,
    rest: &[ColumnarValue],
    rows: usize,
    options: &TieoutOptions,
) -> Result<ColumnarValue> {
    let name = setting_name(name)?;
    let (Some(Setting::List(list)), Some(value)) = (options.settings().values.get(name), rest.first()) else {
        return plan_err!("setting_list_contains('{name}', …): there is no such list");
    };
    let values = value.to_array(rows)?;
    let found: BooleanArray = values
        .as_string::<i32>()
        .iter()
        .map(|value| value.map(|value| list.iter().any(|entry| entry == value)))
        .collect();
    Ok(ColumnarValue::Array(Arc::new(found)))
}

/// Keys of connections, without the connection's name in front or with it. A key of no connection stays as it is.
fn keyed(
    sources: &ColumnarValue,
    rest: &[ColumnarValue],
    rows: usize,
    write: impl Fn(&str, &str) -> String,
) -> Result<ColumnarValue> {
    let Some(keys) = rest.first() else {
        return plan_err!("own_key(source, record_id), key_of(…): the key is missing");
    };
    let (sources, keys) = (sources.to_array(rows)?, keys.to_array(rows)?);
    let pairs = sources.as_string::<i32>().iter().zip(keys.as_string::<i32>());
    let found = pairs.map(|(source, key)| key.map(|key| source.map_or(key.to_owned(), |source| write(source, key))));
    Ok(ColumnarValue::Array(Arc::new(found.collect::<StringArray>())))
}

fn map_text(argument: &ColumnarValue, rows: usize, map: fn(&str) -> Option<String>) -> Result<ColumnarValue> {
    if let ColumnarValue::Scalar(ScalarValue::Utf8(text)) = argument {
        return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(text.as_deref().and_then(map))));
    }
    let texts = argument.to_array(rows)?;
    let mapped: StringArray = texts.as_string::<i32>().iter().map(|text| text.and_then(map)).collect();
    Ok(ColumnarValue::Array(Arc::new(mapped)))
}

/// The day of a moment in the firm's zone.
fn firm_days(argument: &ColumnarValue, rows: usize, options: &TieoutOptions) -> Result<ColumnarValue> {
    let moments = argument.to_array(rows)?;
    let moments = moments.as_primitive::<TimestampMicrosecondType>();
    let day = |micros: Option<i64>| {
        let at = DateTime::from_timestamp_micros(micros?)?.with_timezone(&options.settings().time_zone);
        Some(Date32Type::from_naive_date(at.date_naive()))
    };
    Ok(ColumnarValue::Array(Arc::new(moments.iter().map(day).collect::<Date32Array>())))
}

fn ends_of_days(argument: &ColumnarValue, rows: usize, options: &TieoutOptions) -> Result<ColumnarValue> {
    let days = argument.to_array(rows)?;
    let days = days.as_primitive::<Date32Type>();
    let end = |index| {
        let day = days.is_valid(index).then(|| days.value_as_date(index)).flatten()?;
        end_of_day(day, options.settings().time_zone).map(|end| end.timestamp_micros())
    };
    let ends: TimestampMicrosecondArray = (0..days.len()).map(end).collect();
    Ok(ColumnarValue::Array(Arc::new(ends.with_data_type(timestamp_type()))))
}
