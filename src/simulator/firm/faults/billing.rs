//! Mishaps of invoices on their way to accounting and in its hands.

use chrono::TimeDelta;

use super::super::Firm;
use super::super::books::{REVENUE, period};
use super::super::life::{Event, month_end};
use super::super::model::{
    Cents, ErpBill, ErpBillLine, ErpInvoiceLine, PaymentApplication, ProcoreId, Rate, Requisition,
};
use super::mishaps::{Mishap, Undo};
use super::{Export, Heal};

impl Firm {
    /// I1: an approved application that nobody sends.
    pub(in crate::firm) fn lose_application(&mut self, application: &PaymentApplication) -> bool {
        if !self.is_befallen(Mishap::ApplicationLost) {
            return false;
        }
        self.spoil(application.id);
        self.with_mishap_chances(|firm| {
            let amount = Some(application.g702.current_payment_due);
            let note = format!("{} was never sent", application.invoice_number);
            let fault = firm.record(("I1", "owner_invoices"), (Some(application.id), None), None, amount, note);
            firm.backdate(fault, application.updated_at);
            firm.may_heal(fault, Heal::Export(Export::Application(application.id)), 12, 50);
        });
        true
    }

    /// I2: a requisition that fails on its way (S1), waits for the approver (S2), or whose bill is deleted before it is
    /// released, after Procore was told its number (R1).
    pub(in crate::firm) fn lose_requisition(&mut self, requisition: &Requisition) -> bool {
        let kinds = [Mishap::RequisitionFailed, Mishap::RequisitionWaiting, Mishap::BillDeleted];
        let Some(kind) = kinds.into_iter().find(|kind| self.is_befallen(*kind)) else { return false };
        let id = requisition.id;
        self.spoil(id);
        self.with_mishap_chances(|firm| {
            let ids = (Some(id), None);
            let amount = Some(requisition.summary.current_payment_due);
            let number = requisition.invoice_number.clone().unwrap_or_default();
            let first = firm.record(("I2", "vendor_invoices"), ids, None, amount, format!("{number} is in no bill"));
            let note = format!("follows from I2 {id}: it never became a bill");
            match kind {
                Mishap::RequisitionFailed => {
                    firm.tell_status(id, "failed_to_export");
                    firm.record(("S1", "vendor_invoices"), ids, None, amount, note);
                    firm.backdate(first, requisition.updated_at);
                }
                Mishap::RequisitionWaiting => {
                    let waiting = firm.record(("S2", "vendor_invoices"), ids, None, amount, note);
                    firm.backdate_from(first, requisition.updated_at);
                    if let Some(fault) = firm.faults.get_mut(waiting) {
                        fault.opened_at += TimeDelta::days(2);
                    }
                }
                _ => {
                    let reference = firm.reference("payable");
                    firm.tell_status(id, "synced");
                    if let Some(record) = firm.procore.requisitions.get_mut(&id) {
                        record.origin_id = Some(reference);
                    }
                    firm.record(("R1", "vendor_invoices"), ids, None, amount, note);
                    firm.backdate(first, requisition.updated_at);
                }
            }
            firm.heal_together(first);
            firm.may_heal(first, Heal::Export(Export::Requisition(id)), 12, 50);
        });
        true
    }

    fn tell_status(&mut self, id: ProcoreId, status: &'static str) {
        let now = self.now;
        if let Some(record) = self.procore.requisitions.get_mut(&id) {
            (record.erp_status, record.updated_at) = (status, now);
        }
    }

    /// I6: the clerk codes a line to another code of the project. Says whether he did.
    pub(in crate::firm) fn miscode_bill(&mut self, bill: &mut ErpBill, requisition: &Requisition) -> bool {
        let is_good = |line: &ErpBillLine| line.amount > Cents(10_000);
        if !bill.details.iter().any(is_good) || !self.is_befallen(Mishap::BillMiscoded) {
            return false;
        }
        let job = self.jobs.iter().find(|job| job.project_id == requisition.project_id).cloned();
        let correct = bill.clone();
        let key = format!("{}|{}", bill.doc_type, bill.reference_nbr);
        let used: Vec<String> = bill.details.iter().filter_map(|line| line.cost_code.clone()).collect();
        let types: Vec<&str> = requisition.items.iter().map(|item| item.cost_type).collect();
        let cells = job.map(|job| job.cells).unwrap_or_default();
        let codes: Vec<&str> = cells
            .iter()
            .filter(|cell| types.first() == Some(&cell.cost_type) && !used.iter().any(|code| code == cell.cost_code))
            .map(|cell| cell.cost_code)
            .collect();
        self.spoil(requisition.id);
        self.with_mishap_chances(|firm| {
            let Some(code) = firm.pick(&codes).copied() else { return };
            let Some(line) = bill.details.iter_mut().find(|line| is_good(line)) else { return };
            let (amount, right) = (line.amount, line.cost_code.replace(code.to_owned()).unwrap_or_default());
            let ids = (Some(requisition.id), Some(key.as_str()));
            let note = format!("{amount} of {right} was coded {code}");
            let fault = firm.record(("I6", "vendor_invoices"), ids, Some("cost_code"), Some(amount), note);
            firm.may_heal(fault, Heal::Bill(Box::new(correct)), 5, 22);
        });
        true
    }

