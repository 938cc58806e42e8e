//! What goes wrong once in a while beside the rates: each kind at most once a month, with chances of its own.
//!
//! Most happen to a record that stands already. Some are *armed*: they befall the next document that the connector sends or
//! the next payment that it brings back. Invariants: a record is spoiled once; only the firm's own projects are; what is not
//! wanted (rate 0) draws no chance at all.

use chrono::{DateTime, Days, Months, NaiveTime, Utc};

use super::super::Firm;
use super::super::life::{Event, Job};
use super::super::model::{Cents, ProcoreId};
use super::Heal;

/// A kind of mishap; the check that should find it stands behind each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::firm) enum Mishap {
    /// V2: a bill from a vendor that only accounting knows.
    ErpVendorUnknown,
    /// V4: accounting enters a vendor again.
    VendorTwiceInErp,
    /// V4: somebody enters a company again in Procore's directory.
    VendorTwiceInProcore,
    /// V3, W1: a field of a vendor is changed in Procore.
    VendorEdited,
    /// V3, W2: a field of a vendor is changed in both systems on one day.
    VendorEditedTwice,
    /// K1: a customer's data change in the ERP alone.
    CustomerEdited,
    /// C1, B2: Procore budgets on a code that accounting never opened.
    CodeInProcoreAlone,
    /// C2, B3: accounting spends on a code that the project does not have.
    CodeInErpAlone,
    /// C3: a code gets another title in a project.
    CodeRenamed,
    /// C5: job cost is posted to the account of another cost type.
    WrongAccount,
    /// B1: money is moved in Procore's budget, and accounting is not told.
    BudgetMoved,
    /// B2: a budget row is added in Procore alone.
    BudgetRowAlone,
    /// B3: a mirrored direct cost is edited.
    DirectCostEdited,
    /// O3: a change order is keyed with another amount. Armed.
    ChangeMiskeyed,
    /// O4: accounting enters a change order of its own.
    ChangeInErpAlone,
    /// O5: a change order stays unreleased. Armed.
    ChangeHeld,
    /// M1: a commitment is never sent. Armed.
    CommitmentLost,
    /// M2: a commitment is keyed with another amount. Armed.
    CommitmentMiskeyed,
    /// M3: a commitment is assigned to another vendor in Procore.
    CommitmentReassigned,
    /// M4: a commitment is closed in Procore alone.
    CommitmentClosed,
    /// M4: an order is entered on hold. Armed.
    CommitmentHeld,
    /// M6: accounting orders past Procore.
    CommitmentInErpAlone,
    /// I1: an application is never sent. Armed.
    ApplicationLost,
    /// I2, S1: a requisition fails on its way. Armed.
    RequisitionFailed,
    /// I2, S2: a requisition waits for the accounting approver. Armed.
    RequisitionWaiting,
    /// I2, R1: a bill is deleted after Procore was told its number. Armed.
    BillDeleted,
    /// S2: a bill stays on hold in accounting. Armed.
    BillHeld,
    /// R3, O3: the ids of two change orders are confused in Procore.
    LinksSwapped,
    /// I5: a bill is posted a month late. Armed.
    BillLate,
    /// I6: a line of a bill gets another code. Armed.
    BillMiscoded,
    /// I8: a line of a G702 is not recalculated.
    FormWrong,
    /// I9, I11: a clerk enters a bill again.
    BillTwice,
    /// I10: accounting invoices an owner past Procore.
    InvoiceInErpAlone,
    /// I11: a subcontractor's bill goes straight to accounting.
    BillInErpAlone,
    /// R2, I2, I11: a bill is entered in two of the same number, and no id is kept. Armed.
    BillsAlike,
    /// P2: a payment comes back with another amount. Armed.
    PaymentMiskeyed,
    /// P3: a void never comes back.
    VoidLost,
    /// P4: somebody types a payment into Procore.
    PaymentInProcoreAlone,
    /// L2, P1: the import of payments stands still for weeks.
    ImportDead,
    /// T1: a journal entry on the payables account.
    PayablesJournal,
    /// T2: the same on the receivables account.
    ReceivablesJournal,
    /// T3: the same on a retainage account.
    RetainageJournal,
    /// T4: a project's cost that only the ledger has.
    CostJournal,
    /// J1: a project gets another name in Procore.
    ProjectRenamed,
    /// J1: a job that accounting set up and Procore does not have.
    ProjectInErpAlone,
}

