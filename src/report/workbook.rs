//! The report as a workbook: a sheet with every check, one for each check with something open, the trend, the waivers.
//!
//! Amounts are numbers where a spreadsheet holds them exactly, and texts where it would round them. Twice the same report is
//! twice the same bytes.

use anyhow::{Context as _, Result};
use rust_xlsxwriter::{
    Color, DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Formula, Url, Workbook, Worksheet,
    XlsxError,
};

use super::{Check, Exception, Month, Report, cents, decimal};

/// A spreadsheet's numbers have so many digits.
const DIGITS: usize = 15;
/// Rows of a sheet, above and below the exceptions' own.
const ROWS: usize = 1_000_000;
const MONEY: &str = "#,##0.00;[Red]-#,##0.00";
/// Where the headings of a check's sheet stand.
const HEADINGS: u32 = 6;

/// The workbook's bytes.
///
/// # Errors
/// What the writer says, such as a sheet that is too large.
pub(crate) fn workbook(report: &Report) -> Result<Vec<u8>> {
    write(report).context("write the workbook")
}

fn write(report: &Report) -> Result<Vec<u8>, XlsxError> {
    let formats = Formats::new();
    let mut book = Workbook::new();
    let title = report.heading();
    let made = ExcelDateTime::parse_from_str(report.observed_at.get(..10).unwrap_or("1900-01-01"))?;
    book.set_properties(&DocProperties::new().set_title(&title).set_author("tieout").set_creation_datetime(&made));
    summary(book.add_worksheet(), report, &title, &formats)?;
    for check in &report.checks {
        let of_check: Vec<&Exception> = report.open.iter().filter(|exception| exception.check == check.id).collect();
        if !of_check.is_empty() {
            exceptions(book.add_worksheet(), check, &of_check, &formats)?;
        }
    }
    trend(book.add_worksheet(), &report.months, &formats)?;
    if !report.waived.is_empty() {
        waived(book.add_worksheet(), report, &formats)?;
    }
    book.save_to_buffer()
}

struct Formats {
    title: Format,
    heading: Format,
    text: Format,
    money: Format,
    count: Format,
    day: Format,
    warning: Format,
    total: Format,
}

impl Formats {
    fn new() -> Self {
        let text = Format::new().set_text_wrap().set_align(FormatAlign::Top);
        let number = Format::new().set_align(FormatAlign::Top);
        Self {
            title: Format::new().set_bold().set_font_size(14),
            heading: Format::new()
                .set_bold()
                .set_text_wrap()
                .set_align(FormatAlign::Top)
                .set_background_color(Color::RGB(0xE8_EE_F4))
                .set_border_bottom(FormatBorder::Thin),
            money: number.clone().set_num_format(MONEY),
            count: number.clone().set_num_format("#,##0"),
            day: number.clone().set_num_format("yyyy-mm-dd"),
            warning: text.clone().set_font_color(Color::RGB(0x8A_2F_00)).set_background_color(Color::RGB(0xFF_F4_E5)),
            total: Format::new().set_bold().set_num_format(MONEY),
            text,
        }
    }
}

