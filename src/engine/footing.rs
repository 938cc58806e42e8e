//! What a check stands on: the raw tables below it, and what of them cannot be believed.
//!
//! Invariants: a gap in one project silences no other, a gap under one entity no rows of another (`by_entity` of a check's
//! header), and what one source leaves out or could not be asked for none of another source's projects, on either side.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::cells::{Cell, Row};
use crate::engine::checks::{Evaluator, Project};
use crate::engine::coverage::Part;
use crate::engine::header::{Scope, Side};
use crate::engine::queries::{Name, QueryFile};

/// Why nothing is said of moves at a first look: a difference that is there already is nobody's move.
const NO_HISTORY: &str = "both systems are read for the first time: what moved is told from the second time on";

/// Raw tables, and the gaps in them.
#[derive(Default)]
pub(crate) struct Ground {
    pub(crate) pm: BTreeSet<Name>,
    pub(crate) erp: BTreeSet<Name>,
    /// Why nothing can be said at all.
    pub(crate) firm_gap: Option<String>,
    /// Why nothing can be said of a project, by its id.
    pub(crate) project_gaps: BTreeMap<String, String>,
    /// Whether one of several ERPs has a gap: of a record that no project of PM owns nobody knows whether it is that one's.
    has_erp_gap: bool,
}

impl Ground {
    /// The tables of a side; those of a project's own connections where they are known.
    pub(crate) fn of(&self, side: Side, project: Option<&Project>) -> BTreeSet<Name> {
        let names = if side == Side::Pm { &self.pm } else { &self.erp };
        let is_own = |name: &&Name| match (project, side) {
            (None, _) => true,
            (Some(project), Side::Pm) => project.source.as_ref().is_none_or(|source| *source == name.0),
            (Some(project), Side::Erp) => project.erps.is_empty() || project.erps.contains(&name.0),
        };
        names.iter().filter(is_own).cloned().collect()
    }
}

/// The grounds of a check.
#[derive(Default)]
pub(crate) struct Footing {
    /// All of it: its gaps are those that leave nothing to say.
    pub(crate) whole: Ground,
    /// Of a check whose rows rest on nothing but their own entity: each of the entities that there is something to say of.
    entities: BTreeMap<String, Ground>,
    /// The entities of such a check that have nothing to compare here.
    void: BTreeSet<String>,
    /// Projects whose own connections do not tell what the check compares, though others do, and why.
    untold: BTreeMap<String, String>,
    /// PM's projects.
    projects: BTreeSet<String>,
    /// Projects of whose gaps nothing depends but what is said of them.
    idle: BTreeSet<String>,
    /// Why only a part can be said of a project, by its id.
    partial_projects: BTreeMap<String, String>,
    /// Why only a part can be said of the firm.
    partial_firm: Option<String>,
    /// What would tell more, and is not asked for.
    pub(crate) without: Option<String>,
}

/// Why a check has nothing to compare here, or else what it stands on.
pub(crate) type Standing = Result<Footing, String>;

impl Footing {
    /// Whether a row may not be judged anew: its project, or its entity, was not read.
    ///
    /// A check of the whole firm looks at records that no project owns: what an unread project held stays in its tables as
    /// it was last read, so such a check may open and close, and is only partial.
    pub(crate) fn is_frozen(&self, row: &Row, scope: Scope) -> bool {
        let text = |name: &str| row.get(name).and_then(Cell::as_text);
        let ground = text("entity").and_then(|entity| self.entities.get(entity)).unwrap_or(&self.whole);
        if ground.firm_gap.is_some() {
            return true;
        }
        match text("project_id") {
            _ if scope == Scope::Firm => false,
            Some(project) if ground.project_gaps.contains_key(project) => true,
            Some(project) => ground.has_erp_gap && !self.projects.contains(project),
            // A record without a project may belong to one that was not read.
            None => ground.project_gaps.keys().any(|project| !self.idle.contains(project)),
        }
    }

