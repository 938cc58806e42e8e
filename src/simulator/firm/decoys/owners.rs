//! Applications and AR invoices that are not due, or that only one side has by design.

use chrono::TimeDelta;

use super::super::Firm;
use super::super::books::{CASH, RECEIVABLE};
use super::super::life::{Event, Export};
use super::super::model::{Cents, ErpInvoice, ErpPayment, ProcoreId};
use super::{DecoyKind, DecoyStep};

/// How far each application brings the work, in basis points.
const STEP: i64 = 600;

impl Firm {
    pub(super) fn place_owner_invoice(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        match kind {
            DecoyKind::ApplicationInDraft => self.undecided_application(kind, job, "draft"),
            DecoyKind::ApplicationUnderReview => self.undecided_application(kind, job, "under_review"),
            DecoyKind::ApplicationReturned => self.undecided_application(kind, job, "revise_and_resubmit"),
            DecoyKind::ApplicationNumberSpelling => {
                let application = self.application_or_later(kind, job)?;
                let key = self.send_application(application)?;
                self.procore.payment_applications.get_mut(&application)?.origin_id = None;
                let invoice = self.acumatica.invoices.get_mut(&key)?;
                invoice.customer_order =
                    invoice.customer_order.as_ref().map(|order| format!(" {}", order.replace('-', " - ")));
                self.note(kind, &[application], &[&key]);
                Some(())
            }
            DecoyKind::InvoiceVoidedAndReentered => {
                let application = self.application_or_later(kind, job)?;
                let key = self.send_application(application)?;
                let right = self.acumatica.invoices.get(&key)?.clone();
                let reference = self.reference("receivable");
                let voided = format!("Invoice|{reference}");
                let wrong = ErpInvoice {
                    reference_nbr: reference,
                    status: "Voided",
                    balance: Cents::ZERO,
                    note_id: self.note_id(),
                    ..right
                };
                self.acumatica.invoices.insert(voided.clone(), wrong);
                self.note(kind, &[application], &[&key, &voided]);
                Some(())
            }
            DecoyKind::OwnerRetainageReleased => {
                let application = self.application_or_later(kind, job)?;
                let key = self.send_application(application)?;
                let prime = self.job(job)?.prime;
                self.release_invoice_retainage(&key, prime);
                let release = self.contract_documents.get(&prime)?.last()?.clone();
                self.note(kind, &[application], &[&key, &release]);
                Some(())
            }
            DecoyKind::ApplicationInTime => {
                let at = self.eve();
                self.schedule(at, Event::DecoyStep(DecoyStep::ApplyInTime(job)));
                Some(())
            }
            DecoyKind::GoodwillCredit => {
                self.credit_customer(self.today());
                let key = self.acumatica.invoices.keys().rfind(|key| key.starts_with("Credit Memo|"))?.clone();
                self.note(kind, &[], &[&key]);
                Some(())
            }
            DecoyKind::OwnersDeposit => self.deposit(kind, job),
            _ => None,
        }
    }

    /// The next application, approved; if the last one is still undecided, the kind comes a week later.
    fn application_or_later(&mut self, kind: DecoyKind, job: usize) -> Option<ProcoreId> {
        let application = self.next_application(kind, job)?;
        self.approve_now(application)?;
        Some(application)
    }

    fn next_application(&mut self, kind: DecoyKind, job: usize) -> Option<ProcoreId> {
        let prime = self.job(job)?.prime;
        let count = self.procore.payment_applications.values().filter(|record| record.contract_id == prime).count();
        let progress = (i64::try_from(count).unwrap_or_default() + 1) * STEP;
        let application = self.draft_application(job, progress, Cents(1));
        if application.is_none() {
            let at = self.days_on(7, 7);
            self.schedule(at, Event::Decoy(kind, job));
        }
        application
    }

    fn approve_now(&mut self, application: ProcoreId) -> Option<()> {
        let now = self.now;
        let record = self.procore.payment_applications.get_mut(&application)?;
        (record.status, record.updated_at) = ("approved", now);
        let prime = self.procore.prime_contracts.get_mut(&record.contract_id)?;
        prime.owner_invoices_amount += record.g702.current_payment_due;
        prime.updated_at = now;
        prime.retotal();
        Some(())
    }

    /// The AR invoice that an application becomes: its key.
    fn send_application(&mut self, application: ProcoreId) -> Option<String> {
        let contract = self.procore.payment_applications.get(&application)?.contract_id;
        self.export(Export::Application(application), None);
        self.contract_documents.get(&contract)?.last().cloned()
    }

    /// An application that nobody has approved yet; a fortnight later somebody does.
    fn undecided_application(&mut self, kind: DecoyKind, job: usize, status: &'static str) -> Option<()> {
        let application = self.next_application(kind, job)?;
        self.procore.payment_applications.get_mut(&application)?.status = status;
        let at = self.days_on(13, 15);
        self.schedule(at, Event::ApproveApplication(application));
        self.note(kind, &[application], &[]);
        Some(())
    }

    /// Approved in the evening, invoiced the next afternoon.
    pub(super) fn apply_in_time(&mut self, job: usize) {
        let kind = DecoyKind::ApplicationInTime;
        // Later is then, at once, the evening of another month.
        let Some(application) = self.next_application(kind, job) else { return };
        if self.approve_now(application).is_some() {
            let sent = self.now + TimeDelta::hours(18);
            self.schedule(sent, Event::Export(Export::Application(application), None));
            self.note_until(kind, &[application], &[], Some(sent));
        }
    }

    /// The owner paid ahead of any invoice: a receipt that is applied to nothing.
    fn deposit(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let customer = self.job(job)?.customer.clone();
        let (reference, amount, today) = (self.reference("receipt"), self.small_amount(), self.today());
        self.post_pair("AR", today, &reference, CASH, RECEIVABLE, amount);
        let payment = ErpPayment {
            doc_type: "Payment",
            reference_nbr: reference.clone(),
            status: "Open",
            hold: false,
            customer_id: customer,
            payment_method: "WIRE",
            cash_account: CASH.to_owned(),
            payment_ref: format!("W{reference}"),
            application_date: today,
            payment_amount: amount,
            applied_to_documents: Cents::ZERO,
            available_balance: amount,
            currency_id: "USD",
            application_history: Vec::new(),
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        let key = format!("Payment|{reference}");
        self.acumatica.payments.insert(key.clone(), payment);
        self.note(kind, &[], &[&key]);
        Some(())
    }
}
