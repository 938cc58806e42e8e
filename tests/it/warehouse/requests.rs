//! How much is asked of a store: opening years of commits, looking for a newer one, planning a query.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::physical_plan::collect;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tieout::definitions::Definitions;
use tieout::engine::{Engine, EngineSettings, SessionRequest, SourceBinding};
use tieout::warehouse::commit::{FORMAT, Head};
use tieout::warehouse::{Error, Warehouse};

use super::commit;
use super::years::Years;
use crate::watched::{Fault, Watched};

/// A daily commit for ten years.
const DAYS: u64 = 3650;

async fn open(objects: &Arc<InMemory>) -> (Arc<Watched>, Result<Arc<Head>, Error>) {
    let watched = Watched::new(Arc::clone(objects) as _, Fault::None);
    let warehouse = Warehouse::open_or_create_in(Arc::clone(&watched) as _, "memory").await.unwrap();
    let head = warehouse.head().await;
    (watched, head)
}

/// A chain of that many commits, the last of which was published, so that there is a checkpoint if one is due.
async fn chain(commits: u64) -> Arc<InMemory> {
    let objects = Arc::new(InMemory::new());
    let warehouse = Warehouse::open_or_create_in(Arc::clone(&objects) as _, "memory").await.unwrap();
    let years = Years { format: FORMAT, warehouse_id: warehouse.id(), tables: 2 };
    years.write(objects.as_ref(), commits - 1).await;
    let prepared = super::prepare_nothing(&warehouse).await.unwrap();
    warehouse.publish(prepared).await.unwrap();
    objects
}

async fn checkpoints(objects: &InMemory) -> Vec<Path> {
    use futures::TryStreamExt;
    let found: Vec<_> = objects.list(Some(&Path::from("checkpoints"))).try_collect().await.unwrap();
    found.into_iter().map(|object| object.location).collect()
}

fn digests(head: &Head) -> Vec<String> {
    head.commits.iter().map(|commit| commit.parent.clone()).chain([head.digest.clone()]).collect()
}

#[tokio::test]
async fn ten_years_open_with_a_handful_of_requests() {
    let objects = chain(DAYS - DAYS % 20).await;
    let (_, head) = open(&objects).await;
    assert_eq!(head.unwrap().number(), 3640);
    // Nine runs later the next reader still starts from that checkpoint.
    let warehouse = Warehouse::open_or_create_in(Arc::clone(&objects) as _, "memory").await.unwrap();
    for _ in 0..9 {
        let prepared = super::prepare_nothing(&warehouse).await.unwrap();
        warehouse.publish(prepared).await.unwrap();
    }
    let watched = Watched::new(Arc::clone(&objects) as _, Fault::None);
    let reader = Warehouse::open_or_create_in(Arc::clone(&watched) as _, "memory").await.unwrap();
    assert_eq!(reader.head().await.unwrap().number(), 3649);
    // Identity, checkpoint, the commit that proves it, nine more; the lists of checkpoints and of commits after one.
    assert_eq!(watched.counts.take(), (12, 2, 0));
    reader.head().await.unwrap();
    assert_eq!(watched.counts.take(), (1, 0, 0), "nothing new costs one small request");
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_believed_is_passed_over() {
    let objects = chain(60).await;
    let expected = digests(&open(&objects).await.1.unwrap());
    let place = checkpoints(&objects).await.pop().unwrap();
    let good = objects.get(&place).await.unwrap().bytes().await.unwrap();
    let foreign = chain(60).await;
    let foreign_place = checkpoints(&foreign).await.pop().unwrap();
    let foreign_bytes = foreign.get(&foreign_place).await.unwrap().bytes().await.unwrap();

    let mut lines = zstd::decode_all(good.as_ref()).unwrap();
    let edited = String::from_utf8(lines.clone()).unwrap().replacen("\"rows\":1000", "\"rows\":9000", 1);
    lines.truncate(lines.len() - 100);
    let named = |bytes: &[u8]| {
        let digest = hex::encode(Sha256::digest(bytes));
        Path::from(format!("checkpoints/{:020}-{digest}.jsonl.zst", 60))
    };
    let packed = |text: &[u8]| zstd::encode_all(text, 3).unwrap();
    let (edited, cut) = (packed(edited.as_bytes()), packed(&lines));
    let cases: [(&str, Path, Vec<u8>); 6] = [
        ("truncated", place.clone(), good[..good.len() / 2].to_vec()),
        ("empty", place.clone(), Vec::new()),
        ("no zstd, with the right digest", named(b"scribble"), b"scribble".to_vec()),
        ("another chain's", foreign_place, foreign_bytes.to_vec()),
        ("edited, with the right digest", named(&edited), edited),
        ("its end cut off, with the right digest", named(&cut), cut),
    ];
    for (what, path, bytes) in cases {
        for old in checkpoints(&objects).await {
            objects.delete(&old).await.unwrap();
        }
        objects.put(&path, bytes.into()).await.unwrap();
        let (watched, head) = open(&objects).await;
        assert_eq!(digests(&head.unwrap()), expected, "{what}");
        assert!(watched.counts.take().0 > 60, "{what}: the commits themselves were read");
    }
}

#[tokio::test]
async fn a_chain_shorter_than_its_checkpoint_is_refused() {
    let objects = chain(40).await;
    objects.delete(&Path::from(format!("commits/{:020}.json", 40))).await.unwrap();
    let error = open(&objects).await.1.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Corrupt { .. }) && text.contains("hint:"), "{text}");
    assert!(text.contains("00000000000000000040.json") && text.contains("checkpoint"), "{text}");
}

