//! Operators between types that DataFusion does not bring together, or not as Postgres does.
//!
//! Invariant: what is planned here has the meaning that Postgres gives it; every other operator is left as it is.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::string::expr_fn::starts_with;
use datafusion::functions_nested::expr_fn::array_has_any;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, Operator, ScalarUDF, cast, lit};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::span::Span;
use super::times::{DIVIDED, INTERVAL, LENGTH, TIMES};
use crate::server::parameters;

/// Plans intervals, prefixes and lists that meet.
pub(super) struct Operators {
    times: Option<Arc<ScalarUDF>>,
    divided: Option<Arc<ScalarUDF>>,
    length: Option<Arc<ScalarUDF>>,
    interval: Option<Arc<ScalarUDF>>,
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operators")
    }
}

impl Operators {
    pub(super) fn new(context: &SessionContext) -> Self {
        let state = context.state_ref();
        let state = state.read();
        let function = |name: &str| state.scalar_functions().get(name).map(Arc::clone);
        Self {
            times: function(TIMES),
            divided: function(DIVIDED),
            length: function(LENGTH),
            interval: function(INTERVAL),
        }
    }

    fn plan(&self, expr: &RawBinaryExpr, schema: &DFSchema) -> Option<Expr> {
        let (left, right) = (expr.left.get_type(schema).ok()?, expr.right.get_type(schema).ok()?);
        let (of_left, of_right) = (kind(&left), kind(&right));
        let both = || (expr.left.clone(), expr.right.clone());
        Some(match (&expr.op, of_left, of_right) {
            (BinaryOperator::PGStartsWith, ..) => {
                let (left, right) = both();
                starts_with(left, right)
            }
            (BinaryOperator::PGOverlap, Kind::List, Kind::List) => {
                let (left, right) = both();
                array_has_any(left, right)
            }
            (BinaryOperator::Multiply, Kind::Interval | Kind::Between, Kind::Number) => {
                self.times.as_ref()?.call(vec![expr.left.clone(), expr.right.clone()])
            }
            (BinaryOperator::Multiply, Kind::Number, Kind::Interval | Kind::Between) => {
                self.times.as_ref()?.call(vec![expr.right.clone(), expr.left.clone()])
            }
            (BinaryOperator::Divide, Kind::Interval | Kind::Between, Kind::Number) => {
                self.divided.as_ref()?.call(vec![expr.left.clone(), expr.right.clone()])
            }
            (op @ (BinaryOperator::Plus | BinaryOperator::Minus), Kind::Date, Kind::Interval) => {
                let (left, right) = both();
                arithmetic(op, moment(left), right)
            }
            (BinaryOperator::Plus, Kind::Interval, Kind::Date) => {
                let (left, right) = both();
                arithmetic(&BinaryOperator::Plus, moment(right), left)
            }
            (op @ (BinaryOperator::Plus | BinaryOperator::Minus), Kind::Interval, Kind::Between) => {
                let (left, right) = both();
                arithmetic(op, left, self.interval.as_ref()?.call(vec![right]))
            }
            (op @ (BinaryOperator::Plus | BinaryOperator::Minus), Kind::Between, Kind::Interval) => {
                let (left, right) = both();
                arithmetic(op, self.interval.as_ref()?.call(vec![left]), right)
            }
            (op, Kind::List, _) if comparison(op).is_some() => {
                compared(op, expr.left.clone(), listed(&expr.right, &left)?)?
            }
            (op, _, Kind::List) if comparison(op).is_some() => {
                compared(op, listed(&expr.left, &right)?, expr.right.clone())?
            }
            (op, Kind::Interval | Kind::Between, _) | (op, _, Kind::Interval | Kind::Between) => {
                compared(op, self.length(&expr.left, of_left)?, self.length(&expr.right, of_right)?)?
            }
            _ => return None,
        })
    }

    /// How long an interval is, or what a text beside one says.
    fn length(&self, expr: &Expr, of: Kind) -> Option<Expr> {
        if let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = expr {
            return Some(lit(Span::parse(text, "second")?.length()));
        }
        matches!(of, Kind::Interval | Kind::Between)
            .then(|| self.length.as_ref().map(|length| length.call(vec![expr.clone()])))?
    }
}

/// A text such as `'{a,b}'` beside a list, as a list of the same type.
fn listed(expr: &Expr, wanted: &DataType) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = expr else { return None };
    parameters::list_as(text, wanted).map(lit)
}

fn compared(op: &BinaryOperator, left: Expr, right: Expr) -> Option<Expr> {
    Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), comparison(op)?, Box::new(right))))
}

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        Ok(match self.plan(&expr, schema) {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(expr),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Date,
    Interval,
    /// The time between two moments.
    Between,
    List,
    Other,
}

fn kind(of: &DataType) -> Kind {
    match of {
        DataType::Date32 | DataType::Date64 => Kind::Date,
        DataType::Interval(_) => Kind::Interval,
        DataType::Duration(_) => Kind::Between,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => Kind::List,
        of if of.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

/// A date as the moment it starts.
fn moment(date: Expr) -> Expr {
    cast(date, DataType::Timestamp(TimeUnit::Microsecond, None))
}

fn arithmetic(op: &BinaryOperator, left: Expr, right: Expr) -> Expr {
    let op = if *op == BinaryOperator::Minus { Operator::Minus } else { Operator::Plus };
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn comparison(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}
