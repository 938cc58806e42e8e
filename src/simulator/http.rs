//! The HTTP/1.1 ground under both simulated systems: one request in, one reply out, on a free port of 127.0.0.1.
//!
//! Owns: parsing of paths and queries, the `Date` header in the firm's virtual time, and the transport faults that a reply
//! may carry (delay, a body cut short). Invariant: an answer is computed synchronously from the request and the firm's
//! state, so two equal requests at one virtual moment see one state. Leaves out: what is answered.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use axum::routing::any;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;

/// What answers requests.
pub(super) type Answer = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path segments, percent-decoded, without empty ones.
    pub(super) segments: Vec<String>,
    /// Query parameters in their order, decoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A record with one more field. `json!` would copy the value, line by line.
pub(super) fn with(mut record: Value, name: &str, value: Value) -> Value {
    if let Value::Object(fields) = &mut record {
        fields.insert(name.to_owned(), value);
    }
    record
}

/// A reply and how it travels.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    /// Real time that passes before the reply.
    pub(super) delay: Duration,
    /// The body stops in the middle: an intact HTTP message holding broken JSON.
    pub(super) truncated: bool,
}

impl Request {
    fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Self {
        let segments = uri.path().split('/').filter(|part| !part.is_empty()).map(percent_decode).collect();
        let query = uri.query().unwrap_or_default();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { method, segments, query, headers, body }
    }

    /// The first value of a query parameter.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header's value, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The token of `Authorization: Bearer …`.
    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// A cookie's value.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        self.headers
            .get_all("cookie")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The fields of a body that is a JSON object or a form.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        if let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(&self.body) {
            let text = |value: Value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            return object.into_iter().map(|(key, value)| (key, text(value))).collect();
        }
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

impl Reply {
    /// A JSON reply.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", tieout_json::text(body))
    }

    /// A JSON reply whose text is written already.
    pub(super) fn json_text(status: u16, body: String) -> Self {
        Self::new(status, "application/json; charset=utf-8", body)
    }

    /// A plain-text reply.
    pub(super) fn text(status: u16, body: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body.to_owned())
    }

    /// A page for people, as wrong paths and gateways answer.
    pub(super) fn html(status: u16, title: &str) -> Self {
        let body = format!("<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>");
        Self::new(status, "text/html; charset=utf-8", body)
    }

    /// A reply without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), delay: Duration::ZERO, truncated: false }
    }

    /// The reply with one more header.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn new(status: u16, content_type: &str, body: String) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { status, headers, body, delay: Duration::ZERO, truncated: false }
    }

    fn into_response(self, date: &str) -> Response<Body> {
        let cut = if self.truncated {
            (0..=self.body.len() / 2).rev().find(|&at| self.body.is_char_boundary(at))
        } else {
            None
        };
        let mut body = self.body;
        if let Some(cut) = cut {
            body.truncate(cut);
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let all = self.headers.into_iter().chain([("date".to_owned(), date.to_owned())]);
        for (name, value) in all {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// Binds `address` (port 0: any free one) and answers there until `shutdown`.
pub(super) async fn serve(
    address: SocketAddr,
    answer: Answer,
    clock: SharedClock,
    shutdown: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
    let bound = listener.local_addr().context("read the address listened on")?;
    let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let (answer, clock) = (Arc::clone(&answer), clock.clone());
        async move {
            let request = Request::new(method, &uri, headers, body);
            let reply = answer(&request);
            if !reply.delay.is_zero() {
                tokio::time::sleep(reply.delay).await;
            }
            reply.into_response(&clock.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string())
        }
    };
    let app = Router::new().fallback(any(handler));
    tokio::spawn(async move {
        let served = axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%bound, %error, "simulated system stopped");
        }
    });
    Ok(bound)
}

/// Any free port of this machine, reachable from this machine only.
pub(super) fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn percent_decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let pair = [ahead.next(), ahead.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
        match (byte, pair) {
            (b'%', [Some(high), Some(low)]) => {
                decoded.extend(u8::try_from(high * 16 + low));
                bytes = ahead;
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_decoded() {
        let uri = "/entity/Default/24.200.001/Bill/Credit%20Adj./0001?%24top=2&a[]=1&a[]=2".parse().unwrap();
        let request = Request::new(Method::GET, &uri, HeaderMap::new(), Bytes::new());
        assert_eq!(request.segments.last().unwrap(), "0001");
        assert_eq!(request.segments[4], "Credit Adj.");
        assert_eq!(request.query("$top"), Some("2"));
        assert_eq!(request.query.len(), 3);
        assert_eq!(percent_decode("100%"), "100%");
    }

    #[test]
    fn bodies_are_json_or_forms() {
        let uri: Uri = "/oauth/token".parse().unwrap();
        let of = |body: &'static str| {
            Request::new(Method::POST, &uri, HeaderMap::new(), Bytes::from_static(body.as_bytes()))
        };
        let expected = vec![("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x y".to_owned())];
        assert_eq!(of(r#"{"a":1,"b":"x y"}"#).fields(), expected);
        assert_eq!(of("a=1&b=x+y").fields(), expected);
    }
}
