//! Buildertrend's exports and Sage Intacct: a builder whose bills go to the ERP, and who exports his lists before each look.
//!
//! Exports have names and numbers in the place of keys, the client's change orders alone, no log of the integration and no payment but a
//! bill's own. A builder holds nothing back. `TIEOUT_PAIR_SEEDS=1,2,…` gives other firms than the ones that always run.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tieout::simulator::buildertrend::{self, bill_number, is_paid, job_name};
use tieout::simulator::exports::Style;
use tieout::simulator::firm::model::{Cents, ChangeOrderKind, ProcoreId, Rate, Requisition};
use tieout::simulator::{Fault, FaultRates, Firm, IntacctOptions, Simulator};

use super::sage_intacct::record;
use super::{Crossing, MOMENTS, Pair};

/// Firms that together show most of what the two can show.
const SEEDS: &str = "4";
/// Exports tell no periods, no AIA forms, no cost lines, no keys of the ERP's.
const SILENT: [&str; 5] = ["I5", "I8", "B3", "R1", "R3"];
/// Nothing is exported that could be wrong in these ways: there is no log of the integration.
const UNSEEN: [&str; 4] = ["S1", "S2", "L2", "W1"];
/// Figures of orders and bills that are not exported.
const UNTOLD: [&str; 3] = ["original_amount", "approved_change_amount", "retainage_amount"];

