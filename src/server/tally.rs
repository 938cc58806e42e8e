//! Counts of what the audit log was told, since the start: statements by how they ended, how long they took, failed log-ins.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::audit::{Event, Line};

/// Seconds that bound the buckets of durations.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];
/// Milliseconds beyond which a duration is told no more exactly.
const MILLISECONDS_MAX: u64 = u32::MAX as u64;

/// A name and its value.
pub(crate) type Label = (&'static str, String);

/// What is counted.
#[derive(Debug)]
pub(crate) struct Tally {
    /// By the SQLSTATE that they ended with.
    pub(crate) statements: Family<[Label; 1], Counter>,
    pub(crate) failed_logins: Counter,
    pub(crate) seconds: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        Self { statements: Family::default(), failed_logins: Counter::default(), seconds: Histogram::new(SECONDS) }
    }
}

impl Tally {
    /// Counts a line.
    pub(crate) fn note(&self, line: &Line) {
        match line.event {
            Event::Statement => {
                self.statements.get_or_create(&[("outcome", line.outcome.to_owned())]).inc();
                let told = std::time::Duration::from_millis(line.milliseconds.min(MILLISECONDS_MAX));
                self.seconds.observe(told.as_secs_f64());
            }
            Event::LoginFailed => {
                self.failed_logins.inc();
            }
            Event::Login | Event::Logout => {}
        }
    }
}
