//! Lists as people export them from a page: a title, headers, rows, a row of totals; as text or as a workbook.
//!
//! Leaves out which lists a system has, who exports when, and what is said beside the files.

use std::collections::BTreeSet;

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, Utc};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

use crate::firm::model::{Cents, ProcoreDatabase, ProcoreId};

/// An exported list.
#[derive(Clone, Debug)]
pub struct Export {
    /// The list page: `Jobs`, `Subs/Vendors`, `Purchase Orders`, `Bills`, `Change Orders`, `Client Invoices`, `Budget`.
    pub list: &'static str,
    /// The job that the page was filtered by; the list itself does not name it.
    pub job: Option<String>,
    /// The file's name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// How a list is exported, and its headers called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// As a workbook, with numbers and dates; else CSV, all text.
    pub is_workbook: bool,
    /// The other words for the headers.
    pub has_other_words: bool,
}

/// A cell as people see it.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    Money(Cents),
    Day(Option<NaiveDate>),
}

/// A list before it is written: its title, headers in both wordings, rows, and where the totals stand.
pub(crate) struct List {
    pub page: &'static str,
    pub job: Option<String>,
    pub headers: Vec<(&'static str, &'static str)>,
    pub rows: Vec<Vec<Cell>>,
}

/// Without Procore's demo project, which no other system has, and what hangs on it.
pub(crate) fn living(database: &ProcoreDatabase) -> ProcoreDatabase {
    let mut living = database.clone();
    living.projects.retain(|_, project| !project.is_demo);
    let projects: BTreeSet<ProcoreId> = living.projects.keys().copied().collect();
    living.commitments.retain(|_, commitment| projects.contains(&commitment.project_id));
    let commitments: BTreeSet<ProcoreId> = living.commitments.keys().copied().collect();
    living.requisitions.retain(|_, requisition| commitments.contains(&requisition.commitment_id));
    living.change_orders.retain(|_, order| projects.contains(&order.project_id));
    living
}

pub(crate) fn job(database: &ProcoreDatabase, project: ProcoreId) -> String {
    database.projects.get(&project).map(|project| project.name.trim().to_owned()).unwrap_or_default()
}

pub(crate) fn company(database: &ProcoreDatabase, vendor: Option<ProcoreId>) -> String {
    let vendor = vendor.and_then(|vendor| database.vendors.get(&vendor));
    vendor.map(|vendor| vendor.name.trim().to_owned()).unwrap_or_default()
}

pub(crate) fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

pub(crate) fn day(at: Option<DateTime<Utc>>) -> Cell {
    Cell::Day(at.map(|at| at.date_naive()))
}

impl List {
    /// The list as a file; `place` is where it stands among those that are exported.
    pub(crate) fn export(&self, place: usize, style: Style) -> anyhow::Result<Export> {
        let ending = if style.is_workbook { "xlsx" } else { "csv" };
        let page: String = self.page.to_lowercase().replace([' ', '/'], "_");
        let bytes = if style.is_workbook { self.workbook(style)? } else { self.csv(style) };
        Ok(Export { list: self.page, job: self.job.clone(), name: format!("{place:02} {page}.{ending}"), bytes })
    }

    fn title(&self) -> String {
        format!("{} - {}", self.page, self.job.as_deref().unwrap_or("All Listed Jobs"))
    }

    fn headers(&self, style: Style) -> impl Iterator<Item = &'static str> {
        self.headers.iter().map(move |(usual, other)| if style.has_other_words { *other } else { *usual })
    }

    /// The sum of each column of money.
    fn totals(&self) -> Vec<Option<Cents>> {
        let sum = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let money = cells.map(|cell| if let Cell::Money(cents) = cell { Some(*cents) } else { None });
            money.collect::<Option<Vec<Cents>>>().filter(|cells| !cells.is_empty()).map(|cells| cells.into_iter().sum())
        };
        (0..self.headers.len()).map(sum).collect()
    }

    fn csv(&self, style: Style) -> Vec<u8> {
        let line = |cells: Vec<String>| {
            let quoted = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
            quoted.collect::<Vec<_>>().join(",") + "\r\n"
        };
        let shown = |cell: &Cell| match cell {
            Cell::Text(text) => text.clone(),
            Cell::Money(cents) => money(*cents),
            Cell::Day(day) => day.map(|day| day.format("%-m/%-d/%Y").to_string()).unwrap_or_default(),
        };
        let mut out = line(vec![self.title()]) + "\r\n";
        out += &line(self.headers(style).map(str::to_owned).collect());
        for row in &self.rows {
            out += &line(row.iter().map(shown).collect());
        }
        let totals = self.totals();
        if totals.iter().any(Option::is_some) {
            let cell = |(place, sum): (usize, &Option<Cents>)| match sum {
                Some(sum) => money(*sum),
                None if place == 0 => "Total".to_owned(),
                None => String::new(),
            };
            out += &line(totals.iter().enumerate().map(cell).collect());
        }
        // With the mark that spreadsheets put before text in UTF-8.
        [b"\xef\xbb\xbf".as_slice(), out.as_bytes()].concat()
    }

    fn workbook(&self, style: Style) -> anyhow::Result<Vec<u8>> {
        let mut workbook = Workbook::new();
        let (money, date) = (Format::new().set_num_format("$#,##0.00"), Format::new().set_num_format("mm/dd/yyyy"));
        let sheet = workbook.add_worksheet();
        sheet.write(0, 0, self.title())?;
        for (column, header) in (0..).zip(self.headers(style)) {
            sheet.write(2, column, header)?;
        }
        let mut at = 3;
        for row in &self.rows {
            for (column, cell) in (0..).zip(row) {
                match cell {
                    Cell::Text(text) if text.is_empty() => {}
                    Cell::Text(text) => {
                        sheet.write(at, column, text)?;
                    }
                    Cell::Money(cents) => {
                        sheet.write_with_format(at, column, number(*cents)?, &money)?;
                    }
                    Cell::Day(Some(day)) => {
                        let day = ExcelDateTime::parse_from_str(&day.to_string())?;
                        sheet.write_with_format(at, column, &day, &date)?;
                    }
                    Cell::Day(None) => {}
                }
            }
            at += 1;
        }
        for (column, sum) in (0..).zip(self.totals()) {
            match sum {
                Some(sum) => sheet.write_with_format(at, column, number(sum)?, &money)?,
                None if column == 0 => sheet.write(at, column, "Totals:")?,
                None => continue,
            };
        }
        Ok(workbook.save_to_buffer()?)
    }
}

/// The float that a workbook holds.
fn number(cents: Cents) -> anyhow::Result<f64> {
    cents.to_string().parse().context("money is a number")
}

/// `$1,234.50`, `($1,234.50)`.
fn money(cents: Cents) -> String {
    let digits = cents.abs().to_string();
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, "00"));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if cents < Cents::ZERO { format!("(${grouped}.{fraction})") } else { format!("${grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_for_people() {
        for (cents, text) in [(0, "$0.00"), (-5, "($0.05)"), (123_456_789, "$1,234,567.89"), (-10_000, "($100.00)")] {
            assert_eq!(money(Cents(cents)), text);
        }
    }
}
