//! Mishaps of commitments and change orders.

use std::collections::BTreeMap;

use super::super::Firm;
use super::super::connector::{order_line, total};
use super::super::jobs::TASK;
use super::super::model::{
    Cents, ChangeOrder, ChangeOrderKind, Commitment, CommitmentKind, ErpChangeOrder, ErpChangeOrderCommitment,
    ErpCommitment, ProcoreId,
};
use super::super::names::ACCOUNTS;
use super::mishaps::{Mishap, Undo};
use super::{Export, Heal};

impl Firm {
    /// O3: what accounting keys of a change order, which may be another amount.
    pub(in crate::firm) fn as_keyed(&mut self, order: &ChangeOrder, reference: &str) -> ChangeOrder {
        let mut keyed = order.clone();
        if order.grand_total.is_zero() || !self.is_befallen(Mishap::ChangeMiskeyed) {
            return keyed;
        }
        self.spoil(order.id);
        self.with_mishap_chances(|firm| {
            let more = Cents(firm.between(2_000, 90_000));
            if let Some(line) = keyed.lines.first_mut() {
                line.amount += more;
            }
            keyed.grand_total += more;
            let ids = (Some(order.id), Some(reference));
            let note = format!("{} was keyed with {more} too much", order.number);
            let first = firm.record(("O3", "change_orders"), ids, Some("amount"), Some(more), note);
            firm.may_undo(first, Undo::CorrectChange(reference.to_owned(), more), (15, 60));
        });
        keyed
    }

    /// R3: somebody stores on each of two change orders of one contract the id of the other. Their amounts differ then (O3).
    pub(super) fn confuse_links(&mut self) -> Option<()> {
        let mut linked: BTreeMap<ProcoreId, Vec<(ChangeOrder, String)>> = BTreeMap::new();
        for order in self.procore.change_orders.values() {
            let package = order.legacy_package_id.and_then(|id| self.procore.change_order_packages.get(&id));
            let Some(reference) = package.and_then(|package| package.origin_id.clone()) else { continue };
            let record = self.acumatica.change_orders.get(&reference);
            let is_good = order.status == "approved" && order.kind == ChangeOrderKind::Commitment;
            if is_good && self.is_whole(order.id) && record.is_some_and(|record| record.status == "Closed") {
                linked.entry(order.contract_id).or_default().push((order.clone(), reference));
            }
        }
        let pairs: Vec<_> = linked.into_values().filter(|orders| orders.len() > 1).collect();
        let [(one, one_erp), (other, other_erp), ..] = self.pick(&pairs)?.as_slice() else { return None };
        let (one, one_erp, other, other_erp) = (one.clone(), one_erp.clone(), other.clone(), other_erp.clone());
        self.swap_links(one.id, other.id);
        let more = (one.grand_total - other.grand_total).abs();
        let mut first = None;
        for (order, erp) in [(&one, &other_erp), (&other, &one_erp)] {
            self.spoil(order.id);
            let ids = (Some(order.id), Some(erp.as_str()));
            let note = format!("{} stores the id of another", order.number);
            let fault = self.record(("R3", "change_orders"), ids, None, Some(order.grand_total), note.clone());
            first = first.or(Some(fault));
            if !more.is_zero() {
                self.record(("O3", "change_orders"), ids, Some("amount"), Some(more), note);
            }
        }
        self.may_undo(first?, Undo::SwapLinks(one.id, other.id), (20, 70));
        Some(())
    }

    pub(super) fn swap_links(&mut self, one: ProcoreId, other: ProcoreId) {
        let package = |firm: &Self, id| firm.procore.change_orders.get(&id).and_then(|order| order.legacy_package_id);
        let packages = [one, other].map(|id| package(self, id));
        let references = packages.map(|id| Some(self.procore.change_order_packages.get(&id?)?.origin_id.clone()));
        let now = self.now;
        for (id, reference) in packages.into_iter().zip(references.into_iter().rev()) {
            let record = id.and_then(|id| self.procore.change_order_packages.get_mut(&id));
            if let (Some(record), Some(reference)) = (record, reference) {
                record.origin_code.clone_from(&reference);
                (record.origin_id, record.updated_at) = (reference, now);
            }
        }
    }

