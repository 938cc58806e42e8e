//! The firm's calendar: what happens, and what people do in Procore when it does.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};

use super::Firm;
use super::billing::{Billable, RETAINAGE, gross, summarize};
use super::model::{
    BillingPeriod, Cents, ChangeOrder, ChangeOrderKind, ChangeOrderLine, ChangeOrderPackage, Commitment,
    CommitmentKind, ContractLine, G703Line, LineOrigin, PaymentApplication, ProcoreId, Rate, Requisition,
};
use super::setup::company_name;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(super) enum Event {
    StartJob(usize),
    Commit(usize),
    ApproveCommitment(ProcoreId),
    DeleteCommitment(ProcoreId),
    ProposeChangeOrders(usize),
    SubmitChangeOrder(ProcoreId),
    DecideChangeOrder(ProcoreId),
    BillOwner(usize, i64),
    BillCommitments(usize, i64),
    ReviewApplication(ProcoreId),
    ApproveApplication(ProcoreId),
    ReviewRequisition(ProcoreId),
    ApproveRequisition(ProcoreId),
    JobCosts(usize),
    FinishJob(usize),
    Overhead,
    VendorsDrift,
    /// A document goes to the ERP; the fault that this heals, if any.
    Export(Export, Option<usize>),
    PayBill(String, bool),
    VoidCheck(String),
    Receive(String),
    MirrorPayment(String, String),
    UnmirrorPayment(String, String),
    MirrorBudgets,
    Heal(usize),
}

/// What the connector sends to the ERP once it is approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Export {
    Commitment(ProcoreId),
    ChangeOrder(ProcoreId),
    Requisition(ProcoreId),
    Application(ProcoreId),
}

/// A project that the firm builds.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) project_id: ProcoreId,
    pub(super) number: String,
    pub(super) name: String,
    pub(super) start: NaiveDate,
    pub(super) months: i64,
    pub(super) owner: String,
    pub(super) customer: String,
    pub(super) prime: ProcoreId,
    pub(super) commitments: Vec<ProcoreId>,
    pub(super) billing_day: i64,
    pub(super) cells: Vec<Cell>,
    pub(super) codes: BTreeMap<&'static str, ProcoreId>,
}

/// A budget row: a cost code with a cost type.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) cost_code_id: ProcoreId,
    pub(super) cost_code: &'static str,
    pub(super) title: &'static str,
    pub(super) line_item_type_id: ProcoreId,
    pub(super) cost_type: &'static str,
    pub(super) wbs_code_id: ProcoreId,
    pub(super) budget: Cents,
}

