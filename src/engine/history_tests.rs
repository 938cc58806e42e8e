//! Random lives of a firm: every moment reads the same from a state, from changes alone and out of its history.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::SessionRequest;
use super::tests::{Firm, OK, ask, definitions, settings};
use crate::clock::Clock;
use crate::warehouse::{Limits, Retention, VacuumOptions};

/// A few rows a file: most commits change more than one.
const SMALL: Limits = Limits { sort_bytes: 1 << 20, file_rows: 2, file_bytes: usize::MAX };
const IDS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// What is read as of every commit, each in an order of its own.
const READ: [&str; 4] = [
    "select _key, _scope, amount, status, _hash, _commit from pm1.orders order by 1",
    "select record_id, project_id, amount, approval_status from pm.change_orders order by 1",
    "select exception_key, pm_id, amount_at_risk from recon.change_order_stuck order by 1",
    "select check_id, exception_key, state, opened_commit, _commit from system.exceptions order by 1, 2",
];
/// A table as of a commit, and the same out of its history: versions that were there then, whatever the session's moment.
const HISTORIES: [(&str, &str); 2] = [
    ("pm1.orders", "_key, id, project, amount, status, _commit"),
    ("system.exceptions", "_key, check_id, exception_key, state, amount_at_risk, _commit"),
];

/// Some days, at times the first one on which records are hashed under another key. Gives back how many commits there are.
async fn live(firm: &mut Firm, random: &mut StdRng) -> u64 {
    let days = random.random_range(4..8);
    for day in 1..=days {
        let mut orders = Vec::new();
        for id in IDS {
            if random.random_bool(0.75) {
                let status = if random.random_bool(0.7) { "approved" } else { "pending" };
                orders.push((id, if random.random_bool(0.7) { "1" } else { "2" }, random.random_range(1..4), status));
            }
        }
        let erp: Vec<&str> = IDS.into_iter().filter(|_| random.random_bool(0.3)).collect();
        firm.day(&orders, &erp, &[("1", OK), ("2", OK)]).await;
        if day == days / 2 {
            let same = orders.iter().filter(|order| order.1 == "1" && order.3 == "approved");
            let same: Vec<(&str, i128)> = same.map(|order| (order.0, order.2)).collect();
            firm.rekeyed_day(&same).await;
        }
    }
    days + 1
}

/// Every table as of every commit.
async fn moments(firm: &Firm, commits: u64) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for commit in 1..=commits {
        let request = SessionRequest { as_of: Some(format!("commit:{commit}")), ..SessionRequest::default() };
        let session = firm.engine.session(&request).await.unwrap();
        let mut rows = Vec::new();
        for sql in READ {
            rows.push(ask(&session, sql).await);
        }
        found.push(rows);
    }
    found
}

/// Holds every moment against the history as the newest commit tells it.
async fn compare_with_history(firm: &Firm, commits: u64, seed: u64) {
    let session = firm.session().await;
    for (table, columns) in HISTORIES {
        let (source, name) = table.split_once('.').unwrap();
        let source = if source == "system" { "tieout" } else { source };
        for commit in 1..=commits {
            let then = format!("select {columns} from as_of('{table}', {commit}) order by 1");
            let versions = format!(
                "with moment as (select committed_at from meta.commits where commit_number = {commit}) \
                 select {columns} from history.{source}_{name} cross join moment \
                 where valid_from <= moment.committed_at and _op <> 'D' \
                 and (valid_to is null or valid_to > moment.committed_at) order by 1"
            );
            let (then, versions) = (ask(&session, &then).await, ask(&session, &versions).await);
            assert_eq!(versions, then, "seed {seed}: {table} as of {commit}");
        }
    }
}

