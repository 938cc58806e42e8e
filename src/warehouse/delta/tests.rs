//! A warehouse as Delta tables, as a reader of the protocol finds them.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use chrono::TimeDelta;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, path::Path};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::warehouse::rows::{ColumnType, HASH, KEY, RAW, SCOPE, TableInput, input_schema};
use crate::warehouse::testing::{Plain, bills, clock, commit, input};
use crate::warehouse::{AsOf, NewPin, Retention, VacuumOptions};

const LOG: &str = "data/procore/bills/state/_delta_log";
const ROWS: [&[Plain<'_>]; 3] =
    [&[("1", "p", 100), ("2", "p", -250)], &[("1", "p", 100), ("2", "p", 999), ("3", "p", 7)], &[("3", "p", 7)]];

async fn warehouse(folder: &TempDir, commits: usize) -> Warehouse {
    let warehouse = Warehouse::open_or_create(folder.path().to_str().unwrap()).await.unwrap();
    for rows in ROWS.iter().take(commits) {
        commit(&warehouse, input(rows, &["p"])).await;
    }
    warehouse
}

async fn export(warehouse: &Warehouse, to: Option<&FilePath>) -> Result<Vec<DeltaTable>, Error> {
    let tables = warehouse.head().await?.tables_with_states();
    let to = to.map(|to| to.to_str().unwrap().to_owned());
    warehouse.export_delta(&DeltaExport { tables, to, progress: Arc::new(|_| ()) }).await
}

/// What a reader knows after replaying a log up to a version.
#[derive(Debug, Default)]
struct Replayed {
    files: BTreeMap<String, Value>,
    metadata: Value,
    protocol: Value,
    at: i64,
    entries: usize,
}

fn replay(log: &FilePath, upto: u64) -> Replayed {
    let mut replayed = Replayed::default();
    for version in 0..=upto {
        let text = std::fs::read_to_string(log.join(log::name(version))).unwrap();
        for (place, line) in text.lines().enumerate() {
            let Value::Object(action) = serde_json::from_str(line).unwrap() else { unreachable!("{line}") };
            let (name, body) = action.into_iter().next().unwrap();
            let path = || body["path"].as_str().unwrap().to_owned();
            match name.as_str() {
                "commitInfo" => {
                    assert_eq!(place, 0, "the moment counts only in front");
                    let at = body["inCommitTimestamp"].as_i64().unwrap();
                    assert!(at > replayed.at, "moments rise");
                    replayed.at = at;
                }
                "protocol" => replayed.protocol = body,
                "metaData" => replayed.metadata = body,
                "remove" => assert!(replayed.files.remove(&path()).is_some(), "only what is there goes"),
                "add" => assert!(replayed.files.insert(path(), body).is_none(), "nothing comes twice"),
                other => unreachable!("{other}"),
            }
        }
        replayed.entries += 1;
    }
    replayed
}

fn stats(add: &Value) -> Value {
    serde_json::from_str(add["stats"].as_str().unwrap()).unwrap()
}

fn versions(log: &FilePath) -> usize {
    std::fs::read_dir(log).map_or(0, Iterator::count)
}

fn vacuum_at_once() -> VacuumOptions {
    let retention = Retention { days: 0, ..Retention::new(chrono_tz::UTC) };
    VacuumOptions { retention, safety: TimeDelta::zero(), dry_run: false }
}

#[tokio::test]
async fn a_version_for_each_state_with_its_files_and_figures() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder, 3).await;
    let published = export(&warehouse, None).await.unwrap();
    let [table] = published.as_slice() else { unreachable!("{published:?}") };
    assert_eq!((table.added, table.version, table.commit), (3, 2, 3));
    let (log, head) = (folder.path().join(LOG), warehouse.head().await.unwrap());
    for version in 0..3 {
        let found = replay(&log, version);
        let commit = head.commit(version + 1).unwrap();
        // The commits of this test are a microsecond apart, and no two versions may have one moment.
        let later = found.at - commit.committed_at.timestamp_millis();
        assert_eq!(later, i64::try_from(version).unwrap());
        let [(path, add)] = found.files.iter().collect::<Vec<_>>()[..] else { unreachable!("{found:?}") };
        let size = std::fs::metadata(folder.path().join("data/procore/bills/state").join(path)).unwrap().len();
        assert_eq!(add["size"], size);
        let rows = bills(&warehouse, version + 1).await;
        let stats = stats(add);
        assert_eq!(stats["numRecords"], rows.len());
        assert_eq!(stats["minValues"][KEY], rows.first().unwrap().0);
        assert_eq!(stats["maxValues"][KEY], rows.last().unwrap().0);
        assert_eq!(stats["nullCount"]["amount"], 0);
        assert!(stats["nullCount"].get(RAW).is_none(), "files tell nothing of it");
        let bounded: Vec<&String> = stats["minValues"].as_object().unwrap().keys().collect();
        assert_eq!(bounded, [KEY, SCOPE, "amount", RAW, HASH, "_extracted_at", "_commit"], "all columns or none");
        let modified = std::fs::metadata(log.join(log::name(version))).unwrap().modified().unwrap();
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_millis(), u128::try_from(found.at).unwrap(), "readers by age travel as others do");
    }
    let amounts = |found: &Replayed| stats(found.files.values().next().unwrap())["minValues"]["amount"].to_string();
    assert_eq!([amounts(&replay(&log, 0)), amounts(&replay(&log, 2))], ["-2.50", "0.07"]);
    let found = replay(&log, 2);
    assert_eq!(found.protocol["minReaderVersion"], 1);
    assert_eq!(found.metadata["partitionColumns"], json!([]));
}

