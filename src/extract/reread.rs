//! Records received earlier under today's manifest: what a column that was added or retyped since would have held then.
//!
//! Only what the record itself tells: a column of the parent's row or of the record's place in its list stays unknown. A value
//! that has no form in the declared type is null here; when it was received, it was judged by the manifest in force then.

use std::sync::Arc;

use arrow::array::{Array as _, StringArray};
use tieout_json::{Cell, Tape};

use super::decode::{Decoder, array};
use super::manifest::Manifest;
use super::rules::SourceRules;
use crate::warehouse::ReadRecords;

/// For each table of the manifest, how its records become typed columns.
pub fn readers(manifest: &Manifest) -> Vec<(String, Arc<ReadRecords>)> {
    let manifest = Arc::new(manifest.clone());
    let tables = manifest.tables.iter().map(|table| table.name.clone()).enumerate();
    tables.map(|(place, name)| (name, reader(Arc::clone(&manifest), place))).collect()
}

fn reader(manifest: Arc<Manifest>, place: usize) -> Arc<ReadRecords> {
    Arc::new(move |records: &StringArray, names: &[&str]| {
        let Some(table) = manifest.tables.get(place) else { return vec![None; names.len()] };
        let decoder = Decoder::new(&manifest, table, &SourceRules::default());
        let mut columns: Vec<Vec<Cell>> = vec![Vec::with_capacity(records.len()); names.len()];
        let mut tape = Tape::default();
        for text in records {
            let record = text.and_then(|text| tape.read(text).ok());
            for (name, cells) in names.iter().zip(&mut columns) {
                cells.push(record.and_then(|record| decoder.reread(record, name)).unwrap_or(Cell::Null));
            }
        }
        let read = names.iter().zip(&columns);
        read.map(|(name, cells)| array(decoder.told_by_record(name)?, cells.iter()).ok()).collect()
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Decimal128Type, Int64Type};

    use super::*;

    const MANIFEST: &str = r#"
        [system]
        name = "test"
        side = "pm"
        protocol = "rest"
        facts = "none"
        [rest]
        base_url = "https://example.com"
        unwrap = "value"
        auth = [{ kind = "oauth2_client_credentials", token_url = "/token", client_id = "x", client_secret = "y" }]
        [[table]]
        name = "bills"
        path = "/bills"
        key = ["id"]
        [table.columns]
        id = "int64"
        total = { type = "decimal(18,2)", path = "amounts.total" }
        line = { type = "int64", position = true }
    "#;

    #[test]
    fn old_records_tell_new_columns_as_far_as_they_can() {
        let manifest = Manifest::parse("test", MANIFEST).unwrap();
        let readers = readers(&manifest);
        assert_eq!(readers[0].0, "bills");
        let records = StringArray::from(vec![
            Some(r#"{"id": {"value": 7}, "amounts": {"total": {"value": "12.50"}}}"#),
            Some(r#"{"id": 8, "amounts": {"total": "soon"}}"#),
            None,
        ]);
        let found = (readers[0].1)(&records, &["total", "line", "unknown", "id"]);
        let totals = found[0].as_ref().unwrap().as_primitive::<Decimal128Type>();
        assert_eq!(totals.iter().collect::<Vec<_>>(), [Some(1250), None, None]);
        assert!(found[1].is_none() && found[2].is_none());
        let ids = found[3].as_ref().unwrap().as_primitive::<Int64Type>();
        assert_eq!(ids.iter().collect::<Vec<_>>(), [Some(7), Some(8), None]);
    }
}
