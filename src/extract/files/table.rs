//! One file of a bundle as the records of its table, in JSON as records of any interface are.
//!
//! A record has the declared columns under their fields, plain, and every other column under its own header. What was written
//! otherwise than it is kept (`(1,234.50)`) stands beside it under `as_written`, which is no content: an export in another format is no
//! change. Invariant: a row is a record, a row of totals, a title, or it is told; none is dropped in silence.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use super::bundle::{Bundle, BundleFile, Columns};
use super::grid::{self, Row};
use super::header::{HEADER_ROWS_MAX, Names, Slot, folded, is_secret};
use super::sheet::{AS_WRITTEN, OF_BUNDLE, Sheet};
use super::totals::{Sums, is_label};
use super::values::{Plain, Value, shortest};
use crate::extract::failure::{Failure, FailureKind};
use crate::extract::manifest::{ColumnFrom, ColumnKind, Table};
use crate::warehouse::rows::ColumnType;

/// Rows below the last record, at most, that may be notes: who made the export, and when.
const NOTES_MAX: usize = 10;

/// What is read the same way in every file of a table.
#[derive(Debug)]
pub(crate) struct SheetReader<'a> {
    pub bundle: &'a Bundle,
    pub table: &'a Table,
    pub headers_min: usize,
    /// Columns that are not kept in clear: how they were written is not kept either.
    pub hidden: BTreeSet<String>,
}

/// What a file told.
#[derive(Debug, Default)]
pub(crate) struct SheetRead {
    /// Rows that were records.
    pub records: u64,
    /// Why its records are not to be believed as a whole.
    pub broken: Option<String>,
    /// The first value that is none, with its place, and how many there are.
    pub unfit: Option<(String, u64)>,
}

/// How often each key came, without the column that numbers them.
pub(crate) type Lines = BTreeMap<String, i64>;

