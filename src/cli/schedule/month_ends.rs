//! Months pinned by themselves: tried when they are due, after each extract, and each day, until they are pinned or it is too late.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::MonthEndPlan;
use super::runner::{Runner, Task, note};
use crate::config::MONTH_END;
use crate::schedule::{Ending, LATE, Outcome, Told};

/// A month that no extract came for is tried again so often.
const TRY_EVERY: TimeDelta = TimeDelta::days(1);

/// What is known of one month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    is_over: bool,
    last_try: Option<DateTime<Utc>>,
}

pub(super) async fn keep(runner: &Runner, months: &MonthEndPlan) {
    let told = runner.ledger.read().unwrap_or_default();
    // What was due before somebody wished for it is left alone.
    let since = told.known_since(MONTH_END).unwrap_or_else(|| runner.clock.now());
    let mut over: Option<DateTime<Utc>> = None;
    let mut is_fed = false;
    // Also those that somebody stopped, so that none is begun again at once.
    let mut tried: Option<DateTime<Utc>> = None;
    while !runner.stop.is_cancelled() {
        let now = runner.clock.now();
        let due = months.rule.newest(now).filter(|(_, due)| *due > since && over != Some(*due));
        if let Some((month, due)) = due {
            let state = state(&runner.ledger.read().unwrap_or_default(), due);
            if state.is_over {
                over = Some(due);
                continue;
            }
            if now > months.rule.ends(due) {
                give_up(runner, months, month, due);
                over = Some(due);
                continue;
            }
            let last_try = state.last_try.max(tried.filter(|tried| *tried >= due));
            let is_first = last_try.is_none();
            if is_first || is_fed || last_try.is_some_and(|last| now - last >= TRY_EVERY) {
                is_fed = false;
                tried = Some(now);
                let words = words(months, month);
                let is_missed = is_first && now - due > LATE;
                let task = Task { entry: MONTH_END, words, due, is_missed, limit: months.limit, is_writer: true };
                let ended = runner.carry_out(task).await;
                if ended.is_some_and(|ended| ended.outcome == Outcome::Succeeded) {
                    over = Some(due);
                }
                continue;
            }
        }
        let next = months.rule.next(now).and_then(|(_, next)| (next - now).to_std().ok()).unwrap_or_default();
        tokio::select! {
            () = runner.wait(next) => {}
            () = runner.extracted.notified() => is_fed = true,
        }
    }
}

fn words(months: &MonthEndPlan, month: NaiveDate) -> Vec<String> {
    let month = month.format("%Y-%m").to_string();
    ["month-end", &month, "--reports", &months.reports].map(str::to_owned).to_vec()
}

/// What the ledger says of the month that was due at a moment.
fn state(told: &Told, due: DateTime<Utc>) -> State {
    let of_month =
        || told.runs.iter().filter(|run| run.entry.as_deref() == Some(MONTH_END) && run.scheduled_for == Some(due));
    State {
        is_over: of_month().any(|run| matches!(run.outcome, Outcome::Succeeded | Outcome::GivenUp)),
        last_try: of_month().filter(|run| run.outcome != Outcome::Stopped).map(|run| run.started_at).max(),
    }
}

fn give_up(runner: &Runner, months: &MonthEndPlan, month: NaiveDate, due: DateTime<Utc>) {
    let now = runner.clock.now();
    let error = format!(
        "{} was not pinned within {} days: nobody tries any more\nhint: tieout month-end {}",
        month.format("%Y-%m"),
        months.rule.days_max,
        month.format("%Y-%m")
    );
    tracing::error!("{error}");
    let begun = runner.ledger.begin(Some(MONTH_END), &words(months, month).join(" "), Some((due, false)), now);
    if let Some(run) = note(begun) {
        let ending = Ending { outcome: Outcome::GivenUp, exit_code: None, error: Some(error) };
        note(runner.ledger.end(&run, ending, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Ledger;

    #[test]
    fn a_month_is_over_when_it_is_pinned_or_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        let due: DateTime<Utc> = "2026-11-03T13:00:00Z".parse().unwrap();
        let run = |outcome| {
            let run = ledger.begin(Some(MONTH_END), "month-end 2026-10", Some((due, false)), due).unwrap();
            ledger.end(&run, Ending { outcome, exit_code: None, error: None }, due).unwrap();
            state(&ledger.read().unwrap(), due)
        };
        assert_eq!(
            run(Outcome::Stopped),
            State { is_over: false, last_try: None },
            "stopped with the server: tried anew"
        );
        assert_eq!(run(Outcome::Incomplete), State { is_over: false, last_try: Some(due) });
        assert!(run(Outcome::Succeeded).is_over);
        let told = ledger.read().unwrap();
        assert_eq!(
            state(&told, due + TimeDelta::days(30)),
            State { is_over: false, last_try: None },
            "of another month"
        );
    }
}
