//! That decoys are all there, and that nothing else notices them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use chrono::TimeDelta;

use super::super::FirmOptions;
use super::super::model::Cents;
use super::*;

fn lived(decoys: DecoyRates, faults: FaultRates) -> Firm {
    let mut firm = Firm::new(5, options(decoys, faults));
    firm.live_until(end());
    firm
}

fn options(decoys: DecoyRates, faults: FaultRates) -> FirmOptions {
    FirmOptions { first_month: (2024, 1), months: 8, projects: 4, decoys, faults, ..FirmOptions::default() }
}

fn end() -> DateTime<Utc> {
    "2024-09-01T00:00:00Z".parse().unwrap()
}

fn is_within<Key: Ord + Debug, Record: PartialEq + Debug>(
    few: &BTreeMap<Key, Record>,
    all: &BTreeMap<Key, Record>,
) -> bool {
    few.len() < all.len() && few.iter().all(|(key, record)| all.get(key) == Some(record))
}

#[test]
fn the_rest_of_the_firm_lives_the_same_life() {
    let (few, all) =
        (lived(DecoyRates::none(), FaultRates::default()), lived(DecoyRates::every(), FaultRates::default()));
    assert!(is_within(&few.procore.vendors, &all.procore.vendors));
    assert!(is_within(&few.procore.projects, &all.procore.projects));
    assert!(is_within(&few.procore.commitments, &all.procore.commitments));
    assert!(is_within(&few.procore.change_orders, &all.procore.change_orders));
    assert!(is_within(&few.procore.requisitions, &all.procore.requisitions));
    assert!(is_within(&few.procore.payment_applications, &all.procore.payment_applications));
    assert!(is_within(&few.procore.contract_payments, &all.procore.contract_payments));
    assert!(is_within(&few.procore.budget_lines, &all.procore.budget_lines));
    assert!(is_within(&few.acumatica.vendors, &all.acumatica.vendors));
    assert!(is_within(&few.acumatica.bills, &all.acumatica.bills));
    assert!(is_within(&few.acumatica.checks, &all.acumatica.checks));
    assert!(is_within(&few.acumatica.invoices, &all.acumatica.invoices));
    assert!(is_within(&few.acumatica.subcontracts, &all.acumatica.subcontracts));
    assert!(is_within(&few.acumatica.journal_transactions, &all.acumatica.journal_transactions));
    assert_eq!(few.truth(), all.truth());
}

#[test]
fn every_kind_is_there_and_names_its_records() {
    let firm = lived(DecoyRates::every(), FaultRates::none());
    let kinds: BTreeSet<DecoyKind> = firm.decoys().iter().map(|decoy| decoy.kind).collect();
    let missing: Vec<_> = DecoyKind::ALL.into_iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for decoy in firm.decoys() {
        assert!(!decoy.pm_ids.is_empty() || !decoy.erp_ids.is_empty(), "{decoy:?}");
        assert!(decoy.settles_at.is_none_or(|at| at > decoy.at && at < decoy.at + TimeDelta::hours(24)), "{decoy:?}");
    }
    let some = lived(DecoyRates { kinds: 100, demanding: false }, FaultRates::none());
    let some: BTreeSet<DecoyKind> = some.decoys().iter().map(|decoy| decoy.kind).collect();
    assert!(some.len() > 4 && some.len() < kinds.len() / 2 && some.iter().all(|kind| !kind.is_demanding()), "{some:?}");
}

#[test]
fn they_come_in_one_step_or_in_many_and_their_books_balance() {
    let whole = lived(DecoyRates::every(), FaultRates::default());
    let mut steps = Firm::new(5, options(DecoyRates::every(), FaultRates::default()));
    while steps.now() < end() {
        steps.live_until((steps.now() + TimeDelta::hours(19)).min(end()));
    }
    assert_eq!(whole.procore, steps.procore);
    assert_eq!(whole.acumatica, steps.acumatica);
    assert_eq!(whole.decoys(), steps.decoys());
    for (key, batch) in &whole.acumatica.journal_transactions {
        let debits: Cents = batch.details.iter().map(|line| line.debit_amount).sum();
        let credits: Cents = batch.details.iter().map(|line| line.credit_amount).sum();
        assert_eq!(debits, credits, "{key}");
    }
}
