//! What may be believed of each (table, scope) once the whole run was read.
//!
//! An empty list is believed only if something confirms it: a witness (amounts that are all zero), a companion (records
//! under the same permission), the system's own habit (`empty = "verified"`), or a person who knows the permissions
//! (`trust_empty`). A table that a person calls `absent` may be refused. A list that had rows before needs a witness or a
//! companion, whatever habit and person say. A null is no zero, and a permission in one project or one tool says nothing of
//! another. Scopes whose parent could not be read, is hidden, or is gone are accounted for too: nothing that was known before
//! is passed over in silence.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::manifest::{Empty, Table};
use super::scope::scope_below;
use super::{PreviousTables, RunOptions, SourceSettings};
use crate::warehouse::rows::{Coverage, CoverageStatus};

/// What the run learnt of one table, for the judgement.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// Coverage by scope.
    pub coverage: BTreeMap<String, Coverage>,
    /// Keys by scope.
    pub keys: BTreeMap<String, BTreeSet<String>>,
    /// Where a witness column was not zero.
    pub amounts: BTreeSet<Amount>,
}

/// A record whose witness column is not zero.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount {
    /// The column.
    pub column: String,
    /// Whether it is a number: a null witnesses nothing, either way.
    pub is_known: bool,
    /// The project that the record lies in.
    pub project: Option<String>,
    /// The scope of what hangs on the record.
    pub below: String,
}

/// Evidence by table.
pub(crate) type AllEvidence = BTreeMap<String, Evidence>;

/// Judges every empty list, then accounts for the scopes that were not looked at. `order` lists parents before children.
pub(crate) fn judge(
    source: &SourceSettings,
    order: &[&Table],
    options: &RunOptions,
    all: &mut AllEvidence,
    now: DateTime<Utc>,
) {
    for table in order.iter().filter(|table| source.lacks(&table.name)) {
        let evidence = all.get_mut(&table.name);
        for (scope, coverage) in evidence.into_iter().flat_map(|evidence| &mut evidence.coverage) {
            let is_refused = matches!(coverage.status, CoverageStatus::Forbidden | CoverageStatus::NotFound);
            // What was there has not gone with a feature: then it is a permission.
            if is_refused && !options.previous.had_rows(&table.name, scope) {
                coverage.status = CoverageStatus::EmptyVerified;
                coverage.error = None;
            }
        }
    }
    for table in order.iter().filter(|table| table.has_optional_views_only()) {
        let evidence = all.get_mut(&table.name);
        for (scope, coverage) in evidence.into_iter().flat_map(|evidence| &mut evidence.coverage) {
            // What was there has not gone with a module.
            if coverage.status == CoverageStatus::NotFound && !options.previous.had_rows(&table.name, scope) {
                coverage.status = CoverageStatus::EmptyVerified;
                coverage.error = None;
            }
        }
    }
    // One judgement may rest on another: repeat until none changes. Statuses only rise, so this ends.
    let is_trusted = |table: &Table| source.trusts_empty(&table.name);
    while order.iter().filter(|table| judge_table(table, is_trusted(table), &options.previous, all)).count() > 0 {}
    for table in order {
        match &table.embedded {
            Some(embedded) => follow_owner(table, &embedded.table, all),
            None => account_for_parents(source, table, options, all, now),
        }
    }
}

fn judge_table(table: &Table, is_trusted: bool, previous: &PreviousTables, all: &mut AllEvidence) -> bool {
    let Some(evidence) = all.get(&table.name) else { return false };
    let mut verdicts = Vec::new();
    for (scope, coverage) in &evidence.coverage {
        if coverage.status != CoverageStatus::EmptyUnverified || coverage.rows > 0 {
            continue;
        }
        let verdict = match &table.embedded {
            // Empty together with the list it is part of.
            Some(embedded) if coverage.error.is_none() => owner_is_empty(all, &embedded.table, scope),
            Some(_) => continue,
            None => empty_verdict(table, is_trusted, coverage, previous, all),
        };
        verdicts.push((scope.clone(), verdict));
    }
    let mut is_changed = false;
    for (scope, verdict) in verdicts {
        let Some(coverage) = all.get_mut(&table.name).and_then(|evidence| evidence.coverage.get_mut(&scope)) else {
            continue;
        };
        match verdict {
            Ok(()) => {
                coverage.status = CoverageStatus::EmptyVerified;
                coverage.error = None;
                is_changed = true;
            }
            Err(reason) if table.embedded.is_none() => coverage.error = Some(reason),
            Err(_) => {}
        }
    }
    is_changed
}

fn owner_is_empty(all: &AllEvidence, owner: &str, scope: &str) -> Result<(), String> {
    let status = all.get(owner).and_then(|owner| owner.coverage.get(scope)).map(|coverage| coverage.status);
    if status == Some(CoverageStatus::EmptyVerified) { Ok(()) } else { Err(String::new()) }
}

fn empty_verdict(
    table: &Table,
    is_trusted: bool,
    coverage: &Coverage,
    previous: &PreviousTables,
    all: &AllEvidence,
) -> Result<(), String> {
    match witnessed(table, coverage, all) {
        Some(Ok(())) => return Ok(()),
        Some(Err(witness)) => {
            return Err(format!("an empty list, but {witness} is not zero: a permission may be missing"));
        }
        None => {}
    }
    let has_records = |name: &String| {
        all.get(name)
            .and_then(|evidence| evidence.coverage.get(&coverage.scope))
            .is_some_and(|coverage| coverage.rows > 0)
    };
    if table.companions.iter().any(has_records) {
        return Ok(());
    }
    if previous.had_rows(&table.name, &coverage.scope) {
        return Err("an empty list where there were records before: a permission may be missing".into());
    }
    match table.empty {
        Empty::Verified => Ok(()),
        Empty::Unverified if is_trusted => Ok(()),
        Empty::Unverified => Err(format!(
            "an empty list, which a missing permission would give as well\nhint: if the permission is known to be there, \
             add `{}` to trust_empty of the source",
            table.name
        )),
    }
}

