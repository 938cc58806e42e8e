//! Owner invoices, subcontractor invoices, payments and the periods they fall in.

use serde_json::{Value, json};

use super::super::routes::{Found, Scope};
use super::contracts::{holder, live_prime};
use super::{currency, date, merged, moment, money, percent};
use crate::firm::model::{
    BillingPeriod, ContractPayment, G702, G703Line, LineOrigin, PaymentApplication, ProcoreDatabase, ProcoreId,
    Requisition,
};
use crate::http::with;

/// Of a project, or of one prime contract when the path names it.
pub(in crate::procore) fn payment_applications(database: &ProcoreDatabase, scope: &Scope) -> Found {
    if scope.id.is_some() && live_prime(database, scope).is_none() {
        return Found::Missing;
    }
    let chosen = database.payment_applications.values().filter(|one| {
        Some(one.project_id) == scope.project && scope.id.is_none_or(|contract| contract == one.contract_id)
    });
    let record = |one: &PaymentApplication| {
        let moments = json!({"created_at": moment(one.created_at), "updated_at": moment(one.updated_at)});
        merged(application_record(one), moments)
    };
    Found::Records(chosen.map(record).collect())
}

pub(in crate::procore) fn payment_application(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let one = scope.id.and_then(|id| database.payment_applications.get(&id));
    let Some(one) = one.filter(|one| Some(one.project_id) == scope.project) else { return Found::Missing };
    let rows: Vec<Value> = one.g703.iter().map(g703_row).collect();
    Found::One(with(merged(application_record(one), json!({"attachments": []})), "g703", rows.into()))
}

fn application_record(one: &PaymentApplication) -> Value {
    json!({
        "id": one.id, "number": one.number, "invoice_number": one.invoice_number, "status": one.status,
        "billing_date": one.billing_date.to_string(), "period_id": one.period_id,
        "period_start": one.period_start.to_string(), "period_end": one.period_end.to_string(),
        "billing_period": {"start_date": one.period_start.to_string(), "end_date": one.period_end.to_string()},
        "percent_complete": percent(one.percent_complete),
        "total_amount_accrued_this_period": money(one.total_amount_accrued_this_period),
        "total_amount_paid": money(one.total_amount_paid),
        "formatted_contract_company": one.formatted_contract_company,
        "contract": {"id": one.contract_id, "type": "PrimeContract", "title": one.contract_title},
        "origin_id": one.origin_id, "origin_data": null, "description_type": "automatic",
        "currency_configuration": currency(), "g702": g702(&one.g702),
    })
}

fn g702(form: &G702) -> Value {
    json!({
        "original_contract_sum": money(form.original_contract_sum),
        "net_change_by_change_orders": money(form.net_change_by_change_orders),
        "contract_sum_to_date": money(form.contract_sum_to_date),
        "total_completed_and_stored_to_date": money(form.total_completed_and_stored_to_date),
        "completed_work_retainage_percent": percent(form.completed_work_retainage_percent),
        "completed_work_retainage_amount": money(form.completed_work_retainage_amount),
        "stored_materials_retainage_percent": percent(form.stored_materials_retainage_percent),
        "stored_materials_retainage_amount": money(form.stored_materials_retainage_amount),
        "total_retainage": money(form.total_retainage),
        "total_earned_less_retainage": money(form.total_earned_less_retainage),
        "less_previous_certificates_for_payment": money(form.less_previous_certificates_for_payment),
        "tax_applicable_to_this_payment": money(form.tax_applicable_to_this_payment),
        "current_payment_due": money(form.current_payment_due),
        "balance_to_finish_including_retainage": money(form.balance_to_finish_including_retainage),
    })
}

