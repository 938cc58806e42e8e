//! The chain of commits: reading what is new of it, refusing what does not fit.
//!
//! Invariants: numbers run from 1 without gaps; each manifest carries the SHA-256 of the one before it, the warehouse's id and
//! a moment later than the one before it. Whatever breaks this is an [`Error::Corrupt`] that names the file. A checkpoint
//! saves requests and no check: its manifests are linked like any others, up to one that is in the chain itself.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use super::checkpoint;
use super::commit::{Commit, FORMAT, Head};
use super::error::Error;
use super::rows::ColumnType;
use super::store::{Store, digest};

pub(super) const FOLDER: &str = "commits";
/// Manifests read at once: what a store answers in parallel, without asking it for thousands of connections.
const READS_AT_ONCE: usize = 64;
/// What a copy that was cut short, and what a wrong hand, leave behind looks the same.
pub(crate) const HALF_COPIED: &str = "hint: the copy of the warehouse is not complete, or a file was removed or damaged; copy it again, or restore it from a backup";

/// Where the manifest of a commit lies.
pub(super) fn path(number: u64) -> String {
    format!("{FOLDER}/{}", name(number))
}

fn name(number: u64) -> String {
    format!("{number:020}.json")
}

/// The chain as it stands, read from the newest checkpoint that fits, else from its beginning.
pub(super) async fn open(store: &Store, warehouse_id: &str) -> Result<Arc<Head>, Error> {
    for found in checkpoint::list(store).await? {
        let (manifests, numbers) =
            futures::join!(checkpoint::read(store, &found), numbers_after(store, found.number() - 1));
        let numbers = numbers?;
        let manifests = match manifests {
            Ok(manifests) => manifests,
            Err(reason) => {
                tracing::warn!(file = %found.path(), %reason, "a checkpoint cannot be used; the commits themselves are read");
                continue;
            }
        };
        if numbers.first() != Some(&found.number()) {
            let reason = format!("it is missing, though {} was made after it\n{HALF_COPIED}", found.path());
            return Err(Error::corrupt(path(found.number()), reason));
        }
        if let Some(head) = resume(store, warehouse_id, manifests, &numbers).await? {
            return Ok(Arc::new(head));
        }
        tracing::warn!(file = %found.path(), "a checkpoint does not fit the chain; the commits themselves are read");
    }
    let numbers = numbers_after(store, 0).await?;
    if numbers.is_empty() {
        refuse_orphans(store).await?;
    }
    let mut head = Head::default();
    read_on(store, warehouse_id, &mut head, &numbers).await?;
    Ok(Arc::new(head))
}

/// The chain as it stands now; `known` itself if nothing was added to it. One request if so.
pub(super) async fn advance(store: &Store, warehouse_id: &str, known: &Arc<Head>) -> Result<Arc<Head>, Error> {
    let next = known.number() + 1;
    // Asking for the next manifest costs a tenth of a listing, and a store answers it from its index.
    let Some(bytes) = store.get(&path(next)).await? else { return Ok(Arc::clone(known)) };
    let mut head = Head::clone(known);
    append(&mut head, warehouse_id, next, &bytes)?;
    let numbers = numbers_after(store, next).await?;
    read_on(store, warehouse_id, &mut head, &numbers).await?;
    Ok(Arc::new(head))
}

/// A head on a checkpoint's manifests, with those after it; none if the checkpoint is not of this chain.
async fn resume(
    store: &Store,
    warehouse_id: &str,
    manifests: Vec<Bytes>,
    after: &[u64],
) -> Result<Option<Head>, Error> {
    // The manifests after the checkpoint, the one that proves it first, do not wait until it is understood.
    let rest = read_all(store, after).try_collect::<Vec<_>>();
    let (parsed, rest) = futures::join!(parse_all(manifests), rest);
    let mut head = Head::default();
    for (number, parsed) in (1..).zip(parsed) {
        let linked = parsed.and_then(|(commit, digest)| link(&mut head, warehouse_id, number, commit, digest));
        if let Err(reason) = linked {
            tracing::warn!(number, %reason, "a checkpoint holds a manifest that does not fit");
            return Ok(None);
        }
    }
    let mut rest = rest?.into_iter();
    if rest.next().is_none_or(|(_, newest)| digest(&newest) != head.digest) {
        return Ok(None);
    }
    for (number, bytes) in rest {
        append(&mut head, warehouse_id, number, &bytes)?;
    }
    Ok(Some(head))
}

