//! When work is due in the firm's zone, and what became of it.
//!
//! Owns cron lines, month ends and the ledger of runs: pure functions of moments, and one append-only file in the workspace.
//! Leaves out who carries work out (`cli::schedule`). Invariant: a time of the wall clock is due exactly once, also where
//! daylight saving leaves it out or brings it twice.

mod here;
mod ledger;
mod lock;
mod month_end;
mod times;
mod watch;

pub(crate) use ledger::{Ending, Ledger, Outcome, Run, Told, append, headline};
pub(crate) use lock::ServerLock;
pub(crate) use month_end::{DayOfMonth, MonthEnd};
pub(crate) use times::{Cron, instant};
pub use watch::Watch;
pub(crate) use watch::{LATE, Watched};
