//! TLS of the server: its certificate and key, and the rule that nothing leaves this machine without it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use pgwire::tokio::TlsAcceptor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::certificates;

/// A certificate with its key, ready to serve.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    needs_certificate: bool,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads a PEM file with the certificate and those that vouch for it, and a PEM file with the key. With `client_ca`, a
    /// PEM file too, every client needs a certificate that one of these authorities gave, beside its password.
    ///
    /// # Errors
    /// A file that cannot be read, holds nothing of its kind, or does not fit the other.
    pub fn read(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> anyhow::Result<Self> {
        let chain = certificates::read(certificate)?;
        let private = PrivateKeyDer::from_pem_file(key).with_context(|| format!("read key {}", key.display()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = match client_ca {
            Some(path) => clients(path, &provider)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choose the TLS versions")?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, private)
            .with_context(|| format!("use certificate {} with key {}", certificate.display(), key.display()))?;
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self { config: Arc::new(config), needs_certificate: client_ca.is_some() })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// The same certificate for browsers.
    pub(crate) fn browsers(&self) -> TlsAcceptor {
        let mut config = self.config.as_ref().clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Whether a client needs a certificate of its own.
    pub(crate) fn needs_certificate(&self) -> bool {
        self.needs_certificate
    }
}

/// Lets in whom one of the authorities in a file gave a certificate.
fn clients(path: &Path, provider: &Arc<CryptoProvider>) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for authority in certificates::read(path).context("[server.tls] client_ca")? {
        roots.add(authority).with_context(|| {
            format!("[server.tls] client_ca: use {}\nhint: it holds the authorities' own certificates", path.display())
        })?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .with_context(|| format!("[server.tls] client_ca: use {}", path.display()))
}

/// Refuses to listen where others could read along, or where nobody could log in.
pub(crate) fn is_safe(listen: SocketAddr, tls: Option<&Tls>) -> anyhow::Result<()> {
    if tls.is_some() || is_local(listen.ip()) {
        return Ok(());
    }
    bail!(
        "listen on {listen}: other machines could connect, and what they read would travel in clear\n\
         hint: set [server.tls] certificate and key in tieout.toml, or listen on 127.0.0.1 behind an SSH tunnel"
    )
}

/// Whether an address is this machine's own.
pub(crate) fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_talk_in_clear() {
        for (listen, safe) in [
            ("127.0.0.1:5433", true),
            ("127.9.9.9:5433", true),
            ("[::1]:5433", true),
            ("[::ffff:127.0.0.1]:5433", true),
            ("0.0.0.0:5433", false),
            ("[::]:5433", false),
            ("192.168.0.7:5433", false),
        ] {
            assert_eq!(is_safe(listen.parse().unwrap(), None).is_ok(), safe, "{listen}");
        }
    }
}
