//! How fast to ask: the rate limit as the server's headers tell it, and how long to wait before trying again.
//!
//! Moments of the server (`reset`, dates in `Retry-After`) are measured against the `Date` header of the same answer, so
//! a wrong clock on either side costs nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng as _;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::sync::{Mutex, Notify};

use super::Quota;
use super::manifest::Rate;
use crate::clock::Clock;

/// The longest wait that a server may ask for; a longer one ends the read.
pub(crate) const WAIT_MAX: Duration = Duration::from_hours(2);

/// A window of which more than this is left is the long one: a source tells the window that binds first, so that the long one
/// shows only when it is nearly spent.
const LONG: TimeDelta = TimeDelta::seconds(90);

/// How long the long window is.
const HOUR: TimeDelta = TimeDelta::hours(1);

/// All of a limit, in thousandths.
const WHOLE: u32 = 1000;

/// A limit that a source told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in the window.
    pub requests: u32,
    /// The most that was left of the window: it is at least so long.
    pub window_seconds: u32,
}

impl RateLimit {
    /// Whether it is the limit of an hour.
    pub(crate) fn is_long(self) -> bool {
        i64::from(self.window_seconds) > LONG.num_seconds()
    }

    /// Requests per hour that it allows.
    pub(crate) fn per_hour(self) -> u64 {
        let window = if self.is_long() { 3600 } else { u64::from(self.window_seconds.max(1)) };
        u64::from(self.requests) * 3600 / window
    }
}

/// A month's seconds: what a subscription holds is no pace, but told beside the limits.
const MONTH_SECONDS: u32 = 30 * 86_400;

impl RateLimit {
    /// What a subscription holds in a month.
    pub(crate) fn of_month(requests: u32) -> Self {
        Self { requests, window_seconds: MONTH_SECONDS }
    }

    /// Whether it is what a subscription holds in a month.
    pub fn is_of_month(self) -> bool {
        self.window_seconds >= MONTH_SECONDS
    }
}

/// The pace of one source, shared by all requests to it.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Rate,
    per_minute: Option<u32>,
    /// The share of each limit that is ours, in thousandths.
    share: u32,
    state: Mutex<State>,
    /// Held while waiting, so that on a virtual clock one wait moves the time, not one per request. Answers never take it:
    /// they must be noted while others wait.
    gate: Mutex<()>,
    /// Told at each answer.
    answered: Notify,
}

/// What is left of a window.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Requests left for us by the last answer, less those sent since.
    remaining: i64,
    /// When it ends, by our clock.
    reset_at: DateTime<Utc>,
}

#[derive(Debug, Default)]
struct State {
    /// The windows that were told, by their limit: a source tells the one that binds first, now this and now that.
    windows: BTreeMap<u32, Window>,
    /// Nothing is sent before.
    closed_until: Option<DateTime<Utc>>,
    /// The next free place in a fixed pace.
    next_slot: Option<DateTime<Utc>>,
    in_flight: i64,
    /// What is left of the window is not known: one request goes alone and finds out.
    is_unknown: bool,
    /// The limits known: requests, and the most that was left of the window in seconds.
    limits: BTreeMap<u32, u32>,
    /// Those that were told in this run.
    told: BTreeSet<u32>,
    /// When we sent in the last hour, while less than the whole of an hour's limit is ours.
    sent: VecDeque<DateTime<Utc>>,
}

impl Pace {
    /// The pace that a manifest describes; the source's settings win over it. `known` are limits that earlier runs met.
    pub(crate) fn new(rate: &Rate, quota: Quota, known: &[RateLimit]) -> Self {
        let (Rate::Headers { requests_per_minute, .. } | Rate::None { requests_per_minute, .. }) = rate;
        let per_minute = quota.requests_per_minute.or(*requests_per_minute).filter(|pace| *pace > 0);
        let limits = known.iter().map(|limit| (limit.requests, limit.window_seconds)).collect();
        Self {
            rate: rate.clone(),
            per_minute,
            share: quota.share.unwrap_or(WHOLE).clamp(1, WHOLE),
            state: Mutex::new(State { limits, is_unknown: matches!(rate, Rate::Headers { .. }), ..State::default() }),
            gate: Mutex::default(),
            answered: Notify::new(),
        }
    }

    /// The limits that the source told in this run.
    pub(crate) async fn limits(&self) -> Vec<RateLimit> {
        let state = self.state.lock().await;
        let limit = |(requests, window_seconds): (&u32, &u32)| RateLimit {
            requests: *requests,
            window_seconds: *window_seconds,
        };
        state.limits.iter().filter(|(requests, _)| state.told.contains(requests)).map(limit).collect()
    }

