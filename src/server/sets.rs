//! Sets and lists as Postgres writes them: functions that answer rows in a select list, subscripts that count from zero,
//! patterns with an escape of their own.
//!
//! Pure, on the statement's tree. Which columns count from zero is the catalogue's knowledge.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Fetch, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    LimitClause, ObjectNamePart, Query, Select, SetExpr, Statement, Subscript, TableAliasColumnDef, TableFactor, Value,
    VisitMut, VisitorMut,
};

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::catalog;
use super::empty::Scopes;
use super::postgres::{json, scalars};
use super::rewrite::{call, call_all};
use crate::engine::walk::walk_mut;

/// Functions of rows in a select list, and the function that answers the same as a list.
const SETS: &[(&str, &str)] = &[
    ("generate_series", "generate_series"),
    ("generate_subscripts", catalog::SUBSCRIPTS),
    ("_pg_expandarray", catalog::EXPANDED),
    ("pg_partition_ancestors", catalog::NO_OIDS),
    ("aclexplode", catalog::GRANTS),
    ("regexp_split_to_table", "regexp_split_to_array"),
    ("string_to_table", "string_to_array"),
    (scalars::MATCHES, scalars::MATCHES),
    ("json_array_elements", json::ELEMENTS),
    ("jsonb_array_elements", json::ELEMENTS),
    ("json_array_elements_text", json::ELEMENTS_TEXT),
    ("jsonb_array_elements_text", json::ELEMENTS_TEXT),
    ("json_object_keys", json::KEYS),
    ("jsonb_object_keys", json::KEYS),
];

/// Changes the expressions of a select list or an order, from within outwards, but not those of queries inside.
pub(crate) fn outermost(words: &mut impl VisitMut, change: impl FnMut(&mut Expr)) {
    struct Outermost<F> {
        depth: usize,
        change: F,
    }
    impl<F: FnMut(&mut Expr)> VisitorMut for Outermost<F> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.depth == 0 {
                (self.change)(expr);
            }
            ControlFlow::Continue(())
        }
    }
    // It never breaks.
    let _ = walk_mut(words, &mut Outermost { depth: 0, change });
}

/// Makes functions of rows in a select list the elements of a list.
pub(crate) fn spread(select: &mut Select, scopes: &Scopes) {
    outermost(&mut select.projection, |expr| {
        let Expr::Function(function) = &*expr else { return };
        let Some((_, list)) = SETS.iter().find(|(set, _)| is_named(function, set)) else { return };
        let arguments = arguments(function);
        let arguments = match (*list, arguments.as_slice()) {
            (catalog::SUBSCRIPTS, [of, ..]) => {
                let first = i32::from(!scopes.counts_from_zero(of));
                vec![of.clone(), number(first)]
            }
            _ => arguments,
        };
        *expr = call("unnest", call_all(list, arguments));
    });
}

fn is_named(function: &Function, name: &str) -> bool {
    function
        .name
        .0
        .last()
        .and_then(ObjectNamePart::as_ident)
        .is_some_and(|ident| ident.value.eq_ignore_ascii_case(name))
}

fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let plain = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().filter_map(plain).collect()
}

fn number(value: i32) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}

/// `fetch first 2 rows only` is `limit 2`.
pub(crate) fn fetch_first(query: &mut Query) {
    let Some(fetch) = query.fetch.take_if(|fetch| !fetch.percent && !fetch.with_ties) else { return };
    let count = fetch.quantity.unwrap_or_else(|| number(1));
    match &mut query.limit_clause {
        None => {
            query.limit_clause =
                Some(LimitClause::LimitOffset { limit: Some(count), offset: None, limit_by: Vec::new() });
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(count),
        // Two limits: the planner says what it thinks of that.
        Some(_) => query.fetch = Some(fetch_of(count)),
    }
}

fn fetch_of(count: Expr) -> Fetch {
    Fetch { with_ties: false, percent: false, quantity: Some(count) }
}

/// `from generate_series(1, 3) n`: the name of a function's rows is that of their column, where there is one.
pub(crate) fn name_rows(table: &mut TableFactor) {
    let (TableFactor::Table { name, alias: Some(alias), args: Some(_), .. }
    | TableFactor::Function { name, alias: Some(alias), .. }) = table
    else {
        return;
    };
    let is_series = name
        .0
        .last()
        .and_then(ObjectNamePart::as_ident)
        .is_some_and(|name| name.value.eq_ignore_ascii_case("generate_series"));
    if is_series && alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
    }
}

