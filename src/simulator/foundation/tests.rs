//! What the tables show of the firm.

use std::collections::BTreeSet;

use super::*;
use crate::firm::FirmOptions;

fn firm() -> Firm {
    let mut options = FirmOptions { first_month: (2026, 1), months: 9, projects: 3, ..FirmOptions::default() };
    options.faults = options.faults.scaled(200);
    let mut firm = Firm::new(4, options);
    firm.live_until("2026-10-01T11:00:00Z".parse().unwrap());
    firm
}

fn column(schema: &SqlSchema, table: &str, name: &str) -> Vec<String> {
    let values = schema.table(table).unwrap().values(name).unwrap();
    values.map(|value| value.unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_row_fits_its_table() {
    let schema = tables(&firm()).unwrap();
    let script = schema.script().unwrap();
    assert!(script.contains("\"job_no\" character(10) not null"), "{}", &script[..500]);
    for (name, table) in schema.tables() {
        assert!(!table.rows().is_empty(), "{name} shows nothing");
    }
}

#[test]
fn two_companies_share_the_database() {
    let schema = tables(&firm()).unwrap();
    for table in ["jobs", "vendors", "customers", "ap_invoice_h", "ar_invoice", "ar_cash", "gl_history"] {
        let companies: BTreeSet<String> = column(&schema, table, "company_no").into_iter().collect();
        assert_eq!(companies.len(), 2, "{table}");
    }
    // Another job's number stands where nobody would look for the key.
    let (keys, others) = (column(&schema, "jobs", "job_no"), column(&schema, "jobs", "job_number"));
    assert!(others.iter().any(|other| !other.is_empty() && keys.contains(other)), "{others:?}");
}

#[test]
fn payments_stand_in_four_tables_and_come_to_what_was_paid() {
    let firm = firm();
    let schema = tables(&firm).unwrap();
    let cents = |text: &str| text.replace('.', "").parse::<i64>().unwrap();
    let mut sum = 0;
    for table in ["ap_check_vch", "ap_pmt_vch", "ap_pre_check_vch", "ap_pre_pmt_vch"] {
        let amounts = column(&schema, table, "cash_amount");
        let is_checks = table == "ap_check_vch";
        let flags = if is_checks { column(&schema, table, "void_flag") } else { vec!["0".to_owned(); amounts.len()] };
        assert!(!is_checks || flags.contains(&"1".to_owned()), "no void");
        sum +=
            amounts.iter().zip(&flags).filter(|(_, flag)| *flag == "0").map(|(amount, _)| cents(amount)).sum::<i64>();
    }
    let good = firm.acumatica.checks.values().filter(|check| check.doc_type == "Check" && check.status == "Closed");
    let paid: Cents = good.flat_map(|check| &check.history).map(|line| line.amount_paid).sum();
    assert_eq!(Cents(sum), paid);
}

#[test]
fn keys_name_rows() {
    let firm = firm();
    let schema = tables(&firm).unwrap();
    let orders: BTreeSet<String> = column(&schema, "po_sub_h", "po_sub_no").into_iter().collect();
    for record in procore(&firm).commitments.values().filter_map(|record| record.origin_id.as_ref()) {
        let is_gone = firm.acumatica.subcontracts.get(record).is_none_or(|order| order.status == "Canceled");
        assert!(orders.contains(record) || is_gone, "{record}");
    }
    let changes: BTreeSet<String> = column(&schema, "po_sub_chg", "po_sub_no")
        .into_iter()
        .zip(column(&schema, "po_sub_chg", "change_no"))
        .chain(column(&schema, "job_chg", "job_no").into_iter().zip(column(&schema, "job_chg", "change_no")))
        .map(|(contract, number)| format!("{contract}|{number}"))
        .collect();
    let stored: Vec<String> =
        procore(&firm).change_order_packages.values().filter_map(|one| one.origin_id.clone()).collect();
    assert!(stored.len() > 3 && stored.iter().all(|key| changes.contains(key)), "{stored:?} of {changes:?}");
    let vouchers = column(&schema, "ap_invoice_h", "voucher_no");
    let bills = firm.acumatica.bills.iter().filter(|(_, bill)| !bill.is_retainage_document && bill.status != "Voided");
    for (key, _) in bills {
        assert!(vouchers.contains(&record_key(&firm, "vendor_invoices", key).unwrap()), "{key}");
    }
}

#[test]
fn what_was_billed_again_stays() {
    let schema = tables(&firm()).unwrap();
    let (numbers, originals) =
        (column(&schema, "ar_invoice", "invoice_no"), column(&schema, "ar_invoice", "original_invoice_no"));
    assert!(originals.iter().any(|it| !it.is_empty() && numbers.contains(it)), "{originals:?}");
}
