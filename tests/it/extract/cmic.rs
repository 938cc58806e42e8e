//! The shipped CMiC manifest and canonical SQL over a few documents, from HTTP to `erp.*`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tieout::clock::Clock;
use tieout::definitions::Definitions;
use tieout::engine::FirmWords;
use tieout::extract::{Manifest, Secret, Setting, SourceSettings, run};
use tieout::warehouse::rows::CoverageStatus;

use super::acumatica::{ask, on_top};
use super::server::*;

/// `Basic ACME||READER:word`.
const SIGNED: &str = "Basic QUNNRXx8UkVBREVSOndvcmQ=";

const USER: [(&str, &str); 3] = [("client", "ACME"), ("username", "READER"), ("password", "word")];

fn vendor(company: &str, code: &str, active: &str, updated: Option<&str>) -> Value {
    json!({
        "BpvenCompCode": company, "BpvenBpCode": code, "BpvenBpName": format!("{code} of {company}"),
        "BpvenActiveFlag": active, "BpvenTermCode": "30D", "BpvenTaxlic1": "12-3456789",
        "BpvenIuCreateDate": "2025-01-01T08:00:00+0000", "BpvenIuUpdateDate": updated, "BpvenVUuid": format!("{company}{code}"),
    })
}

fn contract(company: &str, change: &str, amount: &str, posted: Option<&str>) -> Value {
    json!({
        "ScmstCompCode": company, "ScmstVenCode": "V1", "ScmstContCode": "SC-1", "ScmstChgCode": change, "ScmstJobCode": "24.001",
        "ScmstJobCtrlCode": "24",
        "ScmstName": "Drywall", "ScmstContAmt": serde_json::from_str::<Value>(amount).unwrap(), "ScmstStatusCode": "A",
        "ScmstCurrCode": "USD", "ScmstHldbkPc": 10, "ScmstPostDate": posted, "ScmstCloseDate": null,
        "ScmstIuCreateDate": "2026-01-05T08:00:00+0000", "ScmstIuUpdateDate": null, "ScmstVUuid": format!("{company}{change}"),
    })
}

/// A job, and the one that controls it.
fn project(job: &str, control: Option<&str>, name: &str) -> Value {
    json!({
        "GrpmpCompCode": "001", "GrpmpProjCode": format!("P{job}"), "GrpmpJobCode": job, "GrpmpProjCtrlCode": control,
        "GrpmpProjName": name, "GrpmpStatusCode": "A", "GrpmpCurrContAmt": 5, "GrpmpCustCode": "C1", "GrpmpCustName": "Owner",
        "GrpmpIuCreateDate": "2026-01-02T08:00:00+0000", "GrpmpIuUpdateDate": null, "GrpmpVUuid": job,
    })
}

/// Amounts: invoice, outstanding, paid, held back, of it paid out.
fn voucher(number: u64, status: &str, posted: Option<&str>, amounts: [&str; 5]) -> Value {
    let [invoice, outstanding, paid, held, returned] = amounts.map(|text| serde_json::from_str::<Value>(text).unwrap());
    json!({
        "VouNum": number, "VouCompCode": "001", "VouVenCode": "V1", "VouContCode": "SC-1", "VouJobCode": "24.001",
        "VouInvCode": format!("INV-{number}"), "VouInvDate": "2026-01-10T00:00:00+0000", "VouPostDate": posted,
        "VouStatusCode": status, "VouInvAmt": invoice, "VouInvOutstandAmt": outstanding, "VouPaidAmt": paid,
        "VouHldbkAmt": held, "VouHldbkPaid": returned,
    })
}

