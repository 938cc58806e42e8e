//! What a driver says went wrong, by what to do next.

use odbc_api::Error as OdbcError;

use super::connect::Target;
use crate::extract::failure::{Failure, FailureKind};

/// What is to be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The same again, on this connection: another transaction stood in the way.
    Again,
    /// The same again, on another connection.
    Reconnect,
    /// The same again, in a transaction that is not of one moment.
    Committed,
    /// The same again, with room for longer texts.
    Wider,
    /// Nothing that we could do.
    Person,
}

/// A failure, and what is to be done about it.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub remedy: Remedy,
    pub failure: Failure,
}

/// What a class of failures is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Permission,
    Login,
    Missing,
    MissingColumn,
    Deadlock,
    Slow,
    Lost,
    NoDriver,
    Tls,
    Unreachable,
    Snapshot,
    Other,
}

/// SQL Server's numbers of what we know how to treat.
const SERVER_ERRORS: [(i32, Class); 24] = [
    (229, Class::Permission),
    (230, Class::Permission),
    (297, Class::Permission),
    (300, Class::Permission),
    (916, Class::Permission),
    (4060, Class::Login),
    (18452, Class::Login),
    (18456, Class::Login),
    (18470, Class::Login),
    (18486, Class::Login),
    (18487, Class::Login),
    (18488, Class::Login),
    (40615, Class::Login),
    (208, Class::Missing),
    (207, Class::MissingColumn),
    (1205, Class::Deadlock),
    (1222, Class::Slow),
    (3960, Class::Deadlock),
    (3952, Class::Snapshot),
    (10928, Class::Slow),
    (10929, Class::Slow),
    (40197, Class::Lost),
    (40501, Class::Slow),
    (40613, Class::Lost),
];

/// The class of a diagnostic: state, the server's own number, and what it says.
fn class(state: &str, native: i32, message: &str) -> Class {
    let known = SERVER_ERRORS.iter().find(|(number, _)| *number == native).map(|(_, class)| *class);
    let says = |words: &[&str]| {
        let message = message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    };
    // Numbers are the server's own: another database's mean something else.
    if let Some(class) = known.filter(|_| says(&["sql server", "freetds", "microsoft"])) {
        return class;
    }
    match state {
        "42501" => Class::Permission,
        "28000" | "28P01" | "3D000" => Class::Login,
        "42S02" | "S0002" | "42P01" | "3F000" => Class::Missing,
        "42S22" | "S0022" | "42703" => Class::MissingColumn,
        "40001" | "40P01" => Class::Deadlock,
        "HYT00" | "57014" | "55P03" | "S1T00" => Class::Slow,
        "IM001" | "IM002" | "IM003" | "IM004" | "IM005" | "IM006" => Class::NoDriver,
        "01000" if says(&["can't open lib", "file not found"]) => Class::NoDriver,
        _ if says(&["password authentication failed", "login failed", "no pg_hba.conf entry"]) => Class::Login,
        _ if says(&["fatal:  database", "fatal:  role"]) && says(&["does not exist"]) => Class::Login,
        _ if says(&["ssl provider", "certificate", "tls", "ssl error", "server does not support ssl"]) => Class::Tls,
        "08001" | "08004" | "HYT01" => Class::Unreachable,
        _ if says(&["terminating connection", "server closed the connection", "connection reset", "broken pipe"]) => {
            Class::Lost
        }
        _ if state.starts_with("08") || matches!(state, "57P01" | "57P02" | "57P03" | "01002") => Class::Lost,
        _ => Class::Other,
    }
}

/// The first part of what a driver says, with its state and number.
fn parts(error: &OdbcError) -> (String, i32, String) {
    let record = match error {
        OdbcError::Diagnostics { record, .. }
        | OdbcError::UnsupportedOdbcApiVersion(record)
        | OdbcError::InvalidRowArraySize { record, .. }
        | OdbcError::UnableToRepresentNull(record)
        | OdbcError::OracleOdbcDriverDoesNotSupport64Bit(record) => record,
        other => return (String::new(), 0, other.to_string()),
    };
    let text = record.to_string();
    let message = text.split_once("Message: ").map_or(text.as_str(), |(_, message)| message);
    (record.state.as_str().to_owned(), record.native_error, message.to_owned())
}

impl Target {
    /// What a statement's failure means. `request` tells the statement.
    pub(super) fn trouble(&self, request: &str, error: &OdbcError) -> Trouble {
        if matches!(error, OdbcError::TooLargeValueForBuffer { .. }) {
            let what = "a value is longer than what was made room for".to_owned();
            return Trouble { remedy: Remedy::Wider, failure: self.failure(request, FailureKind::Other, what, None) };
        }
        let (state, native, message) = parts(error);
        self.judged(request, &state, native, &message)
    }

