//! The rows of a file: CSV in any of its encodings and with any of its separators, a workbook's sheet, Parquet.
//!
//! Leaves out what the cells mean. Invariant: a file that ends before its end (a quoted field that does not close, a
//! damaged archive) is an error, never a shorter sheet.

use std::io::Cursor;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use calamine::{Data, Reader as _, Sheets};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::header::HEADER_ROWS_MAX;
use super::values::Value;

/// A row with its number in the file, as people count it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub number: usize,
    pub cells: Vec<Value>,
}

/// Rows from the first to the last.
pub(crate) type Rows = Box<dyn Iterator<Item = Result<Row, String>> + Send>;

/// What stands between the fields of a line.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How much a row looks like the headers.
type Score<'a> = &'a dyn Fn(&[Value]) -> usize;

/// Opens a file by its name's ending. `score` says how much a row looks like the headers: separator and sheet are chosen by it,
/// among those where it reaches `enough`. The error says what is wrong, and what to try after a line `hint:`.
pub(crate) fn open(
    path: &str,
    bytes: Bytes,
    sheet: Option<&str>,
    (score, enough): (Score<'_>, usize),
) -> Result<Rows, String> {
    let ending = ending(path);
    match ending.as_str() {
        _ if is_text(path) => csv(&bytes, score),
        "xlsx" | "xlsm" | "xlsb" | "xls" | "ods" => workbook(bytes, sheet, (score, enough)),
        "parquet" => parquet(bytes),
        _ => Err(format!(
            "its kind `.{ending}` is not read\nhint: export it as .csv, .xlsx or .parquet; the name's ending tells which it is"
        )),
    }
}

fn ending(path: &str) -> String {
    path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase()
}

/// Whether a file is lines of text.
pub(crate) fn is_text(path: &str) -> bool {
    matches!(ending(path).as_str(), "csv" | "txt" | "tsv" | "tab")
}

/// The text of a file without its mark of order; what is no UTF-8 and no UTF-16 is Windows-1252.
fn text(bytes: &[u8]) -> Result<String, String> {
    let (encoding, skip): (&'static Encoding, usize) = match Encoding::for_bom(bytes) {
        Some(found) => found,
        None => (guessed(bytes), 0),
    };
    let body = bytes.get(skip..).unwrap_or_default();
    if encoding != UTF_8 && encoding != WINDOWS_1252 && body.len() % 2 == 1 {
        return Err("it ends in half a letter: it was cut\nhint: export or copy it again".to_owned());
    }
    let (text, _, has_errors) = encoding.decode(body);
    if has_errors {
        let name = encoding.name();
        return Err(format!("it is no {name} text all through: it may be damaged\nhint: export it again as CSV UTF-8"));
    }
    Ok(text.into_owned())
}

fn guessed(bytes: &[u8]) -> &'static Encoding {
    let start = bytes.get(..bytes.len().min(512)).unwrap_or_default();
    let zeros = |from: usize| start.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    // Letters of our alphabets have a zero in every other place.
    let most = start.len() / 4;
    if most > 0 && zeros(1) > most {
        return UTF_16LE;
    }
    if most > 0 && zeros(0) > most {
        return UTF_16BE;
    }
    if std::str::from_utf8(bytes).is_ok() { UTF_8 } else { WINDOWS_1252 }
}

fn csv(bytes: &[u8], score: &dyn Fn(&[Value]) -> usize) -> Result<Rows, String> {
    let text = text(bytes)?;
    if text.contains('\0') {
        return Err(
            "it holds zero bytes: it is no text, or was not written to its end\nhint: export it again".to_owned()
        );
    }
    let best = SEPARATORS.into_iter().map(|separator| {
        let rows = records(Cursor::new(text.as_bytes()), separator).take(HEADER_ROWS_MAX);
        let found = rows.filter_map(Result::ok).map(|row| score(&row.cells)).max().unwrap_or_default();
        (found, separator)
    });
    // Of equal ones the first.
    let separator = best.rev().max_by_key(|(found, _)| *found).map_or(b',', |(_, separator)| separator);
    let is_closed = text.trim_end_matches(['\r', '\n', ' ']).ends_with('"');
    let is_ended = text.ends_with(['\r', '\n']);
    let rows = records(Cursor::new(text.into_bytes()), separator);
    let mut rows = rows.peekable();
    let mut shape = Shape::default();
    let checked = std::iter::from_fn(move || {
        let row = rows.next()?;
        // Only the last row can be the one that was cut.
        if rows.peek().is_none() {
            return Some(row.and_then(|row| whole(row, is_closed)).and_then(|row| shape.ended(row, is_ended)));
        }
        if let Ok(row) = &row {
            shape.add(row.cells.len());
        }
        Some(row)
    });
    Ok(Box::new(checked))
}

/// A line break inside the last field means that it was quoted: then the file ends with a quote.
fn whole(row: Row, is_closed: bool) -> Result<Row, String> {
    let breaks = |value: &Value| matches!(value, Value::Text(text) if text.contains('\n'));
    if !is_closed && row.cells.last().is_some_and(breaks) {
        let number = row.number;
        return Err(format!(
            "the quoted field in row {number} does not end: the file was cut\nhint: export or copy it again"
        ));
    }
    Ok(row)
}

