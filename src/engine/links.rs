//! Links: which record of one side is which record of the other.
//!
//! Owns the rule that every `link.*` view shares (crosswalk, explicit, number, tax id, name, in this order). A view's SQL
//! lists the records of both sides under the column names of [`Record`]; what is the same thing is decided here, once.
//!
//! Invariants:
//! - A record is linked by the first method that hits it, and never by a later one.
//! - More than one candidate links nothing: a false link hides a real exception.
//! - A stored id that points at nothing does not fall through to a guess: it is an orphan, not a missing number. Unless no id at all
//!   that its connection stores on records of this kind points at something: then they are keys of another system.
//! - Of several connections of a side each is a system of its own; `links/connections.rs` tells what that means.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use connections::Connections;
use index::Index;
use stored::stored;

mod connections;
mod index;
mod stored;

/// The columns that a link view may select. One that it does not is unknown for all records.
#[derive(Clone, Copy)]
enum Column {
    /// `pm` or `erp`.
    Side,
    /// A record's key.
    RecordId,
    /// The connection that it came from, whose name may stand in front of its key.
    Source,
    /// The only connection of the other side that has its counterpart; null if nobody can say.
    PartnerSource,
    /// With [`Column::IsCompany`], in how many connections of the other side it may have a counterpart.
    IsShared,
    IsCompany,
    /// Its name, normalised: it links nothing, but tells which of several connections is meant.
    LabelKey,
    /// The other side's key as this side stores it, in upper case.
    StoredId,
    /// What people call it, in upper case; a stored id may mean this.
    Number,
    /// The ERP key of what numbers are unique in (a project, a vendor); null if unlinked. Without the column numbers are unique
    /// in the firm.
    Parent,
    /// Must agree where both sides know it.
    Kind,
    /// Must agree where both sides know it; '?' is a contract that is not linked.
    ContractId,
    /// Its number, normalised.
    NumberKey,
    /// The other side's number as this side keeps it for people, normalised.
    ReferenceKey,
    /// Tried where the first finds nothing.
    SecondNumber,
    /// Equal for the same tax id.
    TaxIdHash,
    /// Its name, normalised.
    NameKey,
    /// Within which it is the only one of its ERP record: a company's cost code serves many projects, once in each.
    Place,
    /// Void, rejected or retired; it gives way to a living one.
    IsVoid,
}

/// Their names, in the same order.
const COLUMNS: [&str; 19] = [
    "side",
    "record_id",
    "source",
    "partner_source",
    "is_shared",
    "is_company",
    "label_key",
    "stored_id",
    "number",
    "parent",
    "kind",
    "contract_id",
    "number_key",
    "reference_key",
    "second_number",
    "tax_id_hash",
    "name_key",
    "place",
    "is_void",
];

/// Rows that a link view lists, by column. There may be millions: nothing is copied out of them.
struct Listed {
    columns: Vec<Option<StringArray>>,
    rows: usize,
}

/// One record as a link view lists it.
#[derive(Clone, Copy)]
struct Record<'a> {
    listed: &'a Listed,
    row: usize,
}

/// In how many connections of the other side a record may have a counterpart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reach {
    /// In one: a document, a project.
    #[default]
    One,
    /// In each: a code.
    Each,
    /// In each, and a number alone does not say that it is the same: V0001 is somebody else in each ERP.
    EachByName,
}

/// How a pair was found, in the order in which methods are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Crosswalk,
    Explicit,
    Number,
    SecondNumber,
    TaxId,
    Name,
}

impl Step {
    fn method(self) -> &'static str {
        match self {
            Self::Crosswalk => "crosswalk",
            Self::Explicit => "explicit",
            Self::Number | Self::SecondNumber => "number",
            Self::TaxId => "tax_id",
            Self::Name => "name",
        }
    }

    /// In hundredths: 1.00 if somebody stored it, less where it is concluded.
    fn score(self) -> i128 {
        match self {
            Self::Crosswalk | Self::Explicit => 100,
            Self::Number | Self::SecondNumber | Self::TaxId => 95,
            Self::Name => 90,
        }
    }
}

