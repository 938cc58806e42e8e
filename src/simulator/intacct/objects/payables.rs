//! Bills, adjustments, payments and released retainage of accounts payable.

use serde_json::{Value, json};

use super::orders::{cost_type, primary_document};
use super::{Row, changed, day, long_money, moment, money, posting_day, record_number};
use crate::firm::model::{AcumaticaDatabase, Cents, ErpBill, ErpBillLine, ErpCheck, ErpCheckHistory};

/// The records of an object of this file.
pub(super) fn rows<'a>(database: &'a AcumaticaDatabase, object: &str) -> Option<Vec<Row<'a>>> {
    let bills = || database.bills.values().filter(|bill| is_bill(bill));
    let adjustments = || database.bills.values().filter(|bill| !is_bill(bill));
    let checks = || database.checks.values().filter(|check| check.doc_type == "Check");
    Some(match object {
        "accounts-payable/bill" => {
            let reversals = bills().filter(|bill| bill.status == "Voided").map(reversal);
            bills().map(bill).chain(reversals).collect()
        }
        "accounts-payable/bill-line" => {
            let lines = |bill: &'a ErpBill| {
                let own = bill.details.iter().map(move |line| bill_line(database, bill, line));
                own.chain(tax_line(bill))
            };
            bills().flat_map(lines).collect()
        }
        "accounts-payable/adjustment" => adjustments().map(adjustment).collect(),
        "accounts-payable/adjustment-line" => {
            adjustments().flat_map(|bill| bill.details.iter().map(move |line| adjustment_line(bill, line))).collect()
        }
        "accounts-payable/payment" => checks().map(payment).collect(),
        "accounts-payable/payment-detail" => checks().flat_map(|check| details(database, check)).collect(),
        "construction/ap-retainage-release-line" => bills().filter_map(release_line).collect(),
        "construction/primary-document-accounts-payable-bill" => bills().filter_map(document_bill).collect(),
        _ => return None,
    })
}

/// Adjustments know no retainage: a credit that takes some back is a bill of negative amounts.
fn is_bill(bill: &ErpBill) -> bool {
    !bill.doc_type.ends_with("Adj.") || !bill.retainage_total.is_zero()
}

/// Whether it is in the ledger.
pub(super) fn is_posted(bill: &ErpBill) -> bool {
    matches!(bill.status, "Open" | "Closed")
}

fn state(bill: &ErpBill) -> &'static str {
    match bill.status {
        "On Hold" => "draft",
        "Voided" => "reversed",
        "Rejected" => "declined",
        "Closed" => "paid",
        "Open" if bill.balance != bill.amount => "partiallyPaid",
        "Open" => "posted",
        _ => "submitted",
    }
}

/// What is paid and what is settled otherwise: both have left the balance.
fn settled(bill: &ErpBill) -> Cents {
    bill.applications.iter().map(|one| one.amount_paid).sum()
}

fn bill(bill: &ErpBill) -> Row<'_> {
    Row::new(bill.reference_nbr.clone(), move || {
        let due = if is_posted(bill) { bill.balance } else { bill.amount };
        json!({
            "key": bill.reference_nbr, "id": bill.reference_nbr,
            "billNumber": bill.vendor_ref.as_ref().unwrap_or(&bill.reference_nbr), "referenceNumber": Value::Null,
            "state": state(bill), "recordType": "apBill", "sourceModule": "accountsPayable", "vendor.id": bill.vendor,
            "createdDate": day(bill.date), "postingDate": day(posting_day(&bill.post_period, bill.date)),
            "dueDate": day(bill.due_date), "description": bill.description, "term.id": bill.terms, "isOnHold": false,
            "currency.txnCurrency": bill.currency_id, "currency.baseCurrency": "USD",
            "totalTxnAmount": money(sign(bill, bill.amount_with_retainage)), "totalBaseAmount": money(sign(bill, bill.amount_with_retainage)),
            "totalTxnAmountDue": money(sign(bill, due)), "totalBaseAmountDue": money(sign(bill, due)),
            "paymentInformation.totalTxnAmountPaid": money(sign(bill, settled(bill))),
            "paymentInformation.totalTxnAmountSelectedForPayment": money(Cents::ZERO),
            "retainage.totalTxnAmountRetained": money(sign(bill, bill.retainage_total)),
            "retainage.totalTxnAmountReleased": money(sign(bill, bill.retainage_released)), "entity.id": Value::Null,
            "audit.createdDateTime": moment(bill.created_at),
            "audit.modifiedDateTime": changed(bill.created_at, bill.last_modified_at),
        })
    })
}

