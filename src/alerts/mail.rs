//! Mail by SMTP.

use std::fmt::Write as _;
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters, TlsParametersBuilder};
use lettre::{SmtpTransport, Transport as _};
use sha2::{Digest as _, Sha256};

use super::message::{Message, title};
use super::receiver::Refusal;
use crate::config::{SmtpConfig, SmtpTls};
use crate::extract::Secret;

/// How long each step of the conversation may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A mail server, and who gets mail through it.
pub(crate) struct Mail {
    pub(super) config: SmtpConfig,
    pub(super) password: Option<Secret>,
    /// The authorities that the server's certificate must come from; those that the machine trusts without them.
    pub(super) authorities: Option<Vec<Certificate>>,
}

impl Mail {
    /// Host and port.
    pub(super) fn place(&self) -> (String, u16) {
        (self.config.host.clone(), self.config.port())
    }

    /// Sends some messages as one.
    pub(super) async fn send(&self, firm: &str, messages: &[Message]) -> Result<(), Refusal> {
        let mail = self.mail(firm, messages)?;
        let transport = self.transport()?;
        let place = format!("{}:{}", self.config.host, self.config.port());
        // The conversation blocks; it has its own thread.
        let sent = tokio::task::spawn_blocking(move || transport.send(&mail)).await;
        match sent {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(refusal(&place, &error, self.config.tls)),
            Err(error) => Err(Refusal::passing(format!("{place}: {error}"))),
        }
    }

    fn transport(&self) -> Result<SmtpTransport, Refusal> {
        let SmtpConfig { host, user, tls, .. } = &self.config;
        let parameters = || {
            let builder = TlsParameters::builder(host.clone());
            let builder = match &self.authorities {
                Some(own) => {
                    let builder = builder.certificate_store(CertificateStore::None);
                    own.iter().cloned().fold(builder, TlsParametersBuilder::add_root_certificate)
                }
                None => builder,
            };
            builder.build_rustls().map_err(|error| Refusal::lasting(format!("prepare TLS for {host}: {error}"), ""))
        };
        let tls = match tls {
            SmtpTls::None => Tls::None,
            SmtpTls::Starttls => Tls::Required(parameters()?),
            SmtpTls::Tls => Tls::Wrapper(parameters()?),
        };
        let builder = SmtpTransport::builder_dangerous(host).port(self.config.port()).tls(tls).timeout(Some(TIMEOUT));
        Ok(match (user, &self.password) {
            (Some(user), Some(password)) => {
                builder.credentials(Credentials::new(user.clone(), password.expose().to_owned())).build()
            }
            _ => builder.build(),
        })
    }

    fn mail(&self, firm: &str, messages: &[Message]) -> Result<lettre::Message, Refusal> {
        let address = |text: &str| {
            text.parse::<Mailbox>()
                .map_err(|error| Refusal::lasting(format!("`{text}` is no mail address: {error}"), ""))
        };
        let (from, subject, text) = (address(&self.config.from)?, title(firm, messages), text(messages));
        let id = message_id(from.email.domain(), &subject, &text, messages);
        let mut builder =
            lettre::Message::builder().message_id(Some(id)).from(from).subject(subject).header(ContentType::TEXT_PLAIN);
        for receiver in &self.config.to {
            builder = builder.to(address(receiver)?);
        }
        builder.body(text).map_err(|error| Refusal::lasting(format!("write the mail: {error}"), ""))
    }
}

/// What the mail is known by: the same whenever the same is sent, so that a second copy, after a server took the first and nobody
/// heard of it, is known for one. Its text is part of it, and each occurrence with its moment: two firms that both made their third
/// commit send two mails.
fn message_id(domain: &str, subject: &str, text: &str, messages: &[Message]) -> String {
    let mut hash = Sha256::new();
    for part in [subject, text] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    for message in messages {
        hash.update(message.id.as_bytes());
        hash.update(message.at.timestamp_micros().to_be_bytes());
    }
    let digest = hex::encode(hash.finalize());
    format!("<tieout.{}@{domain}>", digest.get(..32).unwrap_or(&digest))
}

