//! Codes, projects and budgets that need no counterpart, or that have one under another spelling.

use chrono::{Days, TimeDelta};

use super::super::Firm;
use super::super::jobs::TASK;
use super::super::life::Cell;
use super::super::model::{
    BudgetChange, BudgetLine, Cents, CommitmentKind, CostCode, ErpCostCode, ErpProject, Project, Rate, StandardCostCode,
};
use super::{DecoyKind, FIRST_NUMBER};

impl Firm {
    #[expect(clippy::too_many_lines, reason = "an arm for each kind")]
    pub(super) fn place_setup(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        match kind {
            DecoyKind::StandardCodeUnused => {
                let number = self.next_number("decoy standard code") - FIRST_NUMBER;
                let code = format!("19-{number:03}");
                let list = self.procore.standard_cost_codes.values().next()?.standard_cost_code_list_id;
                let id = self.procore_id();
                let record = StandardCostCode {
                    id,
                    standard_cost_code_list_id: list,
                    code: code.clone(),
                    full_code: code,
                    name: String::from("Fountains"),
                    parent_id: None,
                    origin_id: None,
                };
                self.procore.standard_cost_codes.insert(id, record);
                self.note(kind, &[id], &[]);
            }
            DecoyKind::ErpCodeUnused => {
                let code = format!("90-{:03}", self.next_number("decoy erp code") - FIRST_NUMBER);
                let record = self.erp_code(&code, "Corporate fleet");
                self.acumatica.cost_codes.insert(code.clone(), record);
                self.note(kind, &[], &[&code]);
            }
            DecoyKind::PaddedCode => {
                let record = self.acumatica.cost_codes.get_mut("17-100")?;
                record.cost_code_id = String::from("17-100    ");
                self.note(kind, &[], &["17-100"]);
            }
            DecoyKind::CodeTitleSpelling => {
                let record = self.acumatica.cost_codes.get_mut("16-100")?;
                record.description = String::from(" ELECTRICAL ");
                self.note(kind, &[], &["16-100"]);
            }
            DecoyKind::DeletedCode => {
                let (project, id) = (self.job(job)?.project_id, self.procore_id());
                let code = format!("21-{:03}", self.next_number("decoy deleted code") - FIRST_NUMBER);
                let (created_at, now) = (self.now - TimeDelta::hours(5), self.now);
                let record = CostCode {
                    id,
                    project_id: project,
                    code: code.clone(),
                    full_code: code,
                    name: String::from("Entered by mistake"),
                    parent_id: None,
                    standard_cost_code_id: None,
                    budgeted: false,
                    position: 99,
                    origin_id: None,
                    created_at,
                    updated_at: now,
                    deleted_at: Some(now),
                };
                self.procore.cost_codes.insert(id, record);
                self.note(kind, &[id], &[]);
            }
            DecoyKind::BiddingProject => {
                let id = self.procore_project("BID", "Pre-Construction", |_| {})?;
                self.note(kind, &[id], &[]);
            }
            DecoyKind::LostBid => {
                let id = self.procore_project("LOST", "Not Awarded", |project| project.active = false)?;
                self.note(kind, &[id], &[]);
            }
            DecoyKind::DemoProject => {
                let id =
                    self.procore_project("TRAINING", "Course of Construction", |project| project.is_demo = true)?;
                let (company, _) = self.company();
                let lines = self.small_lines(job, CommitmentKind::WorkOrder);
                let record =
                    self.commitment_record(id, company, CommitmentKind::WorkOrder, "SC-TRAINING", lines, self.now);
                let commitment = record.id;
                self.procore.commitments.insert(commitment, record);
                self.note(kind, &[id, commitment], &[]);
            }
            DecoyKind::TemplateProject => {
                let id = self.procore_project("TEMPLATE", "Course of Construction", |project| {
                    (project.is_template, project.is_demo) = (true, true);
                })?;
                self.note(kind, &[id], &[]);
            }
            DecoyKind::InternalProject => {
                let number = format!("SHOP{}", self.next_number("decoy internal") - FIRST_NUMBER);
                self.erp_project(&number, "Shop and yard", None, "Active");
                self.note(kind, &[], &[&number]);
            }
            DecoyKind::ClosedOnBothSides => {
                let number = format!("20-{:03}", 700 + self.next_number("decoy closed") - FIRST_NUMBER);
                let id = self.project_of_both(job, &number, ("Warranty", "Completed"))?;
                self.procore.projects.get_mut(&id)?.active = false;
                self.note(kind, &[id], &[&number]);
            }
            DecoyKind::ProjectNameSpelling => {
                let (id, number) = (self.job(job)?.project_id, self.job(job)?.number.clone());
                let project = self.acumatica.projects.get_mut(&number)?;
                project.description = format!(" {} ", project.description.to_uppercase().replace(' ', "  "));
                self.note(kind, &[id], &[&number]);
            }
            DecoyKind::BudgetTransfer => {
                self.revise_budget(job);
                let (id, number) = (self.job(job)?.project_id, self.job(job)?.number.clone());
                self.note(kind, &[id], &[&number]);
            }
            DecoyKind::BudgetChangeVoided => {
                let (project_id, id) = (self.job(job)?.project_id, self.procore_id());
                let change = BudgetChange {
                    id,
                    project_id,
                    number: 90,
                    status: "void",
                    title: String::from("Entered twice"),
                    erp_status: "not_in_erp",
                    adjustments: Vec::new(),
                };
                self.procore.budget_changes.insert(id, change);
                self.note(kind, &[id], &[]);
            }
            DecoyKind::BudgetBeingMade => return self.budget_being_made(kind, job),
            DecoyKind::BudgetLineOfNothing => return self.budget_line_of_nothing(kind, job),
            DecoyKind::BudgetRowOfNothing => {
                let number = self.job(job)?.number.clone();
                let row = self.budget_row(&number, "E", "05-100");
                row.description = String::from("Structural steel");
                self.note(kind, &[], &[&format!("{number}|05-100|E|cost")]);
            }
            _ => return None,
        }
        Some(())
    }

