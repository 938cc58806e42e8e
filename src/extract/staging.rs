//! Lists that a run has read, kept beside the settings until the run is committed: one that was killed or stopped goes on
//! where it was.
//!
//! One file a source, for its owner's eyes only. Its first frame says what the lists were read under; each further frame is
//! one list that was read to its end: length, SHA-256, the list's identity, the moments, what came of it, and the rows that a
//! long list packed already. It is written when the list is read, its head last, so that it survives the process.
//!
//! Invariants: rows come here after redaction, and no setting that is secret does, not even as a hash that could be tried
//! out; a torn or altered frame is cut off with all behind it, and those lists are read again; what was read under another
//! manifest, other settings or another commit is dropped; a list counts for [`LASTS`]; the file has a largest size, beyond
//! which lists are not kept. Whatever goes wrong here costs requests, never a run.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SourceSettings;
use super::decode::Row;
use super::drift::Seen;
use super::long_list::{LongList, Outline};
use super::scope::{Job, ScopeRead};
use super::secrets::Setting;
use crate::warehouse::rows::{CoverageStatus, Reject};

/// How long a list that was read may wait for its commit.
pub const LASTS: TimeDelta = TimeDelta::hours(12);

/// How a staging file's name ends.
const ENDING: &str = "lists";

/// The layout of the file.
const FORMAT: u32 = 3;

/// Length and digest before each frame.
const HEAD_BYTES: usize = 4 + 32;

/// Identity, two moments and the length of what comes before the packed rows, at a frame's beginning.
const FRAME_BYTES: usize = 32 + 8 + 8 + 4;

/// Bytes of a frame that are looked through at once.
const PIECE_BYTES: u64 = 1 << 20;

/// No frame is longer: a length beyond it is damage.
const FRAME_MAX: u32 = 1 << 31;

/// Where lists wait for their commit, and what they are read for.
#[derive(Clone, Debug)]
pub struct StagingPlace {
    /// The source's file.
    pub path: PathBuf,
    /// What the run builds on: lists that were read before somebody else committed the source are too old.
    pub base: String,
    /// Lists beyond it are not kept.
    pub bytes_max: u64,
    /// Whether lists of a run that did not end are taken.
    pub resumes: bool,
}

impl StagingPlace {
    /// The file of a source in a workspace, for runs into one warehouse.
    pub fn path(directory: &Path, source: &str, warehouse: &str) -> PathBuf {
        folder(directory).join(format!("{source}-{warehouse}.{ENDING}"))
    }
}

fn folder(directory: &Path) -> PathBuf {
    directory.join("staging")
}

/// Removes a source's staged lists: they are committed.
pub fn remove_staged(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "staged lists stay until the next run");
        }
        _ => {}
    }
    // Empty or not: a folder with lists of other sources stays.
    let _ = path.parent().map(fs::remove_dir);
}

/// Removes what runs of a workspace left behind that nobody went on with in time.
pub fn remove_stale(directory: &Path) {
    let Ok(entries) = fs::read_dir(folder(directory)) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let age = fs::metadata(&path).and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
        let is_stale = age.and_then(|age| TimeDelta::from_std(age).ok()).is_some_and(|age| age > LASTS);
        if is_stale && path.extension().is_some_and(|ending| ending == ENDING) {
            remove_staged(&path);
        }
    }
}

/// What the lists in a file were read under.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    salt: String,
    fingerprint: String,
    /// When the first of the runs began, by the run's clock.
    began_at: DateTime<Utc>,
    /// The same by the source's clock: the cursor of the run that ends it.
    started_at: DateTime<Utc>,
}

/// A staging file in use.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
    resumed: AtomicU64,
    /// When the first of the runs began, by the run's clock.
    pub(crate) began_at: DateTime<Utc>,
    /// The same by the source's clock.
    pub(crate) started_at: DateTime<Utc>,
}

#[derive(Debug)]
struct State {
    /// None once a write failed: what follows could not be told from what was cut off.
    file: Option<File>,
    end: u64,
    /// Where each list's frame begins.
    known: HashMap<Identity, u64>,
}

type Identity = [u8; 32];

/// One table's part of a list.
#[derive(Debug, Serialize, Deserialize)]
struct Staged<'a> {
    table: Cow<'a, str>,
    rows: Outline<'a, Row>,
    rejects: Cow<'a, [Reject]>,
    status: CoverageStatus,
    expected: Option<u64>,
    observed_at: DateTime<Utc>,
    error: Option<Cow<'a, str>>,
    seen: Cow<'a, Seen>,
    left_out: u64,
}

