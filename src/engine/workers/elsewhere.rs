//! A plan with the places where it was cut, and the session that its pieces are sent out by.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::analyze::AnalyzeExec;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion::prelude::SessionConfig;
use datafusion_distributed::{
    DistributedExec, DistributedExt as _, NetworkBoundaryExt as _, SessionStateBuilderExt as _, WorkerResolver,
};
use serde::{Deserialize, Serialize};
use tonic::codegen::http::{HeaderMap, HeaderValue};
use url::Url;

use super::codec::Codec;
use super::gathered::gathered;
use super::lines::Shared;
use super::{Workers, fit, leaves, standing};
use crate::engine::options::{Carried, TieoutOptions};

/// The header of a session's words.
pub(super) const SESSION: &str = "x-tieout-session";

/// What a worker has to know of a session to compute rows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SessionWords {
    pub(super) settings: Carried,
    /// In which statements show and read moments.
    pub(super) time_zone: Option<String>,
    pub(super) batch_size: usize,
    /// The newest commit that the session has seen.
    pub(super) newest: u64,
    /// Whether every step is measured, and nothing may be added.
    pub(super) is_measured: bool,
}

impl SessionWords {
    fn header(&self) -> Result<HeaderValue> {
        let words = serde_json::to_vec(self).map_err(|error| internal_datafusion_err!("write a session: {error}"))?;
        let words = HeaderValue::from_str(&hex::encode(words));
        words.map_err(|error| internal_datafusion_err!("write a session: {error}"))
    }

    pub(super) fn read(headers: &HeaderMap) -> Result<Self> {
        let words = headers.get(SESSION).and_then(|words| hex::decode(words).ok());
        let words = words.ok_or_else(|| internal_datafusion_err!("a plan arrived without its session"))?;
        serde_json::from_slice(&words).map_err(|error| internal_datafusion_err!("read a session: {error}"))
    }
}

/// The plan cut for the workers that are there; none if it has no place to be cut at.
pub(super) async fn cut(
    state: &SessionState,
    plan: Arc<dyn ExecutionPlan>,
    workers: &Arc<Workers>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let is_measured = plan.is::<AnalyzeExec>();
    let plan = gathered(leaves::slimmed(standing::written_down(plan)?)?)?;
    let functions = workers.functions.get().ok_or_else(|| internal_datafusion_err!("workers of no engine"))?;
    fit::check(&plan, functions)?;
    let options = state.config_options().extensions.get::<TieoutOptions>();
    let options = options.ok_or_else(|| internal_datafusion_err!("this session was not opened by the engine"))?;
    let words = SessionWords {
        settings: options.carried(),
        time_zone: state.config_options().execution.time_zone.clone(),
        batch_size: state.config().batch_size(),
        newest: TieoutOptions::moment(state).await?.head.number(),
        is_measured,
    };
    let headers = HeaderMap::from_iter([(SESSION.parse().map_err(internal)?, words.header()?)]);
    let state = SessionStateBuilder::new_from_existing(state.clone())
        .with_query_planner(Arc::new(Given(plan)))
        .with_distributed_worker_resolver(Reachable(Arc::clone(workers)))
        .with_distributed_channel_resolver(Shared(Arc::clone(&workers.lines)))
        .with_distributed_user_codec(Codec::default())
        .with_distributed_desired_task_count_handler(leaves::wanted)
        .with_distributed_scale_up_leaf_node_handler(leaves::taken_apart)
        .with_distributed_passthrough_headers(headers)?
        .with_distributed_metrics_collection(is_measured)?
        .with_distributed_planner()
        .build();
    let nothing = LogicalPlanBuilder::empty(false).build()?;
    let cut = state.query_planner().create_physical_plan(&nothing, &state).await?;
    let (mut stages, mut is_cut) = (0, false);
    cut.apply(|node| {
        is_cut |= node.is::<DistributedExec>();
        stages += u64::from(node.is_network_boundary());
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !is_cut {
        return Ok(None);
    }
    let (config, workers) = (state.config().clone(), Arc::clone(workers));
    Ok(Some(Arc::new(Elsewhere { inner: cut, config, workers, stages })))
}

fn internal(error: impl fmt::Display) -> DataFusionError {
    internal_datafusion_err!("{error}")
}

/// The workers that are there when they are asked for.
struct Reachable(Arc<Workers>);

impl WorkerResolver for Reachable {
    fn get_urls(&self) -> Result<Vec<Url>> {
        Ok(self.0.up())
    }
}

/// Plans nothing: the plan is made, and is only to be cut.
#[derive(Debug)]
struct Given(Arc<dyn ExecutionPlan>);

#[async_trait]
impl QueryPlanner for Given {
    async fn create_physical_plan(&self, _: &LogicalPlan, _: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::clone(&self.0))
    }
}

/// A plan whose stages are carried out by workers.
#[derive(Debug)]
pub struct Elsewhere {
    inner: Arc<dyn ExecutionPlan>,
    config: SessionConfig,
    workers: Arc<Workers>,
    stages: u64,
}

impl DisplayAs for Elsewhere {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnWorkers: stages={}, workers={}", self.stages, self.workers.up().len())
    }
}

impl ExecutionPlan for Elsewhere {
    fn name(&self) -> &'static str {
        "OnWorkers"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.inner]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = children.pop().filter(|_| children.is_empty());
        let inner = inner.ok_or_else(|| internal_datafusion_err!("OnWorkers has one input"))?;
        let (config, workers, stages) = (self.config.clone(), Arc::clone(&self.workers), self.stages);
        Ok(Arc::new(Self { inner, config, workers, stages }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.workers.stages.fetch_add(self.stages, Ordering::Relaxed);
        // The statement's own memory, and the session that its pieces are sent out by.
        let context = TaskContext::new(
            context.task_id(),
            context.session_id(),
            self.config.clone(),
            context.scalar_functions().clone(),
            context.higher_order_functions().clone(),
            context.aggregate_functions().clone(),
            context.window_functions().clone(),
            context.runtime_env(),
        );
        self.inner.execute(partition, Arc::new(context))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        inputs.first().map(Arc::clone).ok_or_else(|| internal_datafusion_err!("OnWorkers has one input"))
    }
}
