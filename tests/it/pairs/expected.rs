//! What the firm knows to be wrong, and what a pair of systems must therefore tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use tieout::simulator::firm::model::ProcoreId;
use tieout::simulator::firm::truth::{PaymentVerdict, UnpaidRequisition};
use tieout::simulator::{Fault, Firm};

use super::{Pair, keys};

/// Past this a fault is no longer in flight under any check: the longest grace, and a day that counts to its end.
const GRACE: TimeDelta = TimeDelta::hours(48 + 30);
/// Checks whose single faults meet in one figure, or are told only of what an earlier look saw.
const SUMMED_UP: [&str; 9] = ["O2", "L2", "R3", "W1", "W2", "T1", "T2", "T3", "T4"];

/// What a check should find at a moment: all that is wrong, and of it what cannot be in flight any more.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) all: BTreeSet<String>,
    pub(super) late: BTreeSet<String>,
    pub(super) cents: BTreeMap<String, i64>,
    pub(super) causes: BTreeMap<String, &'static str>,
}

/// What earlier looks saw, of which later ones are told.
pub(super) struct Expecting {
    pair: Pair,
    looks: Vec<DateTime<Utc>>,
    approved: BTreeSet<ProcoreId>,
    /// Check and key of what an earlier look showed.
    seen: BTreeSet<(String, String)>,
}

impl Expecting {
    /// Before the first look.
    pub(super) fn new(pair: Pair) -> Self {
        Self { pair, looks: Vec::new(), approved: BTreeSet::new(), seen: BTreeSet::new() }
    }

    /// All that the firm knows to be wrong `now`, by check, as the pair tells it.
    pub(super) fn look(&mut self, firm: &Firm, now: DateTime<Utc>) -> BTreeMap<String, Expected> {
        self.looks.push(now);
        let mut expected: BTreeMap<String, Expected> = BTreeMap::new();
        for (fault, is_late) in self.faults(firm, now) {
            for told in (self.pair.told)(firm, fault) {
                let of_check = expected.entry(told.check.clone()).or_default();
                let key = keys::key(&told);
                let is_new = !self.seen.contains(&(told.check.clone(), key.clone()));
                if is_late && !(is_new && self.pair.undated.contains(&told.check.as_str())) {
                    of_check.late.insert(key.clone());
                }
                if let Some(amount) = told.amount {
                    *of_check.cents.entry(key.clone()).or_default() += amount.0;
                }
                if let Some(cause) = keys::cause(&told) {
                    of_check.causes.insert(key.clone(), cause);
                }
                of_check.all.insert(key);
            }
        }
        let keys = |(check, of_check): (&String, &Expected)| {
            of_check.all.iter().map(|key| (check.clone(), key.clone())).collect::<Vec<_>>()
        };
        self.seen = expected.iter().flat_map(keys).collect();
        expected
    }

    /// What is wrong in the firm's own keys, and whether it cannot be in flight any more.
    fn faults(&mut self, firm: &Firm, now: DateTime<Utc>) -> Vec<(Fault, bool)> {
        let looks = self.looks.clone();
        let standing = firm.standing();
        let moves = standing.iter().filter(|fault| fault.check.starts_with('W'));
        let moves = moves.filter(|fault| was_seen_before(firm, fault, &looks)).cloned();
        let moves = moves.map(|fault| moved_as_seen(firm, fault, &looks));
        let undone = firm.truth().into_iter().filter(|fault| was_seen_before(firm, fault, &looks));
        let undone = undone.filter_map(|fault| undone_since(fault, &looks));
        let faults = standing.iter().filter(|fault| !fault.check.starts_with('W') && fault.check != "O2");
        let faults = faults.filter(|fault| fault.check != "R3" || was_linked_before(firm, fault, &looks)).cloned();
        let is_late = |fault: &Fault| fault.occurred_at + GRACE < now && is_datable(firm, fault, &looks);
        let all = faults.chain(moves).chain(undone);
        let judged = |fault: Fault| {
            let is_late = is_late(&fault);
            (fault, is_late)
        };
        let mut all: Vec<(Fault, bool)> = all.map(judged).collect();
        if no_requisition_crossed(firm, now, &mut self.approved) {
            all.push((Fault { entity: "vendor_invoices".to_owned(), ..nothing("L2", now) }, false));
        }
        // Procore tells when a change order was entered, not since when it is pending: 30 days from entry at the earliest,
        // 30 days from its submission at the latest.
        let is_over = |since: DateTime<Utc>| (now - since).num_days() > 30;
        let pending = firm.procore.change_orders.values().filter(|order| order.status == "pending");
        for order in pending.filter(|order| is_over(order.created_at)) {
            let (pm_id, amount) = (Some(order.id.to_string()), Some(order.grand_total));
            let entity = "change_orders".to_owned();
            let fault = Fault { pm_id, amount, entity, ..nothing("O2", order.created_at) };
            all.push((fault, is_over(order.updated_at)));
        }
        all.extend(unpaid(firm, now).into_iter().map(|fault| (fault, true)));
        all
    }

