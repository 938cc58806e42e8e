//! Project contracts, project change orders and the AIA billing of contracts.

use serde_json::{Value, json};

use super::{Row, changed, day, day_or_null, moment, money, record_number};
use crate::firm::model::{AcumaticaDatabase, Cents, ErpBudget, ErpChangeOrder, ErpInvoice, ErpProForma, ErpProject};

/// The records of an object of this file.
pub(super) fn rows<'a>(database: &'a AcumaticaDatabase, name: &str) -> Option<Vec<Row<'a>>> {
    Some(match name {
        "project-contract" => {
            let projects = database.projects.values().filter(|project| project.customer.is_some());
            projects.filter_map(|project| contract(database, project)).collect()
        }
        "project-change-order" => {
            // What changes cost alone is a change request, and nothing that the owner sees.
            let of_owner = |order: &&ErpChangeOrder| {
                !order.revenue_budget.is_empty() || (order.commitments.is_empty() && order.cost_budget.is_empty())
            };
            database.change_orders.values().filter(of_owner).map(change_order).collect()
        }
        "change-request" => {
            let with_cost = |order: &&ErpChangeOrder| !order.cost_budget.is_empty();
            database.change_orders.values().filter(with_cost).map(change_request).collect()
        }
        "change-request-line" => Vec::new(),
        "project-contract-billing-invoice-summary" => {
            billings(database).into_iter().map(|billing| summary(database, billing)).collect()
        }
        "project-contract-billing-invoice-detail" => billings(database).into_iter().flat_map(details).collect(),
        _ => return None,
    })
}

fn revenue<'a>(database: &'a AcumaticaDatabase, project: &'a str) -> impl Iterator<Item = &'a ErpBudget> {
    database.project_budgets.values().filter(move |row| row.budget_type == "Income" && row.project_id == project)
}

/// A contract, where the project has a price.
fn contract<'a>(database: &'a AcumaticaDatabase, project: &'a ErpProject) -> Option<Row<'a>> {
    revenue(database, &project.project_id).next()?;
    let key = record_number("project-contract", &project.project_id);
    Some(Row::new(key.clone(), move || {
        let sum = |of: fn(&ErpBudget) -> Cents| revenue(database, &project.project_id).map(of).sum::<Cents>();
        let original = sum(|row| row.original_budgeted_amount);
        let approved = sum(|row| row.budgeted_co_amount);
        let revision = sum(|row| row.revised_budgeted_amount) - original - approved;
        let of_project = |invoice: &&ErpInvoice| {
            invoice.project.as_ref() == Some(&project.project_id)
                && matches!(invoice.status, "Open" | "Closed")
                && invoice.doc_type == "Invoice"
                && !invoice.is_retainage_document
        };
        let billed: Cents = database.invoices.values().filter(of_project).map(|one| one.amount_with_retainage).sum();
        json!({
            "key": key, "id": project.project_id, "name": format!("{} prime contract", project.description),
            "project.id": project.project_id, "customer.id": project.customer, "status": "active",
            "contractDate": day_or_null(project.start_date), "isBillable": true,
            "summary.originalPrice": money(original), "summary.approvedChangePrice": money(approved),
            "summary.revisionPrice": money(revision), "summary.pendingChangePrice": money(Cents::ZERO),
            "summary.totalPrice": money(original + approved + revision), "billing.billedPrice": money(billed),
            "externalReference.referenceNumber": Value::Null, "location.id": "100",
            "audit.createdDateTime": moment(project.created_at),
            "audit.modifiedDateTime": changed(project.created_at, project.last_modified_at),
        })
    }))
}

fn change_order(order: &ErpChangeOrder) -> Row<'_> {
    let key = record_number("project-change-order", &order.ref_nbr);
    Row::new(key.clone(), move || {
        let (state, status) = match order.status {
            "Closed" => ("posted", "Approved"),
            "Rejected" => ("draft", "Rejected"),
            "Canceled" => ("draft", "Void"),
            _ => ("draft", "Pending"),
        };
        json!({
            "key": key, "id": order.ref_nbr, "description": order.description, "project.id": order.project_id,
            "customer.id": order.customer, "state": state, "changeRequestStatus.id": status,
            "projectChangeOrderDate": day(order.change_date), "projectContract.id": order.project_id,
            "projectContract.key": record_number("project-contract", &order.project_id),
            "externalReference.referenceNumber": order.external_ref_nbr,
            "internalReference.approvedOnDate": day_or_null(order.approval_date),
            "internalReference.approvedBy.name": order.approval_date.map(|_| "Maria Alvarez"),
            "schedule.scheduleImpact": order.contract_time_change_days.to_string(),
            "totalPrice": money(order.revenue_budget_change_total), "totalCost": money(order.cost_budget_change_total),
            "audit.createdDateTime": moment(order.created_at),
            "audit.modifiedDateTime": changed(order.created_at, order.last_modified_at),
        })
    })
}

fn change_request(order: &ErpChangeOrder) -> Row<'_> {
    let key = record_number("change-request", &order.ref_nbr);
    Row::new(key.clone(), move || {
        json!({
            "key": key, "id": format!("CR-{}", order.ref_nbr), "description": order.description,
            "project.id": order.project_id, "changeRequestDate": day(order.change_date),
            "changeRequestState": if order.status == "Closed" { "posted" } else { "draft" },
            "totalCost": money(order.cost_budget_change_total), "totalPrice": money(order.revenue_budget_change_total),
            "projectChangeOrder.id": order.ref_nbr, "audit.createdDateTime": moment(order.created_at),
            "audit.modifiedDateTime": changed(order.created_at, order.last_modified_at),
        })
    })
}

