//! Vendors, customers, projects, tasks, cost types, estimates.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Row, changed, day_or_null, moment, money, record_number};
use crate::firm::model::{
    AcumaticaDatabase, Cents, ErpBudget, ErpContact, ErpCostCode, ErpCustomer, ErpProject, ErpVendor,
};

/// One vendor in so many belongs to an entity of its own.
const PRIVATE_EVERY: usize = 7;

/// The records of an object of this file.
pub(super) fn rows<'a>(database: &'a AcumaticaDatabase, name: &str) -> Option<Vec<Row<'a>>> {
    Some(match name {
        "vendor" => {
            let vendors = database.vendors.values().enumerate();
            let row = |(place, one): (usize, &'a ErpVendor)| {
                let is_private = place % PRIVATE_EVERY == PRIVATE_EVERY - 1;
                let key = record_number("vendor", &one.vendor_id);
                Row::new(key.clone(), move || vendor(&key, one, is_private)).private(is_private)
            };
            vendors.map(row).collect()
        }
        "customer" => {
            let row = |one: &'a ErpCustomer| {
                let key = record_number("customer", &one.customer_id);
                Row::new(key.clone(), move || customer(&key, one))
            };
            database.customers.values().map(row).collect()
        }
        "project" => {
            let row = |one: &'a ErpProject| {
                let key = record_number("project", &one.project_id);
                Row::new(key.clone(), move || project(&key, one, database))
            };
            database.projects.values().map(row).collect()
        }
        "standard-task" => {
            let row = |one: &'a ErpCostCode| {
                let key = record_number("standard-task", &one.cost_code_id);
                Row::new(key.clone(), move || {
                    json!({
                        "key": key, "id": one.cost_code_id, "name": one.description, "status": "active",
                        "audit.createdDateTime": moment(one.last_modified_at),
                        "audit.modifiedDateTime": moment(one.last_modified_at),
                    })
                })
            };
            database.cost_codes.values().map(row).collect()
        }
        "task" => places(database).into_iter().map(|place| task(database, place)).collect(),
        "standard-cost-type" => standard_cost_types(database),
        "cost-type" => cost_types(database),
        "project-estimate" => estimates(database),
        "project-estimate-line" => {
            costs(database).enumerate().flat_map(|(number, budget)| estimate_lines(number, budget)).collect()
        }
        _ => return None,
    })
}

fn vendor(key: &str, one: &ErpVendor, is_private: bool) -> Value {
    let state = if one.status == "Inactive" { "inactive" } else { "active" };
    let mut record = json!({
        "key": key, "id": one.vendor_id, "name": one.vendor_name, "status": state, "state": "approved",
        "taxId": one.tax_registration_id, "isOnHold": one.status == "On Hold", "doNotPay": one.status == "Hold Payments",
        "isOneTimeUse": one.status == "One-Time", "term.id": one.terms, "currency": one.currency_id,
        "form1099.type": one.f1099_vendor.then_some("NEC"), "form1099.box": one.f1099_box.filter(|_| one.f1099_vendor),
        "form1099.nameOn1099": one.legal_name, "preferredPaymentMethod": one.payment_method.to_lowercase(),
        "ach.enablePayments": false, "creditLimit": Value::Null,
        "vendorType.id": one.vendor_class, "entity.id": is_private.then_some("200"),
        "audit.createdDateTime": moment(one.created_at),
        "audit.modifiedDateTime": changed(one.created_at, one.last_modified_at),
    });
    contact(&mut record, &one.vendor_name, &one.main_contact);
    record
}

fn customer(key: &str, one: &ErpCustomer) -> Value {
    let mut record = json!({
        "key": key, "id": one.customer_id, "name": one.customer_name,
        "status": if one.status == "Inactive" { "inactive" } else { "active" }, "isOnHold": one.status == "Credit Hold",
        "term.id": one.terms, "currency": one.currency_id, "customerType.id": one.customer_class,
        "audit.createdDateTime": moment(one.created_at),
        "audit.modifiedDateTime": changed(one.created_at, one.last_modified_at),
    });
    contact(&mut record, &one.customer_name, &one.main_contact);
    record
}