/// All of them.
const ALL: [Mishap; 45] = [
    Mishap::ErpVendorUnknown,
    Mishap::VendorTwiceInErp,
    Mishap::VendorTwiceInProcore,
    Mishap::VendorEdited,
    Mishap::VendorEditedTwice,
    Mishap::CustomerEdited,
    Mishap::CodeInProcoreAlone,
    Mishap::CodeInErpAlone,
    Mishap::CodeRenamed,
    Mishap::WrongAccount,
    Mishap::BudgetMoved,
    Mishap::BudgetRowAlone,
    Mishap::DirectCostEdited,
    Mishap::ChangeMiskeyed,
    Mishap::ChangeInErpAlone,
    Mishap::ChangeHeld,
    Mishap::CommitmentLost,
    Mishap::CommitmentMiskeyed,
    Mishap::CommitmentReassigned,
    Mishap::CommitmentClosed,
    Mishap::CommitmentHeld,
    Mishap::CommitmentInErpAlone,
    Mishap::ApplicationLost,
    Mishap::RequisitionFailed,
    Mishap::RequisitionWaiting,
    Mishap::BillDeleted,
    Mishap::BillLate,
    Mishap::BillMiscoded,
    Mishap::FormWrong,
    Mishap::BillTwice,
    Mishap::InvoiceInErpAlone,
    Mishap::BillInErpAlone,
    Mishap::BillsAlike,
    Mishap::PaymentMiskeyed,
    Mishap::VoidLost,
    Mishap::PaymentInProcoreAlone,
    Mishap::ImportDead,
    Mishap::PayablesJournal,
    Mishap::ReceivablesJournal,
    Mishap::RetainageJournal,
    Mishap::CostJournal,
    Mishap::ProjectRenamed,
    Mishap::ProjectInErpAlone,
    Mishap::BillHeld,
    Mishap::LinksSwapped,
];

/// How often one that finds nothing to befall is tried again.
const TRIES: u32 = 5;

impl Firm {
    /// Draws, for each month, the kinds that it brings.
    pub(in crate::firm) fn plan_mishaps(&mut self) {
        let rate = self.options.faults.mishaps;
        if rate == 0 {
            return;
        }
        let first = self.today();
        for month in 1..self.options.months + 6 {
            let at = first.checked_add_months(Months::new(month)).unwrap_or(first).and_time(NaiveTime::MIN).and_utc();
            self.schedule(at, Event::Mishaps);
        }
    }

    /// A month's mishaps.
    pub(in crate::firm) fn draw_mishaps(&mut self) {
        let rate = self.options.faults.mishaps;
        self.with_mishap_chances(|firm| {
            for kind in ALL {
                if firm.chance(rate) {
                    let at = firm.days_on(0, 26);
                    firm.schedule(at, Event::Mishap(kind, TRIES));
                }
            }
        });
    }

    /// Lets one happen; one that finds nothing to befall is tried again some days later.
    pub(in crate::firm) fn mishap(&mut self, kind: Mishap, tries: u32) {
        self.with_mishap_chances(|firm| {
            if firm.befall(kind).is_none() && tries > 0 {
                let at = firm.days_on(4, 9);
                firm.schedule(at, Event::Mishap(kind, tries - 1));
            }
        });
    }

    fn befall(&mut self, kind: Mishap) -> Option<()> {
        match kind {
            Mishap::ErpVendorUnknown => self.bill_from_unknown_vendor(),
            Mishap::VendorTwiceInErp => self.enter_erp_vendor_again(),
            Mishap::VendorTwiceInProcore => self.enter_company_again(),
            Mishap::VendorEdited => self.edit_vendor(false),
            Mishap::VendorEditedTwice => self.edit_vendor(true),
            Mishap::CustomerEdited => self.edit_customer(),
            Mishap::CodeInProcoreAlone => self.budget_on_unknown_code(),
            Mishap::CodeInErpAlone => self.spend_on_unknown_code(),
            Mishap::CodeRenamed => self.rename_code(),
            Mishap::WrongAccount => self.post_to_wrong_account(),
            Mishap::BudgetMoved => self.move_budget_in_procore(),
            Mishap::BudgetRowAlone => self.add_budget_row(),
            Mishap::DirectCostEdited => self.edit_direct_cost(),
            Mishap::ChangeInErpAlone => self.enter_erp_change(),
            Mishap::CommitmentReassigned => self.reassign_commitment(),
            Mishap::CommitmentClosed => self.close_commitment(),
            Mishap::CommitmentInErpAlone => self.order_past_procore(),
            Mishap::FormWrong => self.misprint_form(),
            Mishap::BillTwice => self.enter_bill_again(),
            Mishap::InvoiceInErpAlone => self.invoice_past_procore(),
            Mishap::BillInErpAlone => self.bill_past_procore(),
            Mishap::PaymentInProcoreAlone => self.type_in_payment(),
            Mishap::VoidLost => self.void_unnoticed(),
            Mishap::ImportDead => self.stop_import(),
            Mishap::PayablesJournal | Mishap::ReceivablesJournal | Mishap::RetainageJournal => {
                self.journal_past(kind);
                Some(())
            }
            Mishap::CostJournal => self.journal_job_cost(),
            Mishap::ProjectRenamed => self.rename_project(),
            Mishap::ProjectInErpAlone => self.set_up_erp_project(),
            Mishap::LinksSwapped => self.confuse_links(),
            _ => {
                self.armed.insert(kind);
                Some(())
            }
        }
    }

