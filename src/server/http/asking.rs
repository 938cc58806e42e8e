//! A request's session: what its role may read, at the moment that the address names, by the limits of a SQL session.
//!
//! Invariants: every statement has its line in the audit log, also one whose reader has left; values go as parameters,
//! never into the text; no answer is longer than a page can show.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use pgwire::api::Type;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::{Access, SessionRequest};
use crate::server::Shared;
use crate::server::audit::{AuditLog, Who};
use crate::server::failure::{CANCELED, Failure};
use crate::server::login::{self, WRONG_PASSWORD, Wishes};
use crate::server::query::{Formats, Interrupt, Rows};
use crate::server::session::{Body, Session};
use crate::server::statement::{self, Command};
use crate::server::teller::{Begun, Text};
use crate::server::wire::Sent;

/// What the audit log calls it.
pub(crate) const APPLICATION: &str = "http";
/// A query of a page has fewer rows; one that has more is wrong.
const ROWS_MAX: usize = 20_000;

/// The session of one request.
pub(crate) struct Asking {
    session: Session,
    access: Option<Arc<Access>>,
    gone: CancellationToken,
}

/// Rows as texts; null is empty.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// The value of a column in the first row; empty without one.
    pub(crate) fn first(&self, column: &str) -> &str {
        let place = self.columns.iter().position(|name| name == column);
        place.and_then(|place| self.rows.first()?.get(place)).map_or("", String::as_str)
    }
}

impl Asking {
    /// Opens the session of a role, or, without one, of the server itself.
    pub(crate) async fn open(
        shared: &Arc<Shared>,
        who: &Arc<Who>,
        as_of: Option<String>,
        of_server: bool,
        gone: CancellationToken,
    ) -> Result<Self, Failure> {
        let role = if of_server {
            None
        } else {
            let gone = || Failure::new(WRONG_PASSWORD, "there is no such role");
            Some(shared.users.role(&who.role).ok_or_else(gone)?)
        };
        let request = SessionRequest { as_of, ..SessionRequest::default() };
        let settings = vec![("application_name".to_owned(), APPLICATION.to_owned())];
        let opened = login::session(shared, role.as_deref(), who, Wishes { request, settings });
        let access = role.as_ref().and_then(|role| role.access.as_ref().map(Arc::clone));
        Ok(Self { session: Box::pin(opened).await?, access, gone })
    }

    /// The same, unless the role reads one moment anyway.
    pub(crate) fn stay_at_unless_forced(&self, commit: &str) -> Result<(), Failure> {
        let is_forced = self.access.as_ref().is_some_and(|access| access.as_of.is_some());
        if is_forced { Ok(()) } else { self.stay_at(commit) }
    }

    /// What the role may read; everything if nothing is said.
    pub(crate) fn access(&self) -> Option<&Access> {
        self.access.as_deref()
    }

    /// Whether it reads all projects and the firm.
    pub(crate) fn reads_all(&self) -> bool {
        self.access().is_none_or(|access| access.projects.is_none() && access.firm)
    }

    /// Whether records may be shown as they were received.
    pub(crate) fn reads_records(&self) -> bool {
        self.access.as_ref().is_none_or(|access| access.sensitive)
    }

    /// The moment that was asked for.
    pub(crate) fn as_of(&self) -> Result<String, Failure> {
        self.session.get("tieout.as_of")
    }

    /// From now on everything is read as of one commit, though others are made meanwhile.
    pub(crate) fn stay_at(&self, commit: &str) -> Result<(), Failure> {
        self.session.put("tieout.as_of", Some(&format!("commit:{commit}")))
    }

    /// The tables of a source, as extracted.
    pub(crate) async fn raw_tables(&mut self, source: &str) -> Result<Vec<String>, Failure> {
        let sql = "select table_name from information_schema.columns where table_schema = $1 and column_name = '_raw' \
                   order by table_name limit 300";
        Ok(self.rows::<1>(sql, &[source]).await?.into_iter().map(|[name]| name).collect())
    }

