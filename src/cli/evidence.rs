//! `tieout evidence`, and what `tieout sql` and `tieout verify` do with `--evidence`: packages written, and checked.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::chain::moment_failure;
use super::stop::Stop;
use super::workspace::{Workspace, engine_failure};
use super::{Failure, Global, INCOMPLETE};
use crate::engine::Error as EngineError;
use crate::evidence::{self, Checked, Error, Kept, Request, SampleWanted, Wanted, Written};
use crate::warehouse::AsOf;

/// Arguments of `evidence`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tieout evidence --as-of FY2025                                       every schedule and check, to evidence-FY2025/
  tieout evidence --as-of FY2025 -o fy2025.zip
  tieout evidence --as-of FY2025 --view ap_aging --view V1             a schedule and a check alone
  tieout evidence --as-of FY2025 --sample audit.ap_aging=mus:40:open_amount --sample subsequent_disbursements=random:25 --sample-seed 20260131
  tieout verify --evidence fy2025.zip                                  anybody can, offline

Ends with 5 where a result could be looked at in part only, or not at all: the package is whole, and says so.")]
pub(super) struct EvidenceArguments {
    /// The moment: a pin, a day, a moment, commit:N
    #[arg(long, value_name = "T")]
    as_of: String,
    /// Where to: a folder that is not there yet, or a file that ends in .zip [default: evidence-T]
    #[arg(short, long, value_name = "DIR|ZIP")]
    output: Option<PathBuf>,
    /// This result alone: a view of audit, a check by its id or view, another table as SCHEMA.NAME; several by repeating it
    #[arg(long = "view", value_name = "NAME", value_delimiter = ',')]
    views: Vec<String>,
    /// The business date, YYYY-MM-DD [default: the pin's period end, else the commit's day]
    #[arg(long, value_name = "D")]
    accounting_date: Option<String>,
    /// By which manifests, views and settings: those of the commit, or today's
    #[arg(long, value_name = "SET", value_parser = ["pinned", "current"], default_value = "pinned")]
    definitions: String,
    #[command(flatten)]
    samples: SampleArguments,
}

/// Samples drawn from results.
#[derive(Args, Debug)]
pub(super) struct SampleArguments {
    /// Draw rows: [VIEW=]random:N, or in proportion to an amount [VIEW=]mus:N[:COLUMN[:absolute]]; several by repeating it
    #[arg(long = "sample", value_name = "SAMPLE", requires = "sample_seed")]
    samples: Vec<SampleWanted>,
    /// Decides which rows are drawn: a whole number of the auditor's own, kept in the package
    #[arg(long, value_name = "SEED", requires = "samples")]
    sample_seed: Option<u64>,
}

impl SampleArguments {
    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// What to write, and where.
pub(super) struct Order<'a> {
    pub(super) as_of: &'a str,
    pub(super) accounting_date: Option<String>,
    pub(super) definitions: &'a str,
    pub(super) wanted: Wanted,
    pub(super) samples: &'a SampleArguments,
    pub(super) target: PathBuf,
}

pub(super) async fn run(global: &Global, arguments: &EvidenceArguments) -> Result<u8, Failure> {
    let wanted = if arguments.views.is_empty() { Wanted::All } else { Wanted::Views(arguments.views.clone()) };
    let order = Order {
        as_of: &arguments.as_of,
        accounting_date: arguments.accounting_date.clone(),
        definitions: &arguments.definitions,
        wanted,
        samples: &arguments.samples,
        target: arguments.output.clone().unwrap_or_else(|| default_place(&arguments.as_of)),
    };
    write(global, order).await
}

/// `evidence-FY2025`, `evidence-2025-12-31`, `evidence-commit-42`.
fn default_place(as_of: &str) -> PathBuf {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "_-.".contains(letter) { letter } else { '-' };
    PathBuf::from(format!("evidence-{}", as_of.trim().chars().map(plain).collect::<String>()))
}

