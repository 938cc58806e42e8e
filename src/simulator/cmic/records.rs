//! The books as CMiC has them: rows by resource, attributes named by table and column.
//!
//! A subcontract is a row of `scmast` with the change code `000`, each of its change orders another one; purchase orders came
//! through the connector and are subcontracts too. A voucher's amount is gross of holdback and untaxed, a release of holdback
//! has none. What the fact sheet names no attribute of (cheques, owner change orders, AR invoices, budgets) is not here.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::firm::model::{AcumaticaDatabase, Cents, ErpBill, ErpChangeOrder, ErpCommitment, ErpProject, ErpVendor};

type Row = Map<String, Value>;

/// The firm's company.
const COMPANY: &str = "001";
/// The company that every installation comes with.
const DEMO: &str = "ZZ";
/// The change code of what was agreed first.
const ORIGINAL: &str = "000";
/// The non-project code of the books.
const NO_PROJECT: &str = "X";

/// What CMiC calls a vendor: its business partner, shared by all companies.
#[must_use]
pub fn vendor_key(vendor: &str) -> String {
    vendor.to_owned()
}

/// What CMiC calls a project: company and code.
#[must_use]
pub fn project_key(project: &str) -> String {
    format!("{COMPANY}|{project}")
}

/// What CMiC calls an order of the books (`SC-1` or `Normal|000012`): company, vendor and contract.
#[must_use]
pub fn contract_key(books: &AcumaticaDatabase, order: &str) -> Option<String> {
    let found = books.subcontracts.get(order).or_else(|| books.purchase_orders.get(order))?;
    Some(format!("{COMPANY}|{}|{}", found.vendor_id, found.order_nbr))
}

/// What CMiC calls a change order of the books (`000012`, or `000012|commitment|SC-1`) on its first order: the contract's key and
/// the change code.
#[must_use]
pub fn change_code_key(books: &AcumaticaDatabase, change: &str) -> Option<String> {
    let change = change.split('|').next()?;
    let line = books.change_orders.get(change)?.commitments.first()?;
    let key = order_key(line.po_type, &line.po_nbr);
    Some(format!("{}|{change}", contract_key(books, &key)?))
}

/// What CMiC calls a bill of the books (`Bill|000012`): company and voucher number.
#[must_use]
pub fn voucher_key(bill: &str) -> String {
    format!("{COMPANY}|{}", voucher_number(bill))
}

fn voucher_number(bill: &str) -> u64 {
    bill.rsplit('|').next().and_then(|reference| reference.parse().ok()).unwrap_or_default()
}

fn order_key(kind: &str, number: &str) -> String {
    if kind == "Subcontract" { number.to_owned() } else { format!("{kind}|{number}") }
}

/// The rows of a resource; none for one that is not here.
pub(super) fn rows(books: &AcumaticaDatabase, module: &str, resource: &str) -> Option<Vec<Row>> {
    let rows: Vec<Row> = match (module, resource) {
        ("gl", "glcompany") => vec![company()],
        ("ap", "apvendor") => books.vendors.values().map(vendor).collect(),
        ("pm", "pmproject") => projects(books).map(|one| project(books, one)).collect(),
        ("jc", "jcjob") => projects(books).map(job).collect(),
        ("pm", "scmast") => contracts(books),
        ("ap", "apallvouchers") => books.bills.values().map(|bill| voucher(books, bill)).collect(),
        ("ap", "apinvoutstanding") => books.bills.values().filter(|bill| owes(bill)).map(outstanding).collect(),
        ("ap", "unpostedvouchers") => {
            books.bills.values().filter(|bill| !is_posted(bill)).map(|bill| voucher(books, bill)).collect()
        }
        _ => return None,
    };
    let demo: Vec<Row> = rows.iter().take(2).map(|row| demonstration(row, resource)).collect();
    Some(rows.into_iter().chain(demo).collect())
}

