//! What may be believed of a result: the verdicts that checks and schedules state, and what the rows say of themselves.
//!
//! Invariant: where nothing can be read, the verdict is `not_evaluated` and never a good one.

use std::collections::BTreeMap;

use arrow::array::{Array as _, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt as _;

use super::index::Verdict;
use crate::server::{LocalQuery, QueryError};

const SCHEDULES: &str = "audit.readiness";
const RUNS: &str = "recon.check_runs";

const SCHEDULES_SQL: &str = "select view_name, project_number, status, reason from audit.readiness order by view_name, project_number nulls first";
const RUNS_SQL: &str = "select check_id, project_id, project_number, verdict, reason, error, check_version, pm_observed_at, \
     erp_observed_at, rows_read, exception_count, in_flight_count, waived_count, amount_at_risk \
     from recon.check_runs where is_latest order by check_id, project_id nulls first";

/// Rows by the names of their columns, nulls left out.
type Row = BTreeMap<String, String>;

/// What is stated at a moment.
#[derive(Debug)]
pub(super) struct Grounds {
    schedules: Result<Vec<Row>, String>,
    runs: Result<Vec<Row>, String>,
}

impl Grounds {
    /// Reads what checks and schedules state.
    ///
    /// # Errors
    /// The snapshots cannot be read. A view that is not there, or cannot be used, is what the verdicts say.
    pub(super) async fn read(session: &SessionContext) -> Result<Self, QueryError> {
        let read = async |sql: &str| match rows(session, sql).await {
            Ok(rows) => Ok(Ok(rows)),
            Err(error) if error.is_store => Err(error),
            Err(error) => Ok(Err(error.to_string().replace('\n', ", "))),
        };
        Ok(Self { schedules: read(SCHEDULES_SQL).await?, runs: read(RUNS_SQL).await? })
    }

    /// The verdict of a check.
    pub(super) fn check(&self, id: &str) -> Verdict {
        let runs = match &self.runs {
            Ok(runs) => runs,
            Err(reason) => return silent(RUNS, format!("what the checks said cannot be read: {reason}")),
        };
        let mine = || runs.iter().filter(|run| run.get("check_id").is_some_and(|found| found == id));
        let Some(whole) = mine().find(|run| !run.contains_key("project_id")) else {
            return silent(RUNS, "no run of this check is recorded at this commit".to_owned());
        };
        let told = [
            "check_version",
            "pm_observed_at",
            "erp_observed_at",
            "rows_read",
            "exception_count",
            "in_flight_count",
            "waived_count",
            "amount_at_risk",
        ];
        let mut details: Vec<(String, String)> =
            told.iter().filter_map(|name| Some(((*name).to_owned(), whole.get(*name)?.clone()))).collect();
        let text = |run: &Row, name: &str| run.get(name).cloned().unwrap_or_default();
        for run in mine().filter(|run| run.contains_key("project_id")) {
            let verdict = text(run, "verdict");
            if !["clean", "exceptions", ""].contains(&verdict.as_str()) {
                let project = run.get("project_number").or_else(|| run.get("project_id")).cloned().unwrap_or_default();
                details.push((format!("project {project}"), sentence(&verdict, &text(run, "reason"))));
            }
        }
        Verdict {
            verdict: text(whole, "verdict"),
            reason: whole.get("error").or_else(|| whole.get("reason")).cloned(),
            stated_by: RUNS.to_owned(),
            details,
        }
    }

    /// The verdict of a year-end schedule: the worse of what is stated of it and of what its rows say.
    pub(super) fn schedule(&self, view: &str, statuses: &[(String, Option<String>)]) -> Verdict {
        let schedules = match &self.schedules {
            Ok(schedules) => schedules,
            Err(reason) => return silent(SCHEDULES, format!("what schedules stand on cannot be read: {reason}")),
        };
        let is_mine = |row: &&Row| row.get("view_name").is_some_and(|name| name == view);
        let words = |rows: Vec<&Row>| -> Vec<(String, Option<String>)> {
            let word = |row: &&Row| Some((row.get("status")?.clone(), row.get("reason").cloned()));
            rows.iter().filter_map(word).collect()
        };
        let stated =
            words(schedules.iter().filter(is_mine).filter(|row| !row.contains_key("project_number")).collect());
        let mut found = Vec::new();
        if !stated.is_empty() {
            found.push((verdict_of(&stated), SCHEDULES.to_owned()));
        }
        if !statuses.is_empty() {
            found.push((verdict_of(statuses), "its own rows".to_owned()));
        }
        if found.is_empty() {
            let all = words(schedules.iter().collect());
            if all.is_empty() {
                return silent(SCHEDULES, "nothing is stated of any schedule".to_owned());
            }
            found.push((verdict_of(&all), format!("{SCHEDULES}, of all schedules")));
        }
        let worst = found.into_iter().reduce(|one, other| if rank(&other.0.0) > rank(&one.0.0) { other } else { one });
        let Some(((verdict, reason), stated_by)) = worst else {
            return silent(SCHEDULES, "nothing is stated of it".to_owned());
        };
        let gaps = schedules.iter().filter(is_mine).filter_map(|row| {
            let reason = row.get("reason").map_or("", String::as_str);
            Some((format!("project {}", row.get("project_number")?), sentence(row.get("status")?, reason)))
        });
        Verdict { verdict, reason, stated_by, details: gaps.collect() }
    }
}

/// A result of which nothing states what it stands on.
pub(super) fn unstated() -> Verdict {
    Verdict {
        verdict: "not_stated".to_owned(),
        reason: Some(
            "nothing states whether all that it reads was read: see grounds/coverage and grounds/check_runs".to_owned(),
        ),
        stated_by: "nobody".to_owned(),
        details: Vec::new(),
    }
}

/// A result that is not there.
pub(super) fn failed(reason: String) -> Verdict {
    Verdict {
        verdict: "failed".to_owned(),
        reason: Some(reason),
        stated_by: "the query".to_owned(),
        details: Vec::new(),
    }
}

fn silent(stated_by: &str, reason: String) -> Verdict {
    Verdict {
        verdict: "not_evaluated".to_owned(),
        reason: Some(reason),
        stated_by: stated_by.to_owned(),
        details: Vec::new(),
    }
}

fn sentence(word: &str, reason: &str) -> String {
    if reason.is_empty() { word.to_owned() } else { format!("{word}: {}", reason.replace('\n', ", ")) }
}

/// How little can be believed.
fn rank(word: &str) -> u8 {
    match word {
        "not_evaluated" => 3,
        "partial" => 2,
        "not_applicable" => 1,
        _ => 0,
    }
}

/// What several words come to: all silent is silent, some of them is partial.
fn verdict_of(words: &[(String, Option<String>)]) -> (String, Option<String>) {
    let lowest = words.iter().map(|(word, _)| rank(word)).min().unwrap_or_default();
    let Some((worst, reason)) = words.iter().max_by_key(|(word, _)| rank(word)) else {
        return ("complete".to_owned(), None);
    };
    let verdict = match (rank(worst), lowest) {
        (3, 3) => "not_evaluated",
        (2 | 3, _) => "partial",
        (1, 1) => "not_applicable",
        _ => return ("complete".to_owned(), None),
    };
    (verdict.to_owned(), reason.clone())
}

/// The rows of a query as text.
pub(super) async fn rows(session: &SessionContext, sql: &str) -> Result<Vec<Row>, QueryError> {
    let query = LocalQuery::plan(session, "tieout", sql, None).await?;
    let batches: Vec<RecordBatch> = query.rows()?.try_collect().await?;
    let mut rows = Vec::new();
    let options = FormatOptions::default();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let mut values = Row::new();
            for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
                if let Ok(formatter) = ArrayFormatter::try_new(array.as_ref(), &options)
                    && array.is_valid(row)
                {
                    values.insert(field.name().clone(), formatter.value(row).to_string());
                }
            }
            rows.push(values);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(&str, &str)]) -> Row {
        cells.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn words(words: &[&str]) -> Vec<(String, Option<String>)> {
        words.iter().map(|word| ((*word).to_owned(), Some(format!("{word} because")))).collect()
    }

    #[test]
    fn what_could_not_be_read_is_never_a_good_verdict() {
        let broken = Grounds { schedules: Err("gone".into()), runs: Err("gone".into()) };
        let empty = Grounds { schedules: Ok(Vec::new()), runs: Ok(Vec::new()) };
        for grounds in [broken, empty] {
            assert_eq!(grounds.check("V1").verdict, "not_evaluated");
            assert_eq!(grounds.schedule("ap_aging", &[]).verdict, "not_evaluated");
        }
    }

    #[test]
    fn the_worse_of_what_is_stated_and_what_the_rows_say_counts() {
        let schedules = vec![
            row(&[("view_name", "ap_aging"), ("status", "complete")]),
            row(&[("view_name", "wip_schedule"), ("status", "partial"), ("reason", "job costs")]),
            row(&[("view_name", "wip_schedule"), ("project_number", "24-001"), ("status", "not_evaluated")]),
        ];
        let grounds = Grounds { schedules: Ok(schedules), runs: Ok(Vec::new()) };
        let verdict = |view: &str, statuses: &[&str]| grounds.schedule(view, &words(statuses));
        assert_eq!(verdict("ap_aging", &["complete"]).verdict, "complete");
        assert_eq!(verdict("ap_aging", &["ties", "not_evaluated"]).verdict, "partial");
        assert_eq!(verdict("ap_aging", &["not_evaluated"]).reason.as_deref(), Some("not_evaluated because"));
        let wip = verdict("wip_schedule", &["complete"]);
        assert_eq!((wip.verdict.as_str(), wip.reason.as_deref()), ("partial", Some("job costs")));
        assert_eq!(wip.details, [("project 24-001".to_owned(), "not_evaluated".to_owned())]);
        // A view of which nothing is stated rests on all of them.
        assert_eq!(verdict("dated_facts", &[]).verdict, "partial");
        assert_eq!(verdict("form_1099_tie_out", &["not_applicable"]).verdict, "not_applicable");
    }

    #[test]
    fn a_check_says_which_projects_it_could_not_look_at() {
        let runs = vec![
            row(&[("check_id", "V1"), ("verdict", "partial"), ("reason", "one of two"), ("exception_count", "0")]),
            row(&[("check_id", "V1"), ("project_id", "1"), ("project_number", "24-1"), ("verdict", "clean")]),
            row(&[("check_id", "V1"), ("project_id", "2"), ("verdict", "not_evaluated"), ("reason", "refused")]),
        ];
        let verdict = Grounds { schedules: Ok(Vec::new()), runs: Ok(runs) }.check("V1");
        assert!(verdict.is_silent() && verdict.reason.as_deref() == Some("one of two"));
        let project = ("project 2".to_owned(), "not_evaluated: refused".to_owned());
        assert_eq!(verdict.details, [("exception_count".to_owned(), "0".to_owned()), project]);
    }
}