impl SheetReader<'_> {
    fn refuse(&self, file: &BundleFile, what: String, hint: Option<String>) -> Failure {
        Failure {
            kind: FailureKind::Other,
            request: format!("read {}", self.bundle.shown(file)),
            what,
            hint,
            field: None,
        }
    }

    /// Reads a file, and gives each record to `take`.
    pub(crate) fn read(
        &self,
        file: &BundleFile,
        bytes: Bytes,
        lines: &mut Lines,
        take: &mut dyn FnMut(String),
    ) -> Result<SheetRead, Failure> {
        let own = match &file.columns {
            Columns::Named(own) => own.clone(),
            Columns::Expected(_) => BTreeMap::new(),
        };
        let names = Names::new(self.table, &own, self.headers_min);
        let refuse = |error: String| {
            let (what, hint) = match error.split_once("\nhint: ") {
                Some((what, hint)) => (what.to_owned(), Some(hint.to_owned())),
                None => (error, None),
            };
            self.refuse(file, what, hint)
        };
        let score = |row: &[Value]| names.score(row);
        let mut rows =
            grid::open(&file.path, bytes, file.sheet.as_deref(), (&score, names.enough())).map_err(refuse)?;
        let mut above = Vec::new();
        let mut header = None;
        for row in rows.by_ref().take(HEADER_ROWS_MAX) {
            let row = row.map_err(refuse)?;
            if names.is_header(&row.cells) {
                header = Some(row);
                break;
            }
            above.extend(Some(row).filter(|row| !row.cells.iter().all(Value::is_blank)));
        }
        let Some(header) = header else { return Err(self.no_header(file, &names, above.first())) };
        let slots = names.slots(self.table, &header.cells);
        self.complete(file, &header, &slots)?;
        let given = self.given(file, &slots)?;
        let is_declared = |(at, _): &(usize, usize)| matches!(slots.get(*at), Some(Slot::Declared(..)));
        let twins = names.twins(&header.cells).into_iter().filter(is_declared).collect();
        let is_text = grid::is_text(&file.path);
        let mut reading = Reading {
            reader: self,
            slots,
            given,
            sums: Sums::new(self.table),
            read: SheetRead::default(),
            lines,
            twins,
            is_text,
        };
        if let Some(row) = above.iter().find(|row| reading.is_like_a_record(row)) {
            let (above, below) = (row.number, header.number);
            reading.doubt(format!(
                "row {above} stands above the headers, which are in row {below}, and looks like a record\nhint: the headers were \
                 moved, by sorting perhaps: export it again, or put them above all records"
            ));
        }
        let mut loose: Vec<Row> = Vec::new();
        for row in rows {
            let row = row.map_err(refuse)?;
            if row.cells.iter().all(Value::is_blank) {
                continue;
            }
            if names.is_header(&row.cells) {
                // Once more on each page, or where exports were put one below the other.
                reading.same_headers(&header, &row);
            } else if reading.is_total(&row) {
                reading.total(&row);
            } else if (reading.has_key(&row) && !is_bare_label(&row)) || !is_note(&row) {
                // What looked like a note had records below it.
                for row in loose.drain(..).chain([row]) {
                    take(reading.record(&row));
                }
            } else {
                loose.push(row);
            }
        }
        let notes = loose.len();
        if notes > NOTES_MAX {
            for row in loose {
                take(reading.record(&row));
            }
        }
        Ok(reading.finish())
    }

    /// Fields that the bundle gives for all records of the file, where the sheet does not have them.
    fn given(&self, file: &BundleFile, slots: &[Slot]) -> Result<Map<String, Json>, Failure> {
        let mut given = Map::new();
        for (name, value) in &file.values {
            let place = self.table.columns.iter().position(|(column, _)| column == name);
            let column = place.and_then(|place| self.table.columns.get(place));
            let Some((_, ColumnFrom::Path(field))) = column.map(|(name, column)| (name, &column.from)) else {
                let known = self.table.columns.iter().map(|(column, _)| column.as_str());
                let what =
                    format!("the bundle's manifest gives a value for `{name}`, which {} has not", self.table.name);
                let hint = format!("columns are {}", known.collect::<Vec<_>>().join(", "));
                return Err(self.refuse(file, what, Some(hint)));
            };
            if !slots.iter().any(|slot| matches!(slot, Slot::Declared(at, ..) if Some(*at) == place)) {
                given.insert(field.clone(), Json::String(value.clone()));
            }
        }
        Ok(given)
    }

    fn no_header(&self, file: &BundleFile, names: &Names, first: Option<&Row>) -> Failure {
        let cells = |row: &Row| {
            let shown = row.cells.iter().map(Value::written).filter(|text| !text.is_empty()).take(8);
            shown.map(|text| text.chars().take(30).collect::<String>()).collect::<Vec<_>>().join(" | ")
        };
        let table = &self.table.name;
        let known = super::sheet::aliases(self.table).map(|(_, alias)| alias);
        let mut seen = BTreeSet::new();
        let known = known.filter(|alias| seen.insert(folded(alias))).take(12).collect::<Vec<_>>().join(", ");
        let what = match first.map(cells) {
            None => format!("it is empty: not even the headers of {table} are there"),
            Some(first) => {
                format!(
                    "none of its first {HEADER_ROWS_MAX} rows has {} of the headers of {table}; it begins with `{first}`",
                    names.enough()
                )
            }
        };
        let hint =
            format!("headers are {known} …; others are named as \"columns\" of the file in the bundle's manifest");
        self.refuse(file, what, Some(hint))
    }

    /// Refuses a sheet that lacks a column which its table cannot do without, or which the bundle says it has.
    fn complete(&self, file: &BundleFile, header: &Row, slots: &[Slot]) -> Result<(), Failure> {
        let table = self.table;
        let sheet = table.sheet.as_ref();
        let is_needed = |name: &&String| {
            !table.blank.contains(*name) && sheet.is_none_or(|sheet: &Sheet| sheet.line.as_ref() != Some(*name))
        };
        let of_bundle = |name: &String| {
            table
                .column(name)
                .is_some_and(|column| matches!(&column.from, ColumnFrom::Path(path) if path.contains('.')))
        };
        let needed = table.key.iter().filter(is_needed).chain(sheet.into_iter().flat_map(|sheet| &sheet.required));
        let has = |name: &str| {
            let place = table.columns.iter().position(|(column, _)| column == name);
            slots.iter().any(|slot| matches!(slot, Slot::Declared(at, ..) if Some(*at) == place))
        };
        let is_given = |name: &String| of_bundle(name) || file.values.contains_key(name);
        let missing: BTreeSet<&String> = needed.filter(|name| !has(name) && !is_given(name)).collect();
        let shown =
            || header.cells.iter().map(Value::written).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
        if let Some(name) = missing.first() {
            let aliases: Vec<&str> =
                super::sheet::aliases(table).filter(|(column, _)| column == *name).map(|(_, alias)| alias).collect();
            let what = format!("{} has no column `{name}` in it; its headers are {}", table.name, shown());
            let hint = format!(
                "export it with the column, called {}; or write \"columns\": {{\"{name}\": \"(its header)\"}} beside the path in \
                 the bundle's manifest",
                aliases.join(" or ")
            );
            return Err(self.refuse(file, what, Some(hint)));
        }
        let expected: Vec<&String> = match &file.columns {
            Columns::Expected(headers) => headers.iter().collect(),
            Columns::Named(own) => own.values().collect(),
        };
        let written: BTreeSet<String> = header.cells.iter().map(|cell| folded(&cell.written())).collect();
        if let Some(lost) = expected.into_iter().find(|header| !written.contains(&folded(header))) {
            let what =
                format!("the bundle's manifest says that it has the header `{lost}`; its headers are {}", shown());
            let hint = "export it as before, or write \"columns\" as the file is now".to_owned();
            return Err(self.refuse(file, what, Some(hint)));
        }
        Ok(())
    }
}

