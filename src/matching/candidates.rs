//! Which companies are compared at all: those that share something few have.

use std::collections::{BTreeSet, HashMap};

use crate::Party;
use crate::names::Name;

/// What more companies share than this says nothing by itself.
const SHARED_MAX: usize = 200;
/// If a company has nothing rarer, as many of its likest words' holders are compared.
const COMMON_MAX: usize = 2_000;

/// What two companies may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key<'a> {
    Word(&'a str),
    /// A word's consonants, each once, in order of the alphabet: misspelt vowels, doubled and swapped letters leave it.
    Sound(u32),
    /// The first letters of the name written together.
    Start([u8; 6]),
    TaxId(&'a str),
    Phone(&'a str),
    Email(&'a str),
    Address(&'a str),
}

/// The second list, by what its companies have.
pub(crate) struct Candidates<'a> {
    holders: HashMap<Key<'a>, Vec<u32>>,
}

impl<'a> Candidates<'a> {
    /// `names` are those of both lists; the second list's begin at `start`.
    pub(crate) fn new(parties: &'a [Party<'a>], names: &'a [Name<'a>], start: usize) -> Self {
        let mut holders: HashMap<Key<'a>, Vec<u32>> = HashMap::new();
        for (place, (party, name)) in (0u32..).zip(parties.iter().zip(names.iter().skip(start))) {
            for key in keys(party, name) {
                holders.entry(key).or_default().push(place);
            }
        }
        Self { holders }
    }

    /// Places in the second list that a company of the first is compared with, ascending.
    pub(crate) fn of(&self, party: &Party<'_>, name: &Name<'_>) -> BTreeSet<usize> {
        let shared: Vec<&Vec<u32>> = keys(party, name).into_iter().filter_map(|key| self.holders.get(&key)).collect();
        let rare = shared.iter().filter(|holders| holders.len() <= SHARED_MAX);
        let mut found: BTreeSet<usize> = rare.flat_map(|holders| holders.iter()).map(|place| *place as usize).collect();
        if found.is_empty() {
            let rarest = shared.into_iter().min_by_key(|holders| holders.len());
            let holders = rarest.into_iter().filter(|holders| holders.len() <= COMMON_MAX);
            found.extend(holders.flatten().map(|place| *place as usize));
        }
        found
    }
}

fn keys<'a>(party: &Party<'a>, name: &Name<'a>) -> Vec<Key<'a>> {
    let mut keys = Vec::new();
    for word in &name.words {
        keys.push(Key::Word(word.text));
        keys.extend(sound(word.text).map(Key::Sound));
    }
    keys.extend(start(name).map(Key::Start));
    keys.extend(party.tax_id.map(Key::TaxId));
    keys.extend(party.phone.map(Key::Phone));
    keys.extend(party.email.map(Key::Email));
    keys.extend(party.address.map(Key::Address));
    keys
}

/// A bit for each consonant; none for a word of fewer than three.
fn sound(word: &str) -> Option<u32> {
    let consonants = word.bytes().filter(|byte| byte.is_ascii_lowercase() && !b"aeiouyh".contains(byte));
    let bits = consonants.fold(0u32, |bits, byte| bits | 1 << (byte - b'a'));
    (bits.count_ones() >= 3).then_some(bits)
}

fn start(name: &Name<'_>) -> Option<[u8; 6]> {
    let mut letters = name.words.iter().flat_map(|word| word.text.bytes());
    let mut start = [0; 6];
    for place in &mut start {
        *place = letters.next()?;
    }
    Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_sound_alike() {
        assert_eq!(sound("halvorsen"), sound("halverson"));
        assert_eq!(sound("electric"), sound("electirc"));
        assert_ne!(sound("electric"), sound("electrical plumbing"));
        assert_eq!(sound("oak"), None);
    }
}
