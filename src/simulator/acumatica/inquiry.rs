//! The account summary: the trial balance of one period, asked for with a `PUT` and computed from posted batches.
//!
//! Income and expense begin each year at nothing; what they held goes to retained earnings, without a batch. Balances of
//! liabilities and income are shown positive when they are credits.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::entities::money;
use super::shape::{Plan, Wanted};
use super::{http_error, no_entity};
use crate::firm::RETAINED_EARNINGS;
use crate::firm::model::{AcumaticaDatabase, Cents, ErpAccount};
use crate::http::{Reply, Request};

/// The inquiry's entity.
pub(super) const ACCOUNT_SUMMARY: &str = "AccountSummaryInquiry";

/// Debits less credits before the period, and debits and credits in it.
#[derive(Clone, Copy, Default)]
struct Sums {
    before: Cents,
    debit: Cents,
    credit: Cents,
}

/// Answers the inquiry.
pub(super) fn account_summary(database: &AcumaticaDatabase, request: &Request, wanted: &Wanted) -> Reply {
    if let Some(name) = wanted.unknown(ACCOUNT_SUMMARY) {
        return no_entity(name);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let given = |name: &str| body.get(name).and_then(|field| field.get("value")).and_then(Value::as_str);
    let (Some(ledger), Some(period)) = (given("Ledger"), given("Period")) else {
        return http_error(422, "PX.Data.PXSetPropertyException", "Error: 'Ledger' and 'Period' cannot be empty.");
    };
    let Some(wanted_period) = year_and_month(period) else {
        return http_error(422, "PX.Data.PXSetPropertyException", "Error: 'Period' cannot be found in the system.");
    };
    let mut sums: BTreeMap<&str, Sums> = BTreeMap::new();
    let posted = database.journal_transactions.values().filter(|batch| batch.status == "Posted");
    for batch in posted.filter(|batch| batch.ledger_id == ledger) {
        let Some(at) = year_and_month(&batch.post_period).filter(|at| *at <= wanted_period) else { continue };
        for line in &batch.details {
            let moved = line.debit_amount - line.credit_amount;
            let is_old = at.0 < wanted_period.0 && is_result(database, &line.account);
            let account = if is_old { RETAINED_EARNINGS } else { line.account.as_str() };
            let sum = sums.entry(account).or_default();
            if at == wanted_period {
                sum.debit += line.debit_amount;
                sum.credit += line.credit_amount;
            } else {
                sum.before += moved;
            }
        }
    }
    let rows = sums.iter().filter_map(|(code, sum)| Some(row(database.accounts.get(*code)?, *sum)));
    let answer = json!({"Ledger": ledger, "Period": period, "Results": rows.collect::<Vec<_>>()});
    write(&answer, wanted)
}

/// What a `GET` gives: a new record.
pub(super) fn blank(wanted: &Wanted) -> Reply {
    write(&json!({}), wanted)
}

fn write(answer: &Value, wanted: &Wanted) -> Reply {
    let mut text = String::new();
    Plan::new(ACCOUNT_SUMMARY, wanted).write(&mut text, answer, 1, None);
    Reply::json_text(200, text)
}

fn is_result(database: &AcumaticaDatabase, account: &str) -> bool {
    database.accounts.get(account).is_some_and(|account| matches!(account.account_type, "Income" | "Expense"))
}

fn row(account: &ErpAccount, sum: Sums) -> Value {
    let is_credit = matches!(account.account_type, "Liability" | "Income");
    let shown = |amount: Cents| money(if is_credit { -amount } else { amount });
    let moved = sum.debit - sum.credit;
    json!({
        "Account": account.account_cd, "AccountClass": account.account_class, "Branch": "MAIN",
        "Subaccount": "000000", "Type": account.account_type, "Description": account.description,
        "BeginningBalance": shown(sum.before), "DebitTotal": money(sum.debit), "CreditTotal": money(sum.credit),
        "PtdTotal": shown(moved), "EndingBalance": shown(sum.before + moved), "CurrencyID": "USD",
    })
}

/// `MMYYYY`.
fn year_and_month(period: &str) -> Option<(i32, u32)> {
    let (month, year) = period.split_at_checked(2)?;
    Some((year.parse().ok()?, month.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firm::{Firm, FirmOptions};

    fn ask(firm: &Firm, period: &str) -> Value {
        let body = json!({"Ledger": {"value": "ACTUAL"}, "Period": {"value": period}});
        let request = Request {
            method: axum::http::Method::PUT,
            segments: Vec::new(),
            query: Vec::new(),
            headers: axum::http::HeaderMap::new(),
            body: body.to_string().into(),
        };
        let expand = vec!["Results".to_owned()];
        let wanted = Wanted { version: "24.200.001".to_owned(), expand, ..Wanted::default() };
        let reply = account_summary(&firm.acumatica, &request, &wanted);
        assert_eq!(reply.status, 200, "{}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }

    fn cents(row: &Value, field: &str) -> i64 {
        let text = row[field]["value"].to_string();
        let (whole, fraction) = text.split_once('.').unwrap();
        format!("{whole}{}", &fraction[..2]).parse().unwrap()
    }

    #[test]
    fn each_period_begins_where_the_last_one_ended_and_sums_to_nothing() {
        let mut firm = Firm::new(2, FirmOptions::default());
        firm.live_until("2025-04-01T00:00:00Z".parse().unwrap());
        let mut ended: BTreeMap<String, i64> = BTreeMap::new();
        for period in ["112024", "122024", "012025", "022025"] {
            let answer = ask(&firm, period);
            let mut total = 0;
            let mut now = BTreeMap::new();
            for row in answer["Results"].as_array().unwrap() {
                let text = |field: &str| row[field]["value"].as_str().unwrap().to_owned();
                let is_credit = matches!(text("Type").as_str(), "Liability" | "Income");
                let moved = cents(row, "DebitTotal") - cents(row, "CreditTotal");
                let sign = if is_credit { -1 } else { 1 };
                assert_eq!(cents(row, "EndingBalance"), cents(row, "BeginningBalance") + sign * moved);
                let is_result = matches!(text("Type").as_str(), "Income" | "Expense");
                let before = ended.get(&text("Account")).copied().unwrap_or_default();
                if period == "012025" && is_result {
                    assert_eq!(cents(row, "BeginningBalance"), 0, "a new year");
                } else if text("Account") != RETAINED_EARNINGS && !ended.is_empty() {
                    assert_eq!(cents(row, "BeginningBalance"), before, "{period} {row}");
                }
                total += sign * cents(row, "EndingBalance");
                now.insert(text("Account"), cents(row, "EndingBalance"));
            }
            assert_eq!(total, 0, "{period}");
            assert_eq!(now.contains_key(RETAINED_EARNINGS), period.ends_with("2025"));
            ended = now;
        }
    }
}
