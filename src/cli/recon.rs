//! `tieout recon`: what each check says and what is open, as of the newest commit.
//!
//! Exit codes: 1 where an open exception is at or above `--fail-on`; else 5 where a check could not look, or not everywhere;
//! else 0. Invariant: a check that could not look is never shown by a number.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use datafusion::prelude::SessionContext;
use serde_json::json;

use super::chain::{Format, csv_line};
use super::paint::{Ink, Paint, printable};
use super::summary::moment;
use super::workspace::{Workspace, engine_failure};
use super::{Failure, Global, INCOMPLETE};
use crate::engine::SessionRequest;
use crate::extract::did_you_mean;
use crate::report::values::{grouped, query};

/// Exit code where an exception is at or above `--fail-on`.
const FOUND: u8 = 1;
/// Exceptions shown of a check that was not asked for by name.
const SHOWN_MAX: usize = 5;
/// Months that a sparkline shows.
const MONTHS: usize = 13;

/// Arguments of `recon`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tieout recon                       every check, and the largest open exceptions of each
  tieout recon O1 P1                 these checks, and all their open exceptions
  tieout recon --fail-on high        ends with 1 if an open exception is of high severity
  tieout recon --format csv          the open exceptions, for a spreadsheet

Exit codes: 1 an open exception at or above --fail-on; else 5 a check could not look, or not everywhere; else 0.
Waived exceptions and those in flight never make it 1.")]
pub(super) struct ReconArguments {
    /// Checks, by id or by the name of their view; all if none is named
    checks: Vec<String>,
    /// End with 1 if an open exception is at least so severe
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
    /// How it is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How bad an exception is, by amount and age: the thresholds are settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Severity {
    /// Any.
    Low,
    /// From 1,000 or 7 days, unless the settings say otherwise.
    Medium,
    /// From 10,000 or 30 days, unless the settings say otherwise.
    High,
}

/// A check as `recon.summary` tells it. Empty text is null.
struct Check {
    id: String,
    title: String,
    verdict: String,
    open: String,
    in_flight: String,
    waived: String,
    amount: String,
    currency: String,
    reason: String,
    /// Open at each month's commit; none where it could not look.
    months: Vec<Option<usize>>,
}

/// An exception as `recon.exceptions` tells it.
struct Found {
    check: String,
    key: String,
    state: String,
    severity: String,
    amount: String,
    currency: String,
    age: String,
    fix_side: String,
    project: String,
    cause: String,
    label: String,
    detail: String,
}

struct Told {
    commit: String,
    observed_at: String,
    checks: Vec<Check>,
    found: Vec<Found>,
}

pub(super) async fn run(global: &Global, arguments: &ReconArguments) -> Result<u8, Failure> {
    let workspace = Workspace::open_existing(global).await?;
    let engine = workspace.engine().await?;
    workspace.warn_if_empty().await?;
    let session = engine.session(&SessionRequest::default()).await.map_err(engine_failure)?;
    let wanted = wanted(&session, &arguments.checks).await?;
    let told = told(&session, &wanted).await.map_err(Failure::warehouse)?;
    let text = match arguments.format {
        Format::Text => text(&told, !arguments.checks.is_empty(), Paint::stdout(global.color)),
        Format::Json => json(&told),
        Format::Csv => csv(&told),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::usage)?;
    if arguments.format != Format::Text {
        for check in told.checks.iter().filter(|check| check.is_silent()) {
            // A table of exceptions does not show who could not look.
            let _ = writeln!(std::io::stderr(), "{}: {} {}", check.verdict.replace('_', " "), check.id, check.reason);
        }
    }
    Ok(exit_code(&told, arguments.fail_on))
}

/// An exception that somebody must see comes before a check that could not look: the first is certain.
fn exit_code(told: &Told, fail_on: Option<Severity>) -> u8 {
    let is_bad = |found: &Found| {
        let severity = Severity::from_str(&found.severity, true).unwrap_or(Severity::High);
        found.state == "open" && fail_on.is_some_and(|least| severity >= least)
    };
    match told {
        _ if told.found.iter().any(is_bad) => FOUND,
        _ if told.checks.iter().any(Check::is_silent) => INCOMPLETE,
        _ => 0,
    }
}

