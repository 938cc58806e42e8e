//! Checks that pay in pieces, together, twice and taken back, or with less money than the bill says.

use chrono::TimeDelta;

use super::super::Firm;
use super::super::books::{CASH, PAYABLE};
use super::super::life::Event;
use super::super::model::{Cents, CommitmentKind, ContractPayment, ErpCheck, ProcoreId};
use super::{DecoyKind, DecoyStep};

impl Firm {
    pub(super) fn place_payment(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        match kind {
            DecoyKind::PaidInTwoParts => {
                let contract = self.subcontract(job)?;
                let (requisition, bill) = self.billed_requisition(contract, 5_000)?;
                let at = self.days_on(10, 12);
                self.schedule(at, Event::PayBill(bill.clone(), false));
                self.note(kind, &[requisition], &[&bill]);
            }
            DecoyKind::OneCheckForSeveral => {
                let (company, vendor) = self.company();
                let mut parts = Vec::new();
                let mut requisitions = Vec::new();
                for kind in [CommitmentKind::WorkOrder, CommitmentKind::PurchaseOrder] {
                    let contract = self.contract(job, company, kind)?;
                    let (requisition, bill) = self.billed_requisition(contract, 5_000)?;
                    parts.push((bill.clone(), self.acumatica.bills.get(&bill)?.balance));
                    requisitions.push(requisition);
                }
                self.write_check(&vendor, &parts);
                self.note(kind, &requisitions, &[&parts.first()?.0, &parts.last()?.0]);
            }
            DecoyKind::CheckVoidedAndReissued => {
                let (requisition, bill, check) = self.paid_at_once(job)?;
                let at = self.days_on(4, 6);
                self.schedule(at, Event::VoidCheck(check.clone()));
                self.note(kind, &[requisition], &[&bill, &check]);
            }
            DecoyKind::CheckVoidedSameDay => {
                let (requisition, bill, check) = self.paid_at_once(job)?;
                self.void_check(&check);
                self.note(kind, &[requisition], &[&bill, &check]);
            }
            DecoyKind::JointCheck => {
                let contract = self.subcontract(job)?;
                let (requisition, bill) = self.billed_requisition(contract, 5_000)?;
                let record = self.acumatica.bills.get(&bill)?;
                let (vendor, whole) = (record.vendor.clone(), record.balance);
                let half = whole.share(1, 2);
                self.write_check(&vendor, &[(bill.clone(), half)]);
                self.write_check(&vendor, &[(bill.clone(), whole - half)]);
                self.note(kind, &[requisition], &[&bill]);
            }
            DecoyKind::ElectronicPayment => {
                let (requisition, bill, check) = self.paid_at_once(job)?;
                let record = self.acumatica.checks.get_mut(&check)?;
                record.payment_method = "ACH";
                record.payment_ref = format!("091000019{}", record.reference_nbr);
                self.note(kind, &[requisition], &[&bill, &check]);
            }
            DecoyKind::DiscountTaken => return self.discount(kind, job),
            DecoyKind::PaymentWithoutRequisition => {
                let (requisition, bill) = self.ordinary(job, 5_000)?;
                // The connector does not remember which requisition the bill is.
                self.billed.remove(&bill);
                self.note(kind, &[requisition], &[&bill]);
            }
            DecoyKind::PaymentRejected => {
                let (requisition, bill) = self.ordinary(job, 5_000)?;
                let payment = self.procore_payment(requisition, "rejected")?;
                self.note(kind, &[requisition, payment], &[&bill]);
            }
            DecoyKind::PaymentInReview => {
                let (requisition, bill) = self.ordinary(job, 5_000)?;
                let payment = self.procore_payment(requisition, "in_review")?;
                self.note(kind, &[requisition, payment], &[&bill]);
            }
            DecoyKind::CheckOnHold => {
                let (_, vendor) = self.company();
                let (reference, amount) = (self.reference("check"), self.small_amount());
                let check = ErpCheck {
                    doc_type: "Check",
                    reference_nbr: reference.clone(),
                    status: "On Hold",
                    hold: true,
                    vendor,
                    payment_method: "CHECK",
                    cash_account: CASH.to_owned(),
                    payment_ref: String::new(),
                    application_date: self.today(),
                    payment_amount: amount,
                    unapplied_balance: amount,
                    currency_id: "USD",
                    description: String::from("Waits for the controller"),
                    history: Vec::new(),
                    note_id: self.note_id(),
                    created_at: self.now,
                    last_modified_at: self.now,
                };
                let key = format!("Check|{reference}");
                self.acumatica.checks.insert(key.clone(), check);
                self.note(kind, &[], &[&key]);
            }
            DecoyKind::PaymentInTime => {
                let contract = self.order(job)?;
                let at = self.eve();
                self.schedule(at, Event::DecoyStep(DecoyStep::PayInTime(contract, 2_000)));
            }
            _ => return None,
        }
        Some(())
    }

