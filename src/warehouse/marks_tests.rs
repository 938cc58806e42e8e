//! Pins, sign-offs and the months' commits over chains of small runs.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::commit::{ColumnTotals, Commit, CommitKind, FORMAT, Head, Pin, SourceRun, TableCommit};
use super::marks::{MomentError, NewPin, Signoff};
use super::testing::{commit, input};
use super::{AsOf, Error, Warehouse};
use crate::clock::{Clock, SharedClock};

const CHICAGO: Tz = chrono_tz::America::Chicago;

fn moment(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn new_pin(name: &str, as_of: AsOf) -> NewPin {
    NewPin { name: name.to_owned(), as_of, period_end: None }
}

fn clock() -> Clock {
    Clock::Shared(SharedClock::new(moment("2026-11-01T11:00:00Z")))
}

async fn empty() -> (tempfile::TempDir, Warehouse) {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::open_or_create(folder.path().to_str().unwrap()).await.unwrap();
    (folder, warehouse)
}

#[tokio::test]
async fn a_pin_names_a_commit_for_ever() {
    let (folder, warehouse) = empty().await;
    let refused = warehouse.pin(&new_pin("FY2025", AsOf::Latest), &clock()).await.unwrap_err();
    assert!(matches!(refused, Error::Moment(MomentError::Empty { .. })), "{refused}");
    commit(&warehouse, input(&[("a", "1", 1)], &["1"])).await;
    commit(&warehouse, input(&[("a", "1", 2)], &["1"])).await;
    let end = Some(date("2025-12-31"));
    let new = NewPin { period_end: end, ..new_pin("FY2025", AsOf::Commit(1)) };
    let made = warehouse.pin(&new, &clock()).await.unwrap();
    assert_eq!((made.number, made.kind, made.tables.len()), (3, CommitKind::Pin, 0));
    // Another process reads the same from the disk.
    let other = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap();
    let head = other.head().await.unwrap();
    let resolved = |text: &str| head.at(&AsOf::parse(text, CHICAGO).unwrap()).map(|commit| commit.number);
    assert_eq!(resolved("FY2025").unwrap(), 1);
    let pin = head.pin("FY2025").unwrap();
    assert_eq!((pin.period_end, pin.manifest.as_str()), (end, head.manifest_digest(1).unwrap()));
    assert_eq!(head.commits[1].parent, pin.manifest);
    // The data is no newer for being named.
    assert_eq!(made.observed_at, head.commits[1].observed_at);
    // A pin of the newest commit, which is a pin, names what that one stands on.
    warehouse.pin(&new_pin("now-ish", AsOf::Latest), &clock()).await.unwrap();
    assert_eq!(warehouse.head().await.unwrap().pin("now-ish").unwrap().commit, 2);
    for (name, expected) in [("FY2025", "is taken"), ("fy2025", "is taken"), ("2025", "no number"), ("a b", "letters")]
    {
        let refused = warehouse.pin(&new_pin(name, AsOf::Latest), &clock()).await.unwrap_err().to_string();
        assert!(refused.contains(expected) && refused.contains(name), "{refused}");
    }
    assert_eq!(warehouse.head().await.unwrap().number(), 4);
    let unknown = |text: &str| resolved(text).unwrap_err().to_string();
    assert!(unknown("FY2026").contains("did you mean `FY2025`?"), "{}", unknown("FY2026"));
    assert!(unknown("year-end").contains("meta.pins"), "{}", unknown("year-end"));
    assert!(unknown("commit:9").contains("commit 9 does not exist"), "{}", unknown("commit:9"));
    assert!(unknown("1999-12-31").contains("nothing was known yet"), "{}", unknown("1999-12-31"));
}

#[tokio::test]
async fn two_who_pin_at_once_both_get_their_name_or_one_is_refused() {
    let (_folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "1", 1)], &["1"])).await;
    let (clock, same) = (clock(), new_pin("same", AsOf::Latest));
    let (first, second, third) = tokio::join!(warehouse.pin(&same, &clock), warehouse.pin(&same, &clock), async {
        warehouse.pin(&new_pin("other", AsOf::Latest), &clock).await
    });
    assert!(first.is_ok() != second.is_ok());
    third.unwrap();
    let head = warehouse.head().await.unwrap();
    let mut names: Vec<&str> = head.pins(head.number()).map(|(_, pin)| pin.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["other", "same"]);
}

