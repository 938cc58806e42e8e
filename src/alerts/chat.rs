//! A chat by webhook: Slack's blocks, an Adaptive Card for Teams, or plain JSON.

use std::time::Duration;

use chrono::SecondsFormat;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};
use url::Url;

use super::message::{Message, title};
use super::receiver::Refusal;
use crate::config::WebhookFormat;
use crate::extract::Secret;

/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Letters of one block of Slack.
const SLACK_LETTERS_MAX: usize = 2_800;
/// Blocks of one message of Slack, less its heading and its last line.
const SLACK_BLOCKS_MAX: usize = 45;
/// Bytes of all lines of a card: Teams takes 28 kB with what is around them.
const TEAMS_BYTES_MAX: usize = 18_000;

/// A webhook, ready to be called. It prints nothing of its address.
pub(crate) struct Chat {
    pub(super) url: Secret,
    pub(super) format: WebhookFormat,
}

impl Chat {
    /// Host and port, which are no secret.
    pub(super) fn place(&self) -> Result<(String, u16), Refusal> {
        let url = self.url()?;
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok((host, url.port_or_known_default().unwrap_or(443)))
    }

    fn url(&self) -> Result<Url, Refusal> {
        let hint = "an address such as https://hooks.slack.com/services/…, as the chat shows it";
        let url = Url::parse(self.url.expose().trim())
            .map_err(|error| Refusal::lasting(format!("the webhook's url is none: {error}"), hint))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(Refusal::lasting("the webhook's url is no address of the web", hint));
        }
        Ok(url)
    }

    /// Sends some messages as one.
    pub(super) async fn send(&self, firm: &str, messages: &[Message]) -> Result<(), Refusal> {
        let url = self.url()?;
        let host = url.host_str().unwrap_or_default().to_owned();
        crate::extract::install_crypto();
        let client = client(&url).map_err(|error| Refusal::lasting(format!("prepare for {host}: {error}"), ""))?;
        let body = self.body(firm, messages);
        // Whoever reads an error must not learn the address.
        let sent = client.post(url).json(&body).send().await.map_err(reqwest::Error::without_url);
        let answer = sent.map_err(|error| unreachable(&host, &error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let said: String = answer.text().await.unwrap_or_default().chars().take(200).collect();
        let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
        let text = format!("{host} answered {status}{said}");
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Refusal { wait, ..Refusal::passing(text) },
            status if status.is_server_error() => Refusal { wait, ..Refusal::passing(text) },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
                Refusal::lasting(
                    text,
                    "the address was withdrawn or is mistyped: make a new webhook, and change the secret",
                )
            }
            status if status.is_redirection() => {
                Refusal::lasting(text, "the address leads elsewhere: use the one that it leads to")
            }
            _ => Refusal::lasting(text, "does [alerts.webhook] format fit the chat?"),
        })
    }

    fn body(&self, firm: &str, messages: &[Message]) -> Value {
        match self.format {
            WebhookFormat::Slack => slack(firm, messages),
            WebhookFormat::Teams => teams(firm, messages),
            WebhookFormat::Json => json!({ "firm": firm, "title": title(firm, messages), "messages": messages }),
        }
    }
}

fn client(url: &Url) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("tieout/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    let is_local = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    match (is_local, url.scheme()) {
        // This machine's own ports need no proxy, and without TLS no certificates, which a bare machine may not have.
        (true, "http") => builder.no_proxy().tls_certs_only([]).build(),
        (true, _) => builder.no_proxy().build(),
        (false, _) => builder.build(),
    }
}

fn unreachable(host: &str, error: &reqwest::Error) -> Refusal {
    let mut causes = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    causes.dedup();
    let said = causes.join(": ");
    if error.is_timeout() {
        return Refusal::passing(format!("{host} did not answer within {} s", TIMEOUT.as_secs()));
    }
    if said.contains("certificate") || said.contains("UnknownIssuer") {
        let hint =
            "the machine does not trust who vouches for it: is a proxy between, are the machine's certificates old?";
        return Refusal {
            hint: hint.to_owned(),
            ..Refusal::passing(format!("{host} shows no valid certificate: {said}"))
        };
    }
    Refusal::passing(format!("{host} cannot be reached: {said}"))
}

