//! The schedule carried out, beside a server: each entry waits for its time, its command runs as a process of its own.
//!
//! Invariants: an entry never overlaps itself, for its next time is looked for when its run has ended; two commands that write
//! never run at once, for they queue. What cannot be written down (a full disk) is told, and the work goes on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use tokio::process::Command;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::stop::UNDER_SCHEDULE;
use super::super::{Global, alerts};
use super::{Entry, Plan, child, month_ends};
use crate::clock::Clock;
use crate::config::Config;
use crate::schedule::{Ending, LATE, Ledger, Outcome, ServerLock};

/// How long is slept at most before the clock is looked at again: machines sleep, clocks are set.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// Commands that take their moment from the schedule's clock where that is not the machine's.
const CLOCKED: [&str; 4] = ["extract", "pin", "month-end", "alerts"];
/// Sources become stale without any run: people are told within so long.
const TELL_EVERY: Duration = Duration::from_hours(1);
/// How long telling people may take.
const TELL_LIMIT: Duration = Duration::from_mins(15);

/// Carries a plan out until it is stopped.
pub(in crate::cli) struct Runner {
    /// What to do.
    pub(super) plan: Plan,
    /// What was done.
    pub(super) ledger: Ledger,
    /// What is waited for.
    pub(super) clock: Clock,
    /// Cancelled when the server ends.
    pub(super) stop: CancellationToken,
    /// A run that reads sources has ended.
    pub(super) extracted: Notify,
    /// A run has ended: there may be something to tell.
    ended: Notify,
    config: Config,
    program: PathBuf,
    options: Vec<OsString>,
    folder: PathBuf,
    /// One at a time writes to the warehouse, and one reads all of it.
    writers: Semaphore,
    readers: Semaphore,
    _lock: ServerLock,
}

/// A command that is due.
pub(super) struct Task<'a> {
    /// The entry's name.
    pub(super) entry: &'a str,
    /// The command and its arguments.
    pub(super) words: Vec<String>,
    /// When it was due.
    pub(super) due: DateTime<Utc>,
    /// Whether nobody was there to begin it then.
    pub(super) is_missed: bool,
    /// How long it takes at most.
    pub(super) limit: Duration,
    /// Whether it writes to the warehouse.
    pub(super) is_writer: bool,
}

impl Runner {
    /// Takes the workspace's schedule over, and ends what a server that died had begun.
    ///
    /// # Errors
    /// A plan that cannot be read, a ledger that cannot be written, another server that has the schedule.
    pub(in crate::cli) fn new(
        global: &Global,
        config: &Config,
        clock: Clock,
        stop: CancellationToken,
    ) -> Result<Arc<Self>> {
        let plan = Plan::read(config)?;
        let folder =
            std::path::absolute(Path::new(".").join(&config.directory)).context("find the folder of tieout.toml")?;
        let Some(lock) = ServerLock::take(&folder)? else {
            bail!(
                "serve --schedule: another server carries the schedule of {} out\nhint: one is enough; serve without --schedule",
                folder.display()
            );
        };
        let ledger = Ledger::of(&folder);
        let now = clock.now();
        ledger.end_lost(now)?;
        ledger.end_gone(now)?;
        for entry in &plan.entries {
            ledger.know(&entry.name, entry.cron.line(), now)?;
        }
        if let Some(months) = &plan.month_end {
            ledger.know(crate::config::MONTH_END, &months.line(), now)?;
        }
        Ok(Arc::new(Self {
            plan,
            ledger,
            clock,
            stop,
            extracted: Notify::new(),
            ended: Notify::new(),
            config: config.clone(),
            program: std::env::current_exe().context("find the own program")?,
            options: options(global)?,
            folder,
            writers: Semaphore::new(1),
            readers: Semaphore::new(1),
            _lock: lock,
        }))
    }