    /// Whether a row is about an entity, or a project, of which nothing is compared here.
    pub(crate) fn is_void(&self, row: &Row) -> bool {
        let is = |name: &str, holds: &dyn Fn(&str) -> bool| row.get(name).and_then(Cell::as_text).is_some_and(holds);
        is("entity", &|entity| self.void.contains(entity))
            || is("project_id", &|project| self.untold.contains_key(project))
    }

    /// Why nothing is compared of a project, though something is of others.
    pub(crate) fn untold(&self, project: &str) -> Option<&str> {
        self.untold.get(project).map(String::as_str)
    }

    /// How many projects were not read for all that the check looks at, and the first reason why not everything was.
    pub(crate) fn gaps(&self) -> (usize, Option<&String>) {
        let known = self.whole.project_gaps.iter().chain(&self.partial_projects);
        let gaps: Vec<(&String, &String)> = known.filter(|(project, _)| !self.idle.contains(*project)).collect();
        let projects: BTreeSet<&String> = gaps.iter().map(|(project, _)| *project).collect();
        (projects.len(), self.partial_firm.as_ref().or_else(|| gaps.first().map(|(_, reason)| *reason)))
    }

    /// Why only a part can be said of a project.
    pub(crate) fn partial_gap(&self, project: &str) -> Option<&String> {
        self.partial_projects.get(project).or(self.partial_firm.as_ref())
    }
}

