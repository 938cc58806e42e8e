//! What a run could not read to its end, told table by table: where, how it ended, why, what to try.
//!
//! Invariant: every table that is incomplete is named or counted; what fails stands before what is only unproven.

use std::collections::BTreeMap;
use std::io::{Result, Write};

use super::trouble;
use crate::extract::{Manifest, SourceSettings};
use crate::warehouse::rows::{Coverage, CoverageStatus, TableInput};

/// So many are told one by one: `meta.coverage` has them all.
const TOLD_MAX: usize = 10;
const HELD_BACK_ADVICE: &str = "look for the records in the source before you confirm that they are gone";

/// The lists of one table that ended in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    table: String,
    status: CoverageStatus,
    /// Where the first of them hangs; empty for a company-wide list.
    place: String,
    /// Why the first of them was not read.
    reason: String,
    hint: String,
    is_held_back: bool,
    informs: bool,
    lists: usize,
    lists_of_table: usize,
}

/// The gaps of a run's tables, the worst first.
pub(super) fn gaps(tables: &[TableInput], sources: &[SourceSettings]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for input in tables {
        let manifest = sources.iter().find(|source| source.name == input.source).map(|source| &source.manifest);
        let mut of_table: BTreeMap<(&str, bool), Gap> = BTreeMap::new();
        for coverage in input.coverage.iter().filter(|coverage| !coverage.status.is_complete()) {
            let kind = (coverage.status.as_str(), is_held_back(coverage));
            let known = of_table.entry(kind).or_insert_with(|| gap(input, manifest, coverage));
            known.lists += 1;
        }
        gaps.extend(of_table.into_values());
    }
    gaps.sort_by_key(|gap| (gap.is_harmless(), !gap.is_held_back));
    gaps
}

fn gap(input: &TableInput, manifest: Option<&Manifest>, coverage: &Coverage) -> Gap {
    let (reason, hint) = trouble::split(coverage.error.as_deref().unwrap_or_default());
    let advice = if is_held_back(coverage) { HELD_BACK_ADVICE } else { advice(coverage.status) };
    let hint = hint.unwrap_or_else(|| format!("{} {advice}", trouble::HINT));
    Gap {
        table: format!("{}.{}", input.source, input.table),
        status: coverage.status,
        place: place(&input.table, manifest, coverage),
        reason,
        hint,
        is_held_back: is_held_back(coverage),
        informs: manifest.and_then(|manifest| manifest.table(&input.table)).is_some_and(|table| table.informs),
        lists: 0,
        lists_of_table: input.coverage.len(),
    }
}

/// Whether too many of its rows would have vanished.
fn is_held_back(coverage: &Coverage) -> bool {
    coverage.error.as_deref().is_some_and(|error| error.starts_with("held back"))
}

/// What to try where the source gave no cause.
fn advice(status: CoverageStatus) -> &'static str {
    match status {
        CoverageStatus::Forbidden => {
            "ask an administrator of the system for read permission; if the feature is switched off there, add the table to \
             `absent` of the source"
        }
        CoverageStatus::NotFound => "ask an administrator of the system whether it is gone or hidden from us",
        _ => "run `tieout extract` again; `tieout check` tries each table",
    }
}

/// `project 17, work_order_contracts 4711`: the project, and the record that the list hangs on if that is another.
fn place(table: &str, manifest: Option<&Manifest>, coverage: &Coverage) -> String {
    let Some(key) = coverage.scope.rsplit('/').next().filter(|key| !key.is_empty()) else { return String::new() };
    let project = coverage.project.as_deref();
    let mut parts: Vec<String> = project.iter().map(|project| format!("project {project}")).collect();
    if project != Some(key) {
        let declared = manifest.and_then(|manifest| manifest.table(table));
        let owner = declared.and_then(|table| table.embedded.as_ref()).map(|embedded| embedded.table.as_str());
        let listed = owner.and_then(|owner| manifest?.table(owner)).or(declared);
        let parents = listed.map(|table| table.parent.join(" or ")).unwrap_or_default();
        parts.push(format!("{parents} {key}").trim_start().to_owned());
    }
    parts.join(", ")
}

impl Gap {
    /// Whether the run is complete all the same: the list was read, and is empty as one that may not be seen would be; or the
    /// system does not show what is only good to know.
    pub(super) fn is_harmless(&self) -> bool {
        match self.status {
            CoverageStatus::EmptyUnverified => !self.is_held_back,
            _ => self.is_unneeded(),
        }
    }

    /// Whether the system does not show what is only good to know.
    fn is_unneeded(&self) -> bool {
        self.informs && matches!(self.status, CoverageStatus::Forbidden | CoverageStatus::NotFound)
    }

    fn line(&self) -> String {
        let what = if self.is_unneeded() { "complete without" } else { "incomplete:" };
        let mut line = format!("{what} {}", self.table);
        if !self.place.is_empty() {
            let rest = if self.lists > 1 { " such as" } else { "" };
            line = format!("{line} ({} of {} lists,{rest} {})", self.lists, self.lists_of_table, self.place);
        }
        line = format!("{line}: {}", self.status.as_str());
        if self.reason.is_empty() { line } else { format!("{line}: {}", self.reason) }
    }
}

