//! `join … using (id)` and `natural join`, read as Postgres reads them.
//!
//! DataFusion takes the left side's column for `id`, so of a `full` or `right` join the rows of the other side alone have
//! none: a filter or a count by it answers, and answers wrongly. Here such a join becomes a relation with a column more, the
//! value that both sides have together, and what names `id` alone names that. A statement is only touched where it joins so.
//! Leaves out: what depends on the row of an outer query; that is refused where it would be wrong.

mod relation;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::Field;
use datafusion::common::TableReference;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::RelationPlanner;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SetExpr, Statement, TableAlias, TableFactor, TableWithJoins, VisitMut, Visitor, VisitorMut,
    WildcardAdditionalOptions, With,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::engine::walk::{walk, walk_mut};

/// The relation of the columns that two sides have together, as nobody would call one.
const MERGED: &str = "\u{1}using";

/// What plans the relations that [`merged`] makes.
pub(crate) fn planner() -> Arc<dyn RelationPlanner> {
    Arc::new(relation::Using)
}

/// The plan of a statement.
pub(crate) async fn planned(state: &SessionState, statement: DataFusionStatement) -> Result<LogicalPlan> {
    let statement = match statement {
        DataFusionStatement::Statement(inner) => DataFusionStatement::Statement(Box::new(merged(state, *inner).await?)),
        other => other,
    };
    state.statement_to_plan(statement).await
}

/// The statement with the columns of its joins named as Postgres means them.
pub(crate) async fn merged(state: &SessionState, mut statement: Statement) -> Result<Statement> {
    if !joins_by_name(&statement) {
        return Ok(statement);
    }
    // Neither visitor breaks but for a question.
    let _ = walk_mut(&mut statement, &mut Aliased);
    let mut answers = Vec::new();
    loop {
        let mut other = statement.clone();
        let mut rewriter = Rewriter { answers: &answers, next: 0, around: Vec::new() };
        let ControlFlow::Break(question) = walk_mut(&mut other, &mut rewriter) else { return Ok(other) };
        let query = DataFusionStatement::Statement(Box::new(Statement::Query(question.query)));
        answers.push(match Box::pin(state.statement_to_plan(query)).await {
            Ok(plan) => Some(Columns::of(&plan)),
            // DataFusion reads these rightly, or refuses them with words of its own.
            Err(_) if !question.is_outer => None,
            Err(error) => return Err(error),
        });
    }
}

/// Whether a statement has a join by columns of one name.
fn joins_by_name(statement: &Statement) -> bool {
    struct Search;
    impl Visitor for Search {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            let found = Found::of(&select.from);
            if found.count == 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }
    }
    walk(statement, &mut Search).is_break()
}

/// Names one side's columns or both sides'.
fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint)
            .filter(|constraint| matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)),
        _ => None,
    }
}

/// The joins by name of a `from`.
#[derive(Default)]
struct Found {
    count: usize,
    /// One of them keeps rows of its right side alone.
    is_outer: bool,
}

impl Found {
    fn of(from: &[TableWithJoins]) -> Self {
        let mut found = Self::default();
        for tables in from {
            found.look(tables);
        }
        found
    }

    fn look(&mut self, tables: &TableWithJoins) {
        self.look_inside(&tables.relation);
        for join in &tables.joins {
            self.look_inside(&join.relation);
            if constraint(&join.join_operator).is_some() {
                self.count += 1;
                self.is_outer |= matches!(
                    join.join_operator,
                    JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)
                );
            }
        }
    }

    fn look_inside(&mut self, factor: &TableFactor) {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            self.look(table_with_joins);
        }
    }
}

/// Makes `(a full join b using (id)) as x` a query of its own.
struct Aliased;

impl VisitorMut for Aliased {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::NestedJoin { table_with_joins, alias: Some(alias) } = factor else {
            return ControlFlow::Continue(());
        };
        if Found::of(std::slice::from_ref(table_with_joins)).count > 0
            && let Some(query) = all_of(vec![table_with_joins.as_ref().clone()])
        {
            let alias = Some(alias.clone());
            *factor = TableFactor::Derived { lateral: false, subquery: query, alias, sample: None };
        }
        ControlFlow::Continue(())
    }
}

