//! Who asked what, when, as of when, and how it ended: one JSON line for each login and each statement.
//!
//! Invariants: a query never waits for the disk; no line is lost at a clean stop, and none in silence otherwise: a line
//! that cannot be written is kept and tried again, and while too many wait, statements are refused; the file is its
//! owner's alone; no password is in it.

mod passwords;
mod pieces;
mod recent;
mod writer;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

pub(crate) use passwords::without_passwords;
pub(crate) use pieces::pieces;
pub(crate) use recent::{Recent, with_statements};

use super::failure::{Failure, STORE};
use super::tally::Tally;
use writer::{Message, Writer};

/// So many lines may wait for a disk that is full or slow.
const WAITING_MAX: usize = 100_000;
/// How long a stop waits for them.
const CLOSING_LIMIT: Duration = Duration::from_secs(10);

/// Where the lines go.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// The file; its folder is made if it is not there.
    pub path: PathBuf,
    /// After so many bytes it goes on in a new file.
    pub bytes_max: u64,
    /// So many full files are kept beside it, as `….1`, `….2` …
    pub files: usize,
}

/// What a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    Login,
    LoginFailed,
    Logout,
    Statement,
}

impl Event {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::LoginFailed => "login_failed",
            Self::Logout => "logout",
            Self::Statement => "statement",
        }
    }
}

/// Whose session a line is of.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Who {
    pub(crate) session: u64,
    pub(crate) role: String,
    pub(crate) address: IpAddr,
    pub(crate) database: String,
}

/// One line. What does not apply is left out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    #[serde(serialize_with = "moment")]
    pub(crate) at: DateTime<Utc>,
    pub(crate) event: Event,
    #[serde(flatten)]
    pub(crate) who: Arc<Who>,
    pub(crate) application_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) as_of: String,
    /// The commit that was read; none if no snapshot was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sql: Option<Arc<str>>,
    /// The values of `$1`, `$2` …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parameters: Vec<String>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) milliseconds: u64,
    /// The SQLSTATE; 00000 if it went well.
    pub(crate) outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

fn moment<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

impl Line {
    /// A line that tells of no statement.
    pub(crate) fn of(event: Event, who: &Arc<Who>) -> Self {
        Self {
            at: Utc::now(),
            event,
            who: Arc::clone(who),
            application_name: String::new(),
            as_of: String::new(),
            commit: None,
            sql: None,
            parameters: Vec::new(),
            rows: 0,
            bytes: 0,
            milliseconds: 0,
            outcome: "00000",
            message: None,
        }
    }

    pub(crate) fn ended_by(self, failure: &Failure) -> Self {
        Self { outcome: failure.code, message: Some(without_passwords(&failure.message).into_owned()), ..self }
    }
}

/// The log of one server. Without a file it only keeps the newest lines for `meta.statements`.
#[derive(Debug)]
pub(crate) struct AuditLog {
    sender: Option<mpsc::Sender<Message>>,
    waiting: Arc<AtomicUsize>,
    sessions: AtomicU64,
    pub(crate) recent: Arc<Recent>,
    pub(crate) tally: Tally,
}

impl AuditLog {
    /// Opens the file for appending, or says why it cannot be.
    pub(crate) fn open(options: Option<&AuditOptions>) -> anyhow::Result<Self> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let sender = options.map(|options| Writer::start(options.clone(), Arc::clone(&waiting))).transpose()?;
        Ok(Self { sender, waiting, sessions: AtomicU64::new(0), recent: Arc::default(), tally: Tally::default() })
    }

    /// A number for a session.
    pub(crate) fn session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Refuses a statement that could not be told of.
    pub(crate) fn ready(&self) -> Result<(), Failure> {
        if self.waiting.load(Ordering::Relaxed) < WAITING_MAX {
            return Ok(());
        }
        Err(Failure::new(STORE, format!("the audit log cannot be written: {WAITING_MAX} lines wait"))
            .hint("its disk may be full: the server's log says more; statements are carried out again when it is not"))
    }

    /// Hands a line on; the disk is somebody else's.
    pub(crate) fn put(&self, line: Line) {
        let line = Arc::new(line);
        self.tally.note(&line);
        self.recent.put(&line);
        let Some(sender) = &self.sender else { return };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if sender.send(Message::Line(line)).is_err() {
            tracing::error!("the audit log has ended: a line is lost");
        }
    }

    /// Waits until every line so far is on the disk.
    pub(crate) async fn close(&self) {
        let Some(sender) = &self.sender else { return };
        let (done, written) = tokio::sync::oneshot::channel();
        let is_sent = sender.send(Message::Flush(done)).is_ok();
        if !is_sent || !matches!(tokio::time::timeout(CLOSING_LIMIT, written).await, Ok(Ok(()))) {
            let lines = self.waiting.load(Ordering::Relaxed);
            tracing::error!(lines, "the audit log could not be written before the stop: lines are lost");
        }
    }
}
