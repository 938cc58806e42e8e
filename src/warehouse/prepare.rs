//! From the tables of a run to one commit: prepared file by file, visible all at once.
//!
//! Invariants: a prepared commit's data files are in place, and on the disk, before its manifest is; the manifest is
//! put-if-absent, so that of two runs one wins and the other gets [`Error::Conflict`]. What a run leaves behind when it
//! dies is files that no manifest names.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};

use super::commit::{
    Commit, CommitKind, FORMAT, Head, Pin, RebuiltState, Signoff, SourceRun, StateAddress, TableCommit, Waiver,
};
use super::compare::{Against, Outcome, Task};
use super::error::Error;
use super::files::{Disk, Target};
use super::merge::Batches;
use super::rows::{
    COMMIT, Coverage, CoverageStatus, EXTRACTED_AT, HASH, HASH_BEFORE, KEY, OP, RAW, ReadMode, SCOPE, SYSTEM_SOURCE,
    TableInput, input_schema,
};
use super::{Warehouse, chain};
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

/// A table whose files are written, for a commit that it is not part of yet.
struct Compared {
    input: TableInput,
    table: TableCommit,
    /// Whether the commit before tells its columns already.
    same_columns: bool,
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
            dropped_states: Vec::new(),
            rebuilt_states: Vec::new(),
            pin: None,
            signoff: None,
            waiver: None,
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
            let files = files.chain(commit.rebuilt_states.iter().flat_map(|rebuilt| &rebuilt.state));
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
        let head = self.head().await?;
        self.keep_checkpoint(&head).await;
        Ok(head)
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
        let mut head = Head::clone(&self.base);
        head.push(Arc::new(self.commit.clone()), String::new());
        Arc::new(head)
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

    /// Says which exception the commit waives or unwaives; what that does to the exceptions are tables of it.
    pub fn set_waiver(&mut self, waiver: Waiver) {
        self.commit.waiver = Some(waiver);
    }

    pub(super) fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    pub(super) fn set_dropped(&mut self, dropped: Vec<StateAddress>) {
        self.commit.dropped_states = dropped;
    }

    pub(super) fn set_rebuilt(&mut self, rebuilt: Vec<RebuiltState>) {
        self.commit.rebuilt_states = rebuilt;
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
        let rows = taken_rows(&mut input)?;
        self.add_rows(input, rows).await
    }

    /// As [`Self::add`], several tables side by side: as many as the machine has cores, and at least four, because a small
    /// table waits for its files longer than it computes; but none before those above it. They are added in their order.
    pub async fn add_all(&mut self, inputs: impl IntoIterator<Item = TableInput>) -> Result<(), Error> {
        let at_once = std::thread::available_parallelism().map_or(1, NonZero::get).max(4);
        let mut waiting: Vec<(usize, TableInput)> = inputs.into_iter().enumerate().collect();
        let mut done: Vec<(usize, Compared)> = Vec::new();
        while !waiting.is_empty() {
            let names: Vec<(String, String)> =
                waiting.iter().map(|(_, input)| (input.source.clone(), input.table.clone())).collect();
            let waits = |(_, input): &(usize, TableInput)| {
                names.iter().any(|(source, table)| *source == input.source && input.above.contains(table))
            };
            let (mut later, mut now): (Vec<_>, Vec<_>) = waiting.into_iter().partition(waits);
            if now.is_empty() {
                // Tables that hang on each other: no manifest says so.
                std::mem::swap(&mut later, &mut now);
            }
            let held: Vec<&TableCommit> = done.iter().map(|(_, compared)| &compared.table).collect();
            let (this, held) = (&*self, held.as_slice());
            let compare = |(place, mut input): (usize, TableInput)| {
                async move {
                    let (source, table, started) = (input.source.clone(), input.table.clone(), Instant::now());
                    let rows = taken_rows(&mut input)?;
                    let compared = this.compared(input, rows, held).await?;
                    tracing::debug!(source, table, rows = compared.table.rows, took = ?started.elapsed(), "compared");
                    Ok::<_, Error>((place, compared))
                }
                .boxed()
            };
            let work: Vec<_> = now.into_iter().map(compare).collect();
            // Whichever is ready: in order, a large table would keep the small ones behind it from starting.
            let found: Vec<(usize, Compared)> = stream::iter(work).buffer_unordered(at_once).try_collect().await?;
            done.extend(found);
            waiting = later;
        }
        done.sort_unstable_by_key(|(place, _)| *place);
        for (_, table) in done {
            self.take(table)?;
        }
        Ok(())
    }

