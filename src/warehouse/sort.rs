//! Rows of a run in order of key, each key once: in memory while they fit, else in runs on the disk that are merged.
//!
//! A sort of our own over the one text key instead of the query engine's: the warehouse lies below the engine, and a
//! duplicate must come out as a reject with its record. Invariant: of rows with the same key the last that came stands, the
//! others are handed back. Runs lie in unlinked files of the temporary folder (`TMPDIR`): they vanish with the process.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::error::Error;
use super::files::Fetched;
use super::merge::{Batches, Gather, Keyed, Merge};
use super::rows::{KEY, RAW, Reject, SCOPE};
use super::state::{BATCH_ROWS, text};
use super::system::text_at;

/// How many runs are merged at a time: each holds a batch in memory.
const FAN_IN: usize = 16;
/// What errors call the rows.
const NAME: &str = "rows of the run in the temporary folder (TMPDIR)";

/// A run's rows in order, each key once.
pub(super) struct Sorted {
    rows: Rows,
    /// Rows that a later one with the same key replaced.
    pub(super) duplicates: Vec<Reject>,
}

enum Rows {
    /// Batches as they came, and the order in which to read them.
    Memory(Arc<Vec<RecordBatch>>, Arc<Vec<(usize, usize)>>),
    /// One run in a temporary file.
    Disk(Fetched),
}

impl Sorted {
    /// Sorts `rows`; at most about `memory` bytes of them are held at a time.
    pub(super) fn new(rows: Batches, memory: usize) -> Result<Self, Error> {
        let mut duplicates = Vec::new();
        let mut runs = Vec::new();
        let (mut held, mut bytes) = (Vec::new(), 0);
        for batch in rows {
            let batch = batch?;
            bytes += batch.get_array_memory_size();
            held.push(batch);
            if bytes > memory {
                runs.push(spill_sorted(std::mem::take(&mut held), &mut duplicates)?);
                bytes = 0;
            }
        }
        if runs.is_empty() {
            let order = order(&held, &mut duplicates).map_err(Error::arrow("sort", "incoming rows"))?;
            return Ok(Self { rows: Rows::Memory(Arc::new(held), Arc::new(order)), duplicates });
        }
        if !held.is_empty() {
            runs.push(spill_sorted(held, &mut duplicates)?);
        }
        // Neighbours are merged, and what came earlier stays in front: of equal keys the last to come wins.
        while runs.len() > 1 {
            let mut merged = Vec::new();
            for group in runs.chunks(FAN_IN) {
                merged.push(merge(group, &mut duplicates)?);
            }
            runs = merged;
        }
        let run = runs.pop().ok_or_else(|| Error::corrupt(NAME, "there is no run"))?;
        Ok(Self { rows: Rows::Disk(run), duplicates })
    }

    /// The rows, only of the columns for which `wanted` holds.
    pub(super) fn read(&self, wanted: impl Fn(&str) -> bool) -> Result<Batches, Error> {
        match &self.rows {
            Rows::Memory(batches, order) => {
                let narrow = |batch: &RecordBatch| {
                    let names = batch.schema_ref().fields().iter().enumerate();
                    let places: Vec<usize> =
                        names.filter(|(_, field)| wanted(field.name())).map(|(place, _)| place).collect();
                    batch.project(&places)
                };
                let batches: Result<Vec<RecordBatch>, ArrowError> = batches.iter().map(narrow).collect();
                let batches = batches.map_err(Error::arrow("sort", "incoming rows"))?;
                Ok(in_order(batches, Arc::clone(order)))
            }
            Rows::Disk(file) => file.rows(|schema| names(schema, wanted)),
        }
    }
}

fn names(schema: &SchemaRef, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).filter(|name| wanted(name)).collect()
}

fn in_order(batches: Vec<RecordBatch>, order: Arc<Vec<(usize, usize)>>) -> Batches {
    let starts = (0..order.len()).step_by(BATCH_ROWS);
    Box::new(starts.map(move |start| {
        let chunk = order.get(start..(start + BATCH_ROWS).min(order.len())).unwrap_or_default();
        let borrowed: Vec<&RecordBatch> = batches.iter().collect();
        // Rows that lie together in order, as sources often send them, are not copied.
        let gathered = match (chunk.first(), chunk.last()) {
            (Some((batch, first)), Some((last_batch, last)))
                if batch == last_batch
                    && chunk.iter().zip(*first..).all(|((it, row), expected)| it == batch && *row == expected) =>
            {
                borrowed.get(*batch).map(|batch| batch.slice(*first, last - first + 1)).map(Ok)
            }
            _ => None,
        };
        gathered
            .unwrap_or_else(|| interleave_record_batch(&borrowed, chunk))
            .map_err(Error::arrow("sort", "incoming rows"))
    }))
}

