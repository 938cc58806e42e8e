//! A CSV file of ours as a workbook: a cover, the rows, the SQL.
//!
//! Invariants: a number is written as one only where it is exactly that number in the 15 digits that a sheet keeps, else as
//! text; no text becomes a formula or a link; the same CSV gives the same bytes. What a sheet cannot hold is told on the cover,
//! and the CSV has it.

use std::fs::File;
use std::path::Path;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, Timelike as _, Utc};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, Worksheet, XlsxError};

use super::index::{Column, Kind};
use super::target::Once;

/// Rows of a sheet below its header.
pub(super) const ROWS_MAX: u64 = 1_048_575;
/// Characters of a cell.
const TEXT_MAX: usize = 32_767;
/// Digits of a number that a sheet keeps.
const DIGITS_MAX: usize = 15;
/// From so many cells on rows go through a file and not through memory.
const CELLS_IN_MEMORY_MAX: u64 = 1_000_000;

/// What a workbook is made of.
#[derive(Debug)]
pub(super) struct Book<'a> {
    /// The file of the rows.
    pub(super) csv: &'a Path,
    pub(super) columns: &'a [Column],
    pub(super) row_count: u64,
    /// Name and value, line by line; a line without a value is a heading.
    pub(super) cover: &'a [(String, String)],
    /// Path and text of what the rows follow from.
    pub(super) logic: &'a [(String, String)],
    /// What stands in place of rows if there are none.
    pub(super) empty: &'a str,
    /// The moment that the workbook says it was made at: the commit's, or no two runs would give the same bytes.
    pub(super) made_at: DateTime<Utc>,
    /// Where long sheets lie until they are packed.
    pub(super) scratch: &'a Path,
}

/// Why there is no workbook.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The rows cannot be read back.
    #[error("read the rows back: {0}")]
    Csv(#[from] csv::Error),
    /// It cannot be made.
    #[error(transparent)]
    Workbook(#[from] XlsxError),
    /// Its file cannot be written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The writer of long sheets gives up by a panic where a file cannot be written.
    #[error("the rows of a long sheet could not be put aside: the disk may be full")]
    Scratch,
}

/// Writes it; how many texts had to be cut.
pub(super) fn write(book: &Book<'_>, path: &Path) -> Result<u64, Error> {
    let columns = u64::try_from(book.columns.len()).unwrap_or(u64::MAX);
    if book.row_count.saturating_mul(columns) <= CELLS_IN_MEMORY_MAX {
        return write_sheets(book, path, false);
    }
    std::thread::scope(|scope| scope.spawn(|| write_sheets(book, path, true)).join().unwrap_or(Err(Error::Scratch)))
}

fn write_sheets(book: &Book<'_>, path: &Path, is_long: bool) -> Result<u64, Error> {
    let mut workbook = Workbook::new();
    let made_at = ExcelDateTime::from_timestamp(book.made_at.timestamp())?;
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&made_at));
    let mut rows = if is_long {
        workbook.set_tempdir(book.scratch)?;
        workbook.new_worksheet_with_constant_memory()?
    } else {
        Worksheet::new()
    };
    let cut = write_rows(book, &mut rows)?;
    let cover = cover(book, cut)?;
    let logic = logic(book)?;
    for (name, mut sheet) in [("Cover", cover), ("Rows", rows), ("Logic", logic)] {
        sheet.set_name(name)?;
        workbook.push_worksheet(sheet);
    }
    let mut file = Once::new(File::create(path)?);
    workbook.save_to_writer(&mut file)?;
    file.into_file()?;
    Ok(cut)
}

fn cover(book: &Book<'_>, cut: u64) -> Result<Worksheet, XlsxError> {
    let mut sheet = Worksheet::new();
    sheet.set_column_width(0, 30)?.set_column_width(1, 110)?;
    let heading = Format::new().set_bold();
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    let cut = (cut > 0)
        .then(|| ("Texts cut".to_owned(), format!("{cut}, after {TEXT_MAX} characters: the CSV file has them whole")));
    for (row, (name, value)) in (0..).zip(book.cover.iter().chain(&cut)) {
        if value.is_empty() {
            sheet.write_string_with_format(row, 0, name, &heading)?;
        } else {
            sheet.write_string_with_format(row, 0, name, &wrapped)?;
            sheet.write_string_with_format(row, 1, shortened(value).unwrap_or(value), &wrapped)?;
        }
    }
    Ok(sheet)
}