/// A file that is being read.
struct Reading<'a, 'l> {
    reader: &'a SheetReader<'a>,
    slots: Vec<Slot>,
    given: Map<String, Json>,
    sums: Sums,
    read: SheetRead,
    lines: &'l mut Lines,
    /// Columns under the same header as a declared one before them.
    twins: Vec<(usize, usize)>,
    /// A line of text may be cut, or parted at the comma of an amount; a row of a workbook may not.
    is_text: bool,
}

impl Reading<'_, '_> {
    fn table(&self) -> &Table {
        self.reader.table
    }

    fn is_key(&self, place: usize) -> bool {
        let table = self.table();
        let name = table.columns.get(place).map(|(name, _)| name);
        name.is_some_and(|name| table.key.contains(name) && !table.blank.contains(name))
    }

    /// Whether all parts of the key are there that may not be blank.
    fn has_key(&self, row: &Row) -> bool {
        let keys = self
            .slots
            .iter()
            .zip(&row.cells)
            .filter(|(slot, _)| matches!(slot, Slot::Declared(at, ..) if self.is_key(*at)));
        let parts = self.slots.iter().filter(|slot| matches!(slot, Slot::Declared(at, ..) if self.is_key(*at))).count();
        keys.filter(|(_, cell)| !cell.is_blank()).count() == parts
    }

    /// Whether a row above the headers is none of a title, a filter or a date: it has a whole key, and numbers or days where the
    /// headers say that there are some.
    fn is_like_a_record(&self, row: &Row) -> bool {
        let cells = || self.slots.iter().zip(&row.cells).filter(|(_, cell)| !cell.is_blank());
        let (mut fit, mut unfit) = (0, 0);
        for (slot, cell) in cells() {
            if let Slot::Declared(_, _, kind @ ColumnKind::Plain(ColumnType::Decimal(..) | ColumnType::Date)) = slot {
                match cell.plain(*kind, self.reader.bundle.forms) {
                    Plain::Of(_) => fit += 1,
                    Plain::Unfit(_) => unfit += 1,
                    Plain::Nothing => {}
                }
            }
        }
        let is_full = cells().filter(|(slot, _)| matches!(slot, Slot::Declared(..))).count() >= self.reader.headers_min;
        is_full && self.has_key(row) && fit > 0 && unfit == 0 && !self.is_total(row)
    }