const BUILDERTREND_SAGE_INTACCT: Pair = Pair {
    name: "buildertrend and sage_intacct",
    silent: &SILENT,
    told,
    crossings,
    // An order, a bill and a payment are as old as the look that first saw them so.
    undated: &["M1", "M2", "I1", "I2", "P1"],
    moments: &MOMENTS,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: .ci/long"]
async fn buildertrend_and_sage_intacct_tell_what_was_injected_and_nothing_else() {
    let seeds = env::var("TIEOUT_PAIR_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let (mut shown, mut differences) = (BTreeSet::new(), String::new());
    for seed in seeds.split(',') {
        let mut options = super::options(seed.trim().parse().unwrap(), 7, 3);
        options.firm.retainage = Rate(0);
        options.firm.faults = FaultRates { vendor_field: 0, mishaps: 0, ..options.firm.faults };
        let simulator = Simulator::start(options).await.unwrap();
        let intacct = simulator.serve_intacct(IntacctOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let sections = [
            "[sources.buildertrend]\nkind = \"buildertrend\"\nbundle = \"exports\"\n".to_owned(),
            format!(
                "[sources.sage_intacct]\nkind = \"sage_intacct\"\nbase_url = \"{}\"\nclient_id = \"{}\"\n\
                 client_secret = {{ file = \"intacct_secret\" }}\nusername = \"{}\"\n\n[accounts]\nretainage_payable = [\"20100\"]\n",
                intacct.base_url, intacct.client_id, intacct.username
            ),
        ];
        super::write_workspace_of(folder.path(), &sections, &[("intacct_secret", intacct.client_secret.as_str())]);
        let (checks, text) = super::compare_at_moments_after(
            BUILDERTREND_SAGE_INTACCT,
            &simulator,
            folder.path(),
            &format!("seed {seed}"),
            |firm, moment| write_exports(&folder.path().join("exports"), firm, moment),
        )
        .await;
        shown.extend(checks);
        if !text.is_empty() {
            writeln!(differences, "{text}seed {seed}: see {}", folder.keep().display()).unwrap();
        }
    }
    assert!(differences.is_empty(), "found and injected differ:\n{differences}");
    assert!(shown.len() > 8, "the seeds {seeds} show only {shown:?}");
}

/// What the builder's people export before a look: workbooks, and the bundle's manifest last.
fn write_exports(folder: &Path, firm: &Firm, moment: &str) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    let style = Style { is_workbook: true, has_other_words: false };
    let files: Vec<Value> = buildertrend::export(firm, style)
        .unwrap()
        .iter()
        .map(|list| {
            std::fs::write(folder.join(&list.name), &list.bytes).unwrap();
            let values = list.job.as_ref().map_or_else(|| json!({}), |job| json!({ "job": job }));
            let sha256 = hex::encode(Sha256::digest(&list.bytes));
            json!({"entity": list.list, "path": list.name, "sha256": sha256, "values": values})
        })
        .collect();
    let manifest = json!({
        "system": "buildertrend", "as_of": moment, "timezone": "America/Chicago", "currency": "USD", "files": files,
    });
    std::fs::write(folder.join("bundle.json"), manifest.to_string()).unwrap();
}

/// The key of a record in the exports, by the firm's entity and Procore's id.
fn key(firm: &Firm, entity: &str, id: ProcoreId) -> Option<String> {
    let pm = &firm.procore;
    Some(match entity {
        "vendors" | "customers" => pm.vendors.get(&id)?.name.trim().to_owned(),
        "projects" => job_name(firm, id),
        "cost_codes" => {
            let code = pm.cost_codes.get(&id)?;
            format!("{}|{}", job_name(firm, code.project_id), code.full_code)
        }
        "commitments" => {
            let order = pm.commitments.get(&id)?;
            format!("{}|{}", job_name(firm, order.project_id), order.number)
        }
        "change_orders" => {
            let order = pm.change_orders.get(&id).filter(|order| order.kind == ChangeOrderKind::Prime)?;
            format!("{}|{}", job_name(firm, order.project_id), order.number)
        }
        "owner_invoices" => {
            let invoice = pm.payment_applications.get(&id)?;
            format!("{}|{}", job_name(firm, invoice.project_id), invoice.invoice_number)
        }
        "vendor_invoices" | "payments" => {
            let requisition = pm.contract_payments.get(&id).and_then(|payment| payment.requisition_id).unwrap_or(id);
            let bill = pm.requisitions.get(&requisition)?;
            format!("{}|{}|{}", job_name(firm, bill.project_id), bill.vendor_name.trim(), bill_number(bill))
        }
        _ => return None,
    })
}

fn crossings(firm: &Firm) -> Vec<Crossing> {
    let crossing = |(entity, pm_id, erp_id): &Crossing| {
        Some((entity.clone(), key(firm, entity, pm_id.parse().ok()?)?, record(entity, erp_id)))
    };
    firm.crosswalk().iter().filter_map(crossing).collect()
}

fn told(firm: &Firm, fault: Fault) -> Vec<Fault> {
    let check = fault.check.as_str();
    let is_untold =
        ["M2", "I3", "I4"].contains(&check) && fault.field.as_deref().is_some_and(|field| UNTOLD.contains(&field));
    if SILENT.contains(&check) || UNSEEN.contains(&check) || is_untold {
        return Vec::new();
    }
    let entity = match check {
        "B1" | "B2" => "projects".to_owned(),
        "P1" | "P2" | "P3" | "P4" => return payments(firm, &fault),
        _ => fault.entity.clone(),
    };
    let erp_id = fault.erp_id.as_ref().map(|key| record(&fault.entity, key));
    let unpaid = requisition_of(firm, &fault).filter(|_| check == "P0");
    if unpaid.is_some_and(|requisition| is_paid(firm, requisition)) {
        return Vec::new();
    }
    // What is unpaid is unpaid as a whole.
    let amount = unpaid.map_or(fault.amount, |requisition| Some(requisition.summary.current_payment_due));
    let known = Fault { amount, ..fault };
    match known.pm_id.as_deref().map(str::parse::<ProcoreId>) {
        None => vec![Fault { erp_id, ..known }],
        Some(id) => {
            let pm_id = id.ok().and_then(|id| key(firm, &entity, id));
            pm_id.map(|pm_id| Fault { pm_id: Some(pm_id), erp_id, ..known.clone() }).into_iter().collect()
        }
    }
}

fn requisition_of<'f>(firm: &'f Firm, fault: &Fault) -> Option<&'f Requisition> {
    let id: ProcoreId = fault.pm_id.as_deref()?.parse().ok()?;
    let payment = firm.procore.contract_payments.get(&id).and_then(|payment| payment.requisition_id);
    firm.procore.requisitions.get(&payment.unwrap_or(id))
}

/// What is wrong with a bill's payments, as one sees it who knows only whether it is paid.
fn payments(firm: &Firm, fault: &Fault) -> Vec<Fault> {
    let Some(requisition) = requisition_of(firm, fault) else { return Vec::new() };
    let Some(bill) = fault.erp_id.as_ref().and_then(|key| firm.acumatica.bills.get(key)) else { return Vec::new() };
    let applied = bill.applications.iter().filter(|one| one.doc_type.ends_with("Check"));
    let in_erp: Cents = applied.map(|one| one.amount_paid).sum();
    let check = match (is_paid(firm, requisition), in_erp.is_zero(), bill.balance.is_zero()) {
        (false, false, true) => "P1",
        (true, true, _) => "P4",
        _ => return Vec::new(),
    };
    let pm_id = key(firm, "vendor_invoices", requisition.id);
    vec![Fault { check: check.to_owned(), entity: "payments".to_owned(), pm_id, amount: None, ..fault.clone() }]
}
