//! What is wrong just now: the faults that stand, and what necessarily follows from them.
//!
//! It compares the two databases by what the firm knows and no reader can: which document is whose. Where several faults meet
//! in one figure (what a commitment, an invoice's payments, a code's cost or a control account come to), the figure is
//! compared, and stands for all of them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::{Fault, Firm};
use crate::firm::billing::gross;
use crate::firm::books::period;
use crate::firm::jobs::budget_key;
use crate::firm::model::{Cents, Commitment, ErpCommitment, ProcoreId};

/// Checks that are compared figure by figure, or follow from others; single faults of theirs are in the truth as well.
const COMPARED: [&str; 9] = ["B3", "M2", "M5", "P1", "P2", "P3", "P4", "I5", "L2"];
/// Differences up to this are rounding.
const CENT: Cents = Cents(1);

/// What both systems say of the payments of a requisition.
struct Settlement {
    requisition: ProcoreId,
    document: Option<String>,
    in_procore: Cents,
    /// Of this, by checks that the ERP voided.
    voided: Cents,
    in_erp: Cents,
    paid_on: Option<NaiveDate>,
}

/// Cost that both systems should show, by project, code and type: Procore's less the ERP's.
#[derive(Default)]
struct Item {
    amounts: BTreeMap<(ProcoreId, String, String), Cents>,
    moved_at: DateTime<Utc>,
}

impl Item {
    fn add(&mut self, (project, code, cost_type): (ProcoreId, &str, &str), amount: Cents, at: DateTime<Utc>) {
        *self.amounts.entry((project, code.to_owned(), cost_type.to_owned())).or_default() += amount;
        self.moved_at = self.moved_at.max(at);
    }
}

impl Firm {
    /// All that is wrong at this moment, with the money that it comes to at this moment.
    pub fn standing(&self) -> Vec<Fault> {
        let open = self.truth().into_iter().filter(|fault| fault.healed_at.is_none());
        let (controls, mut standing): (Vec<_>, Vec<_>) = open
            .filter(|fault| !COMPARED.contains(&fault.check.as_str()))
            .partition(|fault| matches!(fault.check.as_str(), "T1" | "T2" | "T3" | "T4"));
        for fault in &mut standing {
            if let Some(amount) = self.amount_now(fault) {
                fault.amount = Some(amount);
            }
            // The ERP tells of a bill no moment of entry, but its date.
            let bill = fault.erp_id.as_ref().and_then(|key| self.acumatica.bills.get(key));
            if let Some(bill) = bill.filter(|_| fault.check == "I11") {
                fault.occurred_at = fault.occurred_at.max(end_of_day(bill.date));
            }
        }
        standing.extend(sums_by_field(controls));
        standing.extend(self.documents_of_unknown_vendors());
        standing.extend(self.failed_exports());
        standing.extend(self.commitment_differences());
        standing.extend(self.overbilled());
        standing.extend(self.cost_differences());
        standing.extend(self.late_postings());
        let settlements = self.settlements();
        standing.extend(self.payment_differences(&settlements));
        standing.extend(self.voids_not_followed());
        standing.extend(self.dead_imports(&settlements));
        standing
    }

    /// Money that moves while a fault stands.
    fn amount_now(&self, fault: &Fault) -> Option<Cents> {
        let pm_id: Option<ProcoreId> = fault.pm_id.as_deref().and_then(|id| id.parse().ok());
        let revised = || Some(self.procore.commitments.get(&pm_id?)?.revised_contract);
        match fault.check.as_str() {
            "M1" | "M3" | "M4" => revised(),
            "V2" => {
                let bills = self.acumatica.bills.values().filter(|bill| Some(&bill.vendor) == fault.erp_id.as_ref());
                Some(bills.map(|bill| bill.balance).sum())
            }
            "K1" => {
                let primes = self.procore.prime_contracts.values().filter(|prime| prime.vendor_id == pm_id);
                Some(primes.map(|prime| prime.revised_contract_amount).sum())
            }
            "C3" => {
                let code = self.procore.cost_codes.get(&pm_id?)?;
                let rows = self.procore.budget_lines.values().filter(|row| row.cost_code_id == code.id);
                let budget: Cents = rows.map(|row| row.revised_budget).sum();
                let contracts = self.procore.commitments.values().filter(|contract| contract.deleted_at.is_none());
                let lines = contracts.flat_map(|contract| &contract.lines).filter(|line| line.cost_code_id == code.id);
                Some(budget.max(lines.map(|line| line.amount).sum()))
            }
            _ => None,
        }
    }

