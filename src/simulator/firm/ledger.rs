//! The ERP's calendar, and what accounting enters that no project ever sees: held and taxed bills, adjustments, open batches.
//!
//! Invariant: it draws from a chance of its own and touches no project, so that the rest of the firm's life is the same with
//! or without it. A period closes months after its end, when what belongs in it has come; later entries go to the month in
//! which they are made.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::Firm;
use super::books::{NO_PROJECT, PAYABLE, entry, overhead_line, period};
use super::life::month_end;
use super::model::{
    Cents, ErpApplication, ErpBill, ErpCheck, ErpCheckHistory, ErpContact, ErpFinancialPeriod, ErpFinancialYear,
};

/// What income and expense of past years became.
pub(crate) const RETAINED_EARNINGS: &str = "32000";
/// The vendor of all this.
const VENDOR: &str = "V9004";
/// Months after which a period is closed.
const CLOSES_AFTER: u32 = 5;

impl Firm {
    pub(super) fn set_up_ledger(&mut self, at: DateTime<Utc>) {
        let year = self.today().year();
        let first = period_start(year, self.today().month());
        self.add_year(year, at);
        self.add_year(year + 1, at);
        self.set_periods(|starts_on| match starts_on {
            before if before < first => "Closed",
            day if day <= first + Months::new(1) => "Open",
            _ => "Inactive",
        });
        self.aside(|firm| {
            let contact = ErpContact { country: Some("US".to_owned()), ..ErpContact::default() };
            let vendor = firm.erp_vendor(VENDOR, "Mint Street Accounting LLC", None, contact, at);
            firm.acumatica.vendors.insert(VENDOR.to_owned(), vendor);
        });
    }

    /// A month of accounting: periods open and close, last month's held bill is released, new entries are made.
    pub(super) fn keep_ledger(&mut self) {
        let today = self.today();
        let this_month = period_start(today.year(), today.month());
        if today.month() == 12 {
            self.add_year(today.year() + 1, self.now);
        }
        let closed_before = this_month.checked_sub_months(Months::new(CLOSES_AFTER - 1)).unwrap_or_default();
        self.set_periods(|starts_on| match starts_on {
            before if before < closed_before => "Closed",
            day if day <= this_month + Months::new(1) => "Open",
            _ => "Inactive",
        });
        self.aside(|firm| {
            firm.release_held();
            firm.pay_ledger_bills();
            firm.enter_ledger_documents(today);
        });
    }

    /// The period that an entry of a day goes to: its own, or this month's if that is closed.
    pub(super) fn posting_period(&self, date: NaiveDate) -> String {
        let own = period(date);
        let years = self.acumatica.financial_years.values();
        let is_closed = years.flat_map(|year| &year.periods).any(|it| it.period_id == own && it.status == "Closed");
        if is_closed { period(self.today()) } else { own }
    }

    /// Does something with chances of its own.
    fn aside(&mut self, act: impl FnOnce(&mut Self)) {
        std::mem::swap(&mut self.rng, &mut self.ledger_rng);
        act(self);
        std::mem::swap(&mut self.rng, &mut self.ledger_rng);
    }

    fn add_year(&mut self, year: i32, at: DateTime<Utc>) {
        let periods = (1..=12).map(|month| {
            let starts_on = period_start(year, month);
            ErpFinancialPeriod {
                period_id: period(starts_on),
                number: month,
                description: starts_on.format("%B").to_string(),
                starts_on,
                ends_on: month_end(starts_on),
                status: "Inactive",
            }
        });
        let (starts_on, periods) = (period_start(year, 1), periods.collect());
        let record =
            ErpFinancialYear { year: year.to_string(), starts_on, periods, created_at: at, last_modified_at: at };
        self.acumatica.financial_years.entry(year.to_string()).or_insert(record);
    }

    fn set_periods(&mut self, status: impl Fn(NaiveDate) -> &'static str) {
        for year in self.acumatica.financial_years.values_mut() {
            for period in &mut year.periods {
                let status = status(period.starts_on);
                if period.status != status {
                    (period.status, year.last_modified_at) = (status, self.now);
                }
            }
        }
    }

    fn enter_ledger_documents(&mut self, date: NaiveDate) {
        let amount = Cents(self.between(20_000, 180_000));
        let mut bill = self.ledger_bill(date, amount);
        match date.month0() % 4 {
            // Waits for somebody's approval.
            0 => (bill.status, bill.hold) = ("On Hold", true),
            1 => bill.tax_total = amount.share(725, 10_000),
            2 => bill.doc_type = "Credit Adj.",
            _ => {}
        }
        if bill.hold {
            let key = format!("{}|{}", bill.doc_type, bill.reference_nbr);
            self.acumatica.bills.insert(key, bill);
        } else {
            bill.total();
            self.post_bill(&bill, 1);
            let key = format!("{}|{}", bill.doc_type, bill.reference_nbr);
            self.acumatica.bills.insert(key, bill);
        }
        if date.month0() % 3 == 1 {
            self.hold_invoice(date, amount);
        }
        self.enter_accrual(date, amount);
    }

