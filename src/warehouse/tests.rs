//! The warehouse as its callers meet it: commits on a temporary folder.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use chrono::Datelike;
use tempfile::TempDir;

use super::rows::{ColumnType, CoverageStatus, ReadMode, TableInput};
use super::testing::{Dying, Plain, at, bills, commit, coverage, input, plain, prepare, prepare_at};
use super::{AsOf, Error, Warehouse, coverage_input, rejects_input};
use crate::clock::Clock;

pub(super) async fn empty() -> (TempDir, Warehouse) {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::open_or_create(folder.path().to_str().unwrap()).await.unwrap();
    (folder, warehouse)
}

fn owned(rows: &[(&str, &str, i128, i64)]) -> Vec<(String, String, i128, i64)> {
    rows.iter().map(|row| (row.0.to_owned(), row.1.to_owned(), row.2, row.3)).collect()
}

#[tokio::test]
async fn opening_finds_creates_and_refuses() {
    let (folder, warehouse) = empty().await;
    let path = folder.path().to_str().unwrap();
    let again = Warehouse::open_or_create(&format!("file://{path}")).await.unwrap();
    assert_eq!(again.id(), warehouse.id());
    assert!(matches!(Warehouse::open(&format!("{path}/none")).await, Err(Error::NotFound { .. })));
    assert!(matches!(Warehouse::open("ftp://bucket/x").await, Err(Error::UnsupportedStore { .. })));
    assert_eq!(warehouse.head().await.unwrap().number(), 0);
}

#[tokio::test]
async fn rows_come_change_go_and_come_back() {
    let (_folder, warehouse) = empty().await;
    let first = commit(&warehouse, input(&[("a", "1", 100), ("b", "1", 250), ("c", "2", -50)], &["1", "2"])).await;
    assert_eq!((first.inserted, first.updated, first.deleted, first.rows), (3, 0, 0, 3));
    assert_eq!(first.control_totals["amount"], "3.00");
    // Scope 2 was not complete: c stays though nobody saw it.
    let second = commit(&warehouse, input(&[("b", "1", 300)], &["1"])).await;
    assert_eq!((second.inserted, second.updated, second.deleted, second.rows), (0, 1, 1, 2));
    assert_eq!(second.control_totals["amount"], "2.50");
    let third = commit(&warehouse, input(&[("a", "1", 100), ("b", "1", 300)], &["1"])).await;
    assert_eq!((third.inserted, third.updated, third.deleted, third.rows), (1, 0, 0, 3));

    assert_eq!(bills(&warehouse, 1).await, owned(&[("a", "1", 100, 1), ("b", "1", 250, 1), ("c", "2", -50, 1)]));
    assert_eq!(bills(&warehouse, 2).await, owned(&[("b", "1", 300, 2), ("c", "2", -50, 1)]));
    assert_eq!(bills(&warehouse, 3).await, owned(&[("a", "1", 100, 3), ("b", "1", 300, 2), ("c", "2", -50, 1)]));
    assert_eq!(bills(&warehouse, 0).await, []);
    let head = warehouse.head().await.unwrap();
    assert_eq!(head.history(3, "procore", "bills").iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(head.tables(), [("procore".to_owned(), "bills".to_owned())]);
}

#[tokio::test]
async fn an_unchanged_table_writes_nothing_and_keeps_its_figures() {
    let (_folder, warehouse) = empty().await;
    let mut rows = input(&[("a", "", 100)], &[""]);
    rows.cursor = Some("2025".to_owned());
    commit(&warehouse, rows).await;
    let second = commit(&warehouse, input(&[("a", "", 100)], &[""])).await;
    assert_eq!((second.changes, second.state, second.rows), (vec![], vec![], 1));
    assert_eq!(second.control_totals["amount"], "1.00");
    assert_eq!(second.cursor.as_deref(), Some("2025"));
    let third = commit(&warehouse, input(&[("b", "", 7)], &[])).await;
    assert_eq!(third.rows, 2);
    assert_eq!(bills(&warehouse, 2).await, owned(&[("a", "", 100, 1)]));
}

#[tokio::test]
async fn incremental_reads_close_nothing() {
    let (_folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "", 1), ("b", "", 2)], &[""])).await;
    let table = commit(&warehouse, TableInput { mode: ReadMode::Incremental, ..input(&[("b", "", 3)], &[""]) }).await;
    assert_eq!((table.updated, table.deleted, table.rows), (1, 0, 2));
}

