//! Certificates, and the ports that `serve` listens on.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use x509_certificate::X509Certificate;

use super::Findings;
use crate::cli::serve;
use crate::config::Config;
use crate::{alerts, certificates};

/// How long somebody may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A certificate that ends sooner is worth a word.
const DAYS_FEW: i64 = 30;
/// Asks a server of the protocol whether it speaks TLS; it answers with one letter.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

pub(super) fn certificates(config: &Config, now: DateTime<Utc>, findings: &mut Findings) {
    const ABOUT: &str = "certificate";
    let Some(tls) = &config.server.tls else { return };
    if let Err(error) = serve::tls(config) {
        return findings.error(2, ABOUT, &error);
    }
    let paths = [Some(&tls.certificate), tls.client_ca.as_ref()];
    for path in paths.into_iter().flatten().map(|path| config.directory.join(path)) {
        let found = match parsed(&path) {
            Ok(found) => found,
            Err(error) => {
                findings.error(2, ABOUT, &error);
                continue;
            }
        };
        for certificate in found {
            let name = certificate.subject_common_name().unwrap_or_else(|| "without a name".to_owned());
            let (from, until) = (certificate.validity_not_before(), certificate.validity_not_after());
            let says = format!("{} ({name}) is valid until {}", path.display(), until.format("%F"));
            let hint = "replace the files, and restart `tieout serve`";
            if now > until {
                let says = format!("{} ({name}) ended on {}", path.display(), until.format("%F"));
                findings.problem(2, ABOUT, says, hint);
            } else if now < from {
                let says = format!("{} ({name}) is valid from {} on", path.display(), from.format("%F"));
                findings.problem(2, ABOUT, says, "look at the clock of this machine, else wait");
            } else if until - now < TimeDelta::days(DAYS_FEW) {
                findings.warn(ABOUT, says, hint);
            } else {
                findings.ok(ABOUT, says);
            }
        }
    }
}

fn parsed(path: &Path) -> Result<Vec<X509Certificate>> {
    let found = certificates::read(path)?.into_iter().map(X509Certificate::from_der);
    found.collect::<Result<_, _>>().with_context(|| format!("read certificate {}", path.display()))
}

/// Free, or ours.
pub(super) async fn ports(config: &Config, findings: &mut Findings) {
    let places = [("[server] listen", Some(&config.server.listen)), ("[http] listen", config.http.listen.as_ref())];
    for (key, place) in places.into_iter().filter_map(|(key, place)| Some((key, place?))) {
        let address = match serve::address(place) {
            Ok(address) => address,
            Err(error) => {
                findings.error(2, key, &error);
                continue;
            }
        };
        if !address.ip().to_canonical().is_loopback() && config.server.tls.is_none() {
            let hint = "set [server.tls], or listen on 127.0.0.1 behind an SSH tunnel";
            findings.problem(2, key, format!("{address}: other machines could read along"), hint);
            continue;
        }
        match TcpListener::bind(address).await {
            Ok(_) => findings.ok(key, format!("{address} is free: no server runs")),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                let is_ours = if key.starts_with("[server]") { speaks(address).await } else { serves(address).await };
                if is_ours {
                    findings.ok(key, format!("a server answers at {address}"));
                } else {
                    let hint = "`ss --listening --processes` says who; choose another port";
                    findings.problem(2, key, format!("another program has {address}"), hint);
                }
            }
            Err(error) => findings.problem(2, key, format!("listen on {address}: {error}"), "choose another address"),
        }
    }
}

/// Who is told of alerts: does somebody listen there? Nothing is sent.
pub(super) async fn receivers(config: &Config, findings: &mut Findings) {
    if !config.schedule.is_empty() && !config.alerts.has_receiver() {
        let hint = "[alerts.webhook] or [alerts.smtp]; docs/alerts.md";
        findings.warn("alerts", "the schedule runs, and nobody is told when it fails", hint);
    }
    for (name, receiver) in alerts::receivers(&config.alerts, &config.directory) {
        let about = format!("alerts.{name}");
        let place = match receiver.map(|receiver| receiver.place()) {
            Ok(Ok(place)) => place,
            Ok(Err(refusal)) => {
                findings.problem(2, &about, refusal.text, &refusal.hint);
                continue;
            }
            Err(error) => {
                findings.error(2, &about, &error);
                continue;
            }
        };
        let (host, port) = place;
        match tokio::time::timeout(PATIENCE, TcpStream::connect((host.as_str(), port))).await {
            Ok(Ok(_)) => findings.ok(&about, format!("{host}:{port} listens: `tieout alerts test` sends a message")),
            Ok(Err(error)) => {
                let hint = "is the name right, does a firewall or a proxy stand between?";
                findings.problem(3, &about, format!("{host}:{port} cannot be reached: {error}"), hint);
            }
            Err(_) => {
                let hint = "does a firewall stand between?";
                findings.problem(3, &about, format!("{host}:{port} does not answer"), hint);
            }
        }
    }
}

/// Whether somebody at an address speaks the PostgreSQL protocol.
async fn speaks(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_u8().await
    };
    matches!(tokio::time::timeout(PATIENCE, ask).await, Ok(Ok(b'S' | b'N')))
}

/// Whether somebody at an address speaks HTTP, over TLS or not.
async fn serves(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await?;
        let mut start = [0; 4];
        stream.read_exact(&mut start).await.map(|_| start)
    };
    // A server of TLS answers what is none with an alert.
    tokio::time::timeout(PATIENCE, ask)
        .await
        .is_ok_and(|answer| answer.is_ok_and(|start| start == *b"HTTP" || start.first() == Some(&0x15)))
}
