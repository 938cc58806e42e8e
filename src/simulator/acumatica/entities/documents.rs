//! AP bills and checks, AR invoices and payments, pro forma invoices.

use serde_json::{Value, json};

use super::{CUSTOM, GUID, approvals, custom, day, guid, moment, money, quantity, rate};
use crate::firm::model::{
    Cents, ErpApplication, ErpBill, ErpBillLine, ErpCheck, ErpInvoice, ErpInvoiceLine, ErpPayment, ErpPaymentHistory,
    ErpProForma, ErpProgressLine, Rate,
};
use crate::firm::{RECEIVABLE, RETAINAGE_PAYABLE, RETAINAGE_RECEIVABLE};
use crate::http::with;

/// The views of the AP and AR document screens; both show the document's own fields.
const DOCUMENT: [&str; 2] = ["Document", "CurrentDocument"];

pub(super) fn bill(one: &ErpBill) -> Value {
    let details: Vec<Value> = one.details.iter().map(bill_line).collect();
    let applications: Vec<Value> = one
        .applications
        .iter()
        .map(|application| {
            json!({
                "DocType": application.doc_type, "ReferenceNbr": application.reference_nbr,
                "AmountPaid": money(application.amount_paid), "Balance": money(application.balance),
                "Status": application.status,
            })
        })
        .collect();
    let record = json!({
        GUID: guid(&one.note_id), "Type": one.doc_type, "ReferenceNbr": one.reference_nbr, "Status": one.status,
        "Hold": one.hold, "Date": day(one.date), "PostPeriod": one.post_period, "DueDate": day(one.due_date),
        "Vendor": one.vendor, "LocationID": "MAIN", "VendorRef": one.vendor_ref, "Description": one.description,
        "Amount": money(one.amount), "Balance": money(one.balance), "TaxTotal": money(one.tax_total),
        "CurrencyID": one.currency_id, "Terms": one.terms, "Project": one.project, "ApprovedForPayment": !one.hold,
        "Applications": applications, "TaxDetails": taxes(one.tax_total),
        "LastModifiedDateTime": moment(one.last_modified_at),
    });
    let custom = custom(
        &DOCUMENT,
        [
            ("RetainageApply", json!(one.apply_retainage)),
            ("DefRetainagePct", rate(one.default_retainage_pct)),
            ("CuryLineRetainageTotal", money(one.retainage_total)),
            ("CuryRetainageTotal", money(one.retainage_total)),
            ("CuryRetainageUnreleasedAmt", money(one.retainage_unreleased)),
            ("CuryRetainageReleased", money(one.retainage_released)),
            ("CuryOrigDocAmtWithRetainageTotal", money(one.amount_with_retainage)),
            ("IsRetainageDocument", json!(one.is_retainage_document)),
            ("OrigRefNbr", json!(one.orig_ref_nbr)),
            ("RetainageAcctID", retainage_account(one.apply_retainage, RETAINAGE_PAYABLE)),
            ("CuryDiscTot", money(Cents::ZERO)),
            ("CreatedDateTime", moment(one.created_at)),
            ("NoteID", guid(&one.note_id)),
        ],
    );
    let record = with(record, "Details", details.into());
    with(record, CUSTOM, custom)
}

fn bill_line(line: &ErpBillLine) -> Value {
    let record = json!({
        "Account": line.account, "Project": line.project, "ProjectTask": line.project_task,
        "CostCode": line.cost_code, "TransactionDescription": line.transaction_description,
        "Qty": quantity(line.qty), "UnitCost": money(line.unit_cost), "ExtendedCost": money(line.extended_cost),
        "Amount": money(line.amount), "POOrderType": line.po_order_type, "POOrderNbr": line.po_order_nbr,
        "POLine": line.po_line, "NonBillable": false,
    });
    let custom = custom(
        &["Transactions"],
        [
            ("LineNbr", json!(line.line_nbr)),
            ("RetainagePct", rate(line.retainage_pct)),
            ("CuryRetainageAmt", money(line.retainage_amount)),
        ],
    );
    with(record, CUSTOM, custom)
}

/// The account that holds what is retained, on documents that retain.
fn retainage_account(retains: bool, account: &str) -> Value {
    retains.then_some(account).map_or(Value::Null, Value::from)
}

/// One tax, where there is any.
fn taxes(total: Cents) -> Value {
    let tax = || json!({"TaxID": "NCTAX", "TaxRate": rate(Rate(725)), "TaxAmount": money(total)});
    Value::Array((!total.is_zero()).then(tax).into_iter().collect())
}

