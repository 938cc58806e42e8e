//! From the records of one list to the rows of its table and of the tables embedded in it, each with how far it is believed.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tieout_json::{Cell, Kind, Slice, Tape, look_up};

use super::decode::{Decoded, Decoder, Owner, Row, Unfit, cell_of};
use super::drift::Seen;
use super::failure::{Failure, FailureKind};
use super::manifest::Table;
use super::rules::DriftPolicy;
use super::scope::{Job, Pages, Reader, Received, ScopeRead};
use crate::warehouse::rows::{CoverageStatus, Reject};

/// Letters of a value that is told, at most.
const VALUE_LETTERS_MAX: usize = 200;

/// Whether a reject stands for a record that is no row, not for a value of one.
fn is_record(reject: &Reject) -> bool {
    reject.key.is_none() || !reject.raw.is_empty()
}

impl<'a> Reader<'a> {
    pub(super) fn decode(&self, job: &Job<'a>, pages: Pages) -> Vec<ScopeRead<'a>> {
        let owner = job.parent.as_ref().and_then(|parent| {
            self.manifest().table(&parent.table).map(|table| (table, Arc::from(parent.cells.as_slice())))
        });
        let records = pages.records.into_iter().enumerate();
        let records = records.map(|(place, received)| (received, place + 1, owner.clone())).collect();
        let mut reads = Vec::new();
        let observed_at = pages.oldest.unwrap_or_else(|| self.client.clock().now());
        self.decode_table(job.table, job, records, observed_at, &mut reads);
        if let Some(read) = reads.first_mut() {
            read.expected = pages.total;
            let records = read.rows.len() + read.rejects.iter().filter(|reject| is_record(reject)).count();
            let received = u64::try_from(records).unwrap_or(u64::MAX).saturating_add(read.left_out);
            let is_missing = |failure: &Failure| failure.kind == FailureKind::NotFound && pages.count == 0;
            read.is_finished = pages.failure.as_ref().is_none_or(is_missing) && pages.broken.is_none();
            if let Some(failure) = pages.failure {
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
    #[expect(clippy::type_complexity, reason = "a record, its place, and the row it hangs on; used here only")]
    #[expect(clippy::too_many_lines, reason = "what becomes of a record is told in one place, in its order")]
    fn decode_table(
        &self,
        table: &'a Table,
        job: &Job<'a>,
        records: Vec<(Received, usize, Option<(&'a Table, Arc<[Cell]>)>)>,
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
            rows: Vec::new(),
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
        let mut places: HashMap<String, (usize, usize)> = HashMap::new();
        let mut owners: Vec<(Received, Arc<[Cell]>)> = Vec::with_capacity(records.len());
        let inside = |other: &Table| other.embedded.as_ref().is_some_and(|embedded| embedded.table == table.name);
        let has_inside = self.manifest().tables.iter().any(inside);
        let nothing = Slice::from(String::new());
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
            let page = received.page;
            if !has_inside {
                // Its page is not held longer than the rows of it.
                received.record = nothing.clone();
            }
            let owner = (received, Arc::from(row.cells.as_slice()));
            let Some((place, page_before)) = places.get(&row.key).copied() else {
                places.insert(row.key.clone(), (read.rows.len(), page));
                read.rows.push(row);
                owners.push(owner);
                continue;
            };
            let (Some(before), Some(owner_before)) = (read.rows.get_mut(place), owners.get_mut(place)) else {
                continue;
            };
            if before.hash != row.hash && page == page_before {
                let reason = format!("two different records have the key `{}`", row.key);
                let (scope, key) = (job.scope.to_string(), Some(row.key));
                read.rejects.push(Reject { scope, key, reason, raw: row.raw.as_str().to_owned(), ..Reject::default() });
            } else {
                // The same record came again, on the overlap of two pages or because they drifted: the later one is newer.
                *before = row;
                *owner_before = owner;
            }
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
        reads.push(read);
        for inner in &self.manifest().tables {
            let Some(embedded) = inner.embedded.as_ref().filter(|embedded| embedded.table == table.name) else {
                continue;
            };
            self.decode_embedded(inner, &embedded.path, table, job, &owners, observed_at, reads);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the owner's side and the embedded side of one step")]
    fn decode_embedded(
        &self,
        inner: &'a Table,
        path: &str,
        outer: &'a Table,
        job: &Job<'a>,
        owners: &[(Received, Arc<[Cell]>)],
        observed_at: DateTime<Utc>,
        reads: &mut Vec<ScopeRead<'a>>,
    ) {
        let unwrap = self.manifest().rest.unwrap.as_deref();
        let (mut records, mut lists, mut misshapen) = (Vec::new(), 0_usize, 0_usize);
        let is_asked_for = self.parts(outer).iter().any(|part| part.place == path);
        let mut tape = Tape::default();
        for (received, cells) in owners {
            let found = match tape.read(received.record.as_str()) {
                Ok(record) => look_up(record, path, unwrap),
                Err(_) => Ok(None),
            };
            match found {
                Ok(Some(list)) if list.kind() == Kind::List => {
                    lists += 1;
                    for (place, item) in list.items().enumerate() {
                        let record = received.record.of(item);
                        let record = Received { record, page: received.page, at: received.at };
                        records.push((record, place + 1, Some((outer, Arc::clone(cells)))));
                    }
                }
                Ok(None) => {}
                _ => misshapen += 1,
            }
        }
        let place = reads.len();
        let count = records.len();
        self.decode_table(inner, job, records, observed_at, reads);
        let Some(read) = reads.get_mut(place) else { return };
        if misshapen > 0 {
            read.status = CoverageStatus::Partial;
            read.error = Some(format!("`{path}` is no list in {misshapen} records of {}", outer.name));
        } else if is_asked_for && lists > 0 && lists < owners.len() {
            read.status = CoverageStatus::Partial;
            let lacking = owners.len() - lists;
            read.error = Some(format!("{lacking} of {} records of {} came without `{path}`", owners.len(), outer.name));
        } else if count == 0 && lists > 0 {
            read.status = CoverageStatus::EmptyVerified;
        } else if count == 0 && !owners.is_empty() {
            read.error = Some(format!("no record of {} holds `{path}`; it may not have been expanded", outer.name));
        }
    }
}
