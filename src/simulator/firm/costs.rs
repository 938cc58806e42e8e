//! Cost that is no commitment's: the ERP's job costs as Procore's direct costs, and money moved within the budget.
//!
//! Nothing here draws chance, so that a life is the same with or without it: ids come from a row of their own.

use chrono::{DateTime, Utc};

use super::Firm;
use super::jobs::budget_key;
use super::model::{
    BudgetAdjustment, BudgetChange, BudgetLine, Cents, DirectCost, DirectCostLine, ErpProjectTransactionLine, ProcoreId,
};

/// Ids that are given in order begin here, beyond all that are drawn.
pub(super) const FIRST_ORDERED_ID: ProcoreId = 762_949_953_421_312;

impl Firm {
    pub(super) fn ordered_id(&mut self) -> ProcoreId {
        self.next_ordered_id += 1;
        self.next_ordered_id
    }

    /// At night Procore takes over the batches of payroll and equipment that are new or were recoded. A line on a code that
    /// the project does not have stays out until it gets one; the header's sum comes with the next night.
    pub(super) fn mirror_direct_costs(&mut self) {
        let now = self.now;
        for cost in self.procore.direct_costs.values_mut().filter(|cost| cost.amount.is_none()) {
            cost.amount = Some(cost.lines.iter().map(|line| line.amount).sum());
            cost.updated_at = now;
        }
        let batches = self.acumatica.project_transactions.range("PM|".to_owned()..="PM|~".to_owned());
        let is_new = |key: &String, at: DateTime<Utc>| self.direct_costs.get(key).is_none_or(|(_, seen)| at > *seen);
        let stale: Vec<_> = batches
            .filter(|(key, batch)| is_new(key, batch.last_modified_at))
            .map(|(key, batch)| (key.clone(), batch.clone()))
            .collect();
        for (key, batch) in stale {
            let known = self.direct_costs.get(&key).map(|(id, _)| *id);
            let before = known.and_then(|id| self.procore.direct_costs.get(&id)).cloned();
            let mut lines = before.as_ref().map(|cost| cost.lines.clone()).unwrap_or_default();
            for line in &batch.details {
                let origin = Some(line.transaction_id.to_string());
                let Some(row) = self.row_of(line).cloned() else { continue };
                let new = lines.iter().all(|other| other.origin_id != origin).then(|| self.ordered_id());
                let position = u32::try_from(lines.len()).unwrap_or_default() + 1;
                match (new, lines.iter_mut().find(|other| other.origin_id == origin)) {
                    (Some(id), _) => lines.push(cost_line(id, position, line, &row, now)),
                    (None, Some(other)) if other.wbs_code_id != row.wbs_code_id => {
                        *other = cost_line(other.id, other.position, line, &row, now);
                    }
                    (None, _) => {}
                }
            }
            let project = lines.first().and_then(|line| self.row_with(line.wbs_code_id)).map(|row| row.project_id);
            let (Some(project_id), Some(first)) = (project, batch.details.first()) else { continue };
            let id = known.unwrap_or_else(|| self.ordered_id());
            let cost = DirectCost {
                id,
                project_id,
                direct_cost_type: "payroll",
                status: "approved",
                amount: before.as_ref().map(|_| lines.iter().map(|line| line.amount).sum()),
                direct_cost_date: first.date,
                description: batch.description.clone(),
                origin_id: Some(batch.reference_nbr.clone()),
                lines,
                created_at: before.map_or(now, |cost| cost.created_at),
                updated_at: now,
            };
            self.procore.direct_costs.insert(id, cost);
            self.direct_costs.insert(key, (id, batch.last_modified_at));
        }
    }

    fn row_of(&self, line: &ErpProjectTransactionLine) -> Option<&BudgetLine> {
        let key = budget_key(&line.project, &line.account_group, line.cost_code.as_deref().unwrap_or_default());
        self.procore.budget_lines.get(self.budget_lines.get(&key)?)
    }

    fn row_with(&self, wbs_code: ProcoreId) -> Option<&BudgetLine> {
        self.procore.budget_lines.values().find(|row| row.wbs_code_id == wbs_code)
    }

    /// Two hundredths of a row go to its neighbour, in both systems; half of it back is still under review.
    pub(super) fn revise_budget(&mut self, index: usize) {
        let Some(job) = self.job(index).cloned() else { return };
        let [from, to, ..] = job.cells.as_slice() else { return };
        let amount = from.budget.share(2, 100);
        let half = amount.share(1, 2);
        let moves = [(1, "approved", "synced", amount), (2, "under_review", "not_in_erp", -half)];
        for (number, status, erp_status, amount) in moves {
            let adjustments = [(1, from, -amount), (2, to, amount)].map(|(adjustment_number, cell, amount)| {
                if status == "approved" {
                    self.move_budget(cell.wbs_code_id, amount);
                    self.budget_row(&job.number, cell.cost_type, cell.cost_code).revised_budgeted_amount += amount;
                }
                let description = cell.title.to_owned();
                let id = self.ordered_id();
                BudgetAdjustment { id, adjustment_number, wbs_code_id: cell.wbs_code_id, amount, description }
            });
            let change = BudgetChange {
                id: self.ordered_id(),
                project_id: job.project_id,
                number,
                status,
                title: format!("Transfer {number}"),
                erp_status,
                adjustments: adjustments.into(),
            };
            self.procore.budget_changes.insert(change.id, change);
        }
    }