#[tokio::test]
async fn a_scope_that_ended_twice_is_as_good_as_its_worse_end() {
    let (_folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "1", 1), ("b", "2", 2)], &["1", "2"])).await;
    let mut read = input(&[], &["1", "2"]);
    read.coverage.push(coverage("1", CoverageStatus::Partial));
    assert_eq!(commit(&warehouse, read).await.deleted, 1);
    assert_eq!(bills(&warehouse, 2).await, owned(&[("a", "1", 1, 1)]));
    // Neither an unproven empty list nor a refusal nor a hidden parent closes anything.
    for status in [CoverageStatus::EmptyUnverified, CoverageStatus::Forbidden, CoverageStatus::NotFound] {
        let read = TableInput { coverage: vec![coverage("1", status)], ..input(&[], &[]) };
        assert_eq!(commit(&warehouse, read).await.deleted, 0);
    }
    let read = TableInput { coverage: vec![coverage("1", CoverageStatus::EmptyVerified)], ..input(&[], &[]) };
    assert_eq!(commit(&warehouse, read).await.deleted, 1);
}

#[tokio::test]
async fn a_prepared_commit_can_be_read_before_anybody_sees_it() {
    let (_folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "", 1)], &[""])).await;
    let mut prepared = prepare(&warehouse).await;
    prepared.add(input(&[("a", "", 2)], &[""])).await.unwrap();
    let head = prepared.head();
    let rows = warehouse.read_state(&head, prepared.number(), "procore", "bills").await.unwrap();
    assert_eq!(plain(&rows), owned(&[("a", "", 2, 2)]));
    let rows = warehouse.read_state(&head, 1, "procore", "bills").await.unwrap();
    assert_eq!(plain(&rows), owned(&[("a", "", 1, 1)]));
    assert_eq!(warehouse.head().await.unwrap().number(), 1);
}