/// Parses manifests on all processors: ten years of them are some hundred megabytes.
async fn parse_all(manifests: Vec<Bytes>) -> Vec<Result<(Commit, String), String>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = manifests.len().div_ceil(workers).max(1);
    let work = manifests.chunks(share).map(<[Bytes]>::to_vec).map(|share| {
        tokio::task::spawn_blocking(move || {
            share.iter().map(|bytes| Ok((parse(bytes)?, digest(bytes)))).collect::<Vec<_>>()
        })
    });
    let done = futures::future::join_all(work).await;
    done.into_iter().flat_map(|share| share.unwrap_or_else(|stopped| vec![Err(stopped.to_string())])).collect()
}

async fn read_on(store: &Store, warehouse_id: &str, head: &mut Head, numbers: &[u64]) -> Result<(), Error> {
    let mut manifests = std::pin::pin!(read_all(store, numbers));
    while let Some((number, bytes)) = manifests.try_next().await? {
        append(head, warehouse_id, number, &bytes)?;
    }
    Ok(())
}

/// Reads manifests, many at once, in order.
pub(super) fn read_all(store: &Store, numbers: &[u64]) -> impl futures::Stream<Item = Result<(u64, Bytes), Error>> {
    // Collected and cloned: a stream that borrows, held over an await, makes the future unfit for other threads.
    let (store, numbers) = (store.clone(), numbers.to_vec());
    let read = move |number| {
        let store = store.clone();
        async move {
            let file = path(number);
            let gone = || Error::corrupt(&file, format!("it was listed and then gone\n{HALF_COPIED}"));
            Ok((number, store.get(&file).await?.ok_or_else(gone)?))
        }
    };
    stream::iter(numbers).map(read).buffered(READS_AT_ONCE)
}

/// The numbers of the manifests after one, ascending. Other files in the folder are none of ours.
async fn numbers_after(store: &Store, number: u64) -> Result<Vec<u64>, Error> {
    let after = if number == 0 { String::new() } else { name(number) };
    let names = store.list(FOLDER, &after).await?;
    Ok(names.iter().filter_map(|name| manifest_number(name)).collect())
}

/// The number in the name of a manifest; other files in the folder are none of ours.
pub(super) fn manifest_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json").filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Without commits there can be files of a first run that died, but none of a later one: that is a copy without its chain.
async fn refuse_orphans(store: &Store) -> Result<(), Error> {
    let is_later = |name: &str| {
        let digits = name.split('-').next().filter(|digits| digits.len() == 20);
        digits.and_then(|digits| digits.parse::<u64>().ok()).is_some_and(|number| number > 1)
    };
    let Some(orphan) = store.find("data", is_later).await? else { return Ok(()) };
    let reason =
        format!("there is no commit at all, but {orphan} belongs to a later one than the first\n{HALF_COPIED}");
    Err(Error::corrupt(FOLDER, reason))
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
    let format = serde_json::from_slice::<Preamble>(bytes).map_err(no_manifest)?.format;
    if format == 0 {
        return Err(format!("it has format 0, which there is not\n{HALF_COPIED}"));
    }
    if format > FORMAT {
        return Err(format!(
            "it has format {format}, this version knows 1 to {FORMAT}\nhint: use a newer version of tieout"
        ));
    }
    serde_json::from_slice(bytes).map_err(no_manifest)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn no_manifest(error: serde_json::Error) -> String {
    format!("it is no manifest: {error}\n{HALF_COPIED}")
}

fn append(head: &mut Head, warehouse_id: &str, number: u64, bytes: &Bytes) -> Result<(), Error> {
    let expected = head.number() + 1;
    if number != expected {
        let reason = format!("it is missing, though commit {number} is there\n{HALF_COPIED}");
        return Err(Error::corrupt(path(expected), reason));
    }
    if let Ok(Preamble { format }) = serde_json::from_slice(bytes)
        && format > FORMAT
    {
        return Err(Error::Newer { file: path(number), found: format, known: FORMAT });
    }
    let linked = parse(bytes).and_then(|commit| link(head, warehouse_id, number, commit, digest(bytes)));
    linked.map_err(|reason| Error::corrupt(path(number), reason))
}

/// Adds the commit, if it is the next of the chain.
fn link(head: &mut Head, warehouse_id: &str, number: u64, commit: Commit, digest: String) -> Result<(), String> {
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
    head.push(Arc::new(commit), digest);
    Ok(())
}
