//! `meta.clock`, `meta.commits`, `meta.runs`: what the session's moment says of itself.
//!
//! Invariant: one row of `meta.clock` at any moment, all nulls before the first commit, so that `cross join meta.clock`
//! never drops rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::options::{Moment, TieoutOptions};
use crate::engine::snapshot::memory;
use crate::warehouse::commit::Commit;
use crate::warehouse::rows::timestamp_type;

/// Which of the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MomentTable {
    Clock,
    Commits,
    Runs,
}

#[async_trait]
impl TableProvider for MomentTable {
    fn schema(&self) -> SchemaRef {
        let text = DataType::Utf8;
        let fields: Vec<(&str, DataType)> = match self {
            Self::Clock => vec![
                ("commit_number", DataType::Int64),
                ("committed_at", timestamp_type()),
                ("observed_at", timestamp_type()),
                ("accounting_date", DataType::Date32),
                ("pin", text),
                ("key_rotation_count", DataType::Int64),
            ],
            Self::Commits => vec![
                ("commit_number", DataType::Int64),
                ("kind", text.clone()),
                ("committed_at", timestamp_type()),
                ("observed_at", timestamp_type()),
                ("clock_is_given", DataType::Boolean),
                ("tool_version", text.clone()),
                ("definitions", text),
                ("inserted_count", DataType::Int64),
                ("updated_count", DataType::Int64),
                ("deleted_count", DataType::Int64),
            ],
            Self::Runs => vec![
                ("commit_number", DataType::Int64),
                ("source", text.clone()),
                ("system", text.clone()),
                ("started_at", timestamp_type()),
                ("finished_at", timestamp_type()),
                ("observed_at", timestamp_type()),
                ("request_count", DataType::Int64),
                ("retry_count", DataType::Int64),
                ("waited_seconds", DataType::Int64),
                ("incomplete_tables", text),
            ],
        };
        Arc::new(Schema::new(fields.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect::<Vec<_>>()))
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
        let columns = match self {
            Self::Clock => clock(&moment),
            Self::Commits => commits(&visible(&moment)),
            Self::Runs => runs(&visible(&moment)),
        };
        let schema = self.schema();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        memory(&schema, &[batch], projection, limit)
    }
}

fn visible(moment: &Moment) -> Vec<Arc<Commit>> {
    let last = moment.commit.as_ref().map_or(0, |commit| commit.number);
    moment.head.commits.iter().filter(|commit| commit.number <= last).map(Arc::clone).collect()
}

fn clock(moment: &Moment) -> Vec<ArrayRef> {
    let commit = moment.commit.as_ref();
    vec![
        integers([commit.map(|commit| commit.number)]),
        moments([commit.map(|commit| commit.committed_at)]),
        moments([commit.map(|commit| commit.observed_at)]),
        Arc::new(Date32Array::from(vec![moment.accounting_date.map(Date32Type::from_naive_date)])),
        optional_texts([moment.pin.clone()]),
        integers([commit.map(|commit| moment.head.key_rotations(commit.number))]),
    ]
}

fn commits(commits: &[Arc<Commit>]) -> Vec<ArrayRef> {
    let changed = |count: fn(&crate::warehouse::commit::TableCommit) -> u64| {
        integers(commits.iter().map(|commit| Some(commit.tables.iter().map(count).sum())))
    };
    vec![
        integers(commits.iter().map(|commit| Some(commit.number))),
        texts(commits.iter().map(|commit| commit.kind.as_str().to_owned())),
        moments(commits.iter().map(|commit| Some(commit.committed_at))),
        moments(commits.iter().map(|commit| Some(commit.observed_at))),
        Arc::new(commits.iter().map(|commit| Some(commit.clock_is_given)).collect::<BooleanArray>()),
        texts(commits.iter().map(|commit| commit.tool_version.clone())),
        texts(commits.iter().map(|commit| commit.definitions.clone())),
        changed(|table| table.inserted),
        changed(|table| table.updated),
        changed(|table| table.deleted),
    ]
}

fn runs(commits: &[Arc<Commit>]) -> Vec<ArrayRef> {
    let runs: Vec<_> = commits.iter().flat_map(|commit| commit.runs.iter().map(|run| (commit.number, run))).collect();
    vec![
        integers(runs.iter().map(|(number, _)| Some(*number))),
        texts(runs.iter().map(|(_, run)| run.source.clone())),
        texts(runs.iter().map(|(_, run)| run.system.clone())),
        moments(runs.iter().map(|(_, run)| Some(run.started_at))),
        moments(runs.iter().map(|(_, run)| Some(run.finished_at))),
        moments(runs.iter().map(|(_, run)| Some(run.observed_at))),
        integers(runs.iter().map(|(_, run)| Some(run.requests))),
        integers(runs.iter().map(|(_, run)| Some(run.retries))),
        integers(runs.iter().map(|(_, run)| Some(run.waited_seconds))),
        texts(runs.iter().map(|(_, run)| run.incomplete_tables.join(", "))),
    ]
}

pub(crate) fn integers(values: impl IntoIterator<Item = Option<u64>>) -> ArrayRef {
    let values = values.into_iter().map(|value| value.and_then(|value| i64::try_from(value).ok()));
    Arc::new(values.collect::<Int64Array>())
}

pub(crate) fn moments(values: impl IntoIterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let values = values.into_iter().map(|value| value.map(|at| at.timestamp_micros()));
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_data_type(timestamp_type()))
}

pub(crate) fn texts(values: impl IntoIterator<Item = String>) -> ArrayRef {
    Arc::new(values.into_iter().map(Some).collect::<StringArray>())
}

pub(crate) fn optional_texts(values: impl IntoIterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}