    /// O5: a change order that accounting enters and does not release. It has moved neither order nor budget.
    pub(in crate::firm) fn hold_change(&mut self, order: &ChangeOrder, record: &mut ErpChangeOrder) {
        if !self.is_whole(order.id) || !self.is_befallen(Mishap::ChangeHeld) {
            return;
        }
        self.spoil(order.id);
        self.withdraw(record);
        self.with_mishap_chances(|firm| {
            let is_held = firm.chance(500);
            (record.status, record.hold) = if is_held { ("On Hold", true) } else { ("Open", false) };
            // Where nothing was ever released, approved is as far as it gets.
            if !firm.acumatica.change_orders.values().any(|other| other.status == "Closed") {
                (record.status, record.hold) = ("On Hold", true);
            }
            let ids = (Some(order.id), Some(record.ref_nbr.as_str()));
            let amount = Some(order.grand_total);
            let note = format!("{} is {} in the ERP", order.number, record.status);
            let first = firm.record(("O5", "change_orders"), ids, Some("approval_status"), amount, note);
            firm.backdate_from(first, order.reviewed_at.unwrap_or(firm.now));
            firm.may_undo(first, Undo::ReleaseChange(record.ref_nbr.clone()), (15, 60));
        });
    }

    /// Takes what a change order did off order and budgets.
    fn withdraw(&mut self, record: &ErpChangeOrder) {
        for line in &record.revenue_budget {
            let row = self.budget_row(&record.project_id, &line.account_group, &line.cost_code);
            row.budgeted_co_amount -= line.amount;
            row.revised_budgeted_amount -= line.amount;
        }
        for line in &record.commitments {
            if let Some(order) = self.erp_order(line.po_type, &line.po_nbr) {
                order.details.retain(|detail| detail.line_nbr != line.po_line_nbr);
                total(order);
            }
            self.commit_row(&record.project_id, line, -line.amount);
        }
    }

    /// Puts it on them.
    fn apply_change(&mut self, record: &mut ErpChangeOrder) {
        for line in &record.revenue_budget {
            let row = self.budget_row(&record.project_id, &line.account_group, &line.cost_code);
            row.budgeted_co_amount += line.amount;
            row.revised_budgeted_amount += line.amount;
        }
        let now = self.now;
        for line in &mut record.commitments {
            if let Some(order) = self.erp_order(line.po_type, &line.po_nbr) {
                line.po_line_nbr = next_line(order);
                let group = group_of(&line.account);
                let mut detail = order_line(
                    line.po_line_nbr,
                    &record.project_id,
                    &line.cost_code,
                    group,
                    &line.description,
                    line.amount,
                    order.retainage_pct,
                );
                detail.account.clone_from(&line.account);
                order.details.push(detail);
                order.last_modified_at = now;
                total(order);
            }
        }
        for line in record.commitments.clone() {
            self.commit_row(&record.project_id, &line, line.amount);
        }
    }

    fn commit_row(&mut self, project: &str, line: &ErpChangeOrderCommitment, amount: Cents) {
        let row = self.budget_row(project, group_of(&line.account), &line.cost_code);
        row.committed_co_amount += amount;
        row.revised_committed_amount += amount;
        row.committed_open_amount += amount;
    }

    fn erp_order(&mut self, order_type: &str, order_nbr: &str) -> Option<&mut ErpCommitment> {
        if order_type == "Subcontract" {
            self.acumatica.subcontracts.get_mut(order_nbr)
        } else {
            self.acumatica.purchase_orders.get_mut(&format!("Normal|{order_nbr}"))
        }
    }

