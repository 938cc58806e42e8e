//! From the records of one list to the rows of its table and of the tables embedded in it, each with how far it is believed.

use std::io;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tieout_json::{Cell, Kind, Slice, Tape, look_up};

use super::SourceSettings;
use super::decode::{Decoded, Decoder, Owner, Row, Unfit, cell_of};
use super::drift::Seen;
use super::failure::{Failure, FailureKind};
use super::long_list::LongList;
use super::manifest::{Manifest, Table};
use super::parts::parts;
use super::places::{Placed, Places};
use super::rules::DriftPolicy;
use super::scope::{Job, Pages, Received, ScopeRead, unread};
use crate::clock::Clock;
use crate::warehouse::rows::{CoverageStatus, Reject};

/// Letters of a value that is told, at most.
const VALUE_LETTERS_MAX: usize = 200;

/// A record, its place in its list, and the row that it hangs on.
type Found<'a> = (Received, usize, Option<(&'a Table, Arc<[Cell]>)>);

/// What the disk gave back; none, and the reason set aside, if it did not.
fn kept_or<T>(lost: &mut Option<io::Error>, record: io::Result<T>) -> Option<T> {
    record.map_err(|reason| *lost = Some(reason)).ok()
}

/// Whether a reject stands for a record that is no row, not for a value of one.
fn is_record(reject: &Reject) -> bool {
    reject.key.is_none() || !reject.raw.is_empty()
}

/// What makes rows of records, wherever these came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assembler<'a, 'c> {
    pub(super) source: &'a SourceSettings,
    pub(super) clock: &'c Clock,
}

