//! What the warehouse knows of a source's tables before a run: rows, cursors, and the drift that was told.
//!
//! Invariant: a cursor counts only for the declaration it was read under. With another column, path or filter, what did not
//! change at the source is new to us, so the table is read in full.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, TimeDelta};
use futures::TryStreamExt;

use crate::definitions::Definitions;
use crate::extract::manifest::{Manifest, Refresh, Table};
use crate::extract::{PreviousRead, PreviousTable, PreviousTables, RateLimit, SourceSettings};
use crate::warehouse::commit::{Commit, Head};
use crate::warehouse::rows::{self, CoverageStatus, ReadMode, SYSTEM_SOURCE};
use crate::warehouse::{Error, Warehouse};

/// How long a limit is remembered that is not told again: an hour's shows only when it is nearly spent, and vendors change them.
const LIMITS_LAST: TimeDelta = TimeDelta::days(30);

/// What the warehouse knows of a source's tables.
///
/// # Errors
/// Files of the warehouse that cannot be read.
pub(super) async fn previous_tables(
    warehouse: &Warehouse,
    head: &Head,
    source: &SourceSettings,
    mode: ReadMode,
) -> Result<PreviousTables, Error> {
    let mut previous = PreviousTables::default();
    let parents = source.manifest.parent_tables();
    let mut manifests = Manifests { warehouse, source, known: BTreeMap::new() };
    for (_, table) in head.tables().into_iter().filter(|(name, _)| *name == source.name) {
        let mut known = PreviousTable::default();
        if let Some(cursor) = head.cursor(&source.name, &table)
            && (mode == ReadMode::Full || manifests.is_as_declared(head, &table, cursor).await?)
        {
            known.cursor = Some(cursor.to_owned());
        }
        // A few columns of every table, a batch at a time: no table is held whole.
        let declared = source.manifest.table(&table);
        let is_parent = parents.contains(&table.as_str());
        let wants_keys = is_parent || declared.is_some_and(|table| table.may_hide);
        let closed: BTreeMap<String, Vec<String>> = declared.map(|table| table.closed.clone()).unwrap_or_default();
        let columns = declared.filter(|_| !closed.is_empty()).map(Table::column_types).unwrap_or_default();
        let hash = (!closed.is_empty()).then_some(rows::HASH);
        let wanted: BTreeSet<String> =
            closed.keys().map(String::as_str).chain([rows::SCOPE]).chain(hash).map(str::to_owned).collect();
        let mut batches = warehouse
            .stream_state(head, head.number(), &source.name, &table, columns, move |name| wanted.contains(name));
        while let Some(batch) = batches.try_next().await? {
            let (Some(scopes), Some(keys)) = (texts(&batch, rows::SCOPE), texts(&batch, rows::KEY)) else { continue };
            let is_closed = closed_rows(&batch, &closed);
            let hashes = texts(&batch, rows::HASH);
            for (row, (scope, key)) in scopes.iter().zip(keys).enumerate() {
                let (Some(scope), Some(key)) = (scope, key) else { continue };
                if !known.scopes.contains(scope) {
                    known.scopes.insert(scope.to_owned());
                }
                *known.rows.entry(scope.to_owned()).or_default() += 1;
                if wants_keys {
                    known.keys.entry(scope.to_owned()).or_default().insert(key.to_owned());
                }
                if closed.is_empty() {
                    continue;
                }
                let is_closed = is_closed.get(row).copied().unwrap_or_default();
                if is_parent && is_closed {
                    let hash = hashes.map(|hashes| hashes.value(row).to_owned()).unwrap_or_default();
                    known.closed.insert(crate::extract::scope_of_children(scope, key), hash);
                }
                if !is_closed && declared.is_some_and(|table| table.refresh == Refresh::Open && !is_parent) {
                    known.open.entry(scope.to_owned()).or_default().insert(key.to_owned());
                }
            }
        }
        previous.tables.insert(table, known);
    }
    for batch in warehouse.read_state(head, head.number(), SYSTEM_SOURCE, "drift").await? {
        let column = |name| texts(&batch, name);
        let (Some(sources), Some(tables), Some(fields), Some(details)) =
            (column("source"), column("table_name"), column("field"), column("detail"))
        else {
            continue;
        };
        for (((of, table), field), detail) in sources.iter().zip(tables).zip(fields).zip(details) {
            let (Some(table), Some(field), Some(detail)) = (table, field, detail) else { continue };
            if let Some(known) = previous.tables.get_mut(table).filter(|_| of == Some(source.name.as_str())) {
                known.drift.entry(field.to_owned()).or_default().insert(detail.to_owned());
            }
        }
    }
    reads(warehouse, head, source, &mut previous).await?;
    previous.limits = limits(warehouse, head, source).await?;
    Ok(previous)
}

