//! Plans a join by columns of one name, with a column more for each of them.

use std::collections::HashMap;

use datafusion::arrow::datatypes::Field;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Column, DFSchema, TableReference, plan_err};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{JoinConstraint, JoinOperator, ObjectNamePart, TableFactor};

use super::{MERGED, constraint, is_merged};

/// Marks a column whose value is in a merged one.
const HIDDEN: &str = "tieout.hidden";

pub(super) fn is_hidden(field: &Field) -> bool {
    field.metadata().contains_key(HIDDEN)
}

#[derive(Debug)]
pub(super) struct Using;

impl RelationPlanner for Using {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let mut tables = match relation {
            TableFactor::NestedJoin { table_with_joins, alias: Some(alias) } if alias.name.value == MERGED => {
                *table_with_joins
            }
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        let (Some(join), true) = (tables.joins.pop(), tables.joins.is_empty()) else {
            return plan_err!("a join by name has two sides");
        };
        let (left, right) = (context.plan(tables.relation)?, context.plan(join.relation)?);
        let (ours, theirs) = (left.schema(), right.schema());
        let names: Vec<String> = match constraint(&join.join_operator) {
            Some(JoinConstraint::Using(names)) => names
                .iter()
                .filter_map(|name| name.0.last().and_then(ObjectNamePart::as_ident))
                .map(|name| context.normalize_ident(name.clone()))
                .collect(),
            _ => visible(ours)
                .filter(|(_, name)| visible(theirs).any(|(_, other)| other == *name))
                .map(|(_, name)| name.to_owned())
                .collect(),
        };
        let kind = match join.join_operator {
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => JoinType::Left,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => JoinType::Right,
            JoinOperator::FullOuter(_) => JoinType::Full,
            _ => JoinType::Inner,
        };
        let keys = names.iter().map(|name| Ok((key(ours, name, "left")?, key(theirs, name, "right")?)));
        let keys: Vec<(Column, Column)> = keys.collect::<Result<_>>()?;
        let mut conditions: Vec<Expr> =
            keys.iter().map(|(one, other)| Expr::Column(one.clone()).eq(Expr::Column(other.clone()))).collect();
        if conditions.is_empty() {
            conditions.push(lit(true));
        }
        let merged = names.iter().zip(&keys).map(|(name, (one, other))| {
            let (one, other) = (Expr::Column(one.clone()), Expr::Column(other.clone()));
            let value = match kind {
                JoinType::Right => other,
                JoinType::Full => coalesce(vec![one, other]),
                _ => one,
            };
            value.alias_qualified(Some(MERGED), name)
        });
        let merged: Vec<Expr> = merged.collect();
        let joined = LogicalPlanBuilder::from(left).join_on(right, kind, conditions)?;
        let hidden =
            || Some(FieldMetadata::new(HashMap::from([(HIDDEN.to_owned(), String::new())]).into_iter().collect()));
        let others = joined.schema().columns().into_iter().filter_map(|column| {
            let is_key = keys.iter().any(|(one, other)| *one == column || *other == column);
            match (&column.relation, is_key) {
                // A join further in merged it; this one does so again.
                (Some(table), true) if is_merged(table) => None,
                (table, true) => {
                    let (table, name) = (table.clone(), column.name.clone());
                    Some(Expr::Column(column).alias_qualified_with_metadata(table, name, hidden()))
                }
                (_, false) => Some(Expr::Column(column)),
            }
        });
        let others: Vec<Expr> = others.collect();
        let plan = joined.project(merged.into_iter().chain(others))?.build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// The columns that `*` shows.
fn visible(schema: &DFSchema) -> impl Iterator<Item = (Option<&TableReference>, &str)> {
    schema.iter().filter(|(_, field)| !is_hidden(field)).map(|(table, field)| (table, field.name().as_str()))
}

/// One side's column of a name.
fn key(schema: &DFSchema, name: &str, side: &str) -> Result<Column> {
    let mut found = visible(schema).filter(|(_, other)| *other == name);
    match (found.next(), found.next()) {
        (Some((table, _)), None) => Ok(Column::new(table.cloned(), name)),
        (None, _) => plan_err!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        (Some(_), Some(_)) => plan_err!("common column name \"{name}\" appears more than once in {side} table"),
    }
}
