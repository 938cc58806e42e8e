//! `tieout vacuum`: gives space back. What went, or would go, is data (stdout).

use std::io::Write;

use anyhow::anyhow;
use chrono::TimeDelta;
use clap::Args;
use indicatif::HumanBytes;

use super::{Failure, Global, workspace};
use crate::clock::Clock;
use crate::config::Config;
use crate::warehouse::{Removal, Retention, Vacuum, VacuumOptions, Warehouse};

/// Hours for which files that nobody reads any more stay where they are.
pub(super) const SAFETY_HOURS: u32 = 24;

/// Arguments of `vacuum`.
#[derive(Args, Debug)]
pub(super) struct VacuumArguments {
    /// Say what would go, and touch nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep every commit's tables in full for so many days
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    keep_days: u32,
    /// Leave files that nobody reads any more for so many hours: longer than any query or extract takes
    #[arg(long, value_name = "HOURS", default_value_t = SAFETY_HOURS)]
    safety_hours: u32,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(global: &Global, arguments: &VacuumArguments) -> Result<u8, Failure> {
    let config = Config::load(&global.config).map_err(Failure::usage)?;
    let url = workspace::url(global, &config);
    let warehouse = Warehouse::open(&url).await.map_err(Failure::warehouse)?;
    let retention = Retention { days: arguments.keep_days, ..retention(&config).map_err(Failure::usage)? };
    let options = VacuumOptions {
        retention,
        safety: TimeDelta::hours(i64::from(arguments.safety_hours)),
        dry_run: arguments.dry_run,
    };
    let vacuum = warehouse.vacuum(&options, &Clock::Machine).await.map_err(Failure::warehouse)?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&vacuum).map_err(Failure::usage)?
    } else {
        lines(&vacuum, arguments)
    };
    writeln!(std::io::stdout(), "{text}").map_err(Failure::usage)?;
    Ok(0)
}

/// What the settings say of states worth keeping.
pub(super) fn retention(config: &Config) -> anyhow::Result<Retention> {
    let zone = config.firm.timezone.parse().map_err(|error| anyhow!("read [firm] timezone: {error}"))?;
    Ok(Retention::new(zone))
}

fn lines(vacuum: &Vacuum, arguments: &VacuumArguments) -> String {
    let mut lines = Vec::new();
    let mut tell = |what: &str, removals: &[Removal], note: &str| {
        let listed = removals.iter().filter(|_| arguments.dry_run);
        lines.extend(
            listed.map(|it| format!("{what}  {:>10}  {}  {}", HumanBytes(it.bytes).to_string(), it.reason, it.path)),
        );
        let bytes: u64 = removals.iter().map(|removal| removal.bytes).sum();
        (!removals.is_empty()).then(|| format!("{what}: {} files, {}{note}", removals.len(), HumanBytes(bytes)))
    };
    let (drop, remove) = if arguments.dry_run { ("would drop", "would remove") } else { ("dropped", "removed") };
    let later = format!("; their space is free {} hours later", arguments.safety_hours);
    let young = format!("; younger than {} hours", arguments.safety_hours);
    let sums = [
        tell(drop, &vacuum.dropped, &later),
        tell(remove, &vacuum.removed, ""),
        tell("waiting", &vacuum.waiting, &young),
    ];
    lines.extend(sums.into_iter().flatten());
    if let Some(commit) = vacuum.commit {
        lines.push(format!("commit {commit}"));
    }
    if lines.is_empty() {
        lines.push("nothing to do".to_owned());
    }
    lines.join("\n")
}
