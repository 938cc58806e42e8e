//! Mishaps of vendors and customers: unknown to Procore, entered again, edited on the wrong side.

use super::super::Firm;
use super::super::books::{account_of, overhead_line};
use super::super::jobs::TASK;
use super::super::life::Event;
use super::super::model::{Cents, ErpContact, ProcoreId};
use super::mishaps::Undo;

/// Vendors that accounting enters for itself.
const STRAYS: [&str; 6] =
    ["Catawba Scaffold", "Dilworth Fencing", "Sugar Creek Rentals", "Uptown Hauling", "Briar Portable", "Sharon Tool"];

impl Firm {
    fn stray_vendor_key(&mut self) -> (String, String) {
        let number = self.next_number("stray vendor");
        let index = usize::try_from(number - 1).unwrap_or_default();
        let name = STRAYS.get(index % STRAYS.len()).copied().unwrap_or_default();
        let round = index / STRAYS.len() + 1;
        (format!("V8{number:03}"), format!("{name} Services {round}, LLC"))
    }

    /// V2: a bill for scaffolding goes straight to accounting, from somebody whom Procore does not know.
    pub(super) fn bill_from_unknown_vendor(&mut self) -> Option<()> {
        let job = self.any_job()?;
        let cells: Vec<_> = job.cells.iter().filter(|cell| cell.cost_type == "S").cloned().collect();
        let cell = self.pick(&cells)?.clone();
        let (key, name) = self.stray_vendor_key();
        let contact = ErpContact { country: Some("US".to_owned()), ..ErpContact::default() };
        let vendor = self.erp_vendor(&key, &name, None, contact, self.now);
        self.acumatica.vendors.insert(key.clone(), vendor);
        let amount = Cents(self.between(40_000, 600_000));
        let bill = self.enter_own_bill(&key, &job.number, (cell.cost_code, cell.cost_type), amount);
        let first =
            self.record(("V2", "vendors"), (None, Some(&key)), None, None, format!("{name} bills {}", job.number));
        let note = format!("follows from V2 {key}: Procore does not know the vendor");
        self.record(("V5", "vendor_invoices"), (None, Some(&bill)), None, Some(amount), note);
        self.may_undo(first, Undo::TakeOverVendor(key), (20, 70));
        Some(())
    }

    /// A bill of accounting's own on a project, released and paid as any other.
    fn enter_own_bill(&mut self, vendor: &str, project: &str, code: (&str, &str), amount: Cents) -> String {
        let mut line = overhead_line(account_of(code.1), amount);
        line.project = project.to_owned();
        line.project_task = Some(TASK.to_owned());
        line.cost_code = Some(code.0.to_owned());
        line.transaction_description = "Site services".to_owned();
        let reference = self.reference("payable");
        let mut bill = self.bill_record(&reference, vendor, self.today(), vec![line]);
        bill.vendor_ref = Some(format!("SS-{}", 700 + self.next_number("stray bill")));
        bill.description = "Site services".to_owned();
        bill.apply_retainage = false;
        bill.default_retainage_pct = super::super::model::Rate(0);
        self.release_bill(bill);
        let key = format!("Bill|{reference}");
        let at = self.days_on(25, 45);
        self.schedule(at, Event::PayBill(key.clone(), true));
        key
    }

    /// Procore's directory gets the company as accounting keeps it.
    pub(super) fn take_over_vendor(&mut self, key: &str) {
        let Some(erp) = self.acumatica.vendors.get(key).cloned() else { return };
        let id = self.directory_entry(&erp.vendor_name, self.now);
        self.erp_vendors.insert(id, key.to_owned());
        self.copy_vendor_to_procore(id);
        let Some(vendor) = self.procore.vendors.get_mut(&id) else { return };
        (vendor.origin_id, vendor.origin_code) = (Some(key.to_owned()), Some(key.to_owned()));
        vendor.synced_to_erp = true;
        vendor.tax_identifier = None;
        vendor.state_code.clone_from(&erp.main_contact.state);
        vendor.zip.clone_from(&erp.main_contact.postal_code);
    }

    /// A linked vendor in use on both sides that nothing has happened to.
    fn whole_vendor(&mut self) -> Option<(ProcoreId, String)> {
        let is_open = |id: &ProcoreId| {
            let id = Some(id.to_string());
            self.faults.iter().any(|fault| fault.check == "V3" && fault.pm_id == id && fault.healed_at.is_none())
        };
        let is_active = |id: &ProcoreId, key: &String| {
            self.procore.vendors.get(id).is_some_and(|vendor| vendor.is_active)
                && self.acumatica.vendors.get(key).is_some_and(|vendor| vendor.status == "Active")
        };
        let whole: Vec<(ProcoreId, String)> = self
            .erp_vendors
            .iter()
            .filter(|(id, key)| self.is_whole(key) && is_active(id, key) && !is_open(id))
            .map(|(id, key)| (*id, key.clone()))
            .collect();
        let chosen = self.pick(&whole)?.clone();
        self.spoil(&chosen.1);
        Some(chosen)
    }

