//! What Acumatica stores of documents: bills, checks, invoices, receipts, job cost, journals.

#![expect(
    missing_docs,
    reason = "the fields carry the names of Acumatica's own interface; the fact sheet explains them"
)]

use chrono::{DateTime, NaiveDate, Utc};

use super::{Cents, Rate};

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
