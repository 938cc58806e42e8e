//! What went wrong with a request or a run, worded for people: what, where, why, what to try; never a secret.

use std::fmt;

use crate::warehouse::rows::CoverageStatus;

/// Why a run could not be made at all. A table that could not be read is coverage, not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings do not fit the manifest.
    #[error("source {name}: {problem}\nhint: {hint}")]
    Settings {
        /// The source.
        name: String,
        /// What is missing or misspelt.
        problem: String,
        /// What to try.
        hint: String,
    },
    /// The source refused us: wrong secret, missing right.
    #[error("source {name}: {failure}")]
    Denied {
        /// The source.
        name: String,
        /// What it said.
        failure: Failure,
    },
    /// The source could not be reached, or answered nothing usable.
    #[error("source {name}: {failure}")]
    Unavailable {
        /// The source.
        name: String,
        /// The first failure.
        failure: Failure,
    },
    /// A person or the caller stopped the run.
    #[error("source {name}: the run was interrupted")]
    Interrupted {
        /// The source.
        name: String,
    },
    /// Rows did not fit their own layout.
    #[error("source {name}: build rows of {table}: {reason}")]
    Layout {
        /// The source.
        name: String,
        /// The table.
        table: String,
        /// What Arrow said.
        reason: arrow::error::ArrowError,
    },
    /// Rows that wait for the commit could not be put on the disk.
    #[error(
        "source {name}: keep rows of {table} for the commit: {reason}\nhint: TMPDIR names a folder with more space"
    )]
    Spool {
        /// The source.
        name: String,
        /// The table.
        table: String,
        /// What went wrong.
        reason: Box<crate::warehouse::Error>,
    },
}

/// A request that did not give what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind, by what to do next.
    pub kind: FailureKind,
    /// Method and URL, without secrets.
    pub request: String,
    /// What happened: the status, or why there was none.
    pub what: String,
    /// What to try, if known.
    pub hint: Option<String>,
    /// The field of the request that the source refuses, if it names one.
    pub field: Option<Box<str>>,
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// 401, 403.
    Denied,
    /// 404.
    NotFound,
    /// 400, 500: the source could not answer this very request; a smaller one may do.
    Refused,
    /// No connection, no answer in time.
    Unreachable,
    /// Anything else.
    Other,
}

impl Failure {
    /// The coverage of a scope that was not read for this reason.
    pub(crate) fn status(&self) -> CoverageStatus {
        match self.kind {
            FailureKind::Denied => CoverageStatus::Forbidden,
            FailureKind::NotFound => CoverageStatus::NotFound,
            FailureKind::Refused | FailureKind::Unreachable | FailureKind::Other => CoverageStatus::Failed,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}
