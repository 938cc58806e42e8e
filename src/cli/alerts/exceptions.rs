//! What the checks say that was not told before: exceptions, and silence.
//!
//! Labels and numbers leave the firm, details do not: they quote what a system wrote. Amounts as far as the settings say.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::super::Failure;
use super::super::workspace::{Workspace, engine_failure};
use crate::alerts::{Kind, Memory, Message};
use crate::config::{Amounts, Config, LeastSeverity};
use crate::engine::SessionRequest;
use crate::report::values::{grouped, rows};

/// Checks that one message names; of the others there is a count.
const CHECKS_MAX: usize = 15;

/// An open exception.
struct Open {
    check: String,
    key: String,
    severity: String,
    amount: String,
    label: String,
    project: String,
    fix_side: String,
}

/// What a check is called, and how much of it is open.
#[derive(Default)]
struct Check {
    title: String,
    open: String,
    amount: String,
    currency: String,
}

/// Looks at the newest commit.
///
/// # Errors
/// A warehouse that cannot be read.
pub(super) async fn find(
    workspace: &Workspace,
    config: &Config,
    memory: &mut Memory,
    now: DateTime<Utc>,
) -> Result<Vec<Message>, Failure> {
    let engine = workspace.engine().await?;
    let session = engine.session(&SessionRequest::default()).await.map_err(engine_failure)?;
    let failed = Failure::warehouse;
    // As the report ranks them: what follows from another one comes last, its money counts there.
    let listed = "with open_keys as (select distinct exception_key from recon.exceptions where state = 'open') \
                  select e.check_id, e.exception_key, e.severity, coalesce(cast(e.amount_at_risk as varchar), ''), e.label, \
                  e.project_number, e.fix_side from recon.exceptions as e \
                  left join open_keys on open_keys.exception_key = e.explained_by where e.state = 'open' \
                  order by open_keys.exception_key is not null, e.amount_at_risk desc nulls last, e.age_days desc, e.exception_key";
    let open = rows::<7>(&session, listed).await.map_err(failed)?;
    let open: Vec<Open> = open
        .into_iter()
        .map(|[check, key, severity, amount, label, project, fix_side]| Open {
            check,
            key,
            severity,
            amount,
            label,
            project,
            fix_side,
        })
        .collect();
    let told = "select check_id, title, open_count, amount_at_risk, currency from recon.summary";
    let checks = rows::<5>(&session, told).await.map_err(failed)?.into_iter();
    let checks: BTreeMap<String, Check> =
        checks.map(|[id, title, open, amount, currency]| (id, Check { title, open, amount, currency })).collect();
    let said = "select check_id, verdict, reason from recon.check_runs where is_latest and project_id is null";
    let verdicts = rows::<3>(&session, said).await.map_err(failed)?;
    let commit = rows::<1>(&session, "select commit_number from meta.clock").await.map_err(failed)?;
    let id = format!("{}:{}", workspace.warehouse.id(), commit.concat().concat());

    let mut messages = Vec::new();
    if let Some((title, lines)) = silent(&verdicts, &checks, &mut memory.verdicts) {
        messages.push(Message::new(format!("silent:{id}"), now, Kind::NotEvaluated, title, &lines));
    }
    if let Some((title, lines)) = new(&open, &checks, config, &mut memory.exceptions) {
        messages.push(Message::new(format!("exceptions:{id}"), now, Kind::Exceptions, title, &lines));
    }
    Ok(messages)
}

/// Checks that cannot look any more; what each says is remembered.
fn silent(
    verdicts: &[[String; 3]],
    checks: &BTreeMap<String, Check>,
    known: &mut BTreeMap<String, String>,
) -> Option<(String, Vec<String>)> {
    const SILENT: &str = "not_evaluated";
    let mut lines = Vec::new();
    for [check, verdict, reason] in verdicts {
        let before = known.insert(check.clone(), verdict.clone());
        if verdict == SILENT && before.as_deref() != Some(SILENT) {
            let title = checks.get(check).map(|check| check.title.as_str()).unwrap_or_default();
            lines.push(format!("{check} {title}: {reason}"));
        }
    }
    let (says, count) = (if lines.len() == 1 { "check cannot" } else { "checks cannot" }, lines.len());
    (count > 0).then(|| (format!("{count} {says} look: they say nothing, which is no all-clear"), lines))
}