impl Firm {
    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::StartJob(job) => self.start_job(job),
            Event::Commit(job) => self.commit(job),
            Event::ApproveCommitment(id) => self.approve_commitment(id),
            Event::DeleteCommitment(id) => self.delete_commitment(id),
            Event::ProposeChangeOrders(job) => self.propose_change_orders(job),
            Event::SubmitChangeOrder(id) => self.submit_change_order(id),
            Event::DecideChangeOrder(id) => self.decide_change_order(id),
            Event::BillOwner(job, month) => self.bill_owner(job, month),
            Event::BillCommitments(job, month) => self.bill_commitments(job, month),
            Event::ReviewApplication(id) => self.review_application(id),
            Event::ApproveApplication(id) => self.approve_application(id),
            Event::ReviewRequisition(id) => self.review_requisition(id),
            Event::ApproveRequisition(id) => self.approve_requisition(id),
            Event::JobCosts(job) => self.post_job_costs(job),
            Event::FinishJob(job) => self.finish_job(job),
            Event::Overhead => self.post_overhead(),
            Event::VendorsDrift => self.let_vendors_drift(),
            Event::Export(export, fault) => self.export(export, fault),
            Event::PayBill(key, whole) => self.pay_bill(&key, whole),
            Event::VoidCheck(key) => self.void_check(&key),
            Event::Receive(key) => self.receive(&key),
            Event::MirrorPayment(payment, document) => self.mirror_payment(&payment, &document),
            Event::UnmirrorPayment(payment, document) => self.unmirror_payment(&payment, &document),
            Event::MirrorBudgets => self.mirror_budgets(),
            Event::Heal(fault) => self.heal(fault),
        }
    }

    /// The calendar of a job from its first day on.
    pub(super) fn plan_job(&mut self, index: usize) {
        let Some(job) = self.job(index) else { return };
        let (start, months, billing_day) = (job.start, job.months, job.billing_day);
        for _ in 0..self.between(3, 6) {
            let at = self.days_on(2, 45);
            self.schedule(at, Event::Commit(index));
        }
        let first = start.with_day(1).unwrap_or(start);
        for month in 0..months {
            let offset = Months::new(u32::try_from(month).unwrap_or_default());
            let first = first.checked_add_months(offset).unwrap_or(first);
            let day = first + Days::new(u64::try_from(billing_day - 1).unwrap_or_default());
            if day <= start {
                continue;
            }
            let at = self.office(day);
            self.schedule(at, Event::BillCommitments(index, month));
            let at = self.office(day + Days::new(1));
            self.schedule(at, Event::BillOwner(index, month));
            let at = self.office(month_end(first));
            self.schedule(at, Event::JobCosts(index));
            let day = self.between(3, 27);
            let at = self.office(first.max(start) + Days::new(u64::try_from(day).unwrap_or_default()));
            self.schedule(at, Event::ProposeChangeOrders(index));
        }
        let end = first.checked_add_months(Months::new(u32::try_from(months + 3).unwrap_or_default())).unwrap_or(first);
        let at = self.office(end);
        self.schedule(at, Event::FinishJob(index));
    }

    fn commit(&mut self, index: usize) {
        let kind = if self.chance(650) { CommitmentKind::WorkOrder } else { CommitmentKind::PurchaseOrder };
        let wanted = if kind == CommitmentKind::WorkOrder { "S" } else { "M" };
        let Some(job) = self.job(index) else { return };
        let (project, number) = (job.project_id, job.number.replace('-', ""));
        let ordinal = job.commitments.len() + 1;
        let mut cells: Vec<Cell> = job.cells.iter().filter(|cell| cell.cost_type == wanted).cloned().collect();
        let mut chosen = Vec::new();
        for _ in 0..self.between(2, 4) {
            let last = i64::try_from(cells.len()).unwrap_or_default() - 1;
            if last >= 0 {
                let at = usize::try_from(self.between(0, last)).unwrap_or_default();
                chosen.push(cells.remove(at));
            }
        }
        let lines = self.contract_lines(&chosen, 40, 95);
        let vendor = self.choose_vendor();
        let prefix = if kind == CommitmentKind::WorkOrder { "SC" } else { "PO" };
        let number = format!("{prefix}-{number}-{ordinal:03}");
        let record = self.commitment_record(project, vendor, kind, &number, lines, self.now);
        let id = record.id;
        let draft = Commitment { status: "Draft", executed: false, execution_date: None, ..record };
        self.procore.commitments.insert(id, draft);
        if let Some(vendor) = self.procore.vendors.get_mut(&vendor)
            && !vendor.project_ids.contains(&project)
        {
            vendor.project_ids.push(project);
        }
        if let Some(job) = self.jobs.get_mut(index) {
            job.commitments.push(id);
        }
        let at = self.days_on(2, 12);
        let event = if self.chance(50) { Event::DeleteCommitment(id) } else { Event::ApproveCommitment(id) };
        self.schedule(at, event);
    }

    /// A company of the directory; now and then one that accounting has never heard of.
    fn choose_vendor(&mut self) -> ProcoreId {
        let known: Vec<ProcoreId> = self.erp_vendors.keys().copied().collect();
        let is_new = self.chance(self.options.faults.vendor_missing);
        match self.pick(&known).copied() {
            Some(vendor) if !is_new => vendor,
            _ => {
                let number = u32::try_from(self.next_number("company")).unwrap_or_default();
                let name = company_name(self.options.vendors + number);
                let vendor = self.directory_entry(&name, self.now);
                let fault = self.fault("V1", "vendors", Some(vendor), None);
                self.describe(fault, None, None, format!("{name} was entered in Procore and never in the ERP"));
                self.may_heal(fault, super::faults::Heal::Vendor(vendor), 30, 120);
                vendor
            }
        }
    }

    /// Lines that take between `least` and `most` percent of their budget rows.
    pub(super) fn contract_lines(&mut self, cells: &[Cell], least: i64, most: i64) -> Vec<ContractLine> {
        let mut lines = Vec::with_capacity(cells.len());
        for (position, cell) in (1..).zip(cells) {
            let id = self.procore_id();
            let percent = self.between(least, most);
            let amount = cell.budget.share(percent, 100) + Cents(self.between(0, 99));
            let start = self.between(0, 6_000);
            let end = start + self.between(2_000, 4_000);
            self.windows.insert(id, (start, end));
            lines.push(cell.line(id, position, amount, self.now));
        }
        lines
    }

    pub(super) fn commitment_record(
        &mut self,
        project_id: ProcoreId,
        vendor: ProcoreId,
        kind: CommitmentKind,
        number: &str,
        lines: Vec<ContractLine>,
        at: DateTime<Utc>,
    ) -> Commitment {
        let total: Cents = lines.iter().map(|line| line.amount).sum();
        let vendor_name = self.procore.vendors.get(&vendor).map(|vendor| vendor.name.clone()).unwrap_or_default();
        let is_order = kind == CommitmentKind::PurchaseOrder;
        Commitment {
            id: self.procore_id(),
            kind,
            project_id,
            vendor_id: Some(vendor),
            number: number.to_owned(),
            title: lines.first().map_or(vendor_name, |line| line.description.clone()),
            status: "Approved",
            executed: true,
            grand_total: total,
            approved_change_orders: Cents::ZERO,
            pending_change_orders: Cents::ZERO,
            draft_change_orders_amount: Cents::ZERO,
            revised_contract: total,
            pending_revised_contract: total,
            retainage_percent: RETAINAGE,
            total_requisitions_amount: Cents::ZERO,
            total_payments: Cents::ZERO,
            percentage_paid: Rate(0),
            remaining_balance_outstanding: total,
            origin_id: None,
            origin_code: None,
            contract_date: Some(at.date_naive()),
            execution_date: Some(at.date_naive()),
            signed_contract_received_date: None,
            delivery_date: is_order.then(|| at.date_naive() + Days::new(30)),
            payment_terms: is_order.then(|| "Net 30".to_owned()),
            lines,
            created_at: at,
            updated_at: at,
            deleted_at: None,
        }
    }

    fn approve_commitment(&mut self, id: ProcoreId) {
        let now = self.now;
        let Some(commitment) = self.procore.commitments.get_mut(&id) else { return };
        commitment.status = "Approved";
        commitment.executed = true;
        commitment.execution_date = Some(now.date_naive());
        commitment.updated_at = now;
        self.commit_budget(id);
        self.export_soon(Export::Commitment(id));
    }

    fn delete_commitment(&mut self, id: ProcoreId) {
        let now = self.now;
        if let Some(commitment) = self.procore.commitments.get_mut(&id) {
            commitment.deleted_at = Some(now);
            commitment.updated_at = now;
        }
    }

    pub(super) fn export_soon(&mut self, export: Export) {
        let minutes = self.between(60, 20 * 60);
        self.schedule(self.now + chrono::TimeDelta::minutes(minutes), Event::Export(export, None));
    }

    fn propose_change_orders(&mut self, index: usize) {
        if self.chance(550) {
            self.propose_prime_change_order(index);
        }
        let commitments = self.job(index).map(|job| job.commitments.clone()).unwrap_or_default();
        for id in commitments {
            if self.chance(220) {
                self.propose_commitment_change_order(id);
            }
        }
    }

    fn propose_prime_change_order(&mut self, index: usize) {
        let Some(prime) = self.job(index).and_then(|job| self.procore.prime_contracts.get(&job.prime)) else { return };
        let (project, contract, lines) = (prime.project_id, prime.id, prime.lines.clone());
        if let Some(line) = self.pick(&lines).cloned() {
            self.propose(ChangeOrderKind::Prime, project, contract, &line);
        }
    }

    fn propose_commitment_change_order(&mut self, id: ProcoreId) {
        let Some(commitment) = self.procore.commitments.get(&id) else { return };
        if commitment.status != "Approved" || commitment.deleted_at.is_some() {
            return;
        }
        let (project, lines) = (commitment.project_id, commitment.lines.clone());
        if let Some(line) = self.pick(&lines).cloned() {
            self.propose(ChangeOrderKind::Commitment, project, id, &line);
        }
    }

    fn propose(&mut self, kind: ChangeOrderKind, project_id: ProcoreId, contract_id: ProcoreId, on: &ContractLine) {
        let orders = self.procore.change_orders.values();
        let number = orders.filter(|order| order.contract_id == contract_id).count() + 1;
        let prefix = if kind == ChangeOrderKind::Prime { "PCO" } else { "CCO" };
        let amount = match self.between(0, 99) {
            0..=5 => Cents::ZERO,
            6..=22 => -Cents(self.between(20_000, 800_000)),
            _ => Cents(self.between(50_000, 4_500_000)),
        };
        let reasons = ["Owner request", "Unforeseen rock", "Design clarification", "Code requirement", "Allowance"];
        let title = format!("{}: {}", self.pick(&reasons).unwrap_or(&"Change"), on.description);
        let now = self.now;
        let line = ChangeOrderLine {
            id: self.procore_id(),
            position: 1,
            description: title.clone(),
            amount,
            cost_code_id: on.cost_code_id,
            cost_code: on.cost_code.clone(),
            line_item_type_id: on.line_item_type_id,
            cost_type: on.cost_type,
            wbs_code_id: on.wbs_code_id,
        };
        let package = ChangeOrderPackage {
            id: self.procore_id(),
            kind,
            project_id,
            contract_id,
            number: format!("{prefix}-{number:03}"),
            title: title.clone(),
            status: "draft",
            executed: false,
            grand_total: amount,
            origin_id: None,
            origin_code: None,
            invoiced_date: None,
            paid_date: None,
            reviewed_at: None,
            revision: 0,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let order = ChangeOrder {
            id: self.procore_id(),
            kind,
            project_id,
            contract_id,
            legacy_package_id: Some(package.id),
            number: package.number.clone(),
            title,
            status: "draft",
            executed: false,
            paid: false,
            private: false,
            grand_total: amount,
            schedule_impact_amount: Some(self.between(0, 10)),
            due_date: None,
            invoiced_date: None,
            paid_date: None,
            reviewed_at: None,
            revision: 0,
            created_by: "Dana Whitfield".to_owned(),
            lines: vec![line],
            created_at: now,
            updated_at: now,
        };
        let id = order.id;
        self.procore.change_order_packages.insert(package.id, package);
        self.procore.change_orders.insert(id, order);
        self.shift_totals(contract_id, kind, "", "draft", amount);
        // One in ten never leaves the drawer.
        if !self.chance(100) {
            let at = self.days_on(1, 8);
            self.schedule(at, Event::SubmitChangeOrder(id));
        }
    }

    fn submit_change_order(&mut self, id: ProcoreId) {
        self.move_change_order(id, "pending");
        let is_slow = self.chance(70);
        let at = if is_slow { self.days_on(45, 80) } else { self.days_on(3, 27) };
        self.schedule(at, Event::DecideChangeOrder(id));
        if is_slow {
            let amount = self.procore.change_orders.get(&id).map(|order| order.grand_total);
            let late = self.now + chrono::TimeDelta::days(30);
            let fault = self.fault("O2", "change_orders", Some(id), None);
            self.describe(fault, None, amount, "pending for more than 30 days".to_owned());
            if let Some(fault) = self.faults.get_mut(fault) {
                fault.opened_at = late;
                fault.healed_at = Some(at);
            }
        }
    }

    fn decide_change_order(&mut self, id: ProcoreId) {
        let status = match self.between(0, 99) {
            0..=10 => "rejected",
            11..=17 => "void",
            _ => "approved",
        };
        self.move_change_order(id, status);
        let Some(order) = self.procore.change_orders.get(&id) else { return };
        if status == "approved" {
            let (package, project) = (order.legacy_package_id.unwrap_or(id), order.project_id);
            let progress = self.progress(project).clamp(0, 8_500);
            self.windows.insert(package, (progress, 10_000));
            self.export_soon(Export::ChangeOrder(id));
        }
    }

    /// How far through its time a project is, in basis points.
    fn progress(&self, project: ProcoreId) -> i64 {
        let Some(job) = self.jobs.iter().find(|job| job.project_id == project) else { return 0 };
        (self.today() - job.start).num_days() * 10_000 / (job.months * 30).max(1)
    }

    fn move_change_order(&mut self, id: ProcoreId, status: &'static str) {
        let now = self.now;
        let Some(order) = self.procore.change_orders.get_mut(&id) else { return };
        let before = order.status;
        let is_decided = status != "pending";
        order.status = status;
        order.executed = status == "approved";
        order.reviewed_at = is_decided.then_some(now);
        order.updated_at = now;
        let (contract, kind, amount, package) =
            (order.contract_id, order.kind, order.grand_total, order.legacy_package_id);
        if let Some(package) = package.and_then(|package| self.procore.change_order_packages.get_mut(&package)) {
            package.status = status;
            package.executed = status == "approved";
            package.reviewed_at = is_decided.then_some(now);
            package.updated_at = now;
        }
        self.shift_totals(contract, kind, before, status, amount);
        if status == "approved" && kind == ChangeOrderKind::Commitment {
            self.commit_change(id);
        }
    }

    /// Moves an amount between a contract's totals by status.
    fn shift_totals(&mut self, contract: ProcoreId, kind: ChangeOrderKind, from: &str, to: &str, amount: Cents) {
        let change = |status: &str| match (to == status, from == status) {
            (true, false) => amount,
            (false, true) => -amount,
            _ => Cents::ZERO,
        };
        let (draft, pending, approved) = (change("draft"), change("pending"), change("approved"));
        let now = self.now;
        match kind {
            ChangeOrderKind::Commitment => {
                let Some(contract) = self.procore.commitments.get_mut(&contract) else { return };
                contract.draft_change_orders_amount += draft;
                contract.pending_change_orders += pending;
                contract.approved_change_orders += approved;
                contract.updated_at = now;
                contract.retotal();
            }
            ChangeOrderKind::Prime => {
                let Some(contract) = self.procore.prime_contracts.get_mut(&contract) else { return };
                contract.draft_change_orders_amount += draft;
                contract.pending_change_orders_amount += pending;
                contract.approved_change_orders += approved;
                contract.updated_at = now;
                contract.retotal();
            }
        }
    }

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

    fn bill_owner(&mut self, index: usize, month: i64) {
        let Some(job) = self.job(index) else { return };
        let (number, owner, progress) = (job.number.clone(), job.owner.clone(), (month + 1) * 10_000 / job.months);
        let Some(prime) = self.procore.prime_contracts.get(&job.prime) else { return };
        let (project, contract, original) = (prime.project_id, prime.id, prime.grand_total);
        let (changes, title) = (prime.approved_change_orders, prime.title.clone());
        let billables = self.billables(contract, &prime.lines);
        let last = self.latest_invoice.get(&contract).and_then(|id| self.procore.payment_applications.get(id));
        if last.is_some_and(|last| last.status != "approved") {
            return;
        }
        let (lines, before, ordinal) =
            last.map_or((Vec::new(), Cents::ZERO, 1), |last| (last.g703.clone(), earned(&last.g702), last.number + 1));
        let g703 = self.bill_lines(&billables, &lines, progress, true);
        let total: Cents = g703.iter().map(gross).sum();
        if total <= Cents::ZERO {
            return;
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
        let at = self.days_on(1, 3);
        self.schedule(at, Event::ReviewApplication(id));
    }

    fn review_application(&mut self, id: ProcoreId) {
        let is_returned = self.chance(80);
        let at = self.days_on(4, 10);
        let now = self.now;
        let Some(application) = self.procore.payment_applications.get_mut(&id) else { return };
        application.status = if is_returned { "revise_and_resubmit" } else { "under_review" };
        application.updated_at = now;
        self.schedule(at, Event::ApproveApplication(id));
    }

    fn approve_application(&mut self, id: ProcoreId) {
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

    fn bill_commitments(&mut self, index: usize, month: i64) {
        let Some(job) = self.job(index) else { return };
        let (commitments, progress) = (job.commitments.clone(), (month + 1) * 10_000 / job.months);
        for id in commitments {
            self.bill_commitment(id, progress);
        }
    }

    fn bill_commitment(&mut self, contract: ProcoreId, progress: i64) {
        let Some(commitment) = self.procore.commitments.get(&contract).cloned() else { return };
        let (Some(vendor_id), "Approved", None) = (commitment.vendor_id, commitment.status, commitment.deleted_at)
        else {
            return;
        };
        let billables = self.billables(contract, &commitment.lines);
        let last = self.latest_invoice.get(&contract).and_then(|id| self.procore.requisitions.get(id));
        if last.is_some_and(|last| !last.status.starts_with("approved")) {
            return;
        }
        let previous_requisition_id = last.map(|last| last.id);
        let (lines, before, number): (Vec<G703Line>, _, _) = last
            .map_or((Vec::new(), Cents::ZERO, 1), |last| (last.items.clone(), earned(&last.summary), last.number + 1));
        let items = self.bill_lines(&billables, &lines, progress, false);
        let total: Cents = items.iter().map(gross).sum();
        if total <= Cents::ZERO {
            return;
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
        let at = self.days_on(1, 3);
        self.schedule(at, Event::ReviewRequisition(id));
    }

    fn review_requisition(&mut self, id: ProcoreId) {
        let is_returned = self.chance(80);
        let at = self.days_on(4, 10);
        let now = self.now;
        let Some(requisition) = self.procore.requisitions.get_mut(&id) else { return };
        requisition.status = if is_returned { "revise_and_resubmit" } else { "under_review" };
        requisition.updated_at = now;
        self.schedule(at, Event::ApproveRequisition(id));
    }

    fn approve_requisition(&mut self, id: ProcoreId) {
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

impl Cell {
    pub(super) fn line(&self, id: ProcoreId, position: u32, amount: Cents, at: DateTime<Utc>) -> ContractLine {
        ContractLine {
            id,
            position,
            description: self.title.to_owned(),
            amount,
            quantity: 1,
            unit_cost: amount,
            uom: Some("ls"),
            cost_code_id: self.cost_code_id,
            cost_code: self.cost_code.to_owned(),
            line_item_type_id: self.line_item_type_id,
            cost_type: self.cost_type,
            wbs_code_id: self.wbs_code_id,
            created_at: at,
            updated_at: at,
        }
    }
}

fn earned(form: &super::model::G702) -> Cents {
    form.total_earned_less_retainage
}

/// The last day of the month of `date`.
pub(super) fn month_end(date: NaiveDate) -> NaiveDate {
    let first = date.with_day(1).unwrap_or(date);
    first.checked_add_months(Months::new(1)).and_then(|next| next.pred_opt()).unwrap_or(date)
}
