//! Vendors, customers, projects and their budgets, codes, accounts.

use serde_json::{Value, json};

use super::{CUSTOM, GUID, custom, day_or_null, derived_guid, guid, moment, money, rate};
use crate::firm::PAYABLE;
use crate::firm::model::{
    ErpAccount, ErpAccountGroup, ErpBudget, ErpContact, ErpCostCode, ErpCustomer, ErpProject, ErpTask, ErpVendor,
};

pub(super) fn vendor(one: &ErpVendor) -> Value {
    json!({
        GUID: guid(&one.note_id), "VendorID": one.vendor_id, "VendorName": one.vendor_name,
        "LegalName": one.legal_name, "VendorClass": one.vendor_class, "Status": one.status,
        "AccountRef": one.account_ref, "APAccount": PAYABLE, "Terms": one.terms, "PaymentMethod": one.payment_method,
        "CurrencyID": one.currency_id, "F1099Vendor": one.f1099_vendor, "F1099Box": one.f1099_box,
        "TaxRegistrationID": one.tax_registration_id, "VendorIsLaborUnion": false, "VendorIsTaxAgency": false,
        "MainContact": contact(&one.main_contact), "PrimaryContact": contact(&one.main_contact),
        "RemittanceContact": contact(&one.remittance_contact),
        "CreatedDateTime": moment(one.created_at), "LastModifiedDateTime": moment(one.last_modified_at),
        CUSTOM: custom(&["BAccount", "CurrentVendor"], [("NoteID", guid(&one.note_id))]),
    })
}

pub(super) fn customer(one: &ErpCustomer) -> Value {
    json!({
        GUID: guid(&one.note_id), "NoteID": guid(&one.note_id), "CustomerID": one.customer_id,
        "CustomerName": one.customer_name, "CustomerClass": one.customer_class, "Status": one.status,
        "AccountRef": one.account_ref, "Terms": one.terms, "CurrencyID": one.currency_id,
        "Email": one.main_contact.email, "MainContact": contact(&one.main_contact),
        "BillingContact": contact(&one.main_contact),
        "CreatedDateTime": moment(one.created_at), "LastModifiedDateTime": moment(one.last_modified_at),
    })
}

fn contact(one: &ErpContact) -> Value {
    json!({
        "Email": one.email, "Phone1": one.phone1,
        "Address": {"AddressLine1": one.address_line1, "AddressLine2": one.address_line2, "City": one.city,
            "State": one.state, "PostalCode": one.postal_code, "Country": one.country},
    })
}

pub(super) fn project(one: &ErpProject) -> Value {
    json!({
        GUID: guid(&one.note_id), "ProjectID": one.project_id, "Description": one.description,
        "Customer": one.customer, "Status": one.status, "Hold": one.hold, "ExternalRefNbr": one.external_ref_nbr,
        "Income": money(one.income), "Expenses": money(one.expenses),
        "ProjectProperties": {"StartDate": day_or_null(one.start_date), "EndDate": day_or_null(one.end_date),
            "ProjectManager": one.project_manager, "ChangeOrderWorkflow": true, "ProjectCurrency": "USD",
            "CostBudgetLevel": "Task and Cost Code", "RevenueBudgetLevel": "Task",
            "LastRevenueChangeNbr": one.last_revenue_change_nbr},
        "Retainage": {"RetainagePct": rate(one.retainage_pct), "RetainageMode": "Standard", "UseSteps": false},
        "LastModifiedDateTime": moment(one.last_modified_at),
        CUSTOM: custom(&["Project"], [
            ("CreatedDateTime", moment(one.created_at)), ("NoteID", guid(&one.note_id)),
        ]),
    })
}

pub(super) fn task(one: &ErpTask) -> Value {
    json!({
        GUID: derived_guid("ProjectTask", &format!("{}|{}", one.project_id, one.project_task_id)),
        "ProjectID": one.project_id, "ProjectTaskID": one.project_task_id, "Description": one.description,
        "Status": one.status, "Default": one.is_default, "ExternalRefNbr": one.external_ref_nbr,
        "LastModifiedDateTime": moment(one.last_modified_at),
    })
}

pub(super) fn budget(one: &ErpBudget) -> Value {
    let key = [&one.project_id, &one.project_task_id, &one.account_group, &one.cost_code, &one.inventory_id];
    let key = key.map(String::as_str).join("|");
    json!({
        GUID: derived_guid("ProjectBudget", &key), "ProjectID": one.project_id,
        "ProjectTaskID": one.project_task_id, "AccountGroup": one.account_group, "CostCode": one.cost_code,
        "InventoryID": one.inventory_id, "Type": one.budget_type, "Description": one.description,
        "OriginalBudgetedAmount": money(one.original_budgeted_amount),
        "BudgetedCOAmount": money(one.budgeted_co_amount),
        "RevisedBudgetedAmount": money(one.revised_budgeted_amount),
        "OriginalCommittedAmount": money(one.original_committed_amount),
        "CommittedCOAmount": money(one.committed_co_amount),
        "RevisedCommittedAmount": money(one.revised_committed_amount),
        "CommittedInvoicedAmount": money(one.committed_invoiced_amount),
        "CommittedOpenAmount": money(one.committed_open_amount), "ActualAmount": money(one.actual_amount),
        "ActualPlusOpenCommittedAmount": money(one.actual_amount + one.committed_open_amount),
        "VarianceAmount": money(one.revised_budgeted_amount - one.actual_amount - one.committed_open_amount),
        "LastModifiedDateTime": moment(one.last_modified_at),
    })
}

pub(super) fn cost_code(one: &ErpCostCode) -> Value {
    json!({
        GUID: derived_guid("CostCode", &one.cost_code_id), "CostCodeID": one.cost_code_id,
        "Description": one.description, "LastModifiedDateTime": moment(one.last_modified_at),
    })
}

pub(super) fn account_group(one: &ErpAccountGroup) -> Value {
    json!({
        GUID: derived_guid("AccountGroup", &one.account_group_id), "AccountGroupID": one.account_group_id,
        "Description": one.description, "Type": one.group_type, "Active": one.active,
        "Expense": one.group_type == "Expense", "DefaultAccountID": one.default_account_id,
        "SortOrder": one.sort_order, "LastModifiedDateTime": moment(one.last_modified_at),
    })
}

pub(super) fn account(one: &ErpAccount) -> Value {
    json!({
        GUID: derived_guid("Account", &one.account_cd), "AccountCD": one.account_cd, "AccountID": one.account_id,
        "Description": one.description, "Type": one.account_type, "AccountClass": one.account_class,
        "AccountGroup": one.account_group, "Active": one.active, "CashAccount": one.cash_account,
        "LastModifiedDateTime": moment(one.last_modified_at),
        CUSTOM: custom(&["AccountRecords"], [("ControlAccountModule", control_module(one.account_class))]),
    })
}

/// The module whose documents an account of this class controls.
fn control_module(class: &str) -> Value {
    if matches!(class, "AP" | "AR") { json!(class) } else { Value::Null }
}
