//! Sage Intacct's REST interface before the simulated firm's accounting records.
//!
//! Owns: tokens (one at a time for the user), the query service with its paging limits and error bodies, the lists and
//! single records of objects, the audit history of deletions, throttling. Invariants: a list has no order unless asked for,
//! what belongs to one entity only is hidden unless asked for, a field that an object does not have is an error, and amounts
//! are strings. What the firm keeps in another system's shape is shown as Intacct has it: an order as a purchasing document,
//! a change order as a change document or a project change order, a budget as an estimate. Leaves out: the XML gateway,
//! writing, workflows, reports.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::firm::model::AcumaticaDatabase;
use super::http::{Reply, Request};
use super::interference::{Interference, System, Trouble};
use crate::clock::SharedClock;

mod audit;
mod filter;
mod objects;
mod query;
mod tokens;

use audit::Deletions;
pub use objects::record_number;
use query::Query;
use tokens::Tokens;

/// Path segments before those of an interface.
const PREFIX: [&str; 3] = ["ia", "api", "v1"];
/// Keys that one `GET` of records may name.
const KEYS_MAX: usize = 500;
/// Records that a `GET` list shows.
const LIST_MAX: usize = 100;
/// The seconds that a throttled caller is asked to wait.
const RETRY_AFTER: u32 = 30;

/// What the interface is set up with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    /// `user@company`; `user@company|entity` names the same user.
    pub(super) username: String,
    pub(super) options: IntacctOptions,
}

/// What a company's subscription allows, and how its interface words what the fact sheet leaves open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntacctOptions {
    /// Requests in a trailing minute; `None` for no limit.
    pub requests_per_minute: Option<usize>,
    /// Objects that the user may not read: `company-config/audit-history` needs a right of its own.
    pub forbidden: Vec<String>,
    /// (object, field) pairs that a query refuses though the object has the field.
    pub refused: Vec<(String, String)>,
    /// Whether related fields come as objects inside objects; else their names are the keys.
    pub is_nested: bool,
    /// Whether an error stands at the top of a body; else inside its result.
    pub has_plain_errors: bool,
    /// The most records of a page, if fewer than usual.
    pub page_max: Option<usize>,
}

/// The interface over a firm's state.
pub(super) struct Server<F> {
    settings: Settings,
    clock: SharedClock,
    interference: Arc<Interference>,
    firm: Arc<RwLock<F>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: Tokens,
    /// The requests of the trailing minute.
    recent: VecDeque<DateTime<Utc>>,
    deletions: Deletions,
    /// Calls that were answered: what the subscription counts.
    transactions: u64,
}

impl<F: AsRef<AcumaticaDatabase>> Server<F> {
    pub(super) fn new(
        settings: Settings,
        clock: SharedClock,
        interference: Arc<Interference>,
        firm: Arc<RwLock<F>>,
    ) -> Self {
        Self { settings, clock, interference, firm, state: Mutex::default() }
    }

    /// Answers one request.
    pub(super) fn answer(&self, request: &Request) -> Reply {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let Some(segments) = segments.strip_prefix(&PREFIX) else { return Reply::html(404, "404 Not Found") };
        let query = match segments {
            ["services", "core", "query"] => Some(Query::read(&request.body)),
            _ => None,
        };
        let table = match (segments, &query) {
            (["oauth2", "token"], _) => "oauth2/token".to_owned(),
            (["objects", application, object, ..], _) => format!("{application}/{object}"),
            (_, Some(Ok(query))) => query.object.clone(),
            _ => String::new(),
        };
        let trouble = self.interference.strike(System::Intacct, &table, None);
        if let Some(reply) = trouble.and_then(|trouble| self.troubled(trouble)) {
            return reply;
        }
        let mut reply = self.admitted(request, segments, query, trouble);
        reply.truncated = trouble == Some(Trouble::Truncated);
        reply.delay = trouble.map(Trouble::delay).unwrap_or_default();
        reply
    }

    /// How many calls were answered: a subscription counts them by the month.
    pub(super) fn transactions(&self) -> u64 {
        self.state().transactions
    }

