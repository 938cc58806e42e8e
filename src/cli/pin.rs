//! `tieout pin` and `tieout signoff`: commits that say something of an earlier one.

use std::io::Write as _;

use anyhow::anyhow;
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;

use super::chain::{Chain, NO_SUCH_MONTH, cells, first_of_month, moment_failure};
use super::workspace::Workspace;
use super::{Failure, Global};
use crate::clock::Clock;
use crate::engine::{Error as EngineError, SessionRequest};
use crate::warehouse::commit::{Head, Signoff};
use crate::warehouse::{AsOf, Error as WarehouseError, MomentError, MonthCommit, NewPin, end_of_day};

/// Arguments of `pin`.
#[derive(Args, Debug)]
pub(super) struct PinArguments {
    /// The name: letters, digits, `_` and `-`, such as FY2025; never re-used
    name: String,
    /// What is pinned: a moment, a day, commit:N or a pin; else the newest commit
    #[arg(long, value_name = "T", default_value = "latest")]
    as_of: String,
    /// The last day of the period: the accounting date at the pin
    #[arg(long, value_name = "D")]
    period_end: Option<NaiveDate>,
    /// The pin's own moment, for simulations: recorded for ever in the commit
    #[arg(long, value_name = "T")]
    now: Option<DateTime<Utc>>,
}

/// Arguments of `signoff`.
#[derive(Args, Debug)]
pub(super) struct SignoffArguments {
    /// The month, as 2026-10
    month: String,
    /// Who signs
    #[arg(long, value_name = "NAME")]
    by: String,
    /// The sign-off's own moment, for simulations: recorded for ever in the commit
    #[arg(long, value_name = "T")]
    now: Option<DateTime<Utc>>,
}

pub(super) async fn pin(global: &Global, arguments: &PinArguments) -> Result<u8, Failure> {
    let chain = Chain::open(global).await?;
    let as_of = AsOf::parse(&arguments.as_of, chain.zone).map_err(moment_failure)?;
    let new = NewPin { name: arguments.name.clone(), as_of, period_end: arguments.period_end };
    let clock = arguments.now.map_or(Clock::Machine, Clock::given);
    let made = chain.warehouse.pin(&new, &clock).await.map_err(mark_failure)?;
    let head = chain.warehouse.head().await.map_err(Failure::warehouse)?;
    let pin = head.pin(&new.name).map_err(Failure::warehouse)?;
    let target = head.commit(pin.commit).ok_or_else(|| Failure::warehouse(anyhow!("commit {} is gone", pin.commit)))?;
    let observed = target.observed_at.with_timezone(&chain.zone).date_naive();
    writeln!(
        std::io::stdout(),
        "pinned {}: commit {} of {}, accounting date {}\nmanifest {} (in commit {})",
        pin.name,
        pin.commit,
        chain.moment(target.committed_at),
        pin.period_end.unwrap_or(observed),
        pin.manifest,
        made.number
    )
    .map_err(Failure::usage)?;
    Ok(0)
}

pub(super) async fn signoff(global: &Global, arguments: &SignoffArguments) -> Result<u8, Failure> {
    let chain = Chain::open(global).await?;
    let by = arguments.by.trim();
    if by.is_empty() {
        return Err(Failure::usage(anyhow!("sign off {}: nobody signs\nhint: --by NAME", arguments.month)));
    }
    let month = first_of_month(&arguments.month, &format!("sign off `{}`", arguments.month))?;
    let clock = arguments.now.map_or(Clock::Machine, Clock::given);
    let signing = Signing { month, by, now: clock.now(), zone: chain.zone };
    let commit = signing.commit(&chain.head).map_err(mark_failure)?;
    let (open, unevaluated) = results(global, &chain, commit).await?;
    let sign = |base: &Head| {
        if signing.commit(base)? != commit {
            return Err(signing.refuse("another commit became the month's meanwhile\nhint: run it again".to_owned()));
        }
        let manifest = base.manifest_digest(commit).unwrap_or_default().to_owned();
        let (by, open_exceptions, unevaluated_checks) = (by.to_owned(), open, unevaluated);
        Ok(Signoff { month, by, commit, manifest, open_exceptions, unevaluated_checks })
    };
    let made = chain.warehouse.sign_off(&clock, sign).await.map_err(mark_failure)?;
    writeln!(
        std::io::stdout(),
        "{} signed off by {by}: commit {commit}, {open} open exceptions, {unevaluated} checks not or only partly \
         evaluated (in commit {})",
        month.format("%Y-%m"),
        made.number
    )
    .map_err(Failure::usage)?;
    Ok(0)
}

