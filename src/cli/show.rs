//! `tieout show N`: one commit: its runs, what it changed, what could not be read, what the checks said.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::Args;
use serde_json::json;

use super::chain::{Chain, Format, cells, subject};
use super::paint::{Ink, Paint};
use super::{Failure, Global};
use crate::warehouse::commit::{Commit, TableCommit};
use crate::warehouse::rows::SYSTEM_SOURCE;

/// How many scopes that could not be read are listed for people.
const TROUBLES_MAX: usize = 25;

/// Arguments of `show`.
#[derive(Args, Debug)]
pub(super) struct ShowArguments {
    /// The commit: its number, a day, a moment, or a pin
    #[arg(default_value = "latest", value_name = "N")]
    commit: String,
    /// How it is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What is said of a commit beside its manifest.
struct Told {
    /// Source, table, scope, status, error.
    troubles: Vec<[String; 5]>,
    /// Check, verdict, open, in flight, amount at risk, reason.
    verdicts: Vec<[String; 6]>,
}

pub(super) async fn run(global: &Global, arguments: &ShowArguments) -> Result<u8, Failure> {
    let chain = Chain::open(global).await?;
    let commit = chain.commit(&arguments.commit)?;
    let told = told(&chain, &commit).await?;
    let text = match arguments.format {
        Format::Text => text(&chain, &commit, &told, Paint::stdout(global.color)),
        Format::Json => json(&commit, &told),
        Format::Csv => {
            let hint = "hint: --format json, or `tieout sql --format csv` over meta.commits, meta.runs, meta.coverage";
            return Err(Failure::usage(anyhow::anyhow!("show: a commit is no table, it has no csv\n{hint}")));
        }
    };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::usage)?;
    Ok(0)
}

async fn told(chain: &Chain, commit: &Commit) -> Result<Told, Failure> {
    let (head, number) = (&chain.head, commit.number);
    let coverage = chain.warehouse.read_state(head, number, SYSTEM_SOURCE, "coverage");
    let coverage = coverage.await.map_err(Failure::warehouse)?;
    let runs = chain.warehouse.read_changes(head, number, SYSTEM_SOURCE, "check_runs");
    let runs = runs.await.map_err(Failure::warehouse)?;
    let scopes = cells(&coverage, ["source", "table_name", "scope", "status", "error"]).map_err(Failure::warehouse)?;
    let is_trouble = |scope: &[String; 5]| !matches!(scope[3].as_str(), "ok" | "empty_verified");
    let names =
        ["commit_number", "check_id", "verdict", "exception_count", "in_flight_count", "amount_at_risk", "reason"];
    let projects = cells(&runs, ["project_id"]).map_err(Failure::warehouse)?;
    let verdicts = cells(&runs, names).map_err(Failure::warehouse)?;
    // A recheck judges many commits: what it says of the newest one is what it says of the present.
    let newest = verdicts.iter().filter_map(|row| row[0].parse::<u64>().ok()).max();
    let is_told = |row: &[String; 7]| row[0].parse().ok() == newest;
    let firm = verdicts.into_iter().zip(projects).filter(|(row, [project])| project.is_empty() && is_told(row));
    let firm = firm.map(|(row, _)| row);
    let mut verdicts: Vec<[String; 6]> = firm
        .map(|[_, check, verdict, open, flight, amount, reason]| [check, verdict, open, flight, amount, reason])
        .collect();
    verdicts.sort();
    Ok(Told { troubles: scopes.into_iter().filter(is_trouble).collect(), verdicts })
}

fn text(chain: &Chain, commit: &Commit, told: &Told, paint: Paint) -> String {
    let mut out = String::new();
    let names = chain.names().remove(&commit.number).map(|names| format!(" ({})", names.join(", ")));
    let title = format!("commit {}{}", commit.number, names.unwrap_or_default());
    let digest = chain.head.manifest_digest(commit.number).unwrap_or_default();
    let _ = writeln!(out, "{}", paint.ink(Ink::Title, title));
    for (name, value) in [
        ("kind", format!("{} {}", commit.kind.as_str(), subject(commit)).trim_end().to_owned()),
        ("committed", chain.moment(commit.committed_at)),
        ("observed", chain.moment(commit.observed_at)),
        ("manifest", digest.to_owned()),
        ("definitions", commit.definitions.clone()),
        ("tool", format!("tieout {}", commit.tool_version)),
    ] {
        let _ = writeln!(out, "  {name:<12} {value}");
    }
    if commit.clock_is_given {
        let _ = writeln!(out, "  clock        given by a person or a simulator, not the machine's");
    }
    runs(&mut out, chain, commit, paint);
    tables(&mut out, commit, paint);
    troubles(&mut out, told, paint);
    verdicts(&mut out, told, paint);
    out
}

