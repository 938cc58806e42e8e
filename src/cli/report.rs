//! `tieout report`: a month's report as a page, or as a message for a chat.
//!
//! Exit codes: 5 where a check could not look everywhere; else 0. A file appears whole or not at all.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::{Args, ValueEnum};

use super::chain::first_of_month;
use super::whole::Whole;
use super::workspace::{Workspace, engine_failure};
use super::{Failure, Global, INCOMPLETE};
use crate::engine::SessionRequest;
use crate::report::{Report, Subject, message, page, workbook};
use crate::warehouse::commit::Head;

/// Arguments of `report`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tieout report                                   the newest snapshot, as report-2026-11.html
  tieout report --month 2026-10                   as of the snapshot that closes the month
  tieout report --as-of FY2025 -o year-end.html   as of a pin, a day, a moment or commit:N
  tieout report --format xlsx                     a workbook with a sheet for each check
  tieout report --format md                       a message for a chat, on stdout

Exit codes: 5 a check could not look everywhere, and the report says which; else 0.")]
pub(super) struct ReportArguments {
    /// The month, as 2026-10: as of the snapshot that closes it
    #[arg(long, value_name = "MONTH", conflicts_with = "as_of")]
    month: Option<String>,
    /// What we knew then: a moment, a day, commit:N, or a pin
    #[arg(long, value_name = "T")]
    as_of: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value = "html")]
    format: Format,
    /// The file, replaced if it is there; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One page, with charts, nothing else to load.
    Html,
    /// A workbook: a sheet for each check with something open.
    Xlsx,
    /// A message for a chat.
    Md,
}

impl ReportArguments {
    /// Whether it goes into a file, wherever it runs.
    pub(super) fn is_to_file(&self) -> bool {
        self.output.as_ref().is_some_and(|path| path.as_os_str() != "-")
    }
}

/// Writes a month's report into a file, whole or not at all; gives how many checks could not look everywhere.
pub(super) async fn write_month(
    global: &Global,
    month: NaiveDate,
    format: Format,
    path: &Path,
) -> Result<usize, Failure> {
    let arguments = ReportArguments {
        month: Some(month.format("%Y-%m").to_string()),
        as_of: None,
        format,
        output: Some(path.to_owned()),
    };
    let report = gather(global, &arguments).await?;
    to_file(path, &bytes(&report, format)?)?;
    Ok(report.silent().count())
}

pub(super) async fn run(global: &Global, arguments: &ReportArguments) -> Result<u8, Failure> {
    let report = gather(global, arguments).await?;
    let bytes = bytes(&report, arguments.format)?;
    let extension = match arguments.format {
        Format::Html => Some("html"),
        Format::Xlsx => Some("xlsx"),
        Format::Md => None,
    };
    match (&arguments.output, extension) {
        (Some(path), _) if arguments.is_to_file() => to_file(path, &bytes)?,
        // What fills a screen, or is nothing for one, goes into a file.
        (None, Some(extension)) if std::io::stdout().is_terminal() => {
            let month = report.month.get(..7).unwrap_or("month");
            to_file(Path::new(&format!("report-{month}.{extension}")), &bytes)?;
        }
        _ => std::io::stdout()
            .lock()
            .write_all(&bytes)
            .context("write the report to standard output")
            .map_err(Failure::usage)?,
    }
    let silent = report.silent().count();
    if silent > 0 {
        // A closed stderr is no reason to fail.
        let _ = writeln!(
            std::io::stderr(),
            "note: {silent} of {} checks could not look everywhere: the report says which and why",
            report.checks.len()
        );
        return Ok(INCOMPLETE);
    }
    Ok(0)
}

/// What the report says, however it is written.
async fn gather(global: &Global, arguments: &ReportArguments) -> Result<Report, Failure> {
    let workspace = Workspace::open_existing(global).await?;
    let firm = &workspace.setup.config.firm;
    let zone: Tz = firm.timezone.parse().map_err(|error| Failure::usage(anyhow!("{error}")))?;
    let engine = workspace.engine().await?;
    let (month, as_of) = match &arguments.month {
        Some(words) => {
            let month = first_of_month(words, &format!("report --month {words}"))?;
            let head = workspace.warehouse.head().await.map_err(Failure::warehouse)?;
            (Some(month), Some(format!("commit:{}", commit_of(&head, month, zone)?)))
        }
        None => (None, arguments.as_of.clone()),
    };
    let request = SessionRequest { as_of: as_of.clone(), ..SessionRequest::default() };
    let session = engine.session(&request).await.map_err(engine_failure)?;
    let subject = Subject { firm: firm.name.clone(), zone };
    let report = Report::gather(&session, subject, month).await.map_err(Failure::warehouse)?;
    report.ok_or_else(|| {
        let location = workspace.warehouse.location();
        Failure::usage(anyhow!(
            "report: the warehouse {location} holds no snapshot{}\nhint: `tieout extract` makes the first one, `tieout log` lists them",
            as_of.map(|moment| format!(" as of {moment}")).unwrap_or_default()
        ))
    })
}

fn bytes(report: &Report, format: Format) -> Result<Vec<u8>, Failure> {
    match format {
        Format::Html => page(report).map(String::into_bytes).map_err(Failure::usage),
        Format::Xlsx => workbook(report).map_err(Failure::usage),
        Format::Md => Ok(message(report).into_bytes()),
    }
}

/// The commit that stands for a month.
fn commit_of(head: &Head, month: NaiveDate, zone: Tz) -> Result<u64, Failure> {
    let months = head.months(head.number(), zone);
    let read = || months.iter().filter_map(|one| Some((one.month, one.commit?)));
    if let Some((_, commit)) = read().find(|(first, _)| *first == month) {
        return Ok(commit);
    }
    let named = |month: NaiveDate| month.format("%Y-%m").to_string();
    let hint = match (read().next(), read().next_back()) {
        (Some((first, _)), Some((last, _))) => {
            format!("snapshots are of {} to {}: `tieout log` lists them", named(first), named(last))
        }
        _ => "`tieout extract` makes the first snapshot".to_owned(),
    };
    Err(Failure::usage(anyhow!("report --month {}: no snapshot is of that month\nhint: {hint}", named(month))))
}

/// Writes a file, whole or not at all, and tells where it is.
fn to_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let (whole, mut part) = Whole::create(path)?;
    let written = part.write_all(bytes).map_err(Failure::usage).and_then(|()| whole.finish(&part));
    written.map_err(|failure| whole.failed(failure))?;
    let _ = writeln!(std::io::stderr(), "{}", path.display());
    Ok(())
}
