//! `CoConstruct`'s archives: read whole, the same in either style, and silent where something was not archived.

use serde_json::json;
use sha2::{Digest, Sha256};
use tieout::simulator::coconstruct::{archive, order_status};
use tieout::simulator::exports::Style;
use tieout::simulator::firm::model::Cents;
use tieout::simulator::{DecoyRates, FaultRates, Firm, FirmOptions};

use super::{changed, extract, rows, texts, write_exports_of, write_manifest_of};

const NAME: &str = "coconstruct";

#[test]
fn an_archive_is_read_whole_in_either_style() {
    let options = FirmOptions { faults: FaultRates::none(), decoys: DecoyRates::none(), ..FirmOptions::default() };
    let mut firm = Firm::new(7, options);
    firm.live_until(firm.now() + chrono::TimeDelta::days(300));
    let folder = tempfile::tempdir().unwrap();
    let settings =
        format!("[firm]\ntimezone = \"America/Chicago\"\n[sources.{NAME}]\nkind = \"{NAME}\"\nbundle = \"archive\"\n");
    std::fs::write(folder.path().join("tieout.toml"), settings).unwrap();
    let place = folder.path().join("archive");
    let as_of = firm.now().to_rfc3339();
    let now = (firm.now() + chrono::TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    write_exports_of(NAME, &place, &as_of, &archive(&firm, Style::default()).unwrap());
    let (_, told) = extract(folder.path(), &now);
    assert!(changed(&told).is_some_and(|count| count > 200), "{told}");
    assert_eq!(texts(folder.path(), "select distinct status from meta.coverage"), ["ok"]);

    // Each order at its amount, whatever number of accounting codes it has a row for.
    let living =
        firm.procore.commitments.values().filter(|order| {
            order.deleted_at.is_none() && !firm.procore.projects.get(&order.project_id).unwrap().is_demo
        });
    let mut expected: Vec<String> = Vec::new();
    let mut verified = 0;
    for order in living {
        let status = match order_status(order) {
            "Work Verified" | "Approved" => "approved",
            "Completed" => "closed",
            "Void" => "void",
            "Unreleased" => "draft",
            _ => "pending",
        };
        verified += u32::from(order_status(order) == "Work Verified");
        expected.push(format!("{} {status} {}", order.number, order.revised_contract));
    }
    expected.sort();
    let query = "select number || ' ' || approval_status || ' ' || cast(revised_amount as varchar) from pm.commitments order by 1";
    assert_eq!(texts(folder.path(), query), expected);
    assert!(verified > 0 && expected.len() > 5, "{expected:?}");
    // Their rows, each with its code, add up to them.
    let query = "select cast(sum(amount) as varchar) from pm.commitment_lines";
    let sum: Cents = firm
        .procore
        .commitments
        .values()
        .filter(|order| order.deleted_at.is_none())
        .map(|order| order.revised_contract)
        .sum();
    assert_eq!(texts(folder.path(), query), [sum.to_string()]);
    let codes =
        texts(folder.path(), "select distinct cost_code from pm.commitment_lines where cost_code not like '__-___'");
    assert_eq!(codes, [""; 0], "an accounting code is its number");

    // As a workbook, with variations in the place of change orders, it is the same archive.
    std::fs::remove_dir_all(&place).unwrap();
    let other = Style { is_workbook: true, has_other_words: true };
    write_exports_of(NAME, &place, &as_of, &archive(&firm, other).unwrap());
    let (_, told) = extract(folder.path(), &now);
    assert_eq!(changed(&told), Some(0), "{told}");
    assert_eq!(texts(folder.path(), "select reason from meta.rejects"), [""; 0]);
}

#[test]
fn what_was_not_archived_keeps_its_checks_silent_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[sources.coconstruct]\nkind = \"coconstruct\"\nbundle = \"archive\"\nbills = \"\"\nowner_invoices = \"\"\n\
                    [sources.sage]\nkind = \"sage_300_cre_files\"\nbundle = \"sage\"\n";
    std::fs::write(folder.path().join("tieout.toml"), settings).unwrap();
    let write = |system: &str, place: &str, files: &[(&str, &str)]| {
        let place = folder.path().join(place);
        std::fs::create_dir_all(&place).unwrap();
        let entry = |(entity, text): &(&str, &str)| {
            std::fs::write(place.join(format!("{entity}.csv")), text).unwrap();
            json!({"entity": entity, "path": format!("{entity}.csv"), "sha256": hex::encode(Sha256::digest(text))})
        };
        let files: Vec<_> = files.iter().map(entry).collect();
        write_manifest_of(system, &place, "2026-05-01T06:00:00Z", &files);
    };
    write(
        "coconstruct",
        "archive",
        &[
            ("jobs", "Job name,Job prefix,Status\nSchool,25-02,Open\n"),
            ("vendors", "Company,Email,Active\nAcme Concrete,,Yes\n"),
            (
                "purchase_orders",
                "PO #,Job,Assigned to,Accounting code,Cost,PO status\nSC-1,School,Acme Concrete,03-300 Concrete,1000,Work Verified\n",
            ),
            ("variations", "Variation #,Job,Title,Owner price,Approval status\nV-1,School,More,50,Approved\n"),
        ],
    );
    write(
        "sage_300_cre_files",
        "sage",
        &[
            ("APM_MASTER__VENDOR", "Vendor,Name,City\nAC-01,Acme Concrete,Austin\n"),
            ("JCM_MASTER__JOB", "Job,Description,Status,AR_Customer\n25-02,School,In progress,CITY\n"),
            (
                "APM_MASTER__INVOICE",
                "Vendor,Invoice,Status,Amount,Amount_Paid,Invoice_Date\nAC-01,INV-7,Open,10,0,2026-03-31\n",
            ),
            (
                "APM_MASTER__DISTRIBUTION",
                "Vendor,Invoice,Dist_Seq,Amount,Job,Cost_Code,Category,Commitment\nAC-01,INV-7,1,10,25-02,03-300,S,SC-1\n",
            ),
            (
                "JCM_MASTER__COMMITMENT",
                "Commitment,Commitment_Type,Vendor,Job,Amount_Invoiced\nSC-1,Subcontract,AC-01,25-02,0\n",
            ),
            (
                "JCM_MASTER__COMMITMENT_ITEM",
                "Commitment,Item_Number,Job,Cost_Code,Category,Amount\nSC-1,1,25-02,03-300,S,900\n",
            ),
        ],
    );
    extract(folder.path(), "2026-05-01T07:00:00Z");
    let said = rows(
        folder.path(),
        "select r.check_id, r.verdict, c.not_applicable, r.reason from recon.check_runs as r join meta.checks as c on c.check_id = r.check_id \
         where r.is_latest and r.project_id is null",
    );
    let of_check = |check: &str| {
        said.iter().find(|row| row["check_id"] == check).unwrap_or_else(|| panic!("no {check}: {said:?}"))
    };
    for (check, says) in [
        ("I2", "coconstruct.bills is read only with `bills`"),
        ("I4", "coconstruct.bills is read only with `bills`"),
        ("P1", "coconstruct.bills is read only with `bills`"),
        ("I1", "coconstruct.owner_invoices is read only with `owner_invoices`"),
        ("I8", "client invoices are draws"),
        ("B3", "no cost lines"),
        ("O1", "the amounts of commitment change orders"),
    ] {
        let row = of_check(check);
        assert_eq!(row["verdict"], "not_applicable", "{row}");
        assert!(row["not_applicable"].as_str().is_some_and(|why| why.contains(says)), "{says}: {row}");
    }
    // The budget is kept, and was not archived: nobody looked.
    assert_eq!(of_check("B1")["verdict"], "not_evaluated", "{}", of_check("B1"));
    // What is there is compared: the order is linked through its job's prefix, and over another amount.
    let found = texts(
        folder.path(),
        "select exception_key || ' ' || pm_value || ' ' || erp_value from recon.exceptions where check_id = 'M2'",
    );
    assert_eq!(found, ["M2:School|SC-1:revised 1000.00 900.00"]);
    assert_eq!(
        texts(folder.path(), "select exception_key from recon.exceptions where check_id in ('M1', 'V1', 'J1')"),
        [""; 0]
    );
}
