//! ProjectSight over REST and Vista over ODBC: neither side stores a key of the other's bills, and of payments one knows the day alone.
//!
//! What each of the two does not tell is told in `projectsight.rs` and `vista.rs`; a fault is put into the words of both.

use tieout::simulator::vista::record_key;
use tieout::simulator::{DecoyKind, Fault, Firm};

use super::databases::{Database, Management};
use super::{Crossing, MOMENTS, Pair, decoys, projectsight, vista};

/// A period's end and a check's number are told by no field of ProjectSight's; the ledger of Vista names no job.
const SILENT: [&str; 4] = ["I5", "P3", "C5", "T4"];
/// The firms that always run; `TIEOUT_PAIR_SEEDS=1,2,…` gives others.
const SEEDS: &str = "2,3";
/// What these firms show of what the two can show.
const SHOWN: [&str; 39] = [
    "B1", "B2", "B3", "C1", "C2", "C3", "C4", "I1", "I10", "I11", "I2", "I3", "I4", "I6", "I8", "I9", "J1", "M1", "M2",
    "M3", "M4", "M6", "O1", "O2", "O3", "O4", "O5", "P0", "P1", "P4", "R2", "S2", "T1", "T2", "T3", "V1", "V2", "V4",
    "V5",
];

/// What Procore shows as payments of no invoice: ProjectSight has no place for them, and its invoices stay unpaid.
const PAID_UNHEARD: [(DecoyKind, &str); 2] =
    [(DecoyKind::RetainageReleasedInBoth, "P1"), (DecoyKind::PaymentWithoutRequisition, "P1")];

const PROJECTSIGHT_VISTA: Pair =
    Pair { name: "projectsight and vista", silent: &SILENT, told, undated: &["M6"], crossings, moments: &MOMENTS };

fn database() -> Database {
    vista::database_of(PROJECTSIGHT_VISTA, Management::ProjectSight, SEEDS, &SHOWN)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
async fn projectsight_and_vista_tell_what_went_wrong() {
    database().tells_what_went_wrong().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
async fn projectsight_and_vista_do_not_tell_what_only_looks_wrong() {
    database()
        .tells_nothing_that_only_looks_wrong(|alarms, firm| {
            decoys::told_as(alarms, firm, &PAID_UNHEARD, |entity, id| projectsight::key(firm, entity, id))
        })
        .await;
}

fn told(firm: &Firm, fault: Fault) -> Vec<Fault> {
    let fault = repeating(firm, fault);
    projectsight::told(firm, fault).into_iter().flat_map(|fault| vista::told(firm, fault)).collect()
}

/// Of two bills of one number neither is known to be the invoice, nor when it was entered: the one with the later row repeats the other.
fn repeating(firm: &Firm, fault: Fault) -> Fault {
    let bill = fault.erp_id.as_ref().filter(|_| fault.check == "I9");
    let Some((_, bills)) = bill.and_then(|bill| projectsight::alike_of_bill(firm, bill)) else { return fault };
    let row = |bill: &String| {
        let row = record_key(firm, "vendor_invoices", bill).unwrap_or_default();
        (row.len(), row)
    };
    Fault { erp_id: bills.into_iter().max_by_key(row), ..fault }
}

fn crossings(firm: &Firm) -> Vec<Crossing> {
    // An invoice without a number is its bill by nothing that either side stores.
    let unnumbered = firm.decoys().iter().filter(|decoy| decoy.kind == DecoyKind::BlankInvoiceNumber);
    let unnumbered = unnumbered.filter_map(|decoy| {
        let (pm_id, bill) = (decoy.pm_ids.last()?, decoy.erp_ids.last()?);
        Some(("vendor_invoices".to_owned(), pm_id.clone(), record_key(firm, "vendor_invoices", bill)?))
    });
    vista::crossings(firm).into_iter().chain(unnumbered).map(|one| projectsight::crossing(firm, &one)).collect()
}
