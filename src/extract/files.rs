//! Sources that have no interface for us: bundles of exported sheets, in a folder or a bucket.
//!
//! A bundle is a snapshot: every table comes whole or not at all, and what is absent from a table that came is gone. Its
//! records pass through the same redaction, typing, keys and drift as those of any interface.
//!
//! | file | owns |
//! |---|---|
//! | `sheet` | how a manifest declares such tables |
//! | `bundle` | the bundle's own manifest, and that its files are what that says |
//! | `grid` | CSV, workbooks and Parquet as rows of cells |
//! | `header`, `values` | pure: which column is which, and what a cell says |
//! | `table`, `totals` | a file as records; rows of totals |
//!
//! Invariants: a table that is not in the bundle was not read, never empty; a file that is not whole is refused and loses
//! nothing; a bundle older than the last one read is refused.

mod bundle;
mod grid;
mod header;
mod sheet;
mod table;
mod totals;
mod values;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use tieout_json::Slice;

use super::assemble::Assembler;
use super::check::{Deletes, Size, TableCheck};
use super::failure::{Error, Failure, FailureKind};
use super::manifest::Table;
use super::meter::Meter;
use super::order::order;
use super::plan::{Plan, TablePlan};
use super::run::Run;
use super::scope::{Job, Pages, Received, ScopeRead};
use super::{PreviousTables, RunOptions, SourceOutcome, SourceSettings};
use crate::clock::Clock;
use crate::warehouse::rows::{CoverageStatus, ReadMode};

use bundle::Bundle;
pub(crate) use bundle::SETTING;
pub(crate) use sheet::problems;
pub use sheet::{Files, Sheet};
use table::{Lines, SheetReader};

/// What every table of a file manifest has: how values were written is no content, and an empty sheet that the bundle lists is empty.
pub(crate) fn fill_in(tables: &mut [Table]) {
    for table in tables {
        table.ignore.push(sheet::AS_WRITTEN.to_owned());
        table.empty = super::manifest::Empty::Verified;
    }
}

/// Reads a bundle. An error only where there is none that can be read; a file that cannot be is coverage of its table.
pub(super) async fn read(source: &SourceSettings, options: &RunOptions) -> Result<SourceOutcome, Error> {
    let began_at = options.clock.now();
    let order = order(source, options.tables.as_deref())?;
    let bundle = open(source, &options.clock, &options.previous).await?;
    let mut run = Run::new(source, options, &order);
    let meter = Meter::default();
    meter.requests.fetch_add(1, Ordering::Relaxed);
    for (table, _) in &order {
        let files = bundle.of_table(table).count();
        let mut bar = options.progress.table(&source.name, &table.name, files);
        let own = run.begin(table);
        let reads = reads(source, &bundle, table, &options.clock, &own).await;
        let (rows, requests) = (reads.iter().map(|read| read.rows.len()).sum(), own.requests.load(Ordering::Relaxed));
        for read in reads {
            run.take(read)?;
        }
        bar.scope_done(rows, requests, None);
        bar.finish(requests);
        // Whoever asked to stop is heard between two tables.
        tokio::task::yield_now().await;
    }
    let mut outcome = run.finish(&order, began_at, began_at, &meter)?;
    outcome.run.observed_at = bundle.as_of;
    Ok(outcome)
}

/// The source's bundle, if it is not older than the one that was read last.
async fn open(source: &SourceSettings, clock: &Clock, previous: &PreviousTables) -> Result<Bundle, Error> {
    let unavailable = |failure| Error::Unavailable { name: source.name.clone(), failure };
    if source.value(SETTING).is_none() {
        return Err(Error::Settings {
            name: source.name.clone(),
            problem: format!("`{SETTING}` is not set"),
            hint: format!("set it in [sources.{}] to the folder or bucket of the exports", source.name),
        });
    }
    let bundle = Bundle::open(source, clock).await.map_err(unavailable)?;
    let reads = previous.tables.values().flat_map(|table| table.reads.values());
    let last: Option<DateTime<Utc>> = reads.filter_map(|read| read.swept_at).max();
    if let Some(last) = last.filter(|last| bundle.as_of < *last) {
        let (as_of, last) = (bundle.as_of.to_rfc3339(), last.to_rfc3339());
        return Err(unavailable(Failure {
            field: None,
            kind: FailureKind::Other,
            request: format!("read {}", bundle.manifest_path()),
            what: format!("it is older than the last bundle that was read: as of {as_of}, and that one of {last}"),
            hint: Some("put a newer export there; what was read before stays as it is".to_owned()),
        }));
    }
    Ok(bundle)
}