impl Check {
    fn is_silent(&self) -> bool {
        matches!(self.verdict.as_str(), "not_evaluated" | "partial")
    }
}

/// The ids of the checks that a person named.
async fn wanted(session: &SessionContext, names: &[String]) -> Result<Vec<String>, Failure> {
    let listed = "select check_id, view_name from meta.checks where check_id is not null order by check_id";
    let known = query(session, listed).await.map_err(Failure::warehouse)?;
    let pairs = || known.iter().filter_map(|row| Some((row.first()?.as_str(), row.get(1)?.as_str())));
    let mut ids = Vec::new();
    for name in names {
        let is_it = |(id, view): &(&str, &str)| id.eq_ignore_ascii_case(name) || view.eq_ignore_ascii_case(name);
        let Some((id, _)) = pairs().find(is_it) else {
            let guess = did_you_mean(name, pairs().flat_map(|(id, view)| [id, view]));
            let all = pairs().map(|(id, _)| id).collect::<Vec<_>>().join(", ");
            return Err(Failure::usage(anyhow!("recon {name}: no such check{guess}\nhint: there are {all}")));
        };
        ids.push(id.to_owned());
    }
    Ok(if names.is_empty() { pairs().map(|(id, _)| id.to_owned()).collect() } else { ids })
}

async fn told(session: &SessionContext, wanted: &[String]) -> anyhow::Result<Told> {
    let newest = "select commit_number, date_trunc('second', observed_at) from meta.clock";
    let newest = query(session, newest).await?;
    let cell =
        |row: Option<&Vec<String>>, place: usize| row.and_then(|row| row.get(place)).cloned().unwrap_or_default();
    let mut months: BTreeMap<String, Vec<Option<usize>>> = BTreeMap::new();
    let trend = "select check_id, open_count from trend.exceptions_by_month order by check_id, month";
    for row in query(session, trend).await? {
        if let [check, open] = row.as_slice() {
            months.entry(check.clone()).or_default().push(open.parse().ok());
        }
    }
    let summary = "select summary.check_id, summary.title, summary.verdict, summary.open_count, summary.in_flight_count, \
                   summary.waived_count, summary.amount_at_risk, summary.currency, runs.reason \
                   from recon.summary as summary left join recon.check_runs as runs on \
                   runs.check_id = summary.check_id and runs.is_latest and runs.project_id is null order by 1";
    let mut checks = Vec::new();
    for row in query(session, summary).await? {
        let [id, title, verdict, open, in_flight, waived, amount, currency, reason] =
            std::array::from_fn(|place| cell(Some(&row), place));
        if wanted.contains(&id) {
            let months = months.remove(&id).unwrap_or_default();
            checks.push(Check { id, title, verdict, open, in_flight, waived, amount, currency, reason, months });
        }
    }
    let listed = "select check_id, exception_key, state, severity, amount_at_risk, currency, age_days, fix_side, \
                  project_number, cause, label, detail from recon.exceptions where state in ('open', 'waived') order by \
                  check_id, state, amount_at_risk desc nulls last, age_days desc, exception_key";
    let mut found = Vec::new();
    for row in query(session, listed).await? {
        let [check, key, state, severity, amount, currency, age, fix_side, project, cause, label, detail] =
            std::array::from_fn(|place| cell(Some(&row), place));
        if wanted.contains(&check) {
            let found_one =
                Found { check, key, state, severity, amount, currency, age, fix_side, project, cause, label, detail };
            found.push(found_one);
        }
    }
    Ok(Told { commit: cell(newest.first(), 0), observed_at: cell(newest.first(), 1), checks, found })
}

