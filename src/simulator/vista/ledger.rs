//! Job cost and revenue detail, the general ledger, the audit trail.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde_json::json;

use super::master::{projects, revenue};
use super::{
    COMPANY, GROUP, NO_PROJECT, SISTER, account, contract, cost_type, day, find_order, firm_order_key, first_of, item,
    job, money, month, number, order_number, party, phase, row_id, serial, yes,
};
use crate::firm::model::{
    AcumaticaDatabase, Cents, ErpBill, ErpBillLine, ErpBudget, ErpJournal, ErpProjectTransaction,
    ErpProjectTransactionLine,
};
use crate::sql::SqlSchema;

/// All tables of job cost detail, the ledger and the audit trail.
pub(super) fn write(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    for header in books.project_transactions.values().filter(|header| header.module != "AR") {
        write_costs(tables, books, header);
    }
    write_estimates(tables, books);
    write_contract_amounts(tables, books);
    write_accounts(tables, books);
    write_ledger(tables, books);
    write_audit(tables, books);
    // What was rolled up: one row in place of many, of a job that nobody asks about any more.
    let rolled = json!({"JCCo": SISTER, "Mth": "2025-12-01", "CostTrans": 1, "Job": job("26-101"), "PhaseGroup": GROUP,
        "Phase": phase(Some("01-100")), "CostType": 5, "PostedDate": "2026-01-31", "ActualDate": "2025-12-31", "JCTransType": "RU",
        "Source": "JC RollUp", "ActualCost": "12345.67", "KeyID": row_id("bJCCD", "sister")});
    tables.insert("bJCCD", &rolled);
}

/// The bill's lines on projects, in the order of the costs that they posted.
fn bill_lines<'a>(
    books: &'a AcumaticaDatabase,
    header: &ErpProjectTransaction,
) -> Option<(&'a ErpBill, Vec<&'a ErpBillLine>)> {
    let key = format!("{}|{}", header.original_doc_type?, header.original_doc_nbr.as_ref()?);
    let bill = books.bills.get(&key)?;
    Some((bill, bill.details.iter().filter(|line| line.project != NO_PROJECT).collect()))
}

fn write_costs(tables: &mut SqlSchema, books: &AcumaticaDatabase, header: &ErpProjectTransaction) {
    let billed = bill_lines(books, header);
    for (place, line) in
        header.details.iter().enumerate().filter(|(_, line)| line.project != NO_PROJECT && line.released)
    {
        let source = billed.as_ref().and_then(|(bill, lines)| Some((*bill, *lines.get(place)?)));
        write_cost(tables, books, header, line, source);
    }
}

fn write_cost(
    tables: &mut SqlSchema,
    books: &AcumaticaDatabase,
    header: &ErpProjectTransaction,
    line: &ErpProjectTransactionLine,
    source: Option<(&ErpBill, &ErpBillLine)>,
) {
    let (kind, from) = match (header.module, line.account_group.as_str()) {
        ("AP", _) => ("AP", "AP Entry"),
        (_, "L") => ("PR", "PR Update"),
        (_, "E") => ("EM", "EMRev"),
        _ => ("JC", "JC CostAdj"),
    };
    let order = source.and_then(|(_, line)| {
        let key = firm_order_key(line.po_order_type?, line.po_order_nbr.as_ref()?);
        find_order(books, &key)
    });
    let name = order.map(|order| order_number(books, order));
    let subcontract = name.as_ref().filter(|_| order.is_some_and(|order| order.order_type == "Subcontract"));
    let purchase = name.as_ref().filter(|_| subcontract.is_none());
    let item = source.and_then(|(_, line)| line.po_line);
    let bill = source.map(|(bill, _)| bill);
    tables.insert(
        "bJCCD",
        &json!({
            "JCCo": COMPANY, "Mth": month(&line.fin_period), "CostTrans": line.transaction_id, "Job": job(&line.project), "PhaseGroup": GROUP,
            "Phase": phase(line.cost_code.as_deref()), "CostType": cost_type(&line.account_group), "PostedDate": day(line.date),
            "ActualDate": day(line.date), "JCTransType": kind, "Source": from, "Description": line.description,
            "GLCo": COMPANY, "GLTransAcct": line.debit_account.as_deref().map(account), "ActualCost": money(line.amount),
            "RemainCmtdCost": if name.is_some() { money(-line.amount) } else { money(Cents::ZERO) }, "VendorGroup": GROUP,
            "Vendor": line.vendor_or_customer.as_deref().filter(|_| header.module == "AP").map(party), "APCo": bill.map(|_| COMPANY),
            "APTrans": bill.map(super::payables::transaction), "APLine": source.map(|(_, line)| line.line_nbr),
            "APRef": bill.and_then(|bill| bill.vendor_ref.as_ref()), "SL": subcontract, "SLItem": subcontract.and(item), "PO": purchase,
            "POItem": purchase.and(item), "InUseBatchId": (line.transaction_id % 50 == 0).then_some(77), "KeyID": line.transaction_id,
        }),
    );
}

