//! What Sage calls the records of the books. Codes are compared without case: they are told in upper case.

use std::collections::{BTreeMap, BTreeSet};

use crate::firm::Firm;
use crate::firm::model::{AcumaticaDatabase, ErpBill, ErpChangeOrder, ErpInvoice};
use crate::integrator::{key_of, order_number};

/// Letters of an invoice's number.
const INVOICE_LETTERS: usize = 15;

/// What Sage calls an order of the books (`SC-1` or `Normal|000012`): its number, in twelve letters.
#[must_use]
pub fn commitment_key(firm: &Firm, order: &str) -> Option<String> {
    let number = order_number(firm, order)?;
    Some(number.trim().chars().take(12).collect::<String>().to_uppercase())
}

/// What Sage calls a change order of the books on an order (`000012|commitment|SC-1`): the commitment and the number. Those of
/// contracts are not among them.
#[must_use]
pub fn change_key(firm: &Firm, change: &str) -> Option<String> {
    let mut parts = change.splitn(3, '|');
    let found = firm.acumatica.change_orders.get(parts.next()?)?;
    if parts.next() == Some("prime") {
        return None;
    }
    let order = parts.next().map_or_else(
        || found.commitments.first().map(|line| key_of(line.po_type, &line.po_nbr)),
        |order| Some(order.to_owned()),
    );
    Some(format!("{}|{}", commitment_key(firm, &order?)?, change_number(found).to_uppercase()))
}

/// The number that was sent, in ten letters, else one of its own.
pub(super) fn change_number(change: &ErpChangeOrder) -> String {
    change.external_ref_nbr.as_ref().unwrap_or(&change.ref_nbr).trim().chars().take(10).collect()
}

/// What Sage calls a bill of the books (`Bill|000012`): vendor and invoice number.
#[must_use]
pub fn invoice_key(books: &AcumaticaDatabase, bill: &str) -> Option<String> {
    let vendor = &books.bills.get(bill)?.vendor;
    let number = invoice_numbers(books).remove(bill)?;
    Some(format!("{}|{}", vendor.trim().to_uppercase(), number.to_uppercase()))
}

/// What Sage calls an invoice of the books (`Invoice|000012`): its status key.
#[must_use]
pub fn receivable_key(books: &AcumaticaDatabase, invoice: &str) -> Option<String> {
    let found = books.invoices.get(invoice)?;
    let (kind, date, sequence) = status_key(found);
    Some(format!("{}|{kind}|{date}|{sequence}", found.customer.trim().to_uppercase()))
}

/// Type, date and sequence.
pub(super) fn status_key(invoice: &ErpInvoice) -> (&'static str, String, i64) {
    let kind = if invoice.doc_type == "Credit Memo" { "Adjustment" } else { "Invoice" };
    (kind, invoice.date.to_string(), super::digits(&invoice.reference_nbr) % 100_000)
}

/// What Sage calls a cost of the books (`PM|PM000077|214`): its place, type, run and sequence.
#[must_use]
pub fn cost_key(books: &AcumaticaDatabase, cost: &str) -> Option<String> {
    let (header, id) = cost.rsplit_once('|')?;
    let header = books.project_transactions.get(header)?;
    let line = header.details.iter().find(|line| line.transaction_id.to_string() == id)?;
    let (kind, run) = super::job_cost::posting(header, line);
    let code = line.cost_code.as_deref().unwrap_or_default();
    Some(format!("{}||{code}|{}|{kind}|{run}|{id}", line.project, line.account_group))
}

/// What retainage releases is no invoice here.
pub(super) fn is_there(bill: &ErpBill) -> bool {
    !bill.is_retainage_document && bill.status != "Rejected"
}

/// Invoice numbers by the books' keys. A vendor's number stands once: who enters it again adds a letter.
pub(super) fn invoice_numbers(books: &AcumaticaDatabase) -> BTreeMap<String, String> {
    let mut bills: Vec<(&String, &ErpBill)> = books.bills.iter().filter(|(_, bill)| is_there(bill)).collect();
    bills.sort_by(|(_, one), (_, other)| one.reference_nbr.cmp(&other.reference_nbr));
    let mut taken: BTreeSet<(&str, String)> = BTreeSet::new();
    let mut numbers = BTreeMap::new();
    for (key, bill) in bills {
        let base = bill.vendor_ref.as_ref().unwrap_or(&bill.reference_nbr).trim();
        let suffixes = std::iter::once(String::new()).chain(('A'..='Z').map(String::from));
        for suffix in suffixes {
            let letters = INVOICE_LETTERS - suffix.len();
            let number = base.chars().take(letters).collect::<String>() + &suffix;
            if taken.insert((bill.vendor.as_str(), number.to_uppercase())) {
                numbers.insert(key.clone(), number);
                break;
            }
        }
    }
    numbers
}
