//! Rows and sums counted anew, samples drawn anew.

use std::fs::File;
use std::io::{Read, Write as _};

use super::Checked;
use super::opened::Opened;
use crate::evidence::Error;
use crate::evidence::index::{Index, Item, Kind, Sample, Sum, Total};
use crate::evidence::sample::{self, Population};

pub(super) fn check(package: &mut Opened, index: &Index, checked: &mut Checked) -> Result<(), Error> {
    for item in &index.items {
        let Some(csv) = item.csv.as_ref().filter(|csv| package.has(csv)) else { continue };
        match package.read(csv, |reader| Ok(counted(item, reader)))? {
            Ok(Ok(rows)) => {
                checked.items += 1;
                checked.rows += rows;
            }
            Ok(Err(detail)) | Err(detail) => checked.find(csv, detail),
        }
    }
    for sample in &index.samples {
        let Some(item) = index.items.iter().find(|item| item.name == sample.item) else {
            checked.find(&sample.csv, format!("it is a sample of {}, which there is not", sample.item));
            continue;
        };
        if !item.csv.as_ref().is_some_and(|csv| package.has(csv)) || !package.has(&sample.csv) {
            continue;
        }
        match redrawn(package, item, sample)? {
            Ok(()) => checked.samples += 1,
            Err(detail) => checked.find(&sample.csv, detail),
        }
    }
    Ok(())
}

/// The rows of an item's CSV file, if they and their sums are what the index says.
fn counted(item: &Item, reader: &mut dyn Read) -> Result<u64, String> {
    let unreadable = |error: csv::Error| format!("it is no CSV file: {error}");
    let mut records = csv::Reader::from_reader(reader);
    let header = records.headers().map_err(unreadable)?;
    if !header.iter().eq(item.columns.iter().map(|column| column.name.as_str())) {
        return Err("its columns are not those of the index".to_owned());
    }
    let mut sums: Vec<Sum> = vec![Sum::default(); item.columns.len()];
    let (mut rows, mut record) = (0, csv::StringRecord::new());
    while records.read_record(&mut record).map_err(unreadable)? {
        rows += 1;
        for ((value, column), sum) in record.iter().zip(&item.columns).zip(&mut sums) {
            let is_amount = column.kind == Kind::Decimal && !value.is_empty();
            if is_amount && !sum.add(value, column.scale.unwrap_or_default()) {
                return Err(format!("`{value}` in row {rows} is no amount of column {}", column.name));
            }
        }
    }
    if rows != item.row_count {
        return Err(format!("it has {rows} rows, the index says {}", item.row_count));
    }
    let totals: Vec<Total> = item
        .columns
        .iter()
        .zip(&sums)
        .filter(|(column, _)| column.kind == Kind::Decimal)
        .map(|(column, sum)| sum.total(column))
        .collect();
    for total in &totals {
        if !item.control_totals.contains(total) {
            let said = item.control_totals.iter().find(|said| said.column == total.column);
            let said = said.map_or("nothing".to_owned(), |said| format!("{} of {} values", said.total, said.values));
            let Total { column, total, values } = total;
            return Err(format!("column {column} comes to {total} of {values} values, the index says {said}"));
        }
    }
    if totals.len() == item.control_totals.len() {
        Ok(rows)
    } else {
        Err("the index has totals of other columns".into())
    }
}

/// Draws the sample anew from the population's own file.
fn redrawn(package: &mut Opened, item: &Item, sample: &Sample) -> Result<Result<(), String>, Error> {
    // Drawing reads the rows twice, which a packed file does not give.
    let put_aside = |source| Error::Read { place: std::env::temp_dir(), source };
    let mut rows = tempfile::NamedTempFile::new().map_err(put_aside)?;
    let csv = item.csv.as_deref().unwrap_or_default();
    if let Err(reason) = package.read(csv, |reader| std::io::copy(reader, &mut rows))? {
        return Ok(Err(format!("its population {csv} cannot be read: {reason}")));
    }
    rows.flush().map_err(put_aside)?;
    let open = || Ok(Box::new(File::open(rows.path())?) as Box<dyn Read>);
    let mut drawn_rows = Vec::new();
    let population = Population { open: &open, columns: &item.columns };
    let drawn = match sample::draw(&population, &sample.method, sample.seed, &mut drawn_rows) {
        Ok(drawn) => drawn,
        Err(error) => return Ok(Err(format!("it cannot be drawn again: {error}"))),
    };
    let said = Sample { item: drawn.item.clone(), csv: drawn.csv.clone(), xlsx: drawn.xlsx.clone(), ..sample.clone() };
    if drawn != said {
        return Ok(Err("drawn again it has another population, interval or size than the index says".to_owned()));
    }
    let kept = package.bytes(&sample.csv)?;
    let is_same = kept.is_some_and(|kept| kept.is_ok_and(|kept| kept == drawn_rows));
    Ok(if is_same { Ok(()) } else { Err("drawn again it has other rows".to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::grounds;
    use crate::evidence::index::Column;
    use crate::evidence::rows::line;

    #[test]
    fn a_count_or_a_sum_that_is_another_is_told() {
        let column = |name: &str, kind, scale| Column { name: name.to_owned(), kind, scale };
        let total = |total: &str| Total { column: "amount".to_owned(), total: total.to_owned(), values: 2 };
        let mut item = Item {
            name: "a".into(),
            kind: "audit".into(),
            title: String::new(),
            question: String::new(),
            grain: String::new(),
            parameters: String::new(),
            query: String::new(),
            logic: Vec::new(),
            verdict: grounds::unstated(),
            columns: vec![column("id", Kind::Text, None), column("amount", Kind::Decimal, Some(2))],
            row_count: 3,
            control_totals: vec![total("1.50")],
            sql: String::new(),
            csv: None,
            xlsx: None,
        };
        let body = [
            line(&[Some("id"), Some("amount")]),
            line(&[Some("a"), Some("2.00")]),
            line(&[Some("b"), None]),
            line(&[Some("c"), Some("-0.50")]),
        ];
        let counted = |item: &Item, text: &str| counted(item, &mut text.as_bytes());
        let text = body.concat();
        assert_eq!(counted(&item, &text), Ok(3));
        assert!(counted(&item, &text.replace("2.00", "2.01")).unwrap_err().contains("comes to 1.51 of 2 values"));
        assert!(counted(&item, &text.replace("2.00", "two")).unwrap_err().contains("`two` in row 1"));
        assert!(counted(&item, &body[..3].concat()).unwrap_err().contains("2 rows, the index says 3"));
        assert!(counted(&item, &text.replace("id", "key")).unwrap_err().contains("columns"));
        item.control_totals.push(total("0.00"));
        assert!(counted(&item, &text).is_err());
    }
}