/// The 32 letters of a row's id, whatever its table calls it.
pub(super) fn uuid_of(row: &Row) -> &str {
    row.iter().find(|(name, _)| name.ends_with("VUuid")).and_then(|(_, value)| value.as_str()).unwrap_or_default()
}

/// Whether a path's last part names the row: by its id, a voucher also by its number.
pub(super) fn is_called(row: &Row, resource: &str, key: &str) -> bool {
    let number = || row.get("VouNum").map(ToString::to_string);
    uuid_of(row) == key || (resource == "apallvouchers" && number().as_deref() == Some(key))
}

/// A row of the demo company that looks like the firm's own.
fn demonstration(row: &Row, resource: &str) -> Row {
    let mut demo = row.clone();
    let number = row.get("VouNum").and_then(Value::as_u64);
    for (name, value) in &mut demo {
        if name.ends_with("CompCode") || name == "CompanyCode" {
            *value = json!(DEMO);
        } else if name.ends_with("VUuid") {
            *value = uuid(&format!("{resource} {DEMO}"), uuid_of(row));
        } else if let ("VouNum", Some(number)) = (name.as_str(), number) {
            *value = json!(number + 9_000_000_000);
        }
    }
    demo
}

fn company() -> Row {
    let created = "2014-01-02T08:00:00+0000";
    object(json!({
        "CompCode": COMPANY, "CompName": "Firm", "CompLegalName": "Firm Inc.", "CompCurrCode": "USD", "CompFiscalYr": 2026,
        "CompCurrPer": 10, "CompIuCreateDate": created, "CompIuUpdateDate": Value::Null, "CompVUuid": uuid("company", COMPANY),
    }))
}

fn vendor(one: &ErpVendor) -> Row {
    let (order, pay) = (&one.main_contact, &one.remittance_contact);
    object(json!({
        "BpvenCompCode": COMPANY, "BpvenBpCode": one.vendor_id, "BpvenBpName": one.vendor_name,
        "BpvenActiveFlag": if one.status == "Inactive" { "N" } else { "Y" }, "BpvenTermCode": one.terms,
        "BpvenCurrCode": one.currency_id, "BpvenHldbkPc": 10, "Bpven1099Code": one.f1099_box.filter(|_| one.f1099_vendor),
        "BpvenOneTimeFlag": if one.status == "One-Time" { "Y" } else { "N" },
        "BpvenOrdAdd1": order.address_line1, "BpvenOrdAdd2": order.city, "BpvenOrdAdd3": order.address_line2,
        "BpvenOrdRegionCode": order.state, "BpvenOrdPostalCode": order.postal_code, "BpvenOrdCountry": order.country,
        "BpvenOrdPhone": order.phone1, "BpvenOrdEmail": order.email,
        "BpvenPayAdd1": pay.address_line1, "BpvenPayAdd2": pay.city, "BpvenPayAdd3": pay.address_line2,
        "BpvenPayRegionCode": pay.state, "BpvenPayPostalCode": pay.postal_code, "BpvenPayCountry": pay.country,
        "BpvenPayPhone": pay.phone1, "BpvenPayEmail": pay.email,
        "BpvenTaxlic1": one.tax_registration_id, "BpvenBankAccNum1": format!("44{}", voucher_number(&one.vendor_id)),
        "BpvenIuCreateDate": moment(one.created_at), "BpvenIuUpdateDate": changed(one.created_at, one.last_modified_at),
        "BpIuCreateDate": moment(one.created_at), "BpIuUpdateDate": Value::Null,
        "BpvenVUuid": uuid("vendor", &one.vendor_id),
    }))
}

fn projects(books: &AcumaticaDatabase) -> impl Iterator<Item = &ErpProject> {
    books.projects.values().filter(|one| one.project_id != NO_PROJECT)
}