    /// Whether an armed mishap befalls what happens just now; it is used up by that.
    pub(in crate::firm) fn is_befallen(&mut self, kind: Mishap) -> bool {
        self.options.faults.mishaps > 0 && self.armed.remove(&kind)
    }

    /// Does something with the chances of mishaps, so that the rest of the firm's chances stay what they are.
    pub(in crate::firm) fn with_mishap_chances<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        if self.draws_mishaps {
            return act(self);
        }
        std::mem::swap(&mut self.rng, &mut self.mishap_rng);
        self.draws_mishaps = true;
        let done = act(self);
        self.draws_mishaps = false;
        std::mem::swap(&mut self.rng, &mut self.mishap_rng);
        done
    }

    /// Marks a record as spoiled, by anything that names it; says whether it was whole.
    pub(in crate::firm) fn spoil(&mut self, record: impl ToString + Copy) -> bool {
        self.spoiled.insert(record.to_string())
    }

    pub(in crate::firm) fn is_whole(&self, record: impl ToString + Copy) -> bool {
        !self.spoiled.contains(&record.to_string())
    }

    /// The firm's own projects that have begun; what others stand beside them is left alone.
    pub(in crate::firm) fn own_jobs(&self) -> Vec<Job> {
        let count = usize::try_from(self.options.projects).unwrap_or(usize::MAX);
        self.jobs.iter().take(count).filter(|job| job.project_id != 0).cloned().collect()
    }

    pub(in crate::firm) fn any_job(&mut self) -> Option<Job> {
        let jobs = self.own_jobs();
        self.pick(&jobs).cloned()
    }

    /// Commitments that both systems have and nobody has spoiled.
    pub(in crate::firm) fn sent_commitments(&self) -> Vec<ProcoreId> {
        let ids = self.own_jobs().into_iter().flat_map(|job| job.commitments);
        let is_sent = |id: &ProcoreId| {
            let record = self.procore.commitments.get(id);
            self.erp_orders.contains_key(id)
                && self.is_whole(id)
                && record.is_some_and(|record| record.status == "Approved" && record.deleted_at.is_none())
        };
        ids.filter(is_sent).collect()
    }

    /// Records a fault of a mishap with its amount.
    pub(in crate::firm) fn record(
        &mut self,
        (check, entity): (&str, &str),
        (pm_id, erp_id): (Option<ProcoreId>, Option<&str>),
        field: Option<&str>,
        amount: Option<Cents>,
        note: impl Into<String>,
    ) -> usize {
        let fault = self.fault(check, entity, pm_id, erp_id);
        self.describe(fault, field, amount, note.into());
        fault
    }

    /// Puts a mishap right between `least` and `most` days on, if anybody does; all faults from `first` on are its.
    pub(in crate::firm) fn may_undo(&mut self, first: usize, undo: Undo, (least, most): (i64, i64)) {
        self.heal_together(first);
        self.may_heal(first, Heal::Undo(undo), least, most);
    }

    /// All faults from `first` on are one: what puts the first right does so for the others.
    pub(in crate::firm) fn heal_together(&mut self, first: usize) {
        self.companions.insert(first, self.faults.len() - first);
    }

    /// Dates the faults from `first` on back to when something became due.
    pub(in crate::firm) fn backdate_from(&mut self, first: usize, at: DateTime<Utc>) {
        for fault in first..self.faults.len() {
            self.backdate(fault, at);
        }
    }

    /// A day some days ago, as accounting dates it.
    pub(in crate::firm) fn days_ago(&self, days: u64) -> chrono::NaiveDate {
        self.today() - Days::new(days)
    }
}