    /// V4: accounting does not find a vendor and enters it again.
    pub(super) fn enter_erp_vendor_again(&mut self) -> Option<()> {
        let (_, key) = self.whole_vendor()?;
        let (again, _) = self.stray_vendor_key();
        let now = self.now;
        let note_id = self.note_id();
        let mut record = self.acumatica.vendors.get(&key)?.clone();
        record.vendor_id.clone_from(&again);
        record.note_id = note_id;
        (record.created_at, record.last_modified_at) = (now, now);
        self.acumatica.vendors.insert(again.clone(), record);
        let note = format!("the same company as {key}");
        let first = self.record(("V4", "vendors"), (None, Some(&again)), None, Some(Cents::ZERO), note);
        self.may_undo(first, Undo::RetireErpVendor(again), (30, 90));
        Some(())
    }

    pub(super) fn retire_erp_vendor(&mut self, key: &str) {
        let now = self.now;
        if let Some(vendor) = self.acumatica.vendors.get_mut(key) {
            (vendor.status, vendor.last_modified_at) = ("Inactive", now);
        }
    }

    /// V4: a project team does not find a company in the directory and enters it again. For ninety days it is a new company
    /// that accounting does not know (V1).
    pub(super) fn enter_company_again(&mut self) -> Option<()> {
        let (id, _) = self.whole_vendor()?;
        let again = self.procore_id();
        let now = self.now;
        let mut record = self.procore.vendors.get(&id)?.clone();
        record.id = again;
        record.name = record.name.to_uppercase();
        (record.origin_id, record.origin_code, record.synced_to_erp) = (None, None, false);
        record.project_ids = Vec::new();
        (record.created_at, record.updated_at) = (now, now);
        self.procore.vendors.insert(again, record);
        let note = format!("the same company as {id}");
        let first = self.record(("V4", "vendors"), (Some(again), None), None, Some(Cents::ZERO), note);
        let note = format!("follows from V4 {again}: new, and not in the ERP");
        let new = self.record(("V1", "vendors"), (Some(again), None), None, None, note);
        if let Some(fault) = self.faults.get_mut(new) {
            fault.healed_at = Some(now + chrono::TimeDelta::days(90));
        }
        self.may_undo(first, Undo::MergeVendor(again), (20, 80));
        Some(())
    }

    /// V3 and W1: a superintendent corrects a phone number in Procore, which does not own it. W2 if accounting changes it too.
    pub(super) fn edit_vendor(&mut self, in_both: bool) -> Option<()> {
        let (id, key) = self.whole_vendor()?;
        let (theirs, ours) = (self.between(1_000, 4_999), self.between(5_000, 9_999));
        let now = self.now;
        let vendor = self.procore.vendors.get_mut(&id)?;
        vendor.business_phone = Some(format!("980-555-{theirs}"));
        vendor.updated_at = now;
        if in_both {
            let vendor = self.acumatica.vendors.get_mut(&key)?;
            vendor.main_contact.phone1 = Some(format!("980-555-{ours}"));
            vendor.last_modified_at = now;
        }
        let pair = (Some(id), Some(key.as_str()));
        let note = "the phone number was changed in Procore";
        let first = self.record(("V3", "vendors"), pair, Some("phone"), None, note);
        let check = if in_both { "W2" } else { "W1" };
        self.record((check, "vendors"), pair, Some("phone"), Some(Cents::ZERO), note);
        self.may_undo(first, Undo::CopyVendor(id), (20, 70));
        Some(())
    }

    /// K1: an owner's e-mail changes in accounting alone.
    pub(super) fn edit_customer(&mut self) -> Option<()> {
        let job = self.any_job()?;
        let owner = self.procore.prime_contracts.get(&job.prime)?.vendor_id?;
        if !self.spoil(&job.customer) {
            return None;
        }
        let number = self.between(100, 999);
        let now = self.now;
        let customer = self.acumatica.customers.get_mut(&job.customer)?;
        customer.main_contact.email = Some(format!("payables{number}@owners.example.com"));
        customer.last_modified_at = now;
        let pair = (Some(owner), Some(job.customer.as_str()));
        let first = self.record(("K1", "customers"), pair, Some("email"), None, "the e-mail was changed in the ERP");
        self.may_undo(first, Undo::CopyCustomer(owner, job.customer.clone()), (20, 70));
        Some(())
    }

    pub(super) fn copy_customer(&mut self, id: ProcoreId, key: &str) {
        let now = self.now;
        let Some(customer) = self.acumatica.customers.get(key) else { return };
        let Some(company) = self.procore.vendors.get_mut(&id) else { return };
        company.email_address.clone_from(&customer.main_contact.email);
        company.updated_at = now;
    }
}
