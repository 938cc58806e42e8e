//! The page beside the SQL server: the same roles, rights, limits and audit log, in a browser.
//!
//! Owns the listener, log-ins by a form, and what every answer carries. Invariants: nothing is changed by it but who is
//! logged in, so it answers GET and HEAD, and POST to log in and out; whoever comes from another machine speaks TLS; a
//! request's head, body, time and number are bounded; no answer is kept by a browser or loads anything from elsewhere.
//! Leaves out what a page shows, which `page` knows, and what a role may read, which its session knows.
//!
//! `door` keeps who is logged in, `asking` is a request's session, `answers` writes headers and refusals, `health` and
//! `metrics` are for programs that watch, `scheduled` is what runs by itself.

mod answers;
mod asking;
mod door;
mod health;
mod metrics;
mod routes;
mod scheduled;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{SHUTDOWN_LIMIT, Shared, bind, tls};
use crate::schedule::Watch;
pub(crate) use asking::{Asking, Table};
use door::Door;
use health::Health;
use metrics::Metrics;
pub(crate) use scheduled::Scheduled;

/// Connections at once; browsers hold several.
const CONNECTIONS_MAX: usize = 256;
/// A head is no longer.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;
/// How long a handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection lasts, however busy; browsers open another.
const CONNECTION_LIMIT: Duration = Duration::from_mins(10);
/// How often it is looked whose time is over.
const SWEEP: Duration = Duration::from_mins(1);

/// How to serve the page.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// When the port is taken, take the next free one.
    pub next_free_port: bool,
    /// The firm's name, for titles; empty where the settings have none.
    pub firm: String,
    /// The zone that days and moments are shown in.
    pub zone: chrono_tz::Tz,
    /// After how long a source that was not read is stale.
    pub stale: Duration,
    /// The sources in the settings.
    pub sources: Vec<String>,
    /// What runs by itself, to be watched; none if nothing does.
    pub schedule: Option<Watch>,
    /// How long somebody who does nothing stays logged in.
    pub idle: Duration,
    /// How long anybody stays logged in.
    pub longest: Duration,
    /// Requests that are answered at once; others wait a little.
    pub requests: usize,
    /// How long a request's head may take, and a connection say nothing.
    pub head_timeout: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Whether programs on this machine read `/metrics` without a role, and then without amounts.
    pub open_metrics: bool,
}

impl HttpOptions {
    /// The defaults at an address.
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            next_free_port: false,
            firm: String::new(),
            zone: chrono_tz::UTC,
            stale: Duration::from_hours(36),
            sources: Vec::new(),
            schedule: None,
            idle: Duration::from_mins(30),
            longest: Duration::from_hours(12),
            requests: 16,
            head_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_mins(2),
            open_metrics: true,
        }
    }
}

/// What all requests share.
pub(crate) struct Site {
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: HttpOptions,
    pub(crate) door: Door,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    /// Requests at once.
    pub(crate) room: Semaphore,
    /// Log-ins at once, apart: a failed one waits long, and nobody who is logged in waits for it.
    pub(crate) porch: Semaphore,
    /// Cancelled when the server stops.
    pub(crate) gone: CancellationToken,
}

impl Site {
    /// Whether browsers come through TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.shared.tls.is_some()
    }
}

/// A page that is bound and not served yet.
pub(super) struct BoundPage {
    listener: TcpListener,
    options: HttpOptions,
    pub(super) address: SocketAddr,
}

impl BoundPage {
    /// Takes the address. Beyond this machine only with TLS.
    pub(super) async fn bind(options: HttpOptions, tls: Option<&tls::Tls>) -> anyhow::Result<Self> {
        tls::is_safe(options.listen, tls).context("serve the page")?;
        let listener = bind(options.listen, options.next_free_port, "--http HOST:PORT or [http] listen").await?;
        let address = listener.local_addr().context("read the address listened on")?;
        Ok(Self { listener, options, address })
    }

    /// Serves until `shutdown`, and waits for what is being answered.
    pub(super) async fn serve(self, shared: Arc<Shared>, shutdown: CancellationToken) {
        let (room, porch) = (Semaphore::new(self.options.requests), Semaphore::new(self.options.requests));
        let door = Door::new(self.options.idle, self.options.longest);
        let gone = shutdown.clone();
        let (health, metrics) = (Health::default(), Metrics::default());
        let site = Site { shared, options: self.options, door, health, metrics, room, porch, gone };
        let site = Arc::new(site);
        let acceptor = site.shared.tls.as_ref().map(tls::Tls::browsers);
        let router = routes::router(&site);
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let connections = TaskTracker::new();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = sweep.tick() => {
                    site.door.sweep(&site.shared.audit, std::time::Instant::now());
                    continue;
                }
                () = shutdown.cancelled() => break,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "accept a connection to the page");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // One too many is closed without a word: there is nothing to answer it with.
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
            let (router, acceptor) = (router.clone(), acceptor.clone());
            let (shutdown, limits) = (shutdown.clone(), (site.options.head_timeout, permit));
            connections.spawn(async move {
                if let Err(error) = converse(socket, peer, router, acceptor, shutdown, limits).await {
                    tracing::debug!(%peer, "a connection to the page ended: {error:#}");
                }
            });
        }
        connections.close();
        let _ = tokio::time::timeout(SHUTDOWN_LIMIT, connections.wait()).await;
        site.door.close(&site.shared.audit);
    }
}

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

async fn converse(
    socket: TcpStream,
    peer: SocketAddr,
    router: axum::Router,
    acceptor: Option<pgwire::tokio::TlsAcceptor>,
    shutdown: CancellationToken,
    (head_limit, _permit): (Duration, OwnedSemaphorePermit),
) -> anyhow::Result<()> {
    let router = router.layer(Extension(Peer(peer)));
    match acceptor {
        Some(acceptor) => {
            let socket = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(socket)).await??;
            answer(socket, router, shutdown, head_limit).await
        }
        None => answer(socket, router, shutdown, head_limit).await,
    }
}

async fn answer(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: axum::Router,
    shutdown: CancellationToken,
    head_limit: Duration,
) -> anyhow::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head_limit)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .half_close(false);
    let connection = http.serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        end = connection.as_mut() => return Ok(end?),
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(CONNECTION_LIMIT) => {}
    }
    // What is being answered is answered still.
    connection.as_mut().graceful_shutdown();
    Ok(tokio::time::timeout(SHUTDOWN_LIMIT, connection).await??)
}
