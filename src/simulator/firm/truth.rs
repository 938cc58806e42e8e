//! The truth about the simulated firm: what went wrong, since when, and when somebody put it right.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::Firm;
use super::model::{Cents, ProcoreId};

mod standing;

/// Something that went wrong, and that a check should find while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The failure class: `V1`, `O1`, ….
    pub check: String,
    /// The canonical entity: `vendors`, `change_orders`, ….
    pub entity: String,
    /// The Procore id as text.
    pub pm_id: Option<String>,
    /// The Acumatica natural key, composite keys joined by `|`.
    pub erp_id: Option<String>,
    /// The canonical column that differs, where one does.
    pub field: Option<String>,
    /// When what should have followed became due: the approval, the payment. Grace counts from here.
    pub occurred_at: DateTime<Utc>,
    /// Since when the two databases disagree.
    pub opened_at: DateTime<Utc>,
    /// When they agreed again.
    pub healed_at: Option<DateTime<Utc>>,
    /// The money concerned.
    pub amount: Option<Cents>,
    /// One sentence; a consequence of another fault says `follows from …`.
    pub note: String,
}

/// What the ERP knows of a requisition that Procore shows unpaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentVerdict {
    /// The ERP paid it all.
    Paid,
    /// The ERP paid some of it.
    Partly,
    /// The ERP has a bill and paid nothing.
    Unpaid,
    /// The ERP has no bill.
    NoRecord,
}

/// A requisition that Procore shows unpaid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpaidRequisition {
    /// Its Procore id.
    pub requisition_id: ProcoreId,
    /// The ERP bills that it became.
    pub bills: Vec<String>,
    /// The day that its age counts from.
    pub billing_date: NaiveDate,
    /// What is payable by Procore.
    pub net: Cents,
    /// What Procore knows as paid.
    pub paid_in_procore: Cents,
    /// What the ERP paid by unvoided checks.
    pub paid_in_erp: Cents,
    /// The ERP's word.
    pub verdict: PaymentVerdict,
}

/// The faults that have opened by `now`, without what is still to come.
pub(super) fn known(faults: &[Fault], now: DateTime<Utc>) -> Vec<Fault> {
    let mut known: Vec<Fault> = faults.iter().filter(|fault| fault.opened_at <= now).cloned().collect();
    for fault in &mut known {
        fault.healed_at = fault.healed_at.filter(|healed| *healed <= now);
    }
    known.sort_by_key(|fault| fault.opened_at);
    known
}

/// See [`Firm::unpaid_requisitions`].
pub(super) fn unpaid(firm: &Firm, days: u64) -> Vec<UnpaidRequisition> {
    let latest = firm.now.date_naive() - TimeDelta::days(i64::try_from(days).unwrap_or(i64::MAX / 1_000_000_000));
    let mut list = Vec::new();
    for requisition in firm.procore.requisitions.values() {
        let net = requisition.summary.current_payment_due;
        let is_due =
            requisition.status.starts_with("approved") && requisition.billing_date < latest && net > Cents::ZERO;
        if !is_due || requisition.deleted_at.is_some() {
            continue;
        }
        let payments = firm.procore.contract_payments.values();
        let paid_in_procore = payments
            .filter(|payment| payment.requisition_id == Some(requisition.id))
            .map(|payment| payment.amount)
            .sum();
        // A cent that the ERP rounded away is settled: no check asks for it.
        if paid_in_procore + Cents(1) >= net {
            continue;
        }
        let documents = firm.contract_documents.get(&requisition.commitment_id).into_iter().flatten();
        let bills: Vec<String> =
            documents.filter(|key| firm.billed.get(*key) == Some(&requisition.id)).cloned().collect();
        let found = || bills.iter().filter_map(|key| firm.acumatica.bills.get(key));
        let paid_in_erp: Cents = found()
            .flat_map(|bill| &bill.applications)
            .filter(|application| application.doc_type.ends_with("Check"))
            .map(|application| application.amount_paid)
            .sum();
        let open: Cents = found().map(|bill| bill.balance).sum();
        let verdict = match (bills.is_empty(), open.is_zero(), paid_in_erp.is_zero()) {
            (true, ..) => PaymentVerdict::NoRecord,
            (_, true, _) => PaymentVerdict::Paid,
            (_, _, true) => PaymentVerdict::Unpaid,
            _ => PaymentVerdict::Partly,
        };
        let billing_date = requisition.billing_date;
        let requisition_id = requisition.id;
        list.push(UnpaidRequisition {
            requisition_id,
            bills,
            billing_date,
            net,
            paid_in_procore,
            paid_in_erp,
            verdict,
        });
    }
    list
}
