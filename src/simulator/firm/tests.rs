//! The firm's life keeps the systems' identities, and its truth agrees with its databases.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::model::{Cents, ChangeOrderKind, G702, G703Line};
use super::{FaultRates, Firm, FirmOptions};

fn at(year: i32, month: u32, day: u32) -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(year, month, day).unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc()
}

fn lived(seed: u64) -> Firm {
    lived_until(seed, at(2026, 1, 1))
}

fn lived_until(seed: u64, until: DateTime<Utc>) -> Firm {
    // Mishaps break the identities that are tested here; `faults::tests` has them.
    let faults = FaultRates { mishaps: 0, ..FaultRates::default() };
    let mut firm = Firm::new(seed, FirmOptions { faults, ..FirmOptions::default() });
    firm.live_until(until);
    firm
}

fn without_faults(seed: u64) -> Firm {
    let mut firm = Firm::new(seed, FirmOptions { faults: FaultRates::none(), ..FirmOptions::default() });
    firm.live_until(at(2026, 1, 1));
    firm
}

#[test]
fn the_same_seed_lives_the_same_life_in_one_step_or_in_many() {
    let mut whole = Firm::new(7, FirmOptions::default());
    whole.live_until(at(2026, 1, 1));
    let mut steps = Firm::new(7, FirmOptions::default());
    let mut now = at(2024, 1, 1);
    while now < at(2026, 1, 1) {
        now = (now + TimeDelta::hours(17)).min(at(2026, 1, 1));
        steps.live_until(now);
    }
    assert_eq!(whole.procore, steps.procore);
    assert_eq!(whole.acumatica, steps.acumatica);
    assert_eq!(whole.truth(), steps.truth());
    assert_ne!(whole.acumatica, lived(8).acumatica);
}

#[test]
fn two_years_are_full_of_everything() {
    for seed in 1..5 {
        let begun = std::time::Instant::now();
        let firm = lived(seed);
        assert!(begun.elapsed().as_secs() < 5, "two years took {:?}", begun.elapsed());
        println!("lived in {:?}", begun.elapsed());
        assert_full(&firm);
    }
}

fn assert_full(firm: &Firm) {
    let counts: BTreeMap<String, usize> = firm.truth().iter().fold(BTreeMap::new(), |mut counts, fault| {
        *counts.entry(fault.check.clone()).or_default() += 1;
        counts
    });
    for check in ["V1", "V3", "C4", "O1", "O2", "I3", "I4", "P1"] {
        assert!(counts.contains_key(check), "no {check} in {counts:?}");
    }
    let (pm, erp) = (&firm.procore, &firm.acumatica);
    println!(
        "faults {counts:?}\ncommitments {} change orders {} requisitions {} applications {} payments {} | bills {} checks {} \
         invoices {} project transactions {} batches {}",
        pm.commitments.len(),
        pm.change_orders.len(),
        pm.requisitions.len(),
        pm.payment_applications.len(),
        pm.contract_payments.len(),
        erp.bills.len(),
        erp.checks.len(),
        erp.invoices.len(),
        erp.project_transactions.len(),
        erp.journal_transactions.len()
    );
    assert!(erp.checks.values().any(|check| check.doc_type == "Voided Check"));
    assert!(erp.checks.values().any(|check| check.history.len() > 1));
    assert!(erp.bills.values().any(|bill| bill.is_retainage_document));
    assert!(erp.bills.values().any(|bill| bill.doc_type == "Debit Adj."));
    assert!(erp.invoices.values().any(|invoice| invoice.doc_type == "Credit Memo"));
    assert!(pm.commitments.values().any(|commitment| commitment.deleted_at.is_some()));
    assert!(pm.change_orders.values().any(|order| order.status == "void"));
    assert!(pm.change_orders.values().any(|order| order.grand_total < Cents::ZERO));
    assert!(pm.projects.values().any(|project| project.is_demo));
    assert!(pm.projects.keys().all(|id| *id > 1 << 49));
}

