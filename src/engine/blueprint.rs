//! What the definitions say there is: sources, tables, entities, views, and what reads what. No session, no data.
//!
//! Invariant: a file that cannot be used is a [`Problem`]; only what every view rests on (manifests, the canonical model)
//! is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::definitions::Definitions;
use crate::engine::Error;
use crate::engine::canonical::{self, Entity, Mapping};
use crate::engine::crosswalks::{self, Crosswalks};
use crate::engine::described::{Descriptions, descriptions};
use crate::engine::header::Side;
use crate::engine::keys::{self, Keys};
use crate::engine::layout::{self, RawTable, SystemLayout, layouts};
use crate::engine::planner::Broken;
use crate::engine::queries::{self, Name, Problem, QueryFile};
use crate::engine::settings::{EngineSettings, Setting, SourceBinding};
use crate::extract::did_you_mean;

/// The tables that tell what moved since an earlier look.
const MOVES: [(&str, &str); 2] = [("system", "field_moves"), ("system", "stored_id_moves")];

/// Raw tables that a check rests on, and those that it would read if a source were asked for them.
type CheckTables = (BTreeSet<Name>, BTreeSet<Name>);

/// Everything that the definitions and the settings declare.
#[derive(Debug)]
pub(crate) struct Blueprint {
    pub(crate) definitions: Arc<Definitions>,
    /// Of the definitions: tables remember by which set they were made.
    pub(crate) hash: Arc<str>,
    pub(crate) settings: Arc<EngineSettings>,
    pub(crate) layouts: BTreeMap<String, SystemLayout>,
    pub(crate) entities: Vec<Entity>,
    /// By `pm.<entity>` or `erp.<entity>`; an entity that no source maps has an empty list.
    pub(crate) mappings: BTreeMap<Name, Vec<Mapping>>,
    pub(crate) queries: BTreeMap<Name, QueryFile>,
    /// The firm's own pairs, by entity.
    pub(crate) crosswalks: Crosswalks,
    /// Views that cannot be planned whatever their text says: they read themselves through others, or the firm's own pairs
    /// cannot be read. With the reason in words.
    pub(crate) hopeless: BTreeMap<Name, String>,
    pub(crate) descriptions: Descriptions,
    pub(crate) keys: Keys,
    unreadable: Vec<Problem>,
    /// Mapping files that cannot be parsed, by the view that would lack them.
    pub(crate) unmapped: BTreeMap<Name, Problem>,
    closures: Mutex<BTreeMap<Name, Arc<BTreeSet<Name>>>>,
    check_tables: Mutex<BTreeMap<(Name, Side), CheckTables>>,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Pm, Self::Erp];

    /// The schema of its canonical tables.
    pub(crate) fn schema(self) -> &'static str {
        match self {
            Self::Pm => "pm",
            Self::Erp => "erp",
        }
    }
}

