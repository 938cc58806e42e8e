//! What a role may not see it does not see, whichever way it asks.

use tieout::server::User;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::firm::{Firm, role, with};
use crate::moments::{ask, connect, refusal};

/// Of project 2 and of the firm: whatever is shown to a role of project 1 holds none of it.
const HIDDEN: [&str; 9] =
    ["o3", "l3", "B-2", "JOB-B", "secret-17", "Acme", "pay@acme.test", "hash-of-a-tax-id", "\"email\""];

/// `ada` is of project 1, `boss` sees everything, `clerk` all but what is sensitive, `crew` every project but nothing of
/// the firm's, `desk` two schemas, `auditor` the first day.
fn users() -> Vec<User> {
    let boss = with(role("boss", None), |access, _| access.sensitive = true);
    let crew = with(role("crew", None), |access, _| access.firm = false);
    let desk = with(role("desk", None), |access, _| access.schemas = Some(["recon", "meta"].map(str::to_owned).into()));
    let auditor = with(role("auditor", None), |access, _| access.as_of = Some("DAY1".to_owned()));
    let (ada, clerk) = (with(role("ada", Some(&["A-1"])), |_, _| {}), with(role("clerk", None), |_, _| {}));
    vec![ada, boss, clerk, crew, desk, auditor]
}

