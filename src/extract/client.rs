//! One source's HTTP client: signs in, keeps the pace, tries again, and gives parsed JSON or a [`Failure`].
//!
//! Invariants: requests go to the source's base URL only and redirects are not followed, so a token reaches no other host;
//! a failed answer is a failure, never an empty list; no message holds a secret. All waiting is done by the run's clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tieout_json::Json;
use url::Url;

use super::SourceSettings;
use super::auth::Session;
use super::failure::{Error, Failure, FailureKind};
use super::manifest::Rest;
pub(crate) use super::meter::Meter;
use super::pace::{Pace, RateLimit, WAIT_MAX, backoff, server_date};
use super::paging::next_link;
use super::refusal::{LIMIT_HINT, Words};
use super::secrets::{Scrubber, Setting};
use super::template::{Piece, Unset, fill, plain};
use crate::clock::Clock;

/// After so many requests in a row that did not reach the source, the rest are tried only once each.
const UNREACHABLE_MAX: u32 = 3;
/// After so many requests in a row that waited for a limit until their tries were used up, the rest are not sent: nobody refills it.
const STARVED_MAX: u32 = 3;

/// A request to the source.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: Method,
    /// Path below the base URL, or an absolute URL for a token service; placeholders filled in and escaped.
    pub target: String,
    pub query: Vec<(String, String)>,
    pub body: Body,
    /// How often a refusal is heard before it is believed, where something smaller can be asked for instead; none tries as
    /// often as anything.
    pub refusals_max: Option<u32>,
}

/// A request's body.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    None,
    Empty,
    Json(Value),
    Form(Vec<(String, String)>),
}

impl Request {
    /// A `GET`.
    pub(crate) fn get(target: String, query: Vec<(String, String)>) -> Self {
        Self { method: Method::GET, target, query, body: Body::None, refusals_max: None }
    }
}

/// A good answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub body: Json,
    pub has_link: bool,
    pub next: Option<String>,
    pub headers: HeaderMap,
    pub received_at: DateTime<Utc>,
    /// Method and URL without secrets, for messages about the content.
    pub request: String,
}

/// A source's client.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    headers: HeaderMap,
    pub(super) words: Words,
    attempts: u32,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    pub(super) scrubber: Scrubber,
    pub(super) session: Session,
    unreachable: AtomicU32,
    starved: AtomicU32,
    /// Good answers to requests for records.
    pub(super) answers: AtomicU64,
    started_by_server: OnceLock<DateTime<Utc>>,
}

/// How one try ended otherwise than well.
pub(super) enum Trouble {
    /// Worth another try, after the wait that was asked for.
    Again { failure: Failure, wait: Option<Duration>, is_rate_limit: bool, at: DateTime<Utc> },
    /// The token was refused.
    Unauthorized(Failure),
    /// Final.
    Final(Failure),
}

