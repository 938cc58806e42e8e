//! The commit: an immutable JSON manifest, and the chain that commits form.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

pub use super::marks::{Pin, Signoff};
pub use super::overlay::StateOverlay;
pub use super::totals::ColumnTotals;
pub use super::waivers::{Waiver, WaiverAction};

/// The manifest format that this version writes; it reads all older ones.
///
/// 1: a table's changes and state are one file each. 2: they are lists of files, ascending by key from file to file. 3: change
/// files carry no Arrow schema.
pub const FORMAT: u32 = 3;

/// What a commit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitKind {
    /// Records of one or more sources.
    Extract,
    /// A changed set of definitions.
    Definitions,
    /// A name for a commit.
    Pin,
    /// A waived or unwaived exception.
    Waiver,
    /// A month signed off.
    Signoff,
    /// Changed rules replayed over the past.
    Recheck,
    /// Superseded states dropped.
    Vacuum,
}

impl CommitKind {
    /// The word in manifests, `meta.commits` and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Definitions => "definitions",
            Self::Pin => "pin",
            Self::Waiver => "waiver",
            Self::Signoff => "signoff",
            Self::Recheck => "recheck",
            Self::Vacuum => "vacuum",
        }
    }
}

/// A Parquet file of the warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Path below the warehouse's root, with `/`.
    pub path: String,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
}

/// What a commit did to one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCommit {
    /// The source's name.
    pub source: String,
    /// The table's name.
    pub table: String,
    /// Typed columns in order, as `[name, type]` with the manifest's type words. Left out where they are those of the table's
    /// commit before (the same fingerprint): years of daily commits repeat them; [`Head::columns`] finds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<(String, String)>,
    /// SHA-256 over `columns`.
    pub schema_fingerprint: String,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows whose content hash changed.
    pub updated: u64,
    /// Rows closed.
    pub deleted: u64,
    /// Rows in the state after this commit; for append tables the rows added.
    pub rows: u64,
    /// Sum of each decimal column over the state after this commit, as decimal text (nulls left out).
    #[serde(default, skip_serializing_if = "ColumnTotals::is_empty")]
    pub control_totals: ColumnTotals,
    /// Sum of each decimal column over the rows of the change files as they stand in them, whatever the operation. Left out
    /// for append tables, whose `control_totals` are those sums.
    #[serde(default, skip_serializing_if = "ColumnTotals::is_empty")]
    pub changes_totals: ColumnTotals,
    /// Set where the state took other typed values than the rows before had, though their content is the same: the manifest
    /// reads records otherwise now. Such a state cannot be rebuilt from an earlier one, so it is never dropped.
    #[serde(default, skip_serializing_if = "is_false")]
    pub projected_anew: bool,
    /// What changed, ascending by key from file to file; empty if nothing did.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub changes: Vec<DataFile>,
    /// The full table after this commit, ascending by key from file to file; empty if nothing changed (then the last state
    /// stands) and for append tables. A table without rows has one file without rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub state: Vec<DataFile>,
    /// The value up to which the table was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Set when the run's rows were held back because too many would have vanished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<String>,
}

