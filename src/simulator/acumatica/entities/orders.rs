//! Subcontracts, purchase orders and change orders.

use serde_json::{Map, Value, json};

use super::{CUSTOM, GUID, approvals, custom, day, day_or_null, guid, moment, money, quantity, rate};
use crate::firm::model::{
    Cents, ErpChangeOrder, ErpChangeOrderBudget, ErpChangeOrderCommitment, ErpCommitment, ErpCommitmentLine,
};

pub(super) fn subcontract(one: &ErpCommitment) -> Value {
    let lines: Vec<Value> = one.details.iter().map(|line| subcontract_line(one, line)).collect();
    let own = json!({
        "SubcontractNbr": one.order_nbr, "StartDate": day(one.date), "DiscountTotal": money(Cents::ZERO),
        "RetainageTotal": money(one.retainage_total), "SubcontractTotal": money(one.order_total),
        "ApplyRetainage": one.apply_retainage, "RetainagePct": rate(one.retainage_pct), "Details": lines,
    });
    merged(order(one), own)
}

pub(super) fn purchase_order(one: &ErpCommitment) -> Value {
    let lines: Vec<Value> = one.details.iter().map(|line| purchase_line(one, line)).collect();
    let project = one.details.first().map(|line| &line.project);
    let own = json!({
        "Type": one.order_type, "OrderNbr": one.order_nbr, "Hold": one.hold, "OrderTotal": money(one.order_total),
        "Project": project, "Details": lines,
    });
    merged(order(one), own)
}

/// What both kinds of order share.
fn order(one: &ErpCommitment) -> Value {
    json!({
        GUID: guid(&one.note_id), "Status": one.status, "Date": day(one.date), "Description": one.description,
        "VendorID": one.vendor_id, "Location": "MAIN", "VendorRef": one.vendor_ref, "Terms": one.terms,
        "CurrencyID": one.currency_id, "LineTotal": money(one.line_total), "TaxTotal": money(one.tax_total),
        "ControlTotal": money(one.order_total), "LastModifiedDateTime": moment(one.last_modified_at),
        CUSTOM: custom(&["Document", "CurrentDocument"], [
            ("CuryRetainageTotal", money(one.retainage_total)), ("RetainageApply", json!(one.apply_retainage)),
            ("DefRetainagePct", rate(one.retainage_pct)), ("CreatedDateTime", moment(one.created_at)),
            ("NoteID", guid(&one.note_id)),
        ]),
    })
}

fn subcontract_line(order: &ErpCommitment, line: &ErpCommitmentLine) -> Value {
    json!({
        "LineNbr": line.line_nbr, "OrderType": order.order_type, "OrderNbr": order.order_nbr,
        "Project": line.project, "Task": line.task, "CostCode": line.cost_code, "Account": line.account,
        "InventoryID": line.inventory_id, "LineDescription": line.line_description, "UOM": line.uom,
        "OrderQty": quantity(line.order_qty), "UnitCost": money(line.unit_cost),
        "ExtendedCost": money(line.extended_cost), "RetainagePct": rate(line.retainage_pct),
        "RetainageAmount": money(line.retainage_amount), "Amount": money(line.amount), "Closed": line.closed,
        "Completed": line.completed, "Canceled": line.canceled,
    })
}

fn purchase_line(order: &ErpCommitment, line: &ErpCommitmentLine) -> Value {
    json!({
        "LineNbr": line.line_nbr, "OrderType": order.order_type, "OrderNbr": order.order_nbr,
        "Project": line.project, "ProjectTask": line.task, "CostCode": line.cost_code, "Account": line.account,
        "InventoryID": line.inventory_id, "LineDescription": line.line_description, "UOM": line.uom,
        "LineType": "Non-Stock", "OrderQty": quantity(line.order_qty), "UnitCost": money(line.unit_cost),
        "ExtendedCost": money(line.extended_cost), "Completed": line.completed, "Cancelled": line.canceled,
        CUSTOM: custom(&["Transactions"], [
            ("RetainagePct", rate(line.retainage_pct)), ("CuryRetainageAmt", money(line.retainage_amount)),
        ]),
    })
}

pub(super) fn change_order(one: &ErpChangeOrder) -> Value {
    let revenue: Vec<Value> = one.revenue_budget.iter().map(budget_line).collect();
    let cost: Vec<Value> = one.cost_budget.iter().map(budget_line).collect();
    let commitments: Vec<Value> = one.commitments.iter().map(commitment_line).collect();
    json!({
        GUID: guid(&one.note_id), "RefNbr": one.ref_nbr, "Class": one.class, "ProjectID": one.project_id,
        "Customer": one.customer, "Status": one.status, "Hold": one.hold, "ChangeDate": day(one.change_date),
        "CompletionDate": day_or_null(one.completion_date),
        "ContractTimeChangeDays": one.contract_time_change_days, "Description": one.description,
        "ExternalRefNbr": one.external_ref_nbr, "RevenueChangeNbr": one.revenue_change_nbr,
        "RevenueBudgetChangeTotal": money(one.revenue_budget_change_total),
        "CostBudgetChangeTotal": money(one.cost_budget_change_total),
        "CommitmentsChangeTotal": money(one.commitments_change_total),
        "GrossMarginAmount": money(one.revenue_budget_change_total - one.cost_budget_change_total),
        "RevenueBudget": revenue, "CostBudget": cost, "Commitments": commitments,
        "ApprovalDetails": approvals(one.approval_date),
        "LastModifiedDateTime": moment(one.last_modified_at),
        CUSTOM: custom(&["Document", "CurrentDocument", "DocumentSettings"], [
            ("ApprovalDate", day_or_null(one.approval_date)), ("CreatedDateTime", moment(one.created_at)),
            ("NoteID", guid(&one.note_id)),
        ]),
    })
}

fn budget_line(line: &ErpChangeOrderBudget) -> Value {
    json!({
        "ProjectTaskID": line.project_task_id, "AccountGroup": line.account_group, "CostCode": line.cost_code,
        "InventoryID": line.inventory_id, "Description": line.description, "Amount": money(line.amount),
    })
}

fn commitment_line(line: &ErpChangeOrderCommitment) -> Value {
    json!({
        "POType": line.po_type, "PONbr": line.po_nbr, "POLineNbr": line.po_line_nbr, "Vendor": line.vendor,
        "ProjectTaskID": line.project_task_id, "CostCode": line.cost_code, "Account": line.account,
        "Description": line.description, "Amount": money(line.amount), "LineAmount": money(line.amount),
        "AmountinBaseCurrency": money(line.amount), "Status": line.status, "CurrencyID": "USD",
    })
}

fn merged(first: Value, second: Value) -> Value {
    let mut all = Map::new();
    for value in [first, second] {
        if let Value::Object(fields) = value {
            all.extend(fields);
        }
    }
    Value::Object(all)
}
