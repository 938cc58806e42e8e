//! What the footer of a state file tells of its columns, as the statistics of a Delta log.
//!
//! Invariants: a bound is never tighter than the values: readers pass over files by it. Decimals are written with all their
//! digits. All columns that have values have bounds, or none has: where one has none beside others, deltalake compares it with
//! null, and a filter on it finds no row. Text whose bounds a footer does not tell (records, digests) has those of all text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, TimeDelta, Utc};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use serde_json::{Map, Value, json};

use super::schema::difference;
use crate::warehouse::commit::DataFile;
use crate::warehouse::error::Error;
use crate::warehouse::state::decimal_text;
use crate::warehouse::store::Store;

/// Read from the end of a file at once: the footers of most tables are smaller.
const FOOTER_BYTES: u64 = 64 << 10;
/// Beyond them a year is written with other than four digits, and readers part ways.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// The statistics of a state file, whose footer must be what its commit says.
pub(super) async fn read(store: &Store, file: &DataFile, schema: &SchemaRef) -> Result<Value, Error> {
    let failed = |error: ParquetError| Error::arrow("read the footer of", file.path.as_str())(error.into());
    // The schema as any other program sees it, not as Arrow noted it beside.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let footer = Arc::new(footer(store, file).await?);
    let found = ArrowReaderMetadata::try_new(Arc::clone(&footer), options).map_err(failed)?;
    if let Some(difference) = difference(schema, found.schema()) {
        return Err(Error::corrupt(&file.path, format!("its columns are not those of its commit: {difference}")));
    }
    let rows = footer.file_metadata().num_rows();
    if u64::try_from(rows).ok() != Some(file.rows) {
        return Err(Error::corrupt(&file.path, format!("it has {rows} rows, its commit says {}", file.rows)));
    }
    statistics(&footer, schema).map_err(failed)
}

/// Reads the end of a file, and more of it if that was not all.
async fn footer(store: &Store, file: &DataFile) -> Result<ParquetMetaData, Error> {
    let mut wanted = FOOTER_BYTES;
    loop {
        let range = file.bytes.saturating_sub(wanted)..file.bytes;
        let missing = || Error::corrupt(&file.path, "the file is missing, though a commit lists it");
        let bytes = store.get_range(&file.path, range).await?.ok_or_else(missing)?;
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
        match reader.try_parse_sized(&bytes, file.bytes).and_then(|()| reader.finish()) {
            Ok(footer) => return Ok(footer),
            Err(ParquetError::NeedMoreData(more)) if more as u64 > wanted && wanted < file.bytes => {
                wanted = more as u64;
            }
            Err(error) => return Err(Error::corrupt(&file.path, format!("its footer cannot be read: {error}"))),
        }
    }
}

fn statistics(footer: &ParquetMetaData, schema: &SchemaRef) -> Result<Value, ParquetError> {
    let (mut least, mut most, mut nulls) = (Map::new(), Map::new(), Map::new());
    let groups = footer.row_groups();
    let mut is_bounded = true;
    for field in schema.fields() {
        let name = field.name();
        let column = StatisticsConverter::try_new(name, schema, footer.file_metadata().schema_descr())?
            .with_missing_null_counts_as_zero(false);
        let told = column.row_group_null_counts(groups)?;
        let is_counted = told.null_count() == 0;
        let count = if field.is_nullable() { is_counted.then(|| told.values().iter().sum::<u64>()) } else { Some(0) };
        if let Some(count) = count {
            nulls.insert(name.clone(), json!(count));
        }
        let (mins, maxes) = (column.row_group_mins(groups)?, column.row_group_maxes(groups)?);
        // A group without bounds is one without values, or one that does not tell.
        let is_told = groups.iter().enumerate().all(|(place, group)| {
            let is_null = told.is_valid(place) && i64::try_from(told.value(place)).ok() == Some(group.num_rows());
            is_null || mins.is_valid(place) && maxes.is_valid(place)
        });
        let has_values = mins.null_count() < mins.len();
        match is_told.then(|| bounds(field.data_type(), &mins, &maxes)).flatten() {
            Some((min, max)) => {
                least.insert(name.clone(), min);
                most.insert(name.clone(), max);
            }
            None if is_told && !has_values => {}
            None if *field.data_type() == DataType::Utf8 => {
                least.insert(name.clone(), json!(""));
                most.insert(name.clone(), json!(char::MAX.to_string()));
            }
            None => is_bounded = false,
        }
    }
    let mut statistics = json!({ "numRecords": footer.file_metadata().num_rows(), "nullCount": nulls });
    if let Some(all) = statistics.as_object_mut().filter(|_| is_bounded) {
        all.insert("minValues".to_owned(), Value::Object(least));
        all.insert("maxValues".to_owned(), Value::Object(most));
    }
    Ok(statistics)
}

