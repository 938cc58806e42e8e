//! Companies that two systems spell differently, keep for different ends, or do not both need.

use chrono::TimeDelta;

use super::super::Firm;
use super::super::books::overhead_line;
use super::super::life::Event;
use super::super::model::{CommitmentKind, ErpContact, ErpVendor, Vendor};
use super::{DecoyKind, DecoyStep};

impl Firm {
    #[expect(clippy::too_many_lines, reason = "an arm for each kind")]
    pub(super) fn place_company(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        match kind {
            DecoyKind::NameLegalForm => self.company_as(kind, job, |_, erp| {
                for form in [" LLC", " Inc.", " Co.", " Corp.", " L.P."] {
                    erp.vendor_name = erp.vendor_name.replace(form, "");
                }
            }),
            DecoyKind::NameAccents => self.company_as(kind, job, |pm, erp| {
                pm.name = pm.name.replace("Yadkin", "Peñón y Muñoz");
                erp.vendor_name = erp.vendor_name.replace("Yadkin", "Penon y Munoz");
                (pm.legal_name, erp.legal_name) = (Some(pm.name.clone()), Some(erp.vendor_name.clone()));
            }),
            DecoyKind::NameCase => self.company_as(kind, job, |_, erp| {
                erp.vendor_name = format!(" {} ", erp.vendor_name.to_uppercase().replace(' ', "  "));
            }),
            DecoyKind::NameAmpersand => self.company_as(kind, job, |pm, erp| {
                pm.name = pm.name.replace("Yadkin", "Yadkin & Sons");
                erp.vendor_name = erp.vendor_name.replace("Yadkin", "The Yadkin and Sons,");
                (pm.legal_name, erp.legal_name) = (Some(pm.name.clone()), Some(pm.name.clone()));
            }),
            DecoyKind::PaddedVendorKey => self.company_as(kind, job, |pm, erp| {
                erp.vendor_id = format!("{}     ", erp.vendor_id);
                pm.origin_code = Some(format!("{} ", pm.origin_code.clone().unwrap_or_default().to_lowercase()));
            }),
            DecoyKind::PhoneFormat => self.company_as(kind, job, |pm, erp| {
                pm.business_phone = Some(String::from("704-555-0142"));
                erp.main_contact.phone1 = Some(String::from("+1 (704) 555-0142"));
            }),
            DecoyKind::StreetFormat => self.company_as(kind, job, |pm, erp| {
                pm.address = Some(String::from("1200 N. Tryon St., Suite 210"));
                erp.main_contact.address_line1 = Some(String::from("1200 North Tryon Street Ste 210"));
            }),
            DecoyKind::ZipPlusFour => self.company_as(kind, job, |pm, erp| {
                pm.zip = Some(String::from("28202"));
                erp.main_contact.postal_code = Some(String::from("28202-1417"));
            }),
            DecoyKind::EmailCase => self.company_as(kind, job, |pm, erp| {
                pm.email_address = Some(String::from("AP.Office@Yadkin.example.com "));
                erp.main_contact.email = Some(String::from("ap.office@yadkin.example.com"));
            }),
            DecoyKind::TaxIdFormat => self.company_as(kind, job, |pm, erp| {
                erp.tax_registration_id = pm.tax_identifier.as_ref().map(|tax| tax.replace('-', ""));
            }),
            DecoyKind::HeldPayments => self.company_as(kind, job, |_, erp| erp.status = "Hold Payments"),
            DecoyKind::OneTimeVendor => self.company_as(kind, job, |_, erp| erp.status = "One-Time"),
            DecoyKind::RemitElsewhere => self.company_as(kind, job, |_, erp| {
                erp.remittance_contact.address_line1 = Some(String::from("PO Box 603"));
                erp.remittance_contact.city = Some(String::from("Raleigh"));
            }),
            DecoyKind::EmptyAndMissing => self.company_as(kind, job, |pm, erp| {
                (pm.email_address, pm.business_phone) = (None, Some(String::new()));
                (erp.main_contact.email, erp.main_contact.phone1) = (Some(String::new()), None);
            }),
            DecoyKind::CountrySpelled => self.company_as(kind, job, |pm, erp| {
                (pm.country_code, pm.state_code) = (Some(String::from("US")), Some(String::from("nc")));
                (erp.main_contact.country, erp.main_contact.state) =
                    (Some(String::from("US")), Some(String::from("NC")));
            }),
            DecoyKind::InactiveOnBothSides => {
                let (company, key) = self.company();
                self.contract(job, company, CommitmentKind::WorkOrder)?;
                self.procore.vendors.get_mut(&company)?.is_active = false;
                self.acumatica.vendors.get_mut(&key)?.status = "Inactive";
                self.note(kind, &[company], &[&key]);
                Some(())
            }
            DecoyKind::RenamedOnBothSides => {
                let (company, key) = self.company();
                self.contract(job, company, CommitmentKind::WorkOrder)?;
                let at = self.days_on(40, 50);
                self.schedule(at, Event::DecoyStep(DecoyStep::Rename(company, key.clone())));
                self.note(kind, &[company], &[&key]);
                Some(())
            }
            DecoyKind::CustomerRenamed => {
                let job = self.job(job)?.clone();
                let owner = self.procore.vendors.values().find(|vendor| vendor.name == job.owner)?.id;
                let at = self.days_on(40, 50);
                self.schedule(at, Event::DecoyStep(DecoyStep::Rename(owner, job.customer.clone())));
                self.note(kind, &[owner], &[&job.customer]);
                Some(())
            }
            DecoyKind::NeverUsedInProcore => {
                let number = self.next_number("decoy architect");
                let before = self.now - TimeDelta::days(300);
                let company = self.directory_entry(&format!("Mint Hill Surveyors {number}, PLLC"), before);
                self.note(kind, &[company], &[]);
                Some(())
            }
            DecoyKind::MergedCompany => {
                let (company, key) = self.company();
                self.contract(job, company, CommitmentKind::WorkOrder)?;
                let record = self.procore.vendors.get(&company)?.clone();
                let before = self.now - TimeDelta::days(300);
                let source = self.directory_entry(&record.name, before);
                let merged =
                    Vendor { id: source, is_active: false, created_at: before, updated_at: self.now, ..record };
                self.procore.vendors.insert(source, merged);
                self.note(kind, &[company, source], &[&key]);
                Some(())
            }
            DecoyKind::NamesakeRetired => {
                let (company, key) = self.company();
                self.contract(job, company, CommitmentKind::WorkOrder)?;
                let name = self.procore.vendors.get(&company)?.name.clone();
                let number = self.next_number("decoy namesake");
                let other = self.erp_only_vendor(&format!("VN{number}"), &name, "SUBCON");
                self.acumatica.vendors.get_mut(&other)?.status = "Inactive";
                self.note(kind, &[company], &[&key, &other]);
                Some(())
            }
            DecoyKind::OverheadVendor => self.office_vendor(kind, "Trade Street Copiers", "OVERHEAD"),
            DecoyKind::EmployeeVendor => self.office_vendor(kind, "Whitfield, Dana", "EMPLOYEE"),
            _ => None,
        }
    }

