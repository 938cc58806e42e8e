//! The ERP's cash: checks with their applications, voids, receipts, credits, and the release of retainage.

use chrono::{Days, NaiveDate, TimeDelta};

use super::Firm;
use super::books::{
    CASH, NO_PROJECT, PAYABLE, RECEIVABLE, RETAINAGE_PAYABLE, RETAINAGE_RECEIVABLE, entry, overhead_line, period,
};
use super::faults::Heal;
use super::life::Event;
use super::model::{
    Cents, ErpApplication, ErpBill, ErpCheck, ErpCheckHistory, ErpInvoiceLine, ErpPayment, ErpPaymentHistory, Rate,
};
use super::setup::OVERHEAD;

impl Firm {
    /// Pays a bill: whole or in two parts, sometimes together with the vendor's other bills that are due.
    pub(super) fn pay_bill(&mut self, key: &str, is_whole: bool) {
        let is_due = |bill: &&ErpBill| bill.balance > Cents::ZERO && !self.withheld.contains(key);
        let Some(bill) = self.acumatica.bills.get(key).filter(is_due) else { return };
        let (vendor, balance) = (bill.vendor.clone(), bill.balance);
        let mut parts = vec![(key.to_owned(), if is_whole { balance } else { balance.share(1, 2) })];
        if is_whole && self.chance(350) {
            let due = self.now - TimeDelta::days(18);
            for other in self.open_bills_of(&vendor) {
                let Some(bill) = self.acumatica.bills.get(&other) else { continue };
                if self.withheld.contains(&other) {
                    continue;
                }
                if other != key && bill.created_at < due && bill.balance > Cents::ZERO && bill.applications.is_empty() {
                    parts.push((other, bill.balance));
                }
            }
        }
        if !is_whole {
            let at = self.days_on(8, 20);
            self.schedule(at, Event::PayBill(key.to_owned(), true));
        }
        self.write_check(&vendor, &parts);
    }

