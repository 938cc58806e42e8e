//! `tieout serve`: the warehouse over the Postgres protocol.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::workspace::Workspace;
use super::{Failure, Global};
use crate::engine::{Engine, SessionRequest};
use crate::server::{BoundServer, Descriptions, ServerOptions, SessionFactory, User};

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub(super) struct ServeArguments {
    /// Address and port; default from [server] listen
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

pub(super) async fn run(global: &Global, arguments: &ServeArguments) -> Result<u8, Failure> {
    let workspace = Workspace::open(global).await?;
    let config = &workspace.config;
    if config.roles.is_empty() {
        return Err(Failure::usage(anyhow!(
            "no [[roles]] in {}: nobody could log in\nhint: add one with a name and a password = {{ env = \"…\" }}",
            global.config.display()
        )));
    }
    let mut users = Vec::new();
    for role in &config.roles {
        let key = format!("roles.{}.password", role.name);
        let password = role.password.resolve(&key, &config.directory).map_err(Failure::usage)?;
        users.push(User { name: role.name.clone(), password: password.expose().to_owned() });
    }
    let timeout = config.server.statement_timeout_seconds;
    let engine = workspace.engine().await?;
    let options = ServerOptions {
        listen: address(arguments.listen.as_deref().unwrap_or(&config.server.listen)).map_err(Failure::usage)?,
        next_free_port: false,
        users,
        max_connections: config.server.max_connections,
        statement_timeout: (timeout > 0).then(|| Duration::from_secs(timeout)),
        descriptions: Some(descriptions(&engine)),
        sessions: sessions(engine),
    };
    let stop = CancellationToken::new();
    let server = crate::server::serve(options, stop.clone()).await.map_err(Failure::usage)?;
    writeln!(std::io::stderr(), "serving on {}", server.address()).map_err(Failure::usage)?;
    wait(server, stop).await;
    Ok(0)
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

/// What `\d+` says of a view, or of one of its columns.
pub(super) fn descriptions(engine: &Arc<Engine>) -> Descriptions {
    let engine = Arc::clone(engine);
    Arc::new(move |schema: &str, view: &str, column: Option<&str>| {
        let found = engine.catalog_descriptions().get(&(schema.to_owned(), view.to_owned()))?;
        column.map_or_else(|| Some(found.text.clone()), |column| found.columns.get(column).cloned())
    })
}

/// Serves until Ctrl-C.
pub(super) async fn wait(server: BoundServer, stop: CancellationToken) {
    let _ = tokio::signal::ctrl_c().await;
    stop.cancel();
    server.stopped().await;
}
