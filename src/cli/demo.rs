//! `tieout demo`: a simulated firm, its months extracted over HTTP by the real extractors, the summary, a SQL server.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::extract::{RunRequest, run_once};
use super::workspace::Workspace;
use super::{Failure, Global, Stop, serve, simulate, summary};
use crate::clock::{Clock, SharedClock};
use crate::engine::SessionRequest;
use crate::extract;
use crate::server::{HttpOptions, ServerOptions, User};
use crate::simulator::{DecoyRates, Simulator, SimulatorOptions};
use crate::warehouse::rows::ReadMode;

/// The first line of settings that may be written over.
const SETTINGS_HEADER: &str = "# On simulated systems; written anew whenever they start.";
/// The firm's last month is always this one: the demo shows the same to everybody.
const LAST_DAY: (i32, u32, u32) = (2026, 10, 31);
/// Consecutive days extracted after the last month's end.
const DAYS_AFTER: i64 = 3;
/// Extractions run at this hour, UTC.
const HOUR: u32 = 11;

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub(super) struct DemoArguments {
    /// End after the summary instead of serving SQL
    #[arg(long)]
    exit: bool,
    /// Keep the workspace in this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The firm's seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Months the firm lives through
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=600))]
    months: u32,
    /// Projects over all months
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    projects: u32,
}

pub(super) async fn run(global: &Global, arguments: &DemoArguments) -> Result<u8, Failure> {
    let stop = Stop::listen()?;
    let scratch = ScratchFolder::new(arguments.dir.as_deref()).map_err(Failure::usage)?;
    let (start, _) = life(arguments.months);
    let clock = SharedClock::new(start);
    let mut options = SimulatorOptions::new(arguments.seed, clock.clone());
    options.firm.first_month = (start.year(), start.month());
    options.firm.months = arguments.months;
    options.firm.projects = arguments.projects;
    options.firm.decoys = DecoyRates::default();
    let simulator = Simulator::start(options).await.map_err(Failure::usage)?;
    let config = write_workspace(&scratch.path, &simulator).map_err(Failure::usage)?;
    let global = Global { config, ..global.clone() };
    let workspace = Workspace::open(&global).await?;
    let engine = workspace.engine().await?;
    let sources = workspace.setup.sources(&[])?;

    let moments = moments(arguments.months);
    let bar = Progress::new(&global, moments.len());
    for moment in &moments {
        simulator.advance_to(*moment);
        bar.step(*moment);
        let request = RunRequest {
            clock: Clock::Shared(clock.clone()),
            tables: Vec::new(),
            mode: ReadMode::Full,
            accept_deletes: Vec::new(),
            progress: extract::Progress::silent(),
            resumes: None,
            window: None,
            stop: stop.clone(),
        };
        run_once(&workspace, &engine, &sources, request).await?;
    }
    bar.end();
    let session = engine.session(&SessionRequest::default()).await.map_err(Failure::usage)?;
    let text = summary::render(&session).await.map_err(Failure::usage)?;
    writeln!(std::io::stdout(), "{text}").map_err(Failure::usage)?;
    if scratch.is_kept {
        let config = workspace.setup.config.directory.join("tieout.toml");
        let text = format!("kept: tieout --config {} sql \"select * from recon.exceptions\"\n", config.display());
        writeln!(std::io::stdout(), "{text}").map_err(Failure::usage)?;
    }
    if arguments.exit {
        return Ok(0);
    }
    // Whoever extracts from the two systems meanwhile needs limits that are refilled.
    tokio::select! {
        ended = serve_demo(engine, &stop) => ended,
        never = simulate::tick(&clock) => match never {},
    }
}

async fn serve_demo(engine: Arc<crate::engine::Engine>, stop: &Stop) -> Result<u8, Failure> {
    let zone = engine.time_zone();
    let options = ServerOptions {
        listen: serve::address("127.0.0.1:5433").map_err(Failure::usage)?,
        next_free_port: true,
        tls: None,
        users: vec![User::new("demo", "demo")],
        max_connections: 100,
        statement_timeout: None,
        descriptions: Some(serve::descriptions(&engine)),
        keys: Some(serve::keys(&engine)),
        sessions: serve::sessions(engine),
        // Whoever runs a demo is alone with it.
        audit: None,
        http: Some(HttpOptions {
            next_free_port: true,
            firm: "Demo Builders".to_owned(),
            zone,
            ..HttpOptions::at(serve::address("127.0.0.1:5480").map_err(Failure::usage)?)
        }),
    };
    let server = crate::server::serve(options, stop.token()).await.map_err(Failure::usage)?;
    let url = format!("postgres://demo:demo@{}/tieout", server.address());
    let page = server.page_address().map(|page| format!("Page on http://{page}/ (log in as demo, demo)\n\n"));
    let page = page.unwrap_or_default();
    let text = format!(
        "{page}SQL on {url}\n\n    \
         psql {url}\n    \
         select * from recon.exceptions order by amount_at_risk desc;\n    \
         \\dv    the views of recon; \\dn+ the other schemas; \\d+ recon.exceptions what a column means\n\n\
         Ctrl-C ends it."
    );
    writeln!(std::io::stdout(), "{text}").map_err(Failure::usage)?;
    server.stopped().await;
    Ok(0)
}

/// First and last moment of a life of so many months.
pub(super) fn life(months: u32) -> (DateTime<Utc>, DateTime<Utc>) {
    let moments = moments(months);
    let last = moments.last().copied().unwrap_or_default();
    let first_month = last_month().checked_sub_months(Months::new(months.saturating_sub(1))).unwrap_or_default();
    (first_month.and_time(NaiveTime::MIN).and_utc(), last)
}