impl Staging {
    /// The lists of a run that did not end, or a new file; none if there is no place for it. `now` is by the run's clock.
    pub(crate) fn open(
        place: &StagingPlace,
        source: &SourceSettings,
        now: DateTime<Utc>,
        started_at: DateTime<Utc>,
    ) -> Option<Self> {
        if place.resumes
            && let Some(found) = Self::reopen(place, source, now)
        {
            return Some(found);
        }
        match Self::create(place, source, now, started_at) {
            Ok(staging) => Some(staging),
            Err(error) => {
                tracing::warn!(path = %place.path.display(), %error, "read lists cannot be kept: a stopped run starts anew");
                None
            }
        }
    }

    fn create(
        place: &StagingPlace,
        source: &SourceSettings,
        began_at: DateTime<Utc>,
        started_at: DateTime<Utc>,
    ) -> io::Result<Self> {
        let salt = uuid::Uuid::new_v4().to_string();
        let fingerprint = fingerprint(source, &place.base, &salt);
        let header = Header { format: FORMAT, salt, fingerprint, began_at, started_at };
        let mut file = create_private(&place.path)?;
        let body = serde_json::to_vec(&header)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        let frame = [length.to_le_bytes().as_slice(), &Sha256::digest(&body), &body].concat();
        file.write_all(&frame)?;
        let state = State { file: Some(file), end: frame.len() as u64, known: HashMap::new() };
        Ok(Self::new(place, state, began_at, started_at))
    }

    fn new(place: &StagingPlace, state: State, began_at: DateTime<Utc>, started_at: DateTime<Utc>) -> Self {
        Self {
            path: place.path.clone(),
            bytes_max: place.bytes_max,
            state: Mutex::new(state),
            resumed: AtomicU64::new(0),
            began_at,
            started_at,
        }
    }

    /// None if there is nothing to go on with.
    fn reopen(place: &StagingPlace, source: &SourceSettings, now: DateTime<Utc>) -> Option<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(&place.path).ok()?;
        let frame = next_frame(&mut file, usize::MAX).ok()??;
        let header: Header = serde_json::from_slice(&frame.beginning).ok()?;
        if header.format != FORMAT || header.fingerprint != fingerprint(source, &place.base, &header.salt) {
            tracing::info!(
                source = source.name,
                "a run that did not end was of other settings or another commit: starting anew"
            );
            return None;
        }
        let (mut end, mut known) = (frame.length, HashMap::new());
        loop {
            match next_frame(&mut file, FRAME_BYTES) {
                Ok(Some(frame)) => {
                    if let Some((identity, at, wall)) = beginning(&frame.beginning)
                        && is_fresh(at, now)
                        && is_fresh(wall, Utc::now())
                    {
                        known.insert(identity, end);
                    }
                    end += frame.length;
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::info!(path = %place.path.display(), %error, "the end of staged lists is damaged: read again");
                    break;
                }
            }
        }
        // What was written after a torn frame could never be found again.
        file.set_len(end).ok()?;
        if known.is_empty() {
            return None;
        }
        Some(Self::new(place, State { file: Some(file), end, known }, header.began_at, header.started_at))
    }

    /// The rows of a list that was read before.
    pub(crate) fn take<'a>(&self, source: &'a SourceSettings, job: &Job<'a>) -> Option<Vec<ScopeRead<'a>>> {
        let (json, mut packed_at) = {
            let mut state = self.state();
            let offset = *state.known.get(&identity(job))?;
            let file = state.file.as_mut()?;
            // Whole: it was written by this run, or looked through when the file was opened.
            file.seek(SeekFrom::Start(offset + HEAD_BYTES as u64)).ok()?;
            let mut head = [0; FRAME_BYTES];
            file.read_exact(&mut head).ok()?;
            let length = u32::from_le_bytes(*head.last_chunk()?);
            let mut json = vec![0; usize::try_from(length).ok()?];
            file.read_exact(&mut json).ok()?;
            (json, offset + (HEAD_BYTES + FRAME_BYTES) as u64 + u64::from(length))
        };
        let staged: Vec<Staged<'_>> = serde_json::from_slice(&zstd::decode_all(json.as_slice()).ok()?).ok()?;
        // Another handle has another position.
        let file = Arc::new(Mutex::new(File::open(&self.path).ok()?));
        let reads = staged.into_iter().map(|staged| read(source, job, staged, &file, &mut packed_at));
        let reads: Option<Vec<ScopeRead<'a>>> = reads.collect();
        self.resumed.fetch_add(u64::from(reads.is_some()), Ordering::Relaxed);
        reads
    }

    /// Keeps a list that was read to its end.
    pub(crate) fn put(&self, job: &Job<'_>, reads: &[ScopeRead<'_>]) {
        let Some(at) = reads.iter().map(|read| read.observed_at).min() else { return };
        if !reads.first().is_some_and(|read| read.is_finished) {
            return;
        }
        let frame = match frame(job, reads, at) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::debug!(table = job.table.name, %error, "a list could not be kept");
                return;
            }
        };
        let mut state = self.state();
        let State { file: Some(file), end, known } = &mut *state else { return };
        match write_frame(file, *end, self.bytes_max, frame) {
            Ok(None) => {}
            Ok(Some(length)) => {
                known.insert(identity(job), *end);
                *end += length;
            }
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "read lists are no longer kept: a stopped run reads them again");
                state.file = None;
            }
        }
    }

    /// How many lists were taken from an earlier run.
    pub(crate) fn resumed(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment in the future is of a clock that was set back, and as good as none.
fn is_fresh(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (TimeDelta::zero()..LASTS).contains(&(now - at))
}

fn read<'a>(
    source: &'a SourceSettings,
    job: &Job<'a>,
    staged: Staged<'_>,
    file: &Arc<Mutex<File>>,
    packed_at: &mut u64,
) -> Option<ScopeRead<'a>> {
    Some(ScopeRead {
        table: source.manifest.table(&staged.table)?,
        scope: Arc::clone(&job.scope),
        parent: job.parent.clone(),
        rows: LongList::of_outline(staged.rows, file, packed_at),
        rejects: staged.rejects.into_owned(),
        status: staged.status,
        expected: staged.expected,
        observed_at: staged.observed_at,
        error: staged.error.map(Cow::into_owned),
        failure: None,
        is_unsteady: false,
        is_finished: true,
        seen: staged.seen.into_owned(),
        left_out: staged.left_out,
    })
}

