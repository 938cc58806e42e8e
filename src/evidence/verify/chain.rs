//! The manifests of a package linked anew, the definitions against their digests, the moment against both.

use serde::Deserialize;

use super::Checked;
use super::opened::Opened;
use crate::definitions::Definitions;
use crate::evidence::index::{Index, Logic};
use crate::evidence::{Error, sha256};
use crate::warehouse::KeptDigest;

/// What of a manifest the links are made of; what else is in it is under its digest.
#[derive(Deserialize)]
struct Manifest {
    number: u64,
    warehouse_id: String,
    parent: String,
    committed_at: String,
    definitions: String,
    pin: Option<Pin>,
}

#[derive(Deserialize)]
struct Pin {
    name: String,
    commit: u64,
    manifest: String,
}

pub(super) fn check(
    package: &mut Opened,
    index: &Index,
    kept: Option<&KeptDigest>,
    checked: &mut Checked,
) -> Result<(), Error> {
    let as_of = &index.as_of;
    let last = as_of.pin.as_ref().map_or(as_of.commit, |pin| pin.commit.max(as_of.commit));
    let mut parent = String::new();
    let mut digests = Vec::new();
    for number in 1..=last {
        let file = format!("chain/commits/{number:020}.json");
        let Some(Ok(bytes)) = package.bytes(&file)? else {
            checked.find(&file, "it is missing, and with it the proof of all after it");
            return Ok(());
        };
        let digest = sha256(&bytes);
        let manifest: Manifest = match serde_json::from_slice(&bytes) {
            Ok(manifest) => manifest,
            Err(error) => {
                checked.find(&file, format!("it is no manifest: {error}"));
                return Ok(());
            }
        };
        link(&manifest, (number, &file), &parent, index, checked);
        if number == as_of.commit {
            moment(&manifest, &digest, &file, index, checked);
        }
        if let Some(pin) = as_of.pin.as_ref().filter(|pin| pin.commit == number) {
            let said = manifest.pin.as_ref();
            let is_it = said.is_some_and(|said| {
                said.name == pin.name && said.commit == as_of.commit && said.manifest == as_of.digest
            });
            if !is_it || digest != pin.digest {
                checked.find(&file, format!("it does not give the name {} to commit {}", pin.name, as_of.commit));
            }
        }
        checked.commits += 1;
        digests.push((number, digest.clone()));
        parent = digest;
    }
    checked.head = Some((as_of.commit, as_of.digest.clone()));
    if let Some(kept) = kept.filter(|kept| !digests.iter().any(|(number, digest)| kept.is(*number, digest))) {
        let detail = format!("the head that was kept, {kept}, is not in it: it ends with commit {last}");
        checked.find("chain/commits", detail);
    }
    definitions(package, index, checked)
}

fn link(manifest: &Manifest, (number, file): (u64, &str), parent: &str, index: &Index, checked: &mut Checked) {
    if manifest.number != number {
        checked.find(file, format!("it is the manifest of commit {}", manifest.number));
    }
    if manifest.warehouse_id != index.warehouse_id {
        let detail = format!("it belongs to warehouse {}, not {}", manifest.warehouse_id, index.warehouse_id);
        checked.find(file, detail);
    }
    if manifest.parent != parent {
        let detail = format!("it names `{}` as the manifest before it, whose SHA-256 is `{parent}`", manifest.parent);
        checked.find(file, detail);
    }
}

/// The commit that is read is the one that the index speaks of.
fn moment(manifest: &Manifest, digest: &str, file: &str, index: &Index, checked: &mut Checked) {
    let as_of = &index.as_of;
    if digest != as_of.digest {
        checked.find(file, format!("its SHA-256 is {digest}, the index says {}", as_of.digest));
    }
    if manifest.committed_at != as_of.committed_at {
        checked.find(file, format!("it was made {}, the index says {}", manifest.committed_at, as_of.committed_at));
    }
    let used = &index.definitions;
    if manifest.definitions != used.of_commit || (used.read_by == "pinned" && used.hash != used.of_commit) {
        checked.find(file, format!("it names the definitions {}, the index others", manifest.definitions));
    }
}

/// The definitions are those of their name, and every result follows from a text in them.
fn definitions(package: &mut Opened, index: &Index, checked: &mut Checked) -> Result<(), Error> {
    let file = format!("chain/definitions/{}.json", index.definitions.hash);
    let Some(Ok(bytes)) = package.bytes(&file)? else {
        checked.find(&file, "it is missing, and with it the logic of all results");
        return Ok(());
    };
    let digest = sha256(&bytes);
    if digest != index.definitions.hash {
        checked.find(&file, format!("its SHA-256 is {digest}"));
    }
    let Ok(set) = Definitions::from_json(&String::from_utf8_lossy(&bytes)) else {
        checked.find(&file, "it is no set of definitions");
        return Ok(());
    };
    for item in &index.items {
        let is_there =
            |logic: &&Logic| set.get(&logic.path).is_some_and(|text| sha256(text.as_bytes()) == logic.sha256);
        for logic in item.logic.iter().filter(|logic| !is_there(logic)) {
            checked.find(&file, format!("{} in it is not the text that {} followed from", logic.path, item.name));
        }
        let Some(Ok(sql)) = package.bytes(&item.sql)? else { continue };
        let sql = String::from_utf8_lossy(&sql).into_owned();
        let texts = item.logic.iter().filter_map(|logic| set.get(&logic.path));
        if !sql.contains(&item.query) || !texts.into_iter().all(|text| sql.contains(text)) {
            checked.find(&item.sql, "it is not the query and the texts that the index and the definitions have");
        }
    }
    Ok(())
}
