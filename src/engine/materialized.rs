//! `with x as materialized (…)` in a view of `link`: its rows are computed once, however often the view reads them.
//!
//! DataFusion puts the plan of a common table wherever its name stands and computes each anew: one that stands four times
//! over a million rows held four hash tables of them at once. Marked, it is a view of its own that keeps its rows until the
//! view around it has its own. Leaves out: which are worth it, which the file says; writing rows down and reading them again
//! costs more than a filter does.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, SubqueryAlias};

use crate::engine::cached::CachedView;
use crate::engine::common_tables;

/// The plan of a view with each common table that it marked read from the view that `made` makes of its own plan; and these
/// views, each after those that it reads.
///
/// # Errors
/// A view cannot be scanned.
pub(crate) fn computed_once(
    plan: LogicalPlan,
    view: &str,
    made: impl Fn(&str, LogicalPlan) -> Arc<CachedView>,
) -> Result<(LogicalPlan, Vec<Arc<CachedView>>)> {
    let mut parts: Vec<(String, Arc<CachedView>)> = Vec::new();
    let plan = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::SubqueryAlias(part) = &node else { return Ok(Transformed::no(node)) };
        let mark = part.alias.table();
        let Some(name) = common_tables::name_in(view, mark) else { return Ok(Transformed::no(node)) };
        let known = parts.iter().find(|(known, _)| known == mark).map(|(_, table)| Arc::clone(table));
        let table = known.unwrap_or_else(|| {
            let table = made(name, part.input.as_ref().clone());
            parts.push((mark.to_owned(), Arc::clone(&table)));
            table
        });
        let scan = LogicalPlanBuilder::scan(TableReference::bare(mark), provider_as_source(table), None)?.build()?;
        Ok(Transformed::yes(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(scan), part.alias.clone())?)))
    })?;
    Ok((plan.data, parts.into_iter().map(|(_, table)| table).collect()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::common::config::Dialect;
    use datafusion::common::tree_node::TreeNodeRecursion;
    use datafusion::datasource::MemTable;
    use datafusion::prelude::SessionContext;
    use datafusion::sql::parser::Statement;

    use super::*;
    use crate::engine::common_tables::{Once, mark};
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
        let Statement::Statement(inner) = &mut statement else { panic!("{sql}") };
        mark(inner, "view", Once::Told);
        let plan = state.statement_to_plan(statement).await.unwrap();
        let room = Arc::new(Room::default());
        let name = |name: &str| ("link".to_owned(), name.to_owned());
        computed_once(plan, "view", |part, plan| {
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
        let counted = "\u{1}common view.counted";
        assert_eq!(scanned(&plan), [counted, counted, counted, "\u{1}common view.greatest"]);
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
        assert_eq!(
            (scanned(&plan), views.len()),
            (vec!["\u{1}common view.one".into(), "items".into(), "items".into()], 1)
        );
    }
}
