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
use futures::{Stream, StreamExt as _};

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

/// A planned query.
pub struct LocalQuery {
    context: SessionContext,
    plan: Arc<dyn ExecutionPlan>,
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
        let mut commands = statement::parse(text)?;
        let query = match (commands.pop(), commands.is_empty()) {
            (None, _) => return Err(Failure::new("42601", "there is no query in the text").into()),
            (Some(Command::Query(statement)), true) => *statement,
            (Some(_), true) => {
                let failure = Failure::new("42601", "only a query can be run here");
                return Err(failure
                    .hint("a SELECT, WITH, VALUES or EXPLAIN; `tieout serve` takes SET and SHOW")
                    .into());
            }
            (Some(_), false) => {
                let failure = Failure::new("42601", "there is more than one statement in the text");
                return Err(failure.hint("one query at a time; a semicolon may end it").into());
            }
        };
        let schema = made.state().config_options().catalog.default_schema.clone();
        let settings = Arc::new(Mutex::new(Settings::new(user, &schema, None)?));
        let (context, catalog) = catalog::attach(made, user, DATABASE, settings, (descriptions, None), &|inner| inner);
        let logical = session::plan(&context, catalog.as_deref(), query, &[]).await?;
        let schema = named_once(logical.schema().inner());
        let (state, abandoned): (_, Abandoned) = (context.state(), Arc::new(|| false));
        let logical = explain::carried_out(&state, logical, &abandoned).await?;
        let plan = each_row::physical(&state, &logical, &abandoned).await?;
        sizes::separators(&plan)?;
        Ok(Self { context, plan, schema })
    }

    /// The columns of the rows.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Runs it.
    pub fn rows(self) -> Result<impl Stream<Item = Result<RecordBatch, QueryError>> + Send, QueryError> {
        let Self { context, plan, schema } = self;
        let stream = in_turn::rows(plan, context.task_ctx())?;
        Ok(stream.map(move |batch| {
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

/// The columns under names that a file can hold: what comes twice is numbered.
fn named_once(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let name = field.name().replace(UNIQUE, "_");
        // The plan and its rows need not agree on whether there are nulls.
        field.as_ref().clone().with_name(name).with_nullable(true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
