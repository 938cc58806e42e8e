//! A query in this process, read exactly as one that comes over the wire: the same statements are carried out, the same
//! refused, columns have the same names, and `pg_catalog` answers.

use std::fmt;
use std::sync::{Arc, Mutex};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast_with_options;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{Expr, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Statement, Value};
use futures::stream::{iter, once};
use futures::{Stream, StreamExt as _, TryStreamExt as _};

use super::databases::CONFIGURATION;
use super::each_row::{self, Abandoned};
use super::failure::{CORRUPT, Failure, STORE};
use super::in_turn;
use super::postgres::sizes;
use super::query::STRICT;
use super::rewrite::UNIQUE;
use super::settings::Settings;
use super::statement::{self, Command};
use super::{DATABASE, Descriptions, catalog, explain, session};
use crate::engine::workers;

/// A planned query.
pub struct LocalQuery {
    context: SessionContext,
    plan: Arc<dyn ExecutionPlan>,
    /// The plan without workers, where some carry out parts of it.
    alone: Option<Arc<dyn ExecutionPlan>>,
    schema: SchemaRef,
}

impl fmt::Debug for LocalQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalQuery").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Why a query was not carried out.
#[derive(Debug)]
pub struct QueryError {
    failure: Failure,
    /// Whether the snapshots could not be read; else the query is to blame.
    pub is_store: bool,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.failure.message)?;
        self.failure.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

impl std::error::Error for QueryError {}

impl From<Failure> for QueryError {
    fn from(failure: Failure) -> Self {
        Self { is_store: [STORE, CORRUPT, CONFIGURATION].contains(&failure.code), failure }
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        Failure::from(error).into()
    }
}

impl LocalQuery {
    /// Plans the one query that `text` holds.
    pub async fn plan(
        made: &SessionContext,
        user: &str,
        text: &str,
        descriptions: Option<Descriptions>,
    ) -> Result<Self, QueryError> {
        let query = one_query(text)?;
        Self::of(made, user, query, descriptions, false).await
    }

    /// As [`Self::plan`], its rows in an order that leaves nothing open: what the query does not order, all columns do, from
    /// left to right. Rows that are still equal are the same rows.
    pub async fn plan_in_order(made: &SessionContext, user: &str, text: &str) -> Result<Self, QueryError> {
        let query = one_query(text)?;
        if !matches!(query, Statement::Query(_)) {
            let failure = Failure::new("42601", "an explanation has no rows of its own to be kept");
            return Err(failure.hint("a SELECT, WITH or VALUES").into());
        }
        Self::of(made, user, query, None, true).await
    }

    async fn of(
        made: &SessionContext,
        user: &str,
        mut query: Statement,
        descriptions: Option<Descriptions>,
        in_order: bool,
    ) -> Result<Self, QueryError> {
        let schema = made.state().config_options().catalog.default_schema.clone();
        let settings = Arc::new(Mutex::new(Settings::new(user, &schema, None)?));
        let (context, catalog) = catalog::attach(made, user, DATABASE, settings, (descriptions, None), &|inner| inner);
        if in_order {
            let logical = session::plan(&context, catalog.as_deref(), query.clone(), &[]).await?;
            order(&mut query, logical.schema().fields().len());
        }
        let logical = session::plan(&context, catalog.as_deref(), query, &[]).await?;
        let schema = named_once(logical.schema().inner());
        let (state, abandoned): (_, Abandoned) = (context.state(), Arc::new(|| false));
        let logical = explain::carried_out(&state, logical, &abandoned).await?;
        let here = each_row::physical(&state, &logical, &abandoned).await?;
        sizes::separators(&here)?;
        let plan = workers::sent_out(&state, Arc::clone(&here)).await;
        let alone = workers::is_sent_out(plan.as_ref()).then_some(here);
        Ok(Self { context, plan, alone, schema })
    }

    /// The columns of the rows.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Runs it.
    pub fn rows(self) -> Result<impl Stream<Item = Result<RecordBatch, QueryError>> + Send, QueryError> {
        let Self { context, plan, alone, schema } = self;
        let mut stream = in_turn::rows(plan, context.task_ctx())?;
        let started = async move {
            let mut first = stream.next().await;
            if let (Some(Err(error)), Some(alone)) = (&first, alone) {
                workers::look_after(&context.state(), error).await;
                stream = in_turn::rows(workers::anew(alone)?, context.task_ctx())?;
                first = stream.next().await;
            }
            Ok::<_, DataFusionError>(iter(first).chain(stream))
        };
        Ok(once(started).try_flatten().map(move |batch| {
            let batch = batch?;
            let columns =
                batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
                    cast_with_options(column, field.data_type(), &STRICT).map_err(Failure::from)
                });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| Failure::from(error).into())
        }))
    }
}

/// The one query that `text` holds.
fn one_query(text: &str) -> Result<Statement, QueryError> {
    let mut commands = statement::parse(text)?;
    match (commands.pop(), commands.is_empty()) {
        (None, _) => Err(Failure::new("42601", "there is no query in the text").into()),
        (Some(Command::Query(statement)), true) => Ok(*statement),
        (Some(_), true) => {
            let failure = Failure::new("42601", "only a query can be run here");
            Err(failure.hint("a SELECT, WITH, VALUES or EXPLAIN; `tieout serve` takes SET and SHOW").into())
        }
        (Some(_), false) => {
            let failure = Failure::new("42601", "there is more than one statement in the text");
            Err(failure.hint("one query at a time; a semicolon may end it").into())
        }
    }
}

/// Lets all columns decide, after what the query says of its order.
fn order(query: &mut Statement, columns: usize) {
    let Statement::Query(query) = query else { return };
    let by_place = (1..=columns).map(|place| OrderByExpr {
        expr: Expr::value(Value::Number(place.to_string(), false)),
        options: OrderByOptions::default(),
        with_fill: None,
    });
    match &mut query.order_by {
        Some(OrderBy { kind: OrderByKind::Expressions(given), .. }) => given.extend(by_place),
        // All columns already.
        Some(OrderBy { kind: OrderByKind::All(_), .. }) => {}
        None => {
            query.order_by = Some(OrderBy { kind: OrderByKind::Expressions(by_place.collect()), interpolate: None });
        }
    }
}

/// The columns under names that a file can hold: what comes twice is numbered.
fn named_once(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let name = field.name().replace(UNIQUE, "_");
        // The plan and its rows need not agree on whether there are nulls.
        field.as_ref().clone().with_name(name).with_nullable(true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
