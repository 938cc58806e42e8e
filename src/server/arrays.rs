//! `ARRAY(query)`, of which DataFusion has none.

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByExpr, OrderByKind, OrderByOptions, Query, SelectItem, SetExpr, Statement, Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::rewrite::{call_all, column_name, folded};

/// `ARRAY(query)` as an aggregate over the query, in the query's order; an empty list where there are no rows.
pub(crate) fn gathered(query: &Query) -> Option<Expr> {
    let (query, keys) = keyed(query).unwrap_or_else(|| (query.clone(), Vec::new()));
    let mut names = vec!["value".to_owned()];
    names.extend((0..keys.len()).map(|place| format!("key{place}")));
    let order = keys.iter().enumerate().map(|(place, options)| format!("gathered.key{place}{options}"));
    let order = order.collect::<Vec<_>>().join(", ");
    let by = if order.is_empty() { "" } else { " ORDER BY " };
    let names = names.join(", ");
    let text = format!("SELECT array_agg(gathered.value{by}{order}) FROM ({query}) AS gathered ({names})");
    match Parser::parse_sql(&PostgreSqlDialect {}, &text).ok()?.pop()? {
        Statement::Query(query) => {
            Some(call_all("coalesce", vec![Expr::Subquery(query), call_all("make_array", Vec::new())]))
        }
        _ => None,
    }
}

/// A query of one column with what it is ordered by in further ones, and how each of those is ordered: an aggregate above
/// would not keep the order.
fn keyed(query: &Query) -> Option<(Query, Vec<OrderByOptions>)> {
    let OrderByKind::Expressions(order) = &query.order_by.as_ref()?.kind else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let (column, name) = match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr)] => (expr, column_name(expr)),
        [SelectItem::ExprWithAlias { expr, alias }] => (expr, Some(folded(alias))),
        _ => return None,
    };
    if select.distinct.is_some() {
        return None;
    }
    let is_column = |expr: &Expr| match expr {
        Expr::Identifier(ident) => Some(folded(ident)) == name,
        Expr::Value(value) => value.value == Value::Number("1".to_owned(), false),
        _ => false,
    };
    let key = |(place, key): (usize, &OrderByExpr)| SelectItem::ExprWithAlias {
        expr: if is_column(&key.expr) { column.clone() } else { key.expr.clone() },
        alias: Ident::new(format!("key{place}")),
    };
    let mut ordered = select.clone();
    ordered.projection.extend(order.iter().enumerate().map(key));
    let query = Query { body: Box::new(SetExpr::Select(ordered)), ..query.clone() };
    Some((query, order.iter().map(|key| key.options).collect()))
}
