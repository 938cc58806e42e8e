//! What Procore stores: the project-management side's records.

#![expect(missing_docs, reason = "the fields carry the names of Procore's own interface; the fact sheet explains them")]

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    BillingPeriod, BudgetChange, BudgetLine, Cents, ContractPayment, DirectCost, PaymentApplication, ProcoreId, Rate,
    Requisition,
};

/// Everything that Procore stores, each record under its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcoreDatabase {
    pub company: Company,
    /// The directory of companies: subcontractors, suppliers, owners, architects; active and inactive.
    pub vendors: BTreeMap<ProcoreId, Vendor>,
    pub projects: BTreeMap<ProcoreId, Project>,
    /// Cost codes, each of one project.
    pub cost_codes: BTreeMap<ProcoreId, CostCode>,
    /// The company's own list, from which projects copy their codes.
    pub standard_cost_codes: BTreeMap<ProcoreId, StandardCostCode>,
    /// Cost types (`line_item_types`), company-wide.
    pub cost_types: BTreeMap<ProcoreId, CostType>,
    /// Work order contracts and purchase order contracts.
    pub commitments: BTreeMap<ProcoreId, Commitment>,
    pub prime_contracts: BTreeMap<ProcoreId, PrimeContract>,
    /// Commitment and prime change orders.
    pub change_orders: BTreeMap<ProcoreId, ChangeOrder>,
    /// The legacy packages that carry a change order's ERP key.
    pub change_order_packages: BTreeMap<ProcoreId, ChangeOrderPackage>,
    /// Owner invoices (AIA G702/G703).
    pub payment_applications: BTreeMap<ProcoreId, PaymentApplication>,
    /// Subcontractor invoices.
    pub requisitions: BTreeMap<ProcoreId, Requisition>,
    /// Payments issued (commitments) and received (prime contracts).
    pub contract_payments: BTreeMap<ProcoreId, ContractPayment>,
    pub billing_periods: BTreeMap<ProcoreId, BillingPeriod>,
    /// One row per project, cost code and cost type (`budget_views/…/detail_rows`).
    pub budget_lines: BTreeMap<ProcoreId, BudgetLine>,
    pub budget_changes: BTreeMap<ProcoreId, BudgetChange>,
    /// Costs beside commitments, as the ERP mirrored them.
    pub direct_costs: BTreeMap<ProcoreId, DirectCost>,
}

/// The company whose account it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Company {
    pub id: ProcoreId,
    pub name: String,
}

/// A company of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    pub id: ProcoreId,
    pub name: String,
    pub legal_name: Option<String>,
    pub trade_name: Option<String>,
    pub abbreviated_name: Option<String>,
    pub is_active: bool,
    pub synced_to_erp: bool,
    pub origin_id: Option<String>,
    pub origin_code: Option<String>,
    /// `business_register.identifier`, an EIN `NN-NNNNNNN`.
    pub tax_identifier: Option<String>,
    pub license_number: Option<String>,
    pub address: Option<String>,
    pub city: Option<String>,
    pub state_code: Option<String>,
    pub zip: Option<String>,
    pub country_code: Option<String>,
    pub email_address: Option<String>,
    pub business_phone: Option<String>,
    /// Projects in whose directory it is.
    pub project_ids: Vec<ProcoreId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A project.
#[expect(clippy::struct_excessive_bools, reason = "each flag is a field of its own in the interface")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub id: ProcoreId,
    pub name: String,
    pub project_number: Option<String>,
    pub accounting_project_number: Option<String>,
    pub active: bool,
    pub is_demo: bool,
    pub is_template: bool,
    /// `Course of Construction`, `Pre-Construction`, `Warranty`, ….
    pub stage: &'static str,
    pub origin_id: Option<String>,
    pub origin_code: Option<String>,
    pub total_value: Cents,
    pub start_date: Option<NaiveDate>,
    pub completion_date: Option<NaiveDate>,
    pub address: Option<String>,
    pub city: Option<String>,
    pub state_code: Option<String>,
    pub zip: Option<String>,
    pub time_zone: &'static str,
    pub project_manager: Option<String>,
    pub budget_locked: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A cost code of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostCode {
    pub id: ProcoreId,
    pub project_id: ProcoreId,
    /// The last part: `100`.
    pub code: String,
    /// The whole: `01-100`.
    pub full_code: String,
    pub name: String,
    pub parent_id: Option<ProcoreId>,
    pub standard_cost_code_id: Option<ProcoreId>,
    pub budgeted: bool,
    pub position: u32,
    pub origin_id: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A cost code of the company's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandardCostCode {
    pub id: ProcoreId,
    pub standard_cost_code_list_id: ProcoreId,
    pub code: String,
    pub full_code: String,
    pub name: String,
    pub parent_id: Option<ProcoreId>,
    pub origin_id: Option<String>,
}

/// A cost type (`line_item_type`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostType {
    pub id: ProcoreId,
    pub code: &'static str,
    pub name: &'static str,
    pub base_type: &'static str,
    pub origin_id: Option<String>,
}

/// Which list a commitment is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommitmentKind {
    /// `work_order_contracts`: a subcontract.
    WorkOrder,
    /// `purchase_order_contracts`.
    PurchaseOrder,
}

