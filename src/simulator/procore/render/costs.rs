//! Direct costs and budget changes, and the requests of the ERP connector.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::routes::{Found, Scope};
use super::{currency, merged, moment, money};
use crate::firm::model::{
    BudgetAdjustment, BudgetChange, Cents, Commitment, DirectCost, DirectCostLine, ProcoreDatabase, ProcoreId,
};

/// From a document's id to that of its request, beyond every other id.
const REQUEST_OFFSET: ProcoreId = 100_000_000_000_000;

pub(in crate::procore) fn direct_costs(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let chosen = database.direct_costs.values().filter(|one| Some(one.project_id) == scope.project);
    let record = |one: &DirectCost| {
        let amount = one.amount.map_or(Value::Null, money);
        json!({
            "id": one.id, "direct_cost_type": one.direct_cost_type, "status": one.status, "amount": amount,
            "grand_total": amount, "direct_cost_date": one.direct_cost_date.to_string(), "received_date": null,
            "payment_date": null, "invoice_number": null, "vendor": null, "vendor_id": null, "vendor_name": null,
            "employee": null, "terms": null, "description": one.description, "origin_id": one.origin_id,
            "origin_data": null, "currency_configuration": currency(), "created_at": moment(one.created_at),
            "updated_at": moment(one.updated_at), "deleted_at": null,
        })
    };
    Found::Records(chosen.map(record).collect())
}

/// All lines of a project's direct costs.
pub(in crate::procore) fn direct_cost_lines(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let chosen = database.direct_costs.values().filter(|one| Some(one.project_id) == scope.project);
    Found::Records(chosen.flat_map(|one| one.lines.iter().map(|line| direct_cost_line(one, line))).collect())
}

fn direct_cost_line(one: &DirectCost, line: &DirectCostLine) -> Value {
    let amounts = json!({
        "amount": money(line.amount), "extended_amount": money(line.amount), "total_amount": money(line.amount),
        "extended_type": "manual", "quantity": "1.0", "unit_cost": money(line.amount), "uom": null,
        "tax_code_id": null, "currency_configuration": {"currency_iso_code": "USD"},
    });
    let codes = json!({
        "id": line.id, "position": line.position, "description": line.description,
        "holder": {"id": one.id, "holder_type": "DirectCostItem"}, "project": {"id": one.project_id},
        "cost_code": {"id": line.cost_code_id, "full_code": line.cost_code},
        "line_item_type": {"id": line.line_item_type_id, "code": line.cost_type},
        "wbs_code": {"id": line.wbs_code_id, "flat_code": format!("{}.{}", line.cost_code, line.cost_type),
            "description": line.description},
        "direct_cost_id": one.id, "origin_id": line.origin_id, "origin_data": null,
        "created_at": moment(line.created_at), "updated_at": moment(line.updated_at),
    });
    merged(amounts, codes)
}

/// Wrapped in `data` although the list is of version 1; amounts are numbers.
pub(in crate::procore) fn budget_changes(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let chosen = database.budget_changes.values().filter(|one| Some(one.project_id) == scope.project);
    let record = |one: &BudgetChange| {
        let amount: Cents = one.adjustments.iter().map(|line| line.amount).sum();
        json!({
            "id": one.id, "number": one.number, "status": one.status, "title": one.title, "description": null,
            "erp_status": one.erp_status, "prime_contract_id": null, "amount": number(amount),
            "change_event_line_item_ids": [], "currency_configuration": {"currency_iso_code": "USD"},
        })
    };
    Found::Records(chosen.map(record).collect())
}

/// The adjustments of all budget changes of a project, with ids as text and amounts as numbers.
pub(in crate::procore) fn adjustments(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let chosen = database.budget_changes.values().filter(|one| Some(one.project_id) == scope.project);
    let record = |one: &BudgetChange, line: &BudgetAdjustment| {
        json!({
            "id": line.id.to_string(), "adjustment_number": line.adjustment_number, "amount": number(line.amount),
            "wbs_code_id": line.wbs_code_id.to_string(), "type": "budget_change", "description": line.description,
            "budget_change_id": one.id.to_string(), "budget_change_number": one.number.to_string(),
            "budget_change_status": one.status, "budget_change_name": one.title,
        })
    };
    Found::Records(chosen.flat_map(|one| one.adjustments.iter().map(|line| record(one, line))).collect())
}

fn number(amount: Cents) -> Value {
    serde_json::from_str(&amount.to_string()).unwrap_or_default()
}

/// A request for each document whose way to the ERP Procore knows: what bears the ERP's key was sent; a requisition also says
/// that it waits, or that it failed.
pub(in crate::procore) fn erp_request_details(database: &ProcoreDatabase, _: &Scope) -> Found {
    let mut all = Vec::new();
    let sent = |one: &&Commitment| one.executed && one.deleted_at.is_none() && one.origin_id.is_some();
    for one in database.commitments.values().filter(sent) {
        let kind = super::contracts::item_type(one.kind);
        all.push(request(one.id, kind, one.project_id, ("success", None), one.updated_at));
    }
    for one in database.change_order_packages.values() {
        if one.status == "approved" && one.origin_id.is_some() {
            all.push(request(one.id, "change_order", one.project_id, ("success", None), one.updated_at));
        }
    }
    for one in database.requisitions.values().filter(|one| one.erp_status != "not_in_erp") {
        let told = match one.erp_status {
            "synced" => ("success", None),
            "failed_to_export" => ("failed", Some("The accounting system refused the invoice")),
            _ => ("in progress", None),
        };
        all.push(request(one.id, "requisition", one.project_id, told, one.updated_at));
    }
    Found::Records(all)
}

fn request(
    item: ProcoreId,
    kind: &str,
    project: ProcoreId,
    (status, message): (&str, Option<&str>),
    at: DateTime<Utc>,
) -> Value {
    json!({
        "id": item + REQUEST_OFFSET, "item_id": item, "item_type": kind, "project_id": project, "status": status,
        "messages": message, "created_at": moment(at), "updated_at": moment(at),
    })
}
