//! Vista's tables of a firm that has lived a while.

use super::*;
use crate::firm::FirmOptions;
use crate::firm::model::ErpBill;

fn firm() -> Firm {
    let options = FirmOptions { months: 12, ..FirmOptions::default() };
    let mut firm = Firm::new(7, options);
    firm.live_until("2026-10-01T11:00:00Z".parse().unwrap());
    firm
}

#[test]
fn every_row_has_its_place() {
    let firm = firm();
    let tables = tables(&firm).unwrap();
    tables.script().unwrap();
    for name in [
        "bAPTH", "bAPTD", "bAPUI", "bAPPH", "bSLIT", "bPMSL", "bSLCD", "bJCOI", "bJCCD", "bARTL", "bJBIT", "bGLDT",
        "bHQMA",
    ] {
        assert!(!tables.table(name).unwrap().rows().is_empty(), "{name} is empty");
    }
}

#[test]
fn keys_stand_as_the_masks_store_them() {
    assert_eq!(job("26-101"), "   26-101-");
    assert_eq!(contract("26-101"), "    26-101");
    assert_eq!(phase(Some("02-100")), " 02-100-   ");
    assert_eq!(phase(None), "");
    assert_eq!(project_key("26-101"), "1|26-101-");
}

/// Cents of a column that is a decimal.
fn cents(text: Option<&str>) -> i64 {
    text.unwrap_or("0").replace('.', "").parse().unwrap()
}

#[test]
fn what_lines_owe_is_what_bills_owe() {
    let firm = firm();
    let tables = tables(&firm).unwrap();
    let parts = tables.table("bAPTD").unwrap();
    let columns = ["APCo", "PayType", "Status", "Amount"].map(|name| parts.values(name).unwrap().collect::<Vec<_>>());
    let (mut open, mut held) = (0, 0);
    let [_, pay_types, statuses, amounts] = columns;
    for ((pay_type, status), amount) in pay_types.into_iter().zip(statuses).zip(amounts) {
        let amount = cents(amount);
        match (pay_type, status) {
            (Some("4"), Some("1" | "2")) => held += amount,
            (_, Some("1" | "2")) => open += amount,
            _ => {}
        }
    }
    let posted = || firm.acumatica.bills.values().filter(|bill| payables::is_posted(bill));
    let sign = |bill: &ErpBill, amount: Cents| if bill.doc_type == "Debit Adj." { -amount.0 } else { amount.0 };
    let owed: i64 = posted().map(|bill| sign(bill, bill.balance)).sum();
    let kept: i64 = posted().map(|bill| sign(bill, bill.retainage_unreleased)).sum();
    assert!(open != 0 && held != 0);
    assert_eq!((open, held), (owed, kept));
}

#[test]
fn the_ledger_balances() {
    let firm = firm();
    let tables = tables(&firm).unwrap();
    let amounts: i64 = tables.table("bGLDT").unwrap().values("Amount").unwrap().map(cents).sum();
    let net: i64 = tables.table("bGLBL").unwrap().values("NetActivity").unwrap().map(cents).sum();
    assert_eq!((amounts, net), (0, 0));
}

#[test]
fn procore_stores_keys_that_are_there() {
    let firm = firm();
    let mirror = procore(&firm);
    let tables = tables(&firm).unwrap();
    let ids: Vec<&str> = tables.table("bAPTH").unwrap().values("KeyID").unwrap().flatten().collect();
    let stored: Vec<&String> = mirror.requisitions.values().filter_map(|one| one.origin_id.as_ref()).collect();
    assert!(stored.iter().filter(|id| ids.contains(&id.as_str())).count() > 3, "{stored:?}");
    assert!(mirror.vendors.values().filter_map(|one| one.origin_id.as_ref()).any(|id| id.starts_with("1|")));
}
