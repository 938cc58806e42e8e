//! Random histories against a naive model, and what must change no history.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tempfile::TempDir;

use super::commit::Head;
use super::diff::is_mass_deletion;
use super::files::{Disk, Limits};
use super::read::{TableFiles, Wanted};
use super::rows::{ColumnType, HASH_BEFORE, ReadMode, TableInput, changes_schema};
use super::testing::{Plain, batch, bills, columns, commit, input, plain, prepare, seeds};
use super::tests::empty;
use super::{Projections, ReadRecords, VerifyOptions, Warehouse};

/// One run: rows as (key, scope, content), which of the three scopes were complete, whether it was a full read.
type Run = (Vec<(u8, u8, u8)>, [bool; 3], bool);
type Rows = Vec<(String, String, i128, i64)>;

/// Few rows with many duplicates, or most of a table so that a run which reads little would lose a mass of them.
fn runs() -> impl Strategy<Value = Vec<Run>> {
    let few = proptest::collection::vec((0_u8..9, 0_u8..3, 0_u8..3), 0..12);
    let many = (proptest::collection::btree_set(0_u8..40, 20..40), 0_u8..3)
        .prop_map(|(keys, content)| keys.into_iter().map(|key| (key, key % 3, content)).collect());
    let rows = prop_oneof![2 => few, 1 => many];
    proptest::collection::vec((rows, any::<[bool; 3]>(), any::<bool>()), 1..8)
}

/// What the table must hold, and which commit must have touched each row, by the simplest means.
fn model(state: &mut BTreeMap<String, (String, i128, i64)>, (rows, complete, full): &Run, number: i64) {
    let read: HashMap<String, (String, i128)> =
        rows.iter().map(|(key, scope, content)| (key.to_string(), (scope.to_string(), i128::from(*content)))).collect();
    let stays = |key: &String, scope: &str| {
        let place: usize = scope.parse().unwrap();
        read.contains_key(key) || !full || !complete[place]
    };
    let lost = state.iter().filter(|(key, (scope, ..))| !stays(key, scope)).count();
    if !is_mass_deletion(lost as u64, state.len() as u64) {
        state.retain(|key, (scope, ..)| stays(key, scope));
    }
    for (key, (scope, content)) in read {
        let same = state.get(&key).is_some_and(|old| (&old.0, old.1) == (&scope, content));
        if !same {
            state.insert(key, (scope, content, number));
        }
    }
}

async fn live(warehouse: &Warehouse, runs: &[Run]) -> Vec<Rows> {
    let (mut state, mut expected) = (BTreeMap::new(), Vec::new());
    for (run, number) in runs.iter().zip(1..) {
        model(&mut state, run, number);
        let rows: Vec<(String, String, i128)> =
            run.0.iter().map(|row| (row.0.to_string(), row.1.to_string(), i128::from(row.2))).collect();
        let rows: Vec<Plain<'_>> = rows.iter().map(|row| (row.0.as_str(), row.1.as_str(), row.2)).collect();
        let complete = ["0", "1", "2"].into_iter().zip(run.1).filter_map(|(scope, complete)| complete.then_some(scope));
        let mut read = input(&rows, &complete.collect::<Vec<_>>());
        read.mode = if run.2 { ReadMode::Full } else { ReadMode::Incremental };
        // Several batches, so that a small memory sorts on the disk.
        read.batches = rows.chunks(5).map(batch).collect();
        commit(warehouse, read).await;
        expected.push(state.iter().map(|(key, row)| (key.clone(), row.0.clone(), row.1, row.2)).collect());
    }
    expected
}

/// The table as of `number`, from the state at `base` (0: none) and the changes since, whatever states there are between.
async fn rebuilt(warehouse: &Warehouse, base: u64, number: u64) -> Rows {
    let head = warehouse.head().await.unwrap();
    let state = head.snapshot(base, "procore", "bills").map(|found| (found.state, found.changes));
    let (state, mut changes) = state.unwrap_or_default();
    changes.extend(head.history(number, "procore", "bills").into_iter().filter(|(commit, _)| *commit > base));
    let files = TableFiles::of(Disk::new(&warehouse.store), columns(), state, changes, false);
    let read = move || files.read(&(Arc::new(|_: &str| true) as Wanted)).unwrap().collect::<Result<Vec<_>, _>>();
    plain(&tokio::task::spawn_blocking(read).await.unwrap().unwrap())
}

