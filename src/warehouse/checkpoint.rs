//! Checkpoints: the manifests up to a commit in one file, so that opening a warehouse never reads thousands of objects.
//!
//! A checkpoint is the manifests' own bytes, one a line, compressed (`zstd -dc … | jq`). So it is believed no more than the
//! manifests are: whoever reads it recomputes every digest and every link. Invariants: derived and never the truth; a file's
//! name carries the SHA-256 of its bytes; missing or damaged ones cost time and nothing else; written after the commit, and
//! only by who published it, because readers write nothing.

use std::io::Read;

use bytes::{BufMut, Bytes, BytesMut};
use futures::TryStreamExt;

use super::chain;
use super::commit::Head;
use super::error::Error;
use super::store::{Store, digest};

pub(super) const FOLDER: &str = "checkpoints";
const ENDING: &str = ".jsonl.zst";
/// A checkpoint after so many commits: the number of manifests that a reader must read one by one at most.
const EVERY: u64 = 20;
/// Older ones are removed: a reader needs the newest, and one more in case that is damaged or was just replaced.
const KEPT: usize = 2;
/// No chain of ours comes near it: what unpacks to more is not ours, and is not to fill the memory.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;

/// A checkpoint by its name: `<number>-<sha256>.jsonl.zst`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    number: u64,
    sha256: String,
}

impl Found {
    fn new(number: u64, packed: &[u8]) -> Self {
        Self { number, sha256: digest(packed) }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(super) fn path(&self) -> String {
        format!("{FOLDER}/{:020}-{}{ENDING}", self.number, self.sha256)
    }

    fn parse(name: &str) -> Option<Self> {
        let (digits, sha256) = name.strip_suffix(ENDING)?.split_once('-')?;
        let number = digits.parse().ok().filter(|number| digits.len() == 20 && *number > 0)?;
        (sha256.len() == 64).then(|| Self { number, sha256: sha256.to_owned() })
    }
}

/// Those there are, newest first.
pub(super) async fn list(store: &Store) -> Result<Vec<Found>, Error> {
    let names = store.list(FOLDER, "").await?;
    let mut found: Vec<Found> = names.iter().filter_map(|name| Found::parse(name)).collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok(found)
}

/// The manifests in one, as far as its own digest and their count vouch for them; the reason if it cannot be used.
pub(super) async fn read(store: &Store, found: &Found) -> Result<Vec<Bytes>, String> {
    let packed = packed(store, found).await?;
    let expected = usize::try_from(found.number).unwrap_or(usize::MAX);
    let unpacked = tokio::task::spawn_blocking(move || unpack(&packed)).await.map_err(|error| error.to_string())?;
    let manifests = unpacked.map_err(|error| error.to_string())?;
    if manifests.len() != expected {
        return Err(format!("it has {} manifests", manifests.len()));
    }
    Ok(manifests)
}

async fn packed(store: &Store, found: &Found) -> Result<Bytes, String> {
    let packed = store.get(&found.path()).await.map_err(|error| error.to_string())?.ok_or("it is gone")?;
    let actual = digest(&packed);
    if actual == found.sha256 { Ok(packed) } else { Err(format!("its SHA-256 is {actual}")) }
}

/// Writes a checkpoint of the head if one is due, and removes those that no reader needs any more.
pub(super) async fn keep(store: &Store, head: &Head) -> Result<(), Error> {
    let number = head.number();
    if number == 0 || !number.is_multiple_of(EVERY) {
        return Ok(());
    }
    let older: Vec<Found> = list(store).await?.into_iter().filter(|it| it.number < number).collect();
    let mut bytes = BytesMut::new();
    let mut from = 0;
    for found in &older {
        // What the older one holds is not read and compressed again: compressed pieces follow one another in one file.
        if let Some(packed) = fitting(store, head, found).await {
            (bytes, from) = (BytesMut::from(packed), found.number);
            break;
        }
    }
    let Some(piece) = piece(store, head, from).await? else { return Ok(()) };
    bytes.put(piece);
    let bytes = bytes.freeze();
    let found = Found::new(number, &bytes);
    store.put_new(&found.path(), bytes).await?;
    store.flush(&[found.path()]).await?;
    for superseded in older.iter().skip(KEPT - 1) {
        // A store that keeps everything may refuse; then it keeps it.
        if let Err(error) = store.remove(&superseded.path()).await {
            tracing::debug!(%error, "a superseded checkpoint stays");
        }
    }
    Ok(())
}

/// The bytes of an older checkpoint if it is whole and ends where the head's chain passes.
async fn fitting(store: &Store, head: &Head, found: &Found) -> Option<Bytes> {
    let expected = digest_of(head, found.number)?;
    let packed = packed(store, found).await.ok()?;
    let again = packed.clone();
    let manifests = tokio::task::spawn_blocking(move || unpack(&again)).await.ok()?.ok()?;
    let counted = u64::try_from(manifests.len()).ok()? == found.number;
    (counted && digest(manifests.last()?) == expected).then_some(packed)
}

/// The manifests after `from` up to the head, compressed; none if one of them could not stand in a line.
async fn piece(store: &Store, head: &Head, from: u64) -> Result<Option<Bytes>, Error> {
    let numbers: Vec<u64> = (from + 1..=head.number()).collect();
    let mut manifests = std::pin::pin!(chain::read_all(store, &numbers));
    let mut lines = Vec::new();
    while let Some((number, bytes)) = manifests.try_next().await? {
        if digest_of(head, number) != Some(digest(&bytes)) {
            return Err(Error::corrupt(chain::path(number), "it changed after it was read"));
        }
        if bytes.contains(&b'\n') {
            return Ok(None);
        }
        lines.extend_from_slice(&bytes);
        lines.push(b'\n');
    }
    let compressed = tokio::task::spawn_blocking(move || zstd::bulk::compress(&lines, zstd::DEFAULT_COMPRESSION_LEVEL));
    let compressed = compressed.await.unwrap_or_else(|stopped| Err(stopped.into()));
    let failed = |source| Error::Io { action: "compress", path: FOLDER.to_owned(), source };
    compressed.map(|bytes| Some(Bytes::from(bytes))).map_err(failed)
}

/// SHA-256 of a commit's manifest, as the chain has it.
fn digest_of(head: &Head, number: u64) -> Option<String> {
    if number == head.number() {
        return Some(head.digest.clone());
    }
    head.commit(number + 1).map(|next| next.parent.clone())
}

/// The manifests in a checkpoint's bytes, in order.
pub(super) fn unpack(packed: &[u8]) -> std::io::Result<Vec<Bytes>> {
    let mut text = Vec::new();
    zstd::Decoder::new(packed)?.take(UNPACKED_BYTES_MAX).read_to_end(&mut text)?;
    let text = Bytes::from(text);
    let mut manifests = Vec::new();
    let mut start = 0;
    for (end, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        manifests.push(text.slice(start..end));
        start = end + 1;
    }
    if start == text.len() {
        Ok(manifests)
    } else {
        Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "its last line has no end"))
    }
}
