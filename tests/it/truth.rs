//! What the checks find against what the simulated firm knows went wrong, by the real binary over real HTTP.
//!
//! Both ways: nothing that is wrong is missed, nothing else is reported, and what is reported costs what the fault costs. What
//! is within a check's grace may be in flight. `TIEOUT_TRUTH_SEEDS=1,2,…` gives other firms than those that always run,
//! `TIEOUT_TRUTH_PROJECTS` larger ones, `TIEOUT_TRUTH_MONTHS` older ones, whose projects end.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::Value;
use tieout::clock::SharedClock;
use tieout::simulator::firm::model::ProcoreId;
use tieout::simulator::firm::truth::PaymentVerdict;
use tieout::simulator::{Fault, Firm, RateLimits, Simulator, SimulatorOptions};
use tokio::task::{JoinSet, spawn_blocking};

mod keys;

/// Firms that together show every failure mode.
const SEEDS: &str = "2,3,8";
/// When both systems are read, each a while after the one before, so that faults open and heal in between.
const MOMENTS: [&str; 3] = ["2026-07-01T11:00:00Z", "2026-09-01T11:00:00Z", "2026-10-01T11:00:00Z"];
/// Every check that two such systems can show. V0, L1 and D1 to D4 are measures, I7 sums up what others find.
const CHECKS: [&str; 53] = [
    "V1", "V2", "V3", "V4", "V5", "C1", "C2", "C3", "C4", "C5", "O1", "O2", "O3", "O4", "O5", "M1", "M2", "M3", "M4",
    "M5", "M6", "I1", "I2", "I3", "I4", "I5", "I6", "I8", "I9", "I10", "I11", "P0", "P1", "P2", "P3", "P4", "R1", "R2",
    "R3", "S1", "S2", "L2", "B1", "B2", "B3", "J1", "K1", "T1", "T2", "T3", "T4", "W1", "W2",
];
/// Found where it is, though no firm need have it.
const SELDOM: [&str; 1] = ["W3"];
/// Past this a fault is no longer in flight under any check: the longest grace, and a day that counts to its end.
const GRACE: TimeDelta = TimeDelta::hours(48 + 30);

/// One exception, as far as it is compared.
struct Found {
    check: String,
    key: String,
    is_open: bool,
    at_risk_cents: Option<i64>,
    owner: (String, String),
    cause: String,
}