fn text(told: &Told, is_named: bool, paint: Paint) -> String {
    let mut out = String::new();
    if !told.commit.is_empty() {
        let _ = writeln!(out, "As of {} (commit {})\n", moment(&told.observed_at), told.commit);
    }
    let width = told.checks.iter().map(|check| check.title.chars().count()).max().unwrap_or(0);
    for check in &told.checks {
        line(&mut out, check, width, paint);
        let of_check: Vec<&Found> = told.found.iter().filter(|found| found.check == check.id).collect();
        let most = if is_named { usize::MAX } else { SHOWN_MAX };
        for found in of_check.iter().take(most) {
            exception(&mut out, found, paint);
        }
        if of_check.len() > most {
            let more = format!("      … {} more: tieout recon {}", of_check.len() - most, check.id);
            let _ = writeln!(out, "{}", paint.ink(Ink::Faint, more));
        }
    }
    let count = |state: &str| told.found.iter().filter(|found| found.state == state).count();
    let silent = told.checks.iter().filter(|check| check.is_silent()).count();
    let _ = write!(out, "\n{} open, {} waived", count("open"), count("waived"));
    let _ = match silent {
        0 => writeln!(out),
        _ => writeln!(
            out,
            "; {}",
            paint.ink(Ink::Removed, format!("{silent} of {} checks could not look everywhere", told.checks.len()))
        ),
    };
    out
}

fn line(out: &mut String, check: &Check, width: usize, paint: Paint) {
    let ink = match check.verdict.as_str() {
        "clean" => Ink::Added,
        "exceptions" => Ink::Changed,
        "not_applicable" => Ink::Faint,
        _ => Ink::Removed,
    };
    let verdict = paint.ink(ink, format!("{:<14}", check.verdict));
    let _ = write!(out, "{} {:<width$}  {verdict} ", paint.ink(Ink::Title, format!("{:<4}", check.id)), check.title);
    // Never a bare zero: a check that could not speak has no count.
    let figures = if check.open.is_empty() {
        "–".to_owned()
    } else {
        let apart = |count: &str, what: &str| match count {
            "" | "0" => String::new(),
            _ => format!(", {count} {what}"),
        };
        let amount = match check.amount.as_str() {
            "" => String::new(),
            amount => format!(", {} {}", grouped(amount), check.currency),
        };
        format!("{} open{amount}{}{}", check.open, apart(&check.in_flight, "in flight"), apart(&check.waived, "waived"))
    };
    let _ = writeln!(out, "{}  {figures}", paint.ink(Ink::Faint, sparkline(&check.months)));
    if check.is_silent() && !check.reason.is_empty() {
        let _ = writeln!(out, "      {}", paint.ink(Ink::Removed, &check.reason));
    }
}

fn exception(out: &mut String, found: &Found, paint: Paint) {
    let is_waived = found.state == "waived";
    let ink = match found.severity.as_str() {
        _ if is_waived => Ink::Faint,
        "high" => Ink::Removed,
        "medium" => Ink::Changed,
        _ => Ink::Title,
    };
    let word = if is_waived { "waived" } else { found.severity.as_str() };
    let amount = if found.amount.is_empty() { "–".to_owned() } else { grouped(&found.amount) };
    let days = if found.age == "1" { "day" } else { "days" };
    let _ = writeln!(
        out,
        "      {} {amount:>14}  {:>4} {days:<4}  fix: {:<4}  {}",
        paint.ink(ink, format!("{word:<6}")),
        found.age,
        found.fix_side,
        printable(if found.detail.is_empty() { &found.label } else { &found.detail }),
    );
    let _ = writeln!(out, "             {}", paint.ink(Ink::Faint, printable(&found.key)));
}

/// A bar a month, as high as what was open; a dot where nobody could look.
fn sparkline(months: &[Option<usize>]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = months.get(months.len().saturating_sub(MONTHS)..).unwrap_or(months);
    let most = shown.iter().flatten().max().copied().unwrap_or(0).max(1);
    let bar = |count: usize| BARS.get((count * (BARS.len() - 1)).div_ceil(most)).copied().unwrap_or('█');
    let bars: String = shown.iter().map(|count| count.map_or('·', bar)).collect();
    format!("{bars:>MONTHS$}")
}

fn csv(told: &Told) -> String {
    let mut out = "check_id,exception_key,state,severity,amount_at_risk,currency,age_days,fix_side,project_number,cause,label,detail\n".to_owned();
    for found in &told.found {
        let _ = writeln!(out, "{}", csv_line(found.values().map(|(_, value)| value)));
    }
    out
}

