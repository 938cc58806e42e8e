//! What Acumatica stores of its calendar: financial years and their periods.

#![expect(
    missing_docs,
    reason = "the fields carry the names of Acumatica's own interface; the fact sheet explains them"
)]

use chrono::{DateTime, NaiveDate, Utc};

/// A financial year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpFinancialYear {
    pub year: String,
    pub starts_on: NaiveDate,
    pub periods: Vec<ErpFinancialPeriod>,
    pub created_at: DateTime<Utc>,
    pub last_modified_at: DateTime<Utc>,
}

/// A month of a financial year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErpFinancialPeriod {
    /// `MMYYYY`.
    pub period_id: String,
    pub number: u32,
    pub description: String,
    pub starts_on: NaiveDate,
    pub ends_on: NaiveDate,
    /// `Inactive, Open, Closed`.
    pub status: &'static str,
}