    /// S2: accounting does not release the bill. Says whether that happens; then nothing of it is posted.
    pub(in crate::firm) fn hold_bill(&mut self, bill: &mut ErpBill, requisition: &Requisition) -> bool {
        if !self.is_befallen(Mishap::BillHeld) {
            return false;
        }
        (bill.status, bill.hold) = ("On Hold", true);
        let key = format!("{}|{}", bill.doc_type, bill.reference_nbr);
        self.spoil(requisition.id);
        self.with_mishap_chances(|firm| {
            let amount = Some(requisition.summary.current_payment_due);
            let ids = (Some(requisition.id), Some(key.as_str()));
            let fault = firm.record(("S2", "vendor_invoices"), ids, None, amount, format!("{key} is not released"));
            firm.backdate(fault, requisition.updated_at);
            let (due, now) = (requisition.updated_at + TimeDelta::days(2), firm.now);
            if let Some(fault) = firm.faults.get_mut(fault) {
                fault.opened_at = due.max(now);
            }
            firm.may_undo(fault, Undo::ReleaseBill(key.clone()), (5, 22));
        });
        true
    }

    /// I5: the bill goes to the month after the one that it bills.
    pub(in crate::firm) fn post_late(&mut self, key: &str, requisition: ProcoreId) {
        if !self.is_whole(requisition) || !self.is_befallen(Mishap::BillLate) {
            return;
        }
        self.spoil(requisition);
        let Some(bill) = self.acumatica.bills.get_mut(key) else { return };
        let later = period(month_end(bill.date) + chrono::Days::new(1));
        bill.post_period.clone_from(&later);
        let reference = bill.reference_nbr.clone();
        for batch in self.acumatica.journal_transactions.values_mut() {
            let is_its = batch.details.iter().any(|line| line.reference_nbr.as_ref() == Some(&reference));
            if batch.module == "AP" && is_its && batch.created_at == self.now {
                batch.post_period.clone_from(&later);
            }
        }
        for header in self.acumatica.project_transactions.values_mut() {
            if header.module == "AP" && header.original_doc_nbr.as_ref() == Some(&reference) {
                for line in &mut header.details {
                    line.fin_period.clone_from(&later);
                }
            }
        }
        let note = format!("posted in {later}");
        self.record(("I5", "vendor_invoices"), (Some(requisition), Some(key)), None, Some(Cents::ZERO), note);
    }

    /// R2: the subcontractor uses one number on two papers, and the connector keeps no id: which of the bills is the
    /// requisition's, nobody can tell until somebody stores it.
    pub(in crate::firm) fn bill_alike(&mut self, requisition: &Requisition, key: &str) -> bool {
        let Some(bill) = self.acumatica.bills.get(key).cloned() else { return false };
        if bill.amount <= Cents(50_000) || !self.is_whole(requisition.id) || !self.is_befallen(Mishap::BillsAlike) {
            return false;
        }
        self.spoil(requisition.id);
        let reference = self.reference("payable");
        let other = format!("Bill|{reference}");
        let (note_id, now) = (self.note_id(), self.now);
        let mut copy = ErpBill { reference_nbr: reference, note_id, applications: Vec::new(), ..bill.clone() };
        copy.details.truncate(1);
        for line in &mut copy.details {
            line.amount = Cents(31_700);
            (line.unit_cost, line.extended_cost, line.retainage_amount) = (line.amount, line.amount, Cents::ZERO);
        }
        (copy.created_at, copy.last_modified_at) = (now, now);
        "Extras".clone_into(&mut copy.description);
        copy.total();
        let amount = copy.amount;
        self.release_bill(copy);
        self.with_mishap_chances(|firm| {
            let id = requisition.id;
            let net = Some(requisition.summary.current_payment_due);
            let first = firm.record(("R2", "vendor_invoices"), (Some(id), None), None, net, "two bills of its number");
            let note = format!("follows from R2 {id}: nobody can tell which bill it is");
            firm.record(("I2", "vendor_invoices"), (Some(id), None), None, net, note.clone());
            firm.record(("I11", "vendor_invoices"), (None, Some(key)), None, Some(bill.amount), note.clone());
            firm.record(("I11", "vendor_invoices"), (None, Some(&other)), None, Some(amount), note);
            firm.heal_together(first);
            // Long before anything is paid on it; then the other one is what Procore lacks, and stays that.
            let at = firm.days_on(6, 18);
            firm.heals.insert(first, Heal::Undo(Undo::StoreId(id, bill.reference_nbr, other, amount)));
            firm.schedule(at, Event::Heal(first));
        });
        true
    }

