//! The ERP's ledgers: bills, invoices, job cost and overhead, each with a balanced batch and its project transactions.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, TimeDelta};

use super::Firm;
use super::billing::RETAINAGE;
use super::connector::{OrderLink, billed_line};
use super::faults::Heal;
use super::jobs::{TASK, budget_key};
use super::life::{Event, month_end};
use super::model::{
    Cents, ErpBill, ErpBillLine, ErpInvoice, ErpInvoiceLine, ErpJournal, ErpJournalLine, ErpProForma, ErpProgressLine,
    ErpProjectTransaction, ErpProjectTransactionLine, PaymentApplication, ProcoreId, Requisition,
};
use super::names::{ACCOUNTS, COST_TYPES};
use super::setup::OVERHEAD;

/// The code of what belongs to no project.
pub(super) const NO_PROJECT: &str = "X";
pub(super) const RECEIVABLE: &str = "11000";
pub(super) const RETAINAGE_RECEIVABLE: &str = "11100";
pub(super) const PAYABLE: &str = "20000";
pub(super) const RETAINAGE_PAYABLE: &str = "20100";
pub(super) const CASH: &str = "10100";
const CLEARING: &str = "21000";
const REVENUE: &str = "40000";

impl Firm {
    /// The bill, or the two bills, of a requisition.
    pub(super) fn bill(&mut self, requisition: &Requisition, vendor: &str, link: &OrderLink) -> Vec<String> {
        let project = self.project_number(requisition.project_id);
        let mut lines = Vec::new();
        for item in &requisition.items {
            let Some((gross, retained, rate)) = billed_line(item) else { continue };
            lines.push(ErpBillLine {
                line_nbr: i32::try_from(lines.len()).unwrap_or_default() + 1,
                account: account_of(item.cost_type).to_owned(),
                project: project.clone(),
                project_task: Some(TASK.to_owned()),
                cost_code: Some(item.cost_code.clone()),
                transaction_description: item.description_of_work.clone(),
                qty: 1,
                unit_cost: gross,
                extended_cost: gross,
                amount: gross,
                retainage_pct: rate,
                retainage_amount: retained,
                po_order_type: Some(link.order_type),
                po_order_nbr: Some(link.order_nbr.clone()),
                po_line: link.lines.get(&item.origin_id).copied(),
            });
        }
        // A clerk enters some in two bills: the vendor sent two papers.
        let is_split = lines.len() > 1 && lines.iter().all(|line| line.amount > Cents::ZERO) && self.chance(20);
        let rest = if is_split { lines.split_off(lines.len() / 2) } else { Vec::new() };
        let mut keys = Vec::new();
        for part in [lines, rest] {
            if !part.is_empty() {
                keys.push(self.enter_bill(requisition, vendor, part, is_split));
            }
        }
        keys
    }

    fn enter_bill(
        &mut self,
        requisition: &Requisition,
        vendor: &str,
        lines: Vec<ErpBillLine>,
        is_split: bool,
    ) -> String {
        let reference = self.reference("payable");
        let mut bill = self.bill_record(&reference, vendor, requisition.billing_date, lines);
        bill.vendor_ref.clone_from(&requisition.invoice_number);
        bill.description = format!("{} invoice {}", requisition.contract_name, requisition.number);
        let key = format!("Bill|{reference}");
        self.billed.insert(key.clone(), requisition.id);
        self.file_document(&key, requisition.commitment_id);
        if !is_split {
            self.spoil_bill(&mut bill, requisition.id, &key);
        }
        self.release_bill(bill);
        let at = if self.chance(40) { self.days_on(75, 110) } else { self.days_on(25, 45) };
        let is_whole = !self.chance(80);
        self.schedule(at, Event::PayBill(key.clone(), is_whole));
        key
    }

    pub(super) fn file_document(&mut self, key: &str, contract: ProcoreId) {
        self.document_contracts.insert(key.to_owned(), contract);
        self.contract_documents.entry(contract).or_default().push(key.to_owned());
    }

