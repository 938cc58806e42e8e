//! What a run hands to the warehouse: one [`TableInput`] per table, its rows as Arrow batches in one fixed layout.
//!
//! Every row is a record as the source sent it (after redaction) beside the typed columns that its manifest projects:
//!
//! | column | type | what |
//! |---|---|---|
//! | [`KEY`] | text | the record's key, components joined by `\|` |
//! | [`SCOPE`] | text | the parent the record was listed under: parent keys joined by `/`, empty for a company-wide list |
//! | typed columns | as declared | the projection under the manifest in force |
//! | [`RAW`] | text | the record as received, JSON, without what redaction removed |
//! | [`HASH`] | text | SHA-256, hex, of the canonical record (sorted keys) without the manifest's `ignore` paths |
//! | [`EXTRACTED_AT`] | timestamp | when its page was received, UTC |
//!
//! The warehouse adds [`COMMIT`] (the commit that last changed the row) and, in change files, [`OP`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::spool::Spooled;

/// The record's key as text: components joined by `|`, with `|` and `\` inside a component escaped by `\`.
pub const KEY: &str = "_key";
/// The parent under which the record was listed.
pub const SCOPE: &str = "_scope";
/// The record as received, JSON.
pub const RAW: &str = "_raw";
/// The content hash: what counts as a change.
pub const HASH: &str = "_hash";
/// When the record's page was received, UTC.
pub const EXTRACTED_AT: &str = "_extracted_at";
/// The commit that last changed the row.
pub const COMMIT: &str = "_commit";
/// In change files: `I` inserted, `U` updated, `D` deleted, `P` projected anew: the record is the one that [`COMMIT`] brought,
/// only the key under which its sensitive fields are hashed is another. A `P` is no change of the source.
pub const OP: &str = "_op";
/// Optional last column of a run's rows, while the key for sensitive fields is being changed: the content hash under the old key.
pub const HASH_BEFORE: &str = "_hash_before";

/// The source name under which results of our own (coverage, exceptions, check runs, …) are kept as tables.
pub const SYSTEM_SOURCE: &str = "tieout";

/// A column's type, as manifests name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// 64-bit integer: `int64`.
    Int64,
    /// UTF-8 text: `text`. JSON subtrees are text too: `json`.
    Text,
    /// `bool`.
    Bool,
    /// Exact decimal: `decimal(precision,scale)`, at most 38 digits.
    Decimal(u8, i8),
    /// A calendar date without time: `date`.
    Date,
    /// A moment in UTC, microseconds: `timestamp`.
    Timestamp,
}

impl ColumnType {
    /// The Arrow type that stores it.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Int64 => DataType::Int64,
            Self::Text => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            Self::Date => DataType::Date32,
            Self::Timestamp => timestamp_type(),
        }
    }

    /// The type that a manifest's word names; none if no type has that name.
    pub fn parse(word: &str) -> Option<Self> {
        match word.trim() {
            "int64" => Some(Self::Int64),
            "text" | "json" => Some(Self::Text),
            "bool" => Some(Self::Bool),
            "date" => Some(Self::Date),
            "timestamp" => Some(Self::Timestamp),
            other => {
                let (precision, scale) = other.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
                let (precision, scale) = (precision.trim().parse::<u8>().ok()?, scale.trim().parse::<i8>().ok()?);
                let fits = (1..=38).contains(&precision) && scale >= 0 && i16::from(scale) <= i16::from(precision);
                fits.then_some(Self::Decimal(precision, scale))
            }
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int64 => f.write_str("int64"),
            Self::Text => f.write_str("text"),
            Self::Bool => f.write_str("bool"),
            Self::Decimal(precision, scale) => write!(f, "decimal({precision},{scale})"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
        }
    }
}

/// The one type of moments in the warehouse: microseconds, UTC.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("+00:00")))
}

/// The schema of the batches in a [`TableInput`]: key, scope, typed columns, raw, hash, extracted at.
pub fn input_schema(columns: &[(String, ColumnType)]) -> SchemaRef {
    let mut fields = vec![Field::new(KEY, DataType::Utf8, false), Field::new(SCOPE, DataType::Utf8, false)];
    fields.extend(columns.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)));
    fields.push(Field::new(RAW, DataType::Utf8, true));
    fields.push(Field::new(HASH, DataType::Utf8, false));
    fields.push(Field::new(EXTRACTED_AT, timestamp_type(), false));
    Arc::new(Schema::new(fields))
}

/// The schema of a state file and of every reader: the input's, then [`COMMIT`].
pub fn state_schema(columns: &[(String, ColumnType)]) -> SchemaRef {
    let mut fields: Vec<Field> = input_schema(columns).fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.push(Field::new(COMMIT, DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

/// The schema of a change file: the state's, then [`OP`]. A deleted row carries its last content.
pub fn changes_schema(columns: &[(String, ColumnType)]) -> SchemaRef {
    let mut fields: Vec<Field> = state_schema(columns).fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.push(Field::new(OP, DataType::Utf8, false));
    Arc::new(Schema::new(fields))
}

/// Joins the components of a record's key.
pub fn join_key<'a>(components: impl IntoIterator<Item = &'a str>) -> String {
    let escaped = components.into_iter().map(|part| part.replace('\\', "\\\\").replace('|', "\\|"));
    escaped.collect::<Vec<_>>().join("|")
}

/// How a table was read in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadMode {
    /// Every record of every scope: what is absent from a completely read scope is gone.
    Full,
    /// Only what changed since the cursor: absence says nothing.
    Incremental,
    /// Rows to add for this commit alone, never compared with earlier ones (check runs, requests, rejects).
    Append,
}

impl ReadMode {
    /// The word stored in `meta.coverage`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::Append => "append",
        }
    }
}

