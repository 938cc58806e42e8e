//! What the tables of a manifest share: each has it where it says nothing else.

use serde::Deserialize;

use super::manifest::{Column, ColumnFrom, Cursor, Empty, Method, Paging, Table};

/// What a table has where it says nothing else.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// What stands before a path that does not start with `/`.
    pub folder: String,
    /// Where lists are asked for: every table that says nothing of its own is a question to the same place.
    pub path: Option<String>,
    /// The method of these questions.
    pub method: Method,
    /// What their bodies hold, beside what a table's own body does.
    pub body: toml::Table,
    /// The field of their bodies that lists the fields wanted.
    pub fields: Option<String>,
    /// Where their answers hold the list.
    pub records: Option<String>,
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
            if table.path.is_none() && table.embedded.is_none() && self.path.is_some() {
                self.ask(table);
            }
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

    /// Makes a table a question to the place of all.
    fn ask(&self, table: &mut Table) {
        table.path.clone_from(&self.path);
        table.method = self.method;
        let mut body = self.body.clone();
        if let Some(toml::Value::Table(own)) = table.body.take() {
            body.extend(own);
        }
        table.body = Some(toml::Value::Table(body));
        table.fields = table.fields.take().or_else(|| self.fields.clone());
        table.records = table.records.take().or_else(|| self.records.clone());
    }
}