/// How many cells the lines of a text have.
#[derive(Debug, Default)]
struct Shape {
    most: usize,
    /// Lines that are shorter, and no title of one cell.
    is_ragged: bool,
}

impl Shape {
    fn add(&mut self, cells: usize) {
        self.is_ragged |= self.most > 0 && cells > 1 && cells != self.most;
        self.most = self.most.max(if cells > 1 { cells } else { 0 });
    }

    /// A last line without its end and with fewer cells than all others, though more than a note has, was cut.
    fn ended(&self, row: Row, is_ended: bool) -> Result<Row, String> {
        let cells = row.cells.len();
        if is_ended || self.is_ragged || !(2..self.most).contains(&cells) {
            return Ok(row);
        }
        Err(format!(
            "its last row ({}) has {cells} of {} cells and no end of line: the file was cut\nhint: export or copy it again",
            row.number, self.most
        ))
    }
}

fn records<R: std::io::Read + Send>(
    text: R,
    separator: u8,
) -> impl Iterator<Item = Result<Row, String>> + Send + use<R> {
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(text);
    reader.into_records().map(|record| {
        let record = record.map_err(|error| format!("it is no CSV: {error}"))?;
        let number = record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(usize::MAX));
        let cells = record.iter().map(|field| Value::Text(field.to_owned())).collect();
        Ok(Row { number, cells })
    })
}

fn workbook(bytes: Bytes, wanted: Option<&str>, (score, enough): (Score<'_>, usize)) -> Result<Rows, String> {
    let damaged = |error: String| format!("it is no whole workbook: {error}\nhint: export or copy it again");
    let mut book: Sheets<Cursor<Bytes>> =
        calamine::open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|error| damaged(error.to_string()))?;
    let names = book.sheet_names();
    let shown = || names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut found: Vec<(String, Vec<Row>)> = Vec::new();
    for name in names.iter().filter(|name| wanted.is_none_or(|wanted| name.eq_ignore_ascii_case(wanted))) {
        let range = book.worksheet_range(name).map_err(|error| damaged(error.to_string()))?;
        let first = range.start().map_or(1, |(row, _)| usize::try_from(row).unwrap_or(usize::MAX) + 1);
        let rows: Vec<Row> = range
            .rows()
            .enumerate()
            .map(|(at, cells)| Row { number: first + at, cells: cells.iter().map(cell).collect() })
            .collect();
        if wanted.is_some() || rows.iter().take(HEADER_ROWS_MAX).any(|row| score(&row.cells) >= enough) {
            found.push((name.clone(), rows));
        }
    }
    match (found.len(), wanted) {
        (0, Some(wanted)) => Err(format!("it has no sheet `{wanted}`\nhint: it has {}", shown())),
        // The reader of headers says what is missing, and shows the first row.
        (0, None) => {
            let first = names.first().and_then(|name| book.worksheet_range(name).ok());
            let rows: Vec<Row> = first
                .iter()
                .flat_map(|range| range.rows().enumerate())
                .map(|(at, cells)| Row { number: at + 1, cells: cells.iter().map(cell).collect() })
                .collect();
            Ok(Box::new(rows.into_iter().map(Ok)))
        }
        (1, _) => Ok(Box::new(found.remove(0).1.into_iter().map(Ok))),
        _ => {
            let sheets = found.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
            Err(format!(
                "its sheets {sheets} both have the headers\nhint: name one as \"sheet\" of the file in the bundle's manifest"
            ))
        }
    }
}

fn cell(data: &Data) -> Value {
    match data {
        Data::Empty => Value::Empty,
        Data::Int(number) => Value::Number(number.to_string()),
        // The shortest text that stands for this number and no other.
        Data::Float(number) => Value::Number(number.to_string()),
        Data::Bool(flag) => Value::Flag(*flag),
        Data::DateTime(at) => at.as_datetime().map_or_else(|| Value::Number(at.as_f64().to_string()), Value::Moment),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => Value::Text(text.clone()),
        Data::Error(error) => Value::Text(error.to_string()),
    }
}

