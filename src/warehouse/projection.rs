//! From a record to typed columns, for rows that were written under other columns than those asked for.
//!
//! The typed columns are a projection of the record under a manifest. A manifest that gains, loses, renames or retypes a column
//! changes no record: rows written before are read under the new columns, from the record beside them. What a record alone
//! does not tell (a column of its parent's) stays null in rows written before.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;

use super::rows::RAW;

/// Reads columns out of records: for each name its values in the type declared, or none if records alone do not tell.
pub type ReadRecords = dyn Fn(&StringArray, &[&str]) -> Vec<Option<ArrayRef>> + Send + Sync;

/// How the records of tables become typed columns under one set of definitions.
#[derive(Clone, Default)]
pub struct Projections(Arc<BTreeMap<(String, String), Arc<ReadRecords>>>);

impl Projections {
    /// From (source, table) to how its records are read.
    pub fn new(tables: BTreeMap<(String, String), Arc<ReadRecords>>) -> Self {
        Self(Arc::new(tables))
    }

    pub(super) fn of(&self, source: &str, table: &str) -> Option<Arc<ReadRecords>> {
        self.0.get(&(source.to_owned(), table.to_owned())).cloned()
    }
}

impl fmt::Debug for Projections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The batch under another schema. A column that it lacks, or has in another type, is read from its records; where they do
/// not tell, a missing one is null and one of another type is cast, null where its values have no form in the new type.
pub(super) fn align(
    batch: &RecordBatch,
    schema: &SchemaRef,
    records: Option<&ReadRecords>,
) -> Result<RecordBatch, ArrowError> {
    let fits = |field: &Field| batch.column_by_name(field.name()).filter(|it| it.data_type() == field.data_type());
    let missing: Vec<&str> =
        schema.fields().iter().filter(|field| fits(field).is_none()).map(|field| field.name().as_str()).collect();
    let mut filled = BTreeMap::new();
    let raw = batch.column_by_name(RAW).and_then(|raw| raw.as_string_opt::<i32>());
    // Results of our own have no records.
    if let (false, Some(records), Some(raw)) = (missing.is_empty(), records, raw)
        && raw.null_count() < raw.len()
    {
        filled.extend(missing.iter().copied().zip(records(raw, &missing)));
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let column = |field: &Arc<Field>| -> Result<ArrayRef, ArrowError> {
        let kind = field.data_type();
        if let Some(column) = fits(field) {
            return Ok(Arc::clone(column));
        }
        let read = filled.remove(field.name().as_str()).flatten();
        if let Some(read) = read.filter(|read| read.data_type() == kind && read.len() == batch.num_rows()) {
            return Ok(read);
        }
        match batch.column_by_name(field.name()) {
            Some(column) if can_cast_types(column.data_type(), kind) => cast_with_options(column, kind, &options),
            _ => Ok(new_null_array(kind, batch.num_rows())),
        }
    };
    let arrays: Result<Vec<ArrayRef>, ArrowError> = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(SchemaRef::clone(schema), arrays?)
}