/// The rows of a table, from all its files.
async fn reads<'a>(
    source: &'a SourceSettings,
    bundle: &Bundle,
    table: &'a Table,
    clock: &Clock,
    meter: &Meter,
) -> Vec<ScopeRead<'a>> {
    let hidden = table.sensitive.keys().chain(source.rules.redact.iter().map(|(path, _)| path)).cloned().collect();
    let headers_min = source.manifest.files.headers_min;
    let reader = SheetReader { bundle, table, headers_min, hidden };
    let mut pages = Pages { oldest: Some(bundle.as_of), ..Pages::default() };
    let (mut lines, mut unfit, mut told, mut is_counted) = (Lines::new(), None, 0, true);
    let mut is_listed = false;
    for file in bundle.of_table(table) {
        is_listed = true;
        meter.requests.fetch_add(1, Ordering::Relaxed);
        let read = bundle.read(file).await.and_then(|bytes| {
            meter.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            // All files of a table are one list: of two records with one key in two files neither is the newer one.
            let mut take = |record: String| {
                pages.records.push(Received { record: Slice::from(record), page: 1, at: bundle.as_of });
            };
            reader.read(file, bytes, &mut lines, &mut take)
        });
        match read {
            Ok(read) => {
                pages.count += 1;
                pages.broken = pages.broken.or(read.broken.map(|why| format!("{}: {why}", bundle.shown(file))));
                told += file.rows.unwrap_or_default();
                is_counted &= file.rows.is_some();
                unfit = unfit.or(read.unfit.map(|(what, count)| (bundle.shown(file), what, count)));
            }
            Err(failure) => pages.failure = pages.failure.or(Some(failure)),
        }
    }
    if let Some((one, other)) = bundle.twice(table) {
        pages.failure = pages.failure.or(Some(Failure {
            field: None,
            kind: FailureKind::Other,
            request: format!("read {}", bundle.manifest_path()),
            what: format!("`{one}` and `{other}` are the same file: {} would have its records twice", table.name),
            hint: Some("leave one of them out".to_owned()),
        }));
    }
    if let Some(entity) = bundle.misspelt(&source.manifest, table).filter(|_| is_listed) {
        pages.broken = pages.broken.or(Some(format!(
            "{}: it also has a file of `{entity}`, which no table is called: is that one of {}?\nhint: write the table's name as \
             its \"entity\", or take it out of the manifest",
            bundle.manifest_path(),
            table.name
        )));
    }
    if let Some(part) = bundle.lacking_part(table).filter(|_| is_listed && pages.failure.is_none()) {
        pages.failure = Some(Failure {
            field: None,
            kind: FailureKind::Other,
            request: format!("read {}", bundle.manifest_path()),
            what: format!("{} is in several parts, and the bundle has no file of {part}", table.name),
            hint: Some("export it too; one without records has its headers and \"rows\": 0".to_owned()),
        });
    }
    if !is_listed {
        pages.failure = Some(not_exported(source, bundle, table));
    }
    let count = pages.records.len() as u64;
    if is_listed && is_counted && pages.failure.is_none() && told != count {
        pages.broken = pages.broken.or(Some(format!(
            "{} says that it has {told} records, and {count} are in its files\nhint: export it again; \"rows\" counts records, without \
             headers and totals",
            bundle.manifest_path()
        )));
    }
    pages.total = (is_counted && pages.failure.is_none()).then_some(told);
    let is_empty = pages.total == Some(0) && pages.records.is_empty() && pages.broken.is_none();
    let job = Job { table, scope: Arc::from(""), parent: None, cursor: None, is_probe: false };
    let mut reads = Assembler { source, clock }.decode(&job, pages);
    if let Some(read) = reads.first_mut() {
        if is_empty {
            // The manifest says that there is none.
            read.status = CoverageStatus::EmptyVerified;
        }
        if let Some(error) = read.error.as_mut().filter(|error| unfit.is_none() && !error.contains(&bundle.place())) {
            let (first, hint) = error.split_once("\nhint: ").unwrap_or((error, "meta.rejects has each"));
            let files = bundle.of_table(table).map(|file| bundle.shown(file)).collect::<Vec<_>>().join(", ");
            *error = format!(
                "{first}; read from {files}\nhint: {hint}; correct the list where it is kept, and export it again"
            );
        }
        if let (Some((path, what, count)), Some(error)) = (unfit, read.error.as_mut()) {
            let first = error.split("\nhint:").next().unwrap_or_default();
            let example = if bundle.forms.decimal == ',' { "1.234,56" } else { "1,234.56" };
            *error = format!(
                "{first}; in {path} {count} values are not of their column's form, the first {what}\nhint: amounts are read as \
                 {example} and days as the manifest's `dates` says: export them so, or set `decimal` or `dates` in {}; \
                 meta.rejects has each value",
                bundle.manifest_path()
            );
        }
    }
    reads
}

