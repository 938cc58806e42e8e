//! What Postgres clients write and DataFusion reads otherwise, by the statement's tree.
//!
//! Invariant: a rule looks at one expression, name or projection, never at a statement's text. Each keeps the meaning:
//! a subquery over a catalogue table that is empty by construction is the null that Postgres would answer.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr,
    Statement, TableFactor, TableWithJoins, TrimWhereField, Visitor, VisitorMut,
};

use super::catalog;
use super::empty::{Scopes, aggregate_lookup, nothing};
use super::{arrays, casts, sets, siblings, spelling, values};
use crate::engine::precedence;
pub(crate) use crate::engine::using::folded;
use crate::engine::walk::{expressions_mut, walk, walk_mut};

/// Parts a column's name from what makes it unique; clients do not see what follows.
pub(crate) const UNIQUE: char = '\u{1}';

/// A column's name as clients see it.
pub(crate) fn shown(name: &str) -> &str {
    name.split(UNIQUE).next().unwrap_or_default()
}

/// A statement as DataFusion reads it.
pub(crate) struct Rewritten {
    pub(crate) statement: Statement,
    /// Its functions look names up, and no catalogue table that it reads brings the list of them up to date.
    pub(crate) asks_names: bool,
}

/// The statement as DataFusion reads it.
pub(crate) fn rewrite(mut statement: Statement) -> Rewritten {
    precedence::correct(&mut statement);
    let mut rules = Rules::default();
    // The rules never break.
    let _ = walk_mut(&mut statement, &mut rules);
    Rewritten { statement, asks_names: rules.calls_naming && !rules.reads_catalog }
}

