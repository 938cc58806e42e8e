//! The same commits in every kind of store, against real servers. Each test names the variable that says where its server is;
//! `.ci/run` starts one for S3, `.ci/extended` one for Azure.

use tieout::warehouse::{Error, Warehouse};

use super::{amount, commit, prepare};

/// An address of a warehouse that nobody used before, below the one in the variable.
fn fresh(variable: &str) -> String {
    let url = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} says where the server is"));
    let (place, options) = url.split_once('?').map_or((url.as_str(), ""), |(place, options)| (place, options));
    format!("{}/{}?{options}", place.trim_end_matches('/'), uuid::Uuid::new_v4())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an S3 server: TIEOUT_TEST_S3=s3://bucket/folder?endpoint=http://127.0.0.1:5000"]
async fn s3() {
    whole_life(&fresh("TIEOUT_TEST_S3")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: TIEOUT_TEST_AZURE=az://container/folder"]
async fn azure() {
    whole_life(&fresh("TIEOUT_TEST_AZURE")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a bucket of Google's and credentials: TIEOUT_TEST_GCS=gs://bucket/folder"]
async fn gcs() {
    whole_life(&fresh("TIEOUT_TEST_GCS")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_as_far_as_its_interface_is_used() {
    whole_life(&format!("gs://books/it?endpoint={}", super::google::serve().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_disk() {
    let folder = tempfile::tempdir().unwrap();
    whole_life(folder.path().join("new").to_str().unwrap()).await;
}

async fn whole_life(url: &str) {
    assert!(matches!(Warehouse::open(url).await, Err(Error::NotFound { .. })), "there is none yet");
    let first = Warehouse::open_or_create(url).await.unwrap();
    let second = Warehouse::open_or_create(url).await.unwrap();
    assert_eq!(first.id(), second.id());
    assert_eq!(first.head().await.unwrap().number(), 0);

    commit(&first, 100).await.unwrap();
    assert_eq!(amount(&second, 1).await, 100);
    race(&first, &second, 8).await;

    // Far enough that a new reader starts from a checkpoint, and meets commits after it.
    while first.head().await.unwrap().number() < 43 {
        let next = first.head().await.unwrap().number() + 1;
        commit(&first, i64::try_from(next).unwrap() * 100).await.unwrap();
    }
    let reader = Warehouse::open(url).await.unwrap();
    let head = reader.head().await.unwrap();
    assert_eq!((head.number(), &head.digest), (43, &first.head().await.unwrap().digest));
    assert_eq!((amount(&reader, 43).await, amount(&reader, 40).await), (4300, 4000));

    let definitions = first.put_definitions("{\"a\":1}").await.unwrap();
    assert_eq!(second.definitions(&definitions).await.unwrap(), "{\"a\":1}");

    let lock = first.lock_source("procore").await.unwrap();
    let refused = second.lock_source("procore").await.unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    drop(lock);
    drop(second.lock_source("procore").await.unwrap());
}

/// Several writers prepare the same commit and publish it at once: one wins, the others are told, nothing of theirs shows.
async fn race(first: &Warehouse, second: &Warehouse, writers: u8) {
    let mut prepared = Vec::new();
    for writer in 0..writers {
        let warehouse = if writer % 2 == 0 { first } else { second };
        prepared.push((warehouse.clone(), prepare(warehouse, 1000 + i64::from(writer)).await.unwrap()));
    }
    let number = prepared[0].1.number();
    let tasks = prepared.into_iter().map(|(warehouse, prepared)| {
        tokio::spawn(async move { warehouse.publish(prepared).await.map(|head| head.number()) })
    });
    let mut winners = Vec::new();
    for (writer, task) in (0..).zip(tasks.collect::<Vec<_>>()) {
        match task.await.unwrap() {
            Ok(_) => winners.push(1000 + writer),
            Err(Error::Conflict { number: taken }) => assert_eq!(taken, number),
            Err(other) => panic!("writer {writer}: {other}"),
        }
    }
    assert_eq!(winners.len(), 1, "exactly one wins");
    assert_eq!(first.head().await.unwrap().number(), number);
    assert_eq!(amount(second, number).await, winners[0]);
}
