//! The rows of one state or of one commit's changes, ascending by key, a page at a time.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Decimal128Type, Int64Type, SchemaRef, i256};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::report::Fault;
use crate::warehouse::commit::DataFile;
use crate::warehouse::files::open_rows;
use crate::warehouse::rows::{COMMIT, KEY, OP};
use crate::warehouse::store::Blocking;

/// Something wrong with a file's rows.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) commit: u64,
    pub(super) file: String,
    pub(super) fault: Fault,
    pub(super) detail: String,
}

/// A batch of rows with its keys at hand.
pub(super) struct Page {
    pub(super) batch: RecordBatch,
    keys: StringArray,
    ops: Option<StringArray>,
    pub(super) amounts: Vec<Option<arrow::array::Decimal128Array>>,
}

impl Page {
    pub(super) fn amount(&self, column: usize, row: usize) -> i256 {
        let values = self.amounts.get(column).and_then(Option::as_ref);
        let value = values.filter(|values| row < values.len() && values.is_valid(row)).map(|values| values.value(row));
        value.map_or(i256::ZERO, i256::from_i128)
    }

    pub(super) fn op(&self, row: usize) -> Option<&str> {
        self.ops.as_ref().filter(|ops| row < ops.len()).map(|ops| ops.value(row))
    }

    pub(super) fn key(&self, row: usize) -> Option<&str> {
        (row < self.keys.len()).then(|| self.keys.value(row))
    }
}

/// What is read, and how it must look.
pub(super) struct Reading {
    /// The commit that the files belong to.
    pub(super) commit: u64,
    pub(super) files: Vec<DataFile>,
    /// The columns that the commit says.
    pub(super) schema: SchemaRef,
    /// Rows of changes carry the commit that made them.
    pub(super) is_changes: bool,
    /// Decimal columns to sum.
    pub(super) amounts: Vec<String>,
    pub(super) page_rows: usize,
    /// Append tables are in the order in which rows were added.
    pub(super) is_sorted: bool,
}

/// A place in the rows.
pub(super) struct Cursor {
    store: Blocking,
    reading: Reading,
    files: VecDeque<DataFile>,
    open: Option<(DataFile, ParquetRecordBatchReader)>,
    pub(super) page: Option<Arc<Page>>,
    pub(super) row: usize,
    rows_of_file: u64,
    pub(super) rows: u64,
    pub(super) sums: Vec<i256>,
    last_key: Option<String>,
}

impl Cursor {
    /// Opens the rows and stands on the first one.
    pub(super) fn open(store: Blocking, reading: Reading) -> Result<Self, Flaw> {
        let mut cursor = Self {
            store,
            files: reading.files.iter().cloned().collect(),
            open: None,
            page: None,
            row: 0,
            rows_of_file: 0,
            rows: 0,
            sums: vec![i256::ZERO; reading.amounts.len()],
            last_key: None,
            reading,
        };
        cursor.turn()?;
        Ok(cursor)
    }

    /// The commit whose files it reads.
    pub(super) fn commit(&self) -> u64 {
        self.reading.commit
    }

    /// The file that it stands in.
    pub(super) fn file(&self) -> String {
        self.open.as_ref().map_or_else(|| self.last_file(), |(file, _)| file.path.clone())
    }

    /// The last of its files.
    pub(super) fn last_file(&self) -> String {
        self.reading.files.last().map(|file| file.path.clone()).unwrap_or_default()
    }

    /// The key it stands on; none at the end.
    pub(super) fn key(&self) -> Option<&str> {
        self.page.as_ref()?.key(self.row)
    }

    /// One row on.
    pub(super) fn advance(&mut self) -> Result<(), Flaw> {
        self.row += 1;
        if self.page.as_ref().is_some_and(|page| self.row >= page.batch.num_rows()) { self.turn() } else { Ok(()) }
    }

    /// The next page with rows; none at the end.
    pub(super) fn turn(&mut self) -> Result<(), Flaw> {
        self.row = 0;
        self.page = None;
        loop {
            let Some((file, mut reader)) = self.open.take() else {
                let Some(file) = self.files.pop_front() else { return Ok(()) };
                self.open = Some(self.start(file)?);
                continue;
            };
            let Some(batch) = reader.next() else {
                self.finish(&file)?;
                continue;
            };
            let batch = batch.map_err(|error| self.flaw(&file, Fault::Unreadable, error.to_string()))?;
            if batch.num_rows() == 0 {
                self.open = Some((file, reader));
                continue;
            }
            self.page = Some(Arc::new(self.look(&file, batch)?));
            self.open = Some((file, reader));
            return Ok(());
        }
    }

