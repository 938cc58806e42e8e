//! Rows that the warehouse itself puts together: as one stream, in one piece.
//!
//! Owns the leaf of plans for a table folded from its changes, and for changes that were written under other columns than
//! today's. Invariant: it holds what to read, no row of it, so that it can be executed again and told to another process.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::limit::LimitStream;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt as _;

use crate::engine::folded::adapt;
use crate::warehouse::Warehouse;
use crate::warehouse::commit::{DataFile, Head};
use crate::warehouse::rows::ColumnType;

/// What is put together.
#[derive(Clone, Debug)]
pub(crate) enum Read {
    /// The table as of a commit.
    State { head: Arc<Head>, commit: u64 },
    /// These change files.
    Changes(Vec<DataFile>),
}

/// One table's rows, in some of its columns.
#[derive(Clone, Debug)]
pub(crate) struct Streamed {
    pub(crate) warehouse: Warehouse,
    /// The definitions that the columns come from.
    pub(crate) edition: Arc<str>,
    /// Source and table.
    pub(crate) name: (String, String),
    pub(crate) read: Read,
    /// All its typed columns.
    pub(crate) columns: Vec<(String, ColumnType)>,
    /// The columns that come out.
    pub(crate) schema: SchemaRef,
    pub(crate) limit: Option<usize>,
}

impl Streamed {
    /// The leaf of a plan.
    pub(crate) fn scan(self) -> Arc<dyn ExecutionPlan> {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&self.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Arc::new(StreamedScan { streamed: self, properties: Arc::new(properties), metrics })
    }

    fn rows(&self) -> SendableRecordBatchStream {
        let names: HashSet<String> = self.schema.fields().iter().map(|field| field.name().clone()).collect();
        let wanted = move |name: &str| names.contains(name);
        let (source, table) = (self.name.0.as_str(), self.name.1.as_str());
        let columns = self.columns.clone();
        let schema = Arc::clone(&self.schema);
        let adapted =
            move |batch| adapt(&schema, &Result::map_err(batch, |error| DataFusionError::External(Box::new(error)))?);
        match &self.read {
            Read::State { head, commit } => {
                let rows = self.warehouse.stream_state(head, *commit, source, table, columns, wanted);
                Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows.map(adapted)))
            }
            Read::Changes(files) => {
                let rows = self.warehouse.stream_changes((source, table), files.clone(), columns, wanted);
                Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows.map(adapted)))
            }
        }
    }
}

/// The leaf.
#[derive(Debug)]
pub(crate) struct StreamedScan {
    pub(crate) streamed: Streamed,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl DisplayAs for StreamedScan {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, table) = &self.streamed.name;
        let columns: Vec<&str> = self.streamed.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "StreamedScan: {source}.{table}, projection=[{}]", columns.join(", "))?;
        if matches!(kind, DisplayFormatType::Verbose) {
            write!(f, ", definitions={}", self.streamed.edition)?;
        }
        self.streamed.limit.map_or(Ok(()), |limit| write!(f, ", fetch={limit}"))
    }
}

impl ExecutionPlan for StreamedScan {
    fn name(&self) -> &'static str {
        "StreamedScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.streamed.rows();
        Ok(match self.streamed.limit {
            None => rows,
            limit => {
                let metrics = BaselineMetrics::new(&self.metrics, partition);
                Box::pin(LimitStream::new(rows, 0, limit, metrics))
            }
        })
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn fetch(&self) -> Option<usize> {
        self.streamed.limit
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Streamed { limit, ..self.streamed.clone() }.scan())
    }
}
