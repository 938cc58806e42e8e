//! A table between two states: its rows folded from the earlier one and the changes since, while they are read.
//!
//! Invariant: what is held in memory does not grow with the table. Only the columns that a plan asks for are read, and the key.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Field, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::StreamExt;

use crate::warehouse::Warehouse;
use crate::warehouse::commit::Head;
use crate::warehouse::rows::ColumnType;

/// One table as of one commit.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) warehouse: Warehouse,
    pub(crate) head: Arc<Head>,
    pub(crate) commit: u64,
    pub(crate) source: String,
    pub(crate) table: String,
    /// All its typed columns.
    pub(crate) columns: Vec<(String, ColumnType)>,
    /// The columns that come out.
    pub(crate) schema: SchemaRef,
}

impl PartitionStream for Folded {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let names: HashSet<String> = self.schema.fields().iter().map(|field| field.name().clone()).collect();
        let wanted = move |name: &str| names.contains(name);
        let columns = self.columns.clone();
        let rows = self.warehouse.stream_state(&self.head, self.commit, &self.source, &self.table, columns, wanted);
        let schema = Arc::clone(&self.schema);
        let rows =
            rows.map(move |batch| adapt(&schema, &batch.map_err(|error| DataFusionError::External(Box::new(error)))?));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

/// The batch under a reader's schema: what it lacks is null.
pub(crate) fn adapt(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let column = |field: &Arc<Field>| -> Result<ArrayRef> {
        match batch.column_by_name(field.name()) {
            Some(column) => Ok(cast(column, field.data_type())?),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<_>>()?;
    // A reader that only counts asks for no column.
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