#[tokio::test]
async fn results_of_our_own_may_close_by_the_hundred() {
    let (_folder, warehouse) = empty().await;
    let keys: Vec<String> = (10..50).map(|key| key.to_string()).collect();
    let rows: Vec<Plain<'_>> = keys.iter().map(|key| (key.as_str(), "", 1)).collect();
    let ours = |rows: &[Plain<'_>]| TableInput { source: "tieout".to_owned(), ..input(rows, &[""]) };
    commit(&warehouse, ours(&rows)).await;
    assert_eq!(commit(&warehouse, ours(&[])).await.deleted, 40);
}

#[tokio::test]
async fn a_mass_deletion_is_held_back_until_a_person_confirms() {
    let (_folder, warehouse) = empty().await;
    let keys: Vec<String> = (10..50).map(|key| key.to_string()).collect();
    let rows: Vec<Plain<'_>> = keys.iter().map(|key| (key.as_str(), "1", 1)).collect();
    commit(&warehouse, input(&rows, &["1"])).await;

    let mut shrunk = input(&rows[..30], &["1", "2"]);
    shrunk.batches = vec![super::testing::batch(&[rows[..29].to_vec(), vec![("new", "1", 5)]].concat())];
    let mut prepared = prepare(&warehouse).await;
    let table = prepared.add(shrunk.clone()).await.unwrap();
    assert_eq!((table.inserted, table.deleted, table.rows), (1, 0, 41));
    assert!(table.held_back.unwrap().contains("--accept-deletes bills"));
    let statuses: Vec<_> = prepared.inputs()[0].coverage.iter().map(|it| it.status).collect();
    assert_eq!(statuses, [CoverageStatus::Partial, CoverageStatus::Ok]);
    warehouse.publish(prepared).await.unwrap();

    let table = commit(&warehouse, TableInput { accept_deletes: true, ..shrunk }).await;
    assert_eq!((table.deleted, table.rows, table.held_back), (11, 30, None));
}

#[tokio::test]
async fn what_lies_inside_records_that_are_held_back_is_held_back_too() {
    let (_folder, warehouse) = empty().await;
    let lines = |input: TableInput| TableInput { table: "lines".to_owned(), above: vec!["bills".to_owned()], ..input };
    let notes = |input: TableInput| TableInput { table: "notes".to_owned(), above: vec!["lines".to_owned()], ..input };
    let keys: Vec<String> = (10..50).map(|key| key.to_string()).collect();
    let inside: Vec<String> = (10..50).flat_map(|key| (0..9).map(move |line| format!("{key}|{line}"))).collect();
    let bills: Vec<Plain<'_>> = keys.iter().map(|key| (key.as_str(), "1", 1)).collect();
    let all: Vec<Plain<'_>> = inside.iter().map(|key| (key.as_str(), "1", 1)).collect();
    // Eleven of forty bills are a mass, the eleven of 360 lines and notes that came with one each are none.
    let few = [&all[..1], &all[12..]].concat();
    let add = async |tables: Vec<TableInput>| {
        let mut prepared = prepare(&warehouse).await;
        prepared.add_all(tables).await.unwrap();
        let statuses: Vec<_> = prepared.inputs().iter().map(|input| input.coverage[0].status).collect();
        let head = warehouse.publish(prepared).await.unwrap();
        let tables = head.last().unwrap().tables.clone();
        (tables.into_iter().map(|table| (table.table, table.deleted, table.held_back)).collect::<Vec<_>>(), statuses)
    };
    let read = |bills: &[Plain<'_>], lines_of: &[Plain<'_>]| {
        // Children may come before what they lie inside of.
        vec![notes(input(lines_of, &["1"])), lines(input(lines_of, &["1"])), input(bills, &["1"])]
    };
    add(read(&bills, &all)).await;
    let (tables, statuses) = add(read(&bills[..29], &few)).await;
    assert_eq!(tables.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(), ["notes", "lines", "bills"]);
    assert!(tables.iter().all(|(_, deleted, held)| *deleted == 0 && held.is_some()), "{tables:?}");
    let reason = tables[1].2.as_deref().unwrap();
    assert!(reason.contains("11 of 360 rows") && reason.contains("--accept-deletes bills"), "{reason}");
    assert_eq!(statuses, [CoverageStatus::Partial; 3]);

    // One by one as well.
    let mut prepared = prepare(&warehouse).await;
    for table in read(&bills[..29], &few).into_iter().rev() {
        assert!(prepared.add(table).await.unwrap().held_back.is_some());
    }
    // Confirmed: what hangs on them is judged by itself, and is no mass.
    let mut confirmed = read(&bills[..29], &few);
    confirmed[2].accept_deletes = true;
    let (tables, statuses) = add(confirmed).await;
    assert_eq!(tables.iter().map(|it| it.1).collect::<Vec<_>>(), [11, 11, 11]);
    assert_eq!(statuses, [CoverageStatus::Ok; 3]);
    // Nothing lost, nothing held back: a table may go on though the one above it loses a mass.
    let (tables, _) = add(read(&bills[..1], &few)).await;
    assert_eq!(tables.iter().map(|it| it.2.is_some()).collect::<Vec<_>>(), [false, false, true]);
    // Its own confirmation is enough for a table.
    let mut confirmed = read(&bills[..1], &few[..300]);
    (confirmed[0].accept_deletes, confirmed[1].accept_deletes) = (true, true);
    let (tables, _) = add(confirmed).await;
    assert_eq!(tables.iter().map(|it| it.1).collect::<Vec<_>>(), [49, 49, 0]);
}

#[tokio::test]
async fn duplicate_keys_are_kept_once_and_told() {
    let (_folder, warehouse) = empty().await;
    let mut prepared = prepare(&warehouse).await;
    let table = prepared.add(input(&[("a", "", 1), ("a", "", 2)], &[""])).await.unwrap();
    assert_eq!((table.inserted, table.rows), (1, 1));
    let told = rejects_input(prepared.inputs(), at(5)).unwrap();
    assert_eq!(prepared.add(told).await.unwrap().rows, 1);
    warehouse.publish(prepared).await.unwrap();
    assert_eq!(bills(&warehouse, 1).await, owned(&[("a", "", 2, 1)]));
    let head = warehouse.head().await.unwrap();
    let rejects = warehouse.read_state(&head, 1, "tieout", "rejects").await.unwrap();
    let raw = rejects[0].column_by_name("raw").unwrap().as_string::<i32>();
    assert_eq!(raw.value(0), r#"{"amount":1}"#);
}

#[tokio::test]
async fn a_new_column_rewrites_the_state_and_no_history() {
    let (_folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "1", 100), ("b", "2", 200)], &["1", "2"])).await;
    let mut wider = input(&[("a", "1", 100)], &["1"]);
    wider.columns.push(("note".to_owned(), ColumnType::Text));
    let schema = super::rows::input_schema(&wider.columns);
    let mut arrays = wider.batches[0].columns().to_vec();
    arrays.insert(3, Arc::new(arrow::array::StringArray::from(vec!["hello"])));
    wider.batches = vec![arrow::array::RecordBatch::try_new(schema, arrays).unwrap()];
    let table = commit(&warehouse, wider).await;
    assert!(table.changes.is_empty() && !table.state.is_empty());
    assert_eq!((table.inserted, table.updated, table.deleted, table.rows), (0, 0, 0, 2));

    let head = warehouse.head().await.unwrap();
    let state = warehouse.read_state(&head, 2, "procore", "bills").await.unwrap();
    let notes = state[0].column_by_name("note").unwrap().as_string::<i32>();
    assert_eq!((notes.value(0), notes.is_null(1)), ("hello", true));
    assert_eq!(plain(&state), owned(&[("a", "1", 100, 1), ("b", "2", 200, 1)]));
    assert_eq!(head.columns(1, "procore", "bills").len(), 1);
    assert_eq!(head.columns(2, "procore", "bills")[1].1, ColumnType::Text);
}

