//! What was read completely and recently, and therefore what a check may speak of.
//!
//! Invariants: silence proves nothing, so a table without any word of a read is a gap; a scope whose parent record is gone
//! is no gap, however old its last read, nor is what settled below a closed record. What an incremental run let rest below one
//! is known as of the look at that record, until it is due.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use arrow::datatypes::DataType;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Expr, cast, ident, lit, when};

use crate::engine::Error;
use crate::engine::blueprint::Blueprint;
use crate::engine::cells::{Cell, Row, rows_of};
use crate::engine::header::Side;
use crate::engine::layout::{RawTable, system_columns};
use crate::engine::parallel::side_by_side;
use crate::engine::queries::Name;
use crate::warehouse::commit::Head;
use crate::warehouse::rows::ColumnType;
use crate::warehouse::rows::{CoverageStatus, EXTRACTED_AT, KEY, SCOPE, SYSTEM_SOURCE};
use crate::warehouse::{Prepared, Warehouse, coverage_input, drift_input, rejects_input};

/// Adds `coverage`, `rejects` and `drift` of what the prepared commit holds so far.
pub(crate) async fn record(warehouse: &Warehouse, prepared: &mut Prepared) -> Result<(), Error> {
    let at = prepared.commit().observed_at;
    let head = prepared.head();
    let previous = warehouse.read_state(&head, prepared.number(), SYSTEM_SOURCE, "coverage").await?;
    let coverage = coverage_input(prepared.inputs(), &previous)?;
    let rejects = rejects_input(prepared.inputs(), at)?;
    let drift = drift_input(prepared.inputs(), at)?;
    Ok(prepared.add_all([coverage, rejects, drift]).await?)
}

/// One scope of one table as it was last read.
#[derive(Clone, Debug)]
struct Read {
    scope: String,
    project: Option<String>,
    status: String,
    rows: i64,
    complete_at: Option<DateTime<Utc>>,
    error: Option<String>,
}

/// Some scopes of one table, taken together.
#[derive(Clone, Debug, Default)]
struct Known {
    scopes: usize,
    rows: i64,
    /// Up to when they are known: the oldest of their last complete reads.
    observed_at: Option<DateTime<Utc>>,
    /// Why they cannot be believed: the first reason.
    gap: Option<String>,
}

impl Known {
    fn add(&mut self, other: &Self) {
        self.scopes += other.scopes;
        self.rows += other.rows;
        self.observed_at = self.observed_at.into_iter().chain(other.observed_at).min();
        if self.gap.is_none() {
            self.gap.clone_from(&other.gap);
        }
    }
}

/// What tables were read when, as of a prepared commit.
#[derive(Debug)]
pub(crate) struct Ledger<'a> {
    blueprint: &'a Blueprint,
    /// By table and scope.
    reads: BTreeMap<Name, BTreeMap<String, Read>>,
    /// The same by table and project, and by table: every check asks for every project.
    by_project: BTreeMap<Name, BTreeMap<Option<String>, Known>>,
    whole: BTreeMap<Name, Known>,
    /// No read before this moment counts.
    oldest: DateTime<Utc>,
    /// By table whose records may be closed: the scopes below those that are, and when the record last changed.
    closed: BTreeMap<Name, HashMap<String, DateTime<Utc>>>,
    observed_at: DateTime<Utc>,
}

/// Which part of a table a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// All of it.
    All,
    /// What is listed for the whole company.
    Company,
    /// What belongs to one project.
    Project(&'a str),
}

