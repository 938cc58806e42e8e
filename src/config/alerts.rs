//! `[alerts]`: who is told of what, and when not.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use chrono::{NaiveTime, Weekday};
use chrono_tz::Tz;
use serde::Deserialize;

use super::SecretReference;
use super::schedule::time;
use crate::alerts::Hours;

/// Rows of a check that a message shows at most.
const ROWS_MAX: usize = 20;

/// `[alerts]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// Exceptions that are less severe are not told.
    pub severity: LeastSeverity,
    /// How much of amounts leaves the firm.
    pub amounts: Amounts,
    /// Rows of each check that are named.
    pub rows: usize,
    /// Hours after which a source is stale; as `[checks] freshness_hours` if not said.
    pub stale_hours: Option<i64>,
    /// When nobody is told, such as "20:00-06:00", in the firm's zone.
    pub quiet: Option<String>,
    /// Days on which nobody is told, such as "Sat".
    pub quiet_days: Vec<String>,
    /// The time at which the day's messages come in one; each by itself without it.
    pub digest: Option<String>,
    /// A chat.
    pub webhook: Option<WebhookConfig>,
    /// Mail.
    pub smtp: Option<SmtpConfig>,
}

/// From which severity on.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum LeastSeverity {
    /// All.
    Low,
    /// Medium and high.
    #[default]
    Medium,
    /// High alone.
    High,
}

/// How much of amounts a message tells.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Amounts {
    /// None: a chat is somebody else's computer.
    #[default]
    None,
    /// Of each check together.
    Totals,
    /// Of each row too.
    Rows,
}

/// `[alerts.webhook]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to; who knows it may write there, so it is a secret.
    pub url: SecretReference,
    /// How it is written.
    pub format: WebhookFormat,
}

/// What a chat understands.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    /// Slack's blocks; Mattermost and others read their text.
    Slack,
    /// An Adaptive Card, for a Teams workflow.
    Teams,
    /// The messages as they are.
    Json,
}

/// `[alerts.smtp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// The mail server.
    pub host: String,
    /// Its port; 587, 465 or 25 by `tls` if not said.
    pub port: Option<u16>,
    /// How the connection is kept secret.
    #[serde(default)]
    pub tls: SmtpTls,
    /// A PEM file, relative to `tieout.toml`, with the authorities that the server's certificate must come from; those that the machine
    /// trusts without it.
    pub ca: Option<PathBuf>,
    /// Who signs in; nobody without it.
    pub user: Option<String>,
    /// And the password.
    pub password: Option<SecretReference>,
    /// The sender, such as `tieout <tieout@example.com>`.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
}

/// How mail is kept secret on its way to the server.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// Begun in clear, then TLS, or nothing is sent.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// In clear.
    None,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            severity: LeastSeverity::default(),
            amounts: Amounts::default(),
            rows: 3,
            stale_hours: None,
            quiet: None,
            quiet_days: Vec::new(),
            digest: None,
            webhook: None,
            smtp: None,
        }
    }
}

impl SmtpConfig {
    /// The port that is meant.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        })
    }

    /// Whether the server is this machine.
    fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl AlertsConfig {
    /// Whether somebody is told.
    pub fn has_receiver(&self) -> bool {
        self.webhook.is_some() || self.smtp.is_some()
    }

    /// When messages may go out.
    pub(crate) fn hours(&self, zone: Tz) -> Result<Hours> {
        let mut quiet = None;
        if let Some(text) = &self.quiet {
            let key = "[alerts] quiet";
            let Some((from, until)) = text.split_once('-') else {
                bail!("{key} = \"{text}\": no span of a day\nhint: for example \"20:00-06:00\"");
            };
            let span: (NaiveTime, NaiveTime) = (time(key, from.trim())?, time(key, until.trim())?);
            if span.0 == span.1 {
                bail!("{key} = \"{text}\": from and until are the same\nhint: for example \"20:00-06:00\"");
            }
            quiet = Some(span);
        }
        let mut days = Vec::new();
        for day in &self.quiet_days {
            let Ok(day) = day.parse::<Weekday>() else {
                bail!("[alerts] quiet_days: `{day}` is no day of the week\nhint: [\"Sat\", \"Sun\"]");
            };
            days.push(day);
        }
        if (0..7).filter_map(|day| Weekday::try_from(day).ok()).all(|day| days.contains(&day)) {
            bail!("[alerts] quiet_days: nobody would ever be told\nhint: leave a day out");
        }
        let digest = self.digest.as_ref().map(|text| time("[alerts] digest", text)).transpose()?;
        Ok(Hours { zone, quiet, days, digest })
    }
}

