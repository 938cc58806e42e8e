//! Databases over ODBC, by the real program: PostgreSQL, which the tests start themselves, stands for a SQL Server.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

pub(crate) mod server;
mod trouble;

use server::{Ledger, Postgres};

const NOW: &str = "2026-03-10T08:00:00Z";

const VENDORS: &str = r#"
[[table]]
name = "vendors"
view = "APVM"
key  = ["vendor_group", "vendor"]
sensitive = { TaxId = "hash", Bank = "drop" }
[table.columns]
int64           = ["VendorGroup", "Vendor", "Flags"]
text            = ["Job", "Name", "TaxId", "Bank", "Notes"]
"decimal(12,2)" = ["Limit", "Money"]
"decimal(18,6)" = ["Single"]
bool            = ["ActiveYN", "Posted"]
date            = ["Since", "Opened"]
timestamp       = ["Changed"]
"#;

const VENDORS_SQL: &str = r#"
create table "bAPVM" ("VendorGroup" smallint, "Vendor" integer, "Flags" bigint, "Job" char(12), "Name" varchar(60), "TaxId" varchar(12),
    "Bank" varchar(20), "Notes" text, "Limit" numeric(12,2), "Money" double precision, "Single" real, "ActiveYN" char(1),
    "Posted" boolean, "Since" date, "Opened" timestamp, "Changed" timestamp, "Stamp" bytea, "Pay" numeric(12,2));
insert into "bAPVM" values
    (1, 7, 9007199254740993, ' 14197-     ', 'Größe "&" Söhne  ', '12-3456789', 'DE00 4711', repeat('long ', 1000), -0.50, 1234.5600000000002,
        0.1, 'Y', true, '2026-01-31', '2026-02-28 23:59:00', '2026-01-15 12:00:00', '\x00', 1),
    (1, 8, null, null, '', null, null, null, null, null, null, null, null, null, null, null, null, null);
create view "APVM" as select * from "bAPVM";
grant select on "APVM" to reader;
"#;

#[test]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
fn values_arrive_as_the_database_holds_them() {
    let server = Postgres::start();
    server.run(VENDORS_SQL);
    let ledger = Ledger::new(&server.connection(), VENDORS, "time_zone = \"America/Chicago\"");
    let (code, told) = ledger.extract(NOW, &[]);
    assert_eq!(code, Some(0), "{told}");
    let row = ledger.rows(
        "select _key, flags, job, name, length(notes) as notes, cast(\"limit\" as text) as bound, cast(money as text) as money, \
         cast(single as text) as single, active_yn, posted, since, opened, changed from ledger.vendors order by vendor",
    );
    assert_eq!(
        row,
        [
            json!({"_key": "1|7", "flags": 9_007_199_254_740_993_i64, "job": " 14197-", "name": "Größe \"&\" Söhne", "notes": 4999,
                "bound": "-0.50", "money": "1234.56", "single": "0.100000", "active_yn": true, "posted": true, "since": "2026-01-31",
                "opened": "2026-02-28", "changed": row[0]["changed"]}),
            json!({"_key": "1|8", "flags": null, "job": null, "name": "", "notes": null, "bound": null, "money": null, "single": null,
                "active_yn": null, "posted": null, "since": null, "opened": null, "changed": null}),
        ]
    );
    let changed = ledger.texts("select cast(changed at time zone 'UTC' as text) from ledger.vendors where vendor = 7");
    assert!(
        changed[0].starts_with("2026-01-15 18:00:00") || changed[0].starts_with("2026-01-15T18:00:00"),
        "{changed:?}"
    );

    let raw = ledger.texts("select _raw from ledger.vendors where vendor = 7").remove(0);
    let record: serde_json::Value = serde_json::from_str(&raw).unwrap();
    assert_eq!((record["Job"].as_str(), record["Name"].as_str()), (Some(" 14197-     "), Some("Größe \"&\" Söhne  ")));
    assert!(raw.contains("\"Money\":1234.5600000000002") && raw.contains("\"Limit\":-0.50"), "{raw}");
    assert!(record["TaxId"].as_str().is_some_and(|hash| hash.len() > 12), "{raw}");
    for absent in ["3456789", "4711", "\"Pay\"", "\"Stamp\""] {
        assert!(!raw.contains(absent), "{absent} in {raw}");
    }
    let coverage =
        ledger.texts("select status, row_count, expected_row_count from meta.coverage where table_name = 'vendors'");
    assert_eq!(coverage, ["ok 2 2"]);
}

