//! How fast to ask: the rate limit as the server's headers tell it, and how long to wait before trying again.
//!
//! Moments of the server (`reset`, dates in `Retry-After`) are measured against the `Date` header of the same answer, so
//! a wrong clock on either side costs nothing.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng as _;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::sync::Mutex;

use super::manifest::Rate;
use crate::clock::Clock;

/// The longest wait that a server may ask for; a longer one ends the read.
pub(crate) const WAIT_MAX: Duration = Duration::from_hours(2);

/// The pace of one source, shared by all requests to it.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Rate,
    per_minute: Option<u32>,
    state: Mutex<State>,
    /// Held while waiting, so that on a virtual clock one wait moves the time, not one per request. Answers never take it:
    /// they must be noted while others wait.
    gate: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Requests left in the window by the last answer, less those sent since.
    remaining: Option<i64>,
    /// When the window ends, by our clock.
    reset_at: Option<DateTime<Utc>>,
    /// Nothing is sent before.
    closed_until: Option<DateTime<Utc>>,
    /// The next free place in a fixed pace.
    next_slot: Option<DateTime<Utc>>,
    in_flight: i64,
}

impl Pace {
    /// The pace that a manifest describes; `per_minute` of the source's settings wins over the manifest's.
    pub(crate) fn new(rate: &Rate, per_minute: Option<u32>) -> Self {
        let (Rate::Headers { requests_per_minute, .. } | Rate::None { requests_per_minute }) = rate;
        let per_minute = per_minute.or(*requests_per_minute).filter(|pace| *pace > 0);
        Self { rate: rate.clone(), per_minute, state: Mutex::default(), gate: Mutex::default() }
    }

    /// Waits for the right to send one request; says how long. Whoever waits holds the others back: one queue.
    pub(crate) async fn enter(&self, clock: &Clock) -> Duration {
        let _gate = self.gate.lock().await;
        let mut waited = Duration::ZERO;
        let mut slot = None;
        loop {
            let mut state = self.state.lock().await;
            if state.remaining.is_some_and(|remaining| remaining <= 0) {
                state.closed_until = state.closed_until.max(state.reset_at.take());
                state.remaining = None;
            }
            if let (Some(pace), None) = (self.per_minute, slot) {
                let at = state.next_slot.unwrap_or_default().max(clock.now());
                state.next_slot = Some(at + TimeDelta::milliseconds(60_000 / i64::from(pace)));
                slot = Some(at);
            }
            let until = state.closed_until.max(slot);
            let wait = until.and_then(|until| (until - clock.now()).to_std().ok()).filter(|wait| !wait.is_zero());
            let Some(wait) = wait else {
                state.remaining = state.remaining.map(|remaining| remaining - 1);
                state.in_flight += 1;
                return waited;
            };
            drop(state);
            waited += wait;
            clock.sleep(wait).await;
        }
    }

    /// Takes note of an answer (or of none).
    pub(crate) async fn leave(&self, headers: Option<&HeaderMap>, clock: &Clock) {
        let mut state = self.state.lock().await;
        state.in_flight = (state.in_flight - 1).max(0);
        let (Rate::Headers { remaining, reset, .. }, Some(headers)) = (&self.rate, headers) else { return };
        if let Some(left) = integer(headers, remaining) {
            state.remaining = Some(left - state.in_flight);
            state.reset_at = until_reset(headers, reset, clock).map(|wait| clock.now() + wait);
        }
    }

    /// Lets nobody send before `until`.
    pub(crate) async fn close(&self, until: DateTime<Utc>) {
        let mut state = self.state.lock().await;
        state.closed_until = state.closed_until.max(Some(until));
    }

    /// The wait that a refusal asks for: `Retry-After`, else the end of the rate window.
    pub(crate) fn asked_wait(&self, headers: &HeaderMap, is_rate_limit: bool, clock: &Clock) -> Option<Duration> {
        if let Some(wait) = retry_after(headers, clock) {
            return Some(wait);
        }
        match &self.rate {
            Rate::Headers { reset, .. } if is_rate_limit => until_reset(headers, reset, clock)?.to_std().ok(),
            _ => None,
        }
    }

    /// What is left of the window, for the progress display.
    pub(crate) fn remaining(&self) -> Option<i64> {
        self.state.try_lock().ok().and_then(|state| state.remaining)
    }
}

