//! Procore and Sage Intacct in front of the simulated firm: the same records under Intacct's keys.
//!
//! The firm keeps Acumatica's books. Intacct has no ledger of projects: what is journalled to a project is job cost there, which
//! Procore lacks (B3), and nothing that two ledgers could disagree on (T4 compares bills with their own postings). Neither can
//! an approved change wait to be released.

use tieout::simulator::{Fault, Firm, intacct_record_number};

use super::{MOMENTS, Pair};

impl Pair {
    /// Procore and Sage Intacct.
    pub(crate) const PROCORE_SAGE_INTACCT: Self = Self {
        name: "procore and sage_intacct",
        silent: &[],
        told,
        crossings: |firm| {
            let crossings = firm.crosswalk().iter();
            crossings.map(|(entity, pm_id, key)| (entity.clone(), pm_id.clone(), record(entity, key))).collect()
        },
        undated: &[],
        moments: &MOMENTS,
    };
}

fn told(firm: &Firm, fault: Fault) -> Vec<Fault> {
    if fault.check == "T4" {
        return journalled(firm, &fault).into_iter().collect();
    }
    let erp_id = fault.erp_id.as_ref().map(|key| record(&fault.entity, key));
    vec![Fault { erp_id, ..fault }]
}

/// What is journalled to a project, as the cost that Procore does not have.
fn journalled(firm: &Firm, fault: &Fault) -> Option<Fault> {
    let number = fault.field.as_ref()?;
    let project = firm.procore.projects.values().find(|project| project.origin_id.as_ref() == Some(number))?;
    let batches = firm.acumatica.journal_transactions.values().filter(|batch| batch.module == "GL");
    let mut lines = batches.flat_map(|batch| &batch.details).filter(|line| line.project == *number);
    let code = lines.find_map(|line| line.cost_code.clone())?;
    Some(Fault {
        check: "B3".to_owned(),
        pm_id: Some(project.id.to_string()),
        erp_id: Some(format!("{number}|0000|O|{code}|<N/A>")),
        field: None,
        ..fault.clone()
    })
}

/// A record's key there.
pub(super) fn record(entity: &str, key: &str) -> String {
    let (kind, rest) = key.split_once('|').unwrap_or(("", key));
    match (entity, kind) {
        ("vendor_invoices", "Bill") => format!("bill|{rest}"),
        ("owner_invoices", "Invoice") => format!("invoice|{rest}"),
        ("vendor_invoices" | "owner_invoices", _) if !rest.is_empty() => format!("adjustment|{rest}"),
        ("payments", "Check") => format!("AP|{rest}"),
        ("payments", "Payment") => format!("AR|{rest}"),
        // A ledger line that was taken over as a direct cost is known there by its number.
        ("job_costs", "PM") => format!("journal|{}", rest.rsplit('|').next().unwrap_or_default()),
        ("commitments", "") => order("Subcontract", rest),
        ("commitments", _) => order(kind, rest),
        ("change_orders", _) => change(key),
        _ => key.to_owned(),
    }
}

fn order(order_type: &str, number: &str) -> String {
    let definition = if order_type == "Subcontract" { "PC Subcontracts" } else { "PC Purchase Orders" };
    intacct_record_number("purchasing/document", &format!("{definition}-{number}"))
}

/// `000012|prime` or `000012|commitment|SC-1`.
fn change(key: &str) -> String {
    let mut parts = key.splitn(3, '|');
    let (reference, kind, contract) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let Some(contract) = contract.filter(|_| kind == Some("commitment")) else {
        return format!("project|{}", intacct_record_number("project-change-order", reference));
    };
    let (order_type, number) = contract.split_once('|').unwrap_or(("Subcontract", contract));
    let definition =
        if order_type == "Subcontract" { "PC Subcontract Change Orders" } else { "PC Purchase Order Change Orders" };
    let document = intacct_record_number("purchasing/document", &format!("{definition}-{reference}"));
    format!("document|{document}|{}", order(order_type, number))
}