    /// Notes why the records are not to be believed as a whole: the first reason.
    fn doubt(&mut self, why: String) {
        self.read.broken.get_or_insert(why);
    }

    fn same_headers(&mut self, header: &Row, again: &Row) {
        let folded_all = |row: &Row| row.cells.iter().map(|cell| folded(&cell.written())).collect::<Vec<_>>();
        if folded_all(header) != folded_all(again) {
            self.doubt(format!(
                "row {} has other headers than row {}: two lists stand in one file\nhint: make a file of each, both named in the \
                 bundle's manifest",
                again.number, header.number
            ));
        }
    }

    /// What is wrong with the cells of a record as a whole.
    fn doubt_cells(&mut self, row: &Row) {
        let beyond = row.cells.iter().skip(self.slots.len()).filter(|cell| !cell.is_blank()).count();
        if self.is_text && beyond > 0 {
            self.doubt(format!(
                "row {} has {} cells below {} headers: what stands where is not known\nhint: a text with a separator in it, as \
                 1,234.56, needs quotes: export it again, as a workbook if need be",
                row.number,
                row.cells.len(),
                self.slots.len()
            ));
        }
        let cell = |at: usize| row.cells.get(at).map(Value::written).unwrap_or_default();
        if let Some((at, _)) = self.twins.iter().find(|(one, other)| cell(*one) != cell(*other))
            && let Some(Slot::Declared(place, ..)) = self.slots.get(*at)
            && let Some((name, _)) = self.reader.table.columns.get(*place)
        {
            self.doubt(format!(
                "two columns have the same header, and row {} says two things of `{name}`\nhint: rename the header of the one that is \
                 not meant, or leave it out of the export",
                row.number
            ));
        }
    }

    /// A row of totals: it says so and has nothing but numbers beside it, or has numbers and no word at all.
    fn is_total(&self, row: &Row) -> bool {
        let cells = || {
            self.slots
                .iter()
                .map(Some)
                .chain(std::iter::repeat(None))
                .zip(&row.cells)
                .filter(|(_, cell)| !cell.is_blank())
        };
        let is_number = |(slot, cell): &(Option<&Slot>, &Value)| match slot {
            Some(Slot::Declared(_, _, ColumnKind::Plain(ColumnType::Decimal(..) | ColumnType::Int64))) => true,
            Some(Slot::Declared(..)) => false,
            Some(Slot::Other(_) | Slot::Nameless(_)) | None => {
                matches!(cell, Value::Number(_)) || super::values::amount(&cell.written(), '.').is_ok()
            }
        };
        let words: Vec<String> = cells().filter(|found| !is_number(found)).map(|(_, cell)| cell.written()).collect();
        match words.as_slice() {
            [] => !self.has_key(row) && cells().next().is_some(),
            [word] => is_label(word) && (!self.has_key(row) || cells().count() > 1),
            _ => false,
        }
    }

    fn total(&mut self, row: &Row) {
        let forms = &self.reader.bundle.forms;
        for (slot, cell) in self.slots.iter().zip(&row.cells) {
            if let Slot::Declared(place, _, kind) = slot
                && let Plain::Of(text) = cell.plain(*kind, *forms)
            {
                self.sums.told(*place, &text, row.number);
            }
        }
        self.sums.close();
    }

