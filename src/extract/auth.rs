//! Signing in: tokens and cookie sessions.
//!
//! One sign-in at a time; requests that saw an old token wait for the one that renews it. A token is renewed a minute
//! before it expires. Secrets are in no error and no `Debug`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value};
use tieout_json::Node;
use tokio::sync::Mutex;

use super::client::{Body, Client, Meter, Request, fill_settings};
use super::failure::{Error, Failure, FailureKind};
use super::manifest::Auth;
use super::secrets::Secret;
use super::{SourceSettings, TOKEN_URL};

/// How long a sign-out may hold up the end of a run.
const SIGN_OUT_MAX: Duration = Duration::from_secs(15);

/// A source's session.
#[derive(Debug)]
pub(crate) struct Session {
    login: Login,
    logout: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    is_open: bool,
    /// Whether an answer said that it is open; else it only may be.
    is_proven: bool,
    /// Why signing in was refused: said again instead of asking again, for wrong passwords lock accounts.
    refusal: Option<Failure>,
    token: Option<Secret>,
    expires_at: Option<DateTime<Utc>>,
}

/// What is sent to sign in, settings filled in.
enum Login {
    /// Nothing: the interface is open.
    None,
    /// A user and a password with each request.
    Basic(Credentials),
    /// A form that gives a token.
    Token { url: String, form: Vec<(String, String)>, header: Option<Credentials> },
    /// A document that gives cookies.
    Cookies { path: String, body: Map<String, Value> },
}

/// A name and its secret, as a header has them.
struct Credentials {
    name: Secret,
    secret: Secret,
}

impl Credentials {
    fn put(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(self.name.expose(), Some(self.secret.expose()))
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}

impl Login {
    fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic(_) => "basic",
            Self::Token { .. } => "token",
            Self::Cookies { .. } => "cookies",
        }
    }

    fn request(&self) -> Option<Request> {
        Some(match self {
            Self::None | Self::Basic(_) => return None,
            Self::Token { url, form, .. } => Request {
                method: Method::POST,
                target: url.clone(),
                query: Vec::new(),
                body: Body::Form(form.clone()),
                refusals_max: None,
            },
            Self::Cookies { path, body } => Request {
                method: Method::POST,
                target: path.clone(),
                query: Vec::new(),
                body: Body::Json(Value::Object(body.clone())),
                refusals_max: None,
            },
        })
    }
}

impl Session {
    /// The session by the first way to sign in whose settings are all there.
    pub(crate) fn new(source: &SourceSettings) -> Result<Self, Error> {
        let ways = &source.manifest.rest.auth;
        let is_set = |text: &&str| fill_settings(text, &source.values).is_ok();
        let way = ways.iter().find(|way| match way {
            // Fields of the body may be unset: they are left out. But not all of them.
            Auth::CookieSession { body, .. } => body.values().map(String::as_str).filter(is_set).count() > 1,
            token => token.templates().iter().all(is_set),
        });
        if way.is_none() && !ways.is_empty() {
            return Err(Error::Settings {
                name: source.name.clone(),
                problem: "no way to sign in has all its settings".into(),
                hint: format!("set the credentials of {}; see the manifest's [rest] auth", source.manifest.system.name),
            });
        }
        let get = |text: &String| fill_settings(text, &source.values).unwrap_or_default();
        let pairs = |fields: &[(&str, &String)]| -> Vec<(String, String)> {
            fields.iter().map(|(name, text)| ((*name).to_owned(), get(text))).collect()
        };
        let credentials = |name: &String, secret: &String| Credentials {
            name: Secret::new(get(name)),
            secret: Secret::new(get(secret)),
        };
        let token_url = |text: &String| match source.values.get(TOKEN_URL) {
            Some(url) => url.expose().to_owned(),
            None => get(text),
        };
        let (login, logout) = match way {
            None => (Login::None, None),
            Some(Auth::Basic { username, password }) => (Login::Basic(credentials(username, password)), None),
            Some(Auth::Oauth2ClientCredentials {
                token_url: url,
                client_id,
                client_secret,
                scope,
                username,
                in_header,
            }) => {
                let mut form = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
                let header = in_header.then(|| credentials(client_id, client_secret));
                if header.is_none() {
                    form.extend(pairs(&[("client_id", client_id), ("client_secret", client_secret)]));
                }
                form.extend(scope.iter().map(|scope| ("scope".to_owned(), get(scope))));
                form.extend(username.iter().map(|username| ("username".to_owned(), get(username))));
                (Login::Token { url: token_url(url), form, header }, None)
            }
            Some(Auth::Oauth2Password { token_url: url, client_id, client_secret, username, password, scope }) => {
                let mut form = vec![("grant_type".to_owned(), "password".to_owned())];
                form.extend(pairs(&[("client_id", client_id), ("client_secret", client_secret)]));
                form.extend(pairs(&[("username", username), ("password", password)]));
                form.extend(scope.iter().map(|scope| ("scope".to_owned(), get(scope))));
                (Login::Token { url: token_url(url), form, header: None }, None)
            }
            Some(Auth::CookieSession { login_path, logout_path, body }) => {
                let filled = body.iter().filter_map(|(name, text)| {
                    fill_settings(text, &source.values).ok().map(|text| (name.clone(), Value::String(text)))
                });
                (Login::Cookies { path: get(login_path), body: filled.collect() }, Some(get(logout_path)))
            }
        };
        Ok(Self { login, logout, state: Mutex::new(State::default()) })
    }

