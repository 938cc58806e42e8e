//! Receivables: what was issued, received and adjusted, each under its status key.

use serde_json::{Value, json};

use super::keys::status_key;
use super::{Folder, NO_PROJECT, digits, float};
use crate::firm::Firm;
use crate::firm::model::{AcumaticaDatabase, Cents, ErpInvoice};

/// What a receipt's run is counted from.
const RECEIPTS: i64 = 500_000;

pub(super) fn insert(folder: &mut Folder, firm: &Firm) {
    let books = &firm.acumatica;
    // What is held is not posted.
    for invoice in books.invoices.values().filter(|invoice| matches!(invoice.status, "Open" | "Closed")) {
        issue(folder, books, invoice);
    }
    for receipt in books.payments.values().filter(|one| matches!(one.status, "Open" | "Closed" | "Voided")) {
        let is_void = receipt.doc_type == "Voided Payment";
        for (place, line) in (1_i64..).zip(&receipt.application_history) {
            let key = format!("{}|{}", line.adjusted_doc_type, line.adjusted_ref_nbr);
            let Some(invoice) = books.invoices.get(&key) else { continue };
            let run = RECEIPTS + digits(&receipt.reference_nbr) + if is_void { RECEIPTS } else { 0 };
            let mut row = common(invoice, run, place);
            let day = receipt.application_date.to_string();
            set(&mut row, "Transaction_Date", json!(day));
            set(&mut row, "Accounting_Date", json!(day));
            set(&mut row, "Deposit_Date", json!(day));
            set(&mut row, "Transaction_Type", json!(if is_void { "Cash recpt adjustmnt" } else { "Cash receipt" }));
            set(&mut row, "Amount_Type", json!("Cash"));
            set(&mut row, "Cash_Receipt", json!(receipt.payment_ref));
            set(&mut row, "Amount", float(-line.amount_paid, run));
            folder.insert("ART_CURRENT__TRANSACTION", &row);
        }
    }
}

fn set(row: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = row {
        fields.insert(name.to_owned(), value);
    }
}

fn common(invoice: &ErpInvoice, run: i64, place: i64) -> Value {
    let (kind, date, sequence) = status_key(invoice);
    let job = invoice.project.as_deref().filter(|project| *project != NO_PROJECT).unwrap_or_default();
    json!({
        "Customer": invoice.customer, "Transaction_Date": invoice.date.to_string(), "Run": run, "Sequence": place, "Job": job,
        "Contract": job, "Status_Type": kind, "Status_Date": date, "Status_Seq": sequence,
        "Accounting_Date": invoice.date.to_string(), "Date_Stamp": invoice.created_at.date_naive().to_string(),
    })
}

/// The number may be blank where the draw says which one it is.
fn issue(folder: &mut Folder, books: &AcumaticaDatabase, invoice: &ErpInvoice) {
    let seed = digits(&invoice.reference_nbr);
    let form = books.pro_formas.values().find(|form| form.ar_ref_nbr.as_ref() == Some(&invoice.reference_nbr));
    let draw = form.map(|form| form.project_nbr.trim_start_matches('0').to_owned());
    let number = invoice.customer_order.as_ref().unwrap_or(&invoice.reference_nbr);
    let number = if draw.is_some() && seed % 4 == 3 { "" } else { number.as_str() };
    let is_credit = invoice.doc_type == "Credit Memo";
    let turned = |amount: Cents| if is_credit { -amount } else { amount };
    // One mirror delivers words, another the codes behind them.
    let kind = match (is_credit, seed % 2) {
        (true, _) => "Invoice adjustment",
        (_, 0) => "TT_IINV",
        _ => "Issued invoice",
    };
    for (place, line) in (1_i64..).zip(&invoice.details) {
        let retained = turned(line.retainage_amount);
        let amount = turned(line.amount) - retained;
        let mut row = common(invoice, seed, place);
        let amount_type = match (invoice.is_retainage_document, seed % 2) {
            (false, _) => "Work billed",
            (true, 0) => "AT_RETR",
            (true, _) => "Retainage released",
        };
        for (name, value) in [
            ("Transaction_Type", json!(kind)),
            ("Amount_Type", json!(amount_type)),
            ("Invoice", json!(number)),
            ("Draw", json!(draw.as_deref().unwrap_or_default())),
            ("Reference_Date", json!(invoice.date.to_string())),
            ("Due_Date", json!(invoice.due_date.to_string())),
            ("Cost_Code", json!(line.cost_code.as_deref().unwrap_or_default())),
            ("Amount", float(amount, seed + place)),
            (
                "Retainage",
                if invoice.is_retainage_document { float(-amount, 0) } else { float(retained, seed + place + 1) },
            ),
        ] {
            set(&mut row, name, value);
        }
        folder.insert("ART_CURRENT__TRANSACTION", &row);
    }
}
