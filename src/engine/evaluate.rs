//! From a commit to what its checks say: the questions are asked side by side, the answers are judged, the results are
//! tables of the commit.
//!
//! Invariant: judging a past commit asks the same questions of the same rows as judging a new one; only what was found
//! before it, and the waivers that it knew, are given. Leaves out what a verdict is (`checks`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use arrow::array::{AsArray as _, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::compute::kernels::cmp::eq;
use chrono::{DateTime, Utc};
use datafusion::common::TableReference;
use datafusion::execution::context::SessionContext;

use crate::engine::blueprint::Blueprint;
use crate::engine::canonical::own_key;
use crate::engine::cells::{Cell, Row, SystemInput, rows_of, system_input, typed};
use crate::engine::checks::{Answer, Evaluation, Evaluator, Project};
use crate::engine::coverage::Ledger;
use crate::engine::footing::Standing;
use crate::engine::header::Side;
use crate::engine::layout::system_columns;
use crate::engine::parallel::{one_after_another, side_by_side};
use crate::engine::queries::{Name, QueryFile};
use crate::engine::repeated::Repeated;
use crate::engine::waivers::Waivers;
use crate::engine::{Engine, Error, measures, moves, statuses};
use crate::warehouse::Prepared;
use crate::warehouse::commit::{Commit, DataFile, Head, TableCommit};
use crate::warehouse::rows::{ColumnType, SYSTEM_SOURCE};

/// The key columns of `exceptions`.
pub(crate) const EXCEPTION_KEY: [&str; 2] = ["exception_key", "check_version"];

/// What is known before a commit is judged.
pub(crate) struct Before {
    /// The table `exceptions`.
    pub(crate) exceptions: Vec<RecordBatch>,
    /// The rows of `waivers`.
    pub(crate) waivers: Vec<Row>,
}

/// Whose rows of the model are kept: the commit judged last, which the next one mostly follows.
#[derive(Debug)]
pub(crate) struct JudgedModel {
    generation: u64,
    number: u64,
    /// What it did to the sources' tables.
    tables: Vec<(Name, Vec<DataFile>)>,
}

impl JudgedModel {
    fn new(commit: &Commit, generation: u64) -> Self {
        let tables = commit.tables.iter().filter(|table| table.source != SYSTEM_SOURCE);
        let tables = tables.map(|table| ((table.source.clone(), table.table.clone()), table.changes.clone()));
        Self { generation, number: commit.number, tables: tables.collect() }
    }

    /// The generation of the rows, if they are those of a published commit: it may be another's, or ours was not published.
    pub(crate) fn generation_of(&self, published: &Commit) -> Option<u64> {
        let same = Self::new(published, self.generation);
        (same.number == self.number && same.tables == self.tables).then_some(self.generation)
    }
}

/// A commit judged, without its exceptions.
pub(crate) struct Judged {
    pub(crate) runs: Vec<Row>,
    /// The rows of `waivers`, if one ended.
    pub(crate) waivers: Option<Vec<Row>>,
    /// The rows of `measures`.
    pub(crate) measures: Vec<Row>,
    pub(crate) evaluation: Evaluation,
}

