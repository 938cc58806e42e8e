//! Invoices of vendors, posted and not yet approved, how each line is owed and paid, and checks.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde_json::json;

use super::orders::sign;
use super::{
    COMPANY, GROUP, NO_PROJECT, RETAINAGE_PAY_TYPE, SISTER, account, cost_type_of_account, day, find_order,
    firm_order_key, job, money, month, number, order_number, party, phase, row_id as id_of, yes,
};
use crate::firm::model::{AcumaticaDatabase, Cents, ErpBill, ErpBillLine, ErpCheck};
use crate::intacct::record_number;
use crate::sql::SqlSchema;

/// The account that checks are written on.
const CASH_ACCOUNT: u8 = 1;

/// Whether it is in the ledger.
pub(super) fn is_posted(bill: &ErpBill) -> bool {
    matches!(bill.status, "Open" | "Closed")
}

/// The row id of a bill's header, of whichever table.
pub(super) fn row_id(bill: &ErpBill) -> String {
    let table = if is_posted(bill) { "bAPTH" } else { "bAPUI" };
    record_number(table, &format!("{}|{}", bill.doc_type, bill.reference_nbr))
}

/// The transaction's number within its month.
pub(super) fn transaction(bill: &ErpBill) -> i64 {
    let series = match bill.doc_type {
        "Bill" => 0,
        "Credit Adj." => 1,
        "Debit Adj." => 2,
        _ => 3,
    };
    number(&bill.reference_nbr) + series * 1_000_000
}

/// What a line bills; a release of retainage bills nothing new.
fn gross(bill: &ErpBill, line: &ErpBillLine) -> Cents {
    if bill.is_retainage_document { Cents::ZERO } else { sign(bill, line.amount) }
}

/// What is retained of a line; a release takes it back.
fn retained(bill: &ErpBill, line: &ErpBillLine) -> Cents {
    if bill.is_retainage_document { -line.amount } else { sign(bill, line.retainage_amount) }
}

/// What one payment paid.
#[derive(Clone, Debug)]
struct Payment {
    reference: String,
    method: &'static str,
    date: NaiveDate,
    discount: Cents,
}

/// All tables of payables.
pub(super) fn write(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    let mut paid: BTreeMap<(String, String, i64), Cents> = BTreeMap::new();
    for bill in books.bills.values() {
        if is_posted(bill) {
            write_posted(tables, books, bill, &mut paid);
        } else if !matches!(bill.status, "Voided" | "Rejected") {
            write_unapproved(tables, books, bill);
        }
    }
    let checks = books.checks.values().filter(|check| check.doc_type == "Check");
    for check in checks.clone() {
        write_check(tables, check);
    }
    // What sets a credit against bills is a check over nothing.
    for credit in books.bills.values().filter(|bill| bill.doc_type == "Debit Adj." && !bill.applications.is_empty()) {
        let key = format!("offset {}", credit.reference_nbr);
        tables.insert(
            "bAPPH",
            &json!({
                "APCo": COMPANY, "CMCo": COMPANY, "CMAcct": CASH_ACCOUNT, "PayMethod": "C", "CMRef": offset(&credit.reference_nbr),
                "CMRefSeq": 0, "EFTSeq": 0, "VendorGroup": GROUP, "Vendor": party(&credit.vendor), "ChkType": "M",
                "PaidMth": month(&credit.post_period), "PaidDate": day(credit.date), "Amount": "0.00", "VoidYN": "N", "KeyID": id_of("bAPPH", &key),
            }),
        );
    }
    let methods: BTreeMap<&str, &str> = checks.map(|check| (check.payment_ref.as_str(), method(check))).collect();
    for ((reference, mth, trans), amount) in paid {
        tables.insert(
            "bAPPD",
            &json!({
                "APCo": COMPANY, "CMCo": COMPANY, "CMAcct": CASH_ACCOUNT, "PayMethod": methods.get(reference.trim()).unwrap_or(&"C"),
                "CMRef": reference, "CMRefSeq": 0, "EFTSeq": 0, "Mth": mth, "APTrans": trans, "Gross": money(amount), "Retainage": "0.00",
                "KeyID": id_of("bAPPD", &format!("{reference}|{mth}|{trans}")),
            }),
        );
    }
    // The sister's bill has the number of one of the firm's.
    let sister = json!({"APCo": SISTER, "Mth": "2026-01-01", "APTrans": 1, "VendorGroup": GROUP, "Vendor": 1, "APRef": "SISTER",
        "InvDate": "2026-01-05", "DueDate": "2026-02-05", "InvTotal": "900.00", "PayMethod": "C", "CMCo": SISTER, "OpenYN": "Y",
        "BatchId": 1, "KeyID": id_of("bAPTH", "sister")});
    tables.insert("bAPTH", &sister);
}

