//! Vouchers, their lines, and what was paid on them: by checks, by other means, and both of them ahead.

use serde_json::json;

use super::orders::cost_class;
use super::{COMPANY, NO_PROJECT, OTHER_COMPANY, digits};
use crate::firm::model::{AcumaticaDatabase, Cents, ErpBill, ErpCheck};
use crate::sql::SqlSchema;

/// The voucher of a document of the books. Bills and credits are counted together.
pub(super) fn voucher(bill: &ErpBill) -> String {
    bill.reference_nbr.clone()
}

/// What is void is deleted; what retainage releases is no document.
fn is_there(bill: &ErpBill) -> bool {
    !matches!(bill.status, "Voided" | "Rejected") && !bill.is_retainage_document
}

fn is_posted(bill: &ErpBill) -> bool {
    matches!(bill.status, "Open" | "Closed")
}

fn sign(bill: &ErpBill, amount: Cents) -> Cents {
    if bill.doc_type == "Debit Adj." { -amount } else { amount }
}

pub(super) fn insert(schema: &mut SqlSchema, books: &AcumaticaDatabase) {
    for bill in books.bills.values().filter(|bill| is_there(bill)) {
        let number = digits(&bill.reference_nbr);
        let job = bill.details.iter().map(|line| line.project.as_str()).find(|project| *project != NO_PROJECT);
        let row = json!({
            "company_no": COMPANY, "voucher_no": voucher(bill), "voucher_id": number,
            "invoice_no": bill.vendor_ref.as_ref().unwrap_or(&bill.reference_nbr), "vendor_no": bill.vendor,
            "invoice_date": bill.date.to_string(), "due_date": bill.due_date.to_string(),
            "invoice_amount": sign(bill, bill.amount_with_retainage).to_string(),
            "retainage_percent": bill.default_retainage_pct.to_string(),
            "retainage_amount": sign(bill, bill.retainage_total).to_string(), "job_no": job,
            "posted_flag": if is_posted(bill) { "Y" } else { "N" },
        });
        schema.insert("ap_invoice_h", &row);
        for line in &bill.details {
            let row = json!({
                "voucher_no": voucher(bill), "job_no": (line.project != NO_PROJECT).then_some(&line.project),
                "cost_code_no": line.cost_code, "cost_class_no": cost_class(books, &line.account), "account_no": line.account,
                "amount": sign(bill, line.amount).to_string(),
            });
            schema.insert("ap_invoice_d", &row);
        }
        // The other company has vouchers of its own, from the same vendors under the same invoice numbers.
        if number % 5 == 0 {
            let mut other = row;
            if let Some(fields) = other.as_object_mut() {
                fields.insert("company_no".to_owned(), json!(OTHER_COMPANY));
                fields.insert("voucher_no".to_owned(), json!(format!("9{number:06}")));
                fields.insert("voucher_id".to_owned(), json!(number + 9_000_000));
            }
            schema.insert("ap_invoice_h", &other);
        }
    }
    for check in books.checks.values().filter(|check| check.doc_type == "Check") {
        pay(schema, books, check);
    }
}

/// A void stays on its check; what was paid otherwise is taken back by a row of its own.
fn pay(schema: &mut SqlSchema, books: &AcumaticaDatabase, check: &ErpCheck) {
    if matches!(check.status, "On Hold" | "Balanced" | "Pending Approval" | "Rejected") {
        return;
    }
    let is_void = check.status == "Voided";
    let is_ahead = digits(&check.reference_nbr) % 4 == 1;
    let table = match (check.payment_method, is_ahead && !is_void) {
        ("CHECK", false) => "ap_check_vch",
        ("CHECK", true) => "ap_pre_check_vch",
        (_, false) => "ap_pmt_vch",
        (_, true) => "ap_pre_pmt_vch",
    };
    for line in &check.history {
        let Some(bill) = books.bills.get(&format!("{}|{}", line.doc_type, line.reference_nbr)) else { continue };
        let released = bill.orig_ref_nbr.as_ref().filter(|_| bill.is_retainage_document);
        let voucher_no = released.cloned().unwrap_or_else(|| voucher(bill));
        let amount = sign(bill, line.amount_paid);
        let row = |amount: Cents| json!({"voucher_no": voucher_no, "cash_amount": amount.to_string()});
        if table == "ap_check_vch" {
            let flag = if is_void { "1" } else { "0" };
            let row = json!({"voucher_no": voucher_no, "cash_amount": amount.to_string(), "void_flag": flag});
            schema.insert(table, &row);
            continue;
        }
        schema.insert(table, &row(amount));
        if is_void {
            schema.insert(table, &row(-amount));
        }
    }
}
