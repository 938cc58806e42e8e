//! The ERP's documents: the bills of requisitions, the invoices of applications, and how their amounts go wrong.

use chrono::{Days, NaiveDate};

use super::Firm;
use super::books::{REVENUE, account_of};
use super::connector::{OrderLink, billed_line};
use super::faults::Heal;
use super::jobs::TASK;
use super::life::Event;
use super::model::{
    Cents, ErpBill, ErpBillLine, ErpInvoice, ErpInvoiceLine, ErpProForma, ErpProgressLine, PaymentApplication,
    ProcoreId, Requisition,
};

impl Firm {
    /// The bill, or the two bills, of a requisition.
    pub(super) fn bill(&mut self, requisition: &Requisition, vendor: &str, link: &OrderLink) -> Vec<String> {
        let mut lines = self.payable_lines(requisition, link);
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

    /// What a requisition brings to a bill.
    pub(super) fn payable_lines(&self, requisition: &Requisition, link: &OrderLink) -> Vec<ErpBillLine> {
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
        lines
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
        if !is_split && self.hold_bill(&mut bill, requisition) {
            self.acumatica.bills.insert(key.clone(), bill);
            return key;
        }
        if !is_split && !self.miscode_bill(&mut bill, requisition) {
            self.spoil_bill(&mut bill, requisition.id, &key);
        }
        self.release_bill(bill);
        self.post_late(&key, requisition.id);
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
            post_period: self.posting_period(date),
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
            default_retainage_pct: self.options.retainage,
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
        // Never so much that the document would turn round.
        let delta = Cents(self.between(500, 250_000)).min(bill.amount.share(1, 3));
        let is_wrong = is_wrong && delta > Cents(1);
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
            self.heal_together(*fault);
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

    /// Accounting lets a bill go: it is posted, and paid some weeks later.
    pub(super) fn release_held_bill(&mut self, key: &str) {
        let Some(mut bill) = self.acumatica.bills.remove(key) else { return };
        (bill.hold, bill.last_modified_at) = (false, self.now);
        bill.total();
        self.release_bill(bill);
        let at = self.days_on(20, 28);
        self.schedule(at, Event::PayBill(key.to_owned(), true));
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
        // What is corrected stays posted where it was.
        let post_period = old.post_period;
        self.acumatica.bills.insert(key, ErpBill { last_modified_at: now, post_period, ..correct });
        true
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
            post_period: self.posting_period(date),
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
            default_retainage_pct: self.options.retainage,
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
        let delta = Cents(self.between(1_000, 900_000)).min(invoice.amount.share(1, 3));
        let is_wrong = is_wrong && delta > Cents(1);
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
        self.match_pro_forma(invoice);
    }

    /// A pro forma bills what its AR invoice does, line by line.
    fn match_pro_forma(&mut self, invoice: &ErpInvoice) {
        let now = self.now;
        let of_invoice = |form: &&mut ErpProForma| form.ar_ref_nbr.as_ref() == Some(&invoice.reference_nbr);
        let Some(form) = self.acumatica.pro_formas.values_mut().find(of_invoice) else { return };
        for (line, detail) in form.progress_billing.iter_mut().zip(&invoice.details) {
            line.amount_to_invoice = detail.amount;
            line.amount = detail.amount - line.stored_material;
            line.retainage_amount = detail.retainage_amount;
        }
        form.progress_billing_total = form.progress_billing.iter().map(|line| line.amount_to_invoice).sum();
        form.invoice_total = form.progress_billing_total + form.tax_total;
        form.retainage_total = form.progress_billing.iter().map(|line| line.retainage_amount).sum();
        form.amount_due = form.invoice_total - form.retainage_total;
        form.last_modified_at = now;
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
        self.match_pro_forma(&correct);
        let now = self.now;
        self.acumatica.invoices.insert(key, ErpInvoice { last_modified_at: now, ..correct });
        true
    }
}

impl ErpBill {
    /// Adds the lines and the tax up.
    pub(super) fn total(&mut self) {
        let lines: Cents = self.details.iter().map(|line| line.amount).sum();
        self.amount_with_retainage = lines + self.tax_total;
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