/// A check's number, right-justified.
fn padded(reference: &str) -> String {
    format!("{reference:>10}")
}

fn offset(reference: &str) -> String {
    padded(&format!("M{reference}"))
}

fn method(check: &ErpCheck) -> &'static str {
    if check.payment_method == "CHECK" { "C" } else { "E" }
}

fn write_check(tables: &mut SqlSchema, check: &ErpCheck) {
    tables.insert(
        "bAPPH",
        &json!({
            "APCo": COMPANY, "CMCo": COMPANY, "CMAcct": CASH_ACCOUNT, "PayMethod": method(check), "CMRef": padded(&check.payment_ref),
            "CMRefSeq": 0, "EFTSeq": 0, "VendorGroup": GROUP, "Vendor": party(&check.vendor), "ChkType": "C",
            "PaidMth": check.application_date.format("%Y-%m-01").to_string(), "PaidDate": day(check.application_date),
            "Amount": money(check.payment_amount), "VoidYN": yes(check.status == "Voided"),
            "VoidMemo": (check.status == "Voided").then_some("Lost"), "KeyID": id_of("bAPPH", &check.reference_nbr),
        }),
    );
    tables.insert(
        "bCMDT",
        &json!({
            "CMCo": COMPANY, "Mth": check.application_date.format("%Y-%m-01").to_string(), "CMTrans": number(&check.reference_nbr),
            "CMAcct": CASH_ACCOUNT, "CMTransType": 1, "SourceCo": COMPANY, "Source": "AP Payment", "ActDate": day(check.application_date),
            "PostedDate": day(check.application_date), "Amount": money(-check.payment_amount), "CMRef": padded(&check.payment_ref),
            "GLCo": COMPANY, "CMGLAcct": account("10100"), "Void": yes(check.status == "Voided"),
        }),
    );
}

/// What was paid on a document, oldest first, without voided checks.
fn payments(books: &AcumaticaDatabase, bill: &ErpBill) -> Vec<(Payment, Cents)> {
    let one = |reference: &str, kind: &str, amount: Cents, date: NaiveDate| {
        if kind == "Check" {
            let check = books.checks.get(&format!("Check|{reference}")).filter(|check| check.status != "Voided")?;
            let of_bill = check.history.iter().find(|line| line.reference_nbr == bill.reference_nbr);
            let discount = of_bill.map_or(Cents::ZERO, |line| line.cash_discount_taken);
            let (reference, method, date) = (padded(&check.payment_ref), method(check), check.application_date);
            return Some((Payment { reference, method, date, discount }, amount + discount));
        }
        match kind {
            "Debit Adj." => {
                Some((Payment { reference: offset(reference), method: "C", date, discount: Cents::ZERO }, amount))
            }
            "Bill" => Some((
                Payment { reference: offset(&bill.reference_nbr), method: "C", date, discount: Cents::ZERO },
                amount,
            )),
            _ => None,
        }
    };
    bill.applications
        .iter()
        .filter_map(|used| one(&used.reference_nbr, used.doc_type, used.amount_paid, used.date))
        .collect()
}

/// Parts of what lines owe: for each line what payments take of it in turn, and what is left.
fn split(owed: &[Cents], payments: Vec<(Payment, Cents)>) -> Vec<Vec<(Cents, Option<Payment>)>> {
    let mut left: Vec<Cents> = owed.to_vec();
    let mut parts: Vec<Vec<(Cents, Option<Payment>)>> = vec![Vec::new(); owed.len()];
    let is_credit = owed.iter().copied().sum::<Cents>().0 < 0;
    for (mut payment, amount) in payments {
        let mut rest = if is_credit { -amount } else { amount };
        // Lines that take away go with the first payment, and leave it more for the others.
        for takes_away in [true, false] {
            for (left, parts) in left.iter_mut().zip(&mut parts) {
                let is_against = (left.0 < 0) != is_credit;
                let part = match (is_against == takes_away, takes_away) {
                    (false, _) => continue,
                    (_, true) => *left,
                    (_, false) if is_credit => (*left).max(rest),
                    (_, false) => (*left).min(rest),
                };
                if !part.is_zero() {
                    parts.push((part, Some(payment.clone())));
                    payment.discount = Cents::ZERO;
                    *left -= part;
                    rest -= part;
                }
            }
        }
    }
    for (left, parts) in left.into_iter().zip(&mut parts) {
        if !left.is_zero() || parts.is_empty() {
            parts.push((left, None));
        }
    }
    parts
}