    /// Runs what is due until the server ends; ends what still runs then.
    pub(in crate::cli) async fn run(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        for entry in self.plan.entries.clone() {
            let runner = Arc::clone(&self);
            tasks.spawn(async move { runner.keep(&entry).await });
        }
        if let Some(months) = self.plan.month_end.clone() {
            let runner = Arc::clone(&self);
            tasks.spawn(async move { month_ends::keep(&runner, &months).await });
        }
        if self.config.alerts.has_receiver() {
            let runner = Arc::clone(&self);
            tasks.spawn(async move { runner.tell().await });
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the schedule ended by a bug: the others go on");
            }
        }
    }

    /// Carries an entry out, again and again.
    async fn keep(&self, entry: &Entry) {
        let zone = self.plan.zone;
        let told = self.ledger.read().unwrap_or_default();
        let mut handled = told.handled(&entry.name).unwrap_or_else(|| self.clock.now());
        while !self.stop.is_cancelled() {
            let now = self.clock.now();
            let Some(due) = entry.cron.last(now, zone).filter(|due| *due > handled) else {
                let next = entry.cron.after(now, zone);
                self.wait(next.map_or(LOOK_EVERY, |next| (next - now).to_std().unwrap_or_default())).await;
                continue;
            };
            let words = entry.words(due, zone);
            let task = Task {
                entry: &entry.name,
                words,
                due,
                is_missed: now - due > LATE,
                limit: entry.limit,
                is_writer: entry.is_writer(),
            };
            self.carry_out(task).await;
            handled = due;
            // What became due meanwhile is not run again at once: its turn is over.
            if let Some(passed) = entry.cron.last(self.clock.now(), zone).filter(|passed| *passed > handled)
                && !self.stop.is_cancelled()
            {
                self.skip(entry, passed);
                handled = passed;
            }
        }
    }

    /// Tells people what is new: at the start, after each run, when something that waits may go out, and each hour. A process of
    /// its own does it, for it asks the warehouse.
    async fn tell(&self) {
        let words = ["alerts", "send"].map(str::to_owned);
        let mut last: Option<Instant> = None;
        let mut is_news = true;
        while !self.stop.is_cancelled() {
            let now = self.clock.now();
            let waits = alerts::next(&self.config).unwrap_or_else(|error| {
                tracing::error!("what waits to be told cannot be read: {error:#}");
                None
            });
            if is_news || waits.is_some_and(|at| at <= now) || last.is_none_or(|last| last.elapsed() >= TELL_EVERY) {
                let told = child::run(self.command(&words), TELL_LIMIT, &self.stop).await;
                match told {
                    Ok(Ending { outcome: Outcome::Succeeded, .. }) => {}
                    Ok(_) if self.stop.is_cancelled() => {}
                    Ok(ending) => tracing::warn!("people are not told: {}", ending.error.unwrap_or_default()),
                    Err(error) => tracing::warn!(%error, "people are not told"),
                }
                last = Some(Instant::now());
            }
            let wait = waits.and_then(|at| (at - self.clock.now()).to_std().ok()).unwrap_or(LOOK_EVERY);
            is_news = tokio::select! {
                () = self.ended.notified() => true,
                () = self.wait(wait) => false,
            };
        }
    }

    /// Waits, but not longer than the clock can be trusted, and not after the server's end.
    pub(super) async fn wait(&self, time: Duration) {
        // A moment more, so that the time has come for sure.
        let time = time.min(LOOK_EVERY) + Duration::from_millis(10);
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Runs one command when its turn has come, and writes down how it went; none if the server ended before its turn.
    pub(super) async fn carry_out(&self, task: Task<'_>) -> Option<Ending> {
        let lane = if task.is_writer { &self.writers } else { &self.readers };
        let _turn = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            turn = lane.acquire() => turn.ok()?,
        };
        let started = self.clock.now();
        let (entry, command) = (task.entry, task.words.join(" "));
        let due = (task.due, task.is_missed);
        tracing::info!(entry, command, "scheduled run begins");
        let run = note(self.ledger.begin(Some(entry), &command, Some(due), started));
        let ending = child::run(self.command(&task.words), task.limit, &self.stop).await;
        let ending = ending.unwrap_or_else(|error| Ending {
            outcome: Outcome::Failed,
            exit_code: None,
            error: Some(format!("start {}: {error}", self.program.display())),
        });
        let (outcome, error) = (ending.outcome.as_str(), ending.error.as_deref().unwrap_or_default());
        if ending.outcome.is_failure() {
            tracing::error!(entry, command, outcome, exit_code = ending.exit_code, error, "scheduled run failed");
        } else {
            tracing::info!(entry, command, outcome, exit_code = ending.exit_code, "scheduled run ended");
        }
        if let Some(run) = run {
            note(self.ledger.end(&run, ending.clone(), self.clock.now()));
        }
        self.ended.notify_one();
        if task.words.first().is_some_and(|verb| verb == "extract")
            && matches!(ending.outcome, Outcome::Succeeded | Outcome::Incomplete)
        {
            self.extracted.notify_one();
        }
        Some(ending)
    }

    fn skip(&self, entry: &Entry, due: DateTime<Utc>) {
        let command = entry.words(due, self.plan.zone).join(" ");
        let now = self.clock.now();
        let error = Some("the run before had not ended".to_owned());
        if let Some(run) = note(self.ledger.begin(Some(&entry.name), &command, Some((due, false)), now)) {
            note(self.ledger.end(&run, Ending { outcome: Outcome::Skipped, exit_code: None, error }, now));
        }
    }

    /// The own program with a command.
    pub(super) fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.options).args(words).current_dir(&self.folder).env(UNDER_SCHEDULE, "1");
        if self.clock.is_given() && words.first().is_some_and(|verb| CLOCKED.contains(&verb.as_str())) {
            command.arg("--now").arg(self.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true));
        }
        command
    }
}

/// A ledger that cannot be written (a full disk) holds no work up.
pub(super) fn note<T>(written: Result<T>) -> Option<T> {
    written.inspect_err(|error| tracing::error!("a scheduled run is not written down: {error:#}")).ok()
}

/// The options that the server was started with, for its commands: paths mean the same wherever they run.
fn options(global: &Global) -> Result<Vec<OsString>> {
    let config = std::path::absolute(&global.config).with_context(|| format!("find {}", global.config.display()))?;
    let mut options: Vec<OsString> = vec!["--config".into(), config.into(), "--no-progress".into()];
    if let Some(url) = &global.warehouse {
        let url = if url.contains("://") { url.into() } else { std::path::absolute(url)?.into_os_string() };
        options.extend(["--warehouse".into(), url]);
    }
    Ok(options)
}