impl<'a> Assembler<'a, '_> {
    fn manifest(&self) -> &'a Manifest {
        &self.source.manifest
    }

    pub(super) fn decode(&self, job: &Job<'a>, pages: Pages) -> Vec<ScopeRead<'a>> {
        let owner = job.parent.as_ref().and_then(|parent| {
            self.manifest().table(&parent.table).map(|table| (table, Arc::from(parent.cells.as_slice())))
        });
        let mut unread_reason = None;
        let records = pages.records.into_iter().map_while(|record| kept_or(&mut unread_reason, record)).enumerate();
        let mut records = records.map(|(place, received)| (received, place + 1, owner.clone()));
        let mut reads = Vec::new();
        let observed_at = pages.oldest.unwrap_or_else(|| self.clock.now());
        self.decode_table(job.table, job, &mut records, observed_at, &mut reads);
        drop(records);
        let failure = pages.failure.or(unread_reason.map(|reason| unread(job.table, &reason)));
        if let Some(read) = reads.first_mut() {
            read.expected = pages.total;
            let records = read.rows.len() + read.rejects.iter().filter(|reject| is_record(reject)).count();
            let received = u64::try_from(records).unwrap_or(u64::MAX).saturating_add(read.left_out);
            let is_missing = |failure: &Failure| failure.kind == FailureKind::NotFound && pages.count == 0;
            read.is_finished = failure.as_ref().is_none_or(is_missing) && pages.broken.is_none();
            if let Some(failure) = failure {
                // With a first page the rest is missing; without one there is nothing at all.
                read.status = if pages.count > 0 { CoverageStatus::Partial } else { failure.status() };
                read.error = Some(failure.to_string());
                read.failure = Some(failure);
            } else if let Some(reason) = pages.broken {
                read.status = CoverageStatus::Partial;
                read.error = Some(reason);
            } else if let Some(reason) = pages.moved {
                read.status = CoverageStatus::Partial;
                (read.is_unsteady, read.is_finished) = (true, false);
                read.error = Some(reason);
            } else if let Some(total) = pages.total.filter(|total| received < *total) {
                read.status = CoverageStatus::Partial;
                (read.is_unsteady, read.is_finished) = (pages.count > 1, false);
                read.error = Some(format!("the source tells {total} records and gave {received}"));
            } else if read.error.is_none() {
                let more = pages.total.filter(|total| received > *total);
                let more =
                    more.map(|total| format!("the source tells {total} records and gave {received}: all are kept"));
                let notes: Vec<String> = pages.notes.into_iter().chain(more).collect();
                read.error = (!notes.is_empty()).then(|| notes.join("; "));
            }
            let is_nothing = matches!(read.status, CoverageStatus::NotFound | CoverageStatus::EmptyUnverified);
            if is_nothing && job.parent.as_ref().is_some_and(|parent| parent.is_gone()) {
                // What the record is gone with: its list is hidden or empty because there is nothing left to list.
                (read.status, read.error, read.failure) = (CoverageStatus::EmptyVerified, None, None);
            }
        }
        reads
    }

    /// Rows of one table from its records, then of the tables embedded in it.
    #[expect(clippy::too_many_lines, reason = "what becomes of a record is told in one place, in its order")]
    fn decode_table(
        &self,
        table: &'a Table,
        job: &Job<'a>,
        records: &mut dyn Iterator<Item = Found<'a>>,
        observed_at: DateTime<Utc>,
        reads: &mut Vec<ScopeRead<'a>>,
    ) {
        let rules = &self.source.rules;
        let mut decoder = Decoder::new(self.manifest(), table, rules);
        let picks = rules.picks(table);
        let is_quarantine = rules.drift.of(&table.name) == DriftPolicy::Quarantine;
        let mut read = ScopeRead {
            table,
            scope: Arc::clone(&job.scope),
            parent: job.parent.clone(),
            rows: LongList::default(),
            rejects: Vec::new(),
            status: CoverageStatus::Ok,
            expected: None,
            observed_at,
            error: None,
            failure: None,
            is_unsteady: false,
            is_finished: true,
            seen: Seen::default(),
            left_out: 0,
        };
        let mut known = Places::default();
        for (mut received, position, owner) in records {
            let mut apart = Seen::default();
            let look = if picks { &mut apart } else { &mut read.seen };
            let mut hash_before = None;
            if table.embedded.is_none() {
                let before = self.source.redaction_key_before.as_deref();
                hash_before = before.and_then(|key| decoder.hash_under(&received.record, key));
                let key = self.source.redaction_key.as_deref();
                let redacted = decoder.redact(&received.record, key, |record| look.record(record));
                received.record = redacted.unwrap_or_else(|_| Slice::from("null".to_owned()));
            }
            let owner = owner.as_ref().map(|(table, cells)| Owner { table, cells });
            let is_inside = table.embedded.is_some();
            let outcome = decoder.row(&received.record, owner, position, received.at, |record| {
                if is_inside {
                    look.record(record);
                }
            });
            if picks
                && let Ok(Decoded { row, .. }) = &outcome
                && !rules.allows(&row.key, |name| cell_of(table, &row.cells, name).and_then(Cell::text))
            {
                read.left_out += 1;
                continue;
            }
            read.seen.merge(apart);
            let reject = |unfit: Unfit, key: Option<&str>| Reject {
                scope: job.scope.to_string(),
                key: key.map(str::to_owned),
                field: unfit.field,
                value: unfit.value.map(|value| value.chars().take(VALUE_LETTERS_MAX).collect()),
                reason: unfit.reason,
                // A row holds it; and what is no object was not redacted by any path.
                raw: if key.is_none() && received.record.as_str().starts_with('{') {
                    received.record.as_str().to_owned()
                } else {
                    String::new()
                },
            };
            let row = match outcome {
                Ok(Decoded { row, bad, misshapen }) => {
                    for name in &misshapen {
                        read.seen.misshapen(name);
                    }
                    bad.iter().filter_map(|bad| bad.field.as_deref()).for_each(|name| read.seen.bad_value(name));
                    if is_quarantine && !bad.is_empty() {
                        // Set aside with all its reasons: the first has the record.
                        read.rejects.extend(bad.into_iter().map(|bad| reject(bad, Some(&row.key))));
                        let first =
                            read.rejects.iter_mut().rev().take_while(|it| it.key.as_ref() == Some(&row.key)).last();
                        if let Some(first) = first {
                            row.raw.as_str().clone_into(&mut first.raw);
                        }
                        continue;
                    }
                    read.rejects.extend(bad.into_iter().map(|bad| reject(bad, Some(&row.key))));
                    Row { hash_before, ..row }
                }
                Err(unfit) => {
                    read.rejects.push(reject(unfit, None));
                    continue;
                }
            };
            let record = Placed::new(&row.key, &row.hash, received.page);
            let before = known.get(&record);
            if before.is_some_and(|(_, before)| before.contradicts(&record)) {
                let reason = format!("two different records have the key `{}`", row.key);
                let (scope, key) = (job.scope.to_string(), Some(row.key));
                read.rejects.push(Reject { scope, key, reason, raw: row.raw.as_str().to_owned(), ..Reject::default() });
                continue;
            }
            let place = match before {
                // The same record came again, on the overlap of two pages or because they drifted: the later one is newer.
                Some((place, _)) => read.rows.replace(place, row),
                None => read.rows.push(row),
            };
            known.put(place, record);
        }
        if !read.rejects.is_empty() {
            read.status = CoverageStatus::Partial;
            let first = read.rejects.first().map(|reject| reject.reason.clone()).unwrap_or_default();
            let lost = read.rejects.iter().filter(|reject| is_record(reject)).count();
            let what = match (lost, read.rejects.len() - lost) {
                (0, values) => format!("{values} values could not be read and are null"),
                (lost, 0) => format!("{lost} records could not be read"),
                (lost, values) => format!("{lost} records and {values} values could not be read"),
            };
            read.error =
                Some(format!("{what}; the first: {first}\nhint: meta.rejects has each as received, with its reason"));
        } else if read.rows.is_empty() {
            // Until something confirms it.
            read.status = CoverageStatus::EmptyUnverified;
        }
        let pages = known.into_pages();
        let mut inside = Vec::new();
        for inner in &self.manifest().tables {
            let Some(embedded) = inner.embedded.as_ref().filter(|embedded| embedded.table == table.name) else {
                continue;
            };
            self.decode_embedded(inner, &embedded.path, job, &read, &pages, &mut inside);
        }
        reads.push(read);
        reads.append(&mut inside);
    }

    /// Rows of a table that lies inside the records of another, whose rows came from the pages `pages`.
    fn decode_embedded(
        &self,
        inner: &'a Table,
        path: &str,
        job: &Job<'a>,
        outer: &ScopeRead<'a>,
        pages: &[u32],
        reads: &mut Vec<ScopeRead<'a>>,
    ) {
        let unwrap = self.manifest().rest.unwrap.as_deref();
        let (mut count, mut lists, mut misshapen) = (0_usize, 0_usize, 0_usize);
        let is_asked_for = parts(self.manifest(), outer.table).iter().any(|part| part.place == path);
        let mut tape = Tape::default();
        let mut unread_reason = None;
        let owners = outer.rows.placed().map_while(|placed| kept_or(&mut unread_reason, placed));
        let mut records = owners.flat_map(|(place, owner)| {
            let found = match tape.read(owner.raw.as_str()) {
                Ok(record) => look_up(record, path, unwrap),
                Err(_) => Ok(None),
            };
            let mut items: Vec<Found<'a>> = Vec::new();
            match found {
                Ok(Some(list)) if list.kind() == Kind::List => {
                    lists += 1;
                    let page = pages.get(place).map_or(0, |page| *page as usize);
                    let cells: Arc<[Cell]> = Arc::from(owner.cells.as_slice());
                    for (place, item) in list.items().enumerate() {
                        let record = Received { record: owner.raw.of(item), page, at: owner.extracted_at };
                        items.push((record, place + 1, Some((outer.table, Arc::clone(&cells)))));
                    }
                }
                Ok(None) => {}
                _ => misshapen += 1,
            }
            count += items.len();
            items
        });
        let place = reads.len();
        self.decode_table(inner, job, &mut records, outer.observed_at, reads);
        drop(records);
        let owners = outer.rows.len();
        let Some(read) = reads.get_mut(place) else { return };
        if let Some(reason) = unread_reason {
            read.status = CoverageStatus::Partial;
            read.error = Some(unread(outer.table, &reason).to_string());
        } else if misshapen > 0 {
            read.status = CoverageStatus::Partial;
            read.error = Some(format!("`{path}` is no list in {misshapen} records of {}", outer.table.name));
        } else if is_asked_for && lists > 0 && lists < owners {
            read.status = CoverageStatus::Partial;
            let lacking = owners - lists;
            read.error = Some(format!("{lacking} of {owners} records of {} came without `{path}`", outer.table.name));
        } else if count == 0 && lists > 0 {
            read.status = CoverageStatus::EmptyVerified;
        } else if count == 0 && owners > 0 {
            read.error =
                Some(format!("no record of {} holds `{path}`; it may not have been expanded", outer.table.name));
        }
    }
}
