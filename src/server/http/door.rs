//! Who is logged in to the page, and since when: random cookies, of which only the hash is kept.
//!
//! Invariants: what a cookie opens ends after a while without requests, after some hours in any case, and when the server
//! stops; each beginning and end is in the audit log; how many there are is bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};

use super::asking::APPLICATION;
use crate::server::audit::{AuditLog, Event, Line, Who};
use crate::server::failure::Failure;
use crate::server::login::WRONG_PASSWORD;
use crate::server::{DATABASE, Shared};

/// So many people may be logged in at once.
const GUESTS_MAX: usize = 1_000;
const TOKEN_BYTES: usize = 32;

type Key = [u8; 32];

/// The people who are logged in.
#[derive(Debug)]
pub(crate) struct Door {
    guests: Mutex<HashMap<Key, Guest>>,
    idle: Duration,
    longest: Duration,
}

#[derive(Debug)]
struct Guest {
    who: Arc<Who>,
    began: Instant,
    used: Instant,
}

impl Door {
    pub(crate) fn new(idle: Duration, longest: Duration) -> Self {
        Self { guests: Mutex::default(), idle, longest }
    }

    /// Has somebody prove a password. A failure is answered late, counted and told of, as one over SQL is.
    pub(crate) async fn prove(
        shared: &Arc<Shared>,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<Arc<Who>, Failure> {
        let (users, asked) = (Arc::clone(&shared.users), (name.to_owned(), password.to_owned()));
        // Thousands of rounds of a hash: not on a thread that answers others.
        let proved = tokio::task::spawn_blocking(move || users.proves(&asked.0, &asked.1)).await;
        let who =
            Who { session: shared.audit.session(), role: shortened(name), address, database: DATABASE.to_owned() };
        let who = Arc::new(who);
        if proved.is_ok_and(|is_right| is_right) {
            shared.attempts.succeeded(address);
            return Ok(who);
        }
        let failure = Failure::new(WRONG_PASSWORD, format!("password authentication failed for user \"{}\"", who.role));
        shared.audit.put(line(Event::LoginFailed, &who).ended_by(&failure));
        let wait = shared.attempts.failed(address, Instant::now());
        tracing::warn!(role = %who.role, peer = %address, code = failure.code, ?wait, "a login to the page failed");
        tokio::time::sleep(wait).await;
        Err(failure)
    }

    /// Lets somebody in who has proved a password: what the cookie holds.
    pub(crate) fn admit(&self, who: Arc<Who>, log: &AuditLog) -> Result<String, Failure> {
        self.sweep(log, Instant::now());
        let mut token = [0; TOKEN_BYTES];
        rand::rng().fill_bytes(&mut token);
        let token = hex::encode(token);
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if guests.len() >= GUESTS_MAX {
            return Err(Failure::new("53300", format!("{GUESTS_MAX} people are logged in, no more can be")).hint(
                "log out where you need it no longer; who does nothing is logged out after [http] idle_minutes",
            ));
        }
        log.put(line(Event::Login, &who));
        let now = Instant::now();
        guests.insert(key(&token), Guest { who, began: now, used: now });
        Ok(token)
    }

    /// Whose request it is; none if nobody is logged in by its cookie.
    pub(crate) fn guest(&self, token: &str, log: &AuditLog, now: Instant) -> Option<Arc<Who>> {
        self.sweep(log, now);
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let guest = guests.get_mut(&key(token))?;
        guest.used = now;
        Some(Arc::clone(&guest.who))
    }

    /// Logs somebody out.
    pub(crate) fn leave(&self, token: &str, log: &AuditLog) {
        let gone = self.guests.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(token));
        if let Some(guest) = gone {
            log.put(line(Event::Logout, &guest.who));
        }
    }

    /// Logs out whose time is over.
    pub(crate) fn sweep(&self, log: &AuditLog, now: Instant) {
        let (idle, longest) = (self.idle, self.longest);
        self.guests.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, guest| {
            let stays = now.duration_since(guest.used) < idle && now.duration_since(guest.began) < longest;
            if !stays {
                log.put(line(Event::Logout, &guest.who));
            }
            stays
        });
    }

    /// Logs everybody out.
    pub(crate) fn close(&self, log: &AuditLog) {
        for (_, guest) in self.guests.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            log.put(line(Event::Logout, &guest.who));
        }
    }

    /// How many are logged in.
    pub(crate) fn count(&self) -> usize {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// A line that tells of a login or its end.
pub(super) fn line(event: Event, who: &Arc<Who>) -> Line {
    Line { application_name: APPLICATION.to_owned(), ..Line::of(event, who) }
}

fn key(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}

/// What somebody typed as a name, no longer than a name can be.
fn shortened(name: &str) -> String {
    name.chars().take(63).collect()
}

/// The name of the cookie. Behind TLS browsers take it from this host alone, and for all of it.
pub(crate) fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-tieout" } else { "tieout" }
}

/// The token that a request carries.
pub(crate) fn token(headers: &HeaderMap, is_secure: bool) -> Option<String> {
    let name = cookie_name(is_secure);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}

/// `Set-Cookie` of a token; without one the cookie goes.
pub(crate) fn cookie(token: Option<&str>, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    let (value, age) = token.map_or(("", "; Max-Age=0"), |token| (token, ""));
    format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}", cookie_name(is_secure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Arc<Who> {
        Arc::new(Who {
            session: 1,
            role: "ada".to_owned(),
            address: IpAddr::from([127, 0, 0, 1]),
            database: DATABASE.to_owned(),
        })
    }

    #[test]
    fn a_cookie_opens_nothing_after_its_time() {
        let log = AuditLog::open(None).unwrap();
        let (minute, now) = (Duration::from_mins(1), Instant::now());
        let door = Door::new(minute * 10, minute * 25);
        let token = door.admit(who(), &log).unwrap();
        assert!(door.guest("another", &log, now).is_none());
        // Used every nine minutes, until the longest time is over.
        for minutes in [0, 9, 18] {
            assert!(door.guest(&token, &log, now + minute * minutes).is_some(), "{minutes}");
        }
        assert!(door.guest(&token, &log, now + minute * 27).is_none());
        let token = door.admit(who(), &log).unwrap();
        assert!(door.guest(&token, &log, Instant::now() + minute * 11).is_none());
        let token = door.admit(who(), &log).unwrap();
        door.leave(&token, &log);
        assert!(door.guest(&token, &log, Instant::now()).is_none());
        assert_eq!(door.count(), 0);
    }

    #[test]
    fn a_token_is_found_among_cookies() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "a=1; tieout=abc; __Host-tieout=xyz".parse().unwrap());
        assert_eq!(token(&headers, false).as_deref(), Some("abc"));
        assert_eq!(token(&headers, true).as_deref(), Some("xyz"));
        assert_eq!(token(&HeaderMap::new(), true), None);
        assert_eq!(cookie(Some("t"), true), "__Host-tieout=t; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert_eq!(cookie(None, false), "tieout=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }
}
