//! `tieout recheck`: what the present rules say of the past, shown before it is kept.

use std::fmt::Write as _;
use std::io::Write as _;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;

use super::chain::{Format, csv_line};
use super::paint::{Ink, Paint};
use super::waive::decision_failure;
use super::workspace::Workspace;
use super::{Failure, Global};
use crate::clock::Clock;
use crate::engine::Recheck;
use crate::engine::decimal_text;
use crate::report::values::grouped;

/// Arguments of `recheck`.
#[derive(Args, Debug)]
#[command(
    after_help = "Without --keep nothing is written. Kept, it is one commit more: trends and recon.exception_history then tell the
past by the present rules, and as of an earlier commit they tell what was said then."
)]
pub(super) struct RecheckArguments {
    /// From where on: a day, a moment, commit:N, or a pin
    #[arg(long, value_name = "T")]
    since: String,
    /// Keep what was found, as a commit
    #[arg(long)]
    keep: bool,
    /// How it is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The recheck's own moment, for simulations: recorded for ever in the commit
    #[arg(long, value_name = "T", requires = "keep")]
    now: Option<DateTime<Utc>>,
}

pub(super) async fn run(global: &Global, arguments: &RecheckArguments) -> Result<u8, Failure> {
    let engine = Workspace::open_existing(global).await?.engine().await?;
    let found = engine.recheck(&arguments.since).await.map_err(decision_failure)?;
    let kept = if arguments.keep {
        let clock = arguments.now.map_or(Clock::Machine, Clock::given);
        Some(engine.keep(&found, &clock).await.map_err(decision_failure)?.number)
    } else {
        None
    };
    let text = match arguments.format {
        Format::Text => text(&found, kept, Paint::stdout(global.color)),
        Format::Csv => csv(&found),
        Format::Json => json(&found, kept),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::usage)?;
    // A rule that fails says nothing of the past: that is no agreement.
    Ok(if found.silent.is_empty() { 0 } else { super::INCOMPLETE })
}

fn text(found: &Recheck, kept: Option<u64>, paint: Paint) -> String {
    let (first, last) = (found.commits.first().copied().unwrap_or(0), found.commits.last().copied().unwrap_or(0));
    let mut out = match found.commits.len() {
        1 => format!("commit {first} judged again by the present rules\n"),
        count => format!("{count} commits from {first} to {last} judged again by the present rules\n"),
    };
    if found.differences.is_empty() {
        out.push_str("\nthey find what was found before\n");
    } else {
        let _ = writeln!(
            out,
            "\n{}",
            paint.ink(Ink::Title, "month    check   opened   closed  changed   at risk before    at risk now")
        );
    }
    for ((month, check), difference) in &found.differences {
        let count = |ink, count: usize| paint.ink(if count == 0 { Ink::Faint } else { ink }, format!("{count:>8}"));
        let _ = writeln!(
            out,
            "{}  {check:<6} {} {} {} {:>16} {:>14}",
            month.format("%Y-%m"),
            count(Ink::Removed, difference.opened),
            count(Ink::Added, difference.closed),
            count(Ink::Changed, difference.changed),
            grouped(&decimal_text(difference.amount_before)),
            grouped(&decimal_text(difference.amount_after)),
        );
    }
    for (check, error) in &found.silent {
        let _ = writeln!(out, "{}", paint.ink(Ink::Removed, format!("{check} could not be judged: {error}")));
    }
    let _ = match kept {
        Some(number) => writeln!(out, "\nkept as commit {number}"),
        None => writeln!(out, "\nnothing was kept; --keep keeps it as a commit"),
    };
    out
}

fn csv(found: &Recheck) -> String {
    let mut out = "month,check,opened,closed,changed,amount_before,amount_after\n".to_owned();
    for ((month, check), difference) in &found.differences {
        let values = [
            month.format("%Y-%m").to_string(),
            check.clone(),
            difference.opened.to_string(),
            difference.closed.to_string(),
            difference.changed.to_string(),
            decimal_text(difference.amount_before),
            decimal_text(difference.amount_after),
        ];
        let _ = writeln!(out, "{}", csv_line(values.iter().map(String::as_str)));
    }
    out
}

fn json(found: &Recheck, kept: Option<u64>) -> String {
    let differences = found.differences.iter().map(|((month, check), difference)| {
        json!({
            "month": month.format("%Y-%m").to_string(), "check": check, "opened": difference.opened,
            "closed": difference.closed, "changed": difference.changed,
            "amount_before": decimal_text(difference.amount_before), "amount_after": decimal_text(difference.amount_after),
        })
    });
    let value = json!({
        "commits": found.commits, "differences": differences.collect::<Vec<_>>(), "failed": found.silent, "kept": kept,
    });
    format!("{value:#}\n")
}
