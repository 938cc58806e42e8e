//! What the checks find against what the simulated firm knows went wrong, by the real binary over real HTTP.
//!
//! Both ways: nothing injected is missed, nothing else is reported, and what is reported costs what the fault costs. What
//! is within a check's grace may be in flight. `TIEOUT_TRUTH_SEEDS=1,2,…` gives other firms than the two that always run,
//! `TIEOUT_TRUTH_PROJECTS` larger ones.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tieout::clock::SharedClock;
use tieout::simulator::firm::truth::PaymentVerdict;
use tieout::simulator::{Fault, RateLimits, Simulator, SimulatorOptions};

/// Firms that together show every failure mode.
const SEEDS: &str = "3,5";
/// When both systems are read, each a while after the one before, so that faults open and heal in between.
const MOMENTS: [&str; 2] = ["2026-07-01T11:00:00Z", "2026-11-01T11:00:00Z"];
const CHECKS: [&str; 7] = ["V1", "V3", "C4", "O1", "I3", "I4", "P1"];
/// Past this a fault is no longer in flight under any check: the longest grace, and a day that counts to its end.
const GRACE: TimeDelta = TimeDelta::hours(48 + 30);

/// One exception, as far as it is compared.
struct Found {
    check: String,
    id: String,
    is_open: bool,
    verdict: String,
    /// Another exception counts the money that this one is about.
    is_explained: bool,
    at_risk_cents: Option<i64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checks_find_what_was_injected_and_nothing_else() {
    let seeds = env::var("TIEOUT_TRUTH_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let mut injected = BTreeSet::new();
    for seed in seeds.split(',') {
        injected.extend(compare_firm(seed.trim().parse().unwrap()).await);
    }
    assert_eq!(injected.len(), CHECKS.len() + 1, "the seeds {seeds} show only {injected:?}");
}

/// Lets a firm live, compares at each moment, and returns the checks that had something to find.
async fn compare_firm(seed: u64) -> BTreeSet<&'static str> {
    let clock = SharedClock::new("2026-03-01T00:00:00Z".parse().unwrap());
    let mut options = SimulatorOptions::new(seed, clock);
    options.firm.first_month = (2026, 3);
    options.firm.months = 8;
    options.firm.projects = env::var("TIEOUT_TRUTH_PROJECTS").map_or(4, |text| text.parse().unwrap());
    // Few projects must show every failure mode; the waiting is another test's concern.
    options.firm.faults = options.firm.faults.scaled(200);
    options.procore_limits = RateLimits { hour: u32::MAX, spike: u32::MAX, spike_seconds: 10 };
    options.acumatica_licence.requests_per_minute = None;
    let simulator = Simulator::start(options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_workspace(folder.path(), &simulator);

    let mut differences = String::new();
    let mut injected_checks = BTreeSet::new();
    for moment in MOMENTS {
        let now: DateTime<Utc> = moment.parse().unwrap();
        simulator.advance_to(now);
        write_crosswalk(folder.path(), &simulator);
        tieout(folder.path(), &["extract", "--now", moment, "--no-progress"]);
        let found = found(folder.path());
        let truth: Vec<Fault> = simulator.truth().into_iter().filter(|fault| fault.healed_at.is_none()).collect();
        for check in CHECKS {
            let injected = truth.iter().filter(|fault| fault.check == check);
            let late: BTreeSet<String> =
                injected.clone().filter(|fault| fault.occurred_at + GRACE < now).map(id).collect();
            let all: BTreeSet<String> = injected.map(id).collect();
            if !all.is_empty() {
                injected_checks.insert(check);
            }
            compare(&mut differences, moment, check, &found, &all, &late);
            compare_amounts(&mut differences, moment, check, &found, &truth);
        }
        let unpaid = simulator.firm().unpaid_requisitions(60);
        let unpaid: BTreeSet<String> =
            unpaid.iter().map(|row| format!("{} {}", row.requisition_id, word(row.verdict))).collect();
        if !unpaid.is_empty() {
            injected_checks.insert("P0");
        }
        compare(&mut differences, moment, "P0", &found, &unpaid, &unpaid);
    }
    let kept = (!differences.is_empty()).then(|| folder.keep());
    assert!(kept.is_none(), "seed {seed}: found and injected differ, see {kept:?}:\n{differences}");
    injected_checks
}

/// Notes what of `all` was not found, what of `late` was found only in flight, and what was found beyond `all`.
fn compare(
    differences: &mut String,
    moment: &str,
    check: &str,
    found: &[Found],
    all: &BTreeSet<String>,
    late: &BTreeSet<String>,
) {
    let of_check = || found.iter().filter(|row| row.check == check);
    let ids = |row: &Found| {
        if check == "P0" { format!("{} {}", row.id, row.verdict) } else { row.id.clone() }
    };
    let seen: BTreeSet<String> = of_check().map(ids).collect();
    let open: BTreeSet<String> = of_check().filter(|row| row.is_open).map(ids).collect();
    for (word, list) in
        [("missed", all - &seen), ("late yet in flight", &(late & &seen) - &open), ("extra", &open - all)]
    {
        if !list.is_empty() {
            writeln!(differences, "{moment} {check} {word} ({} of {}): {list:?}", list.len(), all.len()).unwrap();
        }
    }
}

/// Notes where the money at risk is not the fault's. A vendor's is no fault's: it is what is open with the vendor.
fn compare_amounts(differences: &mut String, moment: &str, check: &str, found: &[Found], truth: &[Fault]) {
    let mut injected: BTreeMap<String, i64> = BTreeMap::new();
    for fault in truth.iter().filter(|fault| fault.check == check) {
        if let Some(amount) = fault.amount {
            *injected.entry(id(fault)).or_default() += amount.0;
        }
    }
    for row in found.iter().filter(|row| row.check == check && row.is_open && !row.is_explained) {
        let Some(cents) = injected.get(&row.id) else { continue };
        if row.at_risk_cents != Some(cents.abs()) {
            let at_risk = row.at_risk_cents;
            writeln!(differences, "{moment} {check} {}: {at_risk:?} cents at risk, {cents} injected", row.id).unwrap();
        }
    }
}

/// What identifies a fault in its check's exceptions.
fn id(fault: &Fault) -> String {
    let pm_id = fault.pm_id.clone().unwrap_or_default();
    let field = fault.field.as_deref().unwrap_or_default();
    match fault.check.as_str() {
        "C4" => fault.erp_id.clone().unwrap_or_default(),
        "V3" => format!("{pm_id} {field}"),
        "I3" | "I4" => format!("{pm_id} {}", field.trim_end_matches("_amount")),
        _ => pm_id,
    }
}

fn word(verdict: PaymentVerdict) -> &'static str {
    match verdict {
        PaymentVerdict::Paid => "paid",
        PaymentVerdict::Partly => "partly",
        PaymentVerdict::Unpaid => "unpaid",
        PaymentVerdict::NoRecord => "no record",
    }
}

fn found(folder: &Path) -> Vec<Found> {
    let query = "select check_id, exception_key, pm_id, erp_id, state, detail, is_carried, explained_by, \
                 cast(amount_at_risk * 100 as bigint) as at_risk_cents from recon.exceptions";
    let rows: Vec<Value> = serde_json::from_slice(&tieout(folder, &["sql", "--format", "json", query])).unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| {
            let check = text(row, "check_id");
            assert_eq!(row["is_carried"], Value::Bool(false), "{row}");
            let last = text(row, "exception_key").rsplit(':').next().unwrap_or_default().to_owned();
            let id = match check.as_str() {
                "C4" => text(row, "erp_id"),
                "V3" | "I3" | "I4" => format!("{} {last}", text(row, "pm_id")),
                _ => text(row, "pm_id"),
            };
            let verdict = text(row, "detail").rsplit("the ERP says ").next().unwrap_or_default().to_owned();
            let is_open = text(row, "state") == "open";
            let (is_explained, at_risk_cents) = (!row["explained_by"].is_null(), row["at_risk_cents"].as_i64());
            Found { check, id, is_open, verdict, is_explained, at_risk_cents }
        })
        .collect()
}