#[tokio::test]
async fn the_same_content_read_otherwise_takes_the_new_values_and_keeps_its_commit() {
    let (_folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "1", 100), ("b", "2", 200)], &["1", "2"])).await;
    // The manifest's path was wrong: the record is the same, the typed column is not.
    let mut corrected = input(&[("a", "1", 100)], &["1"]);
    let mut arrays = corrected.batches[0].columns().to_vec();
    let amounts = arrow::array::Decimal128Array::from(vec![111]).with_precision_and_scale(18, 2).unwrap();
    arrays[2] = Arc::new(amounts);
    corrected.batches = vec![arrow::array::RecordBatch::try_new(corrected.batches[0].schema(), arrays).unwrap()];
    let table = commit(&warehouse, corrected.clone()).await;
    assert_eq!((table.changes.is_empty(), table.updated), (true, 0));
    assert_eq!(table.control_totals["amount"], "3.11");
    assert_eq!(bills(&warehouse, 2).await, owned(&[("a", "1", 111, 1), ("b", "2", 200, 1)]));
    assert_eq!(commit(&warehouse, corrected).await.state, []);
}

#[tokio::test]
async fn columns_are_written_once_and_found_for_ever() {
    let (folder, warehouse) = empty().await;
    for amount in [1, 1, 2] {
        commit(&warehouse, input(&[("a", "", amount)], &[""])).await;
    }
    let none = TableInput { columns: Vec::new(), batches: Vec::new(), ..input(&[], &[]) };
    commit(&warehouse, none.clone()).await;
    commit(&warehouse, none).await;
    let head = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap().head().await.unwrap();
    let written: Vec<usize> = head.commits.iter().map(|commit| commit.tables[0].columns.len()).collect();
    assert_eq!(written, [1, 0, 0, 0, 0]);
    let found: Vec<usize> = (0..=5).map(|number| head.columns(number, "procore", "bills").len()).collect();
    assert_eq!(found, [0, 1, 1, 1, 0, 0]);
    assert_eq!(head.snapshot(3, "procore", "bills").unwrap().columns, [("amount".into(), "decimal(18,2)".into())]);
    assert_eq!(head.snapshot(3, "procore", "none"), None);
}

