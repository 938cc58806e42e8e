//! Ctrl-C and SIGTERM: the first asks a command to end well, the second ends it.
//!
//! A command that a server started hangs by its stdin: its end is a SIGTERM too, whether the server closed it or died.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::anyhow;
use tokio_util::sync::CancellationToken;

use super::Failure;

/// Ctrl-C, as shells number it: 128 + SIGINT.
pub(super) const INTERRUPTED: u8 = 130;
/// 128 + SIGTERM.
const TERMINATED: u8 = 143;

/// Set where a server started the command: the server notes the run itself, and the command ends with it.
pub(super) const UNDER_SCHEDULE: &str = "TIEOUT_UNDER_SCHEDULE";
/// Cancelled when the server lets go.
static LET_GO: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);
/// Whether the command ends by itself when it is asked.
static IS_LISTENING: AtomicBool = AtomicBool::new(false);

/// Ends the process when the server that started it lets go of its stdin.
pub(super) fn follow_server() {
    if std::env::var_os(UNDER_SCHEDULE).is_none() {
        return;
    }
    std::thread::spawn(|| {
        // Nothing is ever written to it: it ends.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        LET_GO.cancel();
        if !IS_LISTENING.load(Ordering::SeqCst) {
            end(TERMINATED);
        }
    });
}

/// Whether somebody asked the command to end.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    token: CancellationToken,
    code: Arc<AtomicU8>,
}

impl Stop {
    /// Takes over both signals for as long as the process lives.
    pub(super) fn listen() -> Result<Self, Failure> {
        let stop = Self { token: CancellationToken::new(), code: Arc::new(AtomicU8::new(0)) };
        IS_LISTENING.store(true, Ordering::SeqCst);
        let mut signals = Signals::new().map_err(|error| Failure::usage(anyhow!("listen for signals: {error}")))?;
        let shared = stop.clone();
        tokio::spawn(async move {
            let code = tokio::select! {
                code = signals.next() => code,
                () = LET_GO.cancelled() => TERMINATED,
            };
            shared.code.store(code, Ordering::Relaxed);
            shared.token.cancel();
            end(signals.next().await);
        });
        Ok(stop)
    }

    /// For servers: the end of the terminal that it was started in ends it well, as SIGTERM does. Without a terminal a hang-up is the wish
    /// of a supervisor that settings be read anew, which happens at the start alone: it is told, and the server goes on.
    pub(super) fn hang_up(&self) -> Result<(), Failure> {
        #[cfg(unix)]
        {
            use std::io::IsTerminal as _;
            use tokio::signal::unix::{SignalKind, signal};
            let hung_up = signal(SignalKind::hangup());
            let mut hung_up = hung_up.map_err(|error| Failure::usage(anyhow!("listen for signals: {error}")))?;
            // A terminal that is gone is none any more.
            let in_terminal =
                std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
            let stop = self.clone();
            tokio::spawn(async move {
                while hung_up.recv().await.is_some() {
                    if in_terminal {
                        stop.code.store(TERMINATED, Ordering::Relaxed);
                        stop.token.cancel();
                    } else {
                        tracing::warn!(
                            "SIGHUP: settings are read at the start, restart the server to change them; it goes on"
                        );
                    }
                }
            });
        }
        Ok(())
    }

    /// Cancelled when somebody asks.
    pub(super) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Waits until somebody asks.
    pub(super) async fn asked(&self) {
        self.token.cancelled().await;
    }

    /// What a command ends with that was stopped before its work was done.
    pub(super) fn failure(&self, undone: &str) -> Failure {
        Failure { code: self.code.load(Ordering::Relaxed).max(INTERRUPTED), error: anyhow!("interrupted: {undone}") }
    }
}

#[expect(clippy::exit, reason = "whoever asks twice does not want to wait for a farewell")]
fn end(code: u8) {
    std::process::exit(i32::from(code));
}

/// Both signals. Only Unix has SIGTERM.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "it can fail where there are signals")]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// The exit code of the next one.
    #[cfg(unix)]
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPTED,
            _ = self.terminate.recv() => TERMINATED,
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> u8 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        INTERRUPTED
    }
}