/// A cell's value, by what it is.
enum Cell<'a> {
    Text(&'a str),
    Money(&'a str),
    Count(&'a str),
    Day(&'a str),
    Warning(&'a str),
}

fn put(sheet: &mut Worksheet, row: u32, column: u16, cell: &Cell<'_>, formats: &Formats) -> Result<(), XlsxError> {
    let number = |text: &str| {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        text.parse::<f64>().ok().filter(|_| digits <= DIGITS)
    };
    match cell {
        Cell::Text("") | Cell::Money("") | Cell::Count("") | Cell::Day("") | Cell::Warning("") => {}
        Cell::Text(text) => drop(sheet.write_string_with_format(row, column, *text, &formats.text)?),
        Cell::Warning(text) => drop(sheet.write_string_with_format(row, column, *text, &formats.warning)?),
        Cell::Money(text) => match number(text) {
            Some(number) => drop(sheet.write_number_with_format(row, column, number, &formats.money)?),
            None => drop(sheet.write_string_with_format(row, column, *text, &formats.text)?),
        },
        Cell::Count(text) => match number(text) {
            Some(number) => drop(sheet.write_number_with_format(row, column, number, &formats.count)?),
            None => drop(sheet.write_string_with_format(row, column, *text, &formats.text)?),
        },
        Cell::Day(text) => match ExcelDateTime::parse_from_str(text) {
            Ok(day) => drop(sheet.write_datetime_with_format(row, column, &day, &formats.day)?),
            Err(_) => drop(sheet.write_string_with_format(row, column, *text, &formats.text)?),
        },
    }
    Ok(())
}

/// Headings that stay, and can be filtered by.
fn head(
    sheet: &mut Worksheet,
    row: u32,
    last: u32,
    columns: &[(&str, u16)],
    formats: &Formats,
) -> Result<(), XlsxError> {
    let mut width = 0;
    for (place, (name, characters)) in (0_u16..).zip(columns) {
        sheet.write_string_with_format(row, place, *name, &formats.heading)?;
        sheet.set_column_width(place, *characters)?;
        width = place;
    }
    sheet.set_freeze_panes(row + 1, 0)?;
    sheet.autofilter(row, 0, last.max(row), width)?;
    sheet.set_landscape();
    sheet.set_print_fit_to_pages(1, 0);
    sheet.set_repeat_rows(row, row)?;
    Ok(())
}

fn summary(sheet: &mut Worksheet, report: &Report, title: &str, formats: &Formats) -> Result<(), XlsxError> {
    sheet.set_name("Summary")?;
    sheet.write_string_with_format(0, 0, title, &formats.title)?;
    sheet.write_string(1, 0, format!("Read {}, commit {}", report.observed_at, report.commit))?;
    let silent = report.silent().count();
    if silent > 0 {
        let told = format!(
            "{silent} of {} checks could not look everywhere: this workbook is silent about what they would find",
            report.checks.len()
        );
        sheet.write_string_with_format(2, 0, told, &Format::new().set_bold().set_font_color(Color::RGB(0x8A_2F_00)))?;
    }
    let columns = [
        ("check", 8),
        ("what disagrees", 46),
        ("verdict", 16),
        ("open", 9),
        ("in flight", 9),
        ("waived", 9),
        ("money at risk", 18),
        ("currency", 9),
        ("oldest, days", 10),
        ("since last month", 10),
        ("why it could not look, or what it leaves out", 60),
    ];
    let last = HEADINGS - 2 + count(report.checks.len());
    head(sheet, HEADINGS - 2, last, &columns, formats)?;
    for (row, check) in (HEADINGS - 1..).zip(&report.checks) {
        let verdict = check.verdict.replace('_', " ");
        let verdict = if check.is_silent() { Cell::Warning(&verdict) } else { Cell::Text(&verdict) };
        if check.open.is_empty() || check.open == "0" {
            put(sheet, row, 0, &Cell::Text(&check.id), formats)?;
        } else {
            sheet.write_url(row, 0, Url::new(format!("internal:'{}'!A1", check.id)).set_text(&check.id))?;
        }
        let cells = [
            Cell::Text(&check.title),
            verdict,
            Cell::Count(&check.open),
            Cell::Count(&check.in_flight),
            Cell::Count(&check.waived),
            Cell::Money(&check.amount),
            Cell::Text(&check.currency),
            Cell::Count(&check.oldest_days),
            Cell::Count(&check.change),
            Cell::Text(&check.reason),
        ];
        for (place, cell) in (1_u16..).zip(&cells) {
            put(sheet, row, place, cell, formats)?;
        }
    }
    Ok(())
}

fn exceptions(sheet: &mut Worksheet, check: &Check, all: &[&Exception], formats: &Formats) -> Result<(), XlsxError> {
    sheet.set_name(&check.id)?;
    sheet.write_string_with_format(0, 0, format!("{} {}", check.id, check.title), &formats.title)?;
    sheet.write_string(1, 0, &check.question)?;
    sheet.write_string(2, 0, &check.fix)?;
    sheet.write_url(3, 0, Url::new("internal:'Summary'!A1").set_text("back to the summary"))?;
    let columns = [
        ("project", 12),
        ("what", 60),
        ("PM", 24),
        ("ERP", 24),
        ("amount", 16),
        ("currency", 9),
        ("counts in", 20),
        ("severity", 9),
        ("days", 7),
        ("first seen", 11),
        ("fix in", 8),
        ("cause", 22),
        ("last changed by", 18),
        ("key", 40),
    ];
    let shown = all.iter().take(ROWS);
    let last = HEADINGS + count(shown.len());
    head(sheet, HEADINGS, last, &columns, formats)?;
    // Above the rows, so that sorting leaves it where it is; it follows the filter.
    sheet.write_string_with_format(HEADINGS - 2, 3, "total of the rows shown", &formats.total)?;
    let (first, last) = (HEADINGS + 2, last + 1);
    let total = Formula::new(format!("=SUBTOTAL(109,E{first}:E{last})")).set_result(total(all));
    sheet.write_formula_with_format(HEADINGS - 2, 4, total, &formats.total)?;
    if shown.clone().any(|exception| !exception.explained_by.is_empty()) {
        let text = "of all rows; the summary leaves out those that count in another exception";
        sheet.write_string(HEADINGS - 2, 6, text)?;
    }
    if all.len() > ROWS {
        sheet.write_string(
            HEADINGS - 1,
            0,
            format!("{} more are not here: a sheet has no room for them", all.len() - ROWS),
        )?;
    }
    for (row, exception) in (HEADINGS + 1..).zip(shown) {
        let cells = [
            Cell::Text(&exception.project),
            Cell::Text(exception.told()),
            Cell::Text(&exception.pm_value),
            Cell::Text(&exception.erp_value),
            Cell::Money(&exception.amount),
            Cell::Text(&exception.currency),
            Cell::Text(&exception.explained_by),
            Cell::Text(&exception.severity),
            Cell::Count(&exception.age_days),
            Cell::Day(&exception.first_seen),
            Cell::Text(&exception.fix_side),
            Cell::Text(&exception.cause),
            Cell::Text(&exception.moved_by),
            Cell::Text(&exception.key),
        ];
        for (place, cell) in (0_u16..).zip(&cells) {
            put(sheet, row, place, cell, formats)?;
        }
    }
    Ok(())
}

fn trend(sheet: &mut Worksheet, months: &[Month], formats: &Formats) -> Result<(), XlsxError> {
    sheet.set_name("Trend")?;
    let columns = [
        ("month", 11),
        ("open", 9),
        ("money at risk, whole units", 18),
        ("opened", 9),
        ("resolved", 9),
        ("checks that could not look", 14),
    ];
    head(sheet, 0, count(months.len()), &columns, formats)?;
    for (row, month) in (1..).zip(months) {
        let text = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
        let numbers = [month.open, month.amount, month.opened, month.closed, Some(month.silent)].map(text);
        put(sheet, row, 0, &Cell::Day(&month.first_day), formats)?;
        for (place, number) in (1_u16..).zip(&numbers) {
            put(sheet, row, place, &Cell::Count(number), formats)?;
        }
    }
    Ok(())
}

fn waived(sheet: &mut Worksheet, report: &Report, formats: &Formats) -> Result<(), XlsxError> {
    sheet.set_name("Waived")?;
    let columns = [("check", 8), ("what", 50), ("amount", 16), ("currency", 9), ("why", 50), ("by", 20), ("until", 11)];
    head(sheet, 0, count(report.waived.len()), &columns, formats)?;
    for (row, one) in (1..).zip(&report.waived) {
        let cells = [
            Cell::Text(&one.check),
            Cell::Text(&one.label),
            Cell::Money(&one.amount),
            Cell::Text(&one.currency),
            Cell::Text(&one.reason),
            Cell::Text(&one.by),
            Cell::Day(&one.until),
        ];
        for (place, cell) in (0_u16..).zip(&cells) {
            put(sheet, row, place, cell, formats)?;
        }
    }
    Ok(())
}

/// What the sheet's own sum says, for who reads it without reckoning.
fn total(all: &[&Exception]) -> String {
    let sum: Option<i128> =
        all.iter().take(ROWS).map(|one| if one.amount.is_empty() { Some(0) } else { cents(&one.amount) }).sum();
    sum.map(decimal).unwrap_or_default()
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
