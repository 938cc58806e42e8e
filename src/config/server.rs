//! `[server]` and `[[roles]]`: where the SQL server listens, who may log in, and what each may read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Deserialize;

use super::{Project, SecretReference};
use crate::extract::Secret;

/// The longest name that Postgres clients can send.
const NAME_BYTES_MAX: usize = 63;
/// The owner of everything in the catalogue that clients are shown.
const OWNER: &str = "tieout";

/// `[[roles]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleConfig {
    /// The login name.
    pub name: String,
    /// Where the password is, or what proves that somebody knows it.
    pub password: PasswordReference,
    /// The schemas that it may read; all if none are named.
    pub schemas: Option<Vec<String>>,
    /// The projects that it may read, by id or number; all if none are named.
    pub projects: Option<Vec<Project>>,
    /// Whether it may read what belongs to no project; if nothing is said, who reads all projects may.
    pub firm: Option<bool>,
    /// The one moment that it reads, such as a pin.
    pub as_of: Option<String>,
    /// Whether it may read sensitive columns.
    #[serde(default)]
    pub sensitive: bool,
    /// Connections at once.
    pub max_connections: Option<usize>,
    /// Seconds a statement may run; its sessions may set less, not more.
    pub statement_timeout_seconds: Option<u64>,
    /// Rows that one statement may fetch.
    pub max_rows: Option<u64>,
    /// Megabytes that its queries together may hold in memory before they spill or fail.
    pub memory_limit_mb: Option<usize>,
}

impl RoleConfig {
    /// Whether it may read what belongs to no project.
    pub fn reads_firm(&self) -> bool {
        self.firm.unwrap_or(self.projects.is_none())
    }
}

/// The password of a role.
#[derive(Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "where the password is: { env = \"NAME\" }, { file = \"PATH\" } or { scram = \"SCRAM-SHA-256$…\" }"
)]
pub struct PasswordReference {
    /// The environment variable that holds it.
    pub env: Option<String>,
    /// The file that holds it, relative to `tieout.toml`.
    pub file: Option<PathBuf>,
    /// A verifier as PostgreSQL stores it, `SCRAM-SHA-256$…`: the password itself is nowhere.
    pub scram: Option<String>,
}

impl std::fmt::Debug for PasswordReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = f.debug_struct("PasswordReference").field("env", &self.env).field("file", &self.file).finish();
        shown.and_then(|()| f.write_str(if self.scram.is_some() { " with a verifier" } else { "" }))
    }
}

impl PasswordReference {
    /// Reads the password, or gives the verifier in the place of one. `key` names the setting in messages.
    ///
    /// # Errors
    /// None or several of `env`, `file` and `scram`; what [`SecretReference::resolve`] refuses.
    pub fn resolve(&self, key: &str, directory: &Path) -> Result<(Secret, bool)> {
        match (&self.env, &self.file, &self.scram) {
            (None, None, Some(verifier)) => Ok((Secret::new(verifier.trim()), true)),
            (_, _, None) => {
                let reference = SecretReference { env: self.env.clone(), file: self.file.clone() };
                Ok((reference.resolve(key, directory)?, false))
            }
            _ => bail!(
                "read secret {key}: needs one of {{ env = \"NAME\" }}, {{ file = \"path\" }}, {{ scram = \"SCRAM-SHA-256$…\" }}"
            ),
        }
    }
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port.
    pub listen: String,
    /// Connections at once.
    pub max_connections: usize,
    /// Seconds a statement may run; 0 = no limit.
    pub statement_timeout_seconds: u64,
    /// The certificate, without which only this machine is listened to.
    pub tls: Option<TlsConfig>,
    /// The file of all sessions and statements, relative to `tieout.toml`.
    pub audit_log: PathBuf,
    /// Megabytes after which it goes on in a new file.
    pub audit_log_max_mb: u64,
    /// How many full files are kept beside it.
    pub audit_log_files: usize,
}

/// `[server.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// A PEM file, relative to `tieout.toml`: the certificate, then those that vouch for it.
    pub certificate: PathBuf,
    /// A PEM file with its key.
    pub key: PathBuf,
    /// A PEM file with the authorities that clients need a certificate of; none is asked for without it.
    pub client_ca: Option<PathBuf>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:5433".to_owned(),
            max_connections: 100,
            statement_timeout_seconds: 0,
            tls: None,
            audit_log: PathBuf::from("logs/statements.jsonl"),
            audit_log_max_mb: 64,
            audit_log_files: 10,
        }
    }
}