impl TableCommit {
    /// Whether rows among its changes stand under another key for hashed fields, and did not change at the source.
    pub fn is_rekeyed(&self) -> bool {
        self.changes.iter().map(|file| file.rows).sum::<u64>() > self.inserted + self.updated + self.deleted
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Files as format 2 lists them, or the one file of format 1.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<DataFile>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Files {
        Many(Vec<DataFile>),
        One(DataFile),
    }
    Ok(match Files::deserialize(deserializer)? {
        Files::Many(files) => files,
        Files::One(file) => vec![file],
    })
}

/// One source's part in an extract run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRun {
    /// The source's name in the settings.
    pub source: String,
    /// The system it is a connection to.
    pub system: String,
    /// When the run began, UTC.
    pub started_at: DateTime<Utc>,
    /// When it ended, UTC.
    pub finished_at: DateTime<Utc>,
    /// The oldest page of the run: what is stated is true as of then.
    pub observed_at: DateTime<Utc>,
    /// HTTP requests made, with retries.
    pub requests: u64,
    /// Requests that were tried again.
    pub retries: u64,
    /// Seconds waited for rate limits and backoff.
    pub waited_seconds: u64,
    /// Tables that ended otherwise than complete.
    pub incomplete_tables: Vec<String>,
    /// Those of them that were not read to their end, so that reading again may help; all of them if not told. The others
    /// were answered: empty, refused or hidden, as they will be the next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_tables: Option<Vec<String>>,
    /// What tells the key of hashed fields from another, and tells nothing of it; none if there was no key, or before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_key_mark: Option<String>,
}

impl SourceRun {
    /// Tables that were not read to their end.
    pub fn unread(&self) -> &[String] {
        self.unread_tables.as_deref().unwrap_or(&self.incomplete_tables)
    }
}

/// Names the state of a table that a commit wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateAddress {
    /// The source's name.
    pub source: String,
    /// The table's name.
    pub table: String,
    /// The commit that wrote it.
    pub commit: u64,
}

/// A state written again after it was dropped: for a pin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuiltState {
    /// The source's name.
    pub source: String,
    /// The table's name.
    pub table: String,
    /// The commit that wrote the state first.
    pub commit: u64,
    /// The new files: the same rows, ascending by key from file to file.
    pub state: Vec<DataFile>,
}

/// The manifest of one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// [`FORMAT`] of the version that wrote it.
    pub format: u32,
    /// The warehouse it belongs to, a UUID as text.
    pub warehouse_id: String,
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// SHA-256, hex, of the bytes of the manifest before it; empty for the first.
    pub parent: String,
    /// What it is for.
    pub kind: CommitKind,
    /// When it was made visible, UTC, strictly increasing along the chain.
    pub committed_at: DateTime<Utc>,
    /// As of when its data is true: the oldest page over all sources read. Ages are measured from here.
    pub observed_at: DateTime<Utc>,
    /// Whether the run's clock was given by a person or a simulator instead of the machine.
    pub clock_is_given: bool,
    /// The version of tieout that wrote it.
    pub tool_version: String,
    /// SHA-256, hex, of the set of definitions in force (`definitions/<hash>.json`).
    pub definitions: String,
    /// The sources read.
    pub runs: Vec<SourceRun>,
    /// Every table looked at, whether or not it changed.
    pub tables: Vec<TableCommit>,
    /// States that readers of this commit and later ones no longer use: an earlier state and the changes since give the same
    /// rows. Their files go after a safety age.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped_states: Vec<StateAddress>,
    /// States that were dropped and are there again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rebuilt_states: Vec<RebuiltState>,
    /// The name that it gives to an earlier commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// The month that it signs off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signoff: Option<Signoff>,
    /// The exception that it waives, or whose waiver it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<Waiver>,
}

/// The chain up to a commit, as one reader sees it: immutable, shared by reference.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Ascending by number. The last one may be prepared and not yet published.
    pub commits: Vec<Arc<Commit>>,
    /// SHA-256, hex, of the last commit's manifest; empty if there is none.
    pub digest: String,
    /// What later commits did to the states of earlier ones. [`Head::push`] keeps it.
    pub states: StateOverlay,
    /// The commits that wrote rows anew under another key for hashed fields, ascending. [`Head::push`] keeps it.
    pub rekeyed: Vec<u64>,
}

/// The files that make up a table's content as of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Typed columns as of that commit.
    pub columns: Vec<(String, String)>,
    /// The nearest state at or before the commit, ascending by key from file to file.
    pub state: Vec<DataFile>,
    /// Change files after that state, oldest first, up to the commit; those of one commit ascending by key.
    pub changes: Vec<(u64, DataFile)>,
}
