//! Query files: what they read, and the order in which they can be planned.
//!
//! Owns names: `queries/<schema>/<view>.sql` is the view `<schema>.<view>`. Pure. Invariant: every view comes after the
//! views it reads; a view in a circle, or one that cannot be parsed, is a named problem and not a panic or a hang.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{self, Ident, ObjectNamePart, VisitorMut};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

use crate::definitions::{Definitions, SHARED};
use crate::engine::described;
use crate::engine::header::{self, Header};
use crate::engine::known::{self, Known};
use crate::engine::precedence;
use crate::engine::shared::Shared;
use crate::engine::walk::walk_mut;

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
    pub(crate) header: Header,
    pub(crate) reads: BTreeSet<Name>,
    /// The columns of a check, as its first SELECT names them.
    pub(crate) selects: Vec<String>,
    definitions: Arc<Definitions>,
    parsed: OnceLock<Result<Parsed, String>>,
}

/// The SQL of a view.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    /// A text that can be run: what the view shares with others stands in its place.
    pub(crate) sql: String,
    pub(crate) statement: Statement,
}

impl QueryFile {
    /// Whether every commit that judges asks it: a check, or a measure.
    pub(crate) fn is_asked(&self) -> bool {
        self.header.check.is_some() || self.header.kind.as_deref() == Some("measure")
    }

    /// Its SQL; what is shipped is parsed when somebody asks.
    pub(crate) fn parsed(&self) -> Result<&Parsed, String> {
        let parsed = self.parsed.get_or_init(|| parse_view(&self.definitions, &self.path, &self.header));
        parsed.as_ref().map_err(Clone::clone)
    }

    /// Its text: what whoever asks for a view's definition gets.
    pub(crate) fn sql(&self) -> &str {
        let own = || self.definitions.get(&self.path).unwrap_or_default();
        self.parsed().map_or_else(|_| own(), |parsed| parsed.sql.as_str())
    }
}

/// All query files that can be parsed, by name, and the problems of the others.
pub(crate) fn load(definitions: &Arc<Definitions>) -> (BTreeMap<Name, QueryFile>, Vec<Problem>) {
    let mut queries = BTreeMap::new();
    let mut problems = Vec::new();
    for (path, sql) in &definitions.files {
        let Some(stem) = path.strip_prefix("queries/").and_then(|rest| rest.strip_suffix(".sql")) else { continue };
        let Some((schema, view)) = stem.split_once('/').filter(|(_, view)| !view.contains('/')) else {
            problems
                .push(Problem { path: path.clone(), reason: "a query lies in queries/<schema>/<view>.sql".to_owned() });
            continue;
        };
        let done = if schema == SHARED {
            check_shared(definitions, path, sql)
        } else {
            let name = (schema.to_owned(), view.to_owned());
            query_file(definitions, path, &name, sql).map(|query| drop(queries.insert(name, query)))
        };
        problems.extend(done.err().map(|reason| Problem { path: path.clone(), reason }));
    }
    (queries, problems)
}

/// Whether what views have in common can be used.
fn check_shared(definitions: &Definitions, path: &str, sql: &str) -> Result<(), String> {
    parse_header(path, sql)?;
    match known::of(definitions, path) {
        Some(_) => Ok(()),
        None => parse_select(sql).map(drop),
    }
}

fn query_file(definitions: &Arc<Definitions>, path: &str, name: &Name, sql: &str) -> Result<QueryFile, String> {
    let header = parse_header(path, sql)?;
    let (known, parsed) = if let Some(known) = known::of(definitions, path) {
        (known, OnceLock::new())
    } else {
        let parsed = parse_view(definitions, path, &header)?;
        (told(&header, &parsed)?, Ok(parsed).into())
    };
    let (name, definitions) = (name.clone(), Arc::clone(definitions));
    let selects = known.selects.unwrap_or_default();
    Ok(QueryFile { path: path.to_owned(), name, header, reads: known.reads, selects, definitions, parsed })
}

fn parse_header(path: &str, sql: &str) -> Result<Header, String> {
    header::parse(path, sql).map_err(|error| error.to_string())
}