impl<'a> Ledger<'a> {
    pub(crate) async fn load(
        warehouse: &Warehouse,
        blueprint: &'a Blueprint,
        session: &SessionContext,
        (head, number): (&Head, u64),
        observed_at: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let batches = warehouse.read_state(head, number, SYSTEM_SOURCE, "coverage").await?;
        let mut reads: BTreeMap<Name, BTreeMap<String, Read>> = BTreeMap::new();
        for row in rows_of(&batches, &system_columns("coverage"))? {
            if let Some((name, read)) = read(&row) {
                reads.entry(name).or_default().insert(read.scope.clone(), read);
            }
        }
        let oldest = observed_at - TimeDelta::hours(blueprint.settings.stale_hours);
        let (by_project, whole, closed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut ledger = Self { blueprint, reads, by_project, whole, oldest, closed, observed_at };
        ledger.note_parents(session).await?;
        ledger.sum_up();
        Ok(ledger)
    }

    fn sum_up(&mut self) {
        let mut by_project: BTreeMap<Name, BTreeMap<Option<String>, Known>> = BTreeMap::new();
        let mut whole: BTreeMap<Name, Known> = BTreeMap::new();
        for (name, reads) in &self.reads {
            let (parts, whole) = (by_project.entry(name.clone()).or_default(), whole.entry(name.clone()).or_default());
            for read in reads.values() {
                let known = self.known(name, read);
                whole.add(&known);
                parts.entry(read.project.clone()).or_default().add(&known);
            }
        }
        (self.by_project, self.whole) = (by_project, whole);
    }

    fn known(&self, name: &Name, read: &Read) -> Known {
        let is_settled = self.is_settled(name, read);
        Known {
            scopes: 1,
            rows: read.rows,
            observed_at: if is_settled { None } else { read.complete_at.max(self.rested_until(name, read)) },
            gap: self.gap_of(name, read),
        }
    }

    /// Whether the record just above a scope is closed, and is what it was when the list below it was read.
    fn is_below_closed(&self, parent: &Name, read: &Read) -> bool {
        let changed_at = self.closed.get(parent).and_then(|scopes| scopes.get(&read.scope));
        changed_at.is_some_and(|changed| read.complete_at.is_some_and(|at| *changed <= at))
    }

    /// Whether an old reading is still good: of what nothing changes any more, because the record above is closed.
    fn is_settled(&self, name: &Name, read: &Read) -> bool {
        let Some(raw) = self.blueprint.raw_table(name) else { return false };
        let mut parents = raw.parents.iter().map(|parent| (name.0.clone(), parent.clone()));
        if raw.embedded {
            return parents.any(|parent| self.is_settled(&parent, read));
        }
        raw.settles && parents.any(|parent| self.is_below_closed(&parent, read))
    }

    /// Up to when a reading is good, where it is good for longer than it is fresh: the last look at a closed record that it
    /// lies below. Had that record changed since, the list would have to be read again; in any case it has to be when it is due.
    fn rested_until(&self, name: &Name, read: &Read) -> Option<DateTime<Utc>> {
        let days = self.blueprint.raw_table(name)?.sweep_days;
        let is_due = read.complete_at.is_none_or(|at| self.observed_at - at > TimeDelta::days(i64::from(days)));
        if is_due { None } else { self.last_look_above(name, read) }
    }

    /// The last look at the closed record that a list lies below, through whatever lists there are between.
    fn last_look_above(&self, name: &Name, read: &Read) -> Option<DateTime<Utc>> {
        let (above, _) = read.scope.rsplit_once('/').unwrap_or(("", &read.scope));
        self.listing_tables(name).iter().find_map(|parent| {
            if !self.is_below_closed(parent, read) {
                let higher = Read { scope: above.to_owned(), ..read.clone() };
                return if above.is_empty() { None } else { self.last_look_above(parent, &higher) };
            }
            let list = self.reads.get(parent)?.get(above)?;
            list.complete_at.filter(|at| *at >= self.oldest).or_else(|| self.rested_until(parent, list))
        })
    }

    /// Drops scopes whose parent record is gone: nobody can read them again, and nothing in them is missing. Notes which of the
    /// others lie below a closed record.
    async fn note_parents(&mut self, session: &SessionContext) -> Result<(), Error> {
        let listings: BTreeMap<Name, BTreeSet<Name>> =
            self.reads.keys().map(|name| (name.clone(), self.listing_tables(name))).collect();
        let parents: BTreeSet<&Name> = listings.values().flatten().collect();
        let known = parents.into_iter().filter_map(|parent| Some((parent, self.blueprint.raw_table(parent)?)));
        let known: Vec<(&Name, &RawTable)> = known.collect();
        let asked = known.iter().map(|(parent, raw)| {
            let (session, parent, words) = (session.clone(), (*parent).clone(), raw.closed.clone());
            async move { scopes_below(&session, &parent, &words).await.map_err(|error| error.to_string()) }
        });
        let found = side_by_side(asked).await;
        let mut listed: BTreeMap<&Name, HashSet<String>> = BTreeMap::new();
        for ((parent, _), found) in known.into_iter().zip(found) {
            let found = found.map_err(DataFusionError::Execution)?;
            let closed = found.iter().filter_map(|(scope, closed_at)| Some((scope.clone(), (*closed_at)?)));
            self.closed.insert(parent.clone(), closed.collect());
            listed.insert(parent, found.into_keys().collect());
        }
        for (name, parents) in &listings {
            let Some(reads) = self.reads.get_mut(name).filter(|_| !parents.is_empty()) else { continue };
            reads.retain(|scope, _| {
                parents.iter().any(|parent| listed.get(parent).is_some_and(|scopes| scopes.contains(scope)))
            });
        }
        Ok(())
    }

    /// The tables whose rows are the scopes of a table. Rows inside another table's records share that table's scopes.
    fn listing_tables(&self, name: &Name) -> BTreeSet<Name> {
        let Some(raw) = self.blueprint.raw_table(name) else { return BTreeSet::new() };
        let parents = raw.parents.iter().map(|parent| (name.0.clone(), parent.clone()));
        if raw.embedded { parents.flat_map(|parent| self.listing_tables(&parent)).collect() } else { parents.collect() }
    }

    /// Why a part of a table cannot be believed; none if it can.
    pub(crate) fn gap(&self, name: &Name, part: Part<'_>) -> Option<String> {
        let known = self.part(name, part);
        if known.gap.is_some() {
            return known.gap;
        }
        if known.scopes > 0 || part == Part::Company && self.is_by_project(name) {
            return None;
        }
        // No scope at all is right only where the parents have no rows either.
        let raw = self.blueprint.raw_table(name)?;
        let parents: Vec<Name> = raw.parents.iter().map(|parent| (name.0.clone(), parent.clone())).collect();
        if raw.embedded {
            return parents.iter().find_map(|parent| self.gap(parent, part));
        }
        let unread = parents.is_empty() || parents.iter().any(|parent| self.has_rows(parent, part));
        unread.then(|| format!("{}.{} was never read{}", name.0, name.1, place(part)))
    }

    fn has_rows(&self, name: &Name, part: Part<'_>) -> bool {
        // The row that stands for the project itself is in a company-wide list.
        let own_project = name.1 == "projects" && matches!(part, Part::Project(_));
        own_project || self.part(name, part).rows > 0
    }

    fn gap_of(&self, name: &Name, read: &Read) -> Option<String> {
        let place = match (&read.project, read.scope.as_str()) {
            (None, "") => String::new(),
            (Some(project), scope) if project == scope => format!(" of project {project}"),
            (_, scope) => format!(" of {scope}"),
        };
        let complete = [CoverageStatus::Ok, CoverageStatus::EmptyVerified].iter().any(|ok| ok.as_str() == read.status);
        if !complete {
            let error = read.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            return Some(format!("{}.{}{place} is {}{error}", name.0, name.1, read.status));
        }
        match read.complete_at {
            Some(at) if at >= self.oldest || self.is_settled(name, read) => None,
            Some(_) if self.rested_until(name, read).is_some() => None,
            Some(at) => Some(format!("{}.{}{place} was last read completely at {}", name.0, name.1, at.to_rfc3339())),
            None => Some(format!("{}.{}{place} was never read completely", name.0, name.1)),
        }
    }

    /// A part of a table, taken together: that of a project with what is listed for the whole company.
    fn part(&self, name: &Name, part: Part<'_>) -> Known {
        let project = match part {
            Part::All => return self.whole.get(name).cloned().unwrap_or_default(),
            Part::Company => None,
            Part::Project(project) => Some(project.to_owned()),
        };
        let Some(parts) = self.by_project.get(name) else { return Known::default() };
        let mut known = parts.get(&None).cloned().unwrap_or_default();
        if let Some(own) = project.and_then(|project| parts.get(&Some(project))) {
            known.add(own);
        }
        known
    }

    /// Whether a table is listed project by project.
    fn is_by_project(&self, name: &Name) -> bool {
        if let Some(parts) = self.by_project.get(name).filter(|parts| !parts.is_empty()) {
            return parts.keys().any(Option::is_some);
        }
        let Some(raw) = self.blueprint.raw_table(name) else { return false };
        raw.parents.iter().any(|parent| parent == "projects" || self.is_by_project(&(name.0.clone(), parent.clone())))
    }

    /// Up to when the parts of the tables are known: the oldest of their last complete reads.
    pub(crate) fn observed_at(&self, names: &BTreeSet<Name>, part: Part<'_>) -> Option<DateTime<Utc>> {
        names.iter().filter_map(|name| self.part(name, part).observed_at).min()
    }

    pub(crate) fn rows(&self, names: &BTreeSet<Name>, part: Part<'_>) -> i64 {
        names.iter().map(|name| self.part(name, part).rows).sum()
    }

    /// The first gap of a side's tables. The ERP is one company: a gap in any of its scopes counts for all projects.
    pub(crate) fn first_gap(&self, names: &BTreeSet<Name>, side: Side, part: Part<'_>) -> Option<String> {
        let part = if side == Side::Erp { Part::All } else { part };
        names.iter().find_map(|name| self.gap(name, part))
    }
}

fn place(part: Part<'_>) -> String {
    match part {
        Part::Project(project) => format!(" for project {project}"),
        Part::All | Part::Company => String::new(),
    }
}

fn read(row: &Row) -> Option<(Name, Read)> {
    let text = |name: &str| row.get(name)?.as_text().map(str::to_owned);
    let read = Read {
        scope: text("scope").unwrap_or_default(),
        project: text("project"),
        status: text("status")?,
        rows: row.get("row_count").and_then(Cell::as_integer).unwrap_or_default(),
        complete_at: row.get("complete_at").and_then(Cell::as_moment),
        error: text("error"),
    };
    Some(((text("source")?, text("table_name")?), read))
}

/// The scopes that a table's rows open for the tables below it, and of closed records (those whose columns hold certain
/// words) when they last changed.
async fn scopes_below(
    session: &SessionContext,
    name: &Name,
    words: &BTreeMap<String, Vec<String>>,
) -> Result<HashMap<String, Option<DateTime<Utc>>>, Error> {
    let table = session.table(datafusion::common::TableReference::partial(name.0.as_str(), name.1.as_str())).await?;
    let holds = |(column, words): (&String, &Vec<String>)| {
        let value = cast(ident(column), DataType::Utf8);
        value.in_list(words.iter().map(|word| lit(word.as_str())).collect(), false)
    };
    let is_closed = words.iter().map(holds).reduce(Expr::and).unwrap_or_else(|| lit(false));
    let closed_at = when(is_closed, ident(EXTRACTED_AT)).end()?.alias("closed_at");
    let batches = table.select([ident(SCOPE), ident(KEY), closed_at])?.collect().await?;
    let columns = [(SCOPE, ColumnType::Text), (KEY, ColumnType::Text), ("closed_at", ColumnType::Timestamp)];
    let rows = rows_of(&batches, &columns.map(|(name, kind)| (name.to_owned(), kind)))?;
    let text = |row: &Row, name: &str| row.get(name).and_then(Cell::as_text).map(str::to_owned).unwrap_or_default();
    let scope = |row: &Row| match (text(row, SCOPE), text(row, KEY)) {
        (scope, key) if scope.is_empty() => key,
        (scope, key) => format!("{scope}/{key}"),
    };
    Ok(rows.iter().map(|row| (scope(row), row.get("closed_at").and_then(Cell::as_moment))).collect())
}
