//! Relations, types and schemas by their names: casts to `regclass` and its like, and privileges.
//!
//! Invariant: what is not there is an error with its code, in a cast as in a privilege's question; the `to_reg…` functions
//! alone answer null. Tables of `pg_catalog` that this server does not have are null: clients ask about them in passing.

use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};

use super::functions::{letters, number};
use super::types::type_oid;
use super::{Asker, INFORMATION_SCHEMA, Relation, SCHEMA, is_catalog_table, oid, schema_oid, table_oid};
use crate::server::failure::{Failure, UNDEFINED_OBJECT};

/// A kind of things with names.
pub(super) struct Kind {
    find: fn(&Asker, &str) -> Option<i64>,
    code: &'static str,
    word: &'static str,
}

pub(super) const RELATION: &Kind = &Kind { find: relation, code: "42P01", word: "relation" };
pub(super) const TYPE: &Kind = &Kind { find: |_, name| type_oid(name), code: UNDEFINED_OBJECT, word: "type" };
pub(super) const NAMESPACE: &Kind = &Kind { find: schema, code: "3F000", word: "schema" };

/// A text cast to the number of what it names.
pub(super) fn cast(asker: &Asker, arguments: &[ScalarValue], kind: &Kind) -> Result<ScalarValue> {
    let Some(name) = letters(arguments, 0) else { return Ok(ScalarValue::UInt32(None)) };
    Ok(number_of(found(asker, &name, kind)?))
}

/// The number of what a text names; null for what is not there.
pub(super) fn looked_up(asker: &Asker, arguments: &[ScalarValue], kind: &Kind) -> ScalarValue {
    number_of(letters(arguments, 0).and_then(|name| (kind.find)(asker, &name)))
}

fn number_of(oid: Option<i64>) -> ScalarValue {
    ScalarValue::UInt32(oid.and_then(|oid| u32::try_from(oid).ok()))
}

fn found(asker: &Asker, name: &str, kind: &Kind) -> Result<Option<i64>> {
    // "-" is how no object at all is written.
    if let Some(oid) = if name == "-" { Some(0) } else { name.parse().ok() } {
        return Ok(Some(oid));
    }
    match (kind.find)(asker, name) {
        None if !unqualified(name).starts_with("pg_") => Err(missing(kind, name)),
        found => Ok(found),
    }
}

fn missing(kind: &Kind, name: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Failure::new(kind.code, format!("{} \"{name}\" does not exist", kind.word))))
}

/// Whether a role may do with an object what it asks: `[role,] object, privilege`.
pub(super) fn privilege(asker: &Asker, arguments: &[ScalarValue], kind: Option<&Kind>) -> Result<ScalarValue> {
    let Some(place) = arguments.len().checked_sub(2) else { return Ok(ScalarValue::Boolean(None)) };
    allowed(asker, arguments, place, kind)
}

/// The same of a column: `[role,] table, column, privilege`.
pub(super) fn column_privilege(asker: &Asker, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let Some(place) = arguments.len().checked_sub(3) else { return Ok(ScalarValue::Boolean(None)) };
    allowed(asker, arguments, place, Some(RELATION))
}

fn allowed(asker: &Asker, arguments: &[ScalarValue], place: usize, kind: Option<&Kind>) -> Result<ScalarValue> {
    let none = Ok(ScalarValue::Boolean(None));
    let Some(privilege) = letters(arguments, arguments.len() - 1) else { return none };
    // Oids come from the catalogue itself.
    if let Some(kind) = kind.filter(|_| number(arguments, place).is_none()) {
        let Some(name) = letters(arguments, place) else { return none };
        if found(asker, &name, kind)?.is_none() {
            return none;
        }
    }
    Ok(ScalarValue::Boolean(Some(reads(&privilege))))
}

/// The oid of a schema.
fn schema(asker: &Asker, name: &str) -> Option<i64> {
    let name = name.replace('"', "");
    let is_there = [SCHEMA, INFORMATION_SCHEMA].contains(&name.as_str()) || asker.schemas().contains(&name);
    is_there.then(|| schema_oid(&name))
}

/// The oid of a relation, by its name alone where `search_path` has its schema.
fn relation(asker: &Asker, name: &str) -> Option<i64> {
    if let Ok(oid) = name.parse() {
        return Some(oid);
    }
    let name = name.replace('"', "");
    let path = asker.search_path();
    let listed = asker.listed();
    let found = listed.relations.iter().find(|relation| match name.split_once('.') {
        Some((schema, table)) => relation.schema == schema && relation.name == table,
        None => path.contains(&relation.schema) && relation.name == name,
    });
    let catalog = || {
        let table = unqualified(&name);
        is_catalog_table(table).then(|| table_oid(table))
    };
    let standard = || name.starts_with(INFORMATION_SCHEMA).then(|| oid(&name));
    found.map(Relation::oid).or_else(catalog).or_else(standard)
}

fn unqualified(name: &str) -> &str {
    name.strip_prefix("pg_catalog.").unwrap_or(name)
}

fn reads(privilege: &str) -> bool {
    let reading = ["select", "usage", "connect", "execute", "member", "references"];
    privilege.split(',').all(|word| reading.contains(&word.trim().to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_may_read_and_nobody_may_more() {
        assert!(reads("SELECT") && !reads("SELECT, INSERT"));
    }
}
