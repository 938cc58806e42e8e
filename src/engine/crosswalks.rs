//! The firm's own pairs: `crosswalks/<entity>.csv` with the columns `pm_id` and `erp_id`; others are the firm's notes. And, in
//! `cost_type_accounts.csv`, the accounts that cost of a type belongs on: columns `cost_type` and `account`.
//!
//! Invariant: of a file that cannot be read nothing is used, and no record of its entity is linked: links without the
//! firm's own pairs would raise disagreements that are none. Other entities are not concerned.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema};

use crate::definitions::Definitions;
use crate::engine::queries::{Name, Problem, QueryFile};

/// Pairs by entity, of the files that can be read.
pub(crate) type Crosswalks = BTreeMap<String, Vec<(String, String)>>;

/// The crosswalks of the definitions, and what is wrong with the others.
pub(crate) fn load(definitions: &Definitions, queries: &BTreeMap<Name, QueryFile>) -> (Crosswalks, Vec<Problem>) {
    let (mut crosswalks, mut problems) = (Crosswalks::new(), Vec::new());
    for (path, text) in &definitions.files {
        let Some(entity) = entity(path) else { continue };
        let mut tell = |reason: String| problems.push(Problem { path: path.clone(), reason });
        let name = ("link".to_owned(), entity.to_owned());
        if !queries.contains_key(&name) {
            let links = queries.keys().filter(|(schema, _)| schema == "link").map(|(_, view)| view.as_str());
            let nearest = links.min_by_key(|view| strsim::levenshtein(view, entity)).unwrap_or_default();
            tell(format!("nothing is linked by it: there is no link.{entity} (did you mean `{nearest}.csv`?)"));
        }
        match pairs(text, columns(entity)) {
            Ok(pairs) => drop(crosswalks.insert(entity.to_owned(), pairs)),
            Err(reason) => tell(reason),
        }
    }
    (crosswalks, problems)
}

/// The entity whose pairs a file holds, if it is such a file.
pub(crate) fn entity(path: &str) -> Option<&str> {
    path.strip_prefix("crosswalks/")?.strip_suffix(".csv")
}

/// The two columns of an entity's file.
fn columns(entity: &str) -> [&'static str; 2] {
    if entity == "cost_type_accounts" { ["cost_type", "account"] } else { ["pm_id", "erp_id"] }
}

fn pairs(text: &str, [first, second]: [&str; 2]) -> Result<Vec<(String, String)>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let names: Vec<&str> =
        text.lines().next().unwrap_or_default().split(',').map(|name| name.trim().trim_matches('"')).collect();
    let column = |wanted: &str| names.iter().position(|name| *name == wanted);
    let (Some(pm), Some(erp)) = (column(first), column(second)) else {
        return Err(format!("line 1: it must name the columns {first} and {second}, parted by commas"));
    };
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let reader = ReaderBuilder::new(Arc::new(Schema::new(fields))).with_header(true).with_projection(vec![pm, erp]);
    let mut pairs = Vec::new();
    for batch in reader.build(Cursor::new(text)).map_err(|error| at_line(&error.to_string()))? {
        let batch = batch.map_err(|error| at_line(&error.to_string()))?;
        // The reader gives projected columns in the order of the projection.
        let texts =
            |index: usize| batch.columns().get(index).and_then(|column| column.as_any().downcast_ref::<StringArray>());
        if let (Some(pm_ids), Some(erp_ids)) = (texts(0), texts(1)) {
            let both = pm_ids.iter().zip(erp_ids);
            pairs.extend(both.filter_map(|(pm, erp)| Some((pm?.trim().to_owned(), erp?.trim().to_owned()))));
        }
    }
    Ok(pairs)
}

/// The reader's message, with the line first as in every other file.
fn at_line(message: &str) -> String {
    let after = message.split_once("line ").map(|(_, rest)| rest).unwrap_or_default();
    let number: String = after.chars().take_while(char::is_ascii_digit).collect();
    if number.is_empty() { message.to_owned() } else { format!("line {number}: {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let pair = |pm: &str, erp: &str| (pm.to_owned(), erp.to_owned());
        let good = "\u{feff}note,\"pm_id\",erp_id\n\"ours, too\", 1 ,V1\nx,2,\n";
        assert_eq!(pairs(good, columns("vendors")), Ok(vec![pair("1", "V1")]));
        assert!(pairs("pm_id;erp_id\n1;2\n", columns("vendors")).unwrap_err().starts_with("line 1: "));
        let short = pairs("pm_id,erp_id,note\n1,2,x\n1,2\n", columns("vendors")).unwrap_err();
        assert!(short.starts_with("line 3: "), "{short}");
        let accounts = columns("cost_type_accounts");
        assert_eq!(pairs("account,cost_type\n50*,LABOR\n", accounts), Ok(vec![pair("LABOR", "50*")]));
        assert!(pairs(good, accounts).unwrap_err().contains("cost_type and account"));
    }

    #[test]
    fn a_file_for_nothing_is_told() {
        let files = [("crosswalks/vendor.csv".to_owned(), "pm_id,erp_id\n".to_owned())];
        let query = ("link".to_owned(), "vendors".to_owned());
        let shipped = crate::engine::queries::load(&Definitions::shipped().into()).0;
        assert!(shipped.contains_key(&query));
        let (_, problems) = load(&Definitions { files: files.into() }, &shipped);
        assert!(problems[0].reason.contains("did you mean `vendors.csv`?"), "{problems:?}");
    }
}
