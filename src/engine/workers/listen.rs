//! A worker: carries out pieces of plans for servers that know the secret.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use datafusion::common::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::{
    DistributedExt as _, Worker, WorkerPlanRewriteEvent, WorkerPlanRewriteEventResponse, WorkerQueryContext,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::InterceptorLayer;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Status};

use super::codec::{Codec, Here};
use super::elsewhere::SessionWords;
use super::fit::{self, Functions};
use super::lines::{BUILD, KEEPALIVE, LineOptions, Lines, SECRET, Shared, WAREHOUSE, build, sealed};
use crate::engine::Engine;
use crate::engine::options::{Heads, TieoutOptions};
use crate::extract::Secret;
use crate::warehouse::Warehouse;

/// The words of a session are longer than what HTTP servers allow by themselves.
pub(super) const HEADERS_BYTES_MAX: u32 = 1 << 20;
/// How long pieces that run get to end when the worker stops.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// What is done to a piece of a plan before it runs.
pub type Rewrite = fn(Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>>;

/// How to work.
#[derive(Debug)]
pub struct WorkerOptions {
    /// The address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The certificate; without one only this machine is listened to.
    pub tls: Option<WorkerTls>,
    /// What servers and workers share; without it only this machine is listened to.
    pub secret: Option<Secret>,
    /// A PEM file with the authorities of the other workers' certificates.
    pub authorities: Option<PathBuf>,
    /// Functions of clients' statements, beside the engine's.
    pub functions: Vec<Arc<ScalarUDF>>,
    /// Lets pieces give way to others.
    pub rewrite: Rewrite,
}

/// A certificate and its key, PEM files.
#[derive(Clone, Debug)]
pub struct WorkerTls {
    /// The certificate, then those that vouch for it.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// A worker that listens.
#[derive(Debug)]
pub struct BoundWorker {
    address: SocketAddr,
    tasks: Arc<Tasks>,
    serving: JoinHandle<()>,
}

/// Pieces of plans.
#[derive(Debug, Default)]
struct Tasks {
    arrived: AtomicU64,
    /// By their numbers in the order in which they arrived.
    here: Mutex<BTreeSet<u64>>,
}

/// A piece as long as anything of it is here.
struct Task {
    number: u64,
    tasks: Arc<Tasks>,
}

impl Task {
    fn arrived(tasks: &Arc<Tasks>) -> Self {
        let number = tasks.arrived.fetch_add(1, Ordering::Relaxed);
        tasks.here.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        Self { number, tasks: Arc::clone(tasks) }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.tasks.here.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl BoundWorker {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Pieces of plans that arrived so far.
    pub fn tasks(&self) -> u64 {
        self.tasks.arrived.load(Ordering::Relaxed)
    }

    /// The first of them, counted from 0, that is still held: worked at, waited for, or not yet swept up behind others.
    pub fn oldest_task(&self) -> Option<u64> {
        self.tasks.here.lock().unwrap_or_else(PoisonError::into_inner).first().copied()
    }

    /// Waits until it was told to stop and its pieces have ended.
    pub async fn stopped(self) {
        // Nothing but its owner aborts it.
        let _ = self.serving.await;
    }
}

/// What pieces of plans are carried out with.
struct Bench {
    warehouse: Warehouse,
    edition: Arc<str>,
    heads: Heads,
    functions: Functions,
    lines: Arc<Lines>,
    rewrite: Rewrite,
    tasks: Arc<Tasks>,
}

impl Engine {
    /// Listens as a worker until `shutdown`. Beyond this machine only with TLS and a secret.
    ///
    /// # Errors
    /// An address that is not free or not safe, a certificate that cannot be used.
    pub async fn work(&self, options: WorkerOptions, shutdown: CancellationToken) -> anyhow::Result<BoundWorker> {
        is_safe(&options)?;
        let lines = Lines::new(&LineOptions {
            secret: options.secret.as_ref(),
            authorities: options.authorities.as_deref(),
            warehouse: &self.warehouse.id(),
        })?;
        let state = self.reader.state();
        let tasks = Arc::<Tasks>::default();
        let bench = Arc::new(Bench {
            warehouse: self.warehouse.clone(),
            edition: Arc::clone(&self.blueprint.hash),
            heads: Heads::newest(self.warehouse.clone()),
            functions: fit::known(state.scalar_functions(), &options.functions),
            lines,
            rewrite: options.rewrite,
            tasks: Arc::clone(&tasks),
        });
        let session = move |context: WorkerQueryContext| {
            let bench = Arc::clone(&bench);
            async move { bench.session(context).await }
        };
        let worker = Worker::from_session_builder(session)
            .with_runtime_env(Arc::clone(state.runtime_env()))
            .with_version(build());
        let admit = Admit {
            secret: options.secret.as_ref().map(|secret| sealed(secret.expose())),
            build: build(),
            warehouse: self.warehouse.id(),
        };
        let admit = Arc::new(admit);
        let mut server = Server::builder()
            .http2_max_header_list_size(HEADERS_BYTES_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .tcp_nodelay(true);
        if let Some(tls) = &options.tls {
            let read =
                |path: &PathBuf| std::fs::read(path).with_context(|| format!("[server.tls] read {}", path.display()));
            let identity = Identity::from_pem(read(&tls.certificate)?, read(&tls.key)?);
            server = server.tls_config(ServerTlsConfig::new().identity(identity)).context("use [server.tls]")?;
        }
        let listener = TcpListener::bind(options.listen).await.with_context(|| {
            format!("listen on {}\nhint: choose another with --listen HOST:PORT or [workers] listen", options.listen)
        })?;
        let address = listener.local_addr().context("read the address listened on")?;
        let admitted = InterceptorLayer::new(move |request: Request<()>| admit.look_at(request));
        let router = server.layer(admitted).add_service(worker.into_worker_server());
        let serving = tokio::spawn(async move {
            let stop = shutdown.clone();
            let until_stopped =
                router.serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.cancelled_owned());
            let late = async {
                shutdown.cancelled().await;
                tokio::time::sleep(SHUTDOWN_LIMIT).await;
            };
            tokio::select! {
                ended = until_stopped => if let Err(error) = ended {
                    tracing::error!(%error, "serve as a worker");
                },
                () = late => tracing::warn!("stopped in the middle of what was asked"),
            }
        });
        Ok(BoundWorker { address, tasks, serving })
    }
}

/// Refuses to listen where others could read along, or anybody could ask.
fn is_safe(options: &WorkerOptions) -> anyhow::Result<()> {
    if options.listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if options.secret.is_none() {
        bail!(
            "listen on {}: any machine could have its plans carried out\n\
             hint: set [workers] secret = {{ env = \"TIEOUT_WORKERS_SECRET\" }} here and on the server, or listen on 127.0.0.1",
            options.listen
        );
    }
    if options.tls.is_none() {
        bail!(
            "listen on {}: plans and rows would travel in clear\n\
             hint: set [server.tls] certificate and key in tieout.toml, or listen on 127.0.0.1 behind an SSH tunnel",
            options.listen
        );
    }
    Ok(())
}

/// Who may ask.
struct Admit {
    secret: Option<String>,
    build: String,
    warehouse: String,
}

impl Admit {
    fn look_at(&self, request: Request<()>) -> std::result::Result<Request<()>, Status> {
        let said = |header: &str| request.metadata().get(header).and_then(|value| value.to_str().ok());
        let peer = request.remote_addr().map(|peer| peer.to_string()).unwrap_or_default();
        if let Some(secret) = &self.secret
            && !said(SECRET).is_some_and(|said| is_same(said, secret))
        {
            tracing::warn!(peer, "refused a request without the secret");
            return Err(Status::unauthenticated(
                "it needs the secret of its [workers] section\nhint: the server's tieout.toml has another or none",
            ));
        }
        let build = said(BUILD).unwrap_or_default();
        if build != self.build {
            tracing::warn!(peer, build, "refused a request of another build");
            let text = format!("it is build {}, the server is {build}\nhint: the same program on both", self.build);
            return Err(Status::failed_precondition(text));
        }
        let warehouse = said(WAREHOUSE).unwrap_or_default();
        if warehouse != self.warehouse {
            tracing::warn!(peer, warehouse, "refused a request about another warehouse");
            let text = format!("it reads warehouse {}, the server reads {warehouse}", self.warehouse);
            return Err(Status::failed_precondition(text));
        }
        Ok(request)
    }
}

/// Compares in the same time whatever differs.
fn is_same(one: &str, other: &str) -> bool {
    let differs = one.bytes().zip(other.bytes()).fold(0, |found, (one, other)| found | (one ^ other));
    one.len() == other.len() && differs == 0
}

impl Bench {
    /// A session like the one that the plan comes from, as far as rows depend on it.
    async fn session(&self, context: WorkerQueryContext) -> Result<SessionState> {
        let task = Arc::new(Task::arrived(&self.tasks));
        let words = SessionWords::read(&context.headers)?;
        let mut head = self.heads.get(false).await?;
        if head.number() < words.newest {
            head = self.heads.get(true).await?;
        }
        let here = Here { warehouse: self.warehouse.clone(), edition: Arc::clone(&self.edition), head };
        let mut builder = context.builder;
        let config = builder.config().get_or_insert_default();
        *config = std::mem::take(config).with_batch_size(words.batch_size);
        config.set_extension(task);
        let options = config.options_mut();
        options.execution.time_zone.clone_from(&words.time_zone);
        options.extensions.insert(TieoutOptions::of_carried(words.settings, &self.warehouse)?);
        let mut builder = builder
            .with_scalar_functions(self.functions.values().map(Arc::clone).collect())
            .with_distributed_channel_resolver(Shared(Arc::clone(&self.lines)))
            .with_distributed_user_codec(Codec { here: Some(here) });
        if !words.is_measured {
            let rewrite = self.rewrite;
            let rewrite =
                move |event: WorkerPlanRewriteEvent<'_>| Ok(WorkerPlanRewriteEventResponse::new(rewrite(event.plan)?));
            builder = builder.with_distributed_worker_plan_rewrite_handler(rewrite);
        }
        Ok(builder.build())
    }
}
