//! Which records are the projects that a role may read.
//!
//! A role names projects as people do, by PM's id or number; an ERP project is the PM project that it is linked to, and
//! goes by its own id and number where it is linked to none. Invariants: read from everything, at the moment that is read;
//! what cannot be read allows nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use datafusion::catalog::Session;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlanBuilder, ident};
use datafusion::physical_plan::collect;
use tokio::sync::Mutex;

use crate::engine::access::Access;
use crate::engine::editions::Edition;
use crate::engine::header::Side;
use crate::engine::options::{MomentKey, TieoutOptions};

/// So many moments are remembered: the present, and those of one query that compares.
const MOMENTS_MAX: usize = 4;

/// The projects of a role at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Projects {
    /// Their ids in PM.
    pub(super) pm: BTreeSet<String>,
    /// Their ids in the ERP.
    pub(super) erp: BTreeSet<String>,
    /// The ids that results show them under.
    pub(super) results: BTreeSet<String>,
    /// What stands in front of the ids of some connections, by connection.
    pub(super) prefixes: BTreeMap<String, String>,
    /// The connections, and the side of each.
    pub(super) sources: BTreeMap<String, Side>,
}

impl Projects {
    /// Their ids in one side.
    pub(super) fn of(&self, side: Side) -> &BTreeSet<String> {
        match side {
            Side::Pm => &self.pm,
            Side::Erp => &self.erp,
        }
    }

    /// An id as it stands in a table as extracted: without the connection in front, and nothing if it is another connection's.
    pub(super) fn own_id<'a>(&self, source: Option<&str>, id: &'a str) -> Option<&'a str> {
        let Some(source) = source else { return Some(id) };
        match self.prefixes.get(source) {
            Some(prefix) => id.strip_prefix(prefix.as_str()),
            None => Some(id).filter(|id| !self.prefixes.values().any(|prefix| id.starts_with(prefix.as_str()))),
        }
    }

    /// Whose project of a side an id is, and the id as it stands there.
    fn whose<'a>(&'a self, side: Side, id: &'a str) -> Option<(&'a str, &'a str)> {
        let mut sources = self.sources.iter().filter(|(_, of)| **of == side);
        sources.find_map(|(source, _)| Some((source.as_str(), self.own_id(Some(source), id)?)))
    }
}

type Known = (Arc<str>, MomentKey, Arc<Projects>);

/// The projects of a session's role, at the moments that it read last.
#[derive(Debug, Default)]
pub(super) struct AllowedProjects(Mutex<Vec<Known>>);

impl AllowedProjects {
    /// The projects at the session's moment, by the definitions that are read.
    pub(super) async fn at(&self, session: &dyn Session, access: &Access, edition: &Edition) -> Result<Arc<Projects>> {
        let key = TieoutOptions::key(session).await?;
        let mut known = self.0.lock().await;
        if let Some((.., found)) = known.iter().find(|(hash, at, _)| *hash == edition.hash && *at == key) {
            return Ok(Arc::clone(found));
        }
        let pm = read(session, edition, ("pm", "projects"), ["record_id", "number"]).await?;
        let erp = read(session, edition, ("erp", "projects"), ["record_id", "number"]).await?;
        let links = read(session, edition, ("link", "projects"), ["pm_id", "erp_id"]).await?;
        let layouts = edition.blueprint().layouts.iter();
        let side = |word: &str| Side::BOTH.into_iter().find(|side| side.schema() == word);
        let sources = layouts.filter_map(|(source, layout)| Some((source.clone(), side(&layout.side)?))).collect();
        let none = Projects { prefixes: edition.settings.prefixes.clone(), sources, ..Projects::default() };
        let (found, unclear) = chosen(access.projects.as_ref(), pm, erp, links, none);
        for name in unclear {
            let (role, hint) =
                (&access.role, "write the connection in front, as in [[roles]] projects = [\"procore:24-001\"]");
            tracing::warn!(
                role,
                project = name,
                hint,
                "several connections have a project of this name: none is shown"
            );
        }
        let found = Arc::new(found);
        if known.len() >= MOMENTS_MAX {
            known.remove(0);
        }
        known.push((Arc::clone(&edition.hash), key, Arc::clone(&found)));
        Ok(found)
    }
}

