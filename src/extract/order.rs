//! Which tables a run reads, and in which order: what is wanted, what it hangs on, and what the source's settings allow.

use std::collections::BTreeSet;

use super::lint::did_you_mean;
use super::manifest::{Manifest, Table};
use super::{Error, SourceSettings};

/// The wanted tables and what they hang on, each with its level: parents before children, an embedded table with its owner.
pub(crate) fn order<'a>(
    source: &'a SourceSettings,
    wanted: Option<&[String]>,
) -> Result<Vec<(&'a Table, usize)>, Error> {
    let manifest = &source.manifest;
    let mut chosen: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = match wanted {
        None => manifest.tables.iter().map(|table| table.name.as_str()).collect(),
        Some(names) => names.iter().map(String::as_str).collect(),
    };
    while let Some(name) = open.pop() {
        let Some(table) = manifest.table(name) else {
            let known = manifest.tables.iter().map(|table| table.name.as_str());
            return Err(Error::Settings {
                name: source.name.clone(),
                problem: format!("unknown table `{name}`{}", did_you_mean(name, known.clone())),
                hint: format!("known are {}", known.collect::<Vec<_>>().join(", ")),
            });
        };
        if let Some(setting) = needed(source, table) {
            if wanted.is_none() {
                continue;
            }
            return Err(Error::Settings {
                name: source.name.clone(),
                problem: format!("table `{name}` is read only if `{setting}` is set"),
                hint: format!("set it in [sources.{}]", source.name),
            });
        }
        if chosen.insert(table.name.as_str()) {
            open.extend(table.owners());
        }
    }
    let chosen = manifest.tables.iter().filter(|table| chosen.contains(table.name.as_str()));
    let mut order: Vec<(&Table, usize)> = chosen.map(|table| (table, level(manifest, table))).collect();
    order.sort_by_key(|(table, level)| (*level, table.embedded.is_some()));
    Ok(order)
}

/// The setting that a table, or what it hangs on, needs and that has no value.
fn needed<'a>(source: &'a SourceSettings, table: &'a Table) -> Option<&'a str> {
    let own = table.needs.as_deref().filter(|name| source.value(name).is_none());
    own.or_else(|| {
        let owners = table.owners().into_iter().filter_map(|name| source.manifest.table(name));
        owners.into_iter().find_map(|owner| needed(source, owner))
    })
}

/// The lint has refused cycles, so this ends.
fn level(manifest: &Manifest, table: &Table) -> usize {
    let above =
        table.owners().into_iter().filter_map(|name| manifest.table(name)).map(|owner| level(manifest, owner)).max();
    match (&table.embedded, above) {
        (Some(_), Some(level)) => level,
        (None, Some(level)) => level + 1,
        (_, None) => 0,
    }
}
