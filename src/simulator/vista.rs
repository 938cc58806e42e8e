//! The books as Viewpoint Vista has them: tables of its SQL Server database.
//!
//! Owns the tables' shapes (`tables.txt`), what each record of the firm is called there, and the views without a prefix through
//! which a reader looks. Invariants: keys of jobs, contracts and phases stand as the firm's input masks store them, with leading
//! blanks and separators; whatever is not posted stands in other tables than what is; a sister company shares the groups and
//! has rows of its own. Leaves out: payroll, equipment, inventory, and whatever nobody reads.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::firm::Firm;
use super::firm::model::{AcumaticaDatabase, Cents, ChangeOrderKind, ErpChangeOrder, ErpCommitment, ProcoreDatabase};
use super::sql::SqlSchema;
use crate::intacct::record_number;

mod ledger;
mod master;
mod orders;
mod payables;
mod receivables;

/// The firm's company in every module.
pub(crate) const COMPANY: u8 = 1;
/// A company that shares vendors, customers and phases with it, and has rows of its own.
const SISTER: u8 = 2;
/// The group of vendors, customers, phases.
const GROUP: u8 = 1;
/// The non-project code of the books.
const NO_PROJECT: &str = "X";
/// The pay type of retainage, whose account is another.
const RETAINAGE_PAY_TYPE: u8 = 4;
/// Cost types by their numbers, with the firm's letters as abbreviations.
const COST_TYPES: [(u8, &str, &str); 5] =
    [(1, "L", "Labor"), (2, "M", "Material"), (3, "S", "Subcontract"), (4, "E", "Equipment"), (5, "O", "Other")];

/// What Vista calls a vendor (`V0012`): group and number.
#[must_use]
fn vendor_key(vendor: &str) -> String {
    format!("{GROUP}|{}", party(vendor))
}

/// What Vista calls a customer (`C0012`): group and number.
#[must_use]
fn customer_key(customer: &str) -> String {
    vendor_key(customer)
}

/// What Vista calls a project (`26-101`): company and job, without the blanks at its ends.
#[must_use]
fn project_key(project: &str) -> String {
    format!("{COMPANY}|{}", job(project).trim())
}

/// What Vista calls an order of the books (`SC-1` or `Normal|000012`): module, company and number.
#[must_use]
fn order_key(books: &AcumaticaDatabase, order: &str) -> Option<String> {
    let found = find_order(books, order)?;
    let module = if found.order_type == "Subcontract" { "SL" } else { "PO" };
    Some(format!("{module}|{COMPANY}|{}", order_number(books, found)))
}

/// What Vista calls a change order of the books (`000012`, `000012|prime` or `000012|commitment|SC-1`) on its first or that contract.
#[must_use]
fn change_key(books: &AcumaticaDatabase, change: &str) -> Option<String> {
    let mut parts = change.splitn(3, '|');
    let record = books.change_orders.get(parts.next()?)?;
    let (kind, order) = (parts.next(), parts.next());
    let place = change_number(record);
    if let Some(line) = record.commitments.first().filter(|_| kind != Some("prime")) {
        let key = order.map_or_else(|| firm_order_key(line.po_type, &line.po_nbr), str::to_owned);
        return Some(format!("{}|{place}", order_key(books, &key)?));
    }
    let project = project_key(&record.project_id);
    Some(match (record.status, &record.external_ref_nbr) {
        ("Open" | "Closed", _) => format!("CO|{project}|{place}"),
        // Not approved, it has the number of the potential change order alone.
        (_, Some(reference)) => format!("PCO|{project}|PCO|{reference}"),
        (_, None) => format!("PCO|{project}|PCO|{place}"),
    })
}

/// What Vista calls a bill of the books (`Bill|000012`): ledger and row id.
#[must_use]
fn bill_key(books: &AcumaticaDatabase, bill: &str) -> Option<String> {
    let record = books.bills.get(bill)?;
    let ledger = if payables::is_posted(record) { "AP" } else { "UI" };
    Some(format!("{ledger}|{}", payables::row_id(record)))
}

/// What Vista calls an invoice of the books (`Invoice|000012`): bill or receivable, and row id.
#[must_use]
fn invoice_key(books: &AcumaticaDatabase, invoice: &str) -> Option<String> {
    receivables::key(books, books.invoices.get(invoice)?)
}

/// What Vista calls a payment of the books (`Check|000012` or `Payment|000012`): ledger and row id.
#[must_use]
fn payment_key(payment: &str) -> String {
    let (kind, reference) = payment.split_once('|').unwrap_or(("Check", payment));
    if kind == "Payment" {
        format!("AR|{}", record_number("bARTH", &format!("payment {reference}")))
    } else {
        format!("AP|{}", record_number("bAPPH", reference))
    }
}

/// What Vista calls a line of job cost of the books (`PM|PM000005|5`): its row id.
fn cost_key(line: &str) -> String {
    line.rsplit('|').next().unwrap_or_default().to_owned()
}

