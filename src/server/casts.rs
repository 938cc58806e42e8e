//! Casts to Postgres' own types: names of objects become their numbers and back, the text-like ones text.
//!
//! Pure, on the statement's tree.

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, ObjectNamePart, Value,
};

use super::catalog;
use super::rewrite::call;

/// `x::regclass::oid` is the object's number: without the outer cast the inner one would show its name.
pub(crate) fn through(expr: &mut Expr) {
    if let Expr::Cast { expr: inner, data_type, .. } = expr
        && type_name(data_type).as_deref() == Some("oid")
        && let Expr::Cast { expr: named, data_type, .. } = inner.as_ref()
        && is_reg_type(data_type)
        && !is_text(named)
    {
        *expr = named.as_ref().clone();
    }
}

/// The last part of a type that is no plain SQL type: `pg_catalog.regtype`, `"char"`, `name`.
fn type_name(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Regclass => Some("regclass".to_owned()),
        DataType::Custom(name, arguments) if arguments.is_empty() => {
            name.0.last().and_then(ObjectNamePart::as_ident).map(|ident| ident.value.to_ascii_lowercase())
        }
        _ => None,
    }
}

fn is_reg_type(data_type: &DataType) -> bool {
    type_name(data_type).is_some_and(|name| name.starts_with("reg"))
}

/// Whether an expression is a text by its form: a literal, a cast to text, what joins or writes texts.
fn is_text(expr: &Expr) -> bool {
    const WRITERS: &[&str] = &["format", "concat", "concat_ws", "quote_ident", "lower", "upper", "replace", "trim"];
    match expr {
        // A parameter that is cast to an object's type is given its name.
        Expr::Value(value) => {
            matches!(value.value, Value::Placeholder(_)) || value.value.clone().into_string().is_some()
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => is_text(inner),
        Expr::Cast { data_type, .. } => {
            matches!(data_type, DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_))
                || type_name(data_type).is_some_and(|name| plain_type(&name) == Some(DataType::Text))
        }
        Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } => true,
        Expr::Function(function) => {
            let name = function.name.0.last().and_then(ObjectNamePart::as_ident);
            name.is_some_and(|name| WRITERS.iter().any(|known| name.value.eq_ignore_ascii_case(known)))
        }
        _ => false,
    }
}

/// A cast in terms of DataFusion's types and of functions that look names up.
pub(crate) fn plain(expr: &mut Expr) {
    let Expr::Cast { expr: inner, data_type, .. } = expr else { return };
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        let Some(name) = type_name(element) else { return };
        match plain_type(&name) {
            Some(plain) => **element = plain,
            None if name == "regtype" && !is_text(inner) => *expr = call(catalog::TYPE_NAMES, inner.as_ref().clone()),
            None => {}
        }
        return;
    }
    let Some(name) = type_name(data_type) else { return };
    let as_type = |data_type| Expr::Cast {
        kind: CastKind::DoubleColon,
        expr: inner.clone(),
        data_type,
        array: false,
        format: None,
    };
    let lookup =
        |to_number: &str, to_name: &str| call(if is_text(inner) { to_number } else { to_name }, inner.as_ref().clone());
    *expr = match name.as_str() {
        "regclass" => lookup(catalog::RELATION, catalog::RELATION_NAME),
        "regtype" => lookup(catalog::TYPE, catalog::TYPE_NAME),
        "regproc" | "regprocedure" => lookup(catalog::PROC, catalog::PROC_NAME),
        "regnamespace" => lookup(catalog::NAMESPACE, catalog::SCHEMA_NAME),
        name => match plain_type(name) {
            Some(data_type) => as_type(data_type),
            None => return,
        },
    };
}

/// The SQL type behind a name of Postgres' own.
fn plain_type(name: &str) -> Option<DataType> {
    Some(match name {
        "regoper" | "regrole" | "regconfig" | "regdictionary" | "name" | "char" | "bpchar" | "text" | "cstring"
        | "aclitem" | "sql_identifier" | "character_data" | "yes_or_no" => DataType::Text,
        "oid" | "xid" | "cid" => DataType::IntUnsigned(None),
        "cardinal_number" | "int8" => DataType::BigInt(None),
        "int4" => DataType::Int(None),
        "int2" => DataType::SmallInt(None),
        "bool" => DataType::Boolean,
        _ => return None,
    })
}
