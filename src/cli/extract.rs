//! `tieout extract`: extract, prepare, check, publish. The one place where sources, warehouse and engine meet.
//!
//! Invariant: nothing is visible until the checks have run on the prepared commit and the manifest is put. If another run
//! committed in between, this one is prepared again on the new head and its checks run again; no rows are lost.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use arrow::array::{ArrayRef, Int64Array, StringArray};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::gaps::{self, Gap};
use super::previous::previous_tables;
use super::workspace::Workspace;
use super::{Failure, Global, INCOMPLETE, Stop, rekey, trouble};
use crate::clock::Clock;
use crate::config::Window;
use crate::engine::{Engine, Evaluation, Verdict};
use crate::extract::{
    Error, Progress, RateLimit, RequestStatistics, RunOptions, SourceOutcome, SourceSettings, StagingPlace,
    did_you_mean, remove_staged, remove_stale,
};
use crate::warehouse::commit::{Commit, CommitKind, Head};
use crate::warehouse::rows::{self, ColumnType, ReadMode, TableInput};
use crate::warehouse::{CommitHeader, Error as WarehouseError, Prepared, SystemTable, Warehouse};

/// How often a run is prepared again because another one committed first.
const REBASE_ATTEMPTS: usize = 5;

/// The largest file of lists that wait for their commit, for each source: years of a large firm.
const STAGING_BYTES_MAX: u64 = 4 << 30;

/// Arguments of `extract`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct ExtractArguments {
    /// Only these sources
    #[arg(long = "source", value_name = "S")]
    sources: Vec<String>,
    /// Only these tables (their parents are read too)
    #[arg(long = "table", value_name = "T")]
    tables: Vec<String>,
    /// Read every record: the default
    #[arg(long, conflicts_with = "incremental")]
    full: bool,
    /// Read what changed since the last run, where a table has a cursor
    #[arg(long)]
    incremental: bool,
    /// Say what it will cost, and read nothing
    #[arg(long)]
    plan: bool,
    /// Confirm that this table's mass deletion is real
    #[arg(long = "accept-deletes", value_name = "T")]
    accept_deletes: Vec<String>,
    /// Go on where a run stopped that ended less than 12 hours ago: the default
    #[arg(long, conflicts_with = "anew")]
    resume: bool,
    /// Read again what a stopped run had read
    #[arg(long)]
    anew: bool,
    /// Stop after this time, such as 30m; the next run goes on
    #[arg(long, value_name = "TIME")]
    window: Option<Window>,
    /// The run's moment, for simulations: recorded for ever in the commit
    #[arg(long, value_name = "T")]
    now: Option<DateTime<Utc>>,
}

impl ExtractArguments {
    /// Whether it reads sources, and does not only say what that would cost.
    pub(super) fn reads(&self) -> bool {
        !self.plan
    }

    /// The clock that it goes by.
    pub(super) fn clock(&self) -> Clock {
        self.now.map_or(Clock::Machine, Clock::given)
    }
}

/// One run over some sources.
#[derive(Clone)]
pub(super) struct RunRequest {
    /// The run's clock.
    pub(super) clock: Clock,
    /// Tables to read; all if empty.
    pub(super) tables: Vec<String>,
    /// Full or incremental.
    pub(super) mode: ReadMode,
    /// Tables whose mass deletion was confirmed.
    pub(super) accept_deletes: Vec<String>,
    /// Where progress shows.
    pub(super) progress: Progress,
    /// Whether it goes on with what a stopped run read; none keeps nothing for a next one.
    pub(super) resumes: Option<bool>,
    /// How long it takes at most, whatever the sources' settings.
    pub(super) window: Option<Duration>,
    /// Who may stop it.
    pub(super) stop: Stop,
}

/// What a run ended in.
pub(super) struct RunReport {
    /// The commit that made it visible.
    pub(super) commit: Arc<Commit>,
    /// What the checks said.
    pub(super) evaluation: Evaluation,
    /// Why sources could not be read at all.
    pub(super) failures: Vec<String>,
    /// What was not read to its end.
    pub(super) gaps: Vec<Gap>,
    /// Lists that a stopped run had read.
    pub(super) resumed: u64,
}

