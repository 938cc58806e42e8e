//! Bundles that are not whole, not there, not the right ones: nothing is lost, and people are told what to do.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tieout::simulator::exports::Style;
use tieout::simulator::{Firm, FirmOptions, buildertrend};

use super::{JOBS, extract, texts, tieout, workspace, write_bundle, write_manifest};

const VENDORS: &str = "Company,Email,Active\nPainters,p@example.com,Yes\nLumber Yard,,No\n";

#[test]
fn a_file_that_is_not_the_one_described_loses_nothing() {
    let folder = workspace();
    let exports = folder.path().join("exports");
    let files: [(&str, &str, &[u8]); 2] =
        [("jobs", "jobs.csv", JOBS.as_bytes()), ("vendors", "vendors.csv", VENDORS.as_bytes())];
    write_bundle(&exports, "2026-11-20T06:00:00Z", &files);
    extract(folder.path(), "2026-11-20T07:00:00Z");
    let status = |table: &str| {
        let query =
            format!("select status || ': ' || coalesce(error, '') from meta.coverage where table_name = '{table}'");
        texts(folder.path(), &query).remove(0)
    };
    let jobs = || texts(folder.path(), "select job_name from buildertrend.jobs order by 1");
    assert_eq!(jobs(), ["Miller Residence", "Old Mill"]);

    // Cut after the manifest was written; the rest of the bundle is good.
    write_bundle(&exports, "2026-11-21T06:00:00Z", &files);
    std::fs::write(exports.join("jobs.csv"), &JOBS[..JOBS.len() - 60]).unwrap();
    let (code, told) = extract(folder.path(), "2026-11-21T07:00:00Z");
    assert_eq!(code, Some(5), "{told}");
    assert!(
        told.contains("buildertrend.jobs: failed: read ") && told.contains("sha256 is not the manifest's"),
        "{told}"
    );
    assert!(told.contains("copy the whole bundle again"), "{told}");
    assert_eq!(jobs(), ["Miller Residence", "Old Mill"]);
    let verdicts = texts(
        folder.path(),
        "select distinct verdict from recon.check_runs where is_latest and check_id in ('J1', 'V0')",
    );
    assert!(!verdicts.contains(&"clean".to_owned()), "{verdicts:?}");

    // Named and not there; described without a sum; not in the bundle at all.
    std::fs::remove_file(exports.join("jobs.csv")).unwrap();
    extract(folder.path(), "2026-11-21T08:00:00Z");
    assert!(status("jobs").contains("it is not there"), "{}", status("jobs"));
    write_manifest(&exports, "2026-11-22T06:00:00Z", &[json!({"entity": "vendors", "path": "vendors.csv"})]);
    extract(folder.path(), "2026-11-22T07:00:00Z");
    assert!(status("vendors").contains("gives no sha256"), "{}", status("vendors"));
    assert!(status("vendors").contains(&hex::encode(Sha256::digest(VENDORS))), "{}", status("vendors"));
    assert!(
        status("jobs").starts_with("not_found") && status("jobs").contains("was not exported"),
        "{}",
        status("jobs")
    );
    assert_eq!(jobs(), ["Miller Residence", "Old Mill"]);

    // An older one does not undo a newer one.
    write_bundle(&exports, "2026-11-19T06:00:00Z", &files[1..]);
    let (code, told) = extract(folder.path(), "2026-11-22T08:00:00Z");
    assert!(code != Some(0) && told.contains("older than the last bundle that was read"), "{code:?} {told}");
}

#[test]
fn what_vanished_from_a_whole_bundle_is_gone() {
    let folder = workspace();
    let exports = folder.path().join("exports");
    write_bundle(&exports, "2026-11-20T06:00:00Z", &[("vendors", "v.csv", VENDORS.as_bytes())]);
    extract(folder.path(), "2026-11-20T07:00:00Z");
    write_bundle(&exports, "2026-11-21T06:00:00Z", &[("vendors", "v.csv", b"Company,Email,Active\nPainters,,Yes\n")]);
    extract(folder.path(), "2026-11-21T07:00:00Z");
    assert_eq!(texts(folder.path(), "select company from buildertrend.vendors"), ["Painters"]);
    // Empty, and nobody said that it is: the rows stay. Then somebody says so.
    let empty = b"Company,Email,Active\n";
    write_bundle(&exports, "2026-11-22T06:00:00Z", &[("vendors", "v.csv", empty)]);
    extract(folder.path(), "2026-11-22T07:00:00Z");
    assert_eq!(texts(folder.path(), "select company from buildertrend.vendors"), ["Painters"]);
    let entry = json!({"entity": "vendors", "path": "v.csv", "sha256": hex::encode(Sha256::digest(empty)), "rows": 0});
    write_manifest(&exports, "2026-11-23T06:00:00Z", &[entry]);
    extract(folder.path(), "2026-11-23T07:00:00Z");
    assert_eq!(texts(folder.path(), "select company from buildertrend.vendors"), [""; 0]);
}

