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
}

impl Projects {
    /// An id as it stands in a table as extracted: without the connection in front, and nothing if it is another connection's.
    pub(super) fn own_id<'a>(&self, source: Option<&str>, id: &'a str) -> Option<&'a str> {
        let Some(source) = source else { return Some(id) };
        match self.prefixes.get(source) {
            Some(prefix) => id.strip_prefix(prefix.as_str()),
            None => Some(id).filter(|id| !self.prefixes.values().any(|prefix| id.starts_with(prefix.as_str()))),
        }
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
        let prefixes = edition.blueprint().prefixes.clone();
        let found = Arc::new(Projects { prefixes, ..chosen(access.projects.as_ref(), pm, erp, links) });
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

/// The projects that a role names; all of them if it names none.
fn chosen(
    named: Option<&BTreeSet<String>>,
    pm: Option<Vec<Pair>>,
    erp: Option<Vec<Pair>>,
    links: Option<Vec<Pair>>,
) -> Projects {
    let is_named =
        |text: &Option<String>| named.is_none_or(|named| text.as_ref().is_some_and(|text| named.contains(text)));
    let (has_pm, has_erp) = (pm.is_some(), erp.is_some());
    let (pm, erp) = (pm.unwrap_or_default(), erp.unwrap_or_default());
    let (mut partners, mut jobs): (Partners<'_>, Partners<'_>) = (BTreeMap::new(), BTreeMap::new());
    let links = links.unwrap_or_default();
    for (pm_id, erp_id) in &links {
        if let (Some(pm_id), Some(erp_id)) = (pm_id, erp_id) {
            partners.entry(erp_id).or_default().push(pm_id);
            jobs.entry(pm_id).or_default().push(erp_id);
        }
    }
    // A project without a number in PM is named by the ERP's.
    let numbers: BTreeMap<&String, &Option<String>> =
        erp.iter().filter_map(|(id, number)| Some((id.as_ref()?, number))).collect();
    let by_partner = |id: &String| {
        let mut of = jobs.get(id).into_iter().flatten();
        of.any(|erp_id| numbers.get(erp_id).is_some_and(|number| is_named(number)))
    };
    let mut projects = Projects::default();
    for (id, number) in &pm {
        let Some(id) = id else { continue };
        let found = named.is_none_or(|named| named.contains(id)) || is_named(number);
        if found || number.is_none() && by_partner(id) {
            projects.pm.insert(id.clone());
        }
    }
    projects.results.clone_from(&projects.pm);
    let every: BTreeSet<&String> = pm.iter().filter_map(|(id, _)| id.as_ref()).collect();
    for (id, number) in &erp {
        let Some(id) = id else { continue };
        match partners.get(id) {
            Some(partners) if partners.iter().any(|partner| projects.pm.contains(*partner)) => {
                projects.erp.insert(id.clone());
            }
            None if is_named(&Some(id.clone())) || is_named(number) => {
                projects.erp.insert(id.clone());
                // The same text is another project's id in PM: of a result it cannot be told which one is meant.
                if !every.contains(id) {
                    projects.results.insert(id.clone());
                }
            }
            Some(_) | None => {}
        }
    }
    // Without the view of a side its ids are the only names that there are.
    let named = named.into_iter().flatten();
    if !has_pm {
        projects.pm.extend(named.clone().cloned());
        projects.results.extend(named.clone().filter(|id| !has_erp || projects.erp.contains(*id)).cloned());
    }
    if !has_erp {
        projects.erp.extend(named.cloned());
    }
    projects
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
        let named = |names: &[&str]| chosen(Some(&set(names)), pm(), erp(), links());
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
        let all = chosen(None, pm(), erp(), links());
        assert_eq!((all.pm.len(), all.erp.len()), (3, 4));
    }

    #[test]
    fn without_a_model_a_project_is_its_id() {
        let found = chosen(Some(&set(&["7"])), None, None, None);
        assert_eq!(found, Projects { pm: set(&["7"]), erp: set(&["7"]), results: set(&["7"]), ..Projects::default() });
        let found = chosen(Some(&set(&["7"])), Some(pairs(&[("1", "x")])), None, None);
        assert_eq!(found, Projects { pm: set(&[]), erp: set(&["7"]), results: set(&[]), ..Projects::default() });
    }
}
