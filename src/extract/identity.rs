//! What identifies records as they come: the values of their table's key, before any of them is a row.

use serde_json::Value;
use sha2::{Digest, Sha256};
use tieout_json::{canonical, look_up};

use super::manifest::{ColumnFrom, Table};

/// A page's identity and its records': their keys. Not their text, which some systems fill with ids new at every read.
pub(super) fn identities(table: &Table, records: &[Value], unwrap: Option<&str>) -> (String, Vec<String>) {
    let mut hasher = Sha256::new();
    let identity = |record: &Value| {
        let keys = key_values(table, record, unwrap);
        let mut text = match keys {
            Some(keys) => keys.into_iter().map(canonical).collect(),
            None => canonical(record),
        };
        text.push('\n');
        hasher.update(text.as_bytes());
        text
    };
    let keys = records.iter().map(identity).collect();
    (hex::encode(hasher.finalize()), keys)
}

/// What a record holds for its table's key; none if the record alone does not tell.
pub(super) fn key_values<'v>(table: &Table, record: &'v Value, unwrap: Option<&str>) -> Option<Vec<&'v Value>> {
    let value = |key: &String| match &table.column(key)?.from {
        ColumnFrom::Path(path) => {
            look_up(record, path, unwrap).ok().filter(|value| !value.is_null() || table.blank.contains(key))
        }
        ColumnFrom::Parent(_) | ColumnFrom::Position => None,
    };
    table.key.iter().map(value).collect()
}
