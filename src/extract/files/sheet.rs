//! How a manifest declares a table that comes as a sheet: `[table.sheet]`, and what can be wrong with it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::header::folded;
use crate::extract::lint::did_you_mean;
use crate::extract::manifest::{ColumnFrom, ColumnKind, Manifest, Table};
use crate::warehouse::rows::ColumnType;

/// Where a record keeps how a value was written that is kept plain: `(1,234.50)` beside `-1234.50`. Not part of its content.
pub(crate) const AS_WRITTEN: &str = "as_written";

/// Where a record keeps what the bundle says of all its records, if a column asks for it.
pub(crate) const OF_BUNDLE: &str = "bundle";

/// What the bundle tells of all its records.
const BUNDLE_FIELDS: [&str; 2] = ["bundle.company", "bundle.currency"];

/// `[files]` of a manifest.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Known headers that make a row the header row, at least; fewer where a table has fewer columns.
    #[serde(default = "Files::default_headers_min")]
    pub headers_min: usize,
}

impl Files {
    const fn default_headers_min() -> usize {
        3
    }
}

impl Default for Files {
    fn default() -> Self {
        Self { headers_min: Self::default_headers_min() }
    }
}

/// `[table.sheet]`: the sheet that a table comes as.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Sheet {
    /// What bundles call it, beside the table's own name; compared without case, blanks and signs.
    pub names: Vec<String>,
    /// Those of the names that must each have a file: what moves between them is in neither where one is left out.
    pub parts: Vec<String>,
    /// By column: other headers that it has, the better one first; compared as `names` are.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// Columns without which the sheet is refused, beside those of the key.
    pub required: Vec<String>,
    /// Columns whose sum a row of totals tells.
    pub totals: Vec<String>,
    /// The column that numbers records which are alike in the rest of the key, from 1: lines of one document in one code.
    pub line: Option<String>,
}

/// What is wrong with a table of a file manifest, each with its place.
pub(crate) fn problems(manifest: &Manifest, table: &Table, found: &mut Vec<String>) {
    let is_listed =
        table.path.is_some() || table.embedded.is_some() || !table.parent.is_empty() || table.cursor.is_some();
    if is_listed {
        found.push("a sheet has no `path`, `parent`, `embedded` or `cursor`: it comes whole, or not at all".into());
    }
    let Some(sheet) = &table.sheet else {
        found.push("`[table.sheet]` is needed: what bundles call it and its columns".into());
        return;
    };
    let declared = || table.columns.iter().map(|(name, _)| name.as_str());
    let named = sheet.aliases.keys().chain(&sheet.required).chain(&sheet.totals).chain(&sheet.line);
    for name in named.filter(|name| table.column(name).is_none()) {
        found.push(format!("sheet: column `{name}` is not declared{}", did_you_mean(name, declared())));
    }
    for name in sheet.parts.iter().filter(|name| !sheet.names.contains(name)) {
        found.push(format!(
            "sheet.parts: `{name}` is none of its names{}",
            did_you_mean(name, sheet.names.iter().map(String::as_str))
        ));
    }
    for name in &sheet.totals {
        let kind = table.column(name).map(|column| column.kind);
        if !matches!(kind, None | Some(ColumnKind::Plain(ColumnType::Decimal(..) | ColumnType::Int64))) {
            found.push(format!("sheet.totals: column `{name}` is no number"));
        }
    }
    if let Some(line) = &sheet.line
        && (!table.key.contains(line)
            || table.column(line).is_some_and(|it| it.kind != ColumnKind::Plain(ColumnType::Int64)))
    {
        found.push(format!("sheet.line: `{line}` must be an int64 of the key"));
    }
    for (name, column) in &table.columns {
        match &column.from {
            ColumnFrom::Path(path) if path.starts_with("bundle.") => {
                if !BUNDLE_FIELDS.contains(&path.as_str()) {
                    found.push(format!("column `{name}`: bundles tell {} only", BUNDLE_FIELDS.join(" and ")));
                }
            }
            ColumnFrom::Path(path) if path.contains('.') => {
                found.push(format!("column `{name}`: a sheet has no structure, so no path `{path}`"));
            }
            ColumnFrom::Path(path) if path == AS_WRITTEN || path == OF_BUNDLE => {
                found.push(format!("column `{name}`: `{path}` is ours"));
            }
            ColumnFrom::Path(_) => {}
            ColumnFrom::Parent(_) | ColumnFrom::Position => {
                found.push(format!("column `{name}`: a sheet's columns come from its cells alone"));
            }
        }
    }
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for (name, alias) in aliases(table) {
        match known.insert(folded(alias), name) {
            Some(other) if other != name => {
                found.push(format!("sheet: the header `{alias}` would be column `{other}` and `{name}`"));
            }
            _ => {}
        }
    }
    let mut sheets: BTreeMap<String, &str> = BTreeMap::new();
    for other in &manifest.tables {
        let own = other.sheet.iter().flat_map(|sheet| &sheet.names).map(String::as_str);
        for name in own.chain([other.name.as_str()]) {
            match sheets.insert(folded(name), &other.name) {
                Some(before) if before != other.name && (other.name == table.name) => {
                    found.push(format!("sheet: the name `{name}` is that of `{before}` too"));
                }
                _ => {}
            }
        }
    }
}

/// Each header that a table's columns may have, the better ones of a column first: its aliases, then its own name and field.
pub(crate) fn aliases(table: &Table) -> impl Iterator<Item = (&str, &str)> {
    let line = table.sheet.as_ref().and_then(|sheet| sheet.line.as_deref());
    let of_cells = move |(name, column): &'_ &(String, crate::extract::manifest::Column)| {
        let ColumnFrom::Path(path) = &column.from else { return false };
        !path.contains('.') && Some(name.as_str()) != line
    };
    table.columns.iter().filter(of_cells).flat_map(|(name, column)| {
        let others = table.sheet.as_ref().and_then(|sheet| sheet.aliases.get(name));
        let field = match &column.from {
            ColumnFrom::Path(path) => path.as_str(),
            ColumnFrom::Parent(_) | ColumnFrom::Position => name.as_str(),
        };
        let all = others.into_iter().flatten().map(String::as_str).chain([name.as_str(), field]);
        all.map(move |alias| (name.as_str(), alias))
    })
}