fn assert_form(form: &G702, lines: &[G703Line]) {
    let sum = |of: fn(&G703Line) -> Cents| lines.iter().map(of).sum::<Cents>();
    assert_eq!(form.contract_sum_to_date, form.original_contract_sum + form.net_change_by_change_orders);
    assert_eq!(form.total_completed_and_stored_to_date, sum(|line| line.total_completed_and_stored_to_date));
    assert_eq!(form.total_retainage, form.completed_work_retainage_amount + form.stored_materials_retainage_amount);
    assert_eq!(form.total_retainage, sum(|line| line.total_retainage_currently_retained));
    assert_eq!(form.total_earned_less_retainage, form.total_completed_and_stored_to_date - form.total_retainage);
    assert_eq!(
        form.current_payment_due,
        form.total_earned_less_retainage - form.less_previous_certificates_for_payment
    );
    assert_eq!(
        form.balance_to_finish_including_retainage,
        form.contract_sum_to_date - form.total_earned_less_retainage
    );
    for line in lines {
        let work = line.work_completed_from_previous_application + line.work_completed_this_period;
        assert_eq!(line.total_completed_and_stored_to_date, work + line.materials_presently_stored);
        assert_eq!(line.balance_to_finish, line.scheduled_value - line.total_completed_and_stored_to_date);
    }
}

#[test]
fn forms_tie_and_each_continues_the_last() {
    let firm = lived(2);
    let mut earned: BTreeMap<(i64, u32), Cents> = BTreeMap::new();
    for form in firm.procore.payment_applications.values() {
        assert_form(&form.g702, &form.g703);
        earned.insert((form.contract_id, form.number), form.g702.total_earned_less_retainage);
    }
    for form in firm.procore.requisitions.values() {
        assert_form(&form.summary, &form.items);
        earned.insert((form.commitment_id, form.number), form.summary.total_earned_less_retainage);
    }
    let applications =
        firm.procore.payment_applications.values().map(|form| (form.contract_id, form.number, &form.g702));
    let requisitions = firm.procore.requisitions.values().map(|form| (form.commitment_id, form.number, &form.summary));
    for (contract, number, form) in applications.chain(requisitions) {
        let before = earned.get(&(contract, number - 1)).copied().unwrap_or_default();
        assert_eq!(form.less_previous_certificates_for_payment, before);
    }
}

#[test]
fn balances_are_amounts_less_applications_and_batches_balance() {
    for seed in [3, 12, 13] {
        assert_balances(&lived(seed));
    }
}

fn assert_balances(firm: &Firm) {
    let erp = &firm.acumatica;
    for bill in erp.bills.values().filter(|bill| bill.doc_type == "Bill") {
        let applied: Cents = bill.applications.iter().map(|application| application.amount_paid).sum();
        assert_eq!(bill.balance, bill.amount - applied);
        assert_eq!(bill.amount_with_retainage, bill.amount + bill.retainage_total);
        assert!(bill.balance >= Cents::ZERO, "{bill:?}");
    }
    for invoice in erp.invoices.values() {
        let applied: Cents = invoice.applications.iter().map(|application| application.amount_paid).sum();
        assert_eq!(invoice.balance, invoice.amount - applied);
    }
    for form in erp.pro_formas.values() {
        let invoice = &erp.invoices[&format!("Invoice|{}", form.ar_ref_nbr.as_deref().unwrap())];
        assert_eq!((form.invoice_total, form.amount_due), (invoice.amount_with_retainage, invoice.amount), "{form:?}");
    }
    for check in erp.checks.values() {
        assert_eq!(check.payment_amount, check.history.iter().map(|line| line.amount_paid).sum());
    }
    for batch in erp.journal_transactions.values() {
        let debits: Cents = batch.details.iter().map(|line| line.debit_amount).sum();
        assert_eq!(debits, batch.details.iter().map(|line| line.credit_amount).sum(), "{batch:?}");
    }
}

#[test]
fn control_accounts_are_the_open_documents() {
    let firm = lived_until(4, at(2026, 2, 1));
    let erp = &firm.acumatica;
    let balance = |account: &str| -> Cents {
        let lines = erp.journal_transactions.values().flat_map(|batch| &batch.details);
        lines.filter(|line| line.account == account).map(|line| line.debit_amount - line.credit_amount).sum()
    };
    // What is held is in no ledger.
    let bills = || erp.bills.values().filter(|bill| !bill.hold);
    assert!(bills().count() < erp.bills.len());
    assert_eq!(-balance("20000"), bills().map(|bill| bill.balance).sum());
    assert_eq!(-balance("20100"), bills().map(|bill| bill.retainage_unreleased).sum());
    let receivable = erp
        .invoices
        .values()
        .filter(|invoice| !invoice.hold)
        .map(|invoice| if invoice.doc_type == "Credit Memo" { -invoice.balance } else { invoice.balance });
    assert_eq!(balance("11000"), receivable.sum());
    assert_eq!(balance("11100"), erp.invoices.values().map(|invoice| invoice.retainage_unreleased).sum());
    for row in erp.project_budgets.values() {
        let lines = erp.project_transactions.values().flat_map(|header| &header.details);
        let posted = lines.filter(|line| {
            line.project == row.project_id
                && line.account_group == row.account_group
                && line.cost_code.as_deref().unwrap_or("") == row.cost_code
        });
        assert_eq!(row.actual_amount, posted.map(|line| line.amount).sum(), "{row:?}");
    }
}