    /// When our share of the hour's limit lets us send again. What we sent counts, because that limit shows too late.
    fn hour_is_over(&self, state: &mut State, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.share == WHOLE {
            return None;
        }
        while state.sent.front().is_some_and(|at| *at + HOUR <= now) {
            state.sent.pop_front();
        }
        let long = |(_, seconds): &(&u32, &u32)| i64::from(**seconds) > LONG.num_seconds();
        let (limit, _) = state.limits.iter().find(long)?;
        let ours = usize::try_from(u64::from(*limit) * u64::from(self.share) / u64::from(WHOLE)).ok()?.max(1);
        (state.sent.len() >= ours).then(|| state.sent.front().map(|at| *at + HOUR)).flatten()
    }

    /// Waits for the right to send one request; says how long. Whoever waits holds the others back: one queue.
    ///
    /// A request of the sign-in (`is_signed` is false) waits for nobody's answer: those may wait for its token.
    pub(crate) async fn enter(&self, is_signed: bool, clock: &Clock) -> Duration {
        let _gate = if is_signed { Some(self.gate.lock().await) } else { None };
        let mut waited = Duration::ZERO;
        let mut slot = None;
        loop {
            let mut state = self.state.lock().await;
            let now = clock.now();
            let known = state.windows.len();
            state.windows.retain(|_, window| now < window.reset_at);
            state.is_unknown |= state.windows.len() < known;
            let spent =
                state.windows.values().filter(|window| window.remaining <= 0).map(|window| window.reset_at).max();
            if is_signed && state.is_unknown && state.in_flight > 0 {
                drop(state);
                self.answered.notified().await;
                continue;
            }
            if let (Some(pace), None) = (self.per_minute, slot) {
                let at = state.next_slot.unwrap_or_default().max(clock.now());
                state.next_slot = Some(at + TimeDelta::milliseconds(60_000 / i64::from(pace)));
                slot = Some(at);
            }
            let until = state.closed_until.max(slot).max(spent).max(self.hour_is_over(&mut state, clock.now()));
            let wait = until.and_then(|until| (until - clock.now()).to_std().ok()).filter(|wait| !wait.is_zero());
            let Some(wait) = wait else {
                state.windows.values_mut().for_each(|window| window.remaining -= 1);
                state.in_flight += 1;
                if self.share < WHOLE {
                    state.sent.push_back(clock.now());
                }
                return waited;
            };
            drop(state);
            waited += wait;
            clock.sleep(wait).await;
        }
    }

    /// Takes note of an answer (or of none). `is_signed`: to a request that counts, which those of the sign-in may not.
    pub(crate) async fn leave(&self, headers: Option<&HeaderMap>, is_signed: bool, clock: &Clock) {
        self.note(headers, is_signed, clock).await;
        self.answered.notify_one();
    }

    async fn note(&self, headers: Option<&HeaderMap>, is_signed: bool, clock: &Clock) {
        let mut state = self.state.lock().await;
        state.in_flight = (state.in_flight - 1).max(0);
        let (Rate::Headers { limit, remaining, reset, .. }, Some(headers)) = (&self.rate, headers) else { return };
        let until = until_reset(headers, reset, clock);
        let limit = integer(headers, limit).and_then(|limit| u32::try_from(limit).ok()).filter(|limit| *limit > 0);
        if let (Some(limit), Some(until)) = (limit, until) {
            let seconds = u32::try_from(until.num_seconds() - 1).unwrap_or(0);
            let longest = state.limits.entry(limit).or_default();
            *longest = seconds.max(*longest);
            state.told.insert(limit);
        }
        if let Some(left) = integer(headers, remaining) {
            // What is not ours is left to the others who share the limit.
            let others = limit.map_or(0, |limit| (i64::from(limit) * i64::from(WHOLE - self.share) + 999) / 1000);
            let (now, ours) = (clock.now(), left - others - state.in_flight);
            let reset_at = now + until.unwrap_or(LONG);
            let told = Window { remaining: ours, reset_at };
            let window = state.windows.entry(limit.unwrap_or_default()).or_insert(told);
            // Answers overtake each other: within a window an older one does not give back what a newer one took.
            *window =
                if now < window.reset_at { Window { remaining: window.remaining.min(ours), ..*window } } else { told };
            state.is_unknown = false;
        } else if is_signed {
            // It tells nothing: to wait for its word would be to ask one by one for ever.
            state.is_unknown = false;
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
            // Several limits may be spent at once: the longest wait counts.
            Rate::None { wait_headers, .. } => {
                let seconds = wait_headers.iter().filter_map(|name| integer(headers, name)).max()?;
                u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
            }
            Rate::Headers { .. } => None,
        }
    }