#[tokio::test]
async fn tables_larger_than_a_batch_keep_order_and_commits() {
    let (_folder, warehouse) = empty().await;
    let keys: Vec<String> = (0..20_000).map(|key| format!("{key:06}")).collect();
    let mut rows: Vec<Plain<'_>> = keys.iter().rev().map(|key| (key.as_str(), "1", 1)).collect();
    commit(&warehouse, input(&rows, &["1"])).await;
    for row in rows.iter_mut().filter(|row| row.0.ends_with('7')) {
        row.2 = 2;
    }
    let table = commit(&warehouse, input(&rows, &["1"])).await;
    assert_eq!((table.updated, table.rows, table.control_totals["amount"].as_str()), (2_000, 20_000, "220.00"));
    let found = bills(&warehouse, 2).await;
    assert!(found.iter().map(|row| &row.0).eq(&keys));
    assert!(found.iter().all(|row| (row.2, row.3) == if row.0.ends_with('7') { (2, 2) } else { (1, 1) }));
}

#[tokio::test]
async fn strangers_in_the_folder_of_commits_are_none_of_ours() {
    let (folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "", 1)], &[""])).await;
    for name in ["00000000000000000002.json#1", ".DS_Store", "00000000000000000002.json.bak", "2.json"] {
        std::fs::write(folder.path().join("commits").join(name), "x").unwrap();
    }
    let fresh = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap();
    assert_eq!(fresh.head().await.unwrap().number(), 1);
    commit(&fresh, input(&[("a", "", 2)], &[""])).await;
    assert_eq!(warehouse.head().await.unwrap().number(), 2);
}

