//! The rows of a state that still stand, as a step that can be written down.
//!
//! Where it is planned, this is a filter by a function that holds the keys that changed since ([`Stands`]), and functions travel
//! by name alone. Invariant: the step is the filter, whose other conditions, columns and limit come along.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, conjunction, split_conjunction};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::{ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use crate::engine::access::GuardedScan;
use crate::engine::folded::{Stands, stands};
use crate::warehouse::SinceState;

/// A filter by what stands.
#[derive(Debug)]
pub(super) struct Standing {
    filter: Arc<dyn ExecutionPlan>,
}

/// What such a filter is made of.
pub(super) struct Parts {
    pub(super) since: Arc<SinceState>,
    /// The place of the key.
    pub(super) key: usize,
    /// Further conditions.
    pub(super) others: Vec<Arc<dyn PhysicalExpr>>,
    /// The places of the columns that come out.
    pub(super) projection: Vec<usize>,
    pub(super) fetch: Option<usize>,
}

/// The plan with every such filter as a step of its own, those below guarded tables too.
pub(super) fn written_down(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        if let Some(guarded) = node.downcast_ref::<GuardedScan>() {
            let inner = written_down(Arc::clone(&guarded.inner))?;
            let guarded = GuardedScan::new(inner, guarded.schema(), guarded.veil.clone());
            return Ok(Transformed::yes(Arc::new(guarded)));
        }
        match node.downcast_ref::<FilterExec>().and_then(parts) {
            Some(_) => Ok(Transformed::yes(Arc::new(Standing { filter: node }))),
            None => Ok(Transformed::no(node)),
        }
    })?;
    Ok(changed.data)
}

fn parts(filter: &FilterExec) -> Option<Parts> {
    let mut found = None;
    let mut others = Vec::new();
    for condition in split_conjunction(filter.predicate()) {
        match condition.downcast_ref::<ScalarFunctionExpr>().and_then(of_key) {
            Some(stands) if found.is_none() => found = Some(stands),
            _ => others.push(Arc::clone(condition)),
        }
    }
    let (since, key) = found?;
    let columns = filter.input().schema().fields().len();
    let projection = filter.projection().as_ref().map_or_else(|| (0..columns).collect(), |places| places.to_vec());
    Some(Parts { since, key, others, projection, fetch: filter.fetch() })
}

/// What a call of [`Stands`] holds, and the place of its key.
fn of_key(call: &ScalarFunctionExpr) -> Option<(Arc<SinceState>, usize)> {
    let stands = call.fun().inner().downcast_ref::<Stands>()?;
    let key = call.args().first()?.downcast_ref::<Column>()?.index();
    Some((Arc::clone(&stands.since), key))
}

impl Standing {
    pub(super) fn parts(&self) -> Result<Parts> {
        match self.filter.downcast_ref::<FilterExec>().and_then(parts) {
            Some(parts) => Ok(parts),
            None => internal_err!("a filter by what stands lost what it stands by"),
        }
    }

    /// The filter again: over an input, by the keys that changed and the key's place.
    pub(super) fn filter(
        (input, since, key): (Arc<dyn ExecutionPlan>, Arc<SinceState>, usize),
        others: Vec<Arc<dyn PhysicalExpr>>,
        projection: Vec<usize>,
        fetch: Option<usize>,
        options: &Arc<ConfigOptions>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = conjunction([stands(key, since, options)].into_iter().chain(others));
        let filter = FilterExecBuilder::new(predicate, input).apply_projection(Some(projection))?.with_fetch(fetch);
        Ok(Arc::new(filter.build()?))
    }
}

impl DisplayAs for Standing {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt_as(kind, f)
    }
}

impl ExecutionPlan for Standing {
    fn name(&self) -> &'static str {
        "Standing"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.filter.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.filter.maintains_input_order()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.filter.children()
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for condition in self.parts()?.others {
            if visit(&condition)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { filter: Arc::clone(&self.filter).replace_children(children, options)? }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.filter.execute(partition, context)
    }
}
