//! Judges every check at a commit, from what its view said: verdicts, exceptions, the runs' own record.
//!
//! Invariants:
//! - Where a check may not speak nothing opens and nothing closes: earlier exceptions are carried on unchanged.
//! - A check that fails is `not_evaluated` with its error; it stops neither the others nor the commit.
//! - An exception keeps its first day for as long as it lasts, whatever else about it changes.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};

use crate::engine::blueprint::Blueprint;
use crate::engine::cells::{Cell, Row, rows_of};
use crate::engine::coverage::{Ledger, Part};
use crate::engine::footing::{Footing, Standing};
use crate::engine::header::{Header, Scope, Side};
use crate::engine::layout::system_columns;
use crate::engine::queries::{Name, QueryFile};
use crate::engine::waivers::Waivers;
use crate::warehouse::rows::ColumnType;

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
    /// Exceptions that somebody let stand for a while.
    pub waived: usize,
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
pub(crate) struct Project {
    pub(crate) id: String,
    /// The same as its own system has it, and scopes of what was read are called: without the connection in front.
    pub(crate) key: String,
    pub(crate) number: Option<String>,
    /// The connection that it came from.
    pub(crate) source: Option<String>,
    /// The ERP connections that have it; none where nobody can say.
    pub(crate) erps: BTreeSet<String>,
    /// Bid for, lost or put away, and unknown to the ERP: there is nothing in it that the ERP should have. J1 asks for the others.
    pub(crate) is_idle: bool,
}

pub(crate) struct Evaluator<'a> {
    pub(crate) blueprint: &'a Blueprint,
    pub(crate) ledger: Ledger<'a>,
    pub(crate) projects: Vec<Project>,
    pub(crate) number: u64,
    pub(crate) observed_at: DateTime<Utc>,
    /// Whether an earlier commit has read both sides.
    pub(crate) has_history: bool,
    /// Exceptions before this commit, by check, as the table has them: as rows they take several times as much.
    pub(crate) previous: BTreeMap<String, Vec<RecordBatch>>,
    /// What the views said, by name; nothing for those that may not speak.
    pub(crate) answers: BTreeMap<Name, Result<Answer, String>>,
    /// Keys of all exceptions that any check found, now or before.
    pub(crate) known_keys: BTreeSet<String>,
    pub(crate) waivers: Waivers,
}

/// The rows of a check's view.
pub(crate) struct Answer {
    pub(crate) has_key: bool,
    pub(crate) batches: Vec<RecordBatch>,
}

/// What one check adds.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) exceptions: Vec<Row>,
    pub(crate) runs: Vec<Row>,
    pub(crate) result: Option<CheckResult>,
}

/// What a view's rows say: exceptions, and what could not be compared.
struct Said {
    exceptions: Vec<Row>,
    /// What the check found before.
    earlier: Vec<Row>,
    notes: Vec<Note>,
}

/// Something that a check could not compare, as a row with a `verdict` tells: `not_evaluated` where the data should have
/// been there, `not_applicable` where nobody sends it. With `verdict_scope` `project` nothing of the project was compared.
struct Note {
    project: Option<String>,
    is_gap: bool,
    is_whole_project: bool,
    text: String,
}

impl Note {
    /// Whether the check says nothing of a project, for good reason.
    fn rules_out(&self, project: &str) -> bool {
        self.is_whole_project && !self.is_gap && self.project.as_deref().is_none_or(|own| own == project)
    }
}

/// The first gap in what a measure read, and what its view said.
type Measured<'a> = (Option<String>, &'a [RecordBatch]);

/// What is at stake in a set of exceptions.
#[derive(Default)]
struct Tally {
    open: usize,
    in_flight: usize,
    waived: usize,
    amount: i128,
}

impl Tally {
    fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut tally = Self::default();
        for row in rows {
            match row.get("state").and_then(Cell::as_text) {
                Some("in_flight") => {
                    tally.in_flight += 1;
                    continue;
                }
                Some("waived") => {
                    tally.waived += 1;
                    continue;
                }
                _ => tally.open += 1,
            }
            // What follows from another exception is counted there.
            if row.get("explained_by").is_none() {
                tally.amount += row.get("amount_at_risk").and_then(Cell::as_amount).unwrap_or_default();
            }
        }
        tally
    }

    /// A waived exception is still one: nothing is clean because somebody let it stand.
    fn disagrees(&self) -> bool {
        self.open + self.waived > 0
    }
}