impl Blueprint {
    pub(crate) fn load(definitions: Definitions, mut settings: EngineSettings) -> Result<Self, Error> {
        let definitions = Arc::new(definitions);
        let layouts = layouts(&definitions, &settings.sources)?;
        let entities = canonical::entities(&definitions)?;
        let (mut queries, mut unreadable) = queries::load(&definitions);
        set_grace(&mut queries, &settings.grace_hours)?;
        tell_grace(&queries, &mut settings);
        let mut mappings: BTreeMap<Name, Vec<Mapping>> = BTreeMap::new();
        let mut unmapped = BTreeMap::new();
        tell_prefixes(&definitions, &layouts, &mut settings);
        tell_books(&layouts, &mut settings)?;
        for entity in &entities {
            for side in Side::BOTH {
                let name = (side.schema().to_owned(), entity.name.clone());
                let entry = mappings.entry(name.clone()).or_default();
                for source in &settings.sources {
                    if layouts.get(&source.name).is_none_or(|layout| layout.side != side.schema()) {
                        continue;
                    }
                    let words = settings.statuses.get(&source.name);
                    match canonical::mapping(&definitions, &source.name, &source.system, &entity.name, words) {
                        Ok(mapping) => entry.extend(mapping.map(|mut mapping| {
                            mapping.prefix = settings.prefixes.get(&source.name).cloned();
                            mapping.currency = settings.currencies.get(&source.name).cloned();
                            mapping
                        })),
                        Err(problem) => {
                            unreadable.push(problem.clone());
                            unmapped.insert(name.clone(), problem);
                        }
                    }
                }
            }
        }
        check_words(&settings, &mappings, &unmapped)?;
        tell_gaps(&entities, &layouts, &mappings, &unmapped, &mut settings);
        let descriptions = descriptions(&entities, &queries);
        let keys = keys::keys(&layouts, &entities, &queries);
        let settings = Arc::new(settings);
        let mapped = mappings.iter().map(|(name, mappings): (&Name, &Vec<Mapping>)| {
            (name.clone(), mappings.iter().flat_map(|mapping| mapping.reads.iter().cloned()).collect())
        });
        let reads: BTreeMap<Name, BTreeSet<Name>> =
            queries.iter().map(|(name, query)| (name.clone(), query.reads.clone())).chain(mapped).collect();
        let mut hopeless: BTreeMap<Name, String> = queries::ordered(&reads).1.into_iter().collect();
        let (crosswalks, unusable) = crosswalks::load(&definitions, &queries);
        for problem in unusable {
            if let Some(entity) = crosswalks::entity(&problem.path).filter(|entity| !crosswalks.contains_key(*entity)) {
                let name = ("link".to_owned(), entity.to_owned());
                hopeless.insert(name, format!("{}: {}", problem.path, problem.reason));
            }
            unreadable.push(problem);
        }
        let hash = definitions.hash().into();
        Ok(Self {
            definitions,
            hash,
            settings,
            layouts,
            entities,
            mappings,
            queries,
            crosswalks,
            hopeless,
            descriptions,
            keys,
            unreadable,
            unmapped,
            closures: Mutex::default(),
            check_tables: Mutex::default(),
        })
    }

    /// All files that cannot be used, given which views could not be planned.
    pub(crate) fn problems(&self, broken: &Broken) -> Vec<Problem> {
        let mut problems = self.unreadable.clone();
        problems.extend(broken.iter().filter(|(name, _)| !self.unmapped.contains_key(*name)).map(|(name, reason)| {
            let path =
                self.queries.get(name).map_or_else(|| format!("{}.{}", name.0, name.1), |query| query.path.clone());
            Problem { path, reason: reason.clone() }
        }));
        problems
    }

    /// Everything that a view reads, directly or through others: views, canonical and raw tables. Every check asks several
    /// times at every commit, so it is kept.
    pub(crate) fn closure(&self, view: &Name) -> Arc<BTreeSet<Name>> {
        let mut closures = self.closures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = closures.get(view) {
            return Arc::clone(known);
        }
        let closure = Arc::new(self.closure_without(view, &BTreeSet::new()));
        closures.insert(view.clone(), Arc::clone(&closure));
        closure
    }

    /// The same, without some names and what is read through them alone.
    fn closure_without(&self, view: &Name, left_out: &BTreeSet<Name>) -> BTreeSet<Name> {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![view.clone()];
        while let Some(name) = waiting.pop() {
            let query = self.queries.get(&name).into_iter().flat_map(|query| query.reads.iter());
            let mapped = self.mappings.get(&name).into_iter().flatten().flat_map(|mapping| mapping.reads.iter());
            for read in query.chain(mapped) {
                if !left_out.contains(read) && seen.insert(read.clone()) {
                    waiting.push(read.clone());
                }
            }
        }
        seen
    }

    /// Whether a view tells what moved since an earlier look.
    pub(crate) fn reads_moves(&self, view: &Name) -> bool {
        self.closure(view).iter().any(|(schema, table)| MOVES.contains(&(schema, table)))
    }

    /// The raw tables of one side that a view rests on, with the tables under whose rows they were listed.
    pub(crate) fn raw_tables(&self, view: &Name, side: Side) -> BTreeSet<Name> {
        self.raw_tables_below(&self.closure(view), side)
    }

    /// The raw tables of one side that a check rests on, and those that it would read if a source were asked for them. Kept,
    /// as closures are.
    pub(crate) fn check_tables(&self, query: &QueryFile, side: Side) -> CheckTables {
        let mut known = self.check_tables.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = known.entry((query.name.clone(), side)).or_insert_with(|| self.find_check_tables(query, side));
        tables.clone()
    }

