//! The projects that decoys stand on, and the documents that most of them start from.

use chrono::{Datelike, Days, NaiveDate, TimeDelta};

use super::super::Firm;
use super::super::life::{Event, Export, Job};
use super::super::model::{
    Cents, Commitment, CommitmentKind, ContractLine, ErpBill, ErpContact, ErpCustomer, ProcoreId,
};
use super::super::names::{SUFFIX, TRADES};
use super::{DecoyKind, FIRST_NUMBER};

/// Months that a project of the decoys lasts.
const MONTHS: i64 = 10;

impl Firm {
    /// A project among the firm's own, with an owner whom nobody knew before.
    pub(super) fn plan_stage(&mut self, stage: u32, start: NaiveDate) -> usize {
        let job = Job {
            project_id: 0,
            number: format!("{:02}-{:03}", start.year().rem_euclid(100), 901 + stage),
            name: format!("Elizabeth Avenue Annex {}", stage + 1),
            start,
            months: MONTHS,
            owner: format!("Cotswold Holdings {} LLC", stage + 1),
            customer: format!("C9{:03}", stage + 1),
            prime: 0,
            commitments: Vec::new(),
            billing_day: 20,
            cells: Vec::new(),
            codes: std::collections::BTreeMap::new(),
        };
        self.jobs.push(job);
        self.jobs.len() - 1
    }

