//! What verifying and giving space back make of files that no commit names: checkpoints and leases; and of formats.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use tieout::clock::Clock;
use tieout::warehouse::{Error, Fault, Retention, Vacuum, VacuumOptions, Verification, VerifyOptions, Warehouse};

use super::commit;

async fn verify(warehouse: &Warehouse) -> Verification {
    warehouse.verify(&VerifyOptions::new(true)).await.unwrap()
}

async fn vacuum(warehouse: &Warehouse) -> Vacuum {
    let options = VacuumOptions { retention: Retention::new(chrono_tz::UTC), safety: TimeDelta::zero(), dry_run: true };
    warehouse.vacuum(&options, &Clock::Machine).await.unwrap()
}

/// A warehouse with checkpoints of 20 and 40 commits, and their paths.
async fn with_checkpoints(folder: &tempfile::TempDir) -> (Warehouse, Vec<PathBuf>) {
    let warehouse = Warehouse::open_or_create(folder.path().to_str().unwrap()).await.unwrap();
    for amount in 1..=41 {
        commit(&warehouse, amount).await.unwrap();
    }
    let entries = std::fs::read_dir(folder.path().join("checkpoints")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert_eq!(paths.len(), 2);
    (warehouse, paths)
}

#[tokio::test]
async fn a_bucket_with_checkpoints_and_a_lease_verifies_and_keeps_them() {
    let objects = Arc::new(InMemory::new());
    let warehouse = Warehouse::open_or_create_in(Arc::clone(&objects) as _, "memory").await.unwrap();
    for amount in 1..=21 {
        commit(&warehouse, amount).await.unwrap();
    }
    let _lease = warehouse.lock_source("procore").await.unwrap();
    let verification = verify(&warehouse).await;
    assert_eq!((verification.findings, verification.orphans, verification.commits), (Vec::new(), 0, 21));
    assert!(verification.proven_states > 0);
    let vacuum = vacuum(&warehouse).await;
    let gone = vacuum.removed.iter().chain(&vacuum.waiting).chain(&vacuum.dropped);
    let strange: Vec<_> = gone.filter(|removal| !removal.path.contains("/state/")).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[tokio::test]
async fn a_changed_checkpoint_is_named_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (warehouse, paths) = with_checkpoints(&folder).await;
    assert_eq!(verify(&warehouse).await.findings, []);
    let mut bytes = std::fs::read(&paths[1]).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&paths[1], bytes).unwrap();
    let found = verify(&warehouse).await.findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].commit, found[0].fault), (Some(40), Fault::Edited));
    assert!(paths[1].ends_with(&found[0].file), "{found:?}");
    // No row depends on it: nothing is held up.
    vacuum(&warehouse).await;
    std::fs::remove_file(&paths[1]).unwrap();
    assert_eq!(verify(&warehouse).await.findings, []);
}

#[tokio::test]
async fn an_edited_manifest_is_told_once_though_checkpoints_have_it_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (warehouse, _) = with_checkpoints(&folder).await;
    let name = format!("commits/{:020}.json", 7);
    let path = folder.path().join(&name);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text + " ").unwrap();
    let found = verify(&warehouse).await.findings;
    assert_eq!(found.iter().map(|finding| finding.file.as_str()).collect::<Vec<_>>(), [name]);
}

#[tokio::test]
async fn a_checkpoint_tells_that_later_commits_were_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (warehouse, paths) = with_checkpoints(&folder).await;
    for number in 39..=41 {
        std::fs::remove_file(folder.path().join(format!("commits/{number:020}.json"))).unwrap();
    }
    let found = verify(&warehouse).await.findings;
    let cut = found.iter().find(|finding| paths[1].ends_with(&finding.file)).unwrap();
    assert_eq!((cut.commit, cut.fault), (Some(40), Fault::CutOff));
}

#[tokio::test]
async fn older_formats_open_and_newer_ones_are_refused() {
    for (format, is_known) in [(0, false), (1, true), (2, true), (3, true), (4, false)] {
        let objects = Arc::new(InMemory::new());
        let identity = format!("{{\"format\":{format},\"warehouse_id\":\"a\"}}");
        objects.put(&Path::from("tieout.json"), identity.into_bytes().into()).await.unwrap();
        match Warehouse::open_or_create_in(objects, "memory").await {
            Ok(_) => assert!(is_known, "format {format}"),
            Err(Error::Newer { found, .. }) => assert_eq!((found, is_known), (4, false)),
            Err(error) => assert!(format == 0 && matches!(error, Error::Corrupt { .. }), "{error}"),
        }
    }
}
