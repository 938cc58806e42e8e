//! Object stores: the client of a bucket, with credentials from where each vendor's own tools look for them.
//!
//! Invariants: TLS everywhere but on this machine, unless the environment explicitly says otherwise; whoever does not answer
//! gets some seconds of patience, not minutes. Leaves out: what is done with the client (`store`).

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig, StaticCredentialProvider};

use super::address::{Bucket, Service, is_loopback};
use super::error::Error;
use super::profile::{self, Profile};

/// One request, body included: what a slow line needs for the largest single upload.
const REQUEST_TIMEOUT: &str = "300 seconds";

/// The client of a bucket, rooted at the bucket's folder.
pub(super) fn open(bucket: &Bucket) -> Result<Arc<dyn ObjectStore>, Error> {
    let objects: Arc<dyn ObjectStore> = match bucket.service {
        Service::S3 => s3(bucket)?,
        Service::Azure => azure(bucket)?,
        Service::Gcs => gcs(bucket)?,
    };
    if bucket.prefix.is_empty() {
        return Ok(objects);
    }
    Ok(Arc::new(PrefixStore::new(objects, bucket.prefix.as_str())))
}

fn retry() -> RetryConfig {
    let (init_backoff, max_backoff) = (Duration::from_millis(100), Duration::from_secs(5));
    RetryConfig {
        backoff: BackoffConfig { init_backoff, max_backoff, base: 2.0 },
        max_retries: 6,
        retry_timeout: Duration::from_mins(1),
    }
}

fn s3(bucket: &Bucket) -> Result<Arc<dyn ObjectStore>, Error> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&bucket.name)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
        .with_retry(retry());
    let has = |builder: &AmazonS3Builder, key| builder.get_config_value(&key).is_some();
    let elsewhere = has(&builder, AmazonS3ConfigKey::WebIdentityTokenFile)
        || has(&builder, AmazonS3ConfigKey::ContainerCredentialsRelativeUri)
        || has(&builder, AmazonS3ConfigKey::ContainerCredentialsFullUri);
    let given = has(&builder, AmazonS3ConfigKey::AccessKeyId) && bucket.profile.is_none();
    let found = profile::read(bucket.profile.as_deref()).map_err(|reason| refuse(bucket, &reason))?;
    let Profile { name, keys, region, endpoint, other } = found;
    if !given {
        if let Some(keys) = keys {
            builder = builder.with_access_key_id(keys.id).with_secret_access_key(keys.secret);
            builder = match keys.token {
                Some(token) => builder.with_token(token),
                None => builder,
            };
        } else if let Some(other) = other.filter(|_| !elsewhere) {
            let hint =
                format!("`eval \"$(aws configure export-credentials --profile {name} --format env)\"` sets them");
            let reason = format!(
                "profile `{name}` of the AWS configuration signs in by `{other}`, which is not read here\nhint: {hint}"
            );
            return Err(refuse(bucket, &reason));
        }
    }
    if let Some(region) = bucket.region.clone().or(region.filter(|_| !has(&builder, AmazonS3ConfigKey::Region))) {
        builder = builder.with_region(region);
    }
    let named = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let named = named.iter().find_map(|key| builder.get_config_value(key));
    if let Some(endpoint) = bucket.endpoint.clone().or(named).or(endpoint) {
        let allow = may_be_plain(bucket, &endpoint, "AWS_ALLOW_HTTP")?;
        let key = AmazonS3ConfigKey::S3Endpoint;
        builder = builder.with_config(key, endpoint).with_allow_http(allow);
    }
    let objects = builder.build().map_err(|error| unbuilt(bucket, &error))?;
    Ok(Arc::new(objects))
}

fn azure(bucket: &Bucket) -> Result<Arc<dyn ObjectStore>, Error> {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(&bucket.name)
        .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
        .with_retry(retry());
    if let Some(account) = &bucket.account {
        builder = builder.with_account(account);
    }
    let endpoint = bucket.endpoint.clone().or_else(|| builder.get_config_value(&AzureConfigKey::Endpoint));
    if let Some(endpoint) = endpoint {
        let allow = may_be_plain(bucket, &endpoint, "AZURE_ALLOW_HTTP")?;
        builder = builder.with_endpoint(endpoint).with_allow_http(allow);
    }
    let objects = builder.build().map_err(|error| unbuilt(bucket, &error))?;
    Ok(Arc::new(objects))
}

fn gcs(bucket: &Bucket) -> Result<Arc<dyn ObjectStore>, Error> {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(&bucket.name)
        .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
        .with_retry(retry());
    let emulator = || std::env::var("STORAGE_EMULATOR_HOST").ok().filter(|host| !host.is_empty());
    let with_scheme = |host: String| if host.contains("://") { host } else { format!("http://{host}") };
    let named = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    if let Some(endpoint) = bucket.endpoint.clone().or(named).or_else(|| emulator().map(with_scheme)) {
        let allow = may_be_plain(bucket, &endpoint, "GOOGLE_ALLOW_HTTP")?;
        // An emulator on this machine has no accounts, and nobody's token is to go there.
        let anonymous = is_loopback(&endpoint);
        let key = GoogleConfigKey::Client(ClientConfigKey::AllowHttp);
        builder = builder.with_base_url(&endpoint).with_config(key, allow.to_string());
        if anonymous {
            let nobody = GcpCredential { bearer: String::new() };
            builder =
                builder.with_credentials(Arc::new(StaticCredentialProvider::new(nobody))).with_skip_signature(true);
        }
    }
    let objects = builder.build().map_err(|error| unbuilt(bucket, &error))?;
    Ok(Arc::new(objects))
}

/// Whether requests to the endpoint may go unencrypted; an error if they would have to and may not.
fn may_be_plain(bucket: &Bucket, endpoint: &str, variable: &str) -> Result<bool, Error> {
    if !endpoint.starts_with("http://") {
        return Ok(false);
    }
    let allowed = std::env::var(variable).is_ok_and(|value| matches!(value.as_str(), "1" | "true" | "TRUE" | "True"));
    if is_loopback(endpoint) || allowed {
        return Ok(true);
    }
    let endpoint = super::address::without_secrets(endpoint);
    let reason = format!(
        "endpoint {endpoint} is plain http on another machine: what is in the books could be read on the way\n\
         hint: use https, or set {variable}=true if you trust the network"
    );
    Err(refuse(bucket, &reason))
}

fn refuse(bucket: &Bucket, reason: &str) -> Error {
    Error::Address { url: bucket.to_string(), reason: reason.to_owned() }
}

fn unbuilt(bucket: &Bucket, error: &object_store::Error) -> Error {
    refuse(bucket, &super::address::without_secrets(&error.to_string()))
}