#[tokio::test]
async fn append_tables_only_grow() {
    let (_folder, warehouse) = empty().await;
    let rows = |rows: &[Plain<'_>]| TableInput { mode: ReadMode::Append, ..input(rows, &[]) };
    commit(&warehouse, rows(&[("1", "", 5)])).await;
    let none = commit(&warehouse, rows(&[])).await;
    assert_eq!((none.rows, none.changes), (0, vec![]));
    let table = commit(&warehouse, rows(&[("1", "", 6)])).await;
    assert_eq!((table.rows, table.inserted, table.state), (1, 1, vec![]));
    assert_eq!(bills(&warehouse, 3).await, owned(&[("1", "", 5, 1), ("1", "", 6, 3)]));
    let mut prepared = prepare(&warehouse).await;
    assert!(matches!(prepared.add(input(&[], &[""])).await, Err(Error::Input { .. })));
}

#[tokio::test]
async fn inputs_that_break_the_layout_are_refused() {
    let (_folder, warehouse) = empty().await;
    let mut prepared = prepare(&warehouse).await;
    let mut other = input(&[], &[""]);
    other.columns = vec![("amount".to_owned(), ColumnType::Text)];
    let mut reserved = input(&[], &[""]);
    reserved.columns = vec![("_key".to_owned(), ColumnType::Text)];
    let outside = TableInput { table: "../../x".to_owned(), ..input(&[], &[""]) };
    for bad in [other, reserved, outside] {
        assert!(matches!(prepared.add(bad).await, Err(Error::Input { .. })));
    }
    prepared.add(input(&[], &[""])).await.unwrap();
    assert!(matches!(prepared.add(input(&[], &[""])).await, Err(Error::Input { .. })));
}

#[tokio::test]
async fn of_two_writers_one_wins_and_the_other_is_told() {
    let (folder, warehouse) = empty().await;
    let other = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap();
    let (mut first, mut second) = (prepare(&warehouse).await, prepare(&other).await);
    first.add(input(&[("a", "", 1)], &[""])).await.unwrap();
    second.add(input(&[("b", "", 2)], &[""])).await.unwrap();
    assert_eq!(second.head().number(), 1);
    warehouse.publish(first).await.unwrap();
    assert!(matches!(other.publish(second).await, Err(Error::Conflict { number: 1 })));
    assert_eq!(bills(&other, 1).await, owned(&[("a", "", 1, 1)]));
    commit(&other, input(&[("a", "", 1), ("b", "", 2)], &[""])).await;
    assert_eq!(bills(&warehouse, 2).await, owned(&[("a", "", 1, 1), ("b", "", 2, 2)]));
}

#[tokio::test]
async fn a_run_that_dies_at_any_write_leaves_the_old_head() {
    let (folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "", 1)], &[""])).await;
    // Changes, state, manifest: three writes, so that a run with three left lives.
    for writes in 0..=3 {
        let mut dying = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap();
        dying.store = dying.store.wrapping(Arc::new(Dying::after(warehouse.object_store(), writes)));
        let mut prepared = prepare(&dying).await;
        let outcome = match prepared.add(input(&[("a", "", 2)], &[""])).await {
            Ok(_) => dying.publish(prepared).await.map(|_| ()),
            Err(error) => Err(error),
        };
        let fresh = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap();
        let number = fresh.head().await.unwrap().number();
        if writes < 3 {
            let message = outcome.unwrap_err().to_string();
            assert!(message.contains("the disk is full"), "{message}");
            assert_eq!((number, bills(&fresh, 1).await), (1, owned(&[("a", "", 1, 1)])));
        } else {
            outcome.unwrap();
            assert_eq!((number, bills(&fresh, 2).await), (2, owned(&[("a", "", 2, 2)])));
        }
    }
}

#[tokio::test]
async fn whatever_is_tampered_with_is_named() {
    let (folder, warehouse) = empty().await;
    for amount in 1..=3 {
        commit(&warehouse, input(&[("a", "", amount)], &[""])).await;
    }
    let head = warehouse.head().await.unwrap();
    let path = folder.path().to_str().unwrap();
    let manifest = |number: u64| folder.path().join(super::chain::path(number));
    let refused = async |expected: &str| {
        let fresh = Warehouse::open(path).await.unwrap();
        let error = fresh.head().await.unwrap_err();
        let Error::Corrupt { file, .. } = &error else { unreachable!("{error}") };
        assert!(file.contains(expected), "{error}");
    };
    // A changed manifest no longer has the digest that the next one carries.
    let kept = std::fs::read(manifest(2)).unwrap();
    let changed = String::from_utf8(kept.clone()).unwrap().replacen("\"updated\":1", "\"updated\":7", 1);
    assert_ne!(changed.as_bytes(), kept);
    std::fs::write(manifest(2), &changed).unwrap();
    refused("3.json").await;
    std::fs::write(manifest(2), changed.replacen("\"format\":3", "\"format\":9", 1)).unwrap();
    // A newer version's is no damage: it has an error of its own.
    let error = Warehouse::open(path).await.unwrap().head().await.unwrap_err();
    let Error::Newer { file, found: 9, .. } = &error else { unreachable!("{error}") };
    assert!(file.contains("2.json"), "{error}");
    std::fs::remove_file(manifest(2)).unwrap();
    refused("2.json").await;
    std::fs::write(manifest(2), kept).unwrap();
    std::fs::write(manifest(3), "").unwrap();
    refused("3.json").await;

    let state = head.snapshot(3, "procore", "bills").unwrap().state.remove(0);
    std::fs::write(folder.path().join(&state.path), "not parquet").unwrap();
    let error = warehouse.read_state(&head, 3, "procore", "bills").await.unwrap_err();
    assert!(matches!(&error, Error::Corrupt { file, .. } if *file == state.path), "{error}");
}

