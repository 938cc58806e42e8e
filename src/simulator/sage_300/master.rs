//! Vendors, customers, jobs with their categories, commitments, accounts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::keys::{change_number, commitment_key};
use super::{Folder, NO_PROJECT, category, digits, float};
use crate::firm::Firm;
use crate::firm::model::{AcumaticaDatabase, Cents, ErpBudget, ErpCommitment, ErpContact, ErpProject, ErpVendor};
use crate::integrator::key_of;

pub(super) fn insert(folder: &mut Folder, firm: &Firm) {
    let books = &firm.acumatica;
    parties(folder, books);
    for project in books.projects.values().filter(|one| one.project_id != NO_PROJECT) {
        folder.insert_in_both("JCM_MASTER__JOB", &job(books, project));
    }
    for budget in books.project_budgets.values().filter(|row| row.budget_type == "Expense" && !row.cost_code.is_empty())
    {
        categories(folder, books, budget);
    }
    commitments(folder, firm);
    for account in books.accounts.values() {
        let row = json!({
            "Account": account.account_cd, "Account_Title": account.description, "Account_Type": account.account_type,
            "Date_Stamp": account.last_modified_at.date_naive().to_string(),
        });
        folder.insert("GLM_MASTER__ACCOUNT", &row);
    }
}

/// Empty texts stand for what nobody entered.
fn told(text: Option<&String>) -> &str {
    text.map_or("", |text| text.as_str())
}

/// No table tells that a vendor is out of use: one that was entered twice by mistake is deleted.
fn is_kept(books: &AcumaticaDatabase, one: &ErpVendor) -> bool {
    let is_again = |other: &ErpVendor| other.vendor_id != one.vendor_id && other.vendor_name == one.vendor_name;
    one.status != "Inactive" || !books.vendors.values().any(is_again)
}

fn parties(folder: &mut Folder, books: &AcumaticaDatabase) {
    for one in books.vendors.values().filter(|one| is_kept(books, one)) {
        let contact: &ErpContact = &one.main_contact;
        let row = json!({
            "Vendor": one.vendor_id, "Name": one.vendor_name, "Address_1": told(contact.address_line1.as_ref()),
            "Address_2": told(contact.address_line2.as_ref()), "City": told(contact.city.as_ref()),
            "State": told(contact.state.as_ref()), "ZIP": told(contact.postal_code.as_ref()),
            "Telephone": told(contact.phone1.as_ref()), "E_Mail_Address": told(contact.email.as_ref()),
            "Type": "Subcontractor", "Default_Payment_Type": "Check",
            "Form_Type_1099": if one.f1099_vendor { "NEC" } else { "None" }, "Payment_Days": 30,
            "Date_Stamp": one.last_modified_at.date_naive().to_string(),
        });
        folder.insert_in_both("APM_MASTER__VENDOR", &row);
    }
    for one in books.customers.values() {
        let row = json!({
            "Customer": one.customer_id, "Name": one.customer_name, "Telephone": told(one.main_contact.phone1.as_ref()),
            "GL_Prefix": "10", "Date_Established": one.created_at.date_naive().to_string(),
            "Date_Stamp": one.last_modified_at.date_naive().to_string(),
        });
        folder.insert("ARM_MASTER__CUSTOMER", &row);
    }
}

/// Of every second job what changed its contract stands among the extras.
fn job(books: &AcumaticaDatabase, one: &ErpProject) -> Value {
    let rows = || books.project_budgets.values().filter(|row| row.project_id == one.project_id);
    let income = || rows().filter(|row| row.budget_type == "Income");
    let original: Cents = income().map(|row| row.original_budgeted_amount).sum();
    let changes: Cents = income().map(|row| row.revised_budgeted_amount - row.original_budgeted_amount).sum();
    let cost: Cents = rows().filter(|row| row.budget_type == "Expense").map(|row| row.actual_amount).sum();
    let seed = digits(&one.project_id);
    let (own, extras) = if seed % 2 == 0 { (Cents::ZERO, changes) } else { (changes, Cents::ZERO) };
    let status = match one.status {
        "Active" => "In progress",
        "Completed" => "Complete",
        "Canceled" => "Closed",
        _ => "Unstarted",
    };
    let customer = one.customer.as_ref().and_then(|key| books.customers.get(key));
    json!({
        "Job": one.project_id, "Description": one.description, "Status": status, "AR_Customer": told(one.customer.as_ref()),
        "Customer_Name": customer.map(|one| &one.customer_name),
        "Contract_Date": one.start_date.map_or_else(|| "1900-01-01".to_owned(), |day| day.to_string()),
        "Original_Contract_Amount": float(original, seed), "JTD_Aprvd_Contract_Chgs": float(own, seed + 1),
        "Revised_Contract_Amount": float(original + own, seed + 2), "Extras_JTD_Aprvd_Cntrc_Chgs": float(extras, seed + 3),
        "Extras_Revised_Contract_Amt": float(extras, seed + 4), "Retainage_Percent": one.retainage_pct.to_string(),
        "Contract_Retainage_Percent": one.retainage_pct.to_string(), "JTD_Cost": float(cost, seed),
        "Job_Complete": status == "Complete", "Cost_Account_Prefix": "10",
        "Date_Stamp": one.last_modified_at.date_naive().to_string(),
    })
}

