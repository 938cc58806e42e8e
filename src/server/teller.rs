//! What a session tells the audit log: a line for each statement that is carried out, refused or stopped.

use std::sync::Arc;
use std::time::Instant;

use super::audit::{AuditLog, Event, Line, Who, without_passwords};
use super::connection::Connection;
use super::failure::Failure;
use super::session::Session;
use super::wire::Sent;
use crate::engine;

/// Longer values of parameters are cut.
const VALUE_CHARS_MAX: usize = 1_000;

/// Tells of one session.
pub(crate) struct Teller {
    pub(crate) log: Arc<AuditLog>,
    pub(crate) who: Arc<Who>,
}

/// A statement as its client wrote it.
#[derive(Clone, Default)]
pub(crate) struct Text {
    pub(crate) sql: Arc<str>,
    pub(crate) parameters: Arc<[String]>,
}

impl From<Arc<str>> for Text {
    fn from(sql: Arc<str>) -> Self {
        Self { sql, parameters: Arc::default() }
    }
}

/// A statement that has begun.
pub(crate) struct Begun {
    text: Text,
    line: Line,
    started: Instant,
}

/// A parameter's value as it is told.
pub(crate) fn value(value: &datafusion::common::ScalarValue) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

impl Session {
    fn line(&self, event: Event) -> Line {
        let application_name = self.get("application_name").unwrap_or_default();
        let as_of = self.get("tieout.as_of").unwrap_or_default();
        Line { application_name, as_of, ..Line::of(event, &self.teller.who) }
    }

    /// Tells that the session begins or ends.
    pub(crate) fn tell(&self, event: Event) {
        self.teller.log.put(self.line(event));
    }
}

impl Connection {
    /// Begins a statement, which is refused if it cannot be told of.
    pub(crate) fn begin(&mut self, text: impl Into<Text>) -> Result<Begun, Failure> {
        self.session.teller.log.ready()?;
        self.wire.take_sent();
        let text = text.into();
        self.live.begins(&text.sql);
        Ok(Begun { text, line: self.session.line(Event::Statement), started: Instant::now() })
    }

    /// Ends it: one line, however it ended.
    pub(crate) async fn end<T>(&mut self, begun: Begun, end: &Result<T, Failure>) {
        let Sent { rows, bytes } = self.wire.take_sent();
        let Begun { text, line, started } = begun;
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let sql = match without_passwords(&text.sql) {
            std::borrow::Cow::Borrowed(_) => text.sql,
            std::borrow::Cow::Owned(shown) => shown.into(),
        };
        let commit = engine::commit_read_since(&self.session.context, line.at).await;
        let parameters = text.parameters.to_vec();
        let line = Line { commit, sql: Some(sql), parameters, rows, bytes, milliseconds, ..line };
        self.session.teller.log.put(match end {
            Ok(_) => line,
            Err(failure) => line.ended_by(failure),
        });
    }

    /// Tells of what failed before it could be carried out.
    pub(crate) async fn end_if_failed<T>(&mut self, begun: Begun, end: &Result<T, Failure>) {
        if end.is_err() {
            self.end(begun, end).await;
        }
    }
}
