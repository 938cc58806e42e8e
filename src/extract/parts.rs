//! Parts of a record that a list refuses or leaves out: asked for apart, then record by record.
//!
//! Acumatica answers a list with an error, or without a detail, where it cannot turn it into one statement; by key it
//! computes everything. The rungs, each only if the one before failed: one list with all parts; lists that each take some
//! of them; the record by its key; without the part, which is told. Leaves out: what the parts mean.

use std::collections::HashMap;
use std::io;

use serde_json::Value;
use tieout_json::{Kind, Node, Slice, Tape};

use super::client::{Meter, Request};
use super::failure::{Failure, FailureKind};
use super::identity::{key_values, written};
use super::long_list::LongList;
use super::manifest::{Manifest, Method, Table};
use super::scope::{Job, Pages, Reader, Received, unread};
use super::template::segment;

/// How often a list is refused before its parts are taken apart: once may be bad luck.
const REFUSALS_MAX: u32 = 2;

/// A part of a record: what names it in the request, and where it is in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    parameter: String,
    elements: Vec<String>,
    pub(super) place: String,
}

impl Part {
    fn found<'t>(&self, record: Node<'t>) -> Option<Node<'t>> {
        self.place.split('.').try_fold(record, Node::get)
    }

    /// Whether a record holds the part, or one of the records inside its lists does: a field belongs to whose view it is of.
    fn is_given(&self, record: Node<'_>) -> bool {
        let is_inside = |list: Node<'_>| list.items().any(|item| self.found(item).is_some());
        self.found(record).is_some() || record.fields().any(|(_, value)| is_inside(value))
    }

    fn is_in(&self, record: &Slice) -> bool {
        Tape::default().read(record.as_str()).is_ok_and(|record| self.is_given(record))
    }

    /// Copies the part; what is missing in between is created.
    fn copy(&self, from: Node<'_>, to: &mut Value) {
        let Some(part) = self.found(from) else { return self.copy_inner(from, to) };
        let Ok(value) = serde_json::from_str(part.raw()) else { return };
        let mut at = to;
        for step in self.place.split('.') {
            let Value::Object(fields) = at else { return };
            at = fields.entry(step).or_insert_with(|| Value::Object(serde_json::Map::new()));
        }
        *at = value;
    }

    /// The same for the records inside a record's lists, where both hold as many.
    fn copy_inner(&self, from: Node<'_>, to: &mut Value) {
        for (name, list) in from.fields() {
            let own = to.get_mut(&*name.letters()).and_then(Value::as_array_mut);
            let same = own.filter(|own| own.len() == list.items().count());
            for (item, own) in list.items().zip(same.into_iter().flatten()) {
                if self.found(item).is_some() {
                    self.copy(item, own);
                }
            }
        }
    }
}

/// A record with parts of another.
fn with_parts(record: &Slice, parts: &[Part], from: Node<'_>) -> Slice {
    let Ok(mut whole) = serde_json::from_str::<Value>(record.as_str()) else { return record.clone() };
    for part in parts {
        part.copy(from, &mut whole);
    }
    Slice::from(whole.to_string())
}

/// How the parts of a list can be read.
#[derive(Default)]
struct Split {
    /// Each set in a list of its own.
    lists: Vec<Vec<Part>>,
    /// In no list.
    refused: Vec<Part>,
}

/// The parts that a table's list asks for.
pub(super) fn parts(manifest: &Manifest, table: &Table) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (parameter, prefix) in &manifest.rest.parts {
        for element in table.query.get(parameter).into_iter().flat_map(|list| list.split(',')).map(str::trim) {
            let place = format!("{prefix}{}", element.split('/').next().unwrap_or_default());
            match parts.iter_mut().find(|part| part.parameter == *parameter && part.place == place) {
                Some(part) => part.elements.push(element.to_owned()),
                None => {
                    parts.push(Part { parameter: parameter.clone(), elements: vec![element.to_owned()], place });
                }
            }
        }
    }
    parts
}

