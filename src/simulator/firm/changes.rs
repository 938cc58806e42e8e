//! Change orders in Procore: drafted, submitted, decided; each with the package that bears the ERP's key.

use super::Firm;
use super::life::{Event, Export};
use super::model::{Cents, ChangeOrder, ChangeOrderKind, ChangeOrderLine, ChangeOrderPackage, ContractLine, ProcoreId};

impl Firm {
    pub(super) fn propose_change_orders(&mut self, index: usize) {
        if self.chance(550) {
            self.propose_prime_change_order(index);
        }
        let commitments = self.job(index).map(|job| job.commitments.clone()).unwrap_or_default();
        for id in commitments {
            if self.chance(220) {
                self.propose_commitment_change_order(id);
            }
        }
    }

    fn propose_prime_change_order(&mut self, index: usize) {
        let Some(prime) = self.job(index).and_then(|job| self.procore.prime_contracts.get(&job.prime)) else { return };
        let (project, contract, lines) = (prime.project_id, prime.id, prime.lines.clone());
        if let Some(line) = self.pick(&lines).cloned() {
            self.propose(ChangeOrderKind::Prime, project, contract, &line);
        }
    }

    fn propose_commitment_change_order(&mut self, id: ProcoreId) {
        let Some(commitment) = self.procore.commitments.get(&id) else { return };
        if commitment.status != "Approved" || commitment.deleted_at.is_some() {
            return;
        }
        let (project, lines) = (commitment.project_id, commitment.lines.clone());
        if let Some(line) = self.pick(&lines).cloned() {
            self.propose(ChangeOrderKind::Commitment, project, id, &line);
        }
    }

    fn propose(&mut self, kind: ChangeOrderKind, project_id: ProcoreId, contract_id: ProcoreId, on: &ContractLine) {
        let amount = match self.between(0, 99) {
            0..=5 => Cents::ZERO,
            6..=22 => -Cents(self.between(20_000, 800_000)),
            _ => Cents(self.between(50_000, 4_500_000)),
        };
        let reasons = ["Owner request", "Unforeseen rock", "Design clarification", "Code requirement", "Allowance"];
        let title = format!("{}: {}", self.pick(&reasons).unwrap_or(&"Change"), on.description);
        let id = self.draft_change_order((kind, project_id, contract_id), title, &[(on, amount)]);
        // One in ten never leaves the drawer.
        if !self.chance(100) {
            let at = self.days_on(1, 8);
            self.schedule(at, Event::SubmitChangeOrder(id));
        }
    }

