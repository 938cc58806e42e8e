//! Trimble Identity's token endpoint: client credentials in a Basic header, the application's name as scope.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Settings, message};
use crate::http::{Reply, Request};

/// How long an access token lives.
const TOKEN_SECONDS: i64 = 3_600;

/// The tokens given out and when each ends.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    given: u64,
    ends: HashMap<String, DateTime<Utc>>,
}

impl Tokens {
    /// Answers `POST /oauth/token`. Credentials in the form are none.
    pub(super) fn answer(&mut self, request: &Request, settings: &Settings, now: DateTime<Utc>) -> Reply {
        let refuse =
            |status, error: &str, text: &str| Reply::json(status, &json!({"error": error, "error_description": text}));
        if request.method != axum::http::Method::POST {
            return Reply::empty(405);
        }
        let given = request.header("authorization").and_then(|header| header.strip_prefix("Basic "));
        let right = base64(format!("{}:{}", settings.client_id, settings.client_secret).as_bytes());
        if given.map(str::trim) != Some(right.as_str()) {
            return refuse(401, "invalid_client", "A valid OAuth client could not be found for client_id.");
        }
        let fields = request.fields();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        if field("grant_type") != "client_credentials" {
            return refuse(400, "unsupported_grant_type", "Unsupported grant_type value.");
        }
        if field("scope") != settings.scope {
            return refuse(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed.");
        }
        self.ends.retain(|_, ends| *ends > now);
        self.given += 1;
        let token = format!("simulated.{}.{}", self.given, uuid::Uuid::new_v4().simple());
        self.ends.insert(token.clone(), now + TimeDelta::seconds(TOKEN_SECONDS));
        let body = json!({"access_token": token, "token_type": "bearer", "expires_in": TOKEN_SECONDS});
        Reply::json(200, &body)
    }

    /// The reply to a request whose token is missing, unknown or past its end.
    pub(super) fn refuse(&self, request: &Request, now: DateTime<Utc>) -> Option<Reply> {
        let good = request.bearer().and_then(|token| self.ends.get(token)).is_some_and(|ends| *ends > now);
        (!good).then(|| message(401, "The access token is invalid or has expired."))
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let index = usize::try_from(group >> (18 - 6 * place) & 63).unwrap_or_default();
            let letter = LETTERS.get(index).copied().map_or('=', char::from);
            text.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_written_as_rfc_7617_has_them() {
        assert_eq!(base64(b"Aladdin:open sesame"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(base64(b"the-client:s3cr3t/+value"), "dGhlLWNsaWVudDpzM2NyM3QvK3ZhbHVl");
    }
}
