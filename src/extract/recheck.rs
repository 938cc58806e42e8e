//! Looking again at records whose amounts sum up others that changed after them: a payment made while the run was between a
//! contract and its payments would make the two disagree in the snapshot, and a check speak of what never was.
//!
//! Witnesses say which tables sum up which. A list of them is read once more if a record that it sums up says that it changed
//! after the list was received; only records that were there before take the new content. Costs nothing where nothing moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tieout_json::Cell;

use super::decode::{Row, cell_of};
use super::failure::Error;
use super::manifest::{ColumnFrom, Manifest, Table};
use super::run::Run;
use super::scope::{Job, Reader, ScopeRead, scope_below};

/// The time between what a page says and its arrival, at most.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// Records of one table: in which project, and the table that they are listed under.
type Part = (String, Option<String>, Option<String>);

/// When records last said that they changed, in microseconds, by the parts of tables that others sum up.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<Part, i64>);

impl Changes {
    /// Takes note of a list's rows.
    pub(super) fn note(&mut self, read: &ScopeRead<'_>) {
        let Some(column) = changed_column(read.table).filter(|_| !read.table.witness.is_empty()) else { return };
        let moment = |row: &Row| match cell_of(read.table, &row.cells, column) {
            Some(Cell::Timestamp(micros)) => Some(*micros),
            _ => None,
        };
        let Some(latest) = read.rows.iter().flatten().filter_map(|row| moment(&row)).max() else { return };
        let project = read.parent.as_ref().and_then(|parent| parent.project.clone());
        let above = read.parent.as_ref().map(|parent| parent.table.clone());
        let known = self.0.entry((read.table.name.clone(), project, above)).or_insert(latest);
        *known = latest.max(*known);
    }
}

/// The column that tells when a record of a table changed.
fn changed_column(table: &Table) -> Option<&str> {
    let is_of_cursor = |from: &ColumnFrom| match (from, &table.cursor) {
        (ColumnFrom::Path(path), Some(cursor)) => *path == cursor.field,
        _ => false,
    };
    let by_cursor =
        || table.columns.iter().find(|(_, column)| is_of_cursor(&column.from)).map(|(name, _)| name.as_str());
    table.changed.as_deref().or_else(by_cursor)
}

/// Whether lists of a table are read again where needed: not if other tables lie inside its records.
pub(super) fn can_be_rechecked(manifest: &Manifest, table: &str) -> bool {
    let inside = |other: &Table| other.embedded.as_ref().is_some_and(|embedded| embedded.table == table);
    !manifest.tables.iter().any(inside) && manifest.table(table).is_some_and(|table| table.embedded.is_none())
}

impl<'a> Run<'a> {
    /// Reads again what records that changed meanwhile are summed up in. `ahead` is how far the source's clock is ahead.
    pub(super) async fn recheck(&mut self, reader: &Reader<'a>, ahead: TimeDelta) -> Result<(), Error> {
        for (name, scope) in self.outdated(ahead) {
            let Some(job) = self.job_of(&name, &scope) else { continue };
            let Some(meter) = self.tables.get(name.as_str()).map(|gathered| Arc::clone(&gathered.meter)) else {
                continue;
            };
            let reads = reader.read(job.clone(), &meter).await;
            if let Some(read) = reads.first().filter(|read| read.status.is_complete() && read.rejects.is_empty()) {
                self.replace(read);
                // A run that goes on after this one must not take the older list.
                if let Some(staging) = reader.staging {
                    staging.put(&job, &reads);
                }
            }
        }
        Ok(())
    }

    /// Lists that are older than what they sum up.
    fn outdated(&self, ahead: TimeDelta) -> BTreeSet<(String, String)> {
        let mut outdated = BTreeSet::new();
        for ((name, project, above), latest) in &self.changes.0 {
            let Some(table) = self.source.manifest.table(name) else { continue };
            let sums = table.witness.iter().filter_map(|witness| witness.split_once('.')).map(|(sums, _)| sums);
            for sums in sums.collect::<BTreeSet<&str>>() {
                // Payments of a subcontract are no part of a purchase order.
                let is_other = table.parent.iter().any(|parent| parent == sums) && above.as_deref() != Some(sums);
                if is_other || !can_be_rechecked(&self.source.manifest, sums) {
                    continue;
                }
                let lists = self.evidence.get(sums).into_iter().flat_map(|evidence| evidence.coverage.values());
                let lists = lists.filter(|list| list.project == *project && list.status.is_complete());
                let is_older = |at: DateTime<Utc>| (at + ahead - MARGIN).timestamp_micros() <= *latest;
                let older = lists.filter(|list| is_older(list.observed_at));
                outdated.extend(older.map(|list| (sums.to_owned(), list.scope.clone())));
            }
        }
        outdated
    }

    fn job_of(&self, name: &str, scope: &str) -> Option<Job<'a>> {
        let table = self.source.manifest.table(name)?;
        let parents = table.parent.iter().filter_map(|name| self.tables.get(name.as_str()));
        let mut rows = parents.flat_map(|parent| &parent.parents);
        let parent = rows.find(|row| *scope_below(&row.scope, &row.key) == *scope).cloned();
        let is_found = parent.is_some() || table.parent.is_empty();
        is_found.then(|| Job { table, scope: Arc::from(scope), parent, cursor: None, is_probe: false })
    }

    /// Gives records that were listed before their newer content. What came since has lists below it that were not read:
    /// the next run sees it.
    fn replace(&mut self, read: &ScopeRead<'a>) {
        let Some(gathered) = self.tables.get_mut(read.table.name.as_str()) else { return };
        let newer: BTreeMap<String, Row> =
            read.rows.iter().flatten().map(|row| (row.key.clone(), row.into_owned())).collect();
        for (_, row) in gathered.pending.iter_mut().filter(|(scope, _)| *scope == read.scope) {
            if let Some(newer) = newer.get(&row.key) {
                row.clone_from(newer);
            }
        }
    }
}
