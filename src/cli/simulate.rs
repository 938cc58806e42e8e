//! `tieout simulate`: the simulated systems alone, for trying `check` and `extract` by hand.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use chrono::{Datelike, SecondsFormat};
use clap::Args;

use super::{Failure, Global, Stop, demo};
use crate::clock::SharedClock;
use crate::simulator::{DecoyRates, Simulator, SimulatorOptions};

/// How often the systems' clock moves.
const TICK: Duration = Duration::from_millis(100);

/// Arguments of `simulate`.
#[derive(Args, Debug)]
pub(super) struct SimulateArguments {
    /// Write a workspace on the simulated systems into this folder: settings and secrets
    #[arg(long, value_name = "DIR", default_value = "simulated")]
    dir: PathBuf,
    /// The firm's seed: the same seed lives the same life
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Months the firm has lived when the systems start to answer
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=600))]
    months: u32,
    /// Projects over all months
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    projects: u32,
    /// Write what is wrong in truth, as JSON lines, to this file
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
}

pub(super) async fn run(global: &Global, arguments: &SimulateArguments) -> Result<u8, Failure> {
    let stop = Stop::listen()?;
    let (start, end) = demo::life(arguments.months);
    let clock = SharedClock::new(start);
    let mut options = SimulatorOptions::new(arguments.seed, clock.clone());
    options.firm.first_month = (start.year(), start.month());
    options.firm.months = arguments.months;
    options.firm.projects = arguments.projects;
    options.firm.decoys = DecoyRates::default();
    let simulator = Simulator::start(options).await.map_err(Failure::usage)?;
    simulator.advance_to(end);
    if let Some(path) = &arguments.truth {
        write_truth(&simulator, path).map_err(Failure::usage)?;
    }
    std::fs::create_dir_all(&arguments.dir)
        .with_context(|| format!("create {}", arguments.dir.display()))
        .map_err(Failure::usage)?;
    let settings = demo::write_workspace(&arguments.dir, &simulator).map_err(Failure::usage)?;
    let now = end.to_rfc3339_opts(SecondsFormat::Secs, true);
    if !global.quiet {
        let (procore, acumatica) = (simulator.procore().base_url, simulator.acumatica().base_url);
        let config = settings.display();
        let text = format!(
            "Procore on {procore}, Acumatica on {acumatica}; the firm stands at {now}\n\
             settings and secrets in {}; in another terminal:\n\n    \
             tieout --config {config} check\n    \
             tieout --config {config} extract --now {now}\n    \
             tieout --config {config} sql \"select * from recon.summary\"\n\n\
             Ctrl-C ends both systems.",
            arguments.dir.display()
        );
        writeln!(std::io::stdout(), "{text}").map_err(Failure::usage)?;
    }
    tokio::select! {
        () = stop.asked() => Ok(0),
        never = tick(&clock) => match never {},
    }
}

/// Lets the systems' clock move on with real time, or their rate limits would never be refilled. The firm stands still.
pub(super) async fn tick(clock: &SharedClock) -> Infallible {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        clock.advance(TICK);
    }
}

fn write_truth(simulator: &Simulator, path: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for fault in simulator.truth() {
        let line = serde_json::json!({
            "check": fault.check,
            "entity": fault.entity,
            "pm_id": fault.pm_id,
            "erp_id": fault.erp_id,
            "field": fault.field,
            "occurred_at": fault.occurred_at,
            "opened_at": fault.opened_at,
            "healed_at": fault.healed_at,
            "amount": fault.amount.map(|amount| amount.to_string()),
            "note": fault.note,
        });
        writeln!(text, "{line}")?;
    }
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
