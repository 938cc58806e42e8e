//! What a run will cost, before it is made: requests by table and the minutes that the rate limit makes of them.
//!
//! After a first run it takes no request at all: rows by scope, what is closed and the limits are in the warehouse. Before it
//! the lists of parents are asked for their totals, and what lies deeper is told as "at least".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::client::{Client, Meter};
use super::failure::Error;
use super::files;
use super::manifest::{Paging, Protocol, Rate, Table};
use super::odbc;
use super::order::order;
use super::pace::RateLimit;
use super::refresh::{Policy, Reading, pages};
use super::scope::{Job, Reader, scope_below};
use super::{PreviousTables, SourceSettings};
use crate::clock::Clock;
use crate::warehouse::rows::ReadMode;

/// What a run of one source will cost.
#[derive(Clone, Debug)]
pub struct Plan {
    /// By table, in the manifest's order; tables embedded in others cost nothing.
    pub tables: Vec<TablePlan>,
    /// Requests per hour that the limits allow us, if any was told.
    pub requests_per_hour: Option<u64>,
    /// Requests that the subscription holds in a month, if anybody told.
    pub requests_per_month: Option<u32>,
    /// Requests that the plan itself took.
    pub requests: u64,
    /// Whether more requests may be needed than planned: the source was never read.
    pub is_first: bool,
}

/// What one table will cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablePlan {
    /// The table.
    pub table: String,
    /// Lists: one for each parent.
    pub lists: u64,
    /// Rows when it was last read.
    pub rows: u64,
    /// Requests of a full read.
    pub full: u64,
    /// Requests of an incremental read.
    pub incremental: u64,
}

impl Plan {
    /// Requests of a full read, signing in included.
    pub fn full(&self) -> u64 {
        1 + self.tables.iter().map(|table| table.full).sum::<u64>()
    }

    /// Requests of an incremental read, signing in included.
    pub fn incremental(&self) -> u64 {
        1 + self.tables.iter().map(|table| table.incremental).sum::<u64>()
    }

    /// The minutes that so many requests take, if the limits are what binds; none without a limit.
    pub fn minutes(&self, requests: u64) -> Option<u64> {
        self.requests_per_hour.map(|per_hour| (requests * 60).div_ceil(per_hour.max(1)))
    }
}

/// Plans a run over some tables, or all.
///
/// # Errors
/// Settings that cannot be used; before the first run, a source that cannot be reached.
pub async fn plan(
    source: &SourceSettings,
    tables: Option<&[String]>,
    previous: &PreviousTables,
    clock: &Clock,
) -> Result<Plan, Error> {
    let chosen = order(source, tables)?;
    let chosen: Vec<&Table> = chosen.into_iter().map(|(table, _)| table).collect();
    let is_first = previous.tables.values().all(|table| table.reads.is_empty() && table.rows.is_empty());
    match source.manifest.system.protocol {
        Protocol::Files => return files::plan(source, &chosen, previous, clock, is_first).await,
        Protocol::Odbc => return Ok(odbc::plan(source, &chosen, previous, clock, is_first)),
        Protocol::Rest => {}
    }
    let (lists, requests, limits) = if is_first {
        first(source, &chosen, clock).await?
    } else {
        (known(&chosen, previous), 0, previous.limits.clone())
    };
    let [policy, in_full] =
        [ReadMode::Incremental, ReadMode::Full].map(|mode| Policy::new(&source.manifest, previous, mode, clock.now()));
    let table = |table: &&Table| {
        let mut plan = TablePlan { table: table.name.clone(), ..TablePlan::default() };
        let rows = previous.tables.get(&table.name).map(|known| &known.rows);
        for scope in lists.get(table.name.as_str()).into_iter().flatten() {
            let rows = rows.and_then(|rows| rows.get(scope)).copied().unwrap_or_default();
            let whole = pages(table, rows);
            plan.lists += 1;
            plan.rows += rows;
            plan.full += if in_full.expected(table, scope) == Reading::Rests { 0 } else { whole };
            plan.incremental += match policy.expected(table, scope) {
                Reading::Whole => whole,
                Reading::Rests => 0,
                Reading::Since(_) => since(table, scope, previous),
            };
        }
        plan
    };
    let tables = chosen.iter().filter(|table| table.embedded.is_none()).map(table).collect();
    let requests_per_month = source.quota.requests_per_month.or(source.manifest.rest.requests_per_month);
    Ok(Plan { tables, requests_per_hour: per_hour(source, &limits), requests_per_month, requests, is_first })
}

