//! `with x as materialized (…)` in a view of `link`: its rows are computed once, however often the view reads them.
//!
//! DataFusion puts the plan of a common table wherever its name stands and computes each anew: one that stands four times
//! over a million rows held four hash tables of them at once. Marked, it is a view of its own that keeps its rows until the
//! view around it has its own. Leaves out: which are worth it, which the file says; writing rows down and reading them again
//! costs more than a filter does.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, SubqueryAlias};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{
    CteAsMaterialized, Ident, ObjectName, ObjectNamePart, Statement, TableAlias, TableFactor, VisitorMut,
};

use crate::engine::cached::CachedView;
use crate::engine::walk::walk_mut;

/// A common table that is to be computed once.
#[derive(Debug)]
pub(crate) struct Once {
    /// What the statement calls it.
    name: String,
    /// What its plan is called, as nothing else that is planned with it.
    mark: String,
}

/// Renames the common tables that a view's statement marks, so that their plans are known from all others: the views that it
/// reads have aliases of their own. In the statement's order, in which each may read those before it.
pub(crate) fn marked(statement: &mut DataFusionStatement, view: &str) -> Vec<Once> {
    let DataFusionStatement::Statement(statement) = statement else { return Vec::new() };
    let Statement::Query(query) = statement.as_mut() else { return Vec::new() };
    let tables = query.with.iter_mut().flat_map(|with| &mut with.cte_tables);
    let marked = tables.filter(|table| matches!(table.materialized, Some(CteAsMaterialized::Materialized)));
    let marked: Vec<Once> = marked
        .map(|table| {
            let name = table.alias.name.value.clone();
            let mark = format!("\u{1}{view}.{name}");
            table.alias.name = Ident::with_quote('"', mark.as_str());
            Once { name, mark }
        })
        .collect();
    // It never breaks off.
    let _ = walk_mut(statement.as_mut(), &mut Renamed(&marked));
    marked
}

/// Renames the tables where they are read, under the names that they had.
struct Renamed<'a>(&'a [Once]);

impl VisitorMut for Renamed<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name: ObjectName(parts), alias, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let [ObjectNamePart::Identifier(read)] = parts.as_mut_slice() else { return ControlFlow::Continue(()) };
        if let Some(once) = self.0.iter().find(|once| once.name == read.value) {
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: read.clone(),
                columns: Vec::new(),
                at: None,
            });
            *read = Ident::with_quote('"', once.mark.as_str());
        }
        ControlFlow::Continue(())
    }
}

/// The plan with each marked common table read from the view that `view` makes of its own plan; and these views.
///
/// # Errors
/// A view cannot be scanned.
pub(crate) fn computed_once(
    mut plan: LogicalPlan,
    marked: &[Once],
    view: impl Fn(&str, LogicalPlan) -> Arc<CachedView>,
) -> Result<(LogicalPlan, Vec<Arc<CachedView>>)> {
    let mut views = Vec::new();
    for once in marked {
        let mut made: Option<Arc<CachedView>> = None;
        plan = plan
            .transform_up_with_subqueries(|node| {
                let LogicalPlan::SubqueryAlias(part) = &node else { return Ok(Transformed::no(node)) };
                if part.alias.table() != once.mark {
                    return Ok(Transformed::no(node));
                }
                let made = made.get_or_insert_with(|| view(&once.name, part.input.as_ref().clone()));
                let source = provider_as_source(Arc::clone(made) as _);
                let scan = LogicalPlanBuilder::scan(TableReference::bare(once.mark.as_str()), source, None)?.build()?;
                let scan = SubqueryAlias::try_new(Arc::new(scan), part.alias.clone())?;
                Ok(Transformed::yes(LogicalPlan::SubqueryAlias(scan)))
            })?
            .data;
        views.extend(made);
    }
    Ok((plan, views))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::common::config::Dialect;
    use datafusion::common::tree_node::TreeNodeRecursion;
    use datafusion::datasource::MemTable;
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::engine::held::Room;
    use crate::engine::repeated::Repeated;

    fn session() -> SessionContext {
        let session = SessionContext::new();
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 2, 3]));
        let rows = RecordBatch::try_from_iter([("number", numbers)]).unwrap();
        session.register_table("items", Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap())).unwrap();
        session
    }

    async fn split(sql: &str) -> Result<(LogicalPlan, Vec<Arc<CachedView>>)> {
        let state = session().state();
        let mut statement = state.sql_to_statement(sql, &Dialect::PostgreSQL).unwrap();
        let marked = marked(&mut statement, "view");
        let plan = state.statement_to_plan(statement).await.unwrap();
        let room = Arc::new(Room::default());
        let name = |name: &str| ("link".to_owned(), name.to_owned());
        computed_once(plan, &marked, |part, plan| {
            Arc::new(CachedView::new(&name(part), Repeated::anew(plan), None, &room))
        })
    }

    /// The tables that a plan scans, once for each scan.
    fn scanned(plan: &LogicalPlan) -> Vec<String> {
        let mut tables = Vec::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                tables.push(scan.table_name.table().to_owned());
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
        tables.sort_unstable();
        tables
    }

    const SQL: &str = "with counted as materialized (select number, count(*) as many from items as counted group by number), \
                       plain as (select number from counted where many = 1), \
                       greatest as materialized (select max(number) as number from plain) \
                       select counted.number, counted.many from counted inner join plain as p on p.number = counted.number \
                       cross join greatest where counted.number < greatest.number \
                       and exists (select 1 from counted as c where c.many = 2)";

    #[tokio::test]
    async fn what_is_marked_is_one_view_however_often_it_is_read() {
        let (plan, views) = split(SQL).await.unwrap();
        let counted = "\u{1}view.counted";
        assert_eq!(scanned(&plan), [counted, counted, counted, "\u{1}view.greatest"]);
        assert_eq!(views.len(), 2);
    }

    #[tokio::test]
    async fn the_columns_and_their_types_stay() {
        let (plan, _) = split(SQL).await.unwrap();
        let (unmarked, views) = split(&SQL.replace(" materialized", "")).await.unwrap();
        assert!(views.is_empty() && scanned(&unmarked).iter().all(|table| table == "items"));
        assert_eq!(plan.schema(), unmarked.schema());
    }

    /// The common table is the one that is named, not what is called the same elsewhere.
    #[tokio::test]
    async fn other_relations_of_the_name_stay() {
        let sql = "with one as materialized (select number from items as one) select one.number from one \
                   cross join (select number + 1 as number from items as one) as two \
                   where exists (select 1 from (select number + 2 as number from items) as one)";
        let (plan, views) = split(sql).await.unwrap();
        assert_eq!((scanned(&plan), views.len()), (vec!["\u{1}view.one".into(), "items".into(), "items".into()], 1));
    }
}
