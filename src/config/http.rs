//! `[http]`: the page beside the SQL server.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;

/// Nobody stays logged in longer than this, whatever the settings say.
const HOURS_MAX: u64 = 24 * 7;

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address and port; no page without one here or after `--http`.
    pub listen: Option<String>,
    /// Minutes without a request after which somebody is logged out.
    pub idle_minutes: u64,
    /// Hours after which somebody has to log in again in any case.
    pub session_hours: u64,
    /// Who reads `/metrics` without a role's name and password.
    pub metrics: MetricsAccess,
}

/// Who reads `/metrics` without a role's name and password.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum MetricsAccess {
    /// Programs on this machine, without amounts.
    #[default]
    Local,
    /// Nobody.
    Roles,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: None, idle_minutes: 30, session_hours: 12, metrics: MetricsAccess::Local }
    }
}

impl HttpConfig {
    /// How long somebody may do nothing.
    pub fn idle(&self) -> Duration {
        Duration::from_mins(self.idle_minutes)
    }

    /// How long somebody stays logged in at most.
    pub fn longest(&self) -> Duration {
        Duration::from_hours(self.session_hours)
    }
}

/// Refuses limits that can mean nothing.
pub(super) fn check(http: &HttpConfig) -> Result<()> {
    if http.idle_minutes == 0 {
        bail!("[http] idle_minutes = 0: everybody would be logged out at once\nhint: 30 is the default");
    }
    if http.session_hours == 0 || http.session_hours > HOURS_MAX {
        bail!("[http] session_hours = {}: from 1 to {HOURS_MAX}\nhint: 12 is the default", http.session_hours);
    }
    if http.idle_minutes > http.session_hours * 60 {
        bail!(
            "[http] idle_minutes = {}: longer than session_hours = {}\nhint: 30 minutes and 12 hours are the defaults",
            http.idle_minutes,
            http.session_hours
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Config;
    use super::*;

    #[test]
    fn what_means_nothing_is_refused_with_its_key() {
        for (text, expected) in [
            ("idle_minutes = 0", "idle_minutes = 0"),
            ("session_hours = 0", "session_hours = 0"),
            ("session_hours = 200", "session_hours = 200"),
            ("idle_minutes = 600\nsession_hours = 1", "longer than session_hours"),
            ("metrics = \"everybody\"", "metrics"),
        ] {
            let refused = format!("{:#}", Config::parse(&format!("[http]\n{text}"), PathBuf::new()).unwrap_err());
            assert!(refused.contains(expected), "{text}: {refused}");
        }
        let http = Config::parse("[http]\nmetrics = \"roles\"", PathBuf::new()).unwrap().http;
        assert_eq!(
            (http.metrics, http.idle().as_secs(), http.longest().as_secs()),
            (MetricsAccess::Roles, 1800, 43_200)
        );
    }
}