/// `select * from …`.
pub(crate) fn all_of(from: Vec<TableWithJoins>) -> Option<Box<Query>> {
    let Statement::Query(mut query) = Parser::parse_sql(&PostgreSqlDialect {}, "select 1").ok()?.pop()? else {
        return None;
    };
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        select.from = from;
    }
    Some(query)
}

/// The columns of a `from`.
struct Columns(Vec<Column>);

struct Column {
    table: Option<TableReference>,
    name: String,
    /// `*` leaves it out: its value is in the merged column.
    is_hidden: bool,
}

impl Columns {
    fn of(plan: &LogicalPlan) -> Self {
        let column = |(table, field): (Option<&TableReference>, &Arc<Field>)| Column {
            table: table.cloned(),
            name: field.name().clone(),
            is_hidden: relation::is_hidden(field),
        };
        Self(plan.schema().iter().map(column).collect())
    }

    fn is_merged(&self, name: &str) -> bool {
        self.0.iter().any(|column| column.name == name && column.table.as_ref().is_some_and(is_merged))
    }
}

fn is_merged(table: &TableReference) -> bool {
    table.table() == MERGED
}

impl Column {
    fn expr(&self) -> Expr {
        let table = self.table.iter().flat_map(TableReference::to_vec);
        let mut parts: Vec<Ident> = table.chain([self.name.clone()]).map(|part| Ident::with_quote('"', part)).collect();
        if parts.len() == 1 { Expr::Identifier(parts.swap_remove(0)) } else { Expr::CompoundIdentifier(parts) }
    }
}

/// Asks what columns a `from` has.
struct Question {
    query: Box<Query>,
    is_outer: bool,
}

/// Writes one select after the other anew, the inner ones first, as far as it has answers.
struct Rewriter<'a> {
    answers: &'a [Option<Columns>],
    next: usize,
    /// The common tables of the queries around.
    around: Vec<Option<With>>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = Question;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Question> {
        let Some(mut with) = query.with.take() else {
            self.around.push(None);
            return ControlFlow::Continue(());
        };
        let tables = std::mem::take(&mut with.cte_tables);
        // One sees those before it, as they are by now; if they may name themselves, those after it too.
        if with.recursive {
            with.cte_tables.clone_from(&tables);
        }
        for (place, mut table) in tables.into_iter().enumerate() {
            self.around.push(Some(with.clone()));
            walk_mut(&mut table.query, self)?;
            self.around.pop();
            match with.cte_tables.get_mut(place) {
                Some(other) => *other = table,
                None => with.cte_tables.push(table),
            }
        }
        self.around.push(Some(with));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Question> {
        query.with = self.around.pop().flatten();
        let order = query.order_by.as_mut();
        self.body(&mut query.body, query.with.as_ref(), order)
    }
}

impl Rewriter<'_> {
    fn body(&mut self, body: &mut SetExpr, with: Option<&With>, order: Option<&mut OrderBy>) -> ControlFlow<Question> {
        match body {
            SetExpr::Select(select) => self.select(select, with, order),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, with, None)?;
                self.body(right, with, None)
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn select(
        &mut self,
        select: &mut Select,
        with: Option<&With>,
        order: Option<&mut OrderBy>,
    ) -> ControlFlow<Question> {
        let found = Found::of(&select.from);
        let has_all = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
        // One join that keeps its left side is read rightly by name.
        if !(found.is_outer || found.count > 1 || found.count == 1 && has_all) {
            return ControlFlow::Continue(());
        }
        let place = self.next;
        self.next += 1;
        let from: Vec<TableWithJoins> = select.from.iter().cloned().map(wrapped).collect();
        match self.answers.get(place) {
            Some(Some(columns)) => {
                select.from = from;
                rewrite(select, order, columns);
            }
            Some(None) => {}
            None => {
                let Some(mut query) = all_of(from) else { return ControlFlow::Continue(()) };
                query.with = together(self.around.iter().flatten().chain(with));
                return ControlFlow::Break(Question { query, is_outer: found.is_outer });
            }
        }
        ControlFlow::Continue(())
    }
}

