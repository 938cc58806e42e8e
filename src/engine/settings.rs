//! What the engine needs to know of a workspace: its sources, its zone, its limits. No secrets.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// One configured connection and the system that it is a connection to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceBinding {
    /// The source's name in the settings: its raw tables' schema.
    pub name: String,
    /// The system's name: the folder below `extractors/`.
    pub system: String,
}

/// The value of a setting that SQL may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setting {
    /// `setting_integer`; a session may change it for the wide views.
    Integer(i64),
    /// `setting_decimal`, in hundredths.
    Hundredths(i128),
    /// `setting_text`.
    Text(String),
    /// `setting_list_contains`.
    List(Vec<String>),
}

/// Approval statuses by status word, as the firm says them of one source. Words are in small letters, without outer blanks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmWords {
    /// Of all its raw tables.
    pub everywhere: BTreeMap<String, String>,
    /// Of one.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
}

impl FirmWords {
    /// What counts in a raw table: its own words before those of the source.
    pub fn of(&self, table: &str) -> BTreeMap<&str, &str> {
        let own = self.tables.get(table).into_iter().flatten();
        self.everywhere.iter().chain(own).map(|(word, status)| (word.as_str(), status.as_str())).collect()
    }
}

/// The engine's part of the settings.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// The sources, in the settings' order.
    pub sources: Vec<SourceBinding>,
    /// The firm's zone: a date without time is its day.
    pub time_zone: Tz,
    /// Tolerances, day limits, lists: what `setting_…('name')` answers.
    pub values: BTreeMap<String, Setting>,
    /// Settings of each source by its name: whether they have a value. Those that are left out have the manifest's.
    pub given: BTreeMap<String, BTreeMap<String, bool>>,
    /// What status words mean, by source.
    pub statuses: BTreeMap<String, FirmWords>,
    /// The ERP connection that a PM connection's records belong to, by the PM connection: as the firm says, else the only one that
    /// there is (`books_of('procore')`).
    pub books: BTreeMap<String, String>,
    /// The connections that the warehouse has read, whether or not they are still among `sources`, in the order of their first
    /// reading: the first of a side keeps its keys as they are.
    pub read_before: Vec<SourceBinding>,
    /// What stands in front of the keys of the others, by connection (`key_of('east', 'V0001')`). The engine fills it in.
    pub prefixes: BTreeMap<String, String>,
    /// The currency of amounts for which a source tells none, by source, where its settings name one.
    pub currencies: BTreeMap<String, String>,
    /// Entities that the connector never syncs or the firm switched off: their checks are not applicable.
    pub disabled: Vec<String>,
    /// Hours of grace by check id, where the firm wants others than the check's own.
    pub grace_hours: BTreeMap<String, i64>,
    /// The folder of the workspace, whose ledger `meta.scheduled_runs` shows.
    pub workspace: Option<std::path::PathBuf>,
    /// A table last read longer before the commit than this does not count as read.
    pub stale_hours: i64,
    /// Bytes that all queries together may hold before they spill.
    pub memory_limit_bytes: usize,
    /// Bytes that spilled data may take on disk.
    pub spill_limit_bytes: u64,
    /// In how many pieces each query runs, checks included; else one a core, and checks of small commits in one.
    pub partitions: Option<usize>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        let integers = [
            ("change_order_days", 30),
            ("change_order_pending_days", 30),
            ("change_order_window_days", 30),
            ("unpaid_days", 60),
            ("vendor_created_days", 90),
            ("approver_days", 2),
            ("default_terms_days", 30),
            ("overwrite_days", 30),
            ("import_stale_hours", 36),
            ("severity_high_days", 30),
            ("severity_medium_days", 7),
            ("fiscal_year_start", 1),
        ];
        let amounts = [
            ("amount_tolerance", 1),
            ("severity_high_amount", 1_000_000),
            ("severity_medium_amount", 100_000),
            // None of its own: that of the law, by year.
            ("form_1099_threshold", 0),
        ];
        let mut values: BTreeMap<String, Setting> =
            integers.into_iter().map(|(name, value)| (name.to_owned(), Setting::Integer(value))).collect();
        values.extend(amounts.into_iter().map(|(name, value)| (name.to_owned(), Setting::Hundredths(value))));
        for name in [
            "default_codes",
            "ap_accounts",
            "ar_accounts",
            "retainage_payable_accounts",
            "retainage_receivable_accounts",
            "card_methods",
        ] {
            values.insert(name.to_owned(), Setting::List(Vec::new()));
        }
        values.insert("currency".to_owned(), Setting::Text("USD".to_owned()));
        values.insert("connector_profile".to_owned(), Setting::Text(String::new()));
        Self {
            sources: Vec::new(),
            time_zone: Tz::UTC,
            values,
            given: BTreeMap::new(),
            statuses: BTreeMap::new(),
            books: BTreeMap::new(),
            read_before: Vec::new(),
            prefixes: BTreeMap::new(),
            currencies: BTreeMap::new(),
            disabled: Vec::new(),
            grace_hours: BTreeMap::new(),
            workspace: None,
            stale_hours: 36,
            memory_limit_bytes: 1 << 30,
            spill_limit_bytes: 20 << 30,
            partitions: None,
        }
    }
}

impl EngineSettings {
    /// An integer setting.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name) {
            Some(Setting::Integer(value)) => Some(*value),
            _ => None,
        }
    }
}
