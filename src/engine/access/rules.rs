//! Which rows of a table belong to which project.
//!
//! Invariant: a table for which nothing here tells is the firm's, so that a new table is hidden until somebody decides.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::Result;

use crate::engine::blueprint::Blueprint;
use crate::engine::editions::Edition;
use crate::engine::header::Side;
use crate::engine::keys::Reference;

/// What speaks of no project and of no amount: the warehouse's own clock, what the definitions say of themselves, calendars.
const EVERYBODYS: [(&str, &str); 8] = [
    ("meta", "clock"),
    ("meta", "pins"),
    ("meta", "months"),
    ("meta", "checks"),
    ("meta", "columns"),
    ("recon", "ownership"),
    ("trend", "months"),
    ("trend", "days"),
];
/// Of system tables the columns that hold a connection's own id of a project, and the connection.
const SYSTEM_COLUMN: &str = "project";
pub(super) const SOURCE_COLUMN: &str = "source";
/// Columns that hold a project, of a table as extracted, the first that is there.
const RAW_COLUMNS: [&str; 2] = ["project_id", "project"];
/// Columns of results that hold the project which a row is shown under, and, where there is only that, the ERP's.
const RESULT: &str = "project_id";
const ERP_RESULT: &str = "erp_project_id";
/// The entity, and by convention the table as extracted, whose rows are the projects.
const PROJECTS: &str = "projects";
/// What leads from a line to its document, and not further.
const PARENTS_MAX: usize = 3;

/// Whose ids a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// Those of one side.
    Of(Side),
    /// Those of one side as its tables are extracted: with blanks around them, numbers, words for "no project".
    Raw(Side),
    /// PM's, else the ERP's: the project that results are shown under.
    Results,
    /// Those of the connection that another column names, as its tables are extracted.
    OfItsSource,
}

/// Which rows a role may see, before its own projects are known.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    /// All of them, whoever asks.
    Everybodys,
    /// Only those who may read what is the firm's.
    Firms,
    /// Those of a project, by this column; where it is null they are the firm's.
    Project(ByColumn),
    /// Those of the rows that they point to.
    Parent(Box<Parent>),
}

/// A column that tells the project.
#[derive(Clone, Debug)]
pub(super) struct ByColumn {
    pub(super) column: String,
    pub(super) ids: Ids,
    /// Of a table as extracted: its connection, whose ids stand there without its name in front.
    pub(super) source: Option<String>,
}

/// A table whose rows tell the project of those that point to them.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    pub(super) table: Arc<dyn TableProvider>,
    pub(super) name: String,
    pub(super) reference: Reference,
    pub(super) rows: Rows,
}

/// How the rows of a table are told apart.
pub(super) async fn of(
    blueprint: &Blueprint,
    edition: &Edition,
    schema: &str,
    table: &str,
    columns: &Schema,
) -> Result<Rows> {
    if EVERYBODYS.contains(&(schema, table)) {
        return Ok(Rows::Everybodys);
    }
    if let Some(found) = own(blueprint, schema, table, columns) {
        return Ok(Rows::Project(found));
    }
    by_parent(blueprint, edition, (schema, table), PARENTS_MAX).await.map(|found| found.unwrap_or(Rows::Firms))
}

/// The column of the table itself.
fn own(blueprint: &Blueprint, schema: &str, table: &str, columns: &Schema) -> Option<ByColumn> {
    let has = |name: &str| columns.field_with_name(name).is_ok();
    let by = |column: &str, ids: Ids| has(column).then(|| ByColumn { column: column.to_owned(), ids, source: None });
    if let Some(side) = Side::BOTH.into_iter().find(|side| side.schema() == schema) {
        return by(if table == PROJECTS { "record_id" } else { RESULT }, Ids::Of(side));
    }
    if let Some((side, name)) = raw(blueprint, schema, table) {
        let by = |column: &str, ids: Ids| by(column, ids).map(|by| ByColumn { source: Some(name.0.clone()), ..by });
        let table = blueprint.raw_table(&name)?;
        if table.name == PROJECTS {
            let [key] = table.key.as_slice() else { return by("_key", Ids::Raw(side)) };
            return by(key, Ids::Raw(side));
        }
        return RAW_COLUMNS.iter().find_map(|column| by(column, Ids::Raw(side)));
    }
    match (schema, table) {
        ("link", PROJECTS) => by("pm_id", Ids::Of(Side::Pm)),
        ("system" | "meta" | "history", _) => {
            let has_source = has(SOURCE_COLUMN);
            by(RESULT, Ids::Results).or_else(|| by(SYSTEM_COLUMN, Ids::OfItsSource).filter(|_| has_source))
        }
        _ => by(RESULT, Ids::Results).or_else(|| by(ERP_RESULT, Ids::Of(Side::Erp))),
    }
}

/// The table as extracted that a name stands for, in its source's schema or in `history`.
fn raw(blueprint: &Blueprint, schema: &str, table: &str) -> Option<(Side, (String, String))> {
    let side = |word: &str| Side::BOTH.into_iter().find(|side| side.schema() == word);
    if let Some(layout) = blueprint.layouts.get(schema) {
        return Some((side(&layout.side)?, (schema.to_owned(), table.to_owned())));
    }
    if schema != "history" {
        return None;
    }
    blueprint.layouts.iter().find_map(|(source, layout)| {
        let name = table.strip_prefix(source.as_str())?.strip_prefix('_')?;
        let known = layout.tables.iter().any(|raw| raw.name == name);
        Some((side(&layout.side).filter(|_| known)?, (source.clone(), name.to_owned())))
    })
}

/// By the row that is pointed to, where that tells: a line's document. Of history nobody asks it: which version of the
/// document would tell is not known.
async fn by_parent(
    blueprint: &Blueprint,
    edition: &Edition,
    (schema, table): (&str, &str),
    left: usize,
) -> Result<Option<Rows>> {
    let Some(keys) = blueprint.keys.get(&(schema.to_owned(), table.to_owned())).filter(|_| left > 0) else {
        return Ok(None);
    };
    let is_record =
        |schema: &str| Side::BOTH.iter().any(|side| side.schema() == schema) || blueprint.layouts.contains_key(schema);
    for reference in keys.references.iter().filter(|reference| is_record(&reference.schema)) {
        let Some(schema) = edition.catalog()?.schema(&reference.schema) else { continue };
        let Some(parent) = schema.table(&reference.table).await? else { continue };
        let name = (reference.schema.as_str(), reference.table.as_str());
        let rows = match own(blueprint, name.0, name.1, &parent.schema()) {
            Some(column) => Some(Rows::Project(column)),
            None => Box::pin(by_parent(blueprint, edition, name, left - 1)).await?,
        };
        if let Some(rows) = rows {
            let (name, reference) = (format!("{}.{}", name.0, name.1), reference.clone());
            return Ok(Some(Rows::Parent(Box::new(Parent { table: parent, name, reference, rows }))));
        }
    }
    Ok(None)
}

/// Whether a column holds plain text that needs no trimming.
pub(super) fn is_plain(ids: Ids, of: &DataType) -> bool {
    !matches!(ids, Ids::Raw(_) | Ids::OfItsSource) && *of == DataType::Utf8
}