/// How each scope was last read, from the coverage of the newest commit.
async fn reads(
    warehouse: &Warehouse,
    head: &Head,
    source: &SourceSettings,
    previous: &mut PreviousTables,
) -> Result<(), Error> {
    for batch in warehouse.read_state(head, head.number(), SYSTEM_SOURCE, "coverage").await? {
        let column = |name| texts(&batch, name);
        let (Some(sources), Some(tables), Some(scopes), Some(statuses)) =
            (column("source"), column("table_name"), column("scope"), column("status"))
        else {
            continue;
        };
        let swept = batch.column_by_name("swept_at");
        let swept = swept.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        for row in (0..batch.num_rows()).filter(|row| sources.value(*row) == source.name) {
            let Some(known) = previous.tables.get_mut(tables.value(row)) else { continue };
            let status = CoverageStatus::parse(statuses.value(row));
            let swept_at = swept.filter(|swept| swept.is_valid(row)).map(|swept| swept.value(row));
            let read = PreviousRead {
                is_complete: status.is_some_and(CoverageStatus::is_complete),
                is_answered: status.is_some_and(CoverageStatus::is_answered),
                swept_at: swept_at.and_then(DateTime::from_timestamp_micros),
            };
            known.reads.insert(scopes.value(row).to_owned(), read);
        }
    }
    Ok(())
}

/// The rate limits that the source told lately, each with the longest window that was seen.
async fn limits(warehouse: &Warehouse, head: &Head, source: &SourceSettings) -> Result<Vec<RateLimit>, Error> {
    let mut limits: BTreeMap<u32, u32> = BTreeMap::new();
    let oldest = head.last().map(|commit| (commit.committed_at - LIMITS_LAST).timestamp_micros()).unwrap_or_default();
    for batch in warehouse.read_state(head, head.number(), SYSTEM_SOURCE, "rate_limits").await? {
        let number = |name| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>().map(PrimitiveArray::values);
        let (Some(sources), Some(requests), Some(seconds)) =
            (texts(&batch, "source"), number("limit_requests"), number("window_seconds"))
        else {
            continue;
        };
        let at = batch.column_by_name(rows::EXTRACTED_AT);
        let at = at.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let Some(at) = at.map(PrimitiveArray::values) else { continue };
        let lately = at.iter().map(|at| *at >= oldest);
        let told = sources.iter().zip(requests).zip(seconds).zip(lately).filter(|(_, is_late)| *is_late);
        for ((of, requests), seconds) in told.map(|(told, _)| told) {
            let (Ok(requests), Ok(seconds)) = (u32::try_from(*requests), u32::try_from(*seconds)) else { continue };
            if of == Some(source.name.as_str()) {
                let longest = limits.entry(requests).or_default();
                *longest = seconds.max(*longest);
            }
        }
    }
    let limits = limits.into_iter().map(|(requests, window_seconds)| RateLimit { requests, window_seconds });
    // What a subscription holds in a month binds no pace.
    Ok(limits.filter(|limit| !limit.is_of_month()).collect())
}

/// For each row of a state whether its record is closed.
fn closed_rows(batch: &RecordBatch, closed: &BTreeMap<String, Vec<String>>) -> Vec<bool> {
    let holds = |row: usize, name: &str, words: &[String]| {
        let column = batch.column_by_name(name).filter(|column| column.is_valid(row));
        let text = column.and_then(|column| array_value_to_string(column, row).ok());
        text.is_some_and(|text| words.contains(&text))
    };
    let is_closed = |row: usize| closed.iter().all(|(name, words)| holds(row, name, words));
    (0..batch.num_rows()).map(|row| !closed.is_empty() && is_closed(row)).collect()
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}

/// Manifests of earlier commits, each read once.
struct Manifests<'a> {
    warehouse: &'a Warehouse,
    source: &'a SourceSettings,
    known: BTreeMap<String, Option<Manifest>>,
}

impl Manifests<'_> {
    /// Whether the table is declared as it was when its cursor was set.
    async fn is_as_declared(&mut self, head: &Head, table: &str, cursor: &str) -> Result<bool, Error> {
        let Some(hash) = set_by(head, &self.source.name, table, cursor).map(|commit| commit.definitions.clone()) else {
            return Ok(false);
        };
        let source = self.source;
        let now = source.manifest.table(table);
        let then = self.manifest(&hash).await?.and_then(|manifest| manifest.table(table));
        Ok(now.is_some() && now == then)
    }

    /// The manifest in force at a set of definitions; none if it is gone or of another format.
    async fn manifest(&mut self, hash: &str) -> Result<Option<&Manifest>, Error> {
        if !self.known.contains_key(hash) {
            let path = format!("extractors/{}/manifest.toml", self.source.manifest.system.name);
            let json = match self.warehouse.definitions(hash).await {
                Err(Error::NotFound { .. }) => None,
                other => Some(other?),
            };
            let definitions = json.and_then(|json| Definitions::from_json(&json).ok());
            let manifest = definitions.and_then(|files| Manifest::parse(&path, files.get(&path)?).ok());
            self.known.insert(hash.to_owned(), manifest);
        }
        Ok(self.known.get(hash).and_then(Option::as_ref))
    }
}