impl Client {
    /// A client for `source`, which told `limits` before; nothing is sent yet.
    pub(crate) fn new(source: &SourceSettings, clock: &Clock, limits: &[RateLimit]) -> Result<Self, Error> {
        install_crypto();
        let rest = &source.manifest.rest;
        let settings_error =
            |problem: String, hint: &str| Error::Settings { name: source.name.clone(), problem, hint: hint.to_owned() };
        let base = base_url(source, rest).map_err(|problem| settings_error(problem, "set base_url of the source"))?;
        let session = Session::new(source)?;
        let mut headers = HeaderMap::new();
        for (name, template) in &rest.headers {
            if let Ok(text) = fill_settings(template, &source.values) {
                let pair = (HeaderName::try_from(name), HeaderValue::try_from(text));
                let (Ok(name), Ok(mut value)) = pair else {
                    return Err(settings_error(
                        format!("header {name} cannot be sent"),
                        "check the settings it is made of",
                    ));
                };
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        Ok(Self {
            http: http(&base).map_err(|e| {
                settings_error(format!("build the HTTP client: {e}"), "check the machine's root certificates")
            })?,
            base,
            headers,
            words: Words::new(rest),
            attempts: rest.retry.attempts.max(1),
            clock: clock.clone(),
            pace: Pace::new(&rest.rate, source.quota, limits),
            scrubber: Scrubber::new(&source.values),
            session,
            unreachable: AtomicU32::new(0),
            starved: AtomicU32::new(0),
            answers: AtomicU64::new(0),
            started_by_server: OnceLock::new(),
        })
    }

    /// The first moment that the source's clock told in this run.
    pub(crate) fn started_by_server(&self) -> Option<DateTime<Utc>> {
        self.started_by_server.get().copied()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Asks for records: signed in, with one new sign-in if the token is refused.
    pub(crate) async fn fetch(&self, request: &Request, meter: &Meter) -> Result<Answer, Failure> {
        let mut generation = self.session.ensure(self, meter).await?;
        let mut is_second_token = false;
        loop {
            match self.with_retries(request, true, meter).await {
                Ok(answer) => {
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(Trouble::Unauthorized(_)) if !is_second_token && self.session.can_renew() => {
                    is_second_token = true;
                    generation = self.session.renew(self, generation, meter).await?;
                }
                Err(Trouble::Unauthorized(failure)) if is_second_token => return Err(self.words.second_token(failure)),
                Err(Trouble::Unauthorized(failure) | Trouble::Final(failure) | Trouble::Again { failure, .. }) => {
                    return Err(failure);
                }
            }
        }
    }

    /// Whether a refusal would be the same again.
    pub(crate) fn is_final(&self, failure: &Failure) -> bool {
        self.words.are_final(&failure.what)
    }

    /// Sends a request of the sign-in itself.
    pub(crate) async fn sign(&self, request: &Request, meter: &Meter) -> Result<Answer, Failure> {
        self.with_retries(request, false, meter).await.map_err(|trouble| match trouble {
            Trouble::Again { failure, .. } | Trouble::Unauthorized(failure) | Trouble::Final(failure) => failure,
        })
    }

    /// Sends a request at once, whatever the pace, and once only: a sign-out must not queue behind what it ends.
    pub(crate) async fn send_now(&self, request: &Request) -> Result<(), Failure> {
        let url = self.url(request)?;
        let shown = self.scrubber.scrub(&format!("{} {url}", request.method));
        match self.send(request, url, false).await {
            Ok((status, ..)) if status.is_success() => Ok(()),
            Ok((status, _, body)) => Err(Failure {
                kind: if status == StatusCode::UNAUTHORIZED { FailureKind::Denied } else { FailureKind::Other },
                request: shown,
                what: format!("{status}: {}", self.scrubber.excerpt(&body)),
                hint: None,
                field: None,
            }),
            Err(error) => Err(match self.not_sent(&error, &shown) {
                Trouble::Again { failure, .. } | Trouble::Unauthorized(failure) | Trouble::Final(failure) => failure,
            }),
        }
    }

    /// Tries until it works, is final, or the tries are used up. Waits that a rate limit asks for have a budget of their
    /// own: a quota shared with other applications may be spent again before we come back.
    async fn with_retries(&self, request: &Request, is_signed: bool, meter: &Meter) -> Result<Answer, Trouble> {
        let (mut attempt, mut limited) = (1, 0);
        if is_signed && self.is_starved() {
            return Err(Trouble::Final(self.starving(request)));
        }
        loop {
            let trouble = match self.once(request, is_signed, meter).await {
                Ok(answer) => {
                    self.unreachable.store(0, Ordering::Relaxed);
                    if is_signed {
                        self.starved.store(0, Ordering::Relaxed);
                    }
                    return Ok(answer);
                }
                Err(trouble) => trouble,
            };
            let Trouble::Again { failure, wait, is_rate_limit, at } = trouble else { return Err(trouble) };
            if failure.kind == FailureKind::Refused && request.refusals_max.is_some_and(|max| attempt >= max) {
                return Err(Trouble::Final(failure));
            }
            let is_worth_it =
                failure.kind != FailureKind::Unreachable || self.unreachable.load(Ordering::Relaxed) < UNREACHABLE_MAX;
            let is_left = if is_rate_limit && wait.is_some() {
                limited += 1;
                limited < self.attempts * 4 && !self.is_starved()
            } else {
                attempt += 1;
                attempt <= self.attempts
            };
            if !is_left || !is_worth_it {
                if failure.kind == FailureKind::Unreachable {
                    self.unreachable.fetch_add(1, Ordering::Relaxed);
                }
                if is_rate_limit {
                    self.starved.fetch_add(1, Ordering::Relaxed);
                }
                let what = format!(
                    "{} (tried {} times)",
                    failure.what,
                    attempt - u32::from(!is_rate_limit && !is_left) + limited
                );
                return Err(Trouble::Final(Failure { what, ..failure }));
            }
            meter.retries.fetch_add(1, Ordering::Relaxed);
            let wait = wait.unwrap_or_else(|| backoff(attempt - 1));
            if wait > WAIT_MAX {
                let what = format!("{}; it asks to wait {} s", failure.what, wait.as_secs());
                return Err(Trouble::Final(Failure { what, ..failure }));
            }
            if is_rate_limit {
                // All requests share the quota: all wait, from when the answer came.
                self.pace.close(at + TimeDelta::from_std(wait).unwrap_or_default()).await;
            } else {
                meter.waited(wait);
                self.clock.sleep(wait).await;
            }
        }
    }

    /// Whether the source's limit was waited for in vain, again and again.
    fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed) >= STARVED_MAX
    }

    fn starving(&self, request: &Request) -> Failure {
        Failure {
            kind: FailureKind::Other,
            request: self.scrubber.scrub(&format!("{} {}", request.method, request.target)),
            what: format!(
                "not asked: the rate limit stayed used up, however long {STARVED_MAX} requests before waited for it"
            ),
            hint: Some(LIMIT_HINT.to_owned()),
            field: None,
        }
    }

    async fn once(&self, request: &Request, is_signed: bool, meter: &Meter) -> Result<Answer, Trouble> {
        let url = self.url(request).map_err(Trouble::Final)?;
        let shown = self.scrubber.scrub(&format!("{} {url}", request.method));
        meter.waited(self.pace.enter(is_signed, &self.clock).await);
        meter.requests.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let sent = self.send(request, url.clone(), is_signed).await;
        meter.took(began.elapsed());
        self.pace.leave(sent.as_ref().ok().map(|(_, headers, _)| headers), is_signed, &self.clock).await;
        let (status, headers, body) = sent.map_err(|error| self.not_sent(&error, &shown))?;
        meter.bytes.fetch_add(u64::try_from(body.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(date) = server_date(&headers) {
            self.started_by_server.get_or_init(|| date);
        }
        if !status.is_success() {
            return Err(self.refused(status, &headers, &body, shown));
        }
        let failure = |what: String, hint: &str| Failure {
            kind: FailureKind::Other,
            request: shown.clone(),
            what,
            hint: Some(hint.to_owned()),
            field: None,
        };
        // A sign-in by cookies answers without a body.
        let parsed = Json::read(if body.is_empty() && !is_signed { b"null" } else { body.as_ref() });
        let body = parsed.map_err(|error| {
            if is_html(&headers, &body) {
                let excerpt = self.scrubber.excerpt(&body);
                return Trouble::Final(failure(
                    format!("{status}, but the answer is a web page: {excerpt}"),
                    "check base_url and path; a proxy or a sign-in page may stand in between",
                ));
            }
            // No excerpt: a cut-off list may hold what redaction would have removed.
            let what = format!("{status}, but the answer is no valid JSON ({} bytes): {error}", body.len());
            let failure = failure(what, "the connection may have been cut; try again later");
            self.again(failure)
        })?;
        if self.words.error_in(&body).is_some() {
            return Err(self.refused(status, &headers, body.root().raw().as_bytes(), shown));
        }
        let link = headers.get(LINK).and_then(|value| value.to_str().ok());
        Ok(Answer {
            body,
            has_link: link.is_some(),
            next: link.and_then(|link| next_link(link, &url)),
            headers,
            received_at: self.clock.now(),
            request: shown,
        })
    }

    async fn send(
        &self,
        request: &Request,
        url: Url,
        is_signed: bool,
    ) -> Result<(StatusCode, HeaderMap, bytes::Bytes), reqwest::Error> {
        let mut builder = self.http.request(request.method.clone(), url);
        builder = if is_signed {
            self.session.signed(builder.headers(self.headers.clone())).await
        } else {
            self.session.signing(builder)
        };
        builder = match &request.body {
            Body::None => builder,
            Body::Empty => builder.body("").header("content-length", "0"),
            Body::Json(value) => builder.json(value),
            Body::Form(fields) => builder.form(fields),
        };
        let response = builder.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok((status, headers, response.bytes().await?))
    }

    fn url(&self, request: &Request) -> Result<Url, Failure> {
        let text = if request.target.starts_with('/') {
            format!("{}{}", self.base.as_str().trim_end_matches('/'), request.target)
        } else {
            request.target.clone()
        };
        let mut url = Url::parse(&text).map_err(|error| Failure {
            kind: FailureKind::Other,
            request: format!("{} {}", request.method, self.scrubber.scrub(&text)),
            what: format!("this is no URL: {error}"),
            hint: None,
            field: None,
        })?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }

    /// The request for a `next` link: its path and query on our own host.
    pub(crate) fn follow(&self, first: &Request, link: &str) -> Request {
        let prefix = self.base.path().trim_end_matches('/');
        // The link's path includes the base URL's own path, where there is one.
        let target = link.strip_prefix(prefix).filter(|rest| rest.starts_with('/')).unwrap_or(link);
        Request { target: target.to_owned(), query: Vec::new(), ..first.clone() }
    }

    fn again(&self, failure: Failure) -> Trouble {
        Trouble::Again { failure, wait: None, is_rate_limit: false, at: self.clock.now() }
    }

    fn not_sent(&self, error: &reqwest::Error, shown: &str) -> Trouble {
        let mut reasons = vec![error.to_string()];
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            reasons.push(inner.to_string());
            source = inner.source();
        }
        let why = reasons.pop().unwrap_or_default();
        let (kind, what) = match error {
            error if error.is_timeout() => (FailureKind::Unreachable, "no answer in time".to_owned()),
            error if error.is_connect() => (FailureKind::Unreachable, format!("cannot connect: {why}")),
            _ => (FailureKind::Other, format!("the answer broke off: {why}")),
        };
        let hint =
            (kind == FailureKind::Unreachable).then(|| "check base_url, the network and the proxy settings".to_owned());
        let failure = Failure { kind, request: shown.to_owned(), what: self.scrubber.scrub(&what), hint, field: None };
        self.again(failure)
    }
}

/// Fills in settings only.
pub(crate) fn fill_settings(template: &str, values: &BTreeMap<String, Setting>) -> Result<String, Unset> {
    let value = |piece: &Piece<'_>| match piece {
        Piece::Setting(name) => values.get(*name).map(|setting| setting.expose().to_owned()).filter(|v| !v.is_empty()),
        _ => None,
    };
    fill(template, &value, plain)
}

fn base_url(source: &SourceSettings, rest: &Rest) -> Result<Url, String> {
    let template = source.base_url.as_deref().or(rest.base_url.as_deref()).ok_or("base_url is not set")?;
    let text = fill_settings(template, &source.values).map_err(|unset| format!("base_url: {unset:?} is not set"))?;
    let url = Url::parse(&text).map_err(|error| format!("base_url is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("base_url must be http://… or https://…".into());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("base_url must hold neither a password nor a query".into());
    }
    Ok(url)
}

fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let is_declared =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|kind| kind.contains("html"));
    is_declared || body.trim_ascii_start().starts_with(b"<")
}

fn http(base: &Url) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("tieout/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(15))
        .read_timeout(Duration::from_mins(2))
        .timeout(Duration::from_mins(10))
        .gzip(true)
        .cookie_store(true)
        .redirect(reqwest::redirect::Policy::none());
    let is_local = base.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    if !is_local {
        return builder.build();
    }
    // A proxy cannot reach this machine's own ports. Without TLS no root certificates are needed, which a bare machine
    // may not even have.
    let builder = builder.no_proxy();
    if base.scheme() == "http" { builder.tls_certs_only([]).build() } else { builder.build() }
}

/// The TLS back end, chosen in code: the same ring for every part of the program.
pub(crate) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody else may have installed it already: then it is there, which is all that is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
