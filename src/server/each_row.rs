//! Correlated subqueries that no join can stand for, answered for each row.
//!
//! DataFusion makes a join of a subquery that depends on the row, and refuses those that it cannot take apart: with a
//! `limit`, over `unnest` of a column, with a `with` of its own. Here they become functions of the columns that they depend
//! on; each carries its plan and runs it once for each set of values. Invariant: only statements that were refused come
//! here, and the plans inside have passed the guards of the statement around them. Lateral tables: see `lateral`.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{ListArray, RecordBatch, StructArray, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{cast_with_options, concat};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::functions_aggregate::expr_fn::{bool_or, count};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Subquery, Volatility, col, lit, when,
};
use datafusion::physical_plan::{ExecutionPlan, collect};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::failure::Failure;
use super::lateral;
use super::query::STRICT;
use crate::engine::{common_tables, giving_way, has_expression};

/// Answers that are kept for rows that ask the same again.
const KEPT_MAX: usize = 10_000;
/// What is looked for by `in`, as the subquery sees it.
const WANTED: &str = "\u{1}wanted";

/// Whether nobody waits for the rows any more.
pub(super) type Abandoned = Arc<dyn Fn() -> bool + Send + Sync>;

/// How a plan is carried out; one that is refused for its correlated subqueries, with these answered row by row.
pub(super) async fn physical(
    state: &SessionState,
    plan: &LogicalPlan,
    abandoned: &Abandoned,
) -> Result<Arc<dyn ExecutionPlan>> {
    let refused = match common_tables::physical(state, plan).await {
        Err(refused) => refused,
        planned => return planned,
    };
    let has_lateral = lateral::has_one(plan)?;
    if !has_lateral && !is_correlated(plan)? {
        return Err(refused);
    }
    let mut plan = plan.clone();
    if has_lateral {
        plan = lateral::by_row(plan, state, abandoned)?;
        if let Ok(planned) = Box::pin(state.create_physical_plan(&plan)).await {
            return Ok(planned);
        }
    }
    // Fewest first: a join is faster for what can be one.
    for kinds in [Kinds::Scalar, Kinds::All] {
        let by_row = by_row(plan.clone(), kinds, state, abandoned)?;
        if let Ok(planned) = Box::pin(state.create_physical_plan(&by_row)).await {
            return Ok(planned);
        }
    }
    Err(refused)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    Scalar,
    All,
}

fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(within) => Some(&within.subquery),
        _ => None,
    }
}

fn is_correlated(plan: &LogicalPlan) -> Result<bool> {
    has_expression(plan, |expr| subquery_of(expr).is_some_and(|inner| !inner.outer_ref_columns.is_empty()))
}

