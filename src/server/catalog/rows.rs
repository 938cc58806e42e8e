//! The rows of the `pg_catalog` tables that have any.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_empty_array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use pgwire::api::Type;

use super::constraints::Constraint;
use super::{Asker, Listed, Relation, SCHEMA, activity, dependencies, oid, own, procs, schema_oid};
use crate::server::encode::{SHOWN_AS, field_type, type_modifier, type_size};

/// The owner of everything, as clients see it.
pub(super) const OWNER: &str = "tieout";
pub(super) const OWNER_OID: i64 = 10;

/// The oids of `pg_class` and `pg_namespace`, which say what a description is of.
const RELATION_CLASS: i64 = 1259;
const NAMESPACE_CLASS: i64 = 2615;
/// The one place where Postgres would keep its files.
const TABLESPACE_OID: i64 = 1663;

/// A row: the columns that are not null.
pub(super) type Row = HashMap<&'static str, ScalarValue>;

/// Rows as a table of these columns, with the oid of the table that they are of.
pub(super) fn batch(rows: &[Row], columns: &str, table: i64) -> Result<RecordBatch> {
    let fields: Vec<Field> = columns.split_whitespace().filter_map(field).collect();
    let schema = Arc::new(Schema::new(fields));
    let column = |field: &Arc<Field>| -> Result<ArrayRef> {
        if rows.is_empty() {
            return Ok(new_empty_array(field.data_type()));
        }
        let null = match field.name().as_str() {
            "tableoid" => int(table).cast_to(field.data_type())?,
            "xmin" => int(0).cast_to(field.data_type())?,
            _ => ScalarValue::try_from(field.data_type())?,
        };
        let value = |row: &Row| {
            let value = row.get(field.name().as_str()).cloned().unwrap_or_else(|| null.clone());
            value.cast_to(field.data_type()).unwrap_or_else(|_| null.clone())
        };
        ScalarValue::iter_to_array(rows.iter().map(value))
    };
    let arrays = schema.fields().iter().map(column).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
}

pub(super) fn field(column: &str) -> Option<Field> {
    let (name, of) = column.split_once(':')?;
    let data_type = match of {
        "i" => DataType::UInt32,
        "m" | "p" => DataType::Int64,
        "n" => DataType::Int32,
        "z" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "v" | "a" => DataType::new_list(DataType::Int16, true),
        "o" => DataType::new_list(DataType::UInt32, true),
        "s" => DataType::Int16,
        "y" => DataType::Binary,
        "b" => DataType::Boolean,
        "w" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "f" => DataType::Float32,
        "d" => DataType::Float64,
        "l" => DataType::new_list(DataType::Utf8, true),
        _ => DataType::Utf8,
    };
    let field = Field::new(name, data_type, true);
    let shown = |as_type: &str| field.clone().with_metadata(HashMap::from([(SHOWN_AS.to_owned(), as_type.to_owned())]));
    Some(match of {
        "p" => shown("regproc"),
        "v" => shown("int2vector"),
        "o" => shown("oidvector"),
        _ => field,
    })
}

pub(super) fn text(value: impl Into<String>) -> ScalarValue {
    ScalarValue::Utf8(Some(value.into()))
}

pub(super) fn int(value: i64) -> ScalarValue {
    ScalarValue::Int64(Some(value))
}

/// A list of column numbers.
pub(super) fn small_numbers(values: impl Iterator<Item = i16>) -> ScalarValue {
    let values: Vec<ScalarValue> = values.map(|value| ScalarValue::Int16(Some(value))).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Int16))
}

/// A list of oids.
pub(super) fn numbers(values: impl Iterator<Item = i64>) -> ScalarValue {
    let values: Vec<ScalarValue> = values.map(int).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Int64))
}

pub(super) fn yes() -> ScalarValue {
    ScalarValue::Boolean(Some(true))
}

pub(super) fn no() -> ScalarValue {
    ScalarValue::Boolean(Some(false))
}

