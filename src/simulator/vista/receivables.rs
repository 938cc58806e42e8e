//! Owner bills, receivables with what was received on them, and released retainage.

use std::collections::BTreeSet;

use serde_json::json;

use super::master::revenue;
use super::{COMPANY, GROUP, NO_PROJECT, account, contract, day, item, money, month, number, party, row_id};
use crate::firm::model::{AcumaticaDatabase, Cents, ErpInvoice, ErpPayment, ErpProForma};
use crate::intacct::record_number;
use crate::sql::SqlSchema;

/// What Vista calls an invoice: the owner bill that it comes from, or the receivable.
pub(super) fn key(books: &AcumaticaDatabase, invoice: &ErpInvoice) -> Option<String> {
    if let Some(form) = form_of(books, invoice) {
        return Some(format!("JB|{}", record_number("bJBIN", &form.ref_nbr)));
    }
    if is_posted(invoice) {
        return Some(format!("AR|{}", record_number("bARTH", &name(invoice))));
    }
    (invoice.status != "Voided").then(|| format!("JB|{}", record_number("bJBIN", &name(invoice))))
}

fn name(invoice: &ErpInvoice) -> String {
    format!("{}|{}", invoice.doc_type, invoice.reference_nbr)
}

fn is_posted(invoice: &ErpInvoice) -> bool {
    matches!(invoice.status, "Open" | "Closed")
}

fn form_of<'a>(books: &'a AcumaticaDatabase, invoice: &ErpInvoice) -> Option<&'a ErpProForma> {
    let of_invoice = |form: &&ErpProForma| {
        form.ar_ref_nbr.as_ref() == Some(&invoice.reference_nbr) && form.ar_doc_type == Some(invoice.doc_type)
    };
    books.pro_formas.values().find(of_invoice)
}

/// The transaction's number within its month.
fn transaction(invoice: &ErpInvoice) -> i64 {
    number(&invoice.reference_nbr) + if invoice.doc_type == "Invoice" { 0 } else { 1_000_000 }
}

fn receipt_transaction(payment: &ErpPayment) -> i64 {
    number(&payment.reference_nbr) + 2_000_000
}

/// All tables of receivables and job billing.
pub(super) fn write(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    for form in books.pro_formas.values() {
        write_bill(tables, books, form);
    }
    for invoice in books.invoices.values() {
        match invoice.status {
            "Open" | "Closed" => write_invoice(tables, books, invoice),
            "Voided" => {}
            _ if form_of(books, invoice).is_none() => write_draft(tables, invoice),
            _ => {}
        }
    }
    for payment in books.payments.values().filter(|one| one.doc_type == "Payment" && one.status != "Voided") {
        write_receipt(tables, books, payment);
    }
}

/// A credit takes away.
fn sign(invoice: &ErpInvoice, amount: Cents) -> Cents {
    if invoice.doc_type == "Credit Memo" { -amount } else { amount }
}

fn project(invoice: &ErpInvoice) -> Option<&str> {
    invoice.project.as_deref().filter(|project| *project != NO_PROJECT)
}

/// The invoice that an owner bill became, if it was interfaced.
fn invoice_of<'a>(books: &'a AcumaticaDatabase, form: &ErpProForma) -> Option<&'a ErpInvoice> {
    let key = format!("{}|{}", form.ar_doc_type.unwrap_or_default(), form.ar_ref_nbr.as_deref()?);
    books.invoices.get(&key).filter(|invoice| is_posted(invoice))
}

/// The forms of the same project before this one.
fn before<'a>(books: &'a AcumaticaDatabase, form: &'a ErpProForma) -> impl Iterator<Item = &'a ErpProForma> {
    books.pro_formas.values().filter(move |one| {
        one.project_id == form.project_id && (&one.project_nbr, &one.ref_nbr) < (&form.project_nbr, &form.ref_nbr)
    })
}

