//! CMiC's REST interface (Oracle ADF business components) before the same books.
//!
//! Owns: Basic sign-in as `CLIENT||USER` and tokens of Microsoft Entra, the limits per caller, finders, `fields`, `limit` and
//! `offset`, the error bodies. Invariants: nothing is ordered unless asked, rows of the demo company `ZZ` stand among the
//! firm's, and a row that never changed has no update date. Leaves out: writing, `q`, children, and the resources whose
//! attributes nobody has published.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::firm::model::AcumaticaDatabase;
use super::http::{Reply, Request};
use super::interference::{Interference, System, Trouble};
use crate::clock::SharedClock;

mod query;
mod records;

pub use records::{change_code_key, contract_key, project_key, vendor_key, voucher_key};

/// How long a token lives: Entra's hour.
const TOKEN_SECONDS: i64 = 3_599;
/// The rows of a page that names no limit.
const PAGE: usize = 25;

/// What CMiC allows a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CmicLimits {
    /// Requests at once; one more is refused, not queued.
    pub concurrent: usize,
    /// Requests in a trailing second.
    pub per_second: usize,
    /// Milliseconds of real time that a request takes.
    pub milliseconds: u64,
}

impl Default for CmicLimits {
    fn default() -> Self {
        Self { concurrent: 5, per_second: 15, milliseconds: 5 }
    }
}

/// How to reach the simulated CMiC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CmicEndpoint {
    /// The server, without the environment.
    pub base_url: String,
    /// The environment, a part of every path.
    pub environment: String,
    /// The client, the first half of a hosted customer's user name.
    pub client: String,
    /// The API user.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Where Entra gives tokens.
    pub token_url: String,
    /// The registered application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// What the interface is set up with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) environment: String,
    pub(super) client: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) directory: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) limits: CmicLimits,
}

impl Settings {
    pub(super) fn new(seed: u64, limits: CmicLimits) -> Self {
        Self {
            environment: "cmicprod".to_owned(),
            client: "FIRM".to_owned(),
            username: "APIREADER".to_owned(),
            password: format!("cmic-password-{seed}"),
            directory: "5d3c1e0b-0000-4000-8000-000000000002".to_owned(),
            client_id: "7a5c1e0b-0000-4000-8000-000000000003".to_owned(),
            client_secret: format!("cmic-secret-{seed}"),
            limits,
        }
    }

    pub(super) fn endpoint(&self, base_url: String) -> CmicEndpoint {
        CmicEndpoint {
            token_url: format!("{base_url}/{}/oauth2/v2.0/token", self.directory),
            base_url,
            environment: self.environment.clone(),
            client: self.client.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
        }
    }
}

/// The interface over a firm's state.
pub(super) struct Server<F> {
    settings: Settings,
    clock: SharedClock,
    started: Instant,
    interference: Arc<Interference>,
    firm: Arc<RwLock<F>>,
    callers: Mutex<Callers>,
}

#[derive(Default)]
struct Callers {
    tokens: HashMap<String, DateTime<Utc>>,
    given: u64,
    /// When the requests under way end.
    under_way: Vec<Instant>,
    /// The requests of the trailing second.
    recent: VecDeque<DateTime<Utc>>,
}

impl<F: AsRef<AcumaticaDatabase>> Server<F> {
    pub(super) fn new(
        settings: Settings,
        clock: SharedClock,
        interference: Arc<Interference>,
        firm: Arc<RwLock<F>>,
    ) -> Self {
        Self { settings, clock, started: Instant::now(), interference, firm, callers: Mutex::default() }
    }

