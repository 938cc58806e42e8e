//! `with x as materialized (…)` in a view of `link`: its rows are computed once, however often the view reads them.
//!
//! DataFusion puts the plan of a common table wherever its name stands and computes each anew: one that stands four times
//! over a million rows held four hash tables of them at once. Marked, it is a view of its own that keeps its rows until the
//! view around it has its own. Leaves out: which are worth it, which the file says; writing rows down and reading them again
//! costs more than a filter does.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Result, TableReference, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, SubqueryAlias};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{CteAsMaterialized, Statement};

use crate::engine::cached::CachedView;

/// The common tables that a statement marks, in its order: each may read those before it.
pub(crate) fn marked(statement: &DataFusionStatement) -> Vec<String> {
    let DataFusionStatement::Statement(statement) = statement else { return Vec::new() };
    let Statement::Query(query) = statement.as_ref() else { return Vec::new() };
    let tables = query.with.iter().flat_map(|with| &with.cte_tables);
    let marked = tables.filter(|table| matches!(table.materialized, Some(CteAsMaterialized::Materialized)));
    marked.map(|table| table.alias.name.value.clone()).collect()
}

/// The plan with each marked common table read from the view that `view` makes of its own plan; and these views.
///
/// # Errors
/// Something else in the statement is called like a marked table.
pub(crate) fn computed_once(
    mut plan: LogicalPlan,
    marked: &[String],
    view: impl Fn(&str, LogicalPlan) -> Arc<CachedView>,
) -> Result<(LogicalPlan, Vec<Arc<CachedView>>)> {
    let mut views = Vec::new();
    for name in marked {
        let mut found: Option<(Arc<LogicalPlan>, Arc<CachedView>)> = None;
        plan = plan
            .transform_down_with_subqueries(|node| {
                let LogicalPlan::SubqueryAlias(part) = &node else { return Ok(Transformed::no(node)) };
                if part.alias.table() != name {
                    return Ok(Transformed::no(node));
                }
                let (own, made) =
                    found.get_or_insert_with(|| (Arc::clone(&part.input), view(name, part.input.as_ref().clone())));
                if *own != part.input {
                    return plan_err!("two relations are called {name}, which is to be computed once");
                }
                let source = provider_as_source(Arc::clone(made) as _);
                let scan = LogicalPlanBuilder::scan(TableReference::bare(name.as_str()), source, None)?.build()?;
                let scan = SubqueryAlias::try_new(Arc::new(scan), part.alias.clone())?;
                // What is called the same within it is none of ours.
                Ok(Transformed::new(LogicalPlan::SubqueryAlias(scan), true, TreeNodeRecursion::Jump))
            })?
            .data;
        views.extend(found.map(|(_, view)| view));
    }
    Ok((plan, views))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;
    use datafusion::common::config::Dialect;
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
        let statement = state.sql_to_statement(sql, &Dialect::PostgreSQL).unwrap();
        let marked = marked(&statement);
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
        assert_eq!(scanned(&plan), ["counted", "counted", "counted", "greatest"]);
        assert_eq!(views.len(), 2);
    }

    #[tokio::test]
    async fn the_columns_and_their_types_stay() {
        let (plan, _) = split(SQL).await.unwrap();
        let (unmarked, views) = split(&SQL.replace(" materialized", "")).await.unwrap();
        assert!(views.is_empty() && scanned(&unmarked).iter().all(|table| table == "items"));
        assert_eq!(plan.schema(), unmarked.schema());
        let rows = session().execute_logical_plan(unmarked).await.unwrap().collect().await.unwrap();
        assert_eq!(rows.first().unwrap().column(0).as_primitive::<Int64Type>().values(), &[2]);
    }

    #[tokio::test]
    async fn another_relation_of_the_name_is_refused() {
        let sql = "with one as materialized (select number from items) select one.number from one \
                   cross join (select number + 1 as number from items) as two \
                   where exists (select 1 from (select number + 2 as number from items) as one)";
        assert!(split(sql).await.unwrap_err().to_string().contains("two relations are called one"));
    }
}
