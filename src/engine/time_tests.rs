//! Moments of their own: `as_of()`, `changes()`, pins, over a firm that is extracted once a day.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use datafusion::execution::context::SessionContext;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value};

use super::tests::{Firm, OK, ask, definitions, settings};
use super::{Error, SessionRequest};
use crate::clock::Clock;
use crate::warehouse::rows::CoverageStatus;
use crate::warehouse::{AsOf, NewPin};

type Rows = BTreeMap<String, Map<String, Value>>;

/// Rows as objects by key; decimals keep their digits.
async fn rows(session: &SessionContext, sql: &str, key: &str) -> Rows {
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    let mut bytes = Vec::new();
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::LineDelimited>(&mut bytes);
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let objects: Vec<Map<String, Value>> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    let count = objects.len();
    let found: Rows = objects.into_iter().map(|row| (row[key].as_str().unwrap().to_owned(), row)).collect();
    assert_eq!(found.len(), count, "{sql}: a key stands twice");
    found
}

async fn refusal(session: &SessionContext, sql: &str) -> String {
    match session.sql(sql).await {
        Err(error) => error.to_string(),
        Ok(frame) => frame.collect().await.unwrap_err().to_string(),
    }
}

/// Two days: a at 5.00 and b, then a at 7.00 and c; by the second a is in the ERP too.
async fn two_days() -> Firm {
    let mut firm = Firm::new(definitions(&[]), settings()).await;
    firm.day(&[("a", "1", 500, "approved"), ("b", "1", 100, "pending")], &[], &[("1", OK)]).await;
    firm.day(&[("a", "1", 700, "approved"), ("c", "1", 300, "approved")], &["a"], &[("1", OK)]).await;
    firm
}

#[tokio::test]
async fn as_of_reads_tables_views_and_links_at_their_own_moments() {
    let firm = two_days().await;
    let session = firm.session().await;
    let both = "select then.record_id, then.amount, now.amount from as_of('pm.change_orders', 'commit:1') as then \
                full join pm.change_orders as now on now.record_id = then.record_id order by then.record_id";
    assert_eq!(ask(&session, both).await, "| a | 5.00 | 7.00 |\n| b | 1.00 | |\n| | | 3.00 |");
    // The view reads a link that is computed once per moment; both moments stand in one query, in either order.
    // Scans of one name are one to the optimizer: it must not take one reading for the other.
    let stuck = "select (select count(*) from as_of('recon.change_order_stuck', 1)) as then, \
                 (select count(*) from recon.change_order_stuck) as now, \
                 (select count(*) from as_of('link.change_orders', '2026-03-03')) as old_links, \
                 (select count(*) from link.change_orders) as links";
    assert_eq!(ask(&session, stuck).await, "| 1 | 1 | 0 | 1 |");
    session.sql("set tieout.as_of = 'commit:1'").await.unwrap();
    let reversed = "select (select count(*) from as_of('link.change_orders', 'latest')) as now, \
                    (select count(*) from link.change_orders) as then, \
                    (select string_agg(pm_id, ' ') from recon.change_order_stuck) as stuck_then, \
                    (select string_agg(pm_id, ' ') from as_of('recon.change_order_stuck', 'latest')) as stuck_now";
    assert_eq!(ask(&session, reversed).await, "| 1 | 0 | a | c |");
    let dates = "select clock.commit_number, clock.accounting_date from as_of('meta.clock', date '2026-03-04') as clock \
                 union all select commit_number, accounting_date from as_of('meta.clock', 2, '2025-12-31') \
                 union all select commit_number, accounting_date from as_of('meta.clock', timestamp '2026-03-03 23:00:00') \
                 union all select commit_number, accounting_date from meta.clock";
    let expected = "| 2 | 2026-03-04 |\n| 2 | 2025-12-31 |\n| 1 | 2026-03-03 |\n| 1 | 2026-03-03 |";
    assert_eq!(ask(&session, dates).await, expected);
    // Filters and projections reach through it.
    let one = "select amount from as_of('pm1.orders', 'commit:2') as orders where orders._key = 'c' and amount > 2";
    assert_eq!(ask(&session, one).await, "| 3.000000 |");
}

