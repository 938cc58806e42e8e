//! Requisitions and bills that are not due, are one thing in other pieces, or that only one side has by design.

use chrono::TimeDelta;

use super::super::Firm;
use super::super::life::Event;
use super::super::model::{
    Cents, CommitmentKind, DirectCost, DirectCostLine, ErpBill, ErpBillLine, ProcoreId, Rate, Requisition,
};
use super::{DecoyKind, DecoyStep};

impl Firm {
    #[expect(clippy::too_many_lines, reason = "an arm for each kind")]
    pub(super) fn place_bill(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        match kind {
            DecoyKind::RequisitionInDraft => return self.requisition_as(kind, job, "draft"),
            DecoyKind::RequisitionUnderReview => return self.requisition_as(kind, job, "under_review"),
            DecoyKind::RequisitionReturned => return self.requisition_as(kind, job, "revise_and_resubmit"),
            DecoyKind::RequisitionAtOwner => return self.requisition_as(kind, job, "pending_owner_approval"),
            DecoyKind::RequisitionOfNothing => {
                let contract = self.subcontract(job)?;
                let (_, bill) = self.billed_requisition(contract, 3_000)?;
                self.pay_in(20, &bill);
                let nothing = self.approved(contract, 3_000)?;
                self.procore.requisitions.get_mut(&nothing)?.erp_status = "not_in_erp";
                self.note(kind, &[nothing], &[]);
            }
            DecoyKind::ApprovedAsNoted => {
                let (requisition, bill) = self.ordinary(job, 4_000)?;
                self.procore.requisitions.get_mut(&requisition)?.status = "approved_as_noted";
                self.note(kind, &[requisition], &[&bill]);
            }
            DecoyKind::BillInTwoPapers => return self.bill_in_two(kind, job),
            DecoyKind::TwoRequisitionsOneBill => return self.two_in_one(kind, job),
            DecoyKind::BlankInvoiceNumber => {
                let contract = self.subcontract(job)?;
                let requisition = self.approved(contract, 4_000)?;
                self.procore.requisitions.get_mut(&requisition)?.invoice_number = None;
                let bill = self.bill_for(requisition)?;
                let bill = self.book(bill, requisition)?;
                self.pay_in(20, &bill);
                self.note(kind, &[requisition], &[&bill]);
            }
            DecoyKind::InvoiceNumberOfTwoVendors => {
                let (first, one) = self.numbered(job, "INV-1", "INV-1")?;
                let (second, other) = self.numbered(job, "INV-1", "INV-1")?;
                self.note(kind, &[first, second], &[&one, &other]);
            }
            DecoyKind::InvoiceNumberSpelling => {
                let (requisition, bill) = self.numbered(job, "INV 00421-A", " inv-421a ")?;
                self.note(kind, &[requisition], &[&bill]);
            }
            DecoyKind::TaxOnBill => {
                let contract = self.subcontract(job)?;
                let requisition = self.approved(contract, 4_000)?;
                let mut bill = self.bill_for(requisition)?;
                bill.tax_total = bill.amount.share(725, 10_000);
                bill.total();
                let bill = self.book(bill, requisition)?;
                self.pay_in(20, &bill);
                self.note(kind, &[requisition], &[&bill]);
            }
            DecoyKind::RetainageRoundedByCent => {
                let contract = self.subcontract(job)?;
                let requisition = self.approved(contract, 4_000)?;
                let mut bill = self.bill_for(requisition)?;
                bill.details.last_mut()?.retainage_amount += Cents(1);
                bill.total();
                let bill = self.book(bill, requisition)?;
                self.pay_in(20, &bill);
                self.note(kind, &[requisition], &[&bill]);
            }
            DecoyKind::BillDatedEarlier => {
                let contract = self.subcontract(job)?;
                let requisition = self.approved(contract, 4_000)?;
                let mut bill = self.bill_for(requisition)?;
                bill.date = chrono::Datelike::with_day(&bill.date, 2)?;
                bill.due_date = bill.date + chrono::Days::new(30);
                let bill = self.book(bill, requisition)?;
                self.pay_in(20, &bill);
                self.note(kind, &[requisition], &[&bill]);
            }
            DecoyKind::NegativeRequisition => return self.negative_requisition(kind, job),
            DecoyKind::RetainageReleasedInErp => {
                let contract = self.subcontract(job)?;
                let (requisition, bill) = self.billed_requisition(contract, 10_000)?;
                self.pay_in(20, &bill);
                self.release_bill_retainage(&bill, contract);
                let release = self.contract_documents.get(&contract)?.last()?.clone();
                self.note(kind, &[requisition], &[&bill, &release]);
            }
            DecoyKind::RetainageReleasedInBoth => return self.release_in_both(kind, job),
            DecoyKind::BillVoidedAndReentered => {
                let contract = self.subcontract(job)?;
                let requisition = self.approved(contract, 4_000)?;
                let wrong = self.bill_for(requisition)?;
                let right = self.bill_for(requisition)?;
                let voided = format!("Bill|{}", wrong.reference_nbr);
                let wrong = ErpBill { status: "Voided", balance: Cents::ZERO, ..wrong };
                self.acumatica.bills.insert(voided.clone(), wrong);
                let bill = self.book(right, requisition)?;
                self.pay_in(20, &bill);
                self.note(kind, &[requisition], &[&voided, &bill]);
            }
            DecoyKind::DirectInvoice => return self.direct_invoice(kind, job),
            DecoyKind::RequisitionInTime => {
                let contract = self.subcontract(job)?;
                let at = self.eve();
                self.schedule(at, Event::DecoyStep(DecoyStep::BillInTime(contract, 2_000)));
            }
            DecoyKind::HeldBill => {
                let contract = self.subcontract(job)?;
                let at = self.eve();
                self.schedule(at, Event::DecoyStep(DecoyStep::HoldInTime(contract, 2_000)));
            }
            _ => return None,
        }
        Some(())
    }

