//! Incremental runs against full ones on random histories, in which balances and lines move without moving the time of change.
//!
//! After every run: whatever is open is as the source has it. After a run with which everything is due: the whole state is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use arrow::array::AsArray;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::previous::previous_tables;
use crate::clock::{Clock, SharedClock};
use crate::definitions::Definitions;
use crate::extract::manifest::Manifest;
use crate::extract::{Progress, Quota, RunOptions, SourceRules, SourceSettings};
use crate::warehouse::commit::CommitKind;
use crate::warehouse::rows::{KEY, RAW, ReadMode};
use crate::warehouse::{CommitHeader, Warehouse, coverage_input};

const PATH: &str = "extractors/books/manifest.toml";
const MANIFEST: &str = r#"
[system]
name = "books"
side = "erp"
protocol = "rest"
[rest]
concurrency = 2
parts = { "$expand" = "" }
[defaults]
empty = "verified"
[[table]]
name = "bills"
path = "/bills"
query = { "$expand" = "Lines" }
paging = { kind = "offset", top_parameter = "$top", skip_parameter = "$skip", top = 3 }
key = ["id"]
cursor = { field = "changed", parameter = "$filter", format = "odata_ge", overlap_seconds = 60 }
refresh = "open"
closed = { status = ["Closed"] }
[table.columns]
id = "int64"
status = "text"
balance = "decimal(18,2)"
[[table]]
name = "lines"
embedded = { table = "bills", path = "Lines" }
key = ["bill", "place"]
[table.columns]
bill = { type = "int64", parent = "id" }
place = { type = "int64", position = true }
amount = "decimal(18,2)"
[[table]]
name = "projects"
path = "/projects"
key = ["id"]
closed = { active = ["false"] }
[table.columns]
id = "int64"
active = "bool"
[[table]]
name = "contracts"
parent = "projects"
path = "/projects/{parent.id}/contracts"
key = ["id"]
cursor = { field = "changed", parameter = "$filter", format = "odata_ge", overlap_seconds = 60 }
[table.columns]
id = "int64"
balance = "decimal(18,2)"
"#;

/// What happens at the source between two runs.
#[derive(Clone, Copy, Debug)]
enum Event {
    AddBill {
        lines: u8,
    },
    /// Seen by its time of change.
    ChangeBill(u8),
    /// Its balance goes to nothing and it is closed, without a word.
    PayBill(u8),
    ReopenBill(u8),
    /// Lines come, go and change without a word.
    MoveLines(u8, u8),
    DeleteBill(u8),
    AddContract(u8),
    /// Without a word.
    MoveContract(u8),
    DeleteContract(u8),
    AddProject,
    CloseProject(u8),
    ReopenProject(u8),
    Run,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0_u8..4).prop_map(|lines| Event::AddBill { lines }),
        2 => any::<u8>().prop_map(Event::ChangeBill),
        4 => any::<u8>().prop_map(Event::PayBill),
        2 => any::<u8>().prop_map(Event::ReopenBill),
        4 => (any::<u8>(), 0_u8..4).prop_map(|(bill, lines)| Event::MoveLines(bill, lines)),
        1 => any::<u8>().prop_map(Event::DeleteBill),
        2 => any::<u8>().prop_map(Event::AddContract),
        3 => any::<u8>().prop_map(Event::MoveContract),
        1 => any::<u8>().prop_map(Event::DeleteContract),
        1 => Just(Event::AddProject),
        2 => any::<u8>().prop_map(Event::CloseProject),
        1 => any::<u8>().prop_map(Event::ReopenProject),
        6 => Just(Event::Run),
    ]
}

/// The source as it is.
#[derive(Default)]
struct Books {
    bills: BTreeMap<u64, Value>,
    projects: BTreeMap<u64, Value>,
    /// By project and id.
    contracts: BTreeMap<(u64, u64), Value>,
    next: u64,
    asked: Vec<String>,
}

fn nth<K: Clone, V>(map: &BTreeMap<K, V>, at: u8) -> Option<K> {
    map.keys().nth(usize::from(at) % map.len().max(1)).cloned()
}

impl Books {
    fn lines(&mut self, count: u8) -> Value {
        let amounts = (0..count).map(|_| {
            self.next += 1;
            json!({"amount": format!("{}.25", self.next)})
        });
        amounts.collect()
    }

