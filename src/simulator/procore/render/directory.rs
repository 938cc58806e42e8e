//! Companies, vendors, projects, codes.

use serde_json::{Value, json};

use super::super::routes::{Found, Scope};
use super::{date, merged, moment, moment_or_null, money};
use crate::firm::model::{CostCode, CostType, ProcoreDatabase, ProcoreId, Project, Vendor};

pub(in crate::procore) fn none(_: &ProcoreDatabase, _: &Scope) -> Found {
    Found::Records(Vec::new())
}

pub(in crate::procore) fn companies(database: &ProcoreDatabase, _: &Scope) -> Found {
    let company = &database.company;
    Found::Records(vec![json!({
        "id": company.id, "name": company.name, "is_active": true, "logo_url": null, "my_company": true,
        "pcn_business_experience": null,
    })])
}

pub(in crate::procore) fn me(database: &ProcoreDatabase, _: &Scope) -> Found {
    let login = format!("service-account-{}@procore.invalid", database.company.id);
    Found::One(json!({"id": database.company.id + 1, "login": login, "name": "Service account"}))
}

pub(in crate::procore) fn vendors(database: &ProcoreDatabase, _: &Scope) -> Found {
    Found::Records(database.vendors.values().filter(|vendor| vendor.is_active).map(vendor_record).collect())
}

pub(in crate::procore) fn inactive_vendors(database: &ProcoreDatabase, _: &Scope) -> Found {
    Found::Records(database.vendors.values().filter(|vendor| !vendor.is_active).map(vendor_record).collect())
}

pub(in crate::procore) fn project_vendors(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let of_project = |vendor: &&Vendor| {
        vendor.is_active && scope.project.is_some_and(|project| vendor.project_ids.contains(&project))
    };
    Found::Records(database.vendors.values().filter(of_project).map(vendor_record).collect())
}

pub(in crate::procore) fn vendor(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let vendor = scope.id.and_then(|id| database.vendors.get(&id));
    vendor.map_or(Found::Missing, |vendor| Found::One(vendor_record(vendor)))
}

/// A vendor as other records repeat it: id and name.
pub(super) fn vendor_name(database: &ProcoreDatabase, id: Option<ProcoreId>) -> Option<&Vendor> {
    id.and_then(|id| database.vendors.get(&id))
}

fn vendor_record(vendor: &Vendor) -> Value {
    let register = vendor.tax_identifier.as_ref().map(|identifier| json!({"type": "EIN", "identifier": identifier}));
    let identity = json!({
        "id": vendor.id, "name": vendor.name, "company": vendor.name, "legal_name": vendor.legal_name,
        "trade_name": vendor.trade_name, "abbreviated_name": vendor.abbreviated_name, "is_active": vendor.is_active,
        "synced_to_erp": vendor.synced_to_erp, "origin_id": vendor.origin_id, "origin_code": vendor.origin_code,
        "origin_data": null, "business_register": register, "license_number": vendor.license_number,
    });
    let contact = json!({
        "address": vendor.address, "city": vendor.city, "state_code": vendor.state_code, "zip": vendor.zip,
        "country_code": vendor.country_code, "email_address": vendor.email_address,
        "business_phone": vendor.business_phone, "mobile_phone": null, "fax_number": null, "website": null,
        "vendor_group": null, "parent": null, "children_count": 0, "project_ids": vendor.project_ids,
        "primary_contact": null, "trades": [], "standard_cost_codes": [],
        "created_at": moment(vendor.created_at), "updated_at": moment(vendor.updated_at),
    });
    merged(identity, contact)
}

pub(in crate::procore) fn projects(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let wanted = |project: &&Project| match scope.by_status.as_deref() {
        Some("All") => true,
        Some("Inactive") => !project.active,
        _ => project.active,
    };
    let chosen = database.projects.values().filter(wanted);
    Found::Records(chosen.map(|project| project_record(database, project, scope)).collect())
}

/// The cheap list: every project, few fields.
pub(in crate::procore) fn company_projects(database: &ProcoreDatabase, _: &Scope) -> Found {
    let record = |project: &Project| {
        json!({
            "id": project.id, "name": project.name, "stage_name": project.stage,
            "status_name": if project.active { "Active" } else { "Inactive" }, "type_name": null,
            "address": {"street": project.address, "city": project.city, "state_code": project.state_code,
                "zip": project.zip},
        })
    };
    Found::Records(database.projects.values().map(record).collect())
}

