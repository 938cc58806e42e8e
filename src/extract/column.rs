//! Typed columns of a manifest's table: their types, and where their values come from.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use tieout_json::Form;
use toml::Spanned;

use crate::warehouse::rows::ColumnType;

/// A typed column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its type.
    pub kind: ColumnKind,
    /// Where its value comes from.
    pub from: ColumnFrom,
}

/// Where a column's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnFrom {
    /// A path in the record.
    Path(String),
    /// A typed column of the parent row.
    Parent(String),
    /// The record's place in its list, from 1.
    Position,
}

/// A column's type as manifests name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A type of its own.
    Plain(ColumnType),
    /// A subtree, kept as JSON text.
    Json,
}

impl ColumnKind {
    /// How its values are read.
    pub(crate) fn form(self) -> Form {
        match self {
            Self::Json => Form::Json,
            Self::Plain(ColumnType::Int64) => Form::Int64,
            Self::Plain(ColumnType::Text) => Form::Text,
            Self::Plain(ColumnType::Bool) => Form::Bool,
            Self::Plain(ColumnType::Decimal(precision, scale)) => Form::Decimal(precision, scale),
            Self::Plain(ColumnType::Date) => Form::Date,
            Self::Plain(ColumnType::Timestamp) => Form::Timestamp,
        }
    }

    /// The stored type.
    pub fn column_type(self) -> ColumnType {
        match self {
            Self::Plain(kind) => kind,
            Self::Json => ColumnType::Text,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let plain = match text {
            "int64" => ColumnType::Int64,
            "text" => ColumnType::Text,
            "bool" => ColumnType::Bool,
            "date" => ColumnType::Date,
            "timestamp" => ColumnType::Timestamp,
            "json" => return Ok(Self::Json),
            other => return decimal(other).map(Self::Plain),
        };
        Ok(Self::Plain(plain))
    }
}

fn decimal(text: &str) -> Result<ColumnType, String> {
    let unknown = || {
        format!(
            "unknown type `{text}`; known are int64, text, bool, decimal(precision,scale), date, timestamp and json"
        )
    };
    let inner = text.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(unknown)?;
    let (precision, scale) = inner.split_once(',').ok_or_else(unknown)?;
    let precision: u8 = precision.trim().parse().map_err(|_| unknown())?;
    let scale: i8 = scale.trim().parse().map_err(|_| unknown())?;
    if !(1..=38).contains(&precision) || scale < 0 || scale.unsigned_abs() > precision {
        return Err(format!("`{text}`: precision must lie in 1..=38 and scale in 0..=precision"));
    }
    Ok(ColumnType::Decimal(precision, scale))
}

/// Columns keep the order of the file, which their spans tell: a TOML table itself has none.
pub(crate) fn in_file_order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Column)>, D::Error> {
    let columns: BTreeMap<Spanned<String>, WrittenColumn> = BTreeMap::deserialize(deserializer)?;
    let mut columns: Vec<(Spanned<String>, WrittenColumn)> = columns.into_iter().collect();
    columns.sort_by_key(|(name, _)| name.span().start);
    let mut all: Vec<(String, Column)> = Vec::new();
    for (name, written) in columns {
        for (name, column) in written.read(name.into_inner()).map_err(de::Error::custom)? {
            if all.iter().any(|(other, _)| *other == name) {
                return Err(de::Error::custom(format!("column `{name}` is declared twice")));
            }
            all.push((name, column));
        }
    }
    Ok(all)
}

/// How a column is written: `id = "int64"`, `id = { type = "int64", path = "ID" }`, or many of one type as
/// `int64 = ["ID", "LineNbr"]`, where each name is the path's last step in snake case.
enum WrittenColumn {
    Short(String),
    Long(LongColumn),
    Many(Vec<String>),
}

