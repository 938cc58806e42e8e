//! `information_schema`: the same relations and constraints in the standard's words.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;

use super::constraints::Constraint;
use super::rows::{OWNER, Row, text};
use super::types::type_text;
use super::{Asker, Relation, SCHEMA};
use crate::server::encode::field_type;

pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// Tables and columns, as in [`super::tables`]. A column whose value the server has nothing to say about is null.
pub(super) const TABLES: &[(&str, &str)] = &[
    ("administrable_role_authorizations", "grantee:t role_name:t is_grantable:t"),
    ("applicable_roles", "grantee:t role_name:t is_grantable:t"),
    (
        "character_sets",
        "character_set_catalog:t character_set_schema:t character_set_name:t character_repertoire:t form_of_use:t \
         default_collate_catalog:t default_collate_schema:t default_collate_name:t",
    ),
    ("check_constraints", "constraint_catalog:t constraint_schema:t constraint_name:t check_clause:t"),
    ("collations", "collation_catalog:t collation_schema:t collation_name:t pad_attribute:t"),
    (
        "column_privileges",
        "grantor:t grantee:t table_catalog:t table_schema:t table_name:t column_name:t privilege_type:t is_grantable:t",
    ),
    (
        "columns",
        "table_catalog:t table_schema:t table_name:t column_name:t ordinal_position:n column_default:t is_nullable:t \
         data_type:t character_maximum_length:n character_octet_length:n numeric_precision:n \
         numeric_precision_radix:n numeric_scale:n datetime_precision:n interval_type:t interval_precision:n \
         character_set_catalog:t character_set_schema:t character_set_name:t collation_catalog:t collation_schema:t \
         collation_name:t domain_catalog:t domain_schema:t domain_name:t udt_catalog:t udt_schema:t udt_name:t \
         scope_catalog:t scope_schema:t scope_name:t maximum_cardinality:n dtd_identifier:t is_self_referencing:t \
         is_identity:t identity_generation:t identity_start:t identity_increment:t identity_maximum:t \
         identity_minimum:t identity_cycle:t is_generated:t generation_expression:t is_updatable:t",
    ),
    (
        "constraint_column_usage",
        "table_catalog:t table_schema:t table_name:t column_name:t constraint_catalog:t constraint_schema:t \
         constraint_name:t",
    ),
    (
        "constraint_table_usage",
        "table_catalog:t table_schema:t table_name:t constraint_catalog:t constraint_schema:t constraint_name:t",
    ),
    ("domains", "domain_catalog:t domain_schema:t domain_name:t data_type:t udt_catalog:t udt_schema:t udt_name:t"),
    (
        "element_types",
        "object_catalog:t object_schema:t object_name:t object_type:t collection_type_identifier:t data_type:t \
         udt_catalog:t udt_schema:t udt_name:t dtd_identifier:t",
    ),
    ("enabled_roles", "role_name:t"),
    ("foreign_tables", "foreign_table_catalog:t foreign_table_schema:t foreign_table_name:t"),
    ("information_schema_catalog_name", "catalog_name:t"),
    (
        "key_column_usage",
        "constraint_catalog:t constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t \
         column_name:t ordinal_position:n position_in_unique_constraint:n",
    ),
    (
        "parameters",
        "specific_catalog:t specific_schema:t specific_name:t ordinal_position:n parameter_mode:t is_result:t \
         as_locator:t parameter_name:t data_type:t udt_catalog:t udt_schema:t udt_name:t dtd_identifier:t \
         parameter_default:t",
    ),
    (
        "referential_constraints",
        "constraint_catalog:t constraint_schema:t constraint_name:t unique_constraint_catalog:t \
         unique_constraint_schema:t unique_constraint_name:t match_option:t update_rule:t delete_rule:t",
    ),
    ("role_table_grants", PRIVILEGES),
    (
        "routines",
        "specific_catalog:t specific_schema:t specific_name:t routine_catalog:t routine_schema:t routine_name:t \
         routine_type:t data_type:t type_udt_catalog:t type_udt_schema:t type_udt_name:t routine_body:t \
         routine_definition:t external_language:t security_type:t",
    ),
    (
        "schemata",
        "catalog_name:t schema_name:t schema_owner:t default_character_set_catalog:t default_character_set_schema:t \
         default_character_set_name:t sql_path:t",
    ),
    ("sequences", "sequence_catalog:t sequence_schema:t sequence_name:t data_type:t start_value:t increment:t"),
    (
        "table_constraints",
        "constraint_catalog:t constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t \
         constraint_type:t is_deferrable:t initially_deferred:t enforced:t nulls_distinct:t",
    ),
    ("table_privileges", PRIVILEGES),
    (
        "tables",
        "table_catalog:t table_schema:t table_name:t table_type:t self_referencing_column_name:t \
         reference_generation:t user_defined_type_catalog:t user_defined_type_schema:t user_defined_type_name:t \
         is_insertable_into:t is_typed:t commit_action:t",
    ),
    (
        "triggers",
        "trigger_catalog:t trigger_schema:t trigger_name:t event_manipulation:t event_object_catalog:t \
         event_object_schema:t event_object_table:t action_statement:t action_timing:t",
    ),
    ("user_defined_types", "user_defined_type_catalog:t user_defined_type_schema:t user_defined_type_name:t"),
    (
        "views",
        "table_catalog:t table_schema:t table_name:t view_definition:t check_option:t is_updatable:t \
         is_insertable_into:t is_trigger_updatable:t is_trigger_deletable:t is_trigger_insertable_into:t",
    ),
    ("view_table_usage", "view_catalog:t view_schema:t view_name:t table_catalog:t table_schema:t table_name:t"),
];