/// Whether a select has a `*` beside other columns, which may be among it.
pub(crate) fn may_repeat(statement: &Statement) -> bool {
    struct Beside;
    impl Visitor for Beside {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            let is_beside = select.projection.len() > 1 && select.projection.iter().any(is_all);
            if is_beside { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    walk(statement, &mut Beside).is_break()
}

fn is_all(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// The statement with what stands beside a `*` under names of their own: `select name, *` has the name twice, which
/// DataFusion refuses.
pub(crate) fn told_apart(mut statement: Statement) -> Statement {
    struct Apart;
    impl VisitorMut for Apart {
        type Break = ();

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            if !select.projection.iter().any(is_all) {
                return ControlFlow::Continue(());
            }
            for (place, item) in select.projection.iter_mut().enumerate() {
                let (expr, name) = match item {
                    SelectItem::UnnamedExpr(expr) => (expr.clone(), column_name(expr).unwrap_or_default()),
                    SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), folded(alias)),
                    _ => continue,
                };
                let alias = Ident::with_quote('"', format!("{name}{UNIQUE}{place}"));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            ControlFlow::Continue(())
        }
    }
    // It never breaks.
    let _ = walk_mut(&mut statement, &mut Apart);
    statement
}

#[derive(Default)]
struct Rules {
    scopes: Scopes,
    calls_naming: bool,
    reads_catalog: bool,
}

impl VisitorMut for Rules {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if let [ObjectNamePart::Identifier(name)] = relation.0.as_slice()
            && catalog::is_catalog_table(&name.value)
        {
            relation.0.insert(0, ObjectNamePart::Identifier(Ident::new(catalog::SCHEMA)));
        }
        self.reads_catalog |= relation.0.first().and_then(ObjectNamePart::as_ident).is_some_and(is_catalog);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        sets::fetch_first(query);
        name_first_branch(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(order) = &mut query.order_by {
            values::spell(order);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        // A function's name among tables is not folded by DataFusion.
        if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } = table {
            for part in &mut name.0 {
                if let ObjectNamePart::Identifier(ident) = part {
                    ident.value = folded(ident);
                }
            }
        }
        siblings::texts(table);
        sets::list_rows(table);
        sets::name_rows(table);
        sets::single_row(table);
        sets::view_rows(table);
        if let TableFactor::Table { name, args: Some(_), .. } = table {
            unqualify(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        // By what was written, before it is said in other words.
        name_columns(select);
        siblings::lateral(select);
        let has_no_rows = self.scopes.has_no_rows(select);
        self.scopes.enter(select);
        if has_no_rows {
            // No row will ever ask for the value of these.
            for item in &mut select.projection {
                let _ = expressions_mut(item, |expr| {
                    if let Some(nothing) = nothing(expr) {
                        *expr = nothing;
                    }
                    ControlFlow::<()>::Continue(())
                });
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        name_columns(select);
        values::spell(&mut select.projection);
        sets::spread(select, &self.scopes);
        self.scopes.leave();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        casts::through(expr);
        if let Some(folded) = self.scopes.value(expr) {
            *expr = folded;
        }
        if let Expr::Subquery(query) = expr {
            aggregate_lookup(query);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        spelling::respell(expr);
        match expr {
            Expr::BinaryOp { op, .. } => {
                if let BinaryOperator::PGCustomBinaryOperator(parts) = op
                    && let Some(plain) = parts.last().and_then(|name| operator(name))
                {
                    *op = plain;
                }
            }
            Expr::Collate { expr: inner, .. } => *expr = inner.as_ref().clone(),
            Expr::Function(Function { name, args: FunctionArguments::Subquery(query), .. })
                if name.to_string().eq_ignore_ascii_case("array") =>
            {
                if let Some(gathered) = arrays::gathered(query) {
                    // A list, where `= any (select …)` beside it would mean rows.
                    *expr = Expr::Nested(Box::new(gathered));
                }
            }
            Expr::Function(function) => unqualify(&mut function.name),
            Expr::Cast { .. } => casts::plain(expr),
            Expr::CompoundFieldAccess { .. } => sets::subscripts(expr, &self.scopes),
            Expr::Like { .. } | Expr::ILike { .. } => sets::escapes(expr),
            Expr::Identifier(name) if is_word(name) => {
                *expr = call_all(&name.value.to_ascii_lowercase(), Vec::new());
            }
            _ => {}
        }
        if let Expr::Function(function) = expr {
            let name = function.name.to_string();
            self.calls_naming |= catalog::NAMING.iter().any(|known| name.eq_ignore_ascii_case(known));
        }
        ControlFlow::Continue(())
    }
}

/// An operator that was written `OPERATOR(pg_catalog.…)`.
fn operator(name: &str) -> Option<BinaryOperator> {
    Some(match name {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

/// `pg_catalog.version()` is `version()`: DataFusion's functions have no schema.
fn unqualify(name: &mut ObjectName) {
    if let [ObjectNamePart::Identifier(schema), _] = name.0.as_slice()
        && (is_catalog(schema) || schema.value.eq_ignore_ascii_case(catalog::INFORMATION_SCHEMA))
    {
        name.0.remove(0);
    }
}

fn is_catalog(schema: &Ident) -> bool {
    schema.value.eq_ignore_ascii_case(catalog::SCHEMA)
}

/// Reserved words that are functions in Postgres, and names to the parser.
fn is_word(name: &Ident) -> bool {
    name.quote_style.is_none()
        && ["current_schema", "current_role"].iter().any(|word| name.value.eq_ignore_ascii_case(word))
}

pub(crate) fn call(name: &str, argument: Expr) -> Expr {
    call_all(name, vec![argument])
}

pub(crate) fn call_all(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(Ident::new(name)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Names result columns as Postgres does: a function by its name, a cast by what it casts, else `?column?`.
fn name_columns(select: &mut Select) {
    let mut taken = HashSet::new();
    let functions: HashSet<String> = select.from.iter().flat_map(factors).filter_map(function_name).collect();
    for (place, item) in select.projection.iter_mut().enumerate() {
        match item {
            // The same name twice is no name to refer to, and two columns all the same.
            SelectItem::ExprWithAlias { alias, .. } if !taken.insert(alias.value.clone()) => {
                *alias = Ident::with_quote('"', format!("{}{UNIQUE}{place}", alias.value));
            }
            SelectItem::UnnamedExpr(expr) => {
                let plain = match &*expr {
                    Expr::Identifier(name) => !is_word(name),
                    // A value of a function's row is a part of a column, and would be named as such.
                    Expr::CompoundIdentifier(parts) => {
                        !matches!(parts.as_slice(), [table, _] if functions.contains(&folded(table)))
                    }
                    _ => false,
                };
                let name = column_name(expr).unwrap_or_else(|| "?column?".to_owned());
                // The same name from two tables is no conflict: DataFusion tells them apart by their tables.
                let key = if plain { expr.to_string() } else { name.clone() };
                let is_new = taken.insert(key);
                if plain && is_new {
                    continue;
                }
                let name = if is_new { name } else { format!("{name}{UNIQUE}{place}") };
                taken.insert(name.clone());
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) };
            }
            _ => {}
        }
    }
}

/// Names the columns of a union's first branch: one of an outer query would come under a name that tells where it is from.
fn name_first_branch(body: &mut SetExpr) {
    let SetExpr::SetOperation { left, .. } = body else { return };
    if let SetExpr::Select(select) = left.as_mut() {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) = item
                && let Some(alias) = parts.last().cloned()
            {
                *item = SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(parts.clone()), alias };
            }
        }
    }
    name_first_branch(left);
}

/// The tables of a part of `FROM`.
pub(crate) fn factors(from: &TableWithJoins) -> impl Iterator<Item = &TableFactor> {
    std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
}

/// The name of the rows of a function among the tables.
fn function_name(table: &TableFactor) -> Option<String> {
    match table {
        TableFactor::Table { alias: Some(alias), args: Some(_), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(folded(&alias.name)),
        _ => None,
    }
}

/// The name that a column gets from what it is.
pub(crate) fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        Expr::Function(function) => function.name.0.last().and_then(ObjectNamePart::as_ident).map(folded),
        Expr::Cast { expr, data_type, .. } => {
            // What is only a cast of a cast goes by the last.
            let inner = if is_cast_value(expr) { None } else { column_name(expr) };
            inner.or_else(|| Some(sql_type_name(data_type)))
        }
        Expr::Nested(inner) => column_name(inner),
        Expr::Case { else_result, .. } => {
            Some(else_result.as_deref().and_then(column_name).unwrap_or_else(|| "case".to_owned()))
        }
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Substring { shorthand, .. } => Some(if *shorthand { "substr" } else { "substring" }.to_owned()),
        Expr::Trim { trim_where, .. } => Some(
            match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            }
            .to_owned(),
        ),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Overlay { .. } => Some("overlay".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::Interval(_) => Some("interval".to_owned()),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::AtTimeZone { .. } => Some("timezone".to_owned()),
        Expr::Tuple(_) => Some("row".to_owned()),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(name))) => Some(folded(name)),
            _ => column_name(root),
        },
        Expr::Subquery(query) => only_column(&query.body),
        _ => None,
    }
}

/// The name of the one column of a subquery: that of its first branch.
fn only_column(body: &SetExpr) -> Option<String> {
    match body {
        SetExpr::Select(select) => match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(expr)] => column_name(expr),
            [SelectItem::ExprWithAlias { alias, .. }] => Some(alias.value.clone()),
            _ => None,
        },
        SetExpr::SetOperation { left, .. } => only_column(left),
        SetExpr::Query(query) => only_column(&query.body),
        _ => None,
    }
}