#[test]
fn what_cannot_be_read_names_table_and_remedy() {
    let bills = |rows: &str| format!("Bill #,Job,Pay to,Amount,Bill status,Due date\n{rows}");
    for (sheet, says) in [
        // A column that the key needs, and one that nobody can do without.
        ("Bill #,Job,Amount,Bill status\n1,A,5,Open\n".to_owned(), "bills has no column `vendor` in it"),
        ("Bill #,Job,Pay to,Bill status\n1,A,V,Open\n".to_owned(), "called Amount or Bill amount"),
        ("Nothing,of,the,kind\n1,2,3,4\n".to_owned(), "none of its first 60 rows has 3 of the headers of bills"),
        (String::new(), "not even the headers of bills are there"),
        // Another country's numbers, and a day that is none.
        (bills("1,A,V,\"1.234,56\",Open,\n"), "the first `1.234,56` of `amount` in row 2"),
        (bills("1,A,V,5,Open,31/12/2026\n"), "set `decimal` or `dates`"),
        // A record without its key is no row of totals.
        (bills("1,A,V,5,Open,\n,A,V,7,Open,\n"), "key column `bill_number` is null or empty"),
        // Rows are missing, by the sheet's own sum.
        (
            bills("1,A,V,5.00,Open,\nTotal,,,12.00,,\n"),
            "says 12.00 of `amount`, and the records above it add up to 5.00",
        ),
        (bills("1,A,V,5.00,\"Open\n"), "does not end: the file was cut"),
        (bills("1,A,V,5.00,Open,\n2,A,V,7"), "4 of 6 cells and no end of line"),
        // The headers sorted among the records; another list below; an amount parted at its comma; two columns of one name.
        (
            format!("1,A,V,5.00,Open,1/2/2026\n{}", bills("2,A,V,7,Open,\n")),
            "row 1 stands above the headers, which are in row 2",
        ),
        (
            bills("1,A,V,5.00,Open,\nJob,Bill #,Pay to,Amount,Bill status,Due date\nA,2,V,7,Open,\n"),
            "row 3 has other headers than row 1",
        ),
        (bills("1,A,V,5.00,Open,\n2,A,V,1,000,Open,1/2/2026\n"), "row 3 has 7 cells below 6 headers"),
        (
            "Bill #,Job,Pay to,Amount,Amount,Bill status\n1,A,V,5,6,Open\n".to_owned(),
            "two columns have the same header, and row 2 says two things of `amount`",
        ),
    ] {
        let folder = workspace();
        write_bundle(&folder.path().join("exports"), "2026-11-20T06:00:00Z", &[("bills", "b.csv", sheet.as_bytes())]);
        let (code, told) = extract(folder.path(), "2026-11-20T07:00:00Z");
        let error =
            texts(folder.path(), "select coalesce(error, '') from meta.coverage where table_name = 'bills'").remove(0);
        assert!(code == Some(5) && error.contains(says), "{says}: {error}\n{told}");
        assert!(told.contains("buildertrend.bills: ") && error.contains("b.csv") && error.contains("hint:"), "{told}");
    }
}