#[tokio::test]
async fn a_second_run_adds_only_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder, 2).await;
    let log = folder.path().join(LOG);
    export(&warehouse, None).await.unwrap();
    let before: Vec<_> = (0..2).map(|version| std::fs::read(log.join(log::name(version))).unwrap()).collect();
    let again = export(&warehouse, None).await.unwrap();
    assert_eq!((again[0].added, again[0].version, versions(&log)), (0, 1, 2));
    commit(&warehouse, input(ROWS[1], &["p"])).await;
    assert_eq!(export(&warehouse, None).await.unwrap()[0].added, 0, "a commit that changed nothing is no version");
    commit(&warehouse, input(ROWS[2], &["p"])).await;
    let more = export(&warehouse, None).await.unwrap();
    assert_eq!((more[0].added, more[0].version, more[0].commit), (1, 2, 4));
    for (version, bytes) in (0..).zip(before) {
        assert_eq!(std::fs::read(log.join(log::name(version))).unwrap(), bytes, "an entry stays as it is");
    }
    assert_eq!(replay(&log, 2).files.len(), 1);
    assert!(warehouse.verify(&crate::warehouse::VerifyOptions::new(true)).await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn exports_at_once_write_every_version_once() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder, 3).await;
    let others: Vec<Warehouse> = vec![warehouse.clone(); 6];
    let all = futures::future::join_all(others.iter().map(|warehouse| export(warehouse, None))).await;
    let added: u64 = all.iter().map(|published| published.as_ref().unwrap()[0].added).sum();
    assert_eq!((added, versions(&folder.path().join(LOG))), (3, 3));
    assert!(all.iter().all(|published| published.as_ref().unwrap()[0].version == 2));
    assert_eq!(replay(&folder.path().join(LOG), 2).files.len(), 1);
}

#[tokio::test]
async fn another_column_is_told_and_an_unchanged_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder, 2).await;
    let mut other = input(ROWS[1], &["p"]);
    other.columns = vec![("amount".to_owned(), ColumnType::Decimal(24, 6)), ("note".to_owned(), ColumnType::Text)];
    other.batches = other.batches.iter().map(|batch| under(batch, &other)).collect();
    commit(&warehouse, other).await;
    export(&warehouse, None).await.unwrap();
    let log = folder.path().join(LOG);
    let schema = |version| -> String { replay(&log, version).metadata["schemaString"].as_str().unwrap().to_owned() };
    assert_eq!(schema(0), schema(1));
    assert!(schema(1).contains("decimal(18,2)") && !schema(1).contains("note"));
    assert!(schema(2).contains("decimal(24,6)") && schema(2).contains("note"));
    assert!(!std::fs::read_to_string(log.join(log::name(1))).unwrap().contains("metaData"));
    let stats = stats(replay(&log, 2).files.values().next().unwrap());
    assert_eq!((&stats["nullCount"]["note"], stats["minValues"].get("note")), (&json!(3), None));
    assert_eq!(stats["minValues"]["amount"].to_string(), "0.070000");
}

