//! Acumatica's contract-based REST interface before the simulated firm's database.
//!
//! Owns: sessions and tokens, `$filter`/`$select`/`$expand`/`$custom`/`$top`/`$skip`, the wrapped shape, the error bodies.
//! Invariants: nothing expands unless asked, a field of the contract is always there though it may be `{}`, and keys order
//! every list. Of the inquiries it has the account summary. Leaves out: writing, actions, files and the `OData` feeds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::firm::model::AcumaticaDatabase;
use super::http::{Reply, Request};
use super::interference::{Interference, System, Trouble};
use crate::clock::SharedClock;

mod entities;
mod expression;
mod inquiry;
mod sessions;
mod shape;

use entities::Row;
use expression::Expression;
use sessions::Sessions;
use shape::{Plan, Wanted};

/// The contract versions, oldest first. Subcontracts came with the third.
const VERSIONS: [&str; 5] = ["20.200.001", "22.200.001", "23.200.001", "24.200.001", "25.200.001"];

/// What the interface is set up with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) tenant: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) max_sessions: usize,
    /// 429 or, as some builds do, 500.
    pub(super) login_limit_status: u16,
    pub(super) requests_per_minute: Option<usize>,
    /// (entity, field) pairs whose list cannot become one query; an empty field stands for the whole entity.
    pub(super) not_optimizable: Vec<(String, String)>,
}

/// The interface over a firm's state.
pub(super) struct Server<F> {
    settings: Settings,
    clock: SharedClock,
    interference: Arc<Interference>,
    firm: Arc<RwLock<F>>,
    callers: Mutex<Callers>,
}

#[derive(Default)]
struct Callers {
    sessions: Sessions,
    /// The requests of the trailing minute.
    recent: VecDeque<DateTime<Utc>>,
}

impl<F: AsRef<AcumaticaDatabase>> Server<F> {
    pub(super) fn new(
        settings: Settings,
        clock: SharedClock,
        interference: Arc<Interference>,
        firm: Arc<RwLock<F>>,
    ) -> Self {
        Self { settings, clock, interference, firm, callers: Mutex::default() }
    }

    /// Answers one request.
    pub(super) fn answer(&self, request: &Request) -> Reply {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let table = match segments.as_slice() {
            ["entity", "auth", "login"] => "auth/login",
            ["entity", "auth", "logout"] => return self.callers().sessions.logout(request),
            ["identity", "connect", "token"] => "connect/token",
            ["entity", "Default", _, entity, ..] => entity,
            _ => "",
        };
        let trouble = self.interference.strike(System::Acumatica, table, None);
        if let Some(reply) = trouble.and_then(troubled) {
            return reply;
        }
        let mut reply = self.admitted(request, &segments, trouble);
        reply.truncated = trouble == Some(Trouble::Truncated);
        reply.delay = trouble.map(Trouble::delay).unwrap_or_default();
        reply
    }

    /// How many sessions are open.
    pub(super) fn open_sessions(&self) -> usize {
        let now = self.clock.now();
        self.callers().sessions.seats(now)
    }

    /// Signs everybody out, as a restart of the server does.
    pub(super) fn end_sessions(&self) {
        self.callers().sessions.clear();
    }

    fn callers(&self) -> std::sync::MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admitted(&self, request: &Request, segments: &[&str], trouble: Option<Trouble>) -> Reply {
        let now = self.clock.now();
        let post = request.method == Method::POST;
        let mut callers = self.callers();
        match segments {
            ["entity", "auth", "login"] if post => return callers.sessions.login(request, &self.settings, now),
            ["identity", "connect", "token"] if post => return callers.sessions.token(request, &self.settings, now),
            _ => {}
        }
        if let Some(refusal) = callers.sessions.refuse(request, &self.settings, now) {
            return refusal;
        }
        if !callers.minute_allows(self.settings.requests_per_minute, now) {
            return declined();
        }
        drop(callers);
        if let ["entity", "Default", version, inquiry::ACCOUNT_SUMMARY] = segments
            && request.method == Method::PUT
        {
            let firm = self.firm.read().unwrap_or_else(PoisonError::into_inner);
            return inquiry::account_summary(firm.as_ref(), request, &wanted(request, version));
        }
        if request.method != Method::GET {
            return http_error(
                405,
                "System.NotSupportedException",
                "The requested resource does not support this method.",
            );
        }
        match segments {
            ["entity"] => Reply::json(200, &endpoints()),
            ["entity", "Default", version, entity, key @ ..] if VERSIONS.contains(version) => {
                if *entity == "Subcontract" && *version < "23.200.001" {
                    return no_entity(entity);
                }
                if *entity == inquiry::ACCOUNT_SUMMARY {
                    return inquiry::blank(&wanted(request, version));
                }
                let firm = self.firm.read().unwrap_or_else(PoisonError::into_inner);
                let Some(rows) = entities::rows(firm.as_ref(), entity) else { return no_entity(entity) };
                let address = format!("/entity/Default/{version}/{entity}");
                let rows = if trouble == Some(Trouble::SilentEmpty) { Vec::new() } else { rows };
                let wanted = wanted(request, version);
                if key.is_empty() {
                    self.list(request, entity, rows, &address, &wanted)
                } else {
                    one(&wanted, entity, &rows, key, &address)
                }
            }
            _ => Reply::html(404, "404 - File or directory not found."),
        }
    }

