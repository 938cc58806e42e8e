//! FOUNDATION's SQL Server database before the same books.
//!
//! Follows the fact sheet: `*_no` columns are CHAR and padded with blanks, a database holds several companies, payments of AP
//! stand in four tables and say of which voucher they are but not when, what an export brought waits unposted, invoices that
//! were billed again stay, the year end is closed by entries of the journal `CLS`. Purchase orders and subcontracts are one
//! family, whose tables differ from installation to installation: here they have [this installation's](ORDER_TABLES) names.
//! Releases of retainage are no documents: they are paid on the voucher that retained.

use serde_json::{Value, json};

use crate::firm::Firm;
use crate::firm::model::{AcumaticaDatabase, Cents, ErpProject, ErpVendor, ProcoreDatabase};
use crate::integrator::procore_beside;
use crate::sql::SqlSchema;

mod ledger;
mod orders;
mod payables;
mod receivables;

pub use orders::{change_key, order_key};

/// The schema of a FOUNDATION database.
pub const SCHEMA: &str = "dbo";
/// The firm's company.
pub const COMPANY: &str = "001";
/// A table's name of ours, its own, and the same of its columns.
pub type OrderTable = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
/// What this installation calls what a mapping has to name: ours, the table's; below it our columns and its own.
pub const ORDER_TABLES: [OrderTable; 3] = [
    (
        "purchase_orders",
        "po_sub_h",
        &[("order_no", "po_sub_no"), ("order_type", "doc_type"), ("description", "title"), ("status", "doc_status")],
    ),
    ("purchase_order_lines", "po_sub_d", &[("order_no", "po_sub_no"), ("amount", "extended_amount")]),
    (
        "purchase_order_changes",
        "po_sub_chg",
        &[("order_no", "po_sub_no"), ("status", "chg_status"), ("amount", "chg_amount")],
    ),
];
/// The other company of the same database, whose records look like the firm's.
const OTHER_COMPANY: &str = "002";
/// The non-project code of the books.
const NO_PROJECT: &str = "X";

const TABLES: &str = "
jobs: company_no job_no
    company_no:char(3)! job_no:char(10)! job_id:int! job_number:char(15)! description:varchar(60) job_status:char(1)!
    customer_no:char(10)! project_manager_no:char(5)! address_1:varchar(40) city:varchar(30) state:char(2) zip_code:char(10)
    job_location:varchar(40) original_contract:numeric(14,2)! original_cost:numeric(14,2)! job_start_date:datetime
    completion_date:datetime
job_chg: job_no change_no
    company_no:char(3)! job_no:char(10)! change_no:char(10)! description:varchar(60) status:char(1)!
    tot_income_adj:numeric(14,2)! tot_cost_adj:numeric(14,2)!
project_managers: project_manager_no
    project_manager_no:char(5)! description:varchar(40)
customers: company_no customer_no
    company_no:char(3)! customer_no:char(10)! customer_id:int! name:varchar(60)
vendors: company_no vendor_no
    company_no:char(3)! vendor_no:char(10)! vendor_id:int! name:varchar(60)
ap_invoice_h: voucher_no
    company_no:char(3)! voucher_no:char(10)! voucher_id:int! invoice_no:char(20)! vendor_no:char(10)! invoice_date:datetime
    due_date:datetime invoice_amount:numeric(14,2)! retainage_percent:numeric(5,2)! retainage_amount:numeric(14,2)!
    job_no:char(10)! posted_flag:char(1)!
ap_invoice_d:
    voucher_no:char(10)! job_no:char(10)! phase_no:char(5)! cost_code_no:char(10)! cost_class_no:char(5)! account_no:char(15)!
    amount:numeric(14,2)!
ap_check_vch:
    voucher_no:char(10)! cash_amount:numeric(14,2)! void_flag:char(1)!
ap_pmt_vch:
    voucher_no:char(10)! cash_amount:numeric(14,2)!
ap_pre_check_vch:
    voucher_no:char(10)! cash_amount:numeric(14,2)!
ap_pre_pmt_vch:
    voucher_no:char(10)! cash_amount:numeric(14,2)!
ar_invoice: invoice_id
    company_no:char(3)! invoice_id:int! invoice_no:char(20)! original_invoice_no:char(20)! customer_no:char(10)! job_no:char(10)!
    invoice_date:datetime invoice_amount:numeric(14,2)! amount_due:numeric(14,2)! retainage_percent:numeric(5,2)!
    retainage_amount:numeric(14,2)! posted_flag:char(1)! closed_flag:char(1)! record_status:char(1)! invoice_source:char(1)!
ar_cash: company_no cash_receipt_no
    company_no:char(3)! cash_receipt_no:char(10)! check_no:char(15)! receipt_date:datetime cash_receipt_type:char(1)!
    cash_receipt_source:char(1)! cash_flag:char(1)! customer_no:char(10)! reversal:char(1)!
ar_cash_invoice: company_no cash_receipt_no line_no
    company_no:char(3)! cash_receipt_no:char(10)! invoice_no:char(20)! line_no:int! cash_amount:numeric(14,2)!
gl_history: transaction_id line_id
    company_no:char(3)! basic_account_no:char(10)! full_account_no:char(15)! job_no:char(10)! journal_no:char(5)! transaction_no:char(10)!
    line_no:int! amount_db:numeric(14,2)! amount_cr:numeric(14,2)! description:varchar(60) vendor_no:char(10)! voucher_no:char(10)!
    audit_number:int! customer_no:char(10)! ar_invoice_no:char(10)! record_status:char(1)! date_booked:datetime
    date_posted:datetime line_id:int! transaction_id:int!
