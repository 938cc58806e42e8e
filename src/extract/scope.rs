//! One list under one parent, read to its end: pages, records, rows, and the rows embedded in them.

use std::io;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tieout_json::{Cell, Kind, Node, Slice, look_up};

use super::assemble::Assembler;
use super::client::{Answer, Body, Client, Meter, Request};
use super::cursor;
use super::decode::{Row, cell_of};
use super::drift::Seen;
use super::failure::{Failure, FailureKind};
use super::identity::identities;
use super::long_list::{Entry, LongList};
use super::manifest::{CursorFormat, Manifest, Method, Paging, Refresh, Table};
use super::paging::{Next, Page, Pager};
use super::query::{is_told, narrowed, number_at, paged};
use super::refresh::open_filter;
use super::secrets::Setting;
use super::staging::Staging;
use super::template::{Piece, Unset, fill, json, plain, segment};
use super::{PreviousTables, SourceSettings};
use crate::warehouse::rows::{CoverageStatus, Reject};

/// A row that others are listed under.
#[derive(Debug)]
pub(crate) struct ParentRow {
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: String,
    /// The scope that it was listed under.
    pub scope: Arc<str>,
    /// Its typed columns.
    pub cells: Vec<Cell>,
    /// Its content hash.
    pub hash: String,
    /// The project it lies in or is.
    pub project: Option<String>,
    /// Whether the source says that it is deleted.
    pub is_deleted: bool,
    /// The row that it was listed under itself.
    pub above: Option<Arc<ParentRow>>,
}

impl ParentRow {
    /// Whether it, or what it hangs on, is deleted.
    pub(super) fn is_gone(&self) -> bool {
        self.is_deleted || self.above.as_ref().is_some_and(|above| above.is_gone())
    }
}

/// The scope below a row: its own scope and key.
pub(crate) fn scope_below(scope: &str, key: &str) -> Arc<str> {
    if scope.is_empty() { Arc::from(key) } else { Arc::from(format!("{scope}/{key}")) }
}

/// What to read.
#[derive(Clone, Debug)]
pub(crate) struct Job<'a> {
    pub table: &'a Table,
    pub scope: Arc<str>,
    pub parent: Option<Arc<ParentRow>>,
    /// The cursor of an incremental read.
    pub cursor: Option<&'a str>,
    /// Only to try out: one page of one record.
    pub is_probe: bool,
}

/// How reading one scope of one table ended.
#[derive(Debug)]
pub(crate) struct ScopeRead<'a> {
    pub table: &'a Table,
    pub scope: Arc<str>,
    pub parent: Option<Arc<ParentRow>>,
    pub rows: LongList<Row>,
    pub rejects: Vec<Reject>,
    pub status: CoverageStatus,
    pub expected: Option<u64>,
    pub observed_at: DateTime<Utc>,
    pub error: Option<String>,
    pub failure: Option<Failure>,
    /// Not complete because the list did not hold still: another read may be.
    pub is_unsteady: bool,
    /// The source was heard to the end: asking again would not tell more.
    pub is_finished: bool,
    pub seen: Seen,
    /// Records that the firm does not want read.
    pub left_out: u64,
}

/// What all lists of a run share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub source: &'a SourceSettings,
    pub client: &'a Client,
    pub started_at: DateTime<Utc>,
    /// Where read lists wait for the commit.
    pub staging: Option<&'a Staging>,
    /// What is known of earlier runs.
    pub previous: Option<&'a PreviousTables>,
}

/// How often a list is read whose total changes while it is read.
const READS_MAX: usize = 2;

/// How often a list by offset is begun again because records moved while it was read.
const MOVED_MAX: usize = 2;

/// A received record with its page's number and time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Received {
    pub(super) record: Slice,
    pub(super) page: usize,
    pub(super) at: DateTime<Utc>,
}

impl Entry for Received {
    fn text(&self) -> &Slice {
        &self.record
    }

