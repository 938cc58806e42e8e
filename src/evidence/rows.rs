//! Rows on their way to a CSV file: every value becomes text once, and what is counted and summed is that text.
//!
//! A null is nothing between two commas, an empty text is `""`, as Postgres writes them. Lines end with a line feed.

use std::collections::BTreeSet;
use std::io::Write;

use arrow::array::Array as _;
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt as _;

use super::index::{Column, Kind, Sum, Total};
use crate::server::{LocalQuery, QueryError};

/// Distinct words of a column that are kept: a verdict has few.
const WORDS_MAX: usize = 64;

/// What was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) columns: Vec<Column>,
    pub(super) row_count: u64,
    pub(super) control_totals: Vec<Total>,
    /// What the rows say of themselves, where they do: distinct words of `status` or `verdict`, each with the first reason.
    pub(super) statuses: Vec<(String, Option<String>)>,
}

/// Why rows were not written.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The query, or the snapshots under it.
    Query(QueryError),
    /// The file.
    File(std::io::Error),
    /// A sum is beyond what can be told exactly.
    Sum(String),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

/// Runs the query and writes its rows.
pub(super) async fn write(query: LocalQuery, out: &mut impl Write) -> Result<Written, Trouble> {
    let columns = columns(&query.schema());
    let names: Vec<Option<&str>> = columns.iter().map(|column| Some(column.name.as_str())).collect();
    out.write_all(line(&names).as_bytes())?;
    let mut sums: Vec<Option<Sum>> =
        columns.iter().map(|column| (column.kind == Kind::Decimal).then(Sum::default)).collect();
    let mut statuses = Statuses::of(&columns);
    let mut row_count = 0;
    let options = FormatOptions::default();
    let mut batches = std::pin::pin!(query.rows().map_err(Trouble::Query)?);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(Trouble::Query)?;
        let formatters = batch.columns().iter().map(|array| ArrayFormatter::try_new(array.as_ref(), &options));
        let formatters: Vec<_> =
            formatters.collect::<Result<_, _>>().map_err(|error| Trouble::Sum(error.to_string()))?;
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().zip(&formatters);
            let values: Vec<Option<String>> = values
                .map(|(array, formatter)| array.is_valid(row).then(|| formatter.value(row).to_string()))
                .collect();
            for ((column, sum), value) in columns.iter().zip(&mut sums).zip(&values) {
                let (Some(sum), Some(value)) = (sum, value) else { continue };
                if !sum.add(value, column.scale.unwrap_or_default()) {
                    return Err(Trouble::Sum(format!(
                        "the sum of column {} has more than 38 digits, with {value} in row {}",
                        column.name,
                        row_count + 1
                    )));
                }
            }
            statuses.note(&values);
            let fields: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
            out.write_all(line(&fields).as_bytes())?;
            row_count += 1;
        }
    }
    let totals = columns.iter().zip(&sums).filter_map(|(column, sum)| Some(sum.as_ref()?.total(column)));
    let control_totals = totals.collect();
    Ok(Written { columns, row_count, control_totals, statuses: statuses.found })
}

/// What the columns of a result hold.
fn columns(schema: &Schema) -> Vec<Column> {
    let column = |(name, kind): (&String, &DataType)| {
        let (kind, scale) = match kind {
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale)
            | DataType::Decimal256(_, scale) => match u32::try_from(*scale) {
                Ok(scale) => (Kind::Decimal, Some(scale)),
                Err(_) => (Kind::Text, None),
            },
            kind if kind.is_integer() => (Kind::Integer, None),
            kind if kind.is_floating() => (Kind::Float, None),
            DataType::Date32 => (Kind::Date, None),
            DataType::Timestamp(..) => (Kind::Moment, None),
            DataType::Boolean => (Kind::Boolean, None),
            _ => (Kind::Text, None),
        };
        Column { name: name.clone(), kind, scale }
    };
    schema.fields().iter().map(|field| column((field.name(), field.data_type()))).collect()
}

/// A line of CSV.
pub(super) fn line(fields: &[Option<&str>]) -> String {
    let mut line = String::new();
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            line.push(',');
        }
        match field {
            None => {}
            Some(text) if text.is_empty() || text.contains(['"', ',', '\n', '\r']) => {
                line.push('"');
                line.push_str(&text.replace('"', "\"\""));
                line.push('"');
            }
            Some(text) => line.push_str(text),
        }
    }
    // A lone null would be an empty line, which readers pass over.
    if line.is_empty() {
        line.push_str("\"\"");
    }
    line.push('\n');
    line
}

/// What rows say of themselves.
struct Statuses {
    status: Option<usize>,
    reason: Option<usize>,
    known: BTreeSet<String>,
    found: Vec<(String, Option<String>)>,
}

impl Statuses {
    fn of(columns: &[Column]) -> Self {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let status = place("status").or_else(|| place("verdict"));
        Self { status, reason: place("reason"), known: BTreeSet::new(), found: Vec::new() }
    }

    fn note(&mut self, values: &[Option<String>]) {
        let value = |place: Option<usize>| place.and_then(|place| values.get(place)).and_then(Option::as_deref);
        let Some(status) = value(self.status) else { return };
        if self.known.len() < WORDS_MAX && !self.known.contains(status) {
            self.known.insert(status.to_owned());
            self.found.push((status.to_owned(), value(self.reason).map(str::to_owned)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_empty_texts_are_told_apart() {
        assert_eq!(line(&[Some("a"), None, Some(""), Some("b, \"c\"\n")]), "a,,\"\",\"b, \"\"c\"\"\n\"\n");
        assert_eq!(line(&[None]), "\"\"\n");
    }
}
