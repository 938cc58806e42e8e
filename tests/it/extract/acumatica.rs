//! The shipped Acumatica manifest and canonical SQL over a few documents, from HTTP to `erp.*`.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::util::pretty::pretty_format_batches;
use serde_json::{Value, json};
use tieout::clock::Clock;
use tieout::definitions::Definitions;
use tieout::engine::{Engine, EngineSettings, FirmWords, SessionRequest, SourceBinding};
use tieout::extract::{Manifest, Secret, Setting, SourceOutcome, SourceSettings, run};
use tieout::warehouse::commit::CommitKind;
use tieout::warehouse::{CommitHeader, Warehouse};

use super::server::*;

/// A record as the contract API writes it: every plain value wrapped, nothing for null.
fn wrapped(record: Value) -> Value {
    let Value::Object(fields) = record else { return record };
    let wrap = |value: Value| match value {
        Value::Array(items) => Value::Array(items.into_iter().map(wrapped).collect()),
        Value::Object(_) => value,
        Value::Null => json!({}),
        plain => json!({ "value": plain }),
    };
    fields.into_iter().map(|(name, value)| (name, wrap(value))).collect()
}

fn check(kind: &str, number: &str, status: &str, amount: &str, paid: &[(&str, &str)]) -> Value {
    let amount: Value = serde_json::from_str(amount).unwrap();
    let history = |(bill, amount): &(&str, &str)| json!({"DocType": "Bill", "ReferenceNbr": bill, "AmountPaid": serde_json::from_str::<Value>(amount).unwrap()});
    let history: Vec<Value> = paid.iter().map(history).collect();
    wrapped(
        json!({"Type": kind, "ReferenceNbr": number, "Status": status, "Vendor": "V1   ", "ApplicationDate": "2026-04-20T00:00:00-05:00",
        "PaymentAmount": amount, "CurrencyID": "USD", "History": history, "Details": []}),
    )
}

fn bill(number: &str, status: &str, amount: &str, with_retainage: Option<&str>) -> Value {
    let amount: Value = serde_json::from_str(amount).unwrap();
    // Of an empty custom field only the type is told.
    let total = with_retainage.map_or_else(
        || json!({"type": "CustomDecimalField"}),
        |text| json!({"type": "CustomDecimalField", "value": serde_json::from_str::<Value>(text).unwrap()}),
    );
    wrapped(
        json!({"Type": "Bill", "ReferenceNbr": number, "Status": status, "Date": "2026-04-01T00:00:00+00:00", "Vendor": "V1   ",
        "VendorRef": number, "Amount": amount, "Balance": 0, "TaxTotal": 0, "CurrencyID": "USD", "Applications": [], "Details": [],
        "custom": {"CurrentDocument": {"CuryOrigDocAmtWithRetainageTotal": total}}}),
    )
}

/// A prepayment that was asked for: it stands among the bills, and among the checks once it can be applied.
fn request(number: &str, amount: &str) -> Value {
    let Value::Object(mut request) = bill(number, "Closed", amount, Some(amount)) else { unreachable!() };
    request.insert("Type".to_owned(), json!({"value": "Prepayment"}));
    Value::Object(request)
}

fn entity(name: &str) -> Vec<Value> {
    match name {
        "Bill" => vec![
            bill("000001", "Closed", "900.00", Some("1000.00")),
            bill("000002", "Open", "200.00", None),
            bill("000003", "Closed", "40.00", None),
            bill("000004", "Closed", "44.00", None),
            bill("000006", "Open", "6.00", None),
            request("000005", "50.00"),
        ],
        "Check" => vec![
            check("Payment", "000001", "Closed", "900.00", &[("000001", "900.00")]),
            check("Payment", "000002", "Closed", "200.00", &[("000002", "200.00")]),
            check("Voided Payment", "000002", "Closed", "-200.00", &[("000002", "-200.00")]),
            check("Prepayment", "000002", "Open", "33.00", &[]),
            check("Prepayment", "000005", "Open", "50.00", &[]),
            check("Payment", "000018", "Closed", "40.00", &[("000003", "40.00")]),
            check("Debit Adj.", "000018", "Voided", "1.00", &[]),
            check("Payment", "000005", "Closed", "44.00", &[("000004", "44.00")]),
            check("Voided Payment", "000005", "Balanced", "-44.00", &[]),
        ],
        "Payment" => vec![wrapped(
            json!({"Type": "Balance WO", "ReferenceNbr": "000009", "Status": "Closed", "CustomerID": "C1",
            "PaymentAmount": 7, "CurrencyID": "USD", "ApplicationHistory": [
                {"AdjustedDocType": "Invoice", "AdjustedRefNbr": "000006", "AmountPaid": 7}]}),
        )],
        "Invoice" => {
            vec![wrapped(json!({"Type": "Invoice", "ReferenceNbr": "000006", "Status": "Closed", "Date": "2026-04-30",
            "Customer": "C1", "Amount": 7, "Balance": 0, "TaxTotal": 0, "Details": [], "ApplicationsDefault": [], "custom": {}}))]
        }
        _ => Vec::new(),
    }
}

