//! A statement that a session sends again and again: however it is answered, as a new session would be.

use futures::TryStreamExt as _;
use tieout::server::RoleLimits;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::firm::{Firm, Rows, role, with};
use crate::moments::refusal;

/// Longer than a session trusts the newest commit that it knows.
const HEAD_AGE: std::time::Duration = std::time::Duration::from_millis(1_100);

const STATEMENTS: [&str; 8] = [
    "select order_count from recon.counts",
    "select exception_key, project_id, amount_at_risk from recon.change_order_stuck order by exception_key desc",
    " select count(*) as n, 'today' as day from recon.change_order_stuck ; ",
    "select pm_value, label from recon.fields where label like 'Acme%'",
    "select s.exception_key from recon.change_order_stuck s, recon.counts c where c.order_count >= 3 order by 1 limit 2",
    "select current_setting('tieout.as_of'), count(*) from recon.change_order_stuck",
    // Reading one project's note fails whoever asks, but not what a role sees of it.
    "select * from recon.totals",
    "with c as (select record_id, max(note) as most from pm.change_orders group by record_id) \
     select count(*), max(b.most) from c a, c b where a.record_id = b.record_id",
];

/// Rows, or why there are none, by the simple protocol and by a prepared statement.
async fn told(client: &Client, sql: &str) -> [String; 2] {
    let simple = match client.simple_query(sql).await {
        Ok(messages) => {
            let rows = messages.iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|at| row.get(at).unwrap_or("-")).collect::<Vec<_>>().join(" "))
                }
                _ => None,
            });
            rows.collect::<Vec<_>>().join("\n")
        }
        Err(error) => refusal(&error),
    };
    let prepared =
        match client.query(&format!("select t::text from ({}) t", sql.trim().trim_end_matches(" ;")), &[]).await {
            Ok(rows) => rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n"),
            Err(error) => refusal(&error),
        };
    [simple, prepared]
}

