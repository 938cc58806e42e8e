//! Purchasing: subcontracts, purchase orders and their change orders as documents, and the totals of primary documents.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Row, changed, day, day_or_null, long_money, moment, money, record_number};
use crate::firm::model::{
    AcumaticaDatabase, Cents, ErpBill, ErpChangeOrder, ErpChangeOrderCommitment, ErpCommitment, ErpCommitmentLine,
};

/// The records of an object of this file.
pub(super) fn rows<'a>(database: &'a AcumaticaDatabase, object: &str) -> Option<Vec<Row<'a>>> {
    // What was entered by mistake is deleted: there is no word for it.
    let all = || database.subcontracts.values().chain(database.purchase_orders.values());
    let orders = || all().filter(|order| order.status != "Canceled");
    Some(match object {
        "purchasing/document" => {
            let changes = changes(database).into_iter().map(change_document);
            let totals = totals(database);
            let orders = orders().map(|order| document(order, totals.get(&number(order)).copied().unwrap_or_default()));
            orders.chain(changes).collect()
        }
        "purchasing/document-line" => {
            let lines =
                orders().flat_map(|order| order.details.iter().map(move |line| document_line(database, order, line)));
            let changes = changes(database).into_iter().flat_map(|change| change_lines(database, change));
            lines.chain(changes).collect()
        }
        "construction/primary-document-summary" => {
            let totals = totals(database);
            orders().map(|order| summary(order, totals.get(&number(order)).copied().unwrap_or_default())).collect()
        }
        "construction/primary-document-detail" => {
            orders().flat_map(|order| order.details.iter().map(move |line| detail(database, order, line))).collect()
        }
        _ => return None,
    })
}

/// The name of a document's transaction definition.
fn definition(order_type: &str) -> &'static str {
    if order_type == "Subcontract" { "PC Subcontracts" } else { "PC Purchase Orders" }
}

fn change_definition(order_type: &str) -> &'static str {
    if order_type == "Subcontract" { "PC Subcontract Change Orders" } else { "PC Purchase Order Change Orders" }
}

/// The record number of an order's document.
pub(super) fn order_key(order_type: &str, order_nbr: &str) -> String {
    record_number("purchasing/document", &format!("{}-{order_nbr}", definition(order_type)))
}

fn number(order: &ErpCommitment) -> String {
    order_key(order.order_type, &order.order_nbr)
}

fn line_key(order: &ErpCommitment, line: i32) -> String {
    record_number("purchasing/document-line", &format!("{}|{line}", number(order)))
}

/// What changed an order, and what was billed and paid on it.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    posted: Cents,
    draft: Cents,
    invoiced: Cents,
    retained: Cents,
    released: Cents,
    paid: Cents,
}

/// Totals by the order's record number.
fn totals(database: &AcumaticaDatabase) -> BTreeMap<String, Totals> {
    let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
    for change in database.change_orders.values() {
        for line in &change.commitments {
            let of_order = totals.entry(order_key(line.po_type, &line.po_nbr)).or_default();
            match change.status {
                "Closed" => of_order.posted += line.amount,
                "On Hold" | "Pending Approval" | "Open" => of_order.draft += line.amount,
                _ => {}
            }
        }
    }
    for bill in database.bills.values().filter(|bill| super::payables::is_posted(bill)) {
        let Some(order) = primary_document(bill) else { continue };
        let of_order = totals.entry(order).or_default();
        of_order.invoiced += super::payables::sign(bill, bill.amount_with_retainage);
        of_order.retained += super::payables::sign(bill, bill.retainage_total);
        of_order.released += bill.retainage_released;
        let paid = bill.applications.iter().filter(|one| one.doc_type.ends_with("Check"));
        of_order.paid += paid.map(|one| one.amount_paid).sum();
    }
    totals
}

/// The one order that a bill's lines name.
pub(super) fn primary_document(bill: &ErpBill) -> Option<String> {
    let mut orders = bill.details.iter().filter_map(|line| Some((line.po_order_type?, line.po_order_nbr.as_ref()?)));
    let first = orders.next()?;
    orders.all(|other| other == first).then(|| order_key(first.0, first.1))
}