fn acumatica(server: &Server) -> SourceSettings {
    let definitions = Definitions::shipped();
    let path = "extractors/acumatica/manifest.toml";
    let secret = |text: &str| Setting::Secret(Secret::new(text));
    let source = SourceSettings {
        name: "acumatica".into(),
        manifest: Manifest::parse(path, definitions.get(path).unwrap()).unwrap(),
        base_url: Some(format!("{}/Instance", server.url)),
        values: BTreeMap::from([
            ("tenant".to_owned(), Setting::Plain("Firm".into())),
            ("username".to_owned(), secret("user")),
            ("password".to_owned(), secret("word")),
        ]),
        redaction_key: None,
        redaction_key_before: None,
        quota: tieout::extract::Quota::default(),
        rules: tieout::extract::SourceRules::default(),
    };
    source.with_defaults().unwrap()
}

/// Reads the documents and commits them; gives an engine on top.
async fn engine(folder: &std::path::Path, words: FirmWords) -> Arc<Engine> {
    let server = serve(|seen| match seen.path.rsplit('/').next().unwrap() {
        "login" | "logout" => answer(204, &[], ""),
        name => ok(&Value::Array(entity(name)).to_string()),
    })
    .await;
    let clock = clock();
    let outcome = run(&acumatica(&server), &options(&clock)).await.unwrap();
    assert!(outcome.run.incomplete_tables.is_empty(), "{:?}", outcome.run);
    let by_key = "and a bill and an invoice by key, for custom fields that no record of their lists holds";
    assert_eq!(
        server.log.lock().unwrap().len(),
        19 + 2 + 2,
        "sign in, one request for each entity, sign out, {by_key}"
    );
    on_top(folder, "acumatica", outcome, words, Clock::Shared(clock)).await
}

/// Commits what was read of a source called as its system, and gives an engine on top.
pub(super) async fn on_top(
    folder: &std::path::Path,
    name: &str,
    outcome: SourceOutcome,
    words: FirmWords,
    clock: Clock,
) -> Arc<Engine> {
    let settings = EngineSettings {
        sources: vec![SourceBinding { name: name.into(), system: name.into() }],
        statuses: BTreeMap::from([(name.to_owned(), words)]),
        ..EngineSettings::default()
    };
    let warehouse = Warehouse::open_or_create(folder.to_str().unwrap()).await.unwrap();
    let engine = Engine::open(warehouse, Definitions::shipped(), settings).await.unwrap();
    let header = CommitHeader {
        kind: CommitKind::Extract,
        clock: &clock,
        definitions: engine.definitions().hash(),
        runs: vec![outcome.run],
        observed_at: clock.now(),
    };
    let mut prepared = engine.warehouse().prepare(header).await.unwrap();
    for table in outcome.tables {
        prepared.add(table).await.unwrap();
    }
    engine.warehouse().publish(prepared).await.unwrap();
    engine
}

pub(super) async fn ask(engine: &Engine, sql: &str) -> Vec<String> {
    let session = engine.session(&SessionRequest::default()).await.unwrap();
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let rows = table.lines().skip(3).filter(|line| !line.starts_with('+'));
    rows.map(|row| row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" "))
        .collect()
}

#[tokio::test]
async fn a_payment_is_void_by_its_own_void_once_that_is_released() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), FirmWords::default()).await;
    let payments = "select replace(record_id, '|', '.') as record_id, status from erp.payments order by 1";
    assert_eq!(
        ask(&engine, payments).await,
        [
            "AP.Payment.000001 paid",
            "AP.Payment.000002 void",
            "AP.Payment.000005 paid",
            "AP.Payment.000018 paid",
            "AP.Prepayment.000002 paid",
        ],
        "an adjustment with the number of a check voids nothing; a write-off is no payment"
    );
    let applied = "select replace(invoice_id, '|', '.') as invoice_id, amount from erp.payment_applications order by 1";
    assert_eq!(ask(&engine, applied).await, ["Bill.000001 900.00", "Bill.000003 40.00", "Bill.000004 44.00"]);
    let bills = "select number, paid_amount, gross_amount, net_amount from erp.vendor_invoices order by 1";
    assert_eq!(
        ask(&engine, bills).await,
        [
            "000001 900.00 1000.00 900.00",
            "000002 0.00 200.00",
            "000003 40.00 40.00",
            "000004 44.00 44.00",
            "000005 0.00 50.00 50.00",
            "000006 0.00 6.00"
        ],
        "gross is unknown, not 0, where the screen's field is empty"
    );
    assert_eq!(ask(&engine, "select paid_amount from erp.owner_invoices").await, ["0.00"]);
}

#[tokio::test]
async fn a_document_is_released_if_the_firm_calls_it_approved() {
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(word, status)| ((*word).to_owned(), (*status).to_owned())).collect()
    };
    let words = FirmWords {
        everywhere: pairs(&[("closed", "approved")]),
        tables: BTreeMap::from([("bills".to_owned(), pairs(&[("open", "void"), ("closed", "draft")]))]),
    };
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), words).await;
    let bills =
        "select number, approval_status, paid_amount from erp.vendor_invoices where number < '000004' order by 1";
    assert_eq!(ask(&engine, bills).await, ["000001 draft 0.00", "000002 void 0.00", "000003 draft 0.00"]);
    assert_eq!(
        ask(&engine, "select approval_status from erp.owner_invoices").await,
        ["approved"],
        "the words of bills"
    );
    let payments = "select distinct status from erp.payments order by 1";
    assert_eq!(ask(&engine, payments).await, ["paid", "void"], "payments have a status of their own");
}
