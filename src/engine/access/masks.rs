//! Which columns only those see who may read what is sensitive.
//!
//! By the name of the column, so that a new table or view needs no decision of its own; a masked column is there, and null.

use arrow::datatypes::{DataType, Schema};
use serde_json::Value;

/// Endings of the names of columns that identify a person or a company to the tax office or a bank, or tell how to reach
/// somebody. Names are compared in their plain form, without `_`.
const ENDS: [&str; 17] = [
    "taxid",
    "taxidhash",
    "taxregistrationid",
    "iban",
    "bankaccount",
    "bankaccountnumber",
    "routingnumber",
    "email",
    "emailaddress",
    "fax",
    "faxnumber",
    "phone",
    "phonenumber",
    "mobile",
    "mobilenumber",
    "cellphone",
    "login",
];
/// Short words that end other words too: only as a word of their own.
const WORDS: [&str; 3] = ["ssn", "ein", "tin"];
/// Columns that hold records as the source sent them.
const WHOLE: [&str; 2] = ["_raw", RAW];
/// The text of a row that was refused; beside it stands the value that was to blame.
const RAW: &str = "raw";
const REFUSED: &str = "value";
/// Fields of the canonical model by which values of any field stand in one column.
const FIELDS: [&str; 6] = ["tax_id", "tax_id_hash", "email", "phone", "fax", "mobile"];
/// Columns that hold the values of the field that another column, or the end of the exception's key, names.
const VALUES: [&str; 11] = [
    "detail",
    "pm_value",
    "erp_value",
    "pm_key",
    "erp_key",
    "old_value",
    "new_value",
    "old_key",
    "new_key",
    "other_value",
    "other_key",
];

/// A column that is null for those who may not see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    pub(super) column: String,
    pub(super) when: When,
}

/// In which rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// A record, of which the sensitive fields are left out.
    Record,
    /// Where this column names a sensitive field.
    Field(String),
    /// Where this column, a key, ends with a sensitive field.
    Key(String),
}

/// The sensitive columns of a table.
pub(super) fn of(schema: &Schema) -> Vec<Mask> {
    let has = |name: &str| schema.field_with_name(name).is_ok();
    let values = if has("field") {
        Some(When::Field("field".to_owned()))
    } else if has("exception_key") {
        Some(When::Key("exception_key".to_owned()))
    } else {
        None
    };
    let mask = |name: &String| {
        if WHOLE.contains(&name.to_ascii_lowercase().as_str()) {
            return Some(When::Record);
        }
        if is_sensitive(name) || name == REFUSED && has(RAW) {
            return Some(When::Always);
        }
        values.clone().filter(|_| VALUES.contains(&name.as_str()))
    };
    // Numbers, days and marks tell none of it.
    let names = schema.fields().iter().filter(|field| *field.data_type() == DataType::Utf8).map(|field| field.name());
    names.filter_map(|name| Some(Mask { column: name.clone(), when: mask(name)? })).collect()
}

/// A record without its sensitive fields, at any depth; none of what is no JSON, whose parts have no names.
pub(super) fn shown(record: &str) -> Option<String> {
    let mut record: Value = serde_json::from_str(record).ok()?;
    leave_out(&mut record);
    matches!(record, Value::Object(_) | Value::Array(_)).then(|| record.to_string())
}

fn leave_out(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !is_sensitive(name));
            fields.values_mut().for_each(leave_out);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out),
        _ => {}
    }
}

/// The names of sensitive fields.
pub(super) fn fields() -> [&'static str; 6] {
    FIELDS
}

fn is_sensitive(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    if lower.split('_').any(|word| WORDS.contains(&word)) {
        return true;
    }
    let plain = lower.replace('_', "");
    let plain = plain.trim_end_matches(|letter: char| letter.is_ascii_digit());
    ENDS.iter().any(|end| plain.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Field;

    #[test]
    fn sensitive_columns_are_known_by_their_names() {
        for name in ["tax_id_hash", "vendor_tax_id_hash", "email_address", "business_phone", "phone1", "ssn"] {
            assert!(is_sensitive(name), "{name}");
        }
        for name in [
            "_key",
            "_hash",
            "name",
            "city",
            "address_line",
            "starting_at",
            "protein",
            "amount",
            "old_value",
            "phonetic",
        ] {
            assert!(!is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn values_are_masked_where_their_field_is_sensitive() {
        let text = |name: &&str| Field::new(*name, DataType::Utf8, true);
        let schema = |names: &[&str]| Schema::new(names.iter().map(text).collect::<Vec<_>>());
        let mask = |column: &str, when| Mask { column: column.to_owned(), when };
        let field = || When::Field("field".to_owned());
        assert_eq!(
            of(&schema(&["field", "old_value", "label", "email"])),
            [mask("old_value", field()), mask("email", When::Always)]
        );
        assert_eq!(of(&schema(&["exception_key", "detail"])), [mask("detail", When::Key("exception_key".to_owned()))]);
        assert_eq!(of(&schema(&["detail"])), []);
        assert_eq!(of(&schema(&["_raw", "value"])), [mask("_raw", When::Record)]);
        assert_eq!(of(&schema(&["raw", "value"])), [mask("raw", When::Record), mask("value", When::Always)]);
    }

    #[test]
    fn records_are_shown_without_sensitive_fields() {
        let record = r#"{"id":1,"Amount":{"value":12.50},"Email":{"value":"a@b.test"},"contacts":[{"name":"Al","phone1":"5"}],"tax_id":"h"}"#;
        assert_eq!(shown(record).unwrap(), r#"{"id":1,"Amount":{"value":12.50},"contacts":[{"name":"Al"}]}"#);
        assert_eq!(["a@b.test", "\"a@b.test\"", ""].map(shown), [None, None, None]);
    }
}
