//! Mishaps of cost codes, budgets and job costs.

use super::super::Firm;
use super::super::books::{CLEARING, account_of, entry};
use super::super::jobs::budget_key;
use super::super::life::{Cell, Job};
use super::super::model::{BudgetAdjustment, BudgetChange, BudgetLine, Cents, CostCode, ErpCostCode, ProcoreId};
use super::super::names::COST_TYPES;
use super::mishaps::Undo;

impl Firm {
    /// C1 and B2: a project budgets on a code of its own; the ERP refuses the row.
    pub(super) fn budget_on_unknown_code(&mut self) -> Option<()> {
        let job = self.any_job()?;
        let like = job.cells.iter().find(|cell| cell.cost_type == "S")?.clone();
        let code = format!("19-{:03}", 90 + 10 * self.next_number("odd code of Procore"));
        let title = "Winter protection".to_owned();
        let amount = Cents(self.between(150_000, 2_500_000));
        let id = self.add_procore_code(job.project_id, &code, &title);
        self.add_procore_row(&job, id, &code, &like, amount);
        let note = format!("{code} is budgeted in Procore and not in the ERP");
        let first = self.record(("C1", "cost_codes"), (Some(id), None), None, Some(amount), note);
        let key = budget_key(&job.number, "S", &code);
        let note = format!("follows from C1 {id}: the ERP has no such code");
        self.record(("B2", "budget_lines"), (Some(job.project_id), Some(&key)), None, Some(amount), note);
        self.may_undo(first, Undo::OpenCode(job.number, "S", code, amount), (20, 60));
        Some(())
    }