#[tokio::test]
async fn records_hashed_under_another_key_are_no_changes() {
    let mut firm = two_days().await;
    firm.rekeyed_day(&[("a", 700), ("c", 400)]).await;
    let session = firm.session().await;
    // Every hash differs, one amount does.
    let sql = "select _op, _key, _changed -> 'amount' ->> 'to' as later from changes('pm1.orders', 2, 3) order by _key";
    assert_eq!(ask(&session, sql).await, "| U | c | 4.000000 |");
    let sql = "select _key, _op from history.pm1_orders where valid_to is null order by _key";
    assert_eq!(ask(&session, sql).await, "| a | U |\n| c | U |");
    let warehouse = firm.engine.warehouse();
    let head = warehouse.head().await.unwrap();
    assert_eq!(head.commit(3).unwrap().tables[0].changes[0].rows, 2);
    let changed = warehouse.read_changes(&head, 3, "pm1", "orders").await.unwrap();
    assert_eq!(changed.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
}

#[tokio::test]
async fn changes_tell_rows_fields_and_both_moments() {
    let firm = two_days().await;
    let session = firm.session().await;
    let canonical = "select _op, record_id, amount, _changed, _from_commit, _to_commit, _from_at, _to_at \
                     from changes('pm.change_orders', 1, 2) order by record_id";
    let moments = "1 | 2 | 2026-03-03T06:00:00Z | 2026-03-04T06:00:00Z";
    assert_eq!(
        ask(&session, canonical).await,
        format!(
            "| U | a | 7.00 | {{\"amount\":{{\"from\":5.00,\"to\":7.00}}}} | {moments} |\n\
             | D | b | 1.00 | | {moments} |\n| I | c | 3.00 | | {moments} |"
        )
    );
    let raw = "select _op, _key, _changed -> 'amount' ->> 'to' as later from changes('pm1.orders', 'commit:2', 'commit:1') order by _key";
    assert_eq!(ask(&session, raw).await, "| U | a | 5.000000 |\n| I | b | |\n| D | c | |");
    // Ages move every day and are no change; an exception that stays is none either.
    assert_eq!(ask(&session, "select count(*) from changes('pm.projects', 1, 2)").await, "| 0 |");
    // A canonical row's own history: its record's versions, by the key that the record has in its source.
    let history = "select orders.record_id, versions.amount, versions._op, versions.valid_to is null as is_current \
                   from pm.change_orders as orders inner join history.pm1_orders as versions \
                   on orders.source = 'pm1' and versions._key = orders.record_id order by 1, versions._commit";
    let expected = "| a | 5.000000 | I | false |\n| a | 7.000000 | U | true |\n| c | 3.000000 | I | true |";
    assert_eq!(ask(&session, history).await, expected);
    let links = "select _op, pm_id from changes('link.change_orders', 1, 2)";
    assert_eq!(ask(&session, links).await, "| I | a |");
    assert_eq!(ask(&session, "select count(*) from changes('recon.change_order_stuck', 2, 2)").await, "| 0 |");
    // The session's own moment means nothing to it.
    session.sql("set tieout.as_of = 'commit:1'").await.unwrap();
    assert_eq!(ask(&session, "select count(*) from changes('pm.change_orders', 1, 'latest')").await, "| 3 |");
}

#[tokio::test]
async fn changes_compare_rows_of_a_key_that_stands_twice_in_order() {
    let twice = "select 'x' as exception_key, amount as amount_at_risk from pm.change_orders";
    let unkeyed = "select approval_status, count(*) as order_count from pm.change_orders group by approval_status";
    let more = [("queries/recon/twice.sql", twice), ("queries/recon/by_status.sql", unkeyed)];
    let mut firm = Firm::new(definitions(&more), settings()).await;
    let orders = [("a", "1", 100, "approved"), ("b", "1", 200, "approved"), ("c", "1", 200, "pending")];
    firm.day(&orders, &[], &[("1", OK)]).await;
    let orders = [("a", "1", 100, "approved"), ("b", "1", 200, "approved"), ("c", "1", 250, "approved")];
    firm.day(&orders, &[], &[("1", OK)]).await;
    let session = firm.session().await;
    let rows = "select _op, amount_at_risk, _changed ->> 'amount_at_risk' is not null as is_told from changes('recon.twice', 1, 2)";
    assert_eq!(ask(&session, rows).await, "| U | 2.50 | true |");
    let rows = "select _op, approval_status, order_count from changes('recon.by_status', 1, 2) order by 1, 2, 3";
    let expected = "| D | approved | 2 |\n| D | pending | 1 |\n| I | approved | 3 |";
    assert_eq!(ask(&session, rows).await, expected);
}

#[tokio::test]
async fn a_pin_sets_the_accounting_date_and_is_known_from_when_it_was_made() {
    let firm = two_days().await;
    let end = chrono::NaiveDate::from_ymd_opt(2026, 2, 28);
    let new = NewPin { name: "FEB".to_owned(), as_of: AsOf::Commit(1), period_end: end };
    firm.engine.warehouse().pin(&new, &Clock::Shared(firm.clock.clone())).await.unwrap();
    let request = |as_of: &str| SessionRequest { as_of: Some(as_of.to_owned()), ..SessionRequest::default() };
    // A pin made a moment ago is found at once.
    let session = firm.engine.session(&request("FEB")).await.unwrap();
    let clock = "select commit_number, accounting_date, pin from meta.clock";
    assert_eq!(ask(&session, clock).await, "| 1 | 2026-02-28 | FEB |");
    assert_eq!(ask(&session, "select count(*) from meta.pins").await, "| 0 |");
    let elsewhere = "select name, commit_number, period_end, pinned_commit from as_of('meta.pins', 'latest')";
    assert_eq!(ask(&session, elsewhere).await, "| FEB | 1 | 2026-02-28 | 3 |");
    let latest = firm.session().await;
    assert_eq!(ask(&latest, clock).await, "| 3 | 2026-03-04 | |");
    assert_eq!(ask(&latest, "select accounting_date from as_of('meta.clock', 'FEB')").await, "| 2026-02-28 |");
    latest.sql("set tieout.accounting_date = '2026-01-31'").await.unwrap();
    assert_eq!(ask(&latest, "select accounting_date from as_of('meta.clock', 'FEB')").await, "| 2026-01-31 |");
    // Nothing was looked at when the pin was made: what is open is as open as it was.
    let open = "select count(*) from recon.change_order_stuck";
    assert_eq!(ask(&latest, open).await, "| 1 |");
    let error = firm.engine.session(&request("FEBR")).await.err().unwrap();
    assert!(matches!(&error, Error::Warehouse(_)) && error.to_string().contains("did you mean `FEB`?"), "{error}");
}

#[tokio::test]
async fn the_pin_before_is_told_in_words() {
    let before = "-- title: Before\n\nselect record_id from as_of('pm.change_orders', 'previous pin')\n";
    let mut firm = Firm::new(definitions(&[("queries/recon/before.sql", before)]), settings()).await;
    firm.day(&[("a", "1", 500, "approved"), ("b", "1", 100, "pending")], &[], &[("1", OK)]).await;
    firm.day(&[("a", "1", 700, "approved"), ("c", "1", 300, "approved")], &["a"], &[("1", OK)]).await;
    let session = async |as_of: &str| {
        let request = SessionRequest { as_of: Some(as_of.to_owned()), ..SessionRequest::default() };
        firm.engine.session(&request).await.unwrap()
    };
    let clocks = "select 'pin' as which, commit_number, accounting_date, pin from as_of('meta.clock', 'previous pin') union all \
                  select 'period', commit_number, accounting_date, pin from as_of('meta.clock', 'previous period')";
    assert_eq!(ask(&session("latest").await, clocks).await, "", "nothing is pinned");
    for (name, commit, end) in [("MAR", 2, (3, 3)), ("FEB", 1, (2, 28)), ("JAN", 1, (1, 31))] {
        let period_end = chrono::NaiveDate::from_ymd_opt(2026, end.0, end.1);
        let new = NewPin { name: name.to_owned(), as_of: AsOf::Commit(commit), period_end };
        firm.engine.warehouse().pin(&new, &Clock::Shared(firm.clock.clone())).await.unwrap();
    }
    // Pinned afterwards all the same: what FEB names was there when March was.
    let march = session("MAR").await;
    assert_eq!(ask(&march, clocks).await, "| pin | 1 | 2026-02-28 | FEB |\n| period | 2 | 2026-02-28 | |");
    let february = session("FEB").await;
    assert_eq!(ask(&february, clocks).await, "| pin | 1 | 2026-01-31 | JAN |\n| period | 1 | 2026-01-31 | |");
    assert_eq!(ask(&session("JAN").await, clocks).await, "", "no pin ended before");
    // On a later business date the same commit has March behind it.
    let later = session("MAR").await;
    later.sql("set tieout.accounting_date = '2026-04-30'").await.unwrap();
    assert_eq!(ask(&later, clocks).await, "| pin | 2 | 2026-03-03 | MAR |\n| period | 2 | 2026-03-03 | |");
    let changed =
        "select _op, record_id from changes('pm.change_orders', 'previous pin', 'previous period') order by record_id";
    assert_eq!(ask(&march, changed).await, "| U | a |\n| D | b |\n| I | c |");
    // In a view it is that of whoever reads the view, and of the moment that a query reads it at.
    let views = "select 'own' as which, string_agg(record_id, ' ' order by record_id) from recon.before union all \
                 select 'as of', string_agg(record_id, ' ' order by record_id) from as_of('recon.before', 'JAN')";
    assert_eq!(ask(&march, views).await, "| own | a b |\n| as of | |");
}

#[tokio::test]
async fn what_was_not_read_is_told_by_entity_and_project() {
    let mut firm = Firm::new(definitions(&[]), settings()).await;
    let session = firm.session().await;
    assert_eq!(ask(&session, "select count(*) from meta.readings").await, "| 0 |", "before the first snapshot");
    firm.day(&[("a", "1", 500, "approved")], &["a"], &[("1", OK)]).await;
    let session = firm.session().await;
    let told = "select side, entity, project_id, status, reason from meta.readings where entity in ('projects', 'change_orders') \
                order by side desc, entity, project_id nulls first";
    let projects = "| pm | projects | | read | |\n| erp | change_orders | | read | |\n\
                    | erp | projects | | not_applicable | no erp source maps projects |";
    assert_eq!(ask(&session, told).await, format!("| pm | change_orders | | read | |\n{projects}"));
    firm.day(&[("a", "1", 500, "approved")], &["a"], &[("1", CoverageStatus::Forbidden)]).await;
    let session = firm.session().await;
    let gap = "| pm | change_orders | 1 | not_evaluated | pm1.orders of project 1 is forbidden |";
    assert_eq!(ask(&session, told).await, format!("| pm | change_orders | | read | |\n{gap}\n{projects}"));
    // The day before it was read, and still is.
    session.sql("set tieout.as_of = 'commit:1'").await.unwrap();
    assert_eq!(ask(&session, told).await, format!("| pm | change_orders | | read | |\n{projects}"));
}

#[tokio::test]
async fn moments_that_mean_nothing_say_why() {
    let firm = two_days().await;
    let session = firm.session().await;
    for (sql, expected) in [
        ("select * from as_of('pm.change_orders', 'FY2025')", "there is no pin of that name"),
        ("select * from as_of('pm.change_orders', 'commit:9')", "commit 9 does not exist: the newest is 2"),
        ("select * from as_of('pm.change_orders', '2020-01-01')", "nothing was known yet"),
        ("select * from as_of('pm.change_orders', '31.12.2025')", "it is no date"),
        ("select * from as_of('pm.change_order', 1)", "did you mean `pm.change_orders`?"),
        ("select * from as_of('pmm.change_orders', 1)", "failed to resolve schema"),
        ("select * from as_of('pm.change_orders')", "as_of takes a table and a moment"),
        ("select * from as_of('pm.change_orders', 1, 'soon')", "is no date"),
        ("select * from as_of('pm.change_orders', true)", "is no moment"),
        ("select * from as_of(1, 1)", "named by a text"),
        ("select * from changes('pm.change_orders', 1)", "changes takes a table and two moments"),
        ("select * from changes('history.pm1_orders', 1, 2)", "it has a column _op already"),
        ("select * from changes('pm.change_orders', '2020-01-01', 2)", "nothing was known yet"),
    ] {
        let found = refusal(&session, sql).await;
        assert!(found.contains(expected), "{sql}: {found}");
    }
    let empty = Firm::new(definitions(&[]), settings()).await;
    let session = empty.session().await;
    assert_eq!(ask(&session, "select count(*) from pm.change_orders").await, "| 0 |");
    assert!(refusal(&session, "select * from as_of('pm.projects', '2026-01-01')").await.contains("has no commit yet"));
}

/// Histories at random: every moment read three ways is the same, and the changes between any two lead from one to the other.
#[tokio::test]
async fn every_way_of_reading_a_moment_agrees() {
    const TABLES: [(&str, &str); 4] = [
        ("pm1.orders", "_key"),
        ("pm.change_orders", "record_id"),
        ("recon.change_order_stuck", "exception_key"),
        ("link.change_orders", "pm_id"),
    ];
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    let mut firm = Firm::new(definitions(&[]), settings()).await;
    for _ in 0..4 {
        let mut orders = Vec::new();
        let mut erp = Vec::new();
        for id in ["a", "b", "c", "d", "e"] {
            if random.random_bool(0.7) {
                let status = if random.random_bool(0.6) { "approved" } else { "pending" };
                orders.push((id, if random.random_bool(0.5) { "1" } else { "2" }, random.random_range(1..4), status));
            }
            if random.random_bool(0.4) {
                erp.push(id);
            }
        }
        firm.day(&orders, &erp, &[("1", OK), ("2", OK)]).await;
    }
    let session = firm.session().await;
    for (table, key) in TABLES {
        let mut moments = Vec::new();
        for commit in 1..=4 {
            let request = SessionRequest { as_of: Some(format!("commit:{commit}")), ..SessionRequest::default() };
            let there = firm.engine.session(&request).await.unwrap();
            let expected = rows(&there, &format!("select * from {table}"), key).await;
            let found = rows(&session, &format!("select * from as_of('{table}', {commit})"), key).await;
            assert_eq!(found, expected, "{table} as of {commit}");
            moments.push(expected);
        }
        for (from, before) in (1..).zip(&moments) {
            for (to, after) in (1..).zip(&moments) {
                let changes = rows(&session, &format!("select * from changes('{table}', {from}, {to})"), key).await;
                assert_eq!(&applied(before, &changes), after, "{table} from {from} to {to}");
                let touched = before.keys().chain(after.keys()).filter(|key| before.get(*key) != after.get(*key));
                let touched: std::collections::BTreeSet<&String> = touched.collect();
                assert_eq!(
                    changes.keys().collect::<std::collections::BTreeSet<_>>(),
                    touched,
                    "{table} from {from} to {to}"
                );
            }
        }
    }
}

/// Rows with changes applied; what a change tells of its fields is held against the rows.
fn applied(before: &Rows, changes: &Rows) -> Rows {
    let mut after = before.clone();
    for (key, change) in changes {
        let mut row = change.clone();
        row.retain(|name, _| {
            !["_op", "_changed", "_from_commit", "_from_at", "_to_commit", "_to_at"].contains(&name.as_str())
        });
        let old = match change["_op"].as_str().unwrap() {
            "D" => {
                assert_eq!(after.remove(key), Some(row));
                continue;
            }
            "I" => {
                assert!(!after.contains_key(key));
                None
            }
            _ => after.get(key).cloned(),
        };
        if let Some(old) = old {
            let told: Map<String, Value> = serde_json::from_str(change["_changed"].as_str().unwrap()).unwrap();
            for (field, sides) in told.iter().filter(|(field, _)| !field.starts_with("_raw")) {
                assert_eq!((&old[field], &row[field]), (&sides["from"], &sides["to"]), "{key} {field}");
            }
        }
        after.insert(key.clone(), row);
    }
    after
}

#[test]
fn a_day_ends_in_the_firms_zone() {
    let day = chrono::NaiveDate::from_ymd_opt(2025, 12, 31).unwrap();
    let end = crate::engine::options::end_of_day(day, chrono_tz::America::Chicago).unwrap();
    assert_eq!(end.to_rfc3339(), "2026-01-01T05:59:59.999999+00:00");
}
