//! What the shipped SQL reads and selects, known without parsing it.
//!
//! Parsing a megabyte of SQL was most of what a short command did, to plan one view of it. `known.txt` has a line for each shipped
//! file: its path, a digest of its text and of the texts that it shares, the names of these, what it reads, and what it selects.
//! A text with another digest, a firm's own, is parsed when it is loaded. Invariant: what is known of a text is what parsing it
//! tells; a test parses them all, and writes the list anew with `TIEOUT_SQL_UPDATE=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::definitions::Definitions;
use crate::engine::queries::Name;
use crate::engine::shared;

/// The rest of each line by its path.
static LINES: LazyLock<BTreeMap<&str, &str>> =
    LazyLock::new(|| include_str!("known.txt").lines().filter_map(|line| line.split_once(' ')).collect());

/// What stands for a list without entries.
const EMPTY: &str = "-";
/// What stands for a list that its text does not tell.
const UNTOLD: &str = "*";

/// What a file's SQL reads and selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Tables and views; those of a mapping's own source in the schema `source`.
    pub(crate) reads: BTreeSet<Name>,
    /// A check's columns, or those that a mapping tells; none if the text does not name them, or nobody asks.
    pub(crate) selects: Option<Vec<String>>,
}

/// What is known of a file, if it is as it was shipped.
pub(crate) fn of(definitions: &Definitions, path: &str) -> Option<Known> {
    let line = LINES.get(path)?;
    let [known, shares, reads, selects] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    if digest(definitions, path, list(shares))? != known {
        return None;
    }
    let name = |name: &str| name.split_once('.').map(|(schema, table)| (schema.to_owned(), table.to_owned()));
    let selects = (selects != UNTOLD).then(|| list(selects).map(str::to_owned).collect());
    Some(Known { reads: list(reads).map(name).collect::<Option<_>>()?, selects })
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|entry| *entry != EMPTY)
}

/// Half a SHA-256, hex, of a file's text and of those that it shares; none if one is not there.
fn digest<'a>(definitions: &Definitions, path: &str, shares: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut hasher = Sha256::new_with_prefix(definitions.get(path)?);
    for name in shares {
        let (path, text) = shared::find(definitions, path, name)?;
        // A text ends where the next path begins: no path holds a null.
        hasher.update(format!("\0{path}\0"));
        hasher.update(text);
    }
    hasher.finalize().get(..16).map(hex::encode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::SHARED;
    use crate::engine::queries::{parse_select, relations};
    use crate::engine::{canonical, header, queries};

    /// The line of a file, by parsing it; none for what no view or mapping is made of.
    fn line(definitions: &Definitions, path: &str) -> Option<String> {
        let text = definitions.get(path)?;
        let known = match path.split('/').collect::<Vec<_>>().as_slice() {
            ["queries", SHARED, _] => Known::default(),
            ["queries", _, _] => {
                let header = header::parse(path, text).unwrap();
                queries::told(&header, &queries::parse_view(definitions, path, &header).unwrap()).unwrap()
            }
            ["extractors", _, "canonical", _] => canonical::told(definitions, path).unwrap(),
            _ => return None,
        };
        let joined = |entries: Vec<String>| if entries.is_empty() { EMPTY.to_owned() } else { entries.join(",") };
        let shares = relations(&parse_select(text).unwrap()).unwrap();
        let shares: Vec<String> =
            shares.into_iter().filter(|(schema, _)| schema == SHARED).map(|read| read.1).collect();
        let digest = digest(definitions, path, shares.iter().map(String::as_str)).unwrap();
        let reads = joined(known.reads.iter().map(|(schema, table)| format!("{schema}.{table}")).collect());
        let selects = known.selects.map_or_else(|| UNTOLD.to_owned(), joined);
        Some(format!("{path} {digest} {} {reads} {selects}\n", joined(shares)))
    }

    #[test]
    fn what_is_known_is_what_parsing_tells() {
        let definitions = Definitions::shipped();
        let lines: String = definitions.files.keys().filter_map(|path| line(&definitions, path)).collect();
        if std::env::var_os("TIEOUT_SQL_UPDATE").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/known.txt"), &lines).unwrap();
            return;
        }
        for (told, known) in lines.lines().zip(include_str!("known.txt").lines()) {
            assert_eq!(known, told, "SQL was changed: write the list anew with TIEOUT_SQL_UPDATE=1 on this test");
        }
        assert_eq!(lines, include_str!("known.txt"));
        let known = |path: &&String| of(&definitions, path).is_some();
        assert_eq!(definitions.files.keys().filter(known).count(), lines.lines().count(), "each line can be read");
    }

    /// A text of the firm's own, also one that others share, is parsed.
    #[test]
    fn nothing_is_known_of_a_text_that_was_changed() {
        let shipped = Definitions::shipped();
        let has_shared = |path: &&String| !LINES.get(path.as_str()).is_none_or(|line| line.contains(" - "));
        let path = shipped.files.keys().find(has_shared).unwrap();
        let name = LINES[path.as_str()].split(' ').nth(1).unwrap().split(',').next().unwrap();
        let known = of(&shipped, path).unwrap();
        let shared = shared::find(&shipped, path, name).unwrap().0.to_owned();
        for changed in [path.clone(), shared] {
            let mut own = shipped.clone();
            own.files.get_mut(&changed).unwrap().push_str("\n-- ours\n");
            assert_eq!(of(&own, path), None, "{changed}");
        }
        assert_eq!(of(&shipped, path), Some(known));
    }
}
