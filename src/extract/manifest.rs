//! The manifest of a system, `extractors/<system>/manifest.toml`: how to fetch each of its tables.
//!
//! These types are the format. Unknown keys are refused by name, with the nearest known one. What can only be judged
//! across tables (parents, placeholders, keys) is in [`lint`](super::lint). Leaves out: what to do with any of it.

use serde::Deserialize;
use std::collections::BTreeMap;

pub use tieout_json::Sensitive;

pub use super::column::{Column, ColumnFrom, ColumnKind};
pub(crate) use super::column::{in_file_order, one_or_more};
pub use super::cursor::{Cursor, CursorFormat};
pub use super::defaults::Defaults;
pub use super::files::{Files, Sheet};
use super::lint;
pub(crate) use super::odbc::months_of;
pub use super::odbc::{Months, Odbc};
pub use super::refusal::Errors;
pub use super::rest::{Rate, Rest, Retry};
pub use super::sign_in::Auth;
use crate::warehouse::rows::ColumnType;

/// A parsed and linted manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Who the system is.
    pub system: System,
    /// What a source's section in `tieout.toml` must and may set.
    #[serde(default)]
    pub settings: Settings,
    /// How its interface is spoken to.
    #[serde(default)]
    pub rest: Rest,
    /// How its bundles of files are read.
    #[serde(default)]
    pub files: Files,
    /// How its database is spoken to.
    #[serde(default)]
    pub odbc: Odbc,
    /// Why canonical entities, or columns as `entity.column`, are not mapped: shown with each check that needs them.
    #[serde(default)]
    pub unmapped: BTreeMap<String, String>,
    /// What tables share.
    #[serde(default)]
    pub defaults: Defaults,
    /// Its tables, in the file's order.
    #[serde(rename = "table", default)]
    pub tables: Vec<Table>,
}

/// Who the system is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// The system's name: the folder's.
    pub name: String,
    /// Which side of the reconciliation it is.
    pub side: Side,
    /// The protocol that it speaks.
    pub protocol: Protocol,
    /// Where the facts come from.
    #[serde(default)]
    pub facts: String,
}

/// A side of the reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Project management.
    Pm,
    /// Accounting.
    Erp,
}

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// JSON over HTTP.
    Rest,
    /// Bundles of exported sheets.
    Files,
    /// SQL, over a driver of the database.
    Odbc,
}

/// Settings of a source beside `kind` and `base_url`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Names that must be set.
    pub required: Vec<String>,
    /// Names that may be set, with their default; an empty default leaves the placeholder unset.
    pub optional: BTreeMap<String, String>,
    /// Names that must come from the environment or a file, and are never printed or stored.
    pub secret: Vec<String>,
}