fn project(books: &AcumaticaDatabase, one: &ErpProject) -> Row {
    let revenue = books.project_budgets.values();
    let revenue = revenue.filter(|row| row.project_id == one.project_id && row.budget_type == "Income");
    let contract: Cents = revenue.map(|row| row.revised_budgeted_amount).sum();
    let customer = one.customer.as_ref().and_then(|key| books.customers.get(key));
    let address = customer.map(|customer| &customer.main_contact);
    let subcontracted: Cents = orders(books).filter(|order| job_of(order) == Some(&one.project_id)).map(revised).sum();
    let status = match one.status {
        "Active" => "A",
        "Completed" => "C",
        "Canceled" => "X",
        _ => "P",
    };
    let ended = matches!(one.status, "Completed" | "Canceled").then(|| moment(one.last_modified_at));
    object(json!({
        "GrpmpCompCode": COMPANY, "GrpmpProjCode": one.project_id, "GrpmpJobCode": one.project_id,
        "GrpmpProjCtrlCode": one.project_id, "GrpmpProjName": one.description, "GrpmpJobName": one.description,
        "GrpmpStatusCode": status, "GrpmpJobStatusCode": status, "GrpmpClosedDate": ended,
        "GrpmpStartDate": one.start_date.map(midnight), "GrpmpEndDate": one.end_date.map(midnight),
        "GrpmpManagerName": one.project_manager, "GrpmpDeptCode": "00", "GrpmpCurrContAmt": money(contract),
        "GrpmpSubcontractedVolumeAmt": money(subcontracted),
        "GrpmpCustCode": one.customer, "GrpmpCustName": customer.map(|customer| &customer.customer_name),
        "GrpmpCustAdd1": address.and_then(|one| one.address_line1.as_ref()),
        "GrpmpCustAdd2": address.and_then(|one| one.city.as_ref()),
        "GrpmpCustRegionCode": address.and_then(|one| one.state.as_ref()),
        "GrpmpCustPostalCode": address.and_then(|one| one.postal_code.as_ref()),
        "GrpmpCustCountry": address.and_then(|one| one.country.as_ref()),
        "GrpmpIuCreateDate": moment(one.created_at), "GrpmpIuUpdateDate": changed(one.created_at, one.last_modified_at),
        "GrpmpVUuid": uuid("project", &one.project_id),
    }))
}

fn job(one: &ErpProject) -> Row {
    object(json!({
        "JobCompCode": COMPANY, "JobCode": one.project_id, "JobName": one.description, "JobDefaultDeptCode": "00",
        "JobVUuid": uuid("job", &one.project_id),
    }))
}

fn orders(books: &AcumaticaDatabase) -> impl Iterator<Item = &ErpCommitment> {
    books.subcontracts.values().chain(books.purchase_orders.values())
}

fn job_of(order: &ErpCommitment) -> Option<&String> {
    order.details.iter().map(|line| &line.project).find(|project| *project != NO_PROJECT)
}

/// What an order comes to, with its released changes.
fn revised(order: &ErpCommitment) -> Cents {
    order.details.iter().filter(|line| !line.canceled).map(|line| line.extended_cost).sum()
}

/// Each order, and each change of it.
fn contracts(books: &AcumaticaDatabase) -> Vec<Row> {
    let mut changes: BTreeMap<String, Vec<(&ErpChangeOrder, Cents)>> = BTreeMap::new();
    for change in books.change_orders.values() {
        let mut amounts: BTreeMap<String, Cents> = BTreeMap::new();
        for line in &change.commitments {
            *amounts.entry(order_key(line.po_type, &line.po_nbr)).or_default() += line.amount;
        }
        for (order, amount) in amounts {
            changes.entry(order).or_default().push((change, amount));
        }
    }
    let mut rows = Vec::new();
    for order in orders(books) {
        let of_order = changes.remove(&order_key(order.order_type, &order.order_nbr)).unwrap_or_default();
        let released = of_order.iter().filter(|(change, _)| change.status == "Closed").map(|(_, amount)| *amount).sum();
        rows.push(original(order, revised(order) - released));
        rows.extend(of_order.into_iter().map(|(change, amount)| changed_by(order, change, amount)));
    }
    rows
}

