//! How a project starts: on one day in both systems, with its codes, its budget and the contract with the owner.

use chrono::Days;

use super::Firm;
use super::life::Cell;
use super::model::{
    BudgetLine, Cents, CostCode, ErpBudget, ErpProject, ErpTask, PrimeContract, ProcoreId, Project, Rate,
};
use super::names::CODES;

/// The one task that every project has; the connector hides the level.
pub(super) const TASK: &str = "0000";

impl Firm {
    pub(super) fn start_job(&mut self, index: usize) {
        self.open_job(index);
        self.plan_job(index);
    }

    /// The project, its budget and its prime contract.
    pub(super) fn open_job(&mut self, index: usize) {
        let Some(job) = self.job(index).cloned() else { return };
        let now = self.now;
        let days = u64::try_from(job.months * 30).unwrap_or_default();
        let record = self.project_record(&job.number, &job.name, job.start, job.start + Days::new(days), now);
        let project = record.id;
        let cells = self.start_codes(index, project);
        let value: Cents = cells.iter().map(|cell| cell.budget).sum();
        let erp = ErpProject {
            project_id: job.number.clone(),
            description: job.name.clone(),
            customer: Some(job.customer.clone()),
            status: "Active",
            hold: false,
            external_ref_nbr: Some(project.to_string()),
            income: Cents::ZERO,
            expenses: Cents::ZERO,
            start_date: record.start_date,
            end_date: record.completion_date,
            project_manager: record.project_manager.clone(),
            retainage_pct: self.options.retainage,
            last_revenue_change_nbr: None,
            note_id: self.note_id(),
            created_at: now,
            last_modified_at: now,
        };
        let origin = Some(job.number.clone());
        let record = Project {
            origin_id: origin.clone(),
            origin_code: origin,
            total_value: value.share(112, 100),
            budget_locked: true,
            ..record
        };
        self.procore.projects.insert(project, record);
        self.acumatica.projects.insert(job.number.clone(), erp);
        let task = ErpTask {
            project_id: job.number.clone(),
            project_task_id: TASK.to_owned(),
            description: "Construction".to_owned(),
            status: "Active",
            is_default: true,
            external_ref_nbr: None,
            last_modified_at: now,
        };
        self.acumatica.project_tasks.insert(format!("{}|{TASK}", job.number), task);
        for cell in &cells {
            self.start_budget(project, &job.number, cell);
        }
        if let Some(job) = self.jobs.get_mut(index) {
            job.project_id = project;
            job.cells.clone_from(&cells);
        }
        self.start_prime_contract(index, &cells);
    }

    fn start_codes(&mut self, index: usize, project_id: ProcoreId) -> Vec<Cell> {
        let now = self.now;
        let mut cells = Vec::new();
        for (position, (code, name, types)) in (1..).zip(CODES) {
            let id = self.procore_id();
            let standard = self.procore.standard_cost_codes.values().find(|standard| standard.full_code == code);
            let record = CostCode {
                id,
                project_id,
                code: code.to_owned(),
                full_code: code.to_owned(),
                name: name.to_owned(),
                parent_id: None,
                standard_cost_code_id: standard.map(|standard| standard.id),
                budgeted: true,
                position,
                origin_id: None,
                created_at: now,
                updated_at: now,
                deleted_at: None,
            };
            self.procore.cost_codes.insert(id, record);
            if let Some(job) = self.jobs.get_mut(index) {
                job.codes.insert(code, id);
            }
            for letter in types.chars() {
                let found = self.procore.cost_types.values().find(|cost_type| cost_type.code.starts_with(letter));
                let Some((type_id, cost_type)) = found.map(|cost_type| (cost_type.id, cost_type.code)) else {
                    continue;
                };
                cells.push(Cell {
                    cost_code_id: id,
                    cost_code: code,
                    title: name,
                    line_item_type_id: type_id,
                    cost_type,
                    wbs_code_id: self.procore_id(),
                    budget: Cents(self.between(1_500_000, 32_000_000)),
                });
            }
        }
        cells
    }

    pub(super) fn start_budget(&mut self, project_id: ProcoreId, number: &str, cell: &Cell) {
        let now = self.now;
        let line = BudgetLine {
            id: self.procore_id(),
            project_id,
            wbs_code_id: cell.wbs_code_id,
            cost_code_id: cell.cost_code_id,
            cost_code: cell.cost_code.to_owned(),
            line_item_type_id: cell.line_item_type_id,
            cost_type: cell.cost_type,
            original_budget_amount: cell.budget,
            budget_modifications: Cents::ZERO,
            approved_change_orders: Cents::ZERO,
            revised_budget: cell.budget,
            committed_costs: Cents::ZERO,
            job_to_date_costs: Cents::ZERO,
            created_at: now,
            updated_at: now,
        };
        let key = budget_key(number, cell.cost_type, cell.cost_code);
        self.budget_lines.insert(key, line.id);
        self.procore.budget_lines.insert(line.id, line);
        let row = self.budget_row(number, cell.cost_type, cell.cost_code);
        row.original_budgeted_amount = cell.budget;
        row.revised_budgeted_amount = cell.budget;
        row.description = String::from(cell.title);
    }

