//! The firm's records as Buildertrend exports them: a file for each list page, as its people download them.
//!
//! Follows the fact sheet: no ids and no times of change, amounts formatted for people or as floats of a workbook, headers
//! that differ from account to account, a title above them and a row of totals below; subcontracts are purchase orders, client
//! change orders are the only ones, and nothing is retained. Leaves out who exports when, and what is said beside the files.

use std::collections::BTreeMap;

use crate::exports::{Cell, Export, List, Style, company, day, job, living, text};
use crate::firm::Firm;
use crate::firm::model::{
    Cents, ChangeOrderKind, Commitment, ContractPayment, ProcoreDatabase, ProcoreId, Requisition,
};

/// All lists of a firm as they are now.
///
/// # Errors
/// A workbook that cannot be written.
pub fn export(firm: &Firm, style: Style) -> anyhow::Result<Vec<Export>> {
    let lists = lists(&living(&firm.procore));
    lists.iter().enumerate().map(|(place, list)| list.export(place, style)).collect()
}

/// The lists, before they are written.
pub(crate) fn lists(database: &ProcoreDatabase) -> Vec<List> {
    let mut lists = vec![
        jobs(database),
        vendors(database),
        purchase_orders(database),
        bills(database),
        change_orders(database),
        client_invoices(database),
    ];
    lists.extend(database.projects.keys().filter_map(|project| budget(database, *project)));
    lists
}

/// What a job is called here.
pub fn job_name(firm: &Firm, project: ProcoreId) -> String {
    job(&firm.procore, project)
}

/// The number of a bill as it is exported.
pub fn bill_number(requisition: &Requisition) -> String {
    requisition.invoice_number.clone().unwrap_or_else(|| requisition.number.to_string())
}

fn jobs(database: &ProcoreDatabase) -> List {
    let row = |(id, project): (&ProcoreId, &crate::firm::model::Project)| {
        let contract = database.prime_contracts.values().find(|contract| contract.project_id == *id);
        vec![
            text(&job(database, *id)),
            text(project.project_number.as_deref().unwrap_or_default()),
            text(if project.active { "Open" } else { "Closed" }),
            Cell::Money(contract.map_or(Cents::ZERO, |contract| contract.revised_contract_amount)),
            text(&contract.map(|contract| company(database, contract.vendor_id)).unwrap_or_default()),
            text(project.address.as_deref().unwrap_or_default()),
            Cell::Day(project.start_date),
            Cell::Day(project.completion_date),
        ]
    };
    let headers = vec![
        ("Job name", "Project"),
        ("Job prefix", "Job number"),
        ("Status", "Status"),
        ("Contract price", "Contract Price"),
        ("Client", "Client"),
        ("Address", "Address"),
        ("Start date", "START DATE"),
        ("Completion date", "Completion  date"),
    ];
    let rows = database.projects.iter().filter(|(_, project)| !project.is_demo).map(row).collect();
    List { page: "Jobs", job: None, headers, rows }
}

fn vendors(database: &ProcoreDatabase) -> List {
    let row = |vendor: &crate::firm::model::Vendor| {
        vec![
            text(vendor.name.trim()),
            text(vendor.email_address.as_deref().unwrap_or_default()),
            text(vendor.business_phone.as_deref().unwrap_or_default()),
            text(if vendor.is_active { "Yes" } else { "No" }),
        ]
    };
    let headers = vec![("Company", "Sub/Vendor"), ("Email", "Email"), ("Phone", "phone"), ("Active", "Active")];
    List { page: "Subs/Vendors", job: None, headers, rows: database.vendors.values().map(row).collect() }
}

fn order_status(commitment: &Commitment) -> &'static str {
    match commitment.status {
        "Approved" | "Received" | "Partially Received" => "Approved",
        "Complete" | "Closed" | "Terminated" => "Closed",
        "Void" => "Void",
        "Draft" => "Draft",
        _ => "Pending",
    }
}

