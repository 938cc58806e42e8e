//! Tables that are read month by month: which months there are, how many rows each has, and whether it is closed.
//!
//! Every run counts the months of such a table with one statement: a row of a month that nobody expected is not overlooked. A
//! closed month whose count and sums are what they were may rest.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Months as Span, NaiveDate, Utc};
use serde_json::{Value as Json, json};
use tieout_json::{Cell, Slice};

use super::declared::NO_MONTH;
use super::read::{Database, View};
use super::select::Select;
use crate::extract::SourceSettings;
use crate::extract::decode::cell_of;
use crate::extract::failure::{Failure, FailureKind};
use crate::extract::manifest::{Manifest, Months, Table};
use crate::extract::meter::Meter;
use crate::extract::scope::{Job, Pages, ParentRow, Received, ScopeRead};

/// Up to which day the tables that say so are closed, as `table.column`.
#[derive(Debug, Default)]
pub(super) struct Closings {
    wanted: BTreeSet<String>,
    /// None where a record has no such day.
    found: BTreeMap<String, Option<NaiveDate>>,
}

impl Closings {
    pub(super) fn new(manifest: &Manifest) -> Self {
        let months = manifest.tables.iter().filter_map(|table| table.months.as_ref());
        let wanted = months.filter_map(|months| months.closed_through.clone()).collect();
        Self { wanted, found: BTreeMap::new() }
    }

    /// Takes note of what a table says.
    pub(super) fn note(&mut self, read: &ScopeRead<'_>) {
        for name in &self.wanted {
            let Some((table, column)) = name.split_once('.').filter(|(table, _)| *table == read.table.name) else {
                continue;
            };
            debug_assert_eq!(table, read.table.name);
            let day = |row: &crate::extract::decode::Row| match cell_of(read.table, &row.cells, column) {
                Some(Cell::Date(days)) => NaiveDate::from_epoch_days(*days),
                _ => None,
            };
            // What could not be read closes nothing.
            let is_whole = read.failure.is_none() && read.rejects.is_empty();
            let days: Option<Vec<NaiveDate>> = read.rows.iter().map(|row| day(row.ok()?.as_ref())).collect();
            let earliest = days.filter(|_| is_whole).and_then(|days| days.into_iter().min());
            self.found.insert(name.clone(), earliest);
        }
    }

    fn is_closed(&self, months: &Months, first: NaiveDate, now: DateTime<Utc>) -> bool {
        if let Some(through) = &months.closed_through {
            return self.found.get(through).copied().flatten().is_some_and(|day| first <= day);
        }
        let Some(after) = months.closed_after else { return false };
        let this_month = now.date_naive().with_day(1);
        let last = this_month.and_then(|day| day.checked_sub_months(Span::new(after)));
        let next = first.checked_add_months(Span::new(1));
        last.zip(next).is_some_and(|(last, next)| next <= last)
    }
}

/// The first day of a month row and that of the next; none of rows without a month.
pub(super) fn span(source: &SourceSettings, parent: &ParentRow) -> Option<(NaiveDate, NaiveDate)> {
    let declared = source.manifest.table(&parent.table)?;
    let Some(Cell::Date(days)) = cell_of(declared, &parent.cells, "first_day") else { return None };
    let first = NaiveDate::from_epoch_days(*days)?;
    Some((first, first.checked_add_months(Span::new(1))?))
}

/// How many rows the month of a list was counted to have.
pub(super) fn rows_told(source: &SourceSettings, job: &Job<'_>) -> Option<u64> {
    job.table.months.as_ref()?;
    let parent = job.parent.as_ref()?;
    let declared = source.manifest.table(&parent.table)?;
    match cell_of(declared, &parent.cells, "row_count") {
        Some(Cell::Int64(rows)) => u64::try_from(*rows).ok(),
        _ => None,
    }
}

/// What the months of a table come to, over all its views.
type Counted = BTreeMap<Option<NaiveDate>, (i64, Vec<Option<String>>)>;

impl Database<'_> {
    /// The months of a table as records.
    pub(super) async fn months(&mut self, of: &Table, closings: &Closings, meter: &Meter) -> Pages {
        let clock = self.target().clock.clone();
        let now = clock.now();
        let mut pages = Pages { oldest: Some(now), ..Pages::default() };
        match self.counted(of, meter).await {
            Err(failure) => pages.failure = Some(failure),
            Ok(counted) => {
                let Some(months) = &of.months else { return pages };
                pages.count = 1;
                pages.total = Some(counted.len() as u64);
                for (first, (rows, sums)) in counted {
                    let is_closed = first.is_some_and(|first| closings.is_closed(months, first, now));
                    let month = first.map_or_else(|| NO_MONTH.to_owned(), |first| first.format("%Y-%m").to_string());
                    let first_day = first.map_or(Json::Null, |first| Json::from(first.to_string()));
                    let record = json!({
                        "month": month, "first_day": first_day, "row_count": rows, "is_closed": is_closed, "sums": sums,
                    });
                    pages.records.push(Received { record: Slice::from(record.to_string()), page: 1, at: now });
                }
            }
        }
        pages
    }

    async fn counted(&mut self, of: &Table, meter: &Meter) -> Result<Counted, Failure> {
        let mut counted = Counted::new();
        let Some(months) = &of.months else { return Ok(counted) };
        let job = Job { table: of, scope: "".into(), parent: None, cursor: None, is_probe: false };
        let views = self.views_of(of, meter).await?;
        for (place, (_, view)) in views.iter().enumerate() {
            let request = format!("count the months of {}", view.name);
            let named = |wanted: &String| self.column(of, view, wanted, &request);
            let column = named(&months.column)?;
            let sums = months.sums.iter().map(named).collect::<Result<Vec<String>, Failure>>()?;
            let select = Select {
                dialect: self.target().dialect,
                schema: self.target().schema.clone(),
                view: view.name.clone(),
                columns: Vec::new(),
                conditions: self.conditions(&job, view)?,
                order: Vec::new(),
                is_numbered: false,
                first: None,
            };
            let statement = select.months(&column, &sums);
            let asked = request.clone();
            let rows = self.call(meter, move |live, _| live.texts(&asked, &statement)).await?;
            for row in rows {
                let number = |place: usize| -> Option<i64> {
                    let text = row.get(place)?.as_deref()?;
                    text.split('.').next()?.parse().ok()
                };
                let first = number(0).zip(number(1)).and_then(|(year, month)| {
                    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, u32::try_from(month).ok()?, 1)
                });
                let Some(count) = number(2) else {
                    let what = "the count of a month is no number".to_owned();
                    return Err(self.target().failure(&request, FailureKind::Other, what, None));
                };
                let month = counted.entry(first).or_insert_with(|| (0, Vec::new()));
                month.0 += count;
                // A view without rows in the month has no sums of it.
                month.1.resize(place * sums.len(), None);
                month.1.extend(row.into_iter().skip(3));
            }
        }
        Ok(counted)
    }

    /// The database's name of a column that must be there.
    fn column(&self, table: &Table, view: &View, wanted: &str, request: &str) -> Result<String, Failure> {
        let wanted = table.renamed.get(wanted).map_or(wanted, String::as_str);
        let names = view.columns.iter().map(|column| column.name.as_str());
        match super::names::find(wanted, names) {
            super::names::Found::One(name) => Ok(name.to_owned()),
            _ => Err(self.target().failure(
                request,
                FailureKind::Refused,
                format!("it has no column `{wanted}`"),
                Some(format!(
                    "in the mapping file of [sources.{}], under [{}.columns], name the column that is `{wanted}` here",
                    self.source.name, table.name
                )),
            )),
        }
    }
}
