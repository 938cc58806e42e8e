//! One extract run per source at a time.
//!
//! On a local disk an advisory lock, which the operating system takes back when the process ends. In a bucket a lease: a small
//! file with an end, renewed while the run lives, so that a process that died cannot hold it for long. Both are a courtesy: they
//! save a second run its work. That no commit is lost rests on the conditional put of the manifest alone, so that a lease taken
//! over too early, by a clock that is wrong, costs time and no rows.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::store::Store;

/// How long a lease lasts unless it is renewed.
const LEASE: TimeDelta = TimeDelta::seconds(120);
/// How often it is renewed: three failures in a row do not lose it.
const RENEWED_EVERY: Duration = Duration::from_secs(30);
/// How long giving it back may hold up the end of a run.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Held for as long as the value lives; a process that dies gives it back, in a bucket within two minutes.
#[derive(Debug)]
pub struct SourceLock {
    _held: Held,
}

#[derive(Debug)]
enum Held {
    File { _file: File },
    Lease { _lease: Lease },
}

impl SourceLock {
    pub(super) async fn take(store: &Store, source: &str) -> Result<Self, Error> {
        let held = match store.folder() {
            Some(folder) => Held::File { _file: lock_file(folder, source)? },
            None => Held::Lease { _lease: Lease::take(store, source, Utc::now()).await? },
        };
        Ok(Self { _held: held })
    }
}

fn lock_file(root: &Path, source: &str) -> Result<File, Error> {
    let folder = root.join("locks");
    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let path = folder.join(format!("{source}.lock"));
    let mut options = OpenOptions::new();
    options.create(true).read(true).write(true).truncate(false);
    let mut file = options.open(&path).map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who holds it is a courtesy: some systems do not let a locked file be read.
            let holder = match file.read_to_string(&mut text) {
                Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
                _ => "another process".to_owned(),
            };
            let hint = "the lock goes with the process, the file may stay".to_owned();
            return Err(Error::Locked { name: source.to_owned(), path: path.display().to_string(), holder, hint });
        }
        Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
    }
    let note = format!("{}\n", std::process::id());
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
    written.map_err(Error::io("write", &path))?;
    Ok(file)
}

/// What a lease's file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Terms {
    /// Tells one run from another: a process id comes again, a host's clock is set back.
    run: String,
    /// For people.
    holder: String,
    until: DateTime<Utc>,
}

impl Terms {
    fn new(now: DateTime<Utc>) -> Self {
        let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
        let host = host.or_else(|| std::fs::read_to_string("/etc/hostname").ok()).unwrap_or_default();
        let at = if host.trim().is_empty() { String::new() } else { format!(" on {}", host.trim()) };
        let holder = format!("process {}{at}", std::process::id());
        Self { run: uuid::Uuid::new_v4().to_string(), holder, until: now + LEASE }
    }

    fn bytes(&self, until: DateTime<Utc>) -> Bytes {
        let renewed = Self { until, ..self.clone() };
        Bytes::from(serde_json::to_vec(&renewed).unwrap_or_default())
    }
}

#[derive(Debug)]
struct Lease {
    store: Store,
    path: String,
    terms: Terms,
    stop: CancellationToken,
}

impl Lease {
    async fn take(store: &Store, source: &str, now: DateTime<Utc>) -> Result<Self, Error> {
        let path = format!("locks/{source}.json");
        let terms = Terms::new(now);
        if !store.put_new(&path, terms.bytes(terms.until)).await?
            && !take_over(store, &path, source, &terms, now).await?
        {
            let (holder, hint) = ("another process".to_owned(), "it was a moment faster".to_owned());
            return Err(Error::Locked { name: source.to_owned(), path, holder, hint });
        }
        let lease = Self { store: store.clone(), path, terms, stop: CancellationToken::new() };
        tokio::spawn(renew(store.clone(), lease.path.clone(), lease.terms.clone(), lease.stop.clone()));
        Ok(lease)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop.cancel();
        let (store, path, terms) = (self.store.clone(), self.path.clone(), self.terms.clone());
        let release = async move {
            let released = tokio::time::timeout(RELEASE_TIMEOUT, prolong(&store, &path, &terms, Utc::now())).await;
            if !matches!(released, Ok(Ok(_))) {
                tracing::debug!(path, "a lease was not given back; it ends by itself");
            }
        };
        // The process may be about to end: what is only spawned would not run any more.
        match Handle::try_current() {
            Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
                tokio::task::block_in_place(|| runtime.block_on(release));
            }
            Ok(runtime) => drop(runtime.spawn(release)),
            Err(_) => {}
        }
    }
}

