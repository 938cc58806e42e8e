//! What hangs on what, as `pg_depend` has it: relations on their schemas, indexes and keys on their tables, views on what they
//! read.
//!
//! Columns that a view reads are not told, only the relations.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::ObjectNamePart;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::constraints::Constraint;
use super::rows::{Row, int, rule_oid, text};
use super::{Listed, Relation, schema_oid, table_oid};
use crate::engine::walk::relations;

/// An object: its kind's table, its number, its column.
#[derive(Clone, Copy)]
pub(super) struct Object(pub(super) &'static str, pub(super) i64, pub(super) i64);

/// The rows of `pg_depend`.
pub(super) fn of(listed: &Listed) -> Vec<Row> {
    let relations = listed.relations.iter().map(|relation| {
        let own = Object("pg_class", relation.oid(), 0);
        row(own, Object("pg_namespace", schema_oid(&relation.schema), 0), "n")
    });
    let by_name: HashMap<(&str, &str), i64> = listed
        .relations
        .iter()
        .map(|relation| ((relation.schema.as_str(), relation.name.as_str()), relation.oid()))
        .collect();
    let views = listed.relations.iter().filter(|relation| relation.is_view).flat_map(|view| reads(view, &by_name));
    let keys = listed.constraints.iter().flat_map(Constraint::dependencies);
    relations.chain(keys.map(|(own, on, kind)| row(own, on, kind))).chain(views).collect()
}

fn row(own: Object, on: Object, kind: &str) -> Row {
    Row::from([
        ("classid", int(table_oid(own.0))),
        ("objid", int(own.1)),
        ("objsubid", int(own.2)),
        ("refclassid", int(table_oid(on.0))),
        ("refobjid", int(on.1)),
        ("refobjsubid", int(on.2)),
        ("deptype", text(kind)),
    ])
}

/// A view's rule hangs on the view, and on what its query reads.
fn reads(view: &Relation, by_name: &HashMap<(&str, &str), i64>) -> Vec<Row> {
    let rule = Object("pg_rewrite", rule_oid(view), 0);
    let own = Object("pg_class", view.oid(), 0);
    let read = read_relations(view.definition.as_deref().unwrap_or_default());
    let read = read.iter().filter_map(|(schema, name)| {
        let schema = schema.as_deref().unwrap_or(&view.schema);
        by_name.get(&(schema, name.as_str())).copied()
    });
    let read: BTreeSet<i64> = read.filter(|oid| *oid != own.1).collect();
    let on = read.into_iter().map(|oid| row(rule, Object("pg_class", oid, 0), "n"));
    [row(rule, own, "i"), row(rule, own, "n")].into_iter().chain(on).collect()
}

/// The names that a query reads from, some of which may be of its own common table expressions.
fn read_relations(definition: &str) -> BTreeSet<(Option<String>, String)> {
    let mut found = BTreeSet::new();
    // A text that cannot be read has no dependencies to tell of.
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, definition).unwrap_or_default();
    let _ = relations(&statements, |name| {
        let parts: Vec<&str> =
            name.0.iter().filter_map(ObjectNamePart::as_ident).map(|ident| ident.value.as_str()).collect();
        match parts.as_slice() {
            [.., schema, name] => drop(found.insert((Some((*schema).to_owned()), (*name).to_owned()))),
            [name] => drop(found.insert((None, (*name).to_owned()))),
            [] => {}
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_tells_what_it_reads() {
        let read = read_relations("create view v as select * from erp.vendors join pm.projects p using (id), mine");
        let read: Vec<_> = read.iter().map(|(schema, name)| (schema.as_deref(), name.as_str())).collect();
        assert_eq!(read, [(None, "mine"), (Some("erp"), "vendors"), (Some("pm"), "projects")]);
    }
}