    /// A requisition billed and paid on one day: requisition, bill, check.
    fn paid_at_once(&mut self, job: usize) -> Option<(ProcoreId, String, String)> {
        let contract = self.subcontract(job)?;
        let (requisition, bill) = self.billed_requisition(contract, 5_000)?;
        let record = self.acumatica.bills.get(&bill)?;
        let (vendor, whole) = (record.vendor.clone(), record.balance);
        let check = self.write_check(&vendor, &[(bill.clone(), whole)]);
        Some((requisition, bill, check))
    }

    /// Two percent less, as the terms allow: the check settles the bill, and both systems know what was paid.
    fn discount(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let contract = self.order(job)?;
        let (requisition, bill) = self.billed_requisition(contract, 5_000)?;
        let record = self.acumatica.bills.get(&bill)?;
        let (vendor, whole) = (record.vendor.clone(), record.balance);
        let discount = whole.share(2, 100);
        let check = self.write_check(&vendor, &[(bill.clone(), whole - discount)]);
        let reference = self.acumatica.checks.get(&check)?.reference_nbr.clone();
        let record = self.acumatica.checks.get_mut(&check)?;
        for line in &mut record.history {
            (line.cash_discount_taken, line.balance) = (discount, Cents::ZERO);
        }
        let record = self.acumatica.bills.get_mut(&bill)?;
        (record.balance, record.status) = (Cents::ZERO, "Closed");
        self.open_bills.entry(vendor).or_default().remove(&bill);
        self.post_pair("AP", self.today(), &reference, PAYABLE, "60200", discount);
        self.note(kind, &[requisition], &[&bill, &check]);
        Some(())
    }

    /// A payment that Procore knows of and that never was one.
    fn procore_payment(&mut self, requisition: ProcoreId, status: &'static str) -> Option<ProcoreId> {
        let record = self.procore.requisitions.get(&requisition)?.clone();
        let id = self.procore_id();
        let payment = ContractPayment {
            id,
            project_id: record.project_id,
            contract_id: record.commitment_id,
            requisition_id: Some(requisition),
            amount: record.summary.current_payment_due,
            date: self.today(),
            check_number: String::new(),
            invoice_number: record.invoice_number.unwrap_or_default(),
            payment_number: 90,
            draw_request_number: Some(record.number),
            notes: None,
            status,
            origin_id: None,
            origin_code: None,
            created_at: self.now,
            updated_at: self.now,
        };
        self.procore.contract_payments.insert(id, payment);
        Some(id)
    }

    /// Paid in the evening, in Procore the next afternoon; and again at the end of the next month.
    pub(super) fn pay_in_time(&mut self, contract: ProcoreId, progress: i64) {
        let Some((requisition, bill)) = self.billed_requisition(contract, progress) else { return };
        let Some(record) = self.acumatica.bills.get(&bill) else { return };
        let (vendor, whole) = (record.vendor.clone(), record.balance);
        let check = self.write_check(&vendor, &[(bill.clone(), whole)]);
        let there = self.now + TimeDelta::hours(21);
        self.note_until(DecoyKind::PaymentInTime, &[requisition], &[&bill, &check], Some(there));
        if progress < 8_000 {
            let at = self.eve();
            self.schedule(at, Event::DecoyStep(DecoyStep::PayInTime(contract, progress + 1_500)));
        }
    }
}
