//! Invoices to owners, those that were billed again included, and receipts with what they paid.

use serde_json::{Value, json};

use super::{COMPANY, NO_PROJECT, digits, insert_twice};
use crate::firm::model::{AcumaticaDatabase, Cents, ErpInvoice};
use crate::sql::SqlSchema;

/// The id of an invoice by its reference in the books.
pub(super) fn id(reference: &str) -> Option<i64> {
    Some(digits(reference)).filter(|id| *id > 0)
}

fn sign(invoice: &ErpInvoice, amount: Cents) -> Cents {
    if invoice.doc_type == "Credit Memo" { -amount } else { amount }
}

/// The number on the paper, within its twenty letters.
fn number(invoice: &ErpInvoice) -> String {
    invoice.customer_order.as_ref().unwrap_or(&invoice.reference_nbr).chars().take(20).collect()
}

/// What retainage releases is no document: it is collected on the invoice that retained.
fn is_there(invoice: &ErpInvoice) -> bool {
    !matches!(invoice.status, "Voided" | "Rejected") && !invoice.is_retainage_document
}

pub(super) fn insert(schema: &mut SqlSchema, books: &AcumaticaDatabase) {
    for invoice in books.invoices.values().filter(|invoice| is_there(invoice)) {
        let id = digits(&invoice.reference_nbr);
        // Some were billed again: what they replace stays, posted and active.
        let replaced = (id % 3 == 0).then(|| format!("{id}-OLD"));
        let own = row(books, invoice, id, &number(invoice), replaced.as_deref());
        if let Some(replaced) = replaced {
            let mut old = row(books, invoice, id + 5_000_000, &replaced, None);
            if let Some(fields) = old.as_object_mut() {
                let amount = sign(invoice, invoice.amount_with_retainage + Cents(100));
                fields.insert("invoice_amount".to_owned(), json!(amount.to_string()));
                fields.insert("amount_due".to_owned(), json!(amount.to_string()));
            }
            schema.insert("ar_invoice", &old);
        }
        insert_twice(schema, "ar_invoice", &own, "invoice_id");
    }
    for receipt in books.payments.values().filter(|payment| payment.doc_type == "Payment") {
        if matches!(receipt.status, "On Hold" | "Balanced") {
            continue;
        }
        let row = json!({
            "company_no": COMPANY, "cash_receipt_no": receipt.reference_nbr, "check_no": receipt.payment_ref,
            "receipt_date": receipt.application_date.to_string(), "cash_receipt_type": "C", "cash_receipt_source": "A",
            "cash_flag": "Y", "customer_no": receipt.customer_id,
            "reversal": if receipt.status == "Voided" { "Y" } else { "N" },
        });
        insert_twice(schema, "ar_cash", &row, "");
        for (place, line) in (1..).zip(&receipt.application_history) {
            let document = format!("{}|{}", line.adjusted_doc_type, line.adjusted_ref_nbr);
            let Some(invoice) = books.invoices.get(&document).map(|invoice| retaining(books, invoice)) else {
                continue;
            };
            let row = json!({
                "company_no": COMPANY, "cash_receipt_no": receipt.reference_nbr, "invoice_no": number(invoice),
                "line_no": place, "cash_amount": line.amount_paid.to_string(),
            });
            insert_twice(schema, "ar_cash_invoice", &row, "");
        }
    }
}

/// The invoice itself, or the one whose retainage it releases.
fn retaining<'a>(books: &'a AcumaticaDatabase, invoice: &'a ErpInvoice) -> &'a ErpInvoice {
    let original = invoice.orig_ref_nbr.as_ref().filter(|_| invoice.is_retainage_document);
    original.and_then(|reference| books.invoices.get(&format!("Invoice|{reference}"))).unwrap_or(invoice)
}

/// What was received on an invoice, and on what released its retainage.
fn received(books: &AcumaticaDatabase, invoice: &ErpInvoice) -> Cents {
    let own = [format!("{}|{}", invoice.doc_type, invoice.reference_nbr)];
    let releases = books.invoices.iter().filter(|(_, other)| {
        other.is_retainage_document && other.orig_ref_nbr.as_ref() == Some(&invoice.reference_nbr)
    });
    let keys: Vec<String> = own.into_iter().chain(releases.map(|(key, _)| key.clone())).collect();
    let receipts = books.payments.values().filter(|one| one.doc_type == "Payment" && one.status != "Voided");
    let lines = receipts.flat_map(|one| &one.application_history);
    lines
        .filter(|line| keys.contains(&format!("{}|{}", line.adjusted_doc_type, line.adjusted_ref_nbr)))
        .map(|line| line.amount_paid)
        .sum()
}

fn row(books: &AcumaticaDatabase, invoice: &ErpInvoice, id: i64, number: &str, replaced: Option<&str>) -> Value {
    let amount = sign(invoice, invoice.amount_with_retainage);
    let due = amount - sign(invoice, received(books, invoice));
    json!({
        "company_no": COMPANY, "invoice_id": id, "invoice_no": number, "original_invoice_no": replaced,
        "customer_no": invoice.customer, "job_no": invoice.project.as_ref().filter(|project| *project != NO_PROJECT),
        "invoice_date": invoice.date.to_string(), "invoice_amount": amount.to_string(), "amount_due": due.to_string(),
        "retainage_percent": invoice.default_retainage_pct.to_string(),
        "retainage_amount": sign(invoice, invoice.retainage_total).to_string(),
        "posted_flag": if matches!(invoice.status, "Open" | "Closed") { "Y" } else { "N" },
        "closed_flag": if due.is_zero() { "Y" } else { "N" }, "record_status": "A", "invoice_source": "O",
    })
}
