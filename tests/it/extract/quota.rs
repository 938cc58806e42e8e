//! A source with two rolling windows, as Procore has them: our share of either is never exceeded, and none of our requests is
//! refused for its pace.

use std::collections::VecDeque;
use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use tieout::clock::SharedClock;
use tieout::extract::{PreviousTables, Quota, RateLimit, RunOptions, SourceOutcome, SourceSettings};

use super::*;

const SPIKE: (usize, i64) = (25, 10);
const HOUR: (usize, i64) = (200, 3600);
const PROJECTS: usize = 300;

/// When requests came, and the most that came within each window.
#[derive(Default)]
struct Windows {
    times: VecDeque<DateTime<Utc>>,
    most: [usize; 2],
    refused: usize,
}

impl Windows {
    /// Counts a request; gives what is told of the window that binds first: limit, what is left, seconds to its end.
    fn count(&mut self, now: DateTime<Utc>) -> (bool, usize, usize, i64) {
        self.times.retain(|at| now - *at < TimeDelta::seconds(HOUR.1));
        let used = |(_, seconds): (usize, i64), times: &VecDeque<DateTime<Utc>>| {
            times.iter().filter(|at| now - **at < TimeDelta::seconds(seconds)).count()
        };
        let is_refused = [SPIKE, HOUR].iter().any(|window| used(*window, &self.times) >= window.0);
        if is_refused {
            self.refused += 1;
        } else {
            self.times.push_back(now);
        }
        let mut told = (usize::MAX, 0, 0);
        for (most, window) in self.most.iter_mut().zip([SPIKE, HOUR]) {
            let count = used(window, &self.times);
            *most = count.max(*most);
            let oldest = self.times.iter().find(|at| now - **at < TimeDelta::seconds(window.1)).copied().unwrap_or(now);
            let reset = window.1 - (now - oldest).num_seconds();
            if window.0 - count < told.0 {
                told = (window.0 - count, window.0, reset);
            }
        }
        (is_refused, told.1, told.0, told.2)
    }
}

/// Reads all projects' contracts under a quota.
async fn read(share: Option<u32>, known: &[RateLimit]) -> (SourceOutcome, [usize; 2], usize) {
    let clock = clock();
    let seen: Arc<Mutex<Windows>> = Arc::default();
    let (shared, counted): (SharedClock, _) = (clock.clone(), Arc::clone(&seen));
    let server = serve(move |seen| {
        if let Some(token) = token(seen) {
            return token;
        }
        // An answer takes its time.
        shared.advance(Duration::from_millis(70));
        let (is_refused, limit, left, reset) = counted.lock().unwrap().count(shared.now());
        let (limit, left, reset) = (limit.to_string(), left.to_string(), reset.to_string());
        let headers = [
            ("x-rate-limit-limit", limit.as_str()),
            ("x-rate-limit-remaining", left.as_str()),
            ("x-rate-limit-reset", reset.as_str()),
        ];
        if is_refused {
            return answer(429, &headers, "slow down");
        }
        if seen.path == "/projects" {
            let all: Vec<String> = (1..=PROJECTS).map(|id| format!("{{\"id\":{id}}}")).collect();
            return answer(200, &headers, &format!("[{}]", all.join(",")));
        }
        let project = seen.query.split("project_id=").nth(1).unwrap().split('&').next().unwrap();
        answer(200, &headers, &format!(r#"[{{"id":{project},"total":"1"}}]"#))
    })
    .await;
    let manifest = format!("{SYSTEM}{CONTRACTS}").replace("per_page = 100", "per_page = 1000");
    let source = SourceSettings { quota: Quota { share, ..Quota::default() }, ..source(&server, &manifest) };
    let previous = PreviousTables { limits: known.to_vec(), ..PreviousTables::default() };
    let outcome = run(&source, &RunOptions { previous, ..options(&clock) }).await.unwrap();
    assert_eq!(rows(&outcome, "contracts"), PROJECTS);
    let seen = seen.lock().unwrap();
    (outcome, seen.most, seen.refused)
}

#[tokio::test]
async fn a_share_of_both_windows_is_left_to_others() {
    let hour = RateLimit { requests: 200, window_seconds: 3600 };
    let (outcome, most, refused) = read(Some(800), &[hour]).await;
    assert_eq!(refused, 0);
    // The one that finds out what a new window holds may be on top.
    assert!(most[0] <= 21 && most[1] <= 161, "{most:?}");
    assert_eq!(outcome.run.retries, 0);
    assert_eq!(outcome.limits.iter().map(|limit| limit.requests).collect::<Vec<_>>(), [25], "the hour did not show");
}

#[tokio::test]
async fn all_of_both_windows_is_used_without_a_refusal() {
    let (outcome, most, refused) = read(None, &[]).await;
    assert_eq!((refused, outcome.run.retries), (0, 0));
    assert_eq!(most, [SPIKE.0, HOUR.0], "what may be used is");
    assert!(outcome.limits.iter().any(|limit| limit.requests == 200), "the hour showed when it was nearly spent");
}

/// A limit that nobody refills: the run ends, and says why, however much there is to read.
#[tokio::test]
async fn a_limit_that_stays_used_up_ends_the_run() {
    let clock = clock();
    let start = clock.now();
    let refused: Arc<Mutex<usize>> = Arc::default();
    let counted = Arc::clone(&refused);
    let server = serve(move |seen| {
        if let Some(token) = token(seen) {
            return token;
        }
        let headers =
            |left| [("x-rate-limit-limit", "25"), ("x-rate-limit-remaining", left), ("x-rate-limit-reset", "10")];
        if seen.path == "/projects" {
            let all: Vec<String> = (1..=PROJECTS).map(|id| format!("{{\"id\":{id}}}")).collect();
            return answer(200, &headers("24"), &format!("[{}]", all.join(",")));
        }
        *counted.lock().unwrap() += 1;
        answer(429, &headers("0"), "slow down")
    })
    .await;
    let manifest = format!("{SYSTEM}{CONTRACTS}").replace("per_page = 100", "per_page = 1000");
    let outcome = run(&source(&server, &manifest), &options(&clock)).await.unwrap();
    let errors: Vec<String> =
        (1..=PROJECTS).map(|id| coverage(&outcome, "contracts", &id.to_string()).error.clone().unwrap()).collect();
    let waited = errors.iter().filter(|error| error.contains("429")).count();
    let unasked = errors.iter().filter(|error| error.contains("not asked: the rate limit stayed used up")).count();
    assert!(waited >= 3 && waited + unasked == PROJECTS && waited < 40, "{waited} waited, {unasked} were not asked");
    let (refused, took) = (*refused.lock().unwrap(), clock.now() - start);
    assert!(refused < 800 && took < TimeDelta::hours(2), "{refused} requests in {took}");
}
