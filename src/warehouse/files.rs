//! Parquet files: how rows become bytes, and back.
//!
//! Invariants: zstd, sorted by key, statistics and a bloom filter on the key; what is read has the SHA-256 that its commit
//! recorded. Leaves out: which files there are (`head`), what they mean together (`state`).

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::commit::DataFile;
use super::error::Error;
use super::rows::{HASH, KEY, RAW};
use super::store::{Store, digest};

/// Rows of one row group: with records of a few kilobytes, some hundred megabytes at most.
const ROW_GROUP_ROWS: usize = 65_536;

/// Writes batches, sorted by key, as one new file below `folder`.
///
/// The random end of the name keeps what a crashed run left behind, or what another run writes, out of the way.
pub(super) async fn write(
    store: &Store,
    folder: &str,
    commit: u64,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<DataFile, Error> {
    let path = format!("{folder}/{commit:020}-{:08x}.parquet", rand::random::<u32>());
    let bytes = encode(schema, batches).map_err(Error::arrow("encode", path.as_str()))?;
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let file = DataFile { sha256: digest(&bytes), bytes: bytes.len() as u64, rows, path };
    if store.put_new(&file.path, bytes).await? {
        Ok(file)
    } else {
        Err(Error::corrupt(file.path, "a file of this random name exists already"))
    }
}

/// Reads a file back, refusing bytes that are not those the commit recorded.
pub(super) async fn read(store: &Store, file: &DataFile) -> Result<Vec<RecordBatch>, Error> {
    let missing = || Error::corrupt(&file.path, "the file is missing, though a commit lists it");
    let bytes = store.get(&file.path).await?.ok_or_else(missing)?;
    let found = digest(&bytes);
    if found != file.sha256 {
        let reason = format!("its SHA-256 is {found}, the commit recorded {}", file.sha256);
        return Err(Error::corrupt(&file.path, reason));
    }
    decode(bytes).map_err(Error::arrow("read", file.path.as_str()))
}

fn encode(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Bytes, ArrowError> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let key = i32::try_from(schema.index_of(KEY)?).unwrap_or_default();
    let column = |name: &str| ColumnPath::from(name);
    // Records and digests do not repeat and nobody compares them by range: no dictionary, no statistics.
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("tieout ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_sorting_columns(Some(vec![SortingColumn { column_idx: key, descending: false, nulls_first: false }]))
        .set_column_bloom_filter_enabled(column(KEY), true)
        .set_column_bloom_filter_max_ndv(column(KEY), rows.clamp(1, ROW_GROUP_ROWS) as u64)
        .set_column_dictionary_enabled(column(KEY), false)
        .set_column_dictionary_enabled(column(RAW), false)
        .set_column_statistics_enabled(column(RAW), EnabledStatistics::None)
        .set_column_dictionary_enabled(column(HASH), false)
        .set_column_statistics_enabled(column(HASH), EnabledStatistics::None)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, SchemaRef::clone(schema), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(Bytes::from(bytes))
}

fn decode(bytes: Bytes) -> Result<Vec<RecordBatch>, ArrowError> {
    ParquetRecordBatchReaderBuilder::try_new(bytes)?.with_batch_size(super::state::BATCH_ROWS).build()?.collect()
}
