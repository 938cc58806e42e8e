//! `tieout manifest lint`: is what reads a system right, before anything is asked of it?
//!
//! Owns which files are looked at and how findings are told. What can be wrong is judged by those who use the files: `extract`
//! the manifest, `engine` the canonical SQL, over a warehouse that holds nothing. Invariant: no source is asked.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};

use super::{Failure, Global};
use crate::definitions::{Definitions, SHARED};
use crate::engine::{Engine, EngineSettings, Error as EngineError, SourceBinding, entities as canonical_entities};
use crate::extract::did_you_mean;
use crate::extract::manifest::{Manifest, Side};
use crate::warehouse::Warehouse;

const MANIFEST: &str = "manifest.toml";
const CANONICAL: &str = "canonical";

/// Arguments of `manifest`.
#[derive(Args, Debug)]
pub(super) struct ManifestArguments {
    #[command(subcommand)]
    command: ManifestCommand,
}

#[derive(Debug, Subcommand)]
enum ManifestCommand {
    /// Say what is wrong with a system's manifest and its canonical SQL
    Lint(LintArguments),
}

/// Arguments of `manifest lint`.
#[derive(Args, Debug)]
struct LintArguments {
    /// A system's folder or its manifest.toml; without one, each folder of extractors/ beside tieout.toml
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// What was found out about one system's files.
#[derive(Debug, Default)]
struct Report {
    problems: Vec<String>,
    /// What is right and worth knowing.
    notes: Vec<String>,
}

pub(super) async fn run(global: &Global, arguments: &ManifestArguments) -> Result<u8, Failure> {
    let ManifestCommand::Lint(arguments) = &arguments.command;
    let folders = if arguments.paths.is_empty() { own_folders(&global.config)? } else { arguments.paths.clone() };
    let (mut text, mut problems) = (String::new(), 0);
    for path in &folders {
        let folder = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new(".")) };
        let report = lint(folder).await?;
        let verdict = match report.problems.len() {
            0 => "ok".to_owned(),
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        let _ = writeln!(text, "{}: {verdict}", folder.display());
        for problem in &report.problems {
            let _ = writeln!(text, "  {}", problem.replace('\n', "\n  "));
        }
        for note in &report.notes {
            let _ = writeln!(text, "  note: {note}");
        }
        problems += report.problems.len();
    }
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::usage)?;
    Ok(if problems == 0 { 0 } else { 2 })
}

/// The folders of systems beside the settings.
fn own_folders(config: &Path) -> Result<Vec<PathBuf>, Failure> {
    let extractors = config.parent().unwrap_or(Path::new("")).join("extractors");
    let hint =
        "hint: name one, as in `tieout manifest lint extractors/toy`; docs/add-a-system.md begins with an example";
    let none = || Failure::usage(anyhow!("{} holds no system's folder\n{hint}", extractors.display()));
    let entries = std::fs::read_dir(&extractors).map_err(|_| none())?;
    // What systems share is none.
    let is_system = |path: &PathBuf| path.is_dir() && !path.ends_with(SHARED);
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_system).collect();
    folders.sort();
    if folders.is_empty() { Err(none()) } else { Ok(folders) }
}

async fn lint(folder: &Path) -> Result<Report, Failure> {
    let mut report = Report::default();
    let path = folder.join(MANIFEST);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("read {}", path.display()))
        .map_err(|error| Failure::usage(error.context("a system is a folder with a manifest.toml")))?;
    let manifest = match Manifest::parse(MANIFEST, &text) {
        Ok(manifest) => manifest,
        Err(error) => {
            report.problems.extend(error.problems.into_iter().map(|problem| format!("{MANIFEST}: {problem}")));
            return Ok(report);
        }
    };
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let system = manifest.system.name.clone();
    if name.is_some_and(|name| name != system) {
        report.problems.push(format!(
            "{MANIFEST}: [system] name is `{system}`, and its folder has another name: a source of that kind would not find it"
        ));
    }
    let columns: usize = manifest.tables.iter().map(|table| table.columns.len()).sum();
    report.notes.push(format!("{} tables with {columns} columns", manifest.tables.len()));

    let prefix = format!("extractors/{system}/");
    let mut definitions = Definitions::shipped();
    // Another folder's files of a shipped system are not these.
    definitions.files.retain(|path, _| !path.starts_with(&prefix));
    definitions.overlay_folder(folder, prefix.trim_end_matches('/'), &["toml", "sql"]).map_err(Failure::usage)?;
    entities(&manifest, &definitions, &mut report).map_err(Failure::usage)?;
    planned(definitions, &system, &mut report).await?;
    Ok(report)
}

/// Which entities are mapped, and which files are none.
fn entities(manifest: &Manifest, definitions: &Definitions, report: &mut Report) -> Result<(), EngineError> {
    let folder = format!("extractors/{}/{CANONICAL}/", manifest.system.name);
    let entity = |path: &String| path.strip_prefix(&folder)?.strip_suffix(".sql").map(str::to_owned);
    let mapped: BTreeSet<String> = definitions.files.keys().filter_map(entity).collect();
    let known: Vec<String> = canonical_entities(definitions)?.into_iter().map(|entity| entity.name).collect();
    for name in mapped.iter().filter(|name| !known.contains(*name)) {
        let guess = did_you_mean(name, known.iter().map(String::as_str));
        report.problems.push(format!("{CANONICAL}/{name}.sql: the canonical model has no entity `{name}`{guess}"));
    }
    let missing: Vec<&str> = known.iter().map(String::as_str).filter(|name| !mapped.contains(*name)).collect();
    let schema = if manifest.system.side == Side::Pm { "pm" } else { "erp" };
    if !missing.is_empty() {
        let missing = missing.join(", ");
        report.notes.push(format!("{schema} has nothing of {missing}: checks that need them say not_applicable"));
    }
    Ok(())
}

/// Plans what is mapped over a warehouse that holds nothing.
async fn planned(definitions: Definitions, system: &str, report: &mut Report) -> Result<(), Failure> {
    let scratch = tempfile::tempdir().context("make a folder for an empty warehouse").map_err(Failure::usage)?;
    let place = scratch.path().to_string_lossy().into_owned();
    let warehouse = Warehouse::open_or_create(&place).await.map_err(Failure::warehouse)?;
    let binding = SourceBinding { name: system.to_owned(), system: system.to_owned() };
    let settings = EngineSettings { sources: vec![binding], ..EngineSettings::default() };
    let engine = match Engine::open(warehouse, definitions, settings).await {
        Ok(engine) => engine,
        Err(error) => {
            report.problems.push(error.to_string());
            return Ok(());
        }
    };
    let folder = format!("extractors/{system}/");
    let mut told = BTreeSet::new();
    for problem in engine.problems().await {
        // What else cannot be planned because of a mapping says the mapping's reason again.
        let reason = if problem.path.starts_with(&folder) {
            format!("{}: {}", problem.path, problem.reason)
        } else if let Some(start) = problem.reason.find(&folder) {
            problem.reason.get(start..).unwrap_or_default().to_owned()
        } else {
            continue;
        };
        told.insert(reason.replace(&folder, ""));
    }
    report.problems.extend(told);
    Ok(())
}
