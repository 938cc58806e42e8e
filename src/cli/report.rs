//! `tieout report`: a month's report as a page, or as a message for a chat.
//!
//! Exit codes: 5 where a check could not look everywhere; else 0. A file appears whole or not at all.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::{Args, ValueEnum};

use super::workspace::{Workspace, engine_failure};
use super::{Failure, Global, INCOMPLETE};
use crate::engine::{Engine, SessionRequest};
use crate::report::values::rows;
use crate::report::{Report, Subject, message, page, workbook};

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
enum Format {
    /// One page, with charts, nothing else to load.
    Html,
    /// A workbook: a sheet for each check with something open.
    Xlsx,
    /// A message for a chat.
    Md,
}

pub(super) async fn run(global: &Global, arguments: &ReportArguments) -> Result<u8, Failure> {
    let workspace = Workspace::open_existing(global).await?;
    let firm = &workspace.setup.config.firm;
    let zone: Tz = firm.timezone.parse().map_err(|error| Failure::usage(anyhow!("{error}")))?;
    let engine = workspace.engine().await?;
    let (month, as_of) = match &arguments.month {
        Some(words) => {
            let month = month(words)?;
            (Some(month), Some(commit_of(&engine, month, words).await?))
        }
        None => (None, arguments.as_of.clone()),
    };
    let request = SessionRequest { as_of: as_of.clone(), ..SessionRequest::default() };
    let session = engine.session(&request).await.map_err(engine_failure)?;
    let subject = Subject { firm: firm.name.clone(), zone };
    let Some(report) = Report::gather(&session, subject, month).await.map_err(Failure::warehouse)? else {
        let location = workspace.warehouse.location();
        return Err(Failure::usage(anyhow!(
            "report: the warehouse {location} holds no snapshot{}\nhint: `tieout extract` makes the first one, `tieout log` lists them",
            as_of.map(|moment| format!(" as of {moment}")).unwrap_or_default()
        )));
    };
    let bytes = match arguments.format {
        Format::Html => page(&report).map_err(Failure::usage)?.into_bytes(),
        Format::Xlsx => workbook(&report).map_err(Failure::usage)?,
        Format::Md => message(&report).into_bytes(),
    };
    let extension = match arguments.format {
        Format::Html => Some("html"),
        Format::Xlsx => Some("xlsx"),
        Format::Md => None,
    };
    match (&arguments.output, extension) {
        (Some(path), _) if path.as_os_str() != "-" => to_file(path, &bytes)?,
        // What fills a screen, or is nothing for one, goes into a file.
        (None, Some(extension)) if std::io::stdout().is_terminal() => {
            let month = report.month.get(..7).unwrap_or("month");
            to_file(Path::new(&format!("report-{month}.{extension}")), &bytes)?;
        }
        _ => std::io::stdout().lock().write_all(&bytes).map_err(Failure::usage)?,
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

/// The first day of a month as people write it.
fn month(words: &str) -> Result<NaiveDate, Failure> {
    NaiveDate::parse_from_str(&format!("{}-01", words.trim()), "%Y-%m-%d")
        .with_context(|| format!("report --month {words}: not a month\nhint: for example 2026-10"))
        .map_err(Failure::usage)
}

/// The commit that stands for a month, for `as_of`.
async fn commit_of(engine: &Engine, month: NaiveDate, words: &str) -> Result<String, Failure> {
    let session = engine.session(&SessionRequest::default()).await.map_err(engine_failure)?;
    let sql = "select month, commit_number from trend.months order by month";
    let months = rows::<2>(&session, sql).await.map_err(Failure::warehouse)?;
    if let Some([_, commit]) = months.iter().find(|[first, commit]| *first == month.to_string() && !commit.is_empty()) {
        return Ok(format!("commit:{commit}"));
    }
    let known: Vec<&str> =
        months.iter().filter(|[_, commit]| !commit.is_empty()).filter_map(|[first, _]| first.get(..7)).collect();
    let hint = match (known.first(), known.last()) {
        (Some(first), Some(last)) => format!("snapshots are of {first} to {last}: `tieout log` lists them"),
        _ => "`tieout extract` makes the first snapshot".to_owned(),
    };
    Err(Failure::usage(anyhow!("report --month {words}: no snapshot is of that month\nhint: {hint}")))
}

/// Writes beside the file and renames: what a reader finds is the old one or the new one.
fn to_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    };
    write()
        .inspect_err(|_| {
            // Half a report would be taken for the whole.
            let _ = std::fs::remove_file(&part);
        })
        .with_context(|| format!("write {}", path.display()))
        .map_err(Failure::usage)?;
    let _ = writeln!(std::io::stderr(), "{}", path.display());
    Ok(())
}
