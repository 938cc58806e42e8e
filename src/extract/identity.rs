//! What identifies records as they come: the values of their table's key, before any of them is a row.

use sha2::{Digest, Sha256};
use tieout_json::{Node, canonical, look_up};

use super::manifest::{ColumnFrom, Table};

/// A page's identity and its records': their keys. Not their text, which some systems fill with ids new at every read.
pub(super) fn identities<'t>(
    table: &Table,
    records: impl Iterator<Item = Node<'t>>,
    unwrap: Option<&str>,
) -> (String, Vec<String>) {
    let mut hasher = Sha256::new();
    let identity = |record: Node<'_>| {
        let keys = key_values(table, record, unwrap);
        let mut text = match keys {
            Some(keys) => written(&keys),
            None => canonical(record),
        };
        text.push('\n');
        hasher.update(text.as_bytes());
        text
    };
    let keys = records.map(identity).collect();
    (hex::encode(hasher.finalize()), keys)
}

/// Key values as one text, equal for equal keys only.
pub(super) fn written(keys: &[Option<Node<'_>>]) -> String {
    keys.iter().map(|key| key.map_or_else(|| "null".to_owned(), canonical)).collect()
}

/// What a record holds for its table's key, nothing where a part of it may be blank; none if the record alone does not tell.
pub(super) fn key_values<'t>(table: &Table, record: Node<'t>, unwrap: Option<&str>) -> Option<Vec<Option<Node<'t>>>> {
    let value = |key: &String| match &table.column(key)?.from {
        ColumnFrom::Path(path) => match look_up(record, path, unwrap) {
            Ok(None) if table.blank.contains(key) => Some(None),
            found => found.ok().flatten().map(Some),
        },
        ColumnFrom::Parent(_) | ColumnFrom::Position => None,
    };
    table.key.iter().map(value).collect()
}
