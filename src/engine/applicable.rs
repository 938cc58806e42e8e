//! Whether a check has anything to compare here, and which of its fields.
//!
//! Invariant: what a source does not map is never read as "nothing there". A check that rests on an entity or a column that
//! no source of that side maps is not applicable and says why; it is never clean.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::blueprint::Blueprint;
use crate::engine::header::Side;
use crate::engine::queries::{Name, QueryFile};
use crate::engine::settings::Setting;

impl Blueprint {
    /// Why a check has nothing to compare under these sources and settings, if it has nothing.
    pub(crate) fn not_applicable(&self, query: &QueryFile) -> Option<String> {
        let entity = query.header.entity.as_deref()?;
        // One of several names is no entity that the check cannot do without.
        let sides = query.header.requires.iter().filter(|name| !name.starts_with("accounts.") && !name.contains('|'));
        let required = sides.filter_map(|name| name.split('.').nth(1));
        let parts = &query.header.by_entity;
        let own = parts.is_empty().then_some(entity);
        for entity in own.into_iter().chain(required) {
            if let Some(reason) = self.switched_off(entity) {
                return Some(reason);
            }
        }
        let reads = self.closure(&query.name);
        for side in Side::BOTH {
            let schema = side.schema();
            if reads.iter().any(|(read, _)| read == schema) && !self.has_side(side) {
                return Some(format!("there is no {schema} source"));
            }
            if let Some(reason) = own.and_then(|entity| self.unmapped_side(query, entity, side)) {
                return Some(reason);
            }
        }
        if !parts.is_empty() && parts.iter().all(|entity| self.is_void(query, entity)) {
            return Some(format!("no source maps {} on each side that is compared", parts.join(", ")));
        }
        for names in &query.header.requires {
            // One of several will do.
            let reasons: Option<Vec<String>> = names.split('|').map(|name| self.lacks(name)).collect();
            if let Some(reasons) = reasons {
                return Some(reasons.join(", "));
            }
        }
        if let Some(reason) = Side::BOTH.into_iter().find_map(|side| self.not_asked_for(query, side)) {
            return Some(reason);
        }
        let left_out = self.not_comparable(query);
        let fields = &query.header.compares;
        let none = !fields.is_empty() && fields.iter().all(|field| left_out.contains(field));
        none.then(|| format!("no field of {entity} is mapped on both sides: {}", left_out.join(", ")))
    }

    /// That nobody tells what a header names: a control account, an entity of a side, or a column of one.
    fn lacks(&self, name: &str) -> Option<String> {
        let (schema, rest) = name.split_once('.')?;
        if schema == "accounts" {
            let is_known = self.knows_accounts(rest);
            return (!is_known)
                .then(|| format!("neither the ERP nor [accounts] {rest} says which accounts control it"));
        }
        let (entity, column) = rest.split_once('.').map_or((rest, None), |(entity, column)| (entity, Some(column)));
        let is_mapped = self.is_mapped(schema, entity, column);
        (!is_mapped).then(|| self.not_mapped(schema, rest))
    }

    /// Why there is nothing to say of one of the entities that a check judges one by one.
    pub(crate) fn is_void(&self, query: &QueryFile, entity: &str) -> bool {
        self.switched_off(entity).is_some()
            || Side::BOTH.into_iter().any(|side| self.unmapped_side(query, entity, side).is_some())
    }

    fn switched_off(&self, entity: &str) -> Option<String> {
        let is_off = self.settings.disabled.iter().any(|disabled| disabled == entity);
        is_off.then(|| format!("{entity} is switched off in [connector] disabled"))
    }

    /// What a check needs and one connection does not tell, though another of its side does.
    pub(crate) fn untold(&self, query: &QueryFile, source: &str, side: Side) -> Option<String> {
        let schema = side.schema();
        if self.layouts.values().filter(|layout| layout.side == schema).count() < 2 {
            return None;
        }
        let is_told = |name: &str| match name.split('.').collect::<Vec<_>>().as_slice() {
            ["accounts", ..] => true,
            [of, entity] => self.is_mapped_by(Some(source).filter(|_| *of == schema), of, entity, None),
            [of, entity, column] => self.is_mapped_by(Some(source).filter(|_| *of == schema), of, entity, Some(column)),
            _ => true,
        };
        let own = query.header.entity.as_ref().filter(|_| query.header.by_entity.is_empty());
        let own = own.map(|entity| (schema.to_owned(), entity.clone()));
        let own =
            own.filter(|name| self.closure(&query.name).contains(name)).map(|(_, entity)| format!("{schema}.{entity}"));
        let stands_in = || query.header.stands_in.iter().filter(|name| name.split('.').next() == Some(schema)).cloned();
        let own = own.map(|name| std::iter::once(name).chain(stands_in()).collect::<Vec<_>>().join("|"));
        let needs = query.header.requires.iter().cloned().chain(own);
        let lacking = needs.into_iter().find(|names| !names.split('|').any(is_told))?;
        Some(format!("{source} does not map {}", lacking.replace('|', ", ")))
    }

