//! From the tables of a run to one commit: prepared file by file, visible all at once.
//!
//! Invariants: a prepared commit's data files are in place, and on the disk, before its manifest is; the manifest is
//! put-if-absent, so that of two runs one wins and the other gets [`Error::Conflict`]. What a run leaves behind when it
//! dies is files that no manifest names.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::commit::{Commit, CommitKind, DataFile, FORMAT, Head, Pin, Signoff, SourceRun, TableCommit};
use super::diff::{Diff, Row, is_mass_deletion, rows};
use super::error::Error;
use super::rows::{
    COMMIT, CoverageStatus, EXTRACTED_AT, HASH, KEY, OP, RAW, ReadMode, Reject, SCOPE, SYSTEM_SOURCE, TableInput,
    changes_schema, input_schema, state_schema,
};
use super::state::{Sides, control_totals, with_op};
use super::store::digest;
use super::system::text_at;
use super::{Warehouse, chain, files};
use crate::clock::Clock;

/// What a commit says of itself, beside its tables.
#[derive(Clone, Debug)]
pub struct CommitHeader<'a> {
    /// What it is for.
    pub kind: CommitKind,
    /// The run's clock.
    pub clock: &'a Clock,
    /// SHA-256 of the definitions in force.
    pub definitions: String,
    /// The sources read.
    pub runs: Vec<SourceRun>,
    /// As of when its data is true.
    pub observed_at: DateTime<Utc>,
}

/// A commit in the making: its files are written, nobody sees it yet.
#[derive(Debug)]
pub struct Prepared {
    warehouse: Warehouse,
    clock: Clock,
    base: Arc<Head>,
    commit: Commit,
    inputs: Vec<TableInput>,
}

impl Warehouse {
    /// Starts a commit on the newest one.
    pub async fn prepare(&self, header: CommitHeader<'_>) -> Result<Prepared, Error> {
        let base = self.head().await?;
        let commit = Commit {
            format: FORMAT,
            warehouse_id: self.id(),
            number: base.number() + 1,
            parent: base.digest.clone(),
            kind: header.kind,
            committed_at: next_moment(&base, header.clock),
            observed_at: header.observed_at.trunc_subsecs(6),
            clock_is_given: header.clock.is_given(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            definitions: header.definitions,
            runs: header.runs,
            tables: Vec::new(),
            pin: None,
            signoff: None,
        };
        Ok(Prepared { warehouse: self.clone(), clock: header.clock.clone(), base, commit, inputs: Vec::new() })
    }

    /// Makes a prepared commit visible, dated now; [`Error::Conflict`] if another commit took its number.
    pub async fn publish(&self, prepared: Prepared) -> Result<Arc<Head>, Error> {
        let Prepared { clock, base, mut commit, .. } = prepared;
        commit.committed_at = next_moment(&base, &clock).max(commit.committed_at);
        let path = chain::path(commit.number);
        let bytes = serde_json::to_vec(&commit).map_err(|error| Error::corrupt(&path, error.to_string()))?;
        // A simulated firm lives years in minutes, and nobody mourns it after a power cut.
        let durable = !commit.clock_is_given;
        if durable {
            let files = commit.tables.iter().flat_map(|table| table.changes.iter().chain(&table.state));
            let definitions = super::definitions_path(&commit.definitions);
            let mut paths: Vec<String> = files.map(|file| file.path.clone()).collect();
            paths.extend(self.store.get(&definitions).await?.map(|_| definitions));
            self.store.flush(&paths).await?;
        }
        if !self.store.put_new(&path, Bytes::from(bytes)).await? {
            return Err(Error::Conflict { number: commit.number });
        }
        // From here on the commit is visible, whatever else fails.
        if durable && let Err(error) = self.store.flush(&[path]).await {
            tracing::warn!(%error, number = commit.number, "the commit is published, but a power cut may still lose it");
        }
        self.head().await
    }
}

impl Prepared {
    /// The number that the commit will have.
    pub fn number(&self) -> u64 {
        self.commit.number
    }

    /// The commit as far as it is prepared. Its `committed_at` is set anew when it is published.
    pub fn commit(&self) -> &Commit {
        &self.commit
    }

    /// The chain with this commit at its end, so that checks can run over it before anybody sees it.
    ///
    /// Its digest is empty: that of an unpublished manifest is not known yet.
    pub fn head(&self) -> Arc<Head> {
        let mut commits = self.base.commits.clone();
        commits.push(Arc::new(self.commit.clone()));
        Arc::new(Head { commits, digest: String::new() })
    }

    /// The chain that the commit builds on.
    pub fn base(&self) -> &Arc<Head> {
        &self.base
    }

    pub(super) fn set_pin(&mut self, pin: Pin) {
        self.commit.pin = Some(pin);
    }

    pub(super) fn set_signoff(&mut self, signoff: Signoff) {
        self.commit.signoff = Some(signoff);
    }