    fn find_check_tables(&self, query: &QueryFile, side: Side) -> CheckTables {
        let split = |name: &String| name.split_once('.').map(|(schema, name)| (schema.to_owned(), name.to_owned()));
        let optional: BTreeSet<Name> = query.header.optional.iter().filter_map(split).collect();
        let needed = self.raw_tables_below(&self.closure_without(&query.name, &optional), side);
        if optional.is_empty() {
            return (needed, BTreeSet::new());
        }
        let is_asked = |name: &Name| needed.contains(name) || self.left_out(name).is_none();
        self.raw_tables(&query.name, side).into_iter().partition(is_asked)
    }

    fn raw_tables_below(&self, names: &BTreeSet<Name>, side: Side) -> BTreeSet<Name> {
        let mut tables = BTreeSet::new();
        let mut waiting: Vec<Name> = names.iter().cloned().collect();
        while let Some((source, table)) = waiting.pop() {
            let Some(layout) = self.layouts.get(&source).filter(|layout| layout.side == side.schema()) else {
                continue;
            };
            let raw = layout.tables.iter().find(|raw| raw.name == table && !raw.informs);
            let Some(raw) = raw else { continue };
            if tables.insert((source.clone(), table)) {
                waiting.extend(raw.parents.iter().map(|parent| (source.clone(), parent.clone())));
            }
        }
        tables
    }

    /// The raw tables of one side that a check's rows of one entity rest on: its records and its links, as far as the check
    /// reads them.
    pub(crate) fn entity_tables(&self, query: &QueryFile, entity: &str, side: Side) -> BTreeSet<Name> {
        let reads = self.closure(&query.name);
        let own = ["pm", "erp", "link"].map(|schema| (schema.to_owned(), entity.to_owned()));
        own.iter().filter(|name| reads.contains(name)).flat_map(|name| self.raw_tables(name, side)).collect()
    }

    pub(crate) fn raw_table(&self, name: &Name) -> Option<&RawTable> {
        self.layouts.get(&name.0)?.tables.iter().find(|table| table.name == name.1)
    }

    pub(crate) fn has_side(&self, side: Side) -> bool {
        self.layouts.values().any(|layout| layout.side == side.schema())
    }
}

/// Tells whose keys carry the name of their connection. Without a source the settings' own stay, as those of `not_mapped` do.
fn tell_prefixes(definitions: &Definitions, layouts: &BTreeMap<String, SystemLayout>, settings: &mut EngineSettings) {
    if layouts.is_empty() {
        return;
    }
    let side = |binding: &SourceBinding| match layouts.get(&binding.name) {
        Some(layout) => Some(layout.side.clone()),
        // Gone, and of a system that nobody knows any more: whose place it held is not known either.
        None => layout::system_layout(definitions, &binding.system).ok().map(|layout| layout.side),
    };
    let read = settings.read_before.iter().filter_map(|binding| Some((binding.name.clone(), side(binding)?)));
    let configured = layouts.iter().map(|(source, layout)| (source.clone(), layout.side.clone()));
    let ever: Vec<(String, String)> = read.chain(configured).collect();
    settings.prefixes = canonical::prefixes(ever.iter().map(|(source, side)| (source.as_str(), side.as_str())));
}

/// Tells SQL which ERP connection keeps the books of each PM connection: where the firm has one ERP, that one.
fn tell_books(layouts: &BTreeMap<String, SystemLayout>, settings: &mut EngineSettings) -> Result<(), Error> {
    let of =
        |side: Side| layouts.iter().filter(move |(_, layout)| layout.side == side.schema()).map(|(source, _)| source);
    let erps: Vec<&String> = of(Side::Erp).collect();
    for (pm, erp) in &settings.books {
        let place = format!("[sources.{pm}] erp = \"{erp}\"");
        if !erps.contains(&erp) {
            let guess = did_you_mean(erp, erps.iter().map(|erp| erp.as_str()));
            let reason = format!("there is no ERP source of this name{guess}");
            return Err(Error::Setting { place, reason });
        }
        if !of(Side::Pm).any(|source| source == pm) {
            let reason = format!("{pm} is no PM source: the PM source names its ERP");
            return Err(Error::Setting { place, reason });
        }
    }
    if let [only] = erps.as_slice() {
        settings.books.extend(of(Side::Pm).map(|pm| (pm.clone(), (*only).clone())));
    }
    Ok(())
}

