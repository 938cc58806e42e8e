//! The functions that clients call on their catalogue.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError};

use bytes::BytesMut;
use chrono::{DateTime, Offset as _, TimeZone as _, Utc};
use datafusion::arrow::array::{Array as _, ArrayRef, Int64Array, ListArray, StructArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::common::{ScalarValue, exec_datafusion_err, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::constraints::Constraint;
use super::rows::OWNER;
use super::types::{type_names, type_text};
use super::{
    Asker, EXPANDED, GRANTS, NAMESPACE, NO_OIDS, PATTERN, RELATION, RELATION_NAME, Relation, SCHEMA, SCHEMA_NAME,
    SHOWN, SUBSCRIPTS, TYPE, TYPE_NAME, TYPE_NAMES, schema_oid,
};
use super::{PROC, PROC_NAME, named, procs};
use crate::server::encode::Cells;
use crate::server::settings::SERVER_VERSION;
use crate::server::{sets, template};

/// What a function answers for one row's arguments.
type Body = fn(&Asker, &[ScalarValue]) -> Result<ScalarValue>;

/// One function.
struct CatalogFunction {
    name: &'static str,
    returns: DataType,
    body: Body,
    signature: Signature,
    asker: Arc<Asker>,
}

/// All functions of a session.
#[expect(clippy::too_many_lines, reason = "a list, one entry a function")]
pub(super) fn all(asker: &Arc<Asker>) -> Vec<ScalarUDF> {
    let texts = || DataType::new_list(DataType::Utf8, true);
    let (text, bool, int, oid) = (DataType::Utf8, DataType::Boolean, DataType::Int64, DataType::UInt32);
    let mut list: Vec<(&'static str, DataType, Body)> = vec![
        ("version", text.clone(), |_, _| {
            Ok(string(format!("PostgreSQL {SERVER_VERSION} (tieout {})", env!("CARGO_PKG_VERSION"))))
        }),
        ("current_database", text.clone(), |asker, _| Ok(string(&asker.databases.name))),
        ("current_catalog", text.clone(), |asker, _| Ok(string(&asker.databases.name))),
        ("current_schema", text.clone(), |asker, _| Ok(ScalarValue::Utf8(asker.search_path().into_iter().next()))),
        ("current_schemas", texts(), |asker, arguments| {
            let own = (arguments.first() == Some(&ScalarValue::Boolean(Some(true)))).then(|| SCHEMA.to_owned());
            let names: Vec<ScalarValue> = own.into_iter().chain(asker.search_path()).map(string).collect();
            Ok(ScalarValue::List(ScalarValue::new_list_nullable(&names, &DataType::Utf8)))
        }),
        ("format_type", text.clone(), |_, arguments| {
            Ok(ScalarValue::Utf8(number(arguments, 0).map(|oid| type_text(oid, number(arguments, 1)))))
        }),
        ("pg_get_userbyid", text.clone(), |_, _| Ok(string(OWNER))),
        ("pg_table_is_visible", bool.clone(), |asker, arguments| {
            let path = asker.search_path();
            Ok(flag(relation(asker, arguments, |relation| path.contains(&relation.schema)).unwrap_or(false)))
        }),
        ("pg_get_viewdef", text.clone(), |asker, arguments| {
            Ok(ScalarValue::Utf8(relation(asker, arguments, |relation| relation.definition.clone()).flatten()))
        }),
        ("pg_get_constraintdef", text.clone(), |asker, arguments| {
            let (listed, oid) = (asker.listed(), number(arguments, 0));
            let found = listed.constraints.iter().find(|constraint| Some(constraint.oid) == oid);
            Ok(ScalarValue::Utf8(found.map(Constraint::definition)))
        }),
        ("pg_get_indexdef", text.clone(), |asker, arguments| {
            let (listed, oid) = (asker.listed(), number(arguments, 0));
            let column = number(arguments, 1).and_then(|column| usize::try_from(column).ok()).unwrap_or(0);
            let is_meant = |found: &&Constraint| found.is_index() && Some(found.index_oid()) == oid;
            let found = listed.constraints.iter().find(is_meant);
            Ok(ScalarValue::Utf8(found.map(|found| found.index_definition(column))))
        }),
        ("obj_description", text.clone(), |asker, arguments| {
            if letters(arguments, 1).as_deref() == Some("pg_namespace") {
                let schema = number(arguments, 0).and_then(|oid| schema_of(asker, oid));
                let describe = |schema: String| asker.descriptions.as_ref()?(&schema, "", None);
                return Ok(ScalarValue::Utf8(schema.and_then(describe)));
            }
            let describe = |relation: &Relation| asker.descriptions.as_ref()?(&relation.schema, &relation.name, None);
            Ok(ScalarValue::Utf8(relation(asker, arguments, describe).flatten()))
        }),
        ("col_description", text.clone(), |asker, arguments| {
            let place = number(arguments, 1).and_then(|place| usize::try_from(place).ok()?.checked_sub(1));
            let describe = |relation: &Relation| {
                let column = relation.columns.fields().get(place?)?.name();
                asker.descriptions.as_ref()?(&relation.schema, &relation.name, Some(column))
            };
            Ok(ScalarValue::Utf8(relation(asker, arguments, describe).flatten()))
        }),
        ("pg_encoding_to_char", text.clone(), |_, _| Ok(string("UTF8"))),
        ("pg_size_pretty", text.clone(), |_, arguments| Ok(ScalarValue::Utf8(number(arguments, 0).map(size_pretty)))),
        ("getdatabaseencoding", text.clone(), |_, _| Ok(string("UTF8"))),
        ("pg_char_to_encoding", int.clone(), |_, _| Ok(ScalarValue::Int64(Some(6)))),
        ("quote_ident", text.clone(), |_, arguments| {
            Ok(ScalarValue::Utf8(letters(arguments, 0).map(|name| quoted(&name))))
        }),
        ("quote_literal", text.clone(), |_, arguments| {
            Ok(ScalarValue::Utf8(letters(arguments, 0).map(|text| format!("'{}'", text.replace('\'', "''")))))
        }),
        ("current_setting", text.clone(), |asker, arguments| {
            let name = letters(arguments, 0).unwrap_or_default();
            let settings = asker.settings.lock().unwrap_or_else(PoisonError::into_inner);
            match settings.get(&name) {
                None if arguments.len() < 2 => exec_err!("unrecognized configuration parameter \"{name}\""),
                value => Ok(ScalarValue::Utf8(value.map(str::to_owned))),
            }
        }),
        ("set_config", text.clone(), |asker, arguments| {
            let (Some(name), Some(value)) = (letters(arguments, 0), letters(arguments, 1)) else {
                return Ok(ScalarValue::Utf8(None));
            };
            let mut settings = asker.settings.lock().unwrap_or_else(PoisonError::into_inner);
            // These mean something to the session beside their text, which SET sees to.
            if ["search_path", "timezone"].iter().any(|other| name.eq_ignore_ascii_case(other)) {
                return exec_err!("set_config cannot change \"{name}\"\nhint: use SET {name} = …");
            }
            match settings.set(&name, Some(&value)) {
                Ok(()) => Ok(ScalarValue::Utf8(settings.get(&name).map(str::to_owned))),
                Err(failure) => exec_err!("{}", failure.message),
            }
        }),
        ("to_regclass", oid.clone(), |asker, arguments| Ok(named::looked_up(asker, arguments, named::RELATION))),
        ("to_char", text.clone(), to_char),
        (PROC, int.clone(), |_, arguments| {
            Ok(ScalarValue::Int64(letters(arguments, 0).and_then(|name| procs::oid(&name))))
        }),
        (PROC_NAME, text.clone(), |_, arguments| Ok(ScalarValue::Utf8(number(arguments, 0).map(procs::name)))),
        ("array_upper", int.clone(), |_, arguments| {
            let count = elements(arguments).and_then(|elements| i64::try_from(elements.len()).ok());
            Ok(ScalarValue::Int64(count.filter(|count| *count > 0)))
        }),
        ("array_lower", int.clone(), |_, arguments| {
            let has_some = elements(arguments).is_some_and(|elements| !elements.is_empty());
            Ok(ScalarValue::Int64(has_some.then_some(1)))
        }),
        ("to_regtype", oid.clone(), |asker, arguments| Ok(named::looked_up(asker, arguments, named::TYPE))),
        ("to_regnamespace", oid.clone(), |asker, arguments| Ok(named::looked_up(asker, arguments, named::NAMESPACE))),
        (RELATION, oid.clone(), |asker, arguments| named::cast(asker, arguments, named::RELATION)),
        (TYPE, oid.clone(), |asker, arguments| named::cast(asker, arguments, named::TYPE)),
        (NAMESPACE, oid.clone(), |asker, arguments| named::cast(asker, arguments, named::NAMESPACE)),
        (SUBSCRIPTS, DataType::new_list(DataType::Int64, true), |_, arguments| Ok(subscripts(arguments))),
        (EXPANDED, expanded_type(), |_, arguments| expanded(arguments)),
        (NO_OIDS, DataType::new_list(DataType::UInt32, true), |_, _| {
            Ok(ScalarValue::List(ScalarValue::new_list_nullable(&[], &DataType::UInt32)))
        }),
        (GRANTS, grants_type(), |_, _| ScalarValue::try_from(grants_type())),
        ("pg_blocking_pids", DataType::new_list(DataType::Int32, true), |_, _| {
            Ok(ScalarValue::List(ScalarValue::new_list_nullable(&[], &DataType::Int32)))
        }),
        ("pg_backend_pid", DataType::Int32, |asker, _| Ok(ScalarValue::Int32(Some(asker.pid())))),
        ("pg_cancel_backend", bool.clone(), |asker, arguments| {
            Ok(ScalarValue::Boolean(number(arguments, 0).map(|pid| asker.stop(pid, false))))
        }),
        ("pg_terminate_backend", bool.clone(), |asker, arguments| {
            Ok(ScalarValue::Boolean(number(arguments, 0).map(|pid| asker.stop(pid, true))))
        }),
        ("acldefault", texts(), |_, _| ScalarValue::try_from(DataType::new_list(DataType::Utf8, true))),
        ("bpchar", text.clone(), |_, arguments| Ok(ScalarValue::Utf8(letters(arguments, 0)))),
        (SHOWN, text.clone(), |asker, arguments| {
            let Some(value) = arguments.first().filter(|value| !value.is_null()) else {
                return Ok(ScalarValue::Utf8(None));
            };
            let zone = asker.settings.lock().unwrap_or_else(PoisonError::into_inner).zone();
            let mut out = BytesMut::new();
            Cells::new(&value.to_array()?)?.text(0, zone, &mut out);
            Ok(string(String::from_utf8_lossy(&out)))
        }),
        (PATTERN, text.clone(), |_, arguments| match (letters(arguments, 0), letters(arguments, 1)) {
            (Some(text), Some(escape)) => sets::pattern(&text, &escape)
                .map(string)
                .ok_or_else(|| exec_datafusion_err!("invalid escape string or pattern: \"{escape}\", \"{text}\"")),
            _ => Ok(ScalarValue::Utf8(None)),
        }),
        (RELATION_NAME, text.clone(), |asker, arguments| {
            let path = asker.search_path();
            let name = |relation: &Relation| {
                if path.contains(&relation.schema) {
                    quoted(&relation.name)
                } else {
                    format!("{}.{}", quoted(&relation.schema), quoted(&relation.name))
                }
            };
            Ok(ScalarValue::Utf8(relation(asker, arguments, name).or_else(|| letters(arguments, 0))))
        }),
        (TYPE_NAME, text.clone(), |_, arguments| {
            Ok(ScalarValue::Utf8(number(arguments, 0).map(|oid| type_text(oid, None))))
        }),
        (TYPE_NAMES, texts(), |_, arguments| type_names(elements(arguments))),
        (SCHEMA_NAME, text.clone(), |asker, arguments| {
            let found = number(arguments, 0).and_then(|oid| schema_of(asker, oid));
            Ok(ScalarValue::Utf8(found.or_else(|| letters(arguments, 0))))
        }),
    ];
    for name in ["current_user", "session_user", "user", "current_role"] {
        list.push((name, text.clone(), |asker, _| Ok(string(&asker.user))));
    }
    for name in NULL_TEXTS {
        list.push((name, text.clone(), |_, _| Ok(ScalarValue::Utf8(None))));
    }
    for name in ["pg_my_temp_schema", "txid_current"] {
        list.push((name, int.clone(), |_, _| Ok(ScalarValue::Int64(Some(0)))));
    }
    for name in NULL_NUMBERS {
        list.push((name, int.clone(), |_, _| Ok(ScalarValue::Int64(None))));
    }
    for name in [
        "pg_function_is_visible",
        "pg_type_is_visible",
        "pg_operator_is_visible",
        "pg_collation_is_visible",
        "pg_opclass_is_visible",
        "pg_opfamily_is_visible",
        "pg_conversion_is_visible",
        "pg_ts_config_is_visible",
        "pg_ts_dict_is_visible",
        "pg_ts_parser_is_visible",
        "pg_ts_template_is_visible",
        "pg_statistics_obj_is_visible",
    ] {
        list.push((name, bool.clone(), |_, _| Ok(flag(true))));
    }
    for name in
        ["pg_is_in_recovery", "pg_is_wal_replay_paused", "pg_relation_is_publishable", "pg_is_other_temp_schema"]
    {
        list.push((name, bool.clone(), |_, _| Ok(flag(false))));
    }
    for (name, of) in PRIVILEGES {
        list.push((name, bool.clone(), *of));
    }
    let function = |(name, returns, body)| {
        // What does something is not done by planning it.
        let volatility = if ACTS.contains(&name) { Volatility::Volatile } else { Volatility::Stable };
        let signature = Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], volatility);
        ScalarUDF::from(CatalogFunction { name, returns, body, signature, asker: Arc::clone(asker) })
    };
    list.into_iter().map(function).collect()
}