    fn set_text(&mut self, text: Slice) {
        self.record = text;
    }
}

/// What came of the requests for one list.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) records: LongList<Received>,
    pub(super) count: usize,
    pub(super) total: Option<u64>,
    pub(super) oldest: Option<DateTime<Utc>>,
    pub(super) failure: Option<Failure>,
    /// Not complete, though no request failed.
    pub(super) broken: Option<String>,
    /// How the list changed between the pages.
    pub(super) moved: Option<String>,
    /// Complete, but for parts that the source does not know.
    pub(super) notes: Vec<String>,
}

/// Method and path of a table's lists.
fn described(table: &Table) -> String {
    format!("{} {}", table.method.word(), table.path.as_deref().unwrap_or_default())
}

/// Records that waited on this machine's disk for their list's end, and are not given back by it.
pub(super) fn unread(table: &Table, reason: &io::Error) -> Failure {
    Failure {
        kind: FailureKind::Other,
        request: described(table),
        what: format!("its records waited on the disk for the end of their list and cannot be read again: {reason}"),
        hint: Some("TMPDIR names another folder".into()),
        field: None,
    }
}

impl<'a> Reader<'a> {
    pub(super) fn manifest(&self) -> &'a Manifest {
        &self.source.manifest
    }

    fn decode(&self, job: &Job<'a>, pages: Pages) -> Vec<ScopeRead<'a>> {
        Assembler { source: self.source, clock: self.client.clock() }.decode(job, pages)
    }

    /// A list that an earlier run read and could not commit, else as [`Self::read`].
    pub(crate) async fn resume(&self, job: Job<'a>, meter: &Meter) -> Vec<ScopeRead<'a>> {
        let Some(staging) = self.staging else { return self.read(job, meter).await };
        if let Some(reads) = staging.take(self.source, &job) {
            return reads;
        }
        let reads = self.read(job.clone(), meter).await;
        staging.put(&job, &reads);
        reads
    }

    /// Reads a list, and everything embedded in its records.
    pub(crate) async fn read(&self, job: Job<'a>, meter: &Meter) -> Vec<ScopeRead<'a>> {
        for _ in 1..READS_MAX {
            let reads = self.read_once(&job, meter).await;
            if !reads.first().is_some_and(|read| read.is_unsteady) {
                return reads;
            }
        }
        self.read_once(&job, meter).await
    }

    async fn read_once(&self, job: &Job<'a>, meter: &Meter) -> Vec<ScopeRead<'a>> {
        let mut pages = match self.request(job) {
            Ok(first) => self.whole(job, first, meter).await,
            Err(unset) => Pages { failure: Some(unset), ..Pages::default() },
        };
        let asks_for_open = job.cursor.is_some() && job.table.refresh == Refresh::Open;
        if asks_for_open
            && pages.failure.is_none()
            && pages.broken.is_none()
            && !self.once_open(job, &mut pages, meter).await
        {
            // More were closed without a word than the whole list has pages.
            let whole = Job { cursor: None, ..job.clone() };
            pages = match self.request(&whole) {
                Ok(first) => self.whole(&whole, first, meter).await,
                Err(unset) => Pages { failure: Some(unset), ..Pages::default() },
            };
        }
        if job.cursor.is_some() && pages.records.is_empty() && pages.failure.is_none() {
            // Nothing changed, or nothing may be seen any more? One record without the cursor tells.
            let probe = Job { cursor: None, is_probe: true, ..job.clone() };
            if let Ok(first) = self.request(&probe) {
                let probed = self.pages(&probe, first, meter).await;
                if !probed.records.is_empty() {
                    let mut reads = self.decode(job, pages);
                    for read in &mut reads {
                        read.status = CoverageStatus::Ok;
                    }
                    return reads;
                }
                pages.failure = probed.failure;
            }
        }
        self.decode(job, pages)
    }

    /// The records of a list, page by page.
    pub(super) async fn pages(&self, job: &Job<'a>, first: Request, meter: &Meter) -> Pages {
        let mut pager = Pager::new(&job.table.paging);
        let mut found = Pages::default();
        let mut moved = 0;
        let mut request = paged(&first, job.table, if job.is_probe { pager.probe() } else { pager.first() });
        loop {
            let page = match self.client.fetch(&request, meter).await.and_then(|answer| self.page(job, answer)) {
                Ok(page) => page,
                Err(failure) => {
                    found.failure = Some(failure);
                    return found;
                }
            };
            let (page, records, at) = page;
            found.count += 1;
            found.oldest = found.oldest.or(Some(at));
            if !pager.is_repeated(&page) {
                let number = found.count;
                for record in records.into_iter().skip(pager.overlap(&page)) {
                    found.records.push(Received { record, page: number, at });
                }
            }
            let next = pager.next(&page);
            found.total = pager.total();
            found.moved = pager.moved().map(str::to_owned);
            request = match next {
                _ if job.is_probe => return found,
                Next::Complete => return found,
                Next::Broken(reason) => {
                    found.broken = Some(reason);
                    return found;
                }
                Next::Moved if moved == MOVED_MAX => {
                    found.broken =
                        Some(format!("records moved between its pages each of the {} times it was read", moved + 1));
                    return found;
                }
                Next::Moved => {
                    moved += 1;
                    (pager, found) = (Pager::new(&job.table.paging), Pages::default());
                    paged(&first, job.table, pager.first())
                }
                Next::Link(link) => self.client.follow(&first, &link),
                Next::Parameters(parameters) => paged(&first, job.table, parameters),
            };
        }
    }

    fn page(&self, job: &Job<'a>, answer: Answer) -> Result<(Page, Vec<Slice>, DateTime<Utc>), Failure> {
        let told = |header: &Option<String>| -> Option<u64> {
            answer.headers.get(header.as_deref()?)?.to_str().ok()?.trim().parse().ok()
        };
        let (total, size) = match &job.table.paging {
            Paging::LinkHeader { total_header, size_header, .. } => (told(total_header), told(size_header)),
            Paging::Offset { total: Some(name), .. } => {
                (answer.body.root().get(name).and_then(|total| total.letters().parse().ok()), None)
            }
            Paging::Body { total, .. } => (number_at(answer.body.root(), total.as_deref()), None),
            Paging::None | Paging::Offset { .. } => (None, None),
        };
        let more = match &job.table.paging {
            Paging::Offset { more: Some(flag), .. } => {
                answer.body.root().get(flag).and_then(|more| more.letters().parse().ok())
            }
            Paging::Body { next: Some(next), .. } => is_told(answer.body.root(), next),
            _ => None,
        };
        let unwrap = self.manifest().rest.unwrap.as_deref();
        let answer = narrowed(job.table, answer)?;
        let records = self.records(job.table, answer.body.root()).map_err(|what| Failure {
            kind: FailureKind::Other,
            request: answer.request.clone(),
            what,
            hint: Some("the manifest's `records` or `path` may not fit this version of the interface".into()),
            field: None,
        })?;
        let (digest, keys) = identities(job.table, records.iter().copied(), unwrap);
        let records: Vec<Slice> = records.into_iter().map(|record| answer.body.slice(record)).collect();
        let (has_link, next) = (answer.has_link, answer.next);
        let page = Page { records: records.len(), digest, keys, has_link, next, total, size, more };
        Ok((page, records, answer.received_at))
    }

    /// The records in an answer; else what it is instead.
    fn records<'t>(&self, table: &Table, body: Node<'t>) -> Result<Vec<Node<'t>>, String> {
        let unwrap = self.manifest().rest.unwrap.as_deref();
        let body = self.opened(table, body);
        match (table.records.as_deref(), body.kind()) {
            (Some("."), Kind::Object) => Ok(vec![body]),
            (None, Kind::List) => Ok(body.items().collect()),
            (Some(path), _) if path != "." => match look_up(body, path, unwrap) {
                Ok(Some(list)) if list.kind() == Kind::List => Ok(list.items().collect()),
                _ => Err(format!("the answer has no list at `{path}`")),
            },
            (wanted, kind) => {
                let is = match kind {
                    Kind::Object => {
                        let names: Vec<_> = body.fields().take(5).map(|(name, _)| name.letters()).collect();
                        format!("an object with {}", names.join(", "))
                    }
                    Kind::List => "a list".into(),
                    _ => "a plain value".into(),
                };
                let wanted = if wanted.is_some() { "an object" } else { "a list" };
                Err(format!("the answer is {is}, not {wanted}"))
            }
        }
    }

    /// The list in an answer that came in the wrapper that the manifest names; any other answer as it is.
    fn opened<'t>(&self, table: &Table, body: Node<'t>) -> Node<'t> {
        let wrapper = self.manifest().rest.envelope.as_deref().filter(|_| table.records.is_none());
        wrapper.and_then(|name| body.get(name)).filter(|list| list.kind() == Kind::List).unwrap_or(body)
    }

    /// The first request of a list, without paging parameters.
    pub(super) fn request(&self, job: &Job<'a>) -> Result<Request, Failure> {
        let table = job.table;
        let path = table.path.as_deref().unwrap_or_default();
        let value = |piece: &Piece<'_>| self.placeholder(job, piece);
        let unset = |what: String| Failure {
            kind: FailureKind::Other,
            request: described(table),
            what,
            hint: None,
            field: None,
        };
        let is_unset = |error: Unset| match error {
            Unset::Setting(name) => unset(format!("setting `{name}` is not set")),
            Unset::Column(name) => unset(format!("`{name}` of the parent record is null")),
        };
        let mut request = Request::get(fill(path, &value, segment).map_err(is_unset)?, Vec::new());
        for (name, template) in &table.query {
            match fill(template, &value, plain) {
                Ok(text) => request.query.push((name.clone(), text)),
                // An optional setting without a value: the parameter is not sent.
                Err(Unset::Setting(_)) => {}
                Err(unset) => return Err(is_unset(unset)),
            }
        }
        if let (Some(wanted), Some(from)) = (&table.cursor, job.cursor)
            && wanted.format != CursorFormat::FilterList
        {
            let text = cursor::parameter(wanted, from, self.started_at)
                .ok_or_else(|| unset(format!("the stored cursor `{from}` is no moment")))?;
            let open = if table.refresh == Refresh::Open { open_filter(table) } else { None };
            let text = open.map_or(text.clone(), |open| format!("({text} or {open})"));
            match request.query.iter_mut().find(|(name, _)| *name == wanted.parameter) {
                Some((_, filter)) => *filter = format!("({filter}) and {text}"),
                None => request.query.push((wanted.parameter.clone(), text)),
            }
        }
        if table.method != Method::Get {
            request.method = if table.method == Method::Put { reqwest::Method::PUT } else { reqwest::Method::POST };
            let body = table.body.as_ref().map_or(Ok(Value::Object(serde_json::Map::new())), |body| json(body, &value));
            let body = self.asking(job, body.map_err(is_unset)?);
            request.body = Body::Json(body.map_err(unset)?);
        }
        Ok(request)
    }

    fn placeholder(&self, job: &Job<'a>, piece: &Piece<'_>) -> Option<String> {
        match piece {
            Piece::Text(_) => None,
            Piece::Setting(name) => {
                self.source.values.get(*name).map(Setting::expose).filter(|value| !value.is_empty()).map(str::to_owned)
            }
            Piece::Column(table, column) => {
                let mut row = job.parent.as_ref();
                while let Some(at) = row {
                    if *table == "parent" || at.table == *table {
                        let declared = self.manifest().table(&at.table)?;
                        return cell_of(declared, &at.cells, column)?.text().filter(|text| !text.is_empty());
                    }
                    row = at.above.as_ref();
                }
                None
            }
        }
    }
}