/// One row of a link view.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair<'a> {
    group_id: &'a str,
    pm_id: &'a str,
    erp_id: &'a str,
    step: Step,
}

/// The columns of every link view.
pub(crate) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let score = Field::new("score", DataType::Decimal128(3, 2), true);
    Arc::new(Schema::new(vec![text("group_id"), text("pm_id"), text("erp_id"), text("method"), score]))
}

/// The rows of a link view from the records that its SQL lists and the firm's crosswalk (columns `pm_id`, `erp_id`).
/// `splits`: several ERP documents that store one PM id are one group (a bill split in two), not ambiguous.
///
/// # Errors
/// The records lack `side` or `record_id`, or a column has no text form.
pub(crate) fn linked(
    records: &[RecordBatch],
    crosswalk: &[RecordBatch],
    splits: bool,
) -> Result<RecordBatch, ArrowError> {
    let listed = records.iter().map(Listed::new).collect::<Result<Vec<_>, _>>()?;
    let mut known = Vec::new();
    for batch in crosswalk {
        let (pm_ids, erp_ids) = (texts(batch, "pm_id")?, texts(batch, "erp_id")?);
        let both =
            |index| Some((value(pm_ids.as_ref(), index)?.to_owned(), value(erp_ids.as_ref(), index)?.to_owned()));
        known.extend((0..batch.num_rows()).filter_map(both));
    }
    let links = Links::new(&listed);
    let pairs = links.pairs(&known, splits);
    let text = |get: for<'p> fn(&'p Pair<'p>) -> &'p str| -> ArrayRef {
        Arc::new(pairs.iter().map(|it| Some(get(it))).collect::<StringArray>())
    };
    let scores: Decimal128Array = pairs.iter().map(|pair| Some(pair.step.score())).collect();
    let columns = vec![
        text(|pair| pair.group_id),
        text(|pair| pair.pm_id),
        text(|pair| pair.erp_id),
        text(|pair| pair.step.method()),
        Arc::new(scores.with_precision_and_scale(3, 2)?) as ArrayRef,
    ];
    RecordBatch::try_new(schema(), columns)
}

impl Listed {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let mut columns = COLUMNS.iter().map(|name| texts(batch, name)).collect::<Result<Vec<_>, _>>()?;
        for required in [Column::Side, Column::RecordId].map(|column| column as usize) {
            if columns.get(required).is_none_or(Option::is_none) {
                let name = COLUMNS.get(required).unwrap_or(&"");
                return Err(ArrowError::SchemaError(format!("a link view must select the column {name}")));
            }
        }
        for column in [Column::StoredId, Column::Number] {
            if let Some(Some(column)) = columns.get_mut(column as usize) {
                *column = column.iter().map(|text| text.map(str::to_uppercase)).collect();
            }
        }
        Ok(Self { columns, rows: batch.num_rows() })
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let records = (0..self.rows).map(|row| Record { listed: self, row });
        records.filter(|record| record.text(Column::Side).is_some() && record.text(Column::RecordId).is_some())
    }

    fn column(&self, column: Column) -> Option<&StringArray> {
        self.columns.get(column as usize)?.as_ref()
    }
}

impl<'a> Record<'a> {
    /// What stands in a column.
    fn text(self, column: Column) -> Option<&'a str> {
        value(self.listed.column(column), self.row)
    }

    fn is(self, column: Column) -> bool {
        self.text(column) == Some("true")
    }

    fn is_pm(self) -> bool {
        self.text(Column::Side) == Some("pm")
    }

    fn id(self) -> &'a str {
        self.text(Column::RecordId).unwrap_or_default()
    }

    fn source(self) -> Option<&'a str> {
        self.text(Column::Source)
    }

    /// An empty parent is the firm itself.
    fn parent(self) -> Option<&'a str> {
        match self.listed.column(Column::Parent) {
            None => Some(""),
            parent => text_or_empty(parent, self.row),
        }
    }

    fn reach(self) -> Reach {
        match (self.is(Column::IsCompany), self.is(Column::IsShared)) {
            (true, _) => Reach::EachByName,
            (_, true) => Reach::Each,
            _ => Reach::One,
        }
    }

    fn agrees(self, other: Self) -> bool {
        let agree = |column| match (self.text(column), other.text(column)) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        agree(Column::Kind) && agree(Column::ContractId)
    }
}

