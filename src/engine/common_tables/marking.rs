//! Which common tables of a statement are computed once: they and their readers get a name that nothing else has.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Cte, CteAsMaterialized, Ident, ObjectName, ObjectNamePart, Query, Statement, TableAlias, TableFactor, VisitorMut,
};

use crate::engine::using::folded;
use crate::engine::walk::walk_mut;

/// What the name of a marked common table begins with. No client sees it: what reads it has the name that it had.
pub(super) const MARK: &str = "\u{1}common ";

/// What a view calls the common table of a mark, if it is the view's own.
pub(crate) fn name_in<'a>(view: &str, mark: &'a str) -> Option<&'a str> {
    mark.strip_prefix(MARK)?.strip_prefix(view)?.strip_prefix('.')
}

/// Which common tables are computed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Once {
    /// Those that say so.
    Told,
    /// And those that are read twice or more.
    ReadAgain,
}

/// Marks the common tables of a statement, and of the queries within it, that are to be computed once. `view` is part of
/// their marks, so that those of views that are planned into one query differ.
pub(crate) fn mark(statement: &mut Statement, view: &str, once: Once) {
    let mut marking = Marking { view, once, used: BTreeSet::new() };
    // It never breaks off.
    let _ = walk_mut(statement, &mut marking);
}

struct Marking<'a> {
    view: &'a str,
    once: Once,
    used: BTreeSet<String>,
}

impl VisitorMut for Marking<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Some(mut with) = query.with.take() else { return ControlFlow::Continue(()) };
        // A recursive one may read itself.
        if !with.recursive {
            for place in 0..with.cte_tables.len() {
                let (before, after) = with.cte_tables.split_at_mut(place + 1);
                if let Some(table) = before.last_mut() {
                    self.mark(table, after, query);
                }
            }
        }
        query.with = Some(with);
        ControlFlow::Continue(())
    }
}

impl Marking<'_> {
    /// `after` and `query`, which is without its common tables, are what may read the table.
    fn mark(&mut self, table: &mut Cte, after: &mut [Cte], query: &mut Query) {
        let name = folded(&table.alias.name);
        let mut reading = Reading { name: &name, mark: None, reads: 0, is_hidden: false };
        let mut look = |reading: &mut Reading<'_>| {
            for reader in after.iter_mut() {
                let _ = walk_mut(&mut reader.query, reading);
            }
            let _ = walk_mut(query, reading);
        };
        look(&mut reading);
        let is_wanted = match table.materialized {
            Some(CteAsMaterialized::Materialized) => true,
            Some(CteAsMaterialized::NotMaterialized) => false,
            None => self.once == Once::ReadAgain && reading.reads > 1,
        };
        // Another table of the name within: which of them is meant where is not for us to say.
        if !is_wanted || reading.is_hidden || reading.reads == 0 || name.starts_with(MARK) {
            return;
        }
        let mut mark = format!("{MARK}{}.{name}", self.view);
        while !self.used.insert(mark.clone()) {
            mark.push('\'');
        }
        table.alias.name = Ident::with_quote('"', mark.as_str());
        look(&mut Reading { name: &name, mark: Some(&mark), reads: 0, is_hidden: false });
    }
}

/// Counts the places that read a common table, and gives them its mark.
struct Reading<'a> {
    name: &'a str,
    mark: Option<&'a str>,
    reads: usize,
    is_hidden: bool,
}

impl VisitorMut for Reading<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.is_hidden |= tables.into_iter().any(|table| folded(&table.alias.name) == self.name);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name: ObjectName(parts), alias, args: None, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let [ObjectNamePart::Identifier(read)] = parts.as_mut_slice() else { return ControlFlow::Continue(()) };
        if folded(read) != self.name {
            return ControlFlow::Continue(());
        }
        self.reads += 1;
        if let Some(mark) = self.mark {
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: read.clone(),
                columns: Vec::new(),
                at: None,
            });
            *read = Ident::with_quote('"', mark);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use datafusion::common::config::Dialect;
    use datafusion::prelude::SessionContext;
    use datafusion::sql::parser::Statement as DataFusionStatement;

    use super::*;

    pub(in crate::engine::common_tables) fn marked(sql: &str, once: Once) -> Statement {
        let statement = SessionContext::new().state().sql_to_statement(sql, &Dialect::PostgreSQL).unwrap();
        let DataFusionStatement::Statement(mut statement) = statement else { panic!("{sql}") };
        mark(&mut statement, "", once);
        *statement
    }

    /// The statement with stars for marks.
    fn shown(sql: &str, once: Once) -> String {
        marked(sql, once).to_string().replace(&format!("{MARK}."), "*")
    }

    #[test]
    fn what_is_read_twice_is_marked_where_it_is_meant() {
        let cases = [
            ("with a as (select 1) select * from a", "WITH a AS (SELECT 1) SELECT * FROM a"),
            (
                "with a as (select 1) select * from A cross join a as b",
                "WITH \"*a\" AS (SELECT 1) SELECT * FROM \"*a\" AS A CROSS JOIN \"*a\" AS b",
            ),
            // Its own text, and those before it, mean another table of the name.
            (
                "with b as (select * from a), a as (select * from a) select * from a, a as c",
                "WITH b AS (SELECT * FROM a), \"*a\" AS (SELECT * FROM a) SELECT * FROM \"*a\" AS a, \"*a\" AS c",
            ),
            (
                "with a as (select 1), b as (select * from a) select * from b where exists (select 1 from a)",
                "WITH \"*a\" AS (SELECT 1), b AS (SELECT * FROM \"*a\" AS a) SELECT * FROM b WHERE EXISTS (SELECT 1 FROM \"*a\" AS a)",
            ),
            (
                "with a as not materialized (select 1) select * from a, a as b",
                "WITH a AS NOT MATERIALIZED (SELECT 1) SELECT * FROM a, a AS b",
            ),
            (
                "with a as (select 1) select * from a, (with a as (select 2) select * from a) as b, a as c",
                "WITH a AS (SELECT 1) SELECT * FROM a, (WITH a AS (SELECT 2) SELECT * FROM a) AS b, a AS c",
            ),
            (
                "with recursive a as (select 1 union all select * from a) select * from a, a as b",
                "WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a, a AS b",
            ),
            // Two of a name, each in its own query.
            (
                "select * from (with a as (select 1) select * from a, a as b) as c, (with a as (select 2) select * from a, a as b) as d",
                "SELECT * FROM (WITH \"*a\" AS (SELECT 1) SELECT * FROM \"*a\" AS a, \"*a\" AS b) AS c, \
                 (WITH \"*a'\" AS (SELECT 2) SELECT * FROM \"*a'\" AS a, \"*a'\" AS b) AS d",
            ),
            (
                "with \"A\" as (select 1) select * from \"A\", a, \"A\" as b",
                "WITH \"*A\" AS (SELECT 1) SELECT * FROM \"*A\" AS \"A\", a, \"*A\" AS b",
            ),
        ];
        for (sql, expected) in cases {
            assert_eq!(shown(sql, Once::ReadAgain), expected);
        }
        let told = "with a as materialized (select 1), b as (select 2) select * from a, b, b as c";
        let expected = "WITH \"*a\" AS MATERIALIZED (SELECT 1), b AS (SELECT 2) SELECT * FROM \"*a\" AS a, b, b AS c";
        assert_eq!(shown(told, Once::Told), expected);
    }
}
