//! Finding records by what they are called.

use super::Record;

/// Records by a key, in their order: as lists in a map each key would take three times as much, and there are millions.
pub(super) struct Index<'a, K>(Vec<(K, Record<'a>)>);

impl<'a, K: Ord> Index<'a, K> {
    pub(super) fn new(records: impl Iterator<Item = (K, Record<'a>)>) -> Self {
        let mut records: Vec<(K, Record<'a>)> = records.collect();
        records.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self(records)
    }

    /// The records of a key.
    pub(super) fn get<'i>(&'i self, key: &K) -> impl Iterator<Item = Record<'a>> + use<'a, 'i, K> {
        let first = self.0.partition_point(|(known, _)| known < key);
        let count = self.0.iter().skip(first).take_while(|(known, _)| known == key).count();
        self.0.iter().skip(first).take(count).map(|(_, record)| *record)
    }
}