fn texts(batch: &RecordBatch, name: &str) -> Result<Option<StringArray>, ArrowError> {
    let Some(column) = batch.column_by_name(name) else { return Ok(None) };
    Ok(Some(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()))
}

/// A trimmed text; one of blanks only is no value.
fn value(column: Option<&StringArray>, index: usize) -> Option<&str> {
    text_or_empty(column, index).filter(|text| !text.is_empty())
}

fn text_or_empty(column: Option<&StringArray>, index: usize) -> Option<&str> {
    let column = column.filter(|column| column.is_valid(index))?;
    Some(column.value(index).trim())
}

/// The records of both sides. One that stands under two parents is listed twice.
struct Links<'a> {
    pm: Vec<Record<'a>>,
    erp: Vec<Record<'a>>,
    connections: Connections<'a>,
}

/// Record ids of a candidate pair.
type Ids<'a> = (&'a str, &'a str);
/// Candidate pairs.
type Found<'a> = Vec<(Record<'a>, Record<'a>)>;

impl<'a> Links<'a> {
    fn new(listed: &'a [Listed]) -> Self {
        let (pm, erp): (Vec<_>, Vec<_>) = listed.iter().flat_map(Listed::records).partition(|record| record.is_pm());
        let connections = Connections::new(&pm, &erp);
        Self { pm, erp, connections }
    }