pub(super) fn check(one: &ErpCheck) -> Value {
    let history: Vec<Value> = one
        .history
        .iter()
        .map(|paid| {
            json!({
                "DocType": paid.doc_type, "ReferenceNbr": paid.reference_nbr, "VendorRef": paid.vendor_ref,
                "AmountPaid": money(paid.amount_paid), "Balance": money(paid.balance),
                "CashDiscountTaken": money(paid.cash_discount_taken),
            })
        })
        .collect();
    json!({
        GUID: guid(&one.note_id), "Type": one.doc_type, "ReferenceNbr": one.reference_nbr, "Status": one.status,
        "Hold": one.hold, "Vendor": one.vendor, "PaymentMethod": one.payment_method,
        "CashAccount": one.cash_account, "PaymentRef": one.payment_ref,
        "ApplicationDate": day(one.application_date), "PaymentAmount": money(one.payment_amount),
        "UnappliedBalance": money(one.unapplied_balance), "CurrencyID": one.currency_id,
        "Description": one.description, "Details": [], "History": history,
        "LastModifiedDateTime": moment(one.last_modified_at),
        CUSTOM: custom(&DOCUMENT, [("CreatedDateTime", moment(one.created_at)), ("NoteID", guid(&one.note_id))]),
    })
}

pub(super) fn invoice(one: &ErpInvoice) -> Value {
    let details: Vec<Value> = one.details.iter().map(invoice_line).collect();
    let memo = |application: &&ErpApplication| application.doc_type == "Credit Memo";
    let receipts = one.applications.iter().filter(|one| !memo(one)).map(receipt).collect::<Vec<_>>();
    let memos = one.applications.iter().filter(memo).map(credit_memo).collect::<Vec<_>>();
    let record = json!({
        GUID: guid(&one.note_id), "Type": one.doc_type, "ReferenceNbr": one.reference_nbr, "Status": one.status,
        "Hold": one.hold, "Date": day(one.date), "PostPeriod": one.post_period, "DueDate": day(one.due_date),
        "Customer": one.customer, "LocationID": "MAIN", "CustomerOrder": one.customer_order,
        "Project": one.project, "Description": one.description, "Amount": money(one.amount),
        "Balance": money(one.balance), "TaxTotal": money(one.tax_total), "Terms": one.terms,
        "LinkARAccount": RECEIVABLE, "ApplicationsDefault": receipts, "ApplicationsCreditMemo": memos,
        "CreatedDateTime": moment(one.created_at), "LastModifiedDateTime": moment(one.last_modified_at),
    });
    let custom = custom(
        &DOCUMENT,
        [
            ("RetainageApply", json!(one.apply_retainage)),
            ("DefRetainagePct", rate(one.default_retainage_pct)),
            ("CuryLineRetainageTotal", money(one.retainage_total)),
            ("CuryRetainageTotal", money(one.retainage_total)),
            ("CuryRetainageUnreleasedAmt", money(one.retainage_unreleased)),
            ("CuryRetainageReleased", money(one.retainage_released)),
            ("CuryOrigDocAmtWithRetainageTotal", money(one.amount_with_retainage)),
            ("IsRetainageDocument", json!(one.is_retainage_document)),
            ("OrigRefNbr", json!(one.orig_ref_nbr)),
            ("RetainageAcctID", retainage_account(one.apply_retainage, RETAINAGE_RECEIVABLE)),
            ("CuryDiscTot", money(Cents::ZERO)),
            ("CuryID", json!(one.currency_id)),
            ("NoteID", guid(&one.note_id)),
        ],
    );
    let record = with(record, "Details", details.into());
    with(record, CUSTOM, custom)
}

fn receipt(one: &ErpApplication) -> Value {
    json!({
        "DocType": one.doc_type, "ReferenceNbr": one.reference_nbr, "PaymentDate": day(one.date),
        "AmountPaid": money(one.amount_paid), "Balance": money(one.balance), "Status": one.status,
    })
}

fn credit_memo(one: &ErpApplication) -> Value {
    json!({
        "DocType": one.doc_type, "ReferenceNbr": one.reference_nbr, "AmountPaid": money(one.amount_paid),
        "Balance": money(one.balance), "Status": one.status,
    })
}

