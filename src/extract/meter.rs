//! What requests cost: how many, how often tried again, how long waited, how much came, how quickly.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What the requests of one table cost.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub requests: AtomicU64,
    pub retries: AtomicU64,
    pub waited_ms: AtomicU64,
    pub bytes: AtomicU64,
    milliseconds: Mutex<Vec<u32>>,
}

impl Meter {
    pub(super) fn took(&self, time: Duration) {
        let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        self.milliseconds.lock().unwrap_or_else(PoisonError::into_inner).push(milliseconds);
    }

    /// The milliseconds within which so many of 100 answers came; none without answers.
    pub(crate) fn percentile(&self, percent: usize) -> Option<u64> {
        let mut all = self.milliseconds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_unstable();
        let place = (all.len() * percent).div_ceil(100).saturating_sub(1);
        all.get(place).map(|milliseconds| u64::from(*milliseconds))
    }

    pub(super) fn waited(&self, wait: Duration) {
        self.waited_ms.fetch_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