    fn pairs(mut self, crosswalk: &'a [(String, String)], splits: bool) -> Vec<Pair<'a>> {
        let stored_in_pm: BTreeSet<Ids> = stored(&self.pm, &self.erp);
        let stored_in_erp = stored(&self.erp, &self.pm);
        self.connections.note_foreign(&self.pm, &stored_in_pm);
        self.connections.note_foreign(&self.erp, &stored_in_erp);
        let stored_in_erp = stored_in_erp.into_iter().map(|(erp, pm)| (pm, erp));
        let explicit = self.of_the_living(stored_in_pm.iter().copied().chain(stored_in_erp));
        let explicit = self.connections.explicit(explicit);
        let steps = [
            (Step::Crosswalk, self.known(crosswalk)),
            (Step::Explicit, explicit),
            (Step::Number, self.numbers(Column::NumberKey, Some(Column::ReferenceKey))),
            (Step::SecondNumber, self.numbers(Column::SecondNumber, None)),
            (Step::TaxId, self.equals(Column::TaxIdHash)),
            (Step::Name, self.equals(Column::NameKey)),
        ];
        let place: HashMap<&str, Option<&str>> =
            self.pm.iter().map(|record| (record.id(), record.text(Column::Place))).collect();
        let mut unique = BTreeMap::new();
        for steps in self.connections.apart(steps) {
            unique.extend(unambiguous(&first_steps(&steps), &stored_in_pm, &place, splits));
        }
        grouped(unique, &place)
    }

    /// One id stored by a void record and by a living one is the living one's: a merged company keeps the id of its master.
    fn of_the_living(&self, stored: impl Iterator<Item = Ids<'a>>) -> BTreeSet<Ids<'a>> {
        living(&stored.filter_map(|ids| self.connections.records(ids)).collect())
    }

    /// The firm's own file: the only way to an intended many. A line that names no record links nothing.
    fn known(&self, crosswalk: &'a [(String, String)]) -> BTreeSet<Ids<'a>> {
        if crosswalk.is_empty() {
            return BTreeSet::new();
        }
        let ids = |records: &[Record<'a>]| records.iter().map(|record| record.id()).collect::<BTreeSet<&str>>();
        let (pm, erp) = (ids(&self.pm), ids(&self.erp));
        let lines = crosswalk.iter().map(|(pm_id, erp_id)| (pm_id.as_str(), erp_id.as_str()));
        lines.filter(|(pm_id, erp_id)| pm.contains(pm_id) && erp.contains(erp_id)).collect()
    }

    /// Pairs of equal numbers under one parent whose kind and contract do not contradict each other. `reference` is, of a record
    /// that keeps the other side's number too, that number.
    ///
    /// What the ERP keeps as reference is the PM number; its own number counts only where it keeps none: ERP 0003
    /// (reference CO-5) is not PM CO-3, but it is the CO-9 that keeps the reference 0003.
    fn numbers(&self, number: Column, reference: Option<Column>) -> BTreeSet<Ids<'a>> {
        let keys = |record: Record<'a>| (record.text(number), reference.and_then(|column| record.text(column)));
        let meant = |record: Record<'a>| {
            let (number, reference) = keys(record);
            Some((record.parent()?, reference.or(number)?))
        };
        let own = |record: Record<'a>| Some((record.parent()?, record.text(number)?));
        let meant = Index::new(self.erp.iter().filter_map(|record| Some((meant(*record)?, *record))));
        let refers = self.pm.iter().any(|record| keys(*record).1.is_some());
        let own = self.erp.iter().filter(|_| refers).filter_map(|record| Some((own(*record)?, *record)));
        let own = Index::new(own);
        let mut found: Found = Vec::new();
        for &record in &self.pm {
            let (Some(parent), (number, reference)) = (record.parent(), keys(record)) else { continue };
            let by_number = number.map(|key| meant.get(&(parent, key)));
            let by_reference = reference.filter(|key| number != Some(key)).map(|key| own.get(&(parent, key)));
            let named = by_number.into_iter().chain(by_reference).flatten();
            let may_be = |other: &Record<'a>| record.agrees(*other) && self.connections.may_guess(record, *other);
            found.extend(named.filter(may_be).map(|other| (record, other)));
        }
        living(&self.connections.by_number(found))
    }

    fn equals(&self, key: Column) -> BTreeSet<Ids<'a>> {
        let index = Index::new(self.erp.iter().filter_map(|record| Some((record.text(key)?, *record))));
        let named = self.pm.iter().filter_map(|record| Some((*record, index.get(&record.text(key)?))));
        let pairs = named.flat_map(|(record, others)| others.map(move |other| (record, other)));
        living(&pairs.filter(|(record, other)| self.connections.may_guess(*record, *other)).collect())
    }
}

/// A number or id given again after a void competes only with the living: void SC-7 and new SC-7 are one candidate.
///
/// Of what has a counterpart in each connection, in each for itself.
fn living<'a>(found: &Found<'a>) -> BTreeSet<Ids<'a>> {
    fn of<'r>(record: Record<'r>, other: Record<'r>) -> (&'r str, Option<&'r str>) {
        (record.id(), other.source().filter(|_| record.reach() != Reach::One))
    }
    // Only of records that a void one may give way for: most have none.
    let voids = |is_void: fn(&(Record<'a>, Record<'a>)) -> bool| found.iter().filter(move |pair| is_void(pair));
    let with_void_pm: BTreeSet<_> = voids(|(pm, _)| pm.is(Column::IsVoid)).map(|&(pm, erp)| of(erp, pm)).collect();
    let with_void_erp: BTreeSet<_> = voids(|(_, erp)| erp.is(Column::IsVoid)).map(|&(pm, erp)| of(pm, erp)).collect();
    let (mut with_living_pm, mut with_living_erp) = (BTreeSet::new(), BTreeSet::new());
    for &(pm, erp) in found.iter().filter(|_| !with_void_pm.is_empty() || !with_void_erp.is_empty()) {
        if !pm.is(Column::IsVoid) && with_void_pm.contains(&of(erp, pm)) {
            with_living_pm.insert(of(erp, pm));
        }
        if !erp.is(Column::IsVoid) && with_void_erp.contains(&of(pm, erp)) {
            with_living_erp.insert(of(pm, erp));
        }
    }
    let stands = |&&(pm, erp): &&(Record<'a>, Record<'a>)| {
        let pm_gives_way = pm.is(Column::IsVoid) && with_living_pm.contains(&of(erp, pm));
        let erp_gives_way = erp.is(Column::IsVoid) && with_living_erp.contains(&of(pm, erp));
        !pm_gives_way && !erp_gives_way
    };
    found.iter().filter(stands).map(|(pm, erp)| (pm.id(), erp.id())).collect()
}

