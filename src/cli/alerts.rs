//! `tieout alerts`: tells people what is new, tries whether messages arrive, and lists what waits.
//!
//! `send` finds what is new, puts it in the outbox, and sends what may go out; `serve --schedule` calls it after each run, cron may.
//! Exit codes: 3 where a receiver took nothing (the messages wait); else 0.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::{Failure, Global, trouble};
use crate::alerts::{Kind, Message, Outbox, Receiver, Waiting, receivers};
use crate::clock::Clock;
use crate::config::Config;

mod exceptions;
mod news;

/// Exit code where a receiver took nothing.
const REFUSED: u8 = 3;
const LOCK_FILE: &str = "alerts/lock";

/// Arguments of `alerts`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tieout alerts test             does a message arrive? else what is wrong
  tieout alerts send             what is new, to everybody of [alerts]: for cron, after extract and verify
  tieout alerts waiting          what waits, for whom, until when

Exit codes: 3 a receiver took nothing (messages wait for the next time); else 0. `tieout serve --schedule` sends by itself.")]
pub(super) struct AlertsArguments {
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Find what is new, and tell everybody of [alerts]
    Send(SendArguments),
    /// Send a message to everybody of [alerts], now
    Test,
    /// List what waits
    Waiting,
}

/// Arguments of `alerts send`.
#[derive(Args, Debug)]
struct SendArguments {
    /// The moment, for simulations
    #[arg(long, value_name = "T")]
    now: Option<DateTime<Utc>>,
}

pub(super) async fn run(global: &Global, arguments: &AlertsArguments) -> Result<u8, Failure> {
    let config = Config::load(&global.config).map_err(Failure::usage)?;
    if !config.alerts.has_receiver() {
        return Err(Failure::usage(anyhow!(
            "{} has nobody to tell\nhint: [alerts.webhook] or [alerts.smtp]; docs/alerts.md",
            global.config.display()
        )));
    }
    match &arguments.command {
        AlertsCommand::Send(arguments) => {
            let clock = arguments.now.map_or(Clock::Machine, Clock::given);
            send(global, &config, &clock).await
        }
        AlertsCommand::Test => test(&config).await,
        AlertsCommand::Waiting => waiting(&config),
    }
}

async fn send(global: &Global, config: &Config, clock: &Clock) -> Result<u8, Failure> {
    let Some(_lock) = lock(&config.directory).map_err(Failure::usage)? else {
        let _ = writeln!(std::io::stderr(), "note: another process is telling them now");
        return Ok(0);
    };
    let mut outbox = Outbox::read(&config.directory).map_err(Failure::usage)?;
    let names: Vec<String> = receivers(&config.alerts, &config.directory).into_iter().map(|(name, _)| name).collect();
    let news = Box::pin(news::find(global, config, clock)).await?;
    // The memory after the messages: who dies in between finds them again, and adds none twice.
    let kept = outbox.add(news.messages, &names, clock.now()).and_then(|()| news.memory.write(&config.directory));
    // Also if the disk is full: that is when people must know. It is told again then, as long as nothing can be written.
    let is_refused = deliver(config, &mut outbox, clock).await;
    kept.map_err(Failure::usage)?;
    let is_refused = is_refused?;
    outbox.tidy(&names).map_err(Failure::usage)?;
    match news.failure {
        Some(failure) => Err(failure),
        None => Ok(if is_refused { REFUSED } else { 0 }),
    }
}

/// Sends what may go out now; says whether somebody took nothing.
async fn deliver(config: &Config, outbox: &mut Outbox, clock: &Clock) -> Result<bool, Failure> {
    let hours = config.alerts.hours(zone(config)).map_err(Failure::usage)?;
    let (mut is_refused, mut unwritten) = (false, Ok(()));
    for (name, receiver) in receivers(&config.alerts, &config.directory) {
        let now = clock.now();
        let waiting = outbox.waiting(&name);
        let due: Vec<Message> =
            waiting.messages.iter().filter(|message| hours.release(message.at) <= now).cloned().collect();
        if due.is_empty() || hours.is_quiet(now) {
            continue;
        }
        if let Some(next) = waiting.next.filter(|next| *next > now) {
            is_refused = true;
            let (count, error) = (due.len(), waiting.error.as_deref().unwrap_or_default());
            let at = super::schedule::moment(next, zone(config));
            let _ = writeln!(std::io::stderr(), "{name}: {count} messages wait, tried again {at}; it said: {error}");
            continue;
        }
        let sent = match &receiver {
            Ok(receiver) => receiver.send(&config.firm.name, &with_note(&waiting, &due, now)).await,
            Err(error) => Err(crate::alerts::Refusal::unprepared(trouble::text(error))),
        };
        match sent {
            Ok(()) => unwritten = unwritten.and(outbox.delivered(&name, &due, now)),
            Err(refusal) => {
                is_refused = true;
                let wait = refusal.wait.map(std::time::Duration::from_secs);
                unwritten = unwritten.and(outbox.refused(&name, &refusal.text, wait, now));
                let count = due.len();
                let _ = writeln!(std::io::stderr(), "{name}: {}\nnote: {count} messages wait for it", refusal.told());
            }
        }
    }
    unwritten.map_err(Failure::usage)?;
    Ok(is_refused)
}

