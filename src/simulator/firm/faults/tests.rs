//! Mishaps happen in all their kinds, leave the books in balance, and stand in the truth until they are put right.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::super::model::Cents;
use super::super::{FaultRates, Firm, FirmOptions};

fn lived(seed: u64, mishaps: u32, until: &str) -> Firm {
    let faults = FaultRates { mishaps, ..FaultRates::default() };
    let mut firm = Firm::new(seed, FirmOptions { faults, ..FirmOptions::default() });
    firm.live_until(until.parse::<DateTime<Utc>>().unwrap());
    firm
}

#[test]
fn every_kind_happens() {
    let firm = lived(4, 300, "2026-01-01T11:00:00Z");
    let truth = firm.truth();
    let checks: BTreeSet<&str> = truth.iter().map(|fault| fault.check.as_str()).collect();
    for check in [
        "V1", "V2", "V3", "V4", "V5", "C1", "C2", "C3", "C4", "C5", "O1", "O2", "O3", "O4", "O5", "M1", "M2", "M3",
        "M4", "M6", "I1", "I2", "I3", "I4", "I5", "I6", "I8", "I9", "I10", "I11", "P1", "P2", "P3", "P4", "R1", "R2",
        "R3", "S1", "S2", "L2", "B1", "B2", "B3", "J1", "K1", "T1", "T2", "T3", "T4", "W1", "W2",
    ] {
        assert!(checks.contains(check), "no {check} in {checks:?}");
    }
    assert!(truth.iter().any(|fault| fault.healed_at.is_some()) && truth.iter().any(|fault| fault.healed_at.is_none()));
    for fault in &truth {
        assert!(fault.opened_at >= fault.occurred_at, "{fault:?}");
        assert!(!fault.note.is_empty(), "{fault:?}");
    }
}

#[test]
fn a_firm_where_things_go_wrong_keeps_its_books() {
    let firm = lived(5, 300, "2026-01-01T11:00:00Z");
    let erp = &firm.acumatica;
    for batch in erp.journal_transactions.values() {
        let debits: Cents = batch.details.iter().map(|line| line.debit_amount).sum();
        assert_eq!(debits, batch.details.iter().map(|line| line.credit_amount).sum(), "{batch:?}");
    }
    for order in erp.subcontracts.values().chain(erp.purchase_orders.values()) {
        assert_eq!(order.line_total, order.details.iter().map(|line| line.extended_cost).sum(), "{order:?}");
        let numbers: BTreeSet<i32> = order.details.iter().map(|line| line.line_nbr).collect();
        assert_eq!(numbers.len(), order.details.len(), "{order:?}");
    }
    // What the control accounts hold beyond the documents is what was journaled past them.
    let balance = |account: &str| -> Cents {
        let lines = erp.journal_transactions.values().flat_map(|batch| &batch.details);
        lines.filter(|line| line.account == account).map(|line| line.credit_amount - line.debit_amount).sum()
    };
    let bills = || erp.bills.values().filter(|bill| !bill.hold);
    let gaps: BTreeMap<Option<String>, Cents> = firm
        .standing()
        .into_iter()
        .filter(|fault| matches!(fault.check.as_str(), "T1" | "T3"))
        .map(|fault| (fault.field, fault.amount.unwrap_or_default()))
        .collect();
    let gap = |control: &str| gaps.get(&Some(control.to_owned())).copied().unwrap_or_default();
    let signed =
        |bill: &super::super::model::ErpBill| if bill.doc_type == "Debit Adj." { -bill.balance } else { bill.balance };
    assert_eq!(bills().map(signed).sum::<Cents>() - balance("20000"), gap("ap"));
    assert_eq!(
        bills().map(|bill| bill.retainage_unreleased).sum::<Cents>() - balance("20100"),
        gap("retainage_payable")
    );
}
