//! A store that counts what is asked of it, answers late if told to, and fails as told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// How a write goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// It is done, and the answer is lost.
    LostAnswer,
    /// The store is busy with another writer and writes nothing: once.
    BusyOnce,
    /// The precondition is ignored.
    Overwrites,
    /// Nobody may write.
    ReadOnly,
    /// Nobody may do anything.
    NoRights,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) gets: AtomicUsize,
    pub(crate) lists: AtomicUsize,
    pub(crate) puts: AtomicUsize,
}

impl Counts {
    /// Gets, listings, puts since the last call.
    pub(crate) fn take(&self) -> (usize, usize, usize) {
        let take = |count: &AtomicUsize| count.swap(0, Ordering::SeqCst);
        (take(&self.gets), take(&self.lists), take(&self.puts))
    }
}

#[derive(Debug)]
pub(crate) struct Watched {
    inner: Arc<dyn ObjectStore>,
    pub(crate) counts: Counts,
    fault: Fault,
}

impl Watched {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, fault: Fault) -> Arc<Self> {
        Arc::new(Self { inner, counts: Counts::default(), fault })
    }
}

fn refused(path: &Path) -> Error {
    Error::PermissionDenied { path: path.to_string(), source: "403 Forbidden".into() }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("watched")
    }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let earlier = self.counts.puts.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::ReadOnly | Fault::NoRights => return Err(refused(path)),
            Fault::BusyOnce if earlier == 0 => {
                return Err(Error::AlreadyExists { path: path.to_string(), source: "409 Conflict".into() });
            }
            Fault::Overwrites => options.mode = PutMode::Overwrite,
            _ => {}
        }
        let done = self.inner.put_opts(path, payload, options).await;
        if self.fault == Fault::LostAnswer && done.is_ok() {
            return Err(Error::Generic { store: "watched", source: "connection reset".into() });
        }
        done
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.counts.gets.fetch_add(1, Ordering::SeqCst);
        if self.fault == Fault::NoRights {
            return Err(refused(path));
        }
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counts.lists.fetch_add(1, Ordering::SeqCst);
        self.inner.list(prefix).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.counts.lists.fetch_add(1, Ordering::SeqCst);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