/// The common tables that can be seen, of one name the innermost.
fn together<'a>(all: impl Iterator<Item = &'a With>) -> Option<With> {
    all.cloned().reduce(|mut outer, inner| {
        outer.recursive |= inner.recursive;
        outer.cte_tables.retain(|table| !inner.cte_tables.iter().any(|other| other.alias.name == table.alias.name));
        outer.cte_tables.extend(inner.cte_tables);
        outer
    })
}

/// Each join by name as a relation of its own, over all that stands before it.
fn wrapped(tables: TableWithJoins) -> TableWithJoins {
    let alone = |relation| TableWithJoins { relation, joins: Vec::new() };
    let mut so_far = alone(wrapped_inside(tables.relation));
    let mut merged = BTreeSet::new();
    for join in tables.joins {
        let mut join = Join { relation: wrapped_inside(join.relation), ..join };
        let Some(by_name) = constraint(&join.join_operator) else {
            // A condition may name what a join before it merged.
            name_merged(&mut join.join_operator, &|name| merged.contains(name));
            so_far.joins.push(join);
            continue;
        };
        if let JoinConstraint::Using(names) = by_name {
            merged.extend(names.iter().filter_map(|name| name.0.last()?.as_ident()).map(folded));
        }
        let left = if so_far.joins.is_empty() { so_far.relation } else { nested(so_far, None) };
        let name = Ident::with_quote('"', MERGED);
        let alias = TableAlias { explicit: true, name, columns: Vec::new(), at: None };
        so_far = alone(nested(TableWithJoins { relation: left, joins: vec![join] }, Some(alias)));
    }
    so_far
}

fn wrapped_inside(factor: TableFactor) -> TableFactor {
    match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => nested(wrapped(*table_with_joins), None),
        other => other,
    }
}

fn nested(tables: TableWithJoins, alias: Option<TableAlias>) -> TableFactor {
    TableFactor::NestedJoin { table_with_joins: Box::new(tables), alias }
}

/// Names the merged columns in a select and its order.
fn rewrite(select: &mut Select, order: Option<&mut OrderBy>, columns: &Columns) {
    if let Some(keys) = order.and_then(keys_of) {
        let shows = |name: &Ident| select.projection.iter().any(|item| shows(item, name));
        for key in keys {
            // A column of the result comes before one of a table.
            if !matches!(&key.expr, Expr::Identifier(name) if shows(name)) {
                name_merged(&mut key.expr, &|name| columns.is_merged(name));
            }
        }
    }
    let shown = |item: SelectItem| match item {
        SelectItem::Wildcard(options) if options == WildcardAdditionalOptions::default() => {
            let seen = columns.0.iter().filter(|column| !column.is_hidden);
            seen.map(|column| SelectItem::UnnamedExpr(column.expr())).collect()
        }
        other => vec![other],
    };
    select.projection = std::mem::take(&mut select.projection).into_iter().flat_map(shown).collect();
    name_merged(select, &|name| columns.is_merged(name));
}

fn keys_of(order: &mut OrderBy) -> Option<&mut Vec<OrderByExpr>> {
    match &mut order.kind {
        OrderByKind::Expressions(keys) => Some(keys),
        OrderByKind::All(_) => None,
    }
}

/// Whether a column of the result has that name.
fn shows(item: &SelectItem, name: &Ident) -> bool {
    let shown = match item {
        SelectItem::Wildcard(_) => return true,
        SelectItem::ExprWithAlias { alias, .. } | SelectItem::UnnamedExpr(Expr::Identifier(alias)) => Some(alias),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last(),
        _ => None,
    };
    shown.is_some_and(|shown| folded(shown) == folded(name))
}

/// A name as it is kept.
pub(crate) fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_ascii_lowercase() }
}