/// What was estimated first, as detail; the oldest months of it are rolled up.
fn write_estimates(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    let rows = books.project_budgets.values().filter(|row| row.budget_type == "Expense" && !row.cost_code.is_empty());
    let of_jobs = rows.filter(|row| projects(books).any(|project| project.project_id == row.project_id));
    for (place, row) in of_jobs.enumerate() {
        let started = books.projects.get(&row.project_id).and_then(|project| project.start_date).unwrap_or_default();
        tables.insert(
            "bJCCD",
            &json!({
                "JCCo": COMPANY, "Mth": first_of(started), "CostTrans": 9_000_000 + place, "Job": job(&row.project_id), "PhaseGroup": GROUP,
                "Phase": phase(Some(&row.cost_code)), "CostType": cost_type(&row.account_group), "PostedDate": day(started),
                "ActualDate": day(started), "JCTransType": if place % 9 == 0 { "RU" } else { "OE" }, "Source": "JC OrigEst",
                "EstCost": money(row.original_budgeted_amount), "TotalCmtdCost": money(row.revised_committed_amount),
                "KeyID": row_id("bJCCD", &format!("{}|{}|{}", row.project_id, row.cost_code, row.account_group)),
            }),
        );
    }
}

fn write_contract_amounts(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    for project in projects(books).filter(|project| project.customer.is_some()) {
        let id = &project.project_id;
        let started = project.start_date.unwrap_or_default();
        for (place, row) in revenue(books, id).enumerate() {
            let key = format!("{id}|{place}");
            tables.insert(
                "bJCID",
                &contract_amount(id, row, started, number(id) * 1_000 + i64::try_from(place).unwrap_or(0), &key),
            );
        }
    }
}

fn contract_amount(id: &str, row: &ErpBudget, started: NaiveDate, trans: i64, key: &str) -> serde_json::Value {
    json!({
        "JCCo": COMPANY, "Mth": first_of(started), "ItemTrans": trans, "Contract": contract(id), "Item": item(&row.cost_code),
        "JCTransType": "OC", "TransSource": "JC OrigCon", "PostedDate": day(started), "ActualDate": day(started),
        "ContractAmt": money(row.original_budgeted_amount), "KeyID": row_id("bJCID", key),
    })
}

fn write_accounts(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    for one in books.accounts.values() {
        let kind = match (one.account_type, one.account_class) {
            (_, "RETEARN") => "C",
            ("Asset", _) => "A",
            ("Liability", _) => "L",
            ("Income", _) => "I",
            _ => "E",
        };
        let is_debit = matches!(kind, "A" | "E");
        tables.insert(
            "bGLAC",
            &json!({
                "GLCo": COMPANY, "GLAcct": account(&one.account_cd), "Description": one.description, "AcctType": kind,
                "NormBal": if is_debit { "D" } else { "C" }, "Active": yes(one.active), "SummaryAcct": account(&one.account_cd),
                "CashAccrual": "A", "KeyID": row_id("bGLAC", &one.account_cd),
            }),
        );
    }
    for period in books.financial_years.values().flat_map(|year| &year.periods) {
        let year = period.period_id.get(2..).unwrap_or_default();
        tables.insert("bGLFP", &json!({"GLCo": COMPANY, "Mth": month(&period.period_id), "FiscalPd": period.number, "FiscalYr": number(year)}));
    }
}