/// An order that waits to be billed is `pending`.
fn state(order: &ErpCommitment, invoiced: Cents) -> &'static str {
    match order.status {
        "On Hold" => "draft",
        "Pending Approval" => "submitted",
        "Rejected" => "declined",
        "Completed" => "converted",
        "Closed" => "closed",
        _ if invoiced.is_zero() => "pending",
        _ => "partiallyConverted",
    }
}

fn document(order: &ErpCommitment, totals: Totals) -> Row<'_> {
    let key = number(order);
    Row::new(key.clone(), move || {
        let definition = definition(order.order_type);
        let total = order.line_total;
        json!({
            "key": key, "id": format!("{definition}-{}", order.order_nbr), "documentNumber": order.order_nbr,
            "documentId": format!("{definition}-{}", order.order_nbr), "documentType": definition,
            "txnDefinition.id": definition, "txnDefinition.key": record_number("definition", definition),
            "state": state(order, totals.invoiced), "txnDate": day(order.date), "vendor.id": order.vendor_id,
            "project.id": order.details.first().and_then(|line| project(&line.project)), "referenceNumber": order.vendor_ref,
            "externalReference.referenceNumber": order.vendor_ref, "memo": order.description, "txnCurrency": "USD",
            "baseCurrency": "USD", "total": money(total), "totalInTxnCurrency": money(total),
            "subtotal": money(order.line_total), "originalAmount": money(order.line_total - totals.posted),
            "postedChangesTotal": money(totals.posted), "draftChangesTotal": money(totals.draft),
            "retainagePercent": order.apply_retainage.then(|| order.retainage_pct.to_string()),
            "revision.revisedTotal": money(total), "revision.isDocumentChanged": !totals.posted.is_zero(),
            "schedule.executedOnDate": day(order.date), "paymentTerm.id": order.terms,
            "audit.createdDateTime": moment(order.created_at),
            "audit.modifiedDateTime": changed(order.created_at, order.last_modified_at),
        })
    })
}

fn document_line<'a>(
    database: &'a AcumaticaDatabase,
    order: &'a ErpCommitment,
    line: &'a ErpCommitmentLine,
) -> Row<'a> {
    let key = line_key(order, line.line_nbr);
    Row::new(key.clone(), move || {
        let definition = definition(order.order_type);
        let is_added = added_lines(database, order).any(|change| change.po_line_nbr == line.line_nbr);
        json!({
            "key": key, "id": key, "lineNumber": line.line_nbr - 1, "documentHeader.key": number(order),
            "documentHeader.id": format!("{definition}-{}", order.order_nbr), "documentType": definition,
            "item.id": "SUBCON", "dimensions.item.id": "SUBCON", "lineDescription": line.line_description,
            "dimensions.project.id": project(&line.project), "dimensions.task.id": line.cost_code,
            "dimensions.costType.id": cost_type(database, &line.account), "dimensions.vendor.id": order.vendor_id,
            "quantity": "1.0000000000", "unitPrice": money(line.unit_cost), "price": money(line.extended_cost),
            "extendedPriceInTxnCurrency": money(line.extended_cost), "txnCurrency": "USD",
            "retainage.percentage": line.retainage_pct.to_string(),
            "retainage.txnAmountRetained": money(line.retainage_amount), "addedByChangeDocument": is_added,
            "audit.createdDateTime": moment(order.created_at), "audit.modifiedDateTime": moment(order.last_modified_at),
        })
    })
}

/// A line's project; what belongs to none has none.
fn project(name: &str) -> Option<&str> {
    (name != "X").then_some(name)
}

fn added_lines<'a>(
    database: &'a AcumaticaDatabase,
    order: &'a ErpCommitment,
) -> impl Iterator<Item = &'a ErpChangeOrderCommitment> {
    let lines = database
        .change_orders
        .values()
        .filter(|change| change.status == "Closed")
        .flat_map(|change| &change.commitments);
    lines.filter(move |line| line.po_type == order.order_type && line.po_nbr == order.order_nbr)
}