/// An application of a contract and what was billed before it.
#[derive(Clone, Copy)]
struct Billing<'a> {
    form: &'a ErpProForma,
    invoice: &'a ErpInvoice,
    before: Cents,
    retained_before: Cents,
}

fn billings(database: &AcumaticaDatabase) -> Vec<Billing<'_>> {
    let mut forms: Vec<&ErpProForma> = database.pro_formas.values().filter(|form| form.status == "Closed").collect();
    forms.sort_by_key(|form| (form.project_id.as_str(), form.project_nbr.as_str(), form.ref_nbr.as_str()));
    let mut billings: Vec<Billing<'_>> = Vec::new();
    for form in forms {
        let key = form.ar_ref_nbr.as_ref().map(|number| format!("{}|{number}", form.ar_doc_type.unwrap_or_default()));
        let Some(invoice) = key.and_then(|key| database.invoices.get(&key)) else { continue };
        let before = billings.last().filter(|last| last.form.project_id == form.project_id);
        let done = before
            .map(|last| (last.before + last.form.invoice_total, last.retained_before + last.form.retainage_total));
        let (before, retained_before) = done.unwrap_or_default();
        billings.push(Billing { form, invoice, before, retained_before });
    }
    billings
}

fn summary<'a>(database: &'a AcumaticaDatabase, billing: Billing<'a>) -> Row<'a> {
    let Billing { form, invoice, before, retained_before } = billing;
    let key = record_number("billing-summary", &form.ref_nbr);
    Row::new(key.clone(), move || {
        let original: Cents = revenue(database, &form.project_id).map(|row| row.original_budgeted_amount).sum();
        // An application stays as it was printed: later changes are not in it.
        let is_before = |order: &&ErpChangeOrder| {
            order.project_id == form.project_id && order.status == "Closed" && order.change_date <= form.invoice_date
        };
        let before_it = database.change_orders.values().filter(is_before);
        let changes: Cents = before_it.map(|order| order.revenue_budget_change_total).sum();
        let done = before + form.invoice_total;
        let held = retained_before + form.retainage_total;
        let (revised, earned, previous) = (original + changes, done - held, before - retained_before);
        json!({
            "key": key, "id": key, "billingApplicationNumber": form.project_nbr.trim_start_matches('0'),
            "billingThroughDate": day(form.invoice_date), "accountsReceivableInvoice.key": invoice.reference_nbr,
            "accountsReceivableInvoice.id": invoice.reference_nbr,
            "accountsReceivableInvoice.number": invoice.customer_order, "projectContract.id": form.project_id,
            "projectContract.key": record_number("project-contract", &form.project_id), "project.id": form.project_id,
            "billingTotals.originalContractAmount": money(original), "billingTotals.netApprovedChangesAmount": money(changes),
            "billingTotals.revisedContractAmount": money(revised), "billingTotals.completedToDateAmount": money(done),
            "billingTotals.completedFromPriorApplicationAmount": money(before),
            "billingTotals.retainage.amountRetained": money(form.retainage_total),
            "billingTotals.retainage.heldToDateAmount": money(held),
            "billingTotals.retainage.balanceToDateAmount": money(held),
            "billingTotals.retainage.previousBalanceAmount": money(retained_before),
            "billingTotals.retainage.totalEarnedLessAmount": money(earned),
            "billingTotals.lessPreviousBillingAmount": money(previous),
            "billingTotals.currentDueAmount": money(earned - previous),
            "billingTotals.balanceToFinishAmount": money(revised - earned), "billingTotals.taxAmount": money(Cents::ZERO),
            "audit.createdDateTime": moment(form.created_at), "audit.modifiedDateTime": moment(form.last_modified_at),
        })
    })
}

fn details(billing: Billing<'_>) -> Vec<Row<'_>> {
    let Billing { form, invoice, .. } = billing;
    let lines = form.progress_billing.iter().enumerate().map(|(place, line)| {
        let key = record_number("billing-detail", &format!("{}|{place}", form.ref_nbr));
        Row::new(key.clone(), move || {
            let done = line.previously_invoiced + line.amount_to_invoice;
            json!({
                "key": key, "id": key, "accountsReceivableInvoice.key": invoice.reference_nbr,
                "projectContractBillingInvoiceSummary.key": record_number("billing-summary", &form.ref_nbr),
                "projectContract.id": form.project_id, "project.id": form.project_id, "task.id": line.cost_code,
                "projectContractLine.id": format!("{}-{}", form.project_id, place + 1),
                "projectContractLine.name": line.description,
                "billingTotals.originalContractAmount": money(line.revised_budgeted_amount),
                "billingTotals.netApprovedChangesAmount": money(Cents::ZERO),
                "billingTotals.revisedContractAmount": money(line.revised_budgeted_amount),
                "billingTotals.completedFromPriorApplicationAmount": money(line.previously_invoiced),
                "billingTotals.completedThisPeriodAmount": money(line.amount),
                "billingTotals.storedMaterialsAmount": money(line.stored_material),
                "billingTotals.completedToDateAmount": money(done),
                "billingTotals.completedToDatePercent": line.total_completed.to_string(),
                "billingTotals.balanceToFinishAmount": money(line.revised_budgeted_amount - done),
                "billingTotals.billedAmount": money(line.amount_to_invoice),
                "billingTotals.retainage.amountRetained": money(line.retainage_amount),
                "billingTotals.retainage.percentage": line.retainage.to_string(),
                "audit.createdDateTime": moment(form.created_at),
                "audit.modifiedDateTime": moment(form.last_modified_at),
            })
        })
    });
    lines.collect()
}
