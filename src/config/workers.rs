//! `[workers]`: the processes that carry out parts of queries, and what they share with the server.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::SecretReference;

/// `[workers]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkersConfig {
    /// Where the server finds them: `https://host:port`, or `http://` on this machine.
    pub urls: Vec<String>,
    /// Where `tieout worker` listens.
    pub listen: String,
    /// What servers and workers share; beyond this machine nobody is answered without it.
    pub secret: Option<SecretReference>,
    /// A PEM file with the authorities of the workers' certificates, relative to `tieout.toml`.
    pub ca: Option<PathBuf>,
    /// A query that reads fewer rows is not worth the way.
    pub rows_min: u64,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self { urls: Vec::new(), listen: "127.0.0.1:5434".to_owned(), secret: None, ca: None, rows_min: 1_000_000 }
    }
}

/// Refuses workers that could not be spoken to.
pub(super) fn check(workers: &WorkersConfig) -> Result<()> {
    if workers.urls.iter().any(|url| url.starts_with("https://")) && workers.ca.is_none() {
        bail!(
            "[workers] urls: nobody vouches for the workers' certificates\n\
             hint: ca = \"ca.pem\", a PEM file with the authority that gave them"
        );
    }
    if workers.urls.iter().any(|url| url.starts_with("https://")) && workers.secret.is_none() {
        bail!(
            "[workers] urls: workers on other machines answer nobody without the secret\n\
             hint: secret = {{ env = \"TIEOUT_WORKERS_SECRET\" }}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn workers_on_other_machines_need_a_secret_and_an_authority() {
        for (rest, expected) in
            [("", "ca = "), ("ca = \"ca.pem\"", "secret = "), ("ca = \"ca.pem\"\nsecret = { file = \"secret\" }", "")]
        {
            let text = format!("[workers]\nurls = [\"https://a:1\"]\n{rest}");
            match Config::parse(&text, PathBuf::new()) {
                Ok(config) => assert!(expected.is_empty() && config.workers.rows_min == 1_000_000, "{rest}"),
                Err(error) => {
                    let refused = format!("{error:#}");
                    assert!(!expected.is_empty() && refused.contains(expected), "{rest}: {refused}");
                }
            }
        }
    }
}
