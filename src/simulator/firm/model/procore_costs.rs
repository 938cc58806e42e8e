//! What Procore stores of cost beside commitments: direct costs, and changes of the budget.

#![expect(missing_docs, reason = "the fields carry the names of Procore's own interface; the fact sheet explains them")]

use chrono::{DateTime, NaiveDate, Utc};

use super::{Cents, ProcoreId};

/// A direct cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectCost {
    pub id: ProcoreId,
    pub project_id: ProcoreId,
    /// `invoice, expense, payroll`.
    pub direct_cost_type: &'static str,
    /// `draft, pending, revise_and_resubmit, approved`.
    pub status: &'static str,
    /// The sum of the lines; unknown for the first days.
    pub amount: Option<Cents>,
    pub direct_cost_date: NaiveDate,
    pub description: String,
    pub origin_id: Option<String>,
    pub lines: Vec<DirectCostLine>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A line of a direct cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectCostLine {
    pub id: ProcoreId,
    pub position: u32,
    pub description: String,
    pub amount: Cents,
    pub cost_code_id: ProcoreId,
    pub cost_code: String,
    pub line_item_type_id: ProcoreId,
    pub cost_type: &'static str,
    pub wbs_code_id: ProcoreId,
    pub origin_id: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A budget change: money moved between rows of the budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetChange {
    pub id: ProcoreId,
    pub project_id: ProcoreId,
    pub number: u32,
    /// `draft, under_review, approved, void`.
    pub status: &'static str,
    pub title: String,
    pub erp_status: &'static str,
    pub adjustments: Vec<BudgetAdjustment>,
}

/// What a budget change does to one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetAdjustment {
    pub id: ProcoreId,
    pub adjustment_number: u32,
    pub wbs_code_id: ProcoreId,
    pub amount: Cents,
    pub description: String,
}