    /// That the check reads a side's records of the entity, and no source of that side maps them, or what stands in for them.
    fn unmapped_side(&self, query: &QueryFile, entity: &str, side: Side) -> Option<String> {
        let schema = side.schema();
        let own = self.closure(&query.name).contains(&(schema.to_owned(), entity.to_owned()));
        let is_told = || query.header.stands_in.iter().any(|name| self.tells(schema, name));
        (own && !self.is_mapped(schema, entity, None) && !is_told()).then(|| self.not_mapped(schema, entity))
    }

    /// A table below the check that no source of the side was asked for. Where one source leaves it out and another does
    /// not, the check speaks of the other's projects (`footing`).
    fn not_asked_for(&self, query: &QueryFile, side: Side) -> Option<String> {
        let tables = self.check_tables(query, side).0;
        let sources: BTreeSet<&String> = tables.iter().map(|(source, _)| source).collect();
        let mut reasons = BTreeMap::new();
        for name in &tables {
            if let Some(reason) = self.left_out(name) {
                reasons.entry(&name.0).or_insert(reason);
            }
        }
        let is_all = reasons.len() == sources.len();
        reasons.into_values().next().filter(|_| is_all)
    }

    /// Why a table is not read at all: under a setting that the firm has not made for its source.
    pub(crate) fn left_out(&self, name: &Name) -> Option<String> {
        let setting = self.raw_table(name)?.needs.as_deref()?;
        let (source, table) = name;
        let given = self.settings.given.get(source).and_then(|settings| settings.get(setting)).copied();
        let is_given =
            given.unwrap_or_else(|| self.layouts.get(source).is_some_and(|layout| layout.preset.contains(setting)));
        (!is_given).then(|| format!("{source}.{table} is read only with `{setting}` of [sources.{source}]"))
    }

    /// The fields of a check's entity that only one side maps, or neither.
    pub(crate) fn not_comparable(&self, query: &QueryFile) -> Vec<String> {
        let Some(entity) = query.header.entity.as_deref() else { return Vec::new() };
        let both = |field: &&String| Side::BOTH.iter().all(|side| self.is_mapped(side.schema(), entity, Some(field)));
        query.header.compares.iter().filter(|field| !both(field)).cloned().collect()
    }

    /// Whether the ERP says what its accounts control, or the firm's settings name the accounts.
    fn knows_accounts(&self, control: &str) -> bool {
        let named = self.settings.values.get(&format!("{control}_accounts"));
        let is_named = matches!(named, Some(Setting::List(accounts)) if !accounts.is_empty());
        is_named || self.is_mapped("erp", "gl_accounts", Some("control_of"))
    }

    /// Whether `erp.vendor_invoices.paid_amount` is of this side, and mapped.
    fn tells(&self, schema: &str, name: &str) -> bool {
        let parts: Vec<&str> = name.split('.').collect();
        matches!(parts.as_slice(), [side, entity, column] if *side == schema && self.is_mapped(schema, entity, Some(column)))
    }

    /// That no source of the side maps an entity or a column, and why, where a manifest says so.
    fn not_mapped(&self, schema: &str, name: &str) -> String {
        let entity = name.split('.').next().unwrap_or_default();
        let layouts = || self.layouts.values().filter(|layout| layout.side == schema);
        let name = name.strip_prefix("*.").unwrap_or(name);
        let told = |name: &str| layouts().find_map(|layout| layout.unmapped.get(name));
        let why = told(name).or_else(|| told(entity)).map_or_else(String::new, |why| format!(": {why}"));
        format!("no {schema} source maps {name}{why}")
    }

    /// Whether a source of the side maps the entity, and the column where one is named. A mapping that cannot be parsed is
    /// no missing one: the checks that read it fail and say so.
    fn is_mapped(&self, schema: &str, entity: &str, column: Option<&str>) -> bool {
        self.is_mapped_by(None, schema, entity, column)
    }

    /// The same of one source. The entity `*` is any of them.
    fn is_mapped_by(&self, source: Option<&str>, schema: &str, entity: &str, column: Option<&str>) -> bool {
        let is_meant = |(of, name): &&Name| *of == schema && (entity == "*" || *name == entity);
        let has = |columns: &BTreeSet<String>| column.is_none_or(|column| columns.contains(column));
        let mut mappings = self.mappings.iter().filter(|(name, _)| is_meant(name)).flat_map(|(_, mappings)| mappings);
        self.unmapped.keys().any(|name| is_meant(&name))
            || mappings
                .any(|one| source.is_none_or(|source| one.source == source) && one.columns.as_ref().is_none_or(has))
    }
}
