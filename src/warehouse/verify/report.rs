//! What a verification says: findings, each with its commit, its file and what differs; and how much was read.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use crate::warehouse::chain;

/// How to verify.
#[derive(Clone)]
pub struct VerifyOptions {
    /// Also prove that every state is the one before with the changes since.
    pub deep: bool,
    /// A head that somebody kept: must be in the chain.
    pub kept: Option<KeptDigest>,
    /// Files and tables looked at side by side.
    pub workers: usize,
    /// Is told how far it is.
    pub progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl VerifyOptions {
    /// With as many workers as there are cores, and nobody told.
    pub fn new(deep: bool) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { deep, kept: None, workers, progress: Arc::new(|_| ()) }
    }
}

impl fmt::Debug for VerifyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deep, kept, workers, .. } = self;
        f.debug_struct("VerifyOptions")
            .field("deep", deep)
            .field("kept", kept)
            .field("workers", workers)
            .finish_non_exhaustive()
    }
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes more will be read.
    Ahead(u64),
    /// So many bytes more were read.
    Read(u64),
    /// The files are as recorded; their rows are compared now.
    Comparing,
}

/// What is not as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is gone.
    Missing,
    /// Its bytes are others.
    Edited,
    /// Its end is cut off.
    Truncated,
    /// It stands in another one's place.
    Swapped,
    /// Nobody can read it.
    Unreadable,
    /// Commits at the end of the chain are gone.
    CutOff,
    /// Counts or sums contradict each other or the rows.
    Figures,
    /// A state is not the one before with the changes since.
    Fold,
    /// The head that somebody kept is not in the chain.
    Head,
}

impl Fault {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Edited => "edited",
            Self::Truncated => "truncated",
            Self::Swapped => "swapped",
            Self::Unreadable => "unreadable",
            Self::CutOff => "cut off",
            Self::Figures => "figures differ",
            Self::Fold => "rows differ",
            Self::Head => "not the head that was kept",
        }
    }
}

/// One thing that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The commit that it belongs to; none if it belongs to no single one.
    pub commit: Option<u64>,
    /// The file, below the warehouse's root.
    pub file: String,
    /// What kind of difference.
    pub fault: Fault,
    /// What was expected and what was found.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(commit) = self.commit {
            write!(f, "commit {commit}: ")?;
        }
        write!(f, "{}: {}: {}", self.file, self.fault.as_str(), self.detail)
    }
}

/// A head's digest as printed and kept: `42:<64 hex digits>`, or the digits alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptDigest {
    number: Option<u64>,
    sha256: String,
}

impl FromStr for KeptDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, digits) = match text.trim().split_once(':') {
            Some((number, digits)) => (Some(number.parse().map_err(|_| format!("`{number}` is no commit"))?), digits),
            None => (None, text.trim()),
        };
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("a head is a commit's number, `:` and 64 hex digits, as `tieout verify` prints it".to_owned());
        }
        Ok(Self { number, sha256: digits.to_ascii_lowercase() })
    }
}

impl KeptDigest {
    /// Whether it is that commit's.
    pub fn is(&self, number: u64, sha256: &str) -> bool {
        self.sha256 == sha256 && self.number.is_none_or(|kept| kept == number)
    }
}

impl fmt::Display for KeptDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.map_or(Ok(()), |number| write!(f, "{number}:"))?;
        f.write_str(&self.sha256)
    }
}

/// The outcome of a verification.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// The newest commit, and the SHA-256 of its manifest: what an auditor keeps.
    pub head: Option<(u64, String)>,
    /// The commit that a kept digest is of.
    pub kept: Option<u64>,
    /// Manifests read.
    pub commits: u64,
    /// Data files and sets of definitions read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// States that were dropped: what they held follows from an earlier one and the changes.
    pub dropped_states: u64,
    /// States that were proven to be the one before with the changes since; 0 unless deep.
    pub proven_states: u64,
    /// Rows compared; 0 unless deep.
    pub compared_rows: u64,
    /// Files that no commit names: left by runs that died, or written by one that is still running.
    pub orphans: u64,
    /// What is not as it was, by commit and file.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// The head as an auditor keeps it; none for a warehouse without commits.
    pub fn head_text(&self) -> Option<String> {
        self.head.as_ref().map(|(number, sha256)| format!("{number}:{sha256}"))
    }

    pub(super) fn find(&mut self, fault: Fault, commit: Option<u64>, file: impl Into<String>, detail: String) {
        self.findings.push(Finding { commit, file: file.into(), fault, detail });
    }

    /// Looks for a kept head among the digests of all manifests, oldest first.
    pub(super) fn look_for(&mut self, kept: Option<&KeptDigest>, digests: &[(u64, String)]) {
        let Some(kept) = kept else { return };
        self.kept = digests.iter().find(|(_, sha256)| *sha256 == kept.sha256).map(|(number, _)| *number);
        let newest = digests.last().map_or(0, |(number, _)| *number);
        let detail = match (self.kept, kept.number) {
            (Some(found), Some(number)) if found != number => {
                format!("the kept digest is that of commit {found}, not of commit {number}")
            }
            (Some(_), _) => return,
            (None, Some(number)) if number > newest => {
                format!("commit {number} was kept, the chain ends with commit {newest}: later commits were removed")
            }
            (None, Some(number)) => {
                let now = digests.iter().find(|(known, _)| *known == number).map_or("gone", |(_, sha256)| sha256);
                let kept = &kept.sha256;
                format!("its SHA-256 was {kept} when it was kept, now it is {now}: it or one before it was rewritten")
            }
            (None, None) => format!("no commit has SHA-256 {}: it was removed or rewritten", kept.sha256),
        };
        let file = kept.number.map_or_else(|| chain::FOLDER.to_owned(), chain::path);
        self.find(Fault::Head, kept.number, file, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_head_is_found_wherever_it_stands() {
        let digests = [(1, "a".repeat(64)), (2, "b".repeat(64))];
        let look = |text: &str| {
            let mut verification = Verification::default();
            verification.look_for(Some(&text.parse().unwrap()), &digests);
            (verification.kept, verification.findings.pop().map(|finding| finding.detail))
        };
        assert_eq!(look(&"a".repeat(64)), (Some(1), None));
        assert_eq!(look(&format!(" 2:{} ", "B".repeat(64))), (Some(2), None));
        assert!(look(&format!("1:{}", "b".repeat(64))).1.unwrap().contains("that of commit 2, not of commit 1"));
        assert!(look(&format!("2:{}", "c".repeat(64))).1.unwrap().contains("was rewritten"));
        assert!(look(&format!("3:{}", "c".repeat(64))).1.unwrap().contains("later commits were removed"));
        assert!(look(&"c".repeat(64)).1.unwrap().contains("no commit has"));
        for text in ["", "42:", "x:aa", "head", &"g".repeat(64)] {
            text.parse::<KeptDigest>().unwrap_err();
        }
    }
}