    /// As [`Self::add`], with the rows as a stream beside an input without batches: they may be more than fit into memory.
    pub async fn add_rows<I>(&mut self, input: TableInput, rows: I) -> Result<TableCommit, Error>
    where
        I: IntoIterator<Item = Result<RecordBatch, Error>>,
        I::IntoIter: Send + 'static,
    {
        let compared = self.compared(input, rows.into_iter(), &[]).await?;
        self.take(compared)
    }

    /// Compares a table with its state before, and writes the files of what changed. `beside` are tables of the commit that are
    /// not added yet.
    async fn compared<I>(&self, mut input: TableInput, rows: I, beside: &[&TableCommit]) -> Result<Compared, Error>
    where
        I: Iterator<Item = Result<RecordBatch, Error>> + Send + 'static,
    {
        let known = self.base.table(self.base.number(), &input.source, &input.table).cloned();
        let is_append = self.base.is_append(self.base.number(), &input.source, &input.table);
        check_new(&input, &self.commit.tables)?;
        check(&input, known.as_ref(), is_append)?;
        let task = self.task(&input, checked(&input, rows));
        let mut table = unchanged(&input);
        let same_columns = known.as_ref().is_none_or(|known| known.schema_fingerprint == table.schema_fingerprint);
        let is_above = |table: &&TableCommit| table.source == input.source && input.above.contains(&table.table);
        let mut above = self.commit.tables.iter().chain(beside.iter().copied()).filter(is_above);
        let held_above = above.find(|table| table.held_back.is_some()).map(|table| table.table.clone());
        let against = (input.mode != ReadMode::Append)
            .then(|| Against { held_above, ..self.against(&input, known.as_ref(), same_columns) });
        // Sorting, hashing and encoding block for seconds: not where other tasks wait.
        let done = tokio::task::spawn_blocking(move || match against {
            Some(against) => task.compare(against),
            None => task.append(),
        });
        let outcome = done.await.unwrap_or_else(|stopped| {
            Err(Error::Io { action: "compare", path: input.table.clone(), source: stopped.into() })
        })?;
        record(outcome, &mut table, &mut input);
        if input.mode != ReadMode::Append {
            // A run that gives no cursor leaves the older one standing: reading more than needed is harmless, less is not.
            table.cursor = table.cursor.or_else(|| known.as_ref().and_then(|known| known.cursor.clone()));
        }
        Ok(Compared { input, table, same_columns: known.is_some() && same_columns })
    }

    fn take(&mut self, compared: Compared) -> Result<TableCommit, Error> {
        let Compared { input, table, same_columns } = compared;
        check_new(&input, &self.commit.tables)?;
        let mut kept = table.clone();
        if same_columns {
            kept.columns.clear();
        }
        self.commit.tables.push(kept);
        self.inputs.push(input);
        Ok(table)
    }

    fn task(&self, input: &TableInput, rows: Batches) -> Task {
        Task {
            target: Target {
                disk: Disk::new(&self.warehouse.store),
                folder: format!("data/{}/{}", input.source, input.table),
                commit: self.number(),
                limits: self.warehouse.limits,
                is_sorted: input.mode != ReadMode::Append,
            },
            table: input.table.clone(),
            columns: input.columns.clone(),
            rows,
        }
    }

    fn against(&self, input: &TableInput, known: Option<&TableCommit>, same_columns: bool) -> Against {
        let files = self.warehouse.files(&self.base, self.base.number(), &input.source, &input.table);
        Against {
            // Rows that are not read again stand under the run's columns from now on.
            previous: files.under(input.columns.clone()).keeping(),
            same_columns,
            totals: known.map(|known| known.control_totals.clone()),
            closable: closable_scopes(input),
            owners: input.owners.clone(),
            // Results of our own close by the hundred when a fault is repaired: only what a source says is doubted.
            is_doubted: !input.accept_deletes && input.source != SYSTEM_SOURCE,
            held_above: None,
        }
    }
}

