//! `tieout serve`: the warehouse over the Postgres protocol.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Args;
use futures::FutureExt;

use super::schedule::{self, Runner};
use super::workspace::Workspace;
use super::{Failure, Global, Stop};
use crate::clock::Clock;
use crate::config::{Config, MetricsAccess};
use crate::engine::{Engine, SessionRequest};
use crate::server::{
    AuditOptions, DATABASE, Descriptions, HttpOptions, ServerOptions, SessionFactory, TableKeysOf, Tls,
};
use crate::warehouse::rows::{COMMIT, EXTRACTED_AT, HASH, HASH_BEFORE, KEY, OP, RAW, SCOPE};

mod roles;

/// What is in each schema of our own.
const SCHEMAS: &[(&str, &str)] = &[
    ("recon", "what disagrees: the summary, the exceptions, a view per check"),
    ("trend", "how the disagreements develop, month by month"),
    ("audit", "year-end schedules"),
    ("link", "which records are the same thing on both sides"),
    ("pm", "project management in the shape that both sides share"),
    ("erp", "the ERP in the shape that both sides share"),
    ("history", "every version of every row"),
    ("meta", "commits, runs, coverage, rejects, freshness: what may be believed"),
    ("system", "the rows behind meta and recon, as stored"),
];

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub(super) struct ServeArguments {
    /// Address and port; default from [server] listen
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Show status, exceptions and trends in the browser too, at this address; default from [http] listen, else no page
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Carry [schedule] out: extracts, proofs, reports, month ends
    #[arg(long)]
    schedule: bool,
    /// The schedule's clock, for simulations
    #[arg(long, value_name = "T", requires = "schedule")]
    now: Option<DateTime<Utc>>,
    /// Let these workers carry out parts of large queries; default from [workers] urls
    #[cfg(feature = "workers")]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    workers: Vec<String>,
}

pub(super) async fn run(global: &Global, arguments: &ServeArguments) -> Result<u8, Failure> {
    let stop = Stop::listen()?;
    stop.hang_up()?;
    let workspace = Workspace::open(global).await?;
    let config = &workspace.setup.config;
    let clock = arguments.now.map_or(Clock::Machine, Clock::given);
    let runner = arguments.schedule.then(|| schedule(global, config, clock.clone(), &stop));
    let runner = runner.transpose().map_err(Failure::usage)?;
    let users = roles::users(config, &global.config).map_err(Failure::usage)?;
    let timeout = config.server.statement_timeout_seconds;
    let engine = workspace.engine().await?;
    roles::check(&users, &engine.schema_names(), engine.time_zone()).map_err(Failure::usage)?;
    #[cfg(feature = "workers")]
    super::worker::employ(&engine, config, &arguments.workers).await?;
    #[cfg(not(feature = "workers"))]
    without_workers(config).map_err(Failure::usage)?;
    let options = ServerOptions {
        listen: address(arguments.listen.as_deref().unwrap_or(&config.server.listen)).map_err(Failure::usage)?,
        next_free_port: false,
        tls: tls(config).map_err(Failure::usage)?,
        users,
        max_connections: config.server.max_connections,
        statement_timeout: (timeout > 0).then(|| Duration::from_secs(timeout)),
        descriptions: Some(descriptions(&engine)),
        keys: Some(keys(&engine)),
        sessions: sessions(engine),
        audit: Some(audit(config)),
        http: page(config, arguments.http.as_deref(), clock).map_err(Failure::usage)?,
    };
    let name = options.users.first().map(|user| user.name.clone()).unwrap_or_default();
    let server = crate::server::serve(options, stop.token()).await.map_err(Failure::usage)?;
    workspace.warn_if_empty().await?;
    let address = server.address();
    let _ = writeln!(
        std::io::stderr(),
        "serving on {address}, Ctrl-C ends it\n\n    psql \"host={} port={} dbname={DATABASE} user={name}\"\n",
        reachable(address),
        address.port()
    );
    if let Some(page) = server.page_address() {
        let scheme = if config.server.tls.is_some() { "https" } else { "http" };
        let place = SocketAddr::new(reachable(page), page.port());
        let _ = writeln!(std::io::stderr(), "the page is at {scheme}://{place}/\n");
    }
    match runner {
        // What still runs when the server ends is ended with it.
        Some(runner) => drop(tokio::join!(server.stopped(), runner.run())),
        None => server.stopped().await,
    }
    Ok(0)
}

/// What carries the schedule out beside the server.
fn schedule(global: &Global, config: &Config, clock: Clock, stop: &Stop) -> anyhow::Result<Arc<Runner>> {
    schedule::refuse_empty(config, &global.config)?;
    Runner::new(global, config, clock, stop.token())
}

