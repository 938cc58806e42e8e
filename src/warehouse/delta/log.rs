//! The entries of a Delta log: one JSON object a line, one file a version.
//!
//! Invariants: every version lists the whole table, so that the newest entry alone says what is there; the same state gives
//! the same bytes; an entry tells whose it is. Leaves out: where the log lies (`place`).

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::warehouse::store::digest;

/// Longer than anybody keeps books: no engine that cleans up finds a file or an entry old enough.
const FOR_EVER: &str = "interval 36500 days";
const SUFFIX: &str = ".json";

/// The name of a version's entry.
pub(super) fn name(version: u64) -> String {
    format!("{version:020}{SUFFIX}")
}

/// The version that an entry's name says; other files of a log (checkpoints, checksums) have none.
pub(super) fn version(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Our mark in each entry: whose it is and what it shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The warehouse's id.
    pub(super) warehouse: String,
    /// `source.table`.
    pub(super) table: String,
    /// The commit whose state it lists.
    pub(super) commit: u64,
    /// SHA-256 of the schema in force.
    pub(super) schema: String,
}

/// A file that an entry adds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Added {
    pub(super) path: String,
    pub(super) size: u64,
    /// JSON in JSON, as Delta has it.
    #[serde(default)]
    pub(super) stats: String,
}

/// The newest entry of a log, as far as the next one needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) mark: Mark,
    /// The moment that its readers travel to, in milliseconds.
    pub(super) at: i64,
    pub(super) files: Vec<Added>,
}

/// A line of an entry.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "commitInfo")]
    info: Option<Info>,
    add: Option<Added>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "inCommitTimestamp")]
    at: Option<i64>,
    tieout: Option<Mark>,
}

impl Entry {
    /// Reads an entry; the reason if it is none of ours.
    pub(super) fn parse(version: u64, bytes: &[u8]) -> Result<Self, String> {
        let mut lines = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            lines.push(serde_json::from_slice::<Line>(line).map_err(|error| format!("it cannot be read: {error}"))?);
        }
        let info = lines.iter().find_map(|line| line.info.as_ref());
        let ours = info.and_then(|info| Some((info.at?, info.tieout.clone()?)));
        let (at, mark) = ours.ok_or("another program wrote it")?;
        Ok(Self { version, mark, at, files: lines.into_iter().filter_map(|line| line.add).collect() })
    }
}

/// What the next entry shows.
pub(super) struct Next {
    pub(super) warehouse: String,
    /// `source.table`.
    pub(super) table: String,
    pub(super) commit: u64,
    pub(super) committed_at: DateTime<Utc>,
    /// When the warehouse began: the same in every entry that says it.
    pub(super) created_at: DateTime<Utc>,
    /// Delta's text of it.
    pub(super) schema: String,
    pub(super) files: Vec<Added>,
}

impl Next {
    /// The entry that comes after `before`, and its bytes.
    pub(super) fn after(self, before: Option<&Entry>) -> (Entry, Bytes) {
        // Two commits within a millisecond are two moments still.
        let earliest = before.map_or(i64::MIN, |before| before.at + 1);
        let at = self.committed_at.timestamp_millis().max(earliest);
        let version = before.map_or(0, |before| before.version + 1);
        let (warehouse, table) = (self.warehouse.clone(), self.table.clone());
        let mark = Mark { warehouse, table, commit: self.commit, schema: digest(self.schema.as_bytes()) };
        let mut lines = vec![info(&mark, at)];
        if before.is_none() {
            lines.push(json!({ "protocol": {
                "minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["inCommitTimestamp", "invariants"],
            } }));
        }
        if before.is_none_or(|before| before.mark.schema != mark.schema) {
            lines.push(self.metadata());
        }
        let known = before.map_or(&[][..], |before| &before.files);
        let is_in = |files: &[Added], path: &str| files.iter().any(|file| file.path == path);
        for gone in known.iter().filter(|file| !is_in(&self.files, &file.path)) {
            lines.push(json!({ "remove": {
                "path": gone.path, "deletionTimestamp": at, "dataChange": true,
                "extendedFileMetadata": true, "partitionValues": {}, "size": gone.size,
            } }));
        }
        for file in &self.files {
            lines.push(json!({ "add": {
                "path": file.path, "partitionValues": {}, "size": file.size,
                "modificationTime": self.committed_at.timestamp_millis(), "dataChange": true, "stats": file.stats,
            } }));
        }
        let mut text = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        text.push('\n');
        (Entry { version, mark, at, files: self.files }, Bytes::from(text))
    }

    fn metadata(&self) -> Value {
        json!({ "metaData": {
            "id": table_id(&self.warehouse, &self.table),
            "name": self.table,
            "format": { "provider": "parquet", "options": {} },
            "schemaString": self.schema,
            "partitionColumns": [],
            "configuration": {
                "delta.enableInCommitTimestamps": "true",
                "delta.deletedFileRetentionDuration": FOR_EVER,
                "delta.logRetentionDuration": FOR_EVER,
            },
            "createdTime": self.created_at.timestamp_millis(),
        } })
    }
}

