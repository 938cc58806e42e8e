//! What the checks and the year-end schedules go by: `[accounts]`, `[tolerance]`, `[checks]`, `[year_end]`.

use serde::{Deserialize, Serialize};

/// `[accounts]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountsConfig {
    /// Cost codes that say "nobody chose": compared normalised.
    pub default_codes: Vec<String>,
    /// Accounts where unassigned cost is parked.
    pub suspense_accounts: Vec<String>,
    /// Control accounts of payables, where the ERP does not tell them.
    pub ap: Vec<String>,
    /// Control accounts of receivables.
    pub ar: Vec<String>,
    /// Control accounts of retainage owed to vendors.
    pub retainage_payable: Vec<String>,
    /// Control accounts of retainage that owners hold.
    pub retainage_receivable: Vec<String>,
}

impl Default for AccountsConfig {
    fn default() -> Self {
        let default_codes = ["00-000", "0000", "00-0000", "99-999", "UNASSIGNED", "SUSPENSE", "DEFAULT"];
        Self {
            default_codes: default_codes.map(str::to_owned).to_vec(),
            suspense_accounts: Vec::new(),
            ap: Vec::new(),
            ar: Vec::new(),
            retainage_payable: Vec::new(),
            retainage_receivable: Vec::new(),
        }
    }
}

/// `[tolerance]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToleranceConfig {
    /// Decimal text, in the currency's unit: differences up to it are equal.
    pub amount: String,
}

impl Default for ToleranceConfig {
    fn default() -> Self {
        Self { amount: "0.01".to_owned() }
    }
}

/// `[checks]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChecksConfig {
    /// O1: change orders older than this many days are no longer in the last month's window.
    pub change_order_days: i64,
    /// O2: days after which a pending change order is listed.
    pub change_order_pending_days: i64,
    /// S2: days that the accounting approver may take.
    pub approver_days: i64,
    /// I7: days until an invoice is due where neither side says it.
    pub default_terms_days: i64,
    /// L2: hours after which an ERP change that PM has not taken over is late.
    pub import_stale_hours: i64,
    /// P0: days after which an invoice unpaid in PM is listed.
    pub unpaid_days: i64,
    /// V1: a PM vendor created within so many days is expected in the ERP even before it is used.
    pub vendor_created_days: i64,
    /// W3: for so many days a change that was silently undone is listed.
    pub overwrite_days: i64,
    /// Hours after which a read is too old for a check to speak.
    pub freshness_hours: i64,
}

impl Default for ChecksConfig {
    fn default() -> Self {
        Self {
            change_order_days: 30,
            change_order_pending_days: 30,
            approver_days: 2,
            default_terms_days: 30,
            import_stale_hours: 36,
            unpaid_days: 60,
            vendor_created_days: 90,
            overwrite_days: 30,
            freshness_hours: 36,
        }
    }
}

/// `[year_end]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct YearEndConfig {
    /// Decimal text: from which total on a vendor is reported on form 1099, where it is not the law's of the year.
    pub form_1099_threshold: Option<String>,
    /// Payment methods that are cards or a payment network's: their processor reports them, not the firm.
    pub card_methods: Vec<String>,
}