const BILLS: &str = r#"
[[table]]
name = "companies"
view = "GLCO"
key  = ["gl_co"]
[table.columns]
int64 = ["GLCo"]
date  = ["LastMthSubClsd"]

[[table]]
name   = "bills"
view   = "APTH"
key    = ["ap_co", "mth", "ap_trans"]
where  = "[APCo] in ({company})"
months = { column = "Mth", closed_through = "companies.last_mth_sub_clsd", sums = ["InvTotal"] }
blank  = ["mth"]
[table.columns]
int64           = ["APCo", "APTrans"]
date            = ["Mth"]
"decimal(12,2)" = ["InvTotal"]

[[table]]
name  = "audit"
view  = "HQMA"
key   = ["audit_id"]
after = "audit_id"
[table.columns]
int64 = ["AuditID"]
text  = ["OldValue"]
"#;

const BILLS_SQL: &str = r#"
create table "GLCO" ("GLCo" smallint, "LastMthSubClsd" timestamp);
insert into "GLCO" values (1, '2026-01-01'), (2, '2025-12-01');
create table "APTH" ("APCo" smallint, "Mth" timestamp, "APTrans" integer, "InvTotal" numeric(12,2));
insert into "APTH" select 1, timestamp '2025-09-01' + ((i % 6) || ' months')::interval, i, i * 1.5 from generate_series(1, 600) i;
insert into "APTH" values (2, '2026-02-01', 1, 5), (3, '2026-02-01', 1, 7), (1, null, 9999, 1);
create table "HQMA" ("AuditID" bigint, "OldValue" varchar(255));
insert into "HQMA" select i, 'v' || i from generate_series(1, 500) i;
grant select on "GLCO", "APTH", "HQMA" to reader;
"#;

/// The months of bills that a commit read.
fn months_read(ledger: &Ledger, at: &str) -> Vec<String> {
    ledger.texts(&format!(
        "select scope from meta.coverage where table_name = 'bills' and observed_at >= timestamp '{at}' and scope <> '' order by scope"
    ))
}

