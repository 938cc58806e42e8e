//! Places that are no warehouse, or not one that can be used: each is named with what to try, and left as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use object_store::memory::InMemory;
use tieout::warehouse::{Error, Warehouse};

use super::{amount, commit, prepare};
use crate::watched::{Fault, Watched};

/// What makes a place unusable, and what the message must say.
type Case = (&'static str, fn(&Path), &'static [&'static str]);

const CASES: &[Case] = &[
    (
        "other files",
        |place| remove_all_but(place, &["letter.txt"]),
        &["letter.txt", "no tieout.json", "nothing was changed"],
    ),
    ("a file", replace_by_a_file, &["it is a file"]),
    ("no identity", |place| fs::remove_file(place.join("tieout.json")).unwrap(), &["tieout.json", "the copy"]),
    (
        "an empty identity",
        |place| fs::write(place.join("tieout.json"), "").unwrap(),
        &["tieout.json", "which warehouse"],
    ),
    (
        "a newer format",
        |place| fs::write(place.join("tieout.json"), "{\"format\": 99, \"id\": {}}").unwrap(),
        &["format 99", "newer version of tieout"],
    ),
    ("no first commit", |place| fs::remove_file(manifest(place, 1)).unwrap(), &["01.json", "the copy"]),
    ("a gap", |place| fs::remove_file(manifest(place, 2)).unwrap(), &["02.json", "though commit 3", "the copy"]),
    (
        "no commits, but their files",
        |place| fs::remove_dir_all(place.join("commits")).unwrap(),
        &["no commit at all", "data/", "the copy"],
    ),
    (
        "a manifest of a newer format",
        |place| fs::write(manifest(place, 3), "{\"format\": 99}").unwrap(),
        &["03.json", "format 99", "newer version"],
    ),
    ("half a manifest", |place| cut(&manifest(place, 3)), &["03.json", "it is no manifest"]),
];

fn manifest(place: &Path, number: u64) -> PathBuf {
    place.join(format!("commits/{number:020}.json"))
}

fn cut(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

fn remove_all_but(place: &Path, names: &[&str]) {
    fs::remove_dir_all(place).unwrap();
    fs::create_dir(place).unwrap();
    for name in names {
        fs::write(place.join(name), "dear").unwrap();
    }
}

fn replace_by_a_file(place: &Path) {
    fs::remove_dir_all(place).unwrap();
    fs::write(place, "dear").unwrap();
}

/// Every file and folder with its bytes.
fn tree(place: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![place.to_path_buf()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            found.insert(path, None);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, Some(bytes));
        }
    }
    found
}

async fn three_commits(place: &Path) {
    let warehouse = Warehouse::open_or_create(place.to_str().unwrap()).await.unwrap();
    for amount in 1..=3 {
        commit(&warehouse, amount).await.unwrap();
    }
}

async fn head_of(opened: Result<Warehouse, Error>) -> Result<u64, Error> {
    Ok(opened?.head().await?.number())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_warehouse_is_named_and_left_alone() {
    for (what, spoil, says) in CASES {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("books");
        three_commits(&place).await;
        spoil(&place);
        let before = tree(&place);
        let url = place.to_str().unwrap();
        for opened in [head_of(Warehouse::open(url).await).await, head_of(Warehouse::open_or_create(url).await).await] {
            let text = opened.unwrap_err().to_string();
            for part in *says {
                assert!(text.contains(part), "{what}: {text}");
            }
            assert!(text.contains("hint:"), "{what}: {text}");
        }
        assert_eq!(tree(&place), before, "{what}");
        let ended = tieout(folder.path(), url, &[]);
        let message = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(4), "{what}: {message}");
        assert_eq!(tree(&place), before, "{what}, by the program");
    }
}

/// Asks the program something about a warehouse.
fn tieout(folder: &Path, url: &str, environment: &[(&str, &str)]) -> Output {
    let config = folder.join("tieout.toml");
    fs::write(&config, "").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tieout"));
    command.arg("--config").arg(config).args(["--warehouse", url, "sql", "select 1"]);
    command.envs(environment.iter().copied()).output().unwrap()
}

#[tokio::test]
async fn an_empty_folder_with_what_a_disk_brings_becomes_a_warehouse() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    fs::write(folder.path().join(".DS_Store"), "").unwrap();
    let url = folder.path().to_str().unwrap();
    assert!(matches!(Warehouse::open(url).await, Err(Error::NotFound { .. })));
    let warehouse = Warehouse::open_or_create(url).await.unwrap();
    commit(&warehouse, 1).await.unwrap();
}

