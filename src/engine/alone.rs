//! A program that was built without workers: every plan is carried out where it was made.
#![expect(clippy::unused_async, clippy::unnecessary_wraps, reason = "as where there are workers")]

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

/// There are none.
#[derive(Debug)]
pub(crate) enum Workers {}

pub(crate) fn attach(_: &mut SessionConfig, workers: &Arc<Workers>) {
    match **workers {}
}

pub(crate) fn are_there(_: &SessionState) -> bool {
    false
}

pub(crate) fn alone(state: SessionState) -> SessionState {
    state
}

pub(crate) async fn sent_out(_: &SessionState, plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    plan
}

pub(crate) fn is_sent_out(_: &dyn ExecutionPlan) -> bool {
    false
}

pub(crate) async fn look_after(_: &SessionState, _: &DataFusionError) {}

pub(crate) fn too_late(error: DataFusionError) -> DataFusionError {
    error
}

pub(crate) fn anew(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    Ok(plan)
}

pub(crate) async fn made_of<Made, Making: Future<Output = Result<Made>> + Send>(
    plan: Arc<dyn ExecutionPlan>,
    _: &dyn Session,
    make: impl Fn(Arc<dyn ExecutionPlan>) -> Making,
) -> Result<Made> {
    make(plan).await
}