fn write_posted(
    tables: &mut SqlSchema,
    books: &AcumaticaDatabase,
    bill: &ErpBill,
    paid: &mut BTreeMap<(String, String, i64), Cents>,
) {
    let (mth, trans) = (month(&bill.post_period), transaction(bill));
    let name = format!("{}|{}", bill.doc_type, bill.reference_nbr);
    let is_overhead = bill.details.iter().all(|line| line.project == NO_PROJECT);
    let kept: Vec<Cents> = bill.details.iter().map(|line| retained(bill, line)).collect();
    let owed: Vec<Cents> = bill
        .details
        .iter()
        .enumerate()
        .map(|(place, line)| {
            let tax = if place == 0 { bill.tax_total } else { Cents::ZERO };
            gross(bill, line) + sign(bill, tax) - retained(bill, line)
        })
        .collect();
    let due = split(&owed, payments(books, bill));
    let held = split(&kept, Vec::new());
    let mut is_open = false;
    for (place, line) in bill.details.iter().enumerate() {
        write_line(tables, books, bill, line, place);
        let mut sequence = 0;
        let own = due.get(place).into_iter().flatten().map(|part| (pay_type(line), part));
        let kept = held.get(place).into_iter().flatten().filter(|(amount, _)| !amount.is_zero());
        for (pay_type, (amount, payment)) in own.chain(kept.map(|part| (RETAINAGE_PAY_TYPE, part))) {
            sequence += 1;
            let is_held = pay_type == RETAINAGE_PAY_TYPE;
            let status = match (payment, is_held) {
                (Some(_), _) => 3,
                (None, true) => 2,
                (None, false) => 1,
            };
            is_open |= status < 3 && !amount.is_zero();
            // A discount that is offered stands as taken until the bill is paid.
            let offered = if is_overhead && payment.is_none() { amount.share(1, 100) } else { Cents::ZERO };
            let id = format!("{name}|{}|{sequence}", line.line_nbr);
            tables.insert(
                "bAPTD",
                &json!({
                    "APCo": COMPANY, "Mth": mth, "APTrans": trans, "APLine": line.line_nbr, "APSeq": sequence, "PayType": pay_type,
                    "Amount": money(*amount), "DiscOffer": money(offered), "DiscTaken": money(payment.as_ref().map_or(offered, |one| one.discount)), "DueDate": day(bill.due_date),
                    "Status": if amount.is_zero() { 3 } else { status }, "VendorGroup": GROUP, "KeyID": id_of("bAPTD", &id),
                    "PaidMth": payment.as_ref().map(|one| one.date.format("%Y-%m-01").to_string()),
                    "PaidDate": payment.as_ref().map(|one| day(one.date)), "CMCo": payment.as_ref().map(|_| COMPANY),
                    "CMAcct": payment.as_ref().map(|_| CASH_ACCOUNT), "PayMethod": payment.as_ref().map(|one| one.method),
                    "CMRef": payment.as_ref().map(|one| &one.reference), "CMRefSeq": payment.as_ref().map(|_| 0),
                    "EFTSeq": payment.as_ref().map(|_| 0),
                }),
            );
            if let Some(payment) = payment {
                *paid.entry((payment.reference.clone(), mth.clone(), trans)).or_default() += *amount;
            } else if is_held && !amount.is_zero() {
                let withheld = json!({"APCo": COMPANY, "Mth": mth, "APTrans": trans, "APLine": line.line_nbr, "APSeq": sequence, "HoldCode": "RET"});
                tables.insert("bAPHD", &withheld);
            }
        }
    }
    tables.insert(
        "bAPTH",
        &json!({
            "APCo": COMPANY, "Mth": mth, "APTrans": trans, "VendorGroup": GROUP, "Vendor": party(&bill.vendor), "APRef": bill.vendor_ref,
            "Description": bill.description, "InvDate": day(bill.date), "DueDate": day(bill.due_date),
            "InvTotal": money(sign(bill, bill.amount_with_retainage)), "PayMethod": "C", "CMCo": COMPANY,
            "CMAcct": CASH_ACCOUNT, "OpenYN": yes(is_open), "BatchId": number(&bill.reference_nbr), "KeyID": row_id(bill),
        }),
    );
}