    fn record(&mut self, row: &Row) -> String {
        self.doubt_cells(row);
        let forms = self.reader.bundle.forms;
        let (mut record, mut written) = (self.given.clone(), Map::new());
        for (slot, cell) in self.slots.iter().zip(row.cells.iter().chain(std::iter::repeat(&Value::Empty))) {
            match slot {
                Slot::Declared(place, field, kind) => {
                    let value = match cell.plain(*kind, forms) {
                        Plain::Nothing => Json::Null,
                        Plain::Of(text) => {
                            self.sums.add(*place, &text);
                            let was = cell.written();
                            let is_hidden = || self.reader.hidden.contains(field);
                            if shortest(&was) != text && matches!(cell, Value::Text(_)) && !is_hidden() {
                                written.insert(field.clone(), Json::String(was));
                            }
                            Json::String(text)
                        }
                        Plain::Unfit(text) => {
                            let name = self.reader.table.columns.get(*place).map_or(field, |(name, _)| name);
                            let unfit = self.read.unfit.get_or_insert_with(|| {
                                let shown: String = if self.reader.hidden.contains(field) {
                                    "a value".to_owned()
                                } else {
                                    format!("`{}`", text.chars().take(40).collect::<String>())
                                };
                                (format!("{shown} of `{name}` in row {}", row.number), 0)
                            });
                            unfit.1 += 1;
                            Json::String(text)
                        }
                    };
                    record.insert(field.clone(), value);
                }
                Slot::Other(header) => {
                    let text = if is_secret(header) { String::new() } else { cell.written() };
                    record.insert(header.clone(), if text.is_empty() { Json::Null } else { Json::String(text) });
                }
                Slot::Nameless(name) if !cell.is_blank() => {
                    record.insert(name.clone(), Json::String(cell.written()));
                }
                Slot::Nameless(_) => {}
            }
        }
        for (at, cell) in row.cells.iter().enumerate().skip(self.slots.len()).filter(|(_, cell)| !cell.is_blank()) {
            record.insert(format!("column {}", at + 1), Json::String(cell.written()));
        }
        self.number(&mut record);
        self.of_bundle(&mut record);
        if !written.is_empty() {
            record.insert(AS_WRITTEN.to_owned(), Json::Object(written));
        }
        self.read.records += 1;
        Json::Object(record).to_string()
    }

    /// Numbers records that are alike in the rest of the key.
    fn number(&mut self, record: &mut Map<String, Json>) {
        let table = self.reader.table;
        let Some(line) = table.sheet.as_ref().and_then(|sheet| sheet.line.as_ref()) else { return };
        let field = |name: &String| match &table.column(name)?.from {
            ColumnFrom::Path(path) => Some(path.clone()),
            ColumnFrom::Parent(_) | ColumnFrom::Position => None,
        };
        let others = table.key.iter().filter(|name| *name != line).filter_map(field);
        let key: Vec<&Json> = others.map(|field| record.get(&field).unwrap_or(&Json::Null)).collect();
        let key = serde_json::to_string(&key).unwrap_or_default();
        let count = self.lines.entry(key).or_default();
        *count += 1;
        if let Some(field) = field(line) {
            record.insert(field, Json::from(*count));
        }
    }

    fn of_bundle(&self, record: &mut Map<String, Json>) {
        let mut told = Map::new();
        for (_, column) in &self.reader.table.columns {
            let ColumnFrom::Path(path) = &column.from else { continue };
            let value = match path.as_str() {
                "bundle.company" => &self.reader.bundle.company,
                "bundle.currency" => &self.reader.bundle.currency,
                _ => continue,
            };
            let name = path.rsplit('.').next().unwrap_or_default();
            told.insert(name.to_owned(), value.as_ref().map_or(Json::Null, |text| Json::String(text.clone())));
        }
        if !told.is_empty() {
            record.insert(OF_BUNDLE.to_owned(), Json::Object(told));
        }
    }

    fn finish(mut self) -> SheetRead {
        if let Some(why) = self.sums.difference(self.reader.table) {
            self.doubt(why);
        }
        self.read
    }
}

/// `Totals:` and nothing else, where the key stands: below the last record it totals a list without amounts; with records below it
/// somebody is called so.
fn is_bare_label(row: &Row) -> bool {
    let mut cells = row.cells.iter().filter(|cell| !cell.is_blank());
    cells.next().is_some_and(|cell| is_label(&cell.written())) && cells.next().is_none()
}

/// One cell of text, and no key: who exported it, a heading, a filter.
fn is_note(row: &Row) -> bool {
    let mut cells = row.cells.iter().filter(|cell| !cell.is_blank());
    matches!((cells.next(), cells.next()), (Some(Value::Text(_)), None))
}
