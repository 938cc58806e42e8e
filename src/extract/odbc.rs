//! Databases: views of an accounting system's database, read with `select` over the ODBC driver that the database has.
//!
//! A run is one transaction on one connection, of one moment where the database allows it. Rows become records in JSON and pass
//! through the same redaction, typing, keys and drift as those of any interface.
//!
//! | file | owns |
//! |---|---|
//! | `declared` | how a manifest declares a database and its tables |
//! | `dialect`, `select` | pure: statements and their values |
//! | `names`, `mapping` | pure: which name of the database a declared one is; what an installation calls otherwise |
//! | `connect`, `session`, `trouble` | the connection string, the connection's thread, what drivers say goes wrong |
//! | `values` | pure: batches of the driver as records |
//! | `read`, `months` | one list of a table; the months of a table |
//!
//! Invariants: nothing is written, and nothing is read that is not committed; names are quoted and values bound; a list whose count
//! does not agree with what came is not complete; a view that is missing or refused is never an empty table.

mod connect;
mod declared;
mod dialect;
mod mapping;
mod months;
mod names;
mod read;
mod select;
mod session;
mod trouble;
mod values;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::assemble::Assembler;
use super::check::{Deletes, Size, TableCheck};
use super::failure::{Error, Failure, FailureKind};
use super::manifest::Table;
use super::meter::Meter;
use super::order::order;
use super::plan::{Plan, TablePlan};
use super::refresh::{Policy, Reading};
use super::run::{Run, nothing};
use super::scope::{Job, ScopeRead};
use super::staging::Staging;
use super::{PreviousTables, RunOptions, SourceOutcome, SourceSettings};
use crate::clock::Clock;
use crate::warehouse::rows::{CoverageStatus, ReadMode};

pub(crate) use connect::{CONNECTION, DIALECT, MAPPING, holds_secret};
pub use declared::{Months, Odbc};
pub(crate) use declared::{fill_in, months_of, problems, section_problems};
pub(crate) use mapping::apply;

use connect::Target;
use months::Closings;
use read::Database;
use session::Session;

/// Reads a database. An error only where nothing could be read at all; a view that cannot be is coverage of its table.
pub(super) async fn read(source: &SourceSettings, options: &RunOptions) -> Result<SourceOutcome, Error> {
    let began_at = options.clock.now();
    let order = order(source, options.tables.as_deref())?;
    let mut database = open(source, &options.clock)?;
    let meter = Meter::default();
    database.connect(&meter).await.map_err(|failure| nothing(source, failure))?;
    let staging = options.staging.as_ref().and_then(|place| Staging::open(place, source, began_at, began_at));
    let began_at = staging.as_ref().map_or(began_at, |staging| staging.began_at);
    let mut run = Run::new(source, options, &order);
    let mut closings = Closings::new(&source.manifest);
    for (table, _) in &order {
        let (jobs, own) = run.lists(table);
        let mut bar = options.progress.table(&source.name, &table.name, jobs.len());
        for job in jobs {
            let staged = staging.as_ref().and_then(|staging| staging.take(source, &job));
            let reads = if let Some(reads) = staged {
                reads
            } else {
                let reads = list(&mut database, &closings, &job, &options.clock, &own).await;
                if let Some(staging) = &staging {
                    staging.put(&job, &reads);
                }
                reads
            };
            let (rows, requests) =
                (reads.iter().map(|read| read.rows.len()).sum(), own.requests.load(Ordering::Relaxed));
            for read in reads {
                closings.note(&read);
                run.take(read)?;
            }
            bar.scope_done(rows, requests, None);
        }
        bar.finish(own.requests.load(Ordering::Relaxed));
    }
    database.end().await;
    let resumed = staging.as_ref().map_or(0, Staging::resumed);
    let outcome = run.finish(&order, began_at, began_at, &meter)?;
    Ok(SourceOutcome { resumed, ..outcome })
}

fn open<'a>(source: &'a SourceSettings, clock: &Clock) -> Result<Database<'a>, Error> {
    let session = Session::open(Target::new(source, clock)?);
    let session = session.map_err(|failure| Error::Unavailable { name: source.name.clone(), failure })?;
    Ok(Database::new(source, session))
}

/// The rows of a list.
async fn list<'a>(
    database: &mut Database<'a>,
    closings: &Closings,
    job: &Job<'a>,
    clock: &Clock,
    meter: &Meter,
) -> Vec<ScopeRead<'a>> {
    let source = database.source;
    let of = job.table.months_of.as_deref().and_then(|name| source.manifest.table(name));
    let pages = match of {
        Some(of) => database.months(of, closings, meter).await,
        None => database.pages(job, meter).await,
    };
    let is_counted = pages.failure.is_none() && pages.broken.is_none();
    let mut reads = Assembler { source, clock }.decode(job, pages);
    if let Some(read) = reads.first_mut()
        && read.status == CoverageStatus::EmptyUnverified
        && is_counted
        && job.cursor.is_some()
    {
        // Nothing new: the count of what is told so.
        read.status = CoverageStatus::Ok;
    }
    reads
}