#[test]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
fn closed_months_rest_until_their_count_or_sum_changes() {
    let server = Postgres::start();
    server.run(BILLS_SQL);
    let ledger = Ledger::new(&server.connection(), BILLS, "company = \"1, 2\"");
    let (code, told) = ledger.extract(NOW, &[]);
    assert_eq!(code, Some(0), "{told}");
    let months = ledger.texts("select month, row_count, is_closed from ledger.bills_months order by month");
    assert_eq!(
        months,
        [
            "2025-09 100 true",
            "2025-10 100 true",
            "2025-11 100 true",
            "2025-12 100 true",
            "2026-01 100 false",
            "2026-02 101 false",
            "none 1 false"
        ]
    );
    assert_eq!(ledger.texts("select count(*), sum(inv_total) from ledger.bills"), ["602 270456.00"]);
    assert_eq!(ledger.texts("select count(*) from ledger.bills where mth is null"), ["1"]);
    let all = months_read(&ledger, "2026-03-10 08:00:00");
    assert_eq!(all, ["2025-09", "2025-10", "2025-11", "2025-12", "2026-01", "2026-02", "none"]);

    // A closed month got another amount, another one lost a row, a third had one moved into it; one changed in silence.
    server.run(
        "update \"APTH\" set \"InvTotal\" = 100 where \"APTrans\" = 6; delete from \"APTH\" where \"APTrans\" = 7; \
         update \"APTH\" set \"Mth\" = '2025-11-01' where \"APTrans\" = 11; insert into \"HQMA\" values (501, 'new')",
    );
    let (code, told) = ledger.extract("2026-03-11T08:00:00Z", &["--incremental"]);
    assert_eq!(code, Some(0), "{told}");
    let read = months_read(&ledger, "2026-03-11 08:00:00");
    assert_eq!(read, ["2025-09", "2025-10", "2025-11", "2026-01", "2026-02", "none"], "2025-12 rests");
    let changed = ledger
        .texts("select cast(inv_total as text), mth from ledger.bills where ap_trans in (6, 7, 11) order by ap_trans");
    assert_eq!(changed, ["100.00 2025-09-01", "16.50 2025-11-01"]);
    let asked =
        ledger.texts("select requests from meta.requests where table_name = 'audit' order by _commit desc limit 1");
    assert_eq!(asked, ["2"], "a look at the view, and what is new");
    let audit = "select count(*), max(audit_id) from ledger.audit";
    assert_eq!(ledger.texts(audit), ["501 501"]);
    // Only what is new was read: that it was changed meanwhile shows in a full run alone.
    server.run(
        "update \"HQMA\" set \"OldValue\" = 'other' where \"AuditID\" = 3; insert into \"HQMA\" values (502, 'newer')",
    );
    let (code, told) = ledger.extract("2026-03-12T08:00:00Z", &["--incremental"]);
    assert_eq!(code, Some(0), "{told}");
    let third = "select old_value from ledger.audit where audit_id in (3, 502) order by audit_id";
    assert_eq!(ledger.texts(third), ["v3", "newer"]);
    let (code, told) = ledger.extract("2026-03-13T08:00:00Z", &[]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(ledger.texts(third), ["other", "newer"]);
}

const HISTORY: &str = r#"
[[table]]
name  = "costs"
view  = ["JCT_CURRENT__TRANSACTION", "JCT_HISTORY__TRANSACTION", "JCT_OLDER__TRANSACTION"]
optional_views = ["JCT_OLDER__TRANSACTION"]
key   = ["run", "seq"]
ignore = ["source_view"]
[table.columns]
int64           = ["Run", "Seq"]
text            = ["source_view"]
"decimal(18,2)" = ["Amount_Paid"]

[[table]]
name  = "module"
view  = "NOT_BOUGHT"
optional_views = ["NOT_BOUGHT"]
key   = ["id"]
[table.columns]
int64 = ["Id"]
"#;

#[test]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
fn several_views_are_one_table_whatever_they_are_called() {
    let server = Postgres::start();
    server.run(
        "create table jct_current_transaction (run bigint, seq bigint, amountpaid float8); \
         create table \"JCT_HISTORY__TRANSACTION\" (\"RUN\" bigint, \"Seq\" bigint, \"AMOUNT_PAID\" numeric(12,2)); \
         insert into jct_current_transaction values (1, 1, 0.1), (1, 2, 2.675); \
         insert into \"JCT_HISTORY__TRANSACTION\" values (0, 1, 7); \
         grant select on jct_current_transaction, \"JCT_HISTORY__TRANSACTION\" to reader",
    );
    let ledger = Ledger::new(&server.connection(), HISTORY, "");
    let (code, told) = ledger.extract(NOW, &[]);
    assert_eq!(code, Some(0), "{told}");
    let costs = "select _key, source_view, cast(amount_paid as text) from ledger.costs order by _key";
    let current = "JCT_CURRENT__TRANSACTION";
    let history = "JCT_HISTORY__TRANSACTION";
    assert_eq!(
        ledger.texts(costs),
        [format!("0|1 {history} 7.00"), format!("1|1 {current} 0.10"), format!("1|2 {current} 2.68")]
    );
    let module = ledger.texts("select status from meta.coverage where table_name = 'module'");
    assert_eq!(module, ["empty_verified"]);
    // A job is closed: its rows move. Read while it moves, a row is in both.
    server.run("insert into \"JCT_HISTORY__TRANSACTION\" values (1, 1, 0.1)");
    let (code, told) = ledger.extract("2026-03-11T08:00:00Z", &[]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(ledger.texts("select count(*) from ledger.costs"), ["3"]);
    let rejects = ledger.texts("select count(*) from meta.rejects");
    assert_eq!(rejects, ["0"]);
}

#[test]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
fn a_plan_asks_for_nothing_and_a_stopped_run_ends_at_once() {
    let server = Postgres::start();
    server.run(
        "create view \"SLOW\" as select i::bigint as \"Id\", pg_sleep(case when i > 1 then 30 else 0 end)::text as \"Wait\" \
         from generate_series(1, 3) i; grant select on \"SLOW\" to reader",
    );
    let tables = "[[table]]\nname = \"slow\"\nview = \"SLOW\"\nkey = [\"id\"]\n[table.columns]\nint64 = [\"Id\"]\ntext = [\"Wait\"]\n";
    let ledger = Ledger::new(&server.connection(), tables, "");
    let plan = ledger.tieout(&["extract", "--plan"]);
    assert!(plan.status.success() && String::from_utf8_lossy(&plan.stdout).contains("slow"), "{plan:?}");

    let mut run =
        ledger.command(&["extract", "--no-progress"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while server.run("select count(*) from pg_stat_activity where usename = 'reader' and state = 'active'") == "0" {
        assert!(began.elapsed() < Duration::from_mins(1) && run.try_wait().unwrap().is_none(), "the run never asked");
        std::thread::sleep(Duration::from_millis(100));
    }
    let asked = Instant::now();
    let killed = std::process::Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = run.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}