#[tokio::test]
async fn a_first_run_that_died_is_no_half_copy() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().to_str().unwrap();
    let warehouse = Warehouse::open_or_create(url).await.unwrap();
    drop(prepare(&warehouse, 5).await.unwrap());
    let again = Warehouse::open(url).await.unwrap();
    commit(&again, 6).await.unwrap();
    assert_eq!(amount(&again, 1).await, 6);
}

#[tokio::test]
async fn a_missing_data_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    three_commits(folder.path()).await;
    let state = fs::read_dir(folder.path().join("data/procore/bills/state")).unwrap();
    let newest = state.map(|entry| entry.unwrap().path()).max().unwrap();
    fs::remove_file(&newest).unwrap();
    let warehouse = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap();
    let head = warehouse.head().await.unwrap();
    let text = warehouse.read_state(&head, 3, "procore", "bills").await.unwrap_err().to_string();
    assert!(text.contains(newest.file_name().unwrap().to_str().unwrap()) && text.contains("missing"), "{text}");
}

#[tokio::test]
async fn whoever_may_only_read_reads_and_is_told_that_he_cannot_write() {
    let objects = Arc::new(InMemory::new());
    let warehouse = Warehouse::open_or_create_in(Arc::clone(&objects) as _, "memory").await.unwrap();
    commit(&warehouse, 100).await.unwrap();

    let read_only = Watched::new(Arc::clone(&objects) as _, Fault::ReadOnly);
    let reader = Warehouse::open_or_create_in(read_only, "s3://books").await.unwrap();
    assert_eq!(amount(&reader, 1).await, 100);
    for refused in [commit(&reader, 200).await.unwrap_err(), reader.lock_source("procore").await.unwrap_err()] {
        let text = refused.to_string();
        assert!(text.contains("s3://books/") && text.contains("hint: the credentials"), "{text}");
    }
    assert_eq!(warehouse.head().await.unwrap().number(), 1);

    for fault in [Fault::ReadOnly, Fault::NoRights] {
        let empty = Watched::new(Arc::new(InMemory::new()), fault);
        let text = Warehouse::open_or_create_in(empty, "s3://books").await.unwrap_err().to_string();
        assert!(text.contains("s3://books/tieout.json") && text.contains("hint: the credentials"), "{text}");
    }
}

#[tokio::test]
async fn a_folder_that_nobody_may_write_to_is_named() {
    // Refuses even the superuser, as whom tests run in a container.
    let text = Warehouse::open_or_create("/sys/kernel/tieout-warehouse").await.unwrap_err().to_string();
    assert!(text.contains("/sys/kernel/tieout-warehouse") && text.contains("hint:"), "{text}");
}

#[tokio::test]
async fn a_store_that_overwrites_is_refused_and_left_empty() {
    let objects = Arc::new(InMemory::new());
    let careless = Watched::new(Arc::clone(&objects) as _, Fault::Overwrites);
    let text = Warehouse::open_or_create_in(careless, "s3://books").await.unwrap_err().to_string();
    assert!(text.contains("overwrites") && text.contains("hint:"), "{text}");
    let proper = Warehouse::open_or_create_in(objects, "s3://books").await.unwrap();
    assert_eq!(proper.head().await.unwrap().number(), 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_and_a_busy_store_asked_again() {
    for fault in [Fault::LostAnswer, Fault::BusyOnce] {
        let objects = Arc::new(InMemory::new());
        let warehouse = Warehouse::open_or_create_in(Arc::clone(&objects) as _, "memory").await.unwrap();
        let through = Watched::new(Arc::clone(&objects) as _, fault);
        let through = Warehouse::open_or_create_in(through, "memory").await.unwrap();
        let head = commit(&through, 100).await.unwrap();
        assert_eq!(head.number(), 1, "{fault:?}");
        assert_eq!(amount(&warehouse, 1).await, 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_rights_ends_the_program_with_the_reason() {
    let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let router = Router::new().fallback(move || async move { (StatusCode::FORBIDDEN, body) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let keys = [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "hunter2"), ("AWS_REGION", "us-east-1")];
    let folder = tempfile::tempdir().unwrap();
    let url = format!("s3://books/prod?endpoint=http://127.0.0.1:{port}");
    let ended = tokio::task::spawn_blocking(move || (tieout(folder.path(), &url, &keys), folder)).await.unwrap().0;
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(4), "{text}");
    assert!(text.contains("s3://books/prod/tieout.json") && text.contains("AccessDenied"), "{text}");
    assert!(text.contains("hint: the credentials") && !text.contains("hunter2"), "{text}");
    server.abort();
}
