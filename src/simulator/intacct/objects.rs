//! The objects of the interface and their records, each as the fields by their dotted names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Map, Value};

use crate::firm::model::{AcumaticaDatabase, Cents};

mod contracts;
mod ledger;
mod master;
mod orders;
mod payables;
mod receivables;

/// A record: its fields by their dotted names.
pub(super) type Record = Map<String, Value>;

/// A record that is shown when somebody asks for it.
pub(super) struct Row<'a> {
    /// The record's number.
    pub(super) key: String,
    /// Whether it belongs to one entity alone.
    pub(super) is_private: bool,
    render: Box<dyn Fn() -> Record + 'a>,
}

impl<'a> Row<'a> {
    /// A record that is shown by `render`.
    pub(super) fn new(key: String, render: impl Fn() -> Value + 'a) -> Self {
        let shown = move || match render() {
            Value::Object(record) => record,
            _ => Record::new(),
        };
        Self { key, is_private: false, render: Box::new(shown) }
    }

    /// A record that is there already.
    pub(super) fn of(key: String, record: Value) -> Self
    where
        'a: 'static,
    {
        Self::new(key, move || record.clone())
    }

    /// A record that belongs to one entity.
    fn private(self, is_private: bool) -> Self {
        Self { is_private, ..self }
    }

    /// Its fields.
    pub(super) fn render(&self) -> Record {
        (self.render)()
    }
}

static FIELDS: LazyLock<BTreeMap<&str, BTreeSet<&str>>> = LazyLock::new(|| {
    let mut objects: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut current = "";
    for line in include_str!("fields.txt").lines().filter(|line| !line.starts_with('#')) {
        let names = match line.split_once(": ") {
            Some((object, names)) => {
                current = object;
                names
            }
            None => line,
        };
        objects.entry(current).or_default().extend(names.split_whitespace());
    }
    objects
});

/// Whether a query may name a field of an object.
pub(super) fn has_field(object: &str, field: &str) -> bool {
    // Of an object that is not there the query says so.
    FIELDS.get(object).is_none_or(|fields| fields.contains(field))
}

/// The records of an object, without an order.
pub(super) fn rows<'a>(database: &'a AcumaticaDatabase, object: &str) -> Option<Vec<Row<'a>>> {
    let (application, name) = object.split_once('/')?;
    match application {
        "projects" => master::rows(database, name),
        "construction" => master::rows(database, name)
            .or_else(|| orders::rows(database, object))
            .or_else(|| contracts::rows(database, name))
            .or_else(|| payables::rows(database, object))
            .or_else(|| receivables::rows(database, object)),
        "purchasing" => orders::rows(database, object),
        "accounts-payable" if name == "vendor" => master::rows(database, name),
        "accounts-payable" => payables::rows(database, object),
        "accounts-receivable" if name == "customer" => master::rows(database, name),
        "accounts-receivable" => receivables::rows(database, object),
        "general-ledger" => ledger::rows(database, name),
        _ => None,
    }
}

/// The names of all objects that have fields.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FIELDS.keys().copied()
}

/// A number for a record that the firm knows by a name: of up to twelve digits, the same at every look.
pub fn record_number(object: &str, name: &str) -> String {
    let letters = object.bytes().chain([b'|']).chain(name.bytes());
    let hash = letters
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, letter| (hash ^ u64::from(letter)).wrapping_mul(0x0000_0100_0000_01b3));
    (100_000_000_000 + hash % 800_000_000_000).to_string()
}

/// Fields by their dotted names as objects inside objects.
pub(super) fn nested(record: &Record) -> Value {
    let mut whole = Map::new();
    for (name, value) in record {
        let mut at = &mut whole;
        let mut steps = name.split('.').peekable();
        while let Some(step) = steps.next() {
            if steps.peek().is_none() {
                at.insert(step.to_owned(), value.clone());
                break;
            }
            let inner = at.entry(step).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else { break };
            at = inner;
        }
    }
    Value::Object(whole)
}

/// An amount: a string with two digits.
fn money(amount: Cents) -> Value {
    Value::String(amount.to_string())
}

/// An amount of the primary documents: a string with ten digits.
fn long_money(amount: Cents) -> Value {
    Value::String(format!("{amount}00000000"))
}

fn day(date: NaiveDate) -> Value {
    Value::String(date.to_string())
}

fn day_or_null(date: Option<NaiveDate>) -> Value {
    date.map_or(Value::Null, day)
}

/// A moment in UTC.
pub(super) fn moment(at: DateTime<Utc>) -> Value {
    Value::String(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// When a record changed: nothing for some that never did.
fn changed(created_at: DateTime<Utc>, modified_at: DateTime<Utc>) -> Value {
    let is_left_out = created_at == modified_at && created_at.timestamp() % 7 == 0;
    if is_left_out { Value::Null } else { moment(modified_at) }
}

/// The month that a posting belongs to (`MMYYYY`), as a day in it: the document's own if it lies there, else its first.
fn posting_day(period: &str, date: NaiveDate) -> NaiveDate {
    let first = period
        .get(..2)
        .zip(period.get(2..))
        .and_then(|(month, year)| NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1));
    match first {
        Some(first) if first.format("%m%Y").to_string() != date.format("%m%Y").to_string() => first,
        _ => date,
    }
}
