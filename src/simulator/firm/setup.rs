//! The firm before its first day: directory, charts, codes, and what stays out of every comparison (demo project, architects).

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};

use super::Firm;
use super::life::{Event, Job};
use super::model::{
    CommitmentKind, Company, CostType, ErpAccount, ErpAccountGroup, ErpContact, ErpCostCode, ErpCustomer, ErpVendor,
    ProcoreId, Project, StandardCostCode, Vendor,
};
use super::names::{ACCOUNTS, CITIES, CODES, COST_TYPES, FIRST, OWNERS, PROJECTS, STREETS, SUFFIX, TRADES};

/// The firm's overhead suppliers, whom Procore never sees.
pub(super) const OVERHEAD: [&str; 3] = ["V9001", "V9002", "V9003"];

impl Firm {
    pub(super) fn set_up(&mut self) {
        let first_day = self.now;
        let before = first_day - TimeDelta::days(400);
        self.procore.company = Company { id: self.procore_id(), name: "Queen City Builders".to_owned() };
        "Company".clone_into(&mut self.acumatica.tenant);
        self.set_up_charts(before);
        self.set_up_directory(before);
        for index in 0..self.options.projects {
            self.set_up_job(index);
        }
        self.set_up_demo_project(before);
        self.set_up_ledger(before);
        self.set_up_decoys();
        self.plan_mishaps();
        for month in 0..self.options.months.max(1) + 24 {
            let Some(start) = first_day.date_naive().checked_add_months(Months::new(month)) else { break };
            let at = self.office(start + Days::new(4));
            self.schedule(at, Event::VendorsDrift);
            let at = self.office(start + Days::new(9));
            self.schedule(at, Event::Overhead);
            self.schedule(super::ledger::morning(start + Days::new(11)), Event::Ledger);
        }
    }

    fn set_up_charts(&mut self, at: DateTime<Utc>) {
        for (number, (code, title, account_type, class, group, cash)) in (1..).zip(ACCOUNTS) {
            let account = ErpAccount {
                account_cd: code.to_owned(),
                account_id: 1_000 + number,
                description: title.to_owned(),
                account_type,
                account_class: class,
                account_group: group.map(str::to_owned),
                active: true,
                cash_account: cash,
                last_modified_at: at,
            };
            self.acumatica.accounts.insert(code.to_owned(), account);
        }
        let groups = COST_TYPES.iter().map(|(code, name, _, account)| (*code, *name, "Expense", *account));
        for (order, (code, name, group_type, account)) in
            (1..).zip(groups.chain([("REV", "Revenue", "Income", "40000")]))
        {
            let group = ErpAccountGroup {
                account_group_id: code.to_owned(),
                description: name.to_owned(),
                group_type,
                active: true,
                default_account_id: Some(account.to_owned()),
                sort_order: order,
                last_modified_at: at,
            };
            self.acumatica.account_groups.insert(code.to_owned(), group);
        }
        for (code, name, base_type, _) in COST_TYPES {
            let id = self.procore_id();
            self.procore
                .cost_types
                .insert(id, CostType { id, code, name, base_type, origin_id: Some(code.to_owned()) });
        }
        let list = self.procore_id();
        for (code, name, _) in CODES {
            let id = self.procore_id();
            let standard = StandardCostCode {
                id,
                standard_cost_code_list_id: list,
                code: code.to_owned(),
                full_code: code.to_owned(),
                name: name.to_owned(),
                parent_id: None,
                origin_id: Some(code.to_owned()),
            };
            self.procore.standard_cost_codes.insert(id, standard);
        }
        let names = CODES.iter().map(|(code, name, _)| (*code, *name));
        for (code, name) in names.chain([("00-000", "DEFAULT")]) {
            let record =
                ErpCostCode { cost_code_id: code.to_owned(), description: name.to_owned(), last_modified_at: at };
            self.acumatica.cost_codes.insert(code.to_owned(), record);
        }
    }

