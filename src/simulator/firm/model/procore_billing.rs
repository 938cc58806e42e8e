//! What Procore stores of billing: applications, requisitions, payments, periods, budgets.

#![expect(missing_docs, reason = "the fields carry the names of Procore's own interface; the fact sheet explains them")]

use chrono::{DateTime, NaiveDate, Utc};

use super::{Cents, CommitmentKind, ProcoreId, Rate};

/// The figures of an AIA G702, and of a requisition's summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct G702 {
    pub original_contract_sum: Cents,
    pub net_change_by_change_orders: Cents,
    pub contract_sum_to_date: Cents,
    pub total_completed_and_stored_to_date: Cents,
    pub completed_work_retainage_percent: Rate,
    pub completed_work_retainage_amount: Cents,
    pub stored_materials_retainage_percent: Rate,
    pub stored_materials_retainage_amount: Cents,
    pub total_retainage: Cents,
    pub total_earned_less_retainage: Cents,
    pub less_previous_certificates_for_payment: Cents,
    pub tax_applicable_to_this_payment: Cents,
    pub current_payment_due: Cents,
    pub balance_to_finish_including_retainage: Cents,
}

/// Where a billed line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineOrigin {
    /// The contract's schedule of values (`LineItem`).
    Contract,
    /// A change order (`ChangeOrderPackage`).
    ChangeOrder,
}

/// A line of an AIA G703, and an item of a requisition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct G703Line {
    pub id: ProcoreId,
    pub item_number: u32,
    pub description_of_work: String,
    pub scheduled_value: Cents,
    /// D.
    pub work_completed_from_previous_application: Cents,
    /// E.
    pub work_completed_this_period: Cents,
    /// Material that was stored before and is now work; part of E.
    pub materials_moved: Cents,
    /// F.
    pub materials_presently_stored: Cents,
    /// F of the application before.
    pub materials_previously_stored: Cents,
    /// G = D + E + F.
    pub total_completed_and_stored_to_date: Cents,
    pub total_completed_and_stored_to_date_percent: Rate,
    /// Scheduled value − G.
    pub balance_to_finish: Cents,
    pub retainage_percent: Rate,
    pub work_retainage_from_previous_application: Cents,
    pub work_retainage_this_period: Cents,
    pub work_retainage_released_this_period: Cents,
    pub work_retainage_currently_retained: Cents,
    pub materials_retainage_from_previous_application: Cents,
    pub materials_retainage_this_period: Cents,
    pub materials_retainage_released_this_period: Cents,
    pub materials_retainage_currently_retained: Cents,
    /// Work and material together.
    pub total_retainage_currently_retained: Cents,
    pub origin: LineOrigin,
    /// `origin_id` of the interface, which here is a Procore id: the contract line's, or the change order package's.
    pub origin_id: ProcoreId,
    pub cost_code_id: ProcoreId,
    pub cost_code: String,
    pub line_item_type_id: ProcoreId,
    pub cost_type: &'static str,
    pub wbs_code_id: ProcoreId,
}

/// An owner invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentApplication {
    pub id: ProcoreId,
    pub project_id: ProcoreId,
    pub contract_id: ProcoreId,
    /// The application number.
    pub number: u32,
    pub invoice_number: String,
    /// `draft, under_review, revise_and_resubmit, approved`.
    pub status: &'static str,
    pub billing_date: NaiveDate,
    pub period_id: Option<ProcoreId>,
    pub period_start: NaiveDate,
    pub period_end: NaiveDate,
    pub percent_complete: Rate,
    /// Gross of this period.
    pub total_amount_accrued_this_period: Cents,
    pub total_amount_paid: Cents,
    /// The owner's name.
    pub formatted_contract_company: String,
    pub contract_title: String,
    pub origin_id: Option<String>,
    pub g702: G702,
    pub g703: Vec<G703Line>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A subcontractor invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requisition {
    pub id: ProcoreId,
    pub project_id: ProcoreId,
    pub commitment_id: ProcoreId,
    pub commitment_kind: CommitmentKind,
    pub contract_name: String,
    pub vendor_id: ProcoreId,
    pub vendor_name: String,
    pub number: u32,
    pub invoice_number: Option<String>,
    /// `progress, retainage_release, progress_and_retainage_release`.
    pub invoice_type: &'static str,
    /// `draft, under_review, revise_and_resubmit, approved, approved_as_noted, pending_owner_approval`.
    pub status: &'static str,
    /// `not_in_erp, ready_to_export, failed_to_export, synced, …`.
    pub erp_status: &'static str,
    pub is_final: bool,
    pub period_id: Option<ProcoreId>,
    pub requisition_start: NaiveDate,
    pub requisition_end: NaiveDate,
    pub billing_date: NaiveDate,
    pub submitted_at: Option<NaiveDate>,
    pub payment_date: Option<NaiveDate>,
    pub percent_complete: Rate,
    /// Gross of this period.
    pub total_claimed_amount: Cents,
    pub previous_requisition_id: Option<ProcoreId>,
    pub origin_id: Option<String>,
    pub created_by: String,
    pub summary: G702,
    pub items: Vec<G703Line>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A payment issued or received, as Procore knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractPayment {
    pub id: ProcoreId,
    pub project_id: ProcoreId,
    /// A commitment or a prime contract.
    pub contract_id: ProcoreId,
    /// The requisition it pays, where known; never for payments received.
    pub requisition_id: Option<ProcoreId>,
    pub amount: Cents,
    pub date: NaiveDate,
    pub check_number: String,
    pub invoice_number: String,
    pub payment_number: u32,
    /// The application number.
    pub draw_request_number: Option<u32>,
    pub notes: Option<String>,
    /// `paid`, …; free text by type.
    pub status: &'static str,
    pub origin_id: Option<String>,
    pub origin_code: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A billing period of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingPeriod {
    pub id: ProcoreId,
    pub project_id: ProcoreId,
    pub position: u32,
    pub start_date: NaiveDate,
    pub end_date: NaiveDate,
    pub due_date: NaiveDate,
    /// `open` or `closed`.
    pub status: &'static str,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A row of the budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetLine {
    pub id: ProcoreId,
    pub project_id: ProcoreId,
    pub wbs_code_id: ProcoreId,
    pub cost_code_id: ProcoreId,
    pub cost_code: String,
    pub line_item_type_id: ProcoreId,
    pub cost_type: &'static str,
    pub original_budget_amount: Cents,
    pub budget_modifications: Cents,
    /// Approved change orders on this row.
    pub approved_change_orders: Cents,
    /// Original + modifications + approved change orders.
    pub revised_budget: Cents,
    /// Revised commitments on this row.
    pub committed_costs: Cents,
    /// Job cost to date, as the ERP mirrored it.
    pub job_to_date_costs: Cents,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}