/// A reversed bill has a twin that takes it back.
fn reversal(bill: &ErpBill) -> Row<'_> {
    let key = record_number("reversal", &bill.reference_nbr);
    Row::new(key.clone(), move || {
        json!({
            "key": key, "id": key, "billNumber": bill.vendor_ref, "state": "reversal", "recordType": "apBill",
            "vendor.id": bill.vendor, "createdDate": day(bill.date), "postingDate": day(bill.date),
            "dueDate": day(bill.due_date), "description": format!("Reversal of {}", bill.reference_nbr),
            "currency.txnCurrency": "USD", "totalTxnAmount": money(-bill.amount_with_retainage),
            "totalTxnAmountDue": money(Cents::ZERO), "retainage.totalTxnAmountRetained": money(-bill.retainage_total),
            "retainage.totalTxnAmountReleased": money(Cents::ZERO),
            "audit.createdDateTime": moment(bill.last_modified_at),
            "audit.modifiedDateTime": moment(bill.last_modified_at),
        })
    })
}

/// The record number of a line of a document.
fn line_key(kind: &str, bill: &ErpBill, line: i32) -> String {
    record_number(kind, &format!("{}|{line}", bill.reference_nbr))
}

fn bill_line<'a>(database: &'a AcumaticaDatabase, bill: &'a ErpBill, line: &'a ErpBillLine) -> Row<'a> {
    let key = line_key("bill-line", bill, line.line_nbr);
    Row::new(key.clone(), move || {
        let has_project = line.project != "X";
        let released = bill.is_retainage_document.then(|| money(sign(bill, line.amount)));
        json!({
            "key": key, "id": key, "bill.key": bill.reference_nbr, "bill.id": bill.reference_nbr,
            "lineNumber": line.line_nbr.to_string(), "glAccount.id": line.account, "txnAmount": money(sign(bill, line.amount)),
            "baseAmount": money(sign(bill, line.amount)), "memo": line.transaction_description, "isSubTotal": false,
            "dimensions.project.id": has_project.then_some(&line.project), "dimensions.task.id": line.cost_code,
            "dimensions.costType.id": if has_project { cost_type(database, &line.account) } else { None },
            "dimensions.vendor.id": bill.vendor, "dimensions.location.id": "100",
            "retainage.hasRetainage": !line.retainage_amount.is_zero(),
            "retainage.percentage": line.retainage_pct.to_string(),
            "retainage.txnAmountRetained": money(sign(bill, line.retainage_amount)), "retainage.txnAmountReleased": released,
            "retainage.release": bill.is_retainage_document, "currency.txnCurrency": bill.currency_id,
            "audit.createdDateTime": moment(bill.created_at), "audit.modifiedDateTime": moment(bill.last_modified_at),
        })
    })
}

/// Tax is a line of its own.
fn tax_line(bill: &ErpBill) -> Option<Row<'_>> {
    let key = line_key("bill-line", bill, 0);
    (!bill.tax_total.is_zero()).then(|| {
        Row::new(key.clone(), move || {
            json!({
                "key": key, "id": key, "bill.key": bill.reference_nbr, "bill.id": bill.reference_nbr,
                "lineNumber": (bill.details.len() + 1).to_string(), "glAccount.id": "60200",
                "txnAmount": money(bill.tax_total), "baseAmount": money(bill.tax_total), "memo": "Sales tax",
                "isSubTotal": true, "dimensions.vendor.id": bill.vendor, "retainage.hasRetainage": false,
                "audit.createdDateTime": moment(bill.created_at),
                "audit.modifiedDateTime": moment(bill.last_modified_at),
            })
        })
    })
}

