//! One connection to a database and its one transaction, on a thread of their own: drivers block.
//!
//! Invariants: nothing is written; autocommit is off and the transaction is read only where the database knows that; what is read
//! is of one moment where the database allows it (`snapshot`). Whoever waits for a call may stop waiting: the thread ends with the
//! call that it is in, and does not hold up the program's end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use arrow::error::ArrowError;
use arrow_odbc::{OdbcReaderBuilder, TextEncoding};
use odbc_api::parameter::{InputParameter, VarCharBox, VarWCharBox};
use odbc_api::{Connection, ConnectionOptions, Cursor, DataType, Error as OdbcError, ResultSetMetadata, sys};
use tokio::sync::oneshot;

use super::connect::{Target, with_driver_file};
use super::select::{Statement, Value};
use super::trouble::{Remedy, Trouble};
use super::values::Layout;
use crate::extract::failure::{Failure, FailureKind};

/// Seconds that a login may take.
const LOGIN_SECONDS: u32 = 30;

/// Rows that a driver is asked for at once.
const ROWS: usize = 4096;

/// Bytes that they may need, unless a single row needs more.
const BYTES: usize = 16 << 20;

type Call = Box<dyn FnOnce(&mut Live) + Send>;

/// A connection in use; the thread ends when it is dropped.
#[derive(Debug)]
pub(super) struct Session {
    calls: mpsc::Sender<Call>,
    stop: Arc<AtomicBool>,
    target: Arc<Target>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Session {
    /// A session that connects with its first call.
    pub(super) fn open(target: Target) -> Result<Self, Failure> {
        let target = Arc::new(target);
        let (calls, waiting) = mpsc::channel::<Call>();
        let stop = Arc::new(AtomicBool::new(false));
        let live = Live { target: Arc::clone(&target), connection: None, may_snapshot: true, stop: Arc::clone(&stop) };
        let run = move || {
            let mut live = live;
            while let Ok(call) = waiting.recv() {
                call(&mut live);
            }
        };
        let started = thread::Builder::new().name("odbc".to_owned()).spawn(run);
        started.map_err(|reason| {
            target.failure("start a thread for the driver", FailureKind::Other, reason.to_string(), None)
        })?;
        Ok(Self { calls, stop, target })
    }

    /// Runs something on the connection's thread.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Live) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let (answer, answered) = oneshot::channel();
        // Nobody waits any more: nothing is lost.
        let call: Call = Box::new(move |live| drop(answer.send(what(live))));
        let ended = || Trouble {
            remedy: Remedy::Person,
            failure: self.target.failure(
                "wait for the driver",
                FailureKind::Other,
                "the driver ended its thread".to_owned(),
                Some("run it again; if it happens again, update the driver".to_owned()),
            ),
        };
        self.calls.send(call).map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }
}

/// What a view has.
#[derive(Clone, Debug)]
pub(super) struct SourceColumn {
    /// The database's name.
    pub name: String,
    /// The driver's type.
    pub kind: DataType,
}

/// The connection, on its thread.
pub(super) struct Live {
    target: Arc<Target>,
    connection: Option<Connection<'static>>,
    /// Until the database says that it does not allow it.
    may_snapshot: bool,
    stop: Arc<AtomicBool>,
}

impl Live {
    /// Does what a failure asks for before the statement is sent again, or another one.
    pub(super) fn mend(&mut self, remedy: Remedy) {
        match remedy {
            Remedy::Person | Remedy::Wider => return,
            Remedy::Committed => self.may_snapshot = false,
            Remedy::Again | Remedy::Reconnect => {}
        }
        // The next statement begins another transaction, on another connection: a driver that was in the middle of an answer is
        // not trusted with the next one.
        if let Some(connection) = self.connection.take()
            && remedy != Remedy::Reconnect
        {
            let _ = connection.rollback();
        }
    }

