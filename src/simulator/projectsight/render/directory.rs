//! The portfolio, its projects and its companies.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::ids::{ProjectSightKind as Kind, guid};
use super::{Look, date, merged, moment, money};
use crate::firm::model::{ProcoreId, Project, Vendor};

/// The one portfolio of the account.
pub(in crate::projectsight) fn portfolio(look: &Look<'_>) -> Value {
    json!({
        "TableType": 1, "PortfolioID": look.portfolio(), "Name": look.pm.company.name, "LastActivityDate": null,
        "Disabled": false, "IsOnline": true, "IsAvailable": true, "ExpiryDate": null, "AccountID": look.account(),
        "PortfolioERPUrl": null, "AccountERPUrl": null, "AccountName": look.pm.company.name, "AccountType": 1,
        "ERPLinkType": 1, "ERPCompanyID": 1, "ERPCompanyName": look.pm.company.name, "WhenCreated": null,
        "CreatedBy": null, "LastModified": null, "LastModifiedBy": null,
    })
}

pub(in crate::projectsight) fn projects(look: &Look<'_>, _: ProcoreId) -> Vec<Value> {
    look.projects().map(|project| project_record(look, project)).collect()
}

fn project_record(look: &Look<'_>, one: &Project) -> Value {
    let number = one.project_number.as_deref().unwrap_or_default();
    let (prefix, sequence) = number.split_once('-').unwrap_or(("", number));
    // A job that is under way or in warranty is active; what the firm bids for is not yet a job.
    let bids = ["bid", "pre-construction", "estimating", "proposal"];
    let state = match one.stage.to_lowercase().as_str() {
        stage if bids.iter().any(|bid| stage.starts_with(bid)) => "bidding",
        "not awarded" | "lost" => "rejected",
        _ if one.active => "active",
        _ => "inactive",
    };
    let erp = one.origin_id.as_ref().map(|key| look.id_of(Kind::ErpProject, key));
    merged([
        json!({
            "TableType": 2, "ProjectID": look.id(Kind::Project, one.id), "GUID": guid("project", &one.id.to_string()),
            "Deleted": false, "CompanyID": look.id(Kind::Company, look.pm.company.id),
            "CompanyName": look.pm.company.name, "Name": one.name, "Description": null, "Prefix": prefix,
            "Sequence": sequence, "Suffix": "", "Number": number, "Value": money(one.total_value),
            "StartDate": date(one.start_date), "FinishDate": date(one.completion_date),
            "ProjectManager": one.project_manager, "ERPProjectId": erp, "LastActivityDate": moment(one.updated_at),
        }),
        look.state(state),
        json!({
            "WhenCreated": moment(one.created_at), "CreatedBy": "Luis Ortega", "LastModified": moment(one.updated_at),
            "LastModifiedBy": "Luis Ortega", "ProjectContactLinks": [],
        }),
    ])
}

/// Every company, and the firm itself. One that Procore retired is deleted here, unless a contract or an invoice names it.
pub(in crate::projectsight) fn companies(look: &Look<'_>, _: ProcoreId) -> Vec<Value> {
    let named = look.pm.commitments.values().filter_map(|one| one.vendor_id);
    let owners: BTreeSet<ProcoreId> = look.pm.prime_contracts.values().filter_map(|one| one.vendor_id).collect();
    let billing = look.pm.requisitions.values().map(|one| one.vendor_id);
    let named: BTreeSet<ProcoreId> = named.chain(billing).chain(owners.iter().copied()).collect();
    let own = json!({
        "TableType": 3, "CompanyID": look.id(Kind::Company, look.pm.company.id),
        "GUID": guid("company", &look.pm.company.id.to_string()), "Deleted": false, "Name": look.pm.company.name,
        "TypeOfCompany": "General Contractor", "FederalID": null, "ERPCustomerOrVendorId": null,
        "ERPCustomerOrVendorCode": null, "ERPCustomerOrVendorName": null, "ERPCustomerOrVendorType": null,
        "WhenCreated": "2015-01-05T09:00:00.000Z", "CreatedBy": "Luis Ortega", "LastModified": "2015-01-05T09:00:00.000Z",
    });
    let record = |one: &Vendor| {
        let is_owner = owners.contains(&one.id);
        company_record(look, one, is_owner, !one.is_active && !named.contains(&one.id))
    };
    std::iter::once(own).chain(look.pm.vendors.values().map(record)).collect()
}

fn company_record(look: &Look<'_>, one: &Vendor, is_owner: bool, is_deleted: bool) -> Value {
    let code = one.origin_code.as_ref().or(one.origin_id.as_ref());
    let is_customer = is_owner || code.is_some_and(|code| look.erp.customers.contains_key(code));
    let party = code.map(|code| look.id_of(Kind::ErpParty, code));
    let name = code.and_then(|code| {
        let vendor = look.erp.vendors.get(code).map(|vendor| vendor.vendor_name.clone());
        vendor.or_else(|| look.erp.customers.get(code).map(|customer| customer.customer_name.clone()))
    });
    json!({
        "TableType": 3, "CompanyID": look.id(Kind::Company, one.id), "GUID": guid("company", &one.id.to_string()),
        "Deleted": is_deleted, "Name": one.name, "TypeOfCompanyID": null,
        "TypeOfCompany": if is_owner { "Owner" } else { "Subcontractor" }, "LicenseInfo": one.license_number,
        "BankingInfo": "First Bank, account 4459930127", "FederalID": one.tax_identifier, "AliasID": null,
        "AliasSystem": null, "ERPCustomerOrVendorId": party, "ERPCustomerOrVendorCode": code,
        "ERPCustomerOrVendorName": name, "ERPCustomerOrVendorType": code.map(|_| if is_customer { 1 } else { 2 }),
        "WhenCreated": moment(one.created_at), "CreatedBy": "Luis Ortega", "CreatedByContactID": null,
        "CreatedByDisplayName": "Luis Ortega", "LastModified": moment(one.updated_at),
        "LastModifiedBy": "Luis Ortega", "Addresses": [], "Contacts": [], "InsuranceRecords": [],
    })
}
