//! Where a source's database is and how it is spoken to: the settings as one connection string, which nobody is ever shown.

use std::fmt;

use chrono_tz::Tz;

use super::dialect::Dialect;
use crate::clock::Clock;
use crate::extract::SourceSettings;
use crate::extract::failure::Error;
use crate::extract::manifest::Manifest;
use crate::extract::secrets::{Scrubber, Secret, Setting};
use crate::extract::template::{Piece, pieces};

/// Settings of every source of a database.
pub(crate) const CONNECTION: &str = "connection";
pub(crate) const DIALECT: &str = "dialect";
pub(crate) const MAPPING: &str = "mapping";

/// A source's database.
pub(super) struct Target {
    /// The source's name, for hints.
    pub source: String,
    pub connection: Secret,
    /// Where it is, for people.
    pub place: String,
    /// Who reads, for people.
    pub login: String,
    pub dialect: Dialect,
    pub schema: Option<String>,
    pub time_zone: Option<Tz>,
    pub timeout_seconds: usize,
    pub attempts: u32,
    pub clock: Clock,
    pub scrubber: Scrubber,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("source", &self.source).field("place", &self.place).finish_non_exhaustive()
    }
}

/// Parts of a connection string that hold secrets.
const SECRET_PARTS: [&str; 3] = ["pwd", "password", "accesstoken"];

/// Parts of a connection string that say where a database is, in the order in which people read them.
const PLACE_PARTS: [&[&str]; 3] =
    [&["server", "servername", "address", "host", "dsn"], &["port"], &["database", "dbname"]];

/// Parts of a connection string that say who reads.
const LOGIN_PARTS: &[&str] = &["uid", "user", "username", "user id"];

impl Target {
    /// The target of a source's settings.
    pub(super) fn new(source: &SourceSettings, clock: &Clock) -> Result<Self, Error> {
        let error =
            |problem: String, hint: &str| Error::Settings { name: source.name.clone(), problem, hint: hint.to_owned() };
        let declared = &source.manifest.odbc;
        let connection = match source.value(CONNECTION) {
            Some(whole) => whole.to_owned(),
            None => filled(&source.manifest, source),
        };
        if connection.trim().is_empty() {
            return Err(error(
                format!("`{CONNECTION}` is not set"),
                "write connection = { env = \"…\" } or { file = \"…\" }: it holds the whole connection string",
            ));
        }
        let parts = split(&connection);
        let part = |names: &[&str]| {
            let found = parts.iter().find(|(name, _)| names.contains(&name.as_str()));
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        let scrubber = Scrubber::new(&source.values);
        for (_, secret) in parts.iter().filter(|(name, _)| SECRET_PARTS.contains(&name.as_str())) {
            scrubber.add(secret);
        }
        let dialect = match source.value(DIALECT) {
            None => declared.dialect,
            Some(word) => Dialect::parse(word).ok_or_else(|| {
                error(format!("`{DIALECT} = \"{word}\"` is no dialect"), "known are sql_server and ansi")
            })?,
        };
        let setting = |template: &Option<String>| template.as_deref().and_then(|template| text(source, template));
        let time_zone = setting(&declared.time_zone).map(|name| {
            name.parse::<Tz>().map_err(|_| {
                error(format!("time zone `{name}`: not an IANA time zone"), "for example \"America/Chicago\"")
            })
        });
        let place: Vec<String> = PLACE_PARTS.iter().filter_map(|names| part(names)).collect();
        Ok(Self {
            source: source.name.clone(),
            place: if place.is_empty() { "the database".to_owned() } else { place.join("/") },
            login: part(LOGIN_PARTS).unwrap_or_default(),
            connection: Secret::new(connection),
            dialect,
            schema: setting(&declared.schema),
            time_zone: time_zone.transpose()?,
            timeout_seconds: declared.timeout_seconds as usize,
            attempts: declared.attempts,
            clock: clock.clone(),
            scrubber,
        })
    }
}

/// Folders that drivers are installed in, beside those that the loader knows: some packages name the file alone.
const DRIVER_FOLDERS: [&str; 8] = [
    "/usr/lib/x86_64-linux-gnu/odbc",
    "/usr/lib/aarch64-linux-gnu/odbc",
    "/usr/lib/odbc",
    "/usr/lib64/odbc",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib/odbc",
    "/opt/homebrew/lib",
];

/// A connection string whose driver is named by its file, where the package that installed the driver did not say in which folder
/// that is. `drivers` are the installed ones with their files.
pub(super) fn with_driver_file(connection: &str, drivers: &[(String, String)]) -> String {
    let parts = split(connection);
    let Some((_, name)) = parts.iter().find(|(part, _)| part == "driver") else { return connection.to_owned() };
    let file = drivers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, file)| file);
    let file = file.filter(|file| !file.is_empty() && !file.contains('/'));
    let found = file.and_then(|file| {
        let places = DRIVER_FOLDERS.iter().map(|folder| format!("{folder}/{file}"));
        places.into_iter().find(|place| std::path::Path::new(place).exists())
    });
    let Some(place) = found else { return connection.to_owned() };
    let part = |(part, value): &(String, String)| {
        let value = if part == "driver" { place.as_str() } else { value.as_str() };
        format!("{part}={}", quoted(value))
    };
    parts.iter().map(part).collect::<Vec<_>>().join(";")
}

