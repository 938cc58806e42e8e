//! The chain of commits on disk: reading what is new of it, refusing what does not fit.
//!
//! Invariants: numbers run from 1 without gaps; each manifest carries the SHA-256 of the one before it, the warehouse's id and
//! a moment later than the one before it. Whatever breaks this is an [`Error::Corrupt`] that names the file.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::commit::{Commit, FORMAT, Head};
use super::error::Error;
use super::rows::ColumnType;
use super::store::{Store, digest};

pub(super) const FOLDER: &str = "commits";

/// Where the manifest of a commit lies.
pub(super) fn path(number: u64) -> String {
    format!("{FOLDER}/{number:020}.json")
}

/// The chain as it stands now; `known` itself if nothing was added to it.
pub(super) async fn advance(store: &Store, warehouse_id: &str, known: &Arc<Head>) -> Result<Arc<Head>, Error> {
    let after = match known.number() {
        0 => String::new(),
        number => format!("{number:020}.json"),
    };
    let names = store.list(FOLDER, &after).await?;
    // Collected: a borrowing iterator held over an await makes the future unfit for other threads.
    let found: Vec<u64> = names.iter().filter_map(|name| manifest_number(name)).collect();
    if found.is_empty() {
        return Ok(Arc::clone(known));
    }
    let mut head = Head::clone(known);
    for number in found {
        let expected = head.number() + 1;
        if number != expected {
            return Err(Error::corrupt(path(expected), format!("it is missing, though commit {number} is there")));
        }
        let file = path(number);
        let missing = || Error::corrupt(&file, "it was listed and then gone");
        let bytes = store.get(&file).await?.ok_or_else(missing)?;
        append(&mut head, warehouse_id, number, &bytes).map_err(|reason| Error::corrupt(file, reason))?;
    }
    Ok(Arc::new(head))
}

/// The number in the name of a manifest; other files in the folder are none of ours.
pub(super) fn manifest_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json").filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// What every format of a manifest has, so that a newer one is refused by its number and not by its first unknown field.
#[derive(Deserialize)]
struct Preamble {
    format: u32,
}

/// Reads one manifest; the reason if it is none.
pub(super) fn parse(bytes: &Bytes) -> Result<Commit, String> {
    if bytes.is_empty() {
        return Err("it is empty: the machine lost power while publishing it\n\
                    hint: if it is the newest file in its folder, delete it; the run it belongs to was never confirmed"
            .to_owned());
    }
    let format =
        serde_json::from_slice::<Preamble>(bytes).map_err(|error| format!("it is no manifest: {error}"))?.format;
    if format == 0 || format > FORMAT {
        return Err(format!(
            "it has format {format}, this version knows 1 to {FORMAT}\nhint: use a newer version of tieout"
        ));
    }
    serde_json::from_slice(bytes).map_err(|error| format!("it is no manifest: {error}"))
}

fn append(head: &mut Head, warehouse_id: &str, number: u64, bytes: &Bytes) -> Result<(), String> {
    let commit = parse(bytes)?;
    if commit.warehouse_id != warehouse_id {
        return Err(format!("it belongs to warehouse {}, this one is {warehouse_id}", commit.warehouse_id));
    }
    if commit.number != number {
        return Err(format!("it says that it is commit {}", commit.number));
    }
    if commit.parent != head.digest {
        return Err(format!(
            "its parent is `{}`, but the manifest before it has SHA-256 `{}`",
            commit.parent, head.digest
        ));
    }
    if head.last().is_some_and(|last| last.committed_at >= commit.committed_at) {
        return Err(format!("it was committed at {}, not after the one before it", commit.committed_at));
    }
    let words = commit.tables.iter().flat_map(|table| table.columns.iter().map(|(_, word)| word));
    if let Some(word) = words.into_iter().find(|word| ColumnType::parse(word).is_none()) {
        return Err(format!("column type `{word}` is unknown"));
    }
    head.push(Arc::new(commit), digest(bytes));
    Ok(())
}
