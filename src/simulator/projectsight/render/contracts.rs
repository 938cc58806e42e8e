//! Contracts, subcontracts and prime contracts in one list, and purchase orders with their items.

use serde_json::{Value, json};

use super::super::ids::{ProjectSightKind as Kind, guid};
use super::{Look, date, integrated, is_purchase_order, merged, money, percent};
use crate::firm::model::{ChangeOrderKind, Commitment, CommitmentKind, PrimeContract, ProcoreId};
use crate::http::with;

/// Of a project: deleted ones are shown and say so.
pub(in crate::projectsight) fn contracts(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    let primes = look.pm.prime_contracts.values().filter(|one| one.project_id == project);
    let commitments = look.pm.commitments.values().filter(|one| one.project_id == project && !is_purchase_order(one));
    primes.map(|one| prime_record(look, one)).chain(commitments.map(|one| commitment_record(look, one))).collect()
}

/// Whether a state of Procore's counts in the budget.
fn is_counted(status: &str) -> bool {
    matches!(
        status,
        "Approved"
            | "approved"
            | "approved_as_noted"
            | "Complete"
            | "Closed"
            | "Terminated"
            | "Received"
            | "Partially Received"
    )
}

pub(super) fn approved_for_budget(status: &str) -> Value {
    json!({"IsApprovedForBudget": is_counted(status)})
}

fn head(kind: Kind, look: &Look<'_>, id: ProcoreId, is_deleted: bool) -> Value {
    json!({
        "TableType": 20, "ContractID": look.id(kind, id), "GUID": guid("contract", &id.to_string()),
        "Deleted": is_deleted,
    })
}

fn commitment_record(look: &Look<'_>, one: &Commitment) -> Value {
    let vendor = look.company(one.vendor_id);
    let is_subcontract = one.kind == CommitmentKind::WorkOrder;
    let vendor =
        vendor.map_or(json!({"ToCompanyID": null, "ToCompanyName": null}), |vendor| look.party("To", Some(vendor)));
    merged([
        head(Kind::Contract, look, one.id, one.deleted_at.is_some()),
        json!({"ContractNumber": one.number, "Description": one.title}),
        vendor,
        look.party("From", None),
        json!({
            "TypeID": if is_subcontract { 2 } else { 3 },
            "Type": if is_subcontract { "Subcontract" } else { "Purchase Agreement" }, "IsCommit": true,
            "IsUnitPrice": false, "GeneralRetainPercent": percent(one.retainage_percent),
            "StoredMatRetainPercent": percent(one.retainage_percent), "OriginalValue": money(one.grand_total),
            "ChangeValue": money(one.approved_change_orders), "RevisedValue": money(one.revised_contract),
            "PotentialChangeValue": money(one.pending_change_orders),
            "PotentialValue": money(one.pending_revised_contract), "ContractDate": date(one.contract_date),
            "IssuedDate": null, "ExecutedDate": date(one.execution_date), "WorkCompRetainage": percent(one.retainage_percent),
            "MatStoredRetainage": percent(one.retainage_percent),
        }),
        approved_for_budget(one.status),
        integrated(one.origin_code.as_ref().or(one.origin_id.as_ref())),
        look.state(one.status),
        look.footer(one.project_id, one.created_at, one.updated_at),
    ])
}

