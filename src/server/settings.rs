//! A session's parameters: the Postgres ones that clients set and read, and `tieout.*`, which belong to the engine.
//!
//! Invariant: a name that nobody knows is refused (42704), never answered and ignored.

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::time::Duration;

use datafusion::arrow::array::timezone::Tz;

use super::encoding;
use super::failure::{DENIED, Failure, INVALID_VALUE, UNDEFINED_OBJECT, UNSUPPORTED};
use super::postgres::instant;

/// The version that clients are told: they choose their catalogue queries by it.
pub(crate) const SERVER_VERSION: &str = "16.6";

/// Name, default, whether a client may set it. Names compare without case; the spelling here is what is shown.
const KNOWN: &[(&str, &str, bool)] = &[
    ("application_name", "", true),
    ("backslash_quote", "safe_encoding", true),
    ("bytea_output", "hex", true),
    ("check_function_bodies", "on", true),
    ("client_encoding", "UTF8", true),
    ("client_min_messages", "notice", true),
    ("DateStyle", "ISO, MDY", true),
    ("default_table_access_method", "heap", true),
    ("default_tablespace", "", true),
    ("default_transaction_deferrable", "off", true),
    ("default_transaction_isolation", "read committed", true),
    ("default_transaction_read_only", "on", true),
    ("effective_cache_size", "4GB", true),
    ("enable_bitmapscan", "on", true),
    ("enable_hashagg", "on", true),
    ("enable_hashjoin", "on", true),
    ("enable_indexscan", "on", true),
    ("enable_mergejoin", "on", true),
    ("enable_nestloop", "on", true),
    ("enable_seqscan", "on", true),
    ("enable_sort", "on", true),
    ("extra_float_digits", "1", true),
    ("geqo", "on", true),
    ("idle_in_transaction_session_timeout", "0", true),
    ("idle_session_timeout", "0", true),
    ("in_hot_standby", "off", false),
    ("integer_datetimes", "on", false),
    ("IntervalStyle", "postgres", true),
    ("is_superuser", "off", false),
    ("jit", "off", true),
    ("lc_collate", "C", false),
    ("lc_ctype", "C", false),
    ("lc_messages", "C", true),
    ("lc_monetary", "C", true),
    ("lc_numeric", "C", true),
    ("lc_time", "C", true),
    ("lock_timeout", "0", true),
    ("max_identifier_length", "63", false),
    ("max_index_keys", "32", false),
    ("max_parallel_workers_per_gather", "2", true),
    ("plan_cache_mode", "auto", true),
    ("random_page_cost", "4", true),
    ("role", "none", true),
    ("row_security", "on", true),
    ("search_path", "", true),
    ("server_encoding", "UTF8", false),
    ("server_version", SERVER_VERSION, false),
    ("server_version_num", "160006", false),
    ("session_authorization", "", false),
    ("standard_conforming_strings", "on", true),
    ("statement_timeout", "0", true),
    ("synchronize_seqscans", "on", true),
    ("synchronous_commit", "on", true),
    ("temp_tablespaces", "", true),
    ("TimeZone", "UTC", true),
    ("transaction_deferrable", "off", true),
    ("transaction_isolation", "read committed", true),
    ("transaction_read_only", "on", true),
    ("work_mem", "4MB", true),
    ("xmloption", "content", true),
];

/// What the server reports when a session starts, and again when it changes.
pub(crate) const REPORTED: &[&str] = &[
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// The Postgres parameters of one session.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    values: BTreeMap<String, String>,
    defaults: BTreeMap<String, String>,
    zone: Tz,
    timeout: Option<Duration>,
    /// The longest that the role's statements may run.
    timeout_max: Option<Duration>,
}

impl Settings {
    /// The settings of a session of `user` that looks at `schema` first.
    pub(crate) fn new(user: &str, schema: &str, timeout: Option<Duration>) -> Result<Self, Failure> {
        let mut defaults: BTreeMap<String, String> =
            KNOWN.iter().map(|(name, value, _)| (name.to_ascii_lowercase(), (*value).to_owned())).collect();
        defaults.insert("session_authorization".to_owned(), user.to_owned());
        defaults.insert("search_path".to_owned(), schema.to_owned());
        let milliseconds = timeout.map_or(0, |timeout| timeout.as_millis());
        defaults.insert("statement_timeout".to_owned(), milliseconds.to_string());
        let zone = Tz::from_str("UTC").map_err(Failure::from)?;
        Ok(Self { values: defaults.clone(), defaults, zone, timeout, timeout_max: None })
    }

    /// The same for a role whose statements may run no longer.
    pub(crate) fn bounded(mut self, most: Option<Duration>) -> Result<Self, Failure> {
        let Some(most) = most else { return Ok(self) };
        if self.timeout.is_none_or(|timeout| timeout > most) {
            self.set_default("statement_timeout", &most.as_millis().to_string())?;
        }
        self.timeout_max = Some(most);
        Ok(self)
    }

