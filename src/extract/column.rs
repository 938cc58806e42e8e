//! Typed columns of a manifest's table: their types, and where their values come from.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
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
    let read = |(name, written): (Spanned<String>, WrittenColumn)| {
        let name = name.into_inner();
        written.read(&name).map(|column| (name, column)).map_err(de::Error::custom)
    };
    columns.into_iter().map(read).collect()
}

enum WrittenColumn {
    Short(String),
    Long(LongColumn),
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
    fn read(self, name: &str) -> Result<Column, String> {
        let in_column = |problem: String| format!("column `{name}`: {problem}");
        let (kind, from) = match self {
            Self::Short(kind) => (kind, ColumnFrom::Path(name.to_owned())),
            Self::Long(long) => {
                let from = match (long.path, long.parent, long.position) {
                    (None, None, false) => ColumnFrom::Path(name.to_owned()),
                    (Some(path), None, false) => ColumnFrom::Path(path),
                    (None, Some(parent), false) => ColumnFrom::Parent(parent),
                    (None, None, true) => ColumnFrom::Position,
                    _ => return Err(in_column("only one of `path`, `parent` and `position` can be given".into())),
                };
                (long.kind, from)
            }
        };
        Ok(Column { kind: ColumnKind::parse(&kind).map_err(in_column)?, from })
    }
}

impl<'de> Deserialize<'de> for WrittenColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColumnVisitor;
        impl<'de> Visitor<'de> for ColumnVisitor {
            type Value = WrittenColumn;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a type such as \"int64\" or { type = …, path = … }")
            }
            fn visit_str<E: de::Error>(self, kind: &str) -> Result<Self::Value, E> {
                Ok(WrittenColumn::Short(kind.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                LongColumn::deserialize(MapAccessDeserializer::new(map)).map(WrittenColumn::Long)
            }
        }
        deserializer.deserialize_any(ColumnVisitor)
    }
}
