//! Which results a package holds: every schedule of `audit`, every check, and what they stand on.

use std::collections::BTreeSet;

use super::index::Logic;
use super::{Error, Wanted};
use crate::definitions::{Definitions, SETTINGS_FILE};
use crate::engine::header::{self, Header};
use crate::extract::did_you_mean;

/// What results stand on, for every package: name, title, query.
const GROUNDS: [(&str, &str, &str); 4] = [
    ("summary", "Every check with its verdict", "select * from recon.summary"),
    (
        "check_runs",
        "What every check said, of the firm and of each project",
        "select * from recon.check_runs where is_latest",
    ),
    (
        "coverage",
        "What was read of every source, and what the source said there was",
        "select source, table_name, scope, project, status, mode, row_count, expected_row_count, observed_at, complete_at, \
         error from meta.coverage",
    ),
    ("freshness", "How old the reading of every table is", "select * from meta.freshness"),
];

/// A result to be written.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Folder and name of its files.
    pub(super) name: String,
    pub(super) kind: PlanKind,
    pub(super) header: Header,
    pub(super) query: String,
    /// Paths in the definitions.
    pub(super) logic: Vec<String>,
}

/// What a result is, and so what states its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PlanKind {
    /// A schedule of `audit`, by its view.
    Audit(String),
    /// A check, by its id.
    Check(String),
    Grounds,
    View,
    Query,
}

impl PlanKind {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Audit(_) => "audit",
            Self::Check(_) => "check",
            Self::Grounds => "grounds",
            Self::View => "view",
            Self::Query => "query",
        }
    }
}

/// A query file of the definitions.
struct File {
    path: String,
    schema: String,
    view: String,
    header: Header,
}

/// The results that are wanted, in their order, and what they stand on.
pub(super) fn plans(definitions: &Definitions, wanted: &Wanted) -> Result<Vec<Plan>, Error> {
    let files = files(definitions);
    let audit = || files.iter().filter(|file| file.schema == "audit").map(schedule);
    let checks = || files.iter().filter(|file| file.schema == "recon").filter_map(check);
    let mut plans: Vec<Plan> = match wanted {
        Wanted::All => audit().chain(checks()).collect(),
        Wanted::Views(names) => {
            let mut found: Vec<Plan> = Vec::new();
            for name in names {
                let plan = one(definitions, &files, name)?;
                if found.iter().all(|known| known.name != plan.name) {
                    found.push(plan);
                }
            }
            found
        }
        Wanted::Query(text) => vec![query(text)],
    };
    plans.extend(GROUNDS.iter().map(|(name, title, query)| Plan {
        name: format!("grounds/{name}"),
        kind: PlanKind::Grounds,
        header: Header { title: Some((*title).to_owned()), ..Header::default() },
        query: (*query).to_owned(),
        logic: files.iter().filter(|file| file.view == *name).map(|file| file.path.clone()).collect(),
    }));
    Ok(plans)
}

fn files(definitions: &Definitions) -> Vec<File> {
    let file = |(path, text): (&String, &String)| {
        let (schema, view) = path.strip_prefix("queries/")?.strip_suffix(".sql")?.split_once('/')?;
        // A header that cannot be read makes the view a problem of its own: it fails when it is asked for.
        let header = header::parse(path, text).unwrap_or_default();
        (!view.contains('/')).then(|| (path.clone(), schema.to_owned(), view.to_owned(), header))
    };
    let found = definitions.files.iter().filter_map(file);
    found.map(|(path, schema, view, header)| File { path, schema, view, header }).collect()
}

fn schedule(file: &File) -> Plan {
    Plan {
        name: format!("audit/{}", file.view),
        kind: PlanKind::Audit(file.view.clone()),
        header: file.header.clone(),
        query: format!("select * from audit.{}", file.view),
        logic: vec![file.path.clone()],
    }
}

/// The exceptions that a check found, as they were recorded; of one that counts and raises none, its rows.
fn check(file: &File) -> Option<Plan> {
    let id = file.header.check.clone()?;
    let query = if file.header.kind.as_deref() == Some("summary") {
        format!("select * from recon.{}", file.view)
    } else {
        format!("select * from recon.exceptions where check_id = '{}'", id.replace('\'', "''"))
    };
    Some(Plan {
        name: format!("checks/{id}_{}", file.view),
        kind: PlanKind::Check(id),
        header: file.header.clone(),
        query,
        logic: vec![file.path.clone()],
    })
}

fn query(text: &str) -> Plan {
    Plan {
        name: "query/query".to_owned(),
        kind: PlanKind::Query,
        header: Header { title: Some("A query".to_owned()), ..Header::default() },
        query: text.trim().trim_end_matches(';').to_owned(),
        logic: Vec::new(),
    }
}

