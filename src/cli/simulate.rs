//! `tieout simulate`: the simulated systems alone, for trying `check` and `extract` by hand.

use std::io::Write;

use chrono::{DateTime, Datelike, Utc};
use clap::Args;

use super::Failure;
use crate::clock::SharedClock;
use crate::simulator::{Simulator, SimulatorOptions};

/// Arguments of `simulate`.
#[derive(Args, Debug)]
pub(super) struct SimulateArguments {
    /// The firm's seed: the same seed lives the same life
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Months the firm has lived when the systems start to answer
    #[arg(long, default_value_t = 24)]
    months: u32,
    /// Projects over all months
    #[arg(long, default_value_t = 8)]
    projects: u32,
    /// Faults in truth, as JSON lines, to this file
    #[arg(long, value_name = "FILE")]
    truth: Option<std::path::PathBuf>,
}

pub(super) async fn run(arguments: &SimulateArguments) -> Result<u8, Failure> {
    let (start, end) = super::demo::life(arguments.months);
    let clock = SharedClock::new(start);
    let mut options = SimulatorOptions::new(arguments.seed, clock.clone());
    options.firm.first_month = (start.year(), start.month());
    options.firm.months = arguments.months;
    options.firm.projects = arguments.projects;
    let simulator = Simulator::start(options).await.map_err(Failure::usage)?;
    simulator.advance_to(end);
    print_settings(&simulator, end).map_err(Failure::usage)?;
    let _ = tokio::signal::ctrl_c().await;
    Ok(0)
}

fn print_settings(simulator: &Simulator, now: DateTime<Utc>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "# the firm stands at {}: extract with --now {}", now.to_rfc3339(), now.to_rfc3339())?;
    writeln!(out, "{}", super::demo::source_settings(simulator))
}
