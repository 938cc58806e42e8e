//! What the tables of a manifest share: each has it where it says nothing else.

use serde::Deserialize;

use super::manifest::{Column, ColumnFrom, Cursor, Empty, Paging, Table};

/// What a table has where it says nothing else.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// What stands before a path that does not start with `/`.
    pub folder: String,
    /// How lists are paged.
    pub paging: Paging,
    /// What an empty list means.
    pub empty: Empty,
    /// How an incremental read asks for what changed, in tables with a column of that field.
    pub cursor: Option<Cursor>,
    /// Paths that do not count as content.
    pub ignore: Vec<String>,
}

impl Defaults {
    /// Gives every table the defaults that it does not replace.
    pub(super) fn fill_in(&self, tables: &mut [Table]) {
        for table in tables {
            if let Some(path) = table.path.as_mut().filter(|path| !path.starts_with('/')) {
                path.insert_str(0, &self.folder);
            }
            if table.empty == Empty::default() {
                table.empty = self.empty;
            }
            if table.ignore.is_empty() {
                table.ignore.clone_from(&self.ignore);
            }
            if table.embedded.is_some() {
                continue;
            }
            // An answer that is one record has no pages.
            if matches!(table.paging, Paging::None) && table.records.as_deref() != Some(".") {
                table.paging = self.paging.clone();
            }
            if table.cursor.is_none() {
                table.cursor = self.cursor.clone().filter(|cursor| {
                    let is_field = |column: &Column| column.from == ColumnFrom::Path(cursor.field.clone());
                    table.columns.iter().any(|(_, column)| is_field(column))
                });
            }
        }
    }
}