/// Writes a list at the file's end and gives the frame's length; none if it was not written, for it is too long. What is written
/// of a frame counts only once its head is there, which comes last: the packed rows of a list may be most of what a source has,
/// and are passed through one part at a time.
fn write_frame(
    file: &mut File,
    end: u64,
    bytes_max: u64,
    (beginning, packed): (Vec<u8>, Parts<'_>),
) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(end))?;
    file.write_all(&[0; HEAD_BYTES])?;
    let (mut length, mut hasher) = (0, Sha256::new());
    for part in [Ok(Cow::Owned(beginning))].into_iter().chain(packed) {
        let part = part?;
        length += part.len();
        if length > FRAME_MAX as usize || end + (HEAD_BYTES + length) as u64 > bytes_max {
            file.set_len(end)?;
            return Ok(None);
        }
        hasher.update(&part);
        file.write_all(&part)?;
    }
    file.seek(SeekFrom::Start(end))?;
    file.write_all(&u32::try_from(length).map_err(io::Error::other)?.to_le_bytes())?;
    file.write_all(&hasher.finalize())?;
    Ok(Some((HEAD_BYTES + length) as u64))
}

/// The packed rows of a list, part by part.
type Parts<'r> = Box<dyn Iterator<Item = io::Result<Cow<'r, [u8]>>> + 'r>;

/// A list's frame but for its head, and the packed rows that follow it.
fn frame<'r>(job: &Job<'_>, reads: &'r [ScopeRead<'_>], at: DateTime<Utc>) -> io::Result<(Vec<u8>, Parts<'r>)> {
    let staged = reads.iter().map(|read| Staged {
        table: Cow::Borrowed(&read.table.name),
        rows: read.rows.outline().0,
        rejects: Cow::Borrowed(&read.rejects),
        status: read.status,
        expected: read.expected,
        observed_at: read.observed_at,
        error: read.error.as_deref().map(Cow::Borrowed),
        seen: Cow::Borrowed(&read.seen),
        left_out: read.left_out,
    });
    let staged: Vec<Staged<'_>> = staged.collect();
    let mut frame = identity(job).to_vec();
    frame.extend(at.timestamp_micros().to_le_bytes());
    frame.extend(Utc::now().timestamp_micros().to_le_bytes());
    let mut json = zstd::Encoder::new(Vec::new(), 1)?;
    serde_json::to_writer(&mut json, &staged)?;
    let json = json.finish()?;
    frame.extend(u32::try_from(json.len()).map_err(io::Error::other)?.to_le_bytes());
    frame.extend(json);
    Ok((frame, Box::new(reads.iter().flat_map(|read| read.rows.outline().1))))
}