/// The posted lines of a batch: account and amount, debit above zero.
fn postings(batch: &ErpJournal) -> impl Iterator<Item = (String, Cents)> {
    batch.details.iter().map(|line| (line.account.clone(), line.debit_amount - line.credit_amount))
}

fn write_ledger(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    let mut months: BTreeMap<(String, String), (Cents, Cents)> = BTreeMap::new();
    for batch in books.journal_transactions.values().filter(|batch| batch.status == "Posted") {
        let source = match batch.module {
            "AP" => "AP Entry",
            "AR" => "AR Invoice",
            "PM" => "PR Update",
            _ => "GL Jrnl",
        };
        let mth = month(&batch.post_period);
        let reference = batch.details.iter().find_map(|line| line.reference_nbr.as_deref());
        for (place, (name, amount)) in postings(batch).enumerate().filter(|(_, (_, amount))| !amount.is_zero()) {
            tables.insert(
                "bGLDT",
                &json!({
                    "GLCo": COMPANY, "Mth": mth, "GLTrans": serial(&format!("{}|{}|{place}", batch.module, batch.batch_nbr)),
                    "GLAcct": account(&name), "Jrnl": "GJ", "GLRef": reference.unwrap_or("JE"), "SourceCo": COMPANY, "Source": source,
                    "ActDate": day(batch.transaction_date), "DatePosted": day(batch.transaction_date), "Description": batch.description,
                    "BatchId": number(&batch.batch_nbr), "Amount": money(amount), "Adjust": "N",
                }),
            );
            let (debits, credits) = months.entry((name, mth.clone())).or_default();
            if amount.0 > 0 { *debits += amount } else { *credits += -amount }
        }
    }
    for ((name, mth), (debits, credits)) in months {
        let id = row_id("bGLBL", &format!("{name}|{mth}"));
        tables.insert(
            "bGLBL",
            &json!({"GLCo": COMPANY, "GLAcct": account(&name), "Mth": mth, "NetActivity": money(debits - credits), "Debits": money(debits),
                "Credits": money(credits), "KeyID": id}),
        );
    }
}

/// Who changed what, where the company's flags ask for it: of vendors, with the values in clear, and which checks were voided.
fn write_audit(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    let changed = books.vendors.values().filter(|one| one.last_modified_at > one.created_at);
    for one in changed {
        let id = party(&one.vendor_id);
        tables.insert(
            "bHQMA",
            &json!({
                "TableName": "bAPVM", "KeyString": format!("VendorGroup: {GROUP} Vendor: {id}"), "Co": COMPANY, "RecType": "C",
                "FieldName": "TaxId", "OldValue": one.tax_registration_id, "NewValue": one.tax_registration_id,
                "DateTime": one.last_modified_at.format("%Y-%m-%d %H:%M:%S").to_string(), "UserName": "VIEWPOINT\\\\ap",
                "AuditID": one.last_modified_at.timestamp() * 10_000 + id,
            }),
        );
    }
    let voided = books.checks.values().filter(|one| one.doc_type == "Check" && one.status == "Voided");
    for check in voided {
        tables.insert(
            "bHQMA",
            &json!({
                "TableName": "bAPPH", "KeyString": format!("APCo: {COMPANY} CMRef: {}", check.payment_ref), "Co": COMPANY, "RecType": "C",
                "FieldName": "VoidYN", "OldValue": "N", "NewValue": "Y",
                "DateTime": check.last_modified_at.format("%Y-%m-%d %H:%M:%S").to_string(), "UserName": "VIEWPOINT\\\\ap",
                "AuditID": check.last_modified_at.timestamp() * 10_000 + 5_000 + number(&check.reference_nbr) % 5_000,
            }),
        );
    }
}
