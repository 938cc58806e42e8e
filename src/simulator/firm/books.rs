//! The ERP's ledgers: every document, job cost and overhead becomes a balanced batch with its project transactions.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate, TimeDelta};

use super::Firm;
use super::faults::Heal;
use super::jobs::{TASK, budget_key};
use super::life::{Event, month_end};
use super::model::{
    Cents, ErpBill, ErpBillLine, ErpInvoice, ErpJournal, ErpJournalLine, ErpProjectTransaction,
    ErpProjectTransactionLine,
};
use super::names::{ACCOUNTS, COST_TYPES};
use super::setup::OVERHEAD;

/// The code of what belongs to no project.
pub(super) const NO_PROJECT: &str = "X";
pub(crate) const RECEIVABLE: &str = "11000";
pub(crate) const RETAINAGE_RECEIVABLE: &str = "11100";
pub(crate) const PAYABLE: &str = "20000";
pub(crate) const RETAINAGE_PAYABLE: &str = "20100";
pub(super) const CASH: &str = "10100";
/// Sales tax that vendors charge is a cost of the office.
const TAX: &str = "60200";
pub(super) const CLEARING: &str = "21000";
pub(super) const REVENUE: &str = "40000";

impl Firm {
    /// Cost against payable and retainage payable; `sign` −1 takes it back.
    pub(super) fn post_bill(&mut self, bill: &ErpBill, sign: i64) {
        let batch = self.reference("AP batch");
        let mut journal = Vec::new();
        let mut costs = Vec::new();
        for line in &bill.details {
            let amount = signed(line.amount, sign);
            let mut entry = entry(&line.account, &line.project, line.cost_code.as_deref(), amount);
            entry.vendor_or_customer = Some(bill.vendor.clone());
            entry.description.clone_from(&line.transaction_description);
            if line.project != NO_PROJECT && !bill.is_retainage_document {
                let cost = self.cost_line(&entry, bill.date, &batch);
                entry.project_transaction_id = Some(cost.transaction_id);
                if line.po_order_nbr.is_some() {
                    let row =
                        self.budget_row(&line.project, &cost.account_group, cost.cost_code.as_deref().unwrap_or(""));
                    row.committed_invoiced_amount += amount;
                    row.committed_open_amount -= amount;
                }
                costs.push(cost);
            }
            journal.push(entry);
        }
        journal.push(entry(TAX, NO_PROJECT, None, signed(bill.tax_total, sign)));
        journal.push(entry(PAYABLE, NO_PROJECT, None, -signed(bill.amount, sign)));
        journal.push(entry(RETAINAGE_PAYABLE, NO_PROJECT, None, -signed(bill.retainage_total, sign)));
        self.post_costs("AP", &batch, &bill.description, Some((bill.doc_type, &bill.reference_nbr)), costs);
        self.post("AP", batch, bill.date, &bill.reference_nbr, journal);
    }

    /// Receivable and retainage receivable against revenue; `sign` −1 takes it back.
    pub(super) fn post_invoice(&mut self, invoice: &ErpInvoice, sign: i64) {
        let batch = self.reference("AR batch");
        let project = invoice.project.clone().unwrap_or_else(|| NO_PROJECT.to_owned());
        let mut journal = vec![
            entry(RECEIVABLE, NO_PROJECT, None, signed(invoice.amount, sign)),
            entry(RETAINAGE_RECEIVABLE, NO_PROJECT, None, signed(invoice.retainage_total, sign)),
        ];
        let mut revenue = Vec::new();
        for line in &invoice.details {
            let mut entry = entry(&line.account, &project, line.cost_code.as_deref(), -signed(line.amount, sign));
            entry.vendor_or_customer = Some(invoice.customer.clone());
            entry.description.clone_from(&line.description);
            if project != NO_PROJECT && !invoice.is_retainage_document {
                let cost = self.cost_line(&entry, invoice.date, &batch);
                entry.project_transaction_id = Some(cost.transaction_id);
                revenue.push(cost);
            }
            journal.push(entry);
        }
        self.post_costs("AR", &batch, &invoice.description, Some((invoice.doc_type, &invoice.reference_nbr)), revenue);
        self.post("AR", batch, invoice.date, &invoice.reference_nbr, journal);
    }

