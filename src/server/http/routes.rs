//! Which address is answered by what, and the rules that hold for all of them.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::get;

use super::answers::{self, allowing, html, later, plain, see};
use super::asking::Asking;
use super::door::{self, Door};
use super::{Peer, Site, health, metrics};

use crate::server::failure::{CANCELED, Failure};
use crate::server::login::WRONG_PASSWORD;
use crate::server::page::{self, Wish};
use crate::server::tls;

/// A form that logs in is no longer.
const BODY_BYTES_MAX: usize = 8 << 10;
/// How long a request waits for others to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a browser says of where a request comes from.
const FETCH_SITE: &str = "sec-fetch-site";

type Answer = Response<Body>;

/// All addresses.
pub(super) fn router(site: &Arc<Site>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { plain(StatusCode::OK, "alive\n") }).fallback(only_get))
        .route("/readyz", get(readiness).fallback(only_get))
        .route("/metrics", get(measured).fallback(only_get))
        .route("/style.css", get(|| async { answers::of(StatusCode::OK, "text/css; charset=utf-8", page::STYLE) }))
        .route(
            "/script.js",
            get(|| async { answers::of(StatusCode::OK, "text/javascript; charset=utf-8", page::SCRIPT) }),
        )
        .route("/log-in", get(ask_in).post(log_in).fallback(only_post))
        .route("/log-out", axum::routing::post(log_out).fallback(only_post))
        .fallback(view)
        .method_not_allowed_fallback(only_get)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(site), guarded))
        .with_state(Arc::clone(site))
}

/// The rules that hold for every request.
async fn guarded(State(site): State<Arc<Site>>, request: Request, next: Next) -> Answer {
    let is_secure = site.is_secure();
    let mut answer = if let Some(refused) = refused(&request, is_secure) {
        refused
    } else {
        let answered = tokio::time::timeout(site.options.request_timeout, next.run(request)).await;
        answered.unwrap_or_else(|_| {
            let failure = Failure::new(CANCELED, "the page took too long")
                .hint("choose fewer rows or another moment; [[roles]] statement_timeout_seconds bounds a query");
            html(StatusCode::GATEWAY_TIMEOUT, page::refusal(&site.options, None, 504, &failure))
        })
    };
    answers::guard(answer.headers_mut(), is_secure);
    answer
}

/// Requests that no browser of ours sends.
fn refused(request: &Request, is_secure: bool) -> Option<Answer> {
    // A foreign page whose name was made to mean this machine would speak to us under that name.
    if !is_secure && !request.headers().get(HOST).is_none_or(is_this_machine) {
        let text =
            "this server answers to localhost and 127.0.0.1 alone\nhint: set [server.tls] to be reached by a name\n";
        return Some(plain(StatusCode::MISDIRECTED_REQUEST, text));
    }
    if request.method() == Method::POST && !is_own(request.headers()) {
        return Some(plain(StatusCode::FORBIDDEN, "forms are taken from this site's own pages alone\n"));
    }
    None
}

/// Whether a `Host` names this machine.
fn is_this_machine(host: &HeaderValue) -> bool {
    let Ok(url) = url::Url::parse(&format!("http://{}/", host.to_str().unwrap_or("?"))) else { return false };
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => tls::is_local(IpAddr::V4(address)),
        Some(url::Host::Ipv6(address)) => tls::is_local(IpAddr::V6(address)),
        None => false,
    }
}