    /// Ends the transaction: everything was read.
    pub(super) fn end(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.commit();
        }
    }

    fn connect(&mut self) -> Result<&Connection<'static>, Trouble> {
        if self.connection.is_none() {
            let connection = self.connected()?;
            self.connection = Some(connection);
        }
        self.connection.as_ref().ok_or_else(|| Trouble {
            remedy: Remedy::Reconnect,
            failure: self.target.failure(
                "connect",
                FailureKind::Unreachable,
                "there is no connection".to_owned(),
                None,
            ),
        })
    }

    fn connected(&mut self) -> Result<Connection<'static>, Trouble> {
        let target = Arc::clone(&self.target);
        let trouble = |request: &'static str| {
            let target = Arc::clone(&target);
            move |error: OdbcError| target.trouble(request, &error)
        };
        let environment = odbc_api::environment().map_err(trouble("start ODBC"))?;
        let options = ConnectionOptions { login_timeout_sec: Some(LOGIN_SECONDS), ..ConnectionOptions::default() };
        let drivers = environment.drivers().unwrap_or_default().into_iter().map(|driver| {
            let file = driver.attributes.get("Driver").cloned().unwrap_or_default();
            (driver.description, file)
        });
        let string = with_driver_file(target.connection.expose(), &drivers.collect::<Vec<_>>());
        let connection = environment.connect_with_connection_string(&string, options);
        let connection = connection.map_err(trouble("connect"))?;
        let dialect = target.dialect;
        for statement in dialect.on_connection() {
            connection.execute(statement, (), Some(60)).map_err(trouble("set up the connection"))?;
        }
        let allows = match dialect.asks_for_snapshot() {
            _ if !self.may_snapshot => false,
            None => true,
            Some(question) => {
                let answer = texts(&connection, &Statement::plain(question), 60);
                answer.is_ok_and(|rows| rows.first().and_then(|row| row.first()) == Some(&Some("1".to_owned())))
            }
        };
        self.may_snapshot = allows;
        connection.set_autocommit(false).map_err(trouble("begin a transaction"))?;
        let isolation = if allows { dialect.snapshot() } else { dialect.committed() };
        connection.execute(isolation, (), Some(60)).map_err(trouble("begin a transaction"))?;
        tracing::debug!(source = target.source, place = target.place, isolation, "connected");
        Ok(connection)
    }

    /// Connects, if there is no connection.
    pub(super) fn ready(&mut self) -> Result<(), Trouble> {
        self.connect().map(|_| ())
    }

    /// Whether what is read is of one moment; known once connected.
    pub(super) fn is_snapshot(&self) -> bool {
        self.may_snapshot
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The columns of a query's result.
    pub(super) fn describe(&mut self, request: &str, statement: &Statement) -> Result<Vec<SourceColumn>, Trouble> {
        let target = Arc::clone(&self.target);
        let timeout = target.timeout_seconds;
        let connection = self.connect()?;
        described(connection, statement, timeout).map_err(|error| target.trouble(request, &error))
    }

    /// A small result as texts.
    pub(super) fn texts(&mut self, request: &str, statement: &Statement) -> Result<Vec<Vec<Option<String>>>, Trouble> {
        let target = Arc::clone(&self.target);
        let timeout = target.timeout_seconds;
        let connection = self.connect()?;
        texts(connection, statement, timeout).map_err(|error| target.trouble(request, &error))
    }

    /// How many rows a count counts.
    pub(super) fn count(&mut self, request: &str, statement: &Statement) -> Result<u64, Trouble> {
        let rows = self.texts(request, statement)?;
        let count = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        count.ok_or_else(|| Trouble {
            remedy: Remedy::Person,
            failure: self.target.failure(request, FailureKind::Other, "the count is no number".to_owned(), None),
        })
    }

    /// Reads rows as JSON records, batch by batch; gives how many there were.
    pub(super) fn read(
        &mut self,
        request: &str,
        statement: &Statement,
        layout: &Layout,
        text_letters: usize,
        take: &mut dyn FnMut(String),
    ) -> Result<u64, Trouble> {
        let target = Arc::clone(&self.target);
        let stop = Arc::clone(&self.stop);
        let timeout = target.timeout_seconds;
        let connection = self.connect()?;
        let odbc = |error: &OdbcError| target.trouble(request, error);
        let other = |what: String| Trouble {
            remedy: Remedy::Person,
            failure: target.failure(request, FailureKind::Other, what, None),
        };
        let parameters = bound(&statement.values);
        let cursor =
            connection.execute(&statement.sql, parameters.as_slice(), Some(timeout)).map_err(|it| odbc(&it))?;
        let cursor = cursor.ok_or_else(|| other("the statement gave no rows at all, not even none".to_owned()))?;
        let row_bytes = layout.columns() * (text_letters + 1) * 2;
        let mut builder = OdbcReaderBuilder::new();
        builder
            .with_schema(layout.schema())
            .with_payload_text_encoding(TextEncoding::Utf16)
            .with_max_text_size(text_letters)
            .with_max_num_rows_per_batch(ROWS)
            .with_max_bytes_per_batch(BYTES.max(row_bytes));
        let reader = builder.build(cursor).map_err(|error| other(error.to_string()))?;
        let mut rows = 0;
        for batch in reader {
            let batch = batch.map_err(|error| match &error {
                ArrowError::ExternalError(inner) => match inner.downcast_ref::<OdbcError>() {
                    Some(error) => odbc(error),
                    None => other(inner.to_string()),
                },
                error => other(error.to_string()),
            })?;
            rows += batch.num_rows() as u64;
            layout.records(&batch, take).map_err(&other)?;
            if stop.load(Ordering::Relaxed) {
                return Err(other("the run was stopped".to_owned()));
            }
        }
        Ok(rows)
    }
}