/// Refuses what would tell nobody, or tell it to everybody.
pub(super) fn check(alerts: &AlertsConfig) -> Result<()> {
    alerts.hours(Tz::UTC)?;
    if alerts.rows > ROWS_MAX {
        bail!("[alerts] rows = {}: at most {ROWS_MAX}", alerts.rows);
    }
    if alerts.stale_hours.is_some_and(|hours| hours < 1) {
        bail!("[alerts] stale_hours: at least 1\nhint: leave it out to go by [checks] freshness_hours");
    }
    let Some(smtp) = &alerts.smtp else { return Ok(()) };
    if smtp.to.is_empty() {
        bail!("[alerts.smtp] to = []: nobody would be told\nhint: to = [\"controller@example.com\"]");
    }
    for address in std::iter::once(&smtp.from).chain(&smtp.to) {
        if let Err(error) = address.parse::<lettre::message::Mailbox>() {
            bail!(
                "[alerts.smtp] `{address}` is no mail address: {error}\nhint: \"controller@example.com\" or \"Name <…>\""
            );
        }
    }
    if smtp.tls == SmtpTls::None && smtp.ca.is_some() {
        bail!(
            "[alerts.smtp] ca: without TLS there is no certificate to look at\nhint: tls = \"starttls\", or leave ca out"
        );
    }
    if smtp.user.is_some() != smtp.password.is_some() {
        bail!("[alerts.smtp]: user and password go together\nhint: password = {{ env = \"TIEOUT_SMTP_PASSWORD\" }}");
    }
    if smtp.tls == SmtpTls::None && smtp.password.is_some() && !smtp.is_local() {
        bail!(
            "[alerts.smtp] tls = \"none\": the password would travel in clear to {}\nhint: tls = \"starttls\"",
            smtp.host
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Config;
    use super::*;

    const SMTP: &str = "[alerts.smtp]\nhost = \"mail.example.com\"\nfrom = \"tieout@example.com\"\n";

    fn read(text: &str) -> Result<AlertsConfig, String> {
        let config = Config::parse(text, PathBuf::new());
        config.map(|config| config.alerts).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn who_is_told_and_when() {
        let alerts = read(&format!(
            "[alerts]\nseverity = \"high\"\nquiet = \"20:00-06:00\"\nquiet_days = [\"Sat\", \"sunday\"]\n\
             [alerts.webhook]\nurl = {{ env = \"X\" }}\nformat = \"teams\"\n{SMTP}to = [\"Ada <ada@example.com>\"]"
        ))
        .unwrap();
        assert!(alerts.has_receiver() && !AlertsConfig::default().has_receiver());
        assert_eq!((alerts.severity, alerts.amounts), (LeastSeverity::High, Amounts::None));
        assert_eq!(alerts.hours(Tz::UTC).unwrap().days, [Weekday::Sat, Weekday::Sun]);
        let smtp = alerts.smtp.unwrap();
        assert_eq!((smtp.tls, smtp.port()), (SmtpTls::Starttls, 587));
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_key() {
        for (text, expected) in [
            ("[alerts]\nseverty = \"low\"".to_owned(), "did you mean `severity`?"),
            ("[alerts]\nquiet = \"at night\"".to_owned(), "[alerts] quiet = \"at night\""),
            ("[alerts]\nquiet = \"25:00-06:00\"".to_owned(), "no time of day"),
            ("[alerts]\nquiet = \"06:00-06:00\"".to_owned(), "are the same"),
            ("[alerts]\nquiet_days = [\"Caturday\"]".to_owned(), "no day of the week"),
            (
                "[alerts]\nquiet_days = [\"Mon\",\"Tue\",\"Wed\",\"Thu\",\"Fri\",\"Sat\",\"Sun\"]".to_owned(),
                "nobody would ever",
            ),
            ("[alerts]\ndigest = \"daily\"".to_owned(), "[alerts] digest"),
            ("[alerts]\nrows = 99".to_owned(), "rows = 99"),
            ("[alerts]\nstale_hours = 0".to_owned(), "stale_hours"),
            (format!("{SMTP}to = []"), "to = []"),
            (format!("{SMTP}to = [\"nobody\"]"), "`nobody` is no mail address"),
            (format!("{SMTP}to = [\"a@example.com\"]\nuser = \"x\""), "user and password go together"),
            (
                format!("{SMTP}to = [\"a@example.com\"]\nuser = \"x\"\npassword = {{ env = \"X\" }}\ntls = \"none\""),
                "would travel in clear",
            ),
            ("[alerts.webhook]\nurl = \"https://example.com/x\"\nformat = \"slack\"".to_owned(), "url"),
        ] {
            let refused = read(&text).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
            assert!(!refused.contains("example.com/x") || text.contains("url = \"https"), "{refused}");
        }
    }
}
