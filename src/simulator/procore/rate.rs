//! The two request windows, on the firm's virtual clock.

use chrono::{DateTime, Utc};

/// How many requests a caller may make.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits {
    /// Requests in an hour.
    pub hour: u32,
    /// Requests in a spike window.
    pub spike: u32,
    /// A spike window's length.
    pub spike_seconds: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { hour: 3_600, spike: 100, spike_seconds: 10 }
    }
}

/// What the `X-Rate-Limit-*` headers of a reply say: the window that the caller will hit first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateState {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Unix seconds.
    pub(super) reset: i64,
}

/// Both windows of one caller. A window starts with the first request after the last one ended.
#[derive(Debug)]
pub(super) struct RateMeter {
    hour: Window,
    spike: Window,
}

#[derive(Debug)]
struct Window {
    limit: u32,
    seconds: i64,
    ends: i64,
    used: u32,
}

impl RateMeter {
    pub(super) fn new(limits: RateLimits) -> Self {
        let window = |limit, seconds| Window { limit, seconds, ends: i64::MIN, used: 0 };
        Self { hour: window(limits.hour, 3_600), spike: window(limits.spike, i64::from(limits.spike_seconds)) }
    }

    /// Counts a request at `now`: the state after it, and whether it is allowed. A refused one costs nothing.
    pub(super) fn count(&mut self, now: DateTime<Utc>) -> (RateState, bool) {
        self.hour.roll(now.timestamp());
        self.spike.roll(now.timestamp());
        let allowed = self.hour.remaining() > 0 && self.spike.remaining() > 0;
        if allowed {
            self.hour.used += 1;
            self.spike.used += 1;
        }
        let nearer = if self.hour.remaining() < self.spike.remaining() { &self.hour } else { &self.spike };
        let nearer = if !allowed && self.hour.remaining() == 0 { &self.hour } else { nearer };
        (RateState { limit: nearer.limit, remaining: nearer.remaining(), reset: nearer.ends }, allowed)
    }
}

impl Window {
    fn roll(&mut self, now: i64) {
        if now >= self.ends {
            self.ends = now + self.seconds;
            self.used = 0;
        }
    }

    fn remaining(&self) -> u32 {
        self.limit.saturating_sub(self.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_describe_the_nearer_window() {
        let mut meter = RateMeter::new(RateLimits { hour: 5, spike: 2, spike_seconds: 10 });
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let state = |limit, remaining, reset| RateState { limit, remaining, reset };
        assert_eq!(meter.count(at(0)), (state(2, 1, 10), true));
        assert_eq!(meter.count(at(9)), (state(2, 0, 10), true));
        assert_eq!(meter.count(at(9)), (state(2, 0, 10), false));
        assert_eq!(meter.count(at(10)), (state(2, 1, 20), true));
        assert_eq!(meter.count(at(11)), (state(2, 0, 20), true));
        assert_eq!(meter.count(at(20)), (state(5, 0, 3600), true));
        assert_eq!(meter.count(at(21)), (state(5, 0, 3600), false));
        assert_eq!(meter.count(at(3600)), (state(2, 1, 3610), true));
    }
}