    /// What Procore shows as paid on a requisition, and what the books paid of its bills by cheques that were not voided.
    pub fn paid_on(&self, requisition: ProcoreId) -> (Cents, Cents) {
        let settlement = self.settlements().into_iter().find(|one| one.requisition == requisition);
        settlement.map_or((Cents::ZERO, Cents::ZERO), |one| (one.in_procore, one.in_erp))
    }

    /// The Procore ids of a check's faults that stand.
    fn open_of(&self, check: &str) -> BTreeSet<String> {
        let open = self.faults.iter().filter(|fault| {
            fault.check == check
                && fault.opened_at <= self.now
                && fault.healed_at.is_none_or(|healed| healed > self.now)
        });
        open.filter_map(|fault| fault.pm_id.clone()).collect()
    }

    /// V5: what names a vendor that the ERP does not have.
    fn documents_of_unknown_vendors(&self) -> Vec<Fault> {
        let mut found = Vec::new();
        let unknown: BTreeSet<ProcoreId> = self.open_of("V1").iter().filter_map(|id| id.parse().ok()).collect();
        let note = |vendor: ProcoreId| format!("follows from V1 {vendor}: the ERP does not know the vendor");
        for record in self.procore.commitments.values().filter(|record| record.deleted_at.is_none()) {
            let Some(vendor) = record.vendor_id.filter(|vendor| unknown.contains(vendor)) else { continue };
            let amount = Some(record.revised_contract);
            found.push(at("V5", "commitments", record.created_at).pm(record.id).worth(amount).because(note(vendor)));
            for payment in self.procore.contract_payments.values().filter(|one| one.contract_id == record.id) {
                let fault = at("V5", "payments", payment.created_at).pm(payment.id).worth(Some(payment.amount));
                found.push(fault.because(note(vendor)));
            }
        }
        for record in self.procore.requisitions.values().filter(|record| unknown.contains(&record.vendor_id)) {
            let amount = Some(record.summary.current_payment_due);
            let fault = at("V5", "vendor_invoices", record.created_at).pm(record.id).worth(amount);
            found.push(fault.because(note(record.vendor_id)));
        }
        found
    }

    /// S1: what waits for a vendor or a commitment has failed on its way.
    fn failed_exports(&self) -> Vec<Fault> {
        let known = self.open_of("S1");
        let failed = self.procore.requisitions.values().filter(|record| record.erp_status == "failed_to_export");
        failed
            .filter(|record| !known.contains(&record.id.to_string()))
            .map(|record| {
                let amount = Some(record.summary.current_payment_due);
                let fault = at("S1", "vendor_invoices", record.updated_at).pm(record.id).worth(amount);
                fault.because(format!("follows from I2 {}: it never became a bill", record.id))
            })
            .collect()
    }

    fn order_behind(&self, contract: ProcoreId) -> Option<(&ErpCommitment, String)> {
        let link = self.erp_orders.get(&contract)?;
        let key = self.order_key(contract)?;
        let order = match link.order_type {
            "Subcontract" => self.acumatica.subcontracts.get(&key),
            _ => self.acumatica.purchase_orders.get(&key),
        };
        Some((order?, key))
    }

    /// M2: what both systems put a commitment at.
    fn commitment_differences(&self) -> Vec<Fault> {
        let mut found = Vec::new();
        for record in self.procore.commitments.values().filter(|record| is_agreed(record)) {
            let Some((order, key)) = self.order_behind(record.id) else { continue };
            if order.status == "Canceled" {
                continue;
            }
            let released = self.acumatica.change_orders.values().filter(|change| change.status == "Closed");
            let lines = released.flat_map(|change| &change.commitments);
            let lines = lines.filter(|line| line.po_nbr == order.order_nbr && line.po_type == order.order_type);
            let changes: Cents = lines.map(|line| line.amount).sum();
            let revised = order.order_total - order.tax_total;
            let approved = self.procore.change_orders.values().filter(|change| change.contract_id == record.id);
            let since = approved.filter_map(|change| change.reviewed_at).chain([record.created_at]).max();
            for (field, ours, theirs) in [
                ("original_amount", record.grand_total, revised - changes),
                ("approved_change_amount", record.approved_change_orders, changes),
                ("revised_amount", record.revised_contract, revised),
            ] {
                if (ours - theirs).abs() > CENT {
                    let fault = at("M2", "commitments", since.unwrap_or(self.now)).pm(record.id).erp(&key);
                    found.push(fault.field(field).worth(Some((ours - theirs).abs())));
                }
            }
        }
        found
    }

