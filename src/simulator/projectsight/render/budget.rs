//! The budget: one row for each budget code. A code is made of segments, joined as the project's structure says; a code that
//! is used or listed has a row, also over nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::ids::{ProjectSightKind as Kind, guid};
use super::{Look, merged, moment, money};
use crate::firm::model::{Cents, ProcoreDatabase, ProcoreId};

/// The segments: a division, a code in it, and a type of cost.
pub(in crate::projectsight) fn structure(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    let levels = [(1, "Division", 1), (2, "Cost Code", 2), (3, "Cost Type", 2)];
    let created = look.pm.projects.get(&project).map(|project| moment(project.created_at));
    let level = |(level, description, separator): (i64, &str, i64)| {
        json!({
            "OkToUse": true, "Level": level, "Description": description, "ShowInCode": true, "SeparatorID": separator,
            "ProjectID": look.id(Kind::Project, project), "LastModified": created,
        })
    };
    levels.into_iter().map(level).collect()
}

#[derive(Default)]
struct Row {
    original: Cents,
    revisions: Cents,
    revised: Cents,
    committed: Cents,
    cost: Cents,
    changed: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// Rows by code and type.
fn rows(pm: &ProcoreDatabase, project: ProcoreId) -> BTreeMap<(String, String), Row> {
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    for line in pm.budget_lines.values().filter(|line| line.project_id == project) {
        let row = rows.entry((line.cost_code.clone(), line.cost_type.to_owned())).or_default();
        row.original += line.original_budget_amount;
        row.revisions += line.budget_modifications + line.approved_change_orders;
        row.revised += line.revised_budget;
        row.committed += line.committed_costs;
        row.cost += line.job_to_date_costs;
        row.changed = Some((line.created_at, line.updated_at));
    }
    let commitments = pm.commitments.values().filter(|one| one.project_id == project);
    let contracts = commitments.flat_map(|one| &one.lines).map(|line| (&line.cost_code, line.cost_type));
    let changes = pm.change_orders.values().filter(|one| one.project_id == project);
    let changes = changes.flat_map(|one| &one.lines).map(|line| (&line.cost_code, line.cost_type));
    let invoices = pm.requisitions.values().filter(|one| one.project_id == project);
    let invoices = invoices.flat_map(|one| &one.items).map(|line| (&line.cost_code, line.cost_type));
    let costs = pm.direct_costs.values().filter(|one| one.project_id == project);
    let costs = costs.flat_map(|one| &one.lines).map(|line| (&line.cost_code, line.cost_type));
    for (code, cost_type) in contracts.chain(changes).chain(invoices).chain(costs) {
        rows.entry((code.clone(), cost_type.to_owned())).or_default();
    }
    let listed = pm
        .cost_codes
        .values()
        .filter(|code| code.project_id == project && code.deleted_at.is_none() && code.parent_id.is_some());
    for code in listed {
        if !rows.keys().any(|(other, _)| *other == code.full_code) {
            rows.insert((code.full_code.clone(), "O".to_owned()), Row::default());
        }
    }
    rows
}

pub(in crate::projectsight) fn budgets(look: &Look<'_>, project: ProcoreId) -> Vec<Value> {
    let Some(of_project) = look.pm.projects.get(&project) else { return Vec::new() };
    let codes = look.pm.cost_codes.values().filter(|code| code.project_id == project);
    let titles: BTreeMap<&str, &str> = codes.map(|code| (code.full_code.as_str(), code.name.as_str())).collect();
    let types: BTreeMap<&str, &str> = look.pm.cost_types.values().map(|one| (one.code, one.name)).collect();
    let state = if of_project.budget_locked { "approved" } else { "draft" };
    let record = |((code, cost_type), row): ((String, String), Row)| {
        let (division, rest) = code.split_once('-').map_or((code.as_str(), None), |(one, two)| (one, Some(two)));
        let title = titles.get(code.as_str()).copied();
        let title_of_type = types.get(cost_type.as_str()).copied();
        let segment = |text: &str| look.id_of(Kind::Segment, text);
        let (created, updated) = row.changed.unwrap_or((of_project.created_at, of_project.created_at));
        let key = format!("{project}/{code}/{cost_type}");
        let division_title = titles.get(division).copied().or(if rest.is_none() { title } else { None });
        let unused = (4..=9).flat_map(|level| ["", "Description", "ID"].map(|part| format!("Group{level}{part}")));
        merged([
            json!({"TableType": 10}),
            look.coded(project, &code, &cost_type),
            json!({
                "GUID": guid("budget code", &key), "Deleted": false, "RevenueCodeID": null, "RevenueCode": null,
                "AliasCode": null, "Group1": division, "Group1Description": division_title,
                "Group1ID": segment(division), "Group2": rest, "Group2Description": rest.and(title),
                "Group2ID": rest.map(segment), "Group3": cost_type, "Group3Description": title_of_type,
                "Group3ID": segment(&cost_type),
                "Description": title, "OriginalBudget": money(row.original),
                "ApprovedBudgetRevs": money(row.revisions), "CurrentBudget": money(row.revised),
                "PendingBudgetRevs": 0.0, "OriginalCommitments": money(row.committed), "ApprovedCommitmentRevs": 0.0,
                "NonCommitmentCosts": 0.0, "UnCommittedCosts": money(row.revised - row.committed), "TotalCommittedCosts": money(row.committed), "PendingCommitment": 0.0,
                "CostToDate": money(row.cost), "ForecastToComplete": null, "ERPIntegrated": of_project.budget_locked,
                "IsApproved": of_project.budget_locked,
            }),
            Value::Object(unused.map(|name| (name, Value::Null)).collect()),
            look.state(state),
            look.footer(project, created, updated),
        ])
    };
    rows(look.pm, project).into_iter().map(record).collect()
}
