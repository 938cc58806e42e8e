//! Each login and statement is told of, to whom it may be told.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tieout::server::User;

use super::firm::{Firm, role, with};
use crate::moments::{ask, connect, refusal};

fn users() -> Vec<User> {
    let boss = with(role("boss", None), |access, _| access.sensitive = true);
    let desk = with(role("desk", None), |access, _| access.schemas = Some(["recon".to_owned()].into()));
    vec![boss, desk, with(role("clerk", None), |_, _| {}), with(role("ada", Some(&["A-1"])), |_, _| {})]
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one line of a statement.
fn line<'a>(lines: &'a [Value], sql: &str) -> &'a Value {
    let found: Vec<&Value> = lines.iter().filter(|line| line["sql"] == sql).collect();
    assert_eq!(found.len(), 1, "{sql}: {lines:#?}");
    found.first().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_leaves_its_line() {
    let mut firm = Firm::new(users()).await;
    let ada = connect(firm.config("ada", "tieout@DAY1").application_name("ledger")).await.unwrap();
    ask(&ada, "select record_id from pm.change_orders; set extra_float_digits = 0").await;
    let prepared = ada.prepare("select record_id from pm.change_orders where record_id <> $1").await.unwrap();
    assert_eq!(ada.query(&prepared, &[&"o1"]).await.unwrap().len(), 1);
    let copied = ada.copy_out("copy pm.change_orders to stdout").await.unwrap();
    let copied: Vec<bytes::Bytes> = futures::TryStreamExt::try_collect(copied).await.unwrap();
    ada.batch_execute("declare c cursor with hold for select 1 as n").await.unwrap();
    ada.batch_execute("fetch all from c").await.unwrap();
    for failing in ["select nothing from pm.vendors", "selec 1", "alter role ada password 'hunter2'"] {
        ada.batch_execute(failing).await.unwrap_err();
    }
    ada.prepare("select * from nowhere").await.unwrap_err();
    drop(ada);
    let wrong = firm.config("ada", "tieout").password("letmein").to_owned();
    assert!(refusal(&connect(&wrong).await.err().unwrap()).starts_with("28P01"));
    firm.stop().await;

    let all = lines(&firm.log());
    let first = line(&all, "select record_id from pm.change_orders");
    let expected = [("role", "ada"), ("address", "127.0.0.1"), ("application_name", "ledger"), ("as_of", "DAY1")];
    for (key, value) in expected.into_iter().chain([("database", "tieout@DAY1"), ("outcome", "00000")]) {
        assert_eq!(first[key], value, "{first}");
    }
    // Two rows of two letters, each with its length.
    assert_eq!((&first["commit"], &first["rows"], &first["bytes"]), (&1.into(), &2.into(), &12.into()), "{first}");
    assert!(first["at"].as_str().unwrap().ends_with('Z') && first["milliseconds"].is_u64(), "{first}");
    assert!(line(&all, "set extra_float_digits = 0").get("commit").is_none());
    let bound = line(&all, "select record_id from pm.change_orders where record_id <> $1");
    assert_eq!((&bound["parameters"], &bound["rows"]), (&serde_json::json!(["o1"]), &1.into()));
    let copy = line(&all, "copy pm.change_orders to stdout");
    let bytes: usize = copied.iter().map(bytes::Bytes::len).sum();
    assert_eq!((&copy["rows"], &copy["bytes"]), (&2.into(), &bytes.into()));
    assert_eq!(line(&all, "fetch all from c")["rows"], 1);
    for (sql, code) in [
        ("select nothing from pm.vendors", "42703"),
        ("selec 1", "42601"),
        ("alter role ada password '…'", "25006"),
        ("select * from nowhere", "42P01"),
    ] {
        let failed = line(&all, sql);
        assert!(failed["outcome"] == code && failed["message"].is_string(), "{failed}");
    }
    let events: Vec<&str> =
        all.iter().filter_map(|line| line["event"].as_str()).filter(|it| *it != "statement").collect();
    assert_eq!(events.iter().filter(|event| **event == "login").count(), 1, "{events:?}");
    assert!(events.contains(&"logout") && events.contains(&"login_failed"), "{events:?}");
    let text = std::fs::read_to_string(firm.log()).unwrap();
    assert!(["secret", "letmein", "hunter2"].iter().all(|password| !text.contains(password)), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(firm.log()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_others_are_shown_to_few() {
    let firm = Firm::new(users()).await;
    let boss = firm.connect("boss").await;
    boss.batch_execute("select 'a literal of the boss'").await.unwrap();
    let clerk = firm.connect("clerk").await;
    clerk.batch_execute("select 'of the clerk'").await.unwrap();
    let sql = "select role, sql, outcome, row_count from meta.statements where event = 'statement' and row_count = 1 \
               order by started_at";
    let expected = "boss select 'a literal of the boss' 00000 1\nclerk select 'of the clerk' 00000 1";
    assert_eq!(ask(&boss, sql).await, expected);
    // What somebody typed may be sensitive: the clerk may not see that.
    assert_eq!(ask(&clerk, sql).await.lines().next().unwrap(), "boss - 00000 1");
    assert!(ask(&clerk, sql).await.contains("clerk select 'of the clerk' 00000 1"));
    // A prepared question is answered as things stand when it is asked.
    let count = boss.prepare("select count(*) from meta.statements").await.unwrap();
    let before: i64 = boss.query_one(&count, &[]).await.unwrap().get(0);
    let after: i64 = boss.query_one(&count, &[]).await.unwrap().get(0);
    assert!(after > before, "{before} {after}");
    for (user, code) in [("desk", "42501"), ("ada", "42P01")] {
        let refused = firm.connect(user).await.batch_execute("select * from meta.statements").await.unwrap_err();
        assert!(refusal(&refused).starts_with(code), "{user}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_logins_wait() {
    let firm = Firm::new(users()).await;
    let started = Instant::now();
    for _ in 0..3 {
        let wrong = firm.config("boss", "tieout").password("letmein").to_owned();
        assert!(refusal(&connect(&wrong).await.err().unwrap()).starts_with("28P01"));
    }
    // A quarter of a second, a half, a whole one.
    assert!(started.elapsed() >= Duration::from_millis(1_750), "{:?}", started.elapsed());
    let boss = firm.connect("boss").await;
    assert_eq!(ask(&boss, "select count(*) from meta.statements where event = 'login_failed'").await, "3");
}