    /// M5: what is billed on a commitment beyond its sum, on either side.
    fn overbilled(&self) -> Vec<Fault> {
        let mut found = Vec::new();
        for record in self.procore.commitments.values().filter(|record| record.deleted_at.is_none()) {
            let requisitions = self.procore.requisitions.values().filter(|one| {
                one.commitment_id == record.id && one.deleted_at.is_none() && one.status.starts_with("approved")
            });
            let billed: Cents = requisitions.map(|one| one.total_claimed_amount).sum();
            if billed - record.revised_contract > CENT {
                let excess = Some(billed - record.revised_contract);
                found.push(at("M5", "commitments", record.created_at).pm(record.id).worth(excess));
            }
        }
        let orders = self.acumatica.subcontracts.iter().chain(&self.acumatica.purchase_orders);
        for (key, order) in orders.filter(|(_, order)| order.status != "Canceled") {
            let bills = self.acumatica.bills.values().filter(|bill| {
                let is_its = |nbr: &Option<String>| nbr.as_ref() == Some(&order.order_nbr);
                let is_live = matches!(bill.status, "Open" | "Closed") && !bill.is_retainage_document;
                is_live && !bill.details.is_empty() && bill.details.iter().all(|line| is_its(&line.po_order_nbr))
            });
            let billed: Cents = bills.map(|bill| bill.amount_with_retainage - bill.tax_total).sum();
            let excess = billed - (order.order_total - order.tax_total);
            if excess > CENT {
                found.push(at("M5", "commitments", order.created_at).erp(key).worth(Some(excess)));
            }
        }
        found
    }

    /// B3: cost to date by project, code and type: direct costs and approved requisitions here, project transactions there.
    /// Bills outside commitments are the ERP's own. A place is as young as the youngest item that differs on it.
    fn cost_differences(&self) -> Vec<Fault> {
        let mut items: BTreeMap<String, Item> = BTreeMap::new();
        for cost in self.procore.direct_costs.values().filter(|cost| cost.status == "approved") {
            for line in &cost.lines {
                let item = items.entry(format!("line {}", line.origin_id.as_deref().unwrap_or_default())).or_default();
                item.add((cost.project_id, &line.cost_code, line.cost_type), line.amount, cost.updated_at);
            }
        }
        let approved = self.procore.requisitions.values().filter(|one| one.status.starts_with("approved"));
        for requisition in approved.filter(|one| one.deleted_at.is_none()) {
            let item = items.entry(format!("requisition {}", requisition.id)).or_default();
            for line in &requisition.items {
                let place = (requisition.project_id, line.cost_code.as_str(), line.cost_type);
                item.add(place, gross(line), requisition.updated_at);
            }
        }
        let projects: BTreeMap<&String, ProcoreId> = self
            .procore
            .projects
            .values()
            .filter_map(|project| Some((project.origin_id.as_ref()?, project.id)))
            .collect();
        for header in self.acumatica.project_transactions.values() {
            let bill = header.original_doc_nbr.as_ref().map(|nbr| format!("Bill|{nbr}"));
            let name = bill.as_ref().map(|bill| self.cost_item(bill));
            if name == Some(None) {
                continue;
            }
            let name = name.flatten();
            for line in header.details.iter().filter(|line| line.released && line.account_group != "REV") {
                let Some(project) = projects.get(&line.project) else { continue };
                let name = name.clone().unwrap_or_else(|| format!("line {}", line.transaction_id));
                let code = line.cost_code.as_deref().unwrap_or_default();
                let item = items.entry(name).or_default();
                item.add((*project, code, &line.account_group), -line.amount, header.last_modified_at);
            }
        }
        let mut sums: BTreeMap<(ProcoreId, String, String), (Cents, DateTime<Utc>)> = BTreeMap::new();
        for item in items.into_values() {
            for (place, amount) in item.amounts.into_iter().filter(|(_, amount)| !amount.is_zero()) {
                let sum = sums.entry(place).or_insert((Cents::ZERO, item.moved_at));
                *sum = (sum.0 + amount, sum.1.max(item.moved_at));
            }
        }
        let mut found = Vec::new();
        for ((project, code, cost_type), (difference, moved_at)) in sums {
            if difference.abs() > CENT {
                let key = budget_key(&self.project_number(project), &cost_type, &code);
                found.push(at("B3", "job_costs", moved_at).pm(project).erp(&key).worth(Some(difference.abs())));
            }
        }
        found
    }

