//! Invoices in Procore: the owner's applications and the subcontractors' requisitions, from draft to approval.

use chrono::{Datelike, Days};

use super::Firm;
use super::billing::{Billable, gross, summarize};
use super::life::{Event, Export, month_end};
use super::model::{
    BillingPeriod, Cents, ContractLine, G702, G703Line, LineOrigin, PaymentApplication, ProcoreId, Requisition,
};

impl Firm {
    /// A contract's lines and its approved change orders.
    fn billables(&self, contract: ProcoreId, lines: &[ContractLine]) -> Vec<Billable> {
        let own =
            lines.iter().map(|line| Billable { origin: LineOrigin::Contract, origin_id: line.id, line: line.clone() });
        let orders = self.procore.change_orders.values().filter(|order| {
            order.contract_id == contract && order.status == "approved" && !order.grand_total.is_zero()
        });
        let changes = orders.flat_map(|order| {
            order.lines.iter().map(|line| Billable {
                origin: LineOrigin::ChangeOrder,
                origin_id: order.legacy_package_id.unwrap_or(order.id),
                line: ContractLine {
                    id: line.id,
                    position: line.position,
                    description: format!("{} {}", order.number, line.description),
                    amount: line.amount,
                    quantity: 1,
                    unit_cost: line.amount,
                    uom: None,
                    cost_code_id: line.cost_code_id,
                    cost_code: line.cost_code.clone(),
                    line_item_type_id: line.line_item_type_id,
                    cost_type: line.cost_type,
                    wbs_code_id: line.wbs_code_id,
                    created_at: order.created_at,
                    updated_at: order.updated_at,
                },
            })
        });
        own.chain(changes).collect()
    }

    fn billing_period(&mut self, project_id: ProcoreId) -> BillingPeriod {
        let today = self.today();
        let start_date = today.with_day(1).unwrap_or(today);
        let periods = || self.procore.billing_periods.values().filter(|period| period.project_id == project_id);
        if let Some(period) = periods().find(|period| period.start_date == start_date) {
            return period.clone();
        }
        let position = u32::try_from(periods().count()).unwrap_or_default() + 1;
        let now = self.now;
        for period in self.procore.billing_periods.values_mut().filter(|period| period.project_id == project_id) {
            if period.status == "open" {
                period.status = "closed";
                period.updated_at = now;
            }
        }
        let end_date = month_end(start_date);
        let period = BillingPeriod {
            id: self.procore_id(),
            project_id,
            position,
            start_date,
            end_date,
            due_date: end_date + Days::new(30),
            status: "open",
            created_at: now,
            updated_at: now,
        };
        self.procore.billing_periods.insert(period.id, period.clone());
        period
    }

    pub(super) fn bill_owner(&mut self, index: usize, month: i64) {
        let Some(months) = self.job(index).map(|job| job.months) else { return };
        if let Some(id) = self.draft_application(index, (month + 1) * 10_000 / months, Cents(1)) {
            let at = self.days_on(1, 3);
            self.schedule(at, Event::ReviewApplication(id));
        }
    }

    /// The next application of a job at `progress`, if it bills at least so much.
    pub(super) fn draft_application(&mut self, index: usize, progress: i64, minimum: Cents) -> Option<ProcoreId> {
        let job = self.job(index)?;
        let (number, owner) = (job.number.clone(), job.owner.clone());
        let prime = self.procore.prime_contracts.get(&job.prime)?;
        let (project, contract, original) = (prime.project_id, prime.id, prime.grand_total);
        let (changes, title) = (prime.approved_change_orders, prime.title.clone());
        let billables = self.billables(contract, &prime.lines);
        let last = self.latest_invoice.get(&contract).and_then(|id| self.procore.payment_applications.get(id));
        if last.is_some_and(|last| last.status != "approved") {
            return None;
        }
        let (lines, before, ordinal) =
            last.map_or((Vec::new(), Cents::ZERO, 1), |last| (last.g703.clone(), earned(&last.g702), last.number + 1));
        let g703 = self.bill_lines(&billables, &lines, progress, true);
        let total: Cents = g703.iter().map(gross).sum();
        if total < minimum {
            return None;
        }
        let g702 = summarize(original, changes, &g703, before);
        let period = self.billing_period(project);
        let now = self.now;
        let application = PaymentApplication {
            id: self.procore_id(),
            project_id: project,
            contract_id: contract,
            number: ordinal,
            invoice_number: format!("{number}-{ordinal:02}"),
            status: "draft",
            billing_date: period.end_date,
            period_id: Some(period.id),
            period_start: period.start_date,
            period_end: period.end_date,
            percent_complete: g702.total_completed_and_stored_to_date.percent_of(g702.contract_sum_to_date),
            total_amount_accrued_this_period: total,
            total_amount_paid: Cents::ZERO,
            formatted_contract_company: owner,
            contract_title: title,
            origin_id: None,
            g702,
            g703,
            created_at: now,
            updated_at: now,
        };
        let id = application.id;
        self.procore.payment_applications.insert(id, application);
        self.latest_invoice.insert(contract, id);
        Some(id)
    }

