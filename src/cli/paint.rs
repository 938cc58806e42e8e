//! Colours for people: on a terminal that wants them, never in a pipe or a file.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::IsTerminal;

use clap::ValueEnum;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Something that came to be.
    Added,
    /// Something that is gone.
    Removed,
    /// Something that is otherwise now.
    Changed,
    /// What a line is about.
    Title,
    /// What matters least.
    Faint,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint(bool);

impl Paint {
    /// As a person chose; else as standard output is: a terminal, and `NO_COLOR` unset.
    pub(super) fn stdout(choice: Color) -> Self {
        match choice {
            Color::Always => return Self(true),
            Color::Never => return Self(false),
            Color::Auto => {}
        }
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self(!refused && !is_dumb && std::io::stdout().is_terminal())
    }

    /// No colours.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self(false)
    }

    /// The text in an ink.
    pub(super) fn ink(self, ink: Ink, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        let code = match ink {
            Ink::Added => "32",
            Ink::Removed => "31",
            Ink::Changed => "33",
            Ink::Title => "1",
            Ink::Faint => "2",
        };
        if self.0 && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Text of a record for a person: what would move the cursor, recolour or retitle a terminal is written out, as `\x1b`. Ends
/// of lines stay.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let is_harmless = |character: char| !character.is_control() || character == '\n';
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmless(character) {
            out.push(character);
        } else {
            let _ = write!(out, "\\x{:02x}", u32::from(character));
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_plain_text() {
        assert_eq!(Paint(false).ink(Ink::Added, "+1"), "+1");
        assert_eq!(Paint(true).ink(Ink::Added, "+1"), "\u{1b}[32m+1\u{1b}[0m");
        assert_eq!(Paint(true).ink(Ink::Title, ""), "");
    }

    #[test]
    fn a_records_text_does_nothing_to_a_terminal() {
        assert!(matches!(printable("Nuñez & Søn\n2"), Cow::Borrowed("Nuñez & Søn\n2")));
        assert_eq!(printable("a\u{1b}]0;x\u{7}\tb\u{9b}2J\r"), "a\\x1b]0;x\\x07\\x09b\\x9b2J\\x0d");
    }
}
