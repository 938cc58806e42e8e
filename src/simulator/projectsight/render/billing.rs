//! Invoices of subcontractors and suppliers, and applications to the owner.

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::super::ids::{ProjectSightKind as Kind, guid};
use super::contracts::approved_for_budget;
use super::{Look, date, is_purchase_order, merged, money, percent};
use crate::firm::model::{
    AcumaticaDatabase, Cents, ContractPayment, G702, G703Line, PaymentApplication, ProcoreDatabase, ProcoreId,
    Requisition,
};
use crate::http::with;

fn live<'a>(look: &Look<'a>, project: ProcoreId) -> impl Iterator<Item = &'a Requisition> {
    look.pm.requisitions.values().filter(move |one| one.project_id == project && one.deleted_at.is_none())
}

fn is_on_order(look: &Look<'_>, one: &Requisition) -> bool {
    look.pm.commitments.get(&one.commitment_id).is_some_and(is_purchase_order)
}

/// Pay applications on contracts, with their items.
pub(in crate::projectsight) fn contract_invoices(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    live(look, project).filter(|one| !is_on_order(look, one)).map(|one| invoice_record(look, one)).collect()
}

fn period(look: &Look<'_>, id: Option<ProcoreId>, start: NaiveDate) -> Value {
    json!({
        "PeriodID": id.map(|id| look.id(Kind::Period, id)), "Period": start.format("%B %Y").to_string(),
    })
}

/// The printed form: `Chgs…` add up to `ChangesToDate`.
fn form(one: &G702) -> Value {
    let (added, deducted) = if one.net_change_by_change_orders < Cents::ZERO {
        (Cents::ZERO, one.net_change_by_change_orders)
    } else {
        (one.net_change_by_change_orders, Cents::ZERO)
    };
    json!({
        "ChgsAddPrevPeriod": money(added), "ChgsDdtPrevPeriod": money(deducted), "ChgsAddThisPeriod": 0.0,
        "ChgsDdtThisPeriod": 0.0, "ChangesToDate": money(one.net_change_by_change_orders),
        "RevisedContractValue": money(one.contract_sum_to_date),
        "TotalCompleted": money(one.total_completed_and_stored_to_date), "TotalRetainage": money(one.total_retainage),
        "TotalLessRetainage": money(one.total_earned_less_retainage),
        "PreviousTotalLessRetainage": money(one.less_previous_certificates_for_payment),
        "CurrentDue": money(one.current_payment_due),
        "BalanceToInvoice": money(one.balance_to_finish_including_retainage),
        "PercentComplete": percent(one.total_completed_and_stored_to_date.percent_of(one.contract_sum_to_date)),
        "WorkCompRetainage": money(one.completed_work_retainage_amount),
        "MatStoredRetainage": money(one.stored_materials_retainage_amount),
        "OriginalContractValue": money(one.original_contract_sum),
        "CurrentContractValue": money(one.contract_sum_to_date),
    })
}

fn invoice_record(look: &Look<'_>, one: &Requisition) -> Value {
    let contract = look.pm.commitments.get(&one.commitment_id);
    let record = merged([
        json!({
            "TableType": 40, "ContractInvoiceID": look.id(Kind::ContractInvoice, one.id),
            "GUID": guid("contract invoice", &one.id.to_string()), "Deleted": false,
            "ContractID": look.id(Kind::Contract, one.commitment_id),
            "ContractNumberAndDescription": one.contract_name,
            "ContractNumber": contract.map(|contract| &contract.number), "InvoiceNumber": one.invoice_number,
            "Sequence": one.number,
        }),
        look.party("To", None),
        look.party("From", look.company(Some(one.vendor_id))),
        period(look, one.period_id, one.requisition_start),
        json!({
            "InvoiceDate": one.billing_date.to_string(), "ApprovedDate": null,
            "PaidDate": date(paid_on(look.pm, look.erp, one)), "DueDate": null, "Category": null, "Reference": null, "Notes": null,
        }),
        form(&one.summary),
        json!({"IsIncludeInPayApp": false, "IsLockedByCI": false}),
        approved_for_budget(one.status),
        look.state(one.status),
        look.footer(one.project_id, one.created_at, one.updated_at),
    ]);
    let items: Vec<Value> = one
        .items
        .iter()
        .map(|line| {
            merged([
                json!({
                    "TableType": 41, "ConInvItemId": look.id(Kind::Line, line.id),
                    "ContractInvoiceID": look.id(Kind::ContractInvoice, one.id),
                }),
                item(line),
                look.coded(one.project_id, &line.cost_code, line.cost_type),
                json!({"SofVItemID": null, "PCOItemID": null}),
                look.footer(one.project_id, one.created_at, one.updated_at),
            ])
        })
        .collect();
    with(record, "ContractInvoiceItems", items.into())
}

