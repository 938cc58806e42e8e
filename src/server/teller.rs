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

    /// Begins a statement, which is refused if it cannot be told of.
    pub(crate) fn begin(&self, text: impl Into<Text>) -> Result<Begun, Failure> {
        self.teller.log.ready()?;
        Ok(Begun { text: text.into(), line: self.line(Event::Statement), started: Instant::now() })
    }

    /// Ends it: one line, however it ended.
    pub(crate) async fn end<T>(&mut self, begun: Begun, sent: Sent, end: &Result<T, Failure>) {
        let commit = engine::commit_read_since(&self.context, begun.line.at).await;
        self.teller.log.put(Line { commit, ..begun.line(sent, end.as_ref().err()) });
    }
}

impl Begun {
    /// What is told of it, once it has ended.
    pub(crate) fn line(self, Sent { rows, bytes }: Sent, failure: Option<&Failure>) -> Line {
        let Self { text, line, started } = self;
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let sql = match without_passwords(&text.sql) {
            std::borrow::Cow::Borrowed(_) => text.sql,
            std::borrow::Cow::Owned(shown) => shown.into(),
        };
        let parameters = text.parameters.to_vec();
        let line = Line { sql: Some(sql), parameters, rows, bytes, milliseconds, ..line };
        match failure {
            None => line,
            Some(failure) => line.ended_by(failure),
        }
    }
}

impl Connection {
    /// Begins a statement, which is refused if it cannot be told of.
    pub(crate) fn begin(&mut self, text: impl Into<Text>) -> Result<Begun, Failure> {
        let begun = self.session.begin(text)?;
        self.wire.take_sent();
        self.live.begins(&begun.text.sql);
        Ok(begun)
    }

    /// Ends it: one line, however it ended.
    pub(crate) async fn end<T>(&mut self, begun: Begun, end: &Result<T, Failure>) {
        let sent = self.wire.take_sent();
        self.session.end(begun, sent, end).await;
    }

    /// Tells of what failed before it could be carried out.
    pub(crate) async fn end_if_failed<T>(&mut self, begun: Begun, end: &Result<T, Failure>) {
        if end.is_err() {
            self.end(begun, end).await;
        }
    }
}
