//! What a stored id names: a record's key, its number, or a part of its key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Ids, Record};

/// For each holder the records that its stored id names best: by record id, else under the same parent, else of a kind and
/// contract that do not contradict: one ERP change order may change the prime contract and two commitments.
pub(super) fn stored<'a>(holders: &[&'a Record], others: &[&'a Record]) -> BTreeSet<Ids<'a>> {
    let mut called: HashMap<String, Vec<(&Record, bool)>> = HashMap::new();
    for &other in others {
        for name in other.names() {
            called.entry(name).or_default().push((other, false));
        }
        called.entry(other.key().to_uppercase()).or_default().push((other, true));
    }
    let mut best: BTreeMap<&str, ([bool; 3], Vec<&'a Record>)> = BTreeMap::new();
    for holder in holders {
        let stored = holder.stored_id.as_ref();
        let found = stored.and_then(|stored| called.get(stored).or_else(|| called.get(unpadded(stored)?)));
        for &(other, is_id) in found.into_iter().flatten().filter(|(other, _)| holder.meets(other)) {
            let same_parent = holder.parent.is_some() && holder.parent == other.parent;
            let preference = if is_id { [true; 3] } else { [false, same_parent, holder.agrees(other)] };
            let entry = best.entry(holder.id.as_str()).or_insert_with(|| (preference, Vec::new()));
            if preference > entry.0 {
                *entry = (preference, Vec::new());
            }
            if preference == entry.0 {
                entry.1.push(other);
            }
        }
    }
    let ids = |(holder, (_, others)): (&'a str, ([bool; 3], Vec<&'a Record>))| {
        others.into_iter().map(move |other| (holder, other.id.as_str()))
    };
    best.into_iter().flat_map(ids).collect()
}

/// A number without the zeros in front of it, where it has some: a system whose keys are numbers calls '000123' 123.
fn unpadded(stored: &str) -> Option<&str> {
    let digits = stored.trim_start_matches('0');
    let is_padded = digits.len() < stored.len() && !digits.is_empty();
    (is_padded && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

impl Record {
    /// What a stored id may call it beside its key: its number, its key in another spelling ('Bill 000123'), and its key's last
    /// component: '000123' is 'Bill|000123'.
    /// Where the number is a component, the others are of something else: '000004|commitment|000003' is not 000003.
    fn names(&self) -> BTreeSet<String> {
        let id = self.key().to_uppercase();
        let components: Vec<&str> = id.split('|').collect();
        let has_number = self.number.as_deref().is_some_and(|number| components.contains(&number));
        let last = components.last().filter(|_| !has_number).map(|last| (*last).to_owned());
        let spelt =
            [" ", "/", "-"].into_iter().filter(|_| components.len() > 1).map(|separator| components.join(separator));
        self.number.iter().cloned().chain(last).chain(spelt).filter(|name| *name != id).collect()
    }
}
