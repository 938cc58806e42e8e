//! Commitments and prime contracts with their schedules of values.

use serde_json::{Value, json};

use super::super::routes::{Found, Scope};
use super::{billing, currency, date, directory, merged, moment, moment_or_null, money, percent};
use crate::firm::model::{Commitment, CommitmentKind, ContractLine, PrimeContract, ProcoreDatabase, ProcoreId};

pub(in crate::procore) fn commitments(database: &ProcoreDatabase, scope: &Scope, kind: CommitmentKind) -> Found {
    let chosen = database.commitments.values().filter(|one| one.kind == kind && Some(one.project_id) == scope.project);
    Found::Records(chosen.map(|one| commitment_record(database, one)).collect())
}

pub(in crate::procore) fn commitment(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let Some(one) = live_commitment(database, scope) else { return Found::Missing };
    let more = json!({
        "line_items": lines(&one.lines, one.id, holder(one.kind)),
        "payments_issued": billing::payments_of(database, one.id), "change_order_packages": [], "invoice_contacts": [],
    });
    Found::One(merged(commitment_record(database, one), more))
}

pub(in crate::procore) fn commitment_lines(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let one = live_commitment(database, scope);
    one.map_or(Found::Missing, |one| Found::Records(lines(&one.lines, one.id, holder(one.kind))))
}

fn live_commitment<'a>(database: &'a ProcoreDatabase, scope: &Scope) -> Option<&'a Commitment> {
    let one = database.commitments.get(&scope.id?)?;
    (Some(one.project_id) == scope.project && one.deleted_at.is_none()).then_some(one)
}

/// The name of a kind in `commitment_type` and `holder_type`.
pub(super) fn holder(kind: CommitmentKind) -> &'static str {
    match kind {
        CommitmentKind::WorkOrder => "WorkOrderContract",
        CommitmentKind::PurchaseOrder => "PurchaseOrderContract",
    }
}

/// The name of a kind among the connector's item types.
pub(super) fn item_type(kind: CommitmentKind) -> &'static str {
    match kind {
        CommitmentKind::WorkOrder => "work_order_contract",
        CommitmentKind::PurchaseOrder => "purchase_order_contract",
    }
}

fn commitment_record(database: &ProcoreDatabase, one: &Commitment) -> Value {
    let vendor = directory::vendor_name(database, one.vendor_id);
    let project = database.projects.get(&one.project_id);
    let head = json!({
        "id": one.id, "number": one.number, "title": one.title, "status": one.status, "executed": one.executed,
        "vendor": vendor.map(|vendor| json!({"id": vendor.id, "company": vendor.name, "name": vendor.name})),
        "project": {"id": one.project_id, "name": project.map(|project| &project.name)},
        "accounting_method": "amount", "description": null, "private": true,
        "requisitions_are_enabled": if one.executed { Value::Bool(true) } else { Value::Null },
        "retainage_percent": percent(one.retainage_percent), "origin_id": one.origin_id,
        "origin_code": one.origin_code, "origin_data": null, "currency_configuration": currency(),
    });
    let amounts = json!({
        "grand_total": money(one.grand_total), "approved_change_orders": money(one.approved_change_orders),
        "pending_change_orders": money(one.pending_change_orders),
        "draft_change_orders_amount": money(one.draft_change_orders_amount),
        "revised_contract": money(one.revised_contract),
        "pending_revised_contract": money(one.pending_revised_contract),
        "total_draw_requests_amount": money(one.total_requisitions_amount),
        "total_requisitions_amount": money(one.total_requisitions_amount),
        "total_payments": money(one.total_payments), "percentage_paid": percent(one.percentage_paid),
        "remaining_balance_outstanding": money(one.remaining_balance_outstanding),
    });
    let dates = json!({
        "contract_date": date(one.contract_date), "execution_date": date(one.execution_date),
        "signed_contract_received_date": date(one.signed_contract_received_date), "issued_on_date": null,
        "created_at": moment(one.created_at), "updated_at": moment(one.updated_at),
        "deleted_at": moment_or_null(one.deleted_at),
    });
    let record = merged(merged(head, amounts), dates);
    match one.kind {
        CommitmentKind::WorkOrder => record,
        CommitmentKind::PurchaseOrder => merged(
            record,
            json!({"delivery_date": date(one.delivery_date), "payment_terms": one.payment_terms, "bill_to_address": null,
                "ship_to_address": null, "ship_via": null}),
        ),
    }
}

