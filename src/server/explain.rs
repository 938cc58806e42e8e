//! `EXPLAIN` as clients of Postgres read it: lines with costs and rows, or one JSON document.
//!
//! The numbers are estimates of rows; costs are as many units. `EXPLAIN ANALYZE` in text is DataFusion's own, with what it
//! measured; in JSON what it measured stands under Postgres' names.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, DFSchemaRef, ScalarValue, plan_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{
    EmptyRelation, Expr, Extension, LogicalPlan, Projection, UserDefinedLogicalNodeCore, lit,
};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::sql::sqlparser::ast::{AnalyzeFormatKind, Expr as Word, Statement, Value};
use futures::StreamExt as _;
use serde_json::{Value as Json, json};

use super::each_row::{Abandoned, physical};
use super::encode::{SHOWN_AS, field_type, type_size};
use super::failure::{Failure, INVALID_VALUE};
use crate::engine::{common_tables, workers};

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Hash)]
pub(crate) enum Format {
    Text,
    Json,
    /// With what a run of it took.
    MeasuredJson,
}

/// What a plan without statistics is taken to answer.
const ROWS_UNKNOWN: usize = 1_000;
const TEXT_WIDTH: usize = 32;

/// The statement to plan, and how its plan is to be shown, if it asks for that.
pub(crate) fn wanted(statement: Statement) -> Result<(Statement, Option<Format>), Failure> {
    let Statement::Explain {
        analyze,
        statement: inner,
        format,
        options,
        verbose,
        describe_alias,
        query_plan,
        estimate,
    } = statement
    else {
        return Ok((statement, None));
    };
    let (mut analyze, mut shown) = (analyze, Format::Text);
    if let Some(format) = &format {
        shown = named(&match format {
            AnalyzeFormatKind::Keyword(format) | AnalyzeFormatKind::Assignment(format) => format.to_string(),
        })?;
    }
    for option in options.into_iter().flatten() {
        let value = option.arg.as_ref().map(text);
        let is_on = !value.as_deref().is_some_and(|value| ["off", "false", "0"].contains(&value));
        match option.name.value.to_ascii_lowercase().as_str() {
            "analyze" => analyze = is_on,
            "format" => shown = named(&value.unwrap_or_default())?,
            "verbose" | "costs" | "timing" | "buffers" | "summary" | "settings" | "wal" | "generic_plan" => {}
            other => return Err(Failure::new("42601", format!("unrecognized EXPLAIN option \"{other}\""))),
        }
    }
    if !analyze {
        return Ok((*inner, Some(shown)));
    }
    if shown == Format::Json {
        return Ok((*inner, Some(Format::MeasuredJson)));
    }
    let plain = Statement::Explain {
        describe_alias,
        analyze,
        verbose,
        query_plan,
        estimate,
        statement: inner,
        format: None::<AnalyzeFormatKind>,
        options: None,
    };
    Ok((plain, None))
}

fn named(format: &str) -> Result<Format, Failure> {
    match format.to_ascii_lowercase().as_str() {
        "text" | "indent" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        other => {
            Err(Failure::new(INVALID_VALUE, format!("unrecognized value for EXPLAIN option \"format\": \"{other}\""))
                .hint("text or json"))
        }
    }
}

fn text(word: &Word) -> String {
    let text = match word {
        Word::Value(value) => match &value.value {
            Value::Number(number, _) => number.clone(),
            other => other.clone().into_string().unwrap_or_else(|| other.to_string()),
        },
        other => other.to_string(),
    };
    text.to_ascii_lowercase()
}

/// A plan whose rows will show how another one is carried out, once its parameters are known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Explained {
    plan: LogicalPlan,
    format: Format,
    schema: DFSchemaRef,
}

impl PartialOrd for Explained {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (&self.plan, self.format)
            .partial_cmp(&(&other.plan, other.format))
            .filter(|order| order.is_ne() || self == other)
    }
}