/// Heading and sections. What was written elsewhere is text in it: `&`, `<` and `>` are Slack's own.
fn slack(firm: &str, messages: &[Message]) -> Value {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let heading = title(firm, messages);
    let heading_short: String = heading.chars().take(150).collect();
    let section = |text: &str| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    let mut blocks = vec![json!({ "type": "header", "text": { "type": "plain_text", "text": heading_short } })];
    let mut left = 0;
    for message in messages {
        let mut text = format!("*{}*", escaped(&message.title));
        for line in &message.lines {
            let line = escaped(line);
            if text.chars().count() + line.chars().count() > SLACK_LETTERS_MAX {
                text.push_str("\n…");
                break;
            }
            text.push('\n');
            text.push_str(&line);
        }
        if blocks.len() <= SLACK_BLOCKS_MAX { blocks.push(section(&text)) } else { left += 1 }
    }
    if left > 0 {
        blocks.push(section(&format!("… and {left} more messages")));
    }
    json!({ "text": escaped(&heading), "blocks": blocks })
}

/// The envelope of a workflow's card.
fn teams(firm: &str, messages: &[Message]) -> Value {
    let block = |text: &str, is_title: bool| {
        let weight = if is_title { "Bolder" } else { "Default" };
        json!({ "type": "TextBlock", "text": text, "weight": weight, "wrap": true, "spacing": if is_title { "Medium" } else { "Small" } })
    };
    // Links and emphasis of Markdown are none of ours.
    let plain = |text: &str| text.replace('[', "(").replace(']', ")").replace(['*', '_', '`'], "\u{2009}");
    let mut body = vec![json!({
        "type": "TextBlock", "size": "Large", "weight": "Bolder", "wrap": true, "text": plain(&title(firm, messages)),
    })];
    let (mut bytes, mut left) = (0, 0);
    for message in messages {
        let lines = std::iter::once((&message.title, true)).chain(message.lines.iter().map(|line| (line, false)));
        for (line, is_title) in lines {
            bytes += line.len() + 80;
            if bytes > TEAMS_BYTES_MAX { left += 1 } else { body.push(block(&plain(line), is_title)) }
        }
    }
    if left > 0 {
        body.push(block(&format!("… and {left} more lines"), false));
    }
    let at = messages.last().map(|message| message.at.to_rfc3339_opts(SecondsFormat::Secs, true));
    body.push(json!({ "type": "TextBlock", "isSubtle": true, "size": "Small", "text": at.unwrap_or_default() }));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::message::Kind;
    use super::*;

    fn messages(count: usize) -> Vec<Message> {
        let line = "Beam & Sons <b> [24-001] *x*".to_owned();
        let message = |number: usize| {
            Message::new(
                number.to_string(),
                DateTime::UNIX_EPOCH,
                Kind::Exceptions,
                "3 new <exceptions>",
                &vec![line.clone(); 9],
            )
        };
        (0..count).map(message).collect()
    }

    #[test]
    fn what_a_system_wrote_is_text_in_slack() {
        let body = slack("Our firm", &messages(1));
        assert_eq!(body["text"], "Our firm: 3 new &lt;exceptions&gt;");
        assert_eq!(body["blocks"][0]["text"]["text"], "Our firm: 3 new <exceptions>", "a heading is plain text");
        let text = body["blocks"][1]["text"]["text"].as_str().unwrap();
        assert!(text.contains("Beam &amp; Sons &lt;b&gt;") && !text.contains("<b>"), "{text}");
    }

    #[test]
    fn a_card_stands_in_its_envelope() {
        let body = teams("Our firm", &messages(1));
        assert_eq!(body["type"], "message");
        let card = &body["attachments"][0];
        assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!((&card["content"]["type"], &card["content"]["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
        let text = card["content"]["body"].to_string();
        assert!(text.contains("(24-001)") && !text.contains('*'), "{text}");
    }

    #[test]
    fn many_messages_fit_what_a_chat_takes() {
        let many = messages(300);
        let blocks = slack("", &many);
        let blocks = blocks["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        assert_eq!(blocks.last().unwrap()["text"]["text"], "… and 255 more messages");
        let card = teams("", &many).to_string();
        assert!(card.len() < 28_000 && card.contains("more lines"), "{}", card.len());
    }
}
