//! The records of one list, however long: beyond a few megabytes they wait compressed and are unpacked part by part.
//!
//! A list is known to be whole only at its last page, and only then its records count. Until then they must be held, and what
//! is not redacted yet may not wait on the disk. Records of one list are much alike: compressed they take a tenth to a half.
//!
//! Leaves out: rows of several lists (`gathered`), which wait on the disk.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tieout_json::Slice;

/// Bytes of records that wait as they are; most lists have less. In tests of this crate few have.
const OPEN_BYTES: usize = if cfg!(test) { 2 << 10 } else { 4 << 20 };

/// Between the fields of packed records, which are JSON without line breaks, and their texts.
const LINE_END: u8 = b'\n';

/// What a list holds: a text, by far the most of it, and some fields.
pub(super) trait Entry: Clone + Serialize + DeserializeOwned {
    fn text(&self) -> &Slice;
    fn set_text(&mut self, text: Slice);
}

/// Records in the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct LongList<T> {
    packed: Vec<Packed>,
    /// Records before the open ones.
    packed_count: usize,
    open: Vec<T>,
    open_bytes: usize,
    /// The places of packed records that a later one stands for.
    removed: BTreeSet<usize>,
}

/// Some of them, compressed: the fields of all, then the texts of all.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    count: usize,
}

/// A list's shape without its packed records, as it is written beside them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "T: Entry")]
pub(super) struct Outline<'a, T: Entry> {
    /// Count and compressed length of each packed part.
    packed: Vec<(usize, usize)>,
    open: Cow<'a, [T]>,
    removed: Cow<'a, BTreeSet<usize>>,
}

impl<T> Default for LongList<T> {
    fn default() -> Self {
        Self { packed: Vec::new(), packed_count: 0, open: Vec::new(), open_bytes: 0, removed: BTreeSet::new() }
    }
}

impl<T> LongList<T> {
    pub(super) fn len(&self) -> usize {
        self.packed_count + self.open.len() - self.removed.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Entry> LongList<T> {
    /// Adds a record and gives its place.
    pub(super) fn push(&mut self, record: T) -> usize {
        let place = self.packed_count + self.open.len();
        self.open_bytes += record.text().as_str().len();
        self.open.push(record);
        if self.open_bytes > OPEN_BYTES {
            self.open_bytes = 0;
            let packed = Packed::new(std::mem::take(&mut self.open));
            self.packed_count += packed.count;
            self.packed.push(packed);
        }
        place
    }

    /// Lets a record stand for the one at `place`, and gives its own place.
    pub(super) fn replace(&mut self, place: usize, record: T) -> usize {
        let open = place.checked_sub(self.packed_count).and_then(|place| self.open.get_mut(place));
        if let Some(before) = open {
            *before = record;
            return place;
        }
        self.removed.insert(place);
        self.push(record)
    }

    /// All records.
    pub(super) fn iter(&self) -> impl Iterator<Item = Cow<'_, T>> {
        self.placed().map(|(_, record)| record)
    }

    /// All records with their places.
    pub(super) fn placed(&self) -> impl Iterator<Item = (usize, Cow<'_, T>)> {
        let packed = self.packed.iter().flat_map(Packed::unpack).map(Cow::Owned);
        let all = packed.chain(self.open.iter().map(Cow::Borrowed)).enumerate();
        all.filter(|(place, _)| !self.removed.contains(place))
    }

    /// Its shape, and its packed parts.
    pub(super) fn outline(&self) -> (Outline<'_, T>, impl Iterator<Item = &[u8]>) {
        let packed = self.packed.iter().map(|packed| (packed.count, packed.bytes.len())).collect();
        let outline = Outline { packed, open: Cow::Borrowed(&self.open), removed: Cow::Borrowed(&self.removed) };
        (outline, self.packed.iter().map(|packed| packed.bytes.as_slice()))
    }

    /// The list of an outline, with the packed parts from the front of `bytes`; none if they are not there.
    pub(super) fn of_outline(outline: Outline<'_, T>, bytes: &mut &[u8]) -> Option<Self> {
        let mut list = Self::default();
        for (count, length) in outline.packed {
            let (part, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            list.packed.push(Packed { bytes: part.to_vec(), count });
            list.packed_count += count;
        }
        list.open_bytes = outline.open.iter().map(|record| record.text().as_str().len()).sum();
        list.open = outline.open.into_owned();
        list.removed = outline.removed.into_owned();
        Some(list)
    }
}

impl<T: Entry + Send + 'static> IntoIterator for LongList<T> {
    type Item = T;
    type IntoIter = Box<dyn Iterator<Item = T> + Send>;

    /// All records; what is read is not held any longer.
    fn into_iter(self) -> Self::IntoIter {
        let Self { packed, open, removed, .. } = self;
        let all = packed.into_iter().flat_map(|packed| packed.unpack()).chain(open).enumerate();
        Box::new(all.filter(move |(place, _)| !removed.contains(place)).map(|(_, record)| record))
    }
}

impl Packed {
    fn new<T: Entry>(mut records: Vec<T>) -> Self {
        let mut texts = String::new();
        let mut lengths = Vec::with_capacity(records.len());
        let nothing = Slice::from(String::new());
        for record in &mut records {
            texts.push_str(record.text().as_str());
            lengths.push(record.text().as_str().len());
            record.set_text(nothing.clone());
        }
        let mut content = serde_json::to_vec(&(lengths, &records)).expect("records are JSON");
        content.push(LINE_END);
        content.extend(texts.into_bytes());
        let bytes = zstd::bulk::compress(&content, 1).expect("memory takes what is written to it");
        Self { bytes, count: records.len() }
    }