/// Two columns of a record.
type Pair = (Option<String>, Option<String>);

/// Two columns of a view of everything; none where there is no such view or column, as before a PM system is connected.
async fn read(
    session: &dyn Session,
    edition: &Edition,
    (schema, table): (&str, &str),
    columns: [&str; 2],
) -> Result<Option<Vec<Pair>>> {
    let Some(found) = edition.catalog()?.schema(schema) else { return Ok(None) };
    let Some(provider) = found.table(table).await? else { return Ok(None) };
    if columns.iter().any(|column| provider.schema().field_with_name(column).is_err()) {
        return Ok(None);
    }
    let scan = LogicalPlanBuilder::scan(table, provider_as_source(provider), None)?;
    let plan = scan.project(columns.map(ident))?.build()?;
    let batches = collect(session.create_physical_plan(&plan).await?, session.task_ctx()).await?;
    let mut pairs = Vec::new();
    for batch in &batches {
        let (left, right) = (texts(batch, 0)?, texts(batch, 1)?);
        pairs.extend(left.into_iter().zip(right));
    }
    Ok(Some(pairs))
}

fn texts(batch: &RecordBatch, place: usize) -> Result<Vec<Option<String>>> {
    let column = batch.columns().get(place).and_then(|column| column.as_string_opt::<i32>());
    let column = column.ok_or_else(|| exec_datafusion_err!("ids and numbers of projects are no texts"))?;
    let text = |at| column.is_valid(at).then(|| column.value(at).trim().to_owned());
    Ok((0..column.len()).map(text).collect())
}

/// The ids of the other side's projects that one is linked to.
type Partners<'a> = BTreeMap<&'a String, Vec<&'a String>>;

/// The projects that a role names, all of them if it names none; and the names that several connections have projects of.
///
/// Of one connection a name is an id or a number. Across connections a number says nothing unless the projects are one in the
/// ERP: what is written `procore:24-001` is that connection's, and an id is the record of that key.
fn chosen(
    named: Option<&BTreeSet<String>>,
    pm: Option<Vec<Pair>>,
    erp: Option<Vec<Pair>>,
    links: Option<Vec<Pair>>,
    mut projects: Projects,
) -> (Projects, BTreeSet<String>) {
    let (has_pm, has_erp) = (pm.is_some(), erp.is_some());
    let (pm, erp) = (listed(pm), listed(erp));
    let (mut partners, mut jobs): (Partners<'_>, Partners<'_>) = (BTreeMap::new(), BTreeMap::new());
    let links = links.unwrap_or_default();
    for (pm_id, erp_id) in &links {
        if let (Some(pm_id), Some(erp_id)) = (pm_id, erp_id) {
            partners.entry(erp_id).or_default().push(pm_id);
            jobs.entry(pm_id).or_default().push(erp_id);
        }
    }
    let unlinked: Listed = erp.iter().filter(|(id, _)| !partners.contains_key(id)).cloned().collect();
    let (mut own, mut alone, mut unclear) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    match named {
        None => {
            own.extend(pm.iter().map(|(id, _)| id.clone()));
            alone.extend(unlinked.iter().map(|(id, _)| id.clone()));
        }
        Some(named) => {
            // A project without a number in PM is named by the ERP's.
            let numbers: BTreeMap<&String, &Option<String>> = erp.iter().map(|(id, number)| (id, number)).collect();
            let in_erp = |id: &String| {
                let mut of = jobs.get(id).into_iter().flatten().filter_map(|erp_id| numbers.get(erp_id).copied());
                of.find_map(Clone::clone)
            };
            let called: Listed =
                pm.iter().map(|(id, number)| (id.clone(), number.clone().or_else(|| in_erp(id)))).collect();
            for name in named {
                let is_one = |ids: &[&String]| {
                    let jobs: BTreeSet<_> = ids.iter().map(|id| jobs.get(id).and_then(|jobs| jobs.first())).collect();
                    jobs.len() == 1 && !jobs.contains(&None)
                };
                let of_pm = meant(&projects, Side::Pm, &called, name, is_one);
                let of_erp = meant(&projects, Side::Erp, &unlinked, name, |_| false);
                unclear.extend((of_pm.is_none() || of_erp.is_none()).then(|| name.clone()));
                own.extend(of_pm.unwrap_or_default());
                alone.extend(of_erp.unwrap_or_default());
            }
        }
    }
    let every: BTreeSet<&String> = pm.iter().map(|(id, _)| id).collect();
    projects.results.clone_from(&own);
    // The same text is another project's id in PM: of a result it cannot be told which one is meant.
    projects.results.extend(alone.iter().filter(|id| !every.contains(id)).cloned());
    let linked = partners.iter().filter(|(_, partners)| partners.iter().any(|partner| own.contains(*partner)));
    let known: BTreeSet<&String> = erp.iter().map(|(id, _)| id).collect();
    projects.erp.extend(linked.map(|(id, _)| (*id).clone()).filter(|id| known.contains(id)));
    projects.erp.extend(alone);
    projects.pm = own;
    // Without the view of a side its ids are the only names that there are.
    let named = named.into_iter().flatten();
    if !has_pm {
        projects.pm.extend(named.clone().cloned());
        projects.results.extend(named.clone().filter(|id| !has_erp || projects.erp.contains(*id)).cloned());
    }
    if !has_erp {
        projects.erp.extend(named.cloned());
    }
    (projects, unclear)
}