    /// Makes the token invalid, as a new authorisation of the same user does.
    pub(super) fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admitted(
        &self,
        request: &Request,
        segments: &[&str],
        query: Option<Result<Query, String>>,
        trouble: Option<Trouble>,
    ) -> Reply {
        let now = self.clock.now();
        let mut state = self.state();
        if let ["oauth2", "token"] = segments {
            return state.tokens.give(request, &self.settings, now);
        }
        if !state.tokens.knows(request, now) {
            return invalid_token();
        }
        if !state.minute_allows(self.settings.options.requests_per_minute, now) {
            return throttled();
        }
        state.transactions += 1;
        drop(state);
        match (segments, query) {
            (["services", "core", "query"], Some(query)) if request.method == Method::POST => match query {
                Ok(query) => self.queried(&query, trouble),
                Err(text) => self.error(400, "invalidRequest", "REST-1028", &text, &json!({})),
            },
            (["objects", application, object], _) if request.method == Method::GET => {
                self.listed(&format!("{application}/{object}"), None)
            }
            (["objects", application, object, keys], _) if request.method == Method::GET => {
                self.listed(&format!("{application}/{object}"), Some(keys))
            }
            (["services" | "objects", ..], _) => {
                self.error(405, "methodNotAllowed", "REST-1010", "The method is not allowed", &json!({}))
            }
            _ => Reply::html(404, "404 Not Found"),
        }
    }

    /// Does something with the records of an object; `None` if there is no such object.
    fn with_rows<T>(&self, object: &str, act: impl FnOnce(Vec<objects::Row<'_>>) -> T) -> Option<T> {
        let firm = self.firm.read().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        let rows = if object == audit::OBJECT {
            // What is gone was there at the last look at its object.
            for object in audit::WATCHED {
                let rows = objects::rows(firm.as_ref(), object)?;
                state.deletions.look(object, &rows, self.clock.now());
            }
            let history = state.deletions.history();
            return Some(act(history));
        } else {
            objects::rows(firm.as_ref(), object)?
        };
        if audit::WATCHED.contains(&object) {
            state.deletions.look(object, &rows, self.clock.now());
        }
        drop(state);
        Some(act(rows))
    }

    fn queried(&self, query: &Query, trouble: Option<Trouble>) -> Reply {
        let object = query.object.as_str();
        if self.is_forbidden(object) {
            return self.forbidden(object);
        }
        let refused = |field: &str| {
            self.settings.options.refused.iter().any(|(of, name)| of == object && name == field)
                || !objects::has_field(object, field)
        };
        if let Some(field) = query.fields.iter().find(|field| refused(field)) {
            return self.unknown_field(object, field);
        }
        let named = query.order.iter().map(|(field, _)| field.as_str()).chain(query.filters.fields());
        if let Some(field) = named.clone().find(|field| *field == "href" || !objects::has_field(object, field)) {
            return self.unknown_field(object, field);
        }
        let page_max = self.settings.options.page_max.unwrap_or(query::SIZE_MAX);
        if query.size > query::SIZE_MAX || query.size == 0 || query.start == 0 {
            let text = format!("size must lie between 1 and {} and start at 1 or more", query::SIZE_MAX);
            return self.error(400, "invalidRequest", "REST-1028", &text, &json!({}));
        }
        let page = if query.start == 1 { 1 } else { 2 };
        let scan = self.interference.strike_scan(System::Intacct, object, None, page);
        let answer = self.with_rows(object, |mut rows| {
            if trouble == Some(Trouble::SilentEmpty) {
                rows.clear();
            }
            let hides_first =
                matches!((scan, page), (Some(Trouble::MidScanInsert), 1) | (Some(Trouble::MidScanDelete), 2));
            query.answer(&rows, page_max, hides_first, self.settings.options.is_nested)
        });
        match answer {
            Some(body) => Reply::json(200, &body),
            None => self.no_object(object),
        }
    }

    /// A list of keys, or the records that are named.
    fn listed(&self, object: &str, keys: Option<&str>) -> Reply {
        if self.is_forbidden(object) {
            return self.forbidden(object);
        }
        let wanted: Option<Vec<&str>> = keys.map(|keys| keys.split(',').collect());
        if wanted.as_ref().is_some_and(|wanted| wanted.len() > KEYS_MAX) {
            return self.error(400, "invalidRequest", "REST-1028", "too many keys", &json!({}));
        }
        let found = self.with_rows(object, |rows| {
            let is_wanted =
                |row: &&objects::Row<'_>| wanted.as_ref().is_none_or(|keys| keys.contains(&row.key.as_str()));
            let shown = |row: &objects::Row<'_>| {
                if wanted.is_some() {
                    return objects::nested(&row.render());
                }
                let mut record = json!({"key": row.key, "href": format!("/objects/{object}/{}", row.key)});
                if let (Some(id), Value::Object(fields)) = (row.render().remove("id"), &mut record) {
                    fields.insert("id".to_owned(), id);
                }
                record
            };
            let all: Vec<_> = rows.iter().filter(is_wanted).collect();
            let records: Vec<Value> = all.iter().take(LIST_MAX.max(KEYS_MAX)).map(|row| shown(row)).collect();
            (records, all.len())
        });
        let Some((mut records, total)) = found else { return self.no_object(object) };
        if keys.is_none() {
            records.truncate(LIST_MAX);
        }
        if let (Some([_]), true) = (wanted.as_deref(), records.is_empty()) {
            return self.error(404, "notFound", "REST-1005", "The record does not exist", &json!({}));
        }
        let meta = json!({"totalCount": total, "totalSuccess": records.len(), "totalError": 0});
        let is_one = wanted.is_some_and(|wanted| wanted.len() == 1);
        let result = if is_one { records.swap_remove(0) } else { Value::Array(records) };
        Reply::json(200, &json!({"ia::result": result, "ia::meta": meta}))
    }

