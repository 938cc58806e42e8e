//! What the commands about the past stand on: the settings, an existing warehouse, its chain. No engine, nothing created.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use clap::ValueEnum;

use super::{Failure, Global};
use crate::config::Config;
use crate::warehouse::commit::{Commit, Head, SourceRun, WaiverAction};
use crate::warehouse::rows::SYSTEM_SOURCE;
use crate::warehouse::{AsOf, Error as WarehouseError, Warehouse};

/// The first day of a month that a person wrote; `doing` is what an error begins with.
pub(super) fn first_of_month(words: &str, doing: &str) -> Result<NaiveDate, Failure> {
    NaiveDate::parse_from_str(&format!("{}-01", words.trim()), "%Y-%m-%d")
        .with_context(|| format!("{doing}: not a month\nhint: for example 2026-10"))
        .map_err(Failure::usage)
}

/// Of a month that no commit is of, with what to try.
pub(super) const NO_SUCH_MONTH: &str =
    "months begin with that of the first commit and end with that of the newest\nhint: `tieout log` lists the commits";

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// RFC 4180 with a header line.
    Csv,
    /// An array of objects.
    Json,
}

/// A chain of commits, as it stood when the command began.
pub(super) struct Chain {
    pub(super) warehouse: Warehouse,
    pub(super) head: Arc<Head>,
    /// The firm's zone: days end in it, and people read moments in it.
    pub(super) zone: Tz,
}

impl Chain {
    /// Opens the warehouse that the settings name; a warehouse that does not exist is an error.
    pub(super) async fn open(global: &Global) -> Result<Self, Failure> {
        let config = Config::load(&global.config).map_err(Failure::usage)?;
        let url = global.warehouse.clone().unwrap_or_else(|| config.warehouse_url());
        let zone = config.firm.timezone.parse().map_err(|error| Failure::usage(anyhow!("{error}")))?;
        let warehouse = Warehouse::open(&url).await.map_err(Failure::warehouse)?;
        let head = warehouse.head().await.map_err(Failure::warehouse)?;
        Ok(Self { warehouse, head, zone })
    }

    /// The commit that a person's words mean: `42`, `commit:42`, a day, a moment, a pin, `latest`.
    pub(super) fn commit(&self, words: &str) -> Result<Arc<Commit>, Failure> {
        let as_of = AsOf::parse(words, self.zone).map_err(Failure::usage)?;
        self.head.at(&as_of).map_err(moment_failure)
    }

    /// A moment for people, in the firm's zone.
    pub(super) fn moment(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// What people call commits: pins, and months that are closed.
    pub(super) fn names(&self) -> BTreeMap<u64, Vec<String>> {
        let mut names: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (_, pin) in self.head.pins(self.head.number()) {
            names.entry(pin.commit).or_default().push(pin.name.clone());
        }
        for month in self.head.months(self.head.number(), self.zone).iter().filter(|month| month.is_closed) {
            if let Some(commit) = month.commit {
                names.entry(commit).or_default().push(month.month.format("%Y-%m").to_string());
            }
        }
        names
    }
}

/// A moment that means nothing is the person's mistake, anything else the warehouse's.
pub(super) fn moment_failure(error: WarehouseError) -> Failure {
    match error {
        WarehouseError::Moment(_) | WarehouseError::AsOf { .. } | WarehouseError::UnknownCommit { .. } => {
            Failure::usage(error)
        }
        other => Failure::warehouse(other),
    }
}

/// Records of sources that a commit inserted, updated, deleted.
pub(super) fn counts(commit: &Commit) -> (u64, u64, u64) {
    let tables = commit.tables.iter().filter(|table| table.source != SYSTEM_SOURCE);
    tables.fold((0, 0, 0), |(inserted, updated, deleted), table| {
        (inserted + table.inserted, updated + table.updated, deleted + table.deleted)
    })
}

/// What a commit is about, beside its rows.
pub(super) fn subject(commit: &Commit) -> String {
    if let Some(pin) = &commit.pin {
        let end = pin.period_end.map(|end| format!(", period end {end}")).unwrap_or_default();
        return format!("{} names commit {}{end}", pin.name, pin.commit);
    }
    if let Some(signoff) = &commit.signoff {
        let month = signoff.month.format("%Y-%m");
        return format!("{month} signed off by {} on commit {}", signoff.by, signoff.commit);
    }
    if let Some(waiver) = &commit.waiver {
        let by = if waiver.by.is_empty() { String::new() } else { format!(" by {}", waiver.by) };
        let until = waiver.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let verb = if waiver.action == WaiverAction::Waive { "waived" } else { "waived no more" };
        return format!("{} {verb}{by}{until}", waiver.exception_key);
    }
    commit.runs.iter().map(|run| run.source.as_str()).collect::<Vec<_>>().join(", ")
}

/// Tables of a commit's runs as `source.table`: those not read to their end, and those that answered less than completely.
pub(super) fn incomplete(commit: &Commit) -> (Vec<String>, Vec<String>) {
    let named = |pick: fn(&SourceRun) -> &[String]| {
        let tables = |run| pick(run).iter().map(move |table: &String| format!("{}.{table}", run.source));
        commit.runs.iter().flat_map(tables).collect::<BTreeSet<_>>()
    };
    let mut unread = named(SourceRun::unread);
    let held = commit.tables.iter().filter(|table| table.held_back.is_some());
    unread.extend(held.map(|table| format!("{}.{}", table.source, table.table)));
    let answered = named(|run| run.incomplete_tables.as_slice()).difference(&unread).cloned().collect();
    (unread.into_iter().collect(), answered)
}

/// The named columns of some batches as text, row by row; null and a column that is not there are empty.
pub(super) fn cells<const N: usize>(batches: &[RecordBatch], names: [&str; N]) -> anyhow::Result<Vec<[String; N]>> {
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in batches {
        let mut columns = Vec::new();
        for name in names {
            let column = batch.column_by_name(name);
            let shown = column.map(|column| ArrayFormatter::try_new(column.as_ref(), &options)).transpose()?;
            columns.push((column, shown));
        }
        for row in 0..batch.num_rows() {
            let mut values = columns.iter().map(|(column, shown)| match (column, shown) {
                (Some(column), Some(shown)) if column.is_valid(row) => shown.value(row).to_string(),
                _ => String::new(),
            });
            rows.push(std::array::from_fn(|_| values.next().unwrap_or_default()));
        }
    }
    Ok(rows)
}

/// A value as a field of a CSV line.
pub(super) fn csv_field(value: &str) -> String {
    let is_plain = !value.contains(['"', ',', '\n', '\r']);
    if is_plain { value.to_owned() } else { format!("\"{}\"", value.replace('"', "\"\"")) }
}

/// A line of CSV.
pub(super) fn csv_line<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().map(csv_field).collect::<Vec<_>>().join(",")
}
