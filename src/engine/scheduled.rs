//! `meta.scheduled_runs`: what ran by the schedule or by hand, as the workspace's ledger tells it.
//!
//! The one table that is not of the warehouse. Invariant: at a moment of the past it knows nothing that began later; of the
//! present it is as new as the file, whatever was committed. Without a workspace it is refused: no rows would say that nothing ran.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::Error;
use crate::engine::moments::{moments, optional_texts, texts};
use crate::engine::options::TieoutOptions;
use crate::engine::snapshot::memory;
use crate::schedule::{Ledger, Run};
use crate::warehouse::rows::timestamp_type;

/// The ledger of a workspace.
#[derive(Clone, Debug)]
pub(crate) struct ScheduledRuns {
    /// The workspace's folder; none of an engine over a warehouse alone.
    pub(crate) workspace: Option<PathBuf>,
}

#[async_trait]
impl TableProvider for ScheduledRuns {
    fn schema(&self) -> SchemaRef {
        let text = DataType::Utf8;
        let fields = [
            ("run_id", text.clone()),
            ("entry", text.clone()),
            ("command", text.clone()),
            ("scheduled_for", timestamp_type()),
            ("started_at", timestamp_type()),
            ("finished_at", timestamp_type()),
            ("outcome", text.clone()),
            ("exit_code", DataType::Int64),
            ("is_caught_up", DataType::Boolean),
            ("error", text),
        ];
        Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec()))
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let moment = TieoutOptions::moment(session).await?;
        let newest = moment.head.number();
        // Of the newest commit, and before the first, there is no later.
        let until = moment.commit.as_ref().filter(|commit| commit.number < newest).map(|commit| commit.committed_at);
        let ledger = Ledger::of(self.workspace.as_ref().ok_or_else(unknown)?);
        let told = tokio::task::spawn_blocking(move || ledger.read()).await;
        let told = told.map_err(|lost| DataFusionError::External(lost.into()))?;
        let mut runs = told.map_err(|error| DataFusionError::External(error.into()))?.runs;
        runs.retain(|run| until.is_none_or(|until| run.started_at <= until));
        let schema = self.schema();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns(&runs))?;
        memory(&schema, &[batch], projection, limit)
    }
}

fn unknown() -> DataFusionError {
    DataFusionError::External(Box::new(Error::Setting {
        place: "meta.scheduled_runs".to_owned(),
        reason: "what ran is told by a workspace's schedule/runs.jsonl, and there is no workspace here".to_owned(),
    }))
}

fn columns(runs: &[Run]) -> Vec<ArrayRef> {
    vec![
        texts(runs.iter().map(|run| run.run.clone())),
        optional_texts(runs.iter().map(|run| run.entry.clone())),
        texts(runs.iter().map(|run| run.command.clone())),
        moments(runs.iter().map(|run| run.scheduled_for)),
        moments(runs.iter().map(|run| Some(run.started_at))),
        moments(runs.iter().map(|run| run.ended_at)),
        texts(runs.iter().map(|run| run.outcome.as_str().to_owned())),
        Arc::new(runs.iter().map(|run| run.exit_code.map(i64::from)).collect::<Int64Array>()),
        Arc::new(runs.iter().map(|run| Some(run.is_caught_up)).collect::<BooleanArray>()),
        optional_texts(runs.iter().map(|run| run.error.clone())),
    ]
}
