//! The command line: arguments, one file per command, exit codes.
//!
//! stdout is data, stderr is talk; a closed pipe is success. Exit codes: 0 done · 1 exceptions at or above `--fail-on` ·
//! 2 usage or configuration · 3 a source failed · 4 the warehouse failed or does not verify · 5 incomplete: committed with gaps, or out of time ·
//! 6 another run holds the source · 130, 143 stopped by Ctrl-C or SIGTERM before the work was done. Servers that are
//! stopped end with 0.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};

mod alerts;
mod chain;
mod check;
mod demo;
mod diff;
mod doctor;
mod evidence;
mod export;
mod extract;
mod gaps;
#[cfg(test)]
mod incremental_tests;
mod init;
mod log;
mod manifest;
mod month_end;
mod paint;
mod pin;
mod plan;
mod previous;
mod recheck;
mod recon;
mod rekey;
mod report;
mod schedule;
mod serve;
mod shell;
mod show;
mod simulate;
mod sql;
mod stop;
mod summary;
mod trouble;
mod vacuum;
mod verify;
mod waive;
mod whole;
mod words;
#[cfg(feature = "workers")]
mod worker;
mod workspace;

use crate::clock::Clock;
use schedule::note::noted;
use stop::Stop;

/// Stack of every thread that plans or runs SQL: an unoptimised build of the planner recurses deeply.
const THREAD_STACK_BYTES: usize = 64 * 1024 * 1024;

/// What to type first, and what the exit codes mean.
const FIRST_STEPS: &str = "\
First steps:
  tieout demo                        a simulated firm, its summary, and a SQL server to look around in
  tieout init books && cd books      a commented tieout.toml for your own systems
  tieout check                       are both systems reachable, and may we read every table?
  tieout extract                     the first snapshot, checked
  tieout recon                       what every check says, and what is open

Exit codes:
  0 done   1 exceptions at or above --fail-on   2 usage or configuration   3 a source failed
  4 the warehouse failed or does not verify   5 incomplete (a table, a check, or the window is over)   6 another run holds the source
  130, 143 stopped by Ctrl-C or SIGTERM before the work was done";

/// A queryable reconciliation warehouse for construction firms.
#[derive(Debug, Parser)]
#[command(name = "tieout", version, propagate_version = true, arg_required_else_help = true, after_help = FIRST_STEPS)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The settings file
    #[arg(long, global = true, value_name = "FILE", default_value = "tieout.toml")]
    config: PathBuf,
    /// Another warehouse than the one in the settings
    #[arg(long, global = true, value_name = "URL")]
    warehouse: Option<String>,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Say more (-v, -vv)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say errors only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// When to colour what is written for people
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    color: paint::Color,
    /// No progress bars
    #[arg(long, global = true)]
    no_progress: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented tieout.toml and the folders beside it
    Init(init::InitArguments),
    /// Try every source and table: reachable, authorised, sample row, fields missing or new
    Check(check::CheckArguments),
    /// Snapshot the sources, run the checks, commit
    Extract(extract::ExtractArguments),
    /// Serve the warehouse over the Postgres protocol
    Serve(serve::ServeArguments),
    /// What runs by itself, when next, and how it ended last
    Schedule(schedule::ScheduleArguments),
    /// Tell people what is new, or try whether messages arrive
    Alerts(alerts::AlertsArguments),
    /// Carry out parts of a server's queries
    #[cfg(feature = "workers")]
    Worker(worker::WorkerArguments),
    /// Run one query
    Sql(sql::SqlArguments),
    /// Say what is wrong with the files by which a system is read
    Manifest(manifest::ManifestArguments),
    /// List the commits, newest first
    Log(log::LogArguments),
    /// One commit: runs, tables, what could not be read, what the checks said
    Show(show::ShowArguments),
    /// What changed between two moments: tables, or the rows and fields of one
    Diff(diff::DiffArguments),
    /// Give a commit a name for ever
    Pin(pin::PinArguments),
    /// Sign a month's results off
    Signoff(pin::SignoffArguments),
    /// What each check says and what is open, as of the newest commit
    Recon(recon::ReconArguments),
    /// A month's report: what changed, what to fix first, on which side
    Report(report::ReportArguments),
    /// Pin a month that has ended, and write its reports, once everything was read
    MonthEnd(month_end::MonthEndArguments),
    /// Let an exception stand for a while, with a reason and a name
    Waive(waive::WaiveArguments),
    /// Take a waiver back
    Unwaive(waive::UnwaiveArguments),
    /// Judge past commits by the present rules: show what differs, and keep it if asked to
    Recheck(recheck::RecheckArguments),
    /// Recompute the chain of commits and every file: is anything not as it was?
    Verify(verify::VerifyArguments),
    /// Write results with what proves them: SQL, parameters, rows, control totals, the chain of commits
    Evidence(evidence::EvidenceArguments),
    /// Publish tables for other programs, without copying them
    Export(export::ExportArguments),
    /// Drop superseded states and remove files that nobody reads any more
    Vacuum(vacuum::VacuumArguments),
    /// A simulated firm with Procore and Acumatica: 24 month ends, the summary, a SQL server on it
    Demo(demo::DemoArguments),
    /// Serve the simulated systems alone
    Simulate(simulate::SimulateArguments),
    /// Check an installation, and change nothing: settings, secrets, warehouse, disk, certificates, ports, schedule
    Doctor(doctor::DoctorArguments),
    /// Write what a shell needs to complete commands
    Completions(shell::CompletionsArguments),
    /// Write the manual pages
    Man(shell::ManArguments),
}

/// What a command ends with when it does not simply succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code of the table above.
    code: u8,
    /// What, where, why, what to try.
    error: anyhow::Error,
}