/// Identity and moments of a list: when it was read by the run's clock, when it was written by the machine's.
fn beginning(body: &[u8]) -> Option<(Identity, DateTime<Utc>, DateTime<Utc>)> {
    let moment = |from: usize| {
        let bytes: [u8; 8] = body.get(from..from + 8)?.try_into().ok()?;
        DateTime::from_timestamp_micros(i64::from_le_bytes(bytes))
    };
    Some((body.get(..32)?.try_into().ok()?, moment(32)?, moment(40)?))
}

/// A frame that is whole.
struct Frame {
    /// Of its body, as much as was asked for.
    beginning: Vec<u8>,
    /// With its head.
    length: u64,
}

/// The next frame, looked through piece by piece; none at the end. An error if it is torn or altered.
fn next_frame(file: &mut File, wanted: usize) -> io::Result<Option<Frame>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(None);
    }
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a frame is torn or altered");
    let (length, digest) = head.split_at_checked(4).filter(|_| head.len() == HEAD_BYTES).ok_or_else(damaged)?;
    let length = u32::from_le_bytes(length.try_into().map_err(|_| damaged())?);
    if length > FRAME_MAX {
        return Err(damaged());
    }
    let (mut beginning, mut hasher) = (Vec::new(), Sha256::new());
    let (mut left, mut piece) = (u64::from(length), Vec::new());
    while left > 0 {
        piece.clear();
        let read = file.take(left.min(PIECE_BYTES)).read_to_end(&mut piece)?;
        if read == 0 {
            return Err(damaged());
        }
        left -= read as u64;
        hasher.update(&piece);
        let missing = wanted.saturating_sub(beginning.len()).min(piece.len());
        beginning.extend_from_slice(piece.get(..missing).unwrap_or_default());
    }
    let is_whole = hasher.finalize().as_slice() == digest;
    if is_whole { Ok(Some(Frame { beginning, length: HEAD_BYTES as u64 + u64::from(length) })) } else { Err(damaged()) }
}

/// What makes two lists the same: table, scope, cursor, and all that the request and the rows take from the rows above.
fn identity(job: &Job<'_>) -> Identity {
    let mut hasher = Sha256::new();
    hasher.update(format!("{:?}", (&job.table.name, &job.scope, &job.cursor)));
    let mut above = job.parent.as_ref();
    while let Some(row) = above {
        hasher.update(format!("{:?}", (&row.table, &row.key, &row.scope, &row.cells, row.is_deleted)));
        above = row.above.as_ref();
    }
    hasher.finalize().into()
}

/// What lists are read under. Secrets count under the firm's key, which is worth no more than the hashes that rows hold of
/// tax ids; without one as a single byte, of no use to whoever would try passwords out.
fn fingerprint(source: &SourceSettings, base: &str, salt: &str) -> String {
    let mut secrets = vec![salt.to_owned()];
    let mut hasher = Sha256::new();
    hasher.update(format!(
        "{:?}",
        (env!("CARGO_PKG_VERSION"), base, &source.name, &source.base_url, &source.manifest, &source.rules)
    ));
    for (name, value) in &source.values {
        match value {
            Setting::Plain(text) => hasher.update(format!("{:?}", (name, text))),
            Setting::Secret(secret) => secrets.push(format!("{:?}", (name, secret.expose()))),
        }
    }
    secrets.push(format!("{:?}", source.redaction_key_before));
    let secrets = secrets.concat();
    let keyed = source.redaction_key.as_deref().and_then(|key| Hmac::<Sha256>::new_from_slice(key).ok());
    match keyed {
        Some(mut mac) => {
            mac.update(secrets.as_bytes());
            hasher.update(mac.finalize().into_bytes());
        }
        None => hasher.update(Sha256::digest(secrets.as_bytes()).get(..1).unwrap_or_default()),
    }
    hex::encode(hasher.finalize())
}

/// An empty file that nobody else can read, in a folder that nobody else can open.
fn create_private(path: &Path) -> io::Result<File> {
    let mut folder = fs::DirBuilder::new();
    let mut options = OpenOptions::new();
    folder.recursive(true);
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        folder.mode(0o700);
        options.mode(0o600);
    }
    path.parent().map_or(Ok(()), |parent| folder.create(parent))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    options.open(path)
}