fn write_bill(tables: &mut SqlSchema, books: &AcumaticaDatabase, form: &ErpProForma) {
    let invoice = invoice_of(books, form);
    let mth = month(&form.post_period);
    let bill = number(&form.ref_nbr);
    let billed: Cents = before(books, form).map(|one| one.invoice_total).sum();
    let retained: Cents = before(books, form).map(|one| one.retainage_total).sum();
    let original: Cents = revenue(books, &form.project_id).map(|row| row.original_budgeted_amount).sum();
    let is_before = |date: chrono::NaiveDate| date <= form.invoice_date;
    let orders = books.change_orders.values().filter(|one| one.project_id == form.project_id && one.status == "Closed");
    let changed: Cents =
        orders.filter(|one| is_before(one.change_date)).map(|one| one.revenue_budget_change_total).sum();
    let stored: Cents = form.progress_billing.iter().map(|line| line.stored_material).sum();
    tables.insert(
        "bJBIN",
        &json!({
            "JBCo": COMPANY, "BillMonth": mth, "BillNumber": bill, "Invoice": form.external_ref_nbr, "Contract": contract(&form.project_id),
            "CustGroup": GROUP, "Customer": party(&form.customer_id), "InvStatus": if invoice.is_some() { "I" } else { "A" },
            "Application": number(&form.project_nbr), "RecType": 1, "InvDate": day(form.invoice_date),
            "DueDate": day(invoice.map_or(form.invoice_date, |one| one.due_date)), "ToDate": day(form.invoice_date),
            "ARTrans": invoice.map(transaction), "InvTotal": money(form.invoice_total), "InvRetg": money(form.retainage_total),
            "InvTax": money(form.tax_total), "InvDue": money(form.amount_due), "PrevAmt": money(billed), "PrevRetg": money(retained),
            "PrevDue": money(billed - retained), "ARGLCo": COMPANY, "JCGLCo": COMPANY, "CurrContract": money(original + changed),
            "PrevWC": money(billed), "WC": money(form.invoice_total - stored), "SM": money(stored), "WCRetg": money(form.retainage_total),
            "PrevWCRetg": money(retained), "ChgOrderAmt": money(changed), "BillType": "P", "CreatedBy": "billing",
            "KeyID": row_id("bJBIN", &form.ref_nbr),
        }),
    );
    let mut items = BTreeSet::new();
    for (place, line) in form.progress_billing.iter().enumerate() {
        let own = item(&line.cost_code);
        let item = if items.insert(own.clone()) { own } else { item(&format!("9{place:04}")) };
        tables.insert(
            "bJBIT",
            &json!({
                "JBCo": COMPANY, "BillMonth": mth, "BillNumber": bill, "Item": item, "Description": line.description,
                "AmtBilled": money(line.amount_to_invoice), "RetgBilled": money(line.retainage_amount),
                "AmountDue": money(line.amount_to_invoice - line.retainage_amount), "PrevAmt": money(line.previously_invoiced),
                "CurrContract": money(line.revised_budgeted_amount), "PrevWC": money(line.previously_invoiced), "WC": money(line.amount),
                "SM": money(line.stored_material), "WCRetg": money(line.retainage_amount), "Contract": contract(&form.project_id),
                "KeyID": row_id("bJBIT", &format!("{}|{place}", form.ref_nbr)),
            }),
        );
    }
}

/// An owner bill that is not interfaced yet.
fn write_draft(tables: &mut SqlSchema, invoice: &ErpInvoice) {
    let amount = sign(invoice, invoice.amount_with_retainage);
    tables.insert(
        "bJBIN",
        &json!({
            "JBCo": COMPANY, "BillMonth": month(&invoice.post_period), "BillNumber": transaction(invoice) + 5_000_000,
            "Invoice": invoice.customer_order.as_ref().unwrap_or(&invoice.reference_nbr), "Contract": project(invoice).map(contract),
            "CustGroup": GROUP, "Customer": party(&invoice.customer), "InvStatus": "A", "RecType": 1, "InvDate": day(invoice.date),
            "DueDate": day(invoice.due_date), "InvTotal": money(amount), "InvRetg": money(sign(invoice, invoice.retainage_total)),
            "InvTax": money(invoice.tax_total), "InvDue": money(sign(invoice, invoice.amount)), "ARGLCo": COMPANY, "JCGLCo": COMPANY,
            "BillType": "P", "KeyID": row_id("bJBIN", &name(invoice)),
        }),
    );
}

/// Whose balance a document moves: a release moves that of the invoice that was retained on.
fn applied<'a>(books: &'a AcumaticaDatabase, invoice: &'a ErpInvoice) -> &'a ErpInvoice {
    let original = invoice.orig_ref_nbr.as_ref().filter(|_| invoice.is_retainage_document);
    let found = original.and_then(|number| books.invoices.get(&format!("Invoice|{number}")));
    found.filter(|one| is_posted(one)).unwrap_or(invoice)
}

