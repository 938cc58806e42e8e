//! Which tables there are, and their columns: those that manifests declare, and those of our own results.
//!
//! Owns the part of a manifest that the engine needs: table names, typed columns, parents. Leaves out how tables are
//! fetched, and refuses nothing: `extract` is strict about manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use crate::definitions::Definitions;
use crate::engine::Error;
use crate::extract::SWEEP_CLOSED_DAYS;
use crate::extract::manifest::{Column, ColumnFrom, in_file_order, months_of};
use crate::warehouse::rows::ColumnType;

/// A table as its system's manifest declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTable {
    /// Its name.
    pub name: String,
    /// Typed columns in order.
    pub columns: Vec<(String, ColumnType)>,
    /// The tables under whose rows it is listed, or inside whose records it lies.
    pub parents: Vec<String>,
    /// The columns that name a record.
    pub key: Vec<String>,
    /// Columns whose value is one of the parent's: their names, and the parent's.
    pub from_parent: Vec<(String, String)>,
    /// Whether its rows lie inside the parent's records, so that reading the parent reads it.
    pub embedded: bool,
    /// The setting without which it is not read at all.
    pub needs: Option<String>,
    /// Whether what it tells may be missing, so that no check waits for it.
    pub informs: bool,
    /// Whether nothing changes any more below a closed parent, so that an old reading of it is still good.
    pub settles: bool,
    /// Columns and the words that they all hold in a closed record.
    pub closed: BTreeMap<String, Vec<String>>,
    /// Days after which a list below a closed record is read again at the latest.
    pub sweep_days: u32,
}

/// A system as the engine needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemLayout {
    /// `pm` or `erp`.
    pub side: String,
    /// Its tables.
    pub tables: Vec<RawTable>,
    /// Settings that have a value where the firm gives none.
    pub preset: BTreeSet<String>,
    /// Why entities, or columns as `entity.column`, are not mapped.
    pub unmapped: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Manifest {
    system: System,
    #[serde(default)]
    settings: Settings,
    #[serde(default)]
    unmapped: BTreeMap<String, String>,
    #[serde(default)]
    table: Vec<Table>,
}

#[derive(Default, Deserialize)]
struct Settings {
    #[serde(default)]
    optional: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct System {
    side: String,
}

#[derive(Deserialize)]
struct Table {
    name: String,
    #[serde(default)]
    parent: Option<Parents>,
    #[serde(default)]
    embedded: Option<Embedded>,
    #[serde(default)]
    needs: Option<String>,
    #[serde(default)]
    informs: bool,
    #[serde(default)]
    settles: bool,
    #[serde(default)]
    closed: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    sweep_days: Option<u32>,
    /// That it is read month by month, whatever by.
    #[serde(default)]
    months: Option<IgnoredAny>,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default, deserialize_with = "in_file_order")]
    columns: Vec<(String, Column)>,
}