fn bound(values: &[Value]) -> Vec<Box<dyn InputParameter>> {
    let bound = |value: &Value| -> Box<dyn InputParameter> {
        match value {
            // A wide text would make the server convert every row of a column that is not.
            Value::Text(text) if text.is_ascii() => Box::new(VarCharBox::from_string(text.clone())),
            Value::Text(text) => Box::new(VarWCharBox::from_str_slice(text)),
            Value::Integer(number) => Box::new(*number),
            Value::Day(day) => {
                use chrono::Datelike as _;
                let part = |part: u32| u16::try_from(part).unwrap_or_default();
                let year = i16::try_from(day.year()).unwrap_or_default();
                Box::new(odbc_api::parameter::WithDataType::new(
                    sys::Date { year, month: part(day.month()), day: part(day.day()) },
                    DataType::Date,
                ))
            }
        }
    };
    values.iter().map(bound).collect()
}

fn described(
    connection: &Connection<'static>,
    statement: &Statement,
    timeout: usize,
) -> Result<Vec<SourceColumn>, OdbcError> {
    let Some(mut cursor) = connection.execute(&statement.sql, (), Some(timeout))? else { return Ok(Vec::new()) };
    let count = u16::try_from(cursor.num_result_cols()?).unwrap_or_default();
    (1..=count)
        .map(|place| Ok(SourceColumn { name: cursor.col_name(place)?, kind: cursor.col_data_type(place)? }))
        .collect()
}

fn texts(
    connection: &Connection<'static>,
    statement: &Statement,
    timeout: usize,
) -> Result<Vec<Vec<Option<String>>>, OdbcError> {
    let parameters = bound(&statement.values);
    let Some(mut cursor) = connection.execute(&statement.sql, parameters.as_slice(), Some(timeout))? else {
        return Ok(Vec::new());
    };
    let count = u16::try_from(cursor.num_result_cols()?).unwrap_or_default();
    let mut rows = Vec::new();
    let mut buffer: Vec<u16> = Vec::new();
    while let Some(mut row) = cursor.next_row()? {
        let mut cells = Vec::new();
        for place in 1..=count {
            let is_set = row.get_wide_text(place, &mut buffer)?;
            cells.push(is_set.then(|| String::from_utf16_lossy(&buffer).trim().to_owned()));
        }
        rows.push(cells);
    }
    Ok(rows)
}