po_sub_h: po_sub_no
    company_no:char(3)! po_sub_no:char(15)! doc_type:char(1)! vendor_no:char(10)! job_no:char(10)! title:varchar(60) doc_status:char(1)!
po_sub_d: po_sub_no line_no
    po_sub_no:char(15)! line_no:int! job_no:char(10)! phase_no:char(5)! cost_code_no:char(10)! cost_class_no:char(5)!
    description:varchar(60) extended_amount:numeric(14,2)!
po_sub_chg: po_sub_no change_no
    po_sub_no:char(15)! change_no:char(10)! description:varchar(60) chg_status:char(1)! chg_amount:numeric(14,2)!
";

/// The firm's books as they are now.
///
/// # Errors
/// Tables that are declared wrongly.
pub fn tables(firm: &Firm) -> anyhow::Result<SqlSchema> {
    let mut schema = SqlSchema::parse(SCHEMA, TABLES)?;
    let books = &firm.acumatica;
    master(&mut schema, books);
    orders::insert(&mut schema, firm);
    payables::insert(&mut schema, books);
    receivables::insert(&mut schema, books);
    ledger::insert(&mut schema, books);
    Ok(schema)
}

/// Procore's records with the ids that an integrator of FOUNDATION stored.
#[must_use]
pub fn procore(firm: &Firm) -> ProcoreDatabase {
    procore_beside(firm, record_key)
}

/// What FOUNDATION calls a record of the books, by the canonical entity and the books' key; nothing for one that it does not have.
#[must_use]
pub fn record_key(firm: &Firm, entity: &str, key: &str) -> Option<String> {
    match entity {
        "commitments" => order_key(firm, key),
        "change_orders" => change_key(firm, key),
        "vendor_invoices" => firm.acumatica.bills.get(key).map(payables::voucher),
        "owner_invoices" => firm
            .acumatica
            .invoices
            .get(key)
            .and_then(|invoice| receivables::id(&invoice.reference_nbr))
            .map(|id| id.to_string()),
        _ => Some(key.to_owned()),
    }
}

/// A number at the end of a key: surrogates are counted as the books count.
fn digits(key: &str) -> i64 {
    let digits: String = key.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

/// A row of the firm's company, and what looks like it in the other one: `id` is the column of its surrogate.
fn insert_twice(schema: &mut SqlSchema, table: &str, row: &Value, id: &str) {
    let mut other = row.clone();
    if let Value::Object(fields) = &mut other {
        fields.insert("company_no".to_owned(), json!(OTHER_COMPANY));
        let number = fields.get(id).and_then(Value::as_i64);
        if let Some(number) = number {
            fields.insert(id.to_owned(), json!(number + 9_000_000));
        }
    }
    schema.insert(table, row);
    schema.insert(table, &other);
}

fn master(schema: &mut SqlSchema, books: &AcumaticaDatabase) {
    // No column tells that a vendor is out of use: one that was entered twice by mistake is deleted.
    let is_again = |one: &ErpVendor| {
        let mut others = books.vendors.values().filter(|other| other.vendor_id != one.vendor_id);
        one.status == "Inactive" && others.any(|other| other.vendor_name == one.vendor_name)
    };
    for one in books.vendors.values().filter(|one| !is_again(one)) {
        let id = digits(&one.vendor_id);
        let row = json!({
            "company_no": COMPANY, "vendor_no": one.vendor_id, "vendor_id": id, "name": one.vendor_name,
        });
        insert_twice(schema, "vendors", &row, "vendor_id");
    }
    for one in books.customers.values() {
        let id = digits(&one.customer_id);
        let row = json!({
            "company_no": COMPANY, "customer_no": one.customer_id, "customer_id": id, "name": one.customer_name,
        });
        insert_twice(schema, "customers", &row, "customer_id");
    }
    let managers: std::collections::BTreeSet<&String> =
        books.projects.values().filter_map(|project| project.project_manager.as_ref()).collect();
    for name in managers {
        schema.insert("project_managers", &json!({"project_manager_no": manager(name), "description": name}));
    }
    let mut before = String::new();
    for one in projects(books) {
        insert_twice(schema, "jobs", &job(books, one, &before), "job_id");
        before.clone_from(&one.project_id);
    }
}

fn projects(books: &AcumaticaDatabase) -> impl Iterator<Item = &ErpProject> {
    books.projects.values().filter(|one| one.project_id != NO_PROJECT)
}

fn manager(name: &str) -> String {
    name.split(' ').filter_map(|word| word.chars().next()).collect()
}

/// `job_number` is another number than the key: mostly blank, and where somebody filled it in, another job's.
fn job(books: &AcumaticaDatabase, one: &ErpProject, before: &str) -> Value {
    let id = digits(&one.project_id);
    let of_job = |kind: &'static str| {
        let rows = books.project_budgets.values();
        let rows = rows.filter(move |row| row.project_id == one.project_id && row.budget_type == kind);
        rows.map(|row| row.original_budgeted_amount).sum::<Cents>()
    };
    let status = match one.status {
        "Active" => "A",
        "Completed" => "C",
        "Canceled" => "I",
        _ => "P",
    };
    json!({
        "company_no": COMPANY, "job_no": one.project_id, "job_id": id,
        "job_number": if id % 2 == 0 { before } else { "" }, "description": one.description, "job_status": status,
        "customer_no": one.customer, "project_manager_no": one.project_manager.as_deref().map(manager),
        "original_contract": of_job("Income").to_string(), "original_cost": of_job("Expense").to_string(),
        "job_start_date": one.start_date.map(|day| day.to_string()), "completion_date": one.end_date.map(|day| day.to_string()),
    })
}

#[cfg(test)]
mod tests;
