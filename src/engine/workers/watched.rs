//! What goes wrong between processes, told apart from what is wrong with a query.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_distributed::{
    CoordinatorToWorkerMsg, ExecuteTaskRequest, GetWorkerInfoRequest, GetWorkerInfoResponse, SetPlanRequest,
    WorkerChannel, WorkerToCoordinatorMsg,
};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tonic::Status;
use tonic::codegen::http::HeaderMap;
use url::Url;

/// With these words an error begins that a worker tells of another one.
const LOST: &str = "lost worker ";

/// A connection that says which worker failed.
pub(super) struct Watched {
    pub(super) inner: Box<dyn WorkerChannel>,
    pub(super) url: Url,
}

#[async_trait]
impl WorkerChannel for Watched {
    async fn coordinator_channel(
        &mut self,
        headers: HeaderMap,
        request: SetPlanRequest,
        messages: BoxStream<'static, CoordinatorToWorkerMsg>,
        metrics: ExecutionPlanMetricsSet,
        context: &Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<WorkerToCoordinatorMsg>>> {
        let url = self.url.clone();
        let answers = self.inner.coordinator_channel(headers, request, messages, metrics, context).await;
        let answers = answers.map_err(|error| named(&url, error))?;
        Ok(answers.map(move |answer| answer.map_err(|error| named(&url, error))).boxed())
    }

    async fn execute_task(
        &mut self,
        headers: HeaderMap,
        request: ExecuteTaskRequest,
        metrics: ExecutionPlanMetricsSet,
        context: &Arc<TaskContext>,
    ) -> Result<Vec<BoxStream<'static, Result<RecordBatch>>>> {
        let streams = self.inner.execute_task(headers, request, metrics, context).await;
        let streams = streams.map_err(|error| named(&self.url, error))?;
        let watched = |stream: BoxStream<'static, Result<RecordBatch>>| {
            let url = self.url.clone();
            stream.map(move |batch| batch.map_err(|error| named(&url, error))).boxed()
        };
        Ok(streams.into_iter().map(watched).collect())
    }

    async fn get_worker_info(&mut self, request: GetWorkerInfoRequest) -> Result<GetWorkerInfoResponse> {
        self.inner.get_worker_info(request).await
    }
}

/// An error of the connection with the worker's name; what the worker itself says stays as it is.
fn named(url: &Url, error: DataFusionError) -> DataFusionError {
    match status(&error) {
        Some(status) => DataFusionError::Execution(format!("{LOST}{url}: {}", told(status))),
        None => error,
    }
}

fn status(error: &DataFusionError) -> Option<&Status> {
    match error.find_root() {
        DataFusionError::External(inner) => inner.downcast_ref::<Status>(),
        _ => None,
    }
}

/// What a status says, with what is below it.
fn told(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut below = std::error::Error::source(status);
    while let Some(cause) = below {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = if text.is_empty() { cause_text } else { format!("{text}: {cause_text}") };
        }
        below = cause.source();
    }
    if text.is_empty() { status.code().to_string() } else { text }
}

/// Why a worker did not do what it was asked.
pub(super) fn reason(error: &DataFusionError) -> String {
    status(error).map_or_else(|| error.find_root().strip_backtrace(), told)
}

/// Which worker was lost, if that is what an error is about, however many processes it came through.
pub(super) fn lost(error: &DataFusionError) -> Option<String> {
    let text = error.to_string();
    let (_, told) = text.split_once(LOST)?;
    Some(told.lines().next().unwrap_or(told).to_owned())
}