/// All that a simple query answers, or its refusal.
async fn told(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(messages) => {
            let texts = messages.iter().map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    (0..row.len()).map(|at| row.get(at).unwrap_or("-")).collect::<Vec<_>>().join(" ")
                }
                SimpleQueryMessage::CommandComplete(rows) => format!("rows: {rows}"),
                _ => String::new(),
            });
            texts.collect::<Vec<_>>().join("\n")
        }
        Err(error) => refusal(&error),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_one_project_sees_nothing_else_in_any_table() {
    let firm = Firm::new(users()).await;
    let (ada, boss) = (firm.connect("ada").await, firm.connect("boss").await);
    let tables = "select table_schema || '.\"' || table_name || '\"' from information_schema.tables \
                  where table_schema not in ('pg_catalog', 'information_schema') order by 1";
    let tables = ask(&ada, tables).await;
    assert!(tables.lines().count() > 40, "{tables}");
    let mut seen_by_boss = String::new();
    for table in tables.lines() {
        let rows = told(&ada, &format!("select * from {table}")).await;
        for hidden in HIDDEN {
            assert!(!rows.contains(hidden), "{table} shows {hidden}:\n{rows}");
        }
        seen_by_boss += &told(&boss, &format!("select * from {table}")).await;
    }
    // The test would see them.
    for hidden in HIDDEN {
        assert!(seen_by_boss.contains(hidden), "{hidden}");
    }
    // Its own project is there, on every path.
    assert_eq!(ask(&ada, "select record_id from pm.change_orders order by 1").await, "o1\no2\no4");
    assert_eq!(ask(&ada, "select id from office.orders order by 1").await, "o1\no2\no4");
    assert_eq!(ask(&ada, "select record_id from pm.change_order_lines").await, "l1");
    assert_eq!(ask(&ada, "select id from office.order_lines").await, "l1");
    assert_eq!(ask(&ada, "select number from pm.projects").await, "A-1");
    assert_eq!(ask(&ada, "select record_id from erp.projects").await, "JOB-A");
    assert_eq!(ask(&ada, "select distinct id from history.office_orders order by 1").await, "o1\no2\no4");
    assert_eq!(ask(&ada, "select count(*) from pm.vendors").await, "0");
    assert_eq!(ask(&ada, "select count(*) from recon.counts").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn hiding_a_record_makes_no_partner_look_missing() {
    let firm = Firm::new(users()).await;
    let missing = "select pm_id from recon.change_order_stuck order by 1";
    // o2 is in the ERP, under a project that ada may not see: the check knows it all the same.
    assert_eq!(ask(&firm.connect("boss").await, missing).await, "o1\no3\no4");
    let ada = firm.connect("ada").await;
    assert_eq!(ask(&ada, missing).await, "o1\no4");
    assert_eq!(ask(&ada, "select count(*) from erp.change_orders").await, "0");
    assert_eq!(ask(&ada, &missing.replace("recon.change_order_stuck", "system.exceptions")).await, "o1\no4");
    let as_of = "select pm_id from as_of('recon.change_order_stuck', 'DAY1')";
    assert_eq!(ask(&ada, as_of).await, "o1");
    // Without the firm's rows the ERP's "no project" is not everybody's.
    let crew = firm.connect("crew").await;
    assert_eq!(ask(&crew, "select id from books.orders").await, "o2");
    assert_eq!(ask(&crew, missing).await, "o1\no3\no4");
    assert_eq!(ask(&crew, "select count(*) from pm.vendors").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_of_asking_shows_more() {
    let firm = Firm::new(users()).await;
    let ada = firm.connect("ada").await;
    let all = "select * from pm.change_orders";
    let mut answers = String::new();
    for sql in [
        "select * from as_of('pm.change_orders', 'DAY1')".to_owned(),
        "select * from as_of('office.orders', 'commit:1')".to_owned(),
        "select * from changes('pm.change_orders', 'DAY1', 'latest')".to_owned(),
        "select * from changes('pm.vendors', 'DAY1', 'latest')".to_owned(),
        "select * from changes('office.vendors', 'DAY1', 'latest')".to_owned(),
        "select * from \"tieout@DAY1\".pm.change_orders".to_owned(),
        "select * from \"tieout@DAY1\".office.vendors".to_owned(),
        format!("explain {all}"),
        format!("explain verbose {all}"),
        format!("explain analyze {all}"),
        format!("explain analyze verbose {all} where note like '%17%'"),
        "explain analyze select * from pm.vendors".to_owned(),
        format!("prepare p as {all}; execute p"),
        format!("begin; declare c cursor for {all}; fetch all from c; commit"),
        format!("declare h cursor with hold for {all}; fetch all from h; close h"),
        "with recursive r as (select record_id from pm.change_orders union select record_id from r) select * from r"
            .to_owned(),
        "select (select max(note) from pm.change_orders), array_agg(record_id) from pm.change_orders".to_owned(),
        "select * from pm.change_orders where 1 / (case when record_id = 'o3' then 0 else 1 end) = 1".to_owned(),
        "select cast(note as bigint) from pm.change_orders".to_owned(),
        "select * from recon.totals".to_owned(),
        "with m as (select record_id, max(note) as note from pm.change_orders group by record_id) select * from m, m as n"
            .to_owned(),
        "select * from pg_class; select * from pg_attribute; select * from pg_stats".to_owned(),
        "select * from meta.coverage; select * from meta.runs; select * from system.check_runs".to_owned(),
        "set tieout.as_of = 'DAY1'; select * from pm.change_orders; reset tieout.as_of".to_owned(),
        "set tieout.definitions = 'pinned'; select * from as_of('pm.change_orders', 'DAY1')".to_owned(),
        "select * from \"tieout@DAY1\".pm.change_orders".to_owned(),
        "select * from changes('pm.change_orders', 'DAY1', 'latest')".to_owned(),
        "reset all; select * from pm.change_orders o full join pm.vendors v on true".to_owned(),
    ] {
        let answer = told(&ada, &sql).await;
        let secrets = HIDDEN.iter().filter(|hidden| !sql.contains(**hidden));
        for hidden in secrets {
            assert!(!answer.contains(hidden), "{sql} shows {hidden}:\n{answer}");
        }
        answers += &answer;
    }
    assert!(answers.contains("o1") && answers.contains("GuardedScan"), "{answers}");
    // How many rows there are below is not told either.
    let analyzed = told(&ada, &format!("explain analyze {all}")).await;
    assert!(!analyzed.contains("DataSourceExec") && !analyzed.contains("output_rows=4"), "{analyzed}");
    // An error in what is hidden is told without it.
    let veiled = told(&ada, "select * from recon.totals").await;
    assert!(veiled.starts_with("XX000 recon.totals cannot be read") && veiled.contains("server's log"), "{veiled}");
    assert!(told(&firm.connect("boss").await, "select * from recon.totals").await.contains("secret-17"));
    // Statistics are of nothing.
    assert_eq!(ask(&ada, "select distinct reltuples from pg_class").await, "-1");
    assert_eq!(ask(&ada, "select count(*), count(note) from pm.change_orders").await, "3 3");
    let bound = ada.query("select record_id from pm.change_orders where record_id = $1", &[&"o3"]).await.unwrap();
    assert!(bound.is_empty());
    let copied = ada.copy_out("copy pm.change_orders to stdout").await.unwrap();
    let copied: Vec<_> = futures::TryStreamExt::try_collect(copied).await.unwrap();
    assert_eq!(copied.len(), 3);
    assert!(!copied.concat().windows(2).any(|two| two == b"o3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_do_not_see_through_what_others_asked() {
    let firm = Firm::new(users()).await;
    let (ada, boss) = (firm.connect("ada").await, firm.connect("boss").await);
    for _ in 0..2 {
        for (client, linked, orders) in [(&boss, "1", "4"), (&ada, "0", "3"), (&boss, "1", "4")] {
            // Links are kept in memory for all sessions; plans are not.
            assert_eq!(ask(client, "select count(*) from link.change_orders").await, linked);
            assert_eq!(ask(client, "select count(*) from pm.change_orders").await, orders);
            let prepared = client.prepare("select count(*) from pm.change_orders where note <> $1").await.unwrap();
            let row = client.query_one(&prepared, &[&"x"]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0).to_string(), orders);
        }
    }
    boss.batch_execute("prepare mine as select * from pm.vendors").await.unwrap();
    assert!(told(&ada, "execute mine").await.starts_with("26000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sensitive_columns_are_null_unless_the_role_may_see_them() {
    let firm = Firm::new(users()).await;
    let (clerk, boss) = (firm.connect("clerk").await, firm.connect("boss").await);
    let queries = [
        ("select name, email, tax_id_hash from pm.vendors", "Acme Inc - -", "Acme Inc pay@acme.test hash-of-a-tax-id"),
        (
            "select id, email, _raw from office.vendors where id is not null",
            "v1 - {\"id\":\"v1\",\"name\":\"Acme Inc\"}",
            "v1 pay@acme.test {",
        ),
        ("select email from office.vendors where email = 'pay@acme.test'", "", "pay@acme.test"),
        ("select _raw ->> 'email' from office.vendors", "-", "pay@acme.test"),
        ("select max(_raw) from history.office_vendors", "{\"id\":\"v1\",\"name\":\"Acme\"}", "{"),
        ("select label, pm_value from recon.fields", "Acme Inc -", "Acme Inc pay@acme.test"),
        ("select email from \"tieout@DAY1\".pm.vendors", "-", "pay@acme.test"),
        ("select v.name from pm.vendors v join office.vendors o on o.email = v.email", "", "Acme Inc"),
    ];
    for (sql, masked, plain) in queries {
        assert_eq!(ask(&clerk, sql).await, masked, "{sql}");
        assert!(ask(&boss, sql).await.starts_with(plain), "{sql}");
    }
    // What changed is told, and what it was before is not, where it is sensitive.
    let changed = told(&clerk, "select name, _changed, _raw from changes('office.vendors', 'DAY1', 'latest')").await;
    assert!(changed.contains("Acme Inc") && changed.contains("name") && !changed.contains("pay@"), "{changed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_not_the_roles_is_refused_and_not_listed() {
    let firm = Firm::new(users()).await;
    let desk = firm.connect("desk").await;
    let listed = "select string_agg(schema_name, ' ' order by schema_name) from information_schema.schemata \
                  where schema_name not like '%a_catalog' and schema_name not like 'info%'";
    assert_eq!(ask(&desk, listed).await.replace("pg_catalog ", "").replace(" pg_catalog", ""), "meta recon");
    for sql in [
        "select * from pm.vendors",
        "select * from pm.there_is_none",
        "select * from tieout.office.vendors",
        "select * from \"tieout@DAY1\".office.vendors",
        "select * from as_of('pm.vendors', 'DAY1')",
        "select * from changes('history.office_orders', 'DAY1', 'latest')",
        "copy pm.vendors to stdout",
        "explain select * from pm.vendors",
        "select 1 where exists (select 1 from system.exceptions)",
    ] {
        let refused = told(&desk, sql).await;
        assert!(refused.starts_with("42501 permission denied for schema"), "{sql}: {refused}");
        assert!(refused.contains("role desk may read meta, recon") && refused.contains("schemas"), "{refused}");
        assert!(desk.prepare(sql).await.is_err(), "{sql}");
    }
    // A view of a schema that it may read is read, whatever that reads, and that is not told.
    for explain in ["explain verbose", "explain analyze"] {
        let plan =
            told(&desk, &format!("{explain} select * from recon.change_order_stuck where pm_id like 'o%'")).await;
        assert!(plan.contains("GuardedScan: recon.change_order_stuck"), "{plan}");
        assert!(!plan.contains("office") && !plan.contains("DataSourceExec"), "{plan}");
    }
    assert_eq!(ask(&desk, "select pm_id from recon.change_order_stuck order by 1").await, "o1\no3\no4");
    let names = "select count(*) from pg_class where relname in ('vendors', 'office_orders')";
    assert_eq!(ask(&desk, names).await, "0");
    assert!(told(&desk, "select * from vendors").await.starts_with("42P01"));
    assert!(!told(&desk, "select * from recon.vendors").await.contains("pm.vendors"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_one_moment_sees_nothing_later() {
    let firm = Firm::new(users()).await;
    for database in ["tieout", "tieout@DAY1", "tieout@1"] {
        let auditor = connect(&firm.config("auditor", database)).await.unwrap();
        assert_eq!(ask(&auditor, "select name from pm.vendors").await, "Acme", "{database}");
    }
    for database in ["tieout@latest", "tieout@3"] {
        let refused = refusal(&connect(&firm.config("auditor", database)).await.err().unwrap());
        assert!(refused.starts_with("42501") && refused.contains("role auditor reads as of DAY1 only"), "{refused}");
    }
    let options = firm.config("auditor", "tieout").options("-c tieout.as_of=3").to_owned();
    assert!(refusal(&connect(&options).await.err().unwrap()).starts_with("42501"));

    let auditor = firm.connect("auditor").await;
    assert_eq!(ask(&auditor, "show tieout.as_of").await, "DAY1");
    for sql in [
        "set tieout.as_of = 'latest'",
        "set tieout.as_of = '3'",
        "begin; set local tieout.as_of = 3",
        "rollback; select * from as_of('pm.vendors', 3)",
        "select * from changes('pm.vendors', 'DAY1', 3)",
        "select * from \"tieout@3\".pm.vendors",
    ] {
        let refused = told(&auditor, sql).await;
        assert!(refused.contains("42501"), "{sql}: {refused}");
    }
    for (sql, expected) in [
        ("set tieout.as_of = 'DAY1'; select name from pm.vendors", "Acme"),
        ("reset tieout.as_of; select name from pm.vendors", "Acme"),
        ("reset all; select name from pm.vendors", "Acme"),
        ("discard all; select name from pm.vendors", "Acme"),
        ("select distinct name from history.office_vendors", "Acme"),
        ("select count(*) from office.orders", "3"),
        ("select name from as_of('pm.vendors', 'latest')", "Acme"),
        ("select count(*) from changes('pm.vendors', 'DAY1', 'latest')", "0"),
        ("select max(commit_number) from meta.commits", "1"),
        ("select commit_number from meta.clock", "1"),
        ("select count(*) from meta.pins", "0"),
        ("select string_agg(datname, ' ' order by datname) from pg_database", "tieout tieout@DAY1"),
        ("select max(opened_commit) from system.exceptions", "1"),
        ("set tieout.definitions = 'pinned'; select name from as_of('pm.vendors', 'latest')", "Acme"),
    ] {
        assert_eq!(ask(&auditor, sql).await, expected, "{sql}");
    }
    // Statements are later than any pin.
    assert!(told(&auditor, "select * from meta.statements").await.starts_with("42P01"));
}