/// Who may do what: everybody may read what there is, nobody may more.
const PRIVILEGES: &[(&str, Body)] = &[
    ("has_table_privilege", |asker, arguments| named::privilege(asker, arguments, Some(named::RELATION))),
    ("has_column_privilege", |asker, arguments| named::column_privilege(asker, arguments)),
    ("has_any_column_privilege", |asker, arguments| named::privilege(asker, arguments, Some(named::RELATION))),
    ("has_schema_privilege", |asker, arguments| named::privilege(asker, arguments, Some(named::NAMESPACE))),
    ("has_database_privilege", |asker, arguments| named::privilege(asker, arguments, None)),
    ("has_function_privilege", |asker, arguments| named::privilege(asker, arguments, None)),
    ("has_sequence_privilege", |asker, arguments| named::privilege(asker, arguments, None)),
    ("pg_has_role", |asker, arguments| named::privilege(asker, arguments, None)),
];

/// Functions that do something.
const ACTS: &[&str] = &["pg_cancel_backend", "pg_terminate_backend", "set_config"];

/// What the server has nothing to say about.
const NULL_TEXTS: &[&str] = &[
    "pg_get_expr",
    "pg_get_triggerdef",
    "pg_get_ruledef",
    "pg_get_partkeydef",
    "pg_get_statisticsobjdef_columns",
    "pg_get_function_result",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_functiondef",
    "pg_get_serial_sequence",
    "shobj_description",
    "pg_tablespace_location",
    "inet_server_addr",
    "inet_client_addr",
    "pg_advisory_unlock_all",
    "pg_current_logfile",
];

