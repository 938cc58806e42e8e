//! Invoices, adjustments, payments and released retainage of accounts receivable.

use serde_json::{Value, json};

use super::{Row, changed, day, moment, money, posting_day, record_number};
use crate::firm::RETAINAGE_RECEIVABLE;
use crate::firm::model::{AcumaticaDatabase, Cents, ErpInvoice, ErpInvoiceLine, ErpPayment, ErpPaymentHistory};

/// The records of an object of this file.
pub(super) fn rows<'a>(database: &'a AcumaticaDatabase, object: &str) -> Option<Vec<Row<'a>>> {
    let invoices = || database.invoices.values().filter(|invoice| is_invoice(invoice));
    let memos = || database.invoices.values().filter(|invoice| !is_invoice(invoice));
    let receipts = || database.payments.values().filter(|payment| payment.doc_type == "Payment");
    Some(match object {
        "accounts-receivable/invoice" => invoices().map(|one| invoice(database, one)).collect(),
        "accounts-receivable/invoice-line" => {
            invoices().flat_map(|one| one.details.iter().map(move |line| invoice_line(one, line))).collect()
        }
        "accounts-receivable/adjustment" => memos().map(adjustment).collect(),
        "accounts-receivable/adjustment-line" => {
            memos().flat_map(|one| one.details.iter().map(move |line| adjustment_line(one, line))).collect()
        }
        "accounts-receivable/payment" => receipts().map(payment).collect(),
        "accounts-receivable/payment-detail" => {
            receipts().flat_map(|one| one.application_history.iter().map(move |line| detail(one, line))).collect()
        }
        "construction/ar-retainage-release-line" => invoices().filter_map(release_line).collect(),
        _ => return None,
    })
}

fn is_invoice(invoice: &ErpInvoice) -> bool {
    invoice.doc_type != "Credit Memo"
}

fn state(invoice: &ErpInvoice) -> &'static str {
    match invoice.status {
        "Voided" => "reversed",
        "Closed" => "paid",
        "Open" if invoice.balance != invoice.amount => "partiallyPaid",
        "Open" => "posted",
        // On hold, or not released.
        _ => "draft",
    }
}

/// The project of an invoice, if it has one.
fn project(invoice: &ErpInvoice) -> Option<&String> {
    invoice.project.as_ref().filter(|project| *project != "X")
}

fn invoice<'a>(database: &'a AcumaticaDatabase, invoice: &'a ErpInvoice) -> Row<'a> {
    let form = database.pro_formas.values().find(|form| form.ar_ref_nbr.as_ref() == Some(&invoice.reference_nbr));
    Row::new(invoice.reference_nbr.clone(), move || {
        let due = if matches!(invoice.status, "Open" | "Closed") { invoice.balance } else { invoice.amount };
        let settled: Cents = invoice.applications.iter().map(|one| one.amount_paid).sum();
        json!({
            "key": invoice.reference_nbr, "id": invoice.reference_nbr,
            "invoiceNumber": invoice.customer_order.as_ref().unwrap_or(&invoice.reference_nbr),
            "referenceNumber": Value::Null, "state": state(invoice), "recordType": "ri",
            "moduleKey": "accountsReceivable", "customer.id": invoice.customer, "invoiceDate": day(invoice.date),
            "dueDate": day(invoice.due_date), "description": invoice.description, "term.id": invoice.terms,
            "invoiceSummary.glPostingDate": day(posting_day(&invoice.post_period, invoice.date)),
            "currency.txnCurrency": invoice.currency_id, "currency.baseCurrency": "USD",
            "totalTxnAmount": money(invoice.amount_with_retainage), "totalTxnAmountDue": money(due),
            "totalBaseAmount": money(invoice.amount_with_retainage), "totalBaseAmountDue": money(due),
            "paymentInformation.totalTxnAmountPaid": money(settled),
            "retainage.totalTxnAmountRetained": money(invoice.retainage_total),
            "retainage.totalTxnAmountReleased": money(invoice.retainage_released),
            "retainage.isReleased": invoice.is_retainage_document, "projectContract.id": project(invoice),
            "projectContract.key": project(invoice).map(|id| record_number("project-contract", id)),
            "projectContractBilling.billingApplicationNumber": form.map(|form| form.project_nbr.trim_start_matches('0')),
            "projectContractBilling.billingThroughDate": form.map(|form| day(form.invoice_date)),
            "projectContractBilling.externalReferenceNumber": form.and_then(|form| form.external_ref_nbr.as_ref()),
            "audit.createdDateTime": moment(invoice.created_at),
            "audit.modifiedDateTime": changed(invoice.created_at, invoice.last_modified_at),
        })
    })
}