    /// What was injected and still stands is in what the firm derives from its databases too.
    pub(super) fn injected_are_there(
        &self,
        differences: &mut String,
        place: &str,
        firm: &Firm,
        expected: &BTreeMap<String, Expected>,
    ) {
        let injected = firm.truth().into_iter().filter(|fault| fault.healed_at.is_none());
        for fault in injected.filter(|fault| !SUMMED_UP.contains(&fault.check.as_str())) {
            let stands = |check: &str| {
                let fault = Fault { check: check.to_owned(), ..fault.clone() };
                (self.pair.told)(firm, fault).iter().all(|told| {
                    expected.get(&told.check).is_some_and(|of_check| of_check.all.contains(&keys::key(told)))
                })
            };
            // Of a bill paid in parts Procore may know the other part: then both sides have paid, by other amounts. Or it
            // shows a check that was voided in place of the one that it never heard of: that is told of the void.
            let is_told_otherwise = || stands("P2") || has_voided_check(firm, &fault);
            if !(stands(&fault.check) || fault.check == "P1" && is_told_otherwise()) {
                writeln!(differences, "{place} {}: injected and not standing: {fault:?}", fault.check).unwrap();
            }
        }
    }
}

/// P0: what PM shows unpaid for too long, with what the ERP says of it.
pub(super) fn unpaid(firm: &Firm, now: DateTime<Utc>) -> Vec<Fault> {
    let ambiguous = firm.standing().into_iter().filter(|fault| fault.check == "R2").filter_map(|fault| fault.pm_id);
    let ambiguous: BTreeSet<String> = ambiguous.collect();
    let fault = |row: UnpaidRequisition| {
        // Which of two bills it is, nobody can tell.
        let is_ambiguous = ambiguous.contains(&row.requisition_id.to_string());
        let verdict = if is_ambiguous { PaymentVerdict::NoRecord } else { row.verdict };
        let (pm_id, field) = (Some(row.requisition_id.to_string()), Some(word(verdict).to_owned()));
        let (amount, entity) = (Some(row.net - row.paid_in_procore), "vendor_invoices".to_owned());
        Fault { pm_id, field, amount, entity, ..nothing("P0", now) }
    };
    firm.unpaid_requisitions(60).into_iter().map(fault).collect()
}

fn nothing(check: &str, since: DateTime<Utc>) -> Fault {
    Fault {
        check: check.to_owned(),
        entity: String::new(),
        pm_id: None,
        erp_id: None,
        field: None,
        occurred_at: since,
        opened_at: since,
        healed_at: None,
        amount: None,
        note: String::new(),
    }
}

/// Whether a payment that Procore shows on a requisition is of a check that was voided (P3).
fn has_voided_check(firm: &Firm, fault: &Fault) -> bool {
    let voided = firm.standing().into_iter().filter(|fault| fault.check == "P3").filter_map(|fault| fault.pm_id);
    let mut payments = voided.filter_map(|id| firm.procore.contract_payments.get(&id.parse().ok()?).cloned());
    payments.any(|payment| payment.requisition_id.map(|id| id.to_string()) == fault.pm_id)
}