    /// Signs in unless that is done and still good; gives the session's generation.
    pub(crate) async fn ensure(&self, client: &Client, meter: &Meter) -> Result<u64, Failure> {
        let mut state = self.state.lock().await;
        let is_expired = state.expires_at.is_some_and(|at| at <= client.clock().now());
        if !state.is_open || is_expired {
            self.sign_in(&mut state, client, meter).await?;
        }
        Ok(state.generation)
    }

    /// Signs in again after `refused`'s token was refused, unless somebody else has meanwhile.
    pub(crate) async fn renew(&self, client: &Client, refused: u64, meter: &Meter) -> Result<u64, Failure> {
        let mut state = self.state.lock().await;
        if state.generation == refused {
            self.sign_in(&mut state, client, meter).await?;
        }
        Ok(state.generation)
    }

    /// Whether another sign-in could help.
    pub(crate) fn can_renew(&self) -> bool {
        !matches!(self.login, Login::None | Login::Basic(_))
    }

    /// A request for records with what proves who asks.
    pub(crate) async fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        if let Login::Basic(credentials) = &self.login {
            return credentials.put(request);
        }
        match &self.state.lock().await.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    /// A request that signs in or out, with the header that it may need.
    pub(crate) fn signing(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.login {
            Login::Token { header: Some(credentials), .. } => credentials.put(request),
            _ => request,
        }
    }

    async fn sign_in(&self, state: &mut State, client: &Client, meter: &Meter) -> Result<(), Failure> {
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        if let Some(request) = self.login.request() {
            // The refused session may still hold a seat, of which there may be no other.
            self.close(state, client, meter).await;
            // Set before the answer: a sign-in that was cut off may have opened a session, which must be closed.
            (state.is_open, state.is_proven) = (self.logout.is_some(), false);
            let answer = match client.sign(&request, meter).await {
                Ok(answer) => answer,
                Err(failure) => {
                    // Only an answer proves that nothing was opened.
                    state.is_open = state.is_open && failure.kind == FailureKind::Other;
                    let failure = denied(failure, self.login.kind());
                    state.refusal = (failure.kind == FailureKind::Denied).then(|| failure.clone());
                    return Err(failure);
                }
            };
            if matches!(self.login, Login::Token { .. }) {
                let Some(token) = answer.body.root().get("access_token").and_then(Node::as_text) else {
                    return Err(Failure {
                        kind: FailureKind::Denied,
                        request: answer.request,
                        what: "the answer holds no access_token".into(),
                        hint: Some("check token_url or login_url".into()),
                        field: None,
                    });
                };
                client.scrubber.add(&token);
                state.token = Some(Secret::new(token));
                let seconds =
                    answer.body.root().get("expires_in").and_then(|value| value.letters().parse::<i64>().ok());
                // A minute early, so that no request leaves with a token that dies on the way.
                state.expires_at = seconds.map(|seconds| {
                    client.clock().now() + TimeDelta::seconds((seconds - 60).max(seconds / 2).clamp(1, 86_400 * 365))
                });
            }
        }
        (state.is_open, state.is_proven) = (true, true);
        state.generation += 1;
        Ok(())
    }

    /// Ends a cookie session. Tokens just expire. What it answers does not matter to the run.
    pub(crate) async fn sign_out(&self, client: &Client, meter: &Meter) {
        let mut state = self.state.lock().await;
        self.close(&mut state, client, meter).await;
    }

    async fn close(&self, state: &mut State, client: &Client, meter: &Meter) {
        let is_open = std::mem::take(&mut state.is_open);
        let Some(path) = self.logout.as_ref().filter(|_| is_open) else { return };
        let request = Request {
            method: Method::POST,
            target: path.clone(),
            query: Vec::new(),
            body: Body::Empty,
            refusals_max: None,
        };
        meter.requests.fetch_add(1, Ordering::Relaxed);
        let sent = tokio::time::timeout(SIGN_OUT_MAX, client.send_now(&request)).await;
        let Ok(Err(failure)) = sent else { return };
        if failure.kind == FailureKind::Denied || !state.is_proven {
            tracing::debug!(%failure, "sign out of a session that is not there any more, or never was");
        } else {
            tracing::warn!(%failure, "sign out; the session stays open until the source ends it");
        }
    }
}

fn denied(failure: Failure, kind: &str) -> Failure {
    if failure.kind == FailureKind::NotFound {
        let hint = Some("check base_url: the address of the interface, with its folder if it has one".into());
        return Failure { what: format!("sign in: {}", failure.what), hint, ..failure };
    }
    if failure.kind == FailureKind::Unreachable {
        let at_login = || "check login_url of the source, the network and the proxy settings".to_owned();
        return if kind == "token" { Failure { hint: Some(at_login()), ..failure } } else { failure };
    }
    if !matches!(failure.kind, FailureKind::Denied | FailureKind::Refused) {
        return Failure { what: format!("sign in: {}", failure.what), ..failure };
    }
    let credentials = match kind {
        "token" => "check client_id, client_secret and login_url of the source",
        _ => "check the user, the password and the tenant of the source; wrong passwords can lock the account",
    };
    // Some systems answer a wrong password with 500: it may be either.
    let hint = match failure.hint.as_deref() {
        Some(hint) if failure.kind == FailureKind::Refused => format!("{hint}; {credentials}"),
        _ => credentials.to_owned(),
    };
    Failure { kind: FailureKind::Denied, what: format!("sign in: {}", failure.what), hint: Some(hint), ..failure }
}
