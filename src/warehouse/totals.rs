//! Sums by column as manifests state them.
//!
//! Held as one small slice: a chain of ten years has a hundred thousand of them, and nodes of a tree take ten times as much.

use std::collections::BTreeMap;
use std::ops::Index;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The sum of each decimal column, as decimal text, ascending by the column's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnTotals(Box<[(String, String)]>);

impl ColumnTotals {
    /// The sum of a column.
    pub fn get(&self, column: &str) -> Option<&String> {
        let found = self.0.binary_search_by(|(name, _)| name.as_str().cmp(column)).ok()?;
        self.0.get(found).map(|(_, sum)| sum)
    }

    /// Columns with their sums.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, sum)| (name.as_str(), sum.as_str()))
    }

    /// Whether there is no decimal column.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<BTreeMap<String, String>> for ColumnTotals {
    fn from(sums: BTreeMap<String, String>) -> Self {
        Self(sums.into_iter().collect())
    }
}

impl Index<&str> for ColumnTotals {
    type Output = String;

    /// # Panics
    /// There is no such column.
    fn index(&self, column: &str) -> &String {
        self.get(column).expect("the column has a total")
    }
}

impl Serialize for ColumnTotals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for ColumnTotals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}