fn write_invoice(tables: &mut SqlSchema, books: &AcumaticaDatabase, invoice: &ErpInvoice) {
    let (mth, trans) = (month(&invoice.post_period), transaction(invoice));
    let target = applied(books, invoice);
    let is_release = invoice.is_retainage_document && target.reference_nbr != invoice.reference_nbr;
    let kind = match (is_release, invoice.doc_type) {
        (true, _) => "R",
        (_, "Credit Memo") => "C",
        (_, "Debit Memo") => "A",
        _ => "I",
    };
    let has_form = form_of(books, invoice).is_some();
    let paid: Cents =
        invoice.applications.iter().filter(|one| one.doc_type == "Payment").map(|one| one.amount_paid).sum();
    let gross = sign(invoice, invoice.amount_with_retainage + invoice.tax_total);
    tables.insert(
        "bARTH",
        &json!({
            "ARCo": COMPANY, "Mth": mth, "ARTrans": trans, "ARTransType": kind, "CustGroup": GROUP, "Customer": party(&invoice.customer),
            "RecType": 1, "JCCo": project(invoice).map(|_| COMPANY), "Contract": project(invoice).map(contract),
            "Invoice": invoice.customer_order.as_ref().unwrap_or(&invoice.reference_nbr), "Source": if has_form { "JB" } else { "AR Invoice" },
            "TransDate": day(invoice.date), "DueDate": day(invoice.due_date), "Description": invoice.description, "PayTerms": "30D",
            "AppliedMth": is_release.then(|| month(&target.post_period)), "AppliedTrans": is_release.then(|| transaction(target)),
            "Invoiced": money(gross), "Paid": money(paid), "Retainage": money(sign(invoice, invoice.retainage_total)),
            "AmountDue": money(sign(invoice, invoice.balance)), "BatchId": trans, "KeyID": row_id("bARTH", &name(invoice)),
        }),
    );
    for (place, line) in invoice.details.iter().enumerate() {
        let tax = if place == 0 { invoice.tax_total } else { Cents::ZERO };
        let (amount, retained) = if is_release {
            (Cents::ZERO, -line.amount)
        } else {
            (sign(invoice, line.amount + tax), sign(invoice, line.retainage_amount))
        };
        tables.insert(
            "bARTL",
            &json!({
                "ARCo": COMPANY, "Mth": mth, "ARTrans": trans, "ARLine": line.line_nbr, "RecType": 1,
                "LineType": if project(invoice).is_some() { "C" } else { "O" }, "Description": line.description, "GLCo": COMPANY,
                "GLAcct": account(&line.account), "Amount": money(amount), "TaxAmount": money(sign(invoice, tax)),
                "Retainage": money(retained), "ApplyMth": month(&target.post_period), "ApplyTrans": transaction(target),
                "ApplyLine": if is_release { 1 } else { line.line_nbr }, "JCCo": project(invoice).map(|_| COMPANY),
                "Contract": project(invoice).map(contract),
                "Item": project(invoice).map(|_| item(line.cost_code.as_deref().unwrap_or_default())),
                "KeyID": row_id("bARTL", &format!("{}|{}", name(invoice), line.line_nbr)),
            }),
        );
    }
}

fn write_receipt(tables: &mut SqlSchema, books: &AcumaticaDatabase, payment: &ErpPayment) {
    let (mth, trans) = (payment.application_date.format("%Y-%m-01").to_string(), receipt_transaction(payment));
    tables.insert(
        "bARTH",
        &json!({
            "ARCo": COMPANY, "Mth": mth, "ARTrans": trans, "ARTransType": "P", "CustGroup": GROUP, "Customer": party(&payment.customer_id),
            "CheckNo": payment.payment_ref, "Source": "AR Receipt", "TransDate": day(payment.application_date),
            "CheckDate": day(payment.application_date), "CreditAmt": money(payment.payment_amount), "BatchId": trans,
            "KeyID": row_id("bARTH", &format!("payment {}", payment.reference_nbr)),
        }),
    );
    for (place, line) in payment.application_history.iter().enumerate() {
        let Some(invoice) = books.invoices.get(&format!("{}|{}", line.adjusted_doc_type, line.adjusted_ref_nbr)) else {
            continue;
        };
        let target = applied(books, invoice);
        tables.insert(
            "bARTL",
            &json!({
                "ARCo": COMPANY, "Mth": mth, "ARTrans": trans, "ARLine": place + 1, "RecType": 1, "LineType": "O", "GLCo": COMPANY,
                "Amount": money(-line.amount_paid), "ApplyMth": month(&target.post_period), "ApplyTrans": transaction(target),
                "ApplyLine": 1, "KeyID": row_id("bARTL", &format!("payment {}|{place}", payment.reference_nbr)),
            }),
        );
    }
}