    /// The spelling of a known name.
    pub(crate) fn canonical(name: &str) -> Option<&'static str> {
        KNOWN.iter().map(|known| known.0).find(|known| known.eq_ignore_ascii_case(name))
    }

    /// All names with their values, in the order of their names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KNOWN.iter().filter_map(|(name, ..)| Some((*name, self.get(name)?)))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// The zone in which `timestamptz` is shown.
    pub(crate) fn zone(&self) -> Tz {
        self.zone
    }

    /// How long a statement may run.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// How long the client may say nothing, inside of a transaction or outside.
    pub(crate) fn patience(&self, in_transaction: bool) -> Option<Duration> {
        let name = if in_transaction { "idle_in_transaction_session_timeout" } else { "idle_session_timeout" };
        duration(self.get(name)?).filter(|limit| !limit.is_zero())
    }

    /// Sets a parameter; without a value, back to its default.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Failure> {
        let key = name.to_ascii_lowercase();
        let Some((known, _, settable)) = KNOWN.iter().find(|known| known.0.eq_ignore_ascii_case(name)) else {
            return Err(unknown(name));
        };
        if !settable {
            return Err(Failure::new("55P02", format!("parameter \"{known}\" cannot be changed")));
        }
        let mut value = match value {
            Some(value) => value.to_owned(),
            None => self.defaults.get(&key).cloned().unwrap_or_default(),
        };
        let refused = format!("invalid value for parameter \"{known}\": \"{value}\"");
        let invalid = || Failure::new(INVALID_VALUE, refused.clone());
        match key.as_str() {
            "timezone" => self.zone = zone(&value).ok_or_else(invalid)?,
            "statement_timeout" => {
                let timeout = duration(&value).ok_or_else(invalid)?;
                if let Some(most) = self.timeout_max.filter(|most| timeout.is_zero() || timeout > *most) {
                    let refused = format!("permission denied to set parameter \"{known}\" to \"{value}\"");
                    return Err(Failure::new(DENIED, refused)
                        .hint(format!("the role's statements may run {} ms at most", most.as_millis())));
                }
                self.timeout = (!timeout.is_zero()).then_some(timeout);
            }
            "idle_session_timeout" | "idle_in_transaction_session_timeout" if duration(&value).is_none() => {
                return Err(invalid());
            }
            // Nobody becomes somebody else.
            "role" if !value.eq_ignore_ascii_case("none") && self.get("session_authorization") != Some(&value) => {
                return Err(Failure::new(DENIED, format!("permission denied to set role \"{value}\""))
                    .hint("log in as that role"));
            }
            "client_encoding" => encoding::canonical(&value)?.clone_into(&mut value),
            "datestyle" if is_iso(&value) => "ISO, MDY".clone_into(&mut value),
            "datestyle" => {
                return Err(Failure::new(UNSUPPORTED, format!("DateStyle \"{value}\" is not supported"))
                    .hint("dates are written as ISO and read as ISO or month/day/year: use to_date for others"));
            }
            "intervalstyle" if !value.eq_ignore_ascii_case("postgres") => {
                return Err(Failure::new(UNSUPPORTED, format!("IntervalStyle \"{value}\" is not supported"))
                    .hint("intervals are written as style postgres"));
            }
            "bytea_output" if !value.eq_ignore_ascii_case("hex") => {
                return Err(Failure::new(UNSUPPORTED, format!("bytea_output \"{value}\" is not supported"))
                    .hint("bytes are written as hex; encode(x, 'escape') writes them otherwise"));
            }
            // Transactions may be meant to write by default; none can.
            "transaction_read_only" if is_off(&value) => {
                return Err(Failure::new("25006", "the server is read only: a transaction cannot be set read-write"));
            }
            _ => {}
        }
        self.values.insert(key, value);
        Ok(())
    }

    /// Sets the value that `RESET` goes back to, at the start of a session.
    pub(crate) fn set_default(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        self.set(name, Some(value))?;
        self.defaults.insert(name.to_ascii_lowercase(), value.to_owned());
        Ok(())
    }

    /// Every parameter back to its default.
    pub(crate) fn reset_all(&mut self) -> Result<(), Failure> {
        KNOWN.iter().filter(|known| known.2).try_for_each(|(name, ..)| self.set(name, None))
    }
}

