//! What is empty by construction: subqueries over catalogue tables that have no rows, or columns that have no values.
//!
//! Clients ask their catalogue in subqueries that DataFusion cannot plan. Most ask for what the server has nothing of
//! (indexes, triggers, privileges): there the answer is known without a plan. Looks at trees and at which catalogue table
//! a name stands for, never at a statement's text.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, JoinOperator, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, TableFactor,
    Value, Visitor,
};

use super::catalog;
use crate::engine::walk::walk;

const AGGREGATES: &[&str] =
    &["count", "sum", "min", "max", "avg", "array_agg", "string_agg", "bool_and", "bool_or", "every"];

/// The catalogue tables of each select around an expression, outermost first, by the name that they go by there.
#[derive(Default)]
pub(crate) struct Scopes(Vec<Scope>);

#[derive(Default)]
struct Scope {
    tables: HashMap<String, String>,
    /// Nothing else is read.
    is_catalog_only: bool,
}

impl Scopes {
    pub(crate) fn enter(&mut self, select: &Select) {
        self.0.push(Scope::of(select));
    }

    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    /// Whether a select has no rows, whatever it asks.
    pub(crate) fn has_no_rows(&self, select: &Select) -> bool {
        let own = Scope::of(select);
        !aggregates(select) && (self.reads_nothing(select) || self.selects_nothing(select, &own))
    }

    /// The value of a subquery that has no rows.
    pub(crate) fn value(&self, expr: &Expr) -> Option<Expr> {
        match expr {
            Expr::Exists { subquery, negated } if self.is_empty(subquery) => {
                Some(Expr::Value(Value::Boolean(*negated).into()))
            }
            Expr::Subquery(query) if self.is_empty(query) => nothing(expr),
            Expr::Function(Function { args: FunctionArguments::Subquery(query), .. }) if self.is_empty(query) => {
                nothing(expr)
            }
            _ => None,
        }
    }

    fn is_empty(&self, query: &Query) -> bool {
        matches!(query.body.as_ref(), SetExpr::Select(select) if self.has_no_rows(select))
    }

    /// Whether a table that is joined has no rows.
    fn reads_nothing(&self, select: &Select) -> bool {
        let is_inner = |join: &JoinOperator| {
            matches!(join, JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_))
        };
        select.from.iter().any(|from| {
            let is_outer = from.joins.iter().any(|join| !is_inner(&join.join_operator));
            !is_outer
                && (self.is_nothing(&from.relation) || from.joins.iter().any(|join| self.is_nothing(&join.relation)))
        })
    }

    /// A table without rows, or the elements of a list that is null.
    fn is_nothing(&self, table: &TableFactor) -> bool {
        match table {
            TableFactor::Table { name, args: Some(arguments), .. } if is_named(name, "unnest") => {
                let mut arguments = arguments.args.iter();
                arguments.any(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(list)) => self.is_null(list, None),
                    _ => false,
                })
            }
            TableFactor::UNNEST { array_exprs, .. } => array_exprs.iter().any(|list| self.is_null(list, None)),
            TableFactor::Table { name, args: None, .. } => {
                catalog_table(name).is_some_and(|name| catalog::is_empty_table(&name))
            }
            _ => false,
        }
    }

    /// Whether a condition asks that a value be there which never is.
    fn selects_nothing(&self, select: &Select, own: &Scope) -> bool {
        let mut conditions: Vec<&Expr> = select.selection.iter().collect();
        while let Some(condition) = conditions.pop() {
            match condition {
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                    conditions.extend([left, right].map(AsRef::as_ref));
                }
                Expr::Nested(inner) => conditions.push(inner),
                Expr::IsNotNull(value) if self.is_null(value, Some(own)) => return true,
                _ => {}
            }
        }
        false
    }

    /// Whether an expression is a list of the catalogue whose subscripts start at zero.
    pub(crate) fn counts_from_zero(&self, expr: &Expr) -> bool {
        match expr {
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, column] => self
                    .0
                    .iter()
                    .rev()
                    .find_map(|scope| scope.tables.get(&table.value.to_ascii_lowercase()))
                    .is_some_and(|table| catalog::counts_from_zero(table, &column.value)),
                _ => false,
            },
            Expr::Identifier(column) => self.0.last().is_some_and(|scope| {
                scope.tables.values().any(|table| catalog::counts_from_zero(table, &column.value))
            }),
            Expr::Nested(inner) => self.counts_from_zero(inner),
            _ => false,
        }
    }

    /// Whether an expression is a column of a catalogue table that is null in every row.
    fn is_null(&self, expr: &Expr, own: Option<&Scope>) -> bool {
        let mut scopes = own.into_iter().chain(self.0.iter().rev());
        match expr {
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] => scopes
                    .find_map(|scope| scope.tables.get(&table.value.to_ascii_lowercase()))
                    .is_some_and(|table| catalog::is_null_column(table, &column.value)),
                _ => false,
            },
            Expr::Identifier(column) => scopes.next().is_some_and(|scope| {
                scope.is_catalog_only
                    && scope.tables.values().any(|table| catalog::is_null_column(table, &column.value))
            }),
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => self.is_null(inner, own),
            _ => false,
        }
    }
}

