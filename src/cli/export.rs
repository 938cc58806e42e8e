//! `tieout export`: the kept states of tables for other programs, without copying them. What was published is data (stdout).

use std::io::Write as _;
use std::sync::Arc;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, Global, workspace};
use crate::config::Config;
use crate::extract::did_you_mean;
use crate::warehouse::commit::Head;
use crate::warehouse::rows::SYSTEM_SOURCE;
use crate::warehouse::{DeltaExport, DeltaProgress, DeltaTable, Error, Warehouse};

/// Arguments of `export`.
#[derive(Args, Debug)]
pub(super) struct ExportArguments {
    /// What other programs are to find
    #[arg(long, value_enum)]
    format: ExportFormat,
    /// This table alone, as SOURCE.TABLE or TABLE; several by repeating it, or after commas [default: all of all sources]
    #[arg(long = "table", value_name = "NAME", value_delimiter = ',')]
    tables: Vec<String>,
    /// A folder or bucket elsewhere, for engines that follow absolute addresses [default: in the warehouse, beside the states]
    #[arg(long, value_name = "DIR_OR_URL")]
    to: Option<String>,
    /// One JSON array instead of lines
    #[arg(long)]
    json: bool,
}

/// What other programs find.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExportFormat {
    /// Delta Lake tables, one version for each kept state.
    Delta,
}

pub(super) async fn run(global: &Global, arguments: &ExportArguments) -> Result<u8, Failure> {
    let ExportFormat::Delta = arguments.format;
    // Nothing of the settings is needed but where the warehouse is.
    let url = match &global.warehouse {
        Some(url) => url.clone(),
        None => workspace::url(global, &Config::load(&global.config).map_err(Failure::usage)?),
    };
    let warehouse = Warehouse::open(&url).await.map_err(Failure::warehouse)?;
    let head = warehouse.head().await.map_err(Failure::warehouse)?;
    let (tables, empty) = tables(&head, &arguments.tables)?;
    let bar = bar(global);
    let export = DeltaExport { tables, to: arguments.to.clone(), progress: Arc::new(watch(bar.clone())) };
    let published = warehouse.export_delta(&export).await.map_err(failure)?;
    bar.finish_and_clear();
    for note in notes(&head, &warehouse, &empty) {
        // A closed stderr is no reason to fail.
        let _ = writeln!(std::io::stderr(), "{note}");
    }
    let text = if arguments.json {
        format!("{}\n", serde_json::to_string_pretty(&published).map_err(Failure::usage)?)
    } else {
        published.iter().map(line).collect()
    };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::usage)?;
    Ok(0)
}

/// The target is what somebody asked for; everything else is the warehouse.
fn failure(error: Error) -> Failure {
    match error {
        Error::Target { .. } | Error::Address { .. } | Error::UnsupportedStore { .. } => Failure::usage(error),
        error => Failure::warehouse(error),
    }
}

fn line(published: &DeltaTable) -> String {
    let DeltaTable { source, table, location, added, version, commit } = published;
    format!("{source}.{table}  +{added}  version {version} is commit {commit}  {location}\n")
}

/// Why less is published than somebody may expect.
fn notes(head: &Head, warehouse: &Warehouse, empty: &[String]) -> Vec<String> {
    if head.last().is_none() {
        return vec![format!(
            "note: the warehouse {} holds no snapshot yet: nothing is published\n\
             hint: `tieout extract` makes the first one",
            warehouse.location()
        )];
    }
    empty.iter().map(|name| format!("note: {name} has had no row yet: there is no state to publish")).collect()
}

/// A source and its table.
type TableName = (String, String);

/// The tables asked for, without any all of all sources; and those that nothing was ever in.
fn tables(head: &Head, names: &[String]) -> Result<(Vec<TableName>, Vec<String>), Failure> {
    let known = head.tables_with_states();
    if names.is_empty() {
        return Ok((known.into_iter().filter(|(source, _)| source != SYSTEM_SOURCE).collect(), Vec::new()));
    }
    let (mut chosen, mut empty) = (Vec::new(), Vec::new());
    for name in names {
        let is_it = |(source, table): &&(String, String)| table == name || format!("{source}.{table}") == *name;
        let found: Vec<_> = known.iter().filter(is_it).cloned().collect();
        let looked_at = head.tables();
        match looked_at.iter().find(is_it).filter(|_| found.is_empty()) {
            Some((source, table)) if !head.is_append(head.number(), source, table) => empty.push(name.clone()),
            _ if found.is_empty() => return Err(Failure::usage(unknown(head, name, &known))),
            _ => chosen.extend(found),
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok((chosen, empty))
}

fn unknown(head: &Head, name: &str, known: &[(String, String)]) -> anyhow::Error {
    let grows = head.tables().into_iter().find(|(source, table)| table == name || format!("{source}.{table}") == name);
    if let Some((source, table)) = grows {
        return anyhow!(
            "export {source}.{table}: it only grows and has no states, which are what is published\n\
             hint: `tieout sql` reads it; --format parquet -o FILE writes it"
        );
    }
    let full: Vec<String> = known.iter().map(|(source, table)| format!("{source}.{table}")).collect();
    let words = full.iter().map(String::as_str).chain(known.iter().map(|(_, table)| table.as_str()));
    anyhow!(
        "export {name}: the warehouse has no such table{}\nhint: tables are named as in history: SOURCE.TABLE",
        did_you_mean(name, words)
    )
}

fn bar(global: &Global) -> ProgressBar {
    if global.no_progress || global.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("versions {bar:32} {pos}/{len} ({elapsed})");
    let bar = ProgressBar::new(0);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn watch(bar: ProgressBar) -> impl Fn(DeltaProgress) + Send + Sync {
    move |progress| match progress {
        DeltaProgress::Ahead(versions) => bar.inc_length(versions),
        DeltaProgress::Written => bar.inc(1),
    }
}
