//! One list of a table, from its views to records: counted before, read to its end, counted again where that does not agree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};
use tieout_json::{Cell, Slice};

use super::connect::Target;
use super::declared::{ROW_NUMBER, SOURCE_VIEW};
use super::names::{Found, find, folded};
use super::select::{Condition, Select, Token, Value, describe, full_name, tokens};
use super::session::{Live, Session, SourceColumn};
use super::trouble::{Remedy, Trouble};
use super::values::{Kind, Layout, kind};
use crate::extract::SourceSettings;
use crate::extract::decode::cell_of;
use crate::extract::failure::{Failure, FailureKind};
use crate::extract::long_list::LongList;
use crate::extract::manifest::{Column, ColumnFrom, ColumnKind, Table};
use crate::extract::meter::Meter;
use crate::extract::scope::{Job, Pages, Received};
use crate::warehouse::rows::ColumnType;

/// Letters of a text that room is made for at first; a list with a longer one is read again with more room.
const TEXT_LETTERS: usize = 2_000;

/// No text is longer.
const TEXT_LETTERS_MAX: usize = 16 << 20;

/// How often a list is read whose count does not agree with what came.
const READS_MAX: usize = 3;

/// Waits between tries, in seconds: each twice the one before, up to this.
const WAIT_SECONDS_MAX: u64 = 60;

/// A view as the database has it.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The database's name.
    pub name: String,
    pub columns: Vec<SourceColumn>,
}

/// A source's database in a run.
#[derive(Debug)]
pub(super) struct Database<'a> {
    pub source: &'a SourceSettings,
    pub session: Session,
    /// Views by their declared names.
    views: BTreeMap<String, Result<View, Failure>>,
    /// The names of all views and tables of the schema, once somebody asked.
    names: Option<Vec<String>>,
    /// When the first statement was sent.
    pub began_at: Option<DateTime<Utc>>,
}

/// What is asked of one view for one list.
#[derive(Clone, Debug)]
struct Ask {
    request: String,
    select: Select,
    layout: Layout,
    /// Rows that it is known to have.
    expected: Option<u64>,
}

/// How a table is found in a view.
#[derive(Debug)]
pub(super) struct Fit {
    /// Fields of the records, with their columns.
    pub fields: Vec<(String, String, Kind)>,
    /// Columns, as ours and as theirs, that the view lacks.
    pub lacking: Vec<(String, String)>,
}

impl Fit {
    /// How a table's columns are found in a view.
    pub(super) fn new(table: &Table, view: &View) -> Self {
        let mut fit = Self { fields: Vec::new(), lacking: Vec::new() };
        for (name, column) in &table.columns {
            let ColumnFrom::Path(path) = &column.from else { continue };
            if path == SOURCE_VIEW || path == ROW_NUMBER {
                continue;
            }
            let wanted = table.renamed.get(path).unwrap_or(path);
            let found = find_column(wanted, view).and_then(|it| Some((it, kind(it.kind)?)));
            let is_moment = column.kind == ColumnKind::Plain(ColumnType::Timestamp);
            match found {
                Some((found, Kind::Local)) if is_moment => {
                    fit.fields.push((path.clone(), found.name.clone(), Kind::Moment));
                }
                Some((found, kind)) => fit.fields.push((path.clone(), found.name.clone(), kind)),
                None => fit.lacking.push((name.clone(), wanted.clone())),
            }
        }
        fit
    }
}

fn find_column<'v>(wanted: &str, view: &'v View) -> Option<&'v SourceColumn> {
    let Found::One(name) = find(wanted, view.columns.iter().map(|column| column.name.as_str())) else { return None };
    view.columns.iter().find(|column| column.name == name)
}

impl<'a> Database<'a> {
    pub(super) fn new(source: &'a SourceSettings, session: Session) -> Self {
        Self { source, session, views: BTreeMap::new(), names: None, began_at: None }
    }

    pub(super) fn target(&self) -> &Target {
        self.session.target()
    }