/// Ids and numbers.
type Listed = Vec<(String, Option<String>)>;

fn listed(pairs: Option<Vec<Pair>>) -> Listed {
    pairs.unwrap_or_default().into_iter().filter_map(|(id, number)| Some((id?, number))).collect()
}

/// The projects of a side that a name means; none at all where those of several connections go by it and are not one.
fn meant(
    projects: &Projects,
    side: Side,
    listed: &[(String, Option<String>)],
    name: &str,
    is_one: impl Fn(&[&String]) -> bool,
) -> Option<Vec<String>> {
    let (mut by_key, mut by_number) = (Vec::new(), Vec::new());
    for (id, number) in listed {
        let whose = projects.whose(side, id);
        let rest = whose.and_then(|(source, _)| name.strip_prefix(source)?.strip_prefix(':'));
        let is_qualified =
            rest.is_some_and(|rest| number.as_deref() == Some(rest) || whose.is_some_and(|(_, own_id)| own_id == rest));
        if id == name || is_qualified {
            by_key.push(id);
        } else if number.as_deref() == Some(name) {
            by_number.push(id);
        }
    }
    let source = |id: &String| projects.whose(side, id).map(|(source, _)| source.to_owned());
    let mut found: Vec<&String> = by_key.iter().chain(&by_number).copied().collect();
    let sources: BTreeSet<_> = found.iter().map(|id| source(id)).collect();
    if sources.len() > 1 && !is_one(&found) {
        let first = source(by_key.first()?);
        found.retain(|id| source(id) == first);
    }
    Some(found.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(all: &[(&str, &str)]) -> Vec<Pair> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        all.iter().map(|(left, right)| (text(left), text(right))).collect()
    }

    fn set(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_project_is_named_by_pm_and_found_in_the_erp_by_its_link() {
        let pm = || Some(pairs(&[("1", "24-001"), ("2", "24-002"), ("3", "")]));
        let erp = || Some(pairs(&[("24-001", "24-001"), ("1", "1"), ("J9", "J9"), ("2", "Two")]));
        let links = || Some(pairs(&[("1", "24-001"), ("2", "1"), ("3", "J9")]));
        let named = |names: &[&str]| chosen(Some(&set(names)), pm(), erp(), links(), Projects::default()).0;
        // The ERP's project 1 is PM's 2, whatever it is called.
        assert_eq!(
            named(&["1"]),
            Projects { pm: set(&["1"]), erp: set(&["24-001"]), results: set(&["1"]), ..Projects::default() }
        );
        assert_eq!(
            named(&["24-002"]),
            Projects { pm: set(&["2"]), erp: set(&["1"]), results: set(&["2"]), ..Projects::default() }
        );
        // PM knows no number: the ERP's is what people say.
        assert_eq!(
            named(&["J9"]),
            Projects { pm: set(&["3"]), erp: set(&["J9"]), results: set(&["3"]), ..Projects::default() }
        );
        // Linked to none; as a result's id it would be taken for PM's project 2.
        assert_eq!(
            named(&["Two"]),
            Projects { pm: set(&[]), erp: set(&["2"]), results: set(&[]), ..Projects::default() }
        );
        assert_eq!(named(&["99"]), Projects::default());
        let all = chosen(None, pm(), erp(), links(), Projects::default()).0;
        assert_eq!((all.pm.len(), all.erp.len()), (3, 4));
    }

    #[test]
    fn without_a_model_a_project_is_its_id() {
        let (found, _) = chosen(Some(&set(&["7"])), None, None, None, Projects::default());
        assert_eq!(found, Projects { pm: set(&["7"]), erp: set(&["7"]), results: set(&["7"]), ..Projects::default() });
        let (found, _) = chosen(Some(&set(&["7"])), Some(pairs(&[("1", "x")])), None, None, Projects::default());
        assert_eq!(found, Projects { pm: set(&[]), erp: set(&["7"]), results: set(&[]), ..Projects::default() });
    }

    #[test]
    fn a_number_that_two_connections_have_names_neither() {
        let pm = || {
            let all = [
                ("1", "24-001"),
                ("2", "24-002"),
                ("3", "24-003"),
                ("sight:1", "24-001"),
                ("sight:3", "24-003"),
                ("sight:4", "2"),
            ];
            Some(pairs(&all))
        };
        let erp = || Some(pairs(&[("J3", "24-003"), ("J8", "24-008"), ("intacct:J8", "24-008")]));
        let links = || Some(pairs(&[("3", "J3"), ("sight:3", "J3")]));
        let sides = [("procore", Side::Pm), ("sight", Side::Pm), ("erp", Side::Erp), ("intacct", Side::Erp)];
        let none = || Projects {
            prefixes: ["sight", "intacct"].map(|source| (source.to_owned(), format!("{source}:"))).into(),
            sources: sides.map(|(source, side)| (source.to_owned(), side)).into(),
            ..Projects::default()
        };
        let named = |name: &str| {
            let (found, unclear) = chosen(Some(&set(&[name])), pm(), erp(), links(), none());
            (found.pm.into_iter().collect::<Vec<_>>(), found.erp.into_iter().collect::<Vec<_>>(), unclear.len())
        };
        let found = |pm: &[&str], erp: &[&str], unclear: usize| {
            let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            (texts(pm), texts(erp), unclear)
        };
        assert_eq!(named("24-001"), found(&[], &[], 1));
        assert_eq!(named("procore:24-001"), found(&["1"], &[], 0));
        assert_eq!(named("procore:1"), found(&["1"], &[], 0));
        assert_eq!(named("sight:24-001"), found(&["sight:1"], &[], 0));
        assert_eq!(named("sight:1"), found(&["sight:1"], &[], 0));
        assert_eq!(named("24-002"), found(&["2"], &[], 0));
        // A key of the one, a number of the other.
        assert_eq!(named("2"), found(&["2"], &[], 0));
        // One job of both.
        assert_eq!(named("24-003"), found(&["3", "sight:3"], &["J3"], 0));
        assert_eq!(named("24-008"), found(&[], &[], 1));
        assert_eq!(named("intacct:24-008"), found(&[], &["intacct:J8"], 0));
        assert_eq!(named("erp:J8"), found(&[], &["J8"], 0));
    }
}