/// The wait before try `attempt + 1` when the server names none: 1, 2, 4, … at most 60 s, each with up to half of jitter,
/// so that many readers do not come back at once.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let seconds = 1_u64 << attempt.saturating_sub(1).min(6);
    let base = seconds.min(60) * 1000;
    Duration::from_millis(base / 2 + rand::rng().random_range(0..=base / 2))
}

/// The server's clock, if the answer tells it.
pub(crate) fn server_date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get(DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.with_timezone(&Utc))
}

fn integer(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// From now until one second after the window's end.
fn until_reset(headers: &HeaderMap, name: &str, clock: &Clock) -> Option<TimeDelta> {
    let reset = integer(headers, name)?;
    // Small numbers are seconds from now: no window ends in 2001.
    let left = if reset < 1_000_000_000 {
        TimeDelta::try_seconds(reset)?
    } else {
        DateTime::from_timestamp(reset, 0)? - server_date(headers).unwrap_or_else(|| clock.now())
    };
    Some(left.max(TimeDelta::zero()).min(TimeDelta::from_std(WAIT_MAX).unwrap_or_default()) + TimeDelta::seconds(1))
}

fn retry_after(headers: &HeaderMap, clock: &Clock) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc);
    let now = server_date(headers).unwrap_or_else(|| clock.now());
    Some((at - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SharedClock;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn rate() -> Rate {
        let names = ["x-limit", "x-remaining", "x-reset"].map(str::to_owned);
        let [limit, remaining, reset] = names;
        Rate::Headers { limit, remaining, reset, requests_per_minute: None }
    }

    fn clock() -> (SharedClock, Clock) {
        let shared = SharedClock::new(DateTime::from_timestamp(5_000_000_000, 0).unwrap());
        (shared.clone(), Clock::Shared(shared))
    }

    #[test]
    fn waits_are_measured_by_the_servers_clock() {
        let (_, clock) = clock();
        let pace = Pace::new(&rate(), None);
        // The server lives in 2023, we far ahead: only the difference counts.
        let date = "Tue, 14 Nov 2023 22:13:20 GMT";
        let reset = headers(&[("date", date), ("x-reset", "1700000010")]);
        assert_eq!(pace.asked_wait(&reset, true, &clock), Some(Duration::from_secs(11)));
        assert_eq!(pace.asked_wait(&reset, false, &clock), None);
        let after = headers(&[("date", date), ("retry-after", "Tue, 14 Nov 2023 22:13:50 GMT")]);
        assert_eq!(pace.asked_wait(&after, false, &clock), Some(Duration::from_secs(30)));
        assert_eq!(pace.asked_wait(&headers(&[("retry-after", "7")]), true, &clock), Some(Duration::from_secs(7)));
    }

    #[tokio::test]
    async fn an_empty_window_is_waited_for() {
        let (shared, clock) = clock();
        let before = shared.now();
        let pace = Pace::new(&rate(), None);
        pace.enter(&clock).await;
        let answer =
            headers(&[("date", "Tue, 14 Nov 2023 22:13:20 GMT"), ("x-reset", "1700000010"), ("x-remaining", "0")]);
        pace.leave(Some(&answer), &clock).await;
        assert_eq!(pace.enter(&clock).await, Duration::from_secs(11));
        assert_eq!(shared.now() - before, TimeDelta::seconds(11));
        assert_eq!(pace.enter(&clock).await, Duration::ZERO, "a new window");
    }

    #[tokio::test]
    async fn a_refusal_that_arrives_while_others_wait_does_not_wait_twice() {
        let (shared, clock) = clock();
        let before = shared.now();
        let pace = Pace::new(&rate(), None);
        pace.close(before + TimeDelta::seconds(3600)).await;
        pace.enter(&clock).await;
        pace.close(before + TimeDelta::seconds(3600)).await;
        assert_eq!(pace.enter(&clock).await, Duration::ZERO);
        assert_eq!(shared.now() - before, TimeDelta::seconds(3600));
    }

    #[tokio::test]
    async fn a_fixed_pace_spaces_requests() {
        let (shared, clock) = clock();
        let before = shared.now();
        let pace = Pace::new(&Rate::None { requests_per_minute: Some(30) }, None);
        for _ in 0..4 {
            pace.enter(&clock).await;
        }
        assert_eq!(shared.now() - before, TimeDelta::seconds(6));
    }

    #[test]
    fn backoff_grows_and_is_bounded() {
        for attempt in 1..40 {
            let wait = backoff(attempt);
            assert!(wait >= Duration::from_millis(500) && wait <= Duration::from_mins(1), "{wait:?}");
        }
    }
}
