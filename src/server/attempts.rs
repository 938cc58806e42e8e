//! Failed logins: each makes the next answer to the same address wait longer.
//!
//! Guessing a password takes thousands of tries; a person mistypes it twice. Invariant: what is remembered is bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the first failure waits; each further one waits twice as long.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(8);
/// After so long without a failure an address starts anew.
const FORGOTTEN: Duration = Duration::from_mins(10);
/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 10_000;

/// The failures of each address.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<IpAddr, (u32, Instant)>>);

impl Attempts {
    /// Counts a failure of now; how long its answer waits.
    pub(crate) fn failed(&self, address: IpAddr, now: Instant) -> Duration {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES_MAX {
            all.retain(|_, (_, last)| now.duration_since(*last) < FORGOTTEN);
        }
        if all.len() >= ADDRESSES_MAX && !all.contains_key(&address) {
            return LONGEST;
        }
        let (count, last) = all.entry(address).or_insert((0, now));
        if now.duration_since(*last) >= FORGOTTEN {
            *count = 0;
        }
        *last = now;
        *count = count.saturating_add(1);
        FIRST.saturating_mul(1_u32.checked_shl(*count - 1).unwrap_or(u32::MAX)).min(LONGEST)
    }

    /// Forgets the failures of an address that logged in.
    pub(crate) fn succeeded(&self, address: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_waits_longer_until_one_succeeds() {
        let attempts = Attempts::default();
        let (address, now) = (IpAddr::from([192, 0, 2, 1]), Instant::now());
        let waited: Vec<u128> = (0..40).map(|_| attempts.failed(address, now).as_millis()).collect();
        assert_eq!(waited[..4], [250, 500, 1000, 2000]);
        assert_eq!((waited[5], waited[39]), (8000, 8000));
        assert_eq!(attempts.failed(IpAddr::from([192, 0, 2, 2]), now), FIRST);
        attempts.succeeded(address);
        assert_eq!(attempts.failed(address, now), FIRST);
        attempts.failed(address, now);
        assert_eq!(attempts.failed(address, now + FORGOTTEN), FIRST);
    }
}