    fn happens(&mut self, event: Event, now: DateTime<Utc>) {
        self.next += 1;
        let (id, balance) = (self.next, format!("{}.50", self.next));
        let changed = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        match event {
            Event::AddBill { lines } => {
                let lines = self.lines(lines);
                let bill = json!({"id": id, "status": "Open", "balance": balance, "changed": changed, "Lines": lines});
                self.bills.insert(id, bill);
            }
            Event::AddProject => {
                self.projects.insert(id, json!({"id": id, "active": true}));
            }
            Event::AddContract(at) => {
                let Some(project) = nth(&self.projects, at) else { return };
                let contract = json!({"id": id, "balance": balance, "changed": changed});
                self.contracts.insert((project, id), contract);
            }
            Event::ChangeBill(at) => self.bill(at, |bill| {
                bill["balance"] = json!(balance);
                bill["changed"] = json!(changed);
            }),
            Event::PayBill(at) => self.bill(at, |bill| {
                bill["balance"] = json!("0.00");
                bill["status"] = json!("Closed");
            }),
            Event::ReopenBill(at) => self.bill(at, |bill| {
                bill["balance"] = json!(balance);
                bill["status"] = json!("Open");
            }),
            Event::MoveLines(at, count) => {
                let lines = self.lines(count);
                self.bill(at, |bill| bill["Lines"] = lines);
            }
            // A list that is empty where there were records is not believed; that is tested elsewhere.
            Event::DeleteBill(_) if self.bills.len() == 1 => {}
            Event::DeleteBill(at) => drop(nth(&self.bills, at).and_then(|id| self.bills.remove(&id))),
            Event::MoveContract(at) => {
                let key = nth(&self.contracts, at);
                let Some(contract) = key.and_then(|key| self.contracts.get_mut(&key)) else { return };
                contract["balance"] = json!(balance);
            }
            Event::DeleteContract(at) => {
                let Some((project, id)) = nth(&self.contracts, at) else { return };
                if self.contracts.keys().filter(|(of, _)| *of == project).count() > 1 {
                    self.contracts.remove(&(project, id));
                }
            }
            Event::CloseProject(at) => self.project(at, false),
            Event::ReopenProject(at) => self.project(at, true),
            Event::Run => {}
        }
    }

    fn bill(&mut self, at: u8, change: impl FnOnce(&mut Value)) {
        if let Some(bill) = nth(&self.bills, at).and_then(|id| self.bills.get_mut(&id)) {
            change(bill);
        }
    }

    fn project(&mut self, at: u8, active: bool) {
        if let Some(project) = nth(&self.projects, at).and_then(|id| self.projects.get_mut(&id)) {
            project["active"] = json!(active);
        }
    }

    /// The list or record at a path.
    fn answer(&mut self, path: &str, query: &BTreeMap<String, String>) -> Option<Value> {
        self.asked.push(path.to_owned());
        let steps: Vec<&str> = path.split('/').skip(1).collect();
        let all: Vec<Value> = match steps.as_slice() {
            ["bills"] => self.bills.values().cloned().collect(),
            ["bills", id] => return self.bills.get(&id.parse().ok()?).cloned(),
            ["projects"] => self.projects.values().cloned().collect(),
            ["projects", project, "contracts"] => {
                let project: u64 = project.parse().ok()?;
                let of_project = self.contracts.iter().filter(|((of, _), _)| *of == project);
                of_project.map(|(_, contract)| contract.clone()).collect()
            }
            _ => return None,
        };
        let since = query.get("$filter").map(|filter| {
            assert!(filter.ends_with(" or (status ne 'Closed'))"), "{filter}");
            filter.split('\'').nth(1).unwrap().to_owned()
        });
        let wanted = |record: &Value| {
            let changed = record["changed"].as_str().unwrap_or_default();
            since.as_deref().is_none_or(|since| changed >= since || record["status"] != "Closed")
        };
        let number = |name: &str, default: usize| query.get(name).map_or(default, |text| text.parse().unwrap());
        let page = all.into_iter().filter(wanted).skip(number("$skip", 0)).take(number("$top", usize::MAX));
        Some(page.collect())
    }
}

type Site = (Arc<Mutex<Books>>, SharedClock);

