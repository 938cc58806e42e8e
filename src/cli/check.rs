//! `tieout check`: every source and table tried once, nothing stored.

use std::io::Write;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};

use super::workspace::Setup;
use super::{Failure, Global, Stop, trouble};
use crate::clock::Clock;
use crate::extract::TableCheck;
use crate::warehouse::rows::CoverageStatus;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(super) struct CheckArguments {
    /// Only these sources
    #[arg(long = "source", value_name = "NAME")]
    sources: Vec<String>,
}

pub(super) async fn run(global: &Global, arguments: &CheckArguments) -> Result<u8, Failure> {
    let stop = Stop::listen()?;
    let sources = Setup::read(global)?.sources(&arguments.sources)?;
    let mut failures = Vec::new();
    let mut is_refused = false;
    for source in sources {
        let checks = crate::extract::check(&source, &Clock::Machine, &stop.token()).await;
        if stop.token().is_cancelled() {
            return Err(stop.failure("not every source was tried"));
        }
        match checks {
            Ok(checks) => {
                is_refused |= checks.iter().any(|check| is_trouble(check.status));
                writeln!(std::io::stdout(), "{}\n{}", source.name, table(&checks)).map_err(Failure::usage)?;
            }
            Err(error) => failures.push(anyhow::Error::from(error)),
        }
    }
    if !failures.is_empty() {
        return Err(Failure::source(trouble::gather(&failures)));
    }
    Ok(if is_refused { 3 } else { 0 })
}

fn is_trouble(status: CoverageStatus) -> bool {
    matches!(status, CoverageStatus::Forbidden | CoverageStatus::NotFound | CoverageStatus::Failed)
}

fn table(checks: &[TableCheck]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["table", "result", "fields missing", "fields unmapped", "detail"]);
    for check in checks {
        let fields = |kind: &str| {
            let found = check.drift.iter().filter(|drift| drift.kind == kind);
            found.map(|drift| drift.field.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (missing, unmapped) = (fields("missing"), fields("unmapped"));
        let detail = check.problem.as_deref().unwrap_or_default();
        table.add_row([check.table.as_str(), check.status.as_str(), &missing, &unmapped, detail]);
    }
    table
}