#[tokio::test]
async fn a_signoff_is_bound_to_the_manifest_that_it_saw() {
    let (_folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "1", 1)], &["1"])).await;
    let month = date("2026-10-01");
    let sign = |head: &Head| {
        let manifest = head.manifest_digest(1).unwrap().to_owned();
        Ok(Signoff { month, by: "Ada".to_owned(), commit: 1, manifest, open_exceptions: 3, unevaluated_checks: 0 })
    };
    let made = warehouse.sign_off(&clock(), sign).await.unwrap();
    assert_eq!((made.number, made.kind), (2, CommitKind::Signoff));
    assert_eq!(made.signoff.as_ref().unwrap().manifest, made.parent);
    let head = warehouse.head().await.unwrap();
    assert_eq!(head.signoffs(1).count(), 0);
    assert_eq!(head.signoffs(2).next().unwrap().1.by, "Ada");
}

/// A read of a source: when, which tables, which of them not completely.
type Read<'a> = (&'a str, &'a str, &'a [&'a str], &'a [&'a str]);

fn table(source: &str, table: &str) -> TableCommit {
    TableCommit {
        source: source.to_owned(),
        table: table.to_owned(),
        columns: Vec::new(),
        schema_fingerprint: String::new(),
        inserted: 0,
        updated: 0,
        deleted: 0,
        rows: 0,
        control_totals: ColumnTotals::default(),
        changes: Vec::new(),
        changes_totals: ColumnTotals::default(),
        projected_anew: false,
        state: Vec::new(),
        cursor: None,
        held_back: None,
    }
}

fn read((at, source, tables, incomplete): &Read<'_>) -> Commit {
    let at = moment(at);
    let run = SourceRun {
        source: (*source).to_owned(),
        system: (*source).to_owned(),
        started_at: at,
        finished_at: at,
        observed_at: at,
        requests: 0,
        retries: 0,
        waited_seconds: 0,
        // `c` is never anything but an unverified empty list, which holds no month up.
        incomplete_tables: incomplete.iter().chain(&["c"]).map(|name| (*name).to_owned()).collect(),
        unread_tables: Some(incomplete.iter().map(|name| (*name).to_owned()).collect()),
        hash_key_mark: None,
    };
    Commit {
        format: FORMAT,
        warehouse_id: String::new(),
        number: 0,
        parent: String::new(),
        kind: CommitKind::Extract,
        committed_at: at + TimeDelta::minutes(10),
        observed_at: at,
        clock_is_given: true,
        tool_version: String::new(),
        definitions: String::new(),
        runs: vec![run],
        tables: tables.iter().map(|name| table(source, name)).collect(),
        dropped_states: Vec::new(),
        rebuilt_states: Vec::new(),
        pin: None,
        waiver: None,
        signoff: None,
    }
}

fn chain(commits: impl IntoIterator<Item = Commit>) -> Head {
    let numbered = commits.into_iter().zip(1..).map(|(commit, number)| Arc::new(Commit { number, ..commit }));
    Head { commits: numbered.collect(), ..Head::default() }
}

/// Month, commit, closed.
fn told(head: &Head, upto: u64) -> Vec<(String, Option<u64>, bool)> {
    let months = head.months(upto, CHICAGO);
    months.into_iter().map(|it| (it.month.format("%Y-%m").to_string(), it.commit, it.is_closed)).collect()
}

fn month(text: &str, commit: u64, is_closed: bool) -> (String, Option<u64>, bool) {
    (text.to_owned(), Some(commit), is_closed)
}

#[test]
fn a_month_waits_for_every_table_of_every_source() {
    let (both, none): (&[&str], &[&str]) = (&["a", "b", "c"], &[]);
    let head = chain(
        [
            ("2026-08-15T06:00:00Z", "pm", both, none),
            ("2026-08-15T07:00:00Z", "erp", both, none),
            // In Chicago it is still August.
            ("2026-09-01T04:59:59Z", "pm", both, none),
            ("2026-09-01T05:30:00Z", "erp", both, none),
            ("2026-09-02T06:00:00Z", "pm", both, &["b"]),
            ("2026-09-03T06:00:00Z", "pm", &["b", "c"], none),
            ("2026-09-20T06:00:00Z", "erp", both, none),
        ]
        .iter()
        .map(read),
    );
    // Until the sixth commit b of pm was not read completely since August ended; a had been, by the fifth.
    assert_eq!(told(&head, 3), [month("2026-08", 3, false)]);
    assert_eq!(told(&head, 5), [month("2026-08", 4, false), month("2026-09", 5, false)]);
    assert_eq!(told(&head, 6), [month("2026-08", 6, true), month("2026-09", 6, false)]);
    assert_eq!(told(&head, 7), [month("2026-08", 6, true), month("2026-09", 7, false)]);
    assert_eq!(told(&head, 0), []);
}

#[test]
fn a_source_that_was_switched_off_holds_no_later_month() {
    let (tables, none): (&[&str], &[&str]) = (&["a"], &[]);
    let head = chain(
        [
            ("2026-01-10T12:00:00Z", "pm", tables, none),
            ("2026-01-10T13:00:00Z", "old", tables, none),
            ("2026-02-01T12:00:00Z", "pm", tables, none),
            ("2026-02-01T13:00:00Z", "old", tables, none),
            ("2026-03-01T12:00:00Z", "pm", tables, none),
            ("2026-04-01T12:00:00Z", "pm", tables, none),
        ]
        .iter()
        .map(read),
    );
    // February saw the old system, so that it ends unclosed: the first commit after its end stands for it.
    let expected =
        [month("2026-01", 4, true), month("2026-02", 5, false), month("2026-03", 6, true), month("2026-04", 6, false)];
    assert_eq!(told(&head, 6), expected);
}

#[test]
fn a_pin_is_the_months_commit_from_when_it_was_made() {
    let (tables, none): (&[&str], &[&str]) = (&["a"], &[]);
    let mut commits: Vec<Commit> = [
        ("2026-10-20T12:00:00Z", "pm", tables, none),
        ("2026-11-01T12:00:00Z", "pm", tables, none),
        ("2026-11-05T12:00:00Z", "pm", tables, none),
    ]
    .iter()
    .map(read)
    .collect();
    let pin = |name: &str, commit, end: &str| {
        let pin = Pin { name: name.to_owned(), commit, manifest: String::new(), period_end: Some(date(end)) };
        Commit { kind: CommitKind::Pin, runs: Vec::new(), pin: Some(pin), ..commits[2].clone() }
    };
    let pins = [pin("OCT", 3, "2026-10-31"), pin("mid", 1, "2026-10-30"), pin("OCT-2", 1, "2026-10-31")];
    commits.extend(pins);
    let head = chain(commits);
    assert_eq!(told(&head, 3)[0], month("2026-10", 2, true));
    assert_eq!(told(&head, 4)[0], month("2026-10", 3, true));
    assert_eq!(told(&head, 5)[0], month("2026-10", 3, true));
    assert_eq!(told(&head, 6)[0], month("2026-10", 1, true));
    assert_eq!(head.months(6, CHICAGO)[0].pin.as_deref(), Some("OCT-2"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Two sources with two tables each, read at random hours over half a year: by the definition, word for word.
    #[test]
    fn a_closed_months_commit_is_the_definitions_and_stays(
        reads in proptest::collection::vec((1_i64..200, any::<bool>(), any::<[bool; 2]>(), any::<[bool; 2]>()), 1..40)
    ) {
        let mut at = moment("2026-01-01T06:00:00Z");
        let mut commits = Vec::new();
        for (hours, is_pm, looked, incomplete) in &reads {
            at += TimeDelta::hours(*hours);
            let pick = |flags: &[bool; 2]| {
                ["a", "b"].into_iter().zip(flags).filter_map(|(name, flag)| flag.then_some(name)).collect::<Vec<_>>()
            };
            let (source, tables, incomplete) = (if *is_pm { "pm" } else { "erp" }, pick(looked), pick(incomplete));
            commits.push(read(&(&at.to_rfc3339(), source, &tables, &incomplete)));
        }
        let head = chain(commits);
        let newest = head.number();
        for upto in 0..=newest {
            for found in head.months(upto, CHICAGO) {
                let start = super::end_of_day(found.month.pred_opt().unwrap(), CHICAGO).unwrap();
                let next = found.month.checked_add_months(chrono::Months::new(1)).unwrap();
                let end = super::end_of_day(next.pred_opt().unwrap(), CHICAGO).unwrap();
                // As of a commit: every table looked at since the month began has a complete read after the month's end.
                let is_complete = |commit: u64| {
                    let mut counting = 0;
                    let mut complete = 0;
                    for (source, name) in [("pm", "a"), ("pm", "b"), ("erp", "a"), ("erp", "b")] {
                        let of = |commit: &&Arc<Commit>| {
                            commit.runs[0].source == source && commit.tables.iter().any(|table| table.table == name)
                        };
                        let looked: Vec<_> = head.commits.iter().filter(|it| it.number <= commit).filter(of).collect();
                        counting += usize::from(looked.iter().any(|it| it.observed_at > start));
                        complete += usize::from(looked.iter().any(|it| {
                            it.observed_at > end && !it.runs[0].unread().iter().any(|table| table == name)
                        }));
                    }
                    counting > 0 && counting == complete
                };
                let expected = (1..=upto).find(|commit| is_complete(*commit));
                prop_assert_eq!(found.is_closed, expected.is_some(), "{} as of {}", found.month, upto);
                if expected.is_some() {
                    prop_assert_eq!(found.commit, expected);
                    let later = head.months(newest, CHICAGO);
                    prop_assert!(later.contains(&found), "{found:?} is not in {later:?}");
                }
            }
        }
    }
}
