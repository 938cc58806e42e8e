//! The general ledger: accounts, journal entries and their lines, reporting periods.

use serde_json::{Value, json};

use super::{Row, changed, day, moment, money, posting_day, record_number};
use crate::firm::model::{AcumaticaDatabase, ErpAccount, ErpJournal, ErpJournalLine};
use crate::firm::{PAYABLE, RECEIVABLE};

/// The records of an object of this file.
pub(super) fn rows<'a>(database: &'a AcumaticaDatabase, name: &str) -> Option<Vec<Row<'a>>> {
    let batches = || database.journal_transactions.values();
    Some(match name {
        "account" => database.accounts.values().map(account).collect(),
        "journal-entry" => batches().map(entry).collect(),
        "journal-entry-line" => {
            batches().flat_map(|batch| batch.details.iter().map(move |one| line(database, batch, one))).collect()
        }
        "reporting-period" => periods(database),
        _ => return None,
    })
}

fn account(one: &ErpAccount) -> Row<'_> {
    let key = record_number("account", &one.account_cd);
    Row::new(key.clone(), move || {
        let is_balance = matches!(one.account_type, "Asset" | "Liability");
        let is_debit = matches!(one.account_type, "Asset" | "Expense");
        let alternative = match one.account_cd.as_str() {
            PAYABLE => "payablesAccount",
            RECEIVABLE => "receivablesAccount",
            _ => "none",
        };
        json!({
            "key": key, "id": one.account_cd, "name": one.description, "status": if one.active { "active" } else { "inactive" },
            "accountType": if is_balance { "balanceSheet" } else { "incomeStatement" },
            "normalBalance": if is_debit { "debit" } else { "credit" }, "alternativeGLAccount": alternative,
            "closingType": if is_balance { "nonClosingAccount" } else { "closingAccount" },
            "audit.createdDateTime": moment(one.last_modified_at), "audit.modifiedDateTime": moment(one.last_modified_at),
        })
    })
}

/// The application that an entry comes from. Payroll is entered in the ledger itself.
fn module(batch: &ErpJournal) -> (&'static str, &'static str) {
    match batch.module {
        "AP" => ("3.AP", "APJ"),
        "AR" => ("4.AR", "ARJ"),
        "PM" => ("2.GL", "PYRJ"),
        _ => ("2.GL", "GJ"),
    }
}

fn state(batch: &ErpJournal) -> &'static str {
    if batch.status == "Posted" { "posted" } else { "draft" }
}

fn entry_key(batch: &ErpJournal) -> String {
    record_number("journal-entry", &format!("{}|{}", batch.module, batch.batch_nbr))
}

fn entry(batch: &ErpJournal) -> Row<'_> {
    Row::new(entry_key(batch), move || {
        let (module, journal) = module(batch);
        json!({
            "key": entry_key(batch), "id": entry_key(batch), "txnNumber": batch.batch_nbr.parse::<i64>().ok(),
            "glJournal.id": journal, "moduleName": module, "state": state(batch), "description": batch.description,
            "postingDate": day(posting_day(&batch.post_period, batch.transaction_date)), "entity.id": Value::Null,
            "referenceNumber": batch.details.first().and_then(|line| line.reference_nbr.as_ref()),
            "audit.createdDateTime": moment(batch.created_at),
            "audit.modifiedDateTime": changed(batch.created_at, batch.last_modified_at),
        })
    })
}

fn line<'a>(database: &'a AcumaticaDatabase, batch: &'a ErpJournal, line: &'a ErpJournalLine) -> Row<'a> {
    let place = format!("{}|{}|{}", batch.module, batch.batch_nbr, line.line_nbr);
    // A cost that another system took over is known there by this number.
    let key =
        line.project_transaction_id.map_or_else(|| record_number("journal-entry-line", &place), |id| id.to_string());
    Row::new(key.clone(), move || {
        let has_project = line.project != "X";
        let cost =
            line.project_transaction_id.filter(|_| batch.module == "PM").and_then(|id| group(database, batch, id));
        let by_account = || super::orders::cost_type(database, &line.account);
        let cost_type = if has_project { cost.or_else(by_account) } else { None };
        let amount = if line.debit_amount.is_zero() { line.credit_amount } else { line.debit_amount };
        json!({
            "key": key, "id": key, "lineNumber": line.line_nbr, "journalEntry.key": entry_key(batch),
            "glAccount.id": line.account, "txnType": if line.debit_amount.is_zero() { "credit" } else { "debit" },
            "txnAmount": money(amount), "baseAmount": money(amount), "currency.txnCurrency": batch.currency_id,
            "entryDate": day(batch.transaction_date), "documentId": line.reference_nbr, "description": line.description,
            "dimensions.project.id": has_project.then_some(&line.project), "dimensions.task.id": line.cost_code,
            "dimensions.costType.id": cost_type, "dimensions.location.id": "100", "state": state(batch),
            "audit.createdDateTime": moment(batch.created_at),
            "audit.modifiedDateTime": changed(batch.created_at, batch.last_modified_at),
        })
    })
}

/// The cost type that a cost was entered with, whatever account it is on.
fn group<'a>(database: &'a AcumaticaDatabase, batch: &ErpJournal, transaction: i64) -> Option<&'a str> {
    let of_batch = database.project_transactions.range("PM|".to_owned()..="PM|~".to_owned());
    let mut lines = of_batch.flat_map(|(_, header)| &header.details);
    let found =
        lines.find(|line| line.transaction_id == transaction && line.batch_nbr.as_ref() == Some(&batch.batch_nbr));
    found.map(|line| line.account_group.as_str())
}

fn periods(database: &AcumaticaDatabase) -> Vec<Row<'static>> {
    let mut rows = Vec::new();
    for year in database.financial_years.values() {
        let months = year.periods.iter().map(|one| {
            let name = format!("Month Ended {} {}", one.description, year.year);
            (name, one.starts_on, one.ends_on)
        });
        let ends = year.periods.last().map_or(year.starts_on, |last| last.ends_on);
        let whole = (format!("Year Ended December {}", year.year), year.starts_on, ends);
        for (name, from, to) in months.chain([whole]) {
            let key = record_number("reporting-period", &name);
            let record = json!({
                "key": key, "id": name, "startDate": day(from), "endDate": day(to), "status": "active", "isBudgetable": true,
                "audit.createdDateTime": moment(year.created_at), "audit.modifiedDateTime": moment(year.created_at),
            });
            rows.push(Row::of(key, record));
        }
    }
    rows
}
