//! Parquet files: how rows become bytes, and back, a batch at a time.
//!
//! Invariants: zstd, sorted by key except in append tables; a file is split before it outgrows memory; what is read has the
//! SHA-256 that its commit recorded. States are written to be searched (statistics, a bloom filter on the key), change files
//! to be small. Encoding, decoding and hashing block: they run on threads that may. Leaves out: which files there are
//! (`head`), what they mean together (`state`).

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::Arc;

use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStoreExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::chain::HALF_COPIED;
use super::commit::DataFile;
use super::error::Error;
use super::merge::Batches;
use super::rows::{HASH, KEY, OP, RAW, timestamp_type};
use super::state::BATCH_ROWS;
use super::store::{Store, digest};

/// Rows of one row group: with records of a few kilobytes, some tens of megabytes when encoded.
const ROW_GROUP_ROWS: usize = 65_536;
/// A change file of so many rows (by its first batch: a comparison's is full if there is another) is what a table's usual day
/// comes to.
const SMALL_ROWS: usize = 1_024;
/// zstd's level for those: a fifth smaller than the default, and too few bytes for anybody to wait.
const SMALL_LEVEL: i32 = 15;

/// How much is held in memory, and how large files become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a table's incoming rows that are sorted in memory; more are sorted on the disk (`TMPDIR`).
    pub sort_bytes: usize,
    /// Rows of one file.
    pub file_rows: u64,
    /// Bytes of one file, encoded: held in memory until it is whole.
    pub file_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sort_bytes: 256 << 20, file_rows: 1 << 20, file_bytes: 128 << 20 }
    }
}

/// The store from a thread that may block.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    store: Store,
    runtime: Handle,
}

impl Disk {
    /// To be called on a runtime, and used on its blocking threads.
    pub(super) fn new(store: &Store) -> Self {
        Self { store: store.clone(), runtime: Handle::current() }
    }

    /// A file of a commit, on the local disk, with the SHA-256 that the commit recorded.
    pub(super) fn fetch(&self, file: &DataFile) -> Result<Fetched, Error> {
        let failed = |cause| Error::Store { action: "read", path: file.path.clone(), cause };
        let spilled =
            |source| Error::Io { action: "copy to the temporary folder (TMPDIR)", path: file.path.clone(), source };
        let found = self.runtime.block_on(self.store.objects().get(&Path::from(file.path.as_str())));
        let found = found.map_err(|source| match source {
            object_store::Error::NotFound { .. } => {
                Error::corrupt(&file.path, format!("the file is missing, though a commit lists it\n{HALF_COPIED}"))
            }
            source => failed(source),
        })?;
        let (local, sha256) = match found.payload {
            GetResultPayload::File(mut local, _) => {
                let sha256 = hash(&mut local).map_err(|error| Error::io("read", file.path.as_ref())(error))?;
                (local, sha256)
            }
            GetResultPayload::Stream(mut stream) => {
                let mut local = tempfile::tempfile().map_err(spilled)?;
                let mut hasher = Sha256::new();
                while let Some(bytes) = self.runtime.block_on(stream.try_next()).map_err(failed)? {
                    hasher.update(&bytes);
                    local.write_all(&bytes).map_err(spilled)?;
                }
                (local, hex::encode(hasher.finalize()))
            }
        };
        if sha256 != file.sha256 {
            let reason = format!("its SHA-256 is {sha256}, the commit recorded {}", file.sha256);
            return Err(Error::corrupt(&file.path, reason));
        }
        Ok(Fetched { path: file.path.clone(), local })
    }

    fn put(&self, path: String, bytes: Vec<u8>, rows: u64) -> Result<DataFile, Error> {
        let file = DataFile { sha256: digest(&bytes), bytes: bytes.len() as u64, rows, path };
        if self.runtime.block_on(self.store.put_new(&file.path, Bytes::from(bytes)))? {
            Ok(file)
        } else {
            Err(Error::corrupt(file.path, "a file of this random name exists already"))
        }
    }
}

fn hash(file: &mut File) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    // Most files are a few kilobytes: a megabyte of zeros for each would take longer than to read them.
    let bytes = file.metadata()?.len().clamp(1 << 12, 1 << 20);
    let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(1 << 20)];
    file.rewind()?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// A Parquet file on the local disk. One reader at a time: they share its position.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) path: String,
    pub(super) local: File,
}

impl Fetched {
    /// Its rows, only of the columns that `choose` names among those of its schema.
    pub(super) fn rows(&self, choose: impl FnOnce(&SchemaRef) -> Vec<String>) -> Result<Batches, Error> {
        let failed = || Error::arrow("read", self.path.as_str());
        let local = self.local.try_clone().map_err(Error::io("open", self.path.as_ref()))?;
        let builder = open_rows(local).map_err(|error| failed()(ArrowError::from(error)))?;
        let names = choose(builder.schema());
        let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().map(String::as_str));
        let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        let reader = reader.map_err(|error| failed()(ArrowError::from(error)))?;
        let path = self.path.clone();
        Ok(Box::new(reader.map(move |batch| batch.map_err(Error::arrow("read", path.as_str())))))
    }
}

/// Opens a file's rows. Change files carry no Arrow schema, and what Parquet makes of UTC has another name than our one type of
/// moments.
pub(super) fn open_rows(file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, ParquetError> {
    let mut metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
    let is_utc =
        |kind: &DataType| matches!(kind, DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC");
    let fields = metadata.schema().fields().iter();
    let ours = |field: &Field| {
        if is_utc(field.data_type()) { field.clone().with_data_type(timestamp_type()) } else { field.clone() }
    };
    let ours = Schema::new_with_metadata(
        fields.map(|field| ours(field)).collect::<Vec<_>>(),
        metadata.schema().metadata().clone(),
    );
    if ours != **metadata.schema() {
        let options = ArrowReaderOptions::new().with_schema(SchemaRef::new(ours));
        metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)?;
    }
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata))
}