pub(crate) async fn evaluate(engine: &Engine, prepared: &mut Prepared) -> Result<Evaluation, Error> {
    let (observed_at, started) = (prepared.commit().observed_at, Instant::now());
    record_statuses(engine, prepared, observed_at).await?;
    tracing::debug!(took = ?started.elapsed(), "statuses are recorded");
    // The model is computed once: moves are found in it, and the checks read it. What reads the moves waits for them.
    let generation = engine.next_generation();
    let session = engine.session_of(&engine.judge, prepared.head(), generation);
    compute_model(engine, &session, |view| !engine.blueprint.reads_moves(view)).await;
    let moved = moves::found(engine, prepared, &session).await?;
    let inputs = [("field_moves", &moved.fields), ("stored_id_moves", &moved.stored_ids)]
        .map(|(table, rows)| system_input(table, &[], rows, observed_at));
    prepared.add_all(inputs.into_iter().collect::<Result<Vec<_>, _>>()?).await?;
    let (head, number) = (prepared.head(), prepared.number());
    let before = Before {
        exceptions: engine.warehouse.read_state(&head, number, SYSTEM_SOURCE, "exceptions").await?,
        waivers: state(engine, &head, number, "waivers").await?,
    };
    let session = engine.session_of(&engine.judge, Arc::clone(&head), generation);
    let mut exceptions = SystemInput::new("exceptions", &EXCEPTION_KEY, observed_at);
    let keep = &mut |found: Vec<Row>| exceptions.add(&found);
    let judged = judge(engine, &session, (&head, number), observed_at, before, keep).await?;
    engine.judge.forget_but(&moves::views(engine), generation).await;
    *engine.judged.lock().unwrap_or_else(PoisonError::into_inner) =
        Some(JudgedModel::new(prepared.commit(), generation));
    let mut results = vec![
        exceptions.finish()?,
        system_input("check_runs", &[], &judged.runs, observed_at)?,
        system_input("measures", &[], &judged.measures, observed_at)?,
    ];
    if let Some(waivers) = judged.waivers {
        results.push(system_input("waivers", &["waiver_commit"], &waivers, observed_at)?);
    }
    prepared.add_all(results).await?;
    Ok(judged.evaluation)
}

/// Judges the commit that `session` reads: the one of that number in `head`. Each check's exceptions are given to `keep`: those of all
/// together may take more memory than there is.
pub(crate) async fn judge(
    engine: &Engine,
    session: &SessionContext,
    (head, number): (&Head, u64),
    observed_at: DateTime<Utc>,
    before: Before,
    keep: &mut (dyn FnMut(Vec<Row>) -> Result<(), Error> + Send),
) -> Result<Judged, Error> {
    let blueprint = &engine.blueprint;
    let ledger = Ledger::load(&engine.warehouse, blueprint, session, (head, number), observed_at).await?;
    let previous = by_check(before.exceptions)?;
    let projects = projects(session, blueprint).await?;
    let asking = asking(engine);
    compute_model(engine, session, |_| true).await;
    let mut evaluator = Evaluator {
        blueprint,
        ledger,
        projects,
        number,
        observed_at,
        has_history: has_history(blueprint, head, number),
        previous,
        answers: BTreeMap::new(),
        known_keys: BTreeSet::new(),
        waivers: Waivers::new(before.waivers, &blueprint.settings, observed_at),
    };
    let asking: Vec<(&QueryFile, Standing)> =
        asking.into_iter().map(|query| (query, evaluator.standing(query))).collect();
    let may_speak = |standing: &Standing| standing.as_ref().is_ok_and(|footing| footing.whole.firm_gap.is_none());
    let asked: Vec<Name> =
        asking.iter().filter(|(_, standing)| may_speak(standing)).map(|(query, _)| query.name.clone()).collect();
    let mut answers = Vec::new();
    for name in &asked {
        answers.push(answer(name.clone(), session.clone(), engine.judge.question(name, &[]).await));
    }
    evaluator.answers = asked.into_iter().zip(side_by_side(answers.into_iter()).await).collect();
    evaluator.note_keys();
    let (mut runs, mut measured, mut waived) = (Vec::new(), Vec::new(), Vec::new());
    let mut evaluation = Evaluation::default();
    let mut versions: BTreeMap<&str, i64> = BTreeMap::new();
    for (query, standing) in &asking {
        let Some(check) = query.header.check.as_deref() else {
            measured.extend(measures::rows(&evaluator, query, standing));
            continue;
        };
        versions.insert(check, query.header.version);
        let outcome = evaluator.check(query, standing);
        evaluator.answers.remove(&query.name);
        waived.extend(evaluator.waivers.about(&outcome.exceptions));
        keep(outcome.exceptions)?;
        runs.extend(outcome.runs);
        evaluation.checks.extend(outcome.result);
    }
    evaluation.checks.sort_by(|one, other| one.check.cmp(&other.check));
    let waivers = evaluator.waivers.after(&waived, &versions, number);
    Ok(Judged { runs, waivers, measures: measured, evaluation })
}