    /// A requisition of a new subcontract, billed and paid in time.
    pub(super) fn ordinary(&mut self, job: usize, progress: i64) -> Option<(ProcoreId, String)> {
        let contract = self.subcontract(job)?;
        let (requisition, bill) = self.billed_requisition(contract, progress)?;
        self.pay_in(20, &bill);
        Some((requisition, bill))
    }

    fn requisition_as(&mut self, kind: DecoyKind, job: usize, status: &'static str) -> Option<()> {
        let contract = self.subcontract(job)?;
        let requisition = self.draft_requisition(contract, 3_000, Cents(1))?;
        self.procore.requisitions.get_mut(&requisition)?.status = status;
        self.note(kind, &[requisition], &[]);
        Some(())
    }

    /// Linked by its number alone, each side in its own spelling.
    fn numbered(&mut self, job: usize, pm: &str, erp: &str) -> Option<(ProcoreId, String)> {
        let contract = self.subcontract(job)?;
        let requisition = self.approved(contract, 4_000)?;
        self.procore.requisitions.get_mut(&requisition)?.invoice_number = Some(pm.to_owned());
        let mut bill = self.bill_for(requisition)?;
        bill.vendor_ref = Some(erp.to_owned());
        let bill = self.book(bill, requisition)?;
        self.procore.requisitions.get_mut(&requisition)?.origin_id = None;
        self.pay_in(20, &bill);
        Some((requisition, bill))
    }

    /// The vendor sent two papers; the firm's crosswalk names both.
    fn bill_in_two(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let contract = self.subcontract(job)?;
        let requisition = self.approved(contract, 5_000)?;
        let mut first = self.bill_for(requisition)?;
        let mut second = ErpBill { reference_nbr: self.reference("payable"), note_id: self.note_id(), ..first.clone() };
        second.details = first.details.split_off(1);
        let mut keys = Vec::new();
        for mut bill in [first, second] {
            bill.total();
            let key = self.book(bill, requisition)?;
            self.pay_in(20, &key);
            self.crosswalk.push((String::from("vendor_invoices"), requisition.to_string(), key.clone()));
            keys.push(key);
        }
        self.procore.requisitions.get_mut(&requisition)?.origin_id = None;
        self.note(kind, &[requisition], &[keys.first()?, keys.last()?]);
        Some(())
    }

