//! Keys of records by the million: where each became a row, and under which list it came.
//!
//! A key is held as half of its SHA-256, so that it takes as much as two numbers, however long it is. Two keys that are taken for
//! one are not to be expected in 10¹⁸ records.

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use sha2::{Digest as _, Sha256};

/// What stands for a record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyDigest([u8; 16]);

impl KeyDigest {
    pub(super) fn of(key: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let (half, _) = digest.split_at(16);
        Self(half.try_into().expect("a half has 16 bytes"))
    }

    /// Its place in a table: a digest is spread already.
    fn spread(&self) -> u64 {
        let (first, _) = self.0.split_at(8);
        u64::from_le_bytes(first.try_into().expect("a half has 8 bytes"))
    }
}

/// A record that became a row: the page that it came on, and the beginning of its content hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    key: KeyDigest,
    content: [u8; 8],
    page: u32,
}

impl Placed {
    /// `hash` is the record's content hash in hex.
    pub(super) fn new(key: &str, hash: &str, page: usize) -> Self {
        let digits = hash.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let content = digits.unwrap_or_default().to_le_bytes();
        Self { key: KeyDigest::of(key), content, page: u32::try_from(page).unwrap_or(u32::MAX) }
    }

    /// Whether another record of its key says something else on the same page.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        self.content != other.content && self.page == other.page
    }
}

/// The rows of one list by their places in it. Ten million take 360 MB.
#[derive(Debug, Default)]
pub(super) struct Places {
    rows: Vec<Placed>,
    by_key: HashTable<u32>,
}

impl Places {
    /// The place of the row with the key of `record`, and that row.
    pub(super) fn get(&self, record: &Placed) -> Option<(usize, Placed)> {
        let found = self.by_key.find(record.key.spread(), |place| self.key(*place) == Some(record.key))?;
        let place = *found as usize;
        Some((place, *self.rows.get(place)?))
    }

    /// Puts a record at a place: the next one, or that of the row which it stands for.
    pub(super) fn put(&mut self, place: usize, record: Placed) {
        match self.rows.get_mut(place) {
            Some(before) => *before = record,
            None => self.rows.push(record),
        }
        let Self { rows, by_key } = self;
        let key = |place: &u32| rows.get(*place as usize).map(|row| row.key);
        let spread = |place: &u32| key(place).map_or(0, |key| key.spread());
        let place = u32::try_from(place).expect("a list has at most 4,294,967,295 records");
        match by_key.entry(record.key.spread(), |other| key(other) == Some(record.key), spread) {
            Entry::Occupied(mut known) => *known.get_mut() = place,
            Entry::Vacant(free) => drop(free.insert(place)),
        }
    }

    /// The page of each row, by its place.
    pub(super) fn into_pages(self) -> Vec<u32> {
        self.rows.into_iter().map(|row| row.page).collect()
    }

    fn key(&self, place: u32) -> Option<KeyDigest> {
        self.rows.get(place as usize).map(|row| row.key)
    }
}

/// Under which list of a table each key came first.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    names: Vec<Arc<str>>,
    by_key: HashMap<KeyDigest, u32>,
}

impl Scopes {
    /// Notes that a key came under a scope; the other scope that it came under before, if there is one.
    pub(super) fn claim(&mut self, key: &str, scope: &Arc<str>) -> Result<(), Arc<str>> {
        if self.names.last() != Some(scope) {
            self.names.push(Arc::clone(scope));
        }
        let place = u32::try_from(self.names.len() - 1).expect("a table has at most 4,294,967,296 lists");
        let first = *self.by_key.entry(KeyDigest::of(key)).or_insert(place);
        match self.names.get(first as usize) {
            Some(other) if other != scope => Err(Arc::clone(other)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A key is found where it was put last, whatever was put between.
        #[test]
        fn a_key_is_where_it_was_put_last(keys in prop::collection::vec((0..200_u32, any::<bool>()), 0..600)) {
            let mut places = Places::default();
            let mut expected: HashMap<String, (usize, Placed)> = HashMap::new();
            let mut count = 0;
            for (step, (number, stays)) in keys.into_iter().enumerate() {
                let key = format!("Bill|{number}");
                let record = Placed::new(&key, &format!("{step:064x}"), step);
                let before = expected.get(&key).copied();
                prop_assert_eq!(places.get(&record), before);
                let place = match before {
                    Some((place, _)) if stays => place,
                    _ => count,
                };
                count += usize::from(place == count);
                places.put(place, record);
                expected.insert(key, (place, record));
            }
            prop_assert_eq!(places.into_pages().len(), count);
        }
    }

    #[test]
    fn two_records_of_a_key_differ_on_one_page_alone() {
        let record = |hash: &str, page| Placed::new("a", hash, page);
        let (one, other) = ("0123456789abcdef00", "0123456789abcdee00");
        assert!(record(one, 1).contradicts(&record(other, 1)));
        assert!(!record(one, 1).contradicts(&record(other, 2)) && !record(one, 1).contradicts(&record(one, 1)));
    }

    #[test]
    fn a_key_belongs_to_the_scope_that_had_it_first() {
        let (first, second): (Arc<str>, Arc<str>) = (Arc::from("1"), Arc::from("2"));
        let mut scopes = Scopes::default();
        for (key, scope, other) in
            [("a", &first, None), ("b", &second, None), ("a", &second, Some(&first)), ("a", &first, None)]
        {
            assert_eq!(scopes.claim(key, scope).err().as_ref(), other, "{key} under {scope}");
        }
    }
}
