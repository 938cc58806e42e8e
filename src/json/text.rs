//! Texts of JSON: their letters from what was written, and the one way in which we write them.

use std::fmt::Write as _;

/// The letters of what stands between two quotes.
pub(crate) fn unescape(inner: &str) -> String {
    let mut letters = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        letters.push_str(plain);
        let mut ahead = escape.chars();
        letters.push(match ahead.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let (letter, taken) = code(escape.get(1..).unwrap_or_default());
                rest = escape.get(1 + taken..).unwrap_or_default();
                letters.push(letter);
                continue;
            }
            Some(itself) => itself,
            None => break,
        });
        rest = ahead.as_str();
    }
    letters.push_str(rest);
    letters
}

/// The letter of four hexadecimal digits, or of a pair of them, and how many bytes that took.
fn code(digits: &str) -> (char, usize) {
    let unit = |from: usize| digits.get(from..from + 4).and_then(|four| u32::from_str_radix(four, 16).ok());
    let Some(first) = unit(0) else { return (char::REPLACEMENT_CHARACTER, digits.len().min(4)) };
    if (0xD800..0xDC00).contains(&first)
        && digits.get(4..6) == Some("\\u")
        && let Some(second) = unit(6).filter(|second| (0xDC00..0xE000).contains(second))
    {
        let joined = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
}

/// Writes letters as a JSON text, quotes included, as `serde_json` does: stored hashes rest on it.
pub(crate) fn write_text(letters: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (place, letter) in letters.char_indices().filter(|(_, letter)| *letter < ' ' || matches!(letter, '"' | '\\')) {
        out.push_str(letters.get(from..place).unwrap_or_default());
        from = place + 1;
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // A String takes whatever is written.
            other => drop(write!(out, "\\u{:04x}", u32::from(other))),
        }
    }
    out.push_str(letters.get(from..).unwrap_or_default());
    out.push('"');
}
