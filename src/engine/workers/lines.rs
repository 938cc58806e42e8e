//! Connections to workers: each worker has one, which carries everything, signed.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use datafusion_distributed::{ChannelResolver, WorkerChannel, grpc};
use ring::digest::{SHA256, digest};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use url::Url;

use super::watched::Watched;
use crate::extract::Secret;

/// The secret that servers and workers share.
pub(super) const SECRET: &str = "x-tieout-secret";
/// The build that both must have.
pub(super) const BUILD: &str = "x-tieout-build";
/// The warehouse that both must read.
pub(super) const WAREHOUSE: &str = "x-tieout-warehouse";

/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// After so much silence a worker is asked whether it is there, and so long it may take to say so.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(10);

/// What connections to workers need.
#[derive(Debug)]
pub struct LineOptions<'a> {
    /// What servers and workers share.
    pub secret: Option<&'a Secret>,
    /// A PEM file with the authorities of the workers' certificates.
    pub authorities: Option<&'a Path>,
    /// The id of the warehouse.
    pub warehouse: &'a str,
}

/// All connections of this process.
pub struct Lines {
    signature: HeaderMap,
    tls: Option<ClientTlsConfig>,
    channels: Mutex<HashMap<Url, Channel>>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

impl Lines {
    /// Connects when somebody asks.
    ///
    /// # Errors
    /// A file of authorities that cannot be read, a secret that no header can hold.
    pub fn new(options: &LineOptions<'_>) -> anyhow::Result<Arc<Self>> {
        let mut signature = HeaderMap::new();
        signature.insert(BUILD, HeaderValue::from_str(&build())?);
        signature.insert(WAREHOUSE, HeaderValue::from_str(options.warehouse)?);
        if let Some(secret) = options.secret {
            let mut value = HeaderValue::from_str(&sealed(secret.expose()))?;
            value.set_sensitive(true);
            signature.insert(SECRET, value);
        }
        let tls = match options.authorities {
            Some(path) => {
                let pem = std::fs::read(path).with_context(|| format!("[workers] ca: read {}", path.display()))?;
                Some(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
            }
            None => None,
        };
        Ok(Arc::new(Self { signature, tls, channels: Mutex::default() }))
    }

    /// The connection to a worker.
    pub(super) fn to(&self, url: &Url) -> Result<Box<dyn WorkerChannel>> {
        let channel = self.channel(url).map_err(|error| exec_datafusion_err!("connect to worker {url}: {error:#}"))?;
        let signed = Signed { channel, signature: self.signature.clone() };
        let inner = grpc::create_worker_client(grpc::BoxCloneSyncChannel::new(signed));
        Ok(Box::new(Watched { inner, url: url.clone() }))
    }

    fn channel(&self, url: &Url) -> anyhow::Result<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = channels.get(url) {
            return Ok(known.clone());
        }
        let mut endpoint = Endpoint::from_shared(url.to_string())?
            .connect_timeout(CONNECT_LIMIT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true)
            // Errors travel in headers.
            .http2_max_header_list_size(super::listen::HEADERS_BYTES_MAX);
        if url.scheme() == "https" {
            let tls = self.tls.clone().context("no authority for its certificate\nhint: [workers] ca = \"ca.pem\"")?;
            endpoint = endpoint.tls_config(tls)?;
        }
        let channel = endpoint.connect_lazy();
        channels.insert(url.clone(), channel.clone());
        Ok(channel)
    }
}

/// The connections as each session holds them.
pub(super) struct Shared(pub(super) Arc<Lines>);

#[async_trait]
impl ChannelResolver for Shared {
    async fn get_worker_client_for_url(&self, url: &Url) -> Result<Box<dyn WorkerChannel>, DataFusionError> {
        self.0.to(url)
    }
}

/// A connection that says with each request who asks.
#[derive(Clone)]
struct Signed {
    channel: Channel,
    signature: HeaderMap,
}

impl Service<Request<Body>> for Signed {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = <Channel as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().extend(self.signature.clone());
        self.channel.call(request)
    }
}

/// A secret as it is sent and compared: always as long.
pub(super) fn sealed(secret: &str) -> String {
    hex::encode(digest(&SHA256, secret.as_bytes()))
}

/// What tells one build from another: plans are written by one and read by the other.
pub(super) fn build() -> String {
    static BUILD: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let of_program = || {
        let program = std::env::current_exe().and_then(std::fs::read);
        // A program that cannot read itself is known by its version.
        let program = program.map(|bytes| hex::encode(digest(&SHA256, &bytes)).chars().take(16).collect::<String>());
        format!("{} {}", env!("CARGO_PKG_VERSION"), program.unwrap_or_default())
    };
    BUILD.get_or_init(of_program).clone()
}

/// Whether a worker's address may be used: what other machines could read along travels by TLS.
///
/// # Errors
/// Why not, and what to write instead.
pub fn check_address(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).with_context(|| format!("[workers] {text}: not an address"))?;
    let is_local = match url.host() {
        Some(url::Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match (url.scheme(), is_local) {
        ("https", _) | ("http", true) => Ok(url),
        ("http", false) => anyhow::bail!(
            "[workers] {text}: plans and rows would travel in clear\nhint: https://, and [server.tls] on the worker"
        ),
        _ => anyhow::bail!("[workers] {text}: not an address of a worker\nhint: https://host:port"),
    }
}