#[tokio::test]
async fn moments_resolve_and_always_rise() {
    let (_folder, warehouse) = empty().await;
    let clock = super::testing::clock();
    for _ in 0..3 {
        let prepared = prepare_at(&warehouse, &clock).await.unwrap();
        warehouse.publish(prepared).await.unwrap();
    }
    let head = warehouse.head().await.unwrap();
    let resolved = |as_of| head.resolve(&as_of).unwrap().map(|commit| commit.number);
    assert_eq!(head.commits.iter().map(|commit| commit.committed_at).collect::<Vec<_>>(), [at(0), at(1), at(2)]);
    assert_eq!(resolved(AsOf::At(at(-1))), None);
    assert_eq!(resolved(AsOf::At(at(1))), Some(2));
    assert_eq!(resolved(AsOf::Commit(1)), Some(1));
    assert_eq!(resolved(AsOf::Latest), Some(3));
    assert!(matches!(head.resolve(&AsOf::Commit(4)), Err(Error::UnknownCommit { number: 4, newest: 3 })));
    // The machine's clock: flushed to the disk, later than a simulated past.
    let prepared = prepare_at(&warehouse, &Clock::Machine).await.unwrap();
    let head = warehouse.publish(prepared).await.unwrap();
    assert!(head.last().unwrap().committed_at.year() >= 2025 && !head.last().unwrap().clock_is_given);
}

#[tokio::test]
async fn coverage_remembers_the_last_complete_read() {
    let (_folder, warehouse) = empty().await;
    let run = async |status: CoverageStatus, micros: i64| {
        let mut read = input(&[], &[]);
        read.coverage = vec![super::rows::Coverage { observed_at: at(micros), ..coverage("1", status) }];
        let mut prepared = prepare(&warehouse).await;
        prepared.add(read).await.unwrap();
        let (base, upto) = (Arc::clone(prepared.base()), prepared.base().number());
        let previous = warehouse.read_state(&base, upto, "tieout", "coverage").await.unwrap();
        prepared.add(coverage_input(prepared.inputs(), &previous).unwrap()).await.unwrap();
        warehouse.publish(prepared).await.unwrap();
    };
    run(CoverageStatus::Ok, 10).await;
    run(CoverageStatus::Failed, 20).await;
    let head = warehouse.head().await.unwrap();
    let rows = warehouse.read_state(&head, 2, "tieout", "coverage").await.unwrap();
    let moment = |name: &str| {
        let column = rows[0].column_by_name(name).unwrap();
        column.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().value(0) - at(0).timestamp_micros()
    };
    assert_eq!((rows[0].num_rows(), moment("observed_at"), moment("complete_at")), (1, 20, 10));
    let keys = rows[0].column_by_name("_key").unwrap().as_string::<i32>();
    assert_eq!(keys.value(0), "procore|bills|1");
}

#[tokio::test]
async fn definitions_are_kept_by_content() {
    let (folder, warehouse) = empty().await;
    let hash = warehouse.put_definitions("{}").await.unwrap();
    assert_eq!(warehouse.put_definitions("{}").await.unwrap(), hash);
    assert_eq!(warehouse.definitions(&hash).await.unwrap(), "{}");
    assert!(matches!(warehouse.definitions("0").await, Err(Error::NotFound { .. })));
    std::fs::write(folder.path().join(format!("definitions/{hash}.json")), "{ }").unwrap();
    assert!(matches!(warehouse.definitions(&hash).await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn a_source_is_extracted_by_one_at_a_time() {
    let (_folder, warehouse) = empty().await;
    let lock = warehouse.lock_source("procore").await.unwrap();
    let message = warehouse.lock_source("procore").await.unwrap_err().to_string();
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    warehouse.lock_source("acumatica").await.unwrap();
    drop(lock);
    warehouse.lock_source("procore").await.unwrap();
    assert!(matches!(warehouse.lock_source("../x").await, Err(Error::Input { .. })));
}
