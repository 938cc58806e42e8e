//! What is told, and one text of several messages.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Letters of a line; longer ones are cut.
const LINE_LETTERS_MAX: usize = 500;
/// Lines of a message.
const LINES_MAX: usize = 60;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Exceptions that were not told before.
    Exceptions,
    /// Checks that cannot look any more.
    NotEvaluated,
    /// A source that nobody reads any more.
    StaleSource,
    /// A source failed, or a run of the schedule.
    FailedRun,
    /// The warehouse is not what it was.
    FailedVerification,
    /// A month that could not be pinned.
    MonthEnd,
    /// Somebody tries whether messages arrive.
    Test,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// The same for the same occurrence, whoever finds it and how often.
    pub(crate) id: String,
    /// When it came to be, UTC.
    pub(crate) at: DateTime<Utc>,
    /// What it is about.
    pub(crate) kind: Kind,
    /// In a line.
    pub(crate) title: String,
    /// In full.
    pub(crate) lines: Vec<String>,
}

impl Message {
    /// A message, cut to what a chat takes.
    pub(crate) fn new(
        id: impl Into<String>,
        at: DateTime<Utc>,
        kind: Kind,
        title: impl Into<String>,
        lines: &[String],
    ) -> Self {
        let more = lines.len().saturating_sub(LINES_MAX);
        let mut lines: Vec<String> = lines.iter().take(LINES_MAX).map(|line| cut(line)).collect();
        if more > 0 {
            lines.push(format!("… {more} more lines"));
        }
        Self { id: id.into(), at, kind, title: cut(&title.into()), lines }
    }
}

/// One line, printable, not too long.
fn cut(line: &str) -> String {
    let clean: String = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    match clean.char_indices().nth(LINE_LETTERS_MAX) {
        Some((place, _)) => format!("{}…", clean.get(..place).unwrap_or_default()),
        None => clean,
    }
}

/// What the whole of some messages is called.
pub(super) fn title(firm: &str, messages: &[Message]) -> String {
    let firm = if firm.is_empty() { "tieout" } else { firm };
    match messages {
        [one] => format!("{firm}: {}", one.title),
        many => format!("{firm}: {} messages", many.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_and_say_so() {
        let lines: Vec<String> = (0..100).map(|line| format!("line {line}\u{7}")).collect();
        let message = Message::new("x", DateTime::UNIX_EPOCH, Kind::Test, "ü".repeat(900), &lines);
        assert_eq!(message.lines.len(), LINES_MAX + 1);
        assert_eq!(message.lines.last().unwrap(), "… 40 more lines");
        assert_eq!(message.title.chars().count(), LINE_LETTERS_MAX + 1);
        assert_eq!(message.lines[0], "line 0 ");
    }
}
