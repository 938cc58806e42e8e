//! Replays the present rules over past commits: what they would have found then, beside what was found.
//!
//! Commits that judged are judged again in their order, each on what the replay found before it. Kept, the result is a commit
//! of kind `recheck`: `check_runs` of the past once more, the lives of exceptions as intervals in `rechecked`, and the
//! present's exceptions. Invariants: nothing that was evaluated before is touched, so that as of an earlier commit one sees
//! what had been evaluated by then; what is kept is what was shown, or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, Utc};

use crate::clock::Clock;
use crate::engine::cells::{Cell, Row, batch_of, rows_of, system_input};
use crate::engine::evaluate::{Before, EXCEPTION_KEY, judge, state};
use crate::engine::layout::system_columns;
use crate::engine::waivers::{Waivers, amount, text};
use crate::engine::{Engine, Error};
use crate::warehouse::commit::{Commit, CommitKind, Head};
use crate::warehouse::rows::SYSTEM_SOURCE;
use crate::warehouse::{AsOf, CommitHeader, Error as WarehouseError, end_of_day};

/// What the present rules say of a check otherwise than was said, in the commits of a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Exceptions that had not been found.
    pub opened: usize,
    /// Exceptions that are none any more.
    pub closed: usize,
    /// Exceptions with another amount, state, side or cause.
    pub changed: usize,
    /// The amount at risk at the month's last commit as it was found, in hundredths.
    pub amount_before: i128,
    /// The same, as the present rules find it.
    pub amount_after: i128,
}

/// The past judged by the present rules. Nothing is kept yet.
#[derive(Debug)]
pub struct Recheck {
    /// The commits that were judged again, oldest first.
    pub commits: Vec<u64>,
    /// By month and check, where anything differs.
    pub differences: BTreeMap<(NaiveDate, String), Difference>,
    /// Checks that could not be judged anywhere, with the reason.
    pub silent: BTreeMap<String, String>,
    head: Arc<Head>,
    runs: Vec<Row>,
    intervals: Vec<Row>,
    present: Vec<Row>,
}

/// A version of an exception and the commit from which it stands.
type Standing = BTreeMap<Key, (u64, Row)>;
/// Check, version, exception.
type Key = (String, i64, String);

impl Engine {
    /// Judges the commits from a moment on again, by the present rules.
    pub async fn recheck(&self, since: &str) -> Result<Recheck, Error> {
        let head = self.refresh().await?;
        let zone = self.blueprint.settings.time_zone;
        let commits = replayed(&head, since, zone)?;
        let Some(first) = commits.first() else {
            let reason = format!("no commit since {since} was judged\nhint: `tieout log` lists the commits");
            return Err(Error::Recheck { reason });
        };
        let before = first.number.saturating_sub(1);
        let mut exceptions = self.warehouse.read_state(&head, before, SYSTEM_SOURCE, "exceptions").await?;
        let mut found = Recheck {
            commits: commits.iter().map(|commit| commit.number).collect(),
            differences: BTreeMap::new(),
            silent: BTreeMap::new(),
            head: Arc::clone(&head),
            runs: Vec::new(),
            intervals: Vec::new(),
            present: Vec::new(),
        };
        let columns = system_columns("exceptions");
        let mut standing = Standing::new();
        let mut told: BTreeMap<(NaiveDate, String), [BTreeSet<Key>; 3]> = BTreeMap::new();
        for commit in &commits {
            let number = commit.number;
            let session = self.replayed_session(&self.judge, &head, commit);
            let waivers = state(self, &head, number.saturating_sub(1), "waivers").await?;
            let before = Before { exceptions, waivers };
            let mut now = Vec::new();
            let keep = &mut |found: Vec<Row>| {
                now.extend(found);
                Ok(())
            };
            let judged = judge(self, &session, (&head, number), commit.observed_at, before, keep).await?;
            self.judge.forget().await;
            let month = month(commit.observed_at, zone);
            let stored = state(self, &head, number, "exceptions").await?;
            compare(&stored, &now, month, &mut told);
            found.weigh(&stored, &now, month);
            advance(&mut standing, &now, number, &mut found.intervals);
            for check in &judged.evaluation.checks {
                if let Some(error) = &check.error {
                    found.silent.insert(check.check.clone(), error.clone());
                }
            }
            found.runs.extend(judged.runs);
            exceptions = vec![batch_of(&now, &columns)?];
        }
        for (place, [opened, closed, changed]) in told {
            let difference = found.differences.entry(place).or_default();
            (difference.opened, difference.closed, difference.changed) = (opened.len(), closed.len(), changed.len());
        }
        found.differences.retain(|_, difference| difference.is_any());
        found.intervals.extend(standing.into_values().map(|(from, row)| interval(row, from, None)));
        // Waivers that were decided since the last commit that judged count for the present.
        let waivers = state(self, &head, head.number(), "waivers").await?;
        let observed_at = head.last().map_or_else(Utc::now, |last| last.observed_at);
        found.present = rows_of(&exceptions, &columns)?;
        Waivers::new(waivers, &self.blueprint.settings, observed_at).settle(&mut found.present);
        Ok(found)
    }