/// The first value of each row that a text of several statements answers with.
async fn fetched(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap();
    let first = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    first.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_again_is_answered_as_if_it_were_new() {
    let boss = with(role("boss", None), |access, _| access.sensitive = true);
    let clerk = with(role("clerk", None), |_, _| {});
    let ada = with(role("ada", Some(&["A-1"])), |_, _| {});
    let mut firm = Firm::new(vec![boss, clerk, ada]).await;
    let mut asking = Vec::new();
    for user in ["boss", "clerk", "ada"] {
        asking.push((user, firm.connect(user).await));
    }
    let days: [(&str, Rows<'_>); 3] = [
        ("Acme Inc", &[&["o1", "1", "7"], &["o2", "1", "7"], &["o3", "2", "secret-17"], &["o4", "1", "8"]]),
        ("Acme Ltd", &[&["o1", "1", "7"], &["o2", "1", "7"], &["o3", "2", "9"]]),
        ("Other", &[&["o2", "1", "7"], &["o3", "2", "9"], &["o5", "2", "9"], &["o6", "1", "1"]]),
    ];
    let mut answers = std::collections::BTreeSet::new();
    for (day, (vendor, orders)) in days.into_iter().enumerate() {
        if day > 0 {
            firm.day(vendor, orders).await;
            tokio::time::sleep(HEAD_AGE).await;
        }
        for setting in ["reset tieout.as_of", "set tieout.as_of = 'commit:1'", "set tieout.as_of = 'DAY1'", "reset all"]
        {
            for (user, client) in &asking {
                client.batch_execute(setting).await.unwrap();
                for sql in STATEMENTS {
                    let new = firm.connect(user).await;
                    new.batch_execute(setting).await.unwrap();
                    let expected = told(&new, sql).await;
                    for turn in 0..4 {
                        let found = told(client, sql).await;
                        assert_eq!(found, expected, "{user}, day {day}, {setting}, turn {turn}: {sql}");
                    }
                    answers.insert((*user, sql, expected));
                }
            }
        }
    }
    // Roles, days and moments did make a difference.
    let differing = |user: &str, sql: &str| answers.iter().filter(|(by, of, _)| *by == user && *of == sql).count();
    assert!(differing("boss", STATEMENTS[0]) >= 2 && differing("boss", STATEMENTS[1]) >= 3, "{answers:?}");
    assert!(differing("boss", STATEMENTS[3]) >= 3 && differing("clerk", STATEMENTS[3]) >= 2, "{answers:?}");
    let of = |user: &str, sql: &str| {
        answers
            .iter()
            .filter(|(by, of, _)| *by == user && *of == sql)
            .map(|(.., told)| told.clone())
            .collect::<Vec<_>>()
    };
    assert_ne!(of("boss", STATEMENTS[1]), of("ada", STATEMENTS[1]));
    assert_ne!(of("boss", STATEMENTS[3]), of("clerk", STATEMENTS[3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_common_table_that_is_read_twice_is_computed_once() {
    let firm = Firm::new(vec![with(role("boss", None), |access, _| access.sensitive = true)]).await;
    let client = firm.connect("boss").await;
    let sql = |word: &str| {
        format!(
            "with counted as {word} (select project_id, count(*) as orders from pm.change_orders group by project_id), \
             project_id as (select 1) \
             select a.project_id, counted.orders, (select count(*) from COUNTED) from counted \
             inner join counted as a on a.project_id = counted.project_id order by 1"
        )
    };
    let rows = "1 3 2\n2 1 2";
    assert_eq!(told(&client, &sql("")).await[0], rows);
    for (word, scans, groupings) in [("", 3, 1), ("materialized", 3, 1), ("not materialized", 0, 3)] {
        let sql = sql(word);
        assert_eq!(told(&client, &sql).await[0], rows, "{word}");
        for form in ["explain", "explain (format json)"] {
            let plan = fetched(&client, &format!("{form} {sql}")).await.join("\n");
            assert_eq!(plan.matches("CommonScan: counted").count(), scans, "{word}: {plan}");
            let found = plan.matches("mode=Partial, gby=[project_id").count();
            let found = found + plan.matches("mode=Single, gby=[project_id").count();
            assert_eq!(found, groupings, "{word}: {plan}");
        }
    }
    // What only one of them reads fails that one statement.
    let failing = "with c as (select sum(1 / (char_length(project_id) - char_length(project_id))) as s from pm.change_orders) select * from c, c as d";
    assert!(told(&client, failing).await[0].starts_with("22012"), "{:?}", told(&client, failing).await);
    assert_eq!(told(&client, &sql("")).await[0], rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_limits_hold_for_what_is_asked_again() {
    let limits = RoleLimits { rows: Some(1), ..RoleLimits::default() };
    let boss = with(role("boss", None), |access, _| access.sensitive = true);
    let few = with(role("few", None), |_, user| user.limits = limits);
    let mut firm = Firm::new(vec![boss, few]).await;
    let client = firm.connect("boss").await;
    // A name is looked for where the search path says.
    for _ in 0..4 {
        client.batch_execute("set search_path = recon").await.unwrap();
        assert_eq!(told(&client, "select count(*) from counts").await[0], "1");
        client.batch_execute("set search_path = meta").await.unwrap();
        assert!(told(&client, "select count(*) from counts").await[0].contains("42P01"));
    }
    // By cursors and copies too.
    let stuck = "select exception_key from recon.change_order_stuck order by 1";
    let rows = told(&client, stuck).await[0].clone();
    assert!(rows.lines().count() > 1, "{rows}");
    for _ in 0..4 {
        let scrolled =
            format!("begin; declare c scroll cursor for {stuck}; move forward all from c; fetch backward all from c");
        let backward: Vec<String> = fetched(&client, &scrolled).await.into_iter().rev().collect();
        assert_eq!(backward.join("\n"), rows);
        client.batch_execute("commit").await.unwrap();
        let fetches = format!("begin; declare c cursor for {stuck}; fetch 1 from c; fetch all from c; commit");
        assert_eq!(fetched(&client, &fetches).await.join("\n"), rows);
        let copied = client.copy_out(&format!("copy ({stuck}) to stdout")).await.unwrap();
        let copied: Vec<bytes::Bytes> = copied.try_collect().await.unwrap();
        assert_eq!(String::from_utf8(copied.concat()).unwrap().trim_end(), rows);
        assert_eq!(told(&client, stuck).await[0], rows);
    }
    // More rows than the role may fetch, each time.
    let limited = firm.connect("few").await;
    for _ in 0..4 {
        let told = told(&limited, "select exception_key from recon.change_order_stuck").await;
        assert!(told.iter().all(|told| told.contains("54000")), "{told:?}");
    }
    // Each time there is a line of it, with its commit and its rows.
    let before = std::fs::read_to_string(firm.log()).unwrap().lines().count();
    for _ in 0..4 {
        told(&client, "select order_count from recon.counts").await;
    }
    firm.stop().await;
    let log = std::fs::read_to_string(firm.log()).unwrap();
    let lines = log.lines().skip(before).map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let counted = lines.filter(|line| line["sql"].as_str().is_some_and(|sql| sql.contains("order_count")));
    let counted: Vec<_> = counted.map(|line| (line["commit"].as_u64(), line["rows"].as_u64())).collect();
    assert_eq!(counted, vec![(Some(3), Some(1)); 8]);
}
