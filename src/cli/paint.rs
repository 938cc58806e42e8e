//! Colours for people: on a terminal that wants them, never in a pipe or a file.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_plain_text() {
        assert_eq!(Paint(false).ink(Ink::Added, "+1"), "+1");
        assert_eq!(Paint(true).ink(Ink::Added, "+1"), "\u{1b}[32m+1\u{1b}[0m");
        assert_eq!(Paint(true).ink(Ink::Title, ""), "");
    }
}
