//! The figures of the manifests against each other: what a commit says of a table follows from what the one before said.

use super::ledger::{Entry, Ledger, is_append};
use super::report::{Fault, Verification};
use crate::warehouse::chain::path;
use crate::warehouse::commit::{DataFile, TableCommit};
use crate::warehouse::fingerprint;

pub(super) fn check(ledger: &Ledger, verification: &mut Verification) {
    for ((source, table), entries) in &ledger.tables {
        let mut said = Vec::new();
        let is_append = is_append(entries);
        let mut before: Option<&Entry> = None;
        for entry in entries {
            let contradictions = if is_append {
                of_append(&entry.said)
            } else if entry.follows_gap {
                Vec::new()
            } else {
                of_keyed(before, entry)
            };
            said.extend(contradictions.into_iter().map(|detail| (entry.commit, detail)));
            said.extend(of_columns(entry).map(|detail| (entry.commit, detail)));
            before = Some(entry);
        }
        for (commit, detail) in said {
            verification.find(Fault::Figures, Some(commit), path(commit), format!("{source}.{table}: {detail}"));
        }
    }
}

fn of_append(said: &TableCommit) -> Vec<String> {
    let mut found = Vec::new();
    expect(&mut found, "rows in its change files", said.inserted, rows_of(&said.changes));
    expect(&mut found, "rows", said.inserted, said.rows);
    found
}

fn of_keyed(before: Option<&Entry>, entry: &Entry) -> Vec<String> {
    let said = &entry.said;
    let mut found = Vec::new();
    let rows_before = before.map_or(0, |before| before.said.rows);
    let (more, fewer) = (rows_before + said.inserted, said.deleted);
    match more.checked_sub(fewer) {
        Some(rows) => expect(&mut found, "rows", rows, said.rows),
        None => found.push(format!("{fewer} rows deleted of {more}")),
    }
    // There are more where rows were only written anew, under another key for hashed fields.
    let (counted, written) = (said.inserted + said.updated + said.deleted, rows_of(&said.changes));
    if written < counted {
        expect(&mut found, "rows in its change files", counted, written);
    }
    if !said.state.is_empty() {
        expect(&mut found, "rows in its state", said.rows, rows_of(&said.state));
    }
    let is_still = said.changes.is_empty() && !entry.had_state;
    if let Some(before) = before.filter(|_| is_still) {
        for (column, total) in before.said.control_totals.iter() {
            if let Some(now) = said.control_totals.get(column).filter(|now| *now != total) {
                found.push(format!(
                    "control total of {column}: {total} follows from commit {}, it says {now}",
                    before.commit
                ));
            }
        }
    }
    found
}

fn of_columns(entry: &Entry) -> Option<String> {
    let said = &entry.said;
    let found = fingerprint(&said.columns);
    let is_other = !said.columns.is_empty() && found != said.schema_fingerprint;
    is_other.then(|| format!("its columns have the fingerprint {found}, it says {}", said.schema_fingerprint))
}

fn expect(found: &mut Vec<String>, what: &str, follows: u64, says: u64) {
    if follows != says {
        found.push(format!("{what}: {follows} follows from its counts, it says {says}"));
    }
}

fn rows_of(files: &[DataFile]) -> u64 {
    files.iter().map(|file| file.rows).sum()
}
