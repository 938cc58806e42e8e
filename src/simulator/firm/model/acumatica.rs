//! What Acumatica stores: the accounting side's records.

#![expect(
    missing_docs,
    reason = "the fields carry the names of Acumatica's own interface; the fact sheet explains them"
)]

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    Cents, ErpBill, ErpCheck, ErpFinancialYear, ErpInvoice, ErpJournal, ErpPayment, ErpProForma, ErpProjectTransaction,
    Rate,
};

/// Everything that Acumatica stores, each record under its natural key (composite ones joined by `|`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcumaticaDatabase {
    pub tenant: String,
    /// `VendorID`.
    pub vendors: BTreeMap<String, ErpVendor>,
    /// `CustomerID`.
    pub customers: BTreeMap<String, ErpCustomer>,
    /// `ProjectID`.
    pub projects: BTreeMap<String, ErpProject>,
    /// `ProjectID|ProjectTaskID`.
    pub project_tasks: BTreeMap<String, ErpTask>,
    /// `ProjectID|ProjectTaskID|AccountGroup|CostCode|InventoryID`.
    pub project_budgets: BTreeMap<String, ErpBudget>,
    /// `CostCodeID`.
    pub cost_codes: BTreeMap<String, ErpCostCode>,
    /// `AccountGroupID`.
    pub account_groups: BTreeMap<String, ErpAccountGroup>,
    /// `AccountCD`.
    pub accounts: BTreeMap<String, ErpAccount>,
    /// `SubcontractNbr`.
    pub subcontracts: BTreeMap<String, ErpCommitment>,
    /// `Type|OrderNbr`.
    pub purchase_orders: BTreeMap<String, ErpCommitment>,
    /// `RefNbr`.
    pub change_orders: BTreeMap<String, ErpChangeOrder>,
    /// `Type|ReferenceNbr`.
    pub bills: BTreeMap<String, ErpBill>,
    /// `Type|ReferenceNbr`.
    pub checks: BTreeMap<String, ErpCheck>,
    /// `Type|ReferenceNbr`.
    pub invoices: BTreeMap<String, ErpInvoice>,
    /// `RefNbr`.
    pub pro_formas: BTreeMap<String, ErpProForma>,
    /// `Type|ReferenceNbr`: receipts from customers.
    pub payments: BTreeMap<String, ErpPayment>,
    /// `Module|ReferenceNbr`.
    pub project_transactions: BTreeMap<String, ErpProjectTransaction>,
    /// `Module|BatchNbr`.
    pub journal_transactions: BTreeMap<String, ErpJournal>,
    /// `FinancialYear`.
    pub financial_years: BTreeMap<String, ErpFinancialYear>,
}

/// A postal address and how to reach somebody (`MainContact`, `RemittanceContact`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErpContact {
    pub email: Option<String>,
    pub phone1: Option<String>,
    pub address_line1: Option<String>,
    pub address_line2: Option<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub postal_code: Option<String>,
    pub country: Option<String>,
}

/// A vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpVendor {
    pub vendor_id: String,
    pub vendor_name: String,
    pub legal_name: Option<String>,
    pub vendor_class: &'static str,
    /// `Active, On Hold, Hold Payments, Inactive, One-Time`.
    pub status: &'static str,
    pub account_ref: Option<String>,
    pub terms: &'static str,
    pub payment_method: &'static str,
    pub currency_id: &'static str,
    pub f1099_vendor: bool,
    pub f1099_box: Option<&'static str>,
    pub tax_registration_id: Option<String>,
    pub main_contact: ErpContact,
    /// Where payments go.
    pub remittance_contact: ErpContact,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A customer: a project's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpCustomer {
    pub customer_id: String,
    pub customer_name: String,
    pub customer_class: &'static str,
    pub status: &'static str,
    pub account_ref: Option<String>,
    pub terms: &'static str,
    pub currency_id: &'static str,
    pub main_contact: ErpContact,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpProject {
    pub project_id: String,
    pub description: String,
    pub customer: Option<String>,
    /// `Planned, Active, Completed, Suspended, Canceled`.
    pub status: &'static str,
    pub hold: bool,
    pub external_ref_nbr: Option<String>,
    pub income: Cents,
    pub expenses: Cents,
    pub start_date: Option<NaiveDate>,
    pub end_date: Option<NaiveDate>,
    pub project_manager: Option<String>,
    pub retainage_pct: Rate,
    /// `ProjectProperties.LastRevenueChangeNbr`.
    pub last_revenue_change_nbr: Option<String>,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A task of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpTask {
    pub project_id: String,
    pub project_task_id: String,
    pub description: String,
    pub status: &'static str,
    pub is_default: bool,
    pub external_ref_nbr: Option<String>,
    pub last_modified_at: DateTime<Utc>,
}

/// A row of a project's budget with its balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpBudget {
    pub project_id: String,
    pub project_task_id: String,
    pub account_group: String,
    pub cost_code: String,
    pub inventory_id: String,
    /// `Expense` or `Income`.
    pub budget_type: &'static str,
    pub description: String,
    pub original_budgeted_amount: Cents,
    pub budgeted_co_amount: Cents,
    pub revised_budgeted_amount: Cents,
    pub original_committed_amount: Cents,
    pub committed_co_amount: Cents,
    pub revised_committed_amount: Cents,
    pub committed_invoiced_amount: Cents,
    pub committed_open_amount: Cents,
    pub actual_amount: Cents,
    pub last_modified_at: DateTime<Utc>,
}

