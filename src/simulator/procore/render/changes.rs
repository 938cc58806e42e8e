//! Change orders and the legacy packages that carry their ERP key.

use serde_json::{Value, json};

use super::super::routes::{Found, Scope};
use super::{currency, date, merged, moment, moment_or_null, money};
use crate::firm::model::{ChangeOrder, ChangeOrderKind, ChangeOrderPackage, ProcoreDatabase};

pub(in crate::procore) fn change_orders(database: &ProcoreDatabase, scope: &Scope, kind: ChangeOrderKind) -> Found {
    let chosen =
        database.change_orders.values().filter(|one| one.kind == kind && Some(one.project_id) == scope.project);
    Found::Records(chosen.map(|one| change_order_record(one, scope)).collect())
}

fn change_order_record(one: &ChangeOrder, scope: &Scope) -> Value {
    let kind = match one.kind {
        ChangeOrderKind::Commitment => "CommitmentChangeOrder",
        ChangeOrderKind::Prime => "PrimeChangeOrder",
    };
    let head = json!({
        "id": one.id, "type": kind, "contract_id": one.contract_id, "batch_id": null,
        "legacy_package_id": one.legacy_package_id, "legacy_request_id": null, "number": one.number,
        "title": one.title, "description": format!("<p>{}</p>", one.title), "status": one.status,
        "executed": one.executed, "paid": one.paid, "private": one.private, "revision": one.revision,
        "grand_total": money(one.grand_total), "schedule_impact_amount": one.schedule_impact_amount,
    });
    let rest = json!({
        "due_date": date(one.due_date), "invoiced_date": date(one.invoiced_date), "paid_date": date(one.paid_date),
        "reviewed_at": moment_or_null(one.reviewed_at), "signed_change_order_received_date": null,
        "created_by": {"name": one.created_by}, "designated_reviewer": null,
        "change_order_change_reason": {"id": null, "change_reason": null}, "currency_configuration": currency(),
        "custom_fields": {}, "created_at": moment(one.created_at), "updated_at": moment(one.updated_at),
    });
    let record = merged(head, rest);
    let extended = scope.view.as_deref() == Some("extended");
    if extended { merged(record, json!({"change_events": []})) } else { record }
}

pub(in crate::procore) fn change_order_lines(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let one = scope.id.and_then(|id| database.change_orders.get(&id));
    let Some(one) = one.filter(|one| Some(one.project_id) == scope.project) else { return Found::Missing };
    let lines = one.lines.iter().map(|line| {
        json!({
            "id": line.id.to_string(), "position": line.position, "description": line.description,
            "amount": line.amount.to_string(), "wbs_code_id": line.wbs_code_id.to_string(),
            "wbs_code": {"id": line.wbs_code_id.to_string(),
                "flat_code": format!("{}.{}", line.cost_code, line.cost_type), "description": line.description},
            "commitment_line_item_id": null, "tax_code_id": null, "funding_rule_id": null,
        })
    });
    Found::Records(lines.collect())
}

pub(in crate::procore) fn packages(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let chosen = database.change_order_packages.values().filter(|one| {
        Some(one.project_id) == scope.project && scope.contract.is_none_or(|contract| contract == one.contract_id)
    });
    Found::Records(chosen.map(package_record).collect())
}

/// One package; only here does the interface say whose contract it changes.
pub(in crate::procore) fn package(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let one = scope.id.and_then(|id| database.change_order_packages.get(&id));
    let live = one.filter(|one| Some(one.project_id) == scope.project && one.deleted_at.is_none());
    let Some(one) = live else { return Found::Missing };
    let kind = match one.kind {
        ChangeOrderKind::Commitment => "CommitmentContractChangeOrder",
        ChangeOrderKind::Prime => "PrimeContractChangeOrder",
    };
    Found::One(merged(package_record(one), json!({"type": kind})))
}

fn package_record(one: &ChangeOrderPackage) -> Value {
    json!({
        "id": one.id, "contract_id": one.contract_id, "number": one.number, "title": one.title, "status": one.status, "executed": one.executed,
        "grand_total": money(one.grand_total), "origin_id": one.origin_id, "origin_code": one.origin_code,
        "origin_data": null, "invoiced_date": date(one.invoiced_date), "paid_date": date(one.paid_date),
        "reviewed_at": moment_or_null(one.reviewed_at), "revision": one.revision,
        "created_at": moment(one.created_at), "updated_at": moment(one.updated_at),
        "deleted_at": moment_or_null(one.deleted_at),
    })
}