/// Names the merged columns where they stand by their name alone, not in the queries inside.
fn name_merged(words: &mut impl VisitMut, is_merged: &dyn Fn(&str) -> bool) {
    struct Namer<'a>(&'a dyn Fn(&str) -> bool, usize);
    impl VisitorMut for Namer<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.1 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.1 -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Identifier(name) = expr
                && self.1 == 0
                && (self.0)(&folded(name))
            {
                *expr = Expr::CompoundIdentifier(vec![Ident::with_quote('"', MERGED), name.clone()]);
            }
            ControlFlow::Continue(())
        }
    }
    // It never breaks.
    let _ = walk_mut(words, &mut Namer(is_merged, 0));
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// The rows, each with its values beside each other, null as `-`.
    async fn asked(sql: &str) -> Result<Vec<String>> {
        let state = SessionStateBuilder::new().with_default_features().with_relation_planners(vec![planner()]).build();
        let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().pop().unwrap();
        let plan = planned(&state, DataFusionStatement::Statement(Box::new(statement))).await?;
        let batches = SessionContext::new_with_state(state).execute_logical_plan(plan).await?.collect().await?;
        let options = FormatOptions::new().with_null("-");
        let mut rows = Vec::new();
        for batch in &batches {
            let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
            let columns: Vec<_> = columns.collect::<std::result::Result<_, _>>()?;
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" "));
            }
        }
        Ok(rows)
    }

    const SIDES: &str = "(values ('a', 1), ('b', 2)) p (n, id) full join (values (2, 'c'), (3, 'd')) e (id, m)";

    #[tokio::test]
    async fn both_sides_rows_have_the_column() {
        for join in [format!("{SIDES} using (id)"), SIDES.replace("full", "natural full")] {
            assert_eq!(asked(&format!("select * from {join} order by id")).await.unwrap(), ["1 a -", "2 b c", "3 - d"]);
            let rows = asked(&format!("select m, p.id, e.id from {join} where id > 1 order by 1")).await.unwrap();
            assert_eq!(rows, ["c 2 2", "d - 3"]);
            let rows = asked(&format!("select id, count(*) from {join} group by id having id > 2")).await.unwrap();
            assert_eq!(rows, ["3 1"]);
            let rows = asked(&format!("with c as (select * from {join}) select max(id) from c")).await.unwrap();
            assert_eq!(rows, ["3"]);
            let rows =
                asked(&format!("select p.n, p.id, id from {join} order by m desc nulls last limit 1")).await.unwrap();
            assert_eq!(rows, ["- - 3"]);
            let first = format!("c as (select coalesce(n, m) as x, id from {join} where id > 1)");
            let second = "d as (select x, e.id as y from c full join c as e using (x))";
            let rows = asked(&format!("with {first}, {second} select max(c.x), max(y) from c join d on y = id")).await;
            assert_eq!(rows.map_err(|error| error.to_string()), Ok(vec!["d 3".to_owned()]));
        }
        let right = SIDES.replace("full", "right");
        assert_eq!(asked(&format!("select id from {right} using (id) order by id")).await.unwrap(), ["2", "3"]);
    }

    #[tokio::test]
    async fn one_join_follows_another() {
        let three = format!("{SIDES} using (id) full join (values (3, 'x'), (4, 'y')) t (id, k) using (id)");
        let rows = asked(&format!("select * from {three} order by id")).await.unwrap();
        assert_eq!(rows, ["1 a - -", "2 b c -", "3 - d x", "4 - - y"]);
        let joined = format!("{SIDES} using (id) join (values (3, 'x'), (1, 'y')) t (key, k) on t.key = id");
        assert_eq!(asked(&format!("select id, k from {joined} order by id")).await.unwrap(), ["1 y", "3 x"]);
        let inside = format!("select x.id from ({SIDES} using (id)) as x order by x.id");
        assert_eq!(asked(&inside).await.unwrap(), ["1", "2", "3"]);
    }

    #[tokio::test]
    async fn a_column_that_one_side_does_not_have_is_told() {
        let told = asked(&format!("select 1 from {SIDES} using (n)")).await.unwrap_err().to_string();
        assert!(told.contains("column \"n\" specified in USING clause does not exist in right table"), "{told}");
    }
}