impl Evaluator<'_> {
    /// Notes which exceptions there are, for those that say what they follow from.
    pub(crate) fn note_keys(&mut self) {
        let column = [("exception_key".to_owned(), ColumnType::Text)];
        let found = self.answers.values().flatten().filter(|answer| answer.has_key).map(|answer| &answer.batches);
        let rows = found.chain(self.previous.values()).filter_map(|batches| rows_of(batches, &column).ok()).flatten();
        self.known_keys =
            rows.filter_map(|row| row.get("exception_key").and_then(Cell::as_text).map(str::to_owned)).collect();
    }

    pub(crate) fn check(&self, query: &QueryFile, standing: &Standing) -> Outcome {
        let footing = match standing {
            Ok(footing) => footing,
            Err(reason) => {
                let reason = Some(reason.clone());
                return self.outcome(query, None, Verdict::NotApplicable, reason, None, Vec::new(), &[]);
            }
        };
        if let Some(gap) = footing.whole.firm_gap.clone() {
            return self.carried(query, footing, gap, None);
        }
        match self.run(query, footing) {
            Ok(_) if self.is_blind(footing) => {
                let gap = footing.whole.project_gaps.values().next().cloned().unwrap_or_default();
                self.carried(query, footing, format!("no project was read completely, such as: {gap}"), None)
            }
            Ok(said) => self.judged(query, footing, said),
            Err(error) => self.carried(query, footing, "the check failed".to_owned(), Some(error)),
        }
    }

    /// What a measure's view said and the first gap in what it read; else the verdict that stands instead, and why.
    pub(crate) fn measured(
        &self,
        query: &QueryFile,
        standing: &Standing,
    ) -> Result<Measured<'_>, (&'static str, String)> {
        let footing = standing.as_ref().map_err(|reason| (Verdict::NotApplicable.as_str(), reason.clone()))?;
        let ground = &footing.whole;
        if let Some(gap) = &ground.firm_gap {
            return Err((Verdict::NotEvaluated.as_str(), gap.clone()));
        }
        match self.answers.get(&query.name) {
            Some(Ok(answer)) => Ok((footing.gaps().1.cloned(), &answer.batches)),
            Some(Err(error)) => Err((Verdict::NotEvaluated.as_str(), error.clone())),
            None => Err((Verdict::NotEvaluated.as_str(), "it was not asked".to_owned())),
        }
    }

    /// Runs the view and checks what every check promises: keys that are there and unique.
    fn run(&self, query: &QueryFile, footing: &Footing) -> Result<Said, String> {
        let answer = self.answers.get(&query.name).ok_or("it was not asked")?.as_ref().map_err(Clone::clone)?;
        if query.header.kind.as_deref() == Some("summary") {
            return Ok(Said { exceptions: Vec::new(), earlier: self.earlier(query), notes: Vec::new() });
        }
        if !answer.has_key {
            return Err("it has no column exception_key".to_owned());
        }
        let mut columns = system_columns("exceptions");
        columns.push(("mirror_observed_at".to_owned(), ColumnType::Timestamp));
        columns.push(("verdict".to_owned(), ColumnType::Text));
        columns.push(("verdict_scope".to_owned(), ColumnType::Text));
        let mut rows = rows_of(&answer.batches, &columns).map_err(|error| error.to_string())?;
        rows.retain(|row| !footing.is_void(row));
        let notes = notes(&mut rows)?;
        let mut keys = BTreeSet::new();
        for row in &rows {
            match row.get("exception_key").and_then(Cell::as_text) {
                None | Some("") => return Err("a row has no exception_key".to_owned()),
                Some(key) if !keys.insert(key) => return Err(format!("exception_key `{key}` occurs twice")),
                Some(_) => {}
            }
        }
        let earlier = self.earlier(query);
        let known: BTreeMap<&str, &Row> = earlier
            .iter()
            .filter(|row| row.get("check_version").and_then(Cell::as_integer) == Some(query.header.version))
            .filter_map(|row| Some((row.get("exception_key")?.as_text()?, row)))
            .collect();
        let exceptions = rows.into_iter().map(|row| self.exception(&query.header, footing, row, &known)).collect();
        Ok(Said { exceptions, earlier, notes })
    }

    fn exception(&self, header: &Header, footing: &Footing, mut row: Row, known: &BTreeMap<&str, &Row>) -> Row {
        let before = row.get("exception_key").and_then(Cell::as_text).and_then(|key| known.get(key));
        let kept = |name: &str| before.and_then(|row| row.get(name)).cloned();
        let first_seen_at = kept("first_seen_at").and_then(|cell| cell.as_moment()).unwrap_or(self.observed_at);
        let opened = kept("opened_commit").unwrap_or(Cell::Integer(i64::try_from(self.number).unwrap_or(i64::MAX)));
        let state = self.state(header, footing, &row, first_seen_at);
        // What would follow from something that no check reports is a disagreement of its own: its money counts.
        let cause = row.get("explained_by").and_then(Cell::as_text);
        if cause.is_some_and(|key| !self.known_keys.contains(key)) {
            row.remove("explained_by");
        }
        for name in ["mirror_observed_at", "verdict", "verdict_scope"] {
            row.remove(name);
        }
        for (name, default) in
            [("entity", &header.entity), ("fix_side", &header.fix_side), ("record_owner", &header.record_owner)]
        {
            if row.get(name).is_none() {
                row.insert(name, Cell::text(default.as_deref()));
            }
        }
        row.extend([
            ("check_id", Cell::text(header.check.as_deref())),
            ("check_version", Cell::Integer(header.version)),
            ("first_seen_at", Cell::Moment(first_seen_at)),
            ("opened_commit", opened),
            ("state", Cell::text(Some(state))),
        ]);
        row
    }

    /// A record is missing only if the mirror was read completely at or after `occurred_at` + grace: one approved at 09:00
    /// with 24 hours of grace is in flight until a read of the next day's 09:00 or later has not found it. Figures that stand in
    /// for dated records have no date: they came to be before they were first seen.
    fn state(&self, header: &Header, footing: &Footing, row: &Row, first_seen_at: DateTime<Utc>) -> &'static str {
        let (Some(side), Some(grace)) = (header.missing_on, header.grace_hours) else { return "open" };
        let undated = (!header.stands_in.is_empty()).then_some(first_seen_at);
        let Some(occurred_at) = row.get("occurred_at").and_then(Cell::as_moment).or(undated) else { return "open" };
        let project = row.get("project_id").and_then(Cell::as_text);
        let project = project.and_then(|id| self.projects.iter().find(|project| project.id == id));
        let tables = footing.whole.of(side, project);
        let part = project.filter(|_| side == Side::Pm).map_or(Part::All, |project| Part::Project(&project.key));
        let mirror = row.get("mirror_observed_at").and_then(Cell::as_moment);
        let mirror = mirror.or_else(|| self.ledger.observed_at(&tables, part));
        match mirror {
            Some(mirror) if mirror >= occurred_at + TimeDelta::hours(grace) => "open",
            _ => "in_flight",
        }
    }

    /// A check's exceptions before this commit.
    fn earlier(&self, query: &QueryFile) -> Vec<Row> {
        let batches = self.previous.get(query.header.check.as_deref().unwrap_or_default());
        let rows = rows_of(batches.map_or(&[], Vec::as_slice), &system_columns("exceptions"));
        rows.expect("our own table has its columns' types")
    }

    /// Nothing can be said: what was open stays open.
    fn carried(&self, query: &QueryFile, footing: &Footing, reason: String, error: Option<String>) -> Outcome {
        self.outcome(query, Some(footing), Verdict::NotEvaluated, Some(reason), error, self.earlier(query), &[])
    }

    /// The view ran. Rows of projects that may not be judged give way to their earlier exceptions.
    fn judged(&self, query: &QueryFile, footing: &Footing, said: Said) -> Outcome {
        let frozen = |row: &Row| footing.is_frozen(row, query.header.scope);
        let mut kept: Vec<Row> = said.exceptions.into_iter().filter(|row| !frozen(row)).collect();
        let keys: BTreeSet<&str> =
            kept.iter().filter_map(|row| row.get("exception_key").and_then(Cell::as_text)).collect();
        let stays = |row: &Row| {
            let key = row.get("exception_key").and_then(Cell::as_text);
            frozen(row) && !footing.is_void(row) && key.is_none_or(|key| !keys.contains(key))
        };
        let carried: Vec<Row> = said.earlier.into_iter().filter(stays).collect();
        kept.extend(carried);
        // What a project that was not read could not compare is no news.
        let is_read = |note: &&Note| {
            note.project.as_ref().is_none_or(|project| !footing.whole.project_gaps.contains_key(project))
        };
        let notes: Vec<&Note> = said.notes.iter().filter(is_read).collect();
        let (gaps, first) = footing.gaps();
        let is_partial = first.is_some() || notes.iter().any(|note| note.is_gap);
        let verdict = match (is_partial, Tally::of(&kept).disagrees()) {
            (true, _) => Verdict::Partial,
            (_, true) => Verdict::Exceptions,
            _ if self.is_nowhere_applicable(&notes) => Verdict::NotApplicable,
            _ => Verdict::Clean,
        };
        let unread = first.map(|first| match gaps {
            0 | 1 => first.clone(),
            _ => format!("{gaps} of {} projects were not read completely, such as: {first}", self.projects.len()),
        });
        let reason = unread.or_else(|| told(&notes)).or_else(|| footing.without.clone());
        let notes: Vec<Note> = said.notes.into_iter().filter(|note| is_read(&note)).collect();
        self.outcome(query, Some(footing), verdict, reason, None, kept, &notes)
    }

    /// Whether there are projects, and of none of them anything was compared: that is no all-clear.
    fn is_nowhere_applicable(&self, notes: &[&Note]) -> bool {
        let is_ruled_out = |project: &Project| notes.iter().any(|note| note.rules_out(&project.id));
        !self.projects.is_empty() && self.projects.iter().all(is_ruled_out)
    }

    #[expect(clippy::too_many_arguments, reason = "one per thing that a verdict tells")]
    fn outcome(
        &self,
        query: &QueryFile,
        footing: Option<&Footing>,
        verdict: Verdict,
        reason: Option<String>,
        error: Option<String>,
        mut exceptions: Vec<Row>,
        notes: &[Note],
    ) -> Outcome {
        self.waivers.settle(&mut exceptions);
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
                let gap = footing.and_then(|footing| footing.whole.project_gaps.get(&project.id));
                let part = footing.and_then(|footing| footing.partial_gap(&project.id));
                let own: Vec<&Note> =
                    notes.iter().filter(|note| note.project.as_ref().is_none_or(|of| *of == project.id)).collect();
                let told = told(&own);
                let (verdict, reason) = match (verdict, gap) {
                    (Verdict::NotApplicable, _) | (Verdict::NotEvaluated, None) => (verdict, reason.as_deref()),
                    (_, Some(gap)) => (Verdict::NotEvaluated, Some(gap.as_str())),
                    _ if footing.is_some_and(|footing| footing.untold(&project.id).is_some()) => {
                        (Verdict::NotApplicable, footing.and_then(|footing| footing.untold(&project.id)))
                    }
                    _ if part.is_some() => (Verdict::Partial, part.map(String::as_str)),
                    _ if own.iter().any(|note| note.is_gap) => (Verdict::Partial, told.as_deref()),
                    _ if tally.disagrees() => (Verdict::Exceptions, told.as_deref()),
                    _ if own.iter().any(|note| note.rules_out(&project.id)) => {
                        (Verdict::NotApplicable, told.as_deref())
                    }
                    _ => (Verdict::Clean, told.as_deref()),
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
            waived: tally.waived,
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
        let part = project.map_or(Part::All, |project| Part::Project(&project.key));
        let tables = |side| footing.map(|footing| footing.whole.of(side, project)).unwrap_or_default();
        let (pm, erp) = (tables(Side::Pm), tables(Side::Erp));
        let (pm_seen, erp_seen) = (self.ledger.observed_at(&pm, part), self.ledger.observed_at(&erp, Part::All));
        let read = self.ledger.rows(&pm, part) + self.ledger.rows(&erp, Part::All);
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
            ("waived_count", Cell::count(tally.waived)),
        ];
        cells.into_iter().collect()
    }
}

/// Takes the rows with a `verdict` out: they are no exceptions.
fn notes(rows: &mut Vec<Row>) -> Result<Vec<Note>, String> {
    let mut notes = Vec::new();
    for row in rows.extract_if(.., |row| row.get("verdict").is_some()) {
        let text = |name: &str| row.get(name).and_then(Cell::as_text).map(str::to_owned);
        let is_gap = match text("verdict").as_deref() {
            Some("not_evaluated") => true,
            Some("not_applicable") => false,
            other => return Err(format!("verdict {other:?} of a row is neither not_evaluated nor not_applicable")),
        };
        let is_whole_project = text("verdict_scope").as_deref() == Some("project");
        let project = text("project_id");
        let text = text("detail").ok_or("a row with a verdict has no detail")?;
        notes.push(Note { project, is_gap, is_whole_project, text });
    }
    Ok(notes)
}

/// What could not be compared, in a sentence: gaps before what nobody sends.
fn told(notes: &[&Note]) -> Option<String> {
    let first = notes.iter().find(|note| note.is_gap).or_else(|| notes.first())?;
    match notes.len() {
        1 => Some(first.text.clone()),
        count => Some(format!("{}; {} more like it", first.text, count - 1)),
    }
}