fn items(resource: &str) -> Vec<Value> {
    const POSTED: Option<&str> = Some("2026-01-12T00:00:00+0000");
    match resource {
        "glcompany" => vec![json!({"CompCode": "001", "CompCurrCode": "CAD", "CompVUuid": "A"})],
        "apvendor" => vec![
            vendor("001", "V1", "Y", None),
            vendor("002", "V1", "N", Some("2026-01-20T08:00:00+0000")),
            vendor("ZZ", "V1", "Y", Some("2026-01-21T08:00:00+0000")),
            vendor("002", "V2", "N", None),
            vendor("ZZ", "ZZ-ACME", "Y", None),
        ],
        "pmproject" => vec![
            project("24.001", Some("24"), "24.001 of 24"),
            project("24", Some("24"), "The whole"),
            project("25", None, "Alone"),
        ],
        "scmast" => vec![
            contract("001", "000", "1000.00", POSTED),
            contract("001", "001", "50.5", POSTED),
            contract("001", "002", "70", None),
            contract("ZZ", "000", "9", POSTED),
        ],
        "apallvouchers" => vec![
            voucher(1, "P", POSTED, ["1000", "900", "0", "100", "0"]),
            voucher(2, "P", POSTED, ["1000", "1000", "0", "100", "0"]),
            voucher(3, "P", POSTED, ["1000", "0", "900", "100", "100"]),
            voucher(4, "P", POSTED, ["0", "60", "40", "0", "0"]),
            voucher(5, "U", None, ["500", "450", "0", "50", "0"]),
            voucher(6, "V", POSTED, ["300", "300", "0", "0", "0"]),
            voucher(7, "P", POSTED, ["-20", "-20", "0", "0", "0"]),
        ],
        "unpostedvouchers" => vec![
            voucher(5, "U", None, ["500", "450", "0", "50", "0"]),
            voucher(8, "U", None, ["80", "72", "0", "8", "0"]),
        ],
        "apinvoutstanding" => {
            vec![json!({"CompanyCode": "001", "InvoiceVoucherNum": 1, "DueDate": "2026-02-09T00:00:00+0000"})]
        }
        _ => Vec::new(),
    }
}

fn cmic(server: &Server, signing: &[(&str, &str)]) -> SourceSettings {
    let definitions = Definitions::shipped();
    let path = "extractors/cmic/manifest.toml";
    let value = |name: &str, text: &str| match name {
        "password" | "client_secret" => Setting::Secret(Secret::new(text)),
        _ => Setting::Plain(text.into()),
    };
    let source = SourceSettings {
        name: "cmic".into(),
        manifest: Manifest::parse(path, definitions.get(path).unwrap()).unwrap(),
        base_url: Some(server.url.clone()),
        values: [("environment", "cmictest")]
            .iter()
            .chain(signing)
            .map(|(name, text)| ((*name).to_owned(), value(name, text)))
            .collect(),
        redaction_key: None,
        redaction_key_before: None,
        quota: tieout::extract::Quota::default(),
        rules: tieout::extract::SourceRules::default(),
    };
    source.with_defaults().unwrap()
}