impl Scope {
    fn of(select: &Select) -> Self {
        let mut scope = Self { tables: HashMap::new(), is_catalog_only: true };
        let factors = select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
        for factor in factors {
            let TableFactor::Table { name, alias, args: None, .. } = factor else {
                scope.is_catalog_only = false;
                continue;
            };
            match catalog_table(name) {
                Some(table) => {
                    let alias = alias.as_ref().map_or(&table, |alias| &alias.name.value).to_ascii_lowercase();
                    scope.tables.insert(alias, table);
                }
                None => scope.is_catalog_only = false,
            }
        }
        scope
    }
}

/// Makes a subquery that looks one value up in the catalogue an aggregate, which is all that DataFusion plans. The
/// catalogue's keys are unique, so that the greatest value is the only one.
pub(crate) fn aggregate_lookup(query: &mut Query) {
    let is_plain = query.limit_clause.is_none() && query.fetch.is_none() && query.with.is_none();
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let scope = Scope::of(select);
    if !is_plain
        || !scope.is_catalog_only
        || scope.tables.is_empty()
        || aggregates(select)
        || select.selection.is_none()
    {
        return;
    }
    if let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] =
        select.projection.as_mut_slice()
    {
        *value = super::rewrite::call("max", value.clone());
        query.order_by = None;
    }
}

/// The null in the place of a scalar subquery, the empty list in that of `ARRAY(query)`.
pub(crate) fn nothing(expr: &Expr) -> Option<Expr> {
    let null = || Expr::Value(Value::Null.into());
    match expr {
        Expr::Subquery(_) => Some(null()),
        Expr::Function(Function { name, args: FunctionArguments::Subquery(_), .. }) if is_named(name, "array") => {
            Some(Expr::Cast {
                kind: CastKind::DoubleColon,
                expr: Box::new(Expr::Array(Array { elem: Vec::new(), named: true })),
                data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None)),
                array: false,
                format: None,
            })
        }
        _ => None,
    }
}

/// The catalogue table that a name means.
fn catalog_table(name: &ObjectName) -> Option<String> {
    let parts: Vec<&str> =
        name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.as_str())).collect::<Option<_>>()?;
    let table = match parts.as_slice() {
        [table] => table,
        [schema, table] if schema.eq_ignore_ascii_case(catalog::SCHEMA) => table,
        _ => return None,
    };
    catalog::is_catalog_table(table).then(|| table.to_ascii_lowercase())
}

fn is_named(name: &ObjectName, expected: &str) -> bool {
    name.0.last().and_then(ObjectNamePart::as_ident).is_some_and(|ident| ident.value.eq_ignore_ascii_case(expected))
}

/// Whether a select has one row even over nothing. An aggregate inside of a subquery is that one's own.
fn aggregates(select: &Select) -> bool {
    struct Search(usize);
    impl Visitor for Search {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function)
                    if self.0 == 0 && AGGREGATES.iter().any(|known| is_named(&function.name, known)) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    walk(&select.projection, &mut Search(0)).is_break()
}

#[cfg(test)]
mod tests {
    use crate::server::rewrite::tests::rewritten;

    #[test]
    fn lists_of_the_catalogue_are_null_and_their_elements_none() {
        let text = "select array(select x from pg_catalog.unnest(c.reloptions) x) as o from pg_class c";
        assert_eq!(rewritten(text), "SELECT ARRAY[]::TEXT[] AS o FROM pg_catalog.pg_class c");
        let text = "select array(select attname from pg_attribute where attrelid = c.oid and attacl is not null) as a from pg_class c";
        assert!(rewritten(text).starts_with("SELECT ARRAY[]::TEXT[] AS a"), "{}", rewritten(text));
        // The firm's own tables may have a column of that name.
        let text = "select array(select x from unnest(mine.reloptions) x) as o from mine";
        assert!(rewritten(text).contains("mine.reloptions"), "{}", rewritten(text));
        let text = "select (select 1 from theirs where theirs.attacl is not null) as a from pg_class c";
        assert!(rewritten(text).contains("theirs"), "{}", rewritten(text));
    }

    #[test]
    fn an_aggregate_inside_does_not_make_a_row_outside() {
        let text = "select (select string_agg(attname, ',') from pg_attribute) as a from pg_publication_rel";
        assert!(rewritten(text).starts_with("SELECT NULL AS a"), "{}", rewritten(text));
        assert!(rewritten("select count(*) as n from pg_trigger").starts_with("SELECT count(*)"));
    }

    #[test]
    fn a_lookup_in_the_catalogue_is_an_aggregate_and_one_elsewhere_is_not() {
        let text = "select (select c.relkind = 'c' from pg_class c where c.oid = t.typrelid) as k from pg_type t";
        assert!(rewritten(text).contains("SELECT max(c.relkind = 'c')"), "{}", rewritten(text));
        let text = "select (select amount from mine where mine.id = yours.id) as k from yours";
        assert!(!rewritten(text).contains("max("), "{}", rewritten(text));
    }
}
