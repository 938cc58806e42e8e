//! `[status.<source>]`: what the status words of a source mean in the firm.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::engine::FirmWords;
use crate::extract::did_you_mean;

/// What a word may mean: `approval_status` of the canonical model.
const APPROVAL_STATUSES: [&str; 6] = ["draft", "pending", "approved", "rejected", "void", "closed"];

/// `[status.<source>]`: approval statuses by word, and by word of one raw table in `[status.<source>.<table>]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct StatusConfig(BTreeMap<String, StatusEntry>);

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "an approval status, such as \"approved\", or the words of one raw table: [status.<source>.<table>]"
)]
enum StatusEntry {
    Status(String),
    Table(BTreeMap<String, String>),
}

impl StatusConfig {
    /// The words as they are compared: in small letters, without blanks around them.
    ///
    /// # Errors
    /// A meaning that is none of the six, an empty word, a word that means two things.
    pub fn words(&self, source: &str) -> Result<FirmWords> {
        let place = format!("[status.{source}]");
        let mut words = FirmWords::default();
        for (name, entry) in &self.0 {
            match entry {
                StatusEntry::Status(status) => add(&mut words.everywhere, &place, name, status)?,
                StatusEntry::Table(own) => {
                    let place = format!("[status.{source}.{name}]");
                    let table = words.tables.entry(name.clone()).or_default();
                    for (word, status) in own {
                        add(table, &place, word, status)?;
                    }
                }
            }
        }
        Ok(words)
    }
}

fn add(words: &mut BTreeMap<String, String>, place: &str, word: &str, status: &str) -> Result<()> {
    if !APPROVAL_STATUSES.contains(&status) {
        let guess = did_you_mean(status, APPROVAL_STATUSES);
        let known = APPROVAL_STATUSES.join(", ");
        bail!("{place} \"{word}\" = \"{status}\": no approval status{guess}\nhint: known are {known}");
    }
    let plain = word.trim().to_lowercase();
    if plain.is_empty() {
        bail!("{place} \"{word}\": an empty word\nhint: a record without a status is pending");
    }
    if let Some(other) = words.insert(plain, status.to_owned())
        && other != status
    {
        bail!(
            "{place} \"{word}\": both {other} and {status}\nhint: words are compared without capitals and outer blanks"
        );
    }
    Ok(())
}

/// Refuses words of a source that is not configured, and words that mean nothing.
pub(super) fn check<'a>(
    statuses: &BTreeMap<String, StatusConfig>,
    sources: impl Iterator<Item = &'a str> + Clone,
) -> Result<()> {
    for (source, words) in statuses {
        if !sources.clone().any(|known| known == source) {
            let guess = did_you_mean(source, sources.clone());
            let known = sources.collect::<Vec<_>>().join(", ");
            bail!("[status.{source}]: no source of this name{guess}\nhint: [sources] has {known}");
        }
        words.words(source)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::config::Config;

    fn parse(status: &str) -> Result<Config, String> {
        let text = format!("[sources.books]\nkind = \"acumatica\"\n{status}");
        Config::parse(&text, PathBuf::new()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn words_are_of_a_source_or_of_one_table() {
        let config =
            parse("[status.books]\n\" Pending Print \" = \"approved\"\n[status.books.bills]\nPRINTED = \"closed\"");
        let words = config.unwrap().status["books"].words("books").unwrap();
        assert_eq!(words.everywhere["pending print"], "approved");
        assert_eq!(words.tables["bills"]["printed"], "closed");
        assert_eq!(words.of("checks").into_iter().collect::<Vec<_>>(), [("pending print", "approved")]);
        assert_eq!(words.of("bills").len(), 2);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_suggestion() {
        for (status, said) in [
            ("[status.boks]\nOpen = \"approved\"", "[status.boks]: no source of this name (did you mean `books`?)"),
            (
                "[status.books]\nOpen = \"aproved\"",
                "\"Open\" = \"aproved\": no approval status (did you mean `approved`?)",
            ),
            ("[status.books.bills]\nOpen = \"Void\"", "[status.books.bills] \"Open\" = \"Void\": no approval status"),
            ("[status.books]\nOpen = \"void\"\n\"open \" = \"closed\"", "both void and closed"),
            ("[status.books]\n\" \" = \"void\"", "an empty word"),
            ("[status.books]\nOpen = 1", "an approval status, such as \"approved\""),
        ] {
            let refusal = parse(status).unwrap_err();
            assert!(refusal.contains(said), "{refusal}");
        }
    }
}
