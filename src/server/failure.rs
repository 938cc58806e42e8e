//! Failures as clients see them: a SQLSTATE, a sentence, at times a hint.
//!
//! Every error of the wire leaves through here, so that a client can branch on the code. What it leaves out: logging.

mod values;

use std::fmt;

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::response::ErrorResponse;

use super::place::place;
use crate::warehouse;

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub(crate) position: Option<usize>,
    /// The connection ends after it.
    pub(crate) fatal: bool,
}

pub(crate) const SYNTAX: &str = "42601";
pub(crate) const UNDEFINED_OBJECT: &str = "42704";
pub(crate) const READ_ONLY: &str = "25006";
/// What the role may not do.
pub(crate) const DENIED: &str = "42501";
pub(crate) const CANCELED: &str = "57014";
pub(crate) const UNSUPPORTED: &str = "0A000";
pub(crate) const PROTOCOL: &str = "08P01";
pub(crate) const INVALID_VALUE: &str = "22023";
/// The snapshots are damaged.
pub(crate) const CORRUPT: &str = "XX001";
/// The snapshots could not be read.
pub(crate) const STORE: &str = "58030";
pub(crate) const INVALID_TEXT: &str = "22P02";

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, position: None, fatal: false }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With the place in the statement that it tells of.
    pub(crate) fn placed(self, text: &str) -> Self {
        self.placed_after(0, text)
    }

    /// The same of a statement that stands behind so many characters.
    pub(crate) fn placed_after(mut self, before: usize, text: &str) -> Self {
        self.position = self.position.or_else(|| Some(before + place(&self.message, text)?));
        self
    }

    pub(crate) fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }

    pub(crate) fn response(&self) -> ErrorResponse {
        let severity = if self.fatal { "FATAL" } else { "ERROR" };
        let mut info = ErrorInfo::new(severity.to_owned(), self.code.to_owned(), self.message.clone());
        info.hint.clone_from(&self.hint);
        info.position = self.position.map(|position| position.to_string());
        info.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Failure {}

impl From<ParserError> for Failure {
    fn from(error: ParserError) -> Self {
        match error {
            ParserError::RecursionLimitExceeded => Self::new("54001", "the statement is nested too deeply"),
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
                Self::new(SYNTAX, format!("syntax error: {text}"))
            }
        }
    }
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        if let Some(failure) = super::databases::of(&error) {
            return failure;
        }
        if let DataFusionError::External(inner) = error.find_root()
            && let Some(failure) = inner.downcast_ref::<Self>()
        {
            return failure.clone();
        }
        let root = error.find_root();
        if let DataFusionError::ArrowError(arrow, _) = root
            && let Some(failure) = values::refused(&arrow_message(arrow))
        {
            return failure;
        }
        let message = message(root);
        let message = message.strip_prefix("Schema error: ").unwrap_or(&message);
        let columns = message.split_once(".\n").filter(|(_, hint)| hint.starts_with("Valid fields are "));
        let (message, hint) = columns.or_else(|| message.split_once("\nhint: ")).unwrap_or((message, ""));
        let mut failure = Self::new(code(root), message);
        failure.hint = (!hint.is_empty()).then(|| hint.to_owned());
        if failure.code == "53200" {
            failure.hint = Some("narrow the query, or raise the server's memory limit".to_owned());
        }
        failure
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

impl From<PgWireError> for Failure {
    fn from(error: PgWireError) -> Self {
        match error {
            PgWireError::InvalidPassword(user) => {
                Self::new("28P01", format!("password authentication failed for user \"{user}\"")).fatal()
            }
            other => Self::new(PROTOCOL, other.to_string()).fatal(),
        }
    }
}

/// The SQLSTATE of the innermost error.
fn code(root: &DataFusionError) -> &'static str {
    match root {
        DataFusionError::SQL(..) => SYNTAX,
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound { .. } => "42703",
            SchemaError::AmbiguousReference { .. } => "42702",
            SchemaError::DuplicateUnqualifiedField { .. } => "42701",
            // Columns of one table differ: two tables have its name.
            SchemaError::DuplicateQualifiedField { .. } => "42712",
        },
        DataFusionError::Plan(text) => planning_code(text),
        DataFusionError::NotImplemented(text) if text.starts_with("Unsupported SQL type") => UNDEFINED_OBJECT,
        // `group by ()` beside columns.
        DataFusionError::NotImplemented(text) if text.starts_with("Empty tuple") => "42803",
        DataFusionError::NotImplemented(_) => UNSUPPORTED,
        DataFusionError::Execution(text) => execution_code(text),
        DataFusionError::Configuration(_) => INVALID_VALUE,
        DataFusionError::ResourcesExhausted(_) => "53200",
        DataFusionError::ArrowError(error, _) => arrow_code(error),
        DataFusionError::Diagnostic(_, inner) => code(inner.find_root()),
        DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) | DataFusionError::IoError(_) => STORE,
        DataFusionError::External(error) => {
            let of_store = error.downcast_ref::<warehouse::Error>().map(super::databases::code);
            of_store.unwrap_or_else(|| execution_code(&error.to_string()))
        }
        _ => "XX000",
    }
}

