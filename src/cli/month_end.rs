//! `tieout month-end`: pins a month that has ended, once every source was read completely after its end, and writes its reports.
//!
//! Exit codes: 0 pinned (or it was) and reported; 5 not ready: nothing was pinned, and why; else as every command.
//! Invariant: a pin that exists is not moved.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use chrono::{DateTime, Datelike as _, Months, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use clap::Args;

use super::chain::{Chain, NO_SUCH_MONTH, first_of_month, moment_failure};
use super::report::{Format, write_month};
use super::{Failure, Global, INCOMPLETE};
use crate::clock::Clock;
use crate::config::Config;
use crate::schedule::{Ledger, Outcome, Told};
use crate::warehouse::commit::{Commit, Head};
use crate::warehouse::{AsOf, Error as WarehouseError, NewPin, end_of_day};

/// Arguments of `month-end`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tieout month-end                                last month, into the folder reports
  tieout month-end 2026-10 --reports /srv/reports

Exit codes: 5 a source was not read completely since the month ended, failed last, or is stale: nothing was pinned;
0 the month is pinned, by this run or an earlier one, and its reports are written.")]
pub(super) struct MonthEndArguments {
    /// The month, as 2026-10; else the last one
    month: Option<String>,
    /// The folder of reports, relative to the settings
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
    /// The moment, for simulations: recorded for ever in the commit
    #[arg(long, value_name = "T")]
    now: Option<DateTime<Utc>>,
}

pub(super) async fn run(global: &Global, arguments: &MonthEndArguments) -> Result<u8, Failure> {
    let config = Config::load(&global.config).map_err(Failure::usage)?;
    let chain = Chain::open(global).await?;
    let clock = arguments.now.map_or(Clock::Machine, Clock::given);
    let now = clock.now();
    let month = match &arguments.month {
        Some(words) => first_of_month(words, &format!("month-end {words}"))?,
        None => {
            last_month(now, chain.zone).ok_or_else(|| Failure::usage(anyhow!("month-end: no month before this")))?
        }
    };
    let name = pin_name(month);
    let told = Ledger::of(&config.directory).read().unwrap_or_default();
    if chain.head.pin(&name).is_ok() {
        let _ = writeln!(std::io::stderr(), "{name} is pinned already: the pin stays where it is");
    } else {
        let asked = Asked { config: &config, head: &chain.head, told: &told, zone: chain.zone, now };
        let commit = match asked.ready(month) {
            Ok(commit) => commit,
            Err(reason) => {
                let error = anyhow!("{} is not pinned: {reason}", month.format("%Y-%m"));
                return Err(Failure { code: INCOMPLETE, error });
            }
        };
        let period_end = last_day(month);
        let new = NewPin { name: name.clone(), as_of: AsOf::Commit(commit), period_end };
        chain.warehouse.pin(&new, &clock).await.map_err(|error| match error {
            WarehouseError::Conflict { .. } => Failure::locked(error),
            other => moment_failure(other),
        })?;
        let _ = writeln!(std::io::stderr(), "pinned {name}: commit {commit}");
        // Audits read by either name: who made the other one knows which was signed.
        for (_, other) in chain.head.pins(chain.head.number()).filter(|(_, pin)| pin.period_end == period_end) {
            let _ = writeln!(std::io::stderr(), "note: {} pins the same month at commit {}", other.name, other.commit);
        }
    }
    write_reports(global, &config.directory.join(&arguments.reports), month).await
}

/// What a month's pin is called: a name that is a date means that moment to every reader.
fn pin_name(month: NaiveDate) -> String {
    month.format("M%Y-%m").to_string()
}

