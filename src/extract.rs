//! From a source's interface to typed rows with the record as received.
//!
//! A manifest says how to fetch each table; this module knows protocols, not systems. A run signs in, lists every table
//! under every parent with bounded concurrency, and ends in one [`TableInput`] per table: rows, and what may be believed
//! of each (table, scope). One table's failure is coverage, never the end of the run.
//!
//! | file | owns |
//! |---|---|
//! | `manifest`, `rest`, `column`, `lint`, `template` | the manifest's format, its errors, its placeholders |
//! | `client`, `auth`, `pace`, `meter`, `failure`, `secrets` | HTTP: sign-in, rate limits, tries, errors without secrets |
//! | `paging`, `cursor` | pure: which request comes next; where the next run begins |
//! | `decode`, `identity`, `rules` | pure: a JSON record as a typed row (the work itself is in `tieout_json`) |
//! | `scope`, `assemble` | one list under one parent, to its end; its rows and those embedded in its records |
//! | `parts`, `reopened` | what lists refuse or leave out, record by record |
//! | `files` | bundles of exported sheets in place of an interface |
//! | `odbc` | databases in place of an interface |
//! | `refresh`, `plan` | what an incremental run reads again; what a run will cost |
//! | `recheck` | sums read again whose parts changed meanwhile |
//! | `staging` | lists that were read, kept until the commit: a stopped run goes on |
//! | `order`, `run`, `gathered`, `coverage`, `drift` | which tables in which order; what may be believed; how fields differ from the manifest |
//! | `check`, `progress` | trying a source out; telling a person how far it is |
//!
//! Invariants: nothing sensitive and no secret leaves this module in clear; no amount meets a float; a failed page is
//! never an empty one; every record is a row or a reject. Leaves out: what changed since last time (`warehouse`).

pub mod check;
pub mod manifest;
pub mod plan;
pub mod progress;

mod assemble;
mod auth;
mod client;
mod column;
mod coverage;
mod cursor;
mod decode;
mod defaults;
mod drift;
mod failure;
mod files;
mod gathered;
mod identity;
mod lint;
mod long_list;
mod meter;
mod odbc;
mod order;
mod pace;
mod paging;
mod parts;
mod places;
mod query;
mod recheck;
mod refresh;
mod refusal;
mod reopened;
mod reread;
mod rest;
mod rules;
mod run;
mod scope;
mod sealed;
mod secrets;
mod sign_in;
mod staging;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::warehouse::commit::SourceRun;
use crate::warehouse::rows::{ReadMode, TableInput};

pub use check::{Deletes, Size, TableCheck, check};
pub(crate) use client::install_crypto;
pub use failure::{Error, Failure, FailureKind};
pub(crate) use files::SETTING as BUNDLE;
pub use lint::did_you_mean;
use manifest::Protocol;
pub use manifest::{Manifest, ManifestError};
pub(crate) use odbc::{MAPPING, apply as apply_mapping};
pub use pace::RateLimit;
pub use plan::{Plan, TablePlan, plan};
pub use progress::Progress;
pub(crate) use refresh::SWEEP_CLOSED_DAYS;
pub use reread::readers;
pub use rules::{DriftPolicy, DriftRules, SourceRules};
pub use run::run;
pub use secrets::{Secret, Setting};
pub use staging::{LASTS as STAGED_FOR, StagingPlace, remove_staged, remove_stale};

/// What tells a key of hashed fields from another, and tells nothing of it: 16 hexadecimal digits.
pub(crate) fn key_mark(key: &[u8]) -> String {
    // HMAC takes keys of any length.
    let mac = Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(b"tieout: which key").finalize());
    let mut mark = mac.map(|mac| hex::encode(mac.into_bytes())).unwrap_or_default();
    mark.truncate(16);
    mark
}

/// One configured connection to a system.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// The source's name in `tieout.toml`.
    pub name: String,
    /// The system's manifest.
    pub manifest: Manifest,
    /// Where the interface is, if not where the manifest says.
    pub base_url: Option<String>,
    /// What the manifest's placeholders stand for.
    pub values: BTreeMap<String, Setting>,
    /// The firm's key for hashed fields; without it they are dropped.
    pub redaction_key: Option<Vec<u8>>,
    /// The key in force until now, while it is being changed: records that differ by nothing else did not change.
    pub redaction_key_before: Option<Vec<u8>>,
    /// Limits that are tighter than the manifest's.
    pub quota: Quota,
    /// What its records may hold, and what happens when they are not as declared.
    pub rules: SourceRules,
}

