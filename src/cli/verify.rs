//! `tieout verify`: is every commit and every file what it was? Findings are data (stdout); the exit code says yes or no.

use std::io::Write;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::{Failure, Global, workspace};
use crate::config::Config;
use crate::warehouse::{KeptDigest, Verification, VerifyOptions, VerifyProgress, Warehouse};

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub(super) struct VerifyArguments {
    /// Also prove that every state is the one before with the changes since
    #[arg(long)]
    deep: bool,
    /// A head that `tieout verify` printed earlier: must still be in the chain
    #[arg(long, value_name = "DIGEST")]
    head: Option<KeptDigest>,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(global: &Global, arguments: &VerifyArguments) -> Result<u8, Failure> {
    // An auditor has the warehouse, and no settings.
    let url = match &global.warehouse {
        Some(url) => url.clone(),
        None => workspace::url(global, &Config::load(&global.config).map_err(Failure::usage)?),
    };
    let warehouse = Warehouse::open(&url).await.map_err(Failure::warehouse)?;
    let bar = bar(global);
    let options = VerifyOptions {
        kept: arguments.head.clone(),
        progress: Arc::new(watch(bar.clone())),
        ..VerifyOptions::new(arguments.deep)
    };
    let verification = warehouse.verify(&options).await.map_err(Failure::warehouse)?;
    bar.finish_and_clear();
    let text = if arguments.json { json(&verification) } else { Ok(lines(&verification, arguments.deep)) };
    writeln!(std::io::stdout(), "{}", text.map_err(Failure::usage)?).map_err(Failure::usage)?;
    match verification.findings.len() {
        0 => Ok(0),
        count => {
            let things = if count == 1 { "thing differs" } else { "things differ" };
            Err(Failure::warehouse(anyhow!(
                "the warehouse {url} does not verify: {count} {things}\n\
                 hint: keep it as it is; compare with a backup, and restore the files named"
            )))
        }
    }
}

fn bar(global: &Global) -> ProgressBar {
    if global.no_progress || global.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{msg} {bar:32} {bytes}/{total_bytes} {binary_bytes_per_sec} ({elapsed}, {eta} left)",
    );
    let bar = ProgressBar::new(0).with_message("files");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn watch(bar: ProgressBar) -> impl Fn(VerifyProgress) + Send + Sync {
    move |progress| match progress {
        VerifyProgress::Ahead(bytes) => bar.inc_length(bytes),
        VerifyProgress::Read(bytes) => bar.inc(bytes),
        VerifyProgress::Comparing => bar.set_message("rows "),
    }
}

fn json(verification: &Verification) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(verification)?)
}

fn lines(verification: &Verification, deep: bool) -> String {
    let mut lines: Vec<String> = verification.findings.iter().map(ToString::to_string).collect();
    let Verification { commits, files, bytes, dropped_states, proven_states, compared_rows, orphans, .. } =
        verification;
    let count = |count: &u64| HumanCount(*count).to_string();
    lines.push(format!("read: {} commits, {} files, {}", count(commits), count(files), HumanBytes(*bytes)));
    if *dropped_states > 0 {
        lines
            .push(format!("dropped states, which follow from earlier ones and the changes: {}", count(dropped_states)));
    }
    if deep {
        lines.push(format!("proven: {} states, {} rows compared", count(proven_states), count(compared_rows)));
    }
    if *orphans > 0 {
        lines
            .push(format!("files that no commit names, which `tieout vacuum` removes a day later: {}", count(orphans)));
    }
    if let Some(kept) = verification.kept.filter(|_| verification.findings.is_empty()) {
        lines.push(format!("the head that was kept is commit {kept} of this chain"));
    }
    lines.push(match verification.head_text() {
        Some(head) => format!("head: {head}"),
        None => "head: none, there is no commit yet".to_owned(),
    });
    lines.push(if verification.findings.is_empty() { "ok" } else { "does not verify" }.to_owned());
    lines.join("\n")
}
