//! `generate_series` and `unnest` among the tables, as analysts write them: bounds and steps as plain texts, and lists that
//! depend on the tables before them.
//!
//! Pure, on the statement's tree. What depends on nothing stays a table function, which needs no memory for its rows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, Ident, Interval, ObjectNamePart, Select, TableFactor,
    TableFunctionArgs, TimezoneInfo, TypedString, Value, Visit,
};

use super::rewrite::folded;
use super::sets::relation;
use super::whole_rows::called;
use crate::engine::walk::expressions;

/// `generate_series(date '2024-01-01', '2024-12-01', '1 month')`: texts are read as what stands beside them.
pub(super) fn texts(table: &mut TableFactor) {
    let TableFactor::Table { name, args: Some(args), .. } = table else { return };
    if last(name.0.last()).is_none_or(|name| !name.value.eq_ignore_ascii_case("generate_series")) {
        return;
    }
    let mut arguments: Vec<&mut Expr> = args.args.iter_mut().filter_map(argument).collect();
    let [first, end, step] = arguments.as_mut_slice() else { return };
    if text(step).is_some() {
        **step = Expr::Interval(Interval {
            value: Box::new(step.clone()),
            leading_field: None,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        });
    }
    let wanted = moment(first).or_else(|| moment(end));
    for bound in [first, end] {
        if let (Some(_), Some(data_type)) = (text(bound), &wanted) {
            let (expr, data_type) = (Box::new(bound.clone()), data_type.clone());
            **bound = Expr::Cast { kind: CastKind::DoubleColon, expr, data_type, array: false, format: None };
        }
    }
}

fn last(part: Option<&ObjectNamePart>) -> Option<&Ident> {
    part.and_then(ObjectNamePart::as_ident)
}

fn argument(argument: &mut FunctionArg) -> Option<&mut Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The type of a date or timestamp, where an expression says it.
fn moment(expr: &Expr) -> Option<DataType> {
    match expr {
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. })
            if matches!(data_type, DataType::Date | DataType::Timestamp(..)) =>
        {
            Some(data_type.clone())
        }
        Expr::Nested(inner) => moment(inner),
        Expr::Function(function) => match last(function.name.0.last())?.value.to_ascii_lowercase().as_str() {
            "now" | "current_timestamp" | "date_trunc" | "localtimestamp" => {
                Some(DataType::Timestamp(None, TimezoneInfo::None))
            }
            "current_date" | "make_date" => Some(DataType::Date),
            _ => None,
        },
        _ => None,
    }
}

/// Makes lists that depend on the tables before them lateral tables.
pub(super) fn lateral(select: &mut Select) {
    let mut before: Vec<String> = Vec::new();
    for tables in &mut select.from {
        let joined = tables.joins.iter_mut().map(|join| &mut join.relation);
        for table in std::iter::once(&mut tables.relation).chain(joined) {
            if !before.is_empty()
                && let Some(rows) = rows(table, &before)
            {
                *table = rows;
            }
            // Columns of what has no name may be named without it.
            before.push(called(table).map(folded).unwrap_or_default());
        }
    }
}

/// The rows of a list that names one of the tables before it, or a column by its name alone.
fn rows(table: &TableFactor, before: &[String]) -> Option<TableFactor> {
    let (alias, list, depends) = match table {
        TableFactor::Table {
            name, alias, args: Some(TableFunctionArgs { args, .. }), with_ordinality: false, ..
        }
        | TableFactor::Function { name, alias, args, with_ordinality: false, .. } => {
            let given = args.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let list = match last(name.0.last())?.value.to_ascii_lowercase().as_str() {
                "generate_series" => format!("generate_series({given})"),
                "unnest" if args.len() == 1 => format!("unnest({given})"),
                _ => return None,
            };
            (alias, list, depends(args, before))
        }
        TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality: false, .. } => {
            match array_exprs.as_slice() {
                [list] => (alias, format!("unnest({list})"), depends(list, before)),
                _ => return None,
            }
        }
        _ => return None,
    };
    if !depends {
        return None;
    }
    let name = alias.as_ref().map_or_else(|| "unnest".to_owned(), |alias| alias.name.to_string());
    let column = alias
        .as_ref()
        .and_then(|alias| alias.columns.first())
        .map_or_else(|| name.clone(), |column| column.name.to_string());
    relation(&format!("SELECT * FROM LATERAL (SELECT {list} AS {column}) AS {name}"))
}

/// Whether words name one of the tables, or a column by its name alone.
fn depends(words: &impl Visit, before: &[String]) -> bool {
    let named = expressions(words, |expr| {
        let is_column = match expr {
            Expr::Identifier(_) => true,
            Expr::CompoundIdentifier(parts) => parts.first().is_some_and(|table| before.contains(&folded(table))),
            _ => false,
        };
        if is_column { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    named.is_break()
}

#[cfg(test)]
mod tests {
    use crate::server::rewrite::tests::rewritten;

    #[test]
    fn texts_are_read_as_what_stands_beside_them() {
        assert_eq!(
            rewritten("select d from generate_series(date '2024-01-01', '2024-12-01', '1 month') d"),
            "SELECT d FROM generate_series(DATE '2024-01-01', '2024-12-01'::DATE, INTERVAL '1 months 0 days 0 microseconds') d (d)"
        );
        assert_eq!(
            rewritten("select n from generate_series(1, 3, 2) n"),
            "SELECT n FROM generate_series(1, 3, 2) n (n)"
        );
    }

    #[test]
    fn a_list_of_a_row_is_a_lateral_table() {
        assert_eq!(
            rewritten("select t.a, g from t, generate_series(1, t.a) g"),
            "SELECT t.a, g FROM t, LATERAL (SELECT unnest(generate_series(1, t.a)) AS g) AS g"
        );
        assert_eq!(
            rewritten("select x from t cross join unnest(t.l) as x"),
            "SELECT x FROM t CROSS JOIN LATERAL (SELECT unnest(t.l) AS x) AS x"
        );
        // What depends on the query around is no list of a row here.
        let outer = "SELECT (SELECT count(*) AS \"count\" FROM u, UNNEST(t.l) AS x) AS \"count\" FROM t";
        assert_eq!(rewritten("select (select count(*) from u, unnest(t.l) as x) from t"), outer);
    }
}