impl Found {
    fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("check_id", &self.check),
            ("exception_key", &self.key),
            ("state", &self.state),
            ("severity", &self.severity),
            ("amount_at_risk", &self.amount),
            ("currency", &self.currency),
            ("age_days", &self.age),
            ("fix_side", &self.fix_side),
            ("project_number", &self.project),
            ("cause", &self.cause),
            ("label", &self.label),
            ("detail", &self.detail),
        ]
        .map(|(name, value)| (name, value.as_str()))
        .into_iter()
    }
}

/// Amounts stay decimal text: a number of JSON is a float to many readers.
fn json(told: &Told) -> String {
    let text = |value: &str| if value.is_empty() { serde_json::Value::Null } else { value.into() };
    let number = |value: &str| value.parse::<i64>().map_or(serde_json::Value::Null, Into::into);
    let check = |check: &Check| {
        json!({
            "check": check.id, "title": check.title, "verdict": check.verdict, "reason": text(&check.reason),
            "open": number(&check.open), "in_flight": number(&check.in_flight), "waived": number(&check.waived),
            "amount_at_risk": text(&check.amount), "currency": text(&check.currency), "open_by_month": check.months,
        })
    };
    let exception = |found: &Found| {
        let object = found.values().map(|(name, value)| {
            let value = if name == "age_days" { number(value) } else { text(value) };
            (name.to_owned(), value)
        });
        serde_json::Value::Object(object.collect())
    };
    let value = json!({
        "commit": number(&told.commit), "observed_at": text(&told.observed_at),
        "checks": told.checks.iter().map(check).collect::<Vec<_>>(),
        "exceptions": told.found.iter().map(exception).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(verdict: &str, state: &str, severity: &str) -> Told {
        let check = Check {
            id: "O1".to_owned(),
            title: "Stuck".to_owned(),
            verdict: verdict.to_owned(),
            open: if verdict == "not_evaluated" { String::new() } else { "1".to_owned() },
            in_flight: "0".to_owned(),
            waived: String::new(),
            amount: "5.00".to_owned(),
            currency: "USD".to_owned(),
            reason: "nobody looked".to_owned(),
            months: vec![Some(0), None, Some(4)],
        };
        let text = |text: &str| text.to_owned();
        let found = Found {
            check: text("O1"),
            key: text("O1:a"),
            state: text(state),
            severity: text(severity),
            amount: text("5.00"),
            currency: text("USD"),
            age: text("1"),
            fix_side: text("pm"),
            project: String::new(),
            cause: text("unknown"),
            label: text("CO 1"),
            detail: text("CO 1 never arrived"),
        };
        Told { commit: text("3"), observed_at: text("2026-03-01T06:00:00Z"), checks: vec![check], found: vec![found] }
    }

    #[test]
    fn an_exception_comes_before_a_check_that_could_not_look() {
        for (verdict, state, severity, fail_on, code) in [
            ("exceptions", "open", "high", None, 0),
            ("exceptions", "open", "high", Some(Severity::High), 1),
            ("exceptions", "open", "medium", Some(Severity::High), 0),
            ("exceptions", "open", "medium", Some(Severity::Medium), 1),
            ("exceptions", "open", "low", Some(Severity::Low), 1),
            ("exceptions", "waived", "high", Some(Severity::Low), 0),
            ("partial", "open", "high", Some(Severity::High), 1),
            ("partial", "open", "low", Some(Severity::High), 5),
            ("not_evaluated", "open", "low", None, 5),
            ("not_applicable", "waived", "low", None, 0),
        ] {
            assert_eq!(exit_code(&told(verdict, state, severity), fail_on), code, "{verdict} {state} {severity}");
        }
    }

    #[test]
    fn who_could_not_look_has_a_reason_and_no_number() {
        let text = text(&told("not_evaluated", "open", "low"), true, Paint::plain());
        assert!(text.contains("not_evaluated") && text.contains("–") && text.contains("nobody looked"), "{text}");
        assert!(text.contains("1 of 1 checks could not look everywhere"), "{text}");
        assert_eq!(sparkline(&[Some(0), None, Some(4), Some(1)]).trim_start(), "▁·█▃");
    }
}