/// The commit whose run set the cursor: later ones that could not read everything carry it on.
fn set_by<'a>(head: &'a Head, source: &str, table: &str, cursor: &str) -> Option<&'a Commit> {
    let looked_at = head.commits.iter().rev().filter_map(|commit| {
        let found = commit.tables.iter().find(|it| it.source == source && it.table == table)?;
        Some((commit.as_ref(), found.cursor.as_deref()))
    });
    looked_at.take_while(|(_, found)| *found == Some(cursor)).last().map(|(commit, _)| commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SharedClock};
    use crate::extract::{Quota, SourceRules};
    use crate::warehouse::CommitHeader;
    use crate::warehouse::commit::CommitKind;
    use crate::warehouse::rows::TableInput;

    const MANIFEST: &str = "extractors/procore/manifest.toml";

    fn source(definitions: &Definitions) -> SourceSettings {
        SourceSettings {
            name: "procore".into(),
            manifest: Manifest::parse(MANIFEST, definitions.get(MANIFEST).unwrap()).unwrap(),
            base_url: None,
            values: BTreeMap::new(),
            redaction_key: None,
            redaction_key_before: None,
            quota: Quota::default(),
            rules: SourceRules::default(),
        }
    }

    async fn commit(warehouse: &Warehouse, definitions: &Definitions, cursor: Option<&str>) {
        let hash = warehouse.put_definitions(&definitions.to_json()).await.unwrap();
        let observed_at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let clock = Clock::Shared(SharedClock::new(observed_at));
        let header =
            CommitHeader { kind: CommitKind::Extract, clock: &clock, definitions: hash, runs: Vec::new(), observed_at };
        let mut prepared = warehouse.prepare(header).await.unwrap();
        for table in ["vendors", "projects"] {
            let input = TableInput {
                source: "procore".into(),
                table: table.into(),
                columns: Vec::new(),
                mode: ReadMode::Full,
                above: Vec::new(),
                spooled: None,
                batches: Vec::new(),
                coverage: Vec::new(),
                rejects: Vec::new(),
                drift: Vec::new(),
                cursor: cursor.map(str::to_owned),
                accept_deletes: false,
                owners: BTreeSet::new(),
            };
            prepared.add(input).await.unwrap();
        }
        warehouse.publish(prepared).await.unwrap();
    }

    async fn cursors(warehouse: &Warehouse, source: &SourceSettings, mode: ReadMode) -> [Option<String>; 2] {
        let head = warehouse.head().await.unwrap();
        let mut previous = previous_tables(warehouse, &head, source, mode).await.unwrap();
        ["vendors", "projects"].map(|table| previous.tables.remove(table).unwrap().cursor)
    }

    #[tokio::test]
    async fn a_changed_declaration_is_read_in_full_until_that_worked() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open_or_create(folder.path().to_str().unwrap()).await.unwrap();
        let before = Definitions::shipped();
        let mut after = before.clone();
        let text = after.files.get_mut(MANIFEST).unwrap();
        // The first `view` is that of the vendors.
        *text = text.replacen("view = \"extended\"", "view = \"erp\"", 1);
        let (old, new) = (Some("2026-01-01T00:00:00Z".to_owned()), Some("2026-02-01T00:00:00Z".to_owned()));

        commit(&warehouse, &before, old.as_deref()).await;
        let same = cursors(&warehouse, &source(&before), ReadMode::Incremental).await;
        assert_eq!(same, [old.clone(), old.clone()]);
        let changed = cursors(&warehouse, &source(&after), ReadMode::Incremental).await;
        assert_eq!(changed, [None, old.clone()]);

        // A run under the new declaration that could not read everything carries the old cursor on.
        commit(&warehouse, &after, None).await;
        let changed = cursors(&warehouse, &source(&after), ReadMode::Incremental).await;
        assert_eq!(changed, [None, old.clone()]);
        let full = cursors(&warehouse, &source(&after), ReadMode::Full).await;
        assert_eq!(full, [old.clone(), old]);

        commit(&warehouse, &after, new.as_deref()).await;
        let changed = cursors(&warehouse, &source(&after), ReadMode::Incremental).await;
        assert_eq!(changed, [new.clone(), new]);
    }
}