impl Failure {
    /// Usage or configuration: 2.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 2, error: error.into() }
    }

    /// A source failed: 3.
    pub(crate) fn source(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 3, error: error.into() }
    }

    /// The warehouse failed: 4.
    pub(crate) fn warehouse(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 4, error: error.into() }
    }

    /// Another run holds the source: 6.
    pub(crate) fn locked(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 6, error: error.into() }
    }
}

/// Committed, but a table is partial or a check not evaluated.
pub(crate) const INCOMPLETE: u8 = 5;

/// Parses the arguments, runs the command, prints its error.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let log_format = arguments.global.log_format;
    start_log(&arguments.global);
    stop::follow_server();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(THREAD_STACK_BYTES).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return tell(&Failure::usage(error), log_format),
    };
    // On a thread of its own, because the main thread's stack is the shell's to choose.
    let command = std::thread::Builder::new().stack_size(THREAD_STACK_BYTES).spawn(move || {
        let result = runtime.block_on(run(arguments));
        // Who was told to stop does not wait for a name that no server resolves.
        let is_stopped = result.as_ref().is_err_and(|failure| failure.code >= stop::INTERRUPTED);
        let wait = if is_stopped { std::time::Duration::ZERO } else { std::time::Duration::from_secs(2) };
        runtime.shutdown_timeout(wait);
        result
    });
    let result = command.map_err(Failure::usage).and_then(|thread| {
        thread
            .join()
            .unwrap_or_else(|_| Err(Failure::usage(anyhow::anyhow!("tieout ended by a bug: see the message above"))))
    });
    // What waits to be written is written here: at the program's end nobody would hear of a full disk.
    let result = result.and_then(|code| {
        let flushed = std::io::stdout().flush().context("write to standard output").map_err(Failure::usage);
        flushed.map(|()| code)
    });
    result.map_or_else(|failure| tell(&failure, log_format), ExitCode::from)
}

async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let global = arguments.global;
    match arguments.command {
        Command::Init(command) => init::run(&command),
        Command::Check(command) => Box::pin(check::run(&global, &command)).await,
        Command::Extract(command) if command.reads() => {
            Box::pin(noted(&global, "extract", command.clock(), extract::run(&global, &command))).await
        }
        Command::Extract(command) => Box::pin(extract::run(&global, &command)).await,
        Command::Serve(command) => Box::pin(serve::run(&global, &command)).await,
        Command::Schedule(command) => schedule::run(&global, &command),
        Command::Alerts(command) => Box::pin(alerts::run(&global, &command)).await,
        #[cfg(feature = "workers")]
        Command::Worker(command) => Box::pin(worker::run(&global, &command)).await,
        Command::Sql(command) => Box::pin(sql::run(&global, &command)).await,
        Command::Manifest(command) => Box::pin(manifest::run(&global, &command)).await,
        Command::Log(command) => Box::pin(log::run(&global, &command)).await,
        Command::Show(command) => Box::pin(show::run(&global, &command)).await,
        Command::Diff(command) => Box::pin(diff::run(&global, &command)).await,
        Command::Pin(command) => Box::pin(pin::pin(&global, &command)).await,
        Command::Signoff(command) => Box::pin(pin::signoff(&global, &command)).await,
        Command::Recon(command) => Box::pin(recon::run(&global, &command)).await,
        Command::Report(command) => Box::pin(report::run(&global, &command)).await,
        Command::MonthEnd(command) => Box::pin(month_end::run(&global, &command)).await,
        Command::Waive(command) => Box::pin(waive::waive(&global, &command)).await,
        Command::Unwaive(command) => Box::pin(waive::unwaive(&global, &command)).await,
        Command::Recheck(command) => Box::pin(recheck::run(&global, &command)).await,
        Command::Verify(command) if command.is_of_warehouse(&global) => {
            Box::pin(noted(&global, "verify", Clock::Machine, verify::run(&global, &command))).await
        }
        Command::Verify(command) => Box::pin(verify::run(&global, &command)).await,
        Command::Evidence(command) => Box::pin(evidence::run(&global, &command)).await,
        Command::Export(command) => Box::pin(export::run(&global, &command)).await,
        Command::Vacuum(command) => Box::pin(vacuum::run(&global, &command)).await,
        Command::Demo(command) => Box::pin(demo::run(&global, &command)).await,
        Command::Simulate(command) => Box::pin(simulate::run(&global, &command)).await,
        Command::Doctor(command) => Box::pin(doctor::run(&global, &command)).await,
        Command::Completions(command) => shell::completions(&command),
        Command::Man(command) => shell::man(&command),
    }
}

/// Prints the error with its causes, as log lines look; a pipe closed by the reader is no error.
fn tell(failure: &Failure, log_format: LogFormat) -> ExitCode {
    let broken_pipe = failure.error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    });
    if broken_pipe {
        return ExitCode::SUCCESS;
    }
    let text = trouble::text(&failure.error);
    match log_format {
        // Whoever keeps all log lines back is told all the same.
        LogFormat::Json if tracing::enabled!(tracing::Level::ERROR) => {
            tracing::error!(exit_code = failure.code, "{text}");
        }
        _ => drop(writeln!(std::io::stderr(), "error: {text}")),
    }
    ExitCode::from(failure.code)
}

fn start_log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "tieout=info,warn",
        (false, _) => "tieout=debug,info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("TIEOUT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // By default a line that cannot be written is told on stderr by a macro that panics: a full disk under the log would end commands and sessions.
    let builder = builder.log_internal_errors(false);
    // A second subscriber in one process (tests) is no failure.
    let _ = match global.log_format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
