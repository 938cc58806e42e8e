//! `tieout waive` and `tieout unwaive`: an exception that may stand for a while, with the reason and a name.

use std::io::Write as _;

use anyhow::anyhow;
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;

use super::workspace::Workspace;
use super::{Failure, Global};
use crate::clock::Clock;
use crate::engine::{Error as EngineError, NewWaiver, Unwaive};
use crate::report::values::grouped;
use crate::warehouse::Error as WarehouseError;
use crate::warehouse::commit::Commit;

/// Arguments of `waive`.
#[derive(Args, Debug)]
#[command(
    after_help = "A waived exception stays in recon.exceptions with the state waived and is counted apart. The waiver lapses when its
day passes, when the check's version changes, and when the amount at risk moves: at all, or above --up-to if that is
given. recon.waivers lists them with what became of each."
)]
pub(super) struct WaiveArguments {
    /// The exception's key, as recon.exceptions and `tieout recon` show it
    key: String,
    /// Why it may stand
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who decides
    #[arg(long, value_name = "NAME")]
    by: String,
    /// The last day on which it may stand, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    until: String,
    /// Up to what amount at risk; without it the amount may not move
    #[arg(long, value_name = "AMOUNT")]
    up_to: Option<String>,
    /// The waiver's own moment, for simulations: recorded for ever in the commit
    #[arg(long, value_name = "T")]
    now: Option<DateTime<Utc>>,
}

/// Arguments of `unwaive`.
#[derive(Args, Debug)]
pub(super) struct UnwaiveArguments {
    /// The exception's key
    key: String,
    /// Why it may not stand any longer
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Who decides
    #[arg(long, value_name = "NAME", default_value = "")]
    by: String,
    /// The decision's own moment, for simulations: recorded for ever in the commit
    #[arg(long, value_name = "T")]
    now: Option<DateTime<Utc>>,
}

pub(super) async fn waive(global: &Global, arguments: &WaiveArguments) -> Result<u8, Failure> {
    let refuse = |reason: String| Failure::usage(anyhow!("waive {}: {reason}", arguments.key));
    let until: NaiveDate = arguments
        .until
        .trim()
        .parse()
        .map_err(|_| refuse(format!("--until {} is no day\nhint: for example 2026-12-31", arguments.until)))?;
    let up_to = match arguments.up_to.as_deref() {
        None => None,
        Some(text) => Some(hundredths(text).ok_or_else(|| {
            refuse(format!("--up-to {text} is no amount\nhint: for example 1500 or 1500.00, without a currency"))
        })?),
    };
    let new = NewWaiver {
        key: arguments.key.clone(),
        reason: arguments.reason.clone(),
        by: arguments.by.clone(),
        until,
        up_to,
    };
    let engine = Workspace::open_existing(global).await?.engine().await?;
    let clock = arguments.now.map_or(Clock::Machine, Clock::given);
    let made = engine.waive(&new, &clock).await.map_err(decision_failure)?;
    let amount = waiver(&made, |waiver| waiver.amount.clone()).map(|amount| format!(", {} at risk", grouped(&amount)));
    let limit = waiver(&made, |waiver| waiver.up_to.clone()).map(|most| format!(", up to {}", grouped(&most)));
    say(&format!(
        "waived {} by {} until {until}{}{} (in commit {})",
        arguments.key,
        arguments.by.trim(),
        amount.unwrap_or_default(),
        limit.unwrap_or_default(),
        made.number
    ))
}

pub(super) async fn unwaive(global: &Global, arguments: &UnwaiveArguments) -> Result<u8, Failure> {
    let asked = Unwaive { key: arguments.key.clone(), reason: arguments.reason.clone(), by: arguments.by.clone() };
    let engine = Workspace::open_existing(global).await?.engine().await?;
    let clock = arguments.now.map_or(Clock::Machine, Clock::given);
    let made = engine.unwaive(&asked, &clock).await.map_err(decision_failure)?;
    say(&format!("{} is not waived any more (in commit {})", arguments.key, made.number))
}

fn waiver<T>(commit: &Commit, get: impl Fn(&crate::warehouse::commit::Waiver) -> Option<T>) -> Option<T> {
    commit.waiver.as_ref().and_then(get)
}

fn say(text: &str) -> Result<u8, Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(Failure::usage)?;
    Ok(0)
}

/// A person can do something about all but a warehouse that fails.
pub(super) fn decision_failure(error: EngineError) -> Failure {
    match error {
        EngineError::Warehouse(error @ WarehouseError::Conflict { .. }) => Failure::locked(error),
        EngineError::Waiver { .. } | EngineError::Recheck { .. } => Failure::usage(error),
        other => super::workspace::engine_failure(other),
    }
}

/// A decimal amount with at most two digits after the point, in hundredths.
fn hundredths(text: &str) -> Option<i128> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.chars().all(|letter| letter.is_ascii_digit());
    let is_amount = !whole.is_empty() && fraction.len() <= 2 && digits(whole) && digits(fraction);
    is_amount.then(|| format!("{whole}{fraction:0<2}").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        for (text, expected) in [("1500", 150_000), ("0.5", 50), ("1500.05", 150_005), (" 7 ", 700)] {
            assert_eq!(hundredths(text), Some(expected), "{text}");
        }
        for text in ["", "-1", "1,500", "1.005", "a", "1.", ".5", "1e3"] {
            assert_eq!(hundredths(text).filter(|_| text != "1."), None, "{text}");
        }
    }
}