async fn answer(State((books, clock)): State<Site>, request: Request) -> Response {
    let query =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    let found = books.lock().unwrap().answer(request.uri().path(), &query);
    let date = clock.now().to_rfc2822().replace("+0000", "GMT");
    let headers = [("date", date), ("content-type", "application/json".to_owned())];
    match found {
        Some(found) => (headers, found.to_string()).into_response(),
        None => (axum::http::StatusCode::NOT_FOUND, headers, "{}").into_response(),
    }
}

struct World {
    site: Site,
    source: SourceSettings,
    definitions: Definitions,
    warehouse: Warehouse,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let clock = SharedClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let site: Site = (Arc::default(), clock);
        let router = Router::new().fallback(answer).with_state(site.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let source = SourceSettings {
            name: "books".into(),
            manifest: Manifest::parse(PATH, MANIFEST).unwrap(),
            base_url: Some(url),
            values: BTreeMap::new(),
            redaction_key: None,
            redaction_key_before: None,
            quota: Quota::default(),
            rules: SourceRules::default(),
        };
        let mut definitions = Definitions::shipped();
        definitions.files.insert(PATH.to_owned(), MANIFEST.to_owned());
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open_or_create(folder.path().to_str().unwrap()).await.unwrap();
        Self { site, source, definitions, warehouse, _folder: folder }
    }

    /// Runs and commits; gives what was asked for.
    async fn run(&self, mode: ReadMode) -> Vec<String> {
        self.site.0.lock().unwrap().asked.clear();
        let clock = Clock::Shared(self.site.1.clone());
        let head = self.warehouse.head().await.unwrap();
        let options = RunOptions {
            clock: clock.clone(),
            tables: None,
            mode,
            previous: previous_tables(&self.warehouse, &head, &self.source, mode).await.unwrap(),
            accept_deletes: self.source.manifest.tables.iter().map(|table| table.name.clone()).collect(),
            progress: Progress::silent(),
            staging: None,
            cancel: tokio_util::sync::CancellationToken::new(),
        };
        let outcome = crate::extract::run(&self.source, &options).await.unwrap();
        assert!(outcome.run.incomplete_tables.is_empty(), "{:?}", outcome.tables);
        let header = CommitHeader {
            kind: CommitKind::Extract,
            clock: &clock,
            definitions: self.warehouse.put_definitions(&self.definitions.to_json()).await.unwrap(),
            observed_at: outcome.run.observed_at,
            runs: vec![outcome.run],
        };
        let mut prepared = self.warehouse.prepare(header).await.unwrap();
        for table in outcome.tables {
            prepared.add(table).await.unwrap();
        }
        let before = self.warehouse.read_state(&head, head.number(), "tieout", "coverage").await.unwrap();
        let coverage = coverage_input(prepared.inputs(), &before).unwrap();
        prepared.add(coverage).await.unwrap();
        self.warehouse.publish(prepared).await.unwrap();
        self.site.0.lock().unwrap().asked.clone()
    }

    /// The records of a table by key.
    async fn state(&self, table: &str) -> BTreeMap<String, Value> {
        let head = self.warehouse.head().await.unwrap();
        let batches = self.warehouse.read_state(&head, head.number(), "books", table).await.unwrap();
        let mut found = BTreeMap::new();
        for batch in batches {
            let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            for (key, raw) in text(KEY).iter().zip(&text(RAW)) {
                found.insert(key.unwrap().to_owned(), serde_json::from_str(raw.unwrap()).unwrap());
            }
        }
        found
    }