/// The places of rows in order of key, each key once.
fn order(batches: &[RecordBatch], duplicates: &mut Vec<Reject>) -> Result<Vec<(usize, usize)>, ArrowError> {
    let keys: Result<Vec<&StringArray>, ArrowError> = batches.iter().map(|batch| text(batch, KEY)).collect();
    let keys = keys?;
    let mut places: Vec<(&str, usize, usize)> = Vec::with_capacity(keys.iter().copied().map(Array::len).sum());
    for (batch, keys) in keys.iter().enumerate() {
        places.extend((0..keys.len()).map(|row| (keys.value(row), batch, row)));
    }
    places.sort_unstable();
    let mut order: Vec<(usize, usize)> = Vec::with_capacity(places.len());
    let mut previous: Option<(&str, usize, usize)> = None;
    for place in places {
        if let Some((key, batch, row)) = previous {
            if key == place.0 {
                duplicates.extend(batches.get(batch).map(|batch| duplicate(batch, row, key)));
            } else {
                order.push((batch, row));
            }
        }
        previous = Some(place);
    }
    order.extend(previous.map(|(_, batch, row)| (batch, row)));
    Ok(order)
}

fn duplicate(batch: &RecordBatch, row: usize, key: &str) -> Reject {
    let text = |name| text_at(batch, name, row).unwrap_or_default().to_owned();
    let reason = format!("key `{key}` came more than once in this run; the last one is kept");
    Reject { scope: text(SCOPE), reason, raw: text(RAW), ..Reject::default() }
}

fn spill_sorted(batches: Vec<RecordBatch>, duplicates: &mut Vec<Reject>) -> Result<Fetched, Error> {
    let order = order(&batches, duplicates).map_err(Error::arrow("sort", "incoming rows"))?;
    let mut spill: Option<Spill> = None;
    for batch in in_order(batches, Arc::new(order)) {
        let batch = batch?;
        Spill::of(&mut spill, &batch.schema())?.write(&batch)?;
    }
    spill.ok_or_else(|| Error::corrupt(NAME, "no rows to sort"))?.finish()
}

fn merge(runs: &[Fetched], duplicates: &mut Vec<Reject>) -> Result<Fetched, Error> {
    let failed = || Error::arrow("merge", NAME);
    let streams: Result<Vec<Batches>, Error> =
        runs.iter().map(|run| run.rows(|schema| names(schema, |_| true))).collect();
    let mut merge = Merge::new(streams?)?;
    let mut spill: Option<Spill> = None;
    let mut gather: Option<Gather> = None;
    // The last row seen may have a successor with the same key in another run.
    let mut pending: Option<(Arc<Keyed>, usize)> = None;
    while let Some(run) = merge.next()? {
        let gather = gather.get_or_insert_with(|| Gather::new(run.batch.batch.schema()));
        if let Some((batch, row)) = pending.take() {
            if batch.keys.value(row) == run.batch.keys.value(run.rows.start) {
                duplicates.push(duplicate(&batch.batch, row, batch.keys.value(row)));
            } else {
                gather.push(&batch, row..row + 1);
            }
        }
        let last = run.rows.end - 1;
        gather.push(&run.batch, run.rows.start..last);
        pending = Some((run.batch, last));
        if gather.is_full() {
            let batch = gather.take().map_err(failed())?;
            Spill::of(&mut spill, &batch.schema())?.write(&batch)?;
        }
    }
    if let (Some(mut gather), Some((batch, row))) = (gather, pending) {
        gather.push(&batch, row..row + 1);
        let batch = gather.take().map_err(failed())?;
        Spill::of(&mut spill, &batch.schema())?.write(&batch)?;
    }
    spill.ok_or_else(|| Error::corrupt(NAME, "no rows to merge"))?.finish()
}

/// A run on its way to the temporary folder: Parquet, because records compress by a factor of ten.
pub(super) struct Spill {
    writer: ArrowWriter<File>,
    local: File,
}

impl Spill {
    pub(super) fn of<'a>(spill: &'a mut Option<Self>, schema: &SchemaRef) -> Result<&'a mut Self, Error> {
        if spill.is_none() {
            let create = || tempfile::tempfile().and_then(|local| Ok((local.try_clone()?, local)));
            let (handle, local) = create().map_err(Error::io("create", NAME.as_ref()))?;
            // Small pages: a merge holds one of every column of every run.
            let properties = WriterProperties::builder()
                .set_compression(ZstdLevel::try_new(1).map_or(Compression::UNCOMPRESSED, Compression::ZSTD))
                .set_max_row_group_row_count(Some(65_536))
                .set_data_page_size_limit(128 << 10)
                .set_dictionary_enabled(false)
                .set_statistics_enabled(EnabledStatistics::None)
                .build();
            let writer = ArrowWriter::try_new(handle, SchemaRef::clone(schema), Some(properties));
            let writer = writer.map_err(|error| Error::arrow("write", NAME)(error.into()))?;
            *spill = Some(Self { writer, local });
        }
        spill.as_mut().ok_or_else(|| Error::corrupt(NAME, "it was not created"))
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.writer.write(batch).map_err(|error| Error::arrow("write", NAME)(error.into()))
    }

    pub(super) fn finish(self) -> Result<Fetched, Error> {
        self.writer.close().map_err(|error| Error::arrow("write", NAME)(error.into()))?;
        Ok(Fetched { path: NAME.to_owned(), local: self.local })
    }
}
