//! Change orders that are not due, change nothing, or lie otherwise in the ERP than in Procore.

use chrono::TimeDelta;

use super::super::Firm;
use super::super::jobs::TASK;
use super::super::life::{Event, Export};
use super::super::model::{
    Cents, ChangeOrderKind, ErpChangeOrder, ErpChangeOrderBudget, ErpChangeOrderCommitment, ProcoreId,
};
use super::{DecoyKind, DecoyStep};

impl Firm {
    pub(super) fn place_change(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        match kind {
            DecoyKind::ChangePendingInTime => {
                let order = self.change(job, 1)?;
                self.move_change_order(order, "pending");
                let at = self.days_on(20, 27);
                self.schedule(at, Event::DecoyStep(DecoyStep::Decide(order, "approved")));
                self.note(kind, &[order], &[]);
            }
            DecoyKind::ChangeInDrawer => return self.undecided(kind, job, None),
            DecoyKind::ChangeRejected => return self.undecided(kind, job, Some("rejected")),
            DecoyKind::ChangeVoided => return self.undecided(kind, job, Some("void")),
            DecoyKind::ChangeWithoutCharge => return self.undecided(kind, job, Some("no_charge")),
            DecoyKind::ChangeOfNothing => return self.sent(kind, job, &[Cents::ZERO]),
            DecoyKind::ChangeWithOffsets => return self.sent(kind, job, &[Cents(41_250), Cents(-41_250)]),
            DecoyKind::DeductiveChange => return self.sent(kind, job, &[Cents(-1_999)]),
            DecoyKind::ChangeOfDays => {
                let contract = self.subcontract(job)?;
                let order = self.change_on(contract, &[Cents::ZERO])?;
                self.procore.change_orders.get_mut(&order)?.schedule_impact_amount = Some(21);
                self.approve_and_send(order);
                self.note(kind, &[order], &[]);
            }
            DecoyKind::ChangeOnTwoCommitments => return self.on_two_commitments(kind, job),
            DecoyKind::ChangeOfRevenueAndCommitment => return self.revenue_and_commitment(kind, job),
            DecoyKind::ChangeNumberedByErp => {
                let order = self.change(job, 1)?;
                self.approve_and_send(order);
                let package = self.procore.change_orders.get(&order)?.legacy_package_id?;
                let package = self.procore.change_order_packages.get_mut(&package)?;
                (package.origin_id, package.origin_code) = (None, None);
                self.note(kind, &[order], &[]);
            }
            DecoyKind::ChangeCanceledInErp => {
                let number = self.job(job)?.number.clone();
                let mut record = self.bare_change(&number, "Entered by mistake");
                (record.status, record.class) = ("Canceled", "REVENUE");
                record.revenue_budget_change_total = Cents(125_000);
                let reference = record.ref_nbr.clone();
                self.acumatica.change_orders.insert(reference.clone(), record);
                self.note(kind, &[], &[&format!("{reference}|prime")]);
            }
            DecoyKind::CostBudgetChange => {
                let number = self.job(job)?.number.clone();
                let mut record = self.bare_change(&number, "Contingency within the cost budget");
                record.class = "COST";
                for (code, amount) in [("02-100", Cents(-50_000)), ("02-200", Cents(50_000))] {
                    record.cost_budget.push(budget_line("S", code, amount));
                }
                let reference = record.ref_nbr.clone();
                self.acumatica.change_orders.insert(reference.clone(), record);
                self.note(kind, &[], &[&reference]);
            }
            DecoyKind::ChangeInTime => {
                let contract = self.subcontract(job)?;
                let at = self.eve();
                self.schedule(at, Event::DecoyStep(DecoyStep::ChangeInTime(contract)));
            }
            _ => return None,
        }
        Some(())
    }

    /// A change order of so many lines on a subcontract of its own.
    fn change(&mut self, job: usize, lines: usize) -> Option<ProcoreId> {
        let contract = self.subcontract(job)?;
        let mut amounts = Vec::with_capacity(lines);
        for _ in 0..lines {
            amounts.push(self.small_amount());
        }
        self.change_on(contract, &amounts)
    }

    fn change_on(&mut self, contract: ProcoreId, amounts: &[Cents]) -> Option<ProcoreId> {
        let commitment = self.procore.commitments.get(&contract)?;
        let (project, lines) = (commitment.project_id, commitment.lines.clone());
        let amounts: Vec<_> = lines.iter().cycle().zip(amounts.iter().copied()).collect();
        let kind = (ChangeOrderKind::Commitment, project, contract);
        Some(self.draft_change_order(kind, String::from("Field change"), &amounts))
    }

    fn approve_and_send(&mut self, order: ProcoreId) {
        self.move_change_order(order, "pending");
        self.step(DecoyStep::Decide(order, "approved"));
    }

    fn sent(&mut self, kind: DecoyKind, job: usize, amounts: &[Cents]) -> Option<()> {
        let contract = self.subcontract(job)?;
        let order = self.change_on(contract, amounts)?;
        self.approve_and_send(order);
        self.note(kind, &[order, contract], &[]);
        Some(())
    }

