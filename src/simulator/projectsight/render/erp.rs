//! What the integration mirrors of the ERP, read only: companies, projects, customers and vendors.

use serde_json::{Value, json};

use super::super::ids::ProjectSightKind as Kind;
use super::Look;
use crate::firm::model::ErpContact;

pub(in crate::projectsight) fn companies(look: &Look<'_>) -> Vec<Value> {
    vec![json!({
        "Id": 1, "Type": 0, "GroupCode": "1", "ErpCode": "1", "Name": look.pm.company.name,
        "SortName": look.pm.company.name.to_uppercase(), "Status": 1, "Deleted": false,
    })]
}

pub(in crate::projectsight) fn projects(look: &Look<'_>) -> Vec<Value> {
    let record = |(key, description): (&String, &String)| {
        json!({
            "Id": look.id_of(Kind::ErpProject, key), "Type": 0, "GroupCode": "1", "ErpCode": key, "Name": description,
            "SortName": description.to_uppercase(), "Status": 1, "Deleted": false,
        })
    };
    look.erp.projects.iter().map(|(key, project)| record((key, &project.description))).collect()
}

/// Vendors and customers in one list, told apart by `Type`.
pub(in crate::projectsight) fn customers_and_vendors(look: &Look<'_>) -> Vec<Value> {
    let vendors = look.erp.vendors.iter();
    let vendors = vendors.map(|(key, one)| party(look, 2, key, &one.vendor_name, one.status, &one.main_contact));
    let customers = look.erp.customers.iter();
    let customers = customers.map(|(key, one)| party(look, 1, key, &one.customer_name, one.status, &one.main_contact));
    vendors.chain(customers).collect()
}

fn party(look: &Look<'_>, kind: i64, key: &str, name: &str, status: &str, contact: &ErpContact) -> Value {
    json!({
        "Id": look.id_of(Kind::ErpParty, key), "Type": kind, "GroupCode": "1", "ErpCode": key, "Name": name,
        "SortName": name.to_uppercase(), "Status": i64::from(status == "Active"), "Address1": contact.address_line1,
        "Address2": contact.address_line2, "City": contact.city, "Zip": contact.postal_code, "State": contact.state,
        "Country": contact.country, "Tel": contact.phone1, "Fax": null, "Email": contact.email, "VendorType": null,
        "Deleted": false,
    })
}
