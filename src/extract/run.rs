//! A run over one source: tables in the order of their parents, lists side by side, one outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use futures::{FutureExt as _, StreamExt as _};
use tieout_json::Cell;

use super::client::{Client, Meter};
use super::coverage::{AllEvidence, Amount, Evidence, judge};
use super::decode::cell_of;
use super::failure::{Error, Failure, FailureKind};
use super::gathered::{Gathered, kept};
use super::manifest::{Protocol, Table};
use super::order::order;
use super::pace::RateLimit;
use super::recheck::Changes;
use super::refresh::{Policy, Reading};
use super::scope::{Job, ParentRow, Reader, ScopeRead, scope_below};
use super::staging::Staging;
use super::{RequestStatistics, RunOptions, SourceOutcome, SourceSettings, cursor, files, key_mark, odbc};
use crate::warehouse::commit::SourceRun;
use crate::warehouse::rows::{Coverage, CoverageStatus, ReadMode, Reject, TableInput};
use crate::warehouse::{Error as WarehouseError, Spooled};

/// Reads a source. An error only when nothing could be read at all; a table that failed says so in its coverage.
///
/// Signs out in every case, also when `options.cancel` is cancelled.
pub async fn run(source: &SourceSettings, options: &RunOptions) -> Result<SourceOutcome, Error> {
    match source.manifest.system.protocol {
        Protocol::Files => return unless_cancelled(source, options, files::read(source, options)).await,
        Protocol::Odbc => return unless_cancelled(source, options, odbc::read(source, options)).await,
        Protocol::Rest => {}
    }
    let client = Client::new(source, &options.clock, &options.previous.limits)?;
    let meter = Meter::default();
    let outcome = unless_cancelled(source, options, read(source, options, &client, &meter)).await;
    client.session.sign_out(&client, &meter).await;
    outcome
}

/// What is read, unless `options.cancel` is cancelled before.
async fn unless_cancelled(
    source: &SourceSettings,
    options: &RunOptions,
    read: impl Future<Output = Result<SourceOutcome, Error>>,
) -> Result<SourceOutcome, Error> {
    let read = Box::pin(read);
    tokio::select! {
        outcome = read => outcome,
        () = options.cancel.cancelled() => Err(Error::Interrupted { name: source.name.clone() }),
    }
}

async fn read(
    source: &SourceSettings,
    options: &RunOptions,
    client: &Client,
    meter: &Meter,
) -> Result<SourceOutcome, Error> {
    let began_at = options.clock.now();
    let order = order(source, options.tables.as_deref())?;
    client.session.ensure(client, meter).await.map_err(|failure| nothing(source, failure))?;
    let started_at = client.started_by_server().unwrap_or(began_at);
    let place = options.staging.as_ref();
    let staging = place.and_then(|place| Staging::open(place, source, began_at, started_at));
    // What an earlier run read counts from its beginning: a cursor may not pass over what changed since.
    let (began_at, started_at) =
        staging.as_ref().map_or((began_at, started_at), |staging| (staging.began_at, staging.started_at));
    let staging = staging.as_ref();
    let previous = Some(&options.previous);
    let reader = Reader { source, client, started_at, staging, previous };
    let mut run = Run::new(source, options, &order);
    let deepest = order.iter().map(|(_, level)| *level).max().unwrap_or(0);
    for level in 0..=deepest {
        let tables: Vec<&Table> = order.iter().filter(|(_, at)| *at == level).map(|(table, _)| *table).collect();
        run.level(&reader, &tables).await?;
    }
    run.recheck(&reader, started_at - began_at).await?;
    let resumed = staging.map_or(0, Staging::resumed);
    // Of what an earlier run left, refusals may be the rest; a source that is out of reach may give it later.
    let is_nothing = |failure: &Failure| resumed == 0 || failure.kind != FailureKind::Denied;
    if client.answers.load(Ordering::Relaxed) == 0
        && let Some(failure) = run.first_failure.take_if(|failure| is_nothing(failure))
    {
        return Err(nothing(source, failure));
    }
    let outcome = run.finish(&order, began_at, started_at, meter)?;
    let mut limits = client.pace.limits().await;
    let of_month = source.quota.requests_per_month.or(source.manifest.rest.requests_per_month);
    limits.extend(of_month.map(RateLimit::of_month));
    Ok(SourceOutcome { resumed, limits, ..outcome })
}