    fn start(&mut self, file: DataFile) -> Result<(DataFile, ParquetRecordBatchReader), Flaw> {
        self.rows_of_file = 0;
        let unreadable = |reason: String| self.flaw(&file, Fault::Unreadable, reason);
        let local = self.store.open(&file.path).map_err(|error| unreadable(error.to_string()))?;
        let builder = open_rows(local).map_err(|error| unreadable(error.to_string()))?;
        let columns = |schema: &SchemaRef| -> Vec<String> {
            schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
        };
        let (found, expected) = (columns(builder.schema()), columns(&self.reading.schema));
        if found != expected {
            let detail = format!("its columns are {}, the commit has {}", found.join(", "), expected.join(", "));
            return Err(self.flaw(&file, Fault::Figures, detail));
        }
        let reader = builder.with_batch_size(self.reading.page_rows).build();
        let reader = reader.map_err(|error| unreadable(error.to_string()))?;
        Ok((file, reader))
    }

    fn finish(&mut self, file: &DataFile) -> Result<(), Flaw> {
        self.store.note(file.bytes);
        if self.rows_of_file == file.rows {
            return Ok(());
        }
        let detail = format!("it has {} rows, the commit recorded {}", self.rows_of_file, file.rows);
        Err(self.flaw(file, Fault::Figures, detail))
    }

    fn look(&mut self, file: &DataFile, batch: RecordBatch) -> Result<Page, Flaw> {
        let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>()).cloned();
        let missing = || self.flaw(file, Fault::Unreadable, format!("it has no column {KEY}"));
        let keys = text(KEY).filter(|keys| keys.null_count() == 0).ok_or_else(missing)?;
        if self.reading.is_sorted {
            self.check_order(file, &keys)?;
        }
        if self.reading.is_changes {
            let commit = self.reading.commit;
            let commits = batch.column_by_name(COMMIT).and_then(|column| column.as_primitive_opt::<Int64Type>());
            let ops = text(OP);
            // A row that was only written anew keeps the commit that changed it.
            let is_change = |row: usize| ops.as_ref().is_none_or(|ops| ops.value(row) != "P");
            let other = commits.and_then(|commits| {
                (0..commits.len())
                    .find(|row| is_change(*row) && i64::try_from(commit).ok() != Some(commits.value(*row)))
            });
            if let Some(key) = other.map(|row| keys.value(row)) {
                return Err(self.flaw(file, Fault::Fold, format!("row `{key}` says that another commit changed it")));
            }
        }
        let amount = |name: &String| batch.column_by_name(name)?.as_primitive_opt::<Decimal128Type>().cloned();
        let amounts: Vec<_> = self.reading.amounts.iter().map(amount).collect();
        for (sum, values) in self.sums.iter_mut().zip(&amounts) {
            let values = values.iter().flat_map(|values| values.iter().flatten());
            *sum = values.fold(*sum, |sum, value| sum.wrapping_add(i256::from_i128(value)));
        }
        self.rows_of_file += batch.num_rows() as u64;
        self.rows += batch.num_rows() as u64;
        let ops = text(OP);
        Ok(Page { batch, keys, ops, amounts })
    }

    fn check_order(&mut self, file: &DataFile, keys: &StringArray) -> Result<(), Flaw> {
        let mut before = self.last_key.as_deref();
        for row in 0..keys.len() {
            let key = keys.value(row);
            match before.map(|before| before.cmp(key)) {
                None | Some(Ordering::Less) => before = Some(key),
                Some(Ordering::Equal) => {
                    return Err(self.flaw(file, Fault::Fold, format!("key `{key}` stands twice")));
                }
                Some(Ordering::Greater) => {
                    return Err(self.flaw(file, Fault::Fold, format!("key `{key}` stands out of order")));
                }
            }
        }
        self.last_key = before.map(str::to_owned);
        Ok(())
    }

    fn flaw(&self, file: &DataFile, fault: Fault, detail: String) -> Flaw {
        Flaw { commit: self.reading.commit, file: file.path.clone(), fault, detail }
    }
}
