//! The simulated construction firm: what its people and its connector do in Procore and Acumatica, day by day.
//!
//! Owns the firm's two databases, its calendar of things to come, and the truth about what went wrong. Invariants: the same
//! seed and options give the same life, lived in one step or in many, because chance is drawn only while an event happens,
//! in the order of the calendar; nothing here reads a clock. It follows the systems' fact sheets and knows nothing of how
//! tieout reads them. Leaves out the interfaces.
//!
//! | module | owns |
//! |---|---|
//! | [`model`] | the shapes of both databases |
//! | [`truth`] | what went wrong, since when, healed when |
//! | `setup`, `names` | the firm before its first day |
//! | `life`, `changes`, `invoices` | the calendar's events; commitments, change orders, invoices in Procore |
//! | `jobs` | how a project starts in both systems |
//! | `billing` | G702 and G703 |
//! | `connector` | exports from Procore, payments back to it |
//! | `documents`, `books`, `cash` | the ERP's bills and invoices, its ledgers, its checks and receipts |
//! | `costs` | the ERP's job costs as direct costs in Procore, budget changes |
//! | `ledger` | the ERP's calendar, and what accounting enters of its own |
//! | `faults` | how often what goes wrong, and how it heals |
//! | `decoys` | what looks wrong and is not, on projects of its own |
//! | `faults` | how often what goes wrong, and how it heals; below it the mishaps, by family |

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod billing;
mod books;
mod cash;
mod changes;
mod connector;
mod costs;
mod decoys;
mod documents;
mod faults;
mod invoices;
mod jobs;
mod ledger;
mod life;
pub mod model;
mod names;
mod setup;
#[cfg(test)]
mod tests;
pub mod truth;

pub(super) use books::{PAYABLE, RECEIVABLE, RETAINAGE_PAYABLE, RETAINAGE_RECEIVABLE};
pub use decoys::{Decoy, DecoyKind, DecoyRates};
pub use faults::FaultRates;
pub(super) use ledger::RETAINED_EARNINGS;
pub use truth::{Fault, PaymentVerdict, UnpaidRequisition};

use life::{Event, Job};
use model::{AcumaticaDatabase, ProcoreDatabase, ProcoreId, Rate};

/// What firm to simulate.
#[derive(Clone, Debug)]
pub struct FirmOptions {
    /// Year and month of its first day.
    pub first_month: (i32, u32),
    /// Over how many months its projects start and run; it lives on beyond them.
    pub months: u32,
    /// How many projects.
    pub projects: u32,
    /// How many subcontractors and suppliers.
    pub vendors: u32,
    /// What is held back of each bill and application.
    pub retainage: Rate,
    /// How often things go wrong.
    pub faults: FaultRates,
    /// How often there is something that looks wrong and is not.
    pub decoys: DecoyRates,
}

