//! The files against the SHA-256 that the chain has of them: all that are named, in pieces, side by side.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, stream};

use super::Bad;
use super::ledger::Ledger;
use super::report::{Fault, Progress, Verification, VerifyOptions};
use crate::warehouse::commit::DataFile;
use crate::warehouse::error::Error;
use crate::warehouse::store::{Fingerprint, Object, OnBytes, Store};
use crate::warehouse::{DATA, commit_of, definitions_path};

/// One file as it ought to be.
#[derive(Clone)]
struct Promise {
    commit: u64,
    path: String,
    sha256: String,
    /// None for definitions, whose size no manifest records.
    bytes: Option<u64>,
}

/// Reads every file; gives back those that are not as the chain says.
pub(super) async fn check(
    store: &Store,
    ledger: &Ledger,
    options: &VerifyOptions,
    verification: &mut Verification,
) -> Result<Bad, Error> {
    let promises = promises(ledger);
    let ahead = promises.iter().filter_map(|promise| promise.bytes).sum();
    (options.progress)(Progress::Ahead(ahead));
    let told = Arc::clone(&options.progress);
    let on_bytes: OnBytes = Arc::new(move |bytes| told(Progress::Read(bytes)));
    let paths = ledger.paths_by_digest();
    let read = |promise: Promise| {
        // What was not counted ahead is not counted when it is read.
        let is_ahead = promise.bytes.is_some();
        let (store, on_bytes) = (store.clone(), if is_ahead { Arc::clone(&on_bytes) } else { Arc::new(|_| ()) });
        async move {
            let found = store.fingerprint(&promise.path, &on_bytes).await;
            (promise, found)
        }
    };
    let mut bad = HashSet::new();
    let mut files = std::pin::pin!(stream::iter(promises).map(read).buffer_unordered(options.workers.max(1)));
    while let Some((promise, found)) = files.next().await {
        verification.files += 1;
        let found = match found {
            Ok(found) => found,
            // A bad sector, or a file that somebody may not read, says nothing of the others. In a bucket it is the line that fails.
            Err(error) if store.folder().is_some() => {
                verification.find(Fault::Unreadable, Some(promise.commit), promise.path.clone(), error.to_string());
                bad.insert(promise.path);
                continue;
            }
            Err(error) => return Err(error),
        };
        verification.bytes += found.as_ref().map_or(0, |found| found.bytes);
        if let Some((fault, detail)) = compare(&promise, found.as_ref(), &paths) {
            verification.find(fault, Some(promise.commit), promise.path.clone(), detail);
            bad.insert(promise.path);
        }
    }
    note_others(ledger, &store.objects_below(DATA).await?, verification);
    verification.dropped_states = ledger.dropped_states;
    Ok(bad)
}

/// Each file once, in the order in which it lies.
fn promises(ledger: &Ledger) -> Vec<Promise> {
    let promise = |commit: u64, file: &DataFile| Promise {
        commit,
        path: file.path.clone(),
        sha256: file.sha256.clone(),
        bytes: Some(file.bytes),
    };
    let mut promises: Vec<Promise> = ledger.files().map(|(commit, file)| promise(commit, file)).collect();
    promises.extend(ledger.definitions.iter().map(|(sha256, (first, _))| Promise {
        commit: *first,
        path: definitions_path(sha256),
        sha256: sha256.clone(),
        bytes: None,
    }));
    promises.sort_by(|one, other| one.path.cmp(&other.path));
    promises
}

fn compare(promise: &Promise, found: Option<&Fingerprint>, paths: &HashMap<&str, String>) -> Option<(Fault, String)> {
    let Some(found) = found else {
        return Some((Fault::Missing, "the file is not there".to_owned()));
    };
    let is_size = promise.bytes.is_none_or(|bytes| bytes == found.bytes);
    if found.sha256 == promise.sha256 && is_size {
        return None;
    }
    if let Some(other) = paths.get(found.sha256.as_str()).filter(|other| **other != promise.path) {
        return Some((Fault::Swapped, format!("it holds what {other} held")));
    }
    match promise.bytes {
        Some(bytes) if found.bytes < bytes => {
            Some((Fault::Truncated, format!("it has {} bytes, the commit recorded {bytes}", found.bytes)))
        }
        _ => Some((Fault::Edited, format!("its SHA-256 is {}, the commit recorded {}", found.sha256, promise.sha256))),
    }
}

/// Files that no commit names. A run writes files of the next commit only: those of a later one prove that the chain was
/// longer once.
fn note_others(ledger: &Ledger, objects: &[Object], verification: &mut Verification) {
    let named: HashSet<&str> = ledger.files().map(|(_, file)| file.path.as_str()).collect();
    let is_named = |path: &str| named.contains(path) || ledger.retired.contains_key(path);
    let others = objects.iter().filter(|object| !is_named(&object.path));
    let others: Vec<(u64, &str)> =
        others.filter_map(|object| Some((commit_of(&object.path)?, object.path.as_str()))).collect();
    verification.orphans = others.len() as u64;
    let (newest, last) = (ledger.newest, verification.head.as_ref().map_or(0, |(number, _)| *number));
    let later = others.iter().filter(|(commit, _)| *commit > newest.max(last) + 1);
    if let Some((commit, path)) = later.max() {
        let detail =
            format!("it belongs to commit {commit}, the chain ends with commit {last}: later commits were removed");
        verification.find(Fault::CutOff, Some(*commit), *path, detail);
    }
}
