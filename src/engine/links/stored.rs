//! What a stored id names: a record's key, its number, or a part of its key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Column, Ids, Record};

/// For each holder the records that its stored id names best: by record id, else under the same parent, else of a kind and
/// contract that do not contradict: one ERP change order may change the prime contract and two commitments.
pub(super) fn stored<'a>(holders: &[Record<'a>], others: &[Record<'a>]) -> BTreeSet<Ids<'a>> {
    // Only names that somebody stores: each record has several, and most are nobody's stored id.
    let ids = holders.iter().filter_map(|holder| holder.text(Column::StoredId));
    let mut called: HashMap<&str, Vec<(Record<'a>, bool)>> =
        ids.flat_map(|id| [Some(id), unpadded(id)]).flatten().map(|name| (name, Vec::new())).collect();
    if called.is_empty() {
        return BTreeSet::new();
    }
    for &other in others {
        let key = other.key().to_uppercase();
        for name in other.names(&key) {
            if let Some(named) = called.get_mut(name.as_str()) {
                named.push((other, false));
            }
        }
        if let Some(named) = called.get_mut(key.as_str()) {
            named.push((other, true));
        }
    }
    called.retain(|_, named| !named.is_empty());
    let mut best: BTreeMap<&str, ([bool; 3], Vec<Record<'a>>)> = BTreeMap::new();
    for &holder in holders {
        let stored = holder.text(Column::StoredId);
        let found = stored.and_then(|stored| called.get(stored).or_else(|| called.get(unpadded(stored)?)));
        for &(other, is_id) in found.into_iter().flatten().filter(|(other, _)| holder.meets(*other)) {
            let same_parent = holder.parent().is_some() && holder.parent() == other.parent();
            let preference = if is_id { [true; 3] } else { [false, same_parent, holder.agrees(other)] };
            let entry = best.entry(holder.id()).or_insert_with(|| (preference, Vec::new()));
            if preference > entry.0 {
                *entry = (preference, Vec::new());
            }
            if preference == entry.0 {
                entry.1.push(other);
            }
        }
    }
    let ids = |(holder, (_, others)): (&'a str, ([bool; 3], Vec<Record<'a>>))| {
        others.into_iter().map(move |other| (holder, other.id()))
    };
    best.into_iter().flat_map(ids).collect()
}

/// A number without the zeros in front of it, where it has some: a system whose keys are numbers calls '000123' 123.
fn unpadded(stored: &str) -> Option<&str> {
    let digits = stored.trim_start_matches('0');
    let is_padded = digits.len() < stored.len() && !digits.is_empty();
    (is_padded && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

impl Record<'_> {
    /// What a stored id may call it beside its key, which is given in upper case: its number, its key in another spelling
    /// ('Bill 000123'), and its key's last component: '000123' is 'Bill|000123'.
    /// Where the number is a component, the others are of something else: '000004|commitment|000003' is not 000003.
    fn names(self, key: &str) -> BTreeSet<String> {
        let number = self.text(Column::Number);
        let components: Vec<&str> = key.split('|').collect();
        let has_number = number.is_some_and(|number| components.contains(&number));
        let last = components.last().filter(|_| !has_number).map(|last| (*last).to_owned());
        let spelt =
            [" ", "/", "-"].into_iter().filter(|_| components.len() > 1).map(|separator| components.join(separator));
        number.map(str::to_owned).into_iter().chain(last).chain(spelt).filter(|name| name != key).collect()
    }
}