/// Runs the program and returns what it printed.
pub(crate) fn tieout(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_tieout")).current_dir(folder).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    // 5: committed, but an empty list of a young project is not yet proof that nothing is there.
    assert!(matches!(output.status.code(), Some(0 | 5)), "tieout {arguments:?}: {}\n{error}", output.status);
    output.stdout
}

pub(crate) fn write_workspace(folder: &Path, simulator: &Simulator) {
    let (procore, acumatica) = (simulator.procore(), simulator.acumatica());
    let settings = format!(
        "[firm]\nname = \"Truth Builders\"\ntimezone = \"America/Chicago\"\n\n\
         [sources.procore]\nkind = \"procore\"\nbase_url = \"{}\"\nlogin_url = \"{}\"\ncompany_id = \"{}\"\n\
         client_id = {{ file = \"procore_id\" }}\nclient_secret = {{ file = \"procore_secret\" }}\n\n\
         [sources.acumatica]\nkind = \"acumatica\"\nbase_url = \"{}\"\ntenant = \"{}\"\n\
         username = {{ file = \"acumatica_user\" }}\npassword = {{ file = \"acumatica_password\" }}\n",
        procore.base_url, procore.login_url, procore.company_id, acumatica.base_url, acumatica.tenant
    );
    for (name, text) in [
        ("tieout.toml", settings),
        ("procore_id", procore.client_id),
        ("procore_secret", procore.client_secret),
        ("acumatica_user", acumatica.username),
        ("acumatica_password", acumatica.password),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// The firm's own one-to-many links, as a person would keep them.
pub(crate) fn write_crosswalk(folder: &Path, simulator: &Simulator) {
    let mut text = "pm_id,erp_id,note\n".to_owned();
    for (entity, pm_id, erp_id) in simulator.firm().crosswalk() {
        assert_eq!(entity, "vendor_invoices");
        writeln!(text, "{pm_id},{erp_id},split").unwrap();
    }
    std::fs::create_dir_all(folder.join("crosswalks")).unwrap();
    std::fs::write(folder.join("crosswalks/vendor_invoices.csv"), text).unwrap();
}