/// The messages, and what is missing among them.
fn with_note(waiting: &Waiting, due: &[Message], now: DateTime<Utc>) -> Vec<Message> {
    let mut messages = due.to_vec();
    if waiting.dropped > 0 {
        let title = format!("{} older messages were dropped: too many waited, or for too long", waiting.dropped);
        messages.insert(0, Message::new("dropped", now, Kind::Test, title, &[]));
    }
    messages
}

async fn test(config: &Config) -> Result<u8, Failure> {
    let mut errors = Vec::new();
    for (name, receiver) in receivers(&config.alerts, &config.directory) {
        let title = "a test: messages of tieout arrive here";
        let message = Message::new("test", Utc::now(), Kind::Test, title, &[]);
        let sent = match &receiver {
            Ok(receiver) => receiver.once(&config.firm.name, &[message]).await.map_err(|refusal| refusal.told()),
            Err(error) => Err(trouble::text(error)),
        };
        match sent {
            Ok(()) => {
                let place = receiver.as_ref().ok().and_then(|receiver| receiver.place().ok());
                let place = place.map(|(host, port)| format!("{host}:{port}")).unwrap_or_default();
                writeln!(std::io::stdout(), "{name}: {place} took the message").map_err(Failure::usage)?;
            }
            Err(told) => errors.push(anyhow!("{name}: {told}")),
        }
    }
    if errors.is_empty() { Ok(0) } else { Err(Failure::source(trouble::gather(&errors))) }
}

fn waiting(config: &Config) -> Result<u8, Failure> {
    let outbox = Outbox::read(&config.directory).map_err(Failure::usage)?;
    let zone = zone(config);
    let hours = config.alerts.hours(zone).map_err(Failure::usage)?;
    let moment = |at: DateTime<Utc>| super::schedule::moment(at, zone);
    let mut out = String::new();
    for (name, _) in receivers(&config.alerts, &config.directory) {
        let waiting = outbox.waiting(&name);
        let _ = writeln!(out, "{name}: {} wait", waiting.messages.len());
        if let Some((next, error)) = waiting.next.zip(waiting.error.as_ref()) {
            let _ = writeln!(out, "  failed {} times, tried again {}: {error}", waiting.failures, moment(next));
        }
        for message in &waiting.messages {
            let _ = writeln!(out, "  {}  {}", moment(hours.release(message.at)), message.title);
        }
    }
    std::io::stdout().lock().write_all(out.as_bytes()).map_err(Failure::usage)?;
    Ok(0)
}

/// When the next message may go out: now or later; none if none waits. What a server looks at before it starts a process.
pub(super) fn next(config: &Config) -> Result<Option<DateTime<Utc>>> {
    let outbox = Outbox::read(&config.directory)?;
    let hours = config.alerts.hours(zone(config))?;
    let of_receiver = |(name, _): (String, Result<Receiver>)| {
        let waiting = outbox.waiting(&name);
        let first = waiting.messages.iter().map(|message| hours.release(message.at)).min()?;
        Some(hours.loud(first.max(waiting.next.unwrap_or(first))))
    };
    Ok(receivers(&config.alerts, &config.directory).into_iter().filter_map(of_receiver).min())
}

fn zone(config: &Config) -> Tz {
    config.firm.timezone.parse().unwrap_or(Tz::UTC)
}

/// One process at a time tells people; none if another one does.
fn lock(workspace: &Path) -> Result<Option<File>> {
    let path = workspace.join(LOCK_FILE);
    let doing = || format!("lock {}", path.display());
    std::fs::create_dir_all(path.parent().unwrap_or(workspace)).with_context(doing)?;
    let file = OpenOptions::new().create(true).write(true).truncate(false).open(&path).with_context(doing)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(doing),
    }
}