/// The refusal of a name that nobody knows.
pub(crate) fn unknown(name: &str) -> Failure {
    Failure::new(UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

/// A zone by its name or offset; `LOCAL` and `DEFAULT` are UTC.
fn zone(value: &str) -> Option<Tz> {
    let value =
        if value.eq_ignore_ascii_case("local") || value.eq_ignore_ascii_case("default") { "UTC" } else { value };
    Tz::from_str(value).ok().or_else(|| {
        let Ok(hours) = value.parse::<i32>() else { return instant::zone(value) };
        if hours.abs() > 15 {
            return None;
        }
        Tz::from_str(&format!("{}{:02}:00", if hours < 0 { '-' } else { '+' }, hours.abs())).ok()
    })
}

/// What means ISO with the month before the day, in any order and with either word left out.
fn is_iso(value: &str) -> bool {
    let mut words = value.split(',').map(|word| word.trim().to_ascii_lowercase());
    words.all(|word| ["iso", "mdy", "us", "noneuro", "noneuropean", "default"].contains(&word.as_str()))
}

fn is_off(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "off" | "false" | "no" | "0")
}

/// A duration as Postgres writes it: milliseconds without a unit, else `ms`, `s`, `min`, `h`.
fn duration(value: &str) -> Option<Duration> {
    let value = value.trim();
    let split = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at_checked(split)?;
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).filter(|all| *all <= i32::MAX.unsigned_abs().into()).map(Duration::from_millis)
}

/// The settings inside a startup packet's `options`: `-c name=value` and `--name=value`, backslash escaping a space. Whatever else
/// stands there is an error: a moment that is passed over would show another one.
pub(crate) fn startup_options(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => words.last_mut().into_iter().for_each(|word| word.extend(characters.next())),
            c if c.is_whitespace() => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next()
        } else {
            word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).map(str::to_owned)
        };
        let Some((name, value)) = assignment.as_deref().and_then(|assignment| assignment.split_once('=')) else {
            let text = format!("invalid command-line argument for server process: {}", assignment.unwrap_or(word));
            return Err(Failure::new("42601", text)
                .hint("options are written -c name=value; a blank within a value has a backslash before it"));
        };
        found.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_bounds_how_long_statements_run() {
        let settings = |timeout| Settings::new("ada", "recon", timeout).unwrap();
        let five = Some(Duration::from_secs(5));
        let mut bounded = settings(None).bounded(five).unwrap();
        assert_eq!((bounded.timeout(), bounded.get("statement_timeout")), (five, Some("5000")));
        for longer in ["0", "6s"] {
            assert_eq!(bounded.set("statement_timeout", Some(longer)).unwrap_err().code, "42501");
        }
        bounded.set("statement_timeout", Some("1s")).unwrap();
        bounded.reset_all().unwrap();
        assert_eq!(bounded.timeout(), five);
        let shorter = settings(Some(Duration::from_secs(1))).bounded(five).unwrap();
        assert_eq!(shorter.timeout(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn options_of_the_startup_packet() {
        let found =
            startup_options(r"-c statement_timeout=77 --tieout.as-of=2025-12-31 -capplication_name=a\ b").unwrap();
        let expected = [("statement_timeout", "77"), ("tieout.as_of", "2025-12-31"), ("application_name", "a b")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for wrong in ["-c search_path=recon, pm", "-c tieout.as_of 2025-12-31", "tieout.as_of=2025-12-31", "-c"] {
            assert_eq!(startup_options(wrong).unwrap_err().code, "42601", "{wrong}");
        }
    }

    #[test]
    fn values_are_checked_and_names_known() {
        let mut settings = Settings::new("ada", "recon", None).unwrap();
        settings.set("STATEMENT_TIMEOUT", Some("2s")).unwrap();
        assert_eq!(settings.timeout(), Some(Duration::from_secs(2)));
        assert_eq!(settings.set("statement_timeout", Some("soon")).unwrap_err().code, "22023");
        settings.set("timezone", Some("America/Chicago")).unwrap();
        assert_eq!(settings.set("timezone", Some("Mars/Olympus")).unwrap_err().code, "22023");
        assert_eq!(settings.set("server_version", Some("9")).unwrap_err().code, "55P02");
        assert_eq!(settings.set("nonsense", Some("9")).unwrap_err().code, "42704");
        assert_eq!(settings.set("transaction_read_only", Some("off")).unwrap_err().code, "25006");
        settings.set("default_transaction_read_only", Some("off")).unwrap();
        for role in ["ada", "none"] {
            settings.set("role", Some(role)).unwrap();
        }
        assert_eq!(settings.set("role", Some("boss")).unwrap_err().code, "42501");
        settings.set("datestyle", Some("iso")).unwrap();
        assert_eq!(settings.get("DateStyle"), Some("ISO, MDY"));
        for (name, value) in [("datestyle", "ISO, DMY"), ("datestyle", "German"), ("bytea_output", "escape")] {
            assert_eq!(settings.set(name, Some(value)).unwrap_err().code, "0A000", "{name} {value}");
        }
        settings.set("client_encoding", Some("'utf-8'")).unwrap();
        assert_eq!(settings.get("client_encoding"), Some("UTF8"));
        assert_eq!(settings.set("client_encoding", Some("martian")).unwrap_err().code, "22023");
        settings.set("timezone", None).unwrap();
        assert_eq!(settings.get("TimeZone"), Some("UTC"));
    }
}
