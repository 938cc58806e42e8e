//! The firm's records as they were archived from `CoConstruct`, which is not offered any more: a file for each list.
//!
//! Follows the fact sheet: cost codes are accounting codes, by which orders and bills have their rows and budgets roll up; change
//! orders are variations in some countries; an order whose work is verified became a bill. Everything else is as in Buildertrend's
//! exports, whose vendor's it is. Leaves out its synchronisation, which was with `QuickBooks` and Xero alone.

use std::collections::BTreeMap;

use crate::buildertrend;
use crate::exports::{Cell, Export, List, Style, company, day, job, living, text};
use crate::firm::Firm;
use crate::firm::model::{Cents, Commitment, ProcoreDatabase};

/// All lists of a firm as they are now; with other words for headers, those of Australia and New Zealand.
///
/// # Errors
/// A workbook that cannot be written.
pub fn archive(firm: &Firm, style: Style) -> anyhow::Result<Vec<Export>> {
    let database = &living(&firm.procore);
    let mut lists = buildertrend::lists(database);
    for list in &mut lists {
        match list.page {
            "Purchase Orders" => *list = purchase_orders(database),
            "Change Orders" if style.has_other_words => {
                list.page = "Variations";
                list.call("ID", "Variation #");
            }
            "Client Invoices" => list.page = "Invoices",
            "Budget" => list.call("Cost Code", "Accounting Code"),
            _ => {}
        }
        list.call("Cost code", "Accounting code");
    }
    lists.iter().enumerate().map(|(place, list)| list.export(place, style)).collect()
}

impl List {
    /// Another word for a header.
    fn call(&mut self, word: &str, other: &'static str) {
        for (usual, rare) in &mut self.headers {
            for header in [usual, rare] {
                if *header == word {
                    *header = other;
                }
            }
        }
    }
}

/// An order's status: its work is verified once all of it was billed.
pub fn order_status(commitment: &Commitment) -> &'static str {
    match commitment.status {
        "Approved" | "Received" | "Partially Received" | "Complete" | "Closed"
            if !commitment.revised_contract.is_zero()
                && commitment.total_requisitions_amount >= commitment.revised_contract =>
        {
            "Work Verified"
        }
        "Approved" | "Received" | "Partially Received" => "Approved",
        "Complete" | "Closed" | "Terminated" => "Completed",
        "Void" => "Void",
        "Draft" => "Unreleased",
        _ => "Released",
    }
}

/// A row for each accounting code of an order.
fn purchase_orders(database: &ProcoreDatabase) -> List {
    let rows = |commitment: &Commitment| {
        let title = |code: &str| {
            let mut codes = database.cost_codes.values().filter(|known| known.project_id == commitment.project_id);
            codes.find(|known| known.full_code == code).map(|known| known.name.clone()).unwrap_or_default()
        };
        let row = |(code, amount): (String, Cents)| {
            vec![
                text(&commitment.number),
                text(&commitment.title),
                text(&job(database, commitment.project_id)),
                text(&company(database, commitment.vendor_id)),
                text(format!("{code} {}", title(&code)).trim()),
                Cell::Money(amount),
                text(order_status(commitment)),
                day(Some(commitment.created_at)),
            ]
        };
        by_code(database, commitment).into_iter().map(row).collect::<Vec<_>>()
    };
    let headers = vec![
        ("PO #", "Purchase Order #"),
        ("Title", "Title"),
        ("Job", "Project"),
        ("Assigned to", "Sub/Vendor"),
        ("Accounting code", "Accounting Code"),
        ("Cost", "Amount"),
        ("PO status", "Status"),
        ("Created", "Created date"),
    ];
    let living = database.commitments.values().filter(|commitment| commitment.deleted_at.is_none());
    List { page: "Purchase Orders", job: None, headers, rows: living.flat_map(rows).collect() }
}

/// What an order is over, by code: its lines, the changes that count, and whatever else its sum has.
fn by_code(database: &ProcoreDatabase, commitment: &Commitment) -> BTreeMap<String, Cents> {
    let mut codes: BTreeMap<String, Cents> = BTreeMap::new();
    for line in &commitment.lines {
        *codes.entry(line.cost_code.clone()).or_default() += line.amount;
    }
    let own =
        |order: &&crate::firm::model::ChangeOrder| order.contract_id == commitment.id && order.status == "approved";
    for line in database.change_orders.values().filter(own).flat_map(|order| &order.lines) {
        *codes.entry(line.cost_code.clone()).or_default() += line.amount;
    }
    let sum: Cents = codes.values().copied().sum();
    let rest = commitment.revised_contract - sum;
    if !rest.is_zero() || codes.is_empty() {
        *codes.entry(String::new()).or_default() += rest;
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firm::FirmOptions;

    #[test]
    fn orders_have_a_row_for_each_accounting_code_and_add_up() {
        let mut firm = Firm::new(3, FirmOptions::default());
        firm.live_until(firm.now() + chrono::TimeDelta::days(200));
        let database = living(&firm.procore);
        let mut split = 0;
        for commitment in database.commitments.values() {
            let codes = by_code(&database, commitment);
            assert_eq!(codes.values().copied().sum::<Cents>(), commitment.revised_contract, "{}", commitment.number);
            split += usize::from(codes.len() > 1);
        }
        assert!(split > 0, "no order has several codes");
        let archive = archive(&firm, Style { is_workbook: false, has_other_words: true }).unwrap();
        let orders = archive.iter().find(|export| export.list == "Purchase Orders").unwrap();
        let text = String::from_utf8(orders.bytes.clone()).unwrap();
        assert!(text.lines().count() > database.commitments.len() + 4, "{text}");
        assert!(text.contains("\"Accounting Code\"") && archive.iter().any(|export| export.list == "Variations"));
    }
}
