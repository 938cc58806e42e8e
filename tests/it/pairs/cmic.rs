//! Procore and CMiC in front of the firm that Acumatica's books are of.
//!
//! CMiC shows the same vendors, orders, changes and bills under its own keys, and what its interface publishes no attributes of
//! it does not show: cheques, owner change orders, AR invoices, budgets, lines, the general ledger.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::path::Path;

use tieout::simulator::cmic::{change_code_key, contract_key, project_key, voucher_key};
use tieout::simulator::firm::model::{Cents, ChangeOrder, ChangeOrderKind, ProcoreId};
use tieout::simulator::{CmicEndpoint, CmicLimits, DecoyKind, Fault, Firm, Simulator, System, Trouble};

use super::decoys;
use super::{Crossing, MOMENTS, Pair, compare_at_moments, options, procore, write_workspace_of};
use crate::decoys::LISTS_OF_A_PROJECT;

/// What CMiC publishes no attributes of: phases and categories, job cost, budgets, AR invoices, voucher lines, fiscal periods,
/// cheques, the general ledger.
const SILENT: [&str; 18] =
    ["C1", "C2", "C3", "C4", "C5", "I1", "I3", "I5", "I6", "I10", "P3", "B1", "B2", "B3", "T1", "T2", "T3", "T4"];
/// The firm that always runs; `TIEOUT_PAIR_SEEDS=1,2,…` gives others.
const SEEDS: &str = "2";
/// What that firm shows of what the two can show.
const SHOWN: [&str; 30] = [
    "V1", "V2", "V3", "V4", "V5", "O1", "O4", "O5", "M1", "M2", "M3", "M4", "M5", "M6", "I2", "I4", "I8", "I9", "I11",
    "P0", "P1", "P2", "P4", "R1", "R2", "S1", "S2", "J1", "W1", "W2",
];
/// Differences up to this are rounding.
const CENT: Cents = Cents(1);

const PROCORE_CMIC: Pair =
    Pair { name: "procore and cmic", silent: &SILENT, told, undated: &["P1", "P2"], crossings, moments: &MOMENTS };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: .ci/long"]