    /// The project starts: its owner is entered that day, in Procore's directory and among the ERP's customers.
    pub(super) fn raise_stage(&mut self, index: usize) {
        let Some(job) = self.job(index).cloned() else { return };
        let owner = self.directory_entry(&job.owner, self.now);
        let contact = self.procore.vendors.get(&owner).map(|vendor| ErpContact {
            email: vendor.email_address.clone(),
            phone1: vendor.business_phone.clone(),
            address_line1: vendor.address.clone(),
            address_line2: None,
            city: vendor.city.clone(),
            state: vendor.state_code.clone(),
            postal_code: vendor.zip.clone(),
            country: vendor.country_code.clone(),
        });
        let customer = ErpCustomer {
            customer_id: job.customer.clone(),
            customer_name: job.owner.clone(),
            customer_class: "OWNER",
            status: "Active",
            account_ref: None,
            terms: "30D",
            currency_id: "USD",
            main_contact: contact.unwrap_or_default(),
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        self.acumatica.customers.insert(job.customer.clone(), customer);
        self.open_job(index);
        let prime = self.job(index).map(|job| job.prime).unwrap_or_default();
        let lines = self.procore.prime_contracts.get(&prime).map(|prime| prime.lines.clone()).unwrap_or_default();
        for line in lines {
            self.windows.insert(line.id, (0, 10_000));
        }
        self.note(DecoyKind::OwnerIsNoVendor, &[owner], &[&job.customer]);
    }

    /// Places a kind on a project.
    pub(in super::super) fn place(&mut self, kind: DecoyKind, job: usize) {
        // What a kind needs and the project does not have leaves it out; the tests see that none is left out everywhere.
        let _ = self
            .place_company(kind, job)
            .or_else(|| self.place_setup(kind, job))
            .or_else(|| self.place_commitment(kind, job))
            .or_else(|| self.place_change(kind, job))
            .or_else(|| self.place_bill(kind, job))
            .or_else(|| self.place_owner_invoice(kind, job))
            .or_else(|| self.place_payment(kind, job))
            .or_else(|| self.place_entry(kind, job));
    }

    /// A company that both systems have known for long: its id and its key.
    pub(super) fn company(&mut self) -> (ProcoreId, String) {
        let number = self.next_number("decoy company") - FIRST_NUMBER;
        let turn = usize::try_from(number).unwrap_or_default();
        let (trade, suffix) = (TRADES.get(turn % TRADES.len()), SUFFIX.get(turn % SUFFIX.len()));
        let name = format!("Yadkin {} No {number} {}", trade.unwrap_or(&"Works"), suffix.unwrap_or(&"LLC"));
        let before = self.now - TimeDelta::days(200);
        let company = self.directory_entry(&name, before);
        let key = format!("V{}", 5_000 + number);
        self.link_vendor(company, &key, before);
        (company, key)
    }

    /// Two lines of a project's budget, at a small share of it.
    pub(super) fn small_lines(&mut self, job: usize, kind: CommitmentKind) -> Vec<ContractLine> {
        let wanted = if kind == CommitmentKind::WorkOrder { "S" } else { "M" };
        let turn = usize::try_from(self.next_number("decoy lines")).unwrap_or_default();
        let cells = self.job(job).map(|job| job.cells.clone()).unwrap_or_default();
        let cells: Vec<_> = cells.into_iter().filter(|cell| cell.cost_type == wanted).collect();
        let chosen: Vec<_> = cells.iter().cycle().skip(turn % cells.len().max(1)).take(2).cloned().collect();
        let lines = self.contract_lines(&chosen, 1, 2);
        for line in &lines {
            self.windows.insert(line.id, (0, 10_000));
        }
        lines
    }

    /// A commitment as Procore has it before anybody approves it.
    pub(super) fn draft_commitment(
        &mut self,
        job: usize,
        company: ProcoreId,
        kind: CommitmentKind,
    ) -> Option<ProcoreId> {
        let lines = self.small_lines(job, kind);
        let (project, number) = self.job(job).map(|job| (job.project_id, job.number.replace('-', "")))?;
        let prefix = if kind == CommitmentKind::WorkOrder { "SC" } else { "PO" };
        let number = format!("{prefix}-{number}-{:03}", self.next_number("decoy commitment") - FIRST_NUMBER);
        let record = self.commitment_record(project, company, kind, &number, lines, self.now);
        let id = record.id;
        let draft = Commitment { status: "Draft", executed: false, execution_date: None, ..record };
        self.procore.commitments.insert(id, draft);
        let company = self.procore.vendors.get_mut(&company)?;
        if !company.project_ids.contains(&project) {
            company.project_ids.push(project);
        }
        Some(id)
    }

    /// Procore approves a commitment; the connector has not seen it yet.
    pub(super) fn approve_contract(&mut self, id: ProcoreId) -> Option<()> {
        let now = self.now;
        let record = self.procore.commitments.get_mut(&id)?;
        (record.status, record.executed, record.updated_at) = ("Approved", true, now);
        record.execution_date = Some(now.date_naive());
        self.commit_budget(id);
        Some(())
    }

    /// A commitment that both systems have.
    pub(super) fn contract(&mut self, job: usize, company: ProcoreId, kind: CommitmentKind) -> Option<ProcoreId> {
        let id = self.draft_commitment(job, company, kind)?;
        self.approve_contract(id)?;
        self.export(Export::Commitment(id), None);
        Some(id)
    }

    /// A subcontract that both systems have, with a company of its own.
    pub(super) fn subcontract(&mut self, job: usize) -> Option<ProcoreId> {
        let (company, _) = self.company();
        self.contract(job, company, CommitmentKind::WorkOrder)
    }

    /// The number that the ERP gave a commitment.
    pub(super) fn order_number(&self, contract: ProcoreId) -> Option<String> {
        self.erp_orders.get(&contract).map(|link| link.order_nbr.clone())
    }

    /// A requisition that Procore approved.
    pub(super) fn approved(&mut self, contract: ProcoreId, progress: i64) -> Option<ProcoreId> {
        let id = self.draft_requisition(contract, progress, Cents(i64::MIN))?;
        let now = self.now;
        let requisition = self.procore.requisitions.get_mut(&id)?;
        (requisition.status, requisition.erp_status, requisition.updated_at) = ("approved", "ready_to_export", now);
        let commitment = self.procore.commitments.get_mut(&contract)?;
        commitment.total_requisitions_amount += requisition.total_claimed_amount;
        commitment.updated_at = now;
        Some(id)
    }

    /// The bill that a requisition becomes, not yet entered.
    pub(super) fn bill_for(&mut self, requisition: ProcoreId) -> Option<ErpBill> {
        let record = self.procore.requisitions.get(&requisition)?.clone();
        let vendor = self.erp_vendors.get(&record.vendor_id)?.clone();
        let link = self.erp_orders.get(&record.commitment_id)?.clone();
        let lines = self.payable_lines(&record, &link);
        let reference = self.reference("payable");
        let mut bill = self.bill_record(&reference, &vendor, record.billing_date, lines);
        bill.vendor_ref.clone_from(&record.invoice_number);
        bill.description = format!("{} invoice {}", record.contract_name, record.number);
        Some(bill)
    }

    /// Notes which requisition a bill is; Procore gets to know its key.
    pub(super) fn file_bill(&mut self, bill: &ErpBill, requisition: ProcoreId) -> Option<String> {
        let key = format!("{}|{}", bill.doc_type, bill.reference_nbr);
        let now = self.now;
        let record = self.procore.requisitions.get_mut(&requisition)?;
        (record.erp_status, record.updated_at) = ("synced", now);
        record.origin_id = Some(bill.reference_nbr.clone());
        let contract = record.commitment_id;
        self.billed.insert(key.clone(), requisition);
        self.file_document(&key, contract);
        Some(key)
    }

    /// Enters a bill of a requisition and releases it.
    pub(super) fn book(&mut self, bill: ErpBill, requisition: ProcoreId) -> Option<String> {
        let key = self.file_bill(&bill, requisition)?;
        self.release_bill(bill);
        Some(key)
    }

    /// A requisition that is approved and billed in the ERP: its id and the bill's key.
    pub(super) fn billed_requisition(&mut self, contract: ProcoreId, progress: i64) -> Option<(ProcoreId, String)> {
        let requisition = self.approved(contract, progress)?;
        let bill = self.bill_for(requisition)?;
        let key = self.book(bill, requisition)?;
        Some((requisition, key))
    }

    /// A bill is paid some days from now.
    pub(super) fn pay_in(&mut self, days: i64, bill: &str) {
        let at = self.days_on(days, days + 8);
        self.schedule(at, Event::PayBill(bill.to_owned(), true));
    }

    /// The eve of the next month, when the office has closed: the next extraction sees what happens then within its grace.
    pub(super) fn eve(&self) -> chrono::DateTime<chrono::Utc> {
        let today = self.today();
        let last = super::super::life::month_end(today);
        let last = if last == today { super::super::life::month_end(today + Days::new(1)) } else { last };
        (last.and_time(chrono::NaiveTime::MIN) + TimeDelta::hours(22)).and_utc()
    }

    /// An amount of so many cents of a line.
    pub(super) fn small_amount(&mut self) -> Cents {
        Cents(self.between(12_000, 90_000))
    }
}
