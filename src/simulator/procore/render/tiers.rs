//! The tiers below a change order's package. The firm has one tier: each package hides the one potential change order that
//! holds its lines, and there are no requests between the two.

use serde_json::{Value, json};

use super::super::routes::{Found, Scope};
use super::{currency, date, moment, moment_or_null, money};
use crate::firm::model::{ChangeOrder, ProcoreDatabase, ProcoreId};

/// From a change order's id to that of the potential change order behind it.
const OFFSET: ProcoreId = 50_000_000_000_000;

pub(in crate::procore) fn potential_change_orders(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let of_scope = |one: &&ChangeOrder| {
        Some(one.project_id) == scope.project && scope.contract.is_none_or(|contract| contract == one.contract_id)
    };
    Found::Records(database.change_orders.values().filter(of_scope).map(record).collect())
}

/// Both ids are required; the list is empty where a contract has no third tier.
pub(in crate::procore) fn change_order_requests(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let Some(contract) = scope.contract else { return Found::Bad("contract_id is required") };
    let commitment = database.commitments.get(&contract).map(|one| one.project_id);
    let prime = database.prime_contracts.get(&contract).map(|one| one.project_id);
    if commitment.or(prime) == scope.project { Found::Records(Vec::new()) } else { Found::Missing }
}

fn record(one: &ChangeOrder) -> Value {
    // The list's words lack this one.
    let status = if one.status == "pending_billable" { "pending" } else { one.status };
    json!({
        "id": one.id + OFFSET, "contract_id": one.contract_id, "number": one.number, "title": one.title,
        "status": status, "executed": one.executed, "grand_total": money(one.grand_total), "revision": one.revision,
        "schedule_impact_amount": one.schedule_impact_amount, "change_order_tiers": 1,
        "change_order_request_id": null, "change_order_request_title": null,
        "change_order_request_acronym_number": null, "change_order_package_title": one.title,
        "change_order_package_acronym_number": one.number, "potential_change_order_acronym_number": one.number,
        "change_reason": null, "currency_configuration": currency(), "custom_fields": {},
        "due_date": date(one.due_date), "invoiced_date": date(one.invoiced_date), "paid_date": date(one.paid_date),
        "reviewed_at": moment_or_null(one.reviewed_at), "created_at": moment(one.created_at),
        "updated_at": moment(one.updated_at), "deleted_at": null,
    })
}