/// DataFusion has one error kind for everything that planning refuses; its text is all that tells the cases apart.
fn planning_code(text: &str) -> &'static str {
    let text = text.to_ascii_lowercase();
    if text.contains("not found") && text.contains("table") {
        "42P01"
    } else if text.starts_with("invalid function") || text.contains("no function matches") {
        "42883"
    } else if text.contains("failed to resolve schema") {
        "3F000"
    } else if text.contains("no field named") {
        "42703"
    } else {
        let known = PLANNING.iter().find(|(words, _)| text.contains(words));
        known.map_or("42000", |(_, code)| code)
    }
}

/// Words of DataFusion's refusals, in lower case.
const PLANNING: &[(&str, &str)] = &[
    ("group by", "42803"),
    ("aggregate function", "42803"),
    ("specified in using clause does not exist", "42703"),
    ("appears more than once in", "42702"),
    ("different number of columns", SYNTAX),
    ("inconsistent data length", SYNTAX),
    ("inconsistent data type", "42804"),
    ("non-boolean predicate", "42804"),
    ("requires a boolean", "42804"),
    ("cannot coerce arithmetic", "42883"),
    ("cannot infer common", "42883"),
    ("cannot get result type", "42883"),
    ("does not support type", "42883"),
    ("failed to match any signature", "42883"),
    ("order by column out of bounds", "42P10"),
    ("limit must be", "2201W"),
    ("offset must be", "2201X"),
];

fn execution_code(text: &str) -> &'static str {
    const KNOWN: &[(&str, &str)] = &[
        ("more than one row", "21000"),
        ("overflow", "22003"),
        ("out of range", "22003"),
        ("parse date", "22008"),
        ("field position", INVALID_VALUE),
        ("unrecognized configuration parameter", UNDEFINED_OBJECT),
        ("to_char:", INVALID_VALUE),
        ("regex parse error", "2201B"),
        ("was not provided a value", "42P02"),
        ("negative count not allowed", "22011"),
        // `t.x` where both a table and its column are called t.
        ("cannot access field", "42703"),
    ];
    let text = text.to_ascii_lowercase();
    KNOWN.iter().find(|(words, _)| text.contains(words)).map_or("XX000", |(_, code)| code)
}

fn arrow_code(error: &ArrowError) -> &'static str {
    match error {
        ArrowError::DivideByZero => "22012",
        ArrowError::ArithmeticOverflow(_) => "22003",
        ArrowError::CastError(text) if text.starts_with("Can't cast value") => "22003",
        ArrowError::InvalidArgumentError(text) if text.contains("too large to store") => "22003",
        ArrowError::ComputeError(text) if text.to_ascii_lowercase().contains("overflow") => "22003",
        ArrowError::ComputeError(text) if text.contains("square root") || text.contains("zero raised") => "2201F",
        ArrowError::CastError(text) | ArrowError::ParseError(text)
            if ["Date32", "timestamp", "interval", "Time64"].iter().any(|word| text.contains(word)) =>
        {
            "22007"
        }
        ArrowError::CastError(_) | ArrowError::ParseError(_) => INVALID_TEXT,
        ArrowError::NotYetImplemented(_) => UNSUPPORTED,
        _ => "XX000",
    }
}

/// What Arrow says, without the name of its kind of error.
fn arrow_message(error: &ArrowError) -> String {
    match error {
        ArrowError::DivideByZero => "division by zero".to_owned(),
        ArrowError::CastError(text)
        | ArrowError::ParseError(text)
        | ArrowError::ComputeError(text)
        | ArrowError::ArithmeticOverflow(text)
        | ArrowError::InvalidArgumentError(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The innermost sentence, without DataFusion's layers and prefixes.
fn message(root: &DataFusionError) -> String {
    let text = match root {
        DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Execution(text)
        | DataFusionError::Configuration(text)
        | DataFusionError::ResourcesExhausted(text) => text.clone(),
        DataFusionError::ArrowError(error, _) => arrow_message(error),
        DataFusionError::Diagnostic(_, inner) => return message(inner.find_root()),
        DataFusionError::External(error) => error.to_string(),
        other => other.strip_backtrace(),
    };
    let text = text.split("\n\nbacktrace:").next().unwrap_or(&text);
    // Not a word to whoever typed it.
    let text = text.split("This issue was likely caused by a bug in DataFusion's code").next().unwrap_or(text);
    text.trim().trim_start_matches("Internal error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_innermost_error() {
        let divide = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None).context("while projecting");
        assert_eq!(Failure::from(divide).code, "22012");
        let table = DataFusionError::Plan("table 'tieout.recon.x' not found".to_owned());
        assert_eq!(Failure::from(table).code, "42P01");
        let memory = DataFusionError::ResourcesExhausted("no".to_owned()).context("hash join");
        assert_eq!(Failure::from(memory).code, "53200");
        let commit = warehouse::Error::UnknownCommit { number: 9, newest: 3 };
        assert_eq!(Failure::from(DataFusionError::External(Box::new(commit))).code, "22023");
        let lost = warehouse::Error::NotFound { path: "data/x".to_owned() };
        let lost = Failure::from(DataFusionError::External(Box::new(lost)));
        assert_eq!((lost.code, lost.hint.is_some()), (STORE, true));
        let parse = ParserError::ParserError("Expected: x".to_owned());
        assert_eq!(Failure::from(parse).code, "42601");
        assert_eq!(Failure::from(PgWireError::InvalidPassword("a".to_owned())).code, "28P01");
    }
}