    /// Two months on one paper; the firm's crosswalk names both, and the payment names neither.
    fn two_in_one(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let contract = self.subcontract(job)?;
        let first = self.approved(contract, 2_000)?;
        let mut bill = self.bill_for(first)?;
        let second = self.approved(contract, 4_000)?;
        let other = self.bill_for(second)?;
        bill.details.extend::<Vec<ErpBillLine>>(other.details);
        for (number, line) in (1..).zip(&mut bill.details) {
            line.line_nbr = number;
        }
        bill.vendor_ref =
            Some(format!("{} + {}", bill.vendor_ref.unwrap_or_default(), other.vendor_ref.unwrap_or_default()));
        bill.total();
        let key = format!("Bill|{}", bill.reference_nbr);
        self.file_document(&key, contract);
        self.release_bill(bill);
        self.pay_in(20, &key);
        for requisition in [first, second] {
            self.procore.requisitions.get_mut(&requisition)?.erp_status = "synced";
            self.crosswalk.push((String::from("vendor_invoices"), requisition.to_string(), key.clone()));
        }
        self.note(kind, &[first, second], &[&key]);
        Some(())
    }

    /// A requisition takes back what an earlier one billed too much: a debit adjustment in the ERP.
    fn negative_requisition(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let contract = self.subcontract(job)?;
        let (_, before) = self.billed_requisition(contract, 6_000)?;
        self.pay_in(20, &before);
        let requisition = self.approved(contract, 5_000)?;
        let mut credit = self.bill_for(requisition)?;
        credit.doc_type = "Debit Adj.";
        for line in &mut credit.details {
            let turned = -line.amount;
            (line.amount, line.extended_cost, line.unit_cost) = (turned, turned, turned);
            line.retainage_amount = -line.retainage_amount;
        }
        credit.total();
        let key = self.file_bill(&credit, requisition)?;
        self.post_bill(&credit, -1);
        self.acumatica.bills.insert(key.clone(), credit);
        self.note(kind, &[requisition], &[&key]);
        Some(())
    }

    /// The subcontractor asks for its retainage in Procore; accounting releases it by itself.
    fn release_in_both(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let contract = self.subcontract(job)?;
        let (first, bill) = self.billed_requisition(contract, 10_000)?;
        self.pay_in(20, &bill);
        let last = self.procore.requisitions.get(&first)?.clone();
        let mut release = Requisition {
            id: self.procore_id(),
            number: last.number + 1,
            invoice_number: Some(format!("RET-{}", last.number)),
            invoice_type: "retainage_release",
            previous_requisition_id: Some(first),
            total_claimed_amount: Cents::ZERO,
            origin_id: None,
            erp_status: "not_in_erp",
            created_at: self.now,
            updated_at: self.now,
            ..last
        };
        for item in &mut release.items {
            let retained = item.work_retainage_currently_retained;
            item.work_completed_from_previous_application += item.work_completed_this_period;
            item.work_completed_this_period = Cents::ZERO;
            item.work_retainage_from_previous_application = retained;
            item.work_retainage_this_period = Cents::ZERO;
            item.work_retainage_released_this_period = retained;
            item.work_retainage_currently_retained = Cents::ZERO;
            item.total_retainage_currently_retained = Cents::ZERO;
            item.id = self.procore_id();
        }
        let form = &mut release.summary;
        form.less_previous_certificates_for_payment = form.total_earned_less_retainage;
        (form.completed_work_retainage_amount, form.total_retainage) = (Cents::ZERO, Cents::ZERO);
        form.completed_work_retainage_percent = Rate(0);
        form.total_earned_less_retainage = form.total_completed_and_stored_to_date;
        form.current_payment_due = form.total_earned_less_retainage - form.less_previous_certificates_for_payment;
        form.balance_to_finish_including_retainage = form.contract_sum_to_date - form.total_earned_less_retainage;
        let second = release.id;
        self.procore.requisitions.insert(second, release);
        self.latest_invoice.insert(contract, second);
        self.release_bill_retainage(&bill, contract);
        let document = self.contract_documents.get(&contract)?.last()?.clone();
        self.note(kind, &[first, second], &[&bill, &document]);
        Some(())
    }