fn text(messages: &[Message]) -> String {
    let mut out = String::new();
    for message in messages {
        out.push_str(&message.title);
        out.push('\n');
        for line in &message.lines {
            out.push_str("  ");
            out.push_str(line);
            out.push('\n');
        }
        let _ = write!(out, "  {}\n\n", message.at.format("%Y-%m-%d %H:%M UTC"));
    }
    out.push_str("-- \ntieout; [alerts] in tieout.toml says who is told of what\n");
    out
}

/// What a server or the way to it said.
fn refusal(place: &str, error: &lettre::transport::smtp::Error, tls: SmtpTls) -> Refusal {
    let mut causes = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !causes.iter().any(|said| said.contains(&text)) {
            causes.push(text);
        }
        cause = inner.source();
    }
    let said = causes.join(": ");
    let code = error.status().map(|code| code.to_string().parse::<u16>().unwrap_or_default()).unwrap_or_default();
    let text = format!("{place} {}: {said}", if code > 0 { "refused" } else { "failed" });
    let hint = match code {
        530 | 534 | 535 | 538 => "user and password of [alerts.smtp]; some servers want a password for programs",
        550 | 551 | 553 | 554 => "may this sender write to these receivers? from and to of [alerts.smtp]",
        _ if error.is_tls() || said.contains("STARTTLS") || said.contains("certificate") => match tls {
            _ if said.contains("certificate") => {
                "host must be the name in the server's certificate, and its authority one that the machine trusts, or that \
                 [alerts.smtp] ca = \"ca.pem\" names"
            }
            SmtpTls::Starttls => "does the server know STARTTLS? else tls = \"tls\"",
            _ => "does the server speak TLS from the first byte? else tls = \"starttls\"",
        },
        _ if error.is_timeout() => "is something between that lets nothing through? Providers often block port 25",
        0 => "host and port of [alerts.smtp]: is the name right, does a firewall stand between?",
        _ => "",
    };
    let is_lasting = error.is_permanent();
    Refusal { hint: hint.to_owned(), is_lasting, ..Refusal::passing(text) }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::message::Kind;
    use super::*;

    #[test]
    fn a_mail_is_plain_text_that_a_header_cannot_escape_from() {
        let config = SmtpConfig {
            host: "127.0.0.1".to_owned(),
            port: None,
            tls: SmtpTls::None,
            user: None,
            password: None,
            from: "tieout <tieout@example.com>".to_owned(),
            ca: None,
            to: vec!["ada@example.com".to_owned(), "Bob <bob@example.com>".to_owned()],
        };
        let mail = Mail { config, password: None, authorities: None };
        let title = "3 new\r\nBcc: eve@example.com";
        let message = Message::new("x", DateTime::UNIX_EPOCH, Kind::Test, title, &["Überstunden".to_owned()]);
        let bytes = mail.mail("Our firm", &[message]).unwrap().formatted();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
        assert!(text.contains("To: ada@example.com, Bob <bob@example.com>"), "{text}");
        assert!(text.contains("Subject: Our firm: 3 new"), "{text}");
    }

    #[test]
    fn the_same_is_known_for_the_same_and_for_nothing_else() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let message = |id: &str, second, title: &str| Message::new(id, at(second), Kind::Test, title, &[]);
        let of = |firm: &str, messages: &[Message]| {
            message_id("example.com", &title(firm, messages), &text(messages), messages)
        };
        let one = of("A", &[message("commit:3", 1, "x")]);
        assert_eq!(one, of("A", &[message("commit:3", 1, "x")]));
        assert!(one.starts_with("<tieout.") && one.ends_with("@example.com>") && one.is_ascii(), "{one}");
        for other in [
            of("B", &[message("commit:3", 1, "x")]),
            of("A", &[message("commit:4", 1, "x")]),
            of("A", &[message("commit:3", 2, "x")]),
            of("A", &[message("commit:3", 1, "y")]),
            of("A", &[message("commit:3", 1, "x"), message("commit:4", 1, "x")]),
        ] {
            assert_ne!(one, other);
        }
    }
}