/// The table `exceptions` in pieces of one check each.
fn by_check(exceptions: Vec<RecordBatch>) -> Result<BTreeMap<String, Vec<RecordBatch>>, Error> {
    let columns = system_columns("exceptions");
    let mut by_check: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
    for batch in exceptions {
        let batch = typed(&batch, &columns)?;
        let Some(checks) = batch.column_by_name("check_id") else { continue };
        let checks = checks.as_string::<i32>();
        for check in checks.iter().flatten().collect::<BTreeSet<&str>>() {
            let is_its = eq(checks, &StringArray::new_scalar(check))?;
            by_check.entry(check.to_owned()).or_default().push(filter_record_batch(&batch, &is_its)?);
        }
    }
    Ok(by_check)
}

/// Whether both sides were read before a commit, together or one after the other.
fn has_history(blueprint: &Blueprint, head: &Head, number: u64) -> bool {
    let is_of = |table: &TableCommit, side: Side| {
        blueprint.layouts.get(&table.source).is_some_and(|layout| layout.side == side.schema())
    };
    let earlier = head.commits.iter().take_while(|commit| commit.number < number);
    Side::BOTH
        .into_iter()
        .all(|side| earlier.clone().any(|commit| commit.tables.iter().any(|table| is_of(table, side))))
}

/// What every commit that judges is asked.
fn asking(engine: &Engine) -> Vec<&QueryFile> {
    engine.blueprint.queries.values().filter(|query| query.is_asked()).collect()
}

async fn record_statuses(engine: &Engine, prepared: &mut Prepared, observed_at: DateTime<Utc>) -> Result<(), Error> {
    let (head, number) = (prepared.head(), prepared.number());
    let session = engine.prepared_session(&engine.reader, Arc::clone(&head));
    let input = statuses::input(&session, engine, (&head, number), observed_at).await?;
    prepared.add(input).await?;
    Ok(())
}

/// Computes what the checks share, so that none of them waits for another's part of it. What fails here fails again, with
/// its reason, in the check that needs it.
async fn compute_model(engine: &Engine, session: &SessionContext, is_wanted: impl Fn(&Name) -> bool) {
    let asking = asking(engine);
    let read =
        asking.iter().flat_map(|query| engine.blueprint.closure(&query.name).iter().cloned().collect::<Vec<_>>());
    compute_views(engine, session, read.filter(is_wanted).collect::<BTreeSet<Name>>()).await;
}

/// Computes views of the model side by side, for all who read them at this moment afterwards, each after those that it reads. What
/// fails here fails again, with its reason, where it is read.
pub(crate) async fn compute_views(engine: &Engine, session: &SessionContext, names: impl IntoIterator<Item = Name>) {
    let mut views = Vec::new();
    for name in names {
        views.extend(engine.judge.cached(&name).await.map(|view| (name, view)));
    }
    let places: BTreeMap<Name, usize> = views.iter().map(|(name, _)| name.clone()).zip(0..).collect();
    let state = session.state();
    one_after_another(views.into_iter().map(|(name, view)| {
        let read = engine.blueprint.closure(&name).iter().filter_map(|read| places.get(read).copied()).collect();
        let state = state.clone();
        (read, async move { view.rows(&state).await.map(drop).map_err(|error| error.strip_backtrace()) })
    }))
    .await;
}

