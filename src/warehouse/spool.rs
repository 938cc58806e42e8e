//! Rows of a run that wait for their commit on the local disk, because they may be more than fits into memory.
//!
//! They lie in unlinked files of the temporary folder (`TMPDIR`), as runs of the sort do, and vanish with the process. Leaves
//! out: when rows are many enough (`extract`).

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::error::Error;
use super::files::Fetched;
use super::sort::Spill;

/// Rows on their way to the disk; all have the columns of the first.
#[derive(Default)]
pub struct Spool {
    spill: Option<Spill>,
    rows: usize,
}

/// Rows on the disk, in the order in which they came. Clones share the file; read one at a time.
#[derive(Clone, Debug)]
pub struct Spooled {
    file: Arc<Fetched>,
    rows: usize,
}

impl Spool {
    /// Adds rows.
    ///
    /// # Errors
    /// The temporary folder cannot be written to; rows with other columns.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        Spill::of(&mut self.spill, &batch.schema())?.write(batch)?;
        self.rows += batch.num_rows();
        Ok(())
    }

    /// The rows, to be read; none if there are none.
    ///
    /// # Errors
    /// The temporary folder cannot be written to.
    pub fn finish(self) -> Result<Option<Spooled>, Error> {
        let Self { spill, rows } = self;
        let file = spill.map(Spill::finish).transpose()?;
        Ok(file.map(|file| Spooled { file: Arc::new(file), rows }))
    }
}

impl Spooled {
    /// How many there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows, only of the columns for which `wanted` holds.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read<W: Fn(&str) -> bool>(
        &self,
        wanted: W,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<W>, Error> {
        self.file.rows(|schema| {
            schema.fields().iter().map(|field| field.name().clone()).filter(|name| wanted(name)).collect()
        })
    }
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("rows", &self.rows).finish_non_exhaustive()
    }
}
