//! Settings of a source, and the values that may never be shown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use tieout_json::{Json, Rules, Sensitive, redact, without_signatures};

use super::template::segment;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, to be sent to the source and nowhere else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A setting of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// May be shown and stored.
    Plain(String),
    /// May not.
    Secret(Secret),
}

impl Setting {
    pub(crate) fn expose(&self) -> &str {
        match self {
            Self::Plain(value) => value,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

/// Everything that must not appear in a message: secret settings, tokens given in the run.
#[derive(Default)]
pub(crate) struct Scrubber(RwLock<Vec<String>>);

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrubber(…)")
    }
}

impl Scrubber {
    /// A scrubber of the secrets among `settings`.
    pub(crate) fn new(settings: &BTreeMap<String, Setting>) -> Self {
        let scrubber = Self::default();
        for setting in settings.values() {
            if let Setting::Secret(secret) = setting {
                scrubber.add(secret.expose());
            }
        }
        scrubber
    }

    /// Adds a secret learnt during the run.
    pub(crate) fn add(&self, secret: &str) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let json = serde_json::Value::from(secret).to_string();
        let json = json.trim_matches('"').to_owned();
        for text in [secret.to_owned(), segment(secret), form, json] {
            if !text.is_empty() && !all.contains(&text) {
                all.push(text);
            }
        }
        // Longest first: a secret that contains another one goes as a whole.
        all.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// `text` without any of them.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "[secret]"))
    }

    /// The first 200 characters of a body in one line, scrubbed before they are cut. What a source says of an error may
    /// hold the record that it failed on: that is masked.
    pub(crate) fn excerpt(&self, body: &[u8]) -> String {
        // A secret longer than the rest of this window would be cut in half: so cut generously, scrub, then cut.
        let window = body.get(..body.len().min(64 * 1024)).unwrap_or_default();
        let rules = Rules { personal: Some(Sensitive::Drop), ..Rules::default() };
        let without = Json::read(window).ok().and_then(|json| redact(json.root(), &rules, None));
        let text = without.unwrap_or_else(|| String::from_utf8_lossy(window).into_owned());
        let text = masked(&self.scrub(&text));
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
    }
}

/// Digits of a number that may be one of a tax id, an account or a telephone, at least.
const DIGITS_SECRET: usize = 8;

/// A text without e-mail addresses, long numbers and signatures of links. Days and shorter numbers stay.
fn masked(text: &str) -> String {
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '@' | '+' | '%');
    let text = without_signatures(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|letter| is_part(letter) != is_part(first)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        let digits = piece.chars().filter(char::is_ascii_digit).count();
        let is_day = piece.len() <= 11 && piece.get(4..5) == Some("-") && piece.get(7..8) == Some("-");
        out.push_str(match () {
            () if piece.contains('@') => "[e-mail]",
            () if digits >= DIGITS_SECRET && !is_day => "[number]",
            () => piece,
        });
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_hold_nothing_of_the_record_that_failed() {
        let scrubber = Scrubber::new(&BTreeMap::new());
        let body = r#"{"message":"Vendor 12-3456789 (jo@firm.example, 555-123-4567) on 2026-01-31 at line 12",
            "password":"hunter2","contact":{"email":"x"},"file":"https://s3.example/a.pdf?X-Amz-Signature=abc"}"#;
        let text = scrubber.excerpt(body.as_bytes());
        assert!(text.contains("Vendor [number] ([e-mail], [number]) on 2026-01-31 at line 12"), "{text}");
        for secret in ["3456789", "hunter2", "firm.example", "4567", "abc"] {
            assert!(!text.contains(secret), "{text}");
        }
        let page = scrubber.excerpt(b"<html>SSN 123-45-6789 <a href=\"https://x.example/?sig=zz\">");
        assert!(page.starts_with("<html>SSN [number]") && !page.contains("zz"), "{page}");
    }

    #[test]
    fn secrets_are_scrubbed_in_every_spelling() {
        let settings = BTreeMap::from([
            ("a".to_owned(), Setting::Secret(Secret::new("p@ss \"w/rd"))),
            ("b".to_owned(), Setting::Plain("shown".into())),
        ]);
        let scrubber = Scrubber::new(&settings);
        scrubber.add("tok");
        let text = scrubber.scrub(r#"p@ss "w/rd p%40ss%20%22w%2Frd p%40ss+%22w%2Frd p@ss \"w/rd tok shown"#);
        assert_eq!(text, "[secret] [secret] [secret] [secret] [secret] shown");
        assert!(!format!("{settings:?}{scrubber:?}").contains("w/rd"));
    }
}