    fn ledger_bill(&mut self, date: NaiveDate, amount: Cents) -> ErpBill {
        let reference = self.reference("payable");
        let mut bill = self.bill_record(&reference, VENDOR, date, vec![overhead_line("60200", amount)]);
        bill.vendor_ref = Some(format!("MSA-{}", date.format("%y%m")));
        bill.description = String::from("Bookkeeping");
        bill.apply_retainage = false;
        bill.default_retainage_pct = super::model::Rate(0);
        bill
    }

    /// What was held a month ago is approved and posted.
    fn release_held(&mut self) {
        let held = self.acumatica.bills.iter().filter(|(_, bill)| bill.hold && bill.vendor == VENDOR);
        for key in held.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            let Some(mut bill) = self.acumatica.bills.get(&key).cloned() else { continue };
            (bill.hold, bill.last_modified_at) = (false, self.now);
            bill.total();
            self.post_bill(&bill, 1);
            self.acumatica.bills.insert(key, bill);
        }
        // Last month's accrual is posted; the one before it is history.
        let now = self.now;
        for batch in self.acumatica.journal_transactions.values_mut() {
            if batch.module == "GL" && batch.status == "Unposted" {
                (batch.status, batch.last_modified_at) = ("Posted", now);
            }
        }
    }

    /// Bills of two months and older are paid, each by a check of its own.
    fn pay_ledger_bills(&mut self) {
        let due = self.now - TimeDelta::days(45);
        let is_due = |bill: &ErpBill| bill.vendor == VENDOR && bill.created_at < due && bill.status == "Open";
        let bills: Vec<ErpBill> = self.acumatica.bills.values().filter(|bill| is_due(bill)).cloned().collect();
        for mut bill in bills {
            let reference = self.reference("check");
            let (today, amount) = (self.today(), bill.balance);
            bill.applications.push(ErpApplication {
                doc_type: "Check",
                reference_nbr: reference.clone(),
                amount_paid: amount,
                balance: Cents::ZERO,
                status: "Closed",
                date: today,
            });
            bill.total();
            let history = ErpCheckHistory {
                doc_type: bill.doc_type,
                reference_nbr: bill.reference_nbr.clone(),
                vendor_ref: bill.vendor_ref.clone(),
                amount_paid: amount,
                balance: bill.balance,
                cash_discount_taken: Cents::ZERO,
            };
            self.acumatica.bills.insert(format!("{}|{}", bill.doc_type, bill.reference_nbr), bill);
            self.post_pair("AP", today, &reference, PAYABLE, super::books::CASH, amount);
            let check = ErpCheck {
                doc_type: "Check",
                reference_nbr: reference.clone(),
                status: "Closed",
                hold: false,
                vendor: VENDOR.to_owned(),
                payment_method: "ACH",
                cash_account: super::books::CASH.to_owned(),
                payment_ref: format!("T{reference}"),
                application_date: today,
                payment_amount: amount,
                unapplied_balance: Cents::ZERO,
                currency_id: "USD",
                description: String::from("Bookkeeping"),
                history: vec![history],
                note_id: self.note_id(),
                created_at: self.now,
                last_modified_at: self.now,
            };
            self.acumatica.checks.insert(format!("Check|{reference}"), check);
        }
    }

    /// An invoice to an owner that nobody has released: it is in no ledger.
    fn hold_invoice(&mut self, date: NaiveDate, amount: Cents) {
        let Some(customer) = self.acumatica.customers.keys().next().cloned() else { return };
        let reference = self.reference("receivable");
        let line = super::cash::memo_line(amount);
        let mut invoice = self.invoice_record(&reference, &customer, NO_PROJECT, date, vec![line]);
        (invoice.status, invoice.hold, invoice.apply_retainage) = ("On Hold", true, false);
        invoice.description = String::from("Plan copies");
        self.acumatica.invoices.insert(format!("Invoice|{reference}"), invoice);
    }

    /// An accrual that waits a month to be posted.
    fn enter_accrual(&mut self, date: NaiveDate, amount: Cents) {
        let batch = self.reference("GL batch");
        let lines = vec![entry("60100", NO_PROJECT, None, amount), entry("21000", NO_PROJECT, None, -amount)];
        self.post("GL", batch.clone(), date, "", lines);
        if let Some(batch) = self.acumatica.journal_transactions.get_mut(&format!("GL|{batch}")) {
            batch.status = "Unposted";
            batch.description = String::from("Accrual");
        }
    }
}

/// Before the office opens.
pub(super) fn morning(date: NaiveDate) -> DateTime<Utc> {
    (date.and_time(NaiveTime::MIN) + TimeDelta::hours(9)).and_utc()
}

fn period_start(year: i32, month: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, 1).unwrap_or_default()
}
