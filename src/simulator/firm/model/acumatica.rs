//! What Acumatica stores: the accounting side's records.

#![expect(
    missing_docs,
    reason = "the fields carry the names of Acumatica's own interface; the fact sheet explains them"
)]

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{Cents, Rate};

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

/// An AP document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpBill {
    /// `Bill, Credit Adj., Debit Adj., Prepayment`.
    pub doc_type: &'static str,
    pub reference_nbr: String,
    /// `On Hold, Balanced, Open, Closed, Voided, …`.
    pub status: &'static str,
    pub hold: bool,
    pub date: NaiveDate,
    /// `MMYYYY`.
    pub post_period: String,
    pub due_date: NaiveDate,
    pub vendor: String,
    pub vendor_ref: Option<String>,
    pub description: String,
    /// Payable now: without retainage.
    pub amount: Cents,
    /// `amount − Σ applications.amount_paid` once released.
    pub balance: Cents,
    pub tax_total: Cents,
    pub currency_id: &'static str,
    pub terms: &'static str,
    pub project: Option<String>,
    /// The original amount with retainage: the gross of the pay application.
    pub amount_with_retainage: Cents,
    pub apply_retainage: bool,
    pub default_retainage_pct: Rate,
    pub retainage_total: Cents,
    pub retainage_unreleased: Cents,
    pub retainage_released: Cents,
    pub is_retainage_document: bool,
    /// The document whose retainage this one releases.
    pub orig_ref_nbr: Option<String>,
    pub details: Vec<ErpBillLine>,
    /// Released applications, payments and adjustments alike.
    pub applications: Vec<ErpApplication>,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A line of an AP document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpBillLine {
    /// Only `$custom` shows it.
    pub line_nbr: i32,
    pub account: String,
    /// `X` is the non-project code.
    pub project: String,
    pub project_task: Option<String>,
    pub cost_code: Option<String>,
    pub transaction_description: String,
    pub qty: i64,
    pub unit_cost: Cents,
    pub extended_cost: Cents,
    /// With retainage.
    pub amount: Cents,
    pub retainage_pct: Rate,
    pub retainage_amount: Cents,
    pub po_order_type: Option<&'static str>,
    pub po_order_nbr: Option<String>,
    pub po_line: Option<i32>,
}

/// One document applied to another, seen from the invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpApplication {
    /// The applied document's type: `Check`, `Voided Check`, `Debit Adj.`, `Payment`, `Credit Memo`.
    pub doc_type: &'static str,
    pub reference_nbr: String,
    pub amount_paid: Cents,
    /// What the applied document has left.
    pub balance: Cents,
    pub status: &'static str,
    pub date: NaiveDate,
}

/// An AP disbursement: check, ACH or wire; a void is a second document of the same number with a negative amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpCheck {
    /// `Check` or `Voided Check`.
    pub doc_type: &'static str,
    pub reference_nbr: String,
    /// `Balanced, Open, Closed, Voided`.
    pub status: &'static str,
    pub hold: bool,
    pub vendor: String,
    pub payment_method: &'static str,
    pub cash_account: String,
    /// The check number or ACH trace.
    pub payment_ref: String,
    pub application_date: NaiveDate,
    pub payment_amount: Cents,
    pub unapplied_balance: Cents,
    pub currency_id: &'static str,
    pub description: String,
    /// Released applications.
    pub history: Vec<ErpCheckHistory>,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A bill that a check paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpCheckHistory {
    pub doc_type: &'static str,
    pub reference_nbr: String,
    pub vendor_ref: Option<String>,
    pub amount_paid: Cents,
    /// What the bill had left after it.
    pub balance: Cents,
    pub cash_discount_taken: Cents,
}

/// An AR document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpInvoice {
    /// `Invoice, Credit Memo, Debit Memo`.
    pub doc_type: &'static str,
    pub reference_nbr: String,
    pub status: &'static str,
    pub hold: bool,
    pub date: NaiveDate,
    pub post_period: String,
    pub due_date: NaiveDate,
    pub customer: String,
    pub customer_order: Option<String>,
    pub project: Option<String>,
    pub description: String,
    /// Payable now: without retainage.
    pub amount: Cents,
    pub balance: Cents,
    pub tax_total: Cents,
    pub currency_id: &'static str,
    pub terms: &'static str,
    pub amount_with_retainage: Cents,
    pub apply_retainage: bool,
    pub default_retainage_pct: Rate,
    pub retainage_total: Cents,
    pub retainage_unreleased: Cents,
    pub retainage_released: Cents,
    pub is_retainage_document: bool,
    pub orig_ref_nbr: Option<String>,
    pub details: Vec<ErpInvoiceLine>,
    /// Receipts (`ApplicationsDefault`) and credit memos (`ApplicationsCreditMemo`, `doc_type` `Credit Memo`).
    pub applications: Vec<ErpApplication>,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A line of an AR document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpInvoiceLine {
    pub line_nbr: i32,
    pub project_task: Option<String>,
    pub cost_code: Option<String>,
    pub account: String,
    pub description: String,
    pub qty: i64,
    pub unit_price: Cents,
    pub extended_price: Cents,
    /// With retainage.
    pub amount: Cents,
    pub retainage_amount: Cents,
}