/// Writes the first gaps, a line each, then how many more there are; gives what to try.
pub(super) fn tell(gaps: &[&Gap], out: &mut impl Write) -> Result<Vec<String>> {
    let mut hints: Vec<String> = Vec::new();
    for gap in gaps.iter().take(TOLD_MAX) {
        writeln!(out, "{}", gap.line())?;
        if !hints.contains(&gap.hint) {
            hints.push(gap.hint.clone());
        }
    }
    if gaps.len() > TOLD_MAX {
        writeln!(out, "incomplete: and {} more, see meta.coverage", gaps.len() - TOLD_MAX)?;
    }
    Ok(hints)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clock::Clock;
    use crate::warehouse::rows::ReadMode;

    const MANIFEST: &str = r#"
[system]
name = "toy"
side = "pm"
protocol = "rest"
[rest]
base_url = "http://127.0.0.1:1"
[[table]]
name = "projects"
path = "/projects"
key = ["id"]
[table.columns]
id = "int64"
[[table]]
name = "contracts"
parent = "projects"
path = "/contracts"
key = ["id"]
[table.columns]
id = "int64"
[[table]]
name = "locks"
parent = "projects"
path = "/locks"
key = ["id"]
informs = true
[table.columns]
id = "int64"
[[table]]
name = "bills"
parent = "contracts"
path = "/bills"
key = ["id"]
[table.columns]
id = "int64"
[[table]]
name = "lines"
embedded = { table = "bills", path = "lines" }
key = ["id"]
[table.columns]
id = "int64"
"#;

    fn coverage(scope: &str, status: CoverageStatus, error: &str) -> Coverage {
        let project = scope.split('/').next().filter(|key| !key.is_empty()).map(str::to_owned);
        let error = (!error.is_empty()).then(|| error.to_owned());
        let observed_at = Clock::Machine.now();
        Coverage { scope: scope.to_owned(), project, status, rows: 0, expected_rows: None, observed_at, error }
    }

    fn table(name: &str, coverage: Vec<Coverage>) -> TableInput {
        TableInput {
            source: "toy".to_owned(),
            table: name.to_owned(),
            columns: Vec::new(),
            mode: ReadMode::Full,
            above: Vec::new(),
            spooled: None,
            batches: Vec::new(),
            coverage,
            rejects: Vec::new(),
            drift: Vec::new(),
            cursor: None,
            owners: BTreeSet::new(),
            accept_deletes: false,
        }
    }

    fn source() -> SourceSettings {
        SourceSettings {
            name: "toy".to_owned(),
            manifest: Manifest::parse("manifest.toml", MANIFEST).unwrap(),
            base_url: None,
            values: BTreeMap::new(),
            redaction_key: None,
            redaction_key_before: None,
            quota: crate::extract::Quota::default(),
            rules: crate::extract::SourceRules::default(),
        }
    }

    fn told(tables: &[TableInput]) -> (String, Vec<String>) {
        let mut out = Vec::new();
        let gaps = gaps(tables, &[source()]);
        let hints = tell(&gaps.iter().collect::<Vec<_>>(), &mut out).unwrap();
        (String::from_utf8(out).unwrap(), hints)
    }

    #[test]
    fn a_gap_says_where_it_is_and_why() {
        let refused = "GET http://x/contracts: 403 Forbidden\nhint: ask an administrator";
        let (text, hints) = told(&[
            table("projects", vec![coverage("", CoverageStatus::Partial, "2 records could not be read")]),
            table(
                "contracts",
                vec![
                    coverage("16", CoverageStatus::EmptyUnverified, "an empty list"),
                    coverage("17", CoverageStatus::Forbidden, refused),
                    coverage("18", CoverageStatus::Ok, ""),
                    coverage("19", CoverageStatus::Forbidden, refused),
                ],
            ),
            table("lines", vec![coverage("17/4711", CoverageStatus::Failed, "")]),
        ]);
        insta::assert_snapshot!(text, @r"
        incomplete: toy.projects: partial: 2 records could not be read
        incomplete: toy.contracts (2 of 4 lists, such as project 17): forbidden: GET http://x/contracts: 403 Forbidden
        incomplete: toy.lines (1 of 1 lists, project 17, contracts 4711): failed
        incomplete: toy.contracts (1 of 4 lists, project 16): empty_unverified: an empty list
        ");
        let again = "hint: run `tieout extract` again; `tieout check` tries each table";
        assert_eq!(hints, [again, "hint: ask an administrator"]);
    }

    #[test]
    fn what_nobody_may_see_of_what_only_informs_leaves_the_run_complete() {
        let is_complete = |name: &str, status: CoverageStatus| {
            let read = [table(name, vec![coverage("16", CoverageStatus::Ok, ""), coverage("17", status, "why")])];
            gaps(&read, &[source()]).iter().all(Gap::is_harmless)
        };
        for status in [CoverageStatus::Forbidden, CoverageStatus::NotFound] {
            assert!(is_complete("locks", status) && !is_complete("contracts", status), "{status:?}");
        }
        assert!(is_complete("contracts", CoverageStatus::EmptyUnverified));
        assert!(!is_complete("locks", CoverageStatus::Failed));
        let of = |name: &str, status: CoverageStatus| table(name, vec![coverage("17", status, "why")]);
        let (text, _) = told(&[of("locks", CoverageStatus::Forbidden), of("contracts", CoverageStatus::Failed)]);
        insta::assert_snapshot!(text, @r"
        incomplete: toy.contracts (1 of 1 lists, project 17): failed: why
        complete without toy.locks (1 of 1 lists, project 17): forbidden: why
        ");
    }

    #[test]
    fn what_is_not_told_is_counted() {
        let failed = || vec![coverage("", CoverageStatus::Failed, "no answer in time")];
        let tables: Vec<TableInput> = (0..13).map(|number| table(&format!("t{number}"), failed())).collect();
        let (text, _) = told(&tables);
        assert_eq!(text.lines().count(), 11, "{text}");
        assert!(
            text.contains("toy.t9: failed") && text.ends_with("incomplete: and 3 more, see meta.coverage\n"),
            "{text}"
        );
        assert_eq!(told(&[]).0, "");
    }
}