    fn unpack<T: Entry>(&self) -> Vec<T> {
        self.try_unpack().expect("what was packed here can be unpacked")
    }

    fn try_unpack<T: Entry>(&self) -> Option<Vec<T>> {
        let content = String::from_utf8(zstd::decode_all(self.bytes.as_slice()).ok()?).ok()?;
        let (fields, texts) = content.split_once(char::from(LINE_END))?;
        let (lengths, mut records): (Vec<usize>, Vec<T>) = serde_json::from_str(fields).ok()?;
        let texts = Slice::from(texts.to_owned());
        let mut from = 0;
        for (record, length) in records.iter_mut().zip(&lengths) {
            record.set_text(texts.part(from..from + length)?);
            from += length;
        }
        (records.len() == self.count && lengths.len() == self.count).then_some(records)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Record {
        id: usize,
        note: String,
        text: Slice,
    }

    impl Entry for Record {
        fn text(&self) -> &Slice {
            &self.text
        }

        fn set_text(&mut self, text: Slice) {
            self.text = text;
        }
    }

    fn record(id: usize, bytes: usize) -> Record {
        let text = format!("{id} \"Größe\"\n").repeat(bytes / 8);
        Record { id, note: format!("line\n{id}"), text: Slice::from(text) }
    }

    fn contents(list: &LongList<Record>) -> Vec<(usize, String)> {
        list.iter().map(|record| (record.id, record.text.as_str().to_owned())).collect()
    }

    proptest! {
        /// A long list holds what a plain one would, also after it was written and read.
        #[test]
        fn what_is_put_in_comes_out(steps in prop::collection::vec((any::<bool>(), 0..40_usize, 0..1500_usize), 0..60)) {
            let mut list = LongList::default();
            let mut places: Vec<usize> = Vec::new();
            let mut expected: BTreeMap<usize, Record> = BTreeMap::new();
            for (id, (replaces, which, bytes)) in steps.into_iter().enumerate() {
                let before = places.get(which).copied().filter(|_| replaces);
                let place = match before {
                    Some(at) => list.replace(at, record(id, bytes)),
                    None => list.push(record(id, bytes)),
                };
                match before {
                    Some(at) => {
                        expected.remove(&at);
                        places[which] = place;
                    }
                    None => places.push(place),
                }
                expected.insert(place, record(id, bytes));
            }
            let expected: Vec<(usize, String)> =
                expected.into_values().map(|record| (record.id, record.text.as_str().to_owned())).collect();
            prop_assert_eq!(list.len(), expected.len());
            prop_assert_eq!(contents(&list), expected.clone());
            let (outline, parts) = list.outline();
            let (json, bytes) = (serde_json::to_string(&outline).unwrap(), parts.collect::<Vec<_>>().concat());
            let read = LongList::of_outline(serde_json::from_str(&json).unwrap(), &mut bytes.as_slice()).unwrap();
            prop_assert_eq!(contents(&read), expected.clone());
            let owned: Vec<(usize, String)> =
                list.into_iter().map(|record| (record.id, record.text.as_str().to_owned())).collect();
            prop_assert_eq!(owned, expected);
        }
    }

    #[test]
    fn parts_that_are_not_there_make_no_list() {
        let mut list = LongList::default();
        for id in 0..20 {
            list.push(record(id, 1000));
        }
        let (outline, parts) = list.outline();
        let (json, bytes) = (serde_json::to_string(&outline).unwrap(), parts.collect::<Vec<_>>().concat());
        assert!(bytes.len() > 100, "some are packed");
        let outline = serde_json::from_str(&json).unwrap();
        assert!(LongList::<Record>::of_outline(outline, &mut &bytes[1..]).is_none());
    }
}
