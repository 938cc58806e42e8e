//! Runs by hand, by cron or by a timer of the system, in the same ledger as those of the schedule: so `tieout doctor` and
//! alerts know of them too.

use crate::cli::stop::UNDER_SCHEDULE;
use crate::cli::{Failure, Global, trouble};
use crate::clock::Clock;
use crate::config::Config;
use crate::schedule::{Ending, Ledger, Outcome};

/// What is kept of an error.
const LETTERS_MAX: usize = 2_000;

/// Runs a command and notes how it ended. A workspace that cannot be written holds nothing up: an auditor may only read it.
pub(in crate::cli) async fn noted(
    global: &Global,
    verb: &str,
    clock: Clock,
    command: impl Future<Output = Result<u8, Failure>>,
) -> Result<u8, Failure> {
    let is_under_schedule = std::env::var_os(UNDER_SCHEDULE).is_some();
    let ledger = (!is_under_schedule).then(|| Config::load(&global.config).ok()).flatten();
    // Where there is no warehouse there is nothing to watch yet.
    let ledger = ledger.map(|config| Ledger::of(&config.directory));
    let begun = ledger.as_ref().and_then(|ledger| {
        if let Err(error) = ledger.end_gone(clock.now()) {
            tracing::debug!("what became of runs before is not written down: {error:#}");
        }
        ledger.begin_here(&spelled(verb), clock.now()).ok()
    });
    let ended = command.await;
    if let Some((ledger, run)) = ledger.zip(begun) {
        let (code, error) = match &ended {
            Ok(code) => (*code, None),
            Err(failure) => (failure.code, Some(trouble::text(&failure.error).chars().take(LETTERS_MAX).collect())),
        };
        let ending = Ending { outcome: Outcome::of_code(Some(code.into())), exit_code: Some(code.into()), error };
        if let Err(error) = ledger.end_here(&run, ending, clock.now()) {
            tracing::debug!("the run is not written down: {error:#}");
        }
    }
    ended
}

/// The command as it was typed, from its verb on.
fn spelled(verb: &str) -> String {
    let words: Vec<String> = std::env::args().skip_while(|word| word != verb).collect();
    if words.is_empty() { verb.to_owned() } else { words.join(" ") }
}