/// Both reports, written anew where they are not there yet. A report that is there stays: somebody may have signed it.
async fn write_reports(global: &Global, folder: &Path, month: NaiveDate) -> Result<u8, Failure> {
    let doing = || format!("write reports into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(doing).map_err(Failure::usage)?;
    let name = month.format("%Y-%m");
    for (format, ending) in [(Format::Html, "html"), (Format::Xlsx, "xlsx")] {
        let path = folder.join(format!("{name}.{ending}"));
        if path.exists() {
            continue;
        }
        let silent = write_month(global, month, format, &path).await?;
        if silent > 0 {
            let _ = writeln!(
                std::io::stderr(),
                "note: {silent} checks could not look everywhere: the report says which and why"
            );
        }
    }
    Ok(0)
}

/// What a month's end is judged by.
struct Asked<'a> {
    config: &'a Config,
    head: &'a Head,
    told: &'a Told,
    zone: Tz,
    now: DateTime<Utc>,
}

impl Asked<'_> {
    /// The commit to pin: the newest that read anything. Else all that stands in the way, and what to try.
    fn ready(&self, month: NaiveDate) -> Result<u64, String> {
        let name = month.format("%Y-%m");
        let after_end = format!("hint: `tieout extract` after its end, then `tieout month-end {name}` again");
        let Some(ends_at) = last_day(month).and_then(|last| end_of_day(last, self.zone)) else {
            return Err("no such month".to_owned());
        };
        if self.now <= ends_at {
            return Err(format!("the month has not ended yet, it does on {}\n{after_end}", self.moment(ends_at)));
        }
        let mut reasons = Vec::new();
        for source in self.config.sources.keys() {
            reasons.extend(self.unready(source, ends_at));
        }
        let newest = self.head.commits.iter().rfind(|commit| !commit.runs.is_empty());
        let failed = self.told.last_of("extract").filter(|run| {
            // A run that one source failed commits what the others gave: that makes up for nothing.
            let until = run.ended_at.filter(|_| run.outcome != Outcome::Lost).unwrap_or(run.started_at);
            let is_newest = newest.is_none_or(|commit| commit.committed_at <= until);
            matches!(run.outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Lost) && is_newest
        });
        if let Some(run) = failed {
            let said = run.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default();
            reasons.push(format!("the last extract of {} failed: {said}", self.moment(run.started_at)));
        }
        let months = self.head.months(self.head.number(), self.zone);
        match months.iter().find(|one| one.month == month) {
            _ if !reasons.is_empty() => {}
            // No extraction can make it ready any more.
            None => return Err(NO_SUCH_MONTH.to_owned()),
            Some(found) if !found.is_closed => reasons
                .push("not every table was read completely since the month ended: `tieout show` says which".to_owned()),
            Some(_) => {}
        }
        match newest {
            Some(commit) if reasons.is_empty() => Ok(commit.number),
            _ if reasons.is_empty() => Err(format!("nothing was extracted yet\n{after_end}")),
            _ => Err(format!("{}\n{after_end}", reasons.join("; "))),
        }
    }

    /// Why a source is not ready; none if it is.
    fn unready(&self, source: &str, ends_at: DateTime<Utc>) -> Option<String> {
        let runs = |commit: &'_ Commit| commit.runs.iter().find(|run| run.source == source).cloned();
        let Some(run) = self.head.commits.iter().rev().find_map(|commit| runs(commit)) else {
            return Some(format!("{source} was never read"));
        };
        let at = self.moment(run.observed_at);
        let stale = TimeDelta::hours(self.config.checks.freshness_hours);
        if run.observed_at <= ends_at {
            return Some(format!("{source} was last read at {at}, before the month ended"));
        }
        if self.now - run.observed_at > stale {
            let hours = self.config.checks.freshness_hours;
            return Some(format!("{source} was last read at {at}, more than {hours} hours ago (freshness_hours)"));
        }
        let unread = run.unread();
        (!unread.is_empty())
            .then(|| format!("the run of {source} at {at} did not read to their end: {}", unread.join(", ")))
    }

    fn moment(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M %Z").to_string()
    }
}

fn last_day(month: NaiveDate) -> Option<NaiveDate> {
    month.checked_add_months(Months::new(1))?.pred_opt()
}

fn last_month(now: DateTime<Utc>, zone: Tz) -> Option<NaiveDate> {
    now.with_timezone(&zone).date_naive().with_day(1)?.checked_sub_months(Months::new(1))
}
