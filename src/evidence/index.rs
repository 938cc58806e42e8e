//! `index.json`: what a package holds, in words that a program can check.

use serde::{Deserialize, Serialize};

use super::amount;

/// The format of a package that this version writes and reads.
pub const FORMAT: u32 = 1;

/// Everything that a package says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Index {
    /// [`FORMAT`] of the version that wrote it.
    pub format: u32,
    /// The version of tieout that wrote it.
    pub tool_version: String,
    /// The warehouse, a UUID.
    pub warehouse_id: String,
    /// Whose books these are; empty if the settings do not say.
    pub firm: String,
    /// The moment that every item is read at.
    pub as_of: Moment,
    /// By which manifests, views and settings.
    pub definitions: DefinitionsUsed,
    /// Every source, with the newest run that the moment knows.
    pub sources: Vec<SourceAsOf>,
    /// The results.
    pub items: Vec<Item>,
    /// The samples drawn from them.
    pub samples: Vec<Sample>,
    /// Every other file but `SHA256SUMS`, by path.
    pub files: Vec<File>,
}

/// A commit, and what was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// The pin, if one was asked for.
    pub pin: Option<PinUsed>,
    /// The commit that is read.
    pub commit: u64,
    /// SHA-256 of its manifest.
    pub digest: String,
    /// When it became visible, RFC 3339 in UTC.
    pub committed_at: String,
    /// As of when its data is true, RFC 3339 in UTC.
    pub observed_at: String,
    /// The business date that balances are rebuilt at.
    pub accounting_date: String,
}

/// A pin, and the commit that made it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PinUsed {
    /// Its name.
    pub name: String,
    /// The commit that made it.
    pub commit: u64,
    /// SHA-256 of that commit's manifest.
    pub digest: String,
}

/// A set of definitions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DefinitionsUsed {
    /// `pinned`: those that the commit names; `current`: those of the day the package was made.
    pub read_by: String,
    /// SHA-256 of the set, whose file is in `chain/definitions/`.
    pub hash: String,
    /// SHA-256 of the set that the commit names.
    pub of_commit: String,
}

/// A source as the moment knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceAsOf {
    /// Its name in the settings.
    pub source: String,
    /// The system.
    pub system: String,
    /// The commit of its newest run; none if it was never read.
    pub commit: Option<u64>,
    /// The oldest page of that run, RFC 3339 in UTC.
    pub observed_at: Option<String>,
    /// Tables that ended otherwise than complete in it.
    pub incomplete_tables: Vec<String>,
}

/// What a column's text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// As it stands.
    Text,
    /// A whole number.
    Integer,
    /// A decimal number of a fixed scale.
    Decimal,
    /// An approximate number.
    Float,
    /// A day.
    Date,
    /// A moment in UTC.
    Moment,
    /// `true` or `false`.
    Boolean,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Places after the point, of a decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
}

/// The sum of a decimal column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the word of the index, where the struct has no name")]
pub struct Total {
    /// The column.
    pub column: String,
    /// The exact sum of its values, nulls left out, as decimal text.
    pub total: String,
    /// How many values it is the sum of.
    pub values: u64,
}

/// What can be said of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the word of the index, where the struct has no name")]
pub struct Verdict {
    /// `clean`, `exceptions`, `complete`, `partial`, `not_evaluated`, `not_applicable`, `failed`, or `not_stated`.
    pub verdict: String,
    /// Why it could not look, or only in part.
    pub reason: Option<String>,
    /// What says so: a view, or the rows themselves.
    pub stated_by: String,
    /// More of it, as name and value.
    pub details: Vec<(String, String)>,
}

impl Verdict {
    /// Whether fewer rows may stand here than there are: no all-clear.
    pub fn is_silent(&self) -> bool {
        matches!(self.verdict.as_str(), "partial" | "not_evaluated" | "failed")
    }
}

/// A text that the result follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logic {
    /// Its path in the definitions.
    pub path: String,
    /// SHA-256 of its text.
    pub sha256: String,
}

/// One result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    /// Its name, which its files have too.
    pub name: String,
    /// `audit`, `check`, `grounds`, `view` or `query`.
    pub kind: String,
    /// One line for people.
    pub title: String,
    /// The question that it answers.
    pub question: String,
    /// What a row is.
    pub grain: String,
    /// The settings that change the answer, as the view's header names them.
    pub parameters: String,
    /// The query whose rows these are, tied by all columns from left to right.
    pub query: String,
    /// The texts that it follows from; those that they name are in the definitions.
    pub logic: Vec<Logic>,
    /// What can be said of it.
    pub verdict: Verdict,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub row_count: u64,
    /// The sums.
    pub control_totals: Vec<Total>,
    /// The file of its SQL.
    pub sql: String,
    /// The file of its rows; none if the query failed.
    pub csv: Option<String>,
    /// The workbook, and how many of the rows it holds.
    pub xlsx: Option<Workbook>,
}

/// A workbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workbook {
    /// The file.
    pub path: String,
    /// The rows that it holds, from the first.
    pub rows: u64,
    /// Texts that were too long for a cell and are cut in it.
    pub cut_texts: u64,
}

/// A sample: what it was drawn from, how, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The item whose rows are the population.
    pub item: String,
    /// How it was drawn.
    pub method: Method,
    /// The seed as given.
    pub seed: u64,
    /// Rows of the item.
    pub row_count: u64,
    /// Rows that could be drawn.
    pub population_count: u64,
    /// The sum of what could be drawn, of a monetary-unit sample.
    pub population_total: Option<String>,
    /// Rows that could not be drawn, each with its reason, its count and its sum.
    pub left_out: Vec<LeftOut>,
    /// One in so many units was drawn, of a monetary-unit sample.
    pub interval: Option<String>,
    /// The first unit drawn, of a monetary-unit sample.
    pub start: Option<String>,
    /// Rows drawn.
    pub drawn_count: u64,
    /// The file of them.
    pub csv: String,
    /// The workbook of them.
    pub xlsx: Option<Workbook>,
}

/// Rows that could not be drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// `negative`, `zero` or `null`.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// What they come to.
    pub total: String,
}

/// How a sample is drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// So many rows, each set of them as likely as any other.
    Random {
        /// Rows wanted.
        size: u64,
    },
    /// Rows in proportion to an amount, one in every interval.
    MonetaryUnit {
        /// Intervals wanted.
        size: u64,
        /// The column of the amount.
        column: String,
        /// Which amounts count.
        amounts: Amounts,
    },
}

/// Which amounts a monetary unit can be drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amounts {
    /// Those above zero; the others are told apart.
    Positive,
    /// All, by their size without the sign.
    Absolute,
}

/// A file of the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path, with `/`.
    pub path: String,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// A sum on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    units: i128,
    values: u64,
}

impl Sum {
    /// Adds a value; false if it is no decimal of that scale, or the sum does not fit.
    pub(super) fn add(&mut self, text: &str, scale: u32) -> bool {
        let sum = amount::units(text, scale).and_then(|units| self.units.checked_add(units));
        self.values += 1;
        sum.inspect(|sum| self.units = *sum).is_some()
    }

    pub(super) fn total(&self, column: &Column) -> Total {
        let scale = column.scale.unwrap_or_default();
        Total { column: column.name.clone(), total: amount::text(self.units, scale), values: self.values }
    }
}
