//! Streams of rows in order of key: merged, picked from, put together, without holding more than a few batches of each.
//!
//! Invariant: rows leave a [`Merge`] ascending by key; of equal keys that of the earlier input comes first. Inputs must be
//! ascending themselves. Leaves out: where the rows come from (`read`, `sort`), what they mean (`state`, `diff`).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::error::Error;
use super::rows::{HASH_BEFORE, KEY, OP};
use super::state::{BATCH_ROWS, text};

/// Batches of rows, one after the other.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, Error>> + Send>;

/// A batch with its keys at hand, ascending.
#[derive(Debug)]
pub(super) struct Keyed {
    /// The columns that are kept.
    pub(super) batch: RecordBatch,
    pub(super) keys: StringArray,
    /// What is said of each row without being part of it: [`OP`] in change files, [`HASH_BEFORE`] in a run's rows.
    pub(super) marks: Option<StringArray>,
}

impl Keyed {
    pub(super) fn new(batch: RecordBatch) -> Result<Self, ArrowError> {
        let keys = text(&batch, KEY)?.clone();
        let names = batch.schema_ref().fields();
        let Some(place) = names.iter().position(|field| field.name() == OP || field.name() == HASH_BEFORE) else {
            return Ok(Self { batch, keys, marks: None });
        };
        let marks = batch.column(place).as_string_opt::<i32>().cloned();
        let kept: Vec<usize> = (0..batch.num_columns()).filter(|column| *column != place).collect();
        Ok(Self { batch: batch.project(&kept)?, keys, marks })
    }