    /// The tables added so far, without their rows, as the warehouse took them: coverage is `partial` where deletions were
    /// held back, rejects include duplicate keys. What [`super::coverage_input`] and its siblings are made from.
    pub fn inputs(&self) -> &[TableInput] {
        &self.inputs
    }

    /// Compares a table with its state before, and writes what changed.
    ///
    /// Every row counts, those of scopes without coverage too; a row leaves only by a full read of its scope. Rows that were
    /// read again with the same content keep their commit, and take new typed values if the manifest reads them otherwise now.
    pub async fn add(&mut self, mut input: TableInput) -> Result<TableCommit, Error> {
        let known = self.base.table(self.base.number(), &input.source, &input.table).cloned();
        let append = self.base.is_append(self.base.number(), &input.source, &input.table);
        check(&input, &self.commit.tables, known.as_ref(), append)?;
        let added = match input.mode {
            ReadMode::Append => self.append(&input).await?,
            ReadMode::Full | ReadMode::Incremental => self.compare(&mut input, known.as_ref()).await?,
        };
        let mut kept = added.clone();
        if known.is_some_and(|known| known.schema_fingerprint == added.schema_fingerprint) {
            kept.columns.clear();
        }
        self.commit.tables.push(kept);
        input.batches.clear();
        self.inputs.push(input);
        Ok(added)
    }

    async fn append(&self, input: &TableInput) -> Result<TableCommit, Error> {
        let failed = || Error::arrow("add rows to", format!("{}.{}", input.source, input.table));
        let mut table = unchanged(input);
        let mut batches = Vec::new();
        for batch in input.batches.iter().filter(|batch| batch.num_rows() > 0) {
            let ops = vec!["I"; batch.num_rows()];
            batches.push(with_op(&input.columns, batch, &ops, self.number()).map_err(failed())?);
            table.rows += batch.num_rows() as u64;
        }
        table.inserted = table.rows;
        table.control_totals = control_totals(&input.columns, &batches);
        if !batches.is_empty() {
            table.changes = Some(self.write(input, "changes", &changes_schema(&input.columns), &batches).await?);
        }
        Ok(table)
    }

    async fn compare(&self, input: &mut TableInput, known: Option<&TableCommit>) -> Result<TableCommit, Error> {
        let failed = || Error::arrow("compare", format!("{}.{}", input.source, input.table));
        let (base, warehouse) = (&self.base, &self.warehouse);
        let previous = warehouse.read_state(base, base.number(), &input.source, &input.table).await?;
        let mut table = unchanged(input);
        let before = rows(&previous).map_err(failed())?;
        let incoming = rows(&input.batches).map_err(failed())?;

        let closable = closable_scopes(input);
        let mut diff = Diff::new(&before, &incoming, |scope| closable.contains(scope));
        let deleted = diff.counts().2;
        // Results of our own close by the hundred when a fault is repaired: only what a source says is doubted.
        let doubted = !input.accept_deletes && input.source != SYSTEM_SOURCE;
        if doubted && is_mass_deletion(deleted, before.len() as u64) {
            let reason = held_back_reason(&input.table, deleted, before.len());
            distrust(&mut input.coverage, &diff.hold_back(), &reason);
            table.held_back = Some(reason);
        }
        input.rejects.extend(diff.duplicates.iter().map(|row| duplicate(row, &input.batches)));

        let sides = Sides::new(&input.columns, &previous, &input.batches).map_err(failed())?;
        (table.inserted, table.updated, table.deleted) = diff.counts();
        let differs = table.inserted + table.updated + table.deleted > 0;
        let same_columns = known.is_none_or(|known| known.schema_fingerprint == table.schema_fingerprint);
        let anew = !previous.is_empty() && (!same_columns || sides.is_projected_anew(&diff.fates).map_err(failed())?);
        if differs {
            let changes = sides.changes(&diff.fates, self.number()).map_err(failed())?;
            table.changes = Some(self.write(input, "changes", &changes_schema(&input.columns), &changes).await?);
        }
        if differs || anew {
            let state = sides.state(&diff.fates, self.number(), anew).map_err(failed())?;
            table.rows = state.iter().map(|batch| batch.num_rows() as u64).sum();
            table.control_totals = control_totals(&input.columns, &state);
            table.state = Some(self.write(input, "state", &state_schema(&input.columns), &state).await?);
        } else {
            table.rows = before.len() as u64;
            table.control_totals = control_totals(&input.columns, &previous);
        }
        // A run that gives no cursor leaves the older one standing: reading more than needed is harmless, less is not.
        table.cursor = table.cursor.or_else(|| known.and_then(|known| known.cursor.clone()));
        Ok(table)
    }