/// A vendor's credit takes away: negative.
pub(super) fn sign(bill: &ErpBill, amount: Cents) -> Cents {
    if bill.doc_type == "Debit Adj." { -amount } else { amount }
}

fn adjustment(bill: &ErpBill) -> Row<'_> {
    Row::new(bill.reference_nbr.clone(), move || {
        let total = sign(bill, bill.amount_with_retainage);
        json!({
            "key": bill.reference_nbr, "id": bill.reference_nbr,
            "adjustmentNumber": bill.vendor_ref.as_ref().unwrap_or(&bill.reference_nbr), "state": state(bill),
            "recordType": "apAdjustment", "vendor.id": bill.vendor, "createdDate": day(bill.date),
            "adjustmentSummary.glPostingDate": day(posting_day(&bill.post_period, bill.date)),
            "description": bill.description, "currency.txnCurrency": bill.currency_id,
            "txnTotalEntered": money(total), "totalEntered": money(total), "txnTotalDue": money(sign(bill, bill.balance)),
            "audit.createdDateTime": moment(bill.created_at),
            "audit.modifiedDateTime": changed(bill.created_at, bill.last_modified_at),
        })
    })
}

fn adjustment_line<'a>(bill: &'a ErpBill, line: &'a ErpBillLine) -> Row<'a> {
    let key = line_key("adjustment-line", bill, line.line_nbr);
    Row::new(key.clone(), move || {
        json!({
            "key": key, "id": key, "apAdjustment.key": bill.reference_nbr, "apAdjustment.id": bill.reference_nbr,
            "lineNumber": line.line_nbr.to_string(), "glAccount.id": line.account,
            "adjustmentType": if bill.doc_type == "Debit Adj." { "debitMemo" } else { "creditMemo" },
            "txnAmount": money(sign(bill, line.amount)), "baseAmount": money(sign(bill, line.amount)),
            "memo": line.transaction_description, "dimensions.project.id": (line.project != "X").then_some(&line.project),
            "dimensions.task.id": line.cost_code, "dimensions.vendor.id": bill.vendor,
            "audit.createdDateTime": moment(bill.created_at), "audit.modifiedDateTime": moment(bill.last_modified_at),
        })
    })
}

fn payment(check: &ErpCheck) -> Row<'_> {
    Row::new(check.reference_nbr.clone(), move || {
        let state = match check.status {
            "Voided" => "voided",
            "On Hold" => "draft",
            "Open" | "Closed" => "posted",
            _ => "submitted",
        };
        let method = if check.payment_method == "CHECK" { "printedCheck" } else { "eft" };
        json!({
            "key": check.reference_nbr, "id": check.reference_nbr, "documentNumber": check.payment_ref,
            "paymentMethod": method, "state": state, "recordType": "apPayment", "vendor.id": check.vendor,
            "txnDate": day(check.application_date), "txnPaidDate": day(check.application_date),
            "description": check.description, "txnCurrency.currency": check.currency_id,
            "txnCurrency.totalAmount": money(check.payment_amount), "txnCurrency.totalDue": money(Cents::ZERO),
            "financialEntity.entityId": check.cash_account, "financialEntity.txnAmount": money(check.payment_amount),
            "baseCurrency.currency": "USD", "baseCurrency.totalAmount": money(check.payment_amount), "cleared": "uncleared",
            "audit.createdDateTime": moment(check.created_at),
            "audit.modifiedDateTime": changed(check.created_at, check.last_modified_at),
        })
    })
}

