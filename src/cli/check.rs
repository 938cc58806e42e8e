//! `tieout check`: every source and table tried once, nothing stored.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::ProgressBar;

use super::workspace::Setup;
use super::{Failure, Global, Stop, trouble};
use crate::clock::Clock;
use crate::extract::{Deletes, Size, TableCheck};
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
        let spinner = spinner(global, &source.name);
        let checks = crate::extract::check(&source, &Clock::Machine, &stop.token()).await;
        spinner.finish_and_clear();
        if stop.token().is_cancelled() {
            return Err(stop.failure("not every source was tried"));
        }
        match checks {
            Ok(checks) => {
                is_refused |= checks.iter().any(|check| is_trouble(check.status));
                let is_verbose = global.verbose > 0;
                let mut text =
                    format!("{}\n{}\n{}{}", source.name, table(&checks, is_verbose), why(&checks), said(&checks));
                if is_verbose {
                    text = format!("{text}\n\nOne record of each table, as it would be kept:\n{}", samples(&checks));
                }
                writeln!(std::io::stdout(), "{text}\n").map_err(Failure::usage)?;
            }
            Err(error) => failures.push(anyhow::Error::from(error)),
        }
    }
    if !failures.is_empty() {
        return Err(Failure::source(trouble::gather(&failures)));
    }
    Ok(if is_refused { 3 } else { 0 })
}

/// Shown on a terminal while a source is tried: one that does not answer is asked again for half a minute.
fn spinner(global: &Global, source: &str) -> ProgressBar {
    if global.no_progress || global.quiet {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(format!("{source}: trying each table"));
    spinner.enable_steady_tick(Duration::from_millis(250));
    spinner
}

fn is_trouble(status: CoverageStatus) -> bool {
    matches!(status, CoverageStatus::Forbidden | CoverageStatus::NotFound | CoverageStatus::Failed)
}

/// What the results come to, in a sentence.
fn said(checks: &[TableCheck]) -> String {
    let count = |wanted: fn(CoverageStatus) -> bool| checks.iter().filter(|check| wanted(check.status)).count();
    let (troubled, empty) = (count(is_trouble), count(|status| status == CoverageStatus::EmptyUnverified));
    let read = format!("{} of {} tables can be read", checks.len() - troubled, checks.len());
    if empty == 0 {
        return read;
    }
    format!(
        "{read}; {empty} showed no record where they were tried, as without a permission: \
         `tieout extract` looks everywhere"
    )
}

/// A source has hundreds of fields that we do not map: they are counted, and named if somebody wants to know.
fn table(checks: &[TableCheck], is_verbose: bool) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "table",
        "result",
        "reachable",
        "permitted",
        "records",
        "size",
        "deletes",
        "fields missing",
        "fields unmapped",
    ]);
    for check in checks {
        let fields = |kind: &str| {
            let found = check.drift.iter().filter(|drift| drift.kind == kind);
            found.map(|drift| drift.field.as_str()).collect::<Vec<_>>()
        };
        let (missing, unmapped) = (fields("missing").join(", "), fields("unmapped"));
        let unmapped = match unmapped.len() {
            0 => String::new(),
            count if !is_verbose => count.to_string(),
            _ => unmapped.join(", "),
        };
        let reachable = if check.is_reachable() { "yes" } else { "no" };
        let permitted = check.is_permitted().map_or("unknown", |is_permitted| if is_permitted { "yes" } else { "no" });
        let (records, size) = check.size.map_or_else(Default::default, told);
        let deletes = match check.deletes {
            Deletes::Marked => "marked",
            Deletes::Absent => "by absence",
            Deletes::Hidden => "may be hidden",
        };
        let status = check.status.as_str();
        table.add_row([
            check.table.as_str(),
            status,
            reachable,
            permitted,
            &records,
            &size,
            deletes,
            &missing,
            &unmapped,
        ]);
    }
    table
}

/// What went wrong, a line each: a cell would break an address into pieces.
fn why(checks: &[TableCheck]) -> String {
    let told = checks.iter().filter_map(|check| Some(format!("{}: {}\n", check.table, check.problem.as_ref()?)));
    told.collect()
}

/// About how many records, and how much that is.
fn told(size: Size) -> (String, String) {
    let bytes = match size.bytes {
        bytes if bytes >= 10_000_000 => format!("{} MB", bytes / 1_000_000),
        bytes if bytes >= 10_000 => format!("{} kB", bytes / 1_000),
        bytes => format!("{bytes} B"),
    };
    (format!("~{}", size.records), format!("~{bytes}"))
}

/// One record of each table, as it would be kept: only if somebody wants to know.
fn samples(checks: &[TableCheck]) -> String {
    let sampled = checks.iter().filter_map(|check| Some(format!("{}: {}\n", check.table, check.sample.as_ref()?)));
    sampled.collect()
}
