//! `exists (…)` and `x in (select …)` as values of a select list or an order, where DataFusion plans them as conditions only.
//!
//! Pure, on the statement's tree. Invariant: a null beside no match is null, as in Postgres: neither in nor not in.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, Statement, VisitMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::sets::outermost;

/// Makes them values.
pub(crate) fn spell(words: &mut impl VisitMut) {
    outermost(words, |expr| {
        if let Some(value) = value(expr) {
            *expr = value;
        }
    });
}

fn value(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Exists { subquery, negated } => exists(subquery, *negated),
        Expr::InSubquery { expr, subquery, negated } => found(expr, subquery, *negated),
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => match right.as_ref() {
            Expr::Subquery(query) => found(left, query, false),
            _ => None,
        },
        _ => None,
    }
}

fn parsed(text: &str) -> Option<Expr> {
    match Parser::parse_sql(&PostgreSqlDialect {}, &format!("SELECT {text}")).ok()?.pop()? {
        Statement::Query(query) => match *query.body {
            SetExpr::Select(select) => match select.projection.into_iter().next()? {
                SelectItem::UnnamedExpr(expr) => Some(expr),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// How many rows there are, compared with none.
fn exists(query: &Query, negated: bool) -> Option<Expr> {
    let op = if negated { "=" } else { ">" };
    let count = parsed(&format!("count(*) {op} 0"))?;
    if let SetExpr::Select(select) = query.body.as_ref()
        && is_plain(query, select)
    {
        let mut counted = query.clone();
        if let SetExpr::Select(select) = counted.body.as_mut() {
            select.projection = vec![SelectItem::UnnamedExpr(count)];
        }
        counted.order_by = None;
        return Some(Expr::Subquery(Box::new(counted)));
    }
    parsed(&format!("(SELECT count(*) {op} 0 FROM ({query}) AS counted)"))
}

/// A select with as many rows as its tables and conditions say.
fn is_plain(query: &Query, select: &Select) -> bool {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let calls = select.projection.iter().any(|item| item.to_string().contains('('));
    query.limit_clause.is_none()
        && query.fetch.is_none()
        && !grouped
        && select.having.is_none()
        && select.distinct.is_none()
        && !calls
}

/// Whether a value is among a query's; the query must not depend on the row.
fn found(left: &Expr, query: &Query, negated: bool) -> Option<Expr> {
    let rows = format!("FROM ({query}) AS listed (value)");
    let not = if negated { "NOT " } else { "" };
    parsed(&format!(
        "({not}CASE WHEN (SELECT count(*) {rows}) = 0 THEN false \
         WHEN ({left}) IS NULL THEN NULL \
         WHEN array_has((SELECT array_agg(value) {rows} WHERE value IS NOT NULL), {left}) THEN true \
         WHEN (SELECT count(*) {rows} WHERE value IS NULL) > 0 THEN NULL ELSE false END)"
    ))
}

#[cfg(test)]
mod tests {
    use crate::server::rewrite::tests::rewritten;

    #[test]
    fn conditions_of_a_select_list_are_values() {
        let text = rewritten("select exists (select 1 from u where u.y = t.x) as e from t");
        assert_eq!(text, "SELECT (SELECT count(*) > 0 FROM u WHERE u.y = t.x) AS e FROM t");
        let text = rewritten("select not exists (select max(y) from u) as e from t");
        assert!(text.contains("(SELECT count(*) = 0 FROM (SELECT max(y) AS \"max\" FROM u) AS counted)"), "{text}");
        let text = rewritten("select case when x in (select y from u) then 1 end as e from t");
        assert!(text.contains("array_has((SELECT array_agg(value) FROM (SELECT y FROM u) AS listed (value)"), "{text}");
        // A condition is none.
        let text = "select x from t where x in (select y from u) and exists (select 1)";
        assert_eq!(
            rewritten(text),
            "SELECT x FROM t WHERE x IN (SELECT y FROM u) AND EXISTS (SELECT 1 AS \"?column?\")"
        );
    }
}
