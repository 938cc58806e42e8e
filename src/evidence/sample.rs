//! Samples: drawn from the rows of a CSV file in their order, so that whoever has the package can draw them again.
//!
//! The generator is `ChaCha20` (the original one, 64-bit counter and nonce 0) with the SHA-256 of the seed's decimal digits as
//! its key. A number below `n` is made of two of its 64-bit words, the earlier one the higher half: a draw of 128 bits that is at or
//! above the largest multiple of `n` is thrown away, else it is taken modulo `n`.
//!
//! - Random: row by row, with `k` rows still wanted and `m` rows left, a number below `m` is drawn, and the row is taken if it is
//!   below `k`.
//! - Monetary unit: the interval is the total by the wanted size, rounded up to a whole unit of the column's last place; the first
//!   unit is one more than a number below the interval, every interval after it the next. A row is drawn as often as units of it
//!   are. So a row of an interval or more is certain.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use super::amount;
use super::index::{Amounts, Column, Kind, LeftOut, Method, Sample};
use super::rows::line;

/// The population: what opens its CSV file, and the columns in it.
pub(super) struct Population<'a> {
    pub(super) open: &'a dyn Fn() -> std::io::Result<Box<dyn Read>>,
    pub(super) columns: &'a [Column],
}

/// Why nothing was drawn.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// What was asked for cannot be done.
    #[error("{0}")]
    Asked(String),
    /// The rows cannot be read.
    #[error("read the population: {0}")]
    Csv(#[from] csv::Error),
    /// The rows cannot be read, or the sample not be written.
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// What stands in front of the columns of a drawn row.
pub(super) fn columns(method: &Method, population: &[Column]) -> Result<Vec<Column>, Error> {
    let whole = |name: &str| Column { name: name.to_owned(), kind: Kind::Integer, scale: None };
    let mut columns = vec![whole("sample_row")];
    if let Method::MonetaryUnit { column, .. } = method {
        let (_, found) = amount_column(population, column)?;
        let amount = |name: &str| Column { name: name.to_owned(), ..found.clone() };
        columns.extend([amount("sample_amount"), amount("sample_cumulative_amount"), whole("sample_hits")]);
        columns.push(Column { name: "sample_is_certain".to_owned(), kind: Kind::Boolean, scale: None });
    }
    columns.extend(population.iter().cloned());
    Ok(columns)
}

/// Draws, and writes the rows drawn. Names of files are left to the caller.
pub(super) fn draw(
    population: &Population<'_>,
    method: &Method,
    seed: u64,
    out: &mut impl Write,
) -> Result<Sample, Error> {
    let header = columns(method, population.columns)?;
    let names: Vec<Option<&str>> = header.iter().map(|column| Some(column.name.as_str())).collect();
    out.write_all(line(&names).as_bytes())?;
    let generator = Generator::new(seed);
    match method {
        Method::Random { size } => random(population, *size, seed, generator, out),
        Method::MonetaryUnit { size, column, amounts } => {
            let (place, found) = amount_column(population.columns, column)?;
            let money = Money { place, scale: found.scale.unwrap_or_default(), amounts: *amounts };
            let mut sample = monetary_unit(population, &money, *size, seed, generator, out)?;
            sample.method = method.clone();
            Ok(sample)
        }
    }
}

fn amount_column<'a>(columns: &'a [Column], name: &str) -> Result<(usize, &'a Column), Error> {
    let found = columns.iter().enumerate().find(|(_, column)| column.name == name && column.kind == Kind::Decimal);
    found.ok_or_else(|| {
        let known = columns.iter().filter(|column| column.kind == Kind::Decimal).map(|column| column.name.as_str());
        let known: Vec<&str> = known.collect();
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        Error::Asked(format!("there is no column of amounts named `{name}`\nhint: {known}"))
    })
}

/// Currencies that a refusal names.
const CURRENCIES_MAX: usize = 9;

type Records = csv::Reader<Box<dyn Read>>;

fn records(population: &Population<'_>) -> Result<Records, Error> {
    Ok(csv::Reader::from_reader((population.open)()?))
}

fn count(population: &Population<'_>) -> Result<u64, Error> {
    let (mut records, mut record, mut count) = (records(population)?, csv::StringRecord::new(), 0);
    while records.read_record(&mut record)? {
        count += 1;
    }
    Ok(count)
}

/// Writes a drawn row behind what the sample says of it.
fn put(out: &mut impl Write, said: &[String], record: &csv::StringRecord) -> Result<(), Error> {
    let fields = said.iter().map(String::as_str).chain(record.iter());
    let fields: Vec<Option<&str>> = fields.map(|field| (!field.is_empty()).then_some(field)).collect();
    Ok(out.write_all(line(&fields).as_bytes())?)
}

fn random(
    population: &Population<'_>,
    size: u64,
    seed: u64,
    mut generator: Generator,
    out: &mut impl Write,
) -> Result<Sample, Error> {
    let row_count = count(population)?;
    if size == 0 || row_count == 0 {
        let why = if size == 0 { "a sample of no rows" } else { "there is no row to draw from" };
        return Err(Error::Asked(why.to_owned()));
    }
    let (mut records, mut record) = (records(population)?, csv::StringRecord::new());
    let (mut wanted, mut left) = (size.min(row_count), row_count);
    while records.read_record(&mut record)? {
        if generator.below(u128::from(left)) < u128::from(wanted) {
            put(out, &[(row_count - left + 1).to_string()], &record)?;
            wanted -= 1;
        }
        left -= 1;
    }
    Ok(Sample {
        item: String::new(),
        method: Method::Random { size },
        seed,
        row_count,
        population_count: row_count,
        population_total: None,
        left_out: Vec::new(),
        interval: None,
        start: None,
        drawn_count: size.min(row_count),
        csv: String::new(),
        xlsx: None,
    })
}