fn parquet(bytes: Bytes) -> Result<Rows, String> {
    let damaged = |error: String| format!("it is no whole Parquet file: {error}\nhint: export or copy it again");
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| damaged(error.to_string()))?;
    let names = reader.schema().fields().iter().map(|field| Value::Text(field.name().clone())).collect();
    let header = Row { number: 0, cells: names };
    let reader = reader.build().map_err(|error| damaged(error.to_string()))?;
    let mut number = 0;
    let rows = reader.flat_map(move |batch| -> Vec<Result<Row, String>> {
        let read = batch.map_err(|error| damaged(error.to_string())).and_then(|batch| rows_of(&batch));
        let rows = match read {
            Ok(rows) => rows,
            Err(error) => return vec![Err(error)],
        };
        let numbered = rows.into_iter().map(|cells| {
            number += 1;
            Ok(Row { number, cells })
        });
        numbered.collect()
    });
    Ok(Box::new(std::iter::once(Ok(header)).chain(rows)))
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Vec<Value>>, String> {
    let options = FormatOptions::default();
    let unread = |error: arrow::error::ArrowError| format!("a column cannot be shown as text: {error}");
    let columns = batch.columns().iter().map(|column| {
        let shown = ArrayFormatter::try_new(column.as_ref(), &options).map_err(unread)?;
        let kind = column.data_type().clone();
        let cell = |row: usize| -> Result<Value, String> {
            if column.is_null(row) {
                return Ok(Value::Empty);
            }
            let text = shown.value(row).try_to_string().map_err(unread)?;
            let is_number = kind.is_numeric();
            Ok(match kind {
                DataType::Boolean => Value::Flag(text == "true"),
                _ if is_number => Value::Number(text),
                _ => Value::Text(text),
            })
        };
        (0..batch.num_rows()).map(cell).collect::<Result<Vec<Value>, String>>()
    });
    let mut columns: Vec<std::vec::IntoIter<Value>> =
        columns.map(|column| column.map(Vec::into_iter)).collect::<Result<_, String>>()?;
    let row = |_| columns.iter_mut().map(|column| column.next().unwrap_or(Value::Empty)).collect();
    Ok((0..batch.num_rows()).map(row).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(row: &[Value]) -> usize {
        row.iter().filter(|cell| ["Job", "PO #", "Amount"].contains(&cell.written().as_str())).count()
    }

    fn read(path: &str, bytes: &[u8]) -> Result<Vec<Vec<String>>, String> {
        let rows = open(path, Bytes::copy_from_slice(bytes), None, (&score, 3))?;
        rows.map(|row| row.map(|row| row.cells.iter().map(Value::written).collect())).collect()
    }

    /// A sheet with its title above, as text with the given separator.
    fn sheet(rows: &[[String; 3]], separator: u8) -> String {
        let mut writer = csv::WriterBuilder::new().flexible(true).delimiter(separator).from_writer(Vec::new());
        writer.write_record(["Orders, all jobs; as of | today"]).unwrap();
        writer.write_record(["Job", "PO #", "Amount"]).unwrap();
        for row in rows {
            writer.write_record(row).unwrap();
        }
        String::from_utf8(writer.into_inner().unwrap()).unwrap()
    }

    #[test]
    fn accents_of_every_encoding_are_read() {
        let text = "Job,PO #,Amount\nCafé – Nº 5,1,\"1,5\"\n";
        let wide = |little: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
        };
        let marked = |mark: &[u8], body: &[u8]| [mark, body].concat();
        let (windows, _, _) = WINDOWS_1252.encode(text);
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xef\xbb\xbf", text.as_bytes()),
            marked(b"\xff\xfe", &wide(true)),
            marked(b"\xfe\xff", &wide(false)),
            wide(true),
            windows.into_owned(),
        ] {
            assert_eq!(read("a.csv", &bytes).unwrap()[1], ["Café – Nº 5", "1", "1,5"], "{bytes:?}");
        }
    }

    #[test]
    fn a_file_that_was_cut_is_no_shorter_sheet() {
        for (path, bytes, says) in [
            ("a.csv", b"Job,PO #,Amount\nA,1,\"5\nB,2,6\n".as_slice(), "does not end"),
            ("a.csv", b"Job,PO #,Amount\nA,1,5\nB,2", "2 of 3 cells and no end of line"),
            ("a.csv", b"\xff\xfeJ\0o\0b", "half a letter"),
            ("a.csv", b"Job,PO #,Amount\nA,1,\0\0\0\0", "zero bytes"),
            ("a.xlsx", b"PK\x03\x04 and no more", "no whole workbook"),
            ("a.parquet", b"PAR1 and no more", "no whole Parquet"),
            ("a.pdf", b"%PDF", "its kind `.pdf` is not read"),
        ] {
            let error = read(path, bytes).unwrap_err();
            assert!(error.contains(says) && error.contains("hint:"), "{path}: {error}");
        }
        // An inch mark is no quote.
        assert_eq!(read("a.csv", b"Job,PO #,Amount\nA,2x4 6\",5\n").unwrap()[1][1], "2x4 6\"");
    }

    proptest! {
        #[test]
        fn cells_come_back_whatever_parts_them(
            rows in proptest::collection::vec(proptest::array::uniform3("[a-z0-9,;|\t\"\n é$.()-]{0,12}"), 1..20),
            place in 0_usize..4,
        ) {
            let found = read("a.csv", sheet(&rows, SEPARATORS[place]).as_bytes()).unwrap();
            let written = |cell: &String| Value::Text(cell.clone()).written();
            let wanted: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(written).collect()).collect();
            let is_blank = |row: &Vec<String>| row.iter().all(String::is_empty);
            let full = |rows: Vec<Vec<String>>| rows.into_iter().filter(|row| !is_blank(row)).collect::<Vec<_>>();
            prop_assert_eq!(full(found[2..].to_vec()), full(wanted));
        }
    }
}
