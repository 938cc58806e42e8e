//! Procore beside an ERP that calls the firm's records otherwise: the ids that an integrator stored there.
//!
//! The firm keeps Acumatica's books, so its Procore stores their keys. In front of another ERP the same stored ids name that
//! ERP's records. An id that names nothing of the books (a fault) stays what it is.

use crate::firm::Firm;
use crate::firm::model::{AcumaticaDatabase, ChangeOrderKind, ProcoreDatabase};

/// How an ERP spells a key of the books, by the canonical entity; nothing for one that it does not have.
pub(super) type Spelling = fn(&Firm, &str, &str) -> Option<String>;

/// What Procore stores where `spelling` names the ERP's records.
pub(super) fn procore_beside(firm: &Firm, spelling: Spelling) -> ProcoreDatabase {
    let books = &firm.acumatica;
    let mut shown = firm.procore.clone();
    for record in shown.commitments.values_mut() {
        let key = record.origin_id.as_ref().map(|number| order_key(books, number));
        if let Some(told) = key.and_then(|key| spelling(firm, "commitments", &key)) {
            (record.origin_id, record.origin_code) = (Some(told.clone()), Some(told));
        }
    }
    for package in shown.change_order_packages.values_mut() {
        let Some(reference) = package.origin_id.clone() else { continue };
        let key = match package.kind {
            ChangeOrderKind::Prime => format!("{reference}|prime"),
            ChangeOrderKind::Commitment => {
                // A reference that was confused names the order that its own record changes.
                let own = firm.order_key(package.contract_id).unwrap_or_default();
                let changed = books.change_orders.get(&reference).map(|change| &change.commitments);
                let mut orders = changed.into_iter().flatten().map(|line| key_of(line.po_type, &line.po_nbr));
                let order = orders.clone().find(|order| *order == own).or_else(|| orders.next()).unwrap_or(own);
                format!("{reference}|commitment|{order}")
            }
        };
        if let Some(told) = spelling(firm, "change_orders", &key) {
            (package.origin_id, package.origin_code) = (Some(told.clone()), Some(told));
        }
    }
    for record in shown.requisitions.values_mut() {
        let key = record.origin_id.as_ref().map(|reference| bill_key(books, reference));
        if let Some(told) = key.and_then(|key| spelling(firm, "vendor_invoices", &key)) {
            record.origin_id = Some(told);
        }
    }
    for record in shown.payment_applications.values_mut() {
        let key = record.origin_id.as_ref().map(|reference| format!("Invoice|{reference}"));
        if let Some(told) = key.and_then(|key| spelling(firm, "owner_invoices", &key)) {
            record.origin_id = Some(told);
        }
    }
    shown
}

/// The books' key of a bill or credit by its reference: both are counted together.
fn bill_key(books: &AcumaticaDatabase, reference: &str) -> String {
    let kinds = ["Bill", "Debit Adj.", "Credit Adj.", "Prepayment"].map(|kind| format!("{kind}|{reference}"));
    kinds.iter().find(|key| books.bills.contains_key(*key)).cloned().unwrap_or_else(|| format!("Bill|{reference}"))
}

/// The books' key of an order by its number.
fn order_key(books: &AcumaticaDatabase, number: &str) -> String {
    if books.subcontracts.contains_key(number) { number.to_owned() } else { key_of("Normal", number) }
}

/// The books' key of an order: `SC-1`, or `Normal|000012`.
pub(super) fn key_of(kind: &str, number: &str) -> String {
    if kind == "Subcontract" { number.to_owned() } else { format!("{kind}|{number}") }
}

/// The number that people know an order by: an integrator sends Procore's, an order of accounting has its own.
pub(super) fn order_number(firm: &Firm, order: &str) -> Option<String> {
    if let Some(own) = firm.acumatica.subcontracts.get(order) {
        return Some(own.order_nbr.clone());
    }
    let own = firm.acumatica.purchase_orders.get(order)?;
    let sent = firm.procore.commitments.values().find(|one| firm.order_key(one.id).as_deref() == Some(order));
    Some(sent.map_or_else(|| own.order_nbr.clone(), |one| one.number.clone()))
}