    fn judged(&self, request: &str, state: &str, native: i32, message: &str) -> Trouble {
        let class = class(state, native, message);
        let said = self.scrubber.excerpt(message.as_bytes());
        let state = if state.is_empty() { String::new() } else { format!(" ({state})") };
        let what = format!("{said}{state}");
        let login = if self.login.is_empty() { "the login".to_owned() } else { format!("the login {}", self.login) };
        let (kind, remedy, hint) = match class {
            Class::Permission => (
                FailureKind::Denied,
                Remedy::Person,
                Some(format!("let {login} read it (grant select on it, or db_datareader); see docs/odbc.md")),
            ),
            Class::Login => (
                FailureKind::Denied,
                Remedy::Person,
                Some(format!("check user name, password and database of [sources.{}]; {login} must be allowed to open the database", self.source)),
            ),
            Class::Missing => (
                FailureKind::NotFound,
                Remedy::Person,
                Some(format!("name the view that this installation has in the mapping file of [sources.{}]; `tieout check` proposes one", self.source)),
            ),
            Class::MissingColumn => (
                FailureKind::Refused,
                Remedy::Person,
                Some(format!("name the column that this installation has in the mapping file of [sources.{}]; `tieout check` proposes one", self.source)),
            ),
            Class::Deadlock => (FailureKind::Refused, Remedy::Again, Some("run it again when fewer people post".to_owned())),
            Class::Slow => (
                FailureKind::Refused,
                Remedy::Again,
                Some("somebody holds a lock, or the server is busy: run it again later; timeout_seconds of [odbc] in the manifest gives a statement more time".to_owned()),
            ),
            Class::Lost => (FailureKind::Unreachable, Remedy::Reconnect, Some("look at the network between here and the server, then run it again".to_owned())),
            Class::NoDriver => (FailureKind::Unreachable, Remedy::Person, Some(self.drivers())),
            Class::Tls => (
                FailureKind::Unreachable,
                Remedy::Person,
                Some(format!(
                    "the server's certificate must be one that this machine trusts and name `server`; encrypt = \"no\" or trust_certificate = \"yes\" in \
                     [sources.{}] only inside a network that you trust: see docs/odbc.md",
                    self.source
                )),
            ),
            Class::Unreachable => (
                FailureKind::Unreachable,
                Remedy::Reconnect,
                Some("check server name and port, and that the firewall lets this machine in".to_owned()),
            ),
            Class::Snapshot => (FailureKind::Refused, Remedy::Committed, None),
            Class::Other => (FailureKind::Other, Remedy::Person, None),
        };
        Trouble { remedy, failure: self.failure(request, kind, what, hint) }
    }

    /// A failure of a statement.
    pub(super) fn failure(&self, request: &str, kind: FailureKind, what: String, hint: Option<String>) -> Failure {
        Failure { kind, request: format!("{request} at {}", self.place), what, hint, field: None }
    }

    /// Which drivers there are.
    fn drivers(&self) -> String {
        let drivers = odbc_api::environment().and_then(odbc_api::Environment::drivers).unwrap_or_default();
        let mut names: Vec<String> = drivers.into_iter().map(|driver| driver.description).collect();
        names.sort_unstable();
        let all = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!(
            "installed drivers are: {all}; name one of them as `driver` of [sources.{}], or install it; drivers are listed in \
             odbcinst.ini, whose folder ODBCSYSINI names if it is not /etc: see docs/odbc.md",
            self.source
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_say() {
        let sql_server = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]text";
        for (state, native, message, expected) in [
            ("42000", 229, sql_server, Class::Permission),
            ("42000", 229, "[PostgreSQL]text", Class::Other),
            ("28000", 18456, sql_server, Class::Login),
            ("42S02", 208, sql_server, Class::Missing),
            ("42S22", 207, sql_server, Class::MissingColumn),
            ("40001", 1205, sql_server, Class::Deadlock),
            ("HYT00", 0, "[Microsoft][ODBC Driver 18 for SQL Server]Query timeout expired", Class::Slow),
            ("HYT00", 0, "[Microsoft][ODBC Driver 18 for SQL Server]Login timeout expired", Class::Slow),
            ("08S01", 0, "[Microsoft][ODBC Driver 18 for SQL Server]Communication link failure", Class::Lost),
            ("01000", 0, "[unixODBC][Driver Manager]Can't open lib 'nope' : file not found", Class::NoDriver),
            ("IM002", 0, "[unixODBC]Data source name not found and no default driver specified", Class::NoDriver),
            (
                "08001",
                -1,
                "[Microsoft][ODBC Driver 18 for SQL Server]SSL Provider: [error:0A000086:SSL routines::certificate verify failed]",
                Class::Tls,
            ),
            ("08001", 101, "could not connect to server: Connection refused", Class::Unreachable),
            ("42501", 1, "ERROR: permission denied for table x", Class::Permission),
            ("42P01", 1, "ERROR: relation \"x\" does not exist", Class::Missing),
            ("08001", 101, "FATAL: password authentication failed for user \"u\"", Class::Login),
            ("08001", 101, "port 1 failed: FATAL:  database \"x\" does not exist", Class::Login),
            ("08001", 101, "failed: server does not support SSL, but SSL was required", Class::Tls),
            ("57P01", 1, "FATAL: terminating connection due to administrator command", Class::Lost),
            ("HY000", 0, "something else", Class::Other),
        ] {
            assert_eq!(class(state, native, message), expected, "{state} {native} {message}");
        }
    }
}