/// The SQL, a line a row: a cell would hold no more than a page of it.
fn logic(book: &Book<'_>) -> Result<Worksheet, XlsxError> {
    let mut sheet = Worksheet::new();
    sheet.set_column_width(0, 140)?;
    let heading = Format::new().set_bold();
    let code = Format::new().set_font_name("Courier New").set_font_size(9);
    let mut row = 0;
    for (path, text) in book.logic {
        sheet.write_string_with_format(row, 0, path, &heading)?;
        row += 1;
        for line in text.lines() {
            if !line.is_empty() {
                sheet.write_string_with_format(row, 0, shortened(line).unwrap_or(line), &code)?;
            }
            row += 1;
        }
        row += 1;
    }
    Ok(sheet)
}

fn write_rows(book: &Book<'_>, sheet: &mut Worksheet) -> Result<u64, Error> {
    let header = Format::new().set_bold().set_border_bottom(rust_xlsxwriter::FormatBorder::Thin);
    let formats: Vec<Format> = book.columns.iter().map(format).collect();
    let last = u32::try_from(book.row_count.min(ROWS_MAX)).unwrap_or(u32::MAX);
    sheet.set_freeze_panes(1, 0)?;
    for (place, column) in (0..).zip(book.columns) {
        let width = match column.kind {
            Kind::Text => 28,
            Kind::Moment => 20,
            Kind::Decimal => 16,
            _ => 12,
        };
        let named = u32::try_from(column.name.chars().count() + 3).unwrap_or(width).min(40);
        sheet.set_column_width(place, width.max(named))?;
    }
    if let Some(last_column) = u16::try_from(book.columns.len()).ok().and_then(|count| count.checked_sub(1)) {
        sheet.autofilter(0, 0, last, last_column)?;
    }
    for (place, column) in (0..).zip(book.columns) {
        sheet.write_string_with_format(0, place, shortened(&column.name).unwrap_or(&column.name), &header)?;
    }
    if book.row_count == 0 {
        sheet.write_string(1, 0, book.empty)?;
    }
    let mut cut = 0;
    let mut records = csv::ReaderBuilder::new().from_path(book.csv)?;
    let mut record = csv::StringRecord::new();
    let mut row = 1;
    while row <= last && records.read_record(&mut record)? {
        for (place, ((value, column), format)) in (0..).zip(record.iter().zip(book.columns).zip(&formats)) {
            if !value.is_empty() {
                cut += u64::from(write_cell(sheet, (row, place), value, column, format)?);
            }
        }
        row += 1;
    }
    Ok(cut)
}

fn format(column: &Column) -> Format {
    let format = Format::new();
    match column.kind {
        Kind::Decimal => match usize::try_from(column.scale.unwrap_or_default()).unwrap_or_default() {
            0 => format.set_num_format("#,##0"),
            places => format.set_num_format(format!("#,##0.{}", "0".repeat(places))),
        },
        Kind::Integer => format.set_num_format("0"),
        Kind::Date => format.set_num_format("yyyy-mm-dd"),
        Kind::Moment => format.set_num_format("yyyy-mm-dd hh:mm:ss"),
        Kind::Text | Kind::Float | Kind::Boolean => format,
    }
}

/// Writes a value as what it is; whether it had to be cut.
fn write_cell(
    sheet: &mut Worksheet,
    (row, place): (u32, u16),
    value: &str,
    column: &Column,
    format: &Format,
) -> Result<bool, XlsxError> {
    let is_number = match column.kind {
        Kind::Integer | Kind::Decimal => is_exact(value),
        Kind::Float => true,
        _ => false,
    };
    if let Some(number) = value.parse::<f64>().ok().filter(|number| is_number && number.is_finite()) {
        sheet.write_number_with_format(row, place, number, format)?;
    } else if let Some(day) = day(value, column.kind) {
        sheet.write_datetime_with_format(row, place, &day, format)?;
    } else if column.kind == Kind::Boolean {
        sheet.write_boolean(row, place, value == "true")?;
    } else {
        let short = shortened(value);
        sheet.write_string(row, place, short.unwrap_or(value))?;
        return Ok(short.is_some());
    }
    Ok(false)
}

/// Whether a decimal text is one number and no other in the digits that a sheet keeps.
fn is_exact(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let digits = if digits.contains('.') { digits.trim_end_matches('0') } else { digits };
    digits.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count() <= DIGITS_MAX
}