const PRIVILEGES: &str = "grantor:t grantee:t table_catalog:t table_schema:t table_name:t privilege_type:t \
     is_grantable:t with_hierarchy:t";

/// The rows of a table now.
pub(super) fn rows(asker: &Asker, table: &str) -> Vec<Row> {
    let listed = asker.listed();
    let (relations, constraints) = (&listed.relations, &listed.constraints);
    let database = || text(asker.databases.name.clone());
    match table {
        "character_sets" => vec![Row::from([
            ("character_set_name", text("UTF8")),
            ("character_repertoire", text("UCS")),
            ("form_of_use", text("UTF8")),
            ("default_collate_catalog", database()),
            ("default_collate_schema", text(SCHEMA)),
            ("default_collate_name", text("C")),
        ])],
        "columns" => relations.iter().flat_map(|relation| columns(&asker.databases.name, relation)).collect(),
        "constraint_column_usage" => {
            constraints.iter().flat_map(|found| used_columns(&asker.databases.name, found)).collect()
        }
        "constraint_table_usage" => {
            let row = |found: &Constraint| {
                let (schema, table) = used_table(found);
                let mut row = constraint_row(&asker.databases.name, found);
                row.extend(table_row(&asker.databases.name, schema, table));
                row
            };
            constraints.iter().map(row).collect()
        }
        "enabled_roles" => vec![Row::from([("role_name", text(asker.user.clone()))])],
        "information_schema_catalog_name" => vec![Row::from([("catalog_name", database())])],
        "key_column_usage" => constraints.iter().flat_map(|found| key_columns(&asker.databases.name, found)).collect(),
        "referential_constraints" => {
            constraints.iter().filter_map(|found| referential(&asker.databases.name, found)).collect()
        }
        "role_table_grants" | "table_privileges" => relations
            .iter()
            .map(|relation| {
                let mut row = table_row(&asker.databases.name, &relation.schema, &relation.name);
                row.extend([
                    ("grantor", text(OWNER)),
                    ("grantee", text(asker.user.clone())),
                    ("privilege_type", text("SELECT")),
                    ("is_grantable", text("NO")),
                    ("with_hierarchy", text("YES")),
                ]);
                row
            })
            .collect(),
        "schemata" => {
            let own = [SCHEMA.to_owned(), INFORMATION_SCHEMA.to_owned()];
            let row = |name: String| {
                Row::from([("catalog_name", database()), ("schema_name", text(name)), ("schema_owner", text(OWNER))])
            };
            asker.schemas().into_iter().chain(own).map(row).collect()
        }
        "table_constraints" => constraints.iter().map(|found| table_constraint(&asker.databases.name, found)).collect(),
        "tables" => relations
            .iter()
            .map(|relation| {
                let mut row = table_row(&asker.databases.name, &relation.schema, &relation.name);
                row.insert("table_type", text(if relation.is_view { "VIEW" } else { "BASE TABLE" }));
                row.insert("is_insertable_into", text("NO"));
                row.insert("is_typed", text("NO"));
                row
            })
            .collect(),
        "views" => relations
            .iter()
            .filter(|relation| relation.is_view)
            .map(|relation| {
                let mut row = table_row(&asker.databases.name, &relation.schema, &relation.name);
                row.insert("view_definition", ScalarValue::Utf8(relation.definition.clone()));
                row.insert("check_option", text("NONE"));
                for answer in ["is_updatable", "is_insertable_into", "is_trigger_updatable", "is_trigger_deletable"] {
                    row.insert(answer, text("NO"));
                }
                row
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn table_row(database: &str, schema: &str, table: &str) -> Row {
    Row::from([("table_catalog", text(database)), ("table_schema", text(schema)), ("table_name", text(table))])
}

fn number(value: impl Into<i32>) -> ScalarValue {
    ScalarValue::Int32(Some(value.into()))
}

/// A place counted from 1.
fn place(index: usize) -> ScalarValue {
    ScalarValue::Int32(i32::try_from(index + 1).ok())
}

fn columns(database: &str, relation: &Relation) -> Vec<Row> {
    let primary = relation.keys.as_ref().map(|keys| keys.primary.as_slice()).unwrap_or_default();
    let row = |(index, field): (usize, &Arc<Field>)| {
        let of = field_type(field.data_type());
        let is_array = of.name().starts_with('_');
        let named = if is_array { "ARRAY".to_owned() } else { type_text(of.oid().into(), None) };
        let is_nullable = field.is_nullable() && !primary.contains(field.name());
        let mut row = table_row(database, &relation.schema, &relation.name);
        row.extend([
            ("column_name", text(field.name().clone())),
            ("ordinal_position", place(index)),
            ("is_nullable", text(if is_nullable { "YES" } else { "NO" })),
            ("data_type", text(named)),
            ("udt_catalog", text(database)),
            ("udt_schema", text(SCHEMA)),
            ("udt_name", text(of.name())),
            ("dtd_identifier", text((index + 1).to_string())),
            ("is_self_referencing", text("NO")),
            ("is_identity", text("NO")),
            ("identity_cycle", text("NO")),
            ("is_generated", text("NEVER")),
            ("is_updatable", text("NO")),
        ]);
        row.extend(sizes(field.data_type()));
        row
    };
    relation.columns.fields().iter().enumerate().map(row).collect()
}

/// How many digits a type holds.
fn sizes(data_type: &DataType) -> Vec<(&'static str, ScalarValue)> {
    let bits = |bits: i32| vec![("numeric_precision", number(bits)), ("numeric_precision_radix", number(2))];
    let whole = |width: i32| bits(width).into_iter().chain([("numeric_scale", number(0))]).collect();
    match data_type {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => whole(16),
        DataType::UInt16 | DataType::Int32 => whole(32),
        DataType::UInt32 | DataType::Int64 => whole(64),
        DataType::Float16 | DataType::Float32 => bits(24),
        DataType::Float64 => bits(53),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => vec![
            ("numeric_precision", number(*precision)),
            ("numeric_precision_radix", number(10)),
            ("numeric_scale", number(*scale)),
        ],
        DataType::Date32 | DataType::Date64 => vec![("datetime_precision", number(0))],
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => vec![("datetime_precision", number(6))],
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            vec![("character_octet_length", number(1 << 30))]
        }
        _ => Vec::new(),
    }
}

fn constraint_row(database: &str, constraint: &Constraint) -> Row {
    Row::from([
        ("constraint_catalog", text(database)),
        ("constraint_schema", text(constraint.schema.clone())),
        ("constraint_name", text(constraint.name.clone())),
    ])
}

fn table_constraint(database: &str, constraint: &Constraint) -> Row {
    let mut row = constraint_row(database, constraint);
    row.extend(table_row(database, &constraint.schema, &constraint.table));
    let kind = match constraint.kind {
        "p" => "PRIMARY KEY",
        "u" => "UNIQUE",
        _ => "FOREIGN KEY",
    };
    row.insert("constraint_type", text(kind));
    row.insert("is_deferrable", text("NO"));
    row.insert("initially_deferred", text("NO"));
    row.insert("enforced", text("YES"));
    if constraint.kind == "u" {
        row.insert("nulls_distinct", text("YES"));
    }
    row
}

fn key_columns(database: &str, constraint: &Constraint) -> Vec<Row> {
    let row = |(index, (column, _)): (usize, &(String, i16))| {
        let mut row = constraint_row(database, constraint);
        row.extend(table_row(database, &constraint.schema, &constraint.table));
        row.insert("column_name", text(column.clone()));
        row.insert("ordinal_position", place(index));
        if constraint.target.is_some() {
            // A reference names the columns in the order of the key that it points to.
            row.insert("position_in_unique_constraint", place(index));
        }
        row
    };
    constraint.columns.iter().enumerate().map(row).collect()
}

/// The table that a constraint rests on: its own, or the one pointed to.
fn used_table(constraint: &Constraint) -> (&str, &str) {
    match &constraint.target {
        Some(target) => (&target.schema, &target.table),
        None => (&constraint.schema, &constraint.table),
    }
}

fn used_columns(database: &str, constraint: &Constraint) -> Vec<Row> {
    let (schema, table) = used_table(constraint);
    let columns = constraint.target.as_ref().map_or(&constraint.columns, |target| &target.columns);
    let row = |(column, _): &(String, i16)| {
        let mut row = constraint_row(database, constraint);
        row.extend(table_row(database, schema, table));
        row.insert("column_name", text(column.clone()));
        row
    };
    columns.iter().map(row).collect()
}

fn referential(database: &str, constraint: &Constraint) -> Option<Row> {
    let target = constraint.target.as_ref()?;
    let mut row = constraint_row(database, constraint);
    row.extend([
        ("unique_constraint_catalog", text(database)),
        ("unique_constraint_schema", text(target.schema.clone())),
        ("unique_constraint_name", text(target.key.clone())),
        ("match_option", text("NONE")),
        ("update_rule", text("NO ACTION")),
        ("delete_rule", text("NO ACTION")),
    ]);
    Some(row)
}
