//! What is known of a statement's placeholders before it is planned: what the client declared.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, LimitClause, Query, Statement, TimezoneInfo, Value, Visitor, VisitorMut,
};
use pgwire::api::Type;

use crate::engine::walk::{walk, walk_mut};

fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => Some(name),
            _ => None,
        },
        Expr::Nested(inner) => placeholder(inner),
        _ => None,
    }
}

/// Casts placeholders to what the client declared, so that `current_date + $1` is planned with an integer. A numeric keeps
/// its own digits, and `LIMIT` takes none but integers anyway.
pub(crate) fn cast(statement: &mut Statement, oids: &[u32]) {
    if oids.iter().all(|oid| sql_type(*oid).is_none()) {
        return;
    }
    let mut limits = Limits(HashSet::new());
    let _: ControlFlow<()> = walk(&*statement, &mut limits);
    let _: ControlFlow<()> = walk_mut(statement, &mut Declared { oids, limits: limits.0 });
}

struct Limits(HashSet<String>);

impl Visitor for Limits {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let limit = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                [limit.as_ref(), offset.as_ref().map(|it| &it.value)]
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => [Some(limit), Some(offset)],
            None => [None, None],
        };
        let fetch = query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref());
        let names = limit.into_iter().chain([fetch]).flatten().filter_map(placeholder);
        self.0.extend(names.map(str::to_owned));
        ControlFlow::Continue(())
    }
}

struct Declared<'a> {
    oids: &'a [u32],
    limits: HashSet<String>,
}

impl VisitorMut for Declared<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Value(value) = &*expr else { return ControlFlow::Continue(()) };
        let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        let place = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok()?.checked_sub(1));
        let declared = place.and_then(|place| self.oids.get(place)).and_then(|oid| sql_type(*oid));
        if let Some(data_type) = declared.filter(|_| !self.limits.contains(name)) {
            *expr = Expr::Cast {
                kind: CastKind::DoubleColon,
                expr: Box::new(expr.clone()),
                data_type,
                array: false,
                format: None,
            };
        }
        ControlFlow::Continue(())
    }
}

/// The type to cast to; none where the plan does better without.
fn sql_type(oid: u32) -> Option<DataType> {
    Some(match Type::from_oid(oid)? {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::SmallInt(None),
        Type::INT4 => DataType::Integer(None),
        Type::INT8 => DataType::BigInt(None),
        Type::FLOAT8 => DataType::DoublePrecision,
        Type::DATE => DataType::Date,
        Type::TIMESTAMP => DataType::Timestamp(None, TimezoneInfo::None),
        Type::TIMESTAMPTZ => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
        _ => return None,
    })
}