/// Parses a view, with what it shares with others in its place.
pub(crate) fn parse_view(definitions: &Definitions, path: &str, header: &Header) -> Result<Parsed, String> {
    let sql = definitions.get(path).unwrap_or_default();
    let mut statement = parse_select(sql)?;
    let shared = Shared::of(definitions, path, &statement)?;
    let is_spelt_out = shared.spell_out(&mut statement, header.entity.as_deref())?;
    let sql = if is_spelt_out { format!("{statement:#}") } else { sql.to_owned() };
    Ok(Parsed { sql, statement })
}

/// What a view reads, and of a check what it selects.
pub(crate) fn told(header: &Header, parsed: &Parsed) -> Result<Known, String> {
    let selects = header.check.is_some().then(|| described::selected(&parsed.statement));
    Ok(Known { reads: relations(&parsed.statement)?, selects })
}

/// Parses one SELECT, nothing else.
pub(crate) fn parse_select(sql: &str) -> Result<Statement, String> {
    Ok(Statement::Statement(Box::new(ast::Statement::Query(parse_query(sql)?))))
}

/// The same, as a part of another statement.
pub(crate) fn parse_query(sql: &str) -> Result<Box<ast::Query>, String> {
    let mut parser = DFParserBuilder::new(sql)
        .with_dialect(&PostgreSqlDialect {})
        .with_recursion_limit(256)
        .build()
        .map_err(|error| error.to_string())?;
    let mut statements = parser.parse_statements().map_err(|error| error.to_string())?;
    if let (Some(Statement::Statement(mut statement)), None) = (statements.pop_front(), statements.pop_front()) {
        precedence::correct(&mut statement);
        if let ast::Statement::Query(query) = *statement {
            return Ok(query);
        }
    }
    Err("expected one SELECT and nothing else".to_owned())
}

/// The tables and views that a statement reads, without its own common table expressions.
pub(crate) fn relations(statement: &Statement) -> Result<BTreeSet<Name>, String> {
    let (tables, _) = resolve_table_references(statement, true).map_err(|error| error.to_string())?;
    let name = |table: datafusion::common::TableReference| {
        (table.schema().unwrap_or(DEFAULT_SCHEMA).to_owned(), table.table().to_owned())
    };
    Ok(tables.into_iter().map(name).collect())
}

/// The names that a statement selects, without those that are null for every row; none if it selects a wildcard of anything
/// but a single subquery.
pub(crate) fn selected(statement: &Statement) -> Option<BTreeSet<String>> {
    let Statement::Statement(statement) = statement else { return None };
    let ast::Statement::Query(query) = statement.as_ref() else { return None };
    selected_by(query)
}

fn selected_by(query: &ast::Query) -> Option<BTreeSet<String>> {
    let mut body = query.body.as_ref();
    while let ast::SetExpr::SetOperation { left, .. } = body {
        body = left.as_ref();
    }
    let ast::SetExpr::Select(select) = body else { return None };
    if let ([ast::SelectItem::Wildcard(_)], [table]) = (select.projection.as_slice(), select.from.as_slice())
        && let ast::TableFactor::Derived { subquery, .. } = &table.relation
        && table.joins.is_empty()
    {
        return selected_by(subquery);
    }
    let mut names = BTreeSet::new();
    for item in &select.projection {
        match item {
            ast::SelectItem::ExprWithAlias { expr, .. } if is_null(expr) => {}
            ast::SelectItem::ExprWithAlias { alias, .. } => drop(names.insert(alias.value.clone())),
            ast::SelectItem::UnnamedExpr(ast::Expr::Identifier(name)) => drop(names.insert(name.value.clone())),
            ast::SelectItem::UnnamedExpr(ast::Expr::CompoundIdentifier(parts)) => {
                names.extend(parts.last().map(|name| name.value.clone()));
            }
            _ => return None,
        }
    }
    Some(names)
}

/// `null`, `cast(null as …)`, `arrow_cast(null, …)`.
fn is_null(expr: &ast::Expr) -> bool {
    match expr {
        ast::Expr::Cast { expr, .. } => is_null(expr),
        ast::Expr::Value(value) => value.value == ast::Value::Null,
        ast::Expr::Function(function) => {
            function.to_string().to_lowercase().replace(' ', "").starts_with("arrow_cast(null,")
        }
        _ => false,
    }
}