/// A template's text; none if a setting in it is unset.
fn text(source: &SourceSettings, template: &str) -> Option<String> {
    let pieces = pieces(template).into_iter().map(|piece| match piece {
        Piece::Text(text) => Some(text.to_owned()),
        Piece::Setting(name) => source.value(name).map(str::to_owned),
        Piece::Column(..) => None,
    });
    pieces.collect()
}

/// The manifest's connection string for a source: a part whose setting is unset is left out.
fn filled(manifest: &Manifest, source: &SourceSettings) -> String {
    let parts = manifest.odbc.connection.split(';').map(str::trim).filter(|part| !part.is_empty());
    let filled = parts.filter_map(|part| {
        let pieces = pieces(part).into_iter().map(|piece| match piece {
            Piece::Text(text) => Some(text.to_owned()),
            Piece::Setting(name) => {
                source.values.get(name).map(Setting::expose).filter(|it| !it.is_empty()).map(quoted)
            }
            Piece::Column(..) => None,
        });
        pieces.collect::<Option<String>>()
    });
    filled.collect::<Vec<_>>().join(";")
}

/// A value of a connection string: in braces where its letters would end it.
fn quoted(value: &str) -> String {
    let is_plain =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_' | ',' | '\\' | ':' | '/');
    if value.chars().all(is_plain) { value.to_owned() } else { format!("{{{}}}", value.replace('}', "}}")) }
}

/// The parts of a connection string, names in lower case, values without their braces.
fn split(connection: &str) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    let mut rest = connection;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_start_matches([';', ' ']).trim().to_lowercase();
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('{') {
            None => {
                let end = after.find(';').unwrap_or(after.len());
                let (value, left) = after.split_at(end);
                (value.trim().to_owned(), left)
            }
            Some(inner) => braced(inner),
        };
        parts.push((name, value));
        rest = left.trim_start_matches([';', ' ']);
    }
    parts
}

/// A value in braces, in which one that ends nothing stands twice, and what follows it.
fn braced(inner: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = inner.char_indices().peekable();
    while let Some((place, letter)) = letters.next() {
        if letter == '}' && letters.next_if(|(_, next)| *next == '}').is_none() {
            return (value, inner.get(place + 1..).unwrap_or_default());
        }
        value.push(letter);
    }
    (value, "")
}

/// Whether a connection string holds a secret: then it may not stand in the settings.
pub(crate) fn holds_secret(connection: &str) -> bool {
    split(connection).iter().any(|(name, value)| SECRET_PARTS.contains(&name.as_str()) && !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_as_drivers_read_them() {
        for (value, written) in [
            ("sql.example.com,9000", "sql.example.com,9000"),
            ("HOST\\INSTANCE", "HOST\\INSTANCE"),
            ("ODBC Driver 18 for SQL Server", "{ODBC Driver 18 for SQL Server}"),
            ("p;a}ss=w{ord", "{p;a}}ss=w{ord}"),
        ] {
            assert_eq!(quoted(value), written);
            let parts = split(&format!("Driver=x; PWD={written};Database=d"));
            let pairs: Vec<(&str, &str)> = parts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(pairs, [("driver", "x"), ("pwd", value), ("database", "d")]);
        }
        assert!(holds_secret("Server=x;Pwd={a}"));
        assert!(!holds_secret("Server=x;Trusted_Connection=yes;PWD="));
    }
}