/// The amount of a row.
struct Money {
    place: usize,
    scale: u32,
    amounts: Amounts,
}

impl Money {
    /// The units of a row that can be drawn, or the word for why none can, with what it comes to.
    fn units(&self, record: &csv::StringRecord) -> Result<Result<u128, (&'static str, i128)>, Error> {
        let text = record.get(self.place).unwrap_or_default();
        if text.is_empty() {
            return Ok(Err(("null", 0)));
        }
        let units = amount::units(text, self.scale)
            .ok_or_else(|| Error::Asked(format!("`{text}` is no amount with {} places", self.scale)))?;
        Ok(match units {
            0 => Err(("zero", 0)),
            1.. => Ok(units.unsigned_abs()),
            _ if self.amounts == Amounts::Absolute => Ok(units.unsigned_abs()),
            _ => Err(("negative", units)),
        })
    }
}

/// What can be drawn, and what cannot.
#[derive(Default)]
struct Sums {
    row_count: u64,
    count: u64,
    total: u128,
    left_out: Vec<(&'static str, u64, i128)>,
}

impl Sums {
    fn of(population: &Population<'_>, money: &Money) -> Result<Self, Error> {
        let too_large = || Error::Asked("the amounts come to more than 38 digits".to_owned());
        let currency = population.columns.iter().position(|column| column.name == "currency");
        let mut currencies = BTreeSet::new();
        let (mut sums, mut records, mut record) = (Self::default(), records(population)?, csv::StringRecord::new());
        while records.read_record(&mut record)? {
            sums.row_count += 1;
            match money.units(&record)? {
                Ok(units) => {
                    sums.count += 1;
                    sums.total = sums.total.checked_add(units).ok_or_else(too_large)?;
                    // A source that has one currency does not name it.
                    let named = currency.and_then(|place| record.get(place)).filter(|name| !name.is_empty());
                    if let Some(currency) = named.filter(|_| currencies.len() < CURRENCIES_MAX) {
                        currencies.insert(currency.to_owned());
                    }
                }
                Err((reason, units)) => match sums.left_out.iter_mut().find(|(known, ..)| *known == reason) {
                    Some((_, count, total)) => {
                        *count += 1;
                        *total = total.checked_add(units).ok_or_else(too_large)?;
                    }
                    None => sums.left_out.push((reason, 1, units)),
                },
            }
        }
        if currencies.len() > 1 {
            let all = currencies.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Error::Asked(format!(
                "its amounts are in several currencies ({all}): a unit of one is none of another\n\
                 hint: `tieout sql --evidence DIR --sample …` draws from a query of one currency"
            )));
        }
        sums.left_out.sort_unstable();
        Ok(sums)
    }
}

fn monetary_unit(
    population: &Population<'_>,
    money: &Money,
    size: u64,
    seed: u64,
    mut generator: Generator,
    out: &mut impl Write,
) -> Result<Sample, Error> {
    let sums = Sums::of(population, money)?;
    if size == 0 || sums.total == 0 {
        let why = if size == 0 { "a sample of no rows" } else { "there is no amount to draw from" };
        return Err(Error::Asked(why.to_owned()));
    }
    let interval = sums.total.div_ceil(u128::from(size));
    let start = generator.below(interval) + 1;
    // Units drawn up to and including one.
    let drawn = |unit: u128| if unit < start { 0 } else { (unit - start) / interval + 1 };
    let text = |units: u128| amount::text(i128::try_from(units).unwrap_or(i128::MAX), money.scale);
    let (mut records, mut record) = (records(population)?, csv::StringRecord::new());
    let (mut row, mut cumulative, mut drawn_count) = (0_u64, 0_u128, 0);
    while records.read_record(&mut record)? {
        row += 1;
        let Ok(units) = money.units(&record)? else { continue };
        let before = cumulative;
        cumulative += units;
        let hits = drawn(cumulative) - drawn(before);
        if hits > 0 {
            let said =
                [row.to_string(), text(units), text(cumulative), hits.to_string(), (units >= interval).to_string()];
            put(out, &said, &record)?;
            drawn_count += 1;
        }
    }
    let left_out = sums.left_out.into_iter().map(|(reason, count, total)| LeftOut {
        reason: reason.to_owned(),
        count,
        total: amount::text(total, money.scale),
    });
    Ok(Sample {
        item: String::new(),
        method: Method::Random { size },
        seed,
        row_count: sums.row_count,
        population_count: sums.count,
        population_total: Some(text(sums.total)),
        left_out: left_out.collect(),
        interval: Some(text(interval)),
        start: Some(text(start)),
        drawn_count,
        csv: String::new(),
        xlsx: None,
    })
}

/// The generator described above.
struct Generator(ChaCha20Rng);

impl Generator {
    fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::from_seed(Sha256::digest(seed.to_string().as_bytes()).into()))
    }

    /// A number below `bound`, each as likely as any other.
    fn below(&mut self, bound: u128) -> u128 {
        let end = u128::MAX - u128::MAX % bound;
        loop {
            let high = u128::from(self.0.next_u64());
            let drawn = (high << 64) | u128::from(self.0.next_u64());
            if drawn < end {
                return drawn % bound;
            }
        }
    }
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
