//! Job cost and the general ledger.

use serde_json::{Value, json};

use super::{CUSTOM, GUID, custom, day, derived_guid, guid, moment, money, quantity};
use crate::firm::model::{
    Cents, ErpFinancialYear, ErpJournal, ErpJournalLine, ErpProjectTransaction, ErpProjectTransactionLine,
};
use crate::http::with;

pub(super) fn project_transaction(one: &ErpProjectTransaction) -> Value {
    let details: Vec<Value> = one.details.iter().map(cost_line).collect();
    let total: Cents = one.details.iter().map(|line| line.amount).sum();
    let record = json!({
        GUID: derived_guid("ProjectTransaction", &format!("{}|{}", one.module, one.reference_nbr)),
        "Module": one.module, "ReferenceNbr": one.reference_nbr, "Status": one.status,
        "Description": one.description, "OriginalDocType": one.original_doc_type,
        "OriginalDocNbr": one.original_doc_nbr, "TotalAmount": money(total),
        "CreatedDateTime": moment(one.created_at), "LastModifiedDateTime": moment(one.last_modified_at),
    });
    with(record, "Details", details.into())
}

fn cost_line(line: &ErpProjectTransactionLine) -> Value {
    json!({
        "TransactionID": line.transaction_id, "Date": day(line.date), "FinPeriod": line.fin_period,
        "Project": line.project, "ProjectTask": line.project_task, "CostCode": line.cost_code,
        "AccountGroup": line.account_group, "VendorOrCustomer": line.vendor_or_customer,
        "Description": line.description, "Qty": quantity(line.qty), "UnitRate": money(line.unit_rate),
        "Amount": money(line.amount), "Billable": line.billable, "Billed": false, "Released": line.released,
        "BatchNbr": line.batch_nbr, "DebitAccount": line.debit_account, "CreditAccount": line.credit_account,
    })
}

pub(super) fn financial_year(one: &ErpFinancialYear) -> Value {
    let periods = one.periods.iter().map(|period| {
        let is_closed = period.status == "Closed";
        json!({
            "FinancialPeriodID": period.period_id, "PeriodNbr": format!("{:02}", period.number),
            "StartDate": day(period.starts_on), "EndDate": day(period.ends_on), "Description": period.description,
            "LengthInDays": (period.ends_on - period.starts_on).num_days() + 1, "Status": period.status,
            "AdjustmentPeriod": false, "ClosedInAP": is_closed, "ClosedInAR": is_closed, "ClosedInCA": is_closed,
        })
    });
    json!({
        GUID: derived_guid("FinancialPeriod", &one.year), "FinancialYear": one.year, "NbrOfPeriods": one.periods.len(),
        "StartDate": day(one.starts_on), "UserDefinedPeriods": false, "Details": periods.collect::<Vec<_>>(),
        "CreatedDateTime": moment(one.created_at), "LastModifiedDateTime": moment(one.last_modified_at),
    })
}

pub(super) fn journal(one: &ErpJournal) -> Value {
    let details: Vec<Value> = one.details.iter().map(|line| journal_line(one, line)).collect();
    let record = json!({
        GUID: guid(&one.note_id), "Module": one.module, "BatchNbr": one.batch_nbr, "LedgerID": one.ledger_id,
        "BranchID": one.branch_id, "PostPeriod": one.post_period, "TransactionDate": day(one.transaction_date),
        "Status": one.status, "Hold": one.hold, "Description": one.description, "CurrencyID": one.currency_id,
        "CreatedDateTime": moment(one.created_at), "LastModifiedDateTime": moment(one.last_modified_at),
    });
    let record = with(record, "Details", details.into());
    with(record, CUSTOM, custom(&["BatchModule"], [("NoteID", guid(&one.note_id))]))
}

fn journal_line(batch: &ErpJournal, line: &ErpJournalLine) -> Value {
    json!({
        "LineNbr": line.line_nbr, "BranchID": batch.branch_id, "Account": line.account,
        "Subaccount": line.subaccount, "Project": line.project, "ProjectTask": line.project_task,
        "CostCode": line.cost_code, "ReferenceNbr": line.reference_nbr,
        "VendorOrCustomer": line.vendor_or_customer, "Description": line.description,
        "TransactionDescription": line.description, "DebitAmount": money(line.debit_amount),
        "CreditAmount": money(line.credit_amount), "ProjectTransactionID": line.project_transaction_id,
        "NonBillable": false, "IsNonPM": line.project == "X",
    })
}
