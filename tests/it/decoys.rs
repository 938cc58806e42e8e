//! What looks wrong and is not: firms without faults and with every kind of decoy, by the real binary over real HTTP.
//!
//! A false alarm is the second worst bug: no check may report anything but what the firm's natural timing makes (what is on its
//! way within grace, what was left pending or unpaid for too long). `TIEOUT_DECOY_SEEDS=1,2,…` gives other firms.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tieout::clock::SharedClock;
use tieout::simulator::{DecoyKind, DecoyRates, FaultRates, RateLimits, Simulator, SimulatorOptions};

use crate::truth::{tieout, write_crosswalk, write_workspace};

const SEEDS: &str = "3,11";
/// Mornings after a month's end: what happens in time happens on the evening before, and has crossed over the morning after.
const MOMENTS: [&str; 4] =
    ["2026-05-01T11:00:00Z", "2026-07-01T11:00:00Z", "2026-07-02T11:00:00Z", "2026-11-01T11:00:00Z"];
const PROCORE: &str = "[sources.procore]\n";
pub(crate) const LISTS_OF_A_PROJECT: &str = "work_order_contracts, purchase_order_contracts, prime_contracts, \
    commitment_change_orders, prime_change_orders, change_order_packages, potential_change_orders, payment_applications, \
    requisitions, contract_payments, direct_costs, direct_cost_lines, billing_periods, budget_rows, budget_changes, \
    budget_change_lines, budget_modifications, cost_codes, sub_jobs, wbs_codes";
/// The least that this test asks for.
const KINDS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_check_reports_what_only_looks_wrong() {
    let seeds = env::var("TIEOUT_DECOY_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    for seed in seeds.split(',') {
        let kinds = look_at(seed.trim().parse().unwrap()).await;
        let missing: Vec<_> = DecoyKind::ALL.into_iter().filter(|kind| !kinds.contains(kind)).collect();
        assert!(missing.is_empty() && kinds.len() >= KINDS, "seed {seed} has no {missing:?}");
    }
}

/// Lets a firm live, looks at it at each moment, and returns the kinds that it showed.
async fn look_at(seed: u64) -> BTreeSet<DecoyKind> {
    let clock = SharedClock::new("2026-03-01T00:00:00Z".parse().unwrap());
    let mut options = SimulatorOptions::new(seed, clock);
    options.firm.first_month = (2026, 3);
    options.firm.months = 8;
    options.firm.projects = 4;
    options.firm.faults = FaultRates::none();
    options.firm.decoys = DecoyRates::every();
    options.procore_limits = RateLimits { hour: u32::MAX, spike: u32::MAX, spike_seconds: 10 };
    options.acumatica_licence.requests_per_minute = None;
    let simulator = Simulator::start(options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_workspace(folder.path(), &simulator);
    let path = folder.path().join("tieout.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    // A project without documents is judged too.
    assert!(settings.contains(PROCORE));
    let settings = settings.replace(PROCORE, &format!("{PROCORE}trust_empty = \"{LISTS_OF_A_PROJECT}\"\n"));
    // What the connector never syncs is no exception.
    std::fs::write(&path, settings + "\n[connector]\nprofile = \"procore-acumatica-edge\"\n").unwrap();

    let mut alarms = String::new();
    for moment in MOMENTS {
        simulator.advance_to(moment.parse().unwrap());
        write_crosswalk(folder.path(), &simulator);
        tieout(folder.path(), &["extract", "--now", moment, "--no-progress"]);
        let query =
            "select check_id, state, exception_key, project_number, pm_id, erp_id, detail from recon.exceptions";
        let rows: Vec<Value> =
            serde_json::from_slice(&tieout(folder.path(), &["sql", "--format", "json", query])).unwrap();
        report(&mut alarms, moment, &simulator, &rows);
        let query = "select check_id, error from recon.check_runs where error is not null";
        let failed: Vec<Value> =
            serde_json::from_slice(&tieout(folder.path(), &["sql", "--format", "json", query])).unwrap();
        assert!(failed.is_empty(), "{failed:?}");
    }
    let kept = (!alarms.is_empty()).then(|| folder.keep());
    assert!(kept.is_none(), "seed {seed}: false alarms, see {kept:?}:\n{alarms}");
    simulator.decoys().into_iter().map(|decoy| decoy.kind).collect()
}

/// Notes every exception that is neither true nor natural timing, with the decoy that it touches.
fn report(alarms: &mut String, moment: &str, simulator: &Simulator, rows: &[Value]) {
    let now: DateTime<Utc> = moment.parse().unwrap();
    let decoys = simulator.decoys();
    let truth: BTreeSet<(String, String)> = simulator
        .truth()
        .into_iter()
        .filter(|fault| fault.healed_at.is_none())
        .map(|fault| (fault.check, fault.pm_id.unwrap_or_default()))
        .collect();
    // A change order that takes money back may come after its commitment was billed in full.
    let standing = simulator.firm().standing().into_iter().filter(|fault| fault.check == "M5");
    let overbilled: BTreeSet<String> = standing.filter_map(|fault| fault.erp_id.or(fault.pm_id)).collect();
    let unpaid: BTreeSet<String> =
        simulator.firm().unpaid_requisitions(60).iter().map(|row| row.requisition_id.to_string()).collect();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let (check, pm_id, erp_id, is_open) =
            (text("check_id"), text("pm_id"), text("erp_id"), text("state") == "open");
        let touched = decoys.iter().filter(|decoy| {
            (!pm_id.is_empty() && decoy.pm_ids.contains(&pm_id))
                || (!erp_id.is_empty() && decoy.erp_ids.contains(&erp_id))
        });
        let touched: Vec<_> = touched.collect();
        let is_true = truth.contains(&(check.clone(), pm_id.clone()))
            || (check == "P0" && unpaid.contains(&pm_id))
            || (check == "M5" && overbilled.contains(if erp_id.is_empty() { &pm_id } else { &erp_id }));
        // Bills of decoys are paid on any day: what was paid, or voided, last evening is on its way.
        let is_payment = matches!(check.as_str(), "P1" | "P3");
        let may_wait = is_payment || touched.iter().all(|decoy| decoy.settles_at.is_some_and(|until| now < until));
        if (is_true && touched.is_empty()) || (!is_open && may_wait) {
            continue;
        }
        let count = counts.entry(check.clone()).or_default();
        *count += 1;
        if *count <= 12 {
            let kinds: Vec<_> = touched.iter().map(|decoy| decoy.kind).collect();
            writeln!(alarms, "{moment} {check} {} {pm_id} {erp_id} {kinds:?}: {}", text("state"), text("detail"))
                .unwrap();
        }
    }
    if !counts.is_empty() {
        writeln!(alarms, "{moment} in all: {counts:?}").unwrap();
    }
}
