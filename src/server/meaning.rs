//! What Postgres means and DataFusion plans otherwise, where it takes types to tell: on the plan of a client's statement.
//!
//! Invariant: views that the statement reads are not touched; they are planned elsewhere, and read here as tables.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::math::expr_fn::round;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, ScalarUDF, lit};
use pgwire::api::Type;

use super::encode::column_type;
use super::parameters;

/// The functions that write a value as text.
pub(crate) struct Writers {
    /// As the client would be sent it.
    pub(crate) shown: Arc<ScalarUDF>,
    /// A function's oid by its name.
    pub(crate) proc: Arc<ScalarUDF>,
}

/// The plan with Postgres' meaning.
pub(crate) fn meant(plan: LogicalPlan, writers: Option<&Writers>) -> Result<LogicalPlan> {
    let told = plan.transform_up_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        node.inputs().into_iter().for_each(|input| schema.merge(input.schema()));
        // Nodes above know the columns by their names.
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let told = expr.transform_up(|expr| {
                let told = rounded(with_values(with_list(expr, &schema).data, &schema).data, &schema);
                Ok(Transformed::yes(as_text(told.data, &schema, writers)))
            })?;
            Ok(told.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(told.data)
}

/// Tells what the placeholder in `x = any($1)` takes, and what a text in its place holds: a list of what `x` is.
fn with_list(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::ScalarFunction(function) = &mut expr else { return Transformed::no(expr) };
    if function.func.name() != "array_has" {
        return Transformed::no(expr);
    }
    let [list, value] = function.args.as_mut_slice() else { return Transformed::no(expr) };
    let Some(wanted) = value.get_type(schema).ok().filter(|wanted| !wanted.is_null()) else {
        return Transformed::no(expr);
    };
    let wanted = DataType::new_list(wanted, true);
    match list {
        Expr::Placeholder(list) if list.field.is_none() => {
            list.field = Some(Arc::new(Field::new(&list.id, wanted, true)));
        }
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => {
            let values = parameters::list(text, &Type::TEXT).ok().and_then(|list| list.cast_to(&wanted).ok());
            let Some(values) = values else { return Transformed::no(expr) };
            *list = lit(values);
        }
        _ => return Transformed::no(expr),
    }
    Transformed::yes(expr)
}

/// Texts that stand beside a truth value or a date are read as one, and placeholders in a cast take what they are cast to.
fn with_values(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let read = |text: &mut Expr, other: &DataType| {
        if let Expr::Literal(ScalarValue::Utf8(Some(written)), _) = text
            && let Some(value) = literal(written, other)
        {
            *text = lit(value);
            return true;
        }
        false
    };
    let changed = match &mut expr {
        Expr::BinaryExpr(binary) => {
            let (left, right) = (binary.left.get_type(schema), binary.right.get_type(schema));
            right.is_ok_and(|right| read(&mut binary.left, &right))
                || left.is_ok_and(|left| read(&mut binary.right, &left))
        }
        Expr::Cast(cast) => {
            let wanted = Arc::clone(&cast.field);
            match cast.expr.as_mut() {
                Expr::Placeholder(placeholder) if placeholder.field.is_none() => {
                    placeholder.field = Some(wanted);
                    true
                }
                inner => read(inner, wanted.data_type()),
            }
        }
        _ => false,
    };
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

/// A text as the value that it is read as.
fn literal(text: &str, wanted: &DataType) -> Option<ScalarValue> {
    match wanted {
        DataType::Boolean => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "on" | "yes" | "y" | "1" => Some(ScalarValue::Boolean(Some(true))),
            "f" | "false" | "off" | "no" | "n" | "0" => Some(ScalarValue::Boolean(Some(false))),
            _ => None,
        },
        DataType::Date32 => parameters::date(text).map(|days| ScalarValue::Date32(Some(days))),
        DataType::List(_) => parameters::list(text, &Type::TEXT).ok()?.cast_to(wanted).ok(),
        _ => None,
    }
}

/// A moment or a function as text is what the client would be sent, not what Arrow displays.
fn as_text(expr: Expr, schema: &DFSchema, writers: Option<&Writers>) -> Expr {
    let (Expr::Cast(cast), Some(writers)) = (&expr, writers) else { return expr };
    if !cast.field.data_type().is_string() {
        return expr;
    }
    let Ok((_, field)) = cast.expr.to_field(schema) else { return expr };
    let writer = match field.data_type() {
        DataType::Timestamp(..) => &writers.shown,
        DataType::Int64 if column_type(&field) == Type::REGPROC => &writers.proc,
        _ => return expr,
    };
    writer.call(vec![cast.expr.as_ref().clone()])
}

/// `2.5::int` is 3: a cast of a decimal to whole numbers rounds, where Arrow's cuts off.
fn rounded(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match &mut expr {
        Expr::Cast(cast)
            if cast.field.data_type().is_integer() && cast.expr.get_type(schema).is_ok_and(|of| of.is_decimal()) =>
        {
            let inner = cast.expr.as_ref().clone();
            *cast.expr = round(vec![inner]);
            Transformed::yes(expr)
        }
        _ => Transformed::no(expr),
    }
}