    /// Answers one request.
    pub(super) fn answer(&self, request: &Request) -> Reply {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        if let [directory, "oauth2", "v2.0", "token"] = segments.as_slice() {
            return self.token(request, directory);
        }
        let table = segments.get(4).or(segments.get(3)).copied().unwrap_or_default();
        if !self.admits() {
            return too_many();
        }
        let trouble = self.interference.strike(System::Cmic, table, None);
        if let Some(reply) = trouble.and_then(troubled) {
            return reply;
        }
        let mut reply = if self.knows(request) { self.admitted(request, &segments, trouble) } else { unauthorized() };
        reply.truncated = trouble == Some(Trouble::Truncated);
        let work = Duration::from_millis(self.settings.limits.milliseconds);
        reply.delay = work + trouble.map(Trouble::delay).unwrap_or_default();
        reply
    }

    /// Whether one more request may begin, by both limits. Waiting moves the reader's clock or takes real time: both count.
    fn admits(&self) -> bool {
        let limits = self.settings.limits;
        let now = self.clock.now() + TimeDelta::from_std(self.started.elapsed()).unwrap_or_default();
        let mut callers = self.callers();
        let at = Instant::now();
        callers.under_way.retain(|end| *end > at);
        while callers.recent.front().is_some_and(|sent| now - *sent >= TimeDelta::seconds(1)) {
            callers.recent.pop_front();
        }
        if callers.under_way.len() >= limits.concurrent || callers.recent.len() >= limits.per_second {
            return false;
        }
        callers.recent.push_back(now);
        callers.under_way.push(at + Duration::from_millis(limits.milliseconds));
        true
    }