/// A batch of two columns from one of one.
fn under(batch: &arrow::array::RecordBatch, input: &TableInput) -> arrow::array::RecordBatch {
    let mut arrays: Vec<ArrayRef> = batch.columns().to_vec();
    arrays[2] = arrow::compute::cast(&arrays[2], &ColumnType::Decimal(24, 6).data_type()).unwrap();
    arrays.insert(3, Arc::new(StringArray::from(vec![None::<&str>; arrays[0].len()])));
    arrow::array::RecordBatch::try_new(input_schema(&input.columns), arrays).unwrap()
}

#[tokio::test]
async fn what_vacuum_removes_is_never_listed_by_the_current_version() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder, 1).await;
    export(&warehouse, None).await.unwrap();
    for rows in &ROWS[1..] {
        commit(&warehouse, input(rows, &["p"])).await;
    }
    let log = folder.path().join(LOG);
    let shown = |version| replay(&log, version).files.into_keys().next().unwrap();
    let there = |name: &str| folder.path().join("data/procore/bills/state").join(name).exists();
    // Nobody exported since: the table would point to a file that goes.
    let stale = shown(0);
    let mut removed = Vec::new();
    for _ in 0..2 {
        removed.extend(warehouse.vacuum(&vacuum_at_once(), &clock()).await.unwrap().removed);
    }
    assert!(!removed.is_empty() && !there(&stale), "{removed:?}");
    let last = u64::try_from(versions(&log)).unwrap() - 1;
    assert!(last > 0 && there(&shown(last)), "the table was brought to the head first");
    assert!(warehouse.verify(&crate::warehouse::VerifyOptions::new(true)).await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn the_end_of_an_extract_keeps_published_tables_current() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder, 2).await;
    warehouse.remove_dropped(TimeDelta::zero()).await.unwrap();
    assert!(!folder.path().join("exports").exists() && versions(&folder.path().join(LOG)) == 0, "nobody asked for it");
    export(&warehouse, None).await.unwrap();
    commit(&warehouse, input(ROWS[2], &["p"])).await;
    warehouse.remove_dropped(TimeDelta::zero()).await.unwrap();
    assert_eq!(versions(&folder.path().join(LOG)), 3);
}