/// Each record keeps only the candidates of the first step that hit it, on both sides.
fn first_steps<'a>(steps: &[(Step, BTreeSet<Ids<'a>>)]) -> BTreeMap<Ids<'a>, Step> {
    let (mut pm_first, mut erp_first): (HashMap<&str, Step>, HashMap<&str, Step>) = (HashMap::new(), HashMap::new());
    for (step, pairs) in steps {
        for (pm_id, erp_id) in pairs {
            pm_first.entry(pm_id).or_insert(*step);
            erp_first.entry(erp_id).or_insert(*step);
        }
    }
    let mut candidates = BTreeMap::new();
    for (step, pairs) in steps {
        for &(pm_id, erp_id) in pairs {
            if pm_first.get(pm_id) == Some(step) && erp_first.get(erp_id) == Some(step) {
                candidates.entry((pm_id, erp_id)).or_insert(*step);
            }
        }
    }
    candidates
}

/// Candidates that are the only one of both their records. The crosswalk may mean many; with `splits` several ERP documents
/// may name one PM record, but one PM record that names several, or two that are named by one, stay ambiguous.
fn unambiguous<'a>(
    candidates: &BTreeMap<Ids<'a>, Step>,
    stored_in_pm: &BTreeSet<Ids<'a>>,
    place: &HashMap<&'a str, Option<&'a str>>,
    splits: bool,
) -> BTreeMap<Ids<'a>, Step> {
    let placed = |pm_id: &str, erp_id: &'a str| (erp_id, place.get(pm_id).copied().flatten());
    let (mut of_pm, mut named_by_pm, mut of_erp) = (HashMap::new(), HashMap::new(), HashMap::new());
    for &(pm_id, erp_id) in candidates.keys() {
        *of_pm.entry(pm_id).or_insert(0) += 1;
        *of_erp.entry(placed(pm_id, erp_id)).or_insert(0) += 1;
        *named_by_pm.entry(pm_id).or_insert(0) += i32::from(stored_in_pm.contains(&(pm_id, erp_id)));
    }
    let is_only = |pm_id: &'a str, erp_id: &'a str, step: Step| {
        let counted = if splits && step == Step::Explicit { &named_by_pm } else { &of_pm };
        counted.get(pm_id).is_none_or(|count| *count <= 1) && of_erp.get(&placed(pm_id, erp_id)) == Some(&1)
    };
    let stays = |(pm_id, erp_id): Ids<'a>, step| step == Step::Crosswalk || is_only(pm_id, erp_id, step);
    candidates.iter().filter(|(ids, step)| stays(**ids, **step)).map(|(ids, step)| (*ids, *step)).collect()
}

/// Pairs that share a record are one group, named by its smallest PM id.
fn grouped<'a>(pairs: BTreeMap<Ids<'a>, Step>, place: &HashMap<&'a str, Option<&'a str>>) -> Vec<Pair<'a>> {
    let placed = |(pm_id, erp_id): Ids<'a>| (erp_id, place.get(pm_id).copied().flatten());
    let mut group: HashMap<&str, &str> = pairs.keys().map(|(pm_id, _)| (*pm_id, *pm_id)).collect();
    loop {
        let mut of_erp: HashMap<(&str, Option<&str>), &str> = HashMap::new();
        for ids in pairs.keys() {
            let of_pm = group.get(ids.0).copied().unwrap_or(ids.0);
            let smallest = of_erp.entry(placed(*ids)).or_insert(of_pm);
            *smallest = of_pm.min(smallest);
        }
        let mut is_stable = true;
        for ids in pairs.keys() {
            let smallest = of_erp.get(&placed(*ids)).copied().unwrap_or(ids.0);
            let of_pm = group.entry(ids.0).or_insert(ids.0);
            if smallest < *of_pm {
                *of_pm = smallest;
                is_stable = false;
            }
        }
        if is_stable {
            break;
        }
    }
    let pair = |((pm_id, erp_id), step): (Ids<'a>, Step)| Pair {
        group_id: group.get(pm_id).copied().unwrap_or(pm_id),
        pm_id,
        erp_id,
        step,
    };
    pairs.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests;