impl Evaluator<'_> {
    pub(crate) fn standing(&self, query: &QueryFile) -> Standing {
        match self.blueprint.not_applicable(query) {
            Some(reason) => Err(reason),
            None if self.blueprint.reads_moves(&query.name) && !self.has_history => Err(NO_HISTORY.to_owned()),
            None => Ok(self.footing(query)),
        }
    }

    fn footing(&self, query: &QueryFile) -> Footing {
        let (pm, pm_left_out) = self.blueprint.check_tables(query, Side::Pm);
        let (erp, erp_left_out) = self.blueprint.check_tables(query, Side::Erp);
        let without = pm_left_out.iter().chain(&erp_left_out).find_map(|name| self.blueprint.left_out(name));
        let without = without.map(|reason| format!("judged without a table: {reason}"));
        let idle = self.projects.iter().filter(|project| project.is_idle).map(|project| project.id.clone()).collect();
        let untold =
            self.projects.iter().filter_map(|project| Some((project.id.clone(), self.untold(query, project)?)));
        let projects = self.projects.iter().map(|project| project.id.clone()).collect();
        let mut footing = Footing { idle, without, projects, untold: untold.collect(), ..Footing::default() };
        if query.header.by_entity.is_empty() {
            footing.whole = self.ground(pm, erp, query.header.scope);
            return footing;
        }
        for entity in &query.header.by_entity {
            if self.blueprint.is_void(query, entity) {
                footing.void.insert(entity.clone());
                continue;
            }
            let tables = |side| self.blueprint.entity_tables(query, entity, side);
            let ground = self.ground(tables(Side::Pm), tables(Side::Erp), query.header.scope);
            footing.entities.insert(entity.clone(), ground);
        }
        footing.whole = Ground { pm, erp, ..Ground::default() };
        self.join(&mut footing);
        footing
    }

    /// What the gaps of its entities mean for the whole of a check: where all have one nothing is left to say, else a part.
    fn join(&self, footing: &mut Footing) {
        let gap = |ground: &Ground, project: &Project| {
            ground.firm_gap.clone().or_else(|| ground.project_gaps.get(&project.id).cloned())
        };
        let grounds: Vec<&Ground> = footing.entities.values().collect();
        let firm_gaps: Vec<&String> = grounds.iter().filter_map(|ground| ground.firm_gap.as_ref()).collect();
        let first = firm_gaps.first().map(|gap| (*gap).clone());
        if firm_gaps.len() == grounds.len() {
            footing.whole.firm_gap = first;
            return;
        }
        for project in &self.projects {
            let gaps: Vec<String> = grounds.iter().filter_map(|ground| gap(ground, project)).collect();
            let Some(first) = gaps.first().cloned() else { continue };
            if gaps.len() == grounds.len() {
                footing.whole.project_gaps.insert(project.id.clone(), first);
            } else if gaps.len() > firm_gaps.len() {
                footing.partial_projects.insert(project.id.clone(), first);
            }
        }
        footing.partial_firm = first;
    }

    /// Why a project's own connections have nothing to compare, where one of several of a side tells less than others.
    fn untold(&self, query: &QueryFile, project: &Project) -> Option<String> {
        let of_pm = project.source.iter().map(|source| (source, Side::Pm));
        // A project that several ERPs have is compared with those that tell.
        let of_erp = project.erps.iter().filter(|_| project.erps.len() == 1).map(|source| (source, Side::Erp));
        of_pm.chain(of_erp).find_map(|(source, side)| self.blueprint.untold(query, source, side))
    }

    fn ground(&self, pm: BTreeSet<Name>, erp: BTreeSet<Name>, scope: Scope) -> Ground {
        let left_out = |names: &BTreeSet<Name>| names.iter().find_map(|name| self.blueprint.left_out(name));
        let erp_gap =
            |tables: &BTreeSet<Name>| left_out(tables).or_else(|| self.ledger.first_gap(tables, Side::Erp, Part::All));
        let (erp_gaps, erps) = gaps(&erp, erp_gap);
        let company_gap = |tables: &BTreeSet<Name>| self.ledger.first_gap(tables, Side::Pm, Part::Company);
        let (company_gaps, companies) = gaps(&pm, company_gap);
        // What one of several connections lacks is its projects' matter; where nothing is by project, everybody's.
        let of_all = |gaps: &BTreeMap<String, String>, count: usize| {
            gaps.values().next().filter(|_| gaps.len() == count || scope == Scope::Firm).cloned()
        };
        let nothing_asked = || left_out(&pm).filter(|_| scope == Scope::Firm && self.projects.is_empty());
        let firm_gap = of_all(&erp_gaps, erps).or_else(|| of_all(&company_gaps, companies)).or_else(nothing_asked);
        let has_erp_gap = !erp_gaps.is_empty();
        let mut ground = Ground { pm, erp, firm_gap, project_gaps: BTreeMap::new(), has_erp_gap };
        if ground.firm_gap.is_some() {
            return ground;
        }
        for project in &self.projects {
            // Another source's tables hold nothing of this project.
            let tables = ground.of(Side::Pm, Some(project));
            let unread = || self.ledger.first_gap(&tables, Side::Pm, Part::Project(&project.key));
            let is_its = |source: &String| project.erps.is_empty() || project.erps.contains(source);
            let in_erp = || erp_gaps.iter().find(|(source, _)| is_its(source)).map(|(_, gap)| gap.clone());
            if let Some(gap) = left_out(&tables).or_else(unread).or_else(in_erp) {
                ground.project_gaps.insert(project.id.clone(), gap);
            }
        }
        ground
    }

    /// Whether no project at all can be believed.
    pub(crate) fn is_blind(&self, footing: &Footing) -> bool {
        let gaps = &footing.whole.project_gaps;
        let mut jobs = self.projects.iter().filter(|project| !project.is_idle);
        !gaps.is_empty() && jobs.all(|project| gaps.contains_key(&project.id))
    }
}

/// The first gap in each source's tables, of those that have one, and how many sources there are.
fn gaps(names: &BTreeSet<Name>, gap: impl Fn(&BTreeSet<Name>) -> Option<String>) -> (BTreeMap<String, String>, usize) {
    let mut tables: BTreeMap<&String, BTreeSet<Name>> = BTreeMap::new();
    for name in names {
        tables.entry(&name.0).or_default().insert(name.clone());
    }
    let found = tables.iter().filter_map(|(source, tables)| Some(((*source).clone(), gap(tables)?)));
    (found.collect(), tables.len())
}