    fn add_procore_code(&mut self, project_id: ProcoreId, code: &str, title: &str) -> ProcoreId {
        let id = self.procore_id();
        let now = self.now;
        let position = u32::try_from(self.procore.cost_codes.len()).unwrap_or_default();
        let record = CostCode {
            id,
            project_id,
            code: code.to_owned(),
            full_code: code.to_owned(),
            name: title.to_owned(),
            parent_id: None,
            standard_cost_code_id: None,
            budgeted: true,
            position,
            origin_id: None,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        self.procore.cost_codes.insert(id, record);
        id
    }

    fn add_procore_row(&mut self, job: &Job, code_id: ProcoreId, code: &str, like: &Cell, amount: Cents) -> ProcoreId {
        let now = self.now;
        let line = BudgetLine {
            id: self.procore_id(),
            project_id: job.project_id,
            wbs_code_id: self.procore_id(),
            cost_code_id: code_id,
            cost_code: code.to_owned(),
            line_item_type_id: like.line_item_type_id,
            cost_type: like.cost_type,
            original_budget_amount: amount,
            budget_modifications: Cents::ZERO,
            approved_change_orders: Cents::ZERO,
            revised_budget: amount,
            committed_costs: Cents::ZERO,
            job_to_date_costs: Cents::ZERO,
            created_at: now,
            updated_at: now,
        };
        let id = line.id;
        self.procore.budget_lines.insert(id, line);
        id
    }

    /// Accounting opens the code, if it has none, and the budget row.
    pub(super) fn open_code(&mut self, project: &str, group: &'static str, code: &str, amount: Cents) {
        let now = self.now;
        self.acumatica.cost_codes.entry(code.to_owned()).or_insert_with(|| ErpCostCode {
            cost_code_id: code.to_owned(),
            description: "Winter protection".to_owned(),
            last_modified_at: now,
        });
        let row = self.budget_row(project, group, code);
        (row.original_budgeted_amount, row.revised_budgeted_amount) = (amount, amount);
    }

    /// C2 and B3: payroll goes to a code that the project in Procore never got, so that no direct cost can follow.
    pub(super) fn spend_on_unknown_code(&mut self) -> Option<()> {
        let job = self.any_job()?;
        let position = self.jobs.iter().position(|other| other.number == job.number)?;
        let code = format!("20-{:03}", 90 + 10 * self.next_number("odd code of the ERP"));
        let title = "Warranty calls".to_owned();
        let now = self.now;
        let record = ErpCostCode { cost_code_id: code.clone(), description: title.clone(), last_modified_at: now };
        self.acumatica.cost_codes.insert(code.clone(), record);
        let amount = Cents(self.between(30_000, 700_000));
        let (date, batch) = (self.today(), self.reference("PM batch"));
        let mut line = entry(account_of("L"), &job.number, Some(&code), amount);
        line.description.clone_from(&title);
        let cost = self.cost_line(&line, date, &batch);
        line.project_transaction_id = Some(cost.transaction_id);
        self.post_costs("PM", &batch, "Warranty payroll", None, vec![cost]);
        self.post("PM", batch, date, "", vec![line, entry(CLEARING, super::super::books::NO_PROJECT, None, -amount)]);
        let note = format!("{code} is spent on in the ERP and is not in the project");
        let place = format!("{}|{code}", job.number);
        let first = self.record(("C2", "cost_codes"), (None, Some(&place)), None, Some(amount), note);
        let key = budget_key(&job.number, "L", &code);
        let note = format!("follows from C2 {place}: Procore has no row for it");
        self.record(("B3", "job_costs"), (Some(job.project_id), Some(&key)), None, Some(amount), note);
        self.may_undo(first, Undo::ImportCode(position, code, title), (20, 60));
        Some(())
    }

    /// The project gets the code and a row without money; the cost follows at once.
    pub(super) fn import_code(&mut self, job: usize, code: &str, title: &str) {
        let Some(job) = self.job(job).cloned() else { return };
        let Some(like) = job.cells.iter().find(|cell| cell.cost_type == "L").cloned() else { return };
        let id = self.add_procore_code(job.project_id, code, title);
        let row = self.add_procore_row(&job, id, code, &like, Cents::ZERO);
        self.budget_lines.insert(budget_key(&job.number, "L", code), row);
        self.mirror_direct_costs();
    }

    /// C3: a project team calls a code something else.
    pub(super) fn rename_code(&mut self) -> Option<()> {
        let job = self.any_job()?;
        let codes: Vec<(&'static str, ProcoreId)> = job.codes.iter().map(|(code, id)| (*code, *id)).collect();
        let (code, id) = *self.pick(&codes)?;
        if !self.spoil(id) {
            return None;
        }
        let title = self.procore.cost_codes.get(&id)?.name.clone();
        self.title_code(id, format!("{title} (allowance)"));
        let note = format!("{code} has another title in the project");
        let first = self.record(("C3", "cost_codes"), (Some(id), Some(code)), Some("title"), None, note);
        self.may_undo(first, Undo::TitleCode(id, title), (20, 60));
        Some(())
    }

    pub(super) fn title_code(&mut self, id: ProcoreId, title: String) {
        let now = self.now;
        if let Some(code) = self.procore.cost_codes.get_mut(&id) {
            (code.name, code.updated_at) = (title, now);
        }
    }

    /// C5: a line of last month's payroll stands in the ledger on the account of another cost type.
    pub(super) fn post_to_wrong_account(&mut self) -> Option<()> {
        let since = self.days_ago(35);
        let numbers: Vec<String> = self.own_jobs().into_iter().map(|job| job.number).collect();
        let batches = self.acumatica.project_transactions.range("PM|".to_owned()..="PM|~".to_owned());
        let lines = batches.flat_map(|(key, batch)| batch.details.iter().map(move |line| (key.clone(), line.clone())));
        let lines: Vec<_> = lines
            .filter(|(_, line)| line.date >= since && numbers.contains(&line.project))
            .filter(|(_, line)| line.cost_code.as_deref().is_some_and(|code| !code.starts_with("00")))
            .collect();
        let (key, line) = self.pick(&lines)?.clone();
        let id = format!("{key}|{}", line.transaction_id);
        if !self.spoil(&id) {
            return None;
        }
        let others: Vec<&str> = COST_TYPES.iter().filter(|row| row.0 != line.account_group).map(|row| row.3).collect();
        let account = (*self.pick(&others)?).to_owned();
        let batch = format!("PM|{}", line.batch_nbr?);
        let right = account_of(&line.account_group).to_owned();
        self.reclass(&batch, line.transaction_id, &account);
        let note = format!("cost of type {} on account {account}", line.account_group);
        let first = self.record(("C5", "job_costs"), (None, Some(&id)), None, Some(line.amount), note);
        self.may_undo(first, Undo::Reclass(batch, line.transaction_id, right), (15, 60));
        Some(())
    }

    pub(super) fn reclass(&mut self, batch: &str, transaction: i64, account: &str) {
        let now = self.now;
        let Some(batch) = self.acumatica.journal_transactions.get_mut(batch) else { return };
        batch.last_modified_at = now;
        for line in batch.details.iter_mut().filter(|line| line.project_transaction_id == Some(transaction)) {
            account.clone_into(&mut line.account);
        }
    }

    /// B1: a transfer within the budget fails on its way to the ERP.
    pub(super) fn move_budget_in_procore(&mut self) -> Option<()> {
        let job = self.any_job()?;
        let is_whole = |cell: &&Cell| self.is_whole(budget_key(&job.number, cell.cost_type, cell.cost_code));
        let mut cells: Vec<Cell> = job.cells.iter().filter(is_whole).cloned().collect();
        let from = self.pick(&cells)?.clone();
        cells.retain(|cell| cell.wbs_code_id != from.wbs_code_id);
        let to = self.pick(&cells)?.clone();
        let amount = from.budget.share(self.between(1, 4), 100);
        let number = u32::try_from(2 + self.next_number("stray transfer")).unwrap_or_default();
        let mut adjustments = Vec::new();
        let mut rows = Vec::new();
        let first = self.faults.len();
        for (adjustment_number, (cell, amount)) in (1..).zip([(&from, -amount), (&to, amount)]) {
            let key = budget_key(&job.number, cell.cost_type, cell.cost_code);
            self.spoil(&key);
            self.move_budget(cell.wbs_code_id, amount);
            let (id, description) = (self.ordered_id(), cell.title.to_owned());
            adjustments.push(BudgetAdjustment {
                id,
                adjustment_number,
                wbs_code_id: cell.wbs_code_id,
                amount,
                description,
            });
            let ids = (Some(job.project_id), Some(key.as_str()));
            self.record(
                ("B1", "budget_lines"),
                ids,
                Some("revised_amount"),
                Some(amount),
                "a transfer never reached the ERP",
            );
            rows.push((key, amount));
        }
        let change = BudgetChange {
            id: self.ordered_id(),
            project_id: job.project_id,
            number,
            status: "approved",
            title: format!("Transfer {number}"),
            erp_status: "failed_to_export",
            adjustments,
        };
        self.procore.budget_changes.insert(change.id, change);
        self.may_undo(first, Undo::SendBudget(rows), (15, 60));
        Some(())
    }

    pub(super) fn send_budget(&mut self, rows: &[(String, Cents)]) {
        let now = self.now;
        for (key, amount) in rows {
            if let Some(row) = self.acumatica.project_budgets.get_mut(key) {
                row.revised_budgeted_amount += *amount;
                row.last_modified_at = now;
            }
        }
    }

    /// B2: a row on a code that exists, with a type that the budget did not have, is added in Procore alone.
    pub(super) fn add_budget_row(&mut self) -> Option<()> {
        let job = self.any_job()?;
        let like = job.cells.iter().find(|cell| cell.cost_type == "O")?.clone();
        let bare: Vec<Cell> = job
            .cells
            .iter()
            .filter(|cell| cell.cost_type == "S" && !cell.title.starts_with("Permits"))
            .cloned()
            .collect();
        let on = self.pick(&bare)?.clone();
        let key = budget_key(&job.number, "O", on.cost_code);
        if !self.spoil(&key) {
            return None;
        }
        let amount = Cents(self.between(80_000, 900_000));
        self.add_procore_row(&job, on.cost_code_id, on.cost_code, &like, amount);
        let ids = (Some(job.project_id), Some(key.as_str()));
        let first = self.record(("B2", "budget_lines"), ids, None, Some(amount), "a row that the ERP does not have");
        self.may_undo(first, Undo::OpenCode(job.number, "O", on.cost_code.to_owned(), amount), (15, 60));
        Some(())
    }

    /// B3: somebody corrects a mirrored cost in Procore, where it is only a copy.
    pub(super) fn edit_direct_cost(&mut self) -> Option<()> {
        let jobs = self.own_jobs();
        let is_own = |project: ProcoreId| jobs.iter().any(|job| job.project_id == project);
        let costs = self.procore.direct_costs.values().filter(|cost| cost.amount.is_some() && is_own(cost.project_id));
        let lines: Vec<_> = costs
            .flat_map(|cost| cost.lines.iter().map(|line| (cost.id, cost.project_id, line.clone())))
            .filter(|(_, _, line)| self.is_whole(line.id) && line.amount > Cents(20_000))
            .collect();
        let (cost, project, line) = self.pick(&lines)?.clone();
        self.spoil(line.id);
        let less = line.amount.share(self.between(5, 60), 100);
        self.set_direct_cost(cost, line.id, line.amount - less);
        let key = budget_key(&self.project_number(project), line.cost_type, &line.cost_code);
        let note = format!("a direct cost was lowered by {less} in Procore");
        let first = self.record(("B3", "job_costs"), (Some(project), Some(&key)), None, Some(less), note);
        self.may_undo(first, Undo::RestoreCost(cost, line.id, line.amount), (15, 60));
        Some(())
    }

    pub(super) fn set_direct_cost(&mut self, cost: ProcoreId, line: ProcoreId, amount: Cents) {
        let now = self.now;
        let Some(cost) = self.procore.direct_costs.get_mut(&cost) else { return };
        for line in cost.lines.iter_mut().filter(|other| other.id == line) {
            (line.amount, line.updated_at) = (amount, now);
        }
        cost.amount = Some(cost.lines.iter().map(|line| line.amount).sum());
        cost.updated_at = now;
    }
}