/// A catalogue table's rows now.
pub(super) fn rows(asker: &Asker, listed: &Listed, table: &str) -> Vec<Row> {
    let relations = &listed.relations;
    let indexes = || listed.constraints.iter().filter(|constraint| constraint.is_index());
    match table {
        "pg_am" => {
            let method = |(oid, name, of): (i64, &str, &str)| {
                Row::from([("oid", int(oid)), ("amname", text(name)), ("amhandler", text("-")), ("amtype", text(of))])
            };
            [(2, "heap", "t"), (403, "btree", "i")].into_iter().map(method).collect()
        }
        "pg_attribute" => {
            let all = relations.iter().chain(own::RELATIONS.iter()).flat_map(attributes);
            all.chain(indexes().flat_map(Constraint::attribute_rows)).collect()
        }
        "pg_class" => {
            let referring: HashSet<i64> = listed.constraints.iter().flat_map(Constraint::referring).collect();
            let all = relations.iter().chain(own::RELATIONS.iter()).map(|relation| class(relation, &referring));
            all.chain(indexes().map(Constraint::class_row)).collect()
        }
        "pg_depend" => dependencies::of(listed),
        "pg_constraint" => listed.constraints.iter().map(Constraint::row).collect(),
        "pg_rewrite" => relations.iter().filter(|relation| relation.is_view).map(rule).collect(),
        "pg_index" => indexes().map(Constraint::index_row).collect(),
        "pg_indexes" => indexes().map(Constraint::listed_row).collect(),
        "pg_database" => asker.databases.names().into_iter().map(database).collect(),
        "pg_description" => {
            let of_schema = |schema: String| {
                let description = asker.descriptions.as_ref()?(&schema, "", None)?;
                Some(description_row(schema_oid(&schema), NAMESPACE_CLASS, 0, description))
            };
            let of_relations = relations.iter().flat_map(|relation| descriptions(asker, relation));
            of_relations.chain(asker.schemas().into_iter().filter_map(of_schema)).collect()
        }
        "pg_namespace" => {
            let own = [SCHEMA.to_owned(), "information_schema".to_owned()];
            let row = |name: String| {
                let oid = schema_oid(&name);
                Row::from([("oid", int(oid)), ("nspname", text(name)), ("nspowner", int(OWNER_OID))])
            };
            asker.schemas().into_iter().chain(own).map(row).collect()
        }
        "pg_proc" => procs::all().map(proc).collect(),
        "pg_roles" => roles(asker).map(role).into(),
        "pg_user" | "pg_shadow" => roles(asker).map(user).into(),
        "pg_settings" => {
            let settings = asker.settings.lock().unwrap_or_else(PoisonError::into_inner);
            let row = |(name, value): (&str, &str)| {
                Row::from([
                    ("name", text(name)),
                    ("setting", text(value)),
                    ("boot_val", text(value)),
                    ("reset_val", text(value)),
                    ("context", text("user")),
                    ("vartype", text("string")),
                    ("source", text("default")),
                    ("category", text("Session")),
                    ("short_desc", text("")),
                    ("pending_restart", no()),
                ])
            };
            settings.all().map(row).collect()
        }
        "pg_tables" => relations.iter().filter(|relation| !relation.is_view).map(named).collect(),
        "pg_tablespace" => vec![Row::from([
            ("oid", int(TABLESPACE_OID)),
            ("spcname", text("pg_default")),
            ("spcowner", int(OWNER_OID)),
        ])],
        "pg_views" => relations.iter().filter(|relation| relation.is_view).map(named).collect(),
        "pg_type" => TYPES.iter().map(|of| type_row(of)).collect(),
        other => activity::rows(asker, listed, other),
    }
}

/// Who there is, as far as the role that asks can tell.
fn roles(asker: &Asker) -> [(&str, i64); 2] {
    [(OWNER, OWNER_OID), (asker.user.as_str(), oid(&asker.user))]
}

fn user((name, number): (&str, i64)) -> Row {
    Row::from([
        ("usename", text(name)),
        ("usesysid", int(number)),
        ("usecreatedb", no()),
        ("usesuper", no()),
        ("userepl", no()),
        ("usebypassrls", no()),
        ("passwd", text("********")),
    ])
}

fn database(name: String) -> Row {
    Row::from([
        ("oid", int(oid(&name))),
        ("datname", text(name)),
        ("datdba", int(OWNER_OID)),
        ("encoding", int(6)),
        ("datlocprovider", text("c")),
        ("datistemplate", no()),
        ("datallowconn", yes()),
        ("datconnlimit", int(-1)),
        ("dattablespace", int(TABLESPACE_OID)),
        ("datcollate", text("C")),
        ("datctype", text("C")),
    ])
}