/// What a check should find at a moment: all that is wrong, and of it what cannot be in flight any more.
#[derive(Default)]
struct Expected {
    all: BTreeSet<String>,
    late: BTreeSet<String>,
    cents: BTreeMap<String, i64>,
    causes: BTreeMap<String, &'static str>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checks_find_what_was_injected_and_nothing_else() {
    let seeds = env::var("TIEOUT_TRUTH_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let mut firms = JoinSet::new();
    for seed in seeds.split(',') {
        firms.spawn(compare_firm(seed.trim().parse().unwrap()));
    }
    let (mut shown, mut differences) = (BTreeSet::new(), String::new());
    while let Some(done) = firms.join_next().await {
        let (checks, text) = done.unwrap();
        shown.extend(checks);
        differences += &text;
    }
    let missing: Vec<&&str> = CHECKS.iter().filter(|check| !shown.contains(**check)).collect();
    // What befalls other firms than these is chance.
    if seeds == SEEDS && !missing.is_empty() {
        writeln!(differences, "the seeds {seeds} do not show {missing:?}").unwrap();
    }
    assert!(differences.is_empty(), "found and injected differ:\n{differences}");
}

/// Lets a firm live, compares at each moment, and returns the checks that had something to find, and the differences.
async fn compare_firm(seed: u64) -> (BTreeSet<String>, String) {
    let given = |name: &str, usual: u32| env::var(name).map_or(usual, |text| text.parse().unwrap());
    let months = given("TIEOUT_TRUTH_MONTHS", 7);
    let start = NaiveDate::from_ymd_opt(2026, 10, 1).unwrap() - Months::new(months);
    let clock = SharedClock::new(start.and_time(NaiveTime::MIN).and_utc());
    let mut options = SimulatorOptions::new(seed, clock);
    options.firm.first_month = (start.year(), start.month());
    options.firm.months = months;
    options.firm.projects = given("TIEOUT_TRUTH_PROJECTS", 4);
    // Few projects must show every failure mode; the waiting is another test's concern.
    options.firm.faults = options.firm.faults.scaled(200);
    options.firm.faults.mishaps = 450;
    options.procore_limits = RateLimits { hour: u32::MAX, spike: u32::MAX, spike_seconds: 10 };
    options.acumatica_licence.requests_per_minute = None;
    let simulator = Simulator::start(options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_workspace(folder.path(), &simulator);
    ask_for_erp_requests(folder.path());

    let (mut shown, mut differences) = (BTreeSet::new(), String::new());
    let mut looks: Vec<DateTime<Utc>> = Vec::new();
    let mut approved: BTreeSet<ProcoreId> = BTreeSet::new();
    for moment in MOMENTS {
        let now: DateTime<Utc> = moment.parse().unwrap();
        simulator.advance_to(now);
        write_crosswalk(folder.path(), &simulator);
        run(folder.path(), &["extract", "--now", moment, "--no-progress"]).await;
        let found = found(folder.path()).await;
        looks.push(now);
        let expected = expected(&simulator, &looks, &mut approved);
        let place = format!("seed {seed} {moment}");
        for check in CHECKS.iter().chain(&SELDOM) {
            let none = Expected::default();
            let expected = expected.get(*check).unwrap_or(&none);
            if !expected.all.is_empty() {
                shown.insert((*check).to_owned());
            }
            compare(&mut differences, &place, check, &found, expected);
        }
        injected_are_there(&mut differences, &place, &simulator, &expected);
        conserved(&mut differences, &place, folder.path()).await;
    }
    if !differences.is_empty() {
        writeln!(differences, "seed {seed}: see {}", folder.keep().display()).unwrap();
    }
    (shown, differences)
}

/// All that the firm knows to be wrong, by check.
fn expected(
    simulator: &Simulator,
    looks: &[DateTime<Utc>],
    approved: &mut BTreeSet<ProcoreId>,
) -> BTreeMap<String, Expected> {
    let now = *looks.last().unwrap();
    let firm = simulator.firm();
    let mut expected: BTreeMap<String, Expected> = BTreeMap::new();
    let standing = firm.standing();
    let moves = standing.iter().filter(|fault| fault.check.starts_with('W'));
    let moves = moves.filter(|fault| was_seen_before(&firm, fault, looks)).cloned();
    let undone = firm.truth().into_iter().filter(|fault| was_seen_before(&firm, fault, looks));
    let undone = undone.filter_map(|fault| undone_since(fault, looks));
    let faults = standing.iter().filter(|fault| !fault.check.starts_with('W') && fault.check != "O2");
    let faults = faults.filter(|fault| fault.check != "R3" || was_linked_before(&firm, fault, looks)).cloned();
    for fault in faults.chain(moves).chain(undone) {
        let of_check = expected.entry(fault.check.clone()).or_default();
        let key = keys::key(&fault);
        if fault.occurred_at + GRACE < now && is_datable(&firm, &fault, looks) {
            of_check.late.insert(key.clone());
        }
        if let Some(amount) = fault.amount {
            *of_check.cents.entry(key.clone()).or_default() += amount.0;
        }
        if let Some(cause) = keys::cause(&fault) {
            of_check.causes.insert(key.clone(), cause);
        }
        of_check.all.insert(key);
    }
    // Procore tells when a change order was entered, not since when it is pending: 30 days from entry at the earliest, 30 days
    // from its submission at the latest.
    if no_requisition_crossed(&firm, now, approved) {
        let key = "vendor_invoices:pm_to_erp".to_owned();
        expected.entry("L2".to_owned()).or_default().all.insert(key);
    }
    let overdue = expected.entry("O2".to_owned()).or_default();
    for order in firm.procore.change_orders.values().filter(|order| order.status == "pending") {
        let is_over = |since: DateTime<Utc>| (now - since).num_days() > 30;
        if is_over(order.created_at) {
            overdue.all.insert(order.id.to_string());
            overdue.cents.insert(order.id.to_string(), order.grand_total.0);
        }
        if is_over(order.updated_at) {
            overdue.late.insert(order.id.to_string());
        }
    }
    let ambiguous = standing.iter().filter(|fault| fault.check == "R2").filter_map(|fault| fault.pm_id.clone());
    let ambiguous: BTreeSet<String> = ambiguous.collect();
    let unpaid = expected.entry("P0".to_owned()).or_default();
    for row in firm.unpaid_requisitions(60) {
        // Which of two bills it is, nobody can tell.
        let is_ambiguous = ambiguous.contains(&row.requisition_id.to_string());
        let verdict = if is_ambiguous { PaymentVerdict::NoRecord } else { row.verdict };
        let key = format!("{} {}", row.requisition_id, word(verdict));
        unpaid.cents.insert(key.clone(), (row.net - row.paid_in_procore).0);
        unpaid.late.insert(key.clone());
        unpaid.all.insert(key);
    }
    expected
}

/// Whether the systems tell when it came to be. They have no date of an approval for most records: what was approved since the
/// last look was so by its last change, which may have been an hour ago.
fn is_datable(firm: &Firm, fault: &Fault, looks: &[DateTime<Utc>]) -> bool {
    if !["M1", "M2", "M4", "M6", "I1", "I2"].contains(&fault.check.as_str()) {
        return true;
    }
    let (now, before) = (*looks.last().unwrap(), looks.iter().rev().nth(1).copied());
    let id: ProcoreId = fault.pm_id.as_deref().and_then(|id| id.parse().ok()).unwrap_or_default();
    let changed = [
        firm.procore.commitments.get(&id).map(|one| one.updated_at),
        firm.procore.requisitions.get(&id).map(|one| one.updated_at),
        firm.procore.payment_applications.get(&id).map(|one| one.updated_at),
        fault.erp_id.as_ref().and_then(|key| firm.acumatica.purchase_orders.get(key)).map(|one| one.last_modified_at),
    ];
    before.is_some_and(|before| fault.occurred_at <= before) || changed.into_iter().flatten().all(|at| at + GRACE < now)
}

/// L2 of requisitions, whose approval dates from the look that first saw it: of those approved since the last look, and as far
/// as one can tell in the last two weeks, none has become a bill, and three had the time.
fn no_requisition_crossed(firm: &Firm, now: DateTime<Utc>, approved: &mut BTreeSet<ProcoreId>) -> bool {
    let missing: BTreeSet<Option<String>> =
        firm.standing().into_iter().filter(|fault| fault.check == "I2").map(|fault| fault.pm_id).collect();
    let (mut late, mut crossed) = (0, 0);
    let records = firm.procore.requisitions.values().filter(|one| one.status.starts_with("approved"));
    for one in records.filter(|one| !one.summary.current_payment_due.is_zero()) {
        if !approved.insert(one.id) || one.updated_at < now - TimeDelta::days(14) {
            continue;
        }
        late += u32::from(one.updated_at < now - TimeDelta::hours(36));
        crossed += u32::from(one.erp_status == "synced" && !missing.contains(&Some(one.id.to_string())));
    }
    late >= 3 && crossed == 0
}

/// Whether a look saw the vendor as it was before the change. What differed at the first sight is nobody's violation.
fn was_seen_before(firm: &Firm, fault: &Fault, looks: &[DateTime<Utc>]) -> bool {
    let vendor = fault.pm_id.as_ref().and_then(|id| firm.procore.vendors.get(&id.parse().ok()?));
    let is_there = |look: &DateTime<Utc>| vendor.is_none_or(|vendor| vendor.created_at <= *look);
    looks.iter().any(|look| *look < fault.opened_at && is_there(look))
}

/// Whether a look saw one of the change orders with its own id, before these were confused: it got it when the ERP got the record.
/// Then that one pointed elsewhere before, and the other has what it held.
fn was_linked_before(firm: &Firm, fault: &Fault, looks: &[DateTime<Utc>]) -> bool {
    let both = firm.truth().into_iter().filter(|other| other.check == "R3" && other.opened_at == fault.opened_at);
    let records = both.filter_map(|other| firm.acumatica.change_orders.get(&other.erp_id?));
    let linked_at = records.map(|record| record.created_at).min();
    looks.iter().any(|look| linked_at.is_some_and(|at| at <= *look) && *look < fault.opened_at)
}

/// A change on the wrong side that was seen, and then set back: told once, at the first look after it.
fn undone_since(fault: Fault, looks: &[DateTime<Utc>]) -> Option<Fault> {
    let [.., before, now] = looks else { return None };
    let is_seen = fault.opened_at <= *before;
    let healed = fault.healed_at.filter(|healed| healed > before && healed <= now)?;
    (fault.check == "W1" && is_seen).then(|| Fault {
        check: "W3".to_owned(),
        occurred_at: healed,
        healed_at: None,
        ..fault
    })
}

/// What was injected and still stands is in what the firm derives from its databases too.
fn injected_are_there(
    differences: &mut String,
    place: &str,
    simulator: &Simulator,
    expected: &BTreeMap<String, Expected>,
) {
    let injected = simulator.truth().into_iter().filter(|fault| fault.healed_at.is_none());
    for fault in
        injected.filter(|fault| !["O2", "L2", "R3", "W1", "W2", "T1", "T2", "T3", "T4"].contains(&fault.check.as_str()))
    {
        let stands =
            |check: &str| expected.get(check).is_some_and(|of_check| of_check.all.contains(&keys::key(&fault)));
        // Of a bill paid in parts Procore may know the other part: then both sides have paid, by other amounts. Or it shows a check
        // that was voided in place of the one that it never heard of: that is told of the void.
        let is_told_otherwise = || stands("P2") || has_voided_check(simulator, &fault, expected);
        if !(stands(&fault.check) || fault.check == "P1" && is_told_otherwise()) {
            writeln!(differences, "{place} {}: injected and not standing: {fault:?}", fault.check).unwrap();
        }
    }
}

/// Whether a payment that Procore shows on a requisition is of a check that was voided (P3).
fn has_voided_check(simulator: &Simulator, fault: &Fault, expected: &BTreeMap<String, Expected>) -> bool {
    let firm = simulator.firm();
    let voided = expected.get("P3").into_iter().flat_map(|of_check| &of_check.all);
    let mut payments = voided.filter_map(|id| firm.procore.contract_payments.get(&id.parse().ok()?));
    payments.any(|payment| payment.requisition_id.map(|id| id.to_string()) == fault.pm_id)
}

/// Notes what was not found, what was found only in flight though it is late, what was found beyond, and at other amounts.
fn compare(differences: &mut String, place: &str, check: &str, found: &[Found], expected: &Expected) {
    let of_check = || found.iter().filter(|row| row.check == check);
    let seen: BTreeSet<String> = of_check().map(|row| row.key.clone()).collect();
    let open: BTreeSet<String> = of_check().filter(|row| row.is_open).map(|row| row.key.clone()).collect();
    // Of O2 the late ones are those that must be there; what is still on its way leaves B3's figures alone.
    let must = if matches!(check, "O2" | "B3") { &expected.late } else { &expected.all };
    let missed = must - &seen;
    let early = &(&expected.late & &seen) - &open;
    for (word, list) in [("missed", missed), ("late yet in flight", early), ("extra", &open - &expected.all)] {
        if !list.is_empty() {
            writeln!(differences, "{place} {check} {word} ({} of {}): {list:?}", list.len(), expected.all.len())
                .unwrap();
        }
    }
    for row in of_check().filter(|row| row.is_open && expected.all.contains(&row.key)) {
        let (owner, fix_side) = (row.owner.0.as_str(), row.owner.1.as_str());
        if keys::owner(check).is_some_and(|right| right != (owner, fix_side)) {
            writeln!(differences, "{place} {check} {}: owned by {owner}, to be fixed by {fix_side}", row.key).unwrap();
        }
        if let Some(cause) = expected.causes.get(&row.key).filter(|cause| **cause != row.cause) {
            writeln!(differences, "{place} {check} {}: {} is its cause, not {}", row.key, cause, row.cause).unwrap();
        }
        let Some(cents) = expected.cents.get(&row.key) else { continue };
        if check == "B3" && !expected.late.contains(&row.key) {
            continue;
        }
        if row.at_risk_cents != Some(cents.abs()) {
            let at_risk = row.at_risk_cents;
            writeln!(differences, "{place} {check} {}: {at_risk:?} cents at risk, {cents} injected", row.key).unwrap();
        }
    }
}

/// Notes which sums of differences are not the difference of the sums.
async fn conserved(differences: &mut String, place: &str, folder: &Path) {
    let query = include_str!("truth/conservation.sql");
    let rows: Vec<Value> =
        serde_json::from_slice(&run(folder, &["sql", "--format", "json", "--", query]).await).unwrap();
    assert_eq!(rows.len(), 6, "{rows:?}");
    for row in rows.iter().filter(|row| row["found"] != row["expected"]) {
        writeln!(differences, "{place} is not conserved: {row}").unwrap();
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

async fn found(folder: &Path) -> Vec<Found> {
    let query = "select check_id, exception_key, erp_id, entity, state, detail, is_carried, record_owner, fix_side, cause, \
                 cast(amount_at_risk * 100 as bigint) as at_risk_cents from recon.exceptions";
    let rows: Vec<Value> = serde_json::from_slice(&run(folder, &["sql", "--format", "json", query]).await).unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let of_row = |row: &Value| {
        let check = text(row, "check_id");
        assert_eq!(row["is_carried"], Value::Bool(false), "{row}");
        // Moves of what documents say follow from how they are billed and paid, day by day: those of vendors are compared.
        if check.starts_with('W') && row["entity"] != "vendors" {
            return None;
        }
        let mut key = text(row, "exception_key").split_once(':')?.1.to_owned();
        if check == "C4" {
            key = text(row, "erp_id");
        }
        if check == "P0" {
            let verdict = text(row, "detail").rsplit("the ERP says ").next().unwrap_or_default().to_owned();
            key = format!("{key} {verdict}");
        }
        if check == "W3" {
            // The commit that first shows it stands last.
            key.truncate(key.rfind(':')?);
        }
        let is_open = text(row, "state") == "open";
        let owner = (text(row, "record_owner"), text(row, "fix_side"));
        let cause = text(row, "cause");
        Some(Found { check, key, is_open, at_risk_cents: row["at_risk_cents"].as_i64(), owner, cause })
    };
    rows.iter().filter_map(of_row).collect()
}

/// Runs the program beside the simulator that it reads.
async fn run(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let (folder, arguments) =
        (PathBuf::from(folder), arguments.iter().map(|&word| word.to_owned()).collect::<Vec<String>>());
    let told = spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        tieout(&folder, &arguments)
    });
    told.await.unwrap()
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

/// Here the service user may read the connector's requests.
fn ask_for_erp_requests(folder: &Path) {
    let path = folder.join("tieout.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let told = text.replacen("kind = \"procore\"\n", "kind = \"procore\"\nerp_requests = \"yes\"\n", 1);
    assert_ne!(text, told);
    std::fs::write(path, told).unwrap();
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
