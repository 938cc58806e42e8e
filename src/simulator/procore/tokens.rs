//! Procore's token endpoint: client credentials, answered as JSON or asked as a form.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::http::{Reply, Request};

/// How long an access token lives.
const TOKEN_SECONDS: i64 = 5_400;

/// The tokens given out and when each ends.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    given: u64,
    ends: HashMap<String, DateTime<Utc>>,
}

impl Tokens {
    /// Answers `POST /oauth/token`.
    pub(super) fn answer(&mut self, request: &Request, client: (&str, &str), now: DateTime<Utc>) -> Reply {
        let fields = request.fields();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        if field("grant_type") != "client_credentials" {
            let text = "The authorization grant type is not supported by the authorization server.";
            return Reply::json(400, &json!({"error": "unsupported_grant_type", "error_description": text}));
        }
        if (field("client_id"), field("client_secret")) != client {
            let text = "Client authentication failed due to unknown client, no client authentication included, or \
                        unsupported authentication method.";
            return Reply::json(401, &json!({"error": "invalid_client", "error_description": text}));
        }
        self.ends.retain(|_, ends| *ends > now);
        self.given += 1;
        let token = format!("simulated.{}.{}", self.given, uuid::Uuid::new_v4().simple());
        self.ends.insert(token.clone(), now + TimeDelta::seconds(TOKEN_SECONDS));
        let body = json!({
            "access_token": token, "token_type": "bearer", "expires_in": TOKEN_SECONDS, "created_at": now.timestamp(),
        });
        Reply::json(200, &body)
    }

    /// The reply to a request whose token is missing, unknown or past its end.
    pub(super) fn refuse(&self, request: &Request, now: DateTime<Utc>) -> Option<Reply> {
        let good = request.bearer().and_then(|token| self.ends.get(token)).is_some_and(|ends| *ends > now);
        (!good).then(|| Reply::json(401, &json!({"errors": "Unauthorized"})))
    }

    /// Forgets every token, as when the service account's secret is changed.
    pub(super) fn revoke(&mut self) {
        self.ends.clear();
    }
}
