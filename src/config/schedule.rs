//! `[schedule]`: what runs by itself, and when.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use chrono::NaiveTime;
use chrono_tz::Tz;
use serde::Deserialize;

use super::limits::Window;
use crate::schedule::{Cron, DayOfMonth, MonthEnd};

/// The name under which month ends are known: no entry may take it.
pub(crate) const MONTH_END: &str = "month_end";
/// How long a run takes at most where nothing is said.
const LIMIT: Duration = Duration::from_hours(12);
/// Days of a month that every month has.
const DAYS: u32 = 28;
/// Working days that every month has.
const WORKING_DAYS: u32 = 20;

/// `[schedule]`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ScheduleConfig {
    /// How long a run takes at most.
    pub limit: Option<Window>,
    /// Months are pinned and reported by themselves.
    pub month_end: Option<MonthEndConfig>,
    /// By the name that the firm gives.
    #[serde(flatten)]
    pub entries: BTreeMap<String, EntryConfig>,
}

/// One entry: `nightly = { cron = "30 2 * * *", run = "extract" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryConfig {
    /// Minute, hour, day of the month, month, day of the week, in the firm's zone.
    pub cron: String,
    /// The command as it would be typed, without `tieout`.
    pub run: CommandLine,
    /// How long it takes at most.
    pub limit: Option<Window>,
}

/// A command with its arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a command such as \"extract --incremental\", or its words as a list")]
pub enum CommandLine {
    /// Parted by blanks.
    Text(String),
    /// Word by word.
    Words(Vec<String>),
}

/// `[schedule.month_end]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonthEndConfig {
    /// The day of the next month, from 1.
    pub day: Option<u32>,
    /// Of Mondays to Fridays of the next month, from 1.
    pub working_day: Option<u32>,
    /// The time of that day, in the firm's zone.
    #[serde(default = "six")]
    pub time: String,
    /// The folder of reports, relative to `tieout.toml`.
    #[serde(default = "reports")]
    pub reports: PathBuf,
    /// Days after which nobody tries any more.
    #[serde(default = "ten")]
    pub give_up_days: u32,
    /// How long it takes at most.
    pub limit: Option<Window>,
}

fn six() -> String {
    "06:00".to_owned()
}

fn reports() -> PathBuf {
    PathBuf::from("reports")
}

fn ten() -> u32 {
    10
}

impl CommandLine {
    /// Its words.
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
            Self::Words(words) => words.clone(),
        }
    }
}

impl ScheduleConfig {
    /// Whether nothing runs by itself.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.month_end.is_none()
    }

    /// How long a run takes at most; `own` is what its entry says.
    pub fn limit(&self, own: Option<Window>) -> Duration {
        own.or(self.limit).map_or(LIMIT, |Window(span)| span)
    }

    /// When months are pinned; none if nobody does.
    pub(crate) fn month_end(&self, zone: Tz) -> Result<Option<MonthEnd>> {
        let Some(config) = &self.month_end else { return Ok(None) };
        let day = match (config.day, config.working_day) {
            (Some(day), None) if (1..=DAYS).contains(&day) => DayOfMonth::Calendar(day),
            (None, Some(day)) if (1..=WORKING_DAYS).contains(&day) => DayOfMonth::Working(day),
            (Some(day), None) => bail!("[schedule.month_end] day = {day}: from 1 to {DAYS}"),
            (None, Some(day)) => bail!("[schedule.month_end] working_day = {day}: from 1 to {WORKING_DAYS}"),
            _ => bail!("[schedule.month_end]: needs one of `day` and `working_day`\nhint: working_day = 3"),
        };
        if config.give_up_days == 0 {
            bail!("[schedule.month_end] give_up_days = 0: no month would be pinned\nhint: 10 is the default");
        }
        let time = time("[schedule.month_end] time", &config.time)?;
        Ok(Some(MonthEnd { day, time, days_max: config.give_up_days, zone }))
    }
}

/// A time of day; `key` begins the message.
pub(super) fn time(key: &str, text: &str) -> Result<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M")
        .map_err(|_| anyhow::anyhow!("{key} = \"{text}\": no time of day\nhint: for example \"06:00\""))
}

/// Refuses what is no cron line, and names that mean something else.
pub(super) fn check(schedule: &ScheduleConfig) -> Result<()> {
    for (name, entry) in &schedule.entries {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if name.is_empty() || !name.chars().all(is_plain) {
            bail!("[schedule] \"{name}\": a name has letters, digits, `_` and `-` only");
        }
        if let Err(reason) = Cron::parse(&entry.cron) {
            bail!(
                "[schedule] {name}: cron = \"{}\": {reason}\nhint: minute, hour, day of the month, month, day of the week: \
                 \"30 2 * * *\" is every night at 02:30",
                entry.cron
            );
        }
        if entry.run.words().is_empty() {
            bail!("[schedule] {name}: run = \"\": nothing to run\nhint: a command such as \"extract\"");
        }
    }
    schedule.month_end(Tz::UTC).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn read(text: &str) -> Result<ScheduleConfig, String> {
        let config = Config::parse(&format!("[schedule]\n{text}"), PathBuf::new());
        config.map(|config| config.schedule).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn entries_have_names_of_the_firm() {
        let schedule = read(
            "limit = \"6h\"\nnightly = { cron = \"30 2 * * *\", run = \"extract --full\" }\n\
             proof = { cron = \"0 6 * * 1\", run = [\"verify\", \"--deep\"], limit = \"1h\" }\n\
             [schedule.month_end]\nworking_day = 3",
        )
        .unwrap();
        assert_eq!(schedule.entries["nightly"].run.words(), ["extract", "--full"]);
        assert_eq!(schedule.limit(schedule.entries["proof"].limit), Duration::from_hours(1));
        assert_eq!(schedule.limit(None), Duration::from_hours(6));
        assert_eq!(schedule.month_end(Tz::UTC).unwrap().unwrap().day, DayOfMonth::Working(3));
        assert!(!schedule.is_empty() && ScheduleConfig::default().is_empty());
        assert_eq!(ScheduleConfig::default().limit(None), LIMIT);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_name() {
        for (text, expected) in [
            (
                "nightly = { cron = \"30 2 * *\", run = \"extract\" }",
                "[schedule] nightly: cron = \"30 2 * *\": it has 4 fields",
            ),
            ("nightly = { cron = \"30 25 * * *\", run = \"extract\" }", "[schedule] nightly: cron"),
            ("nightly = { cron = \"30 2 * * *\", run = \" \" }", "nothing to run"),
            ("nightly = { corn = \"30 2 * * *\", run = \"extract\" }", "corn"),
            ("\"a b\" = { cron = \"30 2 * * *\", run = \"extract\" }", "letters, digits"),
            ("[schedule.month_end]\nday = 31", "day = 31: from 1 to 28"),
            ("[schedule.month_end]\ntime = \"06:00\"", "needs one of `day` and `working_day`"),
            ("[schedule.month_end]\nday = 3\ntime = \"6 o'clock\"", "no time of day"),
            ("[schedule.month_end]\nday = 3\ngive_up_days = 0", "give_up_days = 0"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
    }
}
