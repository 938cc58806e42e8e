//! Ways to sign in, as a manifest names them. Leaves out: doing it, which is [`auth`](super::auth)'s.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A way to sign in. Strings may hold `{settings}`; a URL that starts with `/` lies below the base URL.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// A token for the application itself.
    Oauth2ClientCredentials {
        /// Where tokens are given.
        token_url: String,
        /// The application.
        client_id: String,
        /// Its secret.
        client_secret: String,
        /// What is asked for.
        #[serde(default)]
        scope: Option<String>,
        /// The user that the application acts for, where the system asks who that is.
        #[serde(default)]
        username: Option<String>,
        /// Whether both go as a header of the request (RFC 6749 §2.3.1) and not in its form.
        #[serde(default)]
        in_header: bool,
    },
    /// A token for a user by name and password.
    Oauth2Password {
        /// Where tokens are given.
        token_url: String,
        /// The application.
        client_id: String,
        /// Its secret.
        client_secret: String,
        /// The user.
        username: String,
        /// The user's password.
        password: String,
        /// What is asked for.
        #[serde(default)]
        scope: Option<String>,
    },
    /// A user and a password with each request (RFC 7617).
    Basic {
        /// The user.
        username: String,
        /// The user's password.
        password: String,
    },
    /// A session kept by cookies; always signed out.
    CookieSession {
        /// Where to sign in.
        login_path: String,
        /// Where to sign out.
        logout_path: String,
        /// What is posted to sign in; a field whose placeholder is unset is left out.
        body: BTreeMap<String, String>,
    },
}

impl Auth {
    /// Every string that may hold a placeholder.
    pub(crate) fn templates(&self) -> Vec<&str> {
        match self {
            Self::Oauth2ClientCredentials { token_url, client_id, client_secret, scope, username, .. } => {
                let all = [token_url, client_id, client_secret].into_iter().chain(scope).chain(username);
                all.map(String::as_str).collect()
            }
            Self::Oauth2Password { token_url, client_id, client_secret, username, password, scope } => {
                let all = [token_url, client_id, client_secret, username, password];
                all.into_iter().chain(scope).map(String::as_str).collect()
            }
            Self::Basic { username, password } => vec![username, password],
            Self::CookieSession { login_path, logout_path, body } => {
                [login_path, logout_path].into_iter().chain(body.values()).map(String::as_str).collect()
            }
        }
    }
}
