//! Sage 300 CRE's tables as its driver writes them: standard names, floats with noise, jobs that moved to history, receivables without numbers.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{extract, texts};

const VENDORS: &str =
    "Vendor,Name,Address_1,City,ZIP,Telephone,Tax_ID_Number\nac-01,Acme Concrete,1 Road,Austin,07001,,12-3456789\n";
const JOBS: &str = "JOB,DESCRIPTION,STATUS,AR_CUSTOMER,ORIGINAL_CONTRACT_AMOUNT,JTD_APRVD_CONTRACT_CHGS,REVISED_CONTRACT_AMOUNT,EXTRAS_JTD_APRVD_CNTRC_CHGS,EXTRAS_REVISED_CONTRACT_AMT\n\
                    25-02,School,In progress,CITY,1000.0,50.0,1050.0,20.0,20.0\n";
const INVOICES: &str = "Vendor,Invoice,Status,Amount,Tax,Retainage,Amount_Paid,Invoice_Date,Payment_Date,Onhold_Status\n\
                        AC-01,INV-7,Partially paid,1000.0000000001,0,100.00499999,450.0,2026-03-31,1900-01-01,0\n\
                        AC-01,INV-8,Open,5.005,0,0,0,2026-04-30,2026-05-30,1\n";
const DISTRIBUTIONS: &str = "Vendor,Invoice,Dist_Seq,Amount,Job,Extra,Cost_Code,Category,Commitment\n\
                             AC-01,INV-7,1,600.0,25-02,,03-300,S,SC-1\nAC-01,INV-7,2,400.0,25-02,,03-310,S,SC-1\nAC-01,INV-8,1,5.005,25-02,,03-300,S,\n";
const COSTS: &str = "Job,Extra,Cost_Code,Category,Transaction_Type,Run,Sequence,Accounting_Date,Amount\n";
const RECEIVABLES: &str = "Customer,Transaction_Date,Run,Sequence,Transaction_Type,Amount_Type,Invoice,Draw,Job,Status_Type,Status_Date,Status_Seq,Amount,Retainage\n\
                           CITY,2026-03-31,1,1,Issued invoice,Work,,3,25-02,Invoice,2026-03-31,1,900.0,100.0\n\
                           CITY,2026-04-20,2,1,Cash receipt,Cash,,,25-02,Invoice,2026-03-31,1,-900.0,0\n\
                           CITY,2026-03-31,1,2,TT_IINV,Work,,3,25-02,Invoice,2026-03-31,2,10.0,0\n";

#[test]
fn tables_of_the_books_become_the_canonical_model() {
    let folder = tempfile::tempdir().unwrap();
    let exports = folder.path().join("sage");
    std::fs::create_dir(&exports).unwrap();
    let settings = "[sources.sage]\nkind = \"sage_300_cre_files\"\nbundle = \"sage\"\ncompany = \"ACME\"\n";
    std::fs::write(folder.path().join("tieout.toml"), settings).unwrap();
    let current = format!(
        "{COSTS}25-02,,03-300,S,AP cost,7,1,2026-03-31,600.0000000001\n25-02,,03-300,S,Scheduled value,7,2,2026-03-31,9999\n"
    );
    let history = format!("{COSTS}24-01,,03-300,S,JC cost,1,1,2025-03-31,12.345\n");
    let write = |company: &str, as_of: &str, files: &[(&str, &str)]| {
        let entry = |(table, text): &(&str, &str)| {
            std::fs::write(exports.join(format!("{table}.csv")), text).unwrap();
            json!({"entity": table, "path": format!("{table}.csv"), "sha256": hex::encode(Sha256::digest(text))})
        };
        let files: Vec<Value> = files.iter().map(entry).collect();
        let manifest = json!({
            "system": "sage_300_cre_files", "company": company, "as_of": as_of, "timezone": "America/Chicago",
            "currency": "USD", "files": files,
        });
        std::fs::write(exports.join("bundle.json"), manifest.to_string()).unwrap();
    };
    let mut files = vec![
        ("APM_MASTER__VENDOR", VENDORS),
        ("JCM_MASTER__JOB", JOBS),
        ("APM_MASTER_INVOICE", INVOICES),
        ("APM_MASTER__DISTRIBUTION", DISTRIBUTIONS),
        ("JCT_CURRENT__TRANSACTION", current.as_str()),
        ("ART_CURRENT__TRANSACTION", RECEIVABLES),
    ];
    write("ACME", "2026-05-01T06:00:00Z", &files);
    extract(folder.path(), "2026-05-01T07:00:00Z");
    let costs = "select status || ': ' || coalesce(error, '') from meta.coverage where table_name = 'jc_transactions'";
    let told = texts(folder.path(), costs).remove(0);
    assert!(told.starts_with("partial") && told.contains("no file of JCT_HISTORY__TRANSACTION"), "{told}");

    files.push(("JCT_HISTORY__TRANSACTION", history.as_str()));
    write("ACME", "2026-05-02T06:00:00Z", &files);
    extract(folder.path(), "2026-05-02T07:00:00Z");
    assert!(texts(folder.path(), costs).remove(0).starts_with("ok"));
    let query = "select project_id || ' ' || cast(amount as varchar) from erp.job_costs order by 1";
    assert_eq!(texts(folder.path(), query), ["24-01 12.34", "25-02 600.00"]);
    let query = "select record_id || ' ' || approval_status || ' ' || cast(gross_amount as varchar) || ' ' || cast(retainage_amount as varchar) \
                 || ' ' || cast(paid_amount as varchar) || ' ' || coalesce(commitment_id, '-') || ' ' || coalesce(cast(due_date as varchar), '-') \
                 from erp.vendor_invoices order by 1";
    assert_eq!(
        texts(folder.path(), query),
        ["AC-01|INV-7 approved 1000.00 100.00 450.00 SC-1 -", "AC-01|INV-8 draft 5.00 0.00 0.00 - 2026-05-30"]
    );
    let query = "select cast(approved_change_amount as varchar) || ' ' || cast(revised_amount as varchar) from erp.prime_contracts";
    assert_eq!(texts(folder.path(), query), ["70.00 1070.00"]);
    let query = "select record_id || ' ' || cast(gross_amount as varchar) || ' ' || cast(net_amount as varchar) || ' ' || cast(paid_amount as varchar) \
                 from erp.owner_invoices order by 1";
    assert_eq!(
        texts(folder.path(), query),
        ["CITY|Invoice|2026-03-31|1 1000.00 900.00 900.00", "CITY|Invoice|2026-03-31|2 10.00 10.00 0.00"]
    );
    // The float as it came, the code with its zero, and no tax id that nobody declared.
    let raw: Value = serde_json::from_str(&texts(folder.path(), "select _raw from sage.vendors").remove(0)).unwrap();
    assert_eq!((&raw["zip"], &raw["Tax_ID_Number"]), (&json!("07001"), &Value::Null));
    let raw = texts(folder.path(), "select _raw from sage.invoices where invoice = 'INV-7'").remove(0);
    assert!(raw.contains("1000.0000000001") && !raw.contains("as_written"), "{raw}");

    // Another company's books are not these.
    write("OTHER", "2026-05-03T06:00:00Z", &files);
    let (code, told) = extract(folder.path(), "2026-05-03T07:00:00Z");
    assert!(code == Some(3) && told.contains("of the company `OTHER`, and the source is of `ACME`"), "{code:?} {told}");
}