/// The schema by which a canonical file names its source's tables.
pub(crate) const SOURCE: &str = "source";

/// Maps the schema `source` of a canonical file to the source's own name.
pub(crate) fn bind_source(statement: &mut Statement, source: &str) {
    if let Statement::Statement(statement) = statement {
        let _: ControlFlow<()> = walk_mut(statement.as_mut(), &mut Bind { source });
    }
}

struct Bind<'a> {
    source: &'a str,
}

impl VisitorMut for Bind<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ast::ObjectName) -> ControlFlow<()> {
        if let [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(_)] = relation.0.as_mut_slice()
            && schema.value.eq_ignore_ascii_case(SOURCE)
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

    fn loaded(more: &[(&str, &str)]) -> (BTreeMap<Name, QueryFile>, Vec<Problem>) {
        let common =
            "with both as (select pm.entity.a, e.b from pm.entity join erp.entity as e on true) select a, b from both";
        let files = [("queries/shared/common.sql", common)];
        let files = files.iter().chain(more).map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        load(&Arc::new(Definitions { files: files.collect() }))
    }

    #[test]
    fn a_shared_text_reads_the_entity_of_its_reader() {
        let sql = "-- check: I3\n-- entity: bills\nselect common.a, b from shared.common join link.x on true";
        let (queries, problems) = loaded(&[("queries/recon/x.sql", sql), ("queries/recon/y.sql", "select 1")]);
        assert_eq!((queries.len(), problems), (2, Vec::new()), "a shared text is no view");
        let query = queries.get(&name("recon.x")).unwrap();
        assert_eq!(query.reads, BTreeSet::from([name("pm.bills"), name("erp.bills"), name("link.x")]));
        assert!(!query.sql().contains("shared."), "{}", query.sql());
        assert_eq!(relations(&parse_select(query.sql()).unwrap()).unwrap(), query.reads);
    }

    #[test]
    fn a_shared_text_that_cannot_be_used_is_told_where_it_is_read() {
        for (files, said) in [
            (
                &[("queries/recon/x.sql", "select * from shared.comon")][..],
                "there is no usable queries/shared/comon.sql",
            ),
            (
                &[("queries/recon/x.sql", "select * from shared.common")],
                "pm.entity stands for the entity of the header",
            ),
            (
                &[
                    ("queries/shared/more.sql", "select * from shared.common"),
                    ("queries/recon/x.sql", "-- entity: bills\nselect * from shared.more"),
                ],
                "shared.common is read by another file",
            ),
        ] {
            let (queries, problems) = loaded(files);
            assert!(queries.is_empty(), "{said}");
            assert!(problems[0].path == "queries/recon/x.sql" && problems[0].reason.contains(said), "{problems:?}");
        }
    }

    #[test]
    fn a_column_that_is_always_null_is_not_selected() {
        let names = |sql| queries_selected(sql);
        let found = names(
            "with a as (select 1) select a.x, y, cast(null as varchar) as z, arrow_cast(null, 'Utf8') as w, 1 as v from a",
        );
        assert_eq!(found, Some(BTreeSet::from(["x", "y", "v"].map(str::to_owned))));
        assert_eq!(names("select a.x from a union all select b.y from b"), Some(BTreeSet::from(["x".to_owned()])));
        assert_eq!(names("select * from a"), None);
        assert_eq!(names("select * from (select x, null as y from a) as b"), Some(BTreeSet::from(["x".to_owned()])));
        assert_eq!(names("select * from (select x from a) as b, c"), None);
    }

    fn queries_selected(sql: &str) -> Option<BTreeSet<String>> {
        selected(&parse_select(sql).unwrap())
    }

    #[test]
    fn the_schema_source_becomes_the_sources_name() {
        let mut statement = parse_select("with a as (select * from source.x) select a.y from a").unwrap();
        bind_source(&mut statement, "procore-east");
        assert_eq!(relations(&statement).unwrap(), BTreeSet::from([name("procore-east.x")]));
    }
}