/// What Vista calls a code of the company's list.
fn code_key(code: &str) -> String {
    format!("{GROUP}|{}", phase(Some(code)).trim())
}

/// What Vista calls a record of the books by its canonical entity; nothing for one that it does not have. A code that is used on a
/// project (`26-101|02-100`) is named by both keys.
#[must_use]
pub fn record_key(firm: &Firm, entity: &str, key: &str) -> Option<String> {
    let books = &firm.acumatica;
    match entity {
        "vendors" => Some(vendor_key(key)),
        "customers" => Some(customer_key(key)),
        "projects" => Some(project_key(key)),
        "cost_codes" => Some(match key.split_once('|') {
            Some((project, code)) => format!("{}:{}", project_key(project), code_key(code)),
            None => code_key(key),
        }),
        "commitments" => order_key(books, key),
        "change_orders" => change_key(books, key),
        "vendor_invoices" => bill_key(books, key),
        "owner_invoices" => invoice_key(books, key),
        "payments" => Some(payment_key(key)),
        "job_costs" => Some(cost_key(key)),
        _ => Some(key.to_owned()),
    }
}

/// Procore's database as a connector to Vista leaves it: the same records, with Vista's keys stored in them. Vendors, orders and change
/// orders by what people see, bills and invoices by their row ids. An id that names nothing of the books stays what it is.
#[must_use]
pub fn procore(firm: &Firm) -> ProcoreDatabase {
    let books = &firm.acumatica;
    let mut shown = firm.procore.clone();
    let stored = |id: &mut Option<String>, code: &mut Option<String>, key: Option<String>| {
        if let (Some(id), Some(key)) = (id.as_mut(), key) {
            id.clone_from(&key);
            *code = code.as_ref().map(|_| key);
        }
    };
    for one in shown.vendors.values_mut() {
        let is_known = |id: &str| books.customers.contains_key(id) || books.vendors.contains_key(id);
        let key = one.origin_id.as_deref().filter(|id| is_known(id)).map(vendor_key);
        stored(&mut one.origin_id, &mut one.origin_code, key);
    }
    for one in shown.commitments.values_mut() {
        let order = one.origin_id.as_deref().and_then(|id| find_order(books, id).or_else(|| purchase_order(books, id)));
        let key = order.and_then(|order| order_key(books, &firm_order_key(order.order_type, &order.order_nbr)));
        stored(&mut one.origin_id, &mut one.origin_code, key);
    }
    for one in shown.change_order_packages.values_mut() {
        let reference = one.origin_id.as_deref();
        let change = reference.and_then(|id| books.change_orders.get(id));
        // A reference that was confused names the order that its own record changes.
        let own = firm.order_key(one.contract_id);
        let lines = change.into_iter().flat_map(|change| &change.commitments);
        let is_own =
            lines.map(|line| firm_order_key(line.po_type, &line.po_nbr)).any(|order| Some(&order) == own.as_ref());
        let is_prime = one.kind == ChangeOrderKind::Prime;
        let key = reference.and_then(|id| match own.filter(|_| is_own) {
            _ if is_prime => change_key(books, &format!("{id}|prime")),
            Some(order) => change_key(books, &format!("{id}|commitment|{order}")),
            None => change_key(books, id),
        });
        stored(&mut one.origin_id, &mut one.origin_code, key);
    }
    let row_of = |key: Option<String>| key.and_then(|key| key.split('|').nth(1).map(str::to_owned));
    for one in shown.requisitions.values_mut() {
        let key = one.origin_id.as_deref().and_then(|id| bill_key(books, &typed(&books.bills, id)?));
        stored(&mut one.origin_id, &mut None, row_of(key));
    }
    for one in shown.payment_applications.values_mut() {
        let key = one.origin_id.as_deref().and_then(|id| invoice_key(books, &typed(&books.invoices, id)?));
        stored(&mut one.origin_id, &mut None, row_of(key));
    }
    shown
}

fn purchase_order<'a>(books: &'a AcumaticaDatabase, number: &str) -> Option<&'a ErpCommitment> {
    books.purchase_orders.values().find(|order| order.order_nbr == number)
}

/// The key of a document of which only the number is stored.
fn typed<T>(documents: &BTreeMap<String, T>, reference: &str) -> Option<String> {
    let own = documents.contains_key(reference).then(|| reference.to_owned());
    own.or_else(|| documents.keys().find(|key| key.rsplit('|').next() == Some(reference)).cloned())
}