/// What rows of a G703 and items of a requisition share.
fn billed_row(line: &G703Line) -> Value {
    let work = json!({
        "id": line.id, "item_number": line.item_number, "description_of_work": line.description_of_work,
        "scheduled_value": money(line.scheduled_value),
        "work_completed_from_previous_application": money(line.work_completed_from_previous_application),
        "work_completed_this_period": money(line.work_completed_this_period),
        "materials_presently_stored": money(line.materials_presently_stored),
        "total_completed_and_stored_to_date": money(line.total_completed_and_stored_to_date),
        "total_completed_and_stored_to_date_percent": percent(line.total_completed_and_stored_to_date_percent),
        "balance_to_finish": money(line.balance_to_finish),
        "wbs_code": {"id": line.wbs_code_id, "flat_code": format!("{}.{}", line.cost_code, line.cost_type),
            "description": line.description_of_work},
    });
    let retainage = json!({
        "work_completed_retainage_percent_this_period": percent(line.retainage_percent),
        "work_completed_retainage_from_previous_application": money(line.work_retainage_from_previous_application),
        "work_completed_retainage_retained_this_period": money(line.work_retainage_this_period),
        "work_completed_retainage_released_this_period": money(line.work_retainage_released_this_period),
        "work_completed_retainage_currently_retained": money(line.work_retainage_currently_retained),
        "materials_stored_retainage_percent_this_period": percent(line.retainage_percent),
        "materials_stored_retainage_from_previous_application":
            money(line.materials_retainage_from_previous_application),
        "materials_stored_retainage_retained_this_period": money(line.materials_retainage_this_period),
        "materials_stored_retainage_released_this_period": money(line.materials_retainage_released_this_period),
        "materials_stored_retainage_currently_retained": money(line.materials_retainage_currently_retained),
        "total_retainage_from_previous_application":
            money(line.work_retainage_from_previous_application + line.materials_retainage_from_previous_application),
        "total_retainage_currently_retained": money(line.total_retainage_currently_retained),
    });
    merged(work, retainage)
}

fn g703_row(line: &G703Line) -> Value {
    let (origin_type, added_from) = match line.origin {
        LineOrigin::Contract => ("LineItem", "contract"),
        LineOrigin::ChangeOrder => ("ChangeOrderPackage", "change_order"),
    };
    let own = json!({
        "description_override": null, "cost_code": {"id": line.cost_code_id, "full_code": line.cost_code},
        "origin_type": origin_type, "origin_id": line.origin_id, "added_from_source": added_from,
        "added_from_source_id": line.origin_id, "type": "payment_application_line_item",
        "currency_configuration": {"currency_iso_code": "USD"},
    });
    merged(billed_row(line), own)
}

pub(in crate::procore) fn requisitions(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let live = |one: &&Requisition| Some(one.project_id) == scope.project && one.deleted_at.is_none();
    let chosen = database.requisitions.values().filter(live);
    let with_items = scope.version == "v1.1" && matches!(scope.view.as_deref(), Some("extended" | "items"));
    Found::Records(chosen.map(|one| requisition_record(one, scope, with_items)).collect())
}

pub(in crate::procore) fn requisition(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let one = live_requisition(database, scope);
    one.map_or(Found::Missing, |one| Found::One(requisition_record(one, scope, scope.version == "v1.1")))
}

pub(in crate::procore) fn requisition_detail(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let one = live_requisition(database, scope);
    one.map_or(Found::Missing, |one| Found::Records(one.items.iter().map(item).collect()))
}

fn live_requisition<'a>(database: &'a ProcoreDatabase, scope: &Scope) -> Option<&'a Requisition> {
    let one = database.requisitions.get(&scope.id?)?;
    (Some(one.project_id) == scope.project && one.deleted_at.is_none()).then_some(one)
}

