//! `tieout check`: every source and table tried once, nothing stored.

use std::io::Write;

use clap::Args;
use comfy_table::{Table, presets};

use super::workspace::Workspace;
use super::{Failure, Global};
use crate::clock::Clock;
use crate::warehouse::rows::CoverageStatus;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(super) struct CheckArguments {
    /// Only these sources
    #[arg(long = "source", value_name = "NAME")]
    sources: Vec<String>,
}

pub(super) async fn run(global: &Global, arguments: &CheckArguments) -> Result<u8, Failure> {
    let workspace = Workspace::open(global).await?;
    let mut failed = false;
    for source in workspace.sources(&arguments.sources)? {
        let checks = crate::extract::check(&source, &Clock::Machine).await.map_err(Failure::source)?;
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["table", "result", "fields missing", "fields unmapped", "detail"]);
        for check in checks {
            failed |=
                matches!(check.status, CoverageStatus::Forbidden | CoverageStatus::NotFound | CoverageStatus::Failed);
            let fields = |kind: &str| {
                let found = check.drift.iter().filter(|drift| drift.kind == kind);
                found.map(|drift| drift.field.as_str()).collect::<Vec<_>>().join(", ")
            };
            let (missing, new) = (fields("missing"), fields("unmapped"));
            table.add_row([
                &check.table,
                check.status.as_str(),
                &missing,
                &new,
                check.problem.as_deref().unwrap_or_default(),
            ]);
        }
        writeln!(std::io::stdout(), "{}\n{table}", source.name).map_err(Failure::usage)?;
    }
    Ok(if failed { 3 } else { 0 })
}
