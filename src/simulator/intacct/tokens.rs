//! Tokens of the one user: a new one makes the one before it invalid.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::Settings;
use crate::http::{Reply, Request};

/// How long a token lives.
pub(super) const TOKEN_SECONDS: i64 = 43_200;

/// Who is signed in.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    current: Option<(String, DateTime<Utc>)>,
    refresh: Option<String>,
}

impl Tokens {
    /// Answers `POST /oauth2/token`.
    pub(super) fn give(&mut self, request: &Request, settings: &Settings, now: DateTime<Utc>) -> Reply {
        let fields = request.fields();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let refused = |text: &str| Reply::json(400, &json!({"error": text}));
        if (field("client_id"), field("client_secret")) != (&settings.client_id, &settings.client_secret) {
            return Reply::json(401, &json!({"error": "invalid_client"}));
        }
        let is_user = field("username").split('|').next() == Some(&settings.username);
        let is_good = match field("grant_type") {
            "client_credentials" => is_user,
            "refresh_token" => self.refresh.as_deref() == Some(field("refresh_token")),
            _ => return refused("unsupported_grant_type"),
        };
        if !is_good {
            return refused("invalid_grant");
        }
        let (token, refresh) = (fresh(), fresh());
        self.current = Some((token.clone(), now + TimeDelta::seconds(TOKEN_SECONDS)));
        self.refresh = Some(refresh.clone());
        let body = json!({
            "token_type": "Bearer", "access_token": token, "refresh_token": refresh, "expires_in": TOKEN_SECONDS,
        });
        Reply::json(200, &body)
    }

    /// Whether a request holds the token that counts.
    pub(super) fn knows(&self, request: &Request, now: DateTime<Utc>) -> bool {
        self.current.as_ref().is_some_and(|(token, ends)| request.bearer() == Some(token) && *ends > now)
    }

    /// Makes every token invalid.
    pub(super) fn clear(&mut self) {
        (self.current, self.refresh) = (None, None);
    }
}

fn fresh() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
