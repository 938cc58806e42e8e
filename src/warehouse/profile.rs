//! The profiles of the AWS command line: keys, region and endpoint from `~/.aws/credentials` and `~/.aws/config`.
//!
//! Deliberately small: static and temporary keys are read; single sign-on, assumed roles and `credential_process` are named
//! in [`Profile::other`], so that whoever uses them is told how to hand their keys over.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A key pair. Deliberately without `Debug`: it must not be printed.
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

/// What the files say of one profile.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) keys: Option<Keys>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    /// The setting by which it gets its keys from elsewhere.
    pub(super) other: Option<String>,
}

/// Reads the profile of that name, else the one that `AWS_PROFILE` names, else `default`, which need not exist.
pub(super) fn read(name: Option<&str>) -> Result<Profile, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let home = variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from);
    let file = |override_name: &str, usual: &str| {
        let path = variable(override_name).map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".aws").join(usual)));
        path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
    };
    let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let config = file("AWS_CONFIG_FILE", "config");
    let asked = name.map(ToOwned::to_owned).or_else(|| variable("AWS_PROFILE"));
    find(&credentials, &config, asked.as_deref())
}

fn find(credentials: &str, config: &str, asked: Option<&str>) -> Result<Profile, String> {
    let name = asked.unwrap_or("default");
    let mut values = BTreeMap::new();
    // In the configuration only the default profile may stand without the word `profile`. Keys in the credentials file go
    // before those in the configuration.
    let bare = section_of(config, name).filter(|_| name == "default");
    let sections = [section_of(config, &format!("profile {name}")), bare, section_of(credentials, name)];
    let known = sections.iter().any(Option::is_some);
    values.extend(sections.into_iter().flatten().flatten());
    if !known && asked.is_some() {
        return Err(format!(
            "no profile `{name}` in the AWS configuration\nhint: `aws configure list-profiles` shows those there are"
        ));
    }
    let mut take = |key: &str| values.remove(key).filter(|value| !value.is_empty());
    let (id, secret, token) = (take("aws_access_key_id"), take("aws_secret_access_key"), take("aws_session_token"));
    let keys = id.zip(secret).map(|(id, secret)| Keys { id, secret, token });
    let (region, endpoint) = (take("region"), take("endpoint_url"));
    let elsewhere = ["sso_session", "sso_start_url", "role_arn", "credential_process", "web_identity_token_file"];
    let other = elsewhere.into_iter().find(|key| values.contains_key(*key)).map(ToOwned::to_owned);
    Ok(Profile { name: name.to_owned(), keys, region, endpoint, other })
}

/// The settings of a section; none if there is no such section.
fn section_of(text: &str, wanted: &str) -> Option<BTreeMap<String, String>> {
    let mut found: Option<BTreeMap<String, String>> = None;
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') || trimmed.starts_with(';') {
            continue;
        }
        if let Some(title) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let words: Vec<&str> = title.split_whitespace().collect();
            inside = words.join(" ").replace('"', "") == wanted;
            if inside {
                found.get_or_insert_default();
            }
            continue;
        }
        // An indented line belongs to the setting above it (`s3 =`), not to the section.
        let nested = line.starts_with([' ', '\t']);
        if let Some((key, value)) = trimmed.split_once('=').filter(|_| inside && !nested) {
            let values = found.get_or_insert_default();
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "[default]\naws_access_key_id = AKIDEFAULT\naws_secret_access_key=abc=\n\n\
        # a comment\n[audit]\naws_access_key_id=AKIAUDIT\naws_secret_access_key=def\naws_session_token=ghi\n";
    const CONFIG: &str = "[default]\nregion = us-east-2\ns3 =\n  region = nonsense\n[profile audit]\n\
        region=eu-west-1\nendpoint_url = http://127.0.0.1:9000\n[profile \"sso\"]\nsso_session = firm\n";

    #[test]
    fn keys_region_and_endpoint_of_a_profile() {
        let default = find(CREDENTIALS, CONFIG, None).unwrap();
        let keys = default.keys.unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.as_str(), keys.token.is_none()), ("AKIDEFAULT", "abc=", true));
        assert_eq!(default.region.as_deref(), Some("us-east-2"));
        let audit = find(CREDENTIALS, CONFIG, Some("audit")).unwrap();
        assert_eq!(audit.keys.unwrap().token.unwrap(), "ghi");
        assert_eq!(audit.region.as_deref(), Some("eu-west-1"));
        assert_eq!(audit.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
    }

    #[test]
    fn what_is_not_read_is_named() {
        let sso = find(CREDENTIALS, CONFIG, Some("sso")).unwrap();
        assert!(sso.keys.is_none());
        assert_eq!(sso.other.as_deref(), Some("sso_session"));
    }

    #[test]
    fn only_a_profile_that_was_asked_for_must_exist() {
        assert!(find("", "", None).unwrap().keys.is_none());
        assert!(find(CREDENTIALS, CONFIG, Some("nobody")).err().unwrap().contains("`nobody`"));
    }
}