/// The cost type that an account takes.
pub(super) fn cost_type<'a>(database: &'a AcumaticaDatabase, account: &str) -> Option<&'a str> {
    let account = database.accounts.get(account)?;
    account.account_group.as_deref().filter(|group| *group != "REV")
}

fn summary(order: &ErpCommitment, totals: Totals) -> Row<'_> {
    let key = record_number("primary-document-summary", &number(order));
    Row::new(key.clone(), move || {
        let definition = definition(order.order_type);
        let (revised, net) = (order.line_total, totals.invoiced - totals.retained);
        let held = totals.retained - totals.released;
        json!({
            "key": key, "id": key, "primaryDocument.key": number(order),
            "primaryDocument.id": format!("{definition}-{}", order.order_nbr),
            "primaryDocument.documentId": format!("{definition}-{}", order.order_nbr),
            "primaryDocument.documentNumber": order.order_nbr, "primaryDocument.txnDate": day(order.date),
            "primaryDocument.state": state(order, totals.invoiced), "primaryDocument.txnCurrency": "USD",
            "project.id": order.details.first().and_then(|line| project(&line.project)), "txnDefinition.id": definition,
            "documentTotals.txnTotals.originalAmount": long_money(revised - totals.posted),
            "documentTotals.txnTotals.pendingChangesAmount": long_money(totals.draft),
            "documentTotals.txnTotals.postedChangesAmount": long_money(totals.posted),
            "documentTotals.txnTotals.revisedAmount": long_money(revised),
            "invoiceTotals.txnTotals.totalAmountInvoiced": long_money(totals.invoiced),
            "invoiceTotals.txnTotals.totalAmountPaid": long_money(totals.paid),
            "invoiceTotals.txnTotals.invoiceBalanceAmount": long_money(totals.invoiced - totals.paid),
            "invoiceTotals.txnTotals.remainingToInvoiceAmount": long_money(revised - totals.invoiced),
            "retainageTotals.txnTotals.heldAmount": long_money(totals.retained),
            "retainageTotals.txnTotals.releasedAmount": long_money(totals.released),
            "retainageTotals.txnTotals.heldBalanceAmount": long_money(held),
            "retainageTotals.txnTotals.netAmountInvoiced": long_money(net),
        })
    })
}

fn detail<'a>(database: &'a AcumaticaDatabase, order: &'a ErpCommitment, line: &'a ErpCommitmentLine) -> Row<'a> {
    let key = record_number("primary-document-detail", &line_key(order, line.line_nbr));
    Row::new(key.clone(), move || {
        let definition = definition(order.order_type);
        let added: Cents =
            added_lines(database, order).filter(|one| one.po_line_nbr == line.line_nbr).map(|one| one.amount).sum();
        json!({
            "key": key, "id": key, "primaryDocument.key": number(order),
            "primaryDocument.id": format!("{definition}-{}", order.order_nbr),
            "primaryDocument.documentNumber": order.order_nbr, "primaryDocumentLine.key": line_key(order, line.line_nbr),
            "primaryDocumentLine.lineNumber": line.line_nbr - 1, "primaryDocumentLine.memo": line.line_description,
            "project.id": project(&line.project), "task.id": line.cost_code, "costType.id": cost_type(database, &line.account),
            "item.id": "SUBCON", "documentTotals.txnTotals.originalAmount": long_money(line.extended_cost - added),
            "documentTotals.txnTotals.postedChangesAmount": long_money(added),
            "documentTotals.txnTotals.pendingChangesAmount": long_money(Cents::ZERO),
            "documentTotals.txnTotals.revisedAmount": long_money(line.extended_cost),
        })
    })
}

/// A change document: what one change order does to one order.
#[derive(Clone, Copy)]
struct Change<'a> {
    order: &'a ErpChangeOrder,
    po_type: &'static str,
    po_nbr: &'a str,
    place: usize,
}

impl<'a> Change<'a> {
    /// Documents of one definition have a number each; the first part keeps the change order's own.
    fn id(&self) -> String {
        let part = if self.place == 0 { String::new() } else { format!("-{}", self.place + 1) };
        format!("{}-{}{part}", change_definition(self.po_type), self.order.ref_nbr)
    }