pub(super) async fn run(global: &Global, arguments: &ExtractArguments) -> Result<u8, Failure> {
    let stop = Stop::listen()?;
    let workspace = Workspace::open(global).await?;
    let sources = workspace.setup.sources(&arguments.sources)?;
    check_names(&sources, &arguments.tables, "--table")?;
    check_names(&sources, &arguments.accept_deletes, "--accept-deletes")?;
    let clock = arguments.clock();
    if arguments.plan {
        return super::plan::run(&workspace, &sources, &arguments.tables, &clock).await;
    }
    let engine = workspace.engine().await?;
    let request = RunRequest {
        clock,
        tables: arguments.tables.clone(),
        mode: if arguments.incremental { ReadMode::Incremental } else { ReadMode::Full },
        accept_deletes: arguments.accept_deletes.clone(),
        progress: if global.no_progress || global.quiet { Progress::silent() } else { Progress::stderr() },
        resumes: Some(!arguments.anew),
        window: arguments.window.map(|Window(span)| span),
        stop,
    };
    remove_stale(&workspace.setup.config.directory);
    let report = run_once(&workspace, &engine, &sources, request).await?;
    // What happened is in the commit and in the exit code: a closed stderr changes neither.
    let _ = tell(&report, global.quiet);
    if !report.failures.is_empty() {
        let reasons = report.failures.join("\n");
        return Err(Failure::source(anyhow!("the others are committed, but this could not be read\n{reasons}")));
    }
    Ok(if report.is_complete() { 0 } else { INCOMPLETE })
}

/// Extracts, checks and commits once.
///
/// # Errors
/// No source could be read (nothing is committed), a source held by another run, a warehouse that fails.
pub(super) async fn run_once(
    workspace: &Workspace,
    engine: &Engine,
    sources: &[SourceSettings],
    request: RunRequest,
) -> Result<RunReport, Failure> {
    let mut locks = Vec::new();
    for source in sources {
        locks.push(workspace.warehouse.lock_source(&source.name).await.map_err(locked)?);
    }
    let head = workspace.warehouse.head().await.map_err(Failure::warehouse)?;
    let is_rekeyed = rekey::check(&head, workspace.setup.config.sources.keys(), sources, &request)?;
    let (outcomes, failures) = read_sources(workspace, &head, sources, &request).await?;
    if is_rekeyed && let Err(failure) = rekey::is_whole(&outcomes, &failures) {
        // What was read waits for the next run, but not what was half of a list.
        let half = |source: &&SourceSettings| {
            outcomes.iter().any(|it| it.run.source == source.name && !it.run.unread().is_empty())
        };
        sources.iter().filter(half).for_each(|source| remove_staged(&staging_path(workspace, source)));
        return Err(failure);
    }
    let definitions = workspace.setup.definitions.to_json();
    let definitions = workspace.warehouse.put_definitions(&definitions).await.map_err(Failure::warehouse)?;
    for _ in 0..REBASE_ATTEMPTS {
        let (prepared, evaluation, gaps) = tokio::select! {
            biased;
            prepared = Box::pin(prepare(workspace, engine, sources, &outcomes, &definitions, &request)) => prepared?,
            () = request.stop.asked() => return Err(interrupted(&request)),
        };
        // Not to be stopped any more: it is one file, there or not.
        match workspace.warehouse.publish(prepared).await {
            Ok(head) => {
                // What a source that failed had given waits for the next run.
                let is_committed = |source: &&SourceSettings| outcomes.iter().any(|it| it.run.source == source.name);
                for source in sources.iter().filter(is_committed) {
                    remove_staged(&staging_path(workspace, source));
                }
                remove_dropped(&workspace.warehouse).await;
                let commit =
                    head.commits.last().map(Arc::clone).ok_or_else(|| Failure::warehouse(anyhow!("empty chain")))?;
                let resumed = outcomes.iter().map(|outcome| outcome.resumed).sum();
                return Ok(RunReport { commit, evaluation, failures, gaps, resumed });
            }
            Err(WarehouseError::Conflict { .. }) => {
                tracing::info!("another run committed first: preparing again on its head");
            }
            Err(error) => return Err(Failure::warehouse(error)),
        }
    }
    Err(Failure::warehouse(anyhow!(
        "other runs committed first {REBASE_ATTEMPTS} times: nothing was committed\nhint: run again when they are done"
    )))
}

