//! Procore's REST interface before the simulated firm's database.
//!
//! Owns: tokens, the company header, both request windows, pages and filters, the error bodies. Invariants: a reply never
//! changes the firm; every reply carries the rate headers; a list read to its last page without interference is exactly
//! the database's. Leaves out: writing, webhooks, refresh tokens and the interfaces that only ERP integrators may use.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::Utc;
use serde_json::{Value, json};

use super::firm::model::ProcoreDatabase;
use super::http::{Reply, Request};
use super::interference::{Interference, System, Trouble};
use crate::clock::SharedClock;

mod lists;
mod rate;
mod render;
mod routes;
mod tokens;

pub use rate::RateLimits;

use rate::{RateMeter, RateState};
use routes::{Found, Route};
use tokens::Tokens;

/// What the interface is set up with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) limits: RateLimits,
}

/// The interface over a firm's state.
pub(super) struct Server<F> {
    settings: Settings,
    clock: SharedClock,
    interference: Arc<Interference>,
    firm: Arc<RwLock<F>>,
    callers: Mutex<Callers>,
}

struct Callers {
    tokens: Tokens,
    meter: RateMeter,
}

impl<F: AsRef<ProcoreDatabase>> Server<F> {
    pub(super) fn new(
        settings: Settings,
        clock: SharedClock,
        interference: Arc<Interference>,
        firm: Arc<RwLock<F>>,
    ) -> Self {
        let callers = Callers { tokens: Tokens::default(), meter: RateMeter::new(settings.limits) };
        Self { settings, clock, interference, firm, callers: Mutex::new(callers) }
    }

    /// Answers one request.
    pub(super) fn answer(&self, request: &Request) -> Reply {
        let now = self.clock.now();
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        if segments == ["oauth", "token"] {
            return self.token(request, now);
        }
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = callers.tokens.refuse(request, now) {
            return refusal;
        }
        let (rate, allowed) = callers.meter.count(now);
        drop(callers);
        let reply = if allowed { self.counted(request, &segments) } else { too_many() };
        with_rate(reply, rate).with("x-request-id", uuid::Uuid::new_v4().to_string())
    }

    /// Makes every token invalid; the next request of each caller is answered 401.
    pub(super) fn revoke_tokens(&self) {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner).tokens.revoke();
    }

    fn token(&self, request: &Request, now: chrono::DateTime<Utc>) -> Reply {
        let trouble = self.interference.strike(System::Procore, "oauth/token", None);
        if let Some(reply) = trouble.and_then(troubled) {
            return reply;
        }
        let client = (self.settings.client_id.as_str(), self.settings.client_secret.as_str());
        let mut reply = self.callers.lock().unwrap_or_else(PoisonError::into_inner).tokens.answer(request, client, now);
        travel(&mut reply, trouble);
        reply
    }

    fn counted(&self, request: &Request, segments: &[&str]) -> Reply {
        let Some(route) = Route::of(segments, request) else {
            return Reply::html(404, "The page you were looking for doesn't exist (404)");
        };
        let project = route.scope.project.map(|id| id.to_string());
        let trouble = self.interference.strike(System::Procore, route.table, project.as_deref());
        if let Some(reply) = trouble.and_then(troubled) {
            return reply;
        }
        let firm = self.firm.read().unwrap_or_else(PoisonError::into_inner);
        let database = firm.as_ref();
        let found = match refuse_company(&route, request, database) {
            Some(refusal) => return refusal,
            None => route.fetch(database),
        };
        drop(firm);
        let mut reply = match found {
            Found::Missing => not_found(),
            Found::Bad(text) => Reply::json(400, &json!({"errors": text})),
            Found::One(value) => Reply::json(200, &route.envelope(value)),
            Found::Records(_) if trouble == Some(Trouble::SilentEmpty) => self.list(request, &route, Vec::new()),
            Found::Records(records) => self.list(request, &route, records),
        };
        travel(&mut reply, trouble);
        reply
    }

    fn list(&self, request: &Request, route: &Route, mut records: Vec<Value>) -> Reply {
        if let Err(text) = lists::filter(&mut records, request, route.rules) {
            return Reply::json(400, &json!({"errors": text}));
        }
        let project = route.scope.project.map(|id| id.to_string());
        let page = lists::page_number(request);
        let scan = self.interference.strike_scan(System::Procore, route.table, project.as_deref(), page);
        let lacks_first = matches!((scan, page), (Some(Trouble::MidScanInsert), 1))
            || (scan == Some(Trouble::MidScanDelete) && page > 1);
        if lacks_first && !records.is_empty() {
            records.remove(0);
        }
        let page = lists::paginate(records, request, route.rules);
        let reply = Reply::json(200, &route.envelope(Value::Array(page.records)))
            .with("Total", page.total.to_string())
            .with("Per-Page", page.size.to_string());
        let links: Vec<String> = page
            .links
            .iter()
            .map(|(rel, number)| format!("<{}>; rel=\"{rel}\"", page_url(request, *number, page.size)))
            .collect();
        if links.is_empty() { reply } else { reply.with("Link", links.join(", ")) }
    }
}