/// Limits of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests per minute at most.
    pub requests_per_minute: Option<u32>,
    /// Requests that the subscription holds in a month: shown beside what was used, and nothing else.
    pub requests_per_month: Option<u32>,
    /// Requests in flight at most.
    pub concurrency: Option<usize>,
    /// The share of the limit that the source tells, in thousandths; none takes all of it.
    pub share: Option<u32>,
    /// How long a run takes at most.
    pub window: Option<std::time::Duration>,
}

/// How to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Time and waiting.
    pub clock: Clock,
    /// Only these tables (and the parents they need); none = all.
    pub tables: Option<Vec<String>>,
    /// [`ReadMode::Full`] or [`ReadMode::Incremental`].
    pub mode: ReadMode,
    /// What the warehouse knows of the tables.
    pub previous: PreviousTables,
    /// Tables whose vanished records a person confirmed.
    pub accept_deletes: Vec<String>,
    /// Where to tell how far it is.
    pub progress: Progress,
    /// Where read lists wait for the commit, so that a run that was stopped goes on; none keeps nothing.
    pub staging: Option<StagingPlace>,
    /// Cancelled to stop: the run signs out and ends with [`Error::Interrupted`].
    pub cancel: CancellationToken,
}

/// What the warehouse knows of a source's tables from earlier runs.
#[derive(Clone, Debug, Default)]
pub struct PreviousTables {
    /// By table.
    pub tables: BTreeMap<String, PreviousTable>,
    /// The rate limits that the source told.
    pub limits: Vec<RateLimit>,
}

/// What the warehouse knows of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviousTable {
    /// The value up to which it was read.
    pub cursor: Option<String>,
    /// Scopes that have rows.
    pub scopes: BTreeSet<String>,
    /// Keys by scope; needed only for [`Manifest::parent_tables`].
    pub keys: BTreeMap<String, BTreeSet<String>>,
    /// Details of the drift that was told before, by field.
    pub drift: BTreeMap<String, BTreeSet<String>>,
    /// Rows by scope.
    pub rows: BTreeMap<String, u64>,
    /// How each scope was last read.
    pub reads: BTreeMap<String, PreviousRead>,
    /// The content hashes of closed records, by the scope below them.
    pub closed: BTreeMap<String, String>,
    /// Keys of records that were open when they were last read, by scope; needed only where `refresh = "open"`.
    pub open: BTreeMap<String, BTreeSet<String>>,
}

/// The scope of what is listed under a record.
pub fn scope_of_children(scope: &str, key: &str) -> String {
    scope::scope_below(scope, key).to_string()
}

/// How one scope of a table was last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousRead {
    /// Whether that was complete.
    pub is_complete: bool,
    /// Whether the source was heard to the end.
    pub is_answered: bool,
    /// When the source was last heard to the end of the whole list.
    pub swept_at: Option<DateTime<Utc>>,
}

impl PreviousTables {
    /// Whether the table had rows under the scope.
    pub fn had_rows(&self, table: &str, scope: &str) -> bool {
        self.tables.get(table).is_some_and(|table| table.scopes.contains(scope) || table.keys.contains_key(scope))
    }

    /// Whether nothing of the table was ever kept: its fields cannot be compared with earlier ones.
    pub fn is_without_rows(&self, table: &str) -> bool {
        self.tables.get(table).is_none_or(|table| table.scopes.is_empty() && table.keys.is_empty())
    }

    /// The cursor of a table.
    pub fn cursor(&self, table: &str) -> Option<&str> {
        self.tables.get(table)?.cursor.as_deref()
    }

    /// Scope and key of every row that the table had.
    pub(crate) fn keys(&self, table: &str) -> impl Iterator<Item = (&str, &str)> {
        let scopes = self.tables.get(table).into_iter().flat_map(|table| &table.keys);
        scopes.flat_map(|(scope, keys)| keys.iter().map(move |key| (scope.as_str(), key.as_str())))
    }
}

/// What a run gave.
#[derive(Debug)]
pub struct SourceOutcome {
    /// The run's part in the commit.
    pub run: SourceRun,
    /// One per table, in the manifest's order.
    pub tables: Vec<TableInput>,
    /// What the requests cost, per table; sign-in under an empty name.
    pub requests: Vec<RequestStatistics>,
    /// Lists that an earlier run had read, and this one did not ask for again.
    pub resumed: u64,
    /// The rate limits that the source told.
    pub limits: Vec<RateLimit>,
}

/// What the requests of one table cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestStatistics {
    /// The table; empty for sign-in.
    pub table: String,
    /// Requests sent, tries included.
    pub requests: u64,
    /// Tries after the first.
    pub retries: u64,
    /// Seconds waited for rate limits and between tries.
    pub waited_seconds: u64,
    /// Bytes of the answers.
    pub bytes: u64,
    /// The path of its list, placeholders unfilled.
    pub path: Option<String>,
    /// Milliseconds within which half of the answers came.
    pub p50_ms: Option<u64>,
    /// Milliseconds within which 99 of 100 answers came.
    pub p99_ms: Option<u64>,
}

