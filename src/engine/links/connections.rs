//! Several connections of one side: two ERPs of one firm, two PM companies onto one ERP.
//!
//! Each numbers its records for itself, so what a key says of a record of one connection says nothing of another's. Invariants:
//! - A record whose project (or whose firm's setting) says which connection keeps its counterpart is linked in no other.
//! - Documents and projects have one counterpart; what has one in each connection (`Reach`) is paired with each by itself, and a
//!   stored id is the id of one connection: in the others its record is as if it stored none.
//! - Where a key names a record in several connections the one of the same name or tax id is meant; if none is, nothing is.
//! - Of companies an equal number says nothing where there are several connections, unless name or tax id says the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::engine::canonical::own_key;

use super::{Column, Found, Ids, Reach, Record, Step};

/// So many stored ids of which none names anything are no keys of the other side.
const FOREIGN_IDS: usize = 5;

/// Candidate pairs by the step that finds them.
type Steps<'a> = [(Step, BTreeSet<Ids<'a>>); 6];
/// One connection of each side.
type Both<'a> = (Option<&'a str>, Option<&'a str>);
/// A side (whether PM) and a connection.
type Place<'a> = (bool, Option<&'a str>);

/// The connections that the records of both sides came from.
pub(super) struct Connections<'a> {
    pm: HashMap<&'a str, Record<'a>>,
    erp: HashMap<&'a str, Record<'a>>,
    has_several: bool,
    /// By record with a stored id: the connections in which it names something.
    resolved: HashMap<&'a str, BTreeSet<Option<&'a str>>>,
    /// Where no stored id names anything: an integrator's own keys stand there.
    foreign: BTreeSet<Place<'a>>,
}