/// Whether the systems tell when it came to be. They have no date of an approval for most records: what was approved since the
/// last look was so by its last change, which may have been an hour ago.
fn is_datable(firm: &Firm, fault: &Fault, looks: &[DateTime<Utc>]) -> bool {
    if !["M1", "M2", "M4", "M6", "I1", "I2"].contains(&fault.check.as_str()) {
        return true;
    }
    let (now, before) = (*looks.last().unwrap(), looks.iter().rev().nth(1).copied());
    let id: ProcoreId = fault.pm_id.as_deref().and_then(|id| id.parse().ok()).unwrap_or_default();
    let changed = [
        firm.procore.commitments.get(&id).map(|one| one.updated_at),
        firm.procore.requisitions.get(&id).map(|one| one.updated_at),
        firm.procore.payment_applications.get(&id).map(|one| one.updated_at),
        fault.erp_id.as_ref().and_then(|key| firm.acumatica.purchase_orders.get(key)).map(|one| one.last_modified_at),
    ];
    before.is_some_and(|before| fault.occurred_at <= before) || changed.into_iter().flatten().all(|at| at + GRACE < now)
}

/// L2 of requisitions, whose approval dates from the look that first saw it: of those approved since the last look, and as far
/// as one can tell in the last two weeks, none has become a bill, and three had the time.
fn no_requisition_crossed(firm: &Firm, now: DateTime<Utc>, approved: &mut BTreeSet<ProcoreId>) -> bool {
    let missing: BTreeSet<Option<String>> =
        firm.standing().into_iter().filter(|fault| fault.check == "I2").map(|fault| fault.pm_id).collect();
    let (mut late, mut crossed) = (0, 0);
    let records = firm.procore.requisitions.values().filter(|one| one.status.starts_with("approved"));
    for one in records.filter(|one| !one.summary.current_payment_due.is_zero()) {
        if !approved.insert(one.id) || one.updated_at < now - TimeDelta::days(14) {
            continue;
        }
        late += u32::from(one.updated_at < now - TimeDelta::hours(36));
        crossed += u32::from(one.erp_status == "synced" && !missing.contains(&Some(one.id.to_string())));
    }
    late >= 3 && crossed == 0
}

/// Whether a look saw the vendor as it was before the change. What differed at the first sight is nobody's violation.
fn was_seen_before(firm: &Firm, fault: &Fault, looks: &[DateTime<Utc>]) -> bool {
    let vendor = fault.pm_id.as_ref().and_then(|id| firm.procore.vendors.get(&id.parse().ok()?));
    let is_there = |look: &DateTime<Utc>| vendor.is_none_or(|vendor| vendor.created_at <= *look);
    looks.iter().any(|look| *look < fault.opened_at && is_there(look))
}

/// Both sides moved (W2) is seen only where both were there before: of a vendor that accounting entered since, PM's move alone (W1).
fn moved_as_seen(firm: &Firm, fault: Fault, looks: &[DateTime<Utc>]) -> Fault {
    let vendor = fault.erp_id.as_ref().and_then(|key| firm.acumatica.vendors.get(key));
    let is_there = |look: &DateTime<Utc>| vendor.is_none_or(|vendor| vendor.created_at <= *look);
    let was_seen = looks.iter().any(|look| *look < fault.opened_at && is_there(look));
    if fault.check != "W2" || was_seen { fault } else { Fault { check: "W1".to_owned(), ..fault } }
}

/// Whether a look saw one of the change orders with its own id, before these were confused: it got it when the ERP got the record.
/// Then that one pointed elsewhere before, and the other has what it held.
fn was_linked_before(firm: &Firm, fault: &Fault, looks: &[DateTime<Utc>]) -> bool {
    let both = firm.truth().into_iter().filter(|other| other.check == "R3" && other.opened_at == fault.opened_at);
    let records = both.filter_map(|other| firm.acumatica.change_orders.get(&other.erp_id?));
    let linked_at = records.map(|record| record.created_at).min();
    looks.iter().any(|look| linked_at.is_some_and(|at| at <= *look) && *look < fault.opened_at)
}

/// A change on the wrong side that was seen, and then set back: told once, at the first look after it.
fn undone_since(fault: Fault, looks: &[DateTime<Utc>]) -> Option<Fault> {
    let [.., before, now] = looks else { return None };
    let is_seen = fault.opened_at <= *before;
    let healed = fault.healed_at.filter(|healed| healed > before && healed <= now)?;
    (fault.check == "W1" && is_seen).then(|| Fault {
        check: "W3".to_owned(),
        occurred_at: healed,
        healed_at: None,
        ..fault
    })
}

fn word(verdict: PaymentVerdict) -> &'static str {
    match verdict {
        PaymentVerdict::Paid => "paid",
        PaymentVerdict::Partly => "partly",
        PaymentVerdict::Unpaid => "unpaid",
        PaymentVerdict::NoRecord => "no record",
    }
}
