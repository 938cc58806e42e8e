//! The Postgres wire: simple and extended protocol, text and binary, over one DataFusion session per connection.
//!
//! Owns sockets, logins, statements, encoding and the catalogue that clients ask. Invariants: read only, by a list of
//! statements that are carried out and again by the plan; queries run on threads of their own, no further than their
//! reader follows, and stop when the client cancels, leaves or has waited long enough; passwords are never kept in
//! plain; whoever comes from another machine speaks TLS. What it leaves out: what a table is and as of when it is read,
//! which the session's factory decides.
//!
//! `http` is the page beside it, over the same sessions. `login` makes a session of a socket, `connection` answers its messages, `statement` says what is carried out,
//! `execute` does, `query` runs plans, `encode` and `format` write values, `catalog` plays `pg_catalog`.

mod arrays;
mod attempts;
mod audit;
mod casts;
mod catalog;
mod connection;
mod copy;
mod cursors;
mod databases;
mod declared;
mod each_row;
mod empty;
mod encode;
mod encoding;
mod execute;
mod explain;
mod failure;
mod familiar;
mod format;
mod frames;
mod grammar;
mod http;
mod in_turn;
mod lateral;
mod local;
mod login;
mod meaning;
mod naming;
mod nesting;
mod page;
mod parameters;
mod place;
mod plans;
mod postgres;
mod query;
mod rewrite;
mod search_path;
mod session;
mod sessions;
mod sets;
mod settings;
mod siblings;
mod spelling;
mod statement;
mod tally;
mod teller;
mod template;
mod tls;
mod transaction;
mod users;
mod values;
mod whole_rows;
mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use datafusion::prelude::SessionContext;
use futures::SinkExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use pgwire::api::{ClientInfo as _, ConnectionHandle, ConnectionManager, RandomPidSecretKeyGenerator};
use pgwire::messages::PgWireBackendMessage;
use pgwire::tokio::server::{MaybeTls, negotiate_tls};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use audit::AuditOptions;
pub use catalog::{Descriptions, TableKeysOf};
pub use http::HttpOptions;
pub use local::{LocalQuery, QueryError};
pub use tls::Tls;
pub use users::{Password, RoleLimits, User, Verifier};

use attempts::Attempts;
use audit::{AuditLog, Who};
use connection::Connection;
use failure::{DENIED, Failure};
use http::BoundPage;
use plans::Answers;
use query::QueryThreads;
use sessions::{Live, Sessions};
use users::Users;
use wire::Wire;

pub use crate::engine::SessionRequest;
pub use crate::schedule::Watch;

/// A plan whose joins stop when they are told to.
///
/// # Errors
/// A step that does not take the same input again.
#[cfg(feature = "workers")]
pub fn giving_way(
    plan: Arc<dyn datafusion::physical_plan::ExecutionPlan>,
) -> datafusion::error::Result<Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
    crate::engine::giving_way(plan)
}

/// The functions that clients' statements have beside those of the engine, and some of its own otherwise.
#[cfg(feature = "workers")]
pub fn statement_functions() -> Vec<Arc<datafusion::logical_expr::ScalarUDF>> {
    let mut context = SessionContext::new();
    if let Err(error) = postgres::attach(&mut context) {
        // Plans that call them then stay here.
        tracing::error!(%error, "list the functions of statements");
    }
    context.state().scalar_functions().values().map(Arc::clone).collect()
}

/// The name of the database that clients connect to.
pub const DATABASE: &str = "tieout";

/// How many ports are tried after the wanted one.
const PORTS_TRIED: u16 = 50;
/// How long a client may take from connecting to its first statement.
const STARTUP_LIMIT: Duration = Duration::from_secs(30);
/// After how much silence a peer is asked whether it is there, and how often again.
const KEEPALIVE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How long open connections get to say goodbye when the server stops.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// Makes the DataFusion session of a connection.
pub type SessionFactory =
    Arc<dyn Fn(SessionRequest) -> BoxFuture<'static, anyhow::Result<SessionContext>> + Send + Sync>;