    /// A vendor's bill on the project without a commitment: the ERP's own, a direct cost in Procore.
    fn direct_invoice(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let (_, vendor) = self.company();
        let project = self.job(job)?.clone();
        let cell = project.cells.iter().find(|cell| cell.cost_type == "O")?.clone();
        let (amount, reference) = (self.small_amount(), self.reference("payable"));
        let line = ErpBillLine {
            project: project.number.clone(),
            project_task: Some(super::super::jobs::TASK.to_owned()),
            cost_code: Some(cell.cost_code.to_owned()),
            transaction_description: String::from("Permit"),
            ..super::super::books::overhead_line(super::super::books::account_of(cell.cost_type), amount)
        };
        let mut bill = self.bill_record(&reference, &vendor, self.today(), vec![line]);
        (bill.apply_retainage, bill.vendor_ref) = (false, Some(format!("PERMIT-{reference}")));
        let (date, now) = (bill.date, self.now);
        self.release_bill(bill);
        let key = format!("Bill|{reference}");
        self.pay_in(20, &key);
        let posted = self.acumatica.project_transactions.values().rev();
        let mut posted = posted.filter(|batch| batch.original_doc_nbr.as_ref() == Some(&reference));
        let transaction = posted.next()?.details.first()?.transaction_id;
        let (id, line_id) = (self.procore_id(), self.procore_id());
        let cost_line = DirectCostLine {
            id: line_id,
            position: 1,
            description: String::from("Permit"),
            amount,
            cost_code_id: cell.cost_code_id,
            cost_code: cell.cost_code.to_owned(),
            line_item_type_id: cell.line_item_type_id,
            cost_type: cell.cost_type,
            wbs_code_id: cell.wbs_code_id,
            origin_id: Some(transaction.to_string()),
            created_at: now,
            updated_at: now,
        };
        let cost = DirectCost {
            id,
            project_id: project.project_id,
            direct_cost_type: "invoice",
            status: "approved",
            amount: Some(amount),
            direct_cost_date: date,
            description: String::from("Permit"),
            origin_id: Some(reference),
            lines: vec![cost_line],
            created_at: now,
            updated_at: now,
        };
        self.procore.direct_costs.insert(id, cost);
        self.note(kind, &[id], &[&key]);
        Some(())
    }

    /// Approved in the evening, billed the next afternoon; and again at the end of the next month.
    pub(super) fn bill_in_time(&mut self, contract: ProcoreId, progress: i64) {
        let Some(requisition) = self.approved(contract, progress) else { return };
        let sent = self.now + TimeDelta::hours(18);
        self.schedule(sent, Event::DecoyStep(DecoyStep::Book(requisition)));
        self.note_until(DecoyKind::RequisitionInTime, &[requisition], &[], Some(sent));
        if progress < 8_000 {
            let at = self.eve();
            self.schedule(at, Event::DecoyStep(DecoyStep::BillInTime(contract, progress + 1_500)));
        }
    }

    /// Billed in the evening and held until the next afternoon; and again at the end of the next month.
    pub(super) fn hold_in_time(&mut self, contract: ProcoreId, progress: i64) {
        let Some(requisition) = self.approved(contract, progress) else { return };
        let Some(bill) = self.bill_for(requisition) else { return };
        let Some(key) = self.file_bill(&bill, requisition) else { return };
        let bill = ErpBill { status: "On Hold", hold: true, ..bill };
        self.acumatica.bills.insert(key.clone(), bill);
        let released = self.now + TimeDelta::hours(18);
        self.schedule(released, Event::DecoyStep(DecoyStep::Release(key.clone())));
        self.note_until(DecoyKind::HeldBill, &[requisition], &[&key], Some(released));
        if progress < 8_000 {
            let at = self.eve();
            self.schedule(at, Event::DecoyStep(DecoyStep::HoldInTime(contract, progress + 1_500)));
        }
    }

    pub(super) fn book_in_time(&mut self, requisition: ProcoreId) {
        let Some(bill) = self.bill_for(requisition) else { return };
        if let Some(key) = self.book(bill, requisition) {
            self.pay_in(20, &key);
        }
    }

    /// A purchase order that both systems have, with a company of its own.
    pub(super) fn order(&mut self, job: usize) -> Option<ProcoreId> {
        let (company, _) = self.company();
        self.contract(job, company, CommitmentKind::PurchaseOrder)
    }
}