    /// Procore stores which bill it is. The other bill has no source.
    pub(super) fn store_id(&mut self, id: ProcoreId, reference: String, other: &str, amount: Cents) {
        let now = self.now;
        if let Some(record) = self.procore.requisitions.get_mut(&id) {
            (record.origin_id, record.updated_at) = (Some(reference), now);
        }
        let note = "extras under a number that was used";
        self.record(("I11", "vendor_invoices"), (None, Some(other)), None, Some(amount), note);
    }

    /// I8: a line of an approved application is not calculated again.
    pub(super) fn misprint_form(&mut self) -> Option<()> {
        let primes: Vec<ProcoreId> = self.own_jobs().into_iter().map(|job| job.prime).collect();
        let records = self.procore.payment_applications.values();
        let approved: Vec<ProcoreId> = records
            .filter(|record| record.status == "approved" && primes.contains(&record.contract_id))
            .map(|record| record.id)
            .filter(|id| self.is_whole(id))
            .collect();
        let id = *self.pick(&approved)?;
        self.spoil(id);
        let which = self.between(0, 2);
        let by = Cents(self.between(5_000, 400_000));
        let now = self.now;
        let record = self.procore.payment_applications.get_mut(&id)?;
        let before = record.g702;
        let fields: &[&str] = match which {
            // The change orders of the month are in line 3 and not in line 2.
            0 => {
                record.g702.net_change_by_change_orders -= by;
                &["contract_sum_to_date"]
            }
            1 => {
                record.g702.balance_to_finish_including_retainage += by;
                &["balance_to_finish"]
            }
            _ => {
                record.g702.total_completed_and_stored_to_date += by;
                &["completed_and_stored", "earned_less_retainage"]
            }
        };
        record.updated_at = now;
        let number = record.invoice_number.clone();
        let first = self.faults.len();
        for field in fields {
            let note = format!("{number} does not add up");
            self.record(("I8", "owner_invoices"), (Some(id), None), Some(field), Some(by), note);
        }
        self.may_undo(first, Undo::PrintForm(id, Box::new(before)), (10, 50));
        Some(())
    }

    pub(super) fn print_form(&mut self, id: ProcoreId, form: super::super::model::G702) {
        let now = self.now;
        if let Some(record) = self.procore.payment_applications.get_mut(&id) {
            (record.g702, record.updated_at) = (form, now);
        }
    }

    /// I9 and I11: a bill that Procore knows by its number is entered again, held or released.
    pub(super) fn enter_bill_again(&mut self) -> Option<()> {
        let since = self.now - TimeDelta::days(60);
        let own: Vec<ProcoreId> = self.own_jobs().into_iter().map(|job| job.project_id).collect();
        let is_known = |key: &String, id: &ProcoreId| {
            let reference = key.strip_prefix("Bill|").map(str::to_owned);
            self.is_whole(id)
                && self.procore.requisitions.get(id).is_some_and(|record| {
                    own.contains(&record.project_id) && record.origin_id.is_some() && record.origin_id == reference
                })
        };
        let bills: Vec<(String, ProcoreId)> = self
            .billed
            .iter()
            .filter(|(key, id)| {
                is_known(key, id)
                    && self.acumatica.bills.get(*key).is_some_and(|bill| {
                        bill.created_at > since && bill.amount > Cents::ZERO && bill.vendor_ref.is_some()
                    })
            })
            .map(|(key, id)| (key.clone(), *id))
            .collect();
        let (key, requisition) = self.pick(&bills)?.clone();
        self.spoil(requisition);
        let reference = self.reference("payable");
        let (note_id, now) = (self.note_id(), self.now);
        let bill = self.acumatica.bills.get(&key)?.clone();
        let mut copy = ErpBill { reference_nbr: reference.clone(), note_id, applications: Vec::new(), ..bill };
        (copy.created_at, copy.last_modified_at) = (now, now);
        (copy.retainage_released, copy.retainage_unreleased) = (Cents::ZERO, copy.retainage_total);
        copy.total();
        let again = format!("Bill|{reference}");
        let amount = copy.amount;
        let is_held = self.chance(600);
        if is_held {
            (copy.status, copy.hold) = ("On Hold", true);
            self.acumatica.bills.insert(again.clone(), copy);
        } else {
            self.release_bill(copy);
        }
        let ids = (None, Some(again.as_str()));
        let first = self.record(("I9", "vendor_invoices"), ids, None, Some(amount), format!("repeats {key}"));
        let note = format!("follows from I9 {again}: the requisition is billed already");
        self.record(("I11", "vendor_invoices"), ids, None, Some(amount), note);
        if is_held {
            self.may_undo(first, Undo::DeleteBill(again), (10, 40));
        }
        Some(())
    }