/// The first day of the firm's last month.
fn last_month() -> NaiveDate {
    let (year, month, _) = LAST_DAY;
    NaiveDate::from_ymd_opt(year, month, 1).unwrap_or_default()
}

/// When the demo extracts: the morning after each month's end, then on consecutive days.
fn moments(months: u32) -> Vec<DateTime<Utc>> {
    let month_ends = (0..months).rev().filter_map(|back| {
        let month = last_month().checked_sub_months(Months::new(back))?;
        month.checked_add_months(Months::new(1))
    });
    let mut days: Vec<NaiveDate> = month_ends.filter(|day| day.day() == 1).collect();
    if let Some(last) = days.last().copied() {
        days.extend((1..=DAYS_AFTER).filter_map(|day| last.checked_add_signed(TimeDelta::days(day))));
    }
    let at = NaiveTime::from_hms_opt(HOUR, 0, 0).unwrap_or_default();
    days.into_iter().map(|day| day.and_time(at).and_utc()).collect()
}

/// How far the demo is: a bar on a terminal, a line per extraction elsewhere.
enum Progress {
    Silent,
    Lines(usize),
    Bar(ProgressBar),
}

impl Progress {
    fn new(global: &Global, length: usize) -> Self {
        if global.no_progress || global.quiet {
            return Self::Silent;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines(length);
        }
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {msg} ({elapsed})");
        let bar = ProgressBar::new(length as u64);
        Self::Bar(style.map_or(bar.clone(), |style| bar.with_style(style)))
    }

    fn step(&self, moment: DateTime<Utc>) {
        let day = moment.format("%Y-%m-%d");
        match self {
            Self::Silent => {}
            Self::Lines(length) => {
                // Progress is a courtesy: a closed stderr does not stop the demo.
                let _ = writeln!(std::io::stderr(), "{day}: extracting both systems ({length} extractions in all)");
            }
            Self::Bar(bar) => {
                bar.set_message(format!("{day} extracting both systems"));
                bar.inc(1);
            }
        }
    }

    fn end(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Settings and secrets of a workspace on the simulated systems, as a person would write them.
///
/// # Errors
/// The folder's settings are somebody's own, or cannot be written.
pub(super) fn write_workspace(folder: &Path, simulator: &Simulator) -> anyhow::Result<PathBuf> {
    let settings = folder.join("tieout.toml");
    if std::fs::read_to_string(&settings).is_ok_and(|text| !text.starts_with(SETTINGS_HEADER)) {
        anyhow::bail!(
            "{} is a workspace's own, it is not written over\nhint: name another folder with --dir",
            settings.display()
        );
    }
    let text = format!(
        "{SETTINGS_HEADER}\n[firm]\nname = \"Demo Builders\"\ntimezone = \"America/Chicago\"\n\n[connector]\nprofile = \"procore-acumatica-edge\"\n\n{}\n[[roles]]\nname = \"demo\"\npassword = {{ file = \"secrets/demo\" }}\nfirm = true\nsensitive = true\n",
        source_settings(simulator)
    );
    std::fs::write(&settings, text).with_context(|| format!("write {}", settings.display()))?;
    let secrets = folder.join("secrets");
    std::fs::create_dir_all(&secrets).with_context(|| format!("create {}", secrets.display()))?;
    let (procore, acumatica) = (simulator.procore(), simulator.acumatica());
    for (name, value) in [
        ("procore_client_id", procore.client_id.as_str()),
        ("procore_client_secret", procore.client_secret.as_str()),
        ("acumatica_username", acumatica.username.as_str()),
        ("acumatica_password", acumatica.password.as_str()),
        ("demo", "demo"),
    ] {
        let path = secrets.join(name);
        std::fs::write(&path, value).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(settings)
}

/// The two `[sources…]` of the simulated systems.
fn source_settings(simulator: &Simulator) -> String {
    let (procore, acumatica) = (simulator.procore(), simulator.acumatica());
    format!(
        "[sources.procore]\nkind = \"procore\"\nbase_url = \"{}\"\nlogin_url = \"{}\"\ncompany_id = \"{}\"\n\
         client_id = {{ file = \"secrets/procore_client_id\" }}\nclient_secret = {{ file = \"secrets/procore_client_secret\" }}\n\n\
         [sources.acumatica]\nkind = \"acumatica\"\nbase_url = \"{}\"\ntenant = \"{}\"\n\
         username = {{ file = \"secrets/acumatica_username\" }}\npassword = {{ file = \"secrets/acumatica_password\" }}\n",
        procore.base_url, procore.login_url, procore.company_id, acumatica.base_url, acumatica.tenant
    )
}

/// The demo's folder: kept if a person named it, else removed at the end.
struct ScratchFolder {
    path: PathBuf,
    is_kept: bool,
}

impl ScratchFolder {
    fn new(kept: Option<&Path>) -> anyhow::Result<Self> {
        let path = match kept {
            Some(path) => path.to_path_buf(),
            None => std::env::temp_dir().join(format!("tieout-demo-{}", uuid::Uuid::new_v4())),
        };
        if path.join("tieout.toml").exists() {
            anyhow::bail!("{} holds a workspace already\nhint: name an empty folder with --dir", path.display());
        }
        std::fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self { path, is_kept: kept.is_some() })
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