/// Writes a package. What somebody interrupts leaves nothing behind.
pub(super) async fn write(global: &Global, order: Order<'_>) -> Result<u8, Failure> {
    let workspace = Workspace::open_existing(global).await?;
    let zone = workspace.setup.config.firm.timezone.parse();
    let zone = zone.map_err(|error| Failure::usage(anyhow!("read [firm] timezone: {error}")))?;
    let request = Request {
        as_of: AsOf::parse(order.as_of, zone).map_err(moment_failure)?,
        accounting_date: order.accounting_date,
        definitions: order.definitions.to_owned(),
        wanted: order.wanted,
        samples: order.samples.samples.clone(),
        seed: order.samples.sample_seed.unwrap_or_default(),
        target: order.target,
    };
    let engine = workspace.engine().await?;
    let stop = Stop::listen()?;
    let bar = bar(global);
    let progress = |done: usize, all: usize, name: &str| {
        bar.set_length(u64::try_from(all).unwrap_or_default());
        bar.set_position(u64::try_from(done).unwrap_or_default());
        bar.set_message(name.to_owned());
    };
    let written = tokio::select! {
        written = Box::pin(evidence::write(&engine, &request, &progress)) => written,
        () = stop.asked() => return Err(stop.failure("no evidence was written, and nothing was left behind")),
    };
    bar.finish_and_clear();
    let written = written.map_err(|error| failure(error, &request.definitions))?;
    for (name, verdict, reason) in &written.silent {
        // A closed stderr does not take the package back.
        let reason = reason.replace('\n', ", ");
        let _ = writeln!(std::io::stderr(), "note: {name} is {verdict}: {reason}");
    }
    let text = told(&written, &request.target);
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::usage)?;
    Ok(if written.silent.is_empty() { 0 } else { INCOMPLETE })
}

fn told(written: &Written, target: &Path) -> String {
    let Written { digest, items, rows, samples, silent } = written;
    let count = |count: u64| HumanCount(count).to_string();
    let samples = if *samples == 0 { String::new() } else { format!(", {samples} samples") };
    let silent = if silent.is_empty() {
        String::new()
    } else {
        format!("{} of them were looked at in part or not at all, and say so\n", silent.len())
    };
    format!(
        "{target}: {items} results, {rows} rows{samples}\n{silent}digest {digest}\n\
         keep the digest elsewhere; to check: tieout verify --evidence {target} --digest {digest}\n",
        target = target.display(),
        rows = count(*rows),
    )
}

/// Whose fault it is: what was asked for and where it was to go are a person's, the rest the warehouse's.
fn failure(error: Error, definitions: &str) -> Failure {
    match error {
        Error::Asked(_) | Error::Write { .. } | Error::Read { .. } => Failure::usage(error),
        Error::Result { error: ref query, .. } if !query.is_store => Failure::usage(error),
        Error::Result { .. } => Failure::warehouse(error),
        Error::Warehouse(error) => moment_failure(error),
        Error::Engine(error) => {
            let is_definitions = definitions == "pinned" && matches!(error, EngineError::Definitions { .. });
            let failure = engine_failure(error);
            if !is_definitions {
                return failure;
            }
            let hint = "evidence by the definitions of its commit\nhint: --definitions current reads it by today's";
            Failure { code: failure.code, error: failure.error.context(hint) }
        }
    }
}

fn bar(global: &Global) -> ProgressBar {
    if global.no_progress || global.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("evidence {bar:32} {pos}/{len} {msg} ({elapsed})");
    let bar = ProgressBar::new(0);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// Checks a package, without settings and warehouse.
pub(super) fn verify(package: &Path, kept: &Kept, is_json: bool) -> Result<u8, Failure> {
    let checked = evidence::verify(package, kept).map_err(|error| failure(error, ""))?;
    let text = if is_json { serde_json::to_string_pretty(&checked).map_err(Failure::usage)? } else { lines(&checked) };
    writeln!(std::io::stdout(), "{text}").map_err(Failure::usage)?;
    match checked.findings.len() {
        0 => Ok(0),
        count => {
            let things = if count == 1 { "thing differs" } else { "things differ" };
            Err(Failure::warehouse(anyhow!(
                "the evidence {} does not verify: {count} {things}\n\
                 hint: keep it as it is; ask whoever made it for the original, or make it again from the warehouse",
                package.display()
            )))
        }
    }
}

fn lines(checked: &Checked) -> String {
    let Checked { findings, digest, files, bytes, items, rows, samples, commits, head, silent } = checked;
    let mut lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.push(format!("read: {files} files, {}", HumanBytes(*bytes)));
    lines.push(format!("counted: {items} results, {} rows; drawn again: {samples} samples", HumanCount(*rows)));
    lines.push(format!("linked: {commits} commits"));
    for (name, verdict) in silent {
        lines.push(format!("{name} is {verdict}: no all-clear"));
    }
    if let Some((number, sha256)) = head {
        lines.push(format!("read at: {number}:{sha256}"));
    }
    if !digest.is_empty() {
        lines.push(format!("digest: {digest}"));
    }
    lines.push(if findings.is_empty() { "ok" } else { "does not verify" }.to_owned());
    lines.join("\n")
}