/// The absolute address of another page of the same list.
fn page_url(request: &Request, page: usize, per_page: usize) -> String {
    let host = request.header("host").unwrap_or("localhost");
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let kept = request.query.iter().filter(|(key, _)| key != "page" && key != "per_page");
    query.extend_pairs(kept).append_pair("page", &page.to_string()).append_pair("per_page", &per_page.to_string());
    format!("http://{host}/{}?{}", request.segments.join("/"), query.finish())
}

/// Why the company header, or a company in path or query, shuts a caller out.
fn refuse_company(route: &Route, request: &Request, database: &ProcoreDatabase) -> Option<Reply> {
    if !route.needs_company {
        return None;
    }
    let own = database.company.id.to_string();
    let Some(header) = request.header("procore-company-id") else { return Some(not_found()) };
    let foreign = [Some(header), route.scope.company.as_deref()].into_iter().flatten().any(|company| company != own);
    foreign.then(forbidden)
}

/// The reply that a trouble puts in place of the right one.
fn troubled(trouble: Trouble) -> Option<Reply> {
    Some(match trouble {
        Trouble::Forbidden => forbidden(),
        Trouble::NotFound => not_found(),
        Trouble::TooManyRequests => too_many(),
        Trouble::Unavailable { retry_after_seconds } => {
            Reply::text(503, "Service Unavailable").with("Retry-After", retry_after_seconds.to_string())
        }
        Trouble::BadGateway => Reply::html(502, "502 Bad Gateway"),
        Trouble::Timeout => Reply::json(408, &json!({"errors": "Request Timeout"})),
        Trouble::Unauthorized => Reply::json(401, &json!({"errors": "The access token is invalid"})),
        Trouble::SilentEmpty
        | Trouble::Truncated
        | Trouble::Slow { .. }
        | Trouble::MidScanInsert
        | Trouble::MidScanDelete => return None,
    })
}

fn travel(reply: &mut Reply, trouble: Option<Trouble>) {
    reply.truncated = trouble == Some(Trouble::Truncated);
    reply.delay = trouble.map(Trouble::delay).unwrap_or_default();
}

fn with_rate(reply: Reply, rate: RateState) -> Reply {
    reply
        .with("X-Rate-Limit-Limit", rate.limit.to_string())
        .with("X-Rate-Limit-Remaining", rate.remaining.to_string())
        .with("X-Rate-Limit-Reset", rate.reset.to_string())
}

fn too_many() -> Reply {
    let text = "You have surpassed the max number of requests for an hour. Please wait until your limit resets.";
    Reply::text(429, text)
}

fn not_found() -> Reply {
    Reply::json(404, &json!({"message": "Item not found"}))
}

fn forbidden() -> Reply {
    Reply::json(403, &json!({"errors": ["App is not connected to this company."]}))
}

#[cfg(test)]
mod tests;
