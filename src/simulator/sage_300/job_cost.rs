//! The job cost ledger: cost, what was billed and received, and what was estimated, in one table.

use serde_json::json;

use super::keys::invoice_numbers;
use super::{Folder, digits, float};
use crate::firm::Firm;
use crate::firm::model::{AcumaticaDatabase, ErpProjectTransaction, ErpProjectTransactionLine};
use crate::integrator::key_of;

pub(super) fn insert(folder: &mut Folder, firm: &Firm) {
    let books = &firm.acumatica;
    let numbers = invoice_numbers(books);
    for header in books.project_transactions.values() {
        let document = header.original_doc_nbr.as_ref().and_then(|number| {
            let key = format!("{}|{number}", header.original_doc_type?);
            books.bills.get(&key).map(|bill| (bill, numbers.get(&key)))
        });
        let order = document.and_then(|(bill, _)| {
            let line = bill.details.first()?;
            super::commitment_key(firm, &key_of(line.po_order_type?, line.po_order_nbr.as_ref()?))
        });
        for line in header.details.iter().filter(|line| line.released) {
            let (kind, run) = posting(header, line);
            let row = json!({
                "Job": line.project, "Cost_Code": line.cost_code.as_deref().unwrap_or_default(),
                "Category": if line.account_group == "REV" { "" } else { &line.account_group }, "Transaction_Type": kind,
                "Run": run, "Sequence": line.transaction_id, "Transaction_Date": line.date.to_string(),
                "Accounting_Date": line.date.to_string(), "Description": line.description,
                "Amount": float(line.amount, line.transaction_id), "Debit_Account": line.debit_account.as_deref().unwrap_or_default(),
                "Application_of_Origin": header.module, "Batch": header.reference_nbr,
                "Vendor": document.map(|(bill, _)| &bill.vendor), "Invoice": document.and_then(|(_, number)| number),
                "Commitment": order, "Date_Stamp": header.last_modified_at.date_naive().to_string(),
            });
            folder.insert(table(books, &line.project), &row);
        }
    }
    for budget in books.project_budgets.values().filter(|row| !row.cost_code.is_empty()) {
        let row = json!({
            "Job": budget.project_id, "Cost_Code": budget.cost_code, "Category": budget.account_group.chars().take(3).collect::<String>(),
            "Transaction_Type": if budget.budget_type == "Income" { "Scheduled value" } else { "Original estimate" }, "Run": 1,
            "Sequence": 1, "Accounting_Date": budget.last_modified_at.date_naive().to_string(),
            "Amount": float(budget.original_budgeted_amount, 1), "Application_of_Origin": "JC",
            "Date_Stamp": budget.last_modified_at.date_naive().to_string(),
        });
        folder.insert(table(books, &budget.project_id), &row);
    }
}

/// Closed jobs are moved.
fn table(books: &AcumaticaDatabase, project: &str) -> &'static str {
    let is_closed = books.projects.get(project).is_some_and(|one| matches!(one.status, "Completed" | "Canceled"));
    if is_closed { "JCT_HISTORY__TRANSACTION" } else { "JCT_CURRENT__TRANSACTION" }
}

/// The type and the run of a line.
pub(super) fn posting(header: &ErpProjectTransaction, line: &ErpProjectTransactionLine) -> (&'static str, i64) {
    let run = digits(line.batch_nbr.as_deref().unwrap_or(&header.reference_nbr));
    (transaction_type(header, line), run)
}

fn transaction_type(header: &ErpProjectTransaction, line: &ErpProjectTransactionLine) -> &'static str {
    match (line.account_group.as_str(), header.module) {
        ("REV", _) => "Work billed",
        (_, "AP") => "AP cost",
        ("L", _) => "PR cost",
        ("E", _) => "EQ cost",
        _ => "JC cost",
    }
}