/// A month about to be signed.
struct Signing<'a> {
    month: NaiveDate,
    by: &'a str,
    now: DateTime<Utc>,
    zone: chrono_tz::Tz,
}

impl Signing<'_> {
    /// The commit to sign on a chain, or why the month cannot be signed.
    fn commit(&self, head: &Head) -> Result<u64, WarehouseError> {
        let months = head.months(head.number(), self.zone);
        let found = months.iter().find(|month| month.month == self.month);
        let Some(MonthCommit { commit: Some(commit), is_closed: true, .. }) = found else {
            return Err(self.refuse(self.unready(found)));
        };
        if let Some((made, signed)) =
            head.signoffs(head.number()).rfind(|(_, signed)| signed.month == self.month && signed.by == self.by)
            && signed.commit == *commit
        {
            let at = made.committed_at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M %Z");
            return Err(self.refuse(format!("{} signed it at {at}, on the same commit {commit}", self.by)));
        }
        Ok(*commit)
    }

    /// Why the month has no commit that could be signed.
    fn unready(&self, found: Option<&MonthCommit>) -> String {
        let last = self.month.checked_add_months(chrono::Months::new(1)).and_then(|next| next.pred_opt());
        let ends = last.and_then(|last| end_of_day(last, self.zone));
        let last = last.unwrap_or(self.month);
        match found {
            _ if ends.is_some_and(|ends| self.now <= ends) => "the month has not ended yet".to_owned(),
            None => NO_SUCH_MONTH.to_owned(),
            Some(_) => format!(
                "not every table was read completely since the month ended\nhint: `tieout show` says what was not; extract \
                 again, or choose a commit by `tieout pin NAME --as-of T --period-end {last}`"
            ),
        }
    }

    fn refuse(&self, reason: String) -> WarehouseError {
        let month = self.month.format("%Y-%m").to_string();
        WarehouseError::Moment(MomentError::Signoff { month, reason })
    }
}

/// A person can do something about all but a warehouse that fails.
fn mark_failure(error: WarehouseError) -> Failure {
    match error {
        WarehouseError::Conflict { .. } => Failure::locked(error),
        other => moment_failure(other),
    }
}

/// What the signer sees: open exceptions, and checks that could not speak or only in part.
async fn results(global: &Global, chain: &Chain, commit: u64) -> Result<(u64, u64), Failure> {
    let engine = Workspace::open_existing(global).await?.engine().await?;
    let request = SessionRequest { as_of: Some(format!("commit:{commit}")), ..SessionRequest::default() };
    let session = engine.session(&request).await.map_err(Failure::usage)?;
    let sql = "select (select count(*) from system.exceptions where state = 'open') as open_count, \
               (select count(*) from recon.check_runs where is_latest and project_id is null and \
               verdict in ('not_evaluated', 'partial')) as unevaluated_count";
    let batches = async { session.sql(sql).await?.collect().await };
    let batches = batches.await.map_err(|error| Failure::warehouse(EngineError::of(error)))?;
    let rows = cells(&batches, ["open_count", "unevaluated_count"]).map_err(Failure::warehouse)?;
    let numbers = rows.first().map(|[open, unevaluated]| (open.parse().ok(), unevaluated.parse().ok()));
    match numbers {
        Some((Some(open), Some(unevaluated))) => Ok((open, unevaluated)),
        _ => Err(Failure::warehouse(anyhow!(
            "read the results of commit {commit} of {}: no answer",
            chain.warehouse.id()
        ))),
    }
}
