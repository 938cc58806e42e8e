//! The connector: what Procore approved goes to Acumatica within hours; what Acumatica paid comes back within a day.
//!
//! It writes the ERP's key into Procore's `origin_id`, or the ERP keeps Procore's number. It knows no retainage releases.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::Firm;
use super::billing::{gross, retained};
use super::books::account_of;
use super::faults::Heal;
use super::jobs::TASK;
use super::life::{Event, Export};
use super::model::{
    Cents, ChangeOrder, ChangeOrderKind, CommitmentKind, ContractPayment, ErpChangeOrder, ErpChangeOrderBudget,
    ErpChangeOrderCommitment, ErpCommitment, ErpCommitmentLine, ProcoreId, Rate,
};

/// Which ERP order a commitment is.
#[derive(Clone, Debug)]
pub(super) struct OrderLink {
    pub(super) order_type: &'static str,
    pub(super) order_nbr: String,
    /// Order lines by contract line or change order package.
    pub(super) lines: BTreeMap<ProcoreId, i32>,
}

impl Firm {
    /// Sends a document; `fault` is what this heals.
    pub(super) fn export(&mut self, export: Export, fault: Option<usize>) {
        let is_sent = match export {
            Export::Commitment(id) => self.export_commitment(id, fault),
            Export::ChangeOrder(id) => self.export_change_order(id, fault),
            Export::Requisition(id) => self.export_requisition(id, fault),
            Export::Application(id) => self.export_application(id, fault),
        };
        if let (true, Some(fault)) = (is_sent, fault) {
            self.healed(fault);
        }
        if let (true, Export::Commitment(id)) = (is_sent, export) {
            self.unblock(|_, contract| contract == id);
        }
    }

    /// Notes a document that cannot go because its vendor or its commitment is unknown; it goes once that is there.
    fn block(&mut self, contract: ProcoreId, export: Export, already: Option<usize>) {
        if already.is_some() {
            return;
        }
        let Some(vendor) = self.procore.commitments.get(&contract).and_then(|record| record.vendor_id) else { return };
        let (check, entity, id, amount, at) = match export {
            Export::Commitment(id) => {
                let record = self.procore.commitments.get(&id);
                (
                    "M1",
                    "commitments",
                    id,
                    record.map(|record| record.grand_total),
                    record.map(|record| record.updated_at),
                )
            }
            Export::ChangeOrder(id) => {
                let record = self.procore.change_orders.get(&id);
                let at = record.and_then(|record| record.reviewed_at);
                ("O1", "change_orders", id, record.map(|record| record.grand_total), at)
            }
            Export::Requisition(id) | Export::Application(id) => {
                let record = self.procore.requisitions.get(&id);
                let amount = record.map(|record| record.summary.current_payment_due);
                ("I2", "vendor_invoices", id, amount, record.map(|record| record.updated_at))
            }
        };
        let fault = self.fault(check, entity, Some(id), None);
        self.backdate(fault, at.unwrap_or(self.now));
        let note = if self.erp_vendors.contains_key(&vendor) {
            format!("follows from M1 {contract}: the ERP does not know the commitment")
        } else {
            format!("follows from V1 {vendor}: the ERP does not know the vendor")
        };
        self.describe(fault, None, amount, note);
        let now = self.now;
        if let Export::Requisition(id) = export
            && let Some(record) = self.procore.requisitions.get_mut(&id)
        {
            record.erp_status = "failed_to_export";
            record.updated_at = now;
        }
        self.blocked.push((vendor, contract, export, fault));
    }

    /// Accounting creates the vendor; what waited for it follows in order.
    pub(super) fn import_missing_vendor(&mut self, vendor: ProcoreId) {
        let key =
            format!("V{:04}", u32::try_from(self.next_number("vendor")).unwrap_or_default() + self.options.vendors);
        self.link_vendor(vendor, &key, self.now);
        self.unblock(|id, _| id == vendor);
    }