    /// Keeps what was found as a commit beside what was evaluated before. Another commit in between is a conflict.
    pub async fn keep(&self, found: &Recheck, clock: &Clock) -> Result<Arc<Commit>, Error> {
        let last = found.head.last().map(Arc::clone);
        let last = last.ok_or_else(|| Error::Recheck { reason: "the warehouse has no commit yet".to_owned() })?;
        let definitions = self.warehouse.put_definitions(&self.blueprint.definitions.to_json()).await?;
        let at = last.observed_at;
        let header = CommitHeader { kind: CommitKind::Recheck, clock, definitions, runs: Vec::new(), observed_at: at };
        let mut prepared = self.warehouse.prepare(header).await?;
        let number = prepared.number();
        if prepared.base().number() != found.head.number() {
            return Err(WarehouseError::Conflict { number: found.head.number() + 1 }.into());
        }
        prepared.add(system_input("exceptions", &EXCEPTION_KEY, &found.present, at)?).await?;
        prepared.add(system_input("check_runs", &[], &found.runs, at)?).await?;
        prepared.add(system_input("rechecked", &[], &found.intervals, at)?).await?;
        let head = self.warehouse.publish(prepared).await?;
        let made = head.commit(number).map(Arc::clone);
        made.ok_or(Error::Warehouse(WarehouseError::UnknownCommit { number, newest: head.number() }))
    }
}

impl Difference {
    fn is_any(&self) -> bool {
        self.opened + self.closed + self.changed > 0
    }
}

impl Recheck {
    /// What is at risk at a month's last commit: later commits of the month take the place of earlier ones.
    fn weigh(&mut self, stored: &[Row], now: &[Row], month: NaiveDate) {
        let mut sums: BTreeMap<String, (i128, i128)> = BTreeMap::new();
        for (rows, is_now) in [(stored, false), (now, true)] {
            let counts = |row: &&Row| text(row, "state") == Some("open") && text(row, "explained_by").is_none();
            for row in rows.iter().filter(counts) {
                let sum = sums.entry(text(row, "check_id").unwrap_or_default().to_owned()).or_default();
                let part = if is_now { &mut sum.1 } else { &mut sum.0 };
                *part += amount(row, "amount_at_risk").unwrap_or_default();
            }
        }
        for (check, (before, after)) in sums {
            let difference = self.differences.entry((month, check)).or_default();
            (difference.amount_before, difference.amount_after) = (before, after);
        }
    }
}

