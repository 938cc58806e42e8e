//! Waivers as the chain tells them: who let which exception stand, why, until when, up to what amount.
//!
//! Invariant: like pins and sign-offs a waiver names the SHA-256 of the manifest whose exceptions the person saw. What a
//! waiver does to the exceptions is `engine`'s: its rows are tables of the same commit.

use std::sync::Arc;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::commit::{Commit, Head};

/// What was decided about an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaiverAction {
    /// It may stand.
    Waive,
    /// It may not stand any longer.
    Unwaive,
}

/// An exception waived, or a waiver taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Which of the two.
    pub action: WaiverAction,
    /// The check that found it.
    pub check: String,
    /// The check's version: another one's exceptions are not waived.
    pub check_version: i64,
    /// The exception's key.
    pub exception_key: String,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who decided.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The last day on which it holds, in the firm's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<NaiveDate>,
    /// The amount at risk that was waived, as decimal text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Up to what amount it may grow, as decimal text; without it the amount may not move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<String>,
    /// The newest commit when it was decided.
    pub commit: u64,
    /// SHA-256, hex, of that commit's manifest.
    pub manifest: String,
}

impl Head {
    /// The waivers that commits up to `upto` made or took back, oldest first, each with the commit that did.
    pub fn waivers(&self, upto: u64) -> impl DoubleEndedIterator<Item = (&Arc<Commit>, &Waiver)> {
        let made = self.commits.iter().filter(move |commit| commit.number <= upto);
        made.filter_map(|commit| Some((commit, commit.waiver.as_ref()?)))
    }
}
