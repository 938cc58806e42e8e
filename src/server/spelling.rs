//! Expressions that DataFusion knows under another name or in another form, by the statement's tree.
//!
//! Pure. Invariant: as in `rewrite`, a rule looks at one expression and keeps its meaning; what a rule does not know it leaves.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Interval, ObjectNamePart, TimezoneInfo, UnaryOperator, Value,
};

use super::postgres::span::Span;
use super::postgres::{json, scalars};
use super::rewrite::{call, call_all};

/// Functions under the name that DataFusion has for them.
const NAMES: &[(&str, &str)] = &[
    ("every", "bool_and"),
    ("variance", "var_samp"),
    ("ceiling", "ceil"),
    ("array_remove", "array_remove_all"),
    ("array_replace", "array_replace_all"),
    ("sign", "signum"),
    ("gen_random_uuid", "uuid"),
    ("clock_timestamp", "now"),
    ("statement_timestamp", "now"),
    ("transaction_timestamp", "now"),
    ("regexp_matches", scalars::MATCHES),
];

/// The same expression in DataFusion's words.
pub(crate) fn respell(expr: &mut Expr) {
    let other = match expr {
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let escape = escape_char.take().map(Expr::Value);
            let pattern = [pattern.as_ref().clone()].into_iter().chain(escape).collect();
            let op = if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
            Some(nested(binary(expr.as_ref().clone(), op, call_all(scalars::SIMILAR, pattern))))
        }
        Expr::AtTimeZone { timestamp, time_zone } => {
            Some(call_all("timezone", vec![time_zone.as_ref().clone(), timestamp.as_ref().clone()]))
        }
        Expr::Interval(interval) => {
            if let Some(plain) = plain_interval(interval) {
                *interval = plain;
            }
            None
        }
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => cast(expr, data_type),
        Expr::Function(function) => respell_function(function),
        Expr::BinaryOp { left, op, right } => respell_operator(left, op, right),
        Expr::Substring { expr, substring_from: Some(from), substring_for: None, .. } if is_string(from) => {
            Some(call_all(scalars::SUBSTRING, vec![expr.as_ref().clone(), from.as_ref().clone()]))
        }
        Expr::Like { any: true, pattern, .. } | Expr::ILike { any: true, pattern, .. } => {
            let Expr::Array(patterns) = unwrapped(pattern).clone() else { return };
            let one = |pattern: Expr| one_like(expr, pattern);
            patterns.elem.into_iter().map(one).reduce(|all, one| binary(all, BinaryOperator::Or, one)).map(nested)
        }
        Expr::UnaryOp { op: UnaryOperator::PGSquareRoot, expr } => Some(call("sqrt", expr.as_ref().clone())),
        Expr::UnaryOp { op: UnaryOperator::PGCubeRoot, expr } => Some(call("cbrt", expr.as_ref().clone())),
        Expr::UnaryOp { op: UnaryOperator::PGAbs, expr } => Some(call("abs", expr.as_ref().clone())),
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr } => {
            let all = Expr::value(Value::Number("-1".to_owned(), false));
            Some(nested(binary(nested(expr.as_ref().clone()), BinaryOperator::PGBitwiseXor, nested(all))))
        }
        // The sign would be put before the first of its parts alone.
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match unwrapped(expr) {
            Expr::Interval(interval) => negative(interval).map(Expr::Interval),
            _ => None,
        },
        _ => None,
    };
    if let Some(other) = other {
        *expr = other;
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn converted(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::DoubleColon, expr: Box::new(expr), data_type, array: false, format: None }
}

fn unwrapped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unwrapped(inner),
        other => other,
    }
}

/// `x like any (array['a%', 'b%'])` for one of the patterns.
fn one_like(expr: &Expr, one: Expr) -> Expr {
    let mut like = expr.clone();
    if let Expr::Like { any, pattern, .. } | Expr::ILike { any, pattern, .. } = &mut like {
        *any = false;
        **pattern = one;
    }
    like
}