    pub(super) fn review_application(&mut self, id: ProcoreId) {
        let is_returned = self.chance(80);
        let at = self.days_on(4, 10);
        let now = self.now;
        let Some(application) = self.procore.payment_applications.get_mut(&id) else { return };
        application.status = if is_returned { "revise_and_resubmit" } else { "under_review" };
        application.updated_at = now;
        self.schedule(at, Event::ApproveApplication(id));
    }

    pub(super) fn approve_application(&mut self, id: ProcoreId) {
        let now = self.now;
        let Some(application) = self.procore.payment_applications.get_mut(&id) else { return };
        application.status = "approved";
        application.updated_at = now;
        if let Some(prime) = self.procore.prime_contracts.get_mut(&application.contract_id) {
            prime.owner_invoices_amount += application.g702.current_payment_due;
            prime.updated_at = now;
            prime.retotal();
        }
        self.export_soon(Export::Application(id));
    }

    pub(super) fn bill_commitments(&mut self, index: usize, month: i64) {
        let Some(job) = self.job(index) else { return };
        let (commitments, progress) = (job.commitments.clone(), (month + 1) * 10_000 / job.months);
        for id in commitments {
            if !self.resting.contains(&id) {
                self.bill_commitment(id, progress);
            }
        }
    }

    fn bill_commitment(&mut self, contract: ProcoreId, progress: i64) {
        if let Some(id) = self.draft_requisition(contract, progress, Cents(1)) {
            let at = self.days_on(1, 3);
            self.schedule(at, Event::ReviewRequisition(id));
        }
    }

    /// The next requisition of a commitment at `progress`, if it bills at least so much.
    pub(super) fn draft_requisition(
        &mut self,
        contract: ProcoreId,
        progress: i64,
        minimum: Cents,
    ) -> Option<ProcoreId> {
        let commitment = self.procore.commitments.get(&contract).cloned()?;
        let (Some(vendor_id), "Approved", None) = (commitment.vendor_id, commitment.status, commitment.deleted_at)
        else {
            return None;
        };
        let billables = self.billables(contract, &commitment.lines);
        let last = self.latest_invoice.get(&contract).and_then(|id| self.procore.requisitions.get(id));
        if last.is_some_and(|last| !last.status.starts_with("approved")) {
            return None;
        }
        let previous_requisition_id = last.map(|last| last.id);
        let (lines, before, number): (Vec<G703Line>, _, _) = last
            .map_or((Vec::new(), Cents::ZERO, 1), |last| (last.items.clone(), earned(&last.summary), last.number + 1));
        let items = self.bill_lines(&billables, &lines, progress, false);
        let total: Cents = items.iter().map(gross).sum();
        if total < minimum {
            return None;
        }
        let summary = summarize(commitment.grand_total, commitment.approved_change_orders, &items, before);
        let period = self.billing_period(commitment.project_id);
        let now = self.now;
        let vendor_name = self.procore.vendors.get(&vendor_id).map(|vendor| vendor.name.clone()).unwrap_or_default();
        let requisition = Requisition {
            id: self.procore_id(),
            project_id: commitment.project_id,
            commitment_id: contract,
            commitment_kind: commitment.kind,
            contract_name: commitment.title,
            vendor_id,
            vendor_name,
            number,
            invoice_number: Some(format!("INV-{}", 10_000 + self.next_number("supplier invoice"))),
            invoice_type: "progress",
            status: "draft",
            erp_status: "not_in_erp",
            is_final: progress >= 10_000,
            period_id: Some(period.id),
            requisition_start: period.start_date,
            requisition_end: period.end_date,
            billing_date: period.end_date,
            submitted_at: Some(now.date_naive()),
            payment_date: None,
            percent_complete: summary.total_completed_and_stored_to_date.percent_of(summary.contract_sum_to_date),
            total_claimed_amount: total,
            previous_requisition_id,
            origin_id: None,
            created_by: "Luis Ortega".to_owned(),
            summary,
            items,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let id = requisition.id;
        self.procore.requisitions.insert(id, requisition);
        self.latest_invoice.insert(contract, id);
        Some(id)
    }

    pub(super) fn review_requisition(&mut self, id: ProcoreId) {
        let is_returned = self.chance(80);
        let at = self.days_on(4, 10);
        let now = self.now;
        let Some(requisition) = self.procore.requisitions.get_mut(&id) else { return };
        requisition.status = if is_returned { "revise_and_resubmit" } else { "under_review" };
        requisition.updated_at = now;
        self.schedule(at, Event::ApproveRequisition(id));
    }

    pub(super) fn approve_requisition(&mut self, id: ProcoreId) {
        let is_noted = self.chance(60);
        let now = self.now;
        let Some(requisition) = self.procore.requisitions.get_mut(&id) else { return };
        requisition.status = if is_noted { "approved_as_noted" } else { "approved" };
        requisition.erp_status = "ready_to_export";
        requisition.updated_at = now;
        if let Some(commitment) = self.procore.commitments.get_mut(&requisition.commitment_id) {
            commitment.total_requisitions_amount += requisition.total_claimed_amount;
            commitment.updated_at = now;
        }
        self.export_soon(Export::Requisition(id));
    }
}

fn earned(form: &G702) -> Cents {
    form.total_earned_less_retainage
}
