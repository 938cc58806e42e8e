//! A table between two states: the earlier one without the rows that changed since, and the rows that stand instead.
//!
//! Two ways with the same rows. Few changes are held in memory while the state's files are scanned side by side; many, or a
//! table without any state, are folded into it as one stream (`streamed`). Invariants: what is held in memory is bounded; only
//! the columns that a plan asks for are read, and the key.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;

use crate::warehouse::SinceState;
use crate::warehouse::rows::KEY;

/// So many rows of changes are worth keeping for the next query.
const KEPT_ROWS_MAX: u64 = 65_536;
/// So many moments and column sets of a table are kept: a report about the past asks for the same few again and again.
const KEPT_MAX: usize = 4;

/// What makes changes since a state the same: the state, the commit, the columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SinceKey {
    pub(crate) state: String,
    pub(crate) commit: u64,
    pub(crate) schema: SchemaRef,
}

/// Changes since a state as they were read before: commits never change.
#[derive(Debug, Default)]
pub(crate) struct KeptChanges(Mutex<VecDeque<(SinceKey, Arc<SinceState>)>>);

impl KeptChanges {
    pub(crate) fn get(&self, key: &SinceKey) -> Option<Arc<SinceState>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| known == key).map(|(_, since)| Arc::clone(since))
    }

    /// Keeps them if they are small: `rows` were read.
    pub(crate) fn put(&self, key: SinceKey, since: &Arc<SinceState>, rows: u64) {
        if rows > KEPT_ROWS_MAX {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT_MAX - 1);
        kept.push_front((key, Arc::clone(since)));
    }
}

/// The rows of `state` except those that changed since, in its first `width` columns.
pub(crate) fn without(
    state: Arc<dyn ExecutionPlan>,
    since: Arc<SinceState>,
    width: usize,
    options: &Arc<ConfigOptions>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let key = state.schema().index_of(KEY)?;
    let predicate = stands(key, since, options);
    let filter = FilterExecBuilder::new(predicate, state).apply_projection(Some((0..width).collect()))?;
    Ok(Arc::new(filter.build()?))
}

/// Whether a row with its key at a place still stands.
pub(crate) fn stands(key: usize, since: Arc<SinceState>, options: &Arc<ConfigOptions>) -> Arc<dyn PhysicalExpr> {
    // Volatile: what it answers depends on more than its argument, and it is to be asked once a row, here.
    let signature = Signature::exact(vec![DataType::Utf8], Volatility::Volatile);
    let function = ScalarUDF::from(Stands { since, signature });
    let returned = Arc::new(Field::new(STANDS, DataType::Boolean, false));
    let argument: Arc<dyn PhysicalExpr> = Arc::new(Column::new(KEY, key));
    Arc::new(ScalarFunctionExpr::new(STANDS, Arc::new(function), vec![argument], returned, Arc::clone(options)))
}

const STANDS: &str = "stands";

/// Whether a key is not among those that changed since a state.
#[derive(Debug)]
pub(crate) struct Stands {
    pub(crate) since: Arc<SinceState>,
    signature: Signature,
}

impl PartialEq for Stands {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.since, &other.since)
    }
}

impl Eq for Stands {}

impl Hash for Stands {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.since).hash(state);
    }
}

impl ScalarUDFImpl for Stands {
    fn name(&self) -> &'static str {
        STANDS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let keys = arrays.first().and_then(|keys| keys.as_string_opt::<i32>());
        let keys = keys.ok_or_else(|| DataFusionError::Internal(format!("{KEY} is no text")))?;
        Ok(ColumnarValue::Array(Arc::new(standing(keys, &self.since.keys))))
    }
}

/// Which of the keys are not among those that changed. Both ascend, so that a step from one key to the next is one or two
/// comparisons, and no hash; keys that do not ascend, where a batch has rows of several files, cost a search each.
fn standing(keys: &StringArray, changed: &[String]) -> BooleanArray {
    // All changed keys before this place are smaller than the key looked at, none from it on.
    let mut place = 0_usize;
    let changed_at = |place: usize| changed.get(place).map(String::as_str);
    let mut is_new_stretch = true;
    keys.iter()
        .map(|key| {
            let Some(key) = key else { return Some(true) };
            let is_passed = place.checked_sub(1).and_then(changed_at).is_some_and(|before| before >= key);
            if is_passed || std::mem::take(&mut is_new_stretch) {
                place = changed.partition_point(|changed| changed.as_str() < key);
            }
            while changed_at(place).is_some_and(|changed| changed < key) {
                place += 1;
            }
            Some(changed_at(place) != Some(key))
        })
        .collect()
}

/// The batch under a reader's schema: what it lacks is null.
pub(crate) fn adapt(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let column = |field: &Arc<Field>| -> Result<ArrayRef> {
        match batch.column_by_name(field.name()) {
            Some(column) => Ok(cast(column, field.data_type())?),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    with_columns(schema, schema.fields().iter().map(column).collect::<Result<_>>()?, batch.num_rows())
}

/// The batch under the schema that was announced, column by column: the rows of a view need not have the types that it was
/// planned with. A planner may say microseconds of a null that an executor makes nanoseconds.
pub(crate) fn announced(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| Ok(cast(column, field.data_type())?)).collect::<Result<_>>()?;
    with_columns(schema, columns, batch.num_rows())
}

/// A reader that only counts asks for no column.
fn with_columns(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_row_stands_unless_its_key_changed(
            keys in prop::collection::vec(prop::option::weighted(0.95, "[ab]{0,4}"), 0..60),
            changed in prop::collection::btree_set("[ab]{0,4}", 0..20),
            is_sorted in any::<bool>(),
        ) {
            let mut keys = keys;
            if is_sorted {
                keys.sort();
            }
            let sorted: Vec<String> = changed.iter().cloned().collect();
            let found = standing(&StringArray::from(keys.clone()), &sorted);
            let expected: Vec<bool> =
                keys.iter().map(|key| key.as_ref().is_none_or(|key| !changed.contains(key))).collect();
            prop_assert_eq!(found.iter().flatten().collect::<Vec<_>>(), expected);
        }
    }
}
