//! Workers on ports of this machine: the same answers as one process gives, for whoever asks, also when one of them dies.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use tieout::engine::workers::{BoundWorker, LineOptions, Lines, WorkerOptions, Workers};
use tieout::engine::{Engine, SessionRequest};
use tieout::extract::Secret;
use tieout::server::{self, HttpOptions, LocalQuery};
use tokio::runtime::Runtime;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::moments::refusal;
use crate::server::firm::{Firm, role, with};

/// A debug build needs more stack than a thread has.
const STACK_BYTES: usize = 64 << 20;

/// Workers of one engine, each on threads of its own, as if it were another process.
struct Crew {
    workers: Arc<Workers>,
    members: Vec<(Option<Runtime>, BoundWorker)>,
}

impl Crew {
    /// Over the warehouse of an engine, for plans of any size.
    async fn of(engine: &Arc<Engine>, count: usize, secret: Option<&str>) -> Self {
        let mut members = Vec::new();
        for _ in 0..count {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_stack_size(STACK_BYTES)
                .enable_all()
                .build()
                .unwrap();
            let options = WorkerOptions {
                listen: "127.0.0.1:0".parse().unwrap(),
                tls: None,
                secret: secret.map(Secret::new),
                authorities: None,
                functions: server::statement_functions(),
                rewrite: server::giving_way,
            };
            let engine = Arc::clone(engine);
            let bound = runtime.spawn(async move { engine.work(options, CancellationToken::new()).await });
            members.push((Some(runtime), bound.await.unwrap().unwrap()));
        }
        let urls = members.iter().map(|(_, bound)| format!("http://{}", bound.address()).parse().unwrap()).collect();
        Self { workers: meet(engine, urls, secret).await, members }
    }

    /// Ends one in the middle of whatever it does.
    fn kill(&mut self, member: usize) {
        self.members[member].0.take().unwrap().shutdown_background();
    }

    fn tasks(&self) -> Vec<u64> {
        self.members.iter().map(|(_, bound)| bound.tasks()).collect()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.members.iter_mut().filter_map(|(runtime, _)| runtime.take()).for_each(Runtime::shutdown_background);
    }
}

async fn meet(engine: &Arc<Engine>, urls: Vec<Url>, secret: Option<&str>) -> Arc<Workers> {
    let secret = secret.map(Secret::new);
    let warehouse = engine.warehouse().id();
    let lines = LineOptions { secret: secret.as_ref(), authorities: None, warehouse: &warehouse };
    Workers::meet(urls, Lines::new(&lines).unwrap(), 0).await
}

/// Crews of engines that other tests opened; they work until the process ends.
static CREWS: Mutex<Vec<Crew>> = Mutex::new(Vec::new());

/// With `TIEOUT_WORKERS=n` so many workers carry out parts of what an engine is asked.
pub(crate) async fn employ_if_asked(engine: &Arc<Engine>) {
    let Ok(count) = std::env::var("TIEOUT_WORKERS") else { return };
    let crew = Crew::of(engine, count.parse().unwrap(), None).await;
    engine.employ(Arc::clone(&crew.workers), &server::statement_functions());
    CREWS.lock().unwrap().push(crew);
}

/// That workers carried out stages of most of so many scripts, each of them some, and nothing had to run again without them.
pub(crate) fn assert_employed(scripts: usize) {
    if std::env::var("TIEOUT_WORKERS").is_err() {
        return;
    }
    let crews = CREWS.lock().unwrap();
    let stages: u64 = crews.iter().map(|crew| crew.workers.stages()).sum();
    let reruns: u64 = crews.iter().map(|crew| crew.workers.reruns()).sum();
    let tasks: Vec<Vec<u64>> = crews.iter().map(Crew::tasks).collect();
    println!("{scripts} scripts, {stages} stages sent out, {reruns} statements run again, tasks {tasks:?}");
    // A window over a column of one value counts on an order that only its own process knows of: it runs again here.
    assert!(stages > scripts as u64 && reruns * 100 < stages, "{stages} stages, {reruns} statements run again");
    assert!(tasks.iter().flatten().all(|tasks| *tasks > 0), "{tasks:?}");
}