/// The pay type of a line: expense, job, subcontract.
fn pay_type(line: &ErpBillLine) -> u8 {
    match (line.po_order_type, line.project == NO_PROJECT) {
        (Some("Subcontract"), _) => 3,
        (_, true) => 1,
        _ => 2,
    }
}

/// What a line says of its subcontract, purchase order, job or expense.
fn coding(books: &AcumaticaDatabase, bill: &ErpBill, line: &ErpBillLine) -> serde_json::Value {
    let has_job = line.project != NO_PROJECT;
    let order = line.po_order_type.zip(line.po_order_nbr.as_ref());
    let name =
        order.and_then(|(kind, number)| Some(order_number(books, find_order(books, &firm_order_key(kind, number))?)));
    let is_subcontract = line.po_order_type == Some("Subcontract");
    let line_type = match (&name, is_subcontract, has_job) {
        (Some(_), true, _) => 7,
        (Some(_), false, _) => 6,
        (None, _, true) => 1,
        _ => 3,
    };
    let subcontract = name.as_ref().filter(|_| is_subcontract);
    let purchase = name.as_ref().filter(|_| !is_subcontract);
    json!({
        "LineType": line_type, "SL": subcontract, "SLItem": subcontract.and(line.po_line), "PO": purchase, "POItem": purchase.and(line.po_line),
        "ItemType": purchase.map(|_| 1), "JCCo": has_job.then_some(COMPANY), "Job": has_job.then(|| job(&line.project)),
        "PhaseGroup": has_job.then_some(GROUP), "Phase": has_job.then(|| phase(line.cost_code.as_deref())),
        "JCCType": has_job.then(|| cost_type_of_account(books, &line.account)), "GLCo": COMPANY, "GLAcct": account(&line.account),
        "Description": line.transaction_description, "UM": "LS", "VendorGroup": GROUP, "PayType": pay_type(line),
        "GrossAmt": money(gross(bill, line)), "Retainage": money(retained(bill, line)),
    })
}

fn write_line(tables: &mut SqlSchema, books: &AcumaticaDatabase, bill: &ErpBill, line: &ErpBillLine, place: usize) {
    let tax = if place == 0 { bill.tax_total } else { Cents::ZERO };
    // Use tax and freight of others are noted on the line, and not owed to the vendor.
    let is_overhead = line.project == NO_PROJECT && bill.tax_total.is_zero();
    let noted = if is_overhead { line.amount.share(7, 100) } else { tax };
    let own = json!({
        "APCo": COMPANY, "Mth": month(&bill.post_period), "APTrans": transaction(bill), "APLine": line.line_nbr,
        "TaxAmt": money(sign(bill, noted)), "TaxType": (!noted.is_zero()).then_some(if is_overhead { 2 } else { 1 }),
        "MiscAmt": money(if is_overhead { line.amount.share(1, 100) } else { Cents::ZERO }), "MiscYN": "N",
        "KeyID": id_of("bAPTL", &format!("{}|{}|{}", bill.doc_type, bill.reference_nbr, line.line_nbr)),
    });
    tables.insert("bAPTL", &super::orders::joined(coding(books, bill, line), own));
}

/// An invoice that waits for somebody's approval: neither owed nor posted.
fn write_unapproved(tables: &mut SqlSchema, books: &AcumaticaDatabase, bill: &ErpBill) {
    let (mth, sequence) = (month(&bill.post_period), transaction(bill) % 30_000);
    tables.insert(
        "bAPUI",
        &json!({
            "APCo": COMPANY, "UIMth": mth, "UISeq": sequence, "VendorGroup": GROUP, "Vendor": party(&bill.vendor), "APRef": bill.vendor_ref,
            "Description": bill.description, "InvDate": day(bill.date), "DueDate": day(bill.due_date),
            "InvTotal": money(sign(bill, bill.amount_with_retainage)), "PayMethod": "C", "CMCo": COMPANY, "KeyID": row_id(bill),
        }),
    );
    for (place, line) in bill.details.iter().enumerate() {
        let tax = if place == 0 { bill.tax_total } else { Cents::ZERO };
        let own = json!({
            "APCo": COMPANY, "UIMth": mth, "UISeq": sequence, "Line": line.line_nbr, "TaxAmt": money(sign(bill, tax)),
            "TaxType": (!tax.is_zero()).then_some(1), "KeyID": id_of("bAPUL", &format!("{}|{}", bill.reference_nbr, line.line_nbr)),
        });
        tables.insert("bAPUL", &super::orders::joined(coding(books, bill, line), own));
    }
}
