//! What every answer carries, and refusals as pages.

use axum::body::Body;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Response, StatusCode};

use crate::server::databases::CONFIGURATION;
use crate::server::failure::{CANCELED, CORRUPT, DENIED, Failure, INVALID_VALUE, STORE};

/// Our own style and script from this address, forms to it, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Puts on an answer what all of them carry.
pub(super) fn guard(headers: &mut HeaderMap, is_secure: bool) {
    // Without a referrer a browser would not say either that a form is sent by a page of ours.
    let fixed = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// An answer of one kind.
pub(super) fn of(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// A page.
pub(super) fn html(status: StatusCode, text: String) -> Response<Body> {
    of(status, "text/html; charset=utf-8", text)
}

/// A line for programs.
pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    of(status, "text/plain; charset=utf-8", text.into())
}

/// Sends a browser elsewhere on this site.
pub(super) fn see(place: &str) -> Response<Body> {
    let mut answer = plain(StatusCode::SEE_OTHER, format!("see {place}\n"));
    // A place is percent-encoded; what could be no header leads to the front page.
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, place);
    answer
}

/// What may be tried again a little later.
pub(super) fn later(mut answer: Response<Body>) -> Response<Body> {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("3"));
    answer
}

/// Says which methods there are.
pub(super) fn allowing(mut answer: Response<Body>, methods: &'static str) -> Response<Body> {
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

/// The status of what a session says.
pub(super) fn status(failure: &Failure) -> StatusCode {
    match failure.code {
        DENIED => StatusCode::FORBIDDEN,
        INVALID_VALUE | "3D000" => StatusCode::BAD_REQUEST,
        CANCELED => StatusCode::GATEWAY_TIMEOUT,
        STORE | CORRUPT | CONFIGURATION | "53200" | "53300" | "55000" | "57P01" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
