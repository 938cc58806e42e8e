//! Trying a source out: one record of each table, and how its fields differ from the manifest. Writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::client::{Client, Meter};
use super::failure::Error;
use super::files;
use super::manifest::{Paging, Protocol, Table};
use super::odbc;
use super::order::order;
use super::rules::PROJECTS;
use super::scope::{Job, ParentRow, Reader, ScopeRead, scope_below};
use super::{PreviousTables, SourceSettings};
use crate::clock::Clock;
use crate::warehouse::rows::{CoverageStatus, Drift, ReadMode};

/// How a table answered.
#[derive(Clone, Debug)]
pub struct TableCheck {
    /// The table.
    pub table: String,
    /// Whether it could be read; an empty list is `empty_unverified`.
    pub status: CoverageStatus,
    /// One record as received, redacted.
    pub sample: Option<String>,
    /// How it would show that a record is gone.
    pub deletes: Deletes,
    /// Records that it holds, as far as one small request tells.
    pub size: Option<Size>,
    /// Declared fields that the sample lacks, and fields that the manifest does not know.
    pub drift: Vec<Drift>,
    /// What went wrong, or why it could not be tried.
    pub problem: Option<String>,
}

/// How a table shows that a record is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletes {
    /// Deleted records are listed and marked.
    Marked,
    /// They are missing from a list that is read whole.
    Absent,
    /// Absence proves nothing: they may be hidden.
    Hidden,
}

/// About how much a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Records of all its lists, if each is like the one that was tried.
    pub records: u64,
    /// Bytes of them, if each is like the sample.
    pub bytes: u64,
}

impl TableCheck {
    /// Whether the source was heard at all.
    pub fn is_reachable(&self) -> bool {
        !matches!(self.status, CoverageStatus::Failed | CoverageStatus::NotFound)
    }

    /// Whether it may be read; none where an empty list does not tell, or nothing was heard.
    pub fn is_permitted(&self) -> Option<bool> {
        match self.status {
            CoverageStatus::Ok | CoverageStatus::EmptyVerified | CoverageStatus::Partial => Some(true),
            CoverageStatus::Forbidden => Some(false),
            CoverageStatus::EmptyUnverified | CoverageStatus::NotFound | CoverageStatus::Failed => None,
        }
    }
}

/// Projects of a list, at most, under which a table is looked for until one of them has a record.
const PROJECTS_TRIED_MAX: usize = 5;

/// How long a sign-out may hold up who was asked to stop.
const STOPPED_SIGN_OUT_MAX: Duration = Duration::from_millis(500);

/// Tries every table with one small request. An error only if signing in fails, or if it is cancelled.
pub async fn check(
    source: &SourceSettings,
    clock: &Clock,
    cancel: &CancellationToken,
) -> Result<Vec<TableCheck>, Error> {
    match source.manifest.system.protocol {
        Protocol::Files => return files::check(source, clock).await,
        Protocol::Odbc => {
            return tokio::select! {
                biased;
                () = cancel.cancelled() => Err(Error::Interrupted { name: source.name.clone() }),
                checks = Box::pin(odbc::check(source, clock)) => checks,
            };
        }
        Protocol::Rest => {}
    }
    let client = Client::new(source, clock, &[])?;
    let meter = Meter::default();
    let checks = tokio::select! {
        biased;
        () = cancel.cancelled() => None,
        checks = Box::pin(check_all(source, &client, &meter)) => Some(checks),
    };
    let sign_out = client.session.sign_out(&client, &meter);
    if let Some(checks) = checks {
        sign_out.await;
        return checks;
    }
    // Not signed out in time, the source ends the session by itself.
    let _ = tokio::time::timeout(STOPPED_SIGN_OUT_MAX, sign_out).await;
    Err(Error::Interrupted { name: source.name.clone() })
}

