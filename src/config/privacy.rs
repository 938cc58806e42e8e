//! What a source's records may hold, and what happens when they are not as declared.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::SourceConfig;
use crate::extract::manifest::Sensitive;
use crate::extract::{DriftPolicy, DriftRules, SourceRules};

/// `personal = "drop"`: e-mail addresses and telephone numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonalConfig {
    /// They are kept.
    #[default]
    Keep,
    /// They are hashed with the firm's key; without one they are dropped.
    Hash,
    /// They are dropped.
    Drop,
}

/// `fields = "declared"`: what is kept of a record beside its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptFields {
    /// The record as received.
    #[default]
    All,
    /// Only what the manifest declares.
    Declared,
}

/// A project as the settings name it: a number or a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Project {
    /// An id.
    Id(i64),
    /// An id or a number.
    Text(String),
}

impl Project {
    /// The id or number as text.
    pub fn text(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }
}

/// `drift = "freeze"`, or `drift = { default = "evolve", bills = "freeze" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum DriftConfig {
    /// Of all tables.
    All(DriftPolicy),
    /// By table; `default` of the others.
    Tables(BTreeMap<String, DriftPolicy>),
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self::All(DriftPolicy::default())
    }
}

/// The name of what holds for all tables that are not named.
const DEFAULT: &str = "default";

impl SourceConfig {
    /// The rules that a source's records are read under.
    pub fn rules(&self) -> SourceRules {
        let drift = match &self.drift {
            DriftConfig::All(usual) => DriftRules { usual: *usual, tables: BTreeMap::new() },
            DriftConfig::Tables(tables) => DriftRules {
                usual: tables.get(DEFAULT).copied().unwrap_or_default(),
                tables: tables
                    .iter()
                    .filter(|(name, _)| *name != DEFAULT)
                    .map(|(name, it)| (name.clone(), *it))
                    .collect(),
            },
        };
        SourceRules {
            projects: self.projects.as_ref().map(|all| all.iter().map(Project::text).collect::<BTreeSet<String>>()),
            personal: match self.personal {
                PersonalConfig::Keep => None,
                PersonalConfig::Hash => Some(Sensitive::Hash),
                PersonalConfig::Drop => Some(Sensitive::Drop),
            },
            redact: self.redact.iter().map(|(path, how)| (path.clone(), *how)).collect(),
            declared_only: self.fields == KeptFields::Declared,
            drift,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Config;
    use super::*;

    fn rules(text: &str) -> Result<SourceRules, String> {
        let text = format!("[sources.office]\nkind = \"procore\"\n{text}");
        let config = Config::parse(&text, PathBuf::new()).map_err(|error| format!("{error:#}"))?;
        Ok(config.sources["office"].rules())
    }

    #[test]
    fn rules_are_read_as_written() {
        assert_eq!(rules(""), Ok(SourceRules::default()));
        let text = "projects = [12, \"24-001\"]\npersonal = \"hash\"\nfields = \"declared\"\n\
                    redact = { \"**.login\" = \"drop\" }\ndrift = { default = \"quarantine\", bills = \"freeze\" }";
        let read = rules(text).unwrap();
        assert_eq!(read.projects, Some(BTreeSet::from(["12".to_owned(), "24-001".to_owned()])));
        assert_eq!((read.personal, read.declared_only), (Some(Sensitive::Hash), true));
        assert_eq!(read.redact, [("**.login".to_owned(), Sensitive::Drop)]);
        assert_eq!([read.drift.of("bills"), read.drift.of("x")], [DriftPolicy::Freeze, DriftPolicy::Quarantine]);
        assert_eq!(rules("drift = \"freeze\"").unwrap().drift.of("x"), DriftPolicy::Freeze);
        assert!(rules("drift = \"thaw\"").is_err() && rules("fields = \"some\"").is_err());
    }
}