#[tokio::test]
async fn a_log_that_others_wrote_to_is_refused_and_nothing_removed() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder, 2).await;
    export(&warehouse, None).await.unwrap();
    let foreign = folder.path().join(LOG).join(log::name(2));
    std::fs::write(&foreign, "{\"commitInfo\":{\"timestamp\":1,\"operation\":\"OPTIMIZE\"}}\n").unwrap();
    let refused = export(&warehouse, None).await.unwrap_err();
    assert!(matches!(&refused, Error::Target { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("version 2: another program wrote it") && text.contains("hint: if nobody needs"), "{text}");
    commit(&warehouse, input(ROWS[2], &["p"])).await;
    warehouse.vacuum(&vacuum_at_once(), &clock()).await.unwrap_err();
    let shown = replay(&folder.path().join(LOG), 1).files.into_keys().next().unwrap();
    assert!(folder.path().join("data/procore/bills/state").join(shown).exists());
}

#[tokio::test]
async fn a_log_of_another_past_is_refused() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (longer, shorter) = (warehouse(&folder, 3).await, warehouse(&other, 2).await);
    export(&longer, None).await.unwrap();
    let (from, to) = (folder.path().join(LOG), other.path().join(LOG));
    std::fs::create_dir_all(&to).unwrap();
    std::fs::copy(from.join(log::name(0)), to.join(log::name(0))).unwrap();
    let text = export(&shorter, None).await.unwrap_err().to_string();
    assert!(text.contains(&format!("it is table procore.bills of warehouse {}", longer.id())), "{text}");
    // Its own log, of a time that a restored backup does not know.
    std::fs::remove_file(to.join(log::name(0))).unwrap();
    export(&shorter, None).await.unwrap();
    let newest = std::fs::read_to_string(to.join(log::name(1))).unwrap();
    for (wrong, says) in [("\"commit\":9", "the warehouse ends with 2"), ("\"commit\":1", "not those of commit 1")] {
        std::fs::write(to.join(log::name(1)), newest.replace("\"commit\":2", wrong)).unwrap();
        let text = export(&shorter, None).await.unwrap_err().to_string();
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test]
async fn elsewhere_paths_are_absolute_and_strangers_are_left_alone() {
    let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let warehouse = warehouse(&folder, 2).await;
    let to = target.path().join("new one");
    export(&warehouse, Some(&to)).await.unwrap();
    assert_eq!(export(&warehouse, Some(&to)).await.unwrap()[0].added, 0);
    let found = replay(&to.join("procore/bills/_delta_log"), 1);
    let path = url::Url::parse(found.files.keys().next().unwrap()).unwrap().to_file_path().unwrap();
    assert!(path.starts_with(folder.path().canonicalize().unwrap()) && path.is_file(), "{}", path.display());
    assert!(!folder.path().join("exports").exists(), "the warehouse was only read");

    let other = tempfile::tempdir().unwrap();
    let stranger = Warehouse::open_or_create(other.path().to_str().unwrap()).await.unwrap();
    commit(&stranger, input(ROWS[0], &["p"])).await;
    std::fs::create_dir(target.path().join("photos")).unwrap();
    std::fs::write(target.path().join("photos/site.jpg"), "x").unwrap();
    std::fs::write(target.path().join("file"), "x").unwrap();
    for (place, says) in [
        (to.clone(), "tables of another warehouse"),
        (target.path().join("photos"), "it has other files (site.jpg, …)"),
        (target.path().join("file"), "it is a file"),
        (folder.path().to_owned(), "it is a warehouse"),
    ] {
        let refused = export(&stranger, Some(&place)).await.unwrap_err();
        assert!(matches!(&refused, Error::Target { .. }), "{refused}");
        assert!(refused.to_string().contains(says), "{refused}");
    }
    assert_eq!(std::fs::read_dir(target.path().join("photos")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_rebuilt_state_is_no_new_version() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder, 3).await;
    export(&warehouse, None).await.unwrap();
    for _ in 0..2 {
        warehouse.vacuum(&vacuum_at_once(), &clock()).await.unwrap();
    }
    let pin = NewPin { name: "THEN".to_owned(), as_of: AsOf::Commit(2), period_end: None };
    warehouse.pin(&pin, &clock()).await.unwrap();
    let head = warehouse.head().await.unwrap();
    assert!(!head.last().unwrap().rebuilt_states.is_empty());
    assert_eq!(export(&warehouse, None).await.unwrap()[0].version, 2);
}

#[tokio::test]
async fn a_damaged_or_missing_state_is_named_and_not_published() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder, 1).await;
    let head = warehouse.head().await.unwrap();
    let file = folder.path().join(&head.snapshot(1, "procore", "bills").unwrap().state[0].path);
    let bytes = std::fs::read(&file).unwrap();
    let (last, cut) = bytes.split_last().unwrap();
    for damaged in [[cut, &[last ^ 1]].concat(), cut.to_vec()] {
        std::fs::write(&file, damaged).unwrap();
        let text = export(&warehouse, None).await.unwrap_err().to_string();
        assert!(text.contains("data/procore/bills/state/"), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
    let text = export(&warehouse, None).await.unwrap_err().to_string();
    assert!(text.contains("the file is missing, though a commit lists it"), "{text}");
    assert_eq!(versions(&folder.path().join(LOG)), 0);
}

#[tokio::test]
async fn a_bucket_is_written_the_same_way() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let warehouse = Warehouse::open_or_create_in(Arc::clone(&objects), "s3://books/firm").await.unwrap();
    commit(&warehouse, input(ROWS[0], &["p"])).await;
    let published = export(&warehouse, None).await.unwrap();
    assert_eq!(published[0].location, "s3://books/firm/data/procore/bills/state");
    let path = Path::from(format!("{LOG}/{}", log::name(0)));
    assert!(objects.get(&path).await.unwrap().bytes().await.unwrap().len() > 500);
    // Lost answers: what is there already is our own.
    assert_eq!(export(&warehouse, None).await.unwrap()[0].added, 0);
    let odd = Path::from(format!("{LOG}/_last_checkpoint"));
    objects.delete(&path).await.unwrap();
    objects.put(&odd, PutPayload::from("{}")).await.unwrap();
    assert!(export(&warehouse, None).await.unwrap_err().to_string().contains("a log without entries"));
}
