//! Query files: what they read, and the order in which they can be planned.
//!
//! Owns names: `queries/<schema>/<view>.sql` is the view `<schema>.<view>`. Pure. Invariant: every view comes after the
//! views it reads; a view in a circle, or one that cannot be parsed, is a named problem and not a panic or a hang.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{self, Ident, ObjectNamePart, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

use crate::definitions::Definitions;
use crate::engine::header::{self, Header};
use crate::engine::precedence;

/// The schema of a name that has none.
pub(crate) const DEFAULT_SCHEMA: &str = "recon";

/// A schema and a name in it.
pub(crate) type Name = (String, String);

/// A file that cannot be used as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: String,
    /// What is wrong with it, and what to try.
    pub reason: String,
}

/// One view, as its file says.
#[derive(Clone, Debug)]
pub(crate) struct QueryFile {
    pub(crate) path: String,
    pub(crate) name: Name,
    pub(crate) sql: String,
    pub(crate) header: Header,
    pub(crate) statement: Statement,
    pub(crate) reads: BTreeSet<Name>,
}

/// All query files that can be parsed, by name, and the problems of the others.
pub(crate) fn load(definitions: &Definitions) -> (BTreeMap<Name, QueryFile>, Vec<Problem>) {
    let mut queries = BTreeMap::new();
    let mut problems = Vec::new();
    for (path, sql) in &definitions.files {
        let Some(stem) = path.strip_prefix("queries/").and_then(|rest| rest.strip_suffix(".sql")) else { continue };
        let Some((schema, view)) = stem.split_once('/').filter(|(_, view)| !view.contains('/')) else {
            problems
                .push(Problem { path: path.clone(), reason: "a query lies in queries/<schema>/<view>.sql".to_owned() });
            continue;
        };
        match parse(path, sql) {
            Ok((header, statement, reads)) => {
                let name = (schema.to_owned(), view.to_owned());
                let query =
                    QueryFile { path: path.clone(), name: name.clone(), sql: sql.clone(), header, statement, reads };
                queries.insert(name, query);
            }
            Err(reason) => problems.push(Problem { path: path.clone(), reason }),
        }
    }
    (queries, problems)
}

fn parse(path: &str, sql: &str) -> Result<(Header, Statement, BTreeSet<Name>), String> {
    let header = header::parse(path, sql).map_err(|error| error.to_string())?;
    let statement = parse_select(sql)?;
    let reads = relations(&statement)?;
    Ok((header, statement, reads))
}

/// Parses one SELECT, nothing else.
pub(crate) fn parse_select(sql: &str) -> Result<Statement, String> {
    let mut parser = DFParserBuilder::new(sql)
        .with_dialect(&PostgreSqlDialect {})
        .with_recursion_limit(256)
        .build()
        .map_err(|error| error.to_string())?;
    let mut statements = parser.parse_statements().map_err(|error| error.to_string())?;
    match (statements.pop_front(), statements.pop_front()) {
        (Some(Statement::Statement(mut statement)), None) if matches!(*statement, ast::Statement::Query(_)) => {
            precedence::correct(&mut statement);
            Ok(Statement::Statement(statement))
        }
        _ => Err("expected one SELECT and nothing else".to_owned()),
    }
}

/// The tables and views that a statement reads, without its own common table expressions.
pub(crate) fn relations(statement: &Statement) -> Result<BTreeSet<Name>, String> {
    let (tables, _) = resolve_table_references(statement, true).map_err(|error| error.to_string())?;
    let name = |table: datafusion::common::TableReference| {
        (table.schema().unwrap_or(DEFAULT_SCHEMA).to_owned(), table.table().to_owned())
    };
    Ok(tables.into_iter().map(name).collect())
}

/// Maps the schema `source` of a canonical file to the source's own name.
pub(crate) fn bind_source(statement: &mut Statement, source: &str) {
    if let Statement::Statement(statement) = statement {
        let _: ControlFlow<()> = VisitMut::visit(statement.as_mut(), &mut Bind { source });
    }
}

struct Bind<'a> {
    source: &'a str,
}

impl VisitorMut for Bind<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ast::ObjectName) -> ControlFlow<()> {
        if let [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(_)] = relation.0.as_mut_slice()
            && schema.value.eq_ignore_ascii_case("source")
        {
            *schema = Ident::with_quote('"', self.source);
        }
        ControlFlow::Continue(())
    }
}

/// Views in an order in which each comes after what it reads, and the problems of those in a circle.
pub(crate) fn ordered(reads: &BTreeMap<Name, BTreeSet<Name>>) -> (Vec<Name>, Vec<(Name, String)>) {
    let mut order = Vec::new();
    let mut done: BTreeSet<&Name> = BTreeSet::new();
    let mut waiting: Vec<&Name> = reads.keys().collect();
    loop {
        let is_free = |name: &&Name| {
            let needs = reads.get(*name).into_iter().flatten();
            needs.filter(|need| reads.contains_key(*need)).all(|need| done.contains(need))
        };
        let (now, later): (Vec<&Name>, Vec<&Name>) = waiting.iter().partition(|name| is_free(name));
        if now.is_empty() {
            let names: Vec<String> = later.iter().map(|(schema, view)| format!("{schema}.{view}")).collect();
            let reason = format!("it reads itself through a circle among {}", names.join(", "));
            return (order, later.into_iter().map(|name| (name.clone(), reason.clone())).collect());
        }
        order.extend(now.iter().map(|name| (*name).clone()));
        done.extend(now);
        waiting = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        let (schema, view) = text.split_once('.').unwrap();
        (schema.to_owned(), view.to_owned())
    }

    #[test]
    fn a_view_comes_after_what_it_reads_and_a_circle_is_named() {
        let reads = [
            (name("recon.a"), BTreeSet::from([name("link.b"), name("pm.x")])),
            (name("link.b"), BTreeSet::new()),
            (name("recon.c"), BTreeSet::from([name("recon.d")])),
            (name("recon.d"), BTreeSet::from([name("recon.c")])),
        ];
        let (order, problems) = ordered(&reads.into_iter().collect());
        assert_eq!(order, [name("link.b"), name("recon.a")]);
        assert_eq!(problems.len(), 2);
        assert!(problems[0].1.contains("recon.c, recon.d"));
    }

    #[test]
    fn common_table_expressions_are_no_tables() {
        let statement = parse_select("with a as (select * from pm.x) select * from a join b on true").unwrap();
        assert_eq!(relations(&statement).unwrap(), BTreeSet::from([name("pm.x"), name("recon.b")]));
        assert!(parse_select("select 1; select 2").is_err());
        assert!(parse_select("drop table x").is_err());
    }

    #[test]
    fn the_schema_source_becomes_the_sources_name() {
        let mut statement = parse_select("with a as (select * from source.x) select a.y from a").unwrap();
        bind_source(&mut statement, "procore-east");
        assert_eq!(relations(&statement).unwrap(), BTreeSet::from([name("procore-east.x")]));
    }
}
