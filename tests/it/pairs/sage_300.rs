//! Procore and Sage 300 CRE in front of the firm that Acumatica's books are of.
//!
//! Sage shows the same records under codes in upper case. What its copy does not tell is silent: the ledger, periods, owners' change
//! orders, and of commitments' change orders anything but that they are there. What waits unposted is not there at all.

use tieout::simulator::firm::model::ChangeOrderKind;
use tieout::simulator::sage_300::{DATA_FOLDER, SCHEMA, procore as shown, record_key, tables};
use tieout::simulator::{Fault, Firm};

use super::databases::{Database, Management};
use super::{Crossing, MOMENTS, Pair, decoys};

/// What its copy does not tell: owners' change orders and the amounts of the others, periods, the ledger.
const SILENT: [&str; 8] = ["C5", "O3", "O5", "I5", "T1", "T2", "T3", "T4"];
/// The firm that always runs; `TIEOUT_PAIR_SEEDS=1,2,…` gives others.
const SEEDS: &str = "2";
/// What that firm shows of what the two can show.
const SHOWN: [&str; 36] = [
    "B1", "B2", "B3", "C1", "C2", "C4", "I1", "I10", "I11", "I2", "I4", "I6", "I8", "J1", "M1", "M2", "M3", "M4", "M5",
    "M6", "O1", "O4", "P0", "P1", "P2", "P4", "R1", "S1", "S2", "V1", "V2", "V3", "V4", "V5", "W1", "W2",
];

const PROCORE_SAGE_300: Pair =
    Pair { name: "procore and sage_300_cre", silent: &SILENT, told, undated: &[], crossings, moments: &MOMENTS };

fn database() -> Database {
    Database {
        pair: PROCORE_SAGE_300,
        management: Management::Procore,
        procore: shown,
        script: |firm| tables(firm).unwrap().script().unwrap(),
        section: format!(
            "[sources.sage]\nkind = \"sage_300_cre\"\ndialect = \"ansi\"\nschema = \"{SCHEMA}\"\n\
             data_folder = \"{DATA_FOLDER}\"\n"
        ),
        after: String::new(),
        files: Vec::new(),
        projects: 3,
        seeds: SEEDS,
        shown: &SHOWN,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
async fn procore_and_sage_300_cre_tell_what_went_wrong() {
    database().tells_what_went_wrong().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
async fn procore_and_sage_300_cre_do_not_tell_what_only_looks_wrong() {
    database()
        .tells_nothing_that_only_looks_wrong(|alarms, firm| decoys::without(alarms, firm, &decoys::SHOWN_OTHERWISE))
        .await;
}

/// A fault as the two tell it: ids as Sage spells them, nothing of what it does not show.
fn told(firm: &Firm, fault: Fault) -> Vec<Fault> {
    if SILENT.contains(&fault.check.as_str()) || is_unseen(firm, &fault) {
        return Vec::new();
    }
    if fault.check == "M4" && is_waiting(firm, fault.erp_id.as_deref()) {
        return unposted(firm, &fault);
    }
    // What a change order only in Sage is worth, nobody knows.
    let amount = fault.amount.filter(|_| fault.check != "O4");
    vec![spelled(firm, Fault { amount, ..fault })]
}

/// What no table tells.
fn is_unseen(firm: &Firm, fault: &Fault) -> bool {
    let field = fault.field.as_deref().unwrap_or_default();
    if fault.note.starts_with("follows from R2") && fault.check == "I2" {
        return true;
    }
    match (fault.check.as_str(), fault.entity.as_str()) {
        // Who enters a vendor's number again adds a letter: then it is another number, and the first is still Procore's.
        ("I9", _) | ("R2", "vendor_invoices") => true,
        ("I11", _) if fault.note.starts_with("follows from R2") => is_first_of_its_number(firm, fault),
        ("M2", _) => field != "revised_amount",
        ("M6", _) => is_waiting(firm, fault.erp_id.as_deref()),
        ("C3", _) => field == "title",
        ("O1" | "O4", _) => is_of_owner(firm, fault),
        (_, "vendors") => ["is_active", "tax_id_hash", "legal_name"].contains(&field),
        (_, "customers") => !["", "name", "phone"].contains(&field),
        _ => false,
    }
}

/// Whether the order waits to be posted: that is in tables that nobody copies.
fn is_waiting(firm: &Firm, order: Option<&str>) -> bool {
    let books = &firm.acumatica;
    let found = order.and_then(|key| books.subcontracts.get(key).or_else(|| books.purchase_orders.get(key)));
    found.is_some_and(|order| order.hold || matches!(order.status, "On Hold" | "Pending Approval" | "Rejected"))
}

/// What is not posted is missing, and what Procore stores of it names nothing.
fn unposted(firm: &Firm, fault: &Fault) -> Vec<Fault> {
    let id = fault.pm_id.as_deref().and_then(|id| id.parse().ok()).unwrap_or_default();
    let is_stored = firm.procore.commitments.get(&id).is_some_and(|record| record.origin_id.is_some());
    let missing = |check: &str| Fault { check: check.to_owned(), erp_id: None, field: None, ..fault.clone() };
    let orphan = is_stored.then(|| missing("R1"));
    [Some(missing("M1")), orphan].into_iter().flatten().collect()
}

fn is_first_of_its_number(firm: &Firm, fault: &Fault) -> bool {
    let key = fault.erp_id.as_deref().unwrap_or_default();
    let number = firm.acumatica.bills.get(key).and_then(|bill| bill.vendor_ref.clone()).unwrap_or_default();
    record_key(firm, "vendor_invoices", key).is_some_and(|told| told.ends_with(&format!("|{}", number.to_uppercase())))
}

/// Of owners' change orders nothing is told.
fn is_of_owner(firm: &Firm, fault: &Fault) -> bool {
    let of_procore = fault.pm_id.as_deref().and_then(|id| firm.procore.change_orders.get(&id.parse().ok()?));
    let of_books = fault.erp_id.as_deref().and_then(|key| firm.acumatica.change_orders.get(key.split('|').next()?));
    of_procore.is_some_and(|order| order.kind == ChangeOrderKind::Prime)
        || of_books.is_some_and(|change| change.commitments.is_empty())
}

fn spelled(firm: &Firm, fault: Fault) -> Fault {
    // Where a sum of cost differs is a place, not a record.
    if fault.check.starts_with('B') {
        return fault;
    }
    let erp_id = fault.erp_id.as_deref().and_then(|key| record_key(firm, &fault.entity, key));
    Fault { erp_id, ..fault }
}

fn crossings(firm: &Firm) -> Vec<Crossing> {
    let spelled =
        |(entity, pm_id, erp_id): &Crossing| Some((entity.clone(), pm_id.clone(), record_key(firm, entity, erp_id)?));
    firm.crosswalk().iter().filter_map(spelled).collect()
}
