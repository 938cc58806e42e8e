//! The firm's calendar: what happens, and what people do in Procore when it does.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};

use super::Firm;
use super::decoys::{DecoyKind, DecoyStep};
use super::faults::mishaps::Mishap;
use super::model::{Cents, Commitment, CommitmentKind, ContractLine, ProcoreId, Rate};
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
    /// Accounting's own month.
    Ledger,
    VendorsDrift,
    /// A document goes to the ERP; the fault that this heals, if any.
    Export(Export, Option<usize>),
    PayBill(String, bool),
    VoidCheck(String),
    Receive(String),
    MirrorPayment(String, String),
    UnmirrorPayment(String, String),
    MirrorBudgets,
    ReviseBudget(usize),
    Heal(usize),
    /// A project of the decoys starts.
    OpenStage(usize),
    /// Something that looks wrong and is not, on a job.
    Decoy(DecoyKind, usize),
    /// The next step of one.
    DecoyStep(DecoyStep),
    /// What happens apart from the rest of the firm's life.
    Apart(Box<Event>),
    /// A month's mishaps are drawn.
    Mishaps,
    /// One of them, and how often it may be tried again.
    Mishap(Mishap, u32),
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
            Event::Ledger => self.keep_ledger(),
            Event::VendorsDrift => self.let_vendors_drift(),
            Event::Export(export, fault) => self.export(export, fault),
            Event::PayBill(key, whole) => self.pay_bill(&key, whole),
            Event::VoidCheck(key) => self.void_check(&key),
            Event::Receive(key) => self.receive(&key),
            Event::MirrorPayment(payment, document) => self.mirror_payment(&payment, &document),
            Event::UnmirrorPayment(payment, document) => self.unmirror_payment(&payment, &document),
            Event::MirrorBudgets => self.mirror_budgets(),
            Event::ReviseBudget(job) => self.revise_budget(job),
            Event::Heal(fault) => self.heal(fault),
            Event::OpenStage(job) => self.open_stage(job),
            Event::Decoy(kind, job) => self.place(kind, job),
            Event::DecoyStep(step) => self.step(step),
            Event::Apart(event) => self.apart(|firm| firm.happen(*event)),
            Event::Mishaps => self.draw_mishaps(),
            Event::Mishap(kind, tries) => self.mishap(kind, tries),
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
        let at = (start + Days::new(75)).and_time(chrono::NaiveTime::MIN).and_utc() + chrono::TimeDelta::hours(15);
        self.schedule(at, Event::ReviseBudget(index));
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
        let is_deleted = self.chance(90) || (index, ordinal) == (0, 1);
        // Every fourth job meets an unknown company for certain, if such faults are wanted at all.
        let rate = self.options.faults.vendor_missing;
        let is_unknown = self.chance(rate) || (rate > 0 && index % 4 == 1 && ordinal == 2);
        let vendor = self.choose_vendor(is_unknown && !is_deleted);
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
        let event = if is_deleted { Event::DeleteCommitment(id) } else { Event::ApproveCommitment(id) };
        self.schedule(at, event);
    }

    /// A company of the directory; now and then one that accounting has never heard of.
    fn choose_vendor(&mut self, is_new: bool) -> ProcoreId {
        let known: Vec<ProcoreId> = self.erp_vendors.keys().copied().collect();
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
            retainage_percent: self.options.retainage,
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

/// The last day of the month of `date`.
pub(super) fn month_end(date: NaiveDate) -> NaiveDate {
    let first = date.with_day(1).unwrap_or(date);
    first.checked_add_months(Months::new(1)).and_then(|next| next.pred_opt()).unwrap_or(date)
}