fn purchase_orders(database: &ProcoreDatabase) -> List {
    let row = |commitment: &Commitment| {
        vec![
            text(&commitment.number),
            text(&commitment.title),
            text(&job(database, commitment.project_id)),
            text(&company(database, commitment.vendor_id)),
            Cell::Money(commitment.revised_contract),
            text(order_status(commitment)),
            Cell::Money(commitment.total_payments),
            Cell::Money(commitment.remaining_balance_outstanding),
            day(Some(commitment.created_at)),
        ]
    };
    let headers = vec![
        ("PO #", "Purchase Order #"),
        ("Title", "Title"),
        ("Job", "JOB"),
        ("Assigned to", "Sub/Vendor"),
        ("Amount", "Total cost"),
        ("Approval status", "Approval Status"),
        ("Paid", "Amount paid"),
        ("Remaining", "Outstanding"),
        ("Created date", "Created date"),
    ];
    let rows = database.commitments.values().filter(|commitment| commitment.deleted_at.is_none()).map(row).collect();
    List { page: "Purchase Orders", job: None, headers, rows }
}

fn net(requisition: &Requisition) -> Cents {
    requisition.summary.total_earned_less_retainage - requisition.summary.less_previous_certificates_for_payment
}

/// The payment by which a bill was paid; of one that is paid in part its status says nothing. A cent that the ERP rounded away is owed by
/// nobody: there the bill is settled, and the integration says so.
fn paid_by<'d>(database: &'d ProcoreDatabase, requisition: &Requisition) -> Option<&'d ContractPayment> {
    let own = || database.contract_payments.values().filter(|payment| payment.requisition_id == Some(requisition.id));
    let paid: Cents = own().map(|payment| payment.amount).sum();
    own().max_by_key(|payment| payment.date).filter(|_| paid + Cents(1) >= net(requisition))
}

/// Whether a bill is exported as paid.
pub fn is_paid(firm: &Firm, requisition: &Requisition) -> bool {
    requisition.status.starts_with("approved") && paid_by(&firm.procore, requisition).is_some()
}

fn bills(database: &ProcoreDatabase) -> List {
    let row = |requisition: &Requisition| {
        let paid = paid_by(database, requisition);
        let status = match requisition.status {
            "draft" => "Draft",
            "approved" | "approved_as_noted" if paid.is_some() => "Paid",
            "approved" | "approved_as_noted" => "Ready for Payment",
            _ => "Open",
        };
        let order = database.commitments.get(&requisition.commitment_id);
        let net = net(requisition);
        vec![
            text(&bill_number(requisition)),
            text(&order.map(|order| order.number.clone()).unwrap_or_default()),
            text(&job(database, requisition.project_id)),
            text(&company(database, Some(requisition.vendor_id))),
            Cell::Money(net),
            text(status),
            Cell::Day(Some(requisition.billing_date)),
            Cell::Day(paid.filter(|_| status == "Paid").map(|payment| payment.date)),
            text(&paid.filter(|_| status == "Paid").map(|payment| payment.check_number.clone()).unwrap_or_default()),
        ]
    };
    let headers = vec![
        ("Bill #", "Invoice #"),
        ("PO #", "PO #"),
        ("Job", "Job"),
        ("Pay to", "Vendor"),
        ("Amount", "Amount"),
        ("Bill status", "Bill Status"),
        ("Invoice date", "Invoice Date"),
        ("Paid date", "Paid date"),
        ("Payment method/check #", "Payment Method/Check #"),
    ];
    let living = database.requisitions.values().filter(|requisition| requisition.deleted_at.is_none());
    List { page: "Bills", job: None, headers, rows: living.map(row).collect() }
}

fn change_orders(database: &ProcoreDatabase) -> List {
    let prime = database.change_orders.values().filter(|order| order.kind == ChangeOrderKind::Prime);
    let row = |order: &crate::firm::model::ChangeOrder| {
        let status = match order.status {
            "approved" => "Approved",
            "draft" => "Draft",
            "rejected" => "Declined",
            "void" => "Void",
            _ => "Pending",
        };
        vec![
            text(&order.number),
            text(&order.title),
            text(&job(database, order.project_id)),
            Cell::Money(order.grand_total),
            text(status),
            day(order.reviewed_at.filter(|_| status == "Approved")),
        ]
    };
    let headers = vec![
        ("CO #", "ID"),
        ("Title", "Title"),
        ("Job", "Job"),
        ("Owner price", "Price"),
        ("Approval status", "Approval status"),
        ("Approved date", "Approved Date"),
    ];
    List { page: "Change Orders", job: None, headers, rows: prime.map(row).collect() }
}

