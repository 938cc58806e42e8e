//! What is known of a statement's placeholders before it is planned: what the client declared, what a cast says.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastKind, DataType, Expr, LimitClause, Query, Statement, TimezoneInfo, Value, Visit, VisitMut,
    Visitor, VisitorMut,
};
use pgwire::api::Type;

/// Fills in the types of placeholders that a cast names and the plan no longer knows: `$1::oid[]` is planned as big
/// integers, and a client that was told so would send those.
pub(crate) fn with_casts(statement: &Statement, oids: &[u32]) -> Vec<u32> {
    struct Casts(Vec<u32>);
    impl Visitor for Casts {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Cast { expr, data_type, .. } = expr
                && let Some(place) = placeholder(expr).and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok())
                && let Some(of) = oid_type(data_type)
                && (1..=usize::from(u16::MAX)).contains(&place)
            {
                self.0.resize(self.0.len().max(place), 0);
                if let Some(oid) = self.0.get_mut(place - 1).filter(|oid| **oid == 0) {
                    *oid = of.oid();
                }
            }
            ControlFlow::Continue(())
        }
    }
    let mut casts = Casts(oids.to_vec());
    let _: ControlFlow<()> = Visit::visit(statement, &mut casts);
    casts.0
}

/// The types of oids, of which DataFusion has none.
fn oid_type(data_type: &DataType) -> Option<Type> {
    match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
            oid_type(element).filter(|of| *of == Type::OID).map(|_| Type::OID_ARRAY)
        }
        // What is cast to regclass and the like may be a name, too.
        other => other.to_string().eq_ignore_ascii_case("oid").then_some(Type::OID),
    }
}

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
    let _: ControlFlow<()> = Visit::visit(&*statement, &mut limits);
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Declared { oids, limits: limits.0 });
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