/// The least and the most of all groups; none if there is no value, or if Delta keeps no bounds of the type.
fn bounds(kind: &DataType, mins: &ArrayRef, maxes: &ArrayRef) -> Option<(Value, Value)> {
    match kind {
        DataType::Int64 => {
            let (mins, maxes) = (mins.as_primitive_opt::<Int64Type>()?, maxes.as_primitive_opt::<Int64Type>()?);
            Some((json!(mins.iter().flatten().min()?), json!(maxes.iter().flatten().max()?)))
        }
        DataType::Utf8 => {
            let (mins, maxes) = (mins.as_string_opt::<i32>()?, maxes.as_string_opt::<i32>()?);
            Some((json!(mins.iter().flatten().min()?), json!(maxes.iter().flatten().max()?)))
        }
        DataType::Boolean => {
            let (mins, maxes) = (mins.as_boolean_opt()?, maxes.as_boolean_opt()?);
            Some((json!(mins.iter().flatten().min()?), json!(maxes.iter().flatten().max()?)))
        }
        DataType::Date32 => {
            let (mins, maxes) = (mins.as_primitive_opt::<Date32Type>()?, maxes.as_primitive_opt::<Date32Type>()?);
            Some((date(mins.iter().flatten().min()?)?, date(maxes.iter().flatten().max()?)?))
        }
        DataType::Timestamp(..) => {
            let mins = mins.as_primitive_opt::<TimestampMicrosecondType>()?;
            let maxes = maxes.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some((moment(mins.iter().flatten().min()?, false)?, moment(maxes.iter().flatten().max()?, true)?))
        }
        DataType::Decimal128(_, scale) => {
            let (mins, maxes) =
                (mins.as_primitive_opt::<Decimal128Type>()?, maxes.as_primitive_opt::<Decimal128Type>()?);
            let number = |digits: i128| serde_json::from_str(&decimal_text(&digits.to_string(), *scale)).ok();
            Some((number(mins.iter().flatten().min()?)?, number(maxes.iter().flatten().max()?)?))
        }
        _ => None,
    }
}

fn date(days: i32) -> Option<Value> {
    let date = NaiveDate::from_ymd_opt(1970, 1, 1)?.checked_add_signed(TimeDelta::days(days.into()))?;
    YEARS.contains(&date.year()).then(|| json!(date.to_string()))
}

/// Delta's moments end with milliseconds: the bound is the one outside.
fn moment(micros: i64, up: bool) -> Option<Value> {
    let millis = micros.div_euclid(1000) + i64::from(up && micros.rem_euclid(1000) > 0);
    let at = DateTime::<Utc>::from_timestamp_millis(millis)?;
    YEARS.contains(&at.year()).then(|| json!(at.to_rfc3339_opts(SecondsFormat::Millis, true)))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Decimal128Array, TimestampMicrosecondArray};

    use super::*;

    fn of(array: impl Array + 'static) -> Option<(Value, Value)> {
        let array: ArrayRef = Arc::new(array);
        bounds(array.data_type(), &array, &array)
    }

    #[test]
    fn decimals_keep_every_digit() {
        let most = 10_i128.pow(38) - 1;
        let values = Decimal128Array::from(vec![Some(-5), None, Some(most)]).with_precision_and_scale(38, 2).unwrap();
        let (min, max) = of(values).unwrap();
        assert_eq!(min.to_string(), "-0.05");
        assert_eq!(max.to_string(), "999999999999999999999999999999999999.99");
    }

    #[test]
    fn moments_are_rounded_outwards() {
        let (min, max) = of(TimestampMicrosecondArray::from(vec![-1, 1_001]).with_timezone("UTC")).unwrap();
        assert_eq!((min, max), (json!("1969-12-31T23:59:59.999Z"), json!("1970-01-01T00:00:00.002Z")));
        let (min, max) = of(TimestampMicrosecondArray::from(vec![2_000]).with_timezone("UTC")).unwrap();
        assert_eq!(min, max, "a whole millisecond stays");
    }

    #[test]
    fn dates_no_reader_agrees_on_have_no_bound() {
        assert_eq!(of(Date32Array::from(vec![0, 59])).unwrap(), (json!("1970-01-01"), json!("1970-03-01")));
        assert_eq!(of(Date32Array::from(vec![0, 4_000_000])), None);
        assert_eq!(of(Date32Array::from(vec![None::<i32>])), None);
    }
}
