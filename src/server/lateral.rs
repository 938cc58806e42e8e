//! `lateral` tables that no join can stand for: their rows are asked for with each row of the tables before them.
//!
//! Such a table becomes a list of rows by a function of the columns that it depends on, and the list is taken apart again.
//! Leaves out: a `left join lateral` on a condition, and what depends on the row of a query further out; DataFusion's refusal
//! stands there.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, NullHandling, ScalarValue, UnnestOptions};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, Subquery, SubqueryAlias, col};

use super::each_row::{Abandoned, EachRow, depends_on, member};

/// The lateral table on the right side of a join, and the name that it goes by.
fn table(join: &Join) -> Option<(&Subquery, Option<&SubqueryAlias>)> {
    let (inner, alias) = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(alias) => (alias.input.as_ref(), Some(alias)),
        other => (other, None),
    };
    match inner {
        LogicalPlan::Subquery(subquery) if !subquery.outer_ref_columns.is_empty() => Some((subquery, alias)),
        _ => None,
    }
}

/// Whether a plan has such a table.
pub(super) fn has_one(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Join(join) if table(join).is_some());
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// The plan with the rows of its lateral tables asked for row by row.
pub(super) fn by_row(plan: LogicalPlan, state: &SessionState, abandoned: &Abandoned) -> Result<LogicalPlan> {
    let mut number = 0;
    let changed = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Join(join) = &node else { return Ok(Transformed::no(node)) };
        number += 1;
        match apart(join, number, state, abandoned)? {
            Some(rows) => Ok(Transformed::yes(rows)),
            None => Ok(Transformed::no(node)),
        }
    })?;
    // Columns of a side that need not have rows may be null now.
    let changed = changed.data.transform_up_with_subqueries(|node| Ok(Transformed::yes(node.recompute_schema()?)))?;
    Ok(changed.data)
}

fn apart(join: &Join, number: usize, state: &SessionState, abandoned: &Abandoned) -> Result<Option<LogicalPlan>> {
    let Some((subquery, alias)) = table(join) else { return Ok(None) };
    let is_true = |filter: &Expr| matches!(filter, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    let is_unconditional = join.on.is_empty() && join.filter.as_ref().is_none_or(is_true);
    let null_handling = match join.join_type {
        JoinType::Inner => NullHandling::Drop,
        JoinType::Left if is_unconditional => NullHandling::Preserve,
        _ => return Ok(None),
    };
    let columns: Vec<Column> = depends_on(&subquery.subquery)?.into_iter().map(|(_, column)| column).collect();
    if !columns.iter().all(|column| join.left.schema().has_column(column)) {
        return Ok(None);
    }
    let list = format!("\u{1}lateral {number}");
    let inner = subquery.subquery.as_ref().clone();
    let arguments = columns.iter().cloned().map(Expr::Column).collect();
    let function = EachRow::of_rows(&list, inner, columns, state.clone(), Arc::clone(abandoned));
    let before: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let asked = before.iter().cloned().chain([function.call(arguments).alias(&list)]);
    let rows = LogicalPlanBuilder::from(join.left.as_ref().clone())
        .project(asked)?
        .unnest_column_with_options(list.as_str(), UnnestOptions { null_handling, ..UnnestOptions::default() })?;
    let shown = alias.map_or_else(|| subquery.subquery.schema(), |alias| &alias.schema);
    let members = shown.iter().enumerate().map(|(place, (table, field))| {
        get_field(col(Column::from_name(&list)), member(place)).alias_qualified(table.cloned(), field.name())
    });
    let rows = rows.project(before.into_iter().chain(members))?;
    let on = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    let rows = match conjunction(on.chain(join.filter.clone()).filter(|condition| !is_true(condition))) {
        Some(condition) => rows.filter(condition)?,
        None => rows,
    };
    Ok(Some(rows.build()?))
}
