//! The key of hashed fields changes for all sources in one commit, or for none.
//!
//! Hashes under two keys differ, so one side read under the new key and the other under the old would differ in every tax id.
//! And a key that changed by mistake would look like changed records, for ever.

use std::collections::BTreeSet;

use anyhow::anyhow;

use super::extract::RunRequest;
use super::{Failure, INCOMPLETE};
use crate::extract::{SourceOutcome, SourceSettings, key_mark};
use crate::warehouse::commit::Head;
use crate::warehouse::rows::ReadMode;

/// Whether a run changes the key. `configured` are all sources, `sources` those of the run.
///
/// # Errors
/// A key that is neither the last one nor follows it by `tax_id_key_before`; a change that would leave something out.
pub(super) fn check<'a>(
    head: &Head,
    configured: impl Iterator<Item = &'a String>,
    sources: &[SourceSettings],
    request: &RunRequest,
) -> Result<bool, Failure> {
    let mut is_changed = false;
    for source in sources {
        let Some(mark) = source.redaction_key.as_deref().map(key_mark) else { continue };
        let Some((commit, last)) = last_mark(head, &source.name).filter(|(_, last)| *last != mark) else { continue };
        if source.redaction_key_before.as_deref().map(key_mark).as_deref() != Some(last) {
            return Err(Failure::usage(anyhow!(
                "source {}: firm.tax_id_key is another key than that of commit {commit}: every hash would differ, and look like \
                 a changed record\nhint: a key changes by `tax_id_key_before`, which names the one until now: docs/operate.md, \
                 Changing secrets; if none was to change, put the old one back",
                source.name
            )));
        }
        is_changed = true;
    }
    if !is_changed {
        return Ok(false);
    }
    let read: BTreeSet<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let left_out: Vec<&str> =
        configured.map(String::as_str).filter(|name| !read.contains(name) && last_mark(head, name).is_some()).collect();
    if !left_out.is_empty() || !request.tables.is_empty() || request.mode != ReadMode::Full {
        let what = if left_out.is_empty() {
            String::new()
        } else {
            format!(", and this run leaves {} out", left_out.join(", "))
        };
        return Err(Failure::usage(anyhow!(
            "firm.tax_id_key changes for all sources and tables at once{what}\nhint: `tieout extract --full` without --source, --table \
             and --incremental; hashes under two keys cannot be compared"
        )));
    }
    Ok(true)
}

/// Whether a run that changes the key read everything.
///
/// # Errors
/// Something was not read: nothing is committed.
pub(super) fn is_whole(outcomes: &[SourceOutcome], failures: &[String]) -> Result<(), Failure> {
    let unread =
        outcomes.iter().flat_map(|outcome| outcome.run.unread().iter().map(|table| (&outcome.run.source, table)));
    let unread: Vec<String> = unread.map(|(source, table)| format!("{source}.{table}")).collect();
    if failures.is_empty() && unread.is_empty() {
        return Ok(());
    }
    let said = "firm.tax_id_key changes for all sources at once, and not all was read: nothing was committed";
    let mut lines = vec![said.to_owned()];
    if !unread.is_empty() {
        lines.push(format!("not read to their end: {}", unread.join(", ")));
    }
    lines.extend(failures.iter().cloned());
    lines.push("hint: run it again when all can be read; the old key, as tax_id_key, reads on until then".to_owned());
    let error = anyhow!(lines.join("\n"));
    Err(if failures.is_empty() { Failure { code: INCOMPLETE, error } } else { Failure::source(error) })
}

/// Under which key a source was read last, and by which commit.
fn last_mark<'a>(head: &'a Head, source: &str) -> Option<(u64, &'a str)> {
    head.commits.iter().rev().find_map(|commit| {
        let run = commit.runs.iter().find(|run| run.source == source)?;
        Some((commit.number, run.hash_key_mark.as_deref()?))
    })
}
