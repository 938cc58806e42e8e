//! What work rests on: sources, definitions, the clock, the schedule, what ran last.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use tokio_util::sync::CancellationToken;

use super::Findings;
use crate::cli::schedule;
use crate::cli::workspace::{Setup, Workspace, engine_failure};
use crate::clock::Clock;
use crate::config::Config;
use crate::extract::TableCheck;
use crate::schedule::{Ledger, Outcome, ServerLock, Watched};
use crate::warehouse::rows::CoverageStatus;

/// A proof older than this is worth a word.
const PROOF_DAYS: i64 = 35;

/// Manifest, settings and secrets of each source.
pub(super) fn sources(config: &Config, setup: &Setup, findings: &mut Findings) {
    if config.sources.is_empty() {
        findings.problem(2, "sources", "there is none: nothing to read", "`tieout init DIR` writes an example");
    }
    for (name, source) in &config.sources {
        match setup.sources(std::slice::from_ref(name)) {
            Ok(read) => {
                let tables: usize = read.iter().map(|source| source.manifest.tables.len()).sum();
                findings.ok(name, format!("{}: settings and secrets are there, {tables} tables", source.kind));
            }
            Err(failure) => findings.error(2, name, &failure.error),
        }
    }
}

/// The SQL in force: does it plan?
pub(super) async fn definitions(workspace: &Workspace, findings: &mut Findings) {
    let engine = match workspace.engine().await {
        Ok(engine) => engine,
        Err(failure) => return findings.error(failure.code, "definitions", &failure.error),
    };
    let problems = engine.problems().await;
    for problem in &problems {
        let says = format!("{}: {}", problem.path, problem.reason);
        findings.problem(2, "definitions", says, "`tieout manifest lint` explains a system's files");
    }
    if problems.is_empty() {
        findings.ok("definitions", "all views can be planned");
    }
    let session = engine.session(&crate::engine::SessionRequest::default()).await.map_err(engine_failure);
    if let Err(failure) = session {
        findings.error(failure.code, "warehouse", &failure.error);
    }
}

/// The zone, and a clock that may be believed.
pub(super) fn clock(config: &Config, now: DateTime<Utc>, findings: &mut Findings) {
    let zone: Tz = config.firm.timezone.parse().unwrap_or(Tz::UTC);
    findings.ok("time", format!("{} in {}", now.with_timezone(&zone).format("%F %H:%M %Z"), config.firm.timezone));
    if config.firm.timezone == "UTC" {
        let hint = "[firm] timezone = \"America/Chicago\": days and months end there";
        findings.warn("time", "the firm's zone is UTC", hint);
    }
}

/// What runs by itself, what ran last, and the last proof.
pub(super) fn schedule(config: &Config, now: DateTime<Utc>, findings: &mut Findings) {
    let told = match Ledger::of(&config.directory).read() {
        Ok(told) => told,
        Err(error) => return findings.error(2, "schedule", &error),
    };
    let zone: Tz = config.firm.timezone.parse().unwrap_or(Tz::UTC);
    if !config.schedule.is_empty() {
        match schedule::watch(config, Clock::given(now)) {
            Err(error) => findings.error(2, "schedule", &error),
            Ok(watch) => {
                for entry in watch.entries_of(&told) {
                    scheduled(&entry, zone, findings);
                }
                if !ServerLock::is_taken(&config.directory) {
                    let hint = "`tieout serve --schedule`, as a service; docs/schedule.md";
                    findings.warn("schedule", "no server carries it out now", hint);
                }
            }
        }
    }
    match told.last_of("verify") {
        None => findings.warn("proof", "no `tieout verify` is known here", "run it weekly; docs/operate.md"),
        Some(run) if run.outcome != Outcome::Succeeded => {
            let says = format!("the last one failed: {}", schedule::last(run, zone));
            findings.problem(4, "proof", says, "keep the warehouse as it is; docs/operate.md");
        }
        Some(run) if now - run.started_at > TimeDelta::days(PROOF_DAYS) => {
            let says = format!("the last one is of {}", schedule::moment(run.started_at, zone));
            findings.warn("proof", says, "run `tieout verify` weekly");
        }
        Some(run) => findings.ok("proof", format!("`{}` of {}", run.command, schedule::last(run, zone))),
    }
    if let Some(run) = told.last_of("extract").filter(|run| run.outcome.is_failure()) {
        let says = format!("the last extract failed: {}", schedule::last(run, zone));
        findings.problem(3, "sources", says, "`tieout check`, `tieout extract`");
    }
}

/// An entry of the schedule: when it is due next, whether it failed or was missed.
fn scheduled(entry: &Watched, zone: Tz, findings: &mut Findings) {
    const ABOUT: &str = "schedule";
    let name = &entry.name;
    match entry.next {
        Some(next) => findings.ok(ABOUT, format!("{name} runs next {}", schedule::moment(next, zone))),
        None => findings.problem(
            2,
            ABOUT,
            format!("{name}: `{}` names a day that never comes", entry.when),
            "[schedule] in tieout.toml",
        ),
    }
    if let Some(run) = entry.failed() {
        let says = format!("{name} failed last: {}", schedule::last(run, zone));
        findings.warn(ABOUT, says, "`tieout schedule`, meta.scheduled_runs");
    }
    if let Some(due) = entry.missed {
        let says = format!("{name} was due {} and has not begun", schedule::moment(due, zone));
        findings.warn(ABOUT, says, "`tieout serve --schedule` catches it up");
    }
}

/// Each source asked, as `tieout check` does.
pub(super) async fn access(setup: &Setup, stop: &CancellationToken, findings: &mut Findings) {
    for name in setup.config.sources.keys() {
        // What is missing of its settings was told before.
        let Ok(sources) = setup.sources(std::slice::from_ref(name)) else { continue };
        for source in sources {
            match crate::extract::check(&source, &Clock::Machine, stop).await {
                Err(error) => findings.error(3, name, &error.into()),
                Ok(checks) => {
                    let is_refused = |check: &&TableCheck| {
                        matches!(
                            check.status,
                            CoverageStatus::Forbidden | CoverageStatus::NotFound | CoverageStatus::Failed
                        )
                    };
                    let refused: Vec<&str> =
                        checks.iter().filter(is_refused).map(|check| check.table.as_str()).collect();
                    if refused.is_empty() {
                        findings.ok(name, format!("answers: {} tables can be read", checks.len()));
                    } else {
                        let says = format!("answers, but not to all: {}", refused.join(", "));
                        findings.problem(3, name, says, &format!("`tieout check --source {name}` says why"));
                    }
                }
            }
        }
    }
}
