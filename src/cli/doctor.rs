//! `tieout doctor`: is this installation fit to run? Nothing is changed, and no source is signed in to unless asked.
//!
//! One line a finding: ok, warning or problem, and what to do. Exit codes: 0 without a problem; else 4 where the warehouse is
//! one, 2 where settings or the machine are, 3 where only sources or receivers are.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::Args;
use serde::Serialize;

use super::paint::{Ink, Paint};
use super::workspace::{Setup, Workspace};
use super::{Failure, Global, Stop, trouble};
use crate::clock::Clock;
use crate::config::{Config, PasswordReference, SecretReference};
use crate::warehouse::Warehouse;

mod network;
mod place;
mod work;

/// Arguments of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tieout doctor                  settings, secrets, warehouse, disk, certificates, ports, schedule, ages
  tieout doctor --sources        and sign in to every source, as `tieout check` does in detail
  tieout doctor --json           for a program that watches

Exit codes: 0 no problem (warnings are none); 4 the warehouse; 2 settings or the machine; 3 sources or receivers of alerts.")]
pub(super) struct DoctorArguments {
    /// Sign in to every source and read one record of each table, too
    #[arg(long)]
    sources: bool,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Problem,
}

/// One finding.
#[derive(Debug, Serialize)]
struct Finding {
    state: State,
    /// What was looked at.
    about: String,
    /// What was seen.
    says: String,
    /// What to do.
    hint: Option<String>,
    /// The exit code that it makes, where it is a problem.
    #[serde(skip)]
    code: u8,
}

/// Everything that was found, in the order of looking.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, about: &str, says: impl Into<String>) {
        self.add(State::Ok, 0, about, says.into(), None);
    }

    fn warn(&mut self, about: &str, says: impl Into<String>, hint: &str) {
        self.add(State::Warning, 0, about, says.into(), Some(hint.to_owned()));
    }

    fn problem(&mut self, code: u8, about: &str, says: impl Into<String>, hint: &str) {
        self.add(State::Problem, code, about, says.into(), Some(hint.to_owned()));
    }

    /// An error of the program, its own hint taken apart.
    fn error(&mut self, code: u8, about: &str, error: &anyhow::Error) {
        let (says, hint) = trouble::split(&trouble::text(error));
        let hint = hint.map(|hint| hint.trim_start_matches(trouble::HINT).trim().to_owned());
        self.add(State::Problem, code, about, says, hint);
    }

    fn add(&mut self, state: State, code: u8, about: &str, says: String, hint: Option<String>) {
        self.0.push(Finding { state, about: about.to_owned(), says, hint, code });
    }

    fn exit_code(&self) -> u8 {
        let codes: Vec<u8> = self.0.iter().map(|finding| finding.code).collect();
        [4, 2, 3].into_iter().find(|code| codes.contains(code)).unwrap_or(0)
    }
}

pub(super) async fn run(global: &Global, arguments: &DoctorArguments) -> Result<u8, Failure> {
    let stop = Stop::listen()?;
    let mut findings = Findings::default();
    findings.ok("tieout", format!("version {}", env!("CARGO_PKG_VERSION")));
    match Config::load(&global.config) {
        Ok(config) => {
            findings.ok("settings", format!("{} can be read", global.config.display()));
            look(global, &config, arguments, &stop, &mut findings).await;
        }
        Err(error) => findings.error(2, "settings", &error),
    }
    if stop.token().is_cancelled() {
        return Err(stop.failure("not everything was looked at"));
    }
    let text = if arguments.json { json(&findings)? } else { text(&findings, Paint::stdout(global.color)) };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::usage)?;
    Ok(findings.exit_code())
}

