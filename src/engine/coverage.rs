//! What was read completely and recently, and therefore what a check may speak of.
//!
//! Invariants: silence proves nothing, so a table without any word of a read is a gap; a scope whose parent record is gone
//! is no gap, however old its last read, nor is what settled below a closed record. What an incremental run let rest below one
//! is known as of the look at that record, until it is due.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use arrow::datatypes::DataType;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Expr, cast, ident, lit, when};

use crate::engine::Error;
use crate::engine::blueprint::Blueprint;
use crate::engine::cells::{Cell, Row, rows_of};
use crate::engine::header::Side;
use crate::engine::layout::system_columns;
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
    for input in [coverage, rejects, drift] {
        prepared.add(input).await?;
    }
    Ok(())
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

/// What tables were read when, as of a prepared commit.
#[derive(Debug)]
pub(crate) struct Ledger<'a> {
    blueprint: &'a Blueprint,
    reads: BTreeMap<Name, Vec<Read>>,
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
        let mut reads: BTreeMap<Name, Vec<Read>> = BTreeMap::new();
        for row in rows_of(&batches, &system_columns("coverage"))? {
            if let Some((name, read)) = read(&row) {
                reads.entry(name).or_default().push(read);
            }
        }
        let oldest = observed_at - TimeDelta::hours(blueprint.settings.stale_hours);
        let mut ledger = Self { blueprint, reads, oldest, closed: BTreeMap::new(), observed_at };
        ledger.note_parents(session).await?;
        Ok(ledger)
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
            let list = self.reads.get(parent)?.iter().find(|read| read.scope == above)?;
            list.complete_at.filter(|at| *at >= self.oldest).or_else(|| self.rested_until(parent, list))
        })
    }

    /// Drops scopes whose parent record is gone: nobody can read them again, and nothing in them is missing. Notes which of the
    /// others lie below a closed record.
    async fn note_parents(&mut self, session: &SessionContext) -> Result<(), Error> {
        let listings: BTreeMap<Name, BTreeSet<Name>> =
            self.reads.keys().map(|name| (name.clone(), self.listing_tables(name))).collect();
        let parents: BTreeSet<&Name> = listings.values().flatten().collect();
        let mut listed: BTreeMap<&Name, HashSet<String>> = BTreeMap::new();
        for parent in parents {
            let Some(raw) = self.blueprint.raw_table(parent) else { continue };
            let found = scopes_below(session, parent, &raw.closed).await?;
            let closed = found.iter().filter_map(|(scope, closed_at)| Some((scope.clone(), (*closed_at)?)));
            self.closed.insert(parent.clone(), closed.collect());
            listed.insert(parent, found.into_keys().collect());
        }
        for (name, parents) in &listings {
            let Some(reads) = self.reads.get_mut(name).filter(|_| !parents.is_empty()) else { continue };
            reads.retain(|read| {
                parents.iter().any(|parent| listed.get(parent).is_some_and(|scopes| scopes.contains(&read.scope)))
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
        let reads = self.part(name, part);
        if let Some(gap) = reads.iter().find_map(|read| self.gap_of(name, read)) {
            return Some(gap);
        }
        if !reads.is_empty() || part == Part::Company && self.is_by_project(name) {
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
        own_project || self.part(name, part).iter().any(|read| read.rows > 0)
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

    fn part(&self, name: &Name, part: Part<'_>) -> Vec<&Read> {
        let reads = self.reads.get(name).into_iter().flatten();
        let belongs = |read: &&Read| match part {
            Part::All => true,
            Part::Company => read.project.is_none(),
            Part::Project(project) => read.project.as_deref().is_none_or(|of| of == project),
        };
        reads.filter(belongs).collect()
    }

    /// Whether a table is listed project by project.
    fn is_by_project(&self, name: &Name) -> bool {
        if let Some(reads) = self.reads.get(name).filter(|reads| !reads.is_empty()) {
            return reads.iter().any(|read| read.project.is_some());
        }
        let Some(raw) = self.blueprint.raw_table(name) else { return false };
        raw.parents.iter().any(|parent| parent == "projects" || self.is_by_project(&(name.0.clone(), parent.clone())))
    }

    /// Up to when the parts of the tables are known: the oldest of their last complete reads.
    pub(crate) fn observed_at(&self, names: &BTreeSet<Name>, part: Part<'_>) -> Option<DateTime<Utc>> {
        let reads = names.iter().flat_map(|name| self.part(name, part).into_iter().map(move |read| (name, read)));
        let unsettled = reads.filter(|(name, read)| !self.is_settled(name, read));
        unsettled.filter_map(|(name, read)| read.complete_at.max(self.rested_until(name, read))).min()
    }

    pub(crate) fn rows(&self, names: &BTreeSet<Name>, part: Part<'_>) -> i64 {
        names.iter().flat_map(|name| self.part(name, part)).map(|read| read.rows).sum()
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