/// `from string_to_table('a,b', ',') t`: the elements of a list as rows.
pub(crate) fn list_rows(table: &mut TableFactor) {
    let (TableFactor::Table { name, alias, args: Some(_), .. } | TableFactor::Function { name, alias, .. }) = &*table
    else {
        return;
    };
    let Some(function) = name.0.last().and_then(ObjectNamePart::as_ident) else { return };
    let known = SETS.iter().find(|(set, _)| function.value.eq_ignore_ascii_case(set));
    let Some((_, list)) = known.filter(|(set, _)| *set != "generate_series") else { return };
    if *list == catalog::GRANTS {
        // Nobody grants anything here, whatever list is asked about.
        let text = "SELECT * FROM (SELECT NULL::BIGINT AS grantor, NULL::BIGINT AS grantee, NULL::TEXT AS privilege_type, \
                    NULL::BOOLEAN AS is_grantable WHERE FALSE)";
        let alias = alias.as_ref().map_or_else(|| function.to_string(), ToString::to_string);
        if let Some(rows) = relation(&format!("{text} AS {alias}")) {
            *table = rows;
        }
        return;
    }
    let named = alias.as_ref().map_or(function, |alias| &alias.name).clone();
    let column = match alias.as_ref().and_then(|alias| alias.columns.first()) {
        Some(column) => column.name.clone(),
        None if alias.is_none() && list.starts_with(json::ELEMENTS) => Ident::new("value"),
        None => named.clone(),
    };
    let mut bare = table.clone();
    if let TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } = &mut bare {
        *alias = None;
        *name = Ident::new(*list).into();
    }
    let text = format!("SELECT * FROM UNNEST({bare}) AS {named} ({column})");
    if let Some(rows) = relation(&text) {
        *table = rows;
    }
}

/// Functions of one value that clients read as tables.
const VALUES: &[&str] = &[
    "string_to_array",
    "regexp_split_to_array",
    "version",
    "current_schema",
    "current_database",
    "current_setting",
    "now",
];

/// `from string_to_array(…) s`: a function of one value is a table of one row, its column named as the table is.
pub(crate) fn single_row(table: &mut TableFactor) {
    let (TableFactor::Table { name, alias, args: Some(_), .. } | TableFactor::Function { name, alias, .. }) = &*table
    else {
        return;
    };
    let Some(function) = name.0.last().and_then(ObjectNamePart::as_ident) else { return };
    if !VALUES.iter().any(|known| function.value.eq_ignore_ascii_case(known)) {
        return;
    }
    let named = alias.as_ref().map_or(function, |alias| &alias.name).clone();
    let mut bare = table.clone();
    if let TableFactor::Table { alias, .. } | TableFactor::Function { alias, .. } = &mut bare {
        *alias = None;
    }
    let text = format!("SELECT * FROM (SELECT {bare} AS {named}) AS {named}");
    if let Some(rows) = relation(&text) {
        *table = rows;
    }
}

/// Functions whose rows are those of a view, and `unnest` with its schema.
pub(crate) fn view_rows(table: &mut TableFactor) {
    let (TableFactor::Table { name, alias, args: Some(_), .. } | TableFactor::Function { name, alias, .. }) = &*table
    else {
        return;
    };
    let Some(function) = name.0.last().and_then(ObjectNamePart::as_ident) else { return };
    let alias = alias.as_ref().map(|alias| format!(" AS {alias}")).unwrap_or_default();
    let text = match function.value.to_ascii_lowercase().as_str() {
        "pg_show_all_settings" => "pg_catalog.pg_settings".to_owned(),
        "pg_available_extensions" => "pg_catalog.pg_available_extensions".to_owned(),
        "unnest" if name.0.len() > 1 => {
            let mut list = table.clone();
            if let TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } = &mut list {
                *name = Ident::new("UNNEST").into();
                *alias = None;
            }
            list.to_string()
        }
        _ => return,
    };
    if let Some(rows) = relation(&format!("SELECT * FROM {text}{alias}")) {
        *table = rows;
    }
}

/// What stands behind `FROM`.
pub(crate) fn relation(text: &str) -> Option<TableFactor> {
    match Parser::parse_sql(&PostgreSqlDialect {}, text).ok()?.pop()? {
        Statement::Query(query) => match *query.body {
            SetExpr::Select(select) => Some(select.from.into_iter().next()?.relation),
            _ => None,
        },
        _ => None,
    }
}

/// `indkey[0]` is the first element of a column that counts from zero; `(f(x)).n` a field.
pub(crate) fn subscripts(expr: &mut Expr, scopes: &Scopes) {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return };
    if !matches!(root.as_ref(), Expr::Identifier(_)) {
        for access in access_chain.iter_mut() {
            if let AccessExpr::Dot(field) = access
                && let Expr::Identifier(name) = field
            {
                *field = Expr::value(Value::SingleQuotedString(name.value.clone()));
            }
        }
        return;
    }
    let mut names: Vec<Ident> = Vec::new();
    if let Expr::Identifier(name) = root.as_ref() {
        names.push(name.clone());
    }
    for access in access_chain {
        match access {
            AccessExpr::Dot(Expr::Identifier(name)) => names.push(name.clone()),
            AccessExpr::Subscript(Subscript::Index { index }) => {
                let column = match names.as_slice() {
                    [only] => Expr::Identifier(only.clone()),
                    _ => Expr::CompoundIdentifier(names.clone()),
                };
                if scopes.counts_from_zero(&column) {
                    *index = Expr::BinaryOp {
                        left: Box::new(Expr::Nested(Box::new(index.clone()))),
                        op: BinaryOperator::Plus,
                        right: Box::new(number(1)),
                    };
                }
                return;
            }
            _ => return,
        }
    }
}

