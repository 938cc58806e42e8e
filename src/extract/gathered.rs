//! What a run gathers of a table until the commit: rows that wait for their batch, a few batches, and on the disk the rest.
//!
//! Invariant: beyond rows that may still be read again, and 24 to 48 bytes for each key of a table of several lists, memory does not
//! grow with the rows of a table.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::SourceSettings;
use super::decode::{Row, batch};
use super::drift::Seen;
use super::failure::Error;
use super::manifest::Table;
use super::meter::Meter;
use super::places::Scopes;
use super::scope::ParentRow;
use crate::warehouse::rows::{ReadMode, Reject};
use crate::warehouse::{Error as WarehouseError, Spool, Spooled};

/// Rows per batch.
const BATCH_ROWS: usize = 8192;

/// Bytes of a table's batches that are held in memory; more wait on the disk. Most tables of most firms have less.
const HELD_BYTES: usize = 8 << 20;

/// What a run gathers per table.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) pending: Vec<(Arc<str>, Row)>,
    /// Of the records that wait.
    pending_bytes: usize,
    batches: Vec<RecordBatch>,
    /// Of the batches.
    bytes: usize,
    spool: Spool,
    pub(super) rejects: Vec<Reject>,
    pub(super) parents: Vec<Arc<ParentRow>>,
    /// Where it has several lists.
    pub(super) scopes: Scopes,
    /// Keys and scopes, where what lies inside the records was read with them and some of them only.
    pub(super) owners: Vec<(String, Arc<str>)>,
    pub(super) seen: Seen,
    pub(super) meter: Arc<Meter>,
    pub(super) mode: Option<ReadMode>,
    /// Whether some of its lists were passed over.
    pub(super) rests: bool,
    /// The greatest value of a column that only grows.
    pub(super) greatest: Option<i64>,
}

impl Gathered {
    /// Adds a row.
    pub(super) fn push(&mut self, scope: Arc<str>, row: Row) {
        self.pending_bytes += row.raw.as_str().len();
        self.pending.push((scope, row));
    }

    /// Makes a batch of the rows that wait, if they are enough for one.
    pub(super) fn flush_full(&mut self, source: &SourceSettings, table: &Table) -> Result<(), Error> {
        let is_full = self.pending.len() >= BATCH_ROWS || self.pending_bytes > HELD_BYTES;
        if is_full { self.flush(source, table) } else { Ok(()) }
    }

    /// Makes a batch of the rows that wait.
    fn flush(&mut self, source: &SourceSettings, table: &Table) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        // All batches of a table have the same columns.
        let is_rekeyed = source.redaction_key_before.is_some() && table.embedded.is_none();
        for rows in rows.chunks(BATCH_ROWS) {
            let built = batch(&table.column_types(), rows, is_rekeyed).map_err(|reason| Error::Layout {
                name: source.name.clone(),
                table: table.name.clone(),
                reason,
            })?;
            self.bytes += built.get_array_memory_size();
            self.batches.push(built);
            if self.bytes > HELD_BYTES {
                self.bytes = 0;
                for batch in self.batches.drain(..) {
                    self.spool.write(&batch).map_err(|reason| kept(source, table, reason))?;
                }
            }
        }
        Ok(())
    }

    /// All rows: those on the disk, which came first, and the others.
    pub(super) fn rows(
        &mut self,
        source: &SourceSettings,
        table: &Table,
    ) -> Result<(Option<Spooled>, Vec<RecordBatch>), Error> {
        self.flush(source, table)?;
        let spooled = std::mem::take(&mut self.spool).finish().map_err(|reason| kept(source, table, reason))?;
        Ok((spooled, std::mem::take(&mut self.batches)))
    }
}

pub(super) fn kept(source: &SourceSettings, table: &Table, reason: WarehouseError) -> Error {
    Error::Spool { name: source.name.clone(), table: table.name.clone(), reason: Box::new(reason) }
}
