//! Work side by side, as much at once as there are cores.
//!
//! Invariant: what waits for other work is not at work, so it takes no core, and no memory that somebody at work may need.

use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Runs pieces of work on tasks of their own and gives their results in order. Planning is work too: in one task it would keep one
/// core busy and the others idle. Dropping the future ends the work.
pub(crate) async fn side_by_side<T: Send + 'static>(
    pieces: impl Iterator<Item = impl Future<Output = Result<T, String>> + Send + 'static>,
) -> Vec<Result<T, String>> {
    one_after_another(pieces.map(|piece| (Vec::new(), piece))).await
}

/// The same, each after the pieces whose places it names; it runs whatever became of them.
pub(crate) async fn one_after_another<T: Send + 'static>(
    pieces: impl Iterator<Item = (Vec<usize>, impl Future<Output = Result<T, String>> + Send + 'static)>,
) -> Vec<Result<T, String>> {
    let cores = Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get)));
    let pieces: Vec<_> = pieces.map(|(after, piece)| (after, piece, CancellationToken::new())).collect();
    let ended: Vec<CancellationToken> = pieces.iter().map(|(_, _, ended)| ended.clone()).collect();
    let run = |(after, piece, end): (Vec<usize>, _, CancellationToken)| {
        let before: Vec<CancellationToken> = after.into_iter().filter_map(|place| ended.get(place).cloned()).collect();
        let cores = Arc::clone(&cores);
        AbortOnDropHandle::new(tokio::spawn(async move {
            // Also if it panics.
            let _end = end.drop_guard();
            for before in before {
                before.cancelled().await;
            }
            let _core = cores.acquire().await;
            Box::pin(piece).await
        }))
    };
    let tasks: Vec<_> = pieces.into_iter().map(run).collect();
    let results = join_all(tasks).await;
    results.into_iter().map(|result| result.unwrap_or_else(|error| Err(error.to_string()))).collect()
}