/// How to serve.
#[derive(Clone)]
pub struct ServerOptions {
    /// The address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// When the port is taken, take the next free one.
    pub next_free_port: bool,
    /// The certificate; without one only this machine is listened to.
    pub tls: Option<Tls>,
    /// Who may log in.
    pub users: Vec<User>,
    /// One more is answered with 53300.
    pub max_connections: usize,
    /// How long a statement may run unless its session says otherwise; `None` is without end.
    pub statement_timeout: Option<Duration>,
    /// Makes the sessions.
    pub sessions: SessionFactory,
    /// Comments on relations and their columns, for `\d+` and `pg_description`.
    pub descriptions: Option<Descriptions>,
    /// The constraints that clients are shown.
    pub keys: Option<TableKeysOf>,
    /// Where each session and statement is told of; without a file only the newest are, in `meta.statements`.
    pub audit: Option<AuditOptions>,
    /// The page beside it; none without.
    pub http: Option<HttpOptions>,
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("listen", &self.listen)
            .field("users", &self.users)
            .field("max_connections", &self.max_connections)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct BoundServer {
    address: SocketAddr,
    page: Option<SocketAddr>,
    accepting: JoinHandle<()>,
}

impl BoundServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the page is.
    pub fn page_address(&self) -> Option<SocketAddr> {
        self.page
    }

    /// Waits until it was told to stop and its connections have ended.
    pub async fn stopped(self) {
        // The accept loop neither panics nor is aborted by anybody else.
        let _ = self.accepting.await;
    }
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) users: Arc<Users>,
    pub(crate) factory: SessionFactory,
    pub(crate) threads: Arc<QueryThreads>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) cancels: Arc<ConnectionManager>,
    pub(crate) keys: Arc<RandomPidSecretKeyGenerator>,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) descriptions: Option<Descriptions>,
    pub(crate) table_keys: Option<TableKeysOf>,
    pub(crate) tls: Option<Tls>,
    pub(crate) audit: Arc<AuditLog>,
    pub(crate) attempts: Attempts,
    pub(crate) sessions: Arc<Sessions>,
}

/// Binds and serves until `shutdown`. Beyond this machine only with TLS.
pub async fn serve(options: ServerOptions, shutdown: CancellationToken) -> anyhow::Result<BoundServer> {
    tls::is_safe(options.listen, options.tls.as_ref())?;
    users::are_safe(&options.users)?;
    let listener = bind(options.listen, options.next_free_port, "--listen HOST:PORT or [server] listen").await?;
    let address = listener.local_addr().context("read the address listened on")?;
    let page = match options.http {
        Some(http) => Some(BoundPage::bind(http, options.tls.as_ref()).await?),
        None => None,
    };
    let page_address = page.as_ref().map(|page| page.address);
    let audit = Arc::new(AuditLog::open(options.audit.as_ref())?);
    let shared = Arc::new(Shared {
        users: Arc::new(Users::new(&options.users)),
        factory: options.sessions,
        threads: Arc::new(QueryThreads::start().context("start the query threads")?),
        answers: Arc::default(),
        cancels: Arc::new(ConnectionManager::new()),
        keys: Arc::new(RandomPidSecretKeyGenerator::default()),
        statement_timeout: options.statement_timeout,
        descriptions: options.descriptions,
        table_keys: options.keys,
        tls: options.tls,
        audit,
        attempts: Attempts::default(),
        sessions: Arc::default(),
    });
    let permits = Arc::new(Semaphore::new(options.max_connections));
    let accepting = tokio::spawn(async move {
        let audit = Arc::clone(&shared.audit);
        let page = page.map(|page| page.serve(Arc::clone(&shared), shutdown.clone()));
        let page = async {
            if let Some(page) = page {
                page.await;
            }
        };
        tokio::join!(accept(listener, shared, permits, shutdown.clone()), page);
        audit.close().await;
    });
    Ok(BoundServer { address, page: page_address, accepting })
}