    fn is_forbidden(&self, object: &str) -> bool {
        self.settings.options.forbidden.iter().any(|other| other == object)
    }

    fn forbidden(&self, object: &str) -> Reply {
        let text = format!("You do not have permission for API operation READ_BY_QUERY on objects of type {object}");
        self.error(403, "forbidden", "PL04000005", &text, &json!({"OBJECT": object}))
    }

    fn no_object(&self, object: &str) -> Reply {
        let text = format!("There is no object {object} in version 1");
        self.error(404, "notFound", "REST-1003", &text, &json!({"OBJECT": object}))
    }

    fn unknown_field(&self, object: &str, field: &str) -> Reply {
        let text = format!("The {field} field in {object} object cannot be used in query in version 1");
        let placeholders = json!({"FIELD": field, "OBJECT": object, "VERSION": "1"});
        self.error(400, "invalidRequest", "REST-1106", &text, &placeholders)
    }

    /// An error as the interface words it: inside the result, or at the top as its documentation shows.
    fn error(&self, status: u16, code: &str, id: &str, text: &str, placeholders: &Value) -> Reply {
        let error = json!({
            "code": code, "message": text, "errorId": id, "supportId": "BTxVyWEB031%7EZ2XxdP1F0Pk%7E",
            "additionalInfo": {
                "messageId": if id == "REST-1106" { "IA.THE_FIELD_IN_OBJECT_CANNOT_BE_USED_IN_QUERY" } else { "IA.ERROR" },
                "placeholders": placeholders, "propertySet": {},
            },
        });
        let body = if self.settings.options.has_plain_errors {
            json!({"ia::error": error})
        } else {
            json!({
                "ia::result": {"ia::error": error},
                "ia::meta": {"totalCount": 1, "totalSuccess": 0, "totalError": 1},
            })
        };
        Reply::json(status, &body)
    }

    /// The reply that a trouble puts in place of the right one.
    fn troubled(&self, trouble: Trouble) -> Option<Reply> {
        Some(match trouble {
            Trouble::Forbidden => self.forbidden("this object"),
            Trouble::NotFound => self.no_object("this object"),
            Trouble::TooManyRequests => throttled(),
            Trouble::Unavailable { retry_after_seconds } => {
                Reply::text(503, "Service Unavailable").with("Retry-After", retry_after_seconds.to_string())
            }
            Trouble::BadGateway => Reply::html(502, "502 Bad Gateway"),
            Trouble::Timeout => Reply::html(408, "408 Request Timeout"),
            Trouble::Unauthorized => invalid_token(),
            Trouble::SilentEmpty
            | Trouble::Truncated
            | Trouble::Slow { .. }
            | Trouble::MidScanInsert
            | Trouble::MidScanDelete => return None,
        })
    }
}

impl State {
    fn minute_allows(&mut self, limit: Option<usize>, now: DateTime<Utc>) -> bool {
        let Some(limit) = limit else { return true };
        while self.recent.front().is_some_and(|at| now - *at >= TimeDelta::minutes(1)) {
            self.recent.pop_front();
        }
        let is_allowed = self.recent.len() < limit;
        if is_allowed {
            self.recent.push_back(now);
        }
        is_allowed
    }
}

/// A token that is not the user's newest, or has run out. Errors of signing in are not inside a result.
fn invalid_token() -> Reply {
    let body = json!({"error": {
        "code": "tokenInvalid", "message": "Token is not valid", "errorId": "REST-2102", "supportId": "none",
        "additionalInfo": {"messageId": "IA.TOKEN_IS_NOT_VALID", "placeholders": {}, "propertySet": {}},
    }});
    Reply::json(401, &body)
}

/// The gateway's own answer to too many requests.
fn throttled() -> Reply {
    let body = json!({"code": "GW-0010", "message": "API rate limit exceeded"});
    Reply::json(429, &body)
        .with("X-IA-Throttle-Limit-Remaining", "0")
        .with("X-IA-Throttle-Limit-RetryAfter", RETRY_AFTER.to_string())
}

#[cfg(test)]
mod tests;
