//! Work side by side, enough for all cores.

use std::future::Future;
use std::num::NonZero;
use std::thread::available_parallelism;

use futures::stream::{self, StreamExt};
use tokio_util::task::AbortOnDropHandle;

/// Runs pieces of work on tasks of their own, two a core at once, because some wait for rows that others compute; gives their
/// results in order. Planning is work too: in one task it would keep one core busy and the others idle. Dropping the future
/// ends the work.
pub(crate) async fn side_by_side<T: Send + 'static>(
    pieces: impl Iterator<Item = impl Future<Output = Result<T, String>> + Send + 'static>,
) -> Vec<Result<T, String>> {
    let pieces_at_once = 2 * available_parallelism().map_or(1, NonZero::get);
    let pieces: Vec<_> = pieces.enumerate().collect();
    let run = |(place, piece)| async move {
        let ended = AbortOnDropHandle::new(tokio::spawn(piece)).await;
        (place, ended.unwrap_or_else(|error| Err(error.to_string())))
    };
    // Whichever is ready: in order, a long piece would keep the short ones behind it from starting.
    let mut results: Vec<_> = stream::iter(pieces).map(run).buffer_unordered(pieces_at_once).collect().await;
    results.sort_unstable_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}