fn requisition_record(one: &Requisition, scope: &Scope, with_items: bool) -> Value {
    let sign = if scope.version == "v1.0" { "%" } else { "" };
    let head = json!({
        "id": one.id, "project_id": one.project_id, "commitment_id": one.commitment_id,
        "commitment_type": holder(one.commitment_kind), "contract_name": one.contract_name,
        "vendor_id": one.vendor_id, "vendor_name": one.vendor_name, "number": one.number,
        "invoice_number": one.invoice_number, "invoice_type": one.invoice_type,
        "contract_invoicing_method": "progressive", "status": one.status, "erp_status": one.erp_status,
        "final": one.is_final, "period_id": one.period_id, "previous_requisition_id": one.previous_requisition_id,
        "origin_id": one.origin_id, "origin_data": null, "comment": null,
    });
    let rest = json!({
        "requisition_start": one.requisition_start.to_string(), "requisition_end": one.requisition_end.to_string(),
        "billing_date": one.billing_date.to_string(), "submitted_at": date(one.submitted_at),
        "payment_date": date(one.payment_date), "percent_complete": format!("{}{sign}", one.percent_complete),
        "total_claimed_amount": money(one.total_claimed_amount), "payment_summary": {},
        "summary": g702(&one.summary), "tax_summary": [], "attachments": [], "custom_fields": {},
        "created_by": {"name": one.created_by},
        "currency_configuration": {"currency_iso_code": "USD", "currency_exchange_rate": 1, "base_currency_iso_code": "USD"},
        "created_at": moment(one.created_at), "updated_at": moment(one.updated_at),
    });
    let record = merged(head, rest);
    if !with_items {
        return record;
    }
    let items: Vec<Value> = one.items.iter().map(item).collect();
    with(record, "items", items.into())
}

fn item(line: &G703Line) -> Value {
    // What is new in G: work, and the change in stored material. Material that became work is in both and nets out.
    let claimed = line.work_completed_this_period + line.materials_presently_stored - line.materials_previously_stored;
    let own = match line.origin {
        LineOrigin::Contract => json!({"item_type": "contract_item", "line_item_id": line.origin_id}),
        LineOrigin::ChangeOrder => json!({
            "item_type": "change_order_item", "change_order_package_id": line.origin_id,
            "commitment_line_item_id": null, "commitment_line_item_origin_id": null,
        }),
    };
    let more = json!({
        "cost_code_id": line.cost_code_id, "materials_moved": money(line.materials_moved),
        "materials_presently_stored_from_previous_progress": money(line.materials_previously_stored),
        "subcontractor_claimed_amount": money(claimed), "ssr_manual_override": false, "status": "approved",
        "total_completed_and_stored_to_date_from_previous":
            money(line.work_completed_from_previous_application + line.materials_previously_stored),
        "comment": null, "position": line.item_number, "line_number": line.item_number, "taxes": [], "uom": null,
    });
    merged(merged(billed_row(line), own), more)
}

pub(in crate::procore) fn contract_payments(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let Some(contract) = scope.contract else { return Found::Bad("contract_id is required") };
    let commitment = database.commitments.get(&contract).map(|one| one.project_id);
    let prime = database.prime_contracts.get(&contract).map(|one| one.project_id);
    if commitment.or(prime) != scope.project {
        return Found::Missing;
    }
    Found::Records(payments_of(database, contract))
}

/// The payments issued or received under a contract.
pub(super) fn payments_of(database: &ProcoreDatabase, contract: ProcoreId) -> Vec<Value> {
    database.contract_payments.values().filter(|one| one.contract_id == contract).map(payment_record).collect()
}

fn payment_record(one: &ContractPayment) -> Value {
    json!({
        "id": one.id, "contract_id": one.contract_id, "project_id": one.project_id,
        "requisition_id": one.requisition_id, "amount": money(one.amount), "date": one.date.to_string(),
        "check_number": one.check_number, "invoice_number": one.invoice_number, "payment_number": one.payment_number,
        "draw_request_number": one.draw_request_number, "notes": one.notes, "status": one.status,
        "date_payment_initiated": null, "date_payment_settled": null, "external_payment_id": null,
        "origin_id": one.origin_id, "origin_code": one.origin_code, "origin_data": null, "attachments": [],
        "created_at": moment(one.created_at), "updated_at": moment(one.updated_at),
    })
}

pub(in crate::procore) fn billing_periods(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let record = |one: &BillingPeriod| {
        json!({
            "id": one.id, "position": one.position, "start_date": one.start_date.to_string(),
            "end_date": one.end_date.to_string(), "due_date": one.due_date.to_string(), "status": one.status,
            "project_id": one.project_id, "created_at": moment(one.created_at), "updated_at": moment(one.updated_at),
        })
    };
    let chosen = database.billing_periods.values().filter(|one| Some(one.project_id) == scope.project);
    Found::Records(chosen.map(record).collect())
}