    pub(super) fn move_budget(&mut self, wbs_code: ProcoreId, amount: Cents) {
        let now = self.now;
        if let Some(row) = self.procore.budget_lines.values_mut().find(|row| row.wbs_code_id == wbs_code) {
            row.budget_modifications += amount;
            row.revised_budget += amount;
            row.updated_at = now;
        }
    }
}

fn cost_line(
    id: ProcoreId,
    position: u32,
    line: &ErpProjectTransactionLine,
    row: &BudgetLine,
    now: DateTime<Utc>,
) -> DirectCostLine {
    DirectCostLine {
        id,
        position,
        description: line.description.clone(),
        amount: line.amount,
        cost_code_id: row.cost_code_id,
        cost_code: row.cost_code.clone(),
        line_item_type_id: row.line_item_type_id,
        cost_type: row.cost_type,
        wbs_code_id: row.wbs_code_id,
        origin_id: Some(line.transaction_id.to_string()),
        created_at: now,
        updated_at: now,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::{DateTime, Utc};

    use super::*;
    use crate::firm::{FaultRates, FirmOptions};

    fn lived(faults: FaultRates) -> Firm {
        let mut firm = Firm::new(7, FirmOptions { faults, ..FirmOptions::default() });
        // In the morning, after the night in which Procore took over the last month's costs.
        firm.live_until("2026-01-10T06:00:00Z".parse::<DateTime<Utc>>().unwrap());
        firm
    }

    fn costs_of_the_erp(firm: &Firm) -> BTreeMap<String, (Cents, Option<String>)> {
        let batches = firm.acumatica.project_transactions.range("PM|".to_owned()..="PM|~".to_owned());
        let lines = batches.flat_map(|(_, batch)| &batch.details);
        lines.map(|line| (line.transaction_id.to_string(), (line.amount, line.cost_code.clone()))).collect()
    }

    #[test]
    fn direct_costs_are_the_erps_job_costs_line_by_line() {
        let firm = lived(FaultRates::none());
        let mut erp = costs_of_the_erp(&firm);
        assert!(erp.len() > 100, "{}", erp.len());
        for cost in firm.procore.direct_costs.values() {
            // Procore leaves a new header empty for days.
            if let Some(amount) = cost.amount {
                assert_eq!(amount, cost.lines.iter().map(|line| line.amount).sum::<Cents>());
            }
            for line in &cost.lines {
                let found = erp.remove(line.origin_id.as_ref().unwrap());
                assert_eq!(found, Some((line.amount, Some(line.cost_code.clone()))));
            }
        }
        assert!(erp.is_empty(), "{erp:?} is in the ERP alone");
    }

    #[test]
    fn what_is_on_a_default_code_comes_with_its_right_code_or_not_at_all() {
        let firm = lived(FaultRates { mishaps: 0, ..FaultRates::default().scaled(300) });
        let erp = costs_of_the_erp(&firm);
        let lines: Vec<_> = firm.procore.direct_costs.values().flat_map(|cost| &cost.lines).collect();
        for line in &lines {
            let (amount, code) = &erp[line.origin_id.as_ref().unwrap()];
            assert_eq!((line.amount, Some(&line.cost_code)), (*amount, code.as_ref()));
        }
        let lost = erp.values().filter(|(_, code)| code.as_deref().is_none_or(|code| code == "00-000")).count();
        assert!(lost > 0);
        assert_eq!(lines.len() + lost, erp.len());
    }

    #[test]
    fn budget_changes_add_up_to_the_modifications_of_both_systems() {
        let firm = lived(FaultRates::none());
        let mut moved: BTreeMap<ProcoreId, Cents> = BTreeMap::new();
        for change in firm.procore.budget_changes.values() {
            let total: Cents = change.adjustments.iter().map(|line| line.amount).sum();
            assert!(total.is_zero(), "a transfer creates no money");
            for line in change.adjustments.iter().filter(|_| change.status == "approved") {
                *moved.entry(line.wbs_code_id).or_default() += line.amount;
            }
        }
        assert!(!moved.is_empty() && firm.procore.budget_changes.values().any(|change| change.status != "approved"));
        for (key, id) in &firm.budget_lines {
            let row = &firm.procore.budget_lines[id];
            assert_eq!(row.budget_modifications, moved.get(&row.wbs_code_id).copied().unwrap_or_default());
            assert_eq!(row.revised_budget, row.original_budget_amount + row.budget_modifications);
            assert_eq!(firm.acumatica.project_budgets[key].revised_budgeted_amount, row.revised_budget, "{key}");
        }
    }
}