/// What is asked of both, with rows in an order.
const QUESTIONS: &[&str] = &[
    "select * from recon.summary order by check_id",
    "select * from recon.exceptions order by exception_key",
    "select project_id, count(*), min(note), max(record_id) from pm.change_orders group by project_id order by 1",
    "select o.record_id, p.number from pm.change_orders o join pm.projects p on p.record_id = o.project_id order by 1",
    "select o.id, l.id from office.orders o left join office.order_lines l on l.order_id = o.id order by 1, 2",
    "select o.id from office.orders o where not exists (select 1 from books.orders b where b.id = o.id) order by 1",
    "select id, note, row_number() over (partition by project_id order by id) from office.orders order by 1",
    "select id, (_raw::json ->> 'note') as note from office.orders order by 1",
    "select distinct note from as_of('office.orders', 'DAY1') order by 1",
    "select id, _op, _changed from changes('office.orders', 'DAY1', 'latest') order by 1",
    "select id, _op, valid_from, valid_to from history.office_orders order by 1, 3",
    "select count(*), sum(length(name)) from office.vendors",
    "select id from office.orders union all select id from books.orders order by 1 limit 7",
    "select id from office.orders order by id desc limit 3 offset 2",
    "select upper(note) as n, count(*) from office.orders where note <> '' group by 1 having count(*) > 1 order by 1",
    "select (select max(id) from books.orders) as m, id from office.orders order by id limit 4",
    "select end_of_day(firm_day(committed_at)) from meta.commits order by 1",
    "select setting_integer('change_order_days'), normalize_name(name) from office.vendors order by 2",
];