fn original(order: &ErpCommitment, amount: Cents) -> Row {
    let is_posted = !order.hold && !matches!(order.status, "On Hold" | "Pending Approval" | "Rejected");
    let is_over = matches!(order.status, "Closed" | "Completed");
    let status = match order.status {
        "Canceled" | "Rejected" => "X",
        _ if is_over => "C",
        _ => "A",
    };
    object(json!({
        "ScmstCompCode": COMPANY, "ScmstVenCode": order.vendor_id, "ScmstContCode": order.order_nbr,
        "ScmstChgCode": ORIGINAL, "ScmstJobCode": job_of(order), "ScmstJobCtrlCode": job_of(order),
        "ScmstName": order.description, "ScmstDesc": order.description, "ScmstContAmt": money(amount),
        "ScmstStatusCode": status, "ScmstStatCode": status, "ScmstCurrCode": order.currency_id,
        "ScmstHldbkPc": money(Cents(order.retainage_pct.0)), "ScmstDate": midnight(order.date),
        "ScmstExecutedDate": midnight(order.date), "ScmstStartDate": Value::Null, "ScmstEndDate": Value::Null,
        "ScmstPostDate": is_posted.then(|| moment(order.created_at)),
        "ScmstCloseDate": is_over.then(|| moment(order.last_modified_at)),
        "ScmstCmJobCode": Value::Null, "ScmstCmChgCode": Value::Null, "ScmstImpactDays": Value::Null,
        "ScmstIuCreateDate": moment(order.created_at), "ScmstIuUpdateDate": changed(order.created_at, order.last_modified_at),
        "ScmstVUuid": uuid("contract", &format!("{}|{}", order.order_type, order.order_nbr)),
    }))
}

fn changed_by(order: &ErpCommitment, change: &ErpChangeOrder, amount: Cents) -> Row {
    let is_released = change.status == "Closed";
    let status = if matches!(change.status, "Canceled" | "Rejected") { "X" } else { "A" };
    object(json!({
        "ScmstCompCode": COMPANY, "ScmstVenCode": order.vendor_id, "ScmstContCode": order.order_nbr,
        "ScmstChgCode": change.ref_nbr, "ScmstJobCode": change.project_id, "ScmstJobCtrlCode": change.project_id,
        "ScmstName": change.description, "ScmstDesc": change.description, "ScmstContAmt": money(amount),
        "ScmstStatusCode": status, "ScmstStatCode": status, "ScmstCurrCode": order.currency_id,
        "ScmstHldbkPc": money(Cents(order.retainage_pct.0)), "ScmstDate": midnight(change.change_date),
        "ScmstExecutedDate": change.approval_date.map(midnight), "ScmstStartDate": Value::Null,
        "ScmstEndDate": Value::Null, "ScmstPostDate": is_released.then(|| midnight(change.change_date)),
        "ScmstCloseDate": Value::Null, "ScmstCmJobCode": Value::Null, "ScmstCmChgCode": Value::Null,
        "ScmstImpactDays": change.contract_time_change_days,
        "ScmstIuCreateDate": moment(change.created_at),
        "ScmstIuUpdateDate": changed(change.created_at, change.last_modified_at),
        "ScmstVUuid": uuid("change", &format!("{}|{}|{}", order.order_type, order.order_nbr, change.ref_nbr)),
    }))
}

fn is_posted(bill: &ErpBill) -> bool {
    !bill.hold && !matches!(bill.status, "On Hold" | "Balanced" | "Pending Approval" | "Rejected")
}

fn owes(bill: &ErpBill) -> bool {
    is_posted(bill) && !bill.balance.is_zero()
}

fn sign(bill: &ErpBill) -> i64 {
    if bill.doc_type == "Debit Adj." { -1 } else { 1 }
}

/// The contract that all lines of a bill name; a release of holdback is on that of what it releases.
fn contract_of<'a>(books: &'a AcumaticaDatabase, bill: &'a ErpBill) -> Option<&'a String> {
    let released = bill.orig_ref_nbr.as_ref().and_then(|reference| books.bills.get(&format!("Bill|{reference}")));
    let lines = &released.unwrap_or(bill).details;
    let mut named = lines.iter().filter_map(|line| line.po_order_nbr.as_ref());
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
}

