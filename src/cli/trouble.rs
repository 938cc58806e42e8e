//! An error as a person reads it: what, where, why in one sentence, then what to try.
//!
//! Errors gather context on their way up, and hints too: here the sentences are joined and the hints go to the end.

use std::fmt::Write as _;

use anyhow::{Error, anyhow};

/// What begins a line that says what to try.
pub(super) const HINT: &str = "hint:";

/// What libraries put before a sentence of ours.
const WRAPPERS: [&str; 2] = ["External error: ", "Invalid or Unsupported Configuration: "];

/// The error with its causes, without saying anything twice, its hints last.
pub(super) fn text(error: &Error) -> String {
    let (mut sentences, mut hints): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for cause in error.chain() {
        let cause = cause.to_string();
        let (sentence, hint) =
            split(WRAPPERS.iter().fold(&cause, |text, wrapper| text.strip_prefix(wrapper).unwrap_or(text)));
        // Many libraries print their cause themselves and name it as well.
        if !sentences.iter().any(|said| said.contains(&sentence)) {
            sentences.push(sentence);
        }
        hints.extend(hint.filter(|hint| !hints.contains(hint)));
    }
    let mut out = sentences.join(": ");
    for hint in hints {
        let _ = write!(out, "\n{hint}");
    }
    out
}

/// Several errors as one, a line each, equal hints once.
pub(super) fn gather(errors: &[Error]) -> Error {
    let (mut lines, mut hints): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for (line, hint) in errors.iter().map(|error| split(&text(error))) {
        lines.push(line);
        hints.extend(hint.filter(|hint| !hints.contains(hint)));
    }
    anyhow!("{}", lines.into_iter().chain(hints).collect::<Vec<_>>().join("\n"))
}

/// What a message says, and the hint that it ends with.
pub(super) fn split(message: &str) -> (String, Option<String>) {
    let begins_line = |place: &usize| message.get(..*place).is_some_and(|said| said.is_empty() || said.ends_with('\n'));
    match message.rfind(HINT).filter(begins_line) {
        Some(place) => {
            let (said, hint) = message.split_at(place);
            (said.trim_end().to_owned(), Some(hint.trim_end().to_owned()))
        }
        None => (message.trim_end().to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn hints_come_last_and_nothing_is_said_twice() {
        let cause = std::io::Error::other("disk on fire");
        let error = Err::<(), _>(cause).context("write x: disk on fire\nhint: leave").context("save").unwrap_err();
        assert_eq!(text(&error), "save: write x: disk on fire\nhint: leave");
    }

    #[test]
    fn several_errors_are_a_line_each() {
        let errors = [anyhow!("a is missing\nhint: set it"), anyhow!("b is missing\nhint: set it")];
        assert_eq!(text(&gather(&errors)), "a is missing\nb is missing\nhint: set it");
    }
}