/// The commit of a run with its checks, visible to nobody yet; and what is incomplete in it.
async fn prepare(
    workspace: &Workspace,
    engine: &Engine,
    sources: &[SourceSettings],
    outcomes: &[SourceOutcome],
    definitions: &str,
    request: &RunRequest,
) -> Result<(Prepared, Evaluation, Vec<Gap>), Failure> {
    let observed_at = observed_at(outcomes);
    let header = CommitHeader {
        kind: CommitKind::Extract,
        clock: &request.clock,
        definitions: definitions.to_owned(),
        runs: outcomes.iter().map(|outcome| outcome.run.clone()).collect(),
        observed_at: observed_at.unwrap_or_else(|| request.clock.now()),
    };
    let mut prepared = workspace.warehouse.prepare(header).await.map_err(Failure::warehouse)?;
    let tables = outcomes.iter().flat_map(|outcome| &outcome.tables).cloned();
    prepared.add_all(tables).await.map_err(Failure::warehouse)?;
    let gaps = gaps::gaps(prepared.inputs(), sources);
    engine.record_coverage(&mut prepared).await.map_err(Failure::warehouse)?;
    let requests = requests_table(outcomes, &request.clock).map_err(Failure::warehouse)?;
    let limits = limits_table(outcomes, &request.clock).map_err(Failure::warehouse)?;
    prepared.add_all([requests, limits]).await.map_err(Failure::warehouse)?;
    let evaluation = engine.evaluate(&mut prepared).await.map_err(Failure::warehouse)?;
    prepared.drop_superseded(&super::vacuum::retention(&workspace.setup.config).map_err(Failure::usage)?);
    Ok((prepared, evaluation, gaps))
}

/// When a run's sources were looked at. An export that is older than the run is as old as it is, and makes nothing else older:
/// beside a source that was asked now it may be out of date. Where there are exports alone, the newest is the moment.
fn observed_at(outcomes: &[SourceOutcome]) -> Option<DateTime<Utc>> {
    let moments = || outcomes.iter().map(|outcome| (outcome.run.observed_at, outcome.run.started_at));
    let asked = moments().filter(|(observed_at, started_at)| observed_at >= started_at).map(|(at, _)| at).min();
    asked.or_else(|| moments().map(|(at, _)| at).max())
}

/// Gives back the space of states that were dropped long enough ago. The run is committed whatever becomes of it.
async fn remove_dropped(warehouse: &Warehouse) {
    let safety = TimeDelta::hours(i64::from(super::vacuum::SAFETY_HOURS));
    match warehouse.remove_dropped(safety).await {
        Ok(count) => tracing::info!(count, "removed the files of dropped states"),
        Err(error) => tracing::warn!(%error, "the files of dropped states stay until the next run"),
    }
}

fn interrupted(request: &RunRequest) -> Failure {
    let hint = match request.resumes {
        Some(_) => "run again within 12 hours, it goes on with what was read",
        None => "run again, it starts anew",
    };
    request.stop.failure(&format!("sessions are closed, nothing of this run was committed\nhint: {hint}"))
}

/// The time was up before everything was read. Not an error of anybody, but no answer either: the code of what is incomplete.
fn out_of_time() -> Failure {
    let text = "the window is over, sessions are closed, nothing of this run was committed yet\n\
                hint: run again within 12 hours, it goes on with what was read";
    Failure { code: INCOMPLETE, error: anyhow!(text) }
}

/// Where a source's lists wait for their commit.
fn staging_path(workspace: &Workspace, source: &SourceSettings) -> PathBuf {
    let id: String = workspace.warehouse.id().chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    StagingPlace::path(&workspace.setup.config.directory, &source.name, &id)
}

fn staging(workspace: &Workspace, head: &Head, source: &SourceSettings, resumes: bool) -> StagingPlace {
    let is_of_source = |commit: &&Arc<Commit>| commit.runs.iter().any(|run| run.source == source.name);
    let last = head.commits.iter().rev().find(is_of_source).map_or(0, |commit| commit.number);
    StagingPlace {
        path: staging_path(workspace, source),
        base: format!("{} {last}", workspace.warehouse.id()),
        bytes_max: STAGING_BYTES_MAX,
        resumes,
    }
}

/// Cancelled when a person stops the run, or when its time is up.
fn time_limit(request: &RunRequest, source: &SourceSettings) -> CancellationToken {
    let token = request.stop.token().child_token();
    if let Some(window) = request.window.or(source.quota.window) {
        let token = token.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(window) => token.cancel(),
                () = token.cancelled() => {}
            }
        });
    }
    token
}

