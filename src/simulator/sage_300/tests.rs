//! What the tables show of the firm.

use std::collections::BTreeSet;

use super::*;
use crate::firm::FirmOptions;

fn firm() -> Firm {
    let mut options = FirmOptions { first_month: (2026, 1), months: 9, projects: 3, ..FirmOptions::default() };
    options.faults = options.faults.scaled(200);
    options.faults.mishaps = 450;
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
    assert!(schema.script().unwrap().contains("\"Amount\" double precision not null"));
    for (name, table) in schema.tables().filter(|(name, _)| !name.contains("HISTORY")) {
        assert!(!table.rows().is_empty(), "{name} shows nothing");
    }
}

#[test]
fn a_vendor_has_an_invoice_number_once() {
    let firm = firm();
    let schema = tables(&firm).unwrap();
    let folders = column(&schema, "APM_MASTER__INVOICE", "Data_Folder_Id");
    let numbers = column(&schema, "APM_MASTER__INVOICE", "Invoice");
    let own = folders.iter().zip(&numbers).filter(|(folder, _)| *folder == DATA_FOLDER).count();
    let bills = firm.acumatica.bills.values().filter(|bill| !bill.is_retainage_document).count();
    assert_eq!(own, bills);
    let mut given = BTreeSet::new();
    let again = firm.acumatica.bills.values().filter(|bill| !given.insert((&bill.vendor, &bill.vendor_ref))).count();
    assert!(again > 0 && numbers.iter().any(|number| number.ends_with('A')), "{numbers:?}");
}

#[test]
fn money_has_noise_and_rounds_to_the_books() {
    assert_eq!(float(Cents(12_345), 1), json!("123.450000000004"));
    assert_eq!(float(Cents(12_345), 5), json!("123.4499999999"));
    assert_eq!(float(Cents(1), 5), json!("0.0099999999"));
    assert_eq!(float(Cents(-1), 5), json!("-0.0099999999"));
    assert_eq!(float(Cents(-100), 5), json!("-0.9999999999"));
    let schema = tables(&firm()).unwrap();
    let amounts = column(&schema, "APM_MASTER__INVOICE", "Amount");
    assert!(amounts.iter().any(|amount| amount.len() > 15) && amounts.iter().any(|amount| !amount.contains("00000")));
    assert!(column(&schema, "APM_MASTER__DISTRIBUTION", "Retainage").iter().any(|amount| amount.ends_with('5')));
}

#[test]
fn receivables_are_known_by_their_status_key() {
    let firm = firm();
    let schema = tables(&firm).unwrap();
    let parts = ["Customer", "Status_Type", "Status_Date", "Status_Seq"]
        .map(|name| column(&schema, "ART_CURRENT__TRANSACTION", name));
    let keys: BTreeSet<String> =
        (0..parts[0].len()).map(|row| parts.each_ref().map(|part| part[row].as_str()).join("|")).collect();
    let stored: Vec<String> =
        procore(&firm).payment_applications.values().filter_map(|one| one.origin_id.clone()).collect();
    assert!(stored.len() > 3 && stored.iter().any(|key| keys.contains(key)), "{stored:?}");
    assert!(column(&schema, "ART_CURRENT__TRANSACTION", "Invoice").contains(&String::new()));
    let kinds = column(&schema, "ART_CURRENT__TRANSACTION", "Transaction_Type");
    assert!(kinds.contains(&"TT_IINV".to_owned()) && kinds.contains(&"Issued invoice".to_owned()));
}
