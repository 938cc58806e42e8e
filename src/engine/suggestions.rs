//! `link.suggestions`: companies that nothing links and that may be the same, for a person to look at.
//!
//! The view's SQL lists the companies of both sides with normalised names, addresses and numbers; which are alike is
//! `tieout-matching`'s. Invariant: nothing here links anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use tieout_matching::{Party, suggest};

/// A column that the view must select.
const COLUMNS: [&str; 10] =
    ["entity", "side", "record_id", "label", "name_key", "tax_id_hash", "address", "postal_code", "phone", "email"];

/// Rows of one batch, by column.
struct Listed {
    columns: Vec<StringArray>,
}

/// A company as the view lists it.
struct Company<'a> {
    entity: &'a str,
    is_pm: bool,
    id: &'a str,
    label: &'a str,
    party: Party<'a>,
}

/// The columns of `link.suggestions`.
pub(crate) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let score = |name: &str| Field::new(name, DataType::Decimal128(3, 2), true);
    Arc::new(Schema::new(vec![
        text("entity"),
        text("pm_id"),
        text("erp_id"),
        text("pm_name"),
        text("erp_name"),
        Field::new("place", DataType::Int64, true),
        score("score"),
        score("name_score"),
        text("evidence"),
        text("explanation"),
    ]))
}

/// The rows of `link.suggestions` from the companies that its SQL lists.
///
/// # Errors
/// A column of [`COLUMNS`] is missing or has no text form.
pub(crate) fn suggested(batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let listed = batches.iter().map(Listed::new).collect::<Result<Vec<_>, _>>()?;
    let companies: Vec<Company<'_>> = listed.iter().flat_map(Listed::companies).collect();
    let entities: BTreeSet<&str> = companies.iter().map(|company| company.entity).collect();
    let mut texts: [Vec<String>; 7] = Default::default();
    let (mut places, mut scores, mut name_scores) = (Vec::new(), Vec::new(), Vec::new());
    for entity in entities {
        let of_entity = companies.iter().filter(|company| company.entity == entity);
        let (pm, erp): (Vec<&Company<'_>>, Vec<_>) = of_entity.partition(|company| company.is_pm);
        let parties = [&pm, &erp].map(|side| side.iter().map(|company| company.party).collect::<Vec<_>>());
        for found in suggest(&parties[0], &parties[1]) {
            let (Some(own), Some(other)) = (pm.get(found.pm), erp.get(found.erp)) else { continue };
            let evidence: Vec<&str> = found.evidence.iter().map(|evidence| evidence.as_str()).collect();
            let told = [evidence.join(", "), explanation(found.name_score, &evidence)];
            let row = [entity, own.id, other.id, own.label, other.label].map(str::to_owned).into_iter().chain(told);
            for (column, value) in texts.iter_mut().zip(row) {
                column.push(value);
            }
            places.push(i64::try_from(found.place).unwrap_or(i64::MAX));
            scores.push(i128::from(found.score));
            name_scores.push(i128::from(found.name_score));
        }
    }
    let score = |values: Vec<i128>| {
        Ok::<ArrayRef, ArrowError>(Arc::new(Decimal128Array::from(values).with_precision_and_scale(3, 2)?))
    };
    let [entity, pm_id, erp_id, pm_name, erp_name, evidence, explanation] =
        texts.map(|column| Arc::new(StringArray::from(column)) as ArrayRef);
    let places = Arc::new(Int64Array::from(places)) as ArrayRef;
    let columns = vec![
        entity,
        pm_id,
        erp_id,
        pm_name,
        erp_name,
        places,
        score(scores)?,
        score(name_scores)?,
        evidence,
        explanation,
    ];
    RecordBatch::try_new(schema(), columns)
}

fn explanation(name_score: u8, evidence: &[&str]) -> String {
    let names = match name_score {
        100 => "the same words in both names".to_owned(),
        0 => "names that are not alike".to_owned(),
        score => format!("names that are alike by 0.{score:02}"),
    };
    match evidence {
        [] => names,
        _ => format!("{names}; the same {}", evidence.join(", ")),
    }
}

impl Listed {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let column = |name: &&str| {
            let found = batch.column_by_name(name).ok_or_else(|| {
                ArrowError::SchemaError(format!("a view of suggestions must select the column {name}"))
            })?;
            Ok(cast(found, &DataType::Utf8)?.as_string::<i32>().clone())
        };
        Ok(Self { columns: COLUMNS.iter().map(column).collect::<Result<_, ArrowError>>()? })
    }

    fn companies(&self) -> impl Iterator<Item = Company<'_>> {
        let count = self.columns.first().map_or(0, Array::len);
        (0..count).filter_map(|row| {
            let mut values = self
                .columns
                .iter()
                .map(|column| column.is_valid(row).then(|| column.value(row).trim()).filter(|text| !text.is_empty()));
            let mut next = || values.next().flatten();
            Some(Company {
                entity: next()?,
                is_pm: next()? == "pm",
                id: next()?,
                label: next().unwrap_or_default(),
                party: Party {
                    name: next().unwrap_or_default(),
                    tax_id: next(),
                    address: next(),
                    postal_code: next(),
                    phone: next(),
                    email: next(),
                },
            })
        })
    }
}