/// The plan with its correlated subqueries as functions of the row.
fn by_row(plan: LogicalPlan, kinds: Kinds, state: &SessionState, abandoned: &Abandoned) -> Result<LogicalPlan> {
    let mut number = 0;
    let changed = plan.transform_down_with_subqueries(|node| {
        let schema = inputs(&node);
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| {
                let Some((inner, mut arguments)) = asked(&expr, kinds, &schema)? else {
                    return Ok(Transformed::no(expr));
                };
                let columns = depends_on(&inner)?;
                arguments.retain(|(column, _)| columns.iter().any(|(_, asked)| asked == column));
                let argument = |(_, column): &(FieldRef, Column)| {
                    let given = arguments.iter().find(|(name, _)| name == column).map(|(_, value)| value.clone());
                    given.unwrap_or_else(|| Expr::Column(column.clone()))
                };
                let arguments: Vec<Expr> = columns.iter().map(argument).collect();
                number += 1;
                let columns = columns.into_iter().map(|(_, column)| column).collect();
                let function = EachRow::new(number, inner, columns, state.clone(), Arc::clone(abandoned));
                Ok(Transformed::yes(ScalarUDF::from(function).call(arguments)))
            })?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(changed.data)
}

/// The columns that a node's expressions may name.
fn inputs(node: &LogicalPlan) -> DFSchema {
    let mut all = DFSchema::empty();
    for input in node.inputs() {
        all.merge(input.schema());
    }
    all
}

/// A plan, and what its columns of these names are given.
type Asked = (LogicalPlan, Vec<(Column, Expr)>);

/// The plan that answers a subquery's question in one value, and what it is given beside the columns it names itself.
fn asked(expr: &Expr, kinds: Kinds, schema: &DFSchema) -> Result<Option<Asked>> {
    let Some(subquery) = subquery_of(expr).filter(|inner| !inner.outer_ref_columns.is_empty()) else { return Ok(None) };
    let rows = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
    let no_rows: [Expr; 0] = [];
    Ok(match expr {
        Expr::ScalarSubquery(subquery) => Some((subquery.subquery.as_ref().clone(), Vec::new())),
        Expr::Exists(exists) if kinds == Kinds::All => {
            let counted = rows.limit(0, Some(1))?.aggregate(no_rows, [count(lit(1)).alias("found")])?;
            let found = if exists.negated { col("found").eq(lit(0_i64)) } else { col("found").gt(lit(0_i64)) };
            Some((counted.project([found.alias("found")])?.build()?, Vec::new()))
        }
        Expr::InSubquery(within) if kinds == Kinds::All => {
            let value = Expr::Column(rows.schema().columns().swap_remove(0));
            let (_, field) = within.expr.to_field(schema)?;
            let wanted = Expr::OuterReferenceColumn(field, Column::from_name(WANTED));
            let is_same = value.eq(wanted);
            let found = [bool_or(is_same.clone()).alias("found"), bool_or(is_same.is_null()).alias("unknown")];
            let answer = when(col("found"), lit(!within.negated))
                .when(col("unknown"), lit(ScalarValue::Boolean(None)))
                .otherwise(lit(within.negated))?;
            let plan = rows.aggregate(no_rows, found)?.project([answer.alias("found")])?.build()?;
            Some((plan, vec![(Column::from_name(WANTED), within.expr.as_ref().clone())]))
        }
        _ => None,
    })
}

/// The columns of the statement around that a subquery names.
pub(super) fn depends_on(plan: &LogicalPlan) -> Result<Vec<(FieldRef, Column)>> {
    let mut found: Vec<(FieldRef, Column)> = Vec::new();
    outer(plan.clone(), &mut Vec::new(), &mut |field, column| {
        if found.iter().all(|(_, known)| known != column) {
            found.push((Arc::clone(field), column.clone()));
        }
        None
    })?;
    Ok(found)
}

/// Changes references to the row of the statement around, those in subqueries of the subquery too.
fn outer(
    plan: LogicalPlan,
    within: &mut Vec<DFSchema>,
    change: &mut dyn FnMut(&FieldRef, &Column) -> Option<Expr>,
) -> Result<LogicalPlan> {
    let changed = plan.transform_down(|node| {
        // A list among the tables (`unnest(outer.list)`) depends on the row alone: with its values it is a table.
        let node = match node {
            LogicalPlan::Subquery(table) => Arc::unwrap_or_clone(table.subquery),
            node => node,
        };
        let schema = inputs(&node);
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_down(|expr| match expr {
                Expr::OuterReferenceColumn(field, column) => {
                    // A subquery of the subquery may mean the latter's row.
                    let is_inner = within.iter().any(|schema| schema.has_column(&column));
                    match (!is_inner).then(|| change(&field, &column)).flatten() {
                        Some(changed) => Ok(Transformed::yes(changed)),
                        None => Ok(Transformed::no(Expr::OuterReferenceColumn(field, column))),
                    }
                }
                mut other => {
                    let inner = match &mut other {
                        Expr::ScalarSubquery(subquery) => subquery,
                        Expr::Exists(exists) => &mut exists.subquery,
                        Expr::InSubquery(within) => &mut within.subquery,
                        _ => return Ok(Transformed::no(other)),
                    };
                    within.push(schema.clone());
                    let changed = outer(inner.subquery.as_ref().clone(), within, change);
                    within.pop();
                    inner.subquery = Arc::new(changed?);
                    inner.outer_ref_columns = inner.subquery.all_out_ref_exprs();
                    Ok(Transformed::yes(other))
                }
            })?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(changed.data)
}

/// A subquery as a function of the columns that it depends on.
pub(super) struct EachRow {
    name: String,
    plan: LogicalPlan,
    columns: Vec<Column>,
    field: FieldRef,
    /// The answer is a list of rows, null if there are none; else one value.
    has_rows: bool,
    state: SessionState,
    abandoned: Abandoned,
    signature: Signature,
    kept: Mutex<HashMap<Vec<ScalarValue>, ScalarValue>>,
}

impl EachRow {
    fn new(number: usize, plan: LogicalPlan, columns: Vec<Column>, state: SessionState, abandoned: Abandoned) -> Self {
        let field = plan.schema().fields().first().map_or_else(
            || Arc::new(Field::new("value", DataType::Null, true)),
            |field| Arc::new(field.as_ref().clone().with_nullable(true)),
        );
        let signature = Signature::variadic_any(Volatility::Stable);
        let kept = Mutex::default();
        let name = format!("subquery {number}");
        Self { name, plan, columns, field, has_rows: false, state, abandoned, signature, kept }
    }

    /// A function that answers the rows of a plan as a list, each with its columns by [`member`].
    pub(super) fn of_rows(
        name: &str,
        plan: LogicalPlan,
        columns: Vec<Column>,
        state: SessionState,
        abandoned: Abandoned,
    ) -> ScalarUDF {
        let fields = plan
            .schema()
            .fields()
            .iter()
            .enumerate()
            .map(|(place, field)| Arc::new(field.as_ref().clone().with_name(member(place)).with_nullable(true)));
        let row = DataType::Struct(fields.collect::<Vec<_>>().into());
        let field = Arc::new(Field::new(name, DataType::new_list(row, true), true));
        Self { name: name.to_owned(), field, has_rows: true, ..Self::new(0, plan, columns, state, abandoned) }.into()
    }

    fn value(&self, row: &[ScalarValue]) -> Result<ScalarValue> {
        if let Some(known) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(row) {
            return Ok(known.clone());
        }
        if (self.abandoned)() {
            return Err(DataFusionError::Execution("the statement was given up".to_owned()));
        }
        let handle = Handle::try_current().ok().filter(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
        let handle =
            handle.ok_or_else(|| DataFusionError::NotImplemented("a subquery for each row, here".to_owned()))?;
        let value = block_in_place(|| handle.block_on(Box::pin(self.answer(row))))?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.insert(row.to_vec(), value.clone());
        }
        Ok(value)
    }

    async fn answer(&self, row: &[ScalarValue]) -> Result<ScalarValue> {
        let of = |column: &Column| self.columns.iter().position(|known| known == column);
        let plan =
            outer(self.plan.clone(), &mut Vec::new(), &mut |_, column| Some(lit(row.get(of(column)?)?.clone())))?;
        let physical = giving_way(Box::pin(physical(&self.state, &plan, &self.abandoned)).await?)?;
        let batches = collect(physical, self.state.task_ctx()).await?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if self.has_rows {
            return self.list(&batches, rows);
        }
        if rows > 1 {
            let failure = Failure::new("21000", "more than one row returned by a subquery used as an expression");
            return Err(DataFusionError::External(Box::new(failure)));
        }
        match batches.iter().find(|batch| batch.num_rows() == 1) {
            Some(batch) => ScalarValue::try_from_array(batch.column(0), 0)?.cast_to(self.field.data_type()),
            None => ScalarValue::try_from(self.field.data_type()),
        }
    }

    fn list(&self, batches: &[RecordBatch], rows: usize) -> Result<ScalarValue> {
        let none = ScalarValue::try_from(self.field.data_type())?;
        let DataType::List(element) = self.field.data_type() else { return Ok(none) };
        let (DataType::Struct(fields), true) = (element.data_type(), rows > 0) else { return Ok(none) };
        let columns = fields.iter().enumerate().map(|(place, field)| {
            let parts = batches.iter().map(|batch| cast_with_options(batch.column(place), field.data_type(), &STRICT));
            let parts = parts.collect::<std::result::Result<Vec<_>, _>>()?;
            Ok(concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let all = StructArray::try_new_with_length(fields.clone(), columns, None, rows)?;
        let list = ListArray::try_new(Arc::clone(element), OffsetBuffer::from_lengths([rows]), Arc::new(all), None)?;
        Ok(ScalarValue::List(Arc::new(list)))
    }
}

/// The name of a row's column in a list of rows.
pub(super) fn member(place: usize) -> String {
    format!("c{place}")
}

impl ScalarUDFImpl for EachRow {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let columns = arguments.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let mut values = Vec::with_capacity(rows);
        for row in 0..rows {
            let key = columns.iter().map(|column| ScalarValue::try_from_array(column, row));
            values.push(self.value(&key.collect::<Result<Vec<_>>>()?)?);
        }
        Ok(ColumnarValue::Array(if values.is_empty() {
            new_empty_array(self.field.data_type())
        } else {
            ScalarValue::iter_to_array(values)?
        }))
    }
}

impl fmt::Debug for EachRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EachRow").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for EachRow {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.columns == other.columns && self.plan == other.plan
    }
}

impl Eq for EachRow {}

impl Hash for EachRow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, &self.columns).hash(state);
    }
}