/// Where the files of one table go, and how large they become.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) disk: Disk,
    /// Below the warehouse's root.
    pub(super) folder: String,
    pub(super) commit: u64,
    pub(super) limits: Limits,
    /// Whether rows come ascending by key.
    pub(super) is_sorted: bool,
}

/// Writes rows as files, each as large as the limits let it be.
pub(super) struct Writer {
    target: Target,
    schema: SchemaRef,
    open: Option<ArrowWriter<Vec<u8>>>,
    /// Rows of the open file.
    rows: u64,
    files: Vec<DataFile>,
}

impl Writer {
    pub(super) fn new(target: Target, schema: SchemaRef) -> Self {
        Self { target, schema, open: None, rows: 0, files: Vec::new() }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut start = 0;
        while start < batch.num_rows() {
            let left = usize::try_from(self.target.limits.file_rows.max(1) - self.rows).unwrap_or(usize::MAX);
            let length = left.min(batch.num_rows() - start);
            let slice = batch.slice(start, length);
            let mut open = self.open(batch)?;
            open.write(&slice).map_err(|error| self.failed(error))?;
            start += length;
            self.rows += length as u64;
            let limits = self.target.limits;
            let is_full = self.rows >= limits.file_rows
                || open.bytes_written().saturating_add(open.in_progress_size()) >= limits.file_bytes;
            self.open = Some(open);
            if is_full {
                self.close()?;
            }
        }
        Ok(())
    }

    /// The files written: at least one, be it without rows.
    pub(super) fn finish(mut self) -> Result<Vec<DataFile>, Error> {
        if self.open.is_none() && self.files.is_empty() {
            self.open = Some(self.open(&RecordBatch::new_empty(SchemaRef::clone(&self.schema)))?);
        }
        self.close()?;
        Ok(self.files)
    }

    /// The open file, or a new one, which begins with this batch.
    fn open(&mut self, first: &RecordBatch) -> Result<ArrowWriter<Vec<u8>>, Error> {
        if let Some(open) = self.open.take() {
            return Ok(open);
        }
        let is_change = self.schema.index_of(OP).is_ok();
        let is_small = first.num_rows() <= SMALL_ROWS;
        let properties = common(&self.schema, self.target.is_sorted).and_then(|properties| {
            let properties = if is_change && is_small { small(properties)? } else { searched(properties) };
            Ok(if is_small { with_plain_nulls(properties, first) } else { properties })
        });
        let properties = properties.map_err(|error| self.failed(error.into()))?.build();
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(is_change);
        ArrowWriter::try_new_with_options(Vec::new(), SchemaRef::clone(&self.schema), options)
            .map_err(|error| self.failed(error))
    }

    /// The random end of the name keeps what a crashed run left behind, or what another run writes, out of the way.
    fn close(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let bytes = open.into_inner().map_err(|error| self.failed(error))?;
        let Target { folder, commit, .. } = &self.target;
        let path = format!("{folder}/{commit:020}-{:08x}.parquet", rand::random::<u32>());
        self.files.push(self.target.disk.put(path, bytes, std::mem::take(&mut self.rows))?);
        Ok(())
    }

    fn failed(&self, error: ParquetError) -> Error {
        Error::arrow("encode", self.target.folder.as_str())(ArrowError::from(error))
    }
}

fn common(schema: &SchemaRef, is_sorted: bool) -> Result<WriterPropertiesBuilder, ArrowError> {
    let key = i32::try_from(schema.index_of(KEY)?).unwrap_or_default();
    let sorting = SortingColumn { column_idx: key, descending: false, nulls_first: false };
    Ok(WriterProperties::builder()
        .set_created_by(concat!("tieout ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_sorting_columns(is_sorted.then(|| vec![sorting])))
}

/// For a file that is searched.
fn searched(properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    let column = |name: &str| ColumnPath::from(name);
    // Records and digests do not repeat and nobody compares them by range: no dictionary, no statistics.
    properties
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_bloom_filter_enabled(column(KEY), true)
        // The most there can be: a filter is folded to what its keys need.
        .set_column_bloom_filter_max_ndv(column(KEY), ROW_GROUP_ROWS as u64)
        .set_column_dictionary_enabled(column(KEY), false)
        .set_column_dictionary_enabled(column(RAW), false)
        .set_column_statistics_enabled(column(RAW), EnabledStatistics::None)
        .set_column_dictionary_enabled(column(HASH), false)
        .set_column_statistics_enabled(column(HASH), EnabledStatistics::None)
}

/// For a file of which every reader wants every row: without what helps to skip some, which would be most of its bytes.
fn small(properties: WriterPropertiesBuilder) -> Result<WriterPropertiesBuilder, ArrowError> {
    Ok(properties
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(SMALL_LEVEL)?))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from(KEY), EnabledStatistics::Chunk)
        .set_offset_index_disabled(true))
}

/// Leaves columns uncompressed that hold nothing but nulls, as many of a wide table do: nothing is shorter than what a
/// compressed one begins with.
fn with_plain_nulls(properties: WriterPropertiesBuilder, rows: &RecordBatch) -> WriterPropertiesBuilder {
    let columns = rows.schema_ref().fields().iter().zip(rows.columns());
    let nulls = columns.filter(|(_, column)| column.null_count() == column.len());
    nulls.fold(properties, |properties, (field, _)| {
        properties.set_column_compression(ColumnPath::from(field.name().as_str()), Compression::UNCOMPRESSED)
    })
}
