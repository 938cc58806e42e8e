//! Mishaps of payments on their way back to Procore.

use chrono::{Datelike, TimeDelta};

use super::super::Firm;
use super::super::life::Event;
use super::super::model::{Cents, ContractPayment, ProcoreId};
use super::mishaps::{Mishap, Undo};

/// How long the import stands still.
const DEAD_DAYS: i64 = 29;

impl Firm {
    /// P2: what comes back of a payment is another amount.
    pub(in crate::firm) fn miskey_payment(&mut self, payment: &str, document: &str, amount: Cents) {
        let Some(requisition) = self.billed.get(document).copied() else { return };
        if amount < Cents(50_000) || !self.is_whole(requisition) || !self.is_befallen(Mishap::PaymentMiskeyed) {
            return;
        }
        self.spoil(requisition);
        let pair = (payment.to_owned(), document.to_owned());
        self.with_mishap_chances(|firm| {
            let by = amount.share(firm.between(2, 20), 100);
            let by = if firm.chance(500) { by } else { -by };
            firm.miskeyed.insert(pair, by);
        });
    }

    /// The amount as Procore takes it over; tells the fault once it stands there.
    pub(in crate::firm) fn amount_as_mirrored(&mut self, pair: &(String, String), amount: Cents) -> Cents {
        self.miskeyed.get(pair).map_or(amount, |by| amount + *by)
    }

    pub(in crate::firm) fn note_miskeyed(&mut self, pair: &(String, String), id: ProcoreId) {
        let Some(by) = self.miskeyed.remove(pair) else { return };
        let requisition = self.billed.get(&pair.1).copied();
        self.with_mishap_chances(|firm| {
            let note = format!("{} came back with {by} too much", pair.0);
            let ids = (requisition, Some(pair.0.as_str()));
            let first = firm.record(("P2", "payments"), ids, Some("amount"), Some(by), note);
            firm.may_undo(first, Undo::CorrectPayment(id, by), (15, 60));
        });
    }

    pub(super) fn correct_payment(&mut self, id: ProcoreId, by: Cents) {
        let now = self.now;
        let Some(record) = self.procore.contract_payments.get_mut(&id) else { return };
        record.amount -= by;
        record.updated_at = now;
        let (contract, billed) = (record.contract_id, record.requisition_id);
        self.count_payment(contract, billed, -by);
    }

    /// P3: a check that Procore knows is voided, and Procore is not told.
    pub(super) fn void_unnoticed(&mut self) -> Option<()> {
        let since = self.days_ago(25);
        let checks: Vec<String> = self
            .mirrored
            .keys()
            .filter(|(payment, document)| {
                let is_whole = |id: &ProcoreId| self.is_whole(id);
                let check = self.acumatica.checks.get(payment);
                check.is_some_and(|check| check.status == "Closed" && check.application_date >= since)
                    && self.billed.get(document).is_some_and(is_whole)
                    && self.document_contracts.get(document).is_some_and(is_whole)
            })
            .map(|(payment, _)| payment.clone())
            .collect();
        let check = self.pick(&checks)?.clone();
        self.armed.insert(Mishap::VoidLost);
        self.void_check(&check);
        Some(())
    }

    /// Whether the void of a check does not reach Procore.
    pub(in crate::firm) fn lose_void(&mut self, payment: &str, document: &str) -> bool {
        let pair = (payment.to_owned(), document.to_owned());
        let Some(id) = self.mirrored.get(&pair).copied() else { return false };
        let Some(contract) = self.document_contracts.get(document).copied() else { return false };
        let is_requisition = self.billed.get(document).is_some_and(|id| self.is_whole(id));
        if !is_requisition || !self.is_whole(contract) || !self.is_befallen(Mishap::VoidLost) {
            return false;
        }
        let amount = self.procore.contract_payments.get(&id).map(|record| record.amount);
        if let Some(requisition) = self.billed.get(document).copied() {
            self.spoil(requisition);
        }
        self.spoil(contract);
        self.with_mishap_chances(|firm| {
            let note = format!("{payment} was voided; Procore still calls it paid");
            let first = firm.record(("P3", "payments"), (Some(id), Some(payment)), Some("status"), amount, note);
            firm.may_undo(first, Undo::Unmirror(pair.0, pair.1), (20, 60));
        });
        true
    }