fn heading(out: &mut String, paint: Paint, text: &str) {
    let _ = writeln!(out, "\n{}", paint.ink(Ink::Title, text));
}

fn runs(out: &mut String, chain: &Chain, commit: &Commit, paint: Paint) {
    if commit.runs.is_empty() {
        return;
    }
    heading(out, paint, "runs");
    for run in &commit.runs {
        let seconds = (run.finished_at - run.started_at).num_seconds();
        let _ = writeln!(
            out,
            "  {} ({}): from {}, {seconds} s, {} requests, {} tried again, {} s waited",
            run.source,
            run.system,
            chain.moment(run.started_at),
            run.requests,
            run.retries,
            run.waited_seconds
        );
    }
}

fn tables(out: &mut String, commit: &Commit, paint: Paint) {
    let is_changed =
        |table: &&TableCommit| table.inserted + table.updated + table.deleted > 0 || table.held_back.is_some();
    let of_sources: Vec<&TableCommit> = commit.tables.iter().filter(|table| table.source != SYSTEM_SOURCE).collect();
    if of_sources.is_empty() {
        return;
    }
    let changed: Vec<&TableCommit> = of_sources.iter().copied().filter(is_changed).collect();
    heading(out, paint, &format!("tables: {} read, {} changed", of_sources.len(), changed.len()));
    let width = changed.iter().map(|table| table.source.len() + table.table.len() + 1).max().unwrap_or(0);
    for table in changed {
        let count = |ink, text: String, count: u64| paint.ink(if count == 0 { Ink::Faint } else { ink }, text);
        let _ = writeln!(
            out,
            "  {:<width$}  {} {} {}  {} rows",
            format!("{}.{}", table.source, table.table),
            count(Ink::Added, format!("{:>6}", format!("+{}", table.inserted)), table.inserted),
            count(Ink::Changed, format!("{:>6}", format!("~{}", table.updated)), table.updated),
            count(Ink::Removed, format!("{:>6}", format!("-{}", table.deleted)), table.deleted),
            table.rows
        );
        if let Some(reason) = &table.held_back {
            let _ = writeln!(out, "    {}", paint.ink(Ink::Removed, format!("held back: {reason}")));
        }
    }
}

fn troubles(out: &mut String, told: &Told, paint: Paint) {
    if told.troubles.is_empty() {
        return;
    }
    heading(out, paint, &format!("not read completely as of this commit: {} scopes", told.troubles.len()));
    for [source, table, scope, status, error] in told.troubles.iter().take(TROUBLES_MAX) {
        let scope = if scope.is_empty() { "all" } else { scope };
        let line = format!("  {source}.{table} {scope}: {}  {error}", paint.ink(Ink::Removed, status));
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if told.troubles.len() > TROUBLES_MAX {
        let _ = writeln!(out, "  … {} more: see meta.coverage", told.troubles.len() - TROUBLES_MAX);
    }
}

fn verdicts(out: &mut String, told: &Told, paint: Paint) {
    if told.verdicts.is_empty() {
        return;
    }
    heading(out, paint, "checks");
    for [check, verdict, open, in_flight, amount, reason] in &told.verdicts {
        let ink = match verdict.as_str() {
            "clean" => Ink::Added,
            "exceptions" => Ink::Changed,
            "not_applicable" => Ink::Faint,
            _ => Ink::Removed,
        };
        let mut line = format!("  {check:<5} {}", paint.ink(ink, format!("{verdict:<14}")));
        // Never a bare zero: a check that could not speak has no count.
        if matches!(verdict.as_str(), "clean" | "exceptions" | "partial") {
            let _ = write!(line, " {open} open, {in_flight} in flight, {amount} at risk");
        }
        if !reason.is_empty() {
            let _ = write!(line, "  {}", paint.ink(Ink::Faint, reason));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn json(commit: &Commit, told: &Told) -> String {
    let trouble = |[source, table, scope, status, error]: &[String; 5]| json!({ "source": source, "table": table, "scope": scope, "status": status, "error": error });
    let verdict = |[check, verdict, open, in_flight, amount, reason]: &[String; 6]| {
        let told = matches!(verdict.as_str(), "clean" | "exceptions" | "partial");
        let number = |text: &str| text.parse::<serde_json::Number>().ok().filter(|_| told);
        json!({
            "check": check, "verdict": verdict, "open": number(open), "in_flight": number(in_flight),
            "amount_at_risk": number(amount), "reason": reason,
        })
    };
    let value = json!({
        "commit": commit,
        "troubles": told.troubles.iter().map(trouble).collect::<Vec<_>>(),
        "checks": told.verdicts.iter().map(verdict).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}