/// A line of the G703. Stored material that became work is told apart from work.
fn item(line: &G703Line) -> Value {
    let work = line.work_completed_this_period - line.materials_moved;
    let before = line.work_completed_from_previous_application + line.materials_previously_stored;
    let retained_before =
        line.work_retainage_from_previous_application + line.materials_retainage_from_previous_application;
    let retained = line.total_retainage_currently_retained;
    json!({
        "GUID": guid("line", &line.id.to_string()), "DeleteRequested": false, "Deleted": false,
        "ItemNumber": format!("{:03}", line.item_number), "Description": line.description_of_work, "Category": null, "UOM": "LS",
        "ScheduledValue": money(line.scheduled_value),
        "PrevWorkMatInstallValue": money(line.work_completed_from_previous_application),
        "WorkThisInvoiceValue": money(work), "MatInstallThisInvoiceValue": money(line.materials_moved),
        "StoredMaterialValue": money(line.materials_presently_stored),
        "PrevStoredMaterialValue": money(line.materials_previously_stored),
        "PrevTotalCompleteValue": money(before),
        "TotalCompleteValue": money(line.total_completed_and_stored_to_date),
        "NetCompleteValue": money(line.total_completed_and_stored_to_date - retained),
        "NetCurrentDue": money(line.total_completed_and_stored_to_date - retained - before + retained_before),
        "PercentComplete": percent(line.total_completed_and_stored_to_date_percent),
        "BalanceToCompleteValue": money(line.balance_to_finish),
        "TotalWorkMatInstallValue":
            money(line.work_completed_from_previous_application + line.work_completed_this_period),
        "GeneralRetainPercent": percent(line.retainage_percent),
        "GeneralRetainValue": money(line.work_retainage_currently_retained),
        "StoredMatRetainPercent": percent(line.retainage_percent),
        "StoredMatRetainValue": money(line.materials_retainage_currently_retained),
        "TotalRetainValue": money(retained), "PrevTotalRetainValue": money(retained_before), "PCOID": null, "ChangeOrderID": null,
        "SortOrder": line.item_number,
    })
}

/// Suppliers' invoices on purchase orders.
pub(in crate::projectsight) fn general_invoices(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    let chosen = live(look, project).filter(|one| is_on_order(look, one));
    let record = |one: &Requisition| {
        let order = look.pm.commitments.get(&one.commitment_id);
        let items: Vec<Value> = one
            .items
            .iter()
            .map(|line| {
                let amount = line.work_completed_this_period + line.materials_presently_stored
                    - line.materials_previously_stored;
                merged([
                    json!({
                        "TableType": 43, "GenInvItemID": look.id(Kind::Line, line.id),
                        "GenInvID": look.id(Kind::GeneralInvoice, one.id), "GUID": guid("line", &line.id.to_string()),
                        "DeleteRequested": false, "Deleted": false, "ItemNumber": format!("{:03}", line.item_number),
                    }),
                    look.coded(one.project_id, &line.cost_code, line.cost_type),
                    json!({
                        "Quantity": 1.0, "Item": line.description_of_work, "Description": line.description_of_work,
                        "UOM": "LS", "UnitPrice": money(amount), "Subtotal": money(amount), "IsTaxable": false,
                        "POItemID": null, "SortOrder": line.item_number,
                    }),
                    look.footer(one.project_id, one.created_at, one.updated_at),
                ])
            })
            .collect();
        let record = merged([
            json!({
                "TableType": 42, "GenInvID": look.id(Kind::GeneralInvoice, one.id),
                "GUID": guid("general invoice", &one.id.to_string()), "Deleted": false,
                "InvoiceNumber": one.invoice_number, "Description": one.contract_name,
            }),
            look.party("To", None),
            look.party("From", look.company(Some(one.vendor_id))),
            json!({
                "POID": look.id(Kind::PurchaseOrder, one.commitment_id),
                "PONumber": order.map(|order| &order.number), "InvoiceDate": one.billing_date.to_string(),
                "DueDate": null, "DatePaid": date(paid_on(look.pm, look.erp, one)),
            }),
            period(look, one.period_id, one.requisition_start),
            json!({
                "InvoiceTotal": money(one.total_claimed_amount), "TaxableAmount": 0.0, "TaxRate": 0.0, "TaxTotal": 0.0,
                "IsItemsInclTax": false,
            }),
            approved_for_budget(one.status),
            look.state(one.status),
            look.footer(one.project_id, one.created_at, one.updated_at),
        ]);
        with(record, "GeneralInvoiceItems", items.into())
    };
    chosen.map(record).collect()
}