    /// Writes a check on bills of a vendor: its key.
    pub(super) fn write_check(&mut self, vendor: &str, parts: &[(String, Cents)]) -> String {
        let amount: Cents = parts.iter().map(|(_, amount)| *amount).sum();
        let reference = self.reference("check");
        let key = format!("Check|{reference}");
        let today = self.today();
        let history =
            parts.iter().filter_map(|(bill, amount)| self.apply(bill, "Check", &reference, *amount)).collect();
        let check = ErpCheck {
            doc_type: "Check",
            reference_nbr: reference.clone(),
            status: "Closed",
            hold: false,
            vendor: vendor.to_owned(),
            payment_method: "CHECK",
            cash_account: CASH.to_owned(),
            payment_ref: (20_000 + self.next_number("check paper")).to_string(),
            application_date: today,
            payment_amount: amount,
            unapplied_balance: Cents::ZERO,
            currency_id: "USD",
            description: format!("Payment to {vendor}"),
            history,
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        self.acumatica.checks.insert(key.clone(), check);
        self.post_pair("AP", today, &reference, PAYABLE, CASH, amount);
        // Those of decoys are voided on purpose only.
        let is_voided = self.chance(40) && !self.apart.is_entered;
        if is_voided {
            let at = self.days_on(3, 7);
            self.schedule(at, Event::VoidCheck(key.clone()));
        }
        for (bill, amount) in parts {
            self.send_back(&key, bill, *amount, is_voided);
        }
        key
    }

    /// Schedules the payment's way back to Procore, unless it gets lost (P1; P2 where Procore knows another part of the bill).
    fn send_back(&mut self, payment: &str, document: &str, amount: Cents, is_voided: bool) {
        if !self.document_contracts.contains_key(document) {
            return;
        }
        let is_progress = self.billed.contains_key(document);
        if is_progress && !is_voided && self.chance(self.options.faults.payment_lost) {
            let requisition = self.billed.get(document).copied();
            let fault = self.fault("P1", "payments", requisition, Some(payment));
            self.describe(fault, None, Some(amount), format!("{payment} paid {document}; Procore never heard of it"));
            self.may_heal(fault, Heal::Payment(payment.to_owned(), document.to_owned()), 15, 60);
            return;
        }
        if !is_voided {
            self.miskey_payment(payment, document, amount);
        }
        let hours = self.between(2, 20);
        self.schedule_in(hours, Event::MirrorPayment(payment.to_owned(), document.to_owned()));
    }

    /// Applies a payment or credit to a bill.
    fn apply(&mut self, bill: &str, doc_type: &'static str, reference: &str, amount: Cents) -> Option<ErpCheckHistory> {
        let today = self.today();
        let record = self.acumatica.bills.get_mut(bill)?;
        record.applications.push(ErpApplication {
            doc_type,
            reference_nbr: reference.to_owned(),
            amount_paid: amount,
            balance: Cents::ZERO,
            status: "Closed",
            date: today,
        });
        // An application moves the balance and leaves the document's own last-modified time alone.
        record.total();
        let history = ErpCheckHistory {
            doc_type: record.doc_type,
            reference_nbr: record.reference_nbr.clone(),
            vendor_ref: record.vendor_ref.clone(),
            amount_paid: amount,
            balance: record.balance,
            cash_discount_taken: Cents::ZERO,
        };
        let open = self.open_bills.entry(record.vendor.clone()).or_default();
        if record.balance > Cents::ZERO {
            open.insert(bill.to_owned());
        } else {
            open.remove(bill);
        }
        Some(history)
    }

    /// Voids a check: a second document of the same number with negative amounts; a new check follows.
    pub(super) fn void_check(&mut self, key: &str) {
        let now = self.now;
        let today = self.today();
        let found = self.acumatica.checks.get_mut(key).filter(|check| check.status != "Voided");
        let Some(check) = found else { return };
        check.status = "Voided";
        check.last_modified_at = now;
        let check = check.clone();
        let mut history = Vec::new();
        for line in &check.history {
            let bill = format!("{}|{}", line.doc_type, line.reference_nbr);
            history.extend(self.apply(&bill, "Voided Check", &check.reference_nbr, -line.amount_paid));
            if !self.lose_void(key, &bill) {
                self.schedule_in(4, Event::UnmirrorPayment(key.to_owned(), bill.clone()));
            }
            let at = self.days_on(2, 5);
            self.schedule(at, Event::PayBill(bill, true));
        }
        let reference = check.reference_nbr.clone();
        let amount = check.payment_amount;
        let void = ErpCheck {
            doc_type: "Voided Check",
            status: "Closed",
            application_date: today,
            payment_amount: -amount,
            history,
            note_id: self.note_id(),
            created_at: now,
            last_modified_at: now,
            ..check
        };
        self.acumatica.checks.insert(format!("Voided Check|{reference}"), void);
        self.post_pair("AP", today, &reference, PAYABLE, CASH, -amount);
    }

    /// The owner pays an invoice.
    pub(super) fn receive(&mut self, key: &str) {
        let (now, today) = (self.now, self.today());
        let reference = self.reference("receipt");
        let Some(invoice) = self.acumatica.invoices.get_mut(key).filter(|invoice| !invoice.balance.is_zero()) else {
            return;
        };
        let amount = invoice.balance;
        invoice.applications.push(ErpApplication {
            doc_type: "Payment",
            reference_nbr: reference.clone(),
            amount_paid: amount,
            balance: Cents::ZERO,
            status: "Closed",
            date: today,
        });
        invoice.total();
        let (customer_id, adjusted) = (invoice.customer.clone(), invoice.reference_nbr.clone());
        let batch_nbr = self.post_pair("AR", today, &reference, CASH, RECEIVABLE, amount);
        let payment = ErpPayment {
            doc_type: "Payment",
            reference_nbr: reference.clone(),
            status: "Closed",
            hold: false,
            customer_id,
            payment_method: "WIRE",
            cash_account: CASH.to_owned(),
            payment_ref: format!("W{}", 7_000 + self.next_number("wire")),
            application_date: today,
            payment_amount: amount,
            applied_to_documents: amount,
            available_balance: Cents::ZERO,
            currency_id: "USD",
            application_history: vec![ErpPaymentHistory {
                adjusted_doc_type: "Invoice",
                adjusted_ref_nbr: adjusted,
                amount_paid: amount,
                date: today,
                batch_nbr,
                post_period: period(today),
            }],
            note_id: self.note_id(),
            created_at: now,
            last_modified_at: now,
        };
        let payment_key = format!("Payment|{reference}");
        self.acumatica.payments.insert(payment_key.clone(), payment);
        if self.document_contracts.contains_key(key) {
            let hours = self.between(2, 20);
            self.schedule_in(hours, Event::MirrorPayment(payment_key, key.to_owned()));
        }
    }

    /// What a payment paid on a document: amount, day, check number. Nothing of a voided check.
    pub(super) fn paid(&self, payment: &str, document: &str) -> Option<(Cents, NaiveDate, String)> {
        let reference = document.split('|').nth(1)?;
        if let Some(check) = self.acumatica.checks.get(payment) {
            let line = check.history.iter().find(|line| line.reference_nbr == reference)?;
            let is_good = check.status != "Voided";
            return is_good.then(|| (line.amount_paid, check.application_date, check.payment_ref.clone()));
        }
        let receipt = self.acumatica.payments.get(payment)?;
        let line = receipt.application_history.iter().find(|line| line.adjusted_ref_nbr == reference)?;
        Some((line.amount_paid, receipt.application_date, receipt.payment_ref.clone()))
    }

    /// Debits one account and credits another; turned round for a negative amount.
    pub(super) fn post_pair(
        &mut self,
        module: &'static str,
        date: NaiveDate,
        reference: &str,
        debit: &str,
        credit: &str,
        amount: Cents,
    ) -> String {
        let batch = self.reference(if module == "AP" { "AP batch" } else { "AR batch" });
        let lines = vec![entry(debit, NO_PROJECT, None, amount), entry(credit, NO_PROJECT, None, -amount)];
        self.post(module, batch.clone(), date, reference, lines);
        batch
    }

    /// A landlord's credit: a debit adjustment applied to the newest open bill, or left open.
    pub(super) fn credit_overhead(&mut self, date: NaiveDate) {
        let Some(vendor) = OVERHEAD.first() else { return };
        let Some(bill) = self.open_bills_of(vendor).last().cloned() else { return };
        let reference = self.reference("payable");
        let amount = Cents(self.between(1_000, 9_000));
        let mut credit = self.bill_record(&reference, vendor, date, vec![overhead_line("60100", amount)]);
        credit.doc_type = "Debit Adj.";
        credit.description = String::from("Credit");
        credit.apply_retainage = false;
        credit.balance = Cents::ZERO;
        credit.status = "Closed";
        credit.applications.push(ErpApplication {
            doc_type: "Bill",
            reference_nbr: bill.split('|').nth(1).unwrap_or_default().to_owned(),
            amount_paid: amount,
            balance: Cents::ZERO,
            status: "Open",
            date,
        });
        self.apply(&bill, "Debit Adj.", &reference, amount);
        self.post_pair("AP", date, &reference, PAYABLE, "60100", amount);
        self.acumatica.bills.insert(format!("Debit Adj.|{reference}"), credit);
    }

    /// A credit memo to an owner for something outside every project.
    pub(super) fn credit_customer(&mut self, date: NaiveDate) {
        let Some(customer) = self.acumatica.customers.keys().next().cloned() else { return };
        let reference = self.reference("receivable");
        let amount = Cents(self.between(5_000, 50_000));
        let mut memo = self.invoice_record(&reference, &customer, NO_PROJECT, date, vec![memo_line(amount)]);
        memo.doc_type = "Credit Memo";
        memo.description = String::from("Goodwill, warranty call");
        memo.apply_retainage = false;
        self.post_invoice(&memo, -1);
        self.acumatica.invoices.insert(format!("Credit Memo|{reference}"), memo);
    }

    /// Retainage is released by accounting, document by document; the connector does not know these documents.
    pub(super) fn finish_job(&mut self, index: usize) {
        let Some(job) = self.job(index).cloned() else { return };
        for contract in job.commitments {
            for key in self.contract_documents.get(&contract).cloned().unwrap_or_default() {
                self.release_bill_retainage(&key, contract);
            }
        }
        for key in self.contract_documents.get(&job.prime).cloned().unwrap_or_default() {
            self.release_invoice_retainage(&key, job.prime);
        }
        let now = self.now;
        if let Some(project) = self.procore.projects.get_mut(&job.project_id) {
            project.stage = "Warranty";
            project.updated_at = now;
        }
    }

    pub(super) fn release_bill_retainage(&mut self, key: &str, contract: i64) {
        let today = self.today();
        let Some(bill) =
            self.acumatica.bills.get_mut(key).filter(|bill| bill.retainage_unreleased > Cents::ZERO && !bill.hold)
        else {
            return;
        };
        let amount = bill.retainage_unreleased;
        bill.retainage_released = bill.retainage_total;
        bill.retainage_unreleased = Cents::ZERO;
        let original = bill.clone();
        let mut line = overhead_line(RETAINAGE_PAYABLE, amount);
        line.project = original.project.clone().unwrap_or_default();
        line.cost_code = original.details.first().and_then(|line| line.cost_code.clone());
        line.project_task = original.details.first().and_then(|line| line.project_task.clone());
        line.transaction_description = format!("Retainage of {}", original.reference_nbr);
        let reference = self.reference("payable");
        let mut release = self.bill_record(&reference, &original.vendor, today, vec![line]);
        release.is_retainage_document = true;
        release.apply_retainage = false;
        release.default_retainage_pct = Rate(0);
        release.orig_ref_nbr = Some(original.reference_nbr);
        release.description = String::from("Retainage release");
        let key = format!("Bill|{reference}");
        self.file_document(&key, contract);
        self.release_bill(release);
        let at = self.days_on(10, 30);
        self.schedule(at, Event::PayBill(key, true));
    }

    pub(super) fn release_invoice_retainage(&mut self, key: &str, contract: i64) {
        let today = self.today();
        let found = self.acumatica.invoices.get_mut(key);
        let Some(invoice) = found.filter(|invoice| invoice.retainage_unreleased > Cents::ZERO) else { return };
        let amount = invoice.retainage_unreleased;
        invoice.retainage_released = invoice.retainage_total;
        invoice.retainage_unreleased = Cents::ZERO;
        let original = invoice.clone();
        let mut line = memo_line(amount);
        line.account = String::from(RETAINAGE_RECEIVABLE);
        line.cost_code = original.details.first().and_then(|line| line.cost_code.clone());
        line.project_task = original.details.first().and_then(|line| line.project_task.clone());
        line.description = format!("Retainage of {}", original.reference_nbr);
        let reference = self.reference("receivable");
        let project = original.project.clone().unwrap_or_default();
        let mut release = self.invoice_record(&reference, &original.customer, &project, today, vec![line]);
        release.is_retainage_document = true;
        release.apply_retainage = false;
        release.default_retainage_pct = Rate(0);
        release.orig_ref_nbr = Some(original.reference_nbr);
        release.description = String::from("Retainage release");
        release.due_date = today + Days::new(30);
        let key = format!("Invoice|{reference}");
        self.file_document(&key, contract);
        self.release_invoice(release);
        let at = self.days_on(20, 45);
        self.schedule(at, Event::Receive(key));
    }
}

pub(super) fn memo_line(amount: Cents) -> ErpInvoiceLine {
    ErpInvoiceLine {
        line_nbr: 1,
        project_task: None,
        cost_code: None,
        account: "40000".to_owned(),
        description: "Goodwill".to_owned(),
        qty: 1,
        unit_price: amount,
        extended_price: amount,
        amount,
        retainage_amount: Cents::ZERO,
    }
}