impl UserDefinedLogicalNodeCore for Explained {
    fn name(&self) -> &'static str {
        "Explained"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.plan]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> datafusion::error::Result<Self> {
        let plan = inputs.pop().ok_or_else(|| plan_datafusion_err!("EXPLAIN of nothing"))?;
        Ok(Self { plan, ..self.clone() })
    }
}

/// The plan that explains another one; carried out by [`carried_out`].
pub(crate) fn explaining(plan: LogicalPlan, format: Format) -> Result<LogicalPlan, Failure> {
    let schema = Arc::new(DFSchema::try_from(Schema::new(vec![column(format)]))?);
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(Explained { plan, format, schema }) }))
}

/// A plan as it is, or the rows that explain the one inside.
pub(super) async fn carried_out(
    state: &SessionState,
    plan: LogicalPlan,
    abandoned: &Abandoned,
) -> Result<LogicalPlan, DataFusionError> {
    let LogicalPlan::Extension(extension) = &plan else { return Ok(plan) };
    match extension.node.as_any().downcast_ref::<Explained>() {
        Some(inner) => explained(state, &inner.plan, inner.format, abandoned).await,
        None => Ok(plan),
    }
}

fn column(format: Format) -> Field {
    let field = Field::new("QUERY PLAN", DataType::Utf8, true);
    match format {
        Format::Text => field,
        Format::Json | Format::MeasuredJson => field.with_metadata([(SHOWN_AS.to_owned(), "json".to_owned())].into()),
    }
}

async fn explained(
    state: &SessionState,
    plan: &LogicalPlan,
    format: Format,
    abandoned: &Abandoned,
) -> Result<LogicalPlan, DataFusionError> {
    let began = Instant::now();
    let physical = workers::sent_out(state, physical(state, plan, abandoned).await?).await;
    let lines = match format {
        Format::Text => {
            let mut lines = Vec::new();
            write(&physical, 0, &mut lines, &mut Told::new());
            lines
        }
        Format::Json | Format::MeasuredJson => {
            let planned = began.elapsed();
            let measured = match format {
                Format::MeasuredJson => Some(run(state, &physical).await?),
                _ => None,
            };
            let mut told = json!({ "Plan": tree(&physical, measured.is_some(), &mut Told::new()) });
            if let (Some(took), Some(members)) = (measured, told.as_object_mut()) {
                members.insert("Planning Time".to_owned(), milliseconds(planned));
                members.insert("Execution Time".to_owned(), milliseconds(took));
            }
            let told = Json::Array(vec![told]);
            vec![serde_json::to_string_pretty(&told).map_err(|error| DataFusionError::External(error.into()))?]
        }
    };
    rows(column(format), lines)
}

/// A plan that answers texts.
fn rows(field: Field, lines: Vec<String>) -> Result<LogicalPlan, DataFusionError> {
    let schema = Arc::new(DFSchema::try_from(Schema::new(vec![field]))?);
    let one = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, schema: Arc::new(DFSchema::empty()) });
    let lines: Vec<ScalarValue> = lines.into_iter().map(|line| ScalarValue::Utf8(Some(line))).collect();
    let list = ScalarValue::List(ScalarValue::new_list_nullable(&lines, &DataType::Utf8));
    let list = LogicalPlan::Projection(Projection::try_new(vec![lit(list).alias("QUERY PLAN")], Arc::new(one))?);
    let plan = datafusion::logical_expr::LogicalPlanBuilder::from(list).unnest_column("QUERY PLAN")?.build()?;
    let columns = vec![Expr::Column(datafusion::common::Column::from_name("QUERY PLAN"))];
    Ok(LogicalPlan::Projection(Projection::try_new_with_schema(columns, Arc::new(plan), schema)?))
}

/// Rows and width that a step is taken to answer.
fn estimate(plan: &Arc<dyn ExecutionPlan>) -> (usize, usize) {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
    let rows = statistics.ok().and_then(|statistics| match statistics.num_rows {
        Precision::Exact(rows) | Precision::Inexact(rows) => Some(rows),
        Precision::Absent => None,
    });
    let schema = plan.schema();
    let widths = schema
        .fields()
        .iter()
        .map(|field| usize::try_from(type_size(&field_type(field.data_type()))).unwrap_or(TEXT_WIDTH));
    (rows.unwrap_or(ROWS_UNKNOWN), widths.sum())
}

