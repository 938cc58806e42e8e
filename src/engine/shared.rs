//! What several views have in common, written once: `queries/shared/<name>.sql`, read as `shared.<name>`. What several mappings
//! have in common lies in `extractors/<system>/shared/` or, for those of several systems, in `extractors/shared/`.
//!
//! No view of its own: its text takes the place of its name in each view that reads it, with the schema's table `entity`
//! (`pm.entity`, `erp.entity`, `link.entity`) bound to the entity in that view's header. So a view still rests on nothing
//! but what its own entity needs, and a check of owner invoices speaks although vendor invoices could not be read.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, Query, TableAlias, TableFactor, VisitorMut};

use crate::definitions::{Definitions, SHARED};
use crate::engine::queries::{parse_query, relations};
use crate::engine::walk::walk_mut;

/// The table that stands for the reader's entity.
const ENTITY: &str = "entity";
const FOLDER: &str = "queries/shared/";

/// The shared texts by name.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Where they lie, for people.
    place: String,
    queries: BTreeMap<String, Box<Query>>,
}

impl Shared {
    /// Those that the statement of a file names.
    ///
    /// # Errors
    /// Which of them is no single SELECT, and why.
    pub(crate) fn of(definitions: &Definitions, path: &str, statement: &Statement) -> Result<Self, String> {
        let place = match system(path) {
            Some(system) => format!("extractors/{system}/{SHARED}/ or extractors/{SHARED}/, file "),
            None => FOLDER.to_owned(),
        };
        let mut shared = Self { place, queries: BTreeMap::new() };
        for (_, name) in relations(statement)?.into_iter().filter(|(schema, _)| schema == SHARED) {
            let Some((path, sql)) = find(definitions, path, &name) else { continue };
            let query = parse_query(sql).map_err(|error| format!("{path}: {error}"))?;
            shared.queries.insert(name, query);
        }
        Ok(shared)
    }

    /// Puts the shared texts in the place of their names; says whether there were any.
    pub(crate) fn spell_out(&self, statement: &mut Statement, entity: Option<&str>) -> Result<bool, String> {
        let Statement::Statement(statement) = statement else { return Ok(false) };
        let mut speller = Speller { shared: self, entity, found: false };
        match walk_mut(statement, &mut speller) {
            ControlFlow::Continue(()) => Ok(speller.found),
            ControlFlow::Break(reason) => Err(reason),
        }
    }
}

/// What a file reads as `shared.<name>`, with its path.
pub(crate) fn find<'a>(definitions: &'a Definitions, path: &str, name: &str) -> Option<(&'a str, &'a str)> {
    if let Some(system) = system(path) {
        return definitions.shared(system, name);
    }
    let (path, sql) = definitions.files.get_key_value(&format!("{FOLDER}{name}.sql"))?;
    Some((path.as_str(), sql.as_str()))
}

/// The system whose mapping a file is.
fn system(path: &str) -> Option<&str> {
    path.strip_prefix("extractors/")?.split('/').next()
}

struct Speller<'a> {
    shared: &'a Shared,
    entity: Option<&'a str>,
    found: bool,
}

impl VisitorMut for Speller<'_> {
    type Break = String;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<String> {
        let TableFactor::Table { name, alias, .. } = factor else { return ControlFlow::Continue(()) };
        let Some(wanted) = in_schema(name, |schema| schema.eq_ignore_ascii_case(SHARED)) else {
            return ControlFlow::Continue(());
        };
        let Some(query) = self.shared.queries.get(&wanted.value) else {
            return ControlFlow::Break(format!("there is no usable {}{}.sql", self.shared.place, wanted.value));
        };
        let mut subquery = query.clone();
        walk_mut(&mut subquery, &mut Bind { entity: self.entity, place: &self.shared.place })?;
        let alias = alias
            .take()
            .or_else(|| Some(TableAlias { explicit: true, name: wanted.clone(), columns: Vec::new(), at: None }));
        *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
        self.found = true;
        ControlFlow::Continue(())
    }
}

struct Bind<'a> {
    entity: Option<&'a str>,
    place: &'a str,
}

impl VisitorMut for Bind<'_> {
    type Break = String;

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<String> {
        if in_schema(relation, |schema| schema.eq_ignore_ascii_case(SHARED)).is_some() {
            return ControlFlow::Break(format!(
                "{relation} is read by another file of {}, which may read none",
                self.place
            ));
        }
        let Some(table) = in_schema(relation, |_| true).filter(|table| table.value == ENTITY) else {
            return ControlFlow::Continue(());
        };
        let Some(entity) = self.entity else {
            return ControlFlow::Break(format!("{relation} stands for the entity of the header, which names none"));
        };
        let bound = Ident { value: entity.to_owned(), ..table.clone() };
        if let Some(last) = relation.0.last_mut() {
            *last = ObjectNamePart::Identifier(bound);
        }
        ControlFlow::Continue(())
    }
}

/// The table of a name with a schema that fits.
fn in_schema(name: &ObjectName, fits: impl Fn(&str) -> bool) -> Option<&Ident> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(table)] if fits(&schema.value) => Some(table),
        _ => None,
    }
}