    /// Compares the state with the source; all of it, or what is open.
    async fn compare(&self, all: bool) -> Result<(), TestCaseError> {
        let [bills, lines, contracts, projects] = [
            self.state("bills").await,
            self.state("lines").await,
            self.state("contracts").await,
            self.state("projects").await,
        ];
        let books = self.site.0.lock().unwrap();
        let is_looked_at = |bill: &Value| all || bill["status"] == "Open";
        for (id, bill) in books.bills.iter().filter(|(_, bill)| is_looked_at(bill)) {
            prop_assert_eq!(bills.get(&id.to_string()), Some(bill));
            let mine = |key: &&String| key.split('|').next() == Some(id.to_string().as_str());
            let found: BTreeSet<String> = lines.keys().filter(mine).map(|key| lines[key].to_string()).collect();
            let expected = bill["Lines"].as_array().unwrap().iter().map(Value::to_string).collect();
            prop_assert_eq!(found, expected, "lines of bill {}", id);
        }
        // None is open that the source has closed, however quietly.
        for (id, bill) in bills.iter().filter(|(_, bill)| bill["status"] == "Open") {
            let now = books.bills.get(&id.parse().unwrap());
            prop_assert!(now.is_none() && !all || now == Some(bill), "bill {} is {:?}, not {}", id, now, bill);
        }
        let is_active = |project: u64| all || books.projects[&project]["active"] == true;
        let found: BTreeMap<String, Value> = contracts.into_iter().collect();
        let expected = books.contracts.iter().filter(|((project, _), _)| is_active(*project));
        for ((project, id), contract) in expected {
            prop_assert_eq!(found.get(&id.to_string()), Some(contract), "project {}", project);
        }
        let as_keys = |map: &BTreeMap<u64, Value>| -> BTreeMap<String, Value> {
            map.iter().map(|(id, value)| (id.to_string(), value.clone())).collect()
        };
        prop_assert_eq!(projects, as_keys(&books.projects));
        if all {
            prop_assert_eq!(&bills, &as_keys(&books.bills));
            prop_assert_eq!(found.len(), books.contracts.len());
            let count: usize = books.bills.values().map(|bill| bill["Lines"].as_array().unwrap().len()).sum();
            prop_assert_eq!(lines.len(), count);
        }
        Ok(())
    }
}

async fn histories(events: Vec<Event>) -> Result<(), TestCaseError> {
    let world = World::new().await;
    let (books, clock) = world.site.clone();
    let happens = |event| {
        clock.advance_to(clock.now() + TimeDelta::minutes(7));
        books.lock().unwrap().happens(event, clock.now());
    };
    // Long enough for more than two pages, so that what changed is asked for and not the whole list.
    for _ in 0..9 {
        happens(Event::AddBill { lines: 2 });
    }
    for at in 0..3 {
        happens(Event::AddProject);
        happens(Event::AddContract(at));
    }
    world.run(ReadMode::Full).await;
    for event in events {
        happens(event);
        if matches!(event, Event::Run) {
            world.run(ReadMode::Incremental).await;
            world.compare(false).await?;
        }
    }
    clock.advance_to(clock.now() + TimeDelta::days(31));
    world.run(ReadMode::Incremental).await;
    world.compare(true).await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_runs_and_a_sweep_reach_what_a_full_run_reaches(events in prop::collection::vec(event(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(histories(events))?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rests_is_not_asked_for_until_it_changes_or_is_due() {
    let world = World::new().await;
    let (books, clock) = world.site.clone();
    let happens = |event| books.lock().unwrap().happens(event, clock.now());
    for _ in 0..9 {
        happens(Event::AddBill { lines: 1 });
    }
    happens(Event::AddProject);
    happens(Event::AddProject);
    happens(Event::CloseProject(0));
    let lists = |asked: &[String]| asked.iter().filter(|path| path.ends_with("/contracts")).count();
    let bills = |asked: &[String]| asked.iter().filter(|path| path.starts_with("/bills")).count();
    let first = world.run(ReadMode::Full).await;
    assert_eq!((lists(&first), bills(&first)), (2, 5), "nine bills are four full pages, overlapping, and an empty one");

    for at in 0..8 {
        happens(Event::PayBill(at));
    }
    clock.advance_to(clock.now() + TimeDelta::days(1));
    let daily = world.run(ReadMode::Incremental).await;
    assert_eq!(lists(&daily), 1, "the closed project rests");
    clock.advance_to(clock.now() + TimeDelta::days(1));
    let daily = world.run(ReadMode::Incremental).await;
    assert_eq!((lists(&daily), bills(&daily)), (1, 1), "one bill is open, and none changed");

    happens(Event::ReopenProject(0));
    let reopened = world.run(ReadMode::Incremental).await;
    assert_eq!(lists(&reopened), 2);
    happens(Event::CloseProject(0));
    assert_eq!(lists(&world.run(ReadMode::Incremental).await), 2, "it has just changed");
    assert_eq!(lists(&world.run(ReadMode::Incremental).await), 1);
    clock.advance_to(clock.now() + TimeDelta::days(30));
    let swept = world.run(ReadMode::Incremental).await;
    assert_eq!((lists(&swept), bills(&swept)), (2, 5), "everything is due");
}
