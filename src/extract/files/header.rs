//! Which row of a sheet holds its headers, and which column each header is.
//!
//! Pure. A title, a filter or a date may stand above the headers; they are told by being known. Of two headers of one column
//! the better one counts, and the other is kept under its own words.

use std::collections::BTreeMap;

use super::sheet::aliases;
use super::values::{Value, trimmed};
use crate::extract::manifest::{ColumnFrom, ColumnKind, Table};

/// Rows from the top among which the header row is looked for.
pub(crate) const HEADER_ROWS_MAX: usize = 60;

/// A header without case, blanks and signs, but for `#` and `%`, which tell numbers and percents from names.
pub(crate) fn folded(text: &str) -> String {
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '#' | '%'));
    kept.flat_map(char::to_lowercase).collect()
}

/// Whether a header that no column has stands above tax ids or bank numbers: nobody declared what becomes of them, so that they
/// are not kept.
pub(crate) fn is_secret(header: &str) -> bool {
    const WHOLE: [&str; 7] = ["ein", "tin", "ssn", "sin", "aba", "iban", "swift"];
    const PARTS: [&str; 9] = [
        "taxid",
        "taxnumber",
        "taxpayer",
        "federalid",
        "fein",
        "socialsecurity",
        "routing",
        "bankaccount",
        "accountnumber",
    ];
    let words: Vec<String> = header.split(|letter: char| !letter.is_alphanumeric()).map(folded).collect();
    let joined: String = words.concat();
    WHOLE.iter().any(|word| words.iter().any(|found| found == word)) || PARTS.iter().any(|part| joined.contains(part))
}

/// The headers that a table's columns may have.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// By folded header: the column, and how good the header is.
    known: BTreeMap<String, (usize, usize)>,
    /// Known headers that make a row the header row.
    enough: usize,
}

/// A column of a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A declared column: its place in the table, its field in the record, its type.
    Declared(usize, String, ColumnKind),
    /// Another: its header, as the record's field.
    Other(String),
    /// Nothing but blanks above it; told only where it holds something.
    Nameless(String),
}

impl Names {
    /// Those of a table; `own` are headers that the bundle names, by column or field.
    pub(crate) fn new(table: &Table, own: &BTreeMap<String, String>, headers_min: usize) -> Self {
        let mut known = BTreeMap::new();
        let mut columns = std::collections::BTreeSet::new();
        let place_of = |name: &str| table.columns.iter().position(|(column, _)| column == name);
        for (rank, (name, alias)) in aliases(table).enumerate() {
            let Some(place) = place_of(name) else { continue };
            columns.insert(place);
            known.entry(folded(alias)).or_insert((place, rank + 1));
        }
        for (name, header) in own {
            let is_it = |(column, declared): &(String, crate::extract::manifest::Column)| {
                column == name || matches!(&declared.from, ColumnFrom::Path(path) if path == name)
            };
            let Some(place) = table.columns.iter().position(is_it) else { continue };
            known.insert(folded(header), (place, 0));
        }
        Self { known, enough: headers_min.min(columns.len()).max(1) }
    }

    /// How many columns the cells of a row are the headers of.
    pub(crate) fn score(&self, row: &[Value]) -> usize {
        let found = row.iter().filter_map(|cell| self.known.get(&folded(&cell.written())).map(|(place, _)| *place));
        found.collect::<std::collections::BTreeSet<usize>>().len()
    }

    /// Whether a row has enough of them.
    pub(crate) fn is_header(&self, row: &[Value]) -> bool {
        self.score(row) >= self.enough
    }

    /// How many are enough.
    pub(crate) fn enough(&self) -> usize {
        self.enough
    }

    /// Cells of the header row that say the same and are a column's header: the first of them, and another.
    pub(crate) fn twins(&self, row: &[Value]) -> Vec<(usize, usize)> {
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        let mut twins = Vec::new();
        for (at, header) in row.iter().map(|cell| folded(&cell.written())).enumerate() {
            if !self.known.contains_key(&header) {
                continue;
            }
            match first.get(&header) {
                Some(before) => twins.push((*before, at)),
                None => drop(first.insert(header, at)),
            }
        }
        twins
    }

    /// What each cell of the header row stands above.
    pub(crate) fn slots(&self, table: &Table, row: &[Value]) -> Vec<Slot> {
        let mut best: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let written: Vec<String> = row.iter().map(|cell| words(&cell.written())).collect();
        for (at, header) in written.iter().enumerate() {
            let Some((place, rank)) = self.known.get(&folded(header)).copied() else { continue };
            let known = best.entry(place).or_insert((rank, at));
            if rank < known.0 {
                *known = (rank, at);
            }
        }
        let mut used: BTreeMap<String, usize> = BTreeMap::new();
        let declared = best.into_iter().map(|(place, (_, at))| (at, place));
        let declared: BTreeMap<usize, usize> = declared.collect();
        let fields: Vec<&str> = table
            .columns
            .iter()
            .filter_map(|(_, column)| match &column.from {
                ColumnFrom::Path(path) => Some(path.as_str()),
                ColumnFrom::Parent(_) | ColumnFrom::Position => None,
            })
            .collect();
        let slot = |(at, header): (usize, &String)| {
            if let Some((place, (_, column))) =
                declared.get(&at).and_then(|place| Some((*place, table.columns.get(*place)?)))
                && let ColumnFrom::Path(path) = &column.from
            {
                return Slot::Declared(place, path.clone(), column.kind);
            }
            if header.is_empty() {
                return Slot::Nameless(format!("column {}", at + 1));
            }
            let count = used.entry(header.clone()).or_default();
            *count += 1;
            // A field of that name is another column's, or has been given.
            let is_taken =
                *count > 1 || fields.contains(&header.as_str()) || ["bundle", "as_written"].contains(&header.as_str());
            Slot::Other(if is_taken {
                format!("{header} ({})", *count + usize::from(*count == 1))
            } else {
                header.clone()
            })
        };
        written.iter().enumerate().map(slot).collect()
    }
}

/// On one line, with single blanks.
fn words(text: &str) -> String {
    trimmed(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_compared_without_case_blanks_and_signs() {
        for (one, other) in
            [("Amount_Paid", "AMOUNT PAID"), ("PO #", "po#"), ("Payment method/check #", "Payment Method / Check #")]
        {
            assert_eq!(folded(one), folded(other));
        }
        assert_ne!(folded("PO #"), folded("PO"));
    }

    #[test]
    fn what_must_not_be_kept_is_known_by_its_header() {
        for header in
            ["Federal Tax ID", "SSN", "Tax_ID_Number", "Vendor EIN", "Bank Account #", "ABA Routing", "Account Number"]
        {
            assert!(is_secret(header), "{header}");
        }
        for header in ["Assigned to", "Being", "Title", "Cost account", "Routine", "Final"] {
            assert!(!is_secret(header), "{header}");
        }
    }
}