/// What a payment pays, line by line of the bills.
fn details<'a>(database: &'a AcumaticaDatabase, check: &'a ErpCheck) -> Vec<Row<'a>> {
    let of_bill = |line: &'a ErpCheckHistory| {
        let bill = database.bills.get(&format!("{}|{}", line.doc_type, line.reference_nbr));
        let numbers: Vec<i32> =
            bill.map(|bill| bill.details.iter().map(|line| line.line_nbr).collect()).unwrap_or_default();
        let first = numbers.first().copied().unwrap_or(1);
        let rest = numbers.last().copied().filter(|last| *last != first);
        let half = if rest.is_some() { line.amount_paid.share(1, 2) } else { Cents::ZERO };
        let parts = [(first, line.amount_paid - half)].into_iter().chain(rest.map(|last| (last, half)));
        parts.map(move |(number, amount)| detail(database, check, line, number, amount)).collect::<Vec<_>>()
    };
    check.history.iter().flat_map(of_bill).collect()
}

fn detail<'a>(
    database: &'a AcumaticaDatabase,
    check: &'a ErpCheck,
    line: &'a ErpCheckHistory,
    number: i32,
    amount: Cents,
) -> Row<'a> {
    let place = format!("{}|{}|{}|{number}", check.reference_nbr, line.doc_type, line.reference_nbr);
    let key = record_number("payment-detail", &place);
    Row::new(key.clone(), move || {
        let document = database.bills.get(&format!("{}|{}", line.doc_type, line.reference_nbr));
        let is_bill = document.is_none_or(is_bill);
        // A discount stands on the first of a bill's lines.
        let is_first = document.is_none_or(|bill| bill.details.first().is_none_or(|first| first.line_nbr == number));
        let discount = if is_first { line.cash_discount_taken } else { Cents::ZERO };
        json!({
            "txnCurrency.discountAmount": (!discount.is_zero()).then(|| money(discount)),
            "key": key, "id": key, "apPayment.key": check.reference_nbr, "apPayment.id": check.reference_nbr,
            "bill.key": is_bill.then_some(&line.reference_nbr), "bill.id": is_bill.then_some(&line.reference_nbr),
            "billLine.key": record_number("bill-line", &format!("{}|{number}", line.reference_nbr)),
            "apCreditAdjustment.key": (!is_bill).then_some(&line.reference_nbr),
            "paymentDate": day(check.application_date), "txnCurrency.currency": check.currency_id,
            "txnCurrency.paymentAmount": money(amount), "baseCurrency.paymentAmount": money(amount),
            "state": if check.status == "Voided" { "voided" } else { "posted" },
            "audit.createdDateTime": moment(check.created_at), "audit.modifiedDateTime": moment(check.last_modified_at),
        })
    })
}

/// A release makes a new bill of what an earlier one retained.
fn release_line(bill: &ErpBill) -> Option<Row<'_>> {
    let original = bill.orig_ref_nbr.as_ref().filter(|_| bill.is_retainage_document)?;
    let key = record_number("ap-retainage-release-line", &bill.reference_nbr);
    Some(Row::new(key.clone(), move || {
        json!({
            "key": key, "id": key, "apRetainageRelease.key": record_number("ap-retainage-release", &bill.reference_nbr),
            "releasedBill.key": bill.reference_nbr, "releasedBill.id": bill.reference_nbr, "retainageBill.key": original,
            "retainageBill.id": original, "txnAmountReleased": money(bill.amount),
            "audit.createdDateTime": moment(bill.created_at), "audit.modifiedDateTime": moment(bill.last_modified_at),
        })
    }))
}

fn document_bill(bill: &ErpBill) -> Option<Row<'_>> {
    let order = primary_document(bill)?;
    let key = record_number("primary-document-bill", &bill.reference_nbr);
    Some(Row::new(key.clone(), move || {
        json!({
            "key": key, "id": key, "apBill.key": bill.reference_nbr, "apBill.id": bill.reference_nbr,
            "apBill.billNumber": bill.vendor_ref, "apBill.createdDate": day(bill.date), "apBill.state": state(bill),
            "primaryDocument.key": order, "invoiceTotals.totalAmountInvoiced": long_money(bill.amount_with_retainage),
            "invoiceTotals.invoiceBalanceAmount": long_money(bill.balance),
            "retainageTotals.heldAmount": long_money(bill.retainage_total),
            "retainageTotals.netAmountInvoiced": long_money(bill.amount),
        })
    }))
}
