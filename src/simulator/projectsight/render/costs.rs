//! Job cost as the ERP sent it.

use serde_json::{Value, json};

use super::super::ids::{ProjectSightKind as Kind, guid};
use super::{Look, merged, money};
use crate::firm::model::{DirectCost, ProcoreId};
use crate::http::with;

/// What the ERP posted, with the ids of its records on header and lines.
pub(in crate::projectsight) fn job_costs(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    let posted = look.pm.direct_costs.values().filter(|one| one.project_id == project && one.status == "approved");
    posted.map(|one| record(look, one)).collect()
}

fn record(look: &Look<'_>, one: &DirectCost) -> Value {
    let items: Vec<Value> = one
        .lines
        .iter()
        .map(|line| {
            merged([
                json!({
                    "TableType": 51, "JobCostItemID": look.id(Kind::Line, line.id),
                    "JobCostID": look.id(Kind::JobCost, one.id), "GUID": guid("line", &line.id.to_string()),
                    "DeleteRequested": false, "Deleted": false, "Description": line.description,
                }),
                look.coded(one.project_id, &line.cost_code, line.cost_type),
                json!({
                    "Quantity": 1.0, "UnitCost": money(line.amount), "Amount": money(line.amount),
                    "OriginID": line.origin_id, "Hours": 0.0,
                }),
                look.footer(one.project_id, line.created_at, line.updated_at),
            ])
        })
        .collect();
    let month = one.direct_cost_date.format("%Y-%m-01").to_string();
    let record = merged([
        json!({
            "TableType": 50, "JobCostID": look.id(Kind::JobCost, one.id), "GUID": guid("job cost", &one.id.to_string()),
            "Deleted": false, "Number": look.id(Kind::JobCost, one.id).to_string(), "Type": one.direct_cost_type,
            "Description": one.description, "Month": month, "ActualDate": one.direct_cost_date.to_string(),
            "InvoiceNumber": null, "CompanyID": null, "CompanyName": null, "ExtCompanyName": null,
            "OriginID": one.origin_id,
        }),
        look.footer(one.project_id, one.created_at, one.updated_at),
    ]);
    with(record, "JobCostItems", items.into())
}