fn invoice_line<'a>(invoice: &'a ErpInvoice, line: &'a ErpInvoiceLine) -> Row<'a> {
    let key = record_number("invoice-line", &format!("{}|{}", invoice.reference_nbr, line.line_nbr));
    Row::new(key.clone(), move || {
        json!({
            "key": key, "id": key, "invoice.key": invoice.reference_nbr, "invoice.id": invoice.reference_nbr,
            "lineNumber": line.line_nbr, "glAccount.id": line.account, "txnAmount": money(line.amount),
            "baseAmount": money(line.amount), "memo": line.description, "dimensions.project.id": project(invoice),
            "dimensions.customer.id": invoice.customer, "projectContract.id": project(invoice),
            "retainage.hasRetainage": !line.retainage_amount.is_zero(),
            "retainage.txnAmountRetained": money(line.retainage_amount),
            "retainage.isReleaseLine": invoice.is_retainage_document, "currency.txnCurrency": invoice.currency_id,
            "retainage.offsetGLAccount.id": (!line.retainage_amount.is_zero()).then_some(RETAINAGE_RECEIVABLE),
            "audit.createdDateTime": moment(invoice.created_at),
            "audit.modifiedDateTime": moment(invoice.last_modified_at),
        })
    })
}

fn adjustment(invoice: &ErpInvoice) -> Row<'_> {
    Row::new(invoice.reference_nbr.clone(), move || {
        json!({
            "key": invoice.reference_nbr, "id": invoice.reference_nbr, "adjustmentNumber": invoice.reference_nbr,
            "state": state(invoice), "customer.id": invoice.customer, "createdDate": day(invoice.date),
            "glPostingDate": day(posting_day(&invoice.post_period, invoice.date)), "description": invoice.description,
            "txnCurrency.currency": invoice.currency_id, "txnCurrency.totalEntered": money(-invoice.amount_with_retainage),
            "txnCurrency.totalDue": money(-invoice.balance), "txnType": "creditMemo",
            "audit.createdDateTime": moment(invoice.created_at),
            "audit.modifiedDateTime": changed(invoice.created_at, invoice.last_modified_at),
        })
    })
}

fn adjustment_line<'a>(invoice: &'a ErpInvoice, line: &'a ErpInvoiceLine) -> Row<'a> {
    let key = record_number("ar-adjustment-line", &format!("{}|{}", invoice.reference_nbr, line.line_nbr));
    Row::new(key.clone(), move || {
        json!({
            "key": key, "id": key, "arAdjustment.key": invoice.reference_nbr, "lineNumber": line.line_nbr.to_string(),
            "glAccount.id": line.account, "txnCurrency.amount": money(-line.amount), "memo": line.description,
            "dimensions.project.id": project(invoice), "dimensions.customer.id": invoice.customer,
            "audit.createdDateTime": moment(invoice.created_at),
            "audit.modifiedDateTime": moment(invoice.last_modified_at),
        })
    })
}

fn payment(payment: &ErpPayment) -> Row<'_> {
    Row::new(payment.reference_nbr.clone(), move || {
        let state = match payment.status {
            "Voided" => "voided",
            "Open" | "Closed" => "posted",
            _ => "draft",
        };
        json!({
            "key": payment.reference_nbr, "id": payment.reference_nbr, "documentNumber": payment.payment_ref,
            "paymentMethod": "eft", "state": state, "recordType": "rp", "customer.id": payment.customer_id,
            "paidDate": day(payment.application_date), "paymentSummary.receiptDate": day(payment.application_date),
            "txnCurrency.currency": payment.currency_id, "txnCurrency.totalAmount": money(payment.payment_amount),
            "baseCurrency.currency": "USD", "baseCurrency.totalAmount": money(payment.payment_amount),
            "audit.createdDateTime": moment(payment.created_at),
            "audit.modifiedDateTime": changed(payment.created_at, payment.last_modified_at),
        })
    })
}

fn detail<'a>(payment: &'a ErpPayment, line: &'a ErpPaymentHistory) -> Row<'a> {
    let key = record_number("ar-payment-detail", &format!("{}|{}", payment.reference_nbr, line.adjusted_ref_nbr));
    Row::new(key.clone(), move || {
        json!({
            "key": key, "id": key, "arPayment.key": payment.reference_nbr, "arPayment.id": payment.reference_nbr,
            "arInvoice.key": line.adjusted_ref_nbr, "arInvoice.id": line.adjusted_ref_nbr, "paymentDate": day(line.date),
            "txnCurrency.currency": payment.currency_id, "txnCurrency.paymentAmount": money(line.amount_paid),
            "audit.createdDateTime": moment(payment.created_at),
            "audit.modifiedDateTime": moment(payment.last_modified_at),
        })
    })
}

/// A release makes a new invoice of what an earlier one retained.
fn release_line(invoice: &ErpInvoice) -> Option<Row<'_>> {
    let original = invoice.orig_ref_nbr.as_ref().filter(|_| invoice.is_retainage_document)?;
    let key = record_number("ar-retainage-release-line", &invoice.reference_nbr);
    Some(Row::new(key.clone(), move || {
        json!({
            "key": key, "id": key, "releasedInvoice.key": invoice.reference_nbr,
            "releasedInvoice.id": invoice.reference_nbr, "retainageInvoice.key": original,
            "retainageInvoice.id": original, "txnAmountReleased": money(invoice.amount),
            "projectContract.id": project(invoice),
        })
    }))
}