/// Refuses roles and limits that can mean nothing.
pub(super) fn check(roles: &[RoleConfig], server: &ServerConfig) -> Result<()> {
    let mut names = BTreeSet::new();
    for role in roles {
        let name = role.name.as_str();
        if name.trim() != name || name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
            bail!("[[roles]] name = {name:?}: a login name has 1 to {NAME_BYTES_MAX} bytes and no blank at its ends");
        }
        if name == OWNER {
            bail!(
                "[[roles]] name = \"{OWNER}\": clients are shown it as the owner of all tables\nhint: choose another"
            );
        }
        if !names.insert(name) {
            bail!("[[roles]] name = \"{name}\": there are two of this name\nhint: each role has a name of its own");
        }
        if role.schemas.as_ref().is_some_and(Vec::is_empty) {
            bail!("roles.{name}.schemas = []: it could read nothing\nhint: leave schemas out for all, or name some");
        }
        let as_of = role.as_of.as_deref().map(str::trim);
        if as_of.is_some_and(|as_of| as_of.is_empty() || as_of.eq_ignore_ascii_case("latest")) {
            bail!(
                "roles.{name}.as_of = {:?}: this moves with every commit\nhint: a pin such as \"FY2025\", a day, commit:N; \
                 leave it out for all moments",
                role.as_of.as_deref().unwrap_or_default()
            );
        }
        let zeros = [
            ("max_connections", role.max_connections == Some(0)),
            ("statement_timeout_seconds", role.statement_timeout_seconds == Some(0)),
            ("max_rows", role.max_rows == Some(0)),
            ("memory_limit_mb", role.memory_limit_mb == Some(0)),
        ];
        if let Some((key, _)) = zeros.iter().find(|(_, is_zero)| *is_zero) {
            bail!("roles.{name}.{key} = 0: it could do nothing\nhint: leave {key} out for no limit of its own");
        }
    }
    if server.audit_log.as_os_str().is_empty() {
        bail!(
            "[server] audit_log = \"\": the server does not run without one\nhint: a path such as \"logs/statements.jsonl\""
        );
    }
    if server.audit_log_max_mb == 0 {
        bail!("[server] audit_log_max_mb = 0: no line would fit\nhint: 64 is the default");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn refusal(text: &str) -> String {
        format!("{:#}", Config::parse(text, PathBuf::new()).unwrap_err())
    }

    fn role(rest: &str) -> String {
        format!("[[roles]]\nname = \"ada\"\npassword = {{ env = \"X\" }}\n{rest}")
    }

    #[test]
    fn a_role_of_some_projects_reads_nothing_of_the_firm_unless_it_is_told() {
        let config = Config::parse(&role("projects = [12, \" 24-001 \"]\nas_of = \"FY2025\""), PathBuf::new()).unwrap();
        let ada = config.roles.first().unwrap();
        assert!(!ada.reads_firm() && !ada.sensitive && ada.schemas.is_none());
        let projects: Vec<String> = ada.projects.iter().flatten().map(Project::text).collect();
        assert_eq!(projects, ["12", "24-001"]);
        let reads =
            |rest: &str| Config::parse(&role(rest), PathBuf::new()).unwrap().roles.first().unwrap().reads_firm();
        // An empty summary would read as an all-clear.
        assert!(reads("") && reads("projects = [12]\nfirm = true") && !reads("firm = false"));
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_key() {
        for (text, expected) in [
            (role("sensitiv = true"), "did you mean `sensitive`?"),
            (role("schemas = []"), "roles.ada.schemas = []"),
            (role("as_of = \"Latest\""), "roles.ada.as_of"),
            (role("max_rows = 0"), "roles.ada.max_rows = 0"),
            (role("") + &role(""), "there are two of this name"),
            (role("").replace("ada", "tieout"), "owner of all tables"),
            (role("").replace("ada", " "), "login name"),
            ("[server]\naudit_log = \"\"".to_owned(), "audit_log"),
            ("[server]\naudit_log_max_mb = 0".to_owned(), "audit_log_max_mb"),
        ] {
            assert!(refusal(&text).contains(expected), "{text}: {}", refusal(&text));
        }
    }

    #[test]
    fn a_password_has_one_place_and_never_prints() {
        let scram = "SCRAM-SHA-256$4096:c2FsdA==$a:b".to_owned();
        let verifier = PasswordReference { env: None, file: None, scram: Some(scram.clone()) };
        let (secret, is_verifier) = verifier.resolve("roles.ada.password", Path::new("")).unwrap();
        assert!(is_verifier && secret.expose() == scram);
        assert!(!format!("{verifier:?}").contains("SCRAM"));
        let both = PasswordReference { env: Some("X".to_owned()), ..verifier };
        let error = both.resolve("roles.ada.password", Path::new("")).unwrap_err().to_string();
        assert!(error.contains("roles.ada.password") && error.contains("scram ="), "{error}");
    }
}
