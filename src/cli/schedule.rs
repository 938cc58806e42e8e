//! `tieout schedule`: what runs by itself, when next, and how it ended last. What `tieout serve --schedule` carries out.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use chrono::{DateTime, Datelike as _, Months, Utc};
use chrono_tz::Tz;
use clap::{Args, Parser as _};
use serde_json::json;

use super::{Arguments, Command, Failure, Global};
use crate::clock::Clock;
use crate::config::{Config, MONTH_END};
use crate::extract::did_you_mean;
use crate::schedule::{Cron, DayOfMonth, Ledger, MonthEnd, Run, ServerLock, Told, Watch, headline};

mod child;
mod month_ends;
pub(super) mod note;
mod runner;

pub(super) use runner::Runner;

/// What an entry may run.
const VERBS: [&str; 5] = ["extract", "verify", "vacuum", "report", "pin"];
/// Moments ahead that are shown.
const NEXT: usize = 3;

/// Arguments of `schedule`.
#[derive(Args, Debug)]
pub(super) struct ScheduleArguments {
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
    /// The moment to look from, for simulations
    #[arg(long, value_name = "T")]
    now: Option<DateTime<Utc>>,
}

/// What the settings say, understood.
#[derive(Debug)]
pub(super) struct Plan {
    /// The firm's zone.
    pub(super) zone: Tz,
    /// By name.
    pub(super) entries: Vec<Entry>,
    /// How months are pinned, if they are.
    pub(super) month_end: Option<MonthEndPlan>,
}

/// A month's end, as it is carried out.
#[derive(Clone, Debug)]
pub(super) struct MonthEndPlan {
    /// When.
    pub(super) rule: MonthEnd,
    /// Where reports go, as the settings say it.
    pub(super) reports: String,
    /// How long one attempt takes at most.
    pub(super) limit: Duration,
}

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// As the firm calls it.
    pub(super) name: String,
    /// When.
    pub(super) cron: Cron,
    /// The command and its arguments, moments still as `{month}`.
    words: Vec<String>,
    /// How long it takes at most.
    pub(super) limit: Duration,
}

impl Plan {
    /// Reads `[schedule]`.
    ///
    /// # Errors
    /// A command that cannot run by itself, or whose arguments are wrong.
    pub(super) fn read(config: &Config) -> Result<Self> {
        let zone: Tz = config.firm.timezone.parse().map_err(|error| anyhow!("read [firm] timezone: {error}"))?;
        let schedule = &config.schedule;
        let mut entries = Vec::new();
        for (name, entry) in &schedule.entries {
            let cron = Cron::parse(&entry.cron).map_err(|reason| anyhow!("[schedule] {name}: {reason}"))?;
            let words = entry.run.words();
            let limit = schedule.limit(entry.limit);
            let entry = Entry { name: name.clone(), cron, words, limit };
            entry.check(zone).with_context(|| format!("[schedule] {name}: run"))?;
            entries.push(entry);
        }
        let month_end = schedule.month_end(zone)?.zip(schedule.month_end.as_ref()).map(|(rule, said)| MonthEndPlan {
            rule,
            reports: said.reports.to_string_lossy().into_owned(),
            limit: schedule.limit(said.limit),
        });
        Ok(Self { zone, entries, month_end })
    }
}

/// What the page and `/metrics` show of `[schedule]`.
///
/// # Errors
/// As of the plan.
pub(super) fn watch(config: &Config, clock: Clock) -> Result<Watch> {
    let plan = Plan::read(config)?;
    let mut watch = Watch::new(config.directory.clone(), clock, plan.zone);
    for entry in &plan.entries {
        watch =
            watch.entry(&entry.name, &entry.words.join(" "), entry.cron.line()).map_err(|reason| anyhow!(reason))?;
    }
    Ok(match &plan.month_end {
        Some(months) => watch.month_end(MONTH_END, months.command(), months.line(), months.rule),
        None => watch,
    })
}

impl MonthEndPlan {
    /// The command, without its month.
    fn command(&self) -> String {
        format!("month-end --reports {}", self.reports)
    }

    /// What the ledger knows it by: another rule is another plan.
    pub(super) fn line(&self) -> String {
        let time = self.rule.time.format("%H:%M");
        match self.rule.day {
            DayOfMonth::Calendar(day) => format!("day {day} of the next month at {time}"),
            DayOfMonth::Working(day) => format!("working day {day} of the next month at {time}"),
        }
    }
}