async fn check_history(limits: Limits, runs: &[Run]) -> Result<(), TestCaseError> {
    let (_folder, warehouse) = empty().await;
    let warehouse = warehouse.with_limits(limits);
    let expected = live(&warehouse, runs).await;
    for (rows, number) in expected.iter().zip(1..) {
        prop_assert_eq!(&bills(&warehouse, number).await, rows);
        for base in 0..=number {
            prop_assert_eq!(&rebuilt(&warehouse, base, number).await, rows, "from {} to {}", base, number);
        }
    }
    Ok(())
}

/// Everything on the disk, a few rows per file.
const TINY: Limits = Limits { sort_bytes: 0, file_rows: 3, file_bytes: usize::MAX };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(seeds(16)))]

    #[test]
    fn every_history_folds_to_the_model(runs in runs(), is_tiny in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check_history(if is_tiny { TINY } else { Limits::default() }, &runs))?;
    }
}

#[tokio::test]
async fn a_table_larger_than_memory_is_sorted_and_split() {
    let (_folder, warehouse) = empty().await;
    let warehouse = warehouse.with_limits(Limits { sort_bytes: 1 << 16, file_rows: 7_000, file_bytes: usize::MAX });
    let keys: Vec<String> = (0..20_000).map(|key| format!("{:06}", key * 7_919 % 20_000)).collect();
    let mut rows: Vec<Plain<'_>> = keys.iter().map(|key| (key.as_str(), "1", 1)).collect();
    // The same key at both ends: the last one stands, the first is told.
    rows[0].2 = 5;
    rows.push((keys[0].as_str(), "1", 1));
    let mut read = input(&[], &["1"]);
    read.batches = rows.chunks(500).map(batch).collect();
    let mut prepared = prepare(&warehouse).await;
    let table = prepared.add(read).await.unwrap();
    let told: Vec<&str> = prepared.inputs()[0].rejects.iter().map(|reject| reject.raw.as_str()).collect();
    assert_eq!(told, [r#"{"amount":5}"#]);
    warehouse.publish(prepared).await.unwrap();
    assert_eq!((table.inserted, table.rows, table.control_totals["amount"].as_str()), (20_000, 20_000, "200.00"));
    assert_eq!(table.state.iter().map(|file| file.rows).collect::<Vec<_>>(), [7_000, 7_000, 6_000]);
    assert_eq!(table.changes.len(), 3);
    let found = bills(&warehouse, 1).await;
    assert!(found.is_sorted() && found.len() == 20_000 && found.iter().all(|row| row.2 == 1));
}

#[tokio::test]
async fn a_file_grows_to_its_limit_in_bytes() {
    let (_folder, warehouse) = empty().await;
    let warehouse = warehouse.with_limits(Limits { file_bytes: 1, ..Limits::default() });
    let keys: Vec<String> = (0..20_000).map(|key| format!("{key:06}")).collect();
    let rows: Vec<Plain<'_>> = keys.iter().map(|key| (key.as_str(), "1", 1)).collect();
    let table = commit(&warehouse, input(&rows, &["1"])).await;
    assert_eq!(table.state.iter().map(|file| file.rows).collect::<Vec<_>>(), [8_192, 8_192, 3_616]);
    assert_eq!(bills(&warehouse, 1).await.len(), 20_000);
}

#[tokio::test]
async fn another_key_for_sensitive_fields_changes_no_history() {
    let (_folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "1", 1), ("b", "1", 2), ("c", "2", 3)], &["1", "2"])).await;
    // The records as they hash under the new key; a and b carry their hash under the old one. b changed meanwhile.
    let old = batch(&[("a", "1", 1), ("b", "1", 5)]);
    let new = batch(&[("a", "1", 101), ("b", "1", 105)]);
    let mut fields = new.schema_ref().fields().to_vec();
    fields.push(Arc::new(Field::new(HASH_BEFORE, DataType::Utf8, true)));
    let mut arrays = new.columns().to_vec();
    arrays.push(Arc::clone(old.column_by_name("_hash").unwrap()));
    let mut read = input(&[], &["1"]);
    read.batches = vec![RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()];
    let table = commit(&warehouse, read).await;
    assert_eq!((table.inserted, table.updated, table.deleted), (0, 1, 0));
    let expected =
        [("a", "1", 101, 1), ("b", "1", 105, 2), ("c", "2", 3, 1)].map(|it| (it.0.into(), it.1.into(), it.2, it.3));
    assert_eq!(bills(&warehouse, 2).await, expected);
    // The changes alone know it too, and the next run under the new key finds nothing new.
    assert_eq!(rebuilt(&warehouse, 0, 2).await, expected);
    let table = commit(&warehouse, input(&[("a", "1", 101), ("b", "1", 105)], &["1"])).await;
    assert_eq!((table.updated, table.changes.len()), (0, 0));
}

