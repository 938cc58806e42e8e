//! What a source says when it does not do what it was asked: what is tried again, what is final, and how it is worded.
//!
//! Some systems wrap an error in a body of their own, some send one with a good status. Of such an error the message is
//! shown, not the wrapping; and where it names a field of the request that it cannot take, that is told apart, so that the
//! request can be made without it.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use tieout_json::{Json, Kind, Node, look_up};

use super::client::{Client, Trouble};
use super::failure::{Failure, FailureKind};
use super::manifest::Rest;

/// What to try where the source itself fails.
const SERVER_HINT: &str = "the source itself fails: try again later; if it stays, show its administrator this message";
/// What to try where its rate limit stays used up.
pub(super) const LIMIT_HINT: &str = "its rate limit stays used up, perhaps by other applications: run at another time";
/// What to try where a right is missing.
const DENIED_HINT: &str = "ask an administrator of the system for read permission";

/// Where a body tells an error, and what of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// Paths to it, the first that leads to an object counts.
    pub at: Vec<String>,
    /// The field with its text.
    pub message: String,
    /// The field with its number or name.
    #[serde(default)]
    pub code: Option<String>,
    /// The field with the name of what it refuses in the request.
    #[serde(default)]
    pub field: Option<String>,
}

/// The words by which a source's errors are told apart.
#[derive(Debug)]
pub(super) struct Words {
    retry: Vec<String>,
    last: Vec<String>,
    denied: Vec<String>,
    errors: Option<Errors>,
    not_found_hint: String,
    unauthorized_hint: Option<String>,
}

/// An error as its body words it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    message: String,
    code: Option<String>,
    field: Option<String>,
}

impl Words {
    pub(super) fn new(rest: &Rest) -> Self {
        let hint = || "the path may be wrong, or the system hides what we may not read".into();
        Self {
            retry: rest.retry_text.clone(),
            last: rest.final_text.clone(),
            denied: rest.denied_text.clone(),
            errors: rest.errors.clone(),
            not_found_hint: rest.not_found_hint.clone().unwrap_or_else(hint),
            unauthorized_hint: rest.unauthorized_hint.clone(),
        }
    }

    /// Whether an error would be the same again.
    pub(super) fn are_final(&self, text: &str) -> bool {
        says(&self.last, text)
    }

    /// The failure of a request whose token had just been given.
    pub(super) fn second_token(&self, failure: Failure) -> Failure {
        let hint = self.unauthorized_hint.clone().or(failure.hint);
        Failure { hint, ..failure }
    }

    /// The error that a body holds.
    pub(super) fn error_in(&self, body: &Json) -> Option<Told> {
        let errors = self.errors.as_ref()?;
        let found = errors.at.iter().find_map(|path| look_up(body.root(), path, None).ok().flatten());
        let error = found.filter(|error| error.kind() == Kind::Object)?;
        let text = |path: &str| -> Option<String> {
            let value = look_up(error, path, None).ok().flatten()?;
            Some(value.letters().into_owned()).filter(|text| !text.is_empty())
        };
        let message = text(&errors.message).unwrap_or_else(|| Node::raw(error).to_owned());
        let code = errors.code.as_deref().and_then(text).filter(|code| is_code(code));
        Some(Told { message, code, field: errors.field.as_deref().and_then(text) })
    }
}

impl Client {
    /// What is to be done about an answer that is an error, also one with a good status.
    pub(super) fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8], request: String) -> Trouble {
        let told = Json::read(body).ok().and_then(|body| self.words.error_in(&body));
        let mut excerpt = self.scrubber.excerpt(told.as_ref().map_or(body, |told| told.message.as_bytes()));
        // An error's number is no number of a record: it is what people look an error up by.
        if let Some(code) = told.as_ref().and_then(|told| told.code.as_ref()) {
            excerpt = format!("{excerpt} ({})", self.scrubber.scrub(code));
        }
        let text = String::from_utf8_lossy(body);
        let is_rate_limit = status == StatusCode::TOO_MANY_REQUESTS || says(&self.words.retry, &text);
        let is_denied = !is_rate_limit && says(&self.words.denied, &text);
        let kind = match status {
            _ if is_rate_limit => FailureKind::Other,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FailureKind::Denied,
            _ if is_denied => FailureKind::Denied,
            StatusCode::NOT_FOUND => FailureKind::NotFound,
            StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR => FailureKind::Refused,
            status if status.is_success() => FailureKind::Refused,
            _ => FailureKind::Other,
        };
        let hint = match status {
            StatusCode::UNAUTHORIZED => Some("check the credentials; they may have been revoked"),
            StatusCode::FORBIDDEN => Some(DENIED_HINT),
            _ if is_denied => Some(DENIED_HINT),
            StatusCode::NOT_FOUND => Some(self.words.not_found_hint.as_str()),
            status if status.is_server_error() => Some(SERVER_HINT),
            StatusCode::TOO_MANY_REQUESTS => Some(LIMIT_HINT),
            status if status.is_redirection() => Some("redirects are not followed; set base_url to where it points"),
            _ => None,
        };
        let what = if excerpt.is_empty() { status.to_string() } else { format!("{status}: {excerpt}") };
        let field = told.and_then(|told| told.field).map(String::into_boxed_str);
        let failure = Failure { kind, request, what, hint: hint.map(str::to_owned), field };
        if status == StatusCode::UNAUTHORIZED {
            return Trouble::Unauthorized(failure);
        }
        if !is_rate_limit && (is_denied || self.words.are_final(&text)) {
            return Trouble::Final(failure);
        }
        if is_rate_limit || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
            let wait = self.pace.asked_wait(headers, is_rate_limit, &self.clock);
            return Trouble::Again { failure, wait, is_rate_limit, at: self.clock.now() };
        }
        Trouble::Final(failure)
    }
}

/// Whether a text is short and of letters, digits and what stands between them in the numbers of errors.
fn is_code(text: &str) -> bool {
    text.len() <= 40 && text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'))
}

fn says(words: &[String], text: &str) -> bool {
    words.iter().any(|word| text.contains(word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_found_where_it_is_wrapped() {
        let errors = Errors {
            at: vec!["result.error".into(), "error".into()],
            message: "message".into(),
            code: Some("id".into()),
            field: Some("info.FIELD".into()),
        };
        let words = Words {
            retry: Vec::new(),
            last: vec!["never".into()],
            denied: Vec::new(),
            errors: Some(errors),
            not_found_hint: String::new(),
            unauthorized_hint: Some("one user for each program".into()),
        };
        let told = |body: &str| words.error_in(&Json::read(body.as_bytes()).unwrap());
        let inside = told(r#"{"result":{"error":{"message":"no such field","id":"E1","info":{"FIELD":"a.b"}}}}"#);
        assert_eq!(
            inside,
            Some(Told { message: "no such field".into(), code: Some("E1".into()), field: Some("a.b".into()) })
        );
        let without = told(r#"{"error":{"message":"gone","id":"a record's name"}}"#);
        assert_eq!(without, Some(Told { message: "gone".into(), code: None, field: None }));
        for good in [r#"{"result":[{"error":{"message":"a record's"}}]}"#, r#"{"error":null}"#, r#"{"error":"text"}"#] {
            assert_eq!(told(good), None, "{good}");
        }
        assert!(words.are_final("this will never do") && !words.are_final("later"));
    }
}
