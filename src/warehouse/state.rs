//! The state of a table: `state(n) = state(n−1) ⊕ changes(n)`, and the sums that witness it.
//!
//! Invariants: rows come out ascending by key, a key once; sums are exact integers scaled by ten, never floats. Leaves out:
//! reading and writing files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Decimal128Type, SchemaRef, i256};
use arrow::error::ArrowError;

use super::commit::ColumnTotals;
use super::error::Error;
use super::merge::{Gather, Keyed, Merge};
use super::rows::ColumnType;

/// Rows of one batch: small enough that the text of a batch stays far below Arrow's 2 GB limit.
pub(super) const BATCH_ROWS: usize = 8_192;

/// A state and the changes after it, oldest first, as one stream: of equal keys the last stands, unless it is a deletion.
pub(super) struct Fold {
    merge: Merge,
    gather: Gather,
    /// The last row seen: a later input may have its key too.
    pending: Option<(Arc<Keyed>, usize)>,
    /// All keys seen, those of deletions too, ascending, if anybody wants them.
    keys: Option<Vec<String>>,
    is_done: bool,
}

impl Fold {
    pub(super) fn new(merge: Merge, schema: SchemaRef) -> Self {
        Self { merge, gather: Gather::new(schema), pending: None, keys: None, is_done: false }
    }

    /// The same, noting every key that comes by.
    pub(super) fn noting_keys(self) -> Self {
        Self { keys: Some(Vec::new()), ..self }
    }

    /// The keys noted: ascending, each once.
    pub(super) fn into_keys(self) -> Vec<String> {
        self.keys.unwrap_or_default()
    }

    fn step(&mut self) -> Result<Option<RecordBatch>, Error> {
        while let Some(run) = self.merge.next()? {
            if let Some(keys) = &mut self.keys {
                for key in run.rows.clone().map(|row| run.batch.keys.value(row)) {
                    // A key that changed twice comes by twice, one right after the other.
                    if keys.last().is_none_or(|last| last != key) {
                        keys.push(key.to_owned());
                    }
                }
            }
            if let Some((batch, row)) = self.pending.take()
                && batch.keys.value(row) != run.batch.keys.value(run.rows.start)
            {
                self.keep(&batch, row..row + 1);
            }
            let last = run.rows.end - 1;
            self.keep(&run.batch, run.rows.start..last);
            self.pending = Some((run.batch, last));
            if self.gather.is_full() {
                return self.take().map(Some);
            }
        }
        self.is_done = true;
        if let Some((batch, row)) = self.pending.take() {
            self.keep(&batch, row..row + 1);
        }
        if self.gather.len() > 0 { self.take().map(Some) } else { Ok(None) }
    }

    fn keep(&mut self, batch: &Arc<Keyed>, rows: Range<usize>) {
        match &batch.marks {
            None => self.gather.push(batch, rows),
            Some(ops) => {
                for row in rows.filter(|row| ops.value(*row) != "D") {
                    self.gather.push(batch, row..row + 1);
                }
            }
        }
    }

    fn take(&mut self) -> Result<RecordBatch, Error> {
        self.gather.take().map_err(Error::arrow("fold", "changes into a state"))
    }
}

impl Iterator for Fold {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done { None } else { self.step().transpose() }
    }
}

/// A text column without nulls.
pub(super) fn text<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("column {name} is missing, is not text, or has nulls"));
    let column = batch.column_by_name(name).ok_or_else(missing)?;
    column.as_string_opt::<i32>().filter(|column| column.null_count() == 0).ok_or_else(missing)
}

/// The sum of each decimal column over the rows seen. 256 bits: a sum of 128-bit values cannot overflow.
#[derive(Clone, Debug)]
pub(super) struct Totals(Vec<(String, i8, i256)>);

impl Totals {
    pub(super) fn new(columns: &[(String, ColumnType)]) -> Self {
        let decimals = columns.iter().filter_map(|(name, kind)| match kind {
            ColumnType::Decimal(_, scale) => Some((name.clone(), *scale, i256::ZERO)),
            _ => None,
        });
        Self(decimals.collect())
    }

    pub(super) fn add(&mut self, batch: &RecordBatch) {
        for (name, _, sum) in &mut self.0 {
            let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Decimal128Type>());
            let values = column.into_iter().flat_map(|column| column.iter().flatten());
            *sum = values.fold(*sum, |sum, value| sum.wrapping_add(i256::from_i128(value)));
        }
    }

    /// As decimal text.
    pub(super) fn finish(self) -> ColumnTotals {
        let text = |(name, scale, sum): (String, i8, i256)| (name, decimal_text(&sum.to_string(), scale));
        self.0.into_iter().map(text).collect::<BTreeMap<_, _>>().into()
    }
}

/// An integer's digits with the point set `scale` places from the right.
pub(super) fn decimal_text(digits: &str, scale: i8) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    match usize::try_from(scale) {
        Ok(0) => format!("{sign}{digits}"),
        Ok(scale) => {
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = padded.split_at(padded.len() - scale);
            format!("{sign}{whole}.{fraction}")
        }
        Err(_) if digits == "0" => "0".to_owned(),
        Err(_) => format!("{sign}{digits}{}", "0".repeat(usize::from(scale.unsigned_abs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Decimal128Array;
    use arrow::datatypes::{DataType, Field, Schema};

    #[test]
    fn decimal_text_keeps_every_digit() {
        assert_eq!(decimal_text("5", 2), "0.05");
        assert_eq!(decimal_text("-5", 2), "-0.05");
        assert_eq!(decimal_text("12345", 2), "123.45");
        assert_eq!(decimal_text("-100", 0), "-100");
        assert_eq!(decimal_text("12", -2), "1200");
        assert_eq!(decimal_text("0", 2), "0.00");
    }

    #[test]
    fn control_totals_are_exact_beyond_128_bits() {
        let most = 10_i128.pow(38) - 1;
        let values = Decimal128Array::from(vec![Some(most), None, Some(most)]).with_precision_and_scale(38, 0).unwrap();
        let schema = Schema::new(vec![Field::new("a", DataType::Decimal128(38, 0), true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(values)]).unwrap();
        let mut totals = Totals::new(&[("a".into(), ColumnType::Decimal(38, 0))]);
        totals.add(&batch);
        assert_eq!(totals.finish()["a"], "199999999999999999999999999999999999998");
    }
}