/// The result that a name means: a schedule, a check by its id or its view, or any table with its schema.
fn one(definitions: &Definitions, files: &[File], name: &str) -> Result<Plan, Error> {
    let name = name.trim();
    if let Some((schema, view)) = name.split_once('.') {
        if let Some(file) = files.iter().find(|file| file.schema == schema && file.view == view) {
            return Ok(if schema == "audit" { schedule(file) } else { view_of(schema, view, file) });
        }
        let is_name =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_name(schema) || !is_name(view) || schema.is_empty() || view.is_empty() {
            return Err(unknown(files, name));
        }
        return Ok(Plan {
            name: format!("views/{schema}.{view}"),
            kind: PlanKind::View,
            header: Header::default(),
            query: format!("select * from {schema}.{view}"),
            logic: mappings(definitions, schema, view),
        });
    }
    if let Some(file) = files.iter().find(|file| file.schema == "audit" && file.view == name) {
        return Ok(schedule(file));
    }
    let is_check = |file: &&File| {
        let id = file.header.check.as_deref();
        file.schema == "recon" && (file.view == name || id.is_some_and(|id| id.eq_ignore_ascii_case(name)))
    };
    files.iter().find(is_check).and_then(check).ok_or_else(|| unknown(files, name))
}

/// Any view: a check's is its rows as the view gives them, with the check's verdict.
fn view_of(schema: &str, view: &str, file: &File) -> Plan {
    Plan {
        name: format!("views/{schema}.{view}"),
        kind: file.header.check.clone().map_or(PlanKind::View, PlanKind::Check),
        header: file.header.clone(),
        query: format!("select * from {schema}.{view}"),
        logic: vec![file.path.clone()],
    }
}

/// The mappings by which the firm's systems become a canonical entity.
fn mappings(definitions: &Definitions, side: &str, entity: &str) -> Vec<String> {
    if side != "pm" && side != "erp" {
        return Vec::new();
    }
    let settings = settings(definitions);
    let sources = settings.get("sources").and_then(serde_json::Value::as_object);
    let systems = sources.into_iter().flat_map(|sources| sources.values()).filter_map(serde_json::Value::as_str);
    let paths: BTreeSet<String> = systems.map(|system| format!("extractors/{system}/canonical/{entity}.sql")).collect();
    paths.into_iter().filter(|path| definitions.files.contains_key(path)).collect()
}

/// The settings that are part of the definitions.
pub(super) fn settings(definitions: &Definitions) -> serde_json::Value {
    definitions.get(SETTINGS_FILE).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn unknown(files: &[File], name: &str) -> Error {
    let known = files.iter().filter(|file| file.schema == "audit" || file.header.check.is_some());
    let names = known.map(|file| file.view.as_str());
    Error::Asked(format!(
        "evidence of `{name}`: there is no such schedule or check{}\n\
         hint: a view of audit, a check by its id or its view, or any other table as SCHEMA.NAME",
        did_you_mean(name, names)
    ))
}

/// What the results follow from, by digest.
pub(super) fn logic(definitions: &Definitions, paths: &[String]) -> Vec<Logic> {
    let logic = |path: &String| {
        let text = definitions.get(path)?;
        Some(Logic { path: path.clone(), sha256: super::sha256(text.as_bytes()) })
    };
    paths.iter().filter_map(logic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Result<Vec<Plan>, Error> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        plans(&Definitions::shipped(), &Wanted::Views(names))
    }

    #[test]
    fn every_schedule_and_every_check_is_there_once() {
        let shipped = Definitions::shipped();
        let plans = plans(&shipped, &Wanted::All).unwrap();
        let mut names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), plans.len());
        let below = |folder: &str| names.iter().filter(|name| name.starts_with(folder)).count();
        let files = |folder: &str| shipped.files.keys().filter(|path| path.starts_with(folder)).count();
        assert_eq!(below("audit/"), files("queries/audit/"));
        let checks = files_with_checks(&shipped);
        assert!(checks > 40);
        assert_eq!((below("checks/"), below("grounds/")), (checks, GROUNDS.len()));
        assert!(plans.iter().filter(|plan| plan.kind != PlanKind::Grounds).all(|plan| !plan.logic.is_empty()));
    }

    fn files_with_checks(definitions: &Definitions) -> usize {
        let is_check = |(path, text): &(&String, &String)| {
            path.starts_with("queries/recon/") && text.lines().any(|line| line.starts_with("-- check:"))
        };
        definitions.files.iter().filter(is_check).count()
    }

    #[test]
    fn a_result_is_found_by_any_of_its_names() {
        let plans =
            named(&["ap_aging", "audit.ap_aging", "v1", "vendor_only_in_pm", "recon.vendor_only_in_pm"]).unwrap();
        let names: Vec<&str> = plans.iter().take(3).map(|plan| plan.name.as_str()).collect();
        assert_eq!(names, ["audit/ap_aging", "checks/V1_vendor_only_in_pm", "views/recon.vendor_only_in_pm"]);
        assert_eq!(plans[2].kind, PlanKind::Check("V1".to_owned()));
        let other = named(&["pm.projects"]).unwrap();
        assert_eq!(
            (other[0].name.as_str(), other[0].query.as_str()),
            ("views/pm.projects", "select * from pm.projects")
        );
    }

    #[test]
    fn an_unknown_name_is_told_with_what_is_like_it() {
        for (name, says) in
            [("ap_agin", "did you mean `ap_aging`?"), ("x.y;drop", "no such"), ("", "hint:"), (".", "no such")]
        {
            let told = named(&[name]).unwrap_err().to_string();
            assert!(told.contains(says), "{told}");
        }
    }
}
