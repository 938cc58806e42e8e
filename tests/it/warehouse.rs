//! The warehouse from outside: the stores it can lie in, the places it refuses, how many requests it needs.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail by panicking, as its test functions do"
)]

mod checkpoints;
pub(crate) mod google;
mod places;
mod requests;
mod rewritten;
mod stores;
mod years;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Utc};
use tieout::clock::Clock;
use tieout::warehouse::commit::{CommitKind, Head};
use tieout::warehouse::rows::{ColumnType, Coverage, CoverageStatus, ReadMode, TableInput, input_schema};
use tieout::warehouse::{CommitHeader, Error, Prepared, Warehouse};

/// A full read of `procore.bills` that found one bill of that amount.
fn bill(amount: i64) -> TableInput {
    let columns = vec![("amount".to_owned(), ColumnType::Int64)];
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value.to_owned()])) };
    let moment = TimestampMicrosecondArray::from(vec![1_700_000_000_000_000]).with_timezone("+00:00");
    let hash = format!("{amount:064x}");
    let arrays: Vec<ArrayRef> = vec![
        text("7"),
        text(""),
        Arc::new(Int64Array::from(vec![amount])),
        text(&format!("{{\"amount\":{amount}}}")),
        text(&hash),
        Arc::new(moment),
    ];
    let batch = RecordBatch::try_new(input_schema(&columns), arrays).unwrap();
    let coverage = Coverage {
        scope: String::new(),
        project: None,
        status: CoverageStatus::Ok,
        rows: 1,
        expected_rows: None,
        observed_at: DateTime::UNIX_EPOCH,
        error: None,
    };
    TableInput {
        source: "procore".to_owned(),
        table: "bills".to_owned(),
        columns,
        mode: ReadMode::Full,
        above: Vec::new(),
        spooled: None,
        batches: vec![batch],
        coverage: vec![coverage],
        rejects: Vec::new(),
        drift: Vec::new(),
        cursor: None,
        accept_deletes: false,
        owners: std::collections::BTreeSet::new(),
    }
}

async fn prepare(warehouse: &Warehouse, amount: i64) -> Result<Prepared, Error> {
    let mut prepared = prepare_nothing(warehouse).await?;
    prepared.add(bill(amount)).await?;
    Ok(prepared)
}

async fn prepare_nothing(warehouse: &Warehouse) -> Result<Prepared, Error> {
    let (kind, definitions) = (CommitKind::Extract, String::new());
    let header = CommitHeader { kind, clock: &Clock::Machine, definitions, runs: Vec::new(), observed_at: Utc::now() };
    warehouse.prepare(header).await
}

async fn commit(warehouse: &Warehouse, amount: i64) -> Result<Arc<Head>, Error> {
    warehouse.publish(prepare(warehouse, amount).await?).await
}

/// The amount of the one bill as of a commit.
async fn amount(warehouse: &Warehouse, commit: u64) -> i64 {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    let head = warehouse.head().await.unwrap();
    let batches = warehouse.read_state(&head, commit, "procore", "bills").await.unwrap();
    batches[0].column_by_name("amount").unwrap().as_primitive::<Int64Type>().value(0)
}