/// Whether a form was sent by a page of ours, as far as the browser says.
fn is_own(headers: &HeaderMap) -> bool {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let from = of(ORIGIN.as_str()).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    let is_same = match (headers.get(ORIGIN), from, of(HOST.as_str())) {
        (None, _, _) => true,
        (Some(_), Some(from), Some(host)) => from.eq_ignore_ascii_case(host),
        _ => false,
    };
    is_same && of(FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"))
}

fn only_get() -> Ready<Answer> {
    let text = "this page changes nothing: GET and HEAD are answered\n";
    ready(allowing(plain(StatusCode::METHOD_NOT_ALLOWED, text), "GET, HEAD"))
}

fn only_post() -> Ready<Answer> {
    let text = "a form is sent here by POST\n";
    ready(allowing(plain(StatusCode::METHOD_NOT_ALLOWED, text), "GET, HEAD, POST"))
}

async fn readiness(State(site): State<Arc<Site>>, Extension(Peer(peer)): Extension<Peer>) -> Answer {
    Box::pin(health::ready(&site, peer.ip())).await
}

async fn measured(State(site): State<Arc<Site>>, Extension(Peer(peer)): Extension<Peer>, headers: HeaderMap) -> Answer {
    Box::pin(metrics::answer(&site, &headers, peer.ip())).await
}

/// The form that asks for name and password.
#[expect(clippy::needless_pass_by_value, reason = "a handler is given what it takes")]
fn ask_in(State(site): State<Arc<Site>>, uri: Uri) -> Ready<Answer> {
    let wish = Wish::read(uri.path(), uri.query().unwrap_or_default());
    ready(html(StatusCode::OK, page::log_in(&site.options, place(wish.get("next")), "", None)))
}

async fn log_in(
    State(site): State<Arc<Site>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let is_form = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !is_form.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the form is sent as application/x-www-form-urlencoded\n");
    }
    let fields: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let (name, next) = (field("name"), place(field("next")));
    let Ok(_permit) = site.porch.try_acquire() else {
        let failure = Failure::new("53300", "too many people log in at once").hint("try again in a few seconds");
        let text = page::log_in(&site.options, next, name, Some(&failure));
        return later(html(StatusCode::SERVICE_UNAVAILABLE, text));
    };
    let opened = async {
        site.shared.audit.ready()?;
        let who = Door::prove(&site.shared, name, field("password"), peer.ip()).await?;
        let before = door::token(&headers, site.is_secure());
        if let Some(before) = before {
            site.door.leave(&before, &site.shared.audit);
        }
        site.door.admit(who, &site.shared.audit)
    };
    match Box::pin(opened).await {
        Ok(token) => with_cookie(see(next), Some(&token), &site),
        Err(failure) => {
            let status =
                if failure.code == WRONG_PASSWORD { StatusCode::UNAUTHORIZED } else { answers::status(&failure) };
            html(status, page::log_in(&site.options, next, name, Some(&failure)))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a handler is given what it takes")]
fn log_out(State(site): State<Arc<Site>>, headers: HeaderMap) -> Ready<Answer> {
    if let Some(token) = door::token(&headers, site.is_secure()) {
        site.door.leave(&token, &site.shared.audit);
    }
    ready(with_cookie(see("/log-in"), None, &site))
}

fn with_cookie(mut answer: Answer, token: Option<&str>, site: &Site) -> Answer {
    // A token is hexadecimal.
    if let Ok(cookie) = HeaderValue::from_str(&door::cookie(token, site.is_secure())) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

/// Where somebody wanted to go, if it is on this site.
fn place(next: &str) -> &str {
    let is_here = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if is_here && next.is_ascii() { next } else { "/" }
}

/// Everything that is shown to somebody who is logged in.
async fn view(State(site): State<Arc<Site>>, method: Method, uri: Uri, headers: HeaderMap) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return only_get().await;
    }
    let token = door::token(&headers, site.is_secure());
    let who = token.and_then(|token| site.door.guest(&token, &site.shared.audit, Instant::now()));
    let Some(who) = who else {
        // A browser that follows a link from elsewhere keeps the cookie back; the same address asked from here brings it.
        let is_foreign = headers.get(FETCH_SITE).is_some_and(|site| site == "cross-site");
        let here = place(uri.path_and_query().map_or("/", |path| path.as_str()));
        if is_foreign {
            return html(StatusCode::OK, page::again(&site.options, here));
        }
        return see(&page::link("/log-in", &[("next", here)]));
    };
    let wish = Wish::read(uri.path(), uri.query().unwrap_or_default());
    let frame = Some((&*who, &wish));
    let Ok(Ok(_permit)) = tokio::time::timeout(PATIENCE, site.room.acquire()).await else {
        let failure = Failure::new("53300", "too many requests are being answered").hint("try again in a few seconds");
        return later(html(StatusCode::SERVICE_UNAVAILABLE, page::refusal(&site.options, frame, 503, &failure)));
    };
    let shown = async {
        let as_of = Some(wish.get("as_of").to_owned()).filter(|text| !text.is_empty());
        let mut asking = Box::pin(Asking::open(&site.shared, &who, as_of, false, site.gone.clone())).await?;
        page::view(&mut asking, &site.options, &who, &wish).await
    };
    match Box::pin(shown).await {
        Ok(Some(text)) => html(StatusCode::OK, text),
        Ok(None) => html(StatusCode::NOT_FOUND, page::nothing(&site.options, frame)),
        Err(failure) => {
            let status = answers::status(&failure);
            if status.is_server_error() {
                tracing::warn!(role = %who.role, path = uri.path(), code = failure.code, "a page failed: {}", failure.message);
            }
            let text = page::refusal(&site.options, frame, status.as_u16(), &failure);
            let answer = html(status, text);
            if status == StatusCode::SERVICE_UNAVAILABLE { later(answer) } else { answer }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_places_on_this_site_are_gone_to() {
        for (next, expected) in [
            ("/exceptions?check=O1", "/exceptions?check=O1"),
            ("", "/"),
            ("//evil.test/x", "/"),
            ("/\\evil.test", "/"),
            ("https://evil.test", "/"),
            ("/a\r\nSet-Cookie: x=y", "/"),
        ] {
            assert_eq!(place(next), expected, "{next}");
        }
    }

    #[test]
    fn without_tls_only_this_machines_names_are_answered_to() {
        for (host, expected) in [
            ("127.0.0.1:5480", true),
            ("localhost:5480", true),
            ("LOCALHOST", true),
            ("[::1]:5480", true),
            ("evil.test:5480", false),
            ("127.0.0.1.evil.test", false),
            ("localhost@evil.test", false),
            ("192.0.2.1", false),
            ("", false),
        ] {
            assert_eq!(is_this_machine(&HeaderValue::from_static(host)), expected, "{host}");
        }
    }

    #[test]
    fn forms_of_others_are_not_taken() {
        for (pairs, expected) in [
            (&[("host", "a:1")][..], true),
            (&[("host", "a:1"), ("origin", "http://a:1")], true),
            (&[("host", "a:1"), ("origin", "http://b:1")], false),
            (&[("host", "a:1"), ("origin", "null")], false),
            (&[("host", "a:1"), ("sec-fetch-site", "cross-site")], false),
            (&[("host", "a:1"), ("sec-fetch-site", "same-origin"), ("origin", "https://a:1")], true),
        ] {
            assert_eq!(is_own(&headers(pairs)), expected, "{pairs:?}");
        }
    }
}