    /// Rows with as many values as they are read with.
    pub(crate) async fn rows<const N: usize>(
        &mut self,
        sql: &str,
        values: &[&str],
    ) -> Result<Vec<[String; N]>, Failure> {
        let of_width = |row: Vec<String>| {
            let found = row.len();
            row.try_into().map_err(|_| Failure::new("XX000", format!("{N} columns are read and {found} came: {sql}")))
        };
        self.table(sql, values).await?.rows.into_iter().map(of_width).collect()
    }

    /// The rows of a query; `$1`, `$2` … are texts.
    pub(crate) async fn table(&mut self, sql: &str, values: &[&str]) -> Result<Table, Failure> {
        let parameters = values.iter().map(|value| format!("'{value}'")).collect();
        let begun = self.session.begin(Text { sql: Arc::from(sql), parameters })?;
        let mut unfinished = Unfinished { begun: Some(begun), log: Arc::clone(&self.session.teller.log) };
        let end = Box::pin(self.answered(sql, values)).await;
        if let Some(begun) = unfinished.begun.take() {
            let sent = end.as_ref().map_or_else(|_| Sent::default(), size);
            self.session.end(begun, sent, &end).await;
        }
        end
    }

    async fn answered(&mut self, sql: &str, values: &[&str]) -> Result<Table, Failure> {
        let deadline = self.session.with_settings(|settings| settings.timeout());
        let deadline = deadline.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut interrupt = Interrupt { canceled: None, deadline, gone: self.gone.clone() };
        let rows = Box::pin(interrupt.guard(self.started(sql, values))).await??;
        collected(rows, &mut interrupt).await
    }

    async fn started(&self, sql: &str, values: &[&str]) -> Result<Rows, Failure> {
        let text: Arc<str> = Arc::from(sql);
        let parsed = Arc::clone(&text);
        let mut commands = self.session.threads.run(async move { statement::parse(&parsed) }).await?;
        let command = commands.pop().filter(|_| commands.is_empty());
        let Some(command @ Command::Query(_)) = command else {
            return Err(Failure::new("42601", "a page asks one query at a time"));
        };
        let oids = vec![Type::TEXT.oid(); values.len()];
        let prepared = Box::pin(self.session.prepare(Some(command), &oids, &text)).await?;
        let values: Vec<Option<Bytes>> =
            values.iter().map(|value| Some(Bytes::copy_from_slice(value.as_bytes()))).collect();
        let (portal, _) = Session::bind(&prepared, &values, &Formats::default(), Formats::default())?;
        match portal.body {
            Body::Planned(plan, _) => self.session.start(*plan).await,
            _ => Err(Failure::new("XX000", "a query has no plan")),
        }
    }
}

/// A statement that has begun; told of as canceled if nobody waits for it any more.
struct Unfinished {
    begun: Option<Begun>,
    log: Arc<AuditLog>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(begun) = self.begun.take() {
            let failure = Failure::new(CANCELED, "its reader has left, or the request took too long");
            self.log.put(begun.line(Sent::default(), Some(&failure)));
        }
    }
}

async fn collected(mut rows: Rows, interrupt: &mut Interrupt) -> Result<Table, Failure> {
    let columns = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut table = Table { columns, rows: Vec::new() };
    while let Some(batch) = rows.batch(interrupt).await? {
        texts(&batch, &mut table.rows)?;
        if table.rows.len() > ROWS_MAX {
            return Err(Failure::new("54000", format!("a page shows no more than {ROWS_MAX} rows")));
        }
    }
    Ok(table)
}

fn texts(batch: &RecordBatch, into: &mut Vec<Vec<String>>) -> Result<(), Failure> {
    let options = FormatOptions::default();
    let formatters: Result<Vec<ArrayFormatter<'_>>, _> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options)).collect();
    let formatters = formatters.map_err(Failure::from)?;
    for index in 0..batch.num_rows() {
        let cell = |(column, formatter): (&Arc<dyn Array>, &ArrayFormatter<'_>)| {
            if column.is_null(index) { String::new() } else { formatter.value(index).to_string() }
        };
        into.push(batch.columns().iter().zip(&formatters).map(cell).collect());
    }
    Ok(())
}

fn size(table: &Table) -> Sent {
    let bytes: usize = table.rows.iter().flatten().map(String::len).sum();
    let told = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Sent { rows: told(table.rows.len()), bytes: told(bytes) }
}