fn voucher(books: &AcumaticaDatabase, bill: &ErpBill) -> Row {
    let signed = |amount: Cents| money(Cents(amount.0 * sign(bill)));
    // Before tax and whatever is held back; a release bills nothing.
    let (gross, held, returned) = if bill.is_retainage_document {
        (Cents::ZERO, -bill.amount, -bill.amount)
    } else {
        (bill.amount_with_retainage - bill.tax_total, bill.retainage_total, bill.retainage_released)
    };
    let payments = || bill.applications.iter().filter(|one| one.doc_type.ends_with("Check"));
    let paid: Cents = payments().map(|one| one.amount_paid).sum();
    let contract = contract_of(books, bill);
    let lines = || bill.details.iter().map(|line| &line.project).find(|project| *project != NO_PROJECT);
    let job = bill.project.as_ref().filter(|project| *project != NO_PROJECT).or_else(lines);
    let status = match bill.status {
        "Voided" => "V",
        _ if is_posted(bill) => "P",
        _ => "U",
    };
    object(json!({
        "VouNum": voucher_number(&bill.reference_nbr), "VouCompCode": COMPANY, "VouVenCode": bill.vendor,
        "VouContCode": contract, "VouChgCode": contract.map(|_| ORIGINAL), "VouJobCode": job,
        "VouInvCode": bill.vendor_ref.as_ref().unwrap_or(&bill.reference_nbr), "VouInvDate": midnight(bill.date),
        "VouPostDate": is_posted(bill).then(|| midnight(bill.date)), "VouStatusCode": status,
        "VouInvAmt": signed(gross), "VouInvOutstandAmt": signed(bill.balance),
        "VouInvOutStandGrandAmt": signed(bill.balance + held - returned), "VouPaidAmt": signed(paid),
        "VouPartialApprovedAmt": Value::Null, "VouHldbkAmt": signed(held), "VouHldbkPaid": signed(returned),
        "VouLastPayAmt": payments().next_back().map(|one| signed(one.amount_paid)), "VouVUuid": uuid("voucher", &bill.reference_nbr),
    }))
}

fn outstanding(bill: &ErpBill) -> Row {
    object(json!({
        "CompanyCode": COMPANY, "VendorCode": bill.vendor,
        "InvoiceCode": bill.vendor_ref.as_ref().unwrap_or(&bill.reference_nbr),
        "InvoiceVoucherNum": voucher_number(&bill.reference_nbr), "InvoiceDate": midnight(bill.date),
        "DueDate": midnight(bill.due_date), "PostedDate": midnight(bill.date),
        "OutstandingAmount": money(Cents(bill.balance.0 * sign(bill))), "OutstandingBucketName": "Current",
        "VUuid": uuid("outstanding", &bill.reference_nbr),
    }))
}

fn object(value: Value) -> Row {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Amounts are numbers, without zeros that say nothing.
fn money(amount: Cents) -> Value {
    let text = amount.to_string();
    let text = text.strip_suffix(".00").unwrap_or(&text);
    serde_json::from_str(text).unwrap_or_default()
}

fn uuid(table: &str, key: &str) -> Value {
    let digest = Sha256::digest(format!("cmic|{table}|{key}"));
    let (half, _) = digest.split_at(16);
    json!(half.iter().fold(String::new(), |text, byte| text + &format!("{byte:02X}")))
}

fn moment(at: DateTime<Utc>) -> Value {
    json!(at.format("%Y-%m-%dT%H:%M:%S%z").to_string())
}

fn midnight(day: NaiveDate) -> Value {
    json!(day.format("%Y-%m-%dT00:00:00+0000").to_string())
}

/// When a row last changed: nothing before it first does.
fn changed(created: DateTime<Utc>, modified: DateTime<Utc>) -> Value {
    if modified > created { moment(modified) } else { Value::Null }
}