async fn look(global: &Global, config: &Config, arguments: &DoctorArguments, stop: &Stop, findings: &mut Findings) {
    let now = Clock::Machine.now();
    let setup = Setup::read(global).map_err(|failure| findings.error(2, "definitions", &failure.error)).ok();
    if let Some(setup) = &setup {
        work::sources(config, setup, findings);
    }
    secrets(config, findings);
    let url = super::workspace::url(global, config);
    place::disk(&url, findings);
    place::workspace(config, findings);
    match Warehouse::open(&url).await {
        Ok(warehouse) => {
            place::warehouse(&warehouse, config, now, findings).await;
            if let Ok(workspace) = Workspace::open_existing(global).await {
                work::definitions(&workspace, findings).await;
            }
        }
        Err(error @ crate::warehouse::Error::NotFound { .. }) => {
            let (says, _) = trouble::split(&error.to_string());
            findings.warn("warehouse", says, "`tieout extract` makes it; is `url` under [warehouse] right?");
        }
        Err(error) => findings.error(4, "warehouse", &error.into()),
    }
    place::locks(&url, config, findings);
    work::clock(config, now, findings);
    network::certificates(config, now, findings);
    network::ports(config, findings).await;
    work::schedule(config, now, findings);
    network::receivers(config, findings).await;
    if arguments.sources
        && let Some(setup) = &setup
    {
        work::access(setup, &stop.token(), findings).await;
    }
}

/// Secrets beside those of sources: can they be read? Their names only are told.
fn secrets(config: &Config, findings: &mut Findings) {
    let mut count = 0;
    let mut look = |read: anyhow::Result<()>| match read {
        Ok(()) => count += 1,
        Err(error) => findings.error(2, "secrets", &error),
    };
    let of = |reference: &SecretReference, key: &str| reference.resolve(key, &config.directory).map(drop);
    let keys =
        [("firm.tax_id_key", &config.firm.tax_id_key), ("firm.tax_id_key_before", &config.firm.tax_id_key_before)];
    for (key, reference) in keys {
        if let Some(reference) = reference {
            look(of(reference, key));
        }
    }
    for role in &config.roles {
        let key = format!("roles.{}.password", role.name);
        let resolve = |reference: &PasswordReference| reference.resolve(&key, &config.directory).map(drop);
        look(resolve(&role.password));
    }
    findings.ok("secrets", format!("{count} can be read, beside those of sources"));
    if config.roles.is_empty() {
        findings.warn("roles", "nobody may log in to `tieout serve`", "[[roles]] in tieout.toml, docs/security.md");
    }
}

fn text(findings: &Findings, paint: Paint) -> String {
    let width = findings.0.iter().map(|finding| finding.about.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for Finding { state, about, says, hint, .. } in &findings.0 {
        let (ink, word) = match state {
            State::Ok => (Ink::Added, "ok"),
            State::Warning => (Ink::Changed, "warning"),
            State::Problem => (Ink::Removed, "problem"),
        };
        let margin = " ".repeat(9 + width + 2);
        let says = says.replace('\n', &format!("\n{margin}"));
        let _ = writeln!(out, "{} {about:<width$}  {says}", paint.ink(ink, format!("{word:<8}")));
        if let Some(hint) = hint {
            let _ = writeln!(out, "{margin}{}", paint.ink(Ink::Faint, hint.replace('\n', &format!("\n{margin}"))));
        }
    }
    let count = |wanted: State| findings.0.iter().filter(|finding| finding.state == wanted).count();
    let named = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let _ = writeln!(out, "\n{}, {}", named(count(State::Problem), "problem"), named(count(State::Warning), "warning"));
    out
}

fn json(findings: &Findings) -> Result<String, Failure> {
    let value = serde_json::json!({ "exit_code": findings.exit_code(), "findings": findings.0 });
    Ok(format!("{}\n", serde_json::to_string_pretty(&value).map_err(Failure::usage)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_problem_makes_the_exit_code() {
        let mut findings = Findings::default();
        findings.ok("a", "fine");
        findings.warn("b", "so so", "look");
        assert_eq!(findings.exit_code(), 0, "a warning is no problem");
        for (code, expected) in [(3, 3), (2, 2), (4, 4), (3, 4)] {
            findings.problem(code, "c", "bad", "mend it");
            assert_eq!(findings.exit_code(), expected);
        }
    }

    #[test]
    fn an_error_gives_its_hint_away() {
        let mut findings = Findings::default();
        findings.error(2, "secrets", &anyhow::anyhow!("read secret x: not set\nhint: export it"));
        let Finding { says, hint, .. } = &findings.0[0];
        assert_eq!((says.as_str(), hint.as_deref()), ("read secret x: not set", Some("export it")));
    }
}
