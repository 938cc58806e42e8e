//! Invoices of vendors with their distributions, payments and postings.

use std::collections::BTreeMap;

use serde_json::json;

use super::keys::{invoice_numbers, is_there};
use super::{Folder, NO_PROJECT, category, digits, float, half_cent};
use crate::firm::model::{AcumaticaDatabase, Cents, ErpBill, ErpCheck};
use crate::firm::{Firm, PAYABLE, RETAINAGE_PAYABLE};
use crate::integrator::key_of;

/// What a void's payment is counted from.
const VOIDS: i64 = 900_000;

/// What was paid on an invoice.
#[derive(Clone, Copy, Default)]
struct Paid {
    amount: Cents,
    retainage: Cents,
}

fn sign(bill: &ErpBill, amount: Cents) -> Cents {
    if bill.doc_type == "Debit Adj." { -amount } else { amount }
}

pub(super) fn insert(folder: &mut Folder, firm: &Firm) {
    let books = &firm.acumatica;
    let numbers = invoice_numbers(books);
    let paid = payments(folder, books, &numbers);
    for (key, bill) in books.bills.iter().filter(|(_, bill)| is_there(bill)) {
        let Some(number) = numbers.get(key) else { continue };
        invoice(folder, bill, number, paid.get(key).copied().unwrap_or_default());
        distributions(folder, firm, bill, number);
    }
}

fn invoice(folder: &mut Folder, bill: &ErpBill, number: &str, paid: Paid) {
    let seed = digits(&bill.reference_nbr);
    let is_held = !matches!(bill.status, "Open" | "Closed" | "Voided");
    let amount = sign(bill, bill.amount_with_retainage);
    let retained = sign(bill, bill.retainage_total);
    let by_credit: Cents =
        bill.applications.iter().filter(|one| one.doc_type.ends_with("Adj.")).map(|one| one.amount_paid).sum();
    let credited: Cents =
        bill.applications.iter().filter(|one| one.doc_type == "Bill").map(|one| one.amount_paid).sum();
    let deducted = sign(bill, by_credit + credited);
    let left = amount - paid.amount - deducted;
    let status =
        match bill.status {
            "Voided" => "Void",
            _ if left.is_zero()
                || left == retained - paid.retainage && !retained.is_zero() && !paid.amount.is_zero() =>
            {
                if left.is_zero() { "Fully paid" } else { "Partially paid" }
            }
            _ if !paid.amount.is_zero() => "Partially paid",
            _ => "Open",
        };
    // Nobody entered when it is due: a day that is none.
    let due = if seed % 9 == 0 { "1900-01-01".to_owned() } else { bill.due_date.to_string() };
    let row = json!({
        "Vendor": bill.vendor, "Invoice": number, "Description": bill.description, "Status": status,
        "Amount": float(amount, seed), "Tax": float(sign(bill, bill.tax_total), seed + 1), "Retainage": float(retained, seed + 2),
        "Amount_Paid": float(paid.amount, seed + 3), "Retainage_Held": float(retained, seed + 4),
        "Retainage_Paid": float(paid.retainage, seed + 5), "Misc_Deduction": float(deducted, seed),
        "Misc_Deduction_Applied": float(deducted, seed), "Invoice_Date": bill.date.to_string(),
        "Date_Received": bill.date.to_string(), "Discount_Date": "1900-01-01", "Payment_Date": due,
        "Accounting_Date": bill.date.to_string(), "Appl_of_Origin": "AP", "Batch": bill.reference_nbr,
        "Onhold_Status": i32::from(is_held), "Date_Stamp": bill.last_modified_at.date_naive().to_string(),
    });
    folder.insert_in_both("APM_MASTER__INVOICE", &row);
}