fn contact(record: &mut Value, name: &str, one: &ErpContact) {
    let Value::Object(fields) = record else { return };
    for (field, value) in [
        ("printAs", Some(name.to_owned())),
        ("email1", one.email.clone()),
        ("phone1", one.phone1.clone()),
        ("mailingAddress.addressLine1", one.address_line1.clone()),
        ("mailingAddress.addressLine2", one.address_line2.clone()),
        ("mailingAddress.city", one.city.clone()),
        ("mailingAddress.state", one.state.clone()),
        ("mailingAddress.postCode", one.postal_code.clone()),
        ("mailingAddress.country", one.country.clone()),
    ] {
        fields.insert(format!("contacts.default.{field}"), json!(value));
    }
}

fn project(key: &str, one: &ErpProject, database: &AcumaticaDatabase) -> Value {
    let customer = one.customer.as_ref().and_then(|id| database.customers.get(id));
    let is_over = matches!(one.status, "Canceled");
    let of_project = |budget: &&ErpBudget| budget.project_id == one.project_id;
    let cost: Cents = costs(database).filter(of_project).map(|budget| budget.revised_budgeted_amount).sum();
    json!({
        "key": key, "id": one.project_id, "name": one.description, "category": "Contract",
        "status": if is_over { "inactive" } else { "active" }, "projectStatus.id": one.status,
        "customer.id": one.customer, "customer.name": customer.map(|customer| &customer.customer_name),
        "manager.id": one.project_manager.as_ref().map(|_| "EMP10"), "manager.name": one.project_manager,
        "startDate": day_or_null(one.start_date), "endDate": day_or_null(one.end_date), "projectCurrency": "USD",
        "budget.budgetedCost": money(cost), "actualAmount": money(one.expenses), "location.id": "100",
        "audit.createdDateTime": moment(one.created_at),
        "audit.modifiedDateTime": changed(one.created_at, one.last_modified_at),
    })
}

/// The cost rows of all budgets.
pub(super) fn costs(database: &AcumaticaDatabase) -> impl Iterator<Item = &ErpBudget> {
    database.project_budgets.values().filter(|row| row.budget_type == "Expense" && !row.cost_code.is_empty())
}

/// Every code of every project.
fn places(database: &AcumaticaDatabase) -> BTreeSet<(&str, &str)> {
    costs(database).map(|row| (row.project_id.as_str(), row.cost_code.as_str())).collect()
}

fn task<'a>(database: &'a AcumaticaDatabase, (project, code): (&'a str, &'a str)) -> Row<'a> {
    let key = record_number("task", &format!("{project}|{code}"));
    Row::new(key.clone(), move || {
        let standard = database.cost_codes.get(code);
        let name = database.projects.get(project).map(|project| &project.description);
        json!({
            "key": key, "id": code, "name": standard.map_or(code, |standard| &standard.description),
            "project.id": project, "project.key": record_number("project", project), "project.name": name,
            "standardTask.id": standard.map(|standard| &standard.cost_code_id), "taskStatus": "inProgress",
            "wbsCode": code, "isBillable": true, "isUtilized": true,
            "audit.createdDateTime": standard.map(|standard| moment(standard.last_modified_at)),
            "audit.modifiedDateTime": standard.map(|standard| moment(standard.last_modified_at)),
        })
    })
}

fn standard_cost_types(database: &AcumaticaDatabase) -> Vec<Row<'_>> {
    let groups = database.account_groups.values().filter(|group| group.group_type == "Expense");
    let row = |group: &crate::firm::model::ErpAccountGroup| {
        let key = record_number("standard-cost-type", &group.account_group_id);
        let record = json!({
            "key": key, "id": group.account_group_id, "name": group.description, "glAccount.id": group.default_account_id,
            "accumulationType.id": group.description, "status": if group.active { "active" } else { "inactive" },
            "audit.createdDateTime": moment(group.last_modified_at),
            "audit.modifiedDateTime": moment(group.last_modified_at),
        });
        Row::of(key, record)
    };
    groups.map(row).collect()
}