/// A firm, as it stands at the moment up to which it has lived.
#[derive(Clone, Debug)]
pub struct Firm {
    /// Everything in Procore.
    pub procore: ProcoreDatabase,
    /// Everything in Acumatica.
    pub acumatica: AcumaticaDatabase,
    /// What Procore's interface shows where the ids that it stores are another ERP's.
    pub(crate) shown: Option<Box<ProcoreDatabase>>,
    options: FirmOptions,
    now: DateTime<Utc>,
    rng: ChaCha8Rng,
    /// The chances of what `ledger` enters: so that it changes nothing of what else happens.
    ledger_rng: ChaCha8Rng,
    /// The chances of mishaps, for the same reason.
    mishap_rng: ChaCha8Rng,
    draws_mishaps: bool,
    calendar: BTreeMap<(DateTime<Utc>, u64), Event>,
    sequence: u64,
    next_procore_id: ProcoreId,
    numbers: BTreeMap<&'static str, i64>,
    jobs: Vec<Job>,
    /// How far through the job each billed line starts and ends, in basis points, by its origin.
    windows: BTreeMap<ProcoreId, (i64, i64)>,
    /// The latest invoice of each contract.
    latest_invoice: BTreeMap<ProcoreId, ProcoreId>,
    /// Which ERP vendor a Procore vendor is, whether or not Procore stores it.
    erp_vendors: BTreeMap<ProcoreId, String>,
    /// Which ERP order a commitment is, and which order line each of its lines and packages is.
    erp_orders: BTreeMap<ProcoreId, connector::OrderLink>,
    /// Which requisition or application an ERP document bills, by the document's key.
    billed: BTreeMap<String, ProcoreId>,
    /// Which commitment or prime contract an ERP document belongs to.
    document_contracts: BTreeMap<String, ProcoreId>,
    /// The ERP documents of a contract.
    contract_documents: BTreeMap<ProcoreId, Vec<String>>,
    /// Released bills with a balance, by vendor.
    open_bills: BTreeMap<String, BTreeSet<String>>,
    /// Exports that wait for a vendor or a commitment, each with the fault that it shows as.
    blocked: Vec<(ProcoreId, ProcoreId, life::Export, usize)>,
    /// Where each mirrored payment lies in Procore: (check or receipt, document) to contract payment.
    mirrored: BTreeMap<(String, String), ProcoreId>,
    /// ERP budget rows whose balance Procore has not mirrored yet.
    stale_budgets: BTreeSet<String>,
    budget_lines: BTreeMap<String, ProcoreId>,
    /// Which direct cost a batch of the ERP is, and as of which of its changes.
    direct_costs: BTreeMap<String, (ProcoreId, DateTime<Utc>)>,
    next_ordered_id: ProcoreId,
    faults: Vec<Fault>,
    heals: BTreeMap<usize, faults::Heal>,
    /// How many faults, from this one on, are put right together.
    companions: BTreeMap<usize, usize>,
    /// Mishaps that wait for something to befall.
    armed: BTreeSet<faults::mishaps::Mishap>,
    /// Records that a mishap has spoiled, by id or natural key.
    spoiled: BTreeSet<String>,
    /// Commitments on which nobody bills any more.
    resting: BTreeSet<ProcoreId>,
    /// Payments that come back with so much too much: payment and document.
    miskeyed: BTreeMap<(String, String), model::Cents>,
    /// Bills that accounting believes to be paid.
    withheld: BTreeSet<String>,
    /// Until when the import of payments stands still.
    imports_again_at: Option<DateTime<Utc>>,
    crosswalk: Vec<(String, String, String)>,
    decoys: Vec<Decoy>,
    apart: decoys::Apart,
}

impl Default for FirmOptions {
    fn default() -> Self {
        Self {
            first_month: (2024, 1),
            months: 24,
            projects: 8,
            vendors: 40,
            retainage: billing::RETAINAGE,
            faults: FaultRates::default(),
            decoys: DecoyRates::none(),
        }
    }
}