impl<'a> Reader<'a> {
    /// The records of a list with all their parts.
    pub(super) async fn whole(&self, job: &Job<'a>, first: Request, meter: &Meter) -> Pages {
        if job.table.fields.is_some() {
            return self.without_refused(job, first, meter).await;
        }
        let parts = if job.table.method == Method::Get { parts(self.manifest(), job.table) } else { Vec::new() };
        if parts.is_empty() {
            return self.pages(job, first, meter).await;
        }
        let impatient = Request { refusals_max: Some(REFUSALS_MAX), ..first.clone() };
        let mut pages = self.pages(job, impatient, meter).await;
        let is_refused = |failure: &Failure| failure.kind == FailureKind::Refused;
        if pages.count == 0 && pages.failure.as_ref().is_some_and(is_refused) {
            match self.split(job, &first, &parts, meter).await {
                Ok(Some(split)) => pages = self.lists(job, &first, split, meter).await,
                // It is not the parts: the source is in trouble, which may pass.
                Ok(None) if pages.failure.as_ref().is_some_and(|failure| self.client.is_final(failure)) => {
                    return pages;
                }
                Ok(None) => return self.pages(job, first, meter).await,
                Err(failure) => return Pages { failure: Some(failure), ..Pages::default() },
            }
        }
        if pages.failure.is_none() && pages.broken.is_none() {
            self.by_key(job, &first, parts, &mut pages, meter).await;
        }
        pages
    }

