//! What Postgres means and DataFusion plans otherwise, where it takes types to tell: on the plan of a client's statement.
//!
//! Invariant: views that the statement reads are not touched; they are planned elsewhere, and read here as tables.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::error::Result;
use datafusion::functions::math::expr_fn::round;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan};

/// The plan with Postgres' meaning.
pub(crate) fn meant(plan: LogicalPlan) -> Result<LogicalPlan> {
    let told = plan.transform_up_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        node.inputs().into_iter().for_each(|input| schema.merge(input.schema()));
        // Nodes above know the columns by their names.
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let told = expr.transform_up(|expr| Ok(with_list(expr, &schema)))?;
            let told = told.transform_data(|expr| expr.transform_up(|expr| Ok(rounded(expr, &schema))))?;
            Ok(told.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(told.data)
}

/// Tells what the placeholder in `x = any($1)` takes: a list of what `x` is.
fn with_list(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::ScalarFunction(function) = &mut expr else { return Transformed::no(expr) };
    let wanted = match function.args.as_slice() {
        [Expr::Placeholder(list), value] if function.func.name() == "array_has" && list.field.is_none() => {
            value.get_type(schema).ok()
        }
        _ => None,
    };
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_null()) else { return Transformed::no(expr) };
    if let Some(Expr::Placeholder(list)) = function.args.first_mut() {
        list.field = Some(Arc::new(Field::new(&list.id, DataType::new_list(wanted, true), true)));
    }
    Transformed::yes(expr)
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