async fn check_all(source: &SourceSettings, client: &Client, meter: &Meter) -> Result<Vec<TableCheck>, Error> {
    let name = source.name.clone();
    client.session.ensure(client, meter).await.map_err(|failure| Error::Denied { name, failure })?;
    let reader = Reader { source, client, started_at: client.clock().now(), staging: None, previous: None };
    let mut samples: BTreeMap<&str, Vec<Arc<ParentRow>>> = BTreeMap::new();
    let mut records: BTreeMap<&str, u64> = BTreeMap::new();
    let mut checks = Vec::new();
    for (table, _) in order(source, None)? {
        if table.embedded.is_some() {
            continue;
        }
        let above = table.parent.iter().find_map(|name| samples.get(name.as_str()));
        let above = match above {
            _ if table.parent.is_empty() => vec![None],
            Some(rows) => rows.iter().cloned().map(Some).collect(),
            None => {
                checks.push(not_tried(source, table));
                continue;
            }
        };
        // One record may be of a project that is not to be read, or of one that is still empty.
        let is_probe = table.name != PROJECTS && !source.rules.picks(table);
        for read in first_with_records(&reader, table, above, is_probe, meter).await {
            let lists = read.parent.as_ref().map_or(Some(1), |parent| records.get(parent.table.as_str()).copied());
            let size = lists.and_then(|lists| size(&read, lists, is_probe));
            if let Some(size) = size {
                records.insert(read.table.name.as_str(), size.records);
            }
            if !read.rows.is_empty() {
                let tried = if read.table.name == PROJECTS { PROJECTS_TRIED_MAX } else { 1 };
                // Spread over the list: its first ones are often alike.
                let step = read.rows.len().div_ceil(tried);
                let rows = read.rows.iter().flatten().step_by(step).map(|row| parent_row(&read, &row));
                samples.insert(read.table.name.as_str(), rows.collect());
            }
            checks.push(TableCheck {
                table: read.table.name.clone(),
                status: probed(&read),
                sample: read.rows.iter().flatten().next().map(|row| row.raw.as_str().to_owned()),
                deletes: deletes(source, read.table),
                size,
                drift: read.seen.drift(&source.manifest, read.table, ReadMode::Full, &PreviousTables::default()),
                problem: read.failure.as_ref().map(ToString::to_string).or_else(|| {
                    read.rejects.first().map(|reject| format!("a record could not be read: {}", reject.reason))
                }),
            });
        }
    }
    Ok(checks)
}

/// What a table gives under the first of some parents that has any record of it, or that cannot be read; else under the last.
async fn first_with_records<'a>(
    reader: &Reader<'a>,
    table: &'a Table,
    above: Vec<Option<Arc<ParentRow>>>,
    is_probe: bool,
    meter: &Meter,
) -> Vec<ScopeRead<'a>> {
    let mut reads = Vec::new();
    for parent in above {
        let scope = parent.as_ref().map_or_else(|| Arc::from(""), |row| scope_below(&row.scope, &row.key));
        reads = reader.read(Job { table, scope, parent, cursor: None, is_probe }, meter).await;
        let is_empty = |read: &ScopeRead<'_>| read.failure.is_none() && read.rejects.is_empty() && read.rows.is_empty();
        if !reads.first().is_some_and(is_empty) {
            break;
        }
    }
    reads
}

/// What hangs on records of which there are none: nobody can say whether it could be read.
fn not_tried(source: &SourceSettings, table: &Table) -> TableCheck {
    TableCheck {
        table: table.name.clone(),
        status: CoverageStatus::EmptyUnverified,
        sample: None,
        deletes: deletes(source, table),
        size: None,
        drift: Vec::new(),
        problem: Some(format!("not tried: no record of {} was found", table.parent.join(" or "))),
    }
}

fn deletes(source: &SourceSettings, table: &Table) -> Deletes {
    if table.deleted.is_some() {
        Deletes::Marked
    } else if table.may_hide || source.rules.picks(table) {
        Deletes::Hidden
    } else {
        Deletes::Absent
    }
}

/// None where no total is told and only a part was read.
fn size(read: &ScopeRead<'_>, lists: u64, is_probe: bool) -> Option<Size> {
    let received = read.rows.len() as u64;
    // A list without pages comes whole, whatever was asked for.
    let is_whole = !is_probe || read.table.paging == Paging::None && read.table.embedded.is_none();
    let of_list = read.expected.map(|told| told.saturating_sub(read.left_out)).or(is_whole.then_some(received))?;
    let bytes: usize = read.rows.iter().flatten().map(|row| row.raw.as_str().len()).sum();
    let records = of_list.saturating_mul(lists);
    Some(Size { records, bytes: records.saturating_mul(bytes as u64) / received.max(1) })
}

/// A probe asks for one record, so that a total of more than one says nothing.
fn probed(read: &ScopeRead<'_>) -> CoverageStatus {
    let is_read = read.failure.is_none() && read.rejects.is_empty() && !read.rows.is_empty();
    if is_read { CoverageStatus::Ok } else { read.status }
}

fn parent_row(read: &ScopeRead<'_>, row: &super::decode::Row) -> Arc<ParentRow> {
    let above = read.parent.clone();
    let is_project = read.table.name == PROJECTS;
    let project =
        if is_project { Some(row.key.clone()) } else { above.as_ref().and_then(|above| above.project.clone()) };
    Arc::new(ParentRow {
        table: read.table.name.clone(),
        key: row.key.clone(),
        scope: Arc::clone(&read.scope),
        cells: row.cells.clone(),
        hash: row.hash.clone(),
        project,
        is_deleted: false,
        above,
    })
}
