//! The rows that ought to be in a state against those that are.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{SchemaRef, i256};
use arrow::error::ArrowError;

use super::cursor::{Cursor, Flaw, Page};
use super::merge::Merge;
use super::report::Fault;
use crate::warehouse::projection::align;
use crate::warehouse::rows::{COMMIT, HASH, KEY, SCOPE};

/// How a state is compared.
pub(super) struct Comparison {
    schema: SchemaRef,
    /// Columns that must be equal: all, or, where records are read otherwise now, those that a projection does not touch.
    columns: Vec<usize>,
}

/// Rows that ought to be there, in order.
#[derive(Default)]
struct Expected {
    pages: Vec<Arc<Page>>,
    places: Vec<(usize, usize)>,
}

impl Comparison {
    pub(super) fn new(schema: SchemaRef, is_anew: bool) -> Self {
        let fields = schema.fields().iter().enumerate();
        let chosen =
            fields.filter(|(_, field)| !is_anew || [KEY, SCOPE, HASH, COMMIT].contains(&field.name().as_str()));
        let columns = chosen.map(|(place, _)| place).collect();
        Self { schema, columns }
    }

    /// Walks through both; gives back the sums over the rows that are there.
    pub(super) fn run(&self, merge: &mut Merge, mut found: Cursor, rows: &mut u64) -> Result<Vec<i256>, Flaw> {
        while let Some(page) = found.page.clone() {
            let expected = Expected::take(merge, page.batch.num_rows())?;
            *rows += page.batch.num_rows() as u64;
            if let Some((fault, detail)) = self.difference(&expected, &page) {
                return Err(Flaw { commit: found.commit(), file: found.file(), fault, detail });
            }
            found.turn()?;
        }
        if let Some((page, row)) = merge.next()? {
            let detail = format!("row `{}` is missing from its end", page.key(row).unwrap_or_default());
            return Err(Flaw { commit: found.commit(), file: found.last_file(), fault: Fault::Fold, detail });
        }
        Ok(found.sums)
    }

    fn difference(&self, expected: &Expected, found: &Page) -> Option<(Fault, String)> {
        let unreadable = |error: ArrowError| (Fault::Unreadable, error.to_string());
        if let Some(detail) = expected.other_key(found) {
            return Some((Fault::Fold, detail));
        }
        let gathered =
            expected.gather(&self.schema).and_then(|expected| Ok((expected, align(&found.batch, &self.schema, None)?)));
        let (expected, found_rows) = match gathered {
            Ok(both) => both,
            Err(error) => return Some(unreadable(error)),
        };
        let differs = |column: &usize| expected.columns().get(*column) != found_rows.columns().get(*column);
        let columns: Vec<usize> = self.columns.iter().copied().filter(differs).collect();
        if columns.is_empty() {
            return None;
        }
        let row = (0..found_rows.num_rows())
            .find(|row| !equal_at(&expected, &found_rows, &columns, *row))
            .unwrap_or_default();
        let names = columns.iter().filter(|column| !equal_at(&expected, &found_rows, &[**column], row));
        let names: Vec<&str> =
            names.filter_map(|column| Some(self.schema.fields().get(*column)?.name().as_str())).collect();
        let key = found.key(row).unwrap_or_default();
        Some((Fault::Fold, format!("row `{key}` has another {} than its last change", names.join(", "))))
    }
}

fn equal_at(one: &RecordBatch, other: &RecordBatch, columns: &[usize], row: usize) -> bool {
    let at = |batch: &RecordBatch, column: usize| batch.columns().get(column).map(|values| values.slice(row, 1));
    columns.iter().all(|column| at(one, *column) == at(other, *column))
}

impl Expected {
    /// The next rows, so many as there are up to `count`.
    fn take(merge: &mut Merge, count: usize) -> Result<Self, Flaw> {
        let mut expected = Self::default();
        while expected.places.len() < count {
            let Some((page, row)) = merge.next()? else { break };
            // Few pages are in use at once, and most rows come from the one that the row before came from.
            let known = expected.pages.iter().rposition(|known| Arc::ptr_eq(known, &page));
            let place = known.unwrap_or_else(|| {
                expected.pages.push(page);
                expected.pages.len() - 1
            });
            expected.places.push((place, row));
        }
        Ok(expected)
    }

    fn key(&self, row: usize) -> Option<&str> {
        let (page, row) = *self.places.get(row)?;
        self.pages.get(page)?.key(row)
    }

    /// The first key that stands on one side alone.
    fn other_key(&self, found: &Page) -> Option<String> {
        for row in 0..found.batch.num_rows() {
            let found = found.key(row)?;
            match self.key(row).map(|expected| expected.cmp(found)) {
                Some(Ordering::Equal) => {}
                Some(Ordering::Less) => {
                    return Some(format!("row `{}` is missing before `{found}`", self.key(row).unwrap_or_default()));
                }
                Some(Ordering::Greater) | None => {
                    return Some(format!("row `{found}` is there, and no change made it"));
                }
            }
        }
        None
    }

    fn gather(&self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let pages: Vec<RecordBatch> =
            self.pages.iter().map(|page| align(&page.batch, schema, None)).collect::<Result<_, _>>()?;
        let pages: Vec<&RecordBatch> = pages.iter().collect();
        interleave_record_batch(&pages, &self.places)
    }
}
