//! How the databases write what they do not agree on.

use serde::Deserialize;

/// A way of writing statements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Microsoft SQL Server.
    #[default]
    SqlServer,
    /// The standard, as PostgreSQL writes it.
    Ansi,
}

impl Dialect {
    /// The dialect of a setting.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "sql_server" => Some(Self::SqlServer),
            "ansi" => Some(Self::Ansi),
            _ => None,
        }
    }

    /// A name, quoted: whatever it holds, it is a name.
    pub(super) fn quoted(self, name: &str) -> String {
        match self {
            Self::SqlServer => format!("[{}]", name.replace(']', "]]")),
            Self::Ansi => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// The number of rows, however many.
    pub(super) fn count(self) -> &'static str {
        match self {
            Self::SqlServer => "count_big(*)",
            Self::Ansi => "count(*)",
        }
    }

    /// Year and month of a column of days.
    pub(super) fn month_of(self, column: &str) -> [String; 2] {
        match self {
            Self::SqlServer => [format!("year({column})"), format!("month({column})")],
            Self::Ansi => [format!("extract(year from {column})"), format!("extract(month from {column})")],
        }
    }

    /// What stands before and after the columns of a query for a few rows at most.
    pub(super) fn first_rows(self, count: u32) -> [String; 2] {
        match self {
            Self::SqlServer => [format!("top ({count}) "), String::new()],
            Self::Ansi => [String::new(), format!(" fetch first {count} rows only")],
        }
    }

    /// What a connection is told before its first transaction. Of two that stand in each other's way ours is the one that gives in:
    /// readers are tried again, entries are not.
    pub(super) fn on_connection(self) -> &'static [&'static str] {
        match self {
            Self::SqlServer => &["set deadlock_priority low", "set lock_timeout 60000"],
            Self::Ansi => &[],
        }
    }

    /// Whether readers may see the database as it was at one moment: a query whose one value is 1 where they may.
    pub(super) fn asks_for_snapshot(self) -> Option<&'static str> {
        match self {
            Self::SqlServer => {
                Some("select cast(snapshot_isolation_state as int) from sys.databases where name = db_name()")
            }
            Self::Ansi => None,
        }
    }

    /// How a transaction is told to see the database as it was at one moment.
    pub(super) fn snapshot(self) -> &'static str {
        match self {
            Self::SqlServer => "set transaction isolation level snapshot",
            Self::Ansi => "set transaction isolation level repeatable read, read only",
        }
    }

    /// How a transaction is told to read committed rows alone, where a snapshot is not allowed.
    pub(super) fn committed(self) -> &'static str {
        match self {
            Self::SqlServer => "set transaction isolation level read committed",
            Self::Ansi => "set transaction isolation level read committed, read only",
        }
    }
}
