//! `pg_get_keywords()`: the words that must be quoted to be names.

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, RecordBatch, StringArray};
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::Result;

const RESERVED: &str = "\
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate \
    collation column concurrently constraint create cross current_catalog current_date current_role \
    current_schema current_time current_timestamp current_user default deferrable desc distinct do else end \
    except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is \
    isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on only \
    or order outer overlaps placing primary references returning right select session_user similar some symmetric \
    table tablesample then to trailing true union unique user using variadic verbose when where window with";

#[derive(Debug)]
pub(super) struct Keywords;

impl TableFunctionImpl for Keywords {
    fn call_with_args(&self, _: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let words: StringArray = RESERVED.split_whitespace().map(Some).collect();
        let constant = |text: &str| Arc::new(StringArray::from(vec![text; words.len()])) as ArrayRef;
        let (code, description) = (constant("R"), constant("reserved"));
        let columns = [("word", Arc::new(words) as ArrayRef), ("catcode", code), ("catdesc", description)];
        let batch = RecordBatch::try_from_iter(columns)?;
        Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
    }
}