pub(super) fn nothing(source: &SourceSettings, failure: Failure) -> Error {
    let name = source.name.clone();
    match failure.kind {
        FailureKind::Denied => Error::Denied { name, failure },
        FailureKind::NotFound | FailureKind::Refused | FailureKind::Unreachable | FailureKind::Other => {
            Error::Unavailable { name, failure }
        }
    }
}

pub(super) struct Run<'a> {
    pub(super) source: &'a SourceSettings,
    options: &'a RunOptions,
    pub(super) tables: BTreeMap<&'a str, Gathered>,
    policy: Policy<'a>,
    pub(super) evidence: AllEvidence,
    pub(super) changes: Changes,
    parents: BTreeSet<&'a str>,
    witnesses: BTreeSet<(&'a str, &'a str)>,
    first_failure: Option<Failure>,
}

impl<'a> Run<'a> {
    pub(super) fn new(source: &'a SourceSettings, options: &'a RunOptions, order: &[(&'a Table, usize)]) -> Self {
        let all = order.iter().map(|(table, _)| *table);
        Self {
            source,
            options,
            policy: Policy::new(&source.manifest, &options.previous, options.mode, options.clock.now()),
            tables: all.clone().map(|table| (table.name.as_str(), Gathered::default())).collect(),
            evidence: all.clone().map(|table| (table.name.clone(), Evidence::default())).collect(),
            parents: all.clone().flat_map(|table| table.parent.iter().map(String::as_str)).collect(),
            witnesses: all
                .flat_map(|table| table.witness.iter().filter_map(|witness| witness.split_once('.')))
                .collect(),
            changes: Changes::default(),
            first_failure: None,
        }
    }

    /// A table that is read whole, in one list; its meter.
    pub(super) fn begin(&mut self, table: &'a Table) -> Arc<Meter> {
        let gathered = self.tables.entry(table.name.as_str()).or_default();
        gathered.mode = Some(ReadMode::Full);
        Arc::clone(&gathered.meter)
    }

    /// The lists of a table that are read in this run, and its meter.
    pub(super) fn lists(&mut self, table: &'a Table) -> (Vec<Job<'a>>, Arc<Meter>) {
        self.let_go(table);
        let listed = self.jobs(table);
        let is_by_change = listed.iter().flatten().any(|job| job.cursor.is_some());
        let above = table.parent.iter().filter_map(|name| self.tables.get(name.as_str()));
        let rests = listed.iter().any(Option::is_none) || above.into_iter().any(|above| above.rests);
        let gathered = self.tables.entry(table.name.as_str()).or_default();
        gathered.mode = Some(if is_by_change { ReadMode::Incremental } else { ReadMode::Full });
        gathered.rests = rests;
        (listed.into_iter().flatten().collect(), Arc::clone(&gathered.meter))
    }

    /// The lists of a table that are read; none in place of each that rests.
    fn jobs(&self, table: &'a Table) -> Vec<Option<Job<'a>>> {
        let job = |scope: Arc<str>, parent: Option<Arc<ParentRow>>| {
            let cursor = match self.policy.reading(table, &scope, parent.as_deref()) {
                Reading::Rests => return None,
                Reading::Since(cursor) => Some(cursor),
                Reading::Whole => None,
            };
            Some(Job { table, scope, parent, cursor, is_probe: false })
        };
        if table.parent.is_empty() {
            return vec![job(Arc::from(""), None)];
        }
        let rows = self.rows_above(table).filter(|(_, is_chosen)| *is_chosen);
        rows.map(|(row, _)| job(scope_below(&row.scope, &row.key), Some(Arc::clone(row)))).collect()
    }

    /// The rows that lists of a table hang on, and whether this source wants the list below each.
    fn rows_above(&self, table: &'a Table) -> impl Iterator<Item = (&Arc<ParentRow>, bool)> {
        let parents = table.parent.iter().filter_map(|name| self.tables.get(name.as_str()));
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        parents.flat_map(|parent| &parent.parents).map(move |row| {
            let is_first = seen.insert(&row.scope);
            let declared = self.source.manifest.table(&row.table);
            let is_chosen = table.under.iter().all(|(column, setting)| {
                let Some(wanted) = self.source.value(setting) else { return is_first };
                let cell = declared.and_then(|declared| cell_of(declared, &row.cells, column));
                let found = cell.and_then(Cell::text).unwrap_or_default();
                found.trim().eq_ignore_ascii_case(wanted.trim())
            });
            (row, is_chosen)
        })
    }

    /// What was read below a record that is not chosen any more is nobody's now.
    fn let_go(&mut self, table: &'a Table) {
        let left = self.rows_above(table).filter(|(_, is_chosen)| !is_chosen);
        let left: Vec<Coverage> = left
            .map(|(row, _)| Coverage {
                scope: scope_below(&row.scope, &row.key).to_string(),
                project: row.project.clone(),
                status: CoverageStatus::EmptyVerified,
                rows: 0,
                expected_rows: None,
                observed_at: self.options.clock.now(),
                error: None,
            })
            .filter(|coverage| self.options.previous.had_rows(&table.name, &coverage.scope))
            .collect();
        if let Some(evidence) = self.evidence.get_mut(&table.name) {
            evidence.coverage.extend(left.into_iter().map(|coverage| (coverage.scope.clone(), coverage)));
        }
    }

    /// Reads all lists of tables whose parents are read.
    async fn level(&mut self, reader: &Reader<'a>, tables: &[&'a Table]) -> Result<(), Error> {
        let mut jobs = Vec::new();
        let mut progress = BTreeMap::new();
        for table in tables {
            let jobs_before = jobs.len();
            let (mode, rests) = if let Some(embedded) = &table.embedded {
                let owner = self.tables.get(embedded.table.as_str());
                (owner.and_then(|owner| owner.mode), owner.is_some_and(|owner| owner.rests))
            } else {
                let (listed, meter) = self.lists(table);
                jobs.extend(listed.into_iter().map(|job| (job, Arc::clone(&meter))));
                let gathered = self.tables.get(table.name.as_str());
                (gathered.and_then(|it| it.mode), gathered.is_some_and(|it| it.rests))
            };
            let Some(gathered) = self.tables.get_mut(table.name.as_str()) else { continue };
            (gathered.mode, gathered.rests) = (mode, rests);
            if table.embedded.is_some() {
                continue;
            }
            let bar = self.options.progress.table(&self.source.name, &table.name, jobs.len() - jobs_before);
            progress.insert(table.name.as_str(), bar);
        }
        let wanted = self.source.quota.concurrency.unwrap_or(usize::MAX);
        let concurrency = self.source.manifest.rest.concurrency.min(wanted).max(1);
        let read = |(job, meter): (Job<'a>, Arc<Meter>)| {
            let reader = *reader;
            async move { (job.table, reader.resume(job, &meter).await) }.boxed()
        };
        let reads: Vec<_> = jobs.into_iter().map(read).collect();
        // In order, so that the same answers always give the same outcome.
        let mut reads = futures::stream::iter(reads).buffered(concurrency);
        while let Some((table, reads)) = reads.next().await {
            let rows = reads.iter().map(|read| read.rows.len()).sum();
            for read in reads {
                self.take(read)?;
            }
            let requests = self.requests(&table.name);
            if let Some(bar) = progress.get_mut(table.name.as_str()) {
                bar.scope_done(rows, requests, reader.client.pace.remaining());
            }
        }
        for (name, bar) in progress {
            bar.finish(self.requests(name));
        }
        Ok(())
    }

    fn requests(&self, table: &str) -> u64 {
        self.tables.get(table).map_or(0, |gathered| gathered.meter.requests.load(Ordering::Relaxed))
    }

    /// Takes one scope's rows.
    pub(super) fn take(&mut self, mut read: ScopeRead<'a>) -> Result<(), Error> {
        let table = read.table;
        self.changes.note(&read);
        let project = read.parent.as_ref().and_then(|parent| parent.project.clone());
        let (Some(gathered), Some(evidence)) =
            (self.tables.get_mut(table.name.as_str()), self.evidence.get_mut(&table.name))
        else {
            // An embedded table that nobody asked for.
            return Ok(());
        };
        if self.first_failure.is_none() {
            self.first_failure = read.failure.take();
        }
        let keys = evidence.keys.entry(read.scope.to_string()).or_default();
        let is_one_list = self.source.manifest.has_one_list(table);
        let is_owner = gathered.mode == Some(ReadMode::Incremental) && self.source.manifest.owns_others(table);
        // Rows that may be read again wait for that.
        let waits = self.witnesses.iter().any(|(name, _)| *name == table.name);
        let mut count = 0;
        for row in read.rows {
            let row = row.map_err(|reason| kept(self.source, table, WarehouseError::unread(reason)))?;
            if !is_one_list && let Err(other) = gathered.scopes.claim(&row.key, &read.scope) {
                let reason = format!(
                    "the key `{}` is listed under scope `{other}` already; keys must be unique in a table",
                    row.key
                );
                let scope = read.scope.to_string();
                let raw = row.raw.as_str().to_owned();
                read.rejects.push(Reject { scope, reason: reason.clone(), raw, ..Reject::default() });
                read.status = CoverageStatus::Partial;
                read.error = read.error.or(Some(reason));
                continue;
            }
            count += 1;
            if let Some(Cell::Int64(number)) = table.after.as_deref().and_then(|name| cell_of(table, &row.cells, name))
            {
                gathered.greatest = gathered.greatest.max(Some(*number));
            }
            if is_owner {
                gathered.owners.push((row.key.clone(), Arc::clone(&read.scope)));
            }
            let is_set = |column: &Option<String>| {
                column.as_deref().and_then(|name| cell_of(table, &row.cells, name)).is_some_and(Cell::is_set)
            };
            let is_deleted = is_set(&table.deleted);
            // What a deleted record says of itself says nothing of the lists.
            for (_, column) in self.witnesses.iter().filter(|(name, _)| *name == table.name && !is_deleted) {
                let Some(cell) = cell_of(table, &row.cells, column).filter(|cell| !cell.is_zero()) else { continue };
                evidence.amounts.insert(Amount {
                    column: (*column).to_owned(),
                    is_known: *cell != Cell::Null,
                    project: project.clone(),
                    below: scope_below(&read.scope, &row.key).to_string(),
                });
            }
            if self.parents.contains(table.name.as_str()) {
                keys.insert(row.key.clone());
            }
            if self.parents.contains(table.name.as_str()) && !is_set(&table.childless) {
                let is_project = table.name == "projects";
                gathered.parents.push(Arc::new(ParentRow {
                    table: table.name.clone(),
                    key: row.key.clone(),
                    scope: Arc::clone(&read.scope),
                    cells: row.cells.clone(),
                    hash: row.hash.clone(),
                    project: if is_project { Some(row.key.clone()) } else { project.clone() },
                    is_deleted,
                    above: read.parent.clone(),
                }));
            }
            gathered.push(Arc::clone(&read.scope), row);
            if !waits {
                gathered.flush_full(self.source, table)?;
            }
        }
        gathered.rejects.append(&mut read.rejects);
        gathered.seen.merge(read.seen);
        let coverage = Coverage {
            scope: read.scope.to_string(),
            project,
            status: read.status,
            rows: count,
            expected_rows: read.expected,
            observed_at: read.observed_at,
            error: read.error,
        };
        evidence.coverage.insert(coverage.scope.clone(), coverage);
        Ok(())
    }

    pub(super) fn finish(
        mut self,
        order: &[(&'a Table, usize)],
        began_at: DateTime<Utc>,
        started_at: DateTime<Utc>,
        sign_in: &Meter,
    ) -> Result<SourceOutcome, Error> {
        let now = self.options.clock.now();
        let tables: Vec<&Table> = order.iter().map(|(table, _)| *table).collect();
        judge(self.source, &tables, self.options, &mut self.evidence, now);
        let owners: BTreeMap<&str, BTreeSet<String>> =
            tables.iter().map(|table| (table.name.as_str(), self.owners(table))).collect();
        let mut inputs = Vec::new();
        let mut requests = vec![statistics("", None, sign_in)];
        for table in &self.source.manifest.tables {
            let Some(mut gathered) = self.tables.remove(table.name.as_str()) else { continue };
            let rows = gathered.rows(self.source, table)?;
            let path = table.path.clone().or_else(|| (!table.view.is_empty()).then(|| table.view.join(", ")));
            requests.push(statistics(&table.name, path, &gathered.meter));
            let evidence = self.evidence.remove(&table.name).unwrap_or_default();
            let owners = owners.get(table.name.as_str()).cloned().unwrap_or_default();
            inputs.push(self.input(table, rows, gathered, evidence, owners, started_at));
        }
        let coverage = || inputs.iter().flat_map(|input| &input.coverage);
        let named = |fails: fn(CoverageStatus) -> bool| {
            let failing = inputs.iter().filter(|input| input.coverage.iter().any(|scope| fails(scope.status)));
            failing.map(|input| input.table.clone()).collect()
        };
        let run = SourceRun {
            source: self.source.name.clone(),
            system: self.source.manifest.system.name.clone(),
            started_at: began_at,
            finished_at: now,
            observed_at: coverage().map(|scope| scope.observed_at).min().unwrap_or(began_at).max(began_at),
            requests: requests.iter().map(|table| table.requests).sum(),
            retries: requests.iter().map(|table| table.retries).sum(),
            waited_seconds: requests.iter().map(|table| table.waited_seconds).sum(),
            incomplete_tables: named(|status| !status.is_complete()),
            unread_tables: Some(named(|status| !status.is_answered())),
            hash_key_mark: self.source.redaction_key.as_deref().map(key_mark),
        };
        Ok(SourceOutcome { run, tables: inputs, requests, resumed: 0, limits: Vec::new() })
    }

    /// The records that a table's rows lie inside of and that were read again with all of them, where not all were.
    fn owners(&self, table: &Table) -> BTreeSet<String> {
        let is_by_change =
            self.tables.get(table.name.as_str()).is_some_and(|it| it.mode == Some(ReadMode::Incremental));
        let owner = table.embedded.as_ref().filter(|_| is_by_change);
        let owner = owner.and_then(|embedded| self.source.manifest.table(&embedded.table));
        let Some(owner) = owner.filter(|owner| table.extends_key_of(owner)) else { return BTreeSet::new() };
        let coverage = self.evidence.get(&table.name).map(|evidence| &evidence.coverage);
        let is_whole = |scope: &str| {
            coverage.and_then(|coverage| coverage.get(scope)).is_some_and(|coverage| coverage.status.is_complete())
        };
        let read = self.tables.get(owner.name.as_str()).into_iter().flat_map(|gathered| &gathered.owners);
        read.filter(|(_, scope)| is_whole(scope)).map(|(key, _)| key.clone()).collect()
    }

    fn input(
        &self,
        table: &Table,
        (mut spooled, mut batches): (Option<Spooled>, Vec<RecordBatch>),
        gathered: Gathered,
        mut evidence: Evidence,
        mut owners: BTreeSet<String>,
        started_at: DateTime<Utc>,
    ) -> TableInput {
        let accepts = |name: &String| self.options.accept_deletes.contains(name);
        // Whoever confirms that bills are gone confirms their lines.
        let is_accepted =
            accepts(&table.name) || table.embedded.as_ref().is_some_and(|embedded| accepts(&embedded.table));
        let keys = std::mem::take(&mut evidence.keys);
        let is_listed = |scope: &str, key: &str| keys.get(scope).is_some_and(|keys| keys.contains(key));
        let has_vanished = || self.options.previous.keys(&table.name).any(|(scope, key)| !is_listed(scope, key));
        let asked = gathered.mode.unwrap_or(ReadMode::Full);
        // What some lists lack others may have.
        let seen_in = if gathered.rests { ReadMode::Incremental } else { asked };
        let mut drift = gathered.seen.drift(&self.source.manifest, table, seen_in, &self.options.previous);
        let policy = self.source.rules.drift.of(&table.name);
        if let Some(reason) = gathered.seen.freezes(table, seen_in, policy, &self.options.previous, &mut drift) {
            (spooled, batches) = (None, Vec::new());
            owners.clear();
            for coverage in evidence.coverage.values_mut() {
                coverage.status = CoverageStatus::Failed;
                (coverage.rows, coverage.error) = (0, Some(reason.clone()));
            }
        }
        let may_hide = table.may_hide || self.source.rules.picks(table);
        let mode = match asked {
            // Absence from a list that may hide proves nothing: that is what an incremental read says.
            ReadMode::Full if may_hide && !is_accepted && has_vanished() => ReadMode::Incremental,
            mode => mode,
        };
        // A list that is refused is read whole once it is not any more; one that failed may have been read by its changes.
        let is_complete = evidence.coverage.values().all(|coverage| coverage.status.is_answered());
        let previous = self.options.previous.cursor(&table.name);
        let cursor = match (&table.cursor, &table.after) {
            (Some(_), _) => cursor::next(previous, is_complete, started_at),
            (None, Some(_)) => cursor::next_number(previous, is_complete, gathered.greatest),
            (None, None) => None,
        };
        TableInput {
            source: self.source.name.clone(),
            table: table.name.clone(),
            above: table.owners().into_iter().map(str::to_owned).collect(),
            columns: table.column_types(),
            mode,
            spooled,
            batches,
            coverage: evidence.coverage.into_values().collect(),
            rejects: gathered.rejects,
            drift,
            cursor,
            accept_deletes: is_accepted,
            owners,
        }
    }
}

fn statistics(table: &str, path: Option<String>, meter: &Meter) -> RequestStatistics {
    RequestStatistics {
        table: table.to_owned(),
        requests: meter.requests.load(Ordering::Relaxed),
        retries: meter.retries.load(Ordering::Relaxed),
        waited_seconds: meter.waited_ms.load(Ordering::Relaxed) / 1000,
        bytes: meter.bytes.load(Ordering::Relaxed),
        path,
        p50_ms: meter.percentile(50),
        p99_ms: meter.percentile(99),
    }
}
