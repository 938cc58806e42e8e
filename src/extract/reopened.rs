//! Records that were open when they were last read and did not come among what is open or changed: they were closed without
//! a word, and are asked for by key.

use std::collections::BTreeSet;

use tieout_json::{Node, Tape};

use super::client::{Meter, Request};
use super::failure::FailureKind;
use super::identity::key_values;
use super::manifest::{Cursor, Table};
use super::query::{KEYS_MAX, by_filter, filtered};
use super::refresh::pages;
use super::scope::{Job, Pages, Reader, Received, unread};
use super::template::segment;
use crate::warehouse::rows::join_key;

impl<'a> Reader<'a> {
    /// Adds them to a list; `false` if reading the whole list costs less.
    pub(super) async fn once_open(&self, job: &Job<'a>, list: &mut Pages, meter: &Meter) -> bool {
        let known = self.previous.and_then(|previous| previous.tables.get(&job.table.name));
        let Some(open) = known.and_then(|known| known.open.get(&*job.scope)) else { return true };
        let unwrap = self.manifest().rest.unwrap.as_deref();
        let key = |received: &Received| -> Option<String> {
            let mut tape = Tape::default();
            let values = key_values(job.table, tape.read(received.record.as_str()).ok()?, unwrap)?;
            let text =
                |value: Option<Node<'_>>| value.map_or_else(String::new, |value| value.letters().trim_end().to_owned());
            let texts: Vec<String> = values.into_iter().map(text).collect();
            Some(join_key(texts.iter().map(String::as_str)))
        };
        let came: BTreeSet<String> = list.records.iter().flatten().filter_map(|received| key(&received)).collect();
        let missing: Vec<&String> = open.iter().filter(|key| !came.contains(*key)).collect();
        let rows = known.and_then(|known| known.rows.get(&*job.scope)).copied().unwrap_or(u64::MAX);
        let costs = if by_filter(job.table).is_some() { missing.len().div_ceil(KEYS_MAX) } else { missing.len() };
        if costs as u64 > pages(job.table, rows) {
            return false;
        }
        let Ok(first) = self.request(&Job { cursor: None, ..job.clone() }) else { return true };
        if let Some(field) = by_filter(job.table) {
            for keys in missing.chunks(KEYS_MAX) {
                let keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
                let found = self.without_refused(job, filtered(job.table, &first, field, &keys), meter).await;
                // The total told of the list was that of what changed or is open.
                list.total = list.total.map(|total| total + found.records.len() as u64);
                list.count += found.count;
                list.oldest = list.oldest.or(found.oldest);
                list.failure = list.failure.take().or(found.failure);
                list.broken = list.broken.take().or(found.broken);
                for record in found.records {
                    match record {
                        Ok(record) => drop(list.records.push(record)),
                        Err(reason) => list.failure = Some(unread(job.table, &reason)),
                    }
                }
            }
            return true;
        }
        for key in missing {
            match self.client.fetch(&by_key(job.table, &first, key), meter).await {
                Ok(answer) => {
                    list.count += 1;
                    list.oldest = list.oldest.or(Some(answer.received_at));
                    let record = answer.body.slice(answer.body.root());
                    list.records.push(Received { record, page: list.count, at: answer.received_at });
                }
                // Deleted: a sweep tells.
                Err(failure) if failure.kind == FailureKind::NotFound => {}
                Err(failure) => {
                    list.failure = Some(failure);
                    return true;
                }
            }
        }
        true
    }
}

/// The request for one record of a list, with the parts that the list is asked for.
fn by_key(table: &Table, first: &Request, key: &str) -> Request {
    let target = split_key(key).iter().fold(first.target.clone(), |path, part| path + "/" + &segment(part));
    let mut request = Request { target, ..first.clone() };
    let filter = table.cursor.as_ref().map(|Cursor { parameter, .. }| parameter);
    request.query.retain(|(name, _)| Some(name) != filter);
    request
}

/// The components of a joined key.
fn split_key(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = key.chars();
    while let Some(letter) = letters.next() {
        let letter = if letter == '\\' {
            letters.next().unwrap_or(letter)
        } else if letter == '|' {
            parts.push(String::new());
            continue;
        } else {
            letter
        };
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_apart_as_they_were_joined() {
        for parts in [vec!["Bill", "000123"], vec!["a|b", "c\\", ""], vec![""]] {
            assert_eq!(split_key(&join_key(parts.iter().copied())), parts);
        }
    }
}
