//! Is a package still what was written? Offline: neither settings nor warehouse, nothing but its own files.
//!
//! Invariants: nothing is believed that was not read; every file is told that was changed, removed or added; rows and sums are
//! counted anew, samples drawn anew. Nothing of a package is ever run or written to disk.

mod chain;
mod opened;
mod results;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::index::{FORMAT, Index};
use super::{Error, INDEX, SUMS, sha256};
use crate::warehouse::KeptDigest;
use opened::Opened;

/// What somebody kept elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The digest that was printed when the package was made.
    pub digest: Option<String>,
    /// A head that `tieout verify` printed: must be in the chain.
    pub head: Option<KeptDigest>,
}

/// What is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// What differs.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.detail)
    }
}

/// What was read, and what was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Checked {
    /// What is not as it was; empty if the package verifies.
    pub findings: Vec<Finding>,
    /// SHA-256 of `SHA256SUMS`.
    pub digest: String,
    /// Files read.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Results whose rows and sums were counted anew.
    pub items: usize,
    /// Rows counted.
    pub rows: u64,
    /// Samples drawn anew.
    pub samples: usize,
    /// Manifests linked.
    pub commits: u64,
    /// The commit that is read, with the SHA-256 of its manifest.
    pub head: Option<(u64, String)>,
    /// Results that say themselves that they looked in part or not at all: name and verdict.
    pub silent: Vec<(String, String)>,
}

impl Checked {
    fn find(&mut self, file: &str, detail: impl Into<String>) {
        self.findings.push(Finding { file: file.to_owned(), detail: detail.into() });
    }
}

/// Checks a package, a folder or a ZIP file.
///
/// # Errors
/// It cannot be read, or a newer version wrote it. What does not verify is no error but a finding.
pub fn verify(place: &Path, kept: &Kept) -> Result<Checked, Error> {
    let mut package = Opened::open(place)?;
    let mut checked = Checked::default();
    // Any folder, or a ZIP file that was cut off and shows what a workbook in it holds.
    if !package.has(SUMS) && !package.has(INDEX) {
        checked
            .find(SUMS, format!("neither it nor {INDEX} is there: this is no package of evidence, or a part of one"));
        return Ok(checked);
    }
    let digests = sums(&mut package, &mut checked, kept.digest.as_deref())?;
    let Some(index) = index(&mut package, &mut checked)? else { return Ok(checked) };
    listed(&index, &digests, &mut checked);
    results::check(&mut package, &index, &mut checked)?;
    chain::check(&mut package, &index, kept.head.as_ref(), &mut checked)?;
    checked.silent = index
        .items
        .iter()
        .filter(|item| item.verdict.is_silent())
        .map(|item| (item.name.clone(), item.verdict.verdict.clone()))
        .collect();
    checked.findings.sort_by(|one, other| one.file.cmp(&other.file));
    checked.findings.dedup();
    Ok(checked)
}

/// Every file against the list of digests, and the list against the files. The digests as found, with sizes.
fn sums(
    package: &mut Opened,
    checked: &mut Checked,
    kept: Option<&str>,
) -> Result<BTreeMap<String, (String, u64)>, Error> {
    let mut found = BTreeMap::new();
    for path in package.paths() {
        match package.digest(&path)? {
            Ok((digest, bytes)) => {
                checked.files += 1;
                checked.bytes += bytes;
                found.insert(path, (digest, bytes));
            }
            Err(reason) => checked.find(&path, format!("it cannot be read: {reason}")),
        }
    }
    let Some(Ok(list)) = package.bytes(SUMS)? else {
        checked.find(SUMS, "it is missing or cannot be read, and with it the digests of all other files");
        return Ok(found);
    };
    checked.digest = sha256(&list);
    if let Some(kept) = kept.filter(|kept| !kept.eq_ignore_ascii_case(&checked.digest)) {
        let detail = format!("its SHA-256 is {}, not {kept}, which was kept: this is another package", checked.digest);
        checked.find(SUMS, detail);
    }
    let mut named = BTreeSet::from([SUMS.to_owned()]);
    for line in String::from_utf8_lossy(&list).lines() {
        let Some((digest, path)) = line.split_once("  ") else {
            checked.find(SUMS, format!("`{line}` is no digest and file"));
            continue;
        };
        named.insert(path.to_owned());
        match found.get(path) {
            Some((real, _)) if real == digest => {}
            Some((real, _)) => checked.find(path, format!("it was changed: its SHA-256 is {real}, not {digest}")),
            None if package.has(path) => {}
            None => checked.find(path, "it is missing"),
        }
    }
    for path in package.paths().into_iter().filter(|path| !named.contains(path)) {
        checked.find(&path, format!("it was added: {SUMS} does not name it"));
    }
    Ok(found)
}

fn index(package: &mut Opened, checked: &mut Checked) -> Result<Option<Index>, Error> {
    #[derive(serde::Deserialize)]
    struct Preamble {
        format: u32,
    }
    let Some(Ok(bytes)) = package.bytes(INDEX)? else {
        if !checked.findings.iter().any(|finding| finding.file == INDEX) {
            checked.find(INDEX, "it is missing");
        }
        return Ok(None);
    };
    if let Ok(Preamble { format }) = serde_json::from_slice(&bytes)
        && format > FORMAT
    {
        return Err(Error::Asked(format!(
            "verify {}: the package has format {format}, this version knows {FORMAT}\nhint: use a newer version of tieout",
            package.place().display()
        )));
    }
    match serde_json::from_slice(&bytes) {
        Ok(index) => Ok(Some(index)),
        Err(error) => {
            checked.find(INDEX, format!("it is no index of a package: {error}"));
            Ok(None)
        }
    }
}

/// The index lists the same files as the digests do.
fn listed(index: &Index, digests: &BTreeMap<String, (String, u64)>, checked: &mut Checked) {
    // What is told already is not told again.
    let told: BTreeSet<String> = checked.findings.iter().map(|finding| finding.file.clone()).collect();
    for file in index.files.iter().filter(|file| !told.contains(&file.path)) {
        match digests.get(&file.path) {
            Some((digest, bytes)) if *digest == file.sha256 && *bytes == file.bytes => {}
            Some(_) => checked.find(&file.path, format!("it is not as {INDEX} lists it")),
            None => checked.find(&file.path, format!("{INDEX} lists it, and it is not there")),
        }
    }
    let known: BTreeSet<&str> = index.files.iter().map(|file| file.path.as_str()).chain([INDEX, SUMS]).collect();
    for path in digests.keys().filter(|path| !known.contains(path.as_str()) && !told.contains(*path)) {
        checked.find(path, format!("{INDEX} does not list it"));
    }
}