/// Vista's database with the firm's books as they are now.
///
/// # Errors
/// Tables that are declared wrongly; a row without a place is told by the script.
pub fn tables(firm: &Firm) -> Result<SqlSchema> {
    let books = &firm.acumatica;
    let mut tables = SqlSchema::parse("dbo", include_str!("vista/tables.txt"))?;
    master::companies(&mut tables, books);
    master::parties(&mut tables, books);
    master::jobs(&mut tables, books);
    orders::write(&mut tables, books);
    payables::write(&mut tables, books);
    receivables::write(&mut tables, books);
    ledger::write(&mut tables, books);
    let names: Vec<String> = tables.tables().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        let view = if name == "vDDDTc" { "DDDTShared" } else { name.get(1..).unwrap_or(&name) };
        // Prospects that job cost does not show.
        let filter = if view == "JCJM" { " where \"PCVisibleInJC\" = 'Y'" } else { "" };
        tables.view(view, &format!("select * from \"dbo\".\"{name}\"{filter}"));
    }
    Ok(tables)
}

/// The digits of a key as a number: `V0012` is 12.
fn number(key: &str) -> i64 {
    key.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or_default()
}

/// A vendor's or customer's number: other letters than the firm's own begin another series.
fn party(key: &str) -> i64 {
    let digits = number(key);
    let is_own =
        key.strip_prefix(['V', 'C']).is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()));
    if is_own { digits } else { digits % 1_000_000 + 700_000_000 }
}

/// A number for a row that the firm has no number for: the same at every look.
fn serial(key: &str) -> i64 {
    record_number("serial", key).parse::<i64>().unwrap_or_default() % 2_000_000_000
}

/// The number of a change order on the orders that it changes.
fn change_number(change: &ErpChangeOrder) -> i64 {
    number(&change.ref_nbr) % 30_000
}

/// `26-101` by the mask `5R-3R-3RN`.
fn job(project: &str) -> String {
    let mut parts = project.splitn(3, '-');
    let mut part = || parts.next().unwrap_or_default();
    format!("{:>5}-{:>3}-{}", part(), part(), part())
}

/// `26-101` by the mask `6R-3RN`.
fn contract(project: &str) -> String {
    let (year, rest) = project.split_once('-').unwrap_or((project, ""));
    format!("{year:>6}-{rest:>3}")
}

/// `02-100` by the mask `3R-3R-3R`; a cost without a code has a blank phase.
fn phase(code: Option<&str>) -> String {
    let Some(code) = code.map(str::trim).filter(|code| !code.is_empty()) else { return String::new() };
    let mut parts = code.splitn(3, '-');
    let mut part = || parts.next().unwrap_or_default();
    format!("{:>3}-{:>3}-{:>3}", part(), part(), part())
}

/// `20000` by the mask `5R-3RN`.
fn account(account: &str) -> String {
    format!("{account:>5}-")
}

/// A contract's item of a code, right-justified in its 16 letters.
fn item(code: &str) -> String {
    format!("{:>16}", number(code))
}

fn cost_type(group: &str) -> u8 {
    COST_TYPES.iter().find(|row| row.1 == group).map_or(5, |row| row.0)
}

/// The cost type that an account takes.
fn cost_type_of_account(books: &AcumaticaDatabase, account: &str) -> u8 {
    let group = books.accounts.get(account).and_then(|account| account.account_group.as_deref());
    cost_type(group.unwrap_or("O"))
}

fn money(amount: Cents) -> Value {
    json!(amount.to_string())
}

fn day(date: NaiveDate) -> Value {
    json!(date.to_string())
}

fn first_of(date: NaiveDate) -> Value {
    json!(date.format("%Y-%m-01").to_string())
}

/// A posting period (`MMYYYY`) as the first of its month.
fn month(period: &str) -> String {
    let (month, year) = period.split_at_checked(2).unwrap_or(("01", "2000"));
    format!("{year}-{month}-01")
}

fn yes(truth: bool) -> &'static str {
    if truth { "Y" } else { "N" }
}

fn row_id(table: &str, key: &str) -> Value {
    json!(record_number(table, key))
}

fn firm_order_key(kind: &str, number: &str) -> String {
    if kind == "Subcontract" { number.to_owned() } else { format!("{kind}|{number}") }
}

fn find_order<'a>(books: &'a AcumaticaDatabase, order: &str) -> Option<&'a ErpCommitment> {
    books.subcontracts.get(order).or_else(|| books.purchase_orders.get(order))
}

/// What an order is called: a purchase order that came through the connector by Procore's number, if that is its own.
fn order_number(books: &AcumaticaDatabase, order: &ErpCommitment) -> String {
    let reference =
        order.vendor_ref.as_deref().filter(|text| text.starts_with("PO-") && order.order_type != "Subcontract");
    let is_shared = |text: &str| {
        books
            .purchase_orders
            .values()
            .filter(|other| other.vendor_ref.as_deref() == Some(text) && is_there(other))
            .count()
            > 1
    };
    reference.filter(|text| !is_shared(text)).unwrap_or(&order.order_nbr).to_owned()
}

/// What was entered by mistake is deleted: there is no word for it.
fn is_there(order: &ErpCommitment) -> bool {
    order.status != "Canceled"
}

/// What was called off is deleted.
fn is_change(change: &ErpChangeOrder) -> bool {
    change.status != "Canceled"
}

#[cfg(test)]
mod tests;
