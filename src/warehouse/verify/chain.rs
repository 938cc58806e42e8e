//! The manifests, one by one and against each other.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::report::{Fault, Verification};
use crate::warehouse::IDENTITY;
use crate::warehouse::chain::{FOLDER, manifest_number, parse, path};
use crate::warehouse::commit::Commit;
use crate::warehouse::error::Error;
use crate::warehouse::store::{Store, digest};

/// Manifests asked for at once.
const READS_AT_ONCE: usize = 64;

/// The chain as far as it can be read.
#[derive(Default)]
pub(super) struct Chain {
    /// Number and SHA-256 of every manifest, ascending.
    pub(super) digests: Vec<(u64, String)>,
    /// Those that can be read, ascending.
    pub(super) commits: Vec<Arc<Commit>>,
}

struct Link {
    number: u64,
    sha256: String,
    commit: Option<Arc<Commit>>,
}

pub(super) async fn read(store: &Store, id: &str, verification: &mut Verification) -> Result<Chain, Error> {
    let names = store.list(FOLDER, "").await?;
    let numbers: Vec<u64> = names.iter().filter_map(|name| manifest_number(name)).collect();
    let read = |number: u64| {
        let store = store.clone();
        async move { Ok::<_, Error>((number, store.get(&path(number)).await?)) }
    };
    let mut links: Vec<Link> = Vec::new();
    let mut manifests = std::pin::pin!(stream::iter(numbers).map(read).buffered(READS_AT_ONCE));
    while let Some((number, bytes)) = manifests.try_next().await? {
        let Some(bytes) = bytes else { continue };
        note_gap(links.last().map_or(0, |link| link.number), number, verification);
        links.push(look(number, &bytes, verification));
    }
    note_strangers(&links, id, verification);
    note_breaks(&links, verification);
    note_marks(&links, verification);
    verification.commits = links.len() as u64;
    verification.head = links.last().map(|link| (link.number, link.sha256.clone()));
    let commits = links.iter().filter_map(|link| link.commit.clone()).collect();
    Ok(Chain { digests: links.into_iter().map(|link| (link.number, link.sha256)).collect(), commits })
}

fn note_gap(before: u64, number: u64, verification: &mut Verification) {
    for missing in before + 1..number {
        let detail = format!("there is no manifest of commit {missing}, though there is one of commit {number}");
        verification.find(Fault::Missing, Some(missing), path(missing), detail);
    }
}

fn look(number: u64, bytes: &Bytes, verification: &mut Verification) -> Link {
    let mut commit = None;
    match parse(bytes) {
        Ok(found) if found.number != number => {
            let detail = format!("it is the manifest of commit {}", found.number);
            verification.find(Fault::Swapped, Some(number), path(number), detail);
        }
        Ok(found) => commit = Some(Arc::new(found)),
        Err(reason) => verification.find(Fault::Unreadable, Some(number), path(number), reason),
    }
    Link { number, sha256: digest(bytes), commit }
}

/// If every manifest names one other warehouse, it is the warehouse's own file that was changed.
fn note_strangers(links: &[Link], id: &str, verification: &mut Verification) {
    let commits = || links.iter().filter_map(|link| link.commit.as_ref());
    let ids: BTreeSet<&str> = commits().map(|commit| commit.warehouse_id.as_str()).collect();
    if ids.len() == 1 && !ids.contains(id) {
        let other: String = ids.into_iter().collect();
        let detail = format!("it says that this is warehouse {id}, every commit says {other}");
        verification.find(Fault::Edited, None, IDENTITY, detail);
        return;
    }
    for commit in commits().filter(|commit| commit.warehouse_id != id) {
        let detail = format!("it belongs to warehouse {}, this one is {id}", commit.warehouse_id);
        verification.find(Fault::Swapped, Some(commit.number), path(commit.number), detail);
    }
}

/// Where a manifest does not name the one before it, one of the two was changed since.
fn note_breaks(links: &[Link], verification: &mut Verification) {
    if let Some(Link { number: 1, commit: Some(commit), .. }) = links.first()
        && !commit.parent.is_empty()
    {
        let detail = format!("it is the first commit, and yet names {} as the manifest before it", commit.parent);
        verification.find(Fault::Edited, Some(1), path(1), detail);
    }
    for (place, (one, next)) in links.iter().zip(links.iter().skip(1)).enumerate() {
        let Some(parent) = broken(one, next) else { continue };
        // If the later one is not what the one after it was made on either, it is the later one that was changed.
        let is_later = links.get(place + 2).is_some_and(|after| broken(next, after).is_some());
        let (number, detail) = if is_later {
            (next.number, format!("it names {parent} as the manifest before it, whose SHA-256 is {}", one.sha256))
        } else {
            (one.number, format!("its SHA-256 is {}, commit {} was made on {parent}", one.sha256, next.number))
        };
        verification.find(Fault::Edited, Some(number), path(number), detail);
    }
    for (one, next) in links.iter().zip(links.iter().skip(1)) {
        let (Some(one), Some(next)) = (&one.commit, &next.commit) else { continue };
        if one.committed_at >= next.committed_at {
            let (before, at) = (one.committed_at, next.committed_at);
            let detail = format!("it says that it was made at {at}, but commit {} before it at {before}", one.number);
            verification.find(Fault::Edited, Some(next.number), path(next.number), detail);
        }
    }
}

/// A pin, a sign-off or a waiver names the manifest that it is about: one that does not fit shows that the chain was written anew.
fn note_marks(links: &[Link], verification: &mut Verification) {
    let digests: HashMap<u64, &str> = links.iter().map(|link| (link.number, link.sha256.as_str())).collect();
    // What is told as edited or gone already is not told again by every mark on it.
    let told: HashSet<String> = verification.findings.iter().map(|finding| finding.file.clone()).collect();
    for commit in links.iter().filter_map(|link| link.commit.as_ref()) {
        let pin = commit.pin.iter().map(|pin| ("pinned it", pin.commit, &pin.manifest));
        let signoff = commit.signoff.iter().map(|signoff| ("signed it off", signoff.commit, &signoff.manifest));
        let waiver = commit.waiver.iter().map(|waiver| ("decided on a waiver", waiver.commit, &waiver.manifest));
        for (verb, number, manifest) in pin.chain(signoff).chain(waiver) {
            if number >= commit.number {
                let detail = format!("it says of commit {number} that it {verb}, which is not before it");
                verification.find(Fault::Edited, Some(commit.number), path(commit.number), detail);
                continue;
            }
            let found = digests.get(&number).filter(|found| **found != manifest && !told.contains(&path(number)));
            if let Some(found) = found {
                let detail = format!(
                    "its SHA-256 is {found}, but {manifest} when commit {} {verb}: it or one before it was rewritten",
                    commit.number
                );
                verification.find(Fault::Edited, Some(number), path(number), detail);
            }
        }
    }
}

/// The parent that `next` names, if that is not `one` though it stands right before it. What cannot be read is told already.
fn broken<'a>(one: &Link, next: &'a Link) -> Option<&'a str> {
    let parent = next.commit.as_ref()?.parent.as_str();
    let follows = one.number + 1 == next.number && one.commit.is_some();
    (follows && parent != one.sha256).then_some(parent)
}
