//! Trimble ProjectSight's REST interface before the simulated firm's database: the same project-management records as
//! Procore's, as a firm has them that runs ProjectSight instead.
//!
//! Owns: tokens, the request window, pages, the error bodies, integer ids that each kind of record counts for itself.
//! Invariants: a reply never changes the firm; a list read to its last page without interference is exactly the
//! database's; a record keeps its id. Demo projects and templates are Procore's alone. Leaves out: writing, the light
//! `/list` variants, reports, user-defined fields, and whatever the fact sheet names no fields of.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::firm::model::{AcumaticaDatabase, ProcoreDatabase};
use super::http::{Reply, Request};
use super::interference::{Interference, System, Trouble};
use crate::clock::SharedClock;

mod ids;
mod render;
mod routes;
mod states;
mod tokens;

pub use ids::{ProjectSightIds, ProjectSightKind};
pub use states::WorkflowStates;

use render::Look;
pub(crate) use render::billing::paid_on;
pub(crate) use render::portfolio_guid;
use routes::{Found, Route};
use tokens::Tokens;

/// Where the interface lies below the address.
pub(super) const FOLDER: &str = "/projectsight/v1";

/// How the simulated ProjectSight is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectSightOptions {
    /// Requests in a minute; `None` for no limit. Beyond it: 429 with `Retry-After`.
    pub requests_per_minute: Option<u32>,
    /// The most records on a page, whatever `limit` asks for.
    pub page_max: usize,
    /// What the firm calls the states of its workflows.
    pub states: WorkflowStates,
}

impl Default for ProjectSightOptions {
    fn default() -> Self {
        Self { requests_per_minute: Some(300), page_max: 50, states: WorkflowStates::default() }
    }
}

/// What the interface is set up with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    /// The application's name, which is the scope of its tokens.
    pub(super) scope: String,
    pub(super) options: ProjectSightOptions,
}

/// The interface over a firm's state.
pub(super) struct Server<F> {
    settings: Settings,
    clock: SharedClock,
    interference: Arc<Interference>,
    firm: Arc<RwLock<F>>,
    ids: ProjectSightIds,
    callers: Mutex<Callers>,
}

#[derive(Default)]
struct Callers {
    tokens: Tokens,
    window: Window,
}

/// The requests of the minute that began with the first of them.
#[derive(Default)]
struct Window {
    ends: DateTime<Utc>,
    used: u32,
}

impl Window {
    /// Counts a request; else the seconds until it may be made.
    fn count(&mut self, limit: Option<u32>, now: DateTime<Utc>) -> Result<(), i64> {
        if now >= self.ends {
            *self = Self { ends: now + TimeDelta::minutes(1), used: 0 };
        }
        if limit.is_some_and(|limit| self.used >= limit) {
            return Err((self.ends - now).num_seconds().max(1));
        }
        self.used += 1;
        Ok(())
    }
}

impl<F: AsRef<ProcoreDatabase> + AsRef<AcumaticaDatabase>> Server<F> {
    pub(super) fn new(
        settings: Settings,
        clock: SharedClock,
        interference: Arc<Interference>,
        firm: Arc<RwLock<F>>,
        ids: ProjectSightIds,
    ) -> Self {
        Self { settings, clock, interference, firm, ids, callers: Mutex::default() }
    }

    /// Answers one request.
    pub(super) fn answer(&self, request: &Request) -> Reply {
        let now = self.clock.now();
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let path = match segments.as_slice() {
            ["oauth", "token"] => return self.token(request, now),
            ["projectsight", "v1", path @ ..] => path,
            _ => return Reply::html(404, "404 - File or directory not found."),
        };
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = callers.tokens.refuse(request, now) {
            return refusal;
        }
        if let Err(seconds) = callers.window.count(self.settings.options.requests_per_minute, now) {
            return too_many(seconds);
        }
        drop(callers);
        self.admitted(request, path)
    }