/// Takes a lease that has ended; says whether somebody else was faster.
async fn take_over(store: &Store, path: &str, source: &str, terms: &Terms, now: DateTime<Utc>) -> Result<bool, Error> {
    let Some((bytes, version)) = store.get_versioned(path).await? else {
        return store.put_new(path, terms.bytes(terms.until)).await;
    };
    // What is no lease of ours to read holds nobody up.
    if let Ok(known) = serde_json::from_slice::<Terms>(&bytes)
        && known.until > now
    {
        let until = known.until.to_rfc3339_opts(SecondsFormat::Secs, true);
        let hint = format!("if that run died, its lease ends at {until} and needs nobody's help");
        let path = format!("{}/{path}", store.location());
        return Err(Error::Locked { name: source.to_owned(), path, holder: known.holder, hint });
    }
    store.replace(path, terms.bytes(terms.until), version).await
}

async fn renew(store: Store, path: String, terms: Terms, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RENEWED_EVERY) => {}
        }
        match prolong(&store, &path, &terms, Utc::now() + LEASE).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(path, "another run took this source over; of both only one can commit");
                return;
            }
            Err(error) => tracing::warn!(%error, "a lease was not renewed; it is tried again"),
        }
    }
}

/// Moves the end of a lease; says whether it was still ours.
async fn prolong(store: &Store, path: &str, terms: &Terms, until: DateTime<Utc>) -> Result<bool, Error> {
    let Some((bytes, version)) = store.get_versioned(path).await? else { return Ok(false) };
    let ours = serde_json::from_slice::<Terms>(&bytes).is_ok_and(|known| known.run == terms.run);
    Ok(ours && store.replace(path, terms.bytes(until), UpdateVersion { ..version }).await?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    fn bucket() -> Store {
        Store::over(Arc::new(InMemory::new()), "memory://books")
    }

    #[tokio::test]
    async fn a_lease_holds_ends_and_is_taken_over() {
        let store = bucket();
        let start = Utc::now();
        let first = Lease::take(&store, "procore", start).await.unwrap();
        let refused = Lease::take(&store, "procore", start + LEASE - TimeDelta::seconds(1)).await.unwrap_err();
        let Error::Locked { name, holder, .. } = &refused else { unreachable!("{refused}") };
        assert_eq!((name.as_str(), holder), ("procore", &first.terms.holder));
        assert!(refused.to_string().contains("its lease ends at"), "{refused}");
        Lease::take(&store, "acumatica", start).await.unwrap();

        let second = Lease::take(&store, "procore", start + LEASE + TimeDelta::seconds(1)).await.unwrap();
        assert_ne!(first.terms.run, second.terms.run);
        // The first one finds out, and neither prolongs the lease nor gives away the second one's.
        assert!(!prolong(&store, &first.path, &first.terms, start + LEASE * 9).await.unwrap());
        drop(first);
        assert!(prolong(&store, &second.path, &second.terms, start + LEASE * 2).await.unwrap());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lease_given_back_is_free_at_once() {
        let store = bucket();
        drop(SourceLock::take(&store, "procore").await.unwrap());
        let again = SourceLock::take(&store, "procore").await.unwrap();
        assert!(matches!(SourceLock::take(&store, "procore").await, Err(Error::Locked { .. })));
        drop(again);
        store
            .replace(
                "locks/procore.json",
                Bytes::from_static(b"scribble"),
                store.get_versioned("locks/procore.json").await.unwrap().unwrap().1,
            )
            .await
            .unwrap();
        SourceLock::take(&store, "procore").await.unwrap();
    }

    #[tokio::test]
    async fn of_many_that_reach_for_an_ended_lease_one_gets_it() {
        let store = bucket();
        let start = Utc::now();
        drop(Lease::take(&store, "procore", start - LEASE * 2).await.unwrap());
        let takers = (0..8).map(|_| Lease::take(&store, "procore", start));
        let taken = futures::future::join_all(takers).await;
        assert_eq!(taken.iter().filter(|lease| lease.is_ok()).count(), 1);
    }
}