    /// A change order and its package; each line takes its codes from a line of the contract.
    pub(super) fn draft_change_order(
        &mut self,
        (kind, project_id, contract_id): (ChangeOrderKind, ProcoreId, ProcoreId),
        title: String,
        amounts: &[(&ContractLine, Cents)],
    ) -> ProcoreId {
        let orders = self.procore.change_orders.values();
        let number = orders.filter(|order| order.contract_id == contract_id).count() + 1;
        let prefix = if kind == ChangeOrderKind::Prime { "PCO" } else { "CCO" };
        let amount: Cents = amounts.iter().map(|(_, amount)| *amount).sum();
        let now = self.now;
        let mut lines = Vec::with_capacity(amounts.len());
        for (position, (on, amount)) in (1..).zip(amounts) {
            lines.push(ChangeOrderLine {
                id: self.procore_id(),
                position,
                description: title.clone(),
                amount: *amount,
                cost_code_id: on.cost_code_id,
                cost_code: on.cost_code.clone(),
                line_item_type_id: on.line_item_type_id,
                cost_type: on.cost_type,
                wbs_code_id: on.wbs_code_id,
            });
        }
        let package = ChangeOrderPackage {
            id: self.procore_id(),
            kind,
            project_id,
            contract_id,
            number: format!("{prefix}-{number:03}"),
            title: title.clone(),
            status: "draft",
            executed: false,
            grand_total: amount,
            origin_id: None,
            origin_code: None,
            invoiced_date: None,
            paid_date: None,
            reviewed_at: None,
            revision: 0,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let order = ChangeOrder {
            id: self.procore_id(),
            kind,
            project_id,
            contract_id,
            legacy_package_id: Some(package.id),
            number: package.number.clone(),
            title,
            status: "draft",
            executed: false,
            paid: false,
            private: false,
            grand_total: amount,
            schedule_impact_amount: Some(self.between(0, 10)),
            due_date: None,
            invoiced_date: None,
            paid_date: None,
            reviewed_at: None,
            revision: 0,
            created_by: "Dana Whitfield".to_owned(),
            lines,
            created_at: now,
            updated_at: now,
        };
        let id = order.id;
        self.procore.change_order_packages.insert(package.id, package);
        self.procore.change_orders.insert(id, order);
        self.shift_totals(contract_id, kind, "", "draft", amount);
        id
    }

    pub(super) fn submit_change_order(&mut self, id: ProcoreId) {
        self.move_change_order(id, "pending");
        let is_slow = self.chance(70);
        let at = if is_slow { self.days_on(45, 80) } else { self.days_on(3, 27) };
        self.schedule(at, Event::DecideChangeOrder(id));
        if is_slow {
            let amount = self.procore.change_orders.get(&id).map(|order| order.grand_total);
            let late = self.now + chrono::TimeDelta::days(30);
            let fault = self.fault("O2", "change_orders", Some(id), None);
            self.describe(fault, None, amount, "pending for more than 30 days".to_owned());
            if let Some(fault) = self.faults.get_mut(fault) {
                fault.opened_at = late;
                fault.healed_at = Some(at);
            }
        }
    }

    pub(super) fn decide_change_order(&mut self, id: ProcoreId) {
        let status = match self.between(0, 99) {
            0..=10 => "rejected",
            11..=17 => "void",
            _ => "approved",
        };
        self.move_change_order(id, status);
        let Some(order) = self.procore.change_orders.get(&id) else { return };
        if status == "approved" {
            let (package, project) = (order.legacy_package_id.unwrap_or(id), order.project_id);
            let progress = self.progress(project).clamp(0, 8_500);
            self.windows.insert(package, (progress, 10_000));
            self.export_soon(Export::ChangeOrder(id));
        }
    }

    /// How far through its time a project is, in basis points.
    fn progress(&self, project: ProcoreId) -> i64 {
        let Some(job) = self.jobs.iter().find(|job| job.project_id == project) else { return 0 };
        (self.today() - job.start).num_days() * 10_000 / (job.months * 30).max(1)
    }

    pub(super) fn move_change_order(&mut self, id: ProcoreId, status: &'static str) {
        let now = self.now;
        let Some(order) = self.procore.change_orders.get_mut(&id) else { return };
        let before = order.status;
        let is_decided = status != "pending";
        order.status = status;
        order.executed = status == "approved";
        order.reviewed_at = is_decided.then_some(now);
        order.updated_at = now;
        let (contract, kind, amount, package) =
            (order.contract_id, order.kind, order.grand_total, order.legacy_package_id);
        if let Some(package) = package.and_then(|package| self.procore.change_order_packages.get_mut(&package)) {
            package.status = status;
            package.executed = status == "approved";
            package.reviewed_at = is_decided.then_some(now);
            package.updated_at = now;
        }
        self.shift_totals(contract, kind, before, status, amount);
        if status == "approved" && kind == ChangeOrderKind::Commitment {
            self.commit_change(id);
        }
    }

    /// Moves an amount between a contract's totals by status.
    fn shift_totals(&mut self, contract: ProcoreId, kind: ChangeOrderKind, from: &str, to: &str, amount: Cents) {
        let change = |status: &str| match (to == status, from == status) {
            (true, false) => amount,
            (false, true) => -amount,
            _ => Cents::ZERO,
        };
        let (draft, pending, approved) = (change("draft"), change("pending"), change("approved"));
        let now = self.now;
        match kind {
            ChangeOrderKind::Commitment => {
                let Some(contract) = self.procore.commitments.get_mut(&contract) else { return };
                contract.draft_change_orders_amount += draft;
                contract.pending_change_orders += pending;
                contract.approved_change_orders += approved;
                contract.updated_at = now;
                contract.retotal();
            }
            ChangeOrderKind::Prime => {
                let Some(contract) = self.procore.prime_contracts.get_mut(&contract) else { return };
                contract.draft_change_orders_amount += draft;
                contract.pending_change_orders_amount += pending;
                contract.approved_change_orders += approved;
                contract.updated_at = now;
                contract.retotal();
            }
        }
    }
}