/// A TOML table in the order of the file, which is the order in which people want to see columns.
#[derive(Deserialize)]
#[serde(bound = "V: Deserialize<'de>")]
pub(crate) struct Ordered<V>(BTreeMap<Spanned<String>, V>);

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> Ordered<V> {
    pub(crate) fn into_entries(self) -> Vec<(String, V)> {
        let mut entries: Vec<(Spanned<String>, V)> = self.0.into_iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        entries.into_iter().map(|(name, value)| (name.into_inner(), value)).collect()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Parents {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Embedded {
    table: String,
}

/// Reads a system's layout from its manifest.
pub fn system_layout(definitions: &Definitions, system: &str) -> Result<SystemLayout, Error> {
    let path = format!("extractors/{system}/manifest.toml");
    let text = definitions.get(&path).ok_or_else(|| Error::Manifest {
        path: path.clone(),
        reason: "there is no such file; hint: `kind` in tieout.toml names a folder below extractors/".to_owned(),
    })?;
    let manifest: Manifest =
        toml::from_str(text).map_err(|error| Error::Manifest { path: path.clone(), reason: error.to_string() })?;
    let tables = manifest.table.into_iter().flat_map(with_months).collect();
    let preset = manifest.settings.optional.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
    let unmapped = manifest.unmapped;
    Ok(SystemLayout { side: manifest.system.side, tables, preset: preset.collect(), unmapped })
}

/// A table, behind that of its months if it has one.
fn with_months(table: Table) -> Vec<RawTable> {
    if table.months.is_none() || table.parent.is_some() {
        return vec![raw_table(table)];
    }
    let months = months_of(&table.name);
    let months = RawTable {
        columns: months.column_types(),
        name: months.name,
        parents: Vec::new(),
        key: months.key,
        from_parent: Vec::new(),
        embedded: false,
        needs: table.needs.clone(),
        informs: table.informs,
        settles: false,
        closed: months.closed,
        sweep_days: SWEEP_CLOSED_DAYS,
    };
    let table = Table { parent: Some(Parents::One(months.name.clone())), ..table };
    vec![months, raw_table(table)]
}

fn raw_table(table: Table) -> RawTable {
    let mut parents = match table.parent {
        Some(Parents::One(name)) => vec![name],
        Some(Parents::Many(names)) => names,
        None => Vec::new(),
    };
    let embedded = table.embedded.is_some();
    parents.extend(table.embedded.map(|embedded| embedded.table));
    let given = |(name, column): &(String, Column)| match &column.from {
        ColumnFrom::Parent(of) => Some((name.clone(), of.clone())),
        ColumnFrom::Path(_) | ColumnFrom::Position => None,
    };
    let from_parent = table.columns.iter().filter_map(given).collect();
    let columns = table.columns.into_iter().map(|(name, column)| (name, column.kind.column_type())).collect();
    let Table { name, key, needs, informs, settles, closed, sweep_days, .. } = table;
    let sweep_days = sweep_days.unwrap_or(SWEEP_CLOSED_DAYS);
    RawTable { name, columns, parents, key, from_parent, embedded, needs, informs, settles, closed, sweep_days }
}

/// The column type that a manifest's word names.
pub fn column_type(word: &str) -> Option<ColumnType> {
    match word.trim() {
        "int64" => Some(ColumnType::Int64),
        "text" | "json" => Some(ColumnType::Text),
        "bool" => Some(ColumnType::Bool),
        "date" => Some(ColumnType::Date),
        "timestamp" => Some(ColumnType::Timestamp),
        decimal => {
            let (precision, scale) = decimal.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
            let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
            (1..=38).contains(&precision).then_some(ColumnType::Decimal(precision, scale))
        }
    }
}

/// Amounts of the canonical model and of exceptions.
pub const AMOUNT: ColumnType = ColumnType::Decimal(18, 2);

/// One table of our own results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemTable {
    /// Its name in the schema `system`.
    pub name: &'static str,
    /// Typed columns in order.
    pub columns: Vec<(String, ColumnType)>,
    /// Whether commits only ever add rows to it.
    pub append: bool,
}

/// Name, whether commits only ever add rows, columns.
const SYSTEM_TABLES: [(&str, bool, &str); 13] = [
    (
        "coverage",
        false,
        "source text, table_name text, scope text, project text, status text, mode text, row_count int64, \
         expected_row_count int64, observed_at timestamp, complete_at timestamp, error text, swept_at timestamp",
    ),
    (
        "record_statuses",
        false,
        "entity text, source text, record_id text, approval_status text, approved_at timestamp, approved_at_basis text, \
         first_seen_at timestamp",
    ),
    (
        "exceptions",
        false,
        "check_id text, check_version int64, exception_key text, entity text, project_id text, project_number text, \
         pm_id text, erp_id text, label text, detail text, pm_value text, erp_value text, amount_at_risk amount, \
         currency text, occurred_at timestamp, first_seen_at timestamp, record_owner text, fix_side text, cause text, \
         explained_by text, state text, opened_commit int64",
    ),
    (
        "check_runs",
        true,
        "commit_number int64, check_id text, check_version int64, project_id text, project_number text, verdict text, \
         reason text, pm_observed_at timestamp, erp_observed_at timestamp, rows_read int64, exception_count int64, \
         in_flight_count int64, amount_at_risk amount, error text, waived_count int64",
    ),
    (
        "waivers",
        false,
        "waiver_commit int64, check_id text, check_version int64, exception_key text, entity text, project_id text, \
         project_number text, label text, reason text, waived_by text, until text, waived_amount amount, \
         up_to_amount amount, currency text, state text, ended_commit int64, ended_by text, ended_reason text",
    ),
    (
        "rechecked",
        true,
        "check_id text, check_version int64, exception_key text, entity text, project_id text, project_number text, \
         pm_id text, erp_id text, label text, detail text, pm_value text, erp_value text, amount_at_risk amount, \
         currency text, occurred_at timestamp, first_seen_at timestamp, record_owner text, fix_side text, cause text, \
         explained_by text, state text, opened_commit int64, from_commit int64, until_commit int64",
    ),
    (
        "field_moves",
        true,
        "commit_number int64, entity text, field text, record_owner text, side text, source text, record_id text, \
         pm_id text, erp_id text, project_id text, label text, old_value text, new_value text, old_key text, new_key text, \
         other_value text, other_key text, moved_at timestamp, moved_by text",
    ),
    (
        "stored_id_moves",
        true,
        "commit_number int64, entity text, side text, source text, record_id text, project_id text, old_id text, new_id text",
    ),
    (
        "measures",
        true,
        "commit_number int64, measure text, entity text, field text, side text, verdict text, reason text, \
         value int64, of_value int64, amount amount, of_amount amount",
    ),
    (
        "rejects",
        true,
        "source text, table_name text, scope text, reason text, raw text, key text, field text, value text",
    ),
    ("drift", true, "source text, table_name text, field text, kind text, detail text"),
    (
        "requests",
        true,
        "source text, table_name text, requests int64, retries int64, waited_seconds int64, bytes int64, path text, \
         p50_ms int64, p99_ms int64",
    ),
    ("rate_limits", true, "source text, limit_requests int64, window_seconds int64"),
];

/// All tables of our own results, whether or not a commit has written them yet.
pub fn system_tables() -> &'static [SystemTable] {
    static TABLES: LazyLock<Vec<SystemTable>> = LazyLock::new(parsed);
    &TABLES
}

fn parsed() -> Vec<SystemTable> {
    let column = |declared: &str| {
        let (name, word) = declared.trim().split_once(' ')?;
        Some((name.to_owned(), if word == "amount" { AMOUNT } else { column_type(word)? }))
    };
    let table = |(name, append, columns): (&'static str, bool, &str)| SystemTable {
        name,
        append,
        columns: columns.split(',').filter_map(column).collect(),
    };
    SYSTEM_TABLES.into_iter().map(table).collect()
}

/// The columns of one table of our own.
pub fn system_columns(name: &str) -> Vec<(String, ColumnType)> {
    let table = system_tables().iter().find(|table| table.name == name);
    table.map(|table| table.columns.clone()).unwrap_or_default()
}

/// The layouts of all configured sources, by the source's name.
pub(crate) fn layouts(
    definitions: &Definitions,
    sources: &[crate::engine::settings::SourceBinding],
) -> Result<BTreeMap<String, SystemLayout>, Error> {
    sources.iter().map(|source| Ok((source.name.clone(), system_layout(definitions, &source.system)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_column_has_a_type() {
        for ((name, _, declared), table) in SYSTEM_TABLES.into_iter().zip(system_tables()) {
            assert_eq!(declared.split(',').count(), table.columns.len(), "{name}");
        }
        assert_eq!(column_type("decimal(24, 6)"), Some(ColumnType::Decimal(24, 6)));
        assert_eq!(column_type("decimal(39,6)"), None);
    }
}