/// The commits that judged, from the one that `since` names on. A day begins with its first moment.
fn replayed(head: &Head, since: &str, zone: chrono_tz::Tz) -> Result<Vec<Arc<Commit>>, Error> {
    let as_of = AsOf::parse(since, zone)?;
    let is_run = |commit: &&Arc<Commit>| {
        let is_one = |table: &crate::warehouse::commit::TableCommit| {
            table.source == SYSTEM_SOURCE && table.table == "check_runs" && table.rows > 0
        };
        commit.kind == CommitKind::Extract && commit.tables.iter().any(is_one)
    };
    let day: Option<NaiveDate> = since.trim().parse().ok();
    let starts = day.and_then(|day| end_of_day(day.pred_opt()?, zone));
    let is_since = |commit: &Arc<Commit>| match (&as_of, starts) {
        (_, Some(starts)) => Ok(commit.committed_at > starts),
        (AsOf::At(at), None) => Ok(commit.committed_at >= *at),
        (other, None) => head.at(other).map(|named| commit.number >= named.number),
    };
    let mut commits = Vec::new();
    for commit in head.commits.iter().filter(is_run) {
        if is_since(commit)? {
            commits.push(Arc::clone(commit));
        }
    }
    Ok(commits)
}

fn month(at: DateTime<Utc>, zone: chrono_tz::Tz) -> NaiveDate {
    let day = at.with_timezone(&zone).date_naive();
    day.with_day(1).unwrap_or(day)
}

fn key(row: &Row) -> Key {
    let word = |name| text(row, name).unwrap_or_default().to_owned();
    let version = row.get("check_version").and_then(Cell::as_integer).unwrap_or_default();
    (word("check_id"), version, word("exception_key"))
}

/// Notes what differs at one commit. Another version of a check has the same exceptions, if it finds the same.
fn compare(
    stored: &[Row],
    now: &[Row],
    month: NaiveDate,
    told: &mut BTreeMap<(NaiveDate, String), [BTreeSet<Key>; 3]>,
) {
    let unversioned = |row: &Row| {
        let (check, _, exception) = key(row);
        (check, 0, exception)
    };
    let before: BTreeMap<Key, &Row> = stored.iter().map(|row| (unversioned(row), row)).collect();
    let after: BTreeMap<Key, &Row> = now.iter().map(|row| (unversioned(row), row)).collect();
    let mut note = |key: &Key, kind: usize| {
        let sets = told.entry((month, key.0.clone())).or_default();
        if let Some(set) = sets.get_mut(kind) {
            set.insert(key.clone());
        }
    };
    for (key, row) in &after {
        match before.get(key) {
            None => note(key, 0),
            Some(old) if !is_same(old, row) => note(key, 2),
            Some(_) => {}
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        note(key, 1);
    }
}

/// Whether two findings say the same. When they were first seen, and under which version, is no part of it.
fn is_same(one: &Row, other: &Row) -> bool {
    let said = ["amount_at_risk", "currency", "state", "pm_value", "erp_value", "cause", "explained_by", "fix_side"];
    said.into_iter().all(|name| one[name] == other[name])
}

/// Ends the intervals of what changed or is gone at a commit, and begins those of what is new.
fn advance(standing: &mut Standing, now: &[Row], number: u64, intervals: &mut Vec<Row>) {
    let found: BTreeMap<Key, &Row> = now.iter().map(|row| (key(row), row)).collect();
    let ended: Vec<Key> =
        standing.iter().filter(|(key, (_, row))| found.get(*key) != Some(&row)).map(|(key, _)| key.clone()).collect();
    for key in ended {
        if let Some((from, row)) = standing.remove(&key) {
            intervals.push(interval(row, from, Some(number)));
        }
    }
    for (key, row) in found {
        standing.entry(key).or_insert_with(|| (number, row.clone()));
    }
}

fn interval(mut row: Row, from: u64, until: Option<u64>) -> Row {
    let number = |number: u64| Cell::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    row.insert("from_commit", number(from));
    row.insert("until_commit", until.map_or(Cell::Null, number));
    row
}
