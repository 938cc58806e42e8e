//! A row as a value: `row_to_json(t)`, `count(t)`, `(t).amount`, where `t` stands among the tables.
//!
//! Only asked for when a statement names a column that is none. The columns are those of the table by itself; one that depends on
//! the tables beside it has none that could be told.

use std::ops::ControlFlow;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, ObjectNamePart, Query, Select, SelectItem, Statement, TableAlias, TableFactor,
    TableWithJoins, Value, Visitor, VisitorMut,
};

use super::rewrite::{call_all, factors, folded};
use crate::engine::using;
use crate::engine::walk::{walk, walk_mut};

/// More tables than that are not taken as rows in one statement.
pub(crate) const ROWS_MAX: usize = 16;

/// The name that a statement was refused for, which may be that of a table.
pub(crate) fn missing(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::SchemaError(told, _) => match told.as_ref() {
            SchemaError::FieldNotFound { field, .. } if field.relation.is_none() => Some(field.name.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The statement with the rows of the tables of that name as values, where there are any.
pub(crate) async fn spelled(context: &SessionContext, mut statement: Statement, name: &str) -> Option<Statement> {
    let mut all = Vec::new();
    for table in tables(&statement, name) {
        let columns = columns(context, &statement, table.clone()).await?;
        all.push((table, columns));
    }
    // It never breaks.
    let _ = walk_mut(&mut statement, &mut Spell { name, tables: &all, scopes: Vec::new() });
    Some(statement)
}

/// The tables of that name, each once.
fn tables(statement: &Statement, name: &str) -> Vec<TableFactor> {
    struct Search<'a>(&'a str, Vec<TableFactor>);
    impl Visitor for Search<'_> {
        type Break = ();

        fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
            if called(table).is_some_and(|ident| folded(ident) == self.0) && !self.1.contains(table) {
                self.1.push(table.clone());
            }
            ControlFlow::Continue(())
        }
    }
    let mut search = Search(name, Vec::new());
    let _ = walk(statement, &mut search);
    search.1
}

/// The name that a table goes by.
pub(super) fn called(table: &TableFactor) -> Option<&Ident> {
    match table {
        TableFactor::Table { alias: Some(TableAlias { name, .. }), .. }
        | TableFactor::Derived { alias: Some(TableAlias { name, .. }), .. }
        | TableFactor::Function { alias: Some(TableAlias { name, .. }), .. }
        | TableFactor::UNNEST { alias: Some(TableAlias { name, .. }), .. } => Some(name),
        TableFactor::Table { name, alias: None, .. } => name.0.last().and_then(ObjectNamePart::as_ident),
        _ => None,
    }
}

/// The columns of a table, which may be one of the statement's own common tables.
async fn columns(context: &SessionContext, statement: &Statement, table: TableFactor) -> Option<Vec<String>> {
    let Statement::Query(query) = statement else { return None };
    let alone = *using::all_of(vec![TableWithJoins { relation: table, joins: Vec::new() }])?;
    let among = Query { with: query.with.clone(), ..alone.clone() };
    for query in [alone, among] {
        let statement = DataFusionStatement::Statement(Box::new(Statement::Query(Box::new(query))));
        if let Ok(plan) = context.state().statement_to_plan(statement).await {
            return Some(plan.schema().fields().iter().map(|field| field.name().clone()).collect());
        }
    }
    None
}

/// Writes the name of a table as the row of its columns, where the table can be seen.
struct Spell<'a> {
    name: &'a str,
    tables: &'a [(TableFactor, Vec<String>)],
    /// For each select around, which of the tables it reads.
    scopes: Vec<Option<usize>>,
}

impl Spell<'_> {
    /// The columns of the table that a name means here.
    fn meant(&self, ident: &Ident) -> Option<&[String]> {
        let place = self.scopes.iter().rev().find_map(|scope| *scope).filter(|_| folded(ident) == self.name)?;
        self.tables.get(place).map(|table| table.1.as_slice())
    }

    fn column(&self, name: &str) -> Expr {
        Expr::CompoundIdentifier(vec![Ident::with_quote('"', self.name), Ident::with_quote('"', name)])
    }

    fn row(&self, columns: &[String]) -> Expr {
        let text = |name: &String| Expr::value(Value::SingleQuotedString(name.clone()));
        let pairs = columns.iter().flat_map(|name| [text(name), self.column(name)]);
        call_all("named_struct", pairs.collect())
    }
}

impl VisitorMut for Spell<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut read = select.from.iter().flat_map(factors);
        let read = read.find_map(|factor| self.tables.iter().position(|table| table.0 == *factor));
        self.scopes.push(read);
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = item
                && self.meant(ident).is_some()
            {
                let alias = Ident::with_quote('"', self.name);
                *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(ident.clone()), alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // `(t).amount` is a column like any other.
        if let Expr::CompoundFieldAccess { root, access_chain } = expr
            && let Expr::Nested(inner) = root.as_ref()
            && let Expr::Identifier(ident) = inner.as_ref()
            && let [AccessExpr::Dot(field)] = access_chain.as_slice()
            && self.meant(ident).is_some()
        {
            let field = match field {
                Expr::Identifier(name) => Some(folded(name)),
                Expr::Value(value) => value.value.clone().into_string(),
                _ => None,
            };
            if let Some(field) = field {
                *expr = self.column(&field);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = &*expr
            && let Some(columns) = self.meant(ident)
        {
            *expr = self.row(columns);
        }
        ControlFlow::Continue(())
    }
}