    fn order_of(&mut self, contract: ProcoreId) -> Option<&mut ErpCommitment> {
        let link = self.erp_orders.get(&contract)?.clone();
        self.erp_order(link.order_type, &link.order_nbr)
    }

    pub(super) fn release_change(&mut self, reference: &str) {
        let Some(mut record) = self.acumatica.change_orders.get(reference).cloned() else { return };
        self.apply_change(&mut record);
        (record.status, record.hold, record.last_modified_at) = ("Closed", false, self.now);
        self.acumatica.change_orders.insert(reference.to_owned(), record);
    }

    pub(super) fn reverse_change(&mut self, reference: &str) {
        let Some(mut record) = self.acumatica.change_orders.get(reference).cloned() else { return };
        self.withdraw(&record);
        (record.status, record.last_modified_at) = ("Canceled", self.now);
        self.acumatica.change_orders.insert(reference.to_owned(), record);
    }

    pub(super) fn correct_change(&mut self, reference: &str, by: Cents) {
        let Some(mut record) = self.acumatica.change_orders.get(reference).cloned() else { return };
        self.withdraw(&record);
        if let Some(line) = record.commitments.first_mut() {
            line.amount -= by;
            record.commitments_change_total -= by;
        } else if let Some(line) = record.revenue_budget.first_mut() {
            line.amount -= by;
            record.revenue_budget_change_total -= by;
        }
        self.apply_change(&mut record);
        record.last_modified_at = self.now;
        self.acumatica.change_orders.insert(reference.to_owned(), record);
    }