async fn scenario(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut firm = Firm::with_limits(definitions(&[]), settings(), SMALL).await;
    let commits = live(&mut firm, &mut random).await;
    let kept = moments(&firm, commits).await;
    compare_with_history(&firm, commits, seed).await;
    let head = firm.engine.refresh().await.unwrap();
    assert!(head.history(commits, "pm1", "orders").len() > head.commits.len(), "seed {seed}: one file a commit");
    let retention = Retention { days: 0, ..Retention::new(chrono_tz::Tz::UTC) };
    let options = VacuumOptions { retention, safety: chrono::TimeDelta::zero(), dry_run: false };
    let clock = Clock::Shared(firm.clock.clone());
    let vacuum = firm.engine.warehouse().vacuum(&options, &clock).await.unwrap();
    assert!(!vacuum.dropped.is_empty(), "seed {seed}: no state was dropped");
    assert_eq!(moments(&firm, commits).await, kept, "seed {seed}");
    compare_with_history(&firm, commits, seed).await;
    // What one reading lacks of another is what changes() tells, from files kept and from files folded.
    let session = firm.session().await;
    for from in 1..=commits {
        let gone = format!(
            "select count(*) from as_of('pm1.orders', {from}) as then where not exists \
             (select 1 from pm1.orders as now where now._key = then._key and (now._commit = then._commit \
             or (now._hash = then._hash and now._scope = then._scope)))"
        );
        let told = format!("select count(*) from changes('pm1.orders', {from}, 'latest') where _op <> 'I'");
        let (gone, told) = (ask(&session, &gone).await, ask(&session, &told).await);
        assert_eq!(told, gone, "seed {seed}: since {from}");
    }
}

#[tokio::test]
async fn every_moment_reads_the_same_with_states_and_without() {
    let seeds = std::env::var("TIEOUT_CRASH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    for seed in 0..seeds {
        scenario(seed).await;
    }
}

#[tokio::test]
async fn another_key_is_no_change_of_a_canonical_row() {
    let canonical = "[common]\ncolumns = { source = \"text\", record_id = \"text\" }\n[projects]\ngrain = \"one job\"\n\
                     columns = { number = \"text\" }\n[change_orders]\ngrain = \"one change order\"\n\
                     columns = { project_id = \"text\", amount = \"amount\", approval_status = \"text\", \
                     approved_at = \"timestamp\", approved_at_basis = \"text\", tax_id_hash = \"text\" }\n";
    let mapping = "select id as record_id, project as project_id, amount, status as approval_status, _hash as tax_id_hash \
                   from source.orders";
    let more = [("queries/canonical.toml", canonical), ("extractors/pmx/canonical/change_orders.sql", mapping)];
    let mut firm = Firm::with_limits(definitions(&more), settings(), SMALL).await;
    firm.day(&[("a", "1", 700, "approved"), ("b", "1", 100, "approved")], &[], &[("1", OK)]).await;
    firm.day(&[("a", "1", 700, "approved"), ("b", "1", 300, "approved")], &[], &[("1", OK)]).await;
    firm.rekeyed_day(&[("a", 700), ("b", 400)]).await;
    let session = firm.session().await;
    let changes = async |from: u64, to: u64| {
        let fields = "_op, record_id, _changed -> 'amount' is not null, _changed -> 'tax_id_hash' is not null";
        ask(&session, &format!("select {fields} from changes('pm.change_orders', {from}, {to}) order by 2")).await
    };
    // Under one key a hash that differs is a change; under two it says nothing.
    assert_eq!(changes(1, 2).await, "| U | b | true | true |");
    assert_eq!(changes(2, 3).await, "| U | b | true | false |");
    assert_eq!(changes(1, 3).await, "| U | b | true | false |");
    let clocks =
        "select then.key_rotation_count, now.key_rotation_count from as_of('meta.clock', 2) as then, meta.clock as now";
    assert_eq!(ask(&session, clocks).await, "| 0 | 1 |");
    assert_eq!(ask(&session, "select count(*) from history.pm1_orders where _key = 'a'").await, "| 1 |");
}
