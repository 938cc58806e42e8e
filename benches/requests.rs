//! How many requests a run makes, against the fewest that the two systems can be read with.
//!
//! `cargo bench --profile dev --bench requests -- [PROJECTS] [MONTHS]` (default 12 projects, 24 months) lets a simulated firm
//! live, reads both its systems with `tieout extract` into a new warehouse, and prints for each table what was asked for and
//! the fewest possible (`least/` says how that is counted): a first run; the next day an incremental one with nothing
//! changed; one after two more days of life; a full one. Signing in is left out of both.

#![expect(clippy::print_stdout, reason = "a bench prints")]

mod least;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::Path;
use std::time::Instant;

use chrono::{DateTime, Months, TimeDelta, Utc};
use least::{Before, Requests, least};
use tieout::simulator::firm::model::ProcoreDatabase;
use tieout::simulator::{Firm, RateLimits, SharedClock, Simulator, SimulatorOptions};

const SOURCES: [&str; 2] = ["acumatica", "procore"];

#[tokio::main]
async fn main() {
    let mut numbers = env::args().skip(1).filter_map(|argument| argument.parse::<u32>().ok());
    let (projects, months) = (numbers.next().unwrap_or(12), numbers.next().unwrap_or(24));
    let began: DateTime<Utc> = "2024-01-01T00:00:00Z".parse().expect("a moment");
    let first = began + Months::new(months) + TimeDelta::hours(11);
    let clock = SharedClock::new(first);
    let mut options = SimulatorOptions::new(1, clock.clone());
    (options.firm.first_month, options.firm.projects, options.firm.months) = ((2024, 1), projects, months);
    options.procore_limits = RateLimits { hour: 10_000_000, spike: 10_000_000, spike_seconds: 10 };
    options.acumatica_licence.requests_per_minute = None;
    let simulator = Simulator::start(options).await.expect("a simulator");
    let folder = tempfile::tempdir().expect("a folder");
    write_workspace(folder.path(), &simulator);
    println!("{projects} projects, {months} months: {}", size(&simulator.firm().procore));

    let idle = first + TimeDelta::days(1);
    let lived = idle + TimeDelta::days(1);
    let full = lived + TimeDelta::hours(6);
    let (mut runs, mut before): (_, Option<(Firm, DateTime<Utc>)>) = (Vec::new(), None);
    for (what, at, is_incremental) in
        [("first", first, false), ("idle", idle, true), ("two days", lived, true), ("full", full, false)]
    {
        if what == "two days" {
            simulator.advance_to(at);
        }
        clock.advance_to(at);
        let firm = simulator.firm().clone();
        let known = before.as_ref().map(|(firm, at)| Before { firm, at: *at, is_incremental });
        let least = least(&firm, known);
        let started = Instant::now();
        let made = run(folder.path(), at, is_incremental).await;
        println!("{what}: {} s", started.elapsed().as_secs());
        runs.push((what, made, least));
        before = Some((firm, at));
    }
    print(&runs);
}

/// Requests by table, fewest and made, then their ratio by source.
fn print(runs: &[(&str, Requests, Requests)]) {
    let heads: Vec<String> = runs.iter().map(|(what, ..)| format!("{what:>9} least")).collect();
    println!("\n{:<42}{}", "", heads.concat());
    for source in SOURCES {
        let all: BTreeSet<&String> = runs
            .iter()
            .flat_map(|(_, made, least)| made.keys().chain(least.keys()))
            .filter(|(of, _)| *of == source)
            .map(|(_, table)| table)
            .collect();
        for table in all {
            let of = |requests: &Requests| requests.get(&(source, table.clone())).copied().unwrap_or_default();
            let cells: Vec<String> =
                runs.iter().map(|(_, made, least)| format!("{:>9}{:>6}", of(made), of(least))).collect();
            println!("{:<42}{}", format!("{source}.{table}"), cells.concat());
        }
        let sum = |requests: &Requests| {
            requests.iter().filter(|((of, _), _)| *of == source).map(|(_, count)| count).sum::<u64>()
        };
        let sums: Vec<(u64, u64)> = runs.iter().map(|(_, made, least)| (sum(made), sum(least))).collect();
        let cells: Vec<String> = sums.iter().map(|(made, least)| format!("{made:>9}{least:>6}")).collect();
        println!("{:<42}{}", format!("{source}, all"), cells.concat());
        let ratios = sums.iter().map(|(made, least)| made * 1000 / (*least).max(1));
        let cells: Vec<String> = ratios.map(|ratio| format!("{:>11}.{:03}", ratio / 1000, ratio % 1000)).collect();
        println!("{:<42}{}\n", format!("{source}, made for each needed"), cells.concat());
    }
}

/// Runs `tieout extract`, and says what it asked for.
async fn run(folder: &Path, at: DateTime<Utc>, is_incremental: bool) -> Requests {
    let now = at.to_rfc3339();
    let mode = if is_incremental { "--incremental" } else { "--full" };
    let (code, _) = tieout(folder, &["extract", mode, "--now", &now]).await;
    // 5: an empty list that nothing proves is no matter here.
    assert!(matches!(code, Some(0 | 5)), "the run ended with {code:?}");
    let query = "select source, table_name, requests from meta.requests where _commit = (select max(_commit) from meta.requests)";
    let (code, text) = tieout(folder, &["sql", query, "--format", "csv"]).await;
    assert_eq!(code, Some(0), "{text}");
    let mut requests = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [source, table, count] = fields.as_slice() else { continue };
        let source = SOURCES.into_iter().find(|name| name == source).expect("a source of the workspace");
        let count = count.parse().expect("a number");
        // Signing in has no table, and a table inside another no requests.
        if count > 0 && !table.trim_matches('"').is_empty() {
            requests.insert((source, (*table).to_owned()), count);
        }
    }
    requests
}

async fn tieout(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tieout"));
    command.arg("--config").arg(folder.join("tieout.toml")).args(arguments).args(["--quiet", "--no-progress"]);
    let output = command.stderr(std::process::Stdio::inherit()).output().await.expect("tieout started");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn write_workspace(folder: &Path, simulator: &Simulator) {
    let (procore, acumatica) = (simulator.procore(), simulator.acumatica());
    let settings = format!(
        "[firm]\nname = \"Bench\"\ntimezone = \"UTC\"\n[connector]\nprofile = \"procore-acumatica-edge\"\n\
         [sources.procore]\nkind = \"procore\"\nbase_url = \"{}\"\nlogin_url = \"{}\"\ncompany_id = \"{}\"\n\
         client_id = {{ file = \"client_id\" }}\nclient_secret = {{ file = \"client_secret\" }}\n\
         [sources.acumatica]\nkind = \"acumatica\"\nbase_url = \"{}\"\ntenant = \"{}\"\n\
         username = {{ file = \"username\" }}\npassword = {{ file = \"password\" }}\n",
        procore.base_url, procore.login_url, procore.company_id, acumatica.base_url, acumatica.tenant
    );
    for (name, text) in [
        ("tieout.toml", &settings),
        ("client_id", &procore.client_id),
        ("client_secret", &procore.client_secret),
        ("username", &acumatica.username),
        ("password", &acumatica.password),
    ] {
        std::fs::write(folder.join(name), text).expect("a file of the workspace");
    }
}

fn size(database: &ProcoreDatabase) -> String {
    format!(
        "{} commitments, {} change orders, {} requisitions, {} applications, {} payments",
        database.commitments.len(),
        database.change_orders.len(),
        database.requisitions.len(),
        database.payment_applications.len(),
        database.contract_payments.len()
    )
}