/// What may be believed of one scope of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoverageStatus {
    /// Read completely, at least one record.
    Ok,
    /// Read completely, no record, and something else confirms that there is none.
    EmptyVerified,
    /// An empty answer that a missing permission would give as well.
    EmptyUnverified,
    /// The source refused (401, 403).
    Forbidden,
    /// The source knows no such thing, or hides it (404).
    NotFound,
    /// The read failed; see the error.
    Failed,
    /// Some records or values are missing: a page lost, a record rejected, a value that is none, a total that does not match.
    Partial,
}

impl CoverageStatus {
    /// Whether rows may be closed, and a check may speak, on the strength of this read.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Ok | Self::EmptyVerified)
    }

    /// Whether the source was heard to the end, whatever it said: reading again would not tell more.
    pub fn is_answered(self) -> bool {
        !matches!(self, Self::Failed | Self::Partial)
    }

    /// The status that a word of `meta.coverage` stands for.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Ok,
            Self::EmptyVerified,
            Self::EmptyUnverified,
            Self::Forbidden,
            Self::NotFound,
            Self::Failed,
            Self::Partial,
        ];
        all.into_iter().find(|status| status.as_str() == word)
    }

    /// The word stored in `meta.coverage`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::EmptyVerified => "empty_verified",
            Self::EmptyUnverified => "empty_unverified",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Failed => "failed",
            Self::Partial => "partial",
        }
    }
}

/// How one scope of one table ended in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// The parent keys joined by `/`; empty for a company-wide list.
    pub scope: String,
    /// The key of the project that the scope lies in (its ancestor in the table `projects`), if any.
    pub project: Option<String>,
    /// What may be believed.
    pub status: CoverageStatus,
    /// Records received and kept.
    pub rows: u64,
    /// The total that the source told, where it tells one.
    pub expected_rows: Option<u64>,
    /// When the oldest page of this scope was received, UTC.
    pub observed_at: DateTime<Utc>,
    /// What went wrong, for people: what, where, why.
    pub error: Option<String>,
}

/// A record that could not become a row, or a value of a row that is none in its column's type: told with its reason, never
/// dropped in silence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reject {
    /// The scope it was listed under.
    pub scope: String,
    /// The key of its row, if it has one.
    pub key: Option<String>,
    /// The column whose value is none.
    pub field: Option<String>,
    /// The value as received, redacted.
    pub value: Option<String>,
    /// Why it is no row or no value.
    pub reason: String,
    /// The record as received, redacted; empty where a row holds it.
    pub raw: String,
}

/// A field of the source that differs from the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The field's path.
    pub field: String,
    /// `missing` (declared, in no record), `unmapped` (in records from the first, not known to the manifest), `new` (the same,
    /// but not there before), `type` (of another kind than declared or told before) or `word` (a status that no view knows).
    pub kind: String,
    /// One sentence with an example.
    pub detail: String,
}

/// One table of one source, as a run read it.
#[derive(Clone, Debug)]
pub struct TableInput {
    /// The source's name in the settings, or [`SYSTEM_SOURCE`].
    pub source: String,
    /// The table's name in the manifest.
    pub table: String,
    /// Tables of the source that its rows lie inside of or hang on: while deletions of one of them are held back, none of its
    /// own are believed.
    pub above: Vec<String>,
    /// Typed columns in order.
    pub columns: Vec<(String, ColumnType)>,
    /// How it was read.
    pub mode: ReadMode,
    /// Rows in [`input_schema`] that wait on the disk: those that came first, where there are many.
    pub spooled: Option<Spooled>,
    /// Rows in [`input_schema`]; of two with the same key the later one stands.
    pub batches: Vec<RecordBatch>,
    /// How each scope ended. For [`ReadMode::Full`] only rows of complete scopes may be closed.
    pub coverage: Vec<Coverage>,
    /// Records that could not become rows.
    pub rejects: Vec<Reject>,
    /// Fields that differ from the manifest.
    pub drift: Vec<Drift>,
    /// The value up to which the table was read, for an incremental next run.
    pub cursor: Option<String>,
    /// A person confirmed that a mass deletion is real (`--accept-deletes`).
    pub accept_deletes: bool,
    /// Keys of records that were read again with all that lies inside them. A row whose key is one of them and one component
    /// more lies inside, and is gone if it did not come, also where absence says nothing otherwise.
    pub owners: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_words_come_back_as_they_went() {
        let all = [
            ColumnType::Int64,
            ColumnType::Text,
            ColumnType::Bool,
            ColumnType::Decimal(24, 6),
            ColumnType::Date,
            ColumnType::Timestamp,
        ];
        for kind in all {
            assert_eq!(ColumnType::parse(&kind.to_string()), Some(kind));
        }
        assert_eq!(ColumnType::parse("json"), Some(ColumnType::Text));
        assert_eq!(ColumnType::parse("decimal(18, 2)"), Some(ColumnType::Decimal(18, 2)));
        for word in ["float", "decimal", "decimal(39,2)", "decimal(5,6)", "decimal(0,0)", "decimal(18,-2)"] {
            assert_eq!(ColumnType::parse(word), None, "{word}");
        }
    }

    #[test]
    fn keys_join_without_collisions() {
        assert_eq!(join_key(["Bill", "000123"]), "Bill|000123");
        assert_ne!(join_key(["a|b"]), join_key(["a", "b"]));
        assert_ne!(join_key(["a\\", "b"]), join_key(["a", "\\b"]));
    }
}