    /// Payroll and equipment of a month, allocated to the job.
    pub(super) fn post_job_costs(&mut self, index: usize) {
        let Some(job) = self.job(index).cloned() else { return };
        let date = month_end(self.today());
        let batch = self.reference("PM batch");
        let (mut journal, mut costs, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for cell in job.cells.iter().filter(|cell| matches!(cell.cost_type, "L" | "E" | "O")) {
            if !self.chance(700) {
                continue;
            }
            let amount = cell.budget.share(self.between(40, 110), 100 * job.months.max(1));
            let is_wrong = self.chance(self.options.faults.default_code);
            let default = if self.chance(600) { Some("00-000") } else { None };
            let code = if is_wrong { default } else { Some(cell.cost_code) };
            let mut entry = entry(account_of(cell.cost_type), &job.number, code, amount);
            entry.description = format!("{} {}", cell.title, period(date));
            let cost = self.cost_line(&entry, date, &batch);
            entry.project_transaction_id = Some(cost.transaction_id);
            if is_wrong {
                wrong.push((cost.transaction_id, cell.cost_code, amount, code));
            }
            journal.push(entry);
            costs.push(cost);
        }
        let total: Cents = costs.iter().map(|cost| cost.amount).sum();
        if costs.is_empty() {
            return;
        }
        journal.push(entry(CLEARING, NO_PROJECT, None, -total));
        let key = self.post_costs("PM", &batch, "Payroll and equipment", None, costs);
        self.post("PM", batch, date, "", journal);
        for (line, right, amount, code) in wrong {
            let fault = self.fault("C4", "job_costs", None, Some(&format!("{key}|{line}")));
            let note = format!("posted on {} instead of {right}", code.unwrap_or("no code"));
            self.describe(fault, Some("cost_code"), Some(amount), note);
            self.may_heal(fault, Heal::Code(key.clone(), line, right.to_owned()), 7, 45);
        }
    }

    /// Gives a cost line, and its ledger line, the right code.
    pub(super) fn recode(&mut self, key: &str, transaction: i64, code: &str) {
        let now = self.now;
        let Some(header) = self.acumatica.project_transactions.get_mut(key) else { return };
        header.last_modified_at = now;
        let Some(line) = header.details.iter_mut().find(|line| line.transaction_id == transaction) else { return };
        let before = line.cost_code.replace(code.to_owned());
        let (project, group, amount) = (line.project.clone(), line.account_group.clone(), line.amount);
        let batch = format!("{}|{}", header.module, line.batch_nbr.clone().unwrap_or_default());
        self.budget_row(&project, &group, before.as_deref().unwrap_or("")).actual_amount -= amount;
        self.budget_row(&project, &group, code).actual_amount += amount;
        self.mark_stale(budget_key(&project, &group, code));
        let Some(batch) = self.acumatica.journal_transactions.get_mut(&batch) else { return };
        batch.last_modified_at = now;
        let lines = batch.details.iter_mut().filter(|line| line.project_transaction_id == Some(transaction));
        for line in lines {
            line.cost_code = Some(code.to_owned());
        }
    }

    /// Rent and paper: bills that no project ever sees; now and then a vendor's or a customer's credit.
    pub(super) fn post_overhead(&mut self) {
        let date = self.today();
        for (vendor, account) in OVERHEAD.iter().zip(["60100", "60200", "60200"]) {
            let amount = Cents(self.between(20_000, 600_000));
            let reference = self.reference("payable");
            let mut bill = self.bill_record(&reference, vendor, date, vec![overhead_line(account, amount)]);
            bill.vendor_ref = Some(format!("{}{:02}", date.year(), date.month()));
            bill.description = String::from("Office");
            bill.apply_retainage = false;
            self.release_bill(bill);
            let at = self.days_on(15, 30);
            self.schedule(at, Event::PayBill(format!("Bill|{reference}"), true));
        }
        if self.chance(200) {
            self.credit_overhead(date);
        }
        if self.chance(150) {
            self.credit_customer(date);
        }
    }

    pub(super) fn cost_line(
        &mut self,
        entry: &ErpJournalLine,
        date: NaiveDate,
        batch: &str,
    ) -> ErpProjectTransactionLine {
        let group =
            ACCOUNTS.iter().find(|account| account.0 == entry.account).and_then(|account| account.4).unwrap_or("O");
        // Revenue is a credit; an account group's amount is positive on its own side.
        let amount = entry.debit_amount - entry.credit_amount;
        let amount = if group == "REV" { -amount } else { amount };
        let code = entry.cost_code.clone();
        self.budget_row(&entry.project, group, code.as_deref().unwrap_or("")).actual_amount += amount;
        self.mark_stale(budget_key(&entry.project, group, code.as_deref().unwrap_or("")));
        let (income, expense) = if group == "REV" { (amount, Cents::ZERO) } else { (Cents::ZERO, amount) };
        if let Some(project) = self.acumatica.projects.get_mut(&entry.project) {
            project.income += income;
            project.expenses += expense;
        }
        ErpProjectTransactionLine {
            transaction_id: self.next_number("project transaction line"),
            date,
            fin_period: self.posting_period(date),
            project: entry.project.clone(),
            project_task: TASK.to_owned(),
            cost_code: code,
            account_group: group.to_owned(),
            vendor_or_customer: entry.vendor_or_customer.clone(),
            description: entry.description.clone(),
            qty: 1,
            unit_rate: amount,
            amount,
            billable: false,
            released: true,
            batch_nbr: Some(batch.to_owned()),
            debit_account: (group != "REV").then(|| entry.account.clone()),
            credit_account: (group == "REV").then(|| entry.account.clone()),
        }
    }

    fn mark_stale(&mut self, key: String) {
        if self.stale_budgets.is_empty() {
            let night = self.today().and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::hours(29);
            self.schedule(night, Event::MirrorBudgets);
        }
        self.stale_budgets.insert(key);
    }

    pub(super) fn post_costs(
        &mut self,
        module: &'static str,
        batch: &str,
        description: &str,
        document: Option<(&'static str, &str)>,
        details: Vec<ErpProjectTransactionLine>,
    ) -> String {
        let reference_nbr = format!("PM{}", self.reference("project transaction"));
        let key = format!("{module}|{reference_nbr}");
        if details.is_empty() {
            return key;
        }
        let header = ErpProjectTransaction {
            module,
            reference_nbr,
            status: "Released",
            description: format!("{description} ({batch})"),
            original_doc_type: document.map(|document| document.0),
            original_doc_nbr: document.map(|document| document.1.to_owned()),
            details,
            created_at: self.now,
            last_modified_at: self.now,
        };
        self.acumatica.project_transactions.insert(key.clone(), header);
        key
    }

    /// Posts a batch; lines of nothing are left out.
    pub(super) fn post(
        &mut self,
        module: &'static str,
        batch_nbr: String,
        date: NaiveDate,
        reference: &str,
        lines: Vec<ErpJournalLine>,
    ) {
        let mut details: Vec<ErpJournalLine> =
            lines.into_iter().filter(|line| line.debit_amount != line.credit_amount).collect();
        for (number, line) in (1..).zip(&mut details) {
            line.line_nbr = number;
            line.reference_nbr = (!reference.is_empty()).then(|| reference.to_owned());
        }
        let batch = ErpJournal {
            module,
            ledger_id: "ACTUAL",
            branch_id: "MAIN",
            post_period: self.posting_period(date),
            transaction_date: date,
            status: "Posted",
            hold: false,
            description: format!("{module} {reference}"),
            currency_id: "USD",
            details,
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
            batch_nbr,
        };
        self.acumatica.journal_transactions.insert(format!("{module}|{}", batch.batch_nbr), batch);
    }

    pub(super) fn open_bills_of(&self, vendor: &str) -> BTreeSet<String> {
        self.open_bills.get(vendor).cloned().unwrap_or_default()
    }
}

/// A ledger line: a debit if positive, a credit if negative.
pub(super) fn entry(account: &str, project: &str, code: Option<&str>, amount: Cents) -> ErpJournalLine {
    ErpJournalLine {
        line_nbr: 0,
        account: account.to_owned(),
        subaccount: "000000",
        project: project.to_owned(),
        project_task: (project != NO_PROJECT).then(|| TASK.to_owned()),
        cost_code: code.map(str::to_owned),
        reference_nbr: None,
        vendor_or_customer: None,
        description: String::new(),
        debit_amount: amount.max(Cents::ZERO),
        credit_amount: (-amount).max(Cents::ZERO),
        project_transaction_id: None,
    }
}

pub(super) fn overhead_line(account: &str, amount: Cents) -> ErpBillLine {
    ErpBillLine {
        line_nbr: 1,
        account: account.to_owned(),
        project: NO_PROJECT.to_owned(),
        project_task: None,
        cost_code: None,
        transaction_description: "Office".to_owned(),
        qty: 1,
        unit_cost: amount,
        extended_cost: amount,
        amount,
        retainage_pct: super::model::Rate(0),
        retainage_amount: Cents::ZERO,
        po_order_type: None,
        po_order_nbr: None,
        po_line: None,
    }
}

fn signed(amount: Cents, sign: i64) -> Cents {
    if sign < 0 { -amount } else { amount }
}

/// `MMYYYY`.
pub(super) fn period(date: NaiveDate) -> String {
    format!("{:02}{}", date.month(), date.year())
}

pub(super) fn account_of(cost_type: &str) -> &'static str {
    COST_TYPES.iter().find(|row| row.0 == cost_type).map_or("50500", |row| row.3)
}