/// Sizes, which differ from one moment's files to another's; bounds of lists, which are all null.
const NULL_NUMBERS: &[&str] = &[
    "pg_relation_size",
    "pg_total_relation_size",
    "pg_table_size",
    "pg_indexes_size",
    "pg_database_size",
    "pg_tablespace_size",
];

impl fmt::Debug for CatalogFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for CatalogFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.asker, &other.asker)
    }
}

impl Eq for CatalogFunction {}

impl Hash for CatalogFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for CatalogFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let row = |row: usize| -> Result<ScalarValue> {
            let value = |argument: &ColumnarValue| match argument {
                ColumnarValue::Scalar(scalar) => Ok(scalar.clone()),
                ColumnarValue::Array(array) => ScalarValue::try_from_array(array, row),
            };
            let values = arguments.args.iter().map(value).collect::<Result<Vec<_>>>()?;
            (self.body)(&self.asker, &values)
        };
        // Where there is no row nothing is looked up: a name that is not there is then no error.
        if arguments.number_rows == 0 {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(&self.returns)?));
        }
        if constant {
            return Ok(ColumnarValue::Scalar(row(0)?));
        }
        let values = (0..arguments.number_rows).map(row).collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?))
    }
}

fn string(text: impl Into<String>) -> ScalarValue {
    ScalarValue::Utf8(Some(text.into()))
}

