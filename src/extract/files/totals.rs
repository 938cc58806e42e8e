//! Rows of totals: the sums that a sheet tells of itself, held against those of its records.
//!
//! Exact: sums are of decimals, never of floats. A cent of rounding for each hundred records is no difference.

use std::collections::BTreeMap;

use tieout_json::decimal;

use crate::extract::manifest::Table;

/// Digits after the point in which sums are kept.
const SCALE: i8 = 6;
/// A cent.
const CENT: i128 = 10_000;

/// The sums of the columns that a row of totals may tell.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// By the column's place.
    columns: BTreeMap<usize, Sum>,
}

#[derive(Debug, Default)]
struct Sum {
    records: i128,
    /// Of all records so far.
    all: i128,
    /// Of those since the last row of totals.
    since: i128,
    /// What a row of totals says and the records do not: what it says, where it stands, and what they add up to.
    difference: Option<(i128, usize, i128)>,
    /// The last thing told.
    told: Option<i128>,
}

/// Whether a word heads a row of totals.
pub(crate) fn is_label(word: &str) -> bool {
    let word = word.trim_end_matches([':', '.']).trim().to_lowercase();
    let is_total = |part: &str| matches!(part, "total" | "totals" | "subtotal" | "subtotals" | "sum" | "sums");
    if word.starts_with("total for ") || word.starts_with("totals for ") {
        return true;
    }
    let mut parts = word.split([' ', '-']).filter(|part| !part.is_empty());
    match (parts.next(), parts.next(), parts.next()) {
        (Some(part), None, None) | (Some("grand" | "report" | "overall" | "page" | "sub"), Some(part), None) => {
            is_total(part)
        }
        _ => false,
    }
}

impl Sums {
    pub(crate) fn new(table: &Table) -> Self {
        let names = table.sheet.iter().flat_map(|sheet| &sheet.totals);
        let places = names.filter_map(|name| table.columns.iter().position(|(column, _)| column == name));
        Self { columns: places.map(|place| (place, Sum::default())).collect() }
    }

    /// A record's value.
    pub(crate) fn add(&mut self, place: usize, text: &str) {
        let Some(sum) = self.columns.get_mut(&place) else { return };
        if let Some(value) = decimal(text, 38, SCALE) {
            sum.records += 1;
            (sum.all, sum.since) = (sum.all.saturating_add(value), sum.since.saturating_add(value));
        }
    }

    /// What a row of totals says of a column.
    pub(crate) fn told(&mut self, place: usize, text: &str, row: usize) {
        let Some(sum) = self.columns.get_mut(&place) else { return };
        let Some(value) = decimal(text, 38, SCALE) else { return };
        let tolerance = CENT + CENT * (sum.records / 100);
        let is_near = |other: i128| (value - other).abs() <= tolerance;
        if !is_near(sum.all) && !is_near(sum.since) {
            sum.difference = Some((value, row, sum.all));
        }
        sum.told = Some(value);
    }

    /// The row of totals has ended.
    pub(crate) fn close(&mut self) {
        for sum in self.columns.values_mut() {
            if sum.told.take().is_some() {
                sum.since = 0;
            }
        }
    }

    /// The first difference, in words.
    pub(crate) fn difference(&self, table: &Table) -> Option<String> {
        let (place, (told, row, sum)) = self.columns.iter().find_map(|(place, sum)| Some((place, sum.difference?)))?;
        let (name, _) = table.columns.get(*place)?;
        Some(format!(
            "the row of totals (row {row}) says {} of `{name}`, and the records above it add up to {}: some are missing, or the \
             export was filtered\nhint: export it again without filters; a total over other rows than these must not be in the file",
            cents(told),
            cents(sum)
        ))
    }
}

fn cents(units: i128) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let units = units.unsigned_abs();
    format!("{sign}{}.{:02}", units / 1_000_000, units / 10_000 % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_head_a_row_of_totals_and_no_company_does() {
        for word in ["Total", "TOTALS:", "Grand Total", "Sub-total", "Subtotal", "Total for Miller Residence", "Sum"] {
            assert!(is_label(word), "{word}");
        }
        for word in ["Total Concrete", "Total Concrete Inc", "Summit", "Grand Builders", ""] {
            assert!(!is_label(word), "{word}");
        }
    }

    #[test]
    fn sums_show_their_cents() {
        assert_eq!((cents(1_234_567_800).as_str(), cents(-50_000).as_str()), ("1234.56", "-0.05"));
    }
}
