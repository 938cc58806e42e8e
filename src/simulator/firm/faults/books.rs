//! Mishaps of the ledger and of projects.

use super::super::Firm;
use super::super::books::{
    CLEARING, NO_PROJECT, PAYABLE, RECEIVABLE, RETAINAGE_PAYABLE, RETAINAGE_RECEIVABLE, account_of, entry,
};
use super::super::model::{Cents, ErpProject};
use super::mishaps::{Mishap, Undo};

impl Firm {
    /// T1 to T3: a journal entry on a control account, past the documents that it controls.
    pub(super) fn journal_past(&mut self, kind: Mishap) {
        let is_payable = self.chance(500);
        let (check, entity, control, account) = match kind {
            Mishap::PayablesJournal => ("T1", "vendor_invoices", "ap", PAYABLE),
            Mishap::ReceivablesJournal => ("T2", "owner_invoices", "ar", RECEIVABLE),
            _ if is_payable => ("T3", "vendor_invoices", "retainage_payable", RETAINAGE_PAYABLE),
            _ => ("T3", "owner_invoices", "retainage_receivable", RETAINAGE_RECEIVABLE),
        };
        let amount = Cents(self.between(10_000, 400_000));
        let batch = self.post_journal(account, NO_PROJECT, None, amount);
        // Documents less ledger, as each control is owed: a debit makes what we owe less, and what we are owed more.
        let gap = if account == PAYABLE || account == RETAINAGE_PAYABLE { amount } else { -amount };
        let note = format!("{batch} is on {account} and belongs to no document");
        let first = self.record((check, entity), (None, Some(&batch)), Some(control), Some(gap), note);
        self.may_undo(first, Undo::ReverseJournal(batch), (20, 80));
    }

    /// T4: cost that somebody journals to a project, and that the project ledger never sees.
    pub(super) fn journal_job_cost(&mut self) -> Option<()> {
        let job = self.any_job()?;
        let amount = Cents(self.between(10_000, 300_000));
        let code = job.cells.iter().find(|cell| cell.cost_type == "O")?.cost_code;
        let batch = self.post_journal(account_of("O"), &job.number, Some(code), amount);
        let note = format!("{batch} is cost of the project in the ledger alone");
        let first = self.record(("T4", "job_costs"), (None, Some(&batch)), Some(&job.number), Some(-amount), note);
        self.may_undo(first, Undo::ReverseJournal(batch), (20, 80));
        Some(())
    }

    fn post_journal(&mut self, account: &str, project: &str, code: Option<&str>, amount: Cents) -> String {
        let batch = self.reference("GL batch");
        let lines = vec![entry(account, project, code, amount), entry(CLEARING, NO_PROJECT, None, -amount)];
        let today = self.today();
        self.post("GL", batch.clone(), today, "", lines);
        format!("GL|{batch}")
    }

    pub(super) fn reverse_journal(&mut self, batch: &str) {
        let Some(original) = self.acumatica.journal_transactions.get(batch).cloned() else { return };
        let lines = original.details.iter().map(|line| {
            entry(&line.account, &line.project, line.cost_code.as_deref(), line.credit_amount - line.debit_amount)
        });
        let lines: Vec<_> = lines.collect();
        let (reference, today) = (self.reference("GL batch"), self.today());
        self.post("GL", reference, today, "", lines);
    }

    /// J1: the owner gives the building another name, and accounting is not told.
    pub(super) fn rename_project(&mut self) -> Option<()> {
        let job = self.any_job()?;
        if !self.spoil(job.project_id) {
            return None;
        }
        let now = self.now;
        let project = self.procore.projects.get_mut(&job.project_id)?;
        project.name = format!("The {} at Dilworth", project.name);
        project.updated_at = now;
        let ids = (Some(job.project_id), Some(job.number.as_str()));
        let note = "renamed in Procore";
        let first = self.record(("J1", "projects"), ids, Some("name"), Some(Cents::ZERO), note);
        self.may_undo(first, Undo::RenameErpProject(job.number.clone()), (20, 70));
        Some(())
    }

    pub(super) fn rename_erp_project(&mut self, number: &str) {
        let now = self.now;
        let named = self.procore.projects.values().find(|project| project.origin_id.as_deref() == Some(number));
        let Some(name) = named.map(|project| project.name.clone()) else { return };
        if let Some(project) = self.acumatica.projects.get_mut(number) {
            (project.description, project.last_modified_at) = (name, now);
        }
    }

    /// J1: accounting sets a job up before the project team does.
    pub(super) fn set_up_erp_project(&mut self) -> Option<()> {
        let like = self.any_job()?;
        let number = format!("{}-{}", like.number.split('-').next()?, 900 + self.next_number("stray project"));
        let project = ErpProject {
            project_id: number.clone(),
            description: "Freedom Drive Depot".to_owned(),
            customer: Some(like.customer),
            status: "Active",
            hold: false,
            external_ref_nbr: None,
            income: Cents::ZERO,
            expenses: Cents::ZERO,
            start_date: Some(self.today()),
            end_date: None,
            project_manager: None,
            retainage_pct: self.options.retainage,
            last_revenue_change_nbr: None,
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        self.acumatica.projects.insert(number.clone(), project);
        let note = format!("{number} is no project in Procore");
        let first = self.record(("J1", "projects"), (None, Some(&number)), None, Some(Cents::ZERO), note);
        self.may_undo(first, Undo::CancelProject(number), (20, 70));
        Some(())
    }
}
