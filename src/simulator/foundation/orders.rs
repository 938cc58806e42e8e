//! Jobs' change orders; purchase orders and subcontracts with theirs, under this installation's names.

use std::collections::BTreeMap;

use serde_json::json;

use super::{COMPANY, NO_PROJECT};
use crate::firm::Firm;
use crate::firm::model::{AcumaticaDatabase, Cents, ErpChangeOrder, ErpCommitment};
use crate::integrator::{key_of, order_number};
use crate::sql::SqlSchema;

/// What FOUNDATION calls an order of the books (`SC-1` or `Normal|000012`): its number.
#[must_use]
pub fn order_key(firm: &Firm, order: &str) -> Option<String> {
    order_number(firm, order)
}

/// What FOUNDATION calls a change order of the books (`000012`, `000012|prime` or `000012|commitment|SC-1`): the job's or the
/// order's key and the number.
#[must_use]
pub fn change_key(firm: &Firm, change: &str) -> Option<String> {
    let mut parts = change.splitn(3, '|');
    let found = firm.acumatica.change_orders.get(parts.next()?)?;
    let kind = parts.next().unwrap_or(if found.commitments.is_empty() { "prime" } else { "commitment" });
    if kind == "prime" {
        return Some(format!("{}|{}", found.project_id, number(found)));
    }
    let order = parts.next().map_or_else(
        || found.commitments.first().map(|line| key_of(line.po_type, &line.po_nbr)),
        |order| Some(order.to_owned()),
    );
    Some(format!("{}|{}", order_key(firm, &order?)?, number(found)))
}

/// The number that was sent, else one of its own.
fn number(change: &ErpChangeOrder) -> String {
    change.external_ref_nbr.as_ref().unwrap_or(&change.ref_nbr).trim().to_owned()
}

/// Approved is `A`; other letters are the firm's own.
fn status(change: &ErpChangeOrder) -> &'static str {
    match change.status {
        "Closed" => "A",
        "Rejected" | "Canceled" => "R",
        _ => "P",
    }
}

/// The job of an order.
fn job(order: &ErpCommitment) -> &str {
    order.details.iter().map(|line| line.project.as_str()).find(|project| *project != NO_PROJECT).unwrap_or_default()
}

/// The cost class of an account.
pub(super) fn cost_class<'a>(books: &'a AcumaticaDatabase, account: &str) -> &'a str {
    let mut groups = books.account_groups.values();
    let found =
        groups.find(|group| group.default_account_id.as_deref() == Some(account) && group.group_type == "Expense");
    found.map_or("", |group| group.account_group_id.as_str())
}

/// Whether it changes what the job brings or costs. Money that moves between codes is no change order here.
fn is_of_job(change: &ErpChangeOrder) -> bool {
    let is_transfer = change.external_ref_nbr.is_none()
        && change.revenue_budget.is_empty()
        && change.cost_budget_change_total.is_zero();
    !is_transfer && (change.commitments.is_empty() || !change.revenue_budget.is_empty())
}

pub(super) fn insert(schema: &mut SqlSchema, firm: &Firm) {
    let books = &firm.acumatica;
    let changes = books.change_orders.values();
    for change in changes.filter(|change| is_of_job(change)) {
        let row = json!({
            "company_no": COMPANY, "job_no": change.project_id, "change_no": number(change), "description": change.description,
            "status": status(change), "tot_income_adj": change.revenue_budget_change_total.to_string(),
            "tot_cost_adj": change.cost_budget_change_total.to_string(),
        });
        schema.insert("job_chg", &row);
    }
    // What changed each order, and what of it stands in the order's own lines.
    let mut changes: BTreeMap<String, Vec<(&ErpChangeOrder, Cents)>> = BTreeMap::new();
    let mut of_lines: BTreeMap<(String, i32), Cents> = BTreeMap::new();
    for change in books.change_orders.values() {
        let mut amounts: BTreeMap<String, Cents> = BTreeMap::new();
        for line in &change.commitments {
            let key = key_of(line.po_type, &line.po_nbr);
            *amounts.entry(key.clone()).or_default() += line.amount;
            if change.status == "Closed" {
                *of_lines.entry((key, line.po_line_nbr)).or_default() += line.amount;
            }
        }
        for (key, amount) in amounts {
            changes.entry(key).or_default().push((change, amount));
        }
    }
    let orders = books.subcontracts.iter().chain(&books.purchase_orders);
    // What was entered by mistake is deleted.
    for (key, order) in orders.filter(|(_, order)| order.status != "Canceled") {
        let Some(order_no) = order_key(firm, key) else { continue };
        let status = match order.status {
            "On Hold" | "Pending Approval" => "H",
            "Closed" | "Completed" => "C",
            "Rejected" => "X",
            _ => "O",
        };
        let row = json!({
            "company_no": COMPANY, "po_sub_no": order_no, "doc_type": if order.order_type == "Subcontract" { "S" } else { "P" },
            "vendor_no": order.vendor_id, "job_no": job(order), "title": order.description, "doc_status": status,
        });
        schema.insert("po_sub_h", &row);
        for line in order.details.iter().filter(|line| !line.canceled) {
            let by_change = of_lines.get(&(key.clone(), line.line_nbr)).copied();
            let amount = line.extended_cost - by_change.unwrap_or_default();
            if by_change.is_some() && amount.is_zero() {
                continue;
            }
            let row = json!({
                "po_sub_no": order_no, "line_no": line.line_nbr, "job_no": (line.project != NO_PROJECT).then_some(&line.project),
                "cost_code_no": line.cost_code, "cost_class_no": cost_class(books, &line.account),
                "description": line.line_description, "extended_amount": amount.to_string(),
            });
            schema.insert("po_sub_d", &row);
        }
        for (change, amount) in changes.remove(key).unwrap_or_default() {
            let row = json!({
                "po_sub_no": order_no, "change_no": number(change), "description": change.description,
                "chg_status": self::status(change), "chg_amount": amount.to_string(),
            });
            schema.insert("po_sub_chg", &row);
        }
    }
}