/// First in an entry, because the moment in it counts only there.
fn info(mark: &Mark, at: i64) -> Value {
    json!({ "commitInfo": {
        "inCommitTimestamp": at,
        "timestamp": at,
        "operation": "WRITE",
        "operationParameters": { "mode": "Overwrite" },
        "isBlindAppend": false,
        "engineInfo": concat!("tieout/", env!("CARGO_PKG_VERSION")),
        "userMetadata": format!("commit {}", mark.commit),
        "tieout": mark,
    } })
}

/// Delta wants a UUID for a table: always the same for the same one.
fn table_id(warehouse: &str, table: &str) -> String {
    let digest = digest(format!("{warehouse} {table}").as_bytes());
    let bytes = hex::decode(&digest).ok().and_then(|bytes| bytes.get(..16)?.try_into().ok()).unwrap_or_default();
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(commit: u64, micros: i64, schema: &str, files: &[&str]) -> Next {
        let at = |micros| DateTime::from_timestamp_micros(1_700_000_000_000_000 + micros).unwrap();
        let added = |path: &&str| Added { path: (*path).to_owned(), size: 5, stats: "{\"numRecords\":1}".to_owned() };
        Next {
            warehouse: "w".to_owned(),
            table: "procore.vendors".to_owned(),
            commit,
            committed_at: at(micros),
            created_at: at(0),
            schema: schema.to_owned(),
            files: files.iter().map(added).collect(),
        }
    }

    fn actions(bytes: &Bytes) -> Vec<(String, Value)> {
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(text.ends_with('\n') && !text.contains("\n\n"));
        let line = |line: &str| {
            let Value::Object(action) = serde_json::from_str(line).unwrap() else { unreachable!("{line}") };
            assert_eq!(action.len(), 1, "one action a line");
            action.into_iter().next().unwrap()
        };
        text.lines().map(line).collect()
    }

    fn names(bytes: &Bytes) -> Vec<String> {
        actions(bytes).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_first_entry_says_what_the_table_is_and_later_ones_what_moved() {
        let (first, bytes) = next(3, 0, "s", &["a", "b"]).after(None);
        assert_eq!(names(&bytes), ["commitInfo", "protocol", "metaData", "add", "add"]);
        assert_eq!(Entry::parse(0, &bytes).unwrap(), first);
        let (second, bytes) = next(7, 5_000, "s", &["b", "c"]).after(Some(&first));
        assert_eq!(names(&bytes), ["commitInfo", "remove", "add", "add"]);
        assert_eq!(actions(&bytes)[1].1["path"], "a");
        assert_eq!((second.version, second.mark.commit), (1, 7));
        assert_eq!(Entry::parse(1, &bytes).unwrap(), second);
        let (_, bytes) = next(8, 6_000, "t", &["c"]).after(Some(&second));
        assert_eq!(names(&bytes), ["commitInfo", "metaData", "remove", "add"], "other columns are told");
    }

    #[test]
    fn moments_rise_though_commits_fall_into_one_millisecond() {
        let (first, _) = next(1, 100, "s", &["a"]).after(None);
        let (second, _) = next(2, 200, "s", &["b"]).after(Some(&first));
        let (third, _) = next(3, 1_000_000, "s", &["c"]).after(Some(&second));
        let from = 1_700_000_000_000;
        assert_eq!([first.at, second.at, third.at], [from, from + 1, from + 1_000]);
    }

    #[test]
    fn the_same_state_gives_the_same_bytes_and_the_same_table() {
        assert_eq!(next(1, 1, "s", &["a"]).after(None).1, next(1, 1, "s", &["a"]).after(None).1);
        assert_ne!(table_id("w", "a.b"), table_id("w", "a.c"));
        assert_ne!(table_id("w", "a.b"), table_id("v", "a.b"));
    }

    #[test]
    fn entries_of_others_are_none_of_ours() {
        let foreign =
            b"{\"commitInfo\":{\"timestamp\":1,\"operation\":\"WRITE\"}}\n{\"add\":{\"path\":\"x\",\"size\":1}}\n";
        assert_eq!(Entry::parse(4, foreign).unwrap_err(), "another program wrote it");
        assert!(Entry::parse(4, b"{\"commitInfo\":").unwrap_err().starts_with("it cannot be read"));
        assert_eq!(Entry::parse(4, b"").unwrap_err(), "another program wrote it");
    }

    #[test]
    fn names_and_versions() {
        assert_eq!(version(&name(42)), Some(42));
        for other in
            ["00000000000000000010.checkpoint.parquet", "_last_checkpoint", "42.json", "00000000000000000010.crc"]
        {
            assert_eq!(version(other), None, "{other}");
        }
    }
}
