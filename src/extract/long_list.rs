//! The records of one list, however long: beyond a few megabytes they wait compressed, beyond some more on the disk.
//!
//! A list is known to be whole only at its last page, and only then its records count. Until then they must be held, and what
//! is not redacted yet may reach the disk only under a key that nobody has. Records of one list are much alike: compressed
//! they take a tenth to a half.
//!
//! Invariant: beyond a fixed number of bytes, memory grows with a list's parts, each of some megabytes, not with its records.
//!
//! Leaves out: rows of several lists (`gathered`), which wait on the disk too.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tieout_json::Slice;

use super::sealed::{SealedFile, SealedPart};

/// Bytes of records that wait as they are; most lists have less. In tests of this crate few have.
const OPEN_BYTES: usize = if cfg!(test) { 2 << 10 } else { 4 << 20 };

/// Bytes of packed records that wait in memory.
const HELD_BYTES: usize = if cfg!(test) { 1 << 10 } else { 8 << 20 };

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
    /// Of the packed ones in memory.
    held_bytes: usize,
    /// Where the others are; none while there are none, or if there is no place for them.
    sealed: Option<Arc<SealedFile>>,
    open: Vec<T>,
    open_bytes: usize,
    /// The places of packed records that a later one stands for.
    removed: BTreeSet<usize>,
}

/// Some of them, compressed: the fields of all, then the texts of all.
#[derive(Clone, Debug)]
struct Packed {
    bytes: Bytes,
    count: usize,
}

/// Where packed records are.
#[derive(Clone, Debug)]
enum Bytes {
    Held(Vec<u8>),
    Sealed(Arc<SealedFile>, SealedPart),
    /// Redacted, in the file of another run: file, offset, length.
    Staged(Arc<Mutex<File>>, u64, usize),
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
        Self {
            packed: Vec::new(),
            packed_count: 0,
            held_bytes: 0,
            sealed: None,
            open: Vec::new(),
            open_bytes: 0,
            removed: BTreeSet::new(),
        }
    }
}

impl<T> LongList<T> {
    pub(super) fn len(&self) -> usize {
        self.packed_count + self.open.len() - self.removed.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Packed records in memory, or on the disk if there are many and the disk takes them.
    fn place(&mut self, bytes: Vec<u8>) -> Bytes {
        if self.held_bytes + bytes.len() <= HELD_BYTES {
            self.held_bytes += bytes.len();
            return Bytes::Held(bytes);
        }
        let sealed = self.sealed.take().map_or_else(|| SealedFile::create().map(Arc::new), Ok);
        let written = sealed.and_then(|sealed| Ok((sealed.append(&bytes)?, sealed)));
        match written {
            Ok((part, sealed)) => {
                self.sealed = Some(Arc::clone(&sealed));
                Bytes::Sealed(sealed, part)
            }
            Err(error) => {
                tracing::warn!(%error, "a long list cannot wait on the disk and waits in memory; TMPDIR names the folder");
                self.held_bytes += bytes.len();
                Bytes::Held(bytes)
            }
        }
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
            let records = std::mem::take(&mut self.open);
            let count = records.len();
            let bytes = pack(records);
            let bytes = self.place(bytes);
            self.packed_count += count;
            self.packed.push(Packed { bytes, count });
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

    /// All records; an error, and no more of its part, where the disk does not give what it took.
    pub(super) fn iter(&self) -> impl Iterator<Item = io::Result<Cow<'_, T>>> {
        self.placed().map(|placed| Ok(placed?.1))
    }

    /// All records with their places, as [`Self::iter`].
    pub(super) fn placed(&self) -> impl Iterator<Item = io::Result<(usize, Cow<'_, T>)>> {
        let packed = self.packed.iter().flat_map(Packed::unpack).map(|record| record.map(Cow::Owned));
        let open = self.open.iter().map(|record| Ok(Cow::Borrowed(record)));
        // Without a record of a part that is lost no place after it is right, and nobody reads on behind an error.
        let all = packed.chain(open).enumerate().map(|(place, record)| Ok((place, record?)));
        all.filter(|placed| placed.as_ref().map_or(true, |(place, _)| !self.removed.contains(place)))
    }

    /// Its shape, and its packed parts.
    pub(super) fn outline(&self) -> (Outline<'_, T>, impl Iterator<Item = io::Result<Cow<'_, [u8]>>>) {
        let packed = self.packed.iter().map(|packed| (packed.count, packed.bytes.len())).collect();
        let outline = Outline { packed, open: Cow::Borrowed(&self.open), removed: Cow::Borrowed(&self.removed) };
        (outline, self.packed.iter().map(|packed| packed.bytes.read()))
    }

    /// The list of an outline, whose packed parts are in a file from `offset` on, which moves behind them.
    pub(super) fn of_outline(outline: Outline<'_, T>, file: &Arc<Mutex<File>>, offset: &mut u64) -> Self {
        let mut list = Self::default();
        for (count, length) in outline.packed {
            list.packed.push(Packed { bytes: Bytes::Staged(Arc::clone(file), *offset, length), count });
            list.packed_count += count;
            *offset += length as u64;
        }
        list.open_bytes = outline.open.iter().map(|record| record.text().as_str().len()).sum();
        list.open = outline.open.into_owned();
        list.removed = outline.removed.into_owned();
        list
    }
}

impl<T: Entry + Send + 'static> IntoIterator for LongList<T> {
    type Item = io::Result<T>;
    type IntoIter = Box<dyn Iterator<Item = io::Result<T>> + Send>;