    /// What is left of the window, for the progress display.
    pub(crate) fn remaining(&self) -> Option<i64> {
        self.state.try_lock().ok()?.windows.values().map(|window| window.remaining.max(0)).min()
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
        let pace = Pace::new(&rate(), Quota::default(), &[]);
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
        let pace = Pace::new(&rate(), Quota::default(), &[]);
        pace.enter(true, &clock).await;
        let answer =
            headers(&[("date", "Tue, 14 Nov 2023 22:13:20 GMT"), ("x-reset", "1700000010"), ("x-remaining", "0")]);
        pace.leave(Some(&answer), true, &clock).await;
        assert_eq!(pace.enter(true, &clock).await, Duration::from_secs(11));
        assert_eq!(shared.now() - before, TimeDelta::seconds(11));
        // How much of the new window others have taken is not known: the next request waits for this one's answer.
        let second = tokio::time::timeout(Duration::from_millis(50), pace.enter(true, &clock)).await;
        assert!(second.is_err(), "a second request before anybody knows what is left");
        let answer = headers(&[("x-reset", "10"), ("x-remaining", "5")]);
        pace.leave(Some(&answer), true, &clock).await;
        assert_eq!(pace.enter(true, &clock).await, Duration::ZERO, "a new window");
    }

    #[tokio::test]
    async fn a_refusal_that_arrives_while_others_wait_does_not_wait_twice() {
        let (shared, clock) = clock();
        let before = shared.now();
        let pace = Pace::new(&rate(), Quota::default(), &[]);
        pace.close(before + TimeDelta::seconds(3600)).await;
        pace.enter(true, &clock).await;
        pace.leave(Some(&HeaderMap::new()), true, &clock).await;
        pace.close(before + TimeDelta::seconds(3600)).await;
        assert_eq!(pace.enter(true, &clock).await, Duration::ZERO);
        assert_eq!(shared.now() - before, TimeDelta::seconds(3600));
    }

    #[tokio::test]
    async fn a_fixed_pace_spaces_requests() {
        let (shared, clock) = clock();
        let before = shared.now();
        let pace =
            Pace::new(&Rate::None { requests_per_minute: Some(30), wait_headers: Vec::new() }, Quota::default(), &[]);
        for _ in 0..4 {
            pace.enter(true, &clock).await;
        }
        assert_eq!(shared.now() - before, TimeDelta::seconds(6));
    }

    #[tokio::test]
    async fn a_share_of_the_window_is_left_to_others() {
        let (shared, clock) = clock();
        let before = shared.now();
        let pace = Pace::new(&rate(), Quota { share: Some(800), ..Quota::default() }, &[]);
        // Rolling by nobody else: the server counts down from 25 in each window of ten seconds.
        for sent in 0..45_i64 {
            pace.enter(true, &clock).await;
            let (in_window, elapsed) = (sent % 20, (shared.now() - before).num_seconds());
            assert_eq!(elapsed, sent / 20 * 11, "after {sent} requests");
            let (left, reset) = ((24 - in_window).to_string(), "10".to_owned());
            let answer = headers(&[("x-limit", "25"), ("x-remaining", &left), ("x-reset", &reset)]);
            pace.leave(Some(&answer), true, &clock).await;
        }
        assert_eq!(pace.limits().await, [RateLimit { requests: 25, window_seconds: 10 }]);
    }

    #[tokio::test]
    async fn an_hour_that_earlier_runs_met_is_shared_before_it_shows() {
        let (shared, clock) = clock();
        let before = shared.now();
        let hour = RateLimit { requests: 100, window_seconds: 3599 };
        let pace = Pace::new(&rate(), Quota { share: Some(500), ..Quota::default() }, &[hour]);
        for sent in 0..120 {
            pace.enter(true, &clock).await;
            assert_eq!((shared.now() - before).num_minutes() / 60, sent / 50, "after {sent} requests");
            pace.leave(None, true, &clock).await;
        }
        assert_eq!((hour.per_hour(), RateLimit { requests: 25, window_seconds: 10 }.per_hour()), (100, 9000));
    }

    #[test]
    fn backoff_grows_and_is_bounded() {
        for attempt in 1..40 {
            let wait = backoff(attempt);
            assert!(wait >= Duration::from_millis(500) && wait <= Duration::from_mins(1), "{wait:?}");
        }
    }
}
