//! `tieout verify`: is every commit and every file what it was? Findings are data (stdout); the exit code says yes or no.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, Global, evidence, workspace};
use crate::config::Config;
use crate::evidence::Kept;
use crate::warehouse::{KeptDigest, Verification, VerifyOptions, VerifyProgress, Warehouse};

/// How often a line says how far it is, where no terminal shows a bar.
const LINES_EVERY: Duration = Duration::from_secs(30);

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub(super) struct VerifyArguments {
    /// Also prove that every state is the one before with the changes since
    #[arg(long)]
    deep: bool,
    /// A head that `tieout verify` printed earlier: must still be in the chain
    #[arg(long, value_name = "DIGEST")]
    head: Option<KeptDigest>,
    /// A package that `tieout evidence` wrote, instead of the warehouse: needs neither settings nor warehouse
    #[arg(long, value_name = "DIR|ZIP", conflicts_with = "deep")]
    evidence: Option<PathBuf>,
    /// The digest that was printed when the package was made
    #[arg(long, value_name = "SHA256", requires = "evidence", value_parser = package_digest)]
    digest: Option<String>,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// A package's digest as it is printed.
fn package_digest(text: &str) -> Result<String, String> {
    let digits = text.trim();
    let is_digest = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let reason = "a package's digest is 64 hex digits, as `tieout evidence` prints it";
    is_digest.then(|| digits.to_ascii_lowercase()).ok_or_else(|| reason.to_owned())
}

impl VerifyArguments {
    /// Whether it is about the warehouse of the settings, not about a package or somebody else's.
    pub(super) fn is_of_warehouse(&self, global: &Global) -> bool {
        self.evidence.is_none() && global.warehouse.is_none()
    }
}

pub(super) async fn run(global: &Global, arguments: &VerifyArguments) -> Result<u8, Failure> {
    if let Some(package) = &arguments.evidence {
        let kept = Kept { digest: arguments.digest.clone(), head: arguments.head.clone() };
        return evidence::verify(package, &kept, arguments.json);
    }
    // An auditor has the warehouse, and no settings.
    let url = match &global.warehouse {
        Some(url) => url.clone(),
        None => workspace::url(global, &Config::load(&global.config).map_err(Failure::usage)?),
    };
    let warehouse = Warehouse::open(&url).await.map_err(Failure::warehouse)?;
    let progress = Arc::new(Progress::new(global));
    let told = Arc::clone(&progress);
    let options = VerifyOptions {
        kept: arguments.head.clone(),
        progress: Arc::new(move |step| told.tell(step)),
        ..VerifyOptions::new(arguments.deep)
    };
    let verification = warehouse.verify(&options).await;
    progress.bar.finish_and_clear();
    let verification = verification.map_err(Failure::warehouse)?;
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

/// How far it is: a bar on a terminal, a line now and then elsewhere.
struct Progress {
    /// Counts, whether or not it is shown.
    bar: ProgressBar,
    /// When the last line was written; none where none are wanted.
    last_line: Option<Mutex<Instant>>,
}

impl Progress {
    fn new(global: &Global) -> Self {
        let is_wanted = !global.no_progress && !global.quiet;
        let is_bar = is_wanted && std::io::stderr().is_terminal();
        let target = if is_bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let mut bar = ProgressBar::with_draw_target(Some(0), target).with_message("chain");
        let style = ProgressStyle::with_template(
            "{msg:5} {bar:32} {bytes}/{total_bytes} {binary_bytes_per_sec} ({elapsed}, {eta} left)",
        );
        if let Ok(style) = style {
            bar = bar.with_style(style);
        }
        if is_bar {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Self { bar, last_line: (is_wanted && !is_bar).then(|| Mutex::new(Instant::now())) }
    }

    fn tell(&self, step: VerifyProgress) {
        match step {
            VerifyProgress::Ahead(bytes) => {
                if self.bar.message() == "chain" {
                    self.bar.set_message("files");
                }
                self.bar.inc_length(bytes);
            }
            VerifyProgress::Read(bytes) => self.bar.inc(bytes),
            VerifyProgress::Comparing => self.bar.set_message("rows"),
        }
        // Who finds it locked leaves the line to the other.
        let Some(mut last) = self.last_line.as_ref().and_then(|last| last.try_lock().ok()) else { return };
        if last.elapsed() >= LINES_EVERY {
            *last = Instant::now();
            // Progress is a courtesy: a closed stderr does not stop it.
            let _ = writeln!(std::io::stderr(), "{}", self.line());
        }
    }

    fn line(&self) -> String {
        let (read, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
        format!("verify {}: {} of {}", self.bar.message(), HumanBytes(read), HumanBytes(all))
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
    // Beside a finding they may be files of a commit that is gone, and nothing is removed.
    if *orphans > 0 && verification.findings.is_empty() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is() {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden()).with_message("chain");
        let progress = Progress { bar, last_line: None };
        assert_eq!(progress.line(), "verify chain: 0 B of 0 B");
        for step in [VerifyProgress::Ahead(2048), VerifyProgress::Read(1024), VerifyProgress::Read(512)] {
            progress.tell(step);
        }
        assert_eq!(progress.line(), "verify files: 1.50 KiB of 2.00 KiB");
        for step in [VerifyProgress::Comparing, VerifyProgress::Ahead(1024), VerifyProgress::Read(512)] {
            progress.tell(step);
        }
        assert_eq!(progress.line(), "verify rows: 2.00 KiB of 3.00 KiB");
    }
}
