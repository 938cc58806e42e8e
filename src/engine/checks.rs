//! Judges every check on a prepared commit: verdicts, exceptions, the runs' own record.
//!
//! Invariants:
//! - Where a check may not speak nothing opens and nothing closes: earlier exceptions are carried on unchanged.
//! - A check that fails is `not_evaluated` with its error; it stops neither the others nor the commit.
//! - An exception keeps its first day for as long as it lasts, whatever else about it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::common::TableReference;
use datafusion::execution::context::SessionContext;

use crate::engine::blueprint::Blueprint;
use crate::engine::cells::{Cell, Row, rows_of, system_input};
use crate::engine::coverage::{Ledger, Part};
use crate::engine::header::{Header, Scope, Side};
use crate::engine::layout::system_columns;
use crate::engine::parallel::side_by_side;
use crate::engine::queries::{Name, QueryFile};
use crate::engine::repeated::Repeated;
use crate::engine::{Engine, Error, statuses};
use crate::warehouse::Prepared;
use crate::warehouse::rows::{ColumnType, SYSTEM_SOURCE};

/// What a check could say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything was read and nothing disagrees.
    Clean,
    /// Everything was read and something disagrees.
    Exceptions,
    /// Only some projects could be judged.
    Partial,
    /// What it reads was not read completely and recently, or it failed.
    NotEvaluated,
    /// It has nothing to compare here.
    NotApplicable,
}

impl Verdict {
    /// The word in `recon.check_runs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Exceptions => "exceptions",
            Self::Partial => "partial",
            Self::NotEvaluated => "not_evaluated",
            Self::NotApplicable => "not_applicable",
        }
    }
}

/// A check as a whole at a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// Its id.
    pub check: String,
    /// What it could say.
    pub verdict: Verdict,
    /// Why it could not say more.
    pub reason: Option<String>,
    /// Open exceptions, carried ones included.
    pub exceptions: usize,
    /// Missing records still within their grace.
    pub in_flight: usize,
    /// Money at risk of the open ones that nothing else explains, in hundredths.
    pub amount_at_risk: i128,
    /// What failed, if it failed.
    pub error: Option<String>,
}

/// All checks at a commit, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// One per check.
    pub checks: Vec<CheckResult>,
}

/// A project of the PM side.
struct Project {
    id: String,
    number: Option<String>,
}

struct Evaluator<'a> {
    blueprint: &'a Blueprint,
    ledger: Ledger<'a>,
    projects: Vec<Project>,
    number: u64,
    observed_at: DateTime<Utc>,
    /// Exceptions before this commit, by check.
    previous: BTreeMap<String, Vec<Row>>,
    /// What the views said, by name; nothing for those that may not speak.
    answers: BTreeMap<Name, Result<Answer, String>>,
}

/// The rows of a check's view.
struct Answer {
    has_key: bool,
    batches: Vec<RecordBatch>,
}

/// What one check adds.
#[derive(Default)]
struct Outcome {
    exceptions: Vec<Row>,
    runs: Vec<Row>,
    result: Option<CheckResult>,
}