impl Database<'_> {
    /// Connects, so that a database that cannot be reached is told once and not for each of its views.
    async fn connect(&mut self, meter: &Meter) -> Result<(), Failure> {
        self.call(meter, |live, _| live.ready()).await
    }

    async fn end(&mut self) {
        let ended = self.session.call(|live| {
            live.end();
            Ok(())
        });
        if let Err(trouble) = ended.await {
            tracing::debug!(failure = %trouble.failure, "the transaction did not end as it should");
        }
    }
}

/// Tries every table, and stores nothing.
pub(super) async fn check(source: &SourceSettings, clock: &Clock) -> Result<Vec<TableCheck>, Error> {
    let mut database = open(source, clock)?;
    let meter = Meter::default();
    database.connect(&meter).await.map_err(|failure| nothing(source, failure))?;
    let mut checks = Vec::new();
    for (table, _) in order(source, None)? {
        if table.months_of.is_some() {
            continue;
        }
        let job = Job { table, scope: Arc::from(""), parent: None, cursor: None, is_probe: true };
        let pages = database.pages(&job, &meter).await;
        let told = pages.total.filter(|_| pages.failure.is_none());
        let (failure, broken) = (pages.failure.clone(), pages.broken.clone());
        let mut reads = Assembler { source, clock }.decode(&job, pages);
        if reads.is_empty() {
            continue;
        }
        let read = reads.swap_remove(0);
        let mut status = read.status;
        let is_missing = failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::NotFound);
        if failure.is_none() && broken.is_none() && read.rejects.is_empty() {
            let is_empty = read.rows.is_empty();
            status = if is_empty { CoverageStatus::EmptyVerified } else { CoverageStatus::Ok };
        } else if is_missing && table.has_optional_views_only() {
            status = CoverageStatus::EmptyVerified;
        }
        let sample = read.rows.iter().flatten().next().map(|row| row.raw.as_str().to_owned());
        let bytes = sample.as_ref().map_or(0, String::len) as u64;
        let problem = failure.as_ref().map(ToString::to_string).or(broken);
        let problem =
            problem.or_else(|| read.rejects.first().map(|it| format!("a record could not be read: {}", it.reason)));
        // Nothing else is proposed for what is there and refused, or may be missing.
        let is_refused = failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Denied);
        let proposes = problem.is_some() && !is_refused && !status.is_complete();
        let proposal = if proposes { mapping::proposal(&mut database, table, &meter).await } else { None };
        let problem =
            problem.map(|problem| proposal.map_or(problem.clone(), |proposal| format!("{problem}\n{proposal}")));
        checks.push(TableCheck {
            table: table.name.clone(),
            status,
            sample,
            deletes: if table.may_hide { Deletes::Hidden } else { Deletes::Absent },
            size: told.map(|records| Size { records, bytes: records.saturating_mul(bytes) }),
            drift: read.seen.drift(&source.manifest, table, ReadMode::Full, &PreviousTables::default()),
            problem,
        });
    }
    database.end().await;
    Ok(checks)
}

/// What a run will send: two statements for a list, its rows and their count, and one for the months of a table.
pub(super) fn plan(
    source: &SourceSettings,
    tables: &[&Table],
    previous: &PreviousTables,
    clock: &Clock,
    is_first: bool,
) -> Plan {
    let policy = |mode| Policy::new(&source.manifest, previous, mode, clock.now());
    let (in_full, by_change) = (policy(ReadMode::Full), policy(ReadMode::Incremental));
    let table = |table: &&Table| {
        let known = previous.tables.get(&table.name);
        let rows = known.map(|known| known.rows.values().sum()).unwrap_or_default();
        let scopes: Vec<String> = match table.parent.first() {
            None => vec![String::new()],
            Some(parent) => previous.keys(parent).map(|(scope, key)| super::scope_of_children(scope, key)).collect(),
        };
        let statements = if table.months_of.is_some() || table.months.is_some() { 1 } else { 2 };
        let [full, incremental] = [&in_full, &by_change].map(|policy| {
            let read = scopes.iter().filter(|scope| policy.expected(table, scope) != Reading::Rests);
            read.count() as u64 * statements
        });
        TablePlan { table: table.name.clone(), lists: scopes.len() as u64, rows, full, incremental }
    };
    Plan {
        tables: tables.iter().map(table).collect(),
        requests_per_hour: None,
        requests_per_month: None,
        requests: 0,
        is_first,
    }
}