impl Firm {
    /// A firm on the morning of its first day.
    pub fn new(seed: u64, options: FirmOptions) -> Self {
        let (year, month) = options.first_month;
        let first_day = NaiveDate::from_ymd_opt(year, month, 1).unwrap_or_default();
        let mut firm = Self {
            procore: ProcoreDatabase::default(),
            acumatica: AcumaticaDatabase::default(),
            shown: None,
            options,
            now: first_day.and_time(NaiveTime::MIN).and_utc(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            ledger_rng: ChaCha8Rng::seed_from_u64(seed ^ 0x001e_d9e7),
            mishap_rng: ChaCha8Rng::seed_from_u64(seed ^ 0x0b1a_5e55),
            draws_mishaps: false,
            calendar: BTreeMap::new(),
            sequence: 0,
            next_procore_id: 562_949_953_421_312 + 1_000,
            numbers: BTreeMap::new(),
            jobs: Vec::new(),
            windows: BTreeMap::new(),
            latest_invoice: BTreeMap::new(),
            erp_vendors: BTreeMap::new(),
            erp_orders: BTreeMap::new(),
            billed: BTreeMap::new(),
            document_contracts: BTreeMap::new(),
            contract_documents: BTreeMap::new(),
            open_bills: BTreeMap::new(),
            blocked: Vec::new(),
            mirrored: BTreeMap::new(),
            stale_budgets: BTreeSet::new(),
            budget_lines: BTreeMap::new(),
            direct_costs: BTreeMap::new(),
            next_ordered_id: costs::FIRST_ORDERED_ID,
            faults: Vec::new(),
            heals: BTreeMap::new(),
            companions: BTreeMap::new(),
            armed: BTreeSet::new(),
            spoiled: BTreeSet::new(),
            resting: BTreeSet::new(),
            miskeyed: BTreeMap::new(),
            withheld: BTreeSet::new(),
            imports_again_at: None,
            crosswalk: Vec::new(),
            decoys: Vec::new(),
            apart: decoys::Apart::new(seed),
        };
        firm.set_up();
        firm
    }

    /// Lives on up to and including `at`; never back.
    pub fn live_until(&mut self, at: DateTime<Utc>) {
        while let Some(entry) = self.calendar.first_entry() {
            let (moment, _) = *entry.key();
            if moment > at {
                break;
            }
            self.now = moment;
            let event = entry.remove();
            self.happen(event);
        }
        self.now = self.now.max(at);
    }

    /// The moment up to which it has lived.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Everything that has gone wrong so far, healed or not, oldest first.
    pub fn truth(&self) -> Vec<Fault> {
        truth::known(&self.faults, self.now)
    }

    /// The requisition that a bill of the ERP is of, as far as the connector remembers.
    pub fn requisition_of(&self, bill: &str) -> Option<ProcoreId> {
        self.billed.get(bill).copied()
    }

    /// Requisitions that Procore shows unpaid more than `days` after their billing date, each with what the ERP says.
    pub fn unpaid_requisitions(&self, days: u64) -> Vec<UnpaidRequisition> {
        truth::unpaid(self, days)
    }

    /// Everything that looks wrong and is not, oldest first, without what is still to come.
    pub fn decoys(&self) -> &[Decoy] {
        &self.decoys
    }

    /// The intended one-to-many links (entity, Procore id, Acumatica key) that the firm would keep in its crosswalk file.
    pub fn crosswalk(&self) -> &[(String, String, String)] {
        &self.crosswalk
    }

    fn schedule(&mut self, at: DateTime<Utc>, event: Event) {
        self.sequence += 1;
        let event = if self.apart.is_entered { Event::Apart(Box::new(event)) } else { event };
        self.calendar.insert((at, self.sequence), event);
    }

    fn schedule_in(&mut self, hours: i64, event: Event) {
        self.schedule(self.now + TimeDelta::hours(hours), event);
    }

    /// A moment in the office hours of `date`.
    fn office(&mut self, date: NaiveDate) -> DateTime<Utc> {
        let seconds = self.between(13 * 3_600, 22 * 3_600);
        date.and_time(NaiveTime::MIN).and_utc() + TimeDelta::seconds(seconds)
    }

    /// A moment in the office hours between `least` and `most` days from now.
    fn days_on(&mut self, least: i64, most: i64) -> DateTime<Utc> {
        let days = self.between(least, most);
        let date = self.today() + Days::new(u64::try_from(days).unwrap_or_default());
        self.office(date)
    }

    fn today(&self) -> NaiveDate {
        self.now.date_naive()
    }

    fn between(&mut self, least: i64, most: i64) -> i64 {
        self.rng.random_range(least..=most.max(least))
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        self.rng.random_range(0..1_000) < per_mille
    }

    fn pick<'list, T>(&mut self, list: &'list [T]) -> Option<&'list T> {
        let greatest = i64::try_from(list.len()).unwrap_or_default() - 1;
        let index = self.between(0, greatest);
        list.get(usize::try_from(index).unwrap_or_default())
    }

    fn procore_id(&mut self) -> ProcoreId {
        self.next_procore_id += self.between(1, 97);
        self.next_procore_id
    }

    /// The next number of an ERP numbering sequence.
    fn next_number(&mut self, sequence: &'static str) -> i64 {
        let first = if self.apart.is_entered { decoys::FIRST_NUMBER } else { 0 };
        let number = self.numbers.entry(sequence).or_insert(first);
        *number += 1;
        *number
    }

    fn reference(&mut self, sequence: &'static str) -> String {
        format!("{:06}", self.next_number(sequence))
    }

    fn note_id(&mut self) -> String {
        let id: u128 = self.rng.random();
        uuid::Uuid::from_u128(id).to_string()
    }

    fn job(&self, index: usize) -> Option<&Job> {
        self.jobs.get(index)
    }
}