/// Puts the firm's hours of grace in the place of the checks' own.
fn set_grace(queries: &mut BTreeMap<Name, QueryFile>, hours: &BTreeMap<String, i64>) -> Result<(), Error> {
    for (check, hours) in hours {
        let mut headers = queries.values_mut().map(|query| &mut query.header);
        let header = headers.find(|header| header.check.as_ref() == Some(check) && header.grace_hours.is_some());
        header.ok_or_else(|| no_grace(check))?.grace_hours = Some(*hours);
    }
    Ok(())
}

fn no_grace(check: &str) -> Error {
    let reason = "no check with this id has a grace\nhint: meta.checks lists the checks with their grace_hours";
    Error::Setting { place: format!("[grace] {check}"), reason: reason.to_owned() }
}

/// Refuses words of the firm that no mapping reads: they would change nothing, and nobody would know.
fn check_words(
    settings: &EngineSettings,
    mappings: &BTreeMap<Name, Vec<Mapping>>,
    unmapped: &BTreeMap<Name, Problem>,
) -> Result<(), Error> {
    // What a mapping reads that cannot be parsed is not known; it is told as a problem of its own.
    if !unmapped.is_empty() {
        return Ok(());
    }
    for (source, words) in &settings.statuses {
        let own = mappings.values().flatten().filter(|mapping| mapping.source == *source);
        let known: BTreeSet<&str> = own.flat_map(|mapping| &mapping.has_words).map(String::as_str).collect();
        if known.is_empty() {
            let reason = "none of its mappings reads an approval status".to_owned();
            return Err(Error::Setting { place: format!("[status.{source}]"), reason });
        }
        if let Some(table) = words.tables.keys().find(|table| !known.contains(table.as_str())) {
            let guess = did_you_mean(table, known.iter().copied());
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            let reason =
                format!("no approval status is read from a table of this name{guess}\nhint: known are {known}");
            return Err(Error::Setting { place: format!("[status.{source}.{table}]"), reason });
        }
    }
    Ok(())
}

/// Tells SQL each check's hours of grace: what is in flight under one check is no difference under another.
fn tell_grace(queries: &BTreeMap<Name, QueryFile>, settings: &mut EngineSettings) {
    let headers = queries.values().map(|query| &query.header);
    for (check, hours) in headers.filter_map(|header| Some((header.check.as_ref()?, header.grace_hours?))) {
        settings.values.insert(format!("grace_hours_{}", check.to_lowercase()), Setting::Integer(hours));
    }
}

/// Tells SQL what no source of a side that has some maps, in the list `not_mapped`: `erp.payments`, and of an entity whose mappings
/// tell some kinds of record alone, `erp.change_orders.prime`; the same of each source, `cmic.change_orders.prime`. A mapping that
/// cannot be parsed is no missing one.
fn tell_gaps(
    entities: &[Entity],
    layouts: &BTreeMap<String, SystemLayout>,
    mappings: &BTreeMap<Name, Vec<Mapping>>,
    unmapped: &BTreeMap<Name, Problem>,
    settings: &mut EngineSettings,
) {
    let mut gaps = Vec::new();
    let sides = Side::BOTH.into_iter().filter(|side| layouts.values().any(|layout| layout.side == side.schema()));
    for (side, entity) in sides.flat_map(|side| entities.iter().map(move |entity| (side, entity))) {
        let name: Name = (side.schema().to_owned(), entity.name.clone());
        if unmapped.contains_key(&name) {
            continue;
        }
        let of_side = mappings.get(&name).map_or(&[] as &[Mapping], Vec::as_slice);
        let mut tell = |full_name: String, told: &[&Mapping]| {
            let tells =
                |kind: &String| told.iter().any(|one| one.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind)));
            gaps.extend(entity.kinds.iter().filter(|kind| !tells(kind)).map(|kind| format!("{full_name}.{kind}")));
            if told.is_empty() {
                gaps.push(full_name);
            }
        };
        tell(format!("{}.{}", name.0, name.1), &of_side.iter().collect::<Vec<_>>());
        for source in layouts.iter().filter(|(_, layout)| layout.side == side.schema()).map(|(source, _)| source) {
            let own: Vec<&Mapping> = of_side.iter().filter(|mapping| mapping.source == *source).collect();
            tell(format!("{source}.{}", entity.name), &own);
        }
    }
    // Without a source there is nothing to be told, and what the settings say stays.
    if !layouts.is_empty() || !settings.values.contains_key("not_mapped") {
        settings.values.insert("not_mapped".to_owned(), Setting::List(gaps));
    }
}