fn invoice_line(line: &ErpInvoiceLine) -> Value {
    let record = json!({
        "LineNbr": line.line_nbr, "ProjectTask": line.project_task, "CostCode": line.cost_code,
        "Account": line.account, "TransactionDescription": line.description, "Qty": quantity(line.qty),
        "UnitPrice": money(line.unit_price), "ExtendedPrice": money(line.extended_price),
        "Amount": money(line.amount),
    });
    let custom = custom(
        &["Transactions"],
        [("CuryRetainageAmt", money(line.retainage_amount)), ("LineNbr", json!(line.line_nbr))],
    );
    with(record, CUSTOM, custom)
}

pub(super) fn payment(one: &ErpPayment) -> Value {
    let history: Vec<Value> = one.application_history.iter().map(|paid| paid_invoice(one, paid)).collect();
    json!({
        GUID: guid(&one.note_id), "NoteID": guid(&one.note_id), "Type": one.doc_type,
        "ReferenceNbr": one.reference_nbr, "Status": one.status, "Hold": one.hold, "CustomerID": one.customer_id,
        "PaymentMethod": one.payment_method, "CashAccount": one.cash_account, "PaymentRef": one.payment_ref,
        "ApplicationDate": day(one.application_date), "PaymentAmount": money(one.payment_amount),
        "AppliedToDocuments": money(one.applied_to_documents), "AvailableBalance": money(one.available_balance),
        "CurrencyID": one.currency_id, "ApplicationHistory": history, "DocumentsToApply": [],
        "LastModifiedDateTime": moment(one.last_modified_at),
        CUSTOM: custom(&DOCUMENT, [("CreatedDateTime", moment(one.created_at))]),
    })
}

fn paid_invoice(payment: &ErpPayment, paid: &ErpPaymentHistory) -> Value {
    json!({
        "AdjustedDocType": paid.adjusted_doc_type, "AdjustedRefNbr": paid.adjusted_ref_nbr,
        "AdjustingDocType": payment.doc_type, "AdjustingRefNbr": payment.reference_nbr,
        "DisplayDocType": paid.adjusted_doc_type, "DisplayRefNbr": paid.adjusted_ref_nbr,
        "AmountPaid": money(paid.amount_paid), "Date": day(paid.date), "BatchNbr": paid.batch_nbr,
        "PostPeriod": paid.post_period, "Customer": payment.customer_id, "CurrencyID": payment.currency_id,
    })
}

pub(super) fn pro_forma(one: &ErpProForma) -> Value {
    let lines: Vec<Value> = one.progress_billing.iter().map(progress_line).collect();
    json!({
        GUID: guid(&one.note_id), "RefNbr": one.ref_nbr, "ProjectID": one.project_id,
        "CustomerID": one.customer_id, "Status": one.status, "Hold": one.hold,
        "InvoiceDate": day(one.invoice_date), "PostPeriod": one.post_period, "Description": one.description,
        "ExternalRefNbr": one.external_ref_nbr, "CurrencyID": one.currency_id,
        "InvoiceTotal": money(one.invoice_total), "ProgressBillingTotal": money(one.progress_billing_total),
        "TimeAndMaterialTotal": money(Cents::ZERO), "TaxTotal": money(one.tax_total),
        "RetainageTotal": money(one.retainage_total), "AmountDue": money(one.amount_due),
        "FinancialDetails": {"ARDocType": one.ar_doc_type, "ARRefNbr": one.ar_ref_nbr},
        "ProgressBilling": lines, "TimeAndMaterial": [],
        "ApprovalDetails": approvals((one.status == "Closed").then(|| one.created_at.date_naive())),
        "LastModifiedDateTime": moment(one.last_modified_at),
        CUSTOM: custom(&DOCUMENT, [
            ("ProjectNbr", json!(one.project_nbr)), ("CreatedDateTime", moment(one.created_at)),
            ("NoteID", guid(&one.note_id)),
        ]),
    })
}

fn progress_line(line: &ErpProgressLine) -> Value {
    json!({
        "ProjectTaskID": line.project_task_id, "CostCode": line.cost_code, "Description": line.description,
        "RevisedBudgetedAmount": money(line.revised_budgeted_amount),
        "PreviouslyInvoiced": money(line.previously_invoiced), "StoredMaterial": money(line.stored_material),
        "Amount": money(line.amount), "AmountToInvoice": money(line.amount_to_invoice),
        "TotalCompleted": rate(line.total_completed), "Retainage": rate(line.retainage),
        "RetainageAmount": money(line.retainage_amount), "SalesAccount": line.sales_account,
    })
}