/// A day or a moment, where a sheet can count it: it keeps milliseconds, and has no days before 1900.
fn day(value: &str, kind: Kind) -> Option<ExcelDateTime> {
    let at = match kind {
        Kind::Date => NaiveDate::parse_from_str(value, "%Y-%m-%d").ok()?.into(),
        Kind::Moment => NaiveDateTime::parse_from_str(value.trim_end_matches('Z'), "%Y-%m-%dT%H:%M:%S%.f").ok()?,
        _ => return None,
    };
    let year = u16::try_from(at.year()).ok().filter(|year| (1901..=9999).contains(year))?;
    let part = |part: u32| u8::try_from(part).ok();
    let day = ExcelDateTime::from_ymd(year, part(at.month())?, part(at.day())?).ok()?;
    if kind == Kind::Date {
        return Some(day);
    }
    let milliseconds = u16::try_from(at.nanosecond() / 1_000_000).ok()?;
    day.and_hms_milli(u16::try_from(at.hour()).ok()?, part(at.minute())?, part(at.second())?, milliseconds).ok()
}

/// The beginning of a text that no cell can hold.
fn shortened(text: &str) -> Option<&str> {
    let (end, _) = text.char_indices().nth(TEXT_MAX)?;
    text.get(..end)
}

#[cfg(test)]
mod tests {
    use calamine::{Data, DataType as _, Reader as _};

    use super::*;

    fn column(name: &str, kind: Kind, scale: Option<u32>) -> Column {
        Column { name: name.to_owned(), kind, scale }
    }

    /// The rows of a workbook made of a CSV text, and its bytes.
    fn made(columns: &[Column], csv: &str, is_long: bool) -> (Vec<Vec<Data>>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.csv"), folder.path().join("a.xlsx"));
        std::fs::write(&from, csv).unwrap();
        let book = Book {
            csv: &from,
            columns,
            row_count: csv.lines().count() as u64 - 1,
            cover: &[("Evidence".to_owned(), String::new()), ("Rows".to_owned(), "all".to_owned())],
            logic: &[("a.sql".to_owned(), "select 1\n\nfrom x".to_owned())],
            empty: "nobody looked",
            made_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            scratch: folder.path(),
        };
        write_sheets(&book, &to, is_long).unwrap();
        let mut book: calamine::Xlsx<_> = calamine::open_workbook(&to).unwrap();
        assert_eq!(book.sheet_names(), ["Cover", "Rows", "Logic"]);
        let rows = book.worksheet_range("Rows").unwrap();
        (rows.rows().map(<[Data]>::to_vec).collect(), std::fs::read(&to).unwrap())
    }

    #[test]
    fn numbers_are_exact_or_text_and_nothing_is_a_formula() {
        let columns = [
            column("amount", Kind::Decimal, Some(2)),
            column("id", Kind::Integer, None),
            column("label", Kind::Text, None),
            column("on", Kind::Date, None),
            column("at", Kind::Moment, None),
            column("is", Kind::Boolean, None),
        ];
        let csv = "amount,id,label,on,at,is\n\
                   -1234.50,562949953421312,=1+1,2025-12-31,2025-12-31T17:00:00.123456Z,true\n\
                   1234567890123.45,5629499534213129,\"\",0001-01-01,,false\n\
                   12345678901234.56,,http://x,,,\n";
        let (rows, bytes) = made(&columns, csv, false);
        assert_eq!(
            rows[1][..3],
            [Data::Float(-1234.5), Data::Float(562_949_953_421_312.0), Data::String("=1+1".into())]
        );
        let moment = |cell: &Data| cell.as_datetime().unwrap().to_string();
        assert_eq!(moment(&rows[1][3]), "2025-12-31 00:00:00");
        assert_eq!(moment(&rows[1][4]), "2025-12-31 17:00:00.123");
        assert_eq!(rows[1][5], Data::Bool(true));
        assert_eq!(rows[2][..2], [Data::Float(1_234_567_890_123.45), Data::String("5629499534213129".into())]);
        assert_eq!((&rows[2][2], &rows[2][3]), (&Data::Empty, &Data::String("0001-01-01".into())));
        assert_eq!(
            rows[3][..3],
            [Data::String("12345678901234.56".into()), Data::Empty, Data::String("http://x".into())]
        );
        assert_eq!(made(&columns, csv, false).1, bytes, "the same rows, the same bytes");
        let (long, long_bytes) = made(&columns, csv, true);
        assert_eq!(long, rows);
        assert_eq!(made(&columns, csv, true).1, long_bytes);
    }

    #[test]
    fn no_rows_never_look_like_nothing_found() {
        let (rows, _) = made(&[column("a", Kind::Text, None)], "a\n", false);
        assert_eq!(rows[1], [Data::String("nobody looked".into())]);
    }

    #[test]
    fn fifteen_digits_are_exact_and_sixteen_are_not() {
        for (text, expected) in [
            ("999999999999999", true),
            ("1000000000000000", false),
            ("0.000000000000001", true),
            ("-1234567890123.45", true),
            ("1234567890123.456", false),
            ("123456789012345.000000", true),
        ] {
            assert_eq!(is_exact(text), expected, "{text}");
        }
    }
}
