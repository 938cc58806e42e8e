//! Who is connected: what `pg_stat_activity` shows, and how one session of a role ends another's work.
//!
//! Invariant: a role sees and stops its own sessions alone; that there are others is nobody's business here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use pgwire::api::ConnectionHandle;
use pgwire::messages::response::TransactionStatus;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::audit::without_passwords;
use super::settings::Settings;

/// The sessions of a server, by the number that their clients know them by.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<i32, Arc<Live>>>);

/// A session while it lasts.
pub(crate) struct Live {
    pub(crate) pid: i32,
    pub(crate) role: String,
    pub(crate) database: String,
    pub(crate) address: SocketAddr,
    pub(crate) began_at: DateTime<Utc>,
    settings: Arc<Mutex<Settings>>,
    cancel: Option<Arc<ConnectionHandle>>,
    /// Ends the session.
    end: CancellationToken,
    doing: Mutex<Doing>,
}

/// What a session does, or did last.
#[derive(Clone)]
pub(crate) struct Doing {
    pub(crate) text: Arc<str>,
    pub(crate) began_at: DateTime<Utc>,
    pub(crate) changed_at: DateTime<Utc>,
    /// As `pg_stat_activity.state` has it.
    pub(crate) state: &'static str,
}

/// Takes a session off the list when it ends.
pub(crate) struct Registered {
    sessions: Arc<Sessions>,
    pub(crate) live: Arc<Live>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.sessions.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.live.pid);
    }
}

impl Sessions {
    /// Lists a session until what is given back is dropped.
    pub(crate) fn register(self: &Arc<Self>, live: Live) -> Registered {
        let live = Arc::new(live);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(live.pid, Arc::clone(&live));
        Registered { sessions: Arc::clone(self), live }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A role's sessions, in the order of their numbers.
    pub(crate) fn of_role(&self, role: &str) -> Vec<Arc<Live>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().filter(|live| live.role == role).map(Arc::clone).collect()
    }

    /// Ends what a session of the role does, or the session; whether there is one of that number.
    pub(crate) fn stop(&self, role: &str, pid: i64, with_session: bool) -> bool {
        let Some(live) = self.of_role(role).into_iter().find(|live| i64::from(live.pid) == pid) else { return false };
        if with_session {
            live.end.cancel();
        }
        // Functions run on the threads of queries, which have a runtime.
        let (Some(cancel), Ok(runtime)) = (live.cancel.as_ref().map(Arc::clone), Handle::try_current()) else {
            return with_session;
        };
        runtime.spawn(async move { cancel.cancel().await });
        true
    }
}

impl Live {
    pub(crate) fn new(
        pid: i32,
        (role, database, address): (&str, &str, SocketAddr),
        settings: Arc<Mutex<Settings>>,
        cancel: Option<Arc<ConnectionHandle>>,
        end: CancellationToken,
    ) -> Self {
        let now = Utc::now();
        let doing = Doing { text: Arc::from(""), began_at: now, changed_at: now, state: "idle" };
        Self {
            pid,
            role: role.to_owned(),
            database: database.to_owned(),
            address,
            began_at: now,
            settings,
            cancel,
            end,
            doing: Mutex::new(doing),
        }
    }

    /// A statement begins.
    pub(crate) fn begins(&self, text: &Arc<str>) {
        let now = Utc::now();
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) =
            Doing { text: Arc::clone(text), began_at: now, changed_at: now, state: "active" };
    }

    /// The client may say what comes next.
    pub(crate) fn waits(&self, status: TransactionStatus) {
        let mut doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        doing.changed_at = Utc::now();
        doing.state = match status {
            TransactionStatus::Idle => "idle",
            TransactionStatus::Transaction => "idle in transaction",
            TransactionStatus::Error => "idle in transaction (aborted)",
        };
    }

    /// What it does, without the passwords that a statement may hold.
    pub(crate) fn doing(&self) -> Doing {
        let doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Doing { text: Arc::from(without_passwords(&doing.text).as_ref()), ..doing }
    }

    pub(crate) fn application_name(&self) -> String {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.get("application_name").unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(pid: i32, role: &str) -> (Live, CancellationToken) {
        let settings = Arc::new(Mutex::new(Settings::new(role, "recon", None).unwrap()));
        let end = CancellationToken::new();
        (Live::new(pid, (role, "tieout", "127.0.0.1:1".parse().unwrap()), settings, None, end.clone()), end)
    }

    #[test]
    fn a_role_sees_and_ends_its_own_sessions_alone() {
        let sessions = Arc::new(Sessions::default());
        let (ada, ada_ends) = live(1, "ada");
        let (bob, bob_ends) = live(2, "bob");
        let (_ada, bob) = (sessions.register(ada), sessions.register(bob));
        assert_eq!(sessions.of_role("ada").iter().map(|live| live.pid).collect::<Vec<_>>(), [1]);
        assert!(!sessions.stop("ada", 2, true) && !bob_ends.is_cancelled());
        assert!(sessions.stop("ada", 1, true) && ada_ends.is_cancelled());
        drop(bob);
        assert!(sessions.of_role("bob").is_empty());
    }
}
