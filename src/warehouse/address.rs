//! Where a warehouse is: `./warehouse`, `file:///…`, `s3://bucket/prefix`, `az://container/prefix`, `gs://bucket/prefix`.
//!
//! Invariant: an address never carries a secret, so it may be shown. Leaves out: opening it (`remote`, `store`).

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::error::Error;

/// The kinds of object stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Amazon S3, and whatever speaks its protocol.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Gcs,
}

impl Service {
    fn parse(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" => Some(Self::S3),
            "az" => Some(Self::Azure),
            "gs" => Some(Self::Gcs),
            _ => None,
        }
    }

    /// What may stand after the `?`.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::S3 => &["endpoint", "region", "profile"],
            Self::Azure => &["endpoint", "account"],
            Self::Gcs => &["endpoint"],
        }
    }
}

/// A bucket (for Azure: a container), the folder in it, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) service: Service,
    pub(super) name: String,
    /// Without slashes at its ends; may be empty.
    pub(super) prefix: String,
    /// Instead of the service's own address.
    pub(super) endpoint: Option<String>,
    /// S3 only.
    pub(super) region: Option<String>,
    /// S3 only: a profile of the AWS configuration files.
    pub(super) profile: Option<String>,
    /// Azure only: the storage account.
    pub(super) account: Option<String>,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.service {
            Service::S3 => "s3",
            Service::Azure => "az",
            Service::Gcs => "gs",
        };
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "{scheme}://{}{slash}{}", self.name, self.prefix)
    }
}

/// An address, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Folder(PathBuf),
    Bucket(Bucket),
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let Some((scheme, _)) = url.split_once("://") else { return Ok(Self::Folder(PathBuf::from(url))) };
        let unsupported = || Error::UnsupportedStore { url: without_secrets(url), scheme: scheme.to_owned() };
        let refuse = |reason: String| Error::Address { url: without_secrets(url), reason };
        let parsed = url::Url::parse(url).map_err(|error| refuse(error.to_string()));
        if scheme == "file" {
            return parsed?.to_file_path().map(Self::Folder).map_err(|()| unsupported());
        }
        let service = Service::parse(scheme).ok_or_else(unsupported)?;
        let parsed = parsed?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(refuse("it carries a name or a password; credentials come from the environment".to_owned()));
        }
        let name = parsed.host_str().filter(|host| !host.is_empty() && parsed.port().is_none());
        let name = name.ok_or_else(|| refuse("it names no bucket, as in s3://bucket/folder".to_owned()))?.to_owned();
        if parsed.fragment().is_some() {
            return Err(refuse("`#` has no meaning in it".to_owned()));
        }
        let prefix = parsed.path().trim_matches('/').to_owned();
        if prefix.contains('%') || prefix.split('/').any(|part| part == "." || part == "..") {
            return Err(refuse("its folder may have letters, digits, `-`, `_`, `.` and `/` only".to_owned()));
        }
        let mut bucket = Bucket { service, name, prefix, endpoint: None, region: None, profile: None, account: None };
        for (key, value) in parsed.query_pairs() {
            let value = Some(value.into_owned()).filter(|value| !value.is_empty());
            let known = service.options();
            match key.as_ref() {
                key if !known.contains(&key) => {
                    return Err(refuse(format!("`{key}` is unknown there\nhint: known are {}", known.join(", "))));
                }
                "endpoint" => bucket.endpoint = value,
                "region" => bucket.region = value,
                "profile" => bucket.profile = value,
                _ => bucket.account = value,
            }
        }
        Ok(Self::Bucket(bucket))
    }
}

/// Whether an endpoint is this machine, to which plain http may go.
pub(super) fn is_loopback(endpoint: &str) -> bool {
    let Some(url) = url::Url::parse(endpoint).ok() else { return false };
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.ends_with(".localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// A text with what may be a secret in its URLs left out: names and passwords before `@`, and everything after `?`.
pub(super) fn without_secrets(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let (place, hidden) = rest.split_at(end);
        let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // What closes a bracket or ends a sentence is no part of the query.
        let tail: String = hidden.chars().rev().take_while(|last| ")>,;:\"'\n\t ".contains(*last)).collect();
        let tail: String = tail.chars().rev().collect();
        let mark = if hidden.is_empty() { "" } else { "?…" };
        format!("{scheme}://{host}{path}{mark}{tail}")
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(url: &str) -> Bucket {
        match Address::parse(url).unwrap() {
            Address::Bucket(bucket) => bucket,
            Address::Folder(folder) => unreachable!("{folder:?}"),
        }
    }

    #[test]
    fn every_kind_of_address() {
        assert_eq!(Address::parse("./warehouse").unwrap(), Address::Folder("./warehouse".into()));
        assert_eq!(Address::parse("file:///srv/a%20b").unwrap(), Address::Folder("/srv/a b".into()));
        let s3 = bucket("s3://firm.books/tieout/prod/?endpoint=http://127.0.0.1:9000&region=eu-west-1");
        assert_eq!((s3.service, s3.name.as_str(), s3.prefix.as_str()), (Service::S3, "firm.books", "tieout/prod"));
        assert_eq!(s3.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(s3.region.as_deref(), Some("eu-west-1"));
        assert_eq!(s3.to_string(), "s3://firm.books/tieout/prod");
        assert_eq!(bucket("az://books?account=firm").account.as_deref(), Some("firm"));
        assert_eq!(bucket("gs://books").to_string(), "gs://books");
    }

    #[test]
    fn what_it_cannot_be_is_refused_and_secrets_are_not_repeated() {
        for (url, says) in [
            ("https://bucket/x", "not `https://`"),
            ("s3://key:hunter2@bucket/x", "credentials come from the environment"),
            ("s3:///x", "no bucket"),
            ("s3://bucket/x?secret=hunter2", "`secret` is unknown"),
            ("az://books?sig=hunter2", "`sig` is unknown"),
            ("gs://bucket/a/../b%20c", "its folder may have"),
        ] {
            let message = Address::parse(url).unwrap_err().to_string();
            assert!(message.contains(says) && message.contains("hint:"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for yes in ["http://localhost:1", "http://127.0.0.1:9000", "http://[::1]:2/x", "http://s3.localhost"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in ["http://localhost.evil.com", "http://10.0.0.1", "http://127.0.0.1.nip.io", "nonsense"] {
            assert!(!is_loopback(no), "{no}");
        }
    }

    #[test]
    fn queries_are_cut_out_of_messages() {
        let text = "Error performing GET https://a.blob.core.windows.net/c/x?sv=1&sig=abc in 3ms (https://b/y?sig=abc)";
        let shown = without_secrets(text);
        assert_eq!(shown, "Error performing GET https://a.blob.core.windows.net/c/x?… in 3ms (https://b/y?…)");
        assert_eq!(without_secrets("nothing to hide\n"), "nothing to hide\n");
    }
}