fn cost_types(database: &AcumaticaDatabase) -> Vec<Row<'_>> {
    let row = |budget: &ErpBudget| {
        let group = database.account_groups.get(&budget.account_group);
        let place = format!("{}|{}|{}", budget.project_id, budget.cost_code, budget.account_group);
        let key = record_number("cost-type", &place);
        let record = json!({
            "key": key, "id": budget.account_group, "name": group.map(|group| &group.description), "status": "active",
            "project.id": budget.project_id, "task.id": budget.cost_code, "standardCostType.id": budget.account_group,
            "accumulationType.id": group.map(|group| &group.description),
            "glAccount.id": group.and_then(|group| group.default_account_id.as_ref()),
            "audit.createdDateTime": moment(budget.last_modified_at),
            "audit.modifiedDateTime": moment(budget.last_modified_at),
        });
        Row::of(key, record)
    };
    costs(database).map(row).collect()
}

/// What a project's estimate is called.
fn estimate_id(project: &str) -> String {
    format!("EST-{project}")
}

fn estimates(database: &AcumaticaDatabase) -> Vec<Row<'_>> {
    let mut totals: BTreeMap<&str, Cents> = BTreeMap::new();
    for budget in costs(database) {
        *totals.entry(&budget.project_id).or_default() += budget.revised_budgeted_amount;
    }
    let of_project = |(project, total): (&str, Cents), is_primary: bool| {
        let id = if is_primary { estimate_id(project) } else { format!("BID-{project}") };
        let key = record_number("project-estimate", &id);
        let at = database.projects.get(project).map(|project| moment(project.created_at));
        let record = json!({
            "key": key, "id": id, "description": "Cost estimate", "project.id": project, "isPrimary": is_primary,
            "isPrimaryForecast": false, "isPosted": false, "status": "active", "currency": "USD",
            "totalEstimateAmount": money(total), "audit.createdDateTime": at, "audit.modifiedDateTime": at,
        });
        Row::of(key, record)
    };
    let all = totals.into_iter();
    all.flat_map(|total| [of_project(total, true), of_project(total, false)]).collect()
}

/// Estimates are entries by workflow type: what was planned first, and each change of it.
fn estimate_lines(number: usize, budget: &ErpBudget) -> Vec<Row<'_>> {
    let original = budget.original_budgeted_amount;
    let approved = budget.budgeted_co_amount;
    let revision = budget.revised_budgeted_amount - original - approved;
    let estimate = estimate_id(&budget.project_id);
    // Looked at and not part of the budget, as is an estimate that lost.
    let forecast = original.share(1, 50);
    let entries = [
        (estimate.clone(), "original", original),
        (estimate.clone(), "approvedChange", approved),
        (estimate.clone(), "revision", revision),
        (estimate.clone(), "forecast", forecast),
        (estimate.clone(), "pendingChange", if number.is_multiple_of(5) { forecast } else { Cents::ZERO }),
        (format!("BID-{}", budget.project_id), "original", original.share(98, 100)),
    ];
    let is_there = |(_, kind, amount): &(String, &str, Cents)| *kind == "original" || !amount.is_zero();
    let row = |(estimate, kind, amount): (String, &str, Cents)| {
        let place = format!("{estimate}|{}|{}|{kind}", budget.cost_code, budget.account_group);
        let key = record_number("project-estimate-line", &place);
        let record = json!({
            "key": key, "id": key, "projectEstimate.id": estimate,
            "projectEstimate.key": record_number("project-estimate", &estimate), "workflowType": kind,
            "amount": money(amount), "quantity": "1.0000000000", "unitCost": money(amount), "currency": "USD",
            "dimensions.project.id": budget.project_id, "dimensions.task.id": budget.cost_code,
            "dimensions.costType.id": budget.account_group, "memo": budget.description,
            "audit.createdDateTime": moment(budget.last_modified_at),
            "audit.modifiedDateTime": moment(budget.last_modified_at),
        });
        Row::of(key, record)
    };
    entries.into_iter().filter(is_there).map(row).collect()
}