/// Reads `amount` out of the test's records as a whole number, and doubles it as `twice`.
fn records(raw: &StringArray, names: &[&str]) -> Vec<Option<ArrayRef>> {
    let amount = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["amount"].as_i64();
    let times = |factor: i64| -> ArrayRef {
        Arc::new(raw.iter().map(|text| amount(text?).map(|found| found * factor)).collect::<Int64Array>())
    };
    let column = |name: &&str| match *name {
        "amount" => Some(times(1)),
        "twice" => Some(times(2)),
        _ => None,
    };
    names.iter().map(column).collect()
}

fn integers(batches: &[RecordBatch], name: &str) -> Vec<Option<i64>> {
    let column = |batch: &RecordBatch| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    batches.iter().flat_map(|batch| column(batch).iter().collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn columns_come_out_of_records_written_before_they_were_declared() {
    let (_folder, warehouse) = empty().await;
    commit(&warehouse, input(&[("a", "1", 100), ("b", "2", 200)], &["1", "2"])).await;
    let table = ("procore".to_owned(), "bills".to_owned());
    let read = BTreeMap::from([(table, Arc::new(records) as Arc<ReadRecords>)]);
    let warehouse = warehouse.with_projections(Projections::new(read));
    // `amount` is retyped, `twice` is new and comes from the record, `parent` is new and no record tells it.
    let names = ["amount", "twice", "parent"];
    let columns: Vec<(String, ColumnType)> = names.map(|name| (name.to_owned(), ColumnType::Int64)).to_vec();
    let head = warehouse.head().await.unwrap();
    let rows = warehouse.read_state_as(&head, 1, "procore", "bills", columns.clone()).await.unwrap();
    assert_eq!(integers(&rows, "amount"), [Some(100), Some(200)]);
    assert_eq!(integers(&rows, "twice"), [Some(200), Some(400)]);
    assert_eq!(integers(&rows, "parent"), [None, None]);
    // Under its own columns the old commit reads as it always did.
    assert_eq!(bills(&warehouse, 1).await.iter().map(|row| row.2).collect::<Vec<_>>(), [100, 200]);

    // A run under the new manifest that reads only a: b keeps its commit and gains its columns, and nothing changed.
    let plain = batch(&[("a", "1", 100)]);
    let numbers = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
    let of = |name: &str| Arc::clone(plain.column_by_name(name).unwrap());
    let arrays = vec![
        of("_key"),
        of("_scope"),
        numbers(100),
        numbers(200),
        numbers(7),
        of("_raw"),
        of("_hash"),
        of("_extracted_at"),
    ];
    let batches = vec![RecordBatch::try_new(super::rows::input_schema(&columns), arrays).unwrap()];
    let table = commit(&warehouse, TableInput { columns, batches, ..input(&[], &["1"]) }).await;
    assert_eq!((table.changes.len(), table.updated, table.state.len()), (0, 0, 1));
    let head = warehouse.head().await.unwrap();
    let rows = warehouse.read_state(&head, 2, "procore", "bills").await.unwrap();
    assert_eq!(integers(&rows, "twice"), [Some(200), Some(400)]);
    assert_eq!(integers(&rows, "parent"), [Some(7), None]);
    assert_eq!(integers(&rows, "_commit"), [Some(1), Some(1)]);
    assert_eq!(head.history(2, "procore", "bills").len(), 1);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of a warehouse that an older version wrote; it verifies.
async fn of_format(number: u32) -> (TempDir, Warehouse) {
    let folder = tempfile::tempdir().unwrap();
    let kept = format!("tests/fixtures/format-{number}");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(kept), folder.path());
    let warehouse = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap();
    let verification = warehouse.verify(&VerifyOptions::new(true)).await.unwrap();
    assert!(verification.findings.is_empty() && verification.proven_states > 0, "{verification:?}");
    (folder, warehouse)
}

#[tokio::test]
async fn a_warehouse_of_format_2_is_read_and_goes_on() {
    let (_folder, warehouse) = of_format(2).await;
    let columns = vec![("number".to_owned(), ColumnType::Int64)];
    let numbers = async |commit: u64| {
        let head = warehouse.head().await.unwrap();
        let batches = warehouse.read_state(&head, commit, "procore", "bills").await.unwrap();
        let numbers = batches
            .iter()
            .flat_map(|batch| batch.column_by_name("number").unwrap().as_primitive::<Int64Type>().values().to_vec());
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(numbers(1).await, vec![1; 400]);
    assert_eq!(numbers(2).await, vec![2; 400]);
    // One row changes: its file is of the new format, after those of the old one.
    let head = warehouse.head().await.unwrap();
    let mut read = warehouse.read_state(&head, 1, "procore", "bills").await.unwrap();
    let first = read.swap_remove(0).slice(0, 1);
    let input_columns = (0..first.num_columns() - 1).collect::<Vec<_>>();
    let batches = vec![first.project(&input_columns).unwrap()];
    let mode = ReadMode::Incremental;
    let changed = commit(&warehouse, TableInput { columns, mode, batches, ..input(&[], &[""]) }).await;
    assert_eq!((changed.updated, changed.rows, changed.changes.len()), (1, 400, 1));
    let now = numbers(3).await;
    assert_eq!((now[0], &now[1..]), (1, &vec![2; 399][..]));
    let head = warehouse.head().await.unwrap();
    let history = warehouse.read_changes(&head, 3, "procore", "bills").await.unwrap();
    assert_eq!(history[0].schema(), changes_schema(&changed_columns(&head)));
    let verification = warehouse.verify(&VerifyOptions::new(true)).await.unwrap();
    assert!(verification.findings.is_empty(), "{verification:?}");
}

fn changed_columns(head: &Head) -> Vec<(String, ColumnType)> {
    head.columns(head.number(), "procore", "bills")
}

#[tokio::test]
async fn a_days_changes_take_little_more_than_their_rows() {
    let (_folder, warehouse) = empty().await;
    let keys: Vec<String> = (0..3_000).map(|key| format!("{key:06}")).collect();
    let mut rows: Vec<Plain<'_>> = keys.iter().map(|key| (key.as_str(), "1", 1)).collect();
    commit(&warehouse, input(&rows, &["1"])).await;
    rows[1_500].2 = 2;
    let table = commit(&warehouse, input(&rows, &["1"])).await;
    assert_eq!(table.updated, 1);
    assert!(table.changes[0].bytes < 1_800, "{} bytes for one row", table.changes[0].bytes);
    let verification = warehouse.verify(&VerifyOptions::new(true)).await.unwrap();
    assert!(verification.findings.is_empty(), "{verification:?}");
}

#[tokio::test]
async fn a_warehouse_of_format_1_is_read_and_goes_on() {
    let (folder, warehouse) = of_format(1).await;
    let row = |key: &str, scope: &str, amount, commit| (key.to_owned(), scope.to_owned(), amount, commit);
    let (a, b, c) = (row("a", "1", 100, 1), row("b", "1", 250, 1), row("c", "2", -50, 1));
    let changed = row("b", "1", 300, 2);
    assert_eq!(bills(&warehouse, 1).await, [a, b, c.clone()]);
    assert_eq!(bills(&warehouse, 2).await, [changed.clone(), c.clone()]);
    assert_eq!(bills(&warehouse, 3).await, [changed.clone(), c.clone()]);
    let last = [row("a", "1", 100, 4), changed, c];
    assert_eq!(bills(&warehouse, 4).await, last);
    assert_eq!(rebuilt(&warehouse, 0, 4).await, last);
    let head = warehouse.head().await.unwrap();
    let notes = warehouse.read_state(&head, 4, "procore", "notes").await.unwrap();
    assert_eq!(
        plain(&notes).iter().map(|row| (row.0.as_str(), row.3)).collect::<Vec<_>>(),
        [("w", 1), ("x", 2), ("y", 3), ("z", 4)]
    );
    let table = commit(&warehouse, input(&[("a", "1", 100)], &["1"])).await;
    assert_eq!((table.deleted, table.rows), (1, 2));
    assert_eq!(Warehouse::open(folder.path().to_str().unwrap()).await.unwrap().head().await.unwrap().number(), 5);
}