    /// O4: accounting agrees on extra work with a subcontractor and enters it for itself.
    pub(super) fn enter_erp_change(&mut self) -> Option<()> {
        let sent = self.sent_commitments();
        let contract = *self.pick(&sent)?;
        let link = self.erp_orders.get(&contract)?.clone();
        let order = self.order_of(contract)?.clone();
        let on = order.details.first()?.clone();
        let amount = Cents(self.between(30_000, 900_000));
        let reference = self.reference("change order");
        let today = self.today();
        let mut record = ErpChangeOrder {
            ref_nbr: reference.clone(),
            class: "COMMITMENT",
            project_id: on.project,
            customer: None,
            status: "Closed",
            hold: false,
            change_date: today,
            completion_date: Some(today),
            approval_date: Some(today),
            contract_time_change_days: 0,
            description: "Extra work agreed by phone".to_owned(),
            external_ref_nbr: None,
            revenue_change_nbr: None,
            revenue_budget_change_total: Cents::ZERO,
            cost_budget_change_total: Cents::ZERO,
            commitments_change_total: amount,
            revenue_budget: Vec::new(),
            cost_budget: Vec::new(),
            commitments: vec![ErpChangeOrderCommitment {
                po_type: link.order_type,
                po_nbr: link.order_nbr,
                po_line_nbr: 0,
                vendor: order.vendor_id,
                project_task_id: TASK.to_owned(),
                cost_code: on.cost_code,
                account: on.account,
                description: "Extra work".to_owned(),
                amount,
                status: "New Line",
            }],
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        self.apply_change(&mut record);
        self.acumatica.change_orders.insert(reference.clone(), record);
        let id = format!("{reference}|commitment|{}", self.order_key(contract)?);
        let note = format!("{reference} has no change order in Procore");
        let first = self.record(("O4", "change_orders"), (None, Some(&id)), None, Some(amount), note);
        self.may_undo(first, Undo::ReverseChange(reference), (15, 60));
        Some(())
    }

    /// The natural key of the ERP's order of a commitment.
    pub fn order_key(&self, contract: ProcoreId) -> Option<String> {
        let link = self.erp_orders.get(&contract)?;
        let is_subcontract = link.order_type == "Subcontract";
        Some(if is_subcontract { link.order_nbr.clone() } else { format!("Normal|{}", link.order_nbr) })
    }

    /// M1: an approved commitment that nobody sends. What hangs on it waits with it.
    pub(in crate::firm) fn lose_commitment(&mut self, record: &Commitment) -> bool {
        if !self.is_befallen(Mishap::CommitmentLost) {
            return false;
        }
        self.spoil(record.id);
        self.with_mishap_chances(|firm| {
            let note = format!("{} was never sent", record.number);
            let amount = Some(record.revised_contract);
            let fault = firm.record(("M1", "commitments"), (Some(record.id), None), None, amount, note);
            firm.backdate(fault, record.updated_at);
            firm.may_heal(fault, Heal::Export(Export::Commitment(record.id)), 15, 60);
        });
        true
    }

    /// M2 and M4: an order that is keyed with another amount, or entered on hold.
    pub(in crate::firm) fn spoil_order(&mut self, record: &Commitment, order: &mut ErpCommitment) {
        let is_miskeyed = self.is_befallen(Mishap::CommitmentMiskeyed);
        let is_held = !is_miskeyed && self.is_befallen(Mishap::CommitmentHeld);
        if !is_miskeyed && !is_held {
            return;
        }
        self.spoil(record.id);
        let key = if record.kind == CommitmentKind::WorkOrder {
            order.order_nbr.clone()
        } else {
            format!("Normal|{}", order.order_nbr)
        };
        let ids = (Some(record.id), Some(key.as_str()));
        self.with_mishap_chances(|firm| {
            if is_held {
                (order.status, order.hold) = ("On Hold", true);
                let note = format!("{} is on hold in the ERP", record.number);
                let first = firm.record(("M4", "commitments"), ids, Some("approval_status"), None, note);
                firm.backdate_from(first, record.updated_at);
                firm.may_undo(first, Undo::ReleaseOrder(record.id), (15, 60));
                return;
            }
            let more = Cents(firm.between(20_000, 500_000));
            add_to_first_line(order, more);
            let first = firm.faults.len();
            for field in ["original_amount", "revised_amount"] {
                let note = format!("{} was keyed with {more} too much", record.number);
                firm.record(("M2", "commitments"), ids, Some(field), Some(more), note);
            }
            firm.backdate_from(first, record.updated_at);
            firm.may_undo(first, Undo::CorrectOrder(record.id, more), (15, 60));
        });
    }

    pub(super) fn correct_order(&mut self, contract: ProcoreId, by: Cents) {
        let now = self.now;
        let Some(order) = self.order_of(contract) else { return };
        add_to_first_line(order, -by);
        order.last_modified_at = now;
    }

    pub(super) fn set_order_status(&mut self, contract: ProcoreId, status: &'static str) {
        let now = self.now;
        let Some(order) = self.order_of(contract) else { return };
        (order.status, order.hold, order.last_modified_at) = (status, false, now);
    }

    /// M3: a subcontractor sells his business; the commitment is assigned to the buyer in Procore, and nobody bills on it since.
    pub(super) fn reassign_commitment(&mut self) -> Option<()> {
        let sent = self.sent_commitments();
        let contract = *self.pick(&sent)?;
        let record = self.procore.commitments.get(&contract)?;
        let (before, number) = (record.vendor_id?, record.number.clone());
        let others: Vec<ProcoreId> = self.erp_vendors.keys().copied().filter(|vendor| *vendor != before).collect();
        let vendor = *self.pick(&others)?;
        self.spoil(contract);
        self.resting.insert(contract);
        self.assign_commitment(contract, vendor);
        let key = self.order_key(contract)?;
        let note = format!("{number} was assigned to another vendor in Procore");
        let ids = (Some(contract), Some(key.as_str()));
        let first = self.record(("M3", "commitments"), ids, Some("vendor_id"), None, note);
        self.may_undo(first, Undo::AssignBack(contract, before), (15, 60));
        Some(())
    }

    pub(super) fn assign_commitment(&mut self, contract: ProcoreId, vendor: ProcoreId) {
        let now = self.now;
        if let Some(record) = self.procore.commitments.get_mut(&contract) {
            (record.vendor_id, record.updated_at) = (Some(vendor), now);
        }
    }

    /// M4: a project team closes a commitment; accounting keeps it open.
    pub(super) fn close_commitment(&mut self) -> Option<()> {
        let sent = self.sent_commitments();
        let contract = *self.pick(&sent)?;
        let now = self.now;
        let record = self.procore.commitments.get_mut(&contract)?;
        record.status = if record.kind == CommitmentKind::WorkOrder { "Complete" } else { "Closed" };
        record.updated_at = now;
        let number = record.number.clone();
        self.spoil(contract);
        let key = self.order_key(contract)?;
        let note = format!("{number} is closed in Procore and open in the ERP");
        let ids = (Some(contract), Some(key.as_str()));
        let first = self.record(("M4", "commitments"), ids, Some("approval_status"), None, note);
        self.may_undo(first, Undo::CloseOrder(contract), (15, 60));
        Some(())
    }

    /// M6: accounting orders material for a project without telling it.
    pub(super) fn order_past_procore(&mut self) -> Option<()> {
        let job = self.any_job()?;
        let cells: Vec<_> = job.cells.iter().filter(|cell| cell.cost_type == "M").cloned().collect();
        let cell = self.pick(&cells)?.clone();
        let vendors: Vec<String> = self.erp_vendors.values().cloned().collect();
        let vendor_id = self.pick(&vendors)?.clone();
        let amount = Cents(self.between(60_000, 1_500_000));
        let order_nbr = self.reference("purchase order");
        let mut order = ErpCommitment {
            order_type: "Normal",
            order_nbr: order_nbr.clone(),
            status: "Open",
            hold: false,
            date: self.today(),
            description: cell.title.to_owned(),
            vendor_id,
            vendor_ref: Some(format!("Q-{}", 4_000 + self.next_number("quote"))),
            terms: "30D",
            currency_id: "USD",
            line_total: Cents::ZERO,
            tax_total: Cents::ZERO,
            retainage_total: Cents::ZERO,
            order_total: Cents::ZERO,
            apply_retainage: true,
            retainage_pct: self.options.retainage,
            details: vec![order_line(
                1,
                &job.number,
                cell.cost_code,
                cell.cost_type,
                cell.title,
                amount,
                self.options.retainage,
            )],
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        total(&mut order);
        let key = format!("Normal|{order_nbr}");
        self.acumatica.purchase_orders.insert(key.clone(), order);
        let row = self.budget_row(&job.number, cell.cost_type, cell.cost_code);
        row.original_committed_amount += amount;
        row.revised_committed_amount += amount;
        row.committed_open_amount += amount;
        let note = format!("order {order_nbr} is on {} and not in Procore", job.number);
        let first = self.record(("M6", "commitments"), (None, Some(&key)), None, Some(amount), note);
        self.may_undo(first, Undo::CancelOrder(key), (15, 60));
        Some(())
    }

    pub(super) fn cancel_order(&mut self, key: &str) {
        let now = self.now;
        let Some(order) = self.acumatica.purchase_orders.get_mut(key) else { return };
        (order.status, order.last_modified_at) = ("Canceled", now);
        for line in &mut order.details {
            line.canceled = true;
        }
    }
}

fn add_to_first_line(order: &mut ErpCommitment, more: Cents) {
    if let Some(line) = order.details.first_mut() {
        line.amount += more;
        line.unit_cost = line.amount;
        line.extended_cost = line.amount;
        line.retainage_amount = line.amount.at(line.retainage_pct);
    }
    total(order);
}

/// The number of the next line of an order.
pub(in crate::firm) fn next_line(order: &ErpCommitment) -> i32 {
    order.details.iter().map(|line| line.line_nbr).max().unwrap_or_default() + 1
}

fn group_of(account: &str) -> &'static str {
    ACCOUNTS.iter().find(|row| row.0 == account).and_then(|row| row.4).unwrap_or("O")
}