    /// A company of both systems with a subcontract, after one side was changed.
    fn company_as(
        &mut self,
        kind: DecoyKind,
        job: usize,
        change: impl FnOnce(&mut Vendor, &mut ErpVendor),
    ) -> Option<()> {
        let (company, key) = self.company();
        change(self.procore.vendors.get_mut(&company)?, self.acumatica.vendors.get_mut(&key)?);
        self.contract(job, company, CommitmentKind::WorkOrder)?;
        self.note(kind, &[company], &[&key]);
        Some(())
    }

    fn erp_only_vendor(&mut self, key: &str, name: &str, class: &'static str) -> String {
        let contact = ErpContact { country: Some("US".to_owned()), ..ErpContact::default() };
        let vendor = self.erp_vendor(key, name, None, contact, self.now);
        self.acumatica.vendors.insert(key.to_owned(), ErpVendor { vendor_class: class, ..vendor });
        key.to_owned()
    }

    /// A vendor of the office, with a bill that no project carries.
    #[expect(clippy::unnecessary_wraps, reason = "what an arm of the kinds gives")]
    fn office_vendor(&mut self, kind: DecoyKind, name: &str, class: &'static str) -> Option<()> {
        let number = self.next_number("decoy office");
        let key = self.erp_only_vendor(&format!("V{number}"), &format!("{name} {number}"), class);
        let (reference, amount) = (self.reference("payable"), self.small_amount());
        let mut bill = self.bill_record(&reference, &key, self.today(), vec![overhead_line("60200", amount)]);
        bill.apply_retainage = false;
        self.release_bill(bill);
        self.pay_in(20, &format!("Bill|{reference}"));
        self.note(kind, &[], &[&key, &format!("Bill|{reference}")]);
        Some(())
    }

    /// A company, or an owner, gets a new name in both systems on one day.
    pub(super) fn rename(&mut self, company: i64, key: &str) {
        let now = self.now;
        let Some(record) = self.procore.vendors.get_mut(&company) else { return };
        let name = format!("{} of North Carolina", record.name);
        (record.name, record.legal_name, record.updated_at) = (name.clone(), Some(name.clone()), now);
        if let Some(vendor) = self.acumatica.vendors.get_mut(key) {
            (vendor.vendor_name, vendor.legal_name, vendor.last_modified_at) = (name.clone(), Some(name.clone()), now);
        }
        if let Some(customer) = self.acumatica.customers.get_mut(key) {
            (customer.customer_name, customer.last_modified_at) = (name, now);
        }
    }
}