fn client_invoices(database: &ProcoreDatabase) -> List {
    let row = |application: &crate::firm::model::PaymentApplication| {
        let is_paid = application.status == "approved" && !application.total_amount_paid.is_zero();
        let status = match application.status {
            "approved" if is_paid => "Paid",
            "approved" => "Released",
            _ => "Draft",
        };
        let (earned, before) =
            (application.g702.total_earned_less_retainage, application.g702.less_previous_certificates_for_payment);
        vec![
            text(&application.invoice_number),
            text(&application.contract_title),
            text(&job(database, application.project_id)),
            Cell::Money(earned - before),
            text(status),
            Cell::Day(Some(application.billing_date)),
            Cell::Money(application.total_amount_paid),
        ]
    };
    let headers = vec![
        ("Invoice ID", "#"),
        ("Title", "Title"),
        ("Job", "Job"),
        ("Amount", "Amount"),
        ("Status", "Status"),
        ("Deadline", "Due date"),
        ("Paid amount", "Paid amount"),
    ];
    List {
        page: "Client Invoices",
        job: None,
        headers,
        rows: database.payment_applications.values().map(row).collect(),
    }
}

/// The budget of one job: the page is a job's, and its rows do not say whose.
fn budget(database: &ProcoreDatabase, project: ProcoreId) -> Option<List> {
    let mut by_code: BTreeMap<&str, [Cents; 4]> = BTreeMap::new();
    for line in database.budget_lines.values().filter(|line| line.project_id == project) {
        let sums = by_code.entry(&line.cost_code).or_default();
        let own = [line.original_budget_amount, line.revised_budget, line.committed_costs, line.job_to_date_costs];
        sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
    }
    if by_code.is_empty() {
        return None;
    }
    let title = |code: &str| {
        let codes = database.cost_codes.values().filter(|known| known.project_id == project);
        codes.into_iter().find(|known| known.full_code == code).map(|known| known.name.clone()).unwrap_or_default()
    };
    let row = |(code, sums): (&str, [Cents; 4])| {
        let mut row = vec![text(&format!("{code} {}", title(code))), text("Construction")];
        row.extend(sums.map(Cell::Money));
        row
    };
    let headers = vec![
        ("Cost code", "Cost Code"),
        ("Cost category", "Cost category"),
        ("Original budget", "Original estimate"),
        ("Revised costs", "Revised costs"),
        ("Committed", "Committed"),
        ("Actual", "Bills"),
    ];
    let rows = by_code.into_iter().map(row).collect();
    Some(List { page: "Budget", job: Some(job(database, project)), headers, rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firm::FirmOptions;

    #[test]
    fn every_list_has_a_title_its_headers_and_a_row_of_totals() {
        let mut firm = Firm::new(3, FirmOptions::default());
        firm.live_until(firm.now() + chrono::TimeDelta::days(120));
        let exports = export(&firm, Style::default()).unwrap();
        let orders = exports.iter().find(|export| export.list == "Purchase Orders").unwrap();
        let text = String::from_utf8(orders.bytes.clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("Purchase Orders - All Listed Jobs"));
        assert!(lines[2].starts_with("\"PO #\",\"Title\""));
        assert!(lines.last().unwrap().starts_with("\"Total\","));
        assert!(exports.iter().any(|export| export.list == "Budget" && export.job.is_some()));
        let books = export(&firm, Style { is_workbook: true, has_other_words: true }).unwrap();
        assert!(
            books.iter().all(|book| book.bytes.starts_with(b"PK")
                && book.name.rsplit_once('.').is_some_and(|(_, kind)| kind == "xlsx"))
        );
    }
}
