//! What runs by itself, when next and how it ended last: for the page and for `/metrics`.
//!
//! Invariant: it is told to who reads the whole firm and `meta`, of the present.

use chrono::{DateTime, Utc};
use tokio::task::spawn_blocking;

use super::HttpOptions;
use super::asking::Asking;
use crate::schedule::{Watch, Watched};
use crate::server::failure::Failure;

/// The schedule.
#[derive(Debug)]
pub(crate) struct Scheduled {
    /// Each entry of the settings.
    pub(crate) entries: Vec<Watched>,
    /// Whether a server carries it out now.
    pub(crate) is_carried_out: bool,
    /// By its own clock, UTC.
    pub(crate) now: DateTime<Utc>,
}

impl Scheduled {
    /// Reads it; none where nothing runs by itself, or who asks is told nothing of it.
    pub(crate) fn read(
        asking: &Asking,
        options: &HttpOptions,
    ) -> impl Future<Output = Result<Option<Self>, Failure>> + Send + use<> {
        let watch = shown(asking, options).map(Option::<&Watch>::cloned);
        async move {
            let Some(watch) = watch? else { return Ok(None) };
            let (is_carried_out, now) = (watch.is_carried_out(), watch.now());
            // The ledger is a file, and may be long.
            let entries = spawn_blocking(move || watch.look()).await.map_err(anyhow::Error::from).flatten();
            let unread = |error| Failure::new("58030", format!("the schedule cannot be read: {error:#}"));
            Ok(Some(Self { entries: entries.map_err(unread)?, is_carried_out, now }))
        }
    }
}

fn shown<'a>(asking: &Asking, options: &'a HttpOptions) -> Result<Option<&'a Watch>, Failure> {
    let Some(watch) = options.schedule.as_ref().filter(|watch| !watch.is_empty()) else { return Ok(None) };
    let access = asking.access();
    if access.is_some_and(|access| access.as_of.is_some()) || !asking.reads_all() {
        return Ok(None);
    }
    // It is what `meta.scheduled_runs` shows, to who may read that.
    access.map_or(Ok(()), |access| access.require("meta"))?;
    Ok(Some(watch))
}