    fn set_up_directory(&mut self, at: DateTime<Utc>) {
        for index in 0..self.options.vendors {
            let name = company_name(index);
            let vendor = self.directory_entry(&name, at);
            let key = format!("V{:04}", index + 1);
            self.link_vendor(vendor, &key, at);
            // One pair is inactive on both sides: nothing to report.
            if index + 1 == self.options.vendors {
                self.retire_vendor(vendor, &key);
            }
        }
        for index in 0..self.options.projects {
            let name = owner_name(index);
            self.directory_entry(&name, at);
            let customer_id = format!("C{:04}", index + 1);
            let contact = self.contact_of(&name);
            let customer = ErpCustomer {
                customer_id: customer_id.clone(),
                customer_name: name,
                customer_class: "OWNER",
                status: "Active",
                account_ref: None,
                terms: "30D",
                currency_id: "USD",
                main_contact: contact,
                note_id: self.note_id(),
                created_at: at,
                last_modified_at: at,
            };
            self.acumatica.customers.insert(customer_id, customer);
        }
        // Architects and engineers stand in Procore's directory and are never paid through it.
        for name in ["Overcash Design, PA", "Stewart Structural Engineers", "Land Matters PLLC"] {
            self.directory_entry(name, at);
        }
        for (key, name) in OVERHEAD.iter().zip(["Tryon Tower Leasing", "Carolina Office Supply", "Duke Energy"]) {
            let contact = ErpContact { country: Some("US".to_owned()), ..ErpContact::default() };
            let vendor = self.erp_vendor(key, name, None, contact, at);
            self.acumatica.vendors.insert((*key).to_owned(), vendor);
        }
    }

    fn contact_of(&self, name: &str) -> ErpContact {
        self.procore.vendors.values().find(|vendor| vendor.name == name).map(contact).unwrap_or_default()
    }

    fn retire_vendor(&mut self, vendor: ProcoreId, key: &str) {
        if let Some(record) = self.procore.vendors.get_mut(&vendor) {
            record.is_active = false;
        }
        if let Some(record) = self.acumatica.vendors.get_mut(key) {
            record.status = "Inactive";
        }
        self.erp_vendors.remove(&vendor);
    }

    /// A company in Procore's directory, not known to the ERP.
    pub(super) fn directory_entry(&mut self, name: &str, at: DateTime<Utc>) -> ProcoreId {
        let id = self.procore_id();
        let (city, zip) = *self.pick(&CITIES).unwrap_or(&("Charlotte", "282"));
        let street = *self.pick(&STREETS).unwrap_or(&"Tryon St");
        let house = self.between(100, 9_899);
        let mail: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let vendor = Vendor {
            id,
            name: name.to_owned(),
            legal_name: Some(name.to_owned()),
            trade_name: None,
            abbreviated_name: name.split(' ').next().map(str::to_owned),
            is_active: true,
            synced_to_erp: false,
            origin_id: None,
            origin_code: None,
            tax_identifier: Some(format!("56-{:07}", self.between(1_000_000, 9_999_999))),
            license_number: None,
            address: Some(format!("{house} {street}")),
            city: Some(city.to_owned()),
            state_code: Some("NC".to_owned()),
            zip: Some(format!("{zip}{:02}", self.between(1, 99))),
            country_code: Some("US".to_owned()),
            email_address: Some(format!("office@{mail}.example.com")),
            business_phone: Some(format!("704-555-{:04}", self.between(0, 9_999))),
            project_ids: Vec::new(),
            created_at: at,
            updated_at: at,
        };
        self.procore.vendors.insert(id, vendor);
        id
    }

    /// The ERP has the vendor, and Procore stores its key.
    pub(super) fn link_vendor(&mut self, vendor: ProcoreId, key: &str, at: DateTime<Utc>) {
        let Some(record) = self.procore.vendors.get_mut(&vendor) else { return };
        record.origin_id = Some(key.to_owned());
        record.origin_code = Some(key.to_owned());
        record.synced_to_erp = true;
        record.updated_at = at;
        let (name, tax, contact) = (record.name.clone(), record.tax_identifier.clone(), contact(record));
        let erp = self.erp_vendor(key, &name, tax, contact, at);
        self.acumatica.vendors.insert(key.to_owned(), erp);
        self.erp_vendors.insert(vendor, key.to_owned());
    }

    pub(super) fn erp_vendor(
        &mut self,
        key: &str,
        name: &str,
        tax: Option<String>,
        contact: ErpContact,
        at: DateTime<Utc>,
    ) -> ErpVendor {
        ErpVendor {
            vendor_id: key.to_owned(),
            vendor_name: name.to_owned(),
            legal_name: Some(name.to_owned()),
            vendor_class: "SUBCON",
            status: "Active",
            account_ref: None,
            terms: "30D",
            payment_method: "CHECK",
            currency_id: "USD",
            f1099_vendor: !name.ends_with("Inc.") && !name.ends_with("Corp."),
            f1099_box: Some("NEC-01"),
            tax_registration_id: tax,
            remittance_contact: contact.clone(),
            main_contact: contact,
            note_id: self.note_id(),
            created_at: at,
            last_modified_at: at,
        }
    }