fn written(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn is_string(expr: &Expr) -> bool {
    written(expr).is_some()
}

/// An interval's text in the words that arrow reads.
fn plain_interval(interval: &Interval) -> Option<Interval> {
    let unit = match &interval.leading_field {
        None | Some(DateTimeField::Second | DateTimeField::Seconds) => "second".to_owned(),
        Some(field) => field.to_string().to_ascii_lowercase(),
    };
    let text = written(&interval.value)?;
    spelled_interval(text, &unit)
}

fn spelled_interval(text: &str, unit: &str) -> Option<Interval> {
    let plain = Span::parse(text, unit)?.plain();
    Some(Interval {
        value: Box::new(Expr::value(Value::SingleQuotedString(plain))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

fn negative(interval: &Interval) -> Option<Interval> {
    let span = Span::parse(written(&interval.value)?, "second")?.times(-1_000_000)?;
    spelled_interval(&span.plain(), "second")
}

/// Casts to types that are texts here.
fn cast(inner: &Expr, data_type: &DataType) -> Option<Expr> {
    match data_type {
        DataType::JSON => Some(call(json::JSON, inner.clone())),
        DataType::JSONB => Some(call(json::JSONB, inner.clone())),
        DataType::Uuid => Some(call(scalars::UUID, inner.clone())),
        DataType::Bytea if is_string(unwrapped(inner)) => Some(call(scalars::BYTES, inner.clone())),
        DataType::Interval { .. } => spelled_interval(written(unwrapped(inner))?, "second").map(Expr::Interval),
        _ => None,
    }
}

fn respell_operator(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
    let both = |name: &str| Some(call_all(name, vec![left.clone(), right.clone()]));
    match op {
        BinaryOperator::HashArrow => both(json::AT),
        BinaryOperator::HashLongArrow => both(json::AT_TEXT),
        BinaryOperator::StringConcat if is_json(left) || is_json(right) => both(json::JOINED),
        BinaryOperator::AtArrow if is_json(left) || is_json(right) => both(json::CONTAINS),
        BinaryOperator::ArrowAt if is_json(left) || is_json(right) => {
            Some(call_all(json::CONTAINS, vec![right.clone(), left.clone()]))
        }
        _ => None,
    }
}

/// Whether an expression is JSON by its form.
fn is_json(expr: &Expr) -> bool {
    const MAKERS: &[&str] = &[json::JSON, json::JSONB, json::JOINED, "to_json", "to_jsonb", "row_to_json"];
    let Expr::Function(function) = unwrapped(expr) else { return false };
    let name = name(function);
    MAKERS.contains(&name.as_str()) || name.starts_with("json_build_") || name.starts_with("jsonb_build_")
}

fn name(function: &Function) -> String {
    let name = function.name.0.last().and_then(ObjectNamePart::as_ident);
    name.map(|name| name.value.to_ascii_lowercase()).unwrap_or_default()
}

fn respell_function(function: &mut Function) -> Option<Expr> {
    let name = name(function);
    let arguments = plain_arguments(function);
    match (name.as_str(), arguments.as_deref()) {
        ("mod", Some([left, right])) => {
            Some(nested(binary(nested(left.clone()), BinaryOperator::Modulo, nested(right.clone()))))
        }
        // A list without elements has no dimension.
        ("array_length", Some([list, dimension])) => {
            let length = call_all("array_length", vec![list.clone(), dimension.clone()]);
            Some(call_all("nullif", vec![length, Expr::value(Value::Number("0".to_owned(), false))]))
        }
        ("div", Some([left, right])) => {
            Some(call("trunc", binary(nested(left.clone()), BinaryOperator::Divide, nested(right.clone()))))
        }
        ("date_trunc", Some([unit, at, zone])) => {
            let local = call_all("timezone", vec![zone.clone(), at.clone()]);
            let cut = call_all("date_trunc", vec![unit.clone(), local]);
            Some(call_all("timezone", vec![zone.clone(), cut]))
        }
        ("localtimestamp", _) => {
            Some(converted(call_all("now", Vec::new()), DataType::Timestamp(None, TimezoneInfo::None)))
        }
        ("localtime", _) => Some(converted(call_all("now", Vec::new()), DataType::Time(None, TimezoneInfo::None))),
        ("make_interval", _) => make_interval(function),
        ("mode", _) if !function.within_group.is_empty() => Some(call(scalars::MODE, sorted(function)?)),
        ("percentile_disc", Some([fraction])) if !function.within_group.is_empty() => {
            Some(call_all(scalars::PERCENTILE, vec![fraction.clone(), sorted(function)?]))
        }
        ("json_agg", Some([value])) => Some(call(json::ARRAY, gathered(function, call("to_json", value.clone())))),
        ("jsonb_agg", Some([value])) => Some(call(json::ARRAY_B, gathered(function, call("to_json", value.clone())))),
        ("json_object_agg" | "jsonb_object_agg", Some([key, value])) => {
            let whole = if name == "json_object_agg" { json::OBJECT } else { json::OBJECT_B };
            let key = gathered(function, converted(key.clone(), DataType::Text));
            let value = gathered(function, call("to_json", value.clone()));
            Some(call_all(whole, vec![key, value]))
        }
        _ => {
            if let Some((_, known)) = NAMES.iter().find(|known| known.0 == name)
                && let Some(ObjectNamePart::Identifier(last)) = function.name.0.last_mut()
            {
                (*known).clone_into(&mut last.value);
            }
            None
        }
    }
}

/// Arguments that are plain expressions.
fn plain_arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let plain = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(plain).collect()
}

/// An aggregate's values as a list; its order, filter and window go with it.
fn gathered(function: &Function, value: Expr) -> Expr {
    let mut list = function.clone();
    list.name = datafusion::sql::sqlparser::ast::Ident::new("array_agg").into();
    if let FunctionArguments::List(arguments) = &mut list.args {
        arguments.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value))];
    }
    Expr::Function(list)
}

/// What is ordered `within group`, as an ordered list.
fn sorted(function: &Function) -> Option<Expr> {
    let [order] = function.within_group.as_slice() else { return None };
    let Expr::Function(mut list) = call("array_agg", order.expr.clone()) else { return None };
    if let FunctionArguments::List(arguments) = &mut list.args {
        arguments.clauses.push(FunctionArgumentClause::OrderBy(vec![order.clone()]));
    }
    list.filter.clone_from(&function.filter);
    Some(Expr::Function(list))
}

/// `make_interval(days => 3)`: so many of each unit.
fn make_interval(function: &Function) -> Option<Expr> {
    const UNITS: [(&str, &str); 7] = [
        ("years", "1 year"),
        ("months", "1 month"),
        ("weeks", "1 week"),
        ("days", "1 day"),
        ("hours", "1 hour"),
        ("mins", "1 minute"),
        ("secs", "1 second"),
    ];
    let FunctionArguments::List(list) = &function.args else { return None };
    let one = |(place, argument): (usize, &FunctionArg)| {
        let (unit, value) = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (UNITS.get(place)?.1, value),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }
            | FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(value), .. } => {
                (UNITS.iter().find(|unit| name.value.eq_ignore_ascii_case(unit.0))?.1, value)
            }
            _ => return None,
        };
        let unit = Expr::Interval(spelled_interval(unit, "second")?);
        Some(binary(nested(value.clone()), BinaryOperator::Multiply, unit))
    };
    let all = list.args.iter().enumerate().map(one).collect::<Option<Vec<_>>>()?;
    all.into_iter().reduce(|all, one| binary(all, BinaryOperator::Plus, one)).map(nested)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use crate::server::rewrite::rewrite;

    #[test]
    fn postgres_words_are_said_in_others() {
        for (text, expected) in [
            ("a similar to 'x%'", "(a ~ tieout_similar_pattern('x%'))"),
            ("a not similar to b escape '!'", "(a !~ tieout_similar_pattern(b, '!'))"),
            ("a at time zone 'UTC'", "timezone('UTC', a)"),
            ("interval '1:30'", "INTERVAL '0 months 0 days 5400000000 microseconds'"),
            ("interval '2' day", "INTERVAL '0 months 2 days 0 microseconds'"),
            ("'1 mon'::interval", "INTERVAL '1 months 0 days 0 microseconds'"),
            ("mod(a, 3)", "((a) % (3))"),
            ("every(a)", "bool_and(a)"),
            ("array_remove(a, 1)", "array_remove_all(a, 1)"),
            ("array_length(a, 1)", "nullif(array_length(a, 1), 0)"),
            ("mode() within group (order by a desc)", "tieout_mode(array_agg(a ORDER BY a DESC))"),
            (
                "json_agg(a order by b) filter (where c)",
                "tieout_json_array(array_agg(to_json(a) ORDER BY b) FILTER (WHERE c))",
            ),
            ("a::jsonb @> '{}'", "tieout_json_contains(tieout_jsonb(a), '{}')"),
            ("a like any (array['x', 'y'])", "(a LIKE 'x' OR a LIKE 'y')"),
            ("-interval '1 day 1 hour'", "INTERVAL '0 months -1 days -3600000000 microseconds'"),
            ("a::jsonb || b", "tieout_json_joined(tieout_jsonb(a), b)"),
            ("localtime", "now()::TIME"),
            ("|/ a", "sqrt(a)"),
            ("~a", "((a) # (-1))"),
            ("substring(a from 'x.')", "tieout_substring_pattern(a, 'x.')"),
        ] {
            let text = format!("select {text} as v from t");
            let statement = Parser::parse_sql(&PostgreSqlDialect {}, &text).unwrap().pop().unwrap();
            assert_eq!(rewrite(statement).statement.to_string(), format!("SELECT {expected} AS v FROM t"));
        }
    }
}
