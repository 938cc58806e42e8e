//! Settings of a source, and the values that may never be shown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

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

    /// The first 200 characters of a body in one line, scrubbed before they are cut.
    pub(crate) fn excerpt(&self, body: &[u8]) -> String {
        // A secret longer than the rest of this window would be cut in half: so cut generously, scrub, then cut.
        let window = body.get(..body.len().min(64 * 1024)).unwrap_or_default();
        let text = self.scrub(&String::from_utf8_lossy(window));
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