    /// What a bill's cost is compared with: its requisition, or nothing. `None` for bills outside commitments.
    fn cost_item(&self, bill: &String) -> Option<String> {
        if let Some(requisition) = self.billed.get(bill) {
            return Some(format!("requisition {requisition}"));
        }
        let is_committed = self.acumatica.bills.get(bill)?.details.iter().any(|line| line.po_order_nbr.is_some());
        is_committed.then(|| bill.clone())
    }

    /// I5: documents that are posted in another period than the one that they bill.
    fn late_postings(&self) -> Vec<Fault> {
        let mut found = Vec::new();
        let ambiguous = self.open_of("R2");
        for (key, id) in self.billed.iter().filter(|(_, id)| !ambiguous.contains(&id.to_string())) {
            let (entity, ends_on, posted, created_at) = if let Some(requisition) = self.procore.requisitions.get(id) {
                let Some(bill) = self.acumatica.bills.get(key) else { continue };
                ("vendor_invoices", requisition.requisition_end, &bill.post_period, bill.created_at)
            } else {
                let Some(application) = self.procore.payment_applications.get(id) else { continue };
                let Some(invoice) = self.acumatica.invoices.get(key) else { continue };
                ("owner_invoices", application.period_end, &invoice.post_period, invoice.created_at)
            };
            if *posted != period(ends_on) {
                found.push(at("I5", entity, created_at).pm(*id).erp(key).worth(Some(Cents::ZERO)));
            }
        }
        found
    }

    fn settlements(&self) -> Vec<Settlement> {
        let mut bills: BTreeMap<ProcoreId, Vec<&String>> = BTreeMap::new();
        for (key, id) in &self.billed {
            bills.entry(*id).or_default().push(key);
        }
        let mut in_procore: BTreeMap<ProcoreId, Cents> = BTreeMap::new();
        for payment in self.procore.contract_payments.values() {
            if let Some(requisition) = payment.requisition_id {
                *in_procore.entry(requisition).or_default() += payment.amount;
            }
        }
        let mut voided: BTreeMap<ProcoreId, Cents> = BTreeMap::new();
        for (_, document, id) in self.voided_and_shown() {
            if let (Some(requisition), Some(record)) =
                (self.billed.get(document), self.procore.contract_payments.get(&id))
            {
                *voided.entry(*requisition).or_default() += record.amount;
            }
        }
        let live = self.procore.requisitions.values().filter(|record| record.deleted_at.is_none());
        live.map(|record| {
            let keys = bills.get(&record.id).cloned().unwrap_or_default();
            let found = keys.iter().filter_map(|key| self.acumatica.bills.get(*key));
            let paid = found.flat_map(|bill| &bill.applications).filter(|one| one.doc_type.ends_with("Check"));
            let paid: Vec<_> = paid.collect();
            Settlement {
                requisition: record.id,
                document: keys.first().map(|key| (*key).clone()),
                in_procore: in_procore.get(&record.id).copied().unwrap_or_default(),
                voided: voided.get(&record.id).copied().unwrap_or_default(),
                in_erp: paid.iter().map(|one| one.amount_paid).sum(),
                paid_on: paid.iter().filter(|one| one.doc_type == "Check").map(|one| one.date).max(),
            }
        })
        .collect()
    }

    /// P1, P2 and P4 of each requisition.
    fn payment_differences(&self, settlements: &[Settlement]) -> Vec<Fault> {
        let mut found = Vec::new();
        for one in settlements {
            let day = one.paid_on.map_or(self.now, end_of_day);
            let fault = |check| {
                let fault = at(check, "payments", day).pm(one.requisition);
                one.document.iter().fold(fault, |fault, key| fault.erp(key))
            };
            let real = one.in_procore - one.voided;
            if one.in_erp > CENT && one.in_procore <= CENT {
                found.push(fault("P1").worth(Some(one.in_erp - one.in_procore)));
            }
            if real > CENT && one.in_erp > CENT && (real - one.in_erp).abs() > CENT {
                found.push(fault("P2").worth(Some((real - one.in_erp).abs())));
            }
            if real > CENT && one.in_erp <= CENT {
                found.push(fault("P4").worth(Some(real)));
            }
        }
        found
    }

    /// Payments that Procore shows and the ERP has voided: check, document, Procore's payment.
    fn voided_and_shown(&self) -> Vec<(&String, &String, ProcoreId)> {
        let is_voided = |payment: &String| self.acumatica.checks.get(payment).is_some_and(|one| one.status == "Voided");
        let shown = self.mirrored.iter().filter(|((payment, _), _)| is_voided(payment));
        shown.map(|((payment, document), id)| (payment, document, *id)).collect()
    }