    async fn write(
        &self,
        input: &TableInput,
        what: &str,
        schema: &SchemaRef,
        batches: &[RecordBatch],
    ) -> Result<DataFile, Error> {
        let folder = format!("data/{}/{}/{what}", input.source, input.table);
        files::write(&self.warehouse.store, &folder, self.number(), schema, batches).await
    }
}

/// Now by the run's clock, but always after the commit before: a clock that was set back does not reorder the chain.
fn next_moment(base: &Head, clock: &Clock) -> DateTime<Utc> {
    let now = clock.now().trunc_subsecs(6);
    let Some(last) = base.last() else { return now };
    if last.committed_at - now > TimeDelta::minutes(5) {
        tracing::warn!(%now, newest = %last.committed_at, "the clock is behind the newest commit, which it follows by a microsecond");
    }
    now.max(last.committed_at + TimeDelta::microseconds(1))
}

fn unchanged(input: &TableInput) -> TableCommit {
    let columns: Vec<(String, String)> =
        input.columns.iter().map(|(name, kind)| (name.clone(), kind.to_string())).collect();
    let text: Vec<String> = columns.iter().map(|(name, word)| format!("{name}\u{1f}{word}")).collect();
    TableCommit {
        source: input.source.clone(),
        table: input.table.clone(),
        schema_fingerprint: digest(text.join("\u{1e}").as_bytes()),
        columns,
        inserted: 0,
        updated: 0,
        deleted: 0,
        rows: 0,
        control_totals: std::collections::BTreeMap::new(),
        changes: None,
        state: None,
        cursor: input.cursor.clone(),
        held_back: None,
    }
}

fn closable_scopes(input: &TableInput) -> HashSet<String> {
    let full = input.mode == ReadMode::Full;
    let complete = input.coverage.iter().filter(|coverage| full && coverage.status.is_complete());
    let mut scopes: HashSet<String> = complete.map(|coverage| coverage.scope.clone()).collect();
    // A scope that stands twice is as good as its worse half.
    for coverage in input.coverage.iter().filter(|coverage| !coverage.status.is_complete()) {
        scopes.remove(&coverage.scope);
    }
    scopes
}

fn held_back_reason(table: &str, deleted: u64, rows: usize) -> String {
    format!(
        "{deleted} of {rows} rows would have vanished in one run; they are kept until a person confirms with \
         `tieout extract --accept-deletes {table}`"
    )
}

/// What a scope's list left out is in doubt: no check may speak on it.
fn distrust(coverage: &mut [super::rows::Coverage], scopes: &[&str], reason: &str) {
    for coverage in coverage.iter_mut().filter(|coverage| scopes.contains(&coverage.scope.as_str())) {
        coverage.status = CoverageStatus::Partial;
        coverage.error = Some(format!("held back: {reason}"));
    }
}

fn duplicate(row: &Row<'_>, batches: &[RecordBatch]) -> Reject {
    let (batch, place) = row.place;
    let raw = batches.get(batch).and_then(|batch| text_at(batch, RAW, place)).unwrap_or_default();
    let reason = format!("key `{}` came more than once in this run; the last one is kept", row.key);
    Reject { scope: row.scope.to_owned(), reason, raw: raw.to_owned() }
}

/// Whether a source's or table's name can be part of a path on every system.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.bytes().all(plain)
}

/// Refuses an input that breaks the layout, or that would put two kinds of rows into one table.
fn check(input: &TableInput, added: &[TableCommit], known: Option<&TableCommit>, is_append: bool) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::Input { name: input.source.clone(), table: input.table.clone(), reason });
    if !is_name(&input.source) || !is_name(&input.table) {
        return refuse("names have letters, digits, `_`, `-` and `.` only, and do not begin with `.`".to_owned());
    }
    if added.iter().any(|it| it.source == input.source && it.table == input.table) {
        return refuse("it is part of this commit already".to_owned());
    }
    let has_rows = known.is_some_and(|known| known.rows > 0 || known.changes.is_some() || known.state.is_some());
    if input.mode == ReadMode::Append && has_rows && !is_append {
        return refuse("it is kept by key, rows cannot be appended to it".to_owned());
    }
    if input.mode != ReadMode::Append && is_append {
        return refuse("it is an append table, it cannot be compared by key".to_owned());
    }
    let mut names: HashSet<&str> = [KEY, SCOPE, RAW, HASH, EXTRACTED_AT, COMMIT, OP].into();
    if let Some((name, _)) = input.columns.iter().find(|(name, _)| !names.insert(name.as_str())) {
        return refuse(format!("column `{name}` stands twice or has a reserved name"));
    }
    let schema = input_schema(&input.columns);
    for batch in &input.batches {
        let found = batch.schema();
        let fits =
            found.fields().len() == schema.fields().len()
                && found.fields().iter().zip(schema.fields()).all(|(found, expected)| {
                    found.name() == expected.name() && found.data_type() == expected.data_type()
                });
        if !fits {
            return refuse(format!("its rows have the columns {found:?}, declared are {schema:?}"));
        }
    }
    Ok(())
}