#[test]
fn a_firm_without_faults_agrees_with_itself() {
    let firm = without_faults(5);
    assert!(firm.truth().iter().all(|fault| fault.check == "O2"), "{:?}", firm.truth());
    let settled = firm.now() - TimeDelta::hours(24);
    let exported: Vec<&str> =
        firm.acumatica.change_orders.values().filter_map(|order| order.external_ref_nbr.as_deref()).collect();
    let approved = firm.procore.change_orders.values().filter(|order| order.status == "approved");
    for order in approved.filter(|order| order.reviewed_at.is_some_and(|at| at < settled)) {
        assert!(exported.contains(&order.number.as_str()), "{order:?}");
    }
    for requisition in firm.procore.requisitions.values() {
        let documents = firm.contract_documents.get(&requisition.commitment_id).into_iter().flatten();
        let bills: Vec<_> = documents
            .filter(|key| firm.billed.get(*key) == Some(&requisition.id))
            .filter_map(|key| firm.acumatica.bills.get(key))
            .collect();
        if bills.is_empty() {
            assert!(!requisition.status.starts_with("approved") || requisition.updated_at >= settled);
            continue;
        }
        let net: Cents = bills.iter().map(|bill| bill.amount).sum();
        assert!((net - requisition.summary.current_payment_due).abs() <= Cents(1), "{requisition:?}");
    }
}

#[test]
fn the_truth_is_what_the_databases_say() {
    for seed in 6..12 {
        assert_truth(&lived(seed));
    }
}

#[test]
fn accounting_keeps_its_own_months() {
    // January's bill is held until February's day for the books.
    let firm = lived_until(3, at(2026, 2, 1));
    let erp = &firm.acumatica;
    let periods: Vec<_> = erp.financial_years.values().flat_map(|year| &year.periods).collect();
    let named = |status: &str| periods.iter().filter(|period| period.status == status).count();
    assert_eq!((named("Open"), periods.len()), (6, 36), "{periods:?}");
    assert!(erp.bills.values().any(|bill| bill.hold) && erp.invoices.values().any(|invoice| invoice.hold));
    let of_type = |kind: &'static str| erp.bills.values().filter(move |bill| bill.doc_type == kind);
    assert!(of_type("Credit Adj.").count() > 3);
    let taxed: Vec<_> = of_type("Bill").filter(|bill| !bill.tax_total.is_zero()).collect();
    assert!(!taxed.is_empty());
    for bill in taxed {
        let lines: Cents = bill.details.iter().map(|line| line.amount).sum();
        assert_eq!(bill.amount, lines + bill.tax_total);
    }
    let unposted = erp.journal_transactions.values().filter(|batch| batch.status == "Unposted");
    assert_eq!(unposted.count(), 1, "last month's is posted");
    // Late entries go to the month in which they are made.
    for batch in erp.journal_transactions.values() {
        let (month, year) = batch.post_period.split_at(2);
        let posted = format!("{year}-{month}");
        assert!(posted >= batch.transaction_date.format("%Y-%m").to_string(), "{batch:?}");
    }
}