/// v2: both kinds in one list, ids as text, no totals but the original one, no ERP key, and no key without a value.
pub(in crate::procore) fn unified(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let extended = match scope.view.as_deref() {
        None | Some("default") => false,
        Some("extended") => true,
        Some(_) => return Found::Bad("view is invalid"),
    };
    let chosen = database.commitments.values().filter(|one| Some(one.project_id) == scope.project);
    let record = |one: &Commitment| {
        let base = json!({
            "id": one.id.to_string(), "type": holder(one.kind), "number": one.number, "title": one.title,
            "status": one.status, "executed": one.executed, "private": true, "accounting_method": "amount",
            "grand_total": money(one.grand_total), "retainage_percent": percent(one.retainage_percent),
            "contract_date": date(one.contract_date), "execution_date": date(one.execution_date),
            "created_at": moment(one.created_at), "updated_at": moment(one.updated_at),
            "deleted_at": moment_or_null(one.deleted_at), "currency_configuration": {"currency_iso_code": "USD"},
        });
        let vendor = directory::vendor_name(database, one.vendor_id);
        vendor.map_or(base.clone(), |vendor| {
            let id = vendor.id.to_string();
            let vendor = if extended { json!({"id": id, "name": vendor.name}) } else { json!({"id": id}) };
            merged(base, json!({"vendor": vendor}))
        })
    };
    Found::Records(chosen.map(record).collect())
}

pub(in crate::procore) fn prime_contracts(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let chosen = database.prime_contracts.values().filter(|one| Some(one.project_id) == scope.project);
    Found::Records(chosen.map(|one| prime_record(database, one)).collect())
}

pub(in crate::procore) fn prime_contract(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let Some(one) = live_prime(database, scope) else { return Found::Missing };
    let more = json!({
        "line_items": lines(&one.lines, one.id, "PrimeContract"),
        "payments_received": billing::payments_of(database, one.id), "type": "PrimeContract",
    });
    Found::One(merged(prime_record(database, one), more))
}

pub(in crate::procore) fn prime_lines(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let one = live_prime(database, scope);
    one.map_or(Found::Missing, |one| Found::Records(lines(&one.lines, one.id, "PrimeContract")))
}

/// The prime contract of the path, if it is there for a reader.
pub(super) fn live_prime<'a>(database: &'a ProcoreDatabase, scope: &Scope) -> Option<&'a PrimeContract> {
    let one = database.prime_contracts.get(&scope.id?)?;
    (Some(one.project_id) == scope.project && one.deleted_at.is_none()).then_some(one)
}

fn prime_record(database: &ProcoreDatabase, one: &PrimeContract) -> Value {
    let owner = directory::vendor_name(database, one.vendor_id);
    let head = json!({
        "id": one.id, "number": one.number, "title": one.title, "status": one.status, "executed": one.executed,
        "accounting_method": "amount",
        "vendor": owner.map(|owner| json!({"id": owner.id, "name": owner.name, "company": owner.name,
            "origin_id": owner.origin_id, "origin_code": owner.origin_code})),
        "contractor": {"name": database.company.name}, "architect": null, "description": null, "private": true,
        "retainage_percent": percent(one.retainage_percent), "origin_id": one.origin_id,
        "origin_code": one.origin_code, "origin_data": null, "currency_configuration": currency(),
    });
    let amounts = json!({
        "grand_total": money(one.grand_total), "approved_change_orders": money(one.approved_change_orders),
        "revised_contract_amount": money(one.revised_contract_amount),
        "pending_change_orders_amount": money(one.pending_change_orders_amount),
        "draft_change_orders_amount": money(one.draft_change_orders_amount),
        "pending_revised_contract_amount": money(one.pending_revised_contract_amount),
        "owner_invoices_amount": money(one.owner_invoices_amount), "total_payments": money(one.total_payments),
        "outstanding_balance": money(one.outstanding_balance), "percentage_paid": percent(one.percentage_paid),
    });
    let dates = json!({
        "contract_date": date(one.contract_date), "execution_date": date(one.execution_date), "issued_on_date": null,
        "created_at": moment(one.created_at), "updated_at": moment(one.updated_at),
        "deleted_at": moment_or_null(one.deleted_at),
    });
    merged(merged(head, amounts), dates)
}

fn lines(lines: &[ContractLine], contract: ProcoreId, holder: &str) -> Vec<Value> {
    lines.iter().map(|line| line_record(line, contract, holder)).collect()
}

fn line_record(line: &ContractLine, contract: ProcoreId, holder: &str) -> Value {
    json!({
        "id": line.id, "position": line.position, "description": line.description, "amount": money(line.amount),
        "total_amount": money(line.amount), "extended_amount": money(line.amount), "extended_type": "manual",
        "quantity": format!("{}.0", line.quantity), "unit_cost": money(line.unit_cost), "uom": line.uom,
        "cost_code": {"id": line.cost_code_id, "full_code": line.cost_code},
        "wbs_code": {"id": line.wbs_code_id, "flat_code": format!("{}.{}", line.cost_code, line.cost_type),
            "description": line.description},
        "line_item_type": {"id": line.line_item_type_id, "code": line.cost_type},
        "holder": {"id": contract, "holder_type": holder}, "tax_code_id": null, "origin_id": null,
        "origin_data": null, "created_at": moment(line.created_at), "updated_at": moment(line.updated_at),
    })
}
