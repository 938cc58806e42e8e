//! How an interface of JSON over HTTP is spoken to: `[rest]` of a manifest.

use serde::Deserialize;
use std::collections::BTreeMap;

use super::refusal::Errors;
use super::sign_in::Auth;

/// How the interface is spoken to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    /// Where it is, unless the source says otherwise.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Headers of every request; one whose placeholder is unset is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The field that wraps every value (Acumatica: `value`).
    #[serde(default)]
    pub unwrap: Option<String>,
    /// The field that some of its lists are wrapped in although most are bare (Procore: `data`).
    #[serde(default)]
    pub envelope: Option<String>,
    /// Ways to sign in; the first whose placeholders are all set is used.
    #[serde(default)]
    pub auth: Vec<Auth>,
    /// How the rate limit is told.
    #[serde(default)]
    pub rate: Rate,
    /// Requests that the smallest subscription holds in a month; beyond it they are paid for, not refused.
    #[serde(default)]
    pub requests_per_month: Option<u32>,
    /// Requests in flight at once.
    #[serde(default = "Rest::default_concurrency")]
    pub concurrency: usize,
    /// How often to try.
    #[serde(default)]
    pub retry: Retry,
    /// An error whose body holds one of these texts is a rate limit, whatever its status.
    #[serde(default)]
    pub retry_text: Vec<String>,
    /// An error whose body holds one of these texts would be the same again: it is not tried again.
    #[serde(default)]
    pub final_text: Vec<String>,
    /// An error whose body holds one of these texts is a missing permission, whatever its status.
    #[serde(default)]
    pub denied_text: Vec<String>,
    /// Where a body tells an error, also one that came with a good status.
    #[serde(default)]
    pub errors: Option<Errors>,
    /// What to try when the source knows no such path.
    #[serde(default)]
    pub not_found_hint: Option<String>,
    /// What to try when a token that was just given is refused.
    #[serde(default)]
    pub unauthorized_hint: Option<String>,
    /// Query parameters that name parts of a record, such as `$expand`, each with what stands before the part's name in the
    /// record. Where a list refuses a part or leaves it out, records are asked for by key: the path and the key's values.
    #[serde(default)]
    pub parts: BTreeMap<String, String>,
}

impl Rest {
    const fn default_concurrency() -> usize {
        4
    }
}

/// How the rate limit is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rate {
    /// By headers of every answer.
    Headers {
        /// Requests per window.
        limit: String,
        /// Requests left in it.
        remaining: String,
        /// When it ends, Unix seconds by the server's clock.
        reset: String,
        /// A pace never exceeded.
        #[serde(default)]
        requests_per_minute: Option<u32>,
    },
    /// Not at all.
    None {
        /// A pace never exceeded.
        #[serde(default)]
        requests_per_minute: Option<u32>,
        /// Headers of a refusal that say in how many seconds to come back.
        #[serde(default)]
        wait_headers: Vec<String>,
    },
}

impl Default for Rate {
    fn default() -> Self {
        Self::None { requests_per_minute: None, wait_headers: Vec::new() }
    }
}

/// How often to try.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Requests sent before giving up, the first included.
    pub attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 6 }
    }
}
