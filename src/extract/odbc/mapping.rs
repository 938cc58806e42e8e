//! What an installation calls otherwise than the manifest: a mapping file of the firm's, and proposals for one.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::names::folded;
use super::read::{Database, Fit, View};
use crate::extract::lint::{did_you_mean, explain};
use crate::extract::manifest::{ColumnFrom, Manifest, Table, one_or_more};
use crate::extract::meter::Meter;

/// What one table is called.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Mapped {
    #[serde(deserialize_with = "one_or_more")]
    view: Vec<String>,
    columns: BTreeMap<String, String>,
}

/// Lets a manifest's tables be read by the names of a mapping file's text.
///
/// # Errors
/// What is wrong with the text, for people.
pub(crate) fn apply(manifest: &mut Manifest, text: &str) -> Result<(), String> {
    let mapping: BTreeMap<String, Mapped> = toml::from_str(text).map_err(|error| explain(&error, text))?;
    for (name, mapped) in mapping {
        let known: Vec<String> = manifest.tables.iter().map(|table| table.name.clone()).collect();
        let Some(table) = manifest.tables.iter_mut().find(|table| table.name == name) else {
            return Err(format!("[{name}]: no such table{}", did_you_mean(&name, known.iter().map(String::as_str))));
        };
        if !mapped.view.is_empty() {
            table.view = mapped.view;
        }
        for (column, other) in mapped.columns {
            let path = path_of(table, &column).ok_or_else(|| {
                let known = table.columns.iter().map(|(name, _)| name.as_str());
                format!("[{name}.columns]: no such column `{column}`{}", did_you_mean(&column, known))
            })?;
            table.renamed.insert(path, other);
        }
    }
    Ok(())
}

/// The source's column that a name of ours, or of the manifest's, is.
fn path_of(table: &Table, column: &str) -> Option<String> {
    let paths = table.columns.iter().filter_map(|(name, declared)| match &declared.from {
        ColumnFrom::Path(path) => Some((name, path)),
        ColumnFrom::Parent(_) | ColumnFrom::Position => None,
    });
    let own = paths.clone().find(|(name, path)| *name == column || *path == column).map(|(_, path)| path.clone());
    // The columns of conditions and months need not be among ours.
    let mut months = table.months.iter().flat_map(|months| months.sums.iter().chain([&months.column]));
    let named = table.conditions.iter().filter(|it| it.contains(&format!("[{column}]"))).map(|_| column.to_owned());
    own.or_else(|| months.find(|name| *name == column).cloned()).or_else(|| named.clone().next())
}

/// Letters that two names share, of ten.
fn likeness(one: &str, other: &str) -> usize {
    let (one, other) = (folded(one), folded(other));
    let longest = one.chars().count().max(other.chars().count()).max(1);
    10 - 10 * strsim::damerau_levenshtein(&one, &other).min(longest) / longest
}

/// Views that are looked into for a table.
const VIEWS_TRIED_MAX: usize = 8;

/// A mapping that a person may take over, as TOML: the view that has most of a table's columns, and the columns most like those
/// that it lacks. None where nothing is like it.
pub(super) async fn proposal(database: &mut Database<'_>, table: &Table, meter: &Meter) -> Option<String> {
    let views = database.views_of(table, meter).await.ok();
    let mut lines = Vec::new();
    let view = if let Some((_, view)) = views.as_ref().and_then(|views| views.first()) {
        view.clone()
    } else {
        let view = nearest(database, table, meter).await?;
        lines.push(format!("view = {:?}", view.name));
        view
    };
    let fit = Fit::new(table, &view);
    let taken: Vec<&str> = fit.fields.iter().map(|(_, column, _)| column.as_str()).collect();
    let free: Vec<&str> =
        view.columns.iter().map(|column| column.name.as_str()).filter(|name| !taken.contains(name)).collect();
    let mut columns = Vec::new();
    for (ours, wanted) in &fit.lacking {
        let near = free.iter().map(|name| (likeness(wanted, name).max(likeness(ours, name)), *name)).max();
        match near.filter(|(likeness, _)| *likeness >= 6) {
            Some((_, name)) => columns.push(format!("{ours} = {name:?}")),
            None => columns.push(format!("# {ours} = \"…\"    # nothing is like {wanted}")),
        }
    }
    if lines.is_empty() && columns.is_empty() {
        return None;
    }
    let mut text = format!("a mapping that may fit (look at the values before you take it over):\n[{}]\n", table.name);
    if !columns.is_empty() {
        lines.push(format!("[{}.columns]", table.name));
        lines.append(&mut columns);
    }
    text.push_str(&lines.join("\n"));
    Some(text.trim_end().to_owned())
}

/// The view that a table is most likely in: by the columns that it has, among those whose names are most like.
async fn nearest(database: &mut Database<'_>, table: &Table, meter: &Meter) -> Option<View> {
    let names = database.names(meter).await.ok()?;
    let wanted: Vec<&str> = table.view.iter().map(String::as_str).chain([table.name.as_str()]).collect();
    let like = |name: &String| wanted.iter().map(|wanted| likeness(wanted, name)).max().unwrap_or_default();
    let mut names: Vec<(usize, String)> = names.into_iter().map(|name| (like(&name), name)).collect();
    names.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    let mut best: Option<(usize, View)> = None;
    for (_, name) in names.into_iter().take(VIEWS_TRIED_MAX) {
        let Ok(view) = database.view(&name, meter).await else { continue };
        let has = Fit::new(table, &view).fields.len();
        if best.as_ref().is_none_or(|(most, _)| has > *most) {
            best = Some((has, view));
        }
    }
    best.filter(|(has, _)| *has > 0).map(|(_, view)| view)
}
