//! Work side by side, one piece a core.

use std::future::Future;
use std::num::NonZero;
use std::thread::available_parallelism;

use futures::stream::{self, StreamExt};
use tokio_util::task::AbortOnDropHandle;

/// Runs pieces of work on tasks of their own, as many at once as there are cores, and gives their results in order. Planning
/// is work too: in one task it would keep one core busy and the others idle. Dropping the future ends the work.
pub(crate) async fn side_by_side<T: Send + 'static>(
    pieces: impl Iterator<Item = impl Future<Output = Result<T, String>> + Send + 'static>,
) -> Vec<Result<T, String>> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let tasks: Vec<_> = pieces.collect();
    let running = stream::iter(tasks).map(|piece| AbortOnDropHandle::new(tokio::spawn(piece))).buffered(cores);
    running.map(|ended| ended.unwrap_or_else(|error| Err(error.to_string()))).collect().await
}
