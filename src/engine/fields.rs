//! The fields in which two versions of a row differ, as JSON: `{"amount": {"from": 1.00, "to": 2.00}}`.
//!
//! Invariants: decimals and integers keep every digit; a record as received (`_raw`) is told by those of its own fields
//! that differ, as `_raw.<field>`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use serde_json::{Map, Number, Value};

use crate::warehouse::rows::RAW;

/// `name, old, new, name, old, new, …`; null where nothing differs.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChangedFields {
    signature: Signature,
}

impl Default for ChangedFields {
    fn default() -> Self {
        let signature = Signature::one_of(
            vec![
                datafusion::logical_expr::TypeSignature::VariadicAny,
                datafusion::logical_expr::TypeSignature::Nullary,
            ],
            Volatility::Immutable,
        );
        Self { signature }
    }
}

impl ScalarUDFImpl for ChangedFields {
    fn name(&self) -> &'static str {
        "changed_fields"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let mut found = vec![Map::new(); rows];
        for field in arguments.args.chunks(3) {
            let [ColumnarValue::Scalar(ScalarValue::Utf8(Some(name))), old, new] = field else {
                return plan_err!("changed_fields takes a name, a value and a value, any number of times");
            };
            let (old, new) = (old.to_array(rows)?, new.to_array(rows)?);
            if name == RAW {
                raw_fields(&mut found, &old, &new);
            } else {
                field_changes(&mut found, name, &old, &new)?;
            }
        }
        let texts = found.into_iter().map(|fields| (!fields.is_empty()).then(|| Value::Object(fields).to_string()));
        Ok(ColumnarValue::Array(Arc::new(texts.collect::<StringArray>())))
    }
}

fn change(from: Value, to: Value) -> Value {
    Value::Object(Map::from_iter([("from".to_owned(), from), ("to".to_owned(), to)]))
}

fn field_changes(found: &mut [Map<String, Value>], name: &str, old: &ArrayRef, new: &ArrayRef) -> Result<()> {
    let options = FormatOptions::default();
    let texts = [ArrayFormatter::try_new(old.as_ref(), &options)?, ArrayFormatter::try_new(new.as_ref(), &options)?];
    let [before, after] = texts;
    let value = |array: &ArrayRef, text: &ArrayFormatter<'_>, row| {
        if array.is_null(row) { Value::Null } else { json(array.data_type(), text.value(row).to_string()) }
    };
    for (row, fields) in found.iter_mut().enumerate() {
        let (from, to) = (value(old, &before, row), value(new, &after, row));
        if from != to {
            fields.insert(name.to_owned(), change(from, to));
        }
    }
    Ok(())
}

/// A value as JSON: numbers with the digits that they were printed with.
fn json(kind: &DataType, text: String) -> Value {
    match kind {
        DataType::Boolean => Value::Bool(text == "true"),
        kind if kind.is_integer() || matches!(kind, DataType::Decimal128(..) | DataType::Decimal256(..)) => {
            text.parse::<Number>().map_or(Value::String(text), Value::Number)
        }
        _ => Value::String(text),
    }
}

fn raw_fields(found: &mut [Map<String, Value>], old: &ArrayRef, new: &ArrayRef) {
    let (Some(old), Some(new)) = (old.as_string_opt::<i32>(), new.as_string_opt::<i32>()) else { return };
    let parse = |array: &StringArray, row| {
        let value = array.is_valid(row).then(|| serde_json::from_str(array.value(row)).ok()).flatten();
        value.unwrap_or(Value::Null)
    };
    for (row, fields) in found.iter_mut().enumerate() {
        let versions = (parse(old, row), parse(new, row));
        let (Value::Object(before), Value::Object(after)) = versions else { continue };
        let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
        let changes = gone.map(|(name, from)| (name, from, &Value::Null));
        let kept = after.iter().map(|(name, to)| (name, before.get(name).unwrap_or(&Value::Null), to));
        for (name, from, to) in changes.chain(kept).filter(|(_, from, to)| from != to) {
            fields.insert(format!("{RAW}.{name}"), change(from.clone(), to.clone()));
        }
    }
}
