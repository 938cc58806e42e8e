//! Procore and Viewpoint Vista in front of the firm that Acumatica's books are of.
//!
//! Vista shows the same records under its own numbers, in tables that PostgreSQL stands for. Its ledger names neither job nor phase, so
//! that nothing is compared with postings by project (C5, T4).

use tieout::simulator::vista::{procore as shown, record_key, tables};
use tieout::simulator::{DecoyKind, Fault, Firm};

use super::databases::{Database, Management};
use super::{Crossing, MOMENTS, Pair};

/// What the ledger does not tell.
const SILENT: [&str; 2] = ["C5", "T4"];
/// The firms that always run; `TIEOUT_PAIR_SEEDS=1,2,…` gives others.
const SEEDS: &str = "2,3";
/// What these firms show of what the two can show.
const SHOWN: [&str; 40] = [
    "V1", "V2", "V3", "V4", "V5", "C1", "C2", "C3", "C4", "O1", "O3", "O5", "M1", "M2", "M3", "M4", "M6", "I1", "I2",
    "I3", "I4", "I5", "I6", "I8", "I9", "I10", "I11", "P0", "P1", "P2", "P3", "P4", "R1", "R2", "S1", "S2", "B3", "J1",
    "T3", "W2",
];

const PROCORE_VISTA: Pair =
    Pair { name: "procore and vista", silent: &SILENT, told, undated: &["M6"], crossings, moments: &MOMENTS };

fn database() -> Database {
    database_of(PROCORE_VISTA, Management::Procore, SEEDS, &SHOWN)
}

/// The firm's own company of Vista, beside whatever manages its projects: a sister's rows are beside them.
pub(super) fn database_of(
    pair: Pair,
    management: Management,
    seeds: &'static str,
    shown_checks: &'static [&'static str],
) -> Database {
    Database {
        pair,
        management,
        procore: shown,
        script: |firm| tables(firm).unwrap().script().unwrap(),
        section: "[sources.vista]\nkind = \"vista\"\ndialect = \"ansi\"\nschema = \"dbo\"\ncompany = \"1\"\n"
            .to_owned(),
        after: String::new(),
        files: Vec::new(),
        projects: 4,
        seeds,
        shown: shown_checks,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
async fn procore_and_vista_tell_what_went_wrong() {
    database().tells_what_went_wrong().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
async fn procore_and_vista_do_not_tell_what_only_looks_wrong() {
    database().tells_nothing_that_only_looks_wrong(|alarms, _| alarms.to_owned()).await;
}

/// A fault as the two tell it: ids as Vista spells them.
pub(super) fn told(firm: &Firm, fault: Fault) -> Vec<Fault> {
    if SILENT.contains(&fault.check.as_str()) {
        return Vec::new();
    }
    // Where a budget or a sum of cost differs is a place, not a record.
    if fault.check.starts_with('B') {
        return vec![fault];
    }
    let erp_id = fault.erp_id.as_deref().and_then(|key| record_key(firm, &fault.entity, key));
    vec![Fault { erp_id, ..fault }]
}

pub(super) fn crossings(firm: &Firm) -> Vec<Crossing> {
    let spelled =
        |(entity, pm_id, erp_id): &Crossing| Some((entity.clone(), pm_id.clone(), record_key(firm, entity, erp_id)?));
    // A release that accounting entered under a number of its own.
    let releases = firm.decoys().iter().filter(|decoy| decoy.kind == DecoyKind::RetainageReleasedInBoth);
    let releases = releases.filter_map(|decoy| {
        let (pm_id, document) = (decoy.pm_ids.last()?, decoy.erp_ids.last()?);
        Some(("vendor_invoices".to_owned(), pm_id.clone(), record_key(firm, "vendor_invoices", document)?))
    });
    firm.crosswalk().iter().filter_map(spelled).chain(releases).collect()
}
