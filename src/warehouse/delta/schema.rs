//! A table's columns in the words of Delta Lake.
//!
//! Invariant: names, types and nullability are those of the state files' Parquet schema, in its order.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use serde_json::json;

/// What Delta allows in a column's name only with a mapping, which older readers do not know.
const SPECIAL: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];

/// The type's word; none for a type that state files do not have.
pub(super) fn type_word(kind: &DataType) -> Option<String> {
    Some(match kind {
        DataType::Int64 => "long".to_owned(),
        DataType::Utf8 => "string".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Date32 => "date".to_owned(),
        // Without a zone it would be `timestamp_ntz`, another type.
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        _ => return None,
    })
}

/// The text of `metaData.schemaString`; the reason if Delta cannot have these columns.
pub(super) fn schema_string(schema: &Schema) -> Result<String, String> {
    let mut fields = Vec::new();
    let mut names = std::collections::HashSet::new();
    for field in schema.fields() {
        let name = field.name();
        if name.is_empty() || name.contains(SPECIAL) {
            return Err(format!(
                "column `{name}`: Delta allows no white space and none of ,;{{}}()= in a column's name"
            ));
        }
        if !names.insert(name.to_lowercase()) {
            return Err(format!("column `{name}`: for Delta, names that differ only in case are the same"));
        }
        let word = type_word(field.data_type());
        let word = word.ok_or_else(|| format!("column `{name}`: Delta has no type for {}", field.data_type()))?;
        fields.push(json!({ "name": name, "type": word, "nullable": field.is_nullable(), "metadata": {} }));
    }
    Ok(json!({ "type": "struct", "fields": fields }).to_string())
}

/// What another program that reads a Parquet file would not find as `promised`; none if all is there.
pub(super) fn difference(promised: &Schema, found: &Schema) -> Option<String> {
    let words = |schema: &Schema| -> Vec<String> {
        let word = |kind: &DataType| type_word(kind).unwrap_or_else(|| kind.to_string());
        let null = |is_nullable: bool| if is_nullable { "" } else { " not null" };
        let fields = schema.fields().iter();
        fields.map(|it| format!("{} {}{}", it.name(), word(it.data_type()), null(it.is_nullable()))).collect()
    };
    let (promised, found) = (words(promised), words(found));
    if promised == found {
        return None;
    }
    let missing = promised.iter().find(|it| !found.contains(it));
    let strange = found.iter().find(|it| !promised.contains(it));
    Some(match (missing, strange) {
        (Some(missing), Some(strange)) => format!("it has `{strange}` and no `{missing}`"),
        (Some(missing), None) => format!("it has no `{missing}`"),
        (None, Some(strange)) => format!("it has `{strange}`, which its commit does not name"),
        (None, None) => "its columns are in another order".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;
    use crate::warehouse::rows::{ColumnType, state_schema};

    #[test]
    fn every_type_of_a_state_has_its_word() {
        let columns: Vec<(String, ColumnType)> = [
            ("number", ColumnType::Int64),
            ("name", ColumnType::Text),
            ("is_open", ColumnType::Bool),
            ("amount", ColumnType::Decimal(18, 2)),
            ("due", ColumnType::Date),
            ("updated_at", ColumnType::Timestamp),
        ]
        .map(|(name, kind)| (name.to_owned(), kind))
        .to_vec();
        let text = schema_string(&state_schema(&columns)).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        let fields: Vec<String> = schema["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| {
                let null = if field["nullable"] == true { "" } else { "!" };
                format!("{} {}{null}", field["name"].as_str().unwrap(), field["type"].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            fields.join(", "),
            "_key string!, _scope string!, number long, name string, is_open boolean, \
            amount decimal(18,2), due date, updated_at timestamp, _raw string, _hash string!, \
            _extracted_at timestamp!, _commit long!"
        );
    }

    #[test]
    fn names_that_delta_cannot_have_are_refused() {
        let schema = |names: &[&str]| {
            Schema::new(names.iter().map(|it| Field::new(*it, DataType::Utf8, true)).collect::<Vec<_>>())
        };
        assert!(schema_string(&schema(&["a b"])).unwrap_err().contains("`a b`"));
        assert!(schema_string(&schema(&["Code", "code"])).unwrap_err().contains("only in case"));
        assert!(
            schema_string(&Schema::new(vec![Field::new("x", DataType::Float64, true)]))
                .unwrap_err()
                .contains("Float64")
        );
    }

    #[test]
    fn a_difference_is_named() {
        let field = |name: &str, kind, null| Field::new(name, kind, null);
        let schema = |fields: Vec<Field>| Schema::new(fields);
        let promised = schema(vec![field("a", DataType::Int64, false), field("b", DataType::Utf8, true)]);
        assert_eq!(difference(&promised, &promised), None);
        let nullable = schema(vec![field("a", DataType::Int64, true), field("b", DataType::Utf8, true)]);
        assert_eq!(difference(&promised, &nullable).unwrap(), "it has `a long` and no `a long not null`");
        let local = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(type_word(&local), None, "a time without zone is no `timestamp`");
        let swapped = schema(vec![field("b", DataType::Utf8, true), field("a", DataType::Int64, false)]);
        assert!(difference(&promised, &swapped).unwrap().contains("another order"));
    }
}