fn assert_truth(firm: &Firm) {
    for fault in firm.truth() {
        let id = |text: &Option<String>| text.as_ref().and_then(|id| id.parse::<i64>().ok()).unwrap_or_default();
        let pm_id = id(&fault.pm_id);
        let is_open = fault.healed_at.is_none();
        assert!(fault.opened_at >= fault.occurred_at && fault.healed_at.is_none_or(|healed| healed >= fault.opened_at));
        match fault.check.as_str() {
            "V1" => {
                assert_eq!(firm.procore.vendors[&pm_id].origin_id.is_none(), is_open, "{fault:?}");
                let mut commitments = firm.procore.commitments.values();
                assert!(commitments.any(|record| record.vendor_id == Some(pm_id) && record.deleted_at.is_none()));
            }
            "V3" if is_open => {
                let (pm, erp) =
                    (&firm.procore.vendors[&pm_id], &firm.acumatica.vendors[fault.erp_id.as_deref().unwrap()]);
                let contact = &erp.main_contact;
                let differs = [
                    ("name", pm.name != erp.vendor_name),
                    ("city", pm.city != contact.city),
                    ("email", pm.email_address != contact.email),
                    ("phone", pm.business_phone != contact.phone1),
                    ("address_line", pm.address != contact.address_line1),
                    ("is_active", pm.is_active != (erp.status == "Active")),
                ];
                let found: Vec<_> = differs.iter().filter(|(_, differs)| *differs).map(|(field, _)| *field).collect();
                assert_eq!(found, [fault.field.as_deref().unwrap()], "{fault:?}");
            }
            "O1" => {
                let order = &firm.procore.change_orders[&pm_id];
                assert_eq!(order.status, "approved");
                if is_open {
                    let package = &firm.procore.change_order_packages[&order.legacy_package_id.unwrap()];
                    assert_eq!(package.origin_id, None);
                }
            }
            "I4" => {
                let bill = &firm.acumatica.bills[fault.erp_id.as_deref().unwrap()];
                let requisition = &firm.procore.requisitions[&pm_id];
                let differs = match fault.field.as_deref() {
                    Some("gross_amount") => bill.amount_with_retainage != requisition.total_claimed_amount,
                    Some("net_amount") => bill.amount != requisition.summary.current_payment_due,
                    _ => {
                        bill.retainage_total
                            != requisition.total_claimed_amount - requisition.summary.current_payment_due
                    }
                };
                assert_eq!(differs, is_open, "{fault:?}");
            }
            "P1" if is_open => {
                let check = &firm.acumatica.checks[fault.erp_id.as_deref().unwrap()];
                let mut payments = firm.procore.contract_payments.values();
                assert!(!payments.any(|payment| {
                    payment.requisition_id == Some(pm_id) && payment.check_number == check.payment_ref
                }));
            }
            _ => {}
        }
    }
    // Whatever was approved is in the ERP, in flight, or in the truth.
    let open =
        |check: &str| firm.truth().iter().filter(|fault| fault.check == check && fault.healed_at.is_none()).count();
    let orders = firm.procore.change_orders.values().filter(|order| order.status == "approved");
    let settled = firm.now() - TimeDelta::hours(20);
    let (old, young): (Vec<_>, Vec<_>) = orders.partition(|order| order.reviewed_at.is_some_and(|at| at < settled));
    let accounted = firm.acumatica.change_orders.len() + open("O1");
    assert!((old.len()..=old.len() + young.len()).contains(&accounted));
    // Whatever linked vendor differs is in the truth.
    for (id, key) in &firm.erp_vendors {
        let (pm, erp) = (&firm.procore.vendors[id], &firm.acumatica.vendors[key]);
        let differs = pm.name != erp.vendor_name || pm.address != erp.main_contact.address_line1;
        let known = firm
            .truth()
            .iter()
            .any(|fault| fault.check == "V3" && fault.pm_id == Some(id.to_string()) && fault.healed_at.is_none());
        assert!(!differs || known);
    }
}

#[test]
fn the_unpaid_list_carries_the_erp_verdict() {
    let firm = lived(6);
    let list = firm.unpaid_requisitions(60);
    assert!(!list.is_empty());
    for row in &list {
        assert!(row.paid_in_procore < row.net);
    }
    let kinds = firm.procore.change_orders.values().map(|order| order.kind).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(kinds.len(), [ChangeOrderKind::Commitment, ChangeOrderKind::Prime].len());
}

#[test]
fn a_hundred_projects_live_too() {
    let options = FirmOptions { projects: 100, vendors: 300, months: 12, ..FirmOptions::default() };
    let mut firm = Firm::new(9, options);
    firm.live_until(at(2025, 1, 1));
    assert!(firm.procore.requisitions.len() > 1_000);
    let names: std::collections::BTreeSet<_> = firm.procore.vendors.values().map(|vendor| &vendor.name).collect();
    assert_eq!(names.len(), firm.procore.vendors.len());
}
