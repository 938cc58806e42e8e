//! Names that Postgres takes and DataFusion refuses: the statement is planned again in other words.
//!
//! Invariant: a statement that is planned as it stands is not touched.

use std::ops::ControlFlow;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, OrderByKind, Query, SelectItem, SetExpr, Statement, VisitorMut};

use super::rewrite::{self, UNIQUE, folded};
use super::whole_rows;
use crate::engine::walk::walk_mut;

/// The plan of a statement, written otherwise where DataFusion refuses its names and Postgres does not.
pub(crate) async fn planned(
    context: &SessionContext,
    mut statement: Statement,
) -> Result<LogicalPlan, DataFusionError> {
    let state = context.state();
    let planned = |statement: Statement| state.statement_to_plan(DataFusionStatement::Statement(Box::new(statement)));
    let mut rows = 0;
    loop {
        let error = match Box::pin(planned(statement.clone())).await {
            Ok(plan) => return Ok(plan),
            Err(error) => error,
        };
        if rewrite::may_repeat(&statement) && error.to_string().contains("unique expression names") {
            return Box::pin(planned(rewrite::told_apart(statement))).await;
        }
        if let Some(name) = ambiguous(&error) {
            let other = renamed(statement.clone(), &name);
            if other != statement {
                statement = other;
                continue;
            }
        }
        let missing = whole_rows::missing(&error).filter(|_| rows < whole_rows::ROWS_MAX);
        let Some(missing) = missing else { return Err(error) };
        match Box::pin(whole_rows::spelled(context, statement.clone(), &missing)).await {
            Some(other) if other != statement => statement = other,
            _ => return Err(error),
        }
        rows += 1;
    }
}

/// The name that a statement was refused for because a column of a table and one of the result both have it.
fn ambiguous(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::SchemaError(told, _) => match told.as_ref() {
            SchemaError::AmbiguousReference { field } => Some(field.name.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The statement with that column of its outermost select under a name of its own, in its order too: DataFusion refuses
/// `select upper(t.name) as name … order by t.name`. Queries inside that all rows are taken of need no order.
fn renamed(mut statement: Statement, name: &str) -> Statement {
    /// Queries around, and how many of those are the outermost in parentheses.
    struct Unordered(usize, usize);
    impl VisitorMut for Unordered {
        type Break = ();

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            self.0 += 1;
            if self.0 > self.1 && query.limit_clause.is_none() && query.fetch.is_none() {
                query.order_by = None;
            }
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut outermost = 0;
    if let Statement::Query(query) = &mut statement {
        rename_column(query, name);
        let mut body = query.body.as_ref();
        outermost = 1;
        while let SetExpr::Query(inner) = body {
            outermost += 1;
            body = inner.body.as_ref();
        }
    }
    // It never breaks.
    let _ = walk_mut(&mut statement, &mut Unordered(0, outermost));
    statement
}

fn rename_column(query: &mut Query, name: &str) {
    let select = match query.body.as_mut() {
        SetExpr::Query(inner) => return rename_column(inner, name),
        SetExpr::Select(select) => select,
        _ => return,
    };
    let mut other = None;
    for (place, item) in select.projection.iter_mut().enumerate() {
        if let SelectItem::ExprWithAlias { alias, .. } = item
            && folded(alias) == name
        {
            *alias = Ident::with_quote('"', format!("{name}{UNIQUE}{place}"));
            other = Some(alias.clone());
        }
    }
    let (Some(other), Some(order)) = (other, &mut query.order_by) else { return };
    if let OrderByKind::Expressions(keys) = &mut order.kind {
        for key in keys {
            if matches!(&key.expr, Expr::Identifier(ident) if folded(ident) == name) {
                key.expr = Expr::Identifier(other.clone());
            }
        }
    }
}
