//! The firm's records as plain objects in the contract's field names, before the contract's wrapping.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Map, Number, Value, json};
use sha2::{Digest, Sha256};

use crate::firm::model::{AcumaticaDatabase, Cents, Rate};

mod documents;
mod ledger;
mod master;
mod orders;

/// The key under which a plain record carries its id.
pub(super) const GUID: &str = "$id";
/// The key under which a plain record carries what only `$custom` shows: `View.Field` to value.
pub(super) const CUSTOM: &str = "$custom";

/// A record that is rendered only when a reader gets to see it.
pub(super) struct Row<'a> {
    /// The key fields' values joined by `|`.
    pub(super) key: &'a str,
    render: Box<dyn Fn() -> Value + 'a>,
}

impl Row<'_> {
    /// The record as a plain object.
    pub(super) fn render(&self) -> Value {
        (self.render)()
    }
}

/// An entity's records in the order of their keys; `None` for an entity that the endpoint does not have.
pub(super) fn rows<'a>(database: &'a AcumaticaDatabase, entity: &str) -> Option<Vec<Row<'a>>> {
    Some(match entity {
        "Vendor" => lazily(&database.vendors, master::vendor),
        "Customer" => lazily(&database.customers, master::customer),
        "Project" => lazily(&database.projects, master::project),
        "ProjectTask" => lazily(&database.project_tasks, master::task),
        "ProjectBudget" => lazily(&database.project_budgets, master::budget),
        "CostCode" => lazily(&database.cost_codes, master::cost_code),
        "AccountGroup" => lazily(&database.account_groups, master::account_group),
        "Account" => lazily(&database.accounts, master::account),
        "Subcontract" => lazily(&database.subcontracts, orders::subcontract),
        "PurchaseOrder" => lazily(&database.purchase_orders, orders::purchase_order),
        "ChangeOrder" => lazily(&database.change_orders, orders::change_order),
        "Bill" => lazily(&database.bills, documents::bill),
        "Check" => lazily(&database.checks, documents::check),
        "Invoice" => lazily(&database.invoices, documents::invoice),
        "Payment" => lazily(&database.payments, documents::payment),
        "ProFormaInvoice" => lazily(&database.pro_formas, documents::pro_forma),
        "ProjectTransaction" => lazily(&database.project_transactions, ledger::project_transaction),
        "JournalTransaction" => lazily(&database.journal_transactions, ledger::journal),
        "FinancialPeriod" => lazily(&database.financial_years, ledger::financial_year),
        _ => return None,
    })
}

fn lazily<T>(records: &BTreeMap<String, T>, render: fn(&T) -> Value) -> Vec<Row<'_>> {
    records.iter().map(|(key, record)| Row { key, render: Box::new(move || render(record)) }).collect()
}

/// A stable id for a record without a note.
fn derived_guid(entity: &str, key: &str) -> Value {
    let digest = Sha256::digest(format!("{entity}|{key}"));
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    Value::String(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// The id of a record with a note; derived where the note's id is no GUID.
fn guid(note_id: &str) -> Value {
    let parsed = uuid::Uuid::parse_str(note_id);
    parsed.map_or_else(|_| derived_guid("note", note_id), |parsed| Value::String(parsed.to_string()))
}

/// Money as a JSON number, with two or four decimals but always its value.
pub(super) fn money(amount: Cents) -> Value {
    let zeros = if amount.0 % 200 == 0 { "00" } else { "" };
    number(&format!("{amount}{zeros}"))
}

fn rate(rate: Rate) -> Value {
    number(&rate.to_string())
}

fn quantity(units: i64) -> Value {
    number(&format!("{units}.000000"))
}

fn number(text: &str) -> Value {
    text.parse::<Number>().map_or(Value::Null, Value::Number)
}

/// A business date: midnight without a shift.
fn day(date: NaiveDate) -> Value {
    Value::String(format!("{date}T00:00:00+00:00"))
}

fn day_or_null(date: Option<NaiveDate>) -> Value {
    date.map_or(Value::Null, day)
}

fn moment(at: DateTime<Utc>) -> Value {
    Value::String(at.to_rfc3339_opts(SecondsFormat::AutoSi, false))
}

/// The approvals of a document that was approved on `date`.
fn approvals(date: Option<NaiveDate>) -> Value {
    let approved = |date| {
        json!({
            "Approver": "EP0004", "ApproverName": "Maria Alvarez", "ApprovedBy": "EP0004",
            "ApprovedByName": "Maria Alvarez", "Date": day(date), "Status": "Approved",
        })
    };
    Value::Array(date.into_iter().map(approved).collect())
}

/// The fields that `$custom` shows, reachable through each of `views`.
fn custom<const N: usize>(views: &[&str], fields: [(&str, Value); N]) -> Value {
    let mut all = Map::new();
    for (name, value) in fields {
        for view in views {
            all.insert(format!("{view}.{name}"), value.clone());
        }
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn money_keeps_its_value(cents in -1_000_000_000_000i64..1_000_000_000_000) {
            let text = money(Cents(cents)).to_string();
            let (whole, fraction) = text.split_once('.').unwrap();
            let digits = format!("{whole}{}", &fraction[..2]);
            prop_assert_eq!(digits.parse::<i64>().unwrap(), cents);
        }
    }
}
