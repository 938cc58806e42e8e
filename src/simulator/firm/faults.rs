//! How often what goes wrong, and how it heals.
//!
//! Each fault is recorded the moment it opens. Most heal weeks later by the hand of somebody who noticed; some never do.

use chrono::{DateTime, Utc};
use rand::Rng;

use super::life::{Event, Export};
use super::model::{Cents, ErpBill, ErpInvoice, ProcoreId};
use super::{Fault, Firm};
use mishaps::Undo;

mod billing;
mod books;
mod codes;
pub(super) mod mishaps;
pub(super) mod orders;
mod payments;
#[cfg(test)]
mod tests;
mod vendors;

/// How often things go wrong, per thousand occasions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRates {
    /// V1: a commitment goes to a company that accounting has never heard of.
    pub vendor_missing: u32,
    /// V3: per linked vendor and month.
    pub vendor_field: u32,
    /// C4: per job-cost line.
    pub default_code: u32,
    /// O1: per approved change order.
    pub change_order_stuck: u32,
    /// I3: per AR invoice.
    pub owner_invoice_amount: u32,
    /// I4: per bill.
    pub vendor_invoice_amount: u32,
    /// P1: per check and bill.
    pub payment_lost: u32,
    /// All that goes wrong now and then: per kind and month.
    pub mishaps: u32,
    /// How many of them somebody puts right.
    pub healed: u32,
}

/// How a fault is put right.
#[derive(Clone, Debug)]
pub(super) enum Heal {
    /// Accounting creates the vendor.
    Vendor(ProcoreId),
    /// Procore's directory is corrected from the ERP.
    VendorFields(ProcoreId),
    /// Somebody sends it again.
    Export(Export),
    /// The bill is corrected to what Procore approved.
    Bill(Box<ErpBill>),
    /// The AR invoice is corrected.
    Invoice(Box<ErpInvoice>),
    /// A payment is mirrored at last: the payment and the document.
    Payment(String, String),
    /// A cost line gets the code that it should have had: its project transaction and line.
    Code(String, i64, String),
    /// A mishap.
    Undo(Undo),
}

impl Default for FaultRates {
    fn default() -> Self {
        Self {
            vendor_missing: 50,
            vendor_field: 15,
            default_code: 12,
            change_order_stuck: 60,
            owner_invoice_amount: 80,
            vendor_invoice_amount: 25,
            payment_lost: 30,
            mishaps: 12,
            healed: 600,
        }
    }
}

impl FaultRates {
    /// A firm in which nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default().scaled(0)
    }

    /// The same faults, `percent` as often; what heals stays.
    #[must_use]
    pub fn scaled(self, percent: u32) -> Self {
        let scale = |rate: u32| (rate * percent / 100).min(1_000);
        Self {
            vendor_missing: scale(self.vendor_missing),
            vendor_field: scale(self.vendor_field),
            default_code: scale(self.default_code),
            change_order_stuck: scale(self.change_order_stuck),
            owner_invoice_amount: scale(self.owner_invoice_amount),
            vendor_invoice_amount: scale(self.vendor_invoice_amount),
            payment_lost: scale(self.payment_lost),
            mishaps: scale(self.mishaps),
            healed: self.healed,
        }
    }
}

impl Firm {
    /// Records a fault that opens now. `occurred_at` starts as now too.
    pub(super) fn fault(&mut self, check: &str, entity: &str, pm_id: Option<ProcoreId>, erp_id: Option<&str>) -> usize {
        self.faults.push(Fault {
            check: check.to_owned(),
            entity: entity.to_owned(),
            pm_id: pm_id.map(|id| id.to_string()),
            erp_id: erp_id.map(str::to_owned),
            field: None,
            occurred_at: self.now,
            opened_at: self.now,
            healed_at: None,
            amount: None,
            note: String::new(),
        });
        self.faults.len() - 1
    }

    /// Completes a fault just recorded.
    pub(super) fn describe(&mut self, fault: usize, field: Option<&str>, amount: Option<Cents>, note: String) {
        if let Some(fault) = self.faults.get_mut(fault) {
            fault.field = field.map(str::to_owned);
            fault.amount = amount;
            fault.note = note;
        }
    }

    /// Dates a fault back to when what should have followed became due.
    pub(super) fn backdate(&mut self, fault: usize, at: DateTime<Utc>) {
        if let Some(fault) = self.faults.get_mut(fault) {
            fault.occurred_at = at;
            fault.opened_at = at;
        }
    }