    /// Calls the database until it answers, as often as is declared.
    pub(super) async fn call<T: Send + 'static>(
        &mut self,
        meter: &Meter,
        what: impl Fn(&mut Live, usize) -> Result<T, Trouble> + Clone + Send + 'static,
    ) -> Result<T, Failure> {
        let (attempts, clock) = (self.target().attempts, self.target().clock.clone());
        self.began_at.get_or_insert_with(|| clock.now());
        let (mut attempt, mut letters) = (1, TEXT_LETTERS);
        loop {
            let call = what.clone();
            let began = Instant::now();
            let outcome = self.session.call(move |live| {
                let outcome = call(live, letters);
                if let Err(trouble) = &outcome {
                    live.mend(trouble.remedy);
                }
                outcome
            });
            let outcome = outcome.await;
            meter.requests.fetch_add(1, Ordering::Relaxed);
            meter.took(began.elapsed());
            let trouble = match outcome {
                Ok(found) => return Ok(found),
                Err(trouble) => trouble,
            };
            match trouble.remedy {
                Remedy::Person => return Err(trouble.failure),
                Remedy::Wider if letters >= TEXT_LETTERS_MAX => return Err(trouble.failure),
                Remedy::Wider => letters = (letters * 16).min(TEXT_LETTERS_MAX),
                Remedy::Again | Remedy::Reconnect | Remedy::Committed if attempt >= attempts => {
                    let mut failure = trouble.failure;
                    failure.what = format!("{}, each of the {attempts} times it was tried", failure.what);
                    return Err(failure);
                }
                Remedy::Again | Remedy::Reconnect | Remedy::Committed => {
                    let wait = Duration::from_secs((1 << attempt.min(10)).min(WAIT_SECONDS_MAX));
                    tracing::info!(source = self.source.name, failure = %trouble.failure, "tried again");
                    attempt += 1;
                    meter.waited(wait);
                    clock.sleep(wait).await;
                }
            }
            meter.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A view as the database has it, by its declared name.
    pub(super) async fn view(&mut self, declared: &str, meter: &Meter) -> Result<View, Failure> {
        if let Some(known) = self.views.get(declared) {
            return known.clone();
        }
        let mut found = self.describe(declared, meter).await;
        if let Err(failure) = &found
            && failure.kind == FailureKind::NotFound
            && let Ok(names) = self.names(meter).await
            && let Found::One(other) = find(declared, names.iter().map(String::as_str))
            && other != declared
        {
            let other = other.to_owned();
            found = self.describe(&other, meter).await;
        }
        self.views.insert(declared.to_owned(), found.clone());
        found
    }

    async fn describe(&mut self, name: &str, meter: &Meter) -> Result<View, Failure> {
        let target = self.target();
        let statement = describe(target.dialect, target.schema.as_deref(), name);
        let request = format!("look at {}", full_name(target.dialect, target.schema.as_deref(), name));
        let columns = self.call(meter, move |live, _| live.describe(&request, &statement)).await?;
        Ok(View { name: name.to_owned(), columns })
    }

    /// The names of the schema's views and tables that the login may see.
    pub(super) async fn names(&mut self, meter: &Meter) -> Result<Vec<String>, Failure> {
        if let Some(names) = &self.names {
            return Ok(names.clone());
        }
        // In upper case, for databases in which case counts: the standard's own names.
        let mut statement = super::select::Statement::plain("select TABLE_NAME from INFORMATION_SCHEMA.TABLES");
        if let Some(schema) = self.target().schema.clone() {
            statement.sql.push_str(" where TABLE_SCHEMA = ?");
            statement.values.push(Value::Text(schema));
        }
        let rows = self.call(meter, move |live, _| live.texts("list the views", &statement)).await?;
        let mut names: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
        names.sort_unstable();
        self.names = Some(names.clone());
        Ok(names)
    }

    /// The views of a table that this database has, by their declared names. An optional one may be missing.
    pub(super) async fn views_of(&mut self, table: &Table, meter: &Meter) -> Result<Vec<(String, View)>, Failure> {
        let mut views = Vec::new();
        let mut lacking = None;
        for declared in &table.view {
            match self.view(declared, meter).await {
                Ok(view) => views.push((declared.clone(), view)),
                Err(failure) if failure.kind == FailureKind::NotFound && table.optional_views.contains(declared) => {
                    lacking = Some(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        if table.view.is_empty() {
            let hint = format!(
                "name it in the mapping file of [sources.{0}] (`tieout check` proposes one), or add `{1}` to `absent` of [sources.{0}]",
                self.source.name, table.name
            );
            let what = format!("the view that {} are in has no name that all installations share", table.name);
            let request = format!("read {}", table.name);
            return Err(self.target().failure(&request, FailureKind::NotFound, what, Some(hint)));
        }
        match lacking {
            Some(failure) if views.is_empty() => Err(failure),
            _ => Ok(views),
        }
    }

    /// The conditions of a table as they hold for a list.
    pub(super) fn conditions(&self, job: &Job<'_>, view: &View) -> Result<Vec<Condition>, Failure> {
        let dialect = self.target().dialect;
        let name = |wanted: &str| {
            let wanted = job.table.renamed.get(wanted).map_or(wanted, String::as_str);
            find_column(wanted, view).map_or_else(|| wanted.to_owned(), |column| column.name.clone())
        };
        let value = |token: Token<'_>| match token {
            Token::Setting(name) => self.source.value(name).map(|text| Value::Text(text.to_owned())),
            Token::Column(_, column) => {
                let parent = job.parent.as_ref()?;
                let declared = self.source.manifest.table(&parent.table)?;
                match cell_of(declared, &parent.cells, column)? {
                    Cell::Int64(number) => Some(Value::Integer(*number)),
                    Cell::Date(days) => NaiveDate::from_epoch_days(*days).map(Value::Day),
                    cell => cell.text().map(Value::Text),
                }
            }
            Token::Text(_) | Token::Name(_) => None,
        };
        // What a view lacks by leave, nobody can ask it for.
        let is_optional = |wanted: &str| {
            job.table.optional.iter().any(|ours| match job.table.column(ours).map(|column| &column.from) {
                Some(ColumnFrom::Path(path)) => folded(path) == folded(wanted),
                _ => false,
            })
        };
        let is_lacking = |wanted: &str| {
            let named = job.table.renamed.get(wanted).map_or(wanted, String::as_str);
            find_column(named, view).is_none() && is_optional(wanted)
        };
        let can_be_asked = |condition: &&String| {
            let named = tokens(condition).unwrap_or_default();
            !named.into_iter().any(|token| matches!(token, Token::Name(wanted) if is_lacking(wanted)))
        };
        let conditions = job.table.conditions.iter().filter(can_be_asked);
        let filled = conditions.map(|condition| Condition::filled(condition, dialect, &name, &value));
        let mut conditions: Vec<Condition> = filled
            .collect::<Result<Vec<_>, String>>()
            .map_err(|problem| {
                self.target().failure(&format!("read {}", job.table.name), FailureKind::Other, problem, None)
            })?
            .into_iter()
            .flatten()
            .collect();
        if let Some(months) = &job.table.months
            && let Some(parent) = &job.parent
        {
            conditions.push(Condition::in_month(
                &dialect.quoted(&name(&months.column)),
                super::months::span(self.source, parent),
            ));
        }
        if let (Some(after), Some(last)) = (&job.table.after, job.cursor.and_then(|cursor| cursor.parse().ok())) {
            let path = match job.table.column(after).map(|column| &column.from) {
                Some(ColumnFrom::Path(path)) => path.as_str(),
                _ => after.as_str(),
            };
            conditions.push(Condition::after(&dialect.quoted(&name(path)), last));
        }
        Ok(conditions)
    }

    /// The select of a table's rows in one of its views.
    pub(super) fn select(&self, job: &Job<'_>, view: &View, fit: &Fit) -> Result<Select, Failure> {
        let order = job.table.key.iter().filter_map(|key| match &job.table.column(key)?.from {
            ColumnFrom::Path(path) => {
                fit.fields.iter().find(|(field, ..)| field == path).map(|(_, column, _)| column.clone())
            }
            ColumnFrom::Parent(_) | ColumnFrom::Position => None,
        });
        let is_numbered = |(_, column): &(String, Column)| column.from == ColumnFrom::Path(ROW_NUMBER.to_owned());
        Ok(Select {
            is_numbered: job.table.columns.iter().any(is_numbered),
            dialect: self.target().dialect,
            schema: self.target().schema.clone(),
            view: view.name.clone(),
            columns: fit.fields.iter().map(|(_, column, _)| column.clone()).collect(),
            conditions: self.conditions(job, view)?,
            order: order.collect(),
            first: job.is_probe.then_some(1),
        })
    }

    /// The records of a list.
    pub(super) async fn pages(&mut self, job: &Job<'_>, meter: &Meter) -> Pages {
        match self.read(job, meter).await {
            Ok(pages) => pages,
            Err(failure) => {
                Pages { failure: Some(failure), oldest: Some(self.target().clock.now()), ..Pages::default() }
            }
        }
    }

    async fn read(&mut self, job: &Job<'_>, meter: &Meter) -> Result<Pages, Failure> {
        let table = job.table;
        let mut asks = Vec::new();
        let mut lacking = Vec::new();
        let views = self.views_of(table, meter).await?;
        let known = if views.len() == 1 { super::months::rows_told(self.source, job) } else { None };
        for (declared, view) in &views {
            let full = full_name(self.target().dialect, self.target().schema.as_deref(), &view.name);
            let fit = Fit::new(table, view);
            let request = format!("read {full}");
            let hint = |wanted: &str| {
                format!(
                    "in the mapping file of [sources.{}], under [{}.columns], name the column that is `{wanted}` here; `tieout check` \
                     proposes one",
                    self.source.name, table.name
                )
            };
            if let Some((ours, wanted)) = fit.lacking.iter().find(|(ours, _)| table.key.contains(ours)) {
                let what = format!("it has no column `{wanted}` that could be read, which is `{ours}` of the key");
                return Err(self.target().failure(&request, FailureKind::Refused, what, Some(hint(wanted))));
            }
            if let Some((ours, wanted)) = fit.lacking.iter().find(|(ours, _)| !table.optional.contains(ours)) {
                lacking.push(format!(
                    "{full} has no column `{wanted}` that could be read: `{ours}` is null\nhint: {}",
                    hint(wanted)
                ));
            }
            let select = self.select(job, view, &fit)?;
            let number = select.is_numbered.then(|| (ROW_NUMBER.to_owned(), Kind::Integer));
            let fields = fit.fields.into_iter().map(|(field, _, kind)| (field, kind)).chain(number).collect();
            let tells_view = table.columns.iter().any(|(_, it)| it.from == ColumnFrom::Path(SOURCE_VIEW.to_owned()));
            let fixed = [(SOURCE_VIEW, declared.as_str())];
            let layout = Layout::new(fields, if tells_view { &fixed } else { &[] }, self.target().time_zone);
            asks.push(Ask { request, select, layout, expected: known });
        }
        let clock = self.target().clock.clone();
        let began_at = clock.now();
        let snapshot_at = self.began_at.unwrap_or(began_at);
        let asked = Arc::new(asks);
        let read = self.call(meter, move |live, letters| {
            let at = if live.is_snapshot() { snapshot_at } else { began_at };
            read_all(live, &asked, letters, at)
        });
        let mut pages = read.await?;
        meter.bytes.fetch_add(std::mem::take(&mut pages.bytes), Ordering::Relaxed);
        let mut pages = pages.pages;
        pages.broken = pages.broken.or_else(|| lacking.into_iter().next());
        Ok(pages)
    }
}

/// What was read, and how much that is.
struct Read {
    pages: Pages,
    bytes: u64,
}

/// Reads all views of a list, each until its count agrees with what came.
fn read_all(live: &mut Live, asks: &[Ask], letters: usize, at: DateTime<Utc>) -> Result<Read, Trouble> {
    let mut reads = 1;
    loop {
        let mut read = Read { pages: Pages { oldest: Some(at), ..Pages::default() }, bytes: 0 };
        let mut told = 0;
        let mut doubt = None;
        for (place, ask) in asks.iter().enumerate() {
            let is_probe = ask.select.first.is_some();
            let count = ask.select.count();
            let before = match ask.expected {
                Some(expected) => expected,
                None => live.count(&ask.request, &count)?,
            };
            let mut records = std::mem::take(&mut read.pages.records);
            let rows = read_one(live, ask, letters, place + 1, at, &mut records, &mut read.bytes);
            read.pages.records = records;
            let rows = rows?;
            told += before;
            if !is_probe && rows != before {
                // Rows came or went while it was read, or not all of them came.
                let after = live.count(&ask.request, &count)?;
                told = told - before + after;
                if rows != after {
                    doubt = Some(format!(
                        "{}: it told {before} rows before, gave {rows} and told {after} afterwards, each of the {READS_MAX} times it was read\nhint: \
                         run it again when fewer people post",
                        ask.request
                    ));
                }
            }
            read.pages.count += 1;
        }
        // Each view's count was compared with its rows; a row that moved between two of them is in both counts.
        read.pages.total = (asks.len() == 1).then_some(told);
        if doubt.is_none() || reads == READS_MAX || live.is_stopped() {
            read.pages.broken = doubt;
            return Ok(read);
        }
        reads += 1;
    }
}

fn read_one(
    live: &mut Live,
    ask: &Ask,
    letters: usize,
    page: usize,
    at: DateTime<Utc>,
    records: &mut LongList<Received>,
    bytes: &mut u64,
) -> Result<u64, Trouble> {
    let mut take = |record: String| {
        *bytes += record.len() as u64;
        records.push(Received { record: Slice::from(record), page, at });
    };
    live.read(&ask.request, &ask.select.rows(), &ask.layout, letters, &mut take)
}