impl Entry {
    /// The command as it runs when it was due at `due`.
    pub(super) fn words(&self, due: DateTime<Utc>, zone: Tz) -> Vec<String> {
        let day = due.with_timezone(&zone).date_naive();
        let last = day.with_day(1).and_then(|first| first.checked_sub_months(Months::new(1))).unwrap_or(day);
        let moments = [
            ("{last_month}", last.format("%Y-%m").to_string()),
            ("{month}", day.format("%Y-%m").to_string()),
            ("{day}", day.format("%Y-%m-%d").to_string()),
        ];
        let filled = |word: &String| moments.iter().fold(word.clone(), |word, (name, value)| word.replace(name, value));
        self.words.iter().map(filled).collect()
    }

    /// Whether it writes to the warehouse.
    pub(super) fn is_writer(&self) -> bool {
        !matches!(self.words.first().map(String::as_str), Some("verify" | "report"))
    }

    fn check(&self, zone: Tz) -> Result<()> {
        let verb = self.words.first().map(String::as_str).unwrap_or_default();
        if !VERBS.contains(&verb) {
            let guess = did_you_mean(verb, VERBS);
            bail!("`{verb}` does not run by itself{guess}\nhint: {} do", VERBS.join(", "));
        }
        let words = self.words(DateTime::UNIX_EPOCH, zone);
        let parsed = Arguments::try_parse_from(std::iter::once("tieout".to_owned()).chain(words)).map_err(|error| {
            let said = error.to_string();
            let line = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            anyhow!("`{}`: {line}\nhint: as it would be typed: `tieout {verb} --help`", self.words.join(" "))
        })?;
        if let Command::Report(report) = &parsed.command
            && !report.is_to_file()
        {
            bail!(
                "`{}`: nobody would read it\nhint: report --month {{last_month}} -o {{last_month}}.html",
                self.words.join(" ")
            );
        }
        Ok(())
    }
}

pub(super) fn run(global: &Global, arguments: &ScheduleArguments) -> Result<u8, Failure> {
    let config = Config::load(&global.config).map_err(Failure::usage)?;
    let plan = Plan::read(&config).map_err(Failure::usage)?;
    let told = Ledger::of(&config.directory).read().map_err(Failure::usage)?;
    let now = arguments.now.map_or(Clock::Machine, Clock::given).now();
    let is_running = ServerLock::is_taken(&config.directory);
    let rows = rows(&plan, &told, now);
    let text = if arguments.json { json(&rows, is_running) } else { text(&rows, plan.zone, is_running) };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::usage)?;
    Ok(0)
}

/// An entry as it is shown.
struct Row<'a> {
    name: &'a str,
    when: String,
    command: String,
    next: Vec<DateTime<Utc>>,
    last: Option<&'a Run>,
}

fn rows<'a>(plan: &'a Plan, told: &'a Told, now: DateTime<Utc>) -> Vec<Row<'a>> {
    let of_entry = |entry: &'a Entry| Row {
        name: &entry.name,
        when: entry.cron.line().to_owned(),
        command: entry.words.join(" "),
        next: entry.cron.next(now, plan.zone, NEXT),
        last: told.last(&entry.name),
    };
    let of_months = |months: &MonthEndPlan| {
        let next = std::iter::successors(months.rule.next(now), |(_, due)| months.rule.next(*due));
        Row {
            name: MONTH_END,
            when: months.line(),
            command: months.command(),
            next: next.map(|(_, due)| due).take(NEXT).collect(),
            last: told.last(MONTH_END),
        }
    };
    plan.entries.iter().map(of_entry).chain(plan.month_end.iter().map(of_months)).collect()
}