/// `x like p escape '/'`: a pattern that escapes by a backslash.
pub(crate) fn escapes(expr: &mut Expr) {
    let (Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. }) = expr else { return };
    let is_other = |value: &datafusion::sql::sqlparser::ast::ValueWithSpan| match &value.value {
        Value::SingleQuotedString(escape) => escape != "\\",
        _ => true,
    };
    if let Some(escape) = escape_char.take_if(|escape| is_other(escape)) {
        **pattern = call_all(catalog::PATTERN, vec![pattern.as_ref().clone(), Expr::Value(escape)]);
    }
}

/// A pattern with an escape of its own as one that escapes by a backslash; none if the escape is no single character.
pub(crate) fn pattern(text: &str, escape: &str) -> Option<String> {
    let mut letters = escape.chars();
    let (escape, None) = (letters.next(), letters.next()) else { return None };
    let mut out = String::with_capacity(text.len());
    let mut text = text.chars();
    while let Some(letter) = text.next() {
        if Some(letter) == escape {
            // What follows stands for itself.
            let next = text.next()?;
            if matches!(next, '%' | '_' | '\\') {
                out.push('\\');
            }
            out.push(next);
        } else {
            if letter == '\\' {
                out.push('\\');
            }
            out.push(letter);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::rewrite::tests::rewritten;

    #[test]
    fn rows_in_a_select_list_are_the_elements_of_a_list() {
        assert_eq!(rewritten("select generate_series(1, 3) as n"), "SELECT unnest(generate_series(1, 3)) AS n");
        let text = "select generate_subscripts(i.indkey, 1) as a, generate_subscripts(c.conkey, 1) as b from pg_index i, pg_constraint c";
        let text = rewritten(text);
        assert!(text.contains("unnest(tieout_subscripts(i.indkey, 0)) AS a"), "{text}");
        assert!(text.contains("unnest(tieout_subscripts(c.conkey, 1)) AS b"), "{text}");
        let text = rewritten("select (information_schema._pg_expandarray(i.indkey)).n as n from pg_index i");
        assert!(text.contains("(unnest(tieout_expanded(i.indkey))).'n' AS n"), "{text}");
        // As a table it is one already.
        assert_eq!(
            rewritten("select n from generate_series(1, 3) as s (n)"),
            "SELECT n FROM generate_series(1, 3) AS s (n)"
        );
    }

    #[test]
    fn a_function_of_one_value_is_a_table_of_one_row() {
        let text = rewritten("select s[1] as a from string_to_array('a,b', ',') s");
        assert_eq!(text, "SELECT s[1] AS a FROM (SELECT string_to_array('a,b', ',') AS s) AS s");
    }

    #[test]
    fn rows_are_counted_and_named_in_other_words() {
        assert_eq!(rewritten("select a from t fetch first 2 rows only"), "SELECT a FROM t LIMIT 2");
        assert_eq!(rewritten("select a from t offset 1 fetch next row only"), "SELECT a FROM t LIMIT 1 OFFSET 1");
        assert_eq!(rewritten("select n from generate_series(1, 3) n"), "SELECT n FROM generate_series(1, 3) n (n)");
    }

    #[test]
    fn subscripts_count_as_their_column_does() {
        let text = "select i.indkey[0] as a, c.conkey[1] as b from pg_index i, pg_constraint c";
        let text = rewritten(text);
        assert!(text.contains("i.indkey[(0) + 1] AS a") && text.contains("c.conkey[1] AS b"), "{text}");
        assert!(rewritten("select m.indkey[0] as a from mine m").contains("m.indkey[0]"));
    }

    #[test]
    fn patterns_escape_by_a_backslash() {
        assert_eq!(pattern("pg/_%", "/").as_deref(), Some("pg\\_%"));
        assert_eq!(pattern("a\\b//c", "/").as_deref(), Some("a\\\\b/c"));
        assert_eq!(pattern("a\\%", "").as_deref(), Some("a\\\\%"));
        assert_eq!(pattern("x", "ab"), None);
        assert_eq!(pattern("x/", "/"), None);
        assert!(
            rewritten("select 1 from t where a like b || '%' escape '/'")
                .contains("tieout_like_pattern(b || '%', '/')")
        );
        assert!(rewritten("select 1 from t where a like 'x' escape '\\'").contains("ESCAPE '\\'"));
    }
}