/// What the manifest says of the files, against what they are.
#[test]
fn a_manifest_that_says_something_else_names_table_file_and_remedy() {
    let sheet =
        "Company,Email,Active\nPainters,,Yes\nPainters,p@example.com,Yes\nTotal,,\nLumber Yard,,No\nTotals:,,\n";
    let good = "Company,Email,Active\nPainters,,Yes\nCompany,Email,Active\nTotal,,\nLumber Yard,,No\nTotals:,,\n";
    let style = Style { is_workbook: true, has_other_words: false };
    let mut books = buildertrend::export(&Firm::new(1, FirmOptions::default()), style).unwrap().into_iter();
    let book = books.find(|list| list.list == "Subs/Vendors").unwrap().bytes;
    let entry = |entity: &str, path: &str, bytes: &[u8]| json!({"entity": entity, "path": path, "sha256": hex::encode(Sha256::digest(bytes))});
    let with = |mut entry: Value, field: &str, value: Value| {
        entry[field] = value;
        entry
    };
    let (sheet, good) = (sheet.as_bytes(), good.as_bytes());
    for (files, status, says) in [
        // Headers once more and a bare label below the last record are no records; somebody called Total is one.
        (vec![entry("vendors", "good.csv", good)], "ok", ""),
        (
            vec![entry("vendors", "v.csv", sheet)],
            "partial",
            "two different records have the key `Painters`; read from ",
        ),
        (
            vec![entry("vendors", "good.csv", good), entry("Subs", "copy.csv", good)],
            "partial",
            "`good.csv` and `copy.csv` are the same file",
        ),
        (
            vec![entry("vendors", "good.csv", good), entry("Vendor", "v.csv", sheet)],
            "partial",
            "it also has a file of `Vendor`, which no table is called",
        ),
        (
            vec![with(entry("vendors", "good.csv", good), "rows", json!(4))],
            "partial",
            "says that it has 4 records, and 3 are in its files",
        ),
        (
            vec![with(entry("vendors", "v.xlsx", &book), "sheet", json!("Vendors 2026"))],
            "failed",
            "v.xlsx: it has no sheet `Vendors 2026`\nhint: it has `Sheet1`",
        ),
    ] {
        let folder = workspace();
        let exports = folder.path().join("exports");
        for (name, bytes) in [("good.csv", good), ("copy.csv", good), ("v.csv", sheet), ("v.xlsx", book.as_slice())] {
            std::fs::write(exports.join(name), bytes).unwrap();
        }
        write_manifest(&exports, "2026-11-20T06:00:00Z", &files);
        let (_, told) = extract(folder.path(), "2026-11-20T07:00:00Z");
        let query = "select status || ' ' || coalesce(error, '') from meta.coverage where table_name = 'vendors'";
        let found = texts(folder.path(), query).remove(0);
        assert!(found.starts_with(status) && found.contains(says), "{says}: {found}");
        if status == "ok" {
            let names = texts(folder.path(), "select company from buildertrend.vendors order by 1");
            assert_eq!(names, ["Lumber Yard", "Painters", "Total"]);
        } else {
            assert!(told.contains("buildertrend.vendors: ") && found.contains("hint: "), "{told}");
            assert!(["v.csv", "good.csv", "bundle.json", "v.xlsx"].iter().any(|file| found.contains(file)), "{found}");
        }
    }
}

#[test]
fn without_a_manifest_one_is_proposed() {
    let folder = workspace();
    let exports = folder.path().join("exports");
    std::fs::write(exports.join("Purchase Orders.csv"), "x").unwrap();
    for command in ["extract", "check"] {
        let output = tieout(folder.path(), &[command]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && told.contains("bundle.json: there is no such file beside the 1 files"),
            "{told}"
        );
        let proposed = told.get(told.find('{').unwrap()..=told.rfind('}').unwrap()).unwrap();
        let proposed: Value = serde_json::from_str(proposed).unwrap();
        assert_eq!(proposed["files"][0]["entity"], "purchase_orders", "{told}");
        assert_eq!(proposed["files"][0]["sha256"], hex::encode(Sha256::digest("x")), "{told}");
    }
}

#[test]
fn a_bundle_is_tried_and_planned_without_being_stored() {
    let folder = workspace();
    let exports = folder.path().join("exports");
    for (month, as_of) in [("2026-09", "2026-10-01T06:00:00Z"), ("2026-10", "2026-11-01T06:00:00Z")] {
        std::fs::create_dir(exports.join(month)).unwrap();
        write_bundle(
            &exports.join(month),
            as_of,
            &[("jobs", "jobs.csv", JOBS.as_bytes()), ("vendors", "v.csv", VENDORS.as_bytes())],
        );
    }
    let output = tieout(folder.path(), &["check"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("2 of 7 tables can be read"), "{told}");
    let output = tieout(folder.path(), &["extract", "--plan"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("at least 3 requests"), "{told}");
    extract(folder.path(), "2026-11-02T07:00:00Z");
    let observed =
        texts(folder.path(), "select distinct cast(observed_at as varchar) from meta.coverage where status = 'ok'");
    assert!(observed.len() == 1 && observed[0].starts_with("2026-11-01"), "{observed:?}");
}
