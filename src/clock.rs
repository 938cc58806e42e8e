//! The run's clock: the machine's, one that a person gave (`--now`), or one shared with a simulator.
//!
//! Everything that asks for the time of a run, or waits, does so here. Ages of exceptions are never measured from a
//! clock but from a commit's `observed_at`; see `engine`.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
pub use tieout_simulator::SharedClock;

/// Where a run takes the time from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock (UTC).
    Machine,
    /// A moment given by a person, moving on with real time from when it was given. The commit records that it was given.
    Given {
        /// The moment given, UTC.
        at: DateTime<Utc>,
        /// When it was given.
        since: Instant,
    },
    /// A clock shared with a simulator in the same process: waiting moves it instead of taking real time.
    Shared(SharedClock),
}

impl Clock {
    /// A clock that starts at `at` and moves on with real time.
    pub fn given(at: DateTime<Utc>) -> Self {
        Self::Given { at, since: Instant::now() }
    }

    /// The moment now, UTC.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::Machine => Utc::now(),
            Self::Given { at, since } => *at + TimeDelta::from_std(since.elapsed()).unwrap_or_default(),
            Self::Shared(shared) => shared.now(),
        }
    }

    /// Whether the commit must record that its time was given, not read from the machine.
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::Machine)
    }

    /// Waits. On a shared clock no real time passes: the clock moves on instead.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::Shared(shared) => {
                shared.advance(duration);
                tokio::task::yield_now().await;
            }
            Self::Machine | Self::Given { .. } => tokio::time::sleep(duration).await,
        }
    }
}