/// How a mishap is put right.
#[derive(Clone, Debug)]
pub(in crate::firm) enum Undo {
    /// Procore gets the ERP's vendor.
    TakeOverVendor(String),
    /// The repeated vendor is made inactive.
    RetireErpVendor(String),
    /// The repeated company is merged away.
    MergeVendor(ProcoreId),
    /// Procore's directory takes over what the ERP says.
    CopyVendor(ProcoreId),
    /// Procore's directory takes over the customer.
    CopyCustomer(ProcoreId, String),
    /// Accounting opens the code and the budget row: project, group, code.
    OpenCode(String, &'static str, String, Cents),
    /// Procore stores the bill of a requisition; the other bill of its number, and its amount.
    StoreId(ProcoreId, String, String, Cents),
    /// The project gets the code: its job.
    ImportCode(usize, String, String),
    /// The code gets its title back.
    TitleCode(ProcoreId, String),
    /// The ledger line goes to its account: batch, project transaction, account.
    Reclass(String, i64, String),
    /// The ERP's budget rows follow.
    SendBudget(Vec<(String, Cents)>),
    /// A direct cost and its line get their amount back.
    RestoreCost(ProcoreId, ProcoreId, Cents),
    /// The ERP's change order is corrected by so much.
    CorrectChange(String, Cents),
    /// The ERP's change order is taken back.
    ReverseChange(String),
    /// The ERP's change order is released.
    ReleaseChange(String),
    /// A line of the ERP's order is corrected by so much.
    CorrectOrder(ProcoreId, Cents),
    /// The order leaves hold.
    ReleaseOrder(ProcoreId),
    /// The ERP's order is canceled.
    CancelOrder(String),
    /// The order is closed in the ERP too.
    CloseOrder(ProcoreId),
    /// The vendor is set back.
    AssignBack(ProcoreId, ProcoreId),
    /// The form is calculated again: contract sum, completed, balance.
    PrintForm(ProcoreId, Box<super::super::model::G702>),
    /// Two change orders get their ids back.
    SwapLinks(ProcoreId, ProcoreId),
    /// A bill leaves hold and is posted.
    ReleaseBill(String),
    /// A bill that was never released is deleted.
    DeleteBill(String),
    /// The payment gets its amount: payment, requisition, what it has too much.
    CorrectPayment(ProcoreId, Cents),
    /// The void comes back at last: payment and document.
    Unmirror(String, String),
    /// The payment is deleted in Procore.
    DeletePayment(ProcoreId),
    /// A journal entry is taken back.
    ReverseJournal(String),
    /// The ERP's project gets the name.
    RenameErpProject(String),
    /// The ERP's project is canceled.
    CancelProject(String),
}

impl Firm {
    /// Does it.
    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::TakeOverVendor(key) => self.take_over_vendor(&key),
            Undo::RetireErpVendor(key) => self.retire_erp_vendor(&key),
            Undo::MergeVendor(id) => {
                self.procore.vendors.remove(&id);
            }
            Undo::CopyVendor(id) => self.copy_vendor_to_procore(id),
            Undo::CopyCustomer(id, key) => self.copy_customer(id, &key),
            Undo::OpenCode(project, group, code, amount) => self.open_code(&project, group, &code, amount),
            Undo::StoreId(id, reference, other, amount) => self.store_id(id, reference, &other, amount),
            Undo::ImportCode(job, code, title) => self.import_code(job, &code, &title),
            Undo::TitleCode(id, title) => self.title_code(id, title),
            Undo::Reclass(batch, transaction, account) => self.reclass(&batch, transaction, &account),
            Undo::SendBudget(rows) => self.send_budget(&rows),
            Undo::RestoreCost(cost, line, amount) => self.set_direct_cost(cost, line, amount),
            Undo::CorrectChange(reference, by) => self.correct_change(&reference, by),
            Undo::ReverseChange(reference) => self.reverse_change(&reference),
            Undo::ReleaseChange(reference) => self.release_change(&reference),
            Undo::CorrectOrder(contract, by) => self.correct_order(contract, by),
            Undo::ReleaseOrder(contract) => self.set_order_status(contract, "Open"),
            Undo::CancelOrder(key) => self.cancel_order(&key),
            Undo::CloseOrder(contract) => self.set_order_status(contract, "Completed"),
            Undo::AssignBack(contract, vendor) => self.assign_commitment(contract, vendor),
            Undo::PrintForm(id, form) => self.print_form(id, *form),
            Undo::SwapLinks(one, other) => self.swap_links(one, other),
            Undo::ReleaseBill(key) => self.release_held_bill(&key),
            Undo::DeleteBill(key) => {
                self.acumatica.bills.remove(&key);
            }
            Undo::CorrectPayment(id, by) => self.correct_payment(id, by),
            Undo::Unmirror(payment, document) => self.unmirror_payment(&payment, &document),
            Undo::DeletePayment(id) => self.delete_payment(id),
            Undo::ReverseJournal(batch) => self.reverse_journal(&batch),
            Undo::RenameErpProject(number) => self.rename_erp_project(&number),
            Undo::CancelProject(number) => {
                if let Some(project) = self.acumatica.projects.get_mut(&number) {
                    (project.status, project.last_modified_at) = ("Canceled", self.now);
                }
            }
        }
    }
}