pub(crate) async fn evaluate(engine: &Engine, prepared: &mut Prepared) -> Result<Evaluation, Error> {
    let observed_at = prepared.commit().observed_at;
    record_statuses(engine, prepared, observed_at).await?;
    let head = prepared.head();
    let session = engine.prepared_session(&engine.judge, Arc::clone(&head));
    let ledger = Ledger::load(&engine.warehouse, &engine.blueprint, &session, &head, observed_at).await?;
    let mut previous: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in state(engine, prepared, "exceptions").await? {
        let check = row.get("check_id").and_then(Cell::as_text).unwrap_or_default().to_owned();
        previous.entry(check).or_default().push(row);
    }
    let projects = projects(&session).await?;
    let number = prepared.number();
    let checks: Vec<&QueryFile> =
        engine.blueprint.queries.values().filter(|query| query.header.check.is_some()).collect();
    compute_model(engine, &session, &checks).await;
    let mut evaluator = Evaluator {
        blueprint: &engine.blueprint,
        ledger,
        projects,
        number,
        observed_at,
        previous,
        answers: BTreeMap::new(),
    };
    let asked: Vec<Name> =
        checks.iter().filter(|query| evaluator.may_speak(query)).map(|query| query.name.clone()).collect();
    let mut answers = Vec::new();
    for name in &asked {
        answers.push(answer(session.clone(), engine.judge.question(name, &[]).await));
    }
    evaluator.answers = asked.into_iter().zip(side_by_side(answers.into_iter()).await).collect();
    engine.judge.forget().await;
    let (mut exceptions, mut runs, mut evaluation) = (Vec::new(), Vec::new(), Evaluation::default());
    for query in checks {
        let outcome = evaluator.check(query);
        exceptions.extend(outcome.exceptions);
        runs.extend(outcome.runs);
        evaluation.checks.extend(outcome.result);
    }
    prepared.add(system_input("exceptions", &["exception_key", "check_version"], &exceptions, observed_at)?).await?;
    prepared.add(system_input("check_runs", &[], &runs, observed_at)?).await?;
    evaluation.checks.sort_by(|one, other| one.check.cmp(&other.check));
    Ok(evaluation)
}

async fn record_statuses(engine: &Engine, prepared: &mut Prepared, observed_at: DateTime<Utc>) -> Result<(), Error> {
    let previous = state(engine, prepared, "record_statuses").await?;
    let session = engine.prepared_session(&engine.reader, prepared.head());
    let rows = statuses::rows(&session, engine, &previous, observed_at).await?;
    prepared.add(system_input("record_statuses", &["entity", "source", "record_id"], &rows, observed_at)?).await?;
    Ok(())
}

/// Computes what the checks share, so that none of them waits for another's part of it. What fails here fails again, with
/// its reason, in the check that needs it.
async fn compute_model(engine: &Engine, session: &SessionContext, checks: &[&QueryFile]) {
    let shared: BTreeSet<Name> = checks.iter().flat_map(|query| engine.blueprint.closure(&query.name)).collect();
    let (links, model): (Vec<Name>, Vec<Name>) = shared.into_iter().partition(|(schema, _)| schema == "link");
    for names in [model, links] {
        let mut views = Vec::new();
        for name in names {
            views.extend(engine.judge.cached(&name).await);
        }
        let state = session.state();
        side_by_side(views.into_iter().map(|view| {
            let state = state.clone();
            async move { view.rows(&state).await.map(drop).map_err(|error| error.strip_backtrace()) }
        }))
        .await;
    }
}

async fn answer(session: SessionContext, question: Result<Arc<Repeated>, String>) -> Result<Answer, String> {
    let question = question?;
    let has_key = question.plan().schema().has_column_with_unqualified_name("exception_key");
    let batches = question.execute(&session.state()).await.map_err(|error| error.strip_backtrace())?;
    Ok(Answer { has_key, batches })
}

async fn state(engine: &Engine, prepared: &Prepared, table: &str) -> Result<Vec<Row>, Error> {
    let head = prepared.head();
    let batches = engine.warehouse.read_state(&head, prepared.number(), SYSTEM_SOURCE, table).await?;
    rows_of(&batches, &system_columns(table))
}

async fn projects(session: &SessionContext) -> Result<Vec<Project>, Error> {
    // Where projects cannot be read, every check that reads them fails and says why.
    let Ok(table) = session.table(TableReference::partial("pm", "projects")).await else { return Ok(Vec::new()) };
    let batches = table.select_columns(&["record_id", "number"])?.collect().await?;
    let columns = ["record_id", "number"].map(|name| (name.to_owned(), ColumnType::Text));
    let text = |row: &Row, name: &str| row.get(name).and_then(Cell::as_text).map(str::to_owned);
    let project = |row: &Row| Some(Project { id: text(row, "record_id")?, number: text(row, "number") });
    Ok(rows_of(&batches, &columns)?.iter().filter_map(project).collect())
}

/// What is at stake in a set of exceptions.
#[derive(Default)]
struct Tally {
    open: usize,
    in_flight: usize,
    amount: i128,
}