/// Whether all witnesses are zero; none if there are none, or one was not read completely.
///
/// A witness among the table's own parents speaks only for the record that the scope hangs on: contract 5 was paid
/// nothing, so its empty list of payments is believed, whatever contract 6 was paid. Any other speaks for the project.
fn witnessed(table: &Table, coverage: &Coverage, all: &AllEvidence) -> Option<Result<(), String>> {
    if table.witness.is_empty() {
        return None;
    }
    let mut verdict = Ok(());
    for witness in &table.witness {
        let (name, column) = witness.split_once('.')?;
        let evidence = all.get(name)?;
        let is_parent = table.parent.iter().any(|parent| parent == name);
        let of_project = |found: Option<&String>| coverage.project.is_none() || found == coverage.project.as_ref();
        let speaks = |amount: &Amount| {
            if is_parent { amount.below == coverage.scope } else { of_project(amount.project.as_ref()) }
        };
        // An amount that is there is evidence even if its list is not complete.
        let mut amounts = evidence.amounts.iter().filter(|amount| amount.column == column && speaks(amount)).peekable();
        if amounts.peek().is_some() {
            verdict = Err(());
        }
        if amounts.any(|amount| amount.is_known) {
            return Some(Err(witness.clone()));
        }
        let mut scopes = evidence.coverage.values().filter(|other| of_project(other.project.as_ref())).peekable();
        if !is_parent && (scopes.peek().is_none() || scopes.any(|other| !other.status.is_complete())) {
            verdict = Err(());
        }
    }
    verdict.ok().map(Ok)
}

/// An embedded table is believed no more than the table that it is part of.
fn follow_owner(table: &Table, owner: &str, all: &mut AllEvidence) {
    let owners: Vec<Coverage> =
        all.get(owner).map(|owner| owner.coverage.values().cloned().collect()).unwrap_or_default();
    let Some(evidence) = all.get_mut(&table.name) else { return };
    for of_owner in owners {
        let own =
            evidence.coverage.entry(of_owner.scope.clone()).or_insert_with(|| Coverage { rows: 0, ..of_owner.clone() });
        own.observed_at = own.observed_at.min(of_owner.observed_at);
        if !of_owner.status.is_complete() && (own.status.is_complete() || own.rows == 0) {
            own.status = of_owner.status;
            own.error = own.error.take().or_else(|| of_owner.error.map(|error| format!("{owner}: {error}")));
        }
        if own.rows > 0 && !matches!(own.status, CoverageStatus::Ok | CoverageStatus::Partial) {
            own.status = CoverageStatus::Partial;
        }
    }
}

/// Scopes that were known before but not listed now, and one line per list of parents: without it nobody could tell
/// "no parent" from "parents not read".
fn account_for_parents(
    source: &SourceSettings,
    table: &Table,
    options: &RunOptions,
    all: &mut AllEvidence,
    now: DateTime<Utc>,
) {
    let mut more: BTreeMap<String, Coverage> = BTreeMap::new();
    for name in &table.parent {
        let (Some(parent), Some(evidence)) = (source.manifest.table(name), all.get(name)) else { continue };
        for coverage in evidence.coverage.values() {
            let error = coverage.error.as_ref().map(|error| format!("{name}: {error}"));
            add(&mut more, Coverage { rows: 0, expected_rows: None, error, ..coverage.clone() });
        }
        for (scope, key) in options.previous.keys(name) {
            if evidence.keys.get(scope).is_some_and(|keys| keys.contains(key)) {
                continue;
            }
            let Some(of_parent) = evidence.coverage.get(scope) else { continue };
            let may_hide = parent.may_hide || source.rules.picks(parent);
            let (status, error) = absent(parent, table, may_hide, of_parent.status, key, options);
            let scope = scope_below(scope, key).to_string();
            let project = if name == "projects" { Some(key.to_owned()) } else { of_parent.project.clone() };
            let coverage = Coverage { scope, project, status, rows: 0, expected_rows: None, observed_at: now, error };
            add(&mut more, coverage);
        }
    }
    let Some(evidence) = all.get_mut(&table.name) else { return };
    for (scope, coverage) in more {
        evidence.coverage.entry(scope).or_insert(coverage);
    }
}

/// What a parent that is not listed any more says of what hangs on it.
fn absent(
    parent: &Table,
    child: &Table,
    may_hide: bool,
    status: CoverageStatus,
    key: &str,
    options: &RunOptions,
) -> (CoverageStatus, Option<String>) {
    let name = &parent.name;
    if !status.is_complete() {
        let status = if status == CoverageStatus::Partial { CoverageStatus::Failed } else { status };
        return (status, Some(format!("{name} {key} could not be looked at")));
    }
    let is_accepted = options.accept_deletes.contains(name) && options.accept_deletes.contains(&child.name);
    if may_hide && !is_accepted {
        return (
            CoverageStatus::NotFound,
            Some(format!("{name} {key} is not listed any more: gone, or hidden from us")),
        );
    }
    // The parent is gone, so what hung on it is gone too.
    (CoverageStatus::EmptyVerified, None)
}

/// Two parent tables may share a scope: the worse word stands.
fn add(all: &mut BTreeMap<String, Coverage>, coverage: Coverage) {
    match all.get_mut(&coverage.scope) {
        Some(before) if before.status.is_complete() && !coverage.status.is_complete() => *before = coverage,
        Some(_) => {}
        None => {
            all.insert(coverage.scope.clone(), coverage);
        }
    }
}