/// Settings of every source: where tokens are given, if not where the manifest says.
pub(crate) const TOKEN_URL: &str = "token_url";

/// Settings of every source: the tables whose empty lists a person who knows the permissions believes, by commas.
const TRUST_EMPTY: &str = "trust_empty";

/// Settings of every source: the tables that this installation does not have, by commas: features that are switched off
/// answer like a missing permission.
const ABSENT: &str = "absent";

impl SourceSettings {
    /// The value of a setting, if it has one.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(Setting::expose).filter(|value| !value.is_empty())
    }

    /// The tables in a setting that names some.
    fn tables_in(&self, setting: &str) -> impl Iterator<Item = &str> {
        let names = self.values.get(setting).map(Setting::expose).unwrap_or_default();
        names.split(',').map(str::trim).filter(|name| !name.is_empty())
    }

    /// Whether a person said that empty lists of the table are empty.
    pub(crate) fn trusts_empty(&self, table: &str) -> bool {
        self.tables_in(TRUST_EMPTY).any(|name| name == table)
    }

    /// Whether a person said that the system does not have the table.
    pub(crate) fn lacks(&self, table: &str) -> bool {
        self.tables_in(ABSENT).any(|name| name == table)
    }

    /// Whether the values fit the manifest's settings, defaults filled in. Call it before a run.
    pub fn with_defaults(mut self) -> Result<Self, Error> {
        let declared = &self.manifest.settings;
        let error = |problem: String, hint: String| Error::Settings { name: self.name.clone(), problem, hint };
        let is_database = self.manifest.system.protocol == Protocol::Odbc;
        let of_database = if is_database { [odbc::CONNECTION, odbc::DIALECT, MAPPING].as_slice() } else { &[] };
        let of_any = [TOKEN_URL, TRUST_EMPTY, ABSENT];
        let of_system = declared.required.iter().chain(declared.optional.keys());
        let known = || of_system.clone().map(String::as_str).chain(of_any).chain(of_database.iter().copied());
        if let Some(name) = self.values.keys().find(|name| !known().any(|known| known == name.as_str())) {
            let all = known().collect::<Vec<_>>().join(", ");
            return Err(error(
                format!("unknown key `{name}`{}", did_you_mean(name, known())),
                format!("known are {all}"),
            ));
        }
        let connection = self.values.get(odbc::CONNECTION).filter(|_| is_database);
        if let Some(Setting::Plain(text)) = connection
            && odbc::holds_secret(text)
        {
            let problem = "`connection` holds a password and must not stand in the settings".to_owned();
            return Err(error(problem, "write connection = { env = \"…\" } or { file = \"…\" }".to_owned()));
        }
        let required = declared.required.iter().filter(|_| connection.is_none());
        if let Some(name) = required.into_iter().find(|name| !self.values.contains_key(name.as_str())) {
            return Err(error(format!("`{name}` is not set"), format!("set it in [sources.{}]", self.name)));
        }
        for setting in [TRUST_EMPTY, ABSENT] {
            if let Some(name) = self.tables_in(setting).find(|name| self.manifest.table(name).is_none()) {
                let tables = self.manifest.tables.iter().map(|table| table.name.as_str());
                return Err(error(
                    format!("{setting}: unknown table `{name}`{}", did_you_mean(name, tables)),
                    "name tables of the system, separated by commas".to_owned(),
                ));
            }
        }
        let rules = &self.rules;
        if let Some(name) = rules.drift.tables.keys().find(|name| self.manifest.table(name).is_none()) {
            let tables = self.manifest.tables.iter().map(|table| table.name.as_str());
            return Err(error(
                format!("drift: unknown table `{name}`{}", did_you_mean(name, tables)),
                "name tables of the system, or `default`".to_owned(),
            ));
        }
        if rules.projects.is_some() && self.manifest.table(rules::PROJECTS).is_none() {
            return Err(error("projects: the system lists no projects".to_owned(), "leave it out".to_owned()));
        }
        for name in &declared.secret {
            if let Some(Setting::Plain(_)) = self.values.get(name) {
                let hint = format!("write {name} = {{ env = \"…\" }} or {{ file = \"…\" }}");
                return Err(error(format!("`{name}` is a secret and must not stand in the settings"), hint));
            }
        }
        let defaults = declared.optional.iter().filter(|(_, default)| !default.is_empty());
        let defaults: Vec<(String, String)> = defaults.map(|(name, default)| (name.clone(), default.clone())).collect();
        for (name, default) in defaults {
            self.values.entry(name).or_insert(Setting::Plain(default));
        }
        Ok(self)
    }
}
