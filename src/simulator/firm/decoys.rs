//! What looks wrong in the firm and is not: the false alarms that a reconciliation must not raise.
//!
//! Owns the kinds ([`DecoyKind`] says of each what it is and why it is right), where they are placed, and the record of it.
//! Invariants: they happen on projects, companies and numbers of their own, with chances of their own, so that the rest of the
//! firm's life is the same with or without them; no fault ever touches them. They use the firm's ordinary ways (its
//! connector, its books, its checks) and depart from them in one point each.
//!
//! | module | owns |
//! |---|---|
//! | `kinds` | the kinds |
//! | `parts` | the projects they stand on, and the documents that most of them start from |
//! | `directory`, `setup` | vendors and customers; codes, projects, budgets |
//! | `commitments`, `changes`, `bills`, `owners`, `payments`, `ledger` | the rest by document |

use std::collections::BTreeMap;

use chrono::{DateTime, Days, Months, Utc};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::life::{Event, Export};
use super::model::ProcoreId;
use super::{FaultRates, Firm};

mod bills;
mod changes;
mod commitments;
mod directory;
mod kinds;
mod ledger;
mod owners;
mod parts;
mod payments;
mod setup;

pub use kinds::DecoyKind;

/// Where the numbers begin that documents of decoys get: beyond all others.
pub(super) const FIRST_NUMBER: i64 = 500_000;
/// Where the ids begin that their Procore records get.
const FIRST_ID: ProcoreId = 662_949_953_421_312;
/// As many of the firm's projects share one project of the decoys.
const PROJECTS_PER_STAGE: u32 = 6;

/// How often there is something that looks wrong and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoyRates {
    /// How many of the kinds appear on each project that has any, per thousand.
    pub kinds: u32,
    /// Whether also the kinds that ask something of the firm ([`DecoyKind::is_demanding`]).
    pub demanding: bool,
}

/// Something that looks wrong and is not. No check may report it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoy {
    /// What it is.
    pub kind: DecoyKind,
    /// The Procore records concerned.
    pub pm_ids: Vec<String>,
    /// The Acumatica records concerned, by their natural keys.
    pub erp_ids: Vec<String>,
    /// When it was there.
    pub at: DateTime<Utc>,
    /// Until when one side may still be on its way to the other: in flight, never open.
    pub settles_at: Option<DateTime<Utc>>,
}

/// What is kept apart from the rest of the firm's life.
#[derive(Clone, Debug)]
pub(super) struct Apart {
    pub(super) is_entered: bool,
    rng: ChaCha8Rng,
    next_procore_id: ProcoreId,
    numbers: BTreeMap<&'static str, i64>,
    erp_vendors: BTreeMap<ProcoreId, String>,
    faults: FaultRates,
}

/// The next step of a decoy.
#[derive(Clone, Debug)]
pub(super) enum DecoyStep {
    /// A change order is decided, and sent if it is approved.
    Decide(ProcoreId, &'static str),
    /// A requisition is billed, and paid in time.
    Book(ProcoreId),
    /// A held bill is released, and paid later.
    Release(String),
    /// A commitment is approved in the evening before an extraction and sent the next day.
    CommitInTime(usize),
    /// A change order is approved in time for the next extraction.
    ChangeInTime(ProcoreId),
    /// A requisition is approved in time for the next extraction.
    BillInTime(ProcoreId, i64),
    /// A requisition is billed on the eve of an extraction, and the bill is held until the day after.
    HoldInTime(ProcoreId, i64),
    /// A bill is paid the evening before an extraction.
    PayInTime(ProcoreId, i64),
    /// An application is approved in time for the next extraction.
    ApplyInTime(usize),
    /// An accrual is taken back.
    Reverse(String),
    /// A vendor or customer gets a new name on both sides.
    Rename(ProcoreId, String),
}

impl DecoyRates {
    /// A firm without any.
    #[must_use]
    pub fn none() -> Self {
        Self { kinds: 0, demanding: false }
    }

    /// Every kind on each project that has any.
    #[must_use]
    pub fn every() -> Self {
        Self { kinds: 1_000, demanding: true }
    }
}

impl Default for DecoyRates {
    /// A modest share of those that ask nothing of the firm.
    fn default() -> Self {
        Self { kinds: 200, demanding: false }
    }
}

impl Apart {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            is_entered: false,
            rng: ChaCha8Rng::seed_from_u64(seed.wrapping_add(0xDEC0)),
            next_procore_id: FIRST_ID,
            numbers: BTreeMap::new(),
            erp_vendors: BTreeMap::new(),
            faults: FaultRates::none(),
        }
    }
}

