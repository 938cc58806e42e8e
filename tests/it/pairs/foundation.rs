//! Procore and FOUNDATION in front of the firm that Acumatica's books are of.
//!
//! FOUNDATION shows vendors, jobs, orders, changes, vouchers and invoices to owners under its own keys. What its tables do not tell is
//! silent: cost codes, budgets and job cost, when AP was paid and by which check, which order a voucher bills.

use std::fmt::Write as _;

use tieout::simulator::foundation::{COMPANY, ORDER_TABLES, SCHEMA, procore as shown, record_key, tables};
use tieout::simulator::{DecoyKind, Fault, Firm};

use super::cmic::paid_otherwise;
use super::databases::{Database, Management};
use super::{Crossing, MOMENTS, Pair, decoys};

/// What its tables do not tell: cost codes, budgets, job cost, periods, accounts, which order a voucher bills, single payments.
const SILENT: [&str; 15] = ["C1", "C2", "C3", "C4", "C5", "I5", "I11", "P3", "B1", "B2", "B3", "T1", "T2", "T3", "T4"];
/// Differences of records that have no dates.
const UNDATED: [&str; 5] = ["P1", "P2", "M2", "M6", "O4"];
/// The firm that always runs; `TIEOUT_PAIR_SEEDS=1,2,…` gives others.
const SEEDS: &str = "2";
/// What that firm shows of what the two can show.
const SHOWN: [&str; 28] = [
    "I1", "I10", "I2", "I4", "I6", "I8", "I9", "J1", "M1", "M2", "M3", "M4", "M6", "O1", "O4", "O5", "P0", "P1", "P2",
    "P4", "R1", "R2", "S1", "S2", "V1", "V2", "V4", "V5",
];

const PROCORE_FOUNDATION: Pair =
    Pair { name: "procore and foundation", silent: &SILENT, told, undated: &UNDATED, crossings, moments: &MOMENTS };

fn database() -> Database {
    Database {
        pair: PROCORE_FOUNDATION,
        management: Management::Procore,
        procore: shown,
        script: |firm| tables(firm).unwrap().script().unwrap(),
        section: format!(
            "[sources.foundation]\nkind = \"foundation\"\ndialect = \"ansi\"\nschema = \"{SCHEMA}\"\n\
             company = \"{COMPANY}\"\norders = \"yes\"\nmapping = \"foundation.toml\"\n"
        ),
        after: STATUSES.to_owned(),
        files: vec![("foundation.toml", mapping())],
        projects: 3,
        seeds: SEEDS,
        shown: &SHOWN,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
async fn procore_and_foundation_tell_what_went_wrong() {
    database().tells_what_went_wrong().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
async fn procore_and_foundation_do_not_tell_what_only_looks_wrong() {
    // A voucher's amount holds the tax that accounting added, and no column tells it apart.
    let kinds = [DecoyKind::TaxOnBill, decoys::SHOWN_OTHERWISE[0]];
    database().tells_nothing_that_only_looks_wrong(|alarms, firm| decoys::without(alarms, firm, &kinds)).await;
}

/// What this installation calls its purchase orders.
fn mapping() -> String {
    let mut text = String::new();
    for (table, view, columns) in ORDER_TABLES {
        writeln!(text, "[{table}]\nview = \"{view}\"\n[{table}.columns]").unwrap();
        for (ours, theirs) in columns {
            writeln!(text, "{ours} = \"{theirs}\"").unwrap();
        }
    }
    text
}

/// What the firm's own letters mean.
const STATUSES: &str = "[status.foundation.purchase_orders]\n\"H\" = \"draft\"\n\"X\" = \"rejected\"\n\
                        [status.foundation.purchase_order_changes]\n\"R\" = \"void\"\n\
                        [status.foundation.job_changes]\n\"R\" = \"void\"\n";

/// A fault as the two tell it: ids as FOUNDATION spells them, nothing of what it does not show.
fn told(firm: &Firm, fault: Fault) -> Vec<Fault> {
    let field = fault.field.as_deref().unwrap_or_default();
    let of_party = fault.entity == "vendors" || fault.entity == "customers";
    // Of companies it tells the name alone. A void shows as money that one side has paid and the other has not.
    if SILENT.contains(&fault.check.as_str()) && fault.check != "P3" || of_party && !["", "name"].contains(&field) {
        return Vec::new();
    }
    // What is billed on an order is not told.
    if fault.check == "M5" && fault.pm_id.is_none() {
        return Vec::new();
    }
    if ["P2", "P3", "P4"].contains(&fault.check.as_str()) {
        return paid_otherwise(firm, fault, spelled);
    }
    vec![spelled(firm, fault)]
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