impl Tally {
    fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut tally = Self::default();
        for row in rows {
            if row.get("state").and_then(Cell::as_text) == Some("in_flight") {
                tally.in_flight += 1;
                continue;
            }
            tally.open += 1;
            // What follows from another exception is counted there.
            if row.get("explained_by").is_none_or(|cell| *cell == Cell::Null) {
                tally.amount += row.get("amount_at_risk").and_then(Cell::as_amount).unwrap_or_default();
            }
        }
        tally
    }
}

/// The raw tables under a check, and the gaps in them.
struct Footing {
    pm: BTreeSet<Name>,
    erp: BTreeSet<Name>,
    /// Why nothing can be said at all.
    firm_gap: Option<String>,
    /// Why nothing can be said of a project, by its id.
    project_gaps: BTreeMap<String, String>,
}

impl Evaluator<'_> {
    fn may_speak(&self, query: &QueryFile) -> bool {
        self.blueprint.not_applicable(query).is_none() && self.footing(query).firm_gap.is_none()
    }

    fn check(&self, query: &QueryFile) -> Outcome {
        if let Some(reason) = self.blueprint.not_applicable(query) {
            return self.outcome(query, None, Verdict::NotApplicable, Some(reason), None, Vec::new());
        }
        let footing = self.footing(query);
        if let Some(gap) = footing.firm_gap.clone() {
            return self.carried(query, &footing, gap, None);
        }
        match self.run(query, &footing) {
            Ok(_) if self.is_blind(&footing) => {
                let gap = footing.project_gaps.values().next().cloned().unwrap_or_default();
                self.carried(query, &footing, format!("no project was read completely, such as: {gap}"), None)
            }
            Ok(rows) => self.judged(query, &footing, rows),
            Err(error) => self.carried(query, &footing, "the check failed".to_owned(), Some(error)),
        }
    }

    fn footing(&self, query: &QueryFile) -> Footing {
        let pm = self.blueprint.raw_tables(&query.name, Side::Pm);
        let erp = self.blueprint.raw_tables(&query.name, Side::Erp);
        let company_gap = self.ledger.first_gap(&pm, Side::Pm, Part::Company);
        let firm_gap = self.ledger.first_gap(&erp, Side::Erp, Part::All).or(company_gap);
        let mut project_gaps = BTreeMap::new();
        if firm_gap.is_none() {
            for project in &self.projects {
                if let Some(gap) = self.ledger.first_gap(&pm, Side::Pm, Part::Project(&project.id)) {
                    project_gaps.insert(project.id.clone(), gap);
                }
            }
        }
        Footing { pm, erp, firm_gap, project_gaps }
    }

    /// Whether no project at all can be believed.
    fn is_blind(&self, footing: &Footing) -> bool {
        !footing.project_gaps.is_empty() && footing.project_gaps.len() >= self.projects.len()
    }

    /// Runs the view and checks what every check promises: keys that are there and unique.
    fn run(&self, query: &QueryFile, footing: &Footing) -> Result<Vec<Row>, String> {
        let answer = self.answers.get(&query.name).ok_or("it was not asked")?.as_ref().map_err(Clone::clone)?;
        if query.header.kind.as_deref() == Some("summary") {
            return Ok(Vec::new());
        }
        if !answer.has_key {
            return Err("it has no column exception_key".to_owned());
        }
        let mut columns = system_columns("exceptions");
        columns.push(("mirror_observed_at".to_owned(), ColumnType::Timestamp));
        let rows = rows_of(&answer.batches, &columns).map_err(|error| error.to_string())?;
        let mut keys = BTreeSet::new();
        for row in &rows {
            match row.get("exception_key").and_then(Cell::as_text) {
                None | Some("") => return Err("a row has no exception_key".to_owned()),
                Some(key) if !keys.insert(key) => return Err(format!("exception_key `{key}` occurs twice")),
                Some(_) => {}
            }
        }
        let known: BTreeMap<&str, &Row> = self
            .earlier(query)
            .filter(|row| row.get("check_version").and_then(Cell::as_integer) == Some(query.header.version))
            .filter_map(|row| Some((row.get("exception_key")?.as_text()?, row)))
            .collect();
        Ok(rows.iter().map(|row| self.exception(&query.header, footing, row, &known)).collect())
    }

    fn exception(&self, header: &Header, footing: &Footing, row: &Row, known: &BTreeMap<&str, &Row>) -> Row {
        let mut exception = row.clone();
        exception.remove("mirror_observed_at");
        let before = row.get("exception_key").and_then(Cell::as_text).and_then(|key| known.get(key));
        let kept = |name: &str| before.and_then(|row| row.get(name)).cloned();
        let mut set = |name: &str, cell: Cell| drop(exception.insert(name.to_owned(), cell));
        set("check_id", Cell::text(header.check.as_deref()));
        set("check_version", Cell::Integer(header.version));
        set("first_seen_at", kept("first_seen_at").unwrap_or(Cell::Moment(self.observed_at)));
        set(
            "opened_commit",
            kept("opened_commit").unwrap_or(Cell::Integer(i64::try_from(self.number).unwrap_or(i64::MAX))),
        );
        set("state", Cell::text(Some(self.state(header, footing, row))));
        for (name, default) in
            [("entity", &header.entity), ("fix_side", &header.fix_side), ("record_owner", &header.record_owner)]
        {
            if row.get(name).is_none_or(|cell| *cell == Cell::Null) {
                set(name, Cell::text(default.as_deref()));
            }
        }
        exception
    }

    /// A record is missing only if the mirror was read completely at or after `occurred_at` + grace: one approved at 09:00
    /// with 24 hours of grace is in flight until a read of the next day's 09:00 or later has not found it.
    fn state(&self, header: &Header, footing: &Footing, row: &Row) -> &'static str {
        let (Some(side), Some(grace)) = (header.missing_on, header.grace_hours) else { return "open" };
        let Some(occurred_at) = row.get("occurred_at").and_then(Cell::as_moment) else { return "open" };
        let tables = if side == Side::Erp { &footing.erp } else { &footing.pm };
        let project = row.get("project_id").and_then(Cell::as_text).filter(|_| side == Side::Pm);
        let mirror = row.get("mirror_observed_at").and_then(Cell::as_moment);
        let mirror = mirror.or_else(|| self.ledger.observed_at(tables, project.map_or(Part::All, Part::Project)));
        match mirror {
            Some(mirror) if mirror >= occurred_at + TimeDelta::hours(grace) => "open",
            _ => "in_flight",
        }
    }

    fn earlier(&self, query: &QueryFile) -> impl Iterator<Item = &Row> {
        self.previous.get(query.header.check.as_deref().unwrap_or_default()).into_iter().flatten()
    }

    /// Nothing can be said: what was open stays open.
    fn carried(&self, query: &QueryFile, footing: &Footing, reason: String, error: Option<String>) -> Outcome {
        let rows: Vec<Row> = self.earlier(query).cloned().collect();
        self.outcome(query, Some(footing), Verdict::NotEvaluated, Some(reason), error, rows)
    }

    /// The view ran. Rows of projects that may not be judged give way to their earlier exceptions.
    ///
    /// A check of the whole firm looks at records that no project owns: what an unread project held stays in its tables as
    /// it was last read, so such a check may open and close, and is only partial.
    fn judged(&self, query: &QueryFile, footing: &Footing, rows: Vec<Row>) -> Outcome {
        let frozen = |row: &Row| match row.get("project_id").and_then(Cell::as_text) {
            _ if query.header.scope == Scope::Firm => false,
            Some(project) => footing.project_gaps.contains_key(project),
            // A record without a project may belong to one that was not read.
            None => !footing.project_gaps.is_empty(),
        };
        let mut kept: Vec<Row> = rows.into_iter().filter(|row| !frozen(row)).collect();
        let keys: BTreeSet<&str> =
            kept.iter().filter_map(|row| row.get("exception_key").and_then(Cell::as_text)).collect();
        let stays = |row: &&Row| {
            let key = row.get("exception_key").and_then(Cell::as_text);
            frozen(row) && key.is_none_or(|key| !keys.contains(key))
        };
        let carried: Vec<Row> = self.earlier(query).filter(stays).cloned().collect();
        kept.extend(carried);
        let gaps = footing.project_gaps.len();
        let verdict = match (gaps, Tally::of(&kept).open) {
            (gaps, _) if gaps > 0 => Verdict::Partial,
            (_, 0) => Verdict::Clean,
            _ => Verdict::Exceptions,
        };
        let reason = footing.project_gaps.values().next().map(|first| match gaps {
            1 => first.clone(),
            _ => format!("{gaps} of {} projects were not read completely, such as: {first}", self.projects.len()),
        });
        self.outcome(query, Some(footing), verdict, reason, None, kept)
    }

    fn outcome(
        &self,
        query: &QueryFile,
        footing: Option<&Footing>,
        verdict: Verdict,
        reason: Option<String>,
        error: Option<String>,
        exceptions: Vec<Row>,
    ) -> Outcome {
        let tally = Tally::of(&exceptions);
        let mut runs = vec![self.run_row(query, footing, None, verdict, reason.as_deref(), error.as_deref(), &tally)];
        if query.header.scope == Scope::Project {
            let mut by_project: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
            for row in &exceptions {
                if let Some(project) = row.get("project_id").and_then(Cell::as_text) {
                    by_project.entry(project).or_default().push(row);
                }
            }
            for project in &self.projects {
                let tally = Tally::of(by_project.get(project.id.as_str()).into_iter().flatten().copied());
                let gap = footing.and_then(|footing| footing.project_gaps.get(&project.id));
                let (verdict, reason) = match (verdict, gap) {
                    (Verdict::NotApplicable, _) | (Verdict::NotEvaluated, None) => (verdict, reason.as_deref()),
                    (_, Some(gap)) => (Verdict::NotEvaluated, Some(gap.as_str())),
                    _ if tally.open > 0 => (Verdict::Exceptions, None),
                    _ => (Verdict::Clean, None),
                };
                runs.push(self.run_row(query, footing, Some(project), verdict, reason, error.as_deref(), &tally));
            }
        }
        let result = CheckResult {
            check: query.header.check.clone().unwrap_or_default(),
            verdict,
            reason,
            exceptions: tally.open,
            in_flight: tally.in_flight,
            amount_at_risk: tally.amount,
            error,
        };
        Outcome { exceptions, runs, result: Some(result) }
    }

    #[expect(clippy::too_many_arguments, reason = "one per column that differs between the rows of a check")]
    fn run_row(
        &self,
        query: &QueryFile,
        footing: Option<&Footing>,
        project: Option<&Project>,
        verdict: Verdict,
        reason: Option<&str>,
        error: Option<&str>,
        tally: &Tally,
    ) -> Row {
        let part = project.map_or(Part::All, |project| Part::Project(&project.id));
        let pm_seen = footing.and_then(|footing| self.ledger.observed_at(&footing.pm, part));
        let erp_seen = footing.and_then(|footing| self.ledger.observed_at(&footing.erp, Part::All));
        let read = footing
            .map(|footing| self.ledger.rows(&footing.pm, part) + self.ledger.rows(&footing.erp, Part::All))
            .unwrap_or_default();
        let cells = [
            ("commit_number", Cell::Integer(i64::try_from(self.number).unwrap_or(i64::MAX))),
            ("check_id", Cell::text(query.header.check.as_deref())),
            ("check_version", Cell::Integer(query.header.version)),
            ("project_id", Cell::text(project.map(|project| project.id.as_str()))),
            ("project_number", Cell::text(project.and_then(|project| project.number.as_deref()))),
            ("verdict", Cell::text(Some(verdict.as_str()))),
            ("reason", Cell::text(reason)),
            ("pm_observed_at", Cell::moment(pm_seen)),
            ("erp_observed_at", Cell::moment(erp_seen)),
            ("rows_read", Cell::Integer(read)),
            ("exception_count", Cell::count(tally.open)),
            ("in_flight_count", Cell::count(tally.in_flight)),
            ("amount_at_risk", Cell::Amount(tally.amount)),
            ("error", Cell::text(error)),
        ];
        cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect()
    }
}
