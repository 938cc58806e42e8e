//! The budget of a project: one view, whose rows carry one key for each of its columns.

use serde_json::{Value, json};

use super::super::routes::{Found, Scope};
use super::{currency, merged, moment, money};
use crate::firm::model::{BudgetLine, Cents, ProcoreDatabase, ProcoreId};

/// From a project's id to its budget view's, beyond every other id.
const VIEW_OFFSET: ProcoreId = 300_000_000_000_000;

pub(in crate::procore) fn lock(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let project = scope.project.and_then(|id| database.projects.get(&id));
    project.map_or(Found::Missing, |project| Found::One(json!({"locked": project.budget_locked})))
}

pub(in crate::procore) fn views(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let Some(project) = scope.project.and_then(|id| database.projects.get(&id)) else { return Found::Missing };
    let id = project.id + VIEW_OFFSET;
    let link = |rows: &str| format!("/rest/v1.0/budget_views/{id}/{rows}?project_id={}", project.id);
    Found::Records(vec![json!({
        "id": id, "name": "Standard budget", "description": null, "role": "budget", "created_by": null,
        "created_at": moment(project.created_at), "updated_at": moment(project.created_at),
        "links": {"detail_rows": link("detail_rows"), "summary_rows": link("summary_rows")},
    })])
}

pub(in crate::procore) fn columns(_: &ProcoreDatabase, _: &Scope) -> Found {
    let names = ["Revised Budget", "Approved Change Orders", "Committed Costs", "Job to Date Costs"];
    let columns = names.iter().zip(1..).map(|(name, position)| {
        json!({
            "id": column_id(name), "name": name, "position": position, "type": "source", "aggregatable": true,
            "filterable": false, "groupable": false,
        })
    });
    Found::Records(columns.collect())
}

pub(in crate::procore) fn detail_rows(database: &ProcoreDatabase, scope: &Scope) -> Found {
    if scope.id != scope.project.map(|project| project + VIEW_OFFSET) {
        return Found::Missing;
    }
    let of_project = database.budget_lines.values().filter(|line| Some(line.project_id) == scope.project);
    Found::Records(of_project.map(|line| row(database, line)).collect())
}

fn row(database: &ProcoreDatabase, line: &BudgetLine) -> Value {
    let project = database.projects.get(&line.project_id);
    let code = database.cost_codes.get(&line.cost_code_id);
    let name = project.map(|project| &project.name);
    let fixed = json!({
        "id": line.id, "project_id": line.project_id, "project": name, "company_id": database.company.id,
        "company": database.company.name, "wbs_code_id": line.wbs_code_id, "cost_code_id": line.cost_code_id,
        "cost_code": line.cost_code, "cost_code_origin_id": code.and_then(|code| code.origin_id.as_ref()),
        "root_cost_code": line.cost_code.split('-').next(), "root_cost_code_id": code.and_then(|code| code.parent_id),
        "category": line.cost_type, "category_id": line.line_item_type_id, "biller": name,
        "biller_id": line.project_id, "biller_type": "Project",
    });
    let amounts = json!({
        "original_budget_amount": money(line.original_budget_amount),
        "budget_modifications": money(line.budget_modifications),
        "budget_forecast": {"amount": money(Cents::ZERO), "manual_amount": null, "automatic_amount": money(Cents::ZERO),
            "calculation_strategy": "automatic"},
        "unbudgeted_reason": null, "deletable": false, "currency_configuration": currency(),
        "revised_budget": money(line.revised_budget), "approved_change_orders": money(line.approved_change_orders),
        "committed_costs": money(line.committed_costs), "job_to_date_costs": money(line.job_to_date_costs),
    });
    merged(fixed, amounts)
}

fn column_id(name: &str) -> String {
    name.to_lowercase().replace(' ', "_")
}