    /// P4: somebody types a payment into Procore, and accounting lets the bill lie because it is said to be paid.
    pub(super) fn type_in_payment(&mut self) -> Option<()> {
        let own: Vec<ProcoreId> = self.own_jobs().into_iter().flat_map(|job| job.commitments).collect();
        let bills: Vec<(String, ProcoreId)> = self
            .billed
            .iter()
            .filter(|(key, id)| {
                let is_own = self.document_contracts.get(*key).is_some_and(|contract| own.contains(contract));
                let is_open = |key: &String| {
                    self.acumatica.bills.get(key).is_some_and(|bill| {
                        bill.applications.is_empty() && bill.balance > Cents(1_000) && bill.status == "Open"
                    })
                };
                let parts = self.billed.values().filter(|other| other == id).count();
                is_own && self.is_whole(id) && is_open(key) && parts == 1
            })
            .map(|(key, id)| (key.clone(), *id))
            .collect();
        let (key, id) = self.pick(&bills)?.clone();
        let requisition = self.procore.requisitions.get(&id)?.clone();
        self.spoil(id);
        let amount = requisition.summary.current_payment_due;
        let record = ContractPayment {
            id: self.procore_id(),
            project_id: requisition.project_id,
            contract_id: requisition.commitment_id,
            requisition_id: Some(id),
            amount,
            date: self.today(),
            check_number: format!("J{}", 80 + self.next_number("joint check")),
            invoice_number: requisition.invoice_number.unwrap_or_default(),
            payment_number: 90,
            draw_request_number: Some(requisition.number),
            notes: Some("Joint check".to_owned()),
            status: "paid",
            origin_id: None,
            origin_code: None,
            created_at: self.now,
            updated_at: self.now,
        };
        let payment = record.id;
        self.procore.contract_payments.insert(payment, record);
        self.count_payment(requisition.commitment_id, Some(id), amount);
        self.withheld.insert(key.clone());
        let note = "typed into Procore, never paid in the ERP";
        let first = self.record(("P4", "payments"), (Some(id), Some(&key)), None, Some(amount), note);
        self.may_undo(first, Undo::DeletePayment(payment), (20, 60));
        Some(())
    }

    pub(super) fn delete_payment(&mut self, id: ProcoreId) {
        let Some(record) = self.procore.contract_payments.remove(&id) else { return };
        self.count_payment(record.contract_id, record.requisition_id, -record.amount);
        let bills: Vec<String> = self
            .billed
            .iter()
            .filter(|(key, billed)| Some(**billed) == record.requisition_id && self.withheld.contains(*key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in bills {
            self.withheld.remove(&key);
            let at = self.days_on(1, 4);
            self.schedule(at, Event::PayBill(key, true));
        }
    }

    /// L2: from the middle of a month on the import of payments stands still; all of them follow when somebody restarts it.
    pub(super) fn stop_import(&mut self) -> Option<()> {
        if !(6..=15).contains(&self.today().day()) || self.imports_again_at.is_some_and(|at| at > self.now) {
            return None;
        }
        let until = self.now + TimeDelta::days(DEAD_DAYS);
        self.imports_again_at = Some(until);
        let fault = self.record(
            ("L2", "payments"),
            (None, None),
            None,
            Some(Cents::ZERO),
            "the import of payments stands still",
        );
        if let Some(fault) = self.faults.get_mut(fault) {
            fault.healed_at = Some(until);
        }
        Some(())
    }

    /// Puts off what the import would do now, while it stands still.
    pub(in crate::firm) fn is_put_off(&mut self, event: Event) -> bool {
        let Some(again) = self.imports_again_at.filter(|at| *at > self.now) else { return false };
        self.schedule(again + TimeDelta::hours(1), event);
        true
    }
}
