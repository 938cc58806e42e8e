//! Entries that cancel themselves, wait, or are no cost.

use super::super::Firm;
use super::super::books::{account_of, entry};
use super::super::life::Event;
use super::super::model::{Cents, DirectCost};
use super::{DecoyKind, DecoyStep};

impl Firm {
    pub(super) fn place_entry(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        match kind {
            DecoyKind::AccrualReversed => {
                let (batch, amount) = (self.reference("GL batch"), self.small_amount());
                let lines = vec![entry("60100", "X", None, amount), entry("21000", "X", None, -amount)];
                let date = super::super::life::month_end(self.today());
                self.post("GL", batch.clone(), date, "", lines);
                let at = self.eve() + chrono::TimeDelta::days(5);
                self.schedule(at, Event::DecoyStep(DecoyStep::Reverse(batch.clone())));
                self.note(kind, &[], &[&format!("GL|{batch}")]);
            }
            DecoyKind::UnpostedBatch => {
                let (batch, amount) = (self.reference("GL batch"), self.small_amount());
                let lines = vec![entry("60200", "X", None, amount), entry("21000", "X", None, -amount)];
                self.post("GL", batch.clone(), self.today(), "", lines);
                let key = format!("GL|{batch}");
                self.acumatica.journal_transactions.get_mut(&key)?.status = "Balanced";
                self.note(kind, &[], &[&key]);
            }
            DecoyKind::CostThereAndBack => {
                let project = self.job(job)?.clone();
                let cell = project.cells.iter().find(|cell| cell.cost_type == "L")?.clone();
                let (batch, date, amount) = (self.reference("PM batch"), self.today(), self.small_amount());
                let (mut journal, mut costs) = (Vec::new(), Vec::new());
                for amount in [amount, -amount] {
                    let mut line = entry(account_of("L"), &project.number, Some(cell.cost_code), amount);
                    line.description = String::from("Crew of another project");
                    let cost = self.cost_line(&line, date, &batch);
                    line.project_transaction_id = Some(cost.transaction_id);
                    journal.push(line);
                    costs.push(cost);
                }
                let key = self.post_costs("PM", &batch, "Payroll correction", None, costs);
                self.post("PM", batch, date, "", journal);
                self.note(kind, &[], &[&key]);
            }
            DecoyKind::DirectCostInDraft => {
                let (project_id, id, now) = (self.job(job)?.project_id, self.procore_id(), self.now);
                let cost = DirectCost {
                    id,
                    project_id,
                    direct_cost_type: "expense",
                    status: "draft",
                    amount: Some(Cents::ZERO),
                    direct_cost_date: self.today(),
                    description: String::from("Ladder"),
                    origin_id: None,
                    lines: Vec::new(),
                    created_at: now,
                    updated_at: now,
                };
                self.procore.direct_costs.insert(id, cost);
                self.note(kind, &[id], &[]);
            }
            _ => return None,
        }
        Some(())
    }

    /// The accrual of last month is taken back in this one.
    pub(super) fn reverse_accrual(&mut self, batch: &str) {
        let Some(record) = self.acumatica.journal_transactions.get(&format!("GL|{batch}")).cloned() else { return };
        let lines = record.details.iter().map(|line| {
            entry(&line.account, &line.project, line.cost_code.as_deref(), line.credit_amount - line.debit_amount)
        });
        let (lines, reference) = (lines.collect(), self.reference("GL batch"));
        self.post("GL", reference, self.today(), "", lines);
    }
}