async fn bind(listen: SocketAddr, next_free_port: bool, settings: &str) -> anyhow::Result<TcpListener> {
    let last = if next_free_port && listen.port() != 0 { PORTS_TRIED } else { 0 };
    let mut failure = None;
    for port in listen.port()..=listen.port().saturating_add(last) {
        match TcpListener::bind(SocketAddr::new(listen.ip(), port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => failure = Some(error),
            Err(error) => return Err(error).with_context(|| format!("listen on {}:{port}", listen.ip())),
        }
    }
    let hint = format!("hint: another program has the port: choose another with {settings}");
    Err(failure.map_or_else(|| anyhow::anyhow!("no port was tried"), anyhow::Error::from))
        .with_context(|| format!("listen on {listen}\n{hint}"))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, permits: Arc<Semaphore>, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles, mostly: trying again at once would only spin.
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let permit = Arc::clone(&permits).try_acquire_owned().ok();
        let (shared, shutdown) = (Arc::clone(&shared), shutdown.clone());
        connections.spawn(async move {
            if let Err(failure) = Box::pin(converse(socket, shared, permit, shutdown)).await {
                tracing::debug!(%peer, %failure, "connection ended");
            }
        });
    }
    connections.close();
    let _ = tokio::time::timeout(SHUTDOWN_LIMIT, connections.wait()).await;
}

/// The refusal of a connection that others could read along with.
fn clear_refused(needs_certificate: bool) -> Failure {
    if needs_certificate {
        return Failure::new("28000", "connections need TLS and a certificate of the client's")
            .hint("use sslmode=require with sslcert and sslkey")
            .fatal();
    }
    Failure::new("28000", "connections from other machines need TLS").hint("use sslmode=require").fatal()
}

/// One connection from its first byte to its last.
async fn converse(
    socket: TcpStream,
    shared: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let late = || Failure::new("08006", "the client took too long to log in").fatal();
    let broken = |error: std::io::Error| Failure::new("08006", format!("start the connection: {error}")).fatal();
    // A peer that vanished without a word is noticed, and its place is free again.
    let alive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&socket).set_tcp_keepalive(&alive).map_err(broken)?;
    let start = async {
        let is_near = socket.peer_addr().is_ok_and(|peer| tls::is_local(peer.ip()));
        let acceptor = shared.tls.as_ref().map(Tls::acceptor);
        let Some(mut socket) = negotiate_tls(socket, acceptor).await.map_err(broken)? else { return Ok(None) };
        let needs_certificate = shared.tls.as_ref().is_some_and(Tls::needs_certificate);
        let in_clear = matches!(socket.get_ref(), MaybeTls::Plain(_)) && (!is_near || needs_certificate);
        // A surplus connection may still carry a cancel request, which is answered.
        let login = if in_clear {
            Err(clear_refused(needs_certificate))
        } else if permit.is_some() {
            login::login(&mut socket, &shared).await
        } else {
            login::surplus(&mut socket, &shared).await
        };
        match login {
            Ok(session) => Ok(session.map(|session| (session, socket))),
            Err(failure) => {
                let answer = PgWireBackendMessage::ErrorResponse(failure.response());
                // The client may be gone; the failure is what matters.
                let _ = socket.send(answer).await;
                let _ = socket.close().await;
                Err(failure)
            }
        }
    };
    let Some((session, socket)) = tokio::time::timeout(STARTUP_LIMIT, start).await.map_err(|_| late())?? else {
        return Ok(());
    };
    let cancel = socket.session_extensions().get::<Arc<ConnectionHandle>>().map(|handle| Arc::clone(&*handle));
    let gone = shutdown.child_token();
    let ended = CancellationToken::new();
    let pid = socket.pid_and_secret_key().0;
    let who = (session.teller.who.role.as_str(), session.teller.who.database.as_str(), socket.socket_addr());
    let live = Live::new(pid, who, Arc::clone(&session.settings), cancel.as_ref().map(Arc::clone), ended.clone());
    let registered = shared.sessions.register(live);
    if let Some(catalog) = &session.catalog {
        catalog.connect(&shared.sessions, pid);
    }
    let live = Arc::clone(&registered.live);
    let encoding = session.encoding.clone();
    let (sink, source) = wire::logged_in(socket, encoding.clone()).split();
    let connection = Connection { session, wire: Wire::new(sink, encoding), cancel, gone, live, ended };
    let end = Box::pin(connection.run(source, shutdown)).await;
    drop(permit);
    end
}