    fn key(&self) -> String {
        record_number("purchasing/document", &self.id())
    }

    fn lines(&self) -> impl Iterator<Item = &'a ErpChangeOrderCommitment> + use<'a> {
        let (po_type, po_nbr) = (self.po_type, self.po_nbr);
        self.order.commitments.iter().filter(move |line| line.po_type == po_type && line.po_nbr == po_nbr)
    }

    fn state(&self) -> &'static str {
        match self.order.status {
            "On Hold" => "draft",
            "Rejected" => "declined",
            "Closed" => "pending",
            _ => "submitted",
        }
    }
}

fn changes(database: &AcumaticaDatabase) -> Vec<Change<'_>> {
    let mut changes = Vec::new();
    for order in database.change_orders.values().filter(|order| order.status != "Canceled") {
        let mut orders: Vec<(&'static str, &str)> = Vec::new();
        for line in &order.commitments {
            if !orders.contains(&(line.po_type, line.po_nbr.as_str())) {
                orders.push((line.po_type, &line.po_nbr));
            }
        }
        let of_order = orders.into_iter().enumerate();
        changes.extend(of_order.map(|(place, (po_type, po_nbr))| Change { order, po_type, po_nbr, place }));
    }
    changes
}

fn change_document(change: Change<'_>) -> Row<'_> {
    Row::new(change.key(), move || {
        let order = change.order;
        let definition = change_definition(change.po_type);
        let total: Cents = change.lines().map(|line| line.amount).sum();
        json!({
            "key": change.key(), "id": change.id(), "documentNumber": order.ref_nbr, "documentId": change.id(),
            "documentType": definition, "txnDefinition.id": definition,
            "txnDefinition.key": record_number("definition", definition), "state": change.state(),
            "txnDate": day(order.change_date), "project.id": order.project_id, "memo": order.description,
            "vendor.id": change.lines().next().map(|line| &line.vendor), "relatedDocumentNumber": change.po_nbr,
            "externalReference.referenceNumber": order.external_ref_nbr,
            "internalReference.approvedOnDate": day_or_null(order.approval_date),
            "internalReference.approvedBy.name": order.approval_date.map(|_| "Maria Alvarez"),
            "txnCurrency": "USD", "baseCurrency": "USD", "total": money(total), "totalInTxnCurrency": money(total),
            "subtotal": money(total),
            "audit.createdDateTime": moment(order.created_at),
            "audit.modifiedDateTime": changed(order.created_at, order.last_modified_at),
        })
    })
}

fn change_lines<'a>(database: &'a AcumaticaDatabase, change: Change<'a>) -> Vec<Row<'a>> {
    let lines = change.lines().enumerate().map(|(place, line)| {
        let key = record_number("purchasing/document-line", &format!("{}|{place}", change.key()));
        let primary = format!("{}-{}", definition(change.po_type), change.po_nbr);
        let primary_key = order_key(change.po_type, change.po_nbr);
        let definition = change_definition(change.po_type);
        let record: Value = json!({
            "key": key, "id": key, "lineNumber": place, "documentHeader.key": change.key(),
            "documentHeader.id": change.id(), "documentType": definition, "item.id": "SUBCON",
            "dimensions.item.id": "SUBCON", "lineDescription": line.description,
            "dimensions.project.id": change.order.project_id, "dimensions.task.id": line.cost_code,
            "dimensions.costType.id": cost_type(database, &line.account), "dimensions.vendor.id": line.vendor,
            "quantity": "1.0000000000", "price": money(line.amount), "extendedPriceInTxnCurrency": money(line.amount),
            "txnCurrency": "USD", "primaryDocument.key": primary_key, "primaryDocument.id": primary,
            "primaryDocument.documentNumber": change.po_nbr, "relatedDocument.key": primary_key,
            "relatedDocument.id": primary, "relatedDocument.documentNumber": change.po_nbr,
            "addedByChangeDocument": false, "audit.createdDateTime": moment(change.order.created_at),
            "audit.modifiedDateTime": moment(change.order.last_modified_at),
        });
        Row::of(key, record)
    });
    lines.collect()
}
