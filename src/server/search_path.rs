//! The schemas in which a table without one is looked for.
//!
//! DataFusion knows a single schema for names without one: the path's first that there is. Tables that a later one has are
//! given their schema before the statement is planned.

use std::ops::ControlFlow;

use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, Query, Statement, Visitor};

use super::rewrite::folded;
use crate::engine::walk::{relations_mut, walk};

/// The schema that names without one mean first.
pub(crate) fn first(path: &str, context: &SessionContext) -> Option<String> {
    let names: Vec<String> = path.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect();
    let names: Vec<&String> = of_tables(&names).collect();
    let there = existing(context);
    names.iter().find(|name| there.contains(name)).or(names.first()).map(|name| (*name).clone())
}

/// Schemas that may hold the firm's tables.
fn of_tables(path: &[String]) -> impl Iterator<Item = &String> {
    path.iter().filter(|name| !name.is_empty() && !name.starts_with('$') && *name != "pg_catalog")
}

fn existing(context: &SessionContext) -> Vec<String> {
    context.catalog(&default_catalog(context)).map(|catalog| catalog.schema_names()).unwrap_or_default()
}

fn default_catalog(context: &SessionContext) -> String {
    context.state_ref().read().config_options().catalog.default_catalog.clone()
}

/// Gives tables the schema that has them, of a path of schemas that there are, where it is not the first.
pub(crate) fn qualify(statement: &mut Statement, path: &[String], context: &SessionContext) {
    let path: Vec<&String> = of_tables(path).collect();
    let Some(catalog) = context.catalog(&default_catalog(context)).filter(|_| path.len() > 1) else { return };
    let mut named = Named(Vec::new());
    let _: ControlFlow<()> = walk(statement, &mut named);
    let _: ControlFlow<()> = relations_mut(statement, |relation: &mut ObjectName| {
        let [ObjectNamePart::Identifier(table)] = relation.0.as_slice() else { return ControlFlow::Continue(()) };
        let name = folded(table);
        if !named.0.contains(&name) {
            let has = |schema: &&&String| catalog.schema(schema).is_some_and(|schema| schema.table_exist(&name));
            if let Some(schema) = path.iter().find(has) {
                relation.0.insert(0, ObjectNamePart::Identifier(Ident::with_quote('"', schema.as_str())));
            }
        }
        ControlFlow::Continue(())
    });
}

/// The names that a statement gives to queries of its own.
struct Named(Vec<String>);

impl Visitor for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0.extend(query.with.iter().flat_map(|with| &with.cte_tables).map(|table| folded(&table.alias.name)));
        ControlFlow::Continue(())
    }
}