fn distributions(folder: &mut Folder, firm: &Firm, bill: &ErpBill, number: &str) {
    let books = &firm.acumatica;
    let mut tax = bill.tax_total;
    for (place, line) in (1..).zip(&bill.details) {
        let seed = digits(&bill.reference_nbr) + place;
        let retained = sign(bill, line.retainage_amount);
        let order = line.po_order_type.zip(line.po_order_nbr.as_ref()).map(|(kind, number)| key_of(kind, number));
        let row = json!({
            "Vendor": bill.vendor, "Invoice": number, "Dist_Seq": place, "Description": line.transaction_description,
            "Status": "Open", "Amount": float(sign(bill, line.amount + tax), seed), "Tax": float(sign(bill, tax), 0),
            "Retainage": if seed % 10 == 0 { half_cent(retained) } else { float(retained, seed + 1) },
            "Expense_Account": line.account, "Accounts_Payable_Account": PAYABLE,
            "Retainage_Payable_Account": RETAINAGE_PAYABLE,
            "Job": if line.project == NO_PROJECT { "" } else { &line.project },
            "Cost_Code": line.cost_code.as_deref().unwrap_or_default(),
            "Category": if line.project == NO_PROJECT { "" } else { category(books, &line.account) },
            "Commitment": order.and_then(|order| super::commitment_key(firm, &order)), "Commitment_Line_Item": line.po_line,
            "Date_Stamp": bill.last_modified_at.date_naive().to_string(),
        });
        folder.insert("APM_MASTER__DISTRIBUTION", &row);
        if matches!(bill.status, "Open" | "Closed") {
            let row = json!({
                "Vendor": bill.vendor, "Invoice": number, "Dist_Seq": place, "Run_Number": digits(&bill.reference_nbr),
                "Sequence_Number": place, "Amount": float(sign(bill, line.amount + tax), seed),
                "Retainage": float(retained, seed + 1), "Accounting_Date": bill.date.to_string(),
                "Transaction_Date": bill.date.to_string(), "Transaction_Type": "Invoice",
                "Date_Stamp": bill.created_at.date_naive().to_string(),
            });
            folder.insert(postings(bill.date.to_string().as_str() < "2026-03-01"), &row);
        }
        tax = Cents::ZERO;
    }
}

fn postings(is_old: bool) -> &'static str {
    if is_old { "APT_HISTORY__TRANSACTION" } else { "APT_CURRENT__TRANSACTION" }
}

/// Payments of invoices; what a release of retainage was paid is paid on the invoice that retained. Returns what each comes to.
fn payments(
    folder: &mut Folder,
    books: &AcumaticaDatabase,
    numbers: &BTreeMap<String, String>,
) -> BTreeMap<String, Paid> {
    let mut paid: BTreeMap<String, Paid> = BTreeMap::new();
    for check in books.checks.values().filter(|check| matches!(check.status, "Open" | "Closed" | "Voided")) {
        // A check that pays an invoice and its retainage at once is one row of it.
        let mut rows: BTreeMap<String, Paid> = BTreeMap::new();
        for line in &check.history {
            let Some(bill) = books.bills.get(&format!("{}|{}", line.doc_type, line.reference_nbr)) else { continue };
            let released = bill.orig_ref_nbr.as_ref().filter(|_| bill.is_retainage_document);
            let key = released.map_or_else(
                || format!("{}|{}", line.doc_type, line.reference_nbr),
                |reference| format!("Bill|{reference}"),
            );
            let row = rows.entry(key).or_default();
            row.amount += sign(bill, line.amount_paid);
            if released.is_some() {
                row.retainage += line.amount_paid;
            }
        }
        for (place, (key, row)) in (1_i64..).zip(rows) {
            let (Some(bill), Some(number)) = (books.bills.get(&key), numbers.get(&key)) else { continue };
            let sum = paid.entry(key).or_default();
            sum.amount += row.amount;
            sum.retainage += row.retainage;
            pay(folder, check, bill, number, row, place);
        }
    }
    paid
}

/// A void is a payment of its own that takes back what it voids, under the check's number.
fn pay(folder: &mut Folder, check: &ErpCheck, bill: &ErpBill, number: &str, paid: Paid, place: i64) {
    let is_void = check.doc_type == "Voided Check";
    let payment = digits(&check.reference_nbr) + if is_void { VOIDS } else { 0 };
    let kind = match (is_void, check.payment_method) {
        (true, _) => "Void check",
        (_, "CHECK") => "Check",
        _ => "Electronic",
    };
    // What goes electronically has a number of Sage's own: the bank's trace is longer than the column.
    let check_number = digits(if check.payment_method == "CHECK" { &check.payment_ref } else { &check.reference_nbr });
    let row = json!({
        "Vendor": bill.vendor, "Invoice": number, "Payment_ID": payment, "Payment_Type": kind, "Bank_Account": "OPER",
        "Check": check_number, "Amount_Paid": float(paid.amount, payment), "Retainage_Paid": float(paid.retainage, payment + 1),
        "Date_Stamp": check.created_at.date_naive().to_string(),
    });
    folder.insert("APM_MASTER__INVOICE_PAYMENT", &row);
    let row = json!({
        "Vendor": bill.vendor, "Invoice": number, "Dist_Seq": 0, "Run_Number": 100_000 + payment, "Sequence_Number": place,
        "Amount": float(-paid.amount, payment), "Accounting_Date": check.application_date.to_string(),
        "Transaction_Date": check.application_date.to_string(), "Payment_ID": payment, "Payment_Type": kind, "Bank_Account": "OPER",
        "Check": check_number, "Transaction_Type": "Payment", "Date_Stamp": check.created_at.date_naive().to_string(),
    });
    folder.insert(postings(false), &row);
}
