//! A server that answers as a test's script says and logs what was asked, and the manifests that are read from it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use tieout::clock::{Clock, SharedClock};
use tieout::extract::{
    Manifest, PreviousTables, Progress, Quota, RunOptions, Secret, Setting, SourceOutcome, SourceRules, SourceSettings,
    run,
};
use tieout::warehouse::Spooled;
use tieout::warehouse::rows::{Coverage, ReadMode, TableInput};

pub(super) const SECRET: &str = "s3cr3t/+value";

/// One request as the server saw it, and how many it has seen of that path and query.
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) query: String,
    pub(super) token: String,
    pub(super) count: usize,
    pub(super) body: String,
}

type Script = dyn Fn(&Seen) -> Response + Send + Sync;
type Log = Arc<Mutex<Vec<String>>>;

pub(super) struct Server {
    pub(super) url: String,
    pub(super) log: Arc<Mutex<Vec<String>>>,
}

pub(super) async fn serve(script: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Server {
    let log: Log = Arc::default();
    let state: (Arc<Script>, Log) = (Arc::new(script), Arc::clone(&log));
    let handler = |State((script, log)): State<(Arc<Script>, Log)>, request: Request| async move {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let token = request.headers().get("authorization").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let line = format!("{path}?{query}");
        let count = {
            let mut log = log.lock().unwrap();
            log.push(line.clone());
            log.iter().filter(|seen| **seen == line).count()
        };
        script(&Seen { path, query, token, count, body: String::from_utf8_lossy(&body).into_owned() })
    };
    let router = Router::new().fallback(handler).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { url, log }
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_owned())).unwrap()
}

pub(super) fn ok(body: &str) -> Response {
    answer(200, &[], body)
}

pub(super) fn token(seen: &Seen) -> Option<Response> {
    (seen.path == "/oauth/token").then(|| {
        assert!(seen.body.contains("grant_type=client_credentials"), "{}", seen.body);
        ok(&format!(r#"{{"access_token":"tok{}","token_type":"bearer","expires_in":5400}}"#, seen.count))
    })
}

pub(super) const SYSTEM: &str = r#"
[system]
name = "toy"
side = "pm"
protocol = "rest"
[settings]
required = ["client_id", "client_secret"]
secret = ["client_id", "client_secret"]
[rest]
auth = [ { kind = "oauth2_client_credentials", token_url = "/oauth/token", client_id = "{client_id}", client_secret = "{client_secret}" } ]
rate = { kind = "headers", limit = "X-Rate-Limit-Limit", remaining = "X-Rate-Limit-Remaining", reset = "X-Rate-Limit-Reset" }
[[table]]
name = "projects"
path = "/projects"
key = ["id"]
may_hide = true
paging = { kind = "link_header", per_page = 100, total_header = "Total" }
[table.columns]
id = "int64"
"#;

pub(super) const CONTRACTS: &str = r#"
[[table]]
name = "contracts"
parent = "projects"
path = "/contracts"
query = { project_id = "{parent.id}" }
key = ["id"]
paging = { kind = "link_header", per_page = 100, total_header = "Total" }
[table.columns]
id = "int64"
total = "decimal(18,2)"
project_id = { type = "int64", parent = "id" }
"#;

pub(super) fn source(server: &Server, manifest: &str) -> SourceSettings {
    let secret = |text: &str| Setting::Secret(Secret::new(text));
    let source = SourceSettings {
        name: "toy".into(),
        manifest: Manifest::parse("toy.toml", manifest).unwrap(),
        base_url: Some(server.url.clone()),
        values: BTreeMap::from([
            ("client_id".to_owned(), secret("the-client")),
            ("client_secret".to_owned(), secret(SECRET)),
        ]),
        redaction_key: None,
        redaction_key_before: None,
        quota: Quota::default(),
        rules: SourceRules::default(),
    };
    source.with_defaults().unwrap()
}

pub(super) fn options(clock: &SharedClock) -> RunOptions {
    RunOptions {
        clock: Clock::Shared(clock.clone()),
        tables: None,
        mode: ReadMode::Full,
        previous: PreviousTables::default(),
        accept_deletes: Vec::new(),
        progress: Progress::silent(),
        staging: None,
        cancel: tokio_util::sync::CancellationToken::new(),
    }
}

pub(super) fn clock() -> SharedClock {
    SharedClock::new(DateTime::parse_from_rfc3339("2026-01-31T22:00:00Z").unwrap().with_timezone(&Utc))
}

pub(super) async fn extract(server: &Server, manifest: &str) -> SourceOutcome {
    run(&source(server, manifest), &options(&clock())).await.unwrap()
}

pub(super) fn table<'a>(outcome: &'a SourceOutcome, name: &str) -> &'a TableInput {
    outcome.tables.iter().find(|table| table.table == name).unwrap()
}

pub(super) fn rows(outcome: &SourceOutcome, name: &str) -> usize {
    let input = table(outcome, name);
    let spooled = input.spooled.as_ref().map_or(0, Spooled::rows);
    spooled + input.batches.iter().map(RecordBatch::num_rows).sum::<usize>()
}

pub(super) fn coverage<'a>(outcome: &'a SourceOutcome, name: &str, scope: &str) -> &'a Coverage {
    table(outcome, name).coverage.iter().find(|coverage| coverage.scope == scope).unwrap()
}

pub(super) const COOKIES: &str = r#"
[system]
name = "toy"
side = "erp"
protocol = "rest"
[settings]
required = ["client_id", "client_secret"]
secret = ["client_id", "client_secret"]
[rest]
unwrap = "value"
auth = [ { kind = "cookie_session", login_path = "/login", logout_path = "/logout", body = { name = "{client_id}", password = "{client_secret}" } } ]
retry_text = ["API Login Limit"]
[[table]]
name = "bills"
path = "/bills"
key = ["type", "number"]
ignore = ["**.id", "Details"]
sensitive = { "Tax" = "drop" }
paging = { kind = "offset", top_parameter = "$top", skip_parameter = "$skip", top = 2 }
[table.columns]
type = { type = "text", path = "Type" }
number = { type = "text", path = "ReferenceNbr" }
day = { type = "date", path = "Date" }
[[table]]
name = "bill_lines"
embedded = { table = "bills", path = "Details" }
key = ["number", "line"]
[table.columns]
number = { type = "text", parent = "number" }
line = { type = "int64", position = true }
amount = { type = "decimal(18,2)", path = "Amount" }
"#;