pub(in crate::procore) fn project(database: &ProcoreDatabase, scope: &Scope) -> Found {
    if scope.company.is_none() {
        return Found::Bad("company_id is required");
    }
    let project = scope.id.and_then(|id| database.projects.get(&id));
    project.map_or(Found::Missing, |project| Found::One(project_record(database, project, scope)))
}

fn project_record(database: &ProcoreDatabase, project: &Project, scope: &Scope) -> Value {
    let number = project.project_number.as_deref().unwrap_or_default();
    let stage_id = i64::try_from(project.stage.len()).unwrap_or_default();
    let template = project.is_template.then(|| json!({"id": project.id, "name": project.name}));
    let identity = json!({
        "id": project.id, "name": project.name, "display_name": format!("{number} - {}", project.name),
        "project_number": project.project_number, "accounting_project_number": project.accounting_project_number,
        "active": project.active, "is_demo": project.is_demo, "stage": project.stage,
        "project_stage": {"id": stage_id, "name": project.stage}, "project_template": template,
        "parent_job_id": null, "origin_id": project.origin_id, "origin_code": project.origin_code,
        "origin_data": null, "total_value": money(project.total_value), "estimated_value": null,
        "company": {"id": database.company.id, "name": database.company.name},
    });
    let dates = json!({
        "start_date": date(project.start_date), "completion_date": date(project.completion_date),
        "projected_finish_date": null, "address": project.address, "city": project.city,
        "state_code": project.state_code, "zip": project.zip, "country_code": "US", "time_zone": project.time_zone,
        "owners_project_id": null, "created_at": moment(project.created_at), "updated_at": moment(project.updated_at),
        "custom_fields": {},
    });
    let record = merged(identity, dates);
    if scope.version == "v1.1" && scope.view.as_deref() == Some("extended") {
        let more = json!({
            "departments": [], "office": null, "program": null, "project_type": null, "tz_name": project.time_zone,
            "actual_start_date": date(project.start_date), "estimated_completion_date": date(project.completion_date),
            "square_feet": null,
        });
        return merged(record, more);
    }
    record
}

pub(in crate::procore) fn cost_codes(database: &ProcoreDatabase, scope: &Scope) -> Found {
    let types: Vec<Value> = database.cost_types.values().map(cost_type_record).collect();
    let record = |code: &CostCode| {
        let biller = database.projects.get(&code.project_id);
        json!({
            "id": code.id, "code": code.code, "full_code": code.full_code, "name": code.name,
            "sortable_code": code.full_code, "parent": {"id": code.parent_id},
            "biller": biller.map(|project| &project.name), "biller_id": code.project_id, "biller_type": "Project",
            "biller_origin_id": biller.and_then(|project| project.origin_id.as_ref()), "budgeted": code.budgeted,
            "position": code.position, "standard_cost_code_id": code.standard_cost_code_id,
            "origin_id": code.origin_id, "origin_data": null, "line_item_types": types,
            "created_at": moment(code.created_at), "updated_at": moment(code.updated_at),
            "deleted_at": moment_or_null(code.deleted_at),
        })
    };
    let of_project = database.cost_codes.values().filter(|code| Some(code.project_id) == scope.project);
    Found::Records(of_project.map(record).collect())
}

pub(in crate::procore) fn standard_cost_codes(database: &ProcoreDatabase, _: &Scope) -> Found {
    let codes = database.standard_cost_codes.values().map(|code| {
        json!({
            "id": code.id, "standard_cost_code_list_id": code.standard_cost_code_list_id, "code": code.code,
            "full_code": code.full_code, "name": code.name, "parent": {"id": code.parent_id},
            "origin_id": code.origin_id, "origin_data": null,
        })
    });
    Found::Records(codes.collect())
}

pub(in crate::procore) fn line_item_types(database: &ProcoreDatabase, _: &Scope) -> Found {
    Found::Records(database.cost_types.values().map(cost_type_record).collect())
}

fn cost_type_record(cost_type: &CostType) -> Value {
    json!({
        "id": cost_type.id, "name": cost_type.name, "code": cost_type.code, "base_type": cost_type.base_type,
        "origin_id": cost_type.origin_id, "origin_data": null,
    })
}
