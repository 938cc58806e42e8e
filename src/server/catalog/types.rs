//! Names of types: SQL's and Postgres' own.

use datafusion::arrow::array::types::Int64Type;
use datafusion::arrow::array::{ArrayRef, AsArray as _};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use pgwire::api::Type;

/// The names that SQL has for Postgres' own.
const SQL_NAMES: &[(Type, &str)] = &[
    (Type::BOOL, "boolean"),
    (Type::INT2, "smallint"),
    (Type::INT4, "integer"),
    (Type::INT8, "bigint"),
    (Type::FLOAT4, "real"),
    (Type::FLOAT8, "double precision"),
    (Type::TIMESTAMP, "timestamp without time zone"),
    (Type::TIMESTAMPTZ, "timestamp with time zone"),
    (Type::TIME, "time without time zone"),
    (Type::VARCHAR, "character varying"),
    (Type::BPCHAR, "character"),
];

/// A type as `\d` shows it.
pub(super) fn type_text(oid: i64, modifier: Option<i64>) -> String {
    let Some(of) = u32::try_from(oid).ok().and_then(Type::from_oid) else { return "???".to_owned() };
    let (name, array) = of.name().strip_prefix('_').map_or((of.name(), ""), |name| (name, "[]"));
    let name = SQL_NAMES.iter().find(|known| known.0.name() == name).map_or(name, |known| known.1);
    match modifier.filter(|modifier| *modifier >= 4 && of == Type::NUMERIC) {
        Some(modifier) => format!("{name}({},{}){array}", (modifier - 4) >> 16, (modifier - 4) & 0xffff),
        None => format!("{name}{array}"),
    }
}

/// A list of types' oids as their names.
pub(super) fn type_names(oids: Option<ArrayRef>) -> Result<ScalarValue> {
    let Some(oids) = oids else { return ScalarValue::try_from(DataType::new_list(DataType::Utf8, true)) };
    let oids = cast(&oids, &DataType::Int64)?;
    let names =
        oids.as_primitive::<Int64Type>().iter().map(|oid| ScalarValue::Utf8(oid.map(|oid| type_text(oid, None))));
    let names: Vec<ScalarValue> = names.collect();
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&names, &DataType::Utf8)))
}

/// The oid of a type by its name.
pub(super) fn type_oid(name: &str) -> Option<i64> {
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let (name, array) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
    let name = SQL_NAMES.iter().find(|known| known.1 == name).map_or(name, |known| known.0.name());
    let name = if array { format!("_{name}") } else { name.to_owned() };
    (16..6000).filter_map(Type::from_oid).find(|of| of.name() == name).map(|of| of.oid().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_sql_names() {
        assert_eq!(type_text(1700, Some(((18 << 16) | 2) + 4)), "numeric(18,2)");
        assert_eq!(type_text(1184, Some(-1)), "timestamp with time zone");
        assert_eq!(type_text(1009, None), "text[]");
        assert_eq!(type_oid("integer"), Some(23));
        assert_eq!(type_oid("text[]"), Some(1009));
    }
}