    fn callers(&self) -> std::sync::MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entra's answer to a client's credentials.
    fn token(&self, request: &Request, directory: &str) -> Reply {
        let settings = &self.settings;
        let fields = request.fields();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let refuse =
            |status, error: &str, text: &str| Reply::json(status, &json!({"error": error, "error_description": text}));
        if request.method != Method::POST || field("grant_type") != "client_credentials" {
            return refuse(400, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.");
        }
        if directory != settings.directory || field("client_id") != settings.client_id {
            return refuse(400, "unauthorized_client", "AADSTS700016: Application was not found in the directory.");
        }
        if field("client_secret") != settings.client_secret {
            return refuse(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.");
        }
        if field("scope") != format!("api://{}/.default", settings.client_id) {
            return refuse(400, "invalid_scope", "AADSTS70011: The provided value for 'scope' is not valid.");
        }
        let mut callers = self.callers();
        callers.given += 1;
        let token = format!("entra.{}.{}", callers.given, uuid::Uuid::new_v4().simple());
        callers.tokens.insert(token.clone(), self.clock.now() + TimeDelta::seconds(TOKEN_SECONDS));
        Reply::json(200, &json!({"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "access_token": token}))
    }

    /// Whether the request is signed by a token, or by a user of the client with the password.
    fn knows(&self, request: &Request) -> bool {
        let now = self.clock.now();
        if let Some(token) = request.bearer() {
            return self.callers().tokens.get(token).is_some_and(|ends| *ends > now);
        }
        let settings = &self.settings;
        let user = format!("{}||{}:{}", settings.client, settings.username, settings.password);
        let header = request.header("authorization").and_then(|text| text.strip_prefix("Basic "));
        header.is_some_and(|given| given.trim() == base64(user.as_bytes()))
    }

    fn admitted(&self, request: &Request, segments: &[&str], trouble: Option<Trouble>) -> Reply {
        let (module, resource, key) = match segments {
            [environment, "glrestapi", "rest", "v1", resource, key @ ..]
                if *environment == self.settings.environment =>
            {
                ("gl", *resource, key)
            }
            [environment, module, "rest", "1", resource, key @ ..] if *environment == self.settings.environment => {
                // Its module has a path of another kind.
                (module.strip_suffix("-rest-api").filter(|module| *module != "gl").unwrap_or_default(), *resource, key)
            }
            _ => return not_found(),
        };
        if request.method != Method::GET {
            return Reply::text(405, "Method Not Allowed");
        }
        let firm = self.firm.read().unwrap_or_else(PoisonError::into_inner);
        let Some(rows) = records::rows(firm.as_ref(), module, resource) else { return not_found() };
        drop(firm);
        let address = format!("/{}", segments.join("/"));
        match key {
            [] if trouble == Some(Trouble::SilentEmpty) => self.list(request, resource, Vec::new(), &address),
            [] => self.list(request, resource, rows, &address),
            [key] => {
                let is_it = |row: &Map<String, Value>| records::is_called(row, resource, key);
                rows.into_iter().find(is_it).map_or_else(not_found, |row| Reply::json(200, &Value::Object(row)))
            }
            _ => not_found(),
        }
    }

    fn list(&self, request: &Request, resource: &str, rows: Vec<Map<String, Value>>, address: &str) -> Reply {
        let mut rows = match query::chosen(request, resource, rows) {
            Ok(rows) => rows,
            Err(text) => return Reply::text(400, &text),
        };
        let number = |name| request.query(name).map(str::parse::<usize>).transpose();
        let (Ok(limit), Ok(offset)) = (number("limit"), number("offset")) else {
            return Reply::text(400, "limit and offset are numbers");
        };
        let (limit, offset) = (limit.unwrap_or(PAGE), offset.unwrap_or(0));
        let page = if offset == 0 { 1 } else { 2 };
        let scan = self.interference.strike_scan(System::Cmic, resource, None, page);
        if !rows.is_empty()
            && matches!((scan, page), (Some(Trouble::MidScanInsert), 1) | (Some(Trouble::MidScanDelete), 2))
        {
            rows.remove(0);
        }
        let total = rows.len();
        let items: Vec<Value> = rows.into_iter().skip(offset).take(limit).map(Value::Object).collect();
        let link = json!({"rel": "self", "href": address, "name": resource, "kind": "collection"});
        let (count, more) = (items.len(), offset + items.len() < total);
        let mut answer = json!({
            "items": items, "count": count, "hasMore": more, "limit": limit, "offset": offset, "links": [link],
        });
        if request.query("totalResults") == Some("true") {
            answer = super::http::with(answer, "totalResults", json!(total));
        }
        let mut reply = Reply::json(200, &answer);
        for (name, value) in &mut reply.headers {
            if name == "content-type" {
                "application/vnd.oracle.adf.resourcecollection+json".clone_into(value);
            }
        }
        reply
    }
}

/// Plain base64 of a Basic header (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let part = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = part(0) << 16 | part(1) << 8 | part(2);
        for place in 0..4_usize {
            let index = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            let letter = LETTERS.get(index).copied().unwrap_or(b'=');
            text.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

/// The reply that a trouble puts in place of the right one.
fn troubled(trouble: Trouble) -> Option<Reply> {
    Some(match trouble {
        Trouble::Forbidden => Reply::html(403, "Error 403--Forbidden"),
        Trouble::NotFound => not_found(),
        Trouble::TooManyRequests => too_many(),
        Trouble::Unavailable { retry_after_seconds } => {
            Reply::html(503, "Error 503--Service Unavailable").with("Retry-After", retry_after_seconds.to_string())
        }
        Trouble::BadGateway => Reply::html(502, "502 Bad Gateway"),
        Trouble::Timeout => Reply::html(504, "504 Gateway Time-out"),
        Trouble::Unauthorized => unauthorized(),
        Trouble::SilentEmpty
        | Trouble::Truncated
        | Trouble::Slow { .. }
        | Trouble::MidScanInsert
        | Trouble::MidScanDelete => return None,
    })
}

fn unauthorized() -> Reply {
    Reply::html(401, "Error 401--Unauthorized").with("WWW-Authenticate", "Basic realm=\"weblogic\"")
}

fn not_found() -> Reply {
    Reply::html(404, "Error 404--Not Found")
}

fn too_many() -> Reply {
    Reply::text(429, "Too Many Requests")
}

#[cfg(test)]
mod tests;
