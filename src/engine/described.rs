//! What views, tables and their columns are, in words: for `\d+`, `meta.columns`, documentation.
//!
//! Views say it in the headers of their files, the canonical model in `canonical.toml`, tables without a file in
//! `described.toml`. Invariant: whatever a reader sees in a schema of ours is described; a test holds it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Expr, Ident, SelectItem, SetExpr};

use crate::engine::canonical::Entity;
use crate::engine::header::Side;
use crate::engine::queries::{Name, QueryFile};

/// Columns that the views of all checks have, as far as they apply, with the meaning that they have in `recon.exceptions`.
const SHARED: [&str; 17] = [
    "exception_key",
    "entity",
    "project_id",
    "project_number",
    "pm_id",
    "erp_id",
    "label",
    "detail",
    "pm_value",
    "erp_value",
    "amount_at_risk",
    "currency",
    "occurred_at",
    "cause",
    "explained_by",
    "record_owner",
    "fix_side",
];
/// The line of a table itself.
const ABOUT: &str = "about";

/// What people may read of a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewDescription {
    /// One or two lines: title, question, grain.
    pub text: String,
    /// By column.
    pub columns: BTreeMap<String, String>,
}

/// Descriptions by schema and view.
pub type Descriptions = BTreeMap<(String, String), ViewDescription>;

/// Of tables that have no file.
pub(crate) static TABLES: LazyLock<Descriptions> = LazyLock::new(|| {
    type Texts = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;
    let texts: Texts = toml::from_str(include_str!("described.toml")).expect("it is shipped, and a test reads it");
    let tables = texts.into_iter().flat_map(|(schema, tables)| {
        tables.into_iter().map(move |(table, mut columns)| {
            let text = columns.remove(ABOUT).unwrap_or_default();
            ((schema.clone(), table), ViewDescription { text, columns })
        })
    });
    tables.collect()
});

/// Of everything: a firm's own view in the place of a table describes itself.
pub(crate) fn descriptions(entities: &[Entity], queries: &BTreeMap<Name, QueryFile>) -> Descriptions {
    let mut descriptions = TABLES.clone();
    for entity in entities {
        let description = ViewDescription { text: entity.grain.clone(), columns: entity.descriptions.clone() };
        for side in Side::BOTH {
            descriptions.insert((side.schema().to_owned(), entity.name.clone()), description.clone());
        }
    }
    let exceptions = queries.get(&("recon".to_owned(), "exceptions".to_owned()));
    let shared: Vec<(&str, &str)> = exceptions.map_or_else(Vec::new, |exceptions| {
        let said = exceptions.header.columns.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        said.filter(|(name, _)| SHARED.contains(name)).collect()
    });
    for (name, query) in queries {
        let header = &query.header;
        let lines = [&header.title, &header.question, &header.grain, &header.sources];
        let text = lines.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("\n");
        let mut columns: BTreeMap<String, String> = header.columns.iter().cloned().collect();
        if header.check.is_some() {
            for (column, text) in shared.iter().filter(|(column, _)| query.selects.iter().any(|name| name == column)) {
                columns.entry((*column).to_owned()).or_insert_with(|| (*text).to_owned());
            }
        }
        descriptions.insert(name.clone(), ViewDescription { text, columns });
    }
    descriptions
}

/// The names that a query gives its columns, as far as its text says them.
pub(crate) fn selected(statement: &Statement) -> Vec<String> {
    let Statement::Statement(statement) = statement else { return Vec::new() };
    let ast::Statement::Query(query) = statement.as_ref() else { return Vec::new() };
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return select.projection.iter().filter_map(column).collect(),
            SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            SetExpr::Query(query) => body = query.body.as_ref(),
            _ => return Vec::new(),
        }
    }
}

fn column(item: &SelectItem) -> Option<String> {
    let name =
        |ident: &Ident| if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(name(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(name(ident)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;
    use crate::engine::queries;

    #[test]
    fn a_check_has_the_words_of_all_checks_where_it_has_none_of_its_own() {
        let exceptions = "-- title: All\n-- columns:\n--   pm_id     PM's\n--   label     a name\n--   severity  high\n\n\
                          select 1 as pm_id, 'x' as label, 'high' as severity\n";
        let check = "-- title: T\n-- check: X1\n-- entity: vendors\n-- fix_side: pm\n-- version: 1\n-- scope: firm\n\
                     -- columns:\n--   label     its own\n\n\
                     select 'X1' as exception_key, a.pm_id, a.label, a.severity from pm.vendors as a union all select 1, 2, 3, 4\n";
        let files = [("queries/recon/exceptions.sql", exceptions), ("queries/recon/x.sql", check)];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        let (queries, problems) = queries::load(&Definitions { files }.into());
        assert_eq!(problems, []);
        let told = descriptions(&[], &queries);
        let of = told[&("recon".to_owned(), "x".to_owned())].columns.clone();
        let expected = [("label", "its own"), ("pm_id", "PM's")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(of, BTreeMap::from(expected), "a column that is not shared, or not there, has no words");
    }

    #[test]
    fn every_table_says_what_it_is() {
        assert!(TABLES.values().all(|table| !table.text.is_empty() && !table.columns.is_empty()));
    }
}