    /// The first row at or after `from` for which `is_before` does not hold: doubling steps, because runs are short where
    /// streams are alike and long where they are not.
    pub(super) fn gallop(&self, from: usize, is_before: impl Fn(&str) -> bool) -> usize {
        let rows = self.keys.len();
        let (mut low, mut step) = (from, 1);
        while low + step <= rows && is_before(self.keys.value(low + step - 1)) {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(rows + 1) - 1;
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(self.keys.value(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// One stream of a merge and where it stands.
pub(super) struct Input {
    rest: Batches,
    batch: Option<Arc<Keyed>>,
    row: usize,
}

impl Input {
    /// A stream that stands at its first row.
    pub(super) fn new(rest: Batches) -> Result<Self, Error> {
        let mut input = Self { rest, batch: None, row: 0 };
        input.refill()?;
        Ok(input)
    }

    /// The batch at hand and the row in it; none at the end.
    pub(super) fn at(&self) -> Option<(&Arc<Keyed>, usize)> {
        self.batch.as_ref().map(|batch| (batch, self.row))
    }

    /// The key at hand; none at the end.
    pub(super) fn key(&self) -> Option<&str> {
        self.at().map(|(batch, row)| batch.keys.value(row))
    }

    /// Goes on to `row` of the batch at hand, or to the next batch.
    pub(super) fn go_to(&mut self, row: usize) -> Result<(), Error> {
        self.row = row;
        if self.batch.as_ref().is_some_and(|batch| row >= batch.keys.len()) { self.refill() } else { Ok(()) }
    }

    fn refill(&mut self) -> Result<(), Error> {
        (self.batch, self.row) = (None, 0);
        for batch in self.rest.by_ref() {
            let batch = batch?;
            if batch.num_rows() > 0 {
                self.batch = Some(Arc::new(Keyed::new(batch).map_err(Error::arrow("merge", "sorted rows"))?));
                break;
            }
        }
        Ok(())
    }
}

/// Consecutive rows of one input that no row of another comes between.
pub(super) struct Run {
    pub(super) batch: Arc<Keyed>,
    pub(super) rows: Range<usize>,
}

/// Several streams as one.
pub(super) struct Merge {
    inputs: Vec<Input>,
}

impl Merge {
    pub(super) fn new(streams: impl IntoIterator<Item = Batches>) -> Result<Self, Error> {
        Ok(Self { inputs: streams.into_iter().map(Input::new).collect::<Result<_, _>>()? })
    }

    /// The next rows in order; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Run>, Error> {
        let mut heads = self.inputs.iter().enumerate().filter_map(|(place, input)| Some((input.key()?, place)));
        let Some(mut first) = heads.next() else { return Ok(None) };
        let mut second: Option<(&str, usize)> = None;
        for head in heads {
            if head < first {
                second = Some(first);
                first = head;
            } else if second.is_none_or(|second| head < second) {
                second = Some(head);
            }
        }
        let input = first.1;
        let Some((batch, row)) = self.inputs.get(input).and_then(Input::at) else { return Ok(None) };
        let batch = Arc::clone(batch);
        let end = match second {
            Some(second) => batch.gallop(row, |key| (key, input) < second),
            None => batch.keys.len(),
        };
        if let Some(at) = self.inputs.get_mut(input) {
            at.go_to(end)?;
        }
        Ok(Some(Run { batch, rows: row..end }))
    }
}

/// One row in a hundred must not keep the hundred in memory.
const HELD_ROWS_MAX: usize = 4 * BATCH_ROWS;

/// Picks rows out of batches of one schema and puts them together into batches of about [`BATCH_ROWS`].
pub(super) struct Gather {
    schema: SchemaRef,
    batches: Vec<Arc<Keyed>>,
    /// Batch, first row, number of rows.
    spans: Vec<(usize, usize, usize)>,
    rows: usize,
    /// Rows of the batches that wait, picked or not: they are in memory all the same.
    held: usize,
}

impl Gather {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self { schema, batches: Vec::new(), spans: Vec::new(), rows: 0, held: 0 }
    }

    pub(super) fn push(&mut self, batch: &Arc<Keyed>, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        // The newest batches are at the end, and there are rarely more than two at a time.
        let place = self.batches.iter().rposition(|known| Arc::ptr_eq(known, batch)).unwrap_or_else(|| {
            self.batches.push(Arc::clone(batch));
            self.held += batch.keys.len();
            self.batches.len() - 1
        });
        self.rows += rows.len();
        match self.spans.last_mut() {
            Some((known, start, length)) if *known == place && *start + *length == rows.start => *length += rows.len(),
            _ => self.spans.push((place, rows.start, rows.len())),
        }
    }

    /// How many rows wait.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Whether it is time to take them: enough rows, or few out of too many batches.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.held >= HELD_ROWS_MAX
    }

    /// The rows that wait, as one batch.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let (batches, spans, rows) =
            (std::mem::take(&mut self.batches), std::mem::take(&mut self.spans), std::mem::take(&mut self.rows));
        self.held = 0;
        let batches: Vec<&RecordBatch> = batches.iter().map(|keyed| &keyed.batch).collect();
        let slice = |(place, start, length): &(usize, usize, usize)| {
            batches.get(*place).map(|batch| batch.slice(*start, *length))
        };
        match spans.as_slice() {
            [] => Ok(RecordBatch::new_empty(SchemaRef::clone(&self.schema))),
            [only] => slice(only).ok_or_else(|| ArrowError::InvalidArgumentError("a span of no batch".to_owned())),
            // Long spans are copied as a whole, scattered rows one by one.
            spans if spans.len() * 8 <= rows => {
                let slices: Vec<RecordBatch> = spans.iter().filter_map(slice).collect();
                concat_batches(&self.schema, &slices)
            }
            spans => {
                let places = spans
                    .iter()
                    .flat_map(|(place, start, length)| (*start..*start + *length).map(move |row| (*place, row)));
                interleave_record_batch(&batches, &places.collect::<Vec<_>>())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::ArrayRef;
    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;

    /// Batches whose rows are marked with the stream's place.
    fn stream(batches: Vec<Vec<String>>, place: usize) -> Batches {
        let fields = [KEY, OP].map(|name| Field::new(name, DataType::Utf8, false));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        Box::new(batches.into_iter().map(move |keys| {
            let marks: ArrayRef = Arc::new(StringArray::from(vec![place.to_string(); keys.len()]));
            let keys: ArrayRef = Arc::new(StringArray::from(keys));
            Ok(RecordBatch::try_new(Arc::clone(&schema), vec![keys, marks]).unwrap())
        }))
    }

    proptest! {
        #[test]
        fn a_merge_is_a_stable_sort(
            inputs in proptest::collection::vec(proptest::collection::vec(
                proptest::collection::vec("[ab]{0,3}", 0..5), 0..4), 0..5)
        ) {
            let mut expected = Vec::new();
            let mut streams = Vec::new();
            for (place, batches) in inputs.into_iter().enumerate() {
                let lengths: Vec<usize> = batches.iter().map(Vec::len).collect();
                let mut keys: Vec<String> = batches.into_iter().flatten().collect();
                keys.sort();
                expected.extend(keys.iter().map(|key| (key.clone(), place)));
                let mut rest = keys.into_iter();
                let batches: Vec<Vec<String>> =
                    lengths.into_iter().map(|length| rest.by_ref().take(length).collect()).collect();
                streams.push(stream(batches, place));
            }
            expected.sort();
            let mut merge = Merge::new(streams).unwrap();
            let (mut found, mut gather) = (Vec::new(), None);
            while let Some(run) = merge.next().unwrap() {
                let marks = run.batch.marks.as_ref().unwrap();
                let row = |row: usize| (run.batch.keys.value(row).to_owned(), marks.value(row).parse().unwrap());
                found.extend(run.rows.clone().map(row));
                gather.get_or_insert_with(|| Gather::new(run.batch.batch.schema())).push(&run.batch, run.rows);
            }
            prop_assert_eq!(&found, &expected);
            if let Some(mut gather) = gather {
                let gathered = Keyed::new(gather.take().unwrap()).unwrap();
                prop_assert!(gathered.keys.iter().flatten().eq(expected.iter().map(|(key, _)| key.as_str())));
            }
        }
    }
}