/// One table.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name in SQL.
    pub name: String,
    /// The tables under each of whose records it is listed; none for a company-wide list.
    #[serde(default, deserialize_with = "one_or_more")]
    pub parent: Vec<String>,
    /// Where it is listed.
    #[serde(default)]
    pub path: Option<String>,
    /// `GET`, or `PUT` or `POST` with a body.
    #[serde(default)]
    pub method: Method,
    /// The body of a `PUT` or `POST`.
    #[serde(default)]
    pub body: Option<toml::Value>,
    /// The field of the body that lists the fields wanted: those of the declared columns. Nothing else is kept of a record, and
    /// a field's name may stand for a path in it (`"vendor.id"`). A field that is refused by name is left out.
    #[serde(default)]
    pub fields: Option<String>,
    /// Columns whose fields a source may lack: refused, they are null and told; without any other the list is partial.
    #[serde(default)]
    pub optional: Vec<String>,
    /// The query; a parameter whose placeholder is an unset setting is left out.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Where the list is in the answer: absent = the answer itself, `.` = the answer is one record.
    #[serde(default)]
    pub records: Option<String>,
    /// How the list is paged.
    #[serde(default)]
    pub paging: Paging,
    /// The columns that make up the key.
    pub key: Vec<String>,
    /// Those of them that may be null or empty: no value is a value too.
    #[serde(default)]
    pub blank: Vec<String>,
    /// Set when the rows are elements of a list inside another table's records.
    #[serde(default)]
    pub embedded: Option<Embedded>,
    /// What an empty list means.
    #[serde(default)]
    pub empty: Empty,
    /// `table.column`s that are all zero where this list is rightly empty.
    #[serde(default)]
    pub witness: Vec<String>,
    /// Tables under the same permission: records in one of them prove that an empty list is empty.
    #[serde(default)]
    pub companions: Vec<String>,
    /// The column that is set on a deleted record: what was listed under it is gone as well.
    #[serde(default)]
    pub deleted: Option<String>,
    /// The flag of records under which nothing is listed.
    #[serde(default)]
    pub childless: Option<String>,
    /// The setting without which the table is not read: not every source has it, or not every service user may.
    #[serde(default)]
    pub needs: Option<String>,
    /// Columns of the parent, each with a setting: only under parents whose column holds its value, or, where the setting
    /// has none, under the first of each list.
    #[serde(default)]
    pub under: BTreeMap<String, String>,
    /// Vanishing from this list proves nothing.
    #[serde(default)]
    pub may_hide: bool,
    /// What it tells is good to know, and null where nobody may read it: no check waits for it, and a system that has no such
    /// list, or does not show it, is read to its end all the same.
    #[serde(default)]
    pub informs: bool,
    /// How an incremental read asks for what changed.
    #[serde(default)]
    pub cursor: Option<Cursor>,
    /// The column that tells when a record changed; none takes that of the cursor's field.
    #[serde(default)]
    pub changed: Option<String>,
    /// What an incremental read looks at beside what the source says has changed.
    #[serde(default)]
    pub refresh: Refresh,
    /// Columns and the words that they all hold in a closed record: one that nobody is expected to change any more.
    #[serde(default)]
    pub closed: BTreeMap<String, Vec<String>>,
    /// What is listed below a closed record does not change any more: full runs pass it over as incremental ones do.
    #[serde(default)]
    pub settles: bool,
    /// Days after which an incremental read reads a list in full all the same; none takes what is usual.
    #[serde(default)]
    pub sweep_days: Option<u32>,
    /// Paths that do not count as content.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// The views that it is read from, joined end to end, where the protocol is ODBC.
    #[serde(default, deserialize_with = "one_or_more")]
    pub view: Vec<String>,
    /// Those of them that a system may not have.
    #[serde(default)]
    pub optional_views: Vec<String>,
    /// Conditions on their rows.
    #[serde(default, rename = "where", deserialize_with = "one_or_more")]
    pub conditions: Vec<String>,
    /// That it is read month by month.
    #[serde(default)]
    pub months: Option<Months>,
    /// A column that only grows: what is greater than the greatest that was seen is new.
    #[serde(default)]
    pub after: Option<String>,
    /// What the installation calls columns otherwise, by path.
    #[serde(skip)]
    pub renamed: BTreeMap<String, String>,
    /// The table whose months these are.
    #[serde(skip)]
    pub months_of: Option<String>,
    /// The sheet that it comes as, where the protocol is files.
    #[serde(default)]
    pub sheet: Option<Sheet>,
    /// Paths redacted before anything reaches disk.
    #[serde(default)]
    pub sensitive: BTreeMap<String, Sensitive>,
    /// The typed columns, in the file's order.
    #[serde(deserialize_with = "in_file_order")]
    pub columns: Vec<(String, Column)>,
}

/// The method of a list request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`.
    #[default]
    Get,
    /// `PUT` with a body: an inquiry.
    Put,
    /// `POST` with a body: a query.
    Post,
}

impl Method {
    /// How it is written.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
        }
    }
}

/// How a list is paged.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// One answer holds everything.
    #[default]
    None,
    /// Pages by number; the next one is named by the `Link` header.
    LinkHeader {
        /// The parameter that names the page.
        #[serde(default = "page")]
        page_parameter: String,
        /// The parameter that names the size.
        #[serde(default = "per_page")]
        per_page_parameter: String,
        /// The size asked for; the server may give less.
        per_page: u64,
        /// The header that tells the total.
        #[serde(default)]
        total_header: Option<String>,
        /// The header that tells the size that the server chose.
        #[serde(default)]
        size_header: Option<String>,
    },
    /// Pages by offset, until a short one.
    Offset {
        /// The parameter that names the size.
        top_parameter: String,
        /// The parameter that names the offset.
        skip_parameter: String,
        /// The size.
        top: u64,
        /// The flag in the answer that tells whether there are more records (Oracle ADF: `hasMore`): it is believed, however
        /// many records a page has.
        #[serde(default)]
        more: Option<String>,
        /// The number in the answer that tells how many records there are (Oracle ADF: `totalResults`).
        #[serde(default)]
        total: Option<String>,
    },
    /// Pages by offset, in the body of the request.
    Body {
        /// The field that names the size.
        size: String,
        /// The field that names the first record.
        start: String,
        /// What the list's first record is called.
        #[serde(default)]
        first: u64,
        /// The size asked for; the server may give less.
        per_page: u64,
        /// Where the answer tells the total.
        #[serde(default)]
        total: Option<String>,
        /// Where the answer tells the next page's start: nothing there at the list's end.
        #[serde(default)]
        next: Option<String>,
    },
}