/// A category of a code; some are split over an extra.
fn categories(folder: &mut Folder, books: &AcumaticaDatabase, one: &ErpBudget) {
    let group = books.account_groups.get(&one.account_group);
    let seed = digits(&one.cost_code) + digits(&one.project_id);
    let is_split = seed % 6 == 0;
    let parts: &[&str] = if is_split { &["", "01"] } else { &[""] };
    for &extra in parts {
        let share = |amount: Cents| match (is_split, extra) {
            (false, _) => amount,
            (true, "") => amount - amount.share(1, 4),
            (true, _) => amount.share(1, 4),
        };
        let original = share(one.original_budgeted_amount);
        let approved = share(one.revised_budgeted_amount) - original;
        let row = json!({
            "Job": one.project_id, "Extra": extra, "Cost_Code": one.cost_code, "Category": one.account_group,
            "Description": one.description, "Status": "In progress", "Accumulate_As": group.map(|group| &group.description),
            "Cost_Account": group.and_then(|group| group.default_account_id.as_ref()),
            "Original_Estimate": float(original, seed), "Approved_Estimate_Changes": float(approved, seed + 1),
            "Total_Estimate": float(original + approved, seed + 2),
            "Original_Commitment": float(share(one.original_committed_amount), seed + 3),
            "Approved_Commitment_Changes": float(share(one.committed_co_amount), seed + 4),
            "Revised_Commitment": float(share(one.revised_committed_amount), seed + 5),
            "Commitment_Invoiced": float(share(one.committed_invoiced_amount), seed + 6),
            "JTD_Cost": float(share(one.actual_amount), seed + 7),
            "Date_Stamp": one.last_modified_at.date_naive().to_string(),
        });
        folder.insert("JCM_MASTER__CATEGORY", &row);
    }
}

/// What waits to be posted is not among them yet; what was entered by mistake is deleted.
pub(super) fn is_posted(order: &ErpCommitment) -> bool {
    !order.hold && !matches!(order.status, "On Hold" | "Pending Approval" | "Rejected" | "Canceled")
}

fn commitments(folder: &mut Folder, firm: &Firm) {
    let books = &firm.acumatica;
    let mut invoiced: BTreeMap<String, Cents> = BTreeMap::new();
    for bill in
        books.bills.values().filter(|bill| matches!(bill.status, "Open" | "Closed") && !bill.is_retainage_document)
    {
        for line in &bill.details {
            let (Some(kind), Some(number)) = (line.po_order_type, line.po_order_nbr.as_ref()) else { continue };
            let amount = if bill.doc_type == "Debit Adj." { -line.amount } else { line.amount };
            *invoiced.entry(key_of(kind, number)).or_default() += amount;
        }
    }
    let orders = books.subcontracts.iter().chain(&books.purchase_orders);
    for (key, order) in orders.filter(|(_, order)| is_posted(order)) {
        let Some(commitment) = commitment_key(firm, key) else { continue };
        let job = order.details.iter().map(|line| line.project.as_str()).find(|project| *project != NO_PROJECT);
        let seed = digits(&order.order_nbr);
        let row = json!({
            // As somebody typed it: Sage does not mind the case.
            "Commitment": if seed % 4 == 0 { commitment.to_lowercase() } else { commitment.clone() },
            "Commitment_Type": if order.order_type == "Subcontract" { "Subcontract" } else { "Purchase order" },
            "Vendor": order.vendor_id, "Job": job, "Description": order.description,
            "Closed": matches!(order.status, "Closed" | "Completed"),
            "Amount_Invoiced": float(invoiced.get(key).copied().unwrap_or_default(), seed),
            "Date_Stamp": order.last_modified_at.date_naive().to_string(),
        });
        folder.insert_in_both("JCM_MASTER__COMMITMENT", &row);
        let mut tax = order.tax_total;
        for (item, line) in order.details.iter().filter(|line| !line.canceled).map(|line| (line.line_nbr, line)) {
            let row = json!({
                "Commitment": commitment, "Item_Number": item, "Description": line.line_description,
                "Job": if line.project == NO_PROJECT { "" } else { &line.project }, "Cost_Code": line.cost_code,
                "Category": category(books, &line.account), "Units": line.order_qty, "Unit_Cost": float(line.unit_cost, seed),
                "Amount": float(line.extended_cost + tax, seed + i64::from(item)), "Tax": float(tax, 0),
                "Date_Stamp": order.last_modified_at.date_naive().to_string(),
            });
            folder.insert("JCM_MASTER__COMMITMENT_ITEM", &row);
            tax = Cents::ZERO;
        }
    }
    for change in books.change_orders.values().filter(|change| !matches!(change.status, "Canceled" | "Rejected")) {
        let orders: std::collections::BTreeSet<String> =
            change.commitments.iter().map(|line| key_of(line.po_type, &line.po_nbr)).collect();
        for commitment in orders.iter().filter_map(|order| commitment_key(firm, order)) {
            let row = json!({
                "Commitment": commitment, "Commitment_CO": change_number(change),
                "Date_Stamp": change.last_modified_at.date_naive().to_string(),
            });
            folder.insert("JCM_MASTER__COMMITMENT_CO", &row);
        }
    }
}