/// A read of what changed: one page and a look whether the list is there at all, and the pages of what is open.
fn since(table: &Table, scope: &str, previous: &PreviousTables) -> u64 {
    let open = previous.tables.get(&table.name).and_then(|known| known.open.get(scope)).map_or(0, BTreeSet::len);
    pages(table, open as u64).max(2)
}

type Lists<'a> = BTreeMap<&'a str, Vec<String>>;

/// The lists of each table as the last runs had them.
fn known<'a>(tables: &[&'a Table], previous: &PreviousTables) -> Lists<'a> {
    let lists = |table: &'a Table| {
        if table.parent.is_empty() {
            return vec![String::new()];
        }
        let reads = previous.tables.get(&table.name).map(|known| &known.reads).filter(|reads| !reads.is_empty());
        let parents = table.parent.iter().flat_map(|parent| previous.keys(parent));
        let scopes = parents.map(|(scope, key)| scope_below(scope, key).to_string());
        // A record under which nothing was looked for is one under which nothing is listed.
        scopes.filter(|scope| reads.is_none_or(|reads| reads.contains_key(scope))).collect()
    };
    tables.iter().filter(|table| table.embedded.is_none()).map(|table| (table.name.as_str(), lists(table))).collect()
}

/// The lists of each table if each parent has one list below it for each table: asked for where a total is told.
async fn first<'a>(
    source: &SourceSettings,
    tables: &[&'a Table],
    clock: &Clock,
) -> Result<(Lists<'a>, u64, Vec<RateLimit>), Error> {
    let client = Client::new(source, clock, &[])?;
    let meter = Meter::default();
    let mut lists = Lists::new();
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for table in tables.iter().filter(|table| table.embedded.is_none()) {
        let count = match table.parent.first() {
            None => 1,
            Some(parent) => {
                let above = tables.iter().find(|other| other.name == *parent);
                match above.filter(|above| above.parent.is_empty()) {
                    Some(above) if !totals.contains_key(above.name.as_str()) => {
                        let found = match total(source, &client, above, &meter).await {
                            Ok(found) => found,
                            Err(error) => {
                                client.session.sign_out(&client, &meter).await;
                                return Err(error);
                            }
                        };
                        totals.insert(&above.name, found);
                        found
                    }
                    Some(above) => totals.get(above.name.as_str()).copied().unwrap_or_default(),
                    None => 0,
                }
            }
        };
        lists.insert(table.name.as_str(), (0..count).map(|list| list.to_string()).collect());
        if table.parent.is_empty() {
            lists.insert(table.name.as_str(), vec![String::new()]);
        }
    }
    client.session.sign_out(&client, &meter).await;
    let requests = meter.requests.load(std::sync::atomic::Ordering::Relaxed);
    Ok((lists, requests, client.pace.limits().await))
}

/// How many records a company-wide list has, asked for once.
async fn total(source: &SourceSettings, client: &Client, table: &Table, meter: &Meter) -> Result<u64, Error> {
    if !matches!(table.paging, Paging::LinkHeader { total_header: Some(_), .. } | Paging::Body { total: Some(_), .. }) {
        return Ok(0);
    }
    let name = source.name.clone();
    let signed = client.session.ensure(client, meter).await;
    signed.map_err(|failure| Error::Denied { name: name.clone(), failure })?;
    let reader = Reader { source, client, started_at: client.clock().now(), staging: None, previous: None };
    let Some(declared) = source.manifest.table(&table.name) else { return Ok(0) };
    let job = Job { table: declared, scope: Arc::from(""), parent: None, cursor: None, is_probe: true };
    let mut reads = reader.read(job, meter).await;
    if reads.is_empty() {
        return Ok(0);
    }
    let read = reads.swap_remove(0);
    if let Some(failure) = read.failure {
        return Err(Error::Unavailable { name, failure });
    }
    let told = read.expected.unwrap_or_default();
    let wanted = source.rules.projects.as_ref().filter(|_| source.rules.picks(table));
    Ok(wanted.map_or(told, |wanted| told.min(wanted.len() as u64)))
}

/// What the tightest of the limits leaves us in an hour.
fn per_hour(source: &SourceSettings, limits: &[RateLimit]) -> Option<u64> {
    let (Rate::Headers { requests_per_minute, .. } | Rate::None { requests_per_minute, .. }) =
        &source.manifest.rest.rate;
    let own = source.quota.requests_per_minute.or(*requests_per_minute).map(|pace| u64::from(pace) * 60);
    let share = u64::from(source.quota.share.unwrap_or(1000));
    let told = limits.iter().map(|limit| limit.per_hour() * share / 1000);
    told.chain(own).min()
}
