//! Commitments that one side does not have yet, does not have any more, or calls by another word.

use super::super::Firm;
use super::super::life::{Event, Export};
use super::super::model::{Cents, CommitmentKind, ErpCommitment};
use super::{DecoyKind, DecoyStep};

impl Firm {
    #[expect(clippy::too_many_lines, reason = "an arm for each kind")]
    pub(super) fn place_commitment(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        match kind {
            DecoyKind::NothingBilledYet => {
                let contract = self.subcontract(job)?;
                let number = self.order_number(contract)?;
                self.note(kind, &[contract], &[&number]);
            }
            DecoyKind::DraftCommitment => return self.unsent(kind, job, "Draft"),
            DecoyKind::CommitmentToSign => return self.unsent(kind, job, "Out For Signature"),
            DecoyKind::CommitmentOutForBid => return self.unsent(kind, job, "Out For Bid"),
            DecoyKind::CommitmentVoidedUnsent => return self.unsent(kind, job, "Void"),
            DecoyKind::DeletedBeforeSync => {
                let (company, _) = self.company();
                let contract = self.draft_commitment(job, company, CommitmentKind::PurchaseOrder)?;
                let at = self.days_on(2, 4);
                self.schedule(at, Event::DeleteCommitment(contract));
                self.note(kind, &[contract], &[]);
            }
            DecoyKind::BilledAndClosedInErp => {
                let contract = self.subcontract(job)?;
                let (requisition, bill) = self.billed_requisition(contract, 10_000)?;
                self.pay_in(20, &bill);
                let number = self.order_number(contract)?;
                let now = self.now;
                let order = self.acumatica.subcontracts.get_mut(&number)?;
                (order.status, order.last_modified_at) = ("Closed", now);
                for line in &mut order.details {
                    (line.closed, line.completed) = (true, true);
                }
                self.note(kind, &[contract, requisition], &[&number, &bill]);
            }
            DecoyKind::CompletedOnBothSides => return self.both(kind, job, "Complete", "Completed"),
            DecoyKind::TerminatedAndCompleted => return self.both(kind, job, "Terminated", "Completed"),
            DecoyKind::VoidAndCanceled => {
                self.both(kind, job, "Void", "Canceled")?;
                let contract = *self.procore.commitments.keys().next_back()?;
                // A void commitment is no longer committed, on either side.
                self.release_committed(contract)?;
            }
            DecoyKind::PendingPrinting => return self.both(kind, job, "Approved", "Pending Printing"),
            DecoyKind::PartiallyReceived => {
                let (company, _) = self.company();
                let contract = self.contract(job, company, CommitmentKind::PurchaseOrder)?;
                let number = self.order_number(contract)?;
                self.procore.commitments.get_mut(&contract)?.status = "Partially Received";
                self.note(kind, &[contract], &[&format!("Normal|{number}")]);
            }
            DecoyKind::TaxOnOrder => {
                let (company, _) = self.company();
                let contract = self.contract(job, company, CommitmentKind::PurchaseOrder)?;
                let key = format!("Normal|{}", self.order_number(contract)?);
                let order = self.acumatica.purchase_orders.get_mut(&key)?;
                order.tax_total = order.line_total.share(725, 10_000);
                order.order_total = order.line_total + order.tax_total;
                self.note(kind, &[contract], &[&key]);
            }
            DecoyKind::CanceledSameDay => {
                let contract = self.subcontract(job)?;
                let number = self.order_number(contract)?;
                let copy = self.acumatica.subcontracts.get(&number)?.clone();
                let wrong = format!("{number}-X");
                let order = ErpCommitment {
                    order_nbr: wrong.clone(),
                    status: "Canceled",
                    vendor_ref: None,
                    note_id: self.note_id(),
                    created_at: self.now,
                    last_modified_at: self.now,
                    ..copy
                };
                self.acumatica.subcontracts.insert(wrong.clone(), order);
                self.note(kind, &[], &[&wrong]);
            }
            DecoyKind::OfficeOrder => {
                let (company, _) = self.company();
                let contract = self.contract(job, company, CommitmentKind::PurchaseOrder)?;
                let key = format!("Normal|{}", self.order_number(contract)?);
                let mut order = self.acumatica.purchase_orders.get(&key)?.clone();
                let number = self.reference("purchase order");
                (order.vendor_ref, order.note_id) = (None, self.note_id());
                order.order_nbr.clone_from(&number);
                for line in &mut order.details {
                    line.project = String::from("X");
                    line.account = String::from("60200");
                }
                self.acumatica.purchase_orders.insert(format!("Normal|{number}"), order);
                self.note(kind, &[], &[&format!("Normal|{number}")]);
            }
            DecoyKind::NumberSpelling => {
                let contract = self.subcontract(job)?;
                let number = self.order_number(contract)?;
                let record = self.procore.commitments.get_mut(&contract)?;
                record.number = format!(" {} ", number.to_lowercase().replace('-', " "));
                (record.origin_id, record.origin_code) = (None, None);
                self.note(kind, &[contract], &[&number]);
            }
            DecoyKind::OptionalFieldsEmpty => {
                let contract = self.subcontract(job)?;
                let number = self.order_number(contract)?;
                let record = self.procore.commitments.get_mut(&contract)?;
                (record.contract_date, record.execution_date, record.executed) = (None, None, false);
                (record.origin_code, record.title) = (None, String::new());
                self.acumatica.subcontracts.get_mut(&number)?.vendor_ref = None;
                self.note(kind, &[contract], &[&number]);
            }
            DecoyKind::CommitmentOfNothing => {
                let (company, _) = self.company();
                let contract = self.draft_commitment(job, company, CommitmentKind::WorkOrder)?;
                let record = self.procore.commitments.get_mut(&contract)?;
                for line in &mut record.lines {
                    (line.amount, line.unit_cost) = (Cents::ZERO, Cents::ZERO);
                }
                record.grand_total = Cents::ZERO;
                record.retotal();
                self.approve_contract(contract)?;
                self.export(Export::Commitment(contract), None);
                let number = self.order_number(contract)?;
                self.note(kind, &[contract], &[&number]);
            }
            DecoyKind::CommitmentInTime => {
                let at = self.eve();
                self.schedule(at, Event::DecoyStep(DecoyStep::CommitInTime(job)));
            }
            _ => return None,
        }
        Some(())
    }