/// A work order contract or purchase order contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    pub id: ProcoreId,
    pub kind: CommitmentKind,
    pub project_id: ProcoreId,
    pub vendor_id: Option<ProcoreId>,
    pub number: String,
    pub title: String,
    /// WO: `Draft, Out For Bid, Out For Signature, Approved, Complete, Terminated, Void`; PO: `Draft, Submitted, Approved, Closed`, ….
    pub status: &'static str,
    pub executed: bool,
    pub grand_total: Cents,
    pub approved_change_orders: Cents,
    pub pending_change_orders: Cents,
    pub draft_change_orders_amount: Cents,
    /// `grand_total + approved_change_orders`.
    pub revised_contract: Cents,
    /// `revised_contract + pending_change_orders`.
    pub pending_revised_contract: Cents,
    pub retainage_percent: Rate,
    /// Gross of the approved requisitions.
    pub total_requisitions_amount: Cents,
    pub total_payments: Cents,
    pub percentage_paid: Rate,
    /// `revised_contract − total_payments`.
    pub remaining_balance_outstanding: Cents,
    pub origin_id: Option<String>,
    pub origin_code: Option<String>,
    pub contract_date: Option<NaiveDate>,
    pub execution_date: Option<NaiveDate>,
    pub signed_contract_received_date: Option<NaiveDate>,
    /// Purchase orders only.
    pub delivery_date: Option<NaiveDate>,
    /// Purchase orders only.
    pub payment_terms: Option<String>,
    /// The schedule of values.
    pub lines: Vec<ContractLine>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A line of a contract's original schedule of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractLine {
    pub id: ProcoreId,
    /// 1-based.
    pub position: u32,
    pub description: String,
    pub amount: Cents,
    pub quantity: i64,
    pub unit_cost: Cents,
    pub uom: Option<&'static str>,
    pub cost_code_id: ProcoreId,
    /// The cost code's `full_code`.
    pub cost_code: String,
    pub line_item_type_id: ProcoreId,
    /// The cost type's code.
    pub cost_type: &'static str,
    pub wbs_code_id: ProcoreId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The contract with the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimeContract {
    pub id: ProcoreId,
    pub project_id: ProcoreId,
    /// The owner, a company of the directory.
    pub vendor_id: Option<ProcoreId>,
    pub number: String,
    pub title: String,
    pub status: &'static str,
    pub executed: bool,
    pub grand_total: Cents,
    pub approved_change_orders: Cents,
    pub revised_contract_amount: Cents,
    pub pending_change_orders_amount: Cents,
    pub draft_change_orders_amount: Cents,
    pub pending_revised_contract_amount: Cents,
    /// Net of the approved applications.
    pub owner_invoices_amount: Cents,
    pub total_payments: Cents,
    /// `owner_invoices_amount − total_payments`.
    pub outstanding_balance: Cents,
    pub percentage_paid: Rate,
    pub retainage_percent: Rate,
    pub origin_id: Option<String>,
    pub origin_code: Option<String>,
    pub contract_date: Option<NaiveDate>,
    pub execution_date: Option<NaiveDate>,
    pub lines: Vec<ContractLine>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// Whose contract a change order changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeOrderKind {
    /// `commitment_change_orders`.
    Commitment,
    /// `prime_change_orders`.
    Prime,
}

/// A commitment or prime change order. It carries no ERP key: its package does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeOrder {
    pub id: ProcoreId,
    pub kind: ChangeOrderKind,
    pub project_id: ProcoreId,
    pub contract_id: ProcoreId,
    /// The id of its [`ChangeOrderPackage`]; never its own.
    pub legacy_package_id: Option<ProcoreId>,
    pub number: String,
    pub title: String,
    /// `draft, pending, proceeding, approved, rejected, void, …`.
    pub status: &'static str,
    pub executed: bool,
    pub paid: bool,
    pub private: bool,
    pub grand_total: Cents,
    /// Days, not money.
    pub schedule_impact_amount: Option<i64>,
    pub due_date: Option<NaiveDate>,
    pub invoiced_date: Option<NaiveDate>,
    pub paid_date: Option<NaiveDate>,
    /// When it was approved, rejected or voided.
    pub reviewed_at: Option<DateTime<Utc>>,
    pub revision: u32,
    pub created_by: String,
    pub lines: Vec<ChangeOrderLine>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A line of a change order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeOrderLine {
    pub id: ProcoreId,
    pub position: u32,
    pub description: String,
    pub amount: Cents,
    pub cost_code_id: ProcoreId,
    pub cost_code: String,
    pub line_item_type_id: ProcoreId,
    pub cost_type: &'static str,
    pub wbs_code_id: ProcoreId,
}

/// The legacy package of a change order, which bears the ERP's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeOrderPackage {
    pub id: ProcoreId,
    pub kind: ChangeOrderKind,
    pub project_id: ProcoreId,
    pub contract_id: ProcoreId,
    pub number: String,
    pub title: String,
    pub status: &'static str,
    pub executed: bool,
    pub grand_total: Cents,
    pub origin_id: Option<String>,
    pub origin_code: Option<String>,
    pub invoiced_date: Option<NaiveDate>,
    pub paid_date: Option<NaiveDate>,
    pub reviewed_at: Option<DateTime<Utc>>,
    pub revision: u32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Commitment {
    /// Makes the totals that follow from others follow.
    pub(in crate::firm) fn retotal(&mut self) {
        self.revised_contract = self.grand_total + self.approved_change_orders;
        self.pending_revised_contract = self.revised_contract + self.pending_change_orders;
        self.remaining_balance_outstanding = self.revised_contract - self.total_payments;
        self.percentage_paid = self.total_payments.percent_of(self.revised_contract);
    }
}

impl PrimeContract {
    /// Makes the totals that follow from others follow.
    pub(in crate::firm) fn retotal(&mut self) {
        self.revised_contract_amount = self.grand_total + self.approved_change_orders;
        self.pending_revised_contract_amount = self.revised_contract_amount + self.pending_change_orders_amount;
        self.outstanding_balance = self.owner_invoices_amount - self.total_payments;
        self.percentage_paid = self.total_payments.percent_of(self.revised_contract_amount);
    }
}