    /// The ERP's budget row, made when first touched.
    pub(super) fn budget_row(&mut self, project: &str, group: &str, code: &str) -> &mut ErpBudget {
        let now = self.now;
        let key = budget_key(project, group, code);
        let row = self.acumatica.project_budgets.entry(key).or_insert_with(|| ErpBudget {
            project_id: project.to_owned(),
            project_task_id: TASK.to_owned(),
            account_group: group.to_owned(),
            cost_code: code.to_owned(),
            inventory_id: "<N/A>".to_owned(),
            budget_type: if group == "REV" { "Income" } else { "Expense" },
            description: String::new(),
            original_budgeted_amount: Cents::ZERO,
            budgeted_co_amount: Cents::ZERO,
            revised_budgeted_amount: Cents::ZERO,
            original_committed_amount: Cents::ZERO,
            committed_co_amount: Cents::ZERO,
            revised_committed_amount: Cents::ZERO,
            committed_invoiced_amount: Cents::ZERO,
            committed_open_amount: Cents::ZERO,
            actual_amount: Cents::ZERO,
            last_modified_at: now,
        });
        row.last_modified_at = now;
        row
    }

    fn start_prime_contract(&mut self, index: usize, cells: &[Cell]) {
        let Some(job) = self.job(index).cloned() else { return };
        // One line a budget row, at the same price plus fee.
        let lines = self.contract_lines(cells, 112, 112);
        let total: Cents = lines.iter().map(|line| line.amount).sum();
        let now = self.now;
        let owner = self.procore.vendors.values().find(|vendor| vendor.name == job.owner).map(|vendor| vendor.id);
        if let Some(owner) = owner.and_then(|owner| self.procore.vendors.get_mut(&owner)) {
            owner.project_ids.push(job.project_id);
        }
        let prime = PrimeContract {
            id: self.procore_id(),
            project_id: job.project_id,
            vendor_id: owner,
            number: format!("{}-PC", job.number),
            title: format!("{} prime contract", job.name),
            status: "Approved",
            executed: true,
            grand_total: total,
            approved_change_orders: Cents::ZERO,
            revised_contract_amount: total,
            pending_change_orders_amount: Cents::ZERO,
            draft_change_orders_amount: Cents::ZERO,
            pending_revised_contract_amount: total,
            owner_invoices_amount: Cents::ZERO,
            total_payments: Cents::ZERO,
            outstanding_balance: Cents::ZERO,
            percentage_paid: Rate(0),
            retainage_percent: self.options.retainage,
            origin_id: Some(job.number.clone()),
            origin_code: Some(job.number.clone()),
            contract_date: Some(job.start),
            execution_date: Some(job.start),
            lines,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        // The connector exports the contract as one summarised revenue line.
        let row = self.budget_row(&job.number, "REV", "00-000");
        row.original_budgeted_amount = total;
        row.revised_budgeted_amount = total;
        if let Some(job) = self.jobs.get_mut(index) {
            job.prime = prime.id;
        }
        self.procore.prime_contracts.insert(prime.id, prime);
    }

    /// Procore counts a commitment against its budget once it is approved.
    pub(super) fn commit_budget(&mut self, commitment: ProcoreId) {
        let Some(commitment) = self.procore.commitments.get(&commitment) else { return };
        let amounts: Vec<_> = commitment.lines.iter().map(|line| (line.wbs_code_id, line.amount)).collect();
        self.add_committed(&amounts);
    }

    pub(super) fn commit_change(&mut self, order: ProcoreId) {
        let Some(order) = self.procore.change_orders.get(&order) else { return };
        let amounts: Vec<_> = order.lines.iter().map(|line| (line.wbs_code_id, line.amount)).collect();
        self.add_committed(&amounts);
    }

    fn add_committed(&mut self, amounts: &[(ProcoreId, Cents)]) {
        let now = self.now;
        for (wbs, amount) in amounts {
            if let Some(line) = self.procore.budget_lines.values_mut().find(|line| line.wbs_code_id == *wbs) {
                line.committed_costs += *amount;
                line.updated_at = now;
            }
        }
    }

    /// At night Procore takes over job cost to date for the rows that moved.
    pub(super) fn mirror_budgets(&mut self) {
        let now = self.now;
        for key in std::mem::take(&mut self.stale_budgets) {
            let (Some(row), Some(line)) = (self.acumatica.project_budgets.get(&key), self.budget_lines.get(&key))
            else {
                continue;
            };
            if let Some(line) = self.procore.budget_lines.get_mut(line) {
                line.job_to_date_costs = row.actual_amount;
                line.updated_at = now;
            }
        }
        self.mirror_direct_costs();
    }

    /// The Procore project and the ERP's number of a project.
    pub(super) fn project_number(&self, project: ProcoreId) -> String {
        self.procore.projects.get(&project).and_then(|project| project.origin_id.clone()).unwrap_or_default()
    }
}

pub(super) fn budget_key(project: &str, group: &str, code: &str) -> String {
    format!("{project}|{TASK}|{group}|{code}|<N/A>")
}