    /// A commitment that Procore has and nobody sent.
    fn unsent(&mut self, kind: DecoyKind, job: usize, status: &'static str) -> Option<()> {
        let (company, _) = self.company();
        let contract = self.draft_commitment(job, company, CommitmentKind::WorkOrder)?;
        self.procore.commitments.get_mut(&contract)?.status = status;
        self.note(kind, &[contract], &[]);
        Some(())
    }

    /// A subcontract of both systems, with each one's own word for how it stands.
    fn both(&mut self, kind: DecoyKind, job: usize, pm: &'static str, erp: &'static str) -> Option<()> {
        let contract = self.subcontract(job)?;
        let number = self.order_number(contract)?;
        self.procore.commitments.get_mut(&contract)?.status = pm;
        self.acumatica.subcontracts.get_mut(&number)?.status = erp;
        self.note(kind, &[contract], &[&number]);
        Some(())
    }

    fn release_committed(&mut self, contract: i64) -> Option<()> {
        let record = self.procore.commitments.get(&contract)?.clone();
        let project = self.project_number(record.project_id);
        for line in &record.lines {
            let row = self.budget_row(&project, line.cost_type, &line.cost_code);
            row.original_committed_amount += -line.amount;
            row.revised_committed_amount += -line.amount;
            row.committed_open_amount += -line.amount;
            let wbs = line.wbs_code_id;
            let row = self.procore.budget_lines.values_mut().find(|row| row.wbs_code_id == wbs)?;
            row.committed_costs += -line.amount;
        }
        Some(())
    }

    /// Approved in the evening, sent the next afternoon; and again at the end of the next month.
    pub(super) fn commit_in_time(&mut self, job: usize) {
        let (company, _) = self.company();
        let Some(contract) = self.draft_commitment(job, company, CommitmentKind::WorkOrder) else { return };
        if self.approve_contract(contract).is_none() {
            return;
        }
        let sent = self.now + chrono::TimeDelta::hours(18);
        self.schedule(sent, Event::Export(Export::Commitment(contract), None));
        self.note_until(DecoyKind::CommitmentInTime, &[contract], &[], Some(sent));
        let at = self.eve();
        self.schedule(at, Event::DecoyStep(DecoyStep::CommitInTime(job)));
    }
}
