//! `[[roles]]` as the server takes them: passwords read, rights and limits checked against what there is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chrono_tz::Tz;

use crate::cli::trouble;
use crate::config::{Config, Project, RoleConfig};
use crate::engine::Access;
use crate::extract::did_you_mean;
use crate::server::{Password, RoleLimits, User, Verifier};
use crate::warehouse::AsOf;

/// Who may log in. What is wrong with their passwords is told all at once.
pub(super) fn users(config: &Config, path: &Path) -> Result<Vec<User>> {
    if config.roles.is_empty() {
        bail!(
            "no [[roles]] in {}: nobody could log in\nhint: add [[roles]] with name = \"analyst\" and password = {{ env = \"TIEOUT_ANALYST_PASSWORD\" }}",
            path.display()
        );
    }
    let (mut users, mut errors) = (Vec::new(), Vec::new());
    for role in &config.roles {
        match password(role, config) {
            Ok(password) => users.push(user(role, password)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(users) } else { Err(trouble::gather(&errors)) }
}

fn password(role: &RoleConfig, config: &Config) -> Result<Password> {
    let key = format!("roles.{}.password", role.name);
    let (secret, is_verifier) = role.password.resolve(&key, &config.directory)?;
    if !is_verifier {
        return Ok(Password::Plain(secret.expose().to_owned()));
    }
    let verifier = Verifier::parse(secret.expose()).with_context(|| format!("read {key}.scram"))?;
    Ok(Password::Verifier(verifier))
}

fn user(role: &RoleConfig, password: Password) -> User {
    let access = Access {
        role: role.name.clone(),
        schemas: role.schemas.as_ref().map(|schemas| schemas.iter().map(|name| name.trim().to_owned()).collect()),
        projects: role.projects.as_ref().map(|projects| projects.iter().map(Project::text).collect()),
        firm: role.reads_firm(),
        sensitive: role.sensitive,
        as_of: role.as_of.as_ref().map(|as_of| as_of.trim().to_owned()),
    };
    let limits = RoleLimits {
        connections: role.max_connections,
        statement_timeout: role.statement_timeout_seconds.map(Duration::from_secs),
        rows: role.max_rows,
        memory_bytes: role.memory_limit_mb.map(|megabytes| megabytes.saturating_mul(1 << 20)),
    };
    User { name: role.name.clone(), password, access: Some(Arc::new(access)), limits }
}

/// Refuses rights to what there is not: a schema by another name would be one that is never refused.
pub(super) fn check(users: &[User], schemas: &[String], zone: Tz) -> Result<()> {
    for access in users.iter().filter_map(|user| user.access.as_ref()) {
        let role = &access.role;
        let mut named = access.schemas.iter().flatten();
        if let Some(unknown) = named.find(|name| !schemas.contains(name)) {
            let guess = did_you_mean(unknown, schemas.iter().map(String::as_str));
            bail!("roles.{role}.schemas: there is no schema {unknown}{guess}\nhint: there are {}", schemas.join(", "));
        }
        if let Some(as_of) = &access.as_of {
            AsOf::parse(as_of, zone).with_context(|| format!("roles.{role}.as_of = \"{as_of}\""))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn read(text: &str) -> Result<Vec<User>> {
        let text = format!("[[roles]]\nname = \"ada\"\n{text}");
        users(&Config::parse(&text, PathBuf::new())?, Path::new("tieout.toml"))
    }

    const SCRAM: &str = "password = { scram = \"SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\
                         AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" }\n";

    #[test]
    fn a_role_is_read_with_its_rights_and_limits() {
        let rest = "projects = [12]\nschemas = [\"recon\"]\nas_of = \"FY2025\"\nmax_rows = 9\nmemory_limit_mb = 1";
        let users = read(&format!("{SCRAM}{rest}")).unwrap();
        let ada = users.first().unwrap();
        let access = ada.access.as_ref().unwrap();
        assert_eq!(access.projects, Some(["12".to_owned()].into()));
        assert!(!access.firm && !access.sensitive && access.may_read("recon") && !access.may_read("erp"));
        assert_eq!((ada.limits.rows, ada.limits.memory_bytes), (Some(9), Some(1 << 20)));
        let schemas = ["erp", "recon"].map(str::to_owned);
        check(&users, &schemas, Tz::UTC).unwrap();
        let refused = format!("{:#}", check(&users, &schemas[..1], Tz::UTC).unwrap_err());
        assert!(
            refused.contains("roles.ada.schemas: there is no schema recon") && refused.contains("hint:"),
            "{refused}"
        );
    }

    #[test]
    fn a_verifier_or_a_moment_that_is_none_is_named_by_its_key() {
        let refused = format!("{:#}", read("password = { scram = \"md5abc\" }").unwrap_err());
        assert!(refused.contains("roles.ada.password.scram") && !refused.contains("md5abc"), "{refused}");
        let users = read(&format!("{SCRAM}as_of = \"the end of the year\"")).unwrap();
        let refused = format!("{:#}", check(&users, &[], Tz::UTC).unwrap_err());
        assert!(refused.contains("roles.ada.as_of"), "{refused}");
    }
}
