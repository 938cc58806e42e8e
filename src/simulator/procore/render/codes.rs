//! Budget codes and tax codes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::routes::{Found, Scope};
use super::moment;
use crate::firm::model::{BudgetLine, CostCode, ProcoreDatabase, ProcoreId};

/// From the company's id to its tax codes and segments, beyond every other id.
const OFFSET: ProcoreId = 200_000_000_000_000;

/// The codes that the project's budget uses.
pub(in crate::procore) fn wbs_codes(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let mut rows: BTreeMap<ProcoreId, &BudgetLine> = BTreeMap::new();
    for row in database.budget_lines.values().filter(|row| Some(row.project_id) == scope.project) {
        rows.insert(row.wbs_code_id, row);
    }
    Found::Records(rows.values().map(|row| wbs_code(database, row)).collect())
}

fn wbs_code(database: &ProcoreDatabase, row: &BudgetLine) -> Value {
    let code = database.cost_codes.get(&row.cost_code_id);
    let title = code.map(|code: &CostCode| code.name.clone()).unwrap_or_default();
    let kind = database.cost_types.get(&row.line_item_type_id).map(|kind| kind.name).unwrap_or_default();
    let segment = |position: i64, name: &str, kind: &str| {
        json!({"id": database.company.id + OFFSET + position, "name": name, "type": kind, "position": position,
            "structure": "flat"})
    };
    json!({
        "id": row.wbs_code_id, "flat_code": format!("{}.{}", row.cost_code, row.cost_type),
        "flat_name": format!("{title}.{kind}"), "description": title, "status": "active",
        "wbs_pattern_id": database.company.id + OFFSET, "created_at": moment(row.created_at),
        "updated_at": moment(row.created_at),
        "segment_items": [
            {"id": row.cost_code_id, "code": row.cost_code, "name": title, "parent_id": null, "status": "active",
                "path_code": row.cost_code, "path_codes": [row.cost_code], "path_ids": [row.cost_code_id],
                "segment": segment(1, "Cost Code", "cost_code")},
            {"id": row.line_item_type_id, "code": row.cost_type, "name": kind, "parent_id": null, "status": "active",
                "path_code": row.cost_type, "path_codes": [row.cost_type], "path_ids": [row.line_item_type_id],
                "segment": segment(2, "Cost Type", "line_item_type")},
        ],
    })
}

/// Rates are numbers, not text.
pub(in crate::procore) fn tax_codes(database: &ProcoreDatabase, _: &Scope) -> Found {
    let codes = [(11, "NC-MECK", "Mecklenburg County", "7.25", true), (12, "EXEMPT", "Exempt", "0", false)];
    let record = |(number, code, description, rate, is_default): (ProcoreId, &str, &str, &str, bool)| {
        let rate: Value = serde_json::from_str(rate).unwrap_or_default();
        json!({
            "id": database.company.id + OFFSET + number, "code": code, "description": description, "rate1": rate,
            "archived": false, "default_tax_code": is_default, "origin_id": code, "origin_data": null,
        })
    };
    Found::Records(codes.map(record).to_vec())
}
