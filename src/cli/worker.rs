//! `tieout worker`: carries out parts of a server's queries. And who works for this process, for `serve` and `sql`.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use super::serve::address;
use super::workspace::Workspace;
use super::{Failure, Global, Stop};
use crate::config::Config;
use crate::engine::Engine;
use crate::engine::workers::{LineOptions, Lines, WorkerOptions, WorkerTls, Workers, check_address};
use crate::extract::Secret;
use crate::server;

/// Arguments of `worker`.
#[derive(Args, Debug)]
pub(super) struct WorkerArguments {
    /// Address and port; default from [workers] listen
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

pub(super) async fn run(global: &Global, arguments: &WorkerArguments) -> Result<u8, Failure> {
    let stop = Stop::listen()?;
    stop.hang_up()?;
    let workspace = Workspace::open_existing(global).await?;
    let config = &workspace.setup.config;
    let listen = arguments.listen.as_deref().unwrap_or(&config.workers.listen);
    let path = |path| config.directory.join(path);
    let options = WorkerOptions {
        listen: address(listen).map_err(Failure::usage)?,
        tls: config
            .server
            .tls
            .as_ref()
            .map(|tls| WorkerTls { certificate: path(&tls.certificate), key: path(&tls.key) }),
        secret: secret(config).map_err(Failure::usage)?,
        authorities: config.workers.ca.as_ref().map(path),
        functions: server::statement_functions(),
        rewrite: server::giving_way,
    };
    let has_secret = options.secret.is_some();
    let engine = workspace.engine().await?;
    let worker = engine.work(options, stop.token()).await.map_err(Failure::usage)?;
    let note = if has_secret {
        ""
    } else {
        "note: anybody on this machine may ask it; [workers] secret lets in servers that know it\n"
    };
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let _ = writeln!(
        std::io::stderr(),
        "working at {scheme}://{} over {}, Ctrl-C ends it\n{note}",
        worker.address(),
        workspace.warehouse.location()
    );
    worker.stopped().await;
    Ok(0)
}

/// Lets an engine send plans to the workers that are named after `--workers`, else in the settings.
pub(super) async fn employ(engine: &Arc<Engine>, config: &Config, named: &[String]) -> Result<(), Failure> {
    let named = if named.is_empty() { &config.workers.urls } else { named };
    if named.is_empty() {
        return Ok(());
    }
    let urls = named.iter().map(|url| check_address(url.trim())).collect::<Result<Vec<_>, _>>();
    let urls = urls.map_err(Failure::usage)?;
    let secret = secret(config).map_err(Failure::usage)?;
    let authorities = config.workers.ca.as_ref().map(|path| config.directory.join(path));
    let warehouse = engine.warehouse().id();
    let options = LineOptions { secret: secret.as_ref(), authorities: authorities.as_deref(), warehouse: &warehouse };
    let lines = Lines::new(&options).map_err(Failure::usage)?;
    let workers = Workers::meet(urls, lines, config.workers.rows_min).await;
    engine.employ(workers, &server::statement_functions());
    Ok(())
}

fn secret(config: &Config) -> anyhow::Result<Option<Secret>> {
    let Some(secret) = &config.workers.secret else { return Ok(None) };
    secret.resolve("workers.secret", &config.directory).map(Some).context("[workers] secret")
}