/// Applications to the owner, with their items.
pub(in crate::projectsight) fn applications(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    let chosen = look.pm.payment_applications.values().filter(|one| one.project_id == project);
    chosen.map(|one| application_record(look, one)).collect()
}

/// When the integration called an invoice paid: on the day of the last payment that it brought, once it brought what is due
/// or the ERP's document is settled. An amount it has no field for.
pub(crate) fn paid_on(pm: &ProcoreDatabase, erp: &AcumaticaDatabase, one: &Requisition) -> Option<NaiveDate> {
    let is_own = |payment: &&ContractPayment| match payment.requisition_id {
        Some(requisition) => requisition == one.id,
        None => {
            payment.contract_id == one.commitment_id && Some(&payment.invoice_number) == one.invoice_number.as_ref()
        }
    };
    let payments = pm.contract_payments.values().filter(is_own);
    let is_settled = |key: &str| erp.bills.get(&format!("Bill|{key}")).is_some_and(|bill| bill.balance.is_zero());
    last_payment(&payments.collect::<Vec<_>>(), one.summary.current_payment_due, is_settled)
}

fn received_on(look: &Look<'_>, one: &PaymentApplication) -> Option<NaiveDate> {
    let payments = look.pm.contract_payments.values();
    let own = payments
        .filter(|payment| payment.contract_id == one.contract_id && payment.draw_request_number == Some(one.number));
    let invoices = &look.erp.invoices;
    let is_settled =
        |key: &str| invoices.get(&format!("Invoice|{key}")).is_some_and(|invoice| invoice.balance.is_zero());
    last_payment(&own.collect::<Vec<_>>(), one.g702.current_payment_due, is_settled)
}

/// Payments name themselves and the ERP's document: `000015-000010`.
fn last_payment(payments: &[&ContractPayment], due: Cents, is_settled: impl Fn(&str) -> bool) -> Option<NaiveDate> {
    let paid: Cents = payments.iter().map(|payment| payment.amount).sum();
    let mut documents =
        payments.iter().map(|payment| payment.origin_id.as_deref().and_then(|id| id.rsplit('-').next()));
    let is_paid =
        (paid >= due && !paid.is_zero()) || (!payments.is_empty() && documents.all(|key| key.is_some_and(&is_settled)));
    payments.iter().map(|payment| payment.date).max().filter(|_| is_paid)
}

fn application_record(look: &Look<'_>, one: &PaymentApplication) -> Value {
    let contract = look.pm.prime_contracts.get(&one.contract_id);
    let record = merged([
        json!({
            "TableType": 44, "ApplicationForPayID": look.id(Kind::Application, one.id),
            "GUID": guid("application", &one.id.to_string()), "Deleted": false,
            "ContractID": look.id(Kind::Contract, one.contract_id),
            "ContractNumber": contract.map(|contract| &contract.number), "ApplicationNumber": one.invoice_number,
            "Sequence": one.number,
        }),
        look.party("To", look.company(contract.and_then(|contract| contract.vendor_id))),
        look.party("From", None),
        period(look, one.period_id, one.period_start),
        json!({
            "ApplicationDate": one.billing_date.to_string(), "ApprovedDate": null,
            "PaidDate": date(received_on(look, one)),
        }),
        form(&one.g702),
        json!({"IsLockedByAFP": false, "OkToCopyCSOV": true}),
        look.state(one.status),
        look.footer(one.project_id, one.created_at, one.updated_at),
    ]);
    let items: Vec<Value> = one
        .g703
        .iter()
        .map(|line| {
            merged([
                json!({
                    "TableType": 45, "AppForPayItemID": look.id(Kind::Line, line.id),
                    "ApplicationForPayID": look.id(Kind::Application, one.id),
                }),
                item(line),
                look.footer(one.project_id, one.created_at, one.updated_at),
            ])
        })
        .collect();
    with(record, "ApplicationForPaymentItems", items.into())
}