fn is_cast_value(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { expr, .. } => is_cast_value(expr) || matches!(expr.as_ref(), Expr::Value(_)),
        Expr::Nested(inner) => is_cast_value(inner),
        _ => false,
    }
}

fn sql_type_name(data_type: &DataType) -> String {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        return sql_type_name(element);
    }
    let text = data_type.to_string().to_ascii_lowercase();
    let word = text.split(['(', ' ']).next().unwrap_or(&text);
    match word {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "double" => "float8",
        "decimal" => "numeric",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    pub(crate) fn rewritten(text: &str) -> String {
        rewrite(Parser::parse_sql(&PostgreSqlDialect {}, text).unwrap().pop().unwrap()).statement.to_string()
    }

    #[test]
    fn postgres_spellings_become_plain() {
        let text =
            "select relname from pg_class where relname operator(pg_catalog.~) '^(a)$' collate pg_catalog.default";
        assert_eq!(rewritten(text), "SELECT relname FROM pg_catalog.pg_class WHERE relname ~ '^(a)$'");
        assert_eq!(rewritten("select pg_catalog.version()"), "SELECT version() AS \"version\"");
        assert!(rewritten("select 'a'::regclass").contains("tieout_relation('a')"));
        assert!(rewritten("select oid::regclass::oid from x").starts_with("SELECT oid"));
    }

    #[test]
    fn columns_are_named_as_postgres_names_them() {
        assert_eq!(rewritten("select 1"), "SELECT 1 AS \"?column?\"");
        assert_eq!(
            rewritten("select count(*), a, a::text from t"),
            "SELECT count(*) AS \"count\", a, a::TEXT AS \"a\u{1}2\" FROM t"
        );
    }
}
