//! One command as a process of its own: what it needs of memory, and what it dies of, is not the server's.
//!
//! Its stdin is the thread that it hangs by (`cli::stop`): when the server lets go of it, or dies, the command ends as by SIGTERM.
//! So nothing is left behind, on any system, whatever ended the server.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio_util::sync::CancellationToken;

use crate::schedule::{Ending, Outcome};

/// How long a process that was asked to end may take: what systemd leaves a server, less what the server needs itself.
const FAREWELL: Duration = Duration::from_secs(20);
/// How long is waited for what a process said last.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// SIGKILL.
#[cfg(unix)]
const KILL: i32 = 9;
/// What is kept of what a process says.
const LINES_MAX: usize = 12;
const LINE_LETTERS_MAX: usize = 300;

/// The last lines that a process said.
type Tail = Arc<Mutex<VecDeque<String>>>;

/// Runs a command to its end, to its time limit, or until somebody stops the server.
///
/// # Errors
/// A program that cannot be started.
pub(super) async fn run(command: Command, limit: Duration, stop: &CancellationToken) -> std::io::Result<Ending> {
    run_with(command, limit, stop, FAREWELL).await
}

async fn run_with(
    mut command: Command,
    limit: Duration,
    stop: &CancellationToken,
    farewell: Duration,
) -> std::io::Result<Ending> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Ctrl-C in a terminal is the server's to pass on.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn()?;
    // Held here: whoever waits for a process closes what is still its stdin.
    let hold = child.stdin.take();
    let tail = Tail::default();
    // What a command writes to stdout of what is wrong (verify) comes before the error that it ends with.
    let mut readers = tokio::task::JoinSet::new();
    if let Some(out) = child.stdout.take() {
        readers.spawn(listen(out, Arc::clone(&tail)));
    }
    if let Some(err) = child.stderr.take() {
        readers.spawn(listen(err, Arc::clone(&tail)));
    }
    let (status, ended_by) = tokio::select! {
        status = child.wait() => (status?, None),
        () = tokio::time::sleep(limit) => (end(&mut child, hold, farewell).await?, Some(Outcome::TimedOut)),
        () = stop.cancelled() => (end(&mut child, hold, farewell).await?, Some(Outcome::Stopped)),
    };
    let _ = tokio::time::timeout(LAST_WORDS, async { while readers.join_next().await.is_some() {} }).await;
    let said = tail.lock().map(|lines| lines.iter().cloned().collect::<Vec<_>>().join("\n")).unwrap_or_default();
    let outcome = ended_by.unwrap_or_else(|| Outcome::of_code(status.code()));
    let error = match outcome {
        Outcome::Succeeded => None,
        Outcome::TimedOut => Some(format!("it took longer than {} and was ended\n{said}", spoken(limit))),
        Outcome::Failed => Some(killed_by(status).map_or(said.clone(), |killed| format!("{killed}\n{said}"))),
        _ => Some(said),
    };
    let error = error.map(|error| error.trim().to_owned()).filter(|error| !error.is_empty());
    Ok(Ending { outcome, exit_code: status.code(), error })
}

/// What ended a process that did not end by itself.
#[cfg(unix)]
fn killed_by(status: std::process::ExitStatus) -> Option<String> {
    use std::os::unix::process::ExitStatusExt as _;
    let signal = status.signal()?;
    let guess = if signal == KILL { ", as the system does where memory runs out" } else { "" };
    Some(format!("signal {signal} ended it{guess}"))
}

#[cfg(not(unix))]
fn killed_by(_: std::process::ExitStatus) -> Option<String> {
    None
}

/// A span for people.
fn spoken(span: Duration) -> String {
    match span.as_secs() {
        seconds if seconds >= 3600 && seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// Asks a process to end well, and ends it if it does not.
async fn end(
    child: &mut Child,
    hold: Option<ChildStdin>,
    farewell: Duration,
) -> std::io::Result<std::process::ExitStatus> {
    drop(hold);
    if let Ok(status) = tokio::time::timeout(farewell, child.wait()).await {
        return status;
    }
    child.start_kill()?;
    child.wait().await
}

async fn listen(stream: impl AsyncRead + Unpin, tail: Tail) {
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line: String = String::from_utf8_lossy(&line).trim_end().chars().take(LINE_LETTERS_MAX).collect();
        if let Ok(mut tail) = tail.lock() {
            if tail.len() == LINES_MAX {
                tail.pop_front();
            }
            tail.push_back(line);
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::time::Instant;

    use super::*;

    async fn shell(script: &str, limit: Duration, stop: &CancellationToken) -> Ending {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, limit, stop).await.unwrap()
    }

    #[tokio::test]
    async fn the_last_lines_and_the_code_are_kept() {
        let stop = CancellationToken::new();
        let long = Duration::from_secs(30);
        let ended = shell("for i in $(seq 40); do echo line $i; done; exit 4", long, &stop).await;
        assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(4)));
        let error = ended.error.unwrap();
        assert!(error.starts_with("line 29\n") && error.ends_with("line 40"), "{error}");
        let ended = shell("echo fine", long, &stop).await;
        assert_eq!((ended.outcome, ended.error), (Outcome::Succeeded, None));
        for (code, outcome) in
            [(5, Outcome::Incomplete), (6, Outcome::Busy), (143, Outcome::Stopped), (2, Outcome::Failed)]
        {
            assert_eq!(shell(&format!("exit {code}"), long, &stop).await.outcome, outcome);
        }
        let killed = shell("echo half; kill -9 $$", long, &stop).await;
        assert_eq!((killed.outcome, killed.exit_code), (Outcome::Failed, None));
        assert_eq!(killed.error.unwrap(), "signal 9 ended it, as the system does where memory runs out\nhalf");
    }

    #[tokio::test]
    async fn what_hangs_is_asked_to_end_and_ends_well() {
        let started = Instant::now();
        let script = "cat; echo closing; exit 143";
        let ended = shell(script, Duration::from_millis(500), &CancellationToken::new()).await;
        assert_eq!((ended.outcome, ended.exit_code), (Outcome::TimedOut, Some(143)));
        assert!(ended.error.unwrap().contains("closing"), "it was asked, not killed");
        assert!(started.elapsed() < FAREWELL);
    }

    #[tokio::test]
    async fn what_does_not_listen_is_killed() {
        let script = "exec sleep 600";
        let farewell = Duration::from_millis(300);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let ended = run_with(command, Duration::from_millis(200), &CancellationToken::new(), farewell).await.unwrap();
        assert_eq!((ended.outcome, ended.exit_code), (Outcome::TimedOut, None), "a signal leaves no code");
    }

    #[tokio::test]
    async fn who_stops_the_server_stops_its_processes() {
        let stop = CancellationToken::new();
        let script = "cat; exit 143";
        let ending = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(shell(script, Duration::from_mins(10), &stop), ending);
        assert_eq!(ended.outcome, Outcome::Stopped);
    }
}