async fn procore_and_cmic_tell_what_went_wrong() {
    let seeds = env::var("TIEOUT_PAIR_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let mut differences = String::new();
    for seed in seeds.split(',') {
        let (shown, told) = compare_firm(seed.trim().parse().unwrap()).await;
        differences += &told;
        let missing: Vec<&str> = SHOWN.into_iter().filter(|check| !shown.contains(*check)).collect();
        if seeds == SEEDS && !missing.is_empty() {
            writeln!(differences, "the seeds {seeds} do not show {missing:?}, but {shown:?}").unwrap();
        }
    }
    assert!(differences.is_empty(), "found and injected differ:\n{differences}");
}

async fn compare_firm(seed: u64) -> (BTreeSet<String>, String) {
    let simulator = Simulator::start(options(seed, 7, 3)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_workspace(folder.path(), &simulator, |procore| procore).await;
    // A neighbour at the same address, and a gateway that is not well.
    simulator.interference().burst(System::Cmic, "scmast", Trouble::TooManyRequests, 1);
    simulator.interference().burst(System::Cmic, "apallvouchers", Trouble::Truncated, 1);
    let place = format!("seed {seed}");
    let (shown, mut differences) = compare_at_moments(PROCORE_CMIC, &simulator, folder.path(), &place).await;
    if !differences.is_empty() {
        writeln!(differences, "{place}: see {}", folder.keep().display()).unwrap();
    }
    (shown, differences)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: .ci/long"]
async fn procore_and_cmic_do_not_tell_what_only_looks_wrong() {
    let seeds = env::var("TIEOUT_DECOY_SEEDS").unwrap_or_else(|_| decoys::SEEDS.to_owned());
    let mut alarms = String::new();
    for seed in seeds.split(',') {
        let simulator = Simulator::start(decoys::options(seed.trim().parse().unwrap())).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        // A project without documents is judged too.
        write_workspace(folder.path(), &simulator, |procore| {
            procore.replace("erp_requests = \"yes\"\n", &format!("trust_empty = \"{LISTS_OF_A_PROJECT}\"\n"))
        })
        .await;
        let told = decoys::false_alarms(PROCORE_CMIC, &simulator, folder.path()).await;
        if !told.is_empty() {
            writeln!(alarms, "{told}seed {seed}: see {}", folder.keep().display()).unwrap();
        }
    }
    assert!(alarms.is_empty(), "false alarms:\n{alarms}");
}

async fn write_workspace(folder: &Path, simulator: &Simulator, change: impl FnOnce(String) -> String) {
    let endpoint = simulator.serve_cmic(CmicLimits::default()).await.unwrap();
    let (procore, secrets) = procore(simulator);
    let files: Vec<(&str, &str)> = secrets.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let files = [files, vec![("cmic_password", endpoint.password.as_str())]].concat();
    write_workspace_of(folder, &[change(procore), cmic(&endpoint), STATUSES.to_owned()], &files);
}

/// CMiC as a source of that name, by a user with a password.
fn cmic(endpoint: &CmicEndpoint) -> String {
    format!(
        "[sources.cmic]\nkind = \"cmic\"\nbase_url = \"{}\"\nenvironment = \"{}\"\nclient = \"{}\"\nusername = \"{}\"\n\
         password = {{ file = \"cmic_password\" }}\n",
        endpoint.base_url, endpoint.environment, endpoint.client, endpoint.username
    )
}

/// What the firm's own status codes mean.
const STATUSES: &str = "[status.cmic]\n\"X\" = \"void\"\n\"V\" = \"void\"\n";

/// A fault as the two tell it: ids as CMiC spells them, nothing of what it does not show.
fn told(firm: &Firm, fault: Fault) -> Vec<Fault> {
    if SILENT.contains(&fault.check.as_str()) && fault.check != "P3" || is_unseen(firm, &fault) {
        return Vec::new();
    }
    if ["P2", "P3", "P4"].contains(&fault.check.as_str()) {
        return paid_otherwise(firm, fault, spelled);
    }
    if fault.check == "O3" && !is_stored(firm, &fault) {
        return unlinked(firm, &fault);
    }
    vec![spelled(firm, fault)]
}

fn spelled(firm: &Firm, fault: Fault) -> Fault {
    let books = &firm.acumatica;
    let spell = |id: &str| match fault.entity.as_str() {
        "commitments" => contract_key(books, id),
        "change_orders" => change_code_key(books, id),
        "vendor_invoices" | "payments" => Some(voucher_key(id)),
        "projects" => Some(project_key(id)),
        _ => Some(id.to_owned()),
    };
    let erp_id = fault.erp_id.as_deref().and_then(spell);
    Fault { erp_id, ..fault }
}

fn change_order<'a>(firm: &'a Firm, fault: &Fault) -> Option<&'a ChangeOrder> {
    firm.procore.change_orders.get(&fault.pm_id.as_ref()?.parse().ok()?)
}

/// Of owner change orders, AR invoices and some fields CMiC tells nothing.
fn is_unseen(firm: &Firm, fault: &Fault) -> bool {
    let field = fault.field.as_deref().unwrap_or_default();
    match fault.entity.as_str() {
        "owner_invoices" => fault.check != "I8",
        // When somebody was paid is not told, so that nobody can say that nothing was paid lately.
        "payments" => fault.check == "L2",
        "vendors" => ["city", "tax_id_hash", "legal_name"].contains(&field),
        "customers" => ["city", "tax_id_hash", "email", "phone", "is_active"].contains(&field),
        "change_orders" if fault.check != "O2" && fault.check != "S2" => {
            let is_of_owner = change_order(firm, fault).is_some_and(|order| order.kind == ChangeOrderKind::Prime);
            let change = fault.erp_id.as_ref().and_then(|key| firm.acumatica.change_orders.get(key.split('|').next()?));
            is_of_owner || change.is_some_and(|change| change.commitments.is_empty())
        }
        _ => false,
    }
}

/// Whether Procore keeps the change order's key: without it only an equal amount links the two.
fn is_stored(firm: &Firm, fault: &Fault) -> bool {
    let package = change_order(firm, fault).and_then(|order| order.legacy_package_id);
    package.and_then(|id| firm.procore.change_order_packages.get(&id)).is_some_and(|one| one.origin_id.is_some())
}

/// Two change orders of other amounts that nothing links are one that is missing on each side.
fn unlinked(firm: &Firm, fault: &Fault) -> Vec<Fault> {
    let change = fault.erp_id.as_ref().and_then(|key| firm.acumatica.change_orders.get(key));
    let worth = change.map(|change| change.commitments.iter().map(|line| line.amount).sum());
    let missing = Fault {
        check: "O1".to_owned(),
        erp_id: None,
        field: None,
        amount: change_order(firm, fault).map(|order| order.grand_total),
        ..fault.clone()
    };
    let stray = Fault { check: "O4".to_owned(), pm_id: None, field: None, amount: worth, ..fault.clone() };
    vec![missing, spelled(firm, stray)]
}

/// CMiC, as others, tells what was paid on a voucher, and not by which cheques: a void that Procore does not know shows as money that one side
/// has paid and the other has not.
pub(super) fn paid_otherwise(firm: &Firm, fault: Fault, spelled: fn(&Firm, Fault) -> Fault) -> Vec<Fault> {
    let payment = |id: &str| firm.procore.contract_payments.get(&id.parse().ok()?);
    let voided: Vec<(ProcoreId, ProcoreId)> = firm
        .standing()
        .into_iter()
        .filter(|other| other.check == "P3")
        .filter_map(|other| payment(other.pm_id.as_deref()?))
        .filter_map(|one| Some((one.requisition_id?, one.id)))
        .collect();
    let own = fault.pm_id.as_deref().and_then(|id| id.parse().ok()).unwrap_or_default();
    if fault.check != "P3" {
        let is_told_there = voided.iter().any(|(requisition, _)| *requisition == own);
        return if is_told_there { Vec::new() } else { vec![spelled(firm, fault)] };
    }
    let Some((requisition, _)) = voided.iter().find(|(_, id)| *id == own).copied() else { return Vec::new() };
    if voided.iter().any(|(other, id)| *other == requisition && *id < own) {
        return Vec::new();
    }
    let (in_procore, in_erp) = firm.paid_on(requisition);
    let gap = in_procore - in_erp;
    let check = match (in_procore > CENT, in_erp > CENT) {
        (true, false) => "P4",
        (true, true) if gap.abs() > CENT => "P2",
        _ => return Vec::new(),
    };
    let amount = Some(if check == "P4" { in_procore } else { gap.abs() });
    let (check, pm_id) = (check.to_owned(), Some(requisition.to_string()));
    vec![Fault { check, pm_id, amount, field: None, erp_id: None, ..fault }]
}

fn crossings(firm: &Firm) -> Vec<Crossing> {
    let spelled = |(entity, pm_id, erp_id): &Crossing| (entity.clone(), pm_id.clone(), voucher_key(erp_id));
    let bills = firm.crosswalk().iter().map(spelled);
    // Orders that the ERP numbers itself, where Procore keeps no key of them: nothing else joins the two.
    let unkept = firm.procore.commitments.values().filter(|record| record.origin_id.is_none());
    let orders = unkept.filter_map(|record| {
        let order = firm.order_key(record.id).filter(|key| key.contains('|'))?;
        Some(("commitments".to_owned(), record.id.to_string(), contract_key(&firm.acumatica, &order)?))
    });
    // A release that accounting entered under a number of its own.
    let releases = firm.decoys().iter().filter(|decoy| decoy.kind == DecoyKind::RetainageReleasedInBoth);
    let releases = releases.filter_map(|decoy| {
        let (pm_id, document) = (decoy.pm_ids.last()?, decoy.erp_ids.last()?);
        Some(("vendor_invoices".to_owned(), pm_id.clone(), voucher_key(document)))
    });
    bills.chain(orders).chain(releases).collect()
}