    /// A change order that never goes to the ERP, because it is not approved.
    fn undecided(&mut self, kind: DecoyKind, job: usize, status: Option<&'static str>) -> Option<()> {
        let order = self.change(job, 2)?;
        if let Some(status) = status {
            self.move_change_order(order, "pending");
            self.move_change_order(order, status);
        }
        self.note(kind, &[order], &[]);
        Some(())
    }

    fn bare_change(&mut self, project: &str, description: &str) -> ErpChangeOrder {
        ErpChangeOrder {
            ref_nbr: self.reference("change order"),
            class: "",
            project_id: project.to_owned(),
            customer: None,
            status: "Closed",
            hold: false,
            change_date: self.today(),
            completion_date: Some(self.today()),
            approval_date: Some(self.today()),
            contract_time_change_days: 0,
            description: description.to_owned(),
            external_ref_nbr: None,
            revenue_change_nbr: None,
            revenue_budget_change_total: Cents::ZERO,
            cost_budget_change_total: Cents::ZERO,
            commitments_change_total: Cents::ZERO,
            revenue_budget: Vec::new(),
            cost_budget: Vec::new(),
            commitments: Vec::new(),
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        }
    }

    /// Takes the ERP's change order of a package, to be put into another one.
    fn take_change(&mut self, order: ProcoreId) -> Option<ErpChangeOrder> {
        let title = self.procore.change_orders.get(&order)?.title.clone();
        let key = self.acumatica.change_orders.iter().rev().find(|(_, record)| record.description == title)?.0.clone();
        self.acumatica.change_orders.remove(&key)
    }

    fn store_reference(&mut self, order: ProcoreId, reference: &str) -> Option<()> {
        let package = self.procore.change_orders.get(&order)?.legacy_package_id?;
        let package = self.procore.change_order_packages.get_mut(&package)?;
        package.origin_id = Some(reference.to_owned());
        package.origin_code = Some(reference.to_owned());
        Some(())
    }

    /// The ERP enters the change of two subcontracts as one; both packages in Procore store its number.
    fn on_two_commitments(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let (first, second) = (self.change(job, 1)?, self.change(job, 2)?);
        self.approve_and_send(first);
        let mut whole = self.take_change(first)?;
        self.approve_and_send(second);
        let other = self.take_change(second)?;
        whole.commitments_change_total += other.commitments_change_total;
        whole.commitments.extend::<Vec<ErpChangeOrderCommitment>>(other.commitments);
        whole.external_ref_nbr = None;
        let reference = whole.ref_nbr.clone();
        self.acumatica.change_orders.insert(reference.clone(), whole);
        self.store_reference(first, &reference)?;
        self.store_reference(second, &reference)?;
        self.note(kind, &[first, second], &[&reference]);
        Some(())
    }

    /// What the owner pays and what the subcontractor gets for it are one change order of the ERP.
    fn revenue_and_commitment(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let first = self.change(job, 1)?;
        self.approve_and_send(first);
        let prime = self.procore.prime_contracts.get(&self.job(job)?.prime)?;
        let (contract, project, line) = (prime.id, prime.project_id, prime.lines.first()?.clone());
        let target = (ChangeOrderKind::Prime, project, contract);
        let second = self.draft_change_order(target, String::from("Owner's share"), &[(&line, Cents(99_000))]);
        self.approve_and_send(second);
        let revenue = self.take_change(second)?;
        let mut whole = self.take_change(first)?;
        whole.revenue_budget = revenue.revenue_budget;
        whole.revenue_budget_change_total = revenue.revenue_budget_change_total;
        (whole.revenue_change_nbr, whole.customer) = (revenue.revenue_change_nbr, revenue.customer);
        whole.external_ref_nbr = None;
        let reference = whole.ref_nbr.clone();
        self.acumatica.change_orders.insert(reference.clone(), whole);
        self.store_reference(first, &reference)?;
        self.store_reference(second, &reference)?;
        self.note(kind, &[first, second], &[&reference]);
        Some(())
    }

    /// Approved in the evening, sent the next afternoon; and again at the end of the next month.
    pub(super) fn change_in_time(&mut self, contract: ProcoreId) {
        let amount = self.small_amount();
        let Some(order) = self.change_on(contract, &[amount]) else { return };
        self.move_change_order(order, "pending");
        self.move_change_order(order, "approved");
        let sent = self.now + TimeDelta::hours(18);
        self.schedule(sent, Event::Export(Export::ChangeOrder(order), None));
        self.note_until(DecoyKind::ChangeInTime, &[order], &[], Some(sent));
        let at = self.eve();
        self.schedule(at, Event::DecoyStep(DecoyStep::ChangeInTime(contract)));
    }
}

fn budget_line(group: &str, code: &str, amount: Cents) -> ErpChangeOrderBudget {
    ErpChangeOrderBudget {
        project_task_id: TASK.to_owned(),
        account_group: group.to_owned(),
        cost_code: code.to_owned(),
        inventory_id: None,
        description: String::from("Contingency"),
        amount,
    }
}