/// A pro forma invoice: the ERP's own AIA form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpProForma {
    pub ref_nbr: String,
    /// Four digits per project, which only `$custom` shows.
    pub project_nbr: String,
    pub project_id: String,
    pub customer_id: String,
    /// `On Hold, Pending Approval, Rejected, Open, Closed` (released to AR).
    pub status: &'static str,
    pub hold: bool,
    pub invoice_date: NaiveDate,
    pub post_period: String,
    pub description: String,
    pub external_ref_nbr: Option<String>,
    pub currency_id: &'static str,
    pub invoice_total: Cents,
    pub progress_billing_total: Cents,
    pub tax_total: Cents,
    pub retainage_total: Cents,
    pub amount_due: Cents,
    pub ar_doc_type: Option<&'static str>,
    pub ar_ref_nbr: Option<String>,
    pub progress_billing: Vec<ErpProgressLine>,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A progress-billing line of a pro forma.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpProgressLine {
    pub project_task_id: String,
    pub cost_code: String,
    pub description: String,
    /// The scheduled value.
    pub revised_budgeted_amount: Cents,
    pub previously_invoiced: Cents,
    pub stored_material: Cents,
    pub amount: Cents,
    pub amount_to_invoice: Cents,
    pub total_completed: Rate,
    pub retainage: Rate,
    pub retainage_amount: Cents,
    pub sales_account: String,
}

/// A receipt from a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpPayment {
    /// `Payment` or `Voided Payment`.
    pub doc_type: &'static str,
    pub reference_nbr: String,
    pub status: &'static str,
    pub hold: bool,
    pub customer_id: String,
    pub payment_method: &'static str,
    pub cash_account: String,
    pub payment_ref: String,
    pub application_date: NaiveDate,
    pub payment_amount: Cents,
    pub applied_to_documents: Cents,
    pub available_balance: Cents,
    pub currency_id: &'static str,
    pub application_history: Vec<ErpPaymentHistory>,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// An invoice that a receipt paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpPaymentHistory {
    pub adjusted_doc_type: &'static str,
    pub adjusted_ref_nbr: String,
    pub amount_paid: Cents,
    pub date: NaiveDate,
    pub batch_nbr: String,
    pub post_period: String,
}

/// A header of job cost with its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpProjectTransaction {
    /// `AP, AR, PM, GL`.
    pub module: &'static str,
    pub reference_nbr: String,
    pub status: &'static str,
    pub description: String,
    pub original_doc_type: Option<&'static str>,
    pub original_doc_nbr: Option<String>,
    pub details: Vec<ErpProjectTransactionLine>,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// One line of job cost or revenue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpProjectTransactionLine {
    pub transaction_id: i64,
    pub date: NaiveDate,
    pub fin_period: String,
    pub project: String,
    pub project_task: String,
    pub cost_code: Option<String>,
    pub account_group: String,
    pub vendor_or_customer: Option<String>,
    pub description: String,
    pub qty: i64,
    pub unit_rate: Cents,
    pub amount: Cents,
    pub billable: bool,
    pub released: bool,
    pub batch_nbr: Option<String>,
    pub debit_account: Option<String>,
    pub credit_account: Option<String>,
}

/// A batch of the general ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpJournal {
    /// `GL, AP, AR, PM`.
    pub module: &'static str,
    pub batch_nbr: String,
    pub ledger_id: &'static str,
    pub branch_id: &'static str,
    pub post_period: String,
    pub transaction_date: NaiveDate,
    /// `Posted`, ….
    pub status: &'static str,
    pub hold: bool,
    pub description: String,
    pub currency_id: &'static str,
    pub details: Vec<ErpJournalLine>,
    pub note_id: String,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A line of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpJournalLine {
    pub line_nbr: i32,
    pub account: String,
    pub subaccount: &'static str,
    /// `X` is the non-project code.
    pub project: String,
    pub project_task: Option<String>,
    pub cost_code: Option<String>,
    /// The document that posted it.
    pub reference_nbr: Option<String>,
    pub vendor_or_customer: Option<String>,
    pub description: String,
    pub debit_amount: Cents,
    pub credit_amount: Cents,
    pub project_transaction_id: Option<i64>,
}