impl<'a> Connections<'a> {
    pub(super) fn new(pm: &[Record<'a>], erp: &[Record<'a>]) -> Self {
        let is_several = |records: &[Record<'a>]| {
            let first = records.first().and_then(|record| record.source());
            records.iter().any(|record| record.source() != first)
        };
        let by_id = |records: &[Record<'a>]| records.iter().map(|record| (record.id(), *record)).collect();
        let has_several = is_several(pm) || is_several(erp);
        Self { pm: by_id(pm), erp: by_id(erp), has_several, resolved: HashMap::new(), foreign: BTreeSet::new() }
    }

    pub(super) fn records(&self, (pm_id, erp_id): Ids<'a>) -> Option<(Record<'a>, Record<'a>)> {
        Some((*self.pm.get(pm_id)?, *self.erp.get(erp_id)?))
    }

    /// Notes the connections of a side's records whose stored ids name nothing at all. `named`: holder and what its id names.
    pub(super) fn note_foreign(&mut self, holders: &[Record<'a>], named: &BTreeSet<Ids<'a>>) {
        let known: BTreeSet<&str> = named.iter().map(|(holder, _)| *holder).collect();
        let mut counts: BTreeMap<Place<'_>, (BTreeSet<&str>, bool)> = BTreeMap::new();
        for holder in holders.iter().filter(|holder| holder.stores_id()) {
            let count = counts.entry((holder.is_pm(), holder.source())).or_default();
            count.0.insert(holder.id());
            count.1 |= known.contains(holder.id());
        }
        let foreign = counts.into_iter().filter(|(_, (ids, is_named))| ids.len() >= FOREIGN_IDS && !is_named);
        self.foreign.extend(foreign.map(|(place, _)| place));
    }

    /// The pairs of stored ids, and a note where each names something.
    pub(super) fn explicit(&mut self, pairs: BTreeSet<Ids<'a>>) -> BTreeSet<Ids<'a>> {
        if !self.has_several {
            return pairs;
        }
        // A stored id names one connection's record: its holder's candidates compete, not who else names that record.
        let is_holder = |record: Record<'_>| record.stores_id() && record.reach() != Reach::Each;
        let found = meant(&pairs.iter().filter_map(|ids| self.records(*ids)).collect(), is_holder);
        for &(pm, erp) in &found {
            for (holder, other) in [(pm, erp), (erp, pm)].into_iter().filter(|(holder, _)| holder.stores_id()) {
                self.resolved.entry(holder.id()).or_default().insert(other.source());
            }
        }
        // Named in several and the same nowhere: whose id it is, nobody can say.
        let is_unclear = |record: Record<'a>, other: Record<'a>| {
            let places = self.resolved.get(record.id());
            record.reach() == Reach::EachByName
                && places.is_some_and(|places| places.len() > 1)
                && !record.is_witnessed_by(other)
        };
        let stays = |&&(pm, erp): &&(Record<'a>, Record<'a>)| !is_unclear(pm, erp) && !is_unclear(erp, pm);
        found.iter().filter(stays).map(|(pm, erp)| (pm.id(), erp.id())).collect()
    }

    /// Whether two records may be paired by what they are called: neither stores an id that could mean the other's connection.
    pub(super) fn may_guess(&self, pm: Record<'a>, erp: Record<'a>) -> bool {
        let is_free = |record: Record<'a>, other: Record<'a>| {
            let places = || self.resolved.get(record.id());
            let is_elsewhere = || places().is_some_and(|places| !places.contains(&other.source()));
            let is_foreign = || self.foreign.contains(&(record.is_pm(), record.source()));
            !record.stores_id() || is_foreign() || record.reach() != Reach::One && is_elsewhere()
        };
        is_free(pm, erp) && is_free(erp, pm) && pm.meets(erp)
    }

    /// Pairs of equal numbers, as far as numbers say something across connections.
    pub(super) fn by_number(&self, found: Found<'a>) -> Found<'a> {
        if !self.has_several {
            return found;
        }
        let says = |&(pm, erp): &(Record<'a>, Record<'a>)| {
            pm.reach() != Reach::EachByName || pm.is_settled(erp) || pm.is_witnessed_by(erp)
        };
        meant(&found.into_iter().filter(says).collect(), |record| record.reach() == Reach::One)
    }

    /// The candidates of each two connections by themselves, where records have a counterpart in each.
    pub(super) fn apart(&self, steps: Steps<'a>) -> Vec<Steps<'a>> {
        if !self.has_several {
            return vec![steps];
        }
        let mut parts: BTreeMap<Both, Steps<'a>> = BTreeMap::new();
        for (place, (_, pairs)) in steps.iter().enumerate() {
            for ids in pairs {
                let records = self.records(*ids);
                let shared = records.filter(|(pm, erp)| pm.reach() != Reach::One || erp.reach() != Reach::One);
                let key = shared.map_or((None, None), |(pm, erp)| (pm.source(), erp.source()));
                let part =
                    parts.entry(key).or_insert_with(|| steps.each_ref().map(|(step, _)| (*step, BTreeSet::new())));
                if let Some((_, pairs)) = part.get_mut(place) {
                    pairs.insert(*ids);
                }
            }
        }
        parts.into_values().collect()
    }
}

/// Of what is called the same in several connections, what has the same name or tax id in them; all of it if nothing has. Only
/// of records that mean one of them.
fn meant<'a>(found: &Found<'a>, means_one: impl Fn(Record<'a>) -> bool) -> Found<'a> {
    let of_pm = called(found.iter().copied());
    let of_erp = called(found.iter().map(|&(pm, erp)| (erp, pm)));
    let is_narrowed = |known: &Called<'a>, record: Record<'a>| {
        let known = known.get(record.id()).filter(|_| means_one(record));
        known.is_some_and(|(sources, is_witnessed)| sources.len() > 1 && *is_witnessed)
    };
    let stays = |&&(pm, erp): &&(Record<'a>, Record<'a>)| {
        pm.is_witnessed_by(erp) || !is_narrowed(&of_pm, pm) && !is_narrowed(&of_erp, erp)
    };
    found.iter().filter(stays).copied().collect()
}

/// Of each record in which connections it is called the same, and whether something else says that it is one of those.
type Called<'a> = HashMap<&'a str, (BTreeSet<Option<&'a str>>, bool)>;

fn called<'a>(pairs: impl Iterator<Item = (Record<'a>, Record<'a>)>) -> Called<'a> {
    let mut called = Called::new();
    for (record, other) in pairs {
        let entry = called.entry(record.id()).or_default();
        entry.0.insert(other.source());
        entry.1 |= record.is_witnessed_by(other);
    }
    called
}

impl<'a> Record<'a> {
    /// Its key as its own system has it, without the connection in front.
    pub(super) fn key(self) -> &'a str {
        self.source().map_or(self.id(), |source| own_key(source, self.id()))
    }

    fn stores_id(self) -> bool {
        self.text(Column::StoredId).is_some()
    }

    fn partner_source(self) -> Option<&'a str> {
        self.text(Column::PartnerSource)
    }

    /// Whether neither's counterpart is in another connection.
    pub(super) fn meets(self, other: Self) -> bool {
        let may = |record: Self, other: Self| {
            let (partner, source) = (record.partner_source(), other.source());
            partner.is_none() || source.is_none() || partner == source
        };
        may(self, other) && may(other, self)
    }

    /// Whether somebody says that this connection and the other's belong together.
    fn is_settled(self, other: Self) -> bool {
        self.partner_source().is_some() || other.partner_source().is_some()
    }

    /// Whether something else than a number says that they are one.
    fn is_witnessed_by(self, other: Self) -> bool {
        let same = |one: Option<&str>, other: Option<&str>| one.is_some() && one == other;
        let name = |record: Self| record.text(Column::LabelKey).or_else(|| record.text(Column::NameKey));
        same(self.text(Column::TaxIdHash), other.text(Column::TaxIdHash)) || same(name(self), name(other))
    }
}