    fn set_up_job(&mut self, index: u32) {
        let months = self.options.months.max(1);
        let spread = index * (months * 2 / 3).max(1) / self.options.projects.max(1);
        let first = self.today().checked_add_months(Months::new(spread)).unwrap_or_default();
        let day = self.between(0, 9);
        let start = first + Days::new(u64::try_from(day).unwrap_or_default());
        let job = Job {
            project_id: 0,
            number: format!("{:02}-{:03}", start.year().rem_euclid(100), 101 + index),
            name: numbered(&PROJECTS, index),
            start,
            months: self.between(8, 13),
            owner: owner_name(index),
            customer: format!("C{:04}", index + 1),
            prime: 0,
            commitments: Vec::new(),
            billing_day: self.between(18, 23),
            cells: Vec::new(),
            codes: std::collections::BTreeMap::new(),
        };
        let position = self.jobs.len();
        self.jobs.push(job);
        let at = self.office(start);
        self.schedule(at, Event::StartJob(position));
    }

    /// Procore's demo project is full of records that never leave it.
    fn set_up_demo_project(&mut self, at: DateTime<Utc>) {
        let date = at.date_naive();
        let project = self.project_record("DEMO-1", "Sandbox Test Project", date, date, at);
        let id = project.id;
        self.procore.projects.insert(id, Project { is_demo: true, ..project });
        let template = self.project_record("TEMPLATE", "Template: multifamily", date, date, at);
        self.procore
            .projects
            .insert(template.id, Project { is_template: true, is_demo: true, active: false, ..template });
        let vendor = self.procore.vendors.keys().next().copied();
        let Some(vendor) = vendor else { return };
        let demo = self.commitment_record(id, vendor, CommitmentKind::WorkOrder, "SC-DEMO-001", Vec::new(), at);
        self.procore.commitments.insert(demo.id, demo);
    }

    pub(super) fn project_record(
        &mut self,
        number: &str,
        name: &str,
        start: NaiveDate,
        end: NaiveDate,
        at: DateTime<Utc>,
    ) -> Project {
        Project {
            id: self.procore_id(),
            name: name.to_owned(),
            project_number: Some(number.to_owned()),
            accounting_project_number: None,
            active: true,
            is_demo: false,
            is_template: false,
            stage: "Course of Construction",
            origin_id: None,
            origin_code: None,
            total_value: super::model::Cents::ZERO,
            start_date: Some(start),
            completion_date: Some(end),
            address: Some(format!("{} Park Rd", self.between(100, 9_999))),
            city: Some("Charlotte".to_owned()),
            state_code: Some("NC".to_owned()),
            zip: Some("28209".to_owned()),
            time_zone: "America/New_York",
            project_manager: self
                .pick(&["Dana Whitfield", "Luis Ortega", "Priya Raman"])
                .map(|name| (*name).to_owned()),
            budget_locked: false,
            created_at: at,
            updated_at: at,
        }
    }
}

fn contact(vendor: &Vendor) -> ErpContact {
    ErpContact {
        email: vendor.email_address.clone(),
        phone1: vendor.business_phone.clone(),
        address_line1: vendor.address.clone(),
        address_line2: None,
        city: vendor.city.clone(),
        state: vendor.state_code.clone(),
        postal_code: vendor.zip.clone(),
        country: vendor.country_code.clone(),
    }
}

fn entry<T: Copy>(list: &[T], index: usize) -> Option<T> {
    list.get(index % list.len().max(1)).copied()
}

/// A different company for every index: first word and trade turn at different speeds, later rounds get a number.
pub(super) fn company_name(index: u32) -> String {
    let index = usize::try_from(index).unwrap_or_default();
    let first = entry(&FIRST, index).unwrap_or_default();
    let trade = entry(&TRADES, index / FIRST.len() * 7 + index).unwrap_or_default();
    let suffix = entry(&SUFFIX, index).unwrap_or_default();
    let round = index / (FIRST.len() * 4);
    if round == 0 { format!("{first} {trade} {suffix}") } else { format!("{first} {trade} No {} {suffix}", round + 1) }
}

fn owner_name(index: u32) -> String {
    numbered(&OWNERS, index)
}

fn numbered(list: &[&str], index: u32) -> String {
    let index = usize::try_from(index).unwrap_or_default();
    let name = entry(list, index).unwrap_or_default();
    let round = index / list.len().max(1);
    if round == 0 { name.to_owned() } else { format!("{name} {}", round + 1) }
}