fn flag(value: bool) -> ScalarValue {
    ScalarValue::Boolean(Some(value))
}

pub(super) fn number(arguments: &[ScalarValue], place: usize) -> Option<i64> {
    match arguments.get(place)?.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

pub(super) fn letters(arguments: &[ScalarValue], place: usize) -> Option<String> {
    match arguments.get(place)?.cast_to(&DataType::Utf8) {
        Ok(ScalarValue::Utf8(text)) => text,
        _ => None,
    }
}

/// `to_char(value, template)`, a moment in the session's zone.
fn to_char(asker: &Asker, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let (Some(value), Some(words)) = (arguments.first().filter(|value| !value.is_null()), letters(arguments, 1)) else {
        return Ok(ScalarValue::Utf8(None));
    };
    let data_type = value.data_type();
    let told = match data_type {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            let has_zone = matches!(data_type, DataType::Timestamp(_, Some(_)));
            let zone = has_zone.then(|| "UTC".into());
            let at = match value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone))? {
                ScalarValue::TimestampMicrosecond(Some(at), _) => DateTime::from_timestamp_micros(at),
                _ => None,
            };
            let Some(at) = at.map(|at| at.naive_utc()) else { return Ok(ScalarValue::Utf8(None)) };
            let zone = asker.settings.lock().unwrap_or_else(PoisonError::into_inner).zone();
            let offset = if has_zone { zone.offset_from_utc_datetime(&at).fix() } else { Utc.fix() };
            let hours = offset.local_minus_utc() / 3600;
            let minutes = offset.local_minus_utc().abs() / 60 % 60;
            let shown = if minutes == 0 { format!("{hours:+03}") } else { format!("{hours:+03}:{minutes:02}") };
            let name = if has_zone { zone.to_string() } else { String::new() };
            template::moment(at + offset, &words, (&name, if has_zone { &shown } else { "+00" }))
        }
        of if of.is_numeric() => template::number(&letters(arguments, 0).unwrap_or_default(), &words),
        of => Err(format!("values of type {of} are not supported")),
    };
    told.map(string).map_err(|reason| exec_datafusion_err!("to_char: {reason}"))
}