    /// I10: accounting bills an owner for extra work itself.
    pub(super) fn invoice_past_procore(&mut self) -> Option<()> {
        let job = self.any_job()?;
        let cell = job.cells.first()?.clone();
        let amount = Cents(self.between(50_000, 1_200_000));
        let line = ErpInvoiceLine {
            line_nbr: 1,
            project_task: Some(super::super::jobs::TASK.to_owned()),
            cost_code: Some(cell.cost_code.to_owned()),
            account: REVENUE.to_owned(),
            description: "Extra work".to_owned(),
            qty: 1,
            unit_price: amount,
            extended_price: amount,
            amount,
            retainage_amount: Cents::ZERO,
        };
        let reference = self.reference("receivable");
        let mut invoice = self.invoice_record(&reference, &job.customer, &job.number, self.today(), vec![line]);
        invoice.apply_retainage = false;
        invoice.default_retainage_pct = Rate(0);
        "Extra work".clone_into(&mut invoice.description);
        self.release_invoice(invoice);
        let key = format!("Invoice|{reference}");
        let at = self.days_on(25, 45);
        self.schedule(at, Event::Receive(key.clone()));
        let note = format!("{} was invoiced past Procore", job.number);
        self.record(("I10", "owner_invoices"), (None, Some(&key)), None, Some(amount), note);
        Some(())
    }

    /// I11: a subcontractor mails a bill to accounting.
    pub(super) fn bill_past_procore(&mut self) -> Option<()> {
        let sent = self.sent_commitments();
        let contract = *self.pick(&sent)?;
        let link = self.erp_orders.get(&contract)?.clone();
        let commitment = self.procore.commitments.get(&contract)?;
        let (vendor, on) = (commitment.vendor_id?, commitment.lines.first()?.clone());
        let vendor = self.erp_vendors.get(&vendor)?.clone();
        let project = self.project_number(commitment.project_id);
        let amount = Cents(self.between(40_000, 400_000));
        let detail = ErpBillLine {
            line_nbr: 1,
            account: super::super::books::account_of(on.cost_type).to_owned(),
            project,
            project_task: Some(super::super::jobs::TASK.to_owned()),
            cost_code: Some(on.cost_code),
            transaction_description: "Extras".to_owned(),
            qty: 1,
            unit_cost: amount,
            extended_cost: amount,
            amount,
            retainage_pct: Rate(0),
            retainage_amount: Cents::ZERO,
            po_order_type: Some(link.order_type),
            po_order_nbr: Some(link.order_nbr),
            po_line: link.lines.get(&on.id).copied(),
        };
        let reference = self.reference("payable");
        let mut bill = self.bill_record(&reference, &vendor, self.today(), vec![detail]);
        bill.vendor_ref = Some(format!("EX-{}", 300 + self.next_number("stray bill")));
        bill.apply_retainage = false;
        bill.default_retainage_pct = Rate(0);
        "Extras".clone_into(&mut bill.description);
        self.release_bill(bill);
        let key = format!("Bill|{reference}");
        let at = self.days_on(25, 45);
        self.schedule(at, Event::PayBill(key.clone(), true));
        let note = "a bill on a commitment that never went through Procore";
        self.record(("I11", "vendor_invoices"), (None, Some(&key)), None, Some(amount), note);
        Some(())
    }
}