fn proc((number, name): (i64, &str)) -> Row {
    Row::from([
        ("oid", int(number)),
        ("proname", text(name)),
        ("pronamespace", int(schema_oid(SCHEMA))),
        ("proowner", int(OWNER_OID)),
        ("prolang", int(12)),
        ("prokind", text("f")),
        ("prosecdef", no()),
        ("proleakproof", no()),
        ("proisstrict", yes()),
        ("proretset", no()),
        ("provolatile", text("i")),
        ("proparallel", text("s")),
        ("pronargs", int(1)),
        ("prorettype", int(2278)),
        ("prosrc", text(name)),
    ])
}

fn role((name, number): (&str, i64)) -> Row {
    Row::from([
        ("oid", int(number)),
        ("rolname", text(name)),
        ("rolsuper", no()),
        ("rolinherit", yes()),
        ("rolcreaterole", no()),
        ("rolcreatedb", no()),
        ("rolcanlogin", yes()),
        ("rolreplication", no()),
        ("rolconnlimit", int(-1)),
        ("rolbypassrls", no()),
    ])
}

fn named(relation: &Relation) -> Row {
    Row::from([
        ("schemaname", text(relation.schema.clone())),
        ("tablename", text(relation.name.clone())),
        ("viewname", text(relation.name.clone())),
        ("tableowner", text(OWNER)),
        ("viewowner", text(OWNER)),
        ("definition", ScalarValue::Utf8(relation.definition.clone())),
        ("hasindexes", ScalarValue::Boolean(Some(relation.keys.is_some()))),
        ("hasrules", no()),
        ("hastriggers", no()),
    ])
}

/// `referring` are the relations with references from or to them.
fn class(relation: &Relation, referring: &HashSet<i64>) -> Row {
    let kind = if relation.is_view { "v" } else { "r" };
    let mut row = class_row(relation.oid(), &relation.name, &relation.schema, kind, relation.columns.fields().len());
    let keys = relation.keys.as_ref();
    let has = |value: bool| ScalarValue::Boolean(Some(value));
    row.insert("relhasrules", has(relation.is_view));
    row.insert("relhasindex", has(keys.is_some_and(|keys| !keys.primary.is_empty())));
    // Postgres keeps references by triggers, and psql looks for them where there are any.
    row.insert("relhastriggers", has(referring.contains(&relation.oid())));
    row
}

/// The number of a view's rule.
pub(super) fn rule_oid(relation: &Relation) -> i64 {
    oid(&format!("_RETURN of {}.{}", relation.schema, relation.name))
}

/// Postgres keeps a view's query as a rule.
fn rule(relation: &Relation) -> Row {
    Row::from([
        ("oid", int(rule_oid(relation))),
        ("rulename", text("_RETURN")),
        ("ev_class", int(relation.oid())),
        ("ev_type", text("1")),
        ("ev_enabled", text("O")),
        ("is_instead", yes()),
    ])
}

/// A row of `pg_class`.
pub(super) fn class_row(oid: i64, name: &str, schema: &str, kind: &str, columns: usize) -> Row {
    Row::from([
        ("oid", int(oid)),
        ("relname", text(name)),
        ("relnamespace", int(schema_oid(schema))),
        ("reltype", int(0)),
        ("reloftype", int(0)),
        ("relowner", int(OWNER_OID)),
        ("relam", int(if kind == "r" { 2 } else { 0 })),
        ("relfilenode", int(0)),
        ("reltablespace", int(0)),
        ("relpages", int(0)),
        ("reltuples", int(-1)),
        ("relallvisible", int(0)),
        ("reltoastrelid", int(0)),
        ("relhasindex", no()),
        ("relisshared", no()),
        ("relpersistence", text("p")),
        ("relkind", text(kind)),
        ("relnatts", int(i64::try_from(columns).unwrap_or(0))),
        ("relchecks", int(0)),
        ("relhasrules", no()),
        ("relhastriggers", no()),
        ("relhassubclass", no()),
        ("relrowsecurity", no()),
        ("relforcerowsecurity", no()),
        ("relispopulated", yes()),
        ("relreplident", text("n")),
        ("relispartition", no()),
        ("relrewrite", int(0)),
    ])
}

fn attributes(relation: &Relation) -> Vec<Row> {
    let primary = relation.keys.as_ref().map(|keys| keys.primary.as_slice()).unwrap_or_default();
    let row = |(place, field): (usize, &Arc<Field>)| {
        column_row(relation.oid(), place, field, !field.is_nullable() || primary.contains(field.name()))
    };
    relation.columns.fields().iter().enumerate().map(row).collect()
}