/// Exceptions that were not told before, by check. What is open no more is forgotten: it is new when it comes again.
fn new(
    open: &[Open],
    checks: &BTreeMap<String, Check>,
    config: &Config,
    known: &mut BTreeSet<String>,
) -> Option<(String, Vec<String>)> {
    let alerts = &config.alerts;
    let severe = |severity: &str| match alerts.severity {
        LeastSeverity::Low => true,
        LeastSeverity::Medium => severity != "low",
        LeastSeverity::High => severity == "high",
    };
    let keys: BTreeSet<&str> = open.iter().map(|open| open.key.as_str()).collect();
    known.retain(|key| keys.contains(key.as_str()));
    let new: Vec<&Open> = open.iter().filter(|open| severe(&open.severity) && !known.contains(&open.key)).collect();
    if new.is_empty() {
        return None;
    }
    let by_check = by_check(&new);
    let mut lines = Vec::new();
    for (check, found) in by_check.iter().take(CHECKS_MAX) {
        lines.push(heading(check, found, checks.get(*check), alerts.amounts));
        lines.extend(found.iter().take(alerts.rows).map(|open| row(open, alerts.amounts)));
    }
    match by_check.len().saturating_sub(CHECKS_MAX) {
        0 => {}
        1 => lines.push("… and 1 more check: `tieout recon`".to_owned()),
        more => lines.push(format!("… and {more} more checks: `tieout recon`")),
    }
    let of = |severity: &str| new.iter().filter(|open| open.severity == severity).count();
    let counts: Vec<String> = ["high", "medium", "low"]
        .into_iter()
        .filter_map(|severity| Some(of(severity)).filter(|count| *count > 0).map(|count| format!("{count} {severity}")))
        .collect();
    let word = if new.len() == 1 { "exception" } else { "exceptions" };
    known.extend(new.iter().map(|open| open.key.clone()));
    Some((format!("{} new {word}: {}", new.len(), counts.join(", ")), lines))
}

/// In the order of the first of each check: the dearest comes first, and what is too much for a message is the least.
fn by_check<'a>(new: &[&'a Open]) -> Vec<(&'a str, Vec<&'a Open>)> {
    let mut found: Vec<(&str, Vec<&Open>)> = Vec::new();
    for open in new {
        match found.iter_mut().find(|(check, _)| *check == open.check) {
            Some((_, of_check)) => of_check.push(open),
            None => found.push((&open.check, vec![open])),
        }
    }
    found
}

fn heading(id: &str, found: &[&Open], check: Option<&Check>, amounts: Amounts) -> String {
    let count = found.len();
    let Some(check) = check else { return format!("{id}: {count} new") };
    let of = if check.open.is_empty() { String::new() } else { format!(" of {} open", check.open) };
    let money = match amounts {
        Amounts::None => String::new(),
        _ if check.amount.is_empty() => String::new(),
        _ => format!(", all open ones {} {}", grouped(&check.amount), check.currency),
    };
    format!("{id} {}: {count} new{of}{money}", check.title)
}