impl Firm {
    /// Does something that the rest of the firm's life does not notice; so is all that it schedules.
    pub(super) fn apart(&mut self, act: impl FnOnce(&mut Self)) {
        if self.apart.is_entered {
            return act(self);
        }
        self.change_sides();
        act(self);
        self.change_sides();
    }

    fn change_sides(&mut self) {
        let apart = &mut self.apart;
        apart.is_entered = !apart.is_entered;
        std::mem::swap(&mut self.rng, &mut apart.rng);
        std::mem::swap(&mut self.next_procore_id, &mut apart.next_procore_id);
        std::mem::swap(&mut self.numbers, &mut apart.numbers);
        std::mem::swap(&mut self.erp_vendors, &mut apart.erp_vendors);
        std::mem::swap(&mut self.options.faults, &mut apart.faults);
    }

    /// Plans the projects of the decoys among the firm's own.
    pub(super) fn set_up_decoys(&mut self) {
        if self.options.decoys.kinds == 0 {
            return;
        }
        let first = self.today();
        let stages = self.options.projects.div_ceil(PROJECTS_PER_STAGE);
        let spread = (self.options.months.max(2) / 2).max(1);
        self.apart(|firm| {
            for stage in 0..stages {
                let start = first.checked_add_months(Months::new(stage * spread / stages.max(1))).unwrap_or(first);
                let at = firm.office(start + Days::new(10));
                let job = firm.plan_stage(stage, at.date_naive());
                firm.schedule(at, Event::OpenStage(job));
            }
        });
    }

    /// A project of the decoys starts, and with it the calendar of what is placed on it.
    pub(super) fn open_stage(&mut self, job: usize) {
        self.raise_stage(job);
        for (turn, kind) in (0..).zip(DecoyKind::ALL) {
            let is_possible = self.options.decoys.demanding || !kind.is_demanding();
            let is_wanted = self.chance(self.options.decoys.kinds) && is_possible;
            // All within two months, so that each has a life afterwards.
            let day = self.today() + Days::new(3 + turn * 53 % 56);
            let at = self.office(day);
            if is_wanted {
                self.schedule(at, Event::Decoy(kind, job));
            }
        }
    }

    /// Records what was just placed.
    fn note(&mut self, kind: DecoyKind, pm_ids: &[ProcoreId], erp_ids: &[&str]) {
        self.note_until(kind, pm_ids, erp_ids, None);
    }

    fn note_until(
        &mut self,
        kind: DecoyKind,
        pm_ids: &[ProcoreId],
        erp_ids: &[&str],
        settles_at: Option<DateTime<Utc>>,
    ) {
        self.decoys.push(Decoy {
            kind,
            pm_ids: pm_ids.iter().map(ToString::to_string).collect(),
            erp_ids: erp_ids.iter().map(|id| (*id).to_owned()).collect(),
            at: self.now,
            settles_at,
        });
    }

    pub(super) fn step(&mut self, step: DecoyStep) {
        match step {
            DecoyStep::Decide(order, status) => {
                self.move_change_order(order, status);
                if status == "approved" {
                    self.export(Export::ChangeOrder(order), None);
                }
            }
            DecoyStep::Book(requisition) => self.book_in_time(requisition),
            DecoyStep::Release(bill) => self.release_held_bill(&bill),
            DecoyStep::CommitInTime(job) => self.commit_in_time(job),
            DecoyStep::ChangeInTime(contract) => self.change_in_time(contract),
            DecoyStep::BillInTime(contract, progress) => self.bill_in_time(contract, progress),
            DecoyStep::HoldInTime(contract, progress) => self.hold_in_time(contract, progress),
            DecoyStep::ApplyInTime(job) => self.apply_in_time(job),
            DecoyStep::PayInTime(contract, progress) => self.pay_in_time(contract, progress),
            DecoyStep::Reverse(batch) => self.reverse_accrual(&batch),
            DecoyStep::Rename(company, key) => self.rename(company, &key),
        }
    }
}

#[cfg(test)]
mod tests;
