//! Statements that would set a password are refused, and told of without it.

use std::borrow::Cow;

const WORD: &str = "password";
const INSTEAD: &str = "'…'";

/// A text without the literal behind each `password`: `ALTER ROLE ada PASSWORD 'secret'`, `password=secret` in an address.
pub(crate) fn without_passwords(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    if !lower.contains(WORD) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(found) = lower.get(from..).and_then(|rest| rest.find(WORD)) {
        let after = from + found + WORD.len();
        let rest = text.get(after..).unwrap_or_default();
        let secret = secret(rest);
        shown.push_str(text.get(from..after).unwrap_or_default());
        from = after;
        if let Some((start, end)) = secret {
            shown.push_str(rest.get(..start).unwrap_or_default());
            shown.push_str(INSTEAD);
            from = after + end;
        }
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(shown)
}

/// Where the secret behind the word starts and ends; none if the word is only a word.
fn secret(rest: &str) -> Option<(usize, usize)> {
    let is_gap = |c: char| c.is_whitespace() || c == '=' || c == ':';
    let start = rest.find(|c: char| !is_gap(c))?;
    let gap = rest.get(..start)?;
    let literal = rest.get(start..)?;
    let quoted = literal.strip_prefix(['E', 'e']).filter(|rest| rest.starts_with('\'')).unwrap_or(literal);
    if let Some(inside) = quoted.strip_prefix('\'') {
        let opened = rest.len() - inside.len();
        return Some((start, opened + closing(inside)));
    }
    if let Some(rest_of) = literal.strip_prefix('$') {
        // $$secret$$, $tag$secret$tag$
        let tag = rest_of.split_once('$').map(|(tag, _)| format!("${tag}$"))?;
        let inside = literal.get(tag.len()..)?;
        let length = inside.find(&tag).map_or(inside.len(), |end| end + tag.len());
        return Some((start, start + tag.len() + length));
    }
    if !gap.contains('=') {
        return None;
    }
    let length =
        literal.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '&' | ';' | ')')).unwrap_or(literal.len());
    Some((start, start + length))
}

/// How far a quoted text goes, its closing quote included; two quotes are one inside of it.
fn closing(inside: &str) -> usize {
    let mut letters = inside.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '\'' if letters.peek().is_some_and(|(_, next)| *next == '\'') => drop(letters.next()),
            '\'' => return at + 1,
            _ => {}
        }
    }
    inside.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literal_behind_the_word_goes() {
        for (text, expected) in [
            ("select 1", "select 1"),
            ("alter role ada PASSWORD 'se''cret' valid", "alter role ada PASSWORD '…' valid"),
            ("alter role ada password E'se\\'cret'; select 2", "alter role ada password '…'; select 2"),
            ("create user x password $a$secret$a$ y", "create user x password '…' y"),
            ("dblink('host=h password=secret user=u')", "dblink('host=h password='…' user=u')"),
            ("select password from users where password = 'secret'", "select password from users where password = '…'"),
            ("select password, 1", "select password, 1"),
            ("password '", "password '…'"),
        ] {
            assert_eq!(without_passwords(text), expected, "{text}");
            assert!(!without_passwords(text).contains("cret"), "{text}");
        }
    }
}