    pub(super) fn bill_record(
        &mut self,
        reference: &str,
        vendor: &str,
        date: NaiveDate,
        details: Vec<ErpBillLine>,
    ) -> ErpBill {
        let project = details.first().map(|line| line.project.clone());
        let mut bill = ErpBill {
            doc_type: "Bill",
            reference_nbr: reference.to_owned(),
            status: "Open",
            hold: false,
            date,
            post_period: period(date),
            due_date: date + Days::new(30),
            vendor: vendor.to_owned(),
            vendor_ref: None,
            description: String::new(),
            amount: Cents::ZERO,
            balance: Cents::ZERO,
            tax_total: Cents::ZERO,
            currency_id: "USD",
            terms: "30D",
            project,
            amount_with_retainage: Cents::ZERO,
            apply_retainage: true,
            default_retainage_pct: RETAINAGE,
            retainage_total: Cents::ZERO,
            retainage_unreleased: Cents::ZERO,
            retainage_released: Cents::ZERO,
            is_retainage_document: false,
            orig_ref_nbr: None,
            details,
            applications: Vec::new(),
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        bill.total();
        bill
    }

    /// I4: sometimes gross or retainage is not what Procore approved; a single cent is only rounding.
    fn spoil_bill(&mut self, bill: &mut ErpBill, requisition: ProcoreId, key: &str) {
        let is_wrong = self.chance(self.options.faults.vendor_invoice_amount);
        let is_rounded = self.chance(40);
        let is_gross = self.chance(500);
        let delta = Cents(self.between(500, 250_000));
        let correct = bill.clone();
        let Some(line) = bill.details.last_mut() else { return };
        if is_wrong && is_gross {
            line.amount += delta;
            line.extended_cost += delta;
            line.unit_cost += delta;
        } else if is_wrong {
            line.retainage_amount += delta;
        } else if is_rounded {
            line.retainage_amount += Cents(1);
        }
        bill.total();
        if is_wrong {
            let first = if is_gross { "gross_amount" } else { "retainage_amount" };
            let heal = Heal::Bill(Box::new(correct));
            self.amount_fault("I4", "vendor_invoices", requisition, key, (first, delta), heal);
        }
    }

    fn amount_fault(&mut self, check: &str, entity: &str, id: ProcoreId, key: &str, first: (&str, Cents), heal: Heal) {
        let mut faults = Vec::new();
        for field in [first.0, "net_amount"] {
            let fault = self.fault(check, entity, Some(id), Some(key));
            self.describe(fault, Some(field), Some(first.1), format!("{field} differs by {}", first.1));
            faults.push(fault);
        }
        if let Some(fault) = faults.first() {
            self.may_heal(*fault, heal, 4, 20);
        }
    }

    pub(super) fn release_bill(&mut self, bill: ErpBill) {
        self.post_bill(&bill, 1);
        let key = format!("{}|{}", bill.doc_type, bill.reference_nbr);
        if bill.balance > Cents::ZERO {
            self.open_bills.entry(bill.vendor.clone()).or_default().insert(key.clone());
        }
        self.acumatica.bills.insert(key, bill);
    }

    /// Corrects a bill on which nothing is paid; otherwise says no.
    pub(super) fn replace_bill(&mut self, correct: ErpBill) -> bool {
        let key = format!("{}|{}", correct.doc_type, correct.reference_nbr);
        let Some(old) = self.acumatica.bills.get(&key).cloned() else { return false };
        if !old.applications.is_empty() {
            return false;
        }
        self.post_bill(&old, -1);
        self.post_bill(&correct, 1);
        let now = self.now;
        self.acumatica.bills.insert(key, ErpBill { last_modified_at: now, ..correct });
        true
    }

    /// Cost against payable and retainage payable; `sign` −1 takes it back.
    fn post_bill(&mut self, bill: &ErpBill, sign: i64) {
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
        journal.push(entry(PAYABLE, NO_PROJECT, None, -signed(bill.amount, sign)));
        journal.push(entry(RETAINAGE_PAYABLE, NO_PROJECT, None, -signed(bill.retainage_total, sign)));
        self.post_costs("AP", &batch, &bill.description, Some((bill.doc_type, &bill.reference_nbr)), costs);
        self.post("AP", batch, bill.date, &bill.reference_nbr, journal);
    }

    /// The pro forma and the AR invoice of an application.
    pub(super) fn invoice(&mut self, application: &PaymentApplication) -> String {
        let project = self.project_number(application.project_id);
        let customer = self.acumatica.projects.get(&project).and_then(|project| project.customer.clone());
        let mut details = Vec::new();
        for line in &application.g703 {
            let Some((gross, retained, _)) = billed_line(line) else { continue };
            details.push(ErpInvoiceLine {
                line_nbr: i32::try_from(details.len()).unwrap_or_default() + 1,
                project_task: Some(TASK.to_owned()),
                cost_code: Some(line.cost_code.clone()),
                account: REVENUE.to_owned(),
                description: line.description_of_work.clone(),
                qty: 1,
                unit_price: gross,
                extended_price: gross,
                amount: gross,
                retainage_amount: retained,
            });
        }
        let reference = self.reference("receivable");
        let customer = customer.unwrap_or_default();
        let mut invoice = self.invoice_record(&reference, &customer, &project, application.billing_date, details);
        invoice.customer_order = Some(application.invoice_number.clone());
        invoice.description = format!("Application {}", application.number);
        let key = format!("Invoice|{reference}");
        self.billed.insert(key.clone(), application.id);
        self.file_document(&key, application.contract_id);
        self.spoil_invoice(&mut invoice, application.id, &key);
        self.add_pro_forma(application, &invoice);
        self.release_invoice(invoice);
        let at = self.days_on(25, 45);
        self.schedule(at, Event::Receive(key));
        reference
    }

    pub(super) fn invoice_record(
        &mut self,
        reference: &str,
        customer: &str,
        project: &str,
        date: NaiveDate,
        details: Vec<ErpInvoiceLine>,
    ) -> ErpInvoice {
        let mut invoice = ErpInvoice {
            doc_type: "Invoice",
            reference_nbr: reference.to_owned(),
            status: "Open",
            hold: false,
            date,
            post_period: period(date),
            due_date: date + Days::new(30),
            customer: customer.to_owned(),
            customer_order: None,
            project: Some(project.to_owned()),
            description: String::new(),
            amount: Cents::ZERO,
            balance: Cents::ZERO,
            tax_total: Cents::ZERO,
            currency_id: "USD",
            terms: "30D",
            amount_with_retainage: Cents::ZERO,
            apply_retainage: true,
            default_retainage_pct: RETAINAGE,
            retainage_total: Cents::ZERO,
            retainage_unreleased: Cents::ZERO,
            retainage_released: Cents::ZERO,
            is_retainage_document: false,
            orig_ref_nbr: None,
            details,
            applications: Vec::new(),
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        invoice.total();
        invoice
    }

    /// I3: sometimes gross or retainage is not what Procore approved.
    fn spoil_invoice(&mut self, invoice: &mut ErpInvoice, application: ProcoreId, key: &str) {
        let is_wrong = self.chance(self.options.faults.owner_invoice_amount);
        let is_gross = self.chance(500);
        let delta = Cents(self.between(1_000, 900_000));
        let correct = invoice.clone();
        let Some(line) = invoice.details.last_mut().filter(|_| is_wrong) else { return };
        if is_gross {
            line.amount += delta;
            line.extended_price += delta;
            line.unit_price += delta;
        } else {
            line.retainage_amount += delta;
        }
        invoice.total();
        let first = if is_gross { "gross_amount" } else { "retainage_amount" };
        let heal = Heal::Invoice(Box::new(correct));
        self.amount_fault("I3", "owner_invoices", application, key, (first, delta), heal);
    }

    fn add_pro_forma(&mut self, application: &PaymentApplication, invoice: &ErpInvoice) {
        let lines = application.g703.iter().filter_map(|line| {
            let (gross, retained, rate) = billed_line(line)?;
            Some(ErpProgressLine {
                project_task_id: TASK.to_owned(),
                cost_code: line.cost_code.clone(),
                description: line.description_of_work.clone(),
                revised_budgeted_amount: line.scheduled_value,
                previously_invoiced: line.total_completed_and_stored_to_date - gross,
                stored_material: line.materials_presently_stored,
                amount: gross - line.materials_presently_stored,
                amount_to_invoice: gross,
                total_completed: line.total_completed_and_stored_to_date_percent,
                retainage: rate,
                retainage_amount: retained,
                sales_account: REVENUE.to_owned(),
            })
        });
        let progress_billing: Vec<_> = lines.collect();
        let total: Cents = progress_billing.iter().map(|line| line.amount_to_invoice).sum();
        let retainage_total: Cents = progress_billing.iter().map(|line| line.retainage_amount).sum();
        let ref_nbr = self.reference("pro forma");
        let record = ErpProForma {
            ref_nbr: ref_nbr.clone(),
            project_nbr: format!("{:04}", application.number),
            project_id: invoice.project.clone().unwrap_or_default(),
            customer_id: invoice.customer.clone(),
            status: "Closed",
            hold: false,
            invoice_date: invoice.date,
            post_period: invoice.post_period.clone(),
            description: invoice.description.clone(),
            external_ref_nbr: Some(application.invoice_number.clone()),
            currency_id: "USD",
            invoice_total: total,
            progress_billing_total: total,
            tax_total: Cents::ZERO,
            retainage_total,
            amount_due: total - retainage_total,
            ar_doc_type: Some("Invoice"),
            ar_ref_nbr: Some(invoice.reference_nbr.clone()),
            progress_billing,
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        self.acumatica.pro_formas.insert(ref_nbr, record);
    }

    pub(super) fn release_invoice(&mut self, invoice: ErpInvoice) {
        self.post_invoice(&invoice, 1);
        self.acumatica.invoices.insert(format!("{}|{}", invoice.doc_type, invoice.reference_nbr), invoice);
    }

    /// Corrects an invoice on which nothing is received; otherwise says no.
    pub(super) fn replace_invoice(&mut self, correct: ErpInvoice) -> bool {
        let key = format!("{}|{}", correct.doc_type, correct.reference_nbr);
        let Some(old) = self.acumatica.invoices.get(&key).cloned() else { return false };
        if !old.applications.is_empty() {
            return false;
        }
        self.post_invoice(&old, -1);
        self.post_invoice(&correct, 1);
        let now = self.now;
        self.acumatica.invoices.insert(key, ErpInvoice { last_modified_at: now, ..correct });
        true
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
            bill.description = "Office".to_owned();
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
            fin_period: period(date),
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
            post_period: period(date),
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

impl ErpBill {
    /// Adds the lines up.
    pub(super) fn total(&mut self) {
        self.amount_with_retainage = self.details.iter().map(|line| line.amount).sum();
        self.retainage_total = self.details.iter().map(|line| line.retainage_amount).sum();
        self.retainage_unreleased = self.retainage_total - self.retainage_released;
        self.amount = self.amount_with_retainage - self.retainage_total;
        self.balance = self.amount - self.applications.iter().map(|application| application.amount_paid).sum();
        self.status = if self.balance.is_zero() { "Closed" } else { "Open" };
    }
}

impl ErpInvoice {
    /// Adds the lines up.
    pub(super) fn total(&mut self) {
        self.amount_with_retainage = self.details.iter().map(|line| line.amount).sum();
        self.retainage_total = self.details.iter().map(|line| line.retainage_amount).sum();
        self.retainage_unreleased = self.retainage_total - self.retainage_released;
        self.amount = self.amount_with_retainage - self.retainage_total;
        self.balance = self.amount - self.applications.iter().map(|application| application.amount_paid).sum();
        self.status = if self.balance.is_zero() { "Closed" } else { "Open" };
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