    /// Decides whether somebody will put it right, and when.
    pub(super) fn may_heal(&mut self, fault: usize, heal: Heal, least_days: i64, most_days: i64) {
        let heals = self.chance(self.options.faults.healed);
        let at = self.days_on(least_days, most_days);
        if heals {
            self.heals.insert(fault, heal);
            self.schedule(at, Event::Heal(fault));
        }
    }

    /// A fault is put right, with all that are one with it.
    pub(super) fn healed(&mut self, fault: usize) {
        let now = self.now;
        let count = self.companions.get(&fault).copied().unwrap_or(1);
        for fault in self.faults.iter_mut().skip(fault).take(count) {
            fault.healed_at = Some(fault.healed_at.map_or(now, |healed| healed.min(now)));
        }
    }

    pub(super) fn heal(&mut self, fault: usize) {
        let Some(heal) = self.heals.remove(&fault) else { return };
        match heal {
            Heal::Vendor(vendor) => self.import_missing_vendor(vendor),
            Heal::VendorFields(vendor) => self.copy_vendor_to_procore(vendor),
            Heal::Export(export) => return self.export(export, Some(fault)),
            Heal::Bill(bill) => {
                // Once something is paid on it, accounting leaves the bill as it is.
                if !self.replace_bill(*bill) {
                    return;
                }
            }
            Heal::Invoice(invoice) => {
                if !self.replace_invoice(*invoice) {
                    return;
                }
            }
            Heal::Payment(payment, document) => self.mirror_payment(&payment, &document),
            Heal::Code(key, line, code) => self.recode(&key, line, &code),
            Heal::Undo(undo) => self.undo(undo),
        }
        self.healed(fault);
    }

    /// Once a month: fields of linked vendors change on one side only.
    pub(super) fn let_vendors_drift(&mut self) {
        let linked: Vec<(ProcoreId, String)> = self.erp_vendors.iter().map(|(id, key)| (*id, key.clone())).collect();
        for (vendor, key) in linked {
            if self.chance(self.options.faults.vendor_field) && self.is_whole(&key) {
                self.change_vendor_field(vendor, &key);
            }
        }
    }

    fn change_vendor_field(&mut self, vendor: ProcoreId, key: &str) {
        let id = vendor.to_string();
        let is_open =
            |fault: &Fault| fault.check == "V3" && fault.pm_id.as_ref() == Some(&id) && fault.healed_at.is_none();
        if self.faults.iter().any(is_open) {
            return;
        }
        let number = self.between(100, 999);
        let which = self.rng.random_range(0..6);
        let now = self.now;
        let Some(erp) = self.acumatica.vendors.get_mut(key) else { return };
        if erp.status != "Active" {
            return;
        }
        let field = match which {
            0 => {
                erp.vendor_name = format!("{} of the Carolinas", erp.vendor_name);
                "name"
            }
            1 => {
                let city = if erp.main_contact.city.as_deref() == Some("Rock Hill") { "Concord" } else { "Rock Hill" };
                erp.main_contact.city = Some(city.to_owned());
                erp.remittance_contact.city = Some(city.to_owned());
                "city"
            }
            2 => {
                erp.main_contact.email = Some(format!("remit{number}@billing.example.com"));
                "email"
            }
            3 => {
                erp.main_contact.phone1 = Some(format!("704-555-0{number}"));
                "phone"
            }
            4 => {
                let address = format!("PO Box {number}");
                erp.main_contact.address_line1 = Some(address.clone());
                erp.remittance_contact.address_line1 = Some(address);
                "address_line"
            }
            _ => {
                erp.status = "Inactive";
                "is_active"
            }
        };
        erp.last_modified_at = now;
        let fault = self.fault("V3", "vendors", Some(vendor), Some(key));
        self.describe(fault, Some(field), None, format!("{field} changed in the ERP, not in Procore"));
        self.may_heal(fault, Heal::VendorFields(vendor), 10, 60);
    }

    /// Procore's directory takes over what the ERP says.
    pub(super) fn copy_vendor_to_procore(&mut self, vendor: ProcoreId) {
        let now = self.now;
        let Some(erp) = self.erp_vendors.get(&vendor).and_then(|key| self.acumatica.vendors.get(key)) else { return };
        let Some(record) = self.procore.vendors.get_mut(&vendor) else { return };
        record.name.clone_from(&erp.vendor_name);
        record.is_active = erp.status == "Active";
        record.address.clone_from(&erp.main_contact.address_line1);
        record.city.clone_from(&erp.main_contact.city);
        record.email_address.clone_from(&erp.main_contact.email);
        record.business_phone.clone_from(&erp.main_contact.phone1);
        record.updated_at = now;
    }
}