fn record(outcome: Outcome, table: &mut TableCommit, input: &mut TableInput) {
    (table.inserted, table.updated, table.deleted) = (outcome.inserted, outcome.updated, outcome.deleted);
    (table.rows, table.control_totals) = (outcome.rows, outcome.totals);
    (table.changes_totals, table.projected_anew) = (outcome.changes_totals, outcome.projected_anew);
    (table.changes, table.state) = (outcome.changes, outcome.state);
    input.rejects.extend(outcome.duplicates);
    if let Some((reason, scopes)) = outcome.held_back {
        distrust(&mut input.coverage, &scopes, &reason);
        table.held_back = Some(reason);
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
    TableCommit {
        source: input.source.clone(),
        table: input.table.clone(),
        schema_fingerprint: super::fingerprint(&columns),
        columns,
        inserted: 0,
        updated: 0,
        deleted: 0,
        rows: 0,
        control_totals: super::commit::ColumnTotals::default(),
        changes_totals: super::commit::ColumnTotals::default(),
        projected_anew: false,
        changes: Vec::new(),
        state: Vec::new(),
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

/// What a scope's list left out is in doubt: no check may speak on it.
fn distrust(coverage: &mut [Coverage], scopes: &BTreeSet<String>, reason: &str) {
    for coverage in coverage.iter_mut().filter(|coverage| scopes.contains(&coverage.scope)) {
        coverage.status = CoverageStatus::Partial;
        coverage.error = Some(format!("held back: {reason}"));
    }
}

/// The rows of an input, which has none from then on: read from the disk as they are asked for.
fn taken_rows(input: &mut TableInput) -> Result<Batches, Error> {
    let held = std::mem::take(&mut input.batches).into_iter().map(Ok);
    Ok(match input.spooled.take() {
        Some(spooled) => Box::new(spooled.read(|_| true)?.chain(held)),
        None => Box::new(held),
    })
}

/// Whether a source's or table's name can be part of a path on every system.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.bytes().all(plain)
}

/// Refuses an input that breaks the layout, or that would put two kinds of rows into one table.
fn check(input: &TableInput, known: Option<&TableCommit>, is_append: bool) -> Result<(), Error> {
    let refuse = |reason: String| Err(refused(input, reason));
    if !is_name(&input.source) || !is_name(&input.table) {
        return refuse("names have letters, digits, `_`, `-` and `.` only, and do not begin with `.`".to_owned());
    }
    let has_rows = known.is_some_and(|known| known.rows > 0 || !known.changes.is_empty() || !known.state.is_empty());
    if input.mode == ReadMode::Append && has_rows && !is_append {
        return refuse("it is kept by key, rows cannot be appended to it".to_owned());
    }
    if input.mode != ReadMode::Append && is_append {
        return refuse("it is an append table, it cannot be compared by key".to_owned());
    }
    let mut names: HashSet<&str> = [KEY, SCOPE, RAW, HASH, EXTRACTED_AT, COMMIT, OP, HASH_BEFORE].into();
    if let Some((name, _)) = input.columns.iter().find(|(name, _)| !names.insert(name.as_str())) {
        return refuse(format!("column `{name}` stands twice or has a reserved name"));
    }
    Ok(())
}

/// Refuses a table that stands in the commit already.
fn check_new(input: &TableInput, added: &[TableCommit]) -> Result<(), Error> {
    if added.iter().any(|it| it.source == input.source && it.table == input.table) {
        return Err(refused(input, "it is part of this commit already".to_owned()));
    }
    Ok(())
}

fn refused(input: &TableInput, reason: String) -> Error {
    Error::Input { name: input.source.clone(), table: input.table.clone(), reason }
}

/// The rows as long as they fit what the input declares.
fn checked(input: &TableInput, rows: impl Iterator<Item = Result<RecordBatch, Error>> + Send + 'static) -> Batches {
    let (name, table, schema) = (input.source.clone(), input.table.clone(), input_schema(&input.columns));
    Box::new(rows.map(move |batch| {
        let batch = batch?;
        if fits(&batch, &schema) {
            return Ok(batch);
        }
        let reason = format!("its rows have the columns {:?}, declared are {schema:?}", batch.schema());
        Err(Error::Input { name: name.clone(), table: table.clone(), reason })
    }))
}

fn fits(batch: &RecordBatch, schema: &SchemaRef) -> bool {
    let found = batch.schema_ref().fields();
    let declared = found.iter().zip(schema.fields());
    let extra = found.get(schema.fields().len()..).unwrap_or_default();
    found.len() >= schema.fields().len()
        && declared.into_iter().all(|(it, field)| it.name() == field.name() && it.data_type() == field.data_type())
        && match extra {
            [] => true,
            [before] => before.name() == HASH_BEFORE && *before.data_type() == DataType::Utf8,
            _ => false,
        }
}