/// The elements of a list argument.
fn elements(arguments: &[ScalarValue]) -> Option<ArrayRef> {
    match arguments.first()? {
        ScalarValue::List(list) => list.iter().next().flatten(),
        _ => None,
    }
}

/// The subscripts of a list that starts at the second argument.
fn subscripts(arguments: &[ScalarValue]) -> ScalarValue {
    let first = number(arguments, 1).unwrap_or(1);
    let count = elements(arguments).map_or(0, |elements| i64::try_from(elements.len()).unwrap_or(0));
    let values: Vec<ScalarValue> = (0..count).map(|place| ScalarValue::Int64(Some(first + place))).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Int64))
}

fn expanded_fields() -> Fields {
    vec![Field::new("x", DataType::Int64, true), Field::new("n", DataType::Int64, true)].into()
}

fn expanded_type() -> DataType {
    DataType::new_list(DataType::Struct(expanded_fields()), true)
}

/// A list of what somebody may do.
fn grants_type() -> DataType {
    let oid = |name: &str| Field::new(name, DataType::UInt32, true);
    let word = Field::new("privilege_type", DataType::Utf8, true);
    let is_grantable = Field::new("is_grantable", DataType::Boolean, true);
    DataType::new_list(DataType::Struct(vec![oid("grantor"), oid("grantee"), word, is_grantable].into()), true)
}

/// The elements of a list of numbers, each with its place from 1.
fn expanded(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let Some(elements) = elements(arguments) else { return ScalarValue::try_from(expanded_type()) };
    let values = cast(&elements, &DataType::Int64)?;
    let places = Int64Array::from_iter_values(1..=i64::try_from(values.len()).unwrap_or(0));
    let pairs = StructArray::try_new(expanded_fields(), vec![values, Arc::new(places)], None)?;
    let field = Arc::new(Field::new_list_field(DataType::Struct(expanded_fields()), true));
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths([pairs.len()]), Arc::new(pairs), None)?;
    Ok(ScalarValue::List(Arc::new(list)))
}

/// The name of the schema with that oid.
fn schema_of(asker: &Asker, oid: i64) -> Option<String> {
    asker.schemas().into_iter().chain([SCHEMA.to_owned()]).find(|name| schema_oid(name) == oid)
}

/// What is asked of the relation whose oid is the first argument.
fn relation<T>(asker: &Asker, arguments: &[ScalarValue], ask: impl Fn(&Relation) -> T) -> Option<T> {
    let oid = number(arguments, 0)?;
    asker.listed().relation(oid).map(ask)
}

/// A name as it must be written.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A size in the unit in which it has four digits, or five, rounded as Postgres rounds it.
fn size_pretty(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes.unsigned_abs() < 10 * 1024 {
        return format!("{bytes} bytes");
    }
    // Kept in halves of the unit, so that the last bit rounds.
    let mut halves = bytes / 512;
    let mut units = UNITS.iter().peekable();
    while let Some(unit) = units.next() {
        if halves.unsigned_abs() < 20 * 1024 - 1 || units.peek().is_none() {
            return format!("{} {unit}", halves.midpoint(halves.signum()));
        }
        halves /= 1024;
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_when_they_must() {
        assert_eq!(quoted("plain_1"), "plain_1");
        assert_eq!(quoted("Mixed \"x\""), "\"Mixed \"\"x\"\"\"");
    }
}
