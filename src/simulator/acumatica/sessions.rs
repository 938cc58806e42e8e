//! Acumatica's sessions: cookies and tokens, and how many the licence allows.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Settings, http_error};
use crate::http::{Reply, Request};

/// The cookie that names a session.
const COOKIE: &str = "ASP.NET_SessionId";
/// How long a session lives without a request.
const IDLE_MINUTES: i64 = 20;
/// How long a token, and the session that it opened, lives.
const TOKEN_SECONDS: i64 = 3_600;

/// Who is signed in.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// When each cookie session was last used.
    cookies: HashMap<String, DateTime<Utc>>,
    tokens: HashMap<String, Token>,
}

#[derive(Debug)]
struct Token {
    ends: DateTime<Utc>,
    /// A token takes a seat with its first request, not when it is issued.
    seated: bool,
}

impl Sessions {
    /// Answers `POST /entity/auth/login`.
    pub(super) fn login(&mut self, request: &Request, settings: &Settings, now: DateTime<Utc>) -> Reply {
        let fields = request.fields();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let tenant = field("tenant").or(field("company")).filter(|tenant| !tenant.is_empty());
        if tenant.is_some_and(|tenant| tenant != settings.tenant) {
            return http_error(500, "PX.Data.PXUndefinedCompanyException", "Unable to determine proper company ID.");
        }
        if (field("name"), field("password")) != (Some(&settings.username), Some(&settings.password)) {
            return http_error(401, "PX.Data.PXException", "Invalid credentials. Please try again.");
        }
        if self.seats(now) >= settings.max_sessions {
            return login_limit(settings);
        }
        let session = uuid::Uuid::new_v4().simple().to_string();
        let cookies = [
            format!("{COOKIE}={session}; path=/; HttpOnly; SameSite=Lax"),
            "UserBranch=16; path=/".to_owned(),
            "Locale=Culture=en-US&TimeZone=GMTE0000U; path=/".to_owned(),
            format!("CompanyID={}; path=/", settings.tenant),
        ];
        self.cookies.insert(session, now);
        cookies.into_iter().fold(Reply::empty(204), |reply, cookie| reply.with("set-cookie", cookie))
    }

    /// Answers `POST /entity/auth/logout`, which is never declined.
    pub(super) fn logout(&mut self, request: &Request) -> Reply {
        if let Some(session) = request.cookie(COOKIE) {
            self.cookies.remove(session);
        }
        Reply::empty(204)
    }

    /// Answers `POST /identity/connect/token`.
    pub(super) fn token(&mut self, request: &Request, settings: &Settings, now: DateTime<Utc>) -> Reply {
        let fields = request.fields();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        if (field("client_id"), field("client_secret")) != (&settings.client_id, &settings.client_secret) {
            return Reply::json(401, &json!({"error": "invalid_client"}));
        }
        if field("grant_type") != "password" {
            return Reply::json(400, &json!({"error": "unsupported_grant_type"}));
        }
        if !field("scope").split(' ').any(|scope| scope == "api") {
            return Reply::json(400, &json!({"error": "invalid_scope"}));
        }
        if (field("username"), field("password")) != (&settings.username, &settings.password) {
            let text = "invalid_username_or_password";
            return Reply::json(400, &json!({"error": "invalid_grant", "error_description": text}));
        }
        let token = uuid::Uuid::new_v4().simple().to_string();
        self.tokens.insert(token.clone(), Token { ends: now + TimeDelta::seconds(TOKEN_SECONDS), seated: false });
        let body = json!({
            "access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer", "scope": field("scope"),
        });
        Reply::json(200, &body)
    }

    /// The reply to a request that is not signed in, or whose token finds no seat.
    pub(super) fn refuse(&mut self, request: &Request, settings: &Settings, now: DateTime<Utc>) -> Option<Reply> {
        let seats = self.seats(now);
        if let Some(used) = request.cookie(COOKIE).and_then(|session| self.cookies.get_mut(session)) {
            *used = now;
            return None;
        }
        if let Some(token) = request.bearer().and_then(|token| self.tokens.get_mut(token)) {
            if !token.seated && seats >= settings.max_sessions {
                return Some(login_limit(settings));
            }
            token.seated = true;
            return None;
        }
        Some(http_error(401, "PX.Data.PXNotLoggedInException", "You are not currently logged in."))
    }

    /// Signs everybody out.
    pub(super) fn clear(&mut self) {
        self.cookies.clear();
        self.tokens.clear();
    }

    /// How many sessions are open at `now`, once the ended ones are closed.
    pub(super) fn seats(&mut self, now: DateTime<Utc>) -> usize {
        self.cookies.retain(|_, used| now - *used < TimeDelta::minutes(IDLE_MINUTES));
        self.tokens.retain(|_, token| token.ends > now);
        self.cookies.len() + self.tokens.values().filter(|token| token.seated).count()
    }
}

fn login_limit(settings: &Settings) -> Reply {
    http_error(settings.login_limit_status, "PX.Data.PXException", "API Login Limit")
}