    fn list(&self, request: &Request, entity: &str, mut rows: Vec<Row<'_>>, address: &str, wanted: &Wanted) -> Reply {
        let filter = match request.query("$filter").filter(|text| !text.is_empty()).map(Expression::parse).transpose() {
            Ok(filter) => filter,
            Err(error) => return http_error(400, "PX.Api.ContractBased.FilterException", &format!("{error:#}")),
        };
        if let Some(refusal) = self.refuse_query(entity, wanted, filter.as_ref()) {
            return refusal;
        }
        let number = |name| request.query(name).map(str::parse::<usize>).transpose();
        let (Ok(top), Ok(skip)) = (number("$top"), number("$skip")) else {
            return http_error(400, "System.FormatException", "Input string was not in a correct format.");
        };
        let skip = skip.unwrap_or(0);
        let page = if skip == 0 { 1 } else { 2 };
        let scan = self.interference.strike_scan(System::Acumatica, entity, None, page);
        if !rows.is_empty()
            && matches!((scan, page), (Some(Trouble::MidScanInsert), 1) | (Some(Trouble::MidScanDelete), 2))
        {
            rows.remove(0);
        }
        let chosen = choose(&rows, filter.as_ref(), skip, top.unwrap_or(usize::MAX));
        let mut text = String::new();
        Plan::new(entity, wanted).write_list(&mut text, &chosen, Some(address));
        Reply::json_text(200, text)
    }

    /// Why a list cannot be asked for like this.
    fn refuse_query(&self, entity: &str, wanted: &Wanted, filter: Option<&Expression>) -> Option<Reply> {
        let unknown_filter = filter.and_then(|filter| {
            let known = |name: &&str| name.contains('.') || shape::field_type(entity, name).is_some();
            filter.fields().into_iter().find(|name| !known(name)).map(str::to_owned)
        });
        if let Some(name) = unknown_filter.or_else(|| wanted.unknown(entity).map(str::to_owned)) {
            let text = format!("The given key '{name}' was not present in the dictionary.");
            return Some(http_error(500, "System.Collections.Generic.KeyNotFoundException", &text));
        }
        let bound = self.settings.not_optimizable.iter().find(|(of, field)| {
            let shown = || wanted.select.is_empty() || wanted.select.contains(field);
            let scalar = shape::field_type(entity, field).is_some_and(shape::is_scalar);
            of == entity && (field.is_empty() || wanted.expand.contains(field) || (scalar && shown()))
        })?;
        let text = format!(
            "Optimization cannot be performed. The following fields cause the error: {}.{}: There is a \
                            BqlDelegate in view {}",
            bound.0, bound.1, bound.1
        );
        Some(http_error(500, "PX.Api.ContractBased.OptimizedExport.CannotOptimizeException", &text))
    }
}

impl Callers {
    fn minute_allows(&mut self, limit: Option<usize>, now: DateTime<Utc>) -> bool {
        let Some(limit) = limit else { return true };
        while self.recent.front().is_some_and(|at| now - *at >= TimeDelta::minutes(1)) {
            self.recent.pop_front();
        }
        let allowed = self.recent.len() < limit;
        if allowed {
            self.recent.push_back(now);
        }
        allowed
    }
}