    /// A project that both systems know: its stage there, its status here.
    fn project_of_both(
        &mut self,
        job: usize,
        number: &str,
        (stage, status): (&'static str, &'static str),
    ) -> Option<i64> {
        let customer = Some(self.job(job)?.customer.clone());
        let id = self.procore_project(number, stage, |_| {})?;
        let project = self.procore.projects.get_mut(&id)?;
        project.project_number = Some(number.to_owned());
        (project.origin_id, project.origin_code) = (Some(number.to_owned()), Some(number.to_owned()));
        let name = project.name.clone();
        self.erp_project(number, &name, customer, status);
        Some(id)
    }

    fn erp_code(&self, code: &str, description: &str) -> ErpCostCode {
        ErpCostCode { cost_code_id: code.to_owned(), description: description.to_owned(), last_modified_at: self.now }
    }

    #[expect(clippy::unnecessary_wraps, reason = "what an arm of the kinds gives")]
    fn procore_project(&mut self, prefix: &str, stage: &'static str, change: impl FnOnce(&mut Project)) -> Option<i64> {
        let (date, number) = (self.today(), self.next_number("decoy project") - FIRST_NUMBER);
        let name = format!("Morehead Street {number}");
        let mut project =
            self.project_record(&format!("{prefix}-{number}"), &name, date, date + Days::new(300), self.now);
        project.stage = stage;
        change(&mut project);
        let id = project.id;
        self.procore.projects.insert(id, project);
        Some(id)
    }

    fn erp_project(&mut self, number: &str, name: &str, customer: Option<String>, status: &'static str) {
        let project = ErpProject {
            project_id: number.to_owned(),
            description: name.to_owned(),
            customer,
            status,
            hold: false,
            external_ref_nbr: None,
            income: Cents::ZERO,
            expenses: Cents::ZERO,
            start_date: Some(self.today()),
            end_date: None,
            project_manager: None,
            retainage_pct: Rate(0),
            last_revenue_change_nbr: None,
            note_id: self.note_id(),
            created_at: self.now,
            last_modified_at: self.now,
        };
        self.acumatica.projects.insert(number.to_owned(), project);
    }

    /// 5,000.00 in Procore, where the budget is not locked, and 4,000.00 in the ERP.
    fn budget_being_made(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let number = format!("26-{:03}", 700 + self.next_number("decoy unlocked") - FIRST_NUMBER);
        let cell = self.job(job)?.cells.first()?.clone();
        let project = self.project_of_both(job, &number, ("Course of Construction", "Active"))?;
        let code = self.procore.cost_codes.get(&cell.cost_code_id)?.clone();
        let id = self.procore_id();
        self.procore.cost_codes.insert(id, CostCode { id, project_id: project, ..code });
        self.start_budget(project, &number, &Cell { cost_code_id: id, budget: Cents(500_000), ..cell });
        let row = self.budget_row(&number, cell.cost_type, cell.cost_code);
        (row.original_budgeted_amount, row.revised_budgeted_amount) = (Cents(400_000), Cents(400_000));
        self.note(kind, &[project], &[&number]);
        Some(())
    }

    /// A row of 0.00 on both sides, on a code with a type that nobody plans with.
    fn budget_line_of_nothing(&mut self, kind: DecoyKind, job: usize) -> Option<()> {
        let (project_id, number) = (self.job(job)?.project_id, self.job(job)?.number.clone());
        let cell = self.job(job)?.cells.iter().find(|cell| cell.cost_code == "04-100")?.clone();
        let equipment = self.procore.cost_types.values().find(|cost_type| cost_type.code == "E")?;
        let (line_item_type_id, cost_type, now) = (equipment.id, equipment.code, self.now);
        let (id, wbs_code_id) = (self.procore_id(), self.procore_id());
        let line = BudgetLine {
            id,
            project_id,
            wbs_code_id,
            cost_code_id: cell.cost_code_id,
            cost_code: cell.cost_code.to_owned(),
            line_item_type_id,
            cost_type,
            original_budget_amount: Cents::ZERO,
            budget_modifications: Cents::ZERO,
            approved_change_orders: Cents::ZERO,
            revised_budget: Cents::ZERO,
            committed_costs: Cents::ZERO,
            job_to_date_costs: Cents::ZERO,
            created_at: now,
            updated_at: now,
        };
        self.budget_lines.insert(super::super::jobs::budget_key(&number, cost_type, cell.cost_code), id);
        self.procore.budget_lines.insert(id, line);
        let row = self.budget_row(&number, cost_type, cell.cost_code);
        (row.description, row.project_task_id) = (String::from(cell.title), TASK.to_owned());
        self.note(kind, &[id], &[&format!("{number}|{}|{cost_type}|cost", cell.cost_code)]);
        Some(())
    }
}