/// Why a table is not in a bundle.
fn not_exported(source: &SourceSettings, bundle: &Bundle, table: &Table) -> Failure {
    let hint = match &table.needs {
        Some(setting) => format!(
            "export it too; if the firm does not keep it, write `{setting} = \"\"` in [sources.{}]: checks then say so",
            source.name
        ),
        None => format!(
            "export it too; if the firm does not have it, add `{}` to `absent` of [sources.{}]",
            table.name, source.name
        ),
    };
    Failure {
        field: None,
        kind: FailureKind::NotFound,
        request: format!("read {}", bundle.manifest_path()),
        what: bundle.lacks(&source.manifest, table),
        hint: Some(hint),
    }
}

/// Tries every table, and stores nothing.
pub(super) async fn check(source: &SourceSettings, clock: &Clock) -> Result<Vec<TableCheck>, Error> {
    let bundle = open(source, clock, &PreviousTables::default()).await?;
    let meter = Meter::default();
    let mut checks = Vec::new();
    for (table, _) in order(source, None)? {
        for read in reads(source, &bundle, table, clock, &meter).await {
            let rows = read.rows.iter().flatten();
            let bytes: usize = rows.map(|row| row.raw.as_str().len()).sum();
            let is_read = read.failure.is_none();
            let size = Size { records: read.rows.len() as u64, bytes: bytes as u64 };
            let sample = read.rows.iter().flatten().next().map(|row| row.raw.as_str().to_owned());
            let drift = read.seen.drift(&source.manifest, table, ReadMode::Full, &PreviousTables::default());
            // An empty sheet that the bundle lists is empty.
            let status = match read.status {
                CoverageStatus::EmptyUnverified => CoverageStatus::EmptyVerified,
                status => status,
            };
            checks.push(TableCheck {
                table: table.name.clone(),
                status,
                sample,
                deletes: Deletes::Absent,
                size: is_read.then_some(size),
                drift,
                problem: read.error,
            });
        }
    }
    Ok(checks)
}

/// What a run will read: the files of each table, and the manifest.
pub(super) async fn plan(
    source: &SourceSettings,
    tables: &[&Table],
    previous: &PreviousTables,
    clock: &Clock,
    is_first: bool,
) -> Result<Plan, Error> {
    let bundle = open(source, clock, previous).await?;
    let table = |table: &&Table| {
        let files = bundle.of_table(table).count() as u64;
        let rows = previous.tables.get(&table.name).map(|known| known.rows.values().sum()).unwrap_or_default();
        TablePlan { table: table.name.clone(), lists: files, rows, full: files, incremental: files }
    };
    Ok(Plan {
        tables: tables.iter().map(table).collect(),
        requests_per_hour: None,
        requests_per_month: None,
        requests: 1,
        is_first,
    })
}