    /// All records, as [`LongList::iter`]; what is read is not held any longer.
    fn into_iter(self) -> Self::IntoIter {
        let Self { packed, open, removed, .. } = self;
        let packed = packed.into_iter().flat_map(|packed| packed.unpack());
        let all = packed.chain(open.into_iter().map(Ok)).enumerate();
        Box::new(all.filter(move |(place, _)| !removed.contains(place)).map(|(_, record)| record))
    }
}

impl Bytes {
    fn len(&self) -> usize {
        match self {
            Self::Held(bytes) => bytes.len(),
            Self::Sealed(_, part) => part.length(),
            Self::Staged(_, _, length) => *length,
        }
    }

    fn read(&self) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Held(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Sealed(file, part) => file.read(*part).map(Cow::Owned),
            Self::Staged(file, offset, length) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let mut bytes = vec![0; *length];
                file.seek(SeekFrom::Start(*offset))?;
                file.read_exact(&mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }
}

impl Packed {
    /// Its records, or one error.
    fn unpack<T: Entry>(&self) -> impl Iterator<Item = io::Result<T>> + use<T> {
        let (records, error) = match self.try_unpack() {
            Ok(records) => (records, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        records.into_iter().map(Ok).chain(error)
    }

    fn try_unpack<T: Entry>(&self) -> io::Result<Vec<T>> {
        let bytes = self.bytes.read()?;
        let torn = || io::Error::new(io::ErrorKind::InvalidData, "packed records are torn");
        let content = String::from_utf8(zstd::decode_all(&*bytes)?).map_err(|_| torn())?;
        let (fields, texts) = content.split_once(char::from(LINE_END)).ok_or_else(torn)?;
        let (lengths, mut records): (Vec<usize>, Vec<T>) = serde_json::from_str(fields)?;
        let texts = Slice::from(texts.to_owned());
        let mut from = 0;
        for (record, length) in records.iter_mut().zip(&lengths) {
            record.set_text(texts.part(from..from + length).ok_or_else(torn)?);
            from += length;
        }
        let is_whole = records.len() == self.count && lengths.len() == self.count;
        if is_whole { Ok(records) } else { Err(torn()) }
    }
}

fn pack<T: Entry>(mut records: Vec<T>) -> Vec<u8> {
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
    zstd::bulk::compress(&content, 1).expect("memory takes what is written to it")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;

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
        let records = list.iter().map(Result::unwrap);
        records.map(|record| (record.id, record.text.as_str().to_owned())).collect()
    }

    /// The list that another run finds in a file, some bytes after its beginning.
    fn staged(list: &LongList<Record>, cut: u64) -> LongList<Record> {
        let (outline, parts) = list.outline();
        let json = serde_json::to_string(&outline).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before").unwrap();
        parts.for_each(|part| file.write_all(&part.unwrap()).unwrap());
        file.set_len(file.metadata().unwrap().len() - cut).unwrap();
        let (file, mut offset) = (Arc::new(Mutex::new(file)), 6);
        let read = LongList::of_outline(serde_json::from_str(&json).unwrap(), &file, &mut offset);
        assert_eq!(offset, file.lock().unwrap().metadata().unwrap().len() + cut);
        read
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
            prop_assert_eq!(contents(&staged(&list, 0)), expected.clone());
            let owned: Vec<(usize, String)> =
                list.into_iter().map(|record| record.unwrap()).map(|record| (record.id, record.text.as_str().to_owned())).collect();
            prop_assert_eq!(owned, expected);
        }
    }

    fn long() -> LongList<Record> {
        let mut list = LongList::default();
        for id in 0..400 {
            list.push(record(id, 1000));
        }
        list
    }

    #[test]
    fn beyond_some_bytes_parts_wait_on_the_disk() {
        let list = long();
        let held: usize =
            list.packed.iter().filter(|part| matches!(part.bytes, Bytes::Held(_))).map(|part| part.bytes.len()).sum();
        assert!(held > 0 && held <= HELD_BYTES, "{held} bytes in memory");
        assert!(list.packed.iter().filter(|part| matches!(part.bytes, Bytes::Sealed(..))).count() > 10);
        assert_eq!(contents(&list).len(), 400);
    }

    #[test]
    fn parts_that_are_not_there_are_an_error_and_no_shorter_list() {
        let list = staged(&long(), 1);
        assert!(list.iter().any(|record| record.is_err()));
        assert!(list.into_iter().any(|record| record.is_err()));
    }
}