fn text(rows: &[Row<'_>], zone: Tz, is_running: bool) -> String {
    if rows.is_empty() {
        return "nothing runs by itself: [schedule] in tieout.toml is empty\n\
                hint: nightly = { cron = \"30 2 * * *\", run = \"extract\" }\n"
            .to_owned();
    }
    let mut out = String::new();
    for row in rows {
        let next = row.next.iter().map(|at| moment(*at, zone)).collect::<Vec<_>>().join(", ");
        let next = if next.is_empty() { "never" } else { &next };
        let last = row.last.map_or_else(|| "not yet".to_owned(), |run| last(run, zone));
        let _ = writeln!(out, "{}: {}\n  when  {}\n  next  {next}\n  last  {last}", row.name, row.command, row.when);
    }
    let who = if is_running {
        "a server carries it out"
    } else {
        "nobody carries it out now: `tieout serve --schedule` does"
    };
    let _ = writeln!(out, "\n{who}");
    out
}

/// A moment for people, in the firm's zone.
pub(super) fn moment(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%a %Y-%m-%d %H:%M %Z").to_string()
}

/// How a run ended, in a line.
pub(super) fn last(run: &Run, zone: Tz) -> String {
    let mut out = format!("{} {}", moment(run.started_at, zone), run.outcome.as_str().replace('_', " "));
    if let Some(code) = run.exit_code.filter(|code| *code != 0) {
        let _ = write!(out, " (exit code {code})");
    }
    if let Some(line) = run.error.as_deref().and_then(|error| headline(run.outcome, error)) {
        let _ = write!(out, ": {line}");
    }
    out
}

fn json(rows: &[Row<'_>], is_running: bool) -> String {
    let row = |row: &Row<'_>| json!({ "name": row.name, "when": row.when, "command": row.command, "next": row.next, "last": row.last });
    let value = json!({ "is_running": is_running, "entries": rows.iter().map(row).collect::<Vec<_>>() });
    format!("{value:#}\n")
}

/// Says so where nothing would run.
pub(super) fn refuse_empty(config: &Config, path: &Path) -> Result<()> {
    if config.schedule.is_empty() {
        bail!(
            "serve --schedule: {} has no [schedule]\nhint: nightly = {{ cron = \"30 2 * * *\", run = \"extract\" }}",
            path.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn plan(text: &str) -> Result<Plan, String> {
        let text = format!("[firm]\ntimezone = \"America/Denver\"\n[schedule]\n{text}");
        Plan::read(&Config::parse(&text, PathBuf::new()).unwrap()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn commands_are_read_as_they_would_be_typed() {
        let run = |run: &str| plan(&format!("x = {{ cron = \"30 2 1 * *\", run = \"{run}\" }}"));
        for (command, is_writer) in [
            ("extract --incremental --source procore", true),
            ("verify --deep", false),
            ("vacuum --keep-days 30", true),
            ("report --month {last_month} --format xlsx -o {last_month}.xlsx", false),
            ("pin M-{last_month} --period-end 2026-10-31", true),
        ] {
            assert_eq!(run(command).unwrap().entries[0].is_writer(), is_writer, "{command}");
        }
        for (command, expected) in [
            ("extrct", "[schedule] x: run: `extrct` does not run by itself (did you mean `extract`?)"),
            ("serve", "`serve` does not run by itself"),
            ("extract --ful", "unexpected argument '--ful'"),
            ("report --month {last_month}", "nobody would read it"),
            ("extract --full --incremental", "cannot be used with"),
        ] {
            let refused = run(command).unwrap_err();
            assert!(refused.contains(expected) && refused.contains("hint:"), "{command}: {refused}");
        }
    }

    #[test]
    fn moments_are_those_of_the_firms_zone() {
        let plan =
            plan("x = { cron = \"0 20 1 * *\", run = \"report --month {last_month} -o {month}/{day}.html\" }").unwrap();
        // 20:00 in Denver on the first is the second in London.
        let words = plan.entries[0].words("2026-12-02T03:00:00Z".parse().unwrap(), plan.zone);
        assert_eq!(words.join(" "), "report --month 2026-11 -o 2026-12/2026-12-01.html");
    }

    #[test]
    fn what_the_pages_show_can_be_read() {
        for (page, count) in [(include_str!("../../docs/schedule.md"), 1), (include_str!("../../docs/alerts.md"), 1)] {
            let blocks: Vec<&str> =
                page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
            assert_eq!(blocks.len(), count);
            for block in blocks {
                let config = Config::parse(block, PathBuf::new()).unwrap_or_else(|error| panic!("{block}: {error:#}"));
                Plan::read(&config).unwrap_or_else(|error| panic!("{block}: {error:#}"));
                assert!(!config.schedule.is_empty() || config.alerts.has_receiver());
            }
        }
        // What `tieout init` writes, with all that it leaves out put in.
        let text = include_str!("init/tieout.toml");
        let start = text.find("[schedule]").unwrap();
        let whole: Vec<&str> = text[start..].lines().map(|line| line.trim_start_matches("# ")).collect();
        let config = Config::parse(&whole.join("\n"), PathBuf::new()).unwrap();
        Plan::read(&config).unwrap();
        assert!(config.alerts.webhook.is_some() && config.alerts.smtp.is_some() && config.schedule.month_end.is_some());
    }

    #[test]
    fn what_is_shown() {
        let plan =
            plan("nightly = { cron = \"30 2 * * *\", run = \"extract\" }\n[schedule.month_end]\nworking_day = 3")
                .unwrap();
        let now = "2026-11-01T07:00:00Z".parse().unwrap();
        let told = text(&rows(&plan, &Told::default(), now), plan.zone, false);
        let expected = "nightly: extract\n  when  30 2 * * *\n  \
                        next  Sun 2026-11-01 02:30 MST, Mon 2026-11-02 02:30 MST, Tue 2026-11-03 02:30 MST\n  last  not yet\n\
                        month_end: month-end --reports reports\n  when  working day 3 of the next month at 06:00\n  \
                        next  Wed 2026-11-04 06:00 MST, Thu 2026-12-03 06:00 MST, Tue 2027-01-05 06:00 MST\n  last  not yet\n\n\
                        nobody carries it out now: `tieout serve --schedule` does\n";
        assert_eq!(told, expected);
    }
}