fn page() -> String {
    "page".into()
}

fn per_page() -> String {
    "per_page".into()
}

/// Rows that are elements of a list inside another table's records.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// The other table.
    pub table: String,
    /// Where the list is in its records.
    pub path: String,
}

/// What an empty list means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// The system says so when it may not be looked at: an empty list is empty.
    Verified,
    /// A missing permission looks the same.
    #[default]
    Unverified,
}

/// What an incremental read looks at again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// What the source says has changed.
    #[default]
    Changed,
    /// That, and all records that are not closed or were not when they were last read: their balances move without a word.
    Open,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("read manifest {path}: {}", problems.join("; "))]
pub struct ManifestError {
    /// The file.
    pub path: String,
    /// What is wrong with it, each with its place.
    pub problems: Vec<String>,
}

impl Manifest {
    /// Parses and lints a manifest; `path` is for error messages.
    pub fn parse(path: &str, text: &str) -> Result<Self, ManifestError> {
        let error = |problems| ManifestError { path: path.to_owned(), problems };
        let mut manifest: Self = toml::from_str(text).map_err(|e| error(vec![lint::explain(&e, text)]))?;
        manifest.defaults.fill_in(&mut manifest.tables);
        if manifest.system.protocol == Protocol::Files {
            super::files::fill_in(&mut manifest.tables);
        }
        super::odbc::fill_in(&mut manifest.tables);
        let mut problems = lint::problems(&manifest);
        problems.extend(lint::section(&manifest, text));
        if problems.is_empty() { Ok(manifest) } else { Err(error(problems)) }
    }

    /// The table called `name`.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The tables under whose records others are listed: the ones whose earlier keys a run needs to know.
    pub fn parent_tables(&self) -> Vec<&str> {
        let is_parent = |name: &str| self.tables.iter().any(|table| table.parent.iter().any(|parent| parent == name));
        self.tables.iter().map(|table| table.name.as_str()).filter(|name| is_parent(name)).collect()
    }

    /// Whether all rows of a table come in one list, so that no key can come under two scopes.
    pub(crate) fn has_one_list(&self, table: &Table) -> bool {
        match &table.embedded {
            Some(embedded) => self.table(&embedded.table).is_some_and(|owner| self.has_one_list(owner)),
            None => table.parent.is_empty(),
        }
    }

    /// Whether rows of other tables are known by the table's rows that they lie inside of.
    pub(crate) fn owns_others(&self, table: &Table) -> bool {
        let is_inside = |inner: &&Table| inner.embedded.as_ref().is_some_and(|embedded| embedded.table == table.name);
        self.tables.iter().filter(is_inside).any(|inner| inner.extends_key_of(table))
    }
}

impl Table {
    /// Names and types of the typed columns.
    pub fn column_types(&self) -> Vec<(String, ColumnType)> {
        self.columns.iter().map(|(name, column)| (name.clone(), column.kind.column_type())).collect()
    }

    /// Whether its key is the key of the table that it is embedded in and one component more.
    pub(crate) fn extends_key_of(&self, owner: &Self) -> bool {
        let is_of_owner = |(name, of_owner): (&String, &String)| {
            self.column(name).is_some_and(|column| column.from == ColumnFrom::Parent(of_owner.clone()))
        };
        self.key.len() == owner.key.len() + 1 && self.key.iter().zip(&owner.key).all(is_of_owner)
    }

    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(column, _)| column == name).map(|(_, column)| column)
    }

    /// Whether a system may not have any of its views.
    pub(crate) fn has_optional_views_only(&self) -> bool {
        !self.view.is_empty() && self.view.iter().all(|view| self.optional_views.contains(view))
    }

    /// The tables whose rows this table's rows hang on: parents, or the table it is embedded in.
    pub(crate) fn owners(&self) -> Vec<&str> {
        match &self.embedded {
            Some(embedded) => vec![embedded.table.as_str()],
            None => self.parent.iter().map(String::as_str).collect(),
        }
    }
}