    fn token(&self, request: &Request, now: DateTime<Utc>) -> Reply {
        let trouble = self.interference.strike(System::ProjectSight, "oauth/token", None);
        if let Some(reply) = trouble.and_then(troubled) {
            return reply;
        }
        let mut reply =
            self.callers.lock().unwrap_or_else(PoisonError::into_inner).tokens.answer(request, &self.settings, now);
        travel(&mut reply, trouble);
        reply
    }

    fn admitted(&self, request: &Request, path: &[&str]) -> Reply {
        if request.method != axum::http::Method::GET {
            return message(405, "The requested resource does not support this method.");
        }
        let Some(route) = Route::of(path) else {
            return message(404, "No HTTP resource was found that matches the request URI.");
        };
        let trouble = self.interference.strike(System::ProjectSight, route.table, route.project.as_deref());
        if let Some(reply) = trouble.and_then(troubled) {
            return reply;
        }
        let firm = self.firm.read().unwrap_or_else(PoisonError::into_inner);
        let look = Look::new((*firm).as_ref(), (*firm).as_ref(), &self.ids, &self.settings.options.states);
        let found = route.fetch(&look);
        drop(firm);
        let mut reply = match found {
            Found::Missing => message(404, "The record was not found."),
            Found::One(value) => Reply::json(200, &value),
            Found::Whole(records) => Reply::json(200, &Value::Array(records)),
            Found::Records(_) if trouble == Some(Trouble::SilentEmpty) => Reply::json(200, &json!([])),
            Found::Records(records) => self.page(request, &route, records),
        };
        travel(&mut reply, trouble);
        reply
    }

    /// The records from `offset` on, at most `limit` and never more than the server gives: a bare array.
    fn page(&self, request: &Request, route: &Route, mut records: Vec<Value>) -> Reply {
        let max = self.settings.options.page_max;
        let number = |name: &str, usual: usize| match request.query(name).map(str::parse::<usize>) {
            None => Ok(usual),
            Some(Ok(number)) => Ok(number),
            Some(Err(_)) => Err(message(400, &format!("The value is not valid for {name}."))),
        };
        let (offset, limit) = match (number("offset", 0), number("limit", max)) {
            (Ok(offset), Ok(limit)) => (offset, limit.min(max)),
            (Err(refusal), _) | (_, Err(refusal)) => return refusal,
        };
        let place = if offset == 0 { 1 } else { 2 };
        let scan = self.interference.strike_scan(System::ProjectSight, route.table, route.project.as_deref(), place);
        let lacks_first = matches!((scan, place), (Some(Trouble::MidScanInsert), 1))
            || matches!((scan, place), (Some(Trouble::MidScanDelete), 2));
        if lacks_first && !records.is_empty() {
            records.remove(0);
        }
        let page: Vec<Value> = records.into_iter().skip(offset).take(limit).collect();
        Reply::json(200, &Value::Array(page))
    }
}

/// The reply that a trouble puts in place of the right one.
fn troubled(trouble: Trouble) -> Option<Reply> {
    Some(match trouble {
        Trouble::Forbidden => message(403, "You are not authorized to perform this operation."),
        Trouble::NotFound => message(404, "The record was not found."),
        Trouble::TooManyRequests => too_many(1),
        Trouble::Unavailable { retry_after_seconds } => {
            Reply::text(503, "Service Unavailable").with("Retry-After", retry_after_seconds.to_string())
        }
        Trouble::BadGateway => Reply::html(502, "502 Bad Gateway"),
        Trouble::Timeout => message(408, "Request Timeout"),
        Trouble::Unauthorized => message(401, "The access token is invalid or has expired."),
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

fn too_many(seconds: i64) -> Reply {
    message(429, "API calls quota exceeded.").with("Retry-After", seconds.to_string())
}

fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({"Message": text}))
}

#[cfg(test)]
mod tests;
