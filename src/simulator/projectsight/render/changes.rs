//! Change orders: of subcontracts, of prime contracts, and the tiers below them (potential change orders, requests).

use serde_json::{Value, json};

use super::super::ids::{ProjectSightKind as Kind, guid};
use super::contracts::approved_for_budget;
use super::{Look, date, integrated, is_purchase_order, merged, money};
use crate::firm::model::{Cents, ChangeOrder, ChangeOrderKind, ProcoreId};
use crate::http::with;

fn of_kind<'a>(look: &Look<'a>, project: ProcoreId, kind: ChangeOrderKind) -> impl Iterator<Item = &'a ChangeOrder> {
    let pm = look.pm;
    // A purchase order is changed by its items.
    let is_order = move |id| pm.commitments.get(&id).is_some_and(is_purchase_order);
    pm.change_orders
        .values()
        .filter(move |one| one.project_id == project && one.kind == kind && !is_order(one.contract_id))
}

/// The firm's tier above a potential change order, and its kind.
fn kind_of(one: &ChangeOrder) -> Kind {
    match one.kind {
        ChangeOrderKind::Prime => Kind::PrimeChangeOrder,
        ChangeOrderKind::Commitment => Kind::SubcontractChangeOrder,
    }
}

fn contract_number(look: &Look<'_>, one: &ChangeOrder) -> Option<String> {
    let commitment = look.pm.commitments.get(&one.contract_id).map(|contract| contract.number.clone());
    commitment.or_else(|| look.pm.prime_contracts.get(&one.contract_id).map(|contract| contract.number.clone()))
}

/// What was approved on the contract before.
fn approved_before(look: &Look<'_>, one: &ChangeOrder) -> Cents {
    let earlier = look
        .pm
        .change_orders
        .values()
        .filter(|other| other.contract_id == one.contract_id && other.status == "approved" && other.id < one.id);
    earlier.map(|other| other.grand_total).sum()
}

fn change_order(look: &Look<'_>, one: &ChangeOrder, sequence: i64) -> Value {
    let package = one.legacy_package_id.and_then(|id| look.pm.change_order_packages.get(&id));
    let code = package.and_then(|package| package.origin_code.as_ref().or(package.origin_id.as_ref()));
    let deleted = package.is_some_and(|package| package.deleted_at.is_some());
    let executed = one.reviewed_at.filter(|_| one.status == "approved").map(|at| at.date_naive());
    merged([
        json!({
            "TableType": 30, "ChangeOrderID": look.id(kind_of(one), one.id),
            "GUID": guid("change order", &one.id.to_string()), "Deleted": deleted,
            "ContractID": look.id(Kind::Contract, one.contract_id), "ContractNumber": contract_number(look, one),
        }),
        json!({
            "Sequence": sequence, "Description": one.title, "Date": one.created_at.date_naive().to_string(),
            "NTPDate": null, "ExecutedDate": date(executed), "Category": null, "Reference": null,
            "ApprovedDays": one.schedule_impact_amount, "NetPrevApprovedAmount": money(approved_before(look, one)),
            "NetPrevApprovedDays": 0.0, "ApprovedAmount": money(one.grand_total), "Notes": null,
        }),
        integrated(code),
        look.state(one.status),
        look.footer(one.project_id, one.created_at, one.updated_at),
    ])
}

pub(in crate::projectsight) fn subcontract(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    let record = |(one, sequence): (&ChangeOrder, i64)| {
        let links: Vec<Value> = one
            .lines
            .iter()
            .map(|line| {
                merged([
                    json!({
                        "TableType": 32, "PCOItemID": look.id(Kind::Line, line.id),
                        "ChangeOrderID": look.id(Kind::SubcontractChangeOrder, one.id),
                        "GUID": guid("line", &line.id.to_string()), "DeleteRequested": false, "Deleted": false,
                        "ItemNumber": format!("{:03}", line.position),
                        "PCOID": look.id(Kind::PotentialChangeOrder, one.id), "PCONumber": potential_number(one),
                        "Description": line.description,
                    }),
                    look.coded(project, &line.cost_code, line.cost_type),
                    json!({"CostAppliedAmount": money(line.amount), "CostAppliedQuantity": 1.0, "UOM": "LS"}),
                    look.footer(project, one.created_at, one.updated_at),
                ])
            })
            .collect();
        let own = json!({"SCONumber": one.number, "IsLockedBySCO": false});
        let record = merged([change_order(look, one, sequence), own, approved_for_budget(one.status)]);
        with(record, "SubContractCOPCOItemLinks", links.into())
    };
    of_kind(look, project, ChangeOrderKind::Commitment).zip(1..).map(record).collect()
}