/// `LineNbr` → `line_nbr`, `POOrderNbr` → `po_order_nbr`, `F1099Box` → `f1099_box`.
fn snake_case(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::new();
    for (place, letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|place| letters.get(place));
        let after = letters.get(place + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                let ends_a_word = !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase());
                *before != '_' && ends_a_word
            });
        if begins {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongColumn {
    #[serde(rename = "type")]
    kind: String,
    path: Option<String>,
    parent: Option<String>,
    #[serde(default)]
    position: bool,
}

impl WrittenColumn {
    fn read(self, name: String) -> Result<Vec<(String, Column)>, String> {
        let in_column = |problem: String| format!("column `{name}`: {problem}");
        let (kind, from) = match self {
            Self::Short(kind) => (kind, ColumnFrom::Path(name.clone())),
            Self::Many(paths) => {
                let kind = ColumnKind::parse(&name)?;
                let named = |path: String| {
                    let last = path.rsplit('.').next().unwrap_or_default();
                    (snake_case(last), Column { kind, from: ColumnFrom::Path(path) })
                };
                return Ok(paths.into_iter().map(named).collect());
            }
            Self::Long(long) => {
                let from = match (long.path, long.parent, long.position) {
                    (None, None, false) => ColumnFrom::Path(name.clone()),
                    (Some(path), None, false) => ColumnFrom::Path(path),
                    (None, Some(parent), false) => ColumnFrom::Parent(parent),
                    (None, None, true) => ColumnFrom::Position,
                    _ => return Err(in_column("only one of `path`, `parent` and `position` can be given".into())),
                };
                (long.kind, from)
            }
        };
        let kind = ColumnKind::parse(&kind).map_err(in_column)?;
        Ok(vec![(name, Column { kind, from })])
    }
}

impl<'de> Deserialize<'de> for WrittenColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColumnVisitor;
        impl<'de> Visitor<'de> for ColumnVisitor {
            type Value = WrittenColumn;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a type such as \"int64\", { type = …, path = … } or a list of paths")
            }
            fn visit_str<E: de::Error>(self, kind: &str) -> Result<Self::Value, E> {
                Ok(WrittenColumn::Short(kind.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut paths: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(path) = paths.next_element()? {
                    all.push(path);
                }
                Ok(WrittenColumn::Many(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                LongColumn::deserialize(MapAccessDeserializer::new(map)).map(WrittenColumn::Long)
            }
        }
        deserializer.deserialize_any(ColumnVisitor)
    }
}

/// A text, or a list of texts.
pub(crate) fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMore;
    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table's name or a list of them")
        }
        fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
            Ok(vec![name.to_owned()])
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(name) = names.next_element()? {
                all.push(name);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(OneOrMore)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Table {
        #[serde(deserialize_with = "in_file_order")]
        columns: Vec<(String, Column)>,
    }

    fn columns(text: &str) -> Result<Vec<(String, Column)>, String> {
        toml::from_str(&format!("[columns]\n{text}"))
            .map(|table: Table| table.columns)
            .map_err(|error| error.message().into())
    }

    #[test]
    fn many_columns_of_one_type_are_named_after_their_paths() {
        let written = columns(
            "text = [\"POOrderNbr\", \"F1099Box\", \"Contact.Address.City\"]\nid = \"int64\"\n\"decimal(24,6)\" = [\"CuryAmount\"]",
        );
        let written: Vec<(String, ColumnFrom)> =
            written.unwrap().into_iter().map(|(name, column)| (name, column.from)).collect();
        let path = |path: &str| ColumnFrom::Path(path.into());
        assert_eq!(
            written,
            [
                ("po_order_nbr".into(), path("POOrderNbr")),
                ("f1099_box".into(), path("F1099Box")),
                ("city".into(), path("Contact.Address.City")),
                ("id".into(), path("id")),
                ("cury_amount".into(), path("CuryAmount")),
            ]
        );
        for (name, snake) in [
            ("VendorID", "vendor_id"),
            ("PONbr", "po_nbr"),
            ("already_snake", "already_snake"),
            ("ARDocType", "ar_doc_type"),
            ("Amount_Paid", "amount_paid"),
            ("AMOUNT_PAID", "amount_paid"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }

    #[test]
    fn a_list_under_no_type_and_a_name_declared_twice_are_refused() {
        assert!(columns("words = [\"A\"]").unwrap_err().contains("unknown type `words`"));
        assert!(columns("text = [\"A\", \"B.A\"]").unwrap_err().contains("column `a` is declared twice"));
    }
}
