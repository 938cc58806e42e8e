//! Where memory did not suffice: the same plan once more, with joins that go to the disk.
//!
//! A hash join holds one side in memory and cannot let go of it; a merge of sorted sides can.

use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;

use crate::engine::workers;

/// Rows of a batch there.
const ROWS: usize = 1_024;

/// Whether a plan failed for want of memory, or of room on the disk.
pub(crate) fn is_short(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// The session that plans without hash joins, and without workers.
pub(crate) fn spilling(state: SessionState) -> SessionState {
    let mut state = workers::alone(state);
    let config = state.config_mut();
    config.options_mut().optimizer.prefer_hash_join = false;
    // DataFusion sorts for a join only where it would also part it; sorted pieces are merged batch by batch.
    let (partitions, rows) = (config.target_partitions().max(2), config.batch_size().min(ROWS));
    *config = config.clone().with_target_partitions(partitions).with_batch_size(rows);
    state
}