async fn answer(engine: &Arc<Engine>, request: &SessionRequest, sql: &str) -> String {
    let session = engine.session(request).await.unwrap();
    let query = match LocalQuery::plan(&session, "ada", sql, None).await {
        Ok(query) => query,
        Err(error) => return error.to_string(),
    };
    let batches: Vec<_> = match query.rows() {
        Ok(rows) => rows.try_collect().await.unwrap_or_else(|error| panic!("{sql}: {error}")),
        Err(error) => return error.to_string(),
    };
    arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_answer_as_one_process_does() {
    let users = vec![with(role("boss", None), |access, _| access.sensitive = true)];
    let firm = Firm::judged(users, HttpOptions::at("127.0.0.1:0".parse().unwrap())).await;
    let alone = firm.opened_again().await;
    let crew = Crew::of(&firm.engine, 3, Some("open sesame")).await;
    firm.engine.employ(Arc::clone(&crew.workers), &server::statement_functions());
    let of_project = with(role("ada", Some(&["A-1"])), |_, _| {}).access;
    let masked = with(role("clerk", None), |_, _| {}).access;
    let everything = SessionRequest::default();
    let requests = [
        everything.clone(),
        SessionRequest { as_of: Some("DAY1".to_owned()), ..everything.clone() },
        SessionRequest { accounting_date: Some("2027-01-31".to_owned()), ..everything.clone() },
        SessionRequest { time_zone: Some("+05:30".to_owned()), ..everything.clone() },
        SessionRequest { access: of_project, ..everything.clone() },
        SessionRequest { access: masked, ..everything.clone() },
    ];
    let mut answered = 0;
    for request in &requests {
        for sql in QUESTIONS {
            let before = crew.workers.stages();
            let (theirs, ours) = (answer(&firm.engine, request, sql).await, answer(&alone, request, sql).await);
            assert_eq!(theirs, ours, "{sql} of {request:?}");
            answered += usize::from(crew.workers.stages() > before);
        }
    }
    let (asked, tasks) = (requests.len() * QUESTIONS.len(), crew.tasks());
    println!("{answered} of {asked} questions had stages on workers, tasks {tasks:?}");
    assert!(answered * 2 > asked, "{answered} of {asked}");
    assert!(tasks.iter().all(|tasks| *tasks > 10), "{tasks:?}");
    assert_eq!(crew.workers.reruns(), 0);
    let plan = answer(&firm.engine, &everything, &format!("explain {}", QUESTIONS[2])).await;
    assert!(plan.contains("OnWorkers: stages=") && plan.contains("Stage 1"), "{plan}");
}

/// Slower than anything else here: every order with every other of the same note, and again.
const LONG: &str = "select count(*) from office.orders a join office.orders b on b.note = a.note join office.orders c \
                    on c.note = b.note cross join (values (1), (2), (3), (4)) v (n) where a.id || b.id || c.id <> 'x'";
/// How many these are.
const SHORT: &str =
    "select cast(sum(n * n * n) * 4 as bigint) from (select count(*) n from office.orders group by note) g";
/// The same with its rows.
const MANY: &str = "select a.id || b.id || c.id from office.orders a join office.orders b on b.note = a.note \
                    join office.orders c on c.note = b.note cross join (values (1), (2), (3), (4)) v (n)";

async fn manned() -> (Firm, Crew) {
    let http = HttpOptions::at("127.0.0.1:0".parse().unwrap());
    let firm = Firm::judged(vec![with(role("boss", None), |_, _| {})], http).await;
    let crew = Crew::of(&firm.engine, 3, None).await;
    firm.engine.employ(Arc::clone(&crew.workers), &server::statement_functions());
    (firm, crew)
}

async fn value(client: &Client, sql: &str) -> Result<i64, tokio_postgres::Error> {
    client.query_one(sql, &[]).await.map(|row| row.get(0))
}

/// Waits until workers have something to do.
async fn busy(crew: &Crew) {
    let began = Instant::now();
    while crew.members.iter().all(|(_, bound)| bound.oldest_task().is_none()) {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing was sent out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_costs_time_and_no_row() {
    let (firm, mut crew) = manned().await;
    let orders = value(&firm.connect("boss").await, "select count(*) from office.orders").await.unwrap();
    let expected = value(&firm.connect("boss").await, SHORT).await.unwrap();
    let client = firm.connect("boss").await;
    let asked = tokio::spawn(async move { value(&client, LONG).await });
    busy(&crew).await;
    crew.kill(0);
    assert_eq!(asked.await.unwrap().unwrap(), expected);
    assert_eq!((crew.workers.reruns(), crew.workers.up().len()), (1, 2));
    // The others go on, and are asked alone.
    let before = crew.tasks();
    assert_eq!(value(&firm.connect("boss").await, "select count(*) from office.orders").await.unwrap(), orders);
    let after = crew.tasks();
    assert!(after[0] == before[0] && after[1] + after[2] > before[1] + before[2], "{before:?} {after:?}");
    assert_eq!(crew.workers.reruns(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_stop_coming_are_an_error() {
    let (firm, mut crew) = manned().await;
    let client = firm.connect("boss").await;
    let no_parameters: [&str; 0] = [];
    let mut rows = std::pin::pin!(client.query_raw(MANY, no_parameters).await.unwrap());
    rows.next().await.unwrap().unwrap();
    for member in 0..3 {
        crew.kill(member);
    }
    let error = loop {
        match rows.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("all rows came from workers that are gone"),
        }
    };
    let told = refusal(&error);
    assert!(told.contains("58000") && told.contains("lost worker http://"), "{told}");
    // Nobody is left: what is asked next is answered here.
    assert!(value(&firm.connect("boss").await, "select count(*) from office.orders").await.unwrap() > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_ends_early_ends_on_workers_too() {
    let (firm, crew) = manned().await;
    let client = firm.connect("boss").await;
    client.batch_execute("set statement_timeout = 1500").await.unwrap();
    let told = refusal(&client.query(LONG, &[]).await.unwrap_err());
    assert!(told.contains("57014"), "{told}");
    let began = Instant::now();
    let theirs = crew.tasks();
    assert!(theirs.iter().sum::<u64>() > 0);
    let client = firm.connect("boss").await;
    let is_held = || {
        let oldest = crew.members.iter().map(|(_, bound)| bound.oldest_task());
        oldest.zip(&theirs).any(|(oldest, theirs)| oldest.is_some_and(|oldest| oldest < *theirs))
    };
    while is_held() {
        assert!(began.elapsed() < Duration::from_secs(20), "workers still work at what nobody waits for");
        // What has ended is swept up when something else arrives.
        value(&client, "select count(*) from office.orders where note <> ''").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_answer_their_own_servers_alone() {
    let firm = Firm::new(vec![with(role("boss", None), |_, _| {})]).await;
    let other = Firm::new(vec![with(role("boss", None), |_, _| {})]).await;
    let crew = Crew::of(&firm.engine, 1, Some("open sesame")).await;
    let urls = crew.workers.up();
    assert_eq!(urls.len(), 1);
    for secret in [None, Some("open barley")] {
        let workers = meet(&firm.engine, urls.clone(), secret).await;
        assert!(workers.up().is_empty(), "{secret:?}");
    }
    // Another warehouse is another worker's.
    assert!(meet(&other.engine, urls.clone(), Some("open sesame")).await.up().is_empty());
    // Who is left out is not waited for.
    let nobody = meet(&firm.engine, urls, None).await;
    firm.engine.employ(Arc::clone(&nobody), &server::statement_functions());
    assert_eq!(value(&firm.connect("boss").await, "select count(*) from office.orders").await.unwrap(), 4);
    assert_eq!((nobody.stages(), crew.tasks()), (0, vec![0]));
    for (listen, secret, expected) in
        [("0.0.0.0:0", None, "[workers] secret"), ("0.0.0.0:0", Some("x"), "[server.tls]")]
    {
        let options = WorkerOptions {
            listen: listen.parse().unwrap(),
            tls: None,
            secret: secret.map(Secret::new),
            authorities: None,
            functions: Vec::new(),
            rewrite: server::giving_way,
        };
        let refused = firm.engine.work(options, CancellationToken::new()).await.unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}
