//! The general ledger's history, with the entries that close a year.

use chrono::{Datelike, NaiveDate};
use serde_json::json;

use super::{COMPANY, NO_PROJECT, digits, insert_twice};
use crate::firm::model::{AcumaticaDatabase, ErpJournal};
use crate::sql::SqlSchema;

pub(super) fn insert(schema: &mut SqlSchema, books: &AcumaticaDatabase) {
    let batches: Vec<&ErpJournal> =
        books.journal_transactions.values().filter(|batch| batch.status == "Posted").collect();
    for (transaction, batch) in (1_i64..).zip(&batches) {
        let journal = match batch.module {
            "AP" => "APJ",
            "AR" => "ARJ",
            "PM" => "PRJ",
            _ => "GJ",
        };
        for (line_id, line) in (1_i64..).zip(&batch.details) {
            let party = line.vendor_or_customer.as_deref().unwrap_or_default();
            let row = json!({
                "company_no": COMPANY, "basic_account_no": line.account, "full_account_no": format!("{}-00", line.account),
                "job_no": (line.project != NO_PROJECT).then_some(&line.project), "journal_no": journal,
                "transaction_no": batch.batch_nbr, "line_no": line.line_nbr, "amount_db": line.debit_amount.to_string(),
                "amount_cr": line.credit_amount.to_string(), "description": line.description,
                "vendor_no": (batch.module == "AP").then_some(party), "customer_no": (batch.module == "AR").then_some(party),
                "voucher_no": line.reference_nbr.as_ref().filter(|_| batch.module == "AP"),
                "ar_invoice_no": line.reference_nbr.as_ref().filter(|_| batch.module == "AR"),
                "audit_number": digits(&batch.batch_nbr), "record_status": "A", "date_booked": batch.transaction_date.to_string(),
                "date_posted": batch.created_at.format("%Y-%m-%d %H:%M:%S").to_string(),
                "line_id": transaction * 1_000 + line_id, "transaction_id": transaction,
            });
            insert_twice(schema, "gl_history", &row, "transaction_id");
        }
    }
    let years: std::collections::BTreeSet<i32> =
        batches.iter().map(|batch| batch.transaction_date.year() - 1).collect();
    for year in years {
        close(schema, year);
    }
}

/// A year's end moves what it earned to equity, by entries that are no cost and no revenue.
fn close(schema: &mut SqlSchema, year: i32) {
    let Some(day) = NaiveDate::from_ymd_opt(year, 12, 31) else { return };
    for (line_id, (account, debit, credit)) in
        (1_i64..).zip([("40000", "5000.00", "0.00"), ("20000", "0.00", "5000.00")])
    {
        let row = json!({
            "company_no": COMPANY, "basic_account_no": account, "full_account_no": format!("{account}-00"), "journal_no": "CLS",
            "transaction_no": format!("CLS{year}"), "line_no": line_id, "amount_db": debit, "amount_cr": credit,
            "description": "Year end", "audit_number": year, "record_status": "A", "date_booked": day.to_string(),
            "date_posted": day.to_string(), "line_id": i64::from(year) * 1_000 + line_id, "transaction_id": -i64::from(year),
        });
        schema.insert("gl_history", &row);
    }
}