    /// What waited for a vendor or a commitment goes, in order.
    fn unblock(&mut self, is_ready: impl Fn(ProcoreId, ProcoreId) -> bool) {
        let (ready, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.blocked)
            .into_iter()
            .partition(|(vendor, contract, ..)| is_ready(*vendor, *contract));
        self.blocked = waiting;
        for (minutes, (.., export, fault)) in (1..).zip(ready) {
            self.schedule(self.now + TimeDelta::minutes(60 + 10 * minutes), Event::Export(export, Some(fault)));
        }
    }

    fn export_commitment(&mut self, id: ProcoreId, fault: Option<usize>) -> bool {
        let Some(record) = self.procore.commitments.get(&id).cloned() else { return false };
        let Some(vendor) = record.vendor_id.and_then(|vendor| self.erp_vendors.get(&vendor)).cloned() else {
            self.block(id, Export::Commitment(id), fault);
            return false;
        };
        if fault.is_none() && self.lose_commitment(&record) {
            return false;
        }
        let project = self.project_number(record.project_id);
        let is_subcontract = record.kind == CommitmentKind::WorkOrder;
        // Subcontracts take Procore's number; purchase orders are numbered by the ERP.
        let order_nbr = if is_subcontract { record.number.clone() } else { self.reference("purchase order") };
        let order_type = if is_subcontract { "Subcontract" } else { "Normal" };
        let mut link = OrderLink { order_type, order_nbr: order_nbr.clone(), lines: BTreeMap::new() };
        let mut details = Vec::new();
        for (line_nbr, line) in (1..).zip(&record.lines) {
            link.lines.insert(line.id, line_nbr);
            details.push(order_line(
                line_nbr,
                &project,
                &line.cost_code,
                line.cost_type,
                &line.description,
                line.amount,
                self.options.retainage,
            ));
            let row = self.budget_row(&project, line.cost_type, &line.cost_code);
            row.original_committed_amount += line.amount;
            row.revised_committed_amount += line.amount;
            row.committed_open_amount += line.amount;
        }
        let mut order = ErpCommitment {
            order_type,
            order_nbr: order_nbr.clone(),
            status: "Open",
            hold: false,
            date: record.execution_date.unwrap_or(self.today()),
            description: record.title.clone(),
            vendor_id: vendor,
            vendor_ref: Some(record.number.clone()),
            terms: "30D",
            currency_id: "USD",
            line_total: Cents::ZERO,
            tax_total: Cents::ZERO,
            retainage_total: Cents::ZERO,
            order_total: Cents::ZERO,
            apply_retainage: true,
            retainage_pct: self.options.retainage,
            details,
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        total(&mut order);
        if fault.is_none() {
            self.spoil_order(&record, &mut order);
        }
        if is_subcontract {
            self.acumatica.subcontracts.insert(order_nbr.clone(), order);
        } else {
            self.acumatica.purchase_orders.insert(format!("Normal|{order_nbr}"), order);
        }
        self.erp_orders.insert(id, link);
        let keeps = self.chance(850);
        let now = self.now;
        if let (true, Some(record)) = (keeps, self.procore.commitments.get_mut(&id)) {
            record.origin_id = Some(order_nbr.clone());
            record.origin_code = Some(order_nbr);
            record.updated_at = now;
        }
        true
    }

    fn export_change_order(&mut self, id: ProcoreId, fault: Option<usize>) -> bool {
        let Some(order) = self.procore.change_orders.get(&id).cloned() else { return false };
        if order.kind == ChangeOrderKind::Commitment && !self.erp_orders.contains_key(&order.contract_id) {
            self.block(order.contract_id, Export::ChangeOrder(id), fault);
            return false;
        }
        if fault.is_none() && self.chance(self.options.faults.change_order_stuck) {
            let fault = self.fault("O1", "change_orders", Some(id), None);
            self.backdate(fault, order.reviewed_at.unwrap_or(self.now));
            self.describe(fault, None, Some(order.grand_total), format!("{} was never exported", order.number));
            self.may_heal(fault, Heal::Export(Export::ChangeOrder(id)), 14, 70);
            return false;
        }
        let ref_nbr = self.reference("change order");
        let keyed = if fault.is_none() { self.as_keyed(&order, &ref_nbr) } else { order.clone() };
        let mut record = match order.kind {
            ChangeOrderKind::Commitment => self.erp_commitment_change(&keyed, &ref_nbr),
            ChangeOrderKind::Prime => self.erp_prime_change(&keyed, &ref_nbr),
        };
        if fault.is_none() {
            self.hold_change(&order, &mut record);
        }
        self.acumatica.change_orders.insert(ref_nbr.clone(), record);
        let keeps = self.chance(850);
        let now = self.now;
        let package = order.legacy_package_id.and_then(|package| self.procore.change_order_packages.get_mut(&package));
        if let (true, Some(package)) = (keeps, package) {
            package.origin_id = Some(ref_nbr.clone());
            package.origin_code = Some(ref_nbr);
            package.updated_at = now;
        }
        true
    }

    fn erp_change(&mut self, order: &ChangeOrder, ref_nbr: &str) -> ErpChangeOrder {
        let approved = order.reviewed_at.unwrap_or(self.now).date_naive();
        ErpChangeOrder {
            ref_nbr: ref_nbr.to_owned(),
            class: "",
            project_id: self.project_number(order.project_id),
            customer: None,
            status: "Closed",
            hold: false,
            change_date: approved,
            completion_date: Some(approved),
            approval_date: Some(approved),
            contract_time_change_days: order.schedule_impact_amount.and_then(|days| days.try_into().ok()).unwrap_or(0),
            description: order.title.clone(),
            external_ref_nbr: Some(order.number.clone()),
            revenue_change_nbr: None,
            revenue_budget_change_total: Cents::ZERO,
            cost_budget_change_total: Cents::ZERO,
            commitments_change_total: Cents::ZERO,
            revenue_budget: Vec::new(),
            cost_budget: Vec::new(),
            commitments: Vec::new(),
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        }
    }

    fn erp_prime_change(&mut self, order: &ChangeOrder, ref_nbr: &str) -> ErpChangeOrder {
        let mut record = self.erp_change(order, ref_nbr);
        let lines = order.lines.iter().map(|line| ErpChangeOrderBudget {
            project_task_id: TASK.to_owned(),
            account_group: "REV".to_owned(),
            cost_code: line.cost_code.clone(),
            inventory_id: None,
            description: line.description.clone(),
            amount: line.amount,
        });
        record.revenue_budget = lines.collect();
        record.class = "REVENUE";
        record.revenue_budget_change_total = order.grand_total;
        let project = self.acumatica.projects.get_mut(&record.project_id);
        if let Some(project) = project {
            record.customer.clone_from(&project.customer);
            let next =
                project.last_revenue_change_nbr.as_deref().and_then(|last| last.parse::<u32>().ok()).unwrap_or(0);
            project.last_revenue_change_nbr = Some(format!("{:04}", next + 1));
            record.revenue_change_nbr.clone_from(&project.last_revenue_change_nbr);
        }
        for line in &record.revenue_budget {
            let row = self.budget_row(&record.project_id, "REV", &line.cost_code);
            row.budgeted_co_amount += line.amount;
            row.revised_budgeted_amount += line.amount;
        }
        record
    }

    fn erp_commitment_change(&mut self, order: &ChangeOrder, ref_nbr: &str) -> ErpChangeOrder {
        let mut record = self.erp_change(order, ref_nbr);
        record.class = "COMMITMENT";
        record.commitments_change_total = order.grand_total;
        let Some(link) = self.erp_orders.get_mut(&order.contract_id) else { return record };
        let target = if link.order_type == "Subcontract" {
            self.acumatica.subcontracts.get_mut(&link.order_nbr)
        } else {
            self.acumatica.purchase_orders.get_mut(&format!("Normal|{}", link.order_nbr))
        };
        let Some(target) = target else { return record };
        for line in &order.lines {
            let line_nbr = super::faults::orders::next_line(target);
            link.lines.insert(order.legacy_package_id.unwrap_or(order.id), line_nbr);
            let detail = order_line(
                line_nbr,
                &record.project_id,
                &line.cost_code,
                line.cost_type,
                &line.description,
                line.amount,
                target.retainage_pct,
            );
            record.commitments.push(ErpChangeOrderCommitment {
                po_type: link.order_type,
                po_nbr: link.order_nbr.clone(),
                po_line_nbr: line_nbr,
                vendor: target.vendor_id.clone(),
                project_task_id: TASK.to_owned(),
                cost_code: line.cost_code.clone(),
                account: detail.account.clone(),
                description: line.description.clone(),
                amount: line.amount,
                status: "New Line",
            });
            target.details.push(detail);
        }
        target.last_modified_at = self.now;
        total(target);
        for line in &order.lines {
            let row = self.budget_row(&record.project_id, line.cost_type, &line.cost_code);
            row.committed_co_amount += line.amount;
            row.revised_committed_amount += line.amount;
            row.committed_open_amount += line.amount;
        }
        record
    }

    fn export_requisition(&mut self, id: ProcoreId, fault: Option<usize>) -> bool {
        let Some(requisition) = self.procore.requisitions.get(&id).cloned() else { return false };
        let contract = requisition.commitment_id;
        let vendor = self.erp_vendors.get(&requisition.vendor_id).cloned();
        let (Some(vendor), Some(link)) = (vendor, self.erp_orders.get(&contract).cloned()) else {
            self.block(contract, Export::Requisition(id), fault);
            return false;
        };
        if fault.is_none() && self.lose_requisition(&requisition) {
            return false;
        }
        let keys = self.bill(&requisition, &vendor, &link);
        let mut keeps = self.chance(850) && keys.len() == 1;
        if let [key] = keys.as_slice() {
            keeps &= !self.bill_alike(&requisition, key);
        }
        if keys.len() > 1 {
            let pairs = keys.iter().map(|key| ("vendor_invoices".to_owned(), id.to_string(), key.clone()));
            self.crosswalk.extend(pairs);
        }
        let now = self.now;
        if let Some(record) = self.procore.requisitions.get_mut(&id) {
            record.erp_status = "synced";
            record.updated_at = now;
            record.origin_id = keys.first().filter(|_| keeps).and_then(|key| key.split('|').nth(1)).map(str::to_owned);
        }
        true
    }

    fn export_application(&mut self, id: ProcoreId, fault: Option<usize>) -> bool {
        let Some(application) = self.procore.payment_applications.get(&id).cloned() else { return false };
        if fault.is_none() && self.lose_application(&application) {
            return false;
        }
        let reference = self.invoice(&application);
        let keeps = self.chance(850);
        let now = self.now;
        if let (true, Some(record)) = (keeps, self.procore.payment_applications.get_mut(&id)) {
            record.origin_id = Some(reference);
            record.updated_at = now;
        }
        true
    }

    /// What an ERP document's payment becomes in Procore: a payment on its contract.
    pub(super) fn mirror_payment(&mut self, payment: &str, document: &str) {
        let pair = (payment.to_owned(), document.to_owned());
        let Some(contract) = self.document_contracts.get(document).copied() else { return };
        if self.mirrored.contains_key(&pair) {
            return;
        }
        let billed = self.billed.get(document).copied();
        if self.is_put_off(Event::MirrorPayment(pair.0.clone(), pair.1.clone())) {
            return;
        }
        let Some((amount, date, reference)) = self.paid(payment, document) else { return };
        let amount = self.amount_as_mirrored(&pair, amount);
        let requisition = billed.and_then(|id| self.procore.requisitions.get(&id));
        let application = billed.and_then(|id| self.procore.payment_applications.get(&id));
        let number = requisition.map(|record| record.number).or(application.map(|record| record.number));
        let invoice_number = requisition.and_then(|record| record.invoice_number.clone());
        let invoice_number = invoice_number.or(application.map(|record| record.invoice_number.clone()));
        let project_id = self.contract_project(contract);
        let requisition_id = requisition.map(|record| record.id);
        let issued = self.procore.contract_payments.values().filter(|record| record.contract_id == contract).count();
        let reference_nbr = payment.split('|').nth(1).unwrap_or_default().to_owned();
        let record = ContractPayment {
            id: self.procore_id(),
            project_id,
            contract_id: contract,
            requisition_id,
            amount,
            date,
            check_number: reference,
            invoice_number: invoice_number.unwrap_or_default(),
            payment_number: u32::try_from(issued).unwrap_or_default() + 1,
            draw_request_number: number,
            notes: None,
            status: "paid",
            // One check may pay several bills; the key names both.
            origin_id: Some(format!("{reference_nbr}-{}", document.split('|').nth(1).unwrap_or_default())),
            origin_code: Some(reference_nbr),
            created_at: self.now,
            updated_at: self.now,
        };
        let id = record.id;
        self.procore.contract_payments.insert(id, record);
        self.mirrored.insert(pair.clone(), id);
        self.count_payment(contract, billed, amount);
        self.note_miskeyed(&pair, id);
    }

    /// A voided payment disappears from Procore.
    pub(super) fn unmirror_payment(&mut self, payment: &str, document: &str) {
        if self.is_put_off(Event::UnmirrorPayment(payment.to_owned(), document.to_owned())) {
            return;
        }
        let Some(id) = self.mirrored.remove(&(payment.to_owned(), document.to_owned())) else { return };
        let Some(record) = self.procore.contract_payments.remove(&id) else { return };
        let billed = self.billed.get(document).copied();
        self.count_payment(record.contract_id, billed, -record.amount);
    }

    fn contract_project(&self, contract: ProcoreId) -> ProcoreId {
        let commitment = self.procore.commitments.get(&contract).map(|record| record.project_id);
        let prime = || self.procore.prime_contracts.get(&contract).map(|record| record.project_id);
        commitment.or_else(prime).unwrap_or_default()
    }

    pub(super) fn count_payment(&mut self, contract: ProcoreId, billed: Option<ProcoreId>, amount: Cents) {
        let now: DateTime<Utc> = self.now;
        if let Some(record) = self.procore.commitments.get_mut(&contract) {
            record.total_payments += amount;
            record.updated_at = now;
            record.retotal();
        }
        if let Some(record) = self.procore.prime_contracts.get_mut(&contract) {
            record.total_payments += amount;
            record.updated_at = now;
            record.retotal();
        }
        let Some(billed) = billed else { return };
        if let Some(record) = self.procore.payment_applications.get_mut(&billed) {
            record.total_amount_paid += amount;
            record.updated_at = now;
        }
        let payments = self.procore.contract_payments.values().filter(|record| record.requisition_id == Some(billed));
        let paid: Cents = payments.map(|record| record.amount).sum();
        if let Some(record) = self.procore.requisitions.get_mut(&billed) {
            let is_paid = paid >= record.summary.current_payment_due && !paid.is_zero();
            record.payment_date = is_paid.then(|| now.date_naive());
            record.updated_at = now;
        }
    }
}

pub(super) fn order_line(
    number: i32,
    project: &str,
    code: &str,
    group: &str,
    text: &str,
    amount: Cents,
    retainage: Rate,
) -> ErpCommitmentLine {
    ErpCommitmentLine {
        line_nbr: number,
        project: project.to_owned(),
        task: TASK.to_owned(),
        cost_code: code.to_owned(),
        account: account_of(group).to_owned(),
        inventory_id: None,
        line_description: text.to_owned(),
        uom: Some("LS"),
        order_qty: 1,
        unit_cost: amount,
        extended_cost: amount,
        retainage_pct: retainage,
        retainage_amount: amount.at(retainage),
        amount,
        closed: false,
        completed: false,
        canceled: false,
    }
}

pub(super) fn total(order: &mut ErpCommitment) {
    order.line_total = order.details.iter().map(|line| line.extended_cost).sum();
    order.retainage_total = order.details.iter().map(|line| line.retainage_amount).sum();
    order.order_total = order.line_total + order.tax_total;
}

/// What a requisition's or application's line brings to an ERP document, if anything.
pub(super) fn billed_line(line: &super::model::G703Line) -> Option<(Cents, Cents, Rate)> {
    let (gross, retained) = (gross(line), retained(line));
    (!gross.is_zero() || !retained.is_zero()).then_some((gross, retained, line.retainage_percent))
}