    /// Tries with one record each which parts a list takes; none if it takes nothing at all.
    async fn split(
        &self,
        job: &Job<'a>,
        first: &Request,
        parts: &[Part],
        meter: &Meter,
    ) -> Result<Option<Split>, Failure> {
        if !self.is_taken(job, first, &[], meter).await? {
            return Ok(None);
        }
        let mut split = Split { lists: vec![Vec::new()], refused: Vec::new() };
        'parts: for part in parts {
            for list in &mut split.lists {
                let wider: Vec<Part> = list.iter().chain([part]).cloned().collect();
                if self.is_taken(job, first, &wider, meter).await? {
                    *list = wider;
                    continue 'parts;
                }
                if list.is_empty() {
                    split.refused.push(part.clone());
                    continue 'parts;
                }
            }
            if self.is_taken(job, first, std::slice::from_ref(part), meter).await? {
                split.lists.push(vec![part.clone()]);
            } else {
                split.refused.push(part.clone());
            }
        }
        Ok(Some(split))
    }

    async fn is_taken(&self, job: &Job<'a>, first: &Request, parts: &[Part], meter: &Meter) -> Result<bool, Failure> {
        let trial = Job { is_probe: true, ..job.clone() };
        let request = Request { refusals_max: Some(1), ..self.with(first, parts) };
        match self.pages(&trial, request, meter).await.failure {
            None => Ok(true),
            Some(failure) if failure.kind == FailureKind::Refused => Ok(false),
            Some(failure) => Err(failure),
        }
    }

    /// The request with these parts and no others.
    fn with(&self, first: &Request, parts: &[Part]) -> Request {
        let mut request = first.clone();
        request.query.retain(|(name, _)| !self.manifest().rest.parts.contains_key(name));
        for name in self.manifest().rest.parts.keys() {
            let of_name = parts.iter().filter(|part| part.parameter == *name);
            let elements: Vec<&str> = of_name.flat_map(|part| &part.elements).map(String::as_str).collect();
            if !elements.is_empty() {
                request.query.push((name.clone(), elements.join(",")));
            }
        }
        request
    }

    /// Reads the list once for each set of parts, and joins them by key.
    async fn lists(&self, job: &Job<'a>, first: &Request, split: Split, meter: &Meter) -> Pages {
        let mut sets = split.lists.into_iter();
        let mut pages = self.pages(job, self.with(first, &sets.next().unwrap_or_default()), meter).await;
        for parts in sets {
            if pages.failure.is_some() {
                break;
            }
            let more = self.pages(job, self.with(first, &parts), meter).await;
            let joined = self.join(job, &mut pages.records, more.records, &parts);
            pages.failure = more.failure.or(joined.err().map(|reason| unread(job.table, &reason)));
            pages.broken = pages.broken.or(more.broken);
            pages.moved = pages.moved.or(more.moved);
        }
        let refused: Vec<&str> = split.refused.iter().map(|part| part.place.as_str()).collect();
        if !refused.is_empty() {
            tracing::info!(
                table = job.table.name,
                parts = refused.join(", "),
                "a list refuses parts: asked for by key"
            );
        }
        pages
    }

    /// Gives records the parts of another list's. Both mostly have the same order: few wait for their like.
    fn join(
        &self,
        job: &Job<'a>,
        records: &mut LongList<Received>,
        others: LongList<Received>,
        parts: &[Part],
    ) -> io::Result<()> {
        let mut others = others.into_iter();
        let mut waiting: HashMap<String, Slice> = HashMap::new();
        let mut tape = Tape::default();
        for found in std::mem::take(records) {
            let mut found = found?;
            if let Some(key) = self.key(job, &found.record) {
                while !waiting.contains_key(&key)
                    && let Some(other) = others.next().transpose()?
                {
                    waiting.extend(self.key(job, &other.record).map(|key| (key, other.record)));
                }
                let other = waiting.remove(&key);
                if let Some(other) = other.as_ref().and_then(|other| tape.read(other.as_str()).ok()) {
                    found.record = with_parts(&found.record, parts, other);
                }
            }
            records.push(found);
        }
        Ok(())
    }

    fn key(&self, job: &Job<'a>, record: &Slice) -> Option<String> {
        let mut tape = Tape::default();
        let record = tape.read(record.as_str()).ok()?;
        let keys = key_values(job.table, record, self.manifest().rest.unwrap.as_deref())?;
        Some(written(&keys))
    }

    /// Asks for the parts that records lack, record by record, as long as that helps.
    async fn by_key(&self, job: &Job<'a>, first: &Request, parts: Vec<Part>, pages: &mut Pages, meter: &Meter) {
        // A single value may rightly be absent from a record: only one that no record has was not given.
        let mut counts = vec![0; parts.len()];
        let mut tape = Tape::default();
        // A record that the disk does not give back is told below, where all are read again.
        for found in pages.records.iter().flatten() {
            let Ok(record) = tape.read(found.record.as_str()) else { continue };
            for (count, _) in counts.iter_mut().zip(&parts).filter(|(_, part)| part.is_given(record)) {
                *count += 1;
            }
        }
        let is_lacking = |part: &Part, count: usize| {
            if part.place.contains('.') { count == 0 } else { count < pages.records.len() }
        };
        let lacking = parts.into_iter().zip(counts).filter(|(part, count)| is_lacking(part, *count));
        let lacking: Vec<Part> = lacking.map(|(part, _)| part).collect();
        if lacking.is_empty() {
            return;
        }
        // What is asked for in one request; a group that is refused falls apart.
        let mut groups = vec![lacking];
        let Pages { records, notes, failure: failed, .. } = pages;
        for found in std::mem::take(records) {
            let mut found = match found {
                Ok(found) => found,
                Err(reason) => {
                    *failed = Some(unread(job.table, &reason));
                    break;
                }
            };
            if failed.is_none() {
                *failed = self.complete(job, first, &mut found.record, &mut groups, notes, meter).await.err();
            }
            records.push(found);
        }
    }

    /// Asks for the parts that one record lacks.
    async fn complete(
        &self,
        job: &Job<'a>,
        first: &Request,
        record: &mut Slice,
        groups: &mut Vec<Vec<Part>>,
        notes: &mut Vec<String>,
        meter: &Meter,
    ) -> Result<(), Failure> {
        let Some(target) = self.target(job, first, record) else { return Ok(()) };
        let mut next = 0;
        while let Some(group) = groups.get_mut(next) {
            let open: Vec<Part> = group.iter().filter(|part| !part.is_in(record)).cloned().collect();
            if open.is_empty() {
                next += 1;
                continue;
            }
            let request = self.with(first, &open);
            let request = Request {
                target: target.clone(),
                refusals_max: Some(if group.len() > 1 { 1 } else { REFUSALS_MAX }),
                ..request
            };
            match self.client.fetch(&request, meter).await {
                Ok(answer) => {
                    *record = with_parts(record, &open, answer.body.root());
                    // Not by key either: this source has no such part, and the next record would not tell otherwise.
                    group.retain(|part| !open.contains(part) || part.is_in(record));
                    next += 1;
                }
                Err(failure) if failure.kind == FailureKind::Refused => {
                    let group = groups.remove(next);
                    if let [part] = group.as_slice() {
                        notes.push(format!("read without `{}`, which the source refuses: {failure}", part.place));
                    } else {
                        groups.splice(next..next, group.into_iter().map(|part| vec![part]));
                    }
                }
                // Gone since it was listed: the next read will not list it.
                Err(failure) if failure.kind == FailureKind::NotFound => break,
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Where a record is found by its key.
    fn target(&self, job: &Job<'a>, first: &Request, record: &Slice) -> Option<String> {
        let mut tape = Tape::default();
        let record = tape.read(record.as_str()).ok()?;
        let keys = key_values(job.table, record, self.manifest().rest.unwrap.as_deref())?;
        let segments = keys.into_iter().map(|key| match key {
            Some(key) if key.kind() == Kind::Text => segment(key.letters().trim_end()),
            Some(key) => segment(key.raw()),
            None => String::new(),
        });
        Some(segments.fold(first.target.clone(), |path, segment| path + "/" + &segment))
    }
}
