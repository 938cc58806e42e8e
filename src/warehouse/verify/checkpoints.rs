//! The checkpoints against their names and against the manifests that they repeat.
//!
//! Readers pass over a checkpoint that does not fit, so that a damaged one costs time alone; it is told all the same.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::chain::Chain;
use super::report::{Fault, Verification};
use crate::warehouse::chain::path;
use crate::warehouse::checkpoint::{Found, unpack};
use crate::warehouse::error::Error;
use crate::warehouse::store::{Store, digest};

/// What to do about one: no row depends on it.
const DERIVED: &str = "it only repeats the manifests, and can be deleted";

/// Looks at checkpoints that were listed before the chain was read.
pub(super) async fn check(
    store: &Store,
    checkpoints: &[Found],
    chain: &Chain,
    verification: &mut Verification,
) -> Result<(), Error> {
    let digests: HashMap<u64, &str> = chain.digests.iter().map(|(number, sha256)| (*number, sha256.as_str())).collect();
    let last = chain.digests.last().map_or(0, |(number, _)| *number);
    // A manifest that was told already is not told again by every checkpoint that has it as it was.
    let told: HashSet<String> = verification.findings.iter().map(|finding| finding.file.clone()).collect();
    for found in checkpoints {
        // A run may have put a newer one in its place meanwhile.
        let Some(packed) = store.get(&found.path()).await? else { continue };
        let mut note = |fault, detail| verification.find(fault, Some(found.number()), found.path(), detail);
        if found.number() > last {
            let detail = format!(
                "it was made of {} commits, the chain ends with commit {last}: later commits were removed",
                found.number()
            );
            note(Fault::CutOff, detail);
        }
        let actual = digest(&packed);
        if actual != found.sha256() {
            let detail = format!("its SHA-256 is {actual}, its name says {}; {DERIVED}", found.sha256());
            note(Fault::Edited, detail);
            continue;
        }
        let unpacked = tokio::task::spawn_blocking(move || unpack(&packed)).await.unwrap_or_else(|it| Err(it.into()));
        match unpacked {
            Ok(manifests) => {
                if let Some((fault, detail)) = differs(found, &manifests, &digests, &told) {
                    note(fault, detail);
                }
            }
            Err(error) => note(Fault::Unreadable, format!("{error}; {DERIVED}")),
        }
    }
    Ok(())
}

fn differs(
    found: &Found,
    manifests: &[Bytes],
    digests: &HashMap<u64, &str>,
    told: &HashSet<String>,
) -> Option<(Fault, String)> {
    if manifests.len() as u64 != found.number() {
        let (has, number) = (manifests.len(), found.number());
        return Some((Fault::Figures, format!("it has {has} manifests, its name says {number}; {DERIVED}")));
    }
    for (number, manifest) in (1..).zip(manifests) {
        // Manifests that are gone are told as such.
        let Some(expected) = digests.get(&number).filter(|_| !told.contains(&path(number))) else { continue };
        let actual = digest(manifest);
        if actual != *expected {
            let detail = format!(
                "its manifest of commit {number} has SHA-256 {actual}, {} has {expected}: one of the two was rewritten",
                path(number)
            );
            return Some((Fault::Edited, detail));
        }
    }
    None
}