fn prime_record(look: &Look<'_>, one: &PrimeContract) -> Value {
    let owner = look.company(one.vendor_id);
    let owner =
        owner.map_or(json!({"FromCompanyID": null, "FromCompanyName": null}), |owner| look.party("From", Some(owner)));
    merged([
        head(Kind::Contract, look, one.id, one.deleted_at.is_some()),
        json!({"ContractNumber": one.number, "Description": one.title}),
        look.party("To", None),
        owner,
        json!({
            "TypeID": 1, "Type": "Prime Contract", "IsCommit": false, "IsUnitPrice": false,
            "GeneralRetainPercent": percent(one.retainage_percent),
            "StoredMatRetainPercent": percent(one.retainage_percent), "OriginalValue": money(one.grand_total),
            "ChangeValue": money(one.approved_change_orders), "RevisedValue": money(one.revised_contract_amount),
            "PotentialChangeValue": money(one.pending_change_orders_amount),
            "PotentialValue": money(one.pending_revised_contract_amount), "ContractDate": date(one.contract_date),
            "IssuedDate": null, "ExecutedDate": date(one.execution_date), "WorkCompRetainage": percent(one.retainage_percent),
            "MatStoredRetainage": percent(one.retainage_percent),
        }),
        approved_for_budget(one.status),
        integrated(one.origin_code.as_ref().or(one.origin_id.as_ref())),
        look.state(one.status),
        look.footer(one.project_id, one.created_at, one.updated_at),
    ])
}

/// With their items: the original ones, and those that approved changes added.
pub(in crate::projectsight) fn purchase_orders(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    let orders = look.pm.commitments.values().filter(|one| one.project_id == project && is_purchase_order(one));
    orders.map(|one| order_record(look, one)).collect()
}

fn order_record(look: &Look<'_>, one: &Commitment) -> Value {
    let vendor = look.company(one.vendor_id);
    let vendor =
        vendor.map_or(json!({"ToCompanyID": null, "ToCompanyName": null}), |vendor| look.party("To", Some(vendor)));
    let record = merged([
        json!({
            "TableType": 21, "POID": look.id(Kind::PurchaseOrder, one.id),
            "GUID": guid("purchase order", &one.id.to_string()), "Deleted": one.deleted_at.is_some(),
            "PONumber": one.number, "Date": date(one.contract_date), "Description": one.title,
        }),
        vendor,
        look.party("From", None),
        json!({
            "Terms": one.payment_terms, "SchedDeliveryDate": date(one.delivery_date),
            "TotalPOAmount": money(one.revised_contract), "TaxableAmount": money(crate::firm::model::Cents::ZERO),
            "TaxRate": 0.0, "TaxTotal": 0.0, "TaxInvoiced": 0.0, "IsItemsInclTax": false,
            "InvoicedAmount": money(one.total_requisitions_amount),
            "Balance": money(one.revised_contract - one.total_requisitions_amount), "IsOverBillingAllowed": true,
        }),
        approved_for_budget(one.status),
        integrated(one.origin_code.as_ref().or(one.origin_id.as_ref())),
        look.state(one.status),
        look.footer(one.project_id, one.created_at, one.updated_at),
    ]);
    with(record, "PurchaseOrderItems", items(look, one).into())
}

fn items(look: &Look<'_>, one: &Commitment) -> Vec<Value> {
    let own = one.lines.iter().map(|line| (line.id, &line.description, line.amount, &line.cost_code, line.cost_type));
    let changes = look.pm.change_orders.values().filter(|order| {
        order.contract_id == one.id && order.kind == ChangeOrderKind::Commitment && order.status == "approved"
    });
    let added = changes
        .flat_map(|order| &order.lines)
        .map(|line| (line.id, &line.description, line.amount, &line.cost_code, line.cost_type));
    let all = own.chain(added).zip(1..);
    all.map(|((id, description, amount, code, cost_type), position)| {
        merged([
            json!({
                "TableType": 22, "POItemID": look.id(Kind::Line, id), "POID": look.id(Kind::PurchaseOrder, one.id),
                "GUID": guid("line", &id.to_string()), "DeleteRequested": false, "Deleted": false,
                "ItemNumber": format!("{position:03}"),
            }),
            look.coded(one.project_id, code, cost_type),
            json!({
                "Quantity": 1.0, "Item": description, "Description": description, "UOM": "LS",
                "UnitPrice": money(amount), "Subtotal": money(amount), "IsTaxable": false, "InvoicedAmount": 0.0,
                "Balance": money(amount), "SortOrder": position,
            }),
            look.footer(one.project_id, one.created_at, one.updated_at),
        ])
    })
    .collect()
}