/// Refuses settings that this program cannot follow.
#[cfg(not(feature = "workers"))]
fn without_workers(config: &Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        config.workers.urls.is_empty(),
        "[workers] urls: this program was built without workers\nhint: cargo build --release --features workers"
    );
    Ok(())
}

/// Where and how the page is served; none if neither the command nor the settings say where.
fn page(config: &Config, listen: Option<&str>, clock: Clock) -> anyhow::Result<Option<HttpOptions>> {
    let Some(listen) = listen.or(config.http.listen.as_deref()) else { return Ok(None) };
    Ok(Some(HttpOptions {
        firm: config.firm.name.clone(),
        zone: config.firm.timezone.parse().map_err(|error| anyhow::anyhow!("read [firm] timezone: {error}"))?,
        stale: Duration::from_hours(u64::try_from(config.checks.freshness_hours).unwrap_or(0)),
        sources: config.sources.keys().cloned().collect(),
        schedule: (!config.schedule.is_empty()).then(|| schedule::watch(config, clock)).transpose()?,
        idle: config.http.idle(),
        longest: config.http.longest(),
        open_metrics: config.http.metrics == MetricsAccess::Local,
        ..HttpOptions::at(address(listen).context("[http] listen")?)
    }))
}

/// The certificate that the settings name, its paths relative to theirs.
pub(super) fn tls(config: &Config) -> anyhow::Result<Option<Tls>> {
    let Some(tls) = &config.server.tls else { return Ok(None) };
    let path = |path: &PathBuf| config.directory.join(path);
    let client_ca = tls.client_ca.as_ref().map(path);
    Tls::read(&path(&tls.certificate), &path(&tls.key), client_ca.as_deref()).map(Some)
}

/// Where sessions and statements are told of, its path relative to the settings.
fn audit(config: &Config) -> AuditOptions {
    let server = &config.server;
    AuditOptions {
        path: config.directory.join(&server.audit_log),
        bytes_max: server.audit_log_max_mb.saturating_mul(1 << 20),
        files: server.audit_log_files,
    }
}

/// What a client on this machine connects to.
fn reachable(address: SocketAddr) -> IpAddr {
    if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() }
}

/// `host:port`, with a name looked up.
pub(super) fn address(text: &str) -> anyhow::Result<SocketAddr> {
    let mut found = text
        .to_socket_addrs()
        .with_context(|| format!("listen on {text}: not an address\nhint: host:port, such as 127.0.0.1:5433"))?;
    found.next().with_context(|| format!("listen on {text}: the name has no address"))
}

/// A session of the engine for each connection.
pub(super) fn sessions(engine: Arc<Engine>) -> SessionFactory {
    Arc::new(move |request: SessionRequest| {
        let engine = Arc::clone(&engine);
        async move { engine.session(&request).await.map_err(anyhow::Error::from) }.boxed()
    })
}

/// The constraints that clients are shown.
pub(super) fn keys(engine: &Arc<Engine>) -> TableKeysOf {
    let engine = Arc::clone(engine);
    Arc::new(move |schema: &str, table: &str| {
        engine.catalog_keys().get(&(schema.to_owned(), table.to_owned())).cloned()
    })
}

/// What `\dn+` says of a schema, `\d+` of a view and of its columns.
pub(super) fn descriptions(engine: &Arc<Engine>) -> Descriptions {
    let engine = Arc::clone(engine);
    Arc::new(move |schema: &str, view: &str, column: Option<&str>| {
        if view.is_empty() {
            let known = SCHEMAS.iter().find(|known| known.0 == schema).map(|known| known.1.to_owned());
            return Some(
                known.unwrap_or_else(|| format!("the source {schema}: its tables, each record also as received")),
            );
        }
        let found = engine.catalog_descriptions().get(&(schema.to_owned(), view.to_owned()));
        let own = found.and_then(|found| column.map_or(Some(&found.text), |column| found.columns.get(column)));
        own.cloned().or_else(|| match column {
            Some(column) => technical(column).map(str::to_owned),
            None if schema == "history" => Some(format!("{view}: every version of every row")),
            None if SCHEMAS.iter().any(|known| known.0 == schema) => None,
            None => Some(format!("{view} of {schema}, as extracted: one row per record")),
        })
    })
}

/// What the columns say that tieout gives each table as extracted, and its history.
fn technical(column: &str) -> Option<&'static str> {
    Some(match column {
        KEY => "the record's key, as text",
        SCOPE => "the keys of the records that it was listed under; empty where its table is one list",
        RAW => "the record as received, in JSON, redacted",
        HASH => "SHA-256 of the record as it is compared",
        HASH_BEFORE => "that of the version before",
        OP => "I inserted, U updated, D deleted",
        COMMIT => "the commit that last changed the record",
        EXTRACTED_AT => "when its page was received, UTC",
        "valid_from" => "from this commit's moment on, UTC",
        "valid_to" => "until this commit's moment, UTC; null = still",
        _ => return None,
    })
}