fn row(open: &Open, amounts: Amounts) -> String {
    let project = if open.project.is_empty() { String::new() } else { format!(", project {}", open.project) };
    let fix =
        if open.fix_side.is_empty() { String::new() } else { format!(", fix in {}", open.fix_side.to_uppercase()) };
    let amount = match amounts {
        Amounts::Rows if !open.amount.is_empty() => format!(", {}", grouped(&open.amount)),
        _ => String::new(),
    };
    format!("· {}{project}{amount}{fix} ({})", open.label, open.severity)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn open(key: &str, severity: &str) -> Open {
        Open {
            check: key.split(':').next().unwrap().to_owned(),
            key: key.to_owned(),
            severity: severity.to_owned(),
            amount: "12000.00".to_owned(),
            label: format!("Beam {key}"),
            project: "24-001".to_owned(),
            fix_side: "pm".to_owned(),
        }
    }

    fn settings(text: &str) -> Config {
        Config::parse(&format!("[alerts]\n{text}"), PathBuf::new()).unwrap()
    }

    fn checks() -> BTreeMap<String, Check> {
        let check = Check {
            title: "Orders that are missing".to_owned(),
            open: "3".to_owned(),
            amount: "36000.00".to_owned(),
            currency: "USD".to_owned(),
        };
        BTreeMap::from([("M1".to_owned(), check)])
    }

    #[test]
    fn an_exception_is_told_once_and_again_when_it_comes_again() {
        let (config, checks) = (settings(""), checks());
        let mut known = BTreeSet::new();
        let mut tell = |open: &[Open]| new(open, &checks, &config, &mut known).map(|(title, _)| title);
        let first = [open("M1:1", "high"), open("M1:2", "low")];
        assert_eq!(tell(&first).as_deref(), Some("1 new exception: 1 high"), "low is below the settings");
        assert_eq!(tell(&first), None);
        assert_eq!(
            tell(&[open("M1:1", "high"), open("M1:2", "medium")]).as_deref(),
            Some("1 new exception: 1 medium"),
            "it became worse"
        );
        assert_eq!(tell(&[open("M1:2", "medium")]), None);
        assert_eq!(
            tell(&[open("M1:1", "high"), open("M1:2", "medium")]).as_deref(),
            Some("1 new exception: 1 high"),
            "it came again"
        );
    }

    #[test]
    fn what_is_too_much_for_a_message_is_the_least() {
        let open: Vec<Open> = (0..=CHECKS_MAX).rev().map(|check| open(&format!("M{check:02}:1"), "high")).collect();
        let (title, lines) = new(&open, &checks(), &settings("rows = 0"), &mut BTreeSet::new()).unwrap();
        assert_eq!(title, "16 new exceptions: 16 high");
        assert_eq!(lines.first().map(String::as_str), Some("M15: 1 new"));
        assert_eq!(
            lines.get(14..),
            Some(["M01: 1 new", "… and 1 more check: `tieout recon`"].map(str::to_owned).as_slice())
        );
    }

    #[test]
    fn amounts_leave_the_firm_only_as_far_as_they_may() {
        let told = |text: &str| {
            let open = [open("M1:1", "high"), open("M1:2", "high")];
            new(&open, &checks(), &settings(text), &mut BTreeSet::new()).unwrap().1
        };
        let none = told("rows = 1");
        assert_eq!(
            none,
            ["M1 Orders that are missing: 2 new of 3 open", "· Beam M1:1, project 24-001, fix in PM (high)"]
        );
        let totals = told("amounts = \"totals\"\nrows = 1");
        assert!(totals[0].ends_with("all open ones 36,000.00 USD") && !totals[1].contains("12,000"), "{totals:?}");
        assert!(told("amounts = \"rows\"")[2].contains("12,000.00"));
    }

    #[test]
    fn a_check_that_falls_silent_is_told_once() {
        let row = |verdict: &str| [["M1", verdict, "vista.orders is stale"].map(str::to_owned)];
        let mut known = BTreeMap::new();
        let mut tell = |verdict| silent(&row(verdict), &checks(), &mut known);
        assert!(tell("clean").is_none());
        let (title, lines) = tell("not_evaluated").unwrap();
        assert_eq!(title, "1 check cannot look: they say nothing, which is no all-clear");
        assert_eq!(lines, ["M1 Orders that are missing: vista.orders is stale"]);
        assert!(tell("not_evaluated").is_none() && tell("exceptions").is_none());
        assert!(tell("not_evaluated").is_some(), "again");
    }
}