/// Refuses a table that no source has.
fn check_names(sources: &[SourceSettings], tables: &[String], option: &str) -> Result<(), Failure> {
    let known = || sources.iter().flat_map(|source| source.manifest.tables.iter().map(|table| table.name.as_str()));
    if let Some(table) = tables.iter().find(|table| !known().any(|name| name == *table)) {
        let guess = did_you_mean(table, known());
        let all = sources.iter().map(|source| {
            let tables: Vec<&str> = source.manifest.tables.iter().map(|table| table.name.as_str()).collect();
            format!("{}: {}", source.name, tables.join(", "))
        });
        let all = all.collect::<Vec<_>>().join("; ");
        return Err(Failure::usage(anyhow!("{option} {table}: no source has this table{guess}\nhint: {all}")));
    }
    Ok(())
}

fn locked(error: WarehouseError) -> Failure {
    match error {
        WarehouseError::Locked { .. } => Failure::locked(error),
        other => Failure::warehouse(other),
    }
}

/// Reads all sources side by side. One that cannot be read at all does not stop the others; if none can, nothing is committed.
async fn read_sources(
    workspace: &Workspace,
    head: &Head,
    sources: &[SourceSettings],
    request: &RunRequest,
) -> Result<(Vec<SourceOutcome>, Vec<String>), Failure> {
    let (mut runs, mut knowns) = (Vec::new(), Vec::new());
    for source in sources {
        let options = RunOptions {
            clock: request.clock.clone(),
            tables: (!request.tables.is_empty()).then(|| tables_of(source, &request.tables)),
            mode: request.mode,
            previous: previous_tables(&workspace.warehouse, head, source, request.mode)
                .await
                .map_err(Failure::warehouse)?,
            accept_deletes: request.accept_deletes.clone(),
            progress: request.progress.clone(),
            staging: request.resumes.map(|resumes| staging(workspace, head, source, resumes)),
            cancel: time_limit(request, source),
        };
        knowns.push(options.previous.clone());
        // A task each: reading pages is work too.
        let source = source.clone();
        let run = async move { crate::extract::run(&source, &options).await };
        runs.push(AbortOnDropHandle::new(tokio::spawn(run)));
    }
    let results = join_all(runs).await;
    // Also if one was quick enough to finish: half of a run is none.
    if request.stop.token().is_cancelled() {
        return Err(interrupted(request));
    }
    if results.iter().any(|result| matches!(result, Ok(Err(Error::Interrupted { .. })))) {
        return Err(out_of_time());
    }
    let firm = super::workspace::statuses(&workspace.setup.config).map_err(Failure::usage)?;
    let (mut outcomes, mut failures) = (Vec::new(), Vec::new());
    for (result, known) in results.into_iter().zip(knowns) {
        match result {
            Ok(Ok(mut outcome)) => {
                super::words::tell(&mut outcome, &workspace.setup.definitions, &firm, &known);
                outcomes.push(outcome);
            }
            Ok(Err(error)) => failures.push(trouble::text(&anyhow::Error::from(error))),
            Err(panicked) => failures.push(panicked.to_string()),
        }
    }
    if outcomes.is_empty() {
        return Err(Failure::source(anyhow!("nothing could be read, nothing was committed\n{}", failures.join("\n"))));
    }
    Ok((outcomes, failures))
}

/// The tables among those asked for that a source has.
pub(super) fn tables_of(source: &SourceSettings, wanted: &[String]) -> Vec<String> {
    let known = source.manifest.tables.iter().map(|table| table.name.clone());
    known.filter(|name| wanted.contains(name)).collect()
}