/// A row of `pg_attribute`.
pub(super) fn column_row(relation: i64, place: usize, field: &Field, is_required: bool) -> Row {
    let of = field_type(field.data_type());
    Row::from([
        ("attrelid", int(relation)),
        ("attname", text(field.name().clone())),
        ("atttypid", int(of.oid().into())),
        ("attlen", int(type_size(&of).into())),
        ("attnum", int(i64::try_from(place + 1).unwrap_or(0))),
        ("atttypmod", int(type_modifier(field.data_type()).into())),
        ("attndims", int(0)),
        ("attbyval", no()),
        ("attalign", text("i")),
        ("attstorage", text("p")),
        ("attcompression", text("")),
        ("attnotnull", ScalarValue::Boolean(Some(is_required))),
        ("atthasdef", no()),
        ("atthasmissing", no()),
        ("attidentity", text("")),
        ("attgenerated", text("")),
        ("attisdropped", no()),
        ("attislocal", yes()),
        ("attinhcount", int(0)),
        ("attcollation", int(0)),
        ("attstattarget", int(-1)),
    ])
}

fn descriptions(asker: &Asker, relation: &Relation) -> Vec<Row> {
    let Some(descriptions) = &asker.descriptions else { return Vec::new() };
    let row = |place: usize, description: String| description_row(relation.oid(), RELATION_CLASS, place, description);
    let columns = relation.columns.fields().iter().enumerate().filter_map(|(place, field)| {
        Some(row(place + 1, descriptions(&relation.schema, &relation.name, Some(field.name()))?))
    });
    descriptions(&relation.schema, &relation.name, None).map(|text| row(0, text)).into_iter().chain(columns).collect()
}

fn description_row(object: i64, class: i64, place: usize, description: String) -> Row {
    Row::from([
        ("objoid", int(object)),
        ("classoid", int(class)),
        ("objsubid", int(i64::try_from(place).unwrap_or(0))),
        ("description", text(description)),
    ])
}

/// The types that results have, and those that parameters are sent as.
const TYPES: &[Type] = &[
    Type::BOOL,
    Type::BYTEA,
    Type::NAME,
    Type::INT8,
    Type::INT2,
    Type::INT4,
    Type::TEXT,
    Type::OID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::DATE,
    Type::TIME,
    Type::TIMESTAMP,
    Type::TIMESTAMPTZ,
    Type::INTERVAL,
    Type::VARCHAR,
    Type::BPCHAR,
    Type::UUID,
    Type::JSON,
    Type::JSONB,
    Type::UNKNOWN,
    Type::INT2_VECTOR,
    Type::OID_VECTOR,
    Type::REGPROC,
    Type::BOOL_ARRAY,
    Type::BYTEA_ARRAY,
    Type::INT2_ARRAY,
    Type::INT4_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::FLOAT4_ARRAY,
    Type::FLOAT8_ARRAY,
    Type::NUMERIC_ARRAY,
    Type::DATE_ARRAY,
    Type::TIME_ARRAY,
    Type::TIMESTAMP_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
];

fn type_row(of: &Type) -> Row {
    let element = of.name().strip_prefix('_').and_then(|name| TYPES.iter().find(|of| of.name() == name));
    let array = TYPES.iter().find(|array| array.name().strip_prefix('_') == Some(of.name()));
    let number = |of: Option<&Type>| int(of.map_or(0, |of| of.oid().into()));
    let category = match *of {
        _ if element.is_some() => "A",
        Type::BOOL => "B",
        Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC | Type::OID => "N",
        Type::DATE | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => "D",
        Type::INTERVAL => "T",
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => "S",
        _ => "U",
    };
    let [input, output, receive, send] = procs::of_type(of.name()).map(int);
    Row::from([
        ("oid", int(of.oid().into())),
        ("typname", text(of.name())),
        ("typnamespace", int(11)),
        ("typowner", int(OWNER_OID)),
        ("typlen", int(type_size(of).into())),
        ("typbyval", no()),
        ("typtype", text("b")),
        ("typcategory", text(category)),
        ("typispreferred", no()),
        ("typisdefined", yes()),
        ("typdelim", text(",")),
        ("typrelid", int(0)),
        ("typelem", number(element)),
        ("typarray", number(array)),
        ("typinput", input),
        ("typoutput", output),
        ("typreceive", receive),
        ("typsend", send),
        ("typalign", text("i")),
        ("typstorage", text(if type_size(of) < 0 { "x" } else { "p" })),
        ("typnotnull", no()),
        ("typbasetype", int(0)),
        ("typtypmod", int(-1)),
        ("typndims", int(0)),
        ("typcollation", int(0)),
    ])
}