/// The records that pass the filter, of which `top` after `skip`. Only a filter needs every record rendered.
fn choose(rows: &[Row<'_>], filter: Option<&Expression>, skip: usize, top: usize) -> Vec<Value> {
    match filter {
        None => rows.iter().skip(skip).take(top).map(Row::render).collect(),
        Some(filter) => rows
            .iter()
            .map(Row::render)
            .filter(|record| filter.holds(&|name| filtered_field(record, name)))
            .skip(skip)
            .take(top)
            .collect(),
    }
}

/// A field as a filter names it: of the contract by its path, outside it as `View.Field`.
fn filtered_field(record: &Value, name: &str) -> Value {
    if name.contains('.') {
        return record.get(entities::CUSTOM).and_then(|all| all.get(name)).cloned().unwrap_or_default();
    }
    shape::read(record, name)
}

/// One record, by its keys or its id.
fn one(wanted: &Wanted, entity: &str, rows: &[Row<'_>], key: &[&str], address: &str) -> Reply {
    if let Some(name) = wanted.unknown(entity) {
        let text = format!("The given key '{name}' was not present in the dictionary.");
        return http_error(500, "System.Collections.Generic.KeyNotFoundException", &text);
    }
    let joined = key.join("|");
    let by_id = || {
        let wanted = uuid::Uuid::parse_str(&joined).ok()?.to_string();
        rows.iter().map(Row::render).find(|record| record.get(entities::GUID).and_then(Value::as_str) == Some(&wanted))
    };
    let found = rows.iter().find(|row| row.key == joined).map(Row::render).or_else(by_id);
    match found {
        Some(record) => {
            let mut text = String::new();
            Plan::new(entity, wanted).write(&mut text, &record, 1, Some(address));
            Reply::json_text(200, text)
        }
        None => http_error(
            404,
            "PX.Api.ContractBased.NoEntitySatisfiesTheConditionException",
            "No entity satisfies the condition.",
        ),
    }
}

fn wanted(request: &Request, version: &str) -> Wanted {
    let list = |name| {
        let text = request.query(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let version = version.to_owned();
    Wanted { version, select: list("$select"), expand: list("$expand"), custom: list("$custom") }
}

fn endpoints() -> Value {
    let of =
        |version: &&str| json!({"name": "Default", "version": version, "href": format!("/entity/Default/{version}/")});
    let endpoints: Vec<Value> = VERSIONS.iter().map(of).collect();
    json!({
        "version": {"acumaticaBuildVersion": "24.215.0011", "databaseVersion": "24.215.0011"}, "endpoints": endpoints,
    })
}

/// The reply that a trouble puts in place of the right one.
fn troubled(trouble: Trouble) -> Option<Reply> {
    Some(match trouble {
        Trouble::Forbidden => http_error(403, "PX.Data.PXNotEnoughRightsException", "You have insufficient rights."),
        Trouble::NotFound => Reply::html(404, "404 - File or directory not found."),
        Trouble::TooManyRequests => declined(),
        Trouble::Unavailable { retry_after_seconds } => {
            Reply::text(503, "Service Unavailable").with("Retry-After", retry_after_seconds.to_string())
        }
        Trouble::BadGateway => Reply::html(502, "502 - Web server received an invalid response"),
        Trouble::Timeout => Reply::html(408, "408 - Request Timeout"),
        Trouble::Unauthorized => http_error(401, "PX.Data.PXNotLoggedInException", "You are not currently logged in."),
        Trouble::SilentEmpty
        | Trouble::Truncated
        | Trouble::Slow { .. }
        | Trouble::MidScanInsert
        | Trouble::MidScanDelete => return None,
    })
}

fn declined() -> Reply {
    http_error(429, "PX.Api.ApiRequestDeclinedException", "The number of API requests has exceeded the license limit.")
}

fn no_entity(entity: &str) -> Reply {
    http_error(404, "PX.Api.ContractBased.EntityNotFoundException", &format!("Entity {entity} was not found."))
}

/// The body of every error.
fn http_error(status: u16, kind: &str, text: &str) -> Reply {
    let body = json!({
        "message": "An error has occurred.", "exceptionMessage": text, "exceptionType": kind,
        "stackTrace": "   at PX.Api.ContractBased.Soap.SoapFacadeBase.GetList()",
    });
    Reply::json(status, &body)
}

#[cfg(test)]
pub(super) use tests::unknown_names;

#[cfg(test)]
mod tests;
