//! A table that lives: invoices as a source sends them, in no order, with a record of some hundred bytes each.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use tieout::warehouse::rows::{ColumnType, Coverage, CoverageStatus, ReadMode, TableInput, input_schema};
use tieout::warehouse::{Error, Warehouse};

/// 2023-11-14, where every table begins.
const BEGIN_MICROS: i64 = 1_700_000_000_000_000;
const BATCH_ROWS: usize = 8_192;

/// Rows by number: each has a version, which makes its content.
#[derive(Clone)]
pub(crate) struct Table {
    /// 0 for rows that are gone.
    versions: Vec<u32>,
}

impl Table {
    /// So many rows, each in its first version.
    pub(crate) fn new(rows: u64) -> Self {
        Self { versions: vec![1; usize::try_from(rows).expect("rows that fit")] }
    }

    /// Lives a day: `changes` rows change, of twenty changes one is a new row and one a deletion.
    pub(crate) fn live(&mut self, seed: u64, changes: u64) {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        for change in 0..changes {
            let row = random.random_range(0..self.versions.len());
            match change % 20 {
                0 => self.versions.push(1),
                1 => self.versions[row] = 0,
                _ => self.versions[row] += 1,
            }
        }
    }

    /// All rows, in no order.
    pub(crate) fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<> + 'static {
        let versions = self.versions.clone();
        let count = versions.len();
        // A prime step visits every row once.
        let order = move |place: usize| place * 7_368_787 % count;
        (0..count).step_by(BATCH_ROWS).map(move |start| {
            let rows = (start..(start + BATCH_ROWS).min(count)).map(order).map(|row| (row, versions[row]));
            Ok(batch(&rows.filter(|(_, version)| *version > 0).collect::<Vec<_>>()))
        })
    }
}

fn columns() -> Vec<(String, ColumnType)> {
    [
        ("number", ColumnType::Text),
        ("vendor_id", ColumnType::Int64),
        ("status", ColumnType::Text),
        ("amount", ColumnType::Decimal(18, 2)),
        ("updated_at", ColumnType::Timestamp),
    ]
    .map(|(name, kind)| (name.to_owned(), kind))
    .to_vec()
}

struct Invoice {
    key: String,
    number: String,
    vendor: i64,
    status: &'static str,
    cents: i128,
    updated: i64,
    raw: String,
}

fn invoice(row: usize, version: u32) -> Invoice {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64((row as u64) << 20 | u64::from(version));
    let status = ["draft", "under_review", "approved", "paid"][random.random_range(0..4)];
    let (vendor, cents) = (random.random_range(10_000..12_000), random.random_range(100..10_000_000_i128));
    let updated = BEGIN_MICROS + i64::from(version) * 86_400_000_000 + random.random_range(0..80_000_000_000);
    let (number, key) = (format!("INV-{row:08}"), (562_949_950_000_000 + row).to_string());
    let raw = format!(
        "{{\"id\":{key},\"number\":\"{number}\",\"vendor\":{{\"id\":{vendor},\"name\":\"Vendor {vendor} Contracting LLC\"}},\
         \"status\":\"{status}\",\"total\":\"{}.{:02}\",\"retainage\":\"{}.00\",\"project_id\":{},\"updated_at\":{updated},\
         \"created_by\":{{\"id\":{},\"login\":\"user{}@example.com\"}},\"custom_fields\":{{\"custom_field_1\":null,\
         \"custom_field_2\":\"{:016x}\"}},\"payment_date\":null,\"erp_sync\":{{\"status\":\"synced\",\"error\":null}}}}",
        cents / 100,
        cents % 100,
        cents / 2_000,
        random.random_range(1..300),
        random.random_range(1..80),
        random.random_range(1..80),
        random.random::<u64>(),
    );
    Invoice { key, number, vendor, status, cents, updated, raw }
}

fn batch(rows: &[(usize, u32)]) -> RecordBatch {
    let rows: Vec<Invoice> = rows.iter().map(|(row, version)| invoice(*row, *version)).collect();
    let text = |value: fn(&Invoice) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(value(row))).collect::<StringArray>())
    };
    let moments = |value: fn(&Invoice) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(value)).with_timezone("+00:00"))
    };
    let amounts = Decimal128Array::from_iter_values(rows.iter().map(|row| row.cents));
    let arrays = vec![
        text(|row| row.key.clone()),
        text(|row| (row.vendor % 300).to_string()),
        text(|row| row.number.clone()),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.vendor))) as ArrayRef,
        text(|row| row.status.to_owned()),
        Arc::new(amounts.with_precision_and_scale(18, 2).expect("a decimal")),
        moments(|row| row.updated),
        text(|row| row.raw.clone()),
        text(|row| hex::encode(Sha256::digest(row.raw.as_bytes()))),
        moments(|_| BEGIN_MICROS),
    ];
    RecordBatch::try_new(input_schema(&columns()), arrays).expect("a batch")
}

/// A full read of the table, complete in every scope; its rows come beside it.
pub(crate) fn input() -> TableInput {
    let coverage = |scope: i32| Coverage {
        scope: scope.to_string(),
        project: None,
        status: CoverageStatus::Ok,
        rows: 0,
        expected_rows: None,
        observed_at: chrono::DateTime::from_timestamp_micros(BEGIN_MICROS).expect("a moment"),
        error: None,
    };
    TableInput {
        source: "procore".to_owned(),
        table: "invoices".to_owned(),
        columns: columns(),
        mode: ReadMode::Full,
        above: Vec::new(),
        spooled: None,
        batches: Vec::new(),
        coverage: (0..300).map(coverage).collect(),
        rejects: Vec::new(),
        drift: Vec::new(),
        cursor: None,
        accept_deletes: false,
        owners: std::collections::BTreeSet::new(),
    }
}

/// A new warehouse.
pub(crate) async fn warehouse_in(folder: &Path) -> Warehouse {
    Warehouse::open_or_create(folder.to_str().expect("a path of text")).await.expect("a warehouse")
}