#[tokio::test]
async fn contracts_and_vouchers_become_commitments_and_bills() {
    let server = serve(|seen| {
        assert_eq!(seen.token, SIGNED);
        // What is not posted yet has no published attributes: it is asked for as it is.
        let is_plain = seen.path.ends_with("/unpostedvouchers");
        assert!(seen.path.starts_with("/cmictest/"));
        assert!(is_plain || (seen.query.contains("fields=") && seen.query.contains("orderBy=")), "{}", seen.query);
        let items = items(seen.path.rsplit('/').next().unwrap());
        let count = items.len();
        ok(&json!({"items": items, "count": count, "hasMore": false, "limit": 500, "offset": 0, "totalResults": count})
            .to_string())
    })
    .await;
    let clock = clock();
    let outcome = run(&cmic(&server, &USER), &options(&clock)).await.unwrap();
    assert_eq!(server.log.lock().unwrap().len(), 7, "one request for each list");
    let raw = table(&outcome, "vendors");
    let kept = format!("{:?}", raw.batches);
    assert!(
        !kept.contains("12-3456789") && raw.batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>() == 5,
        "{kept}"
    );
    let words =
        FirmWords { everywhere: BTreeMap::from([("v".to_owned(), "void".to_owned())]), tables: BTreeMap::new() };
    let folder = tempfile::tempdir().unwrap();
    let engine = on_top(folder.path(), "cmic", outcome, words, Clock::Shared(clock)).await;

    let vendors = "select code, name, is_active, cast(updated_at as date) as day from erp.vendors order by 1";
    assert_eq!(ask(&engine, vendors).await, ["V1 V1 of 001 true 2025-01-01", "V2 V2 of 002 false 2025-01-01"]);
    let projects =
        "select replace(record_id, '|', '.') as id, name, is_active, customer_id from erp.projects order by 1";
    assert_eq!(ask(&engine, projects).await, ["001.24 The whole true C1", "001.25 Alone true C1"]);
    let of_bills = "select distinct replace(project_id, '|', '.') as id from erp.vendor_invoices";
    assert_eq!(ask(&engine, of_bills).await, ["001.24"]);
    let commitments = "select replace(record_id, '|', '.') as id, replace(project_id, '|', '.') as project, kind, original_amount, \
                       approved_change_amount, revised_amount, invoiced_amount, paid_amount, approval_status from erp.commitments";
    // What a void billed does not count, nor what is not posted.
    assert_eq!(ask(&engine, commitments).await, ["001.V1.SC-1 001.24 1000.00 50.50 1050.50 2980.00 940.00 approved"]);
    let changes = "select replace(record_id, '|', '.') as id, kind, number, amount, approval_status, number_key from erp.change_orders order by 1";
    assert_eq!(
        ask(&engine, changes).await,
        ["001.V1.SC-1.001 commitment 001 50.50 approved", "001.V1.SC-1.002 commitment 002 70.00 pending"]
    );
    let bills = "select number, kind, approval_status, gross_amount, retainage_amount, net_amount, paid_amount, open_balance, \
                 due_date, currency from erp.vendor_invoices order by 1";
    assert_eq!(
        ask(&engine, bills).await,
        [
            "INV-1 progress approved 1000.00 100.00 900.00 0.00 900.00 2026-02-09 CAD",
            "INV-2 progress approved 1000.00 100.00 900.00 0.00 900.00 CAD",
            "INV-3 progress closed 1000.00 100.00 900.00 900.00 0.00 CAD",
            "INV-4 retainage_release approved 0.00 -100.00 100.00 40.00 60.00 CAD",
            "INV-5 progress pending 500.00 50.00 450.00 0.00 0.00 CAD",
            "INV-6 progress void 300.00 0.00 300.00 0.00 0.00 CAD",
            "INV-7 credit approved -20.00 0.00 -20.00 0.00 -20.00 CAD",
            "INV-8 progress pending 80.00 8.00 72.00 0.00 0.00 CAD",
        ],
        "whether or not the outstanding amount holds what is held back"
    );
}

#[tokio::test]
async fn an_application_of_entra_or_a_user_without_client_may_read() {
    // READER:word
    for (signing, signed) in [
        (vec![("username", "READER"), ("password", "word")], "Basic UkVBREVSOndvcmQ="),
        (vec![("tenant", "t"), ("client_id", "app"), ("client_secret", "word")], "Bearer tok"),
    ] {
        let server = serve(move |seen| {
            if seen.path == "/t/oauth2/v2.0/token" {
                assert!(seen.body.contains("scope=api%3A%2F%2Fapp%2F.default"), "{}", seen.body);
                return ok(r#"{"access_token":"tok","token_type":"Bearer","expires_in":3599}"#);
            }
            assert_eq!(seen.token, signed);
            ok(r#"{"items":[],"count":0,"hasMore":false,"limit":500,"offset":0,"totalResults":0}"#)
        })
        .await;
        let signing = [signing, vec![("login_url", server.url.as_str())]].concat();
        let outcome = run(&cmic(&server, &signing), &options(&clock())).await.unwrap();
        assert_eq!(coverage(&outcome, "contracts", "").status, CoverageStatus::EmptyUnverified, "they may be hidden");
    }
}
