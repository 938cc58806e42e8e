//! Where memory did not suffice: the same plan once more, with joins that go to the disk.
//!
//! A hash join holds one side in memory and cannot let go of it; a merge of sorted sides can.

use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;

use crate::engine::workers;

/// Rows of a batch there.
const ROWS: usize = 1_024;

/// What each sort keeps for its merge: a plan has dozens of them, and memory is short.
const SORT_RESERVATION_BYTES: usize = 2 << 20;

/// The rule that moves a projection below a merge join and leaves the columns of the join's filter where they were
/// (`SortMergeJoinExec::try_swapping_with_projection` of DataFusion 55): the filter then fails, or compares other columns.
const MOVES_PROJECTIONS: &str = "ProjectionPushdown";

/// Whether a plan failed for want of memory, or of room on the disk.
pub(crate) fn is_short(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// The session that plans without hash joins, and without workers.
pub(crate) fn spilling(state: SessionState) -> SessionState {
    let mut state = workers::alone(state);
    let config = state.config_mut();
    config.options_mut().optimizer.prefer_hash_join = false;
    let reservation = &mut config.options_mut().execution.sort_spill_reservation_bytes;
    *reservation = SORT_RESERVATION_BYTES.min(*reservation);
    // DataFusion sorts for a join only where it would also part it; sorted pieces are merged batch by batch.
    let (partitions, rows) = (config.target_partitions().max(2), config.batch_size().min(ROWS));
    *config = config.clone().with_target_partitions(partitions).with_batch_size(rows);
    let rules = state.physical_optimizers().iter().filter(|rule| rule.name() != MOVES_PROJECTIONS).cloned().collect();
    SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray as _;
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::physical_plan::{collect, displayable};
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// `x` is for the filter alone, so a projection would leave it out below the join, and the filter would compare keys.
    #[tokio::test]
    async fn a_merge_join_filters_by_its_own_columns() {
        let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        for (table, x) in [("one", "10 - value"), ("other", "value")] {
            let rows =
                format!("create table {table} as select {x} as x, value as k from generate_series(1, 8) as s(value)");
            session.sql(&rows).await.unwrap().collect().await.unwrap();
        }
        let sql = "select count(*), count(k2) from (select one.k as k1, other.k as k2 from one \
                   left join other on other.k = one.k and one.x < other.x)";
        let state = spilling(session.state());
        let plan = state.create_physical_plan(&state.create_logical_plan(sql).await.unwrap()).await.unwrap();
        let shown = displayable(plan.as_ref()).indent(false).to_string();
        assert!(shown.contains("SortMergeJoin") && shown.contains("filter=x"), "{shown}");
        let rows = collect(plan, state.task_ctx()).await.unwrap();
        let counts: Vec<i64> =
            rows[0].columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect();
        // 10 - k < k from 6 on.
        assert_eq!(counts, [8, 3], "{shown}");
    }

    /// A later DataFusion may not need what is taken away here, or may call it otherwise.
    #[test]
    fn the_rule_is_there_to_be_taken_away() {
        let names = |state: &SessionState| {
            state.physical_optimizers().iter().map(|rule| rule.name().to_owned()).collect::<Vec<_>>()
        };
        let state = SessionContext::new().state();
        let mut names_left = names(&state);
        names_left.retain(|name| name != MOVES_PROJECTIONS);
        assert!(names_left.len() < names(&state).len(), "{names_left:?}");
        assert_eq!(names(&spilling(state)), names_left);
    }
}