#[tokio::test]
async fn publishing_keeps_two_checkpoints_and_links_on() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().to_str().unwrap();
    let warehouse = Warehouse::open_or_create(url).await.unwrap();
    for amount in 1..=65 {
        commit(&warehouse, amount).await.unwrap();
    }
    let names = std::fs::read_dir(folder.path().join("checkpoints")).unwrap();
    let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let numbers: Vec<&str> = names.iter().map(|name| &name[18..20]).collect();
    assert_eq!(numbers, ["40", "60"]);
    let anew = Warehouse::open(url).await.unwrap().head().await.unwrap();
    assert_eq!(anew.commits, warehouse.head().await.unwrap().commits);
    // Whoever made the newest one on top of damage would pass it on.
    std::fs::write(folder.path().join("checkpoints").join(&names[1]), "scribble").unwrap();
    for amount in 66..=80 {
        commit(&warehouse, amount).await.unwrap();
    }
    let anew = Warehouse::open(url).await.unwrap().head().await.unwrap();
    assert_eq!(digests(&anew), digests(&warehouse.head().await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn planning_lists_nothing_and_footers_are_read_once() {
    let watched = Watched::new(Arc::new(InMemory::new()), Fault::None);
    let warehouse = Warehouse::open_or_create_in(Arc::clone(&watched) as _, "memory").await.unwrap();
    commit(&warehouse, 100).await.unwrap();
    let settings = EngineSettings {
        sources: vec![SourceBinding { name: "procore".to_owned(), system: "procore".to_owned() }],
        ..EngineSettings::default()
    };
    let engine = Engine::open(warehouse, Definitions::shipped(), settings).await.unwrap();
    let session = engine.session(&SessionRequest::default()).await.unwrap();
    let sql = "select amount from procore.bills where _key >= '0'";
    let plan = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    watched.counts.take();

    let again = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let (gets, lists, puts) = watched.counts.take();
    assert!(lists == 0 && puts == 0 && gets <= 1, "planning asked for {gets} gets, {lists} lists, {puts} puts");

    let rows = collect(plan, session.task_ctx()).await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    let (first, lists, _) = watched.counts.take();
    collect(again, session.task_ctx()).await.unwrap();
    let (second, _, _) = watched.counts.take();
    assert_eq!(lists, 0);
    assert!(second < first, "the footer was read again: {first} requests at first, then {second}");
}