/// What the run's requests cost, as rows to append.
fn requests_table(outcomes: &[SourceOutcome], clock: &Clock) -> Result<TableInput, WarehouseError> {
    let requests: Vec<(&str, &RequestStatistics)> = outcomes
        .iter()
        .flat_map(|outcome| outcome.requests.iter().map(|statistics| (outcome.run.source.as_str(), statistics)))
        .collect();
    let text = |get: fn(&(&str, &RequestStatistics)) -> String| -> ArrayRef {
        Arc::new(requests.iter().map(|row| Some(get(row))).collect::<StringArray>())
    };
    let count = |get: fn(&RequestStatistics) -> u64| -> ArrayRef {
        Arc::new(requests.iter().map(|(_, row)| i64::try_from(get(row)).ok()).collect::<Int64Array>())
    };
    let time = |get: fn(&RequestStatistics) -> Option<u64>| -> ArrayRef {
        let times = requests.iter().map(|(_, row)| get(row).and_then(|time| i64::try_from(time).ok()));
        Arc::new(times.collect::<Int64Array>())
    };
    let paths = requests.iter().map(|(_, row)| row.path.as_deref());
    SystemTable {
        table: "requests",
        mode: ReadMode::Append,
        keys: requests.iter().map(|(source, row)| rows::join_key([*source, row.table.as_str()])).collect(),
        scopes: None,
        extracted_at: vec![clock.now(); requests.len()],
        columns: vec![
            ("source", ColumnType::Text, text(|(source, _)| (*source).to_owned())),
            ("table_name", ColumnType::Text, text(|(_, row)| row.table.clone())),
            ("requests", ColumnType::Int64, count(|row| row.requests)),
            ("retries", ColumnType::Int64, count(|row| row.retries)),
            ("waited_seconds", ColumnType::Int64, count(|row| row.waited_seconds)),
            ("bytes", ColumnType::Int64, count(|row| row.bytes)),
            ("path", ColumnType::Text, Arc::new(paths.collect::<StringArray>())),
            ("p50_ms", ColumnType::Int64, time(|row| row.p50_ms)),
            ("p99_ms", ColumnType::Int64, time(|row| row.p99_ms)),
        ],
    }
    .into_input()
}

/// The rate limits that the sources told, as rows to append.
fn limits_table(outcomes: &[SourceOutcome], clock: &Clock) -> Result<TableInput, WarehouseError> {
    let limits: Vec<(&str, RateLimit)> = outcomes
        .iter()
        .flat_map(|outcome| outcome.limits.iter().map(|limit| (outcome.run.source.as_str(), *limit)))
        .collect();
    let numbers = |get: fn(&RateLimit) -> u32| -> ArrayRef {
        Arc::new(limits.iter().map(|(_, limit)| Some(i64::from(get(limit)))).collect::<Int64Array>())
    };
    SystemTable {
        table: "rate_limits",
        mode: ReadMode::Append,
        keys: limits.iter().map(|(source, limit)| rows::join_key([*source, &limit.requests.to_string()])).collect(),
        scopes: None,
        extracted_at: vec![clock.now(); limits.len()],
        columns: vec![
            (
                "source",
                ColumnType::Text,
                Arc::new(limits.iter().map(|(source, _)| Some(*source)).collect::<StringArray>()),
            ),
            ("limit_requests", ColumnType::Int64, numbers(|limit| limit.requests)),
            ("window_seconds", ColumnType::Int64, numbers(|limit| limit.window_seconds)),
        ],
    }
    .into_input()
}

/// Says what was committed and what is missing; `quiet` says only what somebody must look at.
fn tell(report: &RunReport, quiet: bool) -> std::io::Result<()> {
    let mut out = std::io::stderr().lock();
    let commit = &report.commit;
    let changed: u64 = commit
        .tables
        .iter()
        .filter(|table| table.source != rows::SYSTEM_SOURCE)
        .map(|table| table.inserted + table.updated + table.deleted)
        .sum();
    let requests: u64 = commit.runs.iter().map(|run| run.requests).sum();
    if !quiet {
        writeln!(out, "commit {}: {changed} records changed, {requests} requests", commit.number)?;
        if report.resumed > 0 {
            writeln!(out, "{} lists were read before, by a run that did not end", report.resumed)?;
        }
    }
    let gaps: Vec<&Gap> = report.gaps.iter().filter(|gap| !(quiet && gap.is_harmless())).collect();
    let hints = gaps::tell(&gaps, &mut out)?;
    for (reason, checks) in report.not_evaluated() {
        writeln!(out, "not evaluated: {} {reason}", checks.join(" "))?;
    }
    for hint in hints {
        writeln!(out, "{hint}")?;
    }
    Ok(())
}

impl RunReport {
    /// Whether everything was read and every check could look. A list that may be empty for want of a permission is a gap for
    /// the checks that rest on it, and for nobody else.
    fn is_complete(&self) -> bool {
        self.gaps.iter().all(Gap::is_harmless) && self.not_evaluated().is_empty()
    }

    /// Checks that could not look, or not everywhere, by their reason.
    fn not_evaluated(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut silent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for check in &self.evaluation.checks {
            if matches!(check.verdict, Verdict::NotEvaluated | Verdict::Partial) {
                silent.entry(check.reason.as_deref().unwrap_or_default()).or_default().push(&check.check);
            }
        }
        silent
    }
}