    /// P3, payment by payment.
    fn voids_not_followed(&self) -> Vec<Fault> {
        let mut found = Vec::new();
        for (payment, _, id) in self.voided_and_shown() {
            let void = payment.replacen("Check|", "Voided Check|", 1);
            let at_day = self.acumatica.checks.get(&void).map_or(self.now, |one| end_of_day(one.application_date));
            let amount = self.procore.contract_payments.get(&id).map(|record| record.amount);
            found.push(at("P3", "payments", at_day).pm(id).erp(payment).worth(amount));
        }
        found
    }

    /// L2: of what should have crossed in the last two weeks nothing did, and three at least had a day and a half for it.
    fn dead_imports(&self, settlements: &[Settlement]) -> Vec<Fault> {
        let is_young = |moment: DateTime<Utc>| moment >= self.now - TimeDelta::days(14);
        let is_late = |moment: DateTime<Utc>| moment < self.now - TimeDelta::hours(36);
        let behind: BTreeSet<ProcoreId> =
            settlements.iter().filter(|one| one.in_erp - one.in_procore > CENT).map(|one| one.requisition).collect();
        let mut paid: Vec<(bool, bool)> = Vec::new();
        for check in
            self.acumatica.checks.values().filter(|check| check.doc_type == "Check" && check.status != "Voided")
        {
            let documents = check.history.iter().map(|line| format!("{}|{}", line.doc_type, line.reference_nbr));
            let requisitions: Vec<ProcoreId> = documents
                .filter_map(|key| self.billed.get(&key))
                .copied()
                .filter(|id| self.procore.requisitions.contains_key(id))
                .collect();
            let moment = end_of_day(check.application_date);
            if !requisitions.is_empty() && is_young(moment) {
                paid.push((is_late(moment), requisitions.iter().all(|id| !behind.contains(id))));
            }
        }
        let stuck = self.open_of("O1");
        let approved = self.procore.change_orders.values().filter(|order| order.status == "approved");
        let approved = approved.filter_map(|order| Some((order.reviewed_at?, !stuck.contains(&order.id.to_string()))));
        let sent: Vec<(bool, bool)> =
            approved.filter(|(at, _)| is_young(*at)).map(|(at, crossed)| (is_late(at), crossed)).collect();
        let mut found = Vec::new();
        for (entity, crossed) in [("payments", paid), ("change_orders", sent)] {
            let late = crossed.iter().filter(|(is_late, _)| *is_late).count();
            if late >= 3 && crossed.iter().all(|(_, crossed)| !crossed) {
                found.push(at("L2", entity, self.now - TimeDelta::days(14)).worth(Some(Cents::ZERO)));
            }
        }
        found
    }
}

fn is_agreed(record: &Commitment) -> bool {
    record.deleted_at.is_none() && matches!(record.status, "Approved" | "Complete" | "Closed" | "Terminated")
}

/// The end of a day in the firm's zone.
fn end_of_day(date: NaiveDate) -> DateTime<Utc> {
    (date + Days::new(1)).and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(5)
}

/// A control account has one figure, whatever it comes from.
fn sums_by_field(faults: Vec<Fault>) -> Vec<Fault> {
    let mut sums: BTreeMap<(String, Option<String>), Fault> = BTreeMap::new();
    for fault in faults {
        let key = (fault.check.clone(), fault.field.clone());
        match sums.get_mut(&key) {
            Some(sum) => sum.amount = Some(sum.amount.unwrap_or_default() + fault.amount.unwrap_or_default()),
            None => {
                sums.insert(key, fault);
            }
        }
    }
    sums.into_values().filter(|sum| sum.amount.unwrap_or_default().abs() > CENT).collect()
}

fn at(check: &str, entity: &str, since: DateTime<Utc>) -> Fault {
    Fault {
        check: check.to_owned(),
        entity: entity.to_owned(),
        pm_id: None,
        erp_id: None,
        field: None,
        occurred_at: since,
        opened_at: since,
        healed_at: None,
        amount: None,
        note: String::new(),
    }
}

impl Fault {
    fn pm(mut self, id: ProcoreId) -> Self {
        self.pm_id = Some(id.to_string());
        self
    }

    fn erp(mut self, key: &str) -> Self {
        self.erp_id = Some(key.to_owned());
        self
    }

    fn field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    fn worth(mut self, amount: Option<Cents>) -> Self {
        self.amount = amount;
        self
    }

    fn because(mut self, note: String) -> Self {
        self.note = note;
        self
    }
}