/// A cost code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpCostCode {
    pub cost_code_id: String,
    pub description: String,
    pub last_modified_at: DateTime<Utc>,
}

/// An account group: the cost type of the ERP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpAccountGroup {
    pub account_group_id: String,
    pub description: String,
    /// `Expense, Income, Asset, Liability`.
    pub group_type: &'static str,
    pub active: bool,
    pub default_account_id: Option<String>,
    pub sort_order: u32,
    pub last_modified_at: DateTime<Utc>,
}

/// A general ledger account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpAccount {
    pub account_cd: String,
    pub account_id: i32,
    pub description: String,
    /// `Asset, Liability, Income, Expense`.
    pub account_type: &'static str,
    pub account_class: &'static str,
    pub account_group: Option<String>,
    pub active: bool,
    pub cash_account: bool,
    pub last_modified_at: DateTime<Utc>,
}

/// A subcontract (`order_type` `Subcontract`) or purchase order (`Normal`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpCommitment {
    pub order_type: &'static str,
    /// `SubcontractNbr` or `OrderNbr`.
    pub order_nbr: String,
    /// `On Hold, Pending Approval, Rejected, Open, Completed, Closed, Canceled`.
    pub status: &'static str,
    pub hold: bool,
    pub date: NaiveDate,
    pub description: String,
    pub vendor_id: String,
    pub vendor_ref: Option<String>,
    pub terms: &'static str,
    pub currency_id: &'static str,
    pub line_total: Cents,
    pub tax_total: Cents,
    pub retainage_total: Cents,
    /// `SubcontractTotal` or `OrderTotal`.
    pub order_total: Cents,
    pub apply_retainage: bool,
    pub retainage_pct: Rate,
    pub details: Vec<ErpCommitmentLine>,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A line of a subcontract or purchase order; change orders add lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpCommitmentLine {
    pub line_nbr: i32,
    pub project: String,
    pub task: String,
    pub cost_code: String,
    pub account: String,
    pub inventory_id: Option<String>,
    pub line_description: String,
    pub uom: Option<&'static str>,
    pub order_qty: i64,
    pub unit_cost: Cents,
    pub extended_cost: Cents,
    pub retainage_pct: Rate,
    pub retainage_amount: Cents,
    pub amount: Cents,
    pub closed: bool,
    pub completed: bool,
    pub canceled: bool,
}

/// A change order, which may change revenue, cost and several commitments at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpChangeOrder {
    pub ref_nbr: String,
    pub class: &'static str,
    pub project_id: String,
    pub customer: Option<String>,
    /// `On Hold, Pending Approval, Rejected, Open, Canceled, Closed` (released).
    pub status: &'static str,
    pub hold: bool,
    pub change_date: NaiveDate,
    pub completion_date: Option<NaiveDate>,
    /// The approval date of the screen, which only `$custom` shows.
    pub approval_date: Option<NaiveDate>,
    pub contract_time_change_days: i32,
    pub description: String,
    pub external_ref_nbr: Option<String>,
    pub revenue_change_nbr: Option<String>,
    pub revenue_budget_change_total: Cents,
    pub cost_budget_change_total: Cents,
    pub commitments_change_total: Cents,
    pub revenue_budget: Vec<ErpChangeOrderBudget>,
    pub cost_budget: Vec<ErpChangeOrderBudget>,
    pub commitments: Vec<ErpChangeOrderCommitment>,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A budget line of a change order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpChangeOrderBudget {
    pub project_task_id: String,
    pub account_group: String,
    pub cost_code: String,
    pub inventory_id: Option<String>,
    pub description: String,
    pub amount: Cents,
}

/// A commitment line of a change order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpChangeOrderCommitment {
    /// `Subcontract` or `Normal`.
    pub po_type: &'static str,
    pub po_nbr: String,
    pub po_line_nbr: i32,
    pub vendor: String,
    pub project_task_id: String,
    pub cost_code: String,
    pub account: String,
    pub description: String,
    pub amount: Cents,
    /// `New Line`, `Update`, ….
    pub status: &'static str,
}