/// Common tables whose steps have been told of.
type Told = Vec<*const ()>;

/// The steps below a step; those that make a common table are below the first one that reads it.
fn below<'a>(plan: &'a Arc<dyn ExecutionPlan>, told: &mut Told) -> Vec<&'a Arc<dyn ExecutionPlan>> {
    let Some(made) = common_tables::made_by(plan.as_ref()) else { return plan.children() };
    let place = Arc::as_ptr(made).cast();
    if told.contains(&place) {
        return Vec::new();
    }
    told.push(place);
    vec![made]
}

/// Of a step and of all below it.
fn cost(plan: &Arc<dyn ExecutionPlan>, told: &mut Told) -> usize {
    let own = estimate(plan).0;
    below(plan, told).into_iter().map(|step| cost(step, told)).fold(own, usize::saturating_add)
}

fn write(plan: &Arc<dyn ExecutionPlan>, depth: usize, lines: &mut Vec<String>, told: &mut Told) {
    let (rows, width) = estimate(plan);
    let step = displayable(plan.as_ref()).one_line().to_string();
    let arrow = if depth == 0 { String::new() } else { format!("{}->  ", " ".repeat(depth * 6 - 4)) };
    let cost = cost(plan, &mut Told::new());
    lines.push(format!("{arrow}{}  (cost=0.00..{cost}.00 rows={rows} width={width})", step.trim()));
    for step in below(plan, told) {
        write(step, depth + 1, lines, told);
    }
}

/// Runs a plan to its end, for what its steps measure; how long that took.
async fn run(state: &SessionState, plan: &Arc<dyn ExecutionPlan>) -> Result<Duration, DataFusionError> {
    let began = Instant::now();
    let mut rows = execute_stream(Arc::clone(plan), state.task_ctx())?;
    while let Some(batch) = rows.next().await {
        batch?;
    }
    Ok(began.elapsed())
}

/// Milliseconds with three places.
fn milliseconds(took: Duration) -> Json {
    let micros = took.as_micros();
    serde_json::from_str(&format!("{}.{:03}", micros / 1_000, micros % 1_000)).unwrap_or_default()
}

/// The time that a step and all below it worked, on however many cores.
fn worked(plan: &Arc<dyn ExecutionPlan>, told: &mut Told) -> Duration {
    let own = plan.metrics().and_then(|metrics| metrics.elapsed_compute()).unwrap_or_default();
    let own = Duration::from_nanos(u64::try_from(own).unwrap_or(u64::MAX));
    below(plan, told).into_iter().map(|step| worked(step, told)).fold(own, Duration::saturating_add)
}

fn tree(plan: &Arc<dyn ExecutionPlan>, is_measured: bool, told: &mut Told) -> Json {
    let (rows, width) = estimate(plan);
    let step = displayable(plan.as_ref()).one_line().to_string();
    let mut node = json!({
        "Node Type": plan.name(),
        "Startup Cost": 0,
        "Total Cost": cost(plan, &mut Told::new()),
        "Plan Rows": rows,
        "Plan Width": width,
        "Output": step.trim(),
    });
    let below: Vec<Json> = below(plan, told).into_iter().map(|step| tree(step, is_measured, told)).collect();
    let Some(members) = node.as_object_mut() else { return node };
    if is_measured {
        let rows = plan.metrics().and_then(|metrics| metrics.output_rows());
        members.insert("Actual Startup Time".to_owned(), json!(0));
        members.insert("Actual Total Time".to_owned(), milliseconds(worked(plan, &mut Told::new())));
        members.insert("Actual Rows".to_owned(), json!(rows));
        members.insert("Actual Loops".to_owned(), json!(1));
    }
    if !below.is_empty() {
        members.insert("Plans".to_owned(), Json::Array(below));
    }
    node
}
