//! A mail server that knows one user: in clear, by STARTTLS, or in TLS from the first byte.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Clear,
    Starttls,
    Tls,
}

/// A mail server that takes mail unless it is told not to.
pub(super) struct Post {
    speech: Speech,
    acceptor: Option<TlsAcceptor>,
    /// Answered to RCPT instead of 250, once each.
    pub(super) refusals: Mutex<VecDeque<&'static str>>,
    /// How often a mail is taken and nobody told of it.
    pub(super) silences: Mutex<usize>,
    mails: Mutex<Vec<String>>,
    /// What came in clear.
    overheard: Mutex<String>,
}

/// How a conversation goes on.
enum Next<S> {
    Over,
    /// The client wants TLS.
    Secret(S),
}

pub(super) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

impl Post {
    /// In clear.
    pub(super) async fn start() -> (Arc<Self>, u16) {
        Self::speaking(Speech::Clear, "server").await
    }

    /// With the certificate of a name among the fixtures.
    pub(super) async fn speaking(speech: Speech, certificate: &str) -> (Arc<Self>, u16) {
        let acceptor = (speech != Speech::Clear).then(|| acceptor(certificate));
        let (refusals, silences, mails, overheard) = Default::default();
        let post = Arc::new(Self { speech, acceptor, refusals, silences, mails, overheard });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let number = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&post);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let post = Arc::clone(&shared);
                tokio::spawn(async move { post.receive(stream).await });
            }
        });
        (post, number)
    }

    async fn receive(&self, mut stream: TcpStream) -> std::io::Result<()> {
        const GREETING: &[u8] = b"220 post.example ESMTP\r\n";
        if let (Speech::Tls, Some(acceptor)) = (self.speech, &self.acceptor) {
            let mut stream = acceptor.accept(stream).await?;
            stream.write_all(GREETING).await?;
            return self.talk(stream, false).await.map(drop);
        }
        stream.write_all(GREETING).await?;
        if let (Next::Secret(stream), Some(acceptor)) = (self.talk(stream, true).await?, &self.acceptor) {
            let stream = acceptor.accept(stream).await?;
            self.talk(stream, false).await?;
        }
        Ok(())
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, is_clear: bool) -> std::io::Result<Next<S>> {
        let mut stream = BufReader::new(stream);
        let mut is_signed_in = false;
        let offers = is_clear && self.speech == Speech::Starttls;
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 0 {
            if is_clear {
                self.overheard.lock().unwrap().push_str(&line);
            }
            let answer = match line.split_whitespace().next().unwrap_or_default().to_uppercase().as_str() {
                "EHLO" if offers => "250-post.example\r\n250 STARTTLS\r\n".to_owned(),
                "EHLO" => "250-post.example\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n".to_owned(),
                "STARTTLS" if offers => {
                    stream.write_all(b"220 go ahead\r\n").await?;
                    return Ok(Next::Secret(stream.into_inner()));
                }
                "AUTH" => {
                    // "\0tieout\0correct-horse"
                    is_signed_in = line.trim_end().ends_with("AHRpZW91dABjb3JyZWN0LWhvcnNl");
                    if is_signed_in { "235 ok\r\n" } else { "535 5.7.8 bad credentials\r\n" }.to_owned()
                }
                "MAIL" if !is_signed_in => "530 5.7.0 sign in first\r\n".to_owned(),
                "RCPT" => self.refusals.lock().unwrap().pop_front().unwrap_or("250 ok").to_owned() + "\r\n",
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    let mail = mail(&mut stream).await?;
                    self.mails.lock().unwrap().push(mail);
                    let mut silences = self.silences.lock().unwrap();
                    if *silences > 0 {
                        *silences -= 1;
                        return Ok(Next::Over);
                    }
                    "250 taken\r\n".to_owned()
                }
                "QUIT" => "221 bye\r\n".to_owned(),
                _ => "250 ok\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).await?;
            line.clear();
        }
        Ok(Next::Over)
    }

    /// The mails since it was last asked.
    pub(super) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.mails.lock().unwrap())
    }

    /// What anybody between could have read.
    pub(super) fn overheard(&self) -> String {
        self.overheard.lock().unwrap().clone()
    }
}

/// A mail up to its end, lines with a line feed.
async fn mail<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<String> {
    let (mut mail, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).await? > 0 && line.trim_end() != "." {
        mail.push_str(line.trim_end());
        mail.push('\n');
        line.clear();
    }
    Ok(mail)
}

fn acceptor(name: &str) -> TlsAcceptor {
    let certificates = CertificateDer::pem_file_iter(fixture(&format!("{name}.crt"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let certificates = certificates.map(Result::unwrap).collect();
    TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_single_cert(certificates, key).unwrap()))
}

/// Settings for one in clear.
pub(super) fn smtp(port: u16) -> String {
    format!(
        "[alerts.smtp]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nuser = \"tieout\"\npassword = {{ file = \"password\" }}\n\
         from = \"tieout <tieout@example.com>\"\nto = [\"ada@example.com\"]\n"
    )
}