pub(in crate::projectsight) fn prime(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    let record = |(one, sequence): (&ChangeOrder, i64)| {
        merged([change_order(look, one, sequence), json!({"PCCONumber": one.number, "IsLockedByPCCO": false})])
    };
    of_kind(look, project, ChangeOrderKind::Prime).zip(1..).map(record).collect()
}

fn potential_number(one: &ChangeOrder) -> String {
    format!("P-{}", one.number)
}

/// One behind each change order, with the lines of it.
pub(in crate::projectsight) fn potential(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    let kinds = [ChangeOrderKind::Prime, ChangeOrderKind::Commitment];
    let all = kinds.into_iter().flat_map(|kind| of_kind(look, project, kind));
    all.map(|one| {
        let is_prime = one.kind == ChangeOrderKind::Prime;
        let approved = if one.status == "approved" { one.grand_total } else { Cents::ZERO };
        let (owner, cost) = if is_prime { (one.grand_total, Cents::ZERO) } else { (Cents::ZERO, one.grand_total) };
        let (owner_approved, cost_approved) = if is_prime { (approved, Cents::ZERO) } else { (Cents::ZERO, approved) };
        let order = is_prime.then(|| look.id(Kind::PrimeChangeOrder, one.id));
        let record = merged([
            json!({
                "TableType": 31, "PCOID": look.id(Kind::PotentialChangeOrder, one.id),
                "GUID": guid("potential change order", &one.id.to_string()), "Deleted": false,
                "PCONumber": potential_number(one), "DateCreated": one.created_at.date_naive().to_string(), "DateDue": date(one.due_date),
                "Description": one.title, "BdgtEstimatedAmount": money(owner), "BdgtProposedAmount": money(owner),
                "BdgtApprovedAmount": money(owner_approved), "BdgtAppliedAmount": money(owner_approved),
                "CostEstimatedAmount": money(cost), "CostProposedAmount": money(cost),
                "RevenueAmount": money(owner_approved), "CostApprovedAmount": money(cost_approved), "CostAppliedAmount": money(cost_approved),
                "ChangeOrderID": order, "PCCONumber": is_prime.then_some(&one.number),
                "CORequestID": is_prime.then(|| look.id(Kind::ChangeOrderRequest, one.id)),
                "CORNumber": is_prime.then(|| request_number(one)),
                "ContractID": look.id(Kind::Contract, one.contract_id), "ContractNumber": contract_number(look, one),
            }),
            approved_for_budget(one.status),
            integrated(None),
            look.state(one.status),
            look.footer(project, one.created_at, one.updated_at),
        ]);
        let items: Vec<Value> = one.lines.iter().map(|line| {
            merged([
                json!({
                    "TableType": 33, "PCOItemID": look.id(Kind::Line, line.id),
                    "PCOID": look.id(Kind::PotentialChangeOrder, one.id), "GUID": guid("line", &line.id.to_string()),
                    "DeleteRequested": false, "Deleted": false, "ItemNumber": format!("{:03}", line.position),
                    "Description": line.description,
                }),
                look.coded(project, &line.cost_code, line.cost_type),
                json!({
                    "BdgtProposedAmount": money(if is_prime { line.amount } else { Cents::ZERO }),
                    "CostProposedAmount": money(if is_prime { Cents::ZERO } else { line.amount }), "UOM": "LS",
                }),
                look.footer(project, one.created_at, one.updated_at),
            ])
        }).collect();
        with(record, "PotentialCOItems", items.into())
    })
    .collect()
}

fn request_number(one: &ChangeOrder) -> String {
    format!("R-{}", one.number)
}

/// One before each change order of the owner.
pub(in crate::projectsight) fn requests(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    of_kind(look, project, ChangeOrderKind::Prime)
        .map(|one| {
            let approved = if one.status == "approved" { one.grand_total } else { Cents::ZERO };
            merged([
                json!({
                    "TableType": 34, "CORequestID": look.id(Kind::ChangeOrderRequest, one.id),
                    "GUID": guid("change order request", &one.id.to_string()), "Deleted": false,
                    "CORNumber": request_number(one), "Description": one.title,
                    "InitiatedDate": one.created_at.date_naive().to_string(), "CompletedDate": null, "ExecutedDate": null, "RequestedAmount": money(one.grand_total),
                    "ApprovedAmount": money(approved), "RequestedDays": one.schedule_impact_amount,
                    "ApprovedDays": one.schedule_impact_amount,
                }),
                look.state(one.status),
                look.footer(project, one.created_at, one.updated_at),
            ])
        })
        .collect()
}
