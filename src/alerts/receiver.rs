//! Who is told, and what became of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use backon::{ExponentialBuilder, Retryable as _};
use lettre::transport::smtp::client::Certificate;

use super::chat::Chat;
use super::mail::Mail;
use super::message::Message;
use crate::certificates;
use crate::config::AlertsConfig;

/// How often a message is sent before it waits for the next time.
const ATTEMPTS_MAX: usize = 3;
/// The longest wait for which a receiver is waited for at once.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Somebody who is told.
pub(crate) enum Receiver {
    /// A chat.
    Chat(Chat),
    /// Mail.
    Mail(Mail),
}

/// Why nobody was told. Without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What happened, where.
    pub(crate) text: String,
    /// What to try; empty if nothing is known.
    pub(crate) hint: String,
    /// Trying again at once would not help.
    pub(crate) is_lasting: bool,
    /// Seconds that the receiver asks for.
    pub(crate) wait: Option<u64>,
}

impl Refusal {
    /// It may be over soon.
    pub(super) fn passing(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: String::new(), is_lasting: false, wait: None }
    }

    /// Somebody must do something.
    pub(super) fn lasting(text: impl Into<String>, hint: &str) -> Self {
        Self { hint: hint.to_owned(), is_lasting: true, ..Self::passing(text) }
    }

    /// A secret that cannot be read, or a setting that is wrong.
    pub(crate) fn unprepared(text: String) -> Self {
        Self { is_lasting: true, ..Self::passing(text) }
    }

    /// Message and hint, as errors are written.
    pub(crate) fn told(&self) -> String {
        if self.hint.is_empty() { self.text.clone() } else { format!("{}\nhint: {}", self.text, self.hint) }
    }
}

/// The receivers that the settings name, with their secrets read; what cannot be read is told by receiver.
pub(crate) fn receivers(config: &AlertsConfig, directory: &Path) -> Vec<(String, Result<Receiver>)> {
    let mut receivers = Vec::new();
    if let Some(webhook) = &config.webhook {
        let url = webhook.url.resolve("alerts.webhook.url", directory);
        receivers.push(("webhook".to_owned(), url.map(|url| Receiver::Chat(Chat { url, format: webhook.format }))));
    }
    if let Some(smtp) = &config.smtp {
        let password = smtp.password.as_ref().map(|password| password.resolve("alerts.smtp.password", directory));
        let authorities = smtp.ca.as_ref().map(|ca| authorities(&directory.join(ca))).transpose();
        let mail = password.transpose().and_then(|password| {
            Ok(Receiver::Mail(Mail { config: smtp.clone(), password, authorities: authorities? }))
        });
        receivers.push(("smtp".to_owned(), mail));
    }
    receivers
}

/// The authorities in a PEM file, one at least.
fn authorities(path: &Path) -> Result<Vec<Certificate>> {
    let found = certificates::read(path).context("[alerts.smtp] ca")?;
    let found = found.into_iter().map(|certificate| Certificate::from_der(certificate.to_vec()));
    found.collect::<Result<_, _>>().with_context(|| format!("[alerts.smtp] ca: use {}", path.display()))
}

impl Receiver {
    /// Where it listens.
    ///
    /// # Errors
    /// A webhook's address that is none.
    pub(crate) fn place(&self) -> Result<(String, u16), Refusal> {
        match self {
            Self::Chat(chat) => chat.place(),
            Self::Mail(mail) => Ok(mail.place()),
        }
    }

    /// Sends some messages as one, and again where that may help soon.
    ///
    /// # Errors
    /// Why nobody was told.
    pub(crate) async fn send(&self, firm: &str, messages: &[Message]) -> Result<(), Refusal> {
        let attempt = || self.once(firm, messages);
        let steps = ExponentialBuilder::new().with_min_delay(Duration::from_secs(1)).with_max_times(ATTEMPTS_MAX - 1);
        let may_help = |refusal: &Refusal| {
            !refusal.is_lasting && refusal.wait.is_none_or(|wait| Duration::from_secs(wait) <= WAIT_MAX)
        };
        attempt
            .retry(steps)
            .when(may_help)
            .adjust(|refusal: &Refusal, delay| delay.map(|delay| delay.max(asked(refusal))))
            .await
    }

    /// Sends some messages as one.
    ///
    /// # Errors
    /// Why nobody was told.
    pub(crate) async fn once(&self, firm: &str, messages: &[Message]) -> Result<(), Refusal> {
        match self {
            Self::Chat(chat) => chat.send(firm, messages).await,
            Self::Mail(mail) => mail.send(firm, messages).await,
        }
    }
}

fn asked(refusal: &Refusal) -> Duration {
    refusal.wait.map_or(Duration::ZERO, Duration::from_secs)
}