async fn answer(
    (schema, view): Name,
    session: SessionContext,
    question: Result<Arc<Repeated>, String>,
) -> Result<Answer, String> {
    let (question, started) = (question?, Instant::now());
    let has_key = question.plan().schema().has_column_with_unqualified_name("exception_key");
    let batches = question.execute(&session.state()).await.map_err(|error| error.strip_backtrace())?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    tracing::debug!(schema, view, rows, took = ?started.elapsed(), "asked");
    Ok(Answer { has_key, batches })
}

/// The rows of a table of our own as of a commit.
pub(crate) async fn state(engine: &Engine, head: &Head, number: u64, table: &str) -> Result<Vec<Row>, Error> {
    let batches = engine.warehouse.read_state(head, number, SYSTEM_SOURCE, table).await?;
    rows_of(&batches, &system_columns(table))
}

/// The projects of the PM side.
pub(crate) async fn projects(session: &SessionContext, blueprint: &Blueprint) -> Result<Vec<Project>, Error> {
    // Where projects cannot be read, every check that reads them fails and says why.
    let Ok(table) = session.table(TableReference::partial("pm", "projects")).await else { return Ok(Vec::new()) };
    let names = ["record_id", "number", "source", "approval_status", "is_active"];
    let told: Vec<&str> =
        names.into_iter().filter(|name| table.schema().has_column_with_unqualified_name(name)).collect();
    let batches = table.select_columns(&told)?.collect().await?;
    let text = |row: &Row, name: &str| row.get(name).and_then(Cell::as_text).map(str::to_owned);
    let columns = names.map(|name| (name.to_owned(), ColumnType::Text));
    let linked = linked_projects(session).await;
    let project = |row: &Row| {
        let id = text(row, "record_id")?;
        let is_job = text(row, "is_active").is_none_or(|active| active == "true")
            && !matches!(text(row, "approval_status").as_deref(), Some("draft" | "rejected" | "void"));
        let is_idle = !is_job && linked.as_ref().is_some_and(|linked| !linked.contains_key(&id));
        let source = text(row, "source");
        let key = source.as_ref().map_or(id.as_str(), |source| own_key(source, &id)).to_owned();
        let books = || source.as_ref().and_then(|source| blueprint.settings.books.get(source).cloned());
        let erps = linked.as_ref().and_then(|linked| linked.get(&id).cloned()).filter(|erps| !erps.is_empty());
        let erps = erps.unwrap_or_else(|| books().into_iter().collect());
        Some(Project { id, key, number: text(row, "number"), source, erps, is_idle })
    };
    Ok(rows_of(&batches, &columns)?.iter().filter_map(project).collect())
}

/// The PM projects that the ERP knows, each with the connections that have it; none where nobody can say.
async fn linked_projects(session: &SessionContext) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let pairs = texts_of(session, ("link", "projects"), ["pm_id", "erp_id"]).await?;
    let sources = texts_of(session, ("erp", "projects"), ["record_id", "source"]).await.unwrap_or_default();
    let sources: BTreeMap<String, String> =
        sources.into_iter().filter_map(|(id, source)| Some((id?, source?))).collect();
    let mut linked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (pm_id, erp_id) in pairs {
        let Some(pm_id) = pm_id else { continue };
        let source = erp_id.and_then(|erp_id| sources.get(&erp_id).cloned());
        linked.entry(pm_id).or_default().extend(source);
    }
    Some(linked)
}

/// Two text columns of a view, if it has them and can be read.
async fn texts_of(
    session: &SessionContext,
    (schema, view): (&str, &str),
    columns: [&str; 2],
) -> Option<Vec<(Option<String>, Option<String>)>> {
    let table = session.table(TableReference::partial(schema, view)).await.ok()?;
    let batches = table.select_columns(&columns).ok()?.collect().await.ok()?;
    let rows = rows_of(&batches, &columns.map(|name| (name.to_owned(), ColumnType::Text))).ok()?;
    let [first, second] = columns;
    let text = |row: &Row, name: &str| row.get(name).and_then(Cell::as_text).map(str::to_owned);
    Some(rows.iter().map(|row| (text(row, first), text(row, second))).collect())
}
